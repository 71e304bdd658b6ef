//! What every machine agrees on before a number is computed.
//!
//! Gate order, dimensions, how a batch of sequences of different lengths lies in memory, the
//! memory of a recurrent layer (parameters, tape), the random numbers, and the one error for a wrong
//! shape. No arithmetic on tensors happens here: that is the business of `reference`, `cpu` and
//! every device to come.
//!
//! Read [`Steps`] first. It is the one layout decision that shows everywhere else.

#![forbid(unsafe_code)]

mod aligned;
mod matrix;
mod optimizer;
pub mod random;
mod recurrent;
mod shape;
mod steps;
mod tape;
mod task;
mod top;

pub use aligned::Aligned;
pub use matrix::Matrix;
pub use optimizer::{Adagrad, Adam, OptimizerState, OptimizerStep, RmsProp, Sgd, UpdateRule};
pub use recurrent::{Cell, GATES, Gate, NormParams, RecurrentDims, RecurrentParams};
pub use shape::{ShapeError, check_shape};
pub use steps::Steps;
pub use tape::{Keep, NormTape, RecurrentStart, RecurrentTape};
pub use task::{Accumulate, CandidateLoss, ClassTask, ElementLoss, ElementTask, SoftmaxTask};
pub use top::{TopItems, TopTask};
