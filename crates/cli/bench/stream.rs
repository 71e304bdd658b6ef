//! `bench stream`: one step of a recurrent layer for one user.
//!
//! What each item gives to the pre-activations has been computed beforehand, as a service does it
//! that answers while the user is still clicking: a table of V rows, of which a step reads one.
//! Every step has another item, drawn by popularity ([`popular_items`]), and goes on from the state
//! of the step before.
//!
//! | timed | not timed |
//! |---|---|
//! | `recurrent_step`, its row of the table and its state | the table, the packing of `w_h`, the draw of items |
//!
//! A step goes through all of `w_h` and does one multiply-add with each number, so what bounds it is
//! neither memory nor, as a rule, arithmetic, but the cache that holds `w_h`: [`cache_rate`]. One
//! row leaves nothing to share, so all of this is on one thread.

use std::time::Duration;

use anyhow::Result;
use cpu::{Cpu, RecurrentState};
use layout::{Cell, Matrix, RecurrentDims};
use model::ModelConfig;

use super::shape::Shape;
use super::timing::sample;
use super::values::{Purpose, layer, popular_items, values};
use super::work::{F32, Work};
use crate::failure::usage;

/// Steps of a call, so that asking for the time costs them nothing.
const STEPS: usize = 100;
/// Items drawn before they come again: far more rows than a cache remembers the order of.
const ITEMS: usize = 1 << 16;

/// What one step does.
pub(super) fn work(shape: &Shape, model: &ModelConfig) -> Work {
    Work::step(dims(shape, model))
}

/// The one layer.
fn dims(shape: &Shape, model: &ModelConfig) -> RecurrentDims {
    shape.sized(model).dims(0)
}

/// Refuses a layer that answers in batches only.
///
/// # Errors
///
/// One that names the cell, or the key.
pub(super) fn check(model: &ModelConfig) -> Result<()> {
    if model.cell.projection || model.cell.cell == Cell::LayerNorm {
        let cell = model.cell;
        let message = format!(
            "--cell {cell}: a step of one row has no kernel with a projection or a normalised layer; \
             time it with bench sequence --shape T1,B1,..."
        );
        return Err(usage(message));
    }
    if model.dropout.zoneout_c > 0.0 || model.dropout.zoneout_h > 0.0 {
        let message = "[model.dropout] zoneout_c, zoneout_h: a step of one row mixes no old states in; \
                       set them to 0, or time bench sequence --shape T1,B1,...";
        return Err(usage(message));
    }
    Ok(())
}

/// The memory that a bench of steps takes, in bytes: a little less than it will be.
pub(super) fn memory(shape: &Shape, model: &ModelConfig) -> f64 {
    let (input, hidden, items) = (shape.input as f64, shape.hidden as f64, shape.items as f64);
    let gates = model.cell.cell.gates() as f64 * hidden;
    // Weights; w_h once more, packed; the items' vectors and their table.
    F32 * (gates * (input + 2.0 * hidden) + items * (input + gates))
}

/// Bytes a second at which a thread reads as many bytes as `w_h` has, again and again.
pub(super) fn cache_rate(cpu: &Cpu, shape: &Shape, model: &ModelConfig, time: Duration) -> f64 {
    let gates = model.cell.cell.gates();
    cpu.read_rate(gates * shape.hidden * shape.hidden * size_of::<f32>(), time)
}

/// Seconds of a step, sample by sample.
pub(super) fn run(
    cpu: &Cpu,
    shape: &Shape,
    model: &ModelConfig,
    seed: u64,
    seconds: f64,
) -> Vec<f64> {
    let &Shape { input, hidden, items, .. } = shape;
    let params = layer(seed, 0, dims(shape, model));
    let mut table = Matrix::default();
    let vectors = values(seed, Purpose::Input, items, input, 1.0);
    cpu.run(|| cpu.recurrent_input_table(&params, &vectors, &mut table));
    drop(vectors);
    let packed = cpu.run(|| cpu.pack_recurrent(&params, false));
    let mut state = RecurrentState::new(hidden);
    let items = popular_items(seed, 0, items, ITEMS);
    let mut turn = items.iter().cycle();
    let samples = sample(seconds, || {
        for &item in turn.by_ref().take(STEPS) {
            cpu.recurrent_step(&packed, table.row(item as usize), &mut state);
        }
        std::hint::black_box(state.h());
        Ok::<_, std::convert::Infallible>(())
    });
    match samples {
        Ok(samples) => samples.into_iter().map(|seconds| seconds / STEPS as f64).collect(),
        Err(never) => match never {},
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_made() {
        let (shape, model) = (Shape::parse_step("B1,I5,H9,V30").unwrap(), ModelConfig::default());
        let cpu = Cpu::new(1).unwrap();
        let samples = run(&cpu, &shape, &model, 1, 0.0);
        assert!(samples.len() == 5 && samples.iter().all(|&seconds| seconds > 0.0));
        assert!(cache_rate(&cpu, &shape, &model, Duration::ZERO) > 0.0);
        // 180 + 324 weights and 324 packed, 30 vectors of 5 and 30 rows of 36.
        assert_eq!(memory(&shape, &model), 4.0 * (828.0 + 30.0 * 41.0));
    }
}
