//! The mask on what the recurrent product sees. Equations: `reference::mask_forward` and
//! `mask_backward`.
//!
//! ```text
//!     forward     masked_t = mask ⊙ h_{t−1}                         at the beginning of a turn
//!     backward    dh_t     = dh_above_t + mask ⊙ (dz_{t+1}·w_h)     at the beginning of a turn
//! ```
//!
//! Both products read or make whole rows, so a turn is one over all units, as with a projection. Nothing
//! of this is in the kernels of a step: forward reads another left operand, backward finds dh made.

use super::backward::{BUFFERS, DH, DQ, DZ};
use crate::Cpu;
use crate::panel::Panels;
use crate::product::{block, block_of};
use crate::simd::{Kernel, Lanes, Left, Turn};
use layout::{Accumulate, Cell, Matrix, RecurrentTape, Steps};

/// The width of a tape's mask: R, or 0 where there is none.
///
/// # Panics
///
/// Where its shapes do not fit.
pub(super) fn mask_width(tape: &RecurrentTape<Matrix<f32>>, steps: &Steps, width: usize) -> usize {
    let width = if tape.is_masked() { width } else { 0 };
    assert_eq!(tape.mask.shape(), [steps.batch(), width], "mask is [B, R]");
    assert_eq!(tape.masked.columns(), width, "masked is [N, R]");
    width
}

/// `n` rows of a mask from row `first` on; nothing where there is none.
fn rows_of(mask: &Matrix<f32>, first: usize, n: usize) -> &[f32] {
    &mask.as_slice()[first * mask.columns()..(first + n) * mask.columns()]
}

impl Cpu {
    /// What the recurrent product of a turn reads, `[n, R]`, made from its states before in buffer
    /// `masked`, and the turn to go on with.
    pub(super) fn masked_rows<'t, 'a, const K: usize>(
        &self,
        turn: &'t mut Turn<'a, K>,
        mask: &Matrix<f32>,
        h_prev: &[f32],
        masked: usize,
    ) -> (&'t [f32], &'t Turn<'a, K>) {
        let mask = rows_of(mask, turn.first_row(), turn.active());
        let [rows] = turn.rows_mut([masked]);
        self.path.run(Pass { mask, x: h_prev, y: rows });
        turn.rows_apart(masked)
    }

    /// Where ∂L/∂h of the rows of a turn has to be whole before their cells are undone: from above and,
    /// as far as there is a mask and it lets it through, from the step after, `[n, R]` in buffer [`DH`].
    pub(super) fn arrivals(
        &self,
        turn: &mut Turn<'_, BUFFERS>,
        cell: Cell,
        dh_above: &Matrix<f32>,
        w_h: &Panels,
        mask: &Matrix<f32>,
    ) {
        let (width, gates) = (dh_above.columns(), w_h.depth());
        let (first, mask) = (turn.position(), rows_of(mask, turn.first_row(), turn.active()));
        let (dz_after, dq_after) = (turn.done(DZ), turn.done(DQ));
        let [dh] = turn.rows_mut([DH]);
        let above = &dh_above.as_slice()[first * width..][..dh.len()];
        let going_on = dz_after.len() / gates * width;
        self.arrive(above, mask, going_on, dh, |accumulate, dh| {
            self.sent_back(cell, dz_after, dq_after, w_h, accumulate, dh);
        });
    }

    /// `dh = above + mask ⊙ sent`, of which `product` makes what the step after has sent: of as many
    /// entries as `going_on` says. Without a mask it is added as it is made.
    pub(super) fn arrive(
        &self,
        above: &[f32],
        mask: &[f32],
        going_on: usize,
        dh: &mut [f32],
        product: impl Fn(Accumulate, &mut [f32]),
    ) {
        dh.copy_from_slice(above);
        let (above, dh) = (&above[..going_on], &mut dh[..going_on]);
        if mask.is_empty() {
            product(Accumulate::Add, dh);
        } else {
            product(Accumulate::Replace, dh);
            self.path.run(Join { mask: &mask[..going_on], above, sent: dh });
        }
    }

    /// `dz_h·w_h` of some rows: the GRU's candidate has its share of dz_h apart, in `dq`.
    pub(super) fn sent_back(
        &self,
        cell: Cell,
        dz: &[f32],
        dq: &[f32],
        w_h: &Panels,
        accumulate: Accumulate,
        sent: &mut [f32],
    ) {
        let gates = w_h.depth();
        let left = Left::plain(dz, gates);
        if cell == Cell::Gru {
            let hidden = gates / cell.gates();
            block_of(self.path, left, w_h, 0..2 * hidden, accumulate, sent);
            let left = Left::plain(dq, hidden);
            block_of(self.path, left, w_h, 2 * hidden..gates, Accumulate::Add, sent);
        } else {
            block(self.path, left, w_h, accumulate, sent);
        }
    }

    /// What reaches the start of all rows through the mask: `dh_0 (+)= mask ⊙ sent`.
    pub(super) fn reach_start(
        &self,
        mask: &Matrix<f32>,
        accumulate: Accumulate,
        sent: &mut [f32],
        dh_0: &mut [f32],
    ) {
        let mask = mask.as_slice();
        match accumulate {
            Accumulate::Replace => self.path.run(Pass { mask, x: sent, y: dh_0 }),
            Accumulate::Add => {
                self.path.run(Join { mask, above: dh_0, sent });
                dh_0.copy_from_slice(sent);
            }
        }
    }
}

/// `y = mask ⊙ x`
struct Pass<'a> {
    mask: &'a [f32],
    x: &'a [f32],
    y: &'a mut [f32],
}

impl Kernel for Pass<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let operands = self.mask.chunks(L::WIDTH).zip(self.x.chunks(L::WIDTH));
        for (y, (mask, x)) in self.y.chunks_mut(L::WIDTH).zip(operands) {
            lanes.store_partial(lanes.mul(lanes.load_partial(mask), lanes.load_partial(x)), y);
        }
    }
}

/// `sent = above + mask ⊙ sent`
struct Join<'a> {
    mask: &'a [f32],
    above: &'a [f32],
    sent: &'a mut [f32],
}

impl Kernel for Join<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let operands = self.mask.chunks(L::WIDTH).zip(self.above.chunks(L::WIDTH));
        for (sent, (mask, above)) in self.sent.chunks_mut(L::WIDTH).zip(operands) {
            let [mask, above, from] = [mask, above, &*sent].map(|row| lanes.load_partial(row));
            lanes.store_partial(lanes.mul_add(mask, from, above), sent);
        }
    }
}
