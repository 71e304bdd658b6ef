//! What columns hold, and where they hold nothing.

use serde::Serialize;

use super::share;
use crate::{Column, Log, NONE, Role};

/// Parts of a log, in the order of its lines, of which each has its own share of missing values.
const PARTS: usize = 20;

/// A column beside item, session and time, which no event lacks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ColumnReport {
    /// Its role, or its name where it is a further column.
    pub name: String,
    /// Its name in the log, where a header has given one.
    pub column: Option<String>,
    /// What it holds.
    pub holds: Holds,
    /// Events without a value.
    pub missing: u64,
    /// Share of events without a value in each twentieth of the log.
    pub parts: Vec<f64>,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Holds {
    /// Words.
    Words {
        /// How many different ones.
        different: u64,
    },
    /// Numbers.
    Numbers {
        /// The smallest.
        min: f64,
        /// Half are no larger.
        median: f64,
        /// The largest.
        max: f64,
        /// How many are 0.
        zero: u64,
        /// How many are below.
        negative: u64,
    },
    /// Nothing: the log has no such column, or no value in it.
    Nothing,
}

/// All columns, those that the log lacks too.
pub(super) fn columns(log: &Log) -> Vec<ColumnReport> {
    let roles = [Role::User, Role::Kind, Role::Category, Role::Price, Role::Quantity, Role::Amount];
    let of_roles = roles.map(|role| {
        let name = log.report.columns.get(role).map(str::to_owned);
        let mut found = match role {
            Role::User => words("user", &log.events.user, log.users.len()),
            _ => of(log, role.name()),
        };
        found.column = name;
        found
    });
    let labels = log.labels.iter().map(|column| column.name.as_str());
    let numbers = log.numbers.iter().map(|column| column.name.as_str());
    let further = labels.chain(numbers).map(|name| {
        let mut found = of(log, name);
        found.column = Some(name.to_owned());
        found
    });
    of_roles.into_iter().chain(further).collect()
}

fn of(log: &Log, name: &str) -> ColumnReport {
    let column = match name.parse::<Column>() {
        Ok(column) => column,
        Err(never) => match never {},
    };
    if let Some(found) = column.words(log) {
        return words(name, found.values, found.names.len());
    }
    match column.numbers(log) {
        Some(values) => numbers(name, values),
        None => words(name, &[], 0),
    }
}

fn words(name: &str, values: &[u32], different: usize) -> ColumnReport {
    let holds = match values.iter().any(|&value| value != NONE) {
        true => Holds::Words { different: different as u64 },
        false => Holds::Nothing,
    };
    report(name, holds, values, |&value| value == NONE)
}

fn numbers(name: &str, values: &[f32]) -> ColumnReport {
    let mut known: Vec<f32> = values.iter().copied().filter(|value| value.is_finite()).collect();
    let count = |like: fn(f32) -> bool| known.iter().filter(|&&value| like(value)).count() as u64;
    let (zero, negative) = (count(|value| value == 0.0), count(|value| value < 0.0));
    let holds = match known.len() {
        0 => Holds::Nothing,
        n => {
            let middle = known.select_nth_unstable_by((n - 1) / 2, f32::total_cmp);
            let median = short(*middle.1);
            let least = known.iter().copied().fold(f32::INFINITY, f32::min);
            let most = known.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            Holds::Numbers { min: short(least), median, max: short(most), zero, negative }
        }
    };
    report(name, holds, values, |value| !value.is_finite())
}

/// The shortest decimal that is this number: 2.95 and not 2.950000047.
fn short(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}

fn report<T>(name: &str, holds: Holds, values: &[T], lacks: fn(&T) -> bool) -> ColumnReport {
    let missing = values.iter().filter(|value| lacks(value)).count() as u64;
    let n = values.len();
    let part = |k: usize| {
        let part = &values[k * n / PARTS..(k + 1) * n / PARTS];
        share(part.iter().filter(|value| lacks(value)).count(), part.len())
    };
    let parts = if n < PARTS { Vec::new() } else { (0..PARTS).map(part).collect() };
    ColumnReport { name: name.to_owned(), column: None, holds, missing, parts }
}

impl ColumnReport {
    /// Whether some but not all events have a value.
    pub(super) fn has_values(&self) -> bool {
        self.holds != Holds::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Events, LabelColumn, NumberColumn};

    #[test]
    fn each_column_says_what_it_lacks() {
        let events = Events {
            item: vec![0; 4],
            user: vec![0, NONE, 0, 1],
            category: vec![NONE; 4],
            price: vec![2.95, f32::NAN, 0.0, -1.5],
            ..Events::default()
        };
        let label = LabelColumn {
            name: "colour".to_owned(),
            names: ["red"].into_iter().collect(),
            values: vec![0, 0, NONE, 0],
        };
        let number = NumberColumn { name: "page".to_owned(), values: vec![1.0, 2.0, 3.0, 4.0] };
        let log = Log {
            events,
            users: ["a", "b"].into_iter().collect(),
            labels: vec![label],
            numbers: vec![number],
            ..Log::default()
        };
        let found = columns(&log);
        let of = |name: &str| found.iter().find(|column| column.name == name).unwrap();
        assert_eq!((of("user").missing, of("user").holds), (1, Holds::Words { different: 2 }));
        assert_eq!((of("category").missing, of("category").holds), (4, Holds::Nothing));
        assert_eq!((of("kind").missing, of("kind").has_values()), (0, false));
        let price = Holds::Numbers { min: -1.5, median: 0.0, max: 2.95, zero: 1, negative: 1 };
        assert_eq!((of("price").missing, of("price").holds), (1, price));
        assert_eq!((of("colour").missing, of("page").missing), (1, 0));
        assert_eq!(found.len(), 8);
    }

    #[test]
    fn a_column_that_begins_midway_shows_it() {
        let price = (0..40).map(|k| if k < 20 { f32::NAN } else { 1.0 }).collect();
        let events = Events { item: vec![0; 40], price, ..Events::default() };
        let found = columns(&Log { events, ..Log::default() });
        let parts = &found.iter().find(|column| column.name == "price").unwrap().parts;
        assert_eq!((parts[9], parts[10], parts.len()), (1.0, 0.0, PARTS));
    }
}
