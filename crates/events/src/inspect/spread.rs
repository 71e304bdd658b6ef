//! A few numbers that say how values lie, and their counts in bins.

use serde::Serialize;

/// Mean and quantiles. A quantile is the smallest value that at least this share of all does not
/// exceed.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Spread {
    /// How many values there are.
    pub count: u64,
    /// Their mean.
    pub mean: f64,
    /// The value that a tenth does not exceed.
    pub p10: f64,
    /// A quarter.
    pub p25: f64,
    /// Half.
    pub median: f64,
    /// Three quarters.
    pub p75: f64,
    /// Nine tenths.
    pub p90: f64,
    /// 99 of 100.
    pub p99: f64,
    /// The largest.
    pub max: f64,
}

/// The values from `from` to `to`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bin {
    /// The smallest that belongs to it.
    pub from: f64,
    /// The first beyond it; infinite (`null` in JSON) in the last one.
    pub to: f64,
    /// How many values lie in it.
    pub count: u64,
}

impl Spread {
    /// Of values in any order, which are put in another.
    pub(super) fn of(values: &mut [i64]) -> Self {
        let n = values.len();
        if n == 0 {
            return Self::default();
        }
        let sum: f64 = values.iter().map(|&value| value as f64).sum();
        let mut quantile = |hundredths: usize| {
            let place = (hundredths * n).div_ceil(100).max(1) - 1;
            *values.select_nth_unstable(place).1 as f64
        };
        Self {
            count: n as u64,
            mean: sum / n as f64,
            p10: quantile(10),
            p25: quantile(25),
            median: quantile(50),
            p75: quantile(75),
            p90: quantile(90),
            p99: quantile(99),
            max: quantile(100),
        }
    }

    /// The same in a unit that is `times` smaller ones.
    pub(super) fn per(self, times: f64) -> Self {
        Self {
            count: self.count,
            mean: self.mean / times,
            p10: self.p10 / times,
            p25: self.p25 / times,
            median: self.median / times,
            p75: self.p75 / times,
            p90: self.p90 / times,
            p99: self.p99 / times,
            max: self.max / times,
        }
    }
}

/// Counts values between rising edges; the last bin has no end. Values below the first edge are not
/// counted, and bins past the largest value are left out.
pub(super) fn bins(values: &[i64], edges: &[i64]) -> Vec<Bin> {
    let mut counts = vec![0u64; edges.len()];
    for value in values {
        if let Some(bin) = edges.partition_point(|edge| edge <= value).checked_sub(1) {
            counts[bin] += 1;
        }
    }
    let used = counts.iter().rposition(|&count| count > 0).map_or(0, |last| last + 1);
    let end = |bin: usize| edges.get(bin + 1).map_or(f64::INFINITY, |&edge| edge as f64);
    (0..used).map(|bin| Bin { from: edges[bin] as f64, to: end(bin), count: counts[bin] }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_are_there() {
        let spread = Spread::of(&mut [4, 1, 3, 2]);
        assert_eq!((spread.count, spread.mean, spread.max), (4, 2.5, 4.0));
        assert_eq!((spread.p10, spread.p25, spread.median), (1.0, 1.0, 2.0));
        assert_eq!((spread.p75, spread.p90, spread.p99), (3.0, 4.0, 4.0));
        assert_eq!(spread.per(2.0).median, 1.0);
        assert_eq!(Spread::of(&mut []), Spread::default());
    }

    #[test]
    fn a_bin_begins_with_its_edge_and_ends_before_the_next() {
        let counts = bins(&[0, 1, 1, 2, 4, 5, 900], &[1, 2, 5, 10, 20]);
        let of = |bin: &Bin| (bin.from, bin.to, bin.count);
        assert_eq!(of(&counts[0]), (1.0, 2.0, 2));
        assert_eq!(of(&counts[1]), (2.0, 5.0, 2));
        assert_eq!(of(&counts[2]), (5.0, 10.0, 1));
        assert_eq!(of(&counts[4]), (20.0, f64::INFINITY, 1));
        assert_eq!(bins(&[1, 2], &[1, 2, 5]).len(), 2);
        assert!(bins(&[], &[1]).is_empty());
    }
}
