//! Keys that are set and change nothing.

use super::{ConfigError, LossKind, ModelConfig, Readout, error};

impl ModelConfig {
    /// Refuses keys that the others leave without effect, where they are not at their defaults: whoever
    /// has set one believes that it does something. A share of dropout may be 0, too, which asks for nothing.
    ///
    /// Apart from [`ModelConfig::validate`], since a model file with such a key is as good as any.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the first such key and what to do about it.
    pub fn validate_effects(&self) -> Result<(), ConfigError> {
        let default = Self::default();
        let attends = self.readout == Readout::Attention;
        let drops = |share: f32, default: f32| share != 0.0 && share != default;
        let attention =
            ("is for the attention readout", "leave it out, or set readout to \"attention\"");
        let idle = [
            ("attention_key", !attends && self.attention_key != default.attention_key, attention),
            (
                "attention_lags",
                !attends && self.attention_lags != default.attention_lags,
                attention,
            ),
            (
                "dropout.readout",
                !attends && drops(self.dropout.readout, default.dropout.readout),
                attention,
            ),
            (
                "head_activation",
                self.head.is_empty()
                    && self.answer_head.is_empty()
                    && self.head_activation != default.head_activation,
                ("there is no head", "leave it out, or name the widths of a head"),
            ),
            (
                "dropout.answers",
                self.answer_head.is_empty() && drops(self.dropout.answers, default.dropout.answers),
                (
                    "heads of answers have no dense layers",
                    "leave it out, or name widths with answer_head",
                ),
            ),
            (
                "dropout.layers",
                self.layers == 1 && drops(self.dropout.layers, default.dropout.layers),
                (
                    "there is one layer, and nothing passes to a next one",
                    "leave it out, or set layers to 2 or more",
                ),
            ),
            (
                "loss.regularization",
                self.loss.kind != LossKind::BprMax && self.loss.regularization > 0.0,
                ("is for bpr-max only", "leave it out, or set loss.kind to \"bpr-max\""),
            ),
            (
                "loss.frequent",
                self.loss.drawn == 0 && self.loss.frequent > 0,
                (
                    "nothing is drawn beside them, so all items are candidates",
                    "leave it out, or say with loss.drawn how many of the others are drawn",
                ),
            ),
        ];
        match idle.into_iter().find(|&(_, idle, _)| idle) {
            Some((key, _, (problem, remedy))) => Err(error(key, problem, remedy)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activation, Dropout, Loss};

    /// Each key alone is refused and, with what it is for, taken.
    #[test]
    fn a_key_without_effect_is_refused() {
        type Change = fn(&mut ModelConfig);
        let attends: Change = |c| c.readout = Readout::Attention;
        let idle: [(&str, Change, Change); 9] = [
            ("attention_key", |c| c.attention_key = 8, attends),
            ("attention_lags", |c| c.attention_lags = 8, attends),
            ("dropout.readout", |c| c.dropout.readout = 0.1, attends),
            ("head_activation", |c| c.head_activation = Activation::Elu, |c| c.head = vec![3]),
            ("dropout.layers", |c| c.dropout.layers = 0.1, |c| c.layers = 2),
            ("dropout.answers", |c| c.dropout.answers = 0.1, |c| c.answer_head = vec![3]),
            (
                "loss.regularization",
                |c| c.loss.regularization = 0.1,
                |c| {
                    c.loss.kind = LossKind::BprMax;
                },
            ),
            (
                "loss.regularization",
                |c| {
                    c.loss =
                        Loss { kind: LossKind::Top1Max, regularization: 0.1, ..Loss::default() };
                },
                |c| c.loss.kind = LossKind::BprMax,
            ),
            ("loss.frequent", |c| c.loss.frequent = 9, |c| c.loss.drawn = 9),
        ];
        for (key, set, wanted) in idle {
            let mut config = ModelConfig::default();
            set(&mut config);
            let error = config.validate_effects().unwrap_err();
            assert_eq!((error.section, error.key.as_str()), ("model", key));
            assert!(error.remedy.starts_with("leave it out, or "), "{error}");
            wanted(&mut config);
            assert_eq!((config.validate(), config.validate_effects()), (Ok(()), Ok(())), "{key}");
        }
    }

    /// What a resolved file names is taken, and so is a table of dropout that leaves keys out.
    #[test]
    fn defaults_and_shares_of_zero_are_no_mistake() {
        let config = ModelConfig::default();
        assert_eq!(config.validate_effects(), Ok(()));
        let config = ModelConfig { dropout: Dropout::default(), ..config };
        assert_eq!(config.validate_effects(), Ok(()));
    }
}
