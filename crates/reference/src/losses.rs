//! Losses of outputs that are not a choice among all items: will they buy, how long will it take,
//! which of a few classes is it?
//!
//! Each is a function of one output z and one truth y, with its slope ∂loss/∂z directly below it.
//! [`element_loss`] and [`class_loss`] sum them up over the positions.

use layout::{ClassTask, ElementLoss, ElementTask};
use ndarray::{ArrayView2, ArrayViewMut2, NdFloat};

use crate::ranking::{log_sigmoid, sigmoid};
use crate::real;

/// The weighted mean of a loss over all outputs of all positions, and its gradient.
///
/// ```text
///     L        = Σ_p weight[p] · Σ_c loss(z[p,c], y[p,c]) / (C · Σ_p weight[p])
///     dz[p, c] = weight[p] / (C · Σ weight) · ∂loss/∂z
/// ```
///
/// # Shapes
///
/// | argument | shape    | on entry                       | on return |
/// |----------|----------|--------------------------------|-----------|
/// | `z`      | `[N, C]` | outputs, logits                | untouched |
/// | `y`      | `[N, C]` | the truth                      | untouched |
/// | `task`   | see type | which loss, what each p counts | untouched |
/// | `dz`     | `[N, C]` | anything                       | replaced  |
pub fn element_loss<S: NdFloat>(
    z: ArrayView2<'_, S>,
    y: ArrayView2<'_, S>,
    task: &ElementTask<'_>,
    mut dz: ArrayViewMut2<'_, S>,
) -> f64 {
    debug_assert_eq!(z.nrows(), task.weight.len(), "a weight for each position");
    debug_assert_eq!(y.dim(), z.dim(), "y is [N, C]");
    debug_assert_eq!(dz.dim(), z.dim(), "dz is [N, C]");

    let total = sum(task.weight.iter().copied()) * z.ncols() as f64;
    let mut loss = 0.0;
    for ((p, c), &z) in z.indexed_iter() {
        let y = y[[p, c]];
        let (value, slope) = match task.loss {
            ElementLoss::BinaryCrossEntropy { positive } => {
                let positive = real(positive.get(c).copied().unwrap_or(1.0));
                (binary_cross_entropy(positive, z, y), binary_cross_entropy_slope(positive, z, y))
            }
            ElementLoss::SquaredError => (squared_error(z, y), squared_error_slope(z, y)),
            ElementLoss::Huber { delta } => {
                (huber(real(delta), z, y), huber_slope(real(delta), z, y))
            }
            ElementLoss::Focal { gamma, alpha } => {
                let (gamma, alpha) = (real(gamma), real(alpha));
                (focal(gamma, alpha, z, y), focal_slope(gamma, alpha, z, y))
            }
            ElementLoss::Poisson => (poisson(z, y), poisson_slope(z, y)),
        };
        let share = f64::from(task.weight[p]) / total;
        loss += share * value.to_f64().expect("f32 and f64 are f64");
        dz[[p, c]] = real::<S>(share) * slope;
    }
    loss
}

/// Cross-entropy of one probability, given by its logit.
///
/// ```text
///     loss = −(positive · y · log σ(z) + (1 − y) · log σ(−z))         1 − σ(z) = σ(−z)
/// ```
///
/// # Source
///
/// PyTorch, `BCEWithLogitsLoss` with `pos_weight`.
fn binary_cross_entropy<S: NdFloat>(positive: S, z: S, y: S) -> S {
    -(positive * y * log_sigmoid(z) + (S::one() - y) * log_sigmoid(-z))
}

/// ```text
///     ∂loss/∂z = (1 − y) · σ(z) − positive · y · σ(−z)
/// ```
fn binary_cross_entropy_slope<S: NdFloat>(positive: S, z: S, y: S) -> S {
    (S::one() - y) * sigmoid(z) - positive * y * sigmoid(-z)
}

/// `loss = (z − y)²`.
fn squared_error<S: NdFloat>(z: S, y: S) -> S {
    (z - y) * (z - y)
}

/// `∂loss/∂z = 2 (z − y)`.
fn squared_error_slope<S: NdFloat>(z: S, y: S) -> S {
    real::<S>(2.0) * (z - y)
}

/// Squared near the truth, straight where it is far.
///
/// ```text
///     loss = ½ d²            where |d| ≤ δ,    d = z − y
///            δ (|d| − ½ δ)   elsewhere
/// ```
///
/// # Source
///
/// P. Huber, "Robust estimation of a location parameter", 1964; PyTorch, `HuberLoss`.
fn huber<S: NdFloat>(delta: S, z: S, y: S) -> S {
    let (d, half): (S, S) = ((z - y).abs(), real(0.5));
    if d <= delta { half * d * d } else { delta * (d - half * delta) }
}

/// ```text
///     ∂loss/∂z = d           where |d| ≤ δ
///                ± δ         elsewhere, with the sign of d
/// ```
fn huber_slope<S: NdFloat>(delta: S, z: S, y: S) -> S {
    (z - y).max(-delta).min(delta)
}

/// Binary cross-entropy in which what is known well already counts little.
///
/// ```text
///     x, a = z, alpha           where y = 1
///            −z, 1 − alpha      where y = 0          then q = σ(x) is how sure the truth is held
///     loss = −a · (1 − q)^γ · log q
/// ```
///
/// # Source
///
/// T.-Y. Lin et al., "Focal loss for dense object detection", ICCV 2017.
fn focal<S: NdFloat>(gamma: S, alpha: S, z: S, y: S) -> S {
    let (x, a, _) = focal_sides(alpha, z, y);
    // (1 − q)^γ by the logarithm of 1 − q = σ(−x), so that nothing is lost where q is near 1.
    -a * (gamma * log_sigmoid(-x)).exp() * log_sigmoid(x)
}

/// ```text
///     ∂q/∂x    = q (1 − q)
///     ∂loss/∂x = a · (1 − q)^γ · (γ q log q − (1 − q))
///     ∂loss/∂z = ∂loss/∂x where y = 1, −∂loss/∂x where y = 0
/// ```
fn focal_slope<S: NdFloat>(gamma: S, alpha: S, z: S, y: S) -> S {
    let (x, a, sign) = focal_sides(alpha, z, y);
    let fade = (gamma * log_sigmoid(-x)).exp();
    sign * a * fade * (gamma * sigmoid(x) * log_sigmoid(x) - sigmoid(-x))
}

/// x, a, and ∂x/∂z.
fn focal_sides<S: NdFloat>(alpha: S, z: S, y: S) -> (S, S, S) {
    if y > real(0.5) { (z, alpha, S::one()) } else { (-z, S::one() - alpha, -S::one()) }
}

/// What an expectation given by its logarithm is worth: −log of a Poisson probability of y, less what
/// does not depend on z. Its least is where eᶻ is the mean of y, whatever the distribution.
///
/// ```text
///     loss = eᶻ − y · z
/// ```
///
/// # Source
///
/// C. Gouriéroux, A. Monfort, A. Trognon, "Pseudo maximum likelihood methods: applications to Poisson
/// models", Econometrica 52(3), 1984; PyTorch, `PoissonNLLLoss`.
fn poisson<S: NdFloat>(z: S, y: S) -> S {
    z.exp() - y * z
}

/// ```text
///     ∂loss/∂z = eᶻ − y
/// ```
fn poisson_slope<S: NdFloat>(z: S, y: S) -> S {
    z.exp() - y
}

/// The weighted mean of the cross-entropies of all positions, and its gradient.
///
/// ```text
///     u[p]     = weight[p] · class_weight[target[p]]
///     L        = Σ_p u[p] · (log Σ_c exp z[p,c] − z[p, target[p]]) / Σ_p u[p]
///     dz[p, c] = u[p] / Σ u · (softmax(z_p)[c] − [c = target[p]])
/// ```
///
/// # Shapes
///
/// | argument | shape    | on entry                | on return |
/// |----------|----------|-------------------------|-----------|
/// | `z`      | `[N, C]` | scores of the classes   | untouched |
/// | `task`   | see type | targets and what counts | untouched |
/// | `dz`     | `[N, C]` | anything                | replaced  |
///
/// # Panics
///
/// Where a target is no class.
///
/// # Source
///
/// PyTorch, `CrossEntropyLoss` with `weight` and its weighted mean.
pub fn class_loss<S: NdFloat>(
    z: ArrayView2<'_, S>,
    task: &ClassTask<'_>,
    mut dz: ArrayViewMut2<'_, S>,
) -> f64 {
    debug_assert_eq!(z.nrows(), task.target.len(), "a target for each position");
    debug_assert_eq!(dz.dim(), z.dim(), "dz is [N, C]");

    let counts = |p: usize| {
        let class = task.class_weight.get(task.target[p] as usize).copied().unwrap_or(1.0);
        f64::from(task.weight[p]) * f64::from(class)
    };
    let total: f64 = (0..z.nrows()).map(counts).sum();
    let mut loss = 0.0;
    for (p, (z, mut dz)) in z.rows().into_iter().zip(dz.rows_mut()).enumerate() {
        let (target, share) = (task.target[p] as usize, counts(p) / total);
        let largest = z.fold(S::neg_infinity(), |largest, &z| largest.max(z));
        let sum = z.fold(S::zero(), |sum, &z| sum + (z - largest).exp());

        let value = largest + sum.ln() - z[target];
        loss += share * value.to_f64().expect("f32 and f64 are f64");
        for (dz, &z) in dz.iter_mut().zip(z) {
            *dz = real::<S>(share) * (z - largest).exp() / sum;
        }
        dz[target] -= real(share);
    }
    loss
}

fn sum(weights: impl Iterator<Item = f32>) -> f64 {
    weights.map(f64::from).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// z = 0 is a coin: log 2 either way, and the slope is the half that is missing.
    #[test]
    fn a_logit_of_zero_is_a_coin() {
        for y in [0.0, 1.0] {
            let ln_2 = std::f64::consts::LN_2;
            assert_eq!(binary_cross_entropy(1.0, 0.0, y), ln_2);
            assert_eq!(binary_cross_entropy_slope(1.0, 0.0, y), 0.5 - y);
            // Without fading, and counting both sides alike, the focal loss is half of it.
            assert_eq!(focal(0.0, 0.5, 0.0, y), 0.5 * ln_2);
            assert_eq!(focal_slope(0.0, 0.5, 0.0, y), 0.5 * (0.5 - y));
            assert!((focal(2.0, 0.5, 0.0, y) - 0.125 * ln_2).abs() < 1e-16);
        }
        assert_eq!(binary_cross_entropy(3.0, 0.0, 1.0), 3.0 * std::f64::consts::LN_2);
    }

    /// Logits far out: the loss is the distance, or nothing, and always a number.
    #[test]
    fn logits_far_out_stay_finite() {
        let near = |found: f64, expected: f64| {
            assert!((found - expected).abs() < 1e-60, "{found} for {expected}");
        };
        for far in [200.0, 2e4] {
            near(binary_cross_entropy(1.0, far, 0.0), far);
            near(binary_cross_entropy(1.0, far, 1.0), 0.0);
            near(binary_cross_entropy_slope(1.0, far, 0.0), 1.0);
            near(focal(2.0, 0.25, -far, 1.0), 0.25 * far);
            near(focal(2.0, 0.25, far, 1.0), 0.0);
            near(focal_slope(2.0, 0.25, -far, 1.0), -0.25);
        }
    }

    #[test]
    fn huber_is_squared_inside_and_straight_outside() {
        assert_eq!([0.0, 0.5, 1.0, 3.0].map(|d| huber(1.0, d, 0.0)), [0.0, 0.125, 0.5, 2.5]);
        assert_eq!([-2.0, 0.5, 3.0].map(|d| huber_slope(1.0, d, 0.0)), [-1.0, 0.5, 1.0]);
        assert_eq!((squared_error(3.0, 1.0), squared_error_slope(3.0, 1.0)), (4.0, 4.0));
    }
}
