//! The plain recurrent network: no gate, no memory but what it shows.
//!
//! ```text
//!     z = x·w_xᵀ + b + h_prev·w_hᵀ
//!     h = tanh(z)
//! ```
//!
//! It is here as the foil: whatever it remembers passes through `w_h` and a tanh at every step, so its
//! gradient fades (or grows) by about the same factor each time, where the memory of an LSTM hands it
//! on through `f` alone.
//!
//! # Source
//!
//! J. Elman, "Finding structure in time", Cognitive Science 14(2), 1990; PyTorch's `nn.RNN`. The
//! fading: S. Hochreiter, "Untersuchungen zu dynamischen neuronalen Netzen", 1991.

use ndarray::{ArrayView2, ArrayViewMut2, NdFloat};

/// From the pre-activations of one step to its hidden state.
///
/// ```text
///     h = tanh(z)
/// ```
///
/// # Shapes
///
/// | argument | shape    | on entry               | on return             |
/// |----------|----------|------------------------|-----------------------|
/// | `a`      | `[B, H]` | z, the pre-activations | tanh z, in place      |
/// | `h`      | `[B, H]` | anything               | the same, replaced    |
///
/// # Panics
///
/// Debug builds check the shapes.
pub fn cell_forward<S: NdFloat>(mut a: ArrayViewMut2<'_, S>, mut h: ArrayViewMut2<'_, S>) {
    debug_assert_eq!(a.dim(), h.dim(), "a and h are [B, H]");
    a.mapv_inplace(S::tanh);
    h.assign(&a);
}

/// Undoes [`cell_forward`].
///
/// ```text
///     h  = tanh(z)
///     dz = dh ⊙ (1 − h²)
/// ```
///
/// # Shapes
///
/// | argument | shape    | on entry                                 | on return |
/// |----------|----------|------------------------------------------|-----------|
/// | `a`      | `[B, H]` | as [`cell_forward`] left it              | untouched |
/// | `dh`     | `[B, H]` | ∂L/∂h, from above and from the next step | untouched |
/// | `dz`     | `[B, H]` | anything                                 | replaced  |
///
/// # Panics
///
/// Debug builds check the shapes.
pub fn cell_backward<S: NdFloat>(
    a: ArrayView2<'_, S>,
    dh: ArrayView2<'_, S>,
    mut dz: ArrayViewMut2<'_, S>,
) {
    debug_assert_eq!(a.dim(), dh.dim(), "a and dh are [B, H]");
    debug_assert_eq!(a.dim(), dz.dim(), "a and dz are [B, H]");
    for ((b, j), dz) in dz.indexed_iter_mut() {
        *dz = dh[[b, j]] * (S::one() - a[[b, j]] * a[[b, j]]);
    }
}
