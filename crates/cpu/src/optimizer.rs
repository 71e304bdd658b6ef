//! The update of the parameters. Equations: `layout::AdamStep` and `reference`.

use crate::Cpu;
use crate::simd::{Kernel, Lanes, ROWS_AHEAD, prefetch};
use layout::{AdamStep, Matrix};
use rayon::prelude::*;

/// Rows of a table in one task.
const ROWS_PER_TASK: usize = 256;
/// Entries in one task, and in one partial sum of squares.
const ENTRIES: usize = 1 << 14;

impl Cpu {
    /// One step of Adam for every entry of a parameter.
    pub fn adam(
        &self,
        step: &AdamStep,
        gradient: &Matrix<f32>,
        parameter: &mut Matrix<f32>,
        m: &mut Matrix<f32>,
        v: &mut Matrix<f32>,
    ) {
        for tensor in [&*parameter, m, v] {
            assert_eq!(tensor.shape(), gradient.shape(), "all four have one shape");
        }
        parameter
            .as_mut_slice()
            .par_chunks_mut(ENTRIES)
            .zip(gradient.as_slice().par_chunks(ENTRIES))
            .zip(m.as_mut_slice().par_chunks_mut(ENTRIES))
            .zip(v.as_mut_slice().par_chunks_mut(ENTRIES))
            .with_max_len(1)
            .for_each(|(((w, g), m), v)| self.path.run(Adam { step, g, w, m, v }));
    }

    /// The same for some rows only, named in rising order; the other rows and their moments stay as
    /// they are.
    pub fn adam_rows(
        &self,
        step: &AdamStep,
        rows: &[u32],
        gradient: &Matrix<f32>,
        parameter: &mut Matrix<f32>,
        m: &mut Matrix<f32>,
        v: &mut Matrix<f32>,
    ) {
        let width = gradient.columns();
        for tensor in [&*parameter, m, v] {
            assert_eq!(tensor.shape(), gradient.shape(), "all four have one shape");
        }
        assert!(rows.is_sorted(), "rows in rising order");
        // A row that no task owns would be passed over in silence.
        assert!(rows.last().is_none_or(|&row| (row as usize) < gradient.rows()), "rows exist");
        if width == 0 {
            return;
        }
        // Each task owns some rows, and finds the wanted ones among them.
        let block = ROWS_PER_TASK * width;
        parameter
            .as_mut_slice()
            .par_chunks_mut(block)
            .zip(gradient.as_slice().par_chunks(block))
            .zip(m.as_mut_slice().par_chunks_mut(block))
            .zip(v.as_mut_slice().par_chunks_mut(block))
            .enumerate()
            .with_max_len(1)
            .for_each(|(task, (((w, g), m), v))| {
                let first = task * ROWS_PER_TASK;
                let from = rows.partition_point(|&row| (row as usize) < first);
                for &row in &rows[from..] {
                    let at = (row as usize - first) * width;
                    if at >= w.len() {
                        break;
                    }
                    let at = at..at + width;
                    let (w, g) = (&mut w[at.clone()], &g[at.clone()]);
                    let (m, v) = (&mut m[at.clone()], &mut v[at]);
                    self.path.run(Adam { step, g, w, m, v });
                }
            });
    }

    /// Sum of the squares of all entries, or of those in `rows`: in f32 within 16,384 entries or a
    /// row, in f64 over them, 256 rows at a time.
    pub fn sum_of_squares(&self, x: &Matrix<f32>, rows: Option<&[u32]>) -> f64 {
        let square = |x: &[f32]| f64::from(self.path.run(Square { x }));
        // Partial sums of a fixed length, added in their order.
        match rows {
            Some(rows) => {
                let mut partial = self.scratch.sums(rows.len().div_ceil(ROWS_PER_TASK));
                partial.par_iter_mut().zip(rows.par_chunks(ROWS_PER_TASK)).for_each(
                    |(sum, rows)| {
                        let squares = rows.iter().enumerate().map(|(k, &row)| {
                            if let Some(&next) = rows.get(k + ROWS_AHEAD) {
                                prefetch(x.row(next as usize));
                            }
                            square(x.row(row as usize))
                        });
                        *sum = squares.sum();
                    },
                );
                partial.iter().sum()
            }
            None => {
                let x = x.as_slice();
                let mut partial = self.scratch.sums(x.len().div_ceil(ENTRIES));
                let pairs = partial.par_iter_mut().zip(x.par_chunks(ENTRIES));
                pairs.for_each(|(sum, x)| *sum = square(x));
                partial.iter().sum()
            }
        }
    }

    /// Sets some rows to zero.
    pub fn clear_rows(&self, rows: &[u32], x: &mut Matrix<f32>) {
        for &row in rows {
            x.row_mut(row as usize).fill(0.0);
        }
    }

    /// `mean += share · (x − mean)`.
    pub fn average(&self, share: f32, x: &Matrix<f32>, mean: &mut Matrix<f32>) {
        assert_eq!(x.shape(), mean.shape(), "x and its mean have one shape");
        let pairs =
            mean.as_mut_slice().par_chunks_mut(ENTRIES).zip(x.as_slice().par_chunks(ENTRIES));
        pairs.for_each(|(mean, x)| {
            mean.iter_mut().zip(x).for_each(|(mean, x)| *mean += share * (x - *mean));
        });
    }
}

struct Adam<'a> {
    step: &'a AdamStep,
    g: &'a [f32],
    w: &'a mut [f32],
    m: &'a mut [f32],
    v: &'a mut [f32],
}

impl Kernel for Adam<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { step, g, w, m, v } = self;
        let (beta_1, beta_2) = (lanes.splat(step.beta_1), lanes.splat(step.beta_2));
        let (rest_1, rest_2) = (lanes.splat(1.0 - step.beta_1), lanes.splat(1.0 - step.beta_2));
        let rate = lanes.splat(-step.learning_rate / step.correction_1);
        let correction = lanes.splat(1.0 / step.correction_2);
        let decay = lanes.splat(-step.learning_rate * step.weight_decay);
        let (scale, l2, epsilon) =
            (lanes.splat(step.scale), lanes.splat(step.l2), lanes.splat(step.epsilon));
        let chunks = w.chunks_mut(L::WIDTH).zip(g.chunks(L::WIDTH));
        let moments = m.chunks_mut(L::WIDTH).zip(v.chunks_mut(L::WIDTH));
        for ((w, g), (m, v)) in chunks.zip(moments) {
            let old = lanes.load_partial(w);
            let g = lanes.mul_add(l2, old, lanes.mul(scale, lanes.load_partial(g)));
            let mean = lanes.mul_add(beta_1, lanes.load_partial(m), lanes.mul(rest_1, g));
            let square = lanes.mul(rest_2, lanes.mul(g, g));
            let square = lanes.mul_add(beta_2, lanes.load_partial(v), square);
            let root = lanes.add(lanes.sqrt(lanes.mul(square, correction)), epsilon);
            let new = lanes.mul_add(rate, lanes.div(mean, root), lanes.mul_add(decay, old, old));
            lanes.store_partial(new, w);
            lanes.store_partial(mean, m);
            lanes.store_partial(square, v);
        }
    }
}

struct Square<'a> {
    x: &'a [f32],
}

impl Kernel for Square<'_> {
    type Output = f32;
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> f32 {
        crate::math::dot(lanes, self.x, self.x)
    }
}
