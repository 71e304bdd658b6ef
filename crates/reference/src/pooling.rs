//! Many positions of a row made one vector: their mean, or the largest of each column.
//!
//! Each in two forms. The *running* one is causal: a position sees itself and what stands before it, so
//! that every position may be a target. The *row* one sees the whole row and gives one answer for it, for
//! tasks that ask once per user; at the last position of a row the two are the same.

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

/// Replaces every position, column by column, by the largest entry of its row up to and including it.
///
/// ```text
///     y_t = max(x_0, …, x_t)
/// ```
///
/// # Shapes
///
/// | argument | shape    | on entry                    | on return |
/// |----------|----------|-----------------------------|-----------|
/// | `steps`  |          | how the rows lie            | untouched |
/// | `x`      | `[N, E]` | one vector a position       | untouched |
/// | `y`      | `[N, E]` | anything                    | replaced  |
pub fn running_max_forward<S: NdFloat>(
    steps: &Steps,
    x: ArrayView2<'_, S>,
    mut y: ArrayViewMut2<'_, S>,
) {
    debug_assert_eq!(x.nrows(), steps.positions(), "x is [N, E]");
    debug_assert_eq!(y.dim(), x.dim(), "y is [N, E]");

    for b in 0..steps.batch() {
        for e in 0..x.ncols() {
            let mut largest = x[[steps.position(0, b), e]];
            for p in steps.row(b) {
                if x[[p, e]] > largest {
                    largest = x[[p, e]];
                }
                y[[p, e]] = largest;
            }
        }
    }
}

/// Undoes [`running_max_forward`]: a position has made its own answer where that rose there, and all
/// later ones until it rises again. Of equal entries the earliest has made it.
///
/// ```text
///     y_s  = x_t          for t ≤ s < the next rise after t, where y rises at t (y_t > y_{t−1}, or t = 0)
///     dx_t = Σ dy_s       over those s; 0 where y does not rise at t
/// ```
///
/// # Shapes
///
/// | argument | shape    | on entry            | on return |
/// |----------|----------|---------------------|-----------|
/// | `steps`  |          | as forward read it  | untouched |
/// | `y`      | `[N, E]` | as forward left it  | untouched |
/// | `dy`     | `[N, E]` | ∂L/∂y               | untouched |
/// | `dx`     | `[N, E]` | anything            | replaced  |
pub fn running_max_backward<S: NdFloat>(
    steps: &Steps,
    y: ArrayView2<'_, S>,
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
                sum += dy[[p, e]];
                dx[[p, e]] = S::zero();
                if t == 0 || y[[p, e]] > y[[steps.position(t - 1, b), e]] {
                    dx[[p, e]] = sum;
                    sum = S::zero();
                }
            }
        }
    }
}

/// The mean of all positions of each row.
///
/// ```text
///     y_b = (x_0 + … + x_{T−1}) / T          T the length of row b
/// ```
///
/// # Shapes
///
/// | argument | shape    | on entry              | on return |
/// |----------|----------|-----------------------|-----------|
/// | `steps`  |          | how the rows lie      | untouched |
/// | `x`      | `[N, E]` | one vector a position | untouched |
/// | `y`      | `[B, E]` | anything              | replaced  |
pub fn row_mean_forward<S: NdFloat>(
    steps: &Steps,
    x: ArrayView2<'_, S>,
    mut y: ArrayViewMut2<'_, S>,
) {
    debug_assert_eq!(x.nrows(), steps.positions(), "x is [N, E]");
    debug_assert_eq!(y.dim(), (steps.batch(), x.ncols()), "y is [B, E]");

    for ((b, e), y) in y.indexed_iter_mut() {
        let sum = steps.row(b).fold(S::zero(), |sum, p| sum + x[[p, e]]);
        *y = sum / real(steps.length(b) as f64);
    }
}

/// Undoes [`row_mean_forward`].
///
/// ```text
///     dx_t = dy_b / T                        at every position of row b
/// ```
///
/// # Shapes
///
/// | argument | shape    | on entry           | on return |
/// |----------|----------|--------------------|-----------|
/// | `steps`  |          | as forward read it | untouched |
/// | `dy`     | `[B, E]` | ∂L/∂y              | untouched |
/// | `dx`     | `[N, E]` | anything           | replaced  |
pub fn row_mean_backward<S: NdFloat>(
    steps: &Steps,
    dy: ArrayView2<'_, S>,
    mut dx: ArrayViewMut2<'_, S>,
) {
    debug_assert_eq!(dy.nrows(), steps.batch(), "dy is [B, E]");
    debug_assert_eq!(dx.dim(), (steps.positions(), dy.ncols()), "dx is [N, E]");

    for ((b, e), &dy) in dy.indexed_iter() {
        for p in steps.row(b) {
            dx[[p, e]] = dy / real(steps.length(b) as f64);
        }
    }
}

/// The largest entry of each row, column by column.
///
/// ```text
///     y_b = max(x_0, …, x_{T−1})
/// ```
///
/// # Shapes
///
/// | argument | shape    | on entry              | on return |
/// |----------|----------|-----------------------|-----------|
/// | `steps`  |          | how the rows lie      | untouched |
/// | `x`      | `[N, E]` | one vector a position | untouched |
/// | `y`      | `[B, E]` | anything              | replaced  |
pub fn row_max_forward<S: NdFloat>(
    steps: &Steps,
    x: ArrayView2<'_, S>,
    mut y: ArrayViewMut2<'_, S>,
) {
    debug_assert_eq!(x.nrows(), steps.positions(), "x is [N, E]");
    debug_assert_eq!(y.dim(), (steps.batch(), x.ncols()), "y is [B, E]");

    for ((b, e), y) in y.indexed_iter_mut() {
        let first = x[[steps.position(0, b), e]];
        *y = steps.row(b).fold(first, |y, p| if x[[p, e]] > y { x[[p, e]] } else { y });
    }
}

/// Undoes [`row_max_forward`]: the earliest position that holds the largest entry has made it.
///
/// ```text
///     dx_t = dy_b         where x_t = y_b and no earlier position of row b holds it; 0 elsewhere
/// ```
///
/// # Shapes
///
/// | argument | shape    | on entry           | on return |
/// |----------|----------|--------------------|-----------|
/// | `steps`  |          | as forward read it | untouched |
/// | `x`      | `[N, E]` | as forward read it | untouched |
/// | `y`      | `[B, E]` | as forward left it | untouched |
/// | `dy`     | `[B, E]` | ∂L/∂y              | untouched |
/// | `dx`     | `[N, E]` | anything           | replaced  |
pub fn row_max_backward<S: NdFloat>(
    steps: &Steps,
    x: ArrayView2<'_, S>,
    y: ArrayView2<'_, S>,
    dy: ArrayView2<'_, S>,
    mut dx: ArrayViewMut2<'_, S>,
) {
    debug_assert_eq!(dy.dim(), (steps.batch(), x.ncols()), "dy is [B, E]");
    debug_assert_eq!(y.dim(), dy.dim(), "y is [B, E]");
    debug_assert_eq!(dx.dim(), x.dim(), "dx is [N, E]");

    dx.fill(S::zero());
    for ((b, e), &dy) in dy.indexed_iter() {
        if let Some(p) = steps.row(b).find(|&p| x[[p, e]] == y[[b, e]]) {
            dx[[p, e]] = dy;
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

    /// Rows 2 6 4 6 7 and 5 5: of two equal entries the earlier one has made the answer.
    #[test]
    fn the_largest_entry_is_the_earliest_of_equals() {
        let steps = Steps::from_lengths(&[5, 2]);
        let x = array![[2.0], [5.0], [6.0], [5.0], [4.0], [6.0], [7.0]];
        let mut y = Array2::from_elem((7, 1), f64::NAN);
        running_max_forward(&steps, x.view(), y.view_mut());
        assert_eq!(y, array![[2.0], [5.0], [6.0], [5.0], [6.0], [6.0], [7.0]]);
        let dy = array![[1.0], [10.0], [2.0], [20.0], [4.0], [8.0], [16.0]];
        let mut dx = Array2::from_elem((7, 1), f64::NAN);
        running_max_backward(&steps, y.view(), dy.view(), dx.view_mut());
        assert_eq!(dx, array![[1.0], [30.0], [14.0], [0.0], [0.0], [0.0], [16.0]]);

        let mut largest = Array2::from_elem((2, 1), f64::NAN);
        row_max_forward(&steps, x.view(), largest.view_mut());
        assert_eq!(largest, array![[7.0], [5.0]]);
        let (y, dy) = (largest, array![[3.0], [4.0]]);
        row_max_backward(&steps, x.view(), y.view(), dy.view(), dx.view_mut());
        assert_eq!(dx, array![[0.0], [4.0], [0.0], [0.0], [0.0], [0.0], [3.0]]);
    }

    /// At the last position of a row the causal form has seen all of it.
    #[test]
    fn the_row_forms_are_the_running_ones_at_the_last_position() {
        let steps = Steps::from_lengths(&[4, 3, 1]);
        let x = testkit::wave((8, 3), 0.4);
        let (mut running, mut row) = (testkit::nan((8, 3)), testkit::nan((3, 3)));
        running_mean_forward(&steps, x.view(), running.view_mut());
        row_mean_forward(&steps, x.view(), row.view_mut());
        let last = |running: &Array2<f64>, b| running.row(steps.last(b)).to_owned();
        assert!((0..3).all(|b| last(&running, b) == row.row(b)));
        running_max_forward(&steps, x.view(), running.view_mut());
        row_max_forward(&steps, x.view(), row.view_mut());
        assert!((0..3).all(|b| last(&running, b) == row.row(b)));
    }
}
