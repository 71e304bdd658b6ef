//! The whole model: every analytic gradient is a slope, nothing sees the future, and no answer
//! depends on what else is asked.
//!
//! The gradients run through the f64 reference, so they hold for the explicit backward pass that
//! every machine shares; each machine's operations are held against the reference elsewhere.

use layout::Matrix;
use layout::random::Stream;
use model::{
    Batch, CellKind, Cpu, Device, Dropout, Gradients, Input, Loss, LossKind, Model, ModelConfig,
    Output, Readout, RecurrentStart, Reference, Scorer, StepContext, Touched, Update, Wanted,
    Workspace,
};
use testkit::assert_gradient;

type Exact = Reference<f64>;

/// All sizes differ, so that a mixed-up pair of them cannot pass.
const ITEMS: usize = 13;

/// Lengths 6, 4, 2 and 3 in an order that packing has to change; with repeats, and with items
/// beyond the frequent ones as targets.
const SESSIONS: [&[u32]; 4] = [&[2, 7, 2, 11], &[5, 12, 12, 5, 9, 5], &[1, 10], &[8, 3, 8]];
const WEIGHTS: [f32; 4] = [1.0, 0.25, 2.0, 0.5];

/// Everything off, small and odd.
fn plain() -> ModelConfig {
    ModelConfig {
        input: Input::Embedding,
        embedding: 4,
        running_mean: false,
        input_scale: 0.0,
        cell: CellKind::default(),
        hidden: 3,
        projection: 0,
        recurrent_start: RecurrentStart::default(),
        forget_bias: None,
        layers: 1,
        readout: Readout::Last,
        attention_key: 2,
        attention_lags: 3,
        output: Output::Tied,
        output_bias: false,
        temperature: 0.0,
        repeat_lags: 0,
        embedding_std: 0.1,
        dropout: Dropout::default(),
        loss: Loss::default(),
    }
}

fn one_hot() -> ModelConfig {
    ModelConfig { input: Input::OneHot, output: Output::Free, ..plain() }
}

fn everything() -> ModelConfig {
    ModelConfig {
        input_scale: 1.5,
        temperature: 2.5,
        readout: Readout::Attention,
        repeat_lags: 3,
        dropout: Dropout { input: 0.3, layers: 0.2, readout: 0.25, output: 0.2 },
        ..plain()
    }
}

fn training_batch(config: &ModelConfig) -> Batch {
    let mut batch = Batch::new(config);
    batch.fill_training(&SESSIONS, &WEIGHTS);
    batch
}

/// A model whose weights are all far from zero, biases too: then the loss feels each of them. The
/// stream is one in which no vector is so short that normalising it bends the loss within a step of
/// the differences.
fn lively_model(config: &ModelConfig) -> Model<Exact> {
    let mut model = Model::new(Exact::new(), config, ITEMS, 1).expect("a valid configuration");
    for (k, tensor) in model.parameters_mut().iter_mut().enumerate() {
        let stream = Stream::new(6, k as u32, 0);
        for (e, entry) in tensor.as_mut_slice().iter_mut().enumerate() {
            *entry = 1.0 * stream.normal(e as u64);
        }
    }
    model
}

fn loss_and_gradients(
    model: &Model<Exact>,
    batch: &Batch,
    step: u32,
) -> (f64, Gradients<Matrix<f64>>) {
    let mut gradients = Gradients::new(model.device(), model.catalogue());
    let context = StepContext { seed: 3, step };
    let loss = model.gradients(batch, context, &mut Workspace::default(), &mut gradients);
    (loss.expect("a batch that fits"), gradients)
}

/// Holds the gradient of every tensor of a model against central differences.
fn check(config: &ModelConfig, step: u32) -> Gradients<Matrix<f64>> {
    let (model, batch) = (lively_model(config), training_batch(config));
    let (_, gradients) = loss_and_gradients(&model, &batch, step);
    let tensors = model.catalogue().iter().zip(gradients.values().iter());
    for (k, (spec, gradient)) in tensors.enumerate() {
        let at = model.parameters().iter().nth(k).expect("as the catalogue");
        assert_gradient(&spec.name, &gradient.view().to_owned(), &at.view().to_owned(), |moved| {
            let mut model = model.clone();
            let tensor = model.parameters_mut().iter_mut().nth(k).expect("as the catalogue");
            tensor.as_mut_slice().copy_from_slice(moved.as_slice().expect("row-major"));
            loss_and_gradients(&model, &batch, step).0
        });
        let reached = gradients.rows(spec.update);
        for row in 0..gradient.rows() {
            let outside = reached.is_some_and(|rows| !rows.contains(&(row as u32)));
            let zero = gradient.row(row).iter().all(|&entry| entry == 0.0);
            assert!(zero || !outside, "{}: row {row} is said to be out of reach", spec.name);
        }
    }
    gradients
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
    let dropout = Dropout { input: 0.3, layers: 0.4, readout: 0.0, output: 0.3 };
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
    let full = ModelConfig { loss: Loss::default(), ..everything() };
    let free = ModelConfig { output: Output::Free, output_bias: true, ..full.clone() };
    let sampled = [full.clone(), free.clone(), one_hot()]
        .map(|config| ModelConfig { loss: SAMPLED, ..config });
    for config in [full, free, one_hot()].into_iter().chain(sampled) {
        let model = lively_model(&config);
        let mut used = Gradients::new(model.device(), model.catalogue());
        let mut workspace = Workspace::default();
        let mut other = Batch::new(&config);
        other.fill_training(&[&[0, 4, 6, 4, 0, 1, 2, 3], &[6, 6, 6], &[10, 11]], &[]);
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

/// The answers to every prefix of every session: pictures and scores, row after row.
fn answers<D: Device>(
    model: &Model<D>,
    prefixes: &[&[u32]],
    wanted: Wanted,
) -> Vec<((u32, u32), Vec<u32>)> {
    let mut batch = Batch::new(model.config());
    batch.fill_prefixes(prefixes, wanted);
    let mut scorer = Scorer::new(model);
    let pictures = scorer.represent(&batch).expect("known items");
    let width = model.config().output_width();
    let mut bits: Vec<Vec<u32>> =
        pictures.chunks(width).map(|row| row.iter().map(|x| x.to_bits()).collect()).collect();
    let score = scorer.score(&batch, |first, scores| {
        for row in 0..scores.rows() {
            bits[first + row].extend(scores.row(row).iter().map(|score| score.to_bits()));
        }
    });
    score.expect("known items");
    let mut answers: Vec<_> = batch.origins().iter().copied().zip(bits).collect();
    answers.sort();
    answers
}

fn configurations() -> [ModelConfig; 4] {
    let two_layers = ModelConfig { layers: 2, output_bias: true, ..everything() };
    let mean = ModelConfig { running_mean: true, repeat_lags: 2, ..one_hot() };
    let wide = ModelConfig { embedding: 33, hidden: 17, attention_key: 9, ..everything() };
    [plain(), two_layers, mean, wide]
}

/// Changing, adding or removing later events leaves the answer at a position as it was.
fn nothing_sees_the_future<D: Device>(device: D) {
    let session = [5, 12, 3, 5, 0, 7, 7];
    for config in configurations() {
        let model = Model::new(device.clone(), &config, ITEMS, 5).expect("valid");
        let whole = answers(&model, &[&session], Wanted::Every);
        for t in 0..session.len() {
            let mut changed = session;
            changed[t + 1..].iter_mut().for_each(|item| *item = (*item + 1) % ITEMS as u32);
            let changed = answers(&model, &[&changed], Wanted::Every);
            assert_eq!(changed[..=t], whole[..=t], "events after {t} are changed");
            let cut = answers(&model, &[&session[..=t]], Wanted::Every);
            assert_eq!(cut[..], whole[..=t], "events after {t} are missing");
            if t + 1 < session.len() {
                assert_ne!(changed[t + 1].1, whole[t + 1].1, "the change itself is seen");
            }
        }
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
