//! Flags of `recommend`.

use std::path::PathBuf;

use clap::Args;

use super::Reading;

#[derive(Debug, Args)]
pub(crate) struct Recommend {
    /// The folder of the model
    #[arg(value_name = "DIR")]
    pub(crate) model: PathBuf,
    /// Item ids with blanks between, the latest last
    #[arg(long, value_name = "IDS", conflicts_with_all = ["events_file", "log", "user", "all"])]
    pub(crate) events: Option<String>,
    /// A file with an item id a line, the latest last; - for stdin
    #[arg(long, value_name = "FILE", conflicts_with_all = ["log", "user", "all"])]
    pub(crate) events_file: Option<PathBuf>,
    /// A log: recommend after its last session
    #[arg(long, value_name = "LOG")]
    pub(crate) log: Vec<PathBuf>,
    /// Recommend after the last session of this user of the log
    #[arg(long, value_name = "ID", requires = "log", conflicts_with = "all")]
    pub(crate) user: Option<String>,
    /// Recommend to every user of the log, after the last session of each; needs --out
    #[arg(long)]
    pub(crate) all: bool,
    /// With --all: the file to write, a row (.csv) or a line (.jsonl) a user
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// How many items [default: 20]
    #[arg(short, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) k: Option<u32>,
    #[command(flatten)]
    pub(crate) ruling: Ruling,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

/// What may be shown.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Rules")]
pub(crate) struct Ruling {
    /// Items that the user has had events with, whenever in the log: keep or drop [default: keep]
    #[arg(long, value_name = "WHAT", value_parser = ["keep", "drop"])]
    pub(crate) seen: Option<String>,
    /// Items that the user has bought: keep or drop [default: keep]
    #[arg(long, value_name = "WHAT", value_parser = ["keep", "drop"])]
    pub(crate) bought: Option<String>,
    /// Which events are purchases: auto (by the meaning of their kind), every, or kinds such as
    /// buy,order [default: as the model's tasks, or auto]
    #[arg(long, value_name = "KIND,...")]
    pub(crate) buys: Option<String>,
    /// Show only these items: a file with an id a line, such as what is in stock
    #[arg(long, value_name = "FILE")]
    pub(crate) allow: Option<PathBuf>,
    /// Never show these items: a file with an id a line
    #[arg(long, value_name = "FILE")]
    pub(crate) deny: Option<PathBuf>,
    /// Show at most so many items of one category
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) per_category: Option<u32>,
    /// Show only items of this category; may be given again
    #[arg(long, value_name = "NAME")]
    pub(crate) only_category: Vec<String>,
    /// Show only items that somebody has had an event of this kind with in the log (bought, say); may be
    /// given again
    #[arg(long, value_name = "KIND")]
    pub(crate) only_kind: Vec<String>,
    /// A table with a row an item, whose first column is the id: it says the categories in place of the log
    #[arg(long, value_name = "FILE")]
    pub(crate) item_table: Option<PathBuf>,
    /// The column of that table that is the category [default: category]
    #[arg(long, value_name = "NAME", requires = "item_table")]
    pub(crate) category_column: Option<String>,
}
