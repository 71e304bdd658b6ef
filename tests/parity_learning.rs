//! What turns scores and gradients into learning agrees with the reference on every machine, as the
//! layers of `parity` do.

mod machines;

use layout::{Adagrad, Adam, OptimizerState, OptimizerStep, RmsProp, Sgd, UpdateRule};
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
