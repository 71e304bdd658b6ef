//! A mixture of normal distributions: groups that may be long, slanted and of different widths.

use rayon::prelude::*;

use crate::eigen::{cholesky, solve_lower};
use crate::kmeans::{CHUNK, falling};
use crate::{Points, kmeans};

const ROUNDS: usize = 200;

/// A mixture of normal distributions.
#[derive(Debug, Clone, PartialEq)]
pub struct Mixture {
    /// Means of the parts, the heaviest part first.
    pub centres: Points,
    parts: Vec<Part>,
    /// The most probable part of each point.
    pub labels: Vec<u32>,
    /// Bayes' information criterion: the smaller, the better the mixture pays for its numbers.
    pub bic: f64,
}

/// A part of the mixture.
#[derive(Debug, Clone, PartialEq)]
struct Part {
    /// ln of its share, less half the ln of the determinant.
    offset: f64,
    mean: Vec<f64>,
    /// Root of its covariance.
    root: Vec<f64>,
}

impl Part {
    /// ln(share · density), without what is the same for all parts.
    ///
    /// ```text
    ///     ln π_g − ½ ln |Σ_g| − ½ (x − μ_g)ᵀ Σ_g⁻¹ (x − μ_g)
    /// ```
    fn log(&self, x: &[f64], scratch: &mut [f64]) -> f64 {
        let centred = x.iter().zip(&self.mean).map(|(x, m)| x - m);
        scratch.iter_mut().zip(centred).for_each(|(s, c)| *s = c);
        solve_lower(&self.root, x.len(), scratch);
        self.offset - 0.5 * scratch.iter().map(|s| s * s).sum::<f64>()
    }
}

/// What a task adds up of its points.
struct Sums {
    log: f64,
    share: Vec<f64>,
    first: Vec<f64>,
    second: Vec<f64>,
}

/// Fits `k` normal distributions by expectation and maximisation, from the groups of k-means.
///
/// ```text
///     r_ig = π_g N(x_i; μ_g, Σ_g) / Σ_h …           N_g = Σ_i w_i r_ig
///     π_g  = N_g / N     μ_g = Σ w r x / N_g       Σ_g = Σ w r (x − μ)(x − μ)ᵀ / N_g + ε I
///     BIC  = −2 ln L + p ln n                       p = k (1 + D + D (D + 1) / 2) − 1
/// ```
///
/// ε is a thousandth of the mean variance, so that no part can shrink to a point. Weights are brought to a mean
/// of one.
///
/// # Panics
///
/// As [`kmeans()`].
///
/// # Source
///
/// A. Dempster, N. Laird, D. Rubin, "Maximum likelihood from incomplete data via the EM algorithm", 1977.
pub fn mixture(points: &Points, weights: &[f64], k: usize, seed: u64) -> Mixture {
    let (n, d) = (points.len(), points.width());
    let scale = n as f64 / weights.iter().sum::<f64>();
    let weights: Vec<f64> = weights.iter().map(|w| w * scale).collect();
    let start = kmeans(points, &weights, k, seed);
    let ridge = 1e-3 * spread(points, &weights) + f64::MIN_POSITIVE;
    let hard = |at: usize, g: usize| f64::from(u8::from(start.labels[at] as usize == g));
    let mut sums = add_up(points, &weights, k, |at, _, r| {
        (0..k).for_each(|g| r[g] = hard(at, g));
        0.0
    });
    let mut parts = maximise(&sums, k, d, n, ridge, points);
    let mut before = f64::NEG_INFINITY;
    for _ in 0..ROUNDS {
        sums = add_up(points, &weights, k, |_, x, r| expect(&parts, x, r));
        let log = sums.log;
        parts = maximise(&sums, k, d, n, ridge, points);
        if log - before <= 1e-7 * log.abs().max(1.0) {
            break;
        }
        before = log;
    }
    let log = add_up(points, &weights, k, |_, x, r| expect(&parts, x, r)).log;
    let numbers = (k * (1 + d + d * (d + 1) / 2) - 1) as f64;
    // What the densities leave out that is the same for all parts.
    let constant = 0.5 * d as f64 * std::f64::consts::TAU.ln() * n as f64;
    let bic = -2.0 * (log - constant) + numbers * (n as f64).ln();

    let mut found = Mixture { centres: Points::new(d), parts, labels: Vec::new(), bic };
    let labels = found.assign(points);
    let mut total = vec![0.0; k];
    labels.iter().zip(&weights).for_each(|(&g, w)| total[g as usize] += w);
    let order = falling(&total);
    found.parts = order.iter().map(|&g| found.parts[g].clone()).collect();
    found.parts.iter().for_each(|part| found.centres.push(part.mean.iter().copied()));
    found.labels = found.assign(points);
    found
}

impl Mixture {
    /// The most probable part of other points.
    pub fn assign(&self, points: &Points) -> Vec<u32> {
        let row = |x: &[f64]| {
            let mut scratch = vec![0.0; x.len()];
            let logs: Vec<f64> = self.parts.iter().map(|part| part.log(x, &mut scratch)).collect();
            falling(&logs)[0] as u32
        };
        points.values().par_chunks(points.width().max(1)).map(row).collect()
    }
}

/// Mean variance of a number.
fn spread(points: &Points, weights: &[f64]) -> f64 {
    let (n, d) = (weights.iter().sum::<f64>(), points.width());
    let mut mean = vec![0.0; d];
    let mut square = 0.0;
    for (row, w) in points.rows().zip(weights) {
        mean.iter_mut().zip(row).for_each(|(m, x)| *m += w * x / n);
        square += w * row.iter().map(|x| x * x).sum::<f64>() / n;
    }
    (square - mean.iter().map(|m| m * m).sum::<f64>()).max(0.0) / d as f64
}

/// Shares of a point in the parts, and ln of its density.
fn expect(parts: &[Part], x: &[f64], r: &mut [f64]) -> f64 {
    let mut scratch = vec![0.0; x.len()];
    r.iter_mut().zip(parts).for_each(|(r, part)| *r = part.log(x, &mut scratch));
    let most = r.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = r.iter().map(|l| (l - most).exp()).sum();
    let log = most + sum.ln();
    r.iter_mut().for_each(|l| *l = (*l - log).exp());
    log
}

fn add_up(
    points: &Points,
    weights: &[f64],
    k: usize,
    share: impl Fn(usize, &[f64], &mut [f64]) -> f64 + Sync,
) -> Sums {
    let d = points.width();
    let none = || Sums {
        log: 0.0,
        share: vec![0.0; k],
        first: vec![0.0; k * d],
        second: vec![0.0; k * d * d],
    };
    let parts: Vec<Sums> =
        (points.values().par_chunks(CHUNK * d).zip(weights.par_chunks(CHUNK)).enumerate())
            .map(|(chunk, (rows, weights))| {
                let (mut sums, mut r) = (none(), vec![0.0; k]);
                for (at, (x, w)) in rows.chunks_exact(d).zip(weights).enumerate() {
                    sums.log += w * share(chunk * CHUNK + at, x, &mut r);
                    for (g, r) in r.iter().enumerate().filter(|(_, r)| **r > 0.0) {
                        let weight = w * r;
                        sums.share[g] += weight;
                        for i in 0..d {
                            sums.first[g * d + i] += weight * x[i];
                            for j in 0..=i {
                                sums.second[(g * d + i) * d + j] += weight * x[i] * x[j];
                            }
                        }
                    }
                }
                sums
            })
            .collect();
    let mut all = none();
    for part in parts {
        all.log += part.log;
        for (sums, more) in [
            (&mut all.share, part.share),
            (&mut all.first, part.first),
            (&mut all.second, part.second),
        ] {
            sums.iter_mut().zip(more).for_each(|(a, b)| *a += b);
        }
    }
    all
}

fn maximise(sums: &Sums, k: usize, d: usize, n: usize, ridge: f64, points: &Points) -> Vec<Part> {
    (0..k)
        .map(|g| {
            let share = sums.share[g];
            // A part that has lost everything stands on a point of its own with next to no share.
            let lost = share < 1e-9;
            let mean: Vec<f64> = match lost {
                true => points.row(g % points.len()).to_vec(),
                false => sums.first[g * d..][..d].iter().map(|s| s / share).collect(),
            };
            let mut cov = vec![0.0; d * d];
            for i in 0..d {
                for j in 0..=i {
                    let second = sums.second[(g * d + i) * d + j] / share.max(1e-9);
                    let value = if lost { 0.0 } else { second - mean[i] * mean[j] };
                    (cov[i * d + j], cov[j * d + i]) = (value, value);
                }
                cov[i * d + i] += ridge;
            }
            // Rounding may have left it not quite positive: then its axes stand alone.
            let root = cholesky(&cov, d).unwrap_or_else(|| {
                let mut root = vec![0.0; d * d];
                (0..d).for_each(|i| root[i * d + i] = cov[i * d + i].max(ridge).sqrt());
                root
            });
            let half_log: f64 = (0..d).map(|i| root[i * d + i].ln()).sum();
            let offset = (share.max(1e-9) / n as f64).ln() - half_log;
            Part { offset, mean, root }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grouping::adjusted_rand;
    use layout::random::Stream;

    /// A narrow cloud beside a wide one, whose near side k-means gives away.
    fn narrow_and_wide() -> (Points, Vec<u32>) {
        let stream = Stream::new(5, 98, 0);
        let mut points = Points::new(2);
        let mut labels = Vec::new();
        for at in 0..2000u64 {
            let wide = at % 2;
            let size = if wide == 1 { 4.0 } else { 0.5 };
            let place = 8.0 * wide as f64;
            points.push([place + size * stream.normal(2 * at), size * stream.normal(2 * at + 1)]);
            labels.push(wide as u32);
        }
        (points, labels)
    }

    #[test]
    fn groups_of_different_widths_are_told_apart() {
        let (points, truth) = narrow_and_wide();
        let weights = vec![2.0; points.len()];
        let found = mixture(&points, &weights, 2, 1);
        let centres = adjusted_rand(&kmeans(&points, &weights, 2, 1).labels, &truth);
        let index = adjusted_rand(&found.labels, &truth);
        assert!(index > 0.93 && centres < 0.85, "{index} {centres}");
        let bic = |k| mixture(&points, &weights, k, 1).bic;
        assert!(bic(2) < bic(1) && bic(2) < bic(3), "{} {} {}", bic(1), bic(2), bic(3));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        assert_eq!(pool.install(|| mixture(&points, &weights, 2, 1)), found);
    }

    #[test]
    fn the_criterion_of_one_part_is_that_of_one_normal_distribution() {
        let points = Points::from_rows(vec![-1.0, 1.0, -1.0, 1.0], 1);
        let found = mixture(&points, &[1.0; 4], 1, 1);
        // Variance 1.001, ln L = −n/2 (ln 2π + ln σ² + 1/σ²), two numbers.
        let variance: f64 = 1.001;
        let log = -2.0 * (std::f64::consts::TAU.ln() + variance.ln() + 1.0 / variance);
        assert!((found.bic - (-2.0 * log + 2.0 * 4f64.ln())).abs() < 1e-9, "{}", found.bic);
    }

    #[test]
    fn a_slanted_part_pays_for_its_covariance() {
        let points = Points::from_rows(vec![-1.0, -1.0, -1.0, 1.0, 1.0, -1.0, 1.0, 1.0], 2);
        let found = mixture(&points, &[1.0; 4], 1, 1);
        // Two variances of 1.001 and a covariance of 0; five numbers.
        let variance: f64 = 1.001;
        let log = -4.0 * (std::f64::consts::TAU.ln() + variance.ln() + 1.0 / variance);
        assert!((found.bic - (-2.0 * log + 5.0 * 4f64.ln())).abs() < 1e-9, "{}", found.bic);
    }

    #[test]
    fn the_same_points_give_no_trouble() {
        let points = Points::from_rows(vec![2.0; 20], 2);
        assert_eq!(mixture(&points, &[1.0; 10], 3, 1).labels.len(), 10);
    }
}
