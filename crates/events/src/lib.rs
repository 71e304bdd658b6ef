//! Event logs to clean events, sessions, splits and cases; the baselines; a simulated shop. This
//! crate knows no gradients.
//!
//! ```text
//!     read ─→ Log ─→ Sessions ─→ Split ─→ Parts ─→ Vocabulary ─→ Sequences ─→ Baselines
//!                                                       └──────→ Sequences ─→ Cases
//! ```
//!
//! 1. [`read()`] takes files of any known layout and gives a [`Log`]: events by column, strings held
//!    once, bad rows counted.
//! 2. [`Sessions::from_log`] groups and orders the events; [`Split::apply`] parts the sessions;
//!    [`Sessions::keep`] leaves out what is too rare or too short in the training part.
//! 3. [`Vocabulary::from_sessions`] numbers the items of the training part by popularity, and
//!    [`Vocabulary::encode`] writes any sessions in those numbers.
//! 4. [`Cases::new`] lists what an evaluation asks; [`Baselines`] answer it without a net.

#![forbid(unsafe_code)]

mod baselines;
mod cases;
mod error;
mod format;
mod inspect;
mod log;
mod names;
mod read;
mod sessions;
pub mod simulator;
mod split;
mod suggest;
pub mod time;
mod vocabulary;

pub use baselines::{Baseline, Baselines};
pub use cases::{Case, Cases, Row};
pub use error::Error;
pub use format::{Columns, Format, Role};
pub use inspect::{FurtherColumn, Lengths, Repeats, Summary};
pub use log::{BadRow, BadRows, Events, Kind, LabelColumn, Log, NumberColumn, ReadReport};
pub use names::{NONE, Names};
pub use read::{EventSink, Further, Key, ReadOptions, Row as EventRow, read, read_into};
pub use sessions::{Dropped, SessionOptions, SessionRule, Sessions, Targets};
pub use split::{Parts, Split};
pub use suggest::{Finding, Suggestion, suggest};
pub use time::{Window, Zone};
pub use vocabulary::{Sequences, Vocabulary};
