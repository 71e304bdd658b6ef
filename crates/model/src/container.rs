//! One safetensors file: named tensors and one text, written whole or not at all.
//!
//! The same tensors give the same bytes: safetensors sorts tensors by type and name, and the header
//! carries a single text (its map of texts has no order, so a second one could trade places).
//! Reading trusts nothing: the header's sizes are checked against the file before any is used.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensorError, View};
use safetensors::{SafeTensors, serialize};

/// The numbers of a tensor.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Single precision.
    F32(Vec<f32>),
    /// 64 bits without sign.
    U64(Vec<u64>),
    /// 32 bits without sign.
    U32(Vec<u32>),
    /// Bytes: text, say.
    U8(Vec<u8>),
}

impl Values {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::U64(values) => values.len(),
            Self::U32(values) => values.len(),
            Self::U8(values) => values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A tensor of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Its sizes; their product is the number of values.
    pub shape: Vec<usize>,
    /// Its values, last index fastest.
    pub values: Values,
}

impl Tensor {
    /// A tensor of one dimension.
    pub fn vector(values: Values) -> Self {
        Self { shape: vec![values.len()], values }
    }

    /// A tensor of two dimensions.
    pub(crate) fn matrix(rows: usize, columns: usize, values: Vec<f32>) -> Self {
        Self { shape: vec![rows, columns], values: Values::F32(values) }
    }
}

/// Tensors by name.
pub type Tensors = BTreeMap<String, Tensor>;

/// A file that cannot be written, read or understood.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct FileError {
    /// Which file.
    pub path: PathBuf,
    /// What is wrong with it, and what to do.
    pub problem: String,
}

impl FileError {
    pub(crate) fn new(path: &Path, problem: impl Into<String>) -> Self {
        Self { path: path.to_owned(), problem: problem.into() }
    }
}

/// The header's one key.
pub(crate) const TEXT: &str = "tidegate";

/// Tensors and a text as the bytes of a file.
pub(crate) fn bytes(tensors: &Tensors, text: &str) -> Result<Vec<u8>, SafeTensorError> {
    let text = HashMap::from([(TEXT.to_owned(), text.to_owned())]);
    serialize(tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)), Some(text))
}

/// Writes tensors and a text under a temporary name, has them reach the disk, and renames.
pub(crate) fn write(path: &Path, tensors: &Tensors, text: &str) -> Result<(), FileError> {
    let bytes = bytes(tensors, text).map_err(|error| FileError::new(path, error.to_string()))?;
    let write = || {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&bytes)?;
        set_usual_permissions(&file)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        sync_folder(folder)
    };
    write().map_err(|error: std::io::Error| {
        FileError::new(path, format!("cannot be written: {error}"))
    })
}

/// A temporary file is private to its owner; a model is a file like any other.
#[cfg(unix)]
fn set_usual_permissions(file: &tempfile::NamedTempFile) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn set_usual_permissions(_: &tempfile::NamedTempFile) -> std::io::Result<()> {
    Ok(())
}

/// The new name of a file is safe once its folder is.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    std::fs::File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> std::io::Result<()> {
    Ok(())
}

/// Reads what [`write()`] has written; `kind` names what was hoped for.
pub(crate) fn read(path: &Path, kind: &str) -> Result<(Tensors, String), FileError> {
    let error = |problem: String| FileError::new(path, problem);
    let bytes = std::fs::read(path).map_err(|reason| error(format!("cannot be read: {reason}")))?;
    let damaged = |reason: SafeTensorError| {
        error(format!("is not a whole safetensors file ({reason}); write {kind} anew"))
    };
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(damaged)?;
    let text = header.metadata().as_ref().and_then(|texts| texts.get(TEXT)).cloned();
    let text = text.ok_or_else(|| {
        error(format!("is a safetensors file, but not {kind}: its header has no \"{TEXT}\""))
    })?;
    let file = SafeTensors::deserialize(&bytes).map_err(damaged)?;
    let mut tensors = Tensors::new();
    for (name, view) in file.iter() {
        let data = View::data(&view);
        let values = match view.dtype() {
            Dtype::F32 => Values::F32(numbers(&data, f32::from_le_bytes)),
            Dtype::U64 => Values::U64(numbers(&data, u64::from_le_bytes)),
            Dtype::U32 => Values::U32(numbers(&data, u32::from_le_bytes)),
            Dtype::U8 => Values::U8(data.to_vec()),
            other => {
                return Err(error(format!(
                    "{name} is of type {other}; F32, U64, U32, U8 are read"
                )));
            }
        };
        tensors.insert(name.to_owned(), Tensor { shape: view.shape().to_vec(), values });
    }
    Ok((tensors, text))
}

fn numbers<const K: usize, N>(bytes: &[u8], number: fn([u8; K]) -> N) -> Vec<N> {
    bytes.as_chunks().0.iter().map(|&bytes| number(bytes)).collect()
}

impl View for &Tensor {
    fn dtype(&self) -> Dtype {
        match self.values {
            Values::F32(_) => Dtype::F32,
            Values::U64(_) => Dtype::U64,
            Values::U32(_) => Dtype::U32,
            Values::U8(_) => Dtype::U8,
        }
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        match &self.values {
            Values::F32(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Values::U64(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Values::U32(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Values::U8(values) => values.into(),
        }
    }

    fn data_len(&self) -> usize {
        let width = match self.values {
            Values::U64(_) => 8,
            Values::F32(_) | Values::U32(_) => 4,
            Values::U8(_) => 1,
        };
        width * self.values.len()
    }
}

/// Takes a tensor of numbers out of a file, if it has the shape that is due.
pub(crate) fn take_f32(
    path: &Path,
    tensors: &mut Tensors,
    name: &str,
    shape: &[usize],
) -> Result<Vec<f32>, FileError> {
    match take(path, tensors, name, shape)? {
        Values::F32(values) => match values.iter().all(|value| value.is_finite()) {
            true => Ok(values),
            false => Err(FileError::new(path, format!("{name} holds a number that is not finite"))),
        },
        _ => Err(FileError::new(path, format!("{name} should hold numbers of type F32"))),
    }
}

/// Takes a tensor out of a file, if it has the shape that is due.
pub(crate) fn take(
    path: &Path,
    tensors: &mut Tensors,
    name: &str,
    shape: &[usize],
) -> Result<Values, FileError> {
    let tensor = tensors
        .remove(name)
        .ok_or_else(|| FileError::new(path, format!("{name} is missing; the file is not whole")))?;
    if tensor.shape != shape {
        let problem = format!("{name} should be {shape:?}, found {:?}", tensor.shape);
        return Err(FileError::new(path, problem));
    }
    Ok(tensor.values)
}
