//! A log while it is being read: rows counted, files compared, events handed on.

use super::number;
use super::pipe::Inlet;
use super::sink::{Key, Row};
use super::source::Meter;
use super::table::{self, Schema};
use crate::log::count;
use crate::time::Order;
use crate::{BadRows, Columns, Error, Format, ReadReport, Window};

/// How many notes are kept: files of one log mostly need the same ones.
const NOTES: usize = 20;

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
pub(super) struct Builder {
    pub rows: u64,
    outside: u64,
    pub files: Vec<String>,
    /// How much of all files was read.
    pub meter: Meter,
    /// The order of day and month, where a file has told it.
    pub order: Option<Order>,
    /// What the header of the first table was taken for, and its other names.
    header: Option<(Columns, Vec<String>)>,
    bad: BadRows,
    aside: Vec<(&'static str, u64)>,
    notes: Vec<String>,
    /// Sessions without names, one a line.
    unnamed: u32,
    grouping: Option<(String, Grouping)>,
    rows_out: Inlet,
}

impl Builder {
    /// Nothing read yet; events will go to `rows_out`.
    pub(super) fn new(rows_out: Inlet) -> Self {
        Self {
            rows: 0,
            outside: 0,
            files: Vec::new(),
            meter: Meter::default(),
            order: None,
            header: None,
            bad: BadRows::default(),
            aside: Vec::new(),
            notes: Vec::new(),
            unnamed: 0,
            grouping: None,
            rows_out,
        }
    }

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

    /// Checks that a table can be read with the others, and keeps what its header was taken for.
    pub(super) fn begin_table(
        &mut self,
        file: &str,
        schema: &Schema,
        first: &[String],
        window: Window,
    ) -> Result<(), Error> {
        self.same_grouping(file, schema.grouping())?;
        if !window.is_open() && !schema.grouping().time {
            return Err(Error::NoTimes { what: "--from or --until".to_owned() });
        }
        if schema.header {
            for place in schema.places() {
                let name = &first[place];
                if first.iter().position(|other| other == name) == Some(place)
                    && first.iter().filter(|other| *other == name).count() > 1
                {
                    self.note(format!("several columns are named {name:?}: the first is read"));
                }
            }
            self.header.get_or_insert_with(|| schema.describe(first));
        }
        Ok(())
    }

    /// Counts a row that is as it should be and tells of no event.
    pub(super) fn aside(&mut self, reason: &'static str) {
        count(&mut self.aside, reason);
        self.pass();
    }

    /// Counts a row outside `--from` and `--until`.
    pub(super) fn outside(&mut self) {
        self.outside += 1;
        self.pass();
    }

    /// A row came to nothing. Where nobody listens any more, the next event or the end of the log will
    /// say so.
    fn pass(&mut self) {
        let _ = self.rows_out.pass(self.meter.bytes());
    }

    /// Says once what had to be assumed.
    pub(super) fn note(&mut self, note: String) {
        if self.notes.len() < NOTES && !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Counts a bad row.
    pub(super) fn bad(&mut self, file: &str, line: u64, reason: &'static str, detail: &str) {
        self.bad.push(file, line, reason, detail.trim());
        self.pass();
    }

    /// A new session that has no name.
    pub(super) fn next_session(&mut self) -> Key<'static> {
        self.unnamed += 1;
        Key::Unnamed(self.unnamed - 1)
    }

    /// Hands an event on.
    pub(super) fn push(&mut self, row: &Row<'_>) -> Result<(), Error> {
        self.rows_out.push(row, self.meter.bytes())
    }

    /// How reading went, unless too many rows were bad.
    pub(super) fn finish(mut self, format: Format, max_bad: f64) -> Result<ReadReport, Error> {
        self.rows_out.flush(self.meter.bytes())?;
        let Self { rows, outside, files, header, bad, aside, notes, .. } = self;
        if bad.count as f64 > max_bad * rows as f64 {
            let first: Vec<String> = bad.first.iter().take(3).map(ToString::to_string).collect();
            let first = first.join("; ");
            let remedy = remedy(&bad);
            return Err(Error::TooManyBad { bad: bad.count, rows, max: max_bad, first, remedy });
        }
        let (columns, unused) = header.unwrap_or_default();
        let sessions = None;
        Ok(ReadReport {
            format,
            files,
            rows,
            outside,
            aside,
            bad,
            notes,
            columns,
            unused,
            sessions,
        })
    }
}

/// What helps against the most common reason of bad rows.
fn remedy(bad: &BadRows) -> String {
    let most = bad.reasons.iter().rev().max_by_key(|(_, count)| *count);
    let reason = most.map_or("", |(reason, _)| *reason);
    match (number::role_of(reason), reason) {
        (Some(role), _) => {
            let role = role.name();
            format!("leave the column out ({role}=- in --columns), mend the log")
        }
        (None, table::NOT_UTF_8) => {
            "convert the log to UTF-8, as `iconv -f LATIN1 -t UTF-8` does with text of Western Europe"
                .to_owned()
        }
        _ => "mend the log, name its format or the columns to read (--columns)".to_owned(),
    }
}
