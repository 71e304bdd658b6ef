//! What a prepared folder holds.
//!
//! | file               | a row is   | columns                                                     |
//! |--------------------|------------|-------------------------------------------------------------|
//! | `events.parquet`   | an event   | `session`, `item`: numbers; `time`; `kind`, `category`: numbers, null where there is none; `price`, `quantity`, `amount`; `label.NAME`: numbers; `number.NAME` |
//! | `sessions.parquet` | a session  | `session`, `user`, `key`, `start`, `events`: how many        |
//! | `names.parquet`    | a name     | `column` (`item`, `kind`, `category`, `label.NAME`), `number`, `name` |
//! | `prepared.json`    |            | what made it                                                 |
//!
//! Events stand session after session, sessions by start, those of the same start by their first row in
//! the log; inside a session by time, then by the log's own order, then by row. Numbers count from 0: of
//! sessions in this order, of names by first appearance in the log. Times are milliseconds, UTC.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::builder::{
    Float32Builder, StringBuilder, TimestampMillisecondBuilder, UInt32Builder,
};
use arrow_schema::{DataType, Field, TimeUnit};

use super::gather::{Run, Session};
use super::spill::AllNames;
use super::table::{ROWS, Table};
use super::{CARD, Card, EVENTS, NAMES, SESSIONS};
use crate::{Error, Further, NONE, Names};

/// Merges the runs; returns the numbers of events and of sessions.
pub(super) fn write(
    mut runs: Vec<Run>,
    names: &AllNames,
    further: &Further,
    out: &Path,
    written: &mut dyn FnMut(u64),
) -> Result<(u64, u64), Error> {
    let mut events = EventTable::new(out, names, further)?;
    let mut sessions = SessionTable::new(out)?;
    let mut heads: Vec<Option<Session>> = Vec::with_capacity(runs.len());
    let mut order = BinaryHeap::new();
    for (number, run) in runs.iter_mut().enumerate() {
        heads.push(run.next()?);
        order.extend(heads[number].as_ref().map(|head| Reverse((head.start, head.first, number))));
    }
    let (mut count, mut number) = (0, 0u32);
    while let Some(Reverse((_, _, of_run))) = order.pop() {
        let session = heads[of_run].take().unwrap_or_default();
        count += session.events.len() as u64;
        events.push(number, &session)?;
        sessions.push(number, &session, names.has.time)?;
        if number % 1024 == 0 {
            written(count);
        }
        number = number.checked_add(1).filter(|&next| next < NONE).ok_or(Error::TooManySessions)?;
        heads[of_run] = runs[of_run].next()?;
        order.extend(heads[of_run].as_ref().map(|head| Reverse((head.start, head.first, of_run))));
    }
    events.finish()?;
    sessions.finish()?;
    write_names(out, names, further)?;
    Ok((count, u64::from(number)))
}

/// Says what the folder holds; written last, so that a folder without it is not a prepared one.
pub(super) fn card(card: &Card, out: &Path) -> Result<(), Error> {
    let text = serde_json::to_string_pretty(card).expect("plain fields") + "\n";
    let path = out.join(CARD);
    fs::write(&path, text)
        .map_err(|source| Error::Write { path: path.display().to_string(), source })
}

fn milliseconds() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
}

struct EventTable {
    table: Table,
    has_times: bool,
    rows: usize,
    session: UInt32Builder,
    item: UInt32Builder,
    time: TimestampMillisecondBuilder,
    /// Kind, category and the further ones.
    words: Vec<UInt32Builder>,
    /// Price, quantity, amount and the further ones.
    numbers: Vec<Float32Builder>,
}

impl EventTable {
    fn new(out: &Path, names: &AllNames, further: &Further) -> Result<Self, Error> {
        let mut fields = vec![
            Field::new("session", DataType::UInt32, false),
            Field::new("item", DataType::UInt32, false),
            Field::new("time", milliseconds(), true),
            Field::new("kind", DataType::UInt32, true),
            Field::new("category", DataType::UInt32, true),
        ];
        let label = |name: &String| Field::new(label_column(name), DataType::UInt32, true);
        let number = |name: &str| Field::new(name, DataType::Float32, true);
        fields.extend(further.labels.iter().map(label));
        fields.extend(["price", "quantity", "amount"].map(number));
        fields.extend(further.numbers.iter().map(|name| number(&number_column(name))));
        let money = 3 + further.numbers.len();
        Ok(Self {
            table: Table::new(out.join(EVENTS), fields)?,
            has_times: names.has.time,
            rows: 0,
            session: UInt32Builder::new(),
            item: UInt32Builder::new(),
            time: TimestampMillisecondBuilder::new().with_timezone("UTC"),
            words: (0..2 + further.labels.len()).map(|_| UInt32Builder::new()).collect(),
            numbers: (0..money).map(|_| Float32Builder::new()).collect(),
        })
    }

    fn push(&mut self, number: u32, session: &Session) -> Result<(), Error> {
        for event in &session.events {
            self.session.append_value(number);
            self.item.append_value(event.item);
            self.time.append_option(self.has_times.then_some(event.time));
            let words =
                [event.kind, event.category].into_iter().chain(event.labels.iter().copied());
            for (column, word) in self.words.iter_mut().zip(words) {
                column.append_option((word != NONE).then_some(word));
            }
            let numbers = event.money.iter().chain(&event.numbers);
            for (column, &number) in self.numbers.iter_mut().zip(numbers) {
                column.append_option((!number.is_nan()).then_some(number));
            }
            self.rows += 1;
            if self.rows == ROWS {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.rows = 0;
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(self.session.finish()),
            Arc::new(self.item.finish()),
            Arc::new(self.time.finish()),
        ];
        columns.extend(self.words.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
        columns.extend(self.numbers.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
        self.table.write(columns)
    }

    fn finish(mut self) -> Result<(), Error> {
        self.flush()?;
        self.table.finish()
    }
}

struct SessionTable {
    table: Table,
    rows: usize,
    session: UInt32Builder,
    user: StringBuilder,
    key: StringBuilder,
    start: TimestampMillisecondBuilder,
    events: UInt32Builder,
}

impl SessionTable {
    fn new(out: &Path) -> Result<Self, Error> {
        let fields = vec![
            Field::new("session", DataType::UInt32, false),
            Field::new("user", DataType::Utf8, true),
            Field::new("key", DataType::Utf8, true),
            Field::new("start", milliseconds(), true),
            Field::new("events", DataType::UInt32, false),
        ];
        Ok(Self {
            table: Table::new(out.join(SESSIONS), fields)?,
            rows: 0,
            session: UInt32Builder::new(),
            user: StringBuilder::new(),
            key: StringBuilder::new(),
            start: TimestampMillisecondBuilder::new().with_timezone("UTC"),
            events: UInt32Builder::new(),
        })
    }

    fn push(&mut self, number: u32, session: &Session, has_times: bool) -> Result<(), Error> {
        self.session.append_value(number);
        self.user.append_option(session.user.as_deref());
        self.key.append_option(session.key.as_deref());
        self.start.append_option(has_times.then_some(session.start));
        self.events.append_value(session.events.len() as u32);
        self.rows += 1;
        if self.rows == ROWS { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.rows = 0;
        self.table.write(vec![
            Arc::new(self.session.finish()),
            Arc::new(self.user.finish()),
            Arc::new(self.key.finish()),
            Arc::new(self.start.finish()),
            Arc::new(self.events.finish()),
        ])
    }

    fn finish(mut self) -> Result<(), Error> {
        self.flush()?;
        self.table.finish()
    }
}

/// The column of a further word in `events.parquet`, and in the column `column` of `names.parquet`.
pub(super) fn label_column(name: &str) -> String {
    format!("label.{name}")
}

/// The column of a further number.
pub(super) fn number_column(name: &str) -> String {
    format!("number.{name}")
}

fn write_names(out: &Path, names: &AllNames, further: &Further) -> Result<(), Error> {
    let fields = vec![
        Field::new("column", DataType::Utf8, false),
        Field::new("number", DataType::UInt32, false),
        Field::new("name", DataType::Utf8, false),
    ];
    let mut table = Table::new(out.join(NAMES), fields)?;
    let labels = further.labels.iter().map(|name| label_column(name)).zip(&names.labels);
    let fixed: [(String, &Names); 3] = [
        ("item".to_owned(), &names.items),
        ("kind".to_owned(), &names.kinds),
        ("category".to_owned(), &names.categories),
    ];
    for (column, names) in fixed.into_iter().chain(labels) {
        let all: Vec<(u32, &str)> = (0..).zip(names.iter()).collect();
        for some in all.chunks(ROWS) {
            let (mut columns, mut numbers, mut words) =
                (StringBuilder::new(), UInt32Builder::new(), StringBuilder::new());
            for &(number, name) in some {
                columns.append_value(&column);
                numbers.append_value(number);
                words.append_value(name);
            }
            let columns: Vec<ArrayRef> = vec![
                Arc::new(columns.finish()),
                Arc::new(numbers.finish()),
                Arc::new(words.finish()),
            ];
            table.write(columns)?;
        }
    }
    table.finish()
}
