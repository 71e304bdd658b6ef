//! Groups where points lie dense, and none where they do not.

use hdbscan::{Hdbscan, HdbscanHyperParams};

use crate::kmeans::falling;
use crate::{NOISE, Points};

/// Groups of at least `least` points by HDBSCAN; [`NOISE`] for points between them. Takes time as the square of the
/// number of points: give it a sample, and the others the labels of their nearest ones.
///
/// The crate `hdbscan` draws no random numbers; its labels are numbered anew here, the largest group first.
///
/// # Source
///
/// R. Campello, D. Moulavi, J. Sander, "Density-based clustering based on hierarchical density estimates", 2013.
pub fn density(points: &Points, least: usize) -> Vec<u32> {
    let rows: Vec<Vec<f64>> = points.rows().map(<[f64]>::to_vec).collect();
    let none = vec![NOISE; points.len()];
    if points.len() < 2 * least.max(2) {
        return none;
    }
    let options = HdbscanHyperParams::builder()
        .min_cluster_size(least.max(2))
        .min_samples(5.min(least.max(1)));
    // Its errors are points without numbers or of different widths, which there are none of here.
    let Ok(labels) = Hdbscan::new(&rows, options.build()).cluster() else { return none };
    let groups = labels.iter().max().map_or(0, |&most| (most + 1).max(0) as usize);
    let mut sizes = vec![0.0; groups];
    labels.iter().filter(|&&g| g >= 0).for_each(|&g| sizes[g as usize] += 1.0);
    // Of equally large ones the one that comes first.
    let mut first: Vec<usize> = (0..groups).collect();
    let appears = |g: usize| labels.iter().position(|&label| label == g as i32);
    first.sort_by_key(|&g| appears(g));
    let by_appearance: Vec<f64> = first.iter().map(|&g| sizes[g]).collect();
    let mut place = vec![NOISE; groups];
    for (at, k) in falling(&by_appearance).into_iter().enumerate() {
        place[first[k]] = at as u32;
    }
    labels.iter().map(|&g| usize::try_from(g).map_or(NOISE, |g| place[g])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kmeans::tests::clouds;

    #[test]
    fn dense_groups_are_found_and_what_lies_between_is_noise() {
        let (mut points, truth) = clouds(&[[0.0, 0.0], [40.0, 0.0]], 100);
        points.push([20.0, 300.0]);
        let labels = density(&points, 20);
        assert_eq!(labels[200], NOISE);
        let inside: Vec<usize> = (0..200).filter(|&at| labels[at] != NOISE).collect();
        assert!(inside.len() > 150);
        let of = |all: &[u32]| inside.iter().map(|&at| all[at]).collect::<Vec<_>>();
        assert_eq!(crate::grouping::adjusted_rand(&of(&labels), &of(&truth)), 1.0);
        assert_eq!(density(&points, 20), labels);
        assert_eq!(density(&clouds(&[[0.0, 0.0]], 3).0, 5), [NOISE; 3]);
    }
}
