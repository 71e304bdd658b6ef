//! The heavy operations of a training step on the CPU, at the shapes that models really have.
//!
//! Throughput is reported in FLOP as "elements": criterion's `Gelem/s` reads as GFLOP/s. A dense
//! LSTM layer counts 8·N·H·(I + H) forward and 24·N·H·(I + H) for forward and backward; a softmax
//! step 6·N·C·E; a product 2·M·K·N.
//!
//! `cargo bench --bench operations` · threads by `TIDEGATE_BENCH_THREADS` (default 2) · path by
//! `TIDEGATE_SIMD`

use cpu::Cpu;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use layout::{Accumulate, LstmDims, LstmParams, LstmTape, Matrix, SoftmaxTask, Steps};
use std::hint::black_box;

fn machine() -> Cpu {
    let threads = std::env::var("TIDEGATE_BENCH_THREADS").ok().and_then(|n| n.parse().ok());
    Cpu::new(threads.unwrap_or(2)).expect("a machine")
}

/// Values like weights and activations: smooth, small, none zero.
fn wave(rows: usize, columns: usize, phase: f32) -> Matrix<f32> {
    let value = |i: usize| (phase + 0.7 * i as f32).sin() * 0.1;
    Matrix::from_vec(rows, columns, (0..rows * columns).map(value).collect())
}

fn sequence(criterion: &mut Criterion) {
    let cpu = machine();
    let shapes = [(20, 32, 100, 100), (50, 32, 64, 128), (50, 64, 128, 256), (20, 512, 100, 100)];
    for (steps, batch, input, hidden) in shapes {
        let shape = format!("T{steps}_B{batch}_I{input}_H{hidden}");
        let flop = (8 * steps * batch * hidden * (input + hidden)) as u64;
        let steps = Steps::uniform(steps, batch);
        let params = LstmParams {
            w_x: wave(4 * hidden, input, 0.1),
            w_h: wave(4 * hidden, hidden, 0.2),
            b: wave(1, 4 * hidden, 0.3),
        };
        let mut grads = LstmParams::zeros(LstmDims { input, hidden });
        let x = wave(steps.positions(), input, 0.4);
        let dh = wave(steps.positions(), hidden, 0.5);
        let mut tape = LstmTape::default();
        tape.start(&steps, hidden);
        let (mut dz, mut dx) = (Matrix::default(), Matrix::default());

        let mut group = criterion.benchmark_group("sequence_forward");
        group.throughput(Throughput::Elements(flop));
        group.bench_function(format!("{shape}/cpu"), |b| {
            b.iter(|| {
                cpu.run(|| cpu.lstm_forward(&params, Some(black_box(&x)), &steps, &mut tape))
            });
        });
        group.finish();

        let mut group = criterion.benchmark_group("sequence_training");
        group.throughput(Throughput::Elements(3 * flop));
        group.bench_function(format!("{shape}/cpu"), |b| {
            b.iter(|| {
                cpu.run(|| {
                    cpu.lstm_forward(&params, Some(black_box(&x)), &steps, &mut tape);
                    let dx = Some(&mut dx);
                    cpu.lstm_backward(
                        &params,
                        Some(&x),
                        &steps,
                        &tape,
                        &dh,
                        &mut grads,
                        &mut dz,
                        dx,
                        None,
                    );
                });
            });
        });
        group.finish();
    }
}

fn softmax(criterion: &mut Criterion) {
    let cpu = machine();
    for (positions, items, width) in [(1024, 2000, 100), (1024, 6000, 192), (1024, 17376, 192)] {
        let (q, table) = (wave(positions, width, 0.1), wave(items, width, 0.2));
        let (column_bias, repeat_bias) = (wave(1, items, 0.3), wave(1, 12, 0.4));
        let target: Vec<u32> = (0..positions).map(|p| (p * 7919 % items) as u32).collect();
        let weight = vec![1.0; positions];
        let task = SoftmaxTask {
            target: &target,
            weight: &weight,
            shift: &[],
            shared: items,
            smoothing: 0.1,
            column_share: &[],
            repeat_offsets: &[],
            repeat_columns: &[],
            repeat_lags: &[],
        };
        let (mut dq, mut dtable) = Default::default();
        let mut drepeat = Matrix::zeros(1, 12);
        let mut group = criterion.benchmark_group("softmax_loss");
        group.sample_size(20);
        group.throughput(Throughput::Elements((6 * positions * items * width) as u64));
        group.bench_function(format!("N{positions}_C{items}_E{width}/cpu"), |b| {
            b.iter(|| {
                cpu.run(|| {
                    cpu.softmax_loss(
                        &q,
                        &table,
                        &column_bias,
                        &repeat_bias,
                        black_box(&task),
                        &mut dq,
                        &mut dtable,
                        None,
                        &mut drepeat,
                    )
                })
            });
        });
        group.finish();
    }
}

/// A large product of ours and the same by `matrixmultiply` through `ndarray`, which repacks both
/// operands and runs on one thread: compare at `TIDEGATE_BENCH_THREADS=1`. That crate is named in
/// the manifest for this, so that its AVX-512 kernels are on.
fn product(criterion: &mut Criterion) {
    let cpu = machine();
    for (rows, depth, columns) in [(1024, 192, 768), (1024, 768, 192)] {
        let (x, w) = (wave(rows, depth, 0.1), wave(columns, depth, 0.2));
        let mut y = Matrix::zeros(rows, columns);
        let mut group = criterion.benchmark_group("linear_forward");
        group.throughput(Throughput::Elements((2 * rows * depth * columns) as u64));
        group.bench_function(format!("N{rows}_I{depth}_O{columns}/cpu"), |b| {
            b.iter(|| {
                cpu.run(|| cpu.linear_forward(&w, black_box(&x), Accumulate::Replace, &mut y));
            });
        });
        group.bench_function(format!("N{rows}_I{depth}_O{columns}/matrixmultiply"), |b| {
            b.iter(|| {
                let (w, x) = (w.view(), black_box(&x).view());
                ndarray::linalg::general_mat_mul(1.0, &x, &w.t(), 0.0, &mut y.view_mut());
            });
        });
        group.finish();
    }
}

criterion_group!(benches, sequence, softmax, product);
criterion_main!(benches);
