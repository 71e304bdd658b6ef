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
    sought: SoughtTape<M>,
}

/// What is kept where scores of all items are looked at for a few positions, C of them.
#[derive(Debug, Clone, Default)]
struct SoughtTape<M> {
    /// Their pictures, `[C, D]`, and the same on the sphere.
    q: M,
    sphere: M,
    norm: M,
    /// `[C, V]`
    scores: M,
    dscores: M,
    dsphere: M,
    dq: M,
}

impl<M> Tape<M> {
    /// ∂L/∂q as the readout left it, `[N, D]`.
    pub(super) fn dq(&self) -> &M {
        &self.dq
    }

    /// The same, to add what reaches it from elsewhere.
    pub(super) fn dq_mut(&mut self) -> &mut M {
        &mut self.dq
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
        let device = self.device;
        let is_sampled = self.config.loss.is_sampled(self.items);
        if is_sampled {
            self.gather_candidates(params, batch, context, tape);
        } else if params.output_bias.is_none() {
            zeros(device, &mut tape.column_bias, self.items, 1);
        }
        let Tape { q: sphere, q_norm, candidates, gathered, table, column_bias, .. } = tape;
        let Tape { no_repeat, dq, dq_sphere, dtable, dgathered, dcolumn_bias, dno_repeat, .. } =
            tape;
        let (repeat, drepeat) =
            repeat_bias(device, params, grads.repeat_bias.as_mut(), no_repeat, dno_repeat);
        let dweights = item_table(grads.output.as_mut(), grads.embedding.as_mut());

        // What the softmax reads and writes: rows gathered for this step, or the table itself.
        let (task, rows, bias, drows, dbias);
        if is_sampled {
            task = candidates.task(batch.weights());
            (rows, bias, drows) = (&*gathered, &*column_bias, &mut *dgathered);
            dbias = params.output_bias.is_some().then_some(&mut *dcolumn_bias);
        } else {
            task = full_task(&self.config.loss, self.items, batch);
            (rows, drows) =
                (item_table(params.output.as_ref(), params.embedding.as_ref()), &mut *dweights);
            bias = params.output_bias.as_ref().unwrap_or(column_bias);
            dbias = grads.output_bias.as_mut();
        }
        let loss = if self.is_normalized() {
            table.prepare(device, rows);
            let Table { rows, norm } = &*table;
            let loss = device
                .softmax_loss(sphere, rows, bias, repeat, &task, dq_sphere, dtable, dbias, drepeat);
            device.normalize_backward(1.0, rows, norm, dtable, drows);
            device.normalize_backward(self.config.temperature, sphere, q_norm, dq_sphere, dq);
            loss
        } else {
            device.softmax_loss(q, rows, bias, repeat, &task, dq, drows, dbias, drepeat)
        };
        if is_sampled {
            device.embedding_backward(&candidates.items, dgathered, dweights);
            if let Some(dbias) = &mut grads.output_bias {
                device.embedding_backward(&candidates.items, dcolumn_bias, dbias);
            }
        }
        loss
    }

    /// No loss, where the next item is not asked: nothing reaches the pictures yet, and no item was looked
    /// at.
    pub(super) fn no_loss(&self, q: &D::Matrix, tape: &mut Tape<D::Matrix>) -> f64 {
        let [rows, columns] = self.device.shape(q);
        zeros(self.device, &mut tape.dq, rows, columns);
        tape.candidates.items.clear();
        0.0
    }

    /// The scores of all items for some of the positions, `[C, V]`, without repeat bias. `q` are the
    /// pictures of all, `[W, D]`.
    pub(super) fn seek(
        &self,
        params: &Parameters<D::Matrix>,
        q: &D::Matrix,
        rows: &[u32],
        tape: &mut Tape<D::Matrix>,
    ) -> Vec<f32> {
        let device = self.device;
        let Tape { sought, table, column_bias, .. } = tape;
        let SoughtTape { q: picture, sphere, norm, scores, .. } = sought;
        let items = item_table(params.output.as_ref(), params.embedding.as_ref());
        if params.output_bias.is_none() {
            zeros(device, column_bias, self.items, 1);
        }
        let bias = params.output_bias.as_ref().unwrap_or(column_bias);
        device.gather(q, rows, picture);
        if self.is_normalized() {
            device.normalize_forward(self.config.temperature, picture, sphere, norm);
            table.prepare(device, items);
            device.scores(sphere, &table.rows, bias, scores);
        } else {
            device.scores(picture, items, bias, scores);
        }
        device.download(scores)
    }

    /// Undoes [`Head::seek`]: ∂/∂q of `dscores`, `[C, V]`, is added to that of all positions, which
    /// [`Head::no_loss`] has set to zero.
    pub(super) fn sought(
        &self,
        params: &Parameters<D::Matrix>,
        rows: &[u32],
        dscores: &[f32],
        tape: &mut Tape<D::Matrix>,
    ) {
        let device = self.device;
        let Tape { sought, table, dq: dq_all, .. } = tape;
        let SoughtTape { sphere, norm, dscores: slopes, dsphere, dq, .. } = sought;
        let items = item_table(params.output.as_ref(), params.embedding.as_ref());
        device.upload(slopes, rows.len(), self.items, dscores);
        if self.is_normalized() {
            device.linear_backward_input(&table.rows, slopes, Accumulate::Replace, dsphere);
            device.normalize_backward(self.config.temperature, sphere, norm, dsphere, dq);
        } else {
            device.linear_backward_input(items, slopes, Accumulate::Replace, dq);
        }
        device.embedding_backward(rows, dq, dq_all);
    }

    /// Draws the candidates of a step; their rows and what is added to their scores, to the tape.
    fn gather_candidates(
        &self,
        params: &Parameters<D::Matrix>,
        batch: &Batch,
        context: StepContext,
        tape: &mut Tape<D::Matrix>,
    ) {
        let device = self.device;
        let StepContext { seed, step } = context;
        tape.candidates.draw(&self.config.loss, self.items, seed, step, batch);
        let (items, correction) = (&tape.candidates.items, &tape.candidates.correction);
        let weights = item_table(params.output.as_ref(), params.embedding.as_ref());
        device.gather(weights, items, &mut tape.gathered);
        match &params.output_bias {
            None => device.upload(&mut tape.column_bias, items.len(), 1, correction),
            Some(bias) => {
                device.gather(bias, items, &mut tape.column_bias);
                device.upload(&mut tape.correction, items.len(), 1, correction);
                device.add(&tape.correction, Accumulate::Add, &mut tape.column_bias);
            }
        }
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
