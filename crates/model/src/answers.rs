//! What a model answers beside the next item: will they buy, how much, what kind of event comes?
//!
//! An [`Answer`] has a head of its own over the shared picture of a position. It is asked at some
//! positions of a batch ([`Batch::ask`](crate::Batch::ask)), with what is known at the moment of the
//! question and at no event: how long it has been still, how much was spent so far.
//!
//! Like the features, answers follow from a log and a task and are no part of the configuration; how
//! their heads look is.

use std::collections::BTreeSet;

use layout::ElementLoss;
use serde::{Deserialize, Serialize};

use crate::ConfigError;

/// All that a model answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Answers {
    /// Whether it ranks the items that may come next.
    pub next_item: bool,
    /// What it answers beside that.
    pub answers: Vec<Answer>,
}

impl Default for Answers {
    /// The next item, and nothing else.
    fn default() -> Self {
        Self { next_item: true, answers: Vec::new() }
    }
}

/// One question that a model answers, and what an answer is worth in training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// What it is called, in files too: no two alike.
    pub name: String,
    /// Number C of its outputs: the classes of [`AnswerLoss::Classes`], 1 of all others.
    pub outputs: usize,
    /// What the numbers of a moment are called that its head sees, M of them; none where it sees none.
    pub moment: Vec<String>,
    /// What it counts beside the other losses; that of the next item counts 1.
    pub weight: f32,
    /// What an answer is worth.
    pub loss: AnswerLoss,
}

/// What an answer is worth in training, and so what its outputs z stand for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum AnswerLoss {
    /// σ(z) is a probability; true ones count so much beside false ones.
    Binary {
        /// What a true one counts.
        positive: f32,
    },
    /// The same, by the focal loss.
    Focal {
        /// How fast the known fades.
        gamma: f32,
        /// What a true one counts; a false one counts `1 − alpha`.
        alpha: f32,
    },
    /// softmax(z) are the probabilities of C classes.
    Classes {
        /// What each class counts, `[C]`; empty: all alike.
        weights: Vec<f32>,
    },
    /// z is the number itself, by the squared error.
    Squared,
    /// The same, by the Huber loss.
    Huber {
        /// Where it begins to be straight.
        delta: f32,
    },
    /// eᶻ is what is expected of a number of 0 or more.
    Poisson,
}

impl AnswerLoss {
    /// The loss of one output; `positive` is memory for one number. None where the outputs are classes.
    pub(crate) fn of_outputs<'a>(&self, positive: &'a mut [f32; 1]) -> Option<ElementLoss<'a>> {
        Some(match *self {
            Self::Binary { positive: counts } => {
                positive[0] = counts;
                ElementLoss::BinaryCrossEntropy { positive }
            }
            Self::Focal { gamma, alpha } => ElementLoss::Focal { gamma, alpha },
            Self::Squared => ElementLoss::SquaredError,
            Self::Huber { delta } => ElementLoss::Huber { delta },
            Self::Poisson => ElementLoss::Poisson,
            Self::Classes { .. } => return None,
        })
    }

    /// Makes answers of the outputs of one question.
    pub(crate) fn link(&self, z: &mut [f32]) {
        match self {
            Self::Binary { .. } | Self::Focal { .. } => {
                z.iter_mut().for_each(|z| *z = 1.0 / (1.0 + (-*z).exp()));
            }
            Self::Classes { .. } => {
                let largest = z.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                z.iter_mut().for_each(|z| *z = (*z - largest).exp());
                let sum: f32 = z.iter().sum();
                z.iter_mut().for_each(|z| *z /= sum);
            }
            Self::Poisson => z.iter_mut().for_each(|z| *z = z.exp()),
            Self::Squared | Self::Huber { .. } => (),
        }
    }

    fn validate(&self, outputs: usize) -> Result<(), String> {
        let positive = |x: f32| x.is_finite() && x > 0.0;
        match self {
            Self::Binary { positive: counts } if !positive(*counts) => {
                Err(format!("a true answer counts {counts:?}"))
            }
            Self::Focal { gamma, alpha }
                if !((0.0..=100.0).contains(gamma) && *alpha > 0.0 && *alpha < 1.0) =>
            {
                Err(format!("gamma = {gamma:?} and alpha = {alpha:?} of the focal loss"))
            }
            Self::Huber { delta } if !positive(*delta) => Err(format!("delta = {delta:?}")),
            Self::Classes { weights }
                if outputs < 2
                    || !(weights.is_empty() || weights.len() == outputs)
                    || !weights.iter().all(|&weight| positive(weight)) =>
            {
                Err(format!("{outputs} classes that count {weights:?}"))
            }
            Self::Classes { .. } => Ok(()),
            _ if outputs != 1 => Err(format!("{outputs} outputs for one number")),
            _ => Ok(()),
        }
    }
}

impl Answers {
    /// Whether a model ranks the next item and answers nothing else.
    pub fn is_next_item_alone(&self) -> bool {
        self.next_item && self.answers.is_empty()
    }

    /// The place of an answer by its name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.answers.iter().position(|answer| answer.name == name)
    }

    /// Checks names, sizes and losses.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the first that cannot be.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let error = |key: &str, problem: String, remedy: &str| ConfigError {
            section: "answers",
            key: key.to_owned(),
            problem,
            remedy: remedy.to_owned(),
        };
        if !self.next_item && self.answers.is_empty() {
            let problem = "the model answers nothing".to_owned();
            return Err(error("next_item", problem, "name a task"));
        }
        let mut met = BTreeSet::new();
        for Answer { name, outputs, weight, loss, .. } in &self.answers {
            if name.is_empty() || !met.insert(name) {
                let problem = format!("{name:?} is no name of its own");
                return Err(error(name, problem, "give every answer another name"));
            }
            if !(weight.is_finite() && *weight > 0.0) {
                let problem = format!("it counts {weight:?}");
                return Err(error(name, problem, "let it count more than 0"));
            }
            if *outputs > 1 << 20 {
                let problem = format!("{outputs} outputs");
                return Err(error(name, problem, "give it fewer"));
            }
            loss.validate(*outputs)
                .map_err(|problem| error(name, problem, "set what its loss needs"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(name: &str, outputs: usize, loss: AnswerLoss) -> Answer {
        Answer { name: name.to_owned(), outputs, moment: vec![], weight: 1.0, loss }
    }

    #[test]
    fn outputs_become_answers() {
        let link = |loss: AnswerLoss, z: &[f32]| {
            let mut z = z.to_vec();
            loss.link(&mut z);
            z
        };
        assert_eq!(link(AnswerLoss::Binary { positive: 3.0 }, &[0.0]), [0.5]);
        assert_eq!(link(AnswerLoss::Squared, &[-2.5]), [-2.5]);
        assert_eq!(link(AnswerLoss::Poisson, &[0.0]), [1.0]);
        let classes = link(AnswerLoss::Classes { weights: vec![] }, &[1000.0, 1000.0, -1000.0]);
        assert_eq!(classes, [0.5, 0.5, 0.0]);
    }

    #[test]
    fn errors_name_the_answer() {
        let classes = |weights: &[f32]| AnswerLoss::Classes { weights: weights.to_vec() };
        let fine = answer("kind", 3, classes(&[1.0, 2.0, 3.0]));
        let good = Answers { answers: vec![fine.clone()], ..Answers::default() };
        assert_eq!(good.validate(), Ok(()));
        let text = serde_json::to_string(&good).unwrap();
        assert_eq!(serde_json::from_str::<Answers>(&text).unwrap(), good);
        let wrong = [
            answer("kind", 3, AnswerLoss::Poisson),
            answer("kind", 1, classes(&[])),
            answer("kind", 3, classes(&[1.0])),
            answer("kind", 3, classes(&[1.0, 0.0, 1.0])),
            answer("kind", 1, AnswerLoss::Binary { positive: 0.0 }),
            answer("kind", 1, AnswerLoss::Focal { gamma: 2.0, alpha: 1.0 }),
            answer("kind", 1, AnswerLoss::Huber { delta: f32::NAN }),
            Answer { weight: -1.0, ..fine.clone() },
            answer("", 1, AnswerLoss::Squared),
        ];
        for wrong in wrong {
            let error = Answers { answers: vec![wrong], ..Answers::default() }.validate();
            let error = error.unwrap_err();
            assert_eq!(error.section, "answers");
            assert!(["kind", ""].contains(&error.key.as_str()), "{error}");
        }
        let twice = Answers { answers: vec![fine.clone(), fine], ..Answers::default() };
        assert_eq!(twice.validate().unwrap_err().key, "kind");
        assert!(Answers { next_item: false, ..Answers::default() }.validate().is_err());
    }
}
