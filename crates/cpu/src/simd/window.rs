//! The part of a buffer that one turn may write: some rows, some columns.

use super::Lanes;
use std::marker::PhantomData;

/// Some rows and columns of a buffer, in the hands of one turn.
#[derive(Clone, Copy)]
pub(crate) struct Window<'a> {
    first: *mut f32,
    stride: usize,
    rows: usize,
    width: usize,
    owner: PhantomData<&'a mut [f32]>,
}

impl Window<'_> {
    /// # Safety
    ///
    /// From `first` on, `rows` rows of `width` entries, `stride` apart, lie in one buffer for as long as
    /// the window lives, and nobody else writes them, or reads them where this window does write.
    pub(super) unsafe fn new(first: *mut f32, stride: usize, rows: usize, width: usize) -> Self {
        Self { first, stride, rows, width, owner: PhantomData }
    }

    /// ROWS rows from `row` on, each from column `at` on as many entries as a register holds; zeros
    /// beyond the window.
    #[inline(always)]
    pub(crate) fn load<L: Lanes, const ROWS: usize>(
        self,
        lanes: L,
        row: usize,
        at: usize,
    ) -> [L::V; ROWS] {
        let (mut from, n) = self.place::<ROWS>(row, at);
        let mut v = [lanes.splat(0.0); ROWS];
        for v in &mut v {
            // SAFETY: `n` entries from there on belong to this turn, as `place` has checked and whoever
            // made the window vouches for; no reference to them exists.
            *v = unsafe {
                if n >= L::WIDTH {
                    lanes.load_ptr(from)
                } else {
                    lanes.load_partial(std::slice::from_raw_parts(from, n))
                }
            };
            from = from.wrapping_add(self.stride);
        }
        v
    }

    /// Stores a register in each of ROWS rows, from column `at` on as far as the window goes.
    #[inline(always)]
    pub(crate) fn store<L: Lanes, const ROWS: usize>(
        self,
        lanes: L,
        v: &[L::V; ROWS],
        row: usize,
        at: usize,
    ) {
        let (mut to, n) = self.place::<ROWS>(row, at);
        for &v in v {
            // SAFETY: as in `load`.
            let entries = unsafe { std::slice::from_raw_parts_mut(to, n.min(L::WIDTH)) };
            lanes.store_partial(v, entries);
            to = to.wrapping_add(self.stride);
        }
    }

    /// Where column `at` of a row lies, and how many entries follow it; the rows after it are there.
    #[inline(always)]
    fn place<const ROWS: usize>(self, row: usize, at: usize) -> (*mut f32, usize) {
        assert!(row + ROWS <= self.rows && at < self.width, "inside the window");
        (self.first.wrapping_add(row * self.stride + at), self.width - at)
    }
}
