//! The order of a team's turns: drawn one by one, and counted when they are done.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};

/// The turns of a team: how many are given out, how many are done.
#[derive(Default)]
pub(super) struct Tickets {
    next: AtomicUsize,
    done: AtomicUsize,
    broken: AtomicBool,
}

impl Tickets {
    /// The next turn, as long as there is one.
    pub(super) fn draw(&self, total: usize) -> Option<usize> {
        let ticket = self.next.fetch_add(1, Relaxed);
        (ticket < total).then_some(ticket)
    }

    /// Waits until so many turns are done; false where one has panicked.
    pub(super) fn wait_for(&self, turns: usize) -> bool {
        /// Looks before the processor is offered to someone else.
        const PATIENCE: usize = 1 << 12;
        let mut looks = 0;
        while self.done.load(Acquire) < turns {
            if self.broken.load(Relaxed) {
                return false;
            }
            looks += 1;
            if looks < PATIENCE {
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
        true
    }
}

/// Counts a turn as done, or the team as broken, when it is dropped.
pub(super) struct Done<'a>(pub(super) &'a Tickets);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.broken.store(true, Relaxed);
        } else {
            self.0.done.fetch_add(1, Release);
        }
    }
}
