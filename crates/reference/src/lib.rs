//! The truth: the gate equations of the LSTM and its relatives, everything round them that the model needs, and the
//! derivative of each, written out.
//!
//! Every function here is an equation and a loop that is that equation; its derivative stands
//! directly below it. All of it is generic over f32 and f64: in f64 it is what central differences
//! and PyTorch are compared with, in f32 it is what a faster machine's rounding errors are measured
//! against. Nothing is parallel, vectorised by hand, cached or clever. Sums run from the first
//! term to the last.
//!
//! Read in this order: `linear` (three products), `lstm` (the cell), `step` and `sequence` (of any
//! cell), `softmax` (the loss). The other cells (`gru`, `rnn`, `peephole`, `coupled`, `layer_norm`)
//! stand beside `lstm`; the rest stands alone.
//!
//! # Letters
//!
//! ```text
//!     T steps   B rows of the batch   N positions (all steps of all rows, packed by `Steps`)
//!     I input   H hidden units        E width of an item's vector   K width of a key
//!     V items   C candidate columns   L lags
//!     dname     the gradient of the loss with respect to `name`, in the shape of `name`
//! ```
//!
//! Arguments come as parameters, inputs, what forward saved, then results, then scratch.
//! Gradients of parameters are added to, everything else is replaced; each table says so again.
//! The caller owns all memory.
//!
//! # Panics
//!
//! Debug builds check every shape. Release builds trust the layer above, which has checked them
//! once. An id, row or column that lies outside its tensor panics in both.

#![forbid(unsafe_code)]

mod attention;
pub mod coupled;
mod directions;
mod dropout;
mod embedding;
pub mod gru;
pub mod layer_norm;
mod linear;
mod losses;
pub mod lstm;
mod normalize;
mod optimizer;
pub mod peephole;
mod pooling;
mod ranking;
pub mod rnn;
mod sequence;
mod softmax;
mod step;
mod top;

pub use attention::{attention_backward, attention_forward, attention_weights};
pub use directions::{directions_backward, directions_forward};
pub use dropout::dropout;
pub use embedding::{embedding_backward, embedding_forward};
pub use linear::{
    bias_backward, bias_forward, linear_backward_input, linear_backward_weights, linear_forward,
};
pub use losses::{class_loss, element_loss};
pub use normalize::{normalize_backward, normalize_forward};
pub use optimizer::{add, average, clear_rows, optimizer_step, sum_of_squares};
pub use pooling::{running_mean_backward, running_mean_forward};
pub use ranking::{bpr_max, top1_max};
pub use sequence::{Arrivals, SequenceGrads, SequenceScratch, sequence_backward, sequence_forward};
pub use softmax::{SoftmaxParams, scores, softmax_loss};
pub use step::{Before, StepBack, step_backward, step_forward};
pub use top::top_items;

use std::ops::Range;

use ndarray::{ArrayBase, ArrayView1, Axis, Ix2, NdFloat, RawData, Slice};

/// A constant as the number type of the computation, rounded to it once.
fn real<S: NdFloat>(value: impl Into<f64>) -> S {
    S::from(value.into()).expect("f32 and f64 hold every finite f64, rounded")
}

/// Some rows of a view, which may be one to write.
fn rows<D: RawData>(mut view: ArrayBase<D, Ix2>, range: Range<usize>) -> ArrayBase<D, Ix2> {
    view.slice_axis_inplace(Axis(0), Slice::from(range));
    view
}

/// Some columns of a view, which may be one to write.
fn columns<D: RawData>(mut view: ArrayBase<D, Ix2>, range: Range<usize>) -> ArrayBase<D, Ix2> {
    view.slice_axis_inplace(Axis(1), Slice::from(range));
    view
}

/// `Σ_k x_k y_k`, first term first.
fn dot<S: NdFloat>(x: ArrayView1<'_, S>, y: ArrayView1<'_, S>) -> S {
    debug_assert_eq!(x.len(), y.len(), "vectors of one length");
    x.iter().zip(y).fold(S::zero(), |sum, (&x, &y)| sum + x * y)
}

/// `σ(z) = 1 / (1 + e⁻ᶻ)`
fn sigmoid<S: NdFloat>(z: S) -> S {
    S::one() / (S::one() + (-z).exp())
}
