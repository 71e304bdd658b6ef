//! How good a table of demand was, beside what anybody could have said.

use std::collections::BTreeMap;

use serde::Serialize;
use statistics::bootstrap::Groups;
use statistics::numeric::Pairs;

use super::interval;
use crate::Error;
use crate::tasks::{Gain, over_best};

/// Resamples of the items.
const RESAMPLES: u32 = 500;
/// What a gain is over: the better of these.
const PLAIN: [&str; 2] = ["seasonal", "last"];

/// How good a table of demand was.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quality {
    /// Σ|p − y| / Σy.
    pub wape: Option<f64>,
    /// Root of the mean squared error.
    pub rmse: Option<f64>,
    /// Σp / Σy − 1.
    pub bias_of_total: Option<f64>,
    /// Rank correlation over items.
    pub spearman: Option<f64>,
}

impl Quality {
    /// The figures of what was said against what was sold, an item each.
    ///
    /// # Errors
    ///
    /// Where a number is not finite.
    pub fn new(said: &[f64], sold: &[f64]) -> Result<Self, Error> {
        let pairs = Pairs::new(said, sold)?;
        let sum: f64 = sold.iter().sum();
        let mae = pairs.mae(None)?;
        Ok(Self {
            wape: mae.filter(|_| sum > 0.0).map(|mae| mae * sold.len() as f64 / sum),
            rmse: pairs.rmse(None)?,
            bias_of_total: pairs.bias_of_total(None)?,
            spearman: pairs.spearman(None)?,
        })
    }
}

/// Figures of all ways to say what will be sold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scored {
    /// Purchases of all items.
    pub sold: f64,
    /// Which part of them was of items that nobody had bought before.
    pub of_new_items: f64,
    /// Which part of the items lies between the quantiles.
    pub inside_interval: f64,
    /// The figures of each way over the items that had been bought before.
    pub by: BTreeMap<&'static str, Quality>,
    /// What the first way gains over the better of the plain ways, by figure; 95 % intervals over items.
    pub gains: BTreeMap<&'static str, Gain>,
}

/// A figure, the larger the better.
type Figure = fn(&Pairs, Option<&[u32]>) -> Result<Option<f64>, statistics::Error>;

impl Scored {
    /// Compares what was `said` by each way with what was `sold`, an item each; `items` are those that had been
    /// bought before, and `excess` is that of the first way.
    ///
    /// # Errors
    ///
    /// Where a number is not finite.
    pub fn new(
        said: &[(&'static str, &[f64])],
        sold: &[f64],
        items: &[usize],
        excess: f64,
        seed: u64,
    ) -> Result<Self, Error> {
        let of = |values: &[f64]| items.iter().map(|&item| values[item]).collect::<Vec<f64>>();
        let truth = of(sold);
        let mut by = BTreeMap::new();
        let mut ready = Vec::new();
        for &(name, values) in said {
            let values = of(values);
            by.insert(name, Quality::new(&values, &truth)?);
            ready.push((name, Pairs::new(&values, &truth)?));
        }
        let inside = items.iter().zip(&truth).filter(|&(&item, sold)| {
            let [low, high] = interval(said[0].1[item], excess);
            (low..=high).contains(sold)
        });
        let all: f64 = sold.iter().sum();
        Ok(Self {
            sold: all,
            of_new_items: 1.0 - truth.iter().sum::<f64>() / all.max(1.0),
            inside_interval: inside.count() as f64 / items.len().max(1) as f64,
            by,
            gains: gains(&ready, items.len(), seed)?,
        })
    }
}

fn gains(
    ready: &[(&'static str, Pairs)],
    items: usize,
    seed: u64,
) -> Result<BTreeMap<&'static str, Gain>, Error> {
    let wape: Figure = |pairs, weights| {
        let figures = pairs.figures(weights)?;
        let both = figures.mae.zip(figures.mean_true).filter(|(_, mean)| *mean > 0.0);
        Ok(both.map(|(mae, mean)| -mae / mean))
    };
    let rmse: Figure = |pairs, weights| Ok(pairs.rmse(weights)?.map(|rmse| -rmse));
    let spearman: Figure = |pairs, weights| pairs.spearman(weights);
    let mut gains = BTreeMap::new();
    let Some(((_, own), others)) = ready.split_first() else { return Ok(gains) };
    for (name, figure) in [("wape", wape), ("rmse", rmse), ("spearman", spearman)] {
        let plain = others.iter().filter(|(by, _)| PLAIN.contains(by));
        let plain = plain.map(|(by, pairs)| (*by, pairs));
        let gain = over_best((own, plain), &Groups::alone(items), (RESAMPLES, seed), figure)?;
        gains.extend(gain.map(|gain| (name, gain)));
    }
    Ok(gains)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_shares_of_what_was_sold() {
        let quality = Quality::new(&[1.0, 3.0, 0.0], &[2.0, 2.0, 4.0]).unwrap();
        assert_eq!(quality.wape, Some(0.75));
        assert_eq!(quality.bias_of_total, Some(-0.5));
        assert_eq!(Quality::new(&[1.0], &[0.0]).unwrap().wape, None);
    }

    #[test]
    fn a_gain_is_over_the_better_of_the_plain_ways() {
        let sold: Vec<f64> = (0..60).map(|k| f64::from(k % 9)).collect();
        let off = |by: f64| sold.iter().map(|sold| sold + by).collect::<Vec<f64>>();
        let [near, far, farther] = [0.5, 1.0, 3.0].map(off);
        let said = [("model", &near[..]), ("seasonal", &farther), ("last", &far)];
        let items: Vec<usize> = (0..54).collect();
        let scored = Scored::new(&said, &sold, &items, 0.0, 1).unwrap();
        assert_eq!(scored.gains["rmse"].over, "last");
        assert!((scored.gains["rmse"].interval.estimate - 0.5).abs() < 1e-12);
        let new: f64 = sold[54..].iter().sum();
        assert!((scored.of_new_items - new / scored.sold).abs() < 1e-12);
        assert_eq!(scored.by["seasonal"].rmse, Some(3.0));
        assert!(scored.inside_interval > 0.5);
    }
}
