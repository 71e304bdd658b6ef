//! Multinomial logistic regression: probabilities of several classes from columns.

use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};

use crate::error::{Error, check_values};
use crate::linear::{Columns, Line, check_penalty};
use crate::minimise::minimise;

/// A fitted multinomial regression.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Multinomial {
    /// A line a class; probabilities are the softmax of their η.
    pub lines: Vec<Line>,
}

impl Multinomial {
    /// Fits the numbers of `classes`, 0 to `count` − 1, one a row of `x` `[N, K]`.
    ///
    /// ```text
    ///     least  Σ_i ( ln Σ_c e^η_ic − η_i,class ) + ½ λ Σ_c Σ_k β_ck²        η_c = β_c0 + Σ_k β_ck z_k
    /// ```
    ///
    /// z are the columns of mean 0 and variance 1; a constant one gets coefficient 0. Every class has
    /// its line: with a penalty above 0 the lines add up to one that is constant.
    ///
    /// # Errors
    ///
    /// [`Error::Lengths`]; [`Error::Cell`] for numbers that are not finite; [`Error::Value`] for a class
    /// out of range; [`Error::Setting`]; [`Error::TooFew`] where a class has no cases;
    /// [`Error::Diverged`] with a penalty of 0.
    ///
    /// # Source
    ///
    /// T. Hastie, R. Tibshirani, J. Friedman, "The elements of statistical learning", 2009, 4.4.
    pub fn fit(
        x: ArrayView2<'_, f64>,
        classes: &[u32],
        count: usize,
        penalty: f64,
    ) -> Result<Self, Error> {
        let model = "multinomial regression";
        check_penalty(penalty)?;
        let columns = Columns::new(x, classes.len(), model)?;
        let numbers: Vec<f64> = classes.iter().map(|&class| f64::from(class)).collect();
        check_values("classes", &numbers, "0 to the number of classes less 1", |class| {
            class < count as f64
        })?;
        let mut cases = vec![0usize; count];
        classes.iter().for_each(|&class| cases[class as usize] += 1);
        if cases.contains(&0) {
            return Err(Error::TooFew { what: "cases of a class", found: 0, model, needed: 1 });
        }

        let (n, width) = (classes.len() as f64, columns.kept() + 1);
        let mut start = vec![0.0; count * width];
        for (class, &cases) in cases.iter().enumerate() {
            start[class * width] = (cases as f64 / n).ln();
        }
        let least = minimise(start, |beta, gradient| {
            let sum = columns.sum(1 + beta.len(), |sum, case, row| {
                let own = classes[case] as usize;
                let mut p: Vec<f64> = beta.chunks_exact(width).map(|line| dot(line, row)).collect();
                let eta = p[own];
                sum[0] += softmax(&mut p) - eta;
                for (class, line) in sum[1..].chunks_exact_mut(width).enumerate() {
                    let slope = p[class] - f64::from(u8::from(class == own));
                    line.iter_mut().zip(row).for_each(|(sum, z)| *sum += slope * z);
                }
            });
            let mut value = sum[0];
            for (k, g) in gradient.iter_mut().enumerate() {
                *g = sum[1 + k];
                if k % width > 0 {
                    *g += penalty * beta[k];
                    value += 0.5 * penalty * beta[k] * beta[k];
                }
                *g /= n;
            }
            value / n
        });
        if !least.converged {
            return Err(Error::Diverged { model, remedy: "use a larger penalty" });
        }
        let lines = least.at.chunks_exact(width).map(|line| columns.line(line)).collect();
        Ok(Self { lines })
    }

    /// The probabilities for each row of `x` `[N, K]`: `[N, C]`.
    ///
    /// # Errors
    ///
    /// Those of [`Line::at`].
    pub fn predict(&self, x: ArrayView2<'_, f64>) -> Result<Array2<f64>, Error> {
        let each: Result<Vec<_>, _> = self.lines.iter().map(|line| line.all(x)).collect();
        let each = each?;
        let mut found = Array2::zeros((x.nrows(), self.lines.len()));
        for (case, mut row) in found.rows_mut().into_iter().enumerate() {
            let mut p: Vec<f64> = each.iter().map(|eta| eta[case]).collect();
            softmax(&mut p);
            row.iter_mut().zip(p).for_each(|(found, p)| *found = p);
        }
        Ok(found)
    }
}

fn dot(line: &[f64], row: &[f64]) -> f64 {
    line.iter().zip(row).map(|(b, z)| b * z).sum()
}

/// From η to probabilities; returns ln Σ e^η.
fn softmax(values: &mut [f64]) -> f64 {
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    values.iter_mut().for_each(|value| *value = (*value - most).exp());
    let sum: f64 = values.iter().sum();
    values.iter_mut().for_each(|value| *value /= sum);
    most + sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear::tests::{close, design, outcomes, targets};
    use crate::logistic::{Logistic, LogisticSettings};
    use ndarray::array;

    fn classes() -> Vec<u32> {
        targets().iter().map(|&y| u32::from(y > 0.5) + u32::from(y > 1.5)).collect()
    }

    // scikit-learn 1.9.1: make_pipeline(StandardScaler(), LogisticRegression(C=1/1.5, tol=1e-12,
    // solver="newton-cg", max_iter=1000)) of `design` and the classes y > 0.5 and y > 1.5 of
    // `targets`: probabilities of the first two cases.
    #[test]
    fn scikit_learn_agrees() {
        let x = design();
        let found = Multinomial::fit(x.view(), &classes(), 3, 1.5).unwrap();
        let p = found.predict(x.view()).unwrap();
        let expected = [
            0.21600383656148855,
            0.14195771804277968,
            0.6420384453957318,
            0.09264219207113555,
            0.015232577914134602,
            0.8921252300147298,
        ];
        let first: Vec<f64> = p.iter().take(6).copied().collect();
        close(&first, &expected, 1e-7);
        assert!(found.lines.iter().all(|line| line.terms[2].coefficient == 0.0));
    }

    /// Two lines share what one has: the price of the same odds is half as high.
    #[test]
    fn two_classes_are_logistic_regression() {
        let x = design();
        let classes: Vec<u32> = outcomes().iter().map(|&outcome| u32::from(outcome)).collect();
        let two = Multinomial::fit(x.view(), &classes, 2, 3.0).unwrap().predict(x.view()).unwrap();
        let settings = LogisticSettings { penalty: 1.5, ..Default::default() };
        let one = Logistic::fit(x.view(), &outcomes(), &settings).unwrap();
        close(&two.column(1).to_vec(), &one.predict(x.view()).unwrap(), 1e-7);
    }

    #[test]
    fn without_columns_probabilities_are_shares() {
        let x = Array2::zeros((4, 0));
        let found = Multinomial::fit(x.view(), &[0, 2, 2, 1], 3, 0.0).unwrap();
        close(
            found.predict(x.view()).unwrap().row(0).as_slice().unwrap(),
            &[0.25, 0.25, 0.5],
            1e-12,
        );
    }

    #[test]
    fn wrong_numbers_are_named() {
        let x = array![[0.0], [1.0]];
        let fit = |classes: &[u32], count| Multinomial::fit(x.view(), classes, count, 1.0);
        assert!(matches!(fit(&[0, 3], 3), Err(Error::Value { index: 1, .. })));
        assert!(matches!(fit(&[0, 2], 3), Err(Error::TooFew { .. })));
        assert!(matches!(fit(&[0], 1), Err(Error::Lengths { .. })));
        assert!(matches!(fit(&[0, 0], 0), Err(Error::Value { index: 0, .. })));
        let found = Multinomial::fit(x.view(), &[0, 1], 2, f64::NAN);
        assert!(matches!(found, Err(Error::Setting { .. })));
        // Separated, and nothing holds the coefficients: an error, or as good as certain.
        if let Ok(found) = Multinomial::fit(x.view(), &[0, 1], 2, 0.0) {
            assert!(found.predict(x.view()).unwrap()[[0, 0]] > 0.999);
        }
    }
}
