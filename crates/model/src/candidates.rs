//! The columns of the sampled softmax: the frequent items, a draw of the rest, and the targets that
//! are neither.
//!
//! ```text
//!     column   0 .. K             the K most frequent items, each as itself
//!              K .. K + n         n of the others, drawn uniformly without replacement; each stands
//!                                 for (V − K) / n of them: log((V − K) / n) is added to its score
//!              K + n ..           private: targets that are neither, seen only where they are due
//! ```
//!
//! A target is always in the sum as itself, whether it was drawn or not; where it was, the
//! correction is taken back (`shift`). The draw depends on (seed, step) alone.
//!
//! That correction makes the sum over the sample an estimate of the sum over all items, which is
//! what the cross-entropy needs. A ranking loss asks how the target stands to this one and that
//! one, as its paper does with samples: nothing is added.
//!
//! # Source
//!
//! Y. Bengio, J.-S. Senécal, "Adaptive importance sampling to accelerate training of a neural
//! probabilistic language model", 2008; the uniform case, with the head of the distribution exact.

use layout::random::Stream;
use layout::{CandidateLoss, SoftmaxTask};

use crate::streams;
use crate::{Batch, Loss};

const ABSENT: u32 = u32::MAX;

/// The candidates of one step and what the softmax has to know about them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Candidates {
    loss: CandidateLoss,
    /// The item of each column, `[C]`.
    pub(crate) items: Vec<u32>,
    /// Added to the score of each column, `[C]`.
    pub(crate) correction: Vec<f32>,
    shared: usize,
    smoothing: f32,
    target: Vec<u32>,
    shift: Vec<f32>,
    column_share: Vec<f32>,
    repeat_offsets: Vec<u32>,
    repeat_columns: Vec<u32>,
    repeat_lags: Vec<u8>,
    /// The column of each item, `[V]`.
    column: Vec<u32>,
}

impl Candidates {
    /// Draws the candidates of one step and finds everything in the batch that names one.
    pub(crate) fn draw(&mut self, loss: &Loss, items: usize, seed: u64, step: u32, batch: &Batch) {
        debug_assert!(loss.is_sampled(items), "there are more items than candidates");
        let (frequent, drawn) = (loss.frequent, loss.drawn);
        let rest = items - frequent;
        for &item in &self.items {
            self.column[item as usize] = ABSENT;
        }
        self.column.resize(items, ABSENT);

        self.items.clear();
        self.items.extend(0..frequent as u32);
        self.draw_rest(frequent, drawn, rest, Stream::new(seed, streams::CANDIDATES, step));
        for (column, &item) in self.items.iter().enumerate() {
            self.column[item as usize] = column as u32;
        }
        self.shared = frequent + drawn;

        self.loss = loss.of_candidates();
        let correction = match self.loss {
            CandidateLoss::CrossEntropy => (rest as f64 / drawn as f64).ln() as f32,
            _ => 0.0,
        };
        self.correction.clear();
        self.correction.resize(frequent, 0.0);
        self.correction.resize(self.shared, correction);

        self.smoothing = loss.smoothing;
        self.column_share.clear();
        if loss.smoothing > 0.0 {
            let one = 1.0 / items as f64;
            self.column_share.resize(frequent, one as f32);
            self.column_share.resize(self.shared, (one * rest as f64 / drawn as f64) as f32);
        }

        self.place_targets(frequent, correction, batch.targets());
        self.correction.resize(self.items.len(), 0.0);
        self.keep_repeats(batch);
    }

    /// Floyd's draw: n of the `rest` items from `frequent` on, every set equally likely. Sorted, so
    /// that a gather of their rows walks through memory in one direction.
    fn draw_rest(&mut self, frequent: usize, drawn: usize, rest: usize, stream: Stream) {
        for last in rest - drawn..rest {
            let any = stream.below(last as u64, last as u32 + 1) as usize;
            let taken = self.column[frequent + any] != ABSENT;
            let item = frequent + if taken { last } else { any };
            self.column[item] = 0;
            self.items.push(item as u32);
        }
        self.items[frequent..].sort_unstable();
    }

    fn place_targets(&mut self, frequent: usize, correction: f32, targets: &[u32]) {
        self.target.clear();
        self.shift.clear();
        for &item in targets {
            let mut column = self.column[item as usize];
            if column == ABSENT {
                column = self.items.len() as u32;
                self.items.push(item);
                self.column[item as usize] = column;
            }
            let drawn = (frequent..self.shared).contains(&(column as usize));
            self.target.push(column);
            self.shift.push(if drawn { -correction } else { 0.0 });
        }
    }

    /// Keeps the repeat entries whose item is a candidate where they stand.
    fn keep_repeats(&mut self, batch: &Batch) {
        self.repeat_offsets.clear();
        self.repeat_columns.clear();
        self.repeat_lags.clear();
        if batch.repeat_offsets().is_empty() {
            return;
        }
        self.repeat_offsets.push(0);
        for (p, &target) in self.target.iter().enumerate() {
            for (item, lag) in batch.repeats(p) {
                let column = self.column[item as usize];
                if column == target || (column as usize) < self.shared {
                    self.repeat_columns.push(column);
                    self.repeat_lags.push(lag);
                }
            }
            self.repeat_offsets.push(self.repeat_columns.len() as u32);
        }
    }

    /// The softmax over these candidates.
    pub(crate) fn task<'a>(&'a self, weight: &'a [f32]) -> SoftmaxTask<'a> {
        SoftmaxTask {
            loss: self.loss,
            target: &self.target,
            weight,
            shift: &self.shift,
            shared: self.shared,
            smoothing: self.smoothing,
            column_share: &self.column_share,
            repeat_offsets: &self.repeat_offsets,
            repeat_columns: &self.repeat_columns,
            repeat_lags: &self.repeat_lags,
        }
    }
}

/// The softmax over all items: every column is the item of its index.
pub(crate) fn full_task<'a>(loss: &Loss, items: usize, batch: &'a Batch) -> SoftmaxTask<'a> {
    SoftmaxTask {
        loss: loss.of_candidates(),
        target: batch.targets(),
        weight: batch.weights(),
        shift: &[],
        shared: items,
        smoothing: loss.smoothing,
        column_share: &[],
        repeat_offsets: batch.repeat_offsets(),
        repeat_columns: batch.repeat_items(),
        repeat_lags: batch.repeat_lags(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LossKind, ModelConfig};

    const LOSS: Loss = Loss {
        kind: LossKind::CrossEntropy,
        frequent: 3,
        drawn: 4,
        smoothing: 0.1,
        regularization: 0.0,
    };

    fn batch() -> Batch {
        let mut batch = Batch::new(&ModelConfig { repeat_lags: 5, ..ModelConfig::default() });
        batch.fill_training(&[&[0, 19, 1, 19, 18, 17][..], &[16, 2, 15, 14]], &[]);
        batch
    }

    #[test]
    fn columns_are_what_the_picture_says() {
        let (batch, mut candidates) = (batch(), Candidates::default());
        for step in 0..50 {
            candidates.draw(&LOSS, 20, 7, step, &batch);
            let (items, shared) = (&candidates.items, 7);
            assert_eq!(items[..3], [0, 1, 2]);
            assert!(items[3..shared].is_sorted_by(|a, b| a < b) && items[3] >= 3);
            let mut distinct = items.clone();
            distinct.sort_unstable();
            distinct.dedup();
            assert_eq!(distinct.len(), items.len(), "each item has one column");

            let correction = (17f64 / 4.0).ln() as f32;
            let task = candidates.task(batch.weights());
            for (p, &target) in batch.targets().iter().enumerate() {
                let column = task.target[p] as usize;
                assert_eq!(items[column], target);
                let corrected = candidates.correction[column] + task.shift[p];
                assert_eq!(corrected, 0.0, "a target stands for itself alone");
            }
            for (column, &added) in candidates.correction.iter().enumerate() {
                assert_eq!(added, if (3..shared).contains(&column) { correction } else { 0.0 });
            }
            let total: f32 = task.column_share.iter().sum();
            assert!((total - 1.0).abs() < 1e-6, "{total}");
        }
    }

    #[test]
    fn a_ranking_loss_takes_the_sample_as_it_is() {
        let (batch, mut candidates) = (batch(), Candidates::default());
        candidates.draw(&LOSS, 20, 7, 3, &batch);
        let items = candidates.items.clone();
        for kind in [LossKind::BprMax, LossKind::Top1Max] {
            candidates.draw(&Loss { kind, smoothing: 0.0, ..LOSS }, 20, 7, 3, &batch);
            assert_eq!(candidates.items, items, "the same draw");
            let task = candidates.task(batch.weights());
            assert!(candidates.correction.iter().chain(task.shift).all(|&added| added == 0.0));
        }
    }

    #[test]
    fn repeats_name_shared_columns_or_their_own_target() {
        let (batch, mut candidates) = (batch(), Candidates::default());
        let (mut kept, mut left_out) = (0, 0);
        for step in 0..50 {
            candidates.draw(&LOSS, 20, 7, step, &batch);
            let task = candidates.task(batch.weights());
            for p in 0..batch.targets().len() {
                let range = task.repeat_offsets[p] as usize..task.repeat_offsets[p + 1] as usize;
                let columns = &task.repeat_columns[range.clone()];
                let lags = &task.repeat_lags[range];
                let found: Vec<_> = columns.iter().zip(lags).map(|(&c, &l)| (c, l)).collect();
                let expected: Vec<_> = batch
                    .repeats(p)
                    .filter_map(|(item, lag)| {
                        let column = candidates.items.iter().position(|&i| i == item)?;
                        (column < 7 || column == task.target[p] as usize)
                            .then_some((column as u32, lag))
                    })
                    .collect();
                left_out += batch.repeats(p).count() - expected.len();
                kept += expected.len();
                assert_eq!(found, expected);
            }
        }
        assert!(kept > 0 && left_out > 0, "both cases occur: {kept} and {left_out}");
    }

    #[test]
    fn every_rare_item_is_drawn_equally_often() {
        let (batch, mut candidates) = (batch(), Candidates::default());
        let mut counts = [0u32; 20];
        let steps = 8000;
        for step in 0..steps {
            candidates.draw(&LOSS, 20, 3, step, &batch);
            candidates.items[3..7].iter().for_each(|&item| counts[item as usize] += 1);
        }
        let share = 4.0 / 17.0;
        let deviation = (f64::from(steps) * share * (1.0 - share)).sqrt();
        for &count in &counts[3..] {
            let off = (f64::from(count) - f64::from(steps) * share) / deviation;
            assert!(off.abs() < 4.5, "{counts:?}");
        }
    }
}
