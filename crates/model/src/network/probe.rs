//! Looking into a model: what an output owes to what enters at each position, and what its gates do.
//!
//! ```text
//!     z       the logit of the answer that is looked at: ln p/(1 − p) of a probability, ln of an
//!             expectation, a number itself
//!     x_p     what enters the first layer at position p: the vector of the event, [E]; one-hot: its
//!             pre-activations, [G·H]
//!     b       a baseline, the same at every position
//!
//!     A_p = Σ_e (x_pe − b_e) ∫₀¹ ∂z/∂x_pe (b + α (x − b)) dα            integrated gradients
//!     Σ_p A_p = z(x) − z(b)                                            completeness
//! ```
//!
//! What is known at the moment of a question is an input as well: its numbers go from 0, their mean in
//! training, to what they are, and have attributions of their own. A readout with attention sees items a
//! second time; what they owe there is added to their position. The repeat bias is added to scores outside
//! the path, and so is the same at both its ends.
//!
//! M. Sundararajan, A. Taly, Q. Yan, "Axiomatic attribution for deep networks", ICML 2017.

use layout::Cell;

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
    workspace: Workspace<M>,
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

/// What each input contributes to the outputs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Attribution {
    /// z of each question, `[C]`, where the path ends.
    pub outputs: Vec<f64>,
    /// The same where it begins.
    pub baseline: Vec<f64>,
    /// Contribution of each position, `[N]`, in the order of [`Batch::origins`].
    pub positions: Vec<f64>,
    /// Contribution of each number of the moment, `[C, M]`; empty where none is looked at.
    pub moment: Vec<f64>,
}

/// What the gates of a layer let through, and its states, position after position in the order of
/// [`Batch::origins`].
#[derive(Debug, Clone, PartialEq)]
pub struct LayerTrace {
    /// Which equations it computes.
    pub cell: Cell,
    /// Number of units H.
    pub units: usize,
    /// Its gates by name, each `[N, H]`, all in [0, 1]; none where a cell has none.
    pub gates: Vec<(&'static str, Vec<f32>)>,
    /// Cell states, `[N, H]`; empty where there are none.
    pub c: Vec<f32>,
    /// Hidden states, `[N, R]`.
    pub h: Vec<f32>,
}

impl LayerTrace {
    /// The gate that says how much of what a unit held stays: f, or the z of a GRU.
    pub fn keeping(&self) -> Option<&[f32]> {
        let kept = self.gates.iter().find(|(name, _)| ["f", "z"].contains(name));
        kept.map(|(_, values)| values.as_slice())
    }
}

/// Nodes and weights of Gauss's rule with three points on [0, 1]; √(3/5) is irrational, so written out.
const GAUSS: [(f64, f64); 3] = [
    (0.112_701_665_379_258_3, 5.0 / 18.0),
    (0.5, 8.0 / 18.0),
    (0.887_298_334_620_741_7, 5.0 / 18.0),
];

/// What a part of the path may miss of the difference that it should give, by its width.
const SLACK: f64 = 1e-3;
/// And what 32 bits cannot tell.
const NOISE: f64 = 2e-6;

/// How the path of integrated gradients is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cuts {
    /// Into so many equal parts first; at least one.
    pub steps: usize,
    /// How often a part may be halved.
    pub halvings: u32,
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
    fn look(
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

    /// Integrated gradients along the straight line from a baseline to what enters, by Gauss's rule with
    /// three points in each part of the path. A part is halved, as often as [`Cuts`] allows, while what the
    /// rule finds there is not the difference of z at its two ends, for any of the questions: outputs of
    /// long sessions bend sharply at a few places.
    ///
    /// ```text
    ///     |Σ_k w_k (x − b)·∂z/∂x (α_k) − (z(α_end) − z(α_begin))| ≤ tolerance
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Model::input_gradients`].
    pub fn integrated_gradients(
        &self,
        batch: &Batch,
        sought: &Sought<'_>,
        baseline: &Baseline,
        cuts: Cuts,
        probe: &mut Probe<D::Matrix>,
    ) -> Result<Attribution, BatchError> {
        let rows = self.rows_sought(batch, sought)?;
        let known = match *sought {
            Sought::Answer { answer, .. } => batch.questions(answer).moment.as_slice(),
            Sought::Items(_) => &[],
        };
        let steps = cuts.steps.max(1) as f64;
        let mut found = Attribution {
            baseline: self.outputs_at(batch, sought, &rows, Along { share: 0.0, baseline }, probe),
            positions: vec![0.0; batch.ids().len()],
            moment: vec![0.0; known.len()],
            ..Attribution::default()
        };
        let mut begin = found.baseline.clone();
        // Parts still to be done, the next one last: where they begin and end, and how often they were cut.
        let mut parts: Vec<(f64, f64, u32)> = (0..cuts.steps.max(1))
            .rev()
            .map(|step| (step as f64 / steps, (step + 1) as f64 / steps, 0))
            .collect();
        while let Some((from, to, halved)) = parts.pop() {
            let end = Along { share: to as f32, baseline };
            let end = self.outputs_at(batch, sought, &rows, end, probe);
            let (part, moment) = self.part(batch, sought, baseline, known, (from, to), probe)?;
            let off = self.off(batch, &rows, (&part, &moment), (&begin, &end));
            let width = to - from;
            let fits =
                |(off, z): (&f64, &f64)| off.abs() <= SLACK * width + NOISE * (1.0 + z.abs());
            if halved < cuts.halvings && !off.iter().zip(&end).all(fits) {
                let middle = 0.5 * (from + to);
                parts.push((middle, to, halved + 1));
                parts.push((from, middle, halved + 1));
                continue;
            }
            found.positions.iter_mut().zip(part).for_each(|(sum, own)| *sum += own);
            found.moment.iter_mut().zip(moment).for_each(|(sum, own)| *sum += own);
            begin = end;
        }
        found.outputs = begin;
        // All but the leading 1.
        let width = (known.len() / rows.len()).max(1);
        let own = found.moment.iter().enumerate().filter(|(k, _)| k % width != 0);
        found.moment = own.map(|(_, &sum)| sum).collect();
        Ok(found)
    }

    /// The outputs at a place of the path.
    fn outputs_at(
        &self,
        batch: &Batch,
        sought: &Sought<'_>,
        rows: &[u32],
        along: Along<'_>,
        probe: &mut Probe<D::Matrix>,
    ) -> Vec<f64> {
        let pass = Pass { along: Some(along), ..Pass::of(self, batch, None) };
        self.device().run(|| self.look(&pass, sought, rows, &mut probe.workspace).0)
    }

    /// What positions, and the numbers of moments, contribute in a part of the path.
    fn part(
        &self,
        batch: &Batch,
        sought: &Sought<'_>,
        baseline: &Baseline,
        known: &[f32],
        (from, to): (f64, f64),
        probe: &mut Probe<D::Matrix>,
    ) -> Result<(Vec<f64>, Vec<f64>), BatchError> {
        let device = self.device();
        let mut positions = vec![0.0; batch.ids().len()];
        let mut moment = vec![0.0; known.len()];
        for (node, weight) in GAUSS {
            let share = (from + node * (to - from)) as f32;
            let along = Along { share, baseline };
            let gradients = self.input_gradients(batch, sought, along, probe)?;
            let weight = weight * (to - from);
            let [x, g] =
                [gradients.entering, gradients.gradient].map(|matrix| device.download(matrix));
            add_products(weight, &x, &baseline.entering, &g, &mut positions);
            if let Some((x, g)) = gradients.items {
                let [x, g] = [x, g].map(|matrix| device.download(matrix));
                add_products(weight, &x, &baseline.items, &g, &mut positions);
            }
            if let Some(g) = gradients.moment {
                let slopes = device.download(g);
                // The leading 1 does not move.
                let width = slopes.len() / gradients.outputs.len();
                for (k, (sum, (&m, &g))) in
                    moment.iter_mut().zip(known.iter().zip(&slopes)).enumerate()
                {
                    let moves = if k % width == 0 { 0.0 } else { f64::from(m) };
                    *sum += weight * moves * f64::from(g);
                }
            }
        }
        Ok((positions, moment))
    }

    /// By how much a part of the path misses the difference of each output at its ends. Questions of one
    /// session are held against their sum.
    fn off(
        &self,
        batch: &Batch,
        rows: &[u32],
        (positions, moment): (&[f64], &[f64]),
        (begin, end): (&[f64], &[f64]),
    ) -> Vec<f64> {
        let sessions =
            batch.origins().iter().map(|origin| origin.0).max().unwrap_or(0) as usize + 1;
        let mut sums = vec![0.0; sessions];
        for (&(session, _), own) in batch.origins().iter().zip(positions) {
            sums[session as usize] += own;
        }
        let width = (moment.len() / rows.len()).max(1);
        for (k, &row) in rows.iter().enumerate() {
            let own = moment.get(k * width..(k + 1) * width).unwrap_or_default();
            let session = batch.origins()[row as usize].0 as usize;
            sums[session] += own.iter().sum::<f64>() - (end[k] - begin[k]);
        }
        rows.iter().map(|&row| sums[batch.origins()[row as usize].0 as usize]).collect()
    }

    /// The mean of what enters at the positions of a batch, as a baseline: an event like any other.
    ///
    /// # Errors
    ///
    /// [`BatchError`] where the batch does not fit the model.
    pub fn mean_input(
        &self,
        batch: &Batch,
        probe: &mut Probe<D::Matrix>,
    ) -> Result<Baseline, BatchError> {
        self.check(batch)?;
        if self.config().running_mean {
            return Err(BatchError::RunningMean);
        }
        let (device, parameters) = (self.device(), self.parameters());
        let baseline = &Baseline::default();
        let along = Some(Along { share: 1.0, baseline });
        let pass = Pass { along, ..Pass::of(self, batch, None) };
        let workspace = &mut probe.workspace;
        device.run(|| run(&pass, parameters, Layers::Learned(&parameters.recurrent), workspace));
        let (input, positions) = (&workspace.input, batch.ids().len());
        let mean = |matrix: &D::Matrix| {
            let (values, [_, width]) = (device.download(matrix), device.shape(matrix));
            let mut sums = vec![0.0; width];
            for row in values.chunks_exact(width.max(1)) {
                sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
            }
            sums.into_iter().map(|sum| (sum / positions.max(1) as f64) as f32).collect()
        };
        Ok(Baseline {
            entering: mean(input.entered(&pass, workspace.stack.dz()).0),
            items: input.seen_items(&pass).map_or(Vec::new(), |(items, _)| mean(items)),
        })
    }

    /// Gates and states of every layer at every position, the lowest layer first.
    ///
    /// # Errors
    ///
    /// [`BatchError`] where the batch does not fit the model.
    pub fn trace(
        &self,
        batch: &Batch,
        probe: &mut Probe<D::Matrix>,
    ) -> Result<Vec<LayerTrace>, BatchError> {
        self.check(batch)?;
        let (device, parameters, workspace) =
            (self.device(), self.parameters(), &mut probe.workspace);
        self.check_start(batch, workspace)?;
        let pass = Pass::of(self, batch, None);
        device.run(|| run(&pass, parameters, Layers::Learned(&parameters.recurrent), workspace));
        let rows = batch.steps().batch();
        let layer = |(l, tape): (usize, &layout::RecurrentTape<D::Matrix>)| {
            let dims = self.config().dims(l);
            // Behind the start of each row.
            let states = |matrix: &D::Matrix| {
                let [_, width] = device.shape(matrix);
                device.download(matrix).split_off(rows * width)
            };
            LayerTrace {
                cell: dims.cell,
                units: dims.hidden,
                gates: gates(dims.cell, dims.hidden, &device.download(&tape.a)),
                c: states(&tape.c),
                h: states(&tape.h),
            }
        };
        Ok(workspace.stack.tapes().iter().enumerate().map(layer).collect())
    }

    /// Where the questions stand among the positions; refuses those that cannot be put.
    fn rows_sought(&self, batch: &Batch, sought: &Sought<'_>) -> Result<Vec<u32>, BatchError> {
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

/// Adds weight · Σ_e (x_pe − b_e)·g_pe to the sum of each position.
fn add_products(weight: f64, x: &[f32], baseline: &[f32], gradient: &[f32], sums: &mut [f64]) {
    let width = x.len() / sums.len();
    let from = |e: usize| baseline.get(e).map_or(0.0, |&b| f64::from(b));
    for (p, sum) in sums.iter_mut().enumerate() {
        let row = p * width..(p + 1) * width;
        let products = x[row.clone()].iter().zip(&gradient[row]).enumerate();
        let own: f64 = products.map(|(e, (&x, &g))| (f64::from(x) - from(e)) * f64::from(g)).sum();
        *sum += weight * own;
    }
}

/// The gates of a cell out of its activated blocks, `[N, G·H]`; the candidate is none of them.
fn gates(cell: Cell, hidden: usize, a: &[f32]) -> Vec<(&'static str, Vec<f32>)> {
    let blocks: &[(&'static str, usize)] = match cell {
        Cell::Lstm | Cell::Peephole | Cell::LayerNorm => &[("i", 0), ("f", 1), ("o", 3)],
        Cell::Coupled => &[("f", 0), ("o", 2)],
        Cell::Gru => &[("r", 0), ("z", 1)],
        Cell::Rnn => &[],
    };
    let rows = a.chunks_exact(cell.gates() * hidden);
    let block = |&(name, k): &(&'static str, usize)| {
        (name, rows.clone().flat_map(|row| &row[k * hidden..][..hidden]).copied().collect())
    };
    let mut gates: Vec<(&'static str, Vec<f32>)> = blocks.iter().map(block).collect();
    if cell == Cell::Coupled {
        let entering = gates[0].1.iter().map(|f| 1.0 - f).collect();
        gates.insert(0, ("i", entering));
    }
    gates
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

    #[test]
    fn gates_are_told_from_candidates() {
        let a = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        let names = |cell| {
            let gates = gates(cell, 2, &a[..cell.gates() * 2]);
            gates.into_iter().map(|(name, values)| (name, values[0])).collect::<Vec<_>>()
        };
        assert_eq!(names(Cell::Lstm), [("i", 1.0), ("f", 3.0), ("o", 7.0)]);
        assert_eq!(names(Cell::Gru), [("r", 1.0), ("z", 3.0)]);
        assert_eq!(names(Cell::Coupled), [("i", 0.0), ("f", 1.0), ("o", 5.0)]);
        assert_eq!(names(Cell::Rnn), []);
    }
}
