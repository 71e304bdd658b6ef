//! The gates of a stretch of steps, made again from its input and its states.
//!
//! ```text
//!     a = the gates of (x·w_xᵀ + b + h_prev·w_hᵀ)      all positions at once
//! ```
//!
//! Nothing here is serial: every state is known. Sums run in the order of the forward pass, so the
//! gates have its bits.

use super::cell::{Around, Equations, with_equations};
use super::gradients::{read_before, states_before};
use crate::Cpu;
use crate::panel::Source;
use crate::product::product;
use crate::scratch::{Buffer, LentPanels};
use crate::simd::{Kernel, Lanes};
use layout::{Accumulate, Cell, Matrix, RecurrentParams, RecurrentTape, Steps};
use rayon::prelude::*;
use std::marker::PhantomData;
use std::ops::Range;

/// Positions in one task of the gates.
const ROWS_PER_TASK: usize = 16;

/// A layer that makes its gates again.
pub(super) struct Again<'a> {
    cpu: &'a Cpu,
    params: &'a RecurrentParams<Matrix<f32>>,
    x: &'a Matrix<f32>,
    steps: &'a Steps,
    tape: &'a RecurrentTape<Matrix<f32>>,
    w_x: LentPanels<'a>,
    w_h: LentPanels<'a>,
}

impl<'a> Again<'a> {
    pub(super) fn new(
        cpu: &'a Cpu,
        params: &'a RecurrentParams<Matrix<f32>>,
        x: &'a Matrix<f32>,
        steps: &'a Steps,
        tape: &'a RecurrentTape<Matrix<f32>>,
    ) -> Self {
        let pack =
            |w: &Matrix<f32>| cpu.packed(w.columns(), w.rows(), Source::Transposed(w.as_slice()));
        Self { cpu, params, x, steps, tape, w_x: pack(&params.w_x), w_h: pack(&params.w_h) }
    }

    /// The activated gates of the steps `range`, `[n, G·H]`, and what the GRU keeps beside them, `[n, H]`.
    pub(super) fn gates(&self, range: Range<usize>) -> (Buffer<'a, f32>, Buffer<'a, f32>) {
        let Self { cpu, params, x, steps, tape, ref w_x, ref w_h } = *self;
        let positions = steps.range(range.start).start..steps.range(range.end - 1).end;
        let (n, inputs, rows) = (positions.len(), x.columns(), params.w_h.rows());
        let hidden = rows / params.cell.gates();
        let x = &x.as_slice()[positions.start * inputs..positions.end * inputs];
        let mut a = cpu.scratch.buffer(n * rows);
        product(cpu.path, x, w_x, Accumulate::Replace, &mut a);
        let (b, b_hn) = params.b.as_slice().split_at(rows);
        cpu.bias_forward(b, &mut a);
        // What the GRU's candidate has of the input waits where q will be, and b_hn takes its place
        // among the sums. Other cells leave the room untouched.
        let mut q = cpu.scratch.buffer(n * hidden);
        if params.cell == Cell::Gru {
            q.par_chunks_mut(hidden).zip(a.par_chunks_mut(rows)).for_each(|(q, a)| {
                let candidate = &mut a[2 * hidden..];
                q.copy_from_slice(candidate);
                candidate.copy_from_slice(b_hn);
            });
        }
        let mut copied = cpu.scratch.buffer(0);
        let h_prev = read_before(cpu, steps, range.clone(), tape, &mut copied);
        product(cpu.path, h_prev, w_h, Accumulate::Add, &mut a);

        let p = params.p.as_ref().map_or(&[][..], Matrix::as_slice);
        let states = if params.cell.has_cell_state() { &tape.c } else { &tape.h };
        let mut copied = cpu.scratch.buffer(0);
        let before = states_before(cpu, steps, range, states, &mut copied);
        with_equations!(params.cell, |E, G| {
            a.par_chunks_mut(ROWS_PER_TASK * rows)
                .zip(q.par_chunks_mut(ROWS_PER_TASK * hidden))
                .zip(before.par_chunks(ROWS_PER_TASK * hidden))
                .for_each(|((a, q), before)| {
                    let equations = PhantomData::<E>;
                    cpu.path.run(Open::<E, G> { hidden, a, q, before, p, equations });
                });
        });
        (a, q)
    }
}

/// Pre-activations become gates, in place.
struct Open<'a, E, const G: usize> {
    hidden: usize,
    a: &'a mut [f32],
    q: &'a mut [f32],
    before: &'a [f32],
    p: &'a [f32],
    equations: PhantomData<E>,
}

impl<E: Equations<G>, const G: usize> Kernel for Open<'_, E, G> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { hidden, a, q, before, p, .. } = self;
        let rows = a.chunks_exact_mut(G * hidden).zip(q.chunks_exact_mut(hidden));
        for ((a, q), before) in rows.zip(before.chunks_exact(hidden)) {
            for j in (0..hidden).step_by(L::WIDTH) {
                let units = j..hidden.min(j + L::WIDTH);
                let of = |block: usize| block * hidden + units.start..block * hidden + units.end;
                let zero = [lanes.splat(0.0)];
                let mut gates = [zero; G];
                for (gate, z) in gates.iter_mut().enumerate() {
                    *z = [lanes.load_partial(&a[of(gate)])];
                }
                let before = [lanes.load_partial(&before[units.clone()])];
                let mut around = Around { before, q: zero, p: [zero; 3] };
                if E::CELL == Cell::Gru {
                    // The two have stood in each other's place.
                    around.q = gates[2];
                    gates[2] = [lanes.load_partial(&q[units.clone()])];
                    lanes.store_partial(around.q[0], &mut q[units.clone()]);
                }
                if E::CELL == Cell::Peephole {
                    around.p = [0, 1, 2].map(|k| [lanes.load_partial(&p[of(k)])]);
                }
                E::forward(lanes, &mut gates, &around);
                for (gate, &[z]) in gates.iter().enumerate() {
                    lanes.store_partial(z, &mut a[of(gate)]);
                }
            }
        }
    }
}
