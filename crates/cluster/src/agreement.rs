//! How far two groupings of the same points agree.

/// The adjusted Rand index: the share of pairs on which two groupings agree, 0 for chance, 1 for the same groups.
///
/// ```text
///     n_ij points in group i of one and j of the other, a_i and b_j its sums
///     index = (Σ C(n_ij) − E) / ((Σ C(a_i) + Σ C(b_j)) / 2 − E)       C(n) = n (n − 1) / 2
///     E     = Σ C(a_i) · Σ C(b_j) / C(n)
/// ```
///
/// # Panics
///
/// Where they are not of the same length.
///
/// # Source
///
/// L. Hubert, P. Arabie, "Comparing partitions", Journal of Classification 2, 1985.
pub fn adjusted_rand(a: &[u32], b: &[u32]) -> f64 {
    assert_eq!(a.len(), b.len(), "two groupings of the same points");
    let pairs = |sizes: &mut dyn Iterator<Item = u64>| -> f64 {
        sizes.map(|n| n as f64 * (n.saturating_sub(1)) as f64 / 2.0).sum()
    };
    let counts = |mut labels: Vec<(u32, u32)>| -> Vec<u64> {
        labels.sort_unstable();
        labels.chunk_by(|a, b| a == b).map(|same| same.len() as u64).collect()
    };
    let both = counts(a.iter().copied().zip(b.iter().copied()).collect());
    let one = counts(a.iter().map(|&label| (label, 0)).collect());
    let other = counts(b.iter().map(|&label| (label, 0)).collect());
    let [both, one, other] = [both, one, other].map(|sizes| pairs(&mut sizes.into_iter()));
    let all = pairs(&mut std::iter::once(a.len() as u64));
    let chance = if all > 0.0 { one * other / all } else { 0.0 };
    let most = (one + other) / 2.0;
    if most == chance { 1.0 } else { (both - chance) / (most - chance) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_groups_do_not_matter_and_chance_is_nothing() {
        assert_eq!(adjusted_rand(&[0, 0, 1, 1], &[5, 5, 2, 2]), 1.0);
        // Hubert and Arabie's form by hand: pairs 1, 2, 2 of 6.
        let index = adjusted_rand(&[0, 0, 1, 1], &[0, 0, 1, 2]);
        let expected = (1.0 - 2.0 / 6.0) / (1.5 - 2.0 / 6.0);
        assert!((index - expected).abs() < 1e-12, "{index}");
        assert!(adjusted_rand(&[0, 0, 1, 1], &[0, 1, 0, 1]) < 0.0);
        assert_eq!(adjusted_rand(&[0; 5], &[1; 5]), 1.0);
    }
}
