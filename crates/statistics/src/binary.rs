//! Figures of probabilities, or of scores, against outcomes that happen or do not.
//!
//! Every figure here looks at one thing: how many cases of each score had the outcome and how many
//! had not ([`Levels`]). Cases of one score are therefore never apart, and the order in which cases
//! come cannot change a bit. [`Scored`] sorts cases once; [`Scored::levels`] then counts any resample of
//! them in one pass.

use serde::Serialize;

use crate::error::{Error, check_finite, check_lengths, check_probabilities};

/// The log loss takes probabilities to lie this far from 0 and 1 at least: about the distance of 1
/// from the nearest `f32` below it, so that a network's saturated answer costs no more than one that
/// its numbers could have told apart.
pub const FLOOR: f64 = 1e-7;

/// Bins of the expected calibration error.
pub const BINS: usize = 10;

/// Cases by rising score.
#[derive(Debug, Clone)]
pub struct Scored {
    /// Numbers of the cases, by rising score.
    order: Vec<u32>,
    /// The outcomes in that order.
    outcomes: Vec<bool>,
    /// Each score with the place in `order` where its cases end.
    ends: Vec<(f64, usize)>,
}

impl Scored {
    /// Sorts cases by score.
    ///
    /// # Errors
    ///
    /// [`Error::Lengths`], or [`Error::Value`] for a score that is not finite.
    pub fn new(scores: &[f64], outcomes: &[bool]) -> Result<Self, Error> {
        check_lengths("outcomes", outcomes.len(), "scores", scores.len())?;
        check_finite("scores", scores)?;
        let mut order: Vec<u32> = (0..scores.len() as u32).collect();
        // By number within a score: the same cases lie in the same order, always.
        order.sort_unstable_by(|&a, &b| {
            scores[a as usize].total_cmp(&scores[b as usize]).then(a.cmp(&b))
        });
        let mut ends: Vec<(f64, usize)> = Vec::new();
        for (place, &case) in order.iter().enumerate() {
            let score = scores[case as usize];
            match ends.last_mut() {
                Some((last, end)) if *last == score => *end = place + 1,
                _ => ends.push((score, place + 1)),
            }
        }
        let outcomes = order.iter().map(|&case| outcomes[case as usize]).collect();
        Ok(Self { order, outcomes, ends })
    }

    /// Counts the cases of each score, each as often as `weights` says, or once.
    ///
    /// # Errors
    ///
    /// [`Error::Lengths`] where there is not one weight a case.
    pub fn levels(&self, weights: Option<&[u32]>) -> Result<Levels, Error> {
        if let Some(weights) = weights {
            check_lengths("weights", weights.len(), "scores", self.order.len())?;
        }
        let mut levels = Levels { levels: Vec::new(), positives: 0, negatives: 0 };
        let mut start = 0;
        for &(score, end) in &self.ends {
            let mut counts = [0u64; 2];
            for place in start..end {
                let weight = weights.map_or(1, |weights| weights[self.order[place] as usize]);
                counts[usize::from(self.outcomes[place])] += u64::from(weight);
            }
            start = end;
            levels.push(score, counts[1], counts[0]);
        }
        Ok(levels)
    }
}

/// How often a score came with the outcome, and how often without.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Level {
    score: f64,
    positives: u64,
    negatives: u64,
}

impl Level {
    fn cases(&self) -> u64 {
        self.positives + self.negatives
    }
}

/// Scores, each once, rising, with the outcomes of its cases: all that the figures need.
///
/// P are cases with the outcome, N those without, n = P + N.
#[derive(Debug, Clone, PartialEq)]
pub struct Levels {
    levels: Vec<Level>,
    positives: u64,
    negatives: u64,
}

/// Cases whose scores lie together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bin {
    /// How many.
    pub cases: u64,
    /// Their mean score.
    pub mean_predicted: f64,
    /// The share of them with the outcome.
    pub share: f64,
}

impl Levels {
    /// The levels of cases as they come, each once.
    ///
    /// # Errors
    ///
    /// Those of [`Scored::new`].
    pub fn new(scores: &[f64], outcomes: &[bool]) -> Result<Self, Error> {
        Scored::new(scores, outcomes)?.levels(None)
    }

    fn push(&mut self, score: f64, positives: u64, negatives: u64) {
        if positives + negatives > 0 {
            self.levels.push(Level { score, positives, negatives });
            self.positives += positives;
            self.negatives += negatives;
        }
    }

    /// Each score, rising, with the cases that have the outcome and those that have not.
    pub fn counts(&self) -> impl Iterator<Item = (f64, u64, u64)> + '_ {
        self.levels.iter().map(|level| (level.score, level.positives, level.negatives))
    }

    /// How many cases.
    pub fn cases(&self) -> u64 {
        self.positives + self.negatives
    }

    /// How many of them with the outcome.
    pub fn positives(&self) -> u64 {
        self.positives
    }

    /// The area under the ROC curve: how often a case with the outcome has a higher score than one
    /// without.
    ///
    /// ```text
    ///     AUC = ( pairs with the higher score on the positive + ½ · pairs of equal score ) / (P · N)
    /// ```
    ///
    /// None where all outcomes are alike, or there are none. Counted in integers.
    ///
    /// # Source
    ///
    /// H. Mann, D. Whitney, "On a test of whether one of two random variables is stochastically
    /// larger than the other", Annals of Mathematical Statistics 18, 1947.
    pub fn auc(&self) -> Option<f64> {
        let (mut below, mut half_pairs) = (0u64, 0u128);
        for level in &self.levels {
            let won = 2 * u128::from(below) + u128::from(level.negatives);
            half_pairs += u128::from(level.positives) * won;
            below += level.negatives;
        }
        let pairs = u128::from(self.positives) * u128::from(self.negatives);
        (pairs > 0).then(|| half_pairs as f64 / (2.0 * pairs as f64))
    }

    /// Average precision: the area under the steps of precision over recall.
    ///
    /// ```text
    ///     AP = Σ over scores s, falling   (recall(s) − recall(s above)) · precision(s)
    ///     recall(s) = positives of score ≥ s / P      precision(s) = their share among cases ≥ s
    /// ```
    ///
    /// None where no case has the outcome.
    ///
    /// # Source
    ///
    /// M. Zhu, "Recall, precision and average precision", University of Waterloo, 2004; without
    /// interpolation.
    pub fn average_precision(&self) -> Option<f64> {
        let (mut positives, mut cases, mut sum) = (0, 0, 0.0);
        for level in self.levels.iter().rev() {
            positives += level.positives;
            cases += level.cases();
            sum += level.positives as f64 * (positives as f64 / cases as f64);
        }
        (self.positives > 0).then(|| sum / self.positives as f64)
    }

    /// The mean of −ln of what was given to the outcome that came, probabilities kept [`FLOOR`] away
    /// from 0 and 1.
    ///
    /// None without cases, and where a score is not a probability.
    pub fn log_loss(&self) -> Option<f64> {
        self.mean_of(|score, outcome| {
            let given = if outcome { score } else { 1.0 - score };
            -given.clamp(FLOOR, 1.0 - FLOOR).ln()
        })
    }

    /// The mean of (p − y)².
    ///
    /// None without cases, and where a score is not a probability.
    ///
    /// # Source
    ///
    /// G. Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather
    /// Review 78, 1950; the form for two classes that counts one of them.
    pub fn brier(&self) -> Option<f64> {
        self.mean_of(|score, outcome| (score - f64::from(u8::from(outcome))).powi(2))
    }

    fn mean_of(&self, loss: impl Fn(f64, bool) -> f64) -> Option<f64> {
        let total: f64 = self
            .levels
            .iter()
            .map(|level| {
                // 0 · loss would be fine as long as the loss is finite, which both are.
                level.positives as f64 * loss(level.score, true)
                    + level.negatives as f64 * loss(level.score, false)
            })
            .sum();
        self.are_probabilities().then(|| total / self.cases() as f64)
    }

    fn are_probabilities(&self) -> bool {
        match (self.levels.first(), self.levels.last()) {
            (Some(first), Some(last)) => first.score >= 0.0 && last.score <= 1.0,
            _ => false,
        }
    }

    /// At most `bins` bins of about equally many cases, by rising score: mean score beside the share
    /// with the outcome. A score goes to the bin in which the middle of its cases falls, so that they
    /// stay together, and bins are missing where one score has many. Zero bins are taken as one.
    pub fn reliability(&self, bins: usize) -> Vec<Bin> {
        let (bins, n) = (bins.max(1) as u128, u128::from(self.cases()));
        let mut found: Vec<(u128, Bin)> = Vec::new();
        let mut below = 0;
        for level in &self.levels {
            let number = (2 * below + u128::from(level.cases())) * bins / (2 * n);
            below += u128::from(level.cases());
            if found.last().is_none_or(|&(last, _)| last != number) {
                found.push((number, Bin { cases: 0, mean_predicted: 0.0, share: 0.0 }));
            }
            if let Some((_, bin)) = found.last_mut() {
                // Sums first, divided below.
                bin.cases += level.cases();
                bin.mean_predicted += level.score * level.cases() as f64;
                bin.share += level.positives as f64;
            }
        }
        let mean = |(_, bin): (u128, Bin)| {
            let cases = bin.cases as f64;
            Bin { mean_predicted: bin.mean_predicted / cases, share: bin.share / cases, ..bin }
        };
        found.into_iter().map(mean).collect()
    }

    /// Expected calibration error: how far mean prediction and share lie apart, over [`BINS`] bins of
    /// equal mass.
    ///
    /// ```text
    ///     ECE = Σ over bins   cases / n · |mean prediction − share with the outcome|
    /// ```
    ///
    /// None without cases, and where a score is not a probability.
    ///
    /// # Source
    ///
    /// M. Naeini, G. Cooper, M. Hauskrecht, "Obtaining well calibrated probabilities using Bayesian
    /// binning", AAAI 2015; with bins of equal mass.
    pub fn ece(&self) -> Option<f64> {
        let bins = self.reliability(BINS);
        let gap = |bin: &Bin| bin.cases as f64 * (bin.mean_predicted - bin.share).abs();
        self.are_probabilities().then(|| bins.iter().map(gap).sum::<f64>() / self.cases() as f64)
    }

    /// How much more often the outcome comes among the `share` of cases with the highest scores than
    /// among all.
    ///
    /// ```text
    ///     lift = (positives among the top k · n cases / (k · n)) / (P / n)
    /// ```
    ///
    /// k·n is not rounded, and of the score at the border the missing part is taken, positives in
    /// proportion. None where no case has the outcome, and for a share outside (0, 1].
    pub fn lift(&self, share: f64) -> Option<f64> {
        if self.positives == 0 || !(share > 0.0 && share <= 1.0) {
            return None;
        }
        let wanted = share * self.cases() as f64;
        let (mut taken, mut positives) = (0.0, 0.0);
        for level in self.levels.iter().rev() {
            let part = ((wanted - taken) / level.cases() as f64).clamp(0.0, 1.0);
            taken += part * level.cases() as f64;
            positives += part * level.positives as f64;
        }
        Some(positives / self.positives as f64 / share)
    }
}

/// The figures of probabilities that one reports; what is not defined is `None`, in JSON `null`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct BinaryFigures {
    /// How many cases.
    pub cases: u64,
    /// How many of them with the outcome.
    pub positives: u64,
    /// [`Levels::auc`].
    pub auc: Option<f64>,
    /// [`Levels::average_precision`].
    pub average_precision: Option<f64>,
    /// [`Levels::log_loss`].
    pub log_loss: Option<f64>,
    /// [`Levels::brier`].
    pub brier: Option<f64>,
    /// [`Levels::ece`].
    pub ece: Option<f64>,
    /// [`Levels::lift`] of the top tenth.
    #[serde(rename = "lift@0.1")]
    pub lift: Option<f64>,
}

impl BinaryFigures {
    /// The figures of `probabilities` against `outcomes`, one a case.
    ///
    /// # Errors
    ///
    /// [`Error::Lengths`], or [`Error::Value`] for what is not a probability. Scores of another kind
    /// have figures, too: from their [`Levels`].
    pub fn new(probabilities: &[f64], outcomes: &[bool]) -> Result<Self, Error> {
        check_lengths("outcomes", outcomes.len(), "probabilities", probabilities.len())?;
        check_probabilities("probabilities", probabilities)?;
        Ok(Self::from(&Levels::new(probabilities, outcomes)?))
    }
}

impl From<&Levels> for BinaryFigures {
    fn from(levels: &Levels) -> Self {
        Self {
            cases: levels.cases(),
            positives: levels.positives(),
            auc: levels.auc(),
            average_precision: levels.average_precision(),
            log_loss: levels.log_loss(),
            brier: levels.brier(),
            ece: levels.ece(),
            lift: levels.lift(0.1),
        }
    }
}

#[cfg(test)]
mod tests;
