//! Losses of outputs that are not a choice among all items. Equations: `layout::ElementLoss`,
//! `layout::ClassTask` and `reference::losses`.
//!
//! A position has a few outputs here, where the softmax has thousands of scores: tasks are shared
//! out among threads, but only the exponentials of classes are taken a register at a time.

use crate::Cpu;
use crate::linear::shape_result;
use crate::math::exp;
use crate::simd::{Kernel, Lanes};
use layout::{Accumulate, ClassTask, ElementLoss, ElementTask, Matrix};
use rayon::prelude::*;

/// Positions in one task, and in one partial sum of the loss.
const ROWS_PER_TASK: usize = 256;

impl Cpu {
    /// The loss L of an [`ElementTask`] and its gradient.
    ///
    /// | argument | shape | on entry | on return |
    /// |---|---|---|---|
    /// | `z`, `y` | `[N, C]` | outputs, the truth | untouched |
    /// | `dz` | `[N, C]` | anything | gradient |
    ///
    /// # Panics
    ///
    /// Where the shapes do not fit.
    pub fn element_loss(
        &self,
        z: &Matrix<f32>,
        y: &Matrix<f32>,
        task: &ElementTask<'_>,
        dz: &mut Matrix<f32>,
    ) -> f64 {
        let [positions, columns] = z.shape();
        assert_eq!(y.shape(), z.shape(), "y is [N, C]");
        assert_eq!(task.weight.len(), positions, "a weight for each position");
        if let ElementLoss::BinaryCrossEntropy { positive } = task.loss {
            let fits = positive.is_empty() || positive.len() == columns;
            assert!(fits, "a weight of the positive for each column");
        }
        shape_result(Accumulate::Replace, dz, positions, columns);
        let total = sum(task.weight.iter().copied()) * columns as f64;
        let shares = task.weight.iter().map(|&weight| f64::from(weight) / total);
        self.summed(columns, shares, dz, |first, shares, dz| {
            let rows = first * columns..first * columns + dz.len();
            let pairs = z.as_slice()[rows.clone()].iter().zip(&y.as_slice()[rows]);
            let mut loss = 0.0;
            for (k, (dz, (&z, &y))) in dz.iter_mut().zip(pairs).enumerate() {
                let share = shares[k / columns];
                let (value, slope) = worth(task.loss, k % columns, z, y);
                loss += share * f64::from(value);
                *dz = share as f32 * slope;
            }
            loss
        })
    }

    /// The loss L of a [`ClassTask`] and its gradient.
    ///
    /// | argument | shape | on entry | on return |
    /// |---|---|---|---|
    /// | `z` | `[N, C]` | scores of the classes | untouched |
    /// | `dz` | `[N, C]` | anything | gradient |
    ///
    /// # Panics
    ///
    /// Where the shapes do not fit or a target is no class.
    pub fn class_loss(&self, z: &Matrix<f32>, task: &ClassTask<'_>, dz: &mut Matrix<f32>) -> f64 {
        let [positions, columns] = z.shape();
        assert_eq!(task.target.len(), positions, "a target for each position");
        assert_eq!(task.weight.len(), positions, "a weight for each position");
        assert!(task.target.iter().all(|&class| (class as usize) < columns), "targets are classes");
        let classes = task.class_weight.len();
        assert!(classes == 0 || classes == columns, "a weight for each class");
        shape_result(Accumulate::Replace, dz, positions, columns);
        let counts = task.target.iter().zip(task.weight).map(|(&target, &weight)| {
            let class = task.class_weight.get(target as usize).copied().unwrap_or(1.0);
            f64::from(weight) * f64::from(class)
        });
        let total: f64 = counts.clone().sum();
        self.summed(columns, counts.map(|count| count / total), dz, |first, shares, dz| {
            let mut loss = 0.0;
            let z = z.as_slice()[first * columns..].chunks_exact(columns);
            for (dz, z) in dz.chunks_exact_mut(columns).zip(z) {
                let largest = z.iter().fold(f32::NEG_INFINITY, |m, &z| if z > m { z } else { m });
                dz.iter_mut().zip(z).for_each(|(dz, &z)| *dz = z - largest);
            }
            let own = |row: usize| task.target[first + row] as usize;
            for (row, (dz, &share)) in dz.chunks_exact(columns).zip(shares).enumerate() {
                loss -= share * f64::from(dz[own(row)]);
            }
            self.path.run(Exponentials { x: dz });
            for (row, (dz, &share)) in dz.chunks_exact_mut(columns).zip(shares).enumerate() {
                let sum: f32 = dz.iter().sum();
                loss += share * f64::from(sum.ln());
                let factor = share as f32 / sum;
                dz.iter_mut().for_each(|dz| *dz *= factor);
                dz[own(row)] -= share as f32;
            }
            loss
        })
    }

    /// Works on some positions at a time: `work` gets the number of the first, the shares of L that
    /// each has, and its rows of `dz`, and returns its part of L.
    fn summed(
        &self,
        columns: usize,
        shares: impl Iterator<Item = f64>,
        dz: &mut Matrix<f32>,
        work: impl Fn(usize, &[f64], &mut [f32]) -> f64 + Sync,
    ) -> f64 {
        let positions = dz.rows();
        if dz.as_slice().is_empty() {
            return 0.0;
        }
        let mut share_of = self.scratch.sums(positions);
        share_of.iter_mut().zip(shares).for_each(|(to, share)| *to = share);
        let mut losses = self.scratch.sums(positions.div_ceil(ROWS_PER_TASK));
        dz.as_mut_slice()
            .par_chunks_mut(ROWS_PER_TASK * columns)
            .zip(share_of.par_chunks(ROWS_PER_TASK))
            .zip(losses.par_iter_mut())
            .enumerate()
            .for_each(|(k, ((dz, shares), loss))| *loss = work(k * ROWS_PER_TASK, shares, dz));
        losses.iter().sum()
    }
}

/// A loss of one output and its slope; `column` is the output's.
fn worth(loss: ElementLoss<'_>, column: usize, z: f32, y: f32) -> (f32, f32) {
    match loss {
        ElementLoss::BinaryCrossEntropy { positive } => {
            let positive = positive.get(column).copied().unwrap_or(1.0);
            let [yes, no] = sides(z);
            let value = -(positive * y * yes.log + (1.0 - y) * no.log);
            (value, (1.0 - y) * yes.share - positive * y * no.share)
        }
        ElementLoss::SquaredError => ((z - y) * (z - y), 2.0 * (z - y)),
        ElementLoss::Huber { delta } => {
            let d = z - y;
            if d.abs() <= delta {
                (0.5 * d * d, d)
            } else {
                (delta * (d.abs() - 0.5 * delta), delta.copysign(d))
            }
        }
        ElementLoss::Focal { gamma, alpha } => {
            let [yes, no] = sides(z);
            let (held, other, a, sign) =
                if y > 0.5 { (yes, no, alpha, 1.0) } else { (no, yes, 1.0 - alpha, -1.0) };
            let fade = a * (gamma * other.log).exp();
            (-fade * held.log, sign * fade * (gamma * held.share * held.log - other.share))
        }
        ElementLoss::Poisson => (z.exp() - y * z, z.exp() - y),
    }
}

/// A probability and its logarithm.
#[derive(Clone, Copy)]
struct Side {
    share: f32,
    log: f32,
}

/// σ(z) and σ(−z), from one exponential that cannot overflow.
fn sides(z: f32) -> [Side; 2] {
    let e = (-z.abs()).exp();
    let (rest, one) = (e.ln_1p(), 1.0 + e);
    let likely = Side { share: 1.0 / one, log: -rest };
    let unlikely = Side { share: e / one, log: -z.abs() - rest };
    if z > 0.0 { [likely, unlikely] } else { [unlikely, likely] }
}

fn sum(weights: impl Iterator<Item = f32>) -> f64 {
    weights.map(f64::from).sum()
}

/// `x = exp x`.
struct Exponentials<'a> {
    x: &'a mut [f32],
}

impl Kernel for Exponentials<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        for x in self.x.chunks_mut(L::WIDTH) {
            let [e] = exp(lanes, [lanes.load_partial(x)]);
            lanes.store_partial(e, x);
        }
    }
}
