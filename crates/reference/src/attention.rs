//! Attention of each position over its own past; and of a row over all of itself, once.
//!
//! The weights `a_tj` lie packed like the positions: step after step, within a step row after row,
//! and for each row of step t the t + 1 weights of j = 0 … t.

use layout::Steps;
use ndarray::{ArrayView2, ArrayViewMut2, Axis, NdFloat, Slice};

use crate::{dot, real};

/// Mixes the values of a row up to and including each position.
///
/// ```text
///     s_tj      = query_t · key_j / √K + lag_bias[min(t − j, L − 1)]      for j ≤ t
///     a_tj      = exp(s_tj) / Σ_{k ≤ t} exp(s_tk)
///     context_t = Σ_{j ≤ t} a_tj value_j
/// ```
///
/// # Shapes
///
/// | argument   | shape                          | on entry              | on return |
/// |------------|--------------------------------|-----------------------|-----------|
/// | `steps`    |                                | how the rows lie      | untouched |
/// | `query`    | `[N, K]`                       | what a position asks  | untouched |
/// | `key`      | `[N, K]`                       | what it answers to    | untouched |
/// | `value`    | `[N, E]`                       | what it gives         | untouched |
/// | `lag_bias` | `[1, L]`                       | by t − j, L ≥ 1       | untouched |
/// | `weights`  | `[1, Σ_t active(t) · (t + 1)]` | anything              | replaced  |
/// | `context`  | `[N, E]`                       | anything              | replaced  |
pub fn attention_forward<S: NdFloat>(
    steps: &Steps,
    query: ArrayView2<'_, S>,
    key: ArrayView2<'_, S>,
    value: ArrayView2<'_, S>,
    lag_bias: ArrayView2<'_, S>,
    mut weights: ArrayViewMut2<'_, S>,
    mut context: ArrayViewMut2<'_, S>,
) {
    debug_assert_eq!(key.dim(), query.dim(), "key is [N, K]");
    debug_assert_eq!(context.dim(), value.dim(), "context is [N, E]");
    debug_assert_eq!(weights.dim(), (1, attention_weights(steps)), "weights of every pair");
    debug_assert!(lag_bias.ncols() > 0, "there is at least one lag");

    context.fill(S::zero());
    for (t, b, first) in each_position(steps) {
        let p = steps.position(t, b);
        let mut a = weights.row_mut(0);
        a.slice_axis_inplace(Axis(0), Slice::from(first..first + t + 1));

        let mut largest = S::neg_infinity();
        for j in 0..=t {
            let score = dot(query.row(p), key.row(steps.position(j, b))) / root(key.ncols())
                + lag_bias[[0, lag(t, j, lag_bias.ncols())]];
            largest = largest.max(score);
            a[j] = score;
        }

        let mut sum = S::zero();
        for j in 0..=t {
            a[j] = (a[j] - largest).exp();
            sum += a[j];
        }

        for j in 0..=t {
            a[j] /= sum;
            context.row_mut(p).scaled_add(a[j], &value.row(steps.position(j, b)));
        }
    }
}

/// Undoes [`attention_forward`].
///
/// ```text
///     da_tj       = dcontext_t · value_j
///     ds_tj       = a_tj (da_tj − Σ_{k ≤ t} a_tk da_tk)              the softmax
///     dquery_t    = Σ_{j ≤ t} ds_tj key_j / √K
///     dkey_j      = Σ_{t ≥ j} ds_tj query_t / √K
///     dvalue_j    = Σ_{t ≥ j} a_tj dcontext_t
///     dlag_bias[min(t − j, L − 1)] += ds_tj
/// ```
///
/// # Shapes
///
/// | argument    | shape         | on entry                       | on return |
/// |-------------|---------------|--------------------------------|-----------|
/// | `steps`     |               | as forward read it             | untouched |
/// | `query`     | `[N, K]`      | as forward read it             | untouched |
/// | `key`       | `[N, K]`      | as forward read it             | untouched |
/// | `value`     | `[N, E]`      | as forward read it             | untouched |
/// | `weights`   | as in forward | as forward left it             | untouched |
/// | `dcontext`  | `[N, E]`      | ∂L/∂context                    | untouched |
/// | `dlag_bias` | `[1, L]`      | what other uses of it gave     | added to  |
/// | `dquery`    | `[N, K]`      | anything                       | replaced  |
/// | `dkey`      | `[N, K]`      | anything                       | replaced  |
/// | `dvalue`    | `[N, E]`      | anything                       | replaced  |
#[allow(clippy::too_many_arguments)] // the same order as every other backward
pub fn attention_backward<S: NdFloat>(
    steps: &Steps,
    query: ArrayView2<'_, S>,
    key: ArrayView2<'_, S>,
    value: ArrayView2<'_, S>,
    weights: ArrayView2<'_, S>,
    dcontext: ArrayView2<'_, S>,
    mut dlag_bias: ArrayViewMut2<'_, S>,
    mut dquery: ArrayViewMut2<'_, S>,
    mut dkey: ArrayViewMut2<'_, S>,
    mut dvalue: ArrayViewMut2<'_, S>,
) {
    debug_assert_eq!(key.dim(), query.dim(), "key is [N, K]");
    debug_assert_eq!(dcontext.dim(), value.dim(), "dcontext is [N, E]");
    debug_assert_eq!(weights.dim(), (1, attention_weights(steps)), "weights of every pair");
    debug_assert_eq!(dquery.dim(), query.dim(), "dquery is [N, K]");
    debug_assert_eq!(dkey.dim(), key.dim(), "dkey is [N, K]");
    debug_assert_eq!(dvalue.dim(), value.dim(), "dvalue is [N, E]");

    dquery.fill(S::zero());
    dkey.fill(S::zero());
    dvalue.fill(S::zero());
    let lags = dlag_bias.ncols();
    for (t, b, first) in each_position(steps) {
        let p = steps.position(t, b);
        let a = |j: usize| weights[[0, first + j]];
        let da = |j: usize| dot(dcontext.row(p), value.row(steps.position(j, b)));
        let mean_da = (0..=t).fold(S::zero(), |sum, j| sum + a(j) * da(j));

        for j in 0..=t {
            let at_j = steps.position(j, b);
            let ds = a(j) * (da(j) - mean_da);

            dlag_bias[[0, lag(t, j, lags)]] += ds;
            dquery.row_mut(p).scaled_add(ds / root(key.ncols()), &key.row(at_j));
            dkey.row_mut(at_j).scaled_add(ds / root(key.ncols()), &query.row(p));
            dvalue.row_mut(at_j).scaled_add(a(j), &dcontext.row(p));
        }
    }
}

/// Mixes the values of a whole row, once for each row: what its one query asks of all its positions.
///
/// ```text
///     s_bj      = query_b · key_j / √K + lag_bias[min(T − 1 − j, L − 1)]     T the length of row b
///     a_bj      = exp(s_bj) / Σ_k exp(s_bk)                                  over all positions of the row
///     context_b = Σ_j a_bj value_j
/// ```
///
/// With the query of a row's last position this is [`attention_forward`] there.
///
/// # Shapes
///
/// | argument   | shape    | on entry                             | on return |
/// |------------|----------|--------------------------------------|-----------|
/// | `steps`    |          | how the rows lie                     | untouched |
/// | `query`    | `[B, K]` | what a row asks                      | untouched |
/// | `key`      | `[N, K]` | what a position answers to           | untouched |
/// | `value`    | `[N, E]` | what it gives                        | untouched |
/// | `lag_bias` | `[1, L]` | by distance from the row's end, L ≥ 1 | untouched |
/// | `weights`  | `[N, 1]` | anything                             | replaced  |
/// | `context`  | `[B, E]` | anything                             | replaced  |
pub fn row_attention_forward<S: NdFloat>(
    steps: &Steps,
    query: ArrayView2<'_, S>,
    key: ArrayView2<'_, S>,
    value: ArrayView2<'_, S>,
    lag_bias: ArrayView2<'_, S>,
    mut weights: ArrayViewMut2<'_, S>,
    mut context: ArrayViewMut2<'_, S>,
) {
    debug_assert_eq!(query.dim(), (steps.batch(), key.ncols()), "query is [B, K]");
    debug_assert_eq!(context.dim(), (steps.batch(), value.ncols()), "context is [B, E]");
    debug_assert_eq!(weights.dim(), (steps.positions(), 1), "weights of every position");
    debug_assert!(lag_bias.ncols() > 0, "there is at least one lag");

    context.fill(S::zero());
    for b in 0..steps.batch() {
        let last = steps.length(b) - 1;
        let mut largest = S::neg_infinity();
        for (j, p) in steps.row(b).enumerate() {
            let score = dot(query.row(b), key.row(p)) / root(key.ncols())
                + lag_bias[[0, lag(last, j, lag_bias.ncols())]];
            largest = largest.max(score);
            weights[[p, 0]] = score;
        }

        let mut sum = S::zero();
        for p in steps.row(b) {
            weights[[p, 0]] = (weights[[p, 0]] - largest).exp();
            sum += weights[[p, 0]];
        }

        for p in steps.row(b) {
            weights[[p, 0]] /= sum;
            context.row_mut(b).scaled_add(weights[[p, 0]], &value.row(p));
        }
    }
}

/// Undoes [`row_attention_forward`].
///
/// ```text
///     da_bj     = dcontext_b · value_j
///     ds_bj     = a_bj (da_bj − Σ_k a_bk da_bk)              the softmax
///     dquery_b  = Σ_j ds_bj key_j / √K
///     dkey_j    = ds_bj query_b / √K
///     dvalue_j  = a_bj dcontext_b
///     dlag_bias[min(T − 1 − j, L − 1)] += ds_bj
/// ```
///
/// # Shapes
///
/// | argument    | shape    | on entry                 | on return |
/// |-------------|----------|--------------------------|-----------|
/// | `steps`     |          | as forward read it       | untouched |
/// | `query`     | `[B, K]` | as forward read it       | untouched |
/// | `key`       | `[N, K]` | as forward read it       | untouched |
/// | `value`     | `[N, E]` | as forward read it       | untouched |
/// | `weights`   | `[N, 1]` | as forward left it       | untouched |
/// | `dcontext`  | `[B, E]` | ∂L/∂context              | untouched |
/// | `dlag_bias` | `[1, L]` | what other uses gave     | added to  |
/// | `dquery`    | `[B, K]` | anything                 | replaced  |
/// | `dkey`      | `[N, K]` | anything                 | replaced  |
/// | `dvalue`    | `[N, E]` | anything                 | replaced  |
#[allow(clippy::too_many_arguments)] // the same order as every other backward
pub fn row_attention_backward<S: NdFloat>(
    steps: &Steps,
    query: ArrayView2<'_, S>,
    key: ArrayView2<'_, S>,
    value: ArrayView2<'_, S>,
    weights: ArrayView2<'_, S>,
    dcontext: ArrayView2<'_, S>,
    mut dlag_bias: ArrayViewMut2<'_, S>,
    mut dquery: ArrayViewMut2<'_, S>,
    mut dkey: ArrayViewMut2<'_, S>,
    mut dvalue: ArrayViewMut2<'_, S>,
) {
    debug_assert_eq!(dcontext.dim(), (steps.batch(), value.ncols()), "dcontext is [B, E]");
    debug_assert_eq!(weights.dim(), (steps.positions(), 1), "weights of every position");
    debug_assert_eq!(dquery.dim(), query.dim(), "dquery is [B, K]");
    debug_assert_eq!(dkey.dim(), key.dim(), "dkey is [N, K]");
    debug_assert_eq!(dvalue.dim(), value.dim(), "dvalue is [N, E]");

    dquery.fill(S::zero());
    dkey.fill(S::zero());
    dvalue.fill(S::zero());
    let lags = dlag_bias.ncols();
    for b in 0..steps.batch() {
        let last = steps.length(b) - 1;
        let da = |p: usize| dot(dcontext.row(b), value.row(p));
        let mean_da = steps.row(b).fold(S::zero(), |sum, p| sum + weights[[p, 0]] * da(p));

        for (j, p) in steps.row(b).enumerate() {
            let ds = weights[[p, 0]] * (da(p) - mean_da);

            dlag_bias[[0, lag(last, j, lags)]] += ds;
            dquery.row_mut(b).scaled_add(ds / root(key.ncols()), &key.row(p));
            dkey.row_mut(p).scaled_add(ds / root(key.ncols()), &query.row(b));
            dvalue.row_mut(p).scaled_add(weights[[p, 0]], &dcontext.row(b));
        }
    }
}

/// How many weights [`attention_forward`] keeps: `Σ_t active(t) · (t + 1)`.
pub fn attention_weights(steps: &Steps) -> usize {
    (0..steps.count()).map(|t| steps.active(t) * (t + 1)).sum()
}

/// Step, row and first weight of every position, in the order of the positions.
fn each_position(steps: &Steps) -> impl Iterator<Item = (usize, usize, usize)> + '_ {
    let mut next = 0;
    (0..steps.count()).flat_map(|t| (0..steps.active(t)).map(move |b| (t, b))).map(move |(t, b)| {
        let first = next;
        next += t + 1;
        (t, b, first)
    })
}

fn lag(t: usize, j: usize, lags: usize) -> usize {
    (t - j).min(lags - 1)
}

fn root<S: NdFloat>(width: usize) -> S {
    real::<S>(width as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};
    use testkit::{nan, wave};

    use super::*;

    /// The bias of lag 1 outweighs everything: each position looks at the one before it.
    #[test]
    fn weights_lie_step_after_step_row_after_row_j_rising() {
        let steps = Steps::from_lengths(&[3, 2]);
        let zeros = Array2::<f64>::zeros((5, 2));
        let value = array![[1.0], [10.0], [2.0], [20.0], [3.0]];
        let mut weights = nan((1, attention_weights(&steps)));
        let mut context = nan((5, 1));
        attention_forward(
            &steps,
            zeros.view(),
            zeros.view(),
            value.view(),
            array![[0.0, 1e4, 0.0]].view(),
            weights.view_mut(),
            context.view_mut(),
        );
        assert_eq!(weights, array![[1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0]]);
        assert_eq!(context, array![[1.0], [10.0], [1.0], [10.0], [2.0]]);
    }

    /// Weights chosen as logarithms, so that the attention is a ratio one can read: K = 4, and a
    /// product of 2 ln 3 against 0 gives 3 : 1; two lags with the second ln 2 give 2 : 2 : 1.
    #[test]
    fn scores_are_divided_by_the_root_of_the_width_and_old_lags_share_one_bias() {
        let weights = |length, key_0: f64, lag_bias: Array2<f64>| {
            let steps = Steps::uniform(length, 1);
            let (mut query, mut key) = (Array2::zeros((length, 4)), Array2::zeros((length, 4)));
            query[[length - 1, 2]] = 1.0;
            key[[0, 2]] = key_0;
            let mut weights = nan((1, attention_weights(&steps)));
            attention_forward(
                &steps,
                query.view(),
                key.view(),
                wave((length, 2), 0.1).view(),
                lag_bias.view(),
                weights.view_mut(),
                nan((length, 2)).view_mut(),
            );
            let last = weights.ncols() - length;
            weights.iter().skip(last).copied().collect::<Vec<f64>>()
        };
        let close = |found: Vec<f64>, expected: &[f64]| {
            let off = found.iter().zip(expected).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max);
            assert!(off < 1e-15, "{found:?} for {expected:?}");
        };
        close(weights(2, 2.0 * 3f64.ln(), array![[0.7]]), &[0.75, 0.25]);
        close(weights(3, 0.0, array![[0.0, 2f64.ln()]]), &[0.4, 0.4, 0.2]);
    }

    #[test]
    fn what_comes_later_changes_nothing_before() {
        let steps = Steps::from_lengths(&[4, 2]);
        let context = |value: &Array2<f64>, key: &Array2<f64>| {
            let (mut weights, mut context) = (nan((1, attention_weights(&steps))), nan((6, 3)));
            attention_forward(
                &steps,
                wave((6, 2), 0.1).view(),
                key.view(),
                value.view(),
                array![[0.3, -0.2]].view(),
                weights.view_mut(),
                context.view_mut(),
            );
            context
        };
        let (value, key) = (wave((6, 3), 0.5), wave((6, 2), 0.9));
        let (mut later_value, mut later_key) = (value.clone(), key.clone());
        later_value.row_mut(5).fill(7.0);
        later_key.row_mut(5).fill(7.0);
        let (one, other) = (context(&value, &key), context(&later_value, &later_key));
        let changed: Vec<_> = (0..6).filter(|&p| one.row(p) != other.row(p)).collect();
        assert_eq!(changed, [5], "position 5 is the last of its row");
    }
}
