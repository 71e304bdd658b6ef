//! What can be in the way of a model that leaves for another program.

use crate::{Answers, Features, InitialState, ModelConfig, Readout};

/// A model that cannot be written in the format of others.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The format has nothing that computes such a cell.
    #[error("model.cell: {cell} cannot be written for {format}: {problem}; {remedy}")]
    Cell {
        /// The cell, as `--cell` calls it.
        cell: &'static str,
        /// The format.
        format: &'static str,
        /// What it lacks.
        problem: &'static str,
        /// What would do instead.
        remedy: &'static str,
    },
    /// The format, as we write it, has nothing for a shape that a model may have.
    #[error(
        "model.{key}: {problem} cannot be written for {format} yet; model.safetensors of the model's \
         folder has all its tensors, and {remedy} trains a model that can be written"
    )]
    Shape {
        /// The key that asks for it.
        key: &'static str,
        /// What it asks for.
        problem: &'static str,
        /// The format.
        format: &'static str,
        /// Which value of the key would do.
        remedy: &'static str,
    },
    /// The format, as we write it, has items and nothing else of an event.
    #[error(
        "a model that sees {names} of each event cannot be written for {format} yet; \
         model.safetensors of the model's folder has all its tensors, and training without features \
         makes a model that can be written"
    )]
    Features {
        /// What they are called.
        names: String,
        /// The format.
        format: &'static str,
    },
    /// The format, as we write it, has the next item and no other answer.
    #[error(
        "a model that answers {names} cannot be written for {format} yet; model.safetensors of the \
         model's folder has all its tensors, and training for next-item alone makes a model that can be \
         written"
    )]
    Answers {
        /// What they are called.
        names: String,
        /// The format.
        format: &'static str,
    },
    /// A protobuf message ends before 2 GiB.
    #[error(
        "as ONNX the model would be {:.1} GB or more, and a file of that format holds 2.1 GB at \
         most: export it as safetensors, or train with fewer items (--min-support) or a narrower \
         --embedding and --hidden",
        *bytes as f64 / 1e9
    )]
    TooLarge {
        /// How far the counting came.
        bytes: u64,
    },
    /// The items' ids do not fit into the header of a safetensors file.
    #[error(
        "the items' ids take {:.0} MB and the header of a safetensors file holds 100 MB: put them \
         into a file of their own with --items FILE",
        *bytes as f64 / 1e6
    )]
    Header {
        /// What the header would take.
        bytes: usize,
    },
}

/// Refuses shapes that no module of PyTorch has, so that nobody gets a file that answers otherwise.
pub(crate) fn check_shapes(config: &ModelConfig, format: &'static str) -> Result<(), ExportError> {
    let refuse = |key, problem, remedy| Err(ExportError::Shape { key, problem, format, remedy });
    if config.residual {
        return refuse("residual", "a path around a layer", "residual = false");
    }
    if config.initial_state == InitialState::Learned {
        return refuse("initial_state", "a learned start", "initial_state = \"zero\"");
    }
    if matches!(config.readout, Readout::Mean | Readout::Max) {
        return refuse("readout", "a pooled readout", "readout = \"last\" or \"attention\"");
    }
    if !config.head.is_empty() {
        return refuse("head", "a head of dense layers", "head = []");
    }
    check_zoneout(config, format)
}

/// Refuses a learned start of a layer with a projection: ONNX has no such cell, and the one that stands
/// in for it starts from the state before its projection.
pub(crate) fn check_starts(config: &ModelConfig) -> Result<(), ExportError> {
    if config.initial_state == InitialState::Learned && config.dims(0).projection.is_some() {
        let (key, problem) = ("initial_state", "a learned start of a projected state");
        let remedy = "initial_state = \"zero\", or a cell without a projection";
        return Err(ExportError::Shape { key, problem, format: "ONNX", remedy });
    }
    Ok(())
}

/// Refuses zoneout, which no format of ours writes.
pub(crate) fn check_zoneout(config: &ModelConfig, format: &'static str) -> Result<(), ExportError> {
    let refuse = |key, problem, remedy| Err(ExportError::Shape { key, problem, format, remedy });
    // Not of training alone: answers go on with the mean of the old state and the new.
    for (key, rate) in [
        ("dropout.zoneout_c", config.dropout.zoneout_c),
        ("dropout.zoneout_h", config.dropout.zoneout_h),
    ] {
        if rate > 0.0 {
            return refuse(key, "zoneout", "a rate of 0");
        }
    }
    Ok(())
}

/// Refuses a model that answers anything but the next item.
pub(crate) fn check_answers(answers: &Answers, format: &'static str) -> Result<(), ExportError> {
    if answers.is_next_item_alone() {
        return Ok(());
    }
    let names = answers.answers.iter().map(|answer| answer.name.as_str()).collect::<Vec<_>>();
    Err(ExportError::Answers { names: names.join(", "), format })
}

/// Refuses a model that sees more of an event than its item.
pub(crate) fn check_features(features: &Features, format: &'static str) -> Result<(), ExportError> {
    match features.is_empty() {
        true => Ok(()),
        false => {
            let vectors = (features.vectors > 0).then_some("vectors of items");
            let names = features.names().chain(vectors).collect::<Vec<_>>().join(", ");
            Err(ExportError::Features { names, format })
        }
    }
}

/// Refuses layers of different widths, which no module of PyTorch has.
pub(crate) fn check_widths(config: &ModelConfig, format: &'static str) -> Result<(), ExportError> {
    if config.widths.iter().any(|&width| width != config.widths[0]) {
        let (key, problem, remedy) = ("widths", "a stack of different widths", "one width for all");
        return Err(ExportError::Shape { key, problem, format, remedy });
    }
    Ok(())
}
