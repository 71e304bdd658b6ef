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

// SAFETY: a slice touches only its own rows, and `split_batch` hands every row to one slice.
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

    /// Where the slice's first `n` rows of step (or slot) number `index` lie in the buffer.
    fn range(&self, index: usize, n: usize) -> Range<usize> {
        let block = if self.slots { self.steps.slot(index) } else { self.steps.range(index) };
        let first = block.start + self.rows.start;
        assert!(n <= self.rows.len() && (n == 0 || first + n <= block.end), "rows of this slice");
        let range = first * self.columns..(first + n) * self.columns;
        assert!(n == 0 || range.end <= self.len, "inside the buffer");
        range
    }

    /// The slice's rows at step `t`, as many as are active.
    pub(crate) fn step(&mut self, t: usize) -> &mut [f32] {
        let n = self.active(t);
        self.block(t, n)
    }

    /// The slice's first `n` rows of a step or slot.
    pub(crate) fn block(&mut self, index: usize, n: usize) -> &mut [f32] {
        if n == 0 {
            return &mut [];
        }
        let range = self.range(index, n);
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
