//! The LSTM whose gates look at the memory: i and f at what it was, o at what it has become.
//!
//! ```text
//!     z    = x·w_xᵀ + b + h_prev·w_hᵀ                 pre-activations, blocks i f g o of H
//!     i f  = σ(z_i + p_i ⊙ c_prev)  σ(z_f + p_f ⊙ c_prev)
//!     g    = tanh(z_g)
//!     c    = f ⊙ c_prev + i ⊙ g
//!     o    = σ(z_o + p_o ⊙ c)
//!     h    = o ⊙ tanh(c)
//! ```
//!
//! Each unit sees its own memory alone: a peephole is a number, not a matrix.
//!
//! # Source
//!
//! F. Gers, N. Schraudolph, J. Schmidhuber, "Learning precise timing with LSTM recurrent networks",
//! Journal of Machine Learning Research 3, 2002.

use layout::GATES;
use ndarray::{ArrayView2, ArrayViewMut2, NdFloat};

use crate::lstm::{StepTape, gates};
use crate::sigmoid;

/// Rows of the peepholes `[3, H]`: to the input gate, to the forget gate, to the output gate.
const PEEPHOLES: usize = 3;

/// Opens the gates: from the pre-activations of one step to its cell and hidden state.
///
/// ```text
///     i = σ(z_i + p_i ⊙ c_prev)    f = σ(z_f + p_f ⊙ c_prev)    g = tanh(z_g)
///     c = f ⊙ c_prev + i ⊙ g
///     o = σ(z_o + p_o ⊙ c)
///     h = o ⊙ tanh(c)
/// ```
///
/// # Shapes
///
/// | argument | shape     | on entry                       | on return                       |
/// |----------|-----------|--------------------------------|---------------------------------|
/// | `p`      | `[3, H]`  | peepholes, rows i f o          | untouched                       |
/// | `c_prev` | `[B, H]`  | cell state before the step     | untouched                       |
/// | `a`      | `[B, 4H]` | z, without the peepholes       | the activated gates, in place   |
/// | `c`      | `[B, H]`  | anything                       | replaced                        |
/// | `h`      | `[B, H]`  | anything                       | replaced                        |
///
/// # Panics
///
/// Debug builds check the shapes.
pub fn cell_forward<S: NdFloat>(
    p: ArrayView2<'_, S>,
    c_prev: ArrayView2<'_, S>,
    mut a: ArrayViewMut2<'_, S>,
    mut c: ArrayViewMut2<'_, S>,
    mut h: ArrayViewMut2<'_, S>,
) {
    let (batch, hidden) = c_prev.dim();
    debug_assert_eq!(p.dim(), (PEEPHOLES, hidden), "p is [3, H]");
    debug_assert_eq!(a.dim(), (batch, GATES * hidden), "a is [B, 4H]");
    debug_assert_eq!(c.dim(), (batch, hidden), "c is [B, H]");
    debug_assert_eq!(h.dim(), (batch, hidden), "h is [B, H]");

    for b in 0..batch {
        for j in 0..hidden {
            let [z_i, z_f, z_g, z_o] = gates(hidden, j).map(|column| a[[b, column]]);
            let [p_i, p_f, p_o] = [0, 1, 2].map(|row| p[[row, j]]);
            let before = c_prev[[b, j]];

            let (i, f) = (sigmoid(z_i + p_i * before), sigmoid(z_f + p_f * before));
            let g = z_g.tanh();
            c[[b, j]] = f * before + i * g;
            let o = sigmoid(z_o + p_o * c[[b, j]]);
            h[[b, j]] = o * c[[b, j]].tanh();

            for (column, gate) in gates(hidden, j).into_iter().zip([i, f, g, o]) {
                a[[b, column]] = gate;
            }
        }
    }
}

/// Undoes [`cell_forward`]: from the gradients that reach `h` and `c` to those of the four
/// pre-activations and of the cell state before.
///
/// ```text
///     h = o ⊙ u        u = tanh(c)        o = σ(z_o + p_o ⊙ c)        c = f ⊙ c_prev + i ⊙ g
///
///     dz_o    = dh ⊙ u ⊙ o ⊙ (1 − o)
///     dc      = dc_carry + dh ⊙ o ⊙ (1 − u²) + dz_o ⊙ p_o       a third reader of c: the output gate
///     dz_i    = dc ⊙ g      ⊙ i ⊙ (1 − i)
///     dz_f    = dc ⊙ c_prev ⊙ f ⊙ (1 − f)
///     dz_g    = dc ⊙ i      ⊙ (1 − g²)
///     dc_prev = dc ⊙ f + dz_i ⊙ p_i + dz_f ⊙ p_f                and two more of c_prev
/// ```
///
/// # Shapes
///
/// | argument   | shape     | on entry                                  | on return            |
/// |------------|-----------|-------------------------------------------|----------------------|
/// | `p`        | `[3, H]`  | as forward read it                        | untouched            |
/// | `step`     | see type  | as [`cell_forward`] left it               | untouched            |
/// | `dh`       | `[B, H]`  | ∂L/∂h, from above and from the next step  | untouched            |
/// | `dc_carry` | `[B, H]`  | ∂L/∂c, only what the next step sends back | untouched            |
/// | `dz`       | `[B, 4H]` | anything                                  | i f g o, replaced    |
/// | `dc_prev`  | `[B, H]`  | anything                                  | replaced             |
///
/// # Panics
///
/// Debug builds check the shapes.
pub fn cell_backward<S: NdFloat>(
    p: ArrayView2<'_, S>,
    step: StepTape<'_, S>,
    dh: ArrayView2<'_, S>,
    dc_carry: ArrayView2<'_, S>,
    mut dz: ArrayViewMut2<'_, S>,
    mut dc_prev: ArrayViewMut2<'_, S>,
) {
    let (batch, hidden) = step.c.dim();
    debug_assert_eq!(p.dim(), (PEEPHOLES, hidden), "p is [3, H]");
    debug_assert_eq!(step.a.dim(), (batch, GATES * hidden), "a is [B, 4H]");
    debug_assert_eq!(dh.dim(), (batch, hidden), "dh is [B, H]");
    debug_assert_eq!(dc_carry.dim(), (batch, hidden), "dc_carry is [B, H]");
    debug_assert_eq!(dz.dim(), (batch, GATES * hidden), "dz is [B, 4H]");
    debug_assert_eq!(dc_prev.dim(), (batch, hidden), "dc_prev is [B, H]");

    let one = S::one();
    for b in 0..batch {
        for j in 0..hidden {
            let [i, f, g, o] = gates(hidden, j).map(|column| step.a[[b, column]]);
            let [p_i, p_f, p_o] = [0, 1, 2].map(|row| p[[row, j]]);
            let u = step.c[[b, j]].tanh();
            let dh = dh[[b, j]];

            let dz_o = dh * u * o * (one - o);
            let dc = dc_carry[[b, j]] + dh * o * (one - u * u) + dz_o * p_o;
            let dz_i = dc * g * i * (one - i);
            let dz_f = dc * step.c_prev[[b, j]] * f * (one - f);
            let dz_g = dc * i * (one - g * g);

            dc_prev[[b, j]] = dc * f + dz_i * p_i + dz_f * p_f;

            for (column, slope) in gates(hidden, j).into_iter().zip([dz_i, dz_f, dz_g, dz_o]) {
                dz[[b, column]] = slope;
            }
        }
    }
}

/// Takes the gradient of the pre-activations of one step back to the peepholes.
///
/// ```text
///     dp_i += Σ_b dz_i ⊙ c_prev      dp_f += Σ_b dz_f ⊙ c_prev      dp_o += Σ_b dz_o ⊙ c
/// ```
///
/// # Shapes
///
/// | argument | shape     | on entry                         | on return |
/// |----------|-----------|----------------------------------|-----------|
/// | `c_prev` | `[B, H]`  | cell state before the step       | untouched |
/// | `c`      | `[B, H]`  | cell state after the step        | untouched |
/// | `dz`     | `[B, 4H]` | as [`cell_backward`] left it     | untouched |
/// | `dp`     | `[3, H]`  | what other uses of `p` gave      | added to  |
pub fn cell_backward_weights<S: NdFloat>(
    c_prev: ArrayView2<'_, S>,
    c: ArrayView2<'_, S>,
    dz: ArrayView2<'_, S>,
    mut dp: ArrayViewMut2<'_, S>,
) {
    let (batch, hidden) = c.dim();
    debug_assert_eq!(dz.dim(), (batch, GATES * hidden), "dz is [B, 4H]");
    debug_assert_eq!(dp.dim(), (PEEPHOLES, hidden), "dp is [3, H]");

    for b in 0..batch {
        for j in 0..hidden {
            let [at_i, at_f, _, at_o] = gates(hidden, j);
            dp[[0, j]] += dz[[b, at_i]] * c_prev[[b, j]];
            dp[[1, j]] += dz[[b, at_f]] * c_prev[[b, j]];
            dp[[2, j]] += dz[[b, at_o]] * c[[b, j]];
        }
    }
}
