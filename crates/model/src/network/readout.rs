//! From states to the picture of a position.
//!
//! ```text
//!     last        q = h, or q = W_h h where the widths differ
//!
//!     mean, max   the same of p_t = mean_{j ≤ t} h_j, or max_{j ≤ t} h_j unit by unit
//!
//!     attention   query_t = Q h_t        key_j = K_h h_j + K_x x_j
//!                 c_t = Σ_{j ≤ t} a_tj x_j      a_tj from query, key and a bias by distance
//!                 q = W_h h + W_x dropout(x) + W_c dropout(c)
//! ```
//!
//! Either way dropout on q follows, but where there is a head: its own dropout follows then. Only the wanted
//! positions are read out; in training these are all, in their order, which is what the backward pass
//! rests on.

use layout::Accumulate::{Add, Replace};
use layout::Reach;

use super::{Gradients, Pass, input};
use crate::streams::{DROPOUT_CONTEXT, DROPOUT_LAST_ITEM, DROPOUT_OUTPUT};
use crate::{AttentionParameters, Device, ReadoutParameters};

#[derive(Debug, Clone, Default)]
pub(super) struct Tape<M> {
    /// Where the wanted states, and all states, stand in what the stack hands on.
    wanted_rows: Vec<u32>,
    rows: Vec<u32>,
    /// All states, `[N, H]`, where somebody asks for more than the wanted ones.
    states: M,
    /// What they are pooled to, `[N, H]`.
    pooled: M,
    /// The wanted states, or what they are pooled to, `[W, H]`.
    h: M,
    attention: AttentionTape<M>,
    /// The picture, `[W, D]`.
    q: M,
    dq: M,
    /// ∂L/∂h, `[N, H]`.
    dh: M,
    dpooled: M,
}

#[derive(Debug, Clone, Default)]
struct AttentionTape<M> {
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

/// `top` is what the stack hands on, `first` the row where position 0 stands in it.
pub(super) fn forward<D: Device>(
    pass: &Pass<'_, D>,
    params: &ReadoutParameters<D::Matrix>,
    input: &input::Tape<D::Matrix>,
    (top, first): (&D::Matrix, u32),
    tape: &mut Tape<D::Matrix>,
) {
    let (device, steps) = (pass.device, pass.batch.steps());
    let Tape { wanted_rows, rows, states, pooled, h, attention, q, .. } = tape;
    let pooling = pass.config.readout.pooling();
    if pooling.is_some() || params.attention.is_some() {
        rows.clear();
        rows.extend(first..first + steps.positions() as u32);
        device.gather(top, rows, states);
    }
    let (seen, first) = match pooling {
        None => (top, first),
        Some(pooling) => {
            device.pool_forward(pooling, Reach::Causal, steps, states, pooled);
            (&*pooled, 0)
        }
    };
    wanted_rows.clear();
    wanted_rows.extend(pass.batch.wanted().iter().map(|position| first + position));
    match &params.w_h {
        None => device.gather(seen, wanted_rows, q),
        Some(w_h) => {
            device.gather(seen, wanted_rows, h);
            device.linear_forward(w_h, h, Replace, q);
        }
    }
    if let Some(params) = &params.attention {
        attend(pass, params, input.x(pass), states, attention);
        device.linear_forward(&params.w_x, &attention.x, Add, q);
        device.linear_forward(&params.w_c, &attention.c, Add, q);
    }
    pass.dropout(output_dropout(pass), DROPOUT_OUTPUT, q);
}

/// The share that drops on what leaves the readout: none where a head follows.
fn output_dropout<D: Device>(pass: &Pass<'_, D>) -> f32 {
    if pass.config.head.is_empty() { pass.config.dropout.output } else { 0.0 }
}

fn attend<D: Device>(
    pass: &Pass<'_, D>,
    params: &AttentionParameters<D::Matrix>,
    items: &D::Matrix,
    states: &D::Matrix,
    tape: &mut AttentionTape<D::Matrix>,
) {
    let (device, rate) = (pass.device, pass.config.dropout.readout);
    let AttentionTape { query, key, weights, context, x, c, .. } = tape;
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
    let Tape { states, pooled, h, dq, dh, dpooled, attention, .. } = tape;
    let pooling = pass.config.readout.pooling();
    let dseen = if pooling.is_some() { &mut *dpooled } else { &mut *dh };
    match &params.w_h {
        None => {
            device.add(dq_after, Replace, dseen);
            pass.dropout(output_dropout(pass), DROPOUT_OUTPUT, dseen);
        }
        Some(w_h) => {
            device.add(dq_after, Replace, dq);
            pass.dropout(output_dropout(pass), DROPOUT_OUTPUT, dq);
            device.linear_backward_input(w_h, dq, Replace, dseen);
            device.linear_backward_weights(h, dq, grads.w_h.as_mut().expect("as the weights"));
        }
    }
    if let Some(pooling) = pooling {
        let steps = pass.batch.steps();
        device.pool_backward(pooling, Reach::Causal, steps, states, pooled, dpooled, dh);
    }
    if let Some(params) = &params.attention {
        let grads = grads.attention.as_mut().expect("as the weights");
        let (items, dx) = input.x_and_dx(pass);
        attend_backward(pass, params, items, states, attention, dq, grads, dh, dx);
    }
}

/// Adds to `dh`, replaces `dx`.
#[allow(clippy::too_many_arguments)]
fn attend_backward<D: Device>(
    pass: &Pass<'_, D>,
    params: &AttentionParameters<D::Matrix>,
    items: &D::Matrix,
    states: &D::Matrix,
    tape: &mut AttentionTape<D::Matrix>,
    dq: &D::Matrix,
    grads: &mut AttentionParameters<D::Matrix>,
    dh: &mut D::Matrix,
    dx: &mut D::Matrix,
) {
    let (device, rate, steps) = (pass.device, pass.config.dropout.readout, pass.batch.steps());
    let AttentionTape { query, key, weights, x, c, dc, dquery, dkey, dvalue, .. } = tape;

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
