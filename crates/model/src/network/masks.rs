//! What a layer's tape starts with where something drops inside its recurrence.
//!
//! | | equations | in training | in answers |
//! |---|---|---|---|
//! | variational dropout | `reference::mask_forward` | a mask a row, the same at all its steps | none |
//! | zoneout | `reference::zoneout_forward` | shares 0 or 1 a position | their mean, 1 − rate |

use layout::RecurrentTape;

use super::Pass;
use crate::Device;
use crate::streams::{DROPOUT_RECURRENT, ZONEOUT_CELL, ZONEOUT_HIDDEN};

/// Sets masks and shares of layer `l`, whose tape has been started.
pub(super) fn start<D: Device>(pass: &Pass<'_, D>, l: usize, tape: &mut RecurrentTape<D::Matrix>) {
    let (device, steps, rates) = (pass.device, pass.batch.steps(), &pass.config.dropout);
    let (dims, layer) = (pass.config.dims(l), l as u32);
    if pass.drops(rates.recurrent) {
        device.resize(&mut tape.masked, steps.positions(), dims.width());
        device.resize(&mut tape.mask, steps.batch(), dims.width());
        device.fill(&mut tape.mask, 1.0);
        pass.dropout(rates.recurrent, DROPOUT_RECURRENT + layer, &mut tape.mask);
    }
    if rates.zoneout_c > 0.0 || rates.zoneout_h > 0.0 {
        let zone = &mut tape.zone;
        for (rate, name, width, u, new) in [
            (rates.zoneout_c, ZONEOUT_CELL, dims.cell_width(), &mut zone.u_c, &mut zone.c),
            (rates.zoneout_h, ZONEOUT_HIDDEN, dims.width(), &mut zone.u_h, &mut zone.h),
        ] {
            device.resize(new, steps.positions(), width);
            device.resize(u, steps.positions(), width);
            // What dropout leaves of 1 − rate is 1, up to a rounding: in training the shares are 0 and 1 with
            // this mean.
            device.fill(u, 1.0 - rate);
            pass.dropout(rate, name + layer, u);
        }
    }
}
