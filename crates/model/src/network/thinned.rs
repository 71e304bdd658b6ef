//! DropConnect: in training a layer runs with a part of its recurrent weights.
//!
//! ```text
//!     forward     z = x·w_xᵀ + b + h_prev·ŵ_hᵀ         ŵ_h = mask ⊙ w_h, and so does backward
//!     backward    dw_h += mask ⊙ dŵ_h                  mask: 0 with probability p, or else 1 / (1 − p)
//! ```
//!
//! One mask `[G·H, R]` a training step, the same for all rows and all steps of them: what is dropped
//! is a connection between two units, not a number on its way. Answers see w_h itself.
//!
//! # Source
//!
//! L. Wan et al., "Regularization of neural networks using DropConnect", ICML 2013; on recurrent
//! weights: S. Merity, N. Keskar, R. Socher, "Regularizing and optimizing LSTM language models",
//! ICLR 2018.

use layout::{Accumulate, RecurrentParams};

use super::Pass;
use crate::Device;
use crate::streams::DROPOUT_WEIGHTS;

/// The weights of a layer as one training step sees them. Where none drop it takes no memory.
#[derive(Debug, Clone, Default)]
pub(super) struct Tape<M> {
    /// As the layer's, with ŵ_h in place of w_h. Where the input's product comes ready made, `w_x` is
    /// a table of all items, and empty here.
    params: Option<RecurrentParams<M>>,
    /// ∂L/∂ŵ_h, `[G·H, R]`, then ∂L/∂w_h of this step.
    dw_h: M,
}

/// The weights that layer `l` runs with.
pub(super) fn forward<'a, D: Device>(
    pass: &Pass<'_, D>,
    l: usize,
    params: &'a RecurrentParams<D::Matrix>,
    tape: &'a mut Tape<D::Matrix>,
) -> &'a RecurrentParams<D::Matrix> {
    let rate = pass.config.dropout.weights;
    if !pass.drops(rate) {
        return params;
    }
    let alike = |thinned: &&mut RecurrentParams<D::Matrix>| {
        thinned.cell == params.cell && thinned.iter().count() == params.iter().count()
    };
    if tape.params.as_mut().filter(alike).is_none() {
        tape.params = Some(params.as_ref().map(|_| D::Matrix::default()));
    }
    let thinned = tape.params.as_mut().expect("made above");
    let table = usize::from(!pass.config.has_input(l));
    for (to, from) in thinned.iter_mut().zip(params.iter()).skip(table) {
        pass.device.add(from, Accumulate::Replace, to);
    }
    pass.dropout(rate, DROPOUT_WEIGHTS + l as u32, &mut thinned.w_h);
    thinned
}

/// Lets `undo` take layer `l` back with the weights that it has run with.
pub(super) fn backward<D: Device>(
    pass: &Pass<'_, D>,
    l: usize,
    params: &RecurrentParams<D::Matrix>,
    tape: &mut Tape<D::Matrix>,
    grads: &mut RecurrentParams<D::Matrix>,
    undo: impl FnOnce(&RecurrentParams<D::Matrix>, &mut RecurrentParams<D::Matrix>),
) {
    let (device, rate) = (pass.device, pass.config.dropout.weights);
    if !pass.drops(rate) {
        return undo(params, grads);
    }
    let Tape { params: thinned, dw_h } = tape;
    let [rows, columns] = device.shape(&grads.w_h);
    device.resize(dw_h, rows, columns);
    device.fill(dw_h, 0.0);
    // What other uses of the weights have left in the gradient is not masked.
    std::mem::swap(dw_h, &mut grads.w_h);
    undo(thinned.as_ref().expect("forward has run"), grads);
    std::mem::swap(dw_h, &mut grads.w_h);
    pass.dropout(rate, DROPOUT_WEIGHTS + l as u32, dw_h);
    device.add(dw_h, Accumulate::Add, &mut grads.w_h);
}
