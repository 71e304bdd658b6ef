//! Figures of predicted numbers against true ones.

use serde::Serialize;

use crate::error::{Error, check_finite, check_lengths};

/// Predictions and truth of the same cases, checked and ranked once, so that the figures of a resample
/// cost a few passes.
///
/// Every figure takes how often each case counts, one weight a case, or `None` for once each. p are
/// predictions, y the truth, w the weights, n = Σw; means are over the cases so counted.
#[derive(Debug, Clone)]
pub struct Pairs {
    predicted: Vec<f64>,
    truth: Vec<f64>,
    predicted_order: Vec<u32>,
    truth_order: Vec<u32>,
}

impl Pairs {
    /// Checks and ranks.
    ///
    /// # Errors
    ///
    /// [`Error::Lengths`], or [`Error::Value`] for a number that is not finite.
    pub fn new(predicted: &[f64], truth: &[f64]) -> Result<Self, Error> {
        check_lengths("truth", truth.len(), "predicted", predicted.len())?;
        check_finite("predicted", predicted)?;
        check_finite("truth", truth)?;
        Ok(Self {
            predicted: predicted.to_vec(),
            truth: truth.to_vec(),
            predicted_order: order(predicted),
            truth_order: order(truth),
        })
    }

    /// All figures.
    ///
    /// # Errors
    ///
    /// [`Error::Lengths`] where there is not one weight a case.
    pub fn figures(&self, weights: Option<&[u32]>) -> Result<NumericFigures, Error> {
        let sums = Sums::new(self, weights)?;
        let n = sums.cases as f64;
        let some = |value: f64| (sums.cases > 0).then_some(value);
        Ok(NumericFigures {
            cases: sums.cases,
            rmse: some((sums.squares / n).sqrt()),
            mae: some(sums.absolute / n),
            bias_of_total: bias_of_total(&sums),
            pearson: self.pearson(weights)?,
            spearman: self.spearman(weights)?,
            mean_predicted: some(sums.predicted / n),
            mean_true: some(sums.truth / n),
        })
    }

    /// Root of the mean of (p − y)²; `None` without cases.
    ///
    /// # Errors
    ///
    /// [`Error::Lengths`] where there is not one weight a case; so for every figure below.
    pub fn rmse(&self, weights: Option<&[u32]>) -> Result<Option<f64>, Error> {
        let sums = Sums::new(self, weights)?;
        Ok(sums.mean(sums.squares).map(f64::sqrt))
    }

    /// Mean of |p − y|; `None` without cases.
    ///
    /// # Errors
    ///
    /// See [`Pairs::rmse`].
    pub fn mae(&self, weights: Option<&[u32]>) -> Result<Option<f64>, Error> {
        let sums = Sums::new(self, weights)?;
        Ok(sums.mean(sums.absolute))
    }

    /// Mean of p − y; `None` without cases.
    ///
    /// # Errors
    ///
    /// See [`Pairs::rmse`].
    pub fn mean_error(&self, weights: Option<&[u32]>) -> Result<Option<f64>, Error> {
        let sums = Sums::new(self, weights)?;
        Ok(sums.mean(sums.predicted - sums.truth))
    }

    /// Σp / Σy − 1: by which share the total is missed. `None` where Σy is 0.
    ///
    /// # Errors
    ///
    /// See [`Pairs::rmse`].
    pub fn bias_of_total(&self, weights: Option<&[u32]>) -> Result<Option<f64>, Error> {
        Ok(bias_of_total(&Sums::new(self, weights)?))
    }

    /// Pearson's correlation; `None` where predictions or truth are all alike.
    ///
    /// ```text
    ///     r = Σ w (p − p̄) (y − ȳ) / √( Σ w (p − p̄)² · Σ w (y − ȳ)² )
    /// ```
    ///
    /// # Errors
    ///
    /// See [`Pairs::rmse`].
    pub fn pearson(&self, weights: Option<&[u32]>) -> Result<Option<f64>, Error> {
        self.check(weights)?;
        Ok(correlation(&self.predicted, &self.truth, weights))
    }

    /// Spearman's correlation: Pearson's of ranks, cases that are alike at the mean of their ranks.
    /// `None` where predictions or truth are all alike.
    ///
    /// # Errors
    ///
    /// See [`Pairs::rmse`].
    ///
    /// # Source
    ///
    /// C. Spearman, "The proof and measurement of association between two things", American Journal
    /// of Psychology 15, 1904.
    pub fn spearman(&self, weights: Option<&[u32]>) -> Result<Option<f64>, Error> {
        self.check(weights)?;
        let predicted = mean_ranks(&self.predicted, &self.predicted_order, weights);
        let truth = mean_ranks(&self.truth, &self.truth_order, weights);
        Ok(correlation(&predicted, &truth, weights))
    }

    fn check(&self, weights: Option<&[u32]>) -> Result<(), Error> {
        let found = weights.map_or(self.truth.len(), <[u32]>::len);
        check_lengths("weights", found, "truth", self.truth.len())
    }
}

/// The figures that one reports; what is not defined is `None`, in JSON `null`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct NumericFigures {
    /// How many cases.
    pub cases: u64,
    /// [`Pairs::rmse`].
    pub rmse: Option<f64>,
    /// [`Pairs::mae`].
    pub mae: Option<f64>,
    /// [`Pairs::bias_of_total`].
    pub bias_of_total: Option<f64>,
    /// [`Pairs::pearson`].
    pub pearson: Option<f64>,
    /// [`Pairs::spearman`].
    pub spearman: Option<f64>,
    /// Mean of p.
    pub mean_predicted: Option<f64>,
    /// Mean of y.
    pub mean_true: Option<f64>,
}

impl NumericFigures {
    /// The figures of `predicted` against `truth`, one a case.
    ///
    /// # Errors
    ///
    /// Those of [`Pairs::new`].
    pub fn new(predicted: &[f64], truth: &[f64]) -> Result<Self, Error> {
        Pairs::new(predicted, truth)?.figures(None)
    }
}

/// What the simple figures add up.
struct Sums {
    cases: u64,
    predicted: f64,
    truth: f64,
    absolute: f64,
    squares: f64,
}

impl Sums {
    fn new(pairs: &Pairs, weights: Option<&[u32]>) -> Result<Self, Error> {
        pairs.check(weights)?;
        let mut sums = Self { cases: 0, predicted: 0.0, truth: 0.0, absolute: 0.0, squares: 0.0 };
        for (case, (&p, &y)) in pairs.predicted.iter().zip(&pairs.truth).enumerate() {
            let count = weight(weights, case);
            let w = count as f64;
            sums.cases += count;
            sums.predicted += w * p;
            sums.truth += w * y;
            sums.absolute += w * (p - y).abs();
            sums.squares += w * (p - y) * (p - y);
        }
        Ok(sums)
    }

    fn mean(&self, sum: f64) -> Option<f64> {
        (self.cases > 0).then(|| sum / self.cases as f64)
    }
}

fn bias_of_total(sums: &Sums) -> Option<f64> {
    (sums.truth != 0.0).then(|| sums.predicted / sums.truth - 1.0)
}

fn weight(weights: Option<&[u32]>, case: usize) -> u64 {
    weights.map_or(1, |weights| u64::from(weights[case]))
}

/// Numbers of the cases by rising value.
fn order(values: &[f64]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..values.len() as u32).collect();
    order.sort_unstable_by(|&a, &b| {
        values[a as usize].total_cmp(&values[b as usize]).then(a.cmp(&b))
    });
    order
}

/// The rank of each case among all that count, from 1; equal values share the mean of their ranks.
fn mean_ranks(values: &[f64], order: &[u32], weights: Option<&[u32]>) -> Vec<f64> {
    let mut ranks = vec![0.0; values.len()];
    let mut below = 0;
    for alike in order.chunk_by(|&a, &b| values[a as usize] == values[b as usize]) {
        let count: u64 = alike.iter().map(|&case| weight(weights, case as usize)).sum();
        let rank = below as f64 + (count as f64 + 1.0) / 2.0;
        alike.iter().for_each(|&case| ranks[case as usize] = rank);
        below += count;
    }
    ranks
}

fn correlation(x: &[f64], y: &[f64], weights: Option<&[u32]>) -> Option<f64> {
    let counted = || (0..x.len()).filter(|&case| weight(weights, case) > 0);
    // Rounding may make a trace of variance where all are alike, so that is not what is asked.
    let varies = |values: &[f64]| {
        let mut cases = counted().map(|case| values[case]);
        let first = cases.next();
        cases.any(|value| Some(value) != first)
    };
    if !varies(x) || !varies(y) {
        return None;
    }
    let n: f64 = counted().map(|case| weight(weights, case) as f64).sum();
    let mean = |values: &[f64]| {
        counted().map(|case| weight(weights, case) as f64 * values[case]).sum::<f64>() / n
    };
    let (mean_x, mean_y) = (mean(x), mean(y));
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for case in counted() {
        let w = weight(weights, case) as f64;
        let (dx, dy) = (x[case] - mean_x, y[case] - mean_y);
        xx += w * dx * dx;
        yy += w * dy * dy;
        xy += w * dx * dy;
    }
    // Two roots: the product of two small variances could underflow.
    Some((xy / (xx.sqrt() * yy.sqrt())).clamp(-1.0, 1.0)).filter(|r| r.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREDICTED: [f64; 10] = [1.0, 2.5, 2.5, 4.0, 0.0, 7.5, 3.0, 3.0, 3.0, 11.0];
    const TRUTH: [f64; 10] = [0.0, 2.0, 3.0, 3.0, 0.0, 9.0, 3.5, 1.0, 0.0, 10.0];

    fn close(found: Option<f64>, expected: f64) {
        let found = found.unwrap();
        assert!((found - expected).abs() < 1e-14, "{found} {expected}");
    }

    // scipy 1.17.1: pearsonr, spearmanr of PREDICTED and TRUTH.
    #[test]
    fn scipy_agrees() {
        let pairs = Pairs::new(&PREDICTED, &TRUTH).unwrap();
        close(pairs.pearson(None).unwrap(), 0.9327709303322663);
        close(pairs.spearman(None).unwrap(), 0.7593749999999999);
    }

    #[test]
    fn by_hand() {
        let figures = NumericFigures::new(&[1.0, 2.0, 6.0], &[2.0, 2.0, 4.0]).unwrap();
        close(figures.rmse, (5.0f64 / 3.0).sqrt());
        close(figures.mae, 1.0);
        close(figures.bias_of_total, 0.125);
        close(figures.mean_predicted, 3.0);
        close(figures.mean_true, 8.0 / 3.0);
        // Ranks 1 2 3 and 1.5 1.5 3.
        close(figures.spearman, 1.5 / (2.0f64 * 1.5).sqrt());
        close(figures.pearson, 6.0 / (14.0f64 * 8.0 / 3.0).sqrt());
        let pairs = Pairs::new(&[1.0, 2.0, 6.0], &[2.0, 2.0, 4.0]).unwrap();
        close(pairs.mean_error(None).unwrap(), 1.0 / 3.0);
    }

    #[test]
    fn a_weight_is_a_case_that_comes_again() {
        let weights = [0u32, 2, 1, 3, 0, 1, 1, 2, 0, 4];
        let again = |values: &[f64]| -> Vec<f64> {
            let pairs = values.iter().zip(weights);
            pairs.flat_map(|(&value, weight)| vec![value; weight as usize]).collect()
        };
        let expected = NumericFigures::new(&again(&PREDICTED), &again(&TRUTH)).unwrap();
        let pairs = Pairs::new(&PREDICTED, &TRUTH).unwrap();
        let found = pairs.figures(Some(&weights)).unwrap();
        assert_eq!(found.cases, 14);
        for (found, expected) in [
            (found.rmse, expected.rmse),
            (found.mae, expected.mae),
            (found.bias_of_total, expected.bias_of_total),
            (found.pearson, expected.pearson),
            (found.spearman, expected.spearman),
            (found.mean_true, expected.mean_true),
        ] {
            close(found, expected.unwrap());
        }
        close(pairs.rmse(Some(&weights)).unwrap(), expected.rmse.unwrap());
        close(pairs.mae(Some(&weights)).unwrap(), expected.mae.unwrap());
        close(pairs.bias_of_total(Some(&weights)).unwrap(), expected.bias_of_total.unwrap());
    }

    #[test]
    fn what_is_not_defined_is_none() {
        let none = NumericFigures::new(&[], &[]).unwrap();
        let text = serde_json::to_string(&none).unwrap();
        assert_eq!(
            text,
            "{\"cases\":0,\"rmse\":null,\"mae\":null,\"bias_of_total\":null,\"pearson\":null,\
             \"spearman\":null,\"mean_predicted\":null,\"mean_true\":null}"
        );
        // The mean of six times 0.1 is not 0.1.
        let flat = NumericFigures::new(&[0.1; 6], &TRUTH[..6]).unwrap();
        assert_eq!((flat.pearson, flat.spearman), (None, None));
        let zero = NumericFigures::new(&[1.0, 1.0], &[0.0, 0.0]).unwrap();
        assert_eq!((zero.bias_of_total, zero.mae), (None, Some(1.0)));
        let pairs = Pairs::new(&[1.0, 2.0], &[1.0, 2.0]).unwrap();
        assert_eq!(pairs.pearson(Some(&[5, 0])), Ok(None));
        assert_eq!(pairs.rmse(Some(&[0, 0])), Ok(None));
    }

    #[test]
    fn wrong_numbers_are_named() {
        assert!(matches!(Pairs::new(&[1.0], &[]), Err(Error::Lengths { .. })));
        let found = Pairs::new(&[1.0, f64::NAN], &[1.0, 2.0]);
        assert!(matches!(found, Err(Error::Value { name: "predicted", index: 1, .. })));
        let found = Pairs::new(&[1.0], &[f64::INFINITY]);
        assert!(matches!(found, Err(Error::Value { name: "truth", index: 0, .. })));
        let pairs = Pairs::new(&[1.0], &[1.0]).unwrap();
        assert!(matches!(pairs.rmse(Some(&[1, 1])), Err(Error::Lengths { .. })));
        assert!(matches!(pairs.spearman(Some(&[])), Err(Error::Lengths { .. })));
    }
}
