//! Poisson regression: the mean of something that is never negative, such as counts or spend.

use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use crate::error::{Error, check_values};
use crate::linear::{Columns, Line, check_penalty};
use crate::newton::{self, Loss};

/// A fitted Poisson regression.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Poisson {
    /// η is the logarithm of the mean.
    pub line: Line,
}

impl Poisson {
    /// Fits `targets`, one a row of `x` `[N, K]`, each 0 or more.
    ///
    /// ```text
    ///     least  Σ_i (e^η_i − y_i η_i) + ½ λ Σ_k β_k²        η = β_0 + Σ_k β_k z_k
    /// ```
    ///
    /// z are the columns of mean 0 and variance 1; a constant one gets coefficient 0. Targets need
    /// not be counts: whatever their distribution, the estimate is consistent if the mean is e^η
    /// (quasi-likelihood), so spend with many zeros will do. Without penalty predictions have the
    /// total of the targets.
    ///
    /// # Errors
    ///
    /// [`Error::Lengths`]; [`Error::Cell`] for numbers that are not finite; [`Error::Value`] for a
    /// target that is negative or not finite; [`Error::Setting`]; [`Error::TooFew`] where no target is
    /// above 0; [`Error::Singular`] and [`Error::Diverged`], which a penalty prevents as a rule.
    ///
    /// # Source
    ///
    /// P. McCullagh, J. Nelder, "Generalized linear models", 1989, chapters 6 and 9; C. Gourieroux, A.
    /// Monfort, A. Trognon, "Pseudo maximum likelihood methods", Econometrica 52, 1984.
    pub fn fit(x: ArrayView2<'_, f64>, targets: &[f64], penalty: f64) -> Result<Self, Error> {
        let model = "Poisson regression";
        check_penalty(penalty)?;
        check_values("targets", targets, "finite numbers from 0", |value| {
            value.is_finite() && value >= 0.0
        })?;
        let columns = Columns::new(x, targets.len(), model)?;
        let mean = targets.iter().map(|y| y / targets.len() as f64).sum::<f64>();
        if mean == 0.0 {
            return Err(Error::TooFew { what: "targets above 0", found: 0, model, needed: 1 });
        }
        let loss = |case: usize, eta: f64| {
            let (y, expected) = (targets[case], eta.exp());
            Loss { value: expected - y * eta, slope: expected - y, curvature: expected }
        };
        let beta = newton::fit(&columns, penalty, mean.ln(), model, loss)?;
        Ok(Self { line: columns.line(&beta) })
    }

    /// The mean for each row of `x`, `[N, K]`; infinite where e^η overflows.
    ///
    /// # Errors
    ///
    /// Those of [`Line::at`].
    pub fn predict(&self, x: ArrayView2<'_, f64>) -> Result<Vec<f64>, Error> {
        Ok(self.line.all(x)?.into_iter().map(f64::exp).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear::tests::{close, design, targets};
    use ndarray::{Array2, array};

    fn spend() -> Vec<f64> {
        targets().iter().map(|y| y.max(0.0)).collect()
    }

    // scikit-learn 1.9.1: make_pipeline(StandardScaler(), PoissonRegressor(alpha=2/30, tol=1e-12,
    // solver="newton-cholesky")) of `design`, `targets` cut at 0: its loss is a mean, ours a sum.
    #[test]
    fn scikit_learn_agrees() {
        let found = Poisson::fit(design().view(), &spend(), 2.0).unwrap();
        let terms = found.line.terms.iter().map(|term| term.coefficient);
        let coefficients: Vec<f64> = std::iter::once(found.line.intercept).chain(terms).collect();
        close(
            &coefficients,
            &[0.060432151649392314, 0.07128323700083149, 2.53883942926831, 0.0],
            1e-10,
        );
    }

    #[test]
    fn without_a_penalty_the_total_is_kept() {
        let found = Poisson::fit(design().view(), &spend(), 0.0).unwrap();
        let predicted: f64 = found.predict(design().view()).unwrap().iter().sum();
        assert!((predicted / spend().iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn two_groups_have_their_means() {
        let x = array![[0.0], [0.0], [1.0], [1.0], [1.0]];
        let found = Poisson::fit(x.view(), &[1.0, 3.0, 0.0, 0.5, 40.0], 0.0).unwrap();
        close(&found.predict(x.view()).unwrap()[1..3], &[2.0, 13.5], 1e-12);
        assert!((found.line.terms[0].coefficient - (13.5f64 / 2.0).ln()).abs() < 1e-12);
    }

    #[test]
    fn a_steep_slope_is_climbed() {
        let x = Array2::from_shape_fn((40, 1), |(row, _)| row as f64);
        let y: Vec<f64> = (0..40).map(|row| (0.5 * f64::from(row)).exp()).collect();
        let found = Poisson::fit(x.view(), &y, 0.0).unwrap();
        let start = found.line.at(&[0.0]).unwrap();
        close(&[found.line.terms[0].coefficient, start], &[0.5, 0.0], 1e-9);
    }

    /// One case in a thousand is a million times as large: a whole first step ends at e^1000.
    #[test]
    fn steps_that_lead_up_are_halved() {
        let x = Array2::from_shape_fn((1000, 1), |(row, _)| f64::from(row == 7));
        let y: Vec<f64> = (0..1000).map(|row| if row == 7 { 1e6 } else { 1.0 }).collect();
        let found = Poisson::fit(x.view(), &y, 0.0).unwrap();
        close(&found.predict(x.view()).unwrap()[6..8], &[1.0, 1e6], 1e-9);
    }

    #[test]
    fn wrong_numbers_are_named() {
        let x = array![[0.0], [1.0]];
        let fit = |y: &[f64], penalty| Poisson::fit(x.view(), y, penalty);
        assert!(matches!(fit(&[1.0, -1.0], 0.0), Err(Error::Value { index: 1, .. })));
        assert!(matches!(fit(&[f64::NAN, 1.0], 0.0), Err(Error::Value { index: 0, .. })));
        assert!(matches!(fit(&[0.0, 0.0], 0.0), Err(Error::TooFew { .. })));
        assert!(matches!(fit(&[1.0], 0.0), Err(Error::Lengths { .. })));
        assert!(matches!(fit(&[1.0, 2.0], -0.5), Err(Error::Setting { .. })));
    }
}
