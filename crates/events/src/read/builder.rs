//! A log while it is being read.

use crate::{BadRows, Columns, Error, Events, Format, Log, NONE, Names, ReadReport};

/// One event on its way into the log: names are not yet numbers.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Row<'a> {
    pub item: &'a str,
    pub user: Option<&'a str>,
    /// A number of [`Builder::session`] or [`Builder::next_session`].
    pub session: Option<u32>,
    pub time: Option<i64>,
    pub order: Option<u32>,
    pub kind: Option<&'a str>,
    pub category: Option<&'a str>,
    pub price: Option<f32>,
    pub quantity: Option<f32>,
    pub amount: Option<f32>,
}

/// The columns that decide what a session is. All files of a log have the same of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grouping {
    pub user: bool,
    pub session: bool,
    pub time: bool,
}

impl Grouping {
    fn describe(self) -> String {
        let is = |there: bool| if there { "a" } else { "no" };
        format!(
            "{} user, {} session and {} time column",
            is(self.user),
            is(self.session),
            is(self.time)
        )
    }
}

/// A log while it is being read.
#[derive(Debug, Default)]
pub(super) struct Builder {
    pub rows: u64,
    pub outside: u64,
    pub files: Vec<String>,
    /// What the header of the first table was taken for, and its other names.
    pub header: Option<(Columns, Vec<String>)>,
    bad: BadRows,
    events: Events,
    items: Names,
    users: Names,
    sessions: Names,
    kinds: Names,
    categories: Names,
    /// Sessions without names, one a line.
    unnamed: u32,
    grouping: Option<(String, Grouping)>,
}

impl Builder {
    /// Checks that a file groups its events as the ones before it do.
    pub(super) fn same_grouping(&mut self, file: &str, found: Grouping) -> Result<(), Error> {
        let (first, expected) =
            self.grouping.get_or_insert_with(|| (file.to_owned(), found)).clone();
        if found == expected {
            return Ok(());
        }
        Err(Error::Mixed {
            path: file.to_owned(),
            found: found.describe(),
            first,
            expected: expected.describe(),
        })
    }

    /// Counts a bad row.
    pub(super) fn bad(&mut self, file: &str, line: u64, reason: &'static str, detail: &str) {
        self.bad.push(file, line, reason, detail.trim());
    }

    /// The number of a session key.
    pub(super) fn session(&mut self, key: &str) -> u32 {
        self.sessions.intern(key)
    }

    /// The number of a session that has no name.
    pub(super) fn next_session(&mut self) -> u32 {
        self.unnamed += 1;
        self.unnamed - 1
    }

    /// Adds an event.
    pub(super) fn push(&mut self, row: Row<'_>) {
        let events = &mut self.events;
        let n = events.item.len();
        events.item.push(self.items.intern(row.item));
        put(&mut events.user, n, NONE, row.user.map(|name| self.users.intern(name)));
        put(&mut events.session, n, NONE, row.session);
        put(&mut events.time, n, 0, row.time);
        put(&mut events.order, n, 0, row.order);
        put(&mut events.kind, n, NONE, row.kind.map(|name| self.kinds.intern(name)));
        put(&mut events.category, n, NONE, row.category.map(|name| self.categories.intern(name)));
        put(&mut events.price, n, f32::NAN, row.price);
        put(&mut events.quantity, n, f32::NAN, row.quantity);
        put(&mut events.amount, n, f32::NAN, row.amount);
    }

    /// The log, unless too many rows were bad.
    pub(super) fn finish(self, format: Format, max_bad: f64) -> Result<Log, Error> {
        let Self { rows, outside, files, header, bad, .. } = self;
        if bad.count as f64 > max_bad * rows as f64 {
            let first: Vec<String> = bad.first.iter().take(3).map(ToString::to_string).collect();
            let first = first.join("; ");
            return Err(Error::TooManyBad { bad: bad.count, rows, max: max_bad, first });
        }
        let (columns, unused) = header.unwrap_or_default();
        Ok(Log {
            format,
            events: self.events,
            items: self.items,
            users: self.users,
            sessions: self.sessions,
            kinds: self.kinds,
            categories: self.categories,
            report: ReadReport { files, rows, outside, bad, columns, unused },
        })
    }
}

/// Adds the entry of event `n` to a column. The column stays empty until the first event that has
/// an entry; the events before it are filled in then.
fn put<T: Copy>(column: &mut Vec<T>, n: usize, missing: T, value: Option<T>) {
    if let Some(value) = value {
        column.resize(n, missing);
        column.push(value);
    } else if !column.is_empty() {
        column.push(missing);
    }
}
