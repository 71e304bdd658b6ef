//! Softmax over many items, its loss and all its gradients, a block of positions at a time.
//! Equations: `layout::SoftmaxTask` and `reference::softmax_loss`.
//!
//! ```text
//!     for each block of positions (few enough that the scores S stay in the caches)
//!         in parallel over rows of the block:     S = q·eᵀ, loss, dS in place of S, dq = dS·e
//!         in parallel over items:                 de += dSᵀ·q
//! ```
//!
//! The scores of a block become their own gradient in place, laid out so that both products read
//! them where they are. Only the shared columns are in the products: a private one is seen by few
//! positions, and for them it is one dot product each way. No two threads add to the same sum.

mod ranking;
mod slopes;

use crate::Cpu;
use crate::linear::shape_result;
use crate::math::add_scaled;
use crate::panel::Source;
use crate::product::block;
use crate::simd::{Kernel, Lanes, Left};
use layout::{Accumulate, Matrix, SoftmaxTask};
use rayon::prelude::*;
use slopes::{Slopes, Terms};
use std::ops::Range;

/// Scores in one block, 4 MiB of them, but a task for each thread at least: with very many columns
/// it is `threads · 32 · C` scores. Where a block ends changes no sum.
const SCORES_PER_BLOCK: usize = 1 << 20;
/// Positions in one task.
const ROWS_PER_TASK: usize = 32;

/// How the scores of the shared columns lie: task after task, each `[panel][row][width of a panel]`.
/// The last panel is padded to its width, the last task to its rows.
#[derive(Debug, Clone, Copy)]
struct ScoreLayout {
    /// Columns in a panel, two registers of them.
    width: usize,
    panels: usize,
}

impl ScoreLayout {
    /// Entries of a panel of one task.
    fn panel(self) -> usize {
        ROWS_PER_TASK * self.width
    }

    /// Entries of one task.
    fn task(self) -> usize {
        self.panels * self.panel()
    }

    /// Where the score of a column lies; rows count from the first of the task or block.
    fn at(self, row: usize, column: usize) -> usize {
        row / ROWS_PER_TASK * self.task()
            + column / self.width * self.panel()
            + row % ROWS_PER_TASK * self.width
            + column % self.width
    }

    /// The scores of a task as left operand, a row a position.
    fn positions(self, scores: &[f32]) -> Left<'_> {
        let (width, hop) = (self.width, self.panel());
        Left { values: scores, row_stride: width, k_stride: 1, run: width, hop }
    }

    /// The columns of one panel as left operand, a row a column, over the positions of a block.
    fn columns(self, scores: &[f32], panel: usize) -> Left<'_> {
        let values = &scores[panel * self.panel()..];
        let (run, hop) = (ROWS_PER_TASK, self.task());
        Left { values, row_stride: 1, k_stride: self.width, run, hop }
    }
}

impl Cpu {
    /// The loss L of a [`SoftmaxTask`] and its gradients.
    ///
    /// | argument | shape | on entry | on return |
    /// |---|---|---|---|
    /// | `q` | `[N, E]` | what each position looks for | untouched |
    /// | `table` | `[C, E]` | one vector a column | untouched |
    /// | `column_bias`, `repeat_bias` | `[C, 1]`, `[1, R]` | by column, by lag | untouched |
    /// | `dq`, `dtable` | as `q`, `table` | anything | gradients |
    /// | `dcolumn_bias` | `[C, 1]` | anything | gradient, where it is wanted |
    /// | `drepeat_bias` | `[1, R]` | gradients so far | added to |
    ///
    /// # Panics
    ///
    /// Where the shapes do not fit or an index lies outside.
    #[allow(clippy::too_many_arguments)]
    pub fn softmax_loss(
        &self,
        q: &Matrix<f32>,
        table: &Matrix<f32>,
        column_bias: &Matrix<f32>,
        repeat_bias: &Matrix<f32>,
        task: &SoftmaxTask<'_>,
        dq: &mut Matrix<f32>,
        dtable: &mut Matrix<f32>,
        mut dcolumn_bias: Option<&mut Matrix<f32>>,
        drepeat_bias: &mut Matrix<f32>,
    ) -> f64 {
        let ([positions, width], [columns, _]) = (q.shape(), table.shape());
        check(task, positions, columns, repeat_bias.columns());
        assert_eq!(drepeat_bias.shape(), repeat_bias.shape(), "drepeat_bias is [1, R]");
        assert!(width > 0 && table.columns() == width, "q is [N, E], table is [C, E]");
        assert_eq!(column_bias.as_slice().len(), columns, "column_bias is [C, 1]");
        shape_result(Accumulate::Replace, dq, positions, width);
        shape_result(Accumulate::Replace, dtable, columns, width);
        let (shared, private) = dtable.as_mut_slice().split_at_mut(task.shared * width);
        private.fill(0.0);
        if let Some(dcolumn_bias) = dcolumn_bias.as_deref_mut() {
            shape_result(Accumulate::Replace, dcolumn_bias, columns, 1);
            dcolumn_bias.fill(0.0);
        }
        if positions == 0 {
            shared.fill(0.0);
            return 0.0;
        }

        let rows = &table.as_slice()[..task.shared * width];
        let (items_of_k, k_of_items) = rayon::join(
            || self.packed(width, task.shared, Source::Transposed(rows)),
            || self.packed(task.shared, width, Source::Plain(rows)),
        );
        let panel_width = 2 * self.path.width();
        let layout = ScoreLayout { width: panel_width, panels: task.shared.div_ceil(panel_width) };
        let mut shared_terms = self.scratch.buffer(2 * layout.panels * panel_width);
        let terms = Terms::new(task, table, column_bias, repeat_bias, &mut shared_terms);

        let rows_per_block = rows_per_block(layout, rayon::current_num_threads());
        // One entry at least a task, so that there are tasks even without shared columns.
        let per_task = layout.task().max(1);
        let tasks = positions.min(rows_per_block).div_ceil(ROWS_PER_TASK);
        let mut scores = self.scratch.buffer(tasks * per_task);
        let mut losses = self.scratch.buffer(positions);
        let mut private_slopes = self.scratch.buffer(positions);
        for first in (0..positions).step_by(rows_per_block) {
            let range = first..positions.min(first + rows_per_block);
            let entries = range.start * width..range.end * width;
            scores
                .par_chunks_mut(per_task)
                .zip(q.as_slice()[entries.clone()].par_chunks(ROWS_PER_TASK * width))
                .zip(dq.as_mut_slice()[entries.clone()].par_chunks_mut(ROWS_PER_TASK * width))
                .zip(losses[range.clone()].par_chunks_mut(ROWS_PER_TASK))
                .zip(private_slopes[range.clone()].par_chunks_mut(ROWS_PER_TASK))
                .enumerate()
                .with_max_len(1)
                .for_each(|(k, ((((scores, q), dq), losses), private_slopes))| {
                    let first = first + k * ROWS_PER_TASK;
                    let items = &items_of_k;
                    self.path.run(Slopes {
                        terms,
                        layout,
                        first,
                        items,
                        q,
                        scores,
                        losses,
                        private_slopes,
                    });
                    let left = layout.positions(scores);
                    block(self.path, left, &k_of_items, Accumulate::Replace, dq);
                    for (row, (dq, &factor)) in
                        dq.chunks_exact_mut(width).zip(&*private_slopes).enumerate()
                    {
                        if let Some(c) = private_target(task, first + row) {
                            self.path.run(AddScaled { factor, x: table.row(c), y: dq });
                        }
                    }
                });

            let slopes = SlopesOfBlock { layout, range, scores: &scores, private: &private_slopes };
            self.add_item_gradients(&slopes, task, q, dtable);
            if let Some(dcolumn_bias) = dcolumn_bias.as_deref_mut() {
                self.add_column_gradients(&slopes, task, dcolumn_bias);
            }
            add_repeat_gradients(&slopes, task, drepeat_bias);
        }
        let weighted = losses.iter().zip(task.weight).map(|(&l, &w)| f64::from(l) * f64::from(w));
        weighted.sum::<f64>() / terms.total
    }

    /// `de_c = Σ_p dS[p, c] · q_p` over a first block of positions, added to for the next.
    fn add_item_gradients(
        &self,
        slopes: &SlopesOfBlock<'_>,
        task: &SoftmaxTask<'_>,
        q: &Matrix<f32>,
        dtable: &mut Matrix<f32>,
    ) {
        let SlopesOfBlock { layout, ref range, scores, private } = *slopes;
        let width = q.columns();
        let rows = &q.as_slice()[range.start * width..range.end * width];
        let panels = self.packed(range.len(), width, Source::Plain(rows));
        let accumulate = if range.start == 0 { Accumulate::Replace } else { Accumulate::Add };
        dtable.as_mut_slice()[..task.shared * width]
            .par_chunks_mut(layout.width * width)
            .enumerate()
            .with_max_len(1)
            .for_each(|(panel, dtable)| {
                block(self.path, layout.columns(scores, panel), &panels, accumulate, dtable);
            });
        for p in range.clone() {
            if let Some(c) = private_target(task, p) {
                let (factor, x) = (private[p], q.row(p));
                self.path.run(AddScaled { factor, x, y: dtable.row_mut(c) });
            }
        }
    }

    /// `dcolumn_bias[c] += Σ_p dS[p, c]`.
    fn add_column_gradients(
        &self,
        slopes: &SlopesOfBlock<'_>,
        task: &SoftmaxTask<'_>,
        dcolumn_bias: &mut Matrix<f32>,
    ) {
        let SlopesOfBlock { layout, ref range, scores, private } = *slopes;
        dcolumn_bias.as_mut_slice()[..task.shared]
            .par_chunks_mut(layout.width)
            .enumerate()
            .for_each(|(panel, sums)| {
                let columns = layout.columns(scores, panel);
                self.path.run(SumsOfPanel { columns, positions: range.len(), sums });
            });
        for p in range.clone() {
            if let Some(c) = private_target(task, p) {
                dcolumn_bias.as_mut_slice()[c] += private[p];
            }
        }
    }

    /// `scores[p, c] = q_p · table_c + column_bias[c]`, for answers; `[N, C]`.
    pub fn scores(
        &self,
        q: &Matrix<f32>,
        table: &Matrix<f32>,
        column_bias: &Matrix<f32>,
        scores: &mut Matrix<f32>,
    ) {
        self.linear_forward(table, q, Accumulate::Replace, scores);
        self.bias_forward(column_bias.as_slice(), scores.as_mut_slice());
    }
}

/// Positions in a block: some for every thread.
fn rows_per_block(layout: ScoreLayout, threads: usize) -> usize {
    let tasks = (SCORES_PER_BLOCK / layout.task().max(1)).max(1);
    tasks.next_multiple_of(threads) * ROWS_PER_TASK
}

/// Lengths and targets are checked once, so that a wrong one is named here and not deep in a loop.
fn check(task: &SoftmaxTask<'_>, positions: usize, columns: usize, lags: usize) {
    assert_eq!(task.target.len(), positions, "a target for each position");
    assert_eq!(task.weight.len(), positions, "a weight for each position");
    assert!(task.shift.is_empty() || task.shift.len() == positions, "a shift for each position");
    assert!(task.shared <= columns, "shared columns exist");
    let shares = task.column_share.len();
    assert!(shares == 0 || shares == task.shared, "a share for each shared column");
    assert!(task.target.iter().all(|&c| (c as usize) < columns), "targets are columns");
    if let Some(&entries) = task.repeat_offsets.last() {
        assert_eq!(task.repeat_offsets.len(), positions + 1, "repeat entries for each position");
        assert_eq!(task.repeat_columns.len(), entries as usize, "a column for each entry");
        assert_eq!(task.repeat_lags.len(), entries as usize, "a lag for each entry");
        for p in 0..positions {
            let target = task.target[p] as usize;
            let seen = repeats(task, p).all(|(c, _)| c < task.shared || c == target);
            assert!(seen, "repeat entries are columns that the position sees");
        }
        assert!(task.repeat_lags.iter().all(|&lag| usize::from(lag) < lags), "lags have a bias");
    }
}

/// The entries of position `p`: columns and lags.
fn repeats<'a>(task: &SoftmaxTask<'a>, p: usize) -> impl Iterator<Item = (usize, usize)> + 'a {
    let range = match task.repeat_offsets {
        [] => 0..0,
        offsets => offsets[p] as usize..offsets[p + 1] as usize,
    };
    let (columns, lags) = (&task.repeat_columns[range.clone()], &task.repeat_lags[range]);
    columns.iter().zip(lags).map(|(&c, &lag)| (c as usize, usize::from(lag)))
}

/// The target of a position where it is a private column.
fn private_target(task: &SoftmaxTask<'_>, position: usize) -> Option<usize> {
    let target = task.target[position] as usize;
    (target >= task.shared).then_some(target)
}

/// dS of some positions.
struct SlopesOfBlock<'a> {
    layout: ScoreLayout,
    /// The positions.
    range: Range<usize>,
    /// Their slopes by the scores of the shared columns.
    scores: &'a [f32],
    /// Slopes by the score of the private target, by position of the whole batch.
    private: &'a [f32],
}

/// `drepeat_bias[lag] += dS[p, c]` over all entries, positions rising.
fn add_repeat_gradients(
    slopes: &SlopesOfBlock<'_>,
    task: &SoftmaxTask<'_>,
    drepeat_bias: &mut Matrix<f32>,
) {
    let SlopesOfBlock { layout, ref range, scores, private } = *slopes;
    for (row, p) in range.clone().enumerate() {
        for (c, lag) in repeats(task, p) {
            let slope = if c < task.shared { scores[layout.at(row, c)] } else { private[p] };
            drepeat_bias.as_mut_slice()[lag] += slope;
        }
    }
}

/// `sums[c] += Σ_p columns[c, p]` for the columns of one panel, positions rising.
struct SumsOfPanel<'a> {
    columns: Left<'a>,
    positions: usize,
    sums: &'a mut [f32],
}

impl Kernel for SumsOfPanel<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { columns, positions, sums } = self;
        for (v, sums) in sums.chunks_mut(L::WIDTH).enumerate() {
            let mut sum = lanes.load_partial(sums);
            for first in (0..positions).step_by(columns.run) {
                let task = columns.from(0, first).values;
                for row in
                    task.chunks_exact(columns.k_stride).take(columns.run.min(positions - first))
                {
                    sum = lanes.add(sum, lanes.load(&row[v * L::WIDTH..]));
                }
            }
            lanes.store_partial(sum, sums);
        }
    }
}

/// `y += factor · x`.
struct AddScaled<'a> {
    factor: f32,
    x: &'a [f32],
    y: &'a mut [f32],
}

impl Kernel for AddScaled<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        add_scaled(lanes, self.factor, self.x, self.y);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the tests of parity and of threads count on.
    #[test]
    fn seven_hundred_positions_over_thousands_of_columns_are_several_blocks() {
        for path in crate::Path::available() {
            let width = 2 * path.width();
            let rows = |columns: usize, threads| {
                rows_per_block(ScoreLayout { width, panels: columns.div_ceil(width) }, threads)
            };
            assert!(rows(2980, 2) < 700 / 2);
            let [one, two, seven] = [1, 2, 7].map(|threads| rows(4900, threads));
            assert!(one < 672 / 2 && two < 672 / 2 && seven < 672, "{one} {two} {seven}");
            assert_ne!(one, seven);
        }
    }
}
