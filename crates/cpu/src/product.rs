//! Matrix products, cut into blocks of rows that threads share out.
//!
//! ```text
//!     y[m, n] (+)= Σ_k x[m, k] · b[k, n]
//! ```
//!
//! k runs upwards for every entry, in one accumulator unless [`Sum::Apart`] is asked for, whatever the
//! number of rows or threads: the bits of a row of y depend on that row of x and on b alone.

use crate::panel::Panels;
use crate::simd::{Kernel, Lanes, Left, Path, Tiles, for_tiles, tile};
use layout::Accumulate;
use rayon::prelude::*;
use std::ops::Range;

/// Rows that one task computes, at most: their left operand stays in the second-level cache, and
/// whole tiles of every height (4, 6, 8, 12) fill them.
const ROWS_PER_TASK: usize = 48;
/// k in one pass: a panel of this depth stays in the first-level cache.
const DEPTH_PER_PASS: usize = 256;

/// `y = x · b` or `y += x · b`, with as many threads as there are at hand.
///
/// x is `[M, K]` and y `[M, N]`, both without a gap.
pub(crate) fn product(path: Path, x: &[f32], b: &Panels, accumulate: Accumulate, y: &mut [f32]) {
    let (depth, columns) = (b.depth(), b.columns());
    if columns == 0 || y.is_empty() {
        return;
    }
    // A small result is cut finer, so that all threads get work.
    let height =
        if y.len() / columns > 16 * ROWS_PER_TASK { ROWS_PER_TASK } else { ROWS_PER_TASK / 2 };
    y.par_chunks_mut(height * columns).enumerate().with_max_len(1).for_each(|(task, y)| {
        let x = Left::plain(&x[task * height * depth..], depth);
        block(path, x, b, accumulate, y);
    });
}

/// `y = aᵀ · b` or `y += aᵀ · b`, as gradients of weights want it; a is `[K, M]`, y `[M, N]` without a
/// gap.
pub(crate) fn transposed_product(
    path: Path,
    a: &Panels,
    b: &Panels,
    accumulate: Accumulate,
    y: &mut [f32],
) {
    assert_eq!(a.depth(), b.depth(), "one k for both operands");
    assert_eq!(y.len(), a.columns() * b.columns(), "y is [M, N]");
    if b.columns() == 0 || y.is_empty() {
        return;
    }
    // A panel of a, read across, is the left operand of as many rows as it has columns.
    let width = 2 * path.width();
    y.par_chunks_mut(width * b.columns()).enumerate().with_max_len(1).for_each(|(k, y)| {
        let (vectors, panel) = a.panel(k * width, path.width());
        let k_stride = vectors * path.width();
        let left = Left { row_stride: 1, k_stride, ..Left::plain(panel, 0) };
        block(path, left, b, accumulate, y);
    });
}

/// `y = x · b` or `y += x · b` on one thread, for a caller that has cut its work already: into some
/// dozens of rows, which stay in a cache while all panels of b pass by.
pub(crate) fn block(path: Path, x: Left<'_>, b: &Panels, accumulate: Accumulate, y: &mut [f32]) {
    block_of(path, x, b, 0..b.depth(), accumulate, y);
}

/// The same with the rows `k` of b alone; the first entry of x belongs to the first of them.
pub(crate) fn block_of(
    path: Path,
    x: Left<'_>,
    b: &Panels,
    k: Range<usize>,
    accumulate: Accumulate,
    y: &mut [f32],
) {
    match (k.len(), accumulate) {
        _ if y.is_empty() => {}
        (0, Accumulate::Replace) => y.fill(0.0),
        (0, Accumulate::Add) => {}
        _ => path.run(Block { x, b, k, accumulate, y }),
    }
}

struct Block<'a> {
    x: Left<'a>,
    b: &'a Panels,
    /// Rows of b.
    k: Range<usize>,
    accumulate: Accumulate,
    y: &'a mut [f32],
}

impl Kernel for Block<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { x, b, k: all, accumulate, y } = self;
        let depth = all.len();
        // Passes of about the same depth, each of whole runs of k.
        let passes = depth.div_ceil(DEPTH_PER_PASS);
        let run = if x.run < depth { x.run } else { 1 };
        let pass = depth.div_ceil(passes).next_multiple_of(run);
        for from in (0..depth).step_by(pass) {
            let goes_on = from > 0 || accumulate == Accumulate::Add;
            let sum = if goes_on { Sum::GoesOn } else { Sum::Begins };
            let k = all.start + from..all.end.min(all.start + from + pass);
            add_pass(lanes, x.from(0, from), b, k, 0..b.columns(), sum, y);
        }
    }
}

/// How a pass over some k meets what stands in y.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sum {
    /// In its place.
    Begins,
    /// y is where the sum has come to: one chain over all k, whatever the passes.
    GoesOn,
    /// The sum of the pass is made apart and then added: over many thousands of k, as in gradients of
    /// weights, a chain of passes rounds far less than one chain.
    Apart,
}

/// What the rows `k` of b give to some columns of y, whole panels of them; the first entry of `left`
/// belongs to the first of the rows.
#[inline(always)]
pub(crate) fn add_pass<L: Lanes>(
    lanes: L,
    left: Left<'_>,
    b: &Panels,
    k: Range<usize>,
    columns: Range<usize>,
    sum: Sum,
    y: &mut [f32],
) {
    if columns.is_empty() || k.is_empty() {
        return;
    }
    let all = b.columns();
    let panel = 2 * L::WIDTH;
    debug_assert!(
        columns.start.is_multiple_of(panel)
            && (columns.end == all || columns.end.is_multiple_of(panel)),
        "whole panels"
    );
    let rows = y.len() / all;
    for first in columns.step_by(panel) {
        let (vectors, panel) = b.panel(first, L::WIDTH);
        let panel = &panel[k.start * vectors * L::WIDTH..];
        let width = (all - first).min(vectors * L::WIDTH);
        let y = &mut y[first..];
        let mut update = Update { depth: k.len(), left, panel, sum, y, columns: all, width };
        for_tiles(lanes, rows, vectors, &mut update);
    }
}

/// Tiles of y: read (or start from zero), run k, write.
struct Update<'a> {
    depth: usize,
    left: Left<'a>,
    panel: &'a [f32],
    sum: Sum,
    /// From the first column of the panel on, rows `columns` apart, of which `width` are there.
    y: &'a mut [f32],
    columns: usize,
    width: usize,
}

impl<L: Lanes> Tiles<L> for Update<'_> {
    #[inline(always)]
    fn tile<const ROWS: usize, const VECTORS: usize>(&mut self, lanes: L, row: usize) {
        let Self { depth, left, panel, sum, columns, width, .. } = *self;
        let y = &mut self.y[row * columns..];
        let mut acc = [[lanes.splat(0.0); VECTORS]; ROWS];
        let whole = width == VECTORS * L::WIDTH;
        if sum == Sum::GoesOn {
            for (row, acc) in acc.iter_mut().enumerate() {
                let y = &y[row * columns..][..width];
                for (v, acc) in acc.iter_mut().enumerate() {
                    let y = &y[(v * L::WIDTH).min(width)..];
                    *acc = if whole { lanes.load(y) } else { lanes.load_partial(y) };
                }
            }
        }
        tile::<L, ROWS, VECTORS>(lanes, depth, left.from(row, 0), panel, &mut acc);
        for (row, acc) in acc.iter().enumerate() {
            let y = &mut y[row * columns..][..width];
            for (v, &acc) in acc.iter().enumerate() {
                let y = &mut y[(v * L::WIDTH).min(width)..];
                let acc = match sum {
                    Sum::Apart if whole => lanes.add(lanes.load(y), acc),
                    Sum::Apart => lanes.add(lanes.load_partial(y), acc),
                    _ => acc,
                };
                if whole { lanes.store(acc, y) } else { lanes.store_partial(acc, y) }
            }
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
                let mut turned = Panels::default();
                turned.pack(path, k, m, Source::Plain(&xt));
                let plain = |accumulate, y: &mut [f32]| product(path, &x, &panels, accumulate, y);
                let transposed = |accumulate, y: &mut [f32]| {
                    transposed_product(path, &turned, &panels, accumulate, y);
                };
                for product in [&plain as &dyn Fn(Accumulate, &mut [f32]), &transposed] {
                    let mut y = vec![f32::NAN; m * n];
                    product(Accumulate::Replace, &mut y);
                    assert_eq!(y, expected, "{path:?} {m} {k} {n}");
                    product(Accumulate::Add, &mut y);
                    let twice: Vec<f32> = expected.iter().map(|e| 2.0 * e).collect();
                    assert_eq!(y, twice, "{path:?} {m} {k} {n}, added");
                }
            }
        }
    }
}
