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
