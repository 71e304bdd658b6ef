//! Probabilities corrected by what came of them: a network that ranks well may still say 0.3 where
//! it happens once in ten times.
//!
//! Fitted on cases that the model has not learned from, and stored with it.

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::binary::{FLOOR, Scored};
use crate::error::{Error, check_lengths, check_probabilities, check_values};
use crate::linear::Columns;
use crate::logistic::{log_1p_exp, sigmoid};
use crate::newton::{self, Loss};

/// A fitted correction, of either kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Calibration {
    /// Steps that only rise: any shape, given some thousand cases.
    Isotonic(Isotonic),
    /// A line over the logarithm of the odds: two numbers, for few cases.
    Platt(Platt),
}

impl Calibration {
    /// The corrected probability; one that is not a number stays none.
    pub fn apply(&self, probability: f64) -> f64 {
        match self {
            Self::Isotonic(isotonic) => isotonic.apply(probability),
            Self::Platt(platt) => platt.apply(probability),
        }
    }
}

/// Isotonic regression: a function that never falls, and is never 0 or 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Knots", into = "Knots")]
pub struct Isotonic {
    /// Probability and what it becomes, both rising.
    knots: Vec<[f64; 2]>,
}

#[derive(Serialize, Deserialize)]
struct Knots {
    knots: Vec<[f64; 2]>,
}

impl Isotonic {
    /// Fits the function f that never falls and is nearest to `outcomes`, one a probability.
    ///
    /// ```text
    ///     least  Σ_i (y_i − f(p_i))²        f(p) ≤ f(p′) where p ≤ p′
    /// ```
    ///
    /// by pooling neighbours that are in the wrong order, into blocks that have the share of outcomes
    /// among their cases; cases of one probability are pooled first. Each block is constant from its
    /// first probability to its last; between blocks f is linear, and outside them constant.
    ///
    /// The lowest block may have the share 0, the highest 1, which no finite number of cases
    /// warrants: of n cases they get ½ / (n + 1), or 1 less that (Krichevsky and Trofimov), as far as
    /// the neighbouring block allows. All others lie between.
    ///
    /// # Errors
    ///
    /// [`Error::Lengths`]; [`Error::Value`] for what is not a probability; [`Error::TooFew`] without
    /// cases.
    ///
    /// # Source
    ///
    /// M. Ayer et al., "An empirical distribution function for sampling with incomplete information",
    /// Annals of Mathematical Statistics 26, 1955; B. Zadrozny, C. Elkan, "Transforming classifier
    /// scores into accurate multiclass probability estimates", KDD 2002.
    pub fn fit(probabilities: &[f64], outcomes: &[bool]) -> Result<Self, Error> {
        check_lengths("outcomes", outcomes.len(), "probabilities", probabilities.len())?;
        check_probabilities("probabilities", probabilities)?;
        let levels = Scored::new(probabilities, outcomes)?.levels(None)?;
        let mut blocks: Vec<Block> = Vec::new();
        for (at, positives, negatives) in levels.counts() {
            let cases = positives + negatives;
            let mut block = Block { first: at, last: at, positives, cases };
            // Equal shares are one block, too: the same function with fewer knots.
            while let Some(before) = blocks.pop_if(|before| before.is_not_below(&block)) {
                block.first = before.first;
                block.positives += before.positives;
                block.cases += before.cases;
            }
            blocks.push(block);
        }
        let mut values: Vec<f64> = blocks.iter().map(Block::share).collect();
        let (Some(lowest), Some(highest)) = (blocks.first(), blocks.last()) else {
            let (what, model) = ("cases", "isotonic regression");
            return Err(Error::TooFew { what, found: 0, model, needed: 1 });
        };
        let last = blocks.len() - 1;
        let next = if last > 0 { values[1] } else { 1.0 };
        if lowest.positives == 0 {
            values[0] = (0.5 / (lowest.cases as f64 + 1.0)).min(next);
        }
        let before = if last > 0 { values[last - 1] } else { 0.0 };
        if highest.positives == highest.cases {
            values[last] = (1.0 - 0.5 / (highest.cases as f64 + 1.0)).max(before);
        }
        let mut knots = Vec::new();
        for (block, value) in blocks.iter().zip(values) {
            knots.push([block.first, value]);
            if block.last > block.first {
                knots.push([block.last, value]);
            }
        }
        Ok(Self { knots })
    }

    /// f(p).
    pub fn apply(&self, probability: f64) -> f64 {
        if probability.is_nan() {
            return probability;
        }
        let above = self.knots.partition_point(|knot| knot[0] <= probability);
        if above == 0 {
            return self.knots[0][1];
        }
        let [x, y] = self.knots[above - 1];
        let Some(&[next_x, next_y]) = self.knots.get(above) else { return y };
        y + (next_y - y) * ((probability - x) / (next_x - x))
    }

    /// Probability and what it becomes, at each knot.
    pub fn knots(&self) -> &[[f64; 2]] {
        &self.knots
    }
}

impl TryFrom<Knots> for Isotonic {
    type Error = Error;

    fn try_from(stored: Knots) -> Result<Self, Error> {
        let knots = stored.knots;
        if knots.is_empty() {
            let (what, model) = ("knots", "isotonic regression");
            return Err(Error::TooFew { what, found: 0, model, needed: 1 });
        }
        let [x, y] =
            [0, 1].map(|side: usize| knots.iter().map(|knot| knot[side]).collect::<Vec<_>>());
        check_probabilities("knots", &x)?;
        check_values("knots", &y, "numbers between 0 and 1", |value| value > 0.0 && value < 1.0)?;
        let wrong = |pair: &[[f64; 2]]| pair[1][0] <= pair[0][0] || pair[1][1] < pair[0][1];
        if let Some(index) = knots.windows(2).position(wrong) {
            let (index, allowed) = (index + 1, "knots that rise");
            return Err(Error::Value { name: "knots", index, value: knots[index][0], allowed });
        }
        Ok(Self { knots })
    }
}

impl From<Isotonic> for Knots {
    fn from(isotonic: Isotonic) -> Self {
        Self { knots: isotonic.knots }
    }
}

/// Neighbouring probabilities that share a value.
struct Block {
    first: f64,
    last: f64,
    positives: u64,
    cases: u64,
}

impl Block {
    fn share(&self) -> f64 {
        self.positives as f64 / self.cases as f64
    }

    /// Whether its share is not below that of `other`: in integers, so that equal shares are equal.
    fn is_not_below(&self, other: &Self) -> bool {
        let product = |a: u64, b: u64| u128::from(a) * u128::from(b);
        product(self.positives, other.cases) >= product(other.positives, self.cases)
    }
}

/// Platt scaling: p′ = σ(slope · ln(p / (1 − p)) + intercept).
///
/// Slope 1 and intercept 0 leave a probability as it is; a slope below 1 draws all of them together, a
/// negative one says that the ranking is upside down.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Platt {
    /// How much a unit of the logarithm of the odds becomes.
    pub slope: f64,
    /// What is added.
    pub intercept: f64,
}

impl Platt {
    /// Fits `outcomes`, one a probability, P of them with the outcome and N without.
    ///
    /// ```text
    ///     least  −Σ_i ( t_i ln p′_i + (1 − t_i) ln(1 − p′_i) )
    ///     t = (P + 1) / (P + 2) with the outcome, 1 / (N + 2) without
    /// ```
    ///
    /// With these targets, instead of 1 and 0, there is a finite answer where the outcomes are
    /// separated, too. Probabilities count as 1e-7 to 1 − 1e-7 ([`FLOOR`]). Where all are alike,
    /// the slope is 0.
    ///
    /// # Errors
    ///
    /// [`Error::Lengths`]; [`Error::Value`] for what is not a probability; [`Error::TooFew`] without
    /// cases; [`Error::Diverged`].
    ///
    /// # Source
    ///
    /// J. Platt, "Probabilistic outputs for support vector machines and comparisons to regularized
    /// likelihood methods", 1999; H.-T. Lin, C.-J. Lin, R. Weng, "A note on Platt's probabilistic
    /// outputs for support vector machines", Machine Learning 68, 2007.
    pub fn fit(probabilities: &[f64], outcomes: &[bool]) -> Result<Self, Error> {
        let model = "Platt scaling";
        check_lengths("outcomes", outcomes.len(), "probabilities", probabilities.len())?;
        check_probabilities("probabilities", probabilities)?;
        let odds = Array2::from_shape_fn((probabilities.len(), 1), |(case, _)| {
            log_odds(probabilities[case])
        });
        let columns = Columns::new(odds.view(), outcomes.len(), model)?;
        let positives = outcomes.iter().filter(|&&outcome| outcome).count() as f64;
        let negatives = outcomes.len() as f64 - positives;
        let targets = [1.0 / (negatives + 2.0), (positives + 1.0) / (positives + 2.0)];
        let mean = (negatives * targets[0] + positives * targets[1]) / outcomes.len() as f64;
        let loss = |case: usize, eta: f64| {
            let (p, target) = (sigmoid(eta), targets[usize::from(outcomes[case])]);
            Loss {
                value: log_1p_exp(eta) - target * eta,
                slope: p - target,
                curvature: p * sigmoid(-eta),
            }
        };
        let beta = newton::fit(&columns, 0.0, log_odds(mean), model, loss)?;
        let line = columns.line(&beta);
        let term = line.terms[0];
        Ok(Self {
            slope: term.coefficient,
            intercept: line.intercept - term.coefficient * term.mean,
        })
    }

    /// p′.
    pub fn apply(&self, probability: f64) -> f64 {
        sigmoid(self.slope * log_odds(probability) + self.intercept)
    }
}

fn log_odds(probability: f64) -> f64 {
    let p = probability.clamp(FLOOR, 1.0 - FLOOR);
    p.ln() - (-p).ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binary::BinaryFigures;
    use crate::linear::tests::close;
    use layout::random::Stream;

    const P: [f64; 12] = [0.1, 0.15, 0.2, 0.2, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];
    const Y: [bool; 12] =
        [false, false, true, false, false, true, true, false, true, true, false, true];

    #[test]
    fn neighbours_in_the_wrong_order_are_pooled() {
        // 0 0 | ½ at 0.2, 0 at 0.3 → ⅓ | 1 1 0 1 1 0 from 0.35 → ⅔ | 1
        let found = Isotonic::fit(&P, &Y).unwrap();
        let third = 1.0 / 3.0;
        let expected = [
            [0.1, 0.5 / 3.0],
            [0.15, 0.5 / 3.0],
            [0.2, third],
            [0.3, third],
            [0.35, 2.0 * third],
            [0.8, 2.0 * third],
            [0.9, 0.75],
        ];
        assert_eq!(found.knots(), expected);
        close(&[found.apply(0.0), found.apply(1.0)], &[0.5 / 3.0, 0.75], 1e-15);
        close(&[found.apply(0.25), found.apply(0.325)], &[third, 0.5], 1e-12);
        assert!(found.apply(f64::NAN).is_nan());
    }

    // scikit-learn 1.9.1: IsotonicRegression().fit(P, Y).predict(P); inside the first and last block.
    #[test]
    fn scikit_learn_agrees() {
        let found = Isotonic::fit(&P, &Y).unwrap();
        let inside: Vec<f64> = P[2..11].iter().map(|&p| found.apply(p)).collect();
        close(
            &inside,
            &[
                0.3333333333333333,
                0.3333333333333333,
                0.3333333333333333,
                0.6666666666666666,
                0.6666666666666666,
                0.6666666666666666,
                0.6666666666666666,
                0.6666666666666666,
                0.6666666666666666,
            ],
            1e-14,
        );
    }

    #[test]
    fn nothing_is_certain() {
        let all = Isotonic::fit(&[0.2, 0.9], &[true, true]).unwrap();
        close(&[all.apply(0.0), all.apply(1.0)], &[1.0 - 0.5 / 3.0; 2], 1e-15);
        let none = Isotonic::fit(&[0.2], &[false]).unwrap();
        assert_eq!(none.apply(0.9), 0.25);
        let two = Isotonic::fit(&[0.2, 0.9], &[false, true]).unwrap();
        assert_eq!((two.apply(0.1), two.apply(0.95)), (0.25, 0.75));
        // One case of outcome 0 below 1 of 100: it may not pass its neighbour.
        let mut p = vec![0.5; 101];
        p[0] = 0.1;
        let mut y = vec![false; 101];
        y[7] = true;
        let found = Isotonic::fit(&p, &y).unwrap();
        assert_eq!((found.apply(0.1), found.apply(0.5)), (0.01, 0.01));
    }

    // scipy 1.17.1: minimize of the loss in the doc comment of `Platt::fit`, BFGS, gtol 1e-10.
    #[test]
    fn scipy_agrees() {
        let found = Platt::fit(&P, &Y).unwrap();
        close(&[found.slope, found.intercept], &[0.4794388797783827, 0.15671105420368853], 1e-7);
    }

    #[test]
    fn overconfident_probabilities_are_drawn_together() {
        let (n, stream) = (20_000, Stream::new(8, 3, 0));
        let truth: Vec<f64> = (0..n).map(|case| sigmoid(stream.normal(case) - 1.0)).collect();
        let draw = Stream::new(8, 4, 0);
        let outcomes: Vec<bool> =
            (0..n).map(|case| f64::from(draw.uniform(case)) < truth[case as usize]).collect();
        // Odds cubed, and halved.
        let claimed: Vec<f64> =
            truth.iter().map(|&p| sigmoid(3.0 * log_odds(p) - 2f64.ln())).collect();
        let platt = Platt::fit(&claimed, &outcomes).unwrap();
        close(&[platt.slope, platt.intercept], &[1.0 / 3.0, 2f64.ln() / 3.0], 0.05);
        let isotonic = Isotonic::fit(&claimed, &outcomes).unwrap();
        for calibration in [Calibration::Platt(platt), Calibration::Isotonic(isotonic)] {
            let corrected: Vec<f64> = claimed.iter().map(|&p| calibration.apply(p)).collect();
            let before = BinaryFigures::new(&claimed, &outcomes).unwrap();
            let after = BinaryFigures::new(&corrected, &outcomes).unwrap();
            assert!(before.ece > Some(0.1) && after.ece < Some(0.02), "{before:?} {after:?}");
            assert!(after.log_loss < before.log_loss);
        }
    }

    #[test]
    fn separated_and_equal_probabilities_have_an_answer() {
        let found = Platt::fit(&[0.1, 0.2, 0.8, 0.9], &[false, false, true, true]).unwrap();
        assert!(found.slope > 0.0 && found.apply(0.9) < 1.0);
        let flat = Platt::fit(&[0.5; 4], &[false, false, false, true]).unwrap();
        // The mean of the targets: (3 · 1/5 + 2/3) / 4.
        assert_eq!(flat.slope, 0.0);
        close(&[flat.apply(0.1)], &[(0.6 + 2.0 / 3.0) / 4.0], 1e-12);
        let certain = Platt::fit(&[0.0, 1.0, 0.3], &[true, false, true]).unwrap();
        assert!(certain.slope < 0.0 && certain.apply(0.0).is_finite());
    }

    #[test]
    fn a_stored_calibration_is_checked() {
        let isotonic = Calibration::Isotonic(Isotonic::fit(&P, &Y).unwrap());
        let platt = Calibration::Platt(Platt { slope: 0.7, intercept: -0.1 });
        for stored in [isotonic, platt] {
            let text = serde_json::to_string(&stored).unwrap();
            assert_eq!(serde_json::from_str::<Calibration>(&text).unwrap(), stored);
        }
        for wrong in
            ["[]", "[[0.5,0.5],[0.5,0.6]]", "[[0.5,0.5],[0.6,0.4]]", "[[0.5,1.0]]", "[[2,0.5]]"]
        {
            let text = format!("{{\"kind\":\"isotonic\",\"knots\":{wrong}}}");
            assert!(serde_json::from_str::<Calibration>(&text).is_err(), "{wrong}");
        }
    }

    #[test]
    fn wrong_numbers_are_named() {
        assert!(matches!(Isotonic::fit(&[], &[]), Err(Error::TooFew { .. })));
        assert!(matches!(Platt::fit(&[], &[]), Err(Error::TooFew { .. })));
        assert!(matches!(Isotonic::fit(&[0.5], &[]), Err(Error::Lengths { .. })));
        assert!(matches!(Platt::fit(&[0.5], &[]), Err(Error::Lengths { .. })));
        assert!(matches!(Isotonic::fit(&[1.5], &[true]), Err(Error::Value { .. })));
        assert!(matches!(Platt::fit(&[f64::NAN], &[true]), Err(Error::Value { .. })));
    }
}
