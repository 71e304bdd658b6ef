//! What training keeps back.

use std::fmt;
use std::str::FromStr;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::{Error, Log, SessionOptions, SessionRule, Sessions, Targets, Zone, time};

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
        Self::parse(text, &Zone::default())
    }
}

impl Split {
    /// What `--split` says; a date without a zone is in `zone`.
    ///
    /// # Errors
    ///
    /// [`Error::Flag`] where it says nothing of the kind.
    pub fn parse(text: &str, zone: &Zone) -> Result<Self, Error> {
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
                .or_else(|| time::parse_flag(part, zone, 0).map(Self::TimeAt))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Sessions of the given lengths whose items are 0, 1, 2, … throughout.
    fn sessions(lengths: &[usize], starts: &[i64]) -> Sessions {
        Sessions::from_raw(lengths, starts)
    }

    fn all(sessions: &Sessions) -> Vec<&[u32]> {
        sessions.iter().collect()
    }

    #[test]
    fn what_is_written_is_read_back() {
        for text in ["time:0.9", "sessions:0.75", "leave-last-out", "none"] {
            assert_eq!(text.parse::<Split>().unwrap().to_string(), text);
        }
        let date: Split = "time:2008-08-01".parse().unwrap();
        assert_eq!(date, "time:20080801".parse().unwrap());
        assert_eq!(date.to_string().parse::<Split>().unwrap(), date);
        let warsaw = Split::parse("time:2008-08-01", &"Europe/Warsaw".parse().unwrap()).unwrap();
        assert_eq!(warsaw, "time:2008-07-31T22:00:00Z".parse().unwrap());
        for text in
            ["", "time", "time:1", "time:0", "time:90", "sessions:1.5", "time:soon", "users:0.9"]
        {
            let error = text.parse::<Split>().unwrap_err();
            assert!(error.is_usage() && error.to_string().contains("--split"), "{text}: {error}");
        }
    }

    #[test]
    fn a_share_by_time_keeps_the_latest() {
        let sessions = sessions(&[1; 25], &[]);
        let parts = Split::TimeShare(0.9).apply(&sessions, 1).unwrap();
        assert_eq!((parts.train.len(), parts.validation.len(), parts.test.len()), (23, 2, 0));
        assert_eq!(all(&parts.validation), [[23], [24]]);
    }

    #[test]
    fn a_date_cuts_before_the_sessions_that_start_at_it() {
        let sessions = sessions(&[2, 2, 2], &[10, 20, 30]);
        let parts = Split::TimeAt(20).apply(&sessions, 1).unwrap();
        assert_eq!((parts.train.len(), parts.validation.start(0)), (1, Some(20)));
        let timeless = Sessions::from_raw(&[1], &[]);
        let error = Split::TimeAt(20).apply(&timeless, 1).unwrap_err();
        assert!(matches!(error, Error::NoTimes { .. }), "{error}");
    }

    #[test]
    fn drawn_sessions_are_a_function_of_the_seed_and_stay_in_order() {
        let sessions = sessions(&[1; 100], &[]);
        let draw = |seed| Split::SessionShare(0.7).apply(&sessions, seed).unwrap();
        let parts = draw(1);
        assert_eq!((parts.train.len(), parts.validation.len()), (70, 30));
        assert!(parts.train.items().is_sorted() && parts.validation.items().is_sorted());
        let mut every = [parts.train.items(), parts.validation.items()].concat();
        every.sort_unstable();
        assert_eq!(every, sessions.items());
        assert_eq!(draw(1), parts);
        assert_ne!(draw(2), parts);
        assert_ne!(parts, Split::TimeShare(0.7).apply(&sessions, 1).unwrap());
    }

    #[test]
    fn leave_last_out_holds_two_events_of_each_user_back() {
        let sessions = sessions(&[1, 2, 3, 5], &[]);
        let parts = Split::LeaveLastOut.apply(&sessions, 1).unwrap();
        assert_eq!(all(&parts.train), [&[0][..], &[1], &[3], &[6, 7, 8]]);
        assert_eq!(all(&parts.validation), [&[3, 4][..], &[6, 7, 8, 9]]);
        assert_eq!(all(&parts.test), [&[1, 2][..], &[3, 4, 5], &[6, 7, 8, 9, 10]]);
        assert_eq!((parts.test.targets(), parts.train.targets()), (Targets::Last, Targets::All));
    }

    #[test]
    fn evaluation_scores_what_training_held_back() {
        let sessions = sessions(&[3, 3], &[]);
        let held = |split: Split| split.held_out(&sessions, 1).unwrap();
        assert_eq!(all(&held(Split::TimeShare(0.5))), [[3, 4, 5]]);
        assert_eq!(held(Split::LeaveLastOut).targets(), Targets::Last);
        assert_eq!(held(Split::None).len(), 2);
    }
}
