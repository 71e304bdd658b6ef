//! What can be in the way of a model that leaves for another program.

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
    /// The format has no zoneout: the weights alone compute other answers.
    #[error(
        "model.dropout.{key}: a model with zoneout cannot be written for {format}, which keeps no part \
         of an old state; set it to 0 and train again"
    )]
    Zoneout {
        /// The key that is not 0.
        key: &'static str,
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

impl ExportError {
    /// Refuses a model whose answers are not those of its weights alone.
    pub(crate) fn check(config: &crate::ModelConfig, format: &'static str) -> Result<(), Self> {
        let rates = &config.dropout;
        for (key, rate) in [("zoneout_c", rates.zoneout_c), ("zoneout_h", rates.zoneout_h)] {
            if rate > 0.0 {
                return Err(Self::Zoneout { key, format });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dropout, ModelConfig};

    #[test]
    fn a_model_with_zoneout_stays_here() {
        let config = |dropout| ModelConfig { dropout, ..ModelConfig::default() };
        let masks = Dropout { weights: 0.5, recurrent: 0.5, ..Dropout::default() };
        assert!(ExportError::check(&config(masks), "ONNX").is_ok());
        for (key, dropout) in [
            ("zoneout_c", Dropout { zoneout_c: 0.1, ..Dropout::default() }),
            ("zoneout_h", Dropout { zoneout_h: 0.1, ..Dropout::default() }),
        ] {
            let error = ExportError::check(&config(dropout), "ONNX").unwrap_err();
            assert!(error.to_string().contains(key), "{error}");
        }
    }
}
