//! What is measured and fitted without a network: numbers in, numbers out.
//!
//! 1. Figures of predictions: [`binary`], [`numeric`], [`classes`]; [`partition`] of clusterings, and
//!    [`uplift`] of campaigns, with [`cross_fit`], [`balance`] and [`trial`] about them. [`bootstrap`] says how far any of them may be off, or two apart.
//! 2. Models of columns: [`linear`] has what they share, then [`ridge`], [`logistic`],
//!    [`multinomial`], [`poisson`]. Models of repeat buying: [`bg_nbd`], [`gamma_gamma`].
//! 3. [`calibration`] corrects the probabilities of any model, a network's too.
//!
//! Nothing here knows of logs, models or files; what is fitted can be stored with serde. The same
//! numbers give the same bits, whatever the number of threads; wrong ones give an [`Error`] that
//! names them.

#![forbid(unsafe_code)]

pub mod balance;
pub mod bg_nbd;
pub mod binary;
pub mod bootstrap;
pub mod calibration;
pub mod classes;
pub mod cross_fit;
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
pub mod trial;
pub mod uplift;

pub use error::Error;
