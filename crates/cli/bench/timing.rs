//! Timing: warm up, take samples, say how far they lie apart.

use std::time::Instant;

/// Samples of a result, at least.
const LEAST: usize = 5;
/// Seconds of a sample, at least: many short calls make one.
const SAMPLE: f64 = 1e-3;

/// The seconds of one call of `work`, again and again for `seconds` (five samples at least), after
/// a warm-up of a fifth of that, in which memory is taken and caches fill: two calls at least, or one
/// that is longer than all of this. A sample is the mean of as many calls as a millisecond holds.
///
/// # Errors
///
/// The first of `work`.
pub(super) fn sample<E>(
    seconds: f64,
    mut work: impl FnMut() -> Result<(), E>,
) -> Result<Vec<f64>, E> {
    let mut time = |calls: usize| {
        let begin = Instant::now();
        for _ in 0..calls {
            work()?;
        }
        Ok(begin.elapsed().as_secs_f64() / calls as f64)
    };
    let begin = Instant::now();
    let mut call = time(1)?;
    if call < seconds {
        call = time(1)?;
    }
    while begin.elapsed().as_secs_f64() < seconds / 5.0 {
        call = call.min(time(1)?);
    }
    let calls = (SAMPLE / call.max(1e-9)).ceil() as usize;
    let mut samples = Vec::new();
    let begin = Instant::now();
    while samples.len() < LEAST || begin.elapsed().as_secs_f64() < seconds {
        samples.push(time(calls)?);
    }
    Ok(samples)
}

/// The sample below which a share of them lies, between two neighbours where it falls there.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    below + (above - below) * place.fract()
}

/// The median, and the width of the middle half of the samples over it.
pub(crate) fn median_and_spread(samples: &[f64]) -> (f64, f64) {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let [low, median, high] = [0.25, 0.5, 0.75].map(|share| quantile(&sorted, share));
    (median, (high - low) / median)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_half_is_what_counts() {
        assert_eq!(median_and_spread(&[9.0, 1.0, 2.0, 4.0, 3.0]), (3.0, 2.0 / 3.0));
        assert_eq!(median_and_spread(&[4.0, 2.0]), (3.0, 1.0 / 3.0));
        assert_eq!(median_and_spread(&[5.0; 7]), (5.0, 0.0));
    }

    #[test]
    fn there_are_five_samples_and_short_calls_are_taken_together() {
        let mut calls = 0;
        let work = || {
            calls += 1;
            Ok::<_, ()>(())
        };
        let samples = sample(0.0, work).unwrap();
        assert_eq!(samples.len(), 5);
        assert!(calls > 100, "{calls}");
        assert_eq!(sample(0.0, || Err("broken")), Err("broken"));
    }
}
