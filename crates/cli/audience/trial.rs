//! What the campaign of the moment has changed, and whom: two models, cross-fitted, and how far to trust them.

use anyhow::{Result, anyhow};
use cluster::{Directions, Moments};
use events::MOMENT;
use ndarray::Array2;
use statistics::balance::{Difference, balance};
use statistics::cross_fit::{Potential, cross_fit};
use statistics::logistic::LogisticSettings;
use statistics::trial::Shown;
use train::tasks::Task;

use super::people::People;
use crate::output::count;

/// Parts that users are dealt out to; each is scored by models of the others.
pub(super) const FOLDS: u32 = 5;
/// Principal components of each of both pictures at most.
const COMPONENTS: usize = 16;
/// Users of the smaller arm for each of them.
const USERS_A_COMPONENT: usize = 100;
/// What the coefficients of the two models cost: λ of both.
pub(super) const PENALTY: f64 = 10.0;
/// Below so many users, or outcomes, of an arm intervals are wide and models poor.
const FEW: [usize; 2] = [500, 50];

/// A trial: who was treated, what is expected of each either way, what has come true.
pub(super) struct Uplift {
    /// What is expected of everybody, in the trial or not.
    pub(super) potential: Potential,
    /// Whether each has had the outcome.
    pub(super) had: Vec<bool>,
    /// Users and outcomes: of the treated, of the others.
    pub(super) arms: [[usize; 2]; 2],
    /// Users of whom nobody knows whether they were treated.
    pub(super) outside: usize,
    pub(super) shown: Shown,
    /// Of each number of the moment, and of what the model says, last.
    pub(super) balance: Vec<Difference>,
    /// Principal components that stand for each picture, and their shares of its variance.
    pub(super) components: usize,
    pub(super) variance: [f64; 2],
    pub(super) warnings: Vec<String>,
}

impl Uplift {
    /// The outcome of a trial: a purchase within the horizon; where the task is about staying away, any event.
    pub(super) fn outcome(task: Task) -> &'static str {
        if task == Task::Churn { "come back" } else { "buy" }
    }

    /// Estimates what was changed.
    ///
    /// ```text
    ///     x_i = ( principal components of the last state and of the mean state,  numbers of the moment )
    ///     u_i = P(outcome | x_i, treated) − P(outcome | x_i, not)       by models that have not seen i
    /// ```
    pub(super) fn of(people: &People, task: Task, (resamples, seed): (u32, u64)) -> Result<Self> {
        let had: Vec<bool> = (people.outcomes.iter())
            .map(|outcome| if task == Task::Churn { !outcome.is_silent() } else { outcome.buys() })
            .collect();
        let arms = [true, false].map(|arm| {
            let own = || (0..people.len()).filter(|&user| people.flags[user] == Some(arm));
            [own().count(), own().filter(|&user| had[user]).count()]
        });
        if let Some(arm) = arms.iter().position(|[users, had]| *had == 0 || users == had) {
            return Err(anyhow!(
                "{} of the {} {}treated users {} within the horizon, so nothing can be learned of them; check \
                 --at and the column, or leave the trial with --treated -",
                if arms[arm][1] == 0 { "none" } else { "all" },
                count(arms[arm][0]),
                if arm == 0 { "" } else { "un" },
                Self::outcome(task),
            ));
        }
        let (x, components, variance) = columns(people, arms[0][0].min(arms[1][0]))?;
        let settings = LogisticSettings { penalty: PENALTY, ..LogisticSettings::default() };
        let potential = cross_fit(x.view(), &people.flags, &had, (FOLDS, seed), &settings)?;

        let inside: Vec<usize> =
            (0..people.len()).filter(|&user| people.flags[user].is_some()).collect();
        let uplift = potential.uplift();
        let pick = |values: &[f64]| inside.iter().map(|&user| values[user]).collect::<Vec<_>>();
        let (scores, plain) = (pick(&uplift), pick(&people.said));
        let treated: Vec<bool> =
            inside.iter().map(|&user| people.flags[user] == Some(true)).collect();
        let outcomes: Vec<bool> = inside.iter().map(|&user| had[user]).collect();
        let shown = Shown::of((&scores, &plain), &treated, &outcomes, (resamples, seed))?;

        let known = inside.iter().flat_map(|&user| {
            people.known[user].into_iter().chain(std::iter::once(people.said[user]))
        });
        let known = Array2::from_shape_vec((inside.len(), MOMENT.len() + 1), known.collect())?;
        let balance = balance(known.view(), &treated)?.unwrap_or_default();
        let outside = people.len() - inside.len();
        let mut found = Self {
            potential,
            had,
            arms,
            outside,
            shown,
            balance,
            components,
            variance,
            warnings: Vec::new(),
        };
        found.warnings = found.doubts(people, task);
        Ok(found)
    }

    /// What should make one careful.
    fn doubts(&self, people: &People, task: Task) -> Vec<String> {
        let mut doubts = Vec::new();
        let what = Self::outcome(task);
        for (arm, [users, had]) in ["treated", "untreated"].into_iter().zip(self.arms) {
            let other = users - had;
            if users < FEW[0] || had.min(other) < FEW[1] {
                doubts.push(format!(
                    "only {} {arm} users, of whom {} {what}: too few to tell whom the campaign changes; trust the \
                     intervals and not the ranking",
                    count(users),
                    count(had)
                ));
            }
        }
        let names = MOMENT.iter().copied().chain(std::iter::once("what the model says"));
        let notable: Vec<&str> =
            names.zip(&self.balance).filter(|(_, d)| d.notable).map(|(name, _)| name).collect();
        if !notable.is_empty() {
            doubts.push(format!(
                "treated and untreated users were not alike before the moment ({}): was it chance that decided? \
                 If not, the difference between them is not what the campaign has changed",
                notable.join(", ")
            ));
        }
        if self.outside > 0 {
            // A flag that only rows after the moment carry is there for those alone who came back.
            let silent = (people.flags.iter().zip(&people.outcomes))
                .filter(|(flag, outcome)| flag.is_none() && outcome.is_silent())
                .count();
            let back = match silent == self.outside {
                true => {
                    "; none of them has come back, so does the column stand only in rows after the \
                         moment? Then those who stayed away are missing, and the effect is wrong: write it \
                         in all rows of a user"
                }
                false => "",
            };
            doubts.push(format!(
                "of {} users nobody knows whether they were treated; they are scored, and nothing is learned \
                 of them{back}",
                count(self.outside)
            ));
        }
        doubts
    }
}

/// What the two models see of each user, `[N, K]`, all of it known before the moment.
fn columns(people: &People, smaller: usize) -> Result<(Array2<f64>, usize, [f64; 2])> {
    let most = (smaller / USERS_A_COMPONENT).clamp(2, COMPONENTS).min(people.width);
    let reduced = [&people.states, &people.means].map(|picture| {
        let mut moments = Moments::new(people.width);
        picture.chunks_exact(people.width).for_each(|row| moments.add(row));
        let directions = Directions::principal(&moments, most);
        (directions.project_all(picture, people.width), directions.worth.iter().sum::<f64>())
    });
    let [(states, of_states), (means, of_means)] = reduced;
    let scaled = people.scaled.chunks_exact(MOMENT.len());
    let mut x = Vec::with_capacity(people.len() * (2 * most + MOMENT.len()));
    for ((state, mean), scaled) in states.rows().zip(means.rows()).zip(scaled) {
        x.extend(state.iter().chain(mean));
        x.extend(scaled.iter().map(|&x| f64::from(x)));
    }
    let x = Array2::from_shape_vec((people.len(), 2 * most + MOMENT.len()), x)?;
    Ok((x, most, [of_states, of_means]))
}
