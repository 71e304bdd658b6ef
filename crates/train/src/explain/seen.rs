//! What a model reads of a row before a question.

use events::{Histories, MOMENT, NONE, Sessions};
use model::{Device, Sequence};

use super::{Explainer, Subject};
use crate::evaluate::begin;
use crate::tasks::{Task, scaled};

/// The events of a row that a model reads, laid out for it.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Seen {
    /// Which events of the row they are, counted from its first.
    pub(crate) places: Vec<usize>,
    items: Vec<u32>,
    labels: Vec<u32>,
    numbers: Vec<f32>,
    /// What is known at the moment of the question, as the model sees it.
    pub(crate) moment: Vec<f32>,
}

impl Seen {
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn sequence(&self) -> Sequence<'_> {
        Sequence { items: &self.items, labels: &self.labels, numbers: &self.numbers }
    }
}

impl<D: Device> Explainer<'_, D> {
    /// What the model reads before the question about a subject; none where it knows none of its items.
    pub(crate) fn read(&self, subject: Subject) -> Option<Seen> {
        let one = self.rows.select(&[subject.row]);
        self.read_of(&one, subject.known, subject.at)
    }

    /// All that the model may read of a row.
    pub(crate) fn read_whole(&self, row: usize) -> Option<Seen> {
        let known = self.rows.get(row).len();
        let one = self.rows.select(&[row]);
        self.lay_out(&one, known)
    }

    /// The same as if one of the events had not happened.
    pub(crate) fn read_without(&self, subject: Subject, event: usize) -> Option<Seen> {
        let one = self.rows.select(&[subject.row]);
        let log_event = one.log_events()[event];
        let one = one.without(&[log_event]);
        // A row that has lost its last event is no row.
        (one.len() == 1).then(|| self.read_of(&one, subject.known - 1, subject.at)).flatten()
    }

    /// `one` holds a single row.
    fn read_of(&self, one: &Sessions, known: usize, at: i64) -> Option<Seen> {
        let mut seen = self.lay_out(one, known)?;
        seen.moment = self.moment(one, known, at);
        Some(seen)
    }

    fn lay_out(&self, one: &Sessions, known: usize) -> Option<Seen> {
        let sequences = self.knowledge.vocabulary.encode(one, &self.log.items);
        let features = self.knowledge.treatment.encode(self.log, one);
        let is_known = |&place: &usize| sequences.items[place] != NONE;
        let mut places: Vec<usize> = (0..known).filter(is_known).collect();
        if places.is_empty() {
            return None;
        }
        places.drain(..begin(places.len(), self.knowledge.window()));
        let features = features.select(places.iter().copied());
        Some(Seen {
            items: places.iter().map(|&place| sequences.items[place]).collect(),
            places,
            labels: features.labels,
            numbers: features.numbers,
            moment: Vec::new(),
        })
    }

    /// What is known at the moment of a question, as the model sees it.
    fn moment(&self, one: &Sessions, known: usize, at: i64) -> Vec<f32> {
        let (Some((tasks, buys, zone)), Some(_)) = (&self.tasks, self.answer) else {
            return Vec::new();
        };
        let histories = Histories::new(self.log, one, buys.clone());
        match self.task {
            Task::NextEvent => {
                let known = histories.after_events(0, known).pop();
                known.map_or(Vec::new(), |known| scaled(&known, &tasks.event_scaling).collect())
            }
            _ => {
                let known = histories.moment(0, at, tasks.horizon, zone);
                scaled(&known, &tasks.scaling).collect()
            }
        }
    }

    /// The moments right after each of the events that are read.
    pub(crate) fn moments(&self, subject: Subject, seen: &Seen) -> Vec<Vec<f32>> {
        if self.answer.is_none() {
            return vec![Vec::new(); seen.len()];
        }
        let one = self.rows.select(&[subject.row]);
        let moment = |&place: &usize| {
            // Later events of the same second are not known yet.
            let time = self.log.time(one.log_events()[place]).unwrap_or(0);
            let mut later = one.log_events()[place + 1..].to_vec();
            later.sort_unstable();
            self.moment(&one.without(&later), place + 1, time.saturating_add(1))
        };
        seen.places.iter().map(moment).collect()
    }

    /// What the numbers of a moment are called.
    pub(crate) fn moment_names(&self) -> &'static [&'static str] {
        match (self.answer, self.task) {
            (None, _) => &[],
            (_, Task::NextEvent) => &events::AFTER_EVENT,
            _ => &MOMENT,
        }
    }
}
