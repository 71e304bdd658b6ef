//! A layer undone: the steps from the last to the first, then the sums over all positions.

use layout::{RecurrentParams, Steps, check_shape};

use super::{At, Chosen, Rung};
use crate::linear::{Products, across, bias_backward, each, product};
use crate::memory::{check_tape, checked, int};
use crate::plan::{Direction, Plan};
use crate::{
    Argument, Card, DeviceMatrix, DeviceSteps, Error, Kernel, LstmGrads, LstmTape, Product,
    ProductSizes, Scratch,
};

/// Undoes [`sequence_forward`](super::sequence_forward): backpropagation through time.
///
/// | argument   | shape    | on entry                        | on return             |
/// |------------|----------|---------------------------------|-----------------------|
/// | `params`, `x`, `steps`, `tape` | as forward | as forward left them | untouched |
/// | `dh_above` | `[N, H]` | ∂L/∂h, from the layer above     | untouched             |
/// | `dparams`  | see type | what other uses gave            | added to; `w_x` left alone without `x` |
/// | `grads`    | see type | anything                        | replaced              |
/// | `scratch`  | see type | anything                        | anything              |
///
/// # Errors
///
/// As [`sequence_forward`](super::sequence_forward); asking for `dx` without an `x` is an error of shape.
#[allow(clippy::too_many_arguments)]
pub fn sequence_backward<C: Card>(
    card: &C,
    rung: Rung,
    params: &RecurrentParams<DeviceMatrix<C>>,
    x: Option<&DeviceMatrix<C>>,
    steps: &DeviceSteps<C>,
    tape: &LstmTape<C>,
    dh_above: &DeviceMatrix<C>,
    dparams: &mut RecurrentParams<DeviceMatrix<C>>,
    grads: &mut LstmGrads<C>,
    scratch: &mut Scratch<C>,
) -> Result<(), Error> {
    let dims = checked(params, x.is_some())?;
    let (batch, hidden) = (steps.steps(), dims.hidden);
    let (positions, start) = (batch.positions(), [batch.batch(), hidden]);
    check_tape(tape, x, batch, dims)?;
    checked(dparams, x.is_some())?;
    check_shape("dw_h", "[4H, H]", params.w_h.shape(), dparams.w_h.shape())?;
    check_shape("dh_above", "[N, H]", [positions, hidden], dh_above.shape())?;
    check_shape("dz", "[N, 4H]", [positions, 4 * hidden], grads.dz.shape())?;
    check_shape("dh_0", "[B, H]", start, grads.dh_0.shape())?;
    check_shape("dc_0", "[B, H]", start, grads.dc_0.shape())?;
    if let Some(dx) = &grads.dx {
        let wanted = if x.is_some() { [positions, dims.input] } else { [0, 0] };
        check_shape("dx", "[N, I]", wanted, dx.shape())?;
    }
    if positions == 0 {
        return Ok(());
    }
    let chosen = Chosen::new(card, rung, Direction::Backward, batch, hidden)?;
    match chosen {
        Chosen::V1 => plain_backward(card, params, batch, tape, dh_above, hidden, grads, scratch)?,
        Chosen::V2 => stepwise_backward(card, params, batch, tape, dh_above, hidden, grads)?,
        Chosen::V3(plan) => {
            persistent_backward(card, plan, params, steps, tape, dh_above, hidden, grads, scratch)?;
        }
    }
    weight_gradients(card, chosen, params, x, steps, tape, dparams, grads, scratch)
}

/// v1: what the reference does, in its order.
#[allow(clippy::too_many_arguments)]
fn plain_backward<C: Card>(
    card: &C,
    params: &RecurrentParams<DeviceMatrix<C>>,
    steps: &Steps,
    tape: &LstmTape<C>,
    dh_above: &DeviceMatrix<C>,
    hidden: usize,
    grads: &mut LstmGrads<C>,
    scratch: &mut Scratch<C>,
) -> Result<(), Error> {
    scratch.dh.resize(card, steps.batch(), hidden)?;
    // What is carried from step to step is, when it ends, what reaches the start.
    let LstmGrads { dz, dh_0, dc_0, .. } = grads;
    card.zero(&mut dh_0.values)?;
    card.zero(&mut dc_0.values)?;
    for t in (0..steps.count()).rev() {
        let at = At::new(steps, t);
        let (wide, narrow) = ((at.position + at.rows) * 4 * hidden, at.rows * hidden);
        let mut arguments = [
            Argument::Floats { buffer: &dh_above.values, reach: (at.position + at.rows) * hidden },
            Argument::Floats { buffer: &dh_0.values, reach: narrow },
            Argument::Number(int(at.rows)?),
            Argument::Number(int(hidden)?),
            Argument::Number(int(at.position)?),
            Argument::FloatsMut { buffer: &mut scratch.dh.values, reach: narrow },
        ];
        card.launch(Kernel::ArrivalsV1, each(hidden, at.rows), &mut arguments)?;
        let mut arguments = vec![
            Argument::Floats { buffer: &tape.a.values, reach: wide },
            Argument::Floats { buffer: &tape.c.values, reach: (at.to + at.rows) * hidden },
            Argument::Floats { buffer: &scratch.dh.values, reach: narrow },
        ];
        arguments.extend(at.numbers(hidden)?);
        arguments.push(Argument::FloatsMut { buffer: &mut dz.values, reach: wide });
        arguments.push(Argument::FloatsMut { buffer: &mut dc_0.values, reach: narrow });
        card.launch(Kernel::LstmCellBackwardV1, each(hidden, at.rows), &mut arguments)?;
        carry(card, Products::Plain, params, at, hidden, &dz.values, &mut dh_0.values)?;
    }
    Ok(())
}

/// `dh_carry = dz·w_h` of a step.
fn carry<C: Card>(
    card: &C,
    products: Products,
    params: &RecurrentParams<DeviceMatrix<C>>,
    at: At,
    hidden: usize,
    dz: &C::Floats,
    dh_carry: &mut C::Floats,
) -> Result<(), Error> {
    let sizes = ProductSizes {
        rows: at.rows,
        outputs: 4 * hidden,
        inputs: hidden,
        x_first: 0,
        y_first: at.position,
    };
    product(card, products, Product::BackwardInput, sizes, &params.w_h.values, dz, dh_carry)
}

/// v2: two launches a step.
fn stepwise_backward<C: Card>(
    card: &C,
    params: &RecurrentParams<DeviceMatrix<C>>,
    steps: &Steps,
    tape: &LstmTape<C>,
    dh_above: &DeviceMatrix<C>,
    hidden: usize,
    grads: &mut LstmGrads<C>,
) -> Result<(), Error> {
    let LstmGrads { dz, dh_0, dc_0, .. } = grads;
    for t in (0..steps.count()).rev() {
        let at = At::new(steps, t);
        let carried = if t + 1 < steps.count() { steps.active(t + 1) } else { 0 };
        let (wide, narrow) = ((at.position + at.rows) * 4 * hidden, at.rows * hidden);
        let mut arguments = vec![
            Argument::Floats { buffer: &tape.a.values, reach: wide },
            Argument::Floats { buffer: &tape.c.values, reach: (at.to + at.rows) * hidden },
            Argument::Floats { buffer: &dh_above.values, reach: (at.position + at.rows) * hidden },
            Argument::Floats { buffer: &dh_0.values, reach: narrow },
            Argument::Number(int(at.rows)?),
            Argument::Number(int(carried)?),
            Argument::Number(int(hidden)?),
            Argument::Number(int(at.position)?),
            Argument::Number(int(at.from)?),
            Argument::Number(int(at.to)?),
            Argument::FloatsMut { buffer: &mut dz.values, reach: wide },
            Argument::FloatsMut { buffer: &mut dc_0.values, reach: narrow },
        ];
        card.launch(Kernel::LstmStepBackwardV2, each(hidden, at.rows), &mut arguments)?;
        carry(card, Products::Fast, params, at, hidden, &dz.values, &mut dh_0.values)?;
    }
    Ok(())
}

/// v3: all steps in one launch.
#[allow(clippy::too_many_arguments)]
fn persistent_backward<C: Card>(
    card: &C,
    plan: Plan,
    params: &RecurrentParams<DeviceMatrix<C>>,
    steps: &DeviceSteps<C>,
    tape: &LstmTape<C>,
    dh_above: &DeviceMatrix<C>,
    hidden: usize,
    grads: &mut LstmGrads<C>,
    scratch: &mut Scratch<C>,
) -> Result<(), Error> {
    let batch = steps.steps();
    let (positions, start) = (batch.positions(), batch.batch() * hidden);
    scratch.shares.resize(card, 1, plan.shares())?;
    card.unset(&mut scratch.shares.values, 0)?;
    let mut arguments = [
        Argument::Floats { buffer: &params.w_h.values, reach: 4 * hidden * hidden },
        Argument::Floats { buffer: &tape.a.values, reach: positions * 4 * hidden },
        Argument::Floats { buffer: &tape.c.values, reach: batch.slots() * hidden },
        Argument::Floats { buffer: &dh_above.values, reach: positions * hidden },
        Argument::Ints { buffer: &steps.offsets, reach: batch.count() + 1 },
        Argument::Number(int(batch.count())?),
        Argument::Number(int(batch.batch())?),
        Argument::Number(int(hidden)?),
        Argument::Number(int(plan.units)?),
        Argument::Number(int(plan.chunk)?),
        Argument::FloatsMut { buffer: &mut grads.dz.values, reach: positions * 4 * hidden },
        Argument::FloatsMut { buffer: &mut grads.dh_0.values, reach: start },
        Argument::FloatsMut { buffer: &mut grads.dc_0.values, reach: start },
        Argument::FloatsMut { buffer: &mut scratch.shares.values, reach: plan.shares() },
    ];
    card.launch(Kernel::LstmSequenceBackwardV3, plan.grid(), &mut arguments)
}

/// The sums over all positions that follow the steps.
#[allow(clippy::too_many_arguments)]
fn weight_gradients<C: Card>(
    card: &C,
    chosen: Chosen,
    params: &RecurrentParams<DeviceMatrix<C>>,
    x: Option<&DeviceMatrix<C>>,
    steps: &DeviceSteps<C>,
    tape: &LstmTape<C>,
    dparams: &mut RecurrentParams<DeviceMatrix<C>>,
    grads: &mut LstmGrads<C>,
    scratch: &mut Scratch<C>,
) -> Result<(), Error> {
    let products = chosen.products();
    let (batch, hidden) = (steps.steps(), params.w_h.shape()[1]);
    let (positions, outputs) = (batch.positions(), 4 * hidden);
    let LstmGrads { dz, dx, .. } = grads;
    let all = ProductSizes { rows: positions, outputs, inputs: hidden, x_first: 0, y_first: 0 };
    let weights = Product::BackwardWeights;
    let equal_lengths = batch.positions() == batch.batch() * batch.count();
    if matches!(chosen, Chosen::V1) {
        for t in 0..batch.count() {
            let At { rows, position, from, .. } = At::new(batch, t);
            let sizes = ProductSizes { rows, x_first: from, y_first: position, ..all };
            let dw_h = &mut dparams.w_h.values;
            product(card, products, weights, sizes, &tape.h.values, &dz.values, dw_h)?;
        }
    } else if equal_lengths {
        // Slots 0 to T - 1 are the states before all positions, one after the other.
        let dw_h = &mut dparams.w_h.values;
        product(card, products, weights, all, &tape.h.values, &dz.values, dw_h)?;
    } else {
        states_before(card, steps, tape, hidden, &mut scratch.h_before)?;
        let (before, dw_h) = (&scratch.h_before.values, &mut dparams.w_h.values);
        product(card, products, weights, all, before, &dz.values, dw_h)?;
    }
    let (sums, db) = (&mut scratch.sums, &mut dparams.b.values);
    bias_backward(card, products, &dz.values, positions, outputs, sums, db)?;
    if let Some(x) = x {
        let sizes = ProductSizes { inputs: params.w_x.shape()[1], ..all };
        let dw_x = &mut dparams.w_x.values;
        product(card, products, weights, sizes, &x.values, &dz.values, dw_x)?;
        if let Some(dx) = dx {
            let input = Product::BackwardInput;
            product(card, products, input, sizes, &params.w_x.values, &dz.values, &mut dx.values)?;
        }
    }
    Ok(())
}

/// The states before all positions as one matrix.
fn states_before<C: Card>(
    card: &C,
    steps: &DeviceSteps<C>,
    tape: &LstmTape<C>,
    hidden: usize,
    h_before: &mut DeviceMatrix<C>,
) -> Result<(), Error> {
    let batch = steps.steps();
    h_before.resize(card, batch.positions(), hidden)?;
    let entries = h_before.entries();
    let mut arguments = [
        Argument::Floats { buffer: &tape.h.values, reach: batch.slots() * hidden },
        Argument::Ints { buffer: &steps.offsets, reach: batch.count() + 1 },
        Argument::Number(int(batch.count())?),
        Argument::Number(int(batch.batch())?),
        Argument::Number(int(hidden)?),
        Argument::FloatsMut { buffer: &mut h_before.values, reach: entries },
    ];
    let grid = across(hidden, batch.count().min(65_535));
    card.launch(Kernel::StatesBeforeV2, grid, &mut arguments)
}
