//! Which items are the best of each row: the question and the answer.

/// The best k of V scores, for each of N rows.
///
/// ```text
///     s[p, c] = q_p · e_c + column_bias[c] + Σ values        over the entries of p that name c
/// ```
///
/// Higher scores come first, of two equal ones the smaller number. What is not a number counts as
/// −∞, and is named where numbers run out.
#[derive(Debug, Clone, Copy, Default)]
pub struct TopTask<'a> {
    /// k, how many are asked for; where there are fewer items, all of them are the best.
    pub count: usize,
    /// Whether `log Σ_c exp s[p, c]` over all items is wanted too.
    pub log_sums: bool,
    /// Entries of row p are `offsets[p]..offsets[p + 1]`; `[N + 1]`, or empty where there are none
    /// at all. The first need not be zero.
    pub offsets: &'a [u32],
    /// The item of each entry.
    pub items: &'a [u32],
    /// What each entry adds to its score.
    pub values: &'a [f32],
}

impl TopTask<'_> {
    /// The entries of row `p`.
    pub fn entries(&self, p: usize) -> std::ops::Range<usize> {
        match self.offsets {
            [] => 0..0,
            offsets => offsets[p] as usize..offsets[p + 1] as usize,
        }
    }

    /// Lengths and items are checked once, so that a wrong one is named here and not deep in a loop.
    ///
    /// # Panics
    ///
    /// Where they do not go together with `rows` rows and `columns` items.
    pub fn check(&self, rows: usize, columns: usize) {
        if self.offsets.is_empty() {
            return;
        }
        assert_eq!(self.offsets.len(), rows + 1, "entries for each row");
        assert!(self.offsets.is_sorted(), "entries of a row end after they begin");
        let entries = self.offsets[0] as usize..self.offsets[rows] as usize;
        assert!(entries.end <= self.values.len(), "a value for each entry");
        assert!(entries.end <= self.items.len(), "an item for each entry");
        let inside = self.items[entries].iter().all(|&item| (item as usize) < columns);
        assert!(inside, "entries are items");
    }
}

/// The answer to a [`TopTask`], in the memory of the host, which is used again.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TopItems {
    /// Items in an answer: k, or V where that is less.
    pub width: usize,
    /// Items of each row, best first, `[N, width]`.
    pub items: Vec<u32>,
    /// Their scores; −∞ for what is not a number.
    pub scores: Vec<f32>,
    /// `log Σ exp` of all scores of each row, `[N]`, NaN where one of them is; empty where they were
    /// not asked for.
    pub log_sums: Vec<f64>,
}

impl TopItems {
    /// The items of a row, best first, and their scores.
    pub fn row(&self, row: usize) -> impl Iterator<Item = (u32, f32)> + '_ {
        let range = row * self.width..(row + 1) * self.width;
        self.items[range.clone()].iter().copied().zip(self.scores[range].iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_by_row_and_may_begin_anywhere() {
        let (items, values) = ([7, 7, 2, 0], [0.0; 4]);
        let task =
            TopTask { offsets: &[1, 3, 3], items: &items, values: &values, ..TopTask::default() };
        task.check(2, 8);
        assert_eq!((task.entries(0), task.entries(1)), (1..3, 3..3));
        assert_eq!(TopTask::default().entries(5), 0..0);
    }

    #[test]
    #[should_panic(expected = "entries are items")]
    fn an_entry_of_no_item_is_refused() {
        TopTask { offsets: &[0, 1], items: &[3], values: &[1.0], ..TopTask::default() }.check(1, 3);
    }

    #[test]
    fn rows_are_read_in_order() {
        let (items, scores) = (vec![3, 1, 2, 0], vec![0.5, 0.25, 9.0, 8.0]);
        let top = TopItems { width: 2, items, scores, log_sums: vec![] };
        assert_eq!(top.row(1).collect::<Vec<_>>(), [(2, 9.0), (0, 8.0)]);
    }
}
