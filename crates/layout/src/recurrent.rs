//! A recurrent layer: which cell it has, its sizes, its parameters.

use crate::{Matrix, ShapeError, check_shape};

/// Number of gates of the LSTM: the pre-activations of a row are `4 · H` numbers.
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

/// Which equations a recurrent layer computes.
///
/// | cell        | pre-activations z       | states  | what is its own                            |
/// |-------------|-------------------------|---------|--------------------------------------------|
/// | `Lstm`      | `[4H]`: i f g o         | `c h`   |                                            |
/// | `Peephole`  | `[4H]`: i f g o         | `c h`   | i and f see `c_prev`, o sees `c`           |
/// | `LayerNorm` | `[4H]`: i f g o         | `c h`   | both products and `c` are normalised       |
/// | `Coupled`   | `[3H]`: f g o           | `c h`   | `i = 1 − f`                                |
/// | `Gru`       | `[3H]`: r z n           | `h`     | a fourth bias, inside `r ⊙ (…)`            |
/// | `Rnn`       | `[H]`                   | `h`     | no gate at all: `h = tanh z`               |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Cell {
    /// The LSTM with a forget gate.
    #[default]
    Lstm,
    /// Its gates look at the cell state.
    Peephole,
    /// Its products and its cell state are normalised.
    LayerNorm,
    /// Input and forget gate are one.
    Coupled,
    /// The gated recurrent unit.
    Gru,
    /// The plain recurrent network.
    Rnn,
}

impl Cell {
    /// Every cell, the LSTM first.
    pub const ALL: [Self; 6] =
        [Self::Lstm, Self::Peephole, Self::LayerNorm, Self::Coupled, Self::Gru, Self::Rnn];

    /// Number G of the blocks of H in the pre-activations of a row.
    pub const fn gates(self) -> usize {
        match self {
            Self::Lstm | Self::Peephole | Self::LayerNorm => GATES,
            Self::Coupled | Self::Gru => 3,
            Self::Rnn => 1,
        }
    }

    /// Number of the blocks of H in the bias.
    pub const fn biases(self) -> usize {
        match self {
            Self::Gru => 4,
            _ => self.gates(),
        }
    }

    /// Whether there is a cell state beside the hidden one.
    pub const fn has_cell_state(self) -> bool {
        !matches!(self, Self::Gru | Self::Rnn)
    }
}

/// The cell and the sizes of a recurrent layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RecurrentDims {
    /// Which equations.
    pub cell: Cell,
    /// Width of the input, I.
    pub input: usize,
    /// Number of units, H.
    pub hidden: usize,
    /// Width P that a projection gives the hidden state. Only with a cell state.
    pub projection: Option<usize>,
}

impl RecurrentDims {
    /// An LSTM layer without a projection.
    pub fn lstm(input: usize, hidden: usize) -> Self {
        Self { input, hidden, ..Self::default() }
    }

    /// Width of the cell state: H, or 0 where there is none.
    pub fn cell_width(&self) -> usize {
        if self.cell.has_cell_state() { self.hidden } else { 0 }
    }

    /// Width R of the hidden state: P where there is a projection, or else H.
    pub fn width(&self) -> usize {
        self.projection.unwrap_or(self.hidden)
    }
}

/// Parameters of one recurrent layer, or their gradients: the same names, the same shapes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RecurrentParams<M> {
    /// Which equations they belong to.
    pub cell: Cell,
    /// Input weights, `[G·H, I]`.
    pub w_x: M,
    /// Recurrent weights, `[G·H, R]`.
    pub w_h: M,
    /// One bias for both, `[1, G·H]`. PyTorch has two, of which only the sum matters; but the GRU's
    /// candidate has two that matter, and its bias is `[1, 4H]`: `r z n`, then `b_hn`.
    pub b: M,
    /// Peepholes, `[3, H]`: from the cell state to i, f and o.
    pub p: Option<M>,
    /// Projection of the hidden state, `[P, H]`.
    pub w_p: Option<M>,
    /// Gains of the normalisation.
    pub norm: Option<NormParams<M>>,
}

/// What a normalised layer learns beside its weights. Its bias `b` serves both products.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NormParams<M> {
    /// Gain of the input's product, `[1, 4H]`.
    pub gain_x: M,
    /// Gain of the recurrent product, `[1, 4H]`.
    pub gain_h: M,
    /// Gain of the cell state, `[1, H]`.
    pub gain_c: M,
    /// Bias of the cell state, `[1, H]`.
    pub bias_c: M,
}

impl<M> RecurrentParams<M> {
    /// The parameters of an LSTM without a projection.
    pub fn lstm(w_x: M, w_h: M, b: M) -> Self {
        Self { cell: Cell::Lstm, w_x, w_h, b, p: None, w_p: None, norm: None }
    }

    /// The same parameters with another value in each place, in the order of the catalogue.
    pub fn map<U>(self, mut f: impl FnMut(M) -> U) -> RecurrentParams<U> {
        RecurrentParams {
            cell: self.cell,
            w_x: f(self.w_x),
            w_h: f(self.w_h),
            b: f(self.b),
            p: self.p.map(&mut f),
            w_p: self.w_p.map(&mut f),
            norm: self.norm.map(|norm| NormParams {
                gain_x: f(norm.gain_x),
                gain_h: f(norm.gain_h),
                gain_c: f(norm.gain_c),
                bias_c: f(norm.bias_c),
            }),
        }
    }

    /// A reference to each value.
    pub fn as_ref(&self) -> RecurrentParams<&M> {
        RecurrentParams {
            cell: self.cell,
            w_x: &self.w_x,
            w_h: &self.w_h,
            b: &self.b,
            p: self.p.as_ref(),
            w_p: self.w_p.as_ref(),
            norm: self.norm.as_ref().map(|norm| NormParams {
                gain_x: &norm.gain_x,
                gain_h: &norm.gain_h,
                gain_c: &norm.gain_c,
                bias_c: &norm.bias_c,
            }),
        }
    }

    /// A reference to each value, to write.
    pub fn as_mut(&mut self) -> RecurrentParams<&mut M> {
        RecurrentParams {
            cell: self.cell,
            w_x: &mut self.w_x,
            w_h: &mut self.w_h,
            b: &mut self.b,
            p: self.p.as_mut(),
            w_p: self.w_p.as_mut(),
            norm: self.norm.as_mut().map(|norm| NormParams {
                gain_x: &mut norm.gain_x,
                gain_h: &mut norm.gain_h,
                gain_c: &mut norm.gain_c,
                bias_c: &mut norm.bias_c,
            }),
        }
    }

    /// References to the values in the order of the catalogue.
    pub fn iter(&self) -> impl Iterator<Item = &M> {
        let norm = self.norm.iter().flat_map(|n| [&n.gain_x, &n.gain_h, &n.gain_c, &n.bias_c]);
        [&self.w_x, &self.w_h, &self.b].into_iter().chain(&self.p).chain(&self.w_p).chain(norm)
    }

    /// References to the values in the order of the catalogue, to write.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut M> {
        let Self { cell: _, w_x, w_h, b, p, w_p, norm } = self;
        let norm = norm
            .iter_mut()
            .flat_map(|n| [&mut n.gain_x, &mut n.gain_h, &mut n.gain_c, &mut n.bias_c]);
        [w_x, w_h, b].into_iter().chain(p).chain(w_p).chain(norm)
    }

    /// The values in the order of the catalogue.
    pub fn into_vec(self) -> Vec<M> {
        let mut values = Vec::new();
        self.map(|value| values.push(value));
        values
    }
}

impl RecurrentDims {
    /// The shapes of the parameters.
    pub fn shapes(&self) -> RecurrentParams<[usize; 2]> {
        let Self { cell, input, hidden, projection } = *self;
        let rows = cell.gates() * hidden;
        RecurrentParams {
            cell,
            w_x: [rows, input],
            w_h: [rows, self.width()],
            b: [1, cell.biases() * hidden],
            p: (cell == Cell::Peephole).then_some([3, hidden]),
            w_p: projection.filter(|_| cell.has_cell_state()).map(|width| [width, hidden]),
            norm: (cell == Cell::LayerNorm).then_some(NormParams {
                gain_x: [1, rows],
                gain_h: [1, rows],
                gain_c: [1, hidden],
                bias_c: [1, hidden],
            }),
        }
    }
}

impl<S: Copy + Default> RecurrentParams<Matrix<S>> {
    /// All zeros, in the shapes that `dims` asks for.
    pub fn zeros(dims: RecurrentDims) -> Self {
        dims.shapes().map(|[rows, columns]| Matrix::zeros(rows, columns))
    }

    /// Checks the shapes against each other and returns the sizes they agree on. Without an input,
    /// `w_x` is not looked at: a table of rows may stand in its place.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] names the first tensor that does not fit.
    pub fn dims(&self, with_input: bool) -> Result<RecurrentDims, ShapeError> {
        let (cell, gates) = (self.cell, self.cell.gates());
        let dims = RecurrentDims {
            cell,
            input: self.w_x.columns(),
            hidden: self.w_h.rows() / gates,
            projection: self.w_p.as_ref().map(Matrix::rows),
        };
        let names = RecurrentParams {
            cell,
            w_x: ("w_x", "[G·H, I]"),
            w_h: ("w_h", "[G·H, R]"),
            b: ("b", if cell == Cell::Gru { "[1, 4H]" } else { "[1, G·H]" }),
            p: Some(("p", "[3, H]")),
            w_p: Some(("w_p", "[P, H]")),
            norm: Some(NormParams {
                gain_x: ("gain_x", "[1, 4H]"),
                gain_h: ("gain_h", "[1, 4H]"),
                gain_c: ("gain_c", "[1, H]"),
                bias_c: ("bias_c", "[1, H]"),
            }),
        };
        let RecurrentParams { w_x, w_h, b, p, w_p, norm, .. } = dims.shapes();
        let check = |(name, letters), shape, found: &Matrix<S>| {
            check_shape(name, letters, shape, found.shape())
        };
        // Absent and unexpected are a shape too: that of nothing.
        let nothing = Matrix::default();
        let optional = |name: Option<_>, shape: Option<_>, found: &Option<Matrix<S>>| {
            let found = found.as_ref().unwrap_or(&nothing);
            check(name.expect("named above"), shape.unwrap_or([0, 0]), found)
        };
        check(names.w_h, w_h, &self.w_h)?;
        if with_input {
            check(names.w_x, w_x, &self.w_x)?;
        }
        check(names.b, b, &self.b)?;
        optional(names.p, p, &self.p)?;
        optional(names.w_p, w_p, &self.w_p)?;
        let (names, none) = (names.norm.expect("named above"), NormParams::default());
        let (norm, found) = (norm.unwrap_or_default(), self.norm.as_ref().unwrap_or(&none));
        check(names.gain_x, norm.gain_x, &found.gain_x)?;
        check(names.gain_h, norm.gain_h, &found.gain_h)?;
        check(names.gain_c, norm.gain_c, &found.gain_c)?;
        check(names.bias_c, norm.bias_c, &found.bias_c)?;
        Ok(dims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_know_their_sizes_and_refuse_a_mixture() {
        for cell in Cell::ALL {
            let projection = (cell == Cell::Coupled).then_some(2);
            let dims = RecurrentDims { cell, input: 3, hidden: 5, projection };
            let params = RecurrentParams::<Matrix<f32>>::zeros(dims);
            assert_eq!(params.dims(true), Ok(dims));
            let shapes = dims.shapes().into_vec();
            assert!(params.iter().map(Matrix::shape).eq(shapes.iter().copied()));
            assert!(params.clone().iter_mut().map(|m| m.shape()).eq(shapes));
        }
        let mut params = RecurrentParams::<Matrix<f32>>::zeros(RecurrentDims::lstm(3, 5));
        params.b = Matrix::zeros(1, 19);
        assert_eq!(
            params.dims(true).unwrap_err().to_string(),
            "b should be [1, G·H] = [1, 20], found [1, 19]"
        );
        params.b = Matrix::zeros(1, 20);
        params.p = Some(Matrix::zeros(3, 5));
        assert!(params.dims(true).unwrap_err().to_string().starts_with("p should be"));
        let mut gru = RecurrentDims { cell: Cell::Gru, ..RecurrentDims::lstm(3, 5) };
        let mut params = RecurrentParams::<Matrix<f32>>::zeros(gru);
        params.w_x = Matrix::zeros(70, 15);
        gru.input = 15;
        assert_eq!(params.dims(false), Ok(gru), "a table of rows is nobody's business");
        assert!(params.dims(true).is_err());
        params.w_p = Some(Matrix::zeros(2, 5));
        assert!(params.dims(false).is_err(), "a GRU has no projection");
    }
}
