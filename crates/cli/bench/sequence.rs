//! `bench sequence`: whole recurrent layers over a batch with a dense input.
//!
//! | mode | timed |
//! |---|---|
//! | forward | `recurrent_forward_packed` of every layer, for answers: states are kept, gates are not |
//! | training | `recurrent_forward`, which keeps the gates, then `recurrent_backward` with all gradients |
//!
//! Between two layers the states are gathered into a matrix, as the model does. For
//! answers weights are packed once, before the clock runs; in training in every call, as each step
//! changes them. Rows start from zero, and nothing of the start's gradient is made. In training, masks and
//! zoneout are those of `[model.dropout]`.

use cpu::PackedRecurrent;
use layout::{Keep, Matrix, RecurrentParams, RecurrentTape, Steps};
use model::ModelConfig;

use super::shape::Shape;
use super::timing::sample;
use super::values::{Purpose, layer, stream, values};
use super::work::{F32, Mode, Work};

/// What one call does.
pub(super) fn work(shape: &Shape, model: &ModelConfig, mode: Mode, cache: Option<u64>) -> Work {
    let (positions, steps) = (shape.positions(), shape.steps);
    shape.layers(model).map(|dims| Work::recurrent(mode, positions, steps, dims, cache)).sum()
}

/// The memory that a call takes, in bytes: a little less than it will be.
pub(super) fn memory(shape: &Shape, model: &ModelConfig, mode: Mode) -> f64 {
    let (positions, batch, top) = (shape.positions(), shape.batch as f64, shape.hidden as f64);
    let layers = shape.layers(model).map(|dims| {
        let (input, hidden, width) = (dims.input as f64, dims.hidden as f64, dims.width() as f64);
        let gates = dims.cell.gates() as f64 * hidden;
        let weights = gates * (input + width + 1.0);
        let (gates, gradients) = if mode == Mode::Training { (gates, weights) } else { (0.0, 0.0) };
        let c = if dims.cell.has_cell_state() { hidden } else { 0.0 };
        let tape = positions * (width + c + gates) + batch * (width + c);
        let entering_and_tape = positions * input + tape;
        weights + gradients + entering_and_tape
    });
    let widest =
        shape.layers(model).map(|dims| dims.input + dims.width()).max().unwrap_or(0) as f64;
    let gates = model.cell.cell.gates() as f64;
    let packed = gates * top * widest;
    // dh, dz and dx; what a stretch of steps packs is bounded.
    let backward = positions * (gates * top + widest);
    let backward = if mode == Mode::Training { backward } else { 0.0 };
    F32 * (layers.sum::<f64>() + packed + backward)
}

/// Seconds of a call, sample by sample.
pub(super) fn run(
    cpu: &cpu::Cpu,
    shape: &Shape,
    model: &ModelConfig,
    mode: Mode,
    seed: u64,
    seconds: f64,
) -> Vec<f64> {
    let mut stack = cpu.run(|| Stack::new(cpu, shape, model, mode, seed));
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
    /// What reaches the states of the highest layer, `[N, R]`.
    dh: Matrix<f32>,
    dz: Matrix<f32>,
    /// What leaves the layer above, and the one that backward has come to.
    dx: [Matrix<f32>; 2],
}

struct Layer {
    params: RecurrentParams<Matrix<f32>>,
    /// The same weights for answers; in training there are none.
    packed: Option<PackedRecurrent>,
    grads: RecurrentParams<Matrix<f32>>,
    tape: RecurrentTape<Matrix<f32>>,
    /// What enters the layer above, `[N, R]`; unused in the highest.
    passed: Matrix<f32>,
}

impl Stack {
    fn new(cpu: &cpu::Cpu, shape: &Shape, model: &ModelConfig, mode: Mode, seed: u64) -> Self {
        let steps = shape.layout();
        let top = shape.layers(model).next_back().map_or(0, |dims| dims.width());
        let layers = shape.layers(model).enumerate().map(|(l, dims)| {
            let params = layer(seed, l as u32, dims);
            let (grads, packed) = match mode {
                Mode::Training => (RecurrentParams::zeros(dims), None),
                Mode::Forward | Mode::Step => {
                    (RecurrentParams::default(), Some(cpu.pack_recurrent(&params, true)))
                }
            };
            let mut tape = RecurrentTape::default();
            let keep = match mode {
                Mode::Training => Keep::Gates,
                Mode::Forward | Mode::Step => Keep::States,
            };
            tape.start_keeping(&steps, dims, keep);
            if mode == Mode::Training {
                drop_inside(cpu, &steps, model, seed, l as u32, &mut tape);
            }
            Layer { params, packed, grads, tape, passed: Matrix::default() }
        });
        let layers = layers.collect();
        let x = values(seed, Purpose::Input, steps.positions(), shape.input, 1.0);
        let dh = match mode {
            Mode::Training => values(seed, Purpose::Gradient, steps.positions(), top, 0.01),
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
                Some(packed) => cpu.recurrent_forward_packed(packed, Some(x), &self.steps, tape),
                None => cpu.recurrent_forward(params, Some(x), &self.steps, tape),
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
            cpu.recurrent_backward(params, Some(x), steps, tape, dh, grads, dz, Some(dx), None);
            self.dx.swap(0, 1);
        }
    }
}

/// Masks and shares of layer `l`, as training has them: drawn once here, as drawing them is not what is
/// timed.
fn drop_inside(
    cpu: &cpu::Cpu,
    steps: &Steps,
    model: &ModelConfig,
    seed: u64,
    l: u32,
    tape: &mut RecurrentTape<Matrix<f32>>,
) {
    let dropped = |rate: f32, purpose, [rows, columns]: [usize; 2], value: f32| {
        let mut values = Matrix::zeros(rows, columns);
        values.fill(value);
        cpu.dropout(rate, stream(seed, purpose, l), &mut values);
        values
    };
    let [c, h] = [tape.c.columns(), tape.h.columns()];
    let (positions, rates) = (steps.positions(), model.dropout);
    if rates.recurrent > 0.0 {
        let mask = dropped(rates.recurrent, Purpose::Mask, [steps.batch(), h], 1.0);
        tape.set_mask(steps, mask);
    }
    if rates.zoneout_c > 0.0 || rates.zoneout_h > 0.0 {
        let share =
            |rate, purpose, columns| dropped(rate, purpose, [positions, columns], 1.0 - rate);
        let u_c = share(rates.zoneout_c, Purpose::CellShare, c);
        tape.set_shares(steps, u_c, share(rates.zoneout_h, Purpose::HiddenShare, h));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Dropout;

    #[test]
    fn layers_add_up() {
        let shape = |text| Shape::parse(text).unwrap();
        let flop = |text| work(&shape(text), &ModelConfig::default(), Mode::Forward, None).flop;
        // 8·N·H·(I + H): 8·6·5·9, and 8·6·5·10 for a second layer.
        assert_eq!(flop("T3,B2,I4,H5"), 2160.0);
        assert_eq!(flop("T3,B2,I4,H5,L2"), 2160.0 + 2400.0);
        // Lengths 18 7 5 3 3 2 2 2: N = 42.
        assert_eq!(flop("T20,B8,I4,H5,lengths=skew"), 8.0 * 42.0 * 45.0);
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
        let shape = Shape::parse("T9,B5,I3,H4,L2,lengths=skew").unwrap();
        let cpu = cpu::Cpu::new(1).unwrap();
        let mut stack = Stack::new(&cpu, &shape, &model, Mode::Training, 1);
        stack.forward(&cpu);
        stack.backward(&cpu);
        let positions = stack.steps.positions();
        assert_eq!(positions as f64, shape.positions());
        let some = |matrix: &Matrix<f32>| matrix.as_slice().iter().any(|&x| x != 0.0);
        for layer in &stack.layers {
            assert!(layer.grads.as_ref().into_vec().into_iter().all(some), "{model:?}");
            assert!(some(&layer.tape.h));
        }
        // The gradient of the input is the last one made.
        assert_eq!(stack.dx[0].shape(), [positions, 3]);
        let h = &stack.layers[0].tape.h;
        assert_eq!(stack.layers[0].passed.as_slice(), &h.as_slice()[5 * h.columns()..]);
    }
}
