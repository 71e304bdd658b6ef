//! One step of Adam, and the few sums over whole parameters that a training step needs.

use layout::{Accumulate, AdamStep};
use ndarray::{ArrayView2, ArrayViewMut2, NdFloat, Zip};

use crate::{real, rows as rows_of};

/// Moves a parameter against its gradient, each entry at its own pace.
///
/// ```text
///     ĝ = scale · g + l2 · w                       clipped; Adam with L2
///     m = β₁ m + (1 − β₁) ĝ                        running mean
///     v = β₂ v + (1 − β₂) ĝ²                       running mean square
///     w = w − η · ( (m / correction_1) / (√(v / correction_2) + ε) + weight_decay · w )
/// ```
///
/// # Shapes
///
/// | argument    | shape    | on entry               | on return       |
/// |-------------|----------|------------------------|-----------------|
/// | `step`      | see type | the step's constants   | untouched       |
/// | `gradient`  | `[O, I]` | g = ∂L/∂w              | untouched       |
/// | `parameter` | `[O, I]` | w                      | moved, in place |
/// | `m`         | `[O, I]` | zero before step one   | in place        |
/// | `v`         | `[O, I]` | zero before step one   | in place        |
///
/// # Source
///
/// D. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015; the decoupled decay:
/// I. Loshchilov, F. Hutter, "Decoupled weight decay regularization", ICLR 2019.
pub fn adam<S: NdFloat>(
    step: &AdamStep,
    gradient: ArrayView2<'_, S>,
    parameter: ArrayViewMut2<'_, S>,
    m: ArrayViewMut2<'_, S>,
    v: ArrayViewMut2<'_, S>,
) {
    let [beta_1, beta_2]: [S; 2] = [step.beta_1, step.beta_2].map(real);
    let [correction_1, correction_2]: [S; 2] = [step.correction_1, step.correction_2].map(real);
    let [scale, l2, weight_decay]: [S; 3] = [step.scale, step.l2, step.weight_decay].map(real);
    let [learning_rate, epsilon]: [S; 2] = [step.learning_rate, step.epsilon].map(real);

    Zip::from(gradient).and(parameter).and(m).and(v).for_each(|&g, w, m, v| {
        let g = scale * g + l2 * *w;
        *m = beta_1 * *m + (S::one() - beta_1) * g;
        *v = beta_2 * *v + (S::one() - beta_2) * g * g;
        let pace = (*m / correction_1) / ((*v / correction_2).sqrt() + epsilon);
        *w -= learning_rate * (pace + weight_decay * *w);
    });
}

/// [`adam`] for some rows only; the other rows and their moments stay as they are. A row named
/// twice moves twice.
///
/// # Panics
///
/// Where a row lies outside the parameter.
pub fn adam_rows<S: NdFloat>(
    step: &AdamStep,
    rows: &[u32],
    gradient: ArrayView2<'_, S>,
    mut parameter: ArrayViewMut2<'_, S>,
    mut m: ArrayViewMut2<'_, S>,
    mut v: ArrayViewMut2<'_, S>,
) {
    for &row in rows {
        let row = row as usize..row as usize + 1;
        adam(
            step,
            rows_of(gradient, row.clone()),
            rows_of(parameter.view_mut(), row.clone()),
            rows_of(m.view_mut(), row.clone()),
            rows_of(v.view_mut(), row),
        );
    }
}

/// `Σ x²` over all entries, or over those of `rows`, first to last, in f64: what clipping by norm
/// asks for.
///
/// # Panics
///
/// Where a row lies outside `x`.
pub fn sum_of_squares<S: NdFloat>(x: ArrayView2<'_, S>, rows: Option<&[u32]>) -> f64 {
    let add = |sum: f64, &x: &S| {
        let x = x.to_f64().expect("f32 and f64 are f64");
        sum + x * x
    };
    match rows {
        None => x.iter().fold(0.0, add),
        Some(rows) => rows.iter().flat_map(|&row| x.row(row as usize)).fold(0.0, add),
    }
}

/// Sets some rows to zero.
///
/// # Panics
///
/// Where a row lies outside `x`.
pub fn clear_rows<S: NdFloat>(rows: &[u32], mut x: ArrayViewMut2<'_, S>) {
    for &row in rows {
        x.row_mut(row as usize).fill(S::zero());
    }
}

/// Draws a running mean towards a value.
///
/// ```text
///     mean += share · (x − mean)
/// ```
pub fn average<S: NdFloat>(share: f32, x: ArrayView2<'_, S>, mut mean: ArrayViewMut2<'_, S>) {
    debug_assert_eq!(mean.dim(), x.dim(), "mean is shaped like x");
    let share: S = real(share);
    mean.zip_mut_with(&x, |mean, &x| *mean += share * (x - *mean));
}

/// `y = x` or `y += x`.
pub fn add<S: NdFloat>(x: ArrayView2<'_, S>, accumulate: Accumulate, mut y: ArrayViewMut2<'_, S>) {
    debug_assert_eq!(y.dim(), x.dim(), "y is shaped like x");
    match accumulate {
        Accumulate::Replace => y.assign(&x),
        Accumulate::Add => y += &x,
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};
    use testkit::wave;

    use super::*;

    const STEP: AdamStep = AdamStep {
        learning_rate: 0.01,
        beta_1: 0.9,
        beta_2: 0.999,
        epsilon: 1e-8,
        correction_1: 0.1,
        correction_2: 0.001,
        weight_decay: 0.1,
        l2: 0.25,
        scale: 0.5,
    };

    #[test]
    fn some_rows_move_as_they_would_among_all_and_the_others_stay() {
        let gradient = wave((4, 3), 0.2);
        let start = [wave((4, 3), 1.0), wave((4, 3), 0.4), wave((4, 3), 2.0).mapv(f64::abs)];
        let [mut w, mut m, mut v] = start.clone();
        adam(&STEP, gradient.view(), w.view_mut(), m.view_mut(), v.view_mut());
        let all = [w, m, v];
        let [mut w, mut m, mut v] = start.clone();
        adam_rows(&STEP, &[3, 1], gradient.view(), w.view_mut(), m.view_mut(), v.view_mut());
        for (k, found) in [w, m, v].iter().enumerate() {
            for row in 0..4 {
                let expected = if row % 2 == 1 { &all[k] } else { &start[k] };
                assert_eq!(found.row(row), expected.row(row), "tensor {k} row {row}");
            }
            assert_ne!(all[k].row(1), start[k].row(1));
        }
    }

    /// What clipping leaves is a factor on the gradient and on nothing else.
    #[test]
    fn a_scale_is_a_smaller_gradient() {
        let whole = AdamStep { scale: 1.0, ..STEP };
        let run = |step: &AdamStep, gradient: Array2<f64>| {
            let (mut w, mut m, mut v) =
                (wave((2, 3), 1.0), wave((2, 3), 0.4), Array2::ones((2, 3)));
            adam(step, gradient.view(), w.view_mut(), m.view_mut(), v.view_mut());
            [w, m, v]
        };
        let gradient = wave((2, 3), 0.2);
        assert_eq!(run(&STEP, gradient.clone()), run(&whole, gradient * 0.5));
    }

    #[test]
    fn sums_and_rows_on_whole_numbers() {
        let x = array![[1.0f32, 2.0], [3.0, 4.0], [5.0, 6.0]];
        assert_eq!(sum_of_squares(x.view(), None), 91.0);
        assert_eq!(sum_of_squares(x.view(), Some(&[2, 0])), 66.0);
        let mut y = x.clone();
        clear_rows(&[1], y.view_mut());
        assert_eq!(y, array![[1.0, 2.0], [0.0, 0.0], [5.0, 6.0]]);
        add(x.view(), Accumulate::Add, y.view_mut());
        assert_eq!(y, array![[2.0, 4.0], [3.0, 4.0], [10.0, 12.0]]);
        average(0.5, x.view(), y.view_mut());
        assert_eq!(y, array![[1.5, 3.0], [3.0, 4.0], [7.5, 9.0]]);
        add(x.view(), Accumulate::Replace, y.view_mut());
        assert_eq!(y, x);
    }
}
