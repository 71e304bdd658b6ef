//! Central differences: is a gradient the slope it says it is?

use ndarray::Array2;

use crate::tolerance::GRADIENT;

/// Holds one analytic gradient against central differences of `loss`, entry by entry.
///
/// ```text
///     (loss(x + step) − loss(x − step)) / (2 · step),      step = ε^(1/3)
/// ```
///
/// Returns the worst error as a share of the allowance. That step balances truncation, which grows with its square, against rounding, which grows as it
/// shrinks; what is left is near ε^(2/3) ≈ 4e-11 for a loss of size one.
///
/// # Panics
///
/// Where an entry is off by more than [`GRADIENT`] of the larger of 1 and its size, or where the
/// loss does not depend on `at` at all: such a check could not fail.
pub fn assert_gradient(
    name: &str,
    analytic: &Array2<f64>,
    at: &Array2<f64>,
    loss: impl Fn(&Array2<f64>) -> f64,
) -> f64 {
    assert_eq!(analytic.dim(), at.dim(), "{name} has the shape of what it belongs to");
    let step = f64::EPSILON.cbrt();
    let (mut largest, mut worst) = (0f64, 0f64);
    for (index, &expected) in analytic.indexed_iter() {
        let mut moved = at.clone();
        moved[index] = at[index] + step;
        let above = loss(&moved);
        moved[index] = at[index] - step;
        let below = loss(&moved);

        let numeric = (above - below) / (2.0 * step);
        let error = (expected - numeric).abs() / expected.abs().max(1.0);
        assert!(
            error <= GRADIENT,
            "{name}{index:?}: analytic {expected:.12e}, numeric {numeric:.12e}, error {error:.1e}, \
             {:.0} % of the allowance",
            100.0 * error / GRADIENT,
        );
        worst = worst.max(error / GRADIENT);
        largest = largest.max(numeric.abs());
    }
    assert!(largest > 1e-3, "{name}: the loss hardly depends on it ({largest:.1e})");
    worst
}

/// [`assert_gradient`] for a loss of several tensors: each is moved while the others stand still.
///
/// # Panics
///
/// As [`assert_gradient`], for the first tensor that fails.
pub fn assert_gradients<const K: usize>(
    names: [&str; K],
    analytic: &[Array2<f64>; K],
    at: &[Array2<f64>; K],
    loss: impl Fn(&[Array2<f64>; K]) -> f64,
) -> f64 {
    let mut worst = 0f64;
    for k in 0..K {
        let share = assert_gradient(names[k], &analytic[k], &at[k], |moved| {
            let mut inputs = at.clone();
            inputs[k].assign(moved);
            loss(&inputs)
        });
        worst = worst.max(share);
    }
    worst
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn the_slope_of_a_cube_passes() {
        let at = array![[0.5, -1.5]];
        assert_gradient("dx", &at.mapv(|x: f64| 3.0 * x * x), &at, |x| x.mapv(|x| x * x * x).sum());
    }

    #[test]
    #[should_panic(expected = "dx(0, 1)")]
    fn a_wrong_entry_is_named() {
        let at = array![[0.5, -1.5]];
        let wrong = array![[0.75, 6.750_001]];
        assert_gradient("dx", &wrong, &at, |x| x.mapv(|x| x * x * x).sum());
    }

    #[test]
    #[should_panic(expected = "hardly depends")]
    fn a_loss_that_does_not_look_is_refused() {
        let at = array![[0.5, -1.5]];
        assert_gradient("dx", &Array2::zeros((1, 2)), &at, |_| 7.0);
    }
}
