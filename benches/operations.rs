//! The heavy operations of a training step on the CPU, at the shapes that models really have.
//!
//! Throughput is reported in FLOP as "elements": criterion's `Gelem/s` reads as GFLOP/s. A dense
//! LSTM layer counts 8·N·H·(I + H) forward and 24·N·H·(I + H) for forward and backward; a softmax
//! step 6·N·C·E; a product 2·M·K·N; a step of one row 8·H·H.
//!
//! `cargo bench --bench operations` · threads by `TIDEGATE_BENCH_THREADS` (default 2) · path by
//! `TIDEGATE_SIMD`

use cpu::{Cpu, RecurrentState};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use layout::{
    Accumulate, CandidateLoss, Matrix, RecurrentDims, RecurrentParams, RecurrentTape, SoftmaxTask,
    Steps,
};
use std::hint::black_box;

fn machine() -> Cpu {
    let threads = std::env::var("TIDEGATE_BENCH_THREADS").ok().and_then(|n| n.parse().ok());
    Cpu::new(threads.unwrap_or(2)).expect("a machine")
}

/// Values like weights and activations: smooth, small, none zero.
fn wave(rows: usize, columns: usize, phase: f32) -> Matrix<f32> {
    let value = |i: usize| (phase + 0.7 * i as f32).sin() * 0.1;
    Matrix::from_values(rows, columns, (0..rows * columns).map(value))
}

/// T, B, I, H, L, and whether rows are as long as sessions are: the shapes of `tidegate bench`, less
/// H = 1760, which takes seconds a call.
const SHAPES: [(usize, usize, usize, usize, usize, bool); 9] = [
    (20, 32, 100, 100, 1, false),
    (50, 32, 64, 128, 1, false),
    (50, 64, 128, 256, 1, false),
    (50, 128, 256, 512, 1, false),
    (20, 512, 100, 100, 1, false),
    (100, 64, 256, 256, 2, false),
    (100, 16, 512, 1024, 1, false),
    (50, 64, 500, 500, 1, false),
    (200, 512, 128, 128, 1, true),
];
/// FLOP of a call past which ten samples of it must do.
const LONG: usize = 5_000_000_000;

/// One of some layers, its input, and where its gradients go.
struct Layer {
    params: RecurrentParams<Matrix<f32>>,
    x: Matrix<f32>,
    tape: RecurrentTape<Matrix<f32>>,
    grads: RecurrentParams<Matrix<f32>>,
    dx: Matrix<f32>,
}

impl Layer {
    fn new(steps: &Steps, dims: RecurrentDims) -> Self {
        let mut phase = 0.0;
        let params = dims.shapes().map(|[rows, columns]| {
            phase += 0.1;
            wave(rows, columns, phase)
        });
        let x = wave(steps.positions(), dims.input, 0.4);
        let mut tape = RecurrentTape::default();
        tape.start(steps, dims);
        Self { params, x, tape, grads: RecurrentParams::zeros(dims), dx: Matrix::default() }
    }
}

/// Forward through all layers; `slots` are those of the states that enter the next one.
fn forward(cpu: &Cpu, steps: &Steps, slots: &[u32], layers: &mut [Layer]) {
    for l in 0..layers.len() {
        let (below, here) = layers.split_at_mut(l);
        let Layer { params, x, tape, .. } = &mut here[0];
        if let Some(below) = below.last() {
            cpu.embedding_forward(&below.tape.h, slots, x);
        }
        cpu.recurrent_forward(params, Some(black_box(x)), steps, tape);
    }
}

/// Back through all layers, from the gradient of the highest one's states.
fn backward(
    cpu: &Cpu,
    steps: &Steps,
    layers: &mut [Layer],
    dh: &Matrix<f32>,
    dz: &mut Matrix<f32>,
) {
    for l in (0..layers.len()).rev() {
        let (here, above) = layers.split_at_mut(l + 1);
        let Layer { params, x, tape, grads, dx } = &mut here[l];
        let dh = above.first().map_or(dh, |above| &above.dx);
        cpu.recurrent_backward(params, Some(x), steps, tape, dh, grads, dz, Some(dx), None);
    }
}

fn sequence(criterion: &mut Criterion) {
    let cpu = machine();
    for (steps, batch, input, hidden, count, skewed) in SHAPES {
        let mut shape = format!("T{steps}_B{batch}_I{input}_H{hidden}");
        if count > 1 {
            shape += &format!("_L{count}");
        }
        if skewed {
            shape += "_skew";
        }
        // The rule of `tidegate bench`: quantiles of a Pareto distribution, cut at T.
        let length = |b: usize| match skewed {
            true => {
                let rarity = 2.0 * batch as f64 / (2 * b + 1) as f64;
                ((2.0 * rarity.powf(0.8)) as usize).min(steps)
            }
            false => steps,
        };
        let steps = Steps::from_lengths(&(0..batch).map(length).collect::<Vec<_>>());
        let dims = |l| RecurrentDims::lstm(if l == 0 { input } else { hidden }, hidden);
        let mut layers: Vec<_> = (0..count).map(|l| Layer::new(&steps, dims(l))).collect();
        let slots: Vec<u32> = (batch as u32..steps.slots() as u32).collect();
        let inputs: usize = (0..count).map(|l| dims(l).input).sum();
        let flop = 8 * steps.positions() * hidden * (inputs + count * hidden);
        let dh = wave(steps.positions(), hidden, 0.5);
        let mut dz = Matrix::default();

        let mut group = criterion.benchmark_group("sequence_forward");
        group.sample_size(if flop > LONG { 10 } else { 100 });
        group.throughput(Throughput::Elements(flop as u64));
        group.bench_function(format!("{shape}/cpu"), |b| {
            b.iter(|| cpu.run(|| forward(&cpu, &steps, &slots, &mut layers)));
        });
        group.finish();

        let mut group = criterion.benchmark_group("sequence_training");
        group.sample_size(if 3 * flop > LONG { 10 } else { 100 });
        group.throughput(Throughput::Elements(3 * flop as u64));
        group.bench_function(format!("{shape}/cpu"), |b| {
            b.iter(|| {
                cpu.run(|| {
                    forward(&cpu, &steps, &slots, &mut layers);
                    backward(&cpu, &steps, &mut layers, &dh, &mut dz);
                });
            });
        });
        group.finish();
    }
}

/// A layer whose states and gradients fade away, forward and backward, beside an ordinary one. Both do
/// the same work.
fn denormals(criterion: &mut Criterion) {
    let cpu = machine();
    let (count, batch, input, hidden) = (50, 32, 64, 128);
    let steps = Steps::uniform(count, batch);
    let mut group = criterion.benchmark_group("denormals");
    let flop = 24 * count * batch * hidden * (input + hidden);
    group.throughput(Throughput::Elements(flop as u64));
    for name in ["ordinary", "fading"] {
        let mut layer = Layer::new(&steps, RecurrentDims::lstm(input, hidden));
        let mut dh = wave(steps.positions(), hidden, 0.5);
        if name == "fading" {
            // What is small enough comes in at the first step, and from above at the last one.
            let one_step = batch * input;
            layer.x.as_mut_slice()[one_step..].fill(0.0);
            layer.x.as_mut_slice()[..one_step].iter_mut().for_each(|x| *x *= 1e-33);
            layer.params.b.as_mut_slice()[2 * hidden..3 * hidden].fill(0.0);
            let (earlier, last) = dh.as_mut_slice().split_at_mut((count - 1) * batch * hidden);
            earlier.fill(0.0);
            last.iter_mut().for_each(|dh| *dh *= 1e-33);
        }
        let (mut layers, mut dz) = ([layer], Matrix::default());
        group.bench_function(name, |b| {
            b.iter(|| {
                cpu.run(|| {
                    forward(&cpu, &steps, &[], &mut layers);
                    backward(&cpu, &steps, &mut layers, &dh, &mut dz);
                });
            });
        });
        let share = |values: &[f32]| {
            values.iter().filter(|x| x.is_subnormal()).count() as f64 / values.len() as f64
        };
        let RecurrentTape { c, h, .. } = &layers[0].tape;
        let shares = [c, h, &dz].map(|values| share(values.as_slice()));
        println!("denormals/{name}: {shares:.2?} of all c, h and dz are denormal");
    }
    group.finish();
}

/// One step for one user from a table of items' rows, another one at every step.
fn stream(criterion: &mut Criterion) {
    const ITEMS: usize = 1000;
    let cpu = machine();
    let mut group = criterion.benchmark_group("stream_step");
    for hidden in [64, 128, 256, 512] {
        let layer = Layer::new(&Steps::uniform(1, ITEMS), RecurrentDims::lstm(128, hidden));
        let mut table = Matrix::default();
        cpu.run(|| cpu.recurrent_input_table(&layer.params, &layer.x, &mut table));
        let packed = cpu.run(|| cpu.pack_recurrent(&layer.params, false));
        let mut state = RecurrentState::new(hidden);
        let mut item = 0;
        group.throughput(Throughput::Elements((8 * hidden * hidden) as u64));
        group.bench_function(format!("H{hidden}/cpu"), |b| {
            b.iter(|| {
                item = (item + 389) % ITEMS;
                cpu.recurrent_step(&packed, black_box(table.row(item)), &mut state);
            });
        });
    }
    group.finish();
}

fn softmax(criterion: &mut Criterion) {
    let cpu = machine();
    for (positions, items, width) in [(1024, 2000, 100), (1024, 6000, 192), (1024, 17376, 192)] {
        let (q, table) = (wave(positions, width, 0.1), wave(items, width, 0.2));
        let (column_bias, repeat_bias) = (wave(1, items, 0.3), wave(1, 12, 0.4));
        let target: Vec<u32> = (0..positions).map(|p| (p * 7919 % items) as u32).collect();
        let weight = vec![1.0; positions];
        let task = SoftmaxTask {
            loss: CandidateLoss::CrossEntropy,
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

criterion_group!(benches, sequence, denormals, stream, softmax, product);
criterion_main!(benches);
