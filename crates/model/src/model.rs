//! A model: what it is made of, its weights, and the machine they live on.

use crate::parameters::catalogue;
use crate::{Batch, ConfigError, Device, ModelConfig, Parameters, Spec};

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
    /// No position counts: there is nothing to learn from.
    #[error("the batch holds no position of positive weight; give sessions of two items or more")]
    Empty,
    /// It goes on from states, and the model looks at more than these.
    #[error(
        "the {0} looks back over the whole session, which states do not hold: give it whole sessions"
    )]
    LooksBack(&'static str),
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

/// A configuration, its weights, and the machine that holds them.
#[derive(Debug, Clone)]
pub struct Model<D: Device> {
    device: D,
    config: ModelConfig,
    items: usize,
    catalogue: Parameters<Spec>,
    parameters: Parameters<D::Matrix>,
}

impl<D: Device> Model<D> {
    /// A new model for `items` items; its weights are a function of the seed.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where the configuration cannot be built, or there is no item.
    pub fn new(
        device: D,
        config: &ModelConfig,
        items: usize,
        seed: u64,
    ) -> Result<Self, ConfigError> {
        let catalogue = checked_catalogue(config, items)?;
        let parameters = catalogue.start(&device, seed);
        Ok(Self { device, config: config.clone(), items, catalogue, parameters })
    }

    /// A model of weights that are there already, in the shapes of the catalogue.
    pub(crate) fn from_parameters(
        device: D,
        config: ModelConfig,
        items: usize,
        parameters: Parameters<D::Matrix>,
    ) -> Self {
        let catalogue = catalogue(&config, items);
        Self { device, config, items, catalogue, parameters }
    }

    /// What the model is made of.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Number of items V.
    pub fn items(&self) -> usize {
        self.items
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

    /// Refuses a batch that holds an unknown item.
    ///
    /// # Errors
    ///
    /// [`BatchError::Item`] names the largest.
    pub(crate) fn check(&self, batch: &Batch) -> Result<(), BatchError> {
        match batch.largest_item() {
            Some(item) if item as usize >= self.items => {
                Err(BatchError::Item { item, items: self.items })
            }
            _ => Ok(()),
        }
    }
}

/// The catalogue of a configuration that has been checked.
pub(crate) fn checked_catalogue(
    config: &ModelConfig,
    items: usize,
) -> Result<Parameters<Spec>, ConfigError> {
    config.validate()?;
    if items == 0 || items >= u32::MAX as usize {
        return Err(ConfigError {
            section: "model",
            key: "items".to_owned(),
            problem: format!("a vocabulary of {items} items"),
            remedy: "give a log with at least one item and fewer than 2^32 - 1".to_owned(),
        });
    }
    let specs = catalogue(config, items);
    let too_large = specs.iter().find(|spec| {
        spec.shape[0].checked_mul(spec.shape[1]).is_none_or(|numbers| numbers > 1 << 40)
    });
    match too_large {
        None => Ok(specs),
        Some(spec) => Err(ConfigError {
            section: "model",
            key: spec.name.clone(),
            problem: format!("[{}, {}] is too large", spec.shape[0], spec.shape[1]),
            remedy: "choose smaller widths or fewer items".to_owned(),
        }),
    }
}
