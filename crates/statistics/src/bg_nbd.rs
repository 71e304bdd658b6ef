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

/// Horizons up to this many times α + T: the sum over purchases is as long.
const LONGEST: f64 = 1e6;

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
        check_horizon(horizon, "finite numbers from 0", f64::INFINITY)?;
        let (shape, rate) = self.posterior(customer);
        Ok(-(-shape * (horizon / rate).ln_1p()).exp_m1() * self.alive(customer)?)
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
    /// See [`BgNbd::log_likelihood`]; [`Error::Setting`] for a horizon that is negative, or more than
    /// a million times α + T.
    pub fn expected(&self, customer: &History, horizon: f64) -> Result<f64, Error> {
        let (shape, rate) = self.posterior(customer);
        check_horizon(horizon, "0 to a million times α + T", LONGEST * rate)?;
        let alive = self.alive(customer)?;
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
    for k in 0u32.. {
        let k = f64::from(k);
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
        // P falls by `most` from here on at least, and each purchase adds 1 to `made` at most.
        let most = step.max(z);
        if most < 1.0 && (p > 0.0 || t == 0.0) {
            let rest = most / (1.0 - most);
            if p * rest * (made + 1.0 / (1.0 - most)) <= 1e-15 * sum {
                break;
            }
        }
    }
    sum
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

fn check_horizon(horizon: f64, allowed: &'static str, most: f64) -> Result<(), Error> {
    check_setting("horizon", horizon, allowed, |value| {
        value.is_finite() && (0.0..=most).contains(&value)
    })
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
mod tests {
    use super::*;
    use crate::gamma::tests::Draws;

    fn model(r: f64, alpha: f64, a: f64, b: f64) -> BgNbd {
        BgNbd::try_from(Parameters { r, alpha, a, b }).unwrap()
    }

    fn history(repeats: u32, last: f64, age: f64) -> History {
        History { repeats, last, age }
    }

    /// A customer as the module says, watched for `age`: what is known then, whether still there, and
    /// purchases within `horizon` more.
    fn live(draws: &mut Draws, model: &BgNbd, age: f64, horizon: f64) -> (History, bool, u32) {
        let Parameters { r, alpha, a, b } = model.parameters();
        let (rate, leave) = (draws.gamma(r, alpha), draws.beta(a, b));
        let (mut seen, mut there, mut later) = (history(0, 0.0, age), true, 0);
        let mut time = 0.0;
        loop {
            time += draws.exponential(rate);
            if time > age + horizon {
                return (seen, there, later);
            }
            let leaves = draws.uniform() < leave;
            if time <= age {
                (seen.repeats, seen.last, there) = (seen.repeats + 1, time, !leaves);
            } else {
                later += 1;
            }
            if leaves {
                return (seen, there, later);
            }
        }
    }

    #[test]
    fn slopes_are_slopes() {
        let customers = [history(0, 0.0, 3.0), history(1, 0.5, 4.0), history(7, 3.9, 4.0)];
        let repeats = count_repeats(&customers);
        let at = [0.4, 2.0, 0.8, 2.5];
        let value = |p: [f64; 4]| {
            let parameters = Parameters { r: p[0], alpha: p[1], a: p[2], b: p[3] };
            likelihood(&parameters, &customers, &repeats)
        };
        let slopes = value(at).1;
        for k in 0..4 {
            let step = f64::EPSILON.cbrt();
            let (mut above, mut below) = (at, at);
            above[k] += step;
            below[k] -= step;
            let numeric = (value(above).0 - value(below).0) / (2.0 * step);
            assert!((slopes[k] - numeric).abs() < 1e-8, "{k}: {} {numeric}", slopes[k]);
        }
    }

    /// Without a repeat purchase: (α / (α+T))^r. With one: equation (6) as it stands.
    #[test]
    fn the_likelihood_is_that_of_the_paper() {
        let (r, alpha, a, b) = (0.4, 2.0, 0.8, 2.5);
        let model = model(r, alpha, a, b);
        let none = model.log_likelihood(&[history(0, 0.0, 3.0)]).unwrap();
        assert!((none - r * (2.0f64 / 5.0).ln()).abs() < 1e-14);
        let one = model.log_likelihood(&[history(1, 1.0, 3.0)]).unwrap();
        let there = b / (a + b) * r * alpha.powf(r) / 5f64.powf(r + 1.0);
        let gone = a / (a + b) * r * alpha.powf(r) / 3f64.powf(r + 1.0);
        assert!((one - (there + gone).ln()).abs() < 1e-14);
        let alive = model.alive(&history(1, 1.0, 3.0)).unwrap();
        assert!((alive - there / (there + gone)).abs() < 1e-14);
    }

    // mpmath 1.3.0, 60 digits: equation (10) with hyp2f1.
    #[test]
    fn expected_purchases_are_those_of_the_paper() {
        for ([r, alpha, a, b], (x, last, age), t, expected) in [
            ([0.243, 4.414, 0.793, 2.426], (2, 30.43, 38.86), 39.0, 1.2260281747671444),
            ([0.243, 4.414, 0.793, 2.426], (0, 0.0, 38.86), 1e-6, 5.615381040353312e-09),
            ([0.243, 4.414, 0.793, 2.426], (0, 0.0, 0.0), 4000.0, 11.099344185713061),
            ([0.5, 3.0, 1.0000001, 2.0], (3000, 99.9, 100.0), 50.0, 1180.1762006372824),
            ([2.0, 1e-3, 0.01, 5.0], (1, 0.1, 0.1), 100.0, 2807.0456474866432),
            ([12.0, 7.0, 40.0, 900.0], (25, 18.0, 20.0), 30.0, 11.282716237461061),
        ] {
            let found = model(r, alpha, a, b).expected(&history(x, last, age), t).unwrap();
            assert!((found / expected - 1.0).abs() < 1e-10, "{found} {expected}");
        }
        // a = 1, where the paper's form is 0 / 0, lies between its neighbours.
        let near = |a| model(0.5, 3.0, a, 2.0).expected(&history(2, 4.0, 5.0), 9.0).unwrap();
        assert!(near(1.0 - 1e-9) > near(1.0) && near(1.0) > near(1.0 + 1e-9));
        assert_eq!(near(1.0).to_bits(), near(1.0).to_bits());
        assert_eq!(model(0.5, 3.0, 1.0, 2.0).expected(&history(2, 4.0, 5.0), 0.0), Ok(0.0));
    }

    /// What is expected of simulated customers is what they do, on average and in each group.
    #[test]
    fn predictions_hold_for_simulated_customers() {
        let (model, horizon) = (model(0.9, 4.0, 0.8, 2.4), 6.0);
        let mut draws = Draws::new(11);
        let mut groups = [[0.0; 7]; 4];
        for _ in 0..60_000 {
            let (seen, there, later) = live(&mut draws, &model, 10.0, horizon);
            let group = &mut groups[(seen.repeats as usize).min(3)];
            group[0] += 1.0;
            group[1] += model.alive(&seen).unwrap();
            group[2] += f64::from(there);
            group[3] += model.buys_within(&seen, horizon).unwrap();
            group[4] += f64::from(later > 0);
            group[5] += model.expected(&seen, horizon).unwrap();
            group[6] += f64::from(later);
        }
        for [n, alive, there, buys, bought, expected, later] in groups {
            // Four standard errors of a share, and of a count whose variance is a few times its mean.
            let bound = 4.0 * (0.25 / n).sqrt();
            assert!((alive - there).abs() / n < bound, "{alive} {there} of {n}");
            assert!((buys - bought).abs() / n < bound, "{buys} {bought} of {n}");
            let bound = 4.0 * (4.0 * later / n / n).sqrt();
            assert!((expected - later).abs() / n < bound, "{expected} {later} of {n}");
        }
    }

    #[test]
    fn a_fit_recovers_what_customers_were_drawn_from() {
        let truth = model(0.9, 4.0, 0.8, 2.4);
        let mut draws = Draws::new(3);
        let customers: Vec<History> = (0..20_000)
            .map(|number| live(&mut draws, &truth, 20.0 + f64::from(number % 10), 0.0).0)
            .collect();
        let found = BgNbd::fit(&customers).unwrap();
        let Parameters { r, alpha, a, b } = found.parameters();
        for (found, truth) in [(r, 0.9), (alpha, 4.0), (a, 0.8), (b, 2.4)] {
            assert!((found / truth - 1.0).abs() < 0.15, "{found} {truth}");
        }
        let likelihood = |model: &BgNbd| model.log_likelihood(&customers).unwrap();
        assert!(likelihood(&found) >= likelihood(&truth));

        // Days instead of weeks: α is 7 times as large, and nothing else changes.
        let days: Vec<History> = customers
            .iter()
            .map(|customer| history(customer.repeats, 7.0 * customer.last, 7.0 * customer.age))
            .collect();
        let days = BgNbd::fit(&days).unwrap().parameters();
        assert!((days.alpha / (7.0 * alpha) - 1.0).abs() < 1e-6);
        assert!((days.r / r - 1.0).abs() < 1e-6);
    }

    #[test]
    fn customers_who_never_leave_can_be_fitted() {
        let customers: Vec<History> =
            (0..50).map(|number| history(number % 4 + 1, 9.9, 10.0)).collect();
        let found = BgNbd::fit(&customers).unwrap();
        assert!(found.alive(&customers[0]).unwrap() > 0.999);
    }

    #[test]
    fn a_stored_model_is_checked() {
        let stored = model(0.243, 4.414, 0.793, 2.426);
        let text = serde_json::to_string(&stored).unwrap();
        assert_eq!(text, "{\"r\":0.243,\"alpha\":4.414,\"a\":0.793,\"b\":2.426}");
        assert_eq!(serde_json::from_str::<BgNbd>(&text).unwrap(), stored);
        let found = serde_json::from_str::<BgNbd>(&text.replace("0.793", "-1")).unwrap_err();
        assert!(found.to_string().contains("a is -1; allowed"), "{found}");
    }

    #[test]
    fn wrong_numbers_are_named() {
        let fit = |customer| BgNbd::fit(&[history(1, 1.0, 2.0), customer]);
        let found = fit(history(1, 3.0, 2.0));
        assert!(matches!(found, Err(Error::Value { name: "last", index: 1, .. })));
        let found = fit(history(1, f64::NAN, 2.0));
        assert!(matches!(found, Err(Error::Value { name: "last", index: 1, .. })));
        let found = fit(history(0, 0.0, f64::INFINITY));
        assert!(matches!(found, Err(Error::Value { name: "age", index: 1, .. })));
        assert!(matches!(BgNbd::fit(&[]), Err(Error::TooFew { .. })));
        assert!(matches!(BgNbd::fit(&[history(0, 0.0, 9.0)]), Err(Error::TooFew { .. })));
        assert!(matches!(BgNbd::fit(&[history(1, 0.0, 0.0)]), Err(Error::Diverged { .. })));
        let model = model(1.0, 1.0, 1.0, 1.0);
        let customer = history(0, 0.0, 1.0);
        assert!(matches!(model.expected(&customer, -1.0), Err(Error::Setting { .. })));
        assert!(matches!(model.expected(&customer, 1e9), Err(Error::Setting { .. })));
        assert!(matches!(model.buys_within(&customer, f64::NAN), Err(Error::Setting { .. })));
        assert!(matches!(model.alive(&history(1, 2.0, 1.0)), Err(Error::Value { .. })));
    }
}
