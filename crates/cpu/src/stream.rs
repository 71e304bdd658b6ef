//! One step for one user, while the user is still clicking.
//!
//! ```text
//!     once      w_h packed by gates; for every item  table[item] = E[item]·w_xᵀ + b
//!     a step    z = table[item] + h_prev·w_hᵀ, and at once the gates, c and h
//! ```
//!
//! A single row leaves nothing to share among threads and nothing to read twice: the step takes as
//! long as `w_h` takes to come from the cache that holds it. It allocates nothing, and its bits are
//! those of [`Cpu::lstm_forward`].

use crate::Cpu;
use crate::lstm::PackedLstm;
use crate::math::{sigmoid, tanh};
use crate::simd::{Kernel, Lanes, row_tile};
use layout::{Accumulate, GATES, LstmParams, Matrix};

/// Where a user's layer stands: `h` and `c`, H numbers each.
#[derive(Debug, Clone, Default)]
pub struct LstmState {
    h: Vec<f32>,
    c: Vec<f32>,
    /// The next `h` is written here while the last one is read.
    spare: Vec<f32>,
}

impl LstmState {
    /// The start of every session: zeros.
    pub fn new(hidden: usize) -> Self {
        Self { h: vec![0.0; hidden], c: vec![0.0; hidden], spare: vec![0.0; hidden] }
    }

    /// Back to the start of a session.
    pub fn clear(&mut self) {
        self.h.fill(0.0);
        self.c.fill(0.0);
    }

    /// The hidden state.
    pub fn h(&self) -> &[f32] {
        &self.h
    }

    /// The cell state.
    pub fn c(&self) -> &[f32] {
        &self.c
    }
}

impl Cpu {
    /// `table = x·w_xᵀ + b`: what each row of x gives to the pre-activations; x `[V, I]`, table
    /// `[V, 4H]`.
    ///
    /// # Panics
    ///
    /// Where the shapes do not fit.
    pub fn lstm_input_table(
        &self,
        params: &LstmParams<Matrix<f32>>,
        x: &Matrix<f32>,
        table: &mut Matrix<f32>,
    ) {
        self.linear_forward(&params.w_x, x, Accumulate::Replace, table);
        self.bias_forward(&params.b, table.as_mut_slice());
    }

    /// One step of one row: `input` is its row of [`Cpu::lstm_input_table`], 4H numbers.
    ///
    /// ```text
    ///     z = input + h·w_hᵀ       i, f, o = σ(z_i, z_f, z_o)    g = tanh(z_g)
    ///     c ← f ⊙ c + i ⊙ g        h ← o ⊙ tanh(c)
    /// ```
    ///
    /// # Panics
    ///
    /// Where the sizes do not fit, or where the weights were packed for another path.
    pub fn lstm_step(&self, layer: &PackedLstm, input: &[f32], state: &mut LstmState) {
        let hidden = layer.hidden();
        assert_eq!(input.len(), GATES * hidden, "an input of 4H");
        assert_eq!((state.h.len(), state.c.len()), (hidden, hidden), "a state of H");
        let w_h = layer.w_h(self.path);
        let LstmState { h, c, spare } = state;
        self.path.run(Step { hidden, w_h, input, h_prev: h, c, h: spare });
        std::mem::swap(h, spare);
    }
}

struct Step<'a> {
    hidden: usize,
    w_h: &'a [f32],
    input: &'a [f32],
    h_prev: &'a [f32],
    c: &'a mut [f32],
    h: &'a mut [f32],
}

impl Kernel for Step<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(mut self, lanes: L) {
        let groups = self.hidden.div_ceil(L::WIDTH);
        // The sums of one group, where it has four registers of them, are enough to hide the latency of
        // each, and one panel comes faster than two side by side.
        let at_once = if L::GATES_AT_ONCE == GATES { 1 } else { 2 };
        for group in (0..groups).step_by(at_once) {
            match (groups - group, L::GATES_AT_ONCE) {
                (1, 2) => self.groups::<L, 1, 2, 2>(lanes, group),
                (_, 2) => self.groups::<L, 2, 4, 2>(lanes, group),
                _ => self.groups::<L, 1, 1, 4>(lanes, group),
            }
        }
    }
}

impl Step<'_> {
    /// GROUPS neighbouring groups of units, whose weights lie in PANELS panels of VECTORS gates.
    #[inline(always)]
    fn groups<L: Lanes, const GROUPS: usize, const PANELS: usize, const VECTORS: usize>(
        &mut self,
        lanes: L,
        first: usize,
    ) {
        let hidden = self.hidden;
        let passes = GATES / VECTORS;
        let panel = hidden * VECTORS * L::WIDTH;
        let mut panels: [&[f32]; PANELS] = [&[]; PANELS];
        let mut z = [[lanes.splat(0.0); VECTORS]; PANELS];
        for (p, (panels, z)) in panels.iter_mut().zip(&mut z).enumerate() {
            *panels = &self.w_h[(first * passes + p) * panel..][..panel];
            let unit = (first + p / passes) * L::WIDTH;
            let units = L::WIDTH.min(hidden - unit);
            for (v, z) in z.iter_mut().enumerate() {
                let gate = p % passes * VECTORS + v;
                *z = lanes.load_partial(&self.input[gate * hidden + unit..][..units]);
            }
        }
        row_tile::<L, PANELS, VECTORS>(lanes, self.h_prev, panels, &mut z);
        let mut gates = [[lanes.splat(0.0); GROUPS]; GATES];
        for (gate, values) in gates.iter_mut().enumerate() {
            for (group, value) in values.iter_mut().enumerate() {
                *value = z[group * passes + gate / VECTORS][gate % VECTORS];
            }
        }
        let [i, f, g, o] = gates;
        let (i, f, g, o) =
            (sigmoid(lanes, i), sigmoid(lanes, f), tanh(lanes, g), sigmoid(lanes, o));
        let mut c = [lanes.splat(0.0); GROUPS];
        let cells = |group: usize| {
            let unit = (first + group) * L::WIDTH;
            unit..hidden.min(unit + L::WIDTH)
        };
        for group in 0..GROUPS {
            let c_prev = lanes.load_partial(&self.c[cells(group)]);
            let sum = lanes.mul_add(f[group], c_prev, lanes.mul(i[group], g[group]));
            c[group] = lanes.without_dust(sum);
            lanes.store_partial(c[group], &mut self.c[cells(group)]);
        }
        let u = tanh(lanes, c);
        for group in 0..GROUPS {
            lanes.store_partial(lanes.mul(o[group], u[group]), &mut self.h[cells(group)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use layout::{LstmTape, Steps};
    use testkit::wave_matrix as wave;

    /// Sizes below, at and beyond one and two registers of every path.
    #[test]
    fn steps_have_the_bits_of_the_sequence() {
        for path in crate::Path::available() {
            let cpu = Cpu::with_path(2, path).unwrap();
            for (inputs, hidden) in [(1, 1), (3, 7), (5, 8), (2, 17), (4, 33), (7, 100)] {
                let params = LstmParams {
                    w_x: wave(GATES * hidden, inputs, 0.1),
                    w_h: wave(GATES * hidden, hidden, 0.2),
                    b: wave(1, GATES * hidden, 0.3),
                };
                let x = wave(9, inputs, 0.4);
                let steps = Steps::uniform(9, 1);
                let mut tape = LstmTape::default();
                tape.start(&steps, hidden);
                cpu.run(|| cpu.lstm_forward(&params, Some(&x), &steps, &mut tape));

                let mut table = Matrix::default();
                cpu.lstm_input_table(&params, &x, &mut table);
                let packed = cpu.pack_lstm(&params, false);
                let mut state = LstmState::new(hidden);
                for t in 0..9 {
                    cpu.lstm_step(&packed, table.row(t), &mut state);
                    assert_eq!(state.h(), tape.h.row(t + 1), "{path:?} {inputs} {hidden} h, {t}");
                    assert_eq!(state.c(), tape.c.row(t + 1), "{path:?} {inputs} {hidden} c, {t}");
                }
                state.clear();
                assert_eq!(state.h(), &vec![0.0; hidden]);
            }
        }
    }
}
