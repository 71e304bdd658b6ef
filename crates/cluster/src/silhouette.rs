//! How well points lie in their groups.

use rayon::prelude::*;

use crate::points::square_distance;
use crate::{NOISE, Points};

/// How far all points of a sample are from each other.
#[derive(Debug, Clone)]
pub struct Distances {
    values: Vec<f32>,
    weights: Vec<f64>,
}

impl Distances {
    /// Those of some points, each of which counts as its weight.
    pub fn new(points: &Points, weights: &[f64]) -> Self {
        let rows: Vec<&[f64]> = points.rows().collect();
        let from = |row: &&[f64]| -> Vec<f32> {
            rows.iter().map(|other| square_distance(row, other).sqrt() as f32).collect()
        };
        let values = rows.par_iter().flat_map_iter(from).collect();
        Self { values, weights: weights.to_vec() }
    }

    fn row(&self, point: usize) -> &[f32] {
        let n = self.weights.len();
        &self.values[point * n..][..n]
    }
}

/// The mean silhouette of the points that belong to a group: 1 where groups lie far apart, 0 where they run into
/// each other, below 0 where points lie in the wrong one. Not a number where there are fewer than two groups.
///
/// ```text
///     a_i = mean distance to the others of its group       b_i = the smallest mean distance to another group
///     s_i = (b_i − a_i) / max(a_i, b_i)                     0 for a group of one
/// ```
///
/// Means are weighted.
///
/// # Source
///
/// P. Rousseeuw, "Silhouettes", Journal of Computational and Applied Mathematics 20, 1987.
pub fn silhouette(distances: &Distances, labels: &[u32]) -> f64 {
    let groups = labels.iter().filter(|&&g| g != NOISE).max().map_or(0, |&g| g as usize + 1);
    let mut mass = vec![0.0; groups];
    for (&g, w) in labels.iter().zip(&distances.weights).filter(|(g, _)| **g != NOISE) {
        mass[g as usize] += w;
    }
    if mass.iter().filter(|&&w| w > 0.0).count() < 2 {
        return f64::NAN;
    }
    let of = |point: usize| -> (f64, f64) {
        let (own, weight) = (labels[point], distances.weights[point]);
        if own == NOISE {
            return (0.0, 0.0);
        }
        let mut sums = vec![0.0; groups];
        let known = labels.iter().zip(&distances.weights).zip(distances.row(point));
        for ((&g, w), &d) in known {
            if g != NOISE {
                sums[g as usize] += w * f64::from(d);
            }
        }
        let own = own as usize;
        let rest = mass[own] - weight;
        if rest <= 0.0 {
            return (0.0, weight);
        }
        let a = sums[own] / rest;
        let others = (0..groups).filter(|&g| g != own && mass[g] > 0.0).map(|g| sums[g] / mass[g]);
        let b = others.fold(f64::INFINITY, f64::min);
        let most = a.max(b);
        (if most > 0.0 { weight * (b - a) / most } else { 0.0 }, weight)
    };
    let each: Vec<(f64, f64)> = (0..labels.len()).into_par_iter().map(of).collect();
    let (sum, weight) = each.iter().fold((0.0, 0.0), |(s, w), (a, b)| (s + a, w + b));
    sum / weight
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silhouette_is_what_its_definition_says() {
        let points = Points::from_rows(vec![0.0, 1.0, 10.0, 12.0], 1);
        let distances = Distances::new(&points, &[1.0; 4]);
        let s = |a: f64, b: f64| (b - a) / a.max(b);
        let expected = (s(1.0, 11.0) + s(1.0, 10.0) + s(2.0, 9.5) + s(2.0, 11.5)) / 4.0;
        assert!((silhouette(&distances, &[0, 0, 1, 1]) - expected).abs() < 1e-9);
        assert!(silhouette(&distances, &[0, 1, 0, 1]) < 0.0);
        assert!(silhouette(&distances, &[0; 4]).is_nan());
        // What belongs nowhere is not asked; alone in a group is 0.
        let noisy = silhouette(&distances, &[0, 0, NOISE, 1]);
        assert!((noisy - (s(1.0, 12.0) + s(1.0, 11.0)) / 3.0).abs() < 1e-9, "{noisy}");
    }
}
