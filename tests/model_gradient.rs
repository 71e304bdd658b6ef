//! The whole model: every analytic gradient is a slope, nothing sees the future, and no answer
//! depends on what else is asked.
//!
//! The gradients run through the f64 reference, so they hold for the explicit backward pass that
//! every machine shares; each machine's operations are held against the reference elsewhere.

mod models;
mod slopes;

use layout::Matrix;
use model::{
    Activation, Batch, CellKind, Cpu, Device, Dropout, Gradients, InitialState, Loss, LossKind,
    Model, ModelConfig, Output, Readout, Reference, Scorer, StepContext, Touched, Update, Wanted,
    Workspace,
};
use models::{
    ITEMS, SESSIONS, WEIGHTS, answers, everything, lively_model, loss_and_gradients, one_hot,
    plain, training_batch,
};
use slopes::slopes;

/// Holds the gradient of every tensor of a model against central differences.
fn check(config: &ModelConfig, step: u32) -> Gradients<Matrix<f64>> {
    let batch = training_batch(config);
    slopes(&lively_model(config), |model| loss_and_gradients(model, &batch, step))
}

/// Two layers of every cell, the whole model round them; some with a one-hot input.
#[test]
fn every_cell() {
    for cell in ["gru", "rnn", "lstm+peephole", "lstm+coupled", "lstm+projection"] {
        let cell: CellKind = cell.parse().expect("a cell");
        check(&ModelConfig { cell, layers: 2, ..everything() }, 0);
        check(&ModelConfig { cell, ..one_hot() }, 0);
    }
    // A normalised row of fewer units is nearly a row of signs.
    let cell: CellKind = "lstm+layernorm+projection".parse().expect("a cell");
    check(&ModelConfig { cell, hidden: 7, ..everything() }, 0);
}

/// Masks of weights and of states, round every cell; two layers, so that one takes the other's for its
/// own.
#[test]
fn dropout_inside_the_recurrence() {
    let dropout = Dropout { weights: 0.2, recurrent: 0.25, ..Dropout::default() };
    for cell in ["lstm", "gru", "rnn", "lstm+peephole", "lstm+coupled+projection"] {
        let cell: CellKind = cell.parse().expect("a cell");
        check(&ModelConfig { cell, layers: 2, dropout, ..plain() }, 1);
        check(&ModelConfig { cell, dropout, ..one_hot() }, 2);
    }
    let cell: CellKind = "lstm+layernorm".parse().expect("a cell");
    check(&ModelConfig { cell, hidden: 7, dropout, ..plain() }, 1);
}

#[test]
fn zoneout() {
    let dropout = Dropout { zoneout_c: 0.3, zoneout_h: 0.2, recurrent: 0.2, ..Dropout::default() };
    for cell in ["lstm", "gru", "rnn", "lstm+peephole", "lstm+coupled+projection"] {
        let cell: CellKind = cell.parse().expect("a cell");
        let zoneout_c = if cell.cell.has_cell_state() { 0.3 } else { 0.0 };
        let dropout = Dropout { zoneout_c, ..dropout };
        check(&ModelConfig { cell, layers: 2, dropout, ..plain() }, 1);
        check(&ModelConfig { cell, dropout, ..one_hot() }, 2);
    }
    let cell: CellKind = "lstm+layernorm".parse().expect("a cell");
    check(&ModelConfig { cell, hidden: 7, dropout, ..plain() }, 1);
}

#[test]
fn layers_of_mixed_widths() {
    let dropout = Dropout { layers: 0.3, ..Dropout::default() };
    let widths = vec![5, 2, 4];
    check(&ModelConfig { widths: widths.clone(), layers: 3, dropout, ..plain() }, 0);
    let cell: CellKind = "lstm+projection".parse().expect("a cell");
    check(&ModelConfig { widths: vec![5, 4], layers: 2, cell, ..everything() }, 0);
    check(&ModelConfig { widths, layers: 3, ..one_hot() }, 0);
}

/// Dropout is on what enters a layer, not on the path around it.
#[test]
fn paths_around_the_layers() {
    let dropout = Dropout { layers: 0.4, ..Dropout::default() };
    for layers in [2, 3] {
        let config = ModelConfig { layers, residual: true, ..plain() };
        check(&config, 0);
        check(&ModelConfig { dropout, ..config }, 1);
    }
    let attention = ModelConfig { layers: 3, residual: true, ..everything() };
    check(&attention, 0);
    let (cell, widths) = ("lstm+projection".parse().expect("a cell"), vec![5, 4]);
    let projected = ModelConfig { cell, widths, projection: 3, layers: 2, ..plain() };
    check(&ModelConfig { residual: true, ..projected }, 0);
    check(&ModelConfig { layers: 2, residual: true, ..one_hot() }, 0);
}

#[test]
fn a_start_that_is_learned() {
    for cell in ["lstm", "gru", "rnn", "lstm+peephole", "lstm+coupled", "lstm+projection"] {
        let cell: CellKind = cell.parse().expect("a cell");
        let learned = ModelConfig { initial_state: InitialState::Learned, cell, ..plain() };
        check(&ModelConfig { widths: vec![5, 2], layers: 2, ..learned.clone() }, 0);
    }
    let learned = ModelConfig { initial_state: InitialState::Learned, ..everything() };
    check(&ModelConfig { layers: 2, residual: true, ..learned }, 0);
    check(&ModelConfig { initial_state: InitialState::Learned, ..one_hot() }, 0);
    let cell: CellKind = "lstm+layernorm".parse().expect("a cell");
    let initial_state = InitialState::Learned;
    check(&ModelConfig { cell, hidden: 7, initial_state, ..plain() }, 0);
}

#[test]
fn mean_and_max_of_the_states_so_far() {
    for readout in [Readout::Mean, Readout::Max] {
        let dropout = Dropout { output: 0.3, ..Dropout::default() };
        check(&ModelConfig { readout, ..plain() }, 0);
        // As wide as the table: no projection.
        check(&ModelConfig { readout, hidden: 4, dropout, temperature: 2.0, ..plain() }, 1);
        check(&ModelConfig { readout, layers: 2, residual: true, ..one_hot() }, 0);
    }
}

#[test]
fn heads_of_any_depth() {
    let dropout = Dropout { head: 0.2, output: 0.2, ..Dropout::default() };
    for head_activation in [Activation::Relu, Activation::Tanh, Activation::Elu] {
        let deep = ModelConfig { head: vec![7, 5], head_activation, ..plain() };
        check(&deep, 0);
        check(&ModelConfig { dropout, temperature: 2.0, ..deep.clone() }, 1);
        // The last layer is as wide as the table: no map after it.
        check(&ModelConfig { head: vec![6, 4], ..deep.clone() }, 0);
        check(&ModelConfig { head: vec![5], head_activation, output_bias: true, ..one_hot() }, 0);
    }
    let smooth = ModelConfig { head_activation: Activation::Tanh, ..everything() };
    let attention = ModelConfig { head: vec![6], layers: 2, ..smooth.clone() };
    check(&attention, 0);
    let mean = ModelConfig { head: vec![3, 5, 7], readout: Readout::Mean, ..smooth };
    check(&ModelConfig { loss: SAMPLED, ..mean }, 1);
}

#[test]
fn one_hot_with_running_mean() {
    check(&ModelConfig { running_mean: true, output_bias: true, ..one_hot() }, 0);
}

#[test]
fn one_hot_in_two_layers() {
    let dropout = Dropout { layers: 0.3, ..Dropout::default() };
    check(&ModelConfig { layers: 2, dropout, temperature: 3.0, ..one_hot() }, 0);
}

#[test]
fn tied_normalised_attention_and_repeat_bias() {
    let dropout = Dropout::default();
    check(&ModelConfig { dropout, ..everything() }, 0);
    check(&ModelConfig { output_bias: true, ..everything() }, 4);
}

#[test]
fn attention_over_items_as_they_are() {
    check(&ModelConfig { input_scale: 0.0, temperature: 0.0, ..everything() }, 1);
}

#[test]
fn free_output_with_bias() {
    let config = ModelConfig { output: Output::Free, output_bias: true, ..plain() };
    check(&config, 0);
    check(&ModelConfig { temperature: 2.0, input_scale: 2.0, ..config }, 0);
}

#[test]
fn two_layers_with_dropout() {
    let dropout = Dropout { input: 0.3, layers: 0.4, output: 0.3, ..Dropout::default() };
    check(&ModelConfig { layers: 2, dropout, ..plain() }, 2);
    check(&ModelConfig { layers: 3, dropout, input_scale: 1.2, ..plain() }, 3);
}

#[test]
fn label_smoothing() {
    let loss = Loss { smoothing: 0.2, ..Loss::default() };
    check(&ModelConfig { loss, repeat_lags: 2, ..plain() }, 0);
}

const SAMPLED: Loss = Loss {
    kind: LossKind::CrossEntropy,
    frequent: 3,
    drawn: 4,
    smoothing: 0.1,
    regularization: 0.0,
};

/// Among the rare targets some are drawn and some are not: both ways into the softmax are tried.
fn assert_both_kinds(gradients: &Gradients<Matrix<f64>>) {
    let candidates = gradients.rows(Update::Rows(Touched::Candidates)).expect("rows").len();
    let mut rare: Vec<_> = SESSIONS.iter().flat_map(|session| &session[1..]).copied().collect();
    rare.retain(|&item| item >= SAMPLED.frequent as u32);
    rare.sort_unstable();
    rare.dedup();
    let private = candidates - SAMPLED.frequent - SAMPLED.drawn;
    assert!(private > 0, "a rare target has a column of its own");
    assert!(private < rare.len(), "a rare target was drawn");
}

#[test]
fn sampled_softmax_over_a_tied_table() {
    for step in 0..3 {
        assert_both_kinds(&check(&ModelConfig { loss: SAMPLED, ..everything() }, step));
    }
    check(&ModelConfig { loss: SAMPLED, repeat_lags: 2, output_bias: true, ..plain() }, 1);
}

#[test]
fn sampled_softmax_over_a_free_table() {
    let config = ModelConfig { loss: SAMPLED, output_bias: true, repeat_lags: 4, ..one_hot() };
    assert_both_kinds(&check(&config, 1));
    let config = ModelConfig { output: Output::Free, loss: SAMPLED, temperature: 2.0, ..plain() };
    assert_both_kinds(&check(&config, 2));
}

#[test]
fn ranking_losses_over_all_items_and_over_a_sample() {
    let losses = [(LossKind::BprMax, 0.0), (LossKind::BprMax, 0.5), (LossKind::Top1Max, 0.0)];
    for (kind, regularization) in losses {
        let all = Loss { kind, regularization, ..Loss::default() };
        let sampled = Loss { smoothing: 0.0, kind, regularization, ..SAMPLED };
        check(&ModelConfig { loss: all, repeat_lags: 2, ..plain() }, 0);
        check(&ModelConfig { loss: all, output_bias: true, ..one_hot() }, 0);
        // TOP1-max hardly feels the keys of the attention at most other steps.
        assert_both_kinds(&check(&ModelConfig { loss: sampled, ..everything() }, 0));
        let free = ModelConfig { output: Output::Free, output_bias: true, ..plain() };
        assert_both_kinds(&check(&ModelConfig { loss: sampled, ..free }, 2));
    }
}

/// What one step leaves behind does not reach the next: same memory or fresh, same gradients.
#[test]
fn a_step_leaves_nothing_behind() {
    let dropout = Dropout { weights: 0.2, recurrent: 0.25, zoneout_c: 0.1, ..everything().dropout };
    let full = ModelConfig { loss: Loss::default(), dropout, ..everything() };
    let free = ModelConfig { output: Output::Free, output_bias: true, ..full.clone() };
    let shapes = ModelConfig {
        readout: Readout::Max,
        initial_state: InitialState::Learned,
        layers: 3,
        residual: true,
        head: vec![5, 2],
        ..full.clone()
    };
    let sampled = [full.clone(), free.clone(), one_hot()]
        .map(|config| ModelConfig { loss: SAMPLED, ..config });
    for config in [full, free, one_hot(), shapes].into_iter().chain(sampled) {
        let model = lively_model(&config);
        let mut used = Gradients::new(model.device(), model.catalogue());
        let mut workspace = Workspace::default();
        let mut other = Batch::new(&config);
        other.fill_training(&[&[0, 4, 6, 4, 0, 1, 2, 3][..], &[6, 6, 6], &[10, 11]], &[]);
        for (batch, step) in [(&other, 0), (&training_batch(&config), 1)] {
            let context = StepContext { seed: 3, step };
            let loss = model.gradients(batch, context, &mut workspace, &mut used).expect("fits");
            let (fresh_loss, fresh) = loss_and_gradients(&model, batch, step);
            assert_eq!(loss.to_bits(), fresh_loss.to_bits());
            let tensors = used.values().iter().zip(fresh.values().iter());
            for (spec, (used, fresh)) in model.catalogue().iter().zip(tensors) {
                testkit::assert_same_bits(&spec.name, used.view(), fresh.view());
            }
        }
    }
}

fn configurations() -> [ModelConfig; 8] {
    let two_layers = ModelConfig { layers: 2, output_bias: true, ..everything() };
    let mean = ModelConfig { running_mean: true, repeat_lags: 2, ..one_hot() };
    let wide = ModelConfig { embedding: 33, hidden: 17, attention_key: 9, ..everything() };
    let [states_mean, states_max] = [Readout::Mean, Readout::Max].map(|readout| ModelConfig {
        readout,
        layers: 2,
        residual: true,
        initial_state: InitialState::Learned,
        ..plain()
    });
    let head = ModelConfig { widths: vec![5, 9], layers: 2, head: vec![33, 5], ..wide.clone() };
    let dropout = Dropout { zoneout_c: 0.3, zoneout_h: 0.2, ..everything().dropout };
    let zoned = ModelConfig { dropout, layers: 2, ..everything() };
    [plain(), two_layers, mean, wide, states_mean, states_max, head, zoned]
}

/// Changing, adding or removing later events leaves the answer at a position as it was.
fn nothing_sees_the_future<D: Device>(device: D) {
    let session = [5, 12, 3, 5, 0, 7, 7];
    for config in configurations() {
        let model = Model::new(device.clone(), &config, ITEMS, 5).expect("valid");
        let whole = answers(&model, &[&session], Wanted::Every);
        let mut seen = 0;
        for t in 0..session.len() {
            let mut changed = session;
            changed[t + 1..].iter_mut().for_each(|item| *item = (*item + 1) % ITEMS as u32);
            let changed = answers(&model, &[&changed], Wanted::Every);
            assert_eq!(changed[..=t], whole[..=t], "events after {t} are changed");
            let cut = answers(&model, &[&session[..=t]], Wanted::Every);
            assert_eq!(cut[..], whole[..=t], "events after {t} are missing");
            if t + 1 < session.len() {
                seen += usize::from(changed[t + 1].1 != whole[t + 1].1);
            }
        }
        // A state that is smaller than one before it leaves no trace in their maximum.
        let least = if config.readout == Readout::Max { 3 } else { session.len() - 1 };
        assert!(seen >= least, "changes themselves are seen, {seen} of them");
    }
}

/// The same prefix has the same answer, to the last bit, alone and in any company.
fn no_answer_depends_on_another<D: Device>(device: D) {
    let mut prefixes: Vec<Vec<u32>> = SESSIONS.iter().map(|items| items.to_vec()).collect();
    prefixes.extend((0..70).map(|k| (0..1 + k % 9).map(|t| (k * 7 + t * 5) % 13).collect()));
    let all: Vec<&[u32]> = prefixes.iter().map(Vec::as_slice).collect();
    for config in configurations() {
        let model = Model::new(device.clone(), &config, ITEMS, 5).expect("valid");
        let together = answers(&model, &all, Wanted::Last);
        let every = answers(&model, &all, Wanted::Every);
        assert_eq!(together.len(), all.len());
        for (k, &prefix) in all.iter().enumerate() {
            let alone = &answers(&model, &[prefix], Wanted::Last)[0];
            let origin = (k as u32, prefix.len() as u32 - 1);
            assert_eq!(together[k].0, origin);
            assert!(alone.1 == together[k].1, "prefix {k} in company");
            let found = every.iter().find(|(place, _)| *place == origin).expect("asked for");
            assert!(alone.1 == found.1, "prefix {k} as part of a session");
        }
    }
}

#[test]
fn nothing_sees_the_future_on_the_reference() {
    nothing_sees_the_future(Reference::<f32>::new());
}

#[test]
fn no_answer_depends_on_another_on_the_reference() {
    no_answer_depends_on_another(Reference::<f32>::new());
}

fn cpu() -> Cpu {
    Cpu::new(2).expect("two threads")
}

#[test]
fn nothing_sees_the_future_on_the_cpu() {
    nothing_sees_the_future(cpu());
}

#[test]
fn no_answer_depends_on_another_on_the_cpu() {
    no_answer_depends_on_another(cpu());
}

/// The scores that answers are made of are those that training sees: the loss over all items is what
/// each kind of loss makes of them.
#[test]
fn scores_are_what_training_minimises() {
    let quiet = ModelConfig { dropout: Dropout::default(), output_bias: true, ..everything() };
    let configs = [quiet, ModelConfig { repeat_lags: 2, ..one_hot() }];
    for kind in [LossKind::CrossEntropy, LossKind::BprMax, LossKind::Top1Max] {
        for config in &configs {
            let regularization = 0.25;
            let loss = Loss { kind, regularization, ..Loss::default() };
            assert_loss_of_scores(&ModelConfig { loss, ..config.clone() }, |target, scores| {
                match kind {
                    LossKind::CrossEntropy => {
                        scores.iter().map(|score| score.exp()).sum::<f64>().ln() - scores[target]
                    }
                    LossKind::BprMax => reference::bpr_max(regularization, target, scores),
                    LossKind::Top1Max => reference::top1_max(target, scores),
                }
            });
        }
    }
}

fn assert_loss_of_scores(config: &ModelConfig, of: impl Fn(usize, &mut [f64]) -> f64) {
    let model = lively_model(config);
    let (loss, _) = loss_and_gradients(&model, &training_batch(config), 0);
    let (mut sum, mut weights) = (0.0, 0.0);
    for (session, &weight) in SESSIONS.iter().zip(&WEIGHTS) {
        let mut batch = Batch::new(config);
        batch.fill_prefixes(&[&session[..session.len() - 1]], Wanted::Every);
        let mut scorer = Scorer::new(&model);
        let visited = scorer.score(&batch, |first, scores| {
            for row in 0..scores.rows() {
                let target = session[first + row + 1] as usize;
                let mut scores: Vec<_> = scores.row(row).iter().copied().map(f64::from).collect();
                sum += f64::from(weight) * of(target, &mut scores);
                weights += f64::from(weight);
            }
        });
        visited.expect("known items");
    }
    let expected = sum / weights;
    assert!((loss - expected).abs() < 1e-6 * expected.max(1.0), "loss {loss}, not {expected}");
}
