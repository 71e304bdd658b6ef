//! Products with a weight matrix. Equations: `reference::linear_forward` and its two backwards.

use crate::Cpu;
use crate::panel::Source;
use crate::product::{product, transposed_product};
use layout::{Accumulate, Matrix};
use rayon::prelude::*;

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
        let ([outputs, inputs], positions) = (dw.shape(), x.rows());
        assert_eq!([dy.columns(), x.columns()], [outputs, inputs], "dw is [O, I]");
        if positions == 0 {
            return;
        }
        let x_panels = self.packed(positions, inputs, Source::Plain(x.as_slice()));
        let dy_panels = self.packed(positions, outputs, Source::Plain(dy.as_slice()));
        transposed_product(self.path, &dy_panels, &x_panels, Accumulate::Add, dw.as_mut_slice());
    }

    /// `y_p += b` for every row; b has O numbers.
    pub(crate) fn bias_forward(&self, b: &[f32], y: &mut [f32]) {
        assert!(y.is_empty() || y.len().is_multiple_of(b.len()), "rows of a number for each bias");
        y.par_chunks_mut(64 * b.len().max(1)).for_each(|rows| {
            for row in rows.chunks_exact_mut(b.len()) {
                row.iter_mut().zip(b).for_each(|(y, b)| *y += b);
            }
        });
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
