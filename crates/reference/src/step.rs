//! One step of a recurrent layer of any cell.
//!
//! ```text
//!     z = x·w_xᵀ + b + h_prev·w_hᵀ               pre-activations, G blocks of H
//!     c, h = cell(z, c_prev)                     elementwise: `lstm`, `gru`, and their neighbours
//! ```
//!
//! Three cells bend this picture a little:
//!
//! ```text
//!     GRU           the candidate's recurrent share q = h_prev·w_hnᵀ + b_hn stays apart from z
//!     projection    the cell gives m in place of h, and h = m·w_pᵀ is what leaves the layer
//!     layer norm    both products pass through N before they meet in z
//! ```
//!
//! And three kinds of dropout belong to the recurrence itself. With a mask `[B, R]` on the tape, the
//! product sees `mask ⊙ h_prev` in place of h_prev, the same mask at all steps of a row: see
//! [`mask_forward`]. DropConnect, a mask of w_h, needs nothing here: it is this step with another w_h.
//! With zoneout the cell's c and h are ĉ and ĥ, of which a share enters the states: see
//! [`zoneout_forward`].
//!
//! # Source
//!
//! The projection: H. Sak, A. Senior, F. Beaufays, "Long short-term memory recurrent neural network
//! architectures for large scale acoustic modeling", Interspeech 2014; `proj_size` of PyTorch's
//! `nn.LSTM`. The rest stands with each cell.

use layout::{Accumulate, Cell, NormTape, RecurrentParams, RecurrentTape, ZoneTape};
use ndarray::{ArrayView2, ArrayViewMut2, NdFloat};

use crate::dropout::{mask_backward, mask_forward};
use crate::layer_norm::{
    CellNorm, gain_backward, gain_forward, standardize_backward, standardize_forward,
};
use crate::linear::{bias_forward, linear_backward_input, linear_forward};
use crate::zoneout::{zoneout_backward, zoneout_forward};
use crate::{columns, coupled, gru, layer_norm, lstm, peephole, rnn, rows};

/// Numbers of the products in the deviations of a position.
pub(crate) const OF_X: usize = 0;
const OF_H: usize = 1;
const OF_C: usize = 2;

/// The states that a step starts from.
#[derive(Debug, Clone, Copy)]
pub struct Before<'a, S> {
    /// Hidden state, `[B, R]`.
    pub h: ArrayView2<'a, S>,
    /// Cell state, `[B, H]`; `[B, 0]` where the cell has none.
    pub c: ArrayView2<'a, S>,
}

/// Takes one step: adds what the last hidden state says to what the input has said, then opens the
/// gates.
///
/// ```text
///     h_prev  = mask ⊙ h_prev                    in the products alone, where there is a mask
///     z       = (x·w_xᵀ + b) + h_prev·w_hᵀ       all cells but these:
///     q       = h_prev·w_hnᵀ + b_hn              GRU, of its candidate
///     z       = (…) + γ_h ⊙ N(h_prev·w_hᵀ)       layer norm
///     a, c, h = cell_forward(z, c_prev)
///     h       = m·w_pᵀ                           projection, where the cell has given m
///     c, h    = prev + u ⊙ (these − prev)        zoneout
/// ```
///
/// # Shapes
///
/// | argument      | shape       | on entry                             | on return                |
/// |---------------|-------------|--------------------------------------|--------------------------|
/// | `params`      | see type    | the layer's weights                  | untouched                |
/// | `before`      | see type    | states before the step               | untouched                |
/// | `tape.a`      | `[B, G·H]`  | the input's share of z, with b       | the activated gates      |
/// | `tape.c`      | `[B, H]`    | anything                             | state after the step     |
/// | `tape.h`      | `[B, R]`    | anything                             | state after the step     |
/// | `tape.mask`   | `[B, R]`    | factors; `[B, 0]` where there are none | untouched              |
/// | others        | see type    | anything                             | replaced                 |
///
/// # Panics
///
/// Debug builds check the shapes. Missing parameters of a cell panic in release builds, too.
pub fn step_forward<S: NdFloat>(
    params: &RecurrentParams<ArrayView2<'_, S>>,
    before: Before<'_, S>,
    tape: RecurrentTape<ArrayViewMut2<'_, S>>,
) {
    let RecurrentTape { mut a, mut q, mut c, mut h, mut m, mask, mut masked, zone, norm } = tape;
    let ZoneTape { u_c, u_h, c: mut new_c, h: mut new_h } = zone;
    let zoned = !u_h.is_empty();
    let (made_c, mut made_h) = match zoned {
        true => (new_c.view_mut(), new_h.view_mut()),
        false => (c.view_mut(), h.view_mut()),
    };
    let NormTape { h: mut h_hat, c: c_hat, mut deviation, .. } = norm;
    let read = if mask.is_empty() {
        before.h
    } else {
        mask_forward(mask.view(), before.h, masked.view_mut());
        masked.view()
    };
    match params.cell {
        Cell::Gru => {
            let hidden = q.ncols();
            linear_forward(
                rows(params.w_h, 0..2 * hidden),
                read,
                Accumulate::Add,
                columns(a.view_mut(), 0..2 * hidden),
            );
            let w_hn = rows(params.w_h, 2 * hidden..3 * hidden);
            linear_forward(w_hn, read, Accumulate::Replace, q.view_mut());
            bias_forward(columns(params.b, 3 * hidden..4 * hidden), q.view_mut());
        }
        Cell::LayerNorm => {
            linear_forward(params.w_h, read, Accumulate::Replace, h_hat.view_mut());
            standardize_forward(h_hat.view_mut(), deviation.column_mut(OF_H));
            gain_forward(norm_of(params).gain_h, h_hat.view(), a.view_mut());
        }
        _ => linear_forward(params.w_h, read, Accumulate::Add, a.view_mut()),
    }
    let shown = if params.w_p.is_some() { m.view_mut() } else { made_h.view_mut() };
    match params.cell {
        Cell::Lstm => lstm::cell_forward(before.c, a, made_c, shown),
        Cell::Peephole => peephole::cell_forward(peepholes(params), before.c, a, made_c, shown),
        Cell::Coupled => coupled::cell_forward(before.c, a, made_c, shown),
        Cell::Gru => gru::cell_forward(q.view(), before.h, a, shown),
        Cell::Rnn => rnn::cell_forward(a, shown),
        Cell::LayerNorm => {
            let norm = cell_norm(params);
            let deviation = deviation.column_mut(OF_C);
            layer_norm::cell_forward(&norm, before.c, a, made_c, c_hat, deviation, shown);
        }
    }
    if let Some(w_p) = params.w_p {
        linear_forward(w_p, m.view(), Accumulate::Replace, made_h);
    }
    if zoned {
        zoneout_forward(u_c.view(), before.c, new_c.view(), c);
        zoneout_forward(u_h.view(), before.h, new_h.view(), h);
    }
}

/// Undoes [`step_forward`]: sums the two arrivals at `h`, goes back through the projection, the cell,
/// and the recurrent product to the states before.
///
/// ```text
///     dh          = dh_above + dh_carry          h is read by the layer above and by the next step
///     dh, rest_h  = u_h ⊙ dh, (1 − u_h) ⊙ dh     zoneout; dc_carry alike
///     dm          = dh·w_p                       projection; without one, dm is dh
///     dz, dc_prev = cell_backward(dm, dc_carry)
///     dh_prev     = dz_h·w_h                     z = … + h_prev·w_hᵀ; dz_h is dz, all cells but these:
///     dz_h        = [dz_r dz_z dq]               GRU, and dh_prev gets dh ⊙ z besides
///     dz_h        = N′(γ_h ⊙ dz)                 layer norm: what N sends back
///     dh_prev     = mask ⊙ (dz_h·w_h)            where there is a mask, in place of the product
///     dh_prev    += rest_h                       zoneout, and dc_prev += rest_c
/// ```
///
/// # Shapes
///
/// | argument        | shape      | on entry                                 | on return            |
/// |-----------------|------------|------------------------------------------|----------------------|
/// | `params`        | see type   | as forward read them                     | untouched            |
/// | `before`        | see type   | as forward read them                     | untouched            |
/// | `tape`          | see type   | as [`step_forward`] left it              | untouched            |
/// | `dh_above`      | `[B, R]`   | ∂L/∂h from the layer above               | untouched            |
/// | `back.dh_carry` | `[B, R]`   | ∂L/∂h from the next step                 | ∂L/∂h of the state before |
/// | `back.dc_carry` | `[B, H]`   | ∂L/∂c from the next step                 | ∂L/∂c of the state before |
/// | `back.dh`       | `[B, R]`   | anything                                 | the two arrivals; of ĥ with zoneout |
/// | `back.dz`       | `[B, G·H]` | anything                                 | replaced             |
/// | `back.dz_h`     | `[B, G·H]` | anything                                 | replaced             |
/// | `back.dm`, `back.dc_prev` | `[B, H]` | scratch                          | scratch              |
/// | `back.dmasked`, `back.rest_h` | `[B, R]` | scratch                      | scratch              |
/// | `back.rest_c`   | `[B, H]`   | scratch                                  | scratch              |
/// | `dparams`       | see type   | layer norm: gain and bias of c           | added to             |
///
/// # Panics
///
/// As [`step_forward`].
pub fn step_backward<S: NdFloat>(
    params: &RecurrentParams<ArrayView2<'_, S>>,
    before: Before<'_, S>,
    tape: &RecurrentTape<ArrayView2<'_, S>>,
    dh_above: ArrayView2<'_, S>,
    back: StepBack<'_, S>,
    dparams: &mut RecurrentParams<ArrayViewMut2<'_, S>>,
) {
    let StepBack {
        mut dh_carry,
        mut dc_carry,
        mut dh,
        mut dz,
        mut dz_h,
        mut dm,
        mut dc_prev,
        mut dmasked,
        mut rest_h,
        mut rest_c,
    } = back;
    let hidden = dm.ncols();
    dh.assign(&dh_above);
    dh += &dh_carry;
    let zoned = !tape.zone.u_h.is_empty();
    if zoned {
        zoneout_backward(tape.zone.u_h, dh.view_mut(), rest_h.view_mut());
        zoneout_backward(tape.zone.u_c, dc_carry.view_mut(), rest_c.view_mut());
    }
    match params.w_p {
        Some(w_p) => linear_backward_input(w_p, dh.view(), Accumulate::Replace, dm.view_mut()),
        None => dm.assign(&dh),
    }
    let RecurrentTape { a, q, c, mask, ref norm, .. } = *tape;
    let c = if zoned { tape.zone.c } else { c };
    let step = lstm::StepTape { a, c_prev: before.c, c };
    let (dm, carry, dz_now, dc) = (dm.view(), dc_carry.view(), dz.view_mut(), dc_prev.view_mut());
    match params.cell {
        Cell::Lstm => lstm::cell_backward(step, dm, carry, dz_now, dc),
        Cell::Peephole => {
            peephole::cell_backward(peepholes(params), step, dm, carry, dz_now, dc);
        }
        Cell::Coupled => coupled::cell_backward(step, dm, carry, dz_now, dc),
        Cell::Rnn => rnn::cell_backward(a, dm, dz_now),
        Cell::Gru => {
            let step = gru::StepTape { a, q, h_prev: before.h };
            let dq = columns(dz_h.view_mut(), 2 * hidden..3 * hidden);
            gru::cell_backward(step, dm, dz_now, dq, dh_carry.view_mut());
        }
        Cell::LayerNorm => {
            let deviation = norm.deviation.column(OF_C);
            let step = layer_norm::StepTape { a, c_prev: before.c, c_hat: norm.c, deviation };
            let dnorm = dparams.norm.as_mut().expect("gradients of the gains");
            let mut dnorm =
                CellNorm { gain: dnorm.gain_c.view_mut(), bias: dnorm.bias_c.view_mut() };
            layer_norm::cell_backward(&cell_norm(params), step, dm, carry, &mut dnorm, dz_now, dc);
        }
    }
    if params.cell.has_cell_state() {
        dc_carry.assign(&dc_prev);
        if zoned {
            dc_carry += &rest_c;
        }
    }
    // A GRU has sent dh ⊙ z already.
    let mut accumulate = Accumulate::Replace;
    match params.cell {
        Cell::Gru => {
            let of_gates = 0..2 * hidden;
            columns(dz_h.view_mut(), of_gates.clone()).assign(&columns(dz.view(), of_gates));
            accumulate = Accumulate::Add;
        }
        Cell::LayerNorm => {
            let dnorm = dparams.norm.as_mut().expect("gradients of the gains");
            dz_h.assign(&dz);
            gain_backward(norm_of(params).gain_h, norm.h, dnorm.gain_h.view_mut(), dz_h.view_mut());
            standardize_backward(norm.h, norm.deviation.column(OF_H), dz_h.view_mut());
        }
        _ => dz_h.assign(&dz),
    }
    if mask.is_empty() {
        linear_backward_input(params.w_h, dz_h.view(), accumulate, dh_carry.view_mut());
    } else {
        linear_backward_input(params.w_h, dz_h.view(), Accumulate::Replace, dmasked.view_mut());
        mask_backward(mask, dmasked.view(), accumulate, dh_carry.view_mut());
    }
    if zoned {
        dh_carry += &rest_h;
    }
}

/// What [`step_backward`] writes.
#[derive(Debug)]
pub struct StepBack<'a, S> {
    /// ∂L/∂h between two steps, `[B, R]`.
    pub dh_carry: ArrayViewMut2<'a, S>,
    /// ∂L/∂c between two steps, `[B, H]`; `[B, 0]` where the cell has none.
    pub dc_carry: ArrayViewMut2<'a, S>,
    /// ∂L/∂h, both arrivals, `[B, R]`.
    pub dh: ArrayViewMut2<'a, S>,
    /// ∂L/∂z, `[B, G·H]`.
    pub dz: ArrayViewMut2<'a, S>,
    /// The gradient of the recurrent product, `[B, G·H]`.
    pub dz_h: ArrayViewMut2<'a, S>,
    /// ∂L/∂m, `[B, H]`.
    pub dm: ArrayViewMut2<'a, S>,
    /// ∂L/∂c of the state before, `[B, H]`, on its way to `dc_carry`.
    pub dc_prev: ArrayViewMut2<'a, S>,
    /// What the recurrent product sends back, `[B, R]`, on its way through a mask.
    pub dmasked: ArrayViewMut2<'a, S>,
    /// Zoneout: what goes past the cell to the hidden state before, `[B, R]`.
    pub rest_h: ArrayViewMut2<'a, S>,
    /// The same of the cell state, `[B, H]`.
    pub rest_c: ArrayViewMut2<'a, S>,
}

fn peepholes<'a, S>(params: &RecurrentParams<ArrayView2<'a, S>>) -> ArrayView2<'a, S> {
    params.p.expect("a layer with peepholes")
}

pub(crate) fn norm_of<'p, 'a, S>(
    params: &'p RecurrentParams<ArrayView2<'a, S>>,
) -> &'p layout::NormParams<ArrayView2<'a, S>> {
    params.norm.as_ref().expect("a layer with gains")
}

fn cell_norm<'a, S>(params: &RecurrentParams<ArrayView2<'a, S>>) -> CellNorm<ArrayView2<'a, S>> {
    let norm = norm_of(params);
    CellNorm { gain: norm.gain_c, bias: norm.bias_c }
}
