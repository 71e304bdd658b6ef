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
//! [`StateDict`] reads such a file, ours or another's: what it does not say about itself is told by names
//! and shapes, in `infer`. Every name, shape and type is checked against the catalogue of the
//! configuration before a weight is taken.

mod infer;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use layout::Cell;
use safetensors::SafeTensors;
use safetensors::tensor::Dtype;
use serde::{Deserialize, Serialize};

use crate::container::{self, FileError, Tensor, Tensors, Values};
use crate::file::{header, read_weight, second_bias, written};
use crate::model::checked_catalogue;
use crate::onnx::uncoupled;
use crate::{
    ConfigError, Device, ExportError, Form, Model, ModelConfig, ModelFile, Output, Parameters,
    Readout, Spec, Vocabulary,
};

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
    /// [`ExportError`] where PyTorch has no such module, or the header cannot hold the ids.
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
        ("readout.weight_h", Readout::Last) => "readout.weight",
        ("readout.weight_h", Readout::Attention) => "readout.h.weight",
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

/// Beginnings of names in a file, and what stands there instead: `rnn=lstm` reads `rnn.weight_hh_l0` as
/// `lstm.weight_hh_l0`; nothing after the `=` drops the beginning.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Renames(Vec<(String, String)>);

impl std::str::FromStr for Renames {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let pair = |part: &str| match part.split_once('=') {
            Some((old, new)) if !old.trim().is_empty() => {
                let trimmed = |name: &str| name.trim().trim_end_matches('.').to_owned();
                Ok((trimmed(old), trimmed(new)))
            }
            _ => Err(format!("{part:?}: say OLD=NEW, such as rnn=lstm,fc=output")),
        };
        text.split(',').map(pair).collect::<Result<_, _>>().map(Self)
    }
}

impl Renames {
    /// The name that ours are compared with. Each pair is tried once, in order, on what the pairs before
    /// it have made.
    fn apply(&self, name: &str) -> String {
        let mut name = name.to_owned();
        for (old, new) in &self.0 {
            let rest = name.strip_prefix(old.as_str()).and_then(|rest| rest.strip_prefix('.'));
            if let Some(rest) = rest {
                name = if new.is_empty() { rest.to_owned() } else { format!("{new}.{rest}") };
            }
        }
        name
    }
}

/// A state dict in memory: checked to be a whole file of numbers, not yet to be a model.
#[derive(Debug, Clone)]
pub struct StateDict {
    path: PathBuf,
    bytes: Vec<u8>,
    /// Name in the file and shape, by the name that ours are compared with.
    tensors: BTreeMap<String, (String, Vec<usize>)>,
    header: Option<ModelConfig>,
    vocabulary: Option<Vocabulary>,
}

impl StateDict {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// [`FileError`] where it is not whole, has a tensor of a type that cannot be read, or two of one
    /// name once they are renamed.
    pub fn open(path: &Path, renames: &Renames) -> Result<Self, FileError> {
        let error = |problem: String| FileError::new(path, problem);
        let bytes =
            std::fs::read(path).map_err(|reason| error(format!("cannot be read: {reason}")))?;
        let damaged = |reason: safetensors::SafeTensorError| {
            error(format!(
                "is not a whole safetensors file ({reason}); write it with \
                 safetensors.torch.save_file(module.state_dict(), FILE)"
            ))
        };
        let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(damaged)?;
        let text = metadata.metadata().as_ref().and_then(|texts| texts.get(container::TEXT));
        let text = text.cloned();
        let file = SafeTensors::deserialize(&bytes).map_err(damaged)?;
        let mut tensors = BTreeMap::new();
        for (found, view) in file.iter() {
            if !matches!(view.dtype(), Dtype::F32 | Dtype::F64 | Dtype::F16 | Dtype::BF16) {
                let problem = "F32, F64, F16 and BF16 are read: convert it with .float(), or leave \
                               out what is no weight";
                return Err(error(format!("{found} is of type {}; {problem}", view.dtype())));
            }
            let place = (found.to_owned(), view.shape().to_vec());
            let name = renames.apply(found);
            if let Some((other, _)) = tensors.insert(name.clone(), place) {
                return Err(error(format!(
                    "both {other} and {found} would be {name}; see --rename"
                )));
            }
        }
        let mut dict =
            Self { path: path.to_owned(), bytes, tensors, header: None, vocabulary: None };
        if let Some(text) = text {
            let Header { model, items, counts, .. } = header(path, &text, KIND, VERSION)?;
            dict.header = Some(model);
            dict.vocabulary = items.map(|names| {
                let counts = counts.unwrap_or_else(|| vec![1; names.len()]);
                Vocabulary { names, counts }
            });
        }
        Ok(dict)
    }

    /// Where it was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The items, where the file names them: ours do.
    pub fn vocabulary(&self) -> Option<&Vocabulary> {
        self.vocabulary.as_ref()
    }

    /// What the model is made of: as the file's header says, or else as a model that it is like, or else
    /// as names and shapes tell.
    ///
    /// # Errors
    ///
    /// [`FileError`] where they do not tell.
    pub fn config(&self, like: Option<&ModelConfig>) -> Result<ModelConfig, FileError> {
        match (&self.header, like) {
            (Some(config), _) => Ok(config.clone()),
            (None, Some(like)) => Ok(plain(like)),
            (None, None) => infer::config(self),
        }
    }

    /// The model of this configuration, on a machine. Where PyTorch has two biases, only the GRU's
    /// candidate keeps both.
    ///
    /// # Errors
    ///
    /// [`FileError`] names what is missing, has no place, or has the wrong shape.
    pub fn model<D: Device>(
        &self,
        device: D,
        config: &ModelConfig,
        items: usize,
    ) -> Result<Model<D>, StateDictError> {
        checked_catalogue(config, items)?;
        let specs = catalogue(config, items);
        let shapes = expected(config, &specs);
        self.check_names(config, &shapes)?;
        for (name, shape) in &shapes {
            let (found, found_shape) = &self.tensors[name];
            if found_shape != shape {
                let hint = match name.as_str() {
                    "embedding.weight" | "output.weight" | "output.bias" => {
                        ": the items, their ids and --config's [model] must fit each other"
                    }
                    _ => ": see [model] of --config, and --rename",
                };
                return Err(
                    self.error(format!("{found} should be {shape:?}, found {found_shape:?}{hint}"))
                );
            }
        }
        let tied = config.output == Output::Tied && self.tensors.contains_key("output.weight");
        if tied && !self.same("embedding.weight", "output.weight") {
            return Err(self.error(
                "output.weight is not the same as embedding.weight, but model.output is \"tied\"; \
                 give a --config with [model] output = \"free\""
                    .to_owned(),
            ));
        }
        let parameters = specs.as_ref().map(|spec| self.read(&device, spec));
        let mut first_error = None;
        let parameters = parameters.map(|made| {
            made.unwrap_or_else(|error| {
                first_error.get_or_insert(error);
                D::Matrix::default()
            })
        });
        match first_error {
            Some(error) => Err(error.into()),
            None => Ok(Model::from_parameters(device, config.clone(), items, parameters)),
        }
    }

    fn read<D: Device>(&self, device: &D, spec: &Spec) -> Result<D::Matrix, FileError> {
        let mut tensors = Tensors::new();
        let names = match spec.form {
            Form::Bias(_) => vec![spec.name.clone(), second_bias(spec)],
            _ => vec![spec.name.clone()],
        };
        for name in names {
            let (_, shape) = &self.tensors[&name];
            let values = Values::F32(self.values(&name)?);
            tensors.insert(name, Tensor { shape: shape.clone(), values });
        }
        let values = read_weight(&self.path, spec, &mut tensors)?;
        let mut matrix = D::Matrix::default();
        device.upload(&mut matrix, spec.shape[0], spec.shape[1], &values);
        Ok(matrix)
    }

    /// The numbers of a tensor in single precision.
    fn values(&self, name: &str) -> Result<Vec<f32>, FileError> {
        let (found, _) = &self.tensors[name];
        let (dtype, data) = self.raw(found);
        let halves = |widen: fn(u16) -> f32| {
            data.as_chunks().0.iter().map(|&half| widen(u16::from_le_bytes(half))).collect()
        };
        Ok(match dtype {
            Dtype::F32 => data.as_chunks().0.iter().map(|&four| f32::from_le_bytes(four)).collect(),
            Dtype::F64 => {
                data.as_chunks().0.iter().map(|&eight| f64::from_le_bytes(eight) as f32).collect()
            }
            Dtype::F16 => halves(widen_half),
            Dtype::BF16 => halves(|bits| f32::from_bits(u32::from(bits) << 16)),
            other => return Err(FileError::new(&self.path, format!("{found} is of type {other}"))),
        })
    }

    fn raw(&self, found: &str) -> (Dtype, &[u8]) {
        let file = SafeTensors::deserialize(&self.bytes).expect("checked when it was opened");
        let view = file.tensor(found).expect("listed when it was opened");
        (view.dtype(), view.data())
    }

    /// Whether two tensors are the same numbers in the same shape.
    fn same(&self, one: &str, other: &str) -> bool {
        match (self.tensors.get(one), self.tensors.get(other)) {
            (Some((one, shape)), Some((other, other_shape))) => {
                shape == other_shape && self.raw(one) == self.raw(other)
            }
            _ => false,
        }
    }

    fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|(_, shape)| shape.as_slice())
    }

    /// Every tensor that is due is there, and no other.
    fn check_names(
        &self,
        config: &ModelConfig,
        shapes: &BTreeMap<String, Vec<usize>>,
    ) -> Result<(), StateDictError> {
        let missing: BTreeSet<_> =
            shapes.keys().filter(|name| !self.tensors.contains_key(*name)).collect();
        let copy = |name: &&String| config.output == Output::Tied && *name == "output.weight";
        let unknown: BTreeSet<_> = self
            .tensors
            .iter()
            .filter(|(name, _)| !shapes.contains_key(*name) && !copy(name))
            .map(|(_, (found, _))| found)
            .collect();
        if missing.is_empty() && unknown.is_empty() {
            return Ok(());
        }
        let mut problem = Vec::new();
        for (names, says) in [(&missing, "missing"), (&unknown, "without a place")] {
            if !names.is_empty() {
                problem.push(format!("{says}: {}", listed(names)));
            }
        }
        let remedy = match () {
            () if unknown.iter().any(|name| name.ends_with("_reverse")) => {
                "layers in both directions see the future and cannot be asked what comes next"
            }
            () if missing.iter().any(|name| name.contains(".bias_")) => {
                "give a module made with bias=False biases of zero"
            }
            () => {
                "--rename OLD=NEW gives names another beginning, [model] of --config says what \
                   the model is made of"
            }
        };
        let cell = config.cell;
        Err(self.error(format!("as a model with {cell}: {}; {remedy}", problem.join("; "))))
    }

    fn error(&self, problem: String) -> StateDictError {
        FileError::new(&self.path, problem).into()
    }
}

/// The tensors that a file of this configuration has, and their shapes.
fn expected(config: &ModelConfig, specs: &Parameters<Spec>) -> BTreeMap<String, Vec<usize>> {
    let mut shapes = BTreeMap::new();
    for spec in specs.iter() {
        let [rows, columns] = spec.shape;
        let shape = match spec.form {
            Form::Matrix => vec![rows, columns],
            Form::Vector => vec![rows * columns],
            Form::Transposed => vec![columns, rows],
            Form::Bias(cell) => vec![cell.gates() * config.hidden],
        };
        if matches!(spec.form, Form::Bias(_)) {
            shapes.insert(second_bias(spec), shape.clone());
        }
        shapes.insert(spec.name.clone(), shape);
    }
    shapes
}

/// Some of the names, and how many there are beside them.
fn listed(names: &BTreeSet<&String>) -> String {
    let shown: Vec<&str> = names.iter().take(6).map(|name| name.as_str()).collect();
    match names.len().saturating_sub(shown.len()) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// A number of 16 bits: one for the sign, five for the exponent, ten behind the point.
fn widen_half(bits: u16) -> f32 {
    let (sign, exponent, rest) = (bits >> 15, (bits >> 10) & 31, u32::from(bits & 1023));
    let size = match exponent {
        // Below the smallest power: so many steps of 2⁻²⁴.
        0 => rest as f32 * 2f32.powi(-24),
        31 if rest == 0 => f32::INFINITY,
        31 => f32::NAN,
        _ => f32::from_bits((u32::from(exponent) + 112) << 23 | rest << 13),
    };
    if sign == 1 { -size } else { size }
}

/// A state dict that is no model of the configuration asked for.
#[derive(Debug, thiserror::Error)]
pub enum StateDictError {
    /// The configuration cannot be.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The file does not fit it.
    #[error(transparent)]
    File(#[from] FileError),
}
