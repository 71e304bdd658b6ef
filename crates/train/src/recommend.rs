//! What to show next, with how much belief.

use model::{Batch, Device, Model, Scorer, Sequence, TopItems, Wanted};

use crate::Error;
use crate::evaluate::{WINDOW, begin};
use crate::trained::Knowledge;

/// Positions in a batch.
const BATCH: usize = 2048;

/// An item and the probability that it comes next, as the model sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recommendation {
    /// The number of the item.
    pub item: u32,
    /// Its probability among all items, in `[0, 1]`.
    pub score: f32,
}

/// The `k` items that most probably come after each prefix, best first.
///
/// A prefix without any item gets the most popular ones, scored by their share of the training
/// events.
///
/// # Errors
///
/// Where a prefix holds an item that the model does not know, and where scores are not finite.
pub fn recommend<D: Device>(
    model: &Model<D>,
    knowledge: &Knowledge,
    prefixes: &[Sequence<'_>],
    k: usize,
) -> Result<Vec<Vec<Recommendation>>, Error> {
    let mut found = vec![Vec::new(); prefixes.len()];
    let mut scorer = Scorer::new(model);
    let mut batch = Batch::with_features(model.config(), model.features());
    // Like lengths together, so that a batch is dense.
    let mut order: Vec<usize> = (0..prefixes.len()).collect();
    order.sort_by_key(|&prefix| std::cmp::Reverse(prefixes[prefix].len()));
    let seen = |prefix: &usize| {
        let events = &prefixes[*prefix];
        events.cut(begin(events.len(), WINDOW)..events.len())
    };
    let mut rest = &order[..];
    while !rest.is_empty() {
        let mut positions = 0;
        let fits = |prefix: &&usize| {
            let length = seen(prefix).len();
            positions += length;
            positions <= BATCH || positions == length
        };
        let (now, later) = rest.split_at(rest.iter().take_while(fits).count());
        rest = later;
        let these: Vec<Sequence<'_>> = now.iter().map(seen).collect();
        batch.fill_prefixes(&these, Wanted::Last);
        let mut finite = true;
        // The item that stands for others is none that could be shown.
        let other = knowledge.vocabulary.other();
        scorer.best(&batch, k + usize::from(other.is_some()), |first, best| {
            for row in 0..best.log_sums.len() {
                finite &= is_finite(best, row);
                let mut these = probabilities(best, row);
                these.retain(|recommended| Some(recommended.item) != other);
                these.truncate(k);
                found[now[batch.origins()[first + row].0 as usize]] = these;
            }
        })?;
        if !finite {
            return Err(Error::ScoresNotFinite);
        }
    }
    for (prefix, recommendations) in prefixes.iter().zip(&mut found) {
        if prefix.is_empty() {
            *recommendations = popular(knowledge, k);
        }
    }
    Ok(found)
}

/// Whether there is a number for each of the best of a row, and for the sum over all items: an item beyond
/// the best that has none shows in the sum.
fn is_finite(best: &TopItems, row: usize) -> bool {
    best.log_sums[row].is_finite() && best.row(row).all(|(_, score)| score.is_finite())
}

/// The best of a row, their scores as probabilities.
///
/// ```text
///     p_j = exp(s_j − log Σ_c exp s_c)
/// ```
fn probabilities(best: &TopItems, row: usize) -> Vec<Recommendation> {
    let probability = |score: f32| (f64::from(score) - best.log_sums[row]).exp() as f32;
    let recommended = |(item, score)| Recommendation { item, score: probability(score) };
    best.row(row).map(recommended).collect()
}

fn popular(knowledge: &Knowledge, k: usize) -> Vec<Recommendation> {
    let counts = knowledge.vocabulary.counts();
    let sum: f64 = counts.iter().map(|&count| f64::from(count)).sum();
    let share = |count: u32| (f64::from(count) / sum) as f32;
    let other = knowledge.vocabulary.other();
    let first = counts.iter().enumerate().filter(|&(item, _)| Some(item as u32) != other).take(k);
    first.map(|(item, &count)| Recommendation { item: item as u32, score: share(count) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_finite_is_found_among_the_best_and_in_the_sum() {
        let finite = |score: f32, log_sum: f64| {
            let (items, scores) = (vec![1, 0], vec![1.0, score]);
            is_finite(&TopItems { width: 2, items, scores, log_sums: vec![log_sum] }, 0)
        };
        assert!(finite(0.5, 2.0));
        assert!(!finite(f32::NEG_INFINITY, 2.0) && !finite(0.5, f64::NAN));
        assert!(!finite(0.5, f64::INFINITY));
    }

    #[test]
    fn scores_become_probabilities() {
        let best = TopItems {
            width: 3,
            items: vec![1, 2, 0],
            scores: vec![3.0, 2.0, 1.0],
            log_sums: vec![[1f64, 2.0, 3.0].map(f64::exp).iter().sum::<f64>().ln()],
        };
        let all = probabilities(&best, 0);
        assert_eq!(all.iter().map(|r| r.item).collect::<Vec<_>>(), [1, 2, 0]);
        assert!((all.iter().map(|r| r.score).sum::<f32>() - 1.0).abs() < 1e-6);
        assert!((all[0].score / all[1].score - 1f32.exp()).abs() < 1e-5);
        let (items, scores, log_sums) = (vec![0], vec![1e30], vec![f64::from(1e30f32)]);
        let far = TopItems { width: 1, items, scores, log_sums };
        assert_eq!(probabilities(&far, 0)[0].score, 1.0);
    }
}
