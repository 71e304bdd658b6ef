//! A map: points on a sheet, near each other where they are alike.

use rayon::prelude::*;

use crate::Points;
use crate::points::square_distance;
use crate::sample::sample;

const ROUNDS: usize = 600;
/// Rounds in which attraction counts more, so that groups find together.
const EARLY: usize = 200;
const EXAGGERATION: f64 = 12.0;
/// Neighbours in the sample that say where another point stands.
const NEIGHBOURS: usize = 3;

/// A map of points.
#[derive(Debug, Clone, PartialEq)]
pub struct Map {
    /// Where each point stands.
    pub places: Vec<[f64; 2]>,
    /// The points that the map was made of, by number; the others stand beside those they are nearest to.
    pub sample: Vec<usize>,
}

/// Lays points out by t-SNE: at most `most` of them, drawn at random, and the others among these.
///
/// ```text
///     p_j|i ∝ exp(−|x_i − x_j|² / 2σ_i²)   with perplexity 30      p_ij = (p_j|i + p_i|j) / 2n
///     w_ij  = 1 / (1 + |y_i − y_j|²)        q_ij = w_ij / Σ w
///     ∂/∂y_i = 4 Σ_j (p_ij − q_ij) w_ij (y_i − y_j)
/// ```
///
/// Exact, all pairs of the sample. It starts from the first two directions of the points, so that nothing is
/// random but the sample. Where any other point stands: the mean of its three nearest in the sample, weighted by
/// 1 / distance.
///
/// # Source
///
/// L. van der Maaten, G. Hinton, "Visualizing data using t-SNE", JMLR 9, 2008.
pub fn map(points: &Points, most: usize, seed: u64) -> Map {
    let sample = sample(points.len(), most.max(1), seed);
    let some = points.select(&sample);
    let drawn = tsne(&some);
    if sample.len() == points.len() {
        return Map { places: drawn, sample };
    }
    let place = |row: &[f64]| -> [f64; 2] {
        let mut near: Vec<(f64, usize)> = Vec::with_capacity(NEIGHBOURS + 1);
        for (at, other) in some.rows().enumerate() {
            let d = square_distance(row, other);
            if near.len() < NEIGHBOURS || d < near[near.len() - 1].0 {
                near.insert(near.partition_point(|n| n.0 <= d), (d, at));
                near.truncate(NEIGHBOURS);
            }
        }
        // One that lies on another stands on it.
        let weights: Vec<f64> = near.iter().map(|(d, _)| 1.0 / (d.sqrt() + 1e-9)).collect();
        let total: f64 = weights.iter().sum();
        [0, 1]
            .map(|j| near.iter().zip(&weights).map(|(n, w)| w * drawn[n.1][j]).sum::<f64>() / total)
    };
    let mut places: Vec<[f64; 2]> = points.values().par_chunks(points.width()).map(place).collect();
    sample.iter().zip(&drawn).for_each(|(&point, &at)| places[point] = at);
    Map { places, sample }
}

fn tsne(points: &Points) -> Vec<[f64; 2]> {
    let n = points.len();
    let mut y = start(points);
    if n < 4 {
        return y;
    }
    let p = affinities(points);
    let rate = (n as f64 / EXAGGERATION / 4.0).max(50.0);
    let mut speed = vec![[0.0f64; 2]; n];
    let mut gain = vec![[1.0f64; 2]; n];
    for round in 0..ROUNDS {
        let early = if round < EARLY { EXAGGERATION } else { 1.0 };
        let momentum = if round < EARLY { 0.5 } else { 0.8 };
        let forces: Vec<(f64, [f64; 2], [f64; 2])> =
            (0..n).into_par_iter().map(|i| force(&y, i, &p[i * n..][..n])).collect();
        let total: f64 = forces.iter().map(|force| force.0).sum();
        for (i, (_, pull, push)) in forces.iter().enumerate() {
            for j in 0..2 {
                let slope = 4.0 * (early * pull[j] - push[j] / total);
                let same = (slope > 0.0) == (speed[i][j] > 0.0);
                let g = if same { gain[i][j] * 0.8 } else { gain[i][j] + 0.2 };
                gain[i][j] = g.max(0.01);
                speed[i][j] = momentum * speed[i][j] - rate * gain[i][j] * slope;
            }
        }
        for (y, v) in y.iter_mut().zip(&speed) {
            (y[0], y[1]) = (y[0] + v[0], y[1] + v[1]);
        }
        let middle = [0, 1].map(|j| y.iter().map(|y| y[j]).sum::<f64>() / n as f64);
        y.iter_mut().for_each(|y| (y[0], y[1]) = (y[0] - middle[0], y[1] - middle[1]));
    }
    y
}

/// Σ w of a point, what pulls it and what pushes it.
fn force(y: &[[f64; 2]], i: usize, p: &[f32]) -> (f64, [f64; 2], [f64; 2]) {
    let (mut total, mut pull, mut push) = (0.0, [0.0; 2], [0.0; 2]);
    let [a, b] = y[i];
    for (other, &p) in y.iter().zip(p) {
        let (u, v) = (a - other[0], b - other[1]);
        let w = 1.0 / (1.0 + u * u + v * v);
        total += w;
        let (near, far) = (f64::from(p) * w, w * w);
        pull = [pull[0] + near * u, pull[1] + near * v];
        push = [push[0] + far * u, push[1] + far * v];
    }
    // Itself, at distance 0.
    (total - 1.0, pull, push)
}

/// The first two directions, so small that all begins close together.
fn start(points: &Points) -> Vec<[f64; 2]> {
    let second = if points.width() > 1 { 1 } else { 0 };
    let n = points.len().max(1) as f64;
    let mean = points.rows().map(|row| row[0]).sum::<f64>() / n;
    let spread = (points.rows().map(|row| (row[0] - mean).powi(2)).sum::<f64>() / n).sqrt();
    let scale = if spread > 0.0 { 1e-2 / spread } else { 0.0 };
    // Equal points would stay on each other for ever: a step aside for each, too small to be seen.
    let aside = |at: usize, j: usize| 1e-6 * ((at * 2 + j) as f64 * 2.399_963).sin();
    let rows = points.rows().enumerate();
    rows.map(|(at, row)| [row[0] * scale + aside(at, 0), row[second] * scale + aside(at, 1)])
        .collect()
}

/// `p_ij`, `[n, n]`: for each point the width is searched that gives its neighbourhood the perplexity.
fn affinities(points: &Points) -> Vec<f32> {
    let n = points.len();
    let perplexity = 30f64.min((n - 1) as f64 / 3.0).max(1.0);
    let rows: Vec<Vec<f64>> = (0..n)
        .into_par_iter()
        .map(|i| {
            let d: Vec<f64> =
                points.rows().map(|row| square_distance(row, points.row(i))).collect();
            let others = || d.iter().enumerate().filter(move |(j, _)| *j != i).map(|(_, d)| *d);
            let least = others().fold(f64::INFINITY, f64::min);
            let (mut beta, mut low, mut high) = (1.0, 0.0, f64::INFINITY);
            for _ in 0..64 {
                let (mut sum, mut mean) = (0.0, 0.0);
                for d in others() {
                    let e = (-beta * (d - least)).exp();
                    sum += e;
                    mean += e * (d - least);
                }
                let entropy = sum.ln() + beta * mean / sum;
                if (entropy - perplexity.ln()).abs() < 1e-5 {
                    break;
                }
                if entropy > perplexity.ln() {
                    low = beta;
                    beta = if high.is_finite() { (low + high) / 2.0 } else { beta * 2.0 };
                } else {
                    high = beta;
                    beta = (low + high) / 2.0;
                }
            }
            let mut row: Vec<f64> = d.iter().map(|d| (-beta * (d - least)).exp()).collect();
            row[i] = 0.0;
            let sum: f64 = row.iter().sum();
            row.iter_mut().for_each(|p| *p /= sum);
            row
        })
        .collect();
    let both = |i: usize| {
        let rows = &rows;
        (0..n).map(move |j| ((rows[i][j] + rows[j][i]) / (2.0 * n as f64)) as f32)
    };
    (0..n).into_par_iter().flat_map_iter(both).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kmeans::tests::clouds;

    #[test]
    fn clouds_are_apart_on_the_map_and_threads_change_nothing() {
        let (points, truth) = clouds(&[[0.0, 0.0], [20.0, 0.0], [0.0, 20.0]], 40);
        let run = |threads: usize, most| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| map(&points, most, 1))
        };
        let all = run(1, 1000);
        assert_eq!(all, run(3, 1000));
        // Who is nearest on the map is of the same cloud; also of those who were not in the sample.
        for map in [all, run(2, 60)] {
            let right = (0..120).filter(|&i| {
                let far = |&j: &usize| {
                    let d = [0, 1].map(|k| map.places[i][k] - map.places[j][k]);
                    d[0] * d[0] + d[1] * d[1]
                };
                let near = (0..120).filter(|&j| j != i);
                let near = near.min_by(|a, b| far(a).total_cmp(&far(b))).unwrap();
                truth[near] == truth[i]
            });
            assert!(right.count() >= 118);
        }
    }

    #[test]
    fn a_neighbourhood_has_the_perplexity_asked_for_and_all_of_it_sums_to_one() {
        let (points, _) = clouds(&[[0.0, 0.0]], 200);
        let p = affinities(&points);
        assert!((p.iter().map(|&p| f64::from(p)).sum::<f64>() - 1.0).abs() < 1e-4);
        for i in 0..200 {
            for j in 0..i {
                assert_eq!(p[i * 200 + j], p[j * 200 + i]);
            }
        }
    }

    #[test]
    fn few_points_and_equal_points_have_places() {
        for points in [vec![1.0; 2], vec![0.5; 20], vec![1.0, 2.0, 3.0]] {
            let found = map(&Points::from_rows(points, 1), 100, 1);
            assert!(found.places.iter().flatten().all(|x| x.is_finite()), "{:?}", found.places);
        }
    }
}
