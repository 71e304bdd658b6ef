//! Reading logs the way the settings say, with a word about bad rows.

use std::path::PathBuf;

use anyhow::Result;
use events::{Log, ReadOptions};

use crate::output::count;
use crate::progress::warn;

/// Reads a log and warns about rows that could not be used, about what had to be assumed, and where a
/// table seems to have times that nobody reads.
pub(crate) fn read_log(paths: &[PathBuf], options: &ReadOptions) -> Result<Log> {
    let log = events::read(paths, options)?;
    let bad = &log.report.bad;
    if let Some(first) = bad.first.first() {
        let (some, all) = (count(bad.count), count(log.report.rows));
        warn(&format!("{some} of {all} rows could not be used; the first: {first}"));
    }
    let report = &log.report;
    for note in &report.notes {
        warn(note);
    }
    if log.events.time.is_empty() && !report.unused.is_empty() && options.columns.is_empty() {
        warn(&format!(
            "no column is known to be the time (not used: {}), so events keep the order of the \
             file; to name the columns: --columns {},time=NAME",
            report.unused.join(", "),
            report.columns
        ));
    }
    Ok(log)
}
