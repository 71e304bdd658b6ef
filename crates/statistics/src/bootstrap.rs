//! How far a figure may be off for lack of cases: the bootstrap over groups of cases.
//!
//! Cases of one user hang together, so users are drawn, with replacement, each with all its cases. A
//! figure of a resample is a figure of the same cases with weights: how often each of them was drawn
//! ([`Scored::levels`](crate::binary::Scored::levels), [`Pairs`](crate::numeric::Pairs)). Two
//! predictors are compared on the same draws, case by case: what they share cancels out.
//!
//! # Source
//!
//! B. Efron, R. Tibshirani, "An introduction to the bootstrap", 1993, chapters 8 and 13.

use layout::random::Stream;
use rayon::prelude::*;
use serde::Serialize;

use crate::error::{Error, check_setting};

/// The name of the random stream that draws groups.
const GROUPS: u32 = 0x626f_6f74;

/// A figure with the interval that 95 % of resamples lie in.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// The figure of the cases themselves.
    pub estimate: f64,
    /// A share of 0.025 of the resamples is below.
    pub low: f64,
    /// The same above.
    pub high: f64,
    /// In how many resamples the figure was defined and finite; the others are left out.
    pub resamples: u32,
}

impl Interval {
    /// Whether 0 lies outside: for a difference, whether there is one.
    pub fn excludes_zero(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }
}

/// Which group each case belongs to.
#[derive(Debug, Clone)]
pub struct Groups {
    /// Of each case, the number of its group.
    of: Vec<u32>,
    count: u32,
}

impl Groups {
    /// The groups of cases, named by anything that has an order, such as the numbers of users.
    pub fn new<T: Ord>(names: &[T]) -> Self {
        let mut known: Vec<&T> = names.iter().collect();
        known.sort_unstable();
        known.dedup();
        let number = |name: &T| known.partition_point(|other| *other < name) as u32;
        Self { of: names.iter().map(number).collect(), count: known.len() as u32 }
    }

    /// Every case alone.
    pub fn alone(cases: usize) -> Self {
        Self { of: (0..cases as u32).collect(), count: cases as u32 }
    }

    /// How many groups.
    pub fn count(&self) -> usize {
        self.count as usize
    }

    /// How often each case counts in resample `number`: as often as its group was drawn, of as many
    /// draws as there are groups. `weights` is replaced.
    fn draw(&self, seed: u64, number: u32, drawn: &mut Vec<u32>, weights: &mut Vec<u32>) {
        drawn.clear();
        drawn.resize(self.count as usize, 0);
        let stream = Stream::new(seed, GROUPS, number);
        for block in 0..self.count.div_ceil(4) {
            let left = (self.count - 4 * block).min(4) as usize;
            for word in &stream.block(u64::from(block))[..left] {
                // Lemire's multiplication, as in `Stream::below`, four draws a block.
                let group = (u64::from(*word) * u64::from(self.count)) >> 32;
                drawn[group as usize] += 1;
            }
        }
        weights.clear();
        weights.extend(self.of.iter().map(|&group| drawn[group as usize]));
    }
}

/// The 95 % percentile interval of `figure` over `resamples` of the groups.
///
/// `figure` is given how often each case counts, one weight a case, `None` for once each. The same seed
/// gives the same bits, whatever the number of threads: resamples are made on those of the rayon
/// pool that this is called in, each from its number. The two ends lie between resamples, linearly
/// (type 7 of Hyndman and Fan). `None` where the figure of the cases themselves is not defined, or that
/// of more than half of the resamples.
///
/// # Errors
///
/// Those of `figure`; [`Error::Setting`] for no resamples.
pub fn interval(
    groups: &Groups,
    resamples: u32,
    seed: u64,
    figure: impl Fn(Option<&[u32]>) -> Result<Option<f64>, Error> + Sync,
) -> Result<Option<Interval>, Error> {
    let found = intervals(groups, resamples, seed, |weights| Ok(vec![figure(weights)?]))?;
    Ok(found.into_iter().next().flatten())
}

/// The intervals of several figures over the same resamples, each as [`interval`] has it. `figures` gives
/// as many of them each time, in the same order.
///
/// # Errors
///
/// Those of `figures`; [`Error::Setting`] for no resamples.
pub fn intervals(
    groups: &Groups,
    resamples: u32,
    seed: u64,
    figures: impl Fn(Option<&[u32]>) -> Result<Vec<Option<f64>>, Error> + Sync,
) -> Result<Vec<Option<Interval>>, Error> {
    check_setting("resamples", f64::from(resamples), "whole numbers from 1", |value| value >= 1.0)?;
    let estimates = figures(None)?;
    if estimates.iter().all(Option::is_none) {
        return Ok(vec![None; estimates.len()]);
    }
    let resampled: Result<Vec<Vec<Option<f64>>>, Error> = (0..resamples)
        .into_par_iter()
        .map_init(Default::default, |(drawn, weights): &mut (Vec<u32>, Vec<u32>), number| {
            groups.draw(seed, number, drawn, weights);
            figures(Some(weights))
        })
        .collect();
    let resampled = resampled?;
    let interval = |(k, estimate): (usize, Option<f64>)| {
        let estimate = estimate?;
        let of = resampled.iter().filter_map(|figures| figures.get(k).copied().flatten());
        let mut defined: Vec<f64> = of.filter(|figure| figure.is_finite()).collect();
        if 2 * defined.len() < resamples as usize || defined.is_empty() {
            return None;
        }
        defined.sort_unstable_by(f64::total_cmp);
        let (low, high) = (quantile(&defined, 0.025), quantile(&defined, 0.975));
        Some(Interval { estimate, low, high, resamples: defined.len() as u32 })
    };
    Ok(estimates.into_iter().enumerate().map(interval).collect())
}

/// The interval of the difference `first` − `second` of one figure of two predictors on the same cases
/// and the same draws; see [`interval`].
///
/// # Errors
///
/// Those of [`interval`].
pub fn difference(
    groups: &Groups,
    resamples: u32,
    seed: u64,
    first: impl Fn(Option<&[u32]>) -> Result<Option<f64>, Error> + Sync,
    second: impl Fn(Option<&[u32]>) -> Result<Option<f64>, Error> + Sync,
) -> Result<Option<Interval>, Error> {
    interval(groups, resamples, seed, |weights| {
        let (first, second) = (first(weights)?, second(weights)?);
        Ok(first.zip(second).map(|(first, second)| first - second))
    })
}

fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let (below, part) = (place.floor() as usize, place.fract());
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + part * (sorted[above] - sorted[below])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binary::Scored;
    use crate::numeric::Pairs;

    fn normal(seed: u64, count: u64) -> Vec<f64> {
        let stream = Stream::new(seed, 77, 0);
        (0..count).map(|index| stream.normal(index)).collect()
    }

    /// The mean of p, as a figure of weights.
    fn mean(values: &[f64], weights: Option<&[u32]>) -> Result<Option<f64>, Error> {
        Pairs::new(values, &vec![0.0; values.len()])?.mean_error(weights)
    }

    #[test]
    fn quantiles_lie_between_values() {
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.5), 2.0);
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.75), 3.0);
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 1.0), 4.0);
        assert_eq!(quantile(&[7.0], 0.025), 7.0);
    }

    #[test]
    fn groups_are_drawn_whole_and_as_often_as_there_are_groups() {
        let groups = Groups::new(&["k", "b", "k", "b", "b", "a", "c"]);
        assert_eq!(groups.count(), 4);
        let (mut drawn, mut weights) = (Vec::new(), Vec::new());
        let mut seen = [0; 4];
        for number in 0..4000 {
            groups.draw(1, number, &mut drawn, &mut weights);
            assert_eq!(drawn.iter().sum::<u32>(), 4);
            assert!(
                weights[0] == weights[2] && weights[1] == weights[3] && weights[1] == weights[4]
            );
            assert_eq!([weights[5], weights[1], weights[6], weights[0]], drawn[..]);
            (0..4).for_each(|group| seen[group] += drawn[group]);
        }
        // Each 4000 times, give or take four times √(4000 · 3/4).
        assert!(seen.iter().all(|&seen| seen.abs_diff(4000) < 220), "{seen:?}");
    }

    #[test]
    fn the_interval_of_a_mean_is_that_of_the_textbook() {
        let values = normal(1, 2000);
        let found = interval(&Groups::alone(2000), 2000, 5, |weights| mean(&values, weights));
        let found = found.unwrap().unwrap();
        // ± 1.96 / √2000, known to a few per cent from 2,000 resamples.
        let half = 1.96 / 2000f64.sqrt();
        assert!((found.high - found.estimate - half).abs() < 0.1 * half, "{found:?}");
        assert!((found.estimate - found.low - half).abs() < 0.1 * half, "{found:?}");
        assert_eq!(found.resamples, 2000);
    }

    /// Ten cases a user that are all alike tell no more than one.
    #[test]
    fn cases_of_one_user_are_not_ten() {
        let users = normal(2, 200);
        let values: Vec<f64> = users.iter().flat_map(|&value| [value; 10]).collect();
        let names: Vec<u64> = (0..2000).map(|case| case / 10).collect();
        let width = |groups: &Groups| {
            let found = interval(groups, 500, 5, |weights| mean(&values, weights));
            let found = found.unwrap().unwrap();
            found.high - found.low
        };
        let ratio = width(&Groups::new(&names)) / width(&Groups::alone(2000));
        assert!((ratio / 10f64.sqrt() - 1.0).abs() < 0.2, "{ratio}");
    }

    #[test]
    fn what_two_predictors_share_cancels_out() {
        let (first, shared) = (normal(3, 500), normal(4, 500));
        let second: Vec<f64> =
            first.iter().zip(&shared).map(|(a, b)| a + 0.05 + 0.01 * b).collect();
        let groups = Groups::alone(500);
        let alone = interval(&groups, 300, 1, |weights| mean(&second, weights)).unwrap().unwrap();
        let both = difference(
            &groups,
            300,
            1,
            |weights| mean(&second, weights),
            |weights| mean(&first, weights),
        );
        let both = both.unwrap().unwrap();
        assert!((both.estimate - 0.05).abs() < 0.002 && both.excludes_zero(), "{both:?}");
        assert!(!alone.excludes_zero() && both.high - both.low < 0.05 * (alone.high - alone.low));
        let same = difference(
            &groups,
            50,
            1,
            |weights| mean(&first, weights),
            |weights| mean(&first, weights),
        );
        let same = same.unwrap().unwrap();
        assert_eq!((same.estimate, same.low, same.high), (0.0, 0.0, 0.0));
    }

    #[test]
    fn the_number_of_threads_changes_no_bit() {
        let scores = normal(6, 1000);
        let outcomes: Vec<bool> = normal(7, 1000).iter().map(|&value| value > 1.0).collect();
        let scored = Scored::new(&scores, &outcomes).unwrap();
        let found = |threads, seed| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let auc = |weights: Option<&[u32]>| Ok(scored.levels(weights)?.auc());
            pool.install(|| interval(&Groups::alone(1000), 200, seed, auc)).unwrap().unwrap()
        };
        assert_eq!(found(1, 9), found(3, 9));
        assert_ne!(found(1, 9), found(1, 10));
    }

    /// Figures that share resamples have the intervals that each would have alone.
    #[test]
    fn several_figures_are_as_each_alone() {
        let values = normal(8, 300);
        let squares: Vec<f64> = values.iter().map(|x| x * x).collect();
        let groups = Groups::alone(300);
        let both = intervals(&groups, 100, 3, |weights| {
            Ok(vec![mean(&values, weights)?, None, mean(&squares, weights)?])
        });
        let alone = |values: &[f64]| interval(&groups, 100, 3, |weights| mean(values, weights));
        assert_eq!(both.unwrap(), [alone(&values).unwrap(), None, alone(&squares).unwrap()]);
    }

    #[test]
    fn what_is_not_defined_is_none() {
        let scored = Scored::new(&[0.1, 0.2, 0.3], &[false, false, false]).unwrap();
        let auc = |weights: Option<&[u32]>| Ok(scored.levels(weights)?.auc());
        assert_eq!(interval(&Groups::alone(3), 10, 1, auc), Ok(None));
        // Of one case with the outcome and two without, a third of the resamples has one kind alone.
        let scored = Scored::new(&[0.1, 0.2, 0.3], &[false, true, false]).unwrap();
        let auc = |weights: Option<&[u32]>| Ok(scored.levels(weights)?.auc());
        let found = interval(&Groups::alone(3), 1000, 1, auc).unwrap().unwrap();
        assert!((600..735).contains(&found.resamples), "{found:?}");
        // Of a case that is drawn in 63 of 100 resamples, the others say nothing.
        let missed = |weights: Option<&[u32]>| {
            Ok(weights.is_none_or(|weights| weights[0] == 0).then_some(1.0))
        };
        assert_eq!(interval(&Groups::alone(100), 1000, 1, missed), Ok(None));
        let none = Scored::new(&[], &[]).unwrap();
        let auc = |weights: Option<&[u32]>| Ok(none.levels(weights)?.auc());
        assert_eq!(interval(&Groups::new::<u32>(&[]), 10, 1, auc), Ok(None));
    }

    #[test]
    fn wrong_numbers_are_named() {
        let scored = Scored::new(&[0.1, 0.2], &[false, true]).unwrap();
        let auc = |weights: Option<&[u32]>| Ok(scored.levels(weights)?.auc());
        let found = interval(&Groups::alone(2), 0, 1, auc);
        assert!(matches!(found, Err(Error::Setting { .. })));
        let found = interval(&Groups::alone(3), 10, 1, auc);
        assert!(matches!(found, Err(Error::Lengths { found: 3, expected: 2, .. })));
    }
}
