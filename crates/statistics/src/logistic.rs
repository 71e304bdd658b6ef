//! Logistic regression: the probability of an outcome from columns.

use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use crate::error::{Error, check_setting};
use crate::linear::{Columns, Line, check_penalty};
use crate::newton::{self, Loss};

/// A fitted logistic regression.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Logistic {
    /// η is the logarithm of the odds.
    pub line: Line,
}

/// What a logistic regression is fitted with.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LogisticSettings {
    /// λ; scikit-learn's C is 1/λ. 0 is maximum likelihood.
    pub penalty: f64,
    /// How much a case without the outcome and one with it weigh. Other weights than equal ones make
    /// probabilities that are true of no population: calibrate them, or use them to rank.
    pub class_weights: [f64; 2],
}

impl Default for LogisticSettings {
    /// A penalty of 1, all cases alike.
    fn default() -> Self {
        Self { penalty: 1.0, class_weights: [1.0, 1.0] }
    }
}

impl Logistic {
    /// Fits `outcomes`, one a row of `x` `[N, K]`.
    ///
    /// ```text
    ///     least  Σ_i w_i ln(1 + e^(−s_i η_i)) + ½ λ Σ_k β_k²          s = 1 with the outcome, −1 without
    ///     η = β_0 + Σ_k β_k z_k                  z = columns of mean 0, variance 1
    /// ```
    ///
    /// by Newton's method with steps that are halved where they lead up. A constant column gets
    /// coefficient 0. Where a line separates the outcomes and the penalty is 0, no coefficients are
    /// best: the fit ends where the loss is next to nothing, or with an error.
    ///
    /// # Errors
    ///
    /// [`Error::Lengths`]; [`Error::Cell`] for numbers that are not finite; [`Error::Setting`];
    /// [`Error::TooFew`] where all outcomes are alike; [`Error::Singular`] and [`Error::Diverged`]
    /// with a penalty of 0.
    ///
    /// # Source
    ///
    /// T. Hastie, R. Tibshirani, J. Friedman, "The elements of statistical learning", 2009, 4.4.1.
    pub fn fit(
        x: ArrayView2<'_, f64>,
        outcomes: &[bool],
        settings: &LogisticSettings,
    ) -> Result<Self, Error> {
        let model = "logistic regression";
        check_penalty(settings.penalty)?;
        for weight in settings.class_weights {
            check_setting("class_weights", weight, "finite numbers above 0", |value| {
                value.is_finite() && value > 0.0
            })?;
        }
        let columns = Columns::new(x, outcomes.len(), model)?;
        let positives = outcomes.iter().filter(|&&outcome| outcome).count();
        let negatives = outcomes.len() - positives;
        for (what, found) in
            [("cases with the outcome", positives), ("cases without the outcome", negatives)]
        {
            if found == 0 {
                return Err(Error::TooFew { what, found, model, needed: 1 });
            }
        }
        let [without, with] = settings.class_weights;
        let odds = (positives as f64 * with) / (negatives as f64 * without);
        let loss = |case: usize, eta: f64| {
            let outcome = outcomes[case];
            let weight = settings.class_weights[usize::from(outcome)];
            let p = sigmoid(eta);
            let signed = if outcome { eta } else { -eta };
            Loss {
                value: weight * log_1p_exp(-signed),
                // For the outcome −(1 − p): from the other side, which keeps its digits.
                slope: weight * if outcome { -sigmoid(-eta) } else { p },
                curvature: weight * p * sigmoid(-eta),
            }
        };
        let beta = newton::fit(&columns, settings.penalty, odds.ln(), model, loss)?;
        Ok(Self { line: columns.line(&beta) })
    }

    /// The probability of the outcome for each row of `x`, `[N, K]`.
    ///
    /// # Errors
    ///
    /// Those of [`Line::at`].
    pub fn predict(&self, x: ArrayView2<'_, f64>) -> Result<Vec<f64>, Error> {
        Ok(self.line.all(x)?.into_iter().map(sigmoid).collect())
    }
}

/// 1 / (1 + e^(−η)).
pub(crate) fn sigmoid(eta: f64) -> f64 {
    // The exponential of a negative number does not overflow.
    let small = (-eta.abs()).exp();
    if eta >= 0.0 { 1.0 / (1.0 + small) } else { small / (1.0 + small) }
}

/// ln(1 + e^x), without overflow and without losing what is small.
pub(crate) fn log_1p_exp(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear::tests::{close, design, outcomes};
    use layout::random::Stream;
    use ndarray::{Array2, array};

    fn coefficients(found: &Logistic) -> Vec<f64> {
        let terms = found.line.terms.iter().map(|term| term.coefficient);
        std::iter::once(found.line.intercept).chain(terms).collect()
    }

    // scikit-learn 1.9.1: make_pipeline(StandardScaler(), LogisticRegression(C=1/1.5, tol=1e-12,
    // solver="newton-cholesky")) of `design`, `outcomes`; then with class_weight={0: 1, 1: 3}.
    #[test]
    fn scikit_learn_agrees() {
        let x = design();
        let mut settings = LogisticSettings { penalty: 1.5, ..Default::default() };
        let found = Logistic::fit(x.view(), &outcomes(), &settings).unwrap();
        close(
            &coefficients(&found),
            &[0.31986813048518614, 0.12624825833126532, 5.723374264317161, 0.0],
            1e-10,
        );
        close(
            &found.predict(x.view()).unwrap()[..2],
            &[0.7675156704297791, 0.8552876217654724],
            1e-10,
        );
        settings.class_weights = [1.0, 3.0];
        let found = Logistic::fit(x.view(), &outcomes(), &settings).unwrap();
        close(
            &coefficients(&found),
            &[1.3891581419931058, 0.13036605349757857, 5.7927598449110915, 0.0],
            1e-10,
        );
    }

    #[test]
    fn it_recovers_what_cases_were_drawn_from() {
        let (n, stream) = (20_000, Stream::new(5, 1, 0));
        let x = Array2::from_shape_fn((n, 2), |(row, column)| {
            stream.normal((2 * row + column) as u64) * 3.0 + 10.0
        });
        let draw = Stream::new(5, 2, 0);
        let eta = |row: usize| -1.0 + 0.4 * (x[[row, 0]] - 10.0) - 0.2 * (x[[row, 1]] - 10.0);
        let outcomes: Vec<bool> =
            (0..n).map(|row| f64::from(draw.uniform(row as u64)) < sigmoid(eta(row))).collect();
        let settings = LogisticSettings { penalty: 0.0, ..Default::default() };
        let found = Logistic::fit(x.view(), &outcomes, &settings).unwrap();
        // Standard errors are about 0.02, 0.008 and 0.007.
        let at = found.line.at(&[10.0, 10.0]).unwrap();
        assert!((at + 1.0).abs() < 0.08, "{at}");
        close(&coefficients(&found)[1..], &[0.4, -0.2], 0.03);
    }

    /// The mean prediction is the share of the outcome, and residuals are orthogonal to columns.
    #[test]
    fn without_a_penalty_the_scores_are_zero() {
        let (x, outcomes) = (design(), outcomes());
        let settings = LogisticSettings { penalty: 0.0, ..Default::default() };
        let found = Logistic::fit(x.view(), &outcomes, &settings).unwrap();
        let predicted = found.predict(x.view()).unwrap();
        for column in 0..2 {
            let score: f64 = (0..outcomes.len())
                .map(|row| (predicted[row] - f64::from(outcomes[row])) * x[[row, column]])
                .sum();
            assert!(score.abs() < 1e-9, "{score}");
        }
        let mean = predicted.iter().sum::<f64>();
        let positives = outcomes.iter().filter(|&&outcome| outcome).count();
        assert!((mean - positives as f64).abs() < 1e-10);
    }

    #[test]
    fn separated_outcomes_need_a_penalty() {
        let x = array![[0.0], [1.0], [2.0], [3.0]];
        let outcomes = [false, false, true, true];
        let found = Logistic::fit(x.view(), &outcomes, &LogisticSettings::default()).unwrap();
        assert!(found.line.terms[0].coefficient > 0.0);
        let settings = LogisticSettings { penalty: 0.0, ..Default::default() };
        match Logistic::fit(x.view(), &outcomes, &settings) {
            Ok(found) => assert!(found.predict(x.view()).unwrap()[2] > 0.999),
            Err(error) => assert!(matches!(error, Error::Singular | Error::Diverged { .. })),
        }
    }

    #[test]
    fn wrong_numbers_are_named() {
        let x = array![[0.0], [1.0]];
        let fit = |outcomes: &[bool], settings| Logistic::fit(x.view(), outcomes, &settings);
        let usual = LogisticSettings::default();
        let found = fit(&[true, true], usual);
        assert!(matches!(found, Err(Error::TooFew { what: "cases without the outcome", .. })));
        let found = fit(&[false, false], usual);
        assert!(matches!(found, Err(Error::TooFew { what: "cases with the outcome", .. })));
        assert!(matches!(fit(&[true], usual), Err(Error::Lengths { .. })));
        let settings = LogisticSettings { penalty: f64::INFINITY, ..usual };
        assert!(matches!(fit(&[true, false], settings), Err(Error::Setting { .. })));
        let settings = LogisticSettings { class_weights: [0.0, 1.0], ..usual };
        assert!(matches!(fit(&[true, false], settings), Err(Error::Setting { .. })));
    }

    #[test]
    fn far_values_neither_overflow_nor_vanish() {
        assert_eq!((sigmoid(1000.0), sigmoid(-1000.0), sigmoid(0.0)), (1.0, 0.0, 0.5));
        assert_eq!((log_1p_exp(1000.0), log_1p_exp(-1000.0)), (1000.0, 0.0));
        assert!((log_1p_exp(-40.0) / (-40f64).exp() - 1.0).abs() < 1e-15);
    }
}
