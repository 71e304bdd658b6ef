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
