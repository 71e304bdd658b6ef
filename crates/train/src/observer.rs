//! What a run tells while it goes on, and how it is asked to stop.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::metrics::Metrics;

/// Whoever watches a run: a progress bar, a test, nobody (`()`).
pub trait Observer: Send {
    /// The run begins, or goes on where a checkpoint left it.
    fn begin(&mut self, _plan: &Plan) {}
    /// A step has been made.
    fn step(&mut self, _step: &StepProgress) {}
    /// An epoch has been trained and, where there is something to validate on, validated.
    fn epoch(&mut self, _epoch: &EpochReport) {}
    /// Something the user should know, in one sentence.
    fn warn(&mut self, _message: &str) {}
    /// Whether the run should end after the step at hand, with a checkpoint.
    fn interrupted(&self) -> bool {
        false
    }
}

impl Observer for () {}

/// What lies ahead.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Number of epochs.
    pub epochs: usize,
    /// Targets of an epoch.
    pub targets: usize,
    /// Learned numbers of the model.
    pub parameters: usize,
    /// Targets that an earlier part of the run has done.
    pub done: u64,
    /// Cases of the validation part.
    pub validation_cases: usize,
}

/// Where a run stands after a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepProgress {
    /// The epoch, counted from 1.
    pub epoch: usize,
    /// Targets done in the whole run.
    pub done: u64,
    /// Mean loss of the epoch so far.
    pub loss: f64,
    /// Targets a second, training time only.
    pub events_per_s: f64,
}

/// A line of `log.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochReport {
    /// The epoch, counted from 1.
    pub epoch: usize,
    /// Steps of the run so far.
    pub steps: u64,
    /// Mean loss over the epoch's targets; null where it could not be told.
    pub loss: Option<f64>,
    /// Learning rate of the last step.
    pub learning_rate: f64,
    /// Training time of the epoch in seconds.
    pub seconds: f64,
    /// Targets a second of training time.
    pub events_per_s: f64,
    /// Whether this is the best epoch so far.
    pub best: bool,
    /// What that is told by, the more the better; none without a validation part.
    #[serde(default)]
    pub value: Option<f64>,
    /// When the epoch ended, in seconds since 1970.
    #[serde(default)]
    pub ended: f64,
    /// Figures on the validation part.
    pub validation: Option<Metrics>,
    /// The loss of each task beside the next item there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub losses: BTreeMap<String, f64>,
}
