//! From scores to the loss and its slopes, for the positions of one task.

use super::ranking::{BprMax, Top1Max};
use super::{ROWS_PER_TASK, ScoreLayout, private_target, repeats};
use crate::math::{dot, exp};
use crate::panel::Panels;
use crate::scores::ScoreTiles;
use crate::simd::{Kernel, Lanes, Left, for_tiles};
use layout::{CandidateLoss, Matrix, SoftmaxTask};

/// The score of a column that only fills a panel: its exp is too small to be seen.
pub(super) const NOWHERE: f32 = -1e30;

/// What scores and targets are made of, the same for all positions.
#[derive(Clone, Copy)]
pub(super) struct Terms<'a> {
    pub(super) task: &'a SoftmaxTask<'a>,
    /// `Σ weight`.
    pub(super) total: f64,
    table: &'a Matrix<f32>,
    column_bias: &'a Matrix<f32>,
    repeat_bias: &'a Matrix<f32>,
    /// Bias and smoothing share of the shared columns, padded to whole panels: `[panels · width]`.
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

    /// `weight_p / Σ weight`.
    pub(super) fn share_of_loss(&self, p: usize) -> f32 {
        (f64::from(self.task.weight[p]) / self.total) as f32
    }
}

/// One number a position of a task.
pub(super) type PerRow<T> = [T; ROWS_PER_TASK];

/// The scores of some positions, the loss, and the gradient of the loss by the scores in their
/// place; for the cross-entropy, and else as `ranking` has it:
///
/// ```text
///     S[p, c] = q_p · e_c + biases
///     p[p, c] = exp(S[p, c] − top) / Σ_c' exp(…)    over the candidates of p
///     dS      = weight_p / Σ weight · (p − t)
/// ```
pub(super) struct Slopes<'a> {
    pub(super) terms: Terms<'a>,
    pub(super) layout: ScoreLayout,
    /// The first position.
    pub(super) first: usize,
    /// The shared rows of the table as right operand, `[E, shared]`.
    pub(super) items: &'a Panels,
    /// Pictures of the positions, `[rows, E]`.
    pub(super) q: &'a [f32],
    /// dS for the shared columns, as `layout` has a task.
    pub(super) scores: &'a mut [f32],
    /// The loss of each position, `[rows]`.
    pub(super) losses: &'a mut [f32],
    /// dS for the target where it is private, zero elsewhere, `[rows]`.
    pub(super) private_slopes: &'a mut [f32],
}

impl Kernel for Slopes<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(mut self, lanes: L) {
        let tops = self.scores(lanes);
        let (own, top) = self.bend(lanes, &tops);
        match self.terms.task.loss {
            CandidateLoss::CrossEntropy => {
                let (sums, spreads) = self.exponentials(lanes, &top);
                let (factors, smooth) = self.losses(lanes, &own, &top, &sums, &spreads);
                self.slopes(lanes, &factors, &smooth);
            }
            CandidateLoss::BprMax { regularization } => {
                self.rank(lanes, &own, BprMax { regularization });
            }
            CandidateLoss::Top1Max => self.rank(lanes, &own, Top1Max),
        }
    }
}

impl Slopes<'_> {
    /// `q·eᵀ + column_bias` for the shared columns; returns the largest score of each lane.
    #[inline(always)]
    fn scores<L: Lanes>(&mut self, lanes: L) -> PerRow<L::V> {
        let Self { terms, layout, ref mut scores, .. } = *self;
        let depth = terms.table.columns();
        let q = Left::plain(self.q, depth);
        let mut tops = [lanes.splat(f32::NEG_INFINITY); ROWS_PER_TASK];
        let panels =
            scores.chunks_exact_mut(layout.panel()).zip(terms.bias.chunks_exact(layout.width));
        for ((_, vectors, panel), (scores, bias)) in self.items.iter(L::WIDTH).zip(panels) {
            let mut tiles = ScoreTiles { depth, q, panel, bias, scores, tops: &mut tops };
            for_tiles(lanes, self.losses.len(), vectors, &mut tiles);
        }
        tops
    }

    /// Adds what is sparse. Returns the score of each target, and a number not far above the
    /// largest score and never below it: what exp is taken of stays between −87 and 0 where it
    /// counts.
    #[inline(always)]
    fn bend<L: Lanes>(&mut self, lanes: L, tops: &PerRow<L::V>) -> (PerRow<f32>, PerRow<f32>) {
        let Self { terms, layout, first, ref mut scores, .. } = *self;
        let (task, width) = (terms.task, terms.table.columns());
        let (mut own, mut top) = ([0.0; ROWS_PER_TASK], [0.0; ROWS_PER_TASK]);
        for (row, q) in self.q.chunks_exact(width).enumerate() {
            let p = first + row;
            let (own, top) = (&mut own[row], &mut top[row]);
            let private = private_target(task, p);
            *top = lanes.max_across(tops[row]);
            if let Some(c) = private {
                *own = dot(lanes, q, terms.table.row(c)) + terms.column_bias.as_slice()[c];
            }
            for (c, lag) in repeats(task, p) {
                let score =
                    if c < task.shared { &mut scores[layout.at(row, c)] } else { &mut *own };
                *score += terms.repeat_bias.as_slice()[lag];
                *top = larger(*score, *top);
            }
            let shift = task.shift.get(p).copied().unwrap_or(0.0);
            if private.is_some() {
                *own += shift;
            } else {
                let score = &mut scores[layout.at(row, task.target[p] as usize)];
                *score += shift;
                *own = *score;
            }
            *top = larger(*own, *top);
        }
        (own, top)
    }

    /// `exp(S − top)` in place of S; returns `Σ exp(S − top)` and `Σ share · S`, lane by lane.
    #[inline(always)]
    fn exponentials<L: Lanes>(
        &mut self,
        lanes: L,
        top: &PerRow<f32>,
    ) -> (PerRow<L::V>, PerRow<L::V>) {
        let Self { terms, layout, ref mut scores, .. } = *self;
        let rows = self.losses.len();
        let mut sums = [lanes.splat(0.0); ROWS_PER_TASK];
        let mut spreads = [lanes.splat(0.0); ROWS_PER_TASK];
        let panels =
            scores.chunks_exact_mut(layout.panel()).zip(terms.share.chunks_exact(layout.width));
        for (panel, share) in panels {
            let share = [lanes.load(share), lanes.load(&share[L::WIDTH..])];
            for (row, entries) in panel.chunks_exact_mut(layout.width).enumerate().take(rows) {
                let top = lanes.splat(top[row]);
                for (entries, share) in entries.chunks_exact_mut(L::WIDTH).zip(share) {
                    let s = lanes.load(entries);
                    spreads[row] = lanes.mul_add(share, s, spreads[row]);
                    let [e] = exp(lanes, [lanes.sub(s, top)]);
                    lanes.store(e, entries);
                    sums[row] = lanes.add(e, sums[row]);
                }
            }
        }
        (sums, spreads)
    }

    /// The loss of each position, and its slope by a private target. Returns what the exponentials
    /// are multiplied with, and what is added to the result for each part of the smoothing.
    #[inline(always)]
    fn losses<L: Lanes>(
        &mut self,
        lanes: L,
        own: &PerRow<f32>,
        top: &PerRow<f32>,
        sums: &PerRow<L::V>,
        spreads: &PerRow<L::V>,
    ) -> (PerRow<f32>, PerRow<f32>) {
        let Terms { task, .. } = self.terms;
        let smoothing = task.smoothing;
        let (mut factors, mut smooth) = ([0.0; ROWS_PER_TASK], [0.0; ROWS_PER_TASK]);
        for row in 0..self.losses.len() {
            let p = self.first + row;
            let is_private = private_target(task, p).is_some();
            let own_exp = lanes.to_array(exp(lanes, [lanes.splat(own[row] - top[row])])[0])[0];
            let sum = lanes.sum(sums[row]) + if is_private { own_exp } else { 0.0 };
            let spread = if smoothing > 0.0 { lanes.sum(spreads[row]) } else { 0.0 };
            self.losses[row] =
                sum.ln() + top[row] - (1.0 - smoothing) * own[row] - smoothing * spread;
            let share = self.terms.share_of_loss(p);
            factors[row] = share / sum;
            smooth[row] = -share * smoothing;
            let slope = share * (own_exp / sum - (1.0 - smoothing));
            self.private_slopes[row] = if is_private { slope } else { 0.0 };
        }
        (factors, smooth)
    }

    /// dS in place of the exponentials.
    #[inline(always)]
    fn slopes<L: Lanes>(&mut self, lanes: L, factors: &PerRow<f32>, smooth: &PerRow<f32>) {
        let Self { terms, layout, first, ref mut scores, .. } = *self;
        let rows = self.losses.len();
        let panels =
            scores.chunks_exact_mut(layout.panel()).zip(terms.share.chunks_exact(layout.width));
        for (panel, share) in panels {
            let share = [lanes.load(share), lanes.load(&share[L::WIDTH..])];
            for (row, entries) in panel.chunks_exact_mut(layout.width).enumerate().take(rows) {
                let (factor, smooth) = (lanes.splat(factors[row]), lanes.splat(smooth[row]));
                for (entries, share) in entries.chunks_exact_mut(L::WIDTH).zip(share) {
                    let slope = lanes.mul(lanes.load(entries), factor);
                    lanes.store(lanes.mul_add(smooth, share, slope), entries);
                }
            }
        }
        let task = terms.task;
        for row in 0..rows {
            let p = first + row;
            if private_target(task, p).is_none() {
                let score = &mut scores[layout.at(row, task.target[p] as usize)];
                *score -= terms.share_of_loss(p) * (1.0 - task.smoothing);
            }
        }
    }
}

/// The larger; `b` where one of the two is NaN.
fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}
