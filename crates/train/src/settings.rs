//! How a model is trained, as a file or a command line spells it.

use model::ModelConfig;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::metrics::Criterion;
use crate::record::RunFile;
use crate::schedule::{Decay, Schedule};

/// The keys of `[training]`, one for each choice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Training {
    /// Passes over the training sessions.
    pub epochs: usize,
    /// Targets in a batch, at most.
    pub batch_targets: usize,
    /// Targets of a session that are learned in one go; longer sessions are cut, and each piece starts
    /// without memory. Not read where there is a window.
    pub max_length: usize,
    /// Targets of a session that are learned in one step; longer sessions are learned in several, each
    /// from the states in which the one before has ended. 0: sessions are cut at `max_length`.
    pub window: usize,
    /// Learning rate at its peak.
    pub learning_rate: f64,
    /// What the learning rate does after the warm-up.
    pub decay: Decay,
    /// Share of the run over which the learning rate rises from 0.
    pub warmup: f64,
    /// Plateau only: what a cut leaves of the learning rate.
    pub plateau_factor: f64,
    /// Plateau only: validations without a new best before a cut.
    pub plateau_patience: usize,
    /// Sessions weigh `exp(recency · place)`, their place in time running from 0 to 1.
    pub recency: f64,
    /// Epochs without a new best before training stops early; 0: never.
    pub patience: usize,
    /// What the best epoch is chosen by.
    pub choose_by: Criterion,
    /// Share of the steps, the last ones, whose weights are averaged; 0: the weights as they are.
    pub average: f64,
    /// Keep the states of the LSTM layers alone until the backward pass and make the gates again there:
    /// a third of the memory, for some more time. The result is the same to the last bit.
    pub recompute: bool,
    /// Seconds between checkpoints inside an epoch; there is one after each epoch in any case.
    pub checkpoint_seconds: f64,
    /// What the output folder gets beside the model for those who look at the run.
    pub files: Vec<RunFile>,
}

impl Default for Training {
    fn default() -> Self {
        Self {
            epochs: 5,
            batch_targets: 1024,
            max_length: 40,
            window: 0,
            learning_rate: 5e-3,
            decay: Decay::Linear,
            warmup: 0.05,
            plateau_factor: 0.3,
            plateau_patience: 1,
            recency: 0.0,
            patience: 3,
            choose_by: Criterion::RecallAndMrr,
            average: 0.0,
            recompute: false,
            checkpoint_seconds: 20.0,
            files: RunFile::ALL.to_vec(),
        }
    }
}

impl Training {
    /// Checks every key.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] names the first key that does not fit and what to do about it.
    pub fn validate(&self) -> Result<(), Error> {
        let wrong = |key, problem: String, remedy| Err(Error::Setting { key, problem, remedy });
        let counts = [
            ("epochs", self.epochs, 1_000_000, "set it to 1 to 1000000"),
            ("batch_targets", self.batch_targets, 1 << 24, "set it to 1 to 16777216"),
            ("max_length", self.max_length, 1 << 20, "set it to 1 to 1048576"),
        ];
        for (key, value, most, remedy) in counts {
            if value == 0 || value > most {
                return wrong(key, format!("{value} is out of range"), remedy);
            }
        }
        if self.window > 1 << 20 {
            let problem = format!("{} is out of range", self.window);
            return wrong("window", problem, "set it to at most 1048576, or to 0 for none");
        }
        if !(0.0..1.0).contains(&self.warmup) {
            let problem = format!("{:?} is no share", self.warmup);
            return wrong("warmup", problem, "set it to 0 or more and below 1");
        }
        if !(0.0..=1.0).contains(&self.average) {
            let problem = format!("{:?} is no share", self.average);
            return wrong("average", problem, "set it between 0 and 1");
        }
        if !(self.plateau_factor > 0.0 && self.plateau_factor <= 1.0) {
            let problem = format!("{:?} is no share", self.plateau_factor);
            return wrong("plateau_factor", problem, "set it above 0 and to at most 1");
        }
        if !(self.learning_rate > 0.0 && self.learning_rate <= 1e3) {
            let problem = format!("{:?} is out of range", self.learning_rate);
            return wrong("learning_rate", problem, "set it above 0 and to at most 1000");
        }
        if !(0.0..=1e9).contains(&self.checkpoint_seconds) {
            let problem = format!("{:?} is out of range", self.checkpoint_seconds);
            return wrong("checkpoint_seconds", problem, "set it between 0 and 1000000000");
        }
        if !(-50.0..=50.0).contains(&self.recency) {
            let problem = format!("{:?} is out of range", self.recency);
            return wrong("recency", problem, "set it between -50 and 50");
        }
        Ok(())
    }

    /// Checks these keys against the model's: a window hands on the states of the layers and nothing
    /// else, so whatever looks back over a session by itself would see the window alone, and learn
    /// another model than the one that answers.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] names the key that does not fit and what to do about it.
    pub fn validate_for(&self, model: &ModelConfig) -> Result<(), Error> {
        let Some(what) = model.looks_back().filter(|_| self.window > 0) else { return Ok(()) };
        Err(Error::Setting {
            key: "window",
            problem: format!("the {what} looks back over the whole session, beyond any window"),
            remedy: "set it to 0, or choose readout = \"last\" and no running mean",
        })
    }

    /// Refuses keys of a plateau where there is none and they are not at their defaults.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] names the key and what to do about it.
    pub fn validate_effects(&self) -> Result<(), Error> {
        let default = Self::default();
        let keys = [
            ("plateau_factor", self.plateau_factor != default.plateau_factor),
            ("plateau_patience", self.plateau_patience != default.plateau_patience),
        ];
        match keys.into_iter().find(|&(_, set)| set && self.decay != Decay::Plateau) {
            None => Ok(()),
            Some((key, _)) => Err(Error::Setting {
                key,
                problem: "is for the plateau only, and decay is another".to_owned(),
                remedy: "leave it out, or set decay to \"plateau\"",
            }),
        }
    }

    /// The most targets of one step, where sessions are learned in windows.
    pub(crate) fn targets_at_once(&self) -> usize {
        if self.window == 0 { usize::MAX } else { self.window }
    }

    /// The most targets of a piece of a session.
    pub(crate) fn targets_of_piece(&self) -> usize {
        if self.window == 0 { self.max_length } else { usize::MAX }
    }

    /// How the learning rate runs.
    pub fn schedule(&self) -> Schedule {
        Schedule { decay: self.decay, warmup: self.warmup, plateau_factor: self.plateau_factor }
    }
}

#[cfg(test)]
mod tests {
    use model::Readout;

    use super::*;

    #[test]
    fn the_default_is_valid_and_survives_text() {
        let training = Training::default();
        training.validate().unwrap();
        let text = serde_json::to_string(&training).unwrap();
        assert_eq!(serde_json::from_str::<Training>(&text).unwrap(), training);
    }

    #[test]
    fn errors_name_the_key() {
        type Change = fn(&mut Training);
        let wrong: [(&str, Change); 10] = [
            ("window", |t| t.window = usize::MAX),
            ("epochs", |t| t.epochs = 0),
            ("batch_targets", |t| t.batch_targets = usize::MAX),
            ("max_length", |t| t.max_length = 0),
            ("learning_rate", |t| t.learning_rate = -1.0),
            ("warmup", |t| t.warmup = 1.0),
            ("average", |t| t.average = 1.5),
            ("plateau_factor", |t| t.plateau_factor = 0.0),
            ("checkpoint_seconds", |t| t.checkpoint_seconds = f64::NAN),
            ("recency", |t| t.recency = f64::INFINITY),
        ];
        for (key, change) in wrong {
            let mut training = Training::default();
            change(&mut training);
            let error = training.validate().unwrap_err();
            assert!(error.is_usage());
            assert!(error.to_string().starts_with(&format!("training.{key}: ")), "{error}");
        }
    }

    /// Too large is told from too small, and shown in as few digits as it was typed in.
    #[test]
    fn remedies_name_both_ends() {
        type Change = fn(&mut Training);
        let wrong: [(Change, &str); 6] = [
            (|t| t.epochs = 1_000_001, "1000001 is out of range; set it to 1 to 1000000"),
            (|t| t.batch_targets = 20_000_000, "20000000 is out of range; set it to 1 to 16777216"),
            (|t| t.max_length = 2_000_000, "2000000 is out of range; set it to 1 to 1048576"),
            (
                |t| t.learning_rate = 1e300,
                "1e300 is out of range; set it above 0 and to at most 1000",
            ),
            (
                |t| t.checkpoint_seconds = 1e200,
                "1e200 is out of range; set it between 0 and 1000000000",
            ),
            (|t| t.recency = -1e99, "-1e99 is out of range; set it between -50 and 50"),
        ];
        for (change, text) in wrong {
            let mut training = Training::default();
            change(&mut training);
            let error = training.validate().unwrap_err().to_string();
            assert!(error.ends_with(text), "{error}");
        }
    }

    #[test]
    fn keys_of_a_plateau_want_one() {
        let factor = Training { plateau_factor: 0.5, ..Training::default() };
        let patience = Training { plateau_patience: 3, ..Training::default() };
        assert!(Training::default().validate_effects().is_ok());
        for (training, key) in [(factor, "plateau_factor"), (patience, "plateau_patience")] {
            let error = training.validate_effects().unwrap_err();
            assert!(error.is_usage());
            let text = error.to_string();
            assert!(text.starts_with(&format!("training.{key}: ")), "{text}");
            assert!(text.contains("set decay to \"plateau\""), "{text}");
            Training { decay: Decay::Plateau, ..training }.validate_effects().unwrap();
        }
    }

    #[test]
    fn a_window_wants_a_model_that_needs_no_more_than_the_states() {
        let windowed = Training { window: 20, ..Training::default() };
        let plain = ModelConfig::default();
        windowed.validate_for(&plain).unwrap();
        let wide = |readout| ModelConfig { readout, ..plain.clone() };
        let mean = ModelConfig { running_mean: true, ..plain.clone() };
        let others = [Readout::Attention, Readout::Mean, Readout::Max].map(wide);
        for model in others.iter().chain([&mean]) {
            let error = windowed.validate_for(model).unwrap_err();
            assert!(error.is_usage());
            assert!(error.to_string().starts_with("training.window: "), "{error}");
            Training::default().validate_for(model).unwrap();
        }
    }
}
