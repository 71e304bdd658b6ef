//! The gated recurrent unit: two gates and one state.
//!
//! ```text
//!     z   = x·w_xᵀ + b + h_prev·w_hᵀ                  of the blocks r z; the letter is the gate's, too
//!     q   = h_prev·w_hnᵀ + b_hn                       what the candidate hears of the past
//!     r z = σ(z_r) σ(z_z)                             how much it hears; how much stays as it was
//!     n   = tanh(x·w_xnᵀ + b_n + r ⊙ q)               the candidate
//!     h   = (1 − z) ⊙ n + z ⊙ h_prev
//! ```
//!
//! The candidate has two biases that matter: `b_n` outside of the reset product and `b_hn` inside it,
//! as in PyTorch and cuDNN. In the paper r multiplies `h_prev` before its product with `w_hn`; after
//! it, as here, one product serves all three blocks.
//!
//! # Source
//!
//! K. Cho et al., "Learning phrase representations using RNN encoder–decoder for statistical machine
//! translation", EMNLP 2014. Block order r z n and the place of r are those of PyTorch's `nn.GRU`.

use ndarray::{ArrayView2, ArrayViewMut2, NdFloat};

use crate::sigmoid;

/// Number of blocks of H in the pre-activations.
const GATES: usize = 3;

/// What the forward pass keeps of one step so that the step can be undone.
#[derive(Debug, Clone, Copy)]
pub struct StepTape<'a, S> {
    /// Activated gates `r z n`, `[B, 3H]`.
    pub a: ArrayView2<'a, S>,
    /// What the candidate heard of the past, `[B, H]`.
    pub q: ArrayView2<'a, S>,
    /// Hidden state before the step, `[B, H]`.
    pub h_prev: ArrayView2<'a, S>,
}

/// Opens the gates: from the pre-activations of one step to its hidden state.
///
/// ```text
///     r = σ(z_r)    z = σ(z_z)    n = tanh(z_n + r ⊙ q)
///     h = (1 − z) ⊙ n + z ⊙ h_prev
/// ```
///
/// # Shapes
///
/// | argument | shape     | on entry                                  | on return                     |
/// |----------|-----------|-------------------------------------------|-------------------------------|
/// | `q`      | `[B, H]`  | `h_prev·w_hnᵀ + b_hn`                     | untouched                     |
/// | `h_prev` | `[B, H]`  | hidden state before the step              | untouched                     |
/// | `a`      | `[B, 3H]` | `z_r`, `z_z`, and `z_n = x·w_xnᵀ + b_n`   | the gates r z n, in place     |
/// | `h`      | `[B, H]`  | anything                                  | replaced                      |
///
/// # Panics
///
/// Debug builds check the shapes.
pub fn cell_forward<S: NdFloat>(
    q: ArrayView2<'_, S>,
    h_prev: ArrayView2<'_, S>,
    mut a: ArrayViewMut2<'_, S>,
    mut h: ArrayViewMut2<'_, S>,
) {
    let (batch, hidden) = h_prev.dim();
    debug_assert_eq!(q.dim(), (batch, hidden), "q is [B, H]");
    debug_assert_eq!(a.dim(), (batch, GATES * hidden), "a is [B, 3H]");
    debug_assert_eq!(h.dim(), (batch, hidden), "h is [B, H]");

    let one = S::one();
    for b in 0..batch {
        for j in 0..hidden {
            let [at_r, at_z, at_n] = gates(hidden, j);
            let (r, z) = (sigmoid(a[[b, at_r]]), sigmoid(a[[b, at_z]]));
            let n = (a[[b, at_n]] + r * q[[b, j]]).tanh();

            h[[b, j]] = (one - z) * n + z * h_prev[[b, j]];

            (a[[b, at_r]], a[[b, at_z]], a[[b, at_n]]) = (r, z, n);
        }
    }
}

/// Undoes [`cell_forward`]: from the gradient that reaches `h` to those of the pre-activations, of
/// what the candidate heard of the past, and of the hidden state before as far as it went by the
/// products.
///
/// ```text
///     h = (1 − z) ⊙ n + z ⊙ h_prev        n = tanh(z_n + r ⊙ q)
///
///     dz_z    = dh ⊙ (h_prev − n) ⊙ z ⊙ (1 − z)
///     dz_n    = dh ⊙ (1 − z) ⊙ (1 − n²)
///     dz_r    = dz_n ⊙ q ⊙ r ⊙ (1 − r)
///     dq      = dz_n ⊙ r
///     dh_prev = dh ⊙ z                        the rest comes through the products
/// ```
///
/// # Shapes
///
/// | argument  | shape     | on entry                                 | on return         |
/// |-----------|-----------|------------------------------------------|-------------------|
/// | `step`    | see type  | as [`cell_forward`] left it              | untouched         |
/// | `dh`      | `[B, H]`  | ∂L/∂h, from above and from the next step | untouched         |
/// | `dz`      | `[B, 3H]` | anything                                 | r z n, replaced   |
/// | `dq`      | `[B, H]`  | anything                                 | replaced          |
/// | `dh_prev` | `[B, H]`  | anything                                 | replaced          |
///
/// # Panics
///
/// Debug builds check the shapes.
pub fn cell_backward<S: NdFloat>(
    step: StepTape<'_, S>,
    dh: ArrayView2<'_, S>,
    mut dz: ArrayViewMut2<'_, S>,
    mut dq: ArrayViewMut2<'_, S>,
    mut dh_prev: ArrayViewMut2<'_, S>,
) {
    let (batch, hidden) = step.h_prev.dim();
    debug_assert_eq!(step.a.dim(), (batch, GATES * hidden), "a is [B, 3H]");
    debug_assert_eq!(step.q.dim(), (batch, hidden), "q is [B, H]");
    debug_assert_eq!(dh.dim(), (batch, hidden), "dh is [B, H]");
    debug_assert_eq!(dz.dim(), (batch, GATES * hidden), "dz is [B, 3H]");
    debug_assert_eq!(dq.dim(), (batch, hidden), "dq is [B, H]");
    debug_assert_eq!(dh_prev.dim(), (batch, hidden), "dh_prev is [B, H]");

    let one = S::one();
    for b in 0..batch {
        for j in 0..hidden {
            let [at_r, at_z, at_n] = gates(hidden, j);
            let [r, z, n] = [at_r, at_z, at_n].map(|column| step.a[[b, column]]);
            let dh = dh[[b, j]];

            let dz_n = dh * (one - z) * (one - n * n);

            dz[[b, at_r]] = dz_n * step.q[[b, j]] * r * (one - r);
            dz[[b, at_z]] = dh * (step.h_prev[[b, j]] - n) * z * (one - z);
            dz[[b, at_n]] = dz_n;

            dq[[b, j]] = dz_n * r;
            dh_prev[[b, j]] = dh * z;
        }
    }
}

/// The columns of `[B, 3H]` in which unit `j` has r, z and n.
fn gates(hidden: usize, j: usize) -> [usize; GATES] {
    [j, hidden + j, 2 * hidden + j]
}
