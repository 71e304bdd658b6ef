//! From events to sessions: who belongs together, in what order, and what is too rare to learn.

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::str::FromStr;

use rustc_hash::FxHashMap;
use serde::Serialize;

use crate::timeline::Timelines;
use crate::{Error, Log, NONE};

/// What makes events one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SessionRule {
    /// By key where the log has session keys; else by gap where it has users and times; else by
    /// user.
    #[default]
    Auto,
    /// Events with the same session key, and the same user where the log names users too.
    Key,
    /// Events of a user without a pause longer than the gap.
    Gap,
    /// All events of a user.
    User,
}

impl SessionRule {
    /// The name that `--sessions` takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Key => "key",
            Self::Gap => "gap",
            Self::User => "user",
        }
    }

    /// The rule that a log with or without users, session keys and times has.
    ///
    /// # Errors
    ///
    /// As [`Sessions::from_log`].
    pub(crate) fn resolve(self, users: bool, keys: bool, times: bool) -> Result<Self, Error> {
        let rule = match self {
            Self::Auto if keys => Self::Key,
            Self::Auto if users && times => Self::Gap,
            Self::Auto if users => Self::User,
            asked => asked,
        };
        match rule {
            Self::Auto => Err(Error::NoKey { what: "a session needs a key or a user".into() }),
            Self::Key if !keys => {
                Err(Error::NoKey { what: "sessions by key need session keys".into() })
            }
            Self::Gap | Self::User if !users => {
                Err(Error::NoKey { what: "sessions by user or gap need users".into() })
            }
            Self::Gap if !times => Err(Error::NoTimes { what: "a session by gap".into() }),
            rule => Ok(rule),
        }
    }
}

impl FromStr for SessionRule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let all = [Self::Auto, Self::Key, Self::Gap, Self::User];
        all.into_iter().find(|rule| rule.name() == text).ok_or_else(|| Error::Flag {
            flag: "--sessions",
            value: text.to_owned(),
            reason: "expected auto, key, gap or user".to_owned(),
        })
    }
}

/// How sessions are made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SessionOptions {
    /// What makes events one session.
    pub rule: SessionRule,
    /// The longest pause inside a session under [`SessionRule::Gap`], in milliseconds; a pause of
    /// exactly this length does not end it.
    pub gap: i64,
}

impl Default for SessionOptions {
    /// By key, or by a pause of half an hour.
    fn default() -> Self {
        Self { rule: SessionRule::Auto, gap: 30 * 60 * 1000 }
    }
}

/// Which positions of a session are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Targets {
    /// Every position after the first.
    #[default]
    All,
    /// The last position only: `pairs` files, and the held-out events of leave-last-out.
    Last,
}

/// Sessions of items, numbered as [`Log::items`] numbers them.
///
/// Inside a session the events stand by time, then by the log's `order`, then by line. Sessions
/// stand by the time of their first event, those of the same time by their first line; without
/// times by their first line alone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sessions {
    items: Vec<u32>,
    /// Which event of its log each item was.
    events: Vec<u32>,
    /// Session `s` is `items[offsets[s]..offsets[s + 1]]`.
    offsets: Vec<usize>,
    /// Time of the first event of each session in milliseconds; empty where the log has no times.
    starts: Vec<i64>,
    /// User of each session; empty where the log names none.
    users: Vec<u32>,
    /// Session key of each session; empty where sessions were not made by key.
    keys: Vec<u32>,
    targets: Targets,
}

/// What [`Sessions::keep`] left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Dropped {
    /// Items with too few events.
    pub items: u64,
    /// Events of those items.
    pub rare_events: u64,
    /// Sessions that were, or became, too short.
    pub sessions: u64,
    /// Events of those sessions.
    pub short_events: u64,
}

impl Sessions {
    /// Groups and orders the events of a log. Nothing is left out.
    ///
    /// # Errors
    ///
    /// [`Error::NoKey`] where the rule needs users or session keys, [`Error::NoTimes`] where it
    /// needs times, and the log has none.
    pub fn from_log(log: &Log, options: &SessionOptions) -> Result<Self, Error> {
        let events = &log.events;
        let rule = resolve(options.rule, log)?;
        let (group, groups) = match rule {
            SessionRule::Key => by_key(log),
            _ => by_user(log),
        };

        let Timelines { events: sorted, bounds } = Timelines::new(log, &group, groups);
        let time = |event: u32| log.time_or_zero(event);
        let mut found = Vec::<Found>::new();
        for g in 0..groups {
            let range = bounds[g]..bounds[g + 1];
            let mut start = range.start;
            for at in range.clone() {
                let cut = at + 1 == range.end
                    || rule == SessionRule::Gap
                        && time(sorted[at + 1]).saturating_sub(time(sorted[at])) > options.gap;
                if cut {
                    let first = sorted[start..=at].iter().copied().min().unwrap_or(0);
                    found.push(Found { start: time(sorted[start]), first, events: start..at + 1 });
                    start = at + 1;
                }
            }
        }
        found.sort_by_key(|session| (session.start, session.first));

        let mut sessions =
            Self::with_targets(if log.is_pairs() { Targets::Last } else { Targets::All });
        sessions.items.reserve_exact(events.len());
        sessions.events.reserve_exact(events.len());
        for Found { start, first, events: range } in found {
            sessions.events.extend_from_slice(&sorted[range.clone()]);
            sessions.items.extend(sorted[range].iter().map(|&event| events.item[event as usize]));
            sessions.offsets.push(sessions.items.len());
            if !events.time.is_empty() {
                sessions.starts.push(start);
            }
            sessions.users.extend(events.user.get(first as usize));
            if rule == SessionRule::Key {
                sessions.keys.extend(events.session.get(first as usize));
            }
        }
        Ok(sessions)
    }

    /// No sessions.
    pub(crate) fn with_targets(targets: Targets) -> Self {
        Self { offsets: vec![0], targets, ..Self::default() }
    }

    /// How many sessions there are.
    pub fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The items of a session.
    pub fn get(&self, session: usize) -> &[u32] {
        &self.items[self.range(session)]
    }

    /// Where a session lies in [`Sessions::items`].
    pub fn range(&self, session: usize) -> Range<usize> {
        self.offsets[session]..self.offsets[session + 1]
    }

    /// All sessions.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u32]> + '_ {
        (0..self.len()).map(|session| self.get(session))
    }

    /// The items of all sessions, one session after the other.
    pub fn items(&self) -> &[u32] {
        &self.items
    }

    /// Where the events of a part of these sessions, which has them in the same order, stand in
    /// [`Sessions::items`].
    pub fn places_of(&self, part: &Self) -> impl Iterator<Item = usize> {
        let mut places = self.events.iter().enumerate();
        part.events.iter().filter_map(move |event| {
            places.find(|(_, other)| *other == event).map(|(place, _)| place)
        })
    }

    /// Which event of its log each of [`Sessions::items`] was.
    pub fn log_events(&self) -> &[u32] {
        &self.events
    }

    /// Number of events.
    pub fn events(&self) -> usize {
        self.items.len()
    }

    /// Time of the first event of a session, milliseconds since 1970; none where the log has none.
    pub fn start(&self, session: usize) -> Option<i64> {
        self.starts.get(session).copied()
    }

    /// The user of a session, where the log names one.
    pub fn user(&self, session: usize) -> Option<u32> {
        self.users.get(session).copied().filter(|&user| user != NONE)
    }

    /// The key of a session in [`Log::sessions`], where sessions were made by key.
    pub fn key(&self, session: usize) -> Option<u32> {
        self.keys.get(session).copied()
    }

    /// The latest session of a user.
    pub fn latest_of_user(&self, user: u32) -> Option<usize> {
        self.users.iter().rposition(|&other| other == user)
    }

    /// Which positions are asked for.
    pub fn targets(&self) -> Targets {
        self.targets
    }

    /// Whether the log has times.
    pub fn has_times(&self) -> bool {
        self.is_empty() || !self.starts.is_empty()
    }

    /// The sessions with these numbers, in this order.
    pub fn select(&self, sessions: &[usize]) -> Self {
        let mut kept = Self::with_targets(self.targets);
        for &session in sessions {
            kept.push(self, session, 0..self.get(session).len());
        }
        kept
    }

    /// Sessions of the given lengths; their items are 0, 1, 2, … from the first to the last.
    #[cfg(test)]
    pub(crate) fn from_raw(lengths: &[usize], starts: &[i64]) -> Self {
        let mut sessions = Self { starts: starts.to_vec(), ..Self::with_targets(Targets::All) };
        for length in lengths {
            let next = sessions.items.len() as u32;
            sessions.items.extend(next..next + *length as u32);
            sessions.events.extend(next..next + *length as u32);
            sessions.offsets.push(sessions.items.len());
        }
        sessions
    }

    /// Puts other items in the place of all.
    #[cfg(test)]
    pub(crate) fn set_items(&mut self, items: &[u32]) {
        assert_eq!(items.len(), self.items.len());
        self.items.copy_from_slice(items);
    }

    /// The same sessions without some events of their log, given by number in rising order;
    /// sessions that lose all their events go.
    pub fn without(&self, events: &[u32]) -> Self {
        let mut kept = Self::with_targets(self.targets);
        for session in 0..self.len() {
            let range = self.range(session);
            let start = kept.items.len();
            for at in range.clone() {
                if events.binary_search(&self.events[at]).is_err() {
                    kept.items.push(self.items[at]);
                    kept.events.push(self.events[at]);
                }
            }
            if kept.items.len() == start && !range.is_empty() {
                continue;
            }
            kept.offsets.push(kept.items.len());
            kept.starts.extend(self.starts.get(session));
            kept.users.extend(self.users.get(session));
            kept.keys.extend(self.keys.get(session));
        }
        kept
    }

    /// What has happened of these sessions before a time; those of which nothing has are left out.
    pub fn before(&self, log: &Log, at: i64) -> Self {
        let mut kept = Self::with_targets(self.targets);
        for session in 0..self.len() {
            let events = &self.events[self.range(session)];
            let known = events.partition_point(|&event| log.time_or_zero(event) < at);
            if known > 0 {
                kept.push(self, session, 0..known);
            }
        }
        kept
    }

    /// The visits that sessions of whole users are made of: cut where the session key changes, and in a log
    /// without such keys at pauses of more than `gap` milliseconds.
    pub fn visits(&self, log: &Log, gap: i64) -> Self {
        let key = |event: u32| log.events.session.get(event as usize).copied().unwrap_or(NONE);
        let time = |event: u32| log.time_or_zero(event);
        let apart = |a: u32, b: u32| match (key(a), key(b)) {
            (NONE, NONE) => time(b).saturating_sub(time(a)) > gap,
            (a, b) => a != b,
        };
        let mut found = Vec::new();
        for session in 0..self.len() {
            let events = &self.events[self.range(session)];
            let mut start = 0;
            for visit in events.chunk_by(|&a, &b| !apart(a, b)) {
                let first = visit.iter().copied().min().unwrap_or(0);
                found.push((time(visit[0]), first, session, start..start + visit.len()));
                start += visit.len();
            }
        }
        found.sort_by_key(|visit| (visit.0, visit.1));
        let mut visits = Self::with_targets(self.targets);
        for (time, _, session, part) in found {
            visits.push(self, session, part);
            if let Some(start) = visits.starts.last_mut() {
                *start = time;
            }
        }
        visits
    }

    /// Adds a part of a session of another set.
    pub(crate) fn push(&mut self, from: &Self, session: usize, part: Range<usize>) {
        self.items.extend_from_slice(&from.get(session)[part.clone()]);
        self.events.extend_from_slice(&from.events[from.range(session)][part]);
        self.offsets.push(self.items.len());
        self.starts.extend(from.starts.get(session));
        self.users.extend(from.users.get(session));
        self.keys.extend(from.keys.get(session));
    }

    pub(crate) fn starts(&self) -> &[i64] {
        &self.starts
    }

    /// Leaves out items with fewer than `min_support` events and sessions with fewer than
    /// `min_length` events, in turns until both hold: a short session that goes takes events with
    /// it, which may make an item rare, and so on.
    ///
    /// A session of one event teaches no next item, but its event is one of the training events
    /// that make an item popular. So the vocabulary and the baselines are counted from
    /// `keep(min_support, 1)`, and `keep(min_support, min_length)` is what a net learns from: it
    /// holds no item that the former lacks.
    pub fn keep(&self, min_support: u32, min_length: usize) -> (Self, Dropped) {
        let mut kept = self.clone();
        let mut dropped = Dropped::default();
        loop {
            let before = (dropped.items, dropped.sessions);
            kept.drop_rare(min_support, &mut dropped);
            kept.drop_short(min_length, &mut dropped);
            if (dropped.items, dropped.sessions) == before {
                return (kept, dropped);
            }
        }
    }

    fn drop_rare(&mut self, min_support: u32, dropped: &mut Dropped) {
        let known = self.items.iter().max().map_or(0, |&item| item as usize + 1);
        let mut support = vec![0u32; known];
        for &item in &self.items {
            support[item as usize] = support[item as usize].saturating_add(1);
        }
        let rare = |&count: &u32| count > 0 && count < min_support;
        dropped.items += support.iter().filter(|count| rare(count)).count() as u64;
        let before = self.items.len();
        self.rebuild(0, |item| support[item as usize] >= min_support);
        dropped.rare_events += (before - self.items.len()) as u64;
    }

    fn drop_short(&mut self, min_length: usize, dropped: &mut Dropped) {
        let before = (self.len(), self.items.len());
        self.rebuild(min_length, |_| true);
        dropped.sessions += (before.0 - self.len()) as u64;
        dropped.short_events += (before.1 - self.items.len()) as u64;
    }

    /// Keeps the items that pass, and then the sessions of at least `min_length`.
    fn rebuild(&mut self, min_length: usize, pass: impl Fn(u32) -> bool) {
        let mut kept = Self::with_targets(self.targets);
        for session in 0..self.len() {
            let start = kept.items.len();
            for (&item, &event) in self.get(session).iter().zip(&self.events[self.range(session)]) {
                if pass(item) {
                    kept.items.push(item);
                    kept.events.push(event);
                }
            }
            if kept.items.len() - start < min_length {
                kept.items.truncate(start);
                kept.events.truncate(start);
                continue;
            }
            kept.offsets.push(kept.items.len());
            kept.starts.extend(self.starts.get(session));
            kept.users.extend(self.users.get(session));
            kept.keys.extend(self.keys.get(session));
        }
        *self = kept;
    }
}

/// A session before the sessions are put in order.
struct Found {
    start: i64,
    first: u32,
    events: Range<usize>,
}

/// The rule that makes the sessions of a log.
pub(crate) fn resolve(rule: SessionRule, log: &Log) -> Result<SessionRule, Error> {
    let events = &log.events;
    if events.is_empty() {
        return Ok(SessionRule::User);
    }
    let [users, keys] = [&events.user, &events.session].map(|column| !column.is_empty());
    rule.resolve(users, keys, !events.time.is_empty())
}

/// The group of each event and the number of groups, numbered by first appearance.
fn by_key(log: &Log) -> (Vec<u32>, usize) {
    let events = &log.events;
    if events.user.is_empty() {
        let groups = events.session.iter().max().map_or(0, |&session| session as usize + 1);
        return (events.session.clone(), groups);
    }
    let mut known = FxHashMap::<(u32, u32), u32>::default();
    let group = (events.user.iter().zip(&events.session))
        .map(|(&user, &session)| {
            let next = known.len() as u32;
            *known.entry((user, session)).or_insert(next)
        })
        .collect();
    (group, known.len())
}

/// The group of each event by its user. Whether two events without a user are of the same one is not
/// known: those of one session key are, every other stands alone.
fn by_user(log: &Log) -> (Vec<u32>, usize) {
    let events = &log.events;
    let mut groups = log.users.len();
    let mut unknown = FxHashMap::<u32, u32>::default();
    let group = (events.user.iter().enumerate())
        .map(|(event, &user)| {
            if user != NONE {
                return user;
            }
            let mut next = || {
                groups += 1;
                groups as u32 - 1
            };
            match events.session.get(event) {
                Some(&session) if session != NONE => *unknown.entry(session).or_insert_with(next),
                _ => next(),
            }
        })
        .collect();
    (group, groups)
}
