//! What the machine can do at most: fused multiply-adds on registers without any memory, and memory
//! or a cache read without any arithmetic to speak of.

use crate::Cpu;
use crate::simd::{Kernel, Lanes};
use layout::Aligned;
use std::hint::black_box;
use std::iter::repeat_n;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

/// Chains of dependent FMAs side by side: more than latency times throughput asks for.
const CHAINS: usize = 12;
/// The same on the portable path, whose registers of eight are two of the processor's at least, and
/// whose compiler would put more of them into memory.
const FEW_CHAINS: usize = 4;
const ROUNDS: usize = 1 << 16;

/// Memory that one thread reads in a round, in bytes: far more than its share of any cache.
const BYTES_PER_THREAD: usize = 128 << 20;
/// All threads together read no less than this, and no more: the largest caches hold a gigabyte.
const BYTES: RangeInclusive<usize> = 256 << 20..=4 << 30;
/// Registers of sums side by side, so that no load waits for an addition.
const SUMS: usize = 8;

/// Bytes read in a round of [`Cpu::read_rate`], at least: tens of microseconds, which a clock can
/// tell.
const BYTES_PER_ROUND: usize = 4 << 20;

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

    /// Bytes a second at which all threads together read memory that no cache holds, the best of
    /// many rounds within `time` (one at least). Each thread reads memory of its own, 128 MiB of it
    /// where that makes 256 MiB to 4 GiB in all; it is taken for the measurement and given back.
    pub fn bandwidth(&self, time: Duration) -> f64 {
        let threads = self.threads();
        let total = (threads * BYTES_PER_THREAD).clamp(*BYTES.start(), *BYTES.end());
        let numbers = total / threads / size_of::<f32>();
        // Written by the thread that reads it, so that it lies in memory, and near that thread.
        let blocks = self.pool.broadcast(|_| vec![1f32; numbers]);
        let bytes = (threads * numbers * size_of::<f32>()) as f64;
        let mut best = 0f64;
        let begin = Instant::now();
        while best == 0.0 || begin.elapsed() < time {
            let round = Instant::now();
            self.pool.broadcast(|thread| {
                black_box(self.path.run(Sum { values: &blocks[thread.index()], passes: 1 }))
            });
            best = best.max(bytes / round.elapsed().as_secs_f64());
        }
        best
    }

    /// Bytes a second at which one thread, the one that calls, reads the same `bytes` again and
    /// again, the best of many rounds within `time` (one at least): the rate of the smallest cache
    /// that holds them, or of memory where none does. Less than a register's worth counts as one.
    ///
    /// It is the bound of work that goes through the same weights at every step and does little
    /// with each: [`Cpu::recurrent_step`] has one multiply-add for each number of `w_h`, so it cannot
    /// take less time than `w_h` takes to arrive, and `bandwidth`, with all threads and no cache,
    /// says nothing about that.
    pub fn read_rate(&self, bytes: usize, time: Duration) -> f64 {
        let numbers = (bytes / size_of::<f32>()).max(self.path.width());
        let values: &[f32] = &repeat_n(1.0, numbers).collect::<Aligned<f32>>();
        let passes = BYTES_PER_ROUND.div_ceil(size_of_val(values));
        let mut best = 0f64;
        let begin = Instant::now();
        while best == 0.0 || begin.elapsed() < time {
            let round = Instant::now();
            black_box(self.path.run(Sum { values, passes }));
            let seconds = round.elapsed().as_secs_f64();
            best = best.max((passes * size_of_val(values)) as f64 / seconds);
        }
        best
    }
}

/// The sum of all values, `passes` times, which takes no longer than to read them as often.
struct Sum<'a> {
    values: &'a [f32],
    passes: usize,
}

impl Kernel for Sum<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> f32 {
        let mut sums = [lanes.splat(0.0); SUMS];
        for _ in 0..self.passes {
            // Nobody may know that the next pass reads what this one has read.
            let mut blocks = black_box(self.values).chunks_exact(SUMS * L::WIDTH);
            for block in &mut blocks {
                for (k, sum) in sums.iter_mut().enumerate() {
                    *sum = lanes.add(*sum, lanes.load(&block[k * L::WIDTH..][..L::WIDTH]));
                }
            }
            for (k, rest) in blocks.remainder().chunks(L::WIDTH).enumerate() {
                sums[k] = lanes.add(sums[k], lanes.load_partial(rest));
            }
        }
        let mut total = 0.0;
        for sum in sums {
            total += lanes.sum(sum);
        }
        total
    }
}

struct Chains;

impl Kernel for Chains {
    /// FLOP done.
    type Output = f64;

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> f64 {
        if const { L::ROWS_OF_TWO < 6 } {
            chains::<L, FEW_CHAINS>(lanes)
        } else {
            chains::<L, CHAINS>(lanes)
        }
    }
}

#[inline(always)]
fn chains<L: Lanes, const COUNT: usize>(lanes: L) -> f64 {
    // Towards 1, through numbers that are neither huge nor denormal.
    let (factor, term) = (lanes.splat(black_box(0.5)), lanes.splat(black_box(0.5)));
    let mut sums = [lanes.splat(black_box(2.0)); COUNT];
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
    (2 * L::WIDTH * COUNT * ROUNDS) as f64
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

    #[test]
    fn the_bandwidth_is_a_rate() {
        let cpu = Cpu::with_path(2, Path::available()[0]).unwrap();
        let bandwidth = cpu.bandwidth(Duration::from_millis(5));
        assert!(bandwidth > 1e8 && bandwidth < 1e13, "{bandwidth:e} bytes/s");
    }

    #[test]
    fn the_read_rate_is_one_of_every_size() {
        for path in Path::available() {
            let cpu = Cpu::with_path(2, path).unwrap();
            for bytes in [0, 4, 1000, 64 << 10, 5 << 20] {
                let rate = cpu.read_rate(bytes, Duration::from_millis(2));
                assert!(rate > 1e8 && rate < 1e13, "{path:?} {bytes}: {rate:e} bytes/s");
            }
        }
    }

    #[test]
    fn every_value_is_read() {
        for path in Path::available() {
            for count in [0, 1, 127, 128, 1000] {
                let values: Vec<f32> = (0..count).map(|k| k as f32).collect();
                let sum = values.iter().sum::<f32>();
                for passes in [1, 3] {
                    let found = path.run(Sum { values: &values, passes });
                    assert_eq!(found, passes as f32 * sum, "{path:?} {count} {passes}");
                }
            }
        }
    }
}
