//! What is known of a user right after each event, in numbers: for the question what comes next.

use rustc_hash::FxHashMap;

use super::Histories;
use crate::Kind;

/// A pause longer than this, in milliseconds, ends a visit.
const VISIT: i64 = 30 * 60 * 1000;

/// What the numbers after an event are called. `item_` are earlier events with the item of this one;
/// `last_`, `second_` and `third_` say of which kind the last three events were, this one first.
pub const AFTER_EVENT: [&str; 29] = [
    "minutes_since_the_event_before",
    "events",
    "views",
    "carts",
    "favourites",
    "purchases",
    "visit_events",
    "visit_carts",
    "visit_favourites",
    "visit_purchases",
    "item_views",
    "item_carts",
    "item_favourites",
    "item_purchases",
    "items",
    "events_since_cart",
    "events_since_purchase",
    "last_view",
    "last_cart",
    "last_favourite",
    "last_purchase",
    "second_view",
    "second_cart",
    "second_favourite",
    "second_purchase",
    "third_view",
    "third_cart",
    "third_favourite",
    "third_purchase",
];

/// The numbers after an event, in the order of [`AFTER_EVENT`], as they are.
pub type AfterEvent = [f64; AFTER_EVENT.len()];

impl Histories<'_> {
    /// What is known after each of a user's first `count` events, that event included.
    pub fn after_events(&self, user: usize, count: usize) -> Vec<AfterEvent> {
        let (events, times) = (self.events(user, 0..count), self.times(user));
        let mut rows = Vec::with_capacity(count);
        let mut items = FxHashMap::<u32, [u32; 4]>::default();
        let (mut all, mut visit) = ([0u32; 4], [0u32; 4]);
        let mut visit_events = 0u32;
        let mut last = [None::<usize>; 3];
        // Events since the last cart and purchase, all of them where there was none.
        let mut since = [0u32; 2];
        for (place, &event) in events.iter().enumerate() {
            let pause = if place == 0 { 0 } else { times[place].saturating_sub(times[place - 1]) };
            if pause > VISIT {
                (visit, visit_events) = ([0; 4], 0);
            }
            let kind = self.meaning(event);
            last = [kind, last[0], last[1]];
            visit_events += 1;
            since = since.map(|events| events + 1);
            let seen = items.entry(self.log.events.item[event as usize]).or_default();
            let before = *seen;
            if let Some(kind) = kind {
                all[kind] += 1;
                visit[kind] += 1;
                seen[kind] += 1;
                match kind {
                    CART => since[0] = 0,
                    PURCHASE => since[1] = 0,
                    _ => (),
                }
            }
            let mut row = [0.0; AFTER_EVENT.len()];
            let counts = [
                &[place as u32 + 1][..],
                &all,
                &[visit_events],
                &visit[1..],
                &before,
                &[items.len() as u32],
                &since,
            ];
            row[0] = pause as f64 / 60_000.0;
            let counts = counts.into_iter().flatten().map(|&count| f64::from(count));
            let kinds = last
                .into_iter()
                .flat_map(|kind| (0..4).map(move |other| f64::from(u8::from(kind == Some(other)))));
            row[1..].iter_mut().zip(counts.chain(kinds)).for_each(|(to, value)| *to = value);
            rows.push(row);
        }
        rows
    }

    /// View, cart, favourite or purchase, counted from 0; none of another kind.
    pub(super) fn meaning(&self, event: u32) -> Option<usize> {
        match self.log.kind(event as usize) {
            _ if self.buys.is_purchase(self.log, event) => Some(PURCHASE),
            Kind::View => Some(0),
            Kind::Cart => Some(CART),
            Kind::Favourite => Some(2),
            _ => None,
        }
    }
}

const CART: usize = 1;
const PURCHASE: usize = 3;
