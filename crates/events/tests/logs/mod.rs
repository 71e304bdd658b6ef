//! Small logs, written into a folder of their own and read back.

#![allow(dead_code)]

use std::io::Write;
use std::path::PathBuf;

use events::time::format_time;
use events::{Error, Format, Log, NONE, ReadOptions, SessionOptions, Sessions, read};
use tempfile::TempDir;

/// A folder with one file in it.
pub(crate) fn file(name: &str, content: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    (folder, path)
}

thread_local! {
    /// Where the logs of a test stand, one after the other: some tests read thousands, so in memory
    /// where the system has a folder for that.
    static FOLDER: TempDir = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap();
}

/// A log that is one file of this content.
pub(crate) fn try_read(content: impl AsRef<[u8]>, options: &ReadOptions) -> Result<Log, Error> {
    let path = FOLDER.with(|folder| folder.path().join("log"));
    std::fs::write(&path, content).unwrap();
    read(&[path], options)
}

/// The same, found by looking.
pub(crate) fn take(content: impl AsRef<[u8]>) -> Log {
    try_read(content, &ReadOptions::default()).unwrap()
}

/// The same in a layout that is named, whatever share of its rows is bad.
pub(crate) fn take_as(format: Format, content: impl AsRef<[u8]>) -> Log {
    try_read(content, &named(format)).unwrap()
}

/// Options that name a layout and put up with any bad row.
pub(crate) fn named(format: Format) -> ReadOptions {
    ReadOptions { format: Some(format), max_bad: 1.0, ..ReadOptions::default() }
}

/// Each event as `user item kind time`, as far as the log has them.
pub(crate) fn events(log: &Log) -> Vec<String> {
    let name = |column: &[u32], event: usize, names: &events::Names| {
        let id = column.get(event).copied().filter(|&id| id != NONE)?;
        Some(names.get(id).to_owned())
    };
    (0..log.events.len())
        .map(|event| {
            let mut text = Vec::new();
            text.extend(name(&log.events.user, event, &log.users));
            text.extend(name(&log.events.item, event, &log.items));
            text.extend(name(&log.events.kind, event, &log.kinds));
            text.extend(log.events.time.get(event).map(|&time| format_time(time)));
            text.join(" ")
        })
        .collect()
}

/// The items of each session.
pub(crate) fn sessions(log: &Log) -> Vec<String> {
    let sessions = Sessions::from_log(log, &SessionOptions::default()).unwrap();
    let names = |session: &[u32]| {
        session.iter().map(|&item| log.items.get(item)).collect::<Vec<_>>().join(" ")
    };
    sessions.iter().map(names).collect()
}

/// Line and reason of each bad row.
pub(crate) fn bad(log: &Log) -> Vec<(u64, &'static str)> {
    log.report.bad.first.iter().map(|row| (row.line, row.reason)).collect()
}

/// Rows, where each is an event, bad, outside, or left aside.
pub(crate) fn accounted(log: &Log) -> u64 {
    let aside: u64 = log.report.aside.iter().map(|(_, count)| count).sum();
    log.events.len() as u64 + log.report.bad.count + log.report.outside + aside
}

/// One gzip member.
pub(crate) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// Small logs of each layout, made by hand, with the names of their formats: `tmall.older` is the
/// older one of two.
pub(crate) fn corpus() -> Vec<(Format, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let log = |path: PathBuf| {
        let format = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
        (format, std::fs::read(path).unwrap())
    };
    paths.into_iter().map(log).collect()
}
