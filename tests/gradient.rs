//! Every analytic gradient of the reference is a slope: central differences in f64.
//!
//! Each loss weights every output by a constant of its own, so that a gate, a row or a step mixed up
//! with another cannot cancel out. T, B, I, H are all different. Outputs that are replaced start as
//! NaN; gradients of parameters start at [`BEFORE`], since they are added to.

use layout::random::Stream;
use layout::{Accumulate, CandidateLoss, LstmParams, LstmTape, SoftmaxTask, Steps};
use ndarray::Array2;
use reference::{Arrivals, SequenceGrads, SequenceScratch, SoftmaxParams, StepTape};
use testkit::{assert_gradients, nan, wave};

/// What other uses of a parameter have left in its gradient.
const BEFORE: f64 = 0.5;

fn before(shape: (usize, usize)) -> Array2<f64> {
    Array2::from_elem(shape, BEFORE)
}

/// The weighted sum that makes a loss of an output.
fn weigh(output: &Array2<f64>, weight: &Array2<f64>) -> f64 {
    (output * weight).sum()
}

// --- LSTM -----------------------------------------------------------------------------------

#[test]
fn cell() {
    let (batch, hidden) = (2, 3);
    let inputs = [wave((batch, 4 * hidden), 0.9), wave((batch, hidden), 1.7)];
    let (dh, dc_carry) = (wave((batch, hidden), 0.3), wave((batch, hidden), 2.1));
    let run = |[z, c_prev]: &[Array2<f64>; 2]| {
        let (mut a, mut c, mut h) = (z.clone(), nan(c_prev.dim()), nan(c_prev.dim()));
        reference::cell_forward(c_prev.view(), a.view_mut(), c.view_mut(), h.view_mut());
        (a, c, h)
    };

    let (a, c, _) = run(&inputs);
    let [mut dz, mut dc_prev] = [nan(a.dim()), nan(c.dim())];
    let step = StepTape { a: a.view(), c_prev: inputs[1].view(), c: c.view() };
    reference::cell_backward(step, dh.view(), dc_carry.view(), dz.view_mut(), dc_prev.view_mut());

    assert_gradients(["dz", "dc_prev"], &[dz, dc_prev], &inputs, |inputs| {
        let (_, c, h) = run(inputs);
        weigh(&h, &dh) + weigh(&c, &dc_carry)
    });
}

#[test]
fn step() {
    let (batch, hidden) = (2, 3);
    let state = (batch, hidden);
    let w_h = wave((4 * hidden, hidden), 2.9);
    let inputs = [wave((batch, 4 * hidden), 0.9), wave(state, 0.2), wave(state, 1.7)];
    let [dh_above, dh_carry, dc_carry] = [0.3, 1.1, 2.1].map(|phase| wave(state, phase));
    let run = |[share, h_prev, c_prev]: &[Array2<f64>; 3]| {
        let (mut a, mut c, mut h) = (share.clone(), nan(state), nan(state));
        reference::step_forward(
            w_h.view(),
            h_prev.view(),
            c_prev.view(),
            a.view_mut(),
            c.view_mut(),
            h.view_mut(),
        );
        (a, c, h)
    };

    let (a, c, _) = run(&inputs);
    let (mut dz, [mut dh_prev, mut dc_prev, mut dh]) = (nan(a.dim()), [(); 3].map(|()| nan(state)));
    reference::step_backward(
        w_h.view(),
        StepTape { a: a.view(), c_prev: inputs[2].view(), c: c.view() },
        dh_above.view(),
        dh_carry.view(),
        dc_carry.view(),
        dz.view_mut(),
        dh_prev.view_mut(),
        dc_prev.view_mut(),
        dh.view_mut(),
    );

    let names = ["dz", "dh_prev", "dc_prev"];
    assert_gradients(names, &[dz, dh_prev, dc_prev], &inputs, |inputs| {
        let (_, c, h) = run(inputs);
        weigh(&h, &dh_above) + weigh(&h, &dh_carry) + weigh(&c, &dc_carry)
    });
}

/// What a layer reads: `x w_x w_h b h_0 c_0`.
type LayerInputs = [Array2<f64>; 6];

const LAYER_GRADIENTS: [&str; 6] = ["dx", "dw_x", "dw_h", "db", "dh_0", "dc_0"];

fn layer_inputs(steps: &Steps, input: usize, hidden: usize, phase: f64) -> LayerInputs {
    let shapes = [
        (steps.positions(), input),
        (4 * hidden, input),
        (4 * hidden, hidden),
        (1, 4 * hidden),
        (steps.batch(), hidden),
        (steps.batch(), hidden),
    ];
    let mut phase = phase;
    shapes.map(|shape| {
        phase += 0.83;
        wave(shape, phase)
    })
}

fn params(inputs: &LayerInputs) -> LstmParams<ndarray::ArrayView2<'_, f64>> {
    LstmParams { w_x: inputs[1].view(), w_h: inputs[2].view(), b: inputs[3].view() }
}

/// With `share`, the input's product comes ready made and `x` is not shown.
fn layer_forward(
    steps: &Steps,
    inputs: &LayerInputs,
    share: Option<&Array2<f64>>,
) -> LstmTape<Array2<f64>> {
    let [x, _, w_h, _, h_0, c_0] = inputs;
    let slots = (steps.slots(), w_h.ncols());
    let a = share.cloned().unwrap_or_else(|| nan((steps.positions(), w_h.nrows())));
    let mut tape = LstmTape { a, c: nan(slots), h: nan(slots) };
    for b in 0..steps.batch() {
        tape.h.row_mut(b).assign(&h_0.row(b));
        tape.c.row_mut(b).assign(&c_0.row(b));
    }
    let mut views = LstmTape { a: tape.a.view_mut(), c: tape.c.view_mut(), h: tape.h.view_mut() };
    let x = share.is_none().then(|| x.view());
    reference::sequence_forward(&params(inputs), x, steps, &mut views);
    tape
}

/// The gradients in the order of [`LAYER_GRADIENTS`], and dz.
fn layer_backward(
    steps: &Steps,
    inputs: &LayerInputs,
    share: Option<&Array2<f64>>,
    tape: &LstmTape<Array2<f64>>,
    dh_above: &Array2<f64>,
    dc_last: Option<&Array2<f64>>,
) -> (LayerInputs, Array2<f64>) {
    let mut dz = nan(tape.a.dim());
    let [x, w_x, w_h, b, h_0, c_0] = inputs.each_ref().map(|input| input.dim());
    let (mut dx, mut dh_0, mut dc_0) = (nan(x), nan(h_0), nan(c_0));
    let (mut dw_x, mut dw_h, mut db) = (before(w_x), before(w_h), before(b));
    let mut grads = SequenceGrads {
        params: LstmParams { w_x: dw_x.view_mut(), w_h: dw_h.view_mut(), b: db.view_mut() },
        dz: dz.view_mut(),
        dx: share.is_none().then(|| dx.view_mut()),
        dh_0: dh_0.view_mut(),
        dc_0: dc_0.view_mut(),
    };
    reference::sequence_backward(
        &params(inputs),
        share.is_none().then(|| inputs[0].view()),
        steps,
        &LstmTape { a: tape.a.view(), c: tape.c.view(), h: tape.h.view() },
        Arrivals { dh_above: dh_above.view(), dc_last: dc_last.map(|dc| dc.view()) },
        &mut grads,
        &mut SequenceScratch::new(steps.batch(), h_0.1),
    );
    ([dx, dw_x - BEFORE, dw_h - BEFORE, db - BEFORE, dh_0, dc_0], dz)
}

/// The hidden states of the positions, without the start.
fn hidden_states(steps: &Steps, tape: &LstmTape<Array2<f64>>) -> Array2<f64> {
    let (batch, hidden) = (steps.batch(), tape.h.ncols());
    Array2::from_shape_fn((steps.positions(), hidden), |(p, j)| tape.h[[batch + p, j]])
}

/// The cell state of every row after its last step.
fn last_cells(steps: &Steps, tape: &LstmTape<Array2<f64>>) -> Array2<f64> {
    let (batch, hidden) = (steps.batch(), tape.c.ncols());
    Array2::from_shape_fn((batch, hidden), |(b, j)| tape.c[[batch + steps.last(b), j]])
}

#[test]
fn sequence_over_rows_of_one_length() {
    sequence(&Steps::uniform(5, 3));
}

#[test]
fn sequence_over_rows_of_different_lengths() {
    sequence(&Steps::from_lengths(&[5, 3, 1]));
}

/// Far back: what is left of a gradient after sixty steps is still a slope.
#[test]
fn sequence_over_many_steps() {
    sequence(&Steps::from_lengths(&[64, 40, 9]));
}

/// B = 3, I = 4, H = 2.
fn sequence(steps: &Steps) {
    let inputs = layer_inputs(steps, 4, 2, 0.1);
    let (dh_above, dc_last) = (wave((steps.positions(), 2), 0.4), wave((3, 2), 1.9));
    let loss = |inputs: &LayerInputs| {
        let tape = layer_forward(steps, inputs, None);
        weigh(&hidden_states(steps, &tape), &dh_above) + weigh(&last_cells(steps, &tape), &dc_last)
    };

    let tape = layer_forward(steps, &inputs, None);
    let (grads, _) = layer_backward(steps, &inputs, None, &tape, &dh_above, Some(&dc_last));
    let worst = assert_gradients(LAYER_GRADIENTS, &grads, &inputs, loss);
    println!("T = {}: worst entry at {:.0} % of its allowance", steps.count(), 100.0 * worst);
}

/// One-hot input: somebody else has gathered the input's share, and gets dz as its gradient. The
/// last cell state is read by nobody here.
#[test]
fn sequence_whose_input_product_comes_ready_made() {
    let steps = Steps::from_lengths(&[5, 3, 1]);
    let [share, w_h, b, h_0, c_0] = [(9, 8), (8, 2), (1, 8), (3, 2), (3, 2)]
        .map(|shape| wave(shape, 0.37 * shape.0 as f64 + shape.1 as f64));
    let dh_above = wave((9, 2), 0.4);
    // Whoever reads x or w_x reads NaN.
    let layer = |[_, w_h, b, h_0, c_0]: &[Array2<f64>; 5]| {
        [nan((9, 4)), nan((8, 4)), w_h.clone(), b.clone(), h_0.clone(), c_0.clone()]
    };
    let inputs = [share, w_h, b, h_0, c_0];

    let tape = layer_forward(&steps, &layer(&inputs), Some(&inputs[0]));
    let ([_, dw_x, dw_h, db, dh_0, dc_0], dz) =
        layer_backward(&steps, &layer(&inputs), Some(&inputs[0]), &tape, &dh_above, None);
    assert!(dw_x.iter().all(|&dw| dw == 0.0), "w_x has no part in it");
    let names = ["dz", "dw_h", "db", "dh_0", "dc_0"];
    assert_gradients(names, &[dz, dw_h, db, dh_0, dc_0], &inputs, |inputs| {
        let tape = layer_forward(&steps, &layer(inputs), Some(&inputs[0]));
        weigh(&hidden_states(&steps, &tape), &dh_above)
    });
}

/// Two layers of different width; the loss reads the hidden states of both, and both last cells.
#[test]
fn stack_of_two_layers() {
    let steps = Steps::from_lengths(&[5, 4, 2]);
    let n = steps.positions();
    let (lower, upper) = (layer_inputs(&steps, 4, 2, 0.1), layer_inputs(&steps, 2, 6, 0.6));
    let (dh_lower, dh_upper) = (wave((n, 2), 0.4), wave((n, 6), 1.3));
    let (dc_lower, dc_upper) = (wave((3, 2), 1.9), wave((3, 6), 2.2));

    let run = |lower: &LayerInputs, upper: &LayerInputs| {
        let below = layer_forward(&steps, lower, None);
        let mut upper = upper.clone();
        upper[0] = hidden_states(&steps, &below);
        let above = layer_forward(&steps, &upper, None);
        (below, above, upper)
    };
    let loss = |lower: &LayerInputs, upper: &LayerInputs| {
        let (below, above, _) = run(lower, upper);
        weigh(&hidden_states(&steps, &above), &dh_upper)
            + weigh(&last_cells(&steps, &above), &dc_upper)
            + weigh(&hidden_states(&steps, &below), &dh_lower)
            + weigh(&last_cells(&steps, &below), &dc_lower)
    };

    let (below, above, fed) = run(&lower, &upper);
    let (upper_grads, _) = layer_backward(&steps, &fed, None, &above, &dh_upper, Some(&dc_upper));
    let arriving = &dh_lower + &upper_grads[0];
    let (lower_grads, _) = layer_backward(&steps, &lower, None, &below, &arriving, Some(&dc_lower));

    assert_gradients(LAYER_GRADIENTS, &lower_grads, &lower, |lower| loss(lower, &upper));
    // The upper layer's x is not free: it is the lower layer's h.
    let [_, dw_x, dw_h, db, dh_0, dc_0] = upper_grads;
    let [x, w_x, w_h, b, h_0, c_0] = upper;
    let names = ["dw_x", "dw_h", "db", "dh_0", "dc_0"];
    let free = [w_x, w_h, b, h_0, c_0];
    assert_gradients(names, &[dw_x, dw_h, db, dh_0, dc_0], &free, |free| {
        let [w_x, w_h, b, h_0, c_0] = free.clone();
        loss(&lower, &[x.clone(), w_x, w_h, b, h_0, c_0])
    });
}

// --- input ----------------------------------------------------------------------------------

#[test]
fn linear_with_bias() {
    let (positions, input, output) = (5, 4, 3);
    let inputs =
        [wave((output, input), 0.2), wave((positions, input), 1.4), wave((1, output), 2.3)];
    let dy = wave((positions, output), 0.8);

    let (mut dw, mut dx, mut db) = (before((3, 4)), nan((5, 4)), before((1, 3)));
    let [w, x, _] = &inputs;
    reference::linear_backward_input(w.view(), dy.view(), Accumulate::Replace, dx.view_mut());
    reference::linear_backward_weights(x.view(), dy.view(), dw.view_mut());
    reference::bias_backward(dy.view(), db.view_mut());

    let grads = [dw - BEFORE, dx, db - BEFORE];
    assert_gradients(["dw", "dx", "db"], &grads, &inputs, |[w, x, b]| {
        let mut y = nan(dy.dim());
        reference::linear_forward(w.view(), x.view(), Accumulate::Replace, y.view_mut());
        reference::bias_forward(b.view(), y.view_mut());
        weigh(&y, &dy)
    });
}

/// Item 3 stands at three positions, items 0 and 4 at none.
#[test]
fn embedding() {
    let ids = [3, 1, 3, 2, 3];
    let inputs = [wave((5, 2), 0.6)];
    let dout = wave((ids.len(), 2), 1.2);

    let mut dtable = before((5, 2));
    reference::embedding_backward(&ids, dout.view(), dtable.view_mut());
    assert_gradients(["dtable"], &[dtable - BEFORE], &inputs, |[table]| {
        let mut out = nan(dout.dim());
        reference::embedding_forward(table.view(), &ids, out.view_mut());
        weigh(&out, &dout)
    });
}

#[test]
fn running_mean() {
    let steps = Steps::from_lengths(&[4, 3, 1]);
    let inputs = [wave((8, 2), 0.6)];
    let dy = wave((8, 2), 1.2);

    let mut dx = nan((8, 2));
    reference::running_mean_backward(&steps, dy.view(), dx.view_mut());
    assert_gradients(["dx"], &[dx], &inputs, |[x]| {
        let mut y = nan(dy.dim());
        reference::running_mean_forward(&steps, x.view(), y.view_mut());
        weigh(&y, &dy)
    });
}

#[test]
fn normalize() {
    let inputs = [wave((4, 3), 0.6)];
    let dy = wave((4, 3), 1.2);
    let run = |x: &Array2<f64>| {
        let (mut y, mut norm) = (nan(x.dim()), nan((x.nrows(), 1)));
        reference::normalize_forward(2.5, x.view(), y.view_mut(), norm.view_mut());
        (y, norm)
    };

    let (y, norm) = run(&inputs[0]);
    let mut dx = nan(y.dim());
    reference::normalize_backward(2.5, y.view(), norm.view(), dy.view(), dx.view_mut());
    assert_gradients(["dx"], &[dx], &inputs, |[x]| weigh(&run(x).0, &dy));
}

#[test]
fn dropout_is_its_own_backward() {
    let stream = Stream::new(5, 1, 2);
    let inputs = [wave((4, 5), 0.6)];
    let dy = wave((4, 5), 1.2);

    let mut dx = dy.clone();
    reference::dropout(0.3, stream, dx.view_mut());
    assert!(dx.iter().any(|&dx| dx == 0.0) && dx.iter().any(|&dx| dx != 0.0), "a mixed mask");
    assert_gradients(["dx"], &[dx], &inputs, |[x]| {
        let mut y = x.clone();
        reference::dropout(0.3, stream, y.view_mut());
        weigh(&y, &dy)
    });
}

/// T = 5 steps but L = 3 lags: the last lag stands for all older ones.
#[test]
fn attention() {
    let steps = Steps::from_lengths(&[5, 3, 1]);
    let inputs = [wave((9, 2), 0.6), wave((9, 2), 1.1), wave((9, 4), 2.3), wave((1, 3), 0.2)];
    let dcontext = wave((9, 4), 1.2);
    let run = |[query, key, value, lag_bias]: &[Array2<f64>; 4]| {
        let mut weights = nan((1, reference::attention_weights(&steps)));
        let mut context = nan(value.dim());
        reference::attention_forward(
            &steps,
            query.view(),
            key.view(),
            value.view(),
            lag_bias.view(),
            weights.view_mut(),
            context.view_mut(),
        );
        (weights, context)
    };

    let (weights, _) = run(&inputs);
    let [query, key, value, lag_bias] = &inputs;
    let mut dlag_bias = before(lag_bias.dim());
    let (mut dquery, mut dkey, mut dvalue) = (nan(query.dim()), nan(key.dim()), nan(value.dim()));
    reference::attention_backward(
        &steps,
        query.view(),
        key.view(),
        value.view(),
        weights.view(),
        dcontext.view(),
        dlag_bias.view_mut(),
        dquery.view_mut(),
        dkey.view_mut(),
        dvalue.view_mut(),
    );
    let names = ["dquery", "dkey", "dvalue", "dlag_bias"];
    let grads = [dquery, dkey, dvalue, dlag_bias - BEFORE];
    assert_gradients(names, &grads, &inputs, |inputs| weigh(&run(inputs).1, &dcontext));
}

// --- softmax --------------------------------------------------------------------------------

/// N = 5 positions, C = 7 columns, of which 4 are shared: targets among the shared and among the
/// private ones, one private column seen by two positions, one by none.
const TARGET: [u32; 5] = [2, 5, 0, 5, 4];

#[test]
fn softmax_over_every_column() {
    softmax(&SoftmaxTask {
        loss: CandidateLoss::CrossEntropy,
        target: &TARGET,
        weight: &[1.0; 5],
        shift: &[],
        shared: 7,
        smoothing: 0.0,
        column_share: &[],
        repeat_offsets: &[0, 2, 2, 3, 5, 6],
        repeat_columns: &[0, 2, 0, 5, 6, 1],
        repeat_lags: &[0, 1, 2, 1, 0, 2],
    });
}

#[test]
fn softmax_with_private_columns_and_everything_that_bends_it() {
    softmax(&SoftmaxTask {
        loss: CandidateLoss::CrossEntropy,
        target: &TARGET,
        weight: &[1.0, 0.5, 2.0, 0.0, 0.25],
        shift: &[0.0, 1.5, -0.5, 0.25, 2.0],
        shared: 4,
        smoothing: 0.25,
        column_share: &[0.5, 0.25, 0.125, 0.125],
        repeat_offsets: &[0, 2, 4, 4, 5, 6],
        repeat_columns: &[0, 2, 5, 1, 3, 4],
        repeat_lags: &[0, 1, 2, 1, 0, 2],
    });
}

#[test]
fn softmax_with_an_evenly_spread_smoothing() {
    softmax(&SoftmaxTask {
        loss: CandidateLoss::CrossEntropy,
        target: &TARGET,
        weight: &[1.0, 0.5, 2.0, 0.75, 0.25],
        shift: &[],
        shared: 4,
        smoothing: 0.125,
        column_share: &[],
        repeat_offsets: &[0, 1, 3, 3, 4, 4],
        repeat_columns: &[3, 5, 0, 2],
        repeat_lags: &[2, 1, 0, 1],
    });
}

#[test]
fn ranking_losses_over_every_column_and_over_private_ones() {
    for loss in [
        CandidateLoss::BprMax { regularization: 0.0 },
        CandidateLoss::BprMax { regularization: 0.75 },
        CandidateLoss::Top1Max,
    ] {
        for shared in [7, 4] {
            softmax(&SoftmaxTask {
                loss,
                target: &TARGET,
                weight: &[1.0, 0.5, 2.0, 0.75, 0.25],
                shift: &[0.0, 1.5, -0.5, 0.25, 2.0],
                shared,
                smoothing: 0.0,
                column_share: &[],
                repeat_offsets: &[0, 2, 4, 4, 5, 6],
                repeat_columns: &[0, 2, 5, 1, 3, 4],
                repeat_lags: &[0, 1, 2, 1, 0, 2],
            });
        }
    }
}

fn softmax(task: &SoftmaxTask<'_>) {
    let inputs = [wave((5, 3), 0.6), wave((7, 3), 1.1), wave((7, 1), 2.3), wave((1, 3), 0.2)];
    let run = |[q, table, column_bias, repeat_bias]: &[Array2<f64>; 4]| {
        let params = SoftmaxParams {
            table: table.view(),
            column_bias: column_bias.view(),
            repeat_bias: repeat_bias.view(),
        };
        let (mut dq, mut dtable, mut dcolumn_bias, mut drepeat_bias) =
            (nan((5, 3)), nan((7, 3)), nan((7, 1)), before((1, 3)));
        let mut grads = SoftmaxParams {
            table: dtable.view_mut(),
            column_bias: dcolumn_bias.view_mut(),
            repeat_bias: drepeat_bias.view_mut(),
        };
        let mut scratch = [f64::NAN; 7];
        let loss = reference::softmax_loss(
            &params,
            q.view(),
            task,
            dq.view_mut(),
            &mut grads,
            &mut scratch,
        );
        (loss, [dq, dtable, dcolumn_bias, drepeat_bias - BEFORE])
    };

    let (_, grads) = run(&inputs);
    let names = ["dq", "dtable", "dcolumn_bias", "drepeat_bias"];
    assert_gradients(names, &grads, &inputs, |inputs| run(inputs).0);
}
