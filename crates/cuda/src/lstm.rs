//! A whole LSTM layer over a batch. Equations: `reference::sequence_forward` and `_backward`.
//!
//! ```text
//!              before the steps    a step                              after the steps
//!     v1       x·w_xᵀ, + b         h_prev·w_hᵀ; cell_forward
//!     v2       x·w_xᵀ              h_prev·w_hᵀ; step_forward
//!     v3       x·w_xᵀ              all of them in one launch
//!
//!     v1                           arrivals; cell_backward; dz·w_h     step by step: dw_h; db, dw_x, dx
//!     v2                           step_backward; dz·w_h               once: dw_h, db, dw_x, dx
//!     v3                           all of them in one launch           once: dw_h, db, dw_x, dx
//! ```
//!
//! v1 is the reference, launch for equation, with plain products; it is slow and stays as the oracle. The
//! products of v2 and v3 are cuBLAS's where it can be loaded.

use std::str::FromStr;

use layout::{RecurrentParams, Steps, check_shape};

use crate::linear::{Products, across, bias_backward, bias_forward, each, product};
use crate::memory::{check_tape, checked, int};
use crate::plan::{Direction, Plan};
use crate::{
    Argument, Card, DeviceMatrix, DeviceSteps, Error, Kernel, LstmGrads, LstmTape, Product,
    ProductSizes, Scratch,
};

/// Which kernels take a layer through its steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rung {
    /// By shape: v3 where it fits and is the faster one, or else v2.
    #[default]
    Auto,
    /// One kernel an equation.
    V1,
    /// A product and a fused kernel a step.
    V2,
    /// One launch for all steps.
    V3,
}

impl FromStr for Rung {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        match name {
            "auto" => Ok(Self::Auto),
            "v1" => Ok(Self::V1),
            "v2" => Ok(Self::V2),
            "v3" => Ok(Self::V3),
            _ => Err(()),
        }
    }
}

/// A rung that has been decided on.
#[derive(Debug, Clone, Copy)]
enum Chosen {
    V1,
    V2,
    V3(Plan),
}

impl Chosen {
    fn new<C: Card>(
        card: &C,
        rung: Rung,
        direction: Direction,
        steps: &Steps,
        hidden: usize,
    ) -> Result<Self, Error> {
        let plan = || Plan::new(card.limits(), direction, steps, hidden);
        match rung {
            Rung::V1 => Ok(Self::V1),
            Rung::V2 => Ok(Self::V2),
            Rung::V3 => plan().map(Self::V3).ok_or(Error::DoesNotFit { hidden }),
            Rung::Auto => Ok(plan().filter(|plan| plan.pays(direction)).map_or(Self::V2, Self::V3)),
        }
    }

    fn products(self) -> Products {
        if matches!(self, Self::V1) { Products::Plain } else { Products::Fast }
    }
}

/// Runs a layer over a batch.
///
/// | argument  | shape       | on entry                               | on return            |
/// |-----------|-------------|----------------------------------------|----------------------|
/// | `params`  | see type    | the layer's weights                    | untouched            |
/// | `x`       | `[N, I]`    | inputs; `None` where `tape.a` has `x·w_xᵀ` | untouched        |
/// | `tape.a`  | `[N, 4H]`   | anything, or `x·w_xᵀ`                  | the activated gates  |
/// | `tape.c`, `tape.h` | `[B + N, H]` | slot 0: the start of the rows | other slots replaced |
///
/// # Errors
///
/// Wrong shapes, cells without kernels, a rung that does not fit, and what the driver says.
pub fn sequence_forward<C: Card>(
    card: &C,
    rung: Rung,
    params: &RecurrentParams<DeviceMatrix<C>>,
    x: Option<&DeviceMatrix<C>>,
    steps: &DeviceSteps<C>,
    tape: &mut LstmTape<C>,
) -> Result<(), Error> {
    let dims = checked(params, x.is_some())?;
    let batch = steps.steps();
    check_tape(tape, x, batch, dims)?;
    if batch.positions() == 0 {
        return Ok(());
    }
    let hidden = dims.hidden;
    let chosen = Chosen::new(card, rung, Direction::Forward, batch, hidden)?;
    let products = chosen.products();
    if let Some(x) = x {
        let sizes = ProductSizes {
            rows: batch.positions(),
            outputs: 4 * hidden,
            inputs: dims.input,
            x_first: 0,
            y_first: 0,
        };
        let replace = Product::Forward { add: false };
        product(card, products, replace, sizes, &params.w_x.values, &x.values, &mut tape.a.values)?;
    }
    if let Chosen::V3(plan) = chosen {
        return persistent_forward(card, plan, params, steps, hidden, tape);
    }
    if matches!(chosen, Chosen::V1) {
        bias_forward(card, &params.b.values, batch.positions(), 4 * hidden, &mut tape.a.values)?;
    }
    for t in 0..batch.count() {
        let at = At::new(batch, t);
        let sizes = ProductSizes {
            rows: at.rows,
            outputs: 4 * hidden,
            inputs: hidden,
            x_first: at.from,
            y_first: at.position,
        };
        let add = Product::Forward { add: true };
        product(card, products, add, sizes, &params.w_h.values, &tape.h.values, &mut tape.a.values)?;
        step_forward(card, chosen, params, at, hidden, tape)?;
    }
    Ok(())
}

/// Where a step lies.
#[derive(Debug, Clone, Copy)]
struct At {
    /// Rows that run.
    rows: usize,
    /// Its first position.
    position: usize,
    /// The first row of the slot before it.
    from: usize,
    /// The first row of the slot after it.
    to: usize,
}

impl At {
    fn new(steps: &Steps, t: usize) -> Self {
        Self {
            rows: steps.active(t),
            position: steps.range(t).start,
            from: steps.slot(t).start,
            to: steps.slot(t + 1).start,
        }
    }

    /// `rows, hidden, position, from, to`, as kernels take them.
    fn numbers<C: Card>(self, hidden: usize) -> Result<[Argument<'static, C>; 5], Error> {
        let Self { rows, position, from, to } = self;
        let numbers = [int(rows)?, int(hidden)?, int(position)?, int(from)?, int(to)?];
        Ok(numbers.map(Argument::Number))
    }
}

/// The elementwise half of a step.
fn step_forward<C: Card>(
    card: &C,
    chosen: Chosen,
    params: &RecurrentParams<DeviceMatrix<C>>,
    at: At,
    hidden: usize,
    tape: &mut LstmTape<C>,
) -> Result<(), Error> {
    let (gates, states) = ((at.position + at.rows) * 4 * hidden, (at.to + at.rows) * hidden);
    let mut arguments = Vec::with_capacity(9);
    let kernel = match chosen {
        Chosen::V1 => Kernel::LstmCellForwardV1,
        _ => {
            arguments.push(Argument::Floats { buffer: &params.b.values, reach: 4 * hidden });
            Kernel::LstmStepForwardV2
        }
    };
    arguments.extend(at.numbers(hidden)?);
    arguments.push(Argument::FloatsMut { buffer: &mut tape.a.values, reach: gates });
    arguments.push(Argument::FloatsMut { buffer: &mut tape.c.values, reach: states });
    arguments.push(Argument::FloatsMut { buffer: &mut tape.h.values, reach: states });
    card.launch(kernel, each(hidden, at.rows), &mut arguments)
}

/// All steps in one launch.
fn persistent_forward<C: Card>(
    card: &C,
    plan: Plan,
    params: &RecurrentParams<DeviceMatrix<C>>,
    steps: &DeviceSteps<C>,
    hidden: usize,
    tape: &mut LstmTape<C>,
) -> Result<(), Error> {
    let batch = steps.steps();
    let states = batch.slots() * hidden;
    card.unset(&mut tape.h.values, batch.batch() * hidden)?;
    let mut arguments = [
        Argument::Floats { buffer: &params.w_h.values, reach: 4 * hidden * hidden },
        Argument::Floats { buffer: &params.b.values, reach: 4 * hidden },
        Argument::Ints { buffer: &steps.offsets, reach: batch.count() + 1 },
        Argument::Number(int(batch.count())?),
        Argument::Number(int(batch.batch())?),
        Argument::Number(int(hidden)?),
        Argument::Number(int(plan.units)?),
        Argument::Number(int(plan.chunk)?),
        Argument::FloatsMut { buffer: &mut tape.a.values, reach: batch.positions() * 4 * hidden },
        Argument::FloatsMut { buffer: &mut tape.c.values, reach: states },
        Argument::FloatsMut { buffer: &mut tape.h.values, reach: states },
    ];
    card.launch(Kernel::LstmSequenceForwardV3, plan.grid(), &mut arguments)
}

/// Undoes [`sequence_forward`]: backpropagation through time.
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
/// As [`sequence_forward`]; asking for `dx` without an `x` is an error of shape.
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
