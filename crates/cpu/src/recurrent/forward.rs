//! One step forward: the products with the input and with the last state, the cell as their epilogue.

use super::cell::{Around, Equations, with_equations};
use super::starts_from_zero;
use crate::Cpu;
use crate::panel::interleave;
use crate::scratch::Buffer;
use crate::simd::{Kernel, Lanes, Left, Turn, Window, height, tile};
use layout::{Cell, GATES, Keep};
use rayon::prelude::*;

/// Number of a buffer among those of the forward pass.
pub(super) const A: usize = 0;
pub(super) const C: usize = 1;
pub(super) const H: usize = 2;
pub(super) const Q: usize = 3;
pub(super) const M: usize = 4;
pub(super) const MASKED: usize = 5;
pub(super) const NEW_C: usize = 6;
pub(super) const NEW_H: usize = 7;
/// How many there are.
pub(super) const BUFFERS: usize = 8;

/// The block of the GRU's candidate, and the one where what it hears of the past stands apart.
pub(crate) const CANDIDATE: usize = 2;
const APART: usize = 3;

/// Where `x·w_xᵀ` comes from.
#[derive(Clone, Copy)]
pub(super) enum Input<'a> {
    /// It stands in the tape, where the gates will be.
    Product,
    /// It is made on the way: `x` is `[N, I]`, `w_x` packed by gates.
    Rows { x: &'a [f32], inputs: usize, w_x: &'a [f32] },
}

/// Gates whose registers a tile holds at once: a pass. Four of them are too many for some paths.
pub(crate) const fn at_once<L: Lanes>(gates: usize) -> usize {
    if gates == GATES { L::GATES_AT_ONCE } else { gates }
}

/// Rows of a tile at most.
const fn rows_of<L: Lanes>(gates: usize) -> usize {
    match gates {
        1 => L::ROWS_OF_ONE,
        3 => L::ROWS_OF_THREE,
        _ => L::ROWS_OF_GATES,
    }
}

impl Cpu {
    /// Lays weights `[G·H, depth]` out as `[unit group][pass][k][gates of the pass][WIDTH]`: a
    /// register of the tile holds one gate of WIDTH neighbouring units, and the gates of a unit
    /// meet in one row, in one pass or in two.
    pub(crate) fn packed_gates(&self, w: &[f32], hidden: usize, depth: usize) -> Buffer<'_, f32> {
        let width = self.path.width();
        let gates = w.len().checked_div(hidden * depth).unwrap_or(0);
        let mut panels = self.scratch.buffer(hidden.next_multiple_of(width) * depth * gates);
        if gates > 0 {
            let group = depth * gates * width;
            panels.par_chunks_exact_mut(group).enumerate().with_min_len(2).for_each(
                |(g, panel)| {
                    let first = g * width;
                    self.path.run(PackGates { w, gates, hidden, depth, first, panel });
                },
            );
        }
        panels
    }
}

struct PackGates<'a> {
    w: &'a [f32],
    gates: usize,
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
        let Self { w, gates, hidden, depth, first, panel } = self;
        let units = L::WIDTH.min(hidden - first);
        if units < L::WIDTH {
            panel.fill(0.0);
        }
        let at_once = at_once::<L>(gates);
        let stride = at_once * L::WIDTH;
        for gate in 0..gates {
            let at = gate / at_once * depth * stride + gate % at_once * L::WIDTH;
            let rows = &w[(gate * hidden + first) * depth..][..units * depth];
            interleave(lanes, rows, depth, &mut panel[at..], stride);
        }
    }
}

/// What all turns of a forward pass read.
#[derive(Clone, Copy)]
pub(super) struct Weights<'a> {
    pub(super) cell: Cell,
    pub(super) hidden: usize,
    pub(super) input: Input<'a>,
    /// Packed by gates, of depth R.
    pub(super) w_h: &'a [f32],
    /// Width R of the hidden state.
    pub(super) width: usize,
    pub(super) b: &'a [f32],
    /// Peepholes, or nothing.
    pub(super) p: &'a [f32],
}

/// One turn forward.
///
/// ```text
///     z    = x·w_xᵀ + b + h_prev·w_hᵀ
///     c, h = the cell's equations
/// ```
pub(super) struct StepForward<'a> {
    pub(super) turn: &'a Turn<'a, BUFFERS>,
    pub(super) weights: Weights<'a>,
    /// What the recurrent product reads, `[n, R]`, where that is not the state before the step.
    pub(super) read: Option<&'a [f32]>,
    pub(super) keep: Keep,
    /// The buffer that takes h: M where a projection follows, NEW_H with zoneout.
    pub(super) shown: usize,
    /// The buffer that takes c: NEW_C with zoneout.
    pub(super) cells: usize,
}

/// Pre-activations of a tile, then its gates. They do not leave the first-level cache.
type Tile<V> = [[V; MOST_ROWS]; GATES];

/// Rows of any tile at most.
const MOST_ROWS: usize = 12;

impl Kernel for StepForward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { turn, weights: Weights { cell, hidden, width, w_h, .. }, .. } = self;
        let (rows, h_prev) = (turn.active(), self.read.unwrap_or_else(|| turn.done(H)));
        let depth = if turn.t() == 0 && starts_from_zero(h_prev) { 0 } else { width };
        let group = width * cell.gates() * L::WIDTH;
        let most = rows_of::<L>(cell.gates());
        let own = Own::of(turn, cell, self.keep, [self.shown, self.cells]);
        let mut z = [[lanes.splat(0.0); MOST_ROWS]; GATES];
        for first in turn.units().step_by(L::WIDTH) {
            let w_h = &w_h[first / L::WIDTH * group..][..group];
            let units = L::WIDTH.min(hidden - first);
            let mut row = 0;
            while row < rows {
                let height = height(rows - row, most);
                let cells =
                    Cells { step: &self, own: &own, depth, first, units, w_h, h_prev, row, height };
                // Each is compiled once: it is called with whatever cell from here alone.
                cells.pre_activations(lanes, &mut z);
                cells.open(lanes, &mut z);
                row += height;
            }
        }
    }
}

/// What a turn writes. What the cell does not have, or the tape does not keep, is never asked for.
struct Own<'a> {
    a: [Window<'a>; GATES],
    q: Window<'a>,
    c: Window<'a>,
    h: Window<'a>,
}

impl<'a> Own<'a> {
    #[inline(always)]
    fn of(turn: &'a Turn<'_, BUFFERS>, cell: Cell, keep: Keep, [shown, cells]: [usize; 2]) -> Self {
        let h = turn.own(shown, 0);
        let (mut a, mut q) = ([h; GATES], h);
        if keep == Keep::Gates {
            for (gate, a) in a[..cell.gates()].iter_mut().enumerate() {
                *a = turn.own(A, gate);
            }
            if cell == Cell::Gru {
                q = turn.own(Q, 0);
            }
        }
        let c = if cell.has_cell_state() { turn.own(cells, 0) } else { h };
        Self { a, q, c, h }
    }
}

/// Some rows of one group of units of a turn: a tile.
struct Cells<'a> {
    step: &'a StepForward<'a>,
    own: &'a Own<'a>,
    /// How far the recurrent product runs: over the whole state, or nowhere where that is zero.
    depth: usize,
    /// The first unit, and how many there are.
    first: usize,
    units: usize,
    /// The group's panel.
    w_h: &'a [f32],
    h_prev: &'a [f32],
    row: usize,
    height: usize,
}

impl Cells<'_> {
    /// `z = x·w_xᵀ + b + h_prev·w_hᵀ`. Of the GRU's candidate, z is what comes from the input, and what
    /// it hears of the past is the fourth block.
    #[inline(always)]
    fn pre_activations<L: Lanes>(&self, lanes: L, z: &mut Tile<L::V>) {
        let Self { step, own, depth, first, units, w_h, h_prev, row, height } = *self;
        let StepForward { turn, weights, .. } = step;
        let Weights { cell, hidden, input, width, b, .. } = *weights;
        let gates = cell.gates();
        let (at, position) = (first - turn.units().start, turn.position() + row);
        let group = first / L::WIDTH * gates * L::WIDTH;
        match input {
            Input::Rows { .. } => {
                for z in &mut z[..gates] {
                    z[..height].fill(lanes.splat(0.0));
                }
            }
            Input::Product => {
                for (window, z) in own.a.iter().zip(&mut z[..gates]) {
                    for (r, z) in z[..height].iter_mut().enumerate() {
                        [*z] = window.load::<L, 1>(lanes, row + r, at);
                    }
                }
            }
        }
        // A loop over both products, so that the tiles are compiled once.
        for of_state in [false, true] {
            let (left, depth, panel) = match input {
                _ if of_state => (Left::plain(h_prev, width).from(row, 0), depth, w_h),
                Input::Product => continue,
                Input::Rows { x, inputs, w_x } => {
                    let panel = &w_x[group * inputs..][..gates * inputs * L::WIDTH];
                    (Left::plain(x, inputs).from(position, 0), inputs, panel)
                }
            };
            if of_state {
                let bias = |block: usize| lanes.load_partial(&b[block * hidden + first..][..units]);
                for (gate, z) in z[..gates].iter_mut().enumerate() {
                    let b = bias(gate);
                    for z in &mut z[..height] {
                        *z = lanes.add(*z, b);
                    }
                }
                if cell == Cell::Gru {
                    z[APART] = z[CANDIDATE];
                    z[CANDIDATE] = [bias(APART); MOST_ROWS];
                }
            }
            let panel_depth = panel.len() / (gates * L::WIDTH);
            add_product(lanes, gates, height, (left, depth), (panel, panel_depth), z);
        }
        if cell == Cell::Gru {
            z.swap(CANDIDATE, APART);
        }
    }

    /// The cell's equations, of some rows at a time.
    #[inline(always)]
    fn open<L: Lanes>(&self, lanes: L, z: &mut Tile<L::V>) {
        with_equations!(self.step.weights.cell, |E, G| {
            let mut r = 0;
            while r < self.height {
                let rows = side_by_side(self.height - r);
                match rows {
                    3 => self.open_rows::<L, E, G, 3>(lanes, r, z),
                    2 => self.open_rows::<L, E, G, 2>(lanes, r, z),
                    _ => self.open_rows::<L, E, G, 1>(lanes, r, z),
                }
                r += rows;
            }
        });
    }

    /// ROWS rows from row `r` of the tile on.
    #[inline(always)]
    fn open_rows<L: Lanes, E: Equations<G>, const G: usize, const ROWS: usize>(
        &self,
        lanes: L,
        r: usize,
        z: &Tile<L::V>,
    ) {
        let Self { step, own, first, units, row, .. } = *self;
        let StepForward { turn, weights: Weights { hidden, p, .. }, keep, .. } = *step;
        let (row, at) = (row + r, first - turn.units().start);
        let zeros = [lanes.splat(0.0); ROWS];
        let of_tile = |block: usize| {
            let mut rows = zeros;
            rows.copy_from_slice(&z[block][r..r + ROWS]);
            rows
        };
        let mut a = [zeros; G];
        for (gate, a) in a.iter_mut().enumerate() {
            *a = of_tile(gate);
        }
        let mut around = Around { before: zeros, q: zeros, p: [zeros; 3] };
        match E::CELL {
            Cell::Rnn => {}
            Cell::Gru => {
                around.q = of_tile(APART);
                around.before = turn.load_before::<L, ROWS>(lanes, H, row, at);
            }
            _ => around.before = turn.load_before::<L, ROWS>(lanes, C, row, at),
        }
        if E::CELL == Cell::Peephole {
            for (k, of_gate) in around.p.iter_mut().enumerate() {
                *of_gate = [lanes.load_partial(&p[k * hidden + first..][..units]); ROWS];
            }
        }
        let (c, h) = E::forward(lanes, &mut a, &around);
        if E::CELL.has_cell_state() {
            own.c.store(lanes, &c, row, at);
        }
        own.h.store(lanes, &h, row, at);
        if keep == Keep::Gates {
            for (window, a) in own.a.iter().zip(&a) {
                window.store(lanes, a, row, at);
            }
            if E::CELL == Cell::Gru {
                own.q.store(lanes, &around.q, row, at);
            }
        }
    }
}

/// Rows whose cells are worked on side by side, of so many that are left: while one waits for its
/// exponentials, others go on. None is left alone where that can be helped.
#[inline(always)]
pub(super) fn side_by_side(rest: usize) -> usize {
    match rest {
        1 => 1,
        2 | 4 => 2,
        _ => 3,
    }
}

/// `z += left · panel` for a tile of so many rows and gates: pass after pass.
#[inline(always)]
fn add_product<L: Lanes>(
    lanes: L,
    gates: usize,
    height: usize,
    (left, depth): (Left<'_>, usize),
    (panel, panel_depth): (&[f32], usize),
    z: &mut Tile<L::V>,
) {
    let at_once = at_once::<L>(gates);
    for (pass, z) in z[..gates].chunks_exact_mut(at_once).enumerate() {
        let size = panel_depth * at_once * L::WIDTH;
        let panel = &panel[pass * size..][..size];
        // A height that this path never takes is not compiled for it.
        macro_rules! tile {
            ($gates:literal, $at_once:literal: $($height:literal)*) => {
                match height {
                    $($height => if const { $height <= rows_of::<L>($gates) } {
                        one_tile::<L, $height, $at_once>(lanes, depth, left, panel, z);
                    },)*
                    _ => unreachable!("tiles of at most 12 rows"),
                }
            };
        }
        match gates {
            1 => tile!(1, 1: 1 2 3 4 5 6 7 8 9 10 11 12),
            3 => tile!(3, 3: 1 2 3 4 5 6 7 8),
            _ if const { L::GATES_AT_ONCE == GATES } => tile!(4, 4: 1 2 3 4 5 6),
            _ => tile!(4, 2: 1 2 3 4 5 6),
        }
    }
}

/// A tile of registers, from their memory and back.
#[inline(always)]
fn one_tile<L: Lanes, const ROWS: usize, const AT_ONCE: usize>(
    lanes: L,
    depth: usize,
    left: Left<'_>,
    panel: &[f32],
    z: &mut [[L::V; MOST_ROWS]],
) {
    let mut sums = [[lanes.splat(0.0); AT_ONCE]; ROWS];
    for (r, sums) in sums.iter_mut().enumerate() {
        for (v, sum) in sums.iter_mut().enumerate() {
            *sum = z[v][r];
        }
    }
    tile::<L, ROWS, AT_ONCE>(lanes, depth, left, panel, &mut sums);
    for (r, sums) in sums.iter().enumerate() {
        for (v, &sum) in sums.iter().enumerate() {
            z[v][r] = sum;
        }
    }
}
