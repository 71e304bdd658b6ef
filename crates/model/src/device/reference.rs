//! The reference as a machine: slow, sequential, and in f64 exact enough for gradient checks.

use std::marker::PhantomData;

use layout::random::Stream;
use layout::{
    Accumulate, ClassTask, ElementTask, Keep, Matrix, OptimizerState, OptimizerStep, RecurrentDims,
    RecurrentParams, RecurrentStart, RecurrentTape, SoftmaxTask, Steps, TopItems, TopTask,
};
use ndarray::{ArrayView2, NdFloat};
use reference::{Arrivals, SequenceGrads, SequenceScratch, SoftmaxParams};

use super::Device;

/// The plain functions of crate `reference`, in the numbers `S`: f32 or f64.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reference<S>(PhantomData<fn() -> S>);

impl<S> Reference<S> {
    /// The machine; it has no state.
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

impl<S: NdFloat + Default> Device for Reference<S> {
    type Matrix = Matrix<S>;
    type PackedRecurrent = RecurrentParams<Matrix<S>>;

    fn shape(&self, matrix: &Matrix<S>) -> [usize; 2] {
        matrix.shape()
    }

    fn resize(&self, matrix: &mut Matrix<S>, rows: usize, columns: usize) {
        matrix.resize(rows, columns);
    }

    fn fill(&self, matrix: &mut Matrix<S>, value: f32) {
        matrix.fill(real(value));
    }

    fn upload(&self, matrix: &mut Matrix<S>, rows: usize, columns: usize, values: &[f32]) {
        matrix.resize(rows, columns);
        for (entry, &value) in matrix.as_mut_slice().iter_mut().zip(values) {
            *entry = real(value);
        }
    }

    fn download_into(&self, matrix: &Matrix<S>, values: &mut Vec<f32>) {
        values.clear();
        let rounded = |value: &S| value.to_f32().expect("f32 and f64 round to f32");
        values.extend(matrix.as_slice().iter().map(rounded));
    }

    fn start(
        &self,
        tape: &mut RecurrentTape<Matrix<S>>,
        steps: &Steps,
        dims: RecurrentDims,
        _keep: Keep,
    ) {
        tape.start(steps, dims);
    }

    fn add(&self, x: &Matrix<S>, accumulate: Accumulate, y: &mut Matrix<S>) {
        shaped(accumulate, y, x.shape());
        reference::add(x.view(), accumulate, y.view_mut());
    }

    fn embedding_forward(&self, table: &Matrix<S>, ids: &[u32], out: &mut Matrix<S>) {
        out.resize(ids.len(), table.columns());
        reference::embedding_forward(table.view(), ids, out.view_mut());
    }

    fn embedding_backward(&self, ids: &[u32], dout: &Matrix<S>, dtable: &mut Matrix<S>) {
        reference::embedding_backward(ids, dout.view(), dtable.view_mut());
    }

    fn running_mean_forward(&self, steps: &Steps, x: &Matrix<S>, y: &mut Matrix<S>) {
        y.resize(x.rows(), x.columns());
        reference::running_mean_forward(steps, x.view(), y.view_mut());
    }

    fn running_mean_backward(&self, steps: &Steps, dy: &Matrix<S>, dx: &mut Matrix<S>) {
        dx.resize(dy.rows(), dy.columns());
        reference::running_mean_backward(steps, dy.view(), dx.view_mut());
    }

    fn normalize_forward(
        &self,
        scale: f32,
        x: &Matrix<S>,
        y: &mut Matrix<S>,
        norm: &mut Matrix<S>,
    ) {
        y.resize(x.rows(), x.columns());
        norm.resize(x.rows(), 1);
        reference::normalize_forward(scale, x.view(), y.view_mut(), norm.view_mut());
    }

    fn normalize_backward(
        &self,
        scale: f32,
        y: &Matrix<S>,
        norm: &Matrix<S>,
        dy: &Matrix<S>,
        dx: &mut Matrix<S>,
    ) {
        dx.resize(y.rows(), y.columns());
        reference::normalize_backward(scale, y.view(), norm.view(), dy.view(), dx.view_mut());
    }

    fn dropout(&self, rate: f32, stream: Stream, x: &mut Matrix<S>) {
        reference::dropout(rate, stream, x.view_mut());
    }

    fn linear_forward(
        &self,
        w: &Matrix<S>,
        x: &Matrix<S>,
        accumulate: Accumulate,
        y: &mut Matrix<S>,
    ) {
        shaped(accumulate, y, [x.rows(), w.rows()]);
        reference::linear_forward(w.view(), x.view(), accumulate, y.view_mut());
    }

    fn linear_backward_input(
        &self,
        w: &Matrix<S>,
        dy: &Matrix<S>,
        accumulate: Accumulate,
        dx: &mut Matrix<S>,
    ) {
        shaped(accumulate, dx, [dy.rows(), w.columns()]);
        reference::linear_backward_input(w.view(), dy.view(), accumulate, dx.view_mut());
    }

    fn linear_backward_weights(&self, x: &Matrix<S>, dy: &Matrix<S>, dw: &mut Matrix<S>) {
        reference::linear_backward_weights(x.view(), dy.view(), dw.view_mut());
    }

    fn recurrent_forward(
        &self,
        params: &RecurrentParams<Matrix<S>>,
        x: Option<&Matrix<S>>,
        steps: &Steps,
        tape: &mut RecurrentTape<Matrix<S>>,
    ) {
        let mut tape = tape.as_mut().map(Matrix::view_mut);
        reference::sequence_forward(&views(params), x.map(Matrix::view), steps, &mut tape);
    }

    /// There is nothing to lay out.
    fn pack_recurrent(
        &self,
        params: &RecurrentParams<Matrix<S>>,
        _: bool,
    ) -> RecurrentParams<Matrix<S>> {
        params.clone()
    }

    fn recurrent_forward_packed(
        &self,
        layer: &RecurrentParams<Matrix<S>>,
        x: Option<&Matrix<S>>,
        steps: &Steps,
        tape: &mut RecurrentTape<Matrix<S>>,
    ) {
        self.recurrent_forward(layer, x, steps, tape);
    }

    fn recurrent_backward(
        &self,
        params: &RecurrentParams<Matrix<S>>,
        x: Option<&Matrix<S>>,
        steps: &Steps,
        tape: &RecurrentTape<Matrix<S>>,
        dh_above: &Matrix<S>,
        grads: &mut RecurrentParams<Matrix<S>>,
        dz: &mut Matrix<S>,
        dx: Option<&mut Matrix<S>>,
        start: Option<&mut RecurrentStart<Matrix<S>>>,
    ) {
        let (rows, width) = (params.w_h.rows(), params.w_h.columns());
        dz.resize(steps.positions(), rows);
        let mut unwanted = RecurrentStart::default();
        let RecurrentStart { dh_0, dc_0 } = start.unwrap_or(&mut unwanted);
        dh_0.resize(steps.batch(), width);
        dc_0.resize(steps.batch(), tape.c.columns());
        let dx = dx.map(|dx| {
            dx.resize(steps.positions(), params.w_x.columns());
            dx.view_mut()
        });
        let tape = tape.as_ref().map(Matrix::view);
        let arrivals = Arrivals { dh_above: dh_above.view(), dc_last: None };
        let mut grads = SequenceGrads {
            params: grads.as_mut().map(Matrix::view_mut),
            dz: dz.view_mut(),
            dx,
            dh_0: dh_0.view_mut(),
            dc_0: dc_0.view_mut(),
        };
        let (x, params) = (x.map(Matrix::view), views(params));
        let mut scratch = SequenceScratch::new(steps, &params);
        reference::sequence_backward(&params, x, steps, &tape, arrivals, &mut grads, &mut scratch);
    }

    fn directions_forward(
        &self,
        reversed: &[u32],
        forward: &Matrix<S>,
        reverse: &Matrix<S>,
        y: &mut Matrix<S>,
    ) {
        y.resize(reversed.len(), 2 * forward.columns());
        reference::directions_forward(reversed, forward.view(), reverse.view(), y.view_mut());
    }

    fn directions_backward(
        &self,
        reversed: &[u32],
        dy: &Matrix<S>,
        forward: &mut Matrix<S>,
        reverse: &mut Matrix<S>,
    ) {
        forward.resize(reversed.len(), dy.columns() / 2);
        reverse.resize(reversed.len(), dy.columns() / 2);
        let (forward, reverse) = (forward.view_mut(), reverse.view_mut());
        reference::directions_backward(reversed, dy.view(), forward, reverse);
    }

    fn attention_forward(
        &self,
        steps: &Steps,
        query: &Matrix<S>,
        key: &Matrix<S>,
        value: &Matrix<S>,
        lag_bias: &Matrix<S>,
        weights: &mut Matrix<S>,
        context: &mut Matrix<S>,
    ) {
        weights.resize(1, reference::attention_weights(steps));
        context.resize(value.rows(), value.columns());
        reference::attention_forward(
            steps,
            query.view(),
            key.view(),
            value.view(),
            lag_bias.view(),
            weights.view_mut(),
            context.view_mut(),
        );
    }

    fn attention_backward(
        &self,
        steps: &Steps,
        query: &Matrix<S>,
        key: &Matrix<S>,
        value: &Matrix<S>,
        weights: &Matrix<S>,
        dcontext: &Matrix<S>,
        dlag_bias: &mut Matrix<S>,
        dquery: &mut Matrix<S>,
        dkey: &mut Matrix<S>,
        dvalue: &mut Matrix<S>,
    ) {
        dquery.resize(query.rows(), query.columns());
        dkey.resize(key.rows(), key.columns());
        dvalue.resize(value.rows(), value.columns());
        reference::attention_backward(
            steps,
            query.view(),
            key.view(),
            value.view(),
            weights.view(),
            dcontext.view(),
            dlag_bias.view_mut(),
            dquery.view_mut(),
            dkey.view_mut(),
            dvalue.view_mut(),
        );
    }

    fn softmax_loss(
        &self,
        q: &Matrix<S>,
        table: &Matrix<S>,
        column_bias: &Matrix<S>,
        repeat_bias: &Matrix<S>,
        task: &SoftmaxTask<'_>,
        dq: &mut Matrix<S>,
        dtable: &mut Matrix<S>,
        dcolumn_bias: Option<&mut Matrix<S>>,
        drepeat_bias: &mut Matrix<S>,
    ) -> f64 {
        dq.resize(q.rows(), q.columns());
        dtable.resize(table.rows(), table.columns());
        let mut unwanted = Matrix::default();
        let dcolumn_bias = dcolumn_bias.unwrap_or(&mut unwanted);
        dcolumn_bias.resize(table.rows(), 1);
        let params = SoftmaxParams {
            table: table.view(),
            column_bias: column_bias.view(),
            repeat_bias: repeat_bias.view(),
        };
        let mut grads = SoftmaxParams {
            table: dtable.view_mut(),
            column_bias: dcolumn_bias.view_mut(),
            repeat_bias: drepeat_bias.view_mut(),
        };
        let mut scratch = vec![S::zero(); table.rows()];
        reference::softmax_loss(&params, q.view(), task, dq.view_mut(), &mut grads, &mut scratch)
    }

    fn element_loss(
        &self,
        z: &Matrix<S>,
        y: &Matrix<S>,
        task: &ElementTask<'_>,
        dz: &mut Matrix<S>,
    ) -> f64 {
        dz.resize(z.rows(), z.columns());
        reference::element_loss(z.view(), y.view(), task, dz.view_mut())
    }

    fn class_loss(&self, z: &Matrix<S>, task: &ClassTask<'_>, dz: &mut Matrix<S>) -> f64 {
        dz.resize(z.rows(), z.columns());
        reference::class_loss(z.view(), task, dz.view_mut())
    }

    fn scores(
        &self,
        q: &Matrix<S>,
        table: &Matrix<S>,
        column_bias: &Matrix<S>,
        scores: &mut Matrix<S>,
    ) {
        scores.resize(q.rows(), table.rows());
        reference::scores(table.view(), column_bias.view(), q.view(), scores.view_mut());
    }

    fn top_items(
        &self,
        q: &Matrix<S>,
        table: &Matrix<S>,
        column_bias: &Matrix<S>,
        task: &TopTask<'_>,
        out: &mut TopItems,
    ) {
        reference::top_items(table.view(), column_bias.view(), q.view(), task, out);
    }

    fn optimizer_step(
        &self,
        step: &OptimizerStep,
        rows: Option<&[u32]>,
        gradient: &Matrix<S>,
        parameter: &mut Matrix<S>,
        state: &mut OptimizerState<Matrix<S>>,
    ) {
        let state = state.as_mut().map(Matrix::view_mut);
        reference::optimizer_step(step, rows, gradient.view(), parameter.view_mut(), state);
    }

    fn sum_of_squares(&self, x: &Matrix<S>, rows: Option<&[u32]>) -> f64 {
        reference::sum_of_squares(x.view(), rows)
    }

    fn clear_rows(&self, rows: &[u32], x: &mut Matrix<S>) {
        reference::clear_rows(rows, x.view_mut());
    }

    fn average(&self, share: f32, x: &Matrix<S>, mean: &mut Matrix<S>) {
        reference::average(share, x.view(), mean.view_mut());
    }
}

fn real<S: NdFloat>(value: f32) -> S {
    S::from(value).expect("f32 and f64 hold every f32")
}

/// A result that is replaced is given its shape; one that is added to has it.
fn shaped<S: NdFloat + Default>(accumulate: Accumulate, y: &mut Matrix<S>, shape: [usize; 2]) {
    if accumulate == Accumulate::Replace {
        y.resize(shape[0], shape[1]);
    }
}

fn views<S: Copy + Default>(
    params: &RecurrentParams<Matrix<S>>,
) -> RecurrentParams<ArrayView2<'_, S>> {
    params.as_ref().map(Matrix::view)
}
