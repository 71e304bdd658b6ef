//! Zoneout: some units keep the state that they had.
//!
//! ```text
//!     c_t = k_c ⊙ c_{t−1} + (1 − k_c) ⊙ ĉ_t         ĉ_t, ĥ_t: what the cell makes of the step
//!     h_t = k_h ⊙ h_{t−1} + (1 − k_h) ⊙ ĥ_t
//! ```
//!
//! In training k is 1 with the probability that `zoneout_c` or `zoneout_h` names, or else 0, drawn for
//! every position and unit; in answers it is that probability. Where dropout sets a state to zero, this
//! lets it pass unchanged, and its gradient with it. Written with the share `u = 1 − k` that enters, one
//! function serves both states; where there is a projection, ĥ is what it gives.
//!
//! # Source
//!
//! D. Krueger et al., "Zoneout: regularizing RNNs by randomly preserving hidden activations", ICLR 2017.

use ndarray::{ArrayView2, ArrayViewMut2, NdFloat};

/// Lets a new state enter where u is 1, and keeps the old one where it is 0.
///
/// ```text
///     state = prev + u ⊙ (new − prev)
/// ```
///
/// # Shapes
///
/// | argument | shape              | on entry                  | on return |
/// |----------|--------------------|---------------------------|-----------|
/// | `u`      | `[B, H]`, `[B, R]` | the share that enters     | untouched |
/// | `prev`   | as `u`             | the state before the step | untouched |
/// | `new`    | as `u`             | ĉ or ĥ                    | untouched |
/// | `state`  | as `u`             | anything                  | replaced  |
///
/// # Panics
///
/// Debug builds check the shapes.
pub fn zoneout_forward<S: NdFloat>(
    u: ArrayView2<'_, S>,
    prev: ArrayView2<'_, S>,
    new: ArrayView2<'_, S>,
    mut state: ArrayViewMut2<'_, S>,
) {
    let (batch, width) = u.dim();
    debug_assert_eq!(prev.dim(), (batch, width), "prev is as u");
    debug_assert_eq!(new.dim(), (batch, width), "new is as u");
    debug_assert_eq!(state.dim(), (batch, width), "state is as u");
    for b in 0..batch {
        for j in 0..width {
            state[[b, j]] = prev[[b, j]] + u[[b, j]] * (new[[b, j]] - prev[[b, j]]);
        }
    }
}

/// Undoes [`zoneout_forward`]: the gradient of the state goes where its value came from.
///
/// ```text
///     dnew  = u ⊙ dstate             state = prev + u ⊙ (new − prev)
///     dprev = (1 − u) ⊙ dstate       the rest comes through the cell
/// ```
///
/// # Shapes
///
/// | argument | shape              | on entry                         | on return           |
/// |----------|--------------------|----------------------------------|---------------------|
/// | `u`      | `[B, H]`, `[B, R]` | as forward read it               | untouched           |
/// | `dstate` | as `u`             | ∂L/∂state, from all who read it  | dnew, in its place  |
/// | `dprev`  | as `u`             | anything                         | replaced            |
///
/// # Panics
///
/// Debug builds check the shapes.
pub fn zoneout_backward<S: NdFloat>(
    u: ArrayView2<'_, S>,
    mut dstate: ArrayViewMut2<'_, S>,
    mut dprev: ArrayViewMut2<'_, S>,
) {
    let (batch, width) = u.dim();
    debug_assert_eq!(dstate.dim(), (batch, width), "dstate is as u");
    debug_assert_eq!(dprev.dim(), (batch, width), "dprev is as u");
    for b in 0..batch {
        for j in 0..width {
            let (u, d) = (u[[b, j]], dstate[[b, j]]);
            dprev[[b, j]] = (S::one() - u) * d;
            dstate[[b, j]] = u * d;
        }
    }
}
