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
//! 5. [`Histories`] has what each user did on both sides of a moment: what was known, what came true.
//! 6. Beside the items: [`clean()`] leaves out what is not to be believed, [`FittedFill`] fills what
//!    is missing, [`FittedFeatures`] makes numbers of the columns.
//! 7. [`Portraits`] say what groups of users are like, whoever made the groups.

#![forbid(unsafe_code)]

mod baselines;
mod cases;
mod clean;
mod column;
mod error;
mod features;
mod fill;
mod format;
mod grid;
mod inspect;
mod log;
mod names;
mod number_table;
mod outcomes;
mod portrait;
mod prepare;
mod progress;
mod read;
mod sessions;
pub mod simulator;
mod split;
mod suggest;
pub mod time;
mod timeline;
mod triples;
mod vocabulary;

pub use baselines::{Baseline, Baselines};
pub use cases::{Case, Cases, Row};
pub use clean::{Check, CleanReport, CleanRule, CleanRules, Finding, clean, clean_sessions};
pub use column::{Column, Words};
pub use error::Error;
pub use features::{
    Cell, Coverage, FeatureSpec, FeatureSpecs, Features, FittedFeatures, How, Inputs, ItemVectors,
    Scale, Scaling, Source, Table, Tables, Vectors, log_of_ids,
};
pub use fill::{
    FillReport, FillRule, FillRules, FillScore, FilledColumn, FittedFill, HoldOut, Method,
    ScoreOptions, fill_methods, score_fill,
};
pub use format::{Columns, Format, Role};
pub use grid::{Grid, GridOptions};
pub use inspect::{
    Advice, Bin, Busy, Calendar, ColumnReport, Funnel, FurtherColumn, Holds, Judged, KindCount,
    Kinds, Lengths, Novelty, Pauses, Popularity, Rare, Repeats, RepeatsAt, Report, SessionLengths,
    Silence, Spread, Stage, Summary, Suspicious, Tick, flags,
};
pub use log::{BadRow, BadRows, Events, Kind, LabelColumn, Log, NumberColumn, ReadReport, Settled};
pub use names::{NONE, Names};
pub use number_table::NumberTable;
pub use outcomes::{
    AFTER_EVENT, AFTER_PERIOD, AfterEvent, AfterPeriod, BuyRule, Buyer, Buys, Cuts, Histories,
    MOMENT, Moment, Outcome, Pace, Period, WAVES, has_money, parse_span, waves,
};
pub use portrait::{
    Buying, Groups, Lift, Mark, Portrait, Portraits, Share, Spend, Unit, When, group_marks,
    group_names,
};
pub use prepare::{CARD as PREPARED, PrepareOptions, Prepared, TABLES as PREPARED_TABLES, prepare};
pub use progress::{Progress, Watch};
pub use read::{
    EventSink, Further, Key, ReadOptions, Row as EventRow, is_decoding, read, read_into,
    read_watched,
};
pub use sessions::{Dropped, SessionOptions, SessionRule, Sessions, Targets};
pub use split::{Parts, Split};
pub use suggest::{Guess, Suggestion, suggest};
pub use time::{Window, Zone};
pub use triples::{TripleOptions, Triples};
pub use vocabulary::{Sequences, Vocabulary};
