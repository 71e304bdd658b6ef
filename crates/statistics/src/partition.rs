//! How much two partitions of the same points agree, and how well one fits the distances of its
//! points.
//!
//! A partition is a label a point; which label a cluster has means nothing.

use std::collections::BTreeMap;

use ndarray::ArrayView2;
use rayon::prelude::*;

use crate::error::{Error, FINITE, check_cells, check_lengths};

/// How many points two partitions put together, in the cells and along the edges of their table.
struct Contingency {
    cells: BTreeMap<(u32, u32), u64>,
    rows: BTreeMap<u32, u64>,
    columns: BTreeMap<u32, u64>,
    points: u64,
}

impl Contingency {
    fn new(a: &[u32], b: &[u32]) -> Result<Self, Error> {
        check_lengths("b", b.len(), "a", a.len())?;
        let (mut cells, mut rows, mut columns) =
            (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for (&a, &b) in a.iter().zip(b) {
            *cells.entry((a, b)).or_default() += 1;
            *rows.entry(a).or_default() += 1;
            *columns.entry(b).or_default() += 1;
        }
        Ok(Self { cells, rows, columns, points: a.len() as u64 })
    }
}

/// The adjusted Rand index of two partitions: 1 where they are the same, about 0 where they agree
/// by chance alone, below where by less.
///
/// ```text
///     n_ij points in cluster i of a and j of b, a_i and b_j the sums of its rows and columns
///     together = Σ C(n_ij, 2)      in_a = Σ C(a_i, 2)      in_b = Σ C(b_j, 2)
///     expected = in_a · in_b / C(n, 2)
///     ARI      = (together − expected) / (½ (in_a + in_b) − expected)
/// ```
///
/// 1 where both are one cluster, and where both are all points alone. `None` without points.
///
/// # Errors
///
/// [`Error::Lengths`] where there is not one label a point in each.
///
/// # Source
///
/// L. Hubert, P. Arabie, "Comparing partitions", Journal of Classification 2, 1985.
pub fn adjusted_rand_index(a: &[u32], b: &[u32]) -> Result<Option<f64>, Error> {
    let table = Contingency::new(a, b)?;
    if table.points == 0 {
        return Ok(None);
    }
    let pairs = |n: &u64| (u128::from(*n) * u128::from(n.saturating_sub(1)) / 2) as f64;
    let together: f64 = table.cells.values().map(pairs).sum();
    let in_a: f64 = table.rows.values().map(pairs).sum();
    let in_b: f64 = table.columns.values().map(pairs).sum();
    let all = pairs(&table.points);
    if in_a == in_b && (in_a == all || in_a == 0.0) {
        return Ok(Some(1.0));
    }
    let expected = in_a * in_b / all;
    Ok(Some((together - expected) / (0.5 * (in_a + in_b) - expected)))
}

/// Normalised mutual information of two partitions: 1 where they are the same, 0 where one tells
/// nothing about the other.
///
/// ```text
///     I(a, b) = Σ n_ij / n · ln( n · n_ij / (a_i · b_j) )      H(a) = −Σ a_i / n · ln(a_i / n)
///     NMI     = I(a, b) / ( ½ (H(a) + H(b)) )
/// ```
///
/// 1 where both are one cluster. Not adjusted for chance: many small clusters raise it. `None`
/// without points.
///
/// # Errors
///
/// [`Error::Lengths`] where there is not one label a point in each.
///
/// # Source
///
/// N. Vinh, J. Epps, J. Bailey, "Information theoretic measures for clusterings comparison", JMLR 11,
/// 2010; `NMI_sum` there.
pub fn normalised_mutual_information(a: &[u32], b: &[u32]) -> Result<Option<f64>, Error> {
    let table = Contingency::new(a, b)?;
    if table.points == 0 {
        return Ok(None);
    }
    let n = table.points as f64;
    let entropy = |counts: &BTreeMap<u32, u64>| -> f64 {
        counts.values().map(|&count| -(count as f64 / n) * (count as f64 / n).ln()).sum()
    };
    let (in_a, in_b) = (entropy(&table.rows), entropy(&table.columns));
    if table.rows.len() == 1 && table.columns.len() == 1 {
        return Ok(Some(1.0));
    }
    let shared: f64 = table
        .cells
        .iter()
        .map(|((a, b), &count)| {
            let by_chance = table.rows[a] as f64 * table.columns[b] as f64 / n;
            count as f64 / n * (count as f64 / by_chance).ln()
        })
        .sum();
    // Rounding can leave a trace of the wrong sign.
    Ok(Some((shared / (0.5 * (in_a + in_b))).clamp(0.0, 1.0)))
}

/// How much nearer each point is to its own cluster than to the next.
///
/// ```text
///     a_i = mean distance to the other points of its cluster
///     b_i = the least mean distance to the points of another cluster
///     s_i = (b_i − a_i) / max(a_i, b_i)       0 for a point alone, and where both are 0
/// ```
///
/// `distance(i, j)` is asked for every i ≠ j, N (N − 1) times, from the threads of the rayon pool
/// that this is called in; their number changes no bit. `None` where there are fewer than two
/// clusters. Each s_i lies in −1 to 1 if all distances are at least 0.
///
/// # Source
///
/// P. Rousseeuw, "Silhouettes: a graphical aid to the interpretation and validation of cluster
/// analysis", Journal of Computational and Applied Mathematics 20, 1987.
pub fn silhouettes(
    labels: &[u32],
    distance: impl Fn(usize, usize) -> f64 + Sync,
) -> Option<Vec<f64>> {
    let mut names = labels.to_vec();
    names.sort_unstable();
    names.dedup();
    if names.len() < 2 {
        return None;
    }
    let clusters: Vec<usize> =
        labels.iter().map(|label| names.partition_point(|name| name < label)).collect();
    let mut sizes = vec![0usize; names.len()];
    clusters.iter().for_each(|&cluster| sizes[cluster] += 1);

    let one = |i: usize| {
        let own = clusters[i];
        if sizes[own] == 1 {
            return 0.0;
        }
        let mut sums = vec![0.0; sizes.len()];
        for (j, &cluster) in clusters.iter().enumerate() {
            if j != i {
                sums[cluster] += distance(i, j);
            }
        }
        let within = sums[own] / (sizes[own] - 1) as f64;
        let means = sums.iter().zip(&sizes).map(|(sum, &size)| sum / size as f64);
        let others = means.enumerate().filter(|&(cluster, _)| cluster != own);
        let next = others.map(|(_, mean)| mean).fold(f64::INFINITY, f64::min);
        let larger = within.max(next);
        if larger == 0.0 { 0.0 } else { (next - within) / larger }
    };
    Some((0..labels.len()).into_par_iter().map(one).collect())
}

/// The mean of [`silhouettes`] for Euclidean distances between `vectors`, `[N, D]`. N² · D operations.
///
/// # Errors
///
/// [`Error::Lengths`], or [`Error::Cell`] for a number that is not finite.
pub fn silhouette_of_vectors<S: Copy + Into<f64> + Sync>(
    labels: &[u32],
    vectors: ArrayView2<'_, S>,
) -> Result<Option<f64>, Error> {
    check_lengths("vectors", vectors.nrows(), "labels", labels.len())?;
    check_cells("vectors", vectors, FINITE, f64::is_finite)?;
    let euclidean = |i: usize, j: usize| {
        let pairs = vectors.row(i).into_iter().zip(vectors.row(j));
        pairs.map(|(&a, &b)| (a.into() - b.into()).powi(2)).sum::<f64>().sqrt()
    };
    Ok(silhouettes(labels, euclidean).map(|each| mean(&each)))
}

/// The mean of [`silhouettes`] for `distances`, `[N, N]`; its diagonal is not read.
///
/// # Errors
///
/// [`Error::Lengths`] where rows or columns are not one a label, or [`Error::Cell`] for a distance
/// that is negative or not finite.
pub fn silhouette_of_distances<S: Copy + Into<f64> + Sync>(
    labels: &[u32],
    distances: ArrayView2<'_, S>,
) -> Result<Option<f64>, Error> {
    check_lengths("rows of distances", distances.nrows(), "labels", labels.len())?;
    check_lengths("columns of distances", distances.ncols(), "labels", labels.len())?;
    check_cells("distances", distances, "finite numbers from 0", |value| {
        value.is_finite() && value >= 0.0
    })?;
    Ok(silhouettes(labels, |i, j| distances[[i, j]].into()).map(|each| mean(&each)))
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};

    const A: [u32; 12] = [0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 5, 5];
    const B: [u32; 12] = [7, 7, 3, 3, 3, 1, 1, 1, 1, 1, 9, 9];
    const POINTS: [[f64; 2]; 12] = [
        [0.0, 0.1],
        [0.2, 0.0],
        [0.1, 0.3],
        [2.0, 2.1],
        [2.2, 1.9],
        [1.7, 2.0],
        [4.0, 0.1],
        [4.1, 0.2],
        [3.8, 0.4],
        [2.9, 1.0],
        [0.0, 5.0],
        [0.1, 5.5],
    ];

    fn close(found: Result<Option<f64>, Error>, expected: f64) {
        let found = found.unwrap().unwrap();
        assert!((found - expected).abs() < 1e-14, "{found} {expected}");
    }

    // scikit-learn 1.9.1: adjusted_rand_score, normalized_mutual_info_score of A and B,
    // silhouette_score of POINTS with the labels A.
    #[test]
    fn scikit_learn_agrees() {
        close(adjusted_rand_index(&A, &B), 0.5473251028806584);
        close(normalised_mutual_information(&A, &B), 0.7427844647173565);
        let points = Array2::from_shape_fn((12, 2), |(row, column)| POINTS[row][column]);
        close(silhouette_of_vectors(&A, points.view()), 0.7744676193977501);
        // What stands on the diagonal is not read.
        let distances = Array2::from_shape_fn((12, 12), |(i, j)| {
            if i == j {
                9.0
            } else {
                (POINTS[i][0] - POINTS[j][0]).hypot(POINTS[i][1] - POINTS[j][1])
            }
        });
        close(silhouette_of_distances(&A, distances.view()), 0.7744676193977501);
    }

    #[test]
    fn by_hand() {
        // Together in both: 1 pair of C(4, 2) = 6; in a 2, in b 3; by chance 1.
        close(adjusted_rand_index(&[0, 0, 1, 1], &[0, 0, 0, 1]), 0.0);
        close(adjusted_rand_index(&[0, 0, 1, 1], &[0, 1, 0, 1]), -0.5);
        // On a line at 0, 1, 4: s = (4 − 1)/4, (3 − 1)/3, and 0 for the point alone.
        let line = array![[0f32], [1.0], [4.0]];
        close(silhouette_of_vectors(&[0, 0, 1], line.view()), (0.75 + 2.0 / 3.0) / 3.0);
    }

    #[test]
    fn names_of_clusters_and_order_of_points_mean_nothing() {
        let ari = adjusted_rand_index(&A, &B).unwrap().unwrap();
        let nmi = normalised_mutual_information(&A, &B).unwrap().unwrap();
        let renamed: Vec<u32> = A.iter().map(|label| 100 - label * 7).collect();
        close(adjusted_rand_index(&renamed, &B), ari);
        close(normalised_mutual_information(&renamed, &B), nmi);
        close(adjusted_rand_index(&B, &A), ari);
        close(normalised_mutual_information(&B, &A), nmi);
        let (mut a, mut b) = (A, B);
        a.reverse();
        b.reverse();
        close(adjusted_rand_index(&a, &b), ari);
        close(adjusted_rand_index(&A, &renamed), 1.0);
        close(normalised_mutual_information(&A, &renamed), 1.0);
    }

    #[test]
    fn trivial_partitions() {
        let (one, alone) = ([3, 3, 3], [0, 1, 2]);
        close(adjusted_rand_index(&one, &one), 1.0);
        close(adjusted_rand_index(&alone, &alone), 1.0);
        close(adjusted_rand_index(&one, &alone), 0.0);
        close(normalised_mutual_information(&one, &one), 1.0);
        close(normalised_mutual_information(&one, &alone), 0.0);
        assert_eq!(adjusted_rand_index(&[], &[]), Ok(None));
        assert_eq!(normalised_mutual_information(&[], &[]), Ok(None));
        let same = Array2::<f32>::zeros((3, 2));
        assert_eq!(silhouette_of_vectors(&one, same.view()), Ok(None));
        assert_eq!(silhouette_of_vectors(&[0, 0, 1], same.view()), Ok(Some(0.0)));
        assert_eq!(silhouette_of_vectors(&[], Array2::<f64>::zeros((0, 2)).view()), Ok(None));
    }

    #[test]
    fn wrong_numbers_are_named() {
        assert!(matches!(adjusted_rand_index(&[0], &[]), Err(Error::Lengths { .. })));
        assert!(matches!(normalised_mutual_information(&[], &[0]), Err(Error::Lengths { .. })));
        let wrong = array![[0.0, -1.0], [f64::NAN, 0.0]];
        let found = silhouette_of_distances(&[0, 1], wrong.view());
        assert!(matches!(found, Err(Error::Cell { row: 0, column: 1, .. })));
        let found = silhouette_of_vectors(&[0, 1], wrong.view());
        assert!(matches!(found, Err(Error::Cell { row: 1, column: 0, .. })));
        let found = silhouette_of_vectors(&[0], wrong.view());
        assert!(matches!(found, Err(Error::Lengths { .. })));
    }
}
