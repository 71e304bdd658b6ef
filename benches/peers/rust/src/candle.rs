//! candle-nn's LSTM.
//!
//! Generous to candle: x lies time first behind a transposed view, so that the copy which
//! `RNN::seq` makes of every x_t costs nothing, and the outputs of a layer are stacked the same way;
//! the second bias, of which Tidegate has only one, is left out.

use std::collections::HashMap;

use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::{LSTM, LSTMConfig, RNN, VarBuilder, lstm};

use crate::Mode;
use crate::data::Numbers;

/// A stack of LSTM layers with its input.
pub struct Peer {
    layers: Vec<LSTM>,
    weights: Vec<Var>,
    /// `[T, B, I]`; a variable in training.
    x: Tensor,
    /// `[T, B, H]`
    dh: Tensor,
    mode: Mode,
}

impl Peer {
    /// Copies the numbers into tensors; in training the weights and x are variables.
    pub fn new(numbers: &Numbers, mode: Mode) -> Result<Peer> {
        let shape = numbers.shape;
        let hidden = shape.hidden;
        let mut weights = Vec::new();
        let mut leaf = |values: &[f32], dims: &[usize]| -> Result<Tensor> {
            let tensor = Tensor::from_slice(values, dims, &Device::Cpu)?;
            if mode == Mode::Forward {
                return Ok(tensor);
            }
            let variable = Var::from_tensor(&tensor)?;
            let tensor = variable.as_tensor().clone();
            weights.push(variable);
            Ok(tensor)
        };
        let config = LSTMConfig { b_hh_init: None, ..Default::default() };
        let mut layers = Vec::new();
        for layer in &numbers.layers {
            let tensors = HashMap::from([
                ("weight_ih_l0".to_string(), leaf(&layer.w_x, &[4 * hidden, layer.input])?),
                ("weight_hh_l0".to_string(), leaf(&layer.w_h, &[4 * hidden, hidden])?),
                ("bias_ih_l0".to_string(), leaf(&layer.b, &[4 * hidden])?),
            ]);
            let builder = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
            layers.push(lstm(layer.input, hidden, config, builder)?);
        }
        let x = leaf(&numbers.x, &[shape.steps, shape.batch, shape.input])?;
        let dh =
            Tensor::from_slice(&numbers.dh, &[shape.steps, shape.batch, hidden], &Device::Cpu)?;
        Ok(Peer { layers, weights, x, dh, mode })
    }

    /// h, `[T, B, H]`.
    fn forward(&self) -> Result<Tensor> {
        let mut h = self.x.clone();
        for layer in &self.layers {
            let states = layer.seq(&h.transpose(0, 1)?)?;
            let states: Vec<&Tensor> = states.iter().map(|state| state.h()).collect();
            h = Tensor::stack(&states, 0)?;
        }
        Ok(h)
    }

    /// The timed work.
    pub fn call(&self) -> Result<()> {
        let h = self.forward()?;
        if self.mode == Mode::Training {
            let gradients = (h * &self.dh)?.sum_all()?.backward()?;
            assert!(self.weights.iter().all(|weight| gradients.get(weight).is_some()));
        }
        Ok(())
    }

    /// h and dx, for the comparison with burn.
    #[cfg(test)]
    pub fn outputs(&self) -> Result<(Vec<f32>, Vec<f32>)> {
        let h = self.forward()?;
        let gradients = (&h * &self.dh)?.sum_all()?.backward()?;
        let dx = gradients.get(&self.x).expect("x is a variable");
        Ok((h.flatten_all()?.to_vec1()?, dx.flatten_all()?.to_vec1()?))
    }
}
