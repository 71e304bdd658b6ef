//! What stands between states and scores, and where rows start: every machine agrees with the reference,
//! with the same bits for any number of threads. How is said in `parity`.

mod machines;

use layout::{Activation, Pooling, Reach, Steps};
use machines::{Results, input, parity, unset};
use model::{Cpu, Device};
use testkit::falling_lengths;

const POOLS: [(&str, Pooling, Reach); 4] = [
    ("mean so far", Pooling::Mean, Reach::Causal),
    ("max so far", Pooling::Max, Reach::Causal),
    ("mean of the row", Pooling::Mean, Reach::Row),
    ("max of the row", Pooling::Max, Reach::Row),
];

const SIZES: [(usize, usize, usize, usize); 6] =
    [(1, 1, 1, 1), (2, 3, 2, 3), (3, 9, 31, 2), (31, 7, 33, 8), (14, 40, 9, 127), (37, 4, 129, 50)];

/// Values, and whole numbers of which many are equal.
fn pooled<D: Device>(device: &D, steps: &Steps, width: usize) -> Results<D::Matrix> {
    let mut results = Results::new();
    let positions = steps.positions();
    let mut ties = D::Matrix::default();
    let whole: Vec<f32> = (0..positions * width).map(|k| (k * 7919 % 5) as f32 - 2.0).collect();
    device.upload(&mut ties, positions, width, &whole);
    for x in [input(device, positions, width, 0.8), ties] {
        for (name, pooling, reach) in POOLS {
            let (mut y, mut dx) = (unset(device), unset(device));
            device.pool_forward(pooling, reach, steps, &x, &mut y);
            let [answers, _] = device.shape(&y);
            let dy = input(device, answers, width, 1.7);
            device.pool_backward(pooling, reach, steps, &x, &y, &dy, &mut dx);
            results.extend([(name, y), (name, dx)]);
        }
    }
    results
}

fn attended<D: Device>(
    device: &D,
    steps: &Steps,
    key: usize,
    width: usize,
    lags: usize,
) -> Results<D::Matrix> {
    let positions = steps.positions();
    let (query, keys) =
        (input(device, steps.batch(), key, 0.1), input(device, positions, key, 0.2));
    let (value, lag_bias) = (input(device, positions, width, 0.3), input(device, 1, lags, 0.4));
    let (mut weights, mut context) = (unset(device), unset(device));
    device.row_attention_forward(
        steps,
        &query,
        &keys,
        &value,
        &lag_bias,
        &mut weights,
        &mut context,
    );
    let dcontext = input(device, steps.batch(), width, 0.5);
    let mut dlag_bias = input(device, 1, lags, 0.6);
    let [mut dquery, mut dkey, mut dvalue] = [0; 3].map(|_| unset(device));
    device.row_attention_backward(
        steps,
        &query,
        &keys,
        &value,
        &weights,
        &dcontext,
        &mut dlag_bias,
        &mut dquery,
        &mut dkey,
        &mut dvalue,
    );
    vec![
        ("weights", weights),
        ("context", context),
        ("dlag_bias", dlag_bias),
        ("dquery", dquery),
        ("dkey", dkey),
        ("dvalue", dvalue),
    ]
}

fn bent<D: Device>(device: &D, rows: usize, inputs: usize, outputs: usize) -> Results<D::Matrix> {
    let mut results = Results::new();
    let (w, b) = (input(device, outputs, inputs, 0.1), input(device, 1, outputs, 0.4));
    let (x, dy) = (input(device, rows, inputs, 0.7), input(device, rows, outputs, 2.3));
    for f in [Activation::Relu, Activation::Tanh, Activation::Elu] {
        let [mut y, mut dz, mut dx] = [0; 3].map(|_| unset(device));
        device.dense_forward(&w, &b, f, &x, &mut y);
        let (mut dw, mut db) =
            (input(device, outputs, inputs, 3.1), input(device, 1, outputs, 0.2));
        // From numbers that all machines share: of two that differ in the last bit, a slope may differ
        // altogether.
        let y_shared = input(device, rows, outputs, 1.4);
        device.dense_backward(&w, f, &x, &y_shared, &dy, &mut dw, &mut db, &mut dz, &mut dx);
        results.extend([("y", y), ("dw", dw), ("db", db), ("dz", dz), ("dx", dx)]);
    }
    results
}

#[test]
fn pooling() {
    for (batch, longest, width, _) in SIZES {
        let steps = &falling_lengths(batch, longest);
        parity!(format!("T{longest} B{batch} E{width}"), |device| pooled(&device, steps, width));
    }
}

#[test]
fn attention_of_a_row() {
    for (batch, longest, width, lags) in SIZES {
        let (steps, key) = (&falling_lengths(batch, longest), width.div_ceil(2));
        parity!(format!("T{longest} B{batch} K{key} E{width} L{lags}"), |device| {
            attended(&device, steps, key, width, lags)
        });
    }
}

#[test]
fn dense() {
    for (rows, inputs, outputs) in
        [(1, 1, 1), (2, 3, 31), (3, 33, 2), (31, 2, 33), (129, 127, 31), (50, 300, 100)]
    {
        parity!(format!("N{rows} I{inputs} O{outputs}"), |device| {
            bent(&device, rows, inputs, outputs)
        });
    }
}

/// The same start for all rows, and rows in an order of their own; what lies behind them stays.
#[test]
fn where_rows_start() {
    for (rows, width) in [(1, 1), (3, 31), (33, 2)] {
        parity!(format!("B{rows} H{width}"), |device| {
            let (one, states) = (input(&device, 1, width, 0.3), input(&device, rows, width, 0.9));
            let (mut same, mut turned) =
                (input(&device, 2 * rows, width, 1.1), input(&device, rows + 1, width, 1.2));
            device.set_start(&one, &vec![0; rows], &mut same);
            let order: Vec<u32> = (0..rows as u32).rev().collect();
            device.set_start(&states, &order, &mut turned);
            vec![("one for all", same), ("turned round", turned)]
        });
    }
}

#[test]
fn one_two_and_seven_threads_give_the_same_bits() {
    let steps = &falling_lengths(150, 9);
    for path in cpu::Path::available() {
        let run = |threads: usize| {
            let device = Cpu::from(cpu::Cpu::with_path(threads, path).expect("threads"));
            device.run(|| {
                let mut results = pooled(&device, steps, 33);
                results.extend(attended(&device, steps, 17, 33, 4));
                results.extend(bent(&device, steps.positions(), 33, 150));
                results
            })
        };
        let one = run(1);
        for threads in [2, 7] {
            for ((name, found), (_, expected)) in run(threads).iter().zip(&one) {
                let name = format!("{path:?} {threads} threads: {name}");
                testkit::assert_same_bits(&name, found.view(), expected.view());
            }
        }
    }
}
