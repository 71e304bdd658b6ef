//! Training, files and checkpoints of whole models, on the reference and on the processor.

mod exchange;
mod features;
mod files;
pub(crate) mod interpreter;
mod training;
mod zoneout;

use crate::{
    Activation, Batch, Cpu, Device, Dropout, InitialState, Input, Loss, LossKind, Model,
    ModelConfig, OptimizerConfig, OptimizerKind, Output, Readout, Trainer,
};

const ITEMS: usize = 12;

fn rich() -> ModelConfig {
    ModelConfig {
        embedding: 6,
        hidden: 5,
        layers: 2,
        readout: Readout::Attention,
        attention_key: 3,
        attention_lags: 4,
        output_bias: true,
        repeat_lags: 3,
        temperature: 6.0,
        dropout: Dropout {
            input: 0.1,
            layers: 0.1,
            readout: 0.1,
            output: 0.1,
            weights: 0.1,
            recurrent: 0.1,
            zoneout_c: 0.1,
            zoneout_h: 0.1,
            ..Dropout::default()
        },
        loss: Loss { frequent: 3, drawn: 4, smoothing: 0.05, ..Loss::default() },
        ..ModelConfig::default()
    }
}

/// The ranking losses over the candidates of `rich`, and over all items.
fn rankings() -> [ModelConfig; 4] {
    let loss = |kind, regularization, drawn| Loss {
        kind,
        regularization,
        drawn,
        smoothing: 0.0,
        ..rich().loss
    };
    [
        loss(LossKind::BprMax, 0.01, 4),
        loss(LossKind::BprMax, 0.0, 0),
        loss(LossKind::Top1Max, 0.0, 4),
        loss(LossKind::Top1Max, 0.0, 0),
    ]
    .map(|loss| ModelConfig { loss, ..rich() })
}

fn one_hot() -> ModelConfig {
    ModelConfig {
        input: Input::OneHot,
        input_scale: 0.0,
        output: Output::Free,
        readout: Readout::Last,
        dropout: Dropout::default(),
        loss: Loss::default(),
        ..rich()
    }
}

/// Every shape that a stack, a start, a readout and a head can have.
fn shapes() -> Vec<ModelConfig> {
    let plain = ModelConfig { readout: Readout::Last, ..rich() };
    let residual = ModelConfig { layers: 3, residual: true, ..plain.clone() };
    let pooled = |readout| ModelConfig { readout, hidden: 12, ..plain.clone() };
    let initial_state = InitialState::Learned;
    let dropout = Dropout { zoneout_c: 0.0, ..plain.dropout };
    let head = |head_activation| ModelConfig {
        head: vec![9, 7],
        head_activation,
        dropout: Dropout { head: 0.1, ..plain.dropout },
        ..plain.clone()
    };
    vec![
        ModelConfig { widths: vec![11, 6], ..plain.clone() },
        ModelConfig { readout: Readout::Attention, ..residual.clone() },
        ModelConfig { initial_state, ..residual },
        ModelConfig {
            initial_state,
            cell: "gru".parse().expect("a cell"),
            dropout,
            ..plain.clone()
        },
        pooled(Readout::Mean),
        pooled(Readout::Max),
        head(Activation::Relu),
        head(Activation::Tanh),
        ModelConfig { readout: Readout::Attention, ..head(Activation::Elu) },
        ModelConfig { head: vec![8], ..one_hot() },
    ]
}

/// Walks round the circle of items, forwards from an even start and backwards from an odd one: the
/// next item follows from the last two, never from the last alone.
fn walks(config: &ModelConfig) -> Batch {
    let walks: Vec<Vec<u32>> = (0..24)
        .map(|k: u32| {
            let (start, step) = (k % 12, if k.is_multiple_of(2) { 1 } else { 11 });
            (0..3 + k % 5).map(|t| (start + t * step) % 12).collect()
        })
        .collect();
    let walks: Vec<&[u32]> = walks.iter().map(Vec::as_slice).collect();
    let mut batch = Batch::new(config);
    batch.fill_training(&walks, &[]);
    batch
}

/// Every optimiser and every way through it, with a learning rate at which the walks are learned.
fn optimizers() -> Vec<(OptimizerConfig, f32)> {
    let kind = |kind| OptimizerConfig { kind, ..OptimizerConfig::default() };
    let [adam, sgd, adagrad, rmsprop] =
        [OptimizerKind::Adam, OptimizerKind::Sgd, OptimizerKind::Adagrad, OptimizerKind::RmsProp]
            .map(kind);
    let decaying = OptimizerConfig { lr_decay: 1e-3, initial_accumulator_value: 0.01, ..adagrad };
    vec![
        (adam, 0.02),
        (OptimizerConfig { weight_decay: 0.01, ..adam }, 0.02),
        (sgd, 2.0),
        (OptimizerConfig { l2: 1e-4, ..sgd }, 2.0),
        (OptimizerConfig { momentum: 0.9, ..sgd }, 0.3),
        (OptimizerConfig { momentum: 0.9, nesterov: true, clip_norm: 1.0, ..sgd }, 0.3),
        (adagrad, 0.1),
        (decaying, 0.1),
        (rmsprop, 0.01),
        (OptimizerConfig { momentum: 0.9, ..rmsprop }, 0.002),
        (OptimizerConfig { centered: true, alpha: 0.9, sparse: false, ..rmsprop }, 0.01),
        (OptimizerConfig { momentum: 0.5, centered: true, ..rmsprop }, 0.005),
    ]
}

fn trainer<D: Device>(device: D, config: &ModelConfig) -> Trainer<D> {
    let clipped = OptimizerConfig { clip_norm: 5.0, ..OptimizerConfig::default() };
    trainer_by(device, config, clipped)
}

fn trainer_by<D: Device>(device: D, config: &ModelConfig, by: OptimizerConfig) -> Trainer<D> {
    let model = Model::new(device, config, ITEMS, 3).expect("a valid configuration");
    Trainer::new(model, by, 3).expect("a valid optimiser")
}

fn train<D: Device>(trainer: &mut Trainer<D>, steps: usize) -> Vec<f64> {
    train_at(0.02, trainer, steps)
}

fn train_at<D: Device>(rate: f32, trainer: &mut Trainer<D>, steps: usize) -> Vec<f64> {
    let batch = walks(trainer.model().config());
    (0..steps).map(|_| trainer.step(&batch, rate).expect("finite").loss).collect()
}

fn cpu() -> Cpu {
    Cpu::new(2).expect("two threads")
}

fn bits<D: Device>(model: &Model<D>) -> Vec<u32> {
    let values = model.parameters().iter().flat_map(|tensor| model.device().download(tensor));
    values.map(f32::to_bits).collect()
}
