//! Logs larger than memory: events are grouped on the disk and written once, session after session.
//!
//! ```text
//!     rows ──→ spill: 256 parts by a hash of the user, whole users together
//!                │   (in memory up to a budget, then appended to a file a part)
//!     one part ──→ Log ─→ Sessions, each with its events            gather
//!                │   a run a part: its sessions by start
//!     all runs ──→ merged by start ──→ events, sessions, names      write
//! ```
//!
//! Nothing but the names of items, kinds, categories and words stays in memory all the time. The parts
//! are the same whatever the budget, and runs are merged by (start, first row of the log): the same log
//! gives the same bytes, with any budget. What is written is described where it is written
//! (`write`), and read back as a log like any other (`load`).

mod gather;
mod load;
mod record;
mod spill;
mod table;
mod write;

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub(crate) use load::is_prepared;
pub(crate) use load::load;

use crate::{
    Check, CleanReport, CleanRule, CleanRules, Error, Format, Progress, ReadOptions, ReadReport,
    SessionOptions, Watch, read_into,
};
use gather::Gather;
use spill::Spill;

/// How a log is prepared.
#[derive(Debug, Clone, PartialEq)]
pub struct PrepareOptions {
    /// How it is read.
    pub read: ReadOptions,
    /// What makes events one session.
    pub sessions: SessionOptions,
    /// What is left out first. Users stay whole in their part, so a rule about users or sessions finds
    /// what it would find in the whole log; one about the times of the whole log cannot be had here.
    /// None: nothing is left out, and what is counted where nobody has asked is none of the data's.
    pub clean: Option<CleanRules>,
    /// Bytes of events that are held in memory, about; more go to the disk.
    pub memory: usize,
    /// Threads that put events in order. They change nothing but the time it takes.
    pub threads: usize,
}

/// What has come of it.
#[derive(Debug, Clone, Serialize)]
pub struct Prepared {
    /// Events written.
    pub events: u64,
    /// Sessions they make.
    pub sessions: u64,
    /// Distinct items.
    pub items: u64,
    /// Bytes of events that went to the disk on their way.
    pub spilled: u64,
    /// What each rule has found.
    pub clean: CleanReport,
    /// Whether the log has times.
    #[serde(skip)]
    pub has_times: bool,
    /// How reading went.
    #[serde(skip)]
    pub report: ReadReport,
}

/// What a prepared folder says of itself, in `prepared.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Card {
    /// The layout of the folder: [`LAYOUT`].
    pub layout: u32,
    /// The layout of the log.
    pub format: String,
    pub rows: u64,
    pub bad_rows: u64,
    pub outside: u64,
    pub events: u64,
    pub sessions: u64,
    pub items: u64,
    /// `key`, `gap` or `user`: what made events one session.
    pub rule: String,
    /// The longest pause inside a session, in milliseconds.
    pub gap: i64,
    /// The rules that were asked for, as they are written; `none` where there were none.
    pub clean: String,
    pub has_times: bool,
    pub has_users: bool,
    pub labels: Vec<String>,
    pub numbers: Vec<String>,
}

/// The version of the layout.
pub(crate) const LAYOUT: u32 = 2;
/// The file that makes a folder a prepared one.
pub const CARD: &str = "prepared.json";
pub(crate) const EVENTS: &str = "events.parquet";
pub(crate) const SESSIONS: &str = "sessions.parquet";
pub(crate) const NAMES: &str = "names.parquet";
/// The others in it.
pub const TABLES: [&str; 3] = [EVENTS, SESSIONS, NAMES];

/// Reads a log of any size and writes its events, session after session, into the folder `out`, which
/// must be there; what lies in it under the same names is replaced.
///
/// # Errors
///
/// As [`read_into`]; where the rule for sessions needs what the log has not; where the disk is full.
pub fn prepare(
    paths: &[PathBuf],
    options: &PrepareOptions,
    out: &Path,
    watch: Watch<'_>,
) -> Result<Prepared, Error> {
    let temporary = out.join(".spill");
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |source| Error::Write { path, source }
    };
    let _ = fs::remove_dir_all(&temporary);
    fs::create_dir_all(&temporary).map_err(failed(&temporary))?;
    let result = prepare_in(paths, options, out, &temporary, watch);
    let _ = fs::remove_dir_all(&temporary);
    result
}

fn prepare_in(
    paths: &[PathBuf],
    options: &PrepareOptions,
    out: &Path,
    temporary: &Path,
    watch: Watch<'_>,
) -> Result<Prepared, Error> {
    let of_whole_log = |rule: &&CleanRule| matches!(rule.check, Check::Times { .. });
    let rules = match &options.clean {
        Some(rules) => rules.clone(),
        None => {
            let rules = CleanRules::default().0.into_iter();
            CleanRules(rules.filter(|rule| !of_whole_log(&rule)).collect())
        }
    };
    if let Some(rule) = rules.0.iter().find(of_whole_log) {
        let reason = "looks at the times of the whole log, which is not in memory here; cut it with \
                      --from and --until";
        let (flag, reason) = ("--clean", reason.to_owned());
        return Err(Error::Flag { flag, value: rule.to_string(), reason });
    }
    let further = &options.read.further;
    let mut spill = Spill::new(temporary, options.memory, further);
    let report = read_into(paths, &options.read, &mut spill, watch)?;
    if report.format == Format::Pairs {
        return Err(Error::TestCases);
    }
    report.refuse_empty_window(&options.read.window)?;
    let spilled = spill.spilled();
    let (parts, names) = spill.finish();
    let rule = names.resolve(options.sessions.rule)?;
    let sessions = SessionOptions { rule, ..options.sessions };
    let (memory, threads) = (options.memory, options.threads);
    let gather = Gather { names: &names, sessions: &sessions, clean: &rules, threads, memory };
    let (runs, clean) = gather.all(parts, temporary, watch)?;
    let aside: u64 = report.aside.iter().map(|&(_, count)| count).sum();
    let all = report.rows.saturating_sub(report.bad.count + report.outside + aside);
    let mut written = |events| watch(Progress::Writing { events, of: all });
    let (events, session_count) = write::write(runs, &names, further, out, &mut written)?;
    let card = Card {
        layout: LAYOUT,
        format: report.format.name().to_owned(),
        rows: report.rows,
        bad_rows: report.bad.count,
        outside: report.outside,
        events,
        sessions: session_count,
        items: names.items.len() as u64,
        rule: rule.name().to_owned(),
        gap: sessions.gap,
        clean: options.clean.as_ref().map_or("none".to_owned(), CleanRules::to_string),
        has_times: names.has.time,
        has_users: names.has.user,
        labels: further.labels.clone(),
        numbers: further.numbers.clone(),
    };
    write::card(&card, out)?;
    let (has_times, items, sessions) = (names.has.time, card.items, session_count);
    Ok(Prepared { events, sessions, items, spilled, clean, has_times, report })
}
