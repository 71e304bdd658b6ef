//! The model: from item ids to scores, and back.

#![forbid(unsafe_code)]

mod device;

pub use device::{Device, LstmStart};
