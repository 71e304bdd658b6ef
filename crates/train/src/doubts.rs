//! Where a run is not to be trusted, in words, and what to do about it.
//!
//! [`of`] judges a run by its losses, its validation and its figures beside those of the baselines: a
//! function of numbers, which knows no log and no file. What can be told before a run has functions of its
//! own. Nothing here changes a run.

use events::time::format_time;
use serde::Serialize;
use serde_json::Value;

use crate::evaluate::Baselines;
use crate::metrics::Metrics;
use crate::observer::EpochReport;
use crate::record::Point;
use crate::run::Validation;
use crate::tasks::{Asked, Task};

/// A loss has risen where it is above another by this share of it.
const RISE: f64 = 0.01;
/// Epochs in a row over which it rises.
const RISING: usize = 2;
/// Far above its start, as a share of it.
const FAR: f64 = 0.5;
/// A run begins with the first of so many parts of its points, and so many of them at most.
const FIRST: usize = 10;
const MEDIAN: usize = 20;
/// Validation got worse where it lost this share of its best.
const WORSE: f64 = 0.005;
/// Epochs after the best one that make a trend.
const AFTER_BEST: usize = 2;
/// Still getting better: the last epoch has gained this share.
const BETTER: f64 = 0.01;
/// The share of targets outside the vocabulary that can be overlooked.
const UNKNOWN: f64 = 0.1;
/// Figures of tasks that lie no further apart than this share are the same.
const SAME: f64 = 0.002;
/// Fewer predictions than this leave a recall of a half uncertain by 5 points.
const FEW_PREDICTIONS: u64 = 400;
/// Fewer questions than this tell nothing of a number, and fewer answers of the rarer kind of a probability.
const FEW_QUESTIONS: u64 = 100;
const FEW_ANSWERS: u64 = 30;

/// A reason to doubt a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Doubt {
    /// A name that stays: `defeat`, `diverging`, `loss-rising`, `overfitting`, `still-better`,
    /// `unknown-targets`, `few-cases`, `few-lessons`, `no-validation`, `learning-rate`.
    pub kind: &'static str,
    /// What is the matter.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

impl std::fmt::Display for Doubt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}; {}", self.message, self.remedy)
    }
}

fn doubt(kind: &'static str, message: String, remedy: impl Into<String>) -> Doubt {
    Doubt { kind, message, remedy: remedy.into() }
}

/// What a run is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// Its epochs.
    pub history: &'a [EpochReport],
    /// The run between them.
    pub points: &'a [Point],
    /// The epoch that was kept, counted from 1.
    pub best_epoch: usize,
    /// Whether it ended before its last epoch.
    pub stopped_early: bool,
    /// The learning rate at its peak.
    pub learning_rate: f64,
    /// The figures of the kept epoch at the next item, beside the baselines'.
    pub validation: Option<&'a Validation>,
    /// The same of the other tasks, as `result.json` has them; null where there are none.
    pub tasks: &'a Value,
}

/// Everything that makes a run doubtful, the gravest first.
pub fn of(run: &Evidence<'_>) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    doubts.extend(diverging(run).or_else(|| rising(run)));
    if let Some(validation) = run.validation {
        doubts.extend(defeat(&validation.model, &validation.baselines));
    }
    doubts.extend(task_defeats(run.tasks));
    doubts.extend(overfitting(run));
    doubts.extend(still_better(run));
    if let Some(validation) = run.validation {
        doubts.extend(unknown_targets(&validation.model));
        doubts.extend(few_predictions(&validation.model));
    }
    doubts.extend(few_questions(run.tasks));
    doubts
}

/// A model that lost to a baseline at the next item: about the best known of those that it lost to.
pub fn defeat(model: &Metrics, baselines: &Baselines) -> Option<Doubt> {
    let lost_to = |(name, other): (&str, &Metrics)| {
        let figures = [
            ("recall@20", model.recall_20, other.recall_20),
            ("mrr@20", model.mrr_20, other.mrr_20),
        ];
        let lost: Vec<_> = figures
            .iter()
            .filter(|(_, own, theirs)| own < theirs)
            .map(|&(figure, own, theirs)| (figure, per_cent(own), per_cent(theirs)))
            // A difference that cannot be shown is none.
            .filter(|(_, own, theirs)| own != theirs)
            .map(|(figure, own, theirs)| format!("{figure} ({own} against {theirs})"))
            .collect();
        (!lost.is_empty()).then(|| {
            let lost = lost.join(" and ");
            let message =
                format!("the model did worse than {name} in {lost}: a plain table does better");
            let remedy = "train on more events or for more epochs, or try another learning rate";
            doubt("defeat", message, remedy)
        })
    };
    baselines.by_name().into_iter().find_map(lost_to)
}

/// A model that lost to a baseline at another task, by the figures that count there: not by the mean error,
/// at which always saying zero is hard to beat where most answers are zero.
fn task_defeats(tasks: &Value) -> Vec<Doubt> {
    let of_task = |(task, figures): (&String, &Value)| {
        let keys: &[(&str, f64)] = if figures.get("brier").is_some() {
            &[("auc", 1.0), ("log_loss", -1.0)]
        } else if figures.get("rmse").is_some() {
            &[("rmse", -1.0), ("spearman", 1.0)]
        } else {
            &[("log_loss", -1.0), ("accuracy", 1.0)]
        };
        let lost_to = |(name, other): (&String, &Value)| {
            let lost = keys.iter().filter_map(|&(key, sign)| {
                let (own, theirs) = (figures.get(key)?.as_f64()?, other.get(key)?.as_f64()?);
                let (name, told) = (key.replace('_', " "), (digits(own), digits(theirs)));
                // A difference that cannot be shown is none, and one that chance makes says nothing.
                let apart = (own - theirs).abs() > SAME * theirs.abs();
                (sign * own < sign * theirs && apart && told.0 != told.1)
                    .then(|| format!("{name} ({} against {})", told.0, told.1))
            });
            let lost: Vec<String> = lost.collect();
            (!lost.is_empty()).then(|| (lost.len(), name.clone(), lost.join(" and ")))
        };
        let baselines = figures.get("baselines").and_then(Value::as_object);
        let lost = baselines.into_iter().flatten().filter_map(lost_to);
        // Of those that won, the one that won in most.
        let (_, name, lost) = lost.max_by_key(|(figures, ..)| *figures)?;
        let name = name.replace('_', " ");
        Some(doubt(
            "defeat",
            format!("{task}: the model did worse than {name} in {lost}: that needs no network"),
            "learn from more users or more dates (--at, --stride), let it see more (--features), or use \
             another learning rate",
        ))
    };
    tasks.as_object().into_iter().flatten().filter_map(of_task).collect()
}

/// A training loss far above its start.
fn diverging(run: &Evidence<'_>) -> Option<Doubt> {
    let start = beginning(run.points).or(run.history.first()?.loss)?;
    let last = run.history.last()?.loss?;
    (last > start + FAR * start.abs()).then(|| {
        doubt(
            "diverging",
            format!("the training loss has gone from {} to {}: it diverges", digits(start), digits(last)),
            format!(
                "lower the learning rate, to --learning-rate {} say, or bound the gradient with clip_norm = 5.0 \
                 under [optimizer]",
                brief(run.learning_rate / 5.0)
            ),
        )
    })
}

/// The loss that a run began with: the median of its first points, since a single batch may be an easy one.
fn beginning(points: &[Point]) -> Option<f64> {
    let first = &points[..points.len().min((points.len() / FIRST).clamp(1, MEDIAN))];
    let mut losses: Vec<f64> = first.iter().map(|point| point.loss).collect();
    losses.sort_unstable_by(f64::total_cmp);
    losses.get(losses.len() / 2).copied()
}

/// A training loss that rises at the end of the run, or ends above where it began.
fn rising(run: &Evidence<'_>) -> Option<Doubt> {
    let losses: Vec<f64> = run.history.iter().filter_map(|report| report.loss).collect();
    let (&first, &last) = (losses.first()?, losses.last()?);
    let risen = |from: f64, to: f64| to - from > RISE * from.abs();
    let tail = losses.len().checked_sub(RISING + 1).map(|from| &losses[from..]);
    let (what, from) = match tail {
        Some(tail) if tail.windows(2).all(|two| two[1] > two[0]) && risen(tail[0], last) => {
            (format!("over the last {RISING} epochs"), tail[0])
        }
        _ if losses.len() > 1 && risen(first, last) => ("since the first epoch".to_owned(), first),
        _ => return None,
    };
    Some(doubt(
        "loss-rising",
        format!("the training loss has risen {what}, from {} to {}", digits(from), digits(last)),
        format!(
            "lower the learning rate, to --learning-rate {} say",
            brief(run.learning_rate / 3.0)
        ),
    ))
}

/// Training gets better and validation worse.
fn overfitting(run: &Evidence<'_>) -> Option<Doubt> {
    let best = run.history.iter().position(|report| report.epoch == run.best_epoch)?;
    let (kept, later) = (&run.history[best], &run.history[best + 1..]);
    let last = later.last().filter(|_| later.len() >= AFTER_BEST)?;
    let (value, now) = (kept.value?, last.value?);
    let (loss, loss_now) = (kept.loss?, last.loss?);
    let worse = value - now > WORSE * value.abs();
    (worse && loss_now < loss).then(|| {
        doubt(
            "overfitting",
            format!(
                "since epoch {} the training loss has fallen from {} to {}, and validation has got worse, from {} \
                 to {}: later epochs learn by heart (the weights of epoch {} were kept)",
                kept.epoch,
                digits(loss),
                digits(loss_now),
                digits(value.abs()),
                digits(now.abs()),
                kept.epoch
            ),
            "raise [model.dropout], lower --hidden, train on more events, or end sooner with fewer --epochs",
        )
    })
}

/// The last epoch was the best one, and by far.
fn still_better(run: &Evidence<'_>) -> Option<Doubt> {
    let (last, earlier) = run.history.split_last()?;
    if run.stopped_early || last.epoch != run.best_epoch {
        return None;
    }
    let value = last.value?;
    let before = earlier.iter().filter_map(|report| report.value).reduce(f64::max)?;
    let gain = value - before;
    (gain > BETTER * before.abs()).then(|| {
        doubt(
            "still-better",
            format!(
                "training ended while validation still got better: from {} to {} in the last epoch",
                digits(before.abs()),
                digits(value.abs())
            ),
            format!("train for more epochs, --epochs {} say", 2 * last.epoch),
        )
    })
}

/// Many targets are items that training never saw.
fn unknown_targets(figures: &Metrics) -> Option<Doubt> {
    let share = figures.unknown_targets as f64 / figures.cases.max(1) as f64;
    (share > UNKNOWN).then(|| {
        doubt(
            "unknown-targets",
            format!(
                "{} of {} validation targets ({}) are items that training never saw: nothing can foresee them, \
                 and each is a miss",
                figures.unknown_targets,
                figures.cases,
                per_cent(share)
            ),
            "lower --min-support, train on later events (and again as new items come), or hold back a shorter \
             part with --split",
        )
    })
}

/// Too few predictions to tell two models apart.
fn few_predictions(figures: &Metrics) -> Option<Doubt> {
    let (cases, recall) = (figures.cases, figures.recall_20);
    (cases > 0 && cases < FEW_PREDICTIONS).then(|| {
        // Of a share of 0 or 1 among so few cases nothing is certain either: as if two more had come out
        // each way (Agresti and Coull, 1998).
        let n = cases as f64 + 4.0;
        let share = (recall * cases as f64 + 2.0) / n;
        let margin = 1.96 * (share * (1.0 - share) / n).sqrt();
        doubt(
            "few-cases",
            format!(
                "validation has {cases} predictions: its recall@20 of {} may as well be {:.0} points off",
                per_cent(recall),
                100.0 * margin
            ),
            "validate on more: a longer log, a larger part kept by --split, or --validate LOG",
        )
    })
}

/// Too few questions of a task to tell anything.
fn few_questions(tasks: &Value) -> Vec<Doubt> {
    let of_task = |(task, figures): (&String, &Value)| {
        let cases = figures.get("cases")?.as_u64()?;
        let positives = figures.get("positives").and_then(Value::as_u64);
        let what = match positives.map(|yes| (yes, cases.saturating_sub(yes))) {
            Some((yes, no)) if yes.min(no) < FEW_ANSWERS => {
                format!("{yes} answers of yes and {no} of no")
            }
            None if cases < FEW_QUESTIONS => format!("{cases} questions"),
            _ => return None,
        };
        Some(doubt(
            "few-cases",
            format!("{task}: validation has {what}, too few to tell how good it is"),
            "validate on more users or more dates: a longer log, a shorter --stride, or another --split",
        ))
    };
    tasks.as_object().into_iter().flatten().filter_map(of_task).collect()
}

/// Before a run: training has too few answers of the rarer kind to a task to learn anything from.
pub fn few_lessons(asked: &Asked, tasks: &[Task]) -> Vec<Doubt> {
    let dates = || {
        let at = asked.puts.iter().map(|put| put.at);
        let [first, last] = [at.clone().min(), at.max()].map(|at| format_time(at.unwrap_or(0)));
        format!("{first} to {last}")
    };
    let of_task = |&task: &Task| {
        if !task.is_at_moment() || asked.is_empty() {
            return None;
        }
        let yes = asked.outcomes.iter().filter(|&outcome| task.truth(outcome) > 0.5).count();
        let no = asked.len() - yes;
        let what = match task.is_binary() {
            true => format!("{yes} answers of yes and {no} of no"),
            false => format!("{yes} answers above 0 and {no} of 0"),
        };
        let few = if task.is_binary() { yes.min(no) } else { yes };
        ((few as u64) < FEW_ANSWERS).then(|| {
            doubt(
                "few-lessons",
                format!("{task}: training asks at {} and gets {what}: too few to learn from", dates()),
                "name livelier dates (--at), leave out a dead end of the log (--until), or give a longer one",
            )
        })
    };
    tasks.iter().filter_map(of_task).collect()
}

/// Before a run: nothing is left to choose the best epoch by.
pub fn no_validation() -> Doubt {
    doubt(
        "no-validation",
        "no event is left for validation: the last epoch is kept, whatever it is worth".to_owned(),
        "give a longer log, --validate LOG, or another --split",
    )
}

/// Before a run: the default learning rate is made for Adam, and another optimiser hardly moves at it, or
/// jumps.
pub fn rate(rate: f64, usual: f64, is_default: bool) -> Option<Doubt> {
    let ratio = (rate / usual).max(usual / rate);
    (is_default && ratio > 3.0).then(|| {
        doubt(
            "learning-rate",
            format!("the learning rate of {rate} is the default, made for adam"),
            // Two digits are enough to begin with.
            format!(
                "with these settings of [optimizer], begin with --learning-rate {}",
                brief(usual)
            ),
        )
    })
}

/// Two digits that count, as one would type them.
fn brief(number: f64) -> f64 {
    format!("{number:.1e}").parse().unwrap_or(number)
}

fn per_cent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

/// Four digits or so.
fn digits(number: f64) -> String {
    match number.abs() {
        large if large >= 1000.0 => format!("{number:.0}"),
        large if large >= 10.0 => format!("{number:.2}"),
        _ => format!("{number:.4}"),
    }
}

#[cfg(test)]
mod tests;
