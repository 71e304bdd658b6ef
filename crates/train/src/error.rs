//! What can go wrong between a log and a trained model.

use std::io;
use std::path::PathBuf;

/// An error that says what, where, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A key of the training settings that cannot be used.
    #[error("training.{key}: {problem}; {remedy}")]
    Setting {
        /// The key under `[training]`.
        key: &'static str,
        /// What is wrong with it.
        problem: String,
        /// What would be right.
        remedy: &'static str,
    },
    /// Tasks that cannot be asked so.
    #[error("{what}: {reason}")]
    Tasks {
        /// The flag or key.
        what: String,
        /// What is wrong, and what to do about it.
        reason: String,
    },
    /// An output folder that cannot be used.
    #[error("{}: {reason}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why, and what to do about it.
        reason: String,
    },
    /// A file that cannot be written.
    #[error("{}: cannot be written: {source}; check the path, its permissions and the free space", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A checkpoint that cannot be resumed from.
    #[error("{}: {reason}", path.display())]
    Checkpoint {
        /// The checkpoint.
        path: PathBuf,
        /// Why, and what to do about it.
        reason: String,
    },
    /// There is nothing to learn or to score.
    #[error("{0}")]
    NoData(String),
    /// A loss that is not a finite number.
    #[error(
        "step {step} of epoch {epoch}: {tensor} is not finite; lower training.learning_rate, or \
         clip gradients with optimizer.clip_norm"
    )]
    NotFinite {
        /// The step, counted from 1 over the whole run.
        step: u64,
        /// The epoch, counted from 1.
        epoch: usize,
        /// The tensor in which it shows first.
        tensor: String,
    },
    /// Answers that are no numbers: the weights of the model are finite, what follows from them is not.
    #[error(
        "the scores are not finite: the weights are too large for numbers of 32 bits; train the model \
         with a lower training.learning_rate, or look at the file that it was imported from"
    )]
    ScoresNotFinite,
    /// Stopped by the user, after the step at hand.
    #[error(
        "stopped; the checkpoint is {}: go on with the same command and --resume",
        checkpoint.display()
    )]
    Interrupted {
        /// Where the run can be taken up again.
        checkpoint: PathBuf,
    },
    /// A model that cannot be built.
    #[error(transparent)]
    Config(#[from] model::ConfigError),
    /// Sessions that do not fit the model.
    #[error(transparent)]
    Batch(#[from] model::BatchError),
    /// A model file or checkpoint that cannot be read or written.
    #[error(transparent)]
    File(#[from] model::FileError),
    /// Something that is fitted beside the model cannot be.
    #[error(transparent)]
    Statistics(#[from] statistics::Error),
    /// The log refuses.
    #[error(transparent)]
    Events(#[from] events::Error),
}

impl Error {
    /// Whether the command line or the configuration is wrong (exit code 2) rather than the data or
    /// the machine (exit code 1).
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Setting { .. } | Self::Tasks { .. } | Self::Config(_) | Self::Folder { .. } => {
                true
            }
            Self::Events(error) => error.is_usage(),
            _ => false,
        }
    }
}
