//! One step of an optimiser, its four rules, and the few sums over whole parameters that a training
//! step needs.

use layout::{Accumulate, Adagrad, Adam, OptimizerState, OptimizerStep, RmsProp, Sgd, UpdateRule};
use ndarray::{ArrayView2, ArrayViewMut2, NdFloat};

use crate::real;

/// Moves a parameter against its gradient: all rows of it, or some. The other rows and what is
/// remembered of them stay as they are; a row named twice moves twice.
///
/// ```text
///     ĝ = scale · g + l2 · w                          clipped; decay through the gradient
///     pace, state = rule(ĝ, state)                    adam, sgd, adagrad, rmsprop
///     w = w − η · (pace + weight_decay · w)           decay past the rule
/// ```
///
/// # Shapes
///
/// | argument    | shape                     | on entry                     | on return       |
/// |-------------|---------------------------|------------------------------|-----------------|
/// | `step`      | see type                  | the step's constants         | untouched       |
/// | `rows`      | some of O, or all         | which rows move              | untouched       |
/// | `gradient`  | `[O, I]`                  | g = ∂L/∂w                    | untouched       |
/// | `parameter` | `[O, I]`                  | w                            | moved, in place |
/// | `state`     | `[O, I]` each, where kept | before step one zero, but v, | in place        |
/// |             |                           | with which Adagrad may start |                 |
///
/// # Panics
///
/// Where a row lies outside the parameter.
pub fn optimizer_step<S: NdFloat>(
    step: &OptimizerStep,
    rows: Option<&[u32]>,
    gradient: ArrayView2<'_, S>,
    mut parameter: ArrayViewMut2<'_, S>,
    state: OptimizerState<ArrayViewMut2<'_, S>>,
) {
    debug_assert_eq!(parameter.dim(), gradient.dim(), "parameter is shaped like its gradient");
    for (part, kept) in state.as_ref().zip(step.rule.keeps()).into_array() {
        debug_assert!(!kept || part.dim() == gradient.dim(), "what is kept is shaped like it");
    }
    let OptimizerState { mut m, mut v, mut b } = state;
    let [learning_rate, scale]: [S; 2] = [step.learning_rate, step.scale].map(real);
    let [l2, weight_decay]: [S; 2] = [step.l2, step.weight_decay].map(real);

    let mut move_row = |row: usize| {
        for column in 0..gradient.ncols() {
            let at = [row, column];
            let w = parameter[at];
            let g = scale * gradient[at] + l2 * w;
            let pace = match &step.rule {
                UpdateRule::Adam(rule) => adam(rule, g, &mut m[at], &mut v[at]),
                UpdateRule::Sgd(rule) => sgd(rule, g, b.get_mut(at)),
                UpdateRule::Adagrad(rule) => adagrad(rule, g, &mut v[at]),
                UpdateRule::RmsProp(rule) => {
                    rmsprop(rule, g, m.get_mut(at), &mut v[at], b.get_mut(at))
                }
            };
            parameter[at] = w - learning_rate * (pace + weight_decay * w);
        }
    };
    match rows {
        None => (0..gradient.nrows()).for_each(move_row),
        Some(rows) => rows.iter().for_each(|&row| move_row(row as usize)),
    }
}

/// The pace of one entry: the running mean of its gradients, measured by the root of the running
/// mean of their squares. Both means start from zero, and the corrections lift them to what they
/// would be without that start.
///
/// ```text
///     m    = β₁ m + (1 − β₁) ĝ
///     v    = β₂ v + (1 − β₂) ĝ²
///     pace = (m / correction_1) / (√(v / correction_2) + ε)
/// ```
///
/// # Source
///
/// D. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015; the decay past the
/// rule: I. Loshchilov, F. Hutter, "Decoupled weight decay regularization", ICLR 2019.
fn adam<S: NdFloat>(rule: &Adam, g: S, m: &mut S, v: &mut S) -> S {
    let [beta_1, beta_2, epsilon]: [S; 3] = [rule.beta_1, rule.beta_2, rule.epsilon].map(real);
    let [correction_1, correction_2]: [S; 2] = [rule.correction_1, rule.correction_2].map(real);

    *m = beta_1 * *m + (S::one() - beta_1) * g;
    *v = beta_2 * *v + (S::one() - beta_2) * g * g;
    (*m / correction_1) / ((*v / correction_2).sqrt() + epsilon)
}

/// The pace of one entry: its gradient, or the velocity b that sums up gradients, each step keeping
/// a share μ of it. Nesterov's pace looks ahead by one more share.
///
/// ```text
///     μ = 0        pace = ĝ
///     μ > 0        b    = μ b + ĝ
///                  pace = b         or  ĝ + μ b  as Nesterov has it
/// ```
///
/// PyTorch's `dampening` is zero here: then a velocity that starts from zero is the one that
/// PyTorch starts with the first gradient.
///
/// # Source
///
/// I. Sutskever et al., "On the importance of initialization and momentum in deep learning", ICML
/// 2013, with the learning rate outside of the velocity, as PyTorch has it.
fn sgd<S: NdFloat>(rule: &Sgd, g: S, b: Option<&mut S>) -> S {
    let momentum: S = real(rule.momentum);
    match b {
        Some(b) if rule.momentum > 0.0 => {
            *b = momentum * *b + g;
            if rule.nesterov { g + momentum * *b } else { *b }
        }
        _ => g,
    }
}

/// The pace of one entry: its gradient, measured by the root of the sum of all its squares. Entries
/// that move often move less and less.
///
/// ```text
///     v    = v + ĝ²
///     pace = ĝ / (√v + ε)
/// ```
///
/// # Source
///
/// J. Duchi, E. Hazan, Y. Singer, "Adaptive subgradient methods for online learning and stochastic
/// optimization", JMLR 12, 2011: the diagonal case, with an ε beside the root as PyTorch has it.
fn adagrad<S: NdFloat>(rule: &Adagrad, g: S, v: &mut S) -> S {
    *v += g * g;
    g / (v.sqrt() + real(rule.epsilon))
}

/// The pace of one entry: its gradient, measured by the root of the running mean of its squares, or
/// of its running variance; or a velocity that sums up such paces.
///
/// ```text
///     v    = α v + (1 − α) ĝ²
///     m    = m + (1 − α) (ĝ − m)                centered only
///     root = √v                                 or  √(v − m²)  centered
///     b    = μ b + ĝ / (root + ε)               where μ = 0, b is not remembered
///     pace = b
/// ```
///
/// Both means give every gradient the same weight, so v − m² is never negative; where rounding has
/// it so, it is taken for zero.
///
/// # Source
///
/// T. Tieleman, G. Hinton, "Lecture 6.5: RMSProp", Coursera, 2012; centered: A. Graves, "Generating
/// sequences with recurrent neural networks", 2013; the ε and the velocity where PyTorch has them.
fn rmsprop<S: NdFloat>(rule: &RmsProp, g: S, m: Option<&mut S>, v: &mut S, b: Option<&mut S>) -> S {
    let [alpha, epsilon, momentum]: [S; 3] = [rule.alpha, rule.epsilon, rule.momentum].map(real);

    *v = alpha * *v + (S::one() - alpha) * g * g;
    let root = match m {
        Some(m) if rule.centered => {
            *m += (S::one() - alpha) * (g - *m);
            (*v - *m * *m).max(S::zero()).sqrt()
        }
        _ => v.sqrt(),
    };
    let pace = g / (root + epsilon);
    match b {
        Some(b) if rule.momentum > 0.0 => {
            *b = momentum * *b + pace;
            *b
        }
        _ => pace,
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

    /// A step by a rule, with everything round the rule switched on.
    fn step(rule: UpdateRule) -> OptimizerStep {
        OptimizerStep { learning_rate: 0.01, scale: 0.5, l2: 0.25, weight_decay: 0.1, rule }
    }

    /// Every rule, and every way through it.
    fn rules() -> Vec<UpdateRule> {
        let adam = Adam {
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-8,
            correction_1: 0.1,
            correction_2: 0.001,
        };
        let sgd = |momentum, nesterov| UpdateRule::Sgd(Sgd { momentum, nesterov });
        let rmsprop = |momentum, centered| {
            UpdateRule::RmsProp(RmsProp { alpha: 0.9, epsilon: 1e-8, momentum, centered })
        };
        vec![
            UpdateRule::Adam(adam),
            sgd(0.0, false),
            sgd(0.9, false),
            sgd(0.9, true),
            UpdateRule::Adagrad(Adagrad { epsilon: 1e-8 }),
            rmsprop(0.0, false),
            rmsprop(0.9, false),
            rmsprop(0.0, true),
            rmsprop(0.9, true),
        ]
    }

    /// A parameter and its state, `[4, 3]` each, after a step. What a rule does not keep is NaN
    /// where it starts, and so are the results of a rule that looks at it all the same.
    fn moved(rule: UpdateRule, rows: Option<&[u32]>, gradient: &Array2<f64>) -> [Array2<f64>; 4] {
        let [mut w, mut m, mut v, mut b] = start(rule);
        let state = OptimizerState { m: m.view_mut(), v: v.view_mut(), b: b.view_mut() };
        optimizer_step(&step(rule), rows, gradient.view(), w.view_mut(), state);
        [w, m, v, b]
    }

    /// v is larger than m², as it is after every step of a run.
    fn start(rule: UpdateRule) -> [Array2<f64>; 4] {
        let whole = [wave((4, 3), 0.4), wave((4, 3), 2.0).mapv(|v| 1.5 + v), wave((4, 3), 0.7)];
        let [m, v, b] = std::array::from_fn(|k| match rule.keeps().into_array()[k] {
            true => whole[k].clone(),
            false => testkit::nan((4, 3)),
        });
        [wave((4, 3), 1.0), m, v, b]
    }

    #[test]
    fn some_rows_move_as_they_would_among_all_and_the_others_stay() {
        let gradient = wave((4, 3), 0.2);
        for rule in rules() {
            let (all, some) = (moved(rule, None, &gradient), moved(rule, Some(&[3, 1]), &gradient));
            let (start, [m, v, b]) = (start(rule), rule.keeps().into_array());
            for (k, kept) in [true, m, v, b].into_iter().enumerate() {
                for row in 0..4 {
                    let expected = if row % 2 == 1 { &all[k] } else { &start[k] };
                    let same = some[k].row(row) == expected.row(row);
                    assert_eq!(same, kept, "{rule:?}: tensor {k} row {row}");
                }
                assert_ne!(all[k].row(1), start[k].row(1), "{rule:?}: tensor {k}");
            }
        }
    }

    /// What clipping leaves is a factor on the gradient and on nothing else.
    #[test]
    fn a_scale_is_a_smaller_gradient() {
        let gradient = wave((4, 3), 0.2);
        for rule in rules() {
            let whole = OptimizerStep { scale: 1.0, ..step(rule) };
            let [mut w, mut m, mut v, mut b] = start(rule);
            let state = OptimizerState { m: m.view_mut(), v: v.view_mut(), b: b.view_mut() };
            optimizer_step(&whole, None, (&gradient * 0.5).view(), w.view_mut(), state);
            assert_eq!(moved(rule, None, &gradient)[0], w, "{rule:?}");
        }
    }

    /// Where a gradient stays the same for ever, its variance is nothing but rounding, of either
    /// sign.
    #[test]
    fn a_variance_is_never_negative() {
        let rule = RmsProp { alpha: 0.95, epsilon: 1e-3, momentum: 0.0, centered: true };
        let rule = UpdateRule::RmsProp(rule);
        let step = OptimizerStep { l2: 0.0, weight_decay: 0.0, ..step(rule) };
        let gradient = Array2::from_shape_fn((1, 9), |(_, k)| 0.3f32 + 0.1 * k as f32);
        let [mut w, mut m, mut v, mut b] = [0; 4].map(|_| Array2::zeros(gradient.dim()));
        let mut below_zero = false;
        for _ in 0..1000 {
            let state = OptimizerState { m: m.view_mut(), v: v.view_mut(), b: b.view_mut() };
            optimizer_step(&step, None, gradient.view(), w.view_mut(), state);
            assert!(w.iter().all(|w| w.is_finite()));
            below_zero |= (&v - &m * &m).iter().any(|&variance| variance < 0.0);
        }
        assert!(below_zero, "the case that it is about occurs");
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
