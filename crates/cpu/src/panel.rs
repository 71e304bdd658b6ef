//! The right operand of a product, laid out the way the micro-kernel reads it.

use crate::simd::{Kernel, Lanes, Path};
use rayon::prelude::*;

/// Columns of a matrix `[K, N]` in panels two registers wide, each `[K][2 · WIDTH]` without a gap.
///
/// The last panel is one register wide where that is enough, and padded with zeros.
#[derive(Debug, Default)]
pub(crate) struct Panels {
    values: Vec<f32>,
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
            self.values.resize(len, 0.0);
        }
        self.values[..len].par_chunks_mut(2 * width * depth).enumerate().with_min_len(8).for_each(
            |(k, panel)| {
                let first = 2 * width * k;
                path.run(Pack { panel, depth, columns, first, source });
            },
        );
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
            let vectors = if self.columns - first > width { 2 } else { 1 };
            let start = first * self.depth;
            (first, vectors, &self.values[start..start + vectors * width * self.depth])
        })
    }
}

struct Pack<'a> {
    panel: &'a mut [f32],
    depth: usize,
    columns: usize,
    first: usize,
    source: Source<'a>,
}

impl Kernel for Pack<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { panel, depth, columns, first, source } = self;
        let width = panel.len() / depth;
        let used = width.min(columns - first);
        match source {
            Source::Plain(values) => {
                for (k, row) in panel.chunks_exact_mut(width).enumerate() {
                    let from = &values[k * columns + first..][..used];
                    for (v, row) in row.chunks_exact_mut(L::WIDTH).enumerate() {
                        let from = &from[(v * L::WIDTH).min(used)..];
                        lanes.store(lanes.load_partial(from), row);
                    }
                }
            }
            Source::Transposed(values) => {
                if used < width {
                    panel.fill(0.0);
                }
                let rows = &values[first * depth..(first + used) * depth];
                interleave::<L>(rows, depth, panel, width);
            }
        }
    }
}

/// Rows `[n, depth]` become columns: entry (r, k) goes to `panel[k · stride + r]`. A register's
/// width of rows at a time: as many reading places, one writing place.
#[inline(always)]
pub(crate) fn interleave<L: Lanes>(rows: &[f32], depth: usize, panel: &mut [f32], stride: usize) {
    const MOST: usize = 16;
    for (group, rows) in rows.chunks(L::WIDTH * depth).enumerate() {
        let count = rows.len() / depth;
        let mut from: [&[f32]; MOST] = [&[]; MOST];
        for (from, row) in from.iter_mut().zip(rows.chunks_exact(depth)) {
            *from = &row[..depth];
        }
        let panel = &mut panel[group * L::WIDTH..];
        for k in 0..depth {
            let to = &mut panel[k * stride..][..count];
            for (to, from) in to.iter_mut().zip(&from) {
                *to = from[k];
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
            for (depth, columns) in [(1, 1), (3, 7), (9, 17), (5, 33), (8, 40)] {
                let plain: Vec<f32> = (0..depth * columns).map(|x| x as f32).collect();
                let transposed: Vec<f32> =
                    (0..depth * columns).map(|x| plain[x % depth * columns + x / depth]).collect();
                let (mut a, mut b) = (Panels::default(), Panels::default());
                a.pack(path, depth, columns, Source::Plain(&plain));
                // An older, larger operand must not show through the padding.
                b.pack(path, 20, 50, Source::Plain(&[f32::NAN; 1000]));
                b.pack(path, depth, columns, Source::Transposed(&transposed));
                assert!(
                    a.iter(path.width()).eq(b.iter(path.width())),
                    "{path:?} {depth} x {columns}"
                );
            }
        }
    }
}
