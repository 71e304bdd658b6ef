//! Gamma-gamma: how much customers spend on a purchase, the mean of few purchases drawn towards that of
//! all customers.
//!
//! ```text
//!     values of a customer's purchases ~ Gamma(p, ν)        their mean p / ν
//!     ν ~ Gamma(q, v), one draw a customer, independent of how often the customer buys
//! ```
//!
//! # Source
//!
//! P. Fader, B. Hardie, "The gamma-gamma model of monetary value", 2013.

use serde::{Deserialize, Serialize};

use crate::error::{Error, check_setting};
use crate::gamma::{digamma, ln_gamma};
use crate::minimise::minimise_positive;

/// What a customer has spent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spend {
    /// x: purchases whose values are known.
    pub purchases: u32,
    /// m: their mean value; not read where there are none.
    pub mean: f64,
}

/// A fitted model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Parameters", into = "Parameters")]
pub struct GammaGamma {
    parameters: Parameters,
}

/// The three parameters, all above 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Parameters {
    /// Shape of the values of one customer.
    pub p: f64,
    /// Shape of the rates of all customers.
    pub q: f64,
    /// Rate of these rates, in the unit of the values.
    pub v: f64,
}

impl TryFrom<Parameters> for GammaGamma {
    type Error = Error;

    fn try_from(parameters: Parameters) -> Result<Self, Error> {
        for (name, value) in [("p", parameters.p), ("q", parameters.q), ("v", parameters.v)] {
            check_setting(name, value, "finite numbers above 0", |value| {
                value.is_finite() && value > 0.0
            })?;
        }
        Ok(Self { parameters })
    }
}

impl From<GammaGamma> for Parameters {
    fn from(model: GammaGamma) -> Self {
        model.parameters
    }
}

impl GammaGamma {
    /// The parameters under which `customers` are most likely; those without purchases say nothing.
    ///
    /// The search goes over logarithms, with values in units of their mean, so that the currency
    /// makes no difference.
    ///
    /// # Errors
    ///
    /// [`Error::Value`] for a mean that is not above 0 and finite; [`Error::TooFew`] where fewer than
    /// two customers have purchases; [`Error::Diverged`] where the search does not end, as when all
    /// have spent the same.
    pub fn fit(customers: &[Spend]) -> Result<Self, Error> {
        let model = "gamma-gamma";
        check(customers)?;
        let buyers: Vec<&Spend> = customers.iter().filter(|spend| spend.purchases > 0).collect();
        let n = buyers.len() as f64;
        if buyers.len() < 2 {
            let what = "customers with purchases";
            return Err(Error::TooFew { what, found: buyers.len(), model, needed: 2 });
        }
        let diverged = Error::Diverged { model, remedy: "look at how the values spread" };
        let unit = buyers.iter().map(|spend| spend.mean / n).sum::<f64>();
        let scaled: Vec<Spend> =
            buyers.into_iter().map(|spend| Spend { mean: spend.mean / unit, ..*spend }).collect();
        let least = minimise_positive(|[p, q, v]| {
            let (value, slopes) = likelihood(&Parameters { p, q, v }, &scaled);
            (-value / n, slopes.map(|slope| -slope / n))
        });
        let [p, q, v] = least.ok_or(diverged)?;
        Self::try_from(Parameters { p, q, v: v * unit })
    }

    /// p, q and v.
    pub fn parameters(&self) -> Parameters {
        self.parameters
    }

    /// ln of the likelihood of the means of `customers`.
    ///
    /// ```text
    ///     ln L = ln Γ(px+q) − ln Γ(px) − ln Γ(q) − ln m
    ///          − px ln(1 + v / (x m)) − q ln(1 + x m / v)
    /// ```
    ///
    /// Equation (1a) of the paper, its powers gathered.
    ///
    /// # Errors
    ///
    /// [`Error::Value`] for a mean that is not above 0 and finite.
    pub fn log_likelihood(&self, customers: &[Spend]) -> Result<f64, Error> {
        check(customers)?;
        Ok(likelihood(&self.parameters, customers).0)
    }

    /// The expected value of the customer's next purchase.
    ///
    /// ```text
    ///     E = p (v + x m) / (p x + q − 1)
    /// ```
    ///
    /// Without purchases that is the mean of all customers, p v / (q − 1). `None` where p x + q ≤ 1,
    /// where there is no mean. As in the paper, m should be of repeat purchases if the model was
    /// fitted to those.
    ///
    /// # Errors
    ///
    /// [`Error::Value`] for a mean that is not above 0 and finite.
    pub fn expected(&self, customer: &Spend) -> Result<Option<f64>, Error> {
        check(std::slice::from_ref(customer))?;
        let Parameters { p, q, v } = self.parameters;
        let x = f64::from(customer.purchases);
        let total = if customer.purchases > 0 { x * customer.mean } else { 0.0 };
        let below = p * x + q - 1.0;
        Ok((below > 0.0).then(|| p * (v + total) / below))
    }
}

/// ln L, and its slopes by p, q and v.
fn likelihood(parameters: &Parameters, customers: &[Spend]) -> (f64, [f64; 3]) {
    let Parameters { p, q, v } = *parameters;
    let (mut value, mut slopes) = (0.0, [0.0; 3]);
    let (ln_gamma_q, psi_q) = (ln_gamma(q), digamma(q));
    for customer in customers.iter().filter(|customer| customer.purchases > 0) {
        let x = f64::from(customer.purchases);
        let (total, px) = (x * customer.mean, p * x);
        let (few, many) = ((v / total).ln_1p(), (total / v).ln_1p());
        value += ln_gamma(px + q) - ln_gamma(px) - ln_gamma_q - customer.mean.ln();
        value -= px * few + q * many;
        let psi = digamma(px + q);
        slopes[0] += x * (psi - digamma(px) - few);
        slopes[1] += psi - psi_q - many;
        slopes[2] += q / v - (px + q) / (v + total);
    }
    (value, slopes)
}

fn check(customers: &[Spend]) -> Result<(), Error> {
    for (index, &Spend { purchases, mean }) in customers.iter().enumerate() {
        if purchases > 0 && !(mean.is_finite() && mean > 0.0) {
            let allowed = "finite numbers above 0";
            return Err(Error::Value { name: "mean", index, value: mean, allowed });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gamma::tests::Draws;

    fn model(p: f64, q: f64, v: f64) -> GammaGamma {
        GammaGamma::try_from(Parameters { p, q, v }).unwrap()
    }

    fn spend(purchases: u32, mean: f64) -> Spend {
        Spend { purchases, mean }
    }

    fn drawn(truth: &GammaGamma, seed: u64, count: usize) -> Vec<(Spend, f64)> {
        let Parameters { p, q, v } = truth.parameters();
        let mut draws = Draws::new(seed);
        (0..count)
            .map(|number| {
                let (rate, x) = (draws.gamma(q, v), (number % 5) as u32);
                let total: f64 = (0..x).map(|_| draws.gamma(p, rate)).sum();
                (spend(x, total / f64::from(x)), p / rate)
            })
            .collect()
    }

    #[test]
    fn slopes_are_slopes() {
        let customers = [spend(1, 20.0), spend(0, f64::NAN), spend(9, 3.5)];
        let value = |p: [f64; 3]| likelihood(&Parameters { p: p[0], q: p[1], v: p[2] }, &customers);
        let at = [6.0, 3.5, 15.0];
        let slopes = value(at).1;
        for k in 0..3 {
            let step = f64::EPSILON.cbrt() * at[k];
            let (mut above, mut below) = (at, at);
            above[k] += step;
            below[k] -= step;
            let numeric = (value(above).0 - value(below).0) / (2.0 * step);
            assert!((slopes[k] - numeric).abs() < 1e-8, "{k}: {} {numeric}", slopes[k]);
        }
    }

    // scipy 1.17.1: 20 / 1 is beta-prime, betaprime(6.25, 3.74, scale=15.44).logpdf(20).
    #[test]
    fn one_value_is_beta_prime() {
        let found = model(6.25, 3.74, 15.44).log_likelihood(&[spend(1, 20.0)]).unwrap();
        assert!((found - -3.5941964929491963).abs() < 1e-12, "{found}");
    }

    #[test]
    fn a_fit_recovers_what_values_were_drawn_from() {
        let truth = model(6.0, 4.0, 15.0);
        let customers: Vec<Spend> =
            drawn(&truth, 9, 30_000).into_iter().map(|(spend, _)| spend).collect();
        let found = GammaGamma::fit(&customers).unwrap();
        let Parameters { p, q, v } = found.parameters();
        for (found, truth) in [(p, 6.0), (q, 4.0), (v, 15.0)] {
            assert!((found / truth - 1.0).abs() < 0.1, "{found} {truth}");
        }
        let likelihood = |model: &GammaGamma| model.log_likelihood(&customers).unwrap();
        assert!(likelihood(&found) >= likelihood(&truth));
        let cents: Vec<Spend> =
            customers.iter().map(|one| spend(one.purchases, 100.0 * one.mean)).collect();
        let cents = GammaGamma::fit(&cents).unwrap().parameters();
        assert!((cents.v / (100.0 * v) - 1.0).abs() < 1e-6 && (cents.q / q - 1.0).abs() < 1e-6);
    }

    #[test]
    fn what_is_expected_is_what_customers_spend() {
        let truth = model(6.0, 4.0, 15.0);
        let mut groups = [[0.0; 3]; 5];
        for (seen, mean) in drawn(&truth, 4, 50_000) {
            let group = &mut groups[seen.purchases as usize];
            group[0] += 1.0;
            group[1] += truth.expected(&seen).unwrap().unwrap();
            group[2] += mean;
        }
        for [n, expected, mean] in groups {
            // The standard deviation of p / ν is 30 / √2.
            assert!(
                (expected - mean).abs() / n < 4.0 * 21.3 / n.sqrt(),
                "{expected} {mean} of {n}"
            );
        }
        assert_eq!(truth.expected(&spend(0, f64::NAN)), Ok(Some(30.0)));
        assert_eq!(model(0.3, 0.6, 1.0).expected(&spend(1, 1.0)), Ok(None));
    }

    #[test]
    fn wrong_numbers_are_named() {
        let fit = |customer| GammaGamma::fit(&[spend(1, 1.0), spend(2, 3.0), customer]);
        for mean in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let found = fit(spend(1, mean));
            assert!(matches!(found, Err(Error::Value { name: "mean", index: 2, .. })));
        }
        assert!(matches!(GammaGamma::fit(&[]), Err(Error::TooFew { found: 0, .. })));
        assert!(matches!(GammaGamma::fit(&[spend(3, 1.0)]), Err(Error::TooFew { found: 1, .. })));
        let text = "{\"p\":0.0,\"q\":1.0,\"v\":1.0}";
        assert!(serde_json::from_str::<GammaGamma>(text).is_err());
        let stored = model(6.25, 3.74, 15.44);
        let text = serde_json::to_string(&stored).unwrap();
        assert_eq!(serde_json::from_str::<GammaGamma>(&text).unwrap(), stored);
    }

    /// No spread at all: p and q have no best values, and the message says where to look.
    #[test]
    fn customers_who_all_spend_the_same() {
        let found = GammaGamma::fit(&[spend(2, 5.0); 20]).unwrap_err();
        assert!(found.to_string().ends_with("look at how the values spread"), "{found}");
    }
}
