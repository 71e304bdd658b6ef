//! The operations of the reference on NVIDIA cards: the same names, the same meaning, in f32.
//!
//! ```text
//!     kernels/*.cu ──nvcc──► kernels/*.ptx ──► kernel     by name, embedded
//!                                                │
//!     layout::Steps, Matrix ──► memory ──► lstm, linear   which launches, in which order, in which grid
//!                                                │
//!                               card              what a card must be able to do
//!                              ┌──┴──┐
//!                        driver       the host shim of the tests: the same kernels on a processor
//! ```
//!
//! Reading order: the kernels (`kernels/lstm.cu` first), `card`, `memory`, `lstm`, `plan`; `driver` is
//! what cudarc makes of it, and the only file with `unsafe`.
//!
//! Every sum has one order, so that the same input gives the same bits in every run on one card. f32
//! stays f32: no fast-math, no TF32.

#![deny(unsafe_code)]

mod card;
#[allow(unsafe_code)]
mod driver;
mod error;
mod kernel;
mod linear;
mod lstm;
mod memory;
mod plan;

pub use card::{Argument, Card, Grid, Limits, Product, ProductSizes};
pub use driver::{Buffer, CardInfo, Gpu, cards, has_cublas};
pub use error::Error;
pub use kernel::{Kernel, Module};
pub use lstm::{Rung, sequence_backward, sequence_forward};
pub use memory::{DeviceMatrix, DeviceSteps, LstmGrads, LstmTape, Scratch, upload_params};
pub use plan::{Direction, Plan};
