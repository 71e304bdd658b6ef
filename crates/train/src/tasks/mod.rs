//! Tasks beside the next item: will a user buy, how often, for how much, when; will they stay away;
//! what kind of event comes?
//!
//! ```text
//!     log ─→ whole users ─→ cuts ─→ Lessons ─→ training ─→ answers ─→ calibration, figures, predictions
//! ```
//!
//! 1. [`Task`] says what is asked, [`TaskSettings`] how.
//! 2. [`Timetable`] says when training asks and when validation does. [`Lessons`] are the rows that a model reads and the questions put after their events: labels are
//!    cut from the log by time, so that what stands behind a question changes nothing before it.
//! 3. [`TaskKnowledge`] is what answers need later, and travels with the model.
//! 4. [`answer_tasks`] puts the questions to a model.
//! 5. [`ahead`] looks further than a log is long: period by period.

pub mod ahead;
mod answering;
mod baselines;
mod figures;
mod gains;
mod knowledge;
mod lessons;
mod right;
mod settings;
mod start;
mod task;
mod timetable;

pub use answering::{Told, answer_tasks};
pub use baselines::{AtMoment, Baselines, KindCounts, RepeatBuying, Said};
pub use figures::{Compared, Figures, MODEL, TaskFigures, compare, figures};
pub use gains::Gain;
pub(crate) use gains::over_best;
pub use knowledge::TaskKnowledge;
pub(crate) use lessons::Filling;
pub(crate) use lessons::scaled;
pub use lessons::{Asked, Following, Lessons, Put, TaskPiece};
pub use right::Right;
pub use settings::{Balance, Calibrate, HeadStart, Step, TaskSettings, Way};
pub use start::lines;
pub use task::Task;
pub use timetable::{Request, Timetable, classes};
