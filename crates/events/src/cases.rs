//! The questions an evaluation asks: after these items, which one comes next?

use std::ops::Range;

use crate::{Features, NONE, Sequences, Targets};

/// One question: the prefix is `items[start..start + length]` of its [`Cases`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case {
    /// Where the prefix begins.
    pub start: usize,
    /// Its length; zero where no item of the prefix is known, which popularity answers.
    pub length: u32,
    /// The item that came next; [`NONE`] where the vocabulary does not know it, which is a miss
    /// and still a case.
    pub target: u32,
    /// The item that came next, in the numbers of its log.
    pub log_target: u32,
    /// The session, or the line of a `pairs` file, it comes from.
    pub session: u32,
}

/// All questions of an evaluation. Prefixes are ranges into one array of known items and are never
/// copied; unknown items are not in it.
///
/// Consecutive cases that begin at the same place make a row: one pass of a model over the row's
/// items answers them all, provided that nothing in the model looks ahead. The cases of a session
/// are one row. A line of a `pairs` file joins the row before it where its prefix is the beginning
/// of that row's items, so that the usual files, which list the prefixes of a session from the
/// longest to the shortest, cost no more than their sessions.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cases {
    items: Vec<u32>,
    /// A row an item.
    features: Features,
    cases: Vec<Case>,
    /// Row `r` has the cases `rows[r]..rows[r + 1]`; one more entry at the end.
    rows: Vec<usize>,
}

/// Questions that share their beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row<'a> {
    /// The longest prefix of the row; may be empty.
    pub items: &'a [u32],
    /// Its cases, with lengths in no particular order.
    pub cases: &'a [Case],
}

impl Cases {
    /// Every position that the sequences ask for, in their order.
    pub fn new(sequences: &Sequences) -> Self {
        let mut cases = Self { features: sequences.features.select([]), ..Self::default() };
        for session in 0..sequences.len() {
            let range = sequences.range(session);
            if range.len() < 2 {
                continue;
            }
            match sequences.targets {
                Targets::All => cases.push_session(sequences, session),
                Targets::Last => cases.push_last(sequences, session),
            }
        }
        cases.rows.push(cases.cases.len());
        cases
    }

    /// Those positions of each sequence alone that follow some of its events, given by place.
    pub fn after(sequences: &Sequences, events: &[Range<u32>]) -> Self {
        let mut cases = Self { features: sequences.features.select([]), ..Self::default() };
        for (session, asked) in events.iter().enumerate() {
            if !asked.is_empty() {
                let asked = asked.start as usize + 1..asked.end as usize + 1;
                cases.push_positions(sequences, session, asked);
            }
        }
        cases.rows.push(cases.cases.len());
        cases
    }

    fn push_session(&mut self, sequences: &Sequences, session: usize) {
        self.push_positions(sequences, session, 1..sequences.range(session).len());
    }

    /// A row of the cases at some positions of a session.
    fn push_positions(&mut self, sequences: &Sequences, session: usize, asked: Range<usize>) {
        let first = sequences.range(session).start;
        let start = self.items.len();
        self.rows.push(self.cases.len());
        for at in 1..asked.end {
            self.push_known(sequences, first + at - 1);
            if asked.contains(&at) {
                let length = (self.items.len() - start) as u32;
                self.push_case(sequences, session, first + at, start, length);
            }
        }
    }

    fn push_last(&mut self, sequences: &Sequences, session: usize) {
        let range = sequences.range(session);
        let at = range.end - 1;
        let before = self.items.len();
        for place in range.start..at {
            self.push_known(sequences, place);
        }
        let length = self.items.len() - before;
        let start = match self.cases.last() {
            // The row's items begin where its last case does, and end where this prefix begins.
            Some(case) if self.items[case.start..before].starts_with(&self.items[before..]) => {
                self.items.truncate(before);
                self.features.truncate(before);
                case.start
            }
            _ => {
                self.rows.push(self.cases.len());
                before
            }
        };
        self.push_case(sequences, session, at, start, length as u32);
    }

    fn push_known(&mut self, from: &Sequences, place: usize) {
        if from.items[place] != NONE {
            self.items.push(from.items[place]);
            self.features.push(&from.features, place);
        }
    }

    fn push_case(
        &mut self,
        from: &Sequences,
        session: usize,
        at: usize,
        start: usize,
        length: u32,
    ) {
        // An item that stands for others is none that could have come next.
        let target = if Some(from.items[at]) == from.other { NONE } else { from.items[at] };
        let log_target = from.log_items[at];
        self.cases.push(Case { start, length, target, log_target, session: session as u32 });
    }

    /// Number of cases.
    pub fn len(&self) -> usize {
        self.cases.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.cases.is_empty()
    }

    /// All cases.
    pub fn as_slice(&self) -> &[Case] {
        &self.cases
    }

    /// The known items before the target of a case.
    pub fn prefix(&self, case: &Case) -> &[u32] {
        &self.items[case.start..case.start + case.length as usize]
    }

    /// What is known beside the items of a prefix but its first `skipped`, row after row: words, and
    /// scaled numbers.
    pub fn features(&self, case: &Case, skipped: usize) -> (&[u32], &[f32]) {
        self.features.rows(case.start + skipped..case.start + case.length as usize)
    }

    /// What is known of all items of all prefixes.
    pub fn all_features(&self) -> &Features {
        &self.features
    }

    /// Number of rows.
    pub fn row_count(&self) -> usize {
        self.rows.len().saturating_sub(1)
    }

    /// One row. Rows follow each other as their cases do.
    pub fn row(&self, row: usize) -> Row<'_> {
        let cases = &self.cases[self.rows[row]..self.rows[row + 1]];
        let longest = cases.iter().max_by_key(|case| case.length);
        Row { items: longest.map_or(&[], |case| self.prefix(case)), cases }
    }

    /// All rows.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = Row<'_>> + '_ {
        (0..self.row_count()).map(|row| self.row(row))
    }

    /// Cases whose target the vocabulary does not know.
    pub fn unknown_targets(&self) -> usize {
        self.cases.iter().filter(|case| case.target == NONE).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequences(sessions: &[&[u32]], targets: Targets) -> Sequences {
        let mut offsets = vec![0];
        for session in sessions {
            offsets.push(offsets[offsets.len() - 1] + session.len());
        }
        let log_items: Vec<u32> = (100..100 + offsets[sessions.len()] as u32).collect();
        // A position is told by its place.
        let numbers = (0..log_items.len()).map(|place| place as f32).collect();
        let features = Features { labels: vec![], numbers, label_width: 0, number_width: 1 };
        let (items, starts) = (sessions.concat(), Vec::new());
        Sequences { items, log_items, offsets, starts, targets, features, other: None }
    }

    fn asked(cases: &Cases) -> Vec<(&[u32], u32)> {
        cases.as_slice().iter().map(|case| (cases.prefix(case), case.target)).collect()
    }

    #[test]
    fn every_position_after_the_first_is_a_case() {
        let cases = Cases::new(&sequences(&[&[5], &[1, 2, 1], &[], &[4, 4]], Targets::All));
        assert_eq!(asked(&cases), [(&[1][..], 2), (&[1, 2], 1), (&[4], 4)]);
        let rows: Vec<_> = cases.rows().map(|row| (row.items, row.cases.len())).collect();
        assert_eq!(rows, [(&[1, 2][..], 2), (&[4], 1)]);
        let known = cases.as_slice().iter().map(|case| cases.features(case, 0).1);
        assert_eq!(known.collect::<Vec<_>>(), [&[1.0][..], &[1.0, 2.0], &[4.0]]);
        let [first, .., last] = cases.as_slice() else { panic!("three cases") };
        assert_eq!((first.log_target, last.log_target), (102, 105));
        assert_eq!((first.session, last.session), (1, 3));
    }

    #[test]
    fn cases_may_follow_some_events_only() {
        let mut all = sequences(&[&[5, 6], &[1, 2, 0, 4], &[7, 8]], Targets::All);
        let cases = Cases::after(&all, &[0..0, 1..3, 0..1]);
        assert_eq!(asked(&cases), [(&[1, 2][..], 0), (&[1, 2, 0], 4), (&[7], 8)]);
        assert_eq!(cases.row_count(), 2);
        // The item that stands for others is known before a target, and a miss as one.
        all.other = Some(0);
        let cases = Cases::after(&all, &[0..0, 1..3, 0..0]);
        assert_eq!(asked(&cases), [(&[1, 2][..], NONE), (&[1, 2, 0], 4)]);
    }

    #[test]
    fn unknown_items_are_skipped_before_a_target_and_missed_as_one() {
        let cases = Cases::new(&sequences(&[&[NONE, 7, NONE, 8]], Targets::All));
        assert_eq!(asked(&cases), [(&[][..], 7), (&[7], NONE), (&[7], 8)]);
        assert_eq!((cases.unknown_targets(), cases.row_count()), (1, 1));
        assert_eq!(cases.features(&cases.as_slice()[1], 0).1, [1.0]);
        assert!(cases.features(&cases.as_slice()[1], 1).1.is_empty());
        assert_eq!(cases.row(0).items, [7]);
    }

    /// Lines of a `pairs` file, as the usual ones stand: the longest prefix first, each followed by
    /// its own beginnings.
    #[test]
    fn pairs_share_a_row_with_their_longest_prefix() {
        let lines: &[&[u32]] = &[&[1, 2, 3, 4], &[1, 2, 3], &[1, 2], &[2, 9], &[NONE, 2, 5]];
        let cases = Cases::new(&sequences(lines, Targets::Last));
        assert_eq!(
            asked(&cases),
            [(&[1, 2, 3][..], 4), (&[1, 2], 3), (&[1], 2), (&[2], 9), (&[2], 5)]
        );
        let rows: Vec<_> = cases.rows().map(|row| (row.items, row.cases.len())).collect();
        assert_eq!(rows, [(&[1, 2, 3][..], 3), (&[2], 2)]);
    }

    #[test]
    fn a_prefix_that_grows_line_by_line_opens_rows() {
        let lines: &[&[u32]] = &[&[1, 2], &[1, 2, 3], &[NONE, 6]];
        let cases = Cases::new(&sequences(lines, Targets::Last));
        assert_eq!(asked(&cases), [(&[1][..], 2), (&[1, 2], 3), (&[], 6)]);
        assert_eq!(cases.row_count(), 2);
    }

    #[test]
    fn no_sessions_ask_nothing() {
        let cases = Cases::new(&sequences(&[], Targets::All));
        assert_eq!((cases.len(), cases.row_count(), cases.rows().count()), (0, 0, 0));
        assert!(Cases::default().is_empty());
    }
}
