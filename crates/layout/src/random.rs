//! Random numbers that are a function of where they are needed, not of what was drawn before.
//!
//! Philox 4x32-10: a counter of 128 bits and a key of 64 bits give four words of 32 bits. A dropout
//! mask, an initial weight or a sampled item is named by (seed, stream, step, index); so any thread
//! on any device can make it, and a resumed run needs no saved generator.
//!
//! # Source
//!
//! J. Salmon, M. Moraes, R. Dror, D. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
const ROUNDS: usize = 10;

/// Four words for one counter and one key.
#[inline]
pub fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for round in 0..ROUNDS {
        if round > 0 {
            key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
        }
        let product = [0, 1].map(|k| u64::from(MULTIPLIERS[k]) * u64::from(counter[2 * k]));
        let [high_0, high_1] = product.map(|p| (p >> 32) as u32);
        let [low_0, low_1] = product.map(|p| p as u32);
        counter = [high_1 ^ counter[1] ^ key[0], low_1, high_0 ^ counter[3] ^ key[1], low_0];
    }
    counter
}

/// A random word as a number in `[0, 1)`: its upper 24 bits, exact in f32.
#[inline(always)]
pub fn uniform(word: u32) -> f32 {
    (word >> 8) as f32 * (1.0 / 16_777_216.0)
}

/// An endless, addressable sequence of random words.
///
/// Two streams with different (seed, name, step) share nothing. A *name* is what the numbers are
/// for: a constant of the caller, such as one per dropout site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream {
    key: [u32; 2],
    name: u32,
    step: u32,
}

impl Stream {
    /// The stream of a seed for one purpose at one step.
    pub fn new(seed: u64, name: u32, step: u32) -> Self {
        Self { key: [seed as u32, (seed >> 32) as u32], name, step }
    }

    /// Words `4 · block .. 4 · block + 4`.
    #[inline]
    pub fn block(&self, block: u64) -> [u32; 4] {
        philox([block as u32, (block >> 32) as u32, self.name, self.step], self.key)
    }

    /// Blocks `first..first + LANES` side by side: word w of block `first + lane` is `[w][lane]`. The
    /// same numbers as [`Stream::block`], in the order in which vector instructions make them.
    #[inline(always)]
    pub fn blocks<const LANES: usize>(&self, first: u64) -> [[u32; LANES]; 4] {
        // A word lies in the lower half of 64 bits, and what stands above it is nobody's business:
        // so a product of two words is one instruction. A lane goes through all its rounds in
        // straight lines, which the compiler does for several lanes at once.
        const WORD: u64 = u32::MAX as u64;
        let mut words = [[0; LANES]; 4];
        let [w_0, w_1, w_2, w_3] = &mut words;
        for lane in 0..LANES {
            let block = first.wrapping_add(lane as u64);
            let (mut c_0, mut c_1) = (block, block >> 32);
            let (mut c_2, mut c_3) = (u64::from(self.name), u64::from(self.step));
            let mut key = self.key;
            for _ in 0..ROUNDS {
                let product_0 = u64::from(MULTIPLIERS[0]) * (c_0 & WORD);
                let product_1 = u64::from(MULTIPLIERS[1]) * (c_2 & WORD);
                c_0 = (product_1 >> 32) ^ c_1 ^ u64::from(key[0]);
                c_1 = product_1;
                c_2 = (product_0 >> 32) ^ c_3 ^ u64::from(key[1]);
                c_3 = product_0;
                key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
            }
            (w_0[lane], w_1[lane]) = (c_0 as u32, c_1 as u32);
            (w_2[lane], w_3[lane]) = (c_2 as u32, c_3 as u32);
        }
        words
    }

    /// Word number `index`.
    #[inline]
    pub fn word(&self, index: u64) -> u32 {
        self.block(index / 4)[(index % 4) as usize]
    }

    /// Number `index`, uniform in `[0, 1)` with 24 bits: exact in f32.
    #[inline]
    pub fn uniform(&self, index: u64) -> f32 {
        uniform(self.word(index))
    }

    /// Number `index`, normal with mean 0 and variance 1 (Box and Muller, one pair a block).
    pub fn normal(&self, index: u64) -> f64 {
        let [a, b, c, d] = self.block(index / 2);
        let unit = |high: u32, low: u32| {
            // 53 bits in (0, 1]: the logarithm never sees zero.
            ((((u64::from(high) << 32) | u64::from(low)) >> 11) + 1) as f64 / (1u64 << 53) as f64
        };
        let radius = (-2.0 * unit(a, b).ln()).sqrt();
        let angle = std::f64::consts::TAU * unit(c, d);
        radius * if index.is_multiple_of(2) { angle.cos() } else { angle.sin() }
    }

    /// Number `index`, uniform among `0..bound` (Lemire's multiplication; bias below `bound / 2³²`).
    #[inline]
    pub fn below(&self, index: u64, bound: u32) -> u32 {
        ((u64::from(self.word(index)) * u64::from(bound)) >> 32) as u32
    }

    /// Puts `values` in a random order (Fisher and Yates).
    pub fn shuffle<T>(&self, values: &mut [T]) {
        for last in (1..values.len()).rev() {
            let other = self.below(last as u64, last as u32 + 1) as usize;
            values.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The three vectors published with the authors' Random123 library (`kat_vectors`).
    #[test]
    fn philox_gives_the_published_vectors() {
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(
            philox([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            philox(
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0]
            ),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn blocks_side_by_side_are_the_same_numbers() {
        let stream = Stream::new(0x1234_5678_9abc_def0, 5, 6);
        for first in [0, 3, u64::from(u32::MAX) - 4] {
            let blocks = stream.blocks::<8>(first);
            for (lane, number) in (first..first + 8).enumerate() {
                assert_eq!(blocks.map(|word| word[lane]), stream.block(number));
            }
        }
    }

    #[test]
    fn uniform_and_normal_have_their_moments() {
        let stream = Stream::new(1, 2, 3);
        let n = 100_000;
        let mean = (0..n).map(|i| f64::from(stream.uniform(i))).sum::<f64>() / n as f64;
        assert!((mean - 0.5).abs() < 4.0 * (1.0 / 12f64).sqrt() / (n as f64).sqrt(), "{mean}");
        let normal: Vec<f64> = (0..n).map(|i| stream.normal(i)).collect();
        let mean = normal.iter().sum::<f64>() / n as f64;
        let variance = normal.iter().map(|x| x * x).sum::<f64>() / n as f64;
        assert!(mean.abs() < 4.0 / (n as f64).sqrt(), "{mean}");
        assert!((variance - 1.0).abs() < 4.0 * (2.0 / n as f64).sqrt(), "{variance}");
    }

    #[test]
    fn a_shuffle_keeps_every_value() {
        let mut values: Vec<u32> = (0..1000).collect();
        Stream::new(7, 0, 0).shuffle(&mut values);
        assert_ne!(values, (0..1000).collect::<Vec<_>>());
        values.sort_unstable();
        assert_eq!(values, (0..1000).collect::<Vec<_>>());
    }
}
