//! Whom to contact: a ranking, what it costs and brings, and where to stop.

use anyhow::Result;

use crate::failure::usage;

/// Without anything that says where to stop: so many of all.
const SHARE: f64 = 0.1;
/// Places of a curve that is drawn.
const PLACES: usize = 200;

/// What a contact costs and brings.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Terms {
    pub(crate) top: Option<usize>,
    pub(crate) budget: Option<f64>,
    pub(crate) cost: Option<f64>,
    pub(crate) margin: Option<f64>,
    pub(crate) effect: Option<f64>,
    pub(crate) worth: Option<f64>,
}

impl Terms {
    /// Refuses what cannot be.
    pub(crate) fn check(&self) -> Result<()> {
        let not = |flag: &str, value: f64, expected: &str| {
            Err(usage(format!("--{flag} {value}: expected {expected}")))
        };
        for (flag, value) in [("cost", self.cost), ("budget", self.budget), ("worth", self.worth)] {
            if let Some(value) = value.filter(|value| !(value.is_finite() && *value >= 0.0)) {
                return not(flag, value, "money, 0 or more");
            }
        }
        for (flag, value) in [("margin", self.margin), ("effect", self.effect)] {
            if let Some(value) = value.filter(|value| !(0.0..=100.0).contains(value)) {
                return not(flag, value, "a share such as 0.3");
            }
        }
        match (self.budget, self.cost) {
            (Some(_), None) => Err(usage("--budget: say with --cost what a contact costs")),
            (Some(_), Some(0.0)) => Err(usage(
                "--cost 0: a budget buys as many contacts as there are; leave --budget out",
            )),
            _ => Ok(()),
        }
    }

    /// Whether anybody asks what is earned.
    pub(crate) fn counts_money(&self) -> bool {
        self.cost.is_some() || self.margin.is_some()
    }
}

/// What a score means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Unit {
    /// Money of a score of 1 before margin and effect; none where nobody knows.
    pub(crate) money: Option<f64>,
    /// Whether a score is what a contact adds, and not what is expected anyway.
    pub(crate) added: bool,
}

/// What ends the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// `--top`.
    Top,
    /// `--budget`.
    Budget,
    /// Nobody further brings more than a contact costs.
    Pays,
    /// Nobody has said anything.
    Tenth,
    /// Everybody is on it.
    All,
}

impl End {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Top => "top",
            Self::Budget => "budget",
            Self::Pays => "break-even",
            Self::Tenth => "tenth",
            Self::All => "all",
        }
    }
}

/// After so many of a ranking.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Step {
    pub(crate) users: usize,
    /// The score of the last of them.
    pub(crate) score: f64,
    /// Sum of scores so far.
    pub(crate) sum: f64,
    /// Sum of gains so far.
    pub(crate) gain: f64,
}

/// A ranking with its end.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    /// Users, the best first.
    pub(crate) order: Vec<usize>,
    /// What each user's contact is expected to bring.
    pub(crate) gain: Vec<f64>,
    /// How many of the first are contacted.
    pub(crate) contacted: usize,
    pub(crate) end: End,
    /// Whether gains are money.
    pub(crate) money: bool,
    /// The score from which on a contact pays, where that is known.
    pub(crate) break_even: Option<f64>,
    /// How many users it pays to contact.
    pub(crate) paying: Option<usize>,
    /// Sums after each of them.
    sums: Vec<[f64; 2]>,
    scores: Vec<f64>,
}

impl Plan {
    /// Ranks users by score.
    ///
    /// ```text
    ///     gain_i = margin · money · effect · score_i − cost       with --cost or --margin
    ///     gain_i = effect · score_i                               else
    /// ```
    ///
    /// Where the score is what a contact adds, there is no effect beside it.
    pub(crate) fn new(scores: &[f64], unit: Unit, terms: &Terms) -> Result<Self> {
        let money = terms.counts_money();
        if unit.added && terms.effect.is_some() {
            return Err(usage(
                "--effect: the log has a trial, so what a contact adds is estimated; leave --effect out, or \
                 the trial with --treated -",
            ));
        }
        if money && !unit.added && terms.effect.is_none() {
            return Err(usage(
                "--cost and --margin: what a contact earns depends on what it adds to what users do anyway; say \
                 that with --effect, such as --effect 0.1 for a tenth more, or read a log with a trial \
                 (--treated COLUMN)",
            ));
        }
        let effect = if unit.added { 1.0 } else { terms.effect.unwrap_or(1.0) };
        let (factor, cost) = match (money, unit.money) {
            (true, Some(worth)) => {
                (terms.margin.unwrap_or(1.0) * worth * effect, terms.cost.unwrap_or(0.0))
            }
            (true, None) => {
                return Err(usage(
                    "--cost and --margin: the log says nothing of money in the horizon before the moment; \
                     say with --worth what a user who buys is worth",
                ));
            }
            (false, _) => (effect, 0.0),
        };
        let gain: Vec<f64> = scores.iter().map(|score| factor * score - cost).collect();
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        // A score says whom a contact moves at all only where it is what the contact adds.
        let knows = money || unit.added;
        let paying = knows.then(|| gain.iter().filter(|&&gain| gain > 0.0).count());
        let break_even = (knows && factor > 0.0).then_some(cost / factor);

        let all = scores.len();
        let bought = terms.budget.zip(terms.cost).map(|(budget, cost)| (budget / cost) as usize);
        let asked = [terms.top.map(|n| (n, End::Top)), bought.map(|n| (n, End::Budget))];
        let mut ends: Vec<(usize, End)> = asked.into_iter().flatten().collect();
        ends.extend(paying.map(|n| (n, End::Pays)));
        if ends.is_empty() {
            ends.push(((SHARE * all as f64).ceil() as usize, End::Tenth));
        }
        ends.push((all, End::All));
        let (contacted, end) = ends.into_iter().min_by_key(|end| end.0).unwrap_or((all, End::All));

        let mut so_far = [0.0; 2];
        let sums = order.iter().map(|&user| {
            so_far[0] += scores[user];
            so_far[1] += gain[user];
            so_far
        });
        let sums = sums.collect();
        let scores = order.iter().map(|&user| scores[user]).collect();
        Ok(Self { order, gain, contacted, end, money, break_even, paying, sums, scores })
    }

    /// How many users there are.
    pub(crate) fn users(&self) -> usize {
        self.order.len()
    }

    /// After the first `users`.
    pub(crate) fn after(&self, users: usize) -> Step {
        match users.min(self.users()).checked_sub(1) {
            Some(last) => {
                let [sum, gain] = self.sums[last];
                Step { users: last + 1, score: self.scores[last], sum, gain }
            }
            None => Step { users: 0, score: f64::NAN, sum: 0.0, gain: 0.0 },
        }
    }

    /// How much higher the mean score of the first `users` is than that of all, as a factor; none where
    /// nothing is expected of anybody.
    pub(crate) fn lift(&self, users: usize) -> Option<f64> {
        let (some, all) = (self.after(users), self.after(self.users()));
        let means = [some, all].map(|step| step.sum / step.users.max(1) as f64);
        (some.users > 0 && means[1] > 0.0).then(|| means[0] / means[1])
    }

    /// Steps from nobody to everybody, as many as a picture can show.
    pub(crate) fn curve(&self) -> Vec<Step> {
        let (all, places) = (self.users(), self.users().min(PLACES));
        (0..=places).map(|k| self.after((k * all).checked_div(places).unwrap_or(0))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCORES: [f64; 5] = [0.1, 0.4, -0.2, 0.3, 0.2];

    fn plan(unit: Unit, terms: Terms) -> Plan {
        terms.check().unwrap();
        Plan::new(&SCORES, unit, &terms).unwrap()
    }

    #[test]
    fn the_list_ends_where_somebody_has_said() {
        let expected = Unit { money: Some(50.0), added: false };
        let found = plan(expected, Terms { top: Some(2), ..Terms::default() });
        assert_eq!(
            (&found.order[..], found.contacted, found.end),
            (&[1, 3, 4, 0, 2][..], 2, End::Top)
        );
        assert_eq!((found.paying, found.break_even, found.money), (None, None, false));
        assert!((found.lift(2).unwrap() - 0.35 / 0.16).abs() < 1e-12);
        let found = plan(expected, Terms::default());
        assert_eq!((found.contacted, found.end), (1, End::Tenth));
        let terms =
            Terms { budget: Some(9.0), cost: Some(3.0), effect: Some(1.0), ..Terms::default() };
        let found = plan(expected, terms);
        assert_eq!((found.contacted, found.end), (3, End::Budget));
    }

    /// 0.5 · 50 · score − 6 is above 0 from a score of 0.24 on.
    #[test]
    fn nobody_is_contacted_who_costs_more_than_they_bring() {
        let added = Unit { money: Some(50.0), added: true };
        let terms = Terms { cost: Some(6.0), margin: Some(0.5), top: Some(4), ..Terms::default() };
        let found = plan(added, terms);
        assert_eq!((found.contacted, found.end, found.paying), (2, End::Pays, Some(2)));
        assert!((found.break_even.unwrap() - 0.24).abs() < 1e-12);
        assert!((found.gain[1] - 4.0).abs() < 1e-12 && (found.after(2).gain - 5.5).abs() < 1e-12);
        // Without money, whoever is not put off.
        let found = plan(Unit { money: None, added: true }, Terms::default());
        assert_eq!((found.contacted, found.end, found.break_even), (4, End::Pays, Some(0.0)));
    }

    #[test]
    fn what_cannot_be_said_is_asked_for() {
        let refuse = |unit, terms: Terms| Plan::new(&SCORES, unit, &terms).unwrap_err().to_string();
        let cost = Terms { cost: Some(1.0), ..Terms::default() };
        let expected = Unit { money: Some(1.0), added: false };
        assert!(refuse(expected, cost).contains("--effect 0.1"));
        let both = Terms { effect: Some(0.1), ..cost };
        assert!(refuse(Unit { money: None, ..expected }, both).contains("--worth"));
        assert!(refuse(Unit { added: true, ..expected }, both).contains("leave --effect out"));
        for (terms, part) in [
            (Terms { cost: Some(-1.0), ..Terms::default() }, "--cost -1"),
            (Terms { margin: Some(f64::NAN), ..Terms::default() }, "--margin NaN"),
            (Terms { budget: Some(5.0), ..Terms::default() }, "what a contact costs"),
            (Terms { budget: Some(5.0), cost: Some(0.0), ..Terms::default() }, "--cost 0"),
        ] {
            assert!(terms.check().unwrap_err().to_string().contains(part));
        }
    }

    #[test]
    fn a_curve_goes_from_nobody_to_everybody() {
        let found = plan(Unit { money: None, added: false }, Terms::default());
        let curve = found.curve();
        assert_eq!((curve.len(), curve[0].users, curve[5].users), (6, 0, 5));
        assert!((curve[5].sum - 0.8).abs() < 1e-12 && (curve[1].sum - 0.4).abs() < 1e-12);
        let none = Plan::new(&[], Unit { money: None, added: true }, &Terms::default()).unwrap();
        assert_eq!((none.curve().len(), none.contacted, none.lift(0)), (1, 0, None));
    }
}
