//! Random zeros, named by where they fall.

use layout::random::Stream;
use ndarray::{ArrayViewMut2, NdFloat};

use crate::real;

/// Sets entries to zero with probability `rate` and enlarges the others, so that the mean stays.
/// The same call on a gradient is its backward: the mask is a function of the stream, not of the
/// values.
///
/// ```text
///     x[e] = 0                     where u_e < rate,  u_e uniform in [0, 1), number e of the stream
///     x[e] = x[e] / (1 − rate)     elsewhere          e counts entries row after row
/// ```
///
/// # Shapes
///
/// | argument | shape    | on entry              | on return |
/// |----------|----------|-----------------------|-----------|
/// | `rate`   |          | in `[0, 1)`           |           |
/// | `stream` |          | the site and the step |           |
/// | `x`      | `[N, E]` | values, or gradients  | in place  |
pub fn dropout<S: NdFloat>(rate: f32, stream: Stream, mut x: ArrayViewMut2<'_, S>) {
    debug_assert!((0.0..1.0).contains(&rate), "rate is in [0, 1)");
    let keep = S::one() - real(rate);
    for (e, x) in x.iter_mut().enumerate() {
        *x = if stream.uniform(e as u64) < rate { S::zero() } else { *x / keep };
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    #[test]
    fn the_mask_is_named_by_the_entry_and_the_mean_stays() {
        let stream = Stream::new(3, 1, 4);
        let mut x = Array2::from_elem((100, 50), 1.0f32);
        dropout(0.25, stream, x.view_mut());
        for (e, &x) in x.iter().enumerate() {
            let expected = if stream.uniform(e as u64) < 0.25 { 0.0 } else { 1.0 / 0.75 };
            assert_eq!(x, expected, "entry {e}");
        }
        let mean = x.sum() / 5000.0;
        assert!((mean - 1.0).abs() < 4.0 * (0.25f32 / 0.75 / 5000.0).sqrt(), "{mean}");
    }

    #[test]
    fn a_rate_of_zero_changes_nothing() {
        let mut x = testkit::wave((4, 3), 0.4);
        dropout(0.0, Stream::new(1, 1, 1), x.view_mut());
        assert_eq!(x, testkit::wave((4, 3), 0.4));
    }
}
