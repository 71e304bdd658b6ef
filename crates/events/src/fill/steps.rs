//! The methods: what each learns from known values, and how holes are walked through.

use serde::{Deserialize, Serialize};

use super::levels::{Levels, Sample, mean, median, mode, shrink};
use super::{FilledColumn, Method, known};
use crate::{Column, Log, NONE};

/// A method with what it has learned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum Step<T> {
    Drop,
    /// The same value everywhere, by the method of this name; none where training has no value.
    Value(String, Option<T>),
    Forward,
    Recent,
    Interpolate,
    /// By the method of this name.
    Levels(String, Levels<T>),
}

/// What became of the holes of a column.
#[derive(Default)]
pub(super) struct Done {
    pub report: FilledColumn,
    pub dropped: Vec<u32>,
}

/// Fills what is missing among `values`, every method seeing the values as they were. `line` is
/// the value of an event between two others.
pub(super) fn fill<T: Copy>(
    log: &Log,
    missing: &[bool],
    values: &mut [T],
    steps: &[Step<T>],
    line: impl Fn((u32, T), (u32, T), u32) -> T,
) -> Done {
    let mut done = Done::default();
    let mut open: Vec<u32> = (0..missing.len() as u32).filter(|&e| missing[e as usize]).collect();
    done.report.missing = open.len() as u64;
    let was = values.to_vec();
    let value = |event: u32| (event != NONE).then(|| (event, was[event as usize]));
    for step in steps {
        let found: Vec<Option<T>> = match step {
            Step::Drop => {
                done.report.dropped = open.len() as u64;
                done.dropped = std::mem::take(&mut open);
                break;
            }
            Step::Value(_, value) => vec![*value; open.len()],
            Step::Forward | Step::Recent => {
                let recent = matches!(step, Step::Recent);
                let lines = if recent { known::items(log) } else { known::users(log) };
                let before = known::before(&lines, missing);
                open.iter().map(|&event| Some(value(before[event as usize])?.1)).collect()
            }
            Step::Interpolate => {
                let lines = known::users(log);
                let (before, after) =
                    (known::before(&lines, missing), known::after(&lines, missing));
                let ends = |event: u32| {
                    Some((value(before[event as usize])?, value(after[event as usize])?))
                };
                let on_line = |&event: &u32| {
                    let (from, to) = ends(event)?;
                    Some(line(from, to, event))
                };
                open.iter().map(on_line).collect()
            }
            Step::Levels(_, levels) => {
                let levels = levels.of_log(log);
                open.iter()
                    .map(|&event| levels.get(item(log, event), category(log, event)).copied())
                    .collect()
            }
        };
        let held = open.len();
        let mut left = Vec::new();
        for (event, value) in open.into_iter().zip(found) {
            match value {
                Some(value) => values[event as usize] = value,
                None => left.push(event),
            }
        }
        open = left;
        done.report.filled.push((step.name().to_owned(), (held - open.len()) as u64));
    }
    done.report.left = open.len() as u64;
    done
}

fn item(log: &Log, event: u32) -> u32 {
    log.events.item.get(event as usize).copied().unwrap_or(NONE)
}

fn category(log: &Log, event: u32) -> u32 {
    Column::Category.words(log).map_or(NONE, |words| words.get(event as usize))
}

pub(super) fn samples<T>(log: &Log, train: &[u32], value: impl Fn(usize) -> T) -> Vec<Sample<T>> {
    let sample = |&event: &u32| Sample {
        item: item(log, event),
        category: category(log, event),
        value: value(event as usize),
    };
    train.iter().map(sample).collect()
}

/// What a method learns from known numbers, or why it cannot.
pub(super) fn number_step(
    log: &Log,
    samples: &[Sample<f32>],
    method: &Method,
) -> Result<Step<f32>, String> {
    let all = || samples.iter().map(|sample| sample.value).collect::<Vec<_>>();
    let named = |value| Step::Value(method.name().to_owned(), value);
    Ok(match method {
        Method::Drop => Step::Drop,
        Method::Constant(text) => match text.parse::<f32>() {
            Ok(value) if value.is_finite() => named(Some(value)),
            _ => return Err(format!("the column holds numbers, and {text:?} is none")),
        },
        Method::Mean => named(mean(&all())),
        Method::Median => named(median(&all())),
        Method::Mode => named(most_frequent(&all())),
        Method::Forward => Step::Forward,
        Method::Recent => Step::Recent,
        Method::Interpolate if log.events.time.is_empty() => {
            return Err("a line in time needs times, and this log has none".to_owned());
        }
        Method::Interpolate => Step::Interpolate,
        Method::Item => Step::Levels(method.name().to_owned(), Levels::by(log, samples, median)),
        Method::Shrink => Step::Levels(method.name().to_owned(), shrink(log, samples)),
    })
}

/// What a method learns from known words, or why it cannot.
pub(super) fn word_step(
    log: &Log,
    column: &Column,
    samples: &[Sample<u32>],
    method: &Method,
    word: impl Fn(u32) -> String,
) -> Result<Step<String>, String> {
    if !method.gives_words() {
        return Err(format!("the column holds words, and {method} is for numbers"));
    }
    let all: Vec<u32> = samples.iter().map(|sample| sample.value).collect();
    let named = |value| Step::Value(method.name().to_owned(), value);
    Ok(match method {
        Method::Drop => Step::Drop,
        Method::Constant(text) => named(Some(text.clone())),
        Method::Forward => Step::Forward,
        Method::Recent => Step::Recent,
        Method::Item => {
            // Where the category itself is missing, it can say nothing.
            let own = *column == Column::Category;
            let blind = samples.iter().map(|&sample| Sample { category: NONE, ..sample });
            let blind: Vec<_> = if own { blind.collect() } else { samples.to_vec() };
            let levels = Levels::by(log, &blind, mode).map(|value| Some(word(value)));
            Step::Levels(method.name().to_owned(), levels)
        }
        _ => named(mode(&all).map(word)),
    })
}

/// The most frequent number, 0 and −0 being one.
fn most_frequent(values: &[f32]) -> Option<f32> {
    let keys: Vec<u32> = values.iter().map(|value| (value + 0.0).to_bits()).collect();
    mode(&keys).map(f32::from_bits)
}

impl<T> Step<T> {
    fn name(&self) -> &str {
        match self {
            Self::Drop => "drop",
            Self::Value(name, _) | Self::Levels(name, _) => name,
            Self::Forward => "forward",
            Self::Recent => "recent",
            Self::Interpolate => "interpolate",
        }
    }
}

impl Step<String> {
    pub(super) fn as_str(&self) -> Step<&str> {
        match self {
            Self::Drop => Step::Drop,
            Self::Value(name, value) => Step::Value(name.clone(), value.as_deref()),
            Self::Forward => Step::Forward,
            Self::Recent => Step::Recent,
            Self::Interpolate => Step::Interpolate,
            Self::Levels(name, levels) => Step::Levels(name.clone(), levels.as_str()),
        }
    }
}
