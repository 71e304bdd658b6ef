//! Keys of `[model]` about its shape: widths, paths around layers, starts, what a readout sees, the head.

use layout::Pooling;
use serde::{Deserialize, Serialize};

use super::{ConfigError, LARGEST, ModelConfig, Readout, error};

/// Where the layers start on every row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InitialState {
    /// All states are zero.
    #[default]
    Zero,
    /// A state for each layer that is learned like a weight, the same for all rows.
    Learned,
}

/// Which positions of its row a readout sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// Itself and those before it.
    #[default]
    Causal,
    /// The whole row: for tasks with one answer per row.
    Free,
}

/// What a dense layer does to its sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// `max(0, z)`
    #[default]
    Relu,
    /// `tanh z`
    Tanh,
    /// `z` where it is positive, `eᶻ − 1` where it is not.
    Elu,
}

impl From<Activation> for layout::Activation {
    fn from(activation: Activation) -> Self {
        match activation {
            Activation::Relu => Self::Relu,
            Activation::Tanh => Self::Tanh,
            Activation::Elu => Self::Elu,
        }
    }
}

impl Readout {
    /// How the states of a row are pooled, where they are.
    pub(crate) fn pooling(self) -> Option<Pooling> {
        match self {
            Self::Mean => Some(Pooling::Mean),
            Self::Max => Some(Pooling::Max),
            Self::Last | Self::Attention => None,
        }
    }
}

impl ModelConfig {
    /// Number of units of layer `l`.
    pub(super) fn units(&self, l: usize) -> usize {
        self.widths.get(l).copied().unwrap_or(self.hidden)
    }

    /// Whether a linear map leads from the last dense layer of the head to the picture.
    pub(crate) fn has_head_output(&self) -> bool {
        self.head.last().is_some_and(|&width| width != self.output_width())
    }

    pub(super) fn validate_widths(&self) -> Result<(), ConfigError> {
        if !self.widths.is_empty() && self.widths.len() != self.layers {
            let (layers, widths) = (self.layers, self.widths.len());
            let problem = format!("names {widths} widths, but there are {layers} layers");
            let remedy = format!("set layers to {widths}, or name {layers} widths");
            return Err(error("widths", &problem, &remedy));
        }
        let named =
            [("widths", &self.widths), ("head", &self.head), ("answer_head", &self.answer_head)];
        for (key, widths) in named {
            if let Some(width) = widths.iter().find(|width| !(1..=LARGEST).contains(*width)) {
                let problem = format!("a layer of {width} units");
                let remedy = format!("give each layer 1 to {LARGEST}");
                return Err(error(key, &problem, &remedy));
            }
        }
        Ok(())
    }

    pub(super) fn validate_shapes(&self) -> Result<(), ConfigError> {
        for (key, head) in [("head", &self.head), ("answer_head", &self.answer_head)] {
            if head.len() > 64 {
                let problem = format!("{} layers are too many", head.len());
                return Err(error(key, &problem, "name at most 64"));
            }
        }
        if self.head.is_empty() && self.dropout.head > 0.0 {
            let remedy = "set it to 0, or name the widths of a head";
            return Err(error("dropout.head", "there is no head", remedy));
        }
        if self.reach == Reach::Free {
            let problem = "\"free\" reads the states after a position, and the next item is among them: \
                           it would see the answer";
            let remedy = "set it to \"causal\"; \"free\" is for tasks with one answer per user";
            return Err(error("reach", problem, remedy));
        }
        self.validate_residual()
    }

    fn validate_residual(&self) -> Result<(), ConfigError> {
        if !self.residual {
            return Ok(());
        }
        if self.layers < 2 {
            let problem = "there is one layer, and the first has no path around it";
            return Err(error("residual", problem, "set layers to 2 or more, or leave it out"));
        }
        for l in 1..self.layers {
            let dims = self.dims(l);
            if dims.input != dims.width() {
                let (below, here) = (dims.input, dims.width());
                let problem = format!(
                    "layer {l} makes {here} numbers of the {below} below it, which cannot be added"
                );
                let remedy = "give all layers one width, or set it to false";
                return Err(error("residual", &problem, remedy));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_key_and_the_remedy() {
        type Change = fn(&mut ModelConfig);
        let wrong: [(&str, &str, Change); 10] = [
            ("widths", "set layers to 2", |c| c.widths = vec![20, 10]),
            ("widths", "a layer of 0 units", |c| {
                (c.widths, c.layers, c.embedding) = (vec![20, 0], 2, 0);
            }),
            ("widths", "a layer of 0 units", |c| c.widths = vec![0]),
            ("head", "a layer of 0 units", |c| c.head = vec![20, 0]),
            ("head", "at most 64", |c| c.head = vec![2; 65]),
            ("dropout.head", "there is no head", |c| c.dropout.head = 0.1),
            ("reach", "see the answer", |c| {
                (c.readout, c.reach) = (Readout::Mean, Reach::Free);
            }),
            ("residual", "layers to 2 or more", |c| c.residual = true),
            ("residual", "layer 1 makes 10 numbers of the 20", |c| {
                (c.residual, c.layers, c.widths) = (true, 2, vec![20, 10]);
            }),
            ("residual", "layer 2 makes 9 numbers of the 10", |c| {
                c.cell = "lstm+projection".parse().expect("a cell");
                (c.residual, c.layers, c.widths) = (true, 3, vec![20, 19, 18]);
            }),
        ];
        for (key, text, change) in wrong {
            let mut config = ModelConfig::default();
            change(&mut config);
            let error = config.validate().unwrap_err();
            assert_eq!(error.key, key);
            assert!(error.to_string().contains(text), "{error}");
        }
    }

    #[test]
    fn each_layer_takes_what_the_one_below_makes() {
        let config = ModelConfig { widths: vec![20, 9, 14], layers: 3, ..ModelConfig::default() };
        assert_eq!(config.validate(), Ok(()));
        let sizes = |config: &ModelConfig| {
            let dims = (0..3).map(|l| config.dims(l));
            dims.map(|dims| (dims.input, dims.hidden, dims.width())).collect::<Vec<_>>()
        };
        assert_eq!(sizes(&config), [(100, 20, 20), (20, 9, 9), (9, 14, 14)]);
        let cell = "lstm+projection".parse().expect("a cell");
        let halves = ModelConfig { cell, ..config.clone() };
        assert_eq!(sizes(&halves), [(100, 20, 10), (10, 9, 5), (5, 14, 7)]);
        // What the projection makes equally wide can be added, whatever the units.
        let one = ModelConfig { projection: 6, residual: true, ..halves };
        assert_eq!((one.validate(), one.state_width()), (Ok(()), 6));
    }
}
