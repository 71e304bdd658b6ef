//! What each check finds.

use super::Check;
use crate::timeline::Timed;
use crate::{Log, NONE, Sessions, time};

/// How many finds are shown.
pub(super) const SHOWN: usize = 5;
const SECOND: i64 = 1000;
const HOUR: i64 = 3600 * SECOND;
const DAY: i64 = 24 * HOUR;
/// 1990-01-01.
const YEAR_1990: i64 = 631_152_000 * SECOND;

/// What a check has found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Events, by number.
    pub events: Vec<u32>,
    /// Users or sessions that they belong to, where the check is about those.
    pub groups: u64,
    /// The first few.
    pub examples: Vec<String>,
}

impl Found {
    fn show(&mut self, example: impl FnOnce() -> String) {
        if self.examples.len() < SHOWN {
            self.examples.push(example());
        }
    }

    /// Adds one event.
    fn event(&mut self, log: &Log, event: u32) {
        self.show(|| describe(log, event));
        self.events.push(event);
    }

    /// Adds all events of a user or session.
    fn group(&mut self, log: &Log, events: &[u32], what: impl FnOnce() -> String) {
        self.show(|| format!("{}: {}", who(log, events.first().copied().unwrap_or(NONE)), what()));
        self.events.extend_from_slice(events);
        self.groups += 1;
    }
}

/// What a check finds in a log; none where the log does not have what it looks at.
pub(super) fn in_log(log: &Log, check: Check) -> Option<Found> {
    let of_rows = matches!(check, Check::Times { .. } | Check::Jump { .. } | Check::Disorder);
    let lines = if of_rows { Timed::default() } else { Timed::of_users(log) };
    in_lines(log, &lines, check)
}

/// The same, with the events of each user in order.
pub(super) fn in_lines(log: &Log, lines: &Timed, check: Check) -> Option<Found> {
    if log.events.time.is_empty() {
        return None;
    }
    let mut found = match check {
        Check::Duplicates => duplicates(log, lines),
        Check::Times { days } => times(log, i64::from(days) * DAY),
        Check::Jump { seconds } => earlier(log, false, i64::from(seconds) * SECOND),
        Check::Disorder => earlier(log, true, 0),
        Check::Hour { events } => crowded(log, lines, HOUR, events),
        Check::Day { events } => crowded(log, lines, DAY, events),
        Check::Regular { pauses, spread } => regular(log, lines, pauses, spread),
        Check::Burst { events, seconds } => bursts(log, lines, events, i64::from(seconds) * SECOND),
        Check::Repeats { .. } | Check::Length { .. } => return None,
    };
    found.events.sort_unstable();
    Some(found)
}

/// What a check finds in sessions.
pub(super) fn in_sessions(log: &Log, sessions: &Sessions, check: Check) -> Found {
    let mut found = Found::default();
    for session in 0..sessions.len() {
        let events = &sessions.log_events()[sessions.range(session)];
        match check {
            Check::Length { events: most } if events.len() > most as usize => {
                found.group(log, events, || format!("a session of {} events", events.len()));
            }
            Check::Repeats { any_kind } => {
                let kind = |event: u32| log.events.kind.get(event as usize);
                let items = sessions.get(session);
                let before = found.events.len();
                for at in 1..events.len() {
                    let same_kind = any_kind || kind(events[at]) == kind(events[at - 1]);
                    if items[at] == items[at - 1] && same_kind {
                        found.event(log, events[at]);
                    }
                }
                found.groups += u64::from(found.events.len() > before);
            }
            _ => {}
        }
    }
    found.events.sort_unstable();
    found
}

/// Who acts: the user, or the session where the log names no users.
fn actors(log: &Log) -> &[u32] {
    if log.events.user.is_empty() { &log.events.session } else { &log.events.user }
}

pub(crate) fn who(log: &Log, event: u32) -> String {
    let name = |names: &crate::Names, ids: &[u32]| {
        let id = ids.get(event as usize).copied().filter(|&id| (id as usize) < names.len())?;
        Some(names.get(id).to_owned())
    };
    let user = name(&log.users, &log.events.user).map(|user| format!("user {user}"));
    let session = || name(&log.sessions, &log.events.session).map(|key| format!("session {key}"));
    user.or_else(session).unwrap_or_else(|| format!("event {event}"))
}

fn describe(log: &Log, event: u32) -> String {
    let item = log.events.item.get(event as usize);
    let item = item.filter(|&&item| (item as usize) < log.items.len());
    let item = item.map_or("", |&item| log.items.get(item));
    let time =
        log.time(event).map_or(String::new(), |time| format!(", {}", time::format_time(time)));
    format!("{}, item {item}{time}", who(log, event))
}

fn duplicates(log: &Log, lines: &Timed) -> Found {
    let mut found = Found::default();
    let entry = |column: &[u32], event: u32| column.get(event as usize).copied().unwrap_or(NONE);
    let named = !log.events.user.is_empty();
    // Whether two events without a user are of the same one is not known, but those of one session are.
    let owner = |event: u32| match entry(actors(log), event) {
        NONE if named => entry(&log.events.session, event),
        NONE => NONE,
        _ => 0,
    };
    let key = |&event: &u32| {
        let place = entry(&log.events.order, event);
        (owner(event), entry(&log.events.item, event), entry(&log.events.kind, event), place)
    };
    let mut moment = Vec::new();
    for (events, times) in lines.groups() {
        let mut start = 0;
        for run in times.chunk_by(|a, b| a == b) {
            let end = start + run.len();
            if run.len() > 1 {
                moment.clear();
                moment.extend_from_slice(&events[start..end]);
                moment.sort_unstable_by_key(|event| (key(event), *event));
                let equal = moment
                    .windows(2)
                    .filter(|pair| key(&pair[0]) == key(&pair[1]) && owner(pair[0]) != NONE);
                found.events.extend(equal.map(|pair| pair[1]));
            }
            start = end;
        }
    }
    found.events.sort_unstable();
    found.examples = found.events.iter().take(SHOWN).map(|&event| describe(log, event)).collect();
    found
}

fn times(log: &Log, slack: i64) -> Found {
    let mut found = Found::default();
    let mut sorted = log.events.time.clone();
    sorted.sort_unstable();
    let n = sorted.len();
    if n < 3 {
        return found;
    }
    // One of a hundred may lie beyond, and at least one.
    let bulk = sorted[n - 1 - (n / 100).max(1)];
    let old = sorted[n / 2] >= YEAR_1990;
    for (event, &time) in log.events.time.iter().enumerate() {
        if time > bulk.saturating_add(slack) || old && time < YEAR_1990 {
            found.event(log, event as u32);
        }
    }
    found
}

/// Rows earlier by more than `slack` than the row before of the same user, or than the latest of
/// all rows before. Rows without a user go by their session, and those without either by nobody.
fn earlier(log: &Log, than_latest: bool, slack: i64) -> Found {
    let mut found = Found::default();
    let actors = actors(log);
    let session = |event: usize| log.events.session.get(event).copied().unwrap_or(NONE);
    let named = !log.events.user.is_empty();
    let numbers = |ids: &[u32]| ids.iter().filter(|&&id| id != NONE).max().map_or(0, |&id| id + 1);
    let mut last = vec![None; numbers(actors) as usize];
    let mut of_session = vec![None; if named { numbers(&log.events.session) as usize } else { 0 }];
    for (event, (&actor, &time)) in actors.iter().zip(&log.events.time).enumerate() {
        let last = match actor {
            NONE => of_session.get_mut(session(event) as usize),
            actor => last.get_mut(actor as usize),
        };
        let Some(last) = last else { continue };
        let last = last.get_or_insert(time);
        if last.saturating_sub(time) > slack {
            found.event(log, event as u32);
        }
        *last = if than_latest { time.max(*last) } else { time };
    }
    found
}

fn crowded(log: &Log, lines: &Timed, cell: i64, most: u32) -> Found {
    let mut found = Found::default();
    for (events, times) in lines.iter() {
        let cells = times.chunk_by(|a, b| a.div_euclid(cell) == b.div_euclid(cell));
        if let Some(worst) = cells.max_by_key(|times| times.len())
            && worst.len() > most as usize
        {
            let start = worst[0].div_euclid(cell).saturating_mul(cell);
            let unit = if cell == DAY { "day" } else { "hour" };
            found.group(log, events, || {
                format!("{} events in the {unit} from {}", worst.len(), time::format_time(start))
            });
        }
    }
    found
}

fn regular(log: &Log, lines: &Timed, least: u32, most: f64) -> Found {
    let mut found = Found::default();
    let mut pauses = Vec::<i64>::new();
    for (events, times) in lines.iter() {
        pauses.clear();
        pauses.extend(times.windows(2).map(|pair| pair[1].saturating_sub(pair[0])));
        pauses.retain(|&pause| pause > 0);
        if pauses.is_empty() || pauses.len() < least as usize {
            continue;
        }
        pauses.sort_unstable();
        let quarter = |k: usize| pauses[k * (pauses.len() - 1) / 4] as f64;
        let spread = (quarter(3) - quarter(1)) / quarter(2);
        if spread < most {
            found.group(log, events, || {
                let pause = quarter(2) / SECOND as f64;
                format!("{} pauses of {pause} s that spread by {spread:.3}", pauses.len())
            });
        }
    }
    found
}

fn bursts(log: &Log, lines: &Timed, most: u32, within: i64) -> Found {
    let mut found = Found::default();
    for (events, times) in lines.iter() {
        let before = found.events.len();
        // Events from `first` to `last` lie within the time; those before `taken` are found.
        let (mut first, mut taken, mut largest) = (0, 0, 0);
        for last in 0..events.len() {
            while times[last].saturating_sub(times[first]) > within {
                first += 1;
            }
            if last + 1 - first > most as usize {
                found.events.extend_from_slice(&events[first.max(taken)..=last]);
                taken = last + 1;
                largest = largest.max(last + 1 - first);
            }
        }
        if found.events.len() > before {
            found.groups += 1;
            let seconds = within / SECOND;
            found.show(|| format!("{}: {largest} events in {seconds} s", who(log, events[0])));
        }
    }
    found
}
