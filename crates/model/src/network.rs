//! The whole model, forward and backward, written once for every machine.
//!
//! ```text
//!     items ──► input ──► recurrent stack ──► readout ──► output ──► loss
//!               x           h              q          scores against the item table
//! ```
//!
//! Each part is a module with a tape (what its backward pass needs, and scratch), a `forward` and,
//! below it, a `backward`. Backward runs the parts in reverse order. Everything feeds on a position
//! and what stands before it, so every position can be a target at once.

mod gradients;
mod input;
mod masks;
mod output;
mod readout;
mod stack;
mod thinned;

pub use gradients::Gradients;
pub(crate) use output::Table;

use layout::Keep;
use stack::Layers;

use crate::{Batch, BatchError, Device, Model, Parameters};

/// Names the random numbers of one training step: which entries drop, which items are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepContext {
    /// The seed of the run.
    pub seed: u64,
    /// The number of the step.
    pub step: u32,
}

/// Tapes and scratch of one pass. It grows to the largest batch and then takes no more memory.
#[derive(Debug, Clone, Default)]
pub struct Workspace<M> {
    input: input::Tape<M>,
    stack: stack::Tape<M>,
    readout: readout::Tape<M>,
    output: output::Tape<M>,
}

impl<M: Clone + Default> Workspace<M> {
    /// A workspace whose tapes of the layers keep more or less.
    pub fn keeping(keep: Keep) -> Self {
        let mut workspace = Self::default();
        workspace.stack.keep(keep);
        workspace
    }
}

impl<D: Device> Model<D> {
    /// One forward and one backward pass: the loss L of the batch, and ∂L/∂w of every weight into
    /// `gradients`.
    ///
    /// # Errors
    ///
    /// [`BatchError`] where the batch holds an unknown item or nothing to predict.
    pub fn gradients(
        &self,
        batch: &Batch,
        context: StepContext,
        workspace: &mut Workspace<D::Matrix>,
        gradients: &mut Gradients<D::Matrix>,
    ) -> Result<f64, BatchError> {
        self.check(batch)?;
        if !batch.weights().iter().any(|&weight| weight > 0.0) {
            return Err(BatchError::Empty);
        }
        let (device, config, parameters) = (self.device(), self.config(), self.parameters());
        Ok(device.run(|| {
            let Workspace { input, stack, readout, output } = workspace;
            gradients.clear(device, self.catalogue(), config.loss.is_sampled(self.items()));
            let layers = Layers::Learned(&parameters.recurrent);
            forward(self, layers, batch, Some(context), input, stack, readout);
            let head = output::Head { device, config, items: self.items() };
            let loss =
                head.loss(parameters, batch, context, readout.q(), output, &mut gradients.values);
            gradients.rows.touch(batch.ids(), output.candidates(), self.items());

            let pass = Pass { device, config, batch, context: Some(context) };
            readout::backward(&pass, &parameters.readout, readout, input, output.dq(), gradients);
            stack::backward(&pass, &parameters.recurrent, stack, input, readout.dh(), gradients);
            input::backward(&pass, input, stack.dz(), &mut gradients.values);
            loss
        }))
    }

    /// The weights of the layers, laid out for [`Model::pictures`].
    pub(crate) fn pack(&self) -> Vec<D::PackedRecurrent> {
        let (device, config) = (self.device(), self.config());
        let layers = self.parameters().recurrent.iter().enumerate();
        device.run(|| {
            layers.map(|(l, params)| device.pack_recurrent(params, config.has_input(l))).collect()
        })
    }

    /// The pictures of the wanted positions, `[W, D]`, as the scores see them: normalised and
    /// scaled. Nothing drops.
    pub(crate) fn pictures<'w>(
        &self,
        layers: &[D::PackedRecurrent],
        batch: &Batch,
        workspace: &'w mut Workspace<D::Matrix>,
    ) -> Result<&'w D::Matrix, BatchError> {
        self.check(batch)?;
        let device = self.device();
        device.run(|| {
            let Workspace { input, stack, readout, output } = workspace;
            forward(self, Layers::Packed(layers), batch, None, input, stack, readout);
            let head = output::Head { device, config: self.config(), items: self.items() };
            head.normalize(readout.q(), output);
        });
        Ok(workspace.output.picture(self.config(), workspace.readout.q()))
    }
}

/// What every part of one pass needs to know.
struct Pass<'a, D> {
    device: &'a D,
    config: &'a crate::ModelConfig,
    batch: &'a Batch,
    /// Present in training: then entries drop.
    context: Option<StepContext>,
}

impl<D: Device> Pass<'_, D> {
    /// Switches entries off in training; forward and backward call it alike.
    fn dropout(&self, rate: f32, name: u32, x: &mut D::Matrix) {
        if let Some(StepContext { seed, step }) = self.context
            && rate > 0.0
        {
            self.device.dropout(rate, layout::random::Stream::new(seed, name, step), x);
        }
    }

    /// Whether anything drops at this rate.
    fn drops(&self, rate: f32) -> bool {
        self.context.is_some() && rate > 0.0
    }
}

/// From the items of a batch to the readout of its wanted positions.
fn forward<D: Device>(
    model: &Model<D>,
    layers: Layers<'_, D>,
    batch: &Batch,
    context: Option<StepContext>,
    input: &mut input::Tape<D::Matrix>,
    stack: &mut stack::Tape<D::Matrix>,
    readout: &mut readout::Tape<D::Matrix>,
) {
    let pass = Pass { device: model.device(), config: model.config(), batch, context };
    let Parameters { embedding, recurrent, readout: mix, .. } = model.parameters();
    stack.start(&pass);
    input::forward(&pass, embedding.as_ref(), &recurrent[0].w_x, input, stack.first());
    stack::forward(&pass, layers, input.entering(&pass), stack);
    readout::forward(&pass, mix, input, stack.top(), readout);
}
