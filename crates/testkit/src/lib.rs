//! What the tests of every crate share: fixed inputs, gradient checks, comparisons that say where
//! and by how much, tolerances with their reasons, and the golden files. A dev-dependency only.
//!
//! Everything here panics on failure, as a test should.

#![forbid(unsafe_code)]

mod compare;
mod golden;
mod gradient;
mod inputs;
pub mod tolerance;

pub use compare::{Tolerance, assert_close, assert_parity, assert_same_bits};
pub use golden::{
    AdamGolden, CrossEntropyGolden, Golden, LayerGrads, LayerInputs, LossGolden,
    OptimizerConstants, OptimizerGolden, Precision, RecurrentGolden, RecurrentInputs,
    RecurrentOutcome, TrainingGolden, TrainingParams,
};
pub use gradient::{assert_gradient, assert_gradients};
pub use inputs::{falling_lengths, nan, to_f32, to_f64, to_matrix, wave, wave_matrix};
