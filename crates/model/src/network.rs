//! The whole model, forward and backward, written once for every machine.
//!
//! ```text
//!     items ──► input ──► recurrent stack ──► readout ──► head ──► output ──► loss
//!               x ▲         h               r           q          scores against the item table
//!     features ───┘                                             ▲
//!                                                    answers ───┘  heads of other questions
//! ```
//!
//! Each part is a module with a tape (what its backward pass needs, and scratch), a `forward` and,
//! below it, a `backward`. Backward runs the parts in reverse order. Everything feeds on a position
//! and what stands before it, so every position can be a target at once.

mod answers;
mod attribution;
mod features;
mod gradients;
mod head;
mod input;
mod masks;
mod output;
mod probe;
mod readout;
mod stack;
mod states;
mod thinned;
mod trace;

pub use attribution::{Attribution, Cuts};
pub use gradients::Gradients;
pub use masks::{RecurrentDraws, drop_inside};
pub(crate) use output::Table;
pub use probe::{Along, Baseline, InputGradients, Probe, Sought};
pub use states::States;
pub use trace::LayerTrace;

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
    states: states::Tape<M>,
    readout: readout::Tape<M>,
    head: head::Tape<M>,
    output: output::Tape<M>,
    answers: answers::Tape<M>,
}

impl<M: Clone + Default> Workspace<M> {
    /// A workspace whose tapes of the layers keep more or less.
    pub fn keeping(keep: Keep) -> Self {
        let mut workspace = Self::default();
        workspace.stack.keep(keep);
        workspace
    }

    /// The states after the last position of each row of the last batch that keeps them
    /// ([`Batch::keep_states`]): where the rows of a batch start that goes on from there
    /// ([`Batch::go_on`]).
    pub fn states(&self) -> &States<M> {
        &self.states.states
    }

    /// The same, to give other states: row b of each is where row b of the next batch starts that goes
    /// on.
    pub fn states_mut(&mut self) -> &mut States<M> {
        &mut self.states.states
    }
}

impl<D: Device> Model<D> {
    /// One forward and one backward pass: the loss L of the batch, and ∂L/∂w of every weight into
    /// `gradients`.
    ///
    /// # Errors
    ///
    /// [`BatchError`] where the batch holds an unknown item or nothing to predict, not the features that
    /// the model sees, or goes on from states that the workspace has not.
    pub fn gradients(
        &self,
        batch: &Batch,
        context: StepContext,
        workspace: &mut Workspace<D::Matrix>,
        gradients: &mut Gradients<D::Matrix>,
    ) -> Result<f64, BatchError> {
        self.check(batch)?;
        self.check_start(batch, workspace)?;
        let (asked, targets) = (self.answers(), batch.weights());
        let ranks = asked.next_item && targets.iter().any(|&weight| weight > 0.0);
        if !(ranks || batch.asks()) {
            return Err(BatchError::Empty);
        }
        let (device, config, parameters) = (self.device(), self.config(), self.parameters());
        Ok(device.run(|| {
            let replaces = ranks && !config.loss.is_sampled(self.items());
            gradients.clear(device, self.catalogue(), replaces);
            let layers = Layers::Learned(&parameters.recurrent);
            forward(self, layers, batch, Some(context), workspace);
            let Workspace { input, stack, states, readout, head, output, answers } = workspace;
            let end = output::Head { device, config, items: self.items() };
            let q = picture(parameters, readout, head);
            let mut loss = match ranks {
                true => end.loss(parameters, batch, context, q, output, &mut gradients.values),
                false => end.no_loss(q, output),
            };
            gradients.rows.touch(batch.ids(), output.candidates(), self.items());
            gradients.rows.touch_labels(batch, &self.features().labels);

            let pass = Pass::of(self, batch, Some(context));
            if !asked.answers.is_empty() {
                answers::forward(&pass, &parameters.answers, q, answers);
                let (params, grads) = (&parameters.answers, &mut gradients.values.answers);
                let dq = output.dq_mut();
                loss += answers::backward(&pass, &asked.answers, params, answers, grads, dq);
            }
            let mut dr = output.dq();
            if !parameters.head.layers.is_empty() {
                let grads = &mut gradients.values.head;
                head::backward(&pass, &parameters.head, readout.q(), head, dr, grads);
                dr = head.dr();
            }
            readout::backward(&pass, &parameters.readout, readout, input, dr, gradients);
            let (dh, starts) = (readout.dh(), states.gradients(&pass, &parameters.starts));
            stack::backward(&pass, &parameters.recurrent, stack, input, dh, starts, gradients);
            states::backward(&pass, states, &mut gradients.values.starts);
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
        self.check_start(batch, workspace)?;
        let (device, parameters) = (self.device(), self.parameters());
        device.run(|| {
            forward(self, Layers::Packed(layers), batch, None, workspace);
            let Workspace { readout, head, output, .. } = &mut *workspace;
            let end = output::Head { device, config: self.config(), items: self.items() };
            end.normalize(picture(parameters, readout, head), output);
        });
        let Workspace { readout, head, output, .. } = workspace;
        Ok(output.picture(self.config(), picture(parameters, readout, head)))
    }

    /// The outputs of every answer to the questions of the batch, `[C, O]` each; those of an answer that
    /// is not asked are not to be looked at. Nothing drops.
    pub(crate) fn outputs<'w>(
        &self,
        layers: &[D::PackedRecurrent],
        batch: &Batch,
        workspace: &'w mut Workspace<D::Matrix>,
    ) -> Result<Vec<&'w D::Matrix>, BatchError> {
        self.check(batch)?;
        self.check_start(batch, workspace)?;
        let (device, parameters) = (self.device(), self.parameters());
        device.run(|| {
            forward(self, Layers::Packed(layers), batch, None, workspace);
            let Workspace { readout, head, answers, .. } = &mut *workspace;
            let q = picture(parameters, readout, head);
            answers::forward(&Pass::of(self, batch, None), &parameters.answers, q, answers);
        });
        let count = self.answers().answers.len();
        Ok((0..count).map(|answer| workspace.answers.outputs(answer)).collect())
    }

    /// Refuses a batch that goes on from states which the workspace has not.
    fn check_start(
        &self,
        batch: &Batch,
        workspace: &Workspace<D::Matrix>,
    ) -> Result<(), BatchError> {
        if !batch.goes_on() {
            return Ok(());
        }
        match self.config().looks_back() {
            Some(what) => Err(BatchError::LooksBack(what)),
            None => states::check(self, batch.steps().batch(), workspace.states()),
        }
    }
}

/// What every part of one pass needs to know.
struct Pass<'a, D: Device> {
    device: &'a D,
    config: &'a crate::ModelConfig,
    features: &'a crate::Features,
    /// The given vectors of items, where the model sees any.
    vectors: Option<&'a D::Matrix>,
    batch: &'a Batch,
    /// Present in training: then entries drop.
    context: Option<StepContext>,
    /// Present where a model is looked into: then inputs are drawn towards a baseline.
    along: Option<Along<'a>>,
}

impl<'a, D: Device> Pass<'a, D> {
    fn of(model: &'a Model<D>, batch: &'a Batch, context: Option<StepContext>) -> Self {
        let (device, config, features) = (model.device(), model.config(), model.features());
        Self { device, config, features, vectors: model.vectors(), batch, context, along: None }
    }

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

/// From the events of a batch to the pictures of its wanted positions, before they are normalised.
fn forward<D: Device>(
    model: &Model<D>,
    layers: Layers<'_, D>,
    batch: &Batch,
    context: Option<StepContext>,
    workspace: &mut Workspace<D::Matrix>,
) {
    run(&Pass::of(model, batch, context), model.parameters(), layers, workspace);
}

/// The same of a pass that is set up.
fn run<D: Device>(
    pass: &Pass<'_, D>,
    params: &Parameters<D::Matrix>,
    layers: Layers<'_, D>,
    workspace: &mut Workspace<D::Matrix>,
) {
    let Workspace { input, stack, states, readout, head, .. } = workspace;
    stack.start(pass);
    states::begin(pass, &params.starts, states, stack.layers());
    input::forward(pass, params, input, stack.first());
    stack::forward(pass, layers, input.entering(pass), stack);
    states::keep(pass, stack.layers(), states);
    readout::forward(pass, &params.readout, input, stack.top(pass), readout);
    if !params.head.layers.is_empty() {
        head::forward(pass, &params.head, readout.q(), head);
    }
}

/// The pictures: what the head has made, or the readout where there is none.
fn picture<'m, M>(
    params: &Parameters<M>,
    readout: &'m readout::Tape<M>,
    head: &'m head::Tape<M>,
) -> &'m M {
    if params.head.layers.is_empty() { readout.q() } else { head.q() }
}
