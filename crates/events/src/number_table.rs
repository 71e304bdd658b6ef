//! A Parquet table of names and numbers that is being written: a row each, in pieces.

use std::io::{self, Write};
use std::sync::Arc;

use arrow_array::{ArrayRef, Float32Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

/// Rows that are held before they are written.
const ROWS: usize = 1 << 13;
/// Rows of a row group.
const GROUP: usize = 1 << 16;

/// A Parquet table: a column of names, then columns of f32.
pub struct NumberTable<W: Write + Send> {
    writer: ArrowWriter<W>,
    schema: SchemaRef,
    names: Vec<String>,
    /// By column.
    numbers: Vec<Vec<f32>>,
}

impl<W: Write + Send> NumberTable<W> {
    /// Begins a table; `key` is what the column of names is called, `columns` the others.
    ///
    /// # Errors
    ///
    /// Where nothing can be written.
    pub fn new(out: W, key: &str, columns: &[String]) -> io::Result<Self> {
        let mut fields = vec![Field::new(key, DataType::Utf8, false)];
        fields.extend(columns.iter().map(|name| Field::new(name, DataType::Float32, false)));
        let schema = Arc::new(Schema::new(fields));
        let level = ZstdLevel::try_new(1).expect("a level of zstd");
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            // Hardly a number comes twice.
            .set_dictionary_enabled(false)
            .set_max_row_group_row_count(Some(GROUP));
        let writer = ArrowWriter::try_new(out, schema.clone(), Some(properties.build()));
        let writer = writer.map_err(io::Error::other)?;
        Ok(Self { writer, schema, names: Vec::new(), numbers: vec![Vec::new(); columns.len()] })
    }

    /// Adds a row.
    ///
    /// # Errors
    ///
    /// Where it cannot be written.
    pub fn push(&mut self, name: &str, numbers: &[f32]) -> io::Result<()> {
        self.names.push(name.to_owned());
        self.numbers.iter_mut().zip(numbers).for_each(|(column, &x)| column.push(x));
        if self.names.len() == ROWS { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        let names = StringArray::from(std::mem::take(&mut self.names));
        let mut columns: Vec<ArrayRef> = vec![Arc::new(names)];
        for column in &mut self.numbers {
            columns.push(Arc::new(Float32Array::from(std::mem::take(column))));
        }
        let batch = RecordBatch::try_new(self.schema.clone(), columns).map_err(io::Error::other)?;
        self.writer.write(&batch).map_err(io::Error::other)
    }

    /// Ends the table and gives back where it was written to.
    ///
    /// # Errors
    ///
    /// Where it cannot be written.
    pub fn finish(mut self) -> io::Result<W> {
        self.flush()?;
        self.writer.into_inner().map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    #[test]
    fn rows_come_back_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.parquet");
        let file = std::fs::File::create(&path).unwrap();
        let columns = ["x1".to_owned(), "x2".to_owned()];
        let mut table = NumberTable::new(file, "user", &columns).unwrap();
        for row in 0..ROWS + 3 {
            table.push(&format!("u{row}"), &[row as f32, 0.5]).unwrap();
        }
        table.finish().unwrap();
        let file = std::fs::File::open(&path).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
        let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
        assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), ROWS + 3);
        let names: Vec<String> =
            batches[0].schema().fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(names, ["user", "x1", "x2"]);
        let last = &batches[batches.len() - 1];
        let x: &Float32Array = last.column(1).as_any().downcast_ref().unwrap();
        assert_eq!(x.value(x.len() - 1), (ROWS + 2) as f32);
    }
}
