//! The least value of a smooth function: L-BFGS.
//!
//! ```text
//!     x ← x − t · H g        H: the last pairs s = Δx, y = Δg, beginning with sᵀy / yᵀy · I
//!     t: f(x − t d) ≤ f(x) − c₁ t gᵀd   and   g(x − t d)ᵀd ≤ c₂ gᵀd,   by doubling and halving
//! ```
//!
//! # Source
//!
//! D. Liu, J. Nocedal, "On the limited memory BFGS method for large scale optimization", Mathematical
//! Programming 45, 1989; the search along a line is that of A. Lewis, M. Overton, "Nonsmooth
//! optimization via quasi-Newton methods", Mathematical Programming 141, 2013.

use std::collections::VecDeque;

/// Pairs that are remembered.
const PAIRS: usize = 12;
/// Steps at most.
const STEPS: usize = 1000;
/// Trials along one line at most.
const TRIALS: usize = 60;
/// c₁, c₂.
const WOLFE: [f64; 2] = [1e-4, 0.9];
/// The largest entry of the gradient at which the search is over.
const DONE: f64 = 1e-9;
/// The same where no step leads down any more: what rounding leaves of a gradient, as far as the
/// answers of a model are concerned.
const NEARLY: f64 = 1e-5;

/// What logarithms of parameters may be before a search is drawn back: a likelihood that has its
/// maximum at infinity is flat long before.
const WALL: f64 = 10.0;

/// The parameters above 0, `N` of them, with the least `f`, which writes its slopes by the parameters
/// themselves. The search goes over their logarithms, from 1 each, and leaves e^±10 only to rise:
///
/// ```text
///     f(e^x) + Σ_k max(0, |x_k| − 10)²
/// ```
///
/// `None` where it does not end.
pub(crate) fn minimise_positive<const N: usize>(
    mut f: impl FnMut([f64; N]) -> (f64, [f64; N]),
) -> Option<[f64; N]> {
    let positive = |logs: &[f64]| std::array::from_fn(|k| logs[k].exp());
    let least = minimise(vec![0.0; N], |logs, gradient| {
        let parameters: [f64; N] = positive(logs);
        let (mut value, slopes) = f(parameters);
        for k in 0..N {
            let beyond = (logs[k].abs() - WALL).max(0.0);
            value += beyond * beyond;
            gradient[k] = slopes[k] * parameters[k] + 2.0 * beyond * logs[k].signum();
        }
        value
    });
    least.converged.then(|| positive(&least.at))
}

/// Where a search has ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Minimum {
    pub(crate) at: Vec<f64>,
    pub(crate) value: f64,
    /// Whether the gradient is as good as zero there.
    pub(crate) converged: bool,
}

/// Goes downhill from `start`. `f` writes its gradient and returns its value, both of order 1: a mean
/// over cases, not a sum. A value that is not a number counts as too high.
pub(crate) fn minimise(start: Vec<f64>, mut f: impl FnMut(&[f64], &mut [f64]) -> f64) -> Minimum {
    let n = start.len();
    let (mut at, mut gradient) = (start, vec![0.0; n]);
    let mut value = f(&at, &mut gradient);
    let mut pairs: VecDeque<(Vec<f64>, Vec<f64>)> = VecDeque::new();
    for _ in 0..STEPS {
        // False of what is not a number.
        let flat = |most: f64| gradient.iter().all(|g| g.abs() <= most);
        if flat(DONE) {
            return Minimum { at, value, converged: true };
        }
        let mut way = direction(&pairs, &gradient);
        let mut slope = dot(&gradient, &way);
        if slope.is_nan() || slope <= 0.0 {
            pairs.clear();
            way = direction(&pairs, &gradient);
            slope = dot(&gradient, &way);
        }
        let Some((next, next_gradient, next_value)) = search(&at, &way, value, slope, &mut f)
        else {
            if pairs.is_empty() {
                let converged = flat(NEARLY);
                return Minimum { at, value, converged };
            }
            // Once more, straight down.
            pairs.clear();
            continue;
        };
        let s: Vec<f64> = next.iter().zip(&at).map(|(next, at)| next - at).collect();
        let y: Vec<f64> = next_gradient.iter().zip(&gradient).map(|(next, g)| next - g).collect();
        if dot(&s, &y) > f64::EPSILON * dot(&y, &y) {
            pairs.push_back((s, y));
            if pairs.len() > PAIRS {
                pairs.pop_front();
            }
        }
        (at, gradient, value) = (next, next_gradient, next_value);
    }
    Minimum { at, value, converged: false }
}

/// H g, by the two loops over the pairs.
fn direction(pairs: &VecDeque<(Vec<f64>, Vec<f64>)>, gradient: &[f64]) -> Vec<f64> {
    let mut way = gradient.to_vec();
    let add = |way: &mut [f64], factor: f64, other: &[f64]| {
        way.iter_mut().zip(other).for_each(|(way, other)| *way += factor * other);
    };
    let mut parts = Vec::with_capacity(pairs.len());
    for (s, y) in pairs.iter().rev() {
        let part = dot(s, &way) / dot(s, y);
        add(&mut way, -part, y);
        parts.push(part);
    }
    let scale = match pairs.back() {
        Some((s, y)) => dot(s, y) / dot(y, y),
        // A first step of length 1 at most.
        None => 1.0 / dot(gradient, gradient).sqrt().max(1.0),
    };
    way.iter_mut().for_each(|way| *way *= scale);
    for ((s, y), part) in pairs.iter().zip(parts.into_iter().rev()) {
        let back = dot(y, &way) / dot(s, y);
        add(&mut way, part - back, s);
    }
    way
}

/// A point along the way that satisfies both conditions, or else the best that satisfies the first.
fn search(
    at: &[f64],
    way: &[f64],
    value: f64,
    slope: f64,
    f: &mut impl FnMut(&[f64], &mut [f64]) -> f64,
) -> Option<(Vec<f64>, Vec<f64>, f64)> {
    let (mut near, mut far, mut t) = (0.0, f64::INFINITY, 1.0);
    let mut best = None;
    for _ in 0..TRIALS {
        let next: Vec<f64> = at.iter().zip(way).map(|(at, way)| at - t * way).collect();
        let mut gradient = vec![0.0; at.len()];
        let there = f(&next, &mut gradient);
        let falls = there < value && there <= value - WOLFE[0] * t * slope;
        if !falls || gradient.iter().any(|g| !g.is_finite()) {
            far = t;
        } else {
            let steep = dot(&gradient, way) > WOLFE[1] * slope;
            best = Some((next, gradient, there));
            if !steep {
                break;
            }
            near = t;
        }
        t = if far.is_finite() { 0.5 * (near + far) } else { 2.0 * near };
    }
    best
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// H. Rosenbrock's valley, 1960: banana-shaped, flat along its ground, least at (1, 1).
    #[test]
    fn a_bent_valley_is_followed() {
        let found = minimise(vec![-1.2, 1.0], |x, gradient| {
            let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
            gradient[0] = -2.0 * a - 400.0 * x[0] * b;
            gradient[1] = 200.0 * b;
            a * a + 100.0 * b * b
        });
        assert!(found.converged);
        assert!(found.at.iter().all(|x| (x - 1.0).abs() < 1e-8), "{found:?}");
    }

    #[test]
    fn a_least_value_at_infinity_is_drawn_back() {
        // x + 1/x is least at 1, and −ln(y) / 100 nowhere.
        let [x, y] = minimise_positive(|[x, y]| {
            (x + 1.0 / x - 0.01 * y.ln(), [1.0 - 1.0 / (x * x), -0.01 / y])
        })
        .unwrap();
        assert!((x - 1.0).abs() < 1e-6, "{x}");
        assert!((y.ln() - 10.005).abs() < 1e-6, "{}", y.ln());
        // Falls without end, and faster than the wall rises.
        assert_eq!(minimise_positive(|[x]| (-x, [-1.0])), None);
    }

    /// From 1 down x², four times too far at first: that step would lead up.
    #[test]
    fn a_step_that_leads_up_is_not_made() {
        let mut square = |x: &[f64], gradient: &mut [f64]| {
            gradient[0] = 2.0 * x[0];
            x[0] * x[0]
        };
        let (next, gradient, value) = search(&[1.0], &[4.0], 1.0, 8.0, &mut square).unwrap();
        assert_eq!((next[0], gradient[0], value), (0.0, 0.0, 0.0));
        // A hundred times too short: it is doubled until the slope has eased.
        let (next, ..) = search(&[1.0], &[0.02], 1.0, 0.04, &mut square).unwrap();
        assert!(next[0] < 0.9, "{next:?}");
    }

    #[test]
    fn a_wall_is_not_a_minimum() {
        // −ln x + x is no number at 0 and below; the first step would land there.
        let found = minimise(vec![0.1], |x, gradient| {
            gradient[0] = 1.0 - 1.0 / x[0];
            x[0] - x[0].ln()
        });
        assert!(found.converged && (found.at[0] - 1.0).abs() < 1e-8, "{found:?}");
    }

    #[test]
    fn what_falls_for_ever_has_not_converged() {
        let found = minimise(vec![0.0], |x, gradient| {
            gradient[0] = -1.0;
            -x[0]
        });
        assert!(!found.converged);
        let nan = minimise(vec![0.0], |_, gradient| {
            gradient[0] = f64::NAN;
            f64::NAN
        });
        assert!(!nan.converged);
    }
}
