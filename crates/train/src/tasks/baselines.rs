//! What the same questions are answered by without a network: always the same answer, regressions on
//! what is known of the user, models of repeat buying, counts of what follows what.
//!
//! All of them are fitted to the training questions that the network learns from.

use events::{Buyer, MOMENT, NONE};
use serde::{Deserialize, Serialize};
use statistics::bg_nbd::{BgNbd, History};
use statistics::gamma_gamma::{GammaGamma, Spend};
use statistics::linear::{Line, Term};
use statistics::logistic::{Logistic, LogisticSettings};
use statistics::multinomial::Multinomial;
use statistics::poisson::Poisson;
use statistics::ridge::Ridge;

use super::{Asked, Lessons, Task, TaskKnowledge};
use crate::Error;
use ndarray::ArrayView2;

/// Penalty of the regressions: as good as none, so that columns which say the same do no harm.
const PENALTY: f64 = 1.0;
/// Two kinds in a row that were met less often than this leave the answer to the last one alone.
const MET: u32 = 20;
const DAY: f64 = 24.0 * 60.0 * 60.0 * 1000.0;

/// The baselines of all tasks of a model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baselines {
    /// Those of each task at moments, in the order of the answers; none of the others.
    pub at_moments: Vec<Option<AtMoment>>,
    /// What follows which kinds, where that is asked.
    pub kinds: Option<KindCounts>,
    /// The same by regression on what is known after an event.
    pub kinds_regression: Option<Multinomial>,
}

/// Those of a task at moments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AtMoment {
    /// Of a question of yes or no.
    Binary {
        /// The share of yes.
        share: f64,
        /// Regression on the numbers of the moment; none where all training questions have one answer.
        logistic: Option<Logistic>,
    },
    /// Of a number.
    Number {
        /// The mean.
        mean: f64,
        /// Linear regression on the numbers of the moment.
        linear: Ridge,
        /// The same of the logarithm of the mean.
        poisson: Poisson,
    },
}

/// BG/NBD and gamma-gamma, and what becomes of those who have never bought.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepeatBuying {
    /// When they buy, in days.
    pub bg_nbd: BgNbd,
    /// For how much; none where the log has no money.
    pub gamma_gamma: Option<GammaGamma>,
    /// Orders, share of buyers and money within the horizon of those who have not bought before.
    pub strangers: [f64; 3],
}

/// How often each kind has followed the last one, and the last two.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KindCounts {
    /// Number K of kinds.
    pub kinds: usize,
    /// `[K]`
    pub all: Vec<u32>,
    /// `[K + 1, K]`, the last row for a kind that is not known.
    pub after_one: Vec<u32>,
    /// `[K + 1, K + 1, K]`: the one before, the last.
    pub after_two: Vec<u32>,
}

/// What a baseline says to a task: its name, and one answer a question (K of each where kinds are
/// asked).
pub type Said = (&'static str, Vec<f64>);

impl Baselines {
    /// Whether what a file says of them fits so many kinds of events, and so many numbers after each.
    pub(crate) fn is_sound(&self, kinds: usize, numbers: usize) -> bool {
        let counts = self.kinds.as_ref().is_none_or(|counts| {
            counts.kinds == kinds
                && counts.all.len() == kinds
                && counts.after_one.len() == (kinds + 1) * kinds
                && counts.after_two.len() == (kinds + 1) * (kinds + 1) * kinds
        });
        let lines = self.kinds_regression.as_ref().is_none_or(|regression| {
            let fits = |line: &Line| line.terms.len() == numbers;
            regression.lines.len() == kinds && regression.lines.iter().all(fits)
        });
        counts && lines
    }

    /// Fits the baselines of all tasks to training questions.
    ///
    /// # Errors
    ///
    /// Where a regression cannot be fitted.
    pub fn fit(
        knowledge: &TaskKnowledge,
        lessons: &Lessons,
        sequence_offsets: &[usize],
    ) -> Result<Self, Error> {
        let x = regressors(lessons);
        let x = view(&x);
        let asked = &lessons.asked;
        let fit = |task: Task| -> Result<Option<AtMoment>, Error> {
            if !task.is_at_moment() {
                return Ok(None);
            }
            let truths: Vec<f64> = asked.outcomes.iter().map(|o| task.truth(o)).collect();
            let mean = truths.iter().sum::<f64>() / truths.len().max(1) as f64;
            Ok(Some(match task.is_binary() {
                true => {
                    let outcomes: Vec<bool> = truths.iter().map(|&truth| truth > 0.5).collect();
                    let settings =
                        LogisticSettings { penalty: PENALTY, ..LogisticSettings::default() };
                    let mixed = outcomes.contains(&true) && outcomes.contains(&false);
                    let logistic =
                        mixed.then(|| Logistic::fit(x, &outcomes, &settings)).transpose()?;
                    AtMoment::Binary { share: mean, logistic }
                }
                false => AtMoment::Number {
                    mean,
                    linear: Ridge::fit(x, &truths, PENALTY)?,
                    poisson: Poisson::fit(x, &truths, PENALTY)?,
                },
            }))
        };
        let answered = knowledge.answered();
        let at_moments = answered.iter().map(|&task| fit(task)).collect::<Result<_, _>>()?;
        let kinds = answered
            .iter()
            .any(|task| task.is_of_classes())
            .then(|| KindCounts::count(knowledge.kinds.len(), lessons, sequence_offsets));
        let kinds_regression = match &kinds {
            None => None,
            Some(counts) => regress(counts.kinds, lessons, sequence_offsets)?,
        };
        Ok(Self { at_moments, kinds, kinds_regression })
    }

    /// What the baselines of answer number `k` say to the questions of some lessons.
    ///
    /// # Errors
    ///
    /// Where the questions do not fit what was fitted.
    pub fn say(
        &self,
        knowledge: &TaskKnowledge,
        k: usize,
        lessons: &Lessons,
        sequence_offsets: &[usize],
    ) -> Result<Vec<Said>, Error> {
        let task = knowledge.answered()[k];
        let count = lessons.asked.len();
        let x = regressors(lessons);
        let x = view(&x);
        let mut said: Vec<Said> = match &self.at_moments[k] {
            Some(AtMoment::Binary { share, logistic }) => {
                let mut said = vec![("mean", vec![*share; count])];
                if let Some(logistic) = logistic {
                    said.push(("logistic", logistic.predict(x)?));
                }
                said
            }
            Some(AtMoment::Number { mean, linear, poisson }) => vec![
                ("zero", vec![0.0; count]),
                ("mean", vec![*mean; count]),
                ("linear", linear.predict(x)?),
                ("poisson", poisson.predict(x)?),
            ],
            None => match &self.kinds {
                Some(kinds) => kinds.say(lessons, sequence_offsets),
                None => Vec::new(),
            },
        };
        if let (None, Some(regression)) = (&self.at_moments[k], &self.kinds_regression) {
            let x: Vec<f64> = lessons.after.iter().map(|&value| f64::from(value)).collect();
            let width = lessons.width().max(1);
            let x = ArrayView2::from_shape((x.len() / width, width), &x);
            let probabilities = regression.predict(x.expect("a row an event"))?;
            said.push(("logistic", probabilities.into_iter().collect()));
        }
        if let Some(buying) = &knowledge.repeat_buying {
            let horizon = knowledge.horizon as f64 / DAY;
            let buyers = &lessons.asked.buyers;
            if let Some(answer) = buying.answer(task, horizon) {
                let all = buyers.iter().map(answer).collect::<Result<Vec<_>, Error>>()?;
                said.push(("bg_nbd", all));
            }
        }
        Ok(said)
    }
}

/// The most rows that a regression on what is known after events is fitted to.
const ROWS: usize = 50_000;

/// A regression of the kind of the next event; none where all are of one kind. Of many events it is fitted
/// to every second one, or third, and so on. A kind that none of these is of is as rare as one in all of them,
/// whatever came before.
fn regress(
    kinds: usize,
    lessons: &Lessons,
    offsets: &[usize],
) -> Result<Option<Multinomial>, Error> {
    let next = places(lessons, offsets).map(|(place, _)| lessons.classes[place + 1]);
    let rows = lessons.after.chunks_exact(lessons.width().max(1)).zip(next);
    let known = rows.filter(|(_, class)| *class != NONE);
    let step = lessons.follows().div_ceil(ROWS).max(1);
    let (mut x, mut classes) = (Vec::new(), Vec::new());
    for (row, class) in known.step_by(step) {
        x.extend(row.iter().map(|&value| f64::from(value)));
        classes.push(class);
    }
    let met: Vec<u32> = (0..kinds as u32).filter(|kind| classes.contains(kind)).collect();
    if met.len() < 2 {
        return Ok(None);
    }
    let cases = classes.len();
    let x = ArrayView2::from_shape((cases, lessons.width()), &x).expect("a row each");
    for class in &mut classes {
        *class = met.binary_search(class).expect("one of them") as u32;
    }
    // Where a kind is so rare that some line parts it from all others, a heavier hand ends the search.
    for penalty in [PENALTY, 30.0 * PENALTY, 1000.0 * PENALTY] {
        match Multinomial::fit(x, &classes, met.len(), penalty) {
            Err(statistics::Error::Diverged { .. }) => (),
            fitted => return Ok(Some(of_all(kinds, &met, fitted?.lines, cases))),
        }
    }
    Ok(None)
}

/// A regression over all kinds out of one over those that were met among so many cases.
fn of_all(kinds: usize, met: &[u32], fitted: Vec<Line>, cases: usize) -> Multinomial {
    let whole = fitted.iter().map(|line| line.intercept.exp()).sum::<f64>();
    let flat = |term: &Term| Term { coefficient: 0.0, ..*term };
    let rare = Line {
        intercept: (whole / cases as f64).ln(),
        terms: fitted[0].terms.iter().map(flat).collect(),
    };
    let mut fitted = fitted.into_iter();
    let line = |kind: u32| match met.binary_search(&kind) {
        Ok(_) => fitted.next().expect("a line each"),
        Err(_) => rare.clone(),
    };
    Multinomial { lines: (0..kinds as u32).map(line).collect() }
}

/// The numbers of all moments as they are scaled, row after row.
fn regressors(lessons: &Lessons) -> Vec<f64> {
    lessons.moments.iter().map(|&value| f64::from(value)).collect()
}

fn view(x: &[f64]) -> ArrayView2<'_, f64> {
    let shape = (x.len() / MOMENT.len(), MOMENT.len());
    ArrayView2::from_shape(shape, x).expect("a row a question")
}

/// A day's share of a second: an order in the same moment as the first is no time away from it.
const SECOND: f64 = 1.0 / 86_400.0;

impl RepeatBuying {
    /// Fits both to the users as they were at the last moment at which each was asked; none where fewer
    /// than half of the questions are about users who have bought, or nothing can be fitted.
    pub(crate) fn fit(asked: &Asked) -> Option<Self> {
        let buyers = asked.buyers.iter().flatten().count();
        if buyers == 0 || buyers * 2 < asked.len() {
            return None;
        }
        let last = (0..asked.len()).filter(|&put| {
            asked.puts.get(put + 1).is_none_or(|next| next.user != asked.puts[put].user)
        });
        let known: Vec<Buyer> = last.filter_map(|put| asked.buyers[put]).collect();
        let histories: Vec<History> = known.iter().map(history).collect();
        let bg_nbd = BgNbd::fit(&histories).ok()?;
        let spends: Vec<Spend> = known
            .iter()
            .map(spend)
            .filter(|spend| spend.purchases > 0 && spend.mean > 0.0)
            .collect();
        let gamma_gamma = if spends.is_empty() { None } else { GammaGamma::fit(&spends).ok() };
        let strangers: Vec<_> = (0..asked.len())
            .filter(|&put| asked.buyers[put].is_none())
            .map(|put| &asked.outcomes[put])
            .collect();
        let mean = |task: Task| {
            let sum: f64 = strangers.iter().map(|outcome| task.truth(outcome)).sum();
            sum / strangers.len().max(1) as f64
        };
        let strangers = [Task::Count, Task::Purchase, Task::Value].map(mean);
        Some(Self { bg_nbd, gamma_gamma, strangers })
    }

    /// What is said of a user to a task, where these models know an answer.
    fn answer(
        &self,
        task: Task,
        horizon: f64,
    ) -> Option<impl Fn(&Option<Buyer>) -> Result<f64, Error> + '_> {
        let [orders, share, money] = self.strangers;
        if task == Task::Value && self.gamma_gamma.is_none() {
            return None;
        }
        let stranger = match task {
            Task::Count => orders,
            Task::Purchase => share,
            Task::Churn => 1.0 - share,
            Task::Value => money,
            _ => return None,
        };
        Some(move |buyer: &Option<Buyer>| {
            let Some(buyer) = buyer else { return Ok(stranger) };
            let seen = history(buyer);
            Ok(match task {
                Task::Count => self.bg_nbd.expected(&seen, horizon)?,
                Task::Value => {
                    let spend = match &self.gamma_gamma {
                        Some(model) => model.expected(&spend(buyer))?.unwrap_or(0.0),
                        None => 0.0,
                    };
                    self.bg_nbd.expected(&seen, horizon)? * spend
                }
                Task::Churn => 1.0 - self.bg_nbd.buys_within(&seen, horizon)?,
                _ => self.bg_nbd.buys_within(&seen, horizon)?,
            })
        })
    }
}

fn history(buyer: &Buyer) -> History {
    let age = buyer.age.max(SECOND);
    History { repeats: buyer.repeats, last: buyer.recency.min(age), age }
}

/// What a user spends; of one whose orders have cost nothing, nothing is known.
fn spend(buyer: &Buyer) -> Spend {
    match buyer.mean_spend > 0.0 {
        true => Spend { purchases: buyer.repeats, mean: buyer.mean_spend },
        false => Spend { purchases: 0, mean: 1.0 },
    }
}

impl KindCounts {
    fn count(kinds: usize, lessons: &Lessons, offsets: &[usize]) -> Self {
        let mut counts = Self {
            kinds,
            all: vec![0; kinds],
            after_one: vec![0; (kinds + 1) * kinds],
            after_two: vec![0; (kinds + 1) * (kinds + 1) * kinds],
        };
        for (place, first) in places(lessons, offsets) {
            let Some(next) = counts.known(lessons.classes[place + 1]) else { continue };
            let [before, last] = counts.before(lessons, place, first);
            counts.all[next] += 1;
            counts.after_one[last * kinds + next] += 1;
            counts.after_two[(before * (kinds + 1) + last) * kinds + next] += 1;
        }
        counts
    }

    fn known(&self, class: u32) -> Option<usize> {
        (class != NONE).then_some(class as usize)
    }

    /// The kinds of the event before, and of the event at a place; `first` is that of its user's first.
    fn before(&self, lessons: &Lessons, place: usize, first: usize) -> [usize; 2] {
        let kind = |place: usize| self.known(lessons.classes[place]).unwrap_or(self.kinds);
        [if place > first { kind(place - 1) } else { self.kinds }, kind(place)]
    }

    fn say(&self, lessons: &Lessons, offsets: &[usize]) -> Vec<Said> {
        let kinds = self.kinds;
        // One more of each, so that nothing is held for impossible.
        let shares = |counts: &[u32], to: &mut Vec<f64>| {
            let sum = counts.iter().map(|&count| f64::from(count) + 1.0).sum::<f64>();
            to.extend(counts.iter().map(|&count| (f64::from(count) + 1.0) / sum));
        };
        let [mut all, mut one, mut two] = [(); 3].map(|()| Vec::new());
        for (place, first) in places(lessons, offsets) {
            let [before, last] = self.before(lessons, place, first);
            let after_one = &self.after_one[last * kinds..][..kinds];
            let after_two = &self.after_two[(before * (kinds + 1) + last) * kinds..][..kinds];
            let met = after_two.iter().sum::<u32>() >= MET;
            shares(&self.all, &mut all);
            shares(after_one, &mut one);
            shares(if met { after_two } else { after_one }, &mut two);
        }
        vec![("shares", all), ("markov", one), ("markov_2", two)]
    }
}

/// The places of the events of which it is asked what follows, in the order of the answers, each with
/// that of its user's first event.
fn places<'a>(
    lessons: &'a Lessons,
    offsets: &'a [usize],
) -> impl Iterator<Item = (usize, usize)> + 'a {
    lessons.follows.iter().zip(offsets).flat_map(|(events, &first)| {
        events.clone().map(move |event| (first + event as usize, first))
    })
}
