//! Ridge regression: a line with a price on its slopes.

use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use crate::error::{Error, check_finite};
use crate::linear::{Columns, Line, check_penalty, solve};

/// A fitted ridge regression.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ridge {
    /// η is the prediction.
    pub line: Line,
}

impl Ridge {
    /// Fits `targets`, one a row of `x` `[N, K]`.
    ///
    /// ```text
    ///     least  Σ_i (y_i − β_0 − Σ_k β_k z_ik)² + λ Σ_k β_k²        z = columns of mean 0, variance 1
    ///     (ZᵀZ + λ I) β = Zᵀ y,   β_0 = ȳ
    /// ```
    ///
    /// λ is `penalty`; 0 is least squares. A constant column gets coefficient 0.
    ///
    /// # Errors
    ///
    /// [`Error::Lengths`]; [`Error::Cell`] or [`Error::Value`] for numbers that are not finite;
    /// [`Error::Setting`] for a negative penalty; [`Error::TooFew`] without cases;
    /// [`Error::Singular`] where columns depend on each other and the penalty is 0.
    ///
    /// # Source
    ///
    /// A. Hoerl, R. Kennard, "Ridge regression: biased estimation for nonorthogonal problems",
    /// Technometrics 12, 1970.
    pub fn fit(x: ArrayView2<'_, f64>, targets: &[f64], penalty: f64) -> Result<Self, Error> {
        check_penalty(penalty)?;
        check_finite("targets", targets)?;
        let columns = Columns::new(x, targets.len(), "ridge regression")?;
        let mean = targets.iter().map(|y| y / targets.len() as f64).sum::<f64>();
        let n = columns.kept();
        let add = |sum: &mut [f64], case: usize, row: &[f64]| {
            for (k, &z) in row[1..].iter().enumerate() {
                sum[k] += z * (targets[case] - mean);
                let line = &mut sum[n + k * n..][..=k];
                line.iter_mut().zip(&row[1..]).for_each(|(sum, other)| *sum += z * other);
            }
        };
        let mut right = columns.sum(n + n * n, add);
        let mut left = right.split_off(n);
        (0..n).for_each(|k| left[k * n + k] += penalty);
        solve(&mut left, &mut right)?;
        right.insert(0, mean);
        Ok(Self { line: columns.line(&right) })
    }

    /// The prediction for each row of `x`, `[N, K]`.
    ///
    /// # Errors
    ///
    /// Those of [`Line::at`].
    pub fn predict(&self, x: ArrayView2<'_, f64>) -> Result<Vec<f64>, Error> {
        self.line.all(x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear::tests::{close, design, targets};
    use ndarray::{Array2, array};

    // scikit-learn 1.9.1: make_pipeline(StandardScaler(), Ridge(alpha=2.5)) of `design`, `targets`.
    #[test]
    fn scikit_learn_agrees() {
        let x = design();
        let found = Ridge::fit(x.view(), &targets(), 2.5).unwrap();
        let predicted = found.predict(x.view()).unwrap();
        close(
            &predicted[..3],
            &[1.6018061179629326, 2.0481868066598574, 0.7401682114482715],
            1e-12,
        );
        let coefficients: Vec<f64> = found.line.terms.iter().map(|term| term.coefficient).collect();
        close(&coefficients, &[0.08730260810473944, 3.0291851287238742, 0.0], 1e-12);
    }

    #[test]
    fn a_line_without_noise_is_found() {
        let x = array![[1e9, 0.0], [1e9 + 1.0, 1.0], [1e9 + 2.0, 5.0], [1e9 + 5.0, 2.0]];
        let y: Vec<f64> =
            x.rows().into_iter().map(|row| 3.0 + 2.0 * (row[0] - 1e9) - row[1]).collect();
        let found = Ridge::fit(x.view(), &y, 0.0).unwrap();
        close(&found.predict(x.view()).unwrap(), &y, 1e-12);
        close(
            &[found.line.terms[0].coefficient, found.line.terms[1].coefficient],
            &[2.0, -1.0],
            1e-12,
        );
    }

    #[test]
    fn columns_that_depend_on_each_other_need_a_penalty() {
        let x = Array2::from_shape_fn((5, 2), |(row, column)| (row * (column + 1)) as f64);
        let y = [0.0, 3.0, 6.0, 9.0, 12.0];
        assert_eq!(Ridge::fit(x.view(), &y, 0.0), Err(Error::Singular));
        let found = Ridge::fit(x.view(), &y, 1e-6).unwrap();
        // 3 shared out by how far each column reaches.
        let parts: Vec<f64> =
            found.line.terms.iter().zip([1.0, 2.0]).map(|(t, unit)| t.coefficient * unit).collect();
        close(&parts, &[1.5, 1.5], 1e-5);
    }

    #[test]
    fn nothing_but_constants_leaves_the_mean() {
        let x = Array2::from_elem((3, 2), 4.0);
        let found = Ridge::fit(x.view(), &[1.0, 2.0, 6.0], 0.0).unwrap();
        close(&found.predict(x.view()).unwrap(), &[3.0; 3], 1e-15);
        let none = Ridge::fit(Array2::zeros((3, 0)).view(), &[1.0, 2.0, 6.0], 0.0).unwrap();
        assert!(none.line.terms.is_empty());
    }

    #[test]
    fn it_comes_back_from_json_bit_for_bit() {
        let found = Ridge::fit(design().view(), &targets(), 1.0).unwrap();
        let text = serde_json::to_string(&found).unwrap();
        assert_eq!(serde_json::from_str::<Ridge>(&text).unwrap(), found);
    }

    #[test]
    fn wrong_numbers_are_named() {
        let x = design();
        let fit = |y: &[f64], penalty| Ridge::fit(x.view(), y, penalty);
        assert!(matches!(fit(&[1.0], 1.0), Err(Error::Lengths { .. })));
        let mut y = targets();
        assert!(matches!(fit(&y, -1.0), Err(Error::Setting { .. })));
        y[3] = f64::NAN;
        assert!(matches!(fit(&y, 1.0), Err(Error::Value { index: 3, .. })));
    }
}
