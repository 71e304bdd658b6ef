//! How a batch of sequences of different lengths lies in memory.

use std::ops::Range;

/// The layout of a batch: time first, longest sequence first, no padding.
///
/// The rows of a batch are sorted by falling length, so that at step `t` the sequences still
/// running are rows `0..active(t)`. The positions of all sequences lie one step after the other:
///
/// ```text
///     lengths 4 2 1              t = 0    1    2  3
///                               ┌───────┬─────┬──┬──┐
///     positions [N, ·]          │ 0 1 2 │ 3 4 │5 │6 │      N = 7, the sum of the lengths
///                               └───────┴─────┴──┴──┘
///     slots [B + N, ·]   0 1 2  │ 3 4 5 │ 6 7 │8 │9 │      slot 0 is the start of each row
/// ```
///
/// A finished sequence costs nothing, and whatever follows the LSTM (readout, softmax) sees one
/// dense matrix `[N, ·]`. Where all lengths are equal this is the usual `[T, B, ·]`.
///
/// States (`h`, `c`) are kept in **slots** `[B + N, ·]`: slot 0 holds the start of every row, slot
/// `t + 1` what step `t` has made of it. Step `t` reads the first `active(t)` rows of slot `t` and
/// writes slot `t + 1`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Steps {
    /// `offsets[t]` is the first position of step `t`; one more entry, N, at the end.
    offsets: Vec<usize>,
    batch: usize,
}

impl Steps {
    /// The layout of rows with these lengths, which must be positive and must not rise.
    ///
    /// # Panics
    ///
    /// Where a length is zero or larger than the one before it.
    pub fn from_lengths(lengths: &[usize]) -> Self {
        let mut steps = Self::default();
        steps.set_lengths(lengths);
        steps
    }

    /// Like [`Steps::from_lengths`], in the memory of an older layout.
    ///
    /// # Panics
    ///
    /// Where a length is zero or larger than the one before it.
    pub fn set_lengths(&mut self, lengths: &[usize]) {
        assert!(lengths.is_sorted_by(|a, b| a >= b), "rows are sorted by falling length");
        assert!(lengths.last().is_none_or(|&length| length > 0), "every row has a position");
        self.batch = lengths.len();
        self.offsets.clear();
        self.offsets.push(0);
        let mut active = lengths.len();
        for t in 0..lengths.first().copied().unwrap_or(0) {
            while lengths[active - 1] <= t {
                active -= 1;
            }
            self.offsets.push(self.offsets[t] + active);
        }
    }

    /// The layout of `batch` rows of the same length.
    pub fn uniform(steps: usize, batch: usize) -> Self {
        Self::from_lengths(&vec![steps; batch])
    }

    /// Number of steps T, the length of the longest row.
    pub fn count(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Number of rows B.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Number of positions N, the sum of the lengths.
    pub fn positions(&self) -> usize {
        self.offsets.last().copied().unwrap_or(0)
    }

    /// How many rows still run at step `t`.
    pub fn active(&self, t: usize) -> usize {
        self.offsets[t + 1] - self.offsets[t]
    }

    /// The positions of step `t`; row `b` is at `start + b`.
    pub fn range(&self, t: usize) -> Range<usize> {
        self.offsets[t]..self.offsets[t + 1]
    }

    /// Rows of a state buffer `[B + N, ·]`.
    pub fn slots(&self) -> usize {
        self.batch + self.positions()
    }

    /// The rows of slot `s` in a state buffer: `s = 0` the start, `s = t + 1` after step `t`.
    pub fn slot(&self, s: usize) -> Range<usize> {
        match s {
            0 => 0..self.batch,
            _ => self.batch + self.offsets[s - 1]..self.batch + self.offsets[s],
        }
    }

    /// The length of row `b`.
    pub fn length(&self, b: usize) -> usize {
        debug_assert!(b < self.batch);
        self.offsets.windows(2).take_while(|step| step[1] - step[0] > b).count()
    }

    /// The position of row `b` at step `t`.
    pub fn position(&self, t: usize, b: usize) -> usize {
        debug_assert!(b < self.active(t));
        self.offsets[t] + b
    }

    /// The positions of row `b`, first step first.
    pub fn row(&self, b: usize) -> impl Iterator<Item = usize> + '_ {
        (0..self.count()).take_while(move |&t| b < self.active(t)).map(move |t| self.offsets[t] + b)
    }

    /// Where each position stands when its row is read from its own end: r(p) is as far from the end
    /// of its row as p is from the start. r is its own inverse; `reversed` is replaced, `[N]`.
    ///
    /// ```text
    ///     lengths 4 2 1      p     0 1 2   3 4   5   6
    ///                        r(p)  6 4 2   5 1   3   0
    /// ```
    pub fn reversed(&self, reversed: &mut Vec<u32>) {
        reversed.clear();
        reversed.resize(self.positions(), 0);
        let mut length = self.count();
        for b in 0..self.batch {
            while self.active(length - 1) <= b {
                length -= 1;
            }
            for t in 0..length {
                reversed[self.offsets[t] + b] = (self.offsets[length - 1 - t] + b) as u32;
            }
        }
    }

    /// Positions of the first `rows` rows.
    fn positions_of_first(&self, rows: usize) -> usize {
        (0..self.count()).map(|t| self.active(t).min(rows)).sum()
    }

    /// Where share number `k` begins when the rows are cut into `shares` of about the same number of
    /// positions each; share number `shares` begins at B.
    pub fn share(&self, k: usize, shares: usize) -> usize {
        let (mut low, mut high) = (0, self.batch);
        while low < high {
            let middle = (low + high) / 2;
            if self.positions_of_first(middle) * shares < self.positions() * k {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// The last position of row `b`: where the picture of the whole sequence stands.
    pub fn last(&self, b: usize) -> usize {
        self.position(self.length(b) - 1, b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_in_the_documentation() {
        let steps = Steps::from_lengths(&[4, 2, 1]);
        assert_eq!((steps.count(), steps.batch(), steps.positions()), (4, 3, 7));
        assert_eq!((0..4).map(|t| steps.range(t)).collect::<Vec<_>>(), [0..3, 3..5, 5..6, 6..7]);
        assert_eq!(
            (0..5).map(|s| steps.slot(s)).collect::<Vec<_>>(),
            [0..3, 3..6, 6..8, 8..9, 9..10]
        );
        assert_eq!(steps.row(0).collect::<Vec<_>>(), [0, 3, 5, 6]);
        assert_eq!(steps.row(1).collect::<Vec<_>>(), [1, 4]);
        assert_eq!((steps.last(0), steps.last(1), steps.last(2)), (6, 4, 2));
    }

    #[test]
    fn a_row_read_from_its_end() {
        let mut reversed = vec![7; 2];
        Steps::from_lengths(&[4, 2, 1]).reversed(&mut reversed);
        assert_eq!(reversed, [6, 4, 2, 5, 1, 3, 0]);
        Steps::from_lengths(&[]).reversed(&mut reversed);
        assert_eq!(reversed, []);
    }

    #[test]
    fn equal_lengths_are_the_usual_block() {
        let steps = Steps::uniform(3, 2);
        assert_eq!((0..3).map(|t| steps.range(t)).collect::<Vec<_>>(), [0..2, 2..4, 4..6]);
    }

    #[test]
    fn shares_hold_about_the_same_number_of_positions() {
        let share =
            |steps: &Steps, of: usize| (0..=of).map(|k| steps.share(k, of)).collect::<Vec<_>>();
        assert_eq!(share(&Steps::uniform(3, 8), 4), [0, 2, 4, 6, 8]);
        assert_eq!(share(&Steps::from_lengths(&[6, 2, 2, 1, 1]), 2), [0, 1, 5]);
        assert_eq!(share(&Steps::from_lengths(&[2, 1]), 4), [0, 1, 1, 2, 2]);
        assert_eq!(share(&Steps::from_lengths(&[]), 2), [0, 0, 0]);
    }

    #[test]
    fn an_empty_batch_has_no_steps() {
        let steps = Steps::from_lengths(&[]);
        assert_eq!((steps.count(), steps.batch(), steps.positions(), steps.slots()), (0, 0, 0, 0));
    }

    #[test]
    #[should_panic(expected = "falling length")]
    fn rising_lengths_are_refused() {
        Steps::from_lengths(&[2, 3]);
    }
}
