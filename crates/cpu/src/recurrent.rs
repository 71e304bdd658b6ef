//! A whole recurrent layer over a batch. Equations: `reference::sequence_forward` and `_backward`.
//!
//! ```text
//!     forward, a step of some rows              backward, a step of some rows
//!     z_t = x_t·w_xᵀ + b + h_{t−1}·w_hᵀ         dh_t = dh_above_t + dz_{t+1}·w_h
//!     and at once the gates, c_t and h_t        and at once dz_t and dc_{t−1}
//!     ───────────────────────────────────────────────────────────────────────────────────────
//!                                               for each stretch of steps, over all its positions
//!                                               dw_h += dzᵀ·h_prev    dw_x += dzᵀ·x
//!                                               dx    = dz·w_x        db   += Σ dz
//! ```
//!
//! The cell is the epilogue of the products of a step, in registers; another cell is another epilogue.
//! Backward, only what is as serial as the recurrence itself runs step by step. The weight gradients
//! need nothing of the step before: they are large products over all positions of a stretch, taken while
//! its `dz` is in the caches.
//!
//! A projection is one more product at the end of each turn, which needs all units of its rows. With a
//! mask on what the recurrent product sees, each turn begins with its rows of that; with zoneout it ends
//! with the states that its rows keep.
//!
//! `simd::turns` says how threads share a batch: by rows, which wait for nobody, or, where rows are
//! few and weights are large, by units. Where rows start from zero, the recurrent product of their
//! first step, forward and backward, is left out.
//!
//! Reading order: this file, `cell`, `forward`, `packed`, `backward`, `gradients`, `again`, `masked`,
//! `zoned`.

mod again;
mod backward;
pub(crate) mod cell;
pub(crate) mod forward;
mod gradients;
mod layer_norm;
mod masked;
mod packed;
#[cfg(test)]
mod tests;
mod zoned;

pub use packed::PackedRecurrent;

use crate::panel::{Panels, Source};
use crate::product::{block, product};
use crate::simd::{Left, Order, Shared, Split, in_turns};
use crate::{Cpu, Path};
use again::Again;
use backward::{From, Gates, Kept, StepBackward};
use forward::{Input, StepForward, Weights};
use gradients::{Recurrent, Stretch, cells_made};
use layer_norm::Operands;
use layout::{
    Accumulate, Cell, Keep, Matrix, RecurrentDims, RecurrentParams, RecurrentStart, RecurrentTape,
    Steps,
};
use masked::mask_width;
use std::ops::Range;
use zoned::is_zoned;

/// Rows of a slice at most: their states stay in the second-level cache.
const ROWS_PER_SLICE: usize = 64;
/// Fewer rows than this for each thread, and large weights are better shared out than read by all.
const FEW_ROWS: usize = 24;
/// Fewer rows than this in a step of a slice, and the input product is made before the loop: inside, it reads `w_x`
/// at every step.
const ROWS_FOR_INPUT: usize = 8;
/// Bytes of weights that a second-level cache holds beside other things.
const RESIDENT: usize = 3 << 17;
/// With registers of sixteen a core takes weights twice as fast as a third-level cache delivers
/// them: weights of more than so many times [`RESIDENT`] are shared out ...
const FAR: usize = 4;
/// ... below so many times [`FEW_ROWS`].
const MANY_ROWS: usize = 4;
/// Entries of dz in one stretch of the backward pass, 4 MiB of them, ...
const ENTRIES_PER_STRETCH: usize = 1 << 20;
/// ... but so many positions at least: what is made of a stretch are products that want some depth.
const POSITIONS_PER_STRETCH: usize = 1024;

impl Cpu {
    /// Runs the layer over a batch, from the start in slot 0 of the tape.
    ///
    /// | argument | shape | on entry | on return |
    /// |---|---|---|---|
    /// | `x` | `[N, I]` | the input; `None` where `tape.a` holds `x·w_xᵀ` already | untouched |
    /// | `tape.a` | `[N, G·H]` | anything, or `x·w_xᵀ` | activated gates |
    /// |  | `[0, G·H]` | a tape that keeps the states alone: only with `x` | untouched |
    /// | `tape.c` | `[B + N, H]` | slot 0: the start | all slots |
    /// | `tape.h` | `[B + N, R]` | slot 0: the start | all slots |
    /// | `tape.mask` | `[B, R]` | what the recurrent product sees of h; `[B, 0]`: all | untouched |
    /// | `tape.zone` | `[N, H]`, `[N, R]` | shares that enter; `[N, 0]`: all | shares untouched |
    ///
    /// # Panics
    ///
    /// Where the shapes do not fit.
    pub fn recurrent_forward(
        &self,
        params: &RecurrentParams<Matrix<f32>>,
        x: Option<&Matrix<f32>>,
        steps: &Steps,
        tape: &mut RecurrentTape<Matrix<f32>>,
    ) {
        let dims = checked(params, x.is_some());
        let (cell, hidden, width) = (dims.cell, dims.hidden, dims.width());
        let inputs = if x.is_some() { params.w_x.columns() } else { 0 };
        if let Some(x) = x {
            assert_eq!(x.shape(), [steps.positions(), inputs], "x is [N, I]");
        }
        if steps.positions() == 0 {
            return;
        }
        if let Some(norm) = &params.norm {
            let pack = |w: &Matrix<f32>| {
                self.packed(w.columns(), w.rows(), Source::Transposed(w.as_slice()))
            };
            let (w_h, w_x) = rayon::join(|| pack(&params.w_h), || x.map(|_| pack(&params.w_x)));
            let w_p = params.w_p.as_ref().map(pack);
            let operands = Operands { w_x: w_x.as_deref(), w_h: &*w_h, w_p: w_p.as_deref() };
            return self.normalized_forward(norm, params.b.as_slice(), &operands, x, steps, tape);
        }
        let rows = match split(self.path, steps, dims, tape.is_masked() || tape.is_zoned()) {
            Split::Rows(slices) => rows_of_a_step(steps) / slices,
            Split::Units(_) => rows_of_a_step(steps),
        };
        let inside = x.filter(|_| rows >= ROWS_FOR_INPUT || kept(tape) == Keep::States);
        if let (Some(x), None) = (x, inside) {
            let source = Source::Transposed(params.w_x.as_slice());
            let panels = self.packed(inputs, params.w_x.rows(), source);
            let a = tape.a.as_mut_slice();
            product(self.path, x.as_slice(), &panels, Accumulate::Replace, a);
        }
        let (w_h, w_x) = rayon::join(
            || self.packed_gates(params.w_h.as_slice(), hidden, width),
            || inside.map(|_| self.packed_gates(params.w_x.as_slice(), hidden, inputs)),
        );
        let input = match (inside, &w_x) {
            (Some(x), Some(w_x)) => Input::Rows { x: x.as_slice(), inputs, w_x },
            _ => Input::Product,
        };
        let (b, p) = (params.b.as_slice(), slice_of(&params.p));
        let weights = Weights { cell, hidden, input, w_h: &w_h, width, b, p };
        let w_p = params
            .w_p
            .as_ref()
            .map(|w_p| self.packed(hidden, width, Source::Transposed(w_p.as_slice())));
        self.run_forward(weights, w_p.as_deref(), steps, tape);
    }

    /// All steps of a batch that has some, with weights that are packed by gates and a projection as
    /// right operand.
    fn run_forward(
        &self,
        weights: Weights<'_>,
        w_p: Option<&Panels>,
        steps: &Steps,
        tape: &mut RecurrentTape<Matrix<f32>>,
    ) {
        let keep = kept(tape);
        let has_input = matches!(weights.input, Input::Rows { .. });
        assert!(keep == Keep::Gates || has_input, "without an input the tape keeps the gates");
        let Weights { cell, hidden, width, .. } = weights;
        let dims = RecurrentDims { cell, input: 0, hidden, projection: w_p.map(Panels::columns) };
        let [mut no_a, mut no_q] = [[], []];
        let mask_width = mask_width(tape, steps, width);
        let zoned = is_zoned(tape, steps, [dims.cell_width(), width]);
        let split = split(self.path, steps, dims, mask_width > 0 || zoned);
        let RecurrentTape { a, q, c, h, m, mask, masked, zone, .. } = tape;
        let [new_c_width, new_h_width] = [zone.c.columns(), zone.h.columns()];
        let (a, q) = match keep {
            Keep::Gates => (a.as_mut_slice(), q.as_mut_slice()),
            Keep::States => (&mut no_a[..], &mut no_q[..]),
        };
        let kept_of = |columns: usize| if keep == Keep::Gates { columns } else { 0 };
        let buffers = [
            Shared::positions(steps, kept_of(cell.gates() * hidden), a),
            Shared::slots(steps, dims.cell_width(), c.as_mut_slice()),
            Shared::slots(steps, width, h.as_mut_slice()),
            Shared::positions(steps, kept_of(if cell == Cell::Gru { hidden } else { 0 }), q),
            Shared::positions(steps, if w_p.is_some() { hidden } else { 0 }, m.as_mut_slice()),
            Shared::positions(steps, mask_width, masked.as_mut_slice()),
            Shared::positions(steps, new_c_width, zone.c.as_mut_slice()),
            Shared::positions(steps, new_h_width, zone.h.as_mut_slice()),
        ];
        let (cells, made_h) =
            if zoned { (forward::NEW_C, forward::NEW_H) } else { (forward::C, forward::H) };
        let shown = if w_p.is_some() { forward::M } else { made_h };
        in_turns(steps, 0..steps.count(), hidden, split, Order::Rising, buffers, |mut turn| {
            let (read, of_all) = if mask_width > 0 {
                let h_prev = turn.done(forward::H);
                let (read, turn) = self.masked_rows(&mut turn, mask, h_prev, forward::MASKED);
                (Some(read), turn)
            } else {
                (None, &turn)
            };
            self.path.run(StepForward { turn: of_all, weights, read, keep, shown, cells });
            if let Some(w_p) = w_p {
                let [m, h] = turn.rows_mut([forward::M, made_h]);
                block(self.path, Left::plain(m, hidden), w_p, Accumulate::Replace, h);
            }
            if zoned {
                let (position, c_prev, h_prev) =
                    (turn.position(), turn.done(forward::C), turn.done(forward::H));
                let [c, h, new_c, new_h] =
                    turn.rows_mut([forward::C, forward::H, forward::NEW_C, forward::NEW_H]);
                self.enter(&zone.u_c, position, c_prev, new_c, c);
                self.enter(&zone.u_h, position, h_prev, new_h, h);
            }
        });
    }

    /// Undoes [`Cpu::recurrent_forward`]. Where the tape keeps the states alone, the gates of each stretch
    /// are made again, to the last bit as they were.
    ///
    /// | argument | shape | on entry | on return |
    /// |---|---|---|---|
    /// | `dh_above` | `[N, R]` | ∂L/∂h as far as it comes from above | untouched |
    /// | `grads` | as `params` | gradients so far | added to (`w_x` only with `x`) |
    /// | `dz` | `[N, G·H]` | anything | gradient of the pre-activations |
    /// | `dx` | `[N, I]` | anything | gradient of the input |
    /// | `start` | `[B, R]`, `[B, H]` | anything | gradient of the start, where it is wanted |
    ///
    /// # Panics
    ///
    /// Where the shapes do not fit.
    #[allow(clippy::too_many_arguments)]
    pub fn recurrent_backward(
        &self,
        params: &RecurrentParams<Matrix<f32>>,
        x: Option<&Matrix<f32>>,
        steps: &Steps,
        tape: &RecurrentTape<Matrix<f32>>,
        dh_above: &Matrix<f32>,
        grads: &mut RecurrentParams<Matrix<f32>>,
        dz: &mut Matrix<f32>,
        mut dx: Option<&mut Matrix<f32>>,
        mut start: Option<&mut RecurrentStart<Matrix<f32>>>,
    ) {
        let dims = checked(params, x.is_some());
        let RecurrentDims { cell, hidden, .. } = dims;
        let (gates, width) = (cell.gates() * hidden, dims.width());
        let (positions, batch) = (steps.positions(), steps.batch());
        assert_eq!(dh_above.shape(), [positions, width], "dh_above is [N, R]");
        assert!(dx.is_none() || x.is_some(), "a gradient of the input where there is one");
        dz.resize(positions, gates);
        if let Some(dx) = dx.as_deref_mut() {
            dx.resize(positions, params.w_x.columns());
        }
        if let Some(start) = start.as_deref_mut() {
            start.dh_0.resize(batch, width);
            start.dc_0.resize(batch, dims.cell_width());
        }
        if cell == Cell::LayerNorm && positions > 0 {
            self.normalized_backward(params, x, steps, tape, dh_above, grads, dz, dx, start);
            return;
        }
        // What is handed on from step to step beside the products ends, as they do, at the start.
        let carried = if cell == Cell::Rnn { 0 } else { hidden };
        let mut unwanted = self.scratch.buffer(if start.is_some() { 0 } else { batch * carried });
        let carry = match start.as_deref_mut() {
            Some(_) if cell == Cell::Rnn => &mut unwanted[..],
            Some(RecurrentStart { dh_0, .. }) if cell == Cell::Gru => dh_0.as_mut_slice(),
            Some(RecurrentStart { dc_0, .. }) => dc_0.as_mut_slice(),
            None => &mut unwanted[..],
        };
        carry.fill(0.0);
        if positions == 0 {
            return;
        }
        let pack =
            |w: &Matrix<f32>| self.packed(w.rows(), w.columns(), Source::Plain(w.as_slice()));
        let (w_h, w_x) =
            rayon::join(|| pack(&params.w_h), || dx.is_some().then(|| pack(&params.w_x)));
        let w_p = params.w_p.as_ref().map(pack);
        let again = (tape.a.rows() == 0).then(|| {
            let x = x.expect("without an input the tape keeps the gates");
            Again::new(self, params, x, steps, tape)
        });
        let mut dq = self.scratch.buffer(if cell == Cell::Gru { positions * hidden } else { 0 });
        // Of a turn whose dh has to be whole before its cells are undone.
        let mask_width = mask_width(tape, steps, width);
        let zoned = is_zoned(tape, steps, [dims.cell_width(), width]);
        let whole = if w_p.is_some() || mask_width > 0 || zoned { width } else { 0 };
        let [rest_c_width, rest_h_width] = if zoned { [dims.cell_width(), width] } else { [0, 0] };
        let mut rest_c = self.scratch.buffer(batch * rest_c_width);
        let mut rest_h = self.scratch.buffer(batch * rest_h_width);
        rest_h.fill(0.0);
        let mut dh = self.scratch.buffer(positions * whole);
        let split = split(self.path, steps, dims, mask_width > 0 || zoned);
        let mut end = steps.count();
        while end > 0 {
            let range = stretch(steps, gates, end);
            let first = steps.range(range.start).start;
            let made = again.as_ref().map(|again| again.gates(range.clone()));
            let kept = Kept {
                cell,
                hidden,
                gates: match &made {
                    Some((a, q)) => Gates { a, q, first },
                    None => Gates { a: tape.a.as_slice(), q: tape.q.as_slice(), first: 0 },
                },
                states: if cell.has_cell_state() { &tape.c } else { &tape.h },
                p: slice_of(&params.p),
                made: cells_made(tape, steps),
            };
            let buffers = [
                Shared::positions(steps, gates, dz.as_mut_slice()),
                Shared::batch(steps, carried, carry),
                Shared::positions(steps, if cell == Cell::Gru { hidden } else { 0 }, &mut dq),
                Shared::positions(steps, whole, &mut dh),
                Shared::batch(steps, rest_h_width, &mut rest_h),
                Shared::batch(steps, rest_c_width, &mut rest_c),
            ];
            in_turns(steps, range.clone(), hidden, split, Order::Falling, buffers, |mut turn| {
                let w_h = &*w_h;
                let (from, of_all) = if whole > 0 {
                    self.arrivals(&mut turn, cell, dh_above, w_h, &tape.mask);
                    if zoned {
                        self.leave_states(&mut turn, cell, &tape.zone);
                    }
                    let (dh, turn) = turn.rows_apart(backward::DH);
                    let from = match &w_p {
                        Some(w_p) => From::Projection { dh, w_p },
                        None => From::AboveAndAfter { dh_above: dh, w_h, whole: true },
                    };
                    (from, turn)
                } else {
                    let rows = turn.position() * width..(turn.position() + turn.active()) * width;
                    let dh_above = &dh_above.as_slice()[rows];
                    (From::AboveAndAfter { dh_above, w_h, whole: false }, &turn)
                };
                self.path.run(StepBackward { turn: of_all, kept, from });
                if zoned {
                    self.rejoin_cells(&mut turn, cell);
                }
            });
            let stretch = Stretch {
                steps,
                range: range.clone(),
                x,
                tape,
                dz: dz.as_slice(),
                recurrent: match cell {
                    Cell::Gru => Recurrent::Candidate(&dq),
                    _ => Recurrent::Same,
                },
            };
            let dx = dx.as_deref_mut().zip(w_x.as_deref());
            self.add_stretch(&stretch, grads, dx);
            if let Some(dw_p) = &mut grads.w_p {
                self.add_projection(&stretch, &dh, dw_p);
            }
            if let Some(dp) = &mut grads.p {
                self.add_peepholes(&stretch, dp);
            }
            end = range.start;
        }
        if let Some(RecurrentStart { dh_0, .. }) = start {
            let rows = steps.active(0);
            let first = &dz.as_slice()[..rows * gates];
            if mask_width > 0 {
                let mut sent = self.scratch.buffer(rows * width);
                self.sent_back(cell, first, &dq, &w_h, Accumulate::Replace, &mut sent);
                let and_carry =
                    if cell == Cell::Gru { Accumulate::Add } else { Accumulate::Replace };
                self.reach_start(&tape.mask, and_carry, &mut sent, dh_0.as_mut_slice());
            } else if cell == Cell::Gru {
                let mut dz_h = self.scratch.buffer(rows * gates);
                for (to, (dz, dq)) in dz_h
                    .chunks_exact_mut(gates)
                    .zip(first.chunks_exact(gates).zip(dq.chunks_exact(hidden)))
                {
                    to[..2 * hidden].copy_from_slice(&dz[..2 * hidden]);
                    to[2 * hidden..].copy_from_slice(dq);
                }
                product(self.path, &dz_h, &w_h, Accumulate::Add, dh_0.as_mut_slice());
            } else {
                product(self.path, first, &w_h, Accumulate::Replace, dh_0.as_mut_slice());
            }
            self.rejoin(&rest_h, dh_0.as_mut_slice());
        }
    }
}

/// The cell and the sizes, checked.
fn checked(params: &RecurrentParams<Matrix<f32>>, with_input: bool) -> RecurrentDims {
    params.dims(with_input).unwrap_or_else(|error| panic!("{error}"))
}

/// The entries of a tensor, none where it is absent.
fn slice_of(tensor: &Option<Matrix<f32>>) -> &[f32] {
    tensor.as_ref().map_or(&[], Matrix::as_slice)
}

/// What a tape has room for.
fn kept(tape: &RecurrentTape<Matrix<f32>>) -> Keep {
    if tape.a.rows() == 0 { Keep::States } else { Keep::Gates }
}

/// How the threads at hand share a batch. Parts of units are whole panels of every path; a projection
/// and whatever else works on `whole` rows want all units of these in one hand.
fn split(path: Path, steps: &Steps, dims: RecurrentDims, whole: bool) -> Split {
    /// Units in a panel of the widest path.
    const PANEL: usize = 32;
    /// Parts of a step for each thread, so that no one waits long for the last of them.
    const PARTS: usize = 8;
    let threads = rayon::current_num_threads();
    let RecurrentDims { cell, hidden, projection, .. } = dims;
    let weights = cell.gates() * hidden * dims.width() * size_of::<f32>();
    let rows = rows_of_a_step(steps);
    let far = path.width() > 8 && weights > FAR * RESIDENT;
    let few = if far { MANY_ROWS * FEW_ROWS } else { FEW_ROWS };
    let alone = projection.is_none() && !whole;
    if alone && threads > 1 && rows < few * threads && weights > RESIDENT {
        return Split::Units((hidden / (PARTS * threads)).next_multiple_of(PANEL).max(PANEL));
    }
    Split::Rows(slices(steps, weights / size_of::<f32>()))
}

/// Slices of rows, where a step multiplies with so many weights: several for each thread, so that one
/// which is slow for a while delays no one, but whole tiles; weights that have to come from afar want
/// more rows to serve.
fn slices(steps: &Steps, weights: usize) -> usize {
    let threads = rayon::current_num_threads();
    let per_thread = steps.batch().div_ceil(threads);
    let from_afar = weights * size_of::<f32>() > RESIDENT;
    let height = if from_afar { 16.max(per_thread / 4) } else { 6.max(per_thread / 8) };
    threads * per_thread.div_ceil(height.min(ROWS_PER_SLICE))
}

/// Rows of a step, on the average over steps: many steps with a few long rows are what takes time
/// where threads cannot share them, or where each of them reads `w_x`, however wide the first ones are.
/// (Averaged over positions, lengths as sessions have them took up to a fifth longer.)
fn rows_of_a_step(steps: &Steps) -> usize {
    steps.positions() / steps.count()
}

/// The stretch of steps that ends at `end`.
fn stretch(steps: &Steps, gates: usize, end: usize) -> Range<usize> {
    let most = POSITIONS_PER_STRETCH.max(ENTRIES_PER_STRETCH / gates.max(1));
    let last = steps.range(end - 1).end;
    let fits = |t: &usize| last - steps.range(*t).start <= most;
    let begin = (0..end - 1).rev().take_while(fits).last().unwrap_or(end - 1);
    begin..end
}

/// Whether all of these states are zero, as where sessions begin: then their recurrent products
/// need not be made. With finite weights they would change at most the sign of a zero.
fn starts_from_zero(states: &[f32]) -> bool {
    states.iter().all(|&h| h == 0.0)
}
