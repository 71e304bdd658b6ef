//! `bench sequence`: whole recurrent layers over a batch with a dense input.
//!
//! | mode | timed |
//! |---|---|
//! | forward | `recurrent_forward_packed` of every layer, for answers: states are kept, gates are not |
//! | training | `recurrent_forward`, which keeps the gates, then `recurrent_backward` with all gradients |
//!
//! Between two layers the states are gathered into a matrix, as the model does; with `bi`, each layer is
//! a `model::bidirectional_forward`, and the next one reads both directions. For
//! answers weights are packed once, before the clock runs; in training in every call, as each step
//! changes them. Rows start from zero, and nothing of the start's gradient is made. In training, masks and
//! zoneout are those of `[model.dropout]`.

use cpu::PackedRecurrent;
use layout::{Keep, Matrix, RecurrentDims, RecurrentParams, RecurrentTape, Steps};
use model::{
    BidirectionalTape, Device, Directions, Dropout, LayerWeights, ModelConfig, RecurrentDraws,
    bidirectional_backward, bidirectional_forward, drop_inside,
};

use super::shape::Shape;
use super::timing::sample;
use super::values::{Purpose, layer, stream, values};
use super::work::{F32, Mode, Work};
use crate::machine::Machine;

/// What one call does.
pub(super) fn work(shape: &Shape, model: &ModelConfig, mode: Mode, cache: Option<u64>) -> Work {
    let (positions, steps) = (shape.positions(), shape.steps);
    let layers = shape.layers(model).flat_map(|dims| std::iter::repeat_n(dims, shape.directions()));
    layers.map(|dims| Work::recurrent(mode, positions, steps, dims, cache)).sum()
}

/// The memory that a call takes, in bytes: a little less than it will be.
pub(super) fn memory(shape: &Shape, model: &ModelConfig, mode: Mode) -> f64 {
    let (positions, batch, top) = (shape.positions(), shape.batch as f64, shape.hidden as f64);
    let directions = shape.directions() as f64;
    let layers = shape.layers(model).map(|dims| {
        let (input, hidden, width) = (dims.input as f64, dims.hidden as f64, dims.width() as f64);
        let gates = dims.cell.gates() as f64 * hidden;
        let weights = gates * (input + width + 1.0);
        let (gates, gradients) = if mode == Mode::Training { (gates, weights) } else { (0.0, 0.0) };
        let c = if dims.cell.has_cell_state() { hidden } else { 0.0 };
        let tape = positions * (width + c + gates) + batch * (width + c);
        let entering_and_tape = positions * input + tape;
        directions * (weights + gradients + entering_and_tape)
    });
    let widest =
        shape.layers(model).map(|dims| dims.input + dims.width()).max().unwrap_or(0) as f64;
    let gates = model.cell.cell.gates() as f64;
    let packed = gates * top * widest;
    // dh, dz and dx; what a stretch of steps packs is bounded.
    let backward = positions * (gates * top + widest);
    let backward = if mode == Mode::Training { backward } else { 0.0 };
    F32 * (layers.sum::<f64>() + directions * (packed + backward))
}

/// Seconds of a call, sample by sample.
pub(super) fn run(
    device: &Machine,
    shape: &Shape,
    model: &ModelConfig,
    mode: Mode,
    seed: u64,
    seconds: f64,
) -> Vec<f64> {
    let mut stack = device.run(|| Stack::new(device, shape, model, mode, seed));
    let samples = device.run(|| {
        sample(seconds, || {
            stack.forward(device);
            if mode == Mode::Training {
                stack.backward(device);
            }
            Ok::<_, std::convert::Infallible>(())
        })
    });
    match samples {
        Ok(samples) => samples,
        Err(never) => match never {},
    }
}

/// Layers, one on the other, and all that a call needs.
struct Stack {
    steps: Steps,
    /// Where the state after each position stands in a tape's slots.
    slots: Vec<u32>,
    /// `[N, I]`.
    x: Matrix<f32>,
    layers: Vec<Layer>,
    /// What reaches the states of the highest layer, `[N, R]` or `[N, 2R]`.
    dh: Matrix<f32>,
    dz: Matrix<f32>,
    /// What leaves the layer above, and the one that backward has come to.
    dx: [Matrix<f32>; 2],
}

struct Layer {
    kind: Kind,
    /// What enters the layer above, `[N, R]` or `[N, 2R]`; of the highest only made with both directions.
    passed: Matrix<f32>,
}

/// A layer of one direction or of both.
enum Kind {
    One(Box<OneParts>),
    Both(Box<BothParts>),
}

type OneParts = Parts<RecurrentParams<Matrix<f32>>, PackedRecurrent, RecurrentTape<Matrix<f32>>>;

type BothParts = Parts<
    Directions<RecurrentParams<Matrix<f32>>>,
    Directions<PackedRecurrent>,
    BidirectionalTape<Matrix<f32>>,
>;

/// What a layer has. Weights are packed for answers alone.
struct Parts<Params, Packed, Tape> {
    params: Params,
    packed: Option<Packed>,
    grads: Params,
    tape: Tape,
}

impl Layer {
    /// Layer number `l` of some; of both directions, the reverse one is numbered behind all of them.
    fn new(
        device: &Machine,
        (shape, rates): (&Shape, &Dropout),
        steps: &Steps,
        (l, dims): (usize, RecurrentDims),
        mode: Mode,
        seed: u64,
    ) -> Self {
        let training = mode == Mode::Training;
        let number = |direction| (direction * shape.layers + l) as u32;
        // As training has them: drawn once here, as drawing them is not what is timed.
        let drop_inside = |direction, tape: &mut RecurrentTape<Matrix<f32>>| {
            if training {
                let of = |purpose| stream(seed, purpose, number(direction));
                let (mask, zoneout_c) = (of(Purpose::Mask), of(Purpose::CellShare));
                let draws = RecurrentDraws { mask, zoneout_c, zoneout_h: of(Purpose::HiddenShare) };
                drop_inside(device, steps, dims, rates, Some(draws), tape);
            }
        };
        let keep = if training { Keep::Gates } else { Keep::States };
        let zeros = || if training { RecurrentParams::zeros(dims) } else { Default::default() };
        let pack = |params| device.pack_recurrent(params, true);
        let params_of = |direction| layer(seed, number(direction), dims);
        let kind = if shape.both {
            let params = Directions::from_fn(params_of);
            let packed = (!training).then(|| params.as_ref().map(pack));
            let mut tape = BidirectionalTape::default();
            tape.start(device, steps, dims, keep);
            drop_inside(0, &mut tape.layers.forward);
            drop_inside(1, &mut tape.layers.reverse);
            let grads = Directions::from_fn(|_| zeros());
            Kind::Both(Box::new(Parts { params, packed, grads, tape }))
        } else {
            let params = params_of(0);
            let packed = (!training).then(|| pack(&params));
            let mut tape = RecurrentTape::default();
            tape.start_keeping(steps, dims, keep);
            drop_inside(0, &mut tape);
            Kind::One(Box::new(Parts { params, packed, grads: zeros(), tape }))
        };
        Self { kind, passed: Matrix::default() }
    }

    /// With `slots`, a layer of one direction gathers its states for the next.
    fn forward(&mut self, device: &Machine, x: &Matrix<f32>, steps: &Steps, slots: Option<&[u32]>) {
        match &mut self.kind {
            Kind::One(parts) => {
                let Parts { params, packed, tape, .. } = &mut **parts;
                let weights = match packed {
                    Some(packed) => LayerWeights::Packed(packed),
                    None => LayerWeights::<Machine>::Learned(params),
                };
                weights.forward(device, Some(x), steps, tape);
                if let Some(slots) = slots {
                    device.gather(&tape.h, slots, &mut self.passed);
                }
            }
            Kind::Both(parts) => {
                let Parts { params, packed, tape, .. } = &mut **parts;
                let weights = match packed {
                    Some(packed) => packed.as_ref().map(LayerWeights::Packed),
                    None => params.as_ref().map(LayerWeights::<Machine>::Learned),
                };
                bidirectional_forward(device, &weights, x, steps, tape, &mut self.passed);
            }
        }
    }

    fn backward(
        &mut self,
        device: &Machine,
        x: &Matrix<f32>,
        steps: &Steps,
        dh: &Matrix<f32>,
        dz: &mut Matrix<f32>,
        dx: &mut Matrix<f32>,
    ) {
        match &mut self.kind {
            Kind::One(parts) => {
                let Parts { params, grads, tape, .. } = &mut **parts;
                let dx = Some(dx);
                device.recurrent_backward(params, Some(x), steps, tape, dh, grads, dz, dx, None);
            }
            Kind::Both(parts) => {
                let Parts { params, grads, tape, .. } = &mut **parts;
                let params = params.as_ref();
                bidirectional_backward(device, params, x, steps, tape, dh, grads, dx, None);
            }
        }
    }
}

impl Stack {
    fn new(device: &Machine, shape: &Shape, model: &ModelConfig, mode: Mode, seed: u64) -> Self {
        let steps = shape.layout();
        let width = |dims: RecurrentDims| shape.directions() * dims.width();
        let top = shape.layers(model).next_back().map_or(0, width);
        let layers = shape.layers(model).enumerate();
        let layers = layers
            .map(|numbered| {
                Layer::new(device, (shape, &model.dropout), &steps, numbered, mode, seed)
            })
            .collect();
        let x = values(seed, Purpose::Input, steps.positions(), shape.input, 1.0);
        let dh = match mode {
            Mode::Training => values(seed, Purpose::Gradient, steps.positions(), top, 0.01),
            Mode::Forward | Mode::Step => Matrix::default(),
        };
        let slots = (steps.batch() as u32..steps.slots() as u32).collect();
        Self { steps, slots, x, layers, dh, dz: Matrix::default(), dx: Default::default() }
    }

    fn forward(&mut self, device: &Machine) {
        let count = self.layers.len();
        for l in 0..count {
            let (below, here) = self.layers.split_at_mut(l);
            let x = below.last().map_or(&self.x, |layer| &layer.passed);
            let slots = (l + 1 < count).then_some(&self.slots[..]);
            here[0].forward(device, x, &self.steps, slots);
        }
    }

    fn backward(&mut self, device: &Machine) {
        let count = self.layers.len();
        for l in (0..count).rev() {
            let (below, here) = self.layers.split_at_mut(l);
            let x = below.last().map_or(&self.x, |layer| &layer.passed);
            let [above, dx] = &mut self.dx;
            let dh = if l + 1 == count { &self.dh } else { &*above };
            here[0].backward(device, x, &self.steps, dh, &mut self.dz, dx);
            self.dx.swap(0, 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_add_up() {
        let shape = |text| Shape::parse(text).unwrap();
        let flop = |text| work(&shape(text), &ModelConfig::default(), Mode::Forward, None).flop;
        // 8·N·H·(I + H): 8·6·5·9, and 8·6·5·10 for a second layer.
        assert_eq!(flop("T3,B2,I4,H5"), 2160.0);
        assert_eq!(flop("T3,B2,I4,H5,L2"), 2160.0 + 2400.0);
        // Lengths 18 7 5 3 3 2 2 2: N = 42.
        assert_eq!(flop("T20,B8,I4,H5,lengths=skew"), 8.0 * 42.0 * 45.0);
        // Twice a layer, and the second one reads both.
        assert_eq!(flop("T3,B2,I4,H5,L2,bi"), 2.0 * (2160.0 + 8.0 * 6.0 * 5.0 * 15.0));
        let training = work(&shape("T3,B2,I4,H5"), &ModelConfig::default(), Mode::Training, None);
        assert_eq!(training.flop, 6480.0);
    }

    #[test]
    fn a_call_fills_tape_and_gradients() {
        for cell in
            ["lstm", "gru", "rnn", "lstm+layernorm+projection", "lstm+peephole", "lstm+coupled"]
        {
            let cell = cell.parse().unwrap();
            let plain = ModelConfig { cell, ..ModelConfig::default() };
            let dropout = Dropout { recurrent: 0.3, zoneout_h: 0.1, ..Dropout::default() };
            a_call_of(ModelConfig { dropout, ..plain.clone() });
            a_call_of(plain);
        }
    }

    fn a_call_of(model: ModelConfig) {
        for text in ["T9,B5,I3,H4,L2,lengths=skew", "T9,B5,I3,H4,L2,bi,lengths=skew"] {
            let shape = Shape::parse(text).unwrap();
            let device = Machine::new(1).unwrap();
            let mut stack = Stack::new(&device, &shape, &model, Mode::Training, 1);
            stack.forward(&device);
            stack.backward(&device);
            let positions = stack.steps.positions();
            assert_eq!(positions as f64, shape.positions());
            let some = |matrix: &Matrix<f32>| matrix.as_slice().iter().any(|&x| x != 0.0);
            for layer in &stack.layers {
                let grads = match &layer.kind {
                    Kind::One(parts) => vec![&parts.grads],
                    Kind::Both(parts) => vec![&parts.grads.forward, &parts.grads.reverse],
                };
                assert!(grads.into_iter().flat_map(RecurrentParams::iter).all(some), "{model:?}");
            }
            // The gradient of the input is the last one made.
            assert_eq!(stack.dx[0].shape(), [positions, 3]);
            let upper = shape.layers(&model).next_back().unwrap();
            assert_eq!(stack.layers[0].passed.shape(), [positions, upper.input]);
            assert!(some(&stack.dx[0]) && some(&stack.layers[0].passed));
        }
    }

    /// Answers and training see the same states, whichever way rows are read.
    #[test]
    fn packed_weights_give_the_same_states() {
        for text in ["T4,B3,I3,H5,L2", "T4,B3,I3,H5,L2,bi"] {
            let shape = Shape::parse(text).unwrap();
            let device = Machine::new(1).unwrap();
            let [learned, packed] = [Mode::Training, Mode::Forward].map(|mode| {
                let mut stack = Stack::new(&device, &shape, &ModelConfig::default(), mode, 1);
                stack.forward(&device);
                stack.layers.swap_remove(0).passed
            });
            assert_eq!(learned, packed);
        }
    }
}
