//! `bench score`: the 20 best of V items for each of B sessions, with their scores.
//!
//! Pictures of sessions are H wide, and come ready made: there are no steps, T and I mean nothing.
//! Items have biases; no session has entries of its own, and no sums are asked for. The table is
//! packed in every call.

use layout::{TopItems, TopTask};

use super::shape::Shape;
use super::timing::sample;
use super::values::{Purpose, values};
use super::work::{F32, Work};

/// Items that each session is shown.
const BEST: usize = 20;

/// What one call does.
///
/// ```text
///     flop     2·B·V·H
///     bytes/4  B·H + V·H + V         pictures, table, biases
///            + 2·20·B                items and their scores
/// ```
///
/// The scores of all items are not counted: none of them has to leave the caches.
pub(super) fn work(shape: &Shape) -> Work {
    let (batch, items, width) = sizes(shape);
    let found = 2.0 * BEST as f64 * batch;
    Work {
        flop: 2.0 * batch * items * width,
        bytes: F32 * (batch * width + items * width + items + found),
    }
}

/// The memory that a call takes, in bytes: a little less than it will be.
pub(super) fn memory(shape: &Shape) -> f64 {
    let (batch, items, width) = sizes(shape);
    // Pictures; the table and packed; items, their scores and both as one.
    F32 * (batch * width + 2.0 * items * width + 4.0 * BEST.min(shape.items) as f64 * batch)
}

fn sizes(shape: &Shape) -> (f64, f64, f64) {
    (shape.batch as f64, shape.items as f64, shape.hidden as f64)
}

/// Seconds of a call, sample by sample.
pub(super) fn run(cpu: &cpu::Cpu, shape: &Shape, seed: u64, seconds: f64) -> Vec<f64> {
    let Shape { batch, items, hidden: width, .. } = *shape;
    let q = values(seed, Purpose::Input, batch, width, 1.0);
    let table = values(seed, Purpose::Weights(0), items, width, 1.0 / (width as f32).sqrt());
    let column_bias = values(seed, Purpose::Weights(1), items, 1, 0.1);
    let task = TopTask { count: BEST, ..TopTask::default() };
    let mut out = TopItems::default();
    let samples = cpu.run(|| {
        sample(seconds, || {
            cpu.top_items(&q, &table, &column_bias, &task, &mut out);
            std::hint::black_box(&out);
            Ok::<_, std::convert::Infallible>(())
        })
    });
    match samples {
        Ok(samples) => samples,
        Err(never) => match never {},
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_small_enough_to_count_by_hand() {
        let shape = Shape::parse_rows("B3,H2,V50").unwrap();
        assert_eq!(work(&shape), Work { flop: 600.0, bytes: 4.0 * (6.0 + 100.0 + 50.0 + 120.0) });
    }

    #[test]
    fn sessions_are_scored() {
        let cpu = cpu::Cpu::new(2).unwrap();
        let samples = run(&cpu, &Shape::parse_rows("B50,H6,V30").unwrap(), 1, 0.0);
        assert_eq!(samples.len(), 5);
        assert!(samples.iter().all(|&seconds| seconds > 0.0));
    }
}
