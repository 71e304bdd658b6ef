//! A Parquet file that is being written, on a thread of its own.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{Field, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;

use crate::Error;

/// Rows of a row group.
pub(super) const ROWS: usize = 1 << 17;

/// Columns whose numbers rise from row to row, or nearly so: their differences are small, and a
/// dictionary of them would be as long as they are.
const RISING: [&str; 3] = ["session", "time", "start"];

/// A Parquet file that is being written. Rows are gathered here while those before them are encoded
/// there.
pub(super) struct Table {
    path: PathBuf,
    schema: SchemaRef,
    /// None once the file is whole, or cannot be.
    encoder: Option<Encoder>,
}

/// Where rows go, and the thread that takes them.
type Encoder = (SyncSender<RecordBatch>, JoinHandle<Result<(), ParquetError>>);

impl Table {
    pub(super) fn new(path: PathBuf, fields: Vec<Field>) -> Result<Self, Error> {
        let schema = Arc::new(Schema::new(fields));
        let level = ZstdLevel::try_new(1).expect("a level of zstd");
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_max_row_group_row_count(Some(ROWS));
        for column in RISING.map(ColumnPath::from) {
            properties = properties
                .set_column_dictionary_enabled(column.clone(), false)
                .set_column_encoding(column, Encoding::DELTA_BINARY_PACKED);
        }
        let failed = |source| Error::Write { path: path.display().to_string(), source };
        let file = File::create(&path).map_err(failed)?;
        let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties.build()));
        let writer = writer.map_err(|error| failed(std::io::Error::other(error)))?;
        let (batches, waiting) = sync_channel(1);
        let thread = std::thread::Builder::new().name("parquet".to_owned());
        let thread = thread.spawn(move || encode(writer, waiting)).map_err(failed)?;
        Ok(Self { path, schema, encoder: Some((batches, thread)) })
    }

    /// Adds rows, given by column.
    pub(super) fn write(&mut self, columns: Vec<ArrayRef>) -> Result<(), Error> {
        let batch = RecordBatch::try_new(self.schema.clone(), columns);
        let batch = batch.map_err(|error| self.failed(error))?;
        match &self.encoder {
            Some((batches, _)) if batches.send(batch).is_ok() => Ok(()),
            // It has stopped, and has the reason.
            _ => self.close(),
        }
    }

    /// Ends the file.
    pub(super) fn finish(mut self) -> Result<(), Error> {
        self.close()
    }

    fn close(&mut self) -> Result<(), Error> {
        let Some((batches, thread)) = self.encoder.take() else { return Ok(()) };
        drop(batches);
        let ended = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        ended.map_err(|error| self.failed(error))
    }

    fn failed(&self, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        let path = self.path.display().to_string();
        Error::Write { path, source: std::io::Error::other(error) }
    }
}

impl Drop for Table {
    /// Nothing is written any more once the table is gone.
    fn drop(&mut self) {
        let Some((batches, thread)) = self.encoder.take() else { return };
        drop(batches);
        let _ = thread.join();
    }
}

fn encode(
    mut writer: ArrowWriter<File>,
    batches: Receiver<RecordBatch>,
) -> Result<(), ParquetError> {
    for batch in batches {
        writer.write(&batch)?;
    }
    writer.finish().map(|_| ())
}
