//! The LSTM whose products and memory are normalised, each row by itself.
//!
//! ```text
//!     N(y) = (y − mean y) / √(var y + ε)              mean and variance over a row, ε = 1e-5
//!
//!     z    = γ_x ⊙ N(x·w_xᵀ) + γ_h ⊙ N(h_prev·w_hᵀ) + b       blocks i f g o of H, normalised as one row
//!     i f  = σ(z_i) σ(z_f)      g = tanh(z_g)      o = σ(z_o)
//!     c    = f ⊙ c_prev + i ⊙ g
//!     h    = o ⊙ tanh(γ_c ⊙ N(c) + β_c)
//! ```
//!
//! Of the paper's three biases on z, one does the work of all. In the code γ is `gain` and β `bias`;
//! `N(…)` is kept on the tape with the root it was divided by, its deviation.
//!
//! # Source
//!
//! J. Ba, J. Kiros, G. Hinton, "Layer normalization", 2016, equations (20) to (22).

use layout::GATES;
use ndarray::{ArrayView1, ArrayView2, ArrayViewMut1, ArrayViewMut2, NdFloat};

use crate::lstm::gates;
use crate::{dot, real, sigmoid};

/// Added to the variance, so that a row of equal numbers becomes zero and not NaN.
const EPSILON: f64 = 1e-5;

/// Brings every row to mean 0 and variance 1, in place.
///
/// ```text
///     deviation = √(Σ (y − mean y)² / K + ε)
///     ŷ         = (y − mean y) / deviation
/// ```
///
/// # Shapes
///
/// | argument    | shape    | on entry | on return   |
/// |-------------|----------|----------|-------------|
/// | `y`         | `[N, K]` | y        | ŷ, in place |
/// | `deviation` | `[N]`    | anything | replaced    |
pub fn standardize_forward<S: NdFloat>(
    mut y: ArrayViewMut2<'_, S>,
    mut deviation: ArrayViewMut1<'_, S>,
) {
    debug_assert_eq!(deviation.len(), y.nrows(), "deviation is [N]");
    let width = real::<S>(y.ncols() as f64);
    for (mut y, deviation) in y.rows_mut().into_iter().zip(&mut deviation) {
        let mean = sum(y.view()) / width;
        y.mapv_inplace(|y| y - mean);
        *deviation = (dot(y.view(), y.view()) / width + real(EPSILON)).sqrt();
        y.mapv_inplace(|y| y / *deviation);
    }
}

/// Undoes [`standardize_forward`], in place.
///
/// ```text
///     ŷ  = (y − mean y) / deviation
///     dy = (dŷ − mean dŷ − ŷ ⊙ mean(dŷ ⊙ ŷ)) / deviation      the mean and the deviation read y, too
/// ```
///
/// # Shapes
///
/// | argument    | shape    | on entry                            | on return    |
/// |-------------|----------|-------------------------------------|--------------|
/// | `y`         | `[N, K]` | ŷ                                   | untouched    |
/// | `deviation` | `[N]`    | as [`standardize_forward`] left it  | untouched    |
/// | `dy`        | `[N, K]` | dŷ                                  | dy, in place |
pub fn standardize_backward<S: NdFloat>(
    y: ArrayView2<'_, S>,
    deviation: ArrayView1<'_, S>,
    mut dy: ArrayViewMut2<'_, S>,
) {
    debug_assert_eq!(y.dim(), dy.dim(), "y and dy are [N, K]");
    debug_assert_eq!(deviation.len(), y.nrows(), "deviation is [N]");
    let width = real::<S>(y.ncols() as f64);
    for ((mut dy, y), &deviation) in dy.rows_mut().into_iter().zip(y.rows()).zip(&deviation) {
        let mean = sum(dy.view()) / width;
        let slope = dot(dy.view(), y) / width;
        dy.zip_mut_with(&y, |dy, &y| *dy = (*dy - mean - y * slope) / deviation);
    }
}

/// Multiplies every row by one row of gains: `y[n, k] += gain[k] ŷ[n, k]`.
pub fn gain_forward<S: NdFloat>(
    gain: ArrayView2<'_, S>,
    y_hat: ArrayView2<'_, S>,
    mut y: ArrayViewMut2<'_, S>,
) {
    debug_assert_eq!(gain.dim(), (1, y.ncols()), "gain is [1, K]");
    for ((n, k), y) in y.indexed_iter_mut() {
        *y += gain[[0, k]] * y_hat[[n, k]];
    }
}

/// Undoes [`gain_forward`]: `dgain[k] += Σ_n dy[n, k] ŷ[n, k]`, and in the place of `dy` stands
/// `dŷ[n, k] = gain[k] dy[n, k]`.
pub fn gain_backward<S: NdFloat>(
    gain: ArrayView2<'_, S>,
    y_hat: ArrayView2<'_, S>,
    mut dgain: ArrayViewMut2<'_, S>,
    mut dy: ArrayViewMut2<'_, S>,
) {
    debug_assert_eq!(gain.dim(), (1, dy.ncols()), "gain is [1, K]");
    for ((n, k), dy) in dy.indexed_iter_mut() {
        dgain[[0, k]] += *dy * y_hat[[n, k]];
        *dy = gain[[0, k]] * *dy;
    }
}

/// Gain and bias of the cell state, or their gradients.
#[derive(Debug)]
pub struct CellNorm<M> {
    /// γ_c, `[1, H]`.
    pub gain: M,
    /// β_c, `[1, H]`.
    pub bias: M,
}

/// What the forward pass keeps of one step so that the step can be undone.
#[derive(Debug, Clone, Copy)]
pub struct StepTape<'a, S> {
    /// Activated gates `i f g o`, `[B, 4H]`.
    pub a: ArrayView2<'a, S>,
    /// Cell state before the step, `[B, H]`.
    pub c_prev: ArrayView2<'a, S>,
    /// N(c), `[B, H]`.
    pub c_hat: ArrayView2<'a, S>,
    /// What c was divided by, `[B]`.
    pub deviation: ArrayView1<'a, S>,
}

/// Opens the gates: from the pre-activations of one step to its cell and hidden state.
///
/// ```text
///     i = σ(z_i)    f = σ(z_f)    g = tanh(z_g)    o = σ(z_o)
///     c = f ⊙ c_prev + i ⊙ g
///     ĉ = N(c)
///     h = o ⊙ tanh(γ_c ⊙ ĉ + β_c)
/// ```
///
/// # Shapes
///
/// | argument    | shape     | on entry                       | on return                       |
/// |-------------|-----------|--------------------------------|---------------------------------|
/// | `norm`      | `[1, H]`  | γ_c and β_c                    | untouched                       |
/// | `c_prev`    | `[B, H]`  | cell state before the step     | untouched                       |
/// | `a`         | `[B, 4H]` | z, the pre-activations i f g o | the activated gates, in place   |
/// | `c`         | `[B, H]`  | anything                       | replaced                        |
/// | `c_hat`     | `[B, H]`  | anything                       | N(c), replaced                  |
/// | `deviation` | `[B]`     | anything                       | replaced                        |
/// | `h`         | `[B, H]`  | anything                       | replaced                        |
///
/// # Panics
///
/// Debug builds check the shapes.
pub fn cell_forward<S: NdFloat>(
    norm: &CellNorm<ArrayView2<'_, S>>,
    c_prev: ArrayView2<'_, S>,
    mut a: ArrayViewMut2<'_, S>,
    mut c: ArrayViewMut2<'_, S>,
    mut c_hat: ArrayViewMut2<'_, S>,
    deviation: ArrayViewMut1<'_, S>,
    mut h: ArrayViewMut2<'_, S>,
) {
    let (batch, hidden) = c_prev.dim();
    debug_assert_eq!(a.dim(), (batch, GATES * hidden), "a is [B, 4H]");
    debug_assert_eq!(c.dim(), (batch, hidden), "c is [B, H]");
    debug_assert_eq!(c_hat.dim(), (batch, hidden), "c_hat is [B, H]");
    debug_assert_eq!(h.dim(), (batch, hidden), "h is [B, H]");

    for b in 0..batch {
        for j in 0..hidden {
            let [z_i, z_f, z_g, z_o] = gates(hidden, j).map(|column| a[[b, column]]);
            let (i, f, g, o) = (sigmoid(z_i), sigmoid(z_f), z_g.tanh(), sigmoid(z_o));
            c[[b, j]] = f * c_prev[[b, j]] + i * g;
            for (column, gate) in gates(hidden, j).into_iter().zip([i, f, g, o]) {
                a[[b, column]] = gate;
            }
        }
    }
    c_hat.assign(&c);
    standardize_forward(c_hat.view_mut(), deviation);
    for b in 0..batch {
        for j in 0..hidden {
            let [_, _, _, o] = gates(hidden, j).map(|column| a[[b, column]]);
            h[[b, j]] = o * (norm.gain[[0, j]] * c_hat[[b, j]] + norm.bias[[0, j]]).tanh();
        }
    }
}

/// Undoes [`cell_forward`]: from the gradients that reach `h` and `c` to those of the four
/// pre-activations, of the cell state before, and of its gain and bias.
///
/// ```text
///     h = o ⊙ u        u = tanh(v)        v = γ_c ⊙ ĉ + β_c        ĉ = N(c)
///
///     dv      = dh ⊙ o ⊙ (1 − u²)
///     dγ_c   += Σ_b dv ⊙ ĉ         dβ_c += Σ_b dv
///     dc      = dc_carry + what N sends back of γ_c ⊙ dv
///     dz_i    = dc ⊙ g      ⊙ i ⊙ (1 − i)
///     dz_f    = dc ⊙ c_prev ⊙ f ⊙ (1 − f)
///     dz_g    = dc ⊙ i      ⊙ (1 − g²)
///     dz_o    = dh ⊙ u      ⊙ o ⊙ (1 − o)
///     dc_prev = dc ⊙ f
/// ```
///
/// # Shapes
///
/// | argument   | shape     | on entry                                  | on return            |
/// |------------|-----------|-------------------------------------------|----------------------|
/// | `norm`     | `[1, H]`  | as forward read them                      | untouched            |
/// | `step`     | see type  | as [`cell_forward`] left it               | untouched            |
/// | `dh`       | `[B, H]`  | ∂L/∂h, from above and from the next step  | untouched            |
/// | `dc_carry` | `[B, H]`  | ∂L/∂c, only what the next step sends back | untouched            |
/// | `dnorm`    | `[1, H]`  | what other steps gave                     | added to             |
/// | `dz`       | `[B, 4H]` | anything                                  | i f g o, replaced    |
/// | `dc_prev`  | `[B, H]`  | anything                                  | replaced             |
///
/// # Panics
///
/// Debug builds check the shapes.
pub fn cell_backward<S: NdFloat>(
    norm: &CellNorm<ArrayView2<'_, S>>,
    step: StepTape<'_, S>,
    dh: ArrayView2<'_, S>,
    dc_carry: ArrayView2<'_, S>,
    dnorm: &mut CellNorm<ArrayViewMut2<'_, S>>,
    mut dz: ArrayViewMut2<'_, S>,
    mut dc_prev: ArrayViewMut2<'_, S>,
) {
    let (batch, hidden) = step.c_hat.dim();
    debug_assert_eq!(step.a.dim(), (batch, GATES * hidden), "a is [B, 4H]");
    debug_assert_eq!(dh.dim(), (batch, hidden), "dh is [B, H]");
    debug_assert_eq!(dc_carry.dim(), (batch, hidden), "dc_carry is [B, H]");
    debug_assert_eq!(dz.dim(), (batch, GATES * hidden), "dz is [B, 4H]");
    debug_assert_eq!(dc_prev.dim(), (batch, hidden), "dc_prev is [B, H]");

    let one = S::one();
    for b in 0..batch {
        for j in 0..hidden {
            let [_, _, _, at_o] = gates(hidden, j);
            let (o, dh, c_hat) = (step.a[[b, at_o]], dh[[b, j]], step.c_hat[[b, j]]);
            let u = (norm.gain[[0, j]] * c_hat + norm.bias[[0, j]]).tanh();

            let dv = dh * o * (one - u * u);
            dnorm.gain[[0, j]] += dv * c_hat;
            dnorm.bias[[0, j]] += dv;
            // On its way through N it stands where the gradient of c_prev will be.
            dc_prev[[b, j]] = norm.gain[[0, j]] * dv;

            dz[[b, at_o]] = dh * u * o * (one - o);
        }
    }
    standardize_backward(step.c_hat, step.deviation, dc_prev.view_mut());
    for b in 0..batch {
        for j in 0..hidden {
            let [at_i, at_f, at_g, _] = gates(hidden, j);
            let [i, f, g] = [at_i, at_f, at_g].map(|column| step.a[[b, column]]);

            let dc = dc_carry[[b, j]] + dc_prev[[b, j]];

            dz[[b, at_i]] = dc * g * i * (one - i);
            dz[[b, at_f]] = dc * step.c_prev[[b, j]] * f * (one - f);
            dz[[b, at_g]] = dc * i * (one - g * g);

            dc_prev[[b, j]] = dc * f;
        }
    }
}

/// `Σ_k y_k`, first term first.
fn sum<S: NdFloat>(y: ArrayView1<'_, S>) -> S {
    y.iter().fold(S::zero(), |sum, &y| sum + y)
}
