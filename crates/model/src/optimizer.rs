//! A step of the optimiser over the whole catalogue, gradient clipping, averaged weights.

mod config;

pub use config::{OptimizerConfig, OptimizerKind};

use layout::{Accumulate, OptimizerState};

use crate::{Device, Gradients, Parameters, Spec, Update};

/// A number that is not finite, and where it showed first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{tensor} is not finite at step {step}; try a smaller learning rate or clip_norm")]
pub struct NotFinite {
    /// What is not finite, such as `the gradient of lstm.weight_hh_l0`.
    pub tensor: String,
    /// The step, counted from 0.
    pub step: u64,
}

/// What an optimiser remembers, and the running mean of the weights.
#[derive(Debug, Clone)]
pub(crate) struct Optimizer<M> {
    pub(crate) config: OptimizerConfig,
    pub(crate) state: Parameters<OptimizerState<M>>,
    /// Steps made so far.
    pub(crate) steps: u64,
    pub(crate) mean: Option<Parameters<M>>,
    /// How many states of the weights the mean holds.
    pub(crate) averaged: u64,
}

impl<M: Clone + Default> Optimizer<M> {
    pub(crate) fn new<D: Device<Matrix = M>>(
        device: &D,
        config: OptimizerConfig,
        catalogue: &Parameters<Spec>,
    ) -> Self {
        let state = catalogue.as_ref().map(|spec| start(&config, device, spec));
        Self { config, state, steps: 0, mean: None, averaged: 0 }
    }

    /// One step; returns the length of the gradient before clipping. Where that is not finite,
    /// nothing is changed.
    pub(crate) fn update<D: Device<Matrix = M>>(
        &mut self,
        device: &D,
        catalogue: &Parameters<Spec>,
        gradients: &Gradients<M>,
        learning_rate: f32,
        parameters: &mut Parameters<M>,
    ) -> Result<f64, NotFinite> {
        let norm = gradient_norm(device, catalogue, gradients, self.steps)?;
        let config = &self.config;
        let clip = f64::from(config.clip_norm);
        let scale = if clip > 0.0 && norm > clip { (clip / norm) as f32 } else { 1.0 };
        let step = config.step(self.steps + 1, learning_rate, scale);
        let values = catalogue.iter().zip(gradients.values.iter()).zip(parameters.iter_mut());
        for (((spec, gradient), parameter), state) in values.zip(self.state.iter_mut()) {
            let update = if config.sparse { spec.update } else { Update::Dense };
            device.optimizer_step(&step, gradients.rows(update), gradient, parameter, state);
        }
        self.steps += 1;
        Ok(norm)
    }

    /// Mixes the present weights into the running mean.
    ///
    /// ```text
    ///     mean = mean + (w − mean) / k        for the k-th state
    /// ```
    pub(crate) fn average<D: Device<Matrix = M>>(
        &mut self,
        device: &D,
        parameters: &Parameters<M>,
    ) {
        self.averaged += 1;
        let share = (1.0 / self.averaged as f64) as f32;
        match &mut self.mean {
            None => {
                self.mean = Some(parameters.as_ref().map(|parameter| {
                    let mut copy = M::default();
                    device.add(parameter, Accumulate::Replace, &mut copy);
                    copy
                }));
            }
            Some(mean) => {
                for (mean, parameter) in mean.iter_mut().zip(parameters.iter()) {
                    device.average(share, parameter, mean);
                }
            }
        }
    }
}

/// What a state holds before the first step, for one tensor: parts that are not kept are empty.
fn start<D: Device>(
    config: &OptimizerConfig,
    device: &D,
    spec: &Spec,
) -> OptimizerState<D::Matrix> {
    let v = match config.kind {
        OptimizerKind::Adagrad => config.initial_accumulator_value,
        _ => 0.0,
    };
    config.keeps().zip(OptimizerState { m: 0.0, v, b: 0.0 }).map(|(kept, value)| {
        let mut part = D::Matrix::default();
        if kept {
            device.resize(&mut part, spec.shape[0], spec.shape[1]);
            device.fill(&mut part, value);
        }
        part
    })
}

/// The length of the gradient over all tensors, summed in the order of the catalogue.
fn gradient_norm<D: Device>(
    device: &D,
    catalogue: &Parameters<Spec>,
    gradients: &Gradients<D::Matrix>,
    step: u64,
) -> Result<f64, NotFinite> {
    let mut sum = 0.0;
    for (spec, gradient) in catalogue.iter().zip(gradients.values.iter()) {
        let squares = device.sum_of_squares(gradient, gradients.rows(spec.update));
        if !squares.is_finite() {
            return Err(NotFinite { tensor: format!("the gradient of {}", spec.name), step });
        }
        sum += squares;
    }
    Ok(sum.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OptimizerKind;

    #[test]
    fn a_state_starts_with_what_its_rule_keeps_and_no_more() {
        let device = crate::Reference::<f32>::new();
        let specs = crate::catalogue(&crate::ModelConfig::default(), 5);
        let start = |config: OptimizerConfig| {
            let OptimizerState { m, v, b } = Optimizer::new(&device, config, &specs)
                .state
                .into_vec()
                .swap_remove(0)
                .map(|part| part.as_slice().to_vec());
            [m, v, b]
        };
        let adagrad = OptimizerKind::Adagrad;
        let config = OptimizerConfig { initial_accumulator_value: 0.25, ..Default::default() };
        let (none, zero, some) = (vec![], vec![0.0; 500], vec![0.25; 500]);
        assert_eq!(start(config), [&zero, &zero, &none].map(Clone::clone));
        let config = OptimizerConfig { kind: adagrad, ..config };
        assert_eq!(start(config), [&none, &some, &none].map(Clone::clone));
        let config = OptimizerConfig { kind: OptimizerKind::Sgd, ..config };
        assert_eq!(start(config), [none.clone(), none.clone(), none.clone()]);
        assert_eq!(start(OptimizerConfig { momentum: 0.1, ..config }), [none.clone(), none, zero]);
    }
}
