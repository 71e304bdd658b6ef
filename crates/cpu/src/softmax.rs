//! Softmax over many items, its loss and all its gradients, a block of positions at a time.
//! Equations: `layout::SoftmaxTask` and `reference::softmax_loss`.
//!
//! ```text
//!     for each block of positions (as many as keep the scores S in the last cache)
//!         in parallel over rows of the block:     S = q·eᵀ, loss, dS in place of S, dq = dS·e
//!         in parallel over items:                 de += dSᵀ·q
//! ```
//!
//! The scores of a block become their own gradient in place, and both products read them there.
//! Never more of them exist than one block. No two threads add to the same sum.

use crate::Cpu;
use crate::linear::shape_result;
use crate::math::exp;
use crate::panel::Source;
use crate::product::{Rows, block, product};
use crate::simd::{Kernel, Lanes};
use layout::{Accumulate, Matrix, SoftmaxTask};
use rayon::prelude::*;

/// Scores in one block, 16 MiB of them, before its positions are rounded up to whole tasks.
const SCORES_PER_BLOCK: usize = 1 << 22;
/// Positions in one task.
const ROWS_PER_TASK: usize = 48;

impl Cpu {
    /// The loss L of a [`SoftmaxTask`] and its gradients. q `[N, E]`, table `[C, E]`, column_bias
    /// `[C, 1]`, repeat_bias `[1, R]`; `dq`, `dtable` and, where it is wanted,
    /// `dcolumn_bias` are replaced, `drepeat_bias` is added to.
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
        check(task, positions, columns);
        assert_eq!(table.columns(), width, "table is [C, E]");
        assert_eq!(column_bias.as_slice().len(), columns, "column_bias is [C, 1]");
        shape_result(Accumulate::Replace, dq, positions, width);
        shape_result(Accumulate::Replace, dtable, columns, width);
        if let Some(dcolumn_bias) = dcolumn_bias.as_deref_mut() {
            shape_result(Accumulate::Replace, dcolumn_bias, columns, 1);
            dcolumn_bias.fill(0.0);
        }
        if positions == 0 {
            dtable.fill(0.0);
            return 0.0;
        }
        let total: f64 = task.weight.iter().map(|&w| f64::from(w)).sum();

        let mut items_of_k = self.scratch.panels();
        items_of_k.pack(self.path, width, columns, Source::Transposed(table.as_slice()));
        let mut k_of_items = self.scratch.panels();
        k_of_items.pack(self.path, columns, width, Source::Plain(table.as_slice()));

        let rows_per_block =
            (SCORES_PER_BLOCK / columns.max(1)).max(1).next_multiple_of(ROWS_PER_TASK);
        let mut scores = self.scratch.buffer(rows_per_block.min(positions) * columns);
        let mut losses = self.scratch.buffer(positions);
        for first in (0..positions).step_by(rows_per_block) {
            let rows = rows_per_block.min(positions - first);
            let scores = &mut scores[..rows * columns];
            let q = &q.as_slice()[first * width..(first + rows) * width];
            scores
                .par_chunks_mut(ROWS_PER_TASK * columns)
                .zip(q.par_chunks(ROWS_PER_TASK * width))
                .zip(dq.as_mut_slice()[first * width..].par_chunks_mut(ROWS_PER_TASK * width))
                .zip(losses[first..first + rows].par_chunks_mut(ROWS_PER_TASK))
                .enumerate()
                .for_each(|(k, (((scores, q), dq), losses))| {
                    let first = first + k * ROWS_PER_TASK;
                    block(self.path, Rows::Plain(q), &items_of_k, Accumulate::Replace, scores);
                    let inputs = Inputs { task, total, column_bias, repeat_bias };
                    self.path.run(Slopes { inputs, first, columns, scores, losses });
                    let dq = &mut dq[..q.len()];
                    block(self.path, Rows::Plain(scores), &k_of_items, Accumulate::Replace, dq);
                });
            let accumulate = if first == 0 { Accumulate::Replace } else { Accumulate::Add };
            self.item_gradients(scores, q, columns, accumulate, dtable);
            if let Some(dcolumn_bias) = dcolumn_bias.as_deref_mut() {
                self.bias_backward(scores, dcolumn_bias);
            }
            add_repeat_gradients(task, first..first + rows, scores, columns, drepeat_bias);
        }
        let weighted = losses.iter().zip(task.weight).map(|(&l, &w)| f64::from(l) * f64::from(w));
        weighted.sum::<f64>() / total
    }

    /// `dtable = dSᵀ·q` for a first block of positions, added to for the next.
    fn item_gradients(
        &self,
        ds: &[f32],
        q: &[f32],
        columns: usize,
        accumulate: Accumulate,
        dtable: &mut Matrix<f32>,
    ) {
        let width = dtable.columns();
        let mut panels = self.scratch.panels();
        panels.pack(self.path, q.len() / width, width, Source::Plain(q));
        let left = Rows::Transposed { values: ds, stride: columns };
        product(self.path, left, &panels, accumulate, dtable.as_mut_slice());
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
        self.bias_forward(column_bias, scores);
    }
}

/// Lengths and targets are checked once, so that a wrong one is named here and not deep in a loop.
fn check(task: &SoftmaxTask<'_>, positions: usize, columns: usize) {
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

/// `drepeat_bias[lag] += dS[p, c]` over all entries, positions rising.
fn add_repeat_gradients(
    task: &SoftmaxTask<'_>,
    positions: std::ops::Range<usize>,
    ds: &[f32],
    columns: usize,
    drepeat_bias: &mut Matrix<f32>,
) {
    for (row, p) in positions.enumerate() {
        for (c, lag) in repeats(task, p) {
            drepeat_bias.as_mut_slice()[lag] += ds[row * columns + c];
        }
    }
}

#[derive(Clone, Copy)]
struct Inputs<'a> {
    task: &'a SoftmaxTask<'a>,
    total: f64,
    column_bias: &'a Matrix<f32>,
    repeat_bias: &'a Matrix<f32>,
}

/// Scores of some positions become the gradient of the loss by them.
///
/// ```text
///     S[p, c] = q_p · e_c + biases                  on entry: q_p · e_c
///     p[p, c] = exp(S[p, c] − top) / Σ_c' exp(…)    over the candidates of p
///     dS      = weight_p / Σ weight · (p − t)       on return; 0 where c is no candidate
/// ```
struct Slopes<'a> {
    inputs: Inputs<'a>,
    first: usize,
    columns: usize,
    scores: &'a mut [f32],
    losses: &'a mut [f32],
}

impl Kernel for Slopes<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { inputs, first, columns, scores, losses } = self;
        let Inputs { task, total, column_bias, repeat_bias } = inputs;
        let (shared, smoothing) = (task.shared, task.smoothing);
        let bias = &column_bias.as_slice()[..shared];
        let even = 1.0 / shared.max(1) as f32;
        for (row, (scores, loss)) in scores.chunks_exact_mut(columns).zip(losses).enumerate() {
            let p = first + row;
            let target = task.target[p] as usize;
            let private = target >= shared;

            // What is sparse comes first, so that the long loops below are plain.
            for (c, lag) in repeats(task, p) {
                scores[c] += repeat_bias.as_slice()[lag];
            }
            if let Some(shift) = task.shift.get(p) {
                scores[target] += shift;
            }
            if private {
                scores[target] += column_bias.as_slice()[target];
            }
            let own = scores[target];
            scores[shared..].fill(0.0);
            let scores_shared = &mut scores[..shared];

            let mut top = lanes.splat(f32::NEG_INFINITY);
            let mut spread = lanes.splat(0.0);
            for (k, chunk) in scores_shared.chunks_mut(L::WIDTH).enumerate() {
                let at = k * L::WIDTH..k * L::WIDTH + chunk.len();
                let s = lanes.add(lanes.load_partial(chunk), lanes.load_partial(&bias[at.clone()]));
                lanes.store_partial(s, chunk);
                // A short load reads zeros: the largest is looked for among real scores only.
                let real = if chunk.len() == L::WIDTH { s } else { lanes.splat(f32::NEG_INFINITY) };
                top = lanes.max(real, top);
                if smoothing > 0.0 {
                    let share = match task.column_share {
                        [] => lanes.splat(even),
                        shares => lanes.load_partial(&shares[at]),
                    };
                    spread = lanes.mul_add(share, s, spread);
                }
            }
            let tail = shared - shared % L::WIDTH;
            let mut top = scores_shared[tail..]
                .iter()
                .fold(lanes.max_across(top), |m, &s| if s > m { s } else { m });
            let own = if private { own } else { scores_shared[target] };
            top = if own > top { own } else { top };

            let mut sum = lanes.splat(0.0);
            for chunk in scores_shared.chunks_mut(L::WIDTH) {
                let e = exp(lanes, lanes.sub(lanes.load_partial(chunk), lanes.splat(top)));
                lanes.store_partial(e, chunk);
                // Beyond a short chunk there is e⁰, which must not be summed.
                let e = if chunk.len() == L::WIDTH { e } else { lanes.load_partial(chunk) };
                sum = lanes.add(e, sum);
            }
            let mut sum = lanes.sum(sum);
            let own_exp = lanes.to_array(exp(lanes, lanes.splat(own - top)))[0];
            if private {
                sum += own_exp;
            }

            let spread = if smoothing > 0.0 { lanes.sum(spread) } else { 0.0 };
            *loss = sum.ln() + top - (1.0 - smoothing) * own - smoothing * spread;

            let share_of_loss = (f64::from(task.weight[p]) / total) as f32;
            let factor = lanes.splat(share_of_loss / sum);
            let smooth = share_of_loss * smoothing;
            for (k, chunk) in scores_shared.chunks_mut(L::WIDTH).enumerate() {
                let mut slope = lanes.mul(lanes.load_partial(chunk), factor);
                if smoothing > 0.0 {
                    let share = match task.column_share {
                        [] => lanes.splat(even),
                        shares => lanes.load_partial(&shares[k * L::WIDTH..][..chunk.len()]),
                    };
                    slope = lanes.mul_add(lanes.splat(-smooth), share, slope);
                }
                lanes.store_partial(slope, chunk);
            }
            if private {
                scores[target] = share_of_loss * (own_exp / sum);
            }
            scores[target] -= share_of_loss * (1.0 - smoothing);
        }
    }
}
