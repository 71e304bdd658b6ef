//! What the machine can do at most: fused multiply-adds on registers, no memory at all.

use crate::Cpu;
use crate::simd::{Kernel, Lanes};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Chains of dependent FMAs side by side: more than latency times throughput asks for.
const CHAINS: usize = 12;
const ROUNDS: usize = 1 << 16;

impl Cpu {
    /// FMA peak of all threads together in FLOP/s, the best of many short rounds within `time`: the
    /// rate that no product can pass. A multiply-add counts two.
    pub fn peak(&self, time: Duration) -> f64 {
        let begin = Instant::now();
        let mut best = 0f64;
        while best == 0.0 || begin.elapsed() < time {
            let round = Instant::now();
            let flop: f64 = self.pool.broadcast(|_| self.path.run(Chains)).into_iter().sum();
            best = best.max(flop / round.elapsed().as_secs_f64());
        }
        best
    }
}

struct Chains;

impl Kernel for Chains {
    /// FLOP done.
    type Output = f64;

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> f64 {
        // Towards 1, through numbers that are neither huge nor denormal.
        let (factor, term) = (lanes.splat(black_box(0.5)), lanes.splat(black_box(0.5)));
        let mut sums = [lanes.splat(black_box(2.0)); CHAINS];
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = lanes.mul_add(*sum, factor, term);
            }
        }
        let mut total = 0.0;
        for sum in sums {
            total += lanes.sum(sum);
        }
        black_box(total);
        (2 * L::WIDTH * CHAINS * ROUNDS) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Path;

    #[test]
    fn the_peak_is_a_rate() {
        for path in Path::available() {
            let cpu = Cpu::with_path(1, path).unwrap();
            let peak = cpu.peak(Duration::from_millis(5));
            assert!(peak > 1e8 && peak < 1e13, "{path:?}: {peak:e} FLOP/s");
        }
    }
}
