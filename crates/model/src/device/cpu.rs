//! The processor as a machine: crate `cpu`, behind the device interface.

use std::sync::Arc;

use cpu::CpuError;
use layout::random::Stream;
use layout::{
    Accumulate, ClassTask, ElementTask, Keep, Matrix, OptimizerState, OptimizerStep, RecurrentDims,
    RecurrentParams, RecurrentStart, RecurrentTape, SoftmaxTask, Steps, TopItems, TopTask,
};

use super::Device;

/// The processor: threads and vector instructions. A clone shares both.
#[derive(Debug, Clone)]
pub struct Cpu(Arc<cpu::Cpu>);

impl Cpu {
    /// A machine of `threads` threads on the best path, or on the one that `TIDEGATE_SIMD` names.
    ///
    /// # Errors
    ///
    /// [`CpuError`] where the path does not exist here or no threads can be had.
    pub fn new(threads: usize) -> Result<Self, CpuError> {
        cpu::Cpu::new(threads).map(Self::from)
    }

    /// Its threads and its kernel path.
    pub fn machine(&self) -> &cpu::Cpu {
        &self.0
    }
}

impl From<cpu::Cpu> for Cpu {
    fn from(machine: cpu::Cpu) -> Self {
        Self(Arc::new(machine))
    }
}

impl Device for Cpu {
    type Matrix = Matrix<f32>;
    type PackedRecurrent = cpu::PackedRecurrent;

    fn shape(&self, matrix: &Matrix<f32>) -> [usize; 2] {
        matrix.shape()
    }

    fn resize(&self, matrix: &mut Matrix<f32>, rows: usize, columns: usize) {
        matrix.resize(rows, columns);
    }

    fn fill(&self, matrix: &mut Matrix<f32>, value: f32) {
        matrix.fill(value);
    }

    fn upload(&self, matrix: &mut Matrix<f32>, rows: usize, columns: usize, values: &[f32]) {
        matrix.resize(rows, columns);
        matrix.as_mut_slice().copy_from_slice(values);
    }

    fn download_into(&self, matrix: &Matrix<f32>, values: &mut Vec<f32>) {
        values.clear();
        values.extend_from_slice(matrix.as_slice());
    }

    fn start(
        &self,
        tape: &mut RecurrentTape<Matrix<f32>>,
        steps: &Steps,
        dims: RecurrentDims,
        keep: Keep,
    ) {
        tape.start_keeping(steps, dims, keep);
    }

    fn add(&self, x: &Matrix<f32>, accumulate: Accumulate, y: &mut Matrix<f32>) {
        self.0.add(x, accumulate, y);
    }

    fn embedding_forward(&self, table: &Matrix<f32>, ids: &[u32], out: &mut Matrix<f32>) {
        self.0.embedding_forward(table, ids, out);
    }

    fn embedding_backward(&self, ids: &[u32], dout: &Matrix<f32>, dtable: &mut Matrix<f32>) {
        self.0.embedding_backward(ids, dout, dtable);
    }

    fn running_mean_forward(&self, steps: &Steps, x: &Matrix<f32>, y: &mut Matrix<f32>) {
        self.0.running_mean_forward(steps, x, y);
    }

    fn running_mean_backward(&self, steps: &Steps, dy: &Matrix<f32>, dx: &mut Matrix<f32>) {
        self.0.running_mean_backward(steps, dy, dx);
    }

    fn normalize_forward(
        &self,
        scale: f32,
        x: &Matrix<f32>,
        y: &mut Matrix<f32>,
        norm: &mut Matrix<f32>,
    ) {
        self.0.normalize_forward(scale, x, y, norm);
    }

    fn normalize_backward(
        &self,
        scale: f32,
        y: &Matrix<f32>,
        norm: &Matrix<f32>,
        dy: &Matrix<f32>,
        dx: &mut Matrix<f32>,
    ) {
        self.0.normalize_backward(scale, y, norm, dy, dx);
    }

    fn dropout(&self, rate: f32, stream: Stream, x: &mut Matrix<f32>) {
        self.0.dropout(rate, stream, x);
    }

    fn linear_forward(
        &self,
        w: &Matrix<f32>,
        x: &Matrix<f32>,
        accumulate: Accumulate,
        y: &mut Matrix<f32>,
    ) {
        self.0.linear_forward(w, x, accumulate, y);
    }

    fn linear_backward_input(
        &self,
        w: &Matrix<f32>,
        dy: &Matrix<f32>,
        accumulate: Accumulate,
        dx: &mut Matrix<f32>,
    ) {
        self.0.linear_backward_input(w, dy, accumulate, dx);
    }

    fn linear_backward_weights(&self, x: &Matrix<f32>, dy: &Matrix<f32>, dw: &mut Matrix<f32>) {
        self.0.linear_backward_weights(x, dy, dw);
    }

    fn recurrent_forward(
        &self,
        params: &RecurrentParams<Matrix<f32>>,
        x: Option<&Matrix<f32>>,
        steps: &Steps,
        tape: &mut RecurrentTape<Matrix<f32>>,
    ) {
        self.0.recurrent_forward(params, x, steps, tape);
    }

    fn pack_recurrent(
        &self,
        params: &RecurrentParams<Matrix<f32>>,
        with_input: bool,
    ) -> cpu::PackedRecurrent {
        self.0.pack_recurrent(params, with_input)
    }

    fn recurrent_forward_packed(
        &self,
        layer: &cpu::PackedRecurrent,
        x: Option<&Matrix<f32>>,
        steps: &Steps,
        tape: &mut RecurrentTape<Matrix<f32>>,
    ) {
        self.0.recurrent_forward_packed(layer, x, steps, tape);
    }

    fn recurrent_backward(
        &self,
        params: &RecurrentParams<Matrix<f32>>,
        x: Option<&Matrix<f32>>,
        steps: &Steps,
        tape: &RecurrentTape<Matrix<f32>>,
        dh_above: &Matrix<f32>,
        grads: &mut RecurrentParams<Matrix<f32>>,
        dz: &mut Matrix<f32>,
        dx: Option<&mut Matrix<f32>>,
        start: Option<&mut RecurrentStart<Matrix<f32>>>,
    ) {
        self.0.recurrent_backward(params, x, steps, tape, dh_above, grads, dz, dx, start);
    }

    fn directions_forward(
        &self,
        reversed: &[u32],
        forward: &Matrix<f32>,
        reverse: &Matrix<f32>,
        y: &mut Matrix<f32>,
    ) {
        self.0.directions_forward(reversed, forward, reverse, y);
    }

    fn directions_backward(
        &self,
        reversed: &[u32],
        dy: &Matrix<f32>,
        forward: &mut Matrix<f32>,
        reverse: &mut Matrix<f32>,
    ) {
        self.0.directions_backward(reversed, dy, forward, reverse);
    }

    fn attention_forward(
        &self,
        steps: &Steps,
        query: &Matrix<f32>,
        key: &Matrix<f32>,
        value: &Matrix<f32>,
        lag_bias: &Matrix<f32>,
        weights: &mut Matrix<f32>,
        context: &mut Matrix<f32>,
    ) {
        self.0.attention_forward(steps, query, key, value, lag_bias, weights, context);
    }

    fn attention_backward(
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
        self.0.attention_backward(
            steps, query, key, value, weights, dcontext, dlag_bias, dquery, dkey, dvalue,
        );
    }

    fn softmax_loss(
        &self,
        q: &Matrix<f32>,
        table: &Matrix<f32>,
        column_bias: &Matrix<f32>,
        repeat_bias: &Matrix<f32>,
        task: &SoftmaxTask<'_>,
        dq: &mut Matrix<f32>,
        dtable: &mut Matrix<f32>,
        dcolumn_bias: Option<&mut Matrix<f32>>,
        drepeat_bias: &mut Matrix<f32>,
    ) -> f64 {
        self.0.softmax_loss(
            q,
            table,
            column_bias,
            repeat_bias,
            task,
            dq,
            dtable,
            dcolumn_bias,
            drepeat_bias,
        )
    }

    fn element_loss(
        &self,
        z: &Matrix<f32>,
        y: &Matrix<f32>,
        task: &ElementTask<'_>,
        dz: &mut Matrix<f32>,
    ) -> f64 {
        self.0.element_loss(z, y, task, dz)
    }

    fn class_loss(&self, z: &Matrix<f32>, task: &ClassTask<'_>, dz: &mut Matrix<f32>) -> f64 {
        self.0.class_loss(z, task, dz)
    }

    fn scores(
        &self,
        q: &Matrix<f32>,
        table: &Matrix<f32>,
        column_bias: &Matrix<f32>,
        scores: &mut Matrix<f32>,
    ) {
        self.0.scores(q, table, column_bias, scores);
    }

    fn top_items(
        &self,
        q: &Matrix<f32>,
        table: &Matrix<f32>,
        column_bias: &Matrix<f32>,
        task: &TopTask<'_>,
        out: &mut TopItems,
    ) {
        self.0.top_items(q, table, column_bias, task, out);
    }

    fn optimizer_step(
        &self,
        step: &OptimizerStep,
        rows: Option<&[u32]>,
        gradient: &Matrix<f32>,
        parameter: &mut Matrix<f32>,
        state: &mut OptimizerState<Matrix<f32>>,
    ) {
        self.0.optimizer_step(step, rows, gradient, parameter, state);
    }

    fn sum_of_squares(&self, x: &Matrix<f32>, rows: Option<&[u32]>) -> f64 {
        self.0.sum_of_squares(x, rows)
    }

    fn clear_rows(&self, rows: &[u32], x: &mut Matrix<f32>) {
        self.0.clear_rows(rows, x);
    }

    fn average(&self, share: f32, x: &Matrix<f32>, mean: &mut Matrix<f32>) {
        self.0.average(share, x, mean);
    }

    fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.0.run(work)
    }

    fn at_once(&self, first: impl FnOnce() + Send, second: impl FnOnce() + Send) {
        self.0.at_once(first, second);
    }
}
