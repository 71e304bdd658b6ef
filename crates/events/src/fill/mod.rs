//! What takes the place of missing values: learned from the training part, applied to any log.
//!
//! ```text
//!     FillRules ─────┐
//!     training part ─┴─→ FittedFill::fit ─→ FittedFill ─→ apply(log): values filled, flags added
//! ```
//!
//! `rule` says what can be written, `steps` does it, `levels` predicts from the item, `known` looks along a user's or
//! an item's events, `score` measures which method comes nearest to values that were hidden.
//!
//! A number is missing where it is not a number or infinite, a word where the row has none.
//! `forward` and `recent` look at what was known before the event, `interpolate` alone at what comes
//! after it; all others are functions of the event and of what training has taught.

mod known;
mod levels;
mod rule;
mod score;
mod steps;
#[cfg(test)]
mod tests;

pub use rule::{FillRule, FillRules, Method};
pub use score::{FillScore, HoldOut, ScoreOptions, fill_methods, score_fill};
use steps::{Step, fill, number_step, samples, word_step};

use serde::{Deserialize, Serialize};

use crate::features::MISSING;
use crate::{Column, Error, LabelColumn, Log, NONE, Names, NumberColumn};

/// Rules with what the training part has taught them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FittedFill {
    columns: Vec<FittedColumn>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FittedColumn {
    column: String,
    flag: bool,
    learned: Learned,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Learned {
    Numbers(Vec<Step<f32>>),
    Words(Vec<Step<String>>),
}

/// What filling has done.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct FillReport {
    /// Column by column, in the order of the rules.
    pub columns: Vec<FilledColumn>,
    /// Events that go, by number in rising order: for [`Log::remove`], or for
    /// [`Sessions::without`](crate::Sessions::without).
    #[serde(skip)]
    pub dropped: Vec<u32>,
}

/// What filling has done in one column.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FilledColumn {
    /// Its name.
    pub column: String,
    /// Values that were missing.
    pub missing: u64,
    /// How many of them each method has filled.
    pub filled: Vec<(String, u64)>,
    /// Events that go because of it.
    pub dropped: u64,
    /// Values that are missing still.
    pub left: u64,
}

impl FittedFill {
    /// Learns from the events of a log that belong to the training part, given by number. Nothing
    /// of other events is looked at.
    ///
    /// # Errors
    ///
    /// [`Error::Absent`] where the log lacks a column, and where a method cannot serve it.
    pub fn fit(log: &Log, train: &[u32], rules: &FillRules) -> Result<Self, Error> {
        let columns = rules.0.iter().map(|rule| FittedColumn::fit(log, train, rule));
        Ok(Self { columns: columns.collect::<Result<_, _>>()? })
    }

    /// Fills the holes of a log, rule by rule, and adds the flags to its columns of numbers.
    /// Columns that this log lacks are holes throughout. Events that go are named and not yet
    /// gone.
    pub fn apply(&self, log: &mut Log) -> FillReport {
        let mut report = FillReport::default();
        for column in &self.columns {
            column.apply(log, &mut report);
        }
        report.dropped.sort_unstable();
        report.dropped.dedup();
        report
    }

    /// As a model file holds it.
    pub fn to_json(&self) -> String {
        // Strings for keys and finite numbers: there is nothing that JSON could not hold.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What a model file holds.
    ///
    /// # Errors
    ///
    /// [`Error::Stored`] where it contradicts itself.
    pub fn from_json(text: &str) -> Result<Self, Error> {
        let stored = |reason: String| Error::Stored { what: "fill", reason };
        let fitted: Self = serde_json::from_str(text).map_err(|error| stored(error.to_string()))?;
        for column in &fitted.columns {
            let Learned::Numbers(steps) = &column.learned else { continue };
            let finite = |step: &Step<f32>| match step {
                Step::Value(_, value) => value.is_none_or(f32::is_finite),
                Step::Levels(_, levels) => levels.values().all(|value| value.is_finite()),
                _ => true,
            };
            if !steps.iter().all(finite) {
                return Err(stored(format!("{}: a value is not finite", column.column)));
            }
        }
        Ok(fitted)
    }
}

/// Why a column has no values, and what to do.
fn unread(column: &Column) -> String {
    match column {
        Column::Further(name) => match name.as_str() {
            "item" | "user" | "session" | "time" | "gap" => {
                format!("{name} cannot be filled; leave it out")
            }
            _ => format!(
                "no column {name:?} was read; name it among the features, such as --features \
                 {name}:label or {name}:number, or in labels or numbers under [data]"
            ),
        },
        _ => format!("this log has no {column}; map its column with --columns"),
    }
}

impl FittedColumn {
    fn fit(log: &Log, train: &[u32], rule: &FillRule) -> Result<Self, Error> {
        let column = &rule.column;
        let absent = |reason: String| Error::Absent { what: format!("--fill {rule}"), reason };
        let learned = if let Some(values) = column.numbers(log) {
            let mut samples = samples(log, train, |event| values[event]);
            samples.retain(|sample| sample.value.is_finite());
            let steps = rule.methods.iter().map(|method| number_step(log, &samples, method));
            Learned::Numbers(steps.collect::<Result<_, _>>().map_err(absent)?)
        } else if let Some(words) = column.words(log) {
            let mut samples = samples(log, train, |event| words.get(event));
            samples.retain(|sample| sample.value != NONE);
            let word = |word: u32| words.names.get(word).to_owned();
            let steps =
                rule.methods.iter().map(|method| word_step(log, column, &samples, method, word));
            Learned::Words(steps.collect::<Result<_, _>>().map_err(absent)?)
        } else {
            return Err(absent(unread(column)));
        };
        Ok(Self { column: column.name().to_owned(), flag: rule.flag, learned })
    }

    fn apply(&self, log: &mut Log, report: &mut FillReport) {
        let column = match self.column.parse::<Column>() {
            Ok(column) => column,
            Err(never) => match never {},
        };
        let n = log.events.len();
        let (mut done, missing) = match &self.learned {
            Learned::Numbers(steps) => {
                let mut values = column.numbers(log).map_or_else(Vec::new, <[f32]>::to_vec);
                values.resize(n, f32::NAN);
                let missing: Vec<bool> = values.iter().map(|value| !value.is_finite()).collect();
                let line = |from, to, event| known::between(log, from, to, event);
                let done = fill(log, &missing, &mut values, steps, line);
                put_numbers(log, &column, values);
                (done, missing)
            }
            Learned::Words(steps) => {
                let (mut names, numbers) = match column.words(log) {
                    Some(words) => (words.names.clone(), (0..n).map(|e| words.get(e)).collect()),
                    None => (Names::default(), vec![NONE; n]),
                };
                let missing: Vec<bool> = numbers.iter().map(|&word| word == NONE).collect();
                let text = |&word: &u32| if word == NONE { "" } else { names.get(word) };
                let mut texts: Vec<&str> = numbers.iter().map(text).collect();
                let steps: Vec<Step<&str>> = steps.iter().map(Step::as_str).collect();
                // Words have no line between them; fitting refuses to ask for one.
                let done = fill(log, &missing, &mut texts, &steps, |from, _, _| from.1);
                let found: Vec<(usize, String)> = (texts.iter().enumerate())
                    .filter(|(event, text)| missing[*event] && !text.is_empty())
                    .map(|(event, text)| (event, (*text).to_owned()))
                    .collect();
                let mut numbers = numbers;
                for (event, text) in found {
                    numbers[event] = names.intern(&text);
                }
                put_words(log, &column, names, numbers);
                (done, missing)
            }
        };
        if self.flag {
            let flags = missing.iter().map(|&missing| if missing { 1.0 } else { 0.0 }).collect();
            put_numbers(log, &Column::Further(format!("{}{MISSING}", self.column)), flags);
        }
        done.report.column.clone_from(&self.column);
        report.columns.push(done.report);
        report.dropped.append(&mut done.dropped);
    }
}

/// Puts a column of numbers in its place; a further one is made where the log has none.
fn put_numbers(log: &mut Log, column: &Column, values: Vec<f32>) {
    match column.numbers_mut(log) {
        Some(place) => *place = values,
        None => log.numbers.push(NumberColumn { name: column.name().to_owned(), values }),
    }
}

/// Puts a column of words in its place, likewise.
fn put_words(log: &mut Log, column: &Column, names: Names, values: Vec<u32>) {
    match column.words_mut(log) {
        Some((old, place)) => (*old, *place) = (names, values),
        None => log.labels.push(LabelColumn { name: column.name().to_owned(), names, values }),
    }
}
