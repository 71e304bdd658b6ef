//! From states to the picture of a position.
//!
//! ```text
//!     last        q = h, or q = W_h h where the widths differ
//!
//!     attention   query_t = Q h_t        key_j = K_h h_j + K_x x_j
//!                 c_t = Σ_{j ≤ t} a_tj x_j      a_tj from query, key and a bias by distance
//!                 q = W_h h + W_x dropout(x) + W_c dropout(c)
//! ```
//!
//! Either way dropout on q follows. Only the wanted positions are read out; in training these are
//! all, in their order, which is what the backward pass rests on.

use layout::Accumulate::{Add, Replace};

use super::{Gradients, Pass, input};
use crate::streams::{DROPOUT_CONTEXT, DROPOUT_LAST_ITEM, DROPOUT_OUTPUT};
use crate::{AttentionParameters, Device, ReadoutParameters};

#[derive(Debug, Clone, Default)]
pub(super) struct Tape<M> {
    /// Where the wanted states, and all states, stand in the slots of the highest layer.
    wanted_slots: Vec<u32>,
    slots: Vec<u32>,
    /// The wanted states, `[W, H]`.
    h: M,
    attention: AttentionTape<M>,
    /// The picture, `[W, D]`.
    q: M,
    dq: M,
    /// ∂L/∂h, `[N, H]`.
    dh: M,
}

#[derive(Debug, Clone, Default)]
struct AttentionTape<M> {
    /// All states, `[N, H]`.
    states: M,
    query: M,
    key: M,
    weights: M,
    /// The context of every position, `[N, E]`.
    context: M,
    /// Last item and context of the wanted positions after dropout, `[W, E]`.
    x: M,
    c: M,
    dc: M,
    dquery: M,
    dkey: M,
    dvalue: M,
}

impl<M> Tape<M> {
    /// The picture of each wanted position, `[W, D]`.
    pub(super) fn q(&self) -> &M {
        &self.q
    }

    /// What reaches the states of the highest layer, `[N, H]`.
    pub(super) fn dh(&self) -> &M {
        &self.dh
    }
}

/// `states` are those of the highest layer, in slots.
pub(super) fn forward<D: Device>(
    pass: &Pass<'_, D>,
    params: &ReadoutParameters<D::Matrix>,
    input: &input::Tape<D::Matrix>,
    states: &D::Matrix,
    tape: &mut Tape<D::Matrix>,
) {
    let (device, steps) = (pass.device, pass.batch.steps());
    let start = steps.batch() as u32;
    tape.wanted_slots.clear();
    tape.wanted_slots.extend(pass.batch.wanted().iter().map(|position| start + position));
    match &params.w_h {
        None => device.gather(states, &tape.wanted_slots, &mut tape.q),
        Some(w_h) => {
            device.gather(states, &tape.wanted_slots, &mut tape.h);
            device.linear_forward(w_h, &tape.h, Replace, &mut tape.q);
        }
    }
    if let Some(params) = &params.attention {
        tape.slots.clear();
        tape.slots.extend(start..steps.slots() as u32);
        device.gather(states, &tape.slots, &mut tape.attention.states);
        attend(pass, params, input.x(pass), &mut tape.attention);
        device.linear_forward(&params.w_x, &tape.attention.x, Add, &mut tape.q);
        device.linear_forward(&params.w_c, &tape.attention.c, Add, &mut tape.q);
    }
    pass.dropout(pass.config.dropout.output, DROPOUT_OUTPUT, &mut tape.q);
}

fn attend<D: Device>(
    pass: &Pass<'_, D>,
    params: &AttentionParameters<D::Matrix>,
    items: &D::Matrix,
    tape: &mut AttentionTape<D::Matrix>,
) {
    let (device, rate) = (pass.device, pass.config.dropout.readout);
    let AttentionTape { states, query, key, weights, context, x, c, .. } = tape;
    device.linear_forward(&params.query, states, Replace, query);
    device.linear_forward(&params.key_h, states, Replace, key);
    device.linear_forward(&params.key_x, items, Add, key);
    let steps = pass.batch.steps();
    device.attention_forward(steps, query, key, items, &params.lag_bias, weights, context);
    device.gather(items, pass.batch.wanted(), x);
    device.gather(context, pass.batch.wanted(), c);
    pass.dropout(rate, DROPOUT_LAST_ITEM, x);
    pass.dropout(rate, DROPOUT_CONTEXT, c);
}

/// `dq` is ∂L/∂q after dropout, `[N, D]`. What reaches the states stays on the tape, what reaches
/// the items goes to the input's.
pub(super) fn backward<D: Device>(
    pass: &Pass<'_, D>,
    params: &ReadoutParameters<D::Matrix>,
    tape: &mut Tape<D::Matrix>,
    input: &mut input::Tape<D::Matrix>,
    dq_after: &D::Matrix,
    gradients: &mut Gradients<D::Matrix>,
) {
    let (device, grads) = (pass.device, &mut gradients.values.readout);
    let Some(w_h) = &params.w_h else {
        device.add(dq_after, Replace, &mut tape.dh);
        pass.dropout(pass.config.dropout.output, DROPOUT_OUTPUT, &mut tape.dh);
        return;
    };
    let Tape { h, dq, dh, attention, .. } = tape;
    device.add(dq_after, Replace, dq);
    pass.dropout(pass.config.dropout.output, DROPOUT_OUTPUT, dq);
    device.linear_backward_input(w_h, dq, Replace, dh);
    device.linear_backward_weights(h, dq, grads.w_h.as_mut().expect("as the weights"));
    if let Some(params) = &params.attention {
        let grads = grads.attention.as_mut().expect("as the weights");
        let (items, dx) = input.x_and_dx(pass);
        attend_backward(pass, params, items, attention, dq, grads, dh, dx);
    }
}

/// Adds to `dh`, replaces `dx`.
#[allow(clippy::too_many_arguments)]
fn attend_backward<D: Device>(
    pass: &Pass<'_, D>,
    params: &AttentionParameters<D::Matrix>,
    items: &D::Matrix,
    tape: &mut AttentionTape<D::Matrix>,
    dq: &D::Matrix,
    grads: &mut AttentionParameters<D::Matrix>,
    dh: &mut D::Matrix,
    dx: &mut D::Matrix,
) {
    let (device, rate, steps) = (pass.device, pass.config.dropout.readout, pass.batch.steps());
    let AttentionTape { states, query, key, weights, x, c, dc, dquery, dkey, dvalue, .. } = tape;

    // q = … + W_x dropout(x) + W_c dropout(c)
    device.linear_backward_weights(x, dq, &mut grads.w_x);
    device.linear_backward_weights(c, dq, &mut grads.w_c);
    device.linear_backward_input(&params.w_x, dq, Replace, dx);
    device.linear_backward_input(&params.w_c, dq, Replace, dc);
    pass.dropout(rate, DROPOUT_LAST_ITEM, dx);
    pass.dropout(rate, DROPOUT_CONTEXT, dc);

    let dlag_bias = &mut grads.lag_bias;
    device
        .attention_backward(steps, query, key, items, weights, dc, dlag_bias, dquery, dkey, dvalue);
    device.add(dvalue, Add, dx);

    // query = Q h, key = K_h h + K_x x
    device.linear_backward_weights(states, dquery, &mut grads.query);
    device.linear_backward_weights(states, dkey, &mut grads.key_h);
    device.linear_backward_weights(items, dkey, &mut grads.key_x);
    device.linear_backward_input(&params.query, dquery, Add, dh);
    device.linear_backward_input(&params.key_h, dkey, Add, dh);
    device.linear_backward_input(&params.key_x, dkey, Add, dx);
}
