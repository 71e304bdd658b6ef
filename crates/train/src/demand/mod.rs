//! How much of each item will be bought: from what users are expected to order, shared out among items.
//!
//! ```text
//!     total       = Σ_u orders_u · lines_u
//!     late[i]     = total · share of i in the sales of the window before
//!     head[i]     = Σ_u orders_u · lines_u · p_u(i | buys)
//!     seasonal[i] = mean of the sales of i in like windows: a year before, or those that are there
//!     demand[i]   = ratio · (w_0 · late[i] + w_1 · head[i]) + w_2 · seasonal[i]
//! ```
//!
//! 1. [`sales`] counts what was sold in windows of a log, and what that says of the next one.
//! 2. [`share_out`] asks the head of the next item what each user will buy.
//! 3. [`Mix`] brings them together as one should have done a window earlier, and [`interval`] says how far off
//!    it may be; [`Scored`] says how far off it was.

mod mix;
mod quality;
pub mod sales;

pub use mix::{Mix, Sources, interval};
pub use quality::{Quality, Scored};

use events::{Sequences, Vocabulary};
use model::{Batch, Device, Model, Scorer, Sequence, Wanted};

use crate::Error;
use crate::evaluate::begin;
use crate::treatment::sequence;

/// Positions in a batch.
const BATCH: usize = 2048;

/// The items of a model among those of a log.
#[derive(Debug, Clone, PartialEq)]
pub struct Shelf {
    /// How likely an event with each item of the vocabulary is a purchase, `[V]`.
    likely: Vec<f64>,
    /// Of each item of the log: the one of the vocabulary, and its share of the purchases of that one.
    of: Vec<Option<(u32, f64)>>,
}

impl Shelf {
    /// Looks items up; `events` and `purchases` are how often each item of the log has been met and bought.
    pub fn new(
        vocabulary: &Vocabulary,
        names: &events::Names,
        events: &[f64],
        purchases: &[f64],
    ) -> Self {
        let number = |name: &str| vocabulary.find(name).or(vocabulary.other());
        let numbers: Vec<Option<u32>> = names.iter().map(number).collect();
        let (mut met, mut bought) = (vec![0.0; vocabulary.len()], vec![0.0; vocabulary.len()]);
        for (item, number) in numbers.iter().enumerate() {
            if let Some(number) = number {
                met[*number as usize] += events[item];
                bought[*number as usize] += purchases[item];
            }
        }
        let share = |item: usize, number: u32| match bought[number as usize] {
            0.0 => 0.0,
            all => purchases[item] / all,
        };
        let of = numbers.iter().enumerate().map(|(item, n)| n.map(|n| (n, share(item, n))));
        let of = of.collect();
        let likely = met.iter().zip(&bought).map(|(&met, &bought)| bought / f64::max(met, 1.0));
        Self { likely: likely.collect(), of }
    }

    /// What is said of the items of the vocabulary, of those of the log.
    pub fn of_log(&self, of_vocabulary: &[f64]) -> Vec<f64> {
        let value = |of: &Option<(u32, f64)>| {
            of.map_or(0.0, |(number, share)| share * of_vocabulary[number as usize])
        };
        self.of.iter().map(value).collect()
    }
}

/// Adds to each item of the vocabulary what users will buy of it: `lines[u]` purchases of user u, shared out by
/// the probabilities that the head of the next item gives after the first `known[u]` events, as far as an
/// event with an item is a purchase.
///
/// ```text
///     p_u(i | buys) ∝ softmax(scores_u)_i · likely_i
/// ```
///
/// # Errors
///
/// Where scores are not finite.
pub fn share_out<D: Device>(
    model: &Model<D>,
    (sequences, history): (&Sequences, usize),
    lines: &[f64],
    shelf: &Shelf,
    to: &mut [f64],
) -> Result<(), Error> {
    let mut scorer = Scorer::new(model);
    let mut batch = Batch::with_features(model.config(), model.features());
    let seen = |user: usize| {
        let length = sequences.get(user).len();
        sequence(sequences, user, begin(length, history)..length)
    };
    let mut order: Vec<usize> = (0..sequences.len()).filter(|&user| lines[user] > 0.0).collect();
    order.retain(|&user| !sequences.get(user).is_empty());
    order.sort_by_key(|&user| std::cmp::Reverse(seen(user).len()));
    let mut rest = &order[..];
    let mut share = Vec::new();
    while !rest.is_empty() {
        let mut positions = 0;
        let fits = |&&user: &&usize| {
            let length = seen(user).len();
            positions += length;
            positions <= BATCH || positions == length
        };
        let (now, later) = rest.split_at(rest.iter().take_while(fits).count());
        rest = later;
        let these: Vec<Sequence<'_>> = now.iter().map(|&user| seen(user)).collect();
        batch.fill_prefixes(&these, Wanted::Last);
        let mut finite = true;
        scorer.score(&batch, |first, scores| {
            for row in 0..scores.rows() {
                let user = now[batch.origins()[first + row].0 as usize];
                let scores = scores.row(row);
                let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let likely =
                    |(&score, &likely): (&f32, &f64)| likely * f64::from((score - largest).exp());
                share.clear();
                share.extend(scores.iter().zip(&shelf.likely).map(likely));
                let sum: f64 = share.iter().sum();
                finite &= sum.is_finite();
                if sum > 0.0 {
                    let each = lines[user] / sum;
                    to.iter_mut().zip(&share).for_each(|(to, share)| *to += each * share);
                }
            }
        })?;
        if !finite {
            return Err(Error::ScoresNotFinite);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_that_are_one_to_the_model_share_what_is_said_of_it() {
        // Nothing is called as the one that stands for others.
        let vocabulary = Vocabulary::from_parts(["a", ""], vec![9, 2]).unwrap();
        let names: events::Names = ["rare", "a", "rarer", "seen"].into_iter().collect();
        let shelf = Shelf::new(&vocabulary, &names, &[4.0, 20.0, 4.0, 2.0], &[3.0, 5.0, 1.0, 0.0]);
        assert_eq!(shelf.likely, [0.25, 0.4]);
        assert_eq!(shelf.of_log(&[10.0, 8.0]), [6.0, 10.0, 2.0, 0.0]);
    }
}
