//! What a machine must be able to do to run the model.
//!
//! Every operation stands at the level of a layer, never of a single tensor, so that the model's
//! forward and backward passes are written once and each machine may fuse inside an operation.
//! Arguments come in the reading order of the whole house: parameters, inputs, what forward saved,
//! then the results. **Gradients of parameters are added to; everything else is replaced**, where a
//! line does not say otherwise. Results are given the shape they need.

mod cpu;
mod reference;

pub use cpu::Cpu;
pub use reference::Reference;

use layout::random::Stream;
use layout::{
    Accumulate, ClassTask, ElementTask, Keep, OptimizerState, OptimizerStep, RecurrentDims,
    RecurrentParams, RecurrentStart, RecurrentTape, SoftmaxTask, Steps, TopItems, TopTask,
};

/// A machine: memory of its own and the operations on it. A clone is another handle on the same
/// machine.
pub trait Device: Clone + Send + Sync {
    /// A row-major matrix in this machine's memory, which keeps its buffer when it shrinks.
    type Matrix: Clone + Default + Send + Sync;
    /// The weights of a recurrent layer, laid out for many answers.
    type PackedRecurrent: Send + Sync;

    // --- memory -----------------------------------------------------------------------------

    /// Rows and columns.
    fn shape(&self, matrix: &Self::Matrix) -> [usize; 2];
    /// Another shape; the contents become unspecified.
    fn resize(&self, matrix: &mut Self::Matrix, rows: usize, columns: usize);
    /// Sets every entry.
    fn fill(&self, matrix: &mut Self::Matrix, value: f32);
    /// Copies from the host.
    fn upload(&self, matrix: &mut Self::Matrix, rows: usize, columns: usize, values: &[f32]);
    /// Copies to the host, row after row; `values` is replaced and keeps its memory.
    fn download_into(&self, matrix: &Self::Matrix, values: &mut Vec<f32>);
    /// Copies to the host, row after row.
    fn download(&self, matrix: &Self::Matrix) -> Vec<f32> {
        let mut values = Vec::new();
        self.download_into(matrix, &mut values);
        values
    }
    /// Shape and zero start of a recurrent tape for a batch. A machine may keep more than it is asked to.
    fn start(
        &self,
        tape: &mut RecurrentTape<Self::Matrix>,
        steps: &Steps,
        dims: RecurrentDims,
        keep: Keep,
    );
    /// `y = x` or `y += x`.
    fn add(&self, x: &Self::Matrix, accumulate: Accumulate, y: &mut Self::Matrix);

    // --- input ------------------------------------------------------------------------------

    /// `out[p] = table[ids[p]]`; table `[V, E]`, out `[N, E]`.
    fn embedding_forward(&self, table: &Self::Matrix, ids: &[u32], out: &mut Self::Matrix);
    /// `out[k] = x[rows[k]]` of the positions of a batch: the last state of each row, say. The same
    /// as [`Device::embedding_forward`], under the name that readers expect.
    fn gather(&self, x: &Self::Matrix, rows: &[u32], out: &mut Self::Matrix) {
        self.embedding_forward(x, rows, out);
    }
    /// `dtable[ids[p]] += dout[p]`, for each row in the order of the positions.
    fn embedding_backward(&self, ids: &[u32], dout: &Self::Matrix, dtable: &mut Self::Matrix);
    /// `y_t = (x_0 + … + x_t) / (t + 1)` within each row of the batch; `[N, E]`.
    fn running_mean_forward(&self, steps: &Steps, x: &Self::Matrix, y: &mut Self::Matrix);
    /// `dx_t = Σ_{s ≥ t} dy_s / (s + 1)`.
    fn running_mean_backward(&self, steps: &Steps, dy: &Self::Matrix, dx: &mut Self::Matrix);
    /// `norm_p = √(Σ x_p² + 1e-12)`, `y_p = scale · x_p / norm_p`; x, y `[N, E]`, norm `[N, 1]`.
    fn normalize_forward(
        &self,
        scale: f32,
        x: &Self::Matrix,
        y: &mut Self::Matrix,
        norm: &mut Self::Matrix,
    );
    /// `dx_p = (scale · dy_p − y_p (y_p · dy_p) / scale) / norm_p`.
    fn normalize_backward(
        &self,
        scale: f32,
        y: &Self::Matrix,
        norm: &Self::Matrix,
        dy: &Self::Matrix,
        dx: &mut Self::Matrix,
    );
    /// Inverted dropout in place: entry number e (row after row) is set to zero where
    /// `stream.uniform(e) < rate`, and divided by `1 − rate` elsewhere. Its own backward.
    fn dropout(&self, rate: f32, stream: Stream, x: &mut Self::Matrix);

    // --- layers -----------------------------------------------------------------------------

    /// `y = x·wᵀ`, replaced or added to; w `[O, I]`, x `[N, I]`, y `[N, O]`.
    fn linear_forward(
        &self,
        w: &Self::Matrix,
        x: &Self::Matrix,
        accumulate: Accumulate,
        y: &mut Self::Matrix,
    );
    /// `dx = dy·w`, replaced or added to.
    fn linear_backward_input(
        &self,
        w: &Self::Matrix,
        dy: &Self::Matrix,
        accumulate: Accumulate,
        dx: &mut Self::Matrix,
    );
    /// `dw += dyᵀ·x`.
    fn linear_backward_weights(&self, x: &Self::Matrix, dy: &Self::Matrix, dw: &mut Self::Matrix);
    /// A whole recurrent layer over a batch. `x` is `[N, I]`; where it is `None`, `tape.a` already holds
    /// the input's share `x·w_xᵀ` (without the bias), as a gather of rows has left it, and `w_x` is
    /// neither read nor checked: the one-hot table `[V, G·H]` lies there. Slot 0 of the tape holds
    /// the start of the rows.
    fn recurrent_forward(
        &self,
        params: &RecurrentParams<Self::Matrix>,
        x: Option<&Self::Matrix>,
        steps: &Steps,
        tape: &mut RecurrentTape<Self::Matrix>,
    );
    /// Lays the weights of a layer out for as many answers as may come; those of the input only where
    /// it comes as a matrix.
    fn pack_recurrent(
        &self,
        params: &RecurrentParams<Self::Matrix>,
        with_input: bool,
    ) -> Self::PackedRecurrent;
    /// [`Device::recurrent_forward`] with weights laid out before, to the last bit.
    fn recurrent_forward_packed(
        &self,
        layer: &Self::PackedRecurrent,
        x: Option<&Self::Matrix>,
        steps: &Steps,
        tape: &mut RecurrentTape<Self::Matrix>,
    );
    /// Undoes [`Device::recurrent_forward`]. `dh_above` `[N, R]` is what reaches each hidden state from
    /// above; `dz` `[N, G·H]` the gradient of the input's product; `dx` `[N, I]` and `start` where wanted.
    /// Where `x` is `None`, the gradient of `w_x` is left alone: `dz` is what reaches the gather.
    #[allow(clippy::too_many_arguments)]
    fn recurrent_backward(
        &self,
        params: &RecurrentParams<Self::Matrix>,
        x: Option<&Self::Matrix>,
        steps: &Steps,
        tape: &RecurrentTape<Self::Matrix>,
        dh_above: &Self::Matrix,
        grads: &mut RecurrentParams<Self::Matrix>,
        dz: &mut Self::Matrix,
        dx: Option<&mut Self::Matrix>,
        start: Option<&mut RecurrentStart<Self::Matrix>>,
    );
    /// The states of two layers that read the rows from their two ends, side by side:
    /// `y_p = [ h→_p ; h←_{r(p)} ]`. r is [`Steps::reversed`]; the states are in slots `[B + N, R]`, y is
    /// `[N, 2R]`.
    fn directions_forward(
        &self,
        reversed: &[u32],
        forward: &Self::Matrix,
        reverse: &Self::Matrix,
        y: &mut Self::Matrix,
    );
    /// Undoes [`Device::directions_forward`]: `dh→_p = dy_p[..R]`, `dh←_p = dy_{r(p)}[R..]`; both `[N, R]`.
    fn directions_backward(
        &self,
        reversed: &[u32],
        dy: &Self::Matrix,
        forward: &mut Self::Matrix,
        reverse: &mut Self::Matrix,
    );
    /// Causal attention of each position over its own row, itself included:
    ///
    /// ```text
    ///     a_tj = softmax_j≤t ( (query_t · key_j) / √K + lag_bias[min(t − j, L − 1)] )
    ///     context_t = Σ_j≤t a_tj value_j
    /// ```
    ///
    /// query, key `[N, K]`, value, context `[N, E]`, lag_bias `[1, L]`; `weights` keeps the a_tj,
    /// `[1, Σ_t active(t)·(t + 1)]`, step after step, row after row, j rising.
    #[allow(clippy::too_many_arguments)]
    fn attention_forward(
        &self,
        steps: &Steps,
        query: &Self::Matrix,
        key: &Self::Matrix,
        value: &Self::Matrix,
        lag_bias: &Self::Matrix,
        weights: &mut Self::Matrix,
        context: &mut Self::Matrix,
    );
    /// Undoes [`Device::attention_forward`]; `dlag_bias` is a parameter's gradient (added to), the
    /// others are replaced.
    #[allow(clippy::too_many_arguments)]
    fn attention_backward(
        &self,
        steps: &Steps,
        query: &Self::Matrix,
        key: &Self::Matrix,
        value: &Self::Matrix,
        weights: &Self::Matrix,
        dcontext: &Self::Matrix,
        dlag_bias: &mut Self::Matrix,
        dquery: &mut Self::Matrix,
        dkey: &mut Self::Matrix,
        dvalue: &mut Self::Matrix,
    );

    // --- answers ----------------------------------------------------------------------------

    /// The loss L of [`SoftmaxTask`] and its gradients in one go, a block of positions at a
    /// time where C is large. q `[N, E]`, table `[C, E]`, column_bias `[C, 1]`, repeat_bias `[1, R]`;
    /// `dq`, `dtable` and, where it is wanted, `dcolumn_bias` are **replaced**, `drepeat_bias` is
    /// added to.
    #[allow(clippy::too_many_arguments)]
    fn softmax_loss(
        &self,
        q: &Self::Matrix,
        table: &Self::Matrix,
        column_bias: &Self::Matrix,
        repeat_bias: &Self::Matrix,
        task: &SoftmaxTask<'_>,
        dq: &mut Self::Matrix,
        dtable: &mut Self::Matrix,
        dcolumn_bias: Option<&mut Self::Matrix>,
        drepeat_bias: &mut Self::Matrix,
    ) -> f64;
    /// The loss L of an [`ElementTask`] and its gradient: z, y, `dz` `[N, C]`; `dz` is replaced.
    fn element_loss(
        &self,
        z: &Self::Matrix,
        y: &Self::Matrix,
        task: &ElementTask<'_>,
        dz: &mut Self::Matrix,
    ) -> f64;
    /// The loss L of a [`ClassTask`] and its gradient: z, `dz` `[N, C]`; `dz` is replaced.
    fn class_loss(&self, z: &Self::Matrix, task: &ClassTask<'_>, dz: &mut Self::Matrix) -> f64;
    /// `scores[p, c] = q_p · table_c + column_bias[c]`, for answers; `[N, C]`. Each row is a
    /// function of its own q alone, to the last bit.
    fn scores(
        &self,
        q: &Self::Matrix,
        table: &Self::Matrix,
        column_bias: &Self::Matrix,
        scores: &mut Self::Matrix,
    );

    /// The best items of each row of q, and `log Σ exp` of all its scores where it is asked for, as
    /// [`TopTask`] has it: the scores are those of [`Device::scores`], to the last bit but for the sign
    /// of a zero, and no machine need hold all of them. q `[N, E]`, table `[V, E]`, column_bias `[V, 1]`; `out` is replaced.
    /// Each row is a function of its own q and its own entries alone, to the last bit.
    fn top_items(
        &self,
        q: &Self::Matrix,
        table: &Self::Matrix,
        column_bias: &Self::Matrix,
        task: &TopTask<'_>,
        out: &mut TopItems,
    );

    // --- optimiser --------------------------------------------------------------------------

    /// One step of an optimiser, as [`OptimizerStep`] has it, for all rows of a parameter or for some,
    /// named in rising order; the other rows and what is remembered of them stay as they are. The
    /// parts of `state` that the rule keeps have the parameter's shape; the others are not looked at.
    fn optimizer_step(
        &self,
        step: &OptimizerStep,
        rows: Option<&[u32]>,
        gradient: &Self::Matrix,
        parameter: &mut Self::Matrix,
        state: &mut OptimizerState<Self::Matrix>,
    );
    /// Sum of the squares of all entries, or of those in `rows`, in a fixed order, in f64.
    fn sum_of_squares(&self, x: &Self::Matrix, rows: Option<&[u32]>) -> f64;
    /// Sets some rows to zero.
    fn clear_rows(&self, rows: &[u32], x: &mut Self::Matrix);
    /// `mean += share · (x − mean)`.
    fn average(&self, share: f32, x: &Self::Matrix, mean: &mut Self::Matrix);

    // --- threads ----------------------------------------------------------------------------

    /// Runs `work` where this machine's threads are at hand: a whole training step, say.
    fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        work()
    }
    /// Does two things that do not need each other, at once where the machine can.
    fn at_once(&self, first: impl FnOnce() + Send, second: impl FnOnce() + Send) {
        first();
        second();
    }
}
