//! What a log holds, in numbers.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::{BadRow, Dropped, Error, Format, Log, SessionOptions};

/// The result of `inspect`.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// The layout.
    pub format: Format,
    /// The files, in the order in which they were read.
    pub files: Vec<String>,
    /// Rows in all, bad ones and ones outside `--from`/`--until` too.
    pub rows: u64,
    /// Rows that could not be used.
    pub bad_rows: u64,
    /// How many for each reason.
    #[serde(serialize_with = "map")]
    pub bad_row_reasons: Vec<(String, u64)>,
    /// The first few of them.
    pub first_bad_rows: Vec<BadRow>,
    /// Rows that `--from`/`--until` left out.
    pub outside: u64,
    /// Events.
    pub events: u64,
    /// Users; 0 where the log names none.
    pub users: u64,
    /// Sessions, before any is left out for being short.
    pub sessions: u64,
    /// Items.
    pub items: u64,
    /// Events of each kind in the log's own spelling, most frequent first; empty where the log
    /// does not say.
    #[serde(serialize_with = "map")]
    pub kinds: Vec<(String, u64)>,
    /// Time of the first event, ISO 8601; null where the log has no times.
    pub first: Option<String>,
    /// Time of the last event.
    pub last: Option<String>,
    /// Events a session.
    pub lengths: Lengths,
    /// Items that come again within a session.
    pub repeats: Repeats,
    /// What `--min-support` and `--min-length` would leave out.
    pub dropped: Dropped,
}

/// How long sessions are.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Lengths {
    /// Events a session, on average.
    pub mean: f64,
    /// The length that half of the sessions do not exceed.
    pub median: u64,
    /// Likewise for nine tenths.
    pub p90: u64,
    /// Likewise for 99 of 100.
    pub p99: u64,
    /// The longest.
    pub max: u64,
}

/// How often an event after the first of its session brings nothing new, as a share of those.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Repeats {
    /// The item came before in the session.
    pub seen_before: f64,
    /// It is the item just before.
    pub same_as_last: f64,
}

impl Summary {
    /// Sums up a log.
    ///
    /// # Errors
    ///
    /// As [`Sessions::from_log`](crate::Sessions::from_log).
    pub fn new(
        log: &Log,
        options: &SessionOptions,
        min_support: u32,
        min_length: usize,
    ) -> Result<Self, Error> {
        let _ = (log, options, min_support, min_length);
        unimplemented!()
    }
}

fn map<S: Serializer>(entries: &[(String, u64)], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(entries.len()))?;
    for (name, count) in entries {
        map.serialize_entry(name, count)?;
    }
    map.end()
}
