//! How long nothing happens: the curve of one path without any event.

/// How likely it is that nothing has happened yet: `ln S` at the end of each period, the last one being the
/// part that lies in the horizon; lengths in seconds.
pub(super) struct Survival {
    pub(super) falls: Vec<f64>,
    pub(super) period: f64,
    pub(super) last_period: f64,
}

impl Survival {
    pub(super) fn last(&self) -> f64 {
        self.falls.iter().sum::<f64>().exp()
    }

    /// The pieces of the curve: where each begins, how long it is, S there, and the rate at which it falls.
    fn pieces(&self) -> impl Iterator<Item = [f64; 4]> + '_ {
        let last = self.falls.len() - 1;
        let mut at = 0.0;
        let mut log = 0.0f64;
        self.falls.iter().enumerate().map(move |(step, fall)| {
            let length = if step == last { self.last_period } else { self.period };
            let piece = [at, length, log.exp(), -fall / length];
            at += length;
            log += fall;
            piece
        })
    }

    /// ```text
    ///     E[T]  = ∫ S        = Σ S₀ · (1 − e^{−λL}) / λ
    /// ```
    pub(super) fn mean(&self) -> f64 {
        self.pieces().map(|[_, length, s, rate]| s * area(rate, length)).sum()
    }

    /// ```text
    ///     E[T²] = ∫ 2τ S     = Σ 2 S₀ · (t₀ A + ∫ τ e^{−λτ}),    A = (1 − e^{−λL}) / λ
    /// ```
    pub(super) fn spread(&self) -> [f64; 3] {
        let square = |[at, length, s, rate]: [f64; 4]| {
            let x = rate * length;
            // ∫ τ e^{−λτ} = (1 − (1 + x) e^{−x}) / λ², L²/2 where it does not fall.
            let first = match x < 1e-4 {
                true => length * length * (0.5 - x / 3.0),
                false => (1.0 - (1.0 + x) * (-x).exp()) / (rate * rate),
            };
            2.0 * s * (at * area(rate, length) + first)
        };
        let (mean, square) = (self.mean(), self.pieces().map(square).sum::<f64>());
        let quantile = |share: f64| {
            let mut end = 0.0;
            for [at, length, s, rate] in self.pieces() {
                let fall = (s / (1.0 - share)).ln();
                if fall <= rate * length {
                    return at + if fall > 0.0 { fall / rate } else { 0.0 };
                }
                end = at + length;
            }
            end
        };
        [(square - mean * mean).max(0.0).sqrt(), quantile(0.1), quantile(0.9)]
    }
}

/// ∫ e^{−λτ} over a length.
fn area(rate: f64, length: f64) -> f64 {
    let x = rate * length;
    if x < 1e-8 { length } else { -(-x).exp_m1() / rate }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean and deviation of the time to the next event against sums over a fine grid.
    #[test]
    fn a_curve_of_survival_has_its_mean_and_its_spread() {
        let curve =
            Survival { falls: vec![-0.3, 0.0, -1e-9, -2.0, -0.1], period: 10.0, last_period: 4.0 };
        let s = |time: f64| {
            let piece = curve.pieces().take_while(|piece| piece[0] <= time).last().unwrap();
            piece[2] * (-piece[3] * (time - piece[0])).exp()
        };
        let (n, end) = (200_000, 44.0);
        let times = (0..n).map(|k| (k as f64 + 0.5) * end / f64::from(n));
        let width = end / f64::from(n);
        let mean: f64 = times.clone().map(|time| s(time) * width).sum();
        let square: f64 = times.map(|time| 2.0 * time * s(time) * width).sum();
        assert!((curve.mean() - mean).abs() < 1e-6, "{} {mean}", curve.mean());
        let [deviation, low, high] = curve.spread();
        assert!((deviation - (square - mean * mean).sqrt()).abs() < 1e-5);
        assert!((s(low) - 0.9).abs() < 1e-9 && (s(high) - 0.1).abs() < 1e-9, "{low} {high}");
        assert!((curve.last() - (-2.400_000_001f64).exp()).abs() < 1e-12);
        let nobody = Survival { falls: vec![0.0; 2], ..curve };
        assert_eq!((nobody.mean(), nobody.spread()), (14.0, [0.0, 14.0, 14.0]));
    }
}
