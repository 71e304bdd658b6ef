//! Checkpoints: everything from which a training run goes on as if it had never stopped.
//!
//! The weights lie in the file as they lie in memory, one bias per layer, since even adding a zero
//! could change the sign of another zero. What the optimiser remembers, averages and the number of
//! steps stand beside them; the caller adds its own state as a text.

use std::path::Path;

use layout::OptimizerState;
use serde::{Deserialize, Serialize};

use crate::container::{self, FileError, Tensor, Tensors};
use crate::file::{header, read_vectors, with_vectors, written_vectors};
use crate::model::checked_catalogue;
use crate::optimizer::Optimizer;
use crate::{
    Answers, Device, Features, Inputs, Model, ModelConfig, OptimizerConfig, Parameters, Spec,
    Trainer,
};

#[derive(Serialize, Deserialize)]
struct Header {
    kind: String,
    version: u32,
    model: ModelConfig,
    items: usize,
    #[serde(default, skip_serializing_if = "Features::is_empty")]
    features: Features,
    #[serde(default, skip_serializing_if = "Answers::is_next_item_alone")]
    answers: Answers,
    optimizer: OptimizerConfig,
    seed: u64,
    steps: u64,
    averaged: u64,
    state: String,
}

const KIND: &str = "checkpoint";
/// 1 had `adam_m/` and `adam_v/`, and no other optimiser.
const VERSION: u32 = 2;

const WEIGHTS: &str = "weight/";
const STATE: OptimizerState<&str> =
    OptimizerState { m: "optimizer_m/", v: "optimizer_v/", b: "optimizer_b/" };
const AVERAGES: &str = "average/";

impl<D: Device> Trainer<D> {
    /// Writes a checkpoint, whole or not at all; `state` is the caller's own.
    ///
    /// # Errors
    ///
    /// [`FileError`] where the file cannot be written.
    pub fn save(&self, path: &Path, state: &str) -> Result<(), FileError> {
        let Self { model, optimizer, seed, .. } = self;
        let mut tensors = Tensors::new();
        let mut insert = |prefix: &str, spec: &Spec, value: &D::Matrix| {
            let [rows, columns] = spec.shape;
            let tensor = Tensor::matrix(rows, columns, model.device().download(value));
            tensors.insert(format!("{prefix}{}", spec.name), tensor);
        };
        let keeps = optimizer.config.keeps();
        let weights = model.parameters().iter().zip(optimizer.state.iter());
        for (spec, (weight, state)) in model.catalogue().iter().zip(weights) {
            insert(WEIGHTS, spec, weight);
            for ((kept, prefix), part) in keeps.zip(STATE).zip(state.as_ref()).into_array() {
                if kept {
                    insert(prefix, spec, part);
                }
            }
        }
        if let Some(mean) = &optimizer.mean {
            model
                .catalogue()
                .iter()
                .zip(mean.iter())
                .for_each(|(s, mean)| insert(AVERAGES, s, mean));
        }
        tensors.extend(written_vectors(path, model)?);
        let header = Header {
            kind: KIND.to_owned(),
            version: VERSION,
            model: model.config().clone(),
            items: model.items(),
            features: model.features().clone(),
            answers: model.answers().clone(),
            optimizer: optimizer.config,
            seed: *seed,
            steps: optimizer.steps,
            averaged: optimizer.averaged,
            state: state.to_owned(),
        };
        let text = serde_json::to_string(&header).expect("a configuration is plain data");
        container::write(path, &tensors, &text)
    }

    /// Reads a checkpoint back: the trainer as it was, and the caller's own state.
    ///
    /// # Errors
    ///
    /// [`FileError`] says what is wrong with the file.
    pub fn load(path: &Path, device: D) -> Result<(Self, String), FileError> {
        let (mut tensors, text) = container::read(path, "a Tidegate checkpoint")?;
        let header: Header = header(path, &text, KIND, &[VERSION])?;
        let refused = |error: crate::ConfigError| FileError::new(path, error.to_string());
        let Header { items, features, answers, .. } = header;
        let inputs = Inputs { items, features, answers };
        let catalogue = checked_catalogue(&header.model, &inputs).map_err(refused)?;
        header.optimizer.validate().map_err(refused)?;
        let mut read = |prefix: &str, spec: &Spec| {
            read_matrix(path, &mut tensors, &format!("{prefix}{}", spec.name), spec, &device)
        };
        let parameters = each(&catalogue, |spec| read(WEIGHTS, spec))?;
        let kept_parts = header.optimizer.keeps().zip(STATE);
        let state = each(&catalogue, |spec| {
            let part =
                |(kept, prefix)| if kept { read(prefix, spec) } else { Ok(D::Matrix::default()) };
            let OptimizerState { m, v, b } = kept_parts.map(part);
            Ok(OptimizerState { m: m?, v: v?, b: b? })
        })?;
        let averages = || each(&catalogue, |spec| read(AVERAGES, spec));
        let optimizer = Optimizer {
            config: header.optimizer,
            state,
            steps: header.steps,
            mean: (header.averaged > 0).then(averages).transpose()?,
            averaged: header.averaged,
        };
        let vectors = read_vectors(path, &inputs, &mut tensors)?;
        if let Some(name) = tensors.keys().next() {
            return Err(FileError::new(path, format!("{name} has no place in this checkpoint")));
        }
        let model = Model::from_parameters(device, header.model, inputs, parameters);
        let model = with_vectors(model, &vectors);
        Ok((Self::from_parts(model, optimizer, header.seed), header.state))
    }
}

/// Something for each tensor of the catalogue, or the first error.
fn each<T: Default>(
    catalogue: &Parameters<Spec>,
    mut read: impl FnMut(&Spec) -> Result<T, FileError>,
) -> Result<Parameters<T>, FileError> {
    let mut problem = None;
    let values = catalogue.as_ref().map(|spec| {
        read(spec).unwrap_or_else(|error| {
            problem.get_or_insert(error);
            T::default()
        })
    });
    problem.map_or(Ok(values), Err)
}

fn read_matrix<D: Device>(
    path: &Path,
    tensors: &mut Tensors,
    name: &str,
    spec: &Spec,
    device: &D,
) -> Result<D::Matrix, FileError> {
    let values = container::take_f32(path, tensors, name, &spec.shape)?;
    let mut matrix = D::Matrix::default();
    device.upload(&mut matrix, spec.shape[0], spec.shape[1], &values);
    Ok(matrix)
}
