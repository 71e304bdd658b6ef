//! How sessions become batches in which every position is a target.
//!
//! A session of n items has n − 1 targets, all learned from one pass: no prefix is copied. Sessions
//! with more than `max_length` targets are cut into pieces that share one item, so that every
//! target keeps its place:
//!
//! ```text
//!     a b c d e f g   at most 3 targets:   a b c d · d e f g
//! ```
//!
//! With a window, a session is one piece, however long, and its batch is learned in several steps, each
//! from the states in which the one before has ended:
//!
//! ```text
//!     a b c d e f g   windows of 3:        a b c d · (states) · d e f g
//! ```
//!
//! The pieces of an epoch are sorted by length with a little noise, cut into batches of at most
//! `batch_targets` targets in one step, and the batches shuffled. All of it follows from (seed, epoch).

use layout::random::Stream;

use crate::tasks::{Lessons, TaskPiece};

/// Names of the random streams of this crate; the model's own start at 0.
const NOISE: u32 = 0x7261_0001;
const ORDER: u32 = 0x7261_0002;

/// How far, in targets, a piece may stray from its place in the order of lengths.
const LENGTH_NOISE: f32 = 2.0;

/// A part of a session that is learned in one go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Number of the session.
    pub session: u32,
    /// Where in the session the piece starts.
    pub start: u32,
    /// How many targets it has; its items are one more.
    pub targets: u32,
    /// Its place among the pieces.
    pub number: u32,
}

/// All pieces of a training set.
#[derive(Debug, Clone)]
pub struct Pieces {
    pieces: Vec<Piece>,
    targets: usize,
}

impl Pieces {
    /// Cuts sessions of these lengths (in items) into pieces of at most `max_length` targets.
    /// Sessions with fewer than two items have no target and no piece.
    ///
    /// # Panics
    ///
    /// Where `max_length` is 0.
    pub fn cut(lengths: impl Iterator<Item = usize>, max_length: usize) -> Self {
        assert!(max_length > 0, "a piece has at least one target");
        let mut pieces = Vec::new();
        let mut total = 0;
        for (session, length) in lengths.enumerate() {
            let targets = length.saturating_sub(1);
            total += targets;
            for start in (0..targets).step_by(max_length) {
                pieces.push(Piece {
                    session: session as u32,
                    start: start as u32,
                    targets: (targets - start).min(max_length) as u32,
                    number: pieces.len() as u32,
                });
            }
        }
        Self { pieces, targets: total }
    }

    /// The pieces of some lessons, of which every event is a position.
    pub fn of_lessons(lessons: &Lessons) -> Self {
        let piece = |(number, piece): (usize, &TaskPiece)| Piece {
            session: piece.user,
            start: piece.events.start,
            targets: piece.events.len() as u32,
            number: number as u32,
        };
        let pieces: Vec<Piece> = lessons.pieces.iter().enumerate().map(piece).collect();
        let targets = pieces.iter().map(|piece| piece.targets as usize).sum();
        Self { pieces, targets }
    }

    /// Number of targets of an epoch.
    pub fn targets(&self) -> usize {
        self.targets
    }

    /// Number of pieces.
    pub fn count(&self) -> usize {
        self.pieces.len()
    }

    /// The batches of an epoch. Each holds at most `batch_targets` targets (more only where a single
    /// piece has more), of which a piece of more than `window` counts so many: those of one step. Its
    /// pieces come in the order of falling length that `layout::Steps` wants.
    pub fn epoch(
        &self,
        seed: u64,
        epoch: usize,
        batch_targets: usize,
        window: usize,
    ) -> Vec<Vec<Piece>> {
        let noise = Stream::new(seed, NOISE, epoch as u32);
        let key = |k: usize| self.pieces[k].targets as f32 + LENGTH_NOISE * noise.uniform(k as u64);
        let mut order: Vec<(f32, u32)> =
            (0..self.pieces.len()).map(|k| (key(k), k as u32)).collect();
        order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));

        let mut batches = Vec::with_capacity(self.targets / batch_targets.max(1) + 1);
        let mut batch = Vec::new();
        let mut targets = 0;
        for (_, k) in order {
            let piece = self.pieces[k as usize];
            let at_once = (piece.targets as usize).min(window);
            if targets + at_once > batch_targets && !batch.is_empty() {
                batches.push(std::mem::take(&mut batch));
                targets = 0;
            }
            targets += at_once;
            batch.push(piece);
        }
        if !batch.is_empty() {
            batches.push(batch);
        }
        for batch in &mut batches {
            batch.sort_by_key(|piece| std::cmp::Reverse(piece.targets));
        }
        Stream::new(seed, ORDER, epoch as u32).shuffle(&mut batches);
        batches
    }
}

/// What each session counts in the loss, by its place in time (0 the first, 1 the last):
/// proportional to `exp(recency · place)`, with mean 1.
pub fn recency_weights(places: &[f64], recency: f64) -> Vec<f32> {
    let raw: Vec<f64> = places.iter().map(|place| (recency * place).exp()).collect();
    let mean = raw.iter().sum::<f64>() / raw.len().max(1) as f64;
    raw.iter().map(|weight| (weight / mean) as f32).collect()
}

/// The place in time of each session, in `[0, 1]`: by its `time` where all have one and they
/// differ, by its number otherwise.
pub fn places(times: &[Option<i64>]) -> Vec<f64> {
    let known: Vec<i64> = times.iter().flatten().copied().collect();
    let span = known.iter().min().zip(known.iter().max());
    match span {
        Some((&first, &last)) if known.len() == times.len() && last > first => {
            // Differences as f64: a hostile log may hold both ends of i64.
            let width = last as f64 - first as f64;
            known.iter().map(|&time| (time as f64 - first as f64) / width).collect()
        }
        _ => {
            let last = times.len().saturating_sub(1).max(1) as f64;
            (0..times.len()).map(|k| k as f64 / last).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths() -> Vec<usize> {
        (0..500).map(|k| 1 + (k * k) % 97).collect()
    }

    #[test]
    fn a_long_session_is_cut_into_pieces_that_share_one_item() {
        let pieces = Pieces::cut([7, 1, 2, 4].into_iter(), 3);
        let found: Vec<_> = pieces.pieces.iter().map(|p| (p.session, p.start, p.targets)).collect();
        assert_eq!(found, [(0, 0, 3), (0, 3, 3), (2, 0, 1), (3, 0, 3)]);
        assert_eq!(pieces.targets(), 10);
    }

    #[test]
    fn every_target_occurs_once_in_an_epoch() {
        let pieces = Pieces::cut(lengths().into_iter(), 40);
        let mut seen = vec![];
        for batch in pieces.epoch(3, 2, 256, usize::MAX) {
            for piece in batch {
                seen.extend((0..piece.targets).map(|k| (piece.session, piece.start + k)));
            }
        }
        seen.sort_unstable();
        let expected: Vec<_> = lengths()
            .iter()
            .enumerate()
            .flat_map(|(s, &length)| (0..length as u32 - 1).map(move |k| (s as u32, k)))
            .collect();
        assert_eq!(seen, expected);
        assert_eq!(expected.len(), pieces.targets());
    }

    #[test]
    fn batches_are_full_sorted_and_of_like_lengths() {
        let pieces = Pieces::cut(lengths().into_iter(), 40);
        let batches = pieces.epoch(1, 0, 256, usize::MAX);
        for batch in &batches {
            assert!(batch.is_sorted_by(|a, b| a.targets >= b.targets));
            let targets: u32 = batch.iter().map(|p| p.targets).sum();
            assert!(targets <= 256, "{targets}");
            assert!(batch[0].targets - batch[batch.len() - 1].targets <= 12);
        }
        let small = batches.iter().filter(|b| b.iter().map(|p| p.targets).sum::<u32>() < 210);
        assert!(small.count() <= 1, "only the last batch may stay half empty");
    }

    #[test]
    fn a_piece_larger_than_a_batch_stands_alone() {
        let batches = Pieces::cut([31, 31].into_iter(), 30).epoch(1, 0, 10, usize::MAX);
        assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1]);
    }

    #[test]
    fn a_piece_of_many_windows_takes_the_room_of_one() {
        let pieces = Pieces::cut([31, 31, 31, 6].into_iter(), usize::MAX);
        assert_eq!((pieces.count(), pieces.targets()), (4, 95));
        let sizes = |window| pieces.epoch(1, 0, 20, window).iter().map(Vec::len).max();
        assert_eq!((sizes(10), sizes(5), sizes(usize::MAX)), (Some(2), Some(4), Some(1)));
    }

    #[test]
    fn epochs_and_seeds_differ_and_repeat() {
        let pieces = Pieces::cut(lengths().into_iter(), 40);
        assert_eq!(pieces.epoch(1, 0, 256, usize::MAX), pieces.epoch(1, 0, 256, usize::MAX));
        assert_ne!(pieces.epoch(1, 0, 256, usize::MAX), pieces.epoch(1, 1, 256, usize::MAX));
        assert_ne!(pieces.epoch(1, 0, 256, usize::MAX), pieces.epoch(2, 0, 256, usize::MAX));
    }

    #[test]
    fn recent_sessions_weigh_more_and_the_mean_is_one() {
        let weights = recency_weights(&[0.0, 0.5, 1.0], 1.0);
        assert!((weights.iter().sum::<f32>() - 3.0).abs() < 1e-6);
        assert!((weights[2] / weights[0] - 1f32.exp()).abs() < 1e-5);
        assert_eq!(recency_weights(&[0.0, 0.5, 1.0], 0.0), [1.0; 3]);
        assert!(recency_weights(&[], 1.0).is_empty());
    }

    #[test]
    fn places_come_from_times_or_from_the_order() {
        assert_eq!(places(&[Some(10), Some(30), Some(20)]), [0.0, 1.0, 0.5]);
        assert_eq!(places(&[Some(10), None, Some(20)]), [0.0, 0.5, 1.0]);
        assert_eq!(places(&[Some(7), Some(7)]), [0.0, 1.0]);
        assert_eq!(places(&[Some(i64::MIN), Some(i64::MAX)]), [0.0, 1.0]);
        assert_eq!(places(&[None]), [0.0]);
    }
}
