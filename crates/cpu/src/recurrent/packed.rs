//! The weights of a layer, packed once for as many answers as may come.
//!
//! Training packs weights in every call, since every step changes them. Answers do not: there they
//! are laid out once, for batches ([`Cpu::recurrent_forward_packed`]) and for single users
//! ([`Cpu::recurrent_step`]) alike.

use super::forward::{Input, Weights};
use super::layer_norm::Operands;
use crate::panel::{Panels, Source};
use crate::{Cpu, Path};
use layout::{Aligned, Matrix, NormParams, RecurrentDims, RecurrentParams, RecurrentTape, Steps};

/// The weights of a layer, packed by gates for one path.
#[derive(Debug, Clone)]
pub struct PackedRecurrent {
    path: Path,
    dims: RecurrentDims,
    w_h: Aligned<f32>,
    b: Vec<f32>,
    p: Vec<f32>,
    /// The weights of the input, where they were packed.
    w_x: Option<Aligned<f32>>,
    /// The projection as right operand.
    w_p: Option<Panels>,
    /// Of a normalised layer: all weights as right operands, and none of those above.
    normalized: Option<(NormParams<Matrix<f32>>, Operands<Panels>)>,
}

impl PackedRecurrent {
    /// Which cell, and its sizes.
    pub fn dims(&self) -> RecurrentDims {
        self.dims
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

    /// The bias.
    pub(crate) fn b(&self) -> &[f32] {
        &self.b
    }

    /// Peepholes, or nothing.
    pub(crate) fn p(&self) -> &[f32] {
        &self.p
    }
}

impl Cpu {
    /// Packs the weights of a layer: those of the input too where it comes as a matrix, and not as a
    /// product that was made elsewhere.
    ///
    /// # Panics
    ///
    /// Where the shapes do not fit.
    pub fn pack_recurrent(
        &self,
        params: &RecurrentParams<Matrix<f32>>,
        with_input: bool,
    ) -> PackedRecurrent {
        let dims = super::checked(params, with_input);
        let pack = |w: &Matrix<f32>| -> Aligned<f32> {
            let panels = self.packed_gates(w.as_slice(), dims.hidden, w.columns());
            panels.iter().copied().collect()
        };
        let operand = |w: &Matrix<f32>| {
            let mut panels = Panels::default();
            panels.pack(self.path, w.columns(), w.rows(), Source::Transposed(w.as_slice()));
            panels
        };
        let mut packed = PackedRecurrent {
            path: self.path,
            dims,
            w_h: Aligned::default(),
            b: params.b.as_slice().to_vec(),
            p: super::slice_of(&params.p).to_vec(),
            w_x: None,
            w_p: None,
            normalized: None,
        };
        let w_p = params.w_p.as_ref().map(operand);
        if let Some(norm) = &params.norm {
            let w_x = with_input.then(|| operand(&params.w_x));
            let operands = Operands { w_x, w_h: operand(&params.w_h), w_p };
            packed.normalized = Some((norm.clone(), operands));
        } else {
            packed.w_h = pack(&params.w_h);
            packed.w_x = with_input.then(|| pack(&params.w_x));
            packed.w_p = w_p;
        }
        packed
    }

    /// [`Cpu::recurrent_forward`] with weights that were packed before, to the last bit.
    ///
    /// # Panics
    ///
    /// Where the shapes do not fit, where the weights were packed for another path, or without those
    /// of an input that comes.
    pub fn recurrent_forward_packed(
        &self,
        layer: &PackedRecurrent,
        x: Option<&Matrix<f32>>,
        steps: &Steps,
        tape: &mut RecurrentTape<Matrix<f32>>,
    ) {
        if steps.positions() == 0 {
            return;
        }
        let dims = layer.dims;
        if let Some((norm, Operands { w_x, w_h, w_p })) = &layer.normalized {
            assert_eq!(layer.path, self.path, "weights packed for this path");
            let operands = Operands { w_x: w_x.as_ref(), w_h, w_p: w_p.as_ref() };
            return self.normalized_forward(norm, &layer.b, &operands, x, steps, tape);
        }
        let input = match (x, &layer.w_x) {
            (Some(x), Some(w_x)) => {
                assert_eq!(x.shape(), [steps.positions(), dims.input], "x is [N, I]");
                Input::Rows { x: x.as_slice(), inputs: dims.input, w_x }
            }
            (Some(_), None) => panic!("weights packed with those of the input"),
            (None, _) => Input::Product,
        };
        let weights = Weights {
            cell: dims.cell,
            hidden: dims.hidden,
            input,
            w_h: layer.w_h(self.path),
            width: dims.width(),
            b: &layer.b,
            p: &layer.p,
        };
        self.run_forward(weights, layer.w_p.as_ref(), steps, tape);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use layout::Keep;
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
                for (cell, projection) in crate::recurrent::tests::KINDS {
                    let dims = RecurrentDims { cell, input: inputs, hidden, projection };
                    let params = crate::recurrent::tests::params(dims);
                    let x = wave(steps.positions(), inputs, 0.4);
                    let product = wave(steps.positions(), cell.gates() * hidden, 0.5);
                    let packed = cpu.pack_recurrent(&params, true);
                    let without_input = cpu.pack_recurrent(&params, false);
                    for (keep, x) in
                        [(Keep::Gates, Some(&x)), (Keep::States, Some(&x)), (Keep::Gates, None)]
                    {
                        let mut expected = RecurrentTape::default();
                        expected.start_keeping(&steps, dims, keep);
                        if x.is_none() {
                            expected.a = product.clone();
                        }
                        let mut found = expected.clone();
                        let layer = if x.is_some() { &packed } else { &without_input };
                        cpu.run(|| {
                            cpu.recurrent_forward(&params, x, &steps, &mut expected);
                            cpu.recurrent_forward_packed(layer, x, &steps, &mut found);
                        });
                        assert_eq!(found, expected, "{path:?} {dims:?} {keep:?}");
                    }
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "packed with those of the input")]
    fn an_input_wants_its_weights() {
        let cpu = Cpu::with_path(1, Path::available()[0]).unwrap();
        let params = RecurrentParams::zeros(RecurrentDims::lstm(2, 3));
        let steps = Steps::uniform(1, 1);
        let mut tape = RecurrentTape::default();
        tape.start(&steps, RecurrentDims::lstm(2, 3));
        let x = Matrix::zeros(1, 2);
        cpu.recurrent_forward_packed(
            &cpu.pack_recurrent(&params, false),
            Some(&x),
            &steps,
            &mut tape,
        );
    }
}
