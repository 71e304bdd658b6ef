//! What the pre-activations' gradients of a stretch of steps give to weights, bias and input.

use super::starts_from_zero;
use crate::Cpu;
use crate::panel::{Panels, Source};
use crate::product::{Sum, add_pass, product};
use crate::scratch::Buffer;
use crate::simd::{Kernel, Lanes, Left};
use layout::{Accumulate, GATES, LstmParams, LstmTape, Matrix, Steps};
use rayon::prelude::*;
use std::ops::Range;

/// Rows of the weights' gradients that are made at a time: whole tiles of every path.
const ROWS_PER_BLOCK: usize = 24;
/// Tasks for each thread, of whole blocks, so that none waits long for the last of them.
const TASKS_PER_THREAD: usize = 8;
/// Positions that a task takes in one pass: a block's columns of dz, packed, stay in the first-level
/// cache.
const POSITIONS_PER_PASS: usize = 192;
/// Entries of a packed block.
const BLOCK: usize = ROWS_PER_BLOCK * POSITIONS_PER_PASS;
/// Columns of x and h that all blocks of a pass take before the next ones: they stay in the
/// second-level cache. Whole panels of every path.
const COLUMNS_AT_ONCE: usize = 256;
/// Positions in a partial sum of the bias' gradient: short chains round little.
const ROWS_PER_SUM: usize = 16;

/// A stretch of steps whose dz is there.
pub(super) struct Stretch<'a> {
    pub(super) steps: &'a Steps,
    pub(super) range: Range<usize>,
    pub(super) hidden: usize,
    pub(super) x: Option<&'a Matrix<f32>>,
    pub(super) tape: &'a LstmTape<Matrix<f32>>,
    pub(super) dz: &'a Matrix<f32>,
}

impl Stretch<'_> {
    fn positions(&self) -> Range<usize> {
        self.steps.range(self.range.start).start..self.steps.range(self.range.end - 1).end
    }
}

/// The states that the steps `range` start from, a row a position: where they lie one after the other,
/// as where no row ends, or else copied.
pub(super) fn states_before<'s, 'b: 's>(
    cpu: &'b Cpu,
    steps: &Steps,
    range: Range<usize>,
    h: &'s Matrix<f32>,
    copied: &'s mut Buffer<'b, f32>,
) -> &'s [f32] {
    let hidden = h.columns();
    let positions = steps.range(range.end - 1).end - steps.range(range.start).start;
    let together = (range.start..range.end - 1).all(|t| steps.slot(t).len() == steps.active(t));
    if together {
        return &h.as_slice()[steps.slot(range.start).start * hidden..][..positions * hidden];
    }
    *copied = cpu.scratch.buffer(positions * hidden);
    let mut rest = &mut copied[..];
    for t in range {
        let (to, later) = rest.split_at_mut(steps.active(t) * hidden);
        to.copy_from_slice(&h.as_slice()[steps.slot(t).start * hidden..][..to.len()]);
        rest = later;
    }
    copied
}

impl Cpu {
    /// `dw += dzᵀ·[x | h_prev]`, `db += Σ dz` and `dx = dz·w_x` over the positions of a stretch; `dx`
    /// comes with `w_x` as right operand.
    pub(super) fn add_stretch(
        &self,
        stretch: &Stretch<'_>,
        grads: &mut LstmParams<Matrix<f32>>,
        dx: Option<(&mut Matrix<f32>, &Panels)>,
    ) {
        let Stretch { steps, ref range, hidden, x, tape, dz } = *stretch;
        let positions = stretch.positions();
        let mut copied = self.scratch.buffer(0);
        let h_prev = states_before(self, steps, range.clone(), &tape.h, &mut copied);
        // Rows that start from zero add nothing to w_h at their first step.
        let rows = steps.active(0);
        let begins = range.start == 0 && starts_from_zero(&h_prev[..rows * hidden]);
        let first = if begins { rows } else { 0 };
        let h_prev = &h_prev[first * hidden..];
        let x = x.filter(|x| x.columns() > 0);
        let (x_panels, h_panels) = rayon::join(
            || {
                x.map(|x| {
                    let x = &x.as_slice()[positions.start * x.columns()..];
                    let inputs = grads.w_x.columns();
                    self.packed(positions.len(), inputs, Source::Plain(x))
                })
            },
            || self.packed(positions.len() - first, hidden, Source::Plain(h_prev)),
        );
        let dz_rows =
            &dz.as_slice()[positions.start * GATES * hidden..][..positions.len() * GATES * hidden];
        let h = (&*h_panels, first);
        let tasks = TASKS_PER_THREAD * rayon::current_num_threads();
        let height = (GATES * hidden / tasks).next_multiple_of(ROWS_PER_BLOCK).max(ROWS_PER_BLOCK);
        // Room for every task: which of them run at the same time is not known beforehand.
        let room = height * POSITIONS_PER_PASS;
        let mut packed = self.scratch.buffer((GATES * hidden).div_ceil(height) * room);
        let task = |k: usize,
                    (packed, db): (&mut [f32], &mut [f32]),
                    dw_x: &mut [f32],
                    dw_h: &mut [f32]| {
            let (dz, stride, x) = (dz_rows, GATES * hidden, x_panels.as_deref());
            let first = k * height;
            self.path.run(AddRows { packed, dz, stride, first, x, h, dw_x, dw_h, db });
        };
        let LstmParams { w_x: dw_x, w_h: dw_h, b: db } = grads;
        let inputs = x.map_or(0, Matrix::columns);
        let dw_h = dw_h.as_mut_slice().par_chunks_mut(height * hidden);
        let room_and_db = packed.par_chunks_mut(room).zip(db.as_mut_slice().par_chunks_mut(height));
        let rest = dw_h.zip(room_and_db).enumerate();
        // Neither needs the other: threads go from one to the next without waiting.
        rayon::join(
            || match inputs {
                0 => rest
                    .with_max_len(1)
                    .for_each(|(k, (dw_h, packed_db))| task(k, packed_db, &mut [], dw_h)),
                _ => {
                    let dw_x = dw_x.as_mut_slice().par_chunks_mut(height * inputs);
                    dw_x.zip(rest).with_max_len(1).for_each(|(dw_x, (k, (dw_h, packed_db)))| {
                        task(k, packed_db, dw_x, dw_h);
                    });
                }
            },
            || {
                if let Some((dx, w_x)) = dx {
                    let columns = dx.columns();
                    let dx =
                        &mut dx.as_mut_slice()[positions.start * columns..positions.end * columns];
                    product(self.path, dz_rows, w_x, Accumulate::Replace, dx);
                }
            },
        );
    }
}

/// Some rows of the weights' gradients, which are columns of dz.
struct AddRows<'a> {
    /// Room for the columns of a pass: `[block][position][ROWS_PER_BLOCK]`.
    packed: &'a mut [f32],
    /// `[K, 4H]`, rows `stride` apart.
    dz: &'a [f32],
    stride: usize,
    /// The first column of dz.
    first: usize,
    /// x as right operand, `[K, I]`.
    x: Option<&'a Panels>,
    /// The states before each step as right operand, without so many positions at the beginning.
    h: (&'a Panels, usize),
    dw_x: &'a mut [f32],
    dw_h: &'a mut [f32],
    db: &'a mut [f32],
}

impl Kernel for AddRows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { packed, dz, stride, first, x, h: (h, h_first), dw_x, dw_h, db } = self;
        let positions = dz.len() / stride;
        for from in (0..positions).step_by(POSITIONS_PER_PASS) {
            let count = POSITIONS_PER_PASS.min(positions - from);
            let dz = &dz[from * stride..(from + count) * stride];
            // Of the states, some positions may be left out at the beginning.
            let skipped = h_first.saturating_sub(from).min(count);
            let k =
                (from + skipped).saturating_sub(h_first)..(from + count).saturating_sub(h_first);
            pack(dz, stride, first..first + db.len(), packed);
            for (packed, db) in packed.chunks(BLOCK).zip(db.chunks_mut(ROWS_PER_BLOCK)) {
                add_sums(lanes, &packed[..count * ROWS_PER_BLOCK], db);
            }
            let of_x = x.map(|x| (x, from..from + count, 0, &mut *dw_x));
            let of_h = Some((h, k, skipped, &mut *dw_h));
            // A loop over both, so that the tiles are compiled once.
            for (b, k, skipped, dw) in [of_x, of_h].into_iter().flatten() {
                for column in (0..b.columns()).step_by(COLUMNS_AT_ONCE) {
                    let columns = column..b.columns().min(column + COLUMNS_AT_ONCE);
                    let rows = dw.chunks_mut(ROWS_PER_BLOCK * b.columns());
                    for (packed, dw) in packed.chunks(BLOCK).zip(rows) {
                        let left = Left::plain(packed, 0);
                        let left = Left { row_stride: 1, k_stride: ROWS_PER_BLOCK, ..left };
                        let left = left.from(0, skipped);
                        add_pass(lanes, left, b, k.clone(), columns.clone(), Sum::Apart, dw);
                    }
                }
            }
        }
    }
}

/// Some columns of dz become `[block][position][ROWS_PER_BLOCK]`.
#[inline(always)]
fn pack(dz: &[f32], stride: usize, columns: Range<usize>, packed: &mut [f32]) {
    for (position, row) in dz.chunks_exact(stride).enumerate() {
        let rows = row[columns.clone()].chunks(ROWS_PER_BLOCK);
        for (row, to) in rows.zip(packed.chunks_exact_mut(BLOCK)) {
            let to = &mut to[position * ROWS_PER_BLOCK..][..ROWS_PER_BLOCK];
            // A copy of a fixed length is a few registers, any other a call.
            if row.len() == ROWS_PER_BLOCK {
                to.copy_from_slice(&row[..ROWS_PER_BLOCK]);
            } else {
                to[..row.len()].copy_from_slice(row);
            }
        }
    }
}

/// The columns of a packed block are added to their sums.
#[inline(always)]
fn add_sums<L: Lanes>(lanes: L, packed: &[f32], sums: &mut [f32]) {
    for (v, sums) in sums.chunks_mut(L::WIDTH).enumerate() {
        let mut sum = lanes.splat(0.0);
        for rows in packed.chunks(ROWS_PER_SUM * ROWS_PER_BLOCK) {
            let mut some = lanes.splat(0.0);
            for row in rows.chunks_exact(ROWS_PER_BLOCK) {
                some = lanes.add(some, lanes.load_partial(&row[v * L::WIDTH..]));
            }
            sum = lanes.add(sum, some);
        }
        lanes.store_partial(lanes.add(lanes.load_partial(sums), sum), sums);
    }
}
