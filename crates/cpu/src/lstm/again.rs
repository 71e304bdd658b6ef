//! The gates of a stretch of steps, made again from its input and its states.
//!
//! ```text
//!     a = σ or tanh of (x·w_xᵀ + b + h_prev·w_hᵀ)      all positions at once
//! ```
//!
//! Nothing here is serial: every `h_prev` is known. Sums run in the order of the forward pass, so the
//! gates have its bits.

use super::gradients::states_before;
use crate::Cpu;
use crate::math::{sigmoid, tanh};
use crate::panel::Source;
use crate::product::product;
use crate::scratch::{Buffer, LentPanels};
use crate::simd::{Kernel, Lanes};
use layout::{Accumulate, GATES, Gate, LstmParams, Matrix, Steps};
use rayon::prelude::*;
use std::ops::Range;

/// Positions in one task of the gates.
const ROWS_PER_TASK: usize = 16;

/// A layer that makes its gates again.
pub(super) struct Again<'a> {
    cpu: &'a Cpu,
    params: &'a LstmParams<Matrix<f32>>,
    x: &'a Matrix<f32>,
    steps: &'a Steps,
    /// Hidden states in slots.
    h: &'a Matrix<f32>,
    w_x: LentPanels<'a>,
    w_h: LentPanels<'a>,
}

impl<'a> Again<'a> {
    pub(super) fn new(
        cpu: &'a Cpu,
        params: &'a LstmParams<Matrix<f32>>,
        x: &'a Matrix<f32>,
        steps: &'a Steps,
        h: &'a Matrix<f32>,
    ) -> Self {
        let hidden = params.w_h.columns();
        let pack = |w: &Matrix<f32>| {
            cpu.packed(w.columns(), GATES * hidden, Source::Transposed(w.as_slice()))
        };
        Self { cpu, params, x, steps, h, w_x: pack(&params.w_x), w_h: pack(&params.w_h) }
    }

    /// The activated gates of some positions, which are those of the steps `range`; `[n, 4H]`.
    pub(super) fn gates(&self, positions: Range<usize>, range: Range<usize>) -> Buffer<'a, f32> {
        let Self { cpu, params, x, steps, h, ref w_x, ref w_h } = *self;
        let (inputs, hidden) = (x.columns(), h.columns());
        let mut a = cpu.scratch.buffer(positions.len() * GATES * hidden);
        let x = &x.as_slice()[positions.start * inputs..positions.end * inputs];
        product(cpu.path, x, w_x, Accumulate::Replace, &mut a);
        cpu.bias_forward(&params.b, &mut a);
        let mut copied = cpu.scratch.buffer(0);
        let h_prev = states_before(cpu, steps, range, h, &mut copied);
        product(cpu.path, h_prev, w_h, Accumulate::Add, &mut a);
        a.par_chunks_mut(ROWS_PER_TASK * GATES * hidden).for_each(|rows| {
            cpu.path.run(Open { hidden, rows });
        });
        a
    }
}

/// Pre-activations become gates, in place.
struct Open<'a> {
    hidden: usize,
    rows: &'a mut [f32],
}

impl Kernel for Open<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        for (k, block) in self.rows.chunks_exact_mut(self.hidden).enumerate() {
            let is_candidate = k % GATES == Gate::Candidate as usize;
            for z in block.chunks_mut(L::WIDTH) {
                let v = [lanes.load_partial(z)];
                let [a] = if is_candidate { tanh(lanes, v) } else { sigmoid(lanes, v) };
                lanes.store_partial(a, z);
            }
        }
    }
}
