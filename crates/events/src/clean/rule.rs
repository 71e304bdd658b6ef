//! What is left out of a log, as it is written: `duplicates,day=500,burst=20/10,times:count`.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// What makes events or sessions suspicious.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Check {
    /// Rows that repeat an earlier one: the same user, item, kind and time, and the same place in
    /// the order of events of one time where the log has such a column.
    Duplicates,
    /// Times beside all others: more than so many days after the time that 99 of 100 events do not
    /// exceed, or before 1990 where the log as a whole is not.
    Times {
        /// How many days.
        days: u32,
    },
    /// Rows whose time lies more than so many seconds before that of the row before of the same
    /// user.
    Jump {
        /// How many seconds.
        seconds: u32,
    },
    /// Rows earlier than one above of the same user. Sessions are put in order anyway, so these
    /// are counted and never left out.
    Disorder,
    /// Users with more than so many events in an hour of the clock (UTC).
    Hour {
        /// How many events are allowed.
        events: u32,
    },
    /// Users with more than so many events in a day (UTC).
    Day {
        /// How many events are allowed.
        events: u32,
    },
    /// Users whose pauses are alike: of at least so many pauses, the middle half spreads over less
    /// than this share of their median. Pauses of no length do not count.
    Regular {
        /// How many pauses it takes.
        pauses: u32,
        /// (Q₃ − Q₁) / Q₂ of the pauses.
        spread: f64,
    },
    /// Events of which more than so many of one user lie within so many seconds.
    Burst {
        /// How many events are allowed.
        events: u32,
        /// Within how many seconds.
        seconds: u32,
    },
    /// Events of a session with the same item as the one just before.
    Repeats {
        /// Whether the kind may differ.
        any_kind: bool,
    },
    /// Sessions of more than so many events.
    Length {
        /// How many events are allowed.
        events: u32,
    },
}

impl Check {
    /// Whether sessions are looked at, and not rows or users.
    pub fn is_of_sessions(&self) -> bool {
        matches!(self, Self::Repeats { .. } | Self::Length { .. })
    }

    fn parse(name: &str, value: Option<&str>) -> Option<Self> {
        let whole = |text: &str| text.parse::<u32>().ok();
        let pair = || value?.split_once('/');
        Some(match (name, value) {
            ("duplicates", None) => Self::Duplicates,
            ("times", None) => Self::Times { days: 365 },
            ("times", Some(days)) => Self::Times { days: whole(days)? },
            ("jump", Some(seconds)) => Self::Jump { seconds: whole(seconds)? },
            ("disorder", None) => Self::Disorder,
            ("hour", Some(events)) => Self::Hour { events: whole(events)? },
            ("day", Some(events)) => Self::Day { events: whole(events)? },
            ("regular", Some(_)) => {
                let (pauses, spread) = pair()?;
                let spread: f64 = spread.parse().ok()?;
                let pauses = whole(pauses).filter(|&pauses| pauses >= 4)?;
                (spread > 0.0 && spread.is_finite()).then_some(Self::Regular { pauses, spread })?
            }
            ("burst", Some(_)) => {
                let (events, seconds) = pair()?;
                Self::Burst { events: whole(events)?, seconds: whole(seconds)? }
            }
            ("repeats", None) => Self::Repeats { any_kind: false },
            ("repeats", Some("item")) => Self::Repeats { any_kind: true },
            ("length", Some(events)) => Self::Length { events: whole(events)? },
            _ => return None,
        })
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duplicates => f.write_str("duplicates"),
            Self::Times { days } => write!(f, "times={days}"),
            Self::Jump { seconds } => write!(f, "jump={seconds}"),
            Self::Disorder => f.write_str("disorder"),
            Self::Hour { events } => write!(f, "hour={events}"),
            Self::Day { events } => write!(f, "day={events}"),
            Self::Regular { pauses, spread } => write!(f, "regular={pauses}/{spread}"),
            Self::Burst { events, seconds } => write!(f, "burst={events}/{seconds}"),
            Self::Repeats { any_kind: false } => f.write_str("repeats"),
            Self::Repeats { any_kind: true } => f.write_str("repeats=item"),
            Self::Length { events } => write!(f, "length={events}"),
        }
    }
}

/// A check, and whether what it finds is left out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CleanRule {
    /// What is looked for.
    pub check: Check,
    /// Whether it is counted and left in.
    pub count_only: bool,
}

/// Rules in the order in which they are applied, each to what those before it have left.
#[derive(Debug, Clone, PartialEq)]
pub struct CleanRules(pub Vec<CleanRule>);

impl Default for CleanRules {
    /// Nothing is left out; duplicates, rows out of order and strange times are counted.
    fn default() -> Self {
        let checks = [Check::Duplicates, Check::Disorder, Check::Times { days: 365 }];
        Self(checks.map(|check| CleanRule { check, count_only: true }).to_vec())
    }
}

const EXPECTED: &str = "expected rules separated by commas among duplicates, times=DAYS, \
    jump=SECONDS, disorder, hour=EVENTS, day=EVENTS, regular=PAUSES/SPREAD, burst=EVENTS/SECONDS, \
    repeats, repeats=item and length=EVENTS, each with :count where it is to be counted only, or \
    none";

impl FromStr for CleanRule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let trimmed = text.trim();
        let (rule, count_only) = match trimmed.strip_suffix(":count") {
            Some(rule) => (rule, true),
            None => (trimmed, false),
        };
        let (name, value) = match rule.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (rule, None),
        };
        let check = Check::parse(name, value).ok_or_else(|| Error::Flag {
            flag: "--clean",
            value: text.to_owned(),
            reason: EXPECTED.to_owned(),
        })?;
        Ok(Self { check, count_only: count_only || check == Check::Disorder })
    }
}

impl fmt::Display for CleanRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.check, if self.count_only { ":count" } else { "" })
    }
}

impl FromStr for CleanRules {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text.trim() == "none" {
            return Ok(Self(Vec::new()));
        }
        text.split(',').map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for CleanRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        let rules: Vec<String> = self.0.iter().map(CleanRule::to_string).collect();
        f.write_str(&rules.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for (text, long) in [
            ("none", "none"),
            ("duplicates, times", "duplicates,times=365"),
            ("disorder", "disorder:count"),
            ("day=500,hour=100:count", "day=500,hour=100:count"),
            ("regular=50/0.1,burst=20/10", "regular=50/0.1,burst=20/10"),
            ("repeats,repeats=item:count", "repeats,repeats=item:count"),
            ("jump=3600,length=200", "jump=3600,length=200"),
        ] {
            let rules: CleanRules = text.parse().unwrap();
            assert_eq!(rules.to_string(), long);
            assert_eq!(long.parse::<CleanRules>().unwrap(), rules);
        }
        let default = CleanRules::default();
        assert!(default.0.iter().all(|rule| rule.count_only));
        assert_eq!(default.to_string(), "duplicates:count,disorder:count,times=365:count");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for text in [
            "",
            "bots",
            "day",
            "day=",
            "day=-1",
            "day=1.5",
            "duplicates=2",
            "regular=50",
            "regular=3/0.1",
            "regular=50/0",
            "regular=50/nan",
            "burst=20",
            "burst=20/x",
            "repeats=kind",
            "day=500:drop",
            "day=500,",
            "none,day=5",
        ] {
            let error = text.parse::<CleanRules>().unwrap_err();
            assert!(error.is_usage() && error.to_string().contains("--clean"), "{text}: {error}");
        }
    }
}
