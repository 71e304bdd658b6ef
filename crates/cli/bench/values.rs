//! Numbers to compute with: random, of the size that weights and states have, the same for a seed.

use layout::random::{Stream, uniform};
use layout::{Matrix, RecurrentDims, RecurrentParams};

/// What numbers are for; each purpose has its own.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    Input,
    Gradient,
    Items,
    /// What drops inside a recurrence.
    Mask,
    CellShare,
    HiddenShare,
    /// Tensor number k.
    Weights(u32),
}

/// Where a bench's streams begin among all random streams.
const FIRST: u32 = 0x4245_0000;

pub(super) fn stream(seed: u64, purpose: Purpose, step: u32) -> Stream {
    let name = match purpose {
        Purpose::Input => 0,
        Purpose::Gradient => 1,
        Purpose::Items => 2,
        Purpose::Mask => 0x8000,
        Purpose::CellShare => 0x8001,
        Purpose::HiddenShare => 0x8002,
        Purpose::Weights(k) => 3 + k,
    };
    Stream::new(seed, FIRST + name, step)
}

/// A matrix of numbers that are uniform in ±`bound`.
pub(crate) fn values(
    seed: u64,
    purpose: Purpose,
    rows: usize,
    columns: usize,
    bound: f32,
) -> Matrix<f32> {
    let stream = stream(seed, purpose, 0);
    let mut values = vec![0.0; rows * columns];
    for (k, four) in values.chunks_mut(4).enumerate() {
        for (value, word) in four.iter_mut().zip(stream.block(k as u64)) {
            *value = bound * (2.0 * uniform(word) - 1.0);
        }
    }
    Matrix::from_values(rows, columns, values)
}

/// The parameters of recurrent layer number `layer`, uniform in ±1/√H.
pub(crate) fn layer(seed: u64, layer: u32, dims: RecurrentDims) -> RecurrentParams<Matrix<f32>> {
    /// Tensors that a layer has at most.
    const TENSORS: u32 = 16;
    let bound = 1.0 / (dims.hidden as f32).sqrt();
    let mut tensor = TENSORS * layer;
    dims.shapes().map(|[rows, columns]| {
        tensor += 1;
        values(seed, Purpose::Weights(tensor), rows, columns, bound)
    })
}

/// `count` items of a vocabulary of `items`, the most popular one 0: `⌊V · u³⌋` for u uniform in
/// [0, 1), so that half of them come from the most popular eighth of all items. `batch` numbers
/// independent draws.
pub(crate) fn popular_items(seed: u64, batch: u32, items: usize, count: usize) -> Vec<u32> {
    let stream = stream(seed, Purpose::Items, batch);
    let item = |k| {
        let u = f64::from(stream.uniform(k));
        (items as f64 * u * u * u) as u32
    };
    (0..count as u64).map(item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_the_seed_and_within_bounds() {
        let matrix = |seed, purpose| values(seed, purpose, 7, 9, 0.5);
        assert_eq!(matrix(1, Purpose::Input), matrix(1, Purpose::Input));
        assert_ne!(matrix(1, Purpose::Input), matrix(2, Purpose::Input));
        assert_ne!(matrix(1, Purpose::Input), matrix(1, Purpose::Weights(0)));
        assert!(matrix(1, Purpose::Input).as_slice().iter().all(|x| x.abs() <= 0.5));
    }

    #[test]
    fn half_of_the_items_are_popular() {
        let items = popular_items(1, 0, 800, 10_000);
        assert!(items.iter().all(|&item| item < 800));
        let popular = items.iter().filter(|&&item| item < 100).count();
        assert!((4_800..5_200).contains(&popular), "{popular}");
    }
}
