//! Numbers brought to a scale that a network can read, by what training has seen of them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Error;

/// A step of scaling as it is written.
///
/// ```text
///     log1p      y = sign(x) · ln(1 + |x|)
///     zscore     y = (x − mean) / deviation
///     minmax     y = 2 · (x − low) / (high − low) − 1, held inside −1 … 1
///     quantile   y = 2 · r(x) − 1, r the share of training values below x, ties in the middle
/// ```
///
/// Each ends with 0 in the middle of what training has seen (`log1p` alone, with 0 at 0), so that 0
/// can stand for a number that is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scale {
    /// Orders of magnitude become steps of equal size; signs are kept.
    Log1p,
    /// Mean 0 and deviation 1 over the training events.
    Zscore,
    /// The smallest training value at −1, the largest at 1, nothing beyond.
    Minmax,
    /// The rank among the training values: nothing about their shape is left.
    Quantile,
}

impl Scale {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Log1p, Self::Zscore, Self::Minmax, Self::Quantile];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Log1p => "log1p",
            Self::Zscore => "zscore",
            Self::Minmax => "minmax",
            Self::Quantile => "quantile",
        }
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Quantiles that are kept. Between two of them the rank is a straight line.
const QUANTILES: usize = 256;

/// A deviation below this share of the mean is the noise of a constant: f32 holds no finer
/// difference.
const CONSTANT: f64 = 1e-7;

/// A chain of steps with what each has learned from the training values.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scaling {
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum Step {
    Log1p,
    Zscore { mean: f64, deviation: f64 },
    Minmax { low: f64, high: f64 },
    Quantile { knots: Vec<f64> },
}

impl Scaling {
    /// Learns a chain from training values, each step from what the one before has made of them.
    /// Values that are missing or infinite teach nothing.
    pub fn fit(chain: &[Scale], values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        let mut steps = Vec::with_capacity(chain.len());
        for &scale in chain {
            let step = Step::fit(scale, &values);
            values.iter_mut().for_each(|value| *value = step.apply(*value));
            steps.push(step);
        }
        Self { steps }
    }

    /// The scaled value; none where it is missing or infinite. What comes out is finite.
    pub fn apply(&self, value: f64) -> Option<f32> {
        if !value.is_finite() {
            return None;
        }
        let scaled = self.steps.iter().fold(value, |value, step| step.apply(value));
        Some((scaled as f32).clamp(f32::MIN, f32::MAX))
    }

    /// Whether a stored chain can be applied.
    pub(crate) fn check(&self) -> Result<(), Error> {
        for step in &self.steps {
            let good = match step {
                Step::Log1p => true,
                Step::Zscore { mean, deviation } => {
                    mean.is_finite() && deviation.is_finite() && *deviation > 0.0
                }
                Step::Minmax { low, high } => low.is_finite() && high.is_finite() && low <= high,
                Step::Quantile { knots } => {
                    knots.iter().all(|knot| knot.is_finite()) && knots.is_sorted()
                }
            };
            if !good {
                let reason = format!("the scaling {step:?} is none");
                return Err(Error::Stored { what: "features", reason });
            }
        }
        Ok(())
    }
}

impl Step {
    fn fit(scale: Scale, values: &[f64]) -> Self {
        match scale {
            Scale::Log1p => Self::Log1p,
            Scale::Zscore => {
                let n = values.len().max(1) as f64;
                let mean = values.iter().sum::<f64>() / n;
                let squares = values.iter().map(|value| (value - mean) * (value - mean));
                let deviation = (squares.sum::<f64>() / n).sqrt();
                let constant = deviation <= CONSTANT * mean.abs();
                Self::Zscore { mean, deviation: if constant { 1.0 } else { deviation } }
            }
            Scale::Minmax => {
                let low = values.iter().copied().reduce(f64::min).unwrap_or(0.0);
                let high = values.iter().copied().reduce(f64::max).unwrap_or(0.0);
                Self::Minmax { low, high }
            }
            Scale::Quantile => {
                let mut sorted = values.to_vec();
                sorted.sort_unstable_by(f64::total_cmp);
                let last = sorted.len().saturating_sub(1);
                let parts = last.min(QUANTILES);
                let place = |j: usize| (j * last + parts / 2) / parts.max(1);
                let knots = match sorted.len() {
                    0 => Vec::new(),
                    _ => (0..=parts).map(|j| sorted[place(j)]).collect(),
                };
                Self::Quantile { knots }
            }
        }
    }

    fn apply(&self, x: f64) -> f64 {
        match self {
            Self::Log1p => x.abs().ln_1p().copysign(x),
            Self::Zscore { mean, deviation } => (x - mean) / deviation,
            Self::Minmax { low, high } if low < high => {
                (2.0 * (x - low) / (high - low) - 1.0).clamp(-1.0, 1.0)
            }
            Self::Minmax { .. } => 0.0,
            Self::Quantile { knots } => rank(knots, x),
        }
    }
}

/// Where x stands among the knots, −1 for the first, 1 for the last; in the middle of equal ones.
fn rank(knots: &[f64], x: f64) -> f64 {
    if knots.len() < 2 {
        return 0.0;
    }
    let last = knots.len() - 1;
    let below = knots.partition_point(|&knot| knot < x);
    let not_above = knots.partition_point(|&knot| knot <= x);
    let rank = if below < not_above {
        (below + not_above - 1) as f64 / 2.0
    } else if below == 0 {
        0.0
    } else if below > last {
        last as f64
    } else {
        let (left, right) = (knots[below - 1], knots[below]);
        (below - 1) as f64 + (x - left) / (right - left)
    };
    2.0 * rank / last as f64 - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scaled(chain: &[Scale], train: &[f64], x: &[f64]) -> Vec<f32> {
        let scaling = Scaling::fit(chain, train.iter().copied());
        x.iter().map(|&x| scaling.apply(x).unwrap_or(f32::NAN)).collect()
    }

    #[test]
    fn each_scale_is_what_its_equation_says() {
        // Mean 4, deviation √((9 + 1 + 16) / 3).
        let deviation = (26f64 / 3.0).sqrt();
        let z = |x: f64| ((x - 4.0) / deviation) as f32;
        assert_eq!(scaled(&[Scale::Zscore], &[1.0, 3.0, 8.0], &[1.0, 4.0]), [z(1.0), 0.0]);

        let minmax = scaled(&[Scale::Minmax], &[2.0, 6.0, 4.0], &[2.0, 3.0, 6.0, 99.0, -99.0]);
        assert_eq!(minmax, [-1.0, -0.5, 1.0, 1.0, -1.0]);

        let log = scaled(&[Scale::Log1p], &[], &[0.0, 1.0, -1.0]);
        assert_eq!(log, [0.0, std::f32::consts::LN_2, -std::f32::consts::LN_2]);

        let train = [0.0, 10.0, 10.0, 10.0, 50.0];
        let quantile =
            scaled(&[Scale::Quantile], &train, &[-1.0, 0.0, 5.0, 10.0, 30.0, 50.0, 51.0]);
        assert_eq!(quantile, [-1.0, -1.0, -0.75, 0.0, 0.75, 1.0, 1.0]);
    }

    #[test]
    fn a_chain_learns_each_step_from_the_one_before() {
        let e = std::f64::consts::E;
        let train = [0.0, e - 1.0, e * e - 1.0];
        let chain = scaled(&[Scale::Log1p, Scale::Minmax], &train, &train);
        for (found, expected) in chain.iter().zip([-1.0, 0.0, 1.0]) {
            assert!((found - expected).abs() < 1e-6, "{chain:?}");
        }
    }

    #[test]
    fn more_values_than_knots_are_still_ranks() {
        let train: Vec<f64> = (0..100_001).map(f64::from).collect();
        let found = scaled(&[Scale::Quantile], &train, &[0.0, 25_000.0, 50_000.0, 100_000.0]);
        for (found, expected) in found.iter().zip([-1.0, -0.5, 0.0, 1.0]) {
            assert!((found - expected).abs() < 1e-4, "{found} {expected}");
        }
    }

    #[test]
    fn what_teaches_nothing_still_scales_to_finite_numbers() {
        let hostile = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
        for scale in Scale::ALL {
            for train in [&[][..], &[7.5], &[0.1; 9], &hostile] {
                let scaling = Scaling::fit(&[scale], train.iter().copied());
                for x in [0.0, -1.0, 7.5, 3e38, -3e38] {
                    assert!(scaling.apply(x).unwrap().is_finite(), "{scale} {train:?} {x}");
                }
                assert!(hostile.iter().all(|&x| scaling.apply(x).is_none()));
                scaling.check().unwrap();
            }
        }
        // A constant column says nothing: its value is the middle, to the last bit.
        for scale in [Scale::Zscore, Scale::Minmax, Scale::Quantile] {
            let train = [f64::from(0.1f32); 7];
            assert!(scaled(&[scale], &train, &train)[0].abs() < 1e-9, "{scale}");
        }
        let tiny = scaled(&[Scale::Zscore], &[1e-30, 2e-30], &[3e38]);
        assert_eq!(tiny, [f32::MAX]);
    }

    #[test]
    fn a_stored_chain_comes_back_bit_for_bit_or_not_at_all() {
        let train: Vec<f64> = (1..200).map(|x| 1.0 / f64::from(x)).collect();
        let scaling = Scaling::fit(&Scale::ALL, train.iter().copied());
        let text = serde_json::to_string(&scaling).unwrap();
        assert_eq!(serde_json::from_str::<Scaling>(&text).unwrap(), scaling);
        for text in [
            r#"[{"zscore":{"mean":0.0,"deviation":0.0}}]"#,
            r#"[{"minmax":{"low":1.0,"high":0.0}}]"#,
            r#"[{"quantile":{"knots":[1.0,0.0]}}]"#,
        ] {
            assert!(serde_json::from_str::<Scaling>(text).unwrap().check().is_err(), "{text}");
        }
    }
}
