//! Dense layers: a linear map with a bias and something that bends it.

use layout::Accumulate::Replace;
use layout::Activation;
use ndarray::{ArrayView2, ArrayViewMut2, NdFloat};

use crate::{
    bias_backward, bias_forward, linear_backward_input, linear_backward_weights, linear_forward,
};

/// Maps every position by a dense layer.
///
/// ```text
///     z = x·wᵀ + b
///     y = f(z)            relu  max(0, z)
///                         tanh  tanh z
///                         elu   z where z > 0, eᶻ − 1 elsewhere
/// ```
///
/// # Shapes
///
/// | argument | shape    | on entry        | on return |
/// |----------|----------|-----------------|-----------|
/// | `w`      | `[O, I]` | weights         | untouched |
/// | `b`      | `[1, O]` | bias            | untouched |
/// | `f`      |          | the activation  |           |
/// | `x`      | `[N, I]` | one input a row | untouched |
/// | `y`      | `[N, O]` | anything        | replaced  |
///
/// # Source
///
/// ELU: D.-A. Clevert, T. Unterthiner, S. Hochreiter, "Fast and accurate deep network learning by
/// exponential linear units (ELUs)", ICLR 2016, with α = 1.
pub fn dense_forward<S: NdFloat>(
    w: ArrayView2<'_, S>,
    b: ArrayView2<'_, S>,
    f: Activation,
    x: ArrayView2<'_, S>,
    mut y: ArrayViewMut2<'_, S>,
) {
    linear_forward(w, x, Replace, y.view_mut());
    bias_forward(b, y.view_mut());
    y.mapv_inplace(|z| match f {
        // A NaN stays one, so that trouble shows in the loss.
        Activation::Relu if z < S::zero() => S::zero(),
        Activation::Relu => z,
        Activation::Tanh => z.tanh(),
        Activation::Elu if z > S::zero() => z,
        Activation::Elu => z.exp_m1(),
    });
}

/// Undoes [`dense_forward`]. The slope of the activation follows from what it has made.
///
/// ```text
///     dz  = dy ⊙ f′(z)        relu  1 where y > 0, 0 elsewhere
///                             tanh  1 − y²
///                             elu   1 where y > 0, y + 1 elsewhere (eᶻ = y + 1)
///     dw += dzᵀ·x
///     db += Σ_n dz_n
///     dx  = dz·w
/// ```
///
/// # Shapes
///
/// | argument | shape    | on entry                    | on return |
/// |----------|----------|-----------------------------|-----------|
/// | `w`      | `[O, I]` | as forward read it          | untouched |
/// | `f`      |          | as forward read it          |           |
/// | `x`      | `[N, I]` | as forward read it          | untouched |
/// | `y`      | `[N, O]` | as forward left it          | untouched |
/// | `dy`     | `[N, O]` | ∂L/∂y                       | untouched |
/// | `dw`     | `[O, I]` | what other uses of `w` gave | added to  |
/// | `db`     | `[1, O]` | what other uses of `b` gave | added to  |
/// | `dz`     | `[N, O]` | anything                    | replaced  |
/// | `dx`     | `[N, I]` | anything                    | replaced  |
#[allow(clippy::too_many_arguments)] // the same order as every other backward
pub fn dense_backward<S: NdFloat>(
    w: ArrayView2<'_, S>,
    f: Activation,
    x: ArrayView2<'_, S>,
    y: ArrayView2<'_, S>,
    dy: ArrayView2<'_, S>,
    dw: ArrayViewMut2<'_, S>,
    db: ArrayViewMut2<'_, S>,
    mut dz: ArrayViewMut2<'_, S>,
    dx: ArrayViewMut2<'_, S>,
) {
    debug_assert_eq!(dy.dim(), y.dim(), "dy is [N, O]");
    debug_assert_eq!(dz.dim(), y.dim(), "dz is [N, O]");

    let one = S::one();
    for (dz, (&y, &dy)) in dz.iter_mut().zip(y.iter().zip(dy)) {
        let slope = match f {
            Activation::Tanh => one - y * y,
            Activation::Relu | Activation::Elu if y > S::zero() => one,
            Activation::Relu => S::zero(),
            Activation::Elu => y + one,
        };
        *dz = dy * slope;
    }
    linear_backward_weights(x, dz.view(), dw);
    bias_backward(dz.view(), db);
    linear_backward_input(w, dz.view(), Replace, dx);
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};

    /// A weight of one and no bias: the activations themselves.
    #[test]
    fn activations_at_numbers_one_knows() {
        let x = array![[-2.0], [0.0], [0.5]];
        let of = |f| {
            let mut y = Array2::from_elem((3, 1), f64::NAN);
            let (w, b) = (array![[1.0]], array![[0.0]]);
            dense_forward(w.view(), b.view(), f, x.view(), y.view_mut());
            y
        };
        assert_eq!(of(Activation::Relu), array![[0.0], [0.0], [0.5]]);
        assert_eq!(of(Activation::Tanh), x.mapv(f64::tanh));
        assert_eq!(of(Activation::Elu), array![[(-2f64).exp_m1()], [0.0], [0.5]]);
    }
}
