//! A batch of sessions as the engine wants them: longest first, step after step, no padding.

mod questions;

pub use questions::Question;
pub(crate) use questions::Questions;

use std::ops::Range;

use layout::Steps;
use rustc_hash::FxHashMap;

use crate::{BatchError, Features, ModelConfig, Sequence};

/// Which positions of a batch of prefixes are asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// The last of each prefix: what comes next?
    Last,
    /// Every one: each answer is that of the prefix that ends there.
    Every,
}

/// Sessions packed for the engine. Build one, then fill it again and again: it keeps its memory.
///
/// The sessions come in any order; rows are sorted by falling length, sessions of equal length in
/// the order in which they came. *Wanted* positions are those that get a loss or an answer: in
/// training all, otherwise as asked.
///
/// Sessions are items, or [`Sequence`]s where more is known of an event; of a session that comes as items
/// alone every label is 0 and every number 0.
///
/// Items that a session already holds have *repeat entries* at each wanted position: one per
/// distinct item of the session so far, with the number of steps since it occurred last.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    repeat_lags: usize,
    /// How many labels and numbers an event has.
    widths: [usize; 2],
    steps: Steps,
    sessions: Vec<u32>,
    ids: Vec<u32>,
    targets: Vec<u32>,
    labels: Vec<u32>,
    numbers: Vec<f32>,
    weights: Vec<f32>,
    wanted: Vec<u32>,
    origins: Vec<(u32, u32)>,
    repeat_offsets: Vec<u32>,
    repeat_items: Vec<u32>,
    repeat_lag: Vec<u8>,
    largest: Option<u32>,
    /// A session with labels or numbers that do not go with its events, and how many these are.
    misfit: Option<[usize; 2]>,
    goes_on: bool,
    keeps_states: bool,
    lengths: Vec<usize>,
    /// The event at step 0.
    first: usize,
    /// Row of each given session; past the end where it has none.
    row_of: Vec<u32>,
    /// What is asked beside the next item, by answer.
    questions: Vec<Questions>,
    next: Vec<u32>,
    starts: Vec<usize>,
    seen: FxHashMap<u32, u32>,
}

impl Batch {
    /// An empty batch for models of this configuration that see items alone.
    pub fn new(config: &ModelConfig) -> Self {
        Self { repeat_lags: config.repeat_lags, ..Self::default() }
    }

    /// An empty batch for models of this configuration that see these features of an event.
    pub fn with_features(config: &ModelConfig, features: &Features) -> Self {
        Self { widths: features.widths(), ..Self::new(config) }
    }

    /// Fills the batch for training: every item but the first is the target of what stands before
    /// it. `weights` has what a position of each session counts; empty means 1 everywhere. Sessions
    /// of fewer than two items have nothing to predict and are left out.
    ///
    /// # Panics
    ///
    /// Where `weights` is neither empty nor as long as `sessions`.
    pub fn fill_training<'a>(
        &mut self,
        sessions: &[impl Copy + Into<Sequence<'a>>],
        weights: &[f32],
    ) {
        self.fill_window(sessions, weights, 0..usize::MAX);
    }

    /// The same for a window of the positions of each session, counted from its first item. Sessions
    /// with no target in the window are left out; those that are left stand in the rows in which they
    /// stood in the window before.
    ///
    /// ```text
    ///     a b c d e f g h     window 0..3: a b c to learn b c d     3..6: d e f for e f g     6..9: g for h
    ///     i j k l m                        i j k          j k l           l     for m
    /// ```
    ///
    /// A window that does not begin a session goes on from where the one before has ended
    /// ([`Batch::go_on`]), and one that does not end all of them keeps its states
    /// ([`Batch::keep_states`]): run one after the other, in one workspace, the windows see what a
    /// pass over whole sessions sees. Repeat entries reach back over all that a session holds.
    ///
    /// # Panics
    ///
    /// Where `weights` is neither empty nor as long as `sessions`.
    pub fn fill_window<'a>(
        &mut self,
        sessions: &[impl Copy + Into<Sequence<'a>>],
        weights: &[f32],
        window: Range<usize>,
    ) {
        assert!(weights.is_empty() || weights.len() == sessions.len(), "one weight a session");
        self.arrange(sessions, 1, window.clone());
        self.place(sessions, window.start, true);
        self.goes_on = window.start > 0;
        self.keeps_states =
            sessions.iter().any(|&session| session.into().len().saturating_sub(1) > window.end);
        self.weights.clear();
        self.weights.extend(
            self.origins
                .iter()
                .map(|&(session, _)| weights.get(session as usize).copied().unwrap_or(1.0)),
        );
        self.wanted.clear();
        self.wanted.extend(0..self.ids.len() as u32);
        self.find_repeats(sessions, window.start);
    }

    /// Fills the batch for training where the last event of a session has to be seen too: every event is
    /// a position, whose next item is its target. `counts` says what that of an event of a session counts;
    /// what comes after the last event is not known and counts 0. Questions follow by [`Batch::ask`].
    pub fn fill_events<'a>(
        &mut self,
        sessions: &[impl Copy + Into<Sequence<'a>>],
        counts: impl Fn(u32, u32) -> f32,
    ) {
        self.arrange(sessions, 0, 0..usize::MAX);
        self.place(sessions, 0, true);
        (self.goes_on, self.keeps_states) = (false, false);
        self.weights.clear();
        self.weights.extend(self.origins.iter().map(|&(session, event)| {
            let is_last = event as usize + 1 == sessions[session as usize].into().len();
            if is_last { 0.0 } else { counts(session, event) }
        }));
        self.wanted.clear();
        self.wanted.extend(0..self.ids.len() as u32);
        self.find_repeats(sessions, 0);
    }

    /// Lets row b start from row b of the workspace's states instead of the model's own start, until
    /// the batch is filled again: what it holds comes after what has led to those states. Nothing goes
    /// back through them. What a session held before them is not known to the repeat entries of a batch
    /// of prefixes.
    pub fn go_on(&mut self) {
        self.goes_on = true;
    }

    /// Lets a pass leave the states after the last position of each row in its workspace, row b for
    /// session `sessions()[b]`, until the batch is filled again.
    pub fn keep_states(&mut self) {
        self.keeps_states = true;
    }

    /// Whether rows start from the workspace's states.
    pub fn goes_on(&self) -> bool {
        self.goes_on
    }

    /// Whether a pass leaves the states after the last positions.
    pub fn keeps_states(&self) -> bool {
        self.keeps_states
    }

    /// Fills the batch for answers. Empty prefixes are left out: nothing is known about them.
    pub fn fill_prefixes<'a>(
        &mut self,
        prefixes: &[impl Copy + Into<Sequence<'a>>],
        wanted: Wanted,
    ) {
        self.arrange(prefixes, 0, 0..usize::MAX);
        self.place(prefixes, 0, false);
        (self.goes_on, self.keeps_states) = (false, false);
        self.weights.clear();
        self.wanted.clear();
        match wanted {
            Wanted::Every => self.wanted.extend(0..self.ids.len() as u32),
            Wanted::Last => {
                let last = self.lengths.iter().enumerate();
                let steps = &self.steps;
                self.wanted.extend(last.map(|(b, &length)| steps.position(length - 1, b) as u32));
                let origins = self.sessions.iter().zip(&self.lengths);
                self.origins.clear();
                self.origins
                    .extend(origins.map(|(&session, &length)| (session, length as u32 - 1)));
            }
        }
        self.find_repeats(prefixes, 0);
    }

    /// Sorts the sessions by falling number of positions, which is their length less `targets`, and
    /// takes those in the window.
    fn arrange<'a>(
        &mut self,
        sessions: &[impl Copy + Into<Sequence<'a>>],
        targets: usize,
        window: Range<usize>,
    ) {
        self.sessions.clear();
        let first = targets + window.start;
        let length = |session: u32| sessions[session as usize].into().len();
        self.sessions.extend((0..sessions.len() as u32).filter(|&session| length(session) > first));
        self.sessions.sort_by_key(|&session| std::cmp::Reverse(length(session)));
        self.lengths.clear();
        let left = |&session: &u32| length(session) - first;
        self.lengths.extend(self.sessions.iter().map(left).map(|left| left.min(window.len())));
        self.steps.set_lengths(&self.lengths);
        self.first = window.start;
        self.row_of.clear();
        self.row_of.resize(sessions.len(), u32::MAX);
        for (row, &session) in self.sessions.iter().enumerate() {
            self.row_of[session as usize] = row as u32;
        }
        self.questions.iter_mut().for_each(Questions::clear);
    }

    /// Lays out items, targets and features position after position, `first` being that of step 0.
    fn place<'a>(
        &mut self,
        sessions: &[impl Copy + Into<Sequence<'a>>],
        first: usize,
        with_targets: bool,
    ) {
        self.ids.clear();
        self.targets.clear();
        self.origins.clear();
        for t in 0..self.steps.count() {
            for &session in &self.sessions[..self.steps.active(t)] {
                let items = &sessions[session as usize].into().items[first + t..];
                self.ids.push(items[0]);
                if with_targets {
                    // After the last event there is none that counts.
                    self.targets.push(items.get(1).copied().unwrap_or(items[0]));
                }
                self.origins.push((session, (first + t) as u32));
            }
        }
        self.largest = self.ids.iter().chain(&self.targets).copied().max();
        self.place_features(sessions);
    }

    /// Lays out labels and numbers of the events that stand at the positions; 0 where none is known.
    fn place_features<'a>(&mut self, sessions: &[impl Copy + Into<Sequence<'a>>]) {
        let ([labels, numbers], positions) = (self.widths, self.ids.len());
        self.labels.clear();
        self.labels.resize(labels * positions, 0);
        self.numbers.clear();
        self.numbers.resize(numbers * positions, 0.0);
        let mut all = sessions.iter().map(|&session| session.into());
        let misfit = all.position(|session| !session.fits(self.widths));
        self.misfit = misfit.map(|session| [session, sessions[session].into().len()]);
        if self.misfit.is_some() || self.widths == [0, 0] {
            return;
        }
        for (p, &(session, event)) in self.origins.iter().enumerate() {
            let (session, event) = (sessions[session as usize].into(), event as usize);
            if !session.labels.is_empty() {
                let known = &session.labels[event * labels..][..labels];
                known.iter().enumerate().for_each(|(k, &l)| self.labels[k * positions + p] = l);
            }
            if !session.numbers.is_empty() {
                let known = &session.numbers[event * numbers..][..numbers];
                self.numbers[p * numbers..][..numbers].copy_from_slice(known);
            }
        }
    }

    /// Refuses a batch that does not hold these features of every event.
    pub(crate) fn check_features(&self, features: &Features) -> Result<(), BatchError> {
        let (found, expected) = (self.widths, features.widths());
        if found != expected {
            return Err(BatchError::Features { found, expected });
        }
        if let Some([session, events]) = self.misfit {
            return Err(BatchError::Sequence { session, events });
        }
        for (feature, labels) in features.labels.iter().enumerate() {
            match self.labels(feature).iter().copied().max() {
                Some(label) if label as usize >= labels.size => {
                    return Err(BatchError::Label { feature, label, size: labels.size });
                }
                _ => (),
            }
        }
        match self.numbers.iter().position(|number| !number.is_finite()) {
            Some(place) => Err(BatchError::Number { feature: place % self.widths[1] }),
            None => Ok(()),
        }
    }

    /// Lists the distinct items of the session so far for each wanted position, latest first; `first` is
    /// the position of step 0.
    fn find_repeats<'a>(&mut self, sessions: &[impl Copy + Into<Sequence<'a>>], first: usize) {
        self.repeat_offsets.clear();
        self.repeat_items.clear();
        self.repeat_lag.clear();
        if self.repeat_lags == 0 {
            return;
        }
        // `next[starts[s] + j]` is the step at which the item of session s, step j occurs again.
        self.next.clear();
        self.starts.clear();
        self.starts.resize(sessions.len(), 0);
        for (&session, &length) in self.sessions.iter().zip(&self.lengths) {
            let items = &sessions[session as usize].into().items[..first + length];
            let offset = self.next.len();
            self.starts[session as usize] = offset;
            self.next.resize(offset + items.len(), u32::MAX);
            self.seen.clear();
            for (t, &item) in items.iter().enumerate() {
                if let Some(before) = self.seen.insert(item, t as u32) {
                    self.next[offset + before as usize] = t as u32;
                }
            }
        }
        let last_lag = self.repeat_lags - 1;
        self.repeat_offsets.push(0);
        for &(session, t) in &self.origins {
            let items = &sessions[session as usize].into().items[..=t as usize];
            let next = &self.next[self.starts[session as usize]..][..items.len()];
            for (lag, (&item, &next)) in items.iter().zip(next).rev().enumerate() {
                if next > t {
                    self.repeat_items.push(item);
                    self.repeat_lag.push(lag.min(last_lag) as u8);
                }
            }
            self.repeat_offsets.push(self.repeat_items.len() as u32);
        }
    }

    /// How the rows lie in memory.
    pub fn steps(&self) -> &Steps {
        &self.steps
    }

    /// Which of the given sessions stands in each row, `[B]`.
    pub fn sessions(&self) -> &[u32] {
        &self.sessions
    }

    /// The item at each position, `[N]`.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Label number `k` of the event at each position, `[N]`.
    ///
    /// # Panics
    ///
    /// Where an event has no such label.
    pub fn labels(&self, k: usize) -> &[u32] {
        let [labels, _] = self.widths;
        assert!(k < labels, "label {k} of {labels}");
        &self.labels[k * self.ids.len()..][..self.ids.len()]
    }

    /// The numbers of the event at each position, `[N, F]`.
    pub fn numbers(&self) -> &[f32] {
        &self.numbers
    }

    /// The item after each position, `[N]`; empty where the batch is not for training.
    pub fn targets(&self) -> &[u32] {
        &self.targets
    }

    /// What each position counts, `[N]`; empty where the batch is not for training.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// The positions asked about, `[W]`.
    pub fn wanted(&self) -> &[u32] {
        &self.wanted
    }

    /// Session and step (from 0) of each wanted position, `[W]`.
    pub fn origins(&self) -> &[(u32, u32)] {
        &self.origins
    }

    /// Items that the session holds at wanted position `w`, with their lag (at most R − 1), the
    /// current one first. Empty where the model has no repeat bias.
    pub fn repeats(&self, w: usize) -> impl Iterator<Item = (u32, u8)> + '_ {
        let range = match self.repeat_offsets.get(w..w + 2) {
            Some(offsets) => offsets[0] as usize..offsets[1] as usize,
            None => 0..0,
        };
        self.repeat_items[range.clone()].iter().copied().zip(self.repeat_lag[range].iter().copied())
    }

    /// Where the repeat entries of each wanted position start, `[W + 1]`; empty without repeats.
    pub fn repeat_offsets(&self) -> &[u32] {
        &self.repeat_offsets
    }

    /// The item of each repeat entry.
    pub fn repeat_items(&self) -> &[u32] {
        &self.repeat_items
    }

    /// The lag of each repeat entry, at most R − 1.
    pub fn repeat_lags(&self) -> &[u8] {
        &self.repeat_lag
    }

    /// The largest item index in the batch.
    pub fn largest_item(&self) -> Option<u32> {
        self.largest
    }

    /// Whether there is no position at all.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(lags: usize) -> Batch {
        Batch::new(&ModelConfig { repeat_lags: lags, ..ModelConfig::default() })
    }

    #[test]
    fn training_sorts_rows_and_makes_every_position_a_target() {
        let mut batch = batch(3);
        batch.fill_training(
            &[&[1, 2][..], &[9], &[3, 4, 3, 3, 5], &[6, 7, 8]],
            &[1.0, 2.0, 3.0, 4.0],
        );
        assert_eq!(batch.sessions(), [2, 3, 0]);
        assert_eq!(batch.ids(), [3, 6, 1, 4, 7, 3, 3]);
        assert_eq!(batch.targets(), [4, 7, 2, 3, 8, 3, 5]);
        assert_eq!(batch.weights(), [3.0, 4.0, 1.0, 3.0, 4.0, 3.0, 3.0]);
        assert_eq!(batch.origins()[3..], [(2, 1), (3, 1), (2, 2), (2, 3)]);
        let repeats = |w| batch.repeats(w).collect::<Vec<_>>();
        assert_eq!(repeats(0), [(3, 0)]);
        assert_eq!(repeats(3), [(4, 0), (3, 1)]);
        assert_eq!(repeats(5), [(3, 0), (4, 1)]);
        assert_eq!(repeats(6), [(3, 0), (4, 2)]);
        assert_eq!(batch.largest_item(), Some(8));
    }

    #[test]
    fn a_large_lag_shares_the_last_bias() {
        let mut batch = batch(2);
        batch.fill_prefixes(&[&[5, 6, 7, 8]], Wanted::Last);
        assert_eq!(batch.repeats(0).collect::<Vec<_>>(), [(8, 0), (7, 1), (6, 1), (5, 1)]);
    }

    #[test]
    fn answers_ask_about_the_last_position_of_each_prefix() {
        let mut batch = batch(3);
        batch.fill_prefixes(&[&[1][..], &[], &[2, 3], &[4, 4, 4]], Wanted::Last);
        assert_eq!(batch.sessions(), [3, 2, 0]);
        assert_eq!(batch.ids(), [4, 2, 1, 4, 3, 4]);
        assert_eq!(batch.wanted(), [5, 4, 2]);
        assert_eq!(batch.origins(), [(3, 2), (2, 1), (0, 0)]);
        assert_eq!(batch.repeats(0).collect::<Vec<_>>(), [(4, 0)]);
        assert_eq!(batch.repeats(1).collect::<Vec<_>>(), [(3, 0), (2, 1)]);
    }

    #[test]
    fn every_position_has_the_repeats_of_the_prefix_that_ends_there() {
        let items = [3, 1, 3, 2, 2, 1, 3];
        let mut every = batch(4);
        every.fill_prefixes(&[&items], Wanted::Every);
        for length in 1..=items.len() {
            let mut last = batch(4);
            last.fill_prefixes(&[&items[..length]], Wanted::Last);
            let (every, last) = (every.repeats(length - 1), last.repeats(0));
            assert_eq!(every.collect::<Vec<_>>(), last.collect::<Vec<_>>());
        }
    }

    /// The picture in the documentation.
    #[test]
    fn windows_cut_positions_and_keep_rows() {
        let sessions: [&[u32]; 3] = [&[9, 10, 11, 12, 13], &[4], &[1, 2, 3, 4, 5, 3, 7, 8]];
        let mut batch = batch(5);
        let mut found = Vec::new();
        for first in [0, 3, 6] {
            batch.fill_window(&sessions, &[2.0, 9.0, 1.0], first..first + 3);
            assert_eq!((batch.goes_on(), batch.keeps_states()), (first > 0, first < 6));
            assert_eq!(batch.sessions(), if first < 6 { &[2, 0][..] } else { &[2] });
            let places = batch.origins().iter().zip(batch.ids().iter().zip(batch.targets()));
            for (&(session, t), (&id, &target)) in places {
                assert_eq!([id, target], sessions[session as usize][t as usize..][..2]);
                found.push((session, t));
            }
            assert!(
                batch
                    .weights()
                    .iter()
                    .zip(batch.origins())
                    .all(|(&w, &(session, _))| { w == if session == 0 { 2.0 } else { 1.0 } })
            );
        }
        // Every target once; those of the first session after those of the longest.
        assert_eq!(found.len(), 7 + 4);
        found.sort_unstable();
        found.dedup();
        assert_eq!(found.len(), 7 + 4);
        // In the last window, all that the session holds: 3 was met again two steps before.
        let repeats = batch.repeats(0).collect::<Vec<_>>();
        assert_eq!(repeats, [(7, 0), (3, 1), (5, 2), (4, 3), (2, 4), (1, 4)]);
        batch.fill_training(&sessions, &[]);
        assert_eq!((batch.goes_on(), batch.keeps_states()), (false, false));
    }

    /// Labels and numbers stand at the position of their event: in every filling, and in a window.
    #[test]
    fn features_stand_where_their_event_stands() {
        let labels = |size| crate::Labels { name: format!("of {size}"), size };
        let numbers = vec!["price".to_owned()];
        let features = Features { labels: vec![labels(9), labels(99)], numbers, vectors: 0 };
        let mut batch = Batch::with_features(&ModelConfig::default(), &features);
        let short = Sequence { items: &[1, 2], labels: &[1, 10, 2, 20], numbers: &[0.1, 0.2] };
        let long = Sequence {
            items: &[3, 4, 5, 6],
            labels: &[3, 30, 4, 40, 5, 50, 6, 60],
            numbers: &[0.3, 0.4, 0.5, 0.6],
        };
        let unknown = Sequence::from(&[7, 8, 9]);
        let sessions = [short, unknown, long];
        batch.fill_training(&sessions, &[]);
        assert_eq!(batch.ids(), [3, 7, 1, 4, 8, 5]);
        assert_eq!(batch.labels(0), [3, 0, 1, 4, 0, 5]);
        assert_eq!(batch.labels(1), [30, 0, 10, 40, 0, 50]);
        assert_eq!(batch.numbers(), [0.3, 0.0, 0.1, 0.4, 0.0, 0.5]);
        batch.fill_window(&sessions, &[], 1..3);
        assert_eq!((batch.ids(), batch.labels(0)), (&[4, 8, 5][..], &[4, 0, 5][..]));
        assert_eq!(batch.numbers(), [0.4, 0.0, 0.5]);
        batch.fill_prefixes(&sessions, Wanted::Last);
        assert_eq!(batch.labels(1), [30, 0, 10, 40, 0, 20, 50, 0, 60]);
        assert_eq!(batch.numbers(), [0.3, 0.0, 0.1, 0.4, 0.0, 0.2, 0.5, 0.0, 0.6]);
        batch.fill_prefixes(&[unknown], Wanted::Every);
        assert_eq!((batch.labels(1), batch.numbers()), (&[0; 3][..], &[0.0; 3][..]));
        assert_eq!(batch.check_features(&features), Ok(()));
    }

    #[test]
    fn a_batch_is_filled_again_without_a_trace_of_the_last() {
        let mut used = batch(3);
        used.fill_training(&[&[1, 2, 3][..], &[4, 5]], &[0.5, 0.5]);
        used.fill_prefixes(&[&[7, 7]], Wanted::Last);
        assert_eq!((used.targets(), used.weights()), (&[][..], &[][..]));
        assert_eq!((used.ids(), used.wanted()), (&[7, 7][..], &[1][..]));
        used.fill_prefixes(&[&[]; 0], Wanted::Every);
        assert!(used.is_empty());
        assert_eq!(used.largest_item(), None);
    }
}
