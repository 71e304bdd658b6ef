//! What groups of users are like, in numbers: how much they do, buy and spend, when they come, and what they look
//! at more than everybody does. No gradients here: whoever made the groups, this is what the log says of them.
//!
//! [`Portraits::of`] counts; `lift` says what is over-represented, `words` what sets a group apart and what it may be
//! called.

mod lift;
#[cfg(test)]
mod tests;
mod words;

use serde::Serialize;

pub use lift::Lift;
pub use words::{Mark, Unit, group_marks, group_names};

use crate::outcomes::line_money;
use crate::{Kind, Log, NONE, Sessions, Zone};

const DAY: i64 = 24 * 3_600_000;

/// Groups of users, and everybody.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Portraits {
    /// Everybody who was counted, in whichever group or none.
    pub all: Portrait,
    /// The groups.
    pub groups: Vec<Portrait>,
    /// What is taken for a purchase: `kind`, events that the log calls so; `all`, every event, of a log that names no
    /// kinds and has amounts or quantities; none where nothing says that anybody bought.
    pub purchases_by: Option<&'static str>,
    /// The zone of hours and weekdays.
    pub time_zone: String,
}

/// A group of users.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Portrait {
    /// Users; sessions, where a log names no users.
    pub users: u64,
    /// Their sessions.
    pub sessions: u64,
    /// Their events.
    pub events: u64,
    /// Mean number of events of a user.
    pub events_per_user: f64,
    /// Mean number of sessions of a user.
    pub sessions_per_user: f64,
    /// Mean number of events of a session.
    pub events_per_session: f64,
    /// Shares of the kinds among the events, as the log numbers kinds; those that are none are left out.
    pub kinds: Vec<Share>,
    /// What is bought, where the log tells.
    pub buying: Option<Buying>,
    /// When they come, where the log has times.
    pub when: Option<When>,
    /// Categories by their share of the events, the largest first.
    pub favourites: Vec<Share>,
    /// Categories that they look at more than everybody.
    pub categories: Vec<Lift>,
    /// Items likewise.
    pub items: Vec<Lift>,
}

/// A part of the events.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Share {
    /// Of what.
    pub name: String,
    /// A fraction.
    pub share: f64,
}

/// What a group buys.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Buying {
    /// Purchases.
    pub purchases: u64,
    /// Purchases of a user, buyers or not.
    pub per_user: f64,
    /// Share of the events.
    pub share_of_events: f64,
    /// Share of the sessions that have one.
    pub share_of_sessions: f64,
    /// Share of the users who have bought anything.
    pub buyers: f64,
    /// Money, where the log has any.
    pub spend: Option<Spend>,
}

/// Money, in the currency of the log.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spend {
    /// All of it.
    pub total: f64,
    /// A user's, buyers or not.
    pub per_user: f64,
    /// What half of the buyers do not exceed.
    pub median_of_buyers: f64,
}

/// When a group comes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct When {
    /// Days since the last event of a user, counted from the end of the log: half of the users have fewer.
    pub recency_days: f64,
    /// Days from the start of one session of a user to that of the next, their median; none where nobody came twice.
    pub days_between: Option<f64>,
    /// Share of the events in each hour of the day; none where the clock of the log ticks in days.
    pub hours: Option<Vec<f64>>,
    /// Share of the events on each weekday, from Monday on.
    pub weekdays: Vec<f64>,
}

/// Who is who.
#[derive(Debug, Clone, Copy)]
pub struct Groups<'a> {
    /// Whose each session is, by number from 0; [`NONE`] for sessions that are not counted.
    pub owners: &'a [u32],
    /// The group of each owner, [`NONE`] for owners in none.
    pub of_owner: &'a [u32],
    /// How many groups there are.
    pub count: usize,
    /// Whether items are counted, too: a number for each item and group.
    pub items: bool,
}

/// What is added up of a group.
#[derive(Clone)]
struct Sums {
    users: u64,
    sessions: u64,
    kinds: Vec<u64>,
    events: u64,
    purchases: u64,
    buying_sessions: u64,
    /// Money of each buyer.
    spends: Vec<f64>,
    /// Days since the last event of each user.
    recency: Vec<f64>,
    between: Vec<f64>,
    hours: [u64; 24],
    weekdays: [u64; 7],
}

impl Portraits {
    /// Counts the events of groups of users.
    ///
    /// # Panics
    ///
    /// Where there is not an owner for each session, or a group for each owner.
    pub fn of(log: &Log, sessions: &Sessions, groups: Groups<'_>, zone: &Zone) -> Self {
        assert_eq!(groups.owners.len(), sessions.len(), "an owner a session");
        let mut order: Vec<usize> =
            (0..sessions.len()).filter(|&s| groups.owners[s] != NONE).collect();
        // Stable: an owner's sessions stay in the order of time.
        order.sort_by_key(|&session| groups.owners[session]);
        let meanings: Vec<Kind> = log.kinds.iter().map(Kind::of).collect();
        let purchases_by = purchases_by(log, &meanings);
        let context = Context {
            log,
            sessions,
            purchases_by,
            end: log.events.time.iter().copied().max(),
            // A clock that only knows days knows no hours.
            hours: log.events.time.iter().any(|&t| zone.clock(t).rem_euclid(DAY) != 0),
            zone,
        };
        // The last is everybody.
        let mut sums = vec![Sums::new(log.kinds.len()); groups.count + 1];
        for own in order.chunk_by(|&a, &b| groups.owners[a] == groups.owners[b]) {
            let owner = groups.owners[own[0]] as usize;
            let group = groups.of_owner[owner] as usize;
            for place in [group, groups.count] {
                if let Some(sums) = sums.get_mut(place) {
                    context.add(own, sums);
                }
            }
        }
        let mut portraits: Vec<Portrait> =
            sums.into_iter().map(|sums| context.portrait(sums)).collect();
        lift::describe(log, sessions, &order, groups, &mut portraits);
        let all = portraits.pop().unwrap_or_default();
        Self { all, groups: portraits, purchases_by, time_zone: zone.name().to_owned() }
    }
}

/// What tells a purchase from other events.
fn purchases_by(log: &Log, meanings: &[Kind]) -> Option<&'static str> {
    let kinds = &log.events.kind;
    if kinds.iter().any(|&kind| meanings.get(kind as usize) == Some(&Kind::Purchase)) {
        return Some("kind");
    }
    let money = !log.events.amount.is_empty() || !log.events.quantity.is_empty();
    (money && kinds.iter().all(|&kind| kind == NONE)).then_some("all")
}

struct Context<'a> {
    log: &'a Log,
    sessions: &'a Sessions,
    purchases_by: Option<&'static str>,
    end: Option<i64>,
    hours: bool,
    zone: &'a Zone,
}

impl Context<'_> {
    fn is_purchase(&self, event: usize) -> bool {
        match self.purchases_by {
            Some("all") => true,
            Some(_) => self.log.kind(event) == Kind::Purchase,
            None => false,
        }
    }

    fn add(&self, own: &[usize], sums: &mut Sums) {
        sums.users += 1;
        sums.sessions += own.len() as u64;
        let (mut spend, mut bought, mut last) = (0.0, false, None);
        for &session in own {
            let mut here = false;
            for &event in &self.sessions.log_events()[self.sessions.range(session)] {
                let at = event as usize;
                sums.events += 1;
                let kind = self.log.events.kind.get(at).copied().unwrap_or(NONE);
                if let Some(count) = sums.kinds.get_mut(kind as usize) {
                    *count += 1;
                }
                if self.is_purchase(at) {
                    sums.purchases += 1;
                    here = true;
                    spend += line_money(self.log, event).unwrap_or(0.0);
                }
                let Some(time) = self.log.time(event) else { continue };
                last = last.max(Some(time));
                let clock = self.zone.clock(time);
                sums.hours[(clock.rem_euclid(DAY) / 3_600_000) as usize] += 1;
                // 1970 began on a Thursday.
                sums.weekdays[(clock.div_euclid(DAY) + 3).rem_euclid(7) as usize] += 1;
            }
            sums.buying_sessions += u64::from(here);
            bought |= here;
        }
        if bought {
            sums.spends.push(spend);
        }
        if let (Some(end), Some(last)) = (self.end, last) {
            sums.recency.push(end.saturating_sub(last) as f64 / DAY as f64);
        }
        let starts: Vec<i64> = own.iter().filter_map(|&s| self.sessions.start(s)).collect();
        let pauses = starts.windows(2).map(|two| two[1].saturating_sub(two[0]) as f64 / DAY as f64);
        sums.between.extend(pauses);
    }

    fn portrait(&self, sums: Sums) -> Portrait {
        let (users, sessions) = (sums.users as f64, sums.sessions as f64);
        let events = sums.events as f64;
        let of = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
        let kinds = sums.kinds.iter().enumerate().filter(|(_, count)| **count > 0);
        let kinds = kinds.map(|(kind, &count)| Share {
            name: self.log.kinds.get(kind as u32).to_owned(),
            share: of(count as f64, events),
        });
        let has_money = !self.log.events.amount.is_empty() || !self.log.events.price.is_empty();
        let total: f64 = sums.spends.iter().sum();
        let buyers = sums.spends.len() as f64;
        let spend = Spend {
            total,
            per_user: of(total, users),
            median_of_buyers: median(sums.spends).unwrap_or(0.0),
        };
        let buying = self.purchases_by.map(|_| Buying {
            purchases: sums.purchases,
            per_user: of(sums.purchases as f64, users),
            share_of_events: of(sums.purchases as f64, events),
            share_of_sessions: of(sums.buying_sessions as f64, sessions),
            buyers: of(buyers, users),
            spend: has_money.then_some(spend),
        });
        let shares = |counts: &[u64]| counts.iter().map(|&n| of(n as f64, events)).collect();
        let when = median(sums.recency).map(|recency_days| When {
            recency_days,
            days_between: median(sums.between),
            hours: self.hours.then(|| shares(&sums.hours)),
            weekdays: shares(&sums.weekdays),
        });
        Portrait {
            users: sums.users,
            sessions: sums.sessions,
            events: sums.events,
            events_per_user: of(events, users),
            sessions_per_user: of(sessions, users),
            events_per_session: of(events, sessions),
            kinds: kinds.collect(),
            buying,
            when,
            ..Portrait::default()
        }
    }
}

impl Sums {
    fn new(kinds: usize) -> Self {
        Self {
            users: 0,
            sessions: 0,
            kinds: vec![0; kinds],
            events: 0,
            purchases: 0,
            buying_sessions: 0,
            spends: Vec::new(),
            recency: Vec::new(),
            between: Vec::new(),
            hours: [0; 24],
            weekdays: [0; 7],
        }
    }
}

/// The value in the middle, the lower one of two.
fn median(mut values: Vec<f64>) -> Option<f64> {
    let middle = values.len().checked_sub(1)? / 2;
    Some(*values.select_nth_unstable_by(middle, f64::total_cmp).1)
}
