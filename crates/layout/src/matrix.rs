//! A matrix that keeps its memory when it changes its shape.

use crate::Aligned;
use ndarray::{ArrayView2, ArrayViewMut2};

/// A row-major matrix whose buffer begins a cache line and only ever grows.
///
/// Batches differ in size from step to step; a training step asks for the shape it needs and, once
/// the largest batch has been seen, no memory is taken any more.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Matrix<S> {
    values: Aligned<S>,
    rows: usize,
    columns: usize,
}

impl<S: Copy + Default> Matrix<S> {
    /// A matrix of zeros.
    pub fn zeros(rows: usize, columns: usize) -> Self {
        Self { values: Aligned::zeros(rows * columns), rows, columns }
    }

    /// A matrix of `values`, row after row.
    ///
    /// # Panics
    ///
    /// Where the number of values is not `rows · columns`.
    pub fn from_values(rows: usize, columns: usize, values: impl IntoIterator<Item = S>) -> Self {
        let values: Aligned<S> = values.into_iter().collect();
        assert_eq!(values.len(), rows * columns, "{rows} x {columns} matrix");
        Self { values, rows, columns }
    }

    /// Gives the matrix another shape. What it holds afterwards is unspecified: the caller fills it.
    pub fn resize(&mut self, rows: usize, columns: usize) {
        (self.rows, self.columns) = (rows, columns);
        self.values.resize(rows * columns);
    }

    /// Sets every entry.
    pub fn fill(&mut self, value: S) {
        self.values.fill(value);
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// `[rows, columns]`.
    pub fn shape(&self) -> [usize; 2] {
        [self.rows, self.columns]
    }

    /// One row.
    pub fn row(&self, row: usize) -> &[S] {
        &self.values[row * self.columns..][..self.columns]
    }

    /// One row, to write.
    pub fn row_mut(&mut self, row: usize) -> &mut [S] {
        &mut self.values[row * self.columns..][..self.columns]
    }

    /// All entries, row after row.
    pub fn as_slice(&self) -> &[S] {
        &self.values
    }

    /// All entries, row after row, to write.
    pub fn as_mut_slice(&mut self) -> &mut [S] {
        &mut self.values
    }

    /// The matrix as an `ndarray` view.
    pub fn view(&self) -> ArrayView2<'_, S> {
        ArrayView2::from_shape((self.rows, self.columns), &self.values).expect("row-major, dense")
    }

    /// The matrix as an `ndarray` view, to write.
    pub fn view_mut(&mut self) -> ArrayViewMut2<'_, S> {
        ArrayViewMut2::from_shape((self.rows, self.columns), &mut self.values)
            .expect("row-major, dense")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shrinking_and_growing_again_takes_no_memory() {
        let mut matrix = Matrix::<f32>::zeros(8, 4);
        let before = matrix.as_slice().as_ptr();
        matrix.resize(3, 5);
        assert_eq!((matrix.shape(), matrix.as_slice().len()), ([3, 5], 15));
        matrix.resize(8, 4);
        assert_eq!(matrix.as_slice().as_ptr(), before);
    }

    #[test]
    fn rows_and_views_see_the_same_entries() {
        let mut matrix = Matrix::from_values(2, 3, [0, 1, 2, 3, 4, 5]);
        assert_eq!(matrix.row(1), [3, 4, 5]);
        matrix.row_mut(0)[2] = 9;
        assert_eq!(matrix.view()[[0, 2]], 9);
    }
}
