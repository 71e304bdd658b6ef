//! Inputs that are the same on every machine, and ways to hand them over.

use layout::{Matrix, Steps};
use ndarray::{Array2, ArrayView2};

/// `sin(phase + 1.3 · row + 0.7 · column)`: smooth, fixed, of mixed sign, no two entries of a small
/// matrix alike. Two tensors of one test take two phases.
pub fn wave(shape: (usize, usize), phase: f64) -> Array2<f64> {
    Array2::from_shape_fn(shape, |(row, column)| {
        (phase + 1.3 * row as f64 + 0.7 * column as f64).sin()
    })
}

/// The same in single precision, in the memory that machines take.
pub fn wave_matrix(rows: usize, columns: usize, phase: f64) -> Matrix<f32> {
    to_matrix(to_f32(&wave((rows, columns), phase)).view())
}

/// What every output holds before the call: an entry that is forgotten cannot pass.
pub fn nan<S: ndarray::NdFloat>(shape: (usize, usize)) -> Array2<S> {
    Array2::from_elem(shape, S::nan())
}

/// Rounded to single precision.
pub fn to_f32(x: &Array2<f64>) -> Array2<f32> {
    x.mapv(|x| x as f32)
}

/// The same numbers in double precision: for a truth that starts from the rounded inputs.
pub fn to_f64(x: &Array2<f32>) -> Array2<f64> {
    x.mapv(f64::from)
}

/// The same numbers in the memory that machines take.
pub fn to_matrix<S: Copy + Default>(x: ArrayView2<'_, S>) -> Matrix<S> {
    let (rows, columns) = x.dim();
    Matrix::from_values(rows, columns, x.iter().copied())
}

/// Rows of a batch by falling length, of at most `longest` steps, about as skewed as sessions are.
pub fn falling_lengths(batch: usize, longest: usize) -> Steps {
    let length = |b| 1 + (longest - 1) * (batch - 1 - b) / batch.max(1);
    Steps::from_lengths(&(0..batch).map(length).collect::<Vec<usize>>())
}
