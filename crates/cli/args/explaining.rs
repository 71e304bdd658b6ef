//! Flags of `explain`.

use std::path::PathBuf;

use clap::Args;

use super::Reading;

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The folder of the model
    #[arg(value_name = "DIR")]
    pub(crate) model: PathBuf,
    /// Files, folders, or - for stdin
    #[arg(value_name = "LOG")]
    pub(crate) logs: Vec<PathBuf>,
    /// The folder to write
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Write into a folder that is not empty
    #[arg(long)]
    pub(crate) force: bool,
    /// Whom to explain: a user of the log, or a session where it names no users
    #[arg(long, value_name = "ID", conflicts_with = "all")]
    pub(crate) user: Option<String>,
    /// Explain so many users at once, the first of the log: a table of the events that count most
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) all: Option<u32>,
    /// The moment of the question: what comes from it on is not known [default: the end of the log]
    #[arg(long, value_name = "DATE")]
    pub(crate) at: Option<String>,
    /// Ask right before the last event of this kind instead, such as purchase
    #[arg(long, value_name = "KIND")]
    pub(crate) before: Option<String>,
    /// Which answer to explain [default: purchase where the model has it, else another of its tasks]
    #[arg(long, value_name = "NAME")]
    pub(crate) task: Option<String>,
    /// Of next-item and next-event: the probability of this item or kind [default: of what came, or else
    /// of what is most probable]
    #[arg(long, value_name = "NAME")]
    pub(crate) target: Option<String>,
    /// Where integrated gradients begin: mean (the mean event of the log) or zero [default: mean]
    #[arg(long, value_name = "NAME", value_parser = ["mean", "zero"])]
    pub(crate) baseline: Option<String>,
    /// In how many parts the path is cut at least; where it bends, it is cut further [default: 4]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) steps: Option<u32>,
    #[command(flatten)]
    pub(crate) reading: Reading,
}
