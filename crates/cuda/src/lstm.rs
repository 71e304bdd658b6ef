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

mod backward;

pub use backward::sequence_backward;

use std::str::FromStr;

use layout::{RecurrentParams, Steps};

use crate::linear::{Products, bias_forward, each, product};
use crate::memory::{check_tape, checked, int};
use crate::plan::{Direction, Plan};
use crate::{
    Argument, Card, DeviceMatrix, DeviceSteps, Error, Kernel, LstmTape, Product, ProductSizes,
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
            Rung::Auto => {
                Ok(plan().filter(|plan| plan.pays(direction, steps)).map_or(Self::V2, Self::V3))
            }
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
/// Slot 0 of `tape.h` holds numbers, or NaNs of any kind but one: where every bit of an entry is set, v3 takes it
/// for one that is still to come, and waits for ever.
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
        product(
            card,
            products,
            add,
            sizes,
            &params.w_h.values,
            &tape.h.values,
            &mut tape.a.values,
        )?;
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
