//! What an audience looks like in files, on its page and on the terminal.

use std::path::Path;

use anyhow::Result;
use events::MOMENT;
use events::time::format_time;
use insight::audience::{self as shown, Audience, Listed, Range, Tenth};
use serde_json::{Value, json};
use statistics::bootstrap::Interval;
use train::tasks::Task;

use super::FILES;
use super::people::{Flag, People};
use super::plan::{End, Plan, Step, Terms, Unit};
use super::trial::{FOLDS, PENALTY, Uplift};
use crate::machine::peak_rss;
use crate::output::{Style, Table, count, decimal, per_cent, seconds};
use crate::predict::{Layout, Table as List};
use crate::target::Target;

/// Shares of all users that the table has a row for.
const PLACES: [f64; 8] = [0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0];
/// Users that the page shows.
const SHOWN: usize = 20;

/// Everything that was found.
pub(super) struct Found<'a> {
    pub(super) model: &'a Path,
    pub(super) log: &'a str,
    pub(super) task: Task,
    pub(super) at: i64,
    pub(super) horizon: i64,
    pub(super) flag: Option<&'a Flag>,
    pub(super) people: &'a People,
    pub(super) uplift: Option<&'a Uplift>,
    pub(super) scores: &'a [f64],
    pub(super) unit: Unit,
    pub(super) terms: &'a Terms,
    pub(super) plan: &'a Plan,
    pub(super) sessions: bool,
    pub(super) resamples: u32,
    pub(super) seed: u64,
}

impl Found<'_> {
    fn key(&self) -> &'static str {
        if self.sessions { "session" } else { "user" }
    }

    /// What a score is, what their sum is, and whether it is a share.
    fn names(&self) -> (&'static str, &'static str, bool) {
        match (self.task, self.unit.added) {
            (Task::Churn, true) => ("added probability to come back", "more who come back", true),
            (_, true) => ("added probability of a purchase", "more buyers", true),
            (Task::Value, _) => ("money expected", "money", false),
            (Task::Count, _) => ("orders expected", "orders", false),
            (Task::Churn, _) if self.unit.money == Some(1.0) => {
                ("money that is likely to leave", "money at stake", false)
            }
            (Task::Churn, _) => ("probability to stay away", "who stay away", true),
            _ => ("probability of a purchase", "buyers", true),
        }
    }

    /// Writes everybody, the first of the ranking first.
    pub(super) fn write_list(&self, path: &Path, layout: Layout) -> Result<()> {
        let mut columns = vec!["rank", "score", "gain", "contact", self.task.column()];
        if self.uplift.is_some() {
            columns.extend(["if_contacted", "if_not", "treated", "outcome"]);
        }
        let columns: Vec<String> = columns.into_iter().map(str::to_owned).collect();
        let target = Target::create("--list", path, &[])?;
        let mut list = List::begin(layout, target, path, self.key(), &columns)?;
        for (place, &user) in self.plan.order.iter().enumerate() {
            let contact = place < self.plan.contacted;
            let mut row = vec![
                (place + 1) as f64,
                self.scores[user],
                self.plan.gain[user],
                f64::from(u8::from(contact)),
                self.people.said[user],
            ];
            if let Some(Uplift { potential, had, .. }) = self.uplift {
                let flag =
                    self.people.flags[user].map_or(f64::NAN, |flag| f64::from(u8::from(flag)));
                let had = f64::from(u8::from(had[user]));
                row.extend([potential.treated[user], potential.control[user], flag, had]);
            }
            list.push(&self.people.names[user], &columns, &row)?;
        }
        list.finish()
    }

    fn places(&self) -> Vec<Step> {
        let all = self.plan.users();
        let mut users: Vec<usize> =
            PLACES.iter().map(|share| (share * all as f64).round() as usize).collect();
        users.push(self.plan.contacted);
        users.retain(|&users| users > 0);
        users.sort_unstable();
        users.dedup();
        users.into_iter().map(|users| self.plan.after(users)).collect()
    }

    fn end(&self) -> String {
        let who = self.key();
        let (users, all) = (count(self.plan.contacted), count(self.plan.users()));
        match self.plan.end {
            End::Top => format!("{users} {who}s were asked for (--top)."),
            End::Budget => format!("The budget is enough for {users} contacts."),
            End::Pays if self.plan.money => {
                format!("The list ends where a further contact would cost more than it brings: {users} of {all}.")
            }
            End::Pays => {
                format!("The list ends where a contact would add nothing or put off: {users} of {all}.")
            }
            End::Tenth => {
                "Nobody has said where to stop (--top, --budget, --cost), so the first tenth is on the list."
                    .to_owned()
            }
            End::All => format!("All {all} are on the list."),
        }
    }

    /// The page's figures.
    pub(super) fn shown(&self) -> Audience {
        let (score, sum, share) = self.names();
        let step = |step: Step| shown::Step {
            users: step.users,
            score: step.score,
            sum: step.sum,
            gain: step.gain,
        };
        let plan = self.plan;
        let terms = [
            ("cost of a contact", self.terms.cost),
            ("budget", self.terms.budget),
            ("margin", self.terms.margin),
            ("what a contact adds, as a share", self.terms.effect),
            ("money of a score of 1", self.unit.money.filter(|_| plan.money)),
        ];
        let terms = terms.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        let first = plan.order.iter().take(SHOWN).map(|&user| Listed {
            name: self.people.names[user].clone(),
            score: self.scores[user],
            said: self.people.said[user],
            gain: plan.gain[user],
        });
        Audience {
            log: self.log.to_owned(),
            of_sessions: self.sessions,
            at: format_time(self.at).to_string(),
            horizon_s: self.horizon as f64 / 1000.0,
            score,
            sum,
            share,
            said_share: matches!(self.task, Task::Purchase | Task::Churn),
            added: self.unit.added,
            money: plan.money,
            terms: terms.collect(),
            end: self.end(),
            all: step(plan.after(plan.users())),
            cut: step(plan.after(plan.contacted)),
            lift: plan.lift(plan.contacted),
            break_even: plan.break_even.zip(plan.paying),
            curve: plan.curve().into_iter().map(step).collect(),
            places: self.places().into_iter().map(step).collect(),
            first: first.collect(),
            trial: self.flag.zip(self.uplift).map(|(flag, uplift)| self.trial(flag, uplift)),
            warnings: self.uplift.map_or(Vec::new(), |uplift| uplift.warnings.clone()),
        }
    }

    fn trial(&self, flag: &Flag, uplift: &Uplift) -> shown::Trial {
        let known = &uplift.shown;
        let names = MOMENT.iter().copied().chain(std::iter::once("what the model says"));
        let balance = names
            .zip(&uplift.balance)
            .map(|(name, d)| (name.to_owned(), d.treated, d.control, d.standardised, d.notable));
        let tenth = |part: &statistics::trial::Part| Tenth {
            users: [part.treated, part.control],
            shares: [part.if_treated, part.if_not],
            expected: part.expected,
            found: part.found.map(range),
        };
        shown::Trial {
            column: flag.column.clone(),
            outcome: match self.task {
                Task::Churn => ["come back", "came back"],
                _ => ["buy", "bought"],
            },
            arms: uplift.arms,
            effect: known.effect.map(range),
            coefficients: [known.coefficient, known.plain, known.better].map(|i| i.map(range)),
            curve: known.curve.iter().map(|p| (p.share, p.gain.map(range), p.plain)).collect(),
            tenths: known.parts.iter().map(tenth).collect(),
            balance: balance.collect(),
            method: (FOLDS, uplift.components, uplift.variance, PENALTY, self.resamples),
        }
    }

    /// `audience.json`: the figures of the page. Nothing in it differs from run to run.
    pub(super) fn figures(&self) -> Value {
        let plan = self.plan;
        let (cut, all) = (plan.after(plan.contacted), plan.after(plan.users()));
        let step = |step: &Step| {
            json!({
                "users": step.users,
                "score": step.score,
                "sum": step.sum,
                "gain": step.gain,
            })
        };
        json!({
            "model": self.model.display().to_string(),
            "log": self.log,
            "of": self.key(),
            "task": self.task.name(),
            "at": format_time(self.at),
            "horizon_s": self.horizon as f64 / 1000.0,
            "score": self.names().0,
            "added": self.unit.added,
            "users": plan.users(),
            "contacted": plan.contacted,
            "end": plan.end.name(),
            "expected": cut.sum,
            "expected_of_all": all.sum,
            "captured": if self.unit.added { Value::Null } else { json!(cut.sum / all.sum) },
            "lift": plan.lift(plan.contacted).filter(|_| !self.unit.added),
            "terms": {
                "cost": self.terms.cost,
                "budget": self.terms.budget,
                "margin": self.terms.margin,
                "effect": self.terms.effect,
                "worth": self.unit.money,
            },
            "profit": plan.money.then_some(cut.gain),
            "break_even": plan.break_even,
            "paying": plan.paying,
            "curve": plan.curve().iter().map(step).collect::<Vec<_>>(),
            "trial": self.flag.zip(self.uplift).map(|(flag, uplift)| self.trial_figures(flag, uplift)),
            "seed": self.seed,
        })
    }

    fn trial_figures(&self, flag: &Flag, uplift: &Uplift) -> Value {
        let names = MOMENT.iter().copied().chain(std::iter::once("prediction"));
        let balance = names.zip(&uplift.balance).map(|(name, difference)| {
            let mut value = json!(difference);
            value["column"] = json!(name);
            value
        });
        let [treated, control] =
            uplift.arms.map(|[users, had]| json!({ "users": users, "had": had }));
        json!({
            "column": flag.column,
            "outcome": if self.task == Task::Churn { "event" } else { "purchase" },
            "treated": treated,
            "control": control,
            "outside": uplift.outside,
            "effect": uplift.shown.effect,
            "qini": uplift.shown.coefficient,
            "qini_by_prediction": uplift.shown.plain,
            "ahead_of_prediction": uplift.shown.better,
            "curve": uplift.shown.curve,
            "tenths": uplift.shown.parts,
            "balance": balance.collect::<Vec<_>>(),
            "components": uplift.components,
            "variance": uplift.variance,
            "folds": FOLDS,
            "penalty": PENALTY,
            "resamples": self.resamples,
            "warnings": uplift.warnings,
        })
    }

    /// What is said on the terminal.
    pub(super) fn render(&self, page: &Audience, out: &Path, list: &Path, wall: f64) -> String {
        let style = Style::for_stdout();
        let plan = self.plan;
        let (score, sum, share) = self.names();
        let write = |value: f64| if share { per_cent(value) } else { decimal(value) };
        let mut text = format!(
            "  {} {}s as of {}, by {score}\n",
            count(plan.users()),
            self.key(),
            format_time(self.at)
        );
        let mut head = vec!["first", "of all", "score of the last", sum];
        head.extend(plan.money.then_some("profit"));
        let mut table = Table::new(head);
        for step in self.places() {
            let mut cells = vec![
                count(step.users),
                per_cent(step.users as f64 / plan.users().max(1) as f64),
                write(step.score),
                decimal(step.sum),
            ];
            cells.extend(plan.money.then(|| decimal(step.gain)));
            match step.users == plan.contacted {
                true => table.bold_row(cells),
                false => table.row(cells),
            }
        }
        text += &table.render(style);
        text += &format!("  {}\n", self.end());
        if let Some(uplift) = self.uplift {
            let known = &uplift.shown;
            let show = |interval: Option<Interval>| match interval {
                Some(Interval { estimate, low, high, .. }) => {
                    format!("{estimate:.4} [{low:.4}, {high:.4}]")
                }
                None => "-".to_owned(),
            };
            text += &format!(
                "  average effect {}\n  Qini coefficient {} (ranked by the model: {})\n",
                show(known.effect),
                show(known.coefficient),
                show(known.plain)
            );
        }
        if let Some(Range { estimate, low, high }) = shown::found(page) {
            text += &format!(
                "  by the trial itself the list is worth {} [{}, {}] {sum}; the two models expect {}\n",
                decimal(estimate),
                decimal(low),
                decimal(high),
                decimal(plan.after(plan.contacted).sum)
            );
        }
        let out = out.display();
        text += &format!(
            "  {}\n\nThe list is {}, the page {}\n",
            seconds(wall),
            style.bold(&format!("{out}/{}", list.display())),
            style.bold(&format!("{out}/{}", FILES[0]))
        );
        text
    }
}

fn range(interval: Interval) -> Range {
    Range { estimate: interval.estimate, low: interval.low, high: interval.high }
}

/// What `--json` prints.
pub(super) fn summary(figures: &Value, out: &Path, list: &Path, wall: f64) -> Value {
    let mut object = figures.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.remove("curve");
        if let Some(trial) = fields.get_mut("trial").and_then(Value::as_object_mut) {
            trial.remove("curve");
            trial.remove("balance");
        }
        fields.insert("out".to_owned(), json!(out.display().to_string()));
        fields.insert("list".to_owned(), json!(out.join(list).display().to_string()));
        fields.insert("wall_s".to_owned(), json!(wall));
        fields.insert("peak_rss".to_owned(), json!(peak_rss()));
    }
    object
}
