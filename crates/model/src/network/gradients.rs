//! The gradients of a step, and which rows of the tables it has reached.

use crate::{Batch, Device, Labels, Parameters, Spec, Touched, Update};

/// The gradient of every weight. Rows that a step does not reach are zero.
#[derive(Debug, Clone)]
pub struct Gradients<M> {
    pub(crate) values: Parameters<M>,
    pub(crate) rows: Rows,
}

impl<M> Gradients<M> {
    /// Zeros in the shapes of a catalogue.
    pub fn new<D: Device<Matrix = M>>(device: &D, catalogue: &Parameters<Spec>) -> Self {
        Self { values: catalogue.zeros(device), rows: Rows::default() }
    }

    /// The gradients, in the shapes of the weights.
    pub fn values(&self) -> &Parameters<M> {
        &self.values
    }

    /// The rows that the last step has reached, rising; `None` means all.
    pub fn rows(&self, update: Update) -> Option<&[u32]> {
        match update {
            Update::Dense => None,
            Update::Rows(touched) => Some(self.rows.of(touched)),
        }
    }

    /// Sets everything to zero that the next step adds to. Of tables only the rows that the
    /// last step has reached are cleared, and nothing that the full softmax `replaces` anyway.
    pub(super) fn clear<D: Device<Matrix = M>>(
        &mut self,
        device: &D,
        catalogue: &Parameters<Spec>,
        replaces: bool,
    ) {
        let replaced = if replaces {
            let table = catalogue.output.as_ref().or(catalogue.embedding.as_ref());
            [table, catalogue.output_bias.as_ref()].map(|spec| spec.map(|spec| &spec.name))
        } else {
            [None; 2]
        };
        for (spec, gradient) in catalogue.iter().zip(self.values.iter_mut()) {
            match spec.update {
                _ if replaced.contains(&Some(&spec.name)) => {}
                Update::Rows(touched) => device.clear_rows(self.rows.of(touched), gradient),
                Update::Dense => device.fill(gradient, 0.0),
            }
        }
    }
}

/// The items that a step has met: as inputs, as candidates, and either way; and the labels. Each once,
/// rising.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    inputs: Vec<u32>,
    candidates: Vec<u32>,
    both: Vec<u32>,
    /// The labels that a step has met, of each kind.
    labels: Vec<Vec<u32>>,
    met: Vec<bool>,
}

impl Rows {
    fn of(&self, touched: Touched) -> &[u32] {
        match touched {
            Touched::Inputs => &self.inputs,
            Touched::Candidates => &self.candidates,
            Touched::Both => &self.both,
            // None is noted before the first step.
            Touched::Label(k) => self.labels.get(k).map_or(&[], Vec::as_slice),
        }
    }

    /// Notes the items of a step; `candidates` names each item at most once, in any order.
    pub(super) fn touch(&mut self, inputs: &[u32], candidates: &[u32], items: usize) {
        self.met.resize(self.met.len().max(items), false);
        for list in [&mut self.inputs, &mut self.candidates, &mut self.both] {
            list.clear();
        }
        self.candidates.extend(candidates);
        self.candidates.sort_unstable();
        note(inputs, &mut self.met, &mut self.inputs);
        self.both.extend(&self.inputs);
        self.both.extend(self.candidates.iter().filter(|&&item| !self.met[item as usize]));
        self.both.sort_unstable();
        self.inputs.iter().for_each(|&item| self.met[item as usize] = false);
    }

    /// Notes the labels of a step.
    pub(super) fn touch_labels(&mut self, batch: &Batch, labels: &[Labels]) {
        self.labels.resize_with(labels.len(), Vec::new);
        for (k, (met_labels, labels)) in self.labels.iter_mut().zip(labels).enumerate() {
            self.met.resize(self.met.len().max(labels.size), false);
            met_labels.clear();
            note(batch.labels(k), &mut self.met, met_labels);
            met_labels.iter().for_each(|&label| self.met[label as usize] = false);
        }
    }
}

/// Notes each number once, rising; leaves the marks where it has met them.
fn note(numbers: &[u32], met: &mut [bool], noted: &mut Vec<u32>) {
    for &number in numbers {
        if !std::mem::replace(&mut met[number as usize], true) {
            noted.push(number);
        }
    }
    noted.sort_unstable();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_item_is_noted_once() {
        let mut rows = Rows::default();
        for _ in 0..2 {
            rows.touch(&[5, 1, 5, 3, 1], &[0, 1, 7], 8);
            assert_eq!(rows.of(Touched::Inputs), [1, 3, 5]);
            assert_eq!(rows.of(Touched::Candidates), [0, 1, 7]);
            assert_eq!(rows.of(Touched::Both), [0, 1, 3, 5, 7]);
        }
        rows.touch(&[2], &[], 8);
        assert_eq!(rows.of(Touched::Both), [2]);
    }
}
