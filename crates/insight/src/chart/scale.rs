//! From values to places, and where labels stand.

/// A stretch of values on a stretch of paper.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    /// The value at the beginning.
    pub from: f64,
    /// The value at the end.
    pub to: f64,
    /// Whether equal steps are equal factors; then both ends are above 0.
    pub log: bool,
    /// The beginning on the paper.
    pub start: f64,
    /// The end on the paper.
    pub end: f64,
}

impl Scale {
    /// Where a value stands; values outside stand at the ends.
    pub fn place(&self, value: f64) -> f64 {
        let of = |value: f64| if self.log { value.max(f64::MIN_POSITIVE).ln() } else { value };
        let (from, to) = (of(self.from), of(self.to));
        let share = if to > from { (of(value) - from) / (to - from) } else { 0.0 };
        self.start + share.clamp(0.0, 1.0) * (self.end - self.start)
    }
}

/// Round values from 0 to at least `max`, in at most `most` steps of 1, 2 or 5 times a power of ten.
pub fn linear_ticks(max: f64, most: usize) -> Vec<f64> {
    if max.is_nan() || max <= 0.0 || most == 0 {
        return vec![0.0, 1.0];
    }
    let exact = max / most as f64;
    let power = 10f64.powf(exact.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|k| k * power);
    let step = step.into_iter().find(|step| step * most as f64 >= max * (1.0 - 1e-9));
    let step = step.unwrap_or(10.0 * power);
    let steps = (max / step - 1e-9).ceil() as usize;
    (0..=steps.max(1)).map(|k| k as f64 * step).collect()
}

/// Round values from at most `from` to at least `to`, as far apart as those of [`linear_ticks`] over what
/// lies between them.
pub(super) fn span_ticks(from: f64, to: f64, most: usize) -> Vec<f64> {
    if from == 0.0 || !from.is_finite() || !to.is_finite() {
        return linear_ticks(to, most);
    }
    // Two equal values have room around them.
    let room = if to > from { to - from } else { from.abs() };
    let step = linear_ticks(room, most)[1];
    let (first, last) = ((from / step + 1e-9).floor(), (to / step - 1e-9).ceil());
    let last = last.max(first + 1.0);
    (0..=(last - first) as usize).map(|k| (first + k as f64) * step).collect()
}

/// Powers of ten from `from` to the first at or beyond `to`.
pub fn log_ticks(from: f64, to: f64) -> Vec<f64> {
    let first = from.max(f64::MIN_POSITIVE).log10().floor() as i32;
    let last = (to.max(from).max(f64::MIN_POSITIVE).log10() - 1e-9).ceil() as i32;
    (first..=last.max(first + 1)).map(|power| 10f64.powi(power)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_round_ends_around_it() {
        assert_eq!(span_ticks(0.0, 7.0, 4), linear_ticks(7.0, 4));
        assert_eq!(span_ticks(3.2, 5.9, 4), [3.0, 4.0, 5.0, 6.0]);
        assert_eq!(span_ticks(-3.0, 1.0, 4), [-3.0, -2.0, -1.0, 0.0, 1.0]);
        let flat = span_ticks(2.0, 2.0, 4);
        assert!(flat.len() >= 2 && flat[0] <= 2.0 && flat[flat.len() - 1] >= 2.0, "{flat:?}");
        assert_eq!(span_ticks(f64::NAN, 1.0, 4), linear_ticks(1.0, 4));
        let narrow = span_ticks(1e12, 1e12 + 1.0, 4);
        assert!(narrow.len() <= 6, "{narrow:?}");
    }

    #[test]
    fn values_find_their_places() {
        let scale = Scale { from: 0.0, to: 10.0, log: false, start: 100.0, end: 0.0 };
        assert_eq!((scale.place(0.0), scale.place(5.0), scale.place(99.0)), (100.0, 50.0, 0.0));
        let log = Scale { from: 1.0, to: 100.0, log: true, start: 0.0, end: 10.0 };
        assert!((log.place(10.0) - 5.0).abs() < 1e-9 && log.place(0.0) == 0.0);
        let flat = Scale { from: 1.0, to: 1.0, log: false, start: 3.0, end: 9.0 };
        assert_eq!(flat.place(1.0), 3.0);
    }

    #[test]
    fn ticks_are_round_and_reach_the_largest_value() {
        assert_eq!(linear_ticks(9.0, 4), [0.0, 5.0, 10.0]);
        assert_eq!(linear_ticks(1000.0, 5), [0.0, 200.0, 400.0, 600.0, 800.0, 1000.0]);
        assert_eq!(linear_ticks(0.0, 4), [0.0, 1.0]);
        for max in [0.003, 1.0, 1.01, 7.0, 19.0, 123_456.0] {
            let ticks = linear_ticks(max, 4);
            assert!(ticks.len() <= 5 && ticks[ticks.len() - 1] >= max * 0.999, "{max}: {ticks:?}");
        }
        assert_eq!(log_ticks(1.0, 1500.0), [1.0, 10.0, 100.0, 1000.0, 10_000.0]);
        assert_eq!(log_ticks(1.0, 1.0), [1.0, 10.0]);
    }
}
