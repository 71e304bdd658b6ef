//! A state dict that somebody has saved, checked before a weight is taken.
//!
//! Opening a file checks that it is whole and holds numbers; making a model of it checks every name and
//! shape against the catalogue of the configuration. Memory is taken for what has passed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use safetensors::tensor::Dtype;

use super::names::{Renames, listed, meant};
use super::{Header, KIND, VERSION, catalogue, infer, plain};
use crate::container::{self, FileError, Tensor, Tensors, Values};
use crate::exchange::{check_features, check_shapes};
use crate::file::{header, is_model, read_weight, second_bias};
use crate::model::checked_catalogue;
use crate::{
    ConfigError, Device, Features, Form, Model, ModelConfig, Output, Parameters, Spec, Vocabulary,
};

/// A state dict in memory: checked to be a whole file of numbers, not yet to be a model.
#[derive(Debug, Clone)]
pub struct StateDict {
    pub(super) path: PathBuf,
    bytes: Vec<u8>,
    /// Name in the file and shape, by the name that ours are compared with.
    pub(super) tensors: BTreeMap<String, (String, Vec<usize>)>,
    renames: Renames,
    header: Option<ModelConfig>,
    vocabulary: Option<Vocabulary>,
}

impl StateDict {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// [`FileError`] where it is not whole, is a model file of ours, has a tensor of a type that cannot be
    /// read, or two of one name once they are renamed, and where a pair of `renames` fits no name.
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
        // First, since a whole model of ours has tensors that are no numbers.
        let (header, vocabulary) = match text {
            None => (None, None),
            Some(text) if is_model(&text) => {
                let problem = "is a model of Tidegate already: use it as it is, or make a state dict of \
                               it with `tidegate export`";
                return Err(error(problem.to_owned()));
            }
            Some(text) => {
                let Header { model, items, counts, .. } = header(path, &text, KIND, &[VERSION])?;
                let vocabulary = items.map(|names| {
                    let counts = counts.unwrap_or_else(|| vec![1; names.len()]);
                    Vocabulary { names, counts }
                });
                (Some(model), vocabulary)
            }
        };
        let file = SafeTensors::deserialize(&bytes).map_err(damaged)?;
        let (found, views): (Vec<_>, Vec<_>) = file.iter().unzip();
        let names = renames.apply(&found).map_err(error)?;
        let mut tensors = BTreeMap::new();
        for ((found, view), name) in found.into_iter().zip(views).zip(names) {
            if !matches!(view.dtype(), Dtype::F32 | Dtype::F64 | Dtype::F16 | Dtype::BF16) {
                let problem = "F32, F64, F16 and BF16 are read: convert it with .float(), or leave \
                               out what is no weight";
                return Err(error(format!("{found} is of type {}; {problem}", view.dtype())));
            }
            let place = (found.to_owned(), view.shape().to_vec());
            if let Some((other, _)) = tensors.insert(name.clone(), place) {
                return Err(error(format!(
                    "both {other} and {found} would be {name}; see --rename"
                )));
            }
        }
        let (path, renames) = (path.to_owned(), renames.clone());
        Ok(Self { path, bytes, tensors, renames, header, vocabulary })
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
    pub fn config(
        &self,
        like: Option<(&ModelConfig, &Features)>,
    ) -> Result<ModelConfig, FileError> {
        match (&self.header, like) {
            (Some(config), _) => Ok(config.clone()),
            (None, Some((like, features))) => {
                // The same names and shapes, and other answers: PyTorch's modules have none of these.
                check_shapes(like, "a state dict")
                    .and_then(|()| check_features(features, "a state dict"))
                    .map_err(|error| {
                        FileError::new(&self.path, format!("is not like that model: {error}"))
                    })?;
                Ok(plain(like))
            }
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
        let inputs = items.into();
        checked_catalogue(config, &inputs)?;
        let specs = catalogue(config, items);
        let shapes = expected(&specs);
        self.check_names(config, items, &shapes)?;
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
            None => Ok(Model::from_parameters(device, config.clone(), inputs, parameters)),
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
    pub(super) fn same(&self, one: &str, other: &str) -> bool {
        match (self.tensors.get(one), self.tensors.get(other)) {
            (Some((one, shape)), Some((other, other_shape))) => {
                shape == other_shape && self.raw(one) == self.raw(other)
            }
            _ => false,
        }
    }

    pub(super) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|(_, shape)| shape.as_slice())
    }

    /// Every tensor that is due is there, and no other.
    fn check_names(
        &self,
        config: &ModelConfig,
        items: usize,
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
                problem.push(format!("{says}: {}", listed(names.iter().copied())));
            }
        }
        let guess = match unknown.iter().any(|name| name.ends_with("_reverse")) {
            true => None,
            false => self.guess(items, shapes),
        };
        let biases = missing.iter().all(|name| name.contains(".bias_"));
        let remedy = guess.as_deref().unwrap_or(match () {
            () if unknown.iter().any(|name| name.ends_with("_reverse")) => {
                "layers in both directions see the future and cannot be asked what comes next"
            }
            () if biases && !missing.is_empty() => {
                "give a module made with bias=False biases of zero"
            }
            () if unknown.is_empty() => {
                "save the whole module, or say with [model] of --config what it is made of"
            }
            () => {
                "--rename OLD=NEW gives names another beginning, [model] of --config says what \
                 the model is made of"
            }
        });
        let cell = config.cell;
        Err(self.error(format!("as a model with {cell}: {}; {remedy}", problem.join("; "))))
    }

    /// What the tensors without a place may have been meant for. Where there is no table of its own for the
    /// scores, they were taken to be made from the embedding, so it is missing whatever the configuration.
    fn guess(&self, items: usize, shapes: &BTreeMap<String, Vec<usize>>) -> Option<String> {
        let is_missing = |name: &str| !self.tensors.contains_key(name);
        let due = shapes.iter().map(|(name, shape)| (name.as_str(), shape.as_slice()));
        let tables = ["embedding.weight", "output.weight"].map(|name| (name, &[][..]));
        let tables = tables.into_iter().filter(|(name, _)| !shapes.contains_key(*name));
        let missing: Vec<_> = due.chain(tables).filter(|(name, _)| is_missing(name)).collect();
        let has_place = |name: &String| shapes.contains_key(name);
        // Another beginning would take away the names of those that have their places.
        let is_shared = |name: &str| {
            let beginning = name.rsplit_once('.').map_or("", |(beginning, _)| beginning);
            let placed = self.tensors.keys().filter(|name| has_place(name));
            let mut rests = placed.filter_map(|name| name.strip_prefix(beginning));
            rests.any(|rest| rest.starts_with('.'))
        };
        let here = self.tensors.iter().filter(|(name, _)| !has_place(name) && !is_shared(name));
        let unplaced: Vec<_> =
            here.map(|(name, (_, shape))| (name.as_str(), shape.as_slice())).collect();
        meant(&self.renames, &missing, &unplaced, items)
    }

    fn error(&self, problem: String) -> StateDictError {
        FileError::new(&self.path, problem).into()
    }
}

/// The tensors that a file of this configuration has, and their shapes.
fn expected(specs: &Parameters<Spec>) -> BTreeMap<String, Vec<usize>> {
    let mut shapes = BTreeMap::new();
    for spec in specs.iter() {
        let [rows, columns] = spec.shape;
        let shape = match spec.form {
            Form::Matrix => vec![rows, columns],
            Form::Vector => vec![rows * columns],
            Form::Transposed => vec![columns, rows],
            Form::Bias(cell) => vec![columns / cell.biases() * cell.gates()],
        };
        if matches!(spec.form, Form::Bias(_)) {
            shapes.insert(second_bias(spec), shape.clone());
        }
        shapes.insert(spec.name.clone(), shape);
    }
    shapes
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
