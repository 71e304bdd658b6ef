//! What a model is made of, as a file or a command line spells it.

mod idle;
mod shapes;

pub use shapes::{Activation, InitialState, Reach};

use layout::{CandidateLoss, RecurrentDims};
use serde::{Deserialize, Serialize};

use crate::CellKind;

/// A configuration that cannot be built, with the key and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{section}.{key}: {problem}; {remedy}")]
pub struct ConfigError {
    /// The table that the key stands in: `model` or `optimizer`.
    pub section: &'static str,
    /// The key in that table, such as `dropout.input`.
    pub key: String,
    /// What is wrong with it.
    pub problem: String,
    /// What would be right.
    pub remedy: String,
}

/// How an item enters the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Input {
    /// A learned vector for each item.
    Embedding,
    /// No vector: the item selects its own row of the first layer's input weights.
    OneHot,
}

/// What the recurrent weights start with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecurrentStart {
    /// Uniform within ±1/√H, as PyTorch has it.
    #[default]
    Uniform,
    /// An orthogonal matrix for each gate.
    Orthogonal,
}

/// Which table the scores are taken against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Output {
    /// The embedding itself.
    Tied,
    /// A table of its own.
    Free,
}

/// What is read out of the states at a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Readout {
    /// The last state; through a projection where its width differs from the table's.
    Last,
    /// The last state, the last item and causal attention over the earlier ones, mixed linearly.
    Attention,
    /// The mean of the states so far.
    Mean,
    /// The largest of the states so far, unit by unit.
    Max,
}

/// The model, one key for each choice. A number of zero switches its feature off.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelConfig {
    /// How an item enters the network.
    pub input: Input,
    /// Width E of the embedding; not read where the input is one-hot.
    pub embedding: usize,
    /// One-hot input only: feed the counts of the session so far, normalised, instead of the
    /// current item alone.
    pub running_mean: bool,
    /// Items enter with this length, whatever the length of their vector; 0: as they are.
    pub input_scale: f32,
    /// The recurrent cell: lstm, gru, rnn, lstm+peephole, lstm+layernorm, lstm+coupled, and
    /// +projection after any with lstm in it.
    pub cell: CellKind,
    /// Number of units H of each recurrent layer; not read where `widths` says it of each.
    pub hidden: usize,
    /// Number of units of each layer, the lowest first, where they differ; as many as `layers`.
    pub widths: Vec<usize>,
    /// Cells with a projection only: width P that it gives the hidden state; 0: half of the units.
    pub projection: usize,
    /// What the recurrent weights start with.
    pub recurrent_start: RecurrentStart,
    /// What the forget gate's bias starts with, such as 1; not set: as the other biases do. Only cells
    /// that have such a gate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forget_bias: Option<f32>,
    /// Number of recurrent layers.
    pub layers: usize,
    /// Each layer but the first hands on its state plus what the layer below has handed on.
    pub residual: bool,
    /// Where the layers start on every row: from zero, or from states that are learned.
    pub initial_state: InitialState,
    /// What is read out of the states.
    pub readout: Readout,
    /// Which positions a readout sees; next-item training allows the causal one alone.
    pub reach: Reach,
    /// Attention only: width of keys and queries.
    pub attention_key: usize,
    /// Attention only: number L of learned biases by distance; larger distances share the last.
    pub attention_lags: usize,
    /// Widths of dense layers between the readout and the scores, the first one first; none where empty.
    pub head: Vec<usize>,
    /// What these layers do to their sums.
    pub head_activation: Activation,
    /// Widths of dense layers in the head of each answer beside the next item, the first one first.
    pub answer_head: Vec<usize>,
    /// Which table the scores are taken against.
    pub output: Output,
    /// A learned bias for each item.
    pub output_bias: bool,
    /// Both sides of the final product have length one, and the product is multiplied by this;
    /// 0: the product as it is.
    pub temperature: f32,
    /// Number R of learned biases for items that the session already holds, by how long ago each
    /// occurred last (0: it is the current one); larger distances share the last. 0: none.
    pub repeat_lags: usize,
    /// Standard deviation of a new embedding or output table.
    pub embedding_std: f32,
    /// Shares of entries that training switches off.
    pub dropout: Dropout,
    /// What training minimises.
    pub loss: Loss,
}

/// Shares of entries that training switches off, each in `[0, 1)`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dropout {
    /// On what enters the first LSTM layer.
    pub input: f32,
    /// On what passes from one LSTM layer to the next.
    pub layers: f32,
    /// Attention readout only: on the last item and on the context.
    pub readout: f32,
    /// On what leaves each dense layer of the head.
    pub head: f32,
    /// On what leaves each dense layer in the head of an answer beside the next item.
    pub answers: f32,
    /// On what leaves the readout, or the head where there is one, before it is normalised.
    pub output: f32,
    /// On the recurrent weights of every layer: the same ones at all steps of all sessions of a batch.
    pub weights: f32,
    /// On what the recurrent product of every layer sees of a session's hidden states: the same units
    /// at all its steps.
    pub recurrent: f32,
    /// Zoneout: share of the cell states that stay at a step as they were. Only cells that have such
    /// states. Answers mix old and new by this share.
    pub zoneout_c: f32,
    /// The same of the hidden states.
    pub zoneout_h: f32,
}

/// What a position's scores are worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LossKind {
    /// The target is to have the whole softmax over the candidates.
    #[default]
    CrossEntropy,
    /// The target is to be ahead of whatever other candidate comes near the top.
    BprMax,
    /// The same with a bounded loss for each other candidate.
    Top1Max,
}

/// A loss over all items, or over the frequent ones and a sample of the rest.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Loss {
    /// What a position's scores are worth: `cross-entropy`, `bpr-max` or `top1-max`.
    pub kind: LossKind,
    /// The items below this index (the most frequent ones) are candidates in every step; for a sample
    /// only.
    pub frequent: usize,
    /// How many of the other items are drawn as candidates in each step; 0: all items are
    /// candidates. The cross-entropy lets each of the drawn stand for all that it was drawn from;
    /// the ranking losses take it for itself.
    pub drawn: usize,
    /// Cross-entropy only: share of the target that is spread evenly over all items, in `[0, 1)`.
    pub smoothing: f32,
    /// BPR-max only: how much the squared scores of the other candidates count, each by its share
    /// of their softmax. 0: not at all.
    pub regularization: f32,
}

impl Loss {
    /// Whether the candidates are a sample, for a vocabulary of this size.
    pub fn is_sampled(&self, items: usize) -> bool {
        self.drawn > 0 && self.frequent.saturating_add(self.drawn) < items
    }

    /// The loss of a position.
    pub(crate) fn of_candidates(&self) -> CandidateLoss {
        match self.kind {
            LossKind::CrossEntropy => CandidateLoss::CrossEntropy,
            LossKind::BprMax => CandidateLoss::BprMax { regularization: self.regularization },
            LossKind::Top1Max => CandidateLoss::Top1Max,
        }
    }
}

impl Default for ModelConfig {
    /// A small model that learns quickly: normalised, tied, full softmax.
    fn default() -> Self {
        Self {
            input: Input::Embedding,
            embedding: 100,
            running_mean: false,
            input_scale: 3.0,
            cell: CellKind::default(),
            hidden: 100,
            widths: Vec::new(),
            projection: 0,
            recurrent_start: RecurrentStart::default(),
            forget_bias: None,
            layers: 1,
            residual: false,
            initial_state: InitialState::default(),
            readout: Readout::Last,
            reach: Reach::default(),
            attention_key: 64,
            attention_lags: 50,
            head: Vec::new(),
            head_activation: Activation::default(),
            answer_head: Vec::new(),
            output: Output::Tied,
            output_bias: false,
            temperature: 14.0,
            repeat_lags: 12,
            embedding_std: 0.1,
            dropout: Dropout { input: 0.2, layers: 0.2, readout: 0.2, ..Dropout::default() },
            loss: Loss::default(),
        }
    }
}

/// The largest size that a key may ask for: products of two stay far below any overflow.
const LARGEST: usize = 1 << 20;
/// The most recurrent layers.
pub(crate) const MOST_LAYERS: usize = 64;

impl ModelConfig {
    /// What sees more of a session than the states of the layers hand on, as a person would call it; a
    /// model with it cannot go on from states alone.
    pub fn looks_back(&self) -> Option<&'static str> {
        match self.readout {
            _ if self.running_mean => Some("input of model.running_mean"),
            Readout::Last => None,
            Readout::Attention => Some("readout \"attention\" of [model]"),
            Readout::Mean => Some("readout \"mean\" of [model]"),
            Readout::Max => Some("readout \"max\" of [model]"),
        }
    }

    /// Whether what enters layer `l` is a matrix: not where items select rows of `w_x`.
    pub(crate) fn has_input(&self, l: usize) -> bool {
        l > 0 || self.input == Input::Embedding
    }

    /// Cell and sizes of layer `l`. A one-hot input is as wide as there are items, which the
    /// configuration does not know: it counts as 0.
    pub fn dims(&self, l: usize) -> RecurrentDims {
        let input = match l {
            0 if self.input == Input::OneHot => 0,
            0 => self.embedding,
            _ => self.layer(l - 1).width(),
        };
        RecurrentDims { input, ..self.layer(l) }
    }

    /// Layer `l` without its input.
    fn layer(&self, l: usize) -> RecurrentDims {
        let hidden = self.units(l);
        let projection = match (self.cell.projection, self.projection) {
            (false, _) => None,
            (true, 0) => Some(hidden.div_ceil(2)),
            (true, width) => Some(width),
        };
        RecurrentDims { cell: self.cell.cell, input: 0, hidden, projection }
    }

    /// Width of the states of the highest layer.
    pub fn state_width(&self) -> usize {
        self.layer(self.layers.saturating_sub(1)).width()
    }

    /// Width of a position's picture, which is also the width of the output table.
    pub fn output_width(&self) -> usize {
        match self.output {
            Output::Tied => self.embedding,
            Output::Free => self.head.last().copied().unwrap_or(self.state_width()),
        }
    }

    /// Width of what leaves the readout: that of the picture, or of the states where a head follows.
    pub fn readout_width(&self) -> usize {
        if self.head.is_empty() { self.output_width() } else { self.state_width() }
    }

    /// Whether what is read out of the states passes through a projection.
    pub fn has_projection(&self) -> bool {
        self.readout == Readout::Attention || self.readout_width() != self.state_width()
    }

    /// Checks every key, and the keys against each other.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the first key that does not fit and what to do about it.
    pub fn validate(&self) -> Result<(), ConfigError> {
        // First, since an embedding of a wrong width may only have followed them.
        self.validate_widths()?;
        self.validate_sizes()?;
        self.validate_shapes()?;
        self.validate_numbers()?;
        self.validate_combinations()
    }

    fn validate_sizes(&self) -> Result<(), ConfigError> {
        let embeds = self.input == Input::Embedding;
        let attends = self.readout == Readout::Attention;
        let sizes = [
            // First, since an embedding of the same width may only have followed it.
            ("hidden", self.hidden, true),
            ("embedding", self.embedding, embeds),
            ("projection", self.projection, false),
            ("layers", self.layers, true),
            ("attention_key", self.attention_key, attends),
            ("attention_lags", self.attention_lags, attends),
        ];
        for (key, size, needed) in sizes {
            if needed && size == 0 {
                return Err(error(key, "is 0", "set it to 1 or more"));
            }
            if size > LARGEST {
                let problem = format!("{size} is too large");
                return Err(error(key, &problem, &format!("set it to at most {LARGEST}")));
            }
        }
        if self.layers > MOST_LAYERS {
            let problem = format!("{} is too many", self.layers);
            return Err(error("layers", &problem, &format!("set it to at most {MOST_LAYERS}")));
        }
        if self.repeat_lags > 256 {
            let problem = format!("{} is too many", self.repeat_lags);
            return Err(error("repeat_lags", &problem, "set it to at most 256, or to 0 for none"));
        }
        Ok(())
    }

    fn validate_numbers(&self) -> Result<(), ConfigError> {
        let shares = [
            ("dropout.input", self.dropout.input),
            ("dropout.layers", self.dropout.layers),
            ("dropout.readout", self.dropout.readout),
            ("dropout.head", self.dropout.head),
            ("dropout.answers", self.dropout.answers),
            ("dropout.output", self.dropout.output),
            ("dropout.weights", self.dropout.weights),
            ("dropout.recurrent", self.dropout.recurrent),
            ("dropout.zoneout_c", self.dropout.zoneout_c),
            ("dropout.zoneout_h", self.dropout.zoneout_h),
            ("loss.smoothing", self.loss.smoothing),
        ];
        for (key, share) in shares {
            if !(0.0..1.0).contains(&share) {
                let problem = format!("{share:?} is no share");
                return Err(error(key, &problem, "set it to 0 or more and less than 1"));
            }
        }
        let scales = [
            ("input_scale", self.input_scale),
            ("temperature", self.temperature),
            ("embedding_std", self.embedding_std),
            ("loss.regularization", self.loss.regularization),
        ];
        for (key, scale) in scales {
            if !(0.0..=1e4).contains(&scale) {
                let problem = format!("{scale:?} is out of range");
                return Err(error(key, &problem, "set it between 0 and 10000"));
            }
        }
        if self.embedding_std == 0.0 {
            return Err(error("embedding_std", "is 0, so all items would start alike", "try 0.1"));
        }
        Ok(())
    }

    fn validate_combinations(&self) -> Result<(), ConfigError> {
        let one_hot = self.input == Input::OneHot;
        if one_hot && self.output == Output::Tied {
            let problem = "\"tied\" needs an embedding, which one-hot input has not";
            return Err(error("output", problem, "set it to \"free\", or input to \"embedding\""));
        }
        if one_hot && self.readout == Readout::Attention {
            let problem = "\"attention\" needs an embedding, which one-hot input has not";
            return Err(error("readout", problem, "set it to \"last\", or input to \"embedding\""));
        }
        if one_hot && self.dropout.input > 0.0 {
            let problem = "one-hot input has no entries to drop";
            return Err(error("dropout.input", problem, "set it to 0"));
        }
        if one_hot && self.input_scale > 0.0 {
            let problem = "one-hot input has no length to set";
            return Err(error("input_scale", problem, "set it to 0"));
        }
        if self.projection > 0 && !self.cell.projection {
            let problem = format!("the cell is {}, which has none", self.cell);
            let remedy = "leave it out, or set cell to one with +projection";
            return Err(error("projection", &problem, remedy));
        }
        if let Some(bias) = self.forget_bias {
            if !self.cell.cell.has_cell_state() {
                let problem = format!("the cell is {}, which has no forget gate", self.cell);
                return Err(error(
                    "forget_bias",
                    &problem,
                    "leave it out, or set cell to \"lstm\"",
                ));
            }
            if !(-100.0..=100.0).contains(&bias) {
                let problem = format!("{bias:?} is out of range");
                let remedy = "set it between -100 and 100, such as to 1";
                return Err(error("forget_bias", &problem, remedy));
            }
        }
        if self.dropout.zoneout_c > 0.0 && !self.cell.cell.has_cell_state() {
            let problem = format!("the cell is {}, which has no cell state", self.cell);
            let remedy = "set it to 0 and use dropout.zoneout_h, or set cell to \"lstm\"";
            return Err(error("dropout.zoneout_c", &problem, remedy));
        }
        if self.loss.kind != LossKind::CrossEntropy && self.loss.smoothing > 0.0 {
            let problem = "is for the cross-entropy only: a ranking has one target";
            let remedy = "set it to 0, or loss.kind to \"cross-entropy\"";
            return Err(error("loss.smoothing", problem, remedy));
        }
        if !one_hot && self.running_mean {
            let problem = "is for one-hot input only";
            return Err(error("running_mean", problem, "set it to false, or input to \"one-hot\""));
        }
        Ok(())
    }
}

fn error(key: &str, problem: &str, remedy: &str) -> ConfigError {
    ConfigError {
        section: "model",
        key: key.to_owned(),
        problem: problem.to_owned(),
        remedy: remedy.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_survives_text() {
        let config = ModelConfig::default();
        assert_eq!(config.validate(), Ok(()));
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<ModelConfig>(&text).unwrap(), config);
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let error = serde_json::from_str::<ModelConfig>(r#"{"hiden": 3}"#).unwrap_err();
        assert!(error.to_string().contains("unknown field `hiden`"), "{error}");
    }

    #[test]
    fn errors_name_the_key_and_the_remedy() {
        type Change = fn(&mut ModelConfig);
        let wrong: [(&str, Change); 19] = [
            ("loss.regularization", |c| c.loss.regularization = -1.0),
            ("loss.smoothing", |c| {
                c.loss = Loss { kind: LossKind::BprMax, smoothing: 0.1, ..Loss::default() };
            }),
            ("loss.smoothing", |c| {
                c.loss = Loss { kind: LossKind::Top1Max, smoothing: 0.1, ..Loss::default() };
            }),
            ("hidden", |c| c.hidden = 0),
            ("layers", |c| c.layers = 65),
            ("embedding", |c| c.embedding = usize::MAX),
            ("repeat_lags", |c| c.repeat_lags = 257),
            ("dropout.layers", |c| c.dropout.layers = 1.0),
            ("dropout.weights", |c| c.dropout.weights = -0.1),
            ("dropout.recurrent", |c| c.dropout.recurrent = 1.0),
            ("dropout.zoneout_h", |c| c.dropout.zoneout_h = 1.5),
            ("dropout.zoneout_c", |c| {
                c.dropout.zoneout_c = 0.1;
                c.cell.cell = layout::Cell::Rnn;
            }),
            ("loss.smoothing", |c| c.loss.smoothing = f32::NAN),
            ("temperature", |c| c.temperature = -1.0),
            ("output", |c| c.input = Input::OneHot),
            ("running_mean", |c| c.running_mean = true),
            ("projection", |c| c.projection = 3),
            ("forget_bias", |c| c.forget_bias = Some(f32::NAN)),
            ("forget_bias", |c| {
                c.forget_bias = Some(1.0);
                c.cell.cell = layout::Cell::Gru;
            }),
        ];
        for (key, change) in wrong {
            let mut config = ModelConfig::default();
            change(&mut config);
            let error = config.validate().unwrap_err();
            assert_eq!(error.key, key);
            assert!(!error.remedy.is_empty());
        }
    }

    #[test]
    fn losses_go_by_the_names_of_their_papers() {
        let kind = |name: &str| {
            let text = format!("{{\"kind\": \"{name}\"}}");
            serde_json::from_str::<Loss>(&text).map(|loss| loss.kind)
        };
        assert_eq!(kind("cross-entropy").unwrap(), LossKind::CrossEntropy);
        assert_eq!(kind("bpr-max").unwrap(), LossKind::BprMax);
        assert_eq!(kind("top1-max").unwrap(), LossKind::Top1Max);
        assert!(kind("hinge").unwrap_err().to_string().contains("`top1-max`"));
    }

    #[test]
    fn a_sample_as_large_as_the_vocabulary_is_the_full_softmax() {
        let loss = Loss { frequent: 4, drawn: 3, ..Loss::default() };
        assert!(loss.is_sampled(8));
        assert!(!loss.is_sampled(7));
        assert!(!Loss { drawn: 0, ..loss }.is_sampled(100));
    }
}
