//! What names and shapes tell of a model that does not tell it itself.
//!
//! A plain module of PyTorch normalises nothing, so vectors enter and are compared as they are:
//! `input_scale` and `temperature` are 0 unless a settings file says otherwise.

use layout::Cell;

use super::names::beginnings;
use super::read::StateDict;
use crate::config::MOST_LAYERS;
use crate::{CellKind, Dropout, FileError, Input, ModelConfig, Output, Readout};

const FAMILIES: [(&str, Cell); 3] = [("lstm", Cell::Lstm), ("gru", Cell::Gru), ("rnn", Cell::Rnn)];

/// The configuration whose catalogue these tensors could be. That they are is checked later, tensor by
/// tensor; here sizes are taken from one place each.
pub(super) fn config(dict: &StateDict) -> Result<ModelConfig, FileError> {
    let error = |problem: String| FileError::new(&dict.path, problem);
    let (family, cell) = family(dict).map_err(error)?;
    let named = |name: &str, l: usize| format!("{family}.{name}_l{l}");
    let matrix = |name: String| match dict.shape(&name) {
        Some(&[rows, columns]) => Ok([rows, columns]),
        Some(shape) => Err(error(format!("{name} should be a matrix, found {shape:?}"))),
        None => {
            Err(error(format!("{name} is missing; --rename OLD=NEW gives names another beginning")))
        }
    };
    let [rows, state] = matrix(named("weight_hh", 0))?;
    if rows == 0 || rows % cell.gates() != 0 {
        let (gates, name) = (cell.gates(), named("weight_hh", 0));
        let problem = format!("{name} has {rows} rows, which are not {gates} blocks of one size");
        return Err(error(format!("{problem}; is it another cell? --rename rnn=lstm, say")));
    }
    let hidden = rows / cell.gates();
    let projects = dict.shape(&named("weight_hr", 0)).is_some();
    let layers = layers(dict, family);

    let table = dict.shape("embedding.weight");
    let (input, embedding) = match table {
        Some(&[_, width]) => (Input::Embedding, width),
        Some(shape) => {
            return Err(error(format!("embedding.weight should be a matrix, found {shape:?}")));
        }
        None => (Input::OneHot, ModelConfig::default().embedding),
    };
    let attends = dict.shape("readout.query.weight").is_some();
    let length = |name: &str| dict.shape(name).and_then(|shape| shape.first()).copied();
    let tied = table.is_some()
        && (dict.shape("output.weight").is_none()
            || dict.same("embedding.weight", "output.weight"));
    let plain = ModelConfig::default();
    Ok(ModelConfig {
        input,
        embedding,
        input_scale: 0.0,
        cell: CellKind { cell, projection: projects },
        hidden,
        projection: if projects { state } else { 0 },
        layers,
        readout: if attends { Readout::Attention } else { Readout::Last },
        attention_key: length("readout.query.weight").unwrap_or(plain.attention_key),
        attention_lags: length("readout.lag_bias").unwrap_or(plain.attention_lags),
        output: if tied { Output::Tied } else { Output::Free },
        output_bias: dict.shape("output.bias").is_some(),
        temperature: 0.0,
        repeat_lags: length("repeat.bias").unwrap_or(0),
        dropout: Dropout::default(),
        ..plain
    })
}

/// How many layers the names tell of: as many as the highest with a tensor. Which of its tensors are missing
/// is said later.
fn layers(dict: &StateDict, family: &str) -> usize {
    let layer = |name: &String| {
        let name = name.strip_prefix(family)?.strip_prefix('.')?;
        let (_, number) = name.strip_suffix("_reverse").unwrap_or(name).rsplit_once("_l")?;
        number.parse::<usize>().ok().filter(|&l| l < MOST_LAYERS)
    };
    dict.tensors.keys().filter_map(layer).max().map_or(1, |highest| highest + 1)
}

/// What the recurrent layers are called, and so which cell they have.
fn family(dict: &StateDict) -> Result<(&'static str, Cell), String> {
    let is_there = |(family, _): &&(&str, Cell)| {
        dict.tensors
            .keys()
            .any(|name| name.strip_prefix(family).is_some_and(|n| n.starts_with('.')))
    };
    let mut found = FAMILIES.iter().filter(is_there);
    match (found.next(), found.next()) {
        (Some(&family), None) => Ok(family),
        (Some((one, _)), Some((other, _))) => {
            Err(format!("has both {one}.* and {other}.*; a model has one kind of layer"))
        }
        (None, _) => {
            let names = beginnings(dict.tensors.values().map(|(found, _)| found.as_str()));
            let remedy = match dict.shape("weight_hh_l0") {
                Some(_) => {
                    "save the module that holds the layer, so that names begin with the layer's"
                }
                None => {
                    "--rename OLD=NEW, such as rnn=lstm,fc=output, gives names another beginning"
                }
            };
            Err(format!("has no lstm.*, gru.* or rnn.* tensors; there are {names}; {remedy}"))
        }
    }
}
