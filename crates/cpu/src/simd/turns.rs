//! A batch taken through time by several threads: who works on what, and when.
//!
//! A [`Turn`] is one step of some rows and some units. Two ways to cut a batch into turns:
//!
//! ```text
//!     Split::Rows     each thread takes its rows through all steps and waits for nobody
//!     Split::Units    few rows: the units of a step are shared out, the next step waits for all
//! ```
//!
//! With [`Split::Units`], turns are tickets in the order of the steps; whoever draws one waits until
//! all turns of the step before are done. The earlier ones are in the hands of threads that run, so
//! the wait ends, however few threads take part.

use super::Lanes;
use super::tickets::{Done, Tickets};
use super::window::Window;
use layout::Steps;
use rayon::prelude::*;
use std::marker::PhantomData;
use std::ops::Range;

/// How the work of a batch is shared out. No result depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Split {
    /// So many slices of neighbouring rows, of about the same number of positions.
    Rows(usize),
    /// Parts of so many units, in turns.
    Units(usize),
}

/// In which direction time runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Rising,
    Falling,
}

/// Memory that the turns of a batch write, each its own place.
pub(crate) struct Shared<'a> {
    values: *mut f32,
    rows: usize,
    columns: usize,
    shape: Shape,
    owner: PhantomData<&'a mut [f32]>,
}

// SAFETY: the memory is reached through turns alone. A turn writes its own rows and units at its own
// step; `in_turns` makes each turn once, and a turn stays on its thread. What it reads of the step
// before is finished by then.
unsafe impl Sync for Shared<'_> {}
// SAFETY: as above; f32 may be written on any thread.
unsafe impl Send for Shared<'_> {}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// `[N, columns]`
    Positions,
    /// `[B + N, columns]`
    Slots,
    /// `[B, columns]`
    Batch,
}

impl Shape {
    fn rows(self, steps: &Steps) -> usize {
        match self {
            Self::Positions => steps.positions(),
            Self::Slots => steps.slots(),
            Self::Batch => steps.batch(),
        }
    }
}

impl Shape {
    /// The rows that step `t` writes.
    #[inline(always)]
    fn written(self, steps: &Steps, t: usize) -> Range<usize> {
        match self {
            Self::Positions => steps.range(t),
            Self::Slots => steps.slot(t + 1),
            Self::Batch => 0..steps.batch(),
        }
    }
}

impl<'a> Shared<'a> {
    /// A buffer with a row a position.
    pub(crate) fn positions(steps: &Steps, columns: usize, values: &'a mut [f32]) -> Self {
        Self::new(steps, Shape::Positions, columns, values)
    }

    /// A buffer of states in slots.
    pub(crate) fn slots(steps: &Steps, columns: usize, values: &'a mut [f32]) -> Self {
        Self::new(steps, Shape::Slots, columns, values)
    }

    /// A buffer with one row for each row of the batch, which goes from turn to turn.
    pub(crate) fn batch(steps: &Steps, columns: usize, values: &'a mut [f32]) -> Self {
        Self::new(steps, Shape::Batch, columns, values)
    }

    fn new(steps: &Steps, shape: Shape, columns: usize, values: &'a mut [f32]) -> Self {
        let rows = shape.rows(steps);
        assert_eq!(values.len(), rows * columns, "a buffer in the shape of its batch");
        Self { values: values.as_mut_ptr(), rows, columns, shape, owner: PhantomData }
    }
}

/// One step of some rows and some units.
pub(crate) struct Turn<'a, const K: usize> {
    steps: &'a Steps,
    buffers: &'a [Shared<'a>; K],
    order: Order,
    t: usize,
    rows: Range<usize>,
    /// All units of the layer, and those of this turn.
    hidden: usize,
    units: Range<usize>,
    /// A buffer that is read in whole rows meanwhile: no window on it is handed out.
    apart: Option<usize>,
    /// A turn is neither sent nor shared: what it may write, its thread alone writes.
    thread: PhantomData<*mut f32>,
}

impl<'a, const K: usize> Turn<'a, K> {
    /// The number of the step.
    pub(crate) fn t(&self) -> usize {
        self.t
    }

    /// Rows that run at this step, never none.
    pub(crate) fn active(&self) -> usize {
        self.active_at(self.t)
    }

    #[inline(always)]
    fn active_at(&self, t: usize) -> usize {
        self.steps.active(t).min(self.rows.end).saturating_sub(self.rows.start)
    }

    /// The units of this turn.
    pub(crate) fn units(&self) -> Range<usize> {
        self.units.clone()
    }

    /// The first row of the batch that is of this turn.
    pub(crate) fn first_row(&self) -> usize {
        self.rows.start
    }

    /// The position of the first row at this step.
    pub(crate) fn position(&self) -> usize {
        self.steps.range(self.t).start + self.rows.start
    }

    /// The first row at this step in a buffer of slots that the step starts from.
    pub(crate) fn slot_before(&self) -> usize {
        self.steps.slot(self.t).start + self.rows.start
    }

    /// What this turn may write of buffer `k`: its rows at this step (of slots: at the slot after
    /// it), and of block number `block` of H columns its units.
    #[inline(always)]
    pub(crate) fn own(&self, k: usize, block: usize) -> Window<'_> {
        self.window(k, block, self.buffers[k].shape.written(self.steps, self.t))
    }

    /// ROWS rows from `row` on of the slot before the step, which an earlier turn of these rows and
    /// units has written, as [`Window::load`] gives them. Others may read them meanwhile, so no window
    /// on them is handed out.
    #[inline(always)]
    pub(crate) fn load_before<L: Lanes, const ROWS: usize>(
        &self,
        lanes: L,
        k: usize,
        row: usize,
        at: usize,
    ) -> [L::V; ROWS] {
        assert!(self.order == Order::Rising && self.buffers[k].shape == Shape::Slots, "slots");
        self.window(k, 0, self.steps.slot(self.t)).load(lanes, row, at)
    }

    /// What [`Turn::own`] is, whole rows of it: of several buffers, each once. Only of a turn over all
    /// units.
    pub(crate) fn rows_mut<const J: usize>(&mut self, buffers: [usize; J]) -> [&mut [f32]; J] {
        assert!(self.units == (0..self.hidden), "a turn over all units");
        assert!((1..J).all(|j| !buffers[..j].contains(&buffers[j])), "each buffer once");
        let (t, first, n) = (self.t, self.rows.start, self.active());
        buffers.map(|k| {
            let Shared { values, columns, shape, .. } = self.buffers[k];
            let place = shape.written(self.steps, t);
            assert!(place.start + first + n <= place.end, "inside the buffer");
            // SAFETY: the rows lie inside the buffer, as the assertion and `in_turns` show. They are
            // those of this turn, all of their columns, since its units are all; of this turn nobody
            // else holds a window or a slice, since it is borrowed for as long as this one lives, and
            // no two of these slices are of one buffer.
            unsafe {
                std::slice::from_raw_parts_mut(
                    values.add((place.start + first) * columns),
                    n * columns,
                )
            }
        })
    }

    /// The rows of buffer `k` as [`Turn::rows_mut`] gives them, to read beside what else the turn does.
    pub(crate) fn rows_apart(&mut self, k: usize) -> (&[f32], &Self) {
        self.apart = Some(k);
        let [rows] = self.rows_mut([k]);
        let (values, len) = (rows.as_ptr(), rows.len());
        // SAFETY: as in `rows_mut`; the turn is borrowed for as long as the slice lives, and meanwhile
        // hands out no window on these rows, since they are apart.
        (unsafe { std::slice::from_raw_parts(values, len) }, self)
    }

    #[inline(always)]
    fn window(&self, k: usize, block: usize, place: Range<usize>) -> Window<'_> {
        let Shared { values, columns, .. } = self.buffers[k];
        let n = self.active();
        let first = place.start + self.rows.start;
        assert!(self.apart != Some(k), "no window on rows that are read");
        assert!(
            first + n <= place.end && (block + 1) * self.hidden <= columns,
            "inside the buffer"
        );
        let at = first * columns + block * self.hidden + self.units.start;
        // SAFETY: row `first` and the column lie inside the buffer, as the assertion shows: `in_turns`
        // has checked that the buffer has the rows of these steps.
        let first = unsafe { values.add(at) };
        // SAFETY: the window's rows and columns lie inside the buffer as well, and belong to this turn,
        // or to an earlier one that is done.
        unsafe { Window::new(first, columns, n, self.units.len()) }
    }

    /// What the turns before this one have finished of buffer `k`: all columns of this slice's rows,
    /// forwards of the slot that the step starts from, backwards of the step after (where fewer rows
    /// may run, or none).
    #[inline(always)]
    pub(crate) fn done(&self, k: usize) -> &'a [f32] {
        let Shared { values, columns, shape, .. } = self.buffers[k];
        let (first, n, end) = match (self.order, shape) {
            (Order::Rising, Shape::Slots) => {
                let slot = self.steps.slot(self.t);
                (slot.start + self.rows.start, self.active(), slot.end)
            }
            (Order::Falling, Shape::Positions) if self.t + 1 < self.steps.count() => {
                let step = self.steps.range(self.t + 1);
                (step.start + self.rows.start, self.active_at(self.t + 1), step.end)
            }
            (Order::Falling, Shape::Positions) => return &[],
            _ => panic!("forwards slots, backwards positions"),
        };
        if n == 0 {
            return &[];
        }
        assert!(first + n <= end, "rows of the step");
        // SAFETY: the rows lie inside the buffer, as the assertion and `in_turns` show. They belong to
        // the step before this one in time's order, whose turns over these rows are done (or to the
        // start, or to steps of an earlier call, which no turn of this one writes), and no later turn
        // writes them.
        unsafe { std::slice::from_raw_parts(values.add(first * columns), n * columns) }
    }
}

/// Takes a batch through the steps `range` in turns, with as many threads as there are at hand.
pub(crate) fn in_turns<const K: usize>(
    steps: &Steps,
    range: Range<usize>,
    hidden: usize,
    split: Split,
    order: Order,
    buffers: [Shared<'_>; K],
    work: impl Fn(Turn<'_, K>) + Sync,
) {
    for buffer in &buffers {
        assert_eq!(buffer.rows, buffer.shape.rows(steps), "a buffer of this batch");
    }
    let count = range.len();
    if count == 0 || steps.active(range.start) == 0 || hidden == 0 {
        return;
    }
    let step = |k: usize| match order {
        Order::Rising => range.start + k,
        Order::Falling => range.end - 1 - k,
    };
    let turn = |t: usize, rows: Range<usize>, units: Range<usize>| {
        let (apart, thread) = (None, PhantomData);
        let turn = Turn { steps, buffers: &buffers, order, t, rows, hidden, units, apart, thread };
        if turn.active() > 0 {
            work(turn);
        }
    };
    match split {
        Split::Rows(slices) => {
            (0..slices).into_par_iter().with_max_len(1).for_each(|slice| {
                let rows = steps.share(slice, slices)..steps.share(slice + 1, slices);
                for k in 0..count {
                    turn(step(k), rows.clone(), 0..hidden);
                }
            });
        }
        Split::Units(size) => {
            let parts = hidden.div_ceil(size);
            let tickets = Tickets::default();
            (0..rayon::current_num_threads()).into_par_iter().with_max_len(1).for_each(|_| {
                while let Some(ticket) = tickets.draw(count * parts) {
                    let (k, part) = (ticket / parts, ticket % parts);
                    if !tickets.wait_for(k * parts) {
                        return;
                    }
                    let units = part * size..hidden.min((part + 1) * size);
                    let _done = Done(&tickets);
                    turn(step(k), 0..steps.batch(), units);
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Kernel, Path};
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    const LENGTHS: [usize; 5] = [4, 3, 3, 2, 1];
    const HIDDEN: usize = 5;

    /// Adds one to the state of every row, in the slot after the one it is read from.
    struct Count<'a>(Turn<'a, 1>);

    impl Kernel for Count<'_> {
        type Output = ();
        #[inline(always)]
        fn run<L: Lanes>(self, lanes: L) {
            let (before, own) = (self.0.done(0), self.0.own(0, 0));
            for row in 0..self.0.active() {
                for at in (0..self.0.units().len()).step_by(L::WIDTH) {
                    // Of its neighbour, so that a turn which came too early is seen.
                    let unit = (self.0.units().start + at + 1) % HIDDEN;
                    let v = lanes.splat(before[row * HIDDEN + unit] + 1.0);
                    own.store(lanes, &[v], row, at);
                }
            }
        }
    }

    #[test]
    fn states_pass_from_step_to_step_however_the_batch_is_cut() {
        let steps = Steps::from_lengths(&LENGTHS);
        for split in [1, 2, 3, 5, 9].map(Split::Rows).into_iter().chain([1, 2, 5].map(Split::Units))
        {
            let mut values = vec![f32::NAN; steps.slots() * HIDDEN];
            for b in 0..steps.batch() {
                values[HIDDEN * b..][..HIDDEN].fill(10.0 * b as f32);
            }
            let buffers = [Shared::slots(&steps, HIDDEN, &mut values)];
            let path = Path::available()[0];
            in_turns(&steps, 0..4, HIDDEN, split, Order::Rising, buffers, |turn| {
                path.run(Count(turn));
            });
            for b in 0..steps.batch() {
                for (t, p) in steps.row(b).enumerate() {
                    let state = 10.0 * b as f32 + (t + 1) as f32;
                    assert_eq!(values[(steps.batch() + p) * HIDDEN..][..HIDDEN], [state; HIDDEN]);
                }
            }
        }
    }

    #[test]
    fn backwards_a_turn_sees_the_step_after_it() {
        let steps = Steps::from_lengths(&LENGTHS);
        for split in [Split::Rows(1), Split::Rows(3), Split::Units(2)] {
            let mut values = vec![0.0; steps.positions() * HIDDEN];
            let seen = AtomicUsize::new(0);
            let buffers = [Shared::positions(&steps, HIDDEN, &mut values)];
            in_turns(&steps, 1..3, HIDDEN, split, Order::Falling, buffers, |turn| {
                assert_eq!(turn.done(0).len() % HIDDEN, 0);
                seen.fetch_add(turn.done(0).len() / HIDDEN * turn.units().len(), Relaxed);
            });
            assert_eq!(seen.into_inner(), (steps.active(2) + steps.active(3)) * HIDDEN);
        }
    }

    #[test]
    fn a_panic_in_a_turn_ends_the_team() {
        let steps = Steps::uniform(50, 2);
        let mut values = vec![0.0; steps.positions() * HIDDEN];
        let run = std::panic::AssertUnwindSafe(|| {
            let buffers = [Shared::positions(&steps, HIDDEN, &mut values)];
            in_turns(&steps, 0..50, HIDDEN, Split::Units(1), Order::Falling, buffers, |turn| {
                assert!(turn.t() != 20, "as it was meant to");
            });
        });
        assert!(std::panic::catch_unwind(run).is_err());
    }
}
