//! A log on a grid of time: rows of periods, and what there is to learn of them.
//!
//! ```text
//!     time:0.9     ┊ … periods of training …     ┊ hold    validation ┊ end
//!     sessions:0.9  all periods of nine tenths of the users, and those of the others
//! ```
//!
//! Every period after a user's first is a lesson: its class, from what was before it.

use std::ops::Range;

use events::{
    AFTER_PERIOD, Features, Histories, Pace, Period, Sequences, Split, Targets, Zone, waves,
};

use super::Classes;
use crate::Error;
use crate::tasks::{Following, Timetable};

const DAY: i64 = 24 * 60 * 60 * 1000;
/// Periods of all users together, at most.
const ROWS: usize = 40_000_000;
/// Periods that a log has to go on for.
const LEAST: i64 = 8;

/// Where the periods of training lie, and those of validation.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    /// Length of a period, in milliseconds.
    pub period: i64,
    /// The last period ends here.
    pub end: i64,
    /// Whether seasons have gone round in what training sees.
    pub years: bool,
    /// What training may see: it has no moments.
    pub table: Timetable,
}

impl Grid {
    /// Lays a grid over `span`, the first and the last time of a log, whose periods end with a midnight.
    ///
    /// # Errors
    ///
    /// Where the log holds too few periods, or nothing to learn from.
    pub fn new(
        (first, last): (i64, i64),
        users: usize,
        period: i64,
        zone: &Zone,
        (split, seed): (Split, u64),
    ) -> Result<Self, Error> {
        let refuse = |what: &str, reason: String| Error::Tasks { what: what.to_owned(), reason };
        // A day of which less than half has been seen is none.
        let day = last.saturating_add(DAY / 2);
        let midnight = day - zone.clock(day).rem_euclid(DAY);
        let mut end = midnight.max(first.saturating_add(1));
        let mut hold = i64::MAX;
        let mut kept = Vec::new();
        let count = |end: i64| (end - first + period - 1).div_euclid(period);
        match split {
            Split::None => (),
            Split::SessionShare(share) => kept = Timetable::draw_users(users, share, seed),
            Split::LeaveLastOut => {
                let reason = "leave-last-out holds back single events; a grid is parted by time:0.9, \
                              time:DATE or sessions:0.9";
                return Err(refuse("--split", reason.to_owned()));
            }
            Split::TimeAt(date) if date >= end => (),
            Split::TimeAt(date) => {
                hold = date;
                end = date + (end - date) / period * period;
            }
            Split::TimeShare(share) => {
                let back = ((1.0 - share) * count(end) as f64).round().max(1.0) as i64;
                hold = end - back * period;
            }
        }
        let seen = hold.min(end);
        if seen <= first || count(seen) < LEAST {
            let days = period as f64 / DAY as f64;
            return Err(refuse(
                "--grid",
                format!(
                    "training sees fewer than {LEAST} periods of {days} days; give a longer log, --grid day, \
                     or another --split"
                ),
            ));
        }
        let years = seen - first >= 365 * DAY;
        let table =
            Timetable { train: Vec::new(), validation: Vec::new(), hold, kept, notes: Vec::new() };
        Ok(Self { period, end, years, table })
    }

    /// The end of what training sees.
    pub fn seen(&self) -> i64 {
        self.table.hold.min(self.end)
    }
}

/// Rows of periods, and what is asked of them.
#[derive(Debug, Clone)]
pub struct GridLessons {
    /// The classes of periods.
    pub classes: Classes,
    /// The class of each period, user after user: they are the items of a model.
    pub sequences: Sequences,
    /// What training learns.
    pub train: Following,
    /// What validation asks.
    pub validation: Following,
}

impl GridLessons {
    /// Makes lessons of all users.
    ///
    /// # Errors
    ///
    /// Where there are more periods than memory should hold, or no order to learn from.
    pub fn new(histories: &Histories<'_>, grid: &Grid, zone: &Zone) -> Result<Self, Error> {
        let Grid { period, end, .. } = *grid;
        histories.count_periods(end, period, ROWS).map_err(|error| Error::Tasks {
            what: "--grid".to_owned(),
            reason: format!("{error}: longer periods (--grid week), or fewer users"),
        })?;
        let users = 0..histories.len();
        let rows: Vec<Vec<Period>> =
            users.clone().map(|user| histories.periods(user, end, period)).collect();
        // Periods that end after the hold; training sees none of them.
        let hidden = ((end - grid.seen()) / period) as usize;
        let seen = |user: usize| match grid.table.learns_from(user) {
            true => rows[user].len().saturating_sub(hidden),
            false => 0,
        };
        let learned = users.clone().flat_map(|user| &rows[user][..seen(user)]);
        if learned.clone().all(|period| period.orders == 0) {
            let reason =
                "no user has an order in what training sees; name other purchases (--buys)";
            return Err(Error::Tasks { what: "--grid".to_owned(), reason: reason.to_owned() });
        }
        let classes = Classes::of(learned);
        let mut items = Vec::new();
        let mut offsets = vec![0];
        for row in &rows {
            items.extend(row.iter().map(|period| classes.class(period)));
            offsets.push(items.len());
        }
        let sequences = Sequences {
            log_items: items.clone(),
            items,
            offsets,
            starts: Vec::new(),
            targets: Targets::All,
            features: Features::default(),
            other: None,
        };
        let by_time = grid.table.hold < i64::MAX;
        let asked = |user: usize, validation: bool| -> Range<u32> {
            let all = rows[user].len();
            let known = all.saturating_sub(hidden);
            let range = match (validation, grid.table.learns_from(user)) {
                (false, true) => 0..known.saturating_sub(1),
                (true, true) if by_time => known.saturating_sub(1)..all.saturating_sub(1),
                (true, false) => 0..all.saturating_sub(1),
                _ => 0..0,
            };
            range.start as u32..range.end as u32
        };
        let following = |validation: bool| {
            let (mut events, mut known) = (Vec::new(), Vec::new());
            for user in users.clone() {
                let asked = asked(user, validation);
                let first = end - rows[user].len() as i64 * period;
                after(&rows[user], &asked, &classes, &mut known, |row| {
                    waves(first + (row as i64 + 1) * period, period, zone, grid.years)
                });
                events.push(asked);
            }
            let classes = sequences.items.clone();
            Following { events, classes, known, width: AFTER_PERIOD.len() }
        };
        let (train, validation) = (following(false), following(true));
        Ok(Self { classes, train, validation, sequences })
    }
}

/// Adds what is known after each of some periods of a row.
fn after(
    row: &[Period],
    asked: &Range<u32>,
    classes: &Classes,
    known: &mut Vec<f64>,
    next: impl Fn(usize) -> [f64; events::WAVES],
) {
    let mut pace = Pace::default();
    for (place, period) in row.iter().take(asked.end as usize).enumerate() {
        pace.add(period, classes.orders_of(period));
        if place >= asked.start as usize {
            known.extend(pace.numbers(&next(place)));
        }
    }
}
