//! A part of many things, drawn at random.

use layout::random::Stream;

use crate::streams::SAMPLE;

/// Draws `count` of `0..of` without putting any back, in rising order; all of them where there are no more.
pub fn sample(of: usize, count: usize, seed: u64) -> Vec<usize> {
    draw(of, count, Stream::new(seed, SAMPLE, 0))
}

/// The same from a stream of random numbers: each number's place in a random order decides.
pub(crate) fn draw(of: usize, count: usize, stream: Stream) -> Vec<usize> {
    if count >= of {
        return (0..of).collect();
    }
    let mut order: Vec<usize> = (0..of).collect();
    stream.shuffle(&mut order);
    order.truncate(count);
    order.sort_unstable();
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_no_number_twice_and_is_that_of_its_seed() {
        let some = sample(100, 20, 7);
        assert_eq!(some.len(), 20);
        assert!(some.is_sorted_by(|a, b| a < b) && some[19] < 100);
        assert_eq!(some, sample(100, 20, 7));
        assert_ne!(some, sample(100, 20, 8));
        assert_eq!(sample(3, 5, 1), [0, 1, 2]);
    }
}
