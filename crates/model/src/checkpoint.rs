//! Checkpoints: everything from which a training run goes on as if it had never stopped.
//!
//! The weights lie in the file as they lie in memory, one bias per layer, since even adding a zero
//! could change the sign of another zero. Moments, averages and the number of steps stand beside
//! them; the caller adds its own state as a text.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::container::{self, FileError, Tensor, Tensors};
use crate::file::header;
use crate::model::checked_catalogue;
use crate::optimizer::Optimizer;
use crate::{Device, Model, ModelConfig, OptimizerConfig, Parameters, Spec, Trainer};

#[derive(Serialize, Deserialize)]
struct Header {
    kind: String,
    version: u32,
    model: ModelConfig,
    items: usize,
    optimizer: OptimizerConfig,
    seed: u64,
    steps: u64,
    averaged: u64,
    state: String,
}

const KIND: &str = "checkpoint";
const VERSION: u32 = 1;

const WEIGHTS: &str = "weight/";
const MEANS: &str = "adam_m/";
const SQUARES: &str = "adam_v/";
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
        let mut insert = |prefix: &str, values: &Parameters<D::Matrix>| {
            for (spec, value) in model.catalogue().iter().zip(values.iter()) {
                let [rows, columns] = spec.shape;
                let tensor = Tensor::matrix(rows, columns, model.device().download(value));
                tensors.insert(format!("{prefix}{}", spec.name), tensor);
            }
        };
        insert(WEIGHTS, model.parameters());
        insert(MEANS, &optimizer.m);
        insert(SQUARES, &optimizer.v);
        if let Some(mean) = &optimizer.mean {
            insert(AVERAGES, mean);
        }
        let header = Header {
            kind: KIND.to_owned(),
            version: VERSION,
            model: model.config().clone(),
            items: model.items(),
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
        let header: Header = header(path, &text, KIND, VERSION)?;
        let refused = |error: crate::ConfigError| FileError::new(path, error.to_string());
        let catalogue = checked_catalogue(&header.model, header.items).map_err(refused)?;
        header.optimizer.validate().map_err(refused)?;
        let mut all = |prefix| read_all(path, &mut tensors, prefix, &catalogue, &device);
        let parameters = all(WEIGHTS)?;
        let optimizer = Optimizer {
            config: header.optimizer,
            m: all(MEANS)?,
            v: all(SQUARES)?,
            steps: header.steps,
            mean: (header.averaged > 0).then(|| all(AVERAGES)).transpose()?,
            averaged: header.averaged,
        };
        if let Some(name) = tensors.keys().next() {
            return Err(FileError::new(path, format!("{name} has no place in this checkpoint")));
        }
        let model = Model::from_parameters(device, header.model, header.items, parameters);
        Ok((Self::from_parts(model, optimizer, header.seed), header.state))
    }
}

fn read_all<D: Device>(
    path: &Path,
    tensors: &mut Tensors,
    prefix: &str,
    catalogue: &Parameters<Spec>,
    device: &D,
) -> Result<Parameters<D::Matrix>, FileError> {
    let mut problem = None;
    let values = catalogue.as_ref().map(|spec| {
        let mut matrix = D::Matrix::default();
        let name = format!("{prefix}{}", spec.name);
        match container::take_f32(path, tensors, &name, &spec.shape) {
            Ok(values) => device.upload(&mut matrix, spec.shape[0], spec.shape[1], &values),
            Err(error) => problem = problem.take().or(Some(error)),
        }
        matrix
    });
    problem.map_or(Ok(values), Err)
}
