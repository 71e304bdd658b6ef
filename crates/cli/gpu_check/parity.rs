//! The card's numbers against the reference, against themselves, and from kernel to kernel.

use anyhow::Result;
use cuda::{Direction, Gpu, Plan, Rung};
use layout::{Matrix, Steps};
use serde::Serialize;

use super::layer::{Inputs, OnCard, Tensors};

/// Sizes at which everything is compared with the reference: T, B, I, H.
const SHAPES: [[usize; 4]; 10] = [
    [1, 1, 1, 1],
    [3, 2, 31, 2],
    [5, 3, 2, 33],
    [7, 31, 33, 31],
    [4, 65, 3, 127],
    [9, 7, 129, 8],
    [2, 13, 16, 129],
    [12, 20, 40, 256],
    [6, 130, 20, 200],
    [40, 9, 8, 64],
];
/// What a machine may be off beyond twice the error of the plain reference in f32, in ulp of the tensor's
/// largest entry: as the tests of the processor have it, and for the same reason.
const ULPS: f64 = 16.0;
/// Largest ‖found − expected‖ / ‖expected‖ between two ways of computing the same in f32, at sizes at
/// which the reference would take too long.
const APART: f64 = 1e-4;

/// One comparison.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Comparison {
    pub(super) kernels: &'static str,
    pub(super) shape: String,
    /// The tensor that is closest to what is allowed, or beyond it.
    pub(super) tensor: &'static str,
    /// Its error over its allowance.
    pub(super) share: f64,
    pub(super) passed: bool,
}

/// All rungs at odd sizes against f64.
pub(super) fn against_reference(gpu: &Gpu, seed: u64) -> Result<Vec<Comparison>> {
    let mut comparisons = Vec::new();
    for [steps, batch, input, hidden] in SHAPES {
        let shape = format!("T{steps},B{batch},I{input},H{hidden}");
        // Rows of many lengths: the last has one step.
        let length = |b: usize| 1 + (steps - 1) * (batch - 1 - b) / batch;
        let lengths: Vec<_> = (0..batch).map(length).collect();
        let inputs = Inputs::new(Steps::from_lengths(&lengths), input, hidden, seed);
        let (truth, plain) = (inputs.in_reference::<f64>(), inputs.in_reference::<f32>());
        for (kernels, rung) in [("v1", Rung::V1), ("v2", Rung::V2), ("v3", Rung::V3)] {
            if rung == Rung::V3 && !fits(gpu, &inputs) {
                continue;
            }
            let found = run(gpu, rung, &inputs)?;
            let shares = found.iter().zip(plain.iter().zip(&truth)).map(
                |((name, found), ((_, plain), (_, truth)))| (*name, share(found, plain, truth)),
            );
            comparisons.push(worst(kernels, shape.clone(), shares));
        }
    }
    Ok(comparisons)
}

/// Whether the persistent kernels can take this shape on this card.
pub(super) fn fits(gpu: &Gpu, inputs: &Inputs) -> bool {
    let limits = cuda::Card::limits(gpu);
    [Direction::Forward, Direction::Backward]
        .iter()
        .all(|&direction| Plan::new(limits, direction, &inputs.steps, inputs.dims.hidden).is_some())
}

/// The bits of two runs, and v3 beside v2.
pub(super) fn against_each_other(
    gpu: &Gpu,
    shape: &str,
    inputs: &Inputs,
) -> Result<Vec<Comparison>> {
    let v2 = run(gpu, Rung::V2, inputs)?;
    let mut comparisons = vec![same(gpu, "v2 twice", Rung::V2, shape, inputs, &v2)?];
    if fits(gpu, inputs) {
        let v3 = run(gpu, Rung::V3, inputs)?;
        comparisons.push(same(gpu, "v3 twice", Rung::V3, shape, inputs, &v3)?);
        let shares = v3.iter().zip(&v2).map(|((name, v3), (_, v2))| (*name, apart(v3, v2) / APART));
        comparisons.push(worst("v3 beside v2", shape.to_owned(), shares));
    }
    Ok(comparisons)
}

fn run(gpu: &Gpu, rung: Rung, inputs: &Inputs) -> Result<Tensors<f32>> {
    let mut layer = OnCard::new(gpu, rung, inputs)?;
    layer.forward()?;
    layer.backward()?;
    Ok(layer.results()?)
}

fn same(
    gpu: &Gpu,
    kernels: &'static str,
    rung: Rung,
    shape: &str,
    inputs: &Inputs,
    first: &Tensors<f32>,
) -> Result<Comparison> {
    let again = run(gpu, rung, inputs)?;
    let shares = again.iter().zip(first).map(|((name, again), (_, first))| {
        let bits = |matrix: &Matrix<f32>| -> Vec<u32> {
            matrix.as_slice().iter().map(|value| value.to_bits()).collect()
        };
        (*name, if bits(again) == bits(first) { 0.0 } else { f64::INFINITY })
    });
    Ok(worst(kernels, shape.to_owned(), shares))
}

fn worst(
    kernels: &'static str,
    shape: String,
    shares: impl Iterator<Item = (&'static str, f64)>,
) -> Comparison {
    // A NaN is worse than anything, so that it cannot hide behind a number.
    let rank = |share: f64| if share.is_nan() { f64::INFINITY } else { share };
    let (tensor, share) = shares
        .max_by(|(_, x), (_, y)| rank(*x).total_cmp(&rank(*y)))
        .unwrap_or(("nothing", f64::NAN));
    Comparison { kernels, shape, tensor, share, passed: share <= 1.0 }
}

/// The worst error of a tensor over what is allowed: twice the worst of the plain reference, and a few
/// ulp of the largest entry.
fn share(found: &Matrix<f32>, plain: &Matrix<f32>, truth: &Matrix<f64>) -> f64 {
    let error = |found: &Matrix<f32>| {
        let errors = found.as_slice().iter().zip(truth.as_slice());
        let errors = errors.map(|(&found, &truth)| (f64::from(found) - truth).abs());
        // `max` would lose a NaN.
        errors.fold(
            0.0,
            |worst: f64, error| if error > worst || error.is_nan() { error } else { worst },
        )
    };
    let largest = truth.as_slice().iter().fold(0.0, |largest: f64, truth| largest.max(truth.abs()));
    let allowance = 2.0 * error(plain) + ULPS * f64::from(f32::EPSILON) * largest;
    match error(found) {
        0.0 => 0.0,
        error => error / allowance,
    }
}

/// ‖found − expected‖ / ‖expected‖
fn apart(found: &Matrix<f32>, expected: &Matrix<f32>) -> f64 {
    let pairs = || found.as_slice().iter().zip(expected.as_slice());
    let square = |x: f64| x * x;
    let difference: f64 = pairs().map(|(&x, &y)| square(f64::from(x) - f64::from(y))).sum();
    let norm: f64 = pairs().map(|(_, &y)| square(f64::from(y))).sum();
    if difference == 0.0 { 0.0 } else { (difference / norm).sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix<S: Copy + Default, const N: usize>(values: [S; N]) -> Matrix<S> {
        Matrix::from_values(1, N, values)
    }

    #[test]
    fn the_allowance_is_twice_the_plain_error_and_a_few_ulp() {
        let (truth, plain) = (matrix([1.0, -2.0]), matrix([1.001f32, -2.0]));
        let share_of = |error: f32| share(&matrix([1.0 + error, -2.0]), &plain, &truth);
        assert!(share_of(1.9e-3) < 1.0 && share_of(1.9e-3) > 0.9);
        assert!(share_of(2.1e-3) > 1.0);
        assert_eq!(share_of(0.0), 0.0);
    }

    #[test]
    fn a_number_that_is_none_never_passes() {
        let truth = matrix([1.0, 2.0]);
        let plain = matrix([1.0f32, 2.0]);
        for found in [matrix([f32::NAN, 2.0]), matrix([1.0, f32::NAN])] {
            let shares = [("x", share(&found, &plain, &truth)), ("y", 0.5)].into_iter();
            let comparison = worst("v1", String::new(), shares);
            assert!(!comparison.passed && comparison.tensor == "x", "{comparison:?}");
            assert!(apart(&found, &plain).is_nan());
        }
    }
}
