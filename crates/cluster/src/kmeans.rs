//! k-means: groups about centres.

use layout::random::Stream;
use rayon::prelude::*;

use crate::Points;
use crate::points::{nearest, square_distance};
use crate::streams::CENTRES;

/// Points whose sums are made by one task.
pub(crate) const CHUNK: usize = 4096;
/// Rounds after which centres stay where they are in any case.
const ROUNDS: usize = 100;
/// Beginnings, of which the best is kept.
const STARTS: u32 = 8;

/// Groups about centres.
#[derive(Debug, Clone, PartialEq)]
pub struct KMeans {
    /// The centres, that of the heaviest group first.
    pub centres: Points,
    /// The group of each point.
    pub labels: Vec<u32>,
    /// What k-means makes small: Σ w d² of points to their centres.
    pub inertia: f64,
}

impl KMeans {
    /// The groups of other points: those of the nearest centres.
    pub fn assign(&self, points: &Points) -> Vec<u32> {
        points
            .values()
            .par_chunks(points.width().max(1))
            .map(|row| nearest(row, &self.centres).0 as u32)
            .collect()
    }
}

/// Finds `k` groups: the best of eight beginnings, each drawn so that centres lie far apart.
///
/// ```text
///     label_i  = argmin_g |x_i − c_g|²           c_g = Σ_{i in g} w_i x_i / Σ_{i in g} w_i        in turns
///     first centres: the next is x_i with probability ∝ w_i · (distance to the nearest centre so far)²
/// ```
///
/// # Panics
///
/// Where there are no points, `k` is 0, or there is not a weight for each point.
///
/// # Source
///
/// S. Lloyd, "Least squares quantization in PCM", 1982; D. Arthur, S. Vassilvitskii, "k-means++", SODA 2007.
pub fn kmeans(points: &Points, weights: &[f64], k: usize, seed: u64) -> KMeans {
    assert!(k > 0 && !points.is_empty() && weights.len() == points.len(), "points with weights");
    let runs = (0..STARTS).map(|start| {
        lloyd(points, weights, begin(points, weights, k, Stream::new(seed, CENTRES, start)))
    });
    // The first of equally good ones.
    let best = runs.reduce(|best, run| if run.inertia < best.inertia { run } else { best });
    by_weight(best.expect("there is a beginning"), weights)
}

fn begin(points: &Points, weights: &[f64], k: usize, stream: Stream) -> Points {
    let mut centres = Points::new(points.width());
    let mut far: Vec<f64> = vec![1.0; points.len()];
    for number in 0..k {
        let total: f64 = far.iter().zip(weights).map(|(d, w)| d * w).sum();
        let mut left = f64::from(stream.uniform(number as u64)) * total;
        let mut chosen = 0;
        for (point, (d, w)) in far.iter().zip(weights).enumerate() {
            if d * w > 0.0 {
                chosen = point;
                left -= d * w;
                if left < 0.0 {
                    break;
                }
            }
        }
        let centre = points.row(chosen).to_vec();
        for (d, row) in far.iter_mut().zip(points.rows()) {
            let here = square_distance(row, &centre);
            *d = if number == 0 { here } else { d.min(here) };
        }
        centres.push(centre);
    }
    centres
}

/// What a task has found of its points.
struct Part {
    labels: Vec<u32>,
    sums: Vec<f64>,
    weights: Vec<f64>,
    inertia: f64,
    /// The point that is farthest from its centre.
    far: (f64, usize),
}

fn lloyd(points: &Points, weights: &[f64], mut centres: Points) -> KMeans {
    let (k, d) = (centres.len(), points.width());
    let mut labels = Vec::new();
    let mut inertia = f64::INFINITY;
    for _ in 0..ROUNDS {
        let parts: Vec<Part> =
            (points.values().par_chunks(CHUNK * d).zip(weights.par_chunks(CHUNK)).enumerate())
                .map(|(chunk, (rows, weights))| look(chunk * CHUNK, rows, weights, &centres))
                .collect();
        let (mut sums, mut total) = (vec![0.0; k * d], vec![0.0; k]);
        let mut far = (f64::NEG_INFINITY, 0);
        let mut now = Vec::with_capacity(points.len());
        let mut cost = 0.0;
        for part in parts {
            sums.iter_mut().zip(&part.sums).for_each(|(a, b)| *a += b);
            total.iter_mut().zip(&part.weights).for_each(|(a, b)| *a += b);
            cost += part.inertia;
            if part.far.0 > far.0 {
                far = part.far;
            }
            now.extend(part.labels);
        }
        let stays = now == labels;
        (labels, inertia) = (now, cost);
        if stays {
            break;
        }
        let mut moved = Points::new(d);
        for g in 0..k {
            match total[g] > 0.0 {
                true => moved.push(sums[g * d..][..d].iter().map(|sum| sum / total[g])),
                // A group that has lost all begins again where a centre is missed most.
                false => moved.push(points.row(far.1).iter().copied()),
            }
        }
        centres = moved;
    }
    KMeans { centres, labels, inertia }
}

fn look(first: usize, rows: &[f64], weights: &[f64], centres: &Points) -> Part {
    let (k, d) = (centres.len(), centres.width());
    let mut part = Part {
        labels: Vec::with_capacity(weights.len()),
        sums: vec![0.0; k * d],
        weights: vec![0.0; k],
        inertia: 0.0,
        far: (f64::NEG_INFINITY, first),
    };
    for (at, (row, weight)) in rows.chunks_exact(d).zip(weights).enumerate() {
        let (g, distance) = nearest(row, centres);
        part.labels.push(g as u32);
        part.sums[g * d..][..d].iter_mut().zip(row).for_each(|(sum, x)| *sum += weight * x);
        part.weights[g] += weight;
        part.inertia += weight * distance;
        if distance > part.far.0 {
            part.far = (distance, first + at);
        }
    }
    part
}

/// Numbers groups by falling weight.
fn by_weight(found: KMeans, weights: &[f64]) -> KMeans {
    let mut total = vec![0.0; found.centres.len()];
    found.labels.iter().zip(weights).for_each(|(&g, w)| total[g as usize] += w);
    let order = falling(&total);
    let mut place = vec![0; order.len()];
    order.iter().enumerate().for_each(|(at, &g)| place[g] = at as u32);
    KMeans {
        centres: found.centres.select(&order),
        labels: found.labels.iter().map(|&g| place[g as usize]).collect(),
        inertia: found.inertia,
    }
}

/// The places of some numbers by falling size.
pub(crate) fn falling(numbers: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..numbers.len()).collect();
    order.sort_by(|&a, &b| numbers[b].total_cmp(&numbers[a]));
    order
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Clouds of points: `each` about every centre.
    pub(crate) fn clouds(centres: &[[f64; 2]], each: usize) -> (Points, Vec<u32>) {
        let stream = Stream::new(3, 99, 0);
        let mut points = Points::new(2);
        let mut labels = Vec::new();
        for at in 0..each * centres.len() {
            let g = at % centres.len();
            points.push((0..2).map(|j| centres[g][j] + stream.normal(2 * at as u64 + j as u64)));
            labels.push(g as u32);
        }
        (points, labels)
    }

    #[test]
    fn clouds_are_found_whatever_the_seed_and_the_threads() {
        let (points, truth) = clouds(&[[0.0, 0.0], [12.0, 0.0], [0.0, 12.0]], 3000);
        let weights = vec![1.0; points.len()];
        let run = |threads: usize, seed| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| kmeans(&points, &weights, 3, seed))
        };
        let one = run(1, 1);
        assert_eq!(one, run(3, 1), "threads change nothing");
        for seed in 1..4 {
            assert!(crate::grouping::adjusted_rand(&run(2, seed).labels, &truth) > 0.999);
        }
        assert_eq!(one.labels, one.assign(&points));
    }

    #[test]
    fn weights_move_centres_and_order_groups() {
        let points = Points::from_rows(vec![0.0, 1.0, 10.0, 12.0], 1);
        let found = kmeans(&points, &[1.0, 3.0, 8.0, 8.0], 2, 1);
        assert_eq!(found.labels, [1, 1, 0, 0]);
        assert_eq!(found.centres.values(), [11.0, 0.75]);
        assert_eq!(found.inertia, 8.0 + 8.0 + 0.75 * 0.75 + 3.0 * 0.0625);
    }

    #[test]
    fn no_point_is_drawn_as_a_centre_twice() {
        let points = Points::from_rows(vec![0.0, 1.0, 2.0, 30.0, 31.0], 1);
        for start in 0..20 {
            let centres = begin(&points, &[1.0; 5], 5, Stream::new(1, CENTRES, start));
            let mut drawn = centres.values().to_vec();
            drawn.sort_by(f64::total_cmp);
            assert_eq!(drawn, points.values(), "{start}");
        }
    }

    #[test]
    fn more_groups_than_points_do_no_harm() {
        let points = Points::from_rows(vec![1.0, 1.0, 1.0], 1);
        let found = kmeans(&points, &[1.0; 3], 5, 1);
        assert_eq!((found.centres.len(), found.inertia), (5, 0.0));
    }
}
