//! burn's LSTM on its flex backend.
//!
//! Its eight linear layers a cell are as burn has them; `GateController` always carries both biases
//! or none, so that the second is there and zero.

use burn::module::Param;
use burn::nn::{GateController, Linear, Lstm, LstmConfig};
use burn::tensor::{Device, Tensor, TensorData};

use crate::Mode;
use crate::data::{Layer, Numbers};

/// A stack of LSTM layers with its input.
pub struct Peer {
    layers: Vec<Lstm>,
    /// `[T, B, I]`
    x: Tensor<3>,
    /// `[T, B, H]`
    dh: Tensor<3>,
    mode: Mode,
}

/// One gate's rows of a `[4H, columns]` matrix as burn's `[columns, H]`.
fn linear(matrix: &[f32], bias: &[f32], columns: usize, gate: usize, device: &Device) -> Linear {
    let hidden = matrix.len() / columns / 4;
    let block = &matrix[gate * hidden * columns..][..hidden * columns];
    let transposed: Vec<f32> =
        (0..columns * hidden).map(|k| block[k % hidden * columns + k / hidden]).collect();
    let weight = TensorData::new(transposed, [columns, hidden]);
    let bias = TensorData::new(bias[gate * hidden..][..hidden].to_vec(), [hidden]);
    Linear {
        weight: Param::from_tensor(Tensor::from_data(weight, device)),
        bias: Some(Param::from_tensor(Tensor::from_data(bias, device))),
    }
}

fn lstm(layer: &Layer, hidden: usize, device: &Device) -> Lstm {
    let zeros = vec![0.0; 4 * hidden];
    let gate = |k: usize| GateController {
        input_transform: linear(&layer.w_x, &layer.b, layer.input, k, device),
        hidden_transform: linear(&layer.w_h, &zeros, hidden, k, device),
    };
    let mut lstm = LstmConfig::new(layer.input, hidden, true).with_batch_first(false).init(device);
    (lstm.input_gate, lstm.forget_gate) = (gate(0), Some(gate(1)));
    (lstm.cell_gate, lstm.output_gate) = (gate(2), gate(3));
    lstm
}

impl Peer {
    /// Copies the numbers into tensors; in training on an autodiff device.
    pub fn new(numbers: &Numbers, mode: Mode) -> Peer {
        let shape = numbers.shape;
        let training = mode == Mode::Training;
        let device = if training { Device::flex().autodiff() } else { Device::flex() };
        let layers = numbers.layers.iter().map(|l| lstm(l, shape.hidden, &device)).collect();
        let block = |values: &[f32], last: usize| {
            let data = TensorData::new(values.to_vec(), [shape.steps, shape.batch, last]);
            Tensor::<3>::from_data(data, &device)
        };
        let x = block(&numbers.x, shape.input);
        let x = if training { x.require_grad() } else { x };
        Peer { layers, x, dh: block(&numbers.dh, shape.hidden), mode }
    }

    /// h, `[T, B, H]`.
    fn forward(&self) -> Tensor<3> {
        self.layers.iter().fold(self.x.clone(), |h, layer| layer.forward(h, None).0)
    }

    /// The timed work; flex computes at once, there is nothing to wait for.
    pub fn call(&self) {
        let h = self.forward();
        if self.mode == Mode::Training {
            let gradients = (h * self.dh.clone()).sum().backward();
            assert!(self.x.grad(&gradients).is_some());
            let first = &self.layers[0].input_gate.input_transform.weight;
            assert!(first.val().grad(&gradients).is_some());
        }
    }

    /// h and dx, for the comparison with candle.
    #[cfg(test)]
    pub fn outputs(&self) -> (Vec<f32>, Vec<f32>) {
        let h = self.forward();
        let gradients = (h.clone() * self.dh.clone()).sum().backward();
        let dx = self.x.grad(&gradients).expect("x wants its gradient");
        let values = |tensor: Tensor<3>| tensor.into_data().try_to_vec::<f32>().expect("f32");
        (values(h), values(dx))
    }
}
