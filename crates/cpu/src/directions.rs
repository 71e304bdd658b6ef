//! Both directions of a layer side by side. Equations: `reference::directions_forward` and `_backward`.

use crate::Cpu;
use layout::Matrix;
use rayon::prelude::*;

/// Positions that one task copies.
const POSITIONS_PER_TASK: usize = 64;

impl Cpu {
    /// `y_p = [ h→_p ; h←_{r(p)} ]`; r is `reversed`, the states are in slots `[B + N, R]`, y is `[N, 2R]`.
    ///
    /// # Panics
    ///
    /// Where the shapes do not fit.
    pub fn directions_forward(
        &self,
        reversed: &[u32],
        forward: &Matrix<f32>,
        reverse: &Matrix<f32>,
        y: &mut Matrix<f32>,
    ) {
        let (positions, width) = (reversed.len(), forward.columns());
        assert_eq!(forward.shape(), reverse.shape(), "h of both directions is [B + N, R]");
        let batch = forward.rows().checked_sub(positions).expect("h is [B + N, R]");
        y.resize(positions, 2 * width);
        let tasks = y.as_mut_slice().par_chunks_mut((POSITIONS_PER_TASK * 2 * width).max(1));
        tasks.enumerate().for_each(|(task, y)| {
            for (k, y) in y.chunks_exact_mut(2 * width).enumerate() {
                let p = task * POSITIONS_PER_TASK + k;
                let (of_forward, of_reverse) = y.split_at_mut(width);
                of_forward.copy_from_slice(forward.row(batch + p));
                of_reverse.copy_from_slice(reverse.row(batch + reversed[p] as usize));
            }
        });
    }

    /// Undoes [`Cpu::directions_forward`]: `dh→_p = dy_p[..R]`, `dh←_p = dy_{r(p)}[R..]`; both `[N, R]`.
    ///
    /// # Panics
    ///
    /// Where the shapes do not fit.
    pub fn directions_backward(
        &self,
        reversed: &[u32],
        dy: &Matrix<f32>,
        forward: &mut Matrix<f32>,
        reverse: &mut Matrix<f32>,
    ) {
        let (positions, width) = (reversed.len(), dy.columns() / 2);
        assert_eq!(dy.shape(), [positions, 2 * width], "dy is [N, 2R]");
        forward.resize(positions, width);
        reverse.resize(positions, width);
        let size = (POSITIONS_PER_TASK * width).max(1);
        let forward = forward.as_mut_slice().par_chunks_mut(size);
        forward.zip(reverse.as_mut_slice().par_chunks_mut(size)).enumerate().for_each(
            |(task, (forward, reverse))| {
                let rows = forward.chunks_exact_mut(width).zip(reverse.chunks_exact_mut(width));
                for (k, (of_forward, of_reverse)) in rows.enumerate() {
                    let p = task * POSITIONS_PER_TASK + k;
                    of_forward.copy_from_slice(&dy.row(p)[..width]);
                    of_reverse.copy_from_slice(&dy.row(reversed[p] as usize)[width..]);
                }
            },
        );
    }
}
