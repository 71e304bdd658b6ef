//! Symmetric matrices: eigenvalues by Jacobi's rotations, and the root of Cholesky.

/// Eigenvalues of a symmetric matrix, the largest first, and for each its vector of length one, whose entry of the
/// largest size is positive.
///
/// ```text
///     A v = λ v
///     rotation in the plane (p, q) by θ with tan 2θ = 2 a_pq / (a_qq − a_pp):  a_pq becomes 0
/// ```
///
/// Rotations go through all pairs in turn until what is off the diagonal has vanished; some ten rounds, 4 n³
/// operations each.
///
/// # Source
///
/// G. Golub, C. Van Loan, "Matrix computations", 4th edition, section 8.5.
pub(crate) fn symmetric(mut a: Vec<f64>, n: usize) -> (Vec<f64>, Vec<Vec<f64>>) {
    assert_eq!(a.len(), n * n, "a square matrix");
    let mut v = vec![0.0; n * n];
    (0..n).for_each(|i| v[i * n + i] = 1.0);
    let size: f64 = a.iter().map(|x| x * x).sum();
    for _ in 0..60 {
        let pairs = (0..n).flat_map(|p| (p + 1..n).map(move |q| (p, q)));
        let off: f64 = pairs.map(|(p, q)| a[p * n + q] * a[p * n + q]).sum();
        if off <= 1e-26 * size {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                let apq = a[p * n + q];
                if apq == 0.0 {
                    continue;
                }
                let theta = (a[q * n + q] - a[p * n + p]) / (2.0 * apq);
                let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
                let t = if theta == 0.0 { 1.0 } else { t };
                let c = 1.0 / (t * t + 1.0).sqrt();
                let s = t * c;
                for k in 0..n {
                    let (x, y) = (a[p * n + k], a[q * n + k]);
                    a[p * n + k] = c * x - s * y;
                    a[q * n + k] = s * x + c * y;
                }
                for row in a.chunks_exact_mut(n) {
                    let (x, y) = (row[p], row[q]);
                    row[p] = c * x - s * y;
                    row[q] = s * x + c * y;
                }
                for k in 0..n {
                    let (x, y) = (v[p * n + k], v[q * n + k]);
                    v[p * n + k] = c * x - s * y;
                    v[q * n + k] = s * x + c * y;
                }
            }
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| a[j * n + j].total_cmp(&a[i * n + i]));
    let values = order.iter().map(|&i| a[i * n + i]).collect();
    let vectors = order.iter().map(|&i| {
        let vector = &v[i * n..][..n];
        let largest = vector.iter().fold(0.0f64, |m, &x| if x.abs() > m.abs() { x } else { m });
        vector.iter().map(|x| if largest < 0.0 { -x } else { *x }).collect()
    });
    (values, vectors.collect())
}

/// The lower triangle `L` with `L Lᵀ = A`; none where A is not positive.
///
/// ```text
///     l_ij = (a_ij − Σ_{k<j} l_ik l_jk) / l_jj        l_jj = √(a_jj − Σ_{k<j} l_jk²)
/// ```
pub(crate) fn cholesky(a: &[f64], n: usize) -> Option<Vec<f64>> {
    let mut l = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..=i {
            let dot: f64 = (0..j).map(|k| l[i * n + k] * l[j * n + k]).sum();
            let rest = a[i * n + j] - dot;
            if i == j {
                if rest.is_nan() || rest <= 0.0 {
                    return None;
                }
                l[i * n + i] = rest.sqrt();
            } else {
                l[i * n + j] = rest / l[j * n + j];
            }
        }
    }
    Some(l)
}

/// `x` with `L x = b`, in the place of `b`.
pub(crate) fn solve_lower(l: &[f64], n: usize, b: &mut [f64]) {
    for i in 0..n {
        let dot: f64 = (0..i).map(|k| l[i * n + k] * b[k]).sum();
        b[i] = (b[i] - dot) / l[i * n + i];
    }
}

/// `x` with `Lᵀ x = b`, in the place of `b`.
pub(crate) fn solve_upper(l: &[f64], n: usize, b: &mut [f64]) {
    for i in (0..n).rev() {
        let dot: f64 = (i + 1..n).map(|k| l[k * n + i] * b[k]).sum();
        b[i] = (b[i] - dot) / l[i * n + i];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eigenvectors_are_what_a_matrix_only_stretches() {
        let a = vec![4.0, 1.0, -2.0, 1.0, 3.0, 0.5, -2.0, 0.5, 5.0];
        let (values, vectors) = symmetric(a.clone(), 3);
        assert!(values.is_sorted_by(|a, b| a >= b));
        assert!((values.iter().sum::<f64>() - 12.0).abs() < 1e-12);
        for (value, vector) in values.iter().zip(&vectors) {
            for i in 0..3 {
                let product: f64 = (0..3).map(|k| a[i * 3 + k] * vector[k]).sum();
                assert!((product - value * vector[i]).abs() < 1e-12, "{vector:?}");
            }
            assert!((vector.iter().map(|x| x * x).sum::<f64>() - 1.0).abs() < 1e-12);
        }
        assert_eq!(symmetric(vec![0.0; 4], 2).0, [0.0, 0.0]);
    }

    #[test]
    fn a_root_gives_the_matrix_back_and_solves() {
        let a = [4.0, 2.0, 2.0, 5.0];
        let l = cholesky(&a, 2).unwrap();
        assert_eq!(l, [2.0, 0.0, 1.0, 2.0]);
        let mut x = [2.0, 9.0];
        solve_lower(&l, 2, &mut x);
        assert_eq!(x, [1.0, 4.0]);
        solve_upper(&l, 2, &mut x);
        assert_eq!(x, [-0.5, 2.0]);
        assert!(cholesky(&[1.0, 2.0, 2.0, 1.0], 2).is_none());
    }
}
