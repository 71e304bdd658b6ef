//! How items enter.
//!
//! ```text
//!     embedding   x = scale · E[id] / ‖E[id]‖        (x = E[id] where scale is 0)
//!                 into the first layer: dropout(x + features)
//!     one-hot     the first layer's pre-activations hold w_xᵀ[id], or the running mean of these:
//!                 the same as w_x times the counts of the session so far, divided by their sum;
//!                 and the features
//! ```
//!
//! What is known of an event beside its item is added in `features`, and goes into the first layer
//! alone: the readout sees x, the item.
//!
//! Where a model is looked into ([`Along`](crate::Along)), what has entered is drawn towards a baseline
//! after all that; then it stands in a place of its own even where it is x.

use layout::{Accumulate, Pooling, Reach, RecurrentTape};

use super::{Pass, features};
use crate::streams::DROPOUT_INPUT;
use crate::{Device, Parameters};

#[derive(Debug, Clone, Default)]
pub(super) struct Tape<M> {
    /// The rows as the table has them, `[N, E]`; one-hot: `[N, G·H]`.
    gathered: M,
    /// Their lengths, `[N, 1]`.
    norm: M,
    /// The items as the readout sees them, `[N, E]`; not used where `gathered` is that already.
    scaled: M,
    /// What enters the first layer, `[N, E]`; not used where that is the item as the readout sees it.
    entering: M,
    features: features::Tape<M>,
    /// ∂L/∂x, `[N, E]`: first what the readout sends, then the sum.
    dx: M,
    /// ∂L/∂ what enters, `[N, E]`: before its dropout is undone, and after.
    dentering: M,
    /// The gradient of the gathered rows.
    dgathered: M,
    drawn: Drawn<M>,
}

/// What was drawn towards a baseline, as it was before.
#[derive(Debug, Clone, Default)]
struct Drawn<M> {
    entering: M,
    x: M,
    /// The baseline, `[1, E]`, and its row for each position.
    row: M,
    rows: Vec<u32>,
}

impl<M> Tape<M> {
    /// The items as the readout sees them, `[N, E]`.
    pub(super) fn x<D: Device<Matrix = M>>(&self, pass: &Pass<'_, D>) -> &M {
        seen(pass, &self.gathered, &self.scaled)
    }

    /// What enters the first layer, `[N, E]`; `None` where its pre-activations are set already.
    pub(super) fn entering<D: Device<Matrix = M>>(&self, pass: &Pass<'_, D>) -> Option<&M> {
        match pass.config.input {
            crate::Input::OneHot => None,
            crate::Input::Embedding if is_x(pass) => Some(self.x(pass)),
            crate::Input::Embedding => Some(&self.entering),
        }
    }

    /// Where the readout leaves its share of ∂L/∂x: the first to write there.
    pub(super) fn x_and_dx<D: Device<Matrix = M>>(&mut self, pass: &Pass<'_, D>) -> (&M, &mut M) {
        (seen(pass, &self.gathered, &self.scaled), &mut self.dx)
    }

    /// What entered the first layer before it was drawn towards the baseline, `[N, E]`, and its gradient,
    /// which is `dz` where it is the pre-activations that entered.
    pub(super) fn entered<'m, D: Device<Matrix = M>>(
        &'m self,
        pass: &Pass<'_, D>,
        dz: &'m M,
    ) -> (&'m M, &'m M) {
        let one_hot = pass.config.input == crate::Input::OneHot;
        (&self.drawn.entering, if one_hot { dz } else { &self.dentering })
    }

    /// The same of the items that a readout with attention sees.
    pub(super) fn seen_items<D: Device<Matrix = M>>(&self, pass: &Pass<'_, D>) -> Option<(&M, &M)> {
        (pass.config.readout == crate::Readout::Attention).then_some((&self.drawn.x, &self.dx))
    }

    /// What entered the first layer, and where its gradient goes.
    pub(super) fn entering_and_gradient<D: Device<Matrix = M>>(
        &mut self,
        pass: &Pass<'_, D>,
    ) -> (Option<&M>, Option<&mut M>) {
        let x = seen(pass, &self.gathered, &self.scaled);
        match pass.config.input {
            crate::Input::OneHot => (None, None),
            crate::Input::Embedding if is_x(pass) => (Some(x), Some(&mut self.dentering)),
            crate::Input::Embedding => (Some(&self.entering), Some(&mut self.dentering)),
        }
    }
}

/// Whether what enters the first layer is the item as the readout sees it.
fn is_x<D: Device>(pass: &Pass<'_, D>) -> bool {
    pass.along.is_none() && pass.features.is_empty() && !pass.drops(pass.config.dropout.input)
}

/// Of the gathered rows and the scaled ones, those that the rest of the network sees.
fn seen<'m, D: Device>(
    pass: &Pass<'_, D>,
    gathered: &'m D::Matrix,
    scaled: &'m D::Matrix,
) -> &'m D::Matrix {
    if pass.config.input_scale > 0.0 { scaled } else { gathered }
}

/// `first` is the tape of the first layer, whose start is set.
pub(super) fn forward<D: Device>(
    pass: &Pass<'_, D>,
    params: &Parameters<D::Matrix>,
    tape: &mut Tape<D::Matrix>,
    first: &mut RecurrentTape<D::Matrix>,
) {
    let (device, config, ids) = (pass.device, pass.config, pass.batch.ids());
    let Some(table) = &params.embedding else {
        let w_x = &params.recurrent[0].w_x;
        if config.running_mean {
            device.embedding_forward(w_x, ids, &mut tape.gathered);
            let (steps, x) = (pass.batch.steps(), &tape.gathered);
            device.pool_forward(Pooling::Mean, Reach::Causal, steps, x, &mut first.a);
        } else {
            device.embedding_forward(w_x, ids, &mut first.a);
        }
        features::forward(pass, &params.features, &mut tape.features, &mut first.a);
        if let Some(along) = pass.along {
            let Drawn { entering, row, rows, .. } = &mut tape.drawn;
            draw(pass, along.share, &along.baseline.entering, (row, rows), &mut first.a, entering);
        }
        return;
    };
    device.embedding_forward(table, ids, &mut tape.gathered);
    if config.input_scale > 0.0 {
        let Tape { gathered, scaled, norm, .. } = tape;
        device.normalize_forward(config.input_scale, gathered, scaled, norm);
    }
    if !is_x(pass) {
        let Tape { gathered, scaled, entering, .. } = tape;
        device.add(seen(pass, gathered, scaled), Accumulate::Replace, entering);
        features::forward(pass, &params.features, &mut tape.features, entering);
        pass.dropout(config.dropout.input, DROPOUT_INPUT, entering);
    }
    if let Some(along) = pass.along {
        let Tape {
            gathered, scaled, entering, drawn: Drawn { entering: whole, x, row, rows }, ..
        } = tape;
        draw(pass, along.share, &along.baseline.entering, (row, rows), entering, whole);
        if config.readout == crate::Readout::Attention {
            let seen = if config.input_scale > 0.0 { scaled } else { gathered };
            draw(pass, along.share, &along.baseline.items, (row, rows), seen, x);
        }
    }
}

/// Draws the rows of `x` towards a baseline; what they were before goes to `whole`.
///
/// ```text
///     x_p = b + share · (whole_p − b)
/// ```
fn draw<D: Device>(
    pass: &Pass<'_, D>,
    share: f32,
    baseline: &[f32],
    (row, rows): (&mut D::Matrix, &mut Vec<u32>),
    x: &mut D::Matrix,
    whole: &mut D::Matrix,
) {
    let device = pass.device;
    device.add(x, Accumulate::Replace, whole);
    let [positions, width] = device.shape(x);
    if baseline.is_empty() {
        device.fill(x, 0.0);
    } else {
        device.upload(row, 1, width, baseline);
        rows.clear();
        rows.resize(positions, 0);
        device.gather(row, rows, x);
    }
    device.average(share, whole, x);
}

/// `dz` is the gradient of the first layer's pre-activations, read where the input is one-hot. The
/// tape holds what the first layer and, with attention, the readout have sent.
pub(super) fn backward<D: Device>(
    pass: &Pass<'_, D>,
    tape: &mut Tape<D::Matrix>,
    dz: &D::Matrix,
    grads: &mut Parameters<D::Matrix>,
) {
    let (device, config, ids) = (pass.device, pass.config, pass.batch.ids());
    let Tape { gathered, scaled, norm, features, dx, dentering, dgathered, .. } = tape;
    let Some(dtable) = grads.embedding.as_mut() else {
        let dtable = &mut grads.recurrent[0].w_x;
        if config.running_mean {
            // A mean looks neither at what it was made of nor at what it was.
            let (steps, x) = (pass.batch.steps(), &*gathered);
            device.pool_backward(Pooling::Mean, Reach::Causal, steps, x, x, dz, dgathered);
            device.embedding_backward(ids, dgathered, dtable);
        } else {
            device.embedding_backward(ids, dz, dtable);
        }
        features::backward(pass, features, dz, &mut grads.features);
        return;
    };
    pass.dropout(config.dropout.input, DROPOUT_INPUT, dentering);
    features::backward(pass, features, dentering, &mut grads.features);
    let dx = if config.readout == crate::Readout::Attention {
        device.add(dentering, Accumulate::Add, dx);
        dx
    } else {
        dentering
    };
    if config.input_scale > 0.0 {
        device.normalize_backward(config.input_scale, scaled, norm, dx, dgathered);
        device.embedding_backward(ids, dgathered, dtable);
    } else {
        device.embedding_backward(ids, dx, dtable);
    }
}
