//! The LSTM cell: four gates round a memory.
//!
//! ```text
//!     z      = x·w_xᵀ + b + h_prev·w_hᵀ               pre-activations, blocks i f g o of H
//!     i f o  = σ(z_i) σ(z_f) σ(z_o)                   three doors, open between 0 and 1
//!     g      = tanh(z_g)                              what wants to enter
//!     c      = f ⊙ c_prev + i ⊙ g                     the memory
//!     h      = o ⊙ tanh(c)                            what the memory shows
//! ```
//!
//! Here is what happens elementwise, from z to c and h and back. How z comes about, step after step,
//! stands in `step` and `sequence`.
//!
//! # Source
//!
//! S. Hochreiter, J. Schmidhuber, "Long short-term memory", Neural Computation 9(8), 1997; the
//! forget gate: F. Gers, J. Schmidhuber, F. Cummins, "Learning to forget", Neural Computation
//! 12(10), 2000. Block order and shapes are those of PyTorch's `nn.LSTM`.

use layout::{GATES, Gate};
use ndarray::{ArrayView2, ArrayViewMut2, NdFloat};

use crate::sigmoid;

/// What the forward pass keeps of one step so that the step can be undone.
#[derive(Debug, Clone, Copy)]
pub struct StepTape<'a, S> {
    /// Activated gates `i f g o`, `[B, 4H]`.
    pub a: ArrayView2<'a, S>,
    /// Cell state before the step, `[B, H]`.
    pub c_prev: ArrayView2<'a, S>,
    /// Cell state after the step, `[B, H]`.
    pub c: ArrayView2<'a, S>,
}

/// Opens the gates: from the pre-activations of one step to its cell and hidden state.
///
/// ```text
///     i = σ(z_i)    f = σ(z_f)    g = tanh(z_g)    o = σ(z_o)
///     c = f ⊙ c_prev + i ⊙ g
///     h = o ⊙ tanh(c)
/// ```
///
/// # Shapes
///
/// | argument | shape     | on entry                       | on return                       |
/// |----------|-----------|--------------------------------|---------------------------------|
/// | `c_prev` | `[B, H]`  | cell state before the step     | untouched                       |
/// | `a`      | `[B, 4H]` | z, the pre-activations i f g o | the activated gates, in place   |
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
    debug_assert_eq!(a.dim(), (batch, GATES * hidden), "a is [B, 4H]");
    debug_assert_eq!(c.dim(), (batch, hidden), "c is [B, H]");
    debug_assert_eq!(h.dim(), (batch, hidden), "h is [B, H]");

    for b in 0..batch {
        for j in 0..hidden {
            let [z_i, z_f, z_g, z_o] = gates(hidden, j).map(|column| a[[b, column]]);
            let (i, f, g, o) = (sigmoid(z_i), sigmoid(z_f), z_g.tanh(), sigmoid(z_o));

            c[[b, j]] = f * c_prev[[b, j]] + i * g;
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
///     h = o ⊙ u        u = tanh(c)        c = f ⊙ c_prev + i ⊙ g
///
///     dc      = dc_carry + dh ⊙ o ⊙ (1 − u²)     two readers of c: the next step, and h
///     dz_i    = dc ⊙ g      ⊙ i ⊙ (1 − i)        σ′ = σ (1 − σ)
///     dz_f    = dc ⊙ c_prev ⊙ f ⊙ (1 − f)
///     dz_g    = dc ⊙ i      ⊙ (1 − g²)           tanh′ = 1 − tanh²
///     dz_o    = dh ⊙ u      ⊙ o ⊙ (1 − o)
///     dc_prev = dc ⊙ f
/// ```
///
/// # Shapes
///
/// | argument   | shape     | on entry                                  | on return            |
/// |------------|-----------|-------------------------------------------|----------------------|
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
    step: StepTape<'_, S>,
    dh: ArrayView2<'_, S>,
    dc_carry: ArrayView2<'_, S>,
    mut dz: ArrayViewMut2<'_, S>,
    mut dc_prev: ArrayViewMut2<'_, S>,
) {
    let (batch, hidden) = step.c.dim();
    debug_assert_eq!(step.a.dim(), (batch, GATES * hidden), "a is [B, 4H]");
    debug_assert_eq!(step.c_prev.dim(), (batch, hidden), "c_prev is [B, H]");
    debug_assert_eq!(dh.dim(), (batch, hidden), "dh is [B, H]");
    debug_assert_eq!(dc_carry.dim(), (batch, hidden), "dc_carry is [B, H]");
    debug_assert_eq!(dz.dim(), (batch, GATES * hidden), "dz is [B, 4H]");
    debug_assert_eq!(dc_prev.dim(), (batch, hidden), "dc_prev is [B, H]");

    let one = S::one();
    for b in 0..batch {
        for j in 0..hidden {
            let [i, f, g, o] = gates(hidden, j).map(|column| step.a[[b, column]]);
            let u = step.c[[b, j]].tanh();
            let dh = dh[[b, j]];

            let dc = dc_carry[[b, j]] + dh * o * (one - u * u);

            let [at_i, at_f, at_g, at_o] = gates(hidden, j);
            dz[[b, at_i]] = dc * g * i * (one - i);
            dz[[b, at_f]] = dc * step.c_prev[[b, j]] * f * (one - f);
            dz[[b, at_g]] = dc * i * (one - g * g);
            dz[[b, at_o]] = dh * u * o * (one - o);

            dc_prev[[b, j]] = dc * f;
        }
    }
}

/// The columns of `[B, 4H]` in which unit `j` has its gates i f g o.
pub(crate) fn gates(hidden: usize, j: usize) -> [usize; GATES] {
    [Gate::Input, Gate::Forget, Gate::Candidate, Gate::Output]
        .map(|gate| gate as usize * hidden + j)
}

#[cfg(test)]
mod tests {
    use crate::sigmoid;

    /// A gate at ±∞ is a door open or shut, not a NaN.
    #[test]
    fn gates_saturate() {
        for (z, expected) in [(-1e30f32, 0.0), (0.0, 0.5), (1e30, 1.0)] {
            assert_eq!(sigmoid(z), expected);
        }
    }
}
