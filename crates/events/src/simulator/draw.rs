//! Where the choices of the process come from.
//!
//! The process asks for every choice through [`Choose`]. [`Dice`] answers at random; a test answers
//! by walking through all answers there are, so that the process itself, not a copy of it, says what
//! the filter must find.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Answers the choices of the process.
pub(super) trait Choose {
    /// One index, with a probability proportional to its weight.
    fn choose(&mut self, weights: &[f64]) -> usize;

    /// Whether something of this probability happens.
    fn happens(&mut self, probability: f64) -> bool {
        self.choose(&[1.0 - probability, probability]) == 1
    }
}

/// ChaCha8, one stream for the shop and one for every user: user 7 is the same in any log.
pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    /// The stream that the shop is drawn from; no user has this number.
    pub(super) fn for_shop(seed: u64) -> Self {
        Self::for_user(seed, u64::MAX)
    }

    /// The stream of one user.
    pub(super) fn for_user(seed: u64, user: u64) -> Self {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(user);
        Self(generator)
    }

    /// Uniform in `[0, 1)`, 53 bits.
    pub(super) fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Exponential with this mean.
    pub(super) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.uniform()).ln()
    }

    /// `0..count` in a random order (Fisher and Yates).
    pub(super) fn permutation(&mut self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        for last in (1..count).rev() {
            order.swap(last, (self.uniform() * (last + 1) as f64) as usize);
        }
        order
    }
}

impl Choose for Dice {
    fn choose(&mut self, weights: &[f64]) -> usize {
        let mut left = self.uniform() * weights.iter().sum::<f64>();
        let mut chosen = 0;
        for (index, &weight) in weights.iter().enumerate() {
            // What has no weight is never chosen, not even where rounding leaves a rest.
            if weight > 0.0 {
                chosen = index;
                if left < weight {
                    break;
                }
                left -= weight;
            }
        }
        chosen
    }
}
