//! The golden files of `tests/golden/`, made by PyTorch and `make_golden.py` beside them.
//!
//! Each case comes as **inputs** and an **outcome**. A machine under test makes an outcome from the
//! inputs and lets it compare itself; so one test body serves every machine, and every precision.

mod learning;
mod recurrent;

pub use learning::{LossGolden, OptimizerConstants, OptimizerGolden};
pub use recurrent::{LayerGrads, LayerInputs, RecurrentGolden, RecurrentInputs, RecurrentOutcome};

use std::path::Path;

use layout::{Adam, OptimizerStep, UpdateRule};
use ndarray::{Array2, NdFloat};
use safetensors::{Dtype, SafeTensors};

use crate::{Tolerance, tolerance};

/// The two precisions in which every case was computed.
pub trait Precision: NdFloat + Default + Into<f64> {
    /// What the tensors of this precision are called.
    const NAME: &'static str;
    /// How closely PyTorch is to be met.
    const GOLDEN: Tolerance;
    /// Reads numbers as they lie in a file.
    fn read(dtype: Dtype, bytes: &[u8]) -> Vec<Self>;
}

impl Precision for f32 {
    const NAME: &'static str = "f32";
    const GOLDEN: Tolerance = tolerance::GOLDEN_F32;

    fn read(dtype: Dtype, bytes: &[u8]) -> Vec<Self> {
        assert_eq!(dtype, Dtype::F32);
        bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
    }
}

impl Precision for f64 {
    const NAME: &'static str = "f64";
    const GOLDEN: Tolerance = tolerance::GOLDEN_F64;

    fn read(dtype: Dtype, bytes: &[u8]) -> Vec<Self> {
        assert_eq!(dtype, Dtype::F64);
        bytes.as_chunks().0.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect()
    }
}

/// One golden file in memory.
#[derive(Debug)]
pub struct Golden {
    name: String,
    bytes: Vec<u8>,
}

impl Golden {
    /// Reads `tests/golden/<name>.safetensors`.
    ///
    /// # Panics
    ///
    /// Where the file is missing: it is part of the repository.
    pub fn open(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
        let path = folder.join(format!("{name}.safetensors"));
        let bytes = std::fs::read(&path).unwrap_or_else(|error| {
            panic!("{}: {error}; a script beside it makes it", path.display())
        });
        Self { name: name.to_owned(), bytes }
    }

    /// What the file says of its origin: script, version of PyTorch, seed.
    pub fn made_by(&self) -> String {
        let (_, metadata) = SafeTensors::read_metadata(&self.bytes).expect("a safetensors file");
        let entries = metadata.metadata().as_ref().expect("metadata");
        entries["made_by"].clone()
    }

    /// A tensor as a matrix: a vector becomes one row.
    pub fn matrix<S: Precision>(&self, key: &str) -> Array2<S> {
        let key = format!("{}.{key}", S::NAME);
        let (dtype, shape, bytes) = self.tensor(&key);
        let shape = match shape[..] {
            [columns] => (1, columns),
            [rows, columns] => (rows, columns),
            _ => panic!("{}: {key} is {shape:?}, not a matrix", self.name),
        };
        Array2::from_shape_vec(shape, S::read(dtype, bytes)).expect("as many entries as it says")
    }

    /// Whole numbers that are not negative: ids, lengths.
    pub fn integers<I: TryFrom<i64>>(&self, key: &str) -> Vec<I> {
        let (dtype, _, bytes) = self.tensor(key);
        assert_eq!(dtype, Dtype::I64);
        let integer = |&bytes| I::try_from(i64::from_le_bytes(bytes)).ok().expect("in range");
        bytes.as_chunks().0.iter().map(integer).collect()
    }

    fn tensor(&self, key: &str) -> (Dtype, Vec<usize>, &[u8]) {
        let file = SafeTensors::deserialize(&self.bytes).expect("a safetensors file");
        let tensor = file.tensor(key).unwrap_or_else(|e| panic!("{}: {key}: {e}", self.name));
        (tensor.dtype(), tensor.shape().to_vec(), tensor.data())
    }
}

/// A softmax over C columns for N positions.
#[derive(Debug)]
pub struct CrossEntropyGolden<S> {
    /// `[N]`.
    pub target: Vec<u32>,
    /// What each position counts, `[N]`.
    pub weight: Vec<f32>,
    /// Spread evenly over all columns.
    pub smoothing: f32,
    /// `[N, E]`.
    pub q: Array2<S>,
    /// `[C, E]`.
    pub table: Array2<S>,
    /// `[1, C]`.
    pub column_bias: Array2<S>,
    /// Weighted mean over the positions.
    pub loss: f64,
    /// `[N, E]`.
    pub dq: Array2<S>,
    /// `[C, E]`.
    pub dtable: Array2<S>,
    /// `[1, C]`.
    pub dcolumn_bias: Array2<S>,
}

impl<S: Precision> CrossEntropyGolden<S> {
    /// Reads the case `plain` or `smooth`.
    pub fn open(case: &str) -> Self {
        let file = Golden::open("cross_entropy");
        let of = |key: &str| file.matrix::<S>(&format!("{case}.{key}"));
        Self {
            target: file.integers("target"),
            weight: of("weight").iter().map(|&weight| single(weight)).collect(),
            smoothing: single(of("smoothing")[[0, 0]]),
            q: of("q"),
            table: of("table"),
            column_bias: of("column_bias"),
            loss: of("loss")[[0, 0]].into(),
            dq: of("dq"),
            dtable: of("dtable"),
            dcolumn_bias: of("dcolumn_bias"),
        }
    }
}

/// The constants of an Adam that PyTorch has run.
#[derive(Debug, Clone, Copy)]
struct AdamConstants {
    beta_1: f32,
    beta_2: f32,
    learning_rate: f32,
    epsilon: f32,
    decay: f32,
    decoupled: bool,
}

impl AdamConstants {
    fn new<S: Precision>(values: &Array2<S>, decoupled: bool) -> Self {
        let [beta_1, beta_2, learning_rate, epsilon, decay] =
            [0, 1, 2, 3, 4].map(|k| single(values[[0, k]]));
        Self { beta_1, beta_2, learning_rate, epsilon, decay, decoupled }
    }

    /// Step number `t`, counted from 1.
    fn step(self, t: usize) -> OptimizerStep {
        let correction = |beta: f32| (1.0 - f64::from(beta).powi(t as i32)) as f32;
        OptimizerStep {
            learning_rate: self.learning_rate,
            scale: 1.0,
            l2: if self.decoupled { 0.0 } else { self.decay },
            weight_decay: if self.decoupled { self.decay } else { 0.0 },
            rule: UpdateRule::Adam(Adam {
                beta_1: self.beta_1,
                beta_2: self.beta_2,
                epsilon: self.epsilon,
                correction_1: correction(self.beta_1),
                correction_2: correction(self.beta_2),
            }),
        }
    }
}

/// Steps of Adam with given gradients.
#[derive(Debug)]
pub struct AdamGolden<S> {
    /// The parameter before the first step, `[3, 4]`.
    pub start: Array2<S>,
    /// A gradient a step, each a row of 12.
    pub gradients: Array2<S>,
    /// The parameter after each step, each a row of 12.
    pub path: Array2<S>,
    constants: AdamConstants,
}

impl<S: Precision> AdamGolden<S> {
    /// Reads a case: `adam`, `adam_l2`, `adamw`, or `exact`, `exact_l2`, `exact_w` with constants
    /// that lose nothing in f32.
    pub fn open(case: &str) -> Self {
        let file = Golden::open("adam");
        let of = |key: &str| file.matrix::<S>(&format!("{case}.{key}"));
        let constants = AdamConstants::new(&of("constants"), case.ends_with('w'));
        Self { start: of("start"), gradients: of("gradients"), path: of("path"), constants }
    }

    /// The constants of step `t`, counted from 1.
    pub fn step(&self, t: usize) -> OptimizerStep {
        self.constants.step(t)
    }
}

/// Ten steps of a next-item model: embedding, LSTM, softmax tied to the embedding, Adam.
#[derive(Debug)]
pub struct TrainingGolden<S> {
    /// Lengths of the rows, falling.
    pub lengths: Vec<usize>,
    /// What each position sees, packed, `[N]`.
    pub ids: Vec<u32>,
    /// What comes next, packed, `[N]`.
    pub target: Vec<u32>,
    /// Before the first step.
    pub params: TrainingParams<Array2<S>>,
    /// After the last.
    pub after: TrainingParams<Array2<S>>,
    /// The loss before each step, `[1, 10]`.
    pub losses: Array2<S>,
    constants: AdamConstants,
}

/// The parameters of the next-item model, or something of each of them.
#[derive(Debug, Clone)]
pub struct TrainingParams<M> {
    /// Embedding and output table in one, `[V, H]`.
    pub table: M,
    /// `[4H, H]`.
    pub w_x: M,
    /// `[4H, H]`.
    pub w_h: M,
    /// `[1, 4H]`.
    pub b: M,
    /// `[1, V]`.
    pub column_bias: M,
}

impl<M> TrainingParams<M> {
    /// Something made of each.
    pub fn map<R>(&self, mut make: impl FnMut(&M) -> R) -> TrainingParams<R> {
        TrainingParams {
            table: make(&self.table),
            w_x: make(&self.w_x),
            w_h: make(&self.w_h),
            b: make(&self.b),
            column_bias: make(&self.column_bias),
        }
    }

    /// Each with its name, in a fixed order.
    pub fn each_mut(&mut self) -> [(&'static str, &mut M); 5] {
        [
            ("table", &mut self.table),
            ("w_x", &mut self.w_x),
            ("w_h", &mut self.w_h),
            ("b", &mut self.b),
            ("column_bias", &mut self.column_bias),
        ]
    }
}

impl<S: Precision> TrainingGolden<S> {
    /// Reads the file.
    pub fn open() -> Self {
        let file = Golden::open("training");
        let params = |prefix: &str| {
            let of = |key: &str| file.matrix(&format!("{prefix}{key}"));
            TrainingParams {
                table: of("table"),
                w_x: of("w_x"),
                w_h: of("w_h"),
                b: of("b"),
                column_bias: of("column_bias"),
            }
        };
        Self {
            lengths: file.integers("lengths"),
            ids: file.integers("ids"),
            target: file.integers("target"),
            params: params(""),
            after: params("after."),
            losses: file.matrix("losses"),
            constants: AdamConstants::new(&file.matrix::<S>("constants"), false),
        }
    }

    /// The constants of step `t`, counted from 1.
    pub fn step(&self, t: usize) -> OptimizerStep {
        self.constants.step(t)
    }
}

/// Every input of the files is exact in f32.
fn single<S: Precision>(value: S) -> f32 {
    let double: f64 = value.into();
    assert_eq!(f64::from(double as f32), double, "an input that f32 does not hold");
    double as f32
}
