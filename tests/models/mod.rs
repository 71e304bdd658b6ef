//! Small models whose every gradient can be checked, and what is asked of them.

use layout::Matrix;
use layout::random::Stream;
use model::{
    Activation, Batch, CellKind, Device, Dropout, Gradients, InitialState, Input, Inputs, Loss,
    Model, ModelConfig, Output, Reach, Readout, RecurrentStart, Reference, Scorer, Sequence,
    StepContext, Wanted, Workspace,
};

pub(crate) type Exact = Reference<f64>;

/// All sizes differ, so that a mixed-up pair of them cannot pass.
pub(crate) const ITEMS: usize = 13;

/// Lengths 6, 4, 2 and 3 in an order that packing has to change; with repeats, and with items
/// beyond the frequent ones as targets.
pub(crate) const SESSIONS: [&[u32]; 4] =
    [&[2, 7, 2, 11], &[5, 12, 12, 5, 9, 5], &[1, 10], &[8, 3, 8]];
pub(crate) const WEIGHTS: [f32; 4] = [1.0, 0.25, 2.0, 0.5];

/// Everything off, small and odd.
pub(crate) fn plain() -> ModelConfig {
    ModelConfig {
        input: Input::Embedding,
        embedding: 4,
        running_mean: false,
        input_scale: 0.0,
        cell: CellKind::default(),
        hidden: 3,
        widths: Vec::new(),
        projection: 0,
        recurrent_start: RecurrentStart::default(),
        forget_bias: None,
        layers: 1,
        residual: false,
        initial_state: InitialState::Zero,
        readout: Readout::Last,
        reach: Reach::Causal,
        attention_key: 2,
        attention_lags: 3,
        head: Vec::new(),
        head_activation: Activation::Relu,
        answer_head: Vec::new(),
        output: Output::Tied,
        output_bias: false,
        temperature: 0.0,
        repeat_lags: 0,
        embedding_std: 0.1,
        dropout: Dropout::default(),
        loss: Loss::default(),
    }
}

pub(crate) fn one_hot() -> ModelConfig {
    ModelConfig { input: Input::OneHot, output: Output::Free, ..plain() }
}

pub(crate) fn everything() -> ModelConfig {
    ModelConfig {
        input_scale: 1.5,
        temperature: 2.5,
        readout: Readout::Attention,
        repeat_lags: 3,
        dropout: Dropout {
            input: 0.3,
            layers: 0.2,
            readout: 0.25,
            output: 0.2,
            ..Dropout::default()
        },
        ..plain()
    }
}

pub(crate) fn training_batch(config: &ModelConfig) -> Batch {
    let mut batch = Batch::new(config);
    batch.fill_training(&SESSIONS, &WEIGHTS);
    batch
}

/// A model whose weights are all far from zero, biases too: then the loss feels each of them. The
/// stream is one in which no vector is so short that normalising it bends the loss within a step of
/// the differences.
pub(crate) fn lively_model(config: &ModelConfig) -> Model<Exact> {
    lively(config, ITEMS)
}

/// The same of any sizes.
pub(crate) fn lively(config: &ModelConfig, inputs: impl Into<Inputs>) -> Model<Exact> {
    let mut model = Model::new(Exact::new(), config, inputs, 1).expect("a valid configuration");
    for (k, tensor) in model.parameters_mut().iter_mut().enumerate() {
        let stream = Stream::new(6, k as u32, 0);
        for (e, entry) in tensor.as_mut_slice().iter_mut().enumerate() {
            *entry = 1.0 * stream.normal(e as u64);
        }
    }
    model
}

pub(crate) fn loss_and_gradients(
    model: &Model<Exact>,
    batch: &Batch,
    step: u32,
) -> (f64, Gradients<Matrix<f64>>) {
    let mut gradients = Gradients::new(model.device(), model.catalogue());
    let context = StepContext { seed: 3, step };
    let loss = model.gradients(batch, context, &mut Workspace::default(), &mut gradients);
    (loss.expect("a batch that fits"), gradients)
}

/// The answers to every prefix of every session: pictures and scores, row after row.
pub(crate) fn answers<'a, D: Device>(
    model: &Model<D>,
    prefixes: &[impl Copy + Into<Sequence<'a>>],
    wanted: Wanted,
) -> Vec<((u32, u32), Vec<u32>)> {
    let mut batch = Batch::with_features(model.config(), model.features());
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
