//! What is known of an event beside its item, added to what enters the first layer.
//!
//! ```text
//!     s_t = x_t + Σ_k F_k[l_tk] + W n_t + P v_t        F_k [V_k, E], W [E, F], P [E, D]
//!                                                      l_tk the labels, n_t the numbers of the event
//!     v_t = D[id_t]                                    the vector that is given for its item
//!
//!     dF_k[l] = Σ ds_t over the positions t with l_tk = l      dW = dsᵀ·n      dP = dsᵀ·v      dx = ds
//! ```
//!
//! x is the item as it enters, E its width. One-hot input has no such vector: there the sum is that of
//! the first layer's pre-activations, and E is their number G·H. Either way it is a sum over one
//! position: what is known of an event is seen there and, through the states, later. A label that is
//! missing is label 0, with a row like any other.

use layout::Accumulate::Add;

use super::Pass;
use crate::{Device, FeatureParameters};

#[derive(Debug, Clone, Default)]
pub(super) struct Tape<M> {
    /// The rows of one label, `[N, E]`.
    rows: M,
    /// The numbers of each position, `[N, F]`.
    numbers: M,
    /// The given vectors of their items, `[N, D]`.
    vectors: M,
}

/// Adds to `sum`, which holds the items.
pub(super) fn forward<D: Device>(
    pass: &Pass<'_, D>,
    params: &FeatureParameters<D::Matrix>,
    tape: &mut Tape<D::Matrix>,
    sum: &mut D::Matrix,
) {
    let (device, batch) = (pass.device, pass.batch);
    let Tape { rows, numbers, vectors } = tape;
    for (k, table) in params.labels.iter().enumerate() {
        device.embedding_forward(table, batch.labels(k), rows);
        device.add(rows, Add, sum);
    }
    if let Some(w) = &params.numbers {
        let (positions, width) = (batch.ids().len(), pass.features.numbers.len());
        device.upload(numbers, positions, width, batch.numbers());
        device.linear_forward(w, numbers, Add, sum);
    }
    if let (Some(p), Some(given)) = (&params.vectors, pass.vectors) {
        device.embedding_forward(given, batch.ids(), vectors);
        device.linear_forward(p, vectors, Add, sum);
    }
}

/// `dsum` is ∂L/∂s, `[N, E]`; it is also what reaches the items.
pub(super) fn backward<D: Device>(
    pass: &Pass<'_, D>,
    tape: &Tape<D::Matrix>,
    dsum: &D::Matrix,
    grads: &mut FeatureParameters<D::Matrix>,
) {
    let (device, batch) = (pass.device, pass.batch);
    for (k, dtable) in grads.labels.iter_mut().enumerate() {
        device.embedding_backward(batch.labels(k), dsum, dtable);
    }
    if let Some(dw) = &mut grads.numbers {
        device.linear_backward_weights(&tape.numbers, dsum, dw);
    }
    if let Some(dp) = &mut grads.vectors {
        device.linear_backward_weights(&tape.vectors, dsum, dp);
    }
}
