//! A whole batch of sequences through a recurrent layer of any cell.
//!
//! `cell_` is elementwise: from z to c and h. `step_` adds the product with the last hidden state.
//! `sequence_` runs all steps, and has one surprise for a first reader: the product with the input
//! does not depend on the recurrence, so it is made for **all positions before the loop**, and the
//! weight gradients are sums over all positions, so they are made **once after the loop**.
//! Only `h_prev·w_hᵀ` and `dz·w_h` have to be done step by step.
//!
//! A stack of layers is a loop over layers: `h` of one is `x` of the next, `dx` of one is
//! `dh_above` of the one below.

use std::ops::Range;

use layout::{Accumulate, Cell, NormTape, RecurrentParams, RecurrentTape, Steps, ZoneTape};
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, NdFloat};

use crate::layer_norm::{gain_backward, gain_forward, standardize_backward, standardize_forward};
use crate::linear::{
    bias_backward, bias_forward, linear_backward_input, linear_backward_weights, linear_forward,
};
use crate::step::{Before, OF_X, StepBack, norm_of, step_backward, step_forward};
use crate::{columns, peephole, rows};

/// Runs a layer over a batch of sequences of different lengths.
///
/// ```text
///     a[all positions] = x·w_xᵀ + b                            one product, before the loop;
///                        γ_x ⊙ N(x·w_xᵀ) + b                   layer norm
///     for t = 0 … T − 1, rows still running:
///         a_t, c_{t+1}, h_{t+1} = step_forward(h_t, c_t)       states in slots, slot 0 the start
/// ```
///
/// # Shapes
///
/// | argument   | shape         | on entry                                 | on return          |
/// |------------|---------------|------------------------------------------|--------------------|
/// | `params`   | see type      | the layer's weights                      | untouched          |
/// | `x`        | `[N, I]`      | inputs, or `None`                        | untouched          |
/// | `steps`    |               | how the rows lie in N positions          | untouched          |
/// | `tape.a`   | `[N, G·H]`    | `x·w_xᵀ` where `x` is `None`             | activated gates    |
/// | `tape.c`   | `[B + N, H]`  | slot 0: cell states at the start         | slots 1…T replaced |
/// | `tape.h`   | `[B + N, R]`  | slot 0: hidden states at the start       | slots 1…T replaced |
/// | `tape.mask` | `[B, R]`     | what the recurrent product sees, or `[B, 0]`: all | untouched |
/// | others     | see type      | anything                                 | replaced           |
///
/// Where `x` is `None` somebody else has made the input's product (a gather of rows, for one-hot
/// input); it comes without the bias, and `w_x` is not read.
///
/// # Panics
///
/// As [`step_forward`].
pub fn sequence_forward<S: NdFloat>(
    params: &RecurrentParams<ArrayView2<'_, S>>,
    x: Option<ArrayView2<'_, S>>,
    steps: &Steps,
    tape: &mut RecurrentTape<ArrayViewMut2<'_, S>>,
) {
    let (rows_of_w, width) = params.w_h.dim();
    debug_assert_eq!(tape.a.dim(), (steps.positions(), rows_of_w), "a is [N, G·H]");
    debug_assert_eq!(tape.c.nrows(), steps.slots(), "c is [B + N, H]");
    debug_assert_eq!(tape.h.dim(), (steps.slots(), width), "h is [B + N, R]");

    if let Some(x) = x {
        linear_forward(params.w_x, x, Accumulate::Replace, tape.a.view_mut());
    }
    if params.cell == Cell::LayerNorm {
        tape.norm.x.assign(&tape.a);
        let deviation = tape.norm.deviation.column_mut(OF_X);
        standardize_forward(tape.norm.x.view_mut(), deviation);
        tape.a.fill(S::zero());
        gain_forward(norm_of(params).gain_x, tape.norm.x.view(), tape.a.view_mut());
    }
    bias_forward(columns(params.b, 0..rows_of_w), tape.a.view_mut());

    for t in 0..steps.count() {
        let (at, slot, active) = (steps.range(t), steps.slot(t + 1).start, steps.active(t));
        let (h_prev, h) = tape.h.view_mut().split_at(Axis(0), slot);
        let (c_prev, c) = tape.c.view_mut().split_at(Axis(0), slot);
        let before = Before {
            h: rows(h_prev.view(), running(steps, t)),
            c: rows(c_prev.view(), running(steps, t)),
        };
        let NormTape { x, h: h_hat, c: c_hat, deviation } = &mut tape.norm;
        let ZoneTape { u_c, u_h, c: new_c, h: new_h } = &mut tape.zone;
        let step = RecurrentTape {
            a: rows(tape.a.view_mut(), at.clone()),
            q: rows(tape.q.view_mut(), at.clone()),
            c: rows(c, 0..active),
            h: rows(h, 0..active),
            m: rows(tape.m.view_mut(), at.clone()),
            mask: rows(tape.mask.view_mut(), 0..active),
            masked: rows(tape.masked.view_mut(), at.clone()),
            zone: ZoneTape {
                u_c: rows(u_c.view_mut(), at.clone()),
                u_h: rows(u_h.view_mut(), at.clone()),
                c: rows(new_c.view_mut(), at.clone()),
                h: rows(new_h.view_mut(), at.clone()),
            },
            norm: NormTape {
                x: rows(x.view_mut(), at.clone()),
                h: rows(h_hat.view_mut(), at.clone()),
                c: rows(c_hat.view_mut(), at.clone()),
                deviation: rows(deviation.view_mut(), at),
            },
        };
        step_forward(params, before, step);
    }
}

/// The gradients that reach a layer from outside.
#[derive(Debug, Clone, Copy)]
pub struct Arrivals<'a, S> {
    /// ∂L/∂h of every position, `[N, R]`: from the layer above or the loss. What reaches the final
    /// hidden state of a row is part of the entry at the row's last position.
    pub dh_above: ArrayView2<'a, S>,
    /// ∂L/∂c of every row's final cell state, `[B, H]`, where something reads it.
    pub dc_last: Option<ArrayView2<'a, S>>,
}

/// The gradients that [`sequence_backward`] gives.
#[derive(Debug)]
pub struct SequenceGrads<'a, S> {
    /// Gradients of the weights, shaped like them; **added to**. `w_x` is left alone where there
    /// is no `x`.
    pub params: RecurrentParams<ArrayViewMut2<'a, S>>,
    /// The gradient of the input's product of every position, `[N, G·H]`; replaced. With every cell
    /// but the normalised one this is ∂L/∂z.
    pub dz: ArrayViewMut2<'a, S>,
    /// ∂L/∂x, `[N, I]`, where it is wanted; replaced.
    pub dx: Option<ArrayViewMut2<'a, S>>,
    /// ∂L/∂h of the start of every row, `[B, R]`; replaced.
    pub dh_0: ArrayViewMut2<'a, S>,
    /// ∂L/∂c of the start of every row, `[B, H]`; replaced.
    pub dc_0: ArrayViewMut2<'a, S>,
}

/// Room for [`sequence_backward`]; its contents mean nothing between calls.
#[derive(Debug, Clone)]
pub struct SequenceScratch<S> {
    dh: Array2<S>,
    dz_h: Array2<S>,
    dm: Array2<S>,
    dc_prev: Array2<S>,
    dmasked: Array2<S>,
    rest_h: Array2<S>,
    rest_c: Array2<S>,
}

impl<S: NdFloat> SequenceScratch<S> {
    /// `[N, R]`, `[N, G·H]`, three of `[B, H]` and two of `[B, R]`.
    pub fn new(steps: &Steps, params: &RecurrentParams<ArrayView2<'_, S>>) -> Self {
        let (rows, width) = params.w_h.dim();
        let hidden = rows / params.cell.gates();
        let batch = Array2::zeros((steps.batch(), hidden));
        Self {
            dh: Array2::zeros((steps.positions(), width)),
            dz_h: Array2::zeros((steps.positions(), rows)),
            dm: batch.clone(),
            dc_prev: batch.clone(),
            dmasked: Array2::zeros((steps.batch(), width)),
            rest_h: Array2::zeros((steps.batch(), width)),
            rest_c: batch,
        }
    }
}

/// Undoes [`sequence_forward`]: backpropagation through time.
///
/// ```text
///     dh_carry = 0,  dc_carry = dc_last
///     for t = T − 1 … 0, rows running at t:
///         dz_t, dh_carry, dc_carry = step_backward(dh_above_t, dh_carry, dc_carry)
///     dh_0 = dh_carry,  dc_0 = dc_carry
///
///     dw_x += dzᵀ·x            db   += Σ dz                    sums over all positions,
///     dw_h += dz_hᵀ·h_prev     dw_p += dhᵀ·m                   once, after the loop
///     dx    = dz·w_x           (through a mask the product has read mask ⊙ h_prev: so does dw_h)
/// ```
///
/// A row that ends before T is simply not touched until the loop comes to its last step, and so
/// meets there the zero, or the `dc_last`, it was given at the beginning.
///
/// # Shapes
///
/// | argument   | shape        | on entry                             | on return                 |
/// |------------|--------------|--------------------------------------|---------------------------|
/// | `params`   | see type     | as forward read them                 | untouched                 |
/// | `x`        | `[N, I]`     | as forward read it, or `None`        | untouched                 |
/// | `steps`    |              | as forward read it                   | untouched                 |
/// | `tape`     | see type     | as [`sequence_forward`] left it      | untouched                 |
/// | `arrivals` | see type     | what reaches the layer               | untouched                 |
/// | `grads`    | see type     | weights: what other uses gave        | weights added to, the rest replaced |
/// | `scratch`  | see type     | anything                             | anything                  |
///
/// # Panics
///
/// As [`step_forward`]; asking for `dx` is asking for it whether or not there is an `x`.
pub fn sequence_backward<S: NdFloat>(
    params: &RecurrentParams<ArrayView2<'_, S>>,
    x: Option<ArrayView2<'_, S>>,
    steps: &Steps,
    tape: &RecurrentTape<ArrayView2<'_, S>>,
    arrivals: Arrivals<'_, S>,
    grads: &mut SequenceGrads<'_, S>,
    scratch: &mut SequenceScratch<S>,
) {
    let (batch, (rows_of_w, width)) = (steps.batch(), params.w_h.dim());
    debug_assert_eq!(tape.a.dim(), (steps.positions(), rows_of_w), "a is [N, G·H]");
    debug_assert_eq!(tape.h.dim(), (steps.slots(), width), "h is [B + N, R]");
    debug_assert_eq!(arrivals.dh_above.dim(), (steps.positions(), width), "dh_above is [N, R]");
    debug_assert_eq!(grads.dh_0.dim(), (batch, width), "dh_0 is [B, R]");
    debug_assert_eq!(grads.dc_0.dim(), (batch, tape.c.ncols()), "dc_0 is [B, H]");

    // What the loop carries from step to step is, when it ends, what reaches the start.
    let (dh_carry, dc_carry) = (&mut grads.dh_0, &mut grads.dc_0);
    dh_carry.fill(S::zero());
    match arrivals.dc_last {
        Some(dc_last) => dc_carry.assign(&dc_last),
        None => dc_carry.fill(S::zero()),
    }

    for t in (0..steps.count()).rev() {
        let (at, active) = (steps.range(t), 0..steps.active(t));
        let before =
            Before { h: rows(tape.h, running(steps, t)), c: rows(tape.c, running(steps, t)) };
        let NormTape { x, h: h_hat, c: c_hat, deviation } = tape.norm;
        let ZoneTape { u_c, u_h, c: new_c, h: new_h } = tape.zone;
        let step = RecurrentTape {
            a: rows(tape.a, at.clone()),
            q: rows(tape.q, at.clone()),
            c: rows(tape.c, steps.slot(t + 1)),
            h: rows(tape.h, steps.slot(t + 1)),
            m: rows(tape.m, at.clone()),
            mask: rows(tape.mask, active.clone()),
            masked: rows(tape.masked, at.clone()),
            zone: ZoneTape {
                u_c: rows(u_c, at.clone()),
                u_h: rows(u_h, at.clone()),
                c: rows(new_c, at.clone()),
                h: rows(new_h, at.clone()),
            },
            norm: NormTape {
                x: rows(x, at.clone()),
                h: rows(h_hat, at.clone()),
                c: rows(c_hat, at.clone()),
                deviation: rows(deviation, at.clone()),
            },
        };
        let back = StepBack {
            dh_carry: rows(dh_carry.view_mut(), active.clone()),
            dc_carry: rows(dc_carry.view_mut(), active.clone()),
            dh: rows(scratch.dh.view_mut(), at.clone()),
            dz: rows(grads.dz.view_mut(), at.clone()),
            dz_h: rows(scratch.dz_h.view_mut(), at.clone()),
            dm: rows(scratch.dm.view_mut(), active.clone()),
            dc_prev: rows(scratch.dc_prev.view_mut(), active.clone()),
            dmasked: rows(scratch.dmasked.view_mut(), active.clone()),
            rest_h: rows(scratch.rest_h.view_mut(), active.clone()),
            rest_c: columns(rows(scratch.rest_c.view_mut(), active), 0..tape.c.ncols()),
        };
        let dh_above = rows(arrivals.dh_above, at);
        step_backward(params, before, &step, dh_above, back, &mut grads.params);
    }
    weight_gradients(params, x, steps, tape, grads, scratch);
}

/// The sums over all positions that follow the loop of [`sequence_backward`].
fn weight_gradients<S: NdFloat>(
    params: &RecurrentParams<ArrayView2<'_, S>>,
    x: Option<ArrayView2<'_, S>>,
    steps: &Steps,
    tape: &RecurrentTape<ArrayView2<'_, S>>,
    grads: &mut SequenceGrads<'_, S>,
    scratch: &SequenceScratch<S>,
) {
    let rows_of_w = params.w_h.nrows();
    let SequenceGrads { params: dparams, dz, dx, .. } = grads;
    for t in 0..steps.count() {
        let (at, before) = (steps.range(t), running(steps, t));
        let dz_h = rows(scratch.dz_h.view(), at.clone());
        let read = match tape.mask.is_empty() {
            true => rows(tape.h, before.clone()),
            false => rows(tape.masked, at.clone()),
        };
        linear_backward_weights(read, dz_h, dparams.w_h.view_mut());
        if let Some(dp) = &mut dparams.p {
            let c_prev = rows(tape.c, before);
            let c = match tape.zone.c.is_empty() {
                true => rows(tape.c, steps.slot(t + 1)),
                false => rows(tape.zone.c, at.clone()),
            };
            peephole::cell_backward_weights(c_prev, c, rows(dz.view(), at), dp.view_mut());
        }
    }
    bias_backward(dz.view(), columns(dparams.b.view_mut(), 0..rows_of_w));
    if params.cell == Cell::Gru {
        let hidden = tape.q.ncols();
        let dq = columns(scratch.dz_h.view(), 2 * hidden..3 * hidden);
        bias_backward(dq, columns(dparams.b.view_mut(), 3 * hidden..4 * hidden));
    }
    if let Some(dw_p) = &mut dparams.w_p {
        linear_backward_weights(tape.m, scratch.dh.view(), dw_p.view_mut());
    }
    if params.cell == Cell::LayerNorm {
        let (norm, dnorm) = (norm_of(params), dparams.norm.as_mut().expect("their gradients"));
        gain_backward(norm.gain_x, tape.norm.x, dnorm.gain_x.view_mut(), dz.view_mut());
        standardize_backward(tape.norm.x, tape.norm.deviation.column(OF_X), dz.view_mut());
    }
    if let Some(x) = x {
        linear_backward_weights(x, dz.view(), dparams.w_x.view_mut());
    }
    if let Some(dx) = dx {
        linear_backward_input(params.w_x, dz.view(), Accumulate::Replace, dx.view_mut());
    }
}

/// The rows of slot `t` that step `t` reads: those of the sequences that still run.
fn running(steps: &Steps, t: usize) -> Range<usize> {
    let start = steps.slot(t).start;
    start..start + steps.active(t)
}

#[cfg(test)]
mod tests {
    use testkit::{assert_same_bits, wave};

    use super::*;

    use layout::{Matrix, RecurrentDims};

    /// I = 3, H = 2.
    fn run(
        cell: Cell,
        steps: &Steps,
        x: &Array2<f64>,
        starts: &[usize],
    ) -> RecurrentTape<Matrix<f64>> {
        let dims = RecurrentDims { cell, input: 3, hidden: 2, projection: None };
        let mut tape = RecurrentTape::default();
        tape.start(steps, dims);
        for (b, &row) in starts.iter().enumerate() {
            for (state, phase) in [(&mut tape.h, 0.8), (&mut tape.c, 1.6)] {
                let row = wave((4, state.columns()), phase).row(row).to_vec();
                state.row_mut(b).copy_from_slice(&row);
            }
        }
        let mut phase = 0.1;
        let params = dims.shapes().map(|[rows, columns]| {
            phase += 0.4;
            wave((rows, columns), phase)
        });
        let params = params.as_ref().map(|tensor| tensor.view());
        let mut views = tape.as_mut().map(Matrix::view_mut);
        sequence_forward(&params, Some(x.view()), steps, &mut views);
        tape
    }

    /// Packing is a matter of memory only: each row gives the bits it gives when it is alone.
    #[test]
    fn a_row_does_not_see_its_neighbours() {
        let steps = Steps::from_lengths(&[4, 2, 2, 1]);
        let x = wave((steps.positions(), 3), 0.3);
        for cell in Cell::ALL {
            let together = run(cell, &steps, &x, &[0, 1, 2, 3]);
            for b in 0..steps.batch() {
                let positions: Vec<usize> = steps.row(b).collect();
                let alone_x = x.select(Axis(0), &positions);
                let alone = run(cell, &Steps::uniform(positions.len(), 1), &alone_x, &[b]);
                let slots: Vec<usize> =
                    std::iter::once(b).chain(positions.iter().map(|p| steps.batch() + p)).collect();
                for (name, together, alone) in
                    [("h", &together.h, &alone.h), ("c", &together.c, &alone.c)]
                {
                    let together = together.view().select(Axis(0), &slots);
                    assert_same_bits(&format!("{cell:?} {name}"), together.view(), alone.view());
                }
            }
        }
    }
}
