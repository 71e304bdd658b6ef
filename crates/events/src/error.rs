//! What can be wrong with a log, with the way it was asked for, or with stored counts.

use std::io;

use crate::time::format_time;

/// An error that says what is wrong, where, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder cannot be opened.
    #[error("{path}: cannot be opened: {source}; check the path and its permissions")]
    Open {
        /// The path as it was given.
        path: String,
        /// What the system says.
        source: io::Error,
    },
    /// Reading stopped in the middle: a truncated or damaged file.
    #[error(
        "{path}, after line {line}: reading broke off: {source}; the file looks cut short or \
         damaged: fetch it again"
    )]
    Read {
        /// The path as it was given.
        path: String,
        /// The last line that was read whole.
        line: u64,
        /// What the system or the decompressor says.
        source: io::Error,
    },
    /// A file name promises a compression that the content does not have.
    #[error("{path}: named like a {name} file, but the content is not {name}; rename it")]
    NotCompressed {
        /// The path as it was given.
        path: String,
        /// `gzip` or `zstd`.
        name: &'static str,
    },
    /// Looking at the head of a file did not tell what it is.
    #[error("{path}: format not recognised: {saw}; {remedy}")]
    Unrecognised {
        /// The path as it was given.
        path: String,
        /// What the head looks like.
        saw: String,
        /// What to do about it.
        remedy: String,
    },
    /// A file of columns contradicts itself, or is not what it was said to be.
    #[error(
        "{path}: not a whole {name} file, or one with something in it that is not read here: \
         {reason}; fetch it again or write it anew"
    )]
    Columnar {
        /// The path as it was given.
        path: String,
        /// `Parquet` or `Arrow`.
        name: &'static str,
        /// What the decoder says.
        reason: String,
    },
    /// A column of a Parquet or Arrow file holds what is no text, number or time.
    #[error(
        "{path}: the column {column:?} is of the type {kind}, which is neither text nor number nor \
         time; write it as one of them, or name another with --columns"
    )]
    ColumnType {
        /// The path as it was given.
        path: String,
        /// The column.
        column: String,
        /// Its type.
        kind: String,
    },
    /// A layout whose table of contents stands at its end, and no way to begin there.
    #[error(
        "{path}: this layout is read from its end, so not from a pipe and not through gzip or zstd; \
         give the path of the file itself"
    )]
    NotPlain {
        /// The path as it was given.
        path: String,
    },
    /// A file cannot be written, or read back.
    #[error("{path}: cannot be written: {source}; is there room and permission?")]
    Write {
        /// The path.
        path: String,
        /// What the system says.
        source: io::Error,
    },
    /// A folder of prepared data contradicts itself.
    #[error("{path}: damaged prepared data: {reason}; prepare the log again")]
    Prepared {
        /// The path.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A folder of prepared data that another version has written.
    #[error(
        "{path}: prepared by another version of this program (layout {layout}, and this one reads \
         {reads}); prepare the log again"
    )]
    OtherLayout {
        /// The path.
        path: String,
        /// Its layout.
        layout: u32,
        /// The one that can be read.
        reads: u32,
    },
    /// Test cases where sessions are needed.
    #[error(
        "the log holds `prefix<TAB>target` cases, which are there to be scored; train on sessions or \
         events, and give these to `tidegate evaluate`"
    )]
    TestCases,
    /// No event of a log is a purchase.
    #[error(
        "no event is known to be a purchase (--buys {rule}; kinds of the log: {}); name the kinds that \
         are with --buys KIND,KIND, or say --buys every for a log of purchases alone",
        if kinds.is_empty() { "none" } else { kinds.as_str() }
    )]
    NoPurchases {
        /// What was to be a purchase.
        rule: String,
        /// The first kinds of the log.
        kinds: String,
    },
    /// A log in which no whole horizon lies behind an event.
    #[error(
        "the log goes from {} to {}, which leaves no event before a whole horizon of {:.2} days; give a \
         longer log or a shorter --horizon",
        format_time(*first), format_time(*last), *horizon as f64 / 86_400_000.0
    )]
    ShortLog {
        /// Its first time.
        first: i64,
        /// Its last time.
        last: i64,
        /// How far one was to look ahead, in milliseconds.
        horizon: i64,
    },
    /// The window leaves nothing of a log.
    #[error(
        "none of the {rows} rows lies between --from and --until ({}); `tidegate inspect` without \
         them says which times there are",
        span(*from, *until)
    )]
    NothingInside {
        /// Rows in all.
        rows: u64,
        /// Where it begins.
        from: Option<i64>,
        /// Where it ends.
        until: Option<i64>,
    },
    /// Prepared data stand alone.
    #[error("{path}: prepared data, which are read alone; give nothing but this folder")]
    NotAlone {
        /// The path.
        path: String,
    },
    /// More sessions than numbers of 32 bits.
    #[error("the log has more than four thousand million sessions; prepare it in parts")]
    TooManySessions,
    /// Whoever was to keep the rows has stopped: it has an error of its own to tell.
    #[error("reading was stopped")]
    Stopped,
    /// A file that is no text of lines, whatever its layout.
    #[error("{path}: {saw}; {remedy}")]
    NotText {
        /// The path as it was given.
        path: String,
        /// What it looks like.
        saw: &'static str,
        /// What to do about it.
        remedy: &'static str,
    },
    /// A table that holds lists where there should be events.
    #[error(
        "{path}: {column} holds a list of items and each row a case cut from a sequence, which would \
         be counted again and again as events; give the file that it was made from, one row an event"
    )]
    Lists {
        /// The path as it was given.
        path: String,
        /// The column.
        column: String,
    },
    /// Two files of one log are of different kinds.
    #[error("{path}: {found}, but {first}: {expected}; read them one at a time")]
    Mixed {
        /// The file that differs.
        path: String,
        /// What it is.
        found: String,
        /// The file that came first.
        first: String,
        /// What that one is.
        expected: String,
    },
    /// A column that is needed is not there.
    #[error(
        "{path}: no column for {role} among {header}; name it with --columns, such as \
         --columns {role}=NAME"
    )]
    NoColumn {
        /// The path as it was given.
        path: String,
        /// What the column is for.
        role: String,
        /// The columns that are there.
        header: String,
    },
    /// A further column that was asked for is not there.
    #[error("{path}: no column {column:?} among {header}; name one that is there")]
    NoFurtherColumn {
        /// The path as it was given.
        path: String,
        /// Its name as it was asked for.
        column: String,
        /// The columns that are there.
        header: String,
    },
    /// Too many rows could not be used.
    #[error(
        "{bad} of {rows} rows are bad, more than --max-bad {max} allows; the first: {first}; {remedy}, \
         or raise --max-bad"
    )]
    TooManyBad {
        /// Rows that could not be used.
        bad: u64,
        /// Rows in all.
        rows: u64,
        /// The share that is allowed.
        max: f64,
        /// The first few, each with file, line and reason.
        first: String,
        /// What helps against the most common reason.
        remedy: String,
    },
    /// There is nothing to read.
    #[error("{path}: no rows; give a log that has some, and whose lines end in LF or CRLF")]
    Empty {
        /// The path as it was given.
        path: String,
    },
    /// Something needs times and the log has none.
    #[error("{what} needs times, and this log has none; leave it out or map the time column")]
    NoTimes {
        /// The flag or rule that needs them.
        what: String,
    },
    /// Something needs a user or a session key and the log has none.
    #[error("{what}, and this log has none; map one with --columns")]
    NoKey {
        /// The rule and what it needs.
        what: String,
    },
    /// A flag's value cannot be understood: the command line is wrong, not the log.
    #[error("{flag} {value:?}: {reason}")]
    Flag {
        /// The flag.
        flag: &'static str,
        /// Its value.
        value: String,
        /// What it should be.
        reason: String,
    },
    /// A table beside the log cannot be used.
    #[error("{path} line {line}: {reason}; mend the file")]
    Side {
        /// The path as it was given.
        path: String,
        /// The line, counted from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// A feature or a rule asks for something that the log does not have.
    #[error("{what}: {reason}")]
    Absent {
        /// The feature or rule as it was written.
        what: String,
        /// What is not there, and what to do.
        reason: String,
    },
    /// What was asked for would not fit into memory.
    #[error("{what}: {found} numbers, and at most {max} are allowed; ask for less")]
    TooLarge {
        /// What was asked for.
        what: &'static str,
        /// How much that would be.
        found: u64,
        /// How much is allowed.
        max: u64,
    },
    /// Counts or a vocabulary read back from a model file contradict themselves.
    #[error("{what}: {reason}; the model file is damaged: train it again or fetch it again")]
    Stored {
        /// The tensor or table.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

/// A window in words.
fn span(from: Option<i64>, until: Option<i64>) -> String {
    let [from, until] = [(from, "from"), (until, "until")]
        .map(|(at, side)| at.map(|at| format!("{side} {}", format_time(at))));
    from.into_iter().chain(until).collect::<Vec<_>>().join(" ")
}

impl Error {
    /// Whether the command line is wrong (exit code 2) rather than the data (exit code 1).
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Flag { .. })
    }
}
