//! One step backward: the product with the step after, the cell undone as its epilogue.

use super::cell::{Equations, Saved, with_equations};
use crate::math::tanh;
use crate::panel::Panels;
use crate::simd::{Kernel, Lanes, Left, Tiles, Turn, for_tiles, tile};
use layout::{Cell, Matrix};

/// Number of a buffer among those of the backward pass.
pub(super) const DZ: usize = 0;
pub(super) const CARRY: usize = 1;
pub(super) const DQ: usize = 2;
pub(super) const DH: usize = 3;
pub(super) const REST_H: usize = 4;
pub(super) const REST_C: usize = 5;
/// How many there are.
pub(super) const BUFFERS: usize = 6;

/// Activated gates, and what the GRU keeps beside them: rows of positions from `first` on.
#[derive(Clone, Copy)]
pub(super) struct Gates<'a> {
    pub(super) a: &'a [f32],
    pub(super) q: &'a [f32],
    pub(super) first: usize,
}

/// What all turns of a stretch read.
#[derive(Clone, Copy)]
pub(super) struct Kept<'a> {
    pub(super) cell: Cell,
    pub(super) hidden: usize,
    pub(super) gates: Gates<'a>,
    /// Cell states in slots, or hidden ones where there are none.
    pub(super) states: &'a Matrix<f32>,
    /// Peepholes, or nothing.
    pub(super) p: &'a [f32],
    /// The cell states that the steps have made, and which row is the first position's.
    pub(super) made: (&'a Matrix<f32>, usize),
}

/// Where ∂L/∂h of a turn comes from, beside what is carried from step to step.
#[derive(Clone, Copy)]
pub(super) enum From<'a> {
    /// From above, `[n, H]`, of this turn's rows, and from the step after by `w_h`, a right operand
    /// `[G·H, H]`. With `whole`, both have been added up before.
    AboveAndAfter { dh_above: &'a [f32], w_h: &'a Panels, whole: bool },
    /// Through a projection, by `w_p`, a right operand `[P, H]`; `dh` is `[n, P]`, of this turn's rows.
    Projection { dh: &'a [f32], w_p: &'a Panels },
}

/// One turn backward; the carry becomes what reaches the step before.
///
/// ```text
///     dh        = dh_above + dz_after·w_h
///     dz, carry = the cell's equations undone
/// ```
pub(super) struct StepBackward<'a> {
    pub(super) turn: &'a Turn<'a, BUFFERS>,
    pub(super) kept: Kept<'a>,
    pub(super) from: From<'a>,
}

impl Kernel for StepBackward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { turn, kept: Kept { cell, hidden, .. }, from } = self;
        let gates = cell.gates() * hidden;
        // Operands of the product one after the other, as far as each goes, and the rows that have one:
        // those that ended at this step have no step after it.
        let (lefts, panels, going_on) = match from {
            From::AboveAndAfter { dh_above, w_h, whole: true } => {
                let left = Left::plain(dh_above, hidden);
                ([(left, 0), (left, 0)], w_h, turn.active())
            }
            From::AboveAndAfter { w_h, .. } if cell == Cell::Gru => {
                let (dz_after, dq_after) = (turn.done(DZ), turn.done(DQ));
                let left = Left { row_stride: gates, ..Left::plain(dz_after, 2 * hidden) };
                let lefts = [(left, 2 * hidden), (Left::plain(dq_after, hidden), hidden)];
                (lefts, w_h, dz_after.len() / gates)
            }
            From::AboveAndAfter { w_h, .. } => {
                let left = Left::plain(turn.done(DZ), gates);
                ([(left, gates), (left, 0)], w_h, left.values.len() / gates)
            }
            From::Projection { dh, w_p } => {
                let left = Left::plain(dh, w_p.depth());
                ([(left, w_p.depth()), (left, 0)], w_p, turn.active())
            }
        };
        let units = turn.units();
        let products = [[lanes.splat(0.0); 2]; MOST_ROWS];
        for first in units.clone().step_by(2 * L::WIDTH) {
            let (vectors, panel) = panels.panel(first, L::WIDTH);
            let mut cells = Cells { step: &self, first, vectors, lefts, panel, from: 0, products };
            // A loop over both, so that the tiles are compiled once.
            for (rows, goes_on) in [(0..going_on, true), (going_on..turn.active(), false)] {
                cells.from = rows.start;
                cells.lefts = lefts.map(|(left, depth)| (left, if goes_on { depth } else { 0 }));
                for_tiles(lanes, rows.len(), vectors, &mut cells);
            }
        }
    }
}

/// Rows of any tile at most.
const MOST_ROWS: usize = 12;
/// Rows whose cells are undone side by side: while one waits for its tanh, others go on. What is left of
/// a tile goes one by one: two at a time, as forwards, were slower here.
const AT_A_TIME: usize = 3;

/// Some neighbouring units of a turn, a panel of them.
struct Cells<'a, V> {
    step: &'a StepBackward<'a>,
    /// The first unit.
    first: usize,
    /// Registers of units.
    vectors: usize,
    /// Left operands of the product and how far each goes: nowhere where there is no step after.
    lefts: [(Left<'a>, usize); 2],
    panel: &'a [f32],
    /// The row of the turn that the first tile begins with.
    from: usize,
    /// The tile that was made last: what the product gives to dh. It does not leave the first-level cache.
    products: [[V; 2]; MOST_ROWS],
}

impl<L: Lanes> Tiles<L> for Cells<'_, L::V> {
    #[inline(always)]
    fn tile<const ROWS: usize, const VECTORS: usize>(&mut self, lanes: L, row: usize) {
        let mut product = [[lanes.splat(0.0); VECTORS]; ROWS];
        let mut rest = self.panel;
        for (left, depth) in self.lefts {
            let left = if depth > 0 { left.from(row, 0) } else { left };
            tile::<L, ROWS, VECTORS>(lanes, depth, left, rest, &mut product);
            rest = &rest[depth * VECTORS * L::WIDTH..];
        }
        for (to, product) in self.products.iter_mut().zip(product) {
            to[..VECTORS].copy_from_slice(&product);
        }
    }

    #[inline(always)]
    fn finish(&mut self, lanes: L, row: usize, rows: usize) {
        with_equations!(self.step.kept.cell, |E, G| {
            for v in 0..self.vectors {
                let mut r = 0;
                while r + AT_A_TIME <= rows {
                    self.undo::<L, E, G, AT_A_TIME>(lanes, v, row, r);
                    r += AT_A_TIME;
                }
                while r < rows {
                    self.undo::<L, E, G, 1>(lanes, v, row, r);
                    r += 1;
                }
            }
        });
    }
}

impl<V: Copy> Cells<'_, V> {
    /// ROWS rows from row `r` of the tile on, which begins with row `row`; of register `v`.
    #[inline(always)]
    fn undo<L: Lanes<V = V>, E: Equations<G>, const G: usize, const ROWS: usize>(
        &self,
        lanes: L,
        v: usize,
        row: usize,
        r: usize,
    ) {
        let StepBackward { turn, kept, from: source } = *self.step;
        let Kept { hidden, gates, states, p, made: (made, first_made), .. } = kept;
        let row = self.from + row + r;
        let position = turn.position() + row;
        let slot_before = turn.slot_before() + row;
        let j = self.first + v * L::WIDTH;
        let (units, at) = (L::WIDTH.min(hidden - j), j - turn.units().start);
        let load =
            |row: &[f32], block: usize| lanes.load_partial(&row[block * hidden + j..][..units]);
        let zeros = [lanes.splat(0.0); ROWS];
        let carries = E::CELL != Cell::Rnn;
        let (mut u, mut carry, mut p_of_units) = (zeros, zeros, [lanes.splat(0.0); 3]);
        if E::CELL.has_cell_state() {
            for (k, u) in u.iter_mut().enumerate() {
                *u = load(made.row(first_made + position + k), 0);
            }
            u = tanh(lanes, u);
        }
        if carries {
            carry = turn.own(CARRY, 0).load::<L, ROWS>(lanes, row, at);
        }
        if E::CELL == Cell::Peephole {
            p_of_units = [0, 1, 2].map(|k| load(p, k));
        }
        let (mut dz, mut dq) = ([zeros; G], zeros);
        for k in 0..ROWS {
            let of_gates = position + k - gates.first;
            let a = &gates.a[of_gates * G * hidden..][..G * hidden];
            let zero = lanes.splat(0.0);
            let mut saved = Saved { a: [zero; G], before: zero, q: zero, p: p_of_units, u: u[k] };
            for (gate, value) in saved.a.iter_mut().enumerate() {
                *value = load(a, gate);
            }
            if carries {
                saved.before = load(states.row(slot_before + k), 0);
            }
            if E::CELL == Cell::Gru {
                saved.q = load(&gates.q[of_gates * hidden..][..hidden], 0);
            }
            let product = self.products[r + k][v];
            let dh = match source {
                From::AboveAndAfter { dh_above, .. } => {
                    lanes.add(load(&dh_above[(row + k) * hidden..][..hidden], 0), product)
                }
                From::Projection { .. } => product,
            };
            let slopes = E::backward(lanes, &saved, lanes.without_dust(dh), carry[k]);
            for (dz, slope) in dz.iter_mut().zip(slopes.dz) {
                dz[k] = slope;
            }
            (dq[k], carry[k]) = (slopes.dq, slopes.carry);
        }
        for (gate, dz) in dz.iter().enumerate() {
            turn.own(DZ, gate).store(lanes, dz, row, at);
        }
        if E::CELL == Cell::Gru {
            turn.own(DQ, 0).store(lanes, &dq, row, at);
        }
        if carries {
            turn.own(CARRY, 0).store(lanes, &carry, row, at);
        }
    }
}
