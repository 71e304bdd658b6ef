//! A shop whose truth is known: it makes logs of any size, and it knows the best score that any model
//! could reach on them.
//!
//! ```text
//!     ShopConfig, seed ─→ Shop ─→ User ─→ Session ─→ items ─→ Filter ─→ best_possible
//!                          └────→ simulate: log, truth, causes
//! ```
//!
//! Read `process` for what happens in a session, `filter` for what can be known of it from outside,
//! `shop` for the rates.
//!
//! # The process
//!
//! An item is a category `c`, a style `y` (0 is the basic one) and a rung `r` on the price ladder of
//! that cell. A user has a type `k` for life. A session has a budget `b`, a mission `m` that stands
//! at position `p` of its route of categories, and a liked style `s`. What a model sees is only the
//! items `x₁ x₂ …`; from them follow the last item, the one before, the kind of the last event, and
//! what is in the cart (at most one item).
//!
//! ```text
//!     k ~ share        b ~ frugal_k        m ~ missions of k        s ~ styles of k        p = 0
//!
//!     next event       leave        with leave_k (leave_after_purchase_k after a purchase)
//!     else             purchase     with purchase_k     x = the item in the cart
//!     else             cart         with cart_k         x = the last item       empty cart, after a view
//!     else             second look  with back_k         x = the item before     after a view
//!     else             accessory    with accessory      c = accessory of the category bought in,
//!                                                       y = the style bought    after a purchase
//!     else             view         the interest moves, then
//!                                   c = detour with detour_k, else route_m(p)
//!                                   y = 0 with basic_k, s with taste_k, else any
//!     in the cell      r ~ popularity_b(r), without the last item and the one in the cart
//!
//!     the interest moves
//!         (m, p) → (next mission of k, 0)   with mission_drift
//!                  (m, p)                   with stay_k
//!                  (m, p + 1)               else, in a circle
//!         s      → next style of k          with style_drift
//!
//!     popularity_small(r) = 1 / (r + 1)ᶻ    popularity_large(r) = popularity_small(R − 1 − r)
//! ```
//!
//! Between two sessions of a user mission and style stay, go on to the next of the type, or are
//! drawn afresh; the budget is drawn afresh. "Next" goes round among interests of equal share, so
//! all of this keeps the shares, and a session from anywhere in the log is distributed like the
//! first. Numbers and times of sessions depend on nothing hidden.
//!
//! # A campaign
//!
//! In a shop with one, a random half of the users gets a voucher at a moment: `cart_k` is another in their
//! sessions that begin while it holds. Both lives of a user can be had ([`Fates`]), so what the voucher does to
//! each type is known. The best possible score is that of sessions which no voucher has reached.
//!
//! # What a first-order table sees, and what not
//!
//! It sees the category, style and rung of the last item, and so the mean of all that can follow. It
//! does not see
//!
//! - the mission: every category lies on several routes, and what comes next differs between them;
//! - where on the route a detour left off;
//! - the taste, wherever the last item is a basic one, and that is nearly every other time;
//! - the budget, beyond what one item's rung tells;
//! - the cart, the item before the last, and whether the last event was a view, a cart or a
//!   purchase: these need memory of single items, which is hard to learn from few examples;
//! - the type.
//!
//! All of it is in the earlier items of the session, and a model with a state can learn to keep it.
//! Detours, drift and chance are in nobody's reach, and [`best_possible`] takes account of that: it
//! reads no hidden state, and ranks by the exact `P(xₜ₊₁ | x₁ … xₜ)`.

mod campaign;
mod draw;
mod filter;
mod process;
mod score;
mod shop;
#[cfg(test)]
mod tests;
mod users;
mod write;

use thiserror::Error;

pub use campaign::{Campaign, Fates};
pub use filter::Filter;
pub use process::{Event, Interest, Kind, Why};
pub use score::{Score, best_possible};
pub use shop::{Place, Shop, ShopConfig, UserType};
pub use users::{Session, User};
pub use write::{CAUSES_HEADER, LOG_HEADER, Summary, TRUTH_HEADER, Truth, UPLIFT_HEADER, simulate};

/// How much is simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// Whole users until there are at least this many events.
    Events(u64),
    /// This many users.
    Users(u64),
}

/// Why a shop cannot be simulated or its score not be told.
#[derive(Debug, Error)]
pub enum SimulatorError {
    /// A shop that cannot be built.
    #[error("simulated shop: {key}: {why}")]
    Config {
        /// The key of the configuration.
        key: String,
        /// What is wrong with its value.
        why: String,
    },
    /// A session that the process cannot have made.
    #[error(
        "event {event} of the session: the simulated shop never shows {item} there; \
             score sessions of this shop and this seed only"
    )]
    Impossible {
        /// The item's id.
        item: String,
        /// The event's number in its session, from 0.
        event: usize,
    },
    /// An item that the shop does not have.
    #[error("item {item}: the simulated shop has {items} items, numbered from 0")]
    NoSuchItem {
        /// The number asked for.
        item: usize,
        /// How many there are.
        items: usize,
    },
    /// A file that cannot be written.
    #[error("writing the simulated log: {0}")]
    Write(#[from] std::io::Error),
}
