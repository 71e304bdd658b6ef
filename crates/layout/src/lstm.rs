//! The memory of one LSTM layer.

use crate::{Matrix, ShapeError, Steps, check_shape};

/// Number of gates: the pre-activations of a row are `4 · H` numbers.
pub const GATES: usize = 4;

/// The four gates in the order in which their blocks of H lie inside `4H`: PyTorch's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Gate {
    /// How much of the candidate enters the cell.
    Input = 0,
    /// How much of the old cell stays.
    Forget = 1,
    /// The candidate, written `g`.
    Candidate = 2,
    /// How much of the cell shows outside.
    Output = 3,
}

/// The two sizes of an LSTM layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LstmDims {
    /// Width of the input, I.
    pub input: usize,
    /// Number of units, H.
    pub hidden: usize,
}

/// Parameters of one LSTM layer, or their gradients: the same names, the same shapes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LstmParams<M> {
    /// Input weights, `[4H, I]`.
    pub w_x: M,
    /// Recurrent weights, `[4H, H]`.
    pub w_h: M,
    /// One bias for both, `[1, 4H]`. PyTorch has two, of which only the sum matters.
    pub b: M,
}

impl<S: Copy + Default> LstmParams<Matrix<S>> {
    /// All zeros, in the shapes that `dims` asks for.
    pub fn zeros(dims: LstmDims) -> Self {
        let rows = GATES * dims.hidden;
        Self {
            w_x: Matrix::zeros(rows, dims.input),
            w_h: Matrix::zeros(rows, dims.hidden),
            b: Matrix::zeros(1, rows),
        }
    }

    /// Checks the three shapes against each other and returns the sizes they agree on.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] names the first tensor that does not fit.
    pub fn dims(&self) -> Result<LstmDims, ShapeError> {
        let dims = LstmDims { input: self.w_x.columns(), hidden: self.w_h.columns() };
        let rows = GATES * dims.hidden;
        check_shape("w_h", "[4H, H]", [rows, dims.hidden], self.w_h.shape())?;
        check_shape("w_x", "[4H, I]", [rows, dims.input], self.w_x.shape())?;
        check_shape("b", "[1, 4H]", [1, rows], self.b.shape())?;
        Ok(dims)
    }
}

/// The gradient that reaches the start of every row of a layer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LstmStart<M> {
    /// ∂L/∂h₀, `[B, H]`.
    pub dh_0: M,
    /// ∂L/∂c₀, `[B, H]`.
    pub dc_0: M,
}

/// How much the forward pass keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keep {
    /// Gates and states, `6 · H` numbers a position.
    #[default]
    Gates,
    /// States alone, `2 · H` numbers a position: the backward pass makes the gates again from the
    /// input and the states, which costs as much as the products of the forward pass but has nothing
    /// serial in it.
    States,
}

/// What the forward pass keeps of a whole sequence so that it can be undone.
///
/// N positions, B rows, laid out by [`Steps`]; `6 · H` numbers a position. tanh c is not kept: the
/// backward pass computes it again, which is cheaper than to write and read H more numbers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LstmTape<M> {
    /// Activated gates `i f g o`, `[N, 4H]`. Where the input's share of the pre-activations,
    /// `x·w_xᵀ`, is made before the recurrence, it stands here first; the bias joins it on the way. `[0, 4H]` where
    /// the tape keeps the states alone.
    pub a: M,
    /// Cell states in slots, `[B + N, H]`; slot 0 is where the rows start.
    pub c: M,
    /// Hidden states in slots, `[B + N, H]`; slot 0 is where the rows start.
    pub h: M,
}

impl<S: Copy + Default> LstmTape<Matrix<S>> {
    /// Gives the tape the shape of a batch and sets the start of every row to zero; it will keep
    /// gates and states.
    pub fn start(&mut self, steps: &Steps, hidden: usize) {
        self.start_keeping(steps, hidden, Keep::Gates);
    }

    /// The same for a tape that keeps more or less.
    pub fn start_keeping(&mut self, steps: &Steps, hidden: usize, keep: Keep) {
        let rows = if keep == Keep::Gates { steps.positions() } else { 0 };
        self.a.resize(rows, GATES * hidden);
        self.c.resize(steps.slots(), hidden);
        self.h.resize(steps.slots(), hidden);
        for state in [&mut self.c, &mut self.h] {
            state.as_mut_slice()[..steps.batch() * hidden].fill(S::default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_know_their_sizes_and_refuse_a_mixture() {
        let dims = LstmDims { input: 3, hidden: 5 };
        let mut params = LstmParams::<Matrix<f32>>::zeros(dims);
        assert_eq!(params.dims(), Ok(dims));
        params.b = Matrix::zeros(1, 19);
        assert_eq!(
            params.dims().unwrap_err().to_string(),
            "b should be [1, 4H] = [1, 20], found [1, 19]"
        );
    }
}
