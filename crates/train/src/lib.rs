//! From sessions to a trained model, and from a trained model to its figures.
//!
//! ```text
//!     Data ─→ train ─→ OUT/model.safetensors ─→ Trained ─→ answer, evaluate, recommend
//! ```
//!
//! 1. [`batches`] turns sessions into batches in which every position is a target; [`schedule`] and
//!    [`settings`] say how they are learned from.
//! 2. [`train`](fn@train) is the loop; an [`Observer`] watches it and can stop it; what it leaves on
//!    the disk meanwhile is a checkpoint.
//! 3. [`Trained`] is what it leaves at last: a model, its vocabulary, the baselines' counts.
//! 4. [`tasks`] are the questions beside the next item: lessons, answers, baselines, figures.
//! 5. [`demand`] is what all users together will buy of each item; [`doubts`] says where a run is not to be
//!    trusted.
//! 6. [`mod@evaluate`] ranks, [`metrics`] counts, [`mod@recommend`] answers, [`mod@represent`] shows what the
//!    model has made of each user.
//! 7. [`explain`] says why: which events carry an answer, what gates and units do.

#![forbid(unsafe_code)]

pub mod batches;
mod checkpoint;
pub mod demand;
pub mod doubts;
mod error;
pub mod evaluate;
pub mod explain;
pub mod folder;
mod identity;
pub mod metrics;
mod observer;
pub mod recommend;
mod record;
pub mod represent;
mod run;
pub mod schedule;
pub mod settings;
pub mod tasks;
mod tensorboard;
mod trained;
mod treatment;

pub use checkpoint::{
    EVENTS_FILE, FOLDER as CHECKPOINT_FOLDER, LOG_FILE, REPORT_FILE, RESULT_FILE, RUN_FILE,
    TABLE_FILE, Texts, forget_run,
};
pub use error::Error;
pub use observer::{EpochReport, Observer, Plan, StepProgress};
pub use record::{Point, RunFile};
pub use run::{Data, Outcome, Run, TaskData, Validation, finished, train};
pub use settings::Training;
pub use trained::{Knowledge, MODEL_FILE, SessionRules, Trained, model_file};
pub use treatment::{Treatment, Wishes};
