//! What makes one layer of two that read the same rows from their two ends.
//!
//! ```text
//!     r(p)  the position of p's row as far from its end as p is from its start
//!
//!     x̃_p = x_{r(p)}                        every row reversed within its own length
//!     h→  = one layer over x                h←  = another over x̃
//!     y_p = [ h→_p ; h←_{r(p)} ]            both have read the item of p last
//! ```
//!
//! r is its own inverse (`Steps::reversed`). No position is padding, so none has to be kept out.
//! The reversal of x is [`crate::embedding_forward`] by r, its derivative
//! [`crate::embedding_backward`]. Source: Schuster and Paliwal, *Bidirectional recurrent neural
//! networks* (1997).

use ndarray::{ArrayView2, ArrayViewMut2, NdFloat};

/// Puts the states of both directions side by side.
///
/// ```text
///     y_p = [ h→_p ; h←_{r(p)} ]
/// ```
///
/// # Shapes
///
/// | argument   | shape        | on entry                              | on return |
/// |------------|--------------|---------------------------------------|-----------|
/// | `reversed` | `[N]`        | r                                     | untouched |
/// | `forward`  | `[B + N, R]` | h→ in slots; slot 0, the start, is not read | untouched |
/// | `reverse`  | `[B + N, R]` | h← in slots, likewise                 | untouched |
/// | `y`        | `[N, 2R]`    | anything                              | replaced  |
pub fn directions_forward<S: NdFloat>(
    reversed: &[u32],
    forward: ArrayView2<'_, S>,
    reverse: ArrayView2<'_, S>,
    mut y: ArrayViewMut2<'_, S>,
) {
    let (positions, width) = (reversed.len(), forward.ncols());
    debug_assert_eq!(reverse.dim(), forward.dim(), "h of both directions is [B + N, R]");
    debug_assert_eq!(y.dim(), (positions, 2 * width), "y is [N, 2R]");

    let batch = forward.nrows() - positions;
    for p in 0..positions {
        for j in 0..width {
            y[[p, j]] = forward[[batch + p, j]];
            y[[p, width + j]] = reverse[[batch + reversed[p] as usize, j]];
        }
    }
}

/// Undoes [`directions_forward`]: each direction gets its half, in its own order.
///
/// ```text
///     y_p  = [ h→_p ; h←_{r(p)} ]
///     dh→_p = dy_p[..R]        dh←_p = dy_{r(p)}[R..]
/// ```
///
/// # Shapes
///
/// | argument   | shape     | on entry  | on return |
/// |------------|-----------|-----------|-----------|
/// | `reversed` | `[N]`     | r         | untouched |
/// | `dy`       | `[N, 2R]` | ∂L/∂y     | untouched |
/// | `forward`  | `[N, R]`  | anything  | ∂L/∂h→    |
/// | `reverse`  | `[N, R]`  | anything  | ∂L/∂h←    |
pub fn directions_backward<S: NdFloat>(
    reversed: &[u32],
    dy: ArrayView2<'_, S>,
    mut forward: ArrayViewMut2<'_, S>,
    mut reverse: ArrayViewMut2<'_, S>,
) {
    let (positions, width) = forward.dim();
    debug_assert_eq!(reverse.dim(), (positions, width), "dh of both directions is [N, R]");
    debug_assert_eq!(dy.dim(), (reversed.len(), 2 * width), "dy is [N, 2R]");

    for p in 0..positions {
        for j in 0..width {
            forward[[p, j]] = dy[[p, j]];
            reverse[[p, j]] = dy[[reversed[p] as usize, width + j]];
        }
    }
}
