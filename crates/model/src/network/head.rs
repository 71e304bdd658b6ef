//! Dense layers from what is read out to the picture.
//!
//! ```text
//!     a_0 = r                                    what leaves the readout, [W, R]
//!     a_k = dropout(f(a_{k−1}·wᵀ + b))           k = 1 … K, [W, O_k]
//!     q   = a_K, or a_K·w_qᵀ where the widths differ; dropout on it follows
//! ```
//!
//! Without layers there is no head, and the readout makes the picture.

use layout::Accumulate::Replace;

use super::Pass;
use crate::streams::{DROPOUT_HEAD, DROPOUT_OUTPUT};
use crate::{Device, HeadParameters};

#[derive(Debug, Clone, Default)]
pub(super) struct Tape<M> {
    /// What each layer has made, `[W, O]`.
    made: Vec<M>,
    /// The same after dropout; not used where nothing drops.
    dropped: Vec<M>,
    /// The picture, `[W, D]`.
    q: M,
    dq: M,
    /// The gradient of what leaves the layer at hand, and of what enters it.
    da: M,
    dx: M,
    dz: M,
}

impl<M> Tape<M> {
    /// The picture of each wanted position, `[W, D]`.
    pub(super) fn q(&self) -> &M {
        &self.q
    }

    /// What reaches the readout, `[N, R]`.
    pub(super) fn dr(&self) -> &M {
        &self.da
    }
}

/// `r` is what the readout has left, `[W, R]`.
pub(super) fn forward<D: Device>(
    pass: &Pass<'_, D>,
    params: &HeadParameters<D::Matrix>,
    r: &D::Matrix,
    tape: &mut Tape<D::Matrix>,
) {
    let (device, rate) = (pass.device, pass.config.dropout.head);
    let (f, depth) = (pass.config.head_activation.into(), params.layers.len());
    let Tape { made, dropped, q, .. } = tape;
    made.resize_with(depth, D::Matrix::default);
    dropped.resize_with(if pass.drops(rate) { depth } else { 0 }, D::Matrix::default);
    for (k, layer) in params.layers.iter().enumerate() {
        let (before, here) = made.split_at_mut(k);
        let x = entering(r, before, dropped, k);
        device.dense_forward(&layer.w, &layer.b, f, x, &mut here[0]);
        if let Some(dropped) = dropped.get_mut(k) {
            device.add(&here[0], Replace, dropped);
            pass.dropout(rate, DROPOUT_HEAD + k as u32, dropped);
        }
    }
    let last = entering(r, made, dropped, depth);
    match &params.w_q {
        None => device.add(last, Replace, q),
        Some(w_q) => device.linear_forward(w_q, last, Replace, q),
    }
    pass.dropout(pass.config.dropout.output, DROPOUT_OUTPUT, q);
}

/// What enters layer `k`, counted from 0: what the layer before has made, after dropout, or `r`.
fn entering<'m, M>(r: &'m M, made: &'m [M], dropped: &'m [M], k: usize) -> &'m M {
    match k.checked_sub(1) {
        None => r,
        Some(before) => dropped.get(before).unwrap_or(&made[before]),
    }
}

/// `dq_after` is ∂L/∂q after dropout, `[N, D]`.
pub(super) fn backward<D: Device>(
    pass: &Pass<'_, D>,
    params: &HeadParameters<D::Matrix>,
    r: &D::Matrix,
    tape: &mut Tape<D::Matrix>,
    dq_after: &D::Matrix,
    grads: &mut HeadParameters<D::Matrix>,
) {
    let (device, rate) = (pass.device, pass.config.dropout.head);
    let (f, depth) = (pass.config.head_activation.into(), params.layers.len());
    let Tape { made, dropped, dq, da, dx, dz, .. } = tape;
    device.add(dq_after, Replace, dq);
    pass.dropout(pass.config.dropout.output, DROPOUT_OUTPUT, dq);
    match (&params.w_q, &mut grads.w_q) {
        (Some(w_q), Some(dw_q)) => {
            device.linear_backward_weights(entering(r, made, dropped, depth), dq, dw_q);
            device.linear_backward_input(w_q, dq, Replace, da);
        }
        _ => device.add(dq, Replace, da),
    }
    for (k, layer) in params.layers.iter().enumerate().rev() {
        pass.dropout(rate, DROPOUT_HEAD + k as u32, da);
        let (x, grads) = (entering(r, made, dropped, k), &mut grads.layers[k]);
        let (dw, db) = (&mut grads.w, &mut grads.b);
        device.dense_backward(&layer.w, f, x, &made[k], da, dw, db, dz, dx);
        std::mem::swap(da, dx);
    }
}
