//! Reading logs the way the settings say, with a word about bad rows.

use std::path::{Path, PathBuf};

use anyhow::Result;
use events::{CleanReport, FillReport, Format, Log, ReadOptions, ReadReport, SessionRule, Settled};

use crate::output::{count, seconds};
use crate::progress::{ReadingProgress, warn};
use crate::settings::DataSettings;

/// Reads a log and warns about rows that could not be used, about what had to be assumed, and where a
/// table seems to have times that nobody reads.
pub(crate) fn read_log(paths: &[PathBuf], options: &ReadOptions, quiet: bool) -> Result<Log> {
    let mut progress = ReadingProgress::new(quiet);
    let log = events::read_watched(paths, options, &mut |so_far| progress.show(so_far))?;
    drop(progress);
    warn_of_reading(&log.report, !log.events.time.is_empty(), options);
    log.report.refuse_empty_window(&options.window)?;
    Ok(log)
}

/// Says what could not be used, what had to be assumed, and where times may lie unread.
pub(crate) fn warn_of_reading(report: &ReadReport, has_times: bool, options: &ReadOptions) {
    warn_of_bad_rows(report);
    for note in &report.notes {
        warn(note);
    }
    if !has_times && !report.unused.is_empty() && options.columns.is_empty() {
        warn(&format!(
            "no column is known to be the time (not used: {}), so events keep the order of the \
             file; to name the columns: --columns {},time=NAME",
            report.unused.join(", "),
            report.columns
        ));
    }
}

/// Warns of settings that change nothing about prepared data, where `settled` says how those were made.
pub(crate) fn warn_of_settled(data: &DataSettings, settled: Option<&Settled>) {
    let Some(Settled { sessions, clean }) = settled else { return };
    let other = |said: &Option<String>, made: &str| {
        said.as_deref().is_some_and(|said| said != "auto" && said != made)
    };
    let gap = data.session_rules().map_or(sessions.gap, |rules| rules.gap);
    // A date of a window or a split is one of a zone.
    let dates = [&data.from, &data.until, &data.split].into_iter().flatten();
    let dated = dates.clone().any(|date| date.contains('-') && date.contains(char::is_numeric));
    let idle = [
        ("--sessions", other(&data.sessions, sessions.rule.name())),
        ("--gap", data.gap.is_some() && gap != sessions.gap),
        ("--columns", data.columns.is_some()),
        ("--format", other(&data.format, Format::Prepared.name())),
        ("--time-zone", data.time_zone.is_some() && !dated),
        ("--year", data.year.is_some()),
    ];
    let idle: Vec<&str> = idle.into_iter().filter(|flag| flag.1).map(|flag| flag.0).collect();
    if !idle.is_empty() {
        let gap = match sessions.rule {
            SessionRule::Gap => format!(" (of {})", seconds(sessions.gap as f64 / 1000.0)),
            _ => String::new(),
        };
        warn(&format!(
            "without effect on prepared data: {}; when they were prepared, sessions were made by {}{gap}, \
             cleaned by {clean}, and columns and times settled; prepare the log again to change that",
            idle.join(", "),
            sessions.rule.name()
        ));
    }
}

/// Says how many rows could not be used.
pub(crate) fn warn_of_bad_rows(report: &ReadReport) {
    if let Some(first) = report.bad.first.first() {
        let (some, all) = (count(report.bad.count), count(report.rows));
        warn(&format!("{some} of {all} rows could not be used; the first: {first}"));
    }
}

/// What rules have found, a line each.
pub(crate) fn findings(report: &CleanReport) -> impl Iterator<Item = String> + '_ {
    report.rules.iter().filter(|finding| finding.events + finding.groups > 0).map(|finding| {
        let of = match finding.groups {
            0 => String::new(),
            groups => format!(" of {}", count(groups)),
        };
        let out = if finding.left_out { "left out" } else { "counted and left in" };
        format!("{}: {} events{of}, {out}", finding.rule, count(finding.events))
    })
}

/// What has been filled, a line a column.
pub(crate) fn fills(report: &FillReport) -> impl Iterator<Item = String> + '_ {
    report.columns.iter().map(|column| {
        let by = |(method, times): &(String, u64)| format!("{} by {method}", count(*times));
        let mut parts: Vec<String> = column.filled.iter().map(by).collect();
        if column.dropped > 0 {
            parts.push(format!("{} events left out", count(column.dropped)));
        }
        if column.left > 0 {
            parts.push(format!("{} missing still", count(column.left)));
        }
        let missing = count(column.missing);
        format!("{}: {missing} values missing; {}", column.column, parts.join(", "))
    })
}

/// What a log is called on the page.
pub(crate) fn title(logs: &[PathBuf]) -> String {
    let name =
        |path: &Path| path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    match logs {
        [] => "A log".to_owned(),
        [log] => name(log),
        logs => format!("{} and {} more", name(&logs[0]), logs.len() - 1),
    }
}
