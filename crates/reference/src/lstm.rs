//! The LSTM, on three levels: the cell, one step, a whole batch of sequences.
//!
//! ```text
//!     z      = x·w_xᵀ + b + h_prev·w_hᵀ               pre-activations, blocks i f g o of H
//!     i f o  = σ(z_i) σ(z_f) σ(z_o)                   three doors, open between 0 and 1
//!     g      = tanh(z_g)                              what wants to enter
//!     c      = f ⊙ c_prev + i ⊙ g                     the memory
//!     h      = o ⊙ tanh(c)                            what the memory shows
//! ```
//!
//! `cell_` is elementwise: from z to c and h. `step_` adds the product with the last hidden state.
//! `sequence_` runs all steps, and has one surprise for a first reader: the product with the input
//! does not depend on the recurrence, so it is made for **all positions before the loop**, and the
//! three weight gradients are sums over all positions, so they are made **once after the loop**.
//! Only `h_prev·w_hᵀ` and `dz·w_h` have to be done step by step.
//!
//! A stack of layers is a loop over layers: `h` of one is `x` of the next, `dx` of one is
//! `dh_above` of the one below.
//!
//! # Source
//!
//! S. Hochreiter, J. Schmidhuber, "Long short-term memory", Neural Computation 9(8), 1997; the
//! forget gate: F. Gers, J. Schmidhuber, F. Cummins, "Learning to forget", Neural Computation
//! 12(10), 2000. Block order and shapes are those of PyTorch's `nn.LSTM`.

use std::ops::Range;

use layout::{Accumulate, GATES, Gate, LstmParams, LstmTape, Steps};
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, NdFloat};

use crate::linear::{
    bias_backward, bias_forward, linear_backward_input, linear_backward_weights, linear_forward,
};
use crate::rows;

/// What the forward pass keeps of one step so that the step can be undone.
#[derive(Debug, Clone, Copy)]
pub struct StepTape<'a, S> {
    /// Activated gates `i f g o`, `[B, 4H]`.
    pub a: ArrayView2<'a, S>,
    /// Cell state before the step, `[B, H]`.
    pub c_prev: ArrayView2<'a, S>,
    /// Cell state after the step, `[B, H]`.
    pub c: ArrayView2<'a, S>,
}

/// Opens the gates: from the pre-activations of one step to its cell and hidden state.
///
/// ```text
///     i = σ(z_i)    f = σ(z_f)    g = tanh(z_g)    o = σ(z_o)
///     c = f ⊙ c_prev + i ⊙ g
///     h = o ⊙ tanh(c)
/// ```
///
/// # Shapes
///
/// | argument | shape     | on entry                       | on return                       |
/// |----------|-----------|--------------------------------|---------------------------------|
/// | `c_prev` | `[B, H]`  | cell state before the step     | untouched                       |
/// | `a`      | `[B, 4H]` | z, the pre-activations i f g o | the activated gates, in place   |
/// | `c`      | `[B, H]`  | anything                       | replaced                        |
/// | `h`      | `[B, H]`  | anything                       | replaced                        |
///
/// # Panics
///
/// Debug builds check the shapes.
pub fn cell_forward<S: NdFloat>(
    c_prev: ArrayView2<'_, S>,
    mut a: ArrayViewMut2<'_, S>,
    mut c: ArrayViewMut2<'_, S>,
    mut h: ArrayViewMut2<'_, S>,
) {
    let (batch, hidden) = c_prev.dim();
    debug_assert_eq!(a.dim(), (batch, GATES * hidden), "a is [B, 4H]");
    debug_assert_eq!(c.dim(), (batch, hidden), "c is [B, H]");
    debug_assert_eq!(h.dim(), (batch, hidden), "h is [B, H]");

    for b in 0..batch {
        for j in 0..hidden {
            let [z_i, z_f, z_g, z_o] = gates(hidden, j).map(|column| a[[b, column]]);
            let (i, f, g, o) = (sigmoid(z_i), sigmoid(z_f), z_g.tanh(), sigmoid(z_o));

            c[[b, j]] = f * c_prev[[b, j]] + i * g;
            h[[b, j]] = o * c[[b, j]].tanh();

            for (column, gate) in gates(hidden, j).into_iter().zip([i, f, g, o]) {
                a[[b, column]] = gate;
            }
        }
    }
}

/// Undoes [`cell_forward`]: from the gradients that reach `h` and `c` to those of the four
/// pre-activations and of the cell state before.
///
/// ```text
///     h = o ⊙ u        u = tanh(c)        c = f ⊙ c_prev + i ⊙ g
///
///     dc      = dc_carry + dh ⊙ o ⊙ (1 − u²)     two readers of c: the next step, and h
///     dz_i    = dc ⊙ g      ⊙ i ⊙ (1 − i)        σ′ = σ (1 − σ)
///     dz_f    = dc ⊙ c_prev ⊙ f ⊙ (1 − f)
///     dz_g    = dc ⊙ i      ⊙ (1 − g²)           tanh′ = 1 − tanh²
///     dz_o    = dh ⊙ u      ⊙ o ⊙ (1 − o)
///     dc_prev = dc ⊙ f
/// ```
///
/// # Shapes
///
/// | argument   | shape     | on entry                                  | on return            |
/// |------------|-----------|-------------------------------------------|----------------------|
/// | `step`     | see type  | as [`cell_forward`] left it               | untouched            |
/// | `dh`       | `[B, H]`  | ∂L/∂h, from above and from the next step  | untouched            |
/// | `dc_carry` | `[B, H]`  | ∂L/∂c, only what the next step sends back | untouched            |
/// | `dz`       | `[B, 4H]` | anything                                  | i f g o, replaced    |
/// | `dc_prev`  | `[B, H]`  | anything                                  | replaced             |
///
/// # Panics
///
/// Debug builds check the shapes.
pub fn cell_backward<S: NdFloat>(
    step: StepTape<'_, S>,
    dh: ArrayView2<'_, S>,
    dc_carry: ArrayView2<'_, S>,
    mut dz: ArrayViewMut2<'_, S>,
    mut dc_prev: ArrayViewMut2<'_, S>,
) {
    let (batch, hidden) = step.c.dim();
    debug_assert_eq!(step.a.dim(), (batch, GATES * hidden), "a is [B, 4H]");
    debug_assert_eq!(step.c_prev.dim(), (batch, hidden), "c_prev is [B, H]");
    debug_assert_eq!(dh.dim(), (batch, hidden), "dh is [B, H]");
    debug_assert_eq!(dc_carry.dim(), (batch, hidden), "dc_carry is [B, H]");
    debug_assert_eq!(dz.dim(), (batch, GATES * hidden), "dz is [B, 4H]");
    debug_assert_eq!(dc_prev.dim(), (batch, hidden), "dc_prev is [B, H]");

    let one = S::one();
    for b in 0..batch {
        for j in 0..hidden {
            let [i, f, g, o] = gates(hidden, j).map(|column| step.a[[b, column]]);
            let u = step.c[[b, j]].tanh();
            let dh = dh[[b, j]];

            let dc = dc_carry[[b, j]] + dh * o * (one - u * u);

            let [at_i, at_f, at_g, at_o] = gates(hidden, j);
            dz[[b, at_i]] = dc * g * i * (one - i);
            dz[[b, at_f]] = dc * step.c_prev[[b, j]] * f * (one - f);
            dz[[b, at_g]] = dc * i * (one - g * g);
            dz[[b, at_o]] = dh * u * o * (one - o);

            dc_prev[[b, j]] = dc * f;
        }
    }
}

/// Takes one step: adds what the last hidden state says to what the input has said, then opens the
/// gates.
///
/// ```text
///     z = (x·w_xᵀ + b) + h_prev·w_hᵀ
///     a, c, h = cell_forward(z, c_prev)
/// ```
///
/// # Shapes
///
/// | argument | shape     | on entry                              | on return                |
/// |----------|-----------|---------------------------------------|--------------------------|
/// | `w_h`    | `[4H, H]` | recurrent weights                     | untouched                |
/// | `h_prev` | `[B, H]`  | hidden state before the step          | untouched                |
/// | `c_prev` | `[B, H]`  | cell state before the step            | untouched                |
/// | `a`      | `[B, 4H]` | `x·w_xᵀ + b`, the input's share of z  | the activated gates      |
/// | `c`      | `[B, H]`  | anything                              | replaced                 |
/// | `h`      | `[B, H]`  | anything                              | replaced                 |
///
/// # Panics
///
/// Debug builds check the shapes.
pub fn step_forward<S: NdFloat>(
    w_h: ArrayView2<'_, S>,
    h_prev: ArrayView2<'_, S>,
    c_prev: ArrayView2<'_, S>,
    mut a: ArrayViewMut2<'_, S>,
    c: ArrayViewMut2<'_, S>,
    h: ArrayViewMut2<'_, S>,
) {
    linear_forward(w_h, h_prev, Accumulate::Add, a.view_mut());
    cell_forward(c_prev, a, c, h);
}

/// Undoes [`step_forward`]: sums the two arrivals at `h`, goes back through the cell, and through
/// the recurrent product to the hidden state before.
///
/// ```text
///     dh          = dh_above + dh_carry          h is read by the layer above and by the next step
///     dz, dc_prev = cell_backward(dh, dc_carry)
///     dh_prev     = dz·w_h                       z = … + h_prev·w_hᵀ
/// ```
///
/// # Shapes
///
/// | argument   | shape     | on entry                                  | on return          |
/// |------------|-----------|-------------------------------------------|--------------------|
/// | `w_h`      | `[4H, H]` | as forward read it                        | untouched          |
/// | `step`     | see type  | as [`step_forward`] left it               | untouched          |
/// | `dh_above` | `[B, H]`  | ∂L/∂h from the layer above                | untouched          |
/// | `dh_carry` | `[B, H]`  | ∂L/∂h from the next step                  | untouched          |
/// | `dc_carry` | `[B, H]`  | ∂L/∂c from the next step                  | untouched          |
/// | `dz`       | `[B, 4H]` | anything                                  | replaced           |
/// | `dh_prev`  | `[B, H]`  | anything                                  | replaced           |
/// | `dc_prev`  | `[B, H]`  | anything                                  | replaced           |
/// | `dh`       | `[B, H]`  | scratch                                   | scratch            |
///
/// # Panics
///
/// Debug builds check the shapes.
#[allow(clippy::too_many_arguments)] // one name each; the shapes tell most of them apart
pub fn step_backward<S: NdFloat>(
    w_h: ArrayView2<'_, S>,
    step: StepTape<'_, S>,
    dh_above: ArrayView2<'_, S>,
    dh_carry: ArrayView2<'_, S>,
    dc_carry: ArrayView2<'_, S>,
    mut dz: ArrayViewMut2<'_, S>,
    dh_prev: ArrayViewMut2<'_, S>,
    dc_prev: ArrayViewMut2<'_, S>,
    mut dh: ArrayViewMut2<'_, S>,
) {
    dh.assign(&dh_above);
    dh += &dh_carry;
    cell_backward(step, dh.view(), dc_carry, dz.view_mut(), dc_prev);
    linear_backward_input(w_h, dz.view(), Accumulate::Replace, dh_prev);
}

/// Runs a layer over a batch of sequences of different lengths.
///
/// ```text
///     a[all positions] = x·w_xᵀ + b                            one product, before the loop
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
/// | `tape.a`   | `[N, 4H]`     | `x·w_xᵀ` where `x` is `None`             | activated gates    |
/// | `tape.c`   | `[B + N, H]`  | slot 0: cell states at the start         | slots 1…T replaced |
/// | `tape.h`   | `[B + N, H]`  | slot 0: hidden states at the start       | slots 1…T replaced |
///
/// Where `x` is `None` somebody else has made the input's product (a gather of rows, for one-hot
/// input); it comes without the bias, and `w_x` is not read.
///
/// # Panics
///
/// Debug builds check the shapes.
pub fn sequence_forward<S: NdFloat>(
    params: &LstmParams<ArrayView2<'_, S>>,
    x: Option<ArrayView2<'_, S>>,
    steps: &Steps,
    tape: &mut LstmTape<ArrayViewMut2<'_, S>>,
) {
    let hidden = params.w_h.ncols();
    debug_assert_eq!(params.w_h.dim(), (GATES * hidden, hidden), "w_h is [4H, H]");
    debug_assert_eq!(tape.a.dim(), (steps.positions(), GATES * hidden), "a is [N, 4H]");
    debug_assert_eq!(tape.c.dim(), (steps.slots(), hidden), "c is [B + N, H]");
    debug_assert_eq!(tape.h.dim(), (steps.slots(), hidden), "h is [B + N, H]");

    if let Some(x) = x {
        linear_forward(params.w_x, x, Accumulate::Replace, tape.a.view_mut());
    }
    bias_forward(params.b, tape.a.view_mut());

    for t in 0..steps.count() {
        let (at, now) = (steps.range(t), steps.slot(t + 1));
        let prev = running(steps, t);

        // One buffer holds all slots; a step reads one and writes the next.
        let (c_prev, c) = tape.c.view_mut().split_at(Axis(0), now.start);
        let (h_prev, h) = tape.h.view_mut().split_at(Axis(0), now.start);
        step_forward(
            params.w_h,
            rows(h_prev.view(), prev.clone()),
            rows(c_prev.view(), prev),
            rows(tape.a.view_mut(), at),
            rows(c, 0..now.len()),
            rows(h, 0..now.len()),
        );
    }
}

/// The gradients that reach a layer from outside.
#[derive(Debug, Clone, Copy)]
pub struct Arrivals<'a, S> {
    /// ∂L/∂h of every position, `[N, H]`: from the layer above or the loss. What reaches the final
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
    pub params: LstmParams<ArrayViewMut2<'a, S>>,
    /// ∂L/∂z of every position, `[N, 4H]`; replaced. Where the input's product was made by somebody
    /// else, this is its gradient.
    pub dz: ArrayViewMut2<'a, S>,
    /// ∂L/∂x, `[N, I]`, where it is wanted; replaced.
    pub dx: Option<ArrayViewMut2<'a, S>>,
    /// ∂L/∂h of the start of every row, `[B, H]`; replaced.
    pub dh_0: ArrayViewMut2<'a, S>,
    /// ∂L/∂c of the start of every row, `[B, H]`; replaced.
    pub dc_0: ArrayViewMut2<'a, S>,
}

/// Room for one step of [`sequence_backward`]; its contents mean nothing between calls.
#[derive(Debug, Clone)]
pub struct SequenceScratch<S> {
    dh: Array2<S>,
    dh_prev: Array2<S>,
    dc_prev: Array2<S>,
}

impl<S: NdFloat> SequenceScratch<S> {
    /// Three matrices `[B, H]`.
    pub fn new(batch: usize, hidden: usize) -> Self {
        let rows = Array2::zeros((batch, hidden));
        Self { dh: rows.clone(), dh_prev: rows.clone(), dc_prev: rows }
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
///     dw_x += dzᵀ·x          db += Σ dz                        sums over all positions,
///     dw_h += dzᵀ·h_prev     dx  = dz·w_x                      once, after the loop
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
/// | `scratch`  | `[B, H]` × 3 | anything                             | anything                  |
///
/// # Panics
///
/// Debug builds check the shapes; asking for `dx` is asking for it whether or not there is an `x`.
pub fn sequence_backward<S: NdFloat>(
    params: &LstmParams<ArrayView2<'_, S>>,
    x: Option<ArrayView2<'_, S>>,
    steps: &Steps,
    tape: &LstmTape<ArrayView2<'_, S>>,
    arrivals: Arrivals<'_, S>,
    grads: &mut SequenceGrads<'_, S>,
    scratch: &mut SequenceScratch<S>,
) {
    let (batch, hidden) = (steps.batch(), params.w_h.ncols());
    debug_assert_eq!(tape.a.dim(), (steps.positions(), GATES * hidden), "a is [N, 4H]");
    debug_assert_eq!(tape.c.dim(), (steps.slots(), hidden), "c is [B + N, H]");
    debug_assert_eq!(tape.h.dim(), (steps.slots(), hidden), "h is [B + N, H]");
    debug_assert_eq!(arrivals.dh_above.dim(), (steps.positions(), hidden), "dh_above is [N, H]");
    debug_assert_eq!(grads.dh_0.dim(), (batch, hidden), "dh_0 is [B, H]");
    debug_assert_eq!(grads.dc_0.dim(), (batch, hidden), "dc_0 is [B, H]");
    debug_assert_eq!(scratch.dh.dim(), (batch, hidden), "scratch is [B, H]");

    // What the loop carries from step to step is, when it ends, what reaches the start.
    let (dh_carry, dc_carry) = (&mut grads.dh_0, &mut grads.dc_0);
    dh_carry.fill(S::zero());
    match arrivals.dc_last {
        Some(dc_last) => dc_carry.assign(&dc_last),
        None => dc_carry.fill(S::zero()),
    }

    for t in (0..steps.count()).rev() {
        let (at, active) = (steps.range(t), 0..steps.active(t));
        let step = StepTape {
            a: rows(tape.a, at.clone()),
            c_prev: rows(tape.c, running(steps, t)),
            c: rows(tape.c, steps.slot(t + 1)),
        };
        step_backward(
            params.w_h,
            step,
            rows(arrivals.dh_above, at.clone()),
            rows(dh_carry.view(), active.clone()),
            rows(dc_carry.view(), active.clone()),
            rows(grads.dz.view_mut(), at),
            rows(scratch.dh_prev.view_mut(), active.clone()),
            rows(scratch.dc_prev.view_mut(), active.clone()),
            rows(scratch.dh.view_mut(), active.clone()),
        );
        rows(dh_carry.view_mut(), active.clone())
            .assign(&rows(scratch.dh_prev.view(), active.clone()));
        rows(dc_carry.view_mut(), active.clone()).assign(&rows(scratch.dc_prev.view(), active));
    }

    let dz = grads.dz.view();
    for t in 0..steps.count() {
        linear_backward_weights(
            rows(tape.h, running(steps, t)),
            rows(dz, steps.range(t)),
            grads.params.w_h.view_mut(),
        );
    }
    bias_backward(dz, grads.params.b.view_mut());
    if let Some(x) = x {
        linear_backward_weights(x, dz, grads.params.w_x.view_mut());
    }
    if let Some(dx) = &mut grads.dx {
        linear_backward_input(params.w_x, dz, Accumulate::Replace, dx.view_mut());
    }
}

/// The rows of slot `t` that step `t` reads: those of the sequences that still run.
fn running(steps: &Steps, t: usize) -> Range<usize> {
    let start = steps.slot(t).start;
    start..start + steps.active(t)
}

/// The columns of `[B, 4H]` in which unit `j` has its gates i f g o.
fn gates(hidden: usize, j: usize) -> [usize; GATES] {
    [Gate::Input, Gate::Forget, Gate::Candidate, Gate::Output]
        .map(|gate| gate as usize * hidden + j)
}

fn sigmoid<S: NdFloat>(z: S) -> S {
    S::one() / (S::one() + (-z).exp())
}

#[cfg(test)]
mod tests {
    use testkit::{assert_same_bits, nan, wave};

    use super::*;

    /// I = 3, H = 2.
    fn run(steps: &Steps, x: &Array2<f64>, starts: &[usize]) -> LstmTape<Array2<f64>> {
        let slots = (steps.slots(), 2);
        let mut tape = LstmTape { a: nan((steps.positions(), 8)), c: nan(slots), h: nan(slots) };
        for (b, &row) in starts.iter().enumerate() {
            tape.h.row_mut(b).assign(&wave((4, 2), 0.8).row(row));
            tape.c.row_mut(b).assign(&wave((4, 2), 1.6).row(row));
        }
        let (w_x, w_h, bias) = (wave((8, 3), 0.1), wave((8, 2), 0.5), wave((1, 8), 0.9));
        let params = LstmParams { w_x: w_x.view(), w_h: w_h.view(), b: bias.view() };
        let mut views =
            LstmTape { a: tape.a.view_mut(), c: tape.c.view_mut(), h: tape.h.view_mut() };
        sequence_forward(&params, Some(x.view()), steps, &mut views);
        tape
    }

    /// Packing is a matter of memory only: each row gives the bits it gives when it is alone.
    #[test]
    fn a_row_does_not_see_its_neighbours() {
        let steps = Steps::from_lengths(&[4, 2, 2, 1]);
        let x = wave((steps.positions(), 3), 0.3);
        let together = run(&steps, &x, &[0, 1, 2, 3]);
        for b in 0..steps.batch() {
            let positions: Vec<usize> = steps.row(b).collect();
            let alone_x = x.select(Axis(0), &positions);
            let alone = run(&Steps::uniform(positions.len(), 1), &alone_x, &[b]);
            let slots: Vec<usize> =
                std::iter::once(b).chain(positions.iter().map(|p| steps.batch() + p)).collect();
            let (h, c) = (together.h.select(Axis(0), &slots), together.c.select(Axis(0), &slots));
            assert_same_bits("h", h.view(), alone.h.view());
            assert_same_bits("c", c.view(), alone.c.view());
        }
    }

    /// A gate at ±∞ is a door open or shut, not a NaN.
    #[test]
    fn gates_saturate() {
        for (z, expected) in [(-1e30f32, 0.0), (0.0, 0.5), (1e30, 1.0)] {
            assert_eq!(sigmoid(z), expected);
        }
    }
}
