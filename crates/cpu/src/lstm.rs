//! A whole LSTM layer over a batch. Equations: `reference::sequence_forward` and `_backward`.
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
//! The cell is the epilogue of the products of a step, in registers. Backward, only what is as serial
//! as the recurrence itself runs step by step. The weight gradients need nothing of the step before:
//! they are large products over all positions of a stretch, taken while its `dz` is in the caches.
//!
//! `simd::turns` says how threads share a batch: by rows, which wait for nobody, or, where rows are
//! few and weights are large, by units. Where rows start from zero, the recurrent product of their
//! first step, forward and backward, is left out.
//!
//! Reading order: this file, `forward`, `packed`, `backward`, `gradients`, `again`.

mod again;
mod backward;
mod forward;
mod gradients;
mod packed;

pub use packed::PackedLstm;

use crate::panel::Source;
use crate::product::product;
use crate::simd::{Order, Shared, Split, in_turns};
use crate::{Cpu, Path};
use again::Again;
use backward::{Gates, StepBackward};
use forward::{Input, StepForward};
use gradients::Stretch;
use layout::{Accumulate, GATES, Keep, LstmParams, LstmStart, LstmTape, Matrix, Steps};
use std::ops::Range;

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
    /// | `tape.a` | `[N, 4H]` | anything, or `x·w_xᵀ` | activated gates `i f g o` |
    /// |  | `[0, 4H]` | a tape that keeps the states alone: only with `x` | untouched |
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
        let inputs = if x.is_some() { params.w_x.columns() } else { 0 };
        if let Some(x) = x {
            assert_eq!(x.shape(), [steps.positions(), inputs], "x is [N, I]");
        }
        if steps.positions() == 0 {
            return;
        }
        let rows = match split(self.path, steps, hidden) {
            Split::Rows(slices) => rows_of_a_step(steps) / slices,
            Split::Units(_) => rows_of_a_step(steps),
        };
        let inside = x.filter(|_| rows >= ROWS_FOR_INPUT || kept(tape) == Keep::States);
        if let (Some(x), None) = (x, inside) {
            let source = Source::Transposed(params.w_x.as_slice());
            let panels = self.packed(inputs, GATES * hidden, source);
            let a = tape.a.as_mut_slice();
            product(self.path, x.as_slice(), &panels, Accumulate::Replace, a);
        }
        let (w_h, w_x) = rayon::join(
            || self.packed_gates(params.w_h.as_slice(), hidden, hidden),
            || inside.map(|_| self.packed_gates(params.w_x.as_slice(), hidden, inputs)),
        );
        let input = match (inside, &w_x) {
            (Some(x), Some(w_x)) => Input::Rows { x: x.as_slice(), inputs, w_x },
            _ => Input::Product,
        };
        self.run_forward(hidden, input, &w_h, params.b.as_slice(), steps, tape);
    }

    /// All steps of a batch that has some, with weights that are packed by gates.
    fn run_forward(
        &self,
        hidden: usize,
        input: Input<'_>,
        w_h: &[f32],
        b: &[f32],
        steps: &Steps,
        tape: &mut LstmTape<Matrix<f32>>,
    ) {
        let keep = kept(tape);
        let has_input = matches!(input, Input::Rows { .. });
        assert!(keep == Keep::Gates || has_input, "without an input the tape keeps the gates");
        let mut nothing = [];
        let buffers = [
            match keep {
                Keep::Gates => Shared::positions(steps, GATES * hidden, tape.a.as_mut_slice()),
                Keep::States => Shared::positions(steps, 0, &mut nothing),
            },
            Shared::slots(steps, hidden, tape.c.as_mut_slice()),
            Shared::slots(steps, hidden, tape.h.as_mut_slice()),
        ];
        let split = split(self.path, steps, hidden);
        in_turns(steps, 0..steps.count(), hidden, split, Order::Rising, buffers, |turn| {
            self.path.run(StepForward { turn, hidden, input, w_h, b, keep });
        });
    }

    /// Undoes [`Cpu::lstm_forward`]. Where the tape keeps the states alone, the gates of each stretch
    /// are made again, to the last bit as they were.
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
        mut dx: Option<&mut Matrix<f32>>,
        mut start: Option<&mut LstmStart<Matrix<f32>>>,
    ) {
        let hidden = hidden_units(params, x.is_some());
        assert_eq!(dh_above.shape(), [steps.positions(), hidden], "dh_above is [N, H]");
        assert!(dx.is_none() || x.is_some(), "a gradient of the input where there is one");
        dz.resize(steps.positions(), GATES * hidden);
        if let Some(dx) = dx.as_deref_mut() {
            dx.resize(steps.positions(), params.w_x.columns());
        }
        let states = steps.batch() * hidden;
        let mut unwanted = self.scratch.buffer(if start.is_some() { 0 } else { states });
        let dc_carry = match start.as_deref_mut() {
            Some(start) => {
                start.dh_0.resize(steps.batch(), hidden);
                start.dc_0.resize(steps.batch(), hidden);
                start.dc_0.as_mut_slice()
            }
            None => &mut unwanted[..],
        };
        dc_carry.fill(0.0);
        if steps.positions() == 0 {
            return;
        }
        let source = Source::Plain(params.w_x.as_slice());
        let (w_h, w_x) = rayon::join(
            || self.packed(GATES * hidden, hidden, Source::Plain(params.w_h.as_slice())),
            || dx.is_some().then(|| self.packed(GATES * hidden, params.w_x.columns(), source)),
        );
        let again = (tape.a.rows() == 0).then(|| {
            let x = x.expect("without an input the tape keeps the gates");
            Again::new(self, params, x, steps, &tape.h)
        });
        let split = split(self.path, steps, hidden);
        let mut end = steps.count();
        while end > 0 {
            let range = stretch(steps, hidden, end);
            let first = steps.range(range.start).start;
            let made = again
                .as_ref()
                .map(|again| again.gates(first..steps.range(end - 1).end, range.clone()));
            let gates = match &made {
                Some(made) => Gates { a: made, first },
                None => Gates { a: tape.a.as_slice(), first: 0 },
            };
            let buffers = [
                Shared::positions(steps, GATES * hidden, dz.as_mut_slice()),
                Shared::batch(steps, hidden, dc_carry),
            ];
            in_turns(steps, range.clone(), hidden, split, Order::Falling, buffers, |turn| {
                self.path.run(StepBackward {
                    turn,
                    hidden,
                    gates,
                    c: &tape.c,
                    dh_above,
                    w_h: &w_h,
                });
            });
            let stretch = Stretch { steps, range: range.clone(), hidden, x, tape, dz };
            let dx = dx.as_deref_mut().zip(w_x.as_deref());
            self.add_stretch(&stretch, grads, dx);
            end = range.start;
        }
        if let Some(start) = start {
            let first = &dz.as_slice()[..steps.active(0) * GATES * hidden];
            product(self.path, first, &w_h, Accumulate::Replace, start.dh_0.as_mut_slice());
        }
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

/// What a tape has room for.
fn kept(tape: &LstmTape<Matrix<f32>>) -> Keep {
    if tape.a.rows() == 0 { Keep::States } else { Keep::Gates }
}

/// How the threads at hand share a batch. Parts of units are whole panels of every path.
fn split(path: Path, steps: &Steps, hidden: usize) -> Split {
    /// Units in a panel of the widest path.
    const PANEL: usize = 32;
    /// Parts of a step for each thread, so that no one waits long for the last of them.
    const PARTS: usize = 8;
    let threads = rayon::current_num_threads();
    let weights = GATES * hidden * hidden * size_of::<f32>();
    let rows = rows_of_a_step(steps);
    let far = path.width() > 8 && weights > FAR * RESIDENT;
    let few = if far { MANY_ROWS * FEW_ROWS } else { FEW_ROWS };
    if threads > 1 && rows < few * threads && weights > RESIDENT {
        return Split::Units((hidden / (PARTS * threads)).next_multiple_of(PANEL).max(PANEL));
    }
    // Several slices for each thread, so that one which is slow for a while delays no one, but whole
    // tiles; weights that have to come from afar want more rows to serve.
    let per_thread = steps.batch().div_ceil(threads);
    let height = if weights > RESIDENT { 16.max(per_thread / 4) } else { 6.max(per_thread / 8) };
    Split::Rows(threads * per_thread.div_ceil(height.min(ROWS_PER_SLICE)))
}

/// Rows of a step, on the average over steps: many steps with a few long rows are what takes time
/// where threads cannot share them, or where each of them reads `w_x`, however wide the first ones are.
/// (Averaged over positions, lengths as sessions have them took up to a fifth longer.)
fn rows_of_a_step(steps: &Steps) -> usize {
    steps.positions() / steps.count()
}

/// The stretch of steps that ends at `end`.
fn stretch(steps: &Steps, hidden: usize, end: usize) -> Range<usize> {
    let most = POSITIONS_PER_STRETCH.max(ENTRIES_PER_STRETCH / (GATES * hidden).max(1));
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

#[cfg(test)]
mod tests {
    use super::*;
    use layout::LstmDims;
    use testkit::wave_matrix as wave;

    /// Everything that a layer leaves behind.
    fn run(cpu: &Cpu, steps: &Steps, dims: LstmDims, keep: Keep) -> Vec<Matrix<f32>> {
        let LstmDims { input, hidden } = dims;
        let params = LstmParams {
            w_x: wave(GATES * hidden, input, 0.1),
            w_h: wave(GATES * hidden, hidden, 0.2),
            b: wave(1, GATES * hidden, 0.3),
        };
        let x = wave(steps.positions(), input, 0.4);
        let dh = wave(steps.positions(), hidden, 0.5);
        let mut tape = LstmTape::default();
        tape.start_keeping(steps, hidden, keep);
        let mut grads = LstmParams::zeros(dims);
        let (mut dz, mut dx, mut start) = Default::default();
        cpu.run(|| {
            cpu.lstm_forward(&params, Some(&x), steps, &mut tape);
            let (dx, start) = (Some(&mut dx), Some(&mut start));
            cpu.lstm_backward(&params, Some(&x), steps, &tape, &dh, &mut grads, &mut dz, dx, start);
        });
        let LstmStart { dh_0, dc_0 } = start;
        vec![tape.h, tape.c, dz, dx, grads.w_x, grads.w_h, grads.b, dh_0, dc_0]
    }

    /// The gates made again are those that were kept; and large weights, which a team shares unit by
    /// unit, give what they give to a single thread.
    #[test]
    fn neither_what_is_kept_nor_how_work_is_cut_changes_a_bit() {
        for path in Path::available() {
            for (steps, dims) in [
                (Steps::uniform(5, 3), LstmDims { input: 3, hidden: 5 }),
                (Steps::from_lengths(&[9, 7, 7, 2, 1]), LstmDims { input: 9, hidden: 33 }),
                (Steps::uniform(60, 40), LstmDims { input: 6, hidden: 161 }),
                (Steps::from_lengths(&[4, 4, 2]), LstmDims { input: 6, hidden: 161 }),
            ] {
                let machines = [1, 2, 3].map(|threads| Cpu::with_path(threads, path).unwrap());
                let expected = run(&machines[0], &steps, dims, Keep::Gates);
                for cpu in &machines {
                    for keep in [Keep::Gates, Keep::States] {
                        let found = run(cpu, &steps, dims, keep);
                        assert!(found == expected, "{path:?} {dims:?} {keep:?} {}", cpu.threads());
                    }
                }
            }
        }
    }

    /// Where only the first step has an input and only the last a gradient, both far too small.
    #[test]
    fn what_fades_away_becomes_zero_and_never_denormal() {
        let (steps, dims) = (Steps::uniform(40, 3), LstmDims { input: 4, hidden: 9 });
        let LstmDims { input, hidden } = dims;
        let mut params = LstmParams {
            w_x: wave(GATES * hidden, input, 0.1),
            w_h: wave(GATES * hidden, hidden, 0.2),
            b: Matrix::zeros(1, GATES * hidden),
        };
        params.w_h.as_mut_slice().iter_mut().for_each(|w| *w *= 0.1);
        let mut x = wave(steps.positions(), input, 0.4);
        x.as_mut_slice()[3 * input..].fill(0.0);
        let mut dh = wave(steps.positions(), hidden, 0.5);
        dh.as_mut_slice()[..39 * 3 * hidden].fill(0.0);
        for values in [x.as_mut_slice(), dh.as_mut_slice()] {
            values.iter_mut().for_each(|value| *value *= 1e-22);
        }
        for path in Path::available() {
            let cpu = Cpu::with_path(1, path).unwrap();
            let (mut tape, mut grads) = (LstmTape::default(), LstmParams::zeros(dims));
            tape.start(&steps, hidden);
            let mut dz = Matrix::default();
            cpu.lstm_forward(&params, Some(&x), &steps, &mut tape);
            cpu.lstm_backward(
                &params,
                Some(&x),
                &steps,
                &tape,
                &dh,
                &mut grads,
                &mut dz,
                None,
                None,
            );
            for (name, values) in [("c", &tape.c), ("h", &tape.h), ("dz", &dz)] {
                let values = values.as_slice();
                assert!(
                    values.iter().any(|&value| value != 0.0),
                    "{path:?} {name} is not all zero"
                );
                assert!(values.iter().all(|value| !value.is_subnormal()), "{path:?} {name}");
            }
            assert_eq!(tape.c.row(tape.c.rows() - 1), [0.0; 9], "{path:?}");
            assert_eq!(dz.row(0), [0.0; 36], "{path:?}");
        }
    }

    #[test]
    fn a_team_is_for_few_rows_and_large_weights() {
        for path in Path::available() {
            let cpu = Cpu::with_path(2, path).unwrap();
            let shared_out = |steps: Steps, hidden| {
                matches!(cpu.run(|| split(path, &steps, hidden)), Split::Units(_))
            };
            assert!(shared_out(Steps::from_lengths(&[4, 4, 2]), 161));
            assert!(!shared_out(Steps::uniform(4, 64), 161));
            assert!(!shared_out(Steps::uniform(4, 3), 33));
            // From afar, a core with wide registers cannot have its own copy of them in time.
            assert_eq!(shared_out(Steps::uniform(4, 64), 640), path.width() > 8, "{path:?}");
            assert!(!shared_out(Steps::uniform(4, 400), 640));
        }
    }
}
