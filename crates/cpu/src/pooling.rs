//! Many positions of a row made one vector. Equations: `reference::running_mean_forward` and those
//! beside it.
//!
//! Rows that still run at a step are the first ones of the step before, so each form goes from step
//! to step with whole blocks of rows.

use crate::Cpu;
use crate::math::AddRow;
use crate::simd::{Kernel, Lanes};
use layout::{Matrix, Pooling, Reach, Steps};

impl Cpu {
    /// The mean of positions, or the largest entry of each column: x `[N, E]`, y `[N, E]` for each
    /// position over its own past, or `[B, E]` for each whole row.
    pub fn pool_forward(
        &self,
        pooling: Pooling,
        reach: Reach,
        steps: &Steps,
        x: &Matrix<f32>,
        y: &mut Matrix<f32>,
    ) {
        assert_eq!(x.rows(), steps.positions(), "x is [N, E]");
        let answers = if reach == Reach::Causal { steps.positions() } else { steps.batch() };
        y.resize(answers, x.columns());
        let at = Block { steps, width: x.columns() };
        let (x, y) = (x.as_slice(), y.as_mut_slice());
        match (pooling, reach) {
            (Pooling::Mean, Reach::Causal) => self.running_mean_forward(at, x, y),
            (Pooling::Max, Reach::Causal) => self.running_max_forward(at, x, y),
            (Pooling::Mean, Reach::Row) => self.row_mean_forward(at, x, y),
            (Pooling::Max, Reach::Row) => self.row_max_forward(at, x, y),
        }
    }

    /// Undoes [`Cpu::pool_forward`]: x, y as they were there, dy as y, dx `[N, E]`, replaced.
    #[allow(clippy::too_many_arguments)]
    pub fn pool_backward(
        &self,
        pooling: Pooling,
        reach: Reach,
        steps: &Steps,
        x: &Matrix<f32>,
        y: &Matrix<f32>,
        dy: &Matrix<f32>,
        dx: &mut Matrix<f32>,
    ) {
        let answers = if reach == Reach::Causal { steps.positions() } else { steps.batch() };
        assert_eq!(dy.rows(), answers, "dy is as y");
        dx.resize(steps.positions(), dy.columns());
        if pooling == Pooling::Max {
            assert_eq!((x.shape(), y.shape()), (dx.shape(), dy.shape()), "x and y as they were");
        }
        let at = Block { steps, width: dy.columns() };
        let (dy, dx) = (dy.as_slice(), dx.as_mut_slice());
        match (pooling, reach) {
            (Pooling::Mean, Reach::Causal) => self.running_mean_backward(at, dy, dx),
            (Pooling::Max, Reach::Causal) => self.running_max_backward(at, y.as_slice(), dy, dx),
            (Pooling::Mean, Reach::Row) => row_mean_backward(at, dy, dx),
            (Pooling::Max, Reach::Row) => {
                self.row_max_backward(at, x.as_slice(), y.as_slice(), dy, dx);
            }
        }
    }

    /// `y_t = (x_0 + … + x_t) / (t + 1)`
    fn running_mean_forward(&self, at: Block<'_>, x: &[f32], y: &mut [f32]) {
        // First the running sums of all steps, since each step reads the sum of the one before; then
        // the division.
        y.copy_from_slice(x);
        for t in 1..at.steps.count() {
            let (before, now) = y.split_at_mut(at.start(t));
            let previous = &before[at.start(t - 1)..];
            let active = at.active(t);
            self.path.run(AddRow { x: &previous[..active], y: &mut now[..active] });
        }
        for t in 1..at.steps.count() {
            let share = 1.0 / (t + 1) as f32;
            y[at.start(t)..][..at.active(t)].iter_mut().for_each(|y| *y *= share);
        }
    }

    /// `dx_t = Σ_{s ≥ t} dy_s / (s + 1)`
    fn running_mean_backward(&self, at: Block<'_>, dy: &[f32], dx: &mut [f32]) {
        for t in (0..at.steps.count()).rev() {
            let share = 1.0 / (t + 1) as f32;
            let (now, after) = dx.split_at_mut(at.start(t) + at.active(t));
            let now = &mut now[at.start(t)..];
            let dy = &dy[at.start(t)..][..at.active(t)];
            now.iter_mut().zip(dy).for_each(|(dx, dy)| *dx = dy * share);
            if t + 1 < at.steps.count() {
                let later = at.active(t + 1);
                self.path.run(AddRow { x: &after[..later], y: &mut now[..later] });
            }
        }
    }

    /// `y_t = max(x_0, …, x_t)`
    fn running_max_forward(&self, at: Block<'_>, x: &[f32], y: &mut [f32]) {
        y.copy_from_slice(x);
        for t in 1..at.steps.count() {
            let (before, now) = y.split_at_mut(at.start(t));
            let previous = &before[at.start(t - 1)..][..at.active(t)];
            self.path.run(Rise { x: previous, y: &mut now[..at.active(t)] });
        }
    }

    /// `dx_t` is the sum of the `dy_s` from t on until y rises again, where y rises at t, or zero.
    fn running_max_backward(&self, at: Block<'_>, y: &[f32], dy: &[f32], dx: &mut [f32]) {
        let mut sums = self.scratch.buffer(at.steps.batch() * at.width);
        sums.fill(0.0);
        for t in (0..at.steps.count()).rev() {
            let range = at.start(t)..at.start(t) + at.active(t);
            let entries = dx[range.clone()].iter_mut().zip(&dy[range.clone()]).zip(&mut *sums);
            if t == 0 {
                entries.for_each(|((dx, dy), sum)| *dx = *sum + dy);
                continue;
            }
            let before = &y[at.start(t - 1)..];
            for (((dx, dy), sum), (y, before)) in entries.zip(y[range].iter().zip(before)) {
                *sum += dy;
                *dx = if y > before { std::mem::take(sum) } else { 0.0 };
            }
        }
    }

    /// `y = (x_0 + … + x_{T−1}) / T`
    fn row_mean_forward(&self, at: Block<'_>, x: &[f32], y: &mut [f32]) {
        y.copy_from_slice(&x[..y.len()]);
        for t in 1..at.steps.count() {
            let active = at.active(t);
            self.path.run(AddRow { x: &x[at.start(t)..][..active], y: &mut y[..active] });
        }
        for t in 1..at.steps.count() {
            let share = 1.0 / (t + 1) as f32;
            y[at.ending(t)].iter_mut().for_each(|y| *y *= share);
        }
    }

    /// `y = max(x_0, …, x_{T−1})`
    fn row_max_forward(&self, at: Block<'_>, x: &[f32], y: &mut [f32]) {
        y.copy_from_slice(&x[..y.len()]);
        for t in 1..at.steps.count() {
            let active = at.active(t);
            self.path.run(Larger { x: &x[at.start(t)..][..active], y: &mut y[..active] });
        }
    }

    /// `dx_t = dy` where x_t is the first to equal y, or zero.
    fn row_max_backward(&self, at: Block<'_>, x: &[f32], y: &[f32], dy: &[f32], dx: &mut [f32]) {
        // What nobody has claimed yet.
        let mut left = self.scratch.buffer(dy.len());
        left.copy_from_slice(dy);
        for t in 0..at.steps.count() {
            let range = at.start(t)..at.start(t) + at.active(t);
            let entries = dx[range.clone()].iter_mut().zip(&x[range]);
            for ((dx, x), (y, left)) in entries.zip(y.iter().zip(&mut *left)) {
                *dx = if x == y { std::mem::take(left) } else { 0.0 };
            }
        }
    }
}

/// `dx_t = dy / T`
fn row_mean_backward(at: Block<'_>, dy: &[f32], dx: &mut [f32]) {
    let (first, later) = dx.split_at_mut(dy.len());
    first.copy_from_slice(dy);
    for t in 1..at.steps.count() {
        let share = 1.0 / (t + 1) as f32;
        first[at.ending(t)].iter_mut().for_each(|dx| *dx *= share);
    }
    for t in 1..at.steps.count() {
        let active = at.active(t);
        later[at.start(t) - dy.len()..][..active].copy_from_slice(&first[..active]);
    }
}

/// Where the numbers of a step stand in a buffer of positions that are `width` wide.
#[derive(Clone, Copy)]
struct Block<'a> {
    steps: &'a Steps,
    width: usize,
}

impl Block<'_> {
    fn start(self, t: usize) -> usize {
        self.steps.range(t).start * self.width
    }

    fn active(self, t: usize) -> usize {
        self.steps.active(t) * self.width
    }

    /// The rows whose last step is `t`, in a buffer of rows.
    fn ending(self, t: usize) -> std::ops::Range<usize> {
        let later = if t + 1 < self.steps.count() { self.active(t + 1) } else { 0 };
        later..self.active(t)
    }
}

/// `y = max(x, y)`, x where neither is larger.
struct Rise<'a> {
    x: &'a [f32],
    y: &'a mut [f32],
}

impl Kernel for Rise<'_> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        for (y, x) in self.y.chunks_mut(L::WIDTH).zip(self.x.chunks(L::WIDTH)) {
            lanes.store_partial(lanes.max(lanes.load_partial(y), lanes.load_partial(x)), y);
        }
    }
}

/// `y = max(x, y)`, y where neither is larger.
struct Larger<'a> {
    x: &'a [f32],
    y: &'a mut [f32],
}

impl Kernel for Larger<'_> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        for (y, x) in self.y.chunks_mut(L::WIDTH).zip(self.x.chunks(L::WIDTH)) {
            lanes.store_partial(lanes.max(lanes.load_partial(x), lanes.load_partial(y)), y);
        }
    }
}
