//! One step forward: the products with the input and with the last state, the cell as their epilogue.

use super::starts_from_zero;
use crate::Cpu;
use crate::math::{sigmoid, tanh};
use crate::panel::interleave;
use crate::scratch::Buffer;
use crate::simd::{Kernel, Lanes, Left, Turn, height, tile};
use layout::{GATES, Gate, Keep};
use rayon::prelude::*;

/// Number of a buffer among those of the forward pass.
const A: usize = 0;
const C: usize = 1;
const H: usize = 2;

/// Where `x·w_xᵀ` comes from.
#[derive(Clone, Copy)]
pub(super) enum Input<'a> {
    /// It stands in the tape, where the gates will be.
    Product,
    /// It is made on the way: `x` is `[N, I]`, `w_x` packed by gates.
    Rows { x: &'a [f32], inputs: usize, w_x: &'a [f32] },
}

impl Cpu {
    /// Lays weights `[4H, depth]` out as `[unit group][pass][k][gates of the pass][WIDTH]`: a
    /// register of the tile holds one gate of WIDTH neighbouring units, and the four gates of a unit
    /// meet in one row, in one pass of four registers or in two of two.
    pub(crate) fn packed_gates(&self, w: &[f32], hidden: usize, depth: usize) -> Buffer<'_, f32> {
        let width = self.path.width();
        let mut panels = self.scratch.buffer(hidden.next_multiple_of(width) * depth * GATES);
        if depth > 0 {
            let group = depth * GATES * width;
            panels.par_chunks_exact_mut(group).enumerate().with_min_len(2).for_each(
                |(g, panel)| {
                    self.path.run(PackGates { w, hidden, depth, first: g * width, panel });
                },
            );
        }
        panels
    }
}

struct PackGates<'a> {
    w: &'a [f32],
    hidden: usize,
    depth: usize,
    /// The first unit of the group.
    first: usize,
    panel: &'a mut [f32],
}

impl Kernel for PackGates<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { w, hidden, depth, first, panel } = self;
        let units = L::WIDTH.min(hidden - first);
        if units < L::WIDTH {
            panel.fill(0.0);
        }
        let stride = L::GATES_AT_ONCE * L::WIDTH;
        for gate in 0..GATES {
            let at = gate / L::GATES_AT_ONCE * depth * stride + gate % L::GATES_AT_ONCE * L::WIDTH;
            let rows = &w[(gate * hidden + first) * depth..][..units * depth];
            interleave(lanes, rows, depth, &mut panel[at..], stride);
        }
    }
}

/// One turn forward.
///
/// ```text
///     z = x·w_xᵀ + b + h_prev·w_hᵀ
///     i, f, o = σ(z_i, z_f, z_o)    g = tanh(z_g)
///     c = f ⊙ c_prev + i ⊙ g        h = o ⊙ tanh(c)
/// ```
pub(super) struct StepForward<'a> {
    pub(super) turn: Turn<'a, 3>,
    pub(super) hidden: usize,
    pub(super) input: Input<'a>,
    /// Packed by gates.
    pub(super) w_h: &'a [f32],
    pub(super) b: &'a [f32],
    pub(super) keep: Keep,
}

impl Kernel for StepForward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { ref turn, hidden, w_h, .. } = self;
        let (n, units) = (turn.active(), turn.units());
        let h_prev = turn.done(H);
        let depth = if turn.t() == 0 && starts_from_zero(h_prev) { 0 } else { hidden };
        let group = hidden * GATES * L::WIDTH;
        for first in units.step_by(L::WIDTH) {
            let g = first / L::WIDTH;
            let cells =
                Cells { step: &self, depth, first, h_prev, w_h: &w_h[g * group..][..group] };
            if const { L::GATES_AT_ONCE == 4 } {
                cells.tiles::<L, 4>(lanes, n);
            } else {
                cells.tiles::<L, 2>(lanes, n);
            }
        }
    }
}

/// One group of units of a turn.
struct Cells<'a> {
    step: &'a StepForward<'a>,
    /// How far the recurrent product runs: over all units, or none where they are all zero.
    depth: usize,
    /// The first unit.
    first: usize,
    h_prev: &'a [f32],
    /// The group's panel.
    w_h: &'a [f32],
}

impl Cells<'_> {
    /// All rows, in tiles of about the same height.
    #[inline(always)]
    fn tiles<L: Lanes, const AT_ONCE: usize>(&self, lanes: L, rows: usize) {
        let most = L::ROWS_OF_GATES;
        let mut row = 0;
        while row < rows {
            let rest = rows - row;
            let height = height(rest, most);
            // A height that this path never takes is not compiled for it.
            macro_rules! tile {
                ($($height:literal)*) => {
                    match height {
                        $($height => if const { $height <= L::ROWS_OF_GATES } {
                            self.tile::<L, $height, AT_ONCE>(lanes, row);
                        },)*
                        _ => unreachable!("tiles of at most 6 rows"),
                    }
                };
            }
            tile!(1 2 3 4 5 6);
            row += height;
        }
    }

    /// ROWS rows from `row` on.
    #[inline(always)]
    fn tile<L: Lanes, const ROWS: usize, const AT_ONCE: usize>(&self, lanes: L, row: usize) {
        let turn = &self.step.turn;
        let at = self.first - turn.units().start;
        let mut a = [[lanes.splat(0.0); ROWS]; GATES];
        self.gates::<L, ROWS, AT_ONCE, 0>(lanes, row, &mut a);
        if AT_ONCE < GATES {
            self.gates::<L, ROWS, AT_ONCE, 1>(lanes, row, &mut a);
        }
        let [i, f, g, o] = &a;
        let mut c = turn.load_before::<L, ROWS>(lanes, C, row, at);
        for r in 0..ROWS {
            c[r] = lanes.without_dust(lanes.mul_add(f[r], c[r], lanes.mul(i[r], g[r])));
        }
        turn.own(C, 0).store(lanes, &c, row, at);
        let mut h = tanh(lanes, c);
        for r in 0..ROWS {
            h[r] = lanes.mul(o[r], h[r]);
        }
        turn.own(H, 0).store(lanes, &h, row, at);
        if self.step.keep == Keep::Gates {
            for (gate, a) in a.iter().enumerate() {
                turn.own(A, gate).store(lanes, a, row, at);
            }
        }
    }

    /// The activated gates of one pass.
    #[inline(always)]
    fn gates<L: Lanes, const ROWS: usize, const AT_ONCE: usize, const PASS: usize>(
        &self,
        lanes: L,
        row: usize,
        a: &mut [[L::V; ROWS]; GATES],
    ) {
        let Self { step, depth, first, h_prev, w_h } = *self;
        let StepForward { ref turn, hidden, input, b, .. } = *step;
        let units = L::WIDTH.min(hidden - first);
        let mut z = [[lanes.splat(0.0); AT_ONCE]; ROWS];
        match input {
            Input::Rows { x, inputs, w_x } => {
                let x = Left::plain(x, inputs).from(turn.position() + row, 0);
                let panel = inputs * AT_ONCE * L::WIDTH;
                let w_x = &w_x[(first / L::WIDTH * GATES / AT_ONCE + PASS) * panel..][..panel];
                tile::<L, ROWS, AT_ONCE>(lanes, inputs, x, w_x, &mut z);
            }
            Input::Product => {
                for v in 0..AT_ONCE {
                    let window = turn.own(A, PASS * AT_ONCE + v);
                    let product = window.load::<L, ROWS>(lanes, row, first - turn.units().start);
                    for (z, product) in z.iter_mut().zip(product) {
                        z[v] = product;
                    }
                }
            }
        }
        for v in 0..AT_ONCE {
            let b = lanes.load_partial(&b[(PASS * AT_ONCE + v) * hidden + first..][..units]);
            for z in &mut z {
                z[v] = lanes.add(z[v], b);
            }
        }
        let panel = hidden * AT_ONCE * L::WIDTH;
        let h_prev = Left::plain(h_prev, hidden).from(row, 0);
        tile::<L, ROWS, AT_ONCE>(lanes, depth, h_prev, &w_h[PASS * panel..][..panel], &mut z);
        for v in 0..AT_ONCE {
            let mut gate = [lanes.splat(0.0); ROWS];
            for (gate, z) in gate.iter_mut().zip(&z) {
                *gate = z[v];
            }
            let number = PASS * AT_ONCE + v;
            let is_candidate = number == Gate::Candidate as usize;
            a[number] = if is_candidate { tanh(lanes, gate) } else { sigmoid(lanes, gate) };
        }
    }
}
