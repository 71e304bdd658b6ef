//! Whom a campaign changes: not who buys, but who buys because of it.
//!
//! Measured on cases of which some, drawn at random, were treated and the others not (control).

use ndarray::{ArrayView2, Axis};
use serde::{Deserialize, Serialize};

use crate::binary::Scored;
use crate::bootstrap::{self, Groups, Interval};
use crate::error::{Error, check_lengths};
use crate::logistic::{Logistic, LogisticSettings};

/// Cases of a campaign by score, sorted once, so that a resample costs a few passes.
#[derive(Debug, Clone)]
pub struct Trial {
    /// The same cases and scores, against three things that may be true of a case.
    outcome: Scored,
    treated: Scored,
    both: Scored,
}

/// What comes of treating a share of all cases, those with the highest scores.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Point {
    /// The share, 0 to 1.
    pub share: f64,
    /// Outcomes that treatment has added, a treated case (of all treated).
    pub gain: f64,
}

/// A Qini curve.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Qini {
    /// From (0, 0), one a score, the highest first; straight between them. Random targeting is the
    /// straight line from the first to the last.
    pub points: Vec<Point>,
    /// The gain of treating all: the difference of the two shares of outcomes.
    pub effect: f64,
    /// The area between the curve and random targeting.
    pub coefficient: f64,
}

impl Qini {
    /// The gain of treating a share of all cases: on the curve, straight between its points.
    pub fn gain_at(&self, share: f64) -> f64 {
        let after = self.points.partition_point(|point| point.share < share);
        let Some(high) = self.points.get(after) else { return self.effect };
        let Some(low) = after.checked_sub(1).and_then(|at| self.points.get(at)) else {
            return high.gain;
        };
        let part = (share - low.share) / (high.share - low.share);
        low.gain + part * (high.gain - low.gain)
    }
}

impl Trial {
    /// Checks and sorts: of each case its score, whether it was treated, whether it had the outcome.
    ///
    /// # Errors
    ///
    /// [`Error::Lengths`], or [`Error::Value`] for a score that is not finite.
    pub fn new(scores: &[f64], treated: &[bool], outcomes: &[bool]) -> Result<Self, Error> {
        check_lengths("treated", treated.len(), "scores", scores.len())?;
        check_lengths("outcomes", outcomes.len(), "scores", scores.len())?;
        let both: Vec<bool> = treated.iter().zip(outcomes).map(|(&a, &b)| a && b).collect();
        Ok(Self {
            outcome: Scored::new(scores, outcomes)?,
            treated: Scored::new(scores, treated)?,
            both: Scored::new(scores, &both)?,
        })
    }

    /// The Qini curve, each case as often as `weights` says, or once.
    ///
    /// ```text
    ///     of the cases of score ≥ s:  N_t treated, Y_t of them with the outcome; N_c, Y_c of control
    ///     gain(s)     = ( Y_t − Y_c · N_t / N_c ) / all treated        Y_c / N_c = 0 where N_c = 0
    ///     coefficient = ∫₀¹ ( gain(φ) − φ · gain(1) ) dφ               φ = share of cases of score ≥ s
    /// ```
    ///
    /// Cases of one score enter together, so that their order means nothing. `None` where nobody was
    /// treated, or everybody. Other authors divide the coefficient by that of a perfect ranking, or
    /// leave out the division by all treated; signs and comparisons are the same.
    ///
    /// # Errors
    ///
    /// [`Error::Lengths`] where there is not one weight a case.
    ///
    /// # Source
    ///
    /// N. Radcliffe, "Using control groups to target on predicted lift: building and assessing uplift
    /// models", Direct Marketing Analytics Journal, 2007.
    pub fn qini(&self, weights: Option<&[u32]>) -> Result<Option<Qini>, Error> {
        let (outcome, treated) = (self.outcome.levels(weights)?, self.treated.levels(weights)?);
        let both = self.both.levels(weights)?;
        let (cases, all_treated) = (treated.cases(), treated.positives());
        if all_treated == 0 || all_treated == cases {
            return Ok(None);
        }
        // One score a level in all three, in the same order.
        let mut levels: Vec<[u64; 4]> = outcome
            .counts()
            .zip(treated.counts())
            .zip(both.counts())
            .map(|(((_, had, _), (_, treated, control)), (_, both, _))| {
                [treated, both, control, had - both]
            })
            .collect();
        levels.reverse();

        let mut points = vec![Point { share: 0.0, gain: 0.0 }];
        let mut sums = [0u64; 4];
        for level in levels {
            sums.iter_mut().zip(level).for_each(|(sum, count)| *sum += count);
            let [n_t, y_t, n_c, y_c] = sums.map(|sum| sum as f64);
            let by_chance = if n_c > 0.0 { y_c * n_t / n_c } else { 0.0 };
            points.push(Point {
                share: (n_t + n_c) / cases as f64,
                gain: (y_t - by_chance) / all_treated as f64,
            });
        }
        let effect = points.last().map_or(0.0, |last| last.gain);
        let area: f64 = points
            .windows(2)
            .map(|pair| (pair[1].share - pair[0].share) * 0.5 * (pair[0].gain + pair[1].gain))
            .sum();
        Ok(Some(Qini { points, effect, coefficient: area - 0.5 * effect }))
    }

    /// The coefficient with its interval over `resamples` of groups of cases; see
    /// [`bootstrap::interval`].
    ///
    /// # Errors
    ///
    /// Those of [`bootstrap::interval`], and [`Error::Lengths`] where the groups are of other cases.
    pub fn interval(
        &self,
        groups: &Groups,
        resamples: u32,
        seed: u64,
    ) -> Result<Option<Interval>, Error> {
        bootstrap::interval(groups, resamples, seed, |weights| {
            Ok(self.qini(weights)?.map(|qini| qini.coefficient))
        })
    }
}

/// Uplift from two models of the outcome: one of the treated, one of the others.
///
/// # Source
///
/// B. Hansotia, B. Rukstales, "Incremental value modeling", Journal of Interactive Marketing 16, 2002.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TwoModels {
    /// The outcome of those who were treated.
    pub treated: Logistic,
    /// The outcome of those who were not.
    pub control: Logistic,
}

impl TwoModels {
    /// Fits both to their part of `x`, `[N, K]`.
    ///
    /// # Errors
    ///
    /// [`Error::Lengths`], and those of [`Logistic::fit`] for either part; a row that an error names
    /// is counted within its part.
    pub fn fit(
        x: ArrayView2<'_, f64>,
        treated: &[bool],
        outcomes: &[bool],
        settings: &LogisticSettings,
    ) -> Result<Self, Error> {
        check_lengths("treated", treated.len(), "rows of x", x.nrows())?;
        check_lengths("outcomes", outcomes.len(), "rows of x", x.nrows())?;
        let part = |wanted: bool| {
            let rows: Vec<usize> =
                (0..treated.len()).filter(|&row| treated[row] == wanted).collect();
            let outcomes: Vec<bool> = rows.iter().map(|&row| outcomes[row]).collect();
            Logistic::fit(x.select(Axis(0), &rows).view(), &outcomes, settings)
        };
        Ok(Self { treated: part(true)?, control: part(false)? })
    }

    /// How much treatment raises the probability of the outcome, for each row of `x`, `[N, K]`.
    ///
    /// # Errors
    ///
    /// Those of [`Logistic::predict`].
    pub fn predict(&self, x: ArrayView2<'_, f64>) -> Result<Vec<f64>, Error> {
        let (treated, control) = (self.treated.predict(x)?, self.control.predict(x)?);
        Ok(treated.into_iter().zip(control).map(|(treated, control)| treated - control).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear::tests::close;
    use layout::random::Stream;
    use ndarray::Array2;

    const SCORES: [f64; 8] = [0.9, 0.8, 0.8, 0.6, 0.5, 0.5, 0.5, 0.1];
    const TREATED: [bool; 8] = [true, true, false, false, true, true, false, false];
    const OUTCOMES: [bool; 8] = [true, true, false, true, false, true, true, false];

    #[test]
    fn by_hand() {
        // N_t Y_t N_c Y_c:  1 1 0 0,  2 2 1 0,  2 2 2 1,  4 3 3 2,  4 3 4 2
        let found = Trial::new(&SCORES, &TREATED, &OUTCOMES).unwrap().qini(None).unwrap().unwrap();
        let shares: Vec<f64> = found.points.iter().map(|point| point.share).collect();
        assert_eq!(shares, [0.0, 0.125, 0.375, 0.5, 0.875, 1.0]);
        let gains: Vec<f64> = found.points.iter().map(|point| point.gain * 4.0).collect();
        close(&gains, &[0.0, 1.0, 2.0, 1.0, 3.0 - 8.0 / 3.0, 1.0], 1e-15);
        assert_eq!(found.effect, 0.25);
        let between = [0.0, 0.0625, 0.4375, 1.0].map(|share| 4.0 * found.gain_at(share));
        close(&between, &[0.0, 0.5, 1.5, 1.0], 1e-15);
        let area = 0.0625 + 0.375 + 0.1875 + 0.375 * (1.0 + 1.0 / 3.0) / 2.0 + 0.125 * 2.0 / 3.0;
        close(&[found.coefficient], &[(area - 0.5) / 4.0], 1e-15);
    }

    #[test]
    fn the_order_of_cases_changes_no_bit() {
        let found = Trial::new(&SCORES, &TREATED, &OUTCOMES).unwrap().qini(None).unwrap();
        let (mut scores, mut treated, mut outcomes) = (SCORES, TREATED, OUTCOMES);
        scores.reverse();
        treated.reverse();
        outcomes.reverse();
        assert_eq!(Trial::new(&scores, &treated, &outcomes).unwrap().qini(None).unwrap(), found);
    }

    #[test]
    fn a_weight_is_a_case_that_comes_again() {
        let weights = [2, 0, 1, 3, 1, 0, 1, 2];
        let again: Vec<usize> =
            (0..8).flat_map(|case| vec![case; weights[case] as usize]).collect();
        let pick =
            |values: &[bool]| -> Vec<bool> { again.iter().map(|&case| values[case]).collect() };
        let scores: Vec<f64> = again.iter().map(|&case| SCORES[case]).collect();
        let expected = Trial::new(&scores, &pick(&TREATED), &pick(&OUTCOMES)).unwrap();
        let found = Trial::new(&SCORES, &TREATED, &OUTCOMES).unwrap().qini(Some(&weights)).unwrap();
        assert_eq!(found, expected.qini(None).unwrap());
    }

    /// One score for all is random targeting: a straight line.
    #[test]
    fn one_score_for_all_gains_nothing() {
        let found =
            Trial::new(&[0.5; 8], &TREATED, &OUTCOMES).unwrap().qini(None).unwrap().unwrap();
        assert_eq!((found.points.len(), found.coefficient), (2, 0.0));
    }

    /// A shop where treatment helps those with x > 0, and drives the others away; a second column
    /// says who buys anyway.
    #[test]
    fn two_models_find_whom_treatment_changes() {
        let n = 8000;
        let (column, draw) = (Stream::new(4, 1, 0), Stream::new(4, 2, 0));
        let x = Array2::from_shape_fn((n, 2), |(row, k)| column.normal((2 * row + k) as u64));
        let treated: Vec<bool> = (0..n).map(|row| draw.uniform(2 * row as u64) < 0.5).collect();
        let outcomes: Vec<bool> = (0..n)
            .map(|row| {
                let moved = if treated[row] { 0.8 * x[[row, 0]] } else { 0.0 };
                let p = crate::logistic::sigmoid(x[[row, 1]] + moved - 0.5);
                f64::from(draw.uniform(2 * row as u64 + 1)) < p
            })
            .collect();
        let half = n / 2;
        let (learned, kept) = x.view().split_at(Axis(0), half);
        let models = TwoModels::fit(
            learned,
            &treated[..half],
            &outcomes[..half],
            &LogisticSettings::default(),
        )
        .unwrap();
        let coefficient = |scores: &[f64]| {
            let trial = Trial::new(scores, &treated[half..], &outcomes[half..]).unwrap();
            trial.interval(&Groups::alone(n - half), 200, 1).unwrap().unwrap()
        };
        let uplift = coefficient(&models.predict(kept).unwrap());
        let response = coefficient(&models.treated.predict(kept).unwrap());
        let anyway = coefficient(&kept.column(1).to_vec());
        assert!(uplift.low > 0.01 && uplift.excludes_zero(), "{uplift:?}");
        assert!(uplift.estimate > response.estimate, "{uplift:?} {response:?}");
        assert!(!anyway.excludes_zero(), "{anyway:?}");
    }

    #[test]
    fn what_is_not_defined_is_none() {
        let all = Trial::new(&SCORES, &[true; 8], &OUTCOMES).unwrap();
        assert_eq!(all.qini(None), Ok(None));
        assert_eq!(all.interval(&Groups::alone(8), 10, 1), Ok(None));
        assert_eq!(Trial::new(&[], &[], &[]).unwrap().qini(None), Ok(None));
    }

    #[test]
    fn wrong_numbers_are_named() {
        let found = Trial::new(&[0.1], &[], &[true]);
        assert!(matches!(found, Err(Error::Lengths { name: "treated", .. })));
        assert!(matches!(Trial::new(&[0.1], &[true], &[]), Err(Error::Lengths { .. })));
        assert!(matches!(Trial::new(&[f64::NAN], &[true], &[true]), Err(Error::Value { .. })));
        let x = Array2::zeros((2, 1));
        let fit = |treated: &[bool]| {
            TwoModels::fit(x.view(), treated, &[true, false], &LogisticSettings::default())
        };
        assert!(matches!(fit(&[true]), Err(Error::Lengths { .. })));
        assert!(matches!(fit(&[true, true]), Err(Error::TooFew { .. })));
    }
}
