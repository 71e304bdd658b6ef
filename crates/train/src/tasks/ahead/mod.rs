//! Looking further ahead than a log is long: the model learns what happens in the next period, a day or a
//! week, and is rolled forward from there, over many sampled futures.
//!
//! ```text
//!     history on a grid   0 0 2 0 1 │ at
//!     path 1                        │ 0 1 0 0 …   each period drawn from p(next | what was, and what
//!     path 2                        │ 0 0 0 3 …   has been drawn, the calendar), then read as if it
//!     …                             │             had happened
//! ```
//!
//! The class of a period is how many orders began in it; where a log knows more than purchases, periods with
//! a visit and no order are a class of their own.
//!
//! 1. [`Ahead`] is what a model needs beside its weights; [`GridLessons`] makes lessons of a log.
//! 2. [`roll()`] walks the futures, and [`Spending`] says what an order in them costs.
//! 3. [`compare_ahead`] brings them together with what came true.
//!
//! # Source
//!
//! J. Valendin, T. Reutterer, M. Platzer, K. Kalcher, "Customer base analysis with recurrent neural
//! networks", International Journal of Research in Marketing 39(4), 2022: weekly counts drawn one after the
//! other.

mod beside;
mod grid;
mod roll;
mod spending;
mod survival;

pub use beside::{compare_ahead, unfitted};
pub use grid::{Grid, GridLessons};
pub use roll::{Rolled, roll};
pub use spending::Spending;

use events::Period;
use serde::{Deserialize, Serialize};

use super::{Task, TaskKnowledge};

/// Orders of a period that are told apart at most.
const MOST: u32 = 12;
/// Periods of training with so many orders or more that a class needs.
const ENOUGH: usize = 20;

/// How a model looks ahead period by period.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ahead {
    /// Length of a period, in milliseconds.
    pub period: i64,
    /// Orders of each class of a period: their number, or the mean of what training has met.
    pub orders: Vec<f64>,
    /// Whether class 1 is a visit without an order; otherwise it is one order.
    pub visits: bool,
    /// Whether training has seen all seasons of a year.
    pub years: bool,
    /// What an order costs; none where nobody asks.
    pub spending: Option<Spending>,
    /// Futures of each user.
    pub paths: u32,
    /// Draws them.
    pub seed: u64,
    /// What is asked, and what is said to it without a network.
    pub asked: TaskKnowledge,
}

/// The classes of periods.
#[derive(Debug, Clone, PartialEq)]
pub struct Classes {
    /// Orders of each.
    pub orders: Vec<f64>,
    /// Whether class 1 is a visit without an order.
    pub visits: bool,
}

impl Classes {
    /// Classes of the periods of training: as many numbers of orders as are met often enough, and one for
    /// all beyond.
    pub fn of<'a>(periods: impl Iterator<Item = &'a Period>) -> Self {
        let mut counts = [0usize; MOST as usize + 1];
        let mut sums = [0f64; MOST as usize + 1];
        let mut visits = false;
        for period in periods {
            let place = period.orders.min(MOST) as usize;
            counts[place] += 1;
            sums[place] += f64::from(period.orders);
            visits |= period.orders == 0 && period.events > 0;
        }
        let beyond = |k: usize| counts[k..].iter().sum::<usize>();
        let top = (1..counts.len()).rev().find(|&k| beyond(k) >= ENOUGH).unwrap_or(1);
        let mean = sums[top..].iter().sum::<f64>() / beyond(top).max(1) as f64;
        let mut orders = vec![0.0; if visits { 2 } else { 1 }];
        orders.extend((1..top).map(|k| k as f64));
        orders.push(mean.max(top as f64));
        Self { orders, visits }
    }

    /// Their names, as figures show them.
    pub fn names(&self) -> Vec<String> {
        let silent = 1 + usize::from(self.visits);
        let last = self.orders.len() - 1;
        let name = |class: usize| match class {
            0 => "nothing".to_owned(),
            1 if self.visits => "visit".to_owned(),
            class if class == last => format!("{} or more", class + 1 - silent),
            class => (class + 1 - silent).to_string(),
        };
        (0..=last).map(name).collect()
    }

    /// The class of a period.
    pub fn class(&self, period: &Period) -> u32 {
        let silent = 1 + u32::from(self.visits);
        match (period.orders, period.events) {
            (0, 0) => 0,
            (0, _) => silent - 1,
            (orders, _) => (silent + orders - 1).min(self.orders.len() as u32 - 1),
        }
    }
}

impl Classes {
    /// Orders of a period as they are counted: what is imagined later has classes, too.
    pub(super) fn orders_of(&self, period: &Period) -> f64 {
        self.orders[self.class(period) as usize]
    }
}

impl Ahead {
    /// The classes of a period.
    pub fn classes(&self) -> Classes {
        Classes { orders: self.orders.clone(), visits: self.visits }
    }

    /// Asks for nothing but the number of orders within a horizon, whatever was asked before.
    pub fn count_orders(&mut self, horizon: i64) {
        let asked = &mut self.asked;
        (asked.tasks, asked.horizon) = (vec![Task::Count], horizon);
        (asked.scales, asked.rights) = (vec![1.0], vec![Default::default()]);
    }

    /// How many classes are of no order.
    fn silent(&self) -> usize {
        1 + usize::from(self.visits)
    }

    /// Periods of the horizon, and which part of the last one lies in it.
    fn steps(&self) -> (usize, f64) {
        let (horizon, period) = (self.asked.horizon, self.period);
        let steps = (horizon + period - 1) / period;
        (steps as usize, (horizon - (steps - 1) * period) as f64 / period as f64)
    }

    /// Whether what a file says of it can be used.
    pub(super) fn is_sound(&self, kinds: usize) -> bool {
        let spending = self.spending.as_ref().is_none_or(Spending::is_sound);
        self.period > 0
            && self.orders.len() == kinds
            && kinds > self.silent()
            && self.orders.iter().all(|&orders| orders.is_finite() && orders >= 0.0)
            && (1..=1 << 20).contains(&self.paths)
            && (self.asked.horizon / self.period) < 1 << 20
            && spending
            && self.asked.ahead.is_none()
            && self.asked.is_sound()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn period(orders: u32, events: u32) -> Period {
        Period { orders, events, ..Period::default() }
    }

    #[test]
    fn numbers_of_orders_that_are_rare_are_one_class() {
        let mut all = vec![period(0, 0); 100];
        all.extend([period(1, 1); 30]);
        all.extend([period(2, 2); 15]);
        all.extend([period(4, 4); 5]);
        let classes = Classes::of(all.iter());
        assert_eq!(classes, Classes { orders: vec![0.0, 1.0, 2.5], visits: false });
        assert_eq!(classes.names(), ["nothing", "1", "2 or more"]);
        let of = |orders, events| classes.class(&period(orders, events));
        assert_eq!([of(0, 0), of(0, 3), of(1, 1), of(2, 2), of(9, 9)], [0, 0, 1, 2, 2]);

        all.push(period(0, 1));
        let classes = Classes::of(all.iter());
        assert_eq!(classes.names(), ["nothing", "visit", "1", "2 or more"]);
        let of = |orders, events| classes.class(&period(orders, events));
        assert_eq!([of(0, 0), of(0, 3), of(1, 1), of(2, 2), of(9, 9)], [0, 1, 2, 3, 3]);
    }
}
