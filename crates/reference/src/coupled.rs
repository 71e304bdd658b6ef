//! The LSTM whose input gate is what its forget gate leaves: three blocks in place of four.
//!
//! ```text
//!     z    = x·w_xᵀ + b + h_prev·w_hᵀ                 pre-activations, blocks f g o of H
//!     f o  = σ(z_f) σ(z_o)      g = tanh(z_g)
//!     c    = f ⊙ c_prev + (1 − f) ⊙ g                 what leaves makes room for what enters
//!     h    = o ⊙ tanh(c)
//! ```
//!
//! # Source
//!
//! K. Greff, R. Srivastava, J. Koutník, B. Steunebrink, J. Schmidhuber, "LSTM: a search space
//! odyssey", IEEE Transactions on Neural Networks and Learning Systems 28(10), 2017, variant CIFG;
//! there the input gate is kept, here the forget gate, so that its bias may start above zero.

use ndarray::{ArrayView2, ArrayViewMut2, NdFloat};

use crate::lstm::StepTape;
use crate::sigmoid;

/// Number of gates.
const GATES: usize = 3;

/// Opens the gates: from the pre-activations of one step to its cell and hidden state.
///
/// ```text
///     f = σ(z_f)    g = tanh(z_g)    o = σ(z_o)
///     c = f ⊙ c_prev + (1 − f) ⊙ g
///     h = o ⊙ tanh(c)
/// ```
///
/// # Shapes
///
/// | argument | shape     | on entry                       | on return                       |
/// |----------|-----------|--------------------------------|---------------------------------|
/// | `c_prev` | `[B, H]`  | cell state before the step     | untouched                       |
/// | `a`      | `[B, 3H]` | z, the pre-activations f g o   | the activated gates, in place   |
/// | `c`      | `[B, H]`  | anything                       | replaced                        |
/// | `h`      | `[B, H]`  | anything                       | replaced                        |
///
/// # Panics
///
/// Debug builds check the shapes.
pub fn cell_forward<S: NdFloat>(
    c_prev: ArrayView2<'_, S>,
    mut a: ArrayViewMut2<'_, S>,
    mut c: ArrayViewMut2<'_, S>,
    mut h: ArrayViewMut2<'_, S>,
) {
    let (batch, hidden) = c_prev.dim();
    debug_assert_eq!(a.dim(), (batch, GATES * hidden), "a is [B, 3H]");
    debug_assert_eq!(c.dim(), (batch, hidden), "c is [B, H]");
    debug_assert_eq!(h.dim(), (batch, hidden), "h is [B, H]");

    let one = S::one();
    for b in 0..batch {
        for j in 0..hidden {
            let [at_f, at_g, at_o] = gates(hidden, j);
            let (f, g, o) = (sigmoid(a[[b, at_f]]), a[[b, at_g]].tanh(), sigmoid(a[[b, at_o]]));

            c[[b, j]] = f * c_prev[[b, j]] + (one - f) * g;
            h[[b, j]] = o * c[[b, j]].tanh();

            (a[[b, at_f]], a[[b, at_g]], a[[b, at_o]]) = (f, g, o);
        }
    }
}

/// Undoes [`cell_forward`]: from the gradients that reach `h` and `c` to those of the three
/// pre-activations and of the cell state before.
///
/// ```text
///     h = o ⊙ u        u = tanh(c)        c = f ⊙ c_prev + (1 − f) ⊙ g
///
///     dc      = dc_carry + dh ⊙ o ⊙ (1 − u²)
///     dz_f    = dc ⊙ (c_prev − g) ⊙ f ⊙ (1 − f)      f opens one door and shuts the other
///     dz_g    = dc ⊙ (1 − f) ⊙ (1 − g²)
///     dz_o    = dh ⊙ u ⊙ o ⊙ (1 − o)
///     dc_prev = dc ⊙ f
/// ```
///
/// # Shapes
///
/// | argument   | shape     | on entry                                  | on return            |
/// |------------|-----------|-------------------------------------------|----------------------|
/// | `step`     | see type  | as [`cell_forward`] left it, `a` `[B, 3H]`| untouched            |
/// | `dh`       | `[B, H]`  | ∂L/∂h, from above and from the next step  | untouched            |
/// | `dc_carry` | `[B, H]`  | ∂L/∂c, only what the next step sends back | untouched            |
/// | `dz`       | `[B, 3H]` | anything                                  | f g o, replaced      |
/// | `dc_prev`  | `[B, H]`  | anything                                  | replaced             |
///
/// # Panics
///
/// Debug builds check the shapes.
pub fn cell_backward<S: NdFloat>(
    step: StepTape<'_, S>,
    dh: ArrayView2<'_, S>,
    dc_carry: ArrayView2<'_, S>,
    mut dz: ArrayViewMut2<'_, S>,
    mut dc_prev: ArrayViewMut2<'_, S>,
) {
    let (batch, hidden) = step.c.dim();
    debug_assert_eq!(step.a.dim(), (batch, GATES * hidden), "a is [B, 3H]");
    debug_assert_eq!(dh.dim(), (batch, hidden), "dh is [B, H]");
    debug_assert_eq!(dc_carry.dim(), (batch, hidden), "dc_carry is [B, H]");
    debug_assert_eq!(dz.dim(), (batch, GATES * hidden), "dz is [B, 3H]");
    debug_assert_eq!(dc_prev.dim(), (batch, hidden), "dc_prev is [B, H]");

    let one = S::one();
    for b in 0..batch {
        for j in 0..hidden {
            let [at_f, at_g, at_o] = gates(hidden, j);
            let [f, g, o] = [at_f, at_g, at_o].map(|column| step.a[[b, column]]);
            let u = step.c[[b, j]].tanh();
            let dh = dh[[b, j]];

            let dc = dc_carry[[b, j]] + dh * o * (one - u * u);

            dz[[b, at_f]] = dc * (step.c_prev[[b, j]] - g) * f * (one - f);
            dz[[b, at_g]] = dc * (one - f) * (one - g * g);
            dz[[b, at_o]] = dh * u * o * (one - o);

            dc_prev[[b, j]] = dc * f;
        }
    }
}

/// The columns of `[B, 3H]` in which unit `j` has f, g and o.
fn gates(hidden: usize, j: usize) -> [usize; GATES] {
    [j, hidden + j, 2 * hidden + j]
}
