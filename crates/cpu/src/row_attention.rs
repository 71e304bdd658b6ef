//! Attention of a row over all of itself, once. Equations: `reference::row_attention_forward`.

use crate::Cpu;
use crate::math::{add_scaled, dot, exp};
use crate::simd::{BatchSlice, Kernel, Lanes, for_slices};
use layout::{Matrix, Steps};

/// Rows of the batch in one task.
const ROWS_PER_SLICE: usize = 12;

impl Cpu {
    /// ```text
    ///     a_bj = softmax_j ( (query_b · key_j) / √K + lag_bias[min(T − 1 − j, L − 1)] )
    ///     context_b = Σ_j a_bj value_j
    /// ```
    ///
    /// over all positions j of row b, T of them. query `[B, K]`, key `[N, K]`, value `[N, E]`, lag_bias
    /// `[1, L]`, context `[B, E]`; `weights` keeps the a_bj, `[N, 1]`.
    #[allow(clippy::too_many_arguments)]
    pub fn row_attention_forward(
        &self,
        steps: &Steps,
        query: &Matrix<f32>,
        key: &Matrix<f32>,
        value: &Matrix<f32>,
        lag_bias: &Matrix<f32>,
        weights: &mut Matrix<f32>,
        context: &mut Matrix<f32>,
    ) {
        assert_eq!(query.shape(), [steps.batch(), key.columns()], "query is [B, K]");
        let width = value.columns();
        weights.resize(steps.positions(), 1);
        context.resize(steps.batch(), width);
        let slices = steps.batch().div_ceil(ROWS_PER_SLICE);
        let part = ROWS_PER_SLICE * width;
        // The rows of the last slice may be fewer than its part has room for.
        let mut contexts = self.scratch.buffer(slices * part);
        let buffers = [(weights.as_mut_slice(), 1)];
        let sums = (&mut *contexts, part);
        for_slices(steps, ROWS_PER_SLICE, sums, buffers, |slice, context, [weights]| {
            let (first, lag_bias) = (slice * ROWS_PER_SLICE, lag_bias.as_slice());
            let inputs = Inputs { steps, query, key, value, first };
            self.path.run(Forward { inputs, lag_bias, weights, context });
        });
        let context = context.as_mut_slice();
        context.copy_from_slice(&contexts[..context.len()]);
    }

    /// Undoes [`Cpu::row_attention_forward`]; `dlag_bias` is added to, the others are replaced.
    #[allow(clippy::too_many_arguments)]
    pub fn row_attention_backward(
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
        assert_eq!(dcontext.shape(), [steps.batch(), value.columns()], "dcontext is [B, E]");
        assert_eq!(weights.shape(), [steps.positions(), 1], "weights is [N, 1]");
        dquery.resize(query.rows(), query.columns());
        for (gradient, like) in [(&mut *dkey, key), (&mut *dvalue, value)] {
            gradient.resize(like.rows(), like.columns());
        }
        let (lags, width) = (dlag_bias.columns(), key.columns());
        let slices = steps.batch().div_ceil(ROWS_PER_SLICE);
        let part = lags + ROWS_PER_SLICE * width;
        let mut parts = self.scratch.buffer(slices * part);
        let (values, weights) = (value.columns(), weights.as_slice());
        let buffers = [(dkey.as_mut_slice(), width), (dvalue.as_mut_slice(), values)];
        let sums = (&mut *parts, part);
        for_slices(steps, ROWS_PER_SLICE, sums, buffers, |slice, part, [dkey, dvalue]| {
            let first = slice * ROWS_PER_SLICE;
            let inputs = Inputs { steps, query, key, value, first };
            let (dlag_bias, dquery) = part.split_at_mut(lags);
            self.path.run(Backward { inputs, weights, dcontext, dlag_bias, dquery, dkey, dvalue });
        });
        let dqueries = dquery.as_mut_slice().chunks_mut(ROWS_PER_SLICE * width.max(1));
        for part in parts.chunks_exact(part) {
            let dlag_bias = dlag_bias.as_mut_slice().iter_mut();
            dlag_bias.zip(&part[..lags]).for_each(|(d, sum)| *d += sum);
        }
        for (dquery, part) in dqueries.zip(parts.chunks_exact(part)) {
            dquery.copy_from_slice(&part[lags..][..dquery.len()]);
        }
    }
}

#[derive(Clone, Copy)]
struct Inputs<'a> {
    steps: &'a Steps,
    query: &'a Matrix<f32>,
    key: &'a Matrix<f32>,
    value: &'a Matrix<f32>,
    /// First row of the slice.
    first: usize,
}

/// Some rows forward.
struct Forward<'a> {
    inputs: Inputs<'a>,
    lag_bias: &'a [f32],
    weights: BatchSlice<'a>,
    context: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { inputs: Inputs { steps, query, key, value, first }, lag_bias, .. } = self;
        let (mut weights, width) = (self.weights, value.columns());
        let scale = 1.0 / (key.columns() as f32).sqrt();
        for r in 0..weights.active(0) {
            let length = steps.length(first + r);
            let position = |j: usize| steps.position(j, first + r);
            let query = query.row(first + r);
            let mut top = f32::NEG_INFINITY;
            for j in 0..length {
                let lag = lag_bias[(length - 1 - j).min(lag_bias.len() - 1)];
                let score = dot(lanes, query, key.row(position(j))) * scale + lag;
                weights.step(j)[r] = score;
                top = if score > top { score } else { top };
            }
            let mut sum = 0.0;
            for from in (0..length).step_by(L::WIDTH) {
                let mut block = [0.0; 16];
                let block = &mut block[..L::WIDTH.min(length - from)];
                for (k, score) in block.iter_mut().enumerate() {
                    *score = weights.step(from + k)[r];
                }
                let v = lanes.sub(lanes.load_partial(block), lanes.splat(top));
                lanes.store_partial(exp(lanes, [v])[0], block);
                for (k, &e) in block.iter().enumerate() {
                    weights.step(from + k)[r] = e;
                    sum += e;
                }
            }
            let context = &mut self.context[r * width..][..width];
            context.fill(0.0);
            for j in 0..length {
                let a = &mut weights.step(j)[r];
                *a /= sum;
                add_scaled(lanes, *a, value.row(position(j)), context);
            }
        }
    }
}

/// Some rows backward.
struct Backward<'a> {
    inputs: Inputs<'a>,
    weights: &'a [f32],
    dcontext: &'a Matrix<f32>,
    dlag_bias: &'a mut [f32],
    dquery: &'a mut [f32],
    dkey: BatchSlice<'a>,
    dvalue: BatchSlice<'a>,
}

impl Kernel for Backward<'_> {
    type Output = ();

    /// With s_bj the scores before the softmax:
    ///
    /// ```text
    ///     da_bj = dcontext_b · value_j            dvalue_j = a_bj dcontext_b
    ///     ds_bj = a_bj (da_bj − Σ_k a_bk da_bk)   dlag_bias[min(T − 1 − j, L − 1)] += ds_bj
    ///     dquery_b += ds_bj key_j / √K            dkey_j = ds_bj query_b / √K
    /// ```
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { inputs, weights, dcontext, dlag_bias, dquery, .. } = self;
        let Inputs { steps, query, key, value, first } = inputs;
        let (mut dkey, mut dvalue) = (self.dkey, self.dvalue);
        let (keys, values) = (key.columns(), value.columns());
        let scale = 1.0 / (keys as f32).sqrt();
        dlag_bias.fill(0.0);
        dquery.fill(0.0);
        for r in 0..dkey.active(0) {
            let length = steps.length(first + r);
            let position = |j: usize| steps.position(j, first + r);
            let (query, dcontext) = (query.row(first + r), dcontext.row(first + r));
            let mut mean = 0.0;
            for j in 0..length {
                mean += weights[position(j)] * dot(lanes, dcontext, value.row(position(j)));
            }
            for j in 0..length {
                let a = weights[position(j)];
                let ds = a * (dot(lanes, dcontext, value.row(position(j))) - mean);
                dlag_bias[(length - 1 - j).min(dlag_bias.len() - 1)] += ds;
                let dquery = &mut dquery[r * keys..][..keys];
                add_scaled(lanes, ds * scale, key.row(position(j)), dquery);
                let dkey = &mut dkey.step(j)[r * keys..][..keys];
                dkey.fill(0.0);
                add_scaled(lanes, ds * scale, query, dkey);
                let dvalue = &mut dvalue.step(j)[r * values..][..values];
                dvalue.fill(0.0);
                add_scaled(lanes, a, dcontext, dvalue);
            }
        }
    }
}
