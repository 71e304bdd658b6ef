//! What answers need later, and what travels with the model.

use std::collections::BTreeMap;

use events::{AFTER_EVENT, AFTER_PERIOD, BuyRule, MOMENT, Scale, Scaling, WAVES, Zone};
use model::{Answer, AnswerLoss, Answers};
use serde::{Deserialize, Serialize};

use super::ahead::Ahead;
use super::{
    Asked, Balance, Baselines, Calibrate, Compared, Following, RepeatBuying, Right, Task,
    TaskSettings,
};
use crate::Error;

/// How the tasks of a model are asked, and what training has learned about their answers beside the
/// weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskKnowledge {
    /// The tasks, that of the next item too where it is one.
    pub tasks: Vec<Task>,
    /// How far one looks ahead, in milliseconds.
    pub horizon: i64,
    /// Which events are purchases, as `--buys` has it.
    pub buys: String,
    /// Where the clock hangs by which days begin.
    pub zone: String,
    /// Events that are read before a question.
    pub history: usize,
    /// The kinds of events, the classes of the task `next-event`; or those of periods.
    pub kinds: Vec<String>,
    /// How the numbers of a moment are scaled.
    pub scaling: Vec<Scaling>,
    /// How those after an event, or a period, are; none where nobody asks what kind the next one is of.
    pub event_scaling: Vec<Scaling>,
    /// What the answer to each task but the next item is divided by to be learned.
    pub scales: Vec<f64>,
    /// What sets the answers to each task right, by who has given them: the model, or a baseline.
    pub rights: Vec<BTreeMap<String, Right>>,
    /// Models of repeat buying, where most users have bought: a baseline of several tasks.
    pub repeat_buying: Option<RepeatBuying>,
    /// What the same is answered by without a network.
    pub baselines: Baselines,
    /// Of a model that looks ahead period by period: how, and what is asked; its tasks are then what its
    /// heads answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ahead: Option<Box<Ahead>>,
}

impl TaskKnowledge {
    /// Learns from the training questions how numbers are scaled, and fits the baselines.
    ///
    /// # Errors
    ///
    /// Where a task finds nothing to learn from.
    pub fn learn(
        tasks: &[Task],
        (asked, following): (&Asked, &Following),
        horizon: i64,
        (buys, zone): (&BuyRule, &Zone),
        settings: &TaskSettings,
        kinds: Vec<String>,
    ) -> Result<Self, Error> {
        let chain = [Scale::Log1p, Scale::Zscore];
        let numbers = following.width;
        // Waves of a calendar have their scale.
        let waves = if tasks.contains(&Task::Period) { numbers - WAVES } else { numbers };
        let after = |k: usize| {
            let chain = if k < waves { &chain[..] } else { &[Scale::Zscore] };
            Scaling::fit(chain, following.known.iter().skip(k).step_by(numbers).copied())
        };
        let mut knowledge = Self {
            tasks: tasks.to_vec(),
            horizon,
            buys: buys.to_string(),
            zone: zone.name().to_owned(),
            history: settings.history,
            kinds,
            scaling: Vec::new(),
            event_scaling: (0..numbers).map(after).collect(),
            scales: Vec::new(),
            rights: Vec::new(),
            repeat_buying: None,
            baselines: Baselines::default(),
            ahead: None,
        };
        if tasks.iter().any(|task| task.is_at_moment()) {
            knowledge.repeat_buying = RepeatBuying::fit(asked);
        }
        let fit = |k: usize| Scaling::fit(&chain, asked.known.iter().map(|known| known[k]));
        knowledge.scaling.extend((0..MOMENT.len()).map(fit));
        let answered = knowledge.answered();
        for &task in &answered {
            knowledge.scales.push(scale(task, asked, horizon)?);
        }
        knowledge.rights = vec![BTreeMap::new(); answered.len()];
        Ok(knowledge)
    }

    /// Whether what a file says of it can be used.
    pub(crate) fn is_sound(&self) -> bool {
        let positive = |&scale: &f64| scale.is_finite() && scale > 0.0;
        // What follows an event knows no horizon.
        (self.horizon > 0 || !self.tasks.iter().any(|task| task.is_at_moment()))
            && self.history >= 2
            && self.scaling.len() == MOMENT.len()
            && [0, AFTER_EVENT.len(), AFTER_PERIOD.len()].contains(&self.event_scaling.len())
            && self.scales.iter().all(positive)
            && self.baselines.is_sound(self.kinds.len(), self.event_scaling.len())
            && self.zone().is_ok()
            && self.buys.parse::<BuyRule>().is_ok()
            && self.ahead.as_ref().is_none_or(|ahead| ahead.is_sound(self.kinds.len()))
    }

    /// The tasks that heads of the model answer, in their order: all but the next item.
    pub fn answered(&self) -> Vec<Task> {
        self.tasks.iter().copied().filter(|&task| task != Task::NextItem).collect()
    }

    /// What a model is to answer.
    pub fn answers(&self, settings: &TaskSettings, asked: &Asked) -> Answers {
        let answer = |task: Task| {
            let outputs = if task.is_of_classes() { self.kinds.len() } else { 1 };
            let weight = settings.weights.get(&task).copied().unwrap_or(1.0);
            let moment = task.numbers().iter().map(|&name| name.to_owned()).collect();
            let (name, loss) = (task.column().to_owned(), loss(task, settings, asked));
            Answer { name, outputs, moment, weight, loss }
        };
        let answers = self.answered().into_iter().map(answer).collect();
        Answers { next_item: self.tasks.contains(&Task::NextItem), answers }
    }

    /// How the numbers of a moment, and those after an event, are scaled.
    pub fn scalings(&self) -> [&[Scaling]; 2] {
        [&self.scaling, &self.event_scaling]
    }

    /// The zone by which days begin.
    ///
    /// # Errors
    ///
    /// Where there is no such zone.
    pub fn zone(&self) -> Result<Zone, Error> {
        Ok(self.zone.parse()?)
    }

    /// Fits what sets answers right, on questions that training has not seen; `compared` are those as they
    /// were given.
    pub fn set_right(&mut self, how: Calibrate, compared: &[Compared]) {
        for (rights, Compared { task, truth, said, .. }) in self.rights.iter_mut().zip(compared) {
            let fit = |(by, said): &(&'static str, Vec<f64>)| {
                Some(((*by).to_owned(), Right::fit(how, *task, said, truth)?))
            };
            *rights = said.iter().filter_map(fit).collect();
        }
    }

    /// The answers to a task as they are told: set right, and no time longer than the horizon.
    pub fn tell(&self, k: usize, by: &str, mut answers: Vec<f64>) -> Vec<f64> {
        if let Some(right) = self.rights[k].get(by) {
            answers.iter_mut().for_each(|answer| *answer = right.apply(*answer));
        }
        if self.answered()[k] == Task::TimeToNext {
            let most = self.horizon as f64 / 1000.0;
            answers.iter_mut().for_each(|answer| *answer = answer.min(most));
        }
        answers
    }
}

/// What the answers to a task of numbers are divided by: their mean, so that networks begin near 1, or the
/// horizon.
fn scale(task: Task, asked: &Asked, horizon: i64) -> Result<f64, Error> {
    if task == Task::TimeToNext {
        // Then it is a share of the horizon.
        return Ok(horizon as f64 / 1000.0);
    }
    if !task.is_at_moment() || task.is_binary() {
        return Ok(1.0);
    }
    let truths = asked.outcomes.iter().map(|outcome| task.truth(outcome));
    let mean = truths.sum::<f64>() / asked.len().max(1) as f64;
    match mean > 0.0 && mean.is_finite() {
        true => Ok(mean),
        false => Err(Error::Tasks {
            what: format!("--task {task}"),
            reason: format!(
                "the answer to all {} training questions is 0, so there is nothing to learn; name other \
                 purchases (--buys), other dates (--at), a longer --horizon, or leave the task out",
                asked.len()
            ),
        }),
    }
}

/// What an answer is worth in training.
fn loss(task: Task, settings: &TaskSettings, asked: &Asked) -> AnswerLoss {
    match task {
        Task::NextItem | Task::NextEvent | Task::Period => {
            AnswerLoss::Classes { weights: Vec::new() }
        }
        Task::Count | Task::Value => AnswerLoss::Poisson,
        Task::TimeToNext => AnswerLoss::Binary { positive: 1.0 },
        Task::Purchase | Task::Churn => match settings.balance {
            Balance::None => AnswerLoss::Binary { positive: 1.0 },
            Balance::Focal => AnswerLoss::Focal { gamma: settings.gamma, alpha: 0.5 },
            Balance::Weights => {
                let yes = asked.outcomes.iter().filter(|&o| task.truth(o) > 0.5).count();
                let no = asked.len() - yes;
                // Between bounds that leave a task of one answer something to learn.
                let positive = no as f32 / yes.max(1) as f32;
                AnswerLoss::Binary { positive: positive.clamp(0.01, 1000.0) }
            }
        },
    }
}
