//! The flags of `audience`.

use std::path::PathBuf;

use clap::Args;

use super::Reading;

/// What `tidegate audience --help` ends with.
pub(crate) const HELP: &str = "\
Examples:
  tidegate audience model clicks.csv --at 2026-10-01 --out audience --top 500
  tidegate audience model clicks.csv --out audience --cost 0.8 --budget 2000 --margin 0.3 --effect 0.1
  tidegate audience model clicks.csv --at 2026-10-01 --out audience --task churn --top 500
  tidegate audience model clicks.csv --at 2026-10-01 --out audience --treated voucher --cost 0.8 --margin 0.3

The folder gets the list (audience.csv: user, rank, score, gain, contact …), report.html, gain.svg and
audience.json. A log with a column `treated` (1 and 0, the same in all rows of a user) that goes on to the
horizon after --at tells what the campaign of that moment has changed: then users are ranked by that, two models
estimate it, and the page shows how far to trust them. docs/audience.md has the equations.";

#[derive(Debug, Args)]
pub(crate) struct Audience {
    /// The folder of a model with tasks
    #[arg(value_name = "DIR")]
    pub(crate) model: PathBuf,
    /// Files, folders, or - for stdin
    #[arg(value_name = "LOG")]
    pub(crate) logs: Vec<PathBuf>,
    /// The folder to write
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Replace the audience in a folder that is not empty
    #[arg(long)]
    pub(crate) force: bool,
    /// What the list in it is called: NAME.csv, NAME.jsonl or NAME.parquet [default: audience.csv]
    #[arg(long, value_name = "NAME")]
    pub(crate) list: Option<String>,
    /// The moment of the campaign [default: the end of the log]
    #[arg(long, value_name = "DATE")]
    pub(crate) at: Option<String>,
    /// Whom to look for: who is likely to buy (purchase), to spend much (value), to order often (count), or to
    /// stay away (churn) [default: the first of these that the model knows]
    #[arg(long, value_name = "NAME", value_parser = ["purchase", "value", "count", "churn"])]
    pub(crate) task: Option<String>,
    /// Contact the first N [default: whom it pays to contact; where nobody knows, a tenth]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) top: Option<u64>,
    /// Contact as many as this buys at --cost each
    #[arg(long, value_name = "MONEY", allow_negative_numbers = true, requires = "cost")]
    pub(crate) budget: Option<f64>,
    /// What a contact costs
    #[arg(long, value_name = "MONEY", allow_negative_numbers = true)]
    pub(crate) cost: Option<f64>,
    /// What is earned of a sale, as a share of its money [default: 1]
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    pub(crate) margin: Option<f64>,
    /// What a contact adds to what is expected anyway, as a share of it; estimated where the log has a trial
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    pub(crate) effect: Option<f64>,
    /// Money of a user who buys within the horizon (count: of an order) [default: what the log says of the last
    /// horizon before the moment]
    #[arg(long, value_name = "MONEY", allow_negative_numbers = true)]
    pub(crate) worth: Option<f64>,
    /// The column that says who was treated: 1 or 0, the same in all rows of a user; - reads none
    /// [default: treated, treatment, is_treated or exposed, where the log has one]
    #[arg(long, value_name = "COLUMN")]
    pub(crate) treated: Option<String>,
    /// Resamples of the users that intervals are made of [default: 1000]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(10..=100_000))]
    pub(crate) resamples: Option<u32>,
    #[command(flatten)]
    pub(crate) reading: Reading,
}
