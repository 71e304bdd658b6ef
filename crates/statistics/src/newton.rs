//! Newton's method for models of one line: a loss of η a case, and a penalty.
//!
//! ```text
//!     L(β) = Σ_i ℓ_i(η_i) + ½ λ Σ_{k ≥ 1} β_k²          η_i = β_0 + Σ_k β_k z_ik
//!     g    = Σ_i ℓ_i′ z_i + λ β       H = Σ_i ℓ_i″ z_i z_iᵀ + λ I       (λ not for β_0)
//!     β   ← β − s H⁻¹ g               s = 1, ½, ¼, … until L falls by enough
//! ```
//!
//! For the losses here (logistic, Poisson), which have their canonical link, this is iteratively
//! reweighted least squares.

use crate::error::Error;
use crate::linear::{Columns, solve};

/// Steps at most; a fit that exists takes about ten.
const STEPS: usize = 100;
/// Halvings of a step at most: after so many it is rounding.
const HALVINGS: usize = 40;
/// The gain that the next step promises (half of gᵀH⁻¹g), beside the loss, at which the fit is done.
const DONE: f64 = 1e-13;
/// How much of the promised gain a step has to bring.
const ENOUGH: f64 = 1e-4;

/// ℓ of a case and its first and second derivative by η.
pub(crate) struct Loss {
    pub(crate) value: f64,
    pub(crate) slope: f64,
    pub(crate) curvature: f64,
}

/// L, g and H at one β.
struct Point {
    beta: Vec<f64>,
    loss: f64,
    gradient: Vec<f64>,
    hessian: Vec<f64>,
}

/// The β with the least L, intercept first; it starts from `intercept` alone.
///
/// # Errors
///
/// [`Error::Singular`], or [`Error::Diverged`] where no step leads down any more, or steps do not
/// come to an end.
pub(crate) fn fit(
    columns: &Columns<'_>,
    penalty: f64,
    intercept: f64,
    model: &'static str,
    loss: impl Fn(usize, f64) -> Loss + Sync,
) -> Result<Vec<f64>, Error> {
    let diverged = Error::Diverged { model, remedy: "use a larger penalty" };
    let mut start = vec![0.0; columns.kept() + 1];
    start[0] = intercept;
    let mut here = point(columns, penalty, start, &loss);
    for _ in 0..STEPS {
        let mut step = here.gradient.clone();
        solve(&mut here.hessian, &mut step)?;
        let gain: f64 = step.iter().zip(&here.gradient).map(|(s, g)| s * g).sum();
        let moved = |part: f64| -> Vec<f64> {
            here.beta.iter().zip(&step).map(|(b, s)| b - part * s).collect()
        };
        // The loss can no longer tell one step from the next; the coefficients can.
        if 0.5 * gain <= DONE * (1.0 + here.loss.abs()) {
            return Ok(moved(1.0));
        }
        let next = (0..HALVINGS).find_map(|halvings| {
            let part = 0.5f64.powi(halvings as i32);
            let next = point(columns, penalty, moved(part), &loss);
            // A loss that is not a number is never less.
            (next.loss <= here.loss - ENOUGH * part * gain).then_some(next)
        });
        match next {
            Some(next) => here = next,
            None => return Err(diverged),
        }
    }
    Err(diverged)
}

fn point(
    columns: &Columns<'_>,
    penalty: f64,
    beta: Vec<f64>,
    loss: &(impl Fn(usize, f64) -> Loss + Sync),
) -> Point {
    let n = beta.len();
    let add = |sum: &mut [f64], case: usize, row: &[f64]| {
        let eta = row.iter().zip(&beta).map(|(z, b)| z * b).sum();
        let Loss { value, slope, curvature } = loss(case, eta);
        sum[0] += value;
        for (k, &z) in row.iter().enumerate() {
            sum[1 + k] += slope * z;
            // The lower triangle is enough.
            let line = &mut sum[1 + n + k * n..][..=k];
            line.iter_mut().zip(row).for_each(|(sum, other)| *sum += curvature * z * other);
        }
    };
    let mut sum = columns.sum(1 + n + n * n, add);
    let mut hessian = sum.split_off(1 + n);
    let mut gradient = sum.split_off(1);
    let mut value = sum[0];
    for (k, &b) in beta.iter().enumerate().skip(1) {
        value += 0.5 * penalty * b * b;
        gradient[k] += penalty * b;
        hessian[k * n + k] += penalty;
    }
    Point { beta, loss: value, gradient, hessian }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    /// Squared error is its own second-order expansion: one step is the answer.
    #[test]
    fn a_parabola_takes_one_step() {
        let x = Array2::from_shape_fn((20, 2), |(row, column)| {
            (1.3 * row as f64 + 0.7 * column as f64).sin()
        });
        let y: Vec<f64> = (0..20).map(|row| 1.0 + (0.9 * f64::from(row)).cos()).collect();
        let columns = Columns::new(x.view(), 20, "a line").unwrap();
        let loss = |case: usize, eta: f64| {
            let error: f64 = eta - y[case];
            Loss { value: 0.5 * error * error, slope: error, curvature: 1.0 }
        };
        let found = fit(&columns, 0.5, 0.0, "a line", loss).unwrap();
        let there = point(&columns, 0.5, found.clone(), &loss);
        assert!(there.gradient.iter().all(|g| g.abs() < 1e-12), "{:?}", there.gradient);
        // The intercept is not drawn to zero: all other columns are centred.
        assert!((found[0] - y.iter().sum::<f64>() / 20.0).abs() < 1e-13);
    }

    #[test]
    fn a_loss_without_end_is_an_error() {
        let x = Array2::from_shape_fn((4, 1), |(row, _)| row as f64);
        let columns = Columns::new(x.view(), 4, "a line").unwrap();
        let loss = |_: usize, eta: f64| Loss { value: -eta, slope: -1.0, curvature: 1e-3 };
        assert!(matches!(fit(&columns, 0.0, 0.0, "x", loss), Err(Error::Diverged { .. })));
        let loss = |_: usize, _: f64| Loss { value: f64::NAN, slope: 1.0, curvature: 1.0 };
        assert!(matches!(fit(&columns, 0.0, 0.0, "x", loss), Err(Error::Diverged { .. })));
    }
}
