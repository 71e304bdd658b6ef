//! Who does not behave like a human being, by the rules of `--clean` and by name.

use rustc_hash::FxHashSet;
use serde::Serialize;

use super::{Tick, share};
use crate::clean::{count, who};
use crate::time::format_time;
use crate::timeline::Timed;
use crate::{Check, CleanRule, CleanRules, Finding, Log, Sessions};

/// How many users and sessions are named.
const NAMED: usize = 5;
/// Above this share of events of one moment, a log holds baskets and not steps.
const BASKETS: f64 = 0.5;

/// What was looked for.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Suspicious {
    /// Each rule by itself, all counted and left in.
    pub rules: Vec<Judged>,
    /// Whether those who act are `user`s or, in a log without them, `session`s.
    pub actor: &'static str,
    /// Those with the most events.
    pub busiest: Vec<Busy>,
    /// The longest sessions.
    pub longest: Vec<Busy>,
}

/// What a rule has found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Judged {
    /// Events, users or sessions, and the first few.
    #[serde(flatten)]
    pub finding: Finding,
    /// Why what it found means nothing in this log; none where it may.
    pub idle: Option<String>,
}

/// Somebody, or a session, with many events.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Busy {
    /// The user, or the session's key.
    pub name: String,
    /// Events.
    pub events: u64,
    /// Their share of all.
    pub share: f64,
    /// Different items.
    pub items: u64,
    /// Most events within one hour of the clock; none without times.
    pub in_an_hour: Option<u64>,
    /// When it began, ISO 8601; none without times.
    pub first: Option<String>,
}

/// The rules: those that `inspect` counts anyway, and about people and sessions what few people do.
pub(super) fn rules() -> Vec<Check> {
    vec![
        Check::Duplicates,
        Check::Times { days: 365 },
        Check::Disorder,
        Check::Hour { events: 300 },
        Check::Day { events: 1000 },
        Check::Regular { pauses: 50, spread: 0.05 },
        Check::Burst { events: 20, seconds: 10 },
        Check::Repeats { any_kind: false },
        Check::Length { events: 500 },
    ]
}

impl Suspicious {
    pub(super) fn of(
        log: &Log,
        lines: &Timed,
        sessions: &Sessions,
        tick: Option<Tick>,
        at_once: f64,
    ) -> Self {
        let checks = rules();
        let rules = checks.iter().map(|&check| CleanRule { check, count_only: true }).collect();
        let report = count(log, lines, sessions, &CleanRules(rules));
        let judged = report.rules.into_iter().zip(checks).map(|(mut finding, check)| {
            finding.rule = check.to_string();
            Judged { idle: idle(check, &finding, tick, at_once), finding }
        });
        let n = log.events.len();
        let groups = largest(lines.iter().map(|(events, _)| events), |events| events.len());
        let busiest = groups.into_iter().map(|events| busy(log, events, n)).collect();
        let order = largest(0..sessions.len(), |&session| sessions.range(session).len());
        let longest = order.into_iter().map(|session| {
            let found = busy(log, &sessions.log_events()[sessions.range(session)], n);
            let key = sessions.key(session).filter(|&key| (key as usize) < log.sessions.len());
            Busy {
                name: key
                    .map_or(found.name.clone(), |key| format!("session {}", log.sessions.get(key))),
                ..found
            }
        });
        Self {
            rules: judged.collect(),
            actor: if log.events.user.is_empty() { "session" } else { "user" },
            busiest,
            longest: longest.collect(),
        }
    }
}

/// The few largest, the first of equals first.
fn largest<T>(all: impl Iterator<Item = T>, size: impl Fn(&T) -> usize) -> Vec<T> {
    let mut kept = Vec::<T>::with_capacity(NAMED + 1);
    for one in all {
        let place = kept.partition_point(|other| size(other) >= size(&one));
        if place < NAMED {
            kept.insert(place, one);
            kept.truncate(NAMED);
        }
    }
    kept
}

/// Why a rule about time says nothing about people: the clock is too coarse for it, or the log writes
/// down many events of one moment.
fn idle(check: Check, finding: &Finding, tick: Option<Tick>, at_once: f64) -> Option<String> {
    let Some(tick) = tick.filter(|_| finding.applies) else {
        return (!finding.applies).then(|| "the log has no times".to_owned());
    };
    let finest = match check {
        Check::Duplicates | Check::Burst { .. } | Check::Regular { .. } => Tick::Second,
        Check::Hour { .. } => Tick::Minute,
        _ => return None,
    };
    if tick > finest {
        return Some(format!("the clock ticks in {}s", tick.name()));
    }
    let baskets = at_once > BASKETS && check != Check::Duplicates;
    baskets.then(|| "most events of a session are of one moment".to_owned())
}

fn busy(log: &Log, events: &[u32], all: usize) -> Busy {
    let hour = |event: &u32| log.time_or_zero(*event).div_euclid(3_600_000);
    let hours = events.chunk_by(|a, b| hour(a) == hour(b)).map(<[u32]>::len).max();
    let items: FxHashSet<u32> =
        events.iter().map(|&event| log.events.item[event as usize]).collect();
    let first = events.first().copied();
    Busy {
        name: first.map_or(String::new(), |event| who(log, event)),
        events: events.len() as u64,
        share: share(events.len(), all),
        items: items.len() as u64,
        in_an_hour: hours.map(|most| most as u64).filter(|_| !log.events.time.is_empty()),
        first: first.and_then(|event| log.time(event)).map(format_time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Events, SessionOptions};

    /// A bot with an event a second beside somebody with three.
    fn log() -> Log {
        let n = 2000;
        let events = Events {
            item: (0..n + 3).map(|k| k % 2).collect(),
            user: (0..n + 3).map(|k| u32::from(k >= n)).collect(),
            time: (0..i64::from(n) + 3).map(|k| 1000 * k).collect(),
            ..Events::default()
        };
        Log {
            events,
            items: ["x", "y"].into_iter().collect(),
            users: ["bot", "ann"].into_iter().collect(),
            ..Log::default()
        }
    }

    fn of(log: &Log, tick: Tick, at_once: f64) -> Suspicious {
        let sessions = Sessions::from_log(log, &SessionOptions::default()).unwrap();
        Suspicious::of(log, &Timed::of_users(log), &sessions, Some(tick), at_once)
    }

    #[test]
    fn a_bot_is_found_and_named() {
        let log = log();
        let found = of(&log, Tick::Second, 0.0);
        let rule = |name: &str| {
            let judged = found.rules.iter().find(|judged| judged.finding.rule == name).unwrap();
            (judged.finding.events, judged.finding.groups, judged.idle.is_some())
        };
        assert_eq!(rule("hour=300"), (2000, 1, false));
        assert_eq!(rule("regular=50/0.05"), (2000, 1, false));
        assert_eq!(rule("length=500"), (2000, 1, false));
        assert_eq!(rule("duplicates"), (0, 0, false));
        let bot = &found.busiest[0];
        assert_eq!((&bot.name[..], bot.events, bot.items), ("user bot", 2000, 2));
        assert_eq!((bot.in_an_hour, found.busiest.len(), found.actor), (Some(2000), 2, "user"));
        assert_eq!(found.longest[0].events, 2000);
    }

    #[test]
    fn a_coarse_clock_and_baskets_excuse_people() {
        let log = log();
        let idle = |found: &Suspicious, name: &str| {
            found.rules.iter().find(|j| j.finding.rule == name).unwrap().idle.clone()
        };
        let minutes = of(&log, Tick::Minute, 0.0);
        assert!(idle(&minutes, "burst=20/10").unwrap().contains("minutes"));
        assert_eq!(idle(&minutes, "hour=300"), None);
        let baskets = of(&log, Tick::Second, 0.9);
        assert!(idle(&baskets, "hour=300").unwrap().contains("one moment"));
        assert_eq!(idle(&baskets, "duplicates"), None);
        let mut timeless = log;
        timeless.events.time.clear();
        let sessions = Sessions::from_log(&timeless, &SessionOptions::default()).unwrap();
        let lines = Timed::of_users(&timeless);
        let found = Suspicious::of(&timeless, &lines, &sessions, None, 0.0);
        assert!(idle(&found, "hour=300").unwrap().contains("no times"));
        assert_eq!((idle(&found, "length=500"), found.busiest[0].in_an_hour), (None, None));
    }
}
