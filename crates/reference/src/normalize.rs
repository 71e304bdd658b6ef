//! Vectors brought to one length.

use ndarray::{ArrayView2, ArrayViewMut2, NdFloat};

use crate::{dot, real};

/// Keeps the norm of a vector of zeros away from zero.
const FLOOR: f64 = 1e-12;

/// Brings every row to the length `scale`.
///
/// ```text
///     norm_p = √(Σ_e x_pe² + 1e-12)
///     y_p    = scale · x_p / norm_p
/// ```
///
/// # Shapes
///
/// | argument | shape    | on entry        | on return |
/// |----------|----------|-----------------|-----------|
/// | `scale`  |          | the new length  |           |
/// | `x`      | `[N, E]` | one vector a row| untouched |
/// | `y`      | `[N, E]` | anything        | replaced  |
/// | `norm`   | `[N, 1]` | anything        | replaced  |
pub fn normalize_forward<S: NdFloat>(
    scale: f32,
    x: ArrayView2<'_, S>,
    mut y: ArrayViewMut2<'_, S>,
    mut norm: ArrayViewMut2<'_, S>,
) {
    debug_assert_eq!(y.dim(), x.dim(), "y is [N, E]");
    debug_assert_eq!(norm.dim(), (x.nrows(), 1), "norm is [N, 1]");

    let scale: S = real(scale);
    for (p, x) in x.rows().into_iter().enumerate() {
        norm[[p, 0]] = (dot(x, x) + real(FLOOR)).sqrt();
        for (y, &x) in y.row_mut(p).iter_mut().zip(x) {
            *y = scale * x / norm[[p, 0]];
        }
    }
}

/// Undoes [`normalize_forward`]: what pulls a vector along its own direction is lost, the rest
/// passes, divided by the norm.
///
/// ```text
///     y_p  = scale · x_p / norm_p
///     dx_p = (scale · dy_p − y_p (y_p · dy_p) / scale) / norm_p
/// ```
///
/// # Shapes
///
/// | argument | shape    | on entry            | on return |
/// |----------|----------|---------------------|-----------|
/// | `scale`  |          | as forward read it  |           |
/// | `y`      | `[N, E]` | as forward left it  | untouched |
/// | `norm`   | `[N, 1]` | as forward left it  | untouched |
/// | `dy`     | `[N, E]` | ∂L/∂y               | untouched |
/// | `dx`     | `[N, E]` | anything            | replaced  |
pub fn normalize_backward<S: NdFloat>(
    scale: f32,
    y: ArrayView2<'_, S>,
    norm: ArrayView2<'_, S>,
    dy: ArrayView2<'_, S>,
    mut dx: ArrayViewMut2<'_, S>,
) {
    debug_assert_eq!(dy.dim(), y.dim(), "dy is [N, E]");
    debug_assert_eq!(dx.dim(), y.dim(), "dx is [N, E]");
    debug_assert_eq!(norm.dim(), (y.nrows(), 1), "norm is [N, 1]");

    let scale: S = real(scale);
    for p in 0..y.nrows() {
        let along = dot(y.row(p), dy.row(p)) / scale;
        for e in 0..y.ncols() {
            dx[[p, e]] = (scale * dy[[p, e]] - y[[p, e]] * along) / norm[[p, 0]];
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    #[test]
    fn a_row_gets_the_length_asked_for_and_a_row_of_zeros_stays() {
        let x = array![[3.0, 4.0], [0.0, 0.0]];
        let (mut y, mut norm) = (testkit::nan((2, 2)), testkit::nan((2, 1)));
        normalize_forward(2.0, x.view(), y.view_mut(), norm.view_mut());
        let expected = array![[1.2, 1.6], [0.0, 0.0]];
        assert!((&y - &expected).iter().all(|off: &f64| off.abs() < 1e-12), "{y}");
        assert!((norm[[0, 0]] - 5.0).abs() < 1e-12 && norm[[1, 0]] == 1e-6, "{norm}");

        let mut dx = testkit::nan((2, 2));
        let dy = Array2::ones((2, 2));
        normalize_backward(2.0, y.view(), norm.view(), dy.view(), dx.view_mut());
        assert!(dx.iter().all(|dx| dx.is_finite()), "{dx}");
    }
}
