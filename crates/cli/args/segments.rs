//! The flags of `represent` and `segment`.

use std::path::PathBuf;

use clap::Args;

use super::Reading;

#[derive(Debug, Args)]
pub(crate) struct Represent {
    /// The folder of the model
    #[arg(value_name = "DIR")]
    pub(crate) model: PathBuf,
    /// Files, folders, or - for stdin
    #[arg(value_name = "LOG")]
    pub(crate) logs: Vec<PathBuf>,
    /// The file to write: .parquet, .csv or .npy
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// What of the model: state, the hidden state of its highest layer, or picture, what its scores are made
    /// from [default: state]
    #[arg(long, value_name = "NAME", value_parser = ["state", "picture"])]
    pub(crate) of: Option<String>,
    /// What of several sessions: mean, or last, the last one alone [default: mean]
    #[arg(long, value_name = "NAME", value_parser = ["mean", "last"])]
    pub(crate) pool: Option<String>,
    /// Reduce the rows to their N principal components
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) pca: Option<u32>,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

#[derive(Debug, Args)]
pub(crate) struct Segment {
    /// The folder of the model
    #[arg(value_name = "DIR")]
    pub(crate) model: PathBuf,
    /// Files, folders, or - for stdin
    #[arg(value_name = "LOG")]
    pub(crate) logs: Vec<PathBuf>,
    /// The folder to write
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Replace the segments in a folder that is not empty
    #[arg(long)]
    pub(crate) force: bool,
    /// How many segments [default: found, 2 to 10]
    #[arg(long, value_name = "K", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(2..=100))]
    pub(crate) clusters: Option<u32>,
    /// How: kmeans, mixture (of normal distributions), density (some users belong nowhere) [default: kmeans]
    #[arg(long, value_name = "NAME", value_parser = ["kmeans", "mixture", "density"])]
    pub(crate) method: Option<String>,
    /// Users that the map and the silhouettes are made of, where there are more [default: 2000]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(100..=20_000))]
    pub(crate) sample: Option<u32>,
    #[command(flatten)]
    pub(crate) reading: Reading,
}
