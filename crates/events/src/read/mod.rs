//! Reading logs: open, look, take the rows.

use std::path::PathBuf;

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
    let _ = (paths, options);
    unimplemented!()
}
