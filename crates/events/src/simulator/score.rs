//! The best score that any model could reach that sees only the items of a session.
//!
//! A model answers a prefix with an order of all items. Recall@20 is the probability of the first
//! twenty, MRR@20 the sum of probability over rank among them; both are largest when the order falls
//! with `P(next item | prefix)`, and that is what [`Filter`] computes. So no model can be better,
//! whatever it is, except by chance on the cases at hand.

use super::SimulatorError;
use super::filter::Filter;
use super::shop::Shop;

/// How many items of a ranking count.
const TOP: usize = 20;

/// What the best possible model reaches on some sessions.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Score {
    /// Positions scored: all but the first of each session.
    pub cases: u64,
    /// Share of the cases whose item is among the first twenty.
    pub recall_at_20: f64,
    /// Mean of 1 / rank, 0 past the twentieth.
    pub mrr_at_20: f64,
    /// `recall_at_20` as it is to be expected for these prefixes: the same without the chance in
    /// what came next.
    pub expected_recall_at_20: f64,
    /// `mrr_at_20` as it is to be expected for these prefixes.
    pub expected_mrr_at_20: f64,
    /// Mean of −ln of the probability of what came next, in nats.
    pub log_loss: f64,
}

/// Scores the best possible model on sessions of this shop, each a sequence of item indices.
///
/// Ranks are counted as for any model; where two items are equally probable, the one with the lower
/// index goes first.
///
/// # Errors
///
/// [`SimulatorError::Impossible`] or [`SimulatorError::NoSuchItem`] where a session is not one of
/// this shop.
pub fn best_possible<S: AsRef<[usize]>>(
    shop: &Shop,
    sessions: impl IntoIterator<Item = S>,
) -> Result<Score, SimulatorError> {
    let mut scorer = Scorer::new(shop);
    for session in sessions {
        scorer.add(session.as_ref())?;
    }
    Ok(scorer.score())
}

/// The sums behind a [`Score`], fed session by session.
pub(super) struct Scorer<'a> {
    filter: Filter<'a>,
    sums: Score,
    probabilities: Vec<f64>,
    top: Vec<f64>,
}

impl<'a> Scorer<'a> {
    pub(super) fn new(shop: &'a Shop) -> Self {
        let probabilities = vec![0.0; shop.items()];
        let top = Vec::with_capacity(shop.items());
        Self { filter: Filter::new(shop), sums: Score::default(), probabilities, top }
    }

    pub(super) fn add(&mut self, session: &[usize]) -> Result<(), SimulatorError> {
        self.filter.reset();
        for (position, &item) in session.iter().enumerate() {
            if position > 0 {
                self.filter.predict(&mut self.probabilities);
            }
            let probability = self.filter.observe(item)?;
            if position > 0 {
                self.count(item, probability);
            }
        }
        Ok(())
    }

    fn count(&mut self, item: usize, probability: f64) {
        let target = self.probabilities[item];
        let before = |(other, &p): (usize, &f64)| p > target || (p == target && other < item);
        let rank = 1 + self.probabilities.iter().enumerate().filter(|&x| before(x)).count();
        let sums = &mut self.sums;
        sums.cases += 1;
        sums.log_loss -= probability.ln();
        if rank <= TOP {
            sums.recall_at_20 += 1.0;
            sums.mrr_at_20 += 1.0 / rank as f64;
        }

        self.top.clone_from(&self.probabilities);
        let falling = |a: &f64, b: &f64| b.total_cmp(a);
        if self.top.len() > TOP {
            self.top.select_nth_unstable_by(TOP - 1, falling);
            self.top.truncate(TOP);
        }
        self.top.sort_unstable_by(falling);
        for (rank, probability) in (1..).zip(&self.top) {
            sums.expected_recall_at_20 += probability;
            sums.expected_mrr_at_20 += probability / f64::from(rank);
        }
    }

    pub(super) fn score(&self) -> Score {
        let mut score = self.sums;
        if score.cases > 0 {
            let cases = score.cases as f64;
            score.recall_at_20 /= cases;
            score.mrr_at_20 /= cases;
            score.expected_recall_at_20 /= cases;
            score.expected_mrr_at_20 /= cases;
            score.log_loss /= cases;
        }
        score
    }
}
