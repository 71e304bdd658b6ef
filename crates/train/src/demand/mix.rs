//! A model's demand and a seasonal mean brought together, and how far off the result may be.

use serde::Serialize;

/// What is said of each item before a window.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sources {
    /// What users are expected to buy, shared out by the sales of the window before.
    pub late: Vec<f64>,
    /// The same shared out by what the head of the next item says; of a model without one nothing.
    pub head: Vec<f64>,
    /// The mean of like windows before.
    pub seasonal: Vec<f64>,
}

impl Sources {
    fn each(&self, item: usize) -> [f64; 3] {
        let of = |values: &[f64]| values.get(item).copied().unwrap_or(0.0);
        [of(&self.late), of(&self.head), of(&self.seasonal)]
    }
}

/// How demand is mixed: as it should have been in the last window.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Mix {
    /// What the model is multiplied by, so that its total is right.
    pub ratio: f64,
    /// What the model counts whose purchases are shared out by late sales, by the head, and the seasonal mean:
    /// with these, the absolute error is the least.
    pub weights: [f64; 3],
    /// How much wider than Poisson's the spread is: variance = mean + excess · mean².
    pub excess: f64,
}

impl Mix {
    /// Where no earlier window says anything: the model as it is, with the spread of chance alone.
    pub fn alone(sources: &Sources) -> Self {
        let weights = if sources.head.is_empty() { [1.0, 0.0, 0.0] } else { [0.0, 1.0, 0.0] };
        Self { ratio: 1.0, weights, excess: 0.0 }
    }

    /// Fits it to what would have been said before a window, and what was sold in it.
    pub fn fit(sources: &Sources, sold: &[f64]) -> Self {
        let sum = |values: &[f64]| values.iter().sum::<f64>();
        let ratio = sum(sold) / sum(&sources.late);
        let alone = Self::alone(sources);
        if !(ratio.is_finite() && ratio > 0.0) {
            return alone;
        }
        let there = [true, sum(&sources.head) > 0.0, sum(&sources.seasonal) > 0.0];
        let tenths = (0..=10).flat_map(|a| (0..=10 - a).map(move |b| [a, b, 10 - a - b]));
        let mixes = tenths
            .filter(|weights| {
                weights.iter().zip(there).all(|(&weight, there)| weight == 0 || there)
            })
            .map(|weights| Self {
                ratio,
                weights: weights.map(|w| f64::from(w) / 10.0),
                excess: 0.0,
            });
        let error = |mix: &Self| {
            let off = |i: usize| (mix.apply(sources, i) - sold[i]).abs();
            (0..sold.len()).map(off).sum::<f64>()
        };
        let best = mixes.map(|mix| (error(&mix), mix)).min_by(|a, b| a.0.total_cmp(&b.0));
        let best = best.map_or(alone, |(_, mix)| mix);
        let (mut over, mut squares) = (0.0, 0.0);
        for (i, sold) in sold.iter().enumerate() {
            let mean = best.apply(sources, i);
            over += (sold - mean) * (sold - mean) - mean;
            squares += mean * mean;
        }
        Self { excess: (over / f64::max(squares, 1e-12)).max(0.0), ..best }
    }

    /// The demand of an item.
    pub fn apply(&self, sources: &Sources, item: usize) -> f64 {
        let [late, head, seasonal] = sources.each(item);
        let [a, b, c] = self.weights;
        self.ratio * (a * late + b * head) + c * seasonal
    }
}

/// 10 % and 90 % quantile of the negative binomial distribution of a mean and an excess; of Poisson's where the
/// excess is 0.
///
/// ```text
///     P(0) = (1 + aμ)^(−1/a)        P(k + 1) = P(k) · μ (1 + a k) / ((k + 1) (1 + a μ))
/// ```
pub fn interval(mean: f64, excess: f64) -> [f64; 2] {
    // Φ⁻¹(0.9)
    const NORMAL: f64 = 1.281_551_565_544_8;
    let variance = mean + excess * mean * mean;
    if mean > 400.0 && variance.sqrt() < mean / 2.0 {
        let wide = NORMAL * variance.sqrt();
        return [(mean - wide).round(), (mean + wide).round()];
    }
    let log_zero = if excess > 1e-9 { -(excess * mean).ln_1p() / excess } else { -mean };
    // Logarithms: P(0) of a large mean is no number that f64 holds.
    let (mut log, mut sum, mut low) = (log_zero, 0.0, None);
    // Far beyond any quantile asked for, so that rounding cannot keep it going.
    let last = (mean + 40.0 * variance.sqrt() + 40.0) as u64;
    for k in 0..last {
        sum += log.exp();
        if sum >= 0.1 {
            low.get_or_insert(k as f64);
        }
        if sum >= 0.9 {
            return [low.unwrap_or(0.0), k as f64];
        }
        let k = k as f64;
        log += (mean * (1.0 + excess * k) / ((k + 1.0) * (1.0 + excess * mean))).ln();
    }
    [low.unwrap_or(0.0), last as f64]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_come_right_and_what_is_better_counts() {
        let sources = |late: &[f64], head: &[f64], seasonal: &[f64]| {
            let [late, head, seasonal] = [late, head, seasonal].map(<[f64]>::to_vec);
            Sources { late, head, seasonal }
        };
        let three = sources(&[1.0, 2.0, 3.0], &[3.0, 1.0, 2.0], &[5.0; 3]);
        let mix = Mix::fit(&three, &[2.0, 4.0, 6.0]);
        assert_eq!((mix.ratio, mix.weights, mix.excess), (2.0, [1.0, 0.0, 0.0], 0.0));
        assert_eq!(mix.apply(&three, 2), 6.0);
        assert_eq!(Mix::fit(&three, &[6.0, 2.0, 4.0]).weights, [0.0, 1.0, 0.0]);
        assert_eq!(Mix::fit(&three, &[5.0; 3]).weights, [0.0, 0.0, 1.0]);
        let two = sources(&[1.0], &[], &[0.0]);
        assert_eq!(Mix::fit(&two, &[3.0]), Mix { ratio: 3.0, ..Mix::alone(&two) });
        assert_eq!(Mix::fit(&two, &[0.0]), Mix::alone(&two));
        assert_eq!(Mix::alone(&three).weights, [0.0, 1.0, 0.0]);
        let wide = Mix::fit(&sources(&[10.0, 10.0], &[], &[]), &[0.0, 20.0]);
        assert!((wide.excess - 0.9).abs() < 1e-12, "{}", wide.excess);
    }

    /// Poisson's quantiles from tables; the wide ones against sums of the probabilities themselves.
    #[test]
    fn intervals_hold_eight_in_ten() {
        assert_eq!(interval(0.05, 0.0), [0.0, 0.0]);
        assert_eq!(interval(1.0, 0.0), [0.0, 2.0]);
        assert_eq!(interval(10.0, 0.0), [6.0, 14.0]);
        // Geometric: P(k) = (1/11) (10/11)^k, whose sums are 1 − (10/11)^(k + 1).
        assert_eq!(interval(10.0, 1.0), [1.0, 24.0]);
        for (mean, excess) in [(399.0, 0.0), (401.0, 0.0), (900.0, 0.01), (900.0, 4.0)] {
            let [low, high] = interval(mean, excess);
            let wide = (mean + excess * mean * mean).sqrt();
            assert!(0.0 <= low && low < mean && mean < high + wide, "{mean}: {low} {high}");
            assert!(high < mean + 3.0 * wide);
        }
        let [a, b] = [399.0, 401.0].map(|mean| interval(mean, 0.0));
        assert!((a[0] - b[0]).abs() <= 4.0 && (a[1] - b[1]).abs() <= 4.0, "{a:?} {b:?}");
    }
}
