//! Why a model says what it says of a user.
//!
//! ```text
//!     a row, and how much of it is known ─→ Seen ─→ the answer after each event
//!                                                ├→ what each event contributes to it, in two ways
//!                                                └→ what gates let through, how long units remember
//!     many rows ─→ what units follow, how long they remember
//! ```
//!
//! 1. [`Explainer`] holds what all questions share: the model, the log, the task, a baseline.
//! 2. [`Subject`] is who is asked about and when; `seen` is what the model then reads.
//! 3. [`Causes`] say which events carry the answer: integrated gradients, and leaving events out.
//! 4. [`Gates`] are what happened inside; [`Units`] what units do over many users.

mod causes;
mod gates;
mod seen;
mod units;

pub use causes::{Causes, EventShare, MomentShare};
pub use gates::{Gates, LayerGates, UnitGates};
pub use units::{Followed, LayerMemory, Units};

use events::{Buys, Log, Sessions, Zone};
use model::{Baseline, Batch, Device, Model, Probe, Question, Sequence, Sought, Wanted};
use serde::Serialize;

use crate::recommend::recommend;
use crate::tasks::{MODEL, Task, TaskKnowledge};
use crate::{Error, Knowledge, Trained};
use seen::Seen;

/// Positions in a batch.
const BATCH: usize = 4096;
/// Scores of items that are made at a time.
const SCORES: usize = 1 << 22;
/// Positions that a mean event is the mean of, at most.
const MEAN: usize = 1 << 16;

/// Where integrated gradients begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BaselineKind {
    /// At the mean of what enters over the events of the log: an event like any other.
    Mean,
    /// At zeros.
    Zero,
}

/// What is explained, and how.
#[derive(Debug, Clone)]
pub struct How {
    /// The task whose answer it is; by default `purchase` where the model has it, then any other task at
    /// moments, then `next-item`, then `next-event`.
    pub task: Option<Task>,
    /// The item or the kind whose probability it is, by name; by default what came, or else what is most
    /// probable.
    pub target: Option<String>,
    /// Where integrated gradients begin.
    pub baseline: BaselineKind,
    /// In how many parts the path is cut; each costs three passes.
    pub steps: usize,
}

/// Who is asked about, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject {
    /// The number of a row: a user, or a session of a model of sessions.
    pub row: usize,
    /// How many of its events are known; at least one.
    pub known: usize,
    /// The moment of the question, milliseconds since 1970; not looked at where the task is asked after an
    /// event.
    pub at: i64,
}

/// What a question is about: the item, the class, and what it is called.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Target {
    /// The item or the kind, as the log calls it.
    pub name: String,
    /// Whether it is what came next, rather than what was asked for or is most probable.
    pub came: bool,
    #[serde(skip)]
    pub(crate) number: u32,
}

/// A model that is asked why, over the rows of a log.
pub struct Explainer<'a, D: Device> {
    model: &'a Model<D>,
    knowledge: &'a Knowledge,
    log: &'a Log,
    rows: &'a Sessions,
    task: Task,
    target: Option<String>,
    /// The answer of the model, where it is not the ranking of items.
    answer: Option<usize>,
    tasks: Option<(&'a TaskKnowledge, Buys, Zone)>,
    steps: usize,
    kind: BaselineKind,
    baseline: Baseline,
    probe: Probe<D::Matrix>,
}

/// One question about what a row has been read as.
pub(crate) struct Put<'s> {
    pub(crate) seen: &'s Seen,
    /// The event after which it is put, counted from the first that is read.
    pub(crate) event: usize,
    /// What is known at the moment.
    pub(crate) moment: &'s [f32],
    /// The item or the class.
    pub(crate) target: u32,
}

impl<'a, D: Device> Explainer<'a, D> {
    /// Prepares a model; `rows` are the users of the log for a model with tasks, or its sessions.
    ///
    /// # Errors
    ///
    /// Where the model does not answer the task, there is no such target, or its input cannot be taken
    /// apart.
    pub fn new(
        trained: &'a Trained<D>,
        log: &'a Log,
        rows: &'a Sessions,
        how: &How,
    ) -> Result<Self, Error> {
        let (model, knowledge) = (&trained.model, &trained.knowledge);
        let task = task_of(knowledge, how.task)?;
        let tasks = match &knowledge.tasks {
            None => None,
            Some(tasks) => Some((tasks, Buys::new(log, &tasks.buys.parse()?), tasks.zone()?)),
        };
        if let (Some(name), true) = (&how.target, task.is_at_moment()) {
            return Err(refuse(
                format!("--target {name}"),
                format!("the task {task} has one answer; leave it out"),
            ));
        }
        let mut explainer = Self {
            model,
            knowledge,
            log,
            rows,
            task,
            target: how.target.clone(),
            answer: model.answers().find(task.column()),
            tasks,
            steps: how.steps.max(1),
            kind: how.baseline,
            baseline: Baseline::default(),
            probe: Probe::new(model),
        };
        if let Some(name) = &how.target
            && explainer.number(name).is_none()
        {
            let reason = match task {
                Task::NextEvent => "the model knows no such kind of event".to_owned(),
                _ => "the model knows no such item".to_owned(),
            };
            return Err(refuse(format!("--target {name}"), reason));
        }
        if how.baseline == BaselineKind::Mean {
            explainer.baseline = explainer.mean_event()?;
        }
        Ok(explainer)
    }

    /// The task whose answers are explained.
    pub fn task(&self) -> Task {
        self.task
    }

    /// In how many parts the path is cut.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// How far the task looks ahead, in milliseconds; none where it is about the next event.
    pub fn horizon(&self) -> Option<i64> {
        let (tasks, ..) = self.tasks.as_ref()?;
        self.task.is_at_moment().then_some(tasks.horizon)
    }

    /// The events of a row by number in the log.
    fn log_events(&self, row: usize) -> &'a [u32] {
        &self.rows.log_events()[self.rows.range(row)]
    }

    /// What the question about a subject is about: none where the task has one answer.
    ///
    /// # Errors
    ///
    /// Where the row holds nothing that the model knows, and where answers are not finite.
    pub(crate) fn target(
        &mut self,
        subject: Subject,
        seen: &Seen,
    ) -> Result<Option<Target>, Error> {
        if self.task.is_at_moment() {
            return Ok(None);
        }
        let target =
            |name: &str, came, number| Ok(Some(Target { name: name.to_owned(), came, number }));
        if let Some(name) = self.target.clone() {
            // It was looked for when the explainer was made.
            let number = self.number(&name).unwrap_or(0);
            return target(&name, false, number);
        }
        if let Some((name, number)) = self.came(subject.row, subject.known) {
            return target(&name, true, number);
        }
        if self.task == Task::NextItem {
            let best = recommend(self.model, self.knowledge, &[seen.sequence()], 1)?;
            let number = best[0].first().map_or(0, |best| best.item);
            return target(self.knowledge.vocabulary.name(number), false, number);
        }
        let kinds = self.kinds();
        let moment = seen.moment.clone();
        let puts = (0..kinds.len() as u32).map(|class| Put {
            seen,
            event: seen.len() - 1,
            moment: &moment,
            target: class,
        });
        let puts: Vec<Put<'_>> = puts.collect();
        let logits = self.logits(&puts)?;
        let order = |&a: &usize, &b: &usize| logits[a].total_cmp(&logits[b]);
        let best = (0..kinds.len()).rev().max_by(order).unwrap_or(0);
        target(&kinds[best], false, best as u32)
    }

    /// The item or kind of an event of a row, where the model knows it.
    fn came(&self, row: usize, event: usize) -> Option<(String, u32)> {
        let &event = self.log_events(row).get(event)?;
        let events = &self.log.events;
        let name = match self.task {
            Task::NextEvent => {
                let &kind =
                    events.kind.get(event as usize).filter(|&&kind| kind != events::NONE)?;
                self.log.kinds.get(kind)
            }
            _ => self.log.items.get(events.item[event as usize]),
        };
        Some((name.to_owned(), self.number(name)?))
    }

    fn number(&self, name: &str) -> Option<u32> {
        match self.task {
            Task::NextEvent => {
                self.kinds().iter().position(|kind| kind == name).map(|place| place as u32)
            }
            _ => self.knowledge.vocabulary.find(name),
        }
    }

    fn kinds(&self) -> &'a [String] {
        self.knowledge.tasks.as_ref().map_or(&[], |tasks| &tasks.kinds)
    }

    /// The logit of each question, a batch at a time.
    pub(crate) fn logits(&mut self, puts: &[Put<'_>]) -> Result<Vec<f64>, Error> {
        let mut found = vec![0.0; puts.len()];
        // Classes of one answer are looked at one after the other.
        let mut order: Vec<usize> = (0..puts.len()).collect();
        order.sort_by_key(|&k| {
            let class = if self.answer.is_some() { puts[k].target } else { 0 };
            (class, std::cmp::Reverse(puts[k].seen.len()))
        });
        let most = (SCORES / self.model.items().max(1)).max(1);
        let mut rest = &order[..];
        while let Some(&first) = rest.first() {
            let (mut positions, mut count) = (0, 0);
            let mut row: Option<&Seen> = None;
            let fits = |&&k: &&usize| {
                // Questions about one row are put to one pass over it.
                let seen = puts[k].seen;
                if row.is_none_or(|row| !std::ptr::eq(row, seen)) {
                    row = Some(seen);
                    positions += seen.len();
                }
                count += 1;
                let same = self.answer.is_none() || puts[k].target == puts[first].target;
                same && (count == 1 || positions <= BATCH && count <= most)
            };
            let (now, later) = rest.split_at(rest.iter().take_while(fits).count());
            rest = later;
            let these: Vec<&Put<'_>> = now.iter().map(|&k| &puts[k]).collect();
            let (batch, items) = self.batch(&these);
            let sought = self.sought(puts[first].target, &items);
            let outputs = self.model.sought_outputs(&batch, &sought, &mut self.probe)?;
            now.iter().zip(outputs).for_each(|(&k, output)| found[k] = output);
        }
        match found.iter().all(|logit| logit.is_finite()) {
            true => Ok(found),
            false => Err(Error::ScoresNotFinite),
        }
    }

    /// A batch of the rows that are asked about, each once where its questions follow each other, and the
    /// questions about items.
    fn batch(&self, puts: &[&Put<'_>]) -> (Batch, Vec<(u32, u32, u32)>) {
        let mut batch = Batch::with_features(self.model.config(), self.model.features());
        let rows: Vec<&[&Put<'_>]> = puts.chunk_by(|a, b| std::ptr::eq(a.seen, b.seen)).collect();
        let sequences: Vec<Sequence<'_>> =
            rows.iter().map(|puts| puts[0].seen.sequence()).collect();
        batch.fill_prefixes(&sequences, Wanted::Every);
        let mut items = Vec::new();
        let puts =
            rows.iter().enumerate().flat_map(|(row, puts)| puts.iter().map(move |put| (row, put)));
        for (session, put) in puts {
            let (session, event) = (session as u32, put.event as u32);
            match self.answer {
                None => items.push((session, event, put.target)),
                Some(answer) => {
                    let question =
                        Question { session, event, moment: put.moment, truth: 0.0, weight: 1.0 };
                    batch.ask(answer, &question);
                }
            }
        }
        (batch, items)
    }

    fn sought<'s>(&self, class: u32, items: &'s [(u32, u32, u32)]) -> Sought<'s> {
        match self.answer {
            None => Sought::Items(items),
            Some(answer) => Sought::Answer { answer, class: class as usize },
        }
    }

    /// What a logit says, in the unit of the task and set right, as `predict` tells it.
    pub(crate) fn tell(&self, logit: f64) -> f64 {
        let probability = 1.0 / (1.0 + (-logit).exp());
        let (Some(k), Some((tasks, ..))) = (self.answer, &self.tasks) else { return probability };
        let answer = match self.task {
            Task::Count | Task::Value => logit.exp(),
            _ => probability,
        };
        tasks.tell(k, MODEL, vec![answer * tasks.scales[k]])[0]
    }

    /// The mean of what enters over rows from all over the log.
    fn mean_event(&mut self) -> Result<Baseline, Error> {
        let mut sum = Baseline::default();
        let mut positions = 0.0;
        for group in self.sample(MEAN) {
            let seen: Vec<Seen> = group.iter().filter_map(|&row| self.read_whole(row)).collect();
            if seen.is_empty() {
                continue;
            }
            let sequences: Vec<Sequence<'_>> = seen.iter().map(Seen::sequence).collect();
            let mut batch = Batch::with_features(self.model.config(), self.model.features());
            batch.fill_prefixes(&sequences, Wanted::Every);
            let own = self.model.mean_input(&batch, &mut self.probe)?;
            let count = batch.ids().len() as f32;
            positions += count;
            let share = count / positions;
            for (mean, own) in [(&mut sum.entering, own.entering), (&mut sum.items, own.items)] {
                mean.resize(own.len(), 0.0);
                mean.iter_mut().zip(own).for_each(|(mean, own)| *mean += share * (own - *mean));
            }
        }
        Ok(sum)
    }

    /// Rows from all over the log, in groups that fit into a batch, of about so many events at most.
    pub(crate) fn sample(&self, positions: usize) -> Vec<Vec<usize>> {
        let every = self.rows.events().div_ceil(positions).max(1);
        let mut groups: Vec<Vec<usize>> = Vec::new();
        let mut room = 0;
        for row in (0..self.rows.len()).step_by(every) {
            let length = self.rows.get(row).len();
            match groups.last_mut() {
                Some(group) if length <= room => group.push(row),
                _ => {
                    groups.push(vec![row]);
                    room = BATCH;
                }
            }
            room = room.saturating_sub(length);
        }
        groups
    }
}

/// The task that is explained.
fn task_of(knowledge: &Knowledge, wanted: Option<Task>) -> Result<Task, Error> {
    let has: &[Task] = match &knowledge.tasks {
        None => &[Task::NextItem],
        Some(tasks) => &tasks.tasks,
    };
    let by_default = [
        Task::Purchase,
        Task::Churn,
        Task::Count,
        Task::Value,
        Task::TimeToNext,
        Task::NextItem,
        Task::NextEvent,
    ];
    let task = wanted.or_else(|| by_default.into_iter().find(|task| has.contains(task)));
    match task {
        Some(task) if has.contains(&task) => Ok(task),
        Some(task) => {
            let names: Vec<&str> = has.iter().map(|task| task.name()).collect();
            Err(refuse(
                format!("--task {task}"),
                format!("the model was trained for {}; name one of these", names.join(", ")),
            ))
        }
        None => Err(refuse("--task".to_owned(), "the model answers nothing".to_owned())),
    }
}

fn refuse(what: String, reason: String) -> Error {
    Error::Tasks { what, reason }
}
