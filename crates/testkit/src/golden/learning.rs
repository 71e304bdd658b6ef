//! Golden files of what makes learning out of scores and gradients: losses and optimisers.

use ndarray::Array2;

use super::{Golden, Precision, single};

/// A loss of N positions with C outputs each, or of a choice among C.
#[derive(Debug)]
pub struct LossGolden<S> {
    /// Outputs, logits, scores, `[N, C]`.
    pub z: Array2<S>,
    /// The truth where it is 0 or 1, `[N, C]`.
    pub truth: Array2<S>,
    /// The truth where it is a number between, `[N, C]`.
    pub share: Array2<S>,
    /// The right column of each position, `[N]`.
    pub target: Vec<u32>,
    /// What each position counts, `[N]`.
    pub weight: Vec<f32>,
    /// What the loss was told: a number for each column, or its constants in the order of its name.
    pub constants: Vec<f32>,
    /// Weighted mean over the positions.
    pub loss: f64,
    /// `[N, C]`.
    pub dz: Array2<S>,
}

impl<S: Precision> LossGolden<S> {
    /// Reads a case of `make_losses`, such as `huber`.
    pub fn open(case: &str) -> Self {
        let file = Golden::open("losses");
        let numbers = |key: &str| file.matrix::<S>(key).iter().map(|&x| single(x)).collect();
        Self {
            z: file.matrix("z"),
            truth: file.matrix("true"),
            share: file.matrix("share"),
            target: file.integers("target"),
            weight: numbers("weight"),
            constants: numbers(&format!("{case}.constants")),
            loss: file.matrix::<S>(&format!("{case}.loss"))[[0, 0]].into(),
            dz: file.matrix(&format!("{case}.dz")),
        }
    }
}

/// Steps of SGD, Adagrad or RMSprop with given gradients.
#[derive(Debug)]
pub struct OptimizerGolden<S> {
    /// The parameter before the first step, `[2, 3]`.
    pub start: Array2<S>,
    /// A gradient a step, each a row of 6.
    pub gradients: Array2<S>,
    /// The parameter after each step, each a row of 6.
    pub path: Array2<S>,
    /// What PyTorch was told; a case does not read all of it.
    pub constants: OptimizerConstants,
}

/// The constants of an optimiser that PyTorch has run, by PyTorch's names.
#[derive(Debug, Clone, Copy)]
pub struct OptimizerConstants {
    /// Learning rate.
    pub lr: f32,
    /// Decay through the gradient.
    pub weight_decay: f32,
    /// Share of the velocity that a step keeps.
    pub momentum: f32,
    /// SGD: whether a step looks ahead.
    pub nesterov: bool,
    /// RMSprop: decay of the running means.
    pub alpha: f32,
    /// Added to a root.
    pub eps: f32,
    /// RMSprop: whether a variance measures the gradient.
    pub centered: bool,
    /// Adagrad: how the learning rate falls.
    pub lr_decay: f32,
    /// Adagrad: what the sums start from.
    pub initial_accumulator_value: f32,
}

impl<S: Precision> OptimizerGolden<S> {
    /// Reads a case of `make_optimizers`, such as `sgd_nesterov_l2`.
    pub fn open(case: &str) -> Self {
        let file = Golden::open("optimizers");
        let constants = file.matrix::<S>(&format!("{case}.constants"));
        let [lr, weight_decay, momentum, nesterov, alpha, eps, centered, lr_decay, initial] =
            std::array::from_fn(|k| single(constants[[0, k]]));
        Self {
            start: file.matrix("start"),
            gradients: file.matrix("gradients"),
            path: file.matrix(&format!("{case}.path")),
            constants: OptimizerConstants {
                lr,
                weight_decay,
                momentum,
                nesterov: nesterov == 1.0,
                alpha,
                eps,
                centered: centered == 1.0,
                lr_decay,
                initial_accumulator_value: initial,
            },
        }
    }
}
