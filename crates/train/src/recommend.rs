//! What to show next, with how much belief.

use events::NONE;
use model::{Batch, Device, Model, Scorer, Sequence, TopItems, Wanted};
use rustc_hash::FxHashMap;

use crate::Error;
use crate::evaluate::begin;
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

/// What may be shown to anyone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shelf {
    /// Whether an item may be shown, by its number; none: all may.
    pub shown: Option<Vec<bool>>,
    /// How many items of one category may stand in one answer, and the category of each item by its number.
    /// An item of no known category ([`NONE`]) is like no other, and no limit counts it.
    pub limit: Option<(u32, Vec<u32>)>,
}

impl Shelf {
    /// How many of so many items may be shown.
    fn size(&self, items: usize) -> usize {
        let shown = self.shown.as_ref();
        shown.map_or(items, |shown| shown.iter().filter(|&&shown| shown).count())
    }

    /// The first `k` of a ranking that may be shown, without those that are `left_out`.
    fn choose(
        &self,
        ranking: impl Iterator<Item = Recommendation>,
        left_out: &[u32],
        k: usize,
    ) -> Vec<Recommendation> {
        let mut taken: FxHashMap<u32, u32> = FxHashMap::default();
        let may_stay = |recommended: &Recommendation| {
            let item = recommended.item;
            if self.shown.as_ref().is_some_and(|shown| !shown[item as usize])
                || left_out.binary_search(&item).is_ok()
            {
                return false;
            }
            let Some((most, categories)) = &self.limit else { return true };
            let category = categories[item as usize];
            if category == NONE {
                return true;
            }
            let taken = taken.entry(category).or_default();
            *taken += 1;
            *taken <= *most
        };
        ranking.filter(may_stay).take(k).collect()
    }
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
    recommend_from(model, knowledge, prefixes, k, &Shelf::default(), &[])
}

/// The same among the items of a shelf: the first `k` of the same ranking that may be shown, with the same
/// probabilities among all items. `left_out` holds for each prefix the items that are not shown there, by
/// rising number; where it is empty, nothing is left out. Fewer than `k` come where no more are left.
///
/// # Errors
///
/// As [`recommend`].
pub fn recommend_from<D: Device>(
    model: &Model<D>,
    knowledge: &Knowledge,
    prefixes: &[Sequence<'_>],
    k: usize,
    shelf: &Shelf,
    left_out: &[Vec<u32>],
) -> Result<Vec<Vec<Recommendation>>, Error> {
    let items = knowledge.vocabulary.len();
    // The item that stands for others is none that could be shown.
    let other = knowledge.vocabulary.other();
    let left_out = |prefix: usize| left_out.get(prefix).map_or(&[][..], Vec::as_slice);
    let choose = |prefix: usize, ranking: &mut dyn Iterator<Item = Recommendation>| {
        let ranking = ranking.filter(|recommended| Some(recommended.item) != other);
        shelf.choose(ranking, left_out(prefix), k)
    };
    let mut found = vec![Vec::new(); prefixes.len()];
    let window = knowledge.window();
    let mut asker = Asker { scorer: Scorer::new(model), batch: batch_of(model), prefixes, window };
    let mut order: Vec<usize> = Vec::new();
    for (prefix, events) in prefixes.iter().enumerate() {
        match events.is_empty() {
            true => found[prefix] = choose(prefix, &mut popular(knowledge)),
            false => order.push(prefix),
        }
    }
    // Like lengths together, so that a batch is dense.
    order.sort_by_key(|&prefix| std::cmp::Reverse(prefixes[prefix].len()));

    // As many as are hidden at most lie before the last that is wanted; categories may hide more. Whoever
    // has not got enough is asked again for more, in the end for all.
    let longest = order.iter().map(|&prefix| left_out(prefix).len()).max().unwrap_or(0);
    let hidden = items - shelf.size(items);
    let mut depth = k.saturating_add(usize::from(other.is_some()) + longest + hidden);
    if shelf.limit.is_some() {
        depth = depth.saturating_mul(2);
    }
    while !order.is_empty() {
        depth = depth.min(items);
        let mut again = Vec::new();
        asker.ask(&order, depth, |prefix, ranking| {
            let chosen = choose(prefix, ranking);
            if chosen.len() < k && depth < items {
                again.push(prefix);
            }
            found[prefix] = chosen;
        })?;
        order = again;
        depth = depth.saturating_mul(4);
    }
    Ok(found)
}

fn batch_of<D: Device>(model: &Model<D>) -> Batch {
    Batch::with_features(model.config(), model.features())
}

/// A model that ranks items after prefixes.
struct Asker<'a, D: Device> {
    scorer: Scorer<'a, D>,
    batch: Batch,
    prefixes: &'a [Sequence<'a>],
    /// Events that are read at most.
    window: usize,
}

impl<D: Device> Asker<'_, D> {
    /// Shows `visit` the first `depth` items after some prefixes, which stand by falling length.
    fn ask(
        &mut self,
        order: &[usize],
        depth: usize,
        mut visit: impl FnMut(usize, &mut dyn Iterator<Item = Recommendation>),
    ) -> Result<(), Error> {
        let Self { scorer, batch, prefixes, window } = self;
        let seen = |prefix: &usize| {
            let events = &prefixes[*prefix];
            events.cut(begin(events.len(), *window)..events.len())
        };
        let mut rest = order;
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
            scorer.best(batch, depth, |first, best| {
                for row in 0..best.log_sums.len() {
                    finite &= is_finite(best, row);
                    let prefix = now[batch.origins()[first + row].0 as usize];
                    visit(prefix, &mut probabilities(best, row));
                }
            })?;
            if !finite {
                return Err(Error::ScoresNotFinite);
            }
        }
        Ok(())
    }
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
fn probabilities(best: &TopItems, row: usize) -> impl Iterator<Item = Recommendation> + '_ {
    let probability = move |score: f32| (f64::from(score) - best.log_sums[row]).exp() as f32;
    let recommended = move |(item, score)| Recommendation { item, score: probability(score) };
    best.row(row).map(recommended)
}

/// All items by popularity.
fn popular(knowledge: &Knowledge) -> impl Iterator<Item = Recommendation> + '_ {
    let counts = knowledge.vocabulary.counts();
    let sum: f64 = counts.iter().map(|&count| f64::from(count)).sum();
    let share = move |count: u32| (f64::from(count) / sum) as f32;
    let items = counts.iter().enumerate();
    items.map(move |(item, &count)| Recommendation { item: item as u32, score: share(count) })
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
        let all: Vec<Recommendation> = probabilities(&best, 0).collect();
        assert_eq!(all.iter().map(|r| r.item).collect::<Vec<_>>(), [1, 2, 0]);
        assert!((all.iter().map(|r| r.score).sum::<f32>() - 1.0).abs() < 1e-6);
        assert!((all[0].score / all[1].score - 1f32.exp()).abs() < 1e-5);
        let (items, scores, log_sums) = (vec![0], vec![1e30], vec![f64::from(1e30f32)]);
        let far = TopItems { width: 1, items, scores, log_sums };
        assert_eq!(probabilities(&far, 0).next().unwrap().score, 1.0);
    }
    /// The items 0, 1, 2, … as a ranking.
    fn ranking(items: u32) -> impl Iterator<Item = Recommendation> {
        (0..items).map(|item| Recommendation { item, score: 0.5 })
    }

    fn chosen(shelf: &Shelf, left_out: &[u32], k: usize) -> Vec<u32> {
        shelf.choose(ranking(8), left_out, k).iter().map(|r| r.item).collect()
    }

    #[test]
    fn a_shelf_keeps_the_order_of_what_is_left() {
        let all = Shelf::default();
        assert_eq!(chosen(&all, &[], 3), [0, 1, 2]);
        assert_eq!(chosen(&all, &[0, 2], 3), [1, 3, 4]);
        let shown = Some((0..8).map(|item| item % 2 == 1).collect());
        let odd = Shelf { shown, ..Shelf::default() };
        assert_eq!(odd.size(8), 4);
        assert_eq!(chosen(&odd, &[3], 8), [1, 5, 7]);
    }

    /// Items of no category are like no others; what is left out counts for nothing.
    #[test]
    fn a_category_fills_up() {
        let categories = vec![5, 5, 5, 7, NONE, NONE, 7, 5];
        let shelf = Shelf { limit: Some((1, categories.clone())), ..Shelf::default() };
        assert_eq!(chosen(&shelf, &[], 8), [0, 3, 4, 5]);
        assert_eq!(chosen(&shelf, &[0, 3], 8), [1, 4, 5, 6]);
        let shelf = Shelf { limit: Some((2, categories)), ..Shelf::default() };
        assert_eq!(chosen(&shelf, &[], 8), [0, 1, 3, 4, 5, 6]);
        assert_eq!(chosen(&shelf, &[], 3), [0, 1, 3]);
    }
}
