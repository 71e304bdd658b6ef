//! `bench sequence`: whole LSTM layers over a batch with a dense input.
//!
//! | mode | timed |
//! |---|---|
//! | forward | `lstm_forward_packed` of every layer, for answers: states are kept, gates are not |
//! | training | `lstm_forward`, which keeps the gates, then `lstm_backward` with all gradients |
//!
//! Between two layers the states are gathered into a matrix, as the model does. For
//! answers weights are packed once, before the clock runs; in training in every call, as each step
//! changes them. Rows start from zero, and nothing of the start's gradient is made.

use cpu::PackedLstm;
use layout::{Keep, LstmParams, LstmTape, Matrix, Steps};

use super::shape::Shape;
use super::timing::sample;
use super::values::{Purpose, layer, values};
use super::work::{F32, Mode, Work};

/// What one call does.
pub(super) fn work(shape: &Shape, mode: Mode, cache: Option<u64>) -> Work {
    let positions = shape.positions();
    shape.layers().map(|dims| Work::lstm(mode, positions, shape.steps, dims, cache)).sum()
}

/// The memory that a call takes, in bytes: a little less than it will be.
pub(super) fn memory(shape: &Shape, mode: Mode) -> f64 {
    let (positions, batch, top) = (shape.positions(), shape.batch as f64, shape.hidden as f64);
    let layers = shape.layers().map(|dims| {
        let (input, hidden) = (dims.input as f64, dims.hidden as f64);
        let weights = 4.0 * hidden * (input + hidden + 1.0);
        let (gates, gradients) =
            if mode == Mode::Training { (4.0 * hidden, weights) } else { (0.0, 0.0) };
        let tape = positions * (2.0 * hidden + gates) + 2.0 * batch * hidden;
        let entering_and_tape = positions * input + tape;
        weights + gradients + entering_and_tape
    });
    let widest = shape.layers().map(|dims| dims.input + dims.hidden).max().unwrap_or(0) as f64;
    let packed = 4.0 * top * widest;
    // dh, dz and dx; what a stretch of steps packs is bounded.
    let backward = positions * (4.0 * top + widest);
    let backward = if mode == Mode::Training { backward } else { 0.0 };
    F32 * (layers.sum::<f64>() + packed + backward)
}

/// Seconds of a call, sample by sample.
pub(super) fn run(cpu: &cpu::Cpu, shape: &Shape, mode: Mode, seed: u64, seconds: f64) -> Vec<f64> {
    let mut stack = cpu.run(|| Stack::new(cpu, shape, mode, seed));
    let samples = cpu.run(|| {
        sample(seconds, || {
            stack.forward(cpu);
            if mode == Mode::Training {
                stack.backward(cpu);
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
    /// What reaches the states of the highest layer, `[N, H]`.
    dh: Matrix<f32>,
    dz: Matrix<f32>,
    /// What leaves the layer above, and the one that backward has come to.
    dx: [Matrix<f32>; 2],
}

struct Layer {
    params: LstmParams<Matrix<f32>>,
    /// The same weights for answers; in training there are none.
    packed: Option<PackedLstm>,
    grads: LstmParams<Matrix<f32>>,
    tape: LstmTape<Matrix<f32>>,
    /// What enters the layer above, `[N, H]`; unused in the highest.
    passed: Matrix<f32>,
}

impl Stack {
    fn new(cpu: &cpu::Cpu, shape: &Shape, mode: Mode, seed: u64) -> Self {
        let steps = shape.layout();
        let hidden = shape.hidden;
        let layers = shape.layers().enumerate().map(|(l, dims)| {
            let params = layer(seed, l as u32, dims);
            let (grads, packed) = match mode {
                Mode::Training => (LstmParams::zeros(dims), None),
                Mode::Forward | Mode::Step => {
                    (LstmParams::default(), Some(cpu.pack_lstm(&params, true)))
                }
            };
            let mut tape = LstmTape::default();
            let keep = match mode {
                Mode::Training => Keep::Gates,
                Mode::Forward | Mode::Step => Keep::States,
            };
            tape.start_keeping(&steps, hidden, keep);
            Layer { params, packed, grads, tape, passed: Matrix::default() }
        });
        let layers = layers.collect();
        let x = values(seed, Purpose::Input, steps.positions(), shape.input, 1.0);
        let dh = match mode {
            Mode::Training => values(seed, Purpose::Gradient, steps.positions(), hidden, 0.01),
            Mode::Forward | Mode::Step => Matrix::default(),
        };
        let slots = (steps.batch() as u32..steps.slots() as u32).collect();
        Self { steps, slots, x, layers, dh, dz: Matrix::default(), dx: Default::default() }
    }

    fn forward(&mut self, cpu: &cpu::Cpu) {
        let count = self.layers.len();
        for l in 0..count {
            let (below, here) = self.layers.split_at_mut(l);
            let x = below.last().map_or(&self.x, |layer| &layer.passed);
            let Layer { params, packed, tape, passed, .. } = &mut here[0];
            match packed {
                Some(packed) => cpu.lstm_forward_packed(packed, Some(x), &self.steps, tape),
                None => cpu.lstm_forward(params, Some(x), &self.steps, tape),
            }
            if l + 1 < count {
                cpu.embedding_forward(&tape.h, &self.slots, passed);
            }
        }
    }

    fn backward(&mut self, cpu: &cpu::Cpu) {
        let count = self.layers.len();
        for l in (0..count).rev() {
            let (below, here) = self.layers.split_at_mut(l);
            let x = below.last().map_or(&self.x, |layer| &layer.passed);
            let Layer { params, grads, tape, .. } = &mut here[0];
            let [above, dx] = &mut self.dx;
            let dh = if l + 1 == count { &self.dh } else { &*above };
            let (steps, dz) = (&self.steps, &mut self.dz);
            cpu.lstm_backward(params, Some(x), steps, tape, dh, grads, dz, Some(dx), None);
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
        let flop = |text| work(&shape(text), Mode::Forward, None).flop;
        // 8·N·H·(I + H): 8·6·5·9, and 8·6·5·10 for a second layer.
        assert_eq!(flop("T3,B2,I4,H5"), 2160.0);
        assert_eq!(flop("T3,B2,I4,H5,L2"), 2160.0 + 2400.0);
        // Lengths 18 7 5 3 3 2 2 2: N = 42.
        assert_eq!(flop("T20,B8,I4,H5,lengths=skew"), 8.0 * 42.0 * 45.0);
        let training = work(&shape("T3,B2,I4,H5"), Mode::Training, None);
        assert_eq!(training.flop, 6480.0);
    }

    #[test]
    fn a_call_fills_tape_and_gradients() {
        let shape = Shape::parse("T9,B5,I3,H4,L2,lengths=skew").unwrap();
        let cpu = cpu::Cpu::new(1).unwrap();
        let mut stack = Stack::new(&cpu, &shape, Mode::Training, 1);
        stack.forward(&cpu);
        stack.backward(&cpu);
        let positions = stack.steps.positions();
        assert_eq!(positions as f64, shape.positions());
        let some = |matrix: &Matrix<f32>| matrix.as_slice().iter().any(|&x| x != 0.0);
        for layer in &stack.layers {
            let LstmParams { w_x, w_h, b } = &layer.grads;
            assert!(some(w_x) && some(w_h) && some(b) && some(&layer.tape.h));
        }
        // The gradient of the input is the last one made.
        assert_eq!(stack.dx[0].shape(), [positions, 3]);
        assert_eq!(stack.layers[0].passed.as_slice(), &stack.layers[0].tape.h.as_slice()[5 * 4..]);
    }
}
