//! Who there is at the moment: what was known of each, what the model says, who was treated, what came true.
//!
//! The model and the numbers of the moment see events before it alone. From after it come two things and no
//! more: what came true ([`People::outcomes`]), and whether somebody was treated, which was settled at the moment
//! and stands in all rows of a user.

use anyhow::{Result, anyhow, bail};
use events::{Buys, Cuts, Histories, Log, MOMENT, Moment, NONE, Outcome, Sessions, has_money};
use model::Device;
use train::represent::Histories as Visits;
use train::represent::{How, Of, ends, represent, width};
use train::tasks::{Task, TaskKnowledge};
use train::{Knowledge, Trained};

use crate::failure::usage;
use crate::predict::{answers, columns, put};
use crate::tasks::name;

/// Users that are asked about at a time.
const USERS: usize = 1 << 15;
/// Where a log has no session keys, a pause of more milliseconds ends a visit.
const PAUSE: i64 = 30 * 60 * 1000;
/// Columns that are taken for the flag where nobody names one.
pub(super) const FLAGS: [&str; 4] = ["treated", "treatment", "is_treated", "exposed"];

/// Everybody of whom something is known before the moment.
#[derive(Debug, Default)]
pub(super) struct People {
    pub(super) names: Vec<String>,
    /// The model's answer to the task.
    pub(super) said: Vec<f64>,
    /// What was known, as it is.
    pub(super) known: Vec<Moment>,
    /// The same as the model sees it, `[N, M]`.
    pub(super) scaled: Vec<f32>,
    /// The state in which the model has ended, `[N, width]`; empty where there is no trial.
    pub(super) states: Vec<f32>,
    /// The mean of those in which it ends each visit alone, likewise; 0 where it knows no item of a user.
    pub(super) means: Vec<f32>,
    pub(super) width: usize,
    /// What came true within the horizon.
    pub(super) outcomes: Vec<Outcome>,
    /// What the last horizon before the moment has brought.
    pub(super) before: Vec<Outcome>,
    /// Whether they were treated, where somebody knows.
    pub(super) flags: Vec<Option<bool>>,
    /// Whether the log says what things cost.
    pub(super) money: bool,
}

/// The flag of a log.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Flag {
    /// Its column.
    pub(super) column: String,
    /// Whether somebody has named it.
    pub(super) asked: bool,
}

impl Flag {
    /// The column that is there, of those that were read.
    pub(super) fn of(
        log: &Log,
        asked: Option<&str>,
        knowledge: &Knowledge,
    ) -> Result<Option<Self>> {
        let there = |column: &str| {
            let mut labels = log.labels.iter();
            labels.any(|label| label.name == column && !label.names.is_empty())
        };
        let column = match asked {
            Some("-") => return Ok(None),
            Some(column) if !there(column) => {
                let unused = log.report.unused.join(", ");
                let has = if unused.is_empty() { "no column is left over".into() } else { unused };
                return Err(usage(format!(
                    "--treated {column}: the log has no such column, or nothing in it; not used so far: {has}"
                )));
            }
            Some(column) => column,
            None => match FLAGS.into_iter().find(|column| there(column)) {
                Some(column) => column,
                None => return Ok(None),
            },
        };
        let seen = knowledge.treatment.features.specs().further();
        if seen.labels.iter().chain(&seen.numbers).any(|name| name == column) {
            return Err(usage(format!(
                "{column}: the model sees this column at every event, so its picture of a user tells who was \
                 treated; train one without it among --features"
            )));
        }
        Ok(Some(Self { column: column.to_owned(), asked: asked.is_some() }))
    }

    /// The flag of each user.
    fn read(&self, log: &Log, users: &Sessions) -> Result<Vec<Option<bool>>> {
        let label = log.labels.iter().find(|label| label.name == self.column);
        let label = label.ok_or_else(|| anyhow!("{}: no such column", self.column))?;
        let meaning: Vec<Option<bool>> =
            label.names.iter().map(|word| self.meaning(word)).collect::<Result<_>>()?;
        let flag = |user: usize| {
            let mut found = None;
            for &event in &users.log_events()[users.range(user)] {
                let word = label.values.get(event as usize).copied().unwrap_or(NONE);
                let Some(flag) = meaning.get(word as usize).copied().flatten() else { continue };
                if found.is_some_and(|other| other != flag) {
                    bail!(
                        "{}: user {} is treated in some rows and not in others; the column has to say the \
                         same in all rows of a user, also in those before the moment",
                        self.column,
                        name(log, users, user).unwrap_or("without a name")
                    );
                }
                found = Some(flag);
            }
            Ok(found)
        };
        (0..users.len()).map(flag).collect()
    }

    fn meaning(&self, word: &str) -> Result<Option<bool>> {
        match word.trim().to_ascii_lowercase().as_str() {
            "1" | "1.0" | "true" | "yes" | "y" | "t" | "treated" | "treatment" => Ok(Some(true)),
            "0" | "0.0" | "false" | "no" | "n" | "f" | "control" | "untreated" | "holdout" => {
                Ok(Some(false))
            }
            "" => Ok(None),
            _ => bail!(
                "{}: {word:?} is neither yes nor no; write 1 for those who were treated, 0 for those who were \
                 not, and nothing where nobody knows{}",
                self.column,
                if self.asked { "" } else { "; or --treated - to leave the column alone" }
            ),
        }
    }
}

impl People {
    /// Asks the model about everybody as of a moment.
    pub(super) fn ask<D: Device>(
        trained: &Trained<D>,
        log: &Log,
        users: &Sessions,
        (task, at): (Task, i64),
        flag: Option<&Flag>,
    ) -> Result<Self> {
        let (model, knowledge) = (&trained.model, &trained.knowledge);
        let tasks = crate::tasks::known(knowledge)?;
        let column = columns(tasks, false).iter().position(|column| column == task.column());
        let column = column.ok_or_else(|| unknown(task, tasks))?;
        let flags = match flag {
            Some(flag) => flag.read(log, users)?,
            None => vec![None; users.len()],
        };
        let histories = Histories::new(log, users, Buys::new(log, &tasks.buys.parse()?));
        let mut people = Self { money: has_money(log), ..Self::default() };
        people.width = width(model, Of::State);
        let here: Vec<usize> = (0..users.len())
            .filter(|&user| histories.known(user, at) > 0 && name(log, users, user).is_some())
            .collect();
        for some in here.chunks(USERS) {
            // Whatever comes later is not even looked at.
            let known = users.select(some).before(log, at);
            let question = put(knowledge, log, &known, at)?;
            let rows = answers(trained, &question, known.len())?;
            people.said.extend(rows.iter().map(|row| row[column]));
            people.known.extend_from_slice(&question.lessons.asked.known);
            people.scaled.extend_from_slice(&question.lessons.moments);
            if flag.is_some() {
                let ends = ends(model, &question.sequences, Of::State, tasks.history)?;
                people.states.extend(ends);
            }
        }
        if here.is_empty() {
            bail!("nobody with a name has an event before the moment; check --at and the log");
        }
        if flag.is_some() {
            people.means = means(trained, log, users, &here, at)?;
        }
        for user in here {
            people.names.push(name(log, users, user).unwrap_or_default().to_owned());
            people.outcomes.push(histories.outcome(user, at, tasks.horizon));
            let before = at.saturating_sub(tasks.horizon);
            people.before.push(histories.outcome(user, before, tasks.horizon));
            people.flags.push(flags[user]);
        }
        Ok(people)
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// Mean money in the last horizon before the moment: Σ spend through Σ of something; none where nothing
    /// was spent.
    pub(super) fn mean_spend(&self, through: impl Fn(&Outcome) -> f64) -> Option<f64> {
        let spend: f64 = self.before.iter().map(|outcome| outcome.spend).sum();
        let count: f64 = self.before.iter().map(through).sum();
        (self.money && spend > 0.0 && count > 0.0).then(|| spend / count)
    }

    /// Money that leaves with each user who does: what was spent so far in a stretch of the horizon's length.
    pub(super) fn stakes(&self, horizon: i64) -> Option<Vec<f64>> {
        let at = |column: &str| MOMENT.iter().position(|name| *name == column);
        let (spend, age) = (at("spend")?, at("since_first_event")?);
        let days = horizon as f64 / 86_400_000.0;
        let stake = |known: &Moment| known[spend] * days / known[age].max(days);
        self.money.then(|| self.known.iter().map(stake).collect())
    }
}

/// The mean state at the ends of the visits that each of some users has paid before a moment: what they come
/// for, where the last state tells more of what they have just looked at. In a log without users a row is a visit,
/// and there is nothing to add.
fn means<D: Device>(
    trained: &Trained<D>,
    log: &Log,
    users: &Sessions,
    here: &[usize],
    at: i64,
) -> Result<Vec<f32>> {
    let width = width(&trained.model, Of::State);
    let mut found = vec![0.0; here.len() * width];
    let visits = users.select(here).before(log, at).visits(log, PAUSE);
    let visits = Visits::of(&trained.knowledge, log, &visits);
    if !visits.rows.of_users {
        return Ok(found);
    }
    let mut place = vec![usize::MAX; log.users.len()];
    for (row, &user) in here.iter().enumerate() {
        if let Some(user) = users.user(user) {
            place[user as usize] = row;
        }
    }
    represent(&trained.model, &visits, How::default(), |shown| {
        let row = place[visits.rows.owner(shown.row) as usize];
        found[row * width..][..width].copy_from_slice(shown.numbers);
        Ok(())
    })?;
    Ok(found)
}

/// The task that users are ranked by: the one that is asked for, or the first that the model knows.
pub(super) fn task_of(asked: Option<&str>, tasks: &TaskKnowledge) -> Result<Task> {
    const RANKED: [Task; 4] = [Task::Purchase, Task::Value, Task::Count, Task::Churn];
    match asked {
        Some(text) => {
            let task: Task = text.parse()?;
            if !RANKED.contains(&task) {
                return Err(usage(format!(
                    "audience.task = {text:?}: expected purchase, value, count or churn"
                )));
            }
            match tasks.tasks.contains(&task) {
                true => Ok(task),
                false => Err(unknown(task, tasks)),
            }
        }
        None => RANKED.into_iter().find(|task| tasks.tasks.contains(task)).ok_or_else(|| {
            usage(
                "the model answers none of purchase, value, count and churn; train one with --task purchase \
                 --horizon 14d, say",
            )
        }),
    }
}

fn unknown(task: Task, tasks: &TaskKnowledge) -> anyhow::Error {
    let known: Vec<&str> = tasks.answered().iter().map(|task| task.name()).collect();
    usage(format!("--task {task}: the model does not answer it; it answers {}", known.join(", ")))
}

/// Whether a log goes on to the horizon after a moment.
pub(super) fn is_seen(at: i64, horizon: i64, last: i64) -> bool {
    Cuts { at: vec![at], horizon }.is_seen(at, last)
}
