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

mod heap;
mod search;

use crate::Cpu;
use crate::panel::Source;
use heap::{item_of, score_of};
use layout::{Matrix, TopItems, TopTask};
use rayon::prelude::*;
use search::Search;

/// Rows in one task: their q stays in the nearest caches, and whole tiles of every height fill them.
const ROWS_PER_TASK: usize = 48;
/// Panels of items in one block: the scores of a task, 12 or 24 KiB, stay in the nearest cache.
const PANELS_PER_BLOCK: usize = 4;

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
    /// The scores have the bits of [`Cpu::scores`], but for −0, which comes back as 0, and for what is
    /// not a number, which comes back as −∞. A row's answer depends on no other row.
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

/// The entries of the rows of a task from row `first` on, by rising item: `item · 2³² + entry`.
fn sort_additions(task: &TopTask<'_>, first: usize, additions: &mut [u64]) {
    let Some(begin) = task.offsets.get(first).map(|&offset| u64::from(offset)) else { return };
    for (entry, addition) in (begin..).zip(&mut *additions) {
        *addition = u64::from(task.items[entry as usize]) << 32 | entry;
    }
    additions.sort_unstable();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Path;
    use testkit::wave_matrix;

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
        let q = Matrix::from_values(rows, 1, (1..=rows).map(|p| p as f32));
        let table = Matrix::from_values(scores.len(), 1, scores.iter().copied());
        let bias = Matrix::zeros(scores.len(), 1);
        let mut out =
            TopItems { width: 9, items: vec![7], scores: vec![f32::NAN], log_sums: vec![] };
        cpu.run(|| cpu.top_items(&q, &table, &bias, task, &mut out));
        out
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
        for path in Path::available() {
            let cpu = Cpu::with_path(2, path).unwrap();
            for (rows, items, width) in [(1, 1, 1), (50, 133, 7), (97, 40, 33)] {
                let (q, table) = (wave_matrix(rows, width, 0.1), wave_matrix(items, width, 0.2));
                let bias = wave_matrix(items, 1, 0.3);
                let (mut scores, mut out) = (Matrix::default(), TopItems::default());
                let task = TopTask { count: 20, ..TopTask::default() };
                cpu.run(|| {
                    cpu.scores(&q, &table, &bias, &mut scores);
                    cpu.top_items(&q, &table, &bias, &task, &mut out);
                });
                for row in 0..rows {
                    let found: (Vec<_>, Vec<_>) = out.row(row).unzip();
                    assert_eq!(found, sorted(scores.row(row), 20), "{path:?} row {row}");
                }
            }
        }
    }
}
