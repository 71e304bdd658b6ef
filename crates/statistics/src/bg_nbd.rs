//! BG/NBD: who of those who have bought will buy again, and how often.
//!
//! ```text
//!     purchases after the first come at random with rate λ (Poisson) as long as the customer is there
//!     after each of them the customer leaves for ever with probability p
//!     λ ~ Gamma(r, α)      p ~ Beta(a, b)      independent of each other, one draw a customer
//! ```
//!
//! Of a customer it knows three numbers ([`History`]): x, t_x and T.
//!
//! # Source
//!
//! P. Fader, B. Hardie, K. L. Lee, "«Counting your customers» the easy way: an alternative to the
//! Pareto/NBD model", Marketing Science 24, 2005.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, check_setting};
use crate::gamma::{digamma, ln_gamma};
use crate::logistic::{log_1p_exp, sigmoid};
use crate::minimise::minimise_positive;

/// Terms at most of the sum over purchases, and how many it has beyond their mean, as a multiple of
/// t / (α+T): z^k has fallen to 1e-17 by then.
const MOST: f64 = 1e8;
const TAIL: f64 = 40.0;

/// What a customer has done since the first purchase, which counts itself for nothing. Times are in
/// one unit of any kind, from the first purchase on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// x: purchases after the first.
    pub repeats: u32,
    /// t_x: when the last of them was; not read where there are none.
    pub last: f64,
    /// T: how long the customer has been watched.
    pub age: f64,
}

/// A fitted model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Parameters", into = "Parameters")]
pub struct BgNbd {
    parameters: Parameters,
}

/// The four parameters, all above 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Parameters {
    /// Shape of the rates.
    pub r: f64,
    /// Rate of the rates: mean r / α purchases a unit of time.
    pub alpha: f64,
    /// First parameter of the probability to leave.
    pub a: f64,
    /// Second: its mean is a / (a + b).
    pub b: f64,
}

impl TryFrom<Parameters> for BgNbd {
    type Error = Error;

    fn try_from(parameters: Parameters) -> Result<Self, Error> {
        let Parameters { r, alpha, a, b } = parameters;
        for (name, value) in [("r", r), ("alpha", alpha), ("a", a), ("b", b)] {
            check_setting(name, value, "finite numbers above 0", |value| {
                value.is_finite() && value > 0.0
            })?;
        }
        Ok(Self { parameters })
    }
}

impl From<BgNbd> for Parameters {
    fn from(model: BgNbd) -> Self {
        model.parameters
    }
}

impl BgNbd {
    /// The parameters under which `customers` are most likely.
    ///
    /// The search goes over logarithms, with time in units of the mean age, so that the unit makes no
    /// difference. Where the customers do not tell a parameter (nobody seems to leave, say), it
    /// ends near e^±10, where the likelihood is flat.
    ///
    /// # Errors
    ///
    /// [`Error::Value`] for times that are not finite, or not 0 ≤ t_x ≤ T; [`Error::TooFew`] where
    /// nobody has bought again; [`Error::Diverged`] where the search does not end.
    pub fn fit(customers: &[History]) -> Result<Self, Error> {
        let model = "BG/NBD";
        check(customers)?;
        if customers.iter().all(|customer| customer.repeats == 0) {
            let what = "customers who bought again";
            return Err(Error::TooFew { what, found: 0, model, needed: 1 });
        }
        let n = customers.len() as f64;
        let unit = customers.iter().map(|customer| customer.age / n).sum::<f64>();
        let diverged = Error::Diverged { model, remedy: "look for odd times among the customers" };
        if unit.is_nan() || unit <= 0.0 {
            return Err(diverged);
        }
        let scaled: Vec<History> = customers
            .iter()
            .map(|customer| History {
                last: customer.last / unit,
                age: customer.age / unit,
                ..*customer
            })
            .collect();
        let repeats = count_repeats(&scaled);
        let least = minimise_positive(|[r, alpha, a, b]| {
            let (value, slopes) = likelihood(&Parameters { r, alpha, a, b }, &scaled, &repeats);
            (-value / n, slopes.map(|slope| -slope / n))
        });
        let [r, alpha, a, b] = least.ok_or(diverged)?;
        Self::try_from(Parameters { r, alpha: alpha * unit, a, b })
    }

    /// r, α, a and b.
    pub fn parameters(&self) -> Parameters {
        self.parameters
    }

    /// ln of the likelihood of `customers`.
    ///
    /// ```text
    ///     ln L = ln Γ(r+x) − ln Γ(r) + r ln α − (r+x) ln(α+T)
    ///          + ln B(a, b+x) − ln B(a, b) + ln(1 + e^u)
    ///     u    = ln a − ln(b+x−1) + (r+x) (ln(α+T) − ln(α+t_x))       e^u = 0 where x = 0
    /// ```
    ///
    /// Equation (6) of the paper with the larger of its two terms taken out: e^u is how likely the
    /// customer is to have left beside how likely to be there.
    ///
    /// # Errors
    ///
    /// [`Error::Value`] for times that are not finite, or not 0 ≤ t_x ≤ T.
    pub fn log_likelihood(&self, customers: &[History]) -> Result<f64, Error> {
        check(customers)?;
        Ok(likelihood(&self.parameters, customers, &count_repeats(customers)).0)
    }

    /// The probability that the customer is still there.
    ///
    /// ```text
    ///     P(alive) = 1 / (1 + e^u)        1 where x = 0: nobody leaves before a repeat purchase
    /// ```
    ///
    /// # Errors
    ///
    /// See [`BgNbd::log_likelihood`].
    ///
    /// # Source
    ///
    /// P. Fader, B. Hardie, "Computing P(alive) using the BG/NBD model", 2008.
    pub fn alive(&self, customer: &History) -> Result<f64, Error> {
        check(std::slice::from_ref(customer))?;
        Ok(sigmoid(-log_odds_gone(&self.parameters, customer)))
    }

    /// The probability of a purchase within `horizon` after T.
    ///
    /// ```text
    ///     P = P(alive) · (1 − ((α+T) / (α+T+t))^(r+x))
    /// ```
    ///
    /// A customer who is there cannot leave before the next purchase, so it comes within t with
    /// probability 1 − e^(−λt); and λ of a customer who is there is Gamma(r+x, α+T).
    ///
    /// # Errors
    ///
    /// See [`BgNbd::log_likelihood`]; [`Error::Setting`] for a horizon that is negative or not finite.
    pub fn buys_within(&self, customer: &History, horizon: f64) -> Result<f64, Error> {
        let alive = self.alive(customer)?;
        check_setting("horizon", horizon, "finite numbers from 0", |horizon| {
            horizon.is_finite() && horizon >= 0.0
        })?;
        let (shape, rate) = self.posterior(customer);
        Ok(-(-shape * (horizon / rate).ln_1p()).exp_m1() * alive)
    }

    /// The expected number of purchases within `horizon` after T.
    ///
    /// ```text
    ///     E = P(alive) · Σ_{k ≥ 1} P(X = k) · S_k            S_k = Σ_{j < k} (b+x)_j / (a+b+x)_j
    ///     P(X = k) = (r+x)_k / k! · z^k (1−z)^(r+x)          z   = t / (α+T+t)
    /// ```
    ///
    /// X is how many purchases there would be if nobody left (negative binomial), and S_k how many
    /// of k are made on average: the j-th comes if the customer has stayed after each before it.
    /// All terms are positive. The paper's equation (10) is the same by
    ///
    /// ```text
    ///     S_k = (a+b+x−1)/(a−1) · (1 − (b+x)_k / (a+b+x−1)_k)
    ///     Σ_k P(X = k) (b+x)_k / (a+b+x−1)_k = (1−z)^(r+x) ₂F₁(r+x, b+x; a+b+x−1; z)
    /// ```
    ///
    /// where a difference of two near numbers is divided by a − 1, which may be 0.
    ///
    /// # Errors
    ///
    /// See [`BgNbd::log_likelihood`]; [`Error::Setting`] for a horizon that is negative, or so long
    /// that the sum would have more than 10⁸ terms.
    pub fn expected(&self, customer: &History, horizon: f64) -> Result<f64, Error> {
        let alive = self.alive(customer)?;
        let (shape, rate) = self.posterior(customer);
        check_setting("horizon", horizon, "0 to what 10⁸ purchases would take", |horizon| {
            horizon >= 0.0 && (shape + TAIL) * (horizon / rate) <= MOST
        })?;
        let Parameters { a, b, .. } = self.parameters;
        Ok(alive * purchases(shape, horizon / rate, a, b + f64::from(customer.repeats)))
    }

    /// Shape and rate of λ for a customer who is there.
    fn posterior(&self, customer: &History) -> (f64, f64) {
        let Parameters { r, alpha, .. } = self.parameters;
        (r + f64::from(customer.repeats), alpha + customer.age)
    }
}

/// The sum in [`BgNbd::expected`]; `t` in units of the rate's, r, a and b those of the customer.
fn purchases(r: f64, t: f64, a: f64, b: f64) -> f64 {
    let z = t / (1.0 + t);
    // P(X = k) as it is, and its logarithm as long as it is too small to be a number.
    let mut log_p = -r * t.ln_1p();
    let mut p = if log_p > -700.0 { log_p.exp() } else { 0.0 };
    let (mut stays, mut made, mut sum) = (1.0, 0.0, 0.0);
    let mut k = 0.0;
    loop {
        let step = (r + k) / (k + 1.0) * z;
        if p > 0.0 {
            p *= step;
        } else {
            log_p += step.ln();
            p = if log_p > -700.0 { log_p.exp() } else { 0.0 };
        }
        made += stays;
        stays *= (b + k) / (a + b + k);
        sum += p * made;
        k += 1.0;
        // From here on P falls by `most` at least, and each purchase adds 1 to `made` at most.
        let most = step.max(z);
        let rest = most / (1.0 - most);
        if most < 1.0 && p * rest * (made + 1.0 / (1.0 - most)) <= 1e-15 * sum {
            return sum;
        }
    }
}

/// u, or −∞ where x = 0.
fn log_odds_gone(parameters: &Parameters, customer: &History) -> f64 {
    if customer.repeats == 0 {
        return f64::NEG_INFINITY;
    }
    let Parameters { r, alpha, a, b } = *parameters;
    let x = f64::from(customer.repeats);
    // ln((α+T) / (α+t_x)), also where they are close.
    let silent = ((customer.age - customer.last) / (alpha + customer.last)).ln_1p();
    a.ln() - (b + (x - 1.0)).ln() + (r + x) * silent
}

/// How many customers have each number of repeats: what of the likelihood depends on that alone is
/// computed once a number.
fn count_repeats(customers: &[History]) -> BTreeMap<u32, u32> {
    let mut repeats = BTreeMap::new();
    customers.iter().for_each(|customer| *repeats.entry(customer.repeats).or_default() += 1);
    repeats
}

/// ln L, and its slopes by r, α, a and b.
fn likelihood(
    parameters: &Parameters,
    customers: &[History],
    repeats: &BTreeMap<u32, u32>,
) -> (f64, [f64; 4]) {
    let Parameters { r, alpha, a, b } = *parameters;
    let (mut value, mut slopes) = (0.0, [0.0; 4]);
    let common = ln_gamma(a + b) - ln_gamma(b) - ln_gamma(r);
    let (psi_r, psi_b, psi_ab) = (digamma(r), digamma(b), digamma(a + b));
    for (&x, &count) in repeats {
        let (x, count) = (f64::from(x), f64::from(count));
        let terms = ln_gamma(r + x) + ln_gamma(b + x) - ln_gamma(a + b + x);
        value += count * (terms + common);
        let gone = psi_ab - digamma(a + b + x);
        slopes[0] += count * (digamma(r + x) - psi_r);
        slopes[2] += count * gone;
        slopes[3] += count * (gone + digamma(b + x) - psi_b);
    }
    for customer in customers {
        let x = f64::from(customer.repeats);
        let until_end = alpha + customer.age;
        // r ln α − (r+x) ln(α+T), without a difference of large numbers.
        let watched = (customer.age / alpha).ln_1p();
        value -= r * watched + x * until_end.ln();
        slopes[0] -= watched;
        slopes[1] += r / alpha - (r + x) / until_end;
        if customer.repeats > 0 {
            let u = log_odds_gone(parameters, customer);
            value += log_1p_exp(u);
            // d ln(1 + e^u) = σ(u) du
            let gone = sigmoid(u);
            let until_last = alpha + customer.last;
            let silent = ((customer.age - customer.last) / until_last).ln_1p();
            slopes[0] += gone * silent;
            slopes[1] += gone * (r + x) * (1.0 / until_end - 1.0 / until_last);
            slopes[2] += gone / a;
            slopes[3] -= gone / (b + (x - 1.0));
        }
    }
    (value, slopes)
}

fn check(customers: &[History]) -> Result<(), Error> {
    for (index, customer) in customers.iter().enumerate() {
        let History { repeats, last, age } = *customer;
        if !(age.is_finite() && age >= 0.0) {
            let allowed = "finite numbers from 0";
            return Err(Error::Value { name: "age", index, value: age, allowed });
        }
        if repeats > 0 && !(0.0..=age).contains(&last) {
            let allowed = "0 to the customer's age";
            return Err(Error::Value { name: "last", index, value: last, allowed });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
