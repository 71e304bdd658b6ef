//! A model as the state dict of a PyTorch module, and back.
//!
//! ```text
//!     embedding.weight  [V, E]            nn.Embedding(V, E)
//!     lstm.weight_ih_l0 …                 nn.LSTM(E, H, num_layers, proj_size); gru.*: nn.GRU, rnn.*: nn.RNN
//!     readout.weight    [D, H]            nn.Linear(H, D, bias=False), where D and H differ
//!     output.weight     [V, D]            nn.Linear(D, V); tied: the embedding once more
//!     output.bias       [V]
//!     repeat.bias       [R]               a parameter: for items that the session holds, by lag
//!     readout.{h,x,c,query,key_h,key_x}.weight, readout.lag_bias        the attention readout
//! ```
//!
//! Names and shapes differ from the model file's in the readout alone, and the items are no tensors: a
//! module that is told to be strict would stumble over them. Configuration and ids stand in the header,
//! where PyTorch does not look. Coupled gates become those of a plain LSTM, which can have any.
//!
//! Here such a file is written; `read` reads one, ours or another's, under the names that `names` gives its
//! tensors, and `infer` tells from names and shapes what a file does not say about itself.

mod infer;
mod names;
mod read;

pub use names::Renames;
pub use read::{StateDict, StateDictError};

use layout::Cell;
use serde::{Deserialize, Serialize};

use crate::container::{self, Tensors};
use crate::exchange::{check_answers, check_features, check_shapes, check_widths};
use crate::file::written;
use crate::onnx::uncoupled;
use crate::{ExportError, Form, ModelConfig, ModelFile, Output, Parameters, Readout, Spec};

const KIND: &str = "state-dict";
const VERSION: u32 = 1;
/// The header of a safetensors file may take this much, and names and shapes want a little of it.
const HEADER_LIMIT: usize = 99_000_000;

#[derive(Serialize, Deserialize)]
struct Header {
    kind: String,
    version: u32,
    model: ModelConfig,
    /// Absent where they lie in a file of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    items: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    counts: Option<Vec<u64>>,
}

impl ModelFile {
    /// The model as the bytes of a state dict; `with_items` puts the items' ids into its header.
    ///
    /// # Errors
    ///
    /// [`ExportError`] where PyTorch has no such module or none of that shape, or the header cannot hold the ids.
    pub fn to_state_dict(&self, with_items: bool) -> Result<Vec<u8>, ExportError> {
        let refuse = |cell, problem| {
            let remedy = "model.safetensors of the model's folder has all its tensors, and for a \
                          module, train with --cell lstm, gru or rnn";
            Err(ExportError::Cell { cell, format: "PyTorch", problem, remedy })
        };
        match self.config().cell.cell {
            Cell::Peephole => return refuse("lstm+peephole", "nn.LSTM has no peepholes"),
            Cell::LayerNorm => return refuse("lstm+layernorm", "nn.LSTM normalises nothing"),
            Cell::Lstm | Cell::Coupled | Cell::Gru | Cell::Rnn => (),
        }
        check_shapes(self.config(), "PyTorch")?;
        check_features(self.features(), "PyTorch")?;
        check_answers(self.answers(), "PyTorch")?;
        check_widths(self.config(), "PyTorch")?;
        let coupled = self.config().cell.cell == Cell::Coupled;
        let config = plain(self.config());
        let vocabulary = self.vocabulary();
        let mut tensors = Tensors::new();
        let specs = catalogue(&config, vocabulary.names.len());
        for (spec, weight) in specs.iter().zip(self.parameters().iter()) {
            let values = match coupled && is_of_a_gate(spec) {
                true => with_input_gate(spec, weight),
                false => weight.to_vec(),
            };
            tensors.extend(written(spec, values));
        }
        if config.output == Output::Tied {
            let table = tensors["embedding.weight"].clone();
            tensors.insert("output.weight".to_owned(), table);
        }
        let header = Header {
            kind: KIND.to_owned(),
            version: VERSION,
            model: config,
            items: with_items.then(|| vocabulary.names.clone()),
            counts: with_items.then(|| vocabulary.counts.clone()),
        };
        let text = serde_json::to_string(&header).expect("plain data");
        // The header has it as a JSON string once more: quotes and backslashes double.
        let bytes = text.len() + text.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count();
        if bytes > HEADER_LIMIT {
            return Err(ExportError::Header { bytes });
        }
        Ok(container::bytes(&tensors, &text).expect("as many numbers as the shapes say"))
    }
}

/// The configuration of a model as its state dict has it: coupled gates are those of a plain LSTM.
fn plain(config: &ModelConfig) -> ModelConfig {
    let mut config = config.clone();
    if config.cell.cell == Cell::Coupled {
        config.cell.cell = Cell::Lstm;
    }
    config
}

/// Whether a tensor has a block for each gate.
fn is_of_a_gate(spec: &Spec) -> bool {
    ["weight_ih", "weight_hh", "bias_ih"].iter().any(|part| spec.name.contains(part))
}

/// The blocks f g o as the blocks i f g o of a plain LSTM; `spec` is of the latter.
fn with_input_gate(spec: &Spec, weight: &[f32]) -> Vec<f32> {
    match spec.form {
        Form::Transposed => {
            weight.chunks_exact(spec.shape[1] / 4 * 3).flat_map(uncoupled).collect()
        }
        _ => uncoupled(weight),
    }
}

/// The catalogue under the names of a state dict.
fn catalogue(config: &ModelConfig, items: usize) -> Parameters<Spec> {
    crate::catalogue(config, items).map(|spec| named(config, spec))
}

fn named(config: &ModelConfig, mut spec: Spec) -> Spec {
    let name = match (spec.name.as_str(), config.readout) {
        ("readout.weight_h", Readout::Attention) => "readout.h.weight",
        ("readout.weight_h", _) => "readout.weight",
        ("readout.weight_x", _) => "readout.x.weight",
        ("readout.weight_c", _) => "readout.c.weight",
        ("readout.query", _) => "readout.query.weight",
        ("readout.key_h", _) => "readout.key_h.weight",
        ("readout.key_x", _) => "readout.key_x.weight",
        _ => return spec,
    };
    spec.name = name.to_owned();
    spec
}
