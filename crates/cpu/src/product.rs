//! Matrix products, cut into blocks of rows that threads share out.
//!
//! ```text
//!     y[m, n] (+)= Σ_k x[m, k] · b[k, n]
//! ```
//!
//! k runs upwards for every entry, in one accumulator, whatever the number of rows or threads: the
//! bits of a row of y depend on that row of x and on b alone.

use crate::panel::Panels;
use crate::simd::{Kernel, Lanes, Left, Path, tile};
use layout::Accumulate;
use rayon::prelude::*;
use std::cell::RefCell;

/// Rows that one task computes, at most: their left operand stays in the second-level cache, and
/// whole tiles of every height (4, 6, 8) fill them.
const ROWS_PER_TASK: usize = 48;
/// k in one pass: a panel of this depth stays in the first-level cache.
const DEPTH_PER_PASS: usize = 256;

thread_local! {
    /// Where a task turns its transposed operand; what it holds means nothing to the next.
    static TURNED: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// The left operand of a product, `[M, K]`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rows<'a> {
    /// `[M, K]`, rows without a gap.
    Plain(&'a [f32]),
    /// `[K, M]`, rows `stride` apart: the operand transposed, as gradients of weights want it.
    Transposed { values: &'a [f32], stride: usize },
}

/// `y = x · b` or `y += x · b`, with as many threads as there are at hand.
///
/// `y` is `[M, N]` without a gap.
pub(crate) fn product(path: Path, x: Rows<'_>, b: &Panels, accumulate: Accumulate, y: &mut [f32]) {
    let (depth, columns) = (b.depth(), b.columns());
    if columns == 0 || y.is_empty() {
        return;
    }
    // A small result, such as the gradient of a weight, is cut finer, so that all threads get work.
    let height =
        if y.len() / columns > 16 * ROWS_PER_TASK { ROWS_PER_TASK } else { ROWS_PER_TASK / 2 };
    y.par_chunks_mut(height * columns).enumerate().for_each(|(task, y)| {
        let first = task * height;
        let x = match x {
            Rows::Plain(values) => Rows::Plain(&values[first * depth..]),
            Rows::Transposed { values, stride } => {
                Rows::Transposed { values: &values[first.min(values.len())..], stride }
            }
        };
        block(path, x, b, accumulate, y);
    });
}

/// The same on one thread, for a caller that has cut its work already.
pub(crate) fn block(path: Path, x: Rows<'_>, b: &Panels, accumulate: Accumulate, y: &mut [f32]) {
    if b.depth() == 0 {
        if accumulate == Accumulate::Replace {
            y.fill(0.0);
        }
        return;
    }
    match x {
        Rows::Plain(_) => path.run(Block { x, b, accumulate, turned: &mut [], y }),
        Rows::Transposed { .. } => {
            TURNED.with_borrow_mut(|turned| {
                turned.resize(ROWS_PER_TASK * DEPTH_PER_PASS, 0.0);
                path.run(Block { x, b, accumulate, turned, y });
            });
        }
    }
}

struct Block<'a> {
    x: Rows<'a>,
    b: &'a Panels,
    accumulate: Accumulate,
    /// A transposed operand is turned here once per pass, so that a tile reads it without a stride.
    turned: &'a mut [f32],
    y: &'a mut [f32],
}

impl Kernel for Block<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { x, b, accumulate, turned, y } = self;
        let (depth, columns) = (b.depth(), b.columns());
        let rows = y.len() / columns;
        for from in (0..depth).step_by(DEPTH_PER_PASS) {
            let pass = DEPTH_PER_PASS.min(depth - from);
            let add = from > 0 || accumulate == Accumulate::Add;
            for top in (0..rows).step_by(ROWS_PER_TASK) {
                let rows = ROWS_PER_TASK.min(rows - top);
                let left = match x {
                    Rows::Plain(values) => Left {
                        values: &values[top * depth + from..],
                        row_stride: depth,
                        k_stride: 1,
                    },
                    Rows::Transposed { values, stride } => {
                        let from = &values[from * stride + top..];
                        turn::<L>(from, stride, rows, pass, turned);
                        Left { values: turned, row_stride: 1, k_stride: L::ROWS_OF_TWO }
                    }
                };
                for (first, vectors, panel) in b.iter(L::WIDTH) {
                    let panel = &panel[from * vectors * L::WIDTH..];
                    for r in (0..rows).step_by(L::ROWS_OF_TWO) {
                        let rows = L::ROWS_OF_TWO.min(rows - r);
                        // A turned operand lies tile after tile, each `[k][ROWS_OF_TWO]`.
                        let start = if left.k_stride == 1 { r * left.row_stride } else { r * pass };
                        let left = Left { values: &left.values[start..], ..left };
                        let y = &mut y[(top + r) * columns + first..];
                        let width = (columns - first).min(vectors * L::WIDTH);
                        macro_rules! tile_of {
                            ($($rows:literal)*) => { match (rows, vectors) {
                                $(
                                    ($rows, 2) => update::<L, $rows, 2>(lanes, pass, left, panel, add, y, columns, width),
                                    ($rows, 1) => update::<L, $rows, 1>(lanes, pass, left, panel, add, y, columns, width),
                                )*
                                _ => unreachable!("ROWS_OF_TWO is at most 8"),
                            } };
                        }
                        tile_of!(1 2 3 4 5 6 7 8);
                    }
                }
            }
        }
    }
}

/// Columns `0..rows` of `depth` rows that lie `stride` apart, tile after tile, each
/// `[k][ROWS_OF_TWO]`. Row after row: each is read once, as far as it goes.
#[inline(always)]
fn turn<L: Lanes>(from: &[f32], stride: usize, rows: usize, depth: usize, turned: &mut [f32]) {
    let tile = L::ROWS_OF_TWO * depth;
    for k in 0..depth {
        let row = &from[k * stride..][..rows];
        let whole = row.chunks_exact(L::ROWS_OF_TWO);
        let rest = whole.remainder();
        for (r, row) in whole.enumerate() {
            let to = &mut turned[r * tile + k * L::ROWS_OF_TWO..][..L::ROWS_OF_TWO];
            to.copy_from_slice(row);
        }
        if !rest.is_empty() {
            let r = rows / L::ROWS_OF_TWO;
            turned[r * tile + k * L::ROWS_OF_TWO..][..rest.len()].copy_from_slice(rest);
        }
    }
}

/// One tile of y: read (or start from zero), run k, write.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn update<L: Lanes, const ROWS: usize, const VECTORS: usize>(
    lanes: L,
    depth: usize,
    left: Left<'_>,
    panel: &[f32],
    add: bool,
    y: &mut [f32],
    stride: usize,
    width: usize,
) {
    let mut acc = [[lanes.splat(0.0); VECTORS]; ROWS];
    let whole = width == VECTORS * L::WIDTH;
    if add {
        for (row, acc) in acc.iter_mut().enumerate() {
            let y = &y[row * stride..][..width];
            for (v, acc) in acc.iter_mut().enumerate() {
                let y = &y[(v * L::WIDTH).min(width)..];
                *acc = if whole { lanes.load(y) } else { lanes.load_partial(y) };
            }
        }
    }
    tile::<L, ROWS, VECTORS>(lanes, depth, left, panel, &mut acc);
    for (row, acc) in acc.iter().enumerate() {
        let y = &mut y[row * stride..][..width];
        for (v, &acc) in acc.iter().enumerate() {
            let y = &mut y[(v * L::WIDTH).min(width)..];
            if whole { lanes.store(acc, y) } else { lanes.store_partial(acc, y) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::panel::Source;

    /// Whole numbers, so that every order of summation gives the same: exact at every block edge.
    #[test]
    fn products_of_whole_numbers_are_exact() {
        for path in Path::available() {
            for (m, k, n) in
                [(1, 1, 1), (3, 5, 7), (49, 300, 33), (97, 257, 16), (6, 256, 48), (50, 0, 3)]
            {
                let x: Vec<f32> = (0..m * k).map(|i| (i * 7 % 13) as f32 - 6.0).collect();
                let b: Vec<f32> = (0..k * n).map(|i| (i * 5 % 11) as f32 - 5.0).collect();
                let xt: Vec<f32> = (0..m * k).map(|i| x[i % m * k + i / m]).collect();
                let mut panels = Panels::default();
                panels.pack(path, k, n, Source::Plain(&b));
                let expected: Vec<f32> = (0..m * n)
                    .map(|i| (0..k).map(|j| x[i / n * k + j] * b[j * n + i % n]).sum())
                    .collect();
                for rows in [Rows::Plain(&x), Rows::Transposed { values: &xt, stride: m }] {
                    let mut y = vec![f32::NAN; m * n];
                    product(path, rows, &panels, Accumulate::Replace, &mut y);
                    assert_eq!(y, expected, "{path:?} {m} {k} {n}");
                    product(path, rows, &panels, Accumulate::Add, &mut y);
                    let twice: Vec<f32> = expected.iter().map(|e| 2.0 * e).collect();
                    assert_eq!(y, twice, "{path:?} {m} {k} {n}, added");
                }
            }
        }
    }
}
