//! Looking into a model: an output, and what it owes to what enters at each position.
//!
//! ```text
//!     z       the logit of the answer that is looked at: ln p/(1 − p) of a probability, ln of an
//!             expectation, a number itself
//!     x_p     what enters the first layer at position p: the vector of the event, [E]; one-hot: its
//!             pre-activations, [G·H]
//!     b       a baseline, the same at every position
//!
//!     ∂z/∂x_p (b + α (x − b))      the gradient at a place α of the straight line from b to x
//! ```
//!
//! What is known at the moment of a question is an input as well: its numbers go from 0, their mean in
//! training, to what they are. A readout with attention sees items a second time; they go along too.
//! `attribution` adds gradients up along the line, `trace` shows gates and states.

use super::stack::Layers;
use super::{Pass, Workspace, answers, head, output, picture, readout, run, stack};
use crate::{AnswerLoss, Batch, BatchError, Device, Gradients, Input, Model};

/// Which output is looked at, of each question.
#[derive(Debug, Clone, Copy)]
pub enum Sought<'a> {
    /// Of an answer beside the next item, to the questions that the batch puts: the probability of a class,
    /// counted from 0, or the one output of an answer that has one (then `class` is 0).
    Answer {
        /// The answer, counted from 0.
        answer: usize,
        /// The class.
        class: usize,
    },
    /// Of the ranking of items: after which event of which session, and which item is to come.
    Items(&'a [(u32, u32, u32)]),
}

/// What stands for an event of which nothing is known.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Baseline {
    /// What it makes enter, `[E]` or `[G·H]`; empty: zeros.
    pub entering: Vec<f32>,
    /// With attention: the item that the readout sees, `[E]`; empty: zeros.
    pub items: Vec<f32>,
}

/// A place on the straight line from a baseline, 0, to what enters, 1.
#[derive(Debug, Clone, Copy)]
pub struct Along<'a> {
    /// How far.
    pub share: f32,
    /// Where it begins.
    pub baseline: &'a Baseline,
}

/// Memory to look into a model with. It grows to the largest batch.
#[derive(Debug, Clone)]
pub struct Probe<M> {
    pub(super) workspace: Workspace<M>,
    /// Gradients of weights, which fall off on the way and which nobody reads.
    gradients: Gradients<M>,
    dmoment: M,
}

impl<M: Clone + Default> Probe<M> {
    /// Memory for a model.
    pub fn new<D: Device<Matrix = M>>(model: &Model<D>) -> Self {
        let gradients = Gradients::new(model.device(), model.catalogue());
        Self { workspace: Workspace::default(), gradients, dmoment: M::default() }
    }
}

/// Outputs at one place of the path, and the gradient of their sum with respect to what enters. With one
/// question a session, the rows of a session are those of its output.
#[derive(Debug)]
pub struct InputGradients<'p, M> {
    /// The logit z of each question, `[C]`.
    pub outputs: Vec<f64>,
    /// What enters at each position at the end of the path, `[N, E]`; one-hot: `[N, G·H]`.
    pub entering: &'p M,
    /// ∂z/∂ that, at this place.
    pub gradient: &'p M,
    /// With attention: the items that the readout sees, and their gradient, `[N, E]`.
    pub items: Option<(&'p M, &'p M)>,
    /// With an answer: the gradient of what is known at the moment, `[C, 1 + M]`; column 0 belongs to the
    /// leading 1, which does not move.
    pub moment: Option<&'p M>,
}

impl<D: Device> Model<D> {
    /// The outputs that are looked at, at one place of the path, and their gradient with respect to what
    /// enters at each position: a forward and a backward pass without a loss. Nothing drops. Every position
    /// of the batch must be wanted ([`Wanted::Every`](crate::Wanted::Every)).
    ///
    /// # Errors
    ///
    /// [`BatchError`] where the batch does not fit the model, asks for what the model does not answer, or
    /// where inputs are running means.
    pub fn input_gradients<'p>(
        &self,
        batch: &Batch,
        sought: &Sought<'_>,
        along: Along<'_>,
        probe: &'p mut Probe<D::Matrix>,
    ) -> Result<InputGradients<'p, D::Matrix>, BatchError> {
        let rows = self.rows_sought(batch, sought)?;
        let (device, config, parameters) = (self.device(), self.config(), self.parameters());
        let pass = Pass { along: Some(along), ..Pass::of(self, batch, None) };
        let Probe { workspace, gradients, dmoment } = probe;
        let outputs = device.run(|| {
            gradients.clear(device, self.catalogue(), false);
            let (outputs, slopes) = self.look(&pass, sought, &rows, workspace);
            let Workspace { input, stack, readout, head, output, answers, .. } = workspace;
            let end = output::Head { device, config, items: self.items() };
            end.no_loss(picture(parameters, readout, head), output);
            match *sought {
                Sought::Answer { answer, .. } => {
                    let grads = &mut gradients.values.answers[answer];
                    let (params, dq) = (&parameters.answers[answer], output.dq_mut());
                    answers::backward_outputs(
                        &pass, answer, params, answers, &slopes, grads, dq, dmoment,
                    );
                }
                Sought::Items(_) => end.sought(parameters, &rows, &slopes, output),
            }
            let mut dr = output.dq();
            if !parameters.head.layers.is_empty() {
                let grads = &mut gradients.values.head;
                head::backward(&pass, &parameters.head, readout.q(), head, dr, grads);
                dr = head.dr();
            }
            readout::backward(&pass, &parameters.readout, readout, input, dr, gradients);
            let dh = readout.dh();
            stack::backward(&pass, &parameters.recurrent, stack, input, dh, &mut [], gradients);
            outputs
        });
        let (entering, gradient) = workspace.input.entered(&pass, workspace.stack.dz());
        let items = workspace.input.seen_items(&pass);
        let moment = matches!(sought, Sought::Answer { .. }).then_some(&*dmoment);
        Ok(InputGradients { outputs, entering, gradient, items, moment })
    }

    /// The outputs that are looked at, without a gradient.
    ///
    /// # Errors
    ///
    /// As [`Model::input_gradients`].
    pub fn sought_outputs(
        &self,
        batch: &Batch,
        sought: &Sought<'_>,
        probe: &mut Probe<D::Matrix>,
    ) -> Result<Vec<f64>, BatchError> {
        let rows = self.rows_sought(batch, sought)?;
        let pass = Pass::of(self, batch, None);
        Ok(self.device().run(|| self.look(&pass, sought, &rows, &mut probe.workspace).0))
    }

    /// Forward to the outputs that are looked at; with them their slopes, for the way back.
    pub(super) fn look(
        &self,
        pass: &Pass<'_, D>,
        sought: &Sought<'_>,
        rows: &[u32],
        workspace: &mut Workspace<D::Matrix>,
    ) -> (Vec<f64>, Vec<f32>) {
        let (device, config, parameters) = (self.device(), self.config(), self.parameters());
        run(pass, parameters, Layers::Learned(&parameters.recurrent), workspace);
        let Workspace { readout, head, output, answers, .. } = workspace;
        let q = picture(parameters, readout, head);
        match *sought {
            Sought::Answer { answer, class } => {
                answers::forward(pass, &parameters.answers, q, answers);
                let z = device.download(answers.outputs(answer));
                let loss = &self.answers().answers[answer].loss;
                let is_class = matches!(loss, AnswerLoss::Classes { .. });
                logits(&z, z.len() / rows.len(), |_| is_class.then_some(class))
            }
            Sought::Items(asked) => {
                let end = output::Head { device, config, items: self.items() };
                let mut scores = end.seek(parameters, q, rows, output);
                self.add_repeats(pass.batch, rows, &mut scores);
                logits(&scores, self.items(), |k| Some(asked[k].2 as usize))
            }
        }
    }

    /// Where the questions stand among the positions; refuses those that cannot be put.
    pub(super) fn rows_sought(
        &self,
        batch: &Batch,
        sought: &Sought<'_>,
    ) -> Result<Vec<u32>, BatchError> {
        self.check(batch)?;
        if batch.goes_on() {
            return Err(BatchError::LooksBack("attribution"));
        }
        if self.config().running_mean && self.config().input == Input::OneHot {
            return Err(BatchError::RunningMean);
        }
        if batch.wanted().len() != batch.ids().len() || batch.is_empty() {
            return Err(BatchError::Sought(0));
        }
        match *sought {
            Sought::Answer { answer, class } => {
                let answers = &self.answers().answers;
                let known = answers.get(answer);
                let known = known.ok_or(BatchError::Answer { answer, answers: answers.len() })?;
                if class >= known.outputs || batch.asked(answer) == 0 {
                    return Err(BatchError::Sought(0));
                }
                Ok(batch.questions(answer).rows.clone())
            }
            Sought::Items(_) if !self.answers().next_item => Err(BatchError::NoRanking),
            Sought::Items([]) => Err(BatchError::Sought(0)),
            Sought::Items(asked) => {
                let row = |(k, &(session, event, item)): (usize, &(u32, u32, u32))| {
                    let known = (item as usize) < self.items();
                    let row = batch.wanted_row(session, event).filter(|_| known);
                    row.ok_or(BatchError::Sought(k))
                };
                asked.iter().enumerate().map(row).collect()
            }
        }
    }

    /// Adds to scores, `[C, V]`, what items get that the session holds already.
    fn add_repeats(&self, batch: &Batch, rows: &[u32], scores: &mut [f32]) {
        let Some(repeat) = &self.parameters().repeat_bias else { return };
        let repeat = self.device().download(repeat);
        for (scores, &row) in scores.chunks_exact_mut(self.items()).zip(rows) {
            for (item, lag) in batch.repeats(row as usize) {
                scores[item as usize] += repeat[usize::from(lag)];
            }
        }
    }
}

/// The logit of each row of outputs, `[C, O]`, and its slopes, `[C, O]`: of one output itself, of the class
/// that `class` names the logarithm of its odds.
///
/// ```text
///     z = z_c − ln Σ_{j≠c} exp z_j        ∂z/∂z_c = 1        ∂z/∂z_j = − softmax over the others
/// ```
fn logits(
    outputs: &[f32],
    width: usize,
    class: impl Fn(usize) -> Option<usize>,
) -> (Vec<f64>, Vec<f32>) {
    let mut slopes = Vec::with_capacity(outputs.len());
    let mut row = |(k, z): (usize, &[f32])| {
        let (Some(class), true) = (class(k), width > 1) else {
            slopes.push(1.0);
            return f64::from(z[0]);
        };
        let others = |f: &mut dyn FnMut(f64)| {
            let others = z.iter().enumerate().filter(|(j, _)| *j != class);
            others.for_each(|(_, &z)| f(f64::from(z)));
        };
        let (mut largest, mut sum) = (f64::NEG_INFINITY, 0.0);
        others(&mut |z| largest = largest.max(z));
        others(&mut |z| sum += (z - largest).exp());
        let slope = |(j, &z): (usize, &f32)| match j == class {
            true => 1.0,
            false => (-(f64::from(z) - largest).exp() / sum) as f32,
        };
        slopes.extend(z.iter().enumerate().map(slope));
        f64::from(z[class]) - largest - sum.ln()
    };
    let logits = outputs.chunks_exact(width).enumerate().map(&mut row).collect();
    (logits, slopes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of two classes, the logit of one is the difference of the outputs, and of three it is that of its
    /// probability.
    #[test]
    fn logits_are_logarithms_of_odds() {
        let (z, slopes) = logits(&[1.0, 3.0, 2.0, 2.0], 2, |_| Some(1));
        assert_eq!((z, slopes), (vec![2.0, 0.0], vec![-1.0, 1.0, -1.0, 1.0]));
        let outputs = [0.5f32, -1.0, 2.0];
        let (z, slopes) = logits(&outputs, 3, |_| Some(0));
        let exp = outputs.map(|z| f64::from(z).exp());
        let p = exp[0] / exp.iter().sum::<f64>();
        assert!((z[0] - (p / (1.0 - p)).ln()).abs() < 1e-12, "{z:?}");
        assert!(slopes.iter().map(|&s| f64::from(s)).sum::<f64>().abs() < 1e-6);
        assert_eq!(logits(&[7.0, 8.0], 1, |_| None), (vec![7.0, 8.0], vec![1.0, 1.0]));
    }
}
