//! Two losses that look at the order of scores: is the target ahead of the best of the others?
//!
//! Both take the scores of one position and turn them into the slopes of its loss, as the
//! cross-entropy of `softmax` does. i is the target, j runs over the negatives: all other
//! candidates. What is no candidate has the score −∞.

use ndarray::NdFloat;

use crate::real;

/// BPR-max. Turns the scores of a position into the slopes of its loss, which it returns.
///
/// ```text
///     π_j  = exp s_j / Σ_k exp s_k             over the negatives
///     l_j  = log π_j + log σ(s_i − s_j)
///     loss = −log Σ_j exp l_j + λ Σ_j π_j s_j²
///
///     Q    = Σ_j π_j s_j²
///     ρ_j  = exp l_j / Σ_k exp l_k             the share of j in the first sum
///     ds_i = −Σ_j ρ_j σ(s_j − s_i)
///     ds_j = π_j − ρ_j σ(s_i − s_j) + λ π_j (s_j² − Q + 2 s_j)
/// ```
///
/// The first term of ds_j, where the slope of a share is ∂π_k/∂s_j = π_k (\[j = k\] − π_j):
///
/// ```text
///     −∂ log Σ_k π_k σ_k / ∂s_j = −(π_j σ_j − π_j Σ_k π_k σ_k − π_j σ_j (1 − σ_j)) / Σ_k π_k σ_k
///                               = −ρ_j + π_j + ρ_j (1 − σ_j)            σ_j = σ(s_i − s_j)
/// ```
///
/// # Shapes
///
/// | argument         | shape | on entry                 | on return                    |
/// |------------------|-------|--------------------------|------------------------------|
/// | `regularization` |       | λ                        | untouched                    |
/// | `target`         |       | i                        | untouched                    |
/// | `s`              | `[C]` | scores, −∞: no candidate | ∂loss/∂s, 0 for no candidate |
///
/// # Source
///
/// B. Hidasi, A. Karatzoglou, "Recurrent neural networks with top-k gains for session-based
/// recommendations", CIKM 2018: BPR-max with score regularisation.
pub fn bpr_max<S: NdFloat>(regularization: f32, target: usize, s: &mut [S]) -> S {
    let (own, lambda): (S, S) = (s[target], real(regularization));
    let Some(log_sum) = log_sum_of_negatives(target, s, |s| s) else {
        return without_negatives(s);
    };
    let ahead = |s: S| s - log_sum + log_sigmoid(own - s);
    let Some(log_ahead) = log_sum_of_negatives(target, s, ahead) else {
        return without_negatives(s);
    };
    let share = |s: S| (s - log_sum).exp();
    let squares = sum_over_negatives(target, s, |s| share(s) * s * s);

    let loss = lambda * squares - log_ahead;
    let own_slope =
        sum_over_negatives(target, s, |s| -(ahead(s) - log_ahead).exp() * sigmoid(s - own));
    for (c, s) in s.iter_mut().enumerate() {
        *s = if c == target {
            own_slope
        } else if *s == S::neg_infinity() {
            S::zero()
        } else {
            let (pi, rho) = (share(*s), (ahead(*s) - log_ahead).exp());
            let two: S = real(2.0);
            pi - rho * sigmoid(own - *s) + lambda * pi * (*s * *s - squares + two * *s)
        };
    }
    loss
}

/// TOP1-max. Turns the scores of a position into the slopes of its loss, which it returns.
///
/// ```text
///     π_j  = exp s_j / Σ_k exp s_k             over the negatives
///     a_j  = σ(s_j − s_i),  b_j = σ(s_j²)
///     loss = Σ_j π_j (a_j + b_j)
///
///     ds_i = −Σ_j π_j a_j (1 − a_j)
///     ds_j = π_j ( a_j + b_j − loss + a_j (1 − a_j) + 2 s_j b_j (1 − b_j) )
/// ```
///
/// # Shapes
///
/// | argument | shape | on entry                 | on return                    |
/// |----------|-------|--------------------------|------------------------------|
/// | `target` |       | i                        | untouched                    |
/// | `s`      | `[C]` | scores, −∞: no candidate | ∂loss/∂s, 0 for no candidate |
///
/// # Source
///
/// As [`bpr_max`]: TOP1-max.
pub fn top1_max<S: NdFloat>(target: usize, s: &mut [S]) -> S {
    let own = s[target];
    let Some(log_sum) = log_sum_of_negatives(target, s, |s| s) else {
        return without_negatives(s);
    };
    let share = |s: S| (s - log_sum).exp();
    let bend = |x: S| x * (S::one() - x);

    let loss = sum_over_negatives(target, s, |s| share(s) * (sigmoid(s - own) + sigmoid(s * s)));
    let own_slope = sum_over_negatives(target, s, |s| -share(s) * bend(sigmoid(s - own)));
    for (c, s) in s.iter_mut().enumerate() {
        *s = if c == target {
            own_slope
        } else if *s == S::neg_infinity() {
            S::zero()
        } else {
            let (a, b, two) = (sigmoid(*s - own), sigmoid(*s * *s), real::<S>(2.0));
            share(*s) * (a + b - loss + bend(a) + two * *s * bend(b))
        };
    }
    loss
}

/// Nobody to be ahead of: nothing to gain.
fn without_negatives<S: NdFloat>(s: &mut [S]) -> S {
    s.fill(S::zero());
    S::zero()
}

/// `Σ_j f(s_j)` over the negatives, first to last.
fn sum_over_negatives<S: NdFloat>(target: usize, s: &[S], f: impl Fn(S) -> S) -> S {
    negatives(target, s).fold(S::zero(), |sum, s| sum + f(s))
}

/// `log Σ_j exp f(s_j)` over the negatives; `None` where there are none.
fn log_sum_of_negatives<S: NdFloat>(target: usize, s: &[S], f: impl Fn(S) -> S) -> Option<S> {
    let largest = negatives(target, s).map(&f).reduce(|largest, x| largest.max(x))?;
    let sum = sum_over_negatives(target, s, |s| (f(s) - largest).exp());
    Some(largest + sum.ln())
}

/// The scores of the negatives.
fn negatives<S: NdFloat>(target: usize, s: &[S]) -> impl Iterator<Item = S> {
    let candidates = s.iter().enumerate().filter(|(_, s)| **s != S::neg_infinity());
    candidates.filter(move |&(c, _)| c != target).map(|(_, &s)| s)
}

/// `σ(x) = 1 / (1 + e⁻ˣ)`.
pub(crate) fn sigmoid<S: NdFloat>(x: S) -> S {
    S::one() / (S::one() + (-x).exp())
}

/// `log σ(x)`, which is nearly x where x is far below zero.
///
/// ```text
///     log σ(x) = min(x, 0) − log(1 + e^−|x|)
/// ```
pub(crate) fn log_sigmoid<S: NdFloat>(x: S) -> S {
    x.min(S::zero()) - (-x.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: f64 = f64::NEG_INFINITY;

    /// Two equal negatives share evenly: each loss is that of one of them.
    #[test]
    fn equal_negatives_count_as_one() {
        let (own, other, ahead) = (1.5, 0.5, 1.0 / (1.0 + (-1f64).exp()));
        let mut s = [other, own, NONE, other];
        let loss = bpr_max(0.25, 1, &mut s);
        assert!((loss - (0.25 * 0.25 - ahead.ln())).abs() < 1e-15, "{loss}");
        assert_eq!((s[2], s[0]), (0.0, s[3]));

        let mut s = [other, own, NONE, other];
        let loss = top1_max(1, &mut s);
        let expected = 1.0 - ahead + 1.0 / (1.0 + (-0.25f64).exp());
        assert!((loss - expected).abs() < 1e-15, "{loss}");
        assert_eq!((s[2], s[0]), (0.0, s[3]));
    }

    /// However far behind the target is, its loss is the distance and its slope is −1.
    #[test]
    fn a_target_far_behind_is_pulled_with_full_force() {
        let mut s = [2000f64, 0.0, 1999.0];
        let loss = bpr_max(0.0, 1, &mut s);
        // Σ π exp(−s) of the two, from which 2000 is taken.
        let expected = 2000.0 - (2.0 / (1.0 + (-1f64).exp())).ln();
        assert!((loss - expected).abs() < 1e-9 && (s[1] + 1.0).abs() < 1e-12, "{loss} {s:?}");
        assert!(top1_max(1, &mut [2000f64, 0.0, 1999.0]).is_finite());
    }

    #[test]
    fn without_negatives_there_is_nothing_to_gain() {
        for loss in [|s: &mut [f64]| bpr_max(1.0, 1, s), |s: &mut [f64]| top1_max(1, s)] {
            let mut s = [NONE, 3.0, NONE];
            assert_eq!((loss(&mut s), s), (0.0, [0.0; 3]));
        }
    }
}
