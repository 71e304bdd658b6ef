//! From scores to the loss and its slopes, for the positions of one task.

use super::{Layout, ROWS_PER_TASK, private_target, repeats};
use crate::embedding::dot;
use crate::math::exp;
use crate::panel::Panels;
use crate::simd::{Kernel, Lanes, Left, Tiles, for_tiles, tile};
use layout::{Matrix, SoftmaxTask};

/// The score of a column that only fills a panel: its exp is too small to be seen.
const NOWHERE: f32 = -1e30;

/// What scores and targets are made of, the same for all positions.
#[derive(Clone, Copy)]
pub(super) struct Terms<'a> {
    task: &'a SoftmaxTask<'a>,
    /// `Σ weight`.
    pub(super) total: f64,
    table: &'a Matrix<f32>,
    column_bias: &'a Matrix<f32>,
    repeat_bias: &'a Matrix<f32>,
    /// Bias and smoothing share of the shared columns, padded to whole panels.
    bias: &'a [f32],
    share: &'a [f32],
}

impl<'a> Terms<'a> {
    /// `padded` has room for two numbers a column of every panel.
    pub(super) fn new(
        task: &'a SoftmaxTask<'a>,
        table: &'a Matrix<f32>,
        column_bias: &'a Matrix<f32>,
        repeat_bias: &'a Matrix<f32>,
        padded: &'a mut [f32],
    ) -> Self {
        let shared = task.shared;
        let (bias, share) = padded.split_at_mut(padded.len() / 2);
        bias[..shared].copy_from_slice(&column_bias.as_slice()[..shared]);
        bias[shared..].fill(NOWHERE);
        match task.column_share {
            [] => share[..shared].fill(1.0 / shared.max(1) as f32),
            shares => share[..shared].copy_from_slice(shares),
        }
        share[shared..].fill(0.0);
        let total = task.weight.iter().map(|&w| f64::from(w)).sum();
        Self { task, total, table, column_bias, repeat_bias, bias, share }
    }
}

/// The scores of some positions, the loss, and the gradient of the loss by the scores in their place.
///
/// ```text
///     S[p, c] = q_p · e_c + biases
///     p[p, c] = exp(S[p, c] − top) / Σ_c' exp(…)    over the candidates of p
///     dS      = weight_p / Σ weight · (p − t)
/// ```
pub(super) struct Slopes<'a> {
    pub(super) terms: Terms<'a>,
    pub(super) layout: Layout,
    /// The first position.
    pub(super) first: usize,
    /// The shared rows of the table, as right operand.
    pub(super) items: &'a Panels,
    pub(super) q: &'a [f32],
    /// dS for the shared columns.
    pub(super) scores: &'a mut [f32],
    /// The loss of each position.
    pub(super) losses: &'a mut [f32],
    /// dS for the target where it is private; zero elsewhere.
    pub(super) private_slopes: &'a mut [f32],
}

impl Kernel for Slopes<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { terms, layout, first, items, q, scores, losses, private_slopes } = self;
        let Terms { task, total, table, column_bias, repeat_bias, bias, share } = terms;
        let (width, smoothing) = (table.columns(), task.smoothing);
        let rows = losses.len();

        let mut tops = [lanes.splat(f32::NEG_INFINITY); ROWS_PER_TASK];
        let panels = scores.chunks_exact_mut(layout.panel()).zip(bias.chunks_exact(layout.width));
        for ((_, vectors, panel), (scores, bias)) in items.iter(L::WIDTH).zip(panels) {
            let q = Left::plain(q, width);
            let mut tiles = Scores { depth: width, q, panel, bias, scores, tops: &mut tops };
            for_tiles(lanes, rows, vectors, &mut tiles);
        }

        // What is sparse. A top need not be the largest score, only not far from it.
        let mut own = [0.0; ROWS_PER_TASK];
        let mut top = [0.0; ROWS_PER_TASK];
        for (row, (own, top)) in own.iter_mut().zip(&mut top).enumerate().take(rows) {
            let p = first + row;
            let target = task.target[p] as usize;
            let private = private_target(task, p).is_some();
            *top = lanes.max_across(tops[row]);
            if private {
                let q = &q[row * width..][..width];
                *own = dot(lanes, q, table.row(target)) + column_bias.as_slice()[target];
            }
            for (c, lag) in repeats(task, p) {
                let score =
                    if c < task.shared { &mut scores[layout.at(row, c)] } else { &mut *own };
                *score += repeat_bias.as_slice()[lag];
                *top = larger(*score, *top);
            }
            let shift = task.shift.get(p).copied().unwrap_or(0.0);
            if private {
                *own += shift;
            } else {
                let score = &mut scores[layout.at(row, target)];
                *score += shift;
                *own = *score;
            }
            *top = larger(*own, *top);
        }

        let mut sums = [lanes.splat(0.0); ROWS_PER_TASK];
        let mut spreads = [lanes.splat(0.0); ROWS_PER_TASK];
        let panels = scores.chunks_exact_mut(layout.panel()).zip(share.chunks_exact(layout.width));
        for (scores, share) in panels {
            let share = [lanes.load(share), lanes.load(&share[L::WIDTH..])];
            for (row, scores) in scores.chunks_exact_mut(layout.width).enumerate().take(rows) {
                let top = lanes.splat(top[row]);
                for (scores, share) in scores.chunks_exact_mut(L::WIDTH).zip(share) {
                    let s = lanes.load(scores);
                    spreads[row] = lanes.mul_add(share, s, spreads[row]);
                    let e = exp(lanes, lanes.sub(s, top));
                    lanes.store(e, scores);
                    sums[row] = lanes.add(e, sums[row]);
                }
            }
        }

        let mut factors = [0.0; ROWS_PER_TASK];
        let mut smooth = [0.0; ROWS_PER_TASK];
        for row in 0..rows {
            let p = first + row;
            let mut sum = lanes.sum(sums[row]);
            let own_exp = lanes.to_array(exp(lanes, lanes.splat(own[row] - top[row])))[0];
            let private = private_target(task, p).is_some();
            if private {
                sum += own_exp;
            }
            let spread = if smoothing > 0.0 { lanes.sum(spreads[row]) } else { 0.0 };
            losses[row] = sum.ln() + top[row] - (1.0 - smoothing) * own[row] - smoothing * spread;
            let share_of_loss = (f64::from(task.weight[p]) / total) as f32;
            factors[row] = share_of_loss / sum;
            smooth[row] = -share_of_loss * smoothing;
            let target_slope = share_of_loss * (own_exp / sum - (1.0 - smoothing));
            private_slopes[row] = if private { target_slope } else { 0.0 };
        }

        let panels = scores.chunks_exact_mut(layout.panel()).zip(share.chunks_exact(layout.width));
        for (scores, share) in panels {
            let share = [lanes.load(share), lanes.load(&share[L::WIDTH..])];
            for (row, scores) in scores.chunks_exact_mut(layout.width).enumerate().take(rows) {
                let (factor, smooth) = (lanes.splat(factors[row]), lanes.splat(smooth[row]));
                for (scores, share) in scores.chunks_exact_mut(L::WIDTH).zip(share) {
                    let slope = lanes.mul(lanes.load(scores), factor);
                    lanes.store(lanes.mul_add(smooth, share, slope), scores);
                }
            }
        }
        for row in 0..rows {
            let p = first + row;
            if private_target(task, p).is_none() {
                let share_of_loss = (f64::from(task.weight[p]) / total) as f32;
                let target = task.target[p] as usize;
                scores[layout.at(row, target)] -= share_of_loss * (1.0 - smoothing);
            }
        }
    }
}

/// The larger; `b` where one of the two is NaN.
fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// Tiles of `q·eᵀ + bias` against one panel, and the largest scores of each row so far.
struct Scores<'a, V> {
    depth: usize,
    q: Left<'a>,
    panel: &'a [f32],
    bias: &'a [f32],
    scores: &'a mut [f32],
    tops: &'a mut [V; ROWS_PER_TASK],
}

impl<L: Lanes> Tiles<L> for Scores<'_, L::V> {
    #[inline(always)]
    fn tile<const ROWS: usize, const VECTORS: usize>(&mut self, lanes: L, row: usize) {
        let mut acc = [[lanes.splat(0.0); VECTORS]; ROWS];
        tile::<L, ROWS, VECTORS>(lanes, self.depth, self.q.from(row, 0), self.panel, &mut acc);
        let bias = [lanes.load(self.bias), lanes.load(&self.bias[L::WIDTH..])];
        let scores = &mut self.scores[row * 2 * L::WIDTH..];
        for (r, acc) in acc.iter().enumerate() {
            for v in 0..2 {
                // Where the panel has one register, the other only fills.
                let s = if v < VECTORS { lanes.add(acc[v], bias[v]) } else { bias[v] };
                lanes.store(s, &mut scores[(2 * r + v) * L::WIDTH..]);
                self.tops[row + r] = lanes.max(s, self.tops[row + r]);
            }
        }
    }
}
