//! The micro-kernel: a tile of a product, held in registers while k runs.

use super::{Lanes, prefetch_line};

/// Where the left operand of a tile lies. k goes in runs: within one, entries are `k_stride` apart;
/// the runs themselves begin `hop` apart.
///
/// ```text
///     (row, k)  ↦  values[row · row_stride + (k / run) · hop + (k % run) · k_stride]
/// ```
#[derive(Debug, Clone, Copy)]
pub(crate) struct Left<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) row_stride: usize,
    pub(crate) k_stride: usize,
    pub(crate) run: usize,
    pub(crate) hop: usize,
}

impl<'a> Left<'a> {
    /// Rows of `depth` entries without a gap.
    pub(crate) fn plain(values: &'a [f32], depth: usize) -> Self {
        Self { values, row_stride: depth, k_stride: 1, run: usize::MAX, hop: 0 }
    }

    /// The same operand from this row and this k on; in runs, k is the first of one.
    #[inline(always)]
    pub(crate) fn from(self, row: usize, k: usize) -> Self {
        debug_assert!(self.run == usize::MAX || k.is_multiple_of(self.run), "k begins a run");
        let start = row * self.row_stride + k / self.run * self.hop + k % self.run * self.k_stride;
        Self { values: &self.values[start.min(self.values.len())..], ..self }
    }
}

/// `acc[row][v] += Σ_k left[row, k] · panel[k, v]`, with k rising; ROWS rows, VECTORS registers.
///
/// ```text
///                        panel, [k][VECTORS · WIDTH]
///                        ┌────────┬────────┐
///      left              │  v = 0 │  v = 1 │  one load each a step
///     ┌───┐              └────────┴────────┘
///     │row├── broadcast ▶ acc[row][0], acc[row][1]
///     └───┘
/// ```
///
/// # Panics
///
/// Where the left operand or the panel is too short for `depth` steps, or neither of the operand's
/// strides is one.
#[inline(always)]
pub(crate) fn tile<L: Lanes, const ROWS: usize, const VECTORS: usize>(
    lanes: L,
    depth: usize,
    left: Left<'_>,
    panel: &[f32],
    acc: &mut [[L::V; VECTORS]; ROWS],
) {
    if depth == 0 {
        return;
    }
    let width = VECTORS * L::WIDTH;
    let Left { values, row_stride, k_stride, run, hop } = left;
    // The farthest entry of any run, were the last one whole. Saturating, so that no stride however
    // wrong wraps round to a small index.
    let last = (ROWS - 1)
        .saturating_mul(row_stride)
        .saturating_add((run.min(depth) - 1).saturating_mul(k_stride))
        .saturating_add(((depth - 1) / run).saturating_mul(hop));
    let whole = depth.saturating_mul(width);
    assert!(last < values.len() && whole <= panel.len(), "a tile inside its operands");
    // A copy that never has its address taken stays in registers.
    let mut sum = *acc;
    let mut start = values.as_ptr();
    let mut column = panel.as_ptr();
    let mut left_over = depth;
    while left_over > 0 {
        let steps = run.min(left_over);
        // SAFETY: entry (0, k) of the operand with k < depth, and from there row · row_stride, is at
        // most `last`, which lies inside `values`; row k of the panel is whole, as the assertion
        // shows.
        unsafe {
            // A stride known to be one leaves fewer addresses to count along.
            match (row_stride, k_stride) {
                (_, 1) => run_of_steps(lanes, steps, start, (row_stride, 1), column, &mut sum),
                (1, _) => run_of_steps(lanes, steps, start, (1, k_stride), column, &mut sum),
                _ => panic!("an operand whose rows or columns have no gaps"),
            }
        }
        start = start.wrapping_add(hop);
        column = column.wrapping_add(steps * width);
        left_over -= steps;
    }
    *acc = sum;
}

/// One run of k, several steps a turn of the loop: counting instructions would otherwise take from
/// the multipliers, above all where the core's other half is busy with somebody else's.
///
/// # Safety
///
/// Entries `row · strides.0 + k · strides.1` from `from` on and `k` rows of the panel from `column`
/// on can be read, for all rows and `k < steps`.
#[inline(always)]
unsafe fn run_of_steps<L: Lanes, const ROWS: usize, const VECTORS: usize>(
    lanes: L,
    steps: usize,
    mut from: *const f32,
    (row_stride, k_stride): (usize, usize),
    mut column: *const f32,
    sum: &mut [[L::V; VECTORS]; ROWS],
) {
    const AT_ONCE: usize = 4;
    let width = VECTORS * L::WIDTH;
    for _ in 0..steps / AT_ONCE {
        for k in 0..AT_ONCE {
            let (from, column) = (from.wrapping_add(k * k_stride), column.wrapping_add(k * width));
            // SAFETY: a step below `steps`.
            unsafe { one_step(lanes, from, row_stride, column, sum) };
        }
        // The last moves may point past the end, where nothing is read.
        from = from.wrapping_add(AT_ONCE * k_stride);
        column = column.wrapping_add(AT_ONCE * width);
    }
    for _ in 0..steps % AT_ONCE {
        // SAFETY: a step below `steps`.
        unsafe { one_step(lanes, from, row_stride, column, sum) };
        from = from.wrapping_add(k_stride);
        column = column.wrapping_add(width);
    }
}

/// One k.
///
/// # Safety
///
/// Entries `row · row_stride` from `from` on and a row of the panel from `column` on can be read.
#[inline(always)]
unsafe fn one_step<L: Lanes, const ROWS: usize, const VECTORS: usize>(
    lanes: L,
    from: *const f32,
    row_stride: usize,
    column: *const f32,
    sum: &mut [[L::V; VECTORS]; ROWS],
) {
    /// Large panels stream by from far caches: entries by which they are asked for before their use.
    const AHEAD: usize = 512;
    prefetch_line(column.wrapping_add(AHEAD));
    // SAFETY: what is read here is what the caller vouches for.
    unsafe {
        // The shorter side is held, the longer one passes by: three rows of four registers are 12
        // sums, 3 held and 1 passing, all sixteen registers of AVX2.
        if ROWS < VECTORS {
            let mut held = [lanes.splat(0.0); ROWS];
            for (row, held) in held.iter_mut().enumerate() {
                *held = lanes.splat(*from.add(row * row_stride));
            }
            for v in 0..VECTORS {
                let right = lanes.load_ptr(column.add(v * L::WIDTH));
                for (sum, &held) in sum.iter_mut().zip(&held) {
                    sum[v] = lanes.mul_add(held, right, sum[v]);
                }
            }
        } else {
            let mut held = [lanes.splat(0.0); VECTORS];
            for (v, held) in held.iter_mut().enumerate() {
                *held = lanes.load_ptr(column.add(v * L::WIDTH));
            }
            for (row, sum) in sum.iter_mut().enumerate() {
                let x = lanes.splat(*from.add(row * row_stride));
                for (sum, &held) in sum.iter_mut().zip(&held) {
                    *sum = lanes.mul_add(x, held, *sum);
                }
            }
        }
    }
}

/// `acc[p][v] += Σ_k x[k] · panels[p][k, v]`, with k rising: one row against several panels, which
/// stream by side by side, so that enough sums are under way to hide the latency of each.
///
/// # Panics
///
/// Where a panel is too short for as many steps as x has entries.
#[inline(always)]
pub(crate) fn row_tile<L: Lanes, const PANELS: usize, const VECTORS: usize>(
    lanes: L,
    x: &[f32],
    panels: [&[f32]; PANELS],
    acc: &mut [[L::V; VECTORS]; PANELS],
) {
    let width = VECTORS * L::WIDTH;
    let mut sum = *acc;
    for panel in panels {
        assert!(x.len().saturating_mul(width) <= panel.len(), "panels as deep as the row is long");
    }
    for (k, &x) in x.iter().enumerate() {
        let x = lanes.splat(x);
        for (panel, sum) in panels.iter().zip(&mut sum) {
            for (v, sum) in sum.iter_mut().enumerate() {
                // SAFETY: row k of a panel is whole, as the assertion shows.
                let right = unsafe { lanes.load_ptr(panel.as_ptr().add(k * width + v * L::WIDTH)) };
                *sum = lanes.mul_add(x, right, *sum);
            }
        }
    }
    *acc = sum;
}

/// A result that is made tile by tile.
pub(crate) trait Tiles<L: Lanes> {
    /// Makes the tile of ROWS rows from `row` on. Inline always, as everything in a kernel.
    fn tile<const ROWS: usize, const VECTORS: usize>(&mut self, lanes: L, row: usize);

    /// Does what is left to do for a tile of so many rows, where that is the same for tiles of every
    /// size: it is compiled once.
    #[inline(always)]
    fn finish(&mut self, _lanes: L, _row: usize, _rows: usize) {}
}

/// Rows of the next tile, where `rest` are left and registers hold `most`: of about the height of the
/// ones to come. Six and one would leave the second waiting for its own sums, four and three do not.
#[inline(always)]
pub(crate) fn height(rest: usize, most: usize) -> usize {
    rest.div_ceil(rest.div_ceil(most))
}

/// Cuts `rows` rows against a panel of one or two registers into tiles of about the same height.
#[inline(always)]
pub(crate) fn for_tiles<L: Lanes>(
    lanes: L,
    rows: usize,
    vectors: usize,
    tiles: &mut impl Tiles<L>,
) {
    let most = if vectors == 2 { L::ROWS_OF_TWO } else { L::ROWS_OF_ONE };
    // A height that this path never takes is not compiled for it.
    macro_rules! tile {
        ($row:expr, $height:expr, $($rows:literal)*) => {
            match ($height, vectors) {
                $(
                    ($rows, 2) => if const { $rows <= L::ROWS_OF_TWO } {
                        tiles.tile::<$rows, 2>(lanes, $row);
                    },
                    ($rows, 1) => if const { $rows <= L::ROWS_OF_ONE } {
                        tiles.tile::<$rows, 1>(lanes, $row);
                    },
                )*
                _ => unreachable!("a tile that fits the registers"),
            }
        };
    }
    let mut row = 0;
    while row < rows {
        let rest = rows - row;
        let height = height(rest, most);
        tile!(row, height, 1 2 3 4 5 6 7 8 9 10 11 12);
        tiles.finish(lanes, row, height);
        row += height;
    }
}
