//! What a user did in periods of equal length, one after the other, silence included.
//!
//! ```text
//!        first event                                        end
//!     ───┊─●──────┊────────┊──●──●───┊────────┊──●──────┊   (a moment, or the end of a log)
//!        │ row 0  │ row 1  │ row 2   │ row 3  │ row 4   │
//! ```
//!
//! Periods end with the moment that is asked about, so that none is cut short by it. An order belongs to the
//! period in which it begins.

use rustc_hash::FxHashSet;

use super::{Histories, Orders};
use crate::{Error, Zone};

const DAY: f64 = 24.0 * 60.0 * 60.0 * 1000.0;
/// Days of a year, leap years and all.
const YEAR: f64 = 365.2425;
/// What a period more leaves of the orders and visits of late: half of them after two, and after eight.
const LATE: [f64; 2] = [std::f64::consts::FRAC_1_SQRT_2, 0.917_004_043_204_671_2];

/// What a user did in a period.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Period {
    /// Events of any kind.
    pub events: u32,
    /// Items that the user had not met before.
    pub items: u32,
    /// Orders that began in it.
    pub orders: u32,
    /// Money of the purchases in it.
    pub spend: f64,
    /// From its last event, and its last order, to its end: a part of a period.
    pub since: [f64; 2],
    /// From its first event to its end, likewise.
    pub first: f64,
}

/// What the numbers after a period are called: about the user up to its end, and where in the week and the
/// year the next one lies. Spans are periods.
pub const AFTER_PERIOD: [&str; 24] = [
    "since_first_event",
    "since_event",
    "since_order",
    "between_orders",
    "gaps_since_order",
    "orders",
    "visits",
    "events",
    "items",
    "spend",
    "spend_per_order",
    "orders_per_period",
    "orders_missed",
    "orders_of_two",
    "orders_of_eight",
    "visits_of_two",
    "week_sin",
    "week_cos",
    "week_sin_2",
    "week_cos_2",
    "year_sin",
    "year_cos",
    "year_sin_2",
    "year_cos_2",
];

/// How many of these are waves of the calendar; they stand last.
pub const WAVES: usize = 8;

/// The numbers after a period, in the order of [`AFTER_PERIOD`], as they are.
pub type AfterPeriod = [f64; AFTER_PERIOD.len()];

/// A user so far, period by period: what is counted of the past, and goes on to be counted of a future that
/// is only imagined.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Pace {
    age: f64,
    /// Since the last event, and the last order; since the first event where there was none.
    since: [f64; 2],
    /// Age at the first order.
    first_order: Option<f64>,
    orders: f64,
    visits: u32,
    events: f64,
    items: f64,
    spend: f64,
    late: [f64; 2],
    late_visits: f64,
}

impl Pace {
    /// A period more, in which `orders` orders are counted: not more than are told apart.
    pub fn add(&mut self, period: &Period, orders: f64) {
        let visited = period.events > 0;
        let length = if self.age == 0.0 { period.first } else { 1.0 };
        self.age += length;
        let happened = [visited, period.orders > 0];
        for ((since, happened), last) in self.since.iter_mut().zip(happened).zip(period.since) {
            *since = if happened { last } else { *since + length };
        }
        if period.orders > 0 {
            self.first_order.get_or_insert(self.age - period.since[1]);
        }
        self.orders += orders;
        self.visits += u32::from(visited);
        self.events += f64::from(period.events);
        self.items += f64::from(period.items);
        self.spend += period.spend;
        for (late, left) in self.late.iter_mut().zip(LATE) {
            *late = *late * left + orders;
        }
        self.late_visits = self.late_visits * LATE[0] + f64::from(u8::from(visited));
    }

    /// A period that is only imagined: of so many orders, or a visit, as the user's were so far.
    pub fn imagine(&mut self, orders: f64, visited: bool) {
        let share = |all: f64, count: f64| if count > 0.0 { all / count } else { 1.0 };
        let spend = if self.orders > 0.0 { self.spend / self.orders } else { 0.0 };
        let events = share(self.events, f64::from(self.visits));
        let period = Period {
            events: if visited { events.round().max(1.0) as u32 } else { 0 },
            items: 0,
            orders: orders.ceil() as u32,
            spend: spend * orders,
            since: [0.5; 2],
            first: 1.0,
        };
        self.add(&period, orders);
    }

    /// What is known after the last period, [`AFTER_PERIOD`]: `next` is the calendar of the one to come.
    pub fn numbers(&self, next: &[f64; WAVES]) -> AfterPeriod {
        let age = self.age.max(1.0);
        let [since_event, since_order] = self.since;
        let rate = self.orders / age;
        let between = match self.first_order {
            Some(first) if self.orders > 1.0 => {
                (self.age - since_order - first) / (self.orders - 1.0)
            }
            _ => age,
        };
        let known = [
            self.age,
            since_event,
            since_order,
            between,
            since_order / between.max(0.1),
            self.orders,
            f64::from(self.visits),
            self.events,
            self.items,
            self.spend,
            if self.orders > 0.0 { self.spend / self.orders } else { 0.0 },
            rate,
            since_order * rate,
            self.late[0],
            self.late[1],
            self.late_visits,
        ];
        let mut numbers = [0.0; AFTER_PERIOD.len()];
        numbers[..known.len()].copy_from_slice(&known);
        numbers[known.len()..].copy_from_slice(next);
        numbers
    }
}

/// Where in the week and the year the middle of a period lies, as two waves of each; 0 for the year where
/// `years` is false: seasons that nobody has seen go round tell nothing.
pub fn waves(start: i64, length: i64, zone: &Zone, years: bool) -> [f64; WAVES] {
    let days = zone.clock(start.saturating_add(length / 2)) as f64 / DAY;
    let wave = |period: f64| {
        let (sin, cos) = (std::f64::consts::TAU * days / period).sin_cos();
        [sin, cos, 2.0 * sin * cos, cos * cos - sin * sin]
    };
    // A grid of weeks always lies alike in the week.
    let week = if length as f64 % (7.0 * DAY) == 0.0 { [0.0; 4] } else { wave(7.0) };
    let year = if years { wave(YEAR) } else { [0.0; 4] };
    let mut waves = [0.0; WAVES];
    waves[..4].copy_from_slice(&week);
    waves[4..].copy_from_slice(&year);
    waves
}

impl Histories<'_> {
    /// Periods of a user from that of the first event to the last one before `end`, with which they end;
    /// none where nothing is known before it.
    pub fn periods(&self, user: usize, end: i64, length: i64) -> Vec<Period> {
        let known = self.known(user, end);
        let Some(&first) = self.times(user)[..known].first() else { return Vec::new() };
        let before = |time: i64| (end - 1 - time).div_euclid(length) as usize;
        let count = before(first) + 1;
        let mut periods = vec![Period::default(); count];
        let (mut orders, mut met) = (Orders::default(), FxHashSet::default());
        for (&event, &time) in self.events(user, 0..known).iter().zip(self.times(user)) {
            let k = before(time);
            let until = ((end - time) - k as i64 * length) as f64 / length as f64;
            let period = &mut periods[count - 1 - k];
            if period.events == 0 {
                period.first = until;
            }
            period.events += 1;
            period.items += u32::from(met.insert(self.log.events.item[event as usize]));
            period.since[0] = until;
            if self.buys.is_purchase(self.log, event) {
                let (count, spend) = (orders.count, orders.spend);
                orders.add(self.log, &self.buys, event);
                if orders.count > count {
                    period.orders += 1;
                    period.since[1] = until;
                }
                period.spend += orders.spend - spend;
            }
        }
        periods
    }

    /// Periods of all users together, so that one can see whether they fit into memory.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] where there are more than `max`.
    pub fn count_periods(&self, end: i64, length: i64, max: usize) -> Result<usize, Error> {
        let of = |user: usize| match self.times(user).first() {
            Some(&first) if first < end => (end - 1 - first).div_euclid(length) as u128 + 1,
            _ => 0,
        };
        let count: u128 = (0..self.len()).map(of).sum();
        if count > max as u128 {
            let found = u64::try_from(count).unwrap_or(u64::MAX);
            return Err(Error::TooLarge { what: "a grid of time", found, max: max as u64 });
        }
        Ok(count as usize)
    }

    /// Orders of some users, and the purchases in them.
    pub fn order_lines(&self, users: std::ops::Range<usize>) -> [f64; 2] {
        let (mut count, mut lines) = (0u32, 0u64);
        for user in users {
            let mut orders = Orders::default();
            for &event in self.events(user, 0..self.times(user).len()) {
                if self.buys.is_purchase(self.log, event) {
                    orders.add(self.log, &self.buys, event);
                    lines += 1;
                }
            }
            count += orders.count;
        }
        [f64::from(count), lines as f64]
    }

    /// Money of each of a user's orders before a moment.
    pub fn order_values(&self, user: usize, at: i64) -> Vec<f64> {
        let (mut orders, mut values) = (Orders::default(), Vec::new());
        for &event in self.events(user, 0..self.known(user, at)) {
            if self.buys.is_purchase(self.log, event) {
                let (count, spend) = (orders.count, orders.spend);
                orders.add(self.log, &self.buys, event);
                if orders.count > count {
                    values.push(0.0);
                }
                let last = values.len() - 1;
                values[last] += orders.spend - spend;
            }
        }
        values
    }
}
