//! One task: the scores of some rows, a block of items at a time, and what is best among them.

use super::heap::{EMPTY, finish, key, replace_worst, score_of};
use super::{PANELS_PER_BLOCK, ROWS_PER_TASK};
use crate::math::exp;
use crate::panel::Panels;
use crate::scores::ScoreTiles;
use crate::simd::{Kernel, Lanes, Left, for_tiles};
use layout::TopTask;

/// The best items of some rows, and the sums of their exponentials.
pub(super) struct Search<'a> {
    pub(super) task: &'a TopTask<'a>,
    /// The first row.
    pub(super) first: usize,
    /// Items wanted of each row, not more than there are.
    pub(super) count: usize,
    /// The table as right operand, `[E, V]`.
    pub(super) items: &'a Panels,
    /// By item, −∞ up to whole panels.
    pub(super) bias: &'a [f32],
    /// `[rows, E]`.
    pub(super) q: &'a [f32],
    /// As [`super::sort_additions`] leaves them.
    pub(super) additions: &'a [u64],
    /// Scores, `[panel][row][width of a panel]`.
    pub(super) block: &'a mut [f32],
    /// `[rows, count]`, one place at least a row.
    pub(super) heaps: &'a mut [u64],
    /// `[rows]`.
    pub(super) log_sums: &'a mut [f64],
}

impl Kernel for Search<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(mut self, lanes: L) {
        let (rows, columns) = (self.log_sums.len(), self.items.columns());
        self.heaps.fill(EMPTY);
        // Nothing is above +∞, where no item is wanted.
        let start = if self.count == 0 { f32::INFINITY } else { f32::NEG_INFINITY };
        let mut thresholds = [start; ROWS_PER_TASK];
        let mut sums = [Sum { top: f32::NEG_INFINITY, sum: 0.0 }; ROWS_PER_TASK];
        let block = PANELS_PER_BLOCK * 2 * L::WIDTH;
        for begin in (0..columns).step_by(block) {
            let end = columns.min(begin + block);
            let panels = (end - begin).div_ceil(2 * L::WIDTH);
            self.scores(lanes, begin, panels, rows);
            self.add::<L>(begin, end);
            self.search(lanes, begin, panels, &mut thresholds[..rows]);
            if self.task.log_sums {
                self.sum(lanes, panels, &mut sums[..rows]);
            }
        }
        for heap in self.heaps.chunks_exact_mut(self.count.max(1)).take(rows * self.count) {
            finish(heap);
        }
        for (log_sum, Sum { top, sum }) in self.log_sums.iter_mut().zip(sums) {
            *log_sum = f64::from(top) + sum.ln();
        }
    }
}

/// `Σ exp(s − top)` over the scores so far, and the largest of them.
#[derive(Clone, Copy)]
struct Sum {
    top: f32,
    sum: f64,
}

impl Search<'_> {
    /// `q·eᵀ + column_bias` for the panels of a block.
    #[inline(always)]
    fn scores<L: Lanes>(&mut self, lanes: L, begin: usize, panels: usize, rows: usize) {
        let depth = self.items.depth();
        let q = Left::plain(self.q, depth);
        for (p, scores) in
            self.block.chunks_exact_mut(ROWS_PER_TASK * 2 * L::WIDTH).take(panels).enumerate()
        {
            let first = begin + p * 2 * L::WIDTH;
            let (vectors, panel) = self.items.panel(first, L::WIDTH);
            let bias = &self.bias[first..];
            for_tiles(
                lanes,
                rows,
                vectors,
                &mut ScoreTiles { depth, q, panel, bias, scores, tops: &mut [] },
            );
        }
    }

    /// Adds what the task adds to the scores of the items `begin..end`.
    #[inline(always)]
    fn add<L: Lanes>(&mut self, begin: usize, end: usize) {
        let Self { task, first, .. } = *self;
        while let Some((&addition, rest)) = self.additions.split_first() {
            let (item, entry) = ((addition >> 32) as usize, addition as u32);
            if item >= end {
                break;
            }
            self.additions = rest;
            // The row is the last one that begins at this entry or before.
            let row = task.offsets[first..].partition_point(|&offset| offset <= entry) - 1;
            let (panel, lane) = ((item - begin) / (2 * L::WIDTH), (item - begin) % (2 * L::WIDTH));
            let place = (panel * ROWS_PER_TASK + row) * 2 * L::WIDTH + lane;
            self.block[place] += task.values[entry as usize];
        }
    }

    /// Finds the scores of a block that are above the thresholds, items rising.
    #[inline(always)]
    fn search<L: Lanes>(&mut self, lanes: L, begin: usize, panels: usize, thresholds: &mut [f32]) {
        for (row, threshold) in thresholds.iter_mut().enumerate() {
            for p in 0..panels {
                let at = (p * ROWS_PER_TASK + row) * 2 * L::WIDTH;
                let scores = &self.block[at..][..2 * L::WIDTH];
                let least = lanes.splat(*threshold);
                let low = lanes.greater(lanes.load(scores), least);
                let high = lanes.greater(lanes.load(&scores[L::WIDTH..]), least);
                let mut above = u64::from(low) | u64::from(high) << L::WIDTH;
                while above != 0 {
                    let lane = above.trailing_zeros() as usize;
                    above &= above - 1;
                    // It may have risen since. Of equal scores the first stays: it has the smaller
                    // number.
                    if scores[lane] > *threshold {
                        let heap = &mut self.heaps[row * self.count..][..self.count];
                        let item = begin + p * 2 * L::WIDTH + lane;
                        replace_worst(heap, key(scores[lane], item as u32));
                        *threshold = score_of(heap[0]);
                    }
                }
            }
        }
    }

    /// Adds the exponentials of a block to the sums.
    #[inline(always)]
    fn sum<L: Lanes>(&mut self, lanes: L, panels: usize, sums: &mut [Sum]) {
        for (row, sums) in sums.iter_mut().enumerate() {
            let at = |p: usize| (p * ROWS_PER_TASK + row) * 2 * L::WIDTH;
            let mut largest = lanes.splat(sums.top);
            for p in 0..panels {
                let scores = &self.block[at(p)..][..2 * L::WIDTH];
                // The first argument of `max` may be no number: it shows in the sum.
                largest = lanes.max(lanes.load(scores), largest);
                largest = lanes.max(lanes.load(&scores[L::WIDTH..]), largest);
            }
            if lanes.greater(largest, lanes.splat(sums.top)) != 0 {
                let top = lanes.max_across(largest);
                sums.sum *= f64::from(sums.top - top).exp();
                sums.top = top;
            }
            // Where all scores so far are −∞, their differences would be no numbers.
            let top = if sums.top == f32::NEG_INFINITY { 0.0 } else { sums.top };
            let top = lanes.splat(top);
            let mut sum = [lanes.splat(0.0); 2];
            for p in 0..panels {
                let scores = &self.block[at(p)..][..2 * L::WIDTH];
                let low = lanes.sub(lanes.load(scores), top);
                let high = lanes.sub(lanes.load(&scores[L::WIDTH..]), top);
                let [low, high] = exp(lanes, [low, high]);
                sum[0] = lanes.add(low, sum[0]);
                sum[1] = lanes.add(high, sum[1]);
            }
            sums.sum += f64::from(lanes.sum(lanes.add(sum[0], sum[1])));
        }
    }
}
