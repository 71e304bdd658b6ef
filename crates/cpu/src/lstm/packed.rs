//! The weights of a layer, packed once for as many answers as may come.
//!
//! Training packs weights in every call, since every step changes them. Answers do not: there they
//! are laid out once, for batches ([`Cpu::lstm_forward_packed`]) and for single users
//! ([`Cpu::lstm_step`]) alike.

use super::forward::Input;
use crate::{Cpu, Path};
use layout::{Aligned, LstmParams, LstmTape, Matrix, Steps};

/// The weights of a layer, packed by gates for one path.
#[derive(Debug, Clone)]
pub struct PackedLstm {
    path: Path,
    hidden: usize,
    w_h: Aligned<f32>,
    b: Vec<f32>,
    /// Width I of the input and its weights, where they were packed.
    w_x: Option<(usize, Aligned<f32>)>,
}

impl PackedLstm {
    /// Number of units H.
    pub fn hidden(&self) -> usize {
        self.hidden
    }

    /// The recurrent weights, for kernels of this path.
    ///
    /// # Panics
    ///
    /// Where they were packed for another.
    pub(crate) fn w_h(&self, path: Path) -> &[f32] {
        assert_eq!(self.path, path, "weights packed for this path");
        &self.w_h
    }
}

impl Cpu {
    /// Packs the weights of a layer: those of the input too where it comes as a matrix, and not as a
    /// product that was made elsewhere.
    ///
    /// # Panics
    ///
    /// Where the shapes do not fit.
    pub fn pack_lstm(&self, params: &LstmParams<Matrix<f32>>, with_input: bool) -> PackedLstm {
        let hidden = super::hidden_units(params, with_input);
        let inputs = params.w_x.columns();
        let pack = |w: &Matrix<f32>| -> Aligned<f32> {
            self.packed_gates(w.as_slice(), hidden, w.columns()).iter().copied().collect()
        };
        PackedLstm {
            path: self.path,
            hidden,
            w_h: pack(&params.w_h),
            b: params.b.as_slice().to_vec(),
            w_x: with_input.then(|| (inputs, pack(&params.w_x))),
        }
    }

    /// [`Cpu::lstm_forward`] with weights that were packed before, to the last bit.
    ///
    /// # Panics
    ///
    /// Where the shapes do not fit, where the weights were packed for another path, or without those
    /// of an input that comes.
    pub fn lstm_forward_packed(
        &self,
        layer: &PackedLstm,
        x: Option<&Matrix<f32>>,
        steps: &Steps,
        tape: &mut LstmTape<Matrix<f32>>,
    ) {
        if steps.positions() == 0 {
            return;
        }
        let input = match (x, &layer.w_x) {
            (Some(x), Some((inputs, w_x))) => {
                assert_eq!(x.shape(), [steps.positions(), *inputs], "x is [N, I]");
                Input::Rows { x: x.as_slice(), inputs: *inputs, w_x }
            }
            (Some(_), None) => panic!("weights packed with those of the input"),
            (None, _) => Input::Product,
        };
        self.run_forward(layer.hidden, input, layer.w_h(self.path), &layer.b, steps, tape);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use layout::{GATES, Keep};
    use testkit::wave_matrix as wave;

    #[test]
    fn packed_before_or_in_the_call_the_bits_are_the_same() {
        for path in Path::available() {
            let cpu = Cpu::with_path(2, path).unwrap();
            for (steps, inputs, hidden) in [
                (Steps::uniform(4, 1), 3, 5),
                (Steps::from_lengths(&[9, 7, 7, 2, 1]), 9, 33),
                (Steps::from_lengths(&[4, 4, 2]), 6, 161),
                (Steps::uniform(3, 50), 7, 16),
            ] {
                let params = LstmParams {
                    w_x: wave(GATES * hidden, inputs, 0.1),
                    w_h: wave(GATES * hidden, hidden, 0.2),
                    b: wave(1, GATES * hidden, 0.3),
                };
                let x = wave(steps.positions(), inputs, 0.4);
                let product = wave(steps.positions(), GATES * hidden, 0.5);
                let packed = cpu.pack_lstm(&params, true);
                let without_input = cpu.pack_lstm(&params, false);
                for (keep, x) in
                    [(Keep::Gates, Some(&x)), (Keep::States, Some(&x)), (Keep::Gates, None)]
                {
                    let mut expected = LstmTape::default();
                    expected.start_keeping(&steps, hidden, keep);
                    if x.is_none() {
                        expected.a = product.clone();
                    }
                    let mut found = expected.clone();
                    let layer = if x.is_some() { &packed } else { &without_input };
                    cpu.run(|| {
                        cpu.lstm_forward(&params, x, &steps, &mut expected);
                        cpu.lstm_forward_packed(layer, x, &steps, &mut found);
                    });
                    assert_eq!(found, expected, "{path:?} {inputs} {hidden} {keep:?}");
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "packed with those of the input")]
    fn an_input_wants_its_weights() {
        let cpu = Cpu::with_path(1, Path::available()[0]).unwrap();
        let params = LstmParams::zeros(layout::LstmDims { input: 2, hidden: 3 });
        let steps = Steps::uniform(1, 1);
        let mut tape = LstmTape::default();
        tape.start(&steps, 3);
        let x = Matrix::zeros(1, 2);
        cpu.lstm_forward_packed(&cpu.pack_lstm(&params, false), Some(&x), &steps, &mut tape);
    }
}
