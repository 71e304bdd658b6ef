//! Where the layers start, and where they have come to.
//!
//! ```text
//!     fresh   h_0, c_0 of every row are zero, or the learned ones      dh_0, dc_0 of all rows go to these
//!     given   h_0, c_0 of row b are row b of the workspace's states    nothing goes back through them
//! ```
//!
//! A batch says which, and whether the states after the last position of each row are kept: so a long
//! history passes window by window, or event by event, each from where the one before has ended.

use layout::{RecurrentStart, RecurrentTape};

use super::Pass;
use crate::{BatchError, Device, Model, StartParameters};

/// Hidden and cell state of every layer, the lowest first, a row for each row of a batch.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct States<M> {
    /// Hidden states, `[B, R]`.
    pub h: Vec<M>,
    /// Cell states, `[B, H]`; `[B, 0]` where a cell has none.
    pub c: Vec<M>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Tape<M> {
    /// Where rows start that are given their start; where those have ended that are to be kept.
    pub(super) states: States<M>,
    /// Row b of the states for row b, or row 0 of the learned start for all.
    rows: Vec<u32>,
    /// The last slot of each row.
    last: Vec<u32>,
    /// ∂L/∂h₀ and ∂L/∂c₀ of each layer, where they are wanted.
    gradients: Vec<RecurrentStart<M>>,
    ones: M,
}

impl<M: Default> Tape<M> {
    /// A place for the gradient of each layer's start where it is learned and this batch starts there.
    pub(super) fn gradients<D: Device<Matrix = M>>(
        &mut self,
        pass: &Pass<'_, D>,
        starts: &[StartParameters<M>],
    ) -> &mut [RecurrentStart<M>] {
        if self.gradients.len() < starts.len() {
            self.gradients.resize_with(starts.len(), || RecurrentStart {
                dh_0: M::default(),
                dc_0: M::default(),
            });
        }
        // A batch that goes on leaves the memory alone.
        &mut self.gradients[..if pass.batch.goes_on() { 0 } else { starts.len() }]
    }
}

/// Refuses a batch that goes on from states which are not there.
pub(super) fn check<D: Device>(
    model: &Model<D>,
    rows: usize,
    states: &States<D::Matrix>,
) -> Result<(), BatchError> {
    let (device, config) = (model.device(), model.config());
    let has = |kept: &[D::Matrix], l: usize| kept.get(l).map(|state| device.shape(state));
    for l in 0..config.layers {
        let dims = config.dims(l);
        let wanted = [(&states.h, dims.width()), (&states.c, dims.cell_width())];
        let fits = |(kept, width): (&Vec<D::Matrix>, usize)| {
            has(kept, l).is_some_and(|[has, columns]| has >= rows && columns == width)
        };
        if !wanted.into_iter().all(fits) {
            return Err(BatchError::States { layer: l, rows });
        }
    }
    Ok(())
}

/// Sets slot 0 of every layer, which is zero so far.
pub(super) fn begin<D: Device>(
    pass: &Pass<'_, D>,
    starts: &[StartParameters<D::Matrix>],
    tape: &mut Tape<D::Matrix>,
    layers: &mut [RecurrentTape<D::Matrix>],
) {
    let (device, batch) = (pass.device, pass.batch.steps().batch() as u32);
    let Tape { states, rows, .. } = tape;
    rows.clear();
    if pass.batch.goes_on() {
        rows.extend(0..batch);
        for (l, layer) in layers.iter_mut().enumerate() {
            device.set_start(&states.h[l], rows, &mut layer.h);
            device.set_start(&states.c[l], rows, &mut layer.c);
        }
        return;
    }
    rows.resize(batch as usize, 0);
    for (start, layer) in starts.iter().zip(layers) {
        device.set_start(&start.h_0, rows, &mut layer.h);
        if let Some(c_0) = &start.c_0 {
            device.set_start(c_0, rows, &mut layer.c);
        }
    }
}

/// Keeps the states after the last position of each row, where the batch asks for it.
pub(super) fn keep<D: Device>(
    pass: &Pass<'_, D>,
    layers: &[RecurrentTape<D::Matrix>],
    tape: &mut Tape<D::Matrix>,
) {
    if !pass.batch.keeps_states() {
        return;
    }
    let (device, steps) = (pass.device, pass.batch.steps());
    let Tape { states: States { h, c }, last, .. } = tape;
    last.clear();
    last.resize(steps.batch(), 0);
    for t in 0..steps.count() {
        let slot = steps.slot(t + 1);
        last.iter_mut().zip(slot).for_each(|(last, slot)| *last = slot as u32);
    }
    for kept in [&mut *h, &mut *c] {
        kept.resize_with(layers.len(), D::Matrix::default);
    }
    for (layer, (h, c)) in layers.iter().zip(h.iter_mut().zip(c)) {
        device.gather(&layer.h, last, h);
        device.gather(&layer.c, last, c);
    }
}

/// Every row has started from the learned states: their gradients are sums over the rows.
///
/// ```text
///     dh_0 += Σ_b ∂L/∂h₀[b]        dc_0 += Σ_b ∂L/∂c₀[b]
/// ```
pub(super) fn backward<D: Device>(
    pass: &Pass<'_, D>,
    tape: &mut Tape<D::Matrix>,
    grads: &mut [StartParameters<D::Matrix>],
) {
    let (device, Tape { gradients, ones, .. }) = (pass.device, tape);
    if gradients.is_empty() || pass.batch.goes_on() {
        return;
    }
    device.resize(ones, pass.batch.steps().batch(), 1);
    device.fill(ones, 1.0);
    for (start, grads) in gradients.iter().zip(grads) {
        device.linear_backward_weights(&start.dh_0, ones, &mut grads.h_0);
        if let Some(dc_0) = &mut grads.c_0 {
            device.linear_backward_weights(&start.dc_0, ones, dc_0);
        }
    }
}
