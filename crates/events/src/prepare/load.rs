//! A prepared folder as a log: its columns, as they stand.

use std::fs::{self, File};
use std::path::Path;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, TimestampMillisecondType, UInt32Type};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::Deserialize;

use super::write::{label_column, number_column};
use super::{CARD, Card, EVENTS, LAYOUT, NAMES, SESSIONS};
use crate::read::guarded;
use crate::{
    Error, Format, LabelColumn, Log, NONE, Names, NumberColumn, ReadOptions, ReadReport, Role,
    SessionOptions, Settled,
};

/// What of a [`Card`] all versions have.
#[derive(Deserialize)]
struct Version {
    layout: u32,
}

/// Whether a folder is one that [`prepare`](super::prepare) has written.
pub(crate) fn is_prepared(path: &Path) -> bool {
    path.join(CARD).is_file()
}

/// Reads a prepared folder. Of its columns only those that the options ask for take memory.
pub(crate) fn load(path: &Path, options: &ReadOptions) -> Result<Log, Error> {
    let name = path.display().to_string();
    let damaged = |reason: String| Error::Prepared { path: name.clone(), reason };
    let text = fs::read(path.join(CARD))
        .map_err(|source| Error::Open { path: path.join(CARD).display().to_string(), source })?;
    let unread = |error| damaged(format!("{CARD}: {error}"));
    let Version { layout } = serde_json::from_slice(&text).map_err(unread)?;
    if layout != LAYOUT {
        return Err(Error::OtherLayout { path: name.clone(), layout, reads: LAYOUT });
    }
    let card: Card = serde_json::from_slice(&text).map_err(unread)?;
    if !options.window.is_open() && !card.has_times {
        return Err(Error::NoTimes { what: "--from or --until".to_owned() });
    }
    let rule = card.rule.parse().map_err(|_| damaged(format!("no such rule: {:?}", card.rule)))?;
    let clean =
        card.clean.parse().map_err(|_| damaged(format!("no such rules: {:?}", card.clean)))?;
    let settled = Settled { sessions: SessionOptions { rule, gap: card.gap }, clean };
    let mut log = Log {
        report: ReadReport {
            format: Format::Prepared,
            files: vec![name.clone()],
            rows: card.events,
            sessions: Some(settled),
            ..ReadReport::default()
        },
        ..Log::default()
    };
    read_names(path, &mut log, &card, options)?;
    let users = read_users(path, &mut log, &card)?;
    read_events(path, &mut log, &card, options, &users)?;
    Ok(log)
}

/// Decodes some columns of a file, batch by batch.
fn batches(
    path: &Path,
    file: &str,
    wanted: &[String],
    mut take: impl FnMut(&RecordBatch) -> Result<(), String>,
) -> Result<(), Error> {
    let path = path.join(file);
    let name = path.display().to_string();
    let damaged = |reason| Error::Prepared { path: name.clone(), reason };
    let input = File::open(&path).map_err(|source| Error::Open { path: name.clone(), source })?;
    let reader = guarded(|| ParquetRecordBatchReaderBuilder::try_new(input)).map_err(damaged)?;
    let fields = reader.schema().fields();
    let mut places = Vec::new();
    for column in wanted {
        let place = fields.iter().position(|field| field.name() == column);
        places.push(place.ok_or_else(|| damaged(format!("it has no column {column:?}")))?);
    }
    let mask = ProjectionMask::roots(reader.parquet_schema(), places);
    let reader = reader.with_projection(mask).with_batch_size(1 << 14);
    let mut reader = guarded(|| reader.build()).map_err(damaged)?;
    while let Some(batch) = guarded(|| reader.next().transpose()).map_err(damaged)? {
        take(&batch).map_err(damaged)?;
    }
    Ok(())
}

/// A column of numbers of names, [`NONE`] where there is none.
fn numbers_of(batch: &RecordBatch, column: &str, into: &mut Vec<u32>) -> Result<(), String> {
    let array =
        batch.column_by_name(column).and_then(|array| array.as_primitive_opt::<UInt32Type>());
    let array = array.ok_or_else(|| format!("column {column:?} does not hold whole numbers"))?;
    into.extend(array.iter().map(|value| value.unwrap_or(NONE)));
    Ok(())
}

fn texts<'a>(batch: &'a RecordBatch, column: &str) -> Result<&'a arrow_array::StringArray, String> {
    let array = batch.column_by_name(column).and_then(|array| array.as_string_opt::<i32>());
    array.ok_or_else(|| format!("column {column:?} does not hold text"))
}

fn read_names(path: &Path, log: &mut Log, card: &Card, options: &ReadOptions) -> Result<(), Error> {
    let missing = |column: &String, have: &[String]| Error::NoFurtherColumn {
        path: path.display().to_string(),
        column: column.clone(),
        header: have.join(", "),
    };
    for (asked, have) in
        [(&options.further.labels, &card.labels), (&options.further.numbers, &card.numbers)]
    {
        let absent = asked.iter().find(|name| !have.contains(name));
        if let Some(name) = absent.filter(|_| !options.may_lack_further) {
            return Err(missing(name, have));
        }
    }
    for name in &options.further.labels {
        log.labels.push(LabelColumn { name: name.clone(), ..LabelColumn::default() });
    }
    for name in &options.further.numbers {
        log.numbers.push(NumberColumn { name: name.clone(), values: Vec::new() });
    }
    let wanted = ["column", "number", "name"].map(str::to_owned);
    batches(path, NAMES, &wanted, |batch| {
        let (columns, words) = (texts(batch, "column")?, texts(batch, "name")?);
        let mut numbers = Vec::new();
        numbers_of(batch, "number", &mut numbers)?;
        for (row, number) in numbers.into_iter().enumerate() {
            let names: Option<&mut Names> = match columns.value(row) {
                "item" => Some(&mut log.items),
                "kind" => Some(&mut log.kinds),
                "category" => Some(&mut log.categories),
                column => log
                    .labels
                    .iter_mut()
                    .find(|label| label_column(&label.name) == column)
                    .map(|label| &mut label.names),
            };
            if let Some(names) = names
                && names.intern(words.value(row)) != number
            {
                return Err(format!("the names of {:?} are out of order", columns.value(row)));
            }
        }
        Ok(())
    })
}

/// The user of each session, where there are users.
fn read_users(path: &Path, log: &mut Log, card: &Card) -> Result<Vec<u32>, Error> {
    let mut users = Vec::new();
    if card.has_users {
        batches(path, SESSIONS, &["user".to_owned()], |batch| {
            let names = texts(batch, "user")?;
            let users_of =
                names.iter().map(|name| name.map_or(NONE, |name| log.users.intern(name)));
            users.extend(users_of);
            Ok(())
        })?;
    }
    Ok(users)
}

fn read_events(
    path: &Path,
    log: &mut Log,
    card: &Card,
    options: &ReadOptions,
    users: &[u32],
) -> Result<(), Error> {
    let asked = |role: Role| options.roles.contains(&role);
    let words = [Role::Kind, Role::Category].into_iter().filter(|&role| asked(role));
    let words: Vec<&str> = words.map(Role::name).collect();
    let money = [Role::Price, Role::Quantity, Role::Amount].into_iter().filter(|&role| asked(role));
    let money: Vec<&str> = money.map(Role::name).collect();
    // Columns that the folder lacks have no name in it.
    let labels: Vec<Option<String>> = (log.labels.iter())
        .map(|column| card.labels.contains(&column.name).then(|| label_column(&column.name)))
        .collect();
    let numbers: Vec<Option<String>> = (log.numbers.iter())
        .map(|column| card.numbers.contains(&column.name).then(|| number_column(&column.name)))
        .collect();
    let fixed = ["session", "item", "time"].into_iter().chain(words).chain(money);
    let wanted: Vec<String> =
        fixed.map(str::to_owned).chain(labels.iter().chain(&numbers).flatten().cloned()).collect();
    let (items, sessions) = (log.items.len() as u32, card.sessions);
    let window = options.window;
    let mut outside = 0;
    batches(path, EVENTS, &wanted, |batch| {
        let events = &mut log.events;
        let before = events.item.len();
        numbers_of(batch, "session", &mut events.session)?;
        numbers_of(batch, "item", &mut events.item)?;
        if events.item[before..].iter().any(|&item| item >= items) {
            return Err("it holds an item that has no name".to_owned());
        }
        if events.session[before..].iter().any(|&session| u64::from(session) >= sessions) {
            return Err("it holds more sessions than it says".to_owned());
        }
        if card.has_users {
            for &session in &events.session[before..] {
                let user = users.get(session as usize).copied();
                events.user.push(user.ok_or("a session has no user")?);
            }
        }
        if card.has_times {
            let times = batch.column_by_name("time");
            let times = times.and_then(|a| a.as_primitive_opt::<TimestampMillisecondType>());
            let times = times.ok_or("column \"time\" does not hold times")?;
            events.time.extend_from_slice(times.values());
        }
        for (name, names, into) in [
            ("kind", log.kinds.len(), &mut events.kind),
            ("category", log.categories.len(), &mut events.category),
        ] {
            if batch.column_by_name(name).is_some() && names > 0 {
                numbers_of(batch, name, into)?;
                known(name, &into[before..], names)?;
            }
        }
        for (column, name) in log.labels.iter_mut().zip(&labels) {
            match name {
                Some(name) => numbers_of(batch, name, &mut column.values)?,
                None => column.values.resize(before + batch.num_rows(), NONE),
            }
            known(&column.name, &column.values[before..], column.names.len())?;
        }
        for (name, into) in [
            ("price", &mut events.price),
            ("quantity", &mut events.quantity),
            ("amount", &mut events.amount),
        ] {
            if batch.column_by_name(name).is_some() {
                floats_of(batch, name, into)?;
            }
        }
        for (column, name) in log.numbers.iter_mut().zip(&numbers) {
            match name {
                Some(name) => floats_of(batch, name, &mut column.values)?,
                None => column.values.resize(before + batch.num_rows(), f32::NAN),
            }
        }
        Ok(())
    })?;
    if log.events.item.len() as u64 != card.events {
        return Err(Error::Prepared {
            path: path.display().to_string(),
            reason: format!("it has {} events and says {}", log.events.item.len(), card.events),
        });
    }
    // A column without a single value is one that the log never had.
    for column in [&mut log.events.price, &mut log.events.quantity, &mut log.events.amount] {
        if column.iter().all(|value| value.is_nan()) {
            *column = Vec::new();
        }
    }
    if !window.is_open() {
        let times = (0..).zip(&log.events.time);
        let gone: Vec<u32> =
            times.filter(|(_, time)| !window.contains(**time)).map(|(event, _)| event).collect();
        outside = gone.len() as u64;
        log.remove(&gone);
    }
    log.report.outside = outside;
    Ok(())
}

/// Checks that every number has a name.
fn known(column: &str, numbers: &[u32], names: usize) -> Result<(), String> {
    match numbers.iter().find(|&&number| number != NONE && number as usize >= names) {
        None => Ok(()),
        Some(number) => Err(format!("{column}: number {number} has no name")),
    }
}

fn floats_of(batch: &RecordBatch, column: &str, into: &mut Vec<f32>) -> Result<(), String> {
    let array = batch.column_by_name(column);
    let array = array.and_then(|array| array.as_primitive_opt::<Float32Type>());
    let array = array.ok_or_else(|| format!("column {column:?} does not hold numbers"))?;
    into.extend(array.iter().map(|value| value.unwrap_or(f32::NAN)));
    Ok(())
}
