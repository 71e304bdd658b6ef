//! The largest singular values of a sparse matrix, by subspace iteration.
//!
//! ```text
//!     Q  ← random, then orthonormal          [columns, r]
//!     P  ← orthonormal basis of A Q          [rows, r]       ┐ rounds
//!     Q  ← orthonormal basis of Aᵀ P         [columns, r]    ┘
//!     Y  = A Q,   YᵀY = E Λ Eᵀ,   σ = √Λ,   U σ = Y E
//! ```
//!
//! Each round multiplies what is outside the wanted directions by (σ_{r+1} / σ_k)²; a few directions
//! more than wanted are carried along so that this is small. All sums have one order.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Directions that are carried along beside the wanted ones.
pub(super) const SPARE: usize = 8;

/// What is left of a vector below this share of its length is rounding.
const NOTHING: f64 = 1e-10;

/// A sparse matrix.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sparse {
    pub rows: usize,
    pub columns: usize,
    /// Row, column and value, in rising order.
    pub entries: Vec<(u32, u32, f64)>,
}

impl Sparse {
    /// U √σ for the `width` largest singular values, `[rows, width]`, row-major; the largest number of
    /// each column is positive. Columns past the rank are 0.
    pub(super) fn left_scaled(&self, width: usize, rounds: usize, seed: u64) -> Vec<f64> {
        let wanted = width.min(self.rows).min(self.columns);
        let r = (wanted + SPARE).min(self.rows).min(self.columns);
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let uniform =
            |random: &mut ChaCha8Rng| (random.next_u64() >> 11) as f64 / (1u64 << 52) as f64 - 1.0;
        let mut q: Vec<f64> = (0..self.columns * r).map(|_| uniform(&mut random)).collect();
        orthonormalise(&mut q, r);
        for _ in 0..rounds {
            let mut p = self.times(&q, r);
            orthonormalise(&mut p, r);
            q = self.transposed_times(&p, r);
            orthonormalise(&mut q, r);
        }
        let y = self.times(&q, r);
        let (values, vectors) = eigen(gram(&y, r), r);
        let mut order: Vec<usize> = (0..r).collect();
        order.sort_by(|&a, &b| values[b].total_cmp(&values[a]).then(a.cmp(&b)));

        let largest = order.first().map_or(0.0, |&first| values[first].max(0.0).sqrt());
        let mut scaled = vec![0.0; self.rows * width];
        for (column, &direction) in order.iter().take(wanted).enumerate() {
            let sigma = values[direction].max(0.0).sqrt();
            if sigma <= NOTHING.sqrt() * largest {
                continue;
            }
            let along = |row: &[f64]| {
                row.iter().enumerate().map(|(k, y)| y * vectors[k * r + direction]).sum::<f64>()
            };
            let entries: Vec<f64> = y.chunks_exact(r).map(along).collect();
            let top = entries.iter().copied().reduce(|a, b| if b.abs() > a.abs() { b } else { a });
            let scale = top.unwrap_or(1.0).signum() / sigma.sqrt();
            for (row, entry) in entries.iter().enumerate() {
                scaled[row * width + column] = entry * scale;
            }
        }
        scaled
    }

    /// A x, `x` being `[columns, r]`.
    fn times(&self, x: &[f64], r: usize) -> Vec<f64> {
        let mut y = vec![0.0; self.rows * r];
        for &(row, column, value) in &self.entries {
            add(&mut y, row, x, column, value, r);
        }
        y
    }

    /// Aᵀ x, `x` being `[rows, r]`.
    fn transposed_times(&self, x: &[f64], r: usize) -> Vec<f64> {
        let mut y = vec![0.0; self.columns * r];
        for &(row, column, value) in &self.entries {
            add(&mut y, column, x, row, value, r);
        }
        y
    }
}

fn add(to: &mut [f64], place: u32, from: &[f64], row: u32, value: f64, r: usize) {
    let from = &from[row as usize * r..][..r];
    let to = &mut to[place as usize * r..][..r];
    to.iter_mut().zip(from).for_each(|(to, from)| *to += value * from);
}

/// Makes the columns of `[n, r]` orthonormal, one after the other (Gram and Schmidt, each twice).
/// Columns that depend on those before them become 0.
fn orthonormalise(x: &mut [f64], r: usize) {
    let n = x.len().checked_div(r).unwrap_or(0);
    for column in 0..r {
        let dot = |x: &[f64], a: usize, b: usize| {
            (0..n).map(|k| x[k * r + a] * x[k * r + b]).sum::<f64>()
        };
        let length = dot(x, column, column).sqrt();
        for _ in 0..2 {
            for before in 0..column {
                let share = dot(x, before, column);
                (0..n).for_each(|k| x[k * r + column] -= share * x[k * r + before]);
            }
        }
        let rest = dot(x, column, column).sqrt();
        let scale = if rest > NOTHING * length { 1.0 / rest } else { 0.0 };
        (0..n).for_each(|k| x[k * r + column] *= scale);
    }
}

/// YᵀY, `[r, r]`.
fn gram(y: &[f64], r: usize) -> Vec<f64> {
    let mut gram = vec![0.0; r * r];
    for row in y.chunks_exact(r.max(1)) {
        for a in 0..r {
            for b in 0..r {
                gram[a * r + b] += row[a] * row[b];
            }
        }
    }
    gram
}

/// Eigenvalues of a symmetric matrix and its eigenvectors, one a column (Jacobi's rotations).
fn eigen(mut a: Vec<f64>, r: usize) -> (Vec<f64>, Vec<f64>) {
    let mut vectors = vec![0.0; r * r];
    (0..r).for_each(|k| vectors[k * r + k] = 1.0);
    for _sweep in 0..50 {
        let off: f64 = (0..r)
            .flat_map(|p| (0..p).map(move |q| (p, q)))
            .map(|(p, q)| a[p * r + q].powi(2))
            .sum();
        let diagonal: f64 = (0..r).map(|k| a[k * r + k].powi(2)).sum();
        if off <= f64::EPSILON * f64::EPSILON * diagonal {
            break;
        }
        for p in 0..r {
            for q in p + 1..r {
                let apq = a[p * r + q];
                if apq == 0.0 {
                    continue;
                }
                // The angle whose rotation makes a[p, q] zero.
                let theta = (a[q * r + q] - a[p * r + p]) / (2.0 * apq);
                let t = theta.signum() / (theta.abs() + theta.hypot(1.0));
                let c = 1.0 / t.hypot(1.0);
                let s = t * c;
                for k in 0..r {
                    let (kp, kq) = (a[k * r + p], a[k * r + q]);
                    (a[k * r + p], a[k * r + q]) = (c * kp - s * kq, s * kp + c * kq);
                }
                for k in 0..r {
                    let (pk, qk) = (a[p * r + k], a[q * r + k]);
                    (a[p * r + k], a[q * r + k]) = (c * pk - s * qk, s * pk + c * qk);
                    let (kp, kq) = (vectors[k * r + p], vectors[k * r + q]);
                    (vectors[k * r + p], vectors[k * r + q]) = (c * kp - s * kq, s * kp + c * kq);
                }
            }
        }
    }
    ((0..r).map(|k| a[k * r + k]).collect(), vectors)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sparse(rows: usize, columns: usize, value: impl Fn(usize, usize) -> f64) -> Sparse {
        let places = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
        let entries = places.map(|(row, column)| (row as u32, column as u32, value(row, column)));
        Sparse { rows, columns, entries: entries.filter(|entry| entry.2 != 0.0).collect() }
    }

    /// X Xᵀ of `[n, width]`.
    fn outer(x: &[f64], n: usize, width: usize) -> Vec<f64> {
        let row = |k: usize| &x[k * width..][..width];
        let dot = |a: usize, b: usize| row(a).iter().zip(row(b)).map(|(x, y)| x * y).sum();
        (0..n).flat_map(|a| (0..n).map(move |b| (a, b))).map(|(a, b)| dot(a, b)).collect()
    }

    #[test]
    fn a_diagonal_matrix_is_its_own_answer() {
        let a = sparse(3, 3, |row, column| if row == column { [4.0, 9.0, 1.0][row] } else { 0.0 });
        let x = a.left_scaled(2, 20, 1);
        for (found, expected) in x.iter().zip([0.0, 2.0, 3.0, 0.0, 0.0, 0.0]) {
            assert!((found - expected).abs() < 1e-9, "{x:?}");
        }
    }

    /// With all directions kept, (U √Σ)(U √Σ)ᵀ is the root of A Aᵀ: its square is A Aᵀ.
    #[test]
    fn all_directions_together_are_the_matrix() {
        let (rows, columns) = (7, 5);
        let wave = |row: usize, column: usize| {
            (1.3 * row as f64 + 0.7 * column as f64).sin() + (row * column % 3) as f64
        };
        let a = sparse(rows, columns, wave);
        let root = outer(&a.left_scaled(5, 3, 1), rows, 5);
        let square = outer(&root, rows, rows);
        let dense: Vec<f64> =
            (0..rows).flat_map(|r| (0..columns).map(move |c| wave(r, c))).collect();
        for (found, expected) in square.iter().zip(outer(&dense, rows, columns)) {
            assert!((found - expected).abs() < 1e-9, "{found} {expected}");
        }
    }

    #[test]
    fn few_directions_are_the_largest_ones() {
        // Two blocks of equal rows, of weights 3 and 1, and noise far below.
        let value = |row: usize, column: usize| {
            let noise = 1e-3 * (17.0 * row as f64 + 5.0 * column as f64).sin();
            noise + if row % 2 == column % 2 { [3.0, 1.0][row % 2] } else { 0.0 }
        };
        let a = sparse(40, 30, value);
        let x = a.left_scaled(2, 12, 9);
        // σ = 3 √(20 · 15) and √(20 · 15); an entry of U is 1 / √20.
        let sigma = 300f64.sqrt();
        for row in 0..40 {
            let block = if row % 2 == 0 { (3.0 * sigma / 20.0).sqrt() } else { 0.0 };
            let other = if row % 2 == 1 { (sigma / 20.0).sqrt() } else { 0.0 };
            assert!((x[row * 2] - block).abs() < 1e-2, "{row}: {} {block}", x[row * 2]);
            assert!((x[row * 2 + 1] - other).abs() < 1e-2, "{row}: {} {other}", x[row * 2 + 1]);
        }
    }

    #[test]
    fn matrices_without_content_give_zeros() {
        assert_eq!(sparse(2, 2, |_, _| 0.0).left_scaled(3, 4, 1), [0.0; 6]);
        assert_eq!(sparse(0, 0, |_, _| 0.0).left_scaled(3, 4, 1).len(), 0);
        let one = sparse(1, 1, |_, _| -4.0).left_scaled(2, 4, 1);
        assert!((one[0] - 2.0).abs() < 1e-12 && one[1] == 0.0, "{one:?}");
        // Rank 1 in a wide frame: one direction, and nothing made of rounding.
        let x =
            sparse(4, 6, |row, column| (1 + row) as f64 * (1 + column) as f64).left_scaled(3, 4, 1);
        assert!(x.chunks(3).all(|row| row[0] > 0.0 && row[1] == 0.0 && row[2] == 0.0), "{x:?}");
    }
}
