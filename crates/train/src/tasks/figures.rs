//! How good answers are, beside the baselines'.

use std::collections::BTreeMap;

use events::NONE;
use ndarray::ArrayView2;
use serde::Serialize;
use serde_json::Value;
use statistics::binary::{BinaryFigures, FLOOR};
use statistics::classes::ClassFigures;
use statistics::numeric::NumericFigures;

use super::{Lessons, Said, Task, TaskKnowledge, Told};
use crate::Error;

/// Who says what a model says.
pub const MODEL: &str = "model";

/// The figures of one way to answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Figures {
    /// Of probabilities of yes.
    Binary(BinaryFigures),
    /// Of numbers.
    Number(NumericFigures),
    /// Of probabilities of classes.
    Classes(ClassFigures),
}

/// The figures of a model at a task, and those of the baselines on the same questions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TaskFigures {
    /// The task.
    #[serde(skip)]
    pub task: Task,
    /// The model's.
    #[serde(flatten)]
    pub model: Figures,
    /// By name.
    pub baselines: BTreeMap<&'static str, Figures>,
}

/// What came true, as a task counts it, and what a model and the baselines have said to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    /// The task.
    pub task: Task,
    /// The user of each question, as the rows number them.
    pub users: Vec<u32>,
    /// `[Q]`; the number of a class where kinds are asked.
    pub truth: Vec<f64>,
    /// Who says what, the model first under the name `model`: `[Q]`, or `[Q, K]` where kinds are asked.
    pub said: Vec<(&'static str, Vec<f64>)>,
}

/// Brings together what was asked, what came true, and who has said what to it. Questions about what
/// follows are left out where what follows is of no kind that training has met.
///
/// # Errors
///
/// Where a baseline does not fit the questions.
pub fn compare(
    knowledge: &TaskKnowledge,
    lessons: &Lessons,
    offsets: &[usize],
    told: &Told,
) -> Result<Vec<Compared>, Error> {
    let mut compared = Vec::new();
    for (k, &task) in knowledge.answered().iter().enumerate() {
        let answers = told.answers[k].iter().map(|&answer| f64::from(answer)).collect();
        let mut said = vec![(MODEL, answers)];
        said.extend(knowledge.baselines.say(knowledge, k, lessons, offsets)?);
        let right = |(by, answers): Said| (by, knowledge.tell(k, by, answers));
        let mut said: Vec<Said> = said.into_iter().map(right).collect();
        let (users, truth) = if task.is_at_moment() {
            let users = lessons.asked.puts.iter().map(|put| put.user).collect();
            (users, lessons.asked.outcomes.iter().map(|o| task.truth(o)).collect())
        } else {
            let mut users = Vec::new();
            let mut classes = Vec::new();
            for (user, (events, &first)) in lessons.follows.iter().zip(offsets).enumerate() {
                let next = |event: u32| lessons.classes[first + event as usize + 1];
                users.extend(events.clone().map(|_| user as u32));
                classes.extend(events.clone().map(next));
            }
            let known: Vec<bool> = classes.iter().map(|&class| class != NONE).collect();
            let width = knowledge.kinds.len();
            for (_, values) in &mut said {
                *values = kept(values, &known, width);
            }
            let classes: Vec<f64> = classes.iter().map(|&class| f64::from(class)).collect();
            (kept(&users, &known, 1), kept(&classes, &known, 1))
        };
        compared.push(Compared { task, users, truth, said });
    }
    Ok(compared)
}

/// The figures of all tasks by name, as `--json` shows them.
///
/// # Errors
///
/// Where an answer is none.
pub fn figures(compared: &[Compared]) -> Result<Value, Error> {
    let mut all = serde_json::Map::new();
    for compared in compared {
        let figures = serde_json::to_value(compared.figures()?).expect("numbers and text");
        all.insert(compared.task.name().to_owned(), figures);
    }
    Ok(Value::Object(all))
}

/// The rows that are to stay.
fn kept<T: Copy>(values: &[T], rows: &[bool], width: usize) -> Vec<T> {
    let rows = values.chunks_exact(width).zip(rows);
    rows.filter(|(_, stays)| **stays).flat_map(|(row, _)| row.iter().copied()).collect()
}

impl Compared {
    /// The figures of all.
    ///
    /// # Errors
    ///
    /// Where an answer is none.
    pub fn figures(&self) -> Result<TaskFigures, Error> {
        let mut figures = BTreeMap::new();
        for (name, said) in &self.said {
            figures.insert(*name, self.of(said)?);
        }
        let model = figures.remove(MODEL).expect("the model has answered");
        Ok(TaskFigures { task: self.task, model, baselines: figures })
    }

    /// Sets answers right that are so far told as they were learned.
    pub(crate) fn set_right(&mut self, knowledge: &TaskKnowledge, k: usize) {
        for (by, said) in &mut self.said {
            *said = knowledge.tell(k, by, std::mem::take(said));
        }
    }

    fn of(&self, said: &[f64]) -> Result<Figures, Error> {
        Ok(if self.task.is_binary() {
            let outcomes: Vec<bool> = self.truth.iter().map(|&truth| truth > 0.5).collect();
            Figures::Binary(BinaryFigures::new(said, &outcomes)?)
        } else if self.task.is_at_moment() {
            Figures::Number(NumericFigures::new(said, &self.truth)?)
        } else {
            let (said, classes) = self.classes(said);
            Figures::Classes(ClassFigures::new(said, &classes)?)
        })
    }

    /// Probabilities of kinds, a row a question, and the kinds that came.
    pub(super) fn classes<'s>(&self, said: &'s [f64]) -> (ArrayView2<'s, f64>, Vec<u32>) {
        let classes: Vec<u32> = self.truth.iter().map(|&class| class as u32).collect();
        let width = said.len().checked_div(classes.len()).unwrap_or(1);
        let said = ArrayView2::from_shape((classes.len(), width), said);
        (said.expect("a row a question"), classes)
    }

    /// The mean loss of what the model says, as its training counts it but for balances; numbers are
    /// divided by `scale`, as they are there.
    pub fn loss(&self, scale: f64) -> f64 {
        let said = &self.said[0].1;
        let width = said.len().checked_div(self.truth.len()).unwrap_or(1);
        let log = |p: f64| p.max(FLOOR).ln();
        let loss = |(q, &truth): (usize, &f64)| match self.task {
            Task::NextItem | Task::NextEvent | Task::Period => {
                -log(said[q * width + truth as usize])
            }
            Task::TimeToNext => {
                let [said, truth] = [said[q], truth].map(|seconds| (seconds / scale).min(1.0));
                -(truth * log(said) + (1.0 - truth) * log(1.0 - said))
            }
            task if task.is_binary() => -log(if truth > 0.5 { said[q] } else { 1.0 - said[q] }),
            _ => (said[q] - truth * log(said[q] / scale)) / scale,
        };
        let sum: f64 = self.truth.iter().enumerate().map(loss).sum();
        sum / self.truth.len().max(1) as f64
    }
}
