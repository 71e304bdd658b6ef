//! Scores of cases by models that have not seen them: cross-fitting.
//!
//! A model flatters the cases that it has learned from, and two models twice. So cases are cut into folds, and
//! each fold is scored by models fitted to the others.

use layout::random::Stream;
use ndarray::{ArrayView2, Axis};

use crate::error::{Error, check_lengths, check_setting};
use crate::logistic::LogisticSettings;
use crate::uplift::TwoModels;

/// The name of the random stream that deals cases out to folds.
const FOLDS: u32 = 0x666f_6c64;

/// What is expected of each case either way.
#[derive(Debug, Clone, PartialEq)]
pub struct Potential {
    /// Probability of the outcome, were the case treated.
    pub treated: Vec<f64>,
    /// The same, were it not.
    pub control: Vec<f64>,
}

impl Potential {
    /// How much treatment raises the probability of the outcome.
    pub fn uplift(&self) -> Vec<f64> {
        self.treated.iter().zip(&self.control).map(|(treated, not)| treated - not).collect()
    }
}

/// Fits [`TwoModels`] to all folds but one, and scores that one with them; fold after fold.
///
/// ```text
///     fold k:   μ₁⁽⁻ᵏ⁾ fitted to the treated of the other folds,  μ₀⁽⁻ᵏ⁾ to their control
///     case i of fold k:    u_i = μ₁⁽⁻ᵏ⁾(x_i) − μ₀⁽⁻ᵏ⁾(x_i)
/// ```
///
/// `x` is `[N, K]`. The treated are dealt out to `folds` at random, and so are the others, so that folds are
/// alike. Of a case of which nobody knows whether it was treated nothing is learned; it gets the mean of
/// all models.
///
/// # Errors
///
/// [`Error::Lengths`]; [`Error::Setting`] for fewer than two folds; those of [`TwoModels::fit`].
///
/// # Source
///
/// V. Chernozhukov and others, "Double/debiased machine learning for treatment and structural parameters", The
/// Econometrics Journal 21, 2018, for cross-fitting; two models as in [`TwoModels`].
pub fn cross_fit(
    x: ArrayView2<'_, f64>,
    treated: &[Option<bool>],
    outcomes: &[bool],
    (folds, seed): (u32, u64),
    settings: &LogisticSettings,
) -> Result<Potential, Error> {
    check_lengths("treated", treated.len(), "rows of x", x.nrows())?;
    check_lengths("outcomes", outcomes.len(), "rows of x", x.nrows())?;
    check_setting("folds", f64::from(folds), "whole numbers from 2", |value| value >= 2.0)?;
    let fold_of = deal(treated, folds, seed);
    let rows = |wanted: &dyn Fn(Option<u32>) -> bool| -> Vec<usize> {
        (0..treated.len()).filter(|&row| wanted(fold_of[row])).collect()
    };
    let nowhere = rows(&|fold| fold.is_none());
    let x_nowhere = x.select(Axis(0), &nowhere);
    let mut found = Potential { treated: vec![0.0; x.nrows()], control: vec![0.0; x.nrows()] };
    for fold in 0..folds {
        let others = rows(&|of| of.is_some_and(|of| of != fold));
        let flags: Vec<bool> = others.iter().map(|&row| treated[row] == Some(true)).collect();
        let had: Vec<bool> = others.iter().map(|&row| outcomes[row]).collect();
        let models = TwoModels::fit(x.select(Axis(0), &others).view(), &flags, &had, settings)?;
        let own = rows(&|of| of == Some(fold));
        let x_own = x.select(Axis(0), &own);
        for (to, model) in
            [(&mut found.treated, &models.treated), (&mut found.control, &models.control)]
        {
            for (&row, p) in own.iter().zip(model.predict(x_own.view())?) {
                to[row] = p;
            }
            for (&row, p) in nowhere.iter().zip(model.predict(x_nowhere.view())?) {
                to[row] += p / f64::from(folds);
            }
        }
    }
    Ok(found)
}

/// The fold of each case; none where nobody knows whether it was treated.
fn deal(treated: &[Option<bool>], folds: u32, seed: u64) -> Vec<Option<u32>> {
    let mut fold_of = vec![None; treated.len()];
    for (number, arm) in [true, false].into_iter().enumerate() {
        let mut cases: Vec<usize> =
            (0..treated.len()).filter(|&case| treated[case] == Some(arm)).collect();
        Stream::new(seed, FOLDS, number as u32).shuffle(&mut cases);
        for (place, case) in cases.into_iter().enumerate() {
            fold_of[case] = Some(place as u32 % folds);
        }
    }
    fold_of
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    fn cases(n: usize) -> (Array2<f64>, Vec<Option<bool>>, Vec<bool>) {
        let (column, draw) = (Stream::new(4, 1, 0), Stream::new(4, 2, 0));
        let x = Array2::from_shape_fn((n, 2), |(row, k)| column.normal((2 * row + k) as u64));
        let treated: Vec<Option<bool>> =
            (0..n).map(|row| Some(draw.uniform(2 * row as u64) < 0.5)).collect();
        let outcomes = (0..n)
            .map(|row| {
                let moved = if treated[row] == Some(true) { 0.9 * x[[row, 0]] } else { 0.0 };
                let p = crate::logistic::sigmoid(x[[row, 1]] + moved - 0.5);
                f64::from(draw.uniform(2 * row as u64 + 1)) < p
            })
            .collect();
        (x, treated, outcomes)
    }

    #[test]
    fn folds_are_alike_and_every_known_case_is_in_one() {
        let mut treated: Vec<Option<bool>> = (0..103).map(|row| Some(row % 3 == 0)).collect();
        treated[5] = None;
        let folds = deal(&treated, 5, 9);
        assert_eq!(folds[5], None);
        for arm in [true, false] {
            let counts: Vec<usize> = (0..5)
                .map(|fold| {
                    let own =
                        |&case: &usize| folds[case] == Some(fold) && treated[case] == Some(arm);
                    (0..103).filter(own).count()
                })
                .collect();
            let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
            assert!(most - least <= 1, "{counts:?}");
        }
        assert_ne!(deal(&treated, 5, 10), folds);
    }

    /// The score of a case does not know what became of it: turned round, it gets the same one.
    #[test]
    fn a_case_is_scored_by_models_that_have_not_seen_it() {
        let (x, treated, mut outcomes) = cases(400);
        let usual = LogisticSettings::default();
        let fit = |outcomes: &[bool]| cross_fit(x.view(), &treated, outcomes, (5, 1), &usual);
        let first = fit(&outcomes).unwrap();
        outcomes[17] = !outcomes[17];
        let second = fit(&outcomes).unwrap();
        assert_eq!(first.uplift()[17], second.uplift()[17]);
        assert_ne!(first, second);
    }

    #[test]
    fn uplift_is_found_also_of_cases_that_were_in_no_trial() {
        let (x, mut treated, outcomes) = cases(6000);
        treated[..500].fill(None);
        let usual = LogisticSettings::default();
        let found = cross_fit(x.view(), &treated, &outcomes, (5, 1), &usual).unwrap().uplift();
        let mean = |wanted: &dyn Fn(usize) -> bool| {
            let some: Vec<f64> =
                (0..6000).filter(|&row| wanted(row)).map(|row| found[row]).collect();
            some.iter().sum::<f64>() / some.len() as f64
        };
        for trial in [0..500, 500..6000] {
            let up = mean(&|row| trial.contains(&row) && x[[row, 0]] > 0.5);
            let down = mean(&|row| trial.contains(&row) && x[[row, 0]] < -0.5);
            assert!(up > 0.1 && down < -0.1, "{up} {down}");
        }
    }

    #[test]
    fn wrong_numbers_are_named() {
        let (x, treated, outcomes) = cases(40);
        let usual = LogisticSettings::default();
        let fit = |treated: &[Option<bool>], folds| {
            cross_fit(x.view(), treated, &outcomes, (folds, 1), &usual)
        };
        assert!(matches!(fit(&treated[1..], 5), Err(Error::Lengths { name: "treated", .. })));
        assert!(matches!(fit(&treated, 1), Err(Error::Setting { name: "folds", .. })));
        assert!(matches!(fit(&[Some(true); 40], 5), Err(Error::TooFew { .. })));
    }
}
