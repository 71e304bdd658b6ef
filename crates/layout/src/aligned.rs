//! Memory that begins with a cache line.

use aligned_vec::{AVec, ConstAlign};
use std::ops::{Deref, DerefMut};

/// Bytes of a cache line, which is also the widest register of any path.
const LINE: usize = 64;

/// Numbers of which the first begins a cache line.
///
/// A register of sixteen f32 is a whole line. Where memory begins in the middle of one, as an
/// allocator's usually does, every load of such a register touches two lines, and the caches give
/// half of what they could.
#[derive(Debug, Clone, PartialEq)]
pub struct Aligned<S>(AVec<S, ConstAlign<LINE>>);

impl<S: Copy + Default> Aligned<S> {
    /// So many zeros.
    pub fn zeros(len: usize) -> Self {
        let mut aligned = Self::default();
        aligned.resize(len);
        aligned
    }

    /// Shortens, or appends zeros. What is shortened keeps its memory.
    pub fn resize(&mut self, len: usize) {
        self.0.resize(len, S::default());
    }
}

impl<S> Default for Aligned<S> {
    fn default() -> Self {
        Self(AVec::new(LINE))
    }
}

impl<S> FromIterator<S> for Aligned<S> {
    fn from_iter<I: IntoIterator<Item = S>>(values: I) -> Self {
        Self(AVec::from_iter(LINE, values))
    }
}

impl<S> Deref for Aligned<S> {
    type Target = [S];
    fn deref(&self) -> &[S] {
        &self.0
    }
}

impl<S> DerefMut for Aligned<S> {
    fn deref_mut(&mut self) -> &mut [S] {
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_number_begins_a_line_whatever_happens_to_it() {
        let mut grown = Aligned::<f32>::default();
        for len in [1, 7, 40, 100_000, 3] {
            grown.resize(len);
            let collected = grown.iter().copied().collect();
            for aligned in [&grown, &grown.clone(), &collected, &Aligned::zeros(len)] {
                assert_eq!(aligned.len(), len);
                assert_eq!(aligned.as_ptr().addr() % LINE, 0, "{len}");
            }
        }
    }
}
