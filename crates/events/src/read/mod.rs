//! Reading logs: open, look, take the rows.
//!
//! A file passes through four hands. `source` opens and decompresses it and cuts it into lines;
//! `detect` looks at the first of them; `record` and `table`, or `text`, make rows of them; and
//! `builder` numbers the names and keeps the columns. Nothing holds more of a file than a line.

mod builder;
mod detect;
mod record;
mod source;
mod table;
mod text;

use std::path::PathBuf;

use builder::Builder;
use source::Source;

use crate::{Columns, Error, Format, Log, Window};

/// How a log is read.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadOptions {
    /// The layout; none to find it by looking.
    pub format: Option<Format>,
    /// Which column of a table is for what.
    pub columns: Columns,
    /// The part that is read.
    pub window: Window,
    /// The share of bad rows, 0 to 1, past which reading is an error.
    pub max_bad: f64,
}

impl Default for ReadOptions {
    fn default() -> Self {
        let (format, columns, window) = (None, Columns::default(), Window::default());
        Self { format, columns, window, max_bad: 0.01 }
    }
}

/// Reads a log: files, folders (their files in name order), or `-` for standard input.
///
/// # Errors
///
/// See [`Error`]; every one names the file and what to do.
pub fn read(paths: &[PathBuf], options: &ReadOptions) -> Result<Log, Error> {
    if let Some(format @ (Format::Sessions | Format::Pairs)) = options.format
        && !options.columns.is_empty()
    {
        let reason = format!("--format {format} has no columns to name; leave one of the two out");
        return Err(Error::Flag { flag: "--columns", value: options.columns.to_string(), reason });
    }
    let mut log = Builder::default();
    // The format, and the file that showed it.
    let mut format = options.format.map(|format| (format, "--format".to_owned()));
    for path in source::expand(paths)? {
        let source = Source::open(&path)?;
        let name = source.name.clone();
        log.files.push(name.clone());
        if source.head().trim_ascii().is_empty() {
            continue;
        }
        if options.format.is_none() {
            let found = detect::detect(source.head(), &options.columns)
                .map_err(|saw| Error::Unrecognised { path: name.clone(), saw })?;
            let (expected, first) = format.get_or_insert((found, name.clone()));
            if *expected != found {
                let (found, expected) = (found.to_string(), expected.to_string());
                return Err(Error::Mixed { path: name, found, first: first.clone(), expected });
            }
        }
        let layout = format.as_ref().map_or(Format::Csv, |(format, _)| *format);
        match layout {
            Format::Sessions | Format::Pairs if !options.window.is_open() => {
                return Err(Error::NoTimes { what: "--from or --until".to_owned() });
            }
            Format::Sessions => text::read_sessions(source.lines(), &mut log)?,
            Format::Pairs => text::read_pairs(source.lines(), &mut log)?,
            _ => table::read(source, layout, &options.columns, options.window, &mut log)?,
        }
    }
    let Some((format, _)) = format.filter(|_| log.rows > 0) else {
        return Err(Error::Empty { path: log.files.join(", ") });
    };
    log.finish(format, options.max_bad)
}
