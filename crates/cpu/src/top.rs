//! The best items of each row. The question: `layout::TopTask`; plainly: `reference::top_items`.
//!
//! ```text
//!     in parallel over some dozens of rows
//!         for each block of items (few enough that the scores S stay in the nearest cache)
//!             S = q·eᵀ + column_bias, and what the task adds
//!             for each row    S > its k-th best so far?   rarely: into the heap
//!                             log Σ exp, where it is wanted
//! ```
//!
//! A row's threshold rises fast: of items in random order, item number n is among the best k so far
//! with a chance of k / n. So the search is one comparison of a register for every E multiplications,
//! and the scores of all items never exist at once. Blocks are cut by the shape of the table alone.

use crate::Cpu;
use crate::math::exp;
use crate::panel::{Panels, Source};
use crate::simd::{Kernel, Lanes, Left, Tiles, for_tiles, tile};
use layout::{Matrix, TopItems, TopTask};
use rayon::prelude::*;

/// Rows in one task: their q stays in the nearest caches, and whole tiles of every height fill them.
const ROWS_PER_TASK: usize = 48;
/// Panels of items in one block; an even number, as sums take two registers at a time.
const PANELS_PER_BLOCK: usize = 4;

/// A place in a heap that no item has taken yet: below every score, and no item.
const EMPTY: u64 = key(f32::NEG_INFINITY, u32::MAX);

impl Cpu {
    /// The best items of each row, as [`TopTask`] has it.
    ///
    /// | argument | shape | on entry | on return |
    /// |---|---|---|---|
    /// | `q` | `[N, E]` | what each row looks for | untouched |
    /// | `table` | `[V, E]` | one vector an item | untouched |
    /// | `column_bias` | `[V, 1]` | by item | untouched |
    /// | `out` | see type | anything | replaced |
    ///
    /// The scores have the bits of [`Cpu::scores`], and a row's answer depends on no other row.
    ///
    /// # Panics
    ///
    /// Where the shapes do not fit or an entry names no item.
    pub fn top_items(
        &self,
        q: &Matrix<f32>,
        table: &Matrix<f32>,
        column_bias: &Matrix<f32>,
        task: &TopTask<'_>,
        out: &mut TopItems,
    ) {
        let ([rows, width], columns) = (q.shape(), table.rows());
        assert!(width > 0 && table.columns() == width, "q is [N, E], table is [V, E]");
        assert_eq!(column_bias.as_slice().len(), columns, "column_bias is [V, 1]");
        task.check(rows, columns);
        let count = task.count.min(columns);
        out.width = count;
        out.log_sums.clear();
        out.log_sums.resize(rows, f64::NEG_INFINITY);
        // One place at least a row, so that there are tasks even where no item is asked for.
        let places = count.max(1);
        let mut heaps = self.scratch.keys(rows * places);

        let items = self.packed(width, columns, Source::Transposed(table.as_slice()));
        let panel_width = 2 * self.path.width();
        let mut bias = self.scratch.buffer(columns.next_multiple_of(panel_width));
        bias[..columns].copy_from_slice(column_bias.as_slice());
        bias[columns..].fill(f32::NEG_INFINITY);

        heaps
            .par_chunks_mut(ROWS_PER_TASK * places)
            .zip(q.as_slice().par_chunks(ROWS_PER_TASK * width))
            .zip(out.log_sums.par_chunks_mut(ROWS_PER_TASK))
            .enumerate()
            .with_max_len(1)
            .for_each(|(k, ((heaps, q), log_sums))| {
                let mut block = self.scratch.buffer(PANELS_PER_BLOCK * ROWS_PER_TASK * panel_width);
                let first = k * ROWS_PER_TASK;
                let entries = first..first + log_sums.len();
                let entries = entries.map(|p| task.entries(p).len()).sum();
                let mut additions = self.scratch.keys(entries);
                sort_additions(task, first, &mut additions);
                self.path.run(Search {
                    task,
                    first,
                    count,
                    items: &items,
                    bias: &bias,
                    q,
                    additions: &additions,
                    block: &mut block,
                    heaps,
                    log_sums,
                });
            });

        if !task.log_sums {
            out.log_sums.clear();
        }
        out.items.clear();
        out.scores.clear();
        if count > 0 {
            out.items.extend(heaps.iter().map(|&key| item_of(key)));
            out.scores.extend(heaps.iter().map(|&key| score_of(key)));
        }
    }
}

/// An item as one number, which is larger where the item is better: a higher score, or an equal one
/// and a smaller number. Bits of positive floats rise as the floats do, those of negative ones fall.
const fn key(score: f32, item: u32) -> u64 {
    // Adding zero makes one zero of two.
    let bits = (score + 0.0).to_bits();
    let rising = if bits >> 31 == 0 { bits | 1 << 31 } else { !bits };
    (rising as u64) << 32 | !item as u64
}

const fn item_of(key: u64) -> u32 {
    !(key as u32)
}

const fn score_of(key: u64) -> f32 {
    let rising = (key >> 32) as u32;
    f32::from_bits(if rising >> 31 == 1 { rising & !(1 << 31) } else { !rising })
}

/// The entries of the rows of a task from row `first` on, by rising item: `item · 2³² + entry`.
fn sort_additions(task: &TopTask<'_>, first: usize, additions: &mut [u64]) {
    let Some(begin) = task.offsets.get(first).map(|&offset| u64::from(offset)) else { return };
    for (entry, addition) in (begin..).zip(&mut *additions) {
        *addition = u64::from(task.items[entry as usize]) << 32 | entry;
    }
    additions.sort_unstable();
}

/// Puts a better item in the place of the worst one, which is the first of a heap: each place k is
/// no better than the places 2k + 1 and 2k + 2.
fn replace_worst(heap: &mut [u64], key: u64) {
    let mut place = 0;
    loop {
        let mut child = 2 * place + 1;
        if child >= heap.len() {
            break;
        }
        if child + 1 < heap.len() && heap[child + 1] < heap[child] {
            child += 1;
        }
        if heap[child] >= key {
            break;
        }
        heap[place] = heap[child];
        place = child;
    }
    heap[place] = key;
}

/// Best first. Places that no item has taken go to items whose scores are −∞ or not numbers: all
/// that are not among the others, by rising number.
fn finish(heap: &mut [u64]) {
    heap.sort_unstable_by(|a, b| b.cmp(a));
    let found = heap.partition_point(|&key| key > EMPTY);
    if found == heap.len() {
        return;
    }
    let mut taken: Vec<u32> = heap[..found].iter().map(|&key| item_of(key)).collect();
    taken.sort_unstable();
    let mut taken = taken.into_iter().peekable();
    let free = (0..).filter(|item| taken.next_if_eq(item).is_none());
    for (place, item) in heap[found..].iter_mut().zip(free) {
        *place = key(f32::NEG_INFINITY, item);
    }
}

struct Search<'a> {
    task: &'a TopTask<'a>,
    /// The first row.
    first: usize,
    /// Items wanted of each row, not more than there are.
    count: usize,
    /// The table as right operand, `[E, V]`.
    items: &'a Panels,
    /// By item, −∞ up to whole panels.
    bias: &'a [f32],
    /// `[rows, E]`.
    q: &'a [f32],
    /// As [`sort_additions`] leaves them.
    additions: &'a [u64],
    /// Scores, `[panel][row][width of a panel]`.
    block: &'a mut [f32],
    /// `[rows, count]`, one place at least a row.
    heaps: &'a mut [u64],
    /// `[rows]`.
    log_sums: &'a mut [f64],
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
            for_tiles(lanes, rows, vectors, &mut ScoreTiles { depth, q, panel, bias, scores });
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

/// Tiles of `q·eᵀ + bias` against one panel.
struct ScoreTiles<'a> {
    depth: usize,
    q: Left<'a>,
    panel: &'a [f32],
    bias: &'a [f32],
    scores: &'a mut [f32],
}

impl<L: Lanes> Tiles<L> for ScoreTiles<'_> {
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
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Path;

    /// What a plain sort of all scores finds.
    fn sorted(scores: &[f32], k: usize) -> (Vec<u32>, Vec<f32>) {
        let number = |&item: &u32| match scores[item as usize] {
            score if score.is_nan() => f32::NEG_INFINITY,
            score => score,
        };
        let mut items: Vec<u32> = (0..scores.len() as u32).collect();
        items.sort_by(|a, b| number(b).partial_cmp(&number(a)).unwrap());
        items.truncate(k);
        let scores = items.iter().map(number).collect();
        (items, scores)
    }

    /// The answers for pictures of one number, 1, 2, … to the scores of a table of one column: each
    /// row sees the scores times its number.
    fn search(cpu: &Cpu, scores: &[f32], rows: usize, task: &TopTask<'_>) -> TopItems {
        let q = Matrix::from_vec(rows, 1, (1..=rows).map(|p| p as f32).collect());
        let table = Matrix::from_vec(scores.len(), 1, scores.to_vec());
        let bias = Matrix::zeros(scores.len(), 1);
        let mut out =
            TopItems { width: 9, items: vec![7], scores: vec![f32::NAN], log_sums: vec![] };
        cpu.top_items(&q, &table, &bias, task, &mut out);
        out
    }

    #[test]
    fn keys_rise_with_scores_and_fall_with_numbers() {
        let scores = [f32::NEG_INFINITY, f32::MIN, -1.0, -1e-40, 0.0, 1e-40, 1.0, f32::INFINITY];
        for pair in scores.windows(2) {
            assert!(key(pair[0], 0) < key(pair[1], u32::MAX), "{pair:?}");
        }
        for score in scores {
            assert!(key(score, 4) > key(score, 5));
            assert_eq!((score_of(key(score, 5)), item_of(key(score, 5))), (score, 5));
        }
        assert_eq!(key(-0.0, 1), key(0.0, 1));
    }

    #[test]
    fn nasty_scores_are_found_as_a_sort_finds_them() {
        let infinity = f32::INFINITY;
        for path in Path::available() {
            let cpu = Cpu::with_path(2, path).unwrap();
            for items in [1, 2, 15, 16, 17, 33, 130, 1001] {
                let of = |score: &dyn Fn(usize) -> f32| (0..items).map(score).collect::<Vec<_>>();
                for (name, scores) in [
                    ("equal", of(&|_| 3.0)),
                    ("zeros of both signs", of(&|k| if k % 2 == 0 { -0.0 } else { 0.0 })),
                    ("rising", of(&|k| k as f32 - 50.0)),
                    ("falling", of(&|k| 50.0 - k as f32)),
                    ("few values", of(&|k| (k * 7 % 5) as f32)),
                    ("mixed", of(&|k| (k * 7919 % 1009) as f32 - 500.0)),
                    ("-∞", of(&|_| -infinity)),
                    ("∞", of(&|_| infinity)),
                    ("no numbers", of(&|_| f32::NAN)),
                    ("all sorts", of(&|k| [f32::NAN, infinity, -infinity, 1.0, -2.0][k * 7 % 5])),
                    ("one number", of(&|k| if k == items / 2 { 1.0 } else { -infinity })),
                ] {
                    for k in [0, 1, 2, 20, 1000, 5000] {
                        let task = TopTask { count: k, log_sums: true, ..TopTask::default() };
                        let found = search(&cpu, &scores, 3, &task);
                        assert_eq!(found.width, k.min(items));
                        for row in 0..3 {
                            let case = format!("{path:?} {name}, {items} items, k {k}, row {row}");
                            let times = (row + 1) as f32;
                            let scaled: Vec<_> = scores.iter().map(|&s| times * s).collect();
                            let (items, scores): (Vec<_>, Vec<_>) = found.row(row).unzip();
                            assert_eq!((items, scores), sorted(&scaled, k), "{case}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn sums_are_those_of_the_plain_formula() {
        for path in Path::available() {
            let cpu = Cpu::with_path(2, path).unwrap();
            for items in [1, 17, 130, 1001] {
                let scores: Vec<f32> =
                    (0..items).map(|k| (k * 7919 % 1009) as f32 * 0.2 - 150.0).collect();
                let task = TopTask { count: 1, log_sums: true, ..TopTask::default() };
                let found = search(&cpu, &scores, 50, &task);
                assert_eq!(found.log_sums.len(), 50);
                for (row, found) in found.log_sums.iter().enumerate() {
                    let s = scores.iter().map(|&s| f64::from((row + 1) as f32 * s));
                    let top = s.clone().fold(f64::MIN, f64::max);
                    let expected = top + s.map(|s| (s - top).exp()).sum::<f64>().ln();
                    let error = (found - expected).abs();
                    assert!(error < 2e-6, "{path:?} {items} {row}: {found} {expected}");
                }
            }
            let sum = |scores: &[f32]| {
                let task = TopTask { log_sums: true, ..TopTask::default() };
                search(&cpu, scores, 1, &task).log_sums[0]
            };
            assert_eq!(sum(&[]), f64::NEG_INFINITY);
            assert_eq!(sum(&[f32::NEG_INFINITY; 99]), f64::NEG_INFINITY);
            let mut late = vec![f32::NEG_INFINITY; 999];
            late[990] = -1e30;
            assert_eq!(sum(&late) as f32, -1e30);
            late[500] = f32::NAN;
            assert!(sum(&late).is_nan());
        }
    }

    /// Entries of rows in several tasks: those of one row only, the same item twice, no entries.
    #[test]
    fn additions_reach_their_own_row_and_item() {
        let (rows, items) = (101, 300);
        let scores: Vec<f32> = (0..items).map(|k| (k * 31 % 97) as f32).collect();
        let (mut offsets, mut named, mut values) = (vec![2], vec![9, 9], vec![1e9, 1e9]);
        for row in 0..rows {
            for entry in 0..row % 4 {
                named.push(((row * 53 + entry * 17) % items) as u32);
                values.push([250.0, -3.0, 1e4][entry]);
            }
            if row % 10 == 3 {
                named.push(named[named.len() - 1]);
                values.push(7.0);
            }
            offsets.push(named.len() as u32);
        }
        for path in Path::available() {
            let cpu = Cpu::with_path(2, path).unwrap();
            let task = TopTask {
                count: 12,
                log_sums: false,
                offsets: &offsets,
                items: &named,
                values: &values,
            };
            let found = search(&cpu, &scores, rows, &task);
            assert!(found.log_sums.is_empty());
            for row in 0..rows {
                let mut scaled: Vec<_> = scores.iter().map(|&s| (row + 1) as f32 * s).collect();
                for entry in task.entries(row) {
                    scaled[named[entry] as usize] += values[entry];
                }
                let row_found: (Vec<_>, Vec<_>) = found.row(row).unzip();
                assert_eq!(row_found, sorted(&scaled, 12), "{path:?} row {row}");
            }
        }
    }

    #[test]
    fn scores_are_those_of_the_product_to_the_bit() {
        let wave = |rows: usize, columns: usize, phase: f32| {
            let values = (0..rows * columns).map(|k| (phase + 0.7 * k as f32).sin()).collect();
            Matrix::from_vec(rows, columns, values)
        };
        for path in Path::available() {
            let cpu = Cpu::with_path(2, path).unwrap();
            for (rows, items, width) in [(1, 1, 1), (50, 133, 7), (97, 40, 33)] {
                let (q, table) = (wave(rows, width, 0.1), wave(items, width, 0.2));
                let bias = wave(items, 1, 0.3);
                let (mut scores, mut out) = (Matrix::default(), TopItems::default());
                cpu.scores(&q, &table, &bias, &mut scores);
                let task = TopTask { count: 20, ..TopTask::default() };
                cpu.top_items(&q, &table, &bias, &task, &mut out);
                for row in 0..rows {
                    let found: (Vec<_>, Vec<_>) = out.row(row).unzip();
                    assert_eq!(found, sorted(scores.row(row), 20), "{path:?} row {row}");
                }
            }
        }
    }
}
