//! How good a ranking is: recall, mean reciprocal rank and NDCG at k.
//!
//! One case has one target, so all three follow from the target's rank r alone:
//!
//! ```text
//!     recall@k = share of cases with r ≤ k
//!     mrr@k    = mean of 1 / r            over all cases, 0 where r > k
//!     ndcg@k   = mean of 1 / log₂(r + 1)  over all cases, 0 where r > k
//! ```
//!
//! A [`Ranks`] therefore counts ranks and adds nothing up: the figures do not depend on the order
//! of the cases, nor on how many threads have counted.

use serde::{Deserialize, Serialize};

/// The largest rank that any figure looks at.
pub const DEPTH: usize = 20;

/// The rank of `target`: 1 + the items with a higher score + the other items with an equal one.
///
/// Ties count against the target, and a score that is not a number ranks behind every number: a
/// model cannot gain by answering everything alike, or nothing.
///
/// # Panics
///
/// Where `target` is not an index of `scores`.
pub fn rank(scores: &[f32], target: u32) -> usize {
    let own = scores[target as usize];
    if own.is_nan() {
        return scores.len();
    }
    // The target itself is one of the `at_least`: it is the 1 of the rule.
    scores.iter().map(|&score| usize::from(score >= own)).sum()
}

/// How often each rank up to [`DEPTH`] has occurred.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ranks {
    at: [u64; DEPTH + 1],
    cases: u64,
    unknown_targets: u64,
}

impl Ranks {
    /// Counts a case whose target has this rank, counted from 1.
    pub fn add(&mut self, rank: usize) {
        debug_assert!(rank > 0);
        self.cases += 1;
        if let Some(count) = self.at.get_mut(rank) {
            *count += 1;
        }
    }

    /// Counts a case whose target is not in the vocabulary: a miss.
    pub fn add_unknown(&mut self) {
        self.cases += 1;
        self.unknown_targets += 1;
    }

    /// Adds the cases of another count.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.at.iter_mut().zip(&other.at) {
            *count += more;
        }
        self.cases += other.cases;
        self.unknown_targets += other.unknown_targets;
    }

    /// Number of cases so far.
    pub fn cases(&self) -> u64 {
        self.cases
    }

    /// The figures of all cases so far.
    pub fn metrics(&self) -> Metrics {
        let mean = |k: usize, gain: fn(f64) -> f64| {
            let hits = self.at.iter().enumerate().skip(1).take(k);
            let sum: f64 = hits.map(|(rank, &count)| gain(rank as f64) * count as f64).sum();
            if self.cases == 0 { f64::NAN } else { sum / self.cases as f64 }
        };
        let recall = |k| mean(k, |_| 1.0);
        let mrr = |k| mean(k, |rank| 1.0 / rank);
        let ndcg = |k| mean(k, |rank| 1.0 / (rank + 1.0).log2());
        Metrics {
            cases: self.cases,
            unknown_targets: self.unknown_targets,
            recall_1: recall(1),
            recall_5: recall(5),
            recall_10: recall(10),
            recall_20: recall(20),
            mrr_5: mrr(5),
            mrr_10: mrr(10),
            mrr_20: mrr(20),
            ndcg_5: ndcg(5),
            ndcg_10: ndcg(10),
            ndcg_20: ndcg(20),
        }
    }
}

/// The figures of one model on one set of cases: fractions, not per cent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Number of cases.
    pub cases: u64,
    /// How many of them have a target outside the vocabulary; each is a miss.
    pub unknown_targets: u64,
    /// Share of cases whose target is ranked first.
    #[serde(rename = "recall@1")]
    pub recall_1: f64,
    /// Share of cases whose target is among the first 5.
    #[serde(rename = "recall@5")]
    pub recall_5: f64,
    /// Share of cases whose target is among the first 10.
    #[serde(rename = "recall@10")]
    pub recall_10: f64,
    /// Share of cases whose target is among the first 20.
    #[serde(rename = "recall@20")]
    pub recall_20: f64,
    /// Mean reciprocal rank within the first 5.
    #[serde(rename = "mrr@5")]
    pub mrr_5: f64,
    /// Mean reciprocal rank within the first 10.
    #[serde(rename = "mrr@10")]
    pub mrr_10: f64,
    /// Mean reciprocal rank within the first 20.
    #[serde(rename = "mrr@20")]
    pub mrr_20: f64,
    /// Discounted gain within the first 5.
    #[serde(rename = "ndcg@5")]
    pub ndcg_5: f64,
    /// Discounted gain within the first 10.
    #[serde(rename = "ndcg@10")]
    pub ndcg_10: f64,
    /// Discounted gain within the first 20.
    #[serde(rename = "ndcg@20")]
    pub ndcg_20: f64,
}

impl Metrics {
    /// Every figure with the name that scripts know it by.
    pub fn by_name(&self) -> [(&'static str, f64); 10] {
        [
            ("recall@1", self.recall_1),
            ("recall@5", self.recall_5),
            ("recall@10", self.recall_10),
            ("recall@20", self.recall_20),
            ("mrr@5", self.mrr_5),
            ("mrr@10", self.mrr_10),
            ("mrr@20", self.mrr_20),
            ("ndcg@5", self.ndcg_5),
            ("ndcg@10", self.ndcg_10),
            ("ndcg@20", self.ndcg_20),
        ]
    }
}

/// What the best epoch is chosen by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Criterion {
    /// The sum of `recall@20` and `mrr@20`: neither is bought with the other.
    #[default]
    #[serde(rename = "recall@20+mrr@20")]
    RecallAndMrr,
    /// `recall@1`.
    #[serde(rename = "recall@1")]
    Recall1,
    /// `recall@5`.
    #[serde(rename = "recall@5")]
    Recall5,
    /// `recall@10`.
    #[serde(rename = "recall@10")]
    Recall10,
    /// `recall@20`.
    #[serde(rename = "recall@20")]
    Recall20,
    /// `mrr@5`.
    #[serde(rename = "mrr@5")]
    Mrr5,
    /// `mrr@10`.
    #[serde(rename = "mrr@10")]
    Mrr10,
    /// `mrr@20`.
    #[serde(rename = "mrr@20")]
    Mrr20,
    /// `ndcg@5`.
    #[serde(rename = "ndcg@5")]
    Ndcg5,
    /// `ndcg@10`.
    #[serde(rename = "ndcg@10")]
    Ndcg10,
    /// `ndcg@20`.
    #[serde(rename = "ndcg@20")]
    Ndcg20,
}

impl Criterion {
    /// The number to maximise.
    pub fn of(self, metrics: &Metrics) -> f64 {
        match self {
            Self::RecallAndMrr => metrics.recall_20 + metrics.mrr_20,
            Self::Recall1 => metrics.recall_1,
            Self::Recall5 => metrics.recall_5,
            Self::Recall10 => metrics.recall_10,
            Self::Recall20 => metrics.recall_20,
            Self::Mrr5 => metrics.mrr_5,
            Self::Mrr10 => metrics.mrr_10,
            Self::Mrr20 => metrics.mrr_20,
            Self::Ndcg5 => metrics.ndcg_5,
            Self::Ndcg10 => metrics.ndcg_10,
            Self::Ndcg20 => metrics.ndcg_20,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_count_against_the_target() {
        let scores = [0.5, 2.0, 0.5, 0.5, -1.0];
        assert_eq!(rank(&scores, 1), 1);
        assert_eq!(rank(&scores, 0), 4);
        assert_eq!(rank(&scores, 3), 4);
        assert_eq!(rank(&scores, 4), 5);
        assert_eq!(rank(&[1.0; 7], 3), 7);
    }

    #[test]
    fn what_is_not_a_number_ranks_last() {
        let scores = [f32::NAN, 1.0, f32::NAN, f32::NEG_INFINITY];
        assert_eq!(rank(&scores, 0), 4);
        assert_eq!(rank(&scores, 1), 1);
        assert_eq!(rank(&scores, 3), 2);
    }

    #[test]
    fn figures_of_four_cases() {
        let mut ranks = Ranks::default();
        for rank in [1, 3, 21] {
            ranks.add(rank);
        }
        ranks.add_unknown();
        let metrics = ranks.metrics();
        assert_eq!((metrics.cases, metrics.unknown_targets), (4, 1));
        assert_eq!((metrics.recall_1, metrics.recall_5, metrics.recall_20), (0.25, 0.5, 0.5));
        assert_eq!(metrics.mrr_20, (1.0 + 1.0 / 3.0) / 4.0);
        assert_eq!(metrics.ndcg_5, (1.0 + 0.5) / 4.0);
    }

    #[test]
    fn merging_is_counting_together() {
        let (mut one, mut other, mut both) = (Ranks::default(), Ranks::default(), Ranks::default());
        for rank in 1..40 {
            if rank % 3 == 0 {
                one.add(rank)
            } else {
                other.add(rank)
            }
            both.add(rank);
        }
        one.merge(&other);
        assert_eq!(one, both);
    }

    #[test]
    fn no_cases_have_no_figures() {
        assert!(Ranks::default().metrics().recall_20.is_nan());
    }

    #[test]
    fn figures_carry_the_names_that_scripts_rely_on() {
        let mut ranks = Ranks::default();
        (1..40).for_each(|rank| ranks.add(rank));
        let value = serde_json::to_value(ranks.metrics()).unwrap();
        for (name, figure) in ranks.metrics().by_name() {
            assert_eq!(value[name], figure, "{name}");
        }
        let mut keys: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(
            keys,
            [
                "cases",
                "mrr@10",
                "mrr@20",
                "mrr@5",
                "ndcg@10",
                "ndcg@20",
                "ndcg@5",
                "recall@1",
                "recall@10",
                "recall@20",
                "recall@5",
                "unknown_targets"
            ]
        );
    }
}
