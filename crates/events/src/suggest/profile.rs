//! What a column looks like: how many values, which of them numbers, times, words; whether they come
//! in bursts; whether one column follows from another.

use rustc_hash::FxHashMap;

use crate::read::number;
use crate::time::{Spelled, spelled};
use crate::{Kind, NONE};

/// A column of a sample.
#[derive(Debug)]
pub(super) struct Profile {
    /// Its name in the header, or its place from 1.
    pub name: String,
    /// Rows with a value.
    pub filled: usize,
    /// Number of the value of each row, by first appearance.
    pub values: Vec<u32>,
    /// Distinct values, by number.
    pub words: Vec<String>,
    /// The value of each row as a number.
    pub numbers: Vec<f64>,
    /// Shares of the rows with a value.
    pub numeric: f64,
    pub fractions: f64,
    pub negative: f64,
    /// Texts that spell a date.
    pub dates: f64,
    /// Numbers that are moments between 1995 and 2100.
    pub moments: f64,
    /// Texts with a blank inside.
    pub blanks: f64,
    /// Steps from a row to the next that do not go down.
    pub rising: f64,
    /// Rows whose value has just been there, beyond what chance would give.
    pub bursts: f64,
    /// Values whose word is that of a known kind of event.
    pub kinds: f64,
}

/// Moments that a log can hold, in milliseconds.
const PLAUSIBLE: std::ops::Range<i64> = 788_918_400_000..4_102_444_800_000;

impl Profile {
    /// Looks at a column.
    pub(super) fn new<'a>(name: String, column: impl Iterator<Item = &'a str>) -> Self {
        let mut known = FxHashMap::<&str, u32>::default();
        let (mut values, mut words) = (Vec::new(), Vec::new());
        for text in column {
            if text.is_empty() {
                values.push(NONE);
                continue;
            }
            let next = words.len() as u32;
            let id = *known.entry(text).or_insert(next);
            if id == next {
                words.push(text.to_owned());
            }
            values.push(id);
        }
        let filled = values.iter().filter(|&&value| value != NONE).count();
        let mut counts = vec![0usize; words.len()];
        for &value in values.iter().filter(|&&value| value != NONE) {
            counts[value as usize] += 1;
        }
        // Rows are weighed by their values: each is looked at once.
        let share = |is: &dyn Fn(&str) -> bool| {
            let rows = words.iter().zip(&counts).filter(|(word, _)| is(word));
            rows.map(|(_, count)| count).sum::<usize>() as f64 / filled.max(1) as f64
        };
        let finite = |text: &str| number(text).ok().filter(|number: &f64| number.is_finite());
        let of_word: Vec<f64> = words.iter().map(|word| finite(word).unwrap_or(f64::NAN)).collect();
        let numbers = values.iter().map(|&value| of_word.get(value as usize).copied());
        let numbers: Vec<f64> = numbers.map(|number| number.unwrap_or(f64::NAN)).collect();
        let moment = |text: &str| match spelled(text) {
            Some(Spelled::Unix(time, _)) => PLAUSIBLE.contains(&time),
            _ => false,
        };
        let date = |text: &str| match spelled(text) {
            Some(Spelled::Moment(time) | Spelled::Local(time)) => PLAUSIBLE.contains(&time),
            Some(Spelled::Slashed(_)) => true,
            Some(Spelled::Unix(..)) | None => false,
        };
        Self {
            filled,
            numeric: share(&|text| finite(text).is_some()),
            fractions: share(&|text| finite(text).is_some_and(|x| x.fract() != 0.0)),
            negative: share(&|text| finite(text).is_some_and(|x| x < 0.0)),
            dates: share(&date),
            moments: share(&moment),
            blanks: share(&|text| text.contains(' ')),
            kinds: share(&|text| Kind::of(text) != Kind::Other),
            rising: rising(&numbers, &values, &words),
            bursts: bursts(&values, &counts),
            name,
            values,
            words,
            numbers,
        }
    }

    /// Distinct values.
    pub(super) fn distinct(&self) -> usize {
        self.words.len()
    }

    /// Distinct values for each row that has one.
    pub(super) fn variety(&self) -> f64 {
        self.distinct() as f64 / self.filled.max(1) as f64
    }

    /// Rows without a value.
    pub(super) fn gaps(&self) -> f64 {
        1.0 - self.filled as f64 / self.values.len().max(1) as f64
    }

    /// The share of rows at which `other` is what it was when this column last had the same value;
    /// none where that has hardly happened.
    pub(super) fn determines(&self, other: &Self) -> Option<f64> {
        let mut last = vec![None; self.words.len()];
        let (mut again, mut same) = (0usize, 0usize);
        for (&value, &there) in self.values.iter().zip(&other.values) {
            if value == NONE || there == NONE {
                continue;
            }
            if let Some(before) = last[value as usize].replace(there) {
                again += 1;
                same += usize::from(before == there);
            }
        }
        (again >= 20 && 50 * again >= self.filled).then(|| same as f64 / again as f64)
    }
}

/// Steps that do not go down, of numbers, or of texts in their order where there are no numbers.
fn rising(numbers: &[f64], values: &[u32], words: &[String]) -> f64 {
    let (mut steps, mut up) = (0usize, 0usize);
    for at in 1..values.len() {
        if values[at] == NONE || values[at - 1] == NONE {
            continue;
        }
        steps += 1;
        let (before, here) = (numbers[at - 1], numbers[at]);
        up += usize::from(if before.is_nan() || here.is_nan() {
            words[values[at - 1] as usize] <= words[values[at] as usize]
        } else {
            before <= here
        });
    }
    up as f64 / steps.max(1) as f64
}

/// How much more often a value comes again soon than it would if the rows stood in any order, of what
/// chance leaves to it. Who acts comes in bursts; what is acted on comes whenever somebody likes it.
///
/// What is soon depends on the log: the next rows where it is sorted by user, a part of the sample where
/// many users are there at a time. The clearest answer counts.
fn bursts(values: &[u32], counts: &[usize]) -> f64 {
    let rows: usize = counts.iter().sum();
    if rows < 2 {
        return 0.0;
    }
    let mut last = vec![None; counts.len()];
    let mut distances = Vec::new();
    for (at, &value) in values.iter().enumerate().filter(|(_, value)| **value != NONE) {
        distances.extend(last[value as usize].replace(at).map(|before| at - before));
    }
    let beyond_chance = |near: usize| {
        let found = distances.iter().filter(|&&distance| distance <= near).count() as f64;
        let by_chance = |&count: &usize| {
            let other = (count - 1) as f64 / (rows - 1) as f64;
            count as f64 * (1.0 - (1.0 - other).powi(near as i32))
        };
        let chance: f64 = counts.iter().map(by_chance).sum();
        (found - chance) / (rows as f64 - chance).max(1.0)
    };
    [5, rows / 200, rows / 20]
        .map(|near| beyond_chance(near.max(5)))
        .into_iter()
        .fold(0.0, f64::max)
}
