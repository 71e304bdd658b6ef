//! Every recurrent cell agrees with PyTorch, forward and in every gradient.
//!
//! The files are made by `golden/make_golden.py` (LSTM), `golden/make_cells.py` (the others) and
//! `golden/make_masks.py` (each with masks, and with zoneout). The test has a body that knows the case and the tolerance, and a function that knows the machine.

use layout::{Cell, Matrix, RecurrentDims, RecurrentTape, Steps};
use ndarray::{Array2, ArrayView2};
use reference::{Arrivals, SequenceGrads, SequenceScratch};
use testkit::{
    Golden, LayerGrads, Precision, RecurrentGolden, RecurrentInputs, RecurrentOutcome, nan,
    to_matrix,
};

/// Layers of a cell, lowest first.
fn layers(cell: Cell, projection: Option<usize>, sizes: &[(usize, usize)]) -> Vec<RecurrentDims> {
    let layer = |&(input, hidden)| RecurrentDims { cell, input, hidden, projection };
    sizes.iter().map(layer).collect()
}

#[test]
fn lstm() {
    check("lstm_one_layer", &layers(Cell::Lstm, None, &[(5, 4)]));
    check("lstm_two_layers", &layers(Cell::Lstm, None, &[(3, 5), (5, 5)]));
}

#[test]
fn lstm_over_rows_of_different_lengths() {
    check("lstm_packed", &layers(Cell::Lstm, None, &[(5, 3), (3, 3)]));
}

#[test]
fn gru() {
    check("cell_gru", &layers(Cell::Gru, None, &[(5, 3), (3, 3)]));
}

#[test]
fn plain_recurrent_network() {
    check("cell_rnn", &layers(Cell::Rnn, None, &[(5, 3), (3, 3)]));
}

#[test]
fn lstm_with_a_projection() {
    check("cell_lstm_projection", &layers(Cell::Lstm, Some(2), &[(5, 3), (2, 3)]));
}

#[test]
fn lstm_with_peepholes() {
    check("cell_peephole", &layers(Cell::Peephole, None, &[(5, 3), (3, 3)]));
    check("cell_peephole_projection", &layers(Cell::Peephole, Some(2), &[(5, 3), (2, 3)]));
}

#[test]
fn lstm_with_coupled_gates() {
    check("cell_coupled", &layers(Cell::Coupled, None, &[(5, 3), (3, 3)]));
}

#[test]
fn normalised_lstm() {
    check("cell_layer_norm", &layers(Cell::LayerNorm, None, &[(5, 3), (3, 3)]));
}

#[test]
fn masks_of_states_and_of_weights() {
    every_cell(Inside::Masks);
}

#[test]
fn zoneout() {
    every_cell(Inside::Shares);
}

/// What drops inside the recurrence.
#[derive(Clone, Copy, PartialEq)]
enum Inside {
    Nothing,
    Masks,
    Shares,
}

fn every_cell(inside: Inside) {
    let kind = if inside == Inside::Masks { "masked" } else { "zoned" };
    for (name, cell, projection) in [
        ("lstm", Cell::Lstm, None),
        ("gru", Cell::Gru, None),
        ("rnn", Cell::Rnn, None),
        ("peephole", Cell::Peephole, None),
        ("layer_norm", Cell::LayerNorm, None),
        ("coupled_projection", Cell::Coupled, Some(2)),
    ] {
        let width = projection.unwrap_or(3);
        let layers = layers(cell, projection, &[(5, 3), (width, 3)]);
        check_inside(&format!("cell_{kind}_{name}"), &layers, inside);
    }
}

fn check(name: &str, layers: &[RecurrentDims]) {
    check_inside(name, layers, Inside::Nothing);
}

fn check_inside(name: &str, layers: &[RecurrentDims], inside: Inside) {
    in_precision::<f64>(name, layers, inside);
    in_precision::<f32>(name, layers, inside);
    assert_origin(name);
}

fn assert_origin(name: &str) {
    let made_by = Golden::open(name).made_by();
    assert!(made_by.starts_with("tests/golden/make_"), "{name}: {made_by}");
    assert!(made_by.contains(".py, PyTorch 2.") && made_by.contains("seed"), "{name}: {made_by}");
}

/// What one layer has beside its weights; nothing that is empty.
struct Dropped<S> {
    /// What the recurrent product sees, `[B, R]`, and what drops of w_h, `[G·H, R]`.
    masks: Option<[Array2<S>; 2]>,
    /// Shares of the new states that enter, `[N, H]` and `[N, R]`.
    shares: Option<[Array2<S>; 2]>,
}

fn in_precision<S: Precision>(name: &str, layers: &[RecurrentDims], inside: Inside) {
    let golden = RecurrentGolden::<S>::open(name, layers);
    let steps = Steps::from_lengths(&golden.lengths);
    let file = Golden::open(name);
    let of_layer = |k| {
        let pair = |names: [&str; 2]| names.map(|name| file.matrix(&format!("{k}.{name}")));
        let masks = (inside == Inside::Masks).then(|| pair(["mask", "mask_w"]));
        Dropped { masks, shares: (inside == Inside::Shares).then(|| pair(["u_c", "u_h"])) }
    };
    let dropped: Vec<_> = (0..layers.len()).map(of_layer).collect();
    let worst =
        on_reference(&steps, &golden.inputs, &dropped).assert_close(&golden.outcome, S::GOLDEN);
    println!("{name} in {}: worst entry at {:.0} % of its allowance", S::NAME, 100.0 * worst);
}

/// A stack is a loop over layers, upwards and then downwards. DropConnect is a layer that runs with
/// another w_h, and whose gradient passes the same mask.
fn on_reference<S: Precision>(
    steps: &Steps,
    inputs: &RecurrentInputs<S>,
    dropped: &[Dropped<S>],
) -> RecurrentOutcome<S> {
    let params_of = |k: usize| {
        let mut params = inputs.layers[k].params.clone();
        if let Some([_, mask_w]) = &dropped[k].masks {
            params.w_h *= mask_w;
        }
        params
    };
    let mut tapes = Vec::new();
    let mut x = inputs.x.clone();
    for (k, layer) in inputs.layers.iter().enumerate() {
        let mut tape = RecurrentTape::<Matrix<S>>::default();
        tape.start(steps, layer.dims);
        if let Some([mask, _]) = &dropped[k].masks {
            tape.set_mask(steps, to_matrix(mask.view()));
        }
        if let Some([u_c, u_h]) = &dropped[k].shares {
            tape.set_shares(steps, to_matrix(u_c.view()), to_matrix(u_h.view()));
        }
        for (state, start) in [(&mut tape.h, &layer.h_0), (&mut tape.c, &layer.c_0)] {
            let start = to_matrix(start.view());
            state.fill(S::nan());
            state.as_mut_slice()[..start.as_slice().len()].copy_from_slice(start.as_slice());
        }
        let params = params_of(k);
        let params = params.as_ref().map(|tensor| tensor.view());
        let mut views = tape.as_mut().map(Matrix::view_mut);
        reference::sequence_forward(&params, Some(x.view()), steps, &mut views);
        x = hidden_states(steps, tape.h.view());
        tapes.push(tape);
    }
    let h = x;

    let mut dh_above = inputs.dh.clone();
    let mut layers = Vec::new();
    for (k, layer) in inputs.layers.iter().enumerate().rev() {
        // What reaches the last hidden state of a row arrives at the row's last position.
        for b in 0..steps.batch() {
            let mut last = dh_above.row_mut(steps.last(b));
            last += &layer.dh_last.row(b);
        }
        let x = match k {
            0 => inputs.x.clone(),
            _ => hidden_states(steps, tapes[k - 1].h.view()),
        };
        let params = params_of(k);
        let params = params.as_ref().map(|tensor| tensor.view());
        let tape = tapes[k].as_ref().map(Matrix::view);
        let mut dparams = layer.params.as_ref().map(|tensor| Array2::zeros(tensor.dim()));
        let mut dz = nan(tape.a.dim());
        let (mut dx, mut dh_0, mut dc_0) =
            (nan(x.dim()), nan(layer.h_0.dim()), nan(layer.c_0.dim()));
        let mut grads = SequenceGrads {
            params: dparams.as_mut().map(|tensor| tensor.view_mut()),
            dz: dz.view_mut(),
            dx: Some(dx.view_mut()),
            dh_0: dh_0.view_mut(),
            dc_0: dc_0.view_mut(),
        };
        let arrivals = Arrivals { dh_above: dh_above.view(), dc_last: Some(layer.dc_last.view()) };
        let mut scratch = SequenceScratch::new(steps, &params);
        let x = Some(x.view());
        reference::sequence_backward(&params, x, steps, &tape, arrivals, &mut grads, &mut scratch);
        if let Some([_, mask_w]) = &dropped[k].masks {
            dparams.w_h *= mask_w;
        }
        let (h_last, c_last) = (last_slots(steps, tape.h), last_slots(steps, tape.c));
        layers.push(LayerGrads { h_last, c_last, params: dparams, dh_0, dc_0 });
        dh_above = dx;
    }
    layers.reverse();
    RecurrentOutcome { h, dx: dh_above, layers }
}

/// Slots 1 … T of a state: one row a position.
fn hidden_states<S: Precision>(steps: &Steps, slots: ArrayView2<'_, S>) -> Array2<S> {
    Array2::from_shape_fn((steps.positions(), slots.ncols()), |(p, j)| {
        slots[[steps.batch() + p, j]]
    })
}

/// The state of every row after its last step.
fn last_slots<S: Precision>(steps: &Steps, slots: ArrayView2<'_, S>) -> Array2<S> {
    Array2::from_shape_fn((steps.batch(), slots.ncols()), |(b, j)| {
        slots[[steps.batch() + steps.last(b), j]]
    })
}
