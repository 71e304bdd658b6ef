//! What came true after a moment, and what was known before it.
//!
//! ```text
//!        first event          last event before     at                    at + horizon
//!     ──────●───●──●─────────────●──────────────────┼──●────●────────────────┼──────→ time
//!           └──────── known ─────┴─── silence ──────┘  └──── what came true ─┘
//! ```
//!
//! Events before `at` are known; those from `at` on, and before `at + horizon`, are what came true. No
//! event is both: whatever stands after `at` changes nothing that is known.
//!
//! 1. [`Buys`] says which events are purchases, and which of them are one order.
//! 2. [`Histories`] has the events of each user; [`Histories::outcome`] and [`Histories::moment`] look at
//!    the two sides of a moment, [`Histories::after_events`] at what is known after each event.
//! 3. [`Cuts`] are the moments of a log at which a whole horizon can be seen.
//! 4. [`Histories::periods`] lay a history on a grid of time, where no horizon is seen whole.

mod buys;
mod cuts;
mod event;
mod moment;
mod periods;
#[cfg(test)]
mod tests;

pub use buys::{BuyRule, Buys};
pub use cuts::{Cuts, parse_span};
pub use event::{AFTER_EVENT, AfterEvent};
pub use moment::{Buyer, MOMENT, Moment};
pub use periods::{AFTER_PERIOD, AfterPeriod, Pace, Period, WAVES, waves};

use crate::{Log, NONE, Sessions};

/// What a user did in a horizon.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// Events of any kind.
    pub events: u32,
    /// Orders: purchases, those of one visit to the checkout taken together.
    pub orders: u32,
    /// Money of these purchases, 0 where the log has none.
    pub spend: f64,
    /// Milliseconds until the next event, at most the horizon.
    pub wait: i64,
}

impl Outcome {
    /// Whether anything was bought.
    pub fn buys(&self) -> bool {
        self.orders > 0
    }

    /// Whether there was no event at all.
    pub fn is_silent(&self) -> bool {
        self.events == 0
    }
}

/// The events of each user in the order of time, with what they mean.
#[derive(Debug, Clone)]
pub struct Histories<'a> {
    log: &'a Log,
    sessions: &'a Sessions,
    buys: Buys,
    /// Time of each event, in the order of the sessions' events.
    times: Vec<i64>,
}

impl<'a> Histories<'a> {
    /// Histories of whole users: one session a user.
    pub fn new(log: &'a Log, sessions: &'a Sessions, buys: Buys) -> Self {
        let events = sessions.log_events().iter();
        let times = events.map(|&event| log.time_or_zero(event)).collect();
        Self { log, sessions, buys, times }
    }

    /// Number of users.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Times of a user's events, rising.
    pub fn times(&self, user: usize) -> &[i64] {
        &self.times[self.sessions.range(user)]
    }

    /// How many of a user's events are known at a moment: those before it.
    pub fn known(&self, user: usize, at: i64) -> usize {
        self.times(user).partition_point(|&time| time < at)
    }

    /// Kind of each of a user's events as the log numbers kinds; none where the log has no kinds.
    pub fn kind(&self, user: usize, event: usize) -> Option<u32> {
        let event = self.sessions.log_events()[self.sessions.range(user)][event];
        self.log.events.kind.get(event as usize).copied().filter(|&kind| kind != NONE)
    }

    /// What came true for a user from `at` on and before `at + horizon`.
    pub fn outcome(&self, user: usize, at: i64, horizon: i64) -> Outcome {
        let end = at.saturating_add(horizon);
        let times = self.times(user);
        let first = self.known(user, at);
        let last = first + times[first..].partition_point(|&time| time < end);
        let after = self.orders(user, first..last);
        Outcome {
            events: (last - first) as u32,
            orders: after.count,
            spend: after.spend,
            wait: times.get(first).map_or(horizon, |time| (time - at).min(horizon)),
        }
    }

    /// Log events of some of a user's events.
    fn events(&self, user: usize, range: std::ops::Range<usize>) -> &[u32] {
        &self.sessions.log_events()[self.sessions.range(user)][range]
    }

    fn orders(&self, user: usize, range: std::ops::Range<usize>) -> Orders {
        let mut orders = Orders::default();
        for &event in self.events(user, range) {
            if self.buys.is_purchase(self.log, event) {
                orders.add(self.log, &self.buys, event);
            }
        }
        orders
    }
}

/// Orders as they are met, in the order of time.
#[derive(Debug, Clone, Copy, Default)]
struct Orders {
    count: u32,
    spend: f64,
    /// Time of the first order, and of its last event and the last of all.
    first: Option<i64>,
    last_start: i64,
    last: Option<u32>,
    first_spend: f64,
}

impl Orders {
    fn add(&mut self, log: &Log, buys: &Buys, event: u32) {
        let time = log.time_or_zero(event);
        if !self.last.is_some_and(|last| buys.is_same_order(log, last, event)) {
            self.count += 1;
            self.last_start = time;
            self.first.get_or_insert(time);
        }
        self.last = Some(event);
        let money = money(log, event);
        self.spend += money;
        if self.count == 1 {
            self.first_spend += money;
        }
    }
}

/// Money of an event: its amount, or its price times its quantity (1 where that is missing); 0 where
/// neither is known or it is below 0.
fn money(log: &Log, event: u32) -> f64 {
    line_money(log, event).unwrap_or(0.0).max(0.0)
}

/// The amount of an event, or its price times its pieces, one piece where the log counts none; below 0 of what
/// is given back.
pub(crate) fn line_money(log: &Log, event: u32) -> Option<f64> {
    let at = |column: &[f32]| {
        let value = column.get(event as usize).copied().unwrap_or(f32::NAN);
        value.is_finite().then_some(f64::from(value))
    };
    let events = &log.events;
    let product = || Some(at(&events.price)? * at(&events.quantity).unwrap_or(1.0));
    at(&events.amount).or_else(product)
}

/// Whether a log says what things cost.
pub fn has_money(log: &Log) -> bool {
    let known = |column: &[f32]| column.iter().any(|value| value.is_finite());
    known(&log.events.amount) || known(&log.events.price)
}
