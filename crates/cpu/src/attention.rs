//! Causal attention of each position over its own row. Equations: `reference::attention_forward`.

use crate::Cpu;
use crate::math::{add_scaled, dot, exp};
use crate::simd::{BatchSlice, Kernel, Lanes, for_slices};
use layout::{Matrix, Steps};
use rayon::prelude::*;

/// Rows of one step in one task of the forward pass.
const ROWS_PER_TASK: usize = 16;
/// Rows of the batch in one task of the backward pass, which takes them through all steps.
const ROWS_PER_SLICE: usize = 12;

impl Cpu {
    /// ```text
    ///     a_tj = softmax_j≤t ( (query_t · key_j) / √K + lag_bias[min(t − j, L − 1)] )
    ///     context_t = Σ_j≤t a_tj value_j
    /// ```
    ///
    /// query, key `[N, K]`, value, context `[N, E]`, lag_bias `[1, L]`; `weights` keeps the a_tj,
    /// `[1, Σ_t active(t)·(t + 1)]`, step after step, row after row, j rising.
    #[allow(clippy::too_many_arguments)]
    pub fn attention_forward(
        &self,
        steps: &Steps,
        query: &Matrix<f32>,
        key: &Matrix<f32>,
        value: &Matrix<f32>,
        lag_bias: &Matrix<f32>,
        weights: &mut Matrix<f32>,
        context: &mut Matrix<f32>,
    ) {
        let total: usize = (0..steps.count()).map(|t| steps.active(t) * (t + 1)).sum();
        weights.resize(1, total);
        context.resize(steps.positions(), value.columns());
        // Step after step: the weights and contexts of a step lie together, and so can be shared
        // out among threads.
        let mut rest = weights.as_mut_slice();
        let width = value.columns();
        for t in 0..steps.count() {
            let (now, later) = rest.split_at_mut(steps.active(t) * (t + 1));
            rest = later;
            let range = steps.range(t);
            context.as_mut_slice()[range.start * width..range.end * width]
                .par_chunks_mut(ROWS_PER_TASK * width)
                .zip(now.par_chunks_mut(ROWS_PER_TASK * (t + 1)))
                .enumerate()
                .for_each(|(task, (context, weights))| {
                    let first = task * ROWS_PER_TASK;
                    let inputs = Inputs { steps, query, key, value };
                    let lag_bias = lag_bias.as_slice();
                    self.path.run(Forward { inputs, lag_bias, t, first, weights, context });
                });
        }
    }

    /// Undoes [`Cpu::attention_forward`]; `dlag_bias` is added to, the others are replaced.
    #[allow(clippy::too_many_arguments)]
    pub fn attention_backward(
        &self,
        steps: &Steps,
        query: &Matrix<f32>,
        key: &Matrix<f32>,
        value: &Matrix<f32>,
        weights: &Matrix<f32>,
        dcontext: &Matrix<f32>,
        dlag_bias: &mut Matrix<f32>,
        dquery: &mut Matrix<f32>,
        dkey: &mut Matrix<f32>,
        dvalue: &mut Matrix<f32>,
    ) {
        assert_eq!(dcontext.shape(), [steps.positions(), value.columns()], "dcontext is [N, E]");
        let gradients = [(&mut *dquery, query), (&mut *dkey, key), (&mut *dvalue, value)];
        for (gradient, like) in gradients {
            gradient.resize(like.rows(), like.columns());
            gradient.fill(0.0);
        }
        let lags = dlag_bias.columns();
        let slices = steps.batch().div_ceil(ROWS_PER_SLICE);
        let mut sums = self.scratch.buffer(slices * lags);
        let (keys, values) = (key.columns(), value.columns());
        let gradients = [
            (dquery.as_mut_slice(), keys),
            (dkey.as_mut_slice(), keys),
            (dvalue.as_mut_slice(), values),
        ];
        for_slices(
            steps,
            ROWS_PER_SLICE,
            (&mut sums, lags),
            gradients,
            |slice, dlag_bias, slices| {
                let [dquery, dkey, dvalue] = slices;
                let inputs = Inputs { steps, query, key, value };
                let first = slice * ROWS_PER_SLICE;
                let weights = weights.as_slice();
                self.path.run(Backward {
                    inputs,
                    weights,
                    dcontext,
                    first,
                    dlag_bias,
                    dquery,
                    dkey,
                    dvalue,
                });
            },
        );
        for sum in sums.chunks_exact(lags) {
            dlag_bias.as_mut_slice().iter_mut().zip(sum).for_each(|(d, sum)| *d += sum);
        }
    }
}

#[derive(Clone, Copy)]
struct Inputs<'a> {
    steps: &'a Steps,
    query: &'a Matrix<f32>,
    key: &'a Matrix<f32>,
    value: &'a Matrix<f32>,
}

/// Some rows of one step forward.
struct Forward<'a> {
    inputs: Inputs<'a>,
    lag_bias: &'a [f32],
    t: usize,
    /// First row of the batch.
    first: usize,
    weights: &'a mut [f32],
    context: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { inputs: Inputs { steps, query, key, value }, lag_bias, t, .. } = self;
        let scale = 1.0 / (key.columns() as f32).sqrt();
        let contexts = self.context.chunks_exact_mut(value.columns());
        for (r, (context, a)) in contexts.zip(self.weights.chunks_exact_mut(t + 1)).enumerate() {
            let position = |j: usize| steps.position(j, self.first + r);
            let query = query.row(position(t));
            for (j, a) in a.iter_mut().enumerate() {
                let lag = lag_bias[(t - j).min(lag_bias.len() - 1)];
                *a = dot(lanes, query, key.row(position(j))) * scale + lag;
            }
            softmax(lanes, a);
            context.fill(0.0);
            for (j, &a) in a.iter().enumerate() {
                add_scaled(lanes, a, value.row(position(j)), context);
            }
        }
    }
}

/// Some rows of the batch backward, through all their steps.
struct Backward<'a> {
    inputs: Inputs<'a>,
    weights: &'a [f32],
    dcontext: &'a Matrix<f32>,
    /// First row of the batch.
    first: usize,
    dlag_bias: &'a mut [f32],
    dquery: BatchSlice<'a>,
    dkey: BatchSlice<'a>,
    dvalue: BatchSlice<'a>,
}

impl Kernel for Backward<'_> {
    type Output = ();

    /// With s_tj the scores before the softmax:
    ///
    /// ```text
    ///     da_tj = dcontext_t · value_j            dvalue_j += a_tj dcontext_t
    ///     ds_tj = a_tj (da_tj − Σ_k a_tk da_tk)   dlag_bias[min(t − j, L − 1)] += ds_tj
    ///     dquery_t += ds_tj key_j / √K            dkey_j += ds_tj query_t / √K
    /// ```
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { inputs, weights, dcontext, first, dlag_bias, .. } = self;
        let Inputs { steps, query, key, value } = inputs;
        let (mut dquery, mut dkey, mut dvalue) = (self.dquery, self.dkey, self.dvalue);
        let scale = 1.0 / (key.columns() as f32).sqrt();
        dlag_bias.fill(0.0);
        let mut step_start = 0;
        for t in 0..steps.count() {
            for r in 0..dquery.active(t) {
                let position = |j: usize| steps.position(j, first + r);
                let a = &weights[step_start + (first + r) * (t + 1)..][..=t];
                let dcontext = dcontext.row(position(t));
                let mut mean = 0.0;
                for (j, &a) in a.iter().enumerate() {
                    mean += a * dot(lanes, dcontext, value.row(position(j)));
                }
                for (j, &a) in a.iter().enumerate() {
                    let ds = a * (dot(lanes, dcontext, value.row(position(j))) - mean);
                    dlag_bias[(t - j).min(dlag_bias.len() - 1)] += ds;
                    let (query, key) = (query.row(position(t)), key.row(position(j)));
                    add_scaled(lanes, ds * scale, key, row_of(dquery.step(t), r, key.len()));
                    add_scaled(lanes, ds * scale, query, row_of(dkey.step(j), r, key.len()));
                    add_scaled(lanes, a, dcontext, row_of(dvalue.step(j), r, dcontext.len()));
                }
            }
            step_start += steps.active(t) * (t + 1);
        }
    }
}

/// Row `r` of rows that are `width` wide.
#[inline(always)]
fn row_of(rows: &mut [f32], r: usize, width: usize) -> &mut [f32] {
    &mut rows[r * width..][..width]
}

/// A few scores to weights that sum to one, in place.
#[inline(always)]
fn softmax<L: Lanes>(lanes: L, scores: &mut [f32]) {
    let top = scores.iter().fold(f32::NEG_INFINITY, |top, &s| if s > top { s } else { top });
    let mut sum = 0.0;
    for scores in scores.chunks_mut(L::WIDTH) {
        let v = lanes.load_partial(scores);
        lanes.store_partial(exp(lanes, [lanes.sub(v, lanes.splat(top))])[0], scores);
        scores.iter().for_each(|e| sum += e);
    }
    scores.iter_mut().for_each(|e| *e /= sum);
}
