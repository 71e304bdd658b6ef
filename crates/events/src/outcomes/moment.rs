//! What is known of a user at a moment, in numbers.

use super::{Histories, Orders};
use crate::Zone;

const DAY: f64 = 24.0 * 60.0 * 60.0 * 1000.0;

/// What the numbers of a [`Moment`] are called. Spans are days, money is the log's; `recent` is the last
/// stretch of the horizon's length.
pub const MOMENT: [&str; 20] = [
    "since_last_event",
    "since_last_order",
    "since_first_event",
    "days_between_orders",
    "events",
    "views",
    "carts",
    "favourites",
    "purchases",
    "orders",
    "items",
    "active_days",
    "spend",
    "spend_per_order",
    "recent_events",
    "recent_carts",
    "recent_orders",
    "recent_spend",
    "last_day_events",
    "last_hour_events",
];

/// The numbers of a moment, in the order of [`MOMENT`], as they are.
pub type Moment = [f64; MOMENT.len()];

/// A user who has bought, as models of repeat buying see him. Times are days.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Buyer {
    /// Orders after the first, x.
    pub repeats: u32,
    /// From the first order to the last, t_x.
    pub recency: f64,
    /// From the first order to the moment, T.
    pub age: f64,
    /// Mean money of the orders after the first; of the first, where there is no other.
    pub mean_spend: f64,
}

impl Histories<'_> {
    /// What is known of a user at a moment.
    ///
    /// | numbers | where there is nothing |
    /// |---|---|
    /// | days since the last event, order | since the first event |
    /// | mean days between orders | the whole time since the first event |
    /// | counts, days with an event, money | 0 |
    pub fn moment(&self, user: usize, at: i64, horizon: i64, zone: &Zone) -> Moment {
        let known = self.known(user, at);
        let (events, times) = (self.events(user, 0..known), &self.times(user)[..known]);
        let since = |time: i64| (at - time) as f64 / DAY;
        let first = times.first().map_or(0.0, |&time| since(time));
        let last = times.last().map_or(0.0, |&time| since(time));
        let recent = times.partition_point(|&time| time < at.saturating_sub(horizon));
        let later = |span: i64| {
            (known - times.partition_point(|&time| time < at.saturating_sub(span))) as f64
        };

        let mut kinds = [0.0; 4];
        let mut recent_carts = 0.0;
        for (place, &event) in events.iter().enumerate() {
            let Some(kind) = self.meaning(event) else { continue };
            kinds[kind] += 1.0;
            if kind == 1 && place >= recent {
                recent_carts += 1.0;
            }
        }
        let [views, carts, favourites, purchases] = kinds;
        let mut items: Vec<u32> =
            events.iter().map(|&event| self.log.events.item[event as usize]).collect();
        items.sort_unstable();
        items.dedup();
        let day = |time: i64| zone.clock(time).div_euclid(DAY as i64);
        let days = times.iter().map(|&time| day(time)).collect::<Vec<_>>();
        let active = days.chunk_by(|a, b| a == b).count() as f64;

        let orders = self.orders(user, 0..known);
        let late = self.orders(user, recent..known);
        let count = f64::from(orders.count);
        let between = match orders.first {
            Some(first) if orders.count > 1 => {
                (orders.last_start - first) as f64 / DAY / (count - 1.0)
            }
            _ => first,
        };
        [
            last,
            if orders.count > 0 { since(orders.last_start) } else { first },
            first,
            between,
            known as f64,
            views,
            carts,
            favourites,
            purchases,
            count,
            items.len() as f64,
            active,
            orders.spend,
            if orders.count > 0 { orders.spend / count } else { 0.0 },
            (known - recent) as f64,
            recent_carts,
            f64::from(late.count),
            late.spend,
            later(DAY as i64),
            later(DAY as i64 / 24),
        ]
    }

    /// A user as models of repeat buying see him at a moment; none who has not bought yet.
    pub fn buyer(&self, user: usize, at: i64) -> Option<Buyer> {
        let Orders { count, spend, first, last_start, first_spend, .. } =
            self.orders(user, 0..self.known(user, at));
        let (first, repeats) = (first?, count - 1);
        let mean_spend = match repeats {
            0 => spend,
            _ => (spend - first_spend) / f64::from(repeats),
        };
        Some(Buyer {
            repeats,
            recency: (last_start - first) as f64 / DAY,
            age: (at - first) as f64 / DAY,
            mean_spend,
        })
    }
}
