//! Stacks of recurrent layers over a packed batch.

use layout::{RecurrentDims, RecurrentParams};
use ndarray::Array2;

use super::{Golden, Precision};
use crate::{Tolerance, assert_close};

/// A stack of recurrent layers over a packed batch.
#[derive(Debug)]
pub struct RecurrentGolden<S> {
    /// Lengths of the rows, falling.
    pub lengths: Vec<usize>,
    /// What goes in, forward and backward.
    pub inputs: RecurrentInputs<S>,
    /// What PyTorch has made of it.
    pub outcome: RecurrentOutcome<S>,
}

/// What goes into a stack.
#[derive(Debug)]
pub struct RecurrentInputs<S> {
    /// Input of the lowest layer, packed, `[N, I]`.
    pub x: Array2<S>,
    /// ∂L/∂h of the top layer, packed, `[N, R]`, without the share of the last states.
    pub dh: Array2<S>,
    /// The layers, lowest first.
    pub layers: Vec<LayerInputs<S>>,
}

/// What one layer has of its own.
#[derive(Debug)]
pub struct LayerInputs<S> {
    /// Cell and sizes.
    pub dims: RecurrentDims,
    /// Its weights.
    pub params: RecurrentParams<Array2<S>>,
    /// Start of the rows, `[B, R]`.
    pub h_0: Array2<S>,
    /// Start of the rows, `[B, H]`.
    pub c_0: Array2<S>,
    /// ∂L/∂h of the last state of every row, on top of what comes from above, `[B, R]`.
    pub dh_last: Array2<S>,
    /// ∂L/∂c of the last state of every row, `[B, H]`.
    pub dc_last: Array2<S>,
}

/// What comes out of a stack, forward and backward.
#[derive(Debug)]
pub struct RecurrentOutcome<S> {
    /// Hidden states of the top layer, packed, `[N, R]`.
    pub h: Array2<S>,
    /// Gradient of the input, packed, `[N, I]`.
    pub dx: Array2<S>,
    /// The layers, lowest first.
    pub layers: Vec<LayerGrads<S>>,
}

/// Last states and gradients of one layer.
#[derive(Debug)]
pub struct LayerGrads<S> {
    /// Last hidden state of every row, `[B, R]`.
    pub h_last: Array2<S>,
    /// Last cell state of every row, `[B, H]`.
    pub c_last: Array2<S>,
    /// Gradients of the weights.
    pub params: RecurrentParams<Array2<S>>,
    /// `[B, R]`.
    pub dh_0: Array2<S>,
    /// `[B, H]`.
    pub dc_0: Array2<S>,
}

/// What the files call the parameters, in the order of the catalogue.
const NAMES: [&str; 9] = ["w_x", "w_h", "b", "p", "w_p", "gain_x", "gain_h", "gain_c", "bias_c"];

/// The names of those that a layer has.
fn names(dims: RecurrentDims) -> RecurrentParams<&'static str> {
    let shapes = dims.shapes();
    let has = [true, true, true, shapes.p.is_some(), shapes.w_p.is_some()];
    let has = has.into_iter().chain([shapes.norm.is_some(); 4]);
    let mut names = NAMES.into_iter().zip(has).filter(|(_, has)| *has).map(|(name, _)| name);
    shapes.map(|_| names.next().expect("a name for each"))
}

impl<S: Precision> RecurrentGolden<S> {
    /// Reads a file with these layers, lowest first.
    pub fn open(name: &str, layers: &[RecurrentDims]) -> Self {
        let file = Golden::open(name);
        let of = |layer: usize, key: &str| file.matrix(&format!("{layer}.{key}"));
        let layer = |(k, &dims): (usize, &RecurrentDims)| {
            let inputs = LayerInputs {
                dims,
                params: names(dims).map(|name| of(k, name)),
                h_0: of(k, "h_0"),
                c_0: of(k, "c_0"),
                dh_last: of(k, "dh_last"),
                dc_last: of(k, "dc_last"),
            };
            let grads = LayerGrads {
                h_last: of(k, "h_last"),
                c_last: of(k, "c_last"),
                params: names(dims).map(|name| of(k, &format!("d{name}"))),
                dh_0: of(k, "dh_0"),
                dc_0: of(k, "dc_0"),
            };
            (inputs, grads)
        };
        let (inputs, grads) = layers.iter().enumerate().map(layer).unzip();
        Self {
            lengths: file.integers("lengths"),
            inputs: RecurrentInputs { x: file.matrix("x"), dh: file.matrix("dh"), layers: inputs },
            outcome: RecurrentOutcome { h: file.matrix("h"), dx: file.matrix("dx"), layers: grads },
        }
    }
}

impl<S: Precision> RecurrentOutcome<S> {
    /// Compares every tensor; returns the worst error as a share of its allowance.
    ///
    /// # Panics
    ///
    /// As [`assert_close`].
    pub fn assert_close(&self, expected: &Self, tolerance: Tolerance) -> f64 {
        assert_eq!(self.layers.len(), expected.layers.len(), "layers");
        let close = |name: String, found: &Array2<S>, expected: &Array2<S>| {
            assert_close(&name, found.view(), expected.view(), tolerance)
        };
        let mut worst = close("h".to_owned(), &self.h, &expected.h).max(close(
            "dx".to_owned(),
            &self.dx,
            &expected.dx,
        ));
        for (k, (found, expected)) in self.layers.iter().zip(&expected.layers).enumerate() {
            let states = [
                ("h_last", &found.h_last, &expected.h_last),
                ("c_last", &found.c_last, &expected.c_last),
                ("dh_0", &found.dh_0, &expected.dh_0),
                ("dc_0", &found.dc_0, &expected.dc_0),
            ];
            let pairs = found.params.as_ref().into_vec().into_iter();
            let weights = pairs.zip(expected.params.as_ref().into_vec()).enumerate();
            let weights = weights.map(|(number, pair)| (format!("weight {number}"), pair));
            let states = states.map(|(name, found, expected)| (name.to_owned(), (found, expected)));
            for (name, (found, expected)) in states.into_iter().chain(weights) {
                worst = worst.max(close(format!("layer {k} {name}"), found, expected));
            }
        }
        worst
    }
}
