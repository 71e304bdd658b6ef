//! What an answer owes to each event: integrated gradients.
//!
//! ```text
//!     A_p = Σ_e (x_pe − b_e) ∫₀¹ ∂z/∂x_pe (b + α (x − b)) dα            integrated gradients
//!     Σ_p A_p = z(x) − z(b)                                            completeness
//! ```
//!
//! z, x and b as in [`super::probe`]. The numbers of a moment have attributions of their own. What an item owes
//! to a readout with attention is added to its position. The repeat bias is added to scores outside the path,
//! and so is the same at both its ends.
//!
//! M. Sundararajan, A. Taly, Q. Yan, "Axiomatic attribution for deep networks", ICML 2017.

use super::probe::{Along, Baseline, Probe, Sought};
use super::stack::Layers;
use super::{Pass, run};
use crate::{Batch, BatchError, Device, Model};

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
    /// How much of the difference lies in jumps, `[C]`: parts of the path too steep to be followed, in which
    /// what gradients say of shares is stretched to the difference at the ends. With one question a session.
    pub jumps: Vec<f64>,
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
    /// How many parts there may be in all.
    pub parts: usize,
}

impl<D: Device> Model<D> {
    /// Integrated gradients along the straight line from a baseline to what enters, by Gauss's rule with
    /// three points in each part of the path. A part is halved, as often as [`Cuts`] allows, while what the
    /// rule finds there is not the difference of z at its two ends, for any of the questions: outputs of
    /// long sessions bend sharply at a few places. Where no halving is left, a network has jumped from one state of
    /// its memory to another within less than 32 bits can tell. The gradients on both sides say whose doing that
    /// was, and the shares of such a part are stretched to the difference at its ends.
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
            jumps: vec![0.0; rows.len()],
            ..Attribution::default()
        };
        let mut begin = found.baseline.clone();
        // Parts still to be done, the next one last: where they begin and end, and how often they were cut.
        let mut parts: Vec<(f64, f64, u32)> = (0..cuts.steps.max(1))
            .rev()
            .map(|step| (step as f64 / steps, (step + 1) as f64 / steps, 0))
            .collect();
        let mut done = 0;
        while let Some((from, to, halved)) = parts.pop() {
            let end = Along { share: to as f32, baseline };
            let end = self.outputs_at(batch, sought, &rows, end, probe);
            let (part, moment) = self.part(batch, sought, baseline, known, (from, to), probe)?;
            let off = self.off(batch, &rows, (&part, &moment), (&begin, &end));
            let width = to - from;
            let fits =
                |(off, z): (&f64, &f64)| off.abs() <= SLACK * width + NOISE * (1.0 + z.abs());
            let may_halve = halved < cuts.halvings && done + parts.len() + 2 <= cuts.parts;
            if may_halve && !off.iter().zip(&end).all(fits) {
                let middle = 0.5 * (from + to);
                parts.push((middle, to, halved + 1));
                parts.push((from, middle, halved + 1));
                continue;
            }
            let (mut part, mut moment) = (part, moment);
            for (k, &row) in rows.iter().enumerate() {
                let difference = end[k] - begin[k];
                if cuts.halvings == 0 || fits((&off[k], &end[k])) {
                    continue;
                }
                // Too steep for 32 bits: the gradients beside a jump say which way it goes, and not how far.
                let stretch = difference / (difference + off[k]);
                if stretch.is_finite() && stretch > 0.0 {
                    let session = batch.origins()[row as usize].0;
                    let own = batch.origins().iter().zip(&mut part);
                    own.filter(|(origin, _)| origin.0 == session)
                        .for_each(|(_, own)| *own *= stretch);
                    let width = moment.len() / rows.len();
                    moment[k * width..(k + 1) * width].iter_mut().for_each(|own| *own *= stretch);
                    found.jumps[k] += difference;
                }
            }
            found.positions.iter_mut().zip(part).for_each(|(sum, own)| *sum += own);
            found.moment.iter_mut().zip(moment).for_each(|(sum, own)| *sum += own);
            begin = end;
            done += 1;
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
