//! What the pre-activations' gradients of a stretch of steps give to weights, bias and input.

use super::starts_from_zero;
use crate::Cpu;
use crate::panel::{Panels, Source};
use crate::product::{Sum, add_pass, product};
use crate::scratch::Buffer;
use crate::simd::{Kernel, Lanes, Left};
use layout::{Accumulate, Cell, GATES, Gate, Matrix, RecurrentParams, RecurrentTape, Steps};
use rayon::iter::Either;
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
/// Columns that one task sums up.
const COLUMNS_PER_TASK: usize = 64;
/// Positions in a partial sum of the bias' gradient: short chains round little.
const ROWS_PER_SUM: usize = 16;

/// A stretch of steps whose dz is there.
pub(super) struct Stretch<'a> {
    pub(super) steps: &'a Steps,
    pub(super) range: Range<usize>,
    pub(super) x: Option<&'a Matrix<f32>>,
    pub(super) tape: &'a RecurrentTape<Matrix<f32>>,
    /// The gradient of the input's product, `[N, G·H]`.
    pub(super) dz: &'a [f32],
    pub(super) recurrent: Recurrent<'a>,
}

/// The gradient of the recurrent product.
#[derive(Clone, Copy)]
pub(super) enum Recurrent<'a> {
    /// It is that of the input's.
    Same,
    /// It differs in the block of the GRU's candidate, which is here, `[N, H]`.
    Candidate(&'a [f32]),
    /// It differs, `[N, G·H]`, and the bias' gradient is made elsewhere.
    Apart(&'a [f32]),
}

impl Stretch<'_> {
    pub(super) fn positions(&self) -> Range<usize> {
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

/// The cell states that the steps have made, and which row is the first position's: with zoneout they are
/// not all that the next step starts from.
pub(super) fn cells_made<'s>(
    tape: &'s RecurrentTape<Matrix<f32>>,
    steps: &Steps,
) -> (&'s Matrix<f32>, usize) {
    if tape.is_zoned() { (&tape.zone.c, 0) } else { (&tape.c, steps.batch()) }
}

/// What the recurrent products of the steps `range` have read, a row a position: those states, or what
/// of them has passed the mask.
pub(super) fn read_before<'s, 'b: 's>(
    cpu: &'b Cpu,
    steps: &Steps,
    range: Range<usize>,
    tape: &'s RecurrentTape<Matrix<f32>>,
    copied: &'s mut Buffer<'b, f32>,
) -> &'s [f32] {
    if tape.is_masked() {
        let rows = steps.range(range.start).start..steps.range(range.end - 1).end;
        let width = tape.masked.columns();
        return &tape.masked.as_slice()[rows.start * width..rows.end * width];
    }
    states_before(cpu, steps, range, &tape.h, copied)
}

impl Cpu {
    /// `dw_x += dzᵀ·x`, `dw_h += dz_hᵀ·h_prev`, `db += Σ dz` and `dx = dz·w_x` over the positions of a
    /// stretch; `dx` comes with `w_x` as right operand.
    pub(super) fn add_stretch(
        &self,
        stretch: &Stretch<'_>,
        grads: &mut RecurrentParams<Matrix<f32>>,
        dx: Option<(&mut Matrix<f32>, &Panels)>,
    ) {
        let Stretch { steps, ref range, x, tape, dz, recurrent } = *stretch;
        let positions = stretch.positions();
        let (rows, width) = (grads.w_h.rows(), grads.w_h.columns());
        let mut copied = self.scratch.buffer(0);
        let h_prev = read_before(self, steps, range.clone(), tape, &mut copied);
        // Rows that start from zero add nothing to w_h at their first step.
        let beginning = steps.active(0);
        let begins = range.start == 0 && starts_from_zero(&h_prev[..beginning * width]);
        let first = if begins { beginning } else { 0 };
        let h_prev = &h_prev[first * width..];
        let x = x.filter(|x| x.columns() > 0);
        let (x_panels, h_panels) = rayon::join(
            || {
                x.map(|x| {
                    let x = &x.as_slice()[positions.start * x.columns()..];
                    let inputs = grads.w_x.columns();
                    self.packed(positions.len(), inputs, Source::Plain(x))
                })
            },
            || self.packed(positions.len() - first, width, Source::Plain(h_prev)),
        );
        let of = |values, stride| Columns::of(values, stride, positions.clone());
        let dz = of(dz, rows);
        let right = Right { x: x_panels.as_deref(), h: (&h_panels, first) };
        let RecurrentParams { w_x: dw_x, w_h: dw_h, b: db, .. } = grads;
        let (dw_x, dw_h, db) = (dw_x.as_mut_slice(), dw_h.as_mut_slice(), db.as_mut_slice());
        // Neither needs the other: threads go from one to the next without waiting.
        rayon::join(
            || match recurrent {
                Recurrent::Same => self.add_rows(dz, None, right, dw_x, dw_h, db, &mut []),
                Recurrent::Apart(dz_h) => {
                    let dz_h = Some(of(dz_h, rows));
                    self.add_rows(dz, dz_h, right, dw_x, dw_h, &mut [], &mut []);
                }
                Recurrent::Candidate(dq) => {
                    let hidden = rows / Cell::Gru.gates();
                    let (dw_x, dw_xn) = dw_x.split_at_mut(match right.x {
                        Some(x) => 2 * hidden * x.columns(),
                        None => dw_x.len(),
                    });
                    let (dw_h, dw_hn) = dw_h.split_at_mut(2 * hidden * width);
                    let (db, db_n) = db.split_at_mut(2 * hidden);
                    let (db_n, db_hn) = db_n.split_at_mut(hidden);
                    let candidate = dz.from(2 * hidden);
                    let dq = Some(of(dq, hidden));
                    rayon::join(
                        || self.add_rows(dz, None, right, dw_x, dw_h, db, &mut []),
                        || self.add_rows(candidate, dq, right, dw_xn, dw_hn, db_n, db_hn),
                    );
                }
            },
            || {
                if let Some((dx, w_x)) = dx {
                    let columns = dx.columns();
                    let dx =
                        &mut dx.as_mut_slice()[positions.start * columns..positions.end * columns];
                    product(self.path, dz.values, w_x, Accumulate::Replace, dx);
                }
            },
        );
    }

    /// `dw_p += dhᵀ·m` over the positions of a stretch; `dh` is `[N, P]`.
    pub(super) fn add_projection(&self, stretch: &Stretch<'_>, dh: &[f32], dw_p: &mut Matrix<f32>) {
        let (positions, [width, hidden]) = (stretch.positions(), dw_p.shape());
        let m = &stretch.tape.m.as_slice()[positions.start * hidden..positions.end * hidden];
        let m = self.packed(positions.len(), hidden, Source::Plain(m));
        let dh = Columns::of(dh, width, positions);
        let right = Right { x: None, h: (&m, 0) };
        self.add_rows(dh, None, right, &mut [], dw_p.as_mut_slice(), &mut [], &mut []);
    }

    /// `dp_i += Σ dz_i ⊙ c_prev`, `dp_f += Σ dz_f ⊙ c_prev`, `dp_o += Σ dz_o ⊙ c` over the positions of a
    /// stretch; `dp` is `[3, H]`.
    pub(super) fn add_peepholes(&self, stretch: &Stretch<'_>, dp: &mut Matrix<f32>) {
        let Stretch { steps, ref range, tape, dz, .. } = *stretch;
        let (positions, hidden) = (stretch.positions(), dp.columns());
        let mut copied = self.scratch.buffer(0);
        let c_prev = states_before(self, steps, range.clone(), &tape.c, &mut copied);
        let (made, first) = cells_made(tape, steps);
        let after = first + positions.start..first + positions.end;
        let c = Columns::of(made.as_slice(), hidden, after);
        let c_prev = Columns { values: c_prev, ..c };
        let dz = Columns::of(dz, GATES * hidden, positions);
        let seen = [(Gate::Input, c_prev), (Gate::Forget, c_prev), (Gate::Output, c)];
        for ((gate, seen), dp) in seen.into_iter().zip(dp.as_mut_slice().chunks_mut(hidden)) {
            self.add_column_sums(dz.from(gate as usize * hidden), Some(seen), dp);
        }
    }

    /// `sums[k] += Σ_n y[n, k] · x[n, k]`, or `Σ_n y[n, k]` without an x, over as many columns as there
    /// are sums.
    pub(super) fn add_column_sums(&self, y: Columns<'_>, x: Option<Columns<'_>>, sums: &mut [f32]) {
        sums.par_chunks_mut(COLUMNS_PER_TASK).enumerate().for_each(|(k, sums)| {
            let first = k * COLUMNS_PER_TASK;
            let (y, x) = (y.from(first), x.map(|x| x.from(first)));
            self.path.run(AddColumnSums { y, x, sums });
        });
    }

    /// Some neighbouring rows of the weights' gradients and their part of the biases': of the
    /// recurrent ones, `dz_h` where it is not `dz`. An empty slice is not asked for.
    #[allow(clippy::too_many_arguments)]
    fn add_rows(
        &self,
        dz: Columns<'_>,
        dz_h: Option<Columns<'_>>,
        right: Right<'_>,
        dw_x: &mut [f32],
        dw_h: &mut [f32],
        db: &mut [f32],
        db_h: &mut [f32],
    ) {
        let width = right.h.0.columns();
        let rows = dw_h.len() / width;
        let tasks = TASKS_PER_THREAD * rayon::current_num_threads();
        let height = (rows / tasks).next_multiple_of(ROWS_PER_BLOCK).max(ROWS_PER_BLOCK);
        // Room for every task: which of them run at the same time is not known beforehand.
        let room = height * POSITIONS_PER_PASS;
        let mut packed = self.scratch.buffer(rows.div_ceil(height) * room);
        let tasks = rows.div_ceil(height);
        let dw_x = match right.x {
            Some(x) => pieces(dw_x, height * x.columns(), tasks),
            None => pieces(&mut [], 1, tasks),
        };
        let (db, db_h) = (pieces(db, height, tasks), pieces(db_h, height, tasks));
        let weights = dw_h.par_chunks_mut(height * width).zip(dw_x);
        weights
            .zip(db.zip(db_h))
            .zip(packed.par_chunks_mut(room))
            .enumerate()
            .with_max_len(1)
            .for_each(|(k, (((dw_h, dw_x), (db, db_h)), packed))| {
                let rows = k * height..k * height + dw_h.len() / width;
                self.path.run(AddRows { packed, dz, dz_h, rows, right, dw_x, dw_h, db, db_h });
            });
    }
}

/// Pieces of so many entries, one a task; empty ones where there is nothing to cut.
fn pieces(
    values: &mut [f32],
    size: usize,
    tasks: usize,
) -> impl IndexedParallelIterator<Item = &mut [f32]> {
    match values.is_empty() {
        true => Either::Left((0..tasks).into_par_iter().map(|_| &mut [][..])),
        false => Either::Right(values.par_chunks_mut(size)),
    }
}

/// Columns of a matrix of gradients, a row a position.
#[derive(Clone, Copy)]
pub(super) struct Columns<'a> {
    values: &'a [f32],
    stride: usize,
    /// The first column.
    first: usize,
}

impl<'a> Columns<'a> {
    /// All columns of some positions.
    pub(super) fn of(values: &'a [f32], stride: usize, positions: Range<usize>) -> Self {
        let values = &values[positions.start * stride..positions.end * stride];
        Self { values, stride, first: 0 }
    }

    fn from(self, column: usize) -> Self {
        Self { first: self.first + column, ..self }
    }
}

/// What the columns of gradients are multiplied with.
#[derive(Clone, Copy)]
struct Right<'a> {
    /// x as right operand, `[K, I]`.
    x: Option<&'a Panels>,
    /// The states before each step as right operand, without so many positions at the beginning.
    h: (&'a Panels, usize),
}

/// Some rows of the weights' gradients, which are columns of dz.
struct AddRows<'a> {
    /// Room for the columns of a pass: `[block][position][ROWS_PER_BLOCK]`.
    packed: &'a mut [f32],
    dz: Columns<'a>,
    dz_h: Option<Columns<'a>>,
    rows: Range<usize>,
    right: Right<'a>,
    dw_x: &'a mut [f32],
    dw_h: &'a mut [f32],
    db: &'a mut [f32],
    db_h: &'a mut [f32],
}

impl Kernel for AddRows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { packed, dz, dz_h, rows, right, dw_x, dw_h, db, db_h } = self;
        let Right { x, h: (h, h_first) } = right;
        let positions = dz.values.len() / dz.stride;
        for from in (0..positions).step_by(POSITIONS_PER_PASS) {
            let count = POSITIONS_PER_PASS.min(positions - from);
            // Of the states, some positions may be left out at the beginning.
            let skipped = h_first.saturating_sub(from).min(count);
            let k =
                (from + skipped).saturating_sub(h_first)..(from + count).saturating_sub(h_first);
            let of_x = x.map(|x| (x, from..from + count, 0, &mut *dw_x));
            let of_h = Some((h, k, skipped, &mut *dw_h));
            // A loop over both, so that the tiles are compiled once.
            for (number, operands) in [of_x, of_h].into_iter().enumerate() {
                let (columns, sums) = match (number, dz_h) {
                    (0, _) => (Some(dz), &mut *db),
                    (_, Some(dz_h)) => (Some(dz_h), &mut *db_h),
                    // They are packed already.
                    (_, None) => (None, &mut [][..]),
                };
                if let Some(Columns { values, stride, first }) = columns {
                    let values = &values[from * stride..(from + count) * stride];
                    pack(values, stride, first + rows.start..first + rows.end, packed);
                    let blocks = packed.chunks(BLOCK).zip(sums.chunks_mut(ROWS_PER_BLOCK));
                    for (packed, sums) in blocks {
                        add_sums(lanes, &packed[..count * ROWS_PER_BLOCK], sums);
                    }
                }
                let Some((b, k, skipped, dw)) = operands else { continue };
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

/// Sums over the rows of some columns.
struct AddColumnSums<'a> {
    y: Columns<'a>,
    x: Option<Columns<'a>>,
    sums: &'a mut [f32],
}

impl Kernel for AddColumnSums<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { y, x, sums } = self;
        let rows = y.values.len() / y.stride;
        for (v, sums) in sums.chunks_mut(L::WIDTH).enumerate() {
            let load = |columns: Columns<'_>, row: usize| {
                let at = row * columns.stride + columns.first + v * L::WIDTH;
                lanes.load_partial(&columns.values[at..][..sums.len()])
            };
            let mut sum = lanes.splat(0.0);
            for first in (0..rows).step_by(ROWS_PER_SUM) {
                let mut some = lanes.splat(0.0);
                for row in first..rows.min(first + ROWS_PER_SUM) {
                    some = match x {
                        Some(x) => lanes.mul_add(load(y, row), load(x, row), some),
                        None => lanes.add(some, load(y, row)),
                    };
                }
                sum = lanes.add(sum, some);
            }
            lanes.store_partial(lanes.add(lanes.load_partial(sums), sum), sums);
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
