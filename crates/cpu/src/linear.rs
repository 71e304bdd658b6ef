//! Products with a weight matrix. Equations: `reference::linear_forward` and its two backwards.

use crate::Cpu;
use crate::panel::Source;
use crate::product::{product, transposed_product};
use crate::simd::{Kernel, Lanes};
use layout::{Accumulate, Matrix};
use rayon::prelude::*;

/// Rows in one partial sum of a bias' gradient.
const ROWS_PER_SUM: usize = 256;

impl Cpu {
    /// `y = x·wᵀ`, replaced or added to; w `[O, I]`, x `[N, I]`, y `[N, O]`.
    ///
    /// # Panics
    ///
    /// Where the shapes do not fit, as everywhere in this crate: a layer checks them at its door.
    pub fn linear_forward(
        &self,
        w: &Matrix<f32>,
        x: &Matrix<f32>,
        accumulate: Accumulate,
        y: &mut Matrix<f32>,
    ) {
        let [outputs, inputs] = w.shape();
        assert_eq!(x.columns(), inputs, "x is [N, I]");
        shape_result(accumulate, y, x.rows(), outputs);
        let panels = self.packed(inputs, outputs, Source::Transposed(w.as_slice()));
        product(self.path, x.as_slice(), &panels, accumulate, y.as_mut_slice());
    }

    /// `dx = dy·w`, replaced or added to; dy `[N, O]`, dx `[N, I]`.
    pub fn linear_backward_input(
        &self,
        w: &Matrix<f32>,
        dy: &Matrix<f32>,
        accumulate: Accumulate,
        dx: &mut Matrix<f32>,
    ) {
        let [outputs, inputs] = w.shape();
        assert_eq!(dy.columns(), outputs, "dy is [N, O]");
        shape_result(accumulate, dx, dy.rows(), inputs);
        let panels = self.packed(outputs, inputs, Source::Plain(w.as_slice()));
        product(self.path, dy.as_slice(), &panels, accumulate, dx.as_mut_slice());
    }

    /// `dw += dyᵀ·x`; x `[N, I]`, dy `[N, O]`, dw `[O, I]`.
    pub fn linear_backward_weights(&self, x: &Matrix<f32>, dy: &Matrix<f32>, dw: &mut Matrix<f32>) {
        assert_eq!(x.rows(), dy.rows(), "x is [N, I], dy is [N, O]");
        self.add_weight_gradient(x.as_slice(), dy.as_slice(), dw);
    }

    /// `dw += dyᵀ·x` on rows without a gap, the row count taken from `x`.
    pub(crate) fn add_weight_gradient(&self, x: &[f32], dy: &[f32], dw: &mut Matrix<f32>) {
        let [outputs, inputs] = dw.shape();
        if x.is_empty() || dy.is_empty() {
            return;
        }
        let positions = x.len() / inputs;
        let x_panels = self.packed(positions, inputs, Source::Plain(x));
        let dy_panels = self.packed(positions, outputs, Source::Plain(dy));
        let dw = dw.as_mut_slice();
        transposed_product(self.path, &dy_panels, &x_panels, Accumulate::Add, dw);
    }

    /// `y_p += b` for every row; b has O numbers.
    pub(crate) fn bias_forward(&self, b: &Matrix<f32>, y: &mut Matrix<f32>) {
        let columns = y.columns();
        assert_eq!(b.as_slice().len(), columns, "a bias for each column");
        y.as_mut_slice().par_chunks_mut(64 * columns).for_each(|rows| {
            for row in rows.chunks_exact_mut(columns) {
                row.iter_mut().zip(b.as_slice()).for_each(|(y, b)| *y += b);
            }
        });
    }

    /// `db += Σ_p dy_p`, for each column in the order of the rows, in partial sums of 256 rows.
    pub(crate) fn bias_backward(&self, dy: &[f32], db: &mut Matrix<f32>) {
        let columns = db.as_slice().len();
        if columns == 0 {
            return;
        }
        let blocks = (dy.len() / columns).div_ceil(ROWS_PER_SUM);
        let mut sums = self.scratch.buffer(blocks * columns);
        sums.par_chunks_mut(columns).zip(dy.par_chunks(ROWS_PER_SUM * columns)).for_each(
            |(sum, rows)| {
                self.path.run(ColumnSums { rows, sum });
            },
        );
        for sum in sums.chunks_exact(columns) {
            db.as_mut_slice().iter_mut().zip(sum).for_each(|(db, sum)| *db += sum);
        }
    }
}

struct ColumnSums<'a> {
    rows: &'a [f32],
    sum: &'a mut [f32],
}

impl Kernel for ColumnSums<'_> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        self.sum.fill(0.0);
        for row in self.rows.chunks_exact(self.sum.len()) {
            for (sum, row) in self.sum.chunks_mut(L::WIDTH).zip(row.chunks(L::WIDTH)) {
                let total = lanes.add(lanes.load_partial(sum), lanes.load_partial(row));
                lanes.store_partial(total, sum);
            }
        }
    }
}

/// Shapes a result that is to be replaced, and checks one that is to be added to.
pub(crate) fn shape_result(
    accumulate: Accumulate,
    y: &mut Matrix<f32>,
    rows: usize,
    columns: usize,
) {
    match accumulate {
        Accumulate::Replace => y.resize(rows, columns),
        Accumulate::Add => assert_eq!(y.shape(), [rows, columns], "the result to be added to"),
    }
}
