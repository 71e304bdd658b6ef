//! One training step after the other.

use layout::Keep;

use crate::network::Workspace;
use crate::optimizer::{NotFinite, Optimizer};
use crate::{
    Batch, BatchError, ConfigError, Device, Gradients, Model, OptimizerConfig, StepContext,
};

/// Why a training step failed. The weights are as they were before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrainingError {
    /// The batch does not fit the model.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// The loss or a gradient is not finite.
    #[error(transparent)]
    NotFinite(#[from] NotFinite),
}

/// What one step has found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepReport {
    /// The loss of the batch before the step: a weighted mean over its positions.
    pub loss: f64,
    /// The length of the gradient over all tensors, before clipping.
    pub gradient_norm: f64,
}

/// A model in training: weights, what the optimiser remembers, averages, and the memory of a step.
#[derive(Debug, Clone)]
pub struct Trainer<D: Device> {
    pub(crate) model: Model<D>,
    pub(crate) optimizer: Optimizer<D::Matrix>,
    pub(crate) seed: u64,
    workspace: Workspace<D::Matrix>,
    gradients: Gradients<D::Matrix>,
}

impl<D: Device> Trainer<D> {
    /// Prepares to train a model. The seed names what drops and what is drawn.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where the optimiser's configuration is out of range.
    pub fn new(model: Model<D>, config: OptimizerConfig, seed: u64) -> Result<Self, ConfigError> {
        config.validate()?;
        let optimizer = Optimizer::new(model.device(), config, model.catalogue());
        Ok(Self::from_parts(model, optimizer, seed))
    }

    pub(crate) fn from_parts(model: Model<D>, optimizer: Optimizer<D::Matrix>, seed: u64) -> Self {
        let gradients = Gradients::new(model.device(), model.catalogue());
        Self { model, optimizer, seed, workspace: Workspace::default(), gradients }
    }

    /// What the LSTM layers keep of a step until its backward pass, from the next step on: less
    /// memory for more arithmetic, or the other way round. Not a bit of the result depends on it.
    pub fn keep(&mut self, keep: Keep) {
        self.workspace = Workspace::keeping(keep);
    }

    /// One step: forward, backward, optimiser. The step's number, [`Trainer::steps`], names its
    /// random numbers, so that a resumed run meets the same ones.
    ///
    /// # Errors
    ///
    /// [`TrainingError`] where the batch does not fit, or where the loss or a gradient is not
    /// finite; then the weights are left alone.
    pub fn step(&mut self, batch: &Batch, learning_rate: f32) -> Result<StepReport, TrainingError> {
        let Self { model, optimizer, seed, workspace, gradients } = self;
        let context = StepContext { seed: *seed, step: optimizer.steps as u32 };
        let loss = model.gradients(batch, context, workspace, gradients)?;
        if !loss.is_finite() {
            let tensor = model.first_not_finite().unwrap_or_else(|| "the loss".to_owned());
            return Err(NotFinite { tensor, step: optimizer.steps }.into());
        }
        let (device, catalogue, parameters) = model.parts_mut();
        let gradient_norm = device
            .run(|| optimizer.update(device, catalogue, gradients, learning_rate, parameters))?;
        Ok(StepReport { loss, gradient_norm })
    }

    /// Steps made so far.
    pub fn steps(&self) -> u64 {
        self.optimizer.steps
    }

    /// The model with its present weights.
    pub fn model(&self) -> &Model<D> {
        &self.model
    }

    /// The model with its present weights, for good.
    pub fn into_model(self) -> Model<D> {
        self.model
    }

    /// Mixes the present weights into the running mean of weights. Called after each step of the
    /// last part of a run, it makes an average of that part.
    pub fn average(&mut self) {
        let Self { model, optimizer, .. } = self;
        model.device().run(|| optimizer.average(model.device(), model.parameters()));
    }

    /// The model with the mean of its weights; `None` before the first [`Trainer::average`].
    pub fn averaged(&self) -> Option<Model<D>> {
        Some(self.model.with_parameters(self.optimizer.mean.clone()?))
    }
}
