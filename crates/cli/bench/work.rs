//! How much there is to do: operations and bytes, and how fast that can be at most.
//!
//! Sizes are f64: whole numbers are exact up to 2⁵³, and nothing overflows before a shape that is
//! too large has been refused.

use layout::RecurrentDims;

/// Bytes of a number.
pub(super) const F32: f64 = 4.0;

/// Which way a bench goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// From the input to the result.
    Forward,
    /// Forward, and back to all gradients.
    Training,
    /// One step of one row, from state to state.
    Step,
}

impl Mode {
    /// As the command line spells it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Training => "training",
            Self::Step => "step",
        }
    }
}

/// What one call does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Work {
    /// Operations of the products; a multiply-add counts two.
    pub(super) flop: f64,
    /// Compulsory traffic: what has to come from memory or go there, each thing once, however
    /// cleverly the rest is kept in caches.
    pub(super) bytes: f64,
}

impl Work {
    /// Seconds that the work takes at least, on a machine of this peak (FLOP/s) and bandwidth
    /// (bytes/s).
    pub(super) fn floor(self, peak: f64, bandwidth: f64) -> f64 {
        (self.flop / peak).max(self.bytes / bandwidth)
    }

    /// A recurrent layer over N positions in T steps, forward or in training: G gates, states of width
    /// R (H, or P with a projection), c where the cell has one.
    ///
    /// ```text
    ///     flop     forward    2·N·G·H·(I + R)      with an LSTM 8·N·H·(I + H), with a GRU 6·…
    ///                       + 2·N·H·P              a projection
    ///              training   three times that
    ///
    ///     bytes/4  forward    GH·(I + R + 1)       w_x, w_h, b; and w_p
    ///                       + N·(I + R + H)        x; h, c
    ///              training   as forward
    ///                       + N·GH                 a of the tape
    ///                       + GH·(I + R)           w_x, w_h once more, backward
    ///                       + 2·GH·(I + R + 1)     dw_x, dw_h, db: read and added to
    ///                       + N·(I + R + H + GH)   x and the tape once more
    ///                       + N·(R + I)            dh_above; dx
    /// ```
    ///
    /// `cache` is the size of the last-level cache, where it is known. Where `w_h` is larger, every
    /// step has to fetch it again: `(T − 1)·GH·R` more each way. Not counted, since an engine can do
    /// without them: `dz`, packed weights, the states of slot 0. The recurrent product of the first
    /// step is counted, although rows that start from zero leave it out, as every engine's FLOPs
    /// are counted.
    pub(super) fn recurrent(
        mode: Mode,
        positions: f64,
        steps: usize,
        dims: RecurrentDims,
        cache: Option<u64>,
    ) -> Self {
        let (input, hidden, width) = (dims.input as f64, dims.hidden as f64, dims.width() as f64);
        let gates = dims.cell.gates() as f64 * hidden;
        let projection = dims.projection.map_or(0.0, |_| width * hidden);
        let c = if dims.cell.has_cell_state() { hidden } else { 0.0 };
        let weights = gates * (input + width) + projection;
        let bias = dims.cell.biases() as f64 * hidden;
        let states = positions * (input + width + c);
        let tape = positions * gates;
        let w_h = gates * width;
        let refetched = match cache {
            Some(cache) if F32 * w_h > cache as f64 => (steps - 1) as f64 * w_h,
            _ => 0.0,
        };
        let forward = weights + bias + states + refetched;
        let gradients = 2.0 * (weights + bias) + positions * (width + input);
        let backward = 2.0 * tape + states + weights + gradients + refetched;
        match mode {
            Mode::Forward | Mode::Step => {
                Self { flop: 2.0 * positions * weights, bytes: F32 * forward }
            }
            Mode::Training => {
                Self { flop: 6.0 * positions * weights, bytes: F32 * (forward + backward) }
            }
        }
    }

    /// One step of one row in a layer whose input is a row of a table.
    ///
    /// ```text
    ///     flop     2·GH·H               one product; the input's share is a row that is added
    ///     bytes/4  GH·H                 w_h
    ///            + GH + 4H              the row; h and c, read and written
    /// ```
    ///
    /// From one step to the next, `w_h` stays in a cache if one holds it: then it is that cache
    /// whose rate counts, and not that of memory.
    pub(super) fn step(dims: RecurrentDims) -> Self {
        let (hidden, gates) = (dims.hidden as f64, dims.cell.gates() as f64);
        let w_h = gates * hidden * hidden;
        let states = if dims.cell.has_cell_state() { 4.0 } else { 2.0 };
        Self { flop: 2.0 * w_h, bytes: F32 * (w_h + (gates + states) * hidden) }
    }

    /// Softmax loss of N positions over C columns of width E, with all gradients.
    ///
    /// ```text
    ///     flop     6·N·C·E
    ///     bytes/4  2·N·E + 2·C·E        q, table and their gradients
    ///            + 2·N + 2·C            targets and weights; biases and their gradient
    /// ```
    ///
    /// The scores are not counted: no block of them has to leave the caches.
    pub(super) fn softmax(positions: f64, columns: usize, width: usize) -> Self {
        let (columns, width) = (columns as f64, width as f64);
        Self {
            flop: 6.0 * positions * columns * width,
            bytes: F32 * 2.0 * (positions + columns) * (width + 1.0),
        }
    }
}

impl std::iter::Sum for Work {
    fn sum<I: Iterator<Item = Self>>(works: I) -> Self {
        works.fold(Self { flop: 0.0, bytes: 0.0 }, |sum, work| Self {
            flop: sum.flop + work.flop,
            bytes: sum.bytes + work.bytes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_small_enough_to_count_by_hand() {
        // N = 6, I = 2, H = 3: 12 rows of w_x and w_h, 60 weights, 12 biases; a position has 8 numbers
        // of x, c and h, and 12 gates, which training writes and reads.
        let dims = RecurrentDims::lstm(2, 3);
        let forward = Work::recurrent(Mode::Forward, 6.0, 3, dims, None);
        assert_eq!(forward, Work { flop: 720.0, bytes: 4.0 * (60.0 + 12.0 + 48.0) });
        let training = Work::recurrent(Mode::Training, 6.0, 3, dims, None);
        let backward = 144.0 + 48.0 + 60.0 + 144.0 + 30.0;
        assert_eq!(training, Work { flop: 2160.0, bytes: forward.bytes + 4.0 * backward });
    }

    #[test]
    fn weights_that_no_cache_holds_are_fetched_at_every_step() {
        // w_h has 36 numbers, 144 bytes; two steps of three fetch it again.
        let dims = RecurrentDims::lstm(2, 3);
        let bytes = |mode, cache| Work::recurrent(mode, 6.0, 3, dims, cache).bytes;
        for (mode, ways) in [(Mode::Forward, 1.0), (Mode::Training, 2.0)] {
            assert_eq!(bytes(mode, Some(144)), bytes(mode, None));
            assert_eq!(bytes(mode, Some(143)), bytes(mode, None) + ways * 288.0);
        }
    }

    #[test]
    fn a_step_small_enough_to_count_by_hand() {
        // H = 3: 36 weights, a row of 12, states of 6 read and of 6 written.
        let expected = Work { flop: 72.0, bytes: 4.0 * (36.0 + 12.0 + 12.0) };
        assert_eq!(Work::step(RecurrentDims::lstm(1, 3)), expected);
    }

    #[test]
    fn a_softmax_small_enough_to_count_by_hand() {
        let expected = Work { flop: 6.0 * 60.0, bytes: 4.0 * (12.0 + 40.0 + 6.0 + 20.0) };
        assert_eq!(Work::softmax(3.0, 10, 2), expected);
    }

    #[test]
    fn the_floor_is_the_slower_of_the_two() {
        let work = Work { flop: 100.0, bytes: 30.0 };
        assert_eq!((work.floor(50.0, 20.0), work.floor(50.0, 10.0)), (2.0, 3.0));
    }
}
