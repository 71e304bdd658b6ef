//! How long sessions are, how much users do, and how long they pause.

use serde::Serialize;

use super::spread::{Bin, Spread, bins};
use crate::timeline::Timed;
use crate::{Log, NONE, Sessions};

/// Lengths up to which each has a bin of its own, and beyond which bins widen.
const LENGTHS: [i64; 24] = [
    1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000,
    50_000, 100_000, 1_000_000, 10_000_000,
];
const SINGLE: i64 = 20;
const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// Where bins of pauses begin; half an hour is one of them, since it usually ends a session.
const PAUSES: [i64; 21] = [
    1,
    SECOND,
    2 * SECOND,
    5 * SECOND,
    10 * SECOND,
    20 * SECOND,
    30 * SECOND,
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    7 * DAY,
    30 * DAY,
    90 * DAY,
];

/// How long sessions are.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct SessionLengths {
    /// Events a session.
    pub events: Spread,
    /// Sessions by their number of events.
    pub bins: Vec<Bin>,
    /// Sessions of a single event, which teach no next item.
    pub single: u64,
    /// Events a user; none where the log names no users.
    pub events_of_user: Option<Spread>,
    /// Sessions a user.
    pub sessions_of_user: Option<Spread>,
}

/// How long it takes until a user does the next thing; in a log without users, until a session goes on.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Pauses {
    /// Seconds between two events of one user, wherever sessions end.
    pub seconds: Spread,
    /// Pauses of no length.
    pub none: u64,
    /// Pauses longer than that, in seconds.
    pub bins: Vec<Bin>,
    /// Seconds between two events of one session.
    pub in_session: Spread,
    /// Pauses of no length in sessions.
    pub none_in_session: u64,
    /// The pause that ends a session in seconds, where one does.
    pub gap: Option<f64>,
}

impl SessionLengths {
    pub(super) fn of(log: &Log, sessions: &Sessions) -> Self {
        let mut lengths: Vec<i64> = sessions.iter().map(|session| session.len() as i64).collect();
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let edges: Vec<i64> =
            if longest <= SINGLE { (1..=longest + 1).collect() } else { LENGTHS.to_vec() };
        let bins = bins(&lengths, &edges);
        let single = lengths.iter().filter(|&&length| length == 1).count() as u64;
        let (mut events_of, mut sessions_of) =
            (vec![0i64; log.users.len()], vec![0i64; log.users.len()]);
        for &user in &log.events.user {
            if let Some(events) = events_of.get_mut(user as usize) {
                *events += 1;
            }
        }
        for session in 0..sessions.len() {
            let user = sessions.user(session).unwrap_or(NONE) as usize;
            if let Some(sessions) = sessions_of.get_mut(user) {
                *sessions += 1;
            }
        }
        let spread = |mut counts: Vec<i64>| {
            counts.retain(|&count| count > 0);
            (!counts.is_empty()).then(|| Spread::of(&mut counts))
        };
        Self {
            events: Spread::of(&mut lengths),
            bins,
            single,
            events_of_user: spread(events_of),
            sessions_of_user: spread(sessions_of),
        }
    }
}

impl Pauses {
    /// None where the log has no times.
    pub(super) fn of(
        log: &Log,
        lines: &Timed,
        sessions: &Sessions,
        gap: Option<i64>,
    ) -> Option<Self> {
        if log.events.time.is_empty() {
            return None;
        }
        let between = |pair: &[i64]| pair[1].saturating_sub(pair[0]);
        let pause =
            |pair: &[u32]| log.time_or_zero(pair[1]).saturating_sub(log.time_or_zero(pair[0]));
        let mut all: Vec<i64> =
            lines.iter().flat_map(|(_, times)| times.windows(2).map(between)).collect();
        let within = (0..sessions.len())
            .flat_map(|session| sessions.log_events()[sessions.range(session)].windows(2));
        let mut within: Vec<i64> = within.map(pause).collect();
        let none = |pauses: &[i64]| pauses.iter().filter(|&&pause| pause == 0).count() as u64;
        let mut bins = bins(&all, &PAUSES);
        for bin in &mut bins {
            bin.from /= SECOND as f64;
            bin.to /= SECOND as f64;
        }
        Some(Self {
            none: none(&all),
            bins,
            none_in_session: none(&within),
            seconds: Spread::of(&mut all).per(SECOND as f64),
            in_session: Spread::of(&mut within).per(SECOND as f64),
            gap: gap.map(|gap| gap as f64 / SECOND as f64),
        })
    }

    /// The share of pauses inside sessions that have no length: events of one moment.
    pub(super) fn at_once(&self) -> f64 {
        super::share(self.none_in_session as usize, self.in_session.count as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Events, SessionOptions};

    /// Two users: one with sessions of 2 and 1 events, one with a session of 1.
    fn log() -> Log {
        let events = Events {
            item: vec![0; 4],
            user: vec![0, 0, 1, 0],
            time: vec![0, 5000, 9000, 3_605_000],
            ..Events::default()
        };
        let users = ["a", "b"].into_iter().collect();
        Log { events, users, items: ["x"].into_iter().collect(), ..Log::default() }
    }

    #[test]
    fn lengths_are_those_of_sessions_and_users() {
        let log = log();
        let sessions = Sessions::from_log(&log, &SessionOptions::default()).unwrap();
        let lengths = SessionLengths::of(&log, &sessions);
        assert_eq!((lengths.events.count, lengths.events.max, lengths.single), (3, 2.0, 2));
        let counts: Vec<u64> = lengths.bins.iter().map(|bin| bin.count).collect();
        assert_eq!(counts, [2, 1]);
        assert_eq!(lengths.events_of_user.unwrap().mean, 2.0);
        assert_eq!(lengths.sessions_of_user.unwrap().max, 2.0);
        let nothing = SessionLengths::of(&Log::default(), &Sessions::default());
        assert_eq!((nothing.bins.len(), nothing.events_of_user), (0, None));
    }

    #[test]
    fn pauses_go_on_where_sessions_end() {
        let mut log = log();
        let sessions = Sessions::from_log(&log, &SessionOptions::default()).unwrap();
        let lines = Timed::of_users(&log);
        let pauses = Pauses::of(&log, &lines, &sessions, Some(1_800_000)).unwrap();
        assert_eq!((pauses.seconds.count, pauses.seconds.max), (2, 3600.0));
        assert_eq!((pauses.in_session.count, pauses.in_session.max), (1, 5.0));
        let full: Vec<f64> =
            pauses.bins.iter().filter(|bin| bin.count > 0).map(|bin| bin.from).collect();
        assert_eq!(full, [5.0, 3600.0]);
        assert_eq!((pauses.none, pauses.gap, pauses.at_once()), (0, Some(1800.0), 0.0));
        log.events.time.clear();
        assert_eq!(Pauses::of(&log, &lines, &sessions, None), None);
    }
}
