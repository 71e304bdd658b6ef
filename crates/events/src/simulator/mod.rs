//! The simulator.
//!
use thiserror::Error;
mod draw;
mod filter;
mod process;
mod score;
mod shop;
mod users;
mod write;

pub use filter::Filter;
pub use process::{Event, Interest, Kind, Why};
pub use score::{Score, best_possible};
pub use shop::{Place, Shop, ShopConfig, UserType};
pub use users::{Session, User};
pub use write::{CAUSES_HEADER, LOG_HEADER, Summary, TRUTH_HEADER, Truth, simulate};

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
