//! What turns scores and gradients into learning agrees with the reference on every machine, as the
//! layers of `parity` do: optimisers, losses.

mod machines;

use layout::{
    Adagrad, Adam, CandidateLoss, ClassTask, ElementLoss, ElementTask, OptimizerState,
    OptimizerStep, RmsProp, Sgd, SoftmaxTask, UpdateRule,
};
use machines::{Results, input, parity, unset};
use model::{Cpu, Device};
use testkit::{assert_same_bits, wave};

/// A step by a rule, with everything round the rule switched on.
fn step(rule: UpdateRule) -> OptimizerStep {
    OptimizerStep { learning_rate: 0.01, scale: 0.7, l2: 0.03, weight_decay: 0.02, rule }
}

/// Every rule, and every way through it.
fn rules() -> Vec<UpdateRule> {
    let adam = Adam {
        beta_1: 0.9,
        beta_2: 0.999,
        epsilon: 1e-8,
        correction_1: 0.271,
        correction_2: 0.002_997,
    };
    let sgd = |momentum, nesterov| UpdateRule::Sgd(Sgd { momentum, nesterov });
    let rmsprop = |momentum, centered| {
        UpdateRule::RmsProp(RmsProp { alpha: 0.95, epsilon: 1e-8, momentum, centered })
    };
    vec![
        UpdateRule::Adam(adam),
        sgd(0.0, false),
        sgd(0.9, false),
        sgd(0.9, true),
        UpdateRule::Adagrad(Adagrad { epsilon: 1e-10 }),
        rmsprop(0.0, false),
        rmsprop(0.9, false),
        rmsprop(0.0, true),
        rmsprop(0.9, true),
    ]
}

/// A parameter and what is remembered of it, as they are after some steps.
fn start<D: Device>(
    device: &D,
    rule: &UpdateRule,
    rows: usize,
    columns: usize,
) -> (D::Matrix, OptimizerState<D::Matrix>) {
    // Mean squares are larger than squared means.
    let small = |phase| wave((rows, columns), phase).mapv(|x| 0.3 * x);
    let parts = OptimizerState {
        m: small(0.3),
        v: wave((rows, columns), 0.9).mapv(|x| 0.1 + x * x),
        b: small(0.4),
    };
    let state = rule.keeps().zip(parts).map(|(kept, part)| {
        let mut matrix = D::Matrix::default();
        if kept {
            let values: Vec<f32> = part.iter().map(|&x| x as f32).collect();
            device.upload(&mut matrix, rows, columns, &values);
        }
        matrix
    });
    (input(device, rows, columns, 0.2), state)
}

/// One step over all rows and, if there are any to name, one over some.
fn steps_on<D: Device>(
    device: &D,
    rule: UpdateRule,
    rows: usize,
    columns: usize,
    ways: &[Option<&[u32]>],
) -> Results<D::Matrix> {
    let gradient = input(device, rows, columns, 0.1);
    let (mut w, mut state) = start(device, &rule, rows, columns);
    for some in ways {
        device.optimizer_step(&step(rule), *some, &gradient, &mut w, &mut state);
    }
    let OptimizerState { m, v, b } = state;
    let mut results = vec![("w", w)];
    let kept = rule.keeps().into_array();
    let parts = [("m", m), ("v", v), ("b", b)].into_iter().zip(kept);
    results.extend(parts.filter_map(|(part, kept)| kept.then_some(part)));
    results
}

#[test]
fn optimisers() {
    for (rows, columns) in [(1, 1), (3, 31), (33, 129), (300, 127)] {
        let some: Vec<u32> = (0..rows as u32).step_by(2).collect();
        for rule in rules() {
            parity!(format!("{rows} x {columns} {rule:?}"), |device| {
                steps_on(&device, rule, rows, columns, &[None, Some(&some)])
            });
        }
    }
}

/// Among some rows, a row moves as it would among all, and the others stay as they are.
#[test]
fn some_rows_move_as_they_would_among_all() {
    // Neighbours, gaps, both ends, and rows of several tasks.
    let some = [0, 1, 2, 7, 255, 256, 300, 511, 599];
    for path in cpu::Path::available() {
        let device = Cpu::from(cpu::Cpu::with_path(2, path).expect("two threads"));
        for rule in rules() {
            let ways =
                |ways: &[Option<&[u32]>]| device.run(|| steps_on(&device, rule, 600, 33, ways));
            let (before, all, found) = (ways(&[]), ways(&[None]), ways(&[Some(&some)]));
            for (k, (name, found)) in found.iter().enumerate() {
                let mut expected = before[k].1.clone();
                for row in some.map(|row| row as usize) {
                    expected.row_mut(row).copy_from_slice(all[k].1.row(row));
                }
                assert_ne!(before[k].1.row(7), all[k].1.row(7), "{rule:?}: {name} moves");
                let name = format!("{path:?} {rule:?}: {name}");
                assert_same_bits(&name, found.view(), expected.view());
            }
        }
    }
}

/// The bits of a result on 1, 2 and 7 threads are the same, where there is work for all of them.
#[test]
fn one_two_and_seven_threads_give_the_same_bits() {
    let some: Vec<u32> = (0..2000).filter(|row| row % 3 > 0).collect();
    for path in cpu::Path::available() {
        let run = |threads: usize, rule| {
            let device = Cpu::from(cpu::Cpu::with_path(threads, path).expect("threads"));
            device.run(|| steps_on(&device, rule, 2000, 67, &[None, Some(&some), None]))
        };
        for rule in rules() {
            let one = run(1, rule);
            for threads in [2, 7] {
                for ((name, found), (_, expected)) in run(threads, rule).iter().zip(&one) {
                    let name = format!("{path:?} {threads} threads, {rule:?}: {name}");
                    assert_same_bits(&name, found.view(), expected.view());
                }
            }
        }
    }
}

#[test]
fn sums_over_parameters() {
    for (rows, columns) in [(1, 1), (3, 31), (33, 129), (300, 127)] {
        let some: Vec<u32> = (0..rows as u32).step_by(2).collect();
        parity!(format!("{rows} x {columns}"), |device| {
            let w = input(&device, rows, columns, 0.2);
            let mut sums = unset(&device);
            let squares = [device.sum_of_squares(&w, None), device.sum_of_squares(&w, Some(&some))];
            device.upload(&mut sums, 1, 2, &squares.map(|x| x as f32));
            let mut mean = input(&device, rows, columns, 0.4);
            device.average(0.2, &w, &mut mean);
            let mut cleared = input(&device, rows, columns, 0.5);
            device.clear_rows(&some, &mut cleared);
            vec![("squares", sums), ("mean", mean), ("cleared", cleared)]
        });
    }
}

// --- losses ---------------------------------------------------------------------------------

/// A number as a result.
fn scalar<D: Device>(device: &D, value: f64) -> D::Matrix {
    let mut matrix = unset(device);
    device.upload(&mut matrix, 1, 1, &[value as f32]);
    matrix
}

/// What positions count: not alike, and some of them nothing.
fn weights(positions: usize) -> Vec<f32> {
    (0..positions).map(|p| 0.5 * ((p + 1) % 4) as f32).collect()
}

/// Every loss of outputs and of classes; logits up to eight on either side.
fn losses_on<D: Device>(device: &D, positions: usize, columns: usize) -> Results<D::Matrix> {
    let upload = |phase: f64, change: fn(f64) -> f64| {
        let values = wave((positions, columns), phase).mapv(change);
        let values: Vec<f32> = values.iter().map(|&x| x as f32).collect();
        let mut matrix = D::Matrix::default();
        device.upload(&mut matrix, positions, columns, &values);
        matrix
    };
    let z = upload(0.1, |x| 8.0 * x);
    let (share, truth) =
        (upload(0.7, |x| 0.5 + 0.5 * x), upload(0.7, |x| f64::from(u8::from(x > 0.2))));
    let weight = &weights(positions);
    let of_columns: Vec<f32> = (0..columns).map(|c| 0.25 + (c % 3) as f32).collect();
    let mut results = Vec::new();
    for (name, loss, y) in [
        ("bce", ElementLoss::BinaryCrossEntropy { positive: &[] }, &share),
        ("bce, positive", ElementLoss::BinaryCrossEntropy { positive: &of_columns }, &share),
        ("squared", ElementLoss::SquaredError, &share),
        ("huber", ElementLoss::Huber { delta: 1.5 }, &share),
        ("focal", ElementLoss::Focal { gamma: 2.0, alpha: 0.25 }, &truth),
        ("poisson", ElementLoss::Poisson, &share),
        ("focal, slow", ElementLoss::Focal { gamma: 0.5, alpha: 0.75 }, &truth),
    ] {
        let mut dz = unset(device);
        let loss = device.element_loss(&z, y, &ElementTask { loss, weight }, &mut dz);
        results.extend([(name, scalar(device, loss)), (name, dz)]);
    }
    let target: Vec<u32> = (0..positions).map(|p| (p * 11 % columns) as u32).collect();
    for (name, class_weight) in [("classes", &[][..]), ("classes, weighted", &of_columns)] {
        let task = ClassTask { target: &target, class_weight, weight };
        let mut dz = unset(device);
        let loss = device.class_loss(&z, &task, &mut dz);
        results.extend([(name, scalar(device, loss)), (name, dz)]);
    }
    results
}

#[test]
fn losses_of_outputs() {
    // The last is more than one task.
    for (positions, columns) in [(2, 2), (3, 31), (31, 3), (129, 33), (700, 2), (1500, 17)] {
        parity!(format!("N{positions} C{columns}"), |device| {
            losses_on(&device, positions, columns)
        });
    }
}

/// The ranking losses over candidates of which some are private, large enough for several blocks.
fn rankings_on<D: Device>(device: &D) -> Results<D::Matrix> {
    let (positions, columns, width) = (700, 3000, 9);
    let target: Vec<u32> = (0..positions).map(|p| (p * 37 % columns) as u32).collect();
    let weight = weights(positions);
    let (q, table) = (input(device, positions, width, 0.1), input(device, columns, width, 0.2));
    let (bias, repeat) = (input(device, columns, 1, 0.3), input(device, 1, 1, 0.4));
    let mut results = Vec::new();
    for loss in [CandidateLoss::BprMax { regularization: 0.5 }, CandidateLoss::Top1Max] {
        let task = SoftmaxTask {
            loss,
            target: &target,
            weight: &weight,
            shift: &[],
            shared: 2900,
            smoothing: 0.0,
            column_share: &[],
            repeat_offsets: &[],
            repeat_columns: &[],
            repeat_lags: &[],
        };
        let [mut dq, mut dtable, mut dbias] = [0; 3].map(|_| unset(device));
        let mut drepeat = input(device, 1, 1, 0.5);
        let dwanted = Some(&mut dbias);
        let loss = device.softmax_loss(
            &q,
            &table,
            &bias,
            &repeat,
            &task,
            &mut dq,
            &mut dtable,
            dwanted,
            &mut drepeat,
        );
        let loss = scalar(device, loss);
        results.extend([("loss", loss), ("dq", dq), ("dtable", dtable), ("dbias", dbias)]);
    }
    results
}

#[test]
fn losses_have_the_same_bits_on_one_two_and_seven_threads() {
    for path in cpu::Path::available() {
        let run = |threads: usize| {
            let device = Cpu::from(cpu::Cpu::with_path(threads, path).expect("threads"));
            device.run(|| [losses_on(&device, 1500, 17), rankings_on(&device)].concat())
        };
        let one = run(1);
        for threads in [2, 7] {
            for ((name, found), (_, expected)) in run(threads).iter().zip(&one) {
                let name = format!("{path:?} {threads} threads: {name}");
                assert_same_bits(&name, found.view(), expected.view());
            }
        }
    }
}

/// Scores far apart, either way: a target that is hopelessly behind, one that is far ahead, one
/// that has nobody to be ahead of. Every machine gives finite numbers, and they are the
/// reference's.
#[test]
fn rankings_of_scores_far_apart() {
    for loss in [CandidateLoss::BprMax { regularization: 0.0 }, CandidateLoss::Top1Max] {
        for (shared, own) in [(3, -300.0), (3, 300.0), (3, 0.0), (1, 5.0)] {
            parity!(format!("{loss:?}, {shared} shared, own {own}"), |device| {
                let mut table = unset(&device);
                device.upload(&mut table, 4, 1, &[own, 1.0, 2.5, 0.25]);
                let [mut q, mut bias, mut repeat] = [0; 3].map(|_| unset(&device));
                device.upload(&mut q, 1, 1, &[1.0]);
                device.upload(&mut bias, 4, 1, &[0.0; 4]);
                device.upload(&mut repeat, 1, 0, &[]);
                let task = SoftmaxTask {
                    loss,
                    target: &[0],
                    weight: &[1.0],
                    shift: &[],
                    shared,
                    smoothing: 0.0,
                    column_share: &[],
                    repeat_offsets: &[],
                    repeat_columns: &[],
                    repeat_lags: &[],
                };
                let [mut dq, mut dtable, mut drepeat] = [0; 3].map(|_| unset(&device));
                device.upload(&mut drepeat, 1, 0, &[]);
                let loss = device.softmax_loss(
                    &q,
                    &table,
                    &bias,
                    &repeat,
                    &task,
                    &mut dq,
                    &mut dtable,
                    None,
                    &mut drepeat,
                );
                vec![("loss", scalar(&device, loss)), ("dq", dq), ("dtable", dtable)]
            });
        }
    }
}
