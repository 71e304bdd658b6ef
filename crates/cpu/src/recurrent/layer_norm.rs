//! A normalised layer over a batch. Equations: `reference::layer_norm`.
//!
//! ```text
//!     forward, a step of some rows                   backward, a step of some rows
//!     ĥ = N(h_prev·w_hᵀ)                             dh   = dh_above + dz_h·w_h of the step after
//!     z = (γ_x ⊙ N(x·w_xᵀ) + b) + γ_h ⊙ ĥ            dz   = the cell undone, through N(c)
//!     c, ĉ = N(c), h                                 dz_h = N′(γ_h ⊙ dz)
//! ```
//!
//! N needs a whole row, so the cell is no epilogue here: products and rows take turns, on the same
//! thread, while the rows are in its caches. The input's share is made for all positions before the
//! loop, its gradient for all positions of a stretch after it.

use super::cell::{bell, flat};
use super::gradients::{Columns, Recurrent, Stretch};
use super::masked::mask_width;
use super::zoned::is_zoned;
use super::{kept, slices, stretch};
use crate::Cpu;
use crate::math::{dot, sigmoid, tanh};
use crate::panel::{Panels, Source};
use crate::product::{block, product};
use crate::simd::{Kernel, Lanes, Left, Order, Shared, Split, in_turns};
use layout::{
    Accumulate, GATES, Keep, Matrix, NormParams, RecurrentParams, RecurrentStart, RecurrentTape,
    Steps,
};
use rayon::prelude::*;

/// Added to the variance, so that a row of equal numbers becomes zero and not NaN.
const EPSILON: f32 = 1e-5;
/// Positions whose input is normalised in one task.
const ROWS_PER_TASK: usize = 16;
/// Deviations that a position keeps, and which is whose.
const DEVIATIONS: usize = 3;
const OF_X: usize = 0;
const OF_H: usize = 1;
const OF_C: usize = 2;

/// The weights of a normalised layer as right operands: `[I, 4H]` where the input comes as a matrix,
/// `[R, 4H]`, and `[H, P]` where there is a projection.
#[derive(Debug, Clone)]
pub(super) struct Operands<P> {
    pub(super) w_x: Option<P>,
    pub(super) w_h: P,
    pub(super) w_p: Option<P>,
}

impl Cpu {
    /// [`Cpu::recurrent_forward`] of a normalised layer, over a batch that has some steps.
    pub(super) fn normalized_forward(
        &self,
        norm: &NormParams<Matrix<f32>>,
        b: &[f32],
        operands: &Operands<&Panels>,
        x: Option<&Matrix<f32>>,
        steps: &Steps,
        tape: &mut RecurrentTape<Matrix<f32>>,
    ) {
        assert!(kept(tape) == Keep::Gates, "a normalised layer keeps its gates");
        let (gates, width) = (b.len(), operands.w_h.depth());
        let hidden = gates / GATES;
        if let Some(x) = x {
            let w_x = operands.w_x.expect("weights packed with those of the input");
            assert_eq!(x.shape(), [steps.positions(), w_x.depth()], "x is [N, I]");
            let a = tape.a.as_mut_slice();
            product(self.path, x.as_slice(), w_x, Accumulate::Replace, a);
        }
        let mask_width = mask_width(tape, steps, width);
        let zoned = is_zoned(tape, steps, [hidden, width]);
        let RecurrentTape { a, c, h, m, mask, masked, zone, norm: kept, .. } = tape;
        let [new_c_width, new_h_width] = [zone.c.columns(), zone.h.columns()];
        let rows = a.as_mut_slice().par_chunks_mut(ROWS_PER_TASK * gates);
        let hats = kept.x.as_mut_slice().par_chunks_mut(ROWS_PER_TASK * gates);
        let deviations = kept.deviation.as_mut_slice().par_chunks_mut(ROWS_PER_TASK * DEVIATIONS);
        let gain = norm.gain_x.as_slice();
        rows.zip(hats).zip(deviations).for_each(|((a, hat), deviation)| {
            self.path.run(Enter { gain, b, a, hat, deviation });
        });
        let buffers = [
            Shared::positions(steps, gates, a.as_mut_slice()),
            Shared::slots(steps, hidden, c.as_mut_slice()),
            Shared::slots(steps, width, h.as_mut_slice()),
            Shared::positions(steps, m.columns(), m.as_mut_slice()),
            Shared::positions(steps, gates, kept.h.as_mut_slice()),
            Shared::positions(steps, hidden, kept.c.as_mut_slice()),
            Shared::positions(steps, DEVIATIONS, kept.deviation.as_mut_slice()),
            Shared::positions(steps, mask_width, masked.as_mut_slice()),
            Shared::positions(steps, new_c_width, zone.c.as_mut_slice()),
            Shared::positions(steps, new_h_width, zone.h.as_mut_slice()),
        ];
        let split = Split::Rows(slices(steps, gates * width));
        in_turns(steps, 0..steps.count(), hidden, split, Order::Rising, buffers, |mut turn| {
            let (c_prev, h_prev) = (turn.done(1), turn.done(2));
            if mask_width > 0 {
                self.masked_rows(&mut turn, mask, h_prev, 7);
            }
            let position = turn.position();
            let [a, c, h, m, h_hat, c_hat, deviation, masked, new_c, new_h] =
                turn.rows_mut([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
            let (made_c, made_h) =
                if zoned { (&mut *new_c, &mut *new_h) } else { (&mut *c, &mut *h) };
            let left = Left::plain(if mask_width > 0 { masked } else { h_prev }, width);
            block(self.path, left, operands.w_h, Accumulate::Replace, h_hat);
            let shown = if operands.w_p.is_some() { &mut *m } else { &mut *made_h };
            let cells = Cells { norm, c_prev, a, c: made_c, h: shown, h_hat, c_hat, deviation };
            self.path.run(cells);
            if let Some(w_p) = operands.w_p {
                block(self.path, Left::plain(m, hidden), w_p, Accumulate::Replace, made_h);
            }
            if zoned {
                self.enter(&zone.u_c, position, c_prev, new_c, c);
                self.enter(&zone.u_h, position, h_prev, new_h, h);
            }
        });
    }

    /// [`Cpu::recurrent_backward`] of a normalised layer, over a batch that has some steps; `dz` and `dx`
    /// have their shapes.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn normalized_backward(
        &self,
        params: &RecurrentParams<Matrix<f32>>,
        x: Option<&Matrix<f32>>,
        steps: &Steps,
        tape: &RecurrentTape<Matrix<f32>>,
        dh_above: &Matrix<f32>,
        grads: &mut RecurrentParams<Matrix<f32>>,
        dz: &mut Matrix<f32>,
        mut dx: Option<&mut Matrix<f32>>,
        start: Option<&mut RecurrentStart<Matrix<f32>>>,
    ) {
        let norm = params.norm.as_ref().expect("gains");
        let (gates, width) = (params.w_h.rows(), params.w_h.columns());
        let (hidden, positions, batch) = (gates / GATES, steps.positions(), steps.batch());
        let pack =
            |w: &Matrix<f32>| self.packed(w.rows(), w.columns(), Source::Plain(w.as_slice()));
        let (w_h, w_x) =
            rayon::join(|| pack(&params.w_h), || dx.is_some().then(|| pack(&params.w_x)));
        let w_p = params.w_p.as_ref().map(pack);
        let mask_width = mask_width(tape, steps, width);
        let zoned = is_zoned(tape, steps, [hidden, width]);
        let mut carry = self.scratch.buffer(batch * hidden);
        carry.fill(0.0);
        let [rest_c_width, rest_h_width] = if zoned { [hidden, width] } else { [0, 0] };
        let mut rest_c = self.scratch.buffer(batch * rest_c_width);
        let mut rest_h = self.scratch.buffer(batch * rest_h_width);
        rest_h.fill(0.0);
        let mut dz_h = self.scratch.buffer(positions * gates);
        let mut dh = self.scratch.buffer(positions * width);
        let mut dv = self.scratch.buffer(positions * hidden);
        let projected = if w_p.is_some() { hidden } else { 0 };
        let mut dm = self.scratch.buffer(batch * projected);
        let split = Split::Rows(slices(steps, gates * width));
        let mut end = steps.count();
        while end > 0 {
            let range = stretch(steps, gates, end);
            let buffers = [
                Shared::positions(steps, gates, &mut dz_h),
                Shared::positions(steps, gates, dz.as_mut_slice()),
                Shared::batch(steps, hidden, &mut carry),
                Shared::positions(steps, width, &mut dh),
                Shared::positions(steps, hidden, &mut dv),
                Shared::batch(steps, projected, &mut dm),
                Shared::batch(steps, rest_c_width, &mut rest_c),
                Shared::batch(steps, rest_h_width, &mut rest_h),
            ];
            in_turns(steps, range.clone(), hidden, split, Order::Falling, buffers, |mut turn| {
                let (n, first, before) = (turn.active(), turn.position(), turn.slot_before());
                let (first_row, dz_after) = (turn.first_row(), turn.done(0));
                let [dz_h, dz, carry, dh, dv, dm, rest_c, rest_h] =
                    turn.rows_mut([0, 1, 2, 3, 4, 5, 6, 7]);
                let mask = &tape.mask.as_slice()[first_row * mask_width..][..n * mask_width];
                let going_on = dz_after.len() / gates * width;
                self.arrive(some_rows(dh_above, first, n), mask, going_on, dh, |accumulate, dh| {
                    block(self.path, Left::plain(dz_after, gates), &w_h, accumulate, dh);
                });
                if zoned {
                    self.rejoin(rest_h, dh);
                    self.leave(&tape.zone.u_h, first, dh, rest_h);
                    self.leave(&tape.zone.u_c, first, carry, rest_c);
                }
                if let Some(w_p) = &w_p {
                    block(self.path, Left::plain(dh, width), w_p, Accumulate::Replace, dm);
                }
                let dm = if w_p.is_some() { &*dm } else { &*dh };
                self.path.run(CellsBack {
                    norm,
                    a: some_rows(&tape.a, first, n),
                    c_prev: some_rows(&tape.c, before, n),
                    h_hat: some_rows(&tape.norm.h, first, n),
                    c_hat: some_rows(&tape.norm.c, first, n),
                    deviation: some_rows(&tape.norm.deviation, first, n),
                    dm,
                    carry: &mut *carry,
                    dz,
                    dz_h,
                    dv,
                });
                if zoned {
                    self.rejoin(rest_c, carry);
                }
            });
            let at = steps.range(range.start).start..steps.range(range.end - 1).end;
            let of = |values, stride| Columns::of(values, stride, at.clone());
            let hats = &tape.norm;
            let dnorm = grads.norm.as_mut().expect("gradients of the gains");
            let dz_now = of(dz.as_slice(), gates);
            for (y, x, sums) in [
                (dz_now, None, &mut grads.b),
                (dz_now, Some(of(hats.x.as_slice(), gates)), &mut dnorm.gain_x),
                (dz_now, Some(of(hats.h.as_slice(), gates)), &mut dnorm.gain_h),
                (of(&dv, hidden), Some(of(hats.c.as_slice(), hidden)), &mut dnorm.gain_c),
                (of(&dv, hidden), None, &mut dnorm.bias_c),
            ] {
                self.add_column_sums(y, x, sums.as_mut_slice());
            }
            let rows = dz.as_mut_slice()[at.start * gates..at.end * gates]
                .par_chunks_mut(ROWS_PER_TASK * gates);
            let hats_of_x = hats.x.as_slice()[at.start * gates..].par_chunks(ROWS_PER_TASK * gates);
            let deviation = hats.deviation.as_slice()[at.start * DEVIATIONS..]
                .par_chunks(ROWS_PER_TASK * DEVIATIONS);
            let gain = norm.gain_x.as_slice();
            rows.zip(hats_of_x).zip(deviation).for_each(|((dz, hat), deviation)| {
                self.path.run(Leave { gain, hat, deviation, dz });
            });
            let recurrent = Recurrent::Apart(&dz_h);
            let stretch =
                Stretch { steps, range: range.clone(), x, tape, dz: dz.as_slice(), recurrent };
            self.add_stretch(&stretch, grads, dx.as_deref_mut().zip(w_x.as_deref()));
            if let Some(dw_p) = &mut grads.w_p {
                self.add_projection(&stretch, &dh, dw_p);
            }
            end = range.start;
        }
        if let Some(RecurrentStart { dh_0, dc_0 }) = start {
            let first = &dz_h[..steps.active(0) * gates];
            if mask_width > 0 {
                let mut sent = self.scratch.buffer(batch * width);
                product(self.path, first, &w_h, Accumulate::Replace, &mut sent);
                let replace = Accumulate::Replace;
                self.reach_start(&tape.mask, replace, &mut sent, dh_0.as_mut_slice());
            } else {
                product(self.path, first, &w_h, Accumulate::Replace, dh_0.as_mut_slice());
            }
            if zoned {
                self.rejoin(&rest_h, dh_0.as_mut_slice());
            }
            dc_0.as_mut_slice().copy_from_slice(&carry);
        }
    }
}

/// `n` rows from `first` on.
fn some_rows(x: &Matrix<f32>, first: usize, n: usize) -> &[f32] {
    &x.as_slice()[first * x.columns()..(first + n) * x.columns()]
}

/// The input's share of some positions, in place.
///
/// ```text
///     x̂ = N(x·w_xᵀ)        a = γ_x ⊙ x̂ + b
/// ```
struct Enter<'a> {
    gain: &'a [f32],
    b: &'a [f32],
    a: &'a mut [f32],
    hat: &'a mut [f32],
    deviation: &'a mut [f32],
}

impl Kernel for Enter<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { gain, b, a, hat, deviation } = self;
        let gates = gain.len();
        let rows = a.chunks_exact_mut(gates).zip(hat.chunks_exact_mut(gates));
        for ((a, hat), deviation) in rows.zip(deviation.chunks_exact_mut(DEVIATIONS)) {
            hat.copy_from_slice(a);
            deviation[OF_X] = standardize(lanes, hat);
            for at in (0..gates).step_by(L::WIDTH) {
                let [gain, b, hat] = [gain, b, &*hat].map(|row| lanes.load_partial(&row[at..]));
                lanes.store_partial(lanes.mul_add(gain, hat, b), &mut a[at..]);
            }
        }
    }
}

/// The gradient of the pre-activations of some positions becomes that of the input's product, in place.
///
/// ```text
///     dz_x = N′(γ_x ⊙ dz)
/// ```
struct Leave<'a> {
    gain: &'a [f32],
    hat: &'a [f32],
    deviation: &'a [f32],
    dz: &'a mut [f32],
}

impl Kernel for Leave<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { gain, hat, deviation, dz } = self;
        let gates = gain.len();
        let rows = dz.chunks_exact_mut(gates).zip(hat.chunks_exact(gates));
        for ((dz, hat), deviation) in rows.zip(deviation.chunks_exact(DEVIATIONS)) {
            multiply(lanes, gain, dz);
            standardize_back(lanes, hat, deviation[OF_X], dz);
        }
    }
}

/// The cells of some rows at one step; in `h_hat` stands `h_prev·w_hᵀ`.
struct Cells<'a> {
    norm: &'a NormParams<Matrix<f32>>,
    c_prev: &'a [f32],
    a: &'a mut [f32],
    c: &'a mut [f32],
    h: &'a mut [f32],
    h_hat: &'a mut [f32],
    c_hat: &'a mut [f32],
    deviation: &'a mut [f32],
}

impl Kernel for Cells<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { norm, c_prev, a, c, h, h_hat, c_hat, deviation } = self;
        let [gain_h, gain_c, bias_c] =
            [&norm.gain_h, &norm.gain_c, &norm.bias_c].map(Matrix::as_slice);
        let (gates, hidden) = (gain_h.len(), gain_c.len());
        for (row, deviation) in deviation.chunks_exact_mut(DEVIATIONS).enumerate() {
            let of_gates = row * gates..(row + 1) * gates;
            let units = row * hidden..(row + 1) * hidden;
            let (a, h_hat) = (&mut a[of_gates.clone()], &mut h_hat[of_gates]);
            let (c_prev, c) = (&c_prev[units.clone()], &mut c[units.clone()]);
            let (c_hat, h) = (&mut c_hat[units.clone()], &mut h[units]);
            deviation[OF_H] = standardize(lanes, h_hat);
            for j in (0..hidden).step_by(L::WIDTH) {
                let n = L::WIDTH.min(hidden - j);
                let of =
                    |row: &[f32], gate: usize| lanes.load_partial(&row[gate * hidden + j..][..n]);
                let z = [0, 1, 2, 3]
                    .map(|gate| lanes.mul_add(of(gain_h, gate), of(h_hat, gate), of(a, gate)));
                let ([i, f, o], [g]) = (sigmoid(lanes, [z[0], z[1], z[3]]), tanh(lanes, [z[2]]));
                let now = lanes.mul_add(f, of(c_prev, 0), lanes.mul(i, g));
                let now = lanes.without_dust(now);
                lanes.store_partial(now, &mut c[j..][..n]);
                lanes.store_partial(now, &mut c_hat[j..][..n]);
                for (gate, value) in [i, f, g, o].into_iter().enumerate() {
                    lanes.store_partial(value, &mut a[gate * hidden + j..][..n]);
                }
            }
            deviation[OF_C] = standardize(lanes, c_hat);
            for j in (0..hidden).step_by(L::WIDTH) {
                let n = L::WIDTH.min(hidden - j);
                let [gain, bias, hat, o] = [gain_c, bias_c, &*c_hat, &a[3 * hidden..]]
                    .map(|row| lanes.load_partial(&row[j..][..n]));
                let [u] = tanh(lanes, [lanes.mul_add(gain, hat, bias)]);
                lanes.store_partial(lanes.mul(o, u), &mut h[j..][..n]);
            }
        }
    }
}

/// The cells of some rows at one step undone; the carry becomes what reaches the step before.
struct CellsBack<'a> {
    norm: &'a NormParams<Matrix<f32>>,
    a: &'a [f32],
    c_prev: &'a [f32],
    h_hat: &'a [f32],
    c_hat: &'a [f32],
    deviation: &'a [f32],
    /// ∂L/∂h, before a projection.
    dm: &'a [f32],
    carry: &'a mut [f32],
    dz: &'a mut [f32],
    dz_h: &'a mut [f32],
    /// ∂L/∂v of v = γ_c ⊙ ĉ + β_c.
    dv: &'a mut [f32],
}

impl Kernel for CellsBack<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { norm, a, c_prev, h_hat, c_hat, deviation, dm, carry, dz, dz_h, dv } = self;
        let [gain_h, gain_c, bias_c] =
            [&norm.gain_h, &norm.gain_c, &norm.bias_c].map(Matrix::as_slice);
        let (gates, hidden) = (gain_h.len(), gain_c.len());
        for (row, deviation) in deviation.chunks_exact(DEVIATIONS).enumerate() {
            let of_gates = row * gates..(row + 1) * gates;
            let units = row * hidden..(row + 1) * hidden;
            let (a, h_hat) = (&a[of_gates.clone()], &h_hat[of_gates.clone()]);
            let (dz, dz_h) = (&mut dz[of_gates.clone()], &mut dz_h[of_gates]);
            let (c_prev, c_hat) = (&c_prev[units.clone()], &c_hat[units.clone()]);
            let (dm, carry) = (&dm[units.clone()], &mut carry[units.clone()]);
            let dv = &mut dv[units];
            // On its way through N, the gradient of c stands where that of z_i will be.
            let (dc_of_h, dz_rest) = dz.split_at_mut(hidden);
            for j in (0..hidden).step_by(L::WIDTH) {
                let n = L::WIDTH.min(hidden - j);
                let [gain, bias, hat, o, dh] = [gain_c, bias_c, c_hat, &a[3 * hidden..], dm]
                    .map(|row| lanes.load_partial(&row[j..][..n]));
                let dh = lanes.without_dust(dh);
                let [u] = tanh(lanes, [lanes.mul_add(gain, hat, bias)]);
                let slope = lanes.mul(dh, lanes.mul(o, flat(lanes, u)));
                lanes.store_partial(slope, &mut dv[j..][..n]);
                lanes.store_partial(lanes.mul(gain, slope), &mut dc_of_h[j..][..n]);
                let dz_o = lanes.mul(lanes.mul(dh, u), bell(lanes, o));
                lanes.store_partial(dz_o, &mut dz_rest[2 * hidden + j..][..n]);
            }
            standardize_back(lanes, c_hat, deviation[OF_C], dc_of_h);
            for j in (0..hidden).step_by(L::WIDTH) {
                let n = L::WIDTH.min(hidden - j);
                let [i, f, g] =
                    [0, 1, 2].map(|gate| lanes.load_partial(&a[gate * hidden + j..][..n]));
                let [c_prev, of_h, carried] =
                    [c_prev, &*dc_of_h, &*carry].map(|row| lanes.load_partial(&row[j..][..n]));
                let dc = lanes.without_dust(lanes.add(carried, of_h));
                let dz_i = lanes.mul(lanes.mul(dc, g), bell(lanes, i));
                let dz_f = lanes.mul(lanes.mul(dc, c_prev), bell(lanes, f));
                let dz_g = lanes.mul(lanes.mul(dc, i), flat(lanes, g));
                lanes.store_partial(dz_i, &mut dc_of_h[j..][..n]);
                lanes.store_partial(dz_f, &mut dz_rest[j..][..n]);
                lanes.store_partial(dz_g, &mut dz_rest[hidden + j..][..n]);
                lanes.store_partial(lanes.mul(dc, f), &mut carry[j..][..n]);
            }
            dz_h.copy_from_slice(dz);
            multiply(lanes, gain_h, dz_h);
            standardize_back(lanes, h_hat, deviation[OF_H], dz_h);
        }
    }
}

/// Brings a row to mean 0 and variance 1 and returns what it was divided by.
#[inline(always)]
fn standardize<L: Lanes>(lanes: L, y: &mut [f32]) -> f32 {
    let width = y.len() as f32;
    let mean = lanes.splat(sum(lanes, y) / width);
    for y in y.chunks_mut(L::WIDTH) {
        lanes.store_partial(lanes.sub(lanes.load_partial(y), mean), y);
    }
    let deviation = (dot(lanes, y, y) / width + EPSILON).sqrt();
    for y in y.chunks_mut(L::WIDTH) {
        lanes.store_partial(lanes.div(lanes.load_partial(y), lanes.splat(deviation)), y);
    }
    deviation
}

/// Undoes [`standardize`]: dŷ becomes dy.
#[inline(always)]
fn standardize_back<L: Lanes>(lanes: L, y: &[f32], deviation: f32, dy: &mut [f32]) {
    let width = y.len() as f32;
    let mean = lanes.splat(sum(lanes, dy) / width);
    let slope = lanes.splat(-dot(lanes, dy, y) / width);
    for (dy, y) in dy.chunks_mut(L::WIDTH).zip(y.chunks(L::WIDTH)) {
        let centred = lanes.sub(lanes.load_partial(dy), mean);
        let rest = lanes.mul_add(slope, lanes.load_partial(y), centred);
        lanes.store_partial(lanes.div(rest, lanes.splat(deviation)), dy);
    }
}

/// `y = gain ⊙ y`
#[inline(always)]
fn multiply<L: Lanes>(lanes: L, gain: &[f32], y: &mut [f32]) {
    for (y, gain) in y.chunks_mut(L::WIDTH).zip(gain.chunks(L::WIDTH)) {
        lanes.store_partial(lanes.mul(lanes.load_partial(y), lanes.load_partial(gain)), y);
    }
}

/// `Σ y`, lane by lane, then across the lanes.
#[inline(always)]
fn sum<L: Lanes>(lanes: L, y: &[f32]) -> f32 {
    let mut sum = lanes.splat(0.0);
    for y in y.chunks(L::WIDTH) {
        sum = lanes.add(sum, lanes.load_partial(y));
    }
    lanes.sum(sum)
}
