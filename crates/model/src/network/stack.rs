//! The recurrent layers, one on the other; between two of them, and inside each, dropout.
//!
//! ```text
//!     y_0 = h_0                       h_l the states of layer l, over dropout(y_{l−1})
//!     y_l = h_l                       or, with paths around the layers, h_l + y_{l−1}
//! ```
//!
//! The path around a layer carries what is handed on before dropout: from the top of the stack to the
//! first layer's states nothing but sums stands in the gradient's way.
//!
//! Y. Wu et al., "Google's neural machine translation system", 2016, section 3.1; K. He et al.,
//! "Identity mappings in deep residual networks", ECCV 2016, on why nothing should drop on that path.

use layout::Accumulate::{Add, Replace};
use layout::{Keep, RecurrentParams, RecurrentStart, RecurrentTape};

use super::{Gradients, Pass, RecurrentDraws, drop_inside, input, thinned};
use crate::streams::DROPOUT_LAYER;
use crate::{Device, LayerWeights};

#[derive(Debug, Clone, Default)]
pub(super) struct Tape<M> {
    layers: Vec<RecurrentTape<M>>,
    /// The weights that each layer runs with, where some drop.
    weights: Vec<thinned::Tape<M>>,
    /// What layer l passes on to layer l + 1, `[N, R]`.
    passed: Vec<M>,
    /// With paths around the layers: the sum that has come up to the layer at hand, in the end that of
    /// all layers, and the states that join it, `[N, R]`.
    sum: M,
    joining: M,
    /// Where the states after each position stand in a tape's slots.
    slots: Vec<u32>,
    /// ∂L/∂h of the layer that backward has come to, and of the one below it, `[N, R]`.
    dh: [M; 2],
    dz: M,
    /// What layers keep that have an input to make their gates from again.
    keep: Keep,
}

impl<M: Clone + Default> Tape<M> {
    /// Gives every layer the shape of the batch, each row starting from zero.
    pub(super) fn start<D: Device<Matrix = M>>(&mut self, pass: &Pass<'_, D>) {
        let steps = pass.batch.steps();
        self.layers.resize_with(pass.config.layers, RecurrentTape::default);
        self.weights.resize_with(pass.config.layers, thinned::Tape::default);
        self.passed.resize_with(pass.config.layers - 1, M::default);
        for (l, layer) in self.layers.iter_mut().enumerate() {
            let keep = if pass.config.has_input(l) { self.keep } else { Keep::Gates };
            let dims = pass.config.dims(l);
            pass.device.start(layer, steps, dims, keep);
            let draws = pass.context.map(|context| RecurrentDraws::of(context, l as u32));
            drop_inside(pass.device, steps, dims, &pass.config.dropout, draws, layer);
        }
        self.slots.clear();
        self.slots.extend(steps.batch() as u32..steps.slots() as u32);
    }

    /// What the tapes keep from the next batch on.
    pub(super) fn keep(&mut self, keep: Keep) {
        self.keep = keep;
    }

    /// The tape of the lowest layer.
    pub(super) fn first(&mut self) -> &mut RecurrentTape<M> {
        &mut self.layers[0]
    }

    /// The tapes of all layers, the lowest first.
    pub(super) fn layers(&mut self) -> &mut [RecurrentTape<M>] {
        &mut self.layers
    }

    /// The same, to read.
    pub(super) fn tapes(&self) -> &[RecurrentTape<M>] {
        &self.layers
    }

    /// What the stack hands on, and the row where position 0 stands in it: the states of the highest
    /// layer lie in slots, `[B + N, R]`, a sum of layers does not, `[N, R]`.
    pub(super) fn top<D: Device<Matrix = M>>(&self, pass: &Pass<'_, D>) -> (&M, u32) {
        match pass.config.residual {
            true => (&self.sum, 0),
            false => (&self.layers[self.layers.len() - 1].h, pass.batch.steps().batch() as u32),
        }
    }

    /// The gradient of the lowest layer's pre-activations, `[N, G·H]`.
    pub(super) fn dz(&self) -> &M {
        &self.dz
    }
}

/// The weights of all layers.
pub(super) enum Layers<'a, D: Device> {
    /// As they are learned.
    Learned(&'a [RecurrentParams<D::Matrix>]),
    /// Laid out for answers.
    Packed(&'a [D::PackedRecurrent]),
}

/// `x` is what enters the first layer, or `None` where its pre-activations are set.
pub(super) fn forward<D: Device>(
    pass: &Pass<'_, D>,
    layers: Layers<'_, D>,
    x: Option<&D::Matrix>,
    tape: &mut Tape<D::Matrix>,
) {
    let (device, steps) = (pass.device, pass.batch.steps());
    for l in 0..tape.layers.len() {
        let x = if l == 0 { x } else { Some(&tape.passed[l - 1]) };
        let layer = &mut tape.layers[l];
        let weights = match layers {
            Layers::Learned(params) => {
                LayerWeights::Learned(thinned::forward(pass, l, &params[l], &mut tape.weights[l]))
            }
            Layers::Packed(packed) => LayerWeights::<D>::Packed(&packed[l]),
        };
        weights.forward(device, x, steps, layer);
        let Tape { layers, passed, sum, joining, slots, .. } = &mut *tape;
        if pass.config.residual {
            device.gather(&layers[l].h, slots, joining);
            device.add(joining, if l == 0 { Replace } else { Add }, sum);
        }
        if let Some(passed) = passed.get_mut(l) {
            match pass.config.residual {
                true => device.add(sum, Replace, passed),
                false => device.gather(&layers[l].h, slots, passed),
            }
            pass.dropout(pass.config.dropout.layers, DROPOUT_LAYER + l as u32, passed);
        }
    }
}

/// `dh` is what the readout sends to the highest layer, `[N, R]`. The gradient of what entered the
/// lowest goes to the input's tape; where nothing did, `dz` is its place. `starts` has a place for each
/// layer's gradient of its start, or none where that is not wanted.
///
/// ```text
///     dh_l     = dy_l                                    above: the readout, or layer l + 1
///     dy_{l−1} = dropout(dx_l) [+ dy_l]                  in brackets: the path around layer l
/// ```
pub(super) fn backward<D: Device>(
    pass: &Pass<'_, D>,
    layers: &[RecurrentParams<D::Matrix>],
    tape: &mut Tape<D::Matrix>,
    input: &mut input::Tape<D::Matrix>,
    dh: &D::Matrix,
    starts: &mut [RecurrentStart<D::Matrix>],
    gradients: &mut Gradients<D::Matrix>,
) {
    let (device, steps) = (pass.device, pass.batch.steps());
    let Tape { layers: tapes, weights, passed, dh: [dh_here, dh_below], dz, .. } = tape;
    for (l, params) in layers.iter().enumerate().rev() {
        let grads = &mut gradients.values.recurrent[l];
        let dh = if l + 1 == layers.len() { dh } else { &*dh_here };
        let start = starts.get_mut(l);
        let (x, dx) = match l {
            0 => input.entering_and_gradient(pass),
            _ => (Some(&passed[l - 1]), Some(&mut *dh_below)),
        };
        thinned::backward(pass, l, params, &mut weights[l], grads, |params, grads| {
            device.recurrent_backward(params, x, steps, &tapes[l], dh, grads, dz, dx, start);
        });
        if l > 0 {
            pass.dropout(pass.config.dropout.layers, DROPOUT_LAYER + (l - 1) as u32, dh_below);
            if pass.config.residual {
                device.add(dh, Add, dh_below);
            }
            std::mem::swap(dh_here, dh_below);
        }
    }
}
