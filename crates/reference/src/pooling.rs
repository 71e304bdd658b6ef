//! The mean of everything a row has seen so far: causal, so that every position may be a target.

use layout::Steps;
use ndarray::{ArrayView2, ArrayViewMut2, NdFloat};

use crate::real;

/// Replaces every position by the mean of its row up to and including it.
///
/// ```text
///     y_t = (x_0 + … + x_t) / (t + 1)
/// ```
///
/// # Shapes
///
/// | argument | shape    | on entry                    | on return |
/// |----------|----------|-----------------------------|-----------|
/// | `steps`  |          | how the rows lie            | untouched |
/// | `x`      | `[N, E]` | one vector a position       | untouched |
/// | `y`      | `[N, E]` | anything                    | replaced  |
pub fn running_mean_forward<S: NdFloat>(
    steps: &Steps,
    x: ArrayView2<'_, S>,
    mut y: ArrayViewMut2<'_, S>,
) {
    debug_assert_eq!(x.nrows(), steps.positions(), "x is [N, E]");
    debug_assert_eq!(y.dim(), x.dim(), "y is [N, E]");

    for b in 0..steps.batch() {
        for e in 0..x.ncols() {
            let mut sum = S::zero();
            for (t, p) in steps.row(b).enumerate() {
                sum += x[[p, e]];
                y[[p, e]] = sum / count(t);
            }
        }
    }
}

/// Undoes [`running_mean_forward`]: a position is in its own mean and in all later ones.
///
/// ```text
///     y_s  = (x_0 + … + x_s) / (s + 1)
///     dx_t = Σ_{s ≥ t} dy_s / (s + 1)
/// ```
///
/// # Shapes
///
/// | argument | shape    | on entry           | on return |
/// |----------|----------|--------------------|-----------|
/// | `steps`  |          | as forward read it | untouched |
/// | `dy`     | `[N, E]` | ∂L/∂y              | untouched |
/// | `dx`     | `[N, E]` | anything           | replaced  |
pub fn running_mean_backward<S: NdFloat>(
    steps: &Steps,
    dy: ArrayView2<'_, S>,
    mut dx: ArrayViewMut2<'_, S>,
) {
    debug_assert_eq!(dy.nrows(), steps.positions(), "dy is [N, E]");
    debug_assert_eq!(dx.dim(), dy.dim(), "dx is [N, E]");

    for b in 0..steps.batch() {
        for e in 0..dy.ncols() {
            let mut sum = S::zero();
            for t in (0..steps.length(b)).rev() {
                let p = steps.position(t, b);
                sum += dy[[p, e]] / count(t);
                dx[[p, e]] = sum;
            }
        }
    }
}

fn count<S: NdFloat>(t: usize) -> S {
    real((t + 1) as f64)
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    /// Rows 2 4 9 and 6 0, packed: 2 6 | 4 0 | 9.
    #[test]
    fn a_mean_sees_its_own_row_and_nothing_later() {
        let steps = Steps::from_lengths(&[3, 2]);
        let x = array![[2.0], [6.0], [4.0], [0.0], [9.0]];
        let mut y = Array2::from_elem((5, 1), f64::NAN);
        running_mean_forward(&steps, x.view(), y.view_mut());
        assert_eq!(y, array![[2.0], [6.0], [3.0], [3.0], [5.0]]);
    }
}
