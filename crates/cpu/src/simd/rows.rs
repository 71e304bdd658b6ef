//! A batch shared out among threads: each has some rows, at every step.

use layout::Steps;
use rayon::prelude::*;
use std::marker::PhantomData;
use std::ops::Range;

/// Rows `first..end` of a batch in one step-by-step buffer `[N, columns]`, to be written by one
/// thread.
pub(crate) struct BatchSlice<'a> {
    values: *mut f32,
    len: usize,
    columns: usize,
    steps: &'a Steps,
    rows: Range<usize>,
    owner: PhantomData<&'a mut [f32]>,
}

/// A buffer whose rows are given out.
struct Whole<'a>(*mut f32, PhantomData<&'a mut [f32]>);

// SAFETY: `for_slices` holds the only borrow of the buffer and hands every row to one slice, which
// touches only its own rows. f32 may be written on any thread.
unsafe impl Sync for Whole<'_> {}

/// Cuts buffers of a batch into slices of `height` rows and works on them, with as many threads as
/// there are at hand; `work` gets the number of a slice, its part of `sums` and its rows of each
/// buffer.
///
/// # Panics
///
/// Where a buffer, given with its columns, has not the shape that `steps` asks for, or `sums` not a
/// part of so many columns for each slice.
pub(crate) fn for_slices<const K: usize>(
    steps: &Steps,
    height: usize,
    sums: (&mut [f32], usize),
    buffers: [(&mut [f32], usize); K],
    work: impl Fn(usize, &mut [f32], [BatchSlice<'_>; K]) + Sync,
) {
    let buffers = buffers.map(|(values, columns)| {
        assert_eq!(values.len(), steps.positions() * columns, "a buffer in the shape of its batch");
        (Whole(values.as_mut_ptr(), PhantomData), values.len(), columns)
    });
    let (sums, columns) = sums;
    assert_eq!(sums.len(), steps.batch().div_ceil(height) * columns, "a part for each slice");
    sums.par_chunks_mut(columns).enumerate().with_max_len(1).for_each(|(k, sums)| {
        let rows = k * height..((k + 1) * height).min(steps.batch());
        let slice = |b: usize| {
            let (ref values, len, columns) = buffers[b];
            let rows = rows.clone();
            BatchSlice { values: values.0, len, columns, steps, rows, owner: PhantomData }
        };
        work(k, sums, std::array::from_fn(slice));
    });
}

impl BatchSlice<'_> {
    /// Number of the slice's rows that still run at step `t`.
    pub(crate) fn active(&self, t: usize) -> usize {
        self.steps.active(t).min(self.rows.end).saturating_sub(self.rows.start)
    }

    /// The slice's rows at step `t`, as many as are active.
    pub(crate) fn step(&mut self, t: usize) -> &mut [f32] {
        let n = self.active(t);
        if n == 0 {
            return &mut [];
        }
        let block = self.steps.range(t);
        let first = block.start + self.rows.start;
        assert!(n <= self.rows.len() && first + n <= block.end, "rows of this slice");
        let range = first * self.columns..(first + n) * self.columns;
        assert!(range.end <= self.len, "inside the buffer");
        // SAFETY: the range lies in the buffer and in this slice's rows, which no other slice has;
        // the borrow of self keeps a second reference from being made.
        unsafe { std::slice::from_raw_parts_mut(self.values.add(range.start), range.len()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_position_belongs_to_one_slice() {
        let steps = Steps::from_lengths(&[4, 3, 3, 2, 1]);
        for height in 1..=6 {
            let mut values = vec![0.0; steps.positions() * 3];
            let mut sums = vec![0.0; 5usize.div_ceil(height)];
            let buffers = [(&mut values[..], 3)];
            for_slices(&steps, height, (&mut sums, 1), buffers, |k, sums, [mut slice]| {
                sums[0] = k as f32;
                for t in 0..steps.count() {
                    slice.step(t).iter_mut().for_each(|x| *x += (k + 1) as f32);
                }
            });
            assert!(sums.iter().enumerate().all(|(k, &sum)| sum == k as f32));
            for b in 0..steps.batch() {
                for p in steps.row(b) {
                    let owner = (b / height + 1) as f32;
                    assert_eq!(values[p * 3..][..3], [owner; 3], "row {b}, height {height}");
                }
            }
        }
    }
}
