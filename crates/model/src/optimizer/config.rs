//! `[optimizer]`: which rule, and its constants.

use std::str::FromStr;

use layout::{Adagrad, Adam, OptimizerState, OptimizerStep, RmsProp, Sgd, UpdateRule};
use serde::{Deserialize, Serialize};

use crate::ConfigError;

/// By which rule a gradient becomes a change of weights. Each wants a learning rate of its own
/// size: [`OptimizerConfig::usual_rate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Adam; AdamW where `weight_decay` is set. Every weight moves at a pace of its own, about as
    /// fast whatever the size of its gradients.
    #[default]
    Adam,
    /// Stochastic gradient descent, with momentum and Nesterov's look ahead where they are set.
    /// Steps are as long as gradients are.
    Sgd,
    /// Adagrad: the more a weight has moved, the slower it moves.
    Adagrad,
    /// RMSprop: Adam without its mean and without its corrections.
    RmsProp,
}

impl FromStr for OptimizerKind {
    type Err = ConfigError;

    fn from_str(name: &str) -> Result<Self, ConfigError> {
        match name {
            "adam" => Ok(Self::Adam),
            "sgd" => Ok(Self::Sgd),
            "adagrad" => Ok(Self::Adagrad),
            "rmsprop" => Ok(Self::RmsProp),
            _ => Err(error(
                "kind",
                format!("there is no {name:?}"),
                "set it to adam, sgd, adagrad or rmsprop",
            )),
        }
    }
}

impl OptimizerKind {
    /// As a file and a command line spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Adam => "adam",
            Self::Sgd => "sgd",
            Self::Adagrad => "adagrad",
            Self::RmsProp => "rmsprop",
        }
    }
}

/// How a gradient becomes a change of weights. The learning rate comes with each step.
///
/// A key that the chosen kind does not read changes nothing
/// ([`OptimizerConfig::validate_effects`] refuses it):
///
/// | kind | reads beside `weight_decay`, `l2`, `clip_norm` and `sparse` |
/// |---|---|
/// | `adam` | `beta_1`, `beta_2`, `epsilon` |
/// | `sgd` | `momentum`, `nesterov` |
/// | `adagrad` | `epsilon`, `lr_decay`, `initial_accumulator_value` |
/// | `rmsprop` | `alpha`, `epsilon`, `momentum`, `centered` |
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptimizerConfig {
    /// The rule: `adam`, `sgd`, `adagrad` or `rmsprop`.
    pub kind: OptimizerKind,
    /// Adam: decay of the running mean of gradients.
    pub beta_1: f32,
    /// Adam: decay of the running mean of their squares.
    pub beta_2: f32,
    /// All but SGD: added to the root of the mean square or of the sum of squares. PyTorch's
    /// Adagrad has 1e-10.
    pub epsilon: f32,
    /// SGD and RMSprop: the share of the velocity that a step keeps; 0: no velocity.
    pub momentum: f32,
    /// SGD: whether a step looks ahead by one more share of the velocity.
    pub nesterov: bool,
    /// RMSprop: decay of the running mean of squares.
    pub alpha: f32,
    /// RMSprop: measure the gradient by its variance instead of its mean square.
    pub centered: bool,
    /// Adagrad: the learning rate of step t, counted from 1, is divided by `1 + (t − 1) ·
    /// lr_decay`.
    pub lr_decay: f32,
    /// Adagrad: what the sums of squares start from.
    pub initial_accumulator_value: f32,
    /// Decay of the weights apart from the gradient, times the learning rate (AdamW).
    pub weight_decay: f32,
    /// Decay of the weights through the gradient (Adam with L2; what PyTorch calls `weight_decay`
    /// everywhere but in AdamW).
    pub l2: f32,
    /// Longest gradient over all tensors together; a longer one is shortened to it. 0: any length.
    pub clip_norm: f32,
    /// Leave the rows of items that a step has not reached, and what is remembered of them, as they
    /// are. Where false, they go on moving by their momentum and decay: slower, and what PyTorch
    /// does.
    pub sparse: bool,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            kind: OptimizerKind::Adam,
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-8,
            momentum: 0.0,
            nesterov: false,
            alpha: 0.99,
            centered: false,
            lr_decay: 0.0,
            initial_accumulator_value: 0.0,
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
        let out_of_range = |key: &str, value: f32, remedy: &str| {
            Err(error(key, format!("{value:?} is out of range"), remedy))
        };
        let shares = [
            ("beta_1", self.beta_1),
            ("beta_2", self.beta_2),
            ("momentum", self.momentum),
            ("alpha", self.alpha),
        ];
        for (key, share) in shares {
            if !(0.0..1.0).contains(&share) {
                return out_of_range(key, share, "set it to 0 or more and less than 1");
            }
        }
        if !(self.epsilon > 0.0 && self.epsilon <= 1.0) {
            return out_of_range("epsilon", self.epsilon, "set it above 0 and to at most 1");
        }
        let sizes = [
            ("lr_decay", self.lr_decay),
            ("initial_accumulator_value", self.initial_accumulator_value),
            ("weight_decay", self.weight_decay),
            ("l2", self.l2),
            ("clip_norm", self.clip_norm),
        ];
        for (key, size) in sizes {
            if !(size >= 0.0 && size.is_finite()) {
                return out_of_range(key, size, "set it to a number of 0 or more");
            }
        }
        if self.kind == OptimizerKind::Sgd && self.nesterov && self.momentum == 0.0 {
            let problem = "looks ahead along a velocity, and momentum = 0 has none".to_owned();
            return Err(error("nesterov", problem, "set momentum to 0.9, or nesterov to false"));
        }
        Ok(())
    }

    /// Refuses keys that the kind does not read, where they are not at their defaults.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the first such key and what to do about it.
    pub fn validate_effects(&self) -> Result<(), ConfigError> {
        use OptimizerKind::{Adagrad, Adam, RmsProp, Sgd};
        let default = Self::default();
        let keys: [(&str, bool, &[OptimizerKind]); 9] = [
            ("beta_1", self.beta_1 != default.beta_1, &[Adam]),
            ("beta_2", self.beta_2 != default.beta_2, &[Adam]),
            ("epsilon", self.epsilon != default.epsilon, &[Adam, Adagrad, RmsProp]),
            ("momentum", self.momentum != default.momentum, &[Sgd, RmsProp]),
            ("nesterov", self.nesterov, &[Sgd]),
            ("alpha", self.alpha != default.alpha, &[RmsProp]),
            ("centered", self.centered, &[RmsProp]),
            ("lr_decay", self.lr_decay != default.lr_decay, &[Adagrad]),
            (
                "initial_accumulator_value",
                self.initial_accumulator_value != default.initial_accumulator_value,
                &[Adagrad],
            ),
        ];
        let idle = |&&(_, set, readers): &&(_, bool, &[_])| set && !readers.contains(&self.kind);
        let Some(&(key, _, readers)) = keys.iter().find(idle) else { return Ok(()) };
        let names = readers.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(" and ");
        let problem = format!("is for {names} only, and the kind is {}", self.kind.name());
        let remedy = format!("leave it out, or set kind to \"{}\"", readers[0].name());
        Err(error(key, problem, &remedy))
    }

    /// Step number `t`, counted from 1, at a learning rate; `scale` is what clipping has left of
    /// the gradient.
    pub fn step(&self, t: u64, learning_rate: f32, scale: f32) -> OptimizerStep {
        let correction = |beta: f32| (1.0 - f64::from(beta).powf(t as f64)) as f32;
        let fallen = 1.0 + (t as f64 - 1.0) * f64::from(self.lr_decay);
        let &Self { beta_1, beta_2, epsilon, momentum, nesterov, alpha, centered, .. } = self;
        let &Self { l2, weight_decay, .. } = self;
        let (learning_rate, rule) = match self.kind {
            OptimizerKind::Adam => {
                let (correction_1, correction_2) = (correction(beta_1), correction(beta_2));
                let rule = Adam { beta_1, beta_2, epsilon, correction_1, correction_2 };
                (learning_rate, UpdateRule::Adam(rule))
            }
            OptimizerKind::Sgd => (learning_rate, UpdateRule::Sgd(Sgd { momentum, nesterov })),
            OptimizerKind::Adagrad => {
                let learning_rate = (f64::from(learning_rate) / fallen) as f32;
                (learning_rate, UpdateRule::Adagrad(Adagrad { epsilon }))
            }
            OptimizerKind::RmsProp => {
                let rule = RmsProp { alpha, epsilon, momentum, centered };
                (learning_rate, UpdateRule::RmsProp(rule))
            }
        };
        OptimizerStep { learning_rate, scale, l2, weight_decay, rule }
    }

    /// A learning rate to begin with, at its peak: what a sweep on the simulated shop suggests
    /// (docs/decisions.md, "Four optimisers, one step"). Another log may want another one.
    pub fn usual_rate(&self) -> f64 {
        // A velocity sums up steps: in the long run it makes 1 / (1 − μ) of each.
        let rest = 1.0 - f64::from(self.momentum);
        match self.kind {
            OptimizerKind::Adam => 5e-3,
            OptimizerKind::Sgd => 3.0 * rest,
            OptimizerKind::Adagrad => 0.1,
            OptimizerKind::RmsProp => 5e-3 * rest,
        }
    }

    /// What is remembered of each weight.
    pub fn keeps(&self) -> OptimizerState<bool> {
        self.step(1, 0.0, 1.0).rule.keeps()
    }

    /// How many numbers are remembered of each weight.
    pub fn numbers_kept(&self) -> usize {
        self.keeps().into_array().into_iter().filter(|&kept| kept).count()
    }
}

fn error(key: &str, problem: String, remedy: &str) -> ConfigError {
    ConfigError { section: "optimizer", key: key.to_owned(), problem, remedy: remedy.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_adam_and_survives_text() {
        let config = OptimizerConfig::default();
        assert_eq!((config.validate(), config.kind), (Ok(()), OptimizerKind::Adam));
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<OptimizerConfig>(&text).unwrap(), config);
    }

    /// A file and a command line spell them alike.
    #[test]
    fn every_kind_has_one_name() {
        for name in ["adam", "sgd", "adagrad", "rmsprop"] {
            let kind: OptimizerKind = name.parse().unwrap();
            assert_eq!((serde_json::to_value(kind).unwrap(), kind.name()), (name.into(), name));
        }
        let error = "lion".parse::<OptimizerKind>().unwrap_err();
        assert!(error.to_string().contains("\"lion\"; set it to adam, sgd"), "{error}");
    }

    #[test]
    fn errors_name_the_key_and_the_remedy() {
        type Change = fn(&mut OptimizerConfig);
        let wrong: [(&str, Change); 10] = [
            ("beta_1", |c| c.beta_1 = 1.0),
            ("beta_2", |c| c.beta_2 = -0.1),
            ("momentum", |c| c.momentum = 1.0),
            ("alpha", |c| c.alpha = f32::NAN),
            ("epsilon", |c| c.epsilon = 0.0),
            ("lr_decay", |c| c.lr_decay = -1.0),
            ("initial_accumulator_value", |c| c.initial_accumulator_value = f32::INFINITY),
            ("weight_decay", |c| c.weight_decay = -1.0),
            ("l2", |c| c.l2 = f32::NAN),
            ("clip_norm", |c| c.clip_norm = -1.0),
        ];
        for (key, change) in wrong {
            let mut config = OptimizerConfig::default();
            change(&mut config);
            let error = config.validate().unwrap_err();
            assert_eq!((error.section, error.key.as_str()), ("optimizer", key));
            assert!(!error.remedy.is_empty());
        }
        let nesterov = OptimizerConfig { nesterov: true, ..OptimizerConfig::default() };
        assert_eq!(nesterov.validate(), Ok(()), "Adam does not read it");
        let nesterov = OptimizerConfig { kind: OptimizerKind::Sgd, ..nesterov };
        assert_eq!(nesterov.validate().unwrap_err().key, "nesterov");
        assert_eq!(OptimizerConfig { momentum: 0.5, ..nesterov }.validate(), Ok(()));
    }

    /// Each key is taken by the kinds that read it, and by no other.
    #[test]
    fn a_key_that_the_kind_does_not_read_is_refused() {
        type Change = fn(&mut OptimizerConfig);
        let keys: [(&str, &str, Change); 9] = [
            ("beta_1", "adam", |c| c.beta_1 = 0.8),
            ("beta_2", "adam", |c| c.beta_2 = 0.99),
            ("epsilon", "adam adagrad rmsprop", |c| c.epsilon = 1e-10),
            ("momentum", "sgd rmsprop", |c| c.momentum = 0.9),
            ("nesterov", "sgd", |c| c.nesterov = true),
            ("alpha", "rmsprop", |c| c.alpha = 0.9),
            ("centered", "rmsprop", |c| c.centered = true),
            ("lr_decay", "adagrad", |c| c.lr_decay = 0.1),
            ("initial_accumulator_value", "adagrad", |c| c.initial_accumulator_value = 0.1),
        ];
        for (key, readers, change) in keys {
            for name in ["adam", "sgd", "adagrad", "rmsprop"] {
                let mut config =
                    OptimizerConfig { kind: name.parse().unwrap(), ..Default::default() };
                assert_eq!(config.validate_effects(), Ok(()), "{name}");
                change(&mut config);
                let found = config.validate_effects();
                if readers.split(' ').any(|reader| reader == name) {
                    assert_eq!(found, Ok(()), "{name} {key}");
                } else {
                    let error = found.unwrap_err();
                    assert_eq!((error.section, error.key.as_str()), ("optimizer", key));
                    let text = error.to_string();
                    let first = readers.split(' ').next().unwrap();
                    assert!(text.contains(&format!("the kind is {name}; ")), "{text}");
                    assert!(text.ends_with(&format!("set kind to \"{first}\"")), "{text}");
                }
            }
        }
    }

    #[test]
    fn adagrads_rate_falls_and_no_other() {
        let rates = |kind| {
            let config = OptimizerConfig { kind, lr_decay: 0.5, ..OptimizerConfig::default() };
            [1, 2, 3].map(|t| config.step(t, 1.0, 1.0).learning_rate)
        };
        assert_eq!(rates(OptimizerKind::Adagrad), [1.0, 1.0 / 1.5, 0.5]);
        assert_eq!(rates(OptimizerKind::Sgd), [1.0; 3]);
    }
}
