//! Model files: weights, configuration and vocabulary in one safetensors file.
//!
//! ```text
//!     embedding.weight        [V, E]       names and shapes as PyTorch has them
//!     lstm.weight_ih_l0       [4H, I]      gates i f g o; one-hot input: [4H, V]
//!     lstm.weight_hh_l0       [4H, R]
//!     lstm.bias_ih_l0         [4H]         our one bias
//!     lstm.bias_hh_l0         [4H]         zeros when written, added to the other when read
//!     lstm.weight_hr_l0       [P, H]       where there is a projection
//!     gru.* or rnn.*          [3H, ·] [H, ·]   gates r z n; bias_hh_l0 holds b_hn after zeros
//!     lstm.weight_peephole_l0 [3, H]       of ours alone: PyTorch has no such cells; gain_ih gain_hh
//!                                          gain_c bias_c where the layer is normalised
//!     lstm.h_0_l0 c_0_l0      [R] [H]      where the start is learned
//!     head.0.weight head.0.bias ...        dense layers, as in nn.Sequential, counted without the
//!     head.output.weight                   activations between them
//!     readout.*  output.weight [V, D]  output.bias [V]  repeat.bias [R]
//!     features.labels.NAME.weight  [V_k, E]    what is known of an event beside its item; E is 4H where
//!     features.numbers.weight      [E, F]      the input is one-hot
//!     features.vectors.weight      [E, D]
//!     features.vectors.table       [V, D]      the given vectors of items, as they were given
//!     answers.NAME.moment.weight   [D, 1 + M]  a head for each answer beside the next item: from the moment,
//!     answers.NAME.0.weight .0.bias ...        dense layers, to the outputs from the last of them, and to
//!     answers.NAME.output.weight   [C, A]      them from the moment, whose first number is 1
//!     answers.NAME.skip.weight     [C, 1 + M]
//!     vocabulary.text         the items' own ids, one after the other, UTF-8
//!     vocabulary.offsets      [V + 1]      where each begins
//!     vocabulary.counts       [V]          events of each item in training
//! ```
//!
//! The configuration stands in the header, and the features where the model sees any. Other tensors,
//! which this crate does not look at, may be in the same file under names of their own.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::container::{self, FileError, Tensor, Tensors, Values};
use crate::model::{VECTORS, checked_catalogue};
use crate::{
    Answers, BatchError, Device, Features, Form, Inputs, Model, ModelConfig, Parameters, Spec,
};

/// What the items of a model are called in the log, and how often training met them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Vocabulary {
    /// The log's own id of each item.
    pub names: Vec<String>,
    /// Number of events of each item in training.
    pub counts: Vec<u64>,
}

/// A model file in memory.
#[derive(Debug, Clone)]
pub struct ModelFile {
    config: ModelConfig,
    features: Features,
    answers: Answers,
    vocabulary: Vocabulary,
    /// The weights in the order of the catalogue, as they lie in memory.
    weights: Vec<Vec<f32>>,
    /// The given vectors of items, row after row; empty where the model sees none.
    vectors: Vec<f32>,
    extra: Tensors,
}

#[derive(Serialize, Deserialize)]
struct Header {
    kind: String,
    version: u32,
    model: ModelConfig,
    #[serde(default, skip_serializing_if = "Features::is_empty")]
    features: Features,
    #[serde(default, skip_serializing_if = "Answers::is_next_item_alone")]
    answers: Answers,
}

const KIND: &str = "model";
/// Without features and other answers than the next item, with features, with other answers: a program
/// that knows the first alone would answer without them.
const VERSIONS: [u32; 3] = [1, 2, 3];
const OURS: [&str; 11] = [
    "answers.",
    "embedding.",
    "lstm.",
    "gru.",
    "rnn.",
    "readout.",
    "head.",
    "output.",
    "repeat.",
    "features.",
    "vocabulary.",
];

impl ModelFile {
    /// Writes a model with its vocabulary and `extra` tensors: whole, or not at all. The same model
    /// gives the same bytes.
    ///
    /// # Errors
    ///
    /// [`FileError`] where the file cannot be written, the vocabulary is not the model's, or an
    /// extra tensor takes a name or a shape that cannot be.
    pub fn save<D: Device>(
        path: &Path,
        model: &Model<D>,
        vocabulary: &Vocabulary,
        extra: &Tensors,
    ) -> Result<(), FileError> {
        let (names, counts) = (vocabulary.names.len(), vocabulary.counts.len());
        if (names, counts) != (model.items(), model.items()) {
            let items = model.items();
            let problem =
                format!("a model of {items} items, but {names} names and {counts} counts");
            return Err(FileError::new(path, problem));
        }
        let mut tensors = Tensors::new();
        for (name, tensor) in extra {
            if OURS.iter().any(|ours| name.starts_with(ours)) {
                let problem = format!("an extra tensor may not be called {name}");
                return Err(FileError::new(path, problem));
            }
            if tensor.shape.iter().product::<usize>() != tensor.values.len() {
                let (shape, values) = (&tensor.shape, tensor.values.len());
                let problem = format!("{name} is said to be {shape:?}, but has {values} values");
                return Err(FileError::new(path, problem));
            }
            tensors.insert(name.clone(), tensor.clone());
        }
        for (spec, weight) in model.catalogue().iter().zip(model.parameters().iter()) {
            tensors.extend(written(spec, model.device().download(weight)));
        }
        tensors.extend(written_vectors(path, model)?);
        write_vocabulary(vocabulary, &mut tensors);
        let (config, features) = (model.config().clone(), model.features().clone());
        let answers = model.answers().clone();
        let version = version(&features, &answers);
        let header = Header { kind: KIND.to_owned(), version, model: config, features, answers };
        let text = serde_json::to_string(&header).expect("a configuration is plain data");
        container::write(path, &tensors, &text)
    }

    /// Reads a model file and checks that it is whole.
    ///
    /// # Errors
    ///
    /// [`FileError`] says what is wrong with the file.
    pub fn load(path: &Path) -> Result<Self, FileError> {
        let (mut tensors, text) = container::read(path, "a Tidegate model")?;
        let header: Header = header(path, &text, KIND, &VERSIONS)?;
        if header.version != version(&header.features, &header.answers) {
            let problem =
                format!("is of version {}, which its features or answers belie", header.version);
            return Err(FileError::new(path, problem));
        }
        let vocabulary = read_vocabulary(path, &mut tensors)?;
        let (features, answers) = (header.features, header.answers);
        let inputs = Inputs { items: vocabulary.names.len(), features, answers };
        let catalogue = checked_catalogue(&header.model, &inputs)
            .map_err(|error| FileError::new(path, error.to_string()))?;
        let weights = catalogue.iter().map(|spec| read_weight(path, spec, &mut tensors));
        let weights = weights.collect::<Result<_, _>>()?;
        let vectors = read_vectors(path, &inputs, &mut tensors)?;
        let left = tensors.keys().find(|name| OURS.iter().any(|ours| name.starts_with(ours)));
        if let Some(name) = left {
            let problem = format!("{name} has no place in a model of this configuration");
            return Err(FileError::new(path, problem));
        }
        let Inputs { features, answers, .. } = inputs;
        let (config, extra) = (header.model, tensors);
        Ok(Self { config, features, answers, vocabulary, weights, vectors, extra })
    }

    /// What the model is made of.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// What the model sees of an event beside its item.
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// What it answers.
    pub fn answers(&self) -> &Answers {
        &self.answers
    }

    /// The items' own ids and counts.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// The tensors that are not the model's own.
    pub fn extra(&self) -> &Tensors {
        &self.extra
    }

    /// The weights, each as the catalogue's shape has it, row after row.
    pub(crate) fn parameters(&self) -> Parameters<&[f32]> {
        let mut weights = self.weights.iter();
        crate::catalogue(&self.config, self.inputs())
            .map(|_| weights.next().expect("one a tensor").as_slice())
    }

    /// The model, on a machine.
    pub fn model<D: Device>(&self, device: D) -> Model<D> {
        let mut weights = self.weights.iter();
        let parameters = crate::catalogue(&self.config, self.inputs()).map(|spec| {
            let mut matrix = D::Matrix::default();
            let values = weights.next().expect("one a tensor");
            device.upload(&mut matrix, spec.shape[0], spec.shape[1], values);
            matrix
        });
        let inputs = self.inputs();
        let model = Model::from_parameters(device, self.config.clone(), inputs, parameters);
        with_vectors(model, &self.vectors)
    }

    fn inputs(&self) -> Inputs {
        let (features, answers) = (self.features.clone(), self.answers.clone());
        Inputs { items: self.vocabulary.names.len(), features, answers }
    }
}

/// The version of a file of a model that sees and answers these.
fn version(features: &Features, answers: &Answers) -> u32 {
    match answers.is_next_item_alone() {
        true => VERSIONS[usize::from(!features.is_empty())],
        false => VERSIONS[2],
    }
}

/// Whether a header is that of a model file.
pub(crate) fn is_model(text: &str) -> bool {
    serde_json::from_str::<Any>(text).is_ok_and(|header| header.kind == KIND)
}

/// What every header says.
#[derive(Deserialize)]
struct Any {
    kind: String,
    version: u32,
}

/// Reads a header of a certain kind and of one of some versions.
pub(crate) fn header<H: for<'de> Deserialize<'de>>(
    path: &Path,
    text: &str,
    kind: &str,
    versions: &[u32],
) -> Result<H, FileError> {
    let error = |problem: String| FileError::new(path, problem);
    let any: Any = serde_json::from_str(text)
        .map_err(|reason| error(format!("its header cannot be understood: {reason}")))?;
    if any.kind != kind {
        return Err(error(format!("is a {}, not a {kind}", any.kind)));
    }
    if !versions.contains(&any.version) {
        let (found, read) = (any.version, versions.iter().map(u32::to_string).collect::<Vec<_>>());
        let problem =
            format!("is of version {found}; this program reads version {}", read.join(" and "));
        return Err(error(problem));
    }
    serde_json::from_str(text)
        .map_err(|reason| error(format!("its header cannot be understood: {reason}")))
}

/// The name of PyTorch's second bias beside our one.
pub(crate) fn second_bias(spec: &Spec) -> String {
    spec.name.replace("bias_ih", "bias_hh")
}

/// A weight as the file has it: one tensor, or two of a bias.
pub(crate) fn written(spec: &Spec, mut values: Vec<f32>) -> Vec<(String, Tensor)> {
    let [rows, columns] = spec.shape;
    let tensor = match spec.form {
        Form::Matrix => Tensor::matrix(rows, columns, values),
        Form::Vector => Tensor::vector(Values::F32(values)),
        Form::Transposed => Tensor::matrix(columns, rows, transposed(rows, columns, &values)),
        Form::Bias(cell) => {
            // The GRU's b_hn is the one part of the second bias that does not add to the first.
            let apart = values.split_off(columns / cell.biases() * cell.gates());
            let mut second = vec![0.0; values.len() - apart.len()];
            second.extend(apart);
            return vec![
                (spec.name.clone(), Tensor::vector(Values::F32(values))),
                (second_bias(spec), Tensor::vector(Values::F32(second))),
            ];
        }
    };
    vec![(spec.name.clone(), tensor)]
}

/// A weight as it lies in memory.
pub(crate) fn read_weight(
    path: &Path,
    spec: &Spec,
    tensors: &mut Tensors,
) -> Result<Vec<f32>, FileError> {
    let [rows, columns] = spec.shape;
    let mut take = |name: &str, shape: &[usize]| container::take_f32(path, tensors, name, shape);
    match spec.form {
        Form::Matrix => take(&spec.name, &[rows, columns]),
        Form::Vector => take(&spec.name, &[rows * columns]),
        Form::Transposed => Ok(transposed(columns, rows, &take(&spec.name, &[columns, rows])?)),
        Form::Bias(cell) => {
            let hidden = columns / cell.biases();
            let length = cell.gates() * hidden;
            let mut values = take(&spec.name, &[length])?;
            let second = take(&second_bias(spec), &[length])?;
            let (added, apart) = second.split_at(length - (columns - length));
            values.iter_mut().zip(added).for_each(|(value, second)| *value += second);
            if !values.iter().all(|value| value.is_finite()) {
                let problem = format!(
                    "{} and {} add up to a number that is not finite",
                    spec.name,
                    second_bias(spec)
                );
                return Err(FileError::new(path, problem));
            }
            values.extend(apart);
            Ok(values)
        }
    }
}

/// The given vectors of items as a file has them; nothing where the model sees none.
pub(crate) fn written_vectors<D: Device>(
    path: &Path,
    model: &Model<D>,
) -> Result<Option<(String, Tensor)>, FileError> {
    let (items, width) = (model.items(), model.features().vectors);
    match model.vectors() {
        None if width > 0 => Err(FileError::new(path, BatchError::Vectors.to_string())),
        None => Ok(None),
        Some(given) => {
            let tensor = Tensor::matrix(items, width, model.device().download(given));
            Ok(Some((VECTORS.to_owned(), tensor)))
        }
    }
}

/// The given vectors of items, row after row; none where a model of these inputs sees none.
pub(crate) fn read_vectors(
    path: &Path,
    inputs: &Inputs,
    tensors: &mut Tensors,
) -> Result<Vec<f32>, FileError> {
    match inputs.features.vectors {
        0 => Ok(Vec::new()),
        width => container::take_f32(path, tensors, VECTORS, &[inputs.items, width]),
    }
}

/// A model with the vectors that were read for it.
pub(crate) fn with_vectors<D: Device>(model: Model<D>, vectors: &[f32]) -> Model<D> {
    match vectors {
        [] => model,
        values => model.with_vectors(values).expect("as many as were read for it, and finite"),
    }
}

fn transposed(rows: usize, columns: usize, values: &[f32]) -> Vec<f32> {
    (0..columns)
        .flat_map(|column| (0..rows).map(move |row| values[row * columns + column]))
        .collect()
}

fn write_vocabulary(vocabulary: &Vocabulary, tensors: &mut Tensors) {
    let (mut text, mut offsets) = (Vec::new(), vec![0]);
    for name in &vocabulary.names {
        text.extend(name.as_bytes());
        offsets.push(text.len() as u64);
    }
    let mut insert = |name: &str, values| tensors.insert(name.to_owned(), Tensor::vector(values));
    insert("vocabulary.text", Values::U8(text));
    insert("vocabulary.offsets", Values::U64(offsets));
    insert("vocabulary.counts", Values::U64(vocabulary.counts.clone()));
}

fn read_vocabulary(path: &Path, tensors: &mut Tensors) -> Result<Vocabulary, FileError> {
    let damaged = || FileError::new(path, "its vocabulary is damaged; train the model anew");
    let mut vector = |name: &str| {
        let shape = tensors.get(name).map_or(Vec::new(), |tensor| vec![tensor.values.len()]);
        container::take(path, tensors, name, &shape)
    };
    let Values::U8(text) = vector("vocabulary.text")? else { return Err(damaged()) };
    let Values::U64(offsets) = vector("vocabulary.offsets")? else { return Err(damaged()) };
    let Values::U64(counts) = vector("vocabulary.counts")? else { return Err(damaged()) };
    let whole = offsets.first() == Some(&0) && offsets.last() == Some(&(text.len() as u64));
    if !whole || offsets.len() != counts.len() + 1 {
        return Err(damaged());
    }
    let name = |ends: &[u64]| {
        let bytes = text.get(ends[0] as usize..ends[1] as usize)?;
        String::from_utf8(bytes.to_vec()).ok()
    };
    let names: Option<_> = offsets.windows(2).map(name).collect();
    Ok(Vocabulary { names: names.ok_or_else(damaged)?, counts })
}
