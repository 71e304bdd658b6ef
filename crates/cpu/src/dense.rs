//! Dense layers. Equations: `reference::dense_forward` and its backward.

use crate::Cpu;
use crate::math::tanh;
use crate::simd::{Kernel, Lanes};
use layout::{Accumulate, Activation, Matrix};
use rayon::prelude::*;

/// Positions in one task of the elementwise part.
const ROWS_PER_TASK: usize = 64;
/// Columns in one task of the bias's gradient, which goes through all positions.
const COLUMNS_PER_TASK: usize = 64;

impl Cpu {
    /// `y = f(x·wᵀ + b)`; w `[O, I]`, b `[1, O]`, x `[N, I]`, y `[N, O]`.
    pub fn dense_forward(
        &self,
        w: &Matrix<f32>,
        b: &Matrix<f32>,
        f: Activation,
        x: &Matrix<f32>,
        y: &mut Matrix<f32>,
    ) {
        assert_eq!(b.shape(), [1, w.rows()], "b is [1, O]");
        self.linear_forward(w, x, Accumulate::Replace, y);
        let (b, width) = (b.as_slice(), y.columns());
        y.as_mut_slice()
            .par_chunks_mut(ROWS_PER_TASK * width.max(1))
            .for_each(|rows| self.path.run(Bend { b, f, rows }));
    }

    /// Undoes [`Cpu::dense_forward`]: `dz = dy ⊙ f′`, `dw += dzᵀ·x`, `db += Σ dz`, `dx = dz·w`.
    #[allow(clippy::too_many_arguments)]
    pub fn dense_backward(
        &self,
        w: &Matrix<f32>,
        f: Activation,
        x: &Matrix<f32>,
        y: &Matrix<f32>,
        dy: &Matrix<f32>,
        dw: &mut Matrix<f32>,
        db: &mut Matrix<f32>,
        dz: &mut Matrix<f32>,
        dx: &mut Matrix<f32>,
    ) {
        let [rows, width] = y.shape();
        assert_eq!((dy.shape(), db.shape()), ([rows, width], [1, width]), "dy [N, O], db [1, O]");
        dz.resize(rows, width);
        let task = ROWS_PER_TASK * width.max(1);
        dz.as_mut_slice()
            .par_chunks_mut(task)
            .zip(y.as_slice().par_chunks(task))
            .zip(dy.as_slice().par_chunks(task))
            .for_each(|((dz, y), dy)| self.path.run(Straighten { f, y, dy, dz }));
        self.linear_backward_weights(x, dz, dw);
        let slopes = dz.as_slice();
        db.as_mut_slice().par_chunks_mut(COLUMNS_PER_TASK).enumerate().for_each(|(task, db)| {
            let first = task * COLUMNS_PER_TASK;
            let mut sums = [0.0; COLUMNS_PER_TASK];
            for row in slopes.chunks_exact(width) {
                sums.iter_mut().zip(&row[first..][..db.len()]).for_each(|(sum, dz)| *sum += dz);
            }
            db.iter_mut().zip(sums).for_each(|(db, sum)| *db += sum);
        });
        self.linear_backward_input(w, dz, Accumulate::Replace, dx);
    }
}

/// Bias and activation of some rows.
struct Bend<'a> {
    b: &'a [f32],
    f: Activation,
    rows: &'a mut [f32],
}

impl Kernel for Bend<'_> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let (zero, one) = (lanes.splat(0.0), lanes.splat(1.0));
        for row in self.rows.chunks_exact_mut(self.b.len()) {
            for (y, b) in row.chunks_mut(L::WIDTH).zip(self.b.chunks(L::WIDTH)) {
                let z = lanes.add(lanes.load_partial(y), lanes.load_partial(b));
                // z stands second in min and max, which so let a NaN through.
                let bent = match self.f {
                    Activation::Relu => lanes.max(zero, z),
                    Activation::Tanh => tanh(lanes, [z])[0],
                    Activation::Elu => {
                        // e^z − 1 = 2m / (1 − m) with m = tanh(z/2): nothing cancels near zero.
                        let low = lanes.min(zero, z);
                        let [m] = tanh(lanes, [lanes.mul(lanes.splat(0.5), low)]);
                        let low = lanes.div(lanes.add(m, m), lanes.sub(one, m));
                        lanes.add(lanes.max(zero, z), low)
                    }
                };
                lanes.store_partial(bent, y);
            }
        }
    }
}

/// The slope of the activation, from what it has made.
struct Straighten<'a> {
    f: Activation,
    y: &'a [f32],
    dy: &'a [f32],
    dz: &'a mut [f32],
}

impl Kernel for Straighten<'_> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lanes>(self, _: L) {
        let entries = self.dz.iter_mut().zip(self.y.iter().zip(self.dy));
        match self.f {
            Activation::Relu => {
                entries.for_each(|(dz, (&y, &dy))| *dz = if y > 0.0 { dy } else { 0.0 });
            }
            Activation::Tanh => entries.for_each(|(dz, (&y, &dy))| *dz = dy * (1.0 - y * y)),
            Activation::Elu => {
                entries.for_each(|(dz, (&y, &dy))| *dz = dy * if y > 0.0 { 1.0 } else { y + 1.0 });
            }
        }
    }
}
