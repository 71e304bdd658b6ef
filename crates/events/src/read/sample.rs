//! The first rows of a log as they stand, for whoever wants to look at them.

use std::path::PathBuf;

use super::detect::{self, delimiter};
use super::partition::partitions;
use super::record::{Record, Records};
use super::source::{self, Source};
use super::table::delimiter_of;
use crate::{Columns, Error, Format};

/// So many rows are looked at, and so many bytes.
const ROWS: usize = 20_000;
const BYTES: usize = 8 * 1024 * 1024;

/// The beginning of a log.
pub(crate) struct Sample {
    /// The file it is from.
    pub file: String,
    /// The layout, where the file shows that it is another one than any table.
    pub known: Option<Format>,
    /// Whether tabs stand between the columns.
    pub tabs: bool,
    /// The rows, the header too where there is one; none where the layout is known.
    pub rows: Vec<Vec<String>>,
    /// Columns that stand in the path, and what they hold in this file.
    pub beside: Vec<(String, Option<String>)>,
}

/// The beginning of the first file that is not empty.
pub(crate) fn sample(paths: &[PathBuf], format: Option<Format>) -> Result<Sample, Error> {
    let files = source::expand(paths)?;
    for path in &files {
        let source = Source::open(path)?;
        let head = source.head();
        if head.trim_ascii().is_empty() {
            continue;
        }
        let file = source.name.clone();
        let found = match format {
            Some(format) => Ok(format),
            None => detect::detect(head, &Columns::default()),
        };
        let format = match found {
            Ok(format) => format,
            Err(_) if is_table(head) => Format::Csv,
            Err(saw) => {
                let remedy = detect::remedy(head);
                return Err(Error::Unrecognised { path: file, saw, remedy });
            }
        };
        let tabs = delimiter_of(format, head) == b'\t';
        if !matches!(format, Format::Csv | Format::Tsv) {
            let (known, rows, beside) = (Some(format), Vec::new(), Vec::new());
            return Ok(Sample { file, known, tabs, rows, beside });
        }
        let delimiter = delimiter_of(format, head);
        let mut records = Records::new(source.lines()?, delimiter);
        let (mut rows, mut bytes) = (Vec::new(), 0);
        while rows.len() < ROWS
            && bytes < BYTES
            && let Some(record) = records.next()?
        {
            let Record::Fields(_, fields) = record else { continue };
            let field = |place| String::from_utf8_lossy(fields.get(place)).trim().to_owned();
            let row: Vec<String> = (0..fields.len()).map(field).collect();
            bytes += row.iter().map(|field| field.len() + 24).sum::<usize>();
            rows.push(row);
        }
        return Ok(Sample { file, known: None, tabs, rows, beside: partitions(path) });
    }
    let names: Vec<String> = files.iter().map(|path| path.display().to_string()).collect();
    Err(Error::Empty { path: names.join(", ") })
}

/// Whether nearly all lines have as many delimiters as the first.
fn is_table(head: &[u8]) -> bool {
    if head.contains(&0) {
        return false;
    }
    let text = String::from_utf8_lossy(head);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).take(100).collect();
    let delimiter = lines.first().map_or(',', |first| delimiter(first));
    let count = |line: &str| line.matches(delimiter).count();
    let first = lines.first().map_or(0, |first| count(first));
    // Quoted fields may hold some more.
    let alike = lines.iter().filter(|line| count(line) >= first).count();
    first > 0 && lines.len() > 1 && 10 * alike >= 9 * lines.len()
}
