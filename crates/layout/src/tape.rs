//! What the forward pass of a recurrent layer keeps, and what reaches its start.

use crate::{Cell, Matrix, RecurrentDims, Steps};

/// The gradient that reaches the start of every row of a layer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RecurrentStart<M> {
    /// ∂L/∂h₀, `[B, R]`.
    pub dh_0: M,
    /// ∂L/∂c₀, `[B, H]`; `[B, 0]` where there is no cell state.
    pub dc_0: M,
}

/// How much the forward pass keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keep {
    /// Gates and states: with an LSTM `6 · H` numbers a position.
    #[default]
    Gates,
    /// States alone, `2 · H` numbers a position: the backward pass makes the gates again from the
    /// input and the states, which costs as much as the products of the forward pass but has nothing
    /// serial in it.
    States,
}

/// What the forward pass keeps of a whole sequence so that it can be undone.
///
/// N positions, B rows, laid out by [`Steps`]; with an LSTM `6 · H` numbers a position. What a cell
/// does not have is empty. tanh c is not kept: the backward pass computes it again, which is cheaper
/// than to write and read H more numbers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RecurrentTape<M> {
    /// Activated gates, `[N, G·H]`. Where the input's share of the pre-activations,
    /// `x·w_xᵀ`, is made before the recurrence, it stands here first; the bias joins it on the way. `[0, G·H]` where
    /// the tape keeps the states alone.
    pub a: M,
    /// GRU: what the candidate hears of the past, `h_prev·w_hnᵀ + b_hn`, `[N, H]`.
    pub q: M,
    /// Cell states in slots, `[B + N, H]`; slot 0 is where the rows start.
    pub c: M,
    /// Hidden states in slots, `[B + N, R]`; slot 0 is where the rows start.
    pub h: M,
    /// With a projection: what is projected, `o ⊙ tanh c`, `[N, H]`.
    pub m: M,
    /// What the recurrent product sees of each row's hidden states: a factor an entry, the same at all
    /// steps, `[B, R]`. Whoever starts a batch sets it after that; `[B, 0]`, as the start leaves it: all.
    pub mask: M,
    /// With a mask: what the recurrent product reads at each position, `mask ⊙ h_prev`, `[N, R]`.
    pub masked: M,
    /// What a layer with zoneout reads and keeps beside that.
    pub zone: ZoneTape<M>,
    /// What a normalised layer keeps beside that.
    pub norm: NormTape<M>,
}

/// Zoneout: which share of what a step computes enters the states, and what it has computed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ZoneTape<M> {
    /// Share of the new cell state that enters, `[N, H]`: 0 or 1, or something between. Whoever starts a
    /// batch sets both; `[N, 0]`, as the start leaves them: all of it.
    pub u_c: M,
    /// The same of the hidden state, `[N, R]`.
    pub u_h: M,
    /// The new cell states ĉ, `[N, H]`.
    pub c: M,
    /// The new hidden states ĥ, `[N, R]`.
    pub h: M,
}

/// Numbers of mean 0 and variance 1, before gain and bias, and what they were divided by.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NormTape<M> {
    /// Of the input's product, `[N, 4H]`.
    pub x: M,
    /// Of the recurrent product, `[N, 4H]`.
    pub h: M,
    /// Of the cell state, `[N, H]`.
    pub c: M,
    /// The three deviations of a position, `[N, 3]`.
    pub deviation: M,
}

impl<M> RecurrentTape<M> {
    /// Another value in each place.
    pub fn map<U>(self, mut f: impl FnMut(M) -> U) -> RecurrentTape<U> {
        let NormTape { x, h, c, deviation } = self.norm;
        let ZoneTape { u_c, u_h, c: new_c, h: new_h } = self.zone;
        RecurrentTape {
            a: f(self.a),
            q: f(self.q),
            c: f(self.c),
            h: f(self.h),
            m: f(self.m),
            mask: f(self.mask),
            masked: f(self.masked),
            zone: ZoneTape { u_c: f(u_c), u_h: f(u_h), c: f(new_c), h: f(new_h) },
            norm: NormTape { x: f(x), h: f(h), c: f(c), deviation: f(deviation) },
        }
    }

    /// A reference to each value.
    pub fn as_ref(&self) -> RecurrentTape<&M> {
        let NormTape { x, h, c, deviation } = &self.norm;
        let ZoneTape { u_c, u_h, c: new_c, h: new_h } = &self.zone;
        RecurrentTape {
            a: &self.a,
            q: &self.q,
            c: &self.c,
            h: &self.h,
            m: &self.m,
            mask: &self.mask,
            masked: &self.masked,
            zone: ZoneTape { u_c, u_h, c: new_c, h: new_h },
            norm: NormTape { x, h, c, deviation },
        }
    }

    /// A reference to each value, to write.
    pub fn as_mut(&mut self) -> RecurrentTape<&mut M> {
        let NormTape { x, h, c, deviation } = &mut self.norm;
        let ZoneTape { u_c, u_h, c: new_c, h: new_h } = &mut self.zone;
        RecurrentTape {
            a: &mut self.a,
            q: &mut self.q,
            c: &mut self.c,
            h: &mut self.h,
            m: &mut self.m,
            mask: &mut self.mask,
            masked: &mut self.masked,
            zone: ZoneTape { u_c, u_h, c: new_c, h: new_h },
            norm: NormTape { x, h, c, deviation },
        }
    }
}

impl<S: Copy + Default> RecurrentTape<Matrix<S>> {
    /// Whether the recurrent product sees the hidden states through a mask.
    pub fn is_masked(&self) -> bool {
        self.mask.columns() > 0
    }

    /// Sets the mask of a tape that has been started, and makes room for what passes it.
    ///
    /// # Panics
    ///
    /// Where it is not `[B, R]`.
    pub fn set_mask(&mut self, steps: &Steps, mask: Matrix<S>) {
        assert_eq!(mask.shape(), [steps.batch(), self.h.columns()], "mask is [B, R]");
        self.masked.resize(steps.positions(), mask.columns());
        self.mask = mask;
    }

    /// Whether a part of the states stays as it was.
    pub fn is_zoned(&self) -> bool {
        self.zone.u_h.columns() > 0
    }

    /// Sets the shares of a tape that has been started, and makes room for the new states.
    ///
    /// # Panics
    ///
    /// Where they are not `[N, H]` (`[N, 0]` where there is no cell state) and `[N, R]`.
    pub fn set_shares(&mut self, steps: &Steps, u_c: Matrix<S>, u_h: Matrix<S>) {
        let positions = steps.positions();
        assert_eq!(u_c.shape(), [positions, self.c.columns()], "u_c is [N, H]");
        assert_eq!(u_h.shape(), [positions, self.h.columns()], "u_h is [N, R]");
        self.zone.c.resize(positions, u_c.columns());
        self.zone.h.resize(positions, u_h.columns());
        (self.zone.u_c, self.zone.u_h) = (u_c, u_h);
    }

    /// Gives the tape the shape of a batch and sets the start of every row to zero; it will keep
    /// gates and states.
    pub fn start(&mut self, steps: &Steps, dims: RecurrentDims) {
        self.start_keeping(steps, dims, Keep::Gates);
    }

    /// The same for a tape that keeps more or less. A normalised layer keeps everything: it would
    /// have to make not only its gates but its deviations again.
    pub fn start_keeping(&mut self, steps: &Steps, dims: RecurrentDims, keep: Keep) {
        let RecurrentDims { cell, hidden, projection, .. } = dims;
        let keep = if cell == Cell::LayerNorm { Keep::Gates } else { keep };
        let gates = cell.gates() * hidden;
        let rows = if keep == Keep::Gates { steps.positions() } else { 0 };
        let width_if = |wanted: bool, width| if wanted { width } else { 0 };
        self.a.resize(rows, gates);
        self.q.resize(rows, width_if(cell == Cell::Gru, hidden));
        self.c.resize(steps.slots(), dims.cell_width());
        self.h.resize(steps.slots(), dims.width());
        self.m.resize(steps.positions(), width_if(projection.is_some(), hidden));
        self.mask.resize(steps.batch(), 0);
        self.masked.resize(steps.positions(), 0);
        let ZoneTape { u_c, u_h, c, h } = &mut self.zone;
        for part in [u_c, u_h, c, h] {
            part.resize(steps.positions(), 0);
        }
        let normalised = cell == Cell::LayerNorm;
        self.norm.x.resize(rows, width_if(normalised, gates));
        self.norm.h.resize(rows, width_if(normalised, gates));
        self.norm.c.resize(rows, width_if(normalised, hidden));
        self.norm.deviation.resize(rows, width_if(normalised, 3));
        for state in [&mut self.c, &mut self.h] {
            let start = steps.batch() * state.columns();
            state.as_mut_slice()[..start].fill(S::default());
        }
    }
}
