//! One step backward: the product with the step after, the cell undone as its epilogue.

use crate::math::tanh;
use crate::panel::Panels;
use crate::simd::{Kernel, Lanes, Left, Tiles, Turn, for_tiles, tile};
use layout::{GATES, Matrix};

/// Number of a buffer among those of the backward pass.
const DZ: usize = 0;
const DC: usize = 1;

/// Activated gates, `4H` numbers a position, from position `first` on.
#[derive(Clone, Copy)]
pub(super) struct Gates<'a> {
    pub(super) a: &'a [f32],
    pub(super) first: usize,
}

/// One turn backward; `dc` becomes what reaches the step before.
///
/// ```text
///     dh      = dh_above + dz_after·w_h      u = tanh(c)
///     dc      = dc_carry + dh ⊙ o ⊙ (1 − u²)
///     dz_i    = dc ⊙ g      ⊙ i ⊙ (1 − i)      dz_f = dc ⊙ c_prev ⊙ f ⊙ (1 − f)
///     dz_g    = dc ⊙ i      ⊙ (1 − g²)         dz_o = dh ⊙ u      ⊙ o ⊙ (1 − o)
///     dc_prev = dc ⊙ f
/// ```
pub(super) struct StepBackward<'a> {
    pub(super) turn: Turn<'a, 2>,
    pub(super) hidden: usize,
    pub(super) gates: Gates<'a>,
    /// Cell states in slots.
    pub(super) c: &'a Matrix<f32>,
    pub(super) dh_above: &'a Matrix<f32>,
    /// As right operand, `[4H, H]`.
    pub(super) w_h: &'a Panels,
}

impl Kernel for StepBackward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { ref turn, hidden, w_h, .. } = self;
        let dz_after = turn.done(DZ);
        // Rows that ended at this step have no step after it.
        let going_on = dz_after.len() / (GATES * hidden);
        let units = turn.units();
        for first in units.clone().step_by(2 * L::WIDTH) {
            let (vectors, panel) = w_h.panel(first, L::WIDTH);
            let left = Left::plain(dz_after, GATES * hidden);
            let mut cells = Cells { step: &self, first, depth: 0, left, panel, from: 0 };
            // A loop over both, so that the tiles are compiled once.
            for (rows, depth) in [(0..going_on, GATES * hidden), (going_on..turn.active(), 0)] {
                (cells.from, cells.depth) = (rows.start, depth);
                for_tiles(lanes, rows.len(), vectors, &mut cells);
            }
        }
    }
}

/// Some neighbouring units of a turn, a panel of them.
struct Cells<'a> {
    step: &'a StepBackward<'a>,
    /// The first unit.
    first: usize,
    /// How far the product runs: over all pre-activations, or none where there is no step after.
    depth: usize,
    left: Left<'a>,
    panel: &'a [f32],
    /// The row of the turn that the first tile begins with.
    from: usize,
}

impl<L: Lanes> Tiles<L> for Cells<'_> {
    #[inline(always)]
    fn tile<const ROWS: usize, const VECTORS: usize>(&mut self, lanes: L, row: usize) {
        let Self { step, first, depth, left, panel, from } = *self;
        let StepBackward { ref turn, hidden, gates, c, dh_above, .. } = *step;
        let mut product = [[lanes.splat(0.0); VECTORS]; ROWS];
        let left = if depth > 0 { left.from(row, 0) } else { left };
        tile::<L, ROWS, VECTORS>(lanes, depth, left, panel, &mut product);

        let row = from + row;
        let position = turn.position() + row;
        let slot_before = turn.slot_before() + row;
        let slot_after = c.rows() - dh_above.rows() + position;
        let dz = [turn.own(DZ, 0), turn.own(DZ, 1), turn.own(DZ, 2), turn.own(DZ, 3)];
        let carry = turn.own(DC, 0);
        let one = lanes.splat(1.0);
        #[allow(
            clippy::needless_range_loop,
            reason = "rows run inside registers, not the other way"
        )]
        for v in 0..VECTORS {
            let j = first + v * L::WIDTH;
            let units = L::WIDTH.min(hidden - j);
            let at = j - turn.units().start;
            let mut u = [lanes.splat(0.0); ROWS];
            for (r, u) in u.iter_mut().enumerate() {
                *u = lanes.load_partial(&c.row(slot_after + r)[j..][..units]);
            }
            let u = tanh(lanes, u);
            let mut dc = carry.load::<L, ROWS>(lanes, row, at);
            let mut slopes = [[lanes.splat(0.0); ROWS]; GATES];
            for r in 0..ROWS {
                let a = &gates.a[(position + r - gates.first) * GATES * hidden..][..GATES * hidden];
                let i = lanes.load_partial(&a[j..][..units]);
                let f = lanes.load_partial(&a[hidden + j..][..units]);
                let g = lanes.load_partial(&a[2 * hidden + j..][..units]);
                let o = lanes.load_partial(&a[3 * hidden + j..][..units]);
                let c_prev = lanes.load_partial(&c.row(slot_before + r)[j..][..units]);
                let above = lanes.load_partial(&dh_above.row(position + r)[j..][..units]);
                let dh = lanes.without_dust(lanes.add(above, product[r][v]));

                let slope = lanes.mul(o, lanes.sub(one, lanes.mul(u[r], u[r])));
                dc[r] = lanes.without_dust(lanes.mul_add(dh, slope, dc[r]));
                slopes[0][r] = lanes.mul(lanes.mul(dc[r], g), bell(lanes, i));
                slopes[1][r] = lanes.mul(lanes.mul(dc[r], c_prev), bell(lanes, f));
                let flat = lanes.sub(one, lanes.mul(g, g));
                slopes[2][r] = lanes.mul(lanes.mul(dc[r], i), flat);
                slopes[3][r] = lanes.mul(lanes.mul(dh, u[r]), bell(lanes, o));
                dc[r] = lanes.mul(dc[r], f);
            }
            for (window, slope) in dz.iter().zip(&slopes) {
                window.store(lanes, slope, row, at);
            }
            carry.store(lanes, &dc, row, at);
        }
    }
}

/// `s ⊙ (1 − s)`: the slope of the sigmoid whose value is s.
#[inline(always)]
fn bell<L: Lanes>(lanes: L, s: L::V) -> L::V {
    lanes.mul(s, lanes.sub(lanes.splat(1.0), s))
}
