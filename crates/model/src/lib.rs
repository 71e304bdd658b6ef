//! The model: from item ids to scores, and back.
//!
//! ```text
//!     events as item ids ──► Batch ──► Trainer::step   loss, gradients, optimiser
//!                                 └──► Scorer::score   scores of all items
//! ```
//!
//! [`ModelConfig`] says what a model is made of, [`Parameters`] what it learns, [`Device`] what a
//! machine must be able to do. `network` holds the forward pass and, written out by hand beside it,
//! the backward pass; both are written once and run on every machine.

#![forbid(unsafe_code)]

mod answers;
mod batch;
mod candidates;
mod cell;
mod checkpoint;
mod config;
mod container;
mod device;
mod directions;
mod exchange;
mod features;
mod file;
mod model;
mod network;
mod onnx;
mod optimizer;
mod parameters;
mod scorer;
mod start;
mod state_dict;
mod streams;
#[cfg(test)]
mod tests;
mod trainer;

pub use answers::{Answer, AnswerLoss, Answers};
pub use batch::{Batch, Question, Wanted};
pub use cell::{CellKind, UnknownCell};
pub use config::{
    Activation, ConfigError, Dropout, InitialState, Input, Loss, LossKind, ModelConfig, Output,
    Reach, Readout, RecurrentStart,
};
pub use container::{FileError, Tensor, Tensors, Values};
pub use device::{Cpu, Device, Reference};
pub use directions::{
    BidirectionalTape, Directions, LayerWeights, bidirectional_backward, bidirectional_forward,
};
pub use exchange::ExportError;
pub use features::{Features, Inputs, Labels, Sequence};
pub use file::{ModelFile, Vocabulary};
pub use layout::TopItems;
pub use model::{BatchError, Model};
pub use network::{
    Along, Attribution, Baseline, Cuts, Gradients, InputGradients, LayerTrace, Probe,
    RecurrentDraws, Sought, States, StepContext, Workspace, drop_inside,
};
pub use onnx::OPSET;
pub use optimizer::{NotFinite, OptimizerConfig, OptimizerKind};
pub use parameters::{
    AnswerParameters, AttentionParameters, DenseParameters, FeatureParameters, Form,
    HeadParameters, Parameters, ReadoutParameters, Spec, StartParameters, Touched, Update,
    catalogue,
};
pub use scorer::{Scorer, Scores};
pub use state_dict::{Renames, StateDict, StateDictError};
pub use trainer::{StepReport, Trainer, TrainingError};
