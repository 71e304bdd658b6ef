//! A model: what it is made of, its weights, and the machine they live on.

use std::sync::Arc;

use crate::parameters::catalogue;
use crate::{Answers, Batch, ConfigError, Device, Features, Inputs, ModelConfig, Parameters, Spec};

/// A batch that the model cannot work on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// It holds an item that the model does not know.
    #[error("item {item} is outside the vocabulary of {items} items")]
    Item {
        /// The largest index that came.
        item: u32,
        /// The size of the vocabulary.
        items: usize,
    },
    /// It was made for other features than the model sees.
    #[error(
        "the batch has {} labels and {} numbers of an event, and the model sees {} and {}; make it \
         with the model's features", found[0], found[1], expected[0], expected[1]
    )]
    Features {
        /// How many labels and numbers of an event it has.
        found: [usize; 2],
        /// How many the model sees.
        expected: [usize; 2],
    },
    /// The model sees given vectors of items, and none were given.
    #[error("the model sees vectors of items and has none yet; give it some")]
    Vectors,
    /// A session that came has labels or numbers, and not as many as its events ask for.
    #[error("session {session}: not as many labels or numbers as its {events} events ask for")]
    Sequence {
        /// Which of those that were given, counted from 0.
        session: usize,
        /// The number of its events.
        events: usize,
    },
    /// It holds a label that the model does not know.
    #[error("label {label} of feature {feature} is outside its {size} labels")]
    Label {
        /// Which of the labels of an event, counted from 0.
        feature: usize,
        /// The largest that came.
        label: u32,
        /// How many there are.
        size: usize,
    },
    /// It holds a number that is not finite.
    #[error("number {feature} of an event is not finite; 0 stands for one that is missing")]
    Number {
        /// Which of the numbers of an event, counted from 0.
        feature: usize,
    },
    /// No position counts: there is nothing to learn from.
    #[error("the batch holds no position of positive weight; give sessions of two items or more")]
    Empty,
    /// The next item is asked, and the model answers other questions only.
    #[error(
        "the model does not rank items: it was trained without the task next-item; train one with \
         --task next-item beside the others"
    )]
    NoRanking,
    /// It asks for an answer that the model does not have.
    #[error("answer {answer} is asked, and the model has {answers} beside the next item")]
    Answer {
        /// The answer, counted from 0.
        answer: usize,
        /// How many there are.
        answers: usize,
    },
    /// It asks at a moment of which other things are known than the model looks at.
    #[error(
        "a question of answer {answer} comes with {found} numbers of the moment, and the model looks at \
         {expected}"
    )]
    Moment {
        /// The answer, counted from 0.
        answer: usize,
        /// How many numbers came.
        found: usize,
        /// How many are looked at.
        expected: usize,
    },
    /// It asks at a moment, or says what came true, with something that is no such number.
    #[error("a question of answer {answer} holds a number that is not finite, or no such class")]
    Question {
        /// The answer, counted from 0.
        answer: usize,
    },
    /// It goes on from states, and the model looks at more than these.
    #[error(
        "the {0} looks back over the whole session, which states do not hold: give it whole sessions"
    )]
    LooksBack(&'static str),
    /// What enters at a position cannot be told apart from what entered before.
    #[error(
        "with model.running_mean the input of every position is a mean over the session so far, which is \
         owed to no single event; train a model without it"
    )]
    RunningMean,
    /// A question that is not put, or to a position that is not there.
    #[error("question {0} asks for an output that there is not; ask about an event of the batch")]
    Sought(usize),
    /// It goes on from states that are not there, or of another width.
    #[error(
        "the batch goes on with {rows} rows, for which there are no states of layer {layer}; run what \
         comes before it first, with its states kept, or set them"
    )]
    States {
        /// The layer, counted from 0.
        layer: usize,
        /// The rows of the batch.
        rows: usize,
    },
}

/// What files call the given vectors of items.
pub(crate) const VECTORS: &str = "features.vectors.table";

/// A configuration, its weights, and the machine that holds them.
#[derive(Debug, Clone)]
pub struct Model<D: Device> {
    device: D,
    config: ModelConfig,
    inputs: Inputs,
    /// The given vectors of items, `[V, D]`: the same for all models that come of this one.
    vectors: Option<Arc<D::Matrix>>,
    catalogue: Parameters<Spec>,
    parameters: Parameters<D::Matrix>,
}

impl<D: Device> Model<D> {
    /// A new model for so many items, or for [`Inputs`] of which more is known; its weights are a
    /// function of the seed.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where the configuration cannot be built, there is no item, or two features have
    /// one name.
    pub fn new(
        device: D,
        config: &ModelConfig,
        inputs: impl Into<Inputs>,
        seed: u64,
    ) -> Result<Self, ConfigError> {
        let inputs = inputs.into();
        let catalogue = checked_catalogue(config, &inputs)?;
        let parameters = catalogue.start(&device, seed);
        Ok(Self { device, config: config.clone(), inputs, vectors: None, catalogue, parameters })
    }

    /// The model with the vectors that are given for its items, `[V, D]`, one row an item; zeros for an
    /// item of which nothing is known. They are not learned; a projection of them is.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where there are not as many numbers as items of that width ask for, or one is not
    /// finite.
    pub fn with_vectors(mut self, values: &[f32]) -> Result<Self, ConfigError> {
        let (items, width) = (self.items(), self.features().vectors);
        let refuse = |problem: String, remedy: &str| {
            Err(ConfigError {
                section: "features",
                key: "vectors".to_owned(),
                problem,
                remedy: remedy.to_owned(),
            })
        };
        if width == 0 || values.len() != items * width {
            let problem = format!("{} numbers for {items} items of width {width}", values.len());
            return refuse(problem, "give one row of that width an item, and features of such");
        }
        if let Some(place) = values.iter().position(|value| !value.is_finite()) {
            let problem = format!("the vector of item {} is not finite", place / width);
            return refuse(problem, "give zeros where there is none");
        }
        let mut matrix = D::Matrix::default();
        self.device.upload(&mut matrix, items, width, values);
        self.vectors = Some(Arc::new(matrix));
        Ok(self)
    }

    /// The model with an answer that begins as a line over its moment, `[C, 1 + M]`, the biases first:
    /// what its states say counts nothing yet.
    ///
    /// # Panics
    ///
    /// Where there is no such answer, or not as many numbers.
    pub fn with_line(mut self, answer: usize, line: &[f32]) -> Self {
        let asked = &self.inputs.answers.answers[answer];
        let [rows, columns] = [asked.outputs, 1 + asked.moment.len()];
        assert_eq!(
            line.len(),
            rows * columns,
            "a bias and a number of the moment each, for each output"
        );
        let params = &mut self.parameters.answers[answer];
        self.device.upload(&mut params.w_s, rows, columns, line);
        self.device.fill(&mut params.w_z, 0.0);
        self
    }

    /// A model of other weights, in the same shapes.
    pub(crate) fn with_parameters(&self, parameters: Parameters<D::Matrix>) -> Self {
        Self {
            device: self.device.clone(),
            config: self.config.clone(),
            inputs: self.inputs.clone(),
            vectors: self.vectors.clone(),
            catalogue: self.catalogue.clone(),
            parameters,
        }
    }

    /// A model of weights that are there already, in the shapes of the catalogue.
    pub(crate) fn from_parameters(
        device: D,
        config: ModelConfig,
        inputs: Inputs,
        parameters: Parameters<D::Matrix>,
    ) -> Self {
        let catalogue = catalogue(&config, &inputs);
        Self { device, config, inputs, vectors: None, catalogue, parameters }
    }

    /// What the model is made of.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Number of items V.
    pub fn items(&self) -> usize {
        self.inputs.items
    }

    /// What the model sees of an event beside its item.
    pub fn features(&self) -> &Features {
        &self.inputs.features
    }

    /// What the model answers.
    pub fn answers(&self) -> &Answers {
        &self.inputs.answers
    }

    /// The sizes that follow from the log.
    pub fn inputs(&self) -> &Inputs {
        &self.inputs
    }

    /// The given vectors of items, `[V, D]`, where there are any.
    pub fn vectors(&self) -> Option<&D::Matrix> {
        self.vectors.as_deref()
    }

    /// The machine that holds the weights.
    pub fn device(&self) -> &D {
        &self.device
    }

    /// The weights.
    pub fn parameters(&self) -> &Parameters<D::Matrix> {
        &self.parameters
    }

    /// The weights, to write; their shapes must stay.
    pub fn parameters_mut(&mut self) -> &mut Parameters<D::Matrix> {
        &mut self.parameters
    }

    /// Names, shapes and kinds of the weights.
    pub fn catalogue(&self) -> &Parameters<Spec> {
        &self.catalogue
    }

    /// Number of learned numbers.
    pub fn numbers(&self) -> usize {
        self.catalogue.numbers()
    }

    /// What an optimiser needs at a time.
    pub(crate) fn parts_mut(&mut self) -> (&D, &Parameters<Spec>, &mut Parameters<D::Matrix>) {
        (&self.device, &self.catalogue, &mut self.parameters)
    }

    /// The first tensor that holds a number that is not finite.
    pub(crate) fn first_not_finite(&self) -> Option<String> {
        let mut tensors = self.catalogue.iter().zip(self.parameters.iter());
        let broken =
            tensors.find(|(_, tensor)| !self.device.sum_of_squares(tensor, None).is_finite());
        broken.map(|(spec, _)| spec.name.clone())
    }

    /// Refuses a batch that holds an unknown item, or not the features that the model sees.
    ///
    /// # Errors
    ///
    /// [`BatchError`] names the largest item or label that is unknown.
    pub(crate) fn check(&self, batch: &Batch) -> Result<(), BatchError> {
        let items = self.items();
        match batch.largest_item() {
            Some(item) if item as usize >= items => Err(BatchError::Item { item, items }),
            _ if self.features().vectors > 0 && self.vectors.is_none() => Err(BatchError::Vectors),
            _ => {
                batch.check_features(self.features())?;
                batch.check_questions(self.answers())
            }
        }
    }
}

/// The catalogue of a configuration that has been checked.
pub(crate) fn checked_catalogue(
    config: &ModelConfig,
    inputs: &Inputs,
) -> Result<Parameters<Spec>, ConfigError> {
    config.validate()?;
    inputs.features.validate()?;
    inputs.answers.validate()?;
    let items = inputs.items;
    if items == 0 || items >= u32::MAX as usize {
        return Err(ConfigError {
            section: "model",
            key: "items".to_owned(),
            problem: format!("a vocabulary of {items} items"),
            remedy: "give a log with at least one item and fewer than 2^32 - 1".to_owned(),
        });
    }
    let specs = catalogue(config, inputs);
    let vectors = (VECTORS, [items, inputs.features.vectors]);
    let too_large = specs
        .iter()
        .map(|spec| (spec.name.as_str(), spec.shape))
        .chain([vectors])
        .find(|(_, [rows, columns])| rows.checked_mul(*columns).is_none_or(|all| all > 1 << 40))
        .map(|(name, shape)| (name.to_owned(), shape));
    match too_large {
        None => Ok(specs),
        Some((name, [rows, columns])) => Err(ConfigError {
            section: "model",
            key: name,
            problem: format!("[{rows}, {columns}] is too large"),
            remedy: "choose smaller widths or fewer items".to_owned(),
        }),
    }
}
