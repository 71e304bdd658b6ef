//! A whole LSTM layer over a batch. Equations: `reference::sequence_forward` and `_backward`.
//!
//! ```text
//!     forward, a step of some rows              backward, a step of some rows
//!     z_t = x_t·w_xᵀ + b + h_{t−1}·w_hᵀ         dh_t = dh_above_t + dz_{t+1}·w_h
//!     and at once the gates, c_t and h_t        and at once dz_t and dc_{t−1}
//!     ───────────────────────────────────────────────────────────────────────────────────────
//!                                               for each stretch of steps, over all its positions
//!                                               dw_h += dzᵀ·h_prev    dw_x += dzᵀ·x
//!                                               dx    = dz·w_x        db   += Σ dz
//! ```
//!
//! Only what is as serial as the recurrence itself runs step by step, and the cell is the epilogue
//! of the recurrent product, in registers. The weight gradients need nothing of the step before:
//! they are large products over all positions of a stretch, taken while its `dz` is in the caches.
//!
//! `simd::turns` says how threads share a batch: by rows, which wait for nobody, or, where rows are
//! few and weights are large, by units. Where rows start from zero, the recurrent product of their
//! first step, forward and backward, is left out.
//!
//! Reading order: this file, `forward`, `backward`, `gradients`.

mod backward;
mod forward;
mod gradients;

use crate::Cpu;
use crate::panel::Source;
use crate::product::product;
use crate::simd::{Order, Shared, Split, in_turns};
use backward::StepBackward;
use forward::{Input, StepForward};
use gradients::Stretch;
use layout::{Accumulate, GATES, LstmParams, LstmStart, LstmTape, Matrix, Steps};
use std::ops::Range;

/// Rows of a slice at most: their states stay in the second-level cache.
const ROWS_PER_SLICE: usize = 64;
/// Fewer rows than this for each thread, and large weights are better shared out than read by all.
const FEW_ROWS: usize = 24;
/// Bytes of weights that a second-level cache holds beside other things.
const RESIDENT: usize = 3 << 17;
/// Entries of dz in one stretch of the backward pass, 4 MiB of them, ...
const ENTRIES_PER_STRETCH: usize = 1 << 20;
/// ... but so many positions at least, since each stretch reads and writes the weights' gradients.
const POSITIONS_PER_STRETCH: usize = 1024;

impl Cpu {
    /// Runs the layer over a batch, from the start in slot 0 of the tape.
    ///
    /// | argument | shape | on entry | on return |
    /// |---|---|---|---|
    /// | `x` | `[N, I]` | the input; `None` where `tape.a` holds `x·w_xᵀ` already | untouched |
    /// | `tape.a` | `[N, 4H]` | anything, or `x·w_xᵀ` | activated gates `i f g o` |
    /// | `tape.c`, `tape.h` | `[B + N, H]` | slot 0: the start | all slots |
    ///
    /// # Panics
    ///
    /// Where the shapes do not fit.
    pub fn lstm_forward(
        &self,
        params: &LstmParams<Matrix<f32>>,
        x: Option<&Matrix<f32>>,
        steps: &Steps,
        tape: &mut LstmTape<Matrix<f32>>,
    ) {
        let hidden = hidden_units(params, x.is_some());
        let inputs = if x.is_some() { params.w_x.columns() } else { 0 };
        if let Some(x) = x {
            assert_eq!(x.shape(), [steps.positions(), inputs], "x is [N, I]");
        }
        if steps.positions() == 0 {
            return;
        }
        let split = split(steps, hidden);
        // An input product inside the loop reads w_x at every step: not for a handful of rows.
        let rows = match split {
            Split::Rows(slices) => steps.positions() / steps.count() / slices,
            Split::Units(_) => steps.positions() / steps.count(),
        };
        let inside = x.filter(|_| rows >= 8);
        if let (Some(x), None) = (x, inside) {
            let source = Source::Transposed(params.w_x.as_slice());
            let panels = self.packed(inputs, GATES * hidden, source);
            let a = tape.a.as_mut_slice();
            product(self.path, x.as_slice(), &panels, Accumulate::Replace, a);
        }
        let w_h = self.packed_gates(params.w_h.as_slice(), hidden, hidden);
        let w_x = inside.map(|_| self.packed_gates(params.w_x.as_slice(), hidden, inputs));
        let input = match (inside, &w_x) {
            (Some(x), Some(w_x)) => Input::Rows { x: x.as_slice(), inputs, w_x },
            _ => Input::Product,
        };
        let buffers = [
            Shared::positions(steps, GATES * hidden, tape.a.as_mut_slice()),
            Shared::slots(steps, hidden, tape.c.as_mut_slice()),
            Shared::slots(steps, hidden, tape.h.as_mut_slice()),
        ];
        let (w_h, b) = (&w_h[..], params.b.as_slice());
        in_turns(steps, 0..steps.count(), hidden, split, Order::Rising, buffers, |turn| {
            self.path.run(StepForward { turn, hidden, input, w_h, b });
        });
    }

    /// Undoes [`Cpu::lstm_forward`].
    ///
    /// | argument | shape | on entry | on return |
    /// |---|---|---|---|
    /// | `dh_above` | `[N, H]` | ∂L/∂h as far as it comes from above | untouched |
    /// | `grads` | as `params` | gradients so far | added to (`w_x` only with `x`) |
    /// | `dz` | `[N, 4H]` | anything | gradient of the pre-activations |
    /// | `dx` | `[N, I]` | anything | gradient of the input |
    /// | `start` | `[B, H]` each | anything | gradient of the start, where it is wanted |
    ///
    /// # Panics
    ///
    /// Where the shapes do not fit.
    #[allow(clippy::too_many_arguments)]
    pub fn lstm_backward(
        &self,
        params: &LstmParams<Matrix<f32>>,
        x: Option<&Matrix<f32>>,
        steps: &Steps,
        tape: &LstmTape<Matrix<f32>>,
        dh_above: &Matrix<f32>,
        grads: &mut LstmParams<Matrix<f32>>,
        dz: &mut Matrix<f32>,
        mut dx: Option<&mut Matrix<f32>>,
        mut start: Option<&mut LstmStart<Matrix<f32>>>,
    ) {
        let hidden = hidden_units(params, x.is_some());
        assert_eq!(dh_above.shape(), [steps.positions(), hidden], "dh_above is [N, H]");
        assert!(dx.is_none() || x.is_some(), "a gradient of the input where there is one");
        dz.resize(steps.positions(), GATES * hidden);
        if let Some(dx) = dx.as_deref_mut() {
            dx.resize(steps.positions(), params.w_x.columns());
        }
        let states = steps.batch() * hidden;
        let mut unwanted = self.scratch.buffer(if start.is_some() { 0 } else { states });
        let dc_carry = match start.as_deref_mut() {
            Some(start) => {
                start.dh_0.resize(steps.batch(), hidden);
                start.dc_0.resize(steps.batch(), hidden);
                start.dc_0.as_mut_slice()
            }
            None => &mut unwanted[..],
        };
        dc_carry.fill(0.0);
        if steps.positions() == 0 {
            return;
        }
        let w_h = self.packed(GATES * hidden, hidden, Source::Plain(params.w_h.as_slice()));
        let w_x = dx.is_some().then(|| {
            let source = Source::Plain(params.w_x.as_slice());
            self.packed(GATES * hidden, params.w_x.columns(), source)
        });
        let split = split(steps, hidden);
        let mut end = steps.count();
        while end > 0 {
            let range = stretch(steps, hidden, end);
            let buffers = [
                Shared::positions(steps, GATES * hidden, dz.as_mut_slice()),
                Shared::batch(steps, hidden, dc_carry),
            ];
            in_turns(steps, range.clone(), hidden, split, Order::Falling, buffers, |turn| {
                self.path.run(StepBackward { turn, hidden, tape, dh_above, w_h: &w_h });
            });
            let stretch = Stretch { steps, range: range.clone(), hidden, x, tape, dz };
            let dx = dx.as_deref_mut().zip(w_x.as_deref());
            self.add_stretch(&stretch, grads, dx);
            end = range.start;
        }
        if let Some(start) = start {
            let first = &dz.as_slice()[..steps.active(0) * GATES * hidden];
            product(self.path, first, &w_h, Accumulate::Replace, start.dh_0.as_mut_slice());
        }
    }
}

/// H, checked. Without an input, `w_x` is not looked at: a table of rows may stand in its place.
fn hidden_units(params: &LstmParams<Matrix<f32>>, with_input: bool) -> usize {
    let hidden = params.w_h.columns();
    assert_eq!(params.w_h.shape(), [GATES * hidden, hidden], "w_h is [4H, H]");
    assert_eq!(params.b.as_slice().len(), GATES * hidden, "b is [1, 4H]");
    assert!(!with_input || params.w_x.rows() == GATES * hidden, "w_x is [4H, I]");
    hidden
}

/// How the threads at hand share a batch. Parts of units are whole panels of every path.
fn split(steps: &Steps, hidden: usize) -> Split {
    /// Units in a panel of the widest path.
    const PANEL: usize = 32;
    /// Parts of a step for each thread, so that no one waits long for the last of them.
    const PARTS: usize = 8;
    let threads = rayon::current_num_threads();
    let weights = GATES * hidden * hidden * size_of::<f32>();
    let rows = steps.positions() / steps.count();
    if threads > 1 && rows < FEW_ROWS * threads && weights > RESIDENT {
        return Split::Units((hidden / (PARTS * threads)).next_multiple_of(PANEL).max(PANEL));
    }
    // Several slices for each thread, so that one which is slow for a while delays no one; but weights
    // that have to come from afar want rows to serve.
    let rows = steps.batch().div_ceil(threads);
    let height = if weights > RESIDENT { 16.max(rows / 4) } else { 6.max(rows / 8) };
    Split::Rows(threads * rows.div_ceil(height.min(ROWS_PER_SLICE)))
}

/// The stretch of steps that ends at `end`.
fn stretch(steps: &Steps, hidden: usize, end: usize) -> Range<usize> {
    let most = POSITIONS_PER_STRETCH.max(ENTRIES_PER_STRETCH / (GATES * hidden).max(1));
    let last = steps.range(end - 1).end;
    let fits = |t: &usize| last - steps.range(*t).start <= most;
    let begin = (0..end - 1).rev().take_while(fits).last().unwrap_or(end - 1);
    begin..end
}

/// Whether all of these states are zero, as where sessions begin: then their recurrent products
/// need not be made. With finite weights they would change at most the sign of a zero.
fn starts_from_zero(states: &[f32]) -> bool {
    states.iter().all(|&h| h == 0.0)
}
