//! The values that training starts with.

use layout::random::Stream;

/// How the values of a tensor are made before the first step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Start {
    /// All zero.
    Zero,
    /// All one: gains.
    One,
    /// Normal, of this deviation.
    Normal(f64),
    /// Uniform within ± this bound: what PyTorch gives its recurrent layers, with 1/√H.
    Uniform(f64),
    /// So many blocks of rows, each with orthonormal columns, or rows where it has fewer of them: the
    /// recurrence then neither stretches nor shrinks what it carries, in any direction.
    ///
    /// A. Saxe, J. McClelland, S. Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep
    /// linear neural networks", ICLR 2014.
    Orthogonal(usize),
    /// Uniform, but for one block of so many entries that all have the same value: a forget gate that
    /// starts open.
    ///
    /// R. Jozefowicz, W. Zaremba, I. Sutskever, "An empirical exploration of recurrent network
    /// architectures", ICML 2015.
    Bias { bound: f64, first: usize, len: usize, value: f32 },
}

impl Start {
    /// The values of a tensor `[rows, columns]`: a function of the stream alone.
    pub(crate) fn values(self, [rows, columns]: [usize; 2], stream: Stream) -> Vec<f32> {
        let count = rows * columns;
        let uniform = |bound: f64| {
            let value = |e| (bound * (2.0 * f64::from(stream.uniform(e)) - 1.0)) as f32;
            (0..count as u64).map(value).collect::<Vec<_>>()
        };
        match self {
            Self::Zero => vec![0.0; count],
            Self::One => vec![1.0; count],
            Self::Normal(deviation) => {
                (0..count as u64).map(|e| (deviation * stream.normal(e)) as f32).collect()
            }
            Self::Uniform(bound) => uniform(bound),
            Self::Bias { bound, first, len, value } => {
                let mut values = uniform(bound);
                values[first..first + len].fill(value);
                values
            }
            Self::Orthogonal(blocks) => {
                let size = rows / blocks * columns;
                let block = |k: usize| {
                    let normal = |e: usize| stream.normal((k * size + e) as u64);
                    orthogonal([rows / blocks, columns], normal)
                };
                (0..blocks).flat_map(block).collect()
            }
        }
    }
}

/// A matrix whose shorter side is orthonormal, from one of independent normal numbers: each row (or
/// column) in turn loses what it shares with those before it. Twice, since once leaves a rounding
/// error as large as the row was nearly a sum of the others.
fn orthogonal([rows, columns]: [usize; 2], normal: impl Fn(usize) -> f64) -> Vec<f32> {
    let wide = rows <= columns;
    let (count, len) = if wide { (rows, columns) } else { (columns, rows) };
    let mut vectors: Vec<Vec<f64>> = Vec::with_capacity(count);
    for k in 0..count {
        let mut vector: Vec<f64> = (0..len).map(|e| normal(k * len + e)).collect();
        for _ in 0..2 {
            for other in &vectors {
                let share: f64 = vector.iter().zip(other).map(|(x, y)| x * y).sum();
                vector.iter_mut().zip(other).for_each(|(x, y)| *x -= share * y);
            }
        }
        let length = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
        vector.iter_mut().for_each(|x| *x /= length);
        vectors.push(vector);
    }
    let entry = |row: usize, column: usize| match wide {
        true => vectors[row][column],
        false => vectors[column][row],
    };
    (0..rows)
        .flat_map(|row| (0..columns).map(move |column| (row, column)))
        .map(|(row, column)| entry(row, column) as f32)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_block_is_orthonormal_along_its_shorter_side() {
        for (blocks, rows, columns) in [(4, 7, 7), (3, 5, 9), (4, 9, 5), (1, 1, 3)] {
            let shape = [blocks * rows, columns];
            let values = Start::Orthogonal(blocks).values(shape, Stream::new(3, 1, 0));
            for block in values.chunks(rows * columns) {
                let vector = |k: usize| -> Vec<f64> {
                    let at =
                        |e: usize| if rows <= columns { k * columns + e } else { e * columns + k };
                    (0..rows.max(columns)).map(|e| f64::from(block[at(e)])).collect()
                };
                for (i, j) in (0..rows.min(columns)).flat_map(|i| (0..=i).map(move |j| (i, j))) {
                    let product: f64 = vector(i).iter().zip(vector(j)).map(|(x, y)| x * y).sum();
                    let expected = if i == j { 1.0 } else { 0.0 };
                    assert!((product - expected).abs() < 1e-6, "{i} {j}: {product}");
                }
            }
            // Blocks are not copies of each other.
            assert!(blocks == 1 || values[..columns] != values[rows * columns..][..columns]);
        }
    }

    #[test]
    fn a_forget_gate_may_start_open() {
        let start = Start::Bias { bound: 0.5, first: 3, len: 3, value: 1.0 };
        let values = start.values([1, 12], Stream::new(1, 1, 0));
        assert_eq!(values[3..6], [1.0; 3]);
        let plain = Start::Uniform(0.5).values([1, 12], Stream::new(1, 1, 0));
        assert_eq!((&values[..3], &values[6..]), (&plain[..3], &plain[6..]));
    }
}
