//! What a log holds, in numbers.
//!
//! [`Summary`] is the short answer. A [`Report`] is the long one, a file a subject: `calendar` when
//! things happen, `lengths` how long sessions and pauses are, `popularity` how events fall on items and
//! how fast new ones come, `repeats` what comes again, `kinds` who gets how far, `missing` what columns
//! lack, `suspicious` who is no human being, and `advice` what to do about it all. Each goes over the
//! events once or twice, by number and never by name.

mod advice;
mod calendar;
mod kinds;
mod lengths;
mod missing;
mod popularity;
mod repeats;
mod spread;
mod suspicious;
#[cfg(test)]
mod tests;
mod words;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

pub use advice::{Advice, flags};
use calendar::Cells;
pub use calendar::{Calendar, Silence, Tick};
pub use kinds::{Funnel, KindCount, Kinds, Stage};
pub use lengths::{Pauses, SessionLengths};
pub use missing::{ColumnReport, Holds};
pub use popularity::{Novelty, Popularity, Rare};
pub use repeats::{Repeats, RepeatsAt};
pub use spread::{Bin, Spread};
pub use suspicious::{Busy, Judged, Suspicious};

use crate::sessions::resolve;
use crate::time::format_time;
use crate::timeline::Timed;
use crate::{
    BadRow, Dropped, Error, Format, Log, NONE, SessionOptions, SessionRule, Sessions, Zone,
};

/// The result of `inspect`.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// The layout.
    pub format: Format,
    /// The files, in the order in which they were read.
    pub files: Vec<String>,
    /// What the header of a table was taken for.
    #[serde(serialize_with = "map")]
    pub columns: Vec<(String, String)>,
    /// The names in the header that were taken for nothing.
    pub unused_columns: Vec<String>,
    /// Rows in all, bad ones and ones outside `--from`/`--until` too.
    pub rows: u64,
    /// Rows that could not be used.
    pub bad_rows: u64,
    /// How many for each reason.
    #[serde(serialize_with = "map")]
    pub bad_row_reasons: Vec<(String, u64)>,
    /// The first few of them.
    pub first_bad_rows: Vec<BadRow>,
    /// Rows that tell of no event by a habit of the layout, by reason.
    #[serde(serialize_with = "map")]
    pub left_aside: Vec<(String, u64)>,
    /// What had to be assumed to read the log.
    pub notes: Vec<String>,
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
    /// The further columns that were asked for.
    pub further: Vec<FurtherColumn>,
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

/// A further column of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FurtherColumn {
    /// Its name.
    pub name: String,
    /// Different words; none for a column of numbers.
    pub words: Option<u64>,
    /// Events without an entry.
    pub missing: u64,
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

/// What a page about a log shows beside its [`Summary`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The zone whose clock tells hours, weekdays and days.
    pub time_zone: String,
    /// What makes a session: `key`, `gap` or `user`.
    pub sessions_by: &'static str,
    /// When things happen; none where the log has no times.
    pub calendar: Option<Calendar>,
    /// How long sessions are.
    pub lengths: SessionLengths,
    /// How long pauses are; none where the log has no times.
    pub pauses: Option<Pauses>,
    /// How events fall on items.
    pub popularity: Popularity,
    /// How fast new items come.
    pub novelty: Novelty,
    /// What comes again, by its place in the session.
    pub repeats: Vec<RepeatsAt>,
    /// From one kind of event to the next; none where the log does not say.
    pub kinds: Option<Kinds>,
    /// What columns hold and lack.
    pub columns: Vec<ColumnReport>,
    /// Who does not behave like a human being.
    pub suspicious: Suspicious,
    /// Why no model can be trained on it; none where one can.
    pub untrainable: Option<&'static str>,
    /// What to do about it all.
    pub advice: Vec<Advice>,
}

impl Report {
    /// Looks at a log from all sides. `sessions` are those that `options` make of it, `summary` is of
    /// them; `zone` is that of the clock that tells hours and days.
    ///
    /// # Errors
    ///
    /// As [`Sessions::from_log`](crate::Sessions::from_log).
    pub fn new(
        log: &Log,
        sessions: &Sessions,
        summary: &Summary,
        options: &SessionOptions,
        zone: &Zone,
    ) -> Result<Self, Error> {
        let rule = resolve(options.rule, log)?;
        let cells = Cells::of(log, zone);
        let calendar = cells.calendar();
        let lines = Timed::of_users(log);
        let gap = (rule == SessionRule::Gap).then_some(options.gap);
        let pauses = Pauses::of(log, &lines, sessions, gap);
        let tick = calendar.as_ref().map(|calendar| calendar.tick);
        let at_once = pauses.as_ref().map_or(0.0, Pauses::at_once);
        let mut report = Self {
            time_zone: zone.name().to_owned(),
            sessions_by: rule.name(),
            suspicious: Suspicious::of(log, &lines, sessions, tick, at_once),
            calendar,
            lengths: SessionLengths::of(log, sessions),
            pauses,
            popularity: Popularity::of(log),
            novelty: Novelty::of(log, sessions, &cells),
            repeats: repeats::count(sessions, log.items.len()).1,
            kinds: Kinds::of(log, sessions),
            columns: missing::columns(log),
            untrainable: advice::untrainable(log, sessions),
            advice: Vec::new(),
        };
        let facts =
            advice::Facts { log, sessions, summary, report: &report, cells: &cells, zone, rule };
        report.advice = advice::advice(&facts);
        Ok(report)
    }
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
        let sessions = Sessions::from_log(log, options)?;
        Ok(Self::of(log, &sessions, min_support, min_length))
    }

    /// The same of sessions that are made already.
    pub fn of(log: &Log, sessions: &Sessions, min_support: u32, min_length: usize) -> Self {
        let (_, dropped) = sessions.keep(min_support, min_length);
        let (events, report) = (&log.events, &log.report);
        let reasons = |counts: &[(&str, u64)]| {
            counts.iter().map(|&(reason, count)| (reason.to_owned(), count)).collect()
        };
        let iso = |time: Option<&i64>| time.map(|&time| format_time(time));
        Self {
            format: report.format,
            files: report.files.clone(),
            columns: report
                .columns
                .iter()
                .map(|(role, name)| (role.name().to_owned(), name.to_owned()))
                .collect(),
            unused_columns: report.unused.clone(),
            rows: report.rows,
            bad_rows: report.bad.count,
            bad_row_reasons: reasons(&report.bad.reasons),
            first_bad_rows: report.bad.first.iter().take(10).cloned().collect(),
            left_aside: reasons(&report.aside),
            notes: report.notes.clone(),
            outside: report.outside,
            events: events.len() as u64,
            users: log.users.len() as u64,
            sessions: sessions.len() as u64,
            items: log.items.len() as u64,
            kinds: kinds(log),
            further: further(log),
            first: iso(events.time.iter().min()),
            last: iso(events.time.iter().max()),
            lengths: Lengths::of(sessions),
            repeats: repeats::count(sessions, log.items.len()).0,
            dropped,
        }
    }
}

impl Lengths {
    fn of(sessions: &Sessions) -> Self {
        let mut lengths: Vec<u64> = sessions.iter().map(|session| session.len() as u64).collect();
        lengths.sort_unstable();
        let n = lengths.len();
        // The smallest length that at least this share of the sessions does not exceed.
        let quantile = |hundredths: usize| match n {
            0 => 0,
            _ => lengths[(hundredths * n).div_ceil(100) - 1],
        };
        Self {
            mean: share(sessions.events(), n),
            median: quantile(50),
            p90: quantile(90),
            p99: quantile(99),
            max: quantile(100),
        }
    }
}

fn kinds(log: &Log) -> Vec<(String, u64)> {
    let mut counts = vec![0u64; log.kinds.len()];
    for &kind in log.events.kind.iter().filter(|&&kind| kind != NONE) {
        counts[kind as usize] += 1;
    }
    let mut kinds: Vec<_> = log.kinds.iter().map(str::to_owned).zip(counts).collect();
    kinds.sort_by_key(|kind| std::cmp::Reverse(kind.1));
    kinds
}

fn further(log: &Log) -> Vec<FurtherColumn> {
    let labels = log.labels.iter().map(|column| FurtherColumn {
        name: column.name.clone(),
        words: Some(column.names.len() as u64),
        missing: column.values.iter().filter(|&&value| value == NONE).count() as u64,
    });
    let numbers = log.numbers.iter().map(|column| FurtherColumn {
        name: column.name.clone(),
        words: None,
        missing: column.values.iter().filter(|value| value.is_nan()).count() as u64,
    });
    labels.chain(numbers).collect()
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn map<S: Serializer, V: Serialize>(
    entries: &[(String, V)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(entries.len()))?;
    for (name, value) in entries {
        map.serialize_entry(name, value)?;
    }
    map.end()
}
