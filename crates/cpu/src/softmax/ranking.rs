//! From scores to a ranking loss and its slopes, for the positions of one task. Equations:
//! `layout::CandidateLoss`, `reference::bpr_max` and `reference::top1_max`.
//!
//! Two passes over the scores of the negatives, panel by panel: the first sums up, the second
//! writes slopes in place of scores. Both make the exponentials, since there is room for one number
//! a score.

use super::slopes::{NOWHERE, PerRow, Slopes};
use super::{ROWS_PER_TASK, private_target};
use crate::math::{exp, sigmoid};
use crate::simd::Lanes;

/// Below the best negative by more than this, a score is held where its size counts: its share is
/// too small to be seen, and its square must stay finite.
const REACH: f32 = 87.0;

/// A ranking loss, a register of negatives at a time.
pub(super) trait Ranking<L: Lanes> {
    /// Adds what some negatives bring.
    fn add(&self, lanes: L, at: &Position, negatives: &Negatives<L::V>, sums: &mut Sums<L::V>);
    /// The loss of a position.
    fn loss(&self, at: &Position, sums: &Sums<f32>) -> f32;
    /// Its slope by the score of the target.
    fn own_slope(&self, sums: &Sums<f32>) -> f32;
    /// Its slopes by the scores of some negatives.
    fn slopes(
        &self,
        lanes: L,
        at: &Position,
        sums: &Sums<f32>,
        negatives: &Negatives<L::V>,
    ) -> L::V;
}

/// What is known of a position before the sums.
#[derive(Clone, Copy, Default)]
pub(super) struct Position {
    /// Score of the target.
    own: f32,
    /// Score of the best negative.
    top: f32,
    /// `own − m`, where m is the larger of the two.
    behind: f32,
    /// `exp(top − m)`.
    far: f32,
    /// Whether there is no negative, hence nobody to be ahead of and nothing to gain.
    alone: bool,
}

/// A register of negatives, or of columns that are none: their scores are [`NOWHERE`].
pub(super) struct Negatives<V> {
    /// Scores as they are.
    score: V,
    /// Scores that stay within reach of the best.
    s: V,
    /// `exp(s − top)`.
    e: V,
}

/// What is summed up over the negatives, lane by lane or across.
#[derive(Clone, Copy)]
pub(super) struct Sums<V> {
    /// `Σ e`.
    all: V,
    /// What the loss is made of.
    gains: V,
    /// What the target's slope is made of.
    pulls: V,
    /// `Σ e s²`, where it is asked for.
    squares: V,
}

/// With B = `far`, a negative's part in the sum of the loss is `exp(own − m) · g_j / Σ e`, and what
/// does not depend on j is taken out of the sum. Then no sum is zero, however far the target is
/// behind, and none is too large, however far ahead.
///
/// ```text
///     x_j  = exp(own − m + top − s_j)
///     g_j  = 1 / (B + x_j)                     π_j σ(own − s_j) = exp(own − m) · g_j / Σ e
///     loss = −(own − m) − log(Σ_j g_j / Σ_j e_j) + λ Q
///
///     ρ_j  = g_j / Σ_k g_k
///     ds_i = −Σ_j ρ_j · B g_j                  σ(s_j − own) = B g_j,  σ(own − s_j) = x_j g_j
///     ds_j = π_j (1 + λ (s_j² − Q + 2 s_j)) − ρ_j · x_j g_j
/// ```
pub(super) struct BprMax {
    /// λ.
    pub(super) regularization: f32,
}

impl BprMax {
    /// `x` and `g`.
    #[inline(always)]
    fn gain<L: Lanes>(lanes: L, at: &Position, score: L::V) -> [L::V; 2] {
        let [x] = exp(lanes, [lanes.sub(lanes.splat(at.behind + at.top), score)]);
        [x, lanes.div(lanes.splat(1.0), lanes.add(lanes.splat(at.far), x))]
    }
}

impl<L: Lanes> Ranking<L> for BprMax {
    #[inline(always)]
    fn add(&self, lanes: L, at: &Position, negatives: &Negatives<L::V>, sums: &mut Sums<L::V>) {
        let &Negatives { score, s, e } = negatives;
        let [_, g] = Self::gain(lanes, at, score);
        sums.all = lanes.add(sums.all, e);
        sums.gains = lanes.add(sums.gains, g);
        sums.pulls = lanes.mul_add(g, lanes.mul(lanes.splat(at.far), g), sums.pulls);
        sums.squares = lanes.mul_add(lanes.mul(e, s), s, sums.squares);
    }

    #[inline(always)]
    fn loss(&self, at: &Position, sums: &Sums<f32>) -> f32 {
        let squares = self.regularization * (sums.squares / sums.all);
        squares - at.behind - (sums.gains / sums.all).ln()
    }

    #[inline(always)]
    fn own_slope(&self, sums: &Sums<f32>) -> f32 {
        -sums.pulls / sums.gains
    }

    #[inline(always)]
    fn slopes(
        &self,
        lanes: L,
        at: &Position,
        sums: &Sums<f32>,
        negatives: &Negatives<L::V>,
    ) -> L::V {
        let &Negatives { score, s, e } = negatives;
        let [x, g] = Self::gain(lanes, at, score);
        let share = lanes.mul(e, lanes.splat(1.0 / sums.all));
        let bend =
            lanes.mul_add(s, lanes.add(s, lanes.splat(2.0)), lanes.splat(-sums.squares / sums.all));
        let weight = lanes.mul_add(lanes.splat(self.regularization), bend, lanes.splat(1.0));
        let minus_rho = lanes.mul(g, lanes.splat(-1.0 / sums.gains));
        lanes.mul_add(minus_rho, lanes.mul(x, g), lanes.mul(share, weight))
    }
}

/// ```text
///     a_j  = σ(s_j − s_i),  b_j = σ(s_j²)
///     loss = Σ_j π_j (a_j + b_j)
///     ds_i = −Σ_j π_j a_j (1 − a_j)
///     ds_j = π_j ( a_j + b_j − loss + a_j (1 − a_j) + 2 s_j b_j (1 − b_j) )
/// ```
pub(super) struct Top1Max;

impl Top1Max {
    /// `a`, `b`.
    #[inline(always)]
    fn terms<L: Lanes>(lanes: L, at: &Position, s: L::V) -> [L::V; 2] {
        sigmoid(lanes, [lanes.sub(s, lanes.splat(at.own)), lanes.mul(s, s)])
    }

    /// `x (1 − x)`.
    #[inline(always)]
    fn bend<L: Lanes>(lanes: L, x: L::V) -> L::V {
        lanes.mul(x, lanes.sub(lanes.splat(1.0), x))
    }
}

impl<L: Lanes> Ranking<L> for Top1Max {
    #[inline(always)]
    fn add(&self, lanes: L, at: &Position, negatives: &Negatives<L::V>, sums: &mut Sums<L::V>) {
        let &Negatives { s, e, .. } = negatives;
        let [a, b] = Self::terms(lanes, at, s);
        sums.all = lanes.add(sums.all, e);
        sums.gains = lanes.mul_add(e, lanes.add(a, b), sums.gains);
        sums.pulls = lanes.mul_add(e, Self::bend(lanes, a), sums.pulls);
    }

    #[inline(always)]
    fn loss(&self, _: &Position, sums: &Sums<f32>) -> f32 {
        sums.gains / sums.all
    }

    #[inline(always)]
    fn own_slope(&self, sums: &Sums<f32>) -> f32 {
        -sums.pulls / sums.all
    }

    #[inline(always)]
    fn slopes(
        &self,
        lanes: L,
        at: &Position,
        sums: &Sums<f32>,
        negatives: &Negatives<L::V>,
    ) -> L::V {
        let &Negatives { s, e, .. } = negatives;
        let [a, b] = Self::terms(lanes, at, s);
        let beyond = lanes.sub(lanes.add(a, b), lanes.splat(sums.gains / sums.all));
        let slope = lanes.add(beyond, Self::bend(lanes, a));
        let slope = lanes.mul_add(lanes.add(s, s), Self::bend(lanes, b), slope);
        lanes.mul(slope, lanes.mul(e, lanes.splat(1.0 / sums.all)))
    }
}

impl Slopes<'_> {
    /// The losses of all positions, and dS in place of S; `own` are the scores of the targets.
    #[inline(always)]
    pub(super) fn rank<L: Lanes>(&mut self, lanes: L, own: &PerRow<f32>, ranking: impl Ranking<L>) {
        self.hide_targets();
        let positions = self.best_negatives(lanes, own);
        let sums = self.sums(lanes, &positions, &ranking);
        let shares = self.rank_losses(&positions, &sums, &ranking);
        self.rank_slopes(lanes, &positions, &sums, &shares, &ranking);
    }

    /// A target is none of its negatives.
    #[inline(always)]
    fn hide_targets(&mut self) {
        for row in 0..self.losses.len() {
            if let Some(score) = self.shared_target(row) {
                *score = NOWHERE;
            }
        }
    }

    #[inline(always)]
    fn best_negatives<L: Lanes>(&self, lanes: L, own: &PerRow<f32>) -> PerRow<Position> {
        let (layout, rows) = (self.layout, self.losses.len());
        let mut tops = [lanes.splat(NOWHERE); ROWS_PER_TASK];
        for panel in self.scores.chunks_exact(layout.panel()) {
            for (row, entries) in panel.chunks_exact(layout.width).enumerate().take(rows) {
                for entries in entries.chunks_exact(L::WIDTH) {
                    tops[row] = lanes.max(tops[row], lanes.load(entries));
                }
            }
        }
        let mut positions = [Position::default(); ROWS_PER_TASK];
        for row in 0..rows {
            let (own, top) = (own[row], lanes.max_across(tops[row]));
            let alone = top <= NOWHERE;
            // What is summed up over nobody is to be finite all the same.
            let top = if alone { 0.0 } else { top };
            let larger = if own > top { own } else { top };
            let (behind, far) = (own - larger, (top - larger).exp());
            positions[row] = Position { own, top, behind, far, alone };
        }
        positions
    }

    #[inline(always)]
    fn sums<L: Lanes>(
        &self,
        lanes: L,
        positions: &PerRow<Position>,
        ranking: &impl Ranking<L>,
    ) -> PerRow<Sums<f32>> {
        let (layout, rows) = (self.layout, self.losses.len());
        let zero = lanes.splat(0.0);
        let none = Sums { all: zero, gains: zero, pulls: zero, squares: zero };
        let mut sums = [none; ROWS_PER_TASK];
        for panel in self.scores.chunks_exact(layout.panel()) {
            for (row, entries) in panel.chunks_exact(layout.width).enumerate().take(rows) {
                let at = &positions[row];
                for entries in entries.chunks_exact(L::WIDTH) {
                    let negatives = Negatives::new(lanes, at, entries);
                    ranking.add(lanes, at, &negatives, &mut sums[row]);
                }
            }
        }
        let mut across = [Sums { all: 0.0, gains: 0.0, pulls: 0.0, squares: 0.0 }; ROWS_PER_TASK];
        for (across, sums) in across.iter_mut().zip(&sums).take(rows) {
            across.all = lanes.sum(sums.all);
            across.gains = lanes.sum(sums.gains);
            across.pulls = lanes.sum(sums.pulls);
            across.squares = lanes.sum(sums.squares);
        }
        across
    }

    /// Losses, and slopes by private targets. Returns the share of L that each position has.
    #[inline(always)]
    fn rank_losses<L: Lanes>(
        &mut self,
        positions: &PerRow<Position>,
        sums: &PerRow<Sums<f32>>,
        ranking: &impl Ranking<L>,
    ) -> PerRow<f32> {
        let mut shares = [0.0; ROWS_PER_TASK];
        for row in 0..self.losses.len() {
            let (at, sums, p) = (&positions[row], &sums[row], self.first + row);
            self.losses[row] = 0.0;
            self.private_slopes[row] = 0.0;
            if !at.alone {
                shares[row] = self.terms.share_of_loss(p);
                self.losses[row] = ranking.loss(at, sums);
                if private_target(self.terms.task, p).is_some() {
                    self.private_slopes[row] = shares[row] * ranking.own_slope(sums);
                }
            }
        }
        shares
    }

    /// dS in place of the scores.
    #[inline(always)]
    fn rank_slopes<L: Lanes>(
        &mut self,
        lanes: L,
        positions: &PerRow<Position>,
        sums: &PerRow<Sums<f32>>,
        shares: &PerRow<f32>,
        ranking: &impl Ranking<L>,
    ) {
        let (layout, rows) = (self.layout, self.losses.len());
        for panel in self.scores.chunks_exact_mut(layout.panel()) {
            for (row, entries) in panel.chunks_exact_mut(layout.width).enumerate().take(rows) {
                let (at, share) = (&positions[row], lanes.splat(shares[row]));
                for entries in entries.chunks_exact_mut(L::WIDTH) {
                    let negatives = Negatives::new(lanes, at, entries);
                    let slopes = ranking.slopes(lanes, at, &sums[row], &negatives);
                    lanes.store(lanes.mul(share, slopes), entries);
                }
            }
        }
        for row in 0..rows {
            let slope = shares[row] * ranking.own_slope(&sums[row]);
            if let Some(score) = self.shared_target(row) {
                *score = slope;
            }
        }
    }

    /// The score of the target of a row, where it is in the panels.
    #[inline(always)]
    fn shared_target(&mut self, row: usize) -> Option<&mut f32> {
        let target = self.terms.task.target[self.first + row] as usize;
        let at = self.layout.at(row, target);
        (target < self.terms.task.shared).then(|| &mut self.scores[at])
    }
}

impl<V: Copy> Negatives<V> {
    #[inline(always)]
    fn new<L: Lanes<V = V>>(lanes: L, at: &Position, scores: &[f32]) -> Self {
        let score = lanes.load(scores);
        // The score stands second: what is not a number gets through.
        let s = lanes.max(lanes.splat(at.top - REACH), score);
        let [e] = exp(lanes, [lanes.sub(s, lanes.splat(at.top))]);
        Self { score, s, e }
    }
}
