//! Items to rows and back, and what is done to those rows before the LSTM sees them.

use crate::Cpu;
use crate::math::{AddRow, dot};
use crate::simd::{Kernel, Lanes, ROWS_AHEAD, prefetch};
use layout::random::{Stream, uniform};
use layout::{Accumulate, Matrix};
use rayon::prelude::*;

/// Entries in one task of a plain sum or copy.
const ENTRIES_PER_TASK: usize = 1 << 14;
/// Positions in one task of the elementwise operations.
const ROWS_PER_TASK: usize = 64;

impl Cpu {
    /// `out[p] = table[ids[p]]`; table `[V, E]`, out `[N, E]`.
    ///
    /// # Panics
    ///
    /// Where an id is not below V.
    pub fn embedding_forward(&self, table: &Matrix<f32>, ids: &[u32], out: &mut Matrix<f32>) {
        let width = table.columns();
        out.resize(ids.len(), width);
        if width == 0 {
            return;
        }
        out.as_mut_slice()
            .par_chunks_mut(ROWS_PER_TASK * width)
            .zip(ids.par_chunks(ROWS_PER_TASK))
            .for_each(|(rows, ids)| {
                for (k, row) in rows.chunks_exact_mut(width).enumerate() {
                    if let Some(&id) = ids.get(k + ROWS_AHEAD) {
                        prefetch(table.row(id as usize));
                    }
                    row.copy_from_slice(table.row(ids[k] as usize));
                }
            });
    }

    /// `state[k] = x[rows[k]]`: where the rows of a batch start, in the first rows of a state in slots;
    /// the others stay.
    ///
    /// # Panics
    ///
    /// Where a row of x is named that it has not, or more of them than the state has.
    pub fn set_start(&self, x: &Matrix<f32>, rows: &[u32], state: &mut Matrix<f32>) {
        let width = x.columns();
        assert_eq!(state.columns(), width, "x and state are equally wide");
        assert!(rows.len() <= state.rows(), "no more rows than the state has");
        for (k, &row) in rows.iter().enumerate() {
            state.as_mut_slice()[k * width..][..width].copy_from_slice(x.row(row as usize));
        }
    }

    /// `dtable[ids[p]] += dout[p]`, for each row in the order of the positions.
    ///
    /// # Panics
    ///
    /// Where an id is not below V.
    pub fn embedding_backward(&self, ids: &[u32], dout: &Matrix<f32>, dtable: &mut Matrix<f32>) {
        assert_eq!(dout.shape(), [ids.len(), dtable.columns()], "dout is [N, E]");
        assert!(ids.iter().all(|&id| (id as usize) < dtable.rows()), "ids are below V");
        let width = dtable.columns();
        if ids.is_empty() || width == 0 {
            return;
        }
        self.scatter(ids, dout, 0, ROWS_PER_TASK, dtable.as_mut_slice());
    }

    /// Adds what belongs to the rows of a table from `first` on. Each task owns some rows and looks
    /// through all ids for them: the order of a row's sum is that of the positions, whoever adds it.
    /// Frequent items have small ids, so the shares grow.
    fn scatter(
        &self,
        ids: &[u32],
        dout: &Matrix<f32>,
        first: usize,
        rows: usize,
        table: &mut [f32],
    ) {
        let width = dout.columns();
        let (mine, others) = table.split_at_mut((rows * width).min(table.len()));
        let until = first + mine.len() / width;
        let mut add = || {
            for (p, &id) in ids.iter().enumerate() {
                let id = id as usize;
                if (first..until).contains(&id) {
                    let y = &mut mine[(id - first) * width..][..width];
                    self.path.run(AddRow { x: dout.row(p), y });
                }
            }
        };
        if others.is_empty() {
            return add();
        }
        rayon::join(add, || self.scatter(ids, dout, until, rows + rows / 2, others));
    }

    /// `y = x` or `y += x`.
    pub fn add(&self, x: &Matrix<f32>, accumulate: Accumulate, y: &mut Matrix<f32>) {
        crate::linear::shape_result(accumulate, y, x.rows(), x.columns());
        let (x, y) = (x.as_slice(), y.as_mut_slice());
        match accumulate {
            Accumulate::Replace => y
                .par_chunks_mut(ENTRIES_PER_TASK)
                .zip(x.par_chunks(ENTRIES_PER_TASK))
                .for_each(|(y, x)| y.copy_from_slice(x)),
            Accumulate::Add => y
                .par_chunks_mut(ENTRIES_PER_TASK)
                .zip(x.par_chunks(ENTRIES_PER_TASK))
                .for_each(|(y, x)| self.path.run(AddRow { x, y })),
        }
    }

    /// `norm_p = √(Σ x_p² + 1e-12)`, `y_p = scale · x_p / norm_p`; x, y `[N, E]`, norm `[N, 1]`.
    pub fn normalize_forward(
        &self,
        scale: f32,
        x: &Matrix<f32>,
        y: &mut Matrix<f32>,
        norm: &mut Matrix<f32>,
    ) {
        let [rows, width] = x.shape();
        y.resize(rows, width);
        norm.resize(rows, 1);
        if width == 0 {
            return;
        }
        y.as_mut_slice()
            .par_chunks_mut(ROWS_PER_TASK * width)
            .zip(norm.as_mut_slice().par_chunks_mut(ROWS_PER_TASK))
            .zip(x.as_slice().par_chunks(ROWS_PER_TASK * width))
            .for_each(|((y, norm), x)| self.path.run(Normalize { scale, width, x, y, norm }));
    }

    /// `dx_p = (scale · dy_p − y_p (y_p · dy_p) / scale) / norm_p`.
    pub fn normalize_backward(
        &self,
        scale: f32,
        y: &Matrix<f32>,
        norm: &Matrix<f32>,
        dy: &Matrix<f32>,
        dx: &mut Matrix<f32>,
    ) {
        let [rows, width] = y.shape();
        assert_eq!(
            (dy.shape(), norm.shape()),
            ([rows, width], [rows, 1]),
            "dy [N, E], norm [N, 1]"
        );
        dx.resize(rows, width);
        if width == 0 {
            return;
        }
        dx.as_mut_slice()
            .par_chunks_mut(ROWS_PER_TASK * width)
            .zip(norm.as_slice().par_chunks(ROWS_PER_TASK))
            .zip(y.as_slice().par_chunks(ROWS_PER_TASK * width))
            .zip(dy.as_slice().par_chunks(ROWS_PER_TASK * width))
            .for_each(|(((dx, norm), y), dy)| {
                self.path.run(NormalizeBackward { scale, width, y, norm, dy, dx });
            });
    }

    /// Inverted dropout in place: entry number e (row after row) is set to zero where
    /// `stream.uniform(e) < rate`, and divided by `1 − rate` elsewhere. Its own backward.
    pub fn dropout(&self, rate: f32, stream: Stream, x: &mut Matrix<f32>) {
        if rate == 0.0 {
            return;
        }
        const ENTRIES: usize = 4096;
        x.as_mut_slice().par_chunks_mut(ENTRIES).enumerate().for_each(|(task, x)| {
            self.path.run(Dropout { rate, stream, first: (task * ENTRIES / 4) as u64, x });
        });
    }
}

struct Dropout<'a> {
    rate: f32,
    stream: Stream,
    /// The block of random words of the first four entries.
    first: u64,
    x: &'a mut [f32],
}

impl Kernel for Dropout<'_> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lanes>(self, _: L) {
        const LANES: usize = 8;
        let kept = 1.0 / (1.0 - self.rate);
        for (k, x) in self.x.chunks_mut(4 * LANES).enumerate() {
            let words = self.stream.blocks::<LANES>(self.first + (k * LANES) as u64);
            let mut factor = [0.0; 4 * LANES];
            for (word, words) in words.iter().enumerate() {
                for (lane, &bits) in words.iter().enumerate() {
                    factor[4 * lane + word] = if uniform(bits) < self.rate { 0.0 } else { kept };
                }
            }
            for (x, factor) in x.iter_mut().zip(factor) {
                // Not a product alone: what is dropped is zero whatever it was.
                *x = if factor == 0.0 { 0.0 } else { *x * factor };
            }
        }
    }
}

struct Normalize<'a> {
    scale: f32,
    width: usize,
    x: &'a [f32],
    y: &'a mut [f32],
    norm: &'a mut [f32],
}

impl Kernel for Normalize<'_> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let rows = self.y.chunks_exact_mut(self.width).zip(self.x.chunks_exact(self.width));
        for ((y, x), norm) in rows.zip(self.norm) {
            *norm = (dot(lanes, x, x) + 1e-12).sqrt();
            let factor = lanes.splat(self.scale / *norm);
            for (y, x) in y.chunks_mut(L::WIDTH).zip(x.chunks(L::WIDTH)) {
                lanes.store_partial(lanes.mul(factor, lanes.load_partial(x)), y);
            }
        }
    }
}

struct NormalizeBackward<'a> {
    scale: f32,
    width: usize,
    y: &'a [f32],
    norm: &'a [f32],
    dy: &'a [f32],
    dx: &'a mut [f32],
}

impl Kernel for NormalizeBackward<'_> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { scale, width, y, norm, dy, dx } = self;
        let rows = dx.chunks_exact_mut(width).zip(y.chunks_exact(width));
        for ((dx, y), (dy, &norm)) in rows.zip(dy.chunks_exact(width).zip(norm)) {
            let along = lanes.splat(-dot(lanes, y, dy) / (scale * norm));
            let factor = lanes.splat(scale / norm);
            for (k, dx) in dx.chunks_mut(L::WIDTH).enumerate() {
                let at = k * L::WIDTH..k * L::WIDTH + dx.len();
                let straight = lanes.mul(factor, lanes.load_partial(&dy[at.clone()]));
                let y = lanes.load_partial(&y[at]);
                lanes.store_partial(lanes.mul_add(along, y, straight), dx);
            }
        }
    }
}
