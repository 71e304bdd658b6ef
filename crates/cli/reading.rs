//! Reading logs the way the settings say, with a word about bad rows.

use std::path::PathBuf;

use anyhow::Result;
use events::{Log, ReadOptions};

use crate::output::count;
use crate::progress::warn;

/// Reads a log and warns about rows that could not be used.
pub(crate) fn read_log(paths: &[PathBuf], options: &ReadOptions) -> Result<Log> {
    let log = events::read(paths, options)?;
    let bad = &log.report.bad;
    if let Some(first) = bad.first.first() {
        let (some, all) = (count(bad.count), count(log.report.rows));
        warn(&format!("{some} of {all} rows could not be used; the first: {first}"));
    }
    Ok(log)
}
