//! Every analytic gradient of the reference is a slope: central differences in f64.
//!
//! Each loss weights every output by a constant of its own, so that a gate, a row or a step mixed up
//! with another cannot cancel out. T, B, I, H are all different. Outputs that are replaced start as
//! NaN; gradients of parameters start at [`BEFORE`], since they are added to.

use layout::random::Stream;
use layout::{Accumulate, CandidateLoss, SoftmaxTask, Steps};
use ndarray::Array2;
use reference::SoftmaxParams;
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
