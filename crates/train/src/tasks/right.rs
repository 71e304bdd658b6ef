//! What sets answers right, fitted on questions that training has not seen.
//!
//! The share of buyers, and how much they buy, drift with the season. What is fitted to earlier moments is
//! therefore brought to the level of the last one that was seen whole: probabilities by a curve, numbers by
//! a ratio. Model and baselines are set right in the same way, by the same questions.

use serde::{Deserialize, Serialize};
use statistics::calibration::{Calibration, Isotonic, Platt};

use super::{Calibrate, Task};

/// What sets the answers to a task right.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Right {
    /// Probabilities.
    Probability(Calibration),
    /// Numbers are multiplied by this: then their total is that of what came true.
    Ratio(f64),
}

impl Right {
    /// Fits it to what was said and what came true; none where nothing is to be set right, or nothing
    /// can be: all outcomes are alike, or nothing was expected.
    pub(crate) fn fit(how: Calibrate, task: Task, said: &[f64], truth: &[f64]) -> Option<Self> {
        if how == Calibrate::None || !task.is_at_moment() || truth.is_empty() {
            return None;
        }
        if !task.is_binary() {
            let [said, truth] = [said, truth].map(|values| values.iter().sum::<f64>());
            let ratio = truth / said;
            return (ratio.is_finite() && ratio > 0.0).then_some(Self::Ratio(ratio));
        }
        let outcomes: Vec<bool> = truth.iter().map(|&truth| truth > 0.5).collect();
        if !(outcomes.contains(&true) && outcomes.contains(&false)) {
            return None;
        }
        let calibration = match how {
            Calibrate::Isotonic => Isotonic::fit(said, &outcomes).map(Calibration::Isotonic),
            _ => Platt::fit(said, &outcomes).map(Calibration::Platt),
        };
        calibration.ok().map(Self::Probability)
    }

    /// The answer set right.
    pub fn apply(&self, answer: f64) -> f64 {
        match self {
            Self::Probability(calibration) => calibration.apply(answer),
            Self::Ratio(ratio) => ratio * answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_and_shares_come_right() {
        let (said, truth) = ([1.0, 2.0, 5.0], [0.0, 4.0, 12.0]);
        let right = Right::fit(Calibrate::Platt, Task::Value, &said, &truth).unwrap();
        assert_eq!(right, Right::Ratio(2.0));
        assert_eq!(right.apply(3.0), 6.0);
        let said: Vec<f64> = (0..200).map(|k| 0.2 + 0.001 * f64::from(k)).collect();
        let truth: Vec<f64> =
            (0..200).map(|k| f64::from(u8::from(k % 5 == 0 || k > 150))).collect();
        for how in [Calibrate::Platt, Calibrate::Isotonic] {
            let right = Right::fit(how, Task::Purchase, &said, &truth).unwrap();
            let [said, truth] =
                [said.iter().map(|&p| right.apply(p)).sum::<f64>(), truth.iter().sum()];
            assert!((said - truth).abs() < 1.5, "{how:?}: {said} {truth}");
        }
    }

    #[test]
    fn what_cannot_be_set_right_stays() {
        let fit = |how, task, said: &[f64], truth: &[f64]| Right::fit(how, task, said, truth);
        assert_eq!(fit(Calibrate::None, Task::Count, &[1.0], &[2.0]), None);
        assert_eq!(fit(Calibrate::Platt, Task::Count, &[0.0], &[2.0]), None);
        assert_eq!(fit(Calibrate::Platt, Task::Count, &[1.0], &[0.0]), None);
        assert_eq!(fit(Calibrate::Platt, Task::Churn, &[0.2, 0.3], &[1.0, 1.0]), None);
        assert_eq!(fit(Calibrate::Platt, Task::NextEvent, &[0.2, 0.8], &[1.0]), None);
        assert_eq!(fit(Calibrate::Platt, Task::Purchase, &[], &[]), None);
    }
}
