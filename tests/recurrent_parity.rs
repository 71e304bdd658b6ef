//! Every recurrent cell on every machine agrees with the reference, forward and in every gradient.
//!
//! As in `parity`: the processor's error may be twice that of the plain f32 reference, plus a few ulp.

mod machines;

use layout::random::Stream;
use layout::{Cell, Keep, RecurrentDims, RecurrentParams, RecurrentStart, RecurrentTape, Steps};
use machines::{Results, input, parity, unset};
use model::{Cpu, Device};
use testkit::tolerance::RECURRENT_ULPS;
use testkit::{falling_lengths, wave};

/// NaN in a shape that is right, for results whose memory is used as it is.
fn nan<D: Device>(device: &D, matrix: &mut D::Matrix) {
    device.fill(matrix, f32::NAN);
}

#[test]
fn lstm() {
    every_shape(Cell::Lstm, None);
}

#[test]
fn gru() {
    every_shape(Cell::Gru, None);
}

#[test]
fn plain_recurrent_network() {
    every_shape(Cell::Rnn, None);
}

#[test]
fn lstm_with_peepholes() {
    every_shape(Cell::Peephole, None);
}

#[test]
fn lstm_with_coupled_gates() {
    every_shape(Cell::Coupled, None);
}

#[test]
fn normalised_lstm() {
    every_shape(Cell::LayerNorm, None);
}

#[test]
fn projections() {
    every_shape(Cell::Lstm, Some(9));
    every_shape(Cell::LayerNorm, Some(17));
}

fn every_shape(cell: Cell, projection: Option<usize>) {
    for (batch, longest, input, hidden) in [
        (1, 1, 1, 1),
        (2, 3, 31, 2),
        (3, 5, 2, 33),
        (31, 7, 33, 31),
        (65, 4, 3, 127),
        (7, 9, 129, 8),
        (13, 2, 16, 129),
        // More positions than the processor's backward pass takes in one stretch.
        (900, 40, 7, 20),
    ] {
        // A row of one number has no variance, and one of two only a sign.
        if cell == Cell::LayerNorm && hidden < 8 {
            continue;
        }
        let steps = &falling_lengths(batch, longest);
        let dims = RecurrentDims { cell, input, hidden, projection };
        for (one_hot, from_zero, masked, zoned) in [
            (false, false, false, false),
            (true, false, false, false),
            (false, true, false, false),
            (true, true, false, false),
            (false, false, true, false),
            (true, true, true, false),
            (false, false, false, true),
            (true, true, true, true),
        ] {
            let how = How { one_hot, from_zero, masked, zoned };
            let case = format!("T{longest} B{batch} {dims:?} {how:?}");
            parity!(case, RECURRENT_ULPS, |device| layer(&device, steps, dims, how));
        }
    }
}

/// The bits of every result on 1, 2 and 7 threads are the same.
#[test]
fn one_two_and_seven_threads_give_the_same_bits() {
    let steps = &falling_lengths(150, 9);
    let ways = |cell| [(cell, false, false), (cell, true, false), (cell, true, true)];
    for (cell, masked, zoned) in Cell::ALL.into_iter().flat_map(ways) {
        let projection = (cell == Cell::Coupled).then_some(40);
        let how = How { one_hot: false, from_zero: true, masked, zoned };
        let dims = RecurrentDims { cell, input: 40, hidden: 72, projection };
        for path in cpu::Path::available() {
            let run = |threads: usize| {
                let device = Cpu::from(cpu::Cpu::with_path(threads, path).expect("threads"));
                device.run(|| layer(&device, steps, dims, how))
            };
            let expected = run(1);
            for threads in [2, 7] {
                let found = run(threads);
                for ((name, found), (_, expected)) in found.iter().zip(&expected) {
                    let case = format!("{path:?} {dims:?} {how:?}, {threads} threads: {name}");
                    // Of the start, NaN stays what it is.
                    let bits = |x: &f32| x.to_bits();
                    let (found, expected) = (found.as_slice(), expected.as_slice());
                    assert!(found.iter().map(bits).eq(expected.iter().map(bits)), "{case}");
                }
            }
        }
    }
}

/// What the parameters are called, in the order of the catalogue.
fn names(dims: RecurrentDims) -> Vec<&'static str> {
    let shapes = dims.shapes();
    let mut names = vec!["dw_x", "dw_h", "db"];
    names.extend(shapes.p.map(|_| "dp"));
    names.extend(shapes.w_p.map(|_| "dw_p"));
    if shapes.norm.is_some() {
        names.extend(["dgain_x", "dgain_h", "dgain_c", "dbias_c"]);
    }
    names
}

/// How a layer is asked to run.
#[derive(Debug, Clone, Copy)]
struct How {
    /// The input's share of the gates is handed over ready made.
    one_hot: bool,
    /// Rows start from zero, and nobody asks for the gradient of the start.
    from_zero: bool,
    /// The recurrent product sees a part of the hidden states.
    masked: bool,
    /// A part of the states stays as it was.
    zoned: bool,
}

/// A layer forward and backward.
fn layer<D: Device>(
    device: &D,
    steps: &Steps,
    dims: RecurrentDims,
    How { one_hot, from_zero, masked, zoned }: How,
) -> Results<D::Matrix> {
    let (positions, gates) = (steps.positions(), dims.cell.gates() * dims.hidden);
    // Matrices as large as learned ones are: larger weights make more of a rounding error at every step,
    // and what is compared then is luck.
    let tensors = |from: f64| -> RecurrentParams<D::Matrix> {
        let mut phase = from;
        dims.shapes().map(|[rows, columns]| {
            phase += 0.1;
            let size = if rows > 3 { 1.0 / (columns as f64).sqrt() } else { 1.0 };
            let values = wave((rows, columns), phase).mapv(|w| (size * w) as f32);
            let mut matrix = D::Matrix::default();
            device.upload(&mut matrix, rows, columns, values.as_slice().expect("row-major"));
            matrix
        })
    };
    let params = tensors(0.0);
    let x = input(device, positions, dims.input, 1.4);
    let x = (!one_hot).then_some(&x);
    let mut tape = RecurrentTape::default();
    device.start(&mut tape, steps, dims, Keep::Gates);
    if masked {
        device.resize(&mut tape.mask, steps.batch(), dims.width());
        device.fill(&mut tape.mask, 1.0);
        device.dropout(0.3, Stream::new(1, 2, 3), &mut tape.mask);
        tape.masked = input(device, positions, dims.width(), 1.7);
        nan(device, &mut tape.masked);
    }
    if zoned {
        let shares = |columns: usize, phase: f64| {
            let u = wave((positions, columns), phase).mapv(|x| (0.5 + 0.5 * x) as f32);
            let mut matrix = D::Matrix::default();
            device.upload(&mut matrix, positions, columns, u.as_slice().expect("row-major"));
            matrix
        };
        let zone = &mut tape.zone;
        zone.u_c = shares(dims.cell_width(), 0.6);
        zone.u_h = shares(dims.width(), 1.1);
        (zone.c, zone.h) = (zone.u_c.clone(), zone.u_h.clone());
        nan(device, &mut zone.c);
        nan(device, &mut zone.h);
    }
    let RecurrentTape { a, q, c, h, m, norm, .. } = &mut tape;
    for part in [&mut *a, q, m, &mut norm.x, &mut norm.h, &mut norm.c, &mut norm.deviation] {
        nan(device, part);
    }
    if one_hot {
        *a = input(device, positions, gates, 1.8);
    }
    if !from_zero {
        // Slot 0 is the start; what comes after it is to be overwritten.
        let columns = device.shape(c)[1];
        *c = input(device, steps.slots(), columns, 1.5);
        *h = input(device, steps.slots(), dims.width(), 1.6);
    }
    device.recurrent_forward(&params, x, steps, &mut tape);

    let dh = input(device, positions, dims.width(), 1.9);
    let mut grads = tensors(2.0);
    let mut start = RecurrentStart { dh_0: unset(device), dc_0: unset(device) };
    let (mut dz, mut dx) = (unset(device), unset(device));
    let wanted_dx = (!one_hot).then_some(&mut dx);
    let wanted_start = (!from_zero).then_some(&mut start);
    device.recurrent_backward(
        &params,
        x,
        steps,
        &tape,
        &dh,
        &mut grads,
        &mut dz,
        wanted_dx,
        wanted_start,
    );
    let mut results = vec![("a", tape.a), ("c", tape.c), ("h", tape.h), ("dz", dz)];
    results.extend([("q", tape.q), ("m", tape.m), ("masked", tape.masked)]);
    results.extend([("new c", tape.zone.c), ("new h", tape.zone.h)]);
    results.extend(names(dims).into_iter().zip(grads.into_vec()));
    if !from_zero {
        results.extend([("dh_0", start.dh_0), ("dc_0", start.dc_0)]);
    }
    if !one_hot {
        results.push(("dx", dx));
    }
    results
}
