//! What training keeps back.

use std::fmt;
use std::str::FromStr;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::{Error, Log, SessionOptions, SessionRule, Sessions, Targets, time};

/// How sessions are parted into training, validation and test.
///
/// | written          | training                                      | validation          |
/// |------------------|-----------------------------------------------|---------------------|
/// | `time:0.9`       | the first ⌊0.9 · n⌉ of n sessions by start     | the later ones      |
/// | `time:DATE`      | sessions that start before DATE               | the others          |
/// | `sessions:0.9`   | ⌊0.9 · n⌉ sessions drawn by the seed           | the others          |
/// | `leave-last-out` | each user without the last two events         | the last but one    |
/// | `none`           | everything                                    | nothing             |
///
/// ⌊x⌉ is x rounded to the nearest whole number, halves up. A session is never cut by `time` or
/// `sessions`: it goes where its first event goes. `time:0.9` follows the order of [`Sessions`],
/// so a log without times is cut by its lines, and sessions with equal starts by theirs.
///
/// `leave-last-out` takes each user's events as one sequence (each session's, where the log names
/// no users). The last event is for the test; the one before for validation, scored from all
/// events before it. A user with two events gives a test case and one event to training; a user
/// with a single event stays in training, since nothing comes before it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Split {
    /// The given share of sessions by start for training.
    TimeShare(f64),
    /// Sessions that start before this time (milliseconds since 1970) for training.
    TimeAt(i64),
    /// The given share of sessions, drawn at random, for training.
    SessionShare(f64),
    /// Each user's last event for the test, the one before for validation.
    LeaveLastOut,
    /// Everything for training.
    None,
}

impl Default for Split {
    /// The last tenth by time is kept for validation.
    fn default() -> Self {
        Self::TimeShare(0.9)
    }
}

/// The parts of a split.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parts {
    /// What is learned from.
    pub train: Sessions,
    /// What decides between settings and epochs.
    pub validation: Sessions,
    /// What is scored at the end; filled by [`Split::LeaveLastOut`] alone.
    pub test: Sessions,
}

impl Split {
    /// How sessions have to be made for this split: leave-last-out wants whole users.
    pub fn session_options(&self, options: SessionOptions, log: &Log) -> SessionOptions {
        if *self == Self::LeaveLastOut && !log.events.user.is_empty() {
            return SessionOptions { rule: SessionRule::User, ..options };
        }
        options
    }

    /// Parts the sessions. `seed` matters to `sessions:SHARE` alone.
    ///
    /// # Errors
    ///
    /// [`Error::NoTimes`] where a date cuts sessions without times.
    pub fn apply(&self, sessions: &Sessions, seed: u64) -> Result<Parts, Error> {
        let n = sessions.len();
        let cut = |share: f64| ((share * n as f64).round() as usize).min(n);
        let (train, validation): (Vec<usize>, Vec<usize>) = match *self {
            Self::None => ((0..n).collect(), Vec::new()),
            Self::TimeShare(share) => ((0..cut(share)).collect(), (cut(share)..n).collect()),
            Self::TimeAt(_) if !sessions.has_times() => {
                return Err(Error::NoTimes { what: format!("--split {self}") });
            }
            Self::TimeAt(at) => {
                let cut = sessions.starts().partition_point(|&start| start < at);
                ((0..cut).collect(), (cut..n).collect())
            }
            Self::SessionShare(share) => {
                let mut drawn = shuffled(n, seed);
                let mut rest = drawn.split_off(cut(share));
                drawn.sort_unstable();
                rest.sort_unstable();
                (drawn, rest)
            }
            Self::LeaveLastOut => return Ok(leave_last_out(sessions)),
        };
        Ok(Parts {
            train: sessions.select(&train),
            validation: sessions.select(&validation),
            test: Sessions::default(),
        })
    }

    /// What `evaluate --split` scores: the test part of leave-last-out, the part that training
    /// keeps for validation otherwise, everything for `none`.
    ///
    /// # Errors
    ///
    /// As [`Split::apply`].
    pub fn held_out(&self, sessions: &Sessions, seed: u64) -> Result<Sessions, Error> {
        let parts = self.apply(sessions, seed)?;
        Ok(match self {
            Self::LeaveLastOut => parts.test,
            Self::None => parts.train,
            _ => parts.validation,
        })
    }
}

/// The numbers `0..n` in an order that the seed decides (Fisher and Yates).
fn shuffled(n: usize, seed: u64) -> Vec<usize> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut order: Vec<usize> = (0..n).collect();
    for last in (1..n).rev() {
        // 64 bits times the bound, upper half: the bias is below n / 2⁶⁴.
        let other = (u128::from(random.next_u64()) * (last as u128 + 1)) >> 64;
        order.swap(last, other as usize);
    }
    order
}

fn leave_last_out(sessions: &Sessions) -> Parts {
    let mut parts = Parts {
        train: Sessions::with_targets(sessions.targets()),
        validation: Sessions::with_targets(Targets::Last),
        test: Sessions::with_targets(Targets::Last),
    };
    for session in 0..sessions.len() {
        let n = sessions.get(session).len();
        if n >= 2 {
            parts.test.push(sessions, session, 0..n);
        }
        if n >= 3 {
            parts.validation.push(sessions, session, 0..n - 1);
        }
        let rest = n.saturating_sub(2).max(n.min(1));
        parts.train.push(sessions, session, 0..rest);
    }
    parts
}

impl FromStr for Split {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refuse = || Error::Flag {
            flag: "--split",
            value: text.to_owned(),
            reason: "expected time:0.9, time:DATE, sessions:0.9, leave-last-out or none, a share \
                     being above 0 and below 1"
                .to_owned(),
        };
        let share = |text: &str| {
            let share = text.parse::<f64>().ok()?;
            (share > 0.0 && share < 1.0).then_some(share)
        };
        match text.split_once(':') {
            None if text == "leave-last-out" => Ok(Self::LeaveLastOut),
            None if text == "none" => Ok(Self::None),
            Some(("sessions", part)) => share(part).map(Self::SessionShare).ok_or_else(refuse),
            Some(("time", part)) => (share(part).map(Self::TimeShare))
                .or_else(|| time::parse_flag(part).map(Self::TimeAt))
                .ok_or_else(refuse),
            _ => Err(refuse()),
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimeShare(share) => write!(f, "time:{share}"),
            Self::TimeAt(at) => write!(f, "time:{}", time::format_time(*at)),
            Self::SessionShare(share) => write!(f, "sessions:{share}"),
            Self::LeaveLastOut => f.write_str("leave-last-out"),
            Self::None => f.write_str("none"),
        }
    }
}
