//! `bench softmax`: scores of all V items at N = T·B positions, loss, and all gradients.
//!
//! Pictures are as wide as the states, E = H. There are biases of items and no repeat entries.

use layout::{CandidateLoss, Matrix, SoftmaxTask};

use super::shape::Shape;
use super::timing::sample;
use super::values::{Purpose, popular_items, values};
use super::work::{F32, Work};

/// What one call does.
pub(super) fn work(shape: &Shape) -> Work {
    Work::softmax(shape.positions(), shape.items, shape.hidden)
}

/// The memory that a call takes, in bytes: a little less than it will be.
pub(super) fn memory(shape: &Shape, threads: usize) -> f64 {
    let (items, width) = (shape.items as f64, shape.hidden as f64);
    // q, its gradient, and packed; the table, its gradient, and packed both ways; some scores.
    let scores = 32.0 * threads as f64 * items;
    F32 * (3.0 * shape.positions() * width + 4.0 * items * width + scores)
}

/// Seconds of a call, sample by sample.
pub(super) fn run(cpu: &cpu::Cpu, shape: &Shape, seed: u64, seconds: f64) -> Vec<f64> {
    let (positions, items, width) = (shape.layout().positions(), shape.items, shape.hidden);
    let q = values(seed, Purpose::Input, positions, width, 1.0);
    let table = values(seed, Purpose::Weights(0), items, width, 1.0 / (width as f32).sqrt());
    let column_bias = values(seed, Purpose::Weights(1), items, 1, 0.1);
    let repeat_bias = Matrix::zeros(1, 0);
    let target = popular_items(seed, 0, items, positions);
    let weight = vec![1.0; positions];
    let task = SoftmaxTask {
        loss: CandidateLoss::CrossEntropy,
        target: &target,
        weight: &weight,
        shift: &[],
        shared: items,
        smoothing: 0.0,
        column_share: &[],
        repeat_offsets: &[],
        repeat_columns: &[],
        repeat_lags: &[],
    };
    let (mut dq, mut dtable, mut dcolumn_bias) = Default::default();
    let mut drepeat_bias = Matrix::zeros(1, 0);
    let samples = cpu.run(|| {
        sample(seconds, || {
            std::hint::black_box(cpu.softmax_loss(
                &q,
                &table,
                &column_bias,
                &repeat_bias,
                &task,
                &mut dq,
                &mut dtable,
                Some(&mut dcolumn_bias),
                &mut drepeat_bias,
            ));
            Ok::<_, std::convert::Infallible>(())
        })
    });
    match samples {
        Ok(samples) => samples,
        Err(never) => match never {},
    }
}
