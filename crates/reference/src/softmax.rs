//! The loss: which of the candidates comes next.
//!
//! [`SoftmaxTask`] holds the equations of the scores, [`CandidateLoss`] those of a position's loss:
//! the cross-entropy stands here, the ranking losses in `ranking`. One position is
//! done at a time, from its scores to its share of every gradient, so that only one row of scores
//! exists.

use layout::{CandidateLoss, SoftmaxTask};
use ndarray::{ArrayView1, ArrayView2, ArrayViewMut2, NdFloat};

use crate::linear::{bias_forward, linear_forward};
use crate::ranking::{bpr_max, top1_max};
use crate::{dot, real};

/// What the scores are made of, or the gradients of it: the same names, the same shapes.
#[derive(Debug, Clone)]
pub struct SoftmaxParams<M> {
    /// One vector e_c a candidate column, `[C, E]`.
    pub table: M,
    /// Added to every score of a column, `[C, 1]`: gathered by rows, as the table is.
    pub column_bias: M,
    /// Added where a column has an entry at a position, by the entry's lag, `[1, R]`.
    pub repeat_bias: M,
}

/// The weighted mean of the losses of all positions, and its gradients.
///
/// ```text
///     L       = Σ_p weight[p] · loss_p / Σ_p weight[p]
///     ds[p,c] = weight[p] / Σ weight · ∂loss_p/∂s[p,c]        by cross_entropy, bpr_max, top1_max
///
///     s[p,c]  = q_p · e_c + column_bias[c] + Σ repeat_bias[lag] + …
///     dq_p            = Σ_c ds[p,c] e_c
///     de_c            = Σ_p ds[p,c] q_p
///     dcolumn_bias[c] = Σ_p ds[p,c]
///     drepeat_bias[lag] += ds[p,c]            for every entry (c, lag) of every position p
/// ```
///
/// # Shapes
///
/// | argument            | shape    | on entry                          | on return     |
/// |---------------------|----------|-----------------------------------|---------------|
/// | `params`            | see type | candidates and biases             | untouched     |
/// | `q`                 | `[N, E]` | what each position looks for      | untouched     |
/// | `task`              | see type | targets and what bends the scores | untouched     |
/// | `dq`                | `[N, E]` | anything                          | replaced      |
/// | `grads.table`       | `[C, E]` | anything                          | **replaced**  |
/// | `grads.column_bias` | `[C, 1]` | anything                          | **replaced**  |
/// | `grads.repeat_bias` | `[1, R]` | what other uses of it gave        | added to      |
/// | `scratch`           | `[C]`    | anything                          | anything      |
///
/// The table of a call is a gathered one, made for it and not a parameter yet: hence "replaced".
///
/// # Panics
///
/// Where a target, a repeat's column or its lag lies outside its tensor.
pub fn softmax_loss<S: NdFloat>(
    params: &SoftmaxParams<ArrayView2<'_, S>>,
    q: ArrayView2<'_, S>,
    task: &SoftmaxTask<'_>,
    mut dq: ArrayViewMut2<'_, S>,
    grads: &mut SoftmaxParams<ArrayViewMut2<'_, S>>,
    scratch: &mut [S],
) -> f64 {
    let (columns, width) = params.table.dim();
    debug_assert_eq!(q.dim(), (task.target.len(), width), "q is [N, E]");
    debug_assert_eq!(dq.dim(), q.dim(), "dq is [N, E]");
    debug_assert_eq!(params.column_bias.dim(), (columns, 1), "column_bias is [C, 1]");
    debug_assert_eq!(grads.table.dim(), (columns, width), "dtable is [C, E]");
    debug_assert_eq!(grads.column_bias.dim(), (columns, 1), "dcolumn_bias is [C, 1]");
    debug_assert_eq!(grads.repeat_bias.dim(), params.repeat_bias.dim(), "drepeat_bias is [1, R]");
    debug_assert_eq!(scratch.len(), columns, "scratch is [C]");

    dq.fill(S::zero());
    grads.table.fill(S::zero());
    grads.column_bias.fill(S::zero());

    let total: f64 = task.weight.iter().map(|&weight| f64::from(weight)).sum();
    let mut loss = 0.0;
    for (p, q) in q.rows().into_iter().enumerate() {
        let share = f64::from(task.weight[p]) / total;
        position_scores(params, q, task, p, scratch);
        let position_loss = match task.loss {
            CandidateLoss::CrossEntropy => cross_entropy(task, p, scratch),
            CandidateLoss::BprMax { regularization } => {
                bpr_max(regularization, task.target[p] as usize, scratch)
            }
            CandidateLoss::Top1Max => top1_max(task.target[p] as usize, scratch),
        };
        loss += share * position_loss.to_f64().expect("f32 and f64 are f64");

        for ds in scratch.iter_mut() {
            *ds *= real(share);
        }
        for c in candidates(task, p) {
            dq.row_mut(p).scaled_add(scratch[c], &params.table.row(c));
            grads.table.row_mut(c).scaled_add(scratch[c], &q);
            grads.column_bias[[c, 0]] += scratch[c];
        }
        for (c, lag) in repeats(task, p) {
            grads.repeat_bias[[0, lag]] += scratch[c];
        }
    }
    loss
}

/// The scores of every candidate, without anything that only a loss knows.
///
/// ```text
///     scores[p,c] = q_p · e_c + column_bias[c]
/// ```
///
/// # Shapes
///
/// | argument      | shape    | on entry                     | on return |
/// |---------------|----------|------------------------------|-----------|
/// | `table`       | `[C, E]` | one vector a candidate       | untouched |
/// | `column_bias` | `[C, 1]` | by candidate                 | untouched |
/// | `q`           | `[N, E]` | what each position looks for | untouched |
/// | `scores`      | `[N, C]` | anything                     | replaced  |
pub fn scores<S: NdFloat>(
    table: ArrayView2<'_, S>,
    column_bias: ArrayView2<'_, S>,
    q: ArrayView2<'_, S>,
    mut scores: ArrayViewMut2<'_, S>,
) {
    linear_forward(table, q, layout::Accumulate::Replace, scores.view_mut());
    bias_forward(column_bias.reversed_axes(), scores);
}

/// Fills `s` with the scores of position `p`: −∞ for what is no candidate there.
fn position_scores<S: NdFloat>(
    params: &SoftmaxParams<ArrayView2<'_, S>>,
    q: ArrayView1<'_, S>,
    task: &SoftmaxTask<'_>,
    p: usize,
    s: &mut [S],
) {
    s.fill(S::neg_infinity());
    for c in candidates(task, p) {
        s[c] = dot(q, params.table.row(c)) + params.column_bias[[c, 0]];
    }
    for (c, lag) in repeats(task, p) {
        s[c] += params.repeat_bias[[0, lag]];
    }
    if let Some(&shift) = task.shift.get(p) {
        s[task.target[p] as usize] += real(shift);
    }
}

/// The loss of position `p`; turns its scores into the slopes of that loss.
///
/// ```text
///     loss_p    = log Σ_c exp s_c − Σ_c t_c s_c
///     ∂loss/∂s_c = exp s_c / Σ_k exp s_k − t_c           Σ_c t_c = 1
/// ```
fn cross_entropy<S: NdFloat>(task: &SoftmaxTask<'_>, p: usize, s: &mut [S]) -> S {
    let largest = s.iter().fold(S::neg_infinity(), |largest, &s| largest.max(s));
    let sum = s.iter().fold(S::zero(), |sum, &s| sum + (s - largest).exp());

    let mut loss = largest + sum.ln();
    for c in candidates(task, p) {
        loss -= target_share::<S>(task, p, c) * s[c];
    }
    for s in s.iter_mut() {
        *s = (*s - largest).exp() / sum;
    }
    for c in candidates(task, p) {
        s[c] -= target_share(task, p, c);
    }
    loss
}

/// `t_c = (1 − smoothing) · [c = target] + smoothing · column_share[c]`, for a candidate c.
fn target_share<S: NdFloat>(task: &SoftmaxTask<'_>, p: usize, c: usize) -> S {
    let smoothing: S = real(task.smoothing);
    let mut share = S::zero();
    if c == task.target[p] as usize {
        share += S::one() - smoothing;
    }
    if c < task.shared {
        share += smoothing
            * match task.column_share {
                [] => S::one() / real(task.shared as f64),
                shares => real(shares[c]),
            };
    }
    share
}

/// The candidates of position `p`: the shared columns, and its target where that is private.
fn candidates(task: &SoftmaxTask<'_>, p: usize) -> impl Iterator<Item = usize> + use<> {
    let target = task.target[p] as usize;
    (0..task.shared).chain((target >= task.shared).then_some(target))
}

/// The entries (column, lag) of position `p`.
fn repeats<'a>(task: &SoftmaxTask<'a>, p: usize) -> impl Iterator<Item = (usize, usize)> + use<'a> {
    let range = match task.repeat_offsets {
        [] => 0..0,
        offsets => offsets[p] as usize..offsets[p + 1] as usize,
    };
    let (columns, lags) = (&task.repeat_columns[range.clone()], &task.repeat_lags[range]);
    columns.iter().zip(lags).map(|(&column, &lag)| (column as usize, usize::from(lag)))
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    #[test]
    fn scores_are_products_and_a_bias() {
        let mut found = Array2::from_elem((1, 2), f32::NAN);
        let table = array![[1.0, 2.0], [3.0, 4.0]];
        scores(
            table.view(),
            array![[10.0], [20.0]].view(),
            array![[1.0, -1.0]].view(),
            found.view_mut(),
        );
        assert_eq!(found, array![[9.0, 19.0]]);
    }

    /// N = 2, C = 5, two shared columns; position 0 has its target among them, position 1 a private
    /// one, column 3.
    const TASK: SoftmaxTask<'static> = SoftmaxTask {
        loss: CandidateLoss::CrossEntropy,
        target: &[1, 3],
        weight: &[1.0, 3.0],
        shift: &[],
        shared: 2,
        smoothing: 0.0,
        column_share: &[],
        repeat_offsets: &[],
        repeat_columns: &[],
        repeat_lags: &[],
    };

    #[test]
    fn a_score_is_the_sum_of_everything_that_bends_it() {
        let task = SoftmaxTask {
            shift: &[1000.0, 2000.0],
            repeat_offsets: &[0, 1, 3],
            repeat_columns: &[0, 0, 3],
            repeat_lags: &[1, 0, 1],
            ..TASK
        };
        let table = array![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0], [9.0, 9.0]];
        let (column_bias, repeat_bias) =
            (array![[0.25], [0.5], [0.75], [1.25], [1.5]], array![[10.0, 100.0]]);
        let params = SoftmaxParams {
            table: table.view(),
            column_bias: column_bias.view(),
            repeat_bias: repeat_bias.view(),
        };
        let mut s = [f64::NAN; 5];
        let none = f64::NEG_INFINITY;
        position_scores(&params, array![1.0, -1.0].view(), &task, 0, &mut s);
        assert_eq!(s, [99.25, 999.5, none, none, none]);
        position_scores(&params, array![0.0, 1.0].view(), &task, 1, &mut s);
        assert_eq!(s, [12.25, 4.5, none, 2109.25, none]);
    }

    #[test]
    fn what_smoothing_spreads_lies_on_the_shared_columns() {
        let even = SoftmaxTask { smoothing: 0.25, ..TASK };
        let uneven = SoftmaxTask { column_share: &[0.75, 0.25], ..even };
        let shares = |task: &SoftmaxTask<'_>, p| [0, 1, 3].map(|c| target_share::<f64>(task, p, c));
        assert_eq!(shares(&even, 0), [0.125, 0.875, 0.0]);
        assert_eq!(shares(&even, 1), [0.125, 0.125, 0.75]);
        assert_eq!(shares(&uneven, 1), [0.1875, 0.0625, 0.75]);
    }

    /// Nothing tells the candidates apart, so the loss is the logarithm of how many there are: two
    /// shared ones, and for position 1 its private target too. Columns 2 and 4 are nobody's,
    /// however large they are.
    #[test]
    fn a_private_column_is_seen_by_those_whose_target_it_is() {
        let mut table = Array2::<f64>::zeros((5, 1));
        for nobodys in [2, 4] {
            table[[nobodys, 0]] = 1e6;
        }
        let (column_bias, repeat_bias) = (Array2::zeros((5, 1)), Array2::zeros((1, 0)));
        let params = SoftmaxParams {
            table: table.view(),
            column_bias: column_bias.view(),
            repeat_bias: repeat_bias.view(),
        };
        let (mut dtable, mut dcolumn_bias, mut drepeat_bias) =
            (testkit::nan((5, 1)), testkit::nan((5, 1)), repeat_bias.clone());
        let mut grads = SoftmaxParams {
            table: dtable.view_mut(),
            column_bias: dcolumn_bias.view_mut(),
            repeat_bias: drepeat_bias.view_mut(),
        };
        let q = array![[1.0], [1.0]];
        let mut dq = testkit::nan((2, 1));
        let mut scratch = [f64::NAN; 5];
        let loss = softmax_loss(&params, q.view(), &TASK, dq.view_mut(), &mut grads, &mut scratch);
        let expected = 0.25 * 2f64.ln() + 0.75 * 3f64.ln();
        assert!((loss - expected).abs() < 1e-15, "{loss} for {expected}");
        for nobodys in [2, 4] {
            assert_eq!((dtable[[nobodys, 0]], dcolumn_bias[[nobodys, 0]]), (0.0, 0.0));
        }
    }
}
