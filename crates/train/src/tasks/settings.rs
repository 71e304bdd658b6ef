//! How it is asked, as a file or a command line spells it.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Task;
use crate::Error;

/// The keys of `[tasks]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TaskSettings {
    /// How far one looks ahead, such as `7d`.
    pub horizon: Option<String>,
    /// Dates at which labels are cut; none: as many as fit.
    pub at: Vec<String>,
    /// What lies between two dates, where they are not named; not set: a quarter of the horizon, at least
    /// a day.
    pub stride: Option<String>,
    /// Dates at most, where they are not named.
    pub most: usize,
    /// Which events are purchases: `auto`, `every`, or kinds.
    pub buys: Option<String>,
    /// How what lies ahead is told.
    pub way: Way,
    /// Rolling forward only: the length of a step; not set: by what the log holds.
    pub grid: Option<Step>,
    /// Rolling forward only: futures of each user.
    pub paths: u32,
    /// Events, or periods, that a model reads before a question: at most so many, and at least half of them
    /// where there are more.
    pub history: usize,
    /// What a task counts beside the others, where it is not 1.
    pub weights: BTreeMap<Task, f32>,
    /// What is done about rare answers to yes or no.
    pub balance: Balance,
    /// Focal loss only: how fast the known fades.
    pub gamma: f32,
    /// Share of the questions answered by no that are put in each epoch, drawn anew each time; those that
    /// are count for the others.
    pub negatives: f32,
    /// What the heads begin as: the regression on what is known at the moment, or nothing.
    pub start: HeadStart,
    /// How probabilities are set right on the validation part: `isotonic`, `platt` or `none`.
    pub calibration: Calibrate,
}

/// How what lies ahead is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// From labels where the log is long enough for some, otherwise on a grid.
    #[default]
    Auto,
    /// By heads that learn from labels cut at moments.
    Direct,
    /// By rolling forward, period by period.
    Grid,
}

/// The length of a step of a grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// A day.
    Day,
    /// Seven of them.
    Week,
}

impl Step {
    /// In milliseconds.
    pub fn length(self) -> i64 {
        let day = 24 * 60 * 60 * 1000;
        match self {
            Self::Day => day,
            Self::Week => 7 * day,
        }
    }

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
        }
    }
}

impl FromStr for Step {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        [Self::Day, Self::Week].into_iter().find(|step| step.name() == text).ok_or_else(|| {
            let reason = "expected day or week".to_owned();
            Error::Tasks { what: format!("--grid {text}"), reason }
        })
    }
}

/// What is done about rare answers to yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Balance {
    /// Nothing: probabilities are as they are found.
    #[default]
    None,
    /// Both answers count as much taken together.
    Weights,
    /// The focal loss.
    Focal,
}

/// What the heads of answers begin as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeadStart {
    /// The regression that the network has to beat: it learns what is left to be said.
    #[default]
    Regression,
    /// Random weights, as everything else.
    Random,
}

/// How probabilities are set right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Calibrate {
    /// By a curve with two numbers.
    #[default]
    Platt,
    /// By any curve that rises.
    Isotonic,
    /// Not at all.
    None,
}

impl Default for TaskSettings {
    fn default() -> Self {
        Self {
            horizon: None,
            at: Vec::new(),
            stride: None,
            most: 32,
            buys: None,
            way: Way::default(),
            grid: None,
            paths: 200,
            history: 256,
            weights: BTreeMap::new(),
            balance: Balance::None,
            gamma: 2.0,
            negatives: 1.0,
            start: HeadStart::default(),
            calibration: Calibrate::default(),
        }
    }
}

impl TaskSettings {
    /// Checks every key that is not a span or a date.
    ///
    /// # Errors
    ///
    /// [`Error::Tasks`] names the first that does not fit and what to do about it.
    pub fn validate(&self) -> Result<(), Error> {
        let wrong = |what: &str, reason: &str| {
            Err(Error::Tasks { what: format!("tasks.{what}"), reason: reason.to_owned() })
        };
        if self.most == 0 || self.most > 100_000 {
            return wrong("most", "set it to 1 to 100000");
        }
        if self.history < 2 || self.history > 1 << 20 {
            return wrong("history", "set it to 2 to 1048576 events");
        }
        if self.paths == 0 || self.paths > 1 << 20 {
            return wrong("paths", "set it to 1 to 1048576");
        }
        if self.weights.values().any(|weight| !(weight.is_finite() && *weight > 0.0)) {
            return wrong("weights", "let each task count more than 0");
        }
        if !(0.0..=100.0).contains(&self.gamma) {
            return wrong("gamma", "set it between 0 and 100");
        }
        if !(self.negatives > 0.0 && self.negatives <= 1.0) {
            return wrong("negatives", "set it above 0 and to at most 1");
        }
        Ok(())
    }
}
