//! The model: from item ids to scores, and back.

#![forbid(unsafe_code)]

mod batch;
mod config;
mod device;
mod parameters;
mod streams;

pub use batch::{Batch, Wanted};
pub use config::{ConfigError, Dropout, Input, Loss, ModelConfig, Output, Readout};
pub use device::{Device, LstmStart};
pub use parameters::{
    AttentionParameters, Form, Parameters, ReadoutParameters, Spec, Touched, Update, catalogue,
};
