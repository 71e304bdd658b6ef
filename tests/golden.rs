//! We agree with PyTorch: the loss, the optimisers, ten losses of a training. Recurrent layers have a
//! file of their own.
//!
//! The files are made by `golden/make_golden.py`. Each test has a body that knows the case and the
//! tolerance, and a function that knows the machine; another machine needs another function only.

use layout::{
    CandidateLoss, Matrix, OptimizerState, OptimizerStep, RecurrentDims, RecurrentParams,
    RecurrentTape, SoftmaxTask, Steps,
};
use model::{OptimizerConfig, OptimizerKind};
use ndarray::{Array2, ArrayView2};
use reference::{Arrivals, SequenceGrads, SequenceScratch, SoftmaxParams};
use testkit::{
    AdamGolden, CrossEntropyGolden, Golden, OptimizerGolden, Precision, Tolerance, TrainingGolden,
    TrainingParams, assert_close, nan, tolerance,
};

// --- cross-entropy --------------------------------------------------------------------------

#[test]
fn cross_entropy() {
    for case in ["plain", "smooth"] {
        softmax(case, reference_softmax::<f64>);
        softmax(case, reference_softmax::<f32>);
    }
}

/// The loss, dq, dtable and dcolumn_bias.
type SoftmaxOutcome<S> = (f64, Array2<S>, Array2<S>, Array2<S>);

fn softmax<S: Precision>(
    case: &str,
    machine: impl Fn(&CrossEntropyGolden<S>) -> SoftmaxOutcome<S>,
) {
    let golden = CrossEntropyGolden::<S>::open(case);
    let (loss, dq, dtable, dcolumn_bias) = machine(&golden);
    let scalar = |value: f64| Array2::from_elem((1, 1), value);
    let worst = [
        assert_close("loss", scalar(loss).view(), scalar(golden.loss).view(), S::GOLDEN),
        assert_close("dq", dq.view(), golden.dq.view(), S::GOLDEN),
        assert_close("dtable", dtable.view(), golden.dtable.view(), S::GOLDEN),
        assert_close("dcolumn_bias", dcolumn_bias.view(), golden.dcolumn_bias.view(), S::GOLDEN),
    ];
    report::<S>(case, worst.into_iter().fold(0.0, f64::max));
}

fn reference_softmax<S: Precision>(golden: &CrossEntropyGolden<S>) -> SoftmaxOutcome<S> {
    let task = SoftmaxTask {
        weight: &golden.weight,
        smoothing: golden.smoothing,
        ..plain_task(&golden.target, golden.table.nrows())
    };
    reference_softmax_loss(&golden.table, &golden.column_bias, &golden.q, &task)
}

/// Every column a candidate, nothing that bends the scores.
fn plain_task(target: &[u32], columns: usize) -> SoftmaxTask<'_> {
    SoftmaxTask {
        loss: CandidateLoss::CrossEntropy,
        target,
        weight: &[],
        shift: &[],
        shared: columns,
        smoothing: 0.0,
        column_share: &[],
        repeat_offsets: &[],
        repeat_columns: &[],
        repeat_lags: &[],
    }
}

fn reference_softmax_loss<S: Precision>(
    table: &Array2<S>,
    column_bias: &Array2<S>,
    q: &Array2<S>,
    task: &SoftmaxTask<'_>,
) -> SoftmaxOutcome<S> {
    let no_lags = Array2::zeros((1, 0));
    let params = SoftmaxParams {
        table: table.view(),
        column_bias: column_bias.t(),
        repeat_bias: no_lags.view(),
    };
    let (mut dq, mut dtable, mut dcolumn_bias) =
        (nan(q.dim()), nan(table.dim()), nan(column_bias.dim()));
    let mut drepeat_bias = no_lags.clone();
    let mut grads = SoftmaxParams {
        table: dtable.view_mut(),
        column_bias: dcolumn_bias.view_mut().reversed_axes(),
        repeat_bias: drepeat_bias.view_mut(),
    };
    let mut scratch = vec![S::nan(); table.nrows()];
    let loss =
        reference::softmax_loss(&params, q.view(), task, dq.view_mut(), &mut grads, &mut scratch);
    (loss, dq, dtable, dcolumn_bias)
}

// --- optimiser ------------------------------------------------------------------------------

#[test]
fn adam_with_constants_that_f32_holds() {
    for case in ["exact", "exact_l2", "exact_w"] {
        adam(case, f64::GOLDEN, reference_adam::<f64>);
        adam(case, f32::GOLDEN, reference_adam::<f32>);
    }
}

#[test]
fn adam_with_the_usual_constants() {
    for case in ["adam", "adam_l2", "adamw"] {
        adam(case, tolerance::OPTIMIZER_ROUNDED, reference_adam::<f64>);
        adam(case, f32::GOLDEN, reference_adam::<f32>);
    }
}

fn adam<S: Precision>(
    case: &str,
    tolerance: Tolerance,
    machine: impl Fn(&AdamGolden<S>) -> Array2<S>,
) {
    let golden = AdamGolden::<S>::open(case);
    let path = machine(&golden);
    report::<S>(case, assert_close(case, path.view(), golden.path.view(), tolerance));
}

/// The parameter after each step, a row each.
fn reference_adam<S: Precision>(golden: &AdamGolden<S>) -> Array2<S> {
    reference_path(&golden.start, &golden.gradients, 0.0, |t| golden.step(t))
}

/// The parameter after each of the steps, numbered from 1; what is remembered starts from zero, but
/// the squares from `squares`.
fn reference_path<S: Precision>(
    start: &Array2<S>,
    gradients: &Array2<S>,
    squares: f32,
    step: impl Fn(usize) -> OptimizerStep,
) -> Array2<S> {
    let mut w = start.clone();
    let [mut m, mut v, mut b] = [0.0, squares, 0.0]
        .map(|value| Array2::from_elem(start.dim(), S::from(value).expect("a number")));
    let mut path = nan(gradients.dim());
    for (k, gradient) in gradients.rows().into_iter().enumerate() {
        let gradient = gradient.to_shape(start.dim()).expect("a row holds one gradient");
        let state = OptimizerState { m: m.view_mut(), v: v.view_mut(), b: b.view_mut() };
        reference::optimizer_step(&step(k + 1), None, gradient.view(), w.view_mut(), state);
        path.row_mut(k).assign(&w.flatten());
    }
    path
}

#[test]
fn sgd_with_and_without_a_velocity() {
    for case in ["", "_l2", "_momentum", "_momentum_l2", "_nesterov", "_nesterov_l2"] {
        optimizer(OptimizerKind::Sgd, &format!("sgd{case}"), f64::GOLDEN);
    }
}

#[test]
fn adagrad() {
    optimizer(OptimizerKind::Adagrad, "adagrad", f64::GOLDEN);
    optimizer(OptimizerKind::Adagrad, "adagrad_l2", f64::GOLDEN);
    optimizer(OptimizerKind::Adagrad, "adagrad_decay", tolerance::OPTIMIZER_ROUNDED);
}

#[test]
fn rmsprop() {
    for case in ["", "_l2", "_momentum", "_centered", "_centered_momentum_l2"] {
        optimizer(OptimizerKind::RmsProp, &format!("rmsprop{case}"), f64::GOLDEN);
    }
}

fn optimizer(kind: OptimizerKind, case: &str, exact: Tolerance) {
    optimizer_in::<f64>(kind, case, exact);
    optimizer_in::<f32>(kind, case, f32::GOLDEN);
}

/// PyTorch's constants as our settings, and the steps that come of them.
fn optimizer_in<S: Precision>(kind: OptimizerKind, case: &str, tolerance: Tolerance) {
    let golden = OptimizerGolden::<S>::open(case);
    let constants = golden.constants;
    let config = OptimizerConfig {
        kind,
        epsilon: constants.eps,
        momentum: constants.momentum,
        nesterov: constants.nesterov,
        alpha: constants.alpha,
        centered: constants.centered,
        lr_decay: constants.lr_decay,
        initial_accumulator_value: constants.initial_accumulator_value,
        l2: constants.weight_decay,
        ..OptimizerConfig::default()
    };
    assert_eq!(config.validate(), Ok(()));
    let squares = constants.initial_accumulator_value;
    let step = |t: usize| config.step(t as u64, constants.lr, 1.0);
    let path = reference_path(&golden.start, &golden.gradients, squares, step);
    report::<S>(case, assert_close(case, path.view(), golden.path.view(), tolerance));
}

// --- training -------------------------------------------------------------------------------

#[test]
fn ten_losses_of_a_training() {
    training(reference_training::<f64>);
    training(reference_training::<f32>);
}

fn training<S: Precision>(
    machine: impl Fn(&TrainingGolden<S>) -> (Vec<S>, TrainingParams<Array2<S>>),
) {
    let mut golden = TrainingGolden::<S>::open();
    let (losses, mut after) = machine(&golden);
    let losses = ArrayView2::from_shape((1, losses.len()), &losses).expect("one row");
    let mut worst = assert_close("losses", losses, golden.losses.view(), S::GOLDEN);
    for ((name, found), (_, expected)) in after.each_mut().into_iter().zip(golden.after.each_mut())
    {
        worst = worst.max(assert_close(name, found.view(), expected.view(), S::GOLDEN));
    }
    report::<S>("training", worst);
}

fn reference_training<S: Precision>(
    golden: &TrainingGolden<S>,
) -> (Vec<S>, TrainingParams<Array2<S>>) {
    let steps = Steps::from_lengths(&golden.lengths);
    let weight = vec![1.0; steps.positions()];
    let mut params = golden.params.clone();
    let mut m = params.map(|w| Array2::zeros(w.dim()));
    let mut v = m.clone();
    let mut losses = Vec::new();
    for k in 0..golden.losses.ncols() {
        let (loss, mut grads) = reference_gradients(golden, &steps, &weight, &params);
        losses.push(S::from(loss).expect("a loss is a number"));

        let step = golden.step(k + 1);
        let entries = params.each_mut().into_iter().zip(grads.each_mut());
        for (((_, w), (_, dw)), ((_, m), (_, v))) in
            entries.zip(m.each_mut().into_iter().zip(v.each_mut()))
        {
            let mut none = Array2::zeros((0, 0));
            let state = OptimizerState { m: m.view_mut(), v: v.view_mut(), b: none.view_mut() };
            reference::optimizer_step(&step, None, dw.view(), w.view_mut(), state);
        }
    }
    (losses, params)
}

/// One forward and one backward pass of the next-item model.
fn reference_gradients<S: Precision>(
    golden: &TrainingGolden<S>,
    steps: &Steps,
    weight: &[f32],
    params: &TrainingParams<Array2<S>>,
) -> (f64, TrainingParams<Array2<S>>) {
    let hidden = params.w_h.ncols();
    let start = Array2::<S>::zeros((steps.batch(), hidden));
    let mut grads = params.map(|w| Array2::zeros(w.dim()));

    let mut x = nan((steps.positions(), hidden));
    reference::embedding_forward(params.table.view(), &golden.ids, x.view_mut());
    let lstm = RecurrentParams::lstm(params.w_x.view(), params.w_h.view(), params.b.view());
    let mut tape = RecurrentTape::<Matrix<S>>::default();
    tape.start(steps, RecurrentDims::lstm(hidden, hidden));
    let mut views = tape.as_mut().map(Matrix::view_mut);
    reference::sequence_forward(&lstm, Some(x.view()), steps, &mut views);
    // Slots 1 … T: one row a position.
    let h = tape.h.view();
    let q = Array2::from_shape_fn((steps.positions(), hidden), |(p, j)| h[[steps.batch() + p, j]]);
    let task = SoftmaxTask { weight, ..plain_task(&golden.target, params.table.nrows()) };
    let (loss, dq, dtable, dcolumn_bias) =
        reference_softmax_loss(&params.table, &params.column_bias, &q, &task);

    let (mut dz, mut dx) = (nan(tape.a.view().dim()), nan(x.dim()));
    let (mut dh_0, mut dc_0) = (nan(start.dim()), nan(start.dim()));
    let mut lstm_grads = SequenceGrads {
        params: RecurrentParams::lstm(
            grads.w_x.view_mut(),
            grads.w_h.view_mut(),
            grads.b.view_mut(),
        ),
        dz: dz.view_mut(),
        dx: Some(dx.view_mut()),
        dh_0: dh_0.view_mut(),
        dc_0: dc_0.view_mut(),
    };
    reference::sequence_backward(
        &lstm,
        Some(x.view()),
        steps,
        &tape.as_ref().map(Matrix::view),
        Arrivals { dh_above: dq.view(), dc_last: None },
        &mut lstm_grads,
        &mut SequenceScratch::new(steps, &lstm),
    );
    // The table is read twice: as the input's embedding and as the candidates of the softmax.
    grads.table.assign(&dtable);
    reference::embedding_backward(&golden.ids, dx.view(), grads.table.view_mut());
    grads.column_bias.assign(&dcolumn_bias);
    (loss, grads)
}

// --------------------------------------------------------------------------------------------

/// How close it was, for the record beside the tolerances; shown by `--nocapture`.
fn report<S: Precision>(case: &str, worst: f64) {
    println!("{case} in {}: worst entry at {:.1} % of its allowance", S::NAME, 100.0 * worst);
}

#[test]
fn every_file_says_where_it_comes_from() {
    for name in ["cross_entropy", "adam", "training", "optimizers", "losses"] {
        let made_by = Golden::open(name).made_by();
        assert!(
            made_by.starts_with("tests/golden/make_golden.py, PyTorch 2.")
                && made_by.contains("seed"),
            "{name}: {made_by}"
        );
    }
}
