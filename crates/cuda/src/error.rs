//! What can go wrong on the way to a card and on it.

use layout::ShapeError;

/// Why something could not be done on a card.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No driver library on this machine.
    #[error("there is no NVIDIA driver on this machine; install one, or use --device cpu")]
    NoDriver,
    /// A driver older than the kernels' PTX.
    #[error(
        "the NVIDIA driver speaks CUDA {}.{}, and the kernels need 13.0 (driver 580 or newer); \
         update it, or use --device cpu", found / 1000, found % 1000 / 10
    )]
    OldDriver {
        /// As the driver counts: 1000 · major + 10 · minor.
        found: i32,
    },
    /// Fewer cards than asked for.
    #[error(
        "card {ordinal} is asked for and the driver knows {count}; `tidegate devices` lists them"
    )]
    NoDevice {
        /// The card asked for, from 0.
        ordinal: usize,
        /// How many there are.
        count: usize,
    },
    /// A card older than the kernels' PTX.
    #[error("{name} has compute capability {}.{}, and the kernels need 7.5", capability.0, capability.1)]
    OldCard {
        /// What the card calls itself.
        name: String,
        /// Its compute capability.
        capability: (i32, i32),
    },
    /// The card has no such memory left.
    #[error("the card has no {bytes} bytes left; make the batch smaller")]
    OutOfMemory {
        /// What was asked for.
        bytes: usize,
    },
    /// The driver has refused something.
    #[error("{doing}: the driver says {reason}")]
    Driver {
        /// What was tried.
        doing: String,
        /// In the driver's words.
        reason: String,
    },
    /// The card cannot hold what a persistent kernel needs.
    #[error(
        "H = {hidden} is too large for the persistent kernel on this card: w_h does not fit into \
         its shared memory; use v2"
    )]
    DoesNotFit {
        /// Number of units.
        hidden: usize,
    },
    /// A size beyond what kernels count in.
    #[error("{0} is more than the kernels can count; make the batch smaller")]
    TooLarge(usize),
    /// A layer that has no kernels yet.
    #[error("cuda: this version computes plain LSTM layers; use --device cpu for other cells")]
    OtherCell,
    /// A tensor of the wrong shape.
    #[error(transparent)]
    Shape(#[from] ShapeError),
}
