//! Adam and AdamW over the whole catalogue, gradient clipping, averaged weights.

use layout::{Accumulate, AdamStep};
use serde::{Deserialize, Serialize};

use crate::{ConfigError, Device, Gradients, Parameters, Spec, Update};

/// How a gradient becomes a change of weights. The learning rate comes with each step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptimizerConfig {
    /// Decay of the running mean of gradients.
    pub beta_1: f32,
    /// Decay of the running mean of their squares.
    pub beta_2: f32,
    /// Added to the root of the latter.
    pub epsilon: f32,
    /// Decay of the weights apart from the gradient, times the learning rate (AdamW).
    pub weight_decay: f32,
    /// Decay of the weights through the gradient (Adam with L2).
    pub l2: f32,
    /// Longest gradient over all tensors together; a longer one is shortened to it. 0: any length.
    pub clip_norm: f32,
    /// Leave the rows of items that a step has not reached, and their moments, as they are. Where
    /// false, they go on moving by their momentum: slower, and what PyTorch's Adam does.
    pub sparse: bool,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
            l2: 0.0,
            clip_norm: 0.0,
            sparse: true,
        }
    }
}

impl OptimizerConfig {
    /// Checks every key.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the first key that does not fit and what to do about it.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let error = |key: &str, value: f32, remedy: &str| {
            Err(ConfigError {
                section: "optimizer",
                key: key.to_owned(),
                problem: format!("{value} is out of range"),
                remedy: remedy.to_owned(),
            })
        };
        for (key, beta) in [("beta_1", self.beta_1), ("beta_2", self.beta_2)] {
            if !(0.0..1.0).contains(&beta) {
                return error(key, beta, "set it to 0 or more and less than 1");
            }
        }
        if !(self.epsilon > 0.0 && self.epsilon <= 1.0) {
            return error("epsilon", self.epsilon, "set it above 0 and to at most 1");
        }
        let sizes =
            [("weight_decay", self.weight_decay), ("l2", self.l2), ("clip_norm", self.clip_norm)];
        for (key, size) in sizes {
            if !(size >= 0.0 && size.is_finite()) {
                return error(key, size, "set it to 0 or more");
            }
        }
        Ok(())
    }
}

/// A number that is not finite, and where it showed first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{tensor} is not finite at step {step}; try a smaller learning rate or clip_norm")]
pub struct NotFinite {
    /// What is not finite, such as `the gradient of lstm.weight_hh_l0`.
    pub tensor: String,
    /// The step, counted from 0.
    pub step: u64,
}

/// The state of Adam and the running mean of the weights.
#[derive(Debug, Clone)]
pub(crate) struct Optimizer<M> {
    pub(crate) config: OptimizerConfig,
    pub(crate) m: Parameters<M>,
    pub(crate) v: Parameters<M>,
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
        let (m, v) = (catalogue.zeros(device), catalogue.zeros(device));
        Self { config, m, v, steps: 0, mean: None, averaged: 0 }
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
        let t = (self.steps + 1) as f64;
        let step = AdamStep {
            learning_rate,
            beta_1: config.beta_1,
            beta_2: config.beta_2,
            epsilon: config.epsilon,
            correction_1: (1.0 - f64::from(config.beta_1).powf(t)) as f32,
            correction_2: (1.0 - f64::from(config.beta_2).powf(t)) as f32,
            weight_decay: config.weight_decay,
            l2: config.l2,
            scale: if clip > 0.0 && norm > clip { (clip / norm) as f32 } else { 1.0 },
        };
        let values = catalogue.iter().zip(gradients.values.iter()).zip(parameters.iter_mut());
        let moments = self.m.iter_mut().zip(self.v.iter_mut());
        for (((spec, gradient), parameter), (m, v)) in values.zip(moments) {
            let update = if config.sparse { spec.update } else { Update::Dense };
            match gradients.rows(update) {
                None => device.adam(&step, gradient, parameter, m, v),
                Some(rows) => device.adam_rows(&step, rows, gradient, parameter, m, v),
            }
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
