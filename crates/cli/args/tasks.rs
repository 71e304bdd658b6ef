//! Flags of tasks beside the next item.

use std::path::PathBuf;

use clap::Args;

use super::Reading;

/// What a model learns to answer.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Tasks")]
pub(crate) struct Asking {
    /// What to learn, one or several: next-item, next-event (its kind), and within the horizon purchase,
    /// count (of orders), churn (no event), value (money spent), time-to-next [default: next-item]
    #[arg(long, value_name = "NAME")]
    pub(crate) task: Vec<String>,
    /// How far such a task looks ahead: 12h, 7d, 4w
    #[arg(long, value_name = "TIME")]
    pub(crate) horizon: Option<String>,
    /// Cut labels at this date; may be given again [default: at as many as fit]
    #[arg(long, value_name = "DATE")]
    pub(crate) at: Vec<String>,
    /// Without --at: what lies between two dates [default: a quarter of the horizon, in whole days where that is a day or more]
    #[arg(long, value_name = "TIME")]
    pub(crate) stride: Option<String>,
    /// Which events are purchases: auto (by the meaning of their kind), every, or kinds such as
    /// buy,order [default: auto]
    #[arg(long, value_name = "KIND,...")]
    pub(crate) buys: Option<String>,
    /// Learn what happens in each day or week, and look ahead by rolling forward [default: only where the
    /// log holds no whole horizon]
    #[arg(long, value_name = "day|week")]
    pub(crate) grid: Option<String>,
    /// With a grid: futures that are rolled forward of each user [default: 200]
    #[arg(long, value_name = "N")]
    pub(crate) paths: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct Demand {
    /// The folder of the model
    #[arg(value_name = "DIR")]
    pub(crate) model: PathBuf,
    /// Files, folders, or - for stdin
    #[arg(value_name = "LOG")]
    pub(crate) logs: Vec<PathBuf>,
    /// The file to write: .csv, .jsonl or .parquet
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// The moment that is looked ahead from [default: the end of the log]
    #[arg(long, value_name = "DATE")]
    pub(crate) at: Option<String>,
    /// How far, of a model that is rolled forward (train --grid) [default: the model's own horizon]
    #[arg(long, value_name = "TIME")]
    pub(crate) horizon: Option<String>,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

#[derive(Debug, Args)]
pub(crate) struct Predict {
    /// The folder of the model
    #[arg(value_name = "DIR")]
    pub(crate) model: PathBuf,
    /// Files, folders, or - for stdin
    #[arg(value_name = "LOG")]
    pub(crate) logs: Vec<PathBuf>,
    /// The file to write: .csv, .jsonl or .parquet
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// The moment that is looked ahead from [default: the end of the log]
    #[arg(long, value_name = "DATE")]
    pub(crate) at: Option<String>,
    #[command(flatten)]
    pub(crate) reading: Reading,
}
