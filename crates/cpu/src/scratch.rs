//! Memory between calls: taken from a shelf, put back on it.

use crate::Cpu;
use crate::panel::{Panels, Source};
use layout::Aligned;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

/// Memory whose contents mean nothing between calls. After the first training steps every piece has
/// its final size and no more is taken.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    buffers: Mutex<Vec<Aligned<f32>>>,
    sums: Mutex<Vec<Aligned<f64>>>,
    keys: Mutex<Vec<Aligned<u64>>>,
    panels: Mutex<Vec<Panels>>,
}

impl Scratch {
    /// A buffer of `len` entries of unspecified value: the smallest on the shelf that holds them,
    /// or else the largest, made to fit.
    pub(crate) fn buffer(&self, len: usize) -> Buffer<'_, f32> {
        Buffer::take(&self.buffers, len)
    }

    /// The same for sums in f64.
    pub(crate) fn sums(&self, len: usize) -> Buffer<'_, f64> {
        Buffer::take(&self.sums, len)
    }

    /// The same for keys, which are whole numbers.
    pub(crate) fn keys(&self, len: usize) -> Buffer<'_, u64> {
        Buffer::take(&self.keys, len)
    }

    /// Panels to pack `len` entries into: the smallest on the shelf that hold them, or else the
    /// largest.
    fn panels(&self, len: usize) -> LentPanels<'_> {
        let mut shelf = self.panels.lock().unwrap_or_else(PoisonError::into_inner);
        let fit = best_fit(shelf.iter().map(Panels::capacity), len);
        let panels = fit.map(|k| shelf.swap_remove(k)).unwrap_or_default();
        LentPanels { panels, shelf: &self.panels }
    }
}

/// The smallest of these that is `len` or more, or else the largest.
fn best_fit(sizes: impl Iterator<Item = usize>, len: usize) -> Option<usize> {
    let rank = |has: usize| if has < len { (true, usize::MAX - has) } else { (false, has) };
    sizes.enumerate().min_by_key(|&(_, has)| rank(has)).map(|(k, _)| k)
}

impl Cpu {
    /// An operand `[K, N]`, packed into panels of this machine's scratch memory.
    pub(crate) fn packed(
        &self,
        depth: usize,
        columns: usize,
        source: Source<'_>,
    ) -> LentPanels<'_> {
        let mut panels = self.scratch.panels(depth * columns.next_multiple_of(self.path.width()));
        panels.pack(self.path, depth, columns, source);
        panels
    }
}

/// Numbers that go back to their shelf when they are dropped.
#[derive(Debug)]
pub(crate) struct Buffer<'a, T> {
    values: Aligned<T>,
    len: usize,
    shelf: &'a Mutex<Vec<Aligned<T>>>,
}

impl<'a, T: Copy + Default> Buffer<'a, T> {
    fn take(shelf: &'a Mutex<Vec<Aligned<T>>>, len: usize) -> Self {
        let mut rest = shelf.lock().unwrap_or_else(PoisonError::into_inner);
        let fit = best_fit(rest.iter().map(|buffer| buffer.len()), len);
        let mut values = fit.map(|k| rest.swap_remove(k)).unwrap_or_default();
        // Never made shorter: growing again would write zeros that nobody reads.
        if values.len() < len {
            values.resize(len);
        }
        Self { values, len, shelf }
    }
}

impl<T> Deref for Buffer<'_, T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.values[..self.len]
    }
}

impl<T> DerefMut for Buffer<'_, T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.values[..self.len]
    }
}

impl<T> Drop for Buffer<'_, T> {
    fn drop(&mut self) {
        let values = std::mem::take(&mut self.values);
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner).push(values);
    }
}

/// Panels that go back to their shelf when they are dropped.
#[derive(Debug)]
pub(crate) struct LentPanels<'a> {
    panels: Panels,
    shelf: &'a Mutex<Vec<Panels>>,
}

impl Deref for LentPanels<'_> {
    type Target = Panels;
    fn deref(&self) -> &Panels {
        &self.panels
    }
}

impl DerefMut for LentPanels<'_> {
    fn deref_mut(&mut self) -> &mut Panels {
        &mut self.panels
    }
}

impl Drop for LentPanels<'_> {
    fn drop(&mut self) {
        let panels = std::mem::take(&mut self.panels);
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner).push(panels);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_with_its_memory() {
        let scratch = Scratch::default();
        let large = scratch.buffer(1000).as_ptr();
        let small = scratch.buffer(10);
        assert_eq!((small.len(), small.as_ptr()), (10, large));
        assert_ne!(scratch.buffer(1000).as_ptr(), large, "it is out");
        drop(small);
        assert_eq!(scratch.buffers.lock().unwrap().len(), 2);
    }
}
