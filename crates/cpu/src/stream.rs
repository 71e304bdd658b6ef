//! One step for one user, while the user is still clicking.
//!
//! ```text
//!     once      w_h packed by gates; for every item  table[item] = E[item]·w_xᵀ + b
//!     a step    z = table[item] + h_prev·w_hᵀ, and at once the cell
//! ```
//!
//! A single row leaves nothing to share among threads and nothing to read twice: the step takes as
//! long as `w_h` takes to come from the cache that holds it. It allocates nothing, and its bits are
//! those of [`Cpu::recurrent_forward`].

use crate::Cpu;
use crate::recurrent::PackedRecurrent;
use crate::recurrent::cell::{Around, Equations, with_equations};
use crate::recurrent::forward::{CANDIDATE, at_once};
use crate::simd::{Kernel, Lanes, row_tile};
use layout::{Accumulate, Cell, GATES, Matrix, RecurrentDims, RecurrentParams};
use std::marker::PhantomData;
use std::ops::Range;

/// Where a user's layer stands: `h` and `c`, H numbers each.
#[derive(Debug, Clone, Default)]
pub struct RecurrentState {
    h: Vec<f32>,
    c: Vec<f32>,
    /// The next `h` is written here while the last one is read.
    spare: Vec<f32>,
}

impl RecurrentState {
    /// The start of every session: zeros.
    pub fn new(hidden: usize) -> Self {
        Self { h: vec![0.0; hidden], c: vec![0.0; hidden], spare: vec![0.0; hidden] }
    }

    /// Back to the start of a session.
    pub fn clear(&mut self) {
        self.h.fill(0.0);
        self.c.fill(0.0);
    }

    /// The hidden state.
    pub fn h(&self) -> &[f32] {
        &self.h
    }

    /// The cell state.
    pub fn c(&self) -> &[f32] {
        &self.c
    }
}

impl Cpu {
    /// `table = x·w_xᵀ + b`: what each row of x gives to the pre-activations; x `[V, I]`, table
    /// `[V, G·H]`.
    ///
    /// # Panics
    ///
    /// Where the shapes do not fit.
    pub fn recurrent_input_table(
        &self,
        params: &RecurrentParams<Matrix<f32>>,
        x: &Matrix<f32>,
        table: &mut Matrix<f32>,
    ) {
        self.linear_forward(&params.w_x, x, Accumulate::Replace, table);
        // A GRU's b_hn is not the input's.
        let b = &params.b.as_slice()[..params.w_x.rows()];
        self.bias_forward(b, table.as_mut_slice());
    }

    /// One step of one row: `input` is its row of [`Cpu::recurrent_input_table`], G·H numbers.
    ///
    /// # Panics
    ///
    /// Where the sizes do not fit, where the weights were packed for another path, or with a
    /// projection or a normalised layer: those answer in batches.
    pub fn recurrent_step(
        &self,
        layer: &PackedRecurrent,
        input: &[f32],
        state: &mut RecurrentState,
    ) {
        let RecurrentDims { cell, hidden, projection, .. } = layer.dims();
        assert_eq!(projection, None, "a step of a layer without projection");
        assert_eq!(input.len(), cell.gates() * hidden, "an input of G·H");
        assert_eq!((state.h.len(), state.c.len()), (hidden, hidden), "a state of H");
        let (w_h, b, p) = (layer.w_h(self.path), layer.b(), layer.p());
        let RecurrentState { h, c, spare } = state;
        with_equations!(cell, |E, G| {
            let (h_prev, equations) = (&h[..], PhantomData::<E>);
            let step = Step { hidden, w_h, b, p, input, h_prev, c, h: spare, equations };
            self.path.run::<Step<'_, E, G>>(step);
        });
        std::mem::swap(h, spare);
    }
}

struct Step<'a, E, const G: usize> {
    hidden: usize,
    w_h: &'a [f32],
    b: &'a [f32],
    p: &'a [f32],
    input: &'a [f32],
    h_prev: &'a [f32],
    c: &'a mut [f32],
    h: &'a mut [f32],
    equations: PhantomData<E>,
}

impl<E: Equations<G>, const G: usize> Kernel for Step<'_, E, G> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(mut self, lanes: L) {
        let groups = self.hidden.div_ceil(L::WIDTH);
        // The sums of one group, where it has four registers of them, are enough to hide the latency of
        // each, and one panel comes faster than two side by side.
        let side_by_side = if at_once::<L>(G) == GATES { 1 } else { 2 };
        for group in (0..groups).step_by(side_by_side) {
            let alone = side_by_side == 1 || groups - group == 1;
            if const { G == GATES && L::GATES_AT_ONCE == 2 } {
                match alone {
                    true => self.groups::<L, 1, 2, 2>(lanes, group),
                    false => self.groups::<L, 2, 4, 2>(lanes, group),
                }
            } else {
                match alone {
                    true => self.groups::<L, 1, 1, G>(lanes, group),
                    false => self.groups::<L, 2, 2, G>(lanes, group),
                }
            }
        }
    }
}

impl<E: Equations<G>, const G: usize> Step<'_, E, G> {
    /// GROUPS neighbouring groups of units, whose weights lie in PANELS panels of VECTORS gates.
    #[inline(always)]
    fn groups<L: Lanes, const GROUPS: usize, const PANELS: usize, const VECTORS: usize>(
        &mut self,
        lanes: L,
        first: usize,
    ) {
        let hidden = self.hidden;
        let passes = G / VECTORS;
        let panel = hidden * VECTORS * L::WIDTH;
        let zeros = [lanes.splat(0.0); GROUPS];
        let units = |group: usize| {
            let unit = (first + group) * L::WIDTH;
            unit..hidden.min(unit + L::WIDTH)
        };
        let block = |values: &[f32], block: usize, group: usize| {
            let Range { start, end } = units(group);
            lanes.load_partial(&values[block * hidden + start..block * hidden + end])
        };
        let mut panels: [&[f32]; PANELS] = [&[]; PANELS];
        let mut z = [[lanes.splat(0.0); VECTORS]; PANELS];
        let mut around = Around { before: zeros, q: zeros, p: [zeros; 3] };
        let mut a = [zeros; G];
        for (p, (panels, z)) in panels.iter_mut().zip(&mut z).enumerate() {
            *panels = &self.w_h[(first * passes + p) * panel..][..panel];
            for (v, z) in z.iter_mut().enumerate() {
                let gate = p % passes * VECTORS + v;
                *z = block(self.input, gate, p / passes);
                if E::CELL == Cell::Gru && gate == CANDIDATE {
                    a[gate][p] = *z;
                    *z = block(self.b, G, p);
                }
            }
        }
        row_tile::<L, PANELS, VECTORS>(lanes, self.h_prev, panels, &mut z);
        for (gate, values) in a.iter_mut().enumerate() {
            for (group, value) in values.iter_mut().enumerate() {
                let sum = z[group * passes + gate / VECTORS][gate % VECTORS];
                let apart = E::CELL == Cell::Gru && gate == CANDIDATE;
                *(if apart { &mut around.q[group] } else { value }) = sum;
            }
        }
        for group in 0..GROUPS {
            match E::CELL {
                Cell::Rnn => {}
                Cell::Gru => around.before[group] = block(self.h_prev, 0, group),
                _ => around.before[group] = block(self.c, 0, group),
            }
            if E::CELL == Cell::Peephole {
                for (k, p) in around.p.iter_mut().enumerate() {
                    p[group] = block(self.p, k, group);
                }
            }
        }
        let (c, h) = E::forward(lanes, &mut a, &around);
        for group in 0..GROUPS {
            if E::CELL.has_cell_state() {
                lanes.store_partial(c[group], &mut self.c[units(group)]);
            }
            lanes.store_partial(h[group], &mut self.h[units(group)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use layout::{RecurrentTape, Steps};
    use testkit::wave_matrix as wave;

    /// Sizes below, at and beyond one and two registers of every path.
    #[test]
    fn steps_have_the_bits_of_the_sequence() {
        let cells = Cell::ALL.into_iter().filter(|&cell| cell != Cell::LayerNorm);
        for (path, cell) in crate::Path::available()
            .into_iter()
            .flat_map(|path| cells.clone().map(move |cell| (path, cell)))
        {
            let cpu = Cpu::with_path(2, path).unwrap();
            for (input, hidden) in [(1, 1), (3, 7), (5, 8), (2, 17), (4, 33), (7, 100)] {
                let dims = RecurrentDims { cell, input, hidden, projection: None };
                let mut phase = 0.0;
                let params = dims.shapes().map(|[rows, columns]| {
                    phase += 0.1;
                    wave(rows, columns, phase)
                });
                let x = wave(9, input, 0.6);
                let steps = Steps::uniform(9, 1);
                let mut tape = RecurrentTape::default();
                tape.start(&steps, dims);
                cpu.run(|| cpu.recurrent_forward(&params, Some(&x), &steps, &mut tape));

                let mut table = Matrix::default();
                cpu.recurrent_input_table(&params, &x, &mut table);
                let packed = cpu.pack_recurrent(&params, false);
                let mut state = RecurrentState::new(hidden);
                for t in 0..9 {
                    cpu.recurrent_step(&packed, table.row(t), &mut state);
                    let case = format!("{path:?} {dims:?}, {t}");
                    assert_eq!(state.h(), tape.h.row(t + 1), "h of {case}");
                    if cell.has_cell_state() {
                        assert_eq!(state.c(), tape.c.row(t + 1), "c of {case}");
                    }
                }
                state.clear();
                assert_eq!(state.h(), &vec![0.0; hidden]);
            }
        }
    }
}
