//! The right operand of a product, laid out the way the micro-kernel reads it.

use crate::simd::{Kernel, Lanes, Path, SIDE};
use layout::Aligned;
use rayon::prelude::*;

/// Panels that one task packs.
const PANELS_PER_TASK: usize = 4;

/// Columns of a matrix `[K, N]` in panels two registers wide, each `[K][2 · WIDTH]` without a gap.
///
/// The last panel is one register wide where that is enough, and padded with zeros.
#[derive(Debug, Clone, Default)]
pub(crate) struct Panels {
    values: Aligned<f32>,
    depth: usize,
    columns: usize,
}

/// How the matrix that is packed lies in memory.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Source<'a> {
    /// `[K, N]`, rows without a gap: the operand itself.
    Plain(&'a [f32]),
    /// `[N, K]`, rows without a gap: the operand transposed, as weights are.
    Transposed(&'a [f32]),
}

impl Panels {
    /// Packs an operand for `path`, in the memory of an older one, with as many threads as there
    /// are at hand.
    pub(crate) fn pack(&mut self, path: Path, depth: usize, columns: usize, source: Source<'_>) {
        (self.depth, self.columns) = (depth, columns);
        let width = path.width();
        let len = columns.next_multiple_of(width) * depth;
        if len == 0 {
            return;
        }
        // Never made shorter: growing again would write zeros that nobody reads.
        if self.values.len() < len {
            self.values.resize(len);
        }
        // Some panels side by side: a row is read as far as they go, and not one line at a time.
        let group = PANELS_PER_TASK * 2 * width;
        self.values[..len].par_chunks_mut(group * depth).enumerate().with_max_len(1).for_each(
            |(k, panels)| {
                path.run(Pack { panels, depth, columns, first: group * k, source });
            },
        );
    }

    /// Entries that the memory holds, used or not.
    pub(crate) fn capacity(&self) -> usize {
        self.values.len()
    }

    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// The panels as (first column, registers, values): in order, for registers of `width`.
    #[inline(always)]
    pub(crate) fn iter(&self, width: usize) -> impl Iterator<Item = (usize, usize, &[f32])> {
        (0..self.columns).step_by(2 * width).map(move |first| {
            let (vectors, values) = self.panel(first, width);
            (first, vectors, values)
        })
    }

    /// The panel that begins with column `first`: registers and values.
    #[inline(always)]
    pub(crate) fn panel(&self, first: usize, width: usize) -> (usize, &[f32]) {
        let vectors = if self.columns - first > width { 2 } else { 1 };
        let start = first * self.depth;
        (vectors, &self.values[start..start + vectors * width * self.depth])
    }
}

struct Pack<'a> {
    /// Some panels, one after the other.
    panels: &'a mut [f32],
    depth: usize,
    columns: usize,
    /// The first column of the first panel.
    first: usize,
    source: Source<'a>,
}

impl Kernel for Pack<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { panels, depth, columns, first, source } = self;
        let panel = 2 * L::WIDTH * depth;
        match source {
            Source::Plain(values) => {
                let whole = (panels.len() / panel).min((columns - first) / (2 * L::WIDTH));
                let (panels, last) = panels.split_at_mut(whole * panel);
                for k in 0..depth {
                    let row = &values[k * columns + first..];
                    for (p, row) in row.chunks_exact(2 * L::WIDTH).take(whole).enumerate() {
                        let to = &mut panels[p * panel + k * 2 * L::WIDTH..][..2 * L::WIDTH];
                        lanes.store(lanes.load(row), to);
                        lanes.store(lanes.load(&row[L::WIDTH..]), &mut to[L::WIDTH..]);
                    }
                }
                if !last.is_empty() {
                    let (first, width) = (first + whole * 2 * L::WIDTH, last.len() / depth);
                    for (k, to) in last.chunks_exact_mut(width).enumerate() {
                        let row = &values[k * columns + first..(k + 1) * columns];
                        for (v, to) in to.chunks_exact_mut(L::WIDTH).enumerate() {
                            lanes.store(lanes.load_partial(&row[v * L::WIDTH..]), to);
                        }
                    }
                }
            }
            Source::Transposed(values) => {
                for (k, panel) in panels.chunks_mut(panel).enumerate() {
                    let first = first + k * 2 * L::WIDTH;
                    let width = panel.len() / depth;
                    let used = width.min(columns - first);
                    if used < width {
                        panel.fill(0.0);
                    }
                    let rows = &values[first * depth..(first + used) * depth];
                    interleave(lanes, rows, depth, panel, width);
                }
            }
        }
    }
}

/// Rows `[n, depth]` become columns: entry (r, k) goes to `panel[k · stride + r]`.
#[inline(always)]
pub(crate) fn interleave<L: Lanes>(
    lanes: L,
    rows: &[f32],
    depth: usize,
    panel: &mut [f32],
    stride: usize,
) {
    for (group, rows) in rows.chunks(SIDE * depth).enumerate() {
        let panel = &mut panel[group * SIDE..];
        let blocks = if rows.len() == SIDE * depth { depth / SIDE } else { 0 };
        for k in (0..blocks * SIDE).step_by(SIDE) {
            lanes.transpose(&rows[k..], depth, &mut panel[k * stride..], stride);
        }
        for (r, row) in rows.chunks_exact(depth).enumerate() {
            for k in blocks * SIDE..depth {
                panel[k * stride + r] = row[k];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sources_give_the_same_panels() {
        for path in Path::available() {
            for (depth, columns) in [(1, 1), (3, 7), (9, 17), (5, 33), (8, 40), (19, 27)] {
                let plain: Vec<f32> = (0..depth * columns).map(|x| x as f32).collect();
                let transposed: Vec<f32> =
                    (0..depth * columns).map(|x| plain[x % depth * columns + x / depth]).collect();
                let (mut a, mut b) = (Panels::default(), Panels::default());
                // An older, larger operand must not show through the padding.
                for older in [&mut a, &mut b] {
                    older.pack(path, 20, 50, Source::Plain(&[f32::NAN; 1000]));
                }
                a.pack(path, depth, columns, Source::Plain(&plain));
                b.pack(path, depth, columns, Source::Transposed(&transposed));
                assert!(
                    a.iter(path.width()).eq(b.iter(path.width())),
                    "{path:?} {depth} x {columns}"
                );
            }
        }
    }
}
