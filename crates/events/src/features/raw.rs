//! What a feature is before it is numbered or scaled: one entry a position of the sessions.
//!
//! Whatever stands at a position is known when its event happens: columns of the event itself, and
//! what the events before it in the session tell. The time that a visitor will spend on an item is
//! known only when the next event comes, and would tell the model that there is one; so `dwell` is
//! the time spent on the event before, which is `gap`.

use super::{Cell, FeatureSpec, Source, Table, Tables};
use crate::{Column, Log, NONE, Names, Sessions};

const SECOND: f64 = 1000.0;
const HOUR: i64 = 60 * 60 * 1000;
const DAY: i64 = 24 * HOUR;
const WEEK: i64 = 7 * DAY;
/// 1970 began on a Thursday; weeks begin on Monday.
const THURSDAY: i64 = 3 * DAY;

/// A log, the sessions whose positions are asked for, and what is known beside them.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub log: &'a Log,
    pub sessions: &'a Sessions,
    pub tables: &'a Tables,
}

impl<'a> View<'a> {
    /// Number of each position's word, and the words; none where the column is not there.
    pub(super) fn words(&self, source: &Source) -> Option<(&'a Names, Vec<u32>)> {
        match source {
            Source::Column(column) => self.log_words(column),
            Source::Kinds => self.log_words(&Column::Kind),
            Source::Item(name) => {
                let (table, rows) = self.item_rows()?;
                let (names, values) = table.words(name)?;
                Some((names, rows.map(|row| at(values, row).unwrap_or(NONE)).collect()))
            }
            Source::User(name) => {
                let (table, rows) = self.user_rows()?;
                let (names, values) = table.words(name)?;
                Some((names, rows.map(|row| at(values, row).unwrap_or(NONE)).collect()))
            }
            _ => None,
        }
    }

    /// Numbers of each position, `[N, width]`, not a number where one is missing, and their width.
    /// `kinds` gives the place of each of the log's kinds, and how many places there are.
    pub(super) fn numbers(
        &self,
        spec: &FeatureSpec,
        kinds: (&[u32], usize),
    ) -> Option<(Vec<f64>, usize)> {
        let single = |values: Vec<f64>| Some((values, 1));
        match &spec.source {
            Source::Column(column) => {
                let values = column.numbers(self.log)?;
                single(self.events().map(|event| number(values, event)).collect())
            }
            Source::Item(name) => {
                let (table, rows) = self.item_rows()?;
                let values = table.numbers(name)?;
                single(rows.map(|row| number(values, row)).collect())
            }
            Source::User(name) => {
                let (table, rows) = self.user_rows()?;
                let values = table.numbers(name)?;
                single(rows.map(|row| number(values, row)).collect())
            }
            Source::Gap => single(self.times(|times, at| match at {
                0 => f64::NAN,
                _ => seconds(times[at - 1], times[at]),
            })?),
            Source::SinceStart => single(self.times(|times, at| seconds(times[0], times[at]))?),
            Source::Position => {
                let places = self.sessions.iter().flat_map(|session| 0..session.len());
                single(places.map(|place| place as f64).collect())
            }
            Source::Count(cell) => {
                let cell = cell_of(*cell, spec.zone);
                // Events stand in the order of time: those of a cell are neighbours.
                let mut count = 0.0;
                single(self.times(|times, at| {
                    let goes_on = at > 0 && cell(times[at - 1]) == cell(times[at]);
                    count = if goes_on { count + 1.0 } else { 1.0 };
                    count
                })?)
            }
            Source::Silence(cell) => {
                let cell = cell_of(*cell, spec.zone);
                single(self.times(|times, at| match at {
                    0 => f64::NAN,
                    _ => {
                        cell(times[at]).saturating_sub(cell(times[at - 1])).saturating_sub(1).max(0)
                            as f64
                    }
                })?)
            }
            Source::Kinds => self.kinds(kinds).map(|shares| (shares, kinds.1)),
            Source::Hour | Source::Weekday => None,
        }
    }

    /// Hour of the day or day of the week (Monday is 0) of each position, and the place in the
    /// circle of day or week, 0 to 1.
    pub(super) fn clock(&self, source: &Source, zone: i32) -> Option<Vec<(u32, f64)>> {
        let shift = i64::from(zone) * 60_000;
        self.times_of(|times, at| {
            let time = times[at].saturating_add(shift);
            let (part, whole) = match source {
                Source::Hour => (time.rem_euclid(DAY), DAY),
                _ => (time.rem_euclid(WEEK) + THURSDAY, WEEK),
            };
            let part = part % whole;
            let step = if whole == DAY { HOUR } else { DAY };
            ((part / step) as u32, part as f64 / whole as f64)
        })
    }

    /// What numbers the words of `hour` or `weekday` may have.
    pub(super) fn clock_size(source: &Source) -> u32 {
        if *source == Source::Hour { 24 } else { 7 }
    }

    fn events(&self) -> impl Iterator<Item = u32> + '_ {
        self.sessions.log_events().iter().copied()
    }

    fn log_words(&self, column: &Column) -> Option<(&'a Names, Vec<u32>)> {
        let words = column.words(self.log)?;
        Some((words.names, self.events().map(|event| words.get(event as usize)).collect()))
    }

    /// The table of items, and the row of each position's item.
    fn item_rows(&self) -> Option<(&'a Table, impl Iterator<Item = u32>)> {
        let table = self.tables.items.as_ref()?;
        let rows = table.rows(&self.log.items);
        let items = self.sessions.items().iter();
        Some((table, items.map(move |&item| at(&rows, item).unwrap_or(NONE))))
    }

    /// The table of users, and the row of each position's user; none where the log names none.
    fn user_rows(&self) -> Option<(&'a Table, impl Iterator<Item = u32>)> {
        let users = Some(&self.log.events.user).filter(|users| !users.is_empty())?;
        let table = self.tables.users.as_ref()?;
        let rows = table.rows(&self.log.users);
        let row = move |&event: &u32| at(&rows, at(users, event)?).filter(|&row| row != NONE);
        let events = self.sessions.log_events().iter();
        Some((table, events.map(move |event| row(event).unwrap_or(NONE))))
    }

    fn times(&self, value: impl FnMut(&[i64], usize) -> f64) -> Option<Vec<f64>> {
        self.times_of(value)
    }

    /// Something of each position, from the times of its session, asked in their order; none without
    /// times.
    fn times_of<T>(&self, mut value: impl FnMut(&[i64], usize) -> T) -> Option<Vec<T>> {
        if self.log.events.time.is_empty() {
            return None;
        }
        let mut values = Vec::with_capacity(self.sessions.events());
        let mut times = Vec::new();
        for session in 0..self.sessions.len() {
            let events = &self.sessions.log_events()[self.sessions.range(session)];
            times.clear();
            times.extend(events.iter().map(|&event| self.log.time_or_zero(event)));
            values.extend((0..times.len()).map(|at| value(&times, at)));
        }
        Some(values)
    }

    /// Share of each kind among the events of the session so far, this one included.
    fn kinds(&self, (places, width): (&[u32], usize)) -> Option<Vec<f64>> {
        let (_, kinds) = self.log_words(&Column::Kind)?;
        let mut shares = Vec::with_capacity(kinds.len() * width);
        let mut counts = vec![0u32; width];
        for session in 0..self.sessions.len() {
            counts.fill(0);
            for &kind in &kinds[self.sessions.range(session)] {
                // Place 0 is that of kinds which training has not seen.
                if let Some(place) = at(places, kind).and_then(|place| place.checked_sub(1)) {
                    counts[place as usize] += 1;
                }
                let sum: u32 = counts.iter().sum();
                // 0 / 0 is not a number: nothing is known yet.
                shares.extend(counts.iter().map(|&count| f64::from(count) / f64::from(sum)));
            }
        }
        Some(shares)
    }
}

fn at(values: &[u32], place: u32) -> Option<u32> {
    values.get(place as usize).copied()
}

fn number(values: &[f32], place: u32) -> f64 {
    values.get(place as usize).map_or(f64::NAN, |&value| f64::from(value))
}

/// The cell of a time, counted from 1970.
fn cell_of(cell: Cell, zone: i32) -> impl Fn(i64) -> i64 {
    let length = match cell {
        Cell::Hour => HOUR,
        Cell::Day => DAY,
    };
    move |time| time.saturating_add(i64::from(zone) * 60_000).div_euclid(length)
}

fn seconds(from: i64, until: i64) -> f64 {
    until.saturating_sub(from) as f64 / SECOND
}
