//! Random zeros, named by where they fall; and what a mask that stays leaves of a recurrence.

use layout::Accumulate;
use layout::random::Stream;
use ndarray::{ArrayView2, ArrayViewMut2, NdFloat};

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

/// What the recurrent product reads of the hidden states before a step: a row of factors for each row
/// of the batch, the same at all its steps. Everything else (the layer above, the GRU's `z ⊙ h_prev`)
/// sees the states themselves.
///
/// ```text
///     masked = mask ⊙ h_prev                 mask: 0 with probability p, or else 1 / (1 − p)
///     z      = x·w_xᵀ + b + masked·w_hᵀ
/// ```
///
/// A mask drawn anew at each step would leave little of any memory after some of them; one that stays
/// takes some units out of the recurrence and leaves the others their whole past.
///
/// # Shapes
///
/// | argument | shape    | on entry                      | on return |
/// |----------|----------|-------------------------------|-----------|
/// | `mask`   | `[B, R]` | the factors                   | untouched |
/// | `h_prev` | `[B, R]` | hidden states before the step | untouched |
/// | `masked` | `[B, R]` | anything                      | replaced  |
///
/// # Source
///
/// Y. Gal, Z. Ghahramani, "A theoretically grounded application of dropout in recurrent neural
/// networks", NIPS 2016, with one mask for all gates, as one product serves them all.
pub fn mask_forward<S: NdFloat>(
    mask: ArrayView2<'_, S>,
    h_prev: ArrayView2<'_, S>,
    mut masked: ArrayViewMut2<'_, S>,
) {
    let (batch, width) = h_prev.dim();
    debug_assert_eq!(mask.dim(), (batch, width), "mask is [B, R]");
    debug_assert_eq!(masked.dim(), (batch, width), "masked is [B, R]");
    for b in 0..batch {
        for j in 0..width {
            masked[[b, j]] = mask[[b, j]] * h_prev[[b, j]];
        }
    }
}

/// Undoes [`mask_forward`]: what the recurrent product sends back passes the same mask.
///
/// ```text
///     dh_prev (+)= mask ⊙ dmasked            masked = mask ⊙ h_prev
/// ```
///
/// # Shapes
///
/// | argument  | shape    | on entry                              | on return            |
/// |-----------|----------|---------------------------------------|----------------------|
/// | `mask`    | `[B, R]` | as forward read it                    | untouched            |
/// | `dmasked` | `[B, R]` | ∂L/∂masked: `dz_h·w_h`                | untouched            |
/// | `dh_prev` | `[B, R]` | what other readers of h have sent, or anything | added to, or replaced |
pub fn mask_backward<S: NdFloat>(
    mask: ArrayView2<'_, S>,
    dmasked: ArrayView2<'_, S>,
    accumulate: Accumulate,
    mut dh_prev: ArrayViewMut2<'_, S>,
) {
    let (batch, width) = dmasked.dim();
    debug_assert_eq!(mask.dim(), (batch, width), "mask is [B, R]");
    debug_assert_eq!(dh_prev.dim(), (batch, width), "dh_prev is [B, R]");
    for b in 0..batch {
        for j in 0..width {
            let sent = mask[[b, j]] * dmasked[[b, j]];
            dh_prev[[b, j]] = match accumulate {
                Accumulate::Replace => sent,
                Accumulate::Add => dh_prev[[b, j]] + sent,
            };
        }
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
