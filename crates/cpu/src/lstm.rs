//! A whole LSTM layer over a batch. Equations: `reference::sequence_forward` and `_backward`.
//!
//! ```text
//!     outside the time loop         inside it, per slice of the batch
//!     a = x·w_xᵀ                    a_t += b + h_{t−1}·w_hᵀ, and at once the gates, c_t and h_t
//!     ───────────────────────────────────────────────────────────────────────────────────────
//!     dw_h += dzᵀ·h_prev            dz_t from dh_t and dc_t
//!     dw_x += dzᵀ·x, db += Σ dz     dh_{t−1} = dz_t·w_h
//!     dx    = dz·w_x
//! ```
//!
//! The first surprise is that the input product and the weight gradients are not in the loop: they
//! need nothing of the step before, so each is one large product over all positions. What is left
//! is as serial as the recurrence itself. A slice of the batch runs through all steps on one
//! thread and waits for nobody. Where rows start from zero, the recurrent product of their first
//! step, forward and backward, is left out.

use crate::Cpu;
use crate::math::{sigmoid, tanh};
use crate::panel::{Source, interleave};
use crate::product::{block, product};
use crate::simd::{BatchSlice, Kernel, Lanes, Left, split_batch, tile};
use layout::{Accumulate, GATES, LstmParams, LstmStart, LstmTape, Matrix, Steps};
use rayon::prelude::*;

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
        if let Some(x) = x {
            assert_eq!(x.shape(), [steps.positions(), params.w_x.columns()], "x is [N, I]");
            let source = Source::Transposed(params.w_x.as_slice());
            let panels = self.packed(params.w_x.columns(), GATES * hidden, source);
            let a = tape.a.as_mut_slice();
            product(self.path, x.as_slice(), &panels, Accumulate::Replace, a);
        }
        let units = hidden.next_multiple_of(self.path.width());
        let mut panels = self.scratch.buffer(units * hidden * GATES);
        self.path.run(PackGates { w_h: params.w_h.as_slice(), hidden, panels: &mut panels });

        let height = slice_height(steps.batch());
        let slices: Vec<_> =
            split_batch(steps, height, false, GATES * hidden, tape.a.as_mut_slice())
                .zip(split_batch(steps, height, true, hidden, tape.c.as_mut_slice()))
                .zip(split_batch(steps, height, true, hidden, tape.h.as_mut_slice()))
                .collect();
        slices.into_par_iter().with_max_len(1).for_each(|((a, c), h)| {
            let b = params.b.as_slice();
            self.path.run(SliceForward { steps, hidden, panels: &panels, b, a, c, h });
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
        dx: Option<&mut Matrix<f32>>,
        start: Option<&mut LstmStart<Matrix<f32>>>,
    ) {
        let hidden = hidden_units(params, x.is_some());
        assert_eq!(dh_above.shape(), [steps.positions(), hidden], "dh_above is [N, H]");
        assert!(dx.is_none() || x.is_some(), "a gradient of the input where there is one");
        dz.resize(steps.positions(), GATES * hidden);
        let states = steps.batch() * hidden;
        let start_is_wanted = start.is_some();
        let mut unwanted = self.scratch.buffer(if start_is_wanted { 0 } else { 2 * states });
        let (dh_carry, dc_carry) = match start {
            Some(LstmStart { dh_0, dc_0 }) => {
                dh_0.resize(steps.batch(), hidden);
                dc_0.resize(steps.batch(), hidden);
                (dh_0.as_mut_slice(), dc_0.as_mut_slice())
            }
            None => unwanted.split_at_mut(states),
        };
        dh_carry.fill(0.0);
        dc_carry.fill(0.0);
        if steps.positions() == 0 {
            return;
        }
        let w_h = self.packed(GATES * hidden, hidden, Source::Plain(params.w_h.as_slice()));

        let height = slice_height(steps.batch());
        let slices: Vec<_> = split_batch(steps, height, false, GATES * hidden, dz.as_mut_slice())
            .zip(dh_carry.chunks_mut(height * hidden))
            .zip(dc_carry.chunks_mut(height * hidden))
            .enumerate()
            .collect();
        slices.into_par_iter().with_max_len(1).for_each(|(k, ((mut dz, dh_carry), dc_carry))| {
            let first = k * height;
            for t in (0..steps.count()).rev() {
                let n = dz.active(t);
                if n == 0 {
                    continue;
                }
                let dz_t = dz.step(t);
                let cells = Cells::of(steps, tape, dh_above, hidden, t, first, n);
                let dh_carry = &mut dh_carry[..n * hidden];
                let dc_carry = &mut dc_carry[..n * hidden];
                self.path.run(CellsBackward { cells, dh_carry, dc_carry, dz: dz_t });
                if t > 0 || start_is_wanted {
                    let left = Left::plain(dz_t, GATES * hidden);
                    block(self.path, left, &w_h, Accumulate::Replace, dh_carry);
                }
            }
        });

        drop(w_h);

        let mut h_prev = self.scratch.buffer(steps.positions() * hidden);
        let mut rest = &mut h_prev[..];
        let mut blocks = Vec::with_capacity(steps.count());
        for t in 0..steps.count() {
            let (to, later) = rest.split_at_mut(steps.active(t) * hidden);
            let from = &tape.h.as_slice()[steps.slot(t).start * hidden..][..to.len()];
            blocks.push((to, from));
            rest = later;
        }
        blocks.into_par_iter().for_each(|(to, from)| to.copy_from_slice(from));
        // Rows that start from zero add nothing to w_h at their first step.
        let rows = steps.active(0);
        let first = if starts_from_zero(&h_prev[..rows * hidden]) { rows } else { 0 };
        let (h_prev, dz_after) =
            (&h_prev[first * hidden..], &dz.as_slice()[first * GATES * hidden..]);
        let dz = &*dz;
        let LstmParams { w_x: dw_x, w_h: dw_h, b: db } = grads;
        // None of these needs another: threads go from one to the next without waiting.
        rayon::join(
            || {
                rayon::join(
                    || self.add_weight_gradient(h_prev, dz_after, dw_h),
                    || x.map(|x| self.add_weight_gradient(x.as_slice(), dz.as_slice(), dw_x)),
                )
            },
            || {
                rayon::join(
                    || {
                        dx.map(|dx| {
                            self.linear_backward_input(&params.w_x, dz, Accumulate::Replace, dx);
                        })
                    },
                    || self.bias_backward(dz.as_slice(), db),
                )
            },
        );
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

/// Whether all of these states are zero, as where sessions begin: then their recurrent products
/// need not be made. With finite weights they would change at most the sign of a zero.
fn starts_from_zero(states: &[f32]) -> bool {
    states.iter().all(|&h| h == 0.0)
}

/// Rows of the batch that one thread takes through time. At most sixteen slices, or slices of 48
/// rows, so that their states stay in the first caches; always whole forward tiles of every path
/// (2, 3 or 6 rows). A function of the shape alone.
fn slice_height(batch: usize) -> usize {
    batch.div_ceil(16).next_multiple_of(6).clamp(6, 48)
}

/// Lays `w_h` out as `[unit group][k][gate][WIDTH]`: a register of the tile holds one gate of
/// WIDTH neighbouring units, and the four gates of a unit meet in one row of the tile.
struct PackGates<'a> {
    w_h: &'a [f32],
    hidden: usize,
    panels: &'a mut [f32],
}

impl Kernel for PackGates<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, _: L) {
        let Self { w_h, hidden, panels } = self;
        let group = hidden * GATES * L::WIDTH;
        for (g, panel) in panels.chunks_exact_mut(group).enumerate() {
            let units = L::WIDTH.min(hidden - g * L::WIDTH);
            if units < L::WIDTH {
                panel.fill(0.0);
            }
            for gate in 0..GATES {
                let first = gate * hidden + g * L::WIDTH;
                let rows = &w_h[first * hidden..(first + units) * hidden];
                interleave::<L>(rows, hidden, &mut panel[gate * L::WIDTH..], GATES * L::WIDTH);
            }
        }
    }
}

struct SliceForward<'a> {
    steps: &'a Steps,
    hidden: usize,
    panels: &'a [f32],
    b: &'a [f32],
    a: BatchSlice<'a>,
    c: BatchSlice<'a>,
    h: BatchSlice<'a>,
}

impl Kernel for SliceForward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { steps, hidden, panels, b, mut a, mut c, mut h } = self;
        let group = hidden * GATES * L::WIDTH;
        for t in 0..steps.count() {
            let n = a.active(t);
            if n == 0 {
                break;
            }
            let a = a.step(t);
            let (c_prev, c) = c.before_and_after(t);
            let (h_prev, h) = h.before_and_after(t);
            let depth = if t == 0 && starts_from_zero(h_prev) { 0 } else { hidden };
            for (g, panel) in panels.chunks_exact(group).enumerate() {
                let units = g * L::WIDTH..hidden.min((g + 1) * L::WIDTH);
                for r in (0..n).step_by(L::ROWS_OF_FOUR) {
                    let states = States {
                        hidden,
                        depth,
                        first: units.start,
                        units: units.len(),
                        a: &mut a[r * GATES * hidden..],
                        c_prev: &c_prev[r * hidden..],
                        h_prev: &h_prev[r * hidden..],
                        c: &mut c[r * hidden..],
                        h: &mut h[r * hidden..],
                    };
                    match L::ROWS_OF_FOUR.min(n - r) {
                        1 => step_tile::<L, 1>(lanes, panel, b, states),
                        2 => step_tile::<L, 2>(lanes, panel, b, states),
                        3 => step_tile::<L, 3>(lanes, panel, b, states),
                        4 => step_tile::<L, 4>(lanes, panel, b, states),
                        5 => step_tile::<L, 5>(lanes, panel, b, states),
                        6 => step_tile::<L, 6>(lanes, panel, b, states),
                        _ => unreachable!("ROWS_OF_FOUR is at most 6"),
                    }
                }
            }
        }
    }
}

/// Rows of one step, from the first row of a tile on; all row-major.
struct States<'a> {
    hidden: usize,
    /// How far the recurrent product runs: over all units, or none where they are all zero.
    depth: usize,
    /// First unit of the group, and how many of its lanes are real.
    first: usize,
    units: usize,
    a: &'a mut [f32],
    c_prev: &'a [f32],
    h_prev: &'a [f32],
    c: &'a mut [f32],
    h: &'a mut [f32],
}

/// One step of ROWS rows and one group of units: the recurrent product and, while the four gates
/// are still in registers, the cell.
///
/// ```text
///     z = a + b + h_prev·w_hᵀ
///     i, f, o = σ(z_i, z_f, z_o)    g = tanh(z_g)
///     c = f ⊙ c_prev + i ⊙ g        h = o ⊙ tanh(c)
/// ```
#[inline(always)]
fn step_tile<L: Lanes, const ROWS: usize>(lanes: L, panel: &[f32], b: &[f32], s: States<'_>) {
    let mut z = [[lanes.splat(0.0); GATES]; ROWS];
    for (row, z) in z.iter_mut().enumerate() {
        for (gate, z) in z.iter_mut().enumerate() {
            let at = gate * s.hidden + s.first;
            let input = lanes.load_partial(&s.a[row * GATES * s.hidden + at..][..s.units]);
            *z = lanes.add(input, lanes.load_partial(&b[at..][..s.units]));
        }
    }
    let left = Left::plain(s.h_prev, s.hidden);
    tile::<L, ROWS, GATES>(lanes, s.depth, left, panel, &mut z);
    for (row, z) in z.iter().enumerate() {
        let (i, f, o) = (sigmoid(lanes, z[0]), sigmoid(lanes, z[1]), sigmoid(lanes, z[3]));
        let g = tanh(lanes, z[2]);
        let at = row * s.hidden + s.first;
        let c_prev = lanes.load_partial(&s.c_prev[at..][..s.units]);
        let c = lanes.mul_add(f, c_prev, lanes.mul(i, g));
        let h = lanes.mul(o, tanh(lanes, c));
        for (gate, value) in [i, f, g, o].into_iter().enumerate() {
            let at = row * GATES * s.hidden + gate * s.hidden + s.first;
            lanes.store_partial(value, &mut s.a[at..][..s.units]);
        }
        lanes.store_partial(c, &mut s.c[at..][..s.units]);
        lanes.store_partial(h, &mut s.h[at..][..s.units]);
    }
}

/// What the cells of some rows at one step read to be undone.
struct Cells<'a> {
    hidden: usize,
    a: &'a [f32],
    c_prev: &'a [f32],
    c: &'a [f32],
    dh_above: &'a [f32],
}

impl<'a> Cells<'a> {
    /// Rows `first..first + n` of step `t`.
    fn of(
        steps: &Steps,
        tape: &'a LstmTape<Matrix<f32>>,
        dh_above: &'a Matrix<f32>,
        hidden: usize,
        t: usize,
        first: usize,
        n: usize,
    ) -> Self {
        let rows = |matrix: &'a Matrix<f32>, start: usize| {
            let columns = matrix.columns();
            &matrix.as_slice()[(start + first) * columns..][..n * columns]
        };
        Self {
            hidden,
            a: rows(&tape.a, steps.range(t).start),
            c_prev: rows(&tape.c, steps.slot(t).start),
            c: rows(&tape.c, steps.slot(t + 1).start),
            dh_above: rows(dh_above, steps.range(t).start),
        }
    }
}

/// The elementwise half of a step backward; `dc_carry` becomes what reaches the step before.
///
/// ```text
///     dh      = dh_above + dh_carry      u = tanh(c)
///     dc      = dc_carry + dh ⊙ o ⊙ (1 − u²)
///     dz_i    = dc ⊙ g      ⊙ i ⊙ (1 − i)      dz_f = dc ⊙ c_prev ⊙ f ⊙ (1 − f)
///     dz_g    = dc ⊙ i      ⊙ (1 − g²)         dz_o = dh ⊙ u      ⊙ o ⊙ (1 − o)
///     dc_prev = dc ⊙ f
/// ```
struct CellsBackward<'a> {
    cells: Cells<'a>,
    dh_carry: &'a [f32],
    dc_carry: &'a mut [f32],
    dz: &'a mut [f32],
}

impl Kernel for CellsBackward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { cells, dh_carry, dc_carry, dz } = self;
        let hidden = cells.hidden;
        let one = lanes.splat(1.0);
        for (row, dc_carry) in dc_carry.chunks_exact_mut(hidden).enumerate() {
            let dz = &mut dz[row * GATES * hidden..][..GATES * hidden];
            let a = &cells.a[row * GATES * hidden..][..GATES * hidden];
            let start = row * hidden;
            for j in (0..hidden).step_by(L::WIDTH) {
                let units = L::WIDTH.min(hidden - j);
                let i = lanes.load_partial(&a[j..][..units]);
                let f = lanes.load_partial(&a[hidden + j..][..units]);
                let g = lanes.load_partial(&a[2 * hidden + j..][..units]);
                let o = lanes.load_partial(&a[3 * hidden + j..][..units]);
                let c_prev = lanes.load_partial(&cells.c_prev[start + j..][..units]);
                let u = tanh(lanes, lanes.load_partial(&cells.c[start + j..][..units]));
                let dh_above = lanes.load_partial(&cells.dh_above[start + j..][..units]);
                let dh = lanes.add(dh_above, lanes.load_partial(&dh_carry[start + j..][..units]));
                let carry = &mut dc_carry[j..][..units];

                let slope = lanes.mul(o, lanes.sub(one, lanes.mul(u, u)));
                let dc = lanes.mul_add(dh, slope, lanes.load_partial(carry));
                let slopes = [
                    lanes.mul(lanes.mul(dc, g), bell(lanes, i)),
                    lanes.mul(lanes.mul(dc, c_prev), bell(lanes, f)),
                    lanes.mul(lanes.mul(dc, i), lanes.sub(one, lanes.mul(g, g))),
                    lanes.mul(lanes.mul(dh, u), bell(lanes, o)),
                ];
                for (gate, slope) in slopes.into_iter().enumerate() {
                    lanes.store_partial(slope, &mut dz[gate * hidden + j..][..units]);
                }
                lanes.store_partial(lanes.mul(dc, f), carry);
            }
        }
    }
}

/// `s ⊙ (1 − s)`: the slope of the sigmoid whose value is s.
#[inline(always)]
fn bell<L: Lanes>(lanes: L, s: L::V) -> L::V {
    lanes.mul(s, lanes.sub(lanes.splat(1.0), s))
}
