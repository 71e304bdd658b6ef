//! What is measured and fitted without a network: numbers in, numbers out.
//!
//! [`binary`] measures probabilities of what happens or does not; [`partition`] compares clusterings.
//! Nothing here knows of logs, models or files. The same numbers give the same bits, whatever the
//! number of threads; wrong ones give an [`Error`] that names them.

#![forbid(unsafe_code)]

pub mod bg_nbd;
pub mod binary;
pub mod calibration;
mod error;
mod gamma;
pub mod gamma_gamma;
pub mod linear;
pub mod logistic;
mod minimise;
pub mod multinomial;
mod newton;
pub mod numeric;
pub mod partition;
pub mod poisson;
pub mod ridge;

pub use error::Error;
