//! When training asks and when validation does, and what each of them may see.
//!
//! ```text
//!     time:0.9     ┊at_1 ┊at_2 ┊at_3        ┊at_4 = hold          ┊ end of the log
//!                  └─ horizon ─┘ …          └───── horizon ───────┘
//!                  training asks where the horizon ends      validation asks here, and of every user
//!                  before the hold; it sees no event after
//!
//!     sessions:0.9 all moments, nine tenths of the users     the other users
//! ```

use std::ops::Range;

use events::{BuyRule, Cuts, Histories, Log, NONE, Sessions, Split, Zone};

use super::{Asked, Task};
use crate::Error;

const DAY: i64 = 24 * 60 * 60 * 1000;

/// How labels are to be cut from a log.
#[derive(Debug, Clone)]
pub struct Request {
    /// The tasks.
    pub tasks: Vec<Task>,
    /// How far one looks ahead, in milliseconds; 0 where no task is asked at moments.
    pub horizon: i64,
    /// Moments; empty: as many as fit.
    pub at: Vec<i64>,
    /// What lies between two moments, where they are not named.
    pub stride: Option<i64>,
    /// Moments at most, likewise.
    pub most: usize,
    /// Which events are purchases.
    pub buys: BuyRule,
    /// Where the clock hangs by which days begin.
    pub zone: Zone,
    /// What is kept for validation.
    pub split: Split,
    /// Draws users, where they are parted.
    pub seed: u64,
}

/// When training and validation ask.
#[derive(Debug, Clone, PartialEq)]
pub struct Timetable {
    /// Moments of training, rising.
    pub train: Vec<i64>,
    /// Moments of validation, rising.
    pub validation: Vec<i64>,
    /// Training sees no event from this time on.
    pub hold: i64,
    /// Whether each user is kept for validation; empty where users are not parted.
    pub kept: Vec<bool>,
    /// What was done otherwise than asked for.
    pub notes: Vec<String>,
}

impl Timetable {
    /// Sets the moments for the users of a log.
    ///
    /// # Errors
    ///
    /// Where the log is too short for the horizon, a moment lies outside, or nothing is left to learn
    /// from.
    pub fn new(log: &Log, users: &Sessions, request: &Request) -> Result<Self, Error> {
        let refuse = |what: &str, reason: String| Error::Tasks { what: what.to_owned(), reason };
        let times = users.log_events().iter().filter_map(|&event| log.time(event));
        let Some(span) = times.fold(None, |span: Option<(i64, i64)>, time| {
            Some(span.map_or((time, time), |(first, last)| (first.min(time), last.max(time))))
        }) else {
            let reason = "the log has no times, and answers are about what comes after a moment; name \
                          the column of times with --columns time=NAME";
            return Err(refuse("--task", reason.to_owned()));
        };
        let cuts = Self::cuts(span, request)?;
        let mut table = Self {
            train: cuts.at.clone(),
            validation: Vec::new(),
            hold: i64::MAX,
            kept: Vec::new(),
            notes: Vec::new(),
        };
        match request.split {
            Split::None => (),
            Split::SessionShare(share) => table.part_users(users.len(), share, request.seed),
            Split::LeaveLastOut => {
                let reason = "leave-last-out holds back single events; labels of a horizon are parted by \
                              time:0.9, time:DATE or sessions:0.9";
                return Err(refuse("--split", reason.to_owned()));
            }
            Split::TimeAt(date) => {
                table.part_at(&cuts, date);
                if table.train.is_empty() && !cuts.at.is_empty() {
                    let reason = "no moment is left for training: the horizon of each reaches beyond \
                                  that date; choose a later one, or --split sessions:0.9";
                    return Err(refuse("--split", reason.to_owned()));
                }
            }
            Split::TimeShare(share) => {
                let date = match cuts.at.len() {
                    0 => nth_time(log, users, share),
                    n => {
                        let kept = ((1.0 - share) * n as f64).round().max(1.0) as usize;
                        cuts.at[n - kept.min(n)]
                    }
                };
                table.part_at(&cuts, date);
                if table.train.is_empty() && !cuts.at.is_empty() {
                    table.train = cuts.at.clone();
                    table.validation.clear();
                    table.hold = i64::MAX;
                    table.part_users(users.len(), share, request.seed);
                    table.notes.push(format!(
                        "the log is too short to hold back a horizon of {:.2} days: a share of the users \
                         is held back instead, as --split sessions:{share} does",
                        request.horizon as f64 / DAY as f64
                    ));
                }
            }
        }
        Ok(table)
    }

    fn cuts(span: (i64, i64), request: &Request) -> Result<Cuts, Error> {
        let horizon = request.horizon;
        if !request.tasks.iter().any(|task| task.is_at_moment()) {
            return Ok(Cuts { at: Vec::new(), horizon });
        }
        if request.at.is_empty() {
            let quarter = match horizon / 4 {
                short if horizon < DAY => short,
                long => (long + DAY - 1) / DAY * DAY,
            };
            let stride = request.stride.unwrap_or(quarter);
            return Ok(Cuts::fitting(span, horizon, stride, request.most, &request.zone)?);
        }
        let mut at = request.at.clone();
        at.sort_unstable();
        at.dedup();
        let cuts = Cuts { at, horizon };
        for &moment in &cuts.at {
            if moment <= span.0 || !cuts.is_seen(moment, span.1) {
                let show = events::time::format_time;
                return Err(Error::Tasks {
                    what: format!("--at {}", show(moment)),
                    reason: format!(
                        "the log goes from {} to {}: it has to begin before the moment, and to go on to \
                         its horizon, {}",
                        show(span.0),
                        show(span.1),
                        show(moment.saturating_add(horizon))
                    ),
                });
            }
        }
        Ok(cuts)
    }

    /// Keeps the moments from a date on for validation; training sees nothing from there on.
    fn part_at(&mut self, cuts: &Cuts, date: i64) {
        self.validation = cuts.at.iter().copied().filter(|&at| at >= date).collect();
        self.hold = date;
        self.train = cuts.before(self.hold).collect();
    }

    fn part_users(&mut self, users: usize, share: f64, seed: u64) {
        self.validation = self.train.clone();
        self.kept = Self::draw_users(users, share, seed);
    }

    /// Which users are kept for validation where a share of them is learned from.
    pub(super) fn draw_users(users: usize, share: f64, seed: u64) -> Vec<bool> {
        let stream = layout::random::Stream::new(seed, USERS, 0);
        let mut order: Vec<u32> = (0..users as u32).collect();
        stream.shuffle(&mut order);
        let train = ((share * users as f64).round() as usize).min(users);
        let mut kept = vec![false; users];
        order[train..].iter().for_each(|&user| kept[user as usize] = true);
        kept
    }

    /// Whether a user may be learned from.
    pub fn learns_from(&self, user: usize) -> bool {
        !self.kept.get(user).copied().unwrap_or(false)
    }

    /// Whether a user is validated on.
    fn validates(&self, user: usize) -> bool {
        self.kept.get(user).copied().unwrap_or(self.hold < i64::MAX)
    }

    /// What training may see: the events of its users before the hold.
    pub fn training_part(&self, log: &Log, users: &Sessions) -> Sessions {
        let learned = (0..users.len()).filter(|&user| self.learns_from(user));
        users.select(&learned.collect::<Vec<_>>()).before(log, self.hold)
    }

    /// The questions of training, or of validation.
    pub fn ask(&self, histories: &Histories<'_>, request: &Request, validation: bool) -> Asked {
        let cuts = if validation { &self.validation } else { &self.train };
        let users = (0..histories.len()).filter(|&user| match validation {
            true => self.validates(user),
            false => self.learns_from(user),
        });
        Asked::new(histories, users, cuts, request.horizon, &request.zone)
    }

    /// Of which events of each user training, or validation, asks what follows.
    pub fn follows(&self, histories: &Histories<'_>, validation: bool) -> Vec<Range<u32>> {
        let of = |user: usize| {
            let all = histories.times(user).len();
            let known = if self.hold == i64::MAX { all } else { histories.known(user, self.hold) };
            let range = match validation {
                false if self.learns_from(user) => 0..known.saturating_sub(1),
                true if self.validates(user) && self.hold < i64::MAX => {
                    known.saturating_sub(1)..all.saturating_sub(1)
                }
                true if self.validates(user) => 0..all.saturating_sub(1),
                _ => 0..0,
            };
            range.start as u32..range.end as u32
        };
        (0..histories.len()).map(of).collect()
    }
}

/// Draws the users that are kept for validation.
const USERS: u32 = 0x7261_0004;

/// The time after which a share of the events has happened.
fn nth_time(log: &Log, users: &Sessions, share: f64) -> i64 {
    let times = users.log_events().iter().filter_map(|&event| log.time(event));
    let mut times: Vec<i64> = times.collect();
    times.sort_unstable();
    let place = ((share * times.len() as f64) as usize).min(times.len().saturating_sub(1));
    times.get(place).copied().unwrap_or(i64::MAX)
}

/// The class of each event of some users, in the order of their rows, for the kinds that a model knows.
pub fn classes(log: &Log, users: &Sessions, kinds: &[String]) -> Vec<u32> {
    let class = |name: &str| kinds.iter().position(|kind| kind == name);
    let of: Vec<u32> =
        log.kinds.iter().map(|name| class(name).map_or(NONE, |class| class as u32)).collect();
    let kind = |event: &u32| log.events.kind.get(*event as usize).copied().unwrap_or(NONE);
    let classes = users.log_events().iter().map(kind);
    classes.map(|kind| of.get(kind as usize).copied().unwrap_or(NONE)).collect()
}
