//! What a trial has shown of a ranking, with intervals: its Qini curve, tenth after tenth, the effect on all.

use serde::Serialize;

use crate::bootstrap::{self, Groups, Interval};
use crate::error::{Error, check_lengths};
use crate::uplift::Trial;

/// Parts that the cases are cut into by rank.
const PARTS: usize = 10;
/// Places on the curve that get an interval.
const PLACES: usize = 20;

/// What has come of treating some of the cases of a ranking.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Shown {
    /// How much the share of outcomes of the treated is above that of the others: the average effect.
    pub effect: Option<Interval>,
    /// The Qini coefficient of the ranking; 0 is random.
    pub coefficient: Option<Interval>,
    /// That of another ranking of the same cases.
    pub plain: Option<Interval>,
    /// How far the first lies above the other, case by case.
    pub better: Option<Interval>,
    /// The curve of the ranking at shares of the cases.
    pub curve: Vec<Place>,
    /// The cases by rank, cut into tenths; the highest scores first.
    pub parts: Vec<Part>,
}

/// A place on a Qini curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Place {
    /// The share of cases, those of the highest scores.
    pub share: f64,
    /// Outcomes that treating them has added, a treated case.
    pub gain: Option<Interval>,
    /// The same of the other ranking.
    pub plain: f64,
}

/// A part of the cases by rank.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Part {
    /// Treated cases and others.
    pub treated: u64,
    /// See `treated`.
    pub control: u64,
    /// Share of outcomes among the treated; not a number where there are none.
    pub if_treated: f64,
    /// Share of outcomes among the others.
    pub if_not: f64,
    /// Mean score: what was expected.
    pub expected: f64,
    /// The difference of the two shares: what has come true.
    pub found: Option<Interval>,
}

impl Shown {
    /// Looks at cases ranked by `scores`, and by `plain` for comparison: figures of the cases themselves and
    /// intervals over `resamples` of them. The scores are taken as they are: the intervals do not hold that
    /// other cases would have made other models.
    ///
    /// # Errors
    ///
    /// Those of [`Trial::new`] and [`bootstrap::intervals`].
    pub fn of(
        (scores, plain): (&[f64], &[f64]),
        treated: &[bool],
        outcomes: &[bool],
        (resamples, seed): (u32, u64),
    ) -> Result<Self, Error> {
        check_lengths("plain", plain.len(), "scores", scores.len())?;
        let trial = Trial::new(scores, treated, outcomes)?;
        let other = Trial::new(plain, treated, outcomes)?;
        let part_of = parts(scores);
        let shares: Vec<f64> = (1..=PLACES).map(|k| k as f64 / PLACES as f64).collect();
        let counted = |weights: Option<&[u32]>| count(&part_of, treated, outcomes, weights);
        let groups = Groups::alone(scores.len());
        let found = bootstrap::intervals(&groups, resamples, seed, |weights| {
            let (first, second) = (trial.qini(weights)?, other.qini(weights)?);
            let coefficient = |of: &Option<crate::uplift::Qini>| Some(of.as_ref()?.coefficient);
            let (a, b) = (coefficient(&first), coefficient(&second));
            let mut figures = vec![first.as_ref().map(|qini| qini.effect), a, b];
            figures.push(a.zip(b).map(|(a, b)| a - b));
            figures.extend(shares.iter().map(|&share| Some(first.as_ref()?.gain_at(share))));
            figures.extend(counted(weights).iter().map(|counts| counts.difference()));
            Ok(figures)
        })?;
        let plain = other.qini(None)?;
        let curve = shares.iter().zip(&found[4..]).map(|(&share, &gain)| Place {
            share,
            gain,
            plain: plain.as_ref().map_or(f64::NAN, |qini| qini.gain_at(share)),
        });
        let parts = counted(None).into_iter().zip(&found[4 + PLACES..]).enumerate();
        let parts = parts.map(|(part, (counts, &found))| {
            let [treated, control] = [1, 0].map(|arm| counts.cases[arm]);
            let own = scores.iter().zip(&part_of).filter(|(_, of)| **of == part);
            let sum: f64 = own.map(|(score, _)| score).sum();
            let expected = sum / (treated + control).max(1) as f64;
            let [if_treated, if_not] = [1, 0].map(|arm| counts.share(arm).unwrap_or(f64::NAN));
            Part { treated, control, if_treated, if_not, expected, found }
        });
        Ok(Self {
            effect: found[0],
            coefficient: found[1],
            plain: found[2],
            better: found[3],
            curve: curve.collect(),
            parts: parts.collect(),
        })
    }
}

/// Cases of a part, and those with the outcome: of control, of the treated.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    cases: [u64; 2],
    had: [u64; 2],
}

impl Counts {
    fn share(&self, arm: usize) -> Option<f64> {
        (self.cases[arm] > 0).then(|| self.had[arm] as f64 / self.cases[arm] as f64)
    }

    fn difference(&self) -> Option<f64> {
        Some(self.share(1)? - self.share(0)?)
    }
}

fn count(
    part_of: &[usize],
    treated: &[bool],
    outcomes: &[bool],
    weights: Option<&[u32]>,
) -> Vec<Counts> {
    let mut counts = vec![Counts::default(); PARTS];
    for (case, &part) in part_of.iter().enumerate() {
        let weight = u64::from(weights.map_or(1, |weights| weights[case]));
        let arm = usize::from(treated[case]);
        counts[part].cases[arm] += weight;
        counts[part].had[arm] += if outcomes[case] { weight } else { 0 };
    }
    counts
}

/// The part of each case: 0 are the highest scores. Of equal scores the earlier case is the higher.
fn parts(scores: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let mut part_of = vec![0; scores.len()];
    for (rank, case) in order.into_iter().enumerate() {
        part_of[case] = rank * PARTS / scores.len();
    }
    part_of
}

#[cfg(test)]
mod tests {
    use super::*;
    use layout::random::Stream;

    fn cases(n: u64) -> (Vec<f64>, Vec<f64>, Vec<bool>, Vec<bool>) {
        let draw = Stream::new(6, 1, 0);
        let at = |k: u64, row: u64| f64::from(draw.uniform(4 * row + k));
        let scores: Vec<f64> = (0..n).map(|row| 0.4 * at(0, row) - 0.1).collect();
        let plain = (0..n).map(|row| at(1, row)).collect();
        let treated: Vec<bool> = (0..n).map(|row| at(2, row) < 0.5).collect();
        let outcomes = (0..n).map(|row| {
            let p = 0.3 + if treated[row as usize] { scores[row as usize] } else { 0.0 };
            at(3, row) < p
        });
        let outcomes = outcomes.collect();
        (scores, plain, treated, outcomes)
    }

    /// Scores that are the truth: the curve lies above random, every tenth comes true within its interval.
    #[test]
    fn a_true_ranking_is_seen_to_be_one() {
        let (scores, plain, treated, outcomes) = cases(20_000);
        let shown = Shown::of((&scores, &plain), &treated, &outcomes, (200, 1)).unwrap();
        let (effect, coefficient) = (shown.effect.unwrap(), shown.coefficient.unwrap());
        assert!((effect.estimate - 0.1).abs() < 0.02 && effect.excludes_zero(), "{effect:?}");
        assert!(coefficient.low > 0.01, "{coefficient:?}");
        assert!(!shown.plain.unwrap().excludes_zero(), "{:?}", shown.plain);
        assert!(shown.better.unwrap().low > 0.0);
        assert_eq!((shown.curve.len(), shown.parts.len()), (20, 10));
        assert_eq!(shown.curve[19].gain.unwrap(), effect);
        let right = shown.parts.iter().filter(|part| {
            let found = part.found.unwrap();
            (found.low..=found.high).contains(&part.expected)
        });
        assert!(right.count() >= 8, "{:?}", shown.parts);
        assert!(shown.parts.is_sorted_by(|a, b| a.expected > b.expected));
        let all: u64 = shown.parts.iter().map(|part| part.treated + part.control).sum();
        assert_eq!(all, 20_000);
    }

    #[test]
    fn parts_are_counted_by_hand() {
        let scores: Vec<f64> = (0..20).map(f64::from).collect();
        let treated: Vec<bool> = (0..20).map(|k| k % 2 == 0).collect();
        let outcomes: Vec<bool> = (0..20).map(|k| k == 18 || k == 17).collect();
        let shown = Shown::of((&scores, &scores), &treated, &outcomes, (10, 1)).unwrap();
        let first = shown.parts[0];
        assert_eq!((first.treated, first.control, first.expected), (1, 1, 18.5));
        assert_eq!((first.if_treated, first.if_not), (1.0, 0.0));
        assert_eq!(shown.parts[1].if_not, 1.0);
        let better = shown.better.unwrap();
        assert_eq!((better.estimate, better.low, better.high), (0.0, 0.0, 0.0));
    }

    #[test]
    fn a_trial_of_one_kind_shows_nothing() {
        let shown = Shown::of((&[0.1, 0.2], &[0.1, 0.2]), &[true; 2], &[true, false], (5, 1));
        let shown = shown.unwrap();
        assert_eq!((shown.effect, shown.coefficient, shown.better), (None, None, None));
        let found = Shown::of((&[0.1], &[]), &[true], &[true], (5, 1));
        assert!(matches!(found, Err(Error::Lengths { name: "plain", .. })));
    }
}
