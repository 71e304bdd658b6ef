//! Memory between calls: taken from a shelf, put back on it.

use crate::panel::Panels;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

/// Buffers whose contents mean nothing between calls. After the first training steps every buffer
/// has its final size and no memory is taken any more.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    buffers: Mutex<Vec<Vec<f32>>>,
    panels: Mutex<Vec<Panels>>,
}

impl Scratch {
    /// A buffer of `len` entries of unspecified value: the largest on the shelf, made to fit.
    pub(crate) fn buffer(&self, len: usize) -> Lent<'_, Vec<f32>> {
        let mut shelf = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        // The smallest that is large enough, or else the largest: calls repeat, so the shelf soon
        // holds what they need.
        let fit = (0..shelf.len()).min_by_key(|&k| {
            let capacity = shelf[k].capacity();
            (capacity < len, if capacity < len { usize::MAX - capacity } else { capacity })
        });
        let mut buffer = fit.map(|k| shelf.swap_remove(k)).unwrap_or_default();
        buffer.resize(len, 0.0);
        Lent { value: Some(buffer), shelf: &self.buffers }
    }

    /// Panels to pack an operand into.
    pub(crate) fn panels(&self) -> Lent<'_, Panels> {
        let mut shelf = self.panels.lock().unwrap_or_else(PoisonError::into_inner);
        Lent { value: Some(shelf.pop().unwrap_or_default()), shelf: &self.panels }
    }
}

/// A piece of scratch memory that goes back to its shelf when it is dropped.
#[derive(Debug)]
pub(crate) struct Lent<'a, T> {
    value: Option<T>,
    shelf: &'a Mutex<Vec<T>>,
}

impl<T> Deref for Lent<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.value.as_ref().expect("lent until dropped")
    }
}

impl<T> DerefMut for Lent<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("lent until dropped")
    }
}

impl<T> Drop for Lent<'_, T> {
    fn drop(&mut self) {
        if let Some(value) = self.value.take() {
            self.shelf.lock().unwrap_or_else(PoisonError::into_inner).push(value);
        }
    }
}
