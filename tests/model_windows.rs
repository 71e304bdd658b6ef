//! Sessions in windows: the loss is that of the whole, gradients end where a window begins, answers go on
//! from states, and PyTorch trains alike.

mod models;

use layout::Matrix;
use model::{
    Activation, Batch, BatchError, CellKind, Cpu, Device, Dropout, Gradients, InitialState, Model,
    ModelConfig, OptimizerConfig, OptimizerKind, Output, Readout, Reference, Scorer, StepContext,
    Trainer, Wanted, Workspace,
};
use models::{
    Exact, ITEMS, SESSIONS, WEIGHTS, answers, everything, lively_model, loss_and_gradients,
    one_hot, plain, training_batch,
};
use ndarray::Array2;
use testkit::{Golden, Precision, assert_close, assert_gradient, to_matrix};

/// Models that a window suits: the states are all that they carry on.
fn windowed() -> [ModelConfig; 5] {
    let cell = |name: &str| name.parse::<CellKind>().expect("a cell");
    let repeats = ModelConfig { repeat_lags: 3, output_bias: true, ..plain() };
    let gru = ModelConfig { cell: cell("gru"), layers: 2, residual: true, ..plain() };
    let projected = ModelConfig { cell: cell("lstm+projection"), head: vec![5], ..plain() };
    let learned = ModelConfig { widths: vec![3, 5], layers: 2, ..plain() };
    [
        repeats,
        ModelConfig { initial_state: InitialState::Learned, ..gru },
        projected,
        ModelConfig { initial_state: InitialState::Learned, temperature: 2.0, ..learned },
        ModelConfig { repeat_lags: 2, ..one_hot() },
    ]
}

fn fill(batch: &mut Batch, window: std::ops::Range<usize>) -> f64 {
    batch.fill_window(&SESSIONS, &WEIGHTS, window);
    batch.weights().iter().map(|&weight| f64::from(weight)).sum()
}

/// With weights that stand still, the losses of the windows are the loss of the whole sessions.
#[test]
fn windows_see_what_a_pass_over_the_whole_sees() {
    for config in windowed() {
        let model = lively_model(&config);
        let (whole, _) = loss_and_gradients(&model, &training_batch(&config), 0);
        for window in 1..6 {
            let (mut workspace, mut batch) = (Workspace::default(), Batch::new(&config));
            let mut gradients = Gradients::new(model.device(), model.catalogue());
            let (mut sum, mut weights) = (0.0, 0.0);
            for first in (0..5).step_by(window) {
                let weight = fill(&mut batch, first..first + window);
                let context = StepContext { seed: 3, step: 0 };
                let loss = model.gradients(&batch, context, &mut workspace, &mut gradients);
                sum += weight * loss.expect("states of the window before");
                weights += weight;
            }
            let loss = sum / weights;
            assert!((loss - whole).abs() < 1e-12 * whole, "{window}: {loss}, not {whole}");
        }
    }
}

/// A window that holds all there is makes the same step, to the last bit.
#[test]
fn a_window_of_everything_is_no_window() {
    for config in windowed().into_iter().chain([everything()]) {
        let model = lively_model(&config);
        let (whole, expected) = loss_and_gradients(&model, &training_batch(&config), 0);
        let mut batch = Batch::new(&config);
        fill(&mut batch, 0..5);
        let (loss, gradients) = loss_and_gradients(&model, &batch, 0);
        assert_eq!(loss.to_bits(), whole.to_bits());
        let tensors = gradients.values().iter().zip(expected.values().iter());
        for (spec, (found, expected)) in model.catalogue().iter().zip(tensors) {
            testkit::assert_same_bits(&spec.name, found.view(), expected.view());
        }
    }
}

/// The gradient of a later window is the slope of its loss with the states that it starts from held
/// fast: nothing goes back into the window before, and nothing less than all of this one counts.
#[test]
fn gradients_end_where_a_window_begins() {
    for config in windowed() {
        let model = lively_model(&config);
        let (mut workspace, mut batch) = (Workspace::default(), Batch::new(&config));
        let mut gradients = Gradients::new(model.device(), model.catalogue());
        let context = StepContext { seed: 3, step: 0 };
        fill(&mut batch, 0..2);
        model.gradients(&batch, context, &mut workspace, &mut gradients).expect("fits");
        let states = workspace.states().clone();
        let start_of = |gradients: &Gradients<Matrix<f64>>| {
            let starts = gradients.values().starts.iter();
            starts
                .map(|start| start.h_0.as_slice().iter().map(|d| d.abs()).sum())
                .collect::<Vec<f64>>()
        };
        assert!(
            start_of(&gradients).iter().all(|&sum| sum > 1e-3),
            "the first window starts there"
        );

        fill(&mut batch, 2..5);
        assert!(batch.goes_on() && !batch.keeps_states());
        let loss_of = |model: &Model<Exact>| {
            let (mut workspace, mut gradients) =
                (Workspace::default(), Gradients::new(model.device(), model.catalogue()));
            *workspace.states_mut() = states.clone();
            let loss = model.gradients(&batch, context, &mut workspace, &mut gradients);
            (loss.expect("states of enough rows"), gradients)
        };
        let (_, gradients) = loss_of(&model);
        assert!(start_of(&gradients).iter().all(|&sum| sum == 0.0), "the second does not");
        let learned = model.catalogue().iter().zip(gradients.values().iter()).enumerate();
        for (k, (spec, gradient)) in learned.filter(|(_, (s, _))| !s.name.contains("_0_l")) {
            let at = model.parameters().iter().nth(k).expect("as the catalogue");
            let (name, at) = (&spec.name, at.view().to_owned());
            assert_gradient(name, &gradient.view().to_owned(), &at, |moved| {
                let mut model = model.clone();
                let tensor = model.parameters_mut().iter_mut().nth(k).expect("as the catalogue");
                tensor.as_mut_slice().copy_from_slice(moved.as_slice().expect("row-major"));
                loss_of(&model).0
            });
        }
    }
}

#[test]
fn a_batch_does_not_go_on_from_nothing() {
    let config = ModelConfig { layers: 2, ..plain() };
    let model = lively_model(&config);
    let (mut workspace, mut batch) = (Workspace::default(), Batch::new(&config));
    let mut gradients = Gradients::new(model.device(), model.catalogue());
    let context = StepContext { seed: 3, step: 0 };
    let mut run = |batch: &Batch, workspace: &mut Workspace<_>| {
        model.gradients(batch, context, workspace, &mut gradients).map(|_| ())
    };
    fill(&mut batch, 2..5);
    let nothing = BatchError::States { layer: 0, rows: 2 };
    assert_eq!(run(&batch, &mut workspace), Err(nothing));
    // Two sessions come this far, and one state is there; then states of another model.
    batch.fill_window(&SESSIONS[..1], &[], 0..2);
    run(&batch, &mut workspace).expect("fits");
    fill(&mut batch, 2..5);
    assert_eq!(run(&batch, &mut workspace), Err(nothing));
    fill(&mut batch, 0..2);
    run(&batch, &mut workspace).expect("fits");
    workspace.states_mut().c[1] = Matrix::zeros(3, 7);
    fill(&mut batch, 2..5);
    assert_eq!(run(&batch, &mut workspace), Err(BatchError::States { layer: 1, rows: 2 }));
}

#[test]
fn a_model_that_looks_back_does_not_go_on_from_states() {
    for readout in [Readout::Attention, Readout::Mean, Readout::Max] {
        let config = ModelConfig { readout, ..plain() };
        let model = lively_model(&config);
        let (mut scorer, mut batch) = (Scorer::new(&model), Batch::new(&config));
        for goes_on in [false, true] {
            batch.fill_prefixes(&[&[5, 2]], Wanted::Last);
            batch.keep_states();
            if goes_on {
                batch.go_on();
            }
            let found = scorer.represent(&batch).map(|_| ());
            assert_eq!(matches!(found, Err(BatchError::LooksBack(_))), goes_on, "{readout:?}");
        }
    }
}

/// A session that is answered event by event, from the states of the event before, has the answers of
/// the whole.
fn answers_go_on_from_states<D: Device>(device: D) {
    let sessions: [&[u32]; 3] = [&[5, 12, 3, 5, 0], &[7, 7, 1, 2, 9], &[4, 8, 2, 6, 6]];
    let dropout = Dropout { zoneout_c: 0.3, zoneout_h: 0.2, ..Dropout::default() };
    let zoned = ModelConfig { dropout, layers: 2, ..plain() };
    for config in windowed().into_iter().chain([zoned]) {
        let config = ModelConfig { repeat_lags: 0, ..config };
        let model = Model::new(device.clone(), &config, ITEMS, 5).expect("valid");
        let whole = answers(&model, &sessions, Wanted::Every);
        let width = config.output_width();
        let (mut scorer, mut batch) = (Scorer::new(&model), Batch::new(&config));
        for t in 0..5 {
            let events: Vec<&[u32]> = sessions.iter().map(|items| &items[t..=t]).collect();
            batch.fill_prefixes(&events, Wanted::Last);
            batch.keep_states();
            if t > 0 {
                batch.go_on();
            }
            let pictures = scorer.represent(&batch).expect("states of the event before");
            for (session, picture) in pictures.chunks(width).enumerate() {
                let found = whole.iter().find(|(at, _)| *at == (session as u32, t as u32));
                let bits: Vec<u32> = picture.iter().map(|x| x.to_bits()).collect();
                assert_eq!(found.expect("an answer").1[..width], bits, "session {session}, {t}");
            }
        }
        assert_eq!(scorer.states().h.len(), config.layers);
    }
}

#[test]
fn answers_go_on_from_states_on_the_reference() {
    answers_go_on_from_states(Reference::<f32>::new());
}

#[test]
fn answers_go_on_from_states_on_the_cpu() {
    answers_go_on_from_states(Cpu::new(2).expect("two threads"));
}

// --- PyTorch --------------------------------------------------------------------------------

/// Whole trainings: layers of mixed widths, or with paths around them, from learned starts, a head, pooled
/// states, windows whose states PyTorch detaches.
#[test]
fn pytorch_trains_alike() {
    let made_by = Golden::open("shapes").made_by();
    let script = "tests/golden/make_shapes.py, PyTorch 2.";
    assert!(made_by.starts_with(script) && made_by.contains("seed"), "{made_by}");
    let shape = ModelConfig {
        output: Output::Free,
        initial_state: InitialState::Learned,
        embedding: 6,
        hidden: 4,
        head: vec![6, 3],
        head_activation: Activation::Elu,
        ..plain()
    };
    let mixed = ModelConfig { widths: vec![5, 3, 4], layers: 3, ..shape.clone() };
    let residual = ModelConfig { layers: 3, residual: true, ..shape };
    let max = ModelConfig { layers: 2, readout: Readout::Max, ..residual.clone() };
    for (case, window, config) in
        [("mixed", 3, mixed), ("residual", 3, residual), ("max", 100, max)]
    {
        trains_as_pytorch::<f64>(case, window, &config);
        trains_as_pytorch::<f32>(case, window, &config);
    }
}

fn trains_as_pytorch<S: Precision>(case: &str, window: usize, config: &ModelConfig) {
    let file = Golden::open("shapes");
    let of = |key: &str| file.matrix::<S>(&format!("{case}.{key}"));
    let sessions: Vec<Vec<u32>> = (0..3).map(|k| file.integers(&format!("session.{k}"))).collect();
    let sessions: Vec<&[u32]> = sessions.iter().map(Vec::as_slice).collect();
    let mut model = Model::new(Reference::<S>::new(), config, 7, 1).expect("valid");
    let names: Vec<String> = model.catalogue().iter().map(|spec| spec.name.clone()).collect();
    for (name, tensor) in names.iter().zip(model.parameters_mut().iter_mut()) {
        *tensor = to_matrix(of(&format!("before.{name}")).view());
    }
    let sgd = OptimizerConfig { kind: OptimizerKind::Sgd, sparse: false, ..Default::default() };
    let mut trainer = Trainer::new(model, sgd, 1).expect("valid");
    let (mut batch, mut losses) = (Batch::new(config), Vec::new());
    for _ in 0..2 {
        for first in (0..8).step_by(window) {
            batch.fill_window(&sessions, &[], first..first + window);
            let loss = trainer.step(&batch, 0.5).expect("finite").loss;
            losses.push(S::from(loss).expect("a number"));
        }
    }
    let losses = Array2::from_shape_vec((1, losses.len()), losses).expect("one row");
    let mut worst = assert_close("losses", losses.view(), of("losses").view(), S::GOLDEN);
    for (name, tensor) in names.iter().zip(trainer.model().parameters().iter()) {
        let expected = of(&format!("after.{name}"));
        worst = worst.max(assert_close(name, tensor.view(), expected.view(), S::GOLDEN));
    }
    println!("{case} in {}: worst entry at {:.1} % of its allowance", S::NAME, 100.0 * worst);
}
