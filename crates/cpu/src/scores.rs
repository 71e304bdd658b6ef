//! Tiles of scores, for whoever makes them a block at a time.

use crate::simd::{Lanes, Left, Tiles, tile};

/// Tiles of `q·eᵀ + bias` against one panel, and the largest score of each row in each lane.
pub(crate) struct ScoreTiles<'a, V> {
    pub(crate) depth: usize,
    pub(crate) q: Left<'a>,
    pub(crate) panel: &'a [f32],
    /// Of the panel's columns, as many as two registers hold.
    pub(crate) bias: &'a [f32],
    /// `[row][2 · WIDTH]`.
    pub(crate) scores: &'a mut [f32],
    /// One a row, with the largest so far; empty where nobody asks.
    pub(crate) tops: &'a mut [V],
}

impl<L: Lanes> Tiles<L> for ScoreTiles<'_, L::V> {
    #[inline(always)]
    fn tile<const ROWS: usize, const VECTORS: usize>(&mut self, lanes: L, row: usize) {
        let mut acc = [[lanes.splat(0.0); VECTORS]; ROWS];
        tile::<L, ROWS, VECTORS>(lanes, self.depth, self.q.from(row, 0), self.panel, &mut acc);
        let bias = [lanes.load(self.bias), lanes.load(&self.bias[L::WIDTH..])];
        let scores = &mut self.scores[row * 2 * L::WIDTH..];
        for (r, acc) in acc.iter().enumerate() {
            for v in 0..2 {
                // Where the panel has one register, the other only fills.
                let s = if v < VECTORS { lanes.add(acc[v], bias[v]) } else { bias[v] };
                lanes.store(s, &mut scores[(2 * r + v) * L::WIDTH..]);
                if let Some(top) = self.tops.get_mut(row + r) {
                    *top = lanes.max(s, *top);
                }
            }
        }
    }
}
