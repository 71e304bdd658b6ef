//! Zoneout round the kernels of a step. Equations: `reference::zoneout_forward` and `_backward`.
//!
//! ```text
//!     forward     state = prev + u ⊙ (new − prev)                   at the end of a turn
//!     backward    d = u ⊙ d,  rest = (1 − u) ⊙ d                    at the beginning of a turn
//!                 what reaches the state before gets the rest       at its end, or in the next
//! ```
//!
//! The kernels see ĉ and ĥ where they would see c and h: forward they write into buffers of positions,
//! backward they find the gradients of these. All of it works on whole rows, so a turn is one over all
//! units, as with a mask.

use super::backward::{BUFFERS, CARRY, DH, REST_C, REST_H};
use crate::Cpu;
use crate::simd::{Kernel, Lanes, Turn};
use layout::{Cell, Matrix, RecurrentTape, Steps, ZoneTape};

/// Whether the layer has zoneout; `widths` are those of its cell and its hidden states.
///
/// # Panics
///
/// Where the shapes of its tape do not fit.
pub(super) fn is_zoned(
    tape: &RecurrentTape<Matrix<f32>>,
    steps: &Steps,
    widths: [usize; 2],
) -> bool {
    let zoned = tape.is_zoned();
    let columns = if zoned { widths } else { [0, 0] };
    let ZoneTape { u_c, u_h, c, h } = &tape.zone;
    let [of_c, of_h] = columns.map(|columns| [steps.positions(), columns]);
    assert_eq!([u_c.shape(), u_h.shape()], [of_c, of_h], "u_c is [N, H], u_h is [N, R]");
    assert_eq!([c.columns(), h.columns()], columns, "ĉ is [N, H], ĥ is [N, R]");
    zoned
}

/// The rows of a matrix from `first` on.
fn rows_from(x: &Matrix<f32>, first: usize) -> &[f32] {
    &x.as_slice()[first * x.columns()..]
}

impl Cpu {
    /// `state = prev + u ⊙ (new − prev)` of the rows whose first position this is.
    pub(super) fn enter(
        &self,
        u: &Matrix<f32>,
        position: usize,
        prev: &[f32],
        new: &[f32],
        state: &mut [f32],
    ) {
        self.path.run(Enter { u: rows_from(u, position), prev, new, state });
    }

    /// `rest = (1 − u) ⊙ d`, then `d = u ⊙ d`, of the rows whose first position this is.
    pub(super) fn leave(&self, u: &Matrix<f32>, position: usize, d: &mut [f32], rest: &mut [f32]) {
        self.path.run(Leave { u: rows_from(u, position), d, rest });
    }

    /// `d += rest`
    pub(super) fn rejoin(&self, rest: &[f32], d: &mut [f32]) {
        self.path.run(Rejoin { rest, d });
    }

    /// At the beginning of a turn, where the arrivals from above and from the products are in [`DH`]:
    /// what goes past the cell goes to the rests, the others become gradients of ĥ and ĉ.
    pub(super) fn leave_states(
        &self,
        turn: &mut Turn<'_, BUFFERS>,
        cell: Cell,
        zone: &ZoneTape<Matrix<f32>>,
    ) {
        let position = turn.position();
        let [dh, carry, rest_h, rest_c] = turn.rows_mut([DH, CARRY, REST_H, REST_C]);
        self.rejoin(rest_h, dh);
        if cell == Cell::Gru {
            // What the step after has sent beside the products is a share of dh, too.
            self.rejoin(carry, dh);
            carry.fill(0.0);
        }
        self.leave(&zone.u_h, position, dh, rest_h);
        if cell.has_cell_state() {
            self.leave(&zone.u_c, position, carry, rest_c);
        }
    }

    /// At the end of a turn: what has gone past the cell joins what reaches the cell state before.
    pub(super) fn rejoin_cells(&self, turn: &mut Turn<'_, BUFFERS>, cell: Cell) {
        if !cell.has_cell_state() {
            return;
        }
        let [carry, rest_c] = turn.rows_mut([CARRY, REST_C]);
        self.rejoin(rest_c, carry);
    }
}

struct Enter<'a> {
    u: &'a [f32],
    prev: &'a [f32],
    new: &'a [f32],
    state: &'a mut [f32],
}

impl Kernel for Enter<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { u, prev, new, state } = self;
        let states = prev.chunks(L::WIDTH).zip(new.chunks(L::WIDTH));
        for ((state, u), (prev, new)) in
            state.chunks_mut(L::WIDTH).zip(u.chunks(L::WIDTH)).zip(states)
        {
            let [u, prev, new] = [u, prev, new].map(|row| lanes.load_partial(row));
            let mix = lanes.mul_add(u, lanes.sub(new, prev), prev);
            lanes.store_partial(lanes.without_dust(mix), state);
        }
    }
}

struct Leave<'a> {
    u: &'a [f32],
    d: &'a mut [f32],
    rest: &'a mut [f32],
}

impl Kernel for Leave<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { u, d, rest } = self;
        let gradients = d.chunks_mut(L::WIDTH).zip(rest.chunks_mut(L::WIDTH));
        for (u, (d, rest)) in u.chunks(L::WIDTH).zip(gradients) {
            let (u, from) = (lanes.load_partial(u), lanes.without_dust(lanes.load_partial(d)));
            lanes.store_partial(lanes.mul(lanes.sub(lanes.splat(1.0), u), from), rest);
            lanes.store_partial(lanes.mul(u, from), d);
        }
    }
}

struct Rejoin<'a> {
    rest: &'a [f32],
    d: &'a mut [f32],
}

impl Kernel for Rejoin<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        for (d, rest) in self.d.chunks_mut(L::WIDTH).zip(self.rest.chunks(L::WIDTH)) {
            lanes.store_partial(lanes.add(lanes.load_partial(d), lanes.load_partial(rest)), d);
        }
    }
}
