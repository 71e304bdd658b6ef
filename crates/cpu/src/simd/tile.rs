//! The micro-kernel: a tile of a product, held in registers while k runs.

use super::Lanes;

/// Where the left operand of a tile lies: entry (row, k) is `values[row · row_stride + k · k_stride]`.
#[derive(Clone, Copy)]
pub(crate) struct Left<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) row_stride: usize,
    pub(crate) k_stride: usize,
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
/// Where the left operand or the panel is too short for `depth` steps.
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
    // Saturating, so that no stride however wrong wraps round to a small index.
    let last = (ROWS - 1)
        .saturating_mul(left.row_stride)
        .saturating_add((depth - 1).saturating_mul(left.k_stride));
    let whole = depth.saturating_mul(width);
    assert!(last < left.values.len() && whole <= panel.len(), "a tile inside its operands");
    // A copy that never has its address taken stays in registers.
    let mut sum = *acc;
    let mut from = left.values.as_ptr();
    let mut column = panel.as_ptr();
    for _ in 0..depth {
        // SAFETY: `from` has moved k < depth strides, so from + row · row_stride is at most `last`,
        // which lies inside `left.values`; `column` has moved k panels' widths, and a whole one is
        // left, as the assertion shows. The final moves may point past the end but are not read.
        unsafe {
            // The shorter side is held, the longer one passes by: three rows of four registers
            // are 12 sums, 3 held and 1 passing, all sixteen registers of AVX2.
            if ROWS < VECTORS {
                let mut held = [lanes.splat(0.0); ROWS];
                for (row, held) in held.iter_mut().enumerate() {
                    *held = lanes.splat(*from.add(row * left.row_stride));
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
                    let x = lanes.splat(*from.add(row * left.row_stride));
                    for (sum, &held) in sum.iter_mut().zip(&held) {
                        *sum = lanes.mul_add(x, held, *sum);
                    }
                }
            }
        }
        from = from.wrapping_add(left.k_stride);
        column = column.wrapping_add(width);
    }
    *acc = sum;
}
