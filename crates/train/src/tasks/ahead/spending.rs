//! What an order costs that nobody has made yet.
//!
//! ```text
//!     mean of user u    e = (Σ own + k · mean) / (x + k)       x orders so far
//!     an order of a path: with probability x / (x + k) one of the user's own, otherwise one of all
//! ```
//!
//! k is how many orders of one's own count as much as what is known of everybody. Gamma-gamma has the same
//! mean, with k = (q − 1) / p (Fader, Hardie 2013), and says k where it can be fitted.

use serde::{Deserialize, Serialize};
use statistics::gamma_gamma::{GammaGamma, Spend};

/// Orders of all users that are kept.
const POOL: usize = 1024;

/// What orders cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spending {
    /// k: orders of one's own that count as much as everybody's.
    pub weight: f64,
    /// What an order of somebody costs of whom nothing is known.
    pub mean: f64,
    /// Orders of all users, rising, each user with as much weight; their mean is `mean`.
    pub pool: Vec<f64>,
}

impl Spending {
    /// Learns from the orders of each user; none where nobody has paid anything.
    pub fn fit<'a>(users: impl Iterator<Item = &'a [f64]>) -> Option<Self> {
        let (mut known, mut pool) = (Vec::new(), Vec::new());
        for (number, orders) in users.filter(|orders| !orders.is_empty()).enumerate() {
            let mean = orders.iter().sum::<f64>() / orders.len() as f64;
            if mean > 0.0 {
                known.push(Spend { purchases: orders.len() as u32, mean });
                // One order of each, now an early, now a late one.
                pool.push(orders[number % orders.len()]);
            }
        }
        if known.is_empty() {
            return None;
        }
        let plain = known.iter().map(|spend| spend.mean).sum::<f64>() / known.len() as f64;
        let fitted = GammaGamma::fit(&known).ok().map(|model| model.parameters());
        let (weight, mean) = match fitted.filter(|fitted| fitted.q > 1.0) {
            Some(fitted) => ((fitted.q - 1.0) / fitted.p, fitted.p * fitted.v / (fitted.q - 1.0)),
            None => (1.0, plain),
        };
        pool.sort_unstable_by(f64::total_cmp);
        let count = pool.len().min(POOL);
        let place = |k: usize| (k * pool.len() + pool.len() / 2) / count;
        let mut pool: Vec<f64> = (0..count).map(|k| pool[place(k).min(pool.len() - 1)]).collect();
        let sum: f64 = pool.iter().sum();
        match sum > 0.0 {
            true => pool.iter_mut().for_each(|value| *value *= mean * count as f64 / sum),
            false => pool.fill(mean),
        }
        Some(Self { weight, mean, pool })
    }

    /// What an order of a user is expected to cost.
    pub fn expected(&self, own: &[f64]) -> f64 {
        let sum: f64 = own.iter().sum();
        (sum + self.weight * self.mean) / (own.len() as f64 + self.weight)
    }

    /// An order of a path, by two numbers drawn from `[0, 1)`.
    pub(super) fn draw(&self, own: &[f64], [whose, which]: [f32; 2]) -> f64 {
        let share = own.len() as f64 / (own.len() as f64 + self.weight);
        let values = if f64::from(whose) < share { own } else { &self.pool };
        values[((f64::from(which) * values.len() as f64) as usize).min(values.len() - 1)]
    }

    pub(super) fn is_sound(&self) -> bool {
        let known = |value: f64| value.is_finite() && value >= 0.0;
        known(self.mean)
            && self.weight.is_finite()
            && self.weight > 0.0
            && !self.pool.is_empty()
            && self.pool.iter().all(|&value| known(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_has_the_mean_that_is_expected() {
        let orders: Vec<Vec<f64>> = (0..300)
            .map(|user| {
                (0..1 + user % 4).map(|k| 10.0 + (user * 7 + k * 3) as f64 % 40.0).collect()
            })
            .collect();
        let spending = Spending::fit(orders.iter().map(Vec::as_slice)).unwrap();
        assert!(spending.is_sound() && spending.weight > 0.0);
        assert!((20.0..40.0).contains(&spending.mean), "{}", spending.mean);
        assert_eq!(spending.expected(&[]), spending.mean);
        let own = [100.0, 200.0];
        let expected = spending.expected(&own);
        assert!(spending.mean < expected && expected < 150.0);
        let grid = |k: usize| (k as f32 + 0.5) / 512.0;
        let all = (0..512).flat_map(|a| (0..512).map(move |b| [grid(a), grid(b)]));
        let mean = all.map(|drawn| spending.draw(&own, drawn)).sum::<f64>() / (512.0 * 512.0);
        assert!((mean / expected - 1.0).abs() < 0.01, "{mean} {expected}");
    }

    #[test]
    fn where_nothing_was_paid_nothing_is_known() {
        assert_eq!(Spending::fit([[0.0, 0.0].as_slice(), &[]].into_iter()), None);
        let one = Spending::fit([[5.0].as_slice()].into_iter()).unwrap();
        assert_eq!((one.weight, one.mean), (1.0, 5.0));
    }
}
