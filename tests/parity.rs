//! Every operation of every machine agrees with the reference; losses of outputs and optimisers
//! in `parity_learning`.
//!
//! One body runs on three machines: the reference in f64 (the truth), the reference in f32 (how far
//! plain rounding goes) and the processor, on every path it has and at sizes that no tile divides.
//! The processor's error may be twice that of the plain f32 reference, plus a few ulp. Results start
//! as NaN, so that an entry nobody writes cannot pass. A vector of one entry is not normalised and a
//! softmax has two columns at least: of one, the gradient is zero but for what rounding leaves.

mod machines;

use layout::random::Stream;
use layout::{Accumulate, CandidateLoss, SoftmaxTask, TopItems, TopTask};
use machines::{Results, input, parity, unset};
use model::{Cpu, Device};
use testkit::falling_lengths;

#[test]
fn linear() {
    for (rows, inputs, outputs) in
        [(1, 1, 1), (2, 3, 31), (3, 33, 2), (31, 2, 33), (129, 127, 31), (50, 300, 100)]
    {
        parity!(format!("N{rows} I{inputs} O{outputs}"), |device| {
            let (w, x) = (input(&device, outputs, inputs, 0.1), input(&device, rows, inputs, 0.7));
            let mut replaced = unset(&device);
            device.linear_forward(&w, &x, Accumulate::Replace, &mut replaced);
            let mut added = input(&device, rows, outputs, 1.9);
            device.linear_forward(&w, &x, Accumulate::Add, &mut added);
            let dy = input(&device, rows, outputs, 2.3);
            let mut dx = unset(&device);
            device.linear_backward_input(&w, &dy, Accumulate::Replace, &mut dx);
            let mut dx_added = input(&device, rows, inputs, 0.4);
            device.linear_backward_input(&w, &dy, Accumulate::Add, &mut dx_added);
            let mut dw = input(&device, outputs, inputs, 3.1);
            device.linear_backward_weights(&x, &dy, &mut dw);
            vec![
                ("y", replaced),
                ("y added", added),
                ("dx", dx),
                ("dx added", dx_added),
                ("dw", dw),
            ]
        });
    }
}

#[test]
fn embedding_and_what_follows_it() {
    for (items, width, batch, longest) in
        [(2, 2, 1, 1), (5, 3, 7, 4), (33, 31, 12, 9), (9, 129, 31, 3)]
    {
        let steps = &falling_lengths(batch, longest);
        let positions = steps.positions();
        let ids: Vec<u32> = (0..positions).map(|p| (p * 7 % items) as u32).collect();
        parity!(format!("V{items} E{width} N{positions}"), |device| {
            let table = input(&device, items, width, 0.3);
            let mut rows = unset(&device);
            device.embedding_forward(&table, &ids, &mut rows);
            let dout = input(&device, positions, width, 0.8);
            let mut dtable = input(&device, items, width, 1.3);
            device.embedding_backward(&ids, &dout, &mut dtable);
            let (mut mean, mut dmean) = (unset(&device), unset(&device));
            device.running_mean_forward(steps, &dout, &mut mean);
            device.running_mean_backward(steps, &dout, &mut dmean);
            let (mut y, mut norm, mut dx) = (unset(&device), unset(&device), unset(&device));
            device.normalize_forward(3.0, &rows, &mut y, &mut norm);
            device.normalize_backward(3.0, &y, &norm, &dout, &mut dx);
            let mut dropped = input(&device, positions, width, 0.2);
            device.dropout(0.3, Stream::new(5, 6, 7), &mut dropped);
            let mut sum = input(&device, positions, width, 2.2);
            device.add(&dout, Accumulate::Add, &mut sum);
            let mut copy = unset(&device);
            device.add(&dout, Accumulate::Replace, &mut copy);
            vec![
                ("rows", rows),
                ("dtable", dtable),
                ("running mean", mean),
                ("its gradient", dmean),
                ("y", y),
                ("norm", norm),
                ("dx", dx),
                ("dropout", dropped),
                ("sum", sum),
                ("copy", copy),
            ]
        });
    }
}

#[test]
fn attention() {
    for (batch, longest, key, width, lags) in
        [(1, 1, 1, 1, 1), (3, 5, 2, 33, 3), (31, 7, 31, 2, 50), (14, 20, 64, 127, 8)]
    {
        let steps = &falling_lengths(batch, longest);
        let positions = steps.positions();
        parity!(format!("T{longest} B{batch} K{key} E{width} L{lags}"), |device| {
            let [query, keys] = [0.1, 0.2].map(|phase| input(&device, positions, key, phase));
            let value = input(&device, positions, width, 0.3);
            let lag_bias = input(&device, 1, lags, 0.4);
            let (mut weights, mut context) = (unset(&device), unset(&device));
            device.attention_forward(
                steps,
                &query,
                &keys,
                &value,
                &lag_bias,
                &mut weights,
                &mut context,
            );
            let dcontext = input(&device, positions, width, 0.5);
            let mut dlag_bias = input(&device, 1, lags, 0.6);
            let [mut dquery, mut dkey, mut dvalue] = [0; 3].map(|_| unset(&device));
            device.attention_backward(
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
        });
    }
}

#[test]
fn softmax_loss_and_scores() {
    // The last is more than one block of positions.
    for (positions, columns, width, private) in [
        (1, 2, 1, 0),
        (2, 31, 3, 1),
        (49, 33, 31, 5),
        (100, 127, 33, 0),
        (7, 129, 64, 20),
        (700, 3000, 9, 20),
    ] {
        for (loss, smoothing) in [
            (CandidateLoss::CrossEntropy, 0.0),
            (CandidateLoss::CrossEntropy, 0.1),
            (CandidateLoss::BprMax { regularization: 0.5 }, 0.0),
            (CandidateLoss::Top1Max, 0.0),
        ] {
            let shared = columns - private;
            let target: Vec<u32> = (0..positions).map(|p| (p * 11 % columns) as u32).collect();
            let weight: Vec<f32> = (0..positions).map(|p| 0.5 * ((p + 1) % 4) as f32).collect();
            let shift: Vec<f32> = (0..positions).map(|p| (p % 3) as f32 * 0.3).collect();
            let share = vec![1.0 / shared as f32; shared];
            // A position may name shared columns and its own target, each once.
            let (mut repeat_offsets, mut repeat_columns) = (vec![0], Vec::new());
            for (p, &target) in target.iter().enumerate() {
                let other = (p * 5 % shared) as u32;
                if p % 2 == 0 {
                    repeat_columns.push(target);
                }
                if p % 3 == 0 && other != target {
                    repeat_columns.push(other);
                }
                repeat_offsets.push(repeat_columns.len() as u32);
            }
            let repeat_lags: Vec<u8> = (0..repeat_columns.len()).map(|k| (k % 4) as u8).collect();
            let task = SoftmaxTask {
                loss,
                target: &target,
                weight: &weight,
                shift: &shift,
                shared,
                smoothing,
                column_share: if smoothing > 0.0 { &share } else { &[] },
                repeat_offsets: &repeat_offsets,
                repeat_columns: &repeat_columns,
                repeat_lags: &repeat_lags,
            };
            let case = format!(
                "N{positions} C{columns} E{width}, {private} private, {loss:?}, {smoothing}"
            );
            parity!(case, |device| {
                let (q, table) =
                    (input(&device, positions, width, 0.1), input(&device, columns, width, 0.2));
                let (column_bias, repeat_bias) =
                    (input(&device, columns, 1, 0.3), input(&device, 1, 4, 0.4));
                let [mut dq, mut dtable, mut dcolumn_bias] = [0; 3].map(|_| unset(&device));
                let mut drepeat_bias = input(&device, 1, 4, 0.5);
                let loss = device.softmax_loss(
                    &q,
                    &table,
                    &column_bias,
                    &repeat_bias,
                    &task,
                    &mut dq,
                    &mut dtable,
                    Some(&mut dcolumn_bias),
                    &mut drepeat_bias,
                );
                let mut total = unset(&device);
                device.upload(&mut total, 1, 1, &[loss as f32]);
                let mut scores = unset(&device);
                device.scores(&q, &table, &column_bias, &mut scores);
                vec![
                    ("loss", total),
                    ("dq", dq),
                    ("dtable", dtable),
                    ("dcolumn_bias", dcolumn_bias),
                    ("drepeat_bias", drepeat_bias),
                    ("scores", scores),
                ]
            });
        }
    }
}

/// Whole numbers, small enough that every sum is exact: the machines agree on every tie.
fn whole<D: Device>(device: &D, rows: usize, columns: usize, modulus: usize) -> D::Matrix {
    let values: Vec<f32> =
        (0..rows * columns).map(|k| (k * 7919 % modulus) as f32 - (modulus / 2) as f32).collect();
    let mut matrix = D::Matrix::default();
    device.upload(&mut matrix, rows, columns, &values);
    matrix
}

/// Entries for every second row: an item of its own, another one twice.
fn entries(rows: usize, items: usize) -> (Vec<u32>, Vec<u32>, Vec<f32>) {
    let (mut offsets, mut named, mut values) = (vec![0], Vec::new(), Vec::new());
    for row in 0..rows {
        if row % 2 == 0 {
            let other = (row * 5 % items) as u32;
            named.extend([(row * 11 % items) as u32, other, other]);
            values.extend([4.0, 1.0, -3.0]);
        }
        offsets.push(named.len() as u32);
    }
    (offsets, named, values)
}

/// Items, scores and sums as matrices.
fn top_on<D: Device>(
    device: &D,
    q: &D::Matrix,
    table: &D::Matrix,
    bias: &D::Matrix,
    task: &TopTask<'_>,
) -> Results<D::Matrix> {
    let mut top = TopItems { width: 3, items: vec![5; 2], ..TopItems::default() };
    device.top_items(q, table, bias, task, &mut top);
    let rows = device.shape(q)[0];
    assert_eq!(top.width, task.count.min(device.shape(table)[0]));
    let [mut items, mut scores, mut sums] = [0; 3].map(|_| unset(device));
    let numbers: Vec<f32> = top.items.iter().map(|&item| item as f32).collect();
    let log_sums: Vec<f32> = top.log_sums.iter().map(|&sum| sum as f32).collect();
    device.upload(&mut items, rows, top.width, &numbers);
    device.upload(&mut scores, rows, top.width, &top.scores);
    device.upload(&mut sums, rows, 1, &log_sums);
    vec![("items", items), ("scores", scores), ("log sums", sums)]
}

#[test]
fn top_items() {
    for (rows, items, width, count) in [
        (1, 1, 1, 1),
        (2, 1, 3, 20),
        (3, 31, 2, 1),
        (49, 33, 31, 40),
        (97, 129, 33, 20),
        (31, 1000, 7, 127),
        (5, 127, 3, 0),
    ] {
        let (offsets, named, values) = entries(rows, items);
        let task =
            TopTask { count, log_sums: true, offsets: &offsets, items: &named, values: &values };
        for task in [task, TopTask { offsets: &[], ..task }] {
            let case =
                format!("N{rows} V{items} E{width} k{count}, {} offsets", task.offsets.len());
            // Many ties.
            parity!(format!("{case}, whole numbers"), |device| {
                let (q, table) = (whole(&device, rows, width, 5), whole(&device, items, width, 3));
                let bias = whole(&device, items, 1, 7);
                top_on(&device, &q, &table, &bias, &task)
            });
            // Of scores that are nearly equal, either may come first.
            parity!(case, |device| {
                let (q, table) =
                    (input(&device, rows, width, 0.1), input(&device, items, width, 0.2));
                let bias = input(&device, items, 1, 0.3);
                top_on(&device, &q, &table, &bias, &task).split_off(1)
            });
        }
    }
}

/// The bits of a result on 1, 2 and 7 threads are the same: an LSTM layer and a softmax large enough
/// that every operation has work for all of them.
#[test]
fn one_two_and_seven_threads_give_the_same_bits() {
    let steps = &falling_lengths(150, 9);
    let target: Vec<u32> = (0..steps.positions()).map(|p| (p * 37 % 5000) as u32).collect();
    let weight = vec![1.0; target.len()];
    let shift: Vec<f32> = target.iter().map(|&c| c as f32 * 1e-4).collect();
    let repeat_offsets: Vec<u32> = (0..=target.len() as u32).collect();
    let repeat_lags = vec![0; target.len()];
    for path in cpu::Path::available() {
        let run = |threads: usize| {
            let device = Cpu::from(cpu::Cpu::with_path(threads, path).expect("threads"));
            device.run(|| {
                let mut results: Results<_> = Vec::new();
                let task = SoftmaxTask {
                    loss: CandidateLoss::CrossEntropy,
                    target: &target,
                    weight: &weight,
                    shift: &shift,
                    // Several blocks, another number of them for each number of threads.
                    shared: 4900,
                    smoothing: 0.1,
                    column_share: &[],
                    repeat_offsets: &repeat_offsets,
                    repeat_columns: &target,
                    repeat_lags: &repeat_lags,
                };
                let n = steps.positions();
                let (q, table) = (input(&device, n, 33, 0.1), input(&device, 5000, 33, 0.2));
                let (bias, repeat) = (input(&device, 5000, 1, 0.3), input(&device, 1, 1, 0.3));
                let [mut dq, mut dtable, mut dbias] = [0; 3].map(|_| unset(&device));
                let mut drepeat = input(&device, 1, 1, 0.1);
                device.softmax_loss(
                    &q,
                    &table,
                    &bias,
                    &repeat,
                    &task,
                    &mut dq,
                    &mut dtable,
                    Some(&mut dbias),
                    &mut drepeat,
                );
                let [mut weights, mut context] = [0; 2].map(|_| unset(&device));
                device.attention_forward(steps, &q, &q, &q, &repeat, &mut weights, &mut context);
                let [mut dquery, mut dkey, mut dvalue] = [0; 3].map(|_| unset(&device));
                let mut dlag = input(&device, 1, 1, 0.4);
                device.attention_backward(
                    steps,
                    &q,
                    &q,
                    &q,
                    &weights,
                    &context,
                    &mut dlag,
                    &mut dquery,
                    &mut dkey,
                    &mut dvalue,
                );
                results.extend([
                    ("dq", dq),
                    ("dtable", dtable),
                    ("dbias", dbias),
                    ("drepeat", drepeat),
                ]);
                results.extend([("context", context), ("dquery", dquery), ("dkey", dkey)]);
                results.extend([("dvalue", dvalue), ("dlag", dlag)]);
                let (offsets, items, values) = entries(n, 5000);
                let top = TopTask {
                    count: 20,
                    log_sums: true,
                    offsets: &offsets,
                    items: &items,
                    values: &values,
                };
                results.extend(top_on(&device, &q, &table, &bias, &top));
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
