//! A batch shared out among threads: each has some rows, at every step.

use layout::Steps;
use std::marker::PhantomData;
use std::ops::Range;

/// Rows `first..end` of a batch in one step-by-step buffer, to be written by one thread.
///
/// The buffer is either `[N, columns]` or, with slots, `[B + N, columns]`.
pub(crate) struct BatchSlice<'a> {
    values: *mut f32,
    len: usize,
    columns: usize,
    steps: &'a Steps,
    rows: Range<usize>,
    slots: bool,
    owner: PhantomData<&'a mut [f32]>,
}

// SAFETY: a slice touches only its own rows, and `split_batch`, which holds the only borrow of the
// buffer, hands every row to one slice. f32 may be written on any thread, `Steps` is only read.
unsafe impl Send for BatchSlice<'_> {}

/// Cuts a buffer of a batch into slices of `height` rows, for as many threads as like to take one.
///
/// # Panics
///
/// Where the buffer has not the shape that `steps` asks for.
pub(crate) fn split_batch<'a>(
    steps: &'a Steps,
    height: usize,
    slots: bool,
    columns: usize,
    values: &'a mut [f32],
) -> impl Iterator<Item = BatchSlice<'a>> {
    let rows = if slots { steps.slots() } else { steps.positions() };
    assert_eq!(values.len(), rows * columns, "a buffer in the shape of its batch");
    let (pointer, len) = (values.as_mut_ptr(), values.len());
    (0..steps.batch()).step_by(height).map(move |first| BatchSlice {
        values: pointer,
        len,
        columns,
        steps,
        rows: first..(first + height).min(steps.batch()),
        slots,
        owner: PhantomData,
    })
}

impl BatchSlice<'_> {
    /// Number of the slice's rows that still run at step `t`.
    pub(crate) fn active(&self, t: usize) -> usize {
        self.steps.active(t).min(self.rows.end).saturating_sub(self.rows.start)
    }

    /// Where the slice's first `n > 0` rows of step (or slot) number `index` lie in the buffer.
    fn range(&self, index: usize, n: usize) -> Range<usize> {
        let block = if self.slots { self.steps.slot(index) } else { self.steps.range(index) };
        let first = block.start + self.rows.start;
        assert!(n <= self.rows.len() && first + n <= block.end, "rows of this slice");
        let range = first * self.columns..(first + n) * self.columns;
        assert!(range.end <= self.len, "inside the buffer");
        range
    }

    /// The slice's rows at step `t`, as many as are active.
    pub(crate) fn step(&mut self, t: usize) -> &mut [f32] {
        assert!(!self.slots, "a buffer without slots");
        let n = self.active(t);
        if n == 0 {
            return &mut [];
        }
        let range = self.range(t, n);
        // SAFETY: the range lies in the buffer and in this slice's rows, which no other slice has;
        // the borrow of self keeps a second reference from being made.
        unsafe { std::slice::from_raw_parts_mut(self.values.add(range.start), range.len()) }
    }

    /// States before and after step `t`: rows of slot `t` to read and of slot `t + 1` to write.
    pub(crate) fn before_and_after(&mut self, t: usize) -> (&[f32], &mut [f32]) {
        assert!(self.slots, "a state buffer");
        let n = self.active(t);
        if n == 0 {
            return (&[], &mut []);
        }
        let (before, after) = (self.range(t, n), self.range(t + 1, n));
        assert!(before.end <= after.start, "slots do not overlap");
        // SAFETY: both ranges lie in the buffer and in this slice's rows, which no other slice has;
        // they do not overlap, as the assertion shows.
        unsafe {
            (
                std::slice::from_raw_parts(self.values.add(before.start), before.len()),
                std::slice::from_raw_parts_mut(self.values.add(after.start), after.len()),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTHS: [usize; 5] = [4, 3, 3, 2, 1];

    #[test]
    fn every_position_belongs_to_one_slice() {
        let steps = Steps::from_lengths(&LENGTHS);
        for height in 1..=6 {
            let mut values = vec![0.0; steps.positions() * 3];
            for (k, mut slice) in split_batch(&steps, height, false, 3, &mut values).enumerate() {
                for t in 0..steps.count() {
                    slice.step(t).iter_mut().for_each(|x| *x += (k + 1) as f32);
                }
            }
            for b in 0..steps.batch() {
                for p in steps.row(b) {
                    let owner = (b / height + 1) as f32;
                    assert_eq!(values[p * 3..][..3], [owner; 3], "row {b}, height {height}");
                }
            }
        }
    }

    #[test]
    fn a_state_passes_from_slot_to_slot_of_its_row() {
        let steps = Steps::from_lengths(&LENGTHS);
        for height in 1..=6 {
            let mut values = vec![f32::NAN; steps.slots() * 2];
            for b in 0..steps.batch() {
                values[2 * b..][..2].fill(10.0 * b as f32);
            }
            for mut slice in split_batch(&steps, height, true, 2, &mut values) {
                for t in 0..steps.count() {
                    let (before, after) = slice.before_and_after(t);
                    after.iter_mut().zip(before).for_each(|(after, before)| *after = before + 1.0);
                }
            }
            for b in 0..steps.batch() {
                for (t, p) in steps.row(b).enumerate() {
                    let state = 10.0 * b as f32 + (t + 1) as f32;
                    assert_eq!(values[(steps.batch() + p) * 2..][..2], [state; 2]);
                }
            }
        }
    }
}
