//! What the linear models share: columns brought to one scale, products of them, and the fitted line.
//!
//! A model is fitted to columns of mean 0 and variance 1, so that a penalty means the same for each,
//! whatever its unit. A column that is constant can explain nothing beside the intercept: it gets
//! the coefficient 0 and is otherwise left out; so does one whose squares are no numbers any more. A
//! value that is not finite is an error. Memory and time go with K²: columns are some hundred.

use ndarray::{ArrayView1, ArrayView2};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{Error, FINITE, check_cells, check_finite, check_lengths, check_setting};

/// A fitted line over columns, each as far as it lies from its mean in training.
///
/// ```text
///     η(x) = intercept + Σ_k coefficient_k · (x_k − mean_k)
/// ```
///
/// Coefficients are in the units of the columns. With the means beside them, a column of large
/// numbers with a small spread, such as a time, loses no digits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// η where every column is at its mean.
    pub intercept: f64,
    /// One a column.
    pub terms: Vec<Term>,
}

/// What a [`Line`] knows of a column.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Term {
    /// How much η rises for one unit more; 0 for a column that was constant in training.
    pub coefficient: f64,
    /// The column's mean in training.
    pub mean: f64,
}

impl Line {
    /// η of one row.
    ///
    /// # Errors
    ///
    /// [`Error::Lengths`] where the row has not one value a column, [`Error::Value`] where one of
    /// them is not finite.
    pub fn at(&self, row: &[f64]) -> Result<f64, Error> {
        check_lengths("row", row.len(), "terms", self.terms.len())?;
        check_finite("row", row)?;
        Ok(self.sum(ArrayView1::from(row)))
    }

    /// η of each row of `x`, `[N, K]`.
    ///
    /// # Errors
    ///
    /// Those of [`Line::at`].
    pub fn all(&self, x: ArrayView2<'_, f64>) -> Result<Vec<f64>, Error> {
        check_lengths("columns of x", x.ncols(), "terms", self.terms.len())?;
        check_cells("x", x, FINITE, f64::is_finite)?;
        Ok(x.rows().into_iter().map(|row| self.sum(row)).collect())
    }

    fn sum(&self, row: ArrayView1<'_, f64>) -> f64 {
        let terms = self.terms.iter().zip(row);
        self.intercept + terms.map(|(term, x)| term.coefficient * (x - term.mean)).sum::<f64>()
    }
}

/// The columns of a design `x`, `[N, K]`, that vary, with mean and scale of each.
pub(crate) struct Columns<'a> {
    x: ArrayView2<'a, f64>,
    means: Vec<f64>,
    /// Column, 1 / standard deviation.
    kept: Vec<(usize, f64)>,
}

impl<'a> Columns<'a> {
    /// Checks and measures. `cases` is how long the targets are, `model` what is to be fitted.
    pub(crate) fn new(
        x: ArrayView2<'a, f64>,
        cases: usize,
        model: &'static str,
    ) -> Result<Self, Error> {
        check_lengths("rows of x", x.nrows(), "targets", cases)?;
        check_cells("x", x, FINITE, f64::is_finite)?;
        if cases == 0 {
            return Err(Error::TooFew { what: "cases", found: 0, model, needed: 1 });
        }
        let (mut means, mut kept) = (Vec::new(), Vec::new());
        for (number, column) in x.columns().into_iter().enumerate() {
            let n = cases as f64;
            let mean = column.iter().map(|value| value / n).sum::<f64>();
            let variance = column.iter().map(|value| (value - mean).powi(2) / n).sum::<f64>();
            let varies = column.iter().any(|value| *value != column[0]);
            let scale = 1.0 / variance.sqrt();
            // Beyond the range of squares a column cannot be brought to scale.
            if varies && scale.is_finite() && scale > 0.0 {
                kept.push((number, scale));
            }
            means.push(mean);
        }
        Ok(Self { x, means, kept })
    }

    pub(crate) fn cases(&self) -> usize {
        self.x.nrows()
    }

    /// How many columns vary.
    pub(crate) fn kept(&self) -> usize {
        self.kept.len()
    }

    /// A row as the fit sees it: 1 for the intercept, and the columns that vary, to scale.
    pub(crate) fn row(&self, case: usize, row: &mut [f64]) {
        row[0] = 1.0;
        for (value, &(column, scale)) in row[1..].iter_mut().zip(&self.kept) {
            *value = (self.x[[case, column]] - self.means[column]) * scale;
        }
    }

    /// Adds something up over all cases: `add(sum, case, row)` for each, from a sum of `size` zeros.
    ///
    /// The cases are cut into stretches that depend on their number alone, and their sums added in
    /// order: the number of threads changes no bit.
    pub(crate) fn sum(
        &self,
        size: usize,
        add: impl Fn(&mut [f64], usize, &[f64]) + Sync,
    ) -> Vec<f64> {
        let stretch = self.cases().div_ceil(64).max(1024);
        let starts: Vec<usize> = (0..self.cases()).step_by(stretch).collect();
        let parts: Vec<Vec<f64>> = starts
            .into_par_iter()
            .map(|start| {
                let (mut sum, mut row) = (vec![0.0; size], vec![0.0; self.kept() + 1]);
                for case in start..self.cases().min(start + stretch) {
                    self.row(case, &mut row);
                    add(&mut sum, case, &row);
                }
                sum
            })
            .collect();
        let mut total = vec![0.0; size];
        for part in parts {
            total.iter_mut().zip(part).for_each(|(total, part)| *total += part);
        }
        total
    }

    /// The line in the columns' own units; `fitted` is the intercept and a coefficient a kept column.
    pub(crate) fn line(&self, fitted: &[f64]) -> Line {
        let mut terms: Vec<Term> =
            self.means.iter().map(|&mean| Term { coefficient: 0.0, mean }).collect();
        for (&(column, scale), &coefficient) in self.kept.iter().zip(&fitted[1..]) {
            terms[column].coefficient = coefficient * scale;
        }
        Line { intercept: fitted[0], terms }
    }
}

pub(crate) fn check_penalty(penalty: f64) -> Result<(), Error> {
    check_setting("penalty", penalty, "finite numbers from 0", |value| {
        value.is_finite() && value >= 0.0
    })
}

/// Solves A x = b, where A `[n, n]` is symmetric and positive definite, of which the lower triangle
/// is read; `b` becomes x, and `a` the factor.
///
/// ```text
///     A = L Lᵀ,   L y = b,   Lᵀ x = y
/// ```
///
/// # Errors
///
/// [`Error::Singular`] where a pivot has lost all but a trace of its diagonal.
pub(crate) fn solve(a: &mut [f64], b: &mut [f64]) -> Result<(), Error> {
    let n = b.len();
    debug_assert_eq!(a.len(), n * n, "a is [n, n]");
    for column in 0..n {
        let diagonal = a[column * n + column];
        let used: f64 = a[column * n..column * n + column].iter().map(|l| l * l).sum();
        let pivot = diagonal - used;
        // What is below has more rounding in it than number.
        if pivot.is_nan() || pivot <= diagonal * 1e-12 {
            return Err(Error::Singular);
        }
        let root = pivot.sqrt();
        a[column * n + column] = root;
        for row in column + 1..n {
            let (above, below) = a.split_at_mut(row * n);
            let left = &above[column * n..column * n + column];
            let dot: f64 = below[..column].iter().zip(left).map(|(x, y)| x * y).sum();
            below[column] = (below[column] - dot) / root;
        }
    }
    for row in 0..n {
        let dot: f64 = (0..row).map(|k| a[row * n + k] * b[k]).sum();
        b[row] = (b[row] - dot) / a[row * n + row];
    }
    for row in (0..n).rev() {
        let dot: f64 = (row + 1..n).map(|k| a[k * n + row] * b[k]).sum();
        b[row] = (b[row] - dot) / a[row * n + row];
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use ndarray::{Array2, array};

    /// 30 cases of three columns: of other units each, the last one constant.
    pub(crate) fn design() -> Array2<f64> {
        Array2::from_shape_fn((30, 3), |(row, column)| {
            let i = row as f64;
            [100.0 + 7.0 * (1.3 * i).sin(), 0.2 * (0.7 * i * i).cos(), 4.0][column]
        })
    }

    /// A line over [`design`], and waves beside it; some are below 0.
    pub(crate) fn targets() -> Vec<f64> {
        let rows = design();
        let noise = |i: usize| (2.1 * i as f64).sin();
        (0..30)
            .map(|i| 1.0 + 0.1 * (rows[[i, 0]] - 100.0) + 3.0 * rows[[i, 1]] + noise(i))
            .collect()
    }

    /// What lies above 1 has the outcome.
    pub(crate) fn outcomes() -> Vec<bool> {
        targets().iter().map(|&y| y > 1.0).collect()
    }

    pub(crate) fn close(found: &[f64], expected: &[f64], tolerance: f64) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (found - expected).abs() <= tolerance * expected.abs().max(1.0),
                "{found} {expected}"
            );
        }
    }

    #[test]
    fn a_small_system_is_solved() {
        // L = [2; 1 3; −1 2 1], x = [1, −2, 3].
        let mut a = [4.0, 0.0, 0.0, 2.0, 10.0, 0.0, -2.0, 5.0, 6.0];
        let mut b = [4.0 - 4.0 - 6.0, 2.0 - 20.0 + 15.0, -2.0 - 10.0 + 18.0];
        solve(&mut a, &mut b).unwrap();
        assert_eq!(b, [1.0, -2.0, 3.0]);
        let mut singular = [1.0, 0.0, 2.0, 4.0];
        assert_eq!(solve(&mut singular, &mut [1.0, 2.0]), Err(Error::Singular));
        assert_eq!(solve(&mut [f64::NAN], &mut [1.0]), Err(Error::Singular));
    }

    #[test]
    fn constant_columns_are_left_out() {
        // The mean of six times 0.1 is not 0.1 to the last bit.
        let x = array![
            [0.1, 1.0, 5.0],
            [0.1, 3.0, 5.0],
            [0.1, 2.0, 5.0],
            [0.1, 1.0, 5.0],
            [0.1, 3.0, 5.0],
            [0.1, 2.0, 5.0],
        ];
        let columns = Columns::new(x.view(), 6, "a line").unwrap();
        assert_eq!(columns.kept(), 1);
        let line = columns.line(&[7.0, 2.0]);
        let coefficients: Vec<f64> = line.terms.iter().map(|term| term.coefficient).collect();
        assert_eq!(coefficients, [0.0, 2.0 / (2f64 / 3.0).sqrt(), 0.0]);
        assert_eq!(line.terms[1].mean, 2.0);
        assert_eq!(line.at(&[100.0, 2.0, -3.0]), Ok(7.0));
        assert_eq!(line.all(x.view()).unwrap()[2], 7.0);
    }

    #[test]
    fn sums_have_one_order() {
        let x = Array2::from_shape_fn((5000, 2), |(row, column)| {
            (row as f64 * 0.7 + column as f64).sin()
        });
        let columns = Columns::new(x.view(), 5000, "a line").unwrap();
        let sum = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let add = |sum: &mut [f64], _: usize, row: &[f64]| {
                sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += value.exp());
            };
            pool.install(|| columns.sum(3, add))
        };
        assert_eq!(sum(1), sum(3));
        close(&sum(1)[..1], &[5000.0 * 1f64.exp()], 1e-12);
    }

    #[test]
    fn wrong_numbers_are_named() {
        let x = array![[1.0, 2.0], [f64::NAN, 3.0]];
        let found = Columns::new(x.view(), 2, "a line").err();
        assert!(matches!(found, Some(Error::Cell { row: 1, column: 0, .. })));
        assert!(matches!(
            Columns::new(x.view(), 3, "a line").err(),
            Some(Error::Lengths { found: 2, expected: 3, .. })
        ));
        let empty = Array2::zeros((0, 2));
        assert!(matches!(
            Columns::new(empty.view(), 0, "a line").err(),
            Some(Error::TooFew { found: 0, .. })
        ));
        let line = Line { intercept: 0.0, terms: vec![Term { coefficient: 1.0, mean: 0.0 }] };
        assert!(matches!(line.at(&[]), Err(Error::Lengths { .. })));
        assert!(matches!(line.at(&[f64::INFINITY]), Err(Error::Value { .. })));
        assert!(matches!(line.all(x.view()), Err(Error::Lengths { .. })));
        assert!(matches!(check_penalty(-1.0), Err(Error::Setting { .. })));
        assert!(matches!(check_penalty(f64::NAN), Err(Error::Setting { .. })));
    }
}
