//! From pictures to scores and the loss.
//!
//! ```text
//!     temperature > 0     s = temperature · (q / ‖q‖) · (e / ‖e‖) + biases
//!     temperature = 0     s = q · e + biases
//! ```
//!
//! e are the rows of the item table: all of them, or those of the candidates. The full softmax
//! writes the gradient of the table in place; the sampled one scatters it to the candidates' rows.

use super::StepContext;
use crate::candidates::{Candidates, full_task};
use crate::{Batch, Device, ModelConfig, Parameters};
use layout::Accumulate;

#[derive(Debug, Clone, Default)]
pub(super) struct Tape<M> {
    /// The picture on the sphere of radius `temperature`, `[W, D]`.
    q: M,
    q_norm: M,
    candidates: Candidates,
    /// The candidates' rows, `[C, D]`.
    gathered: M,
    table: Table<M>,
    column_bias: M,
    correction: M,
    no_repeat: M,
    dq: M,
    /// ∂L/∂q after normalisation.
    dq_sphere: M,
    dtable: M,
    dgathered: M,
    dcolumn_bias: M,
    dno_repeat: M,
}

impl<M> Tape<M> {
    /// ∂L/∂q as the readout left it, `[N, D]`.
    pub(super) fn dq(&self) -> &M {
        &self.dq
    }

    /// The picture as the scores see it, given the one that the readout left.
    pub(super) fn picture<'m>(&'m self, config: &ModelConfig, q: &'m M) -> &'m M {
        if config.temperature > 0.0 { &self.q } else { q }
    }

    /// The items that the last sampled softmax has looked at.
    pub(super) fn candidates(&self) -> &[u32] {
        &self.candidates.items
    }
}

/// Item rows with length one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table<M> {
    /// The rows, `[C, D]`.
    pub(crate) rows: M,
    norm: M,
}

impl<M> Table<M> {
    /// Normalises the rows of a table.
    pub(crate) fn prepare<D: Device<Matrix = M>>(&mut self, device: &D, rows: &M) {
        device.normalize_forward(1.0, rows, &mut self.rows, &mut self.norm);
    }
}

/// The end of the network.
pub(super) struct Head<'a, D> {
    pub(super) device: &'a D,
    pub(super) config: &'a ModelConfig,
    pub(super) items: usize,
}

impl<D: Device> Head<'_, D> {
    fn is_normalized(&self) -> bool {
        self.config.temperature > 0.0
    }

    /// Brings the pictures to the sphere, where the model has one.
    pub(super) fn normalize(&self, q: &D::Matrix, tape: &mut Tape<D::Matrix>) {
        if self.is_normalized() {
            let Tape { q: sphere, q_norm, .. } = tape;
            self.device.normalize_forward(self.config.temperature, q, sphere, q_norm);
        }
    }

    /// The loss of all positions; ∂L/∂q into the tape, ∂L/∂ of table and biases into `grads`.
    pub(super) fn loss(
        &self,
        params: &Parameters<D::Matrix>,
        batch: &Batch,
        context: StepContext,
        q: &D::Matrix,
        tape: &mut Tape<D::Matrix>,
        grads: &mut Parameters<D::Matrix>,
    ) -> f64 {
        self.normalize(q, tape);
        let loss = if self.config.loss.is_sampled(self.items) {
            self.sampled(params, batch, context, q, tape, grads)
        } else {
            self.full(params, batch, q, tape, grads)
        };
        let Tape { q: sphere, q_norm, dq, dq_sphere, .. } = tape;
        if self.is_normalized() {
            let temperature = self.config.temperature;
            self.device.normalize_backward(temperature, sphere, q_norm, dq_sphere, dq);
        }
        loss
    }

    fn full(
        &self,
        params: &Parameters<D::Matrix>,
        batch: &Batch,
        q: &D::Matrix,
        tape: &mut Tape<D::Matrix>,
        grads: &mut Parameters<D::Matrix>,
    ) -> f64 {
        let device = self.device;
        let task = full_task(&self.config.loss, self.items, batch);
        let weights = item_table(params.output.as_ref(), params.embedding.as_ref());
        let dweights = item_table(grads.output.as_mut(), grads.embedding.as_mut());
        let Tape { q: sphere, table, column_bias, no_repeat, .. } = tape;
        let Tape { dq, dq_sphere, dtable, dno_repeat, .. } = tape;
        if params.output_bias.is_none() {
            zeros(device, column_bias, self.items, 1);
        }
        let bias = params.output_bias.as_ref().unwrap_or(column_bias);
        let dbias = grads.output_bias.as_mut();
        let (repeat, drepeat) =
            repeat_bias(device, params, grads.repeat_bias.as_mut(), no_repeat, dno_repeat);
        if self.is_normalized() {
            table.prepare(device, weights);
            let (rows, dq) = (&table.rows, dq_sphere);
            let loss =
                device.softmax_loss(sphere, rows, bias, repeat, &task, dq, dtable, dbias, drepeat);
            device.normalize_backward(1.0, &table.rows, &table.norm, dtable, dweights);
            loss
        } else {
            device.softmax_loss(q, weights, bias, repeat, &task, dq, dweights, dbias, drepeat)
        }
    }

    fn sampled(
        &self,
        params: &Parameters<D::Matrix>,
        batch: &Batch,
        context: StepContext,
        q: &D::Matrix,
        tape: &mut Tape<D::Matrix>,
        grads: &mut Parameters<D::Matrix>,
    ) -> f64 {
        let device = self.device;
        let StepContext { seed, step } = context;
        tape.candidates.draw(&self.config.loss, self.items, seed, step, batch);
        let task = tape.candidates.task(batch.weights());
        let (items, correction) = (&tape.candidates.items, &tape.candidates.correction);
        let weights = item_table(params.output.as_ref(), params.embedding.as_ref());
        let dweights = item_table(grads.output.as_mut(), grads.embedding.as_mut());
        let Tape { q: sphere, gathered, table, column_bias, no_repeat, .. } = tape;
        let Tape { dq, dq_sphere, dtable, dgathered, dcolumn_bias, dno_repeat, .. } = tape;

        device.gather(weights, items, gathered);
        match &params.output_bias {
            None => device.upload(column_bias, items.len(), 1, correction),
            Some(bias) => {
                device.gather(bias, items, column_bias);
                device.upload(&mut tape.correction, items.len(), 1, correction);
                device.add(&tape.correction, Accumulate::Add, column_bias);
            }
        }
        let (repeat, drepeat) =
            repeat_bias(device, params, grads.repeat_bias.as_mut(), no_repeat, dno_repeat);
        let bias = &*column_bias;
        let dbias = params.output_bias.is_some().then_some(&mut *dcolumn_bias);
        let loss = if self.is_normalized() {
            table.prepare(device, gathered);
            let (rows, dq) = (&table.rows, dq_sphere);
            let loss =
                device.softmax_loss(sphere, rows, bias, repeat, &task, dq, dtable, dbias, drepeat);
            device.normalize_backward(1.0, &table.rows, &table.norm, dtable, dgathered);
            loss
        } else {
            device.softmax_loss(q, gathered, bias, repeat, &task, dq, dgathered, dbias, drepeat)
        };
        device.embedding_backward(items, dgathered, dweights);
        if let Some(dbias) = &mut grads.output_bias {
            device.embedding_backward(items, dcolumn_bias, dbias);
        }
        loss
    }
}

/// The table of the output, its own or the embedding.
fn item_table<T>(output: Option<T>, embedding: Option<T>) -> T {
    output.or(embedding).expect("a model without an embedding has an output table")
}

fn zeros<D: Device>(device: &D, matrix: &mut D::Matrix, rows: usize, columns: usize) {
    device.resize(matrix, rows, columns);
    device.fill(matrix, 0.0);
}

/// The repeat bias and its gradient, or two zeros that nobody looks at.
fn repeat_bias<'m, D: Device>(
    device: &D,
    params: &'m Parameters<D::Matrix>,
    grad: Option<&'m mut D::Matrix>,
    none: &'m mut D::Matrix,
    dnone: &'m mut D::Matrix,
) -> (&'m D::Matrix, &'m mut D::Matrix) {
    match (&params.repeat_bias, grad) {
        (Some(bias), Some(grad)) => (bias, grad),
        _ => {
            zeros(device, none, 1, 1);
            zeros(device, dnone, 1, 1);
            (none, dnone)
        }
    }
}
