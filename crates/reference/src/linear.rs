//! Products of matrices: one forward, two backward.
//!
//! A linear map has one weight matrix and no bias; where a layer has one, it is a row added to
//! every position. All three products are the same triple sum read along another axis.

use layout::Accumulate;
use ndarray::{ArrayView2, ArrayViewMut2, NdFloat};

use crate::dot;

/// Maps every position by one weight matrix.
///
/// ```text
///     y = x·wᵀ          y[n, o] = Σ_i x[n, i] w[o, i]
/// ```
///
/// # Shapes
///
/// | argument | shape    | on entry                       | on return                        |
/// |----------|----------|--------------------------------|----------------------------------|
/// | `w`      | `[O, I]` | weights                        | untouched                        |
/// | `x`      | `[N, I]` | one input a row                | untouched                        |
/// | `y`      | `[N, O]` | read where `accumulate` is Add | replaced or added to             |
pub fn linear_forward<S: NdFloat>(
    w: ArrayView2<'_, S>,
    x: ArrayView2<'_, S>,
    accumulate: Accumulate,
    mut y: ArrayViewMut2<'_, S>,
) {
    let (rows, outputs) = y.dim();
    debug_assert_eq!(w.dim(), (outputs, x.ncols()), "w is [O, I]");
    debug_assert_eq!(x.nrows(), rows, "x is [N, I]");

    for n in 0..rows {
        for o in 0..outputs {
            let product =
                x.row(n).iter().zip(w.row(o)).fold(S::zero(), |sum, (&x, &w)| sum + x * w);
            put(&mut y[[n, o]], accumulate, product);
        }
    }
}

/// Takes the gradient of the outputs of [`linear_forward`] back to its inputs.
///
/// ```text
///     y  = x·wᵀ
///     dx = dy·w         dx[n, i] = Σ_o dy[n, o] w[o, i]
/// ```
///
/// # Shapes
///
/// | argument | shape    | on entry                       | on return                        |
/// |----------|----------|--------------------------------|----------------------------------|
/// | `w`      | `[O, I]` | as forward read it             | untouched                        |
/// | `dy`     | `[N, O]` | ∂L/∂y                          | untouched                        |
/// | `dx`     | `[N, I]` | read where `accumulate` is Add | replaced or added to             |
pub fn linear_backward_input<S: NdFloat>(
    w: ArrayView2<'_, S>,
    dy: ArrayView2<'_, S>,
    accumulate: Accumulate,
    mut dx: ArrayViewMut2<'_, S>,
) {
    let (rows, inputs) = dx.dim();
    debug_assert_eq!(w.dim(), (dy.ncols(), inputs), "w is [O, I]");
    debug_assert_eq!(dy.nrows(), rows, "dy is [N, O]");

    for n in 0..rows {
        for i in 0..inputs {
            put(&mut dx[[n, i]], accumulate, dot(dy.row(n), w.column(i)));
        }
    }
}

/// Takes the gradient of the outputs of [`linear_forward`] back to its weights.
///
/// ```text
///     y   = x·wᵀ
///     dw += dyᵀ·x       dw[o, i] += Σ_n dy[n, o] x[n, i]
/// ```
///
/// # Shapes
///
/// | argument | shape    | on entry                       | on return                        |
/// |----------|----------|--------------------------------|----------------------------------|
/// | `x`      | `[N, I]` | as forward read it             | untouched                        |
/// | `dy`     | `[N, O]` | ∂L/∂y                          | untouched                        |
/// | `dw`     | `[O, I]` | what other uses of `w` gave    | added to                         |
pub fn linear_backward_weights<S: NdFloat>(
    x: ArrayView2<'_, S>,
    dy: ArrayView2<'_, S>,
    mut dw: ArrayViewMut2<'_, S>,
) {
    debug_assert_eq!(dw.dim(), (dy.ncols(), x.ncols()), "dw is [O, I]");
    debug_assert_eq!(dy.nrows(), x.nrows(), "x and dy have the same rows");

    for ((o, i), dw) in dw.indexed_iter_mut() {
        *dw += dot(dy.column(o), x.column(i));
    }
}

/// Adds one bias row to every position.
///
/// ```text
///     y[n, o] += b[o]
/// ```
///
/// # Shapes
///
/// | argument | shape    | on entry         | on return |
/// |----------|----------|------------------|-----------|
/// | `b`      | `[1, O]` | bias             | untouched |
/// | `y`      | `[N, O]` | without the bias | added to  |
pub fn bias_forward<S: NdFloat>(b: ArrayView2<'_, S>, mut y: ArrayViewMut2<'_, S>) {
    debug_assert_eq!(b.dim(), (1, y.ncols()), "b is [1, O]");
    y += &b;
}

/// Takes the gradient of what [`bias_forward`] has made back to the bias: every position has read
/// it once.
///
/// ```text
///     db[o] += Σ_n dy[n, o]
/// ```
///
/// # Shapes
///
/// | argument | shape    | on entry                    | on return |
/// |----------|----------|-----------------------------|-----------|
/// | `dy`     | `[N, O]` | ∂L/∂y                       | untouched |
/// | `db`     | `[1, O]` | what other uses of `b` gave | added to  |
pub fn bias_backward<S: NdFloat>(dy: ArrayView2<'_, S>, mut db: ArrayViewMut2<'_, S>) {
    debug_assert_eq!(db.dim(), (1, dy.ncols()), "db is [1, O]");
    for ((_, o), db) in db.indexed_iter_mut() {
        *db += dy.column(o).iter().fold(S::zero(), |sum, &dy| sum + dy);
    }
}

fn put<S: NdFloat>(result: &mut S, accumulate: Accumulate, value: S) {
    match accumulate {
        Accumulate::Replace => *result = value,
        Accumulate::Add => *result += value,
    }
}

#[cfg(test)]
mod tests {
    use layout::Accumulate::{Add, Replace};
    use ndarray::{Array2, array};

    use super::*;

    /// Whole numbers: every product is exact, so equality may be asked for.
    #[test]
    fn the_three_products_on_whole_numbers() {
        let (w, x) = (array![[1.0f32, 2.0, 3.0], [0.0, -1.0, 4.0]], array![[1.0, 0.0, 2.0]]);
        let mut y = Array2::from_elem((1, 2), f32::NAN);
        linear_forward(w.view(), x.view(), Replace, y.view_mut());
        assert_eq!(y, array![[7.0, 8.0]]);
        linear_forward(w.view(), x.view(), Add, y.view_mut());
        bias_forward(array![[100.0, 200.0]].view(), y.view_mut());
        assert_eq!(y, array![[114.0, 216.0]]);

        let dy = array![[2.0, 3.0]];
        let mut dx = Array2::from_elem((1, 3), f32::NAN);
        linear_backward_input(w.view(), dy.view(), Replace, dx.view_mut());
        assert_eq!(dx, array![[2.0, 1.0, 18.0]]);
        linear_backward_input(w.view(), dy.view(), Add, dx.view_mut());
        assert_eq!(dx, array![[4.0, 2.0, 36.0]]);

        let mut dw = Array2::from_elem((2, 3), 1.0);
        linear_backward_weights(x.view(), dy.view(), dw.view_mut());
        assert_eq!(dw, array![[3.0, 1.0, 5.0], [4.0, 1.0, 7.0]]);
        let mut db = array![[10.0, 20.0]];
        bias_backward(dy.view(), db.view_mut());
        assert_eq!(db, array![[12.0, 23.0]]);
    }
}
