//! An LSTM layer forward, eight times: from the equations as loops to the engine. `docs/speed.md`
//! goes through it rung by rung.
//!
//! Every rung starts from the same weights, laid out as PyTorch lays them out, and the same states,
//! and leaves h of all steps; what it makes of the weights on the way is timed with it. All run on
//! one thread until the last. Before a rung is timed, its h is held against the engine's.
//!
//! Throughput is FLOP as "elements", 8·T·B·H·(I + H) a call, so that criterion's `Gelem/s` reads as
//! GFLOP/s and can be set against the FMA peaks, which are printed first.
//!
//! `cargo bench --bench ladder`

use cpu::{Cpu, Path};
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use layout::random::{Stream, uniform};
use layout::{GATES, Keep, Matrix, RecurrentDims, RecurrentParams, RecurrentTape, Steps};
use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2};
use std::f32::consts::{LN_2, LOG2_E};
use std::hint::black_box;
use std::ops::Range;
use std::time::Duration;

/// T, B, I, H.
const SHAPE: [usize; 4] = [20, 64, 128, 256];
/// How far a rung's h may be from the engine's.
const TOLERANCE: f32 = 1e-4;
/// How far the gates of rung 5 may be from the true ones; `gates_are_near` looks at it.
const GATE_ERROR: f64 = 3e-7;

/// What every rung reads. Sizes are numbers that the compiler does not know.
struct Layer {
    steps: usize,
    batch: usize,
    input: usize,
    hidden: usize,
    params: RecurrentParams<Matrix<f32>>,
    /// `[T·B, I]`
    x: Matrix<f32>,
    /// Where the rows start, `[B, H]` each.
    h_0: Matrix<f32>,
    c_0: Matrix<f32>,
}

impl Layer {
    fn new([steps, batch, input, hidden]: [usize; 4]) -> Self {
        let reach = 1.0 / (hidden as f32).sqrt();
        let params = RecurrentParams::lstm(
            random(0, GATES * hidden, input, reach),
            random(1, GATES * hidden, hidden, reach),
            random(2, 1, GATES * hidden, reach),
        );
        let x = random(3, steps * batch, input, 2.0);
        let (h_0, c_0) = (random(4, batch, hidden, 0.5), random(5, batch, hidden, 1.0));
        Self { steps, batch, input, hidden, params, x, h_0, c_0 }
    }

    /// The input of some steps, `[n·B, I]`.
    fn x(&self, steps: Range<usize>) -> ArrayView2<'_, f32> {
        let rows = steps.start * self.batch..steps.end * self.batch;
        let x = &self.x.as_slice()[rows.start * self.input..rows.end * self.input];
        ArrayView2::from_shape((rows.len(), self.input), x).expect("rows without a gap")
    }
}

/// Numbers between `-reach` and `reach`.
fn random(name: u32, rows: usize, columns: usize, reach: f32) -> Matrix<f32> {
    let stream = Stream::new(1, name, 0);
    let value = |k: usize| reach * (2.0 * uniform(stream.word(k as u64)) - 1.0);
    Matrix::from_values(rows, columns, (0..rows * columns).map(value))
}

/// What a rung writes, and memory for what lies between.
struct Room {
    /// `[T + 1, B, H]`; slot 0 is the start.
    h: Vec<f32>,
    /// The cell of the step that is under way, `[B, H]`.
    c: Vec<f32>,
    /// Pre-activations of all positions, `[T·B, 4H]`, or as many of them as a rung makes at a time.
    z: Vec<f32>,
    /// Weights transposed, `[I, 4H]` and `[H, 4H]`.
    w_x: Vec<f32>,
    w_h: Vec<f32>,
}

impl Room {
    fn new(layer: &Layer) -> Self {
        let &Layer { steps, batch, input, hidden, .. } = layer;
        let mut h = vec![f32::NAN; (steps + 1) * batch * hidden];
        h[..batch * hidden].copy_from_slice(layer.h_0.as_slice());
        Self {
            h,
            c: vec![f32::NAN; batch * hidden],
            z: vec![f32::NAN; steps * batch * GATES * hidden],
            w_x: vec![f32::NAN; input * GATES * hidden],
            w_h: vec![f32::NAN; hidden * GATES * hidden],
        }
    }
}

// ------------------------------------------------------------------------------------- rung 1

/// The equations as loops: for each step, row, unit and gate a sum over k.
fn equations(layer: &Layer, room: &mut Room) {
    let &Layer { steps, batch, hidden, ref params, .. } = layer;
    room.c.copy_from_slice(layer.c_0.as_slice());
    for t in 0..steps {
        let (h_prev, h) = step_of(&mut room.h, t, batch * hidden);
        for b in 0..batch {
            let x = layer.x.row(t * batch + b);
            let h_prev = &h_prev[b * hidden..][..hidden];
            for j in 0..hidden {
                let z = [0, 1, 2, 3].map(|gate| {
                    let row = gate * hidden + j;
                    let mut z = params.b.as_slice()[row];
                    for (x, w) in x.iter().zip(params.w_x.row(row)) {
                        z += x * w;
                    }
                    for (h, w) in h_prev.iter().zip(params.w_h.row(row)) {
                        z += h * w;
                    }
                    z
                });
                cell(z, &mut room.c[b * hidden + j], &mut h[b * hidden + j]);
            }
        }
    }
}

/// The slot that step `t` starts from, and the one that it writes.
fn step_of(h: &mut [f32], t: usize, states: usize) -> (&[f32], &mut [f32]) {
    let (before, after) = h[t * states..][..2 * states].split_at_mut(states);
    (before, after)
}

/// The gates of one unit, with `exp` and `tanh` of the C library.
fn cell([z_i, z_f, z_g, z_o]: [f32; GATES], c: &mut f32, h: &mut f32) {
    let sigmoid = |z: f32| 1.0 / (1.0 + (-z).exp());
    *c = sigmoid(z_f) * *c + sigmoid(z_i) * z_g.tanh();
    *h = sigmoid(z_o) * c.tanh();
}

// ------------------------------------------------------------------------------------- rung 2

/// The loops turned: k outside, and inside all pre-activations of a row, which are neighbours.
fn neighbours(layer: &Layer, room: &mut Room) {
    let &Layer { steps, batch, hidden, ref params, .. } = layer;
    room.c.copy_from_slice(layer.c_0.as_slice());
    transpose(&params.w_x, &mut room.w_x);
    transpose(&params.w_h, &mut room.w_h);
    for t in 0..steps {
        let (h_prev, h) = step_of(&mut room.h, t, batch * hidden);
        for b in 0..batch {
            let states = b * hidden..(b + 1) * hidden;
            let z = &mut room.z[..GATES * hidden];
            z.copy_from_slice(params.b.as_slice());
            add_rows(layer.x.row(t * batch + b), &room.w_x, z);
            add_rows(&h_prev[states.clone()], &room.w_h, z);
            cells(z, &mut room.c[states.clone()], &mut h[states]);
        }
    }
}

fn transpose(w: &Matrix<f32>, to: &mut [f32]) {
    let [rows, columns] = w.shape();
    for k in 0..columns {
        for row in 0..rows {
            to[k * rows + row] = w.as_slice()[row * columns + k];
        }
    }
}

/// `z += Σ_k x[k] · w[k]`, a row of w at a time.
fn add_rows(x: &[f32], w: &[f32], z: &mut [f32]) {
    for (&x, w) in x.iter().zip(w.chunks_exact(z.len())) {
        for (z, &w) in z.iter_mut().zip(w) {
            *z += x * w;
        }
    }
}

/// The gates of one row, unit by unit.
fn cells(z: &[f32], c: &mut [f32], h: &mut [f32]) {
    let hidden = c.len();
    for j in 0..hidden {
        let z = [0, 1, 2, 3].map(|gate| z[gate * hidden + j]);
        cell(z, &mut c[j], &mut h[j]);
    }
}

// ------------------------------------------------------------------------------------- rung 3

/// Both products of a step by `matrixmultiply`, for all rows at once.
fn library(layer: &Layer, room: &mut Room) {
    room.c.copy_from_slice(layer.c_0.as_slice());
    let z = layer.batch * GATES * layer.hidden;
    for t in 0..layer.steps {
        input_product(layer, t..t + 1, &mut room.z[..z]);
        recurrence(layer, t, &mut room.z[..z], &mut room.c, &mut room.h, cells);
    }
}

/// `z = x·w_xᵀ + b` of some steps.
fn input_product(layer: &Layer, steps: Range<usize>, z: &mut [f32]) {
    for z in z.chunks_exact_mut(GATES * layer.hidden) {
        z.copy_from_slice(layer.params.b.as_slice());
    }
    let rows = z.len() / (GATES * layer.hidden);
    let z = ArrayViewMut2::from_shape((rows, GATES * layer.hidden), z);
    let mut z = z.expect("rows without a gap");
    general_mat_mul(1.0, &layer.x(steps), &layer.params.w_x.view().t(), 1.0, &mut z);
}

/// `z += h_prev·w_hᵀ` of step `t`, then its gates.
fn recurrence(
    layer: &Layer,
    t: usize,
    z: &mut [f32],
    c: &mut [f32],
    h: &mut [f32],
    cells: impl Fn(&[f32], &mut [f32], &mut [f32]),
) {
    let &Layer { batch, hidden, ref params, .. } = layer;
    let (h_prev, h) = step_of(h, t, batch * hidden);
    let h_prev = ArrayView2::from_shape((batch, hidden), h_prev).expect("rows without a gap");
    let rows = ArrayViewMut2::from_shape((batch, GATES * hidden), &mut *z);
    let mut rows = rows.expect("rows without a gap");
    general_mat_mul(1.0, &h_prev, &params.w_h.view().t(), 1.0, &mut rows);
    let z = z.chunks_exact(GATES * hidden);
    for ((z, c), h) in z.zip(c.chunks_exact_mut(hidden)).zip(h.chunks_exact_mut(hidden)) {
        cells(z, c, h);
    }
}

// ------------------------------------------------------------------------------------- rung 4

/// The input product of all steps before the first of them.
fn input_first(layer: &Layer, room: &mut Room, cells: impl Fn(&[f32], &mut [f32], &mut [f32])) {
    room.c.copy_from_slice(layer.c_0.as_slice());
    input_product(layer, 0..layer.steps, &mut room.z);
    for (t, z) in room.z.chunks_exact_mut(layer.batch * GATES * layer.hidden).enumerate() {
        recurrence(layer, t, z, &mut room.c, &mut room.h, &cells);
    }
}

// ------------------------------------------------------------------------------------- rung 5

/// The gates without calls and branches, so that the compiler takes several units at a time.
/// Never inline: as arguments, the compiler knows that z, c and h do not overlap.
#[inline(never)]
fn cells_side_by_side(z: &[f32], c: &mut [f32], h: &mut [f32]) {
    let hidden = c.len();
    let [i, f, g, o] = [0, 1, 2, 3].map(|gate| &z[gate * hidden..][..hidden]);
    let h = &mut h[..hidden];
    for j in 0..hidden {
        c[j] = sigmoid(f[j]) * c[j] + sigmoid(i[j]) * tanh(g[j]);
        h[j] = sigmoid(o[j]) * tanh(c[j]);
    }
}

/// `eˣ = 2ⁿ · eʳ`, `x = n ln 2 + r`, eʳ by the first seven terms of its series: they leave out
/// 1.2e-7 where r is largest, 0.35.
#[inline(always)]
fn exp(x: f32) -> f32 {
    /// Adding 1.5 · 2²³ rounds to a whole number and leaves it in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 87.0);
    let shifted = x * LOG2_E + ROUND;
    let r = x - (shifted - ROUND) * LN_2;
    let mut p = 1.0 / 720.0;
    for c in [1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = p * r + c;
    }
    f32::from_bits(p.to_bits().wrapping_add(shifted.to_bits() << 23))
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// Near zero, where 1 is taken from almost 1, the error is small beside 1 and not beside x.
#[inline(always)]
fn tanh(x: f32) -> f32 {
    1.0 - 2.0 / (1.0 + exp(2.0 * x))
}

/// Holds both functions against f64, every ten thousandth from -20 to 20.
fn gates_are_near() {
    let mut worst = [0f64; 2];
    for k in -200_000..=200_000 {
        let x = k as f32 * 1e-4;
        let truth = [1.0 / (1.0 + (-f64::from(x)).exp()), f64::from(x).tanh()];
        for (function, found) in [sigmoid(x), tanh(x)].into_iter().enumerate() {
            worst[function] = worst[function].max((f64::from(found) - truth[function]).abs());
        }
    }
    println!("worst errors of rung 5: sigmoid {:.1e}, tanh {:.1e}", worst[0], worst[1]);
    assert!(worst.iter().all(|&error| error < GATE_ERROR), "gates of rung 5: {worst:?}");
}

// ------------------------------------------------------------------------------ rungs 6, 7, 8

/// The engine, as for answers: it keeps the states alone.
struct Engine {
    cpu: Cpu,
    steps: Steps,
    tape: RecurrentTape<Matrix<f32>>,
}

impl Engine {
    fn new(layer: &Layer, path: Path, threads: usize) -> Self {
        let steps = Steps::uniform(layer.steps, layer.batch);
        let mut tape = RecurrentTape::default();
        let dims = RecurrentDims::lstm(layer.input, layer.hidden);
        tape.start_keeping(&steps, dims, Keep::States);
        for (slots, start) in [(&mut tape.h, &layer.h_0), (&mut tape.c, &layer.c_0)] {
            slots.as_mut_slice()[..start.as_slice().len()].copy_from_slice(start.as_slice());
        }
        let cpu = Cpu::with_path(threads, path).expect("threads");
        // Of the portable path, compiled without FMA, the measure says less than the path reaches.
        if path.name() != "portable" {
            let peak = cpu.peak(Duration::from_millis(200)) / 1e9;
            println!("FMA peak of {} on {threads} thread(s): {peak:.1} GFLOP/s", path.name());
        }
        Self { cpu, steps, tape }
    }

    fn forward(&mut self, layer: &Layer) {
        let Self { cpu, steps, tape } = self;
        cpu.run(|| cpu.recurrent_forward(&layer.params, Some(&layer.x), steps, tape));
    }
}

// ------------------------------------------------------------------------------------------------

type Rung = fn(&Layer, &mut Room);
const RUNGS: [(&str, Rung); 5] = [
    ("1_equations", equations),
    ("2_neighbours", neighbours),
    ("3_library_product", library),
    ("4_input_first", |layer, room| input_first(layer, room, cells)),
    ("5_polynomials", |layer, room| input_first(layer, room, cells_side_by_side)),
];

fn ladder(criterion: &mut Criterion) {
    let layer = Layer::new(SHAPE);
    let [steps, batch, input, hidden] = SHAPE;
    gates_are_near();

    // The slowest path is the first of the engine's rungs; the best one takes all threads last.
    let paths = Path::available();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut engines = Vec::new();
    for &path in paths.iter().rev() {
        let rung = if path.name() == "portable" { 6 } else { 7 };
        engines.push((format!("{rung}_engine_{}_1_thread", path.name()), path, 1));
    }
    engines.push((format!("8_engine_{}_{threads}_threads", paths[0].name()), paths[0], threads));
    let mut engines: Vec<_> = engines
        .into_iter()
        .map(|(name, path, threads)| (name, Engine::new(&layer, path, threads)))
        .collect();

    let (_, best) = engines.last_mut().expect("the portable path at least");
    best.forward(&layer);
    let expected = best.tape.h.as_slice().to_vec();

    let mut group =
        criterion.benchmark_group(format!("ladder/T{steps}_B{batch}_I{input}_H{hidden}"));
    group.sampling_mode(SamplingMode::Flat);
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    group.throughput(Throughput::Elements((8 * steps * batch * hidden * (input + hidden)) as u64));
    for (name, rung) in RUNGS {
        let mut room = Room::new(&layer);
        rung(&layer, &mut room);
        agree(name, &room.h, &expected);
        group.sample_size(if name == "1_equations" { 10 } else { 20 });
        group.bench_function(name, |b| b.iter(|| rung(black_box(&layer), &mut room)));
    }
    for (name, engine) in &mut engines {
        engine.forward(&layer);
        agree(name, engine.tape.h.as_slice(), &expected);
        group.bench_function(&*name, |b| b.iter(|| engine.forward(black_box(&layer))));
    }
    group.finish();
}

fn agree(name: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{name}");
    for (k, (found, expected)) in found.iter().zip(expected).enumerate() {
        let near = (found - expected).abs() < TOLERANCE;
        assert!(near, "{name}: number {k} of h is {found}, the engine has {expected}");
    }
}

criterion_group!(benches, ladder);
criterion_main!(benches);
