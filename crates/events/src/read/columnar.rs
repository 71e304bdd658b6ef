//! Parquet and Arrow IPC: tables that come by column, a batch of rows at a time.
//!
//! What stands in the path and not in the file is put beside its columns.

use std::cell::Cell;
use std::fmt::Display;
use std::fs::File;
use std::io::{BufReader, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, TimestampMillisecondType};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_cast::{can_cast_types, cast};
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_schema::{ArrowError, DataType, SchemaRef, TimeUnit};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::ReadOptions;
use super::builder::Builder;
use super::number::number;
use super::partition::partitions;
use super::sink::{Key, Row};
use super::source::Source;
use super::table::{Bad, Schema};
use crate::{Error, Format, Role, Zone, time};

/// Rows that are decoded at once.
const BATCH: usize = 8192;

type Batches = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>>>;

/// Reads a Parquet or Arrow file.
pub(super) fn read(
    path: &Path,
    source: Source,
    format: Format,
    options: &ReadOptions,
    log: &mut Builder,
) -> Result<(), Error> {
    let file = source.name.clone();
    let broken = |reason: String| Error::Columnar {
        path: file.clone(),
        name: if format == Format::Parquet { "Parquet" } else { "Arrow" },
        reason,
    };
    let partitions = partitions(path);
    // Parquet is read to and fro: how far it has come, its rows tell.
    let (begin, size) = (source.before, path.metadata().map_or(0, |about| about.len()));
    let mut all_rows = 0;
    let mut plan = |fields: &SchemaRef| Plan::new(&file, fields, &partitions, options, log);

    let (plan, mut batches): (Plan, Batches) = if format == Format::Parquet {
        let input = reopen(path, &file)?;
        let reader = guarded(|| ParquetRecordBatchReaderBuilder::try_new(input)).map_err(broken)?;
        all_rows = reader.metadata().file_metadata().num_rows().max(0) as u64;
        let mut plan = plan(reader.schema())?;
        let mask = ProjectionMask::roots(reader.parquet_schema(), plan.project());
        let reader = reader.with_projection(mask).with_batch_size(BATCH);
        (plan, Box::new(guarded(|| reader.build()).map_err(broken)?))
    } else if source.head().starts_with(ARROW_FILE) {
        let input = BufReader::new(reopen(path, &file)?);
        let reader = guarded(|| FileReader::try_new(input, None)).map_err(broken)?;
        (plan(&reader.schema())?, Box::new(reader))
    } else {
        let reader = guarded(|| StreamReader::try_new(source.bytes(), None)).map_err(broken)?;
        (plan(&reader.schema())?, Box::new(reader))
    };
    let mut row = 0;
    while let Some(batch) = guarded(|| batches.next().transpose()).map_err(broken)? {
        let columns = guarded(|| plan.decode(&batch)).map_err(broken)?;
        plan.take(&file, &columns, row, options, log)?;
        row += batch.num_rows() as u64;
        if all_rows > 0 {
            let share = row.min(all_rows) as f64 / all_rows as f64;
            log.meter.set(begin + (share * size as f64) as u64);
        }
    }
    Ok(())
}

thread_local! {
    static DECODING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside a decoder that is not ours. A panic there is its way to say that a
/// file is damaged, and becomes an error: a panic hook has nothing to report.
pub fn is_decoding() -> bool {
    DECODING.get()
}

/// Runs a decoder. Those of Parquet and Arrow hold some promises of a damaged file against it by
/// assertions.
pub(crate) fn guarded<T, E: Display>(decode: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    DECODING.set(true);
    let result = catch_unwind(AssertUnwindSafe(decode));
    DECODING.set(false);
    match result {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Err(text.unwrap_or("its decoder gave up").to_owned())
        }
    }
}

/// The first bytes of a Parquet file.
pub(super) const PARQUET: &[u8] = b"PAR1";
/// The first bytes of an Arrow IPC file.
pub(super) const ARROW_FILE: &[u8] = b"ARROW1";
/// The first bytes of a stream of Arrow IPC messages.
pub(super) const ARROW_STREAM: &[u8] = &[0xff; 4];

/// The file itself: these layouts have their table of contents at the end.
fn reopen(path: &Path, name: &str) -> Result<File, Error> {
    let open = |source| Error::Open { path: name.to_owned(), source };
    let refuse = || Error::NotPlain { path: name.to_owned() };
    if path.as_os_str() == "-" {
        return Err(refuse());
    }
    let mut magic = [0; 4];
    let mut file = File::open(path).map_err(open)?;
    match file.read_exact(&mut magic) {
        Ok(()) if PARQUET.starts_with(&magic) || ARROW_FILE.starts_with(&magic) => {
            File::open(path).map_err(open)
        }
        _ => Err(refuse()),
    }
}

/// What a column is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum As {
    Text,
    Time,
    Number,
}

/// Where the values of a column come from.
enum Column {
    /// A column of the batch.
    Place(usize),
    /// The name of a folder.
    Constant(Option<String>),
}

/// Which columns of a file are read as what.
struct Plan {
    schema: Schema,
    /// The columns of the schema, in its order.
    columns: Vec<Column>,
}

/// The columns of a batch, decoded.
struct Batch {
    rows: usize,
    by_role: Vec<Option<Values>>,
    labels: Vec<Values>,
    numbers: Vec<Values>,
}

impl Plan {
    fn new(
        file: &str,
        fields: &SchemaRef,
        partitions: &[(String, Option<String>)],
        options: &ReadOptions,
        log: &mut Builder,
    ) -> Result<Self, Error> {
        let mut names: Vec<String> =
            fields.fields().iter().map(|field| field.name().clone()).collect();
        let mut columns: Vec<Column> = (0..names.len()).map(Column::Place).collect();
        for (name, value) in partitions {
            if !names.contains(name) {
                names.push(name.clone());
                columns.push(Column::Constant(value.clone()));
            }
        }
        let schema = Schema::of_table(file, options, &names)?;
        for place in schema.places() {
            let Some(field) = fields.fields().get(place) else { continue };
            if !can_cast_types(field.data_type(), &DataType::Utf8) {
                return Err(Error::ColumnType {
                    path: file.to_owned(),
                    column: field.name().clone(),
                    kind: field.data_type().to_string(),
                });
            }
        }
        log.begin_table(file, &schema, &names, options.window)?;
        Ok(Self { schema, columns })
    }

    /// Forgets the columns that nobody reads, and names the others: those to decode.
    fn project(&mut self) -> Vec<usize> {
        let mut read = Vec::new();
        let used = self.schema.places();
        for (place, column) in self.columns.iter_mut().enumerate() {
            let Column::Place(in_file) = *column else { continue };
            if used.contains(&place) {
                *column = Column::Place(read.len());
                read.push(in_file);
            } else {
                *column = Column::Constant(None);
            }
        }
        read
    }

    fn decode(&self, batch: &RecordBatch) -> Result<Batch, ArrowError> {
        let mut by_role = Vec::with_capacity(Role::ALL.len());
        for role in Role::ALL {
            let how = match role {
                Role::Time => As::Time,
                Role::Price | Role::Quantity | Role::Amount => As::Number,
                _ => As::Text,
            };
            let place = self.schema.column(role);
            by_role.push(place.map(|place| self.values(batch, place, how)).transpose()?);
        }
        let further = |places: &[Option<usize>], how| -> Result<Vec<Values>, ArrowError> {
            let values = |place: &Option<usize>| match *place {
                Some(place) => self.values(batch, place, how),
                None => Ok(Values::Constant(None)),
            };
            places.iter().map(values).collect()
        };
        let labels = further(self.schema.labels(), As::Text)?;
        let numbers = further(self.schema.numbers(), As::Number)?;
        Ok(Batch { rows: batch.num_rows(), by_role, labels, numbers })
    }

    /// Hands the rows of a batch on; `before` is the number of rows before it.
    fn take(
        &self,
        file: &str,
        batch: &Batch,
        before: u64,
        options: &ReadOptions,
        log: &mut Builder,
    ) -> Result<(), Error> {
        for at in 0..batch.rows {
            log.rows += 1;
            let labels: Vec<_> = batch.labels.iter().map(|column| column.text(at)).collect();
            let numbers: Vec<_> = batch.numbers.iter().map(|column| column.number(at)).collect();
            match batch.event(at, &labels, &numbers, &options.zone) {
                Ok(row) if !row.time.is_none_or(|time| options.window.contains(time)) => {
                    log.outside();
                }
                Ok(row) => log.push(&row)?,
                Err((reason, detail)) => log.bad(file, before + at as u64 + 1, reason, &detail),
            }
        }
        Ok(())
    }

    fn values(&self, batch: &RecordBatch, place: usize, how: As) -> Result<Values, ArrowError> {
        match &self.columns[place] {
            Column::Constant(text) => Ok(Values::Constant(text.clone())),
            Column::Place(column) => Values::of(batch.column(*column), how),
        }
    }
}

/// The values of a column in a batch.
enum Values {
    Text(ArrayRef),
    Time(ArrayRef),
    /// Milliseconds that a clock without a zone has shown.
    Local(ArrayRef),
    Number(ArrayRef),
    Constant(Option<String>),
}

impl Values {
    fn of(array: &ArrayRef, how: As) -> Result<Self, ArrowError> {
        let kind = array.data_type();
        match how {
            As::Time
                if matches!(
                    kind,
                    DataType::Timestamp(..) | DataType::Date32 | DataType::Date64
                ) =>
            {
                let milliseconds = DataType::Timestamp(TimeUnit::Millisecond, None);
                let times = cast(array, &milliseconds)?;
                Ok(match kind {
                    DataType::Timestamp(_, Some(_)) => Self::Time(times),
                    _ => Self::Local(times),
                })
            }
            As::Number if kind.is_numeric() || *kind == DataType::Boolean => {
                Ok(Self::Number(cast(array, &DataType::Float64)?))
            }
            // Where ids have holes, pandas makes fractions of them: 17.0 is the id 17.
            As::Text | As::Time if kind.is_floating() => {
                let whole = cast(array, &DataType::Int64)?;
                let back = cast(&whole, &DataType::Float64)?;
                let values = cast(array, &DataType::Float64)?;
                let same =
                    back.as_primitive::<Float64Type>() == values.as_primitive::<Float64Type>();
                let exact = if same { &whole } else { array };
                Ok(Self::Text(cast(exact, &DataType::Utf8)?))
            }
            _ => Ok(Self::Text(cast(array, &DataType::Utf8)?)),
        }
    }

    /// The word of a row; none where it has none, or an empty one.
    fn text(&self, at: usize) -> Option<&str> {
        let text = match self {
            Self::Constant(text) => text.as_deref(),
            Self::Text(array) if array.is_valid(at) => Some(array.as_string::<i32>().value(at)),
            _ => None,
        };
        text.map(str::trim_ascii).filter(|text| !text.is_empty())
    }

    /// The number of a row; none where it has none.
    fn number(&self, at: usize) -> Option<f32> {
        let number = match self {
            Self::Number(array) if array.is_valid(at) => {
                array.as_primitive::<Float64Type>().value(at) as f32
            }
            _ => number(self.text(at)?).ok()?,
        };
        number.is_finite().then_some(number)
    }

    fn time(&self, at: usize, zone: &Zone) -> Result<Option<i64>, Bad<'_>> {
        const NO_TIME: &str = "time not understood";
        let value = |array: &ArrayRef| array.as_primitive::<TimestampMillisecondType>().value(at);
        match self {
            Self::Time(array) if array.is_valid(at) => Ok(Some(value(array))),
            Self::Local(array) if array.is_valid(at) => {
                let local = value(array);
                let time = zone.moment(local);
                time.map(Some).ok_or_else(|| (NO_TIME, format!("{local} ms").into()))
            }
            _ => {
                let text = self.text(at).ok_or((NO_TIME, "".into()))?;
                let time = time::parse_in(text, zone);
                time.map(Some).ok_or((NO_TIME, text.into()))
            }
        }
    }
}

impl Batch {
    fn column(&self, role: Role) -> Option<&Values> {
        self.by_role[role as usize].as_ref()
    }

    /// The event of a row, or why it has none.
    fn event<'r>(
        &'r self,
        at: usize,
        labels: &'r [Option<&'r str>],
        numbers: &'r [Option<f32>],
        zone: &Zone,
    ) -> Result<Row<'r>, Bad<'r>> {
        let needed = |role, missing: &'static str| match self.column(role) {
            Some(column) => column.text(at).map(Some).ok_or((missing, "".into())),
            None => Ok(None),
        };
        let number = |role| self.column(role).and_then(|column| column.number(at));
        let optional = |role| self.column(role).and_then(|column| column.text(at));
        Ok(Row {
            item: needed(Role::Item, "no item")?.ok_or(("no item", "".into()))?,
            user: needed(Role::User, "no user")?,
            session: needed(Role::Session, "no session")?.map(Key::Name),
            time: self.column(Role::Time).map_or(Ok(None), |column| column.time(at, zone))?,
            order: None,
            kind: optional(Role::Kind),
            category: optional(Role::Category),
            price: number(Role::Price),
            quantity: number(Role::Quantity),
            amount: number(Role::Amount),
            labels,
            numbers,
        })
    }
}
