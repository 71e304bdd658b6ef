//! What a layer's tape starts with where something drops inside its recurrence.
//!
//! | | equations | in training | in answers |
//! |---|---|---|---|
//! | variational dropout | `reference::mask_forward` | a mask a row, the same at all its steps | none |
//! | zoneout | `reference::zoneout_forward` | shares 0 or 1 a position | their mean, 1 − rate |

use layout::random::Stream;
use layout::{RecurrentDims, RecurrentTape, Steps};

use crate::streams::{DROPOUT_RECURRENT, ZONEOUT_CELL, ZONEOUT_HIDDEN};
use crate::{Device, Dropout, StepContext};

/// Where a layer's masks and shares are drawn from in training.
#[derive(Debug, Clone, Copy)]
pub struct RecurrentDraws {
    /// The mask of variational dropout.
    pub mask: Stream,
    /// The shares of zoneout in the cell states.
    pub zoneout_c: Stream,
    /// The shares of zoneout in the hidden states.
    pub zoneout_h: Stream,
}

impl RecurrentDraws {
    /// Those of layer `l` in one training step.
    pub(super) fn of(StepContext { seed, step }: StepContext, l: u32) -> Self {
        let [mask, zoneout_c, zoneout_h] = [DROPOUT_RECURRENT, ZONEOUT_CELL, ZONEOUT_HIDDEN]
            .map(|name| Stream::new(seed, name + l, step));
        Self { mask, zoneout_c, zoneout_h }
    }
}

/// Sets masks and shares of a layer, whose tape has been started; without `draws`, as answers have them.
pub fn drop_inside<D: Device>(
    device: &D,
    steps: &Steps,
    dims: RecurrentDims,
    rates: &Dropout,
    draws: Option<RecurrentDraws>,
    tape: &mut RecurrentTape<D::Matrix>,
) {
    let draw = |rate: f32, stream: Option<Stream>, x: &mut D::Matrix| {
        if let Some(stream) = stream.filter(|_| rate > 0.0) {
            device.dropout(rate, stream, x);
        }
    };
    if rates.recurrent > 0.0 && draws.is_some() {
        device.resize(&mut tape.masked, steps.positions(), dims.width());
        device.resize(&mut tape.mask, steps.batch(), dims.width());
        device.fill(&mut tape.mask, 1.0);
        draw(rates.recurrent, draws.map(|draws| draws.mask), &mut tape.mask);
    }
    if rates.zoneout_c > 0.0 || rates.zoneout_h > 0.0 {
        let zone = &mut tape.zone;
        let [of_c, of_h] = [draws.map(|draws| draws.zoneout_c), draws.map(|draws| draws.zoneout_h)];
        for (rate, stream, width, u, new) in [
            (rates.zoneout_c, of_c, dims.cell_width(), &mut zone.u_c, &mut zone.c),
            (rates.zoneout_h, of_h, dims.width(), &mut zone.u_h, &mut zone.h),
        ] {
            device.resize(new, steps.positions(), width);
            device.resize(u, steps.positions(), width);
            // What dropout leaves of 1 − rate is 1, up to a rounding: in training the shares are 0 and 1 with
            // this mean.
            device.fill(u, 1.0 - rate);
            draw(rate, stream, u);
        }
    }
}
