//! From sessions to a trained model, and from a trained model to its figures.

#![forbid(unsafe_code)]

pub mod batches;
pub mod metrics;
pub mod schedule;
