//! `bench train`: whole training steps of a next-item model.
//!
//! A step is `model::Trainer::step`: embedding of width I, L recurrent layers of H units,
//! readout, sampled or full softmax over V items, backward through all of it, an optimiser. What the model
//! has beyond its sizes (loss, readout, dropout, temperature) is what `[model]` and `[optimizer]`
//! of `--config` say, or their defaults, which have the full softmax.
//!
//! Sessions are synthetic: B of them with T targets each (or skewed), items drawn by popularity
//! ([`popular_items`]). Four batches are made before the clock starts and take turns, so that
//! neither reading nor batching is timed.

use anyhow::Result;
use model::{Batch, Device, Model, ModelConfig, OptimizerConfig, Spec, Touched, Trainer, Update};

use super::shape::Shape;
use super::timing::sample;
use super::values::popular_items;
use super::work::{F32, Mode, Work};
use crate::failure::usage;
use crate::machine::Machine;
use crate::train_verb::numbers;

/// Batches that take turns.
const BATCHES: u32 = 4;
/// Small: random sessions teach nothing, and the weights are to stay what they are.
const LEARNING_RATE: f32 = 1e-4;

/// The model of a shape.
///
/// # Errors
///
/// Where `[model]` and the sizes do not go together.
pub(super) fn config(shape: &Shape, settings: &ModelConfig) -> Result<ModelConfig> {
    if shape.both {
        let problem =
            "the reverse direction has seen the item that is to be guessed; leave \"bi\" out";
        return Err(usage(format!("--shape {}: {problem}", shape.text)));
    }
    let config = shape.sized(settings);
    config.validate().map_err(train::Error::from)?;
    Ok(config)
}

/// What one step does.
///
/// ```text
///     flop     6·N·rows·columns      for every dense matrix of layers and readout: one product
///                                    forward, two backward; 24·N·H·(I + H) for an LSTM layer
///            + 6·N·C·D               softmax over C columns: V, or the shared ones of a sample
///     bytes    of the layers and of the softmax, as in [`Work`]
///            + 28 a number           Adam: weight and two moments read and written, gradient read;
///                                    others keep none, one or three: 12, 20 or 36; of item tables
///                                    only the rows of the C columns
/// ```
///
/// Timed but not counted: gathering and scattering item vectors, attention beyond its matrices,
/// dropout, normalisation, private columns, the draw of a sample, the norm of the gradient.
pub(super) fn work(
    shape: &Shape,
    config: &ModelConfig,
    optimizer: &OptimizerConfig,
    cache: Option<u64>,
) -> Work {
    let (positions, items) = (shape.positions(), shape.items);
    let sampled = config.loss.is_sampled(items);
    let columns = if sampled { config.loss.frequent + config.loss.drawn } else { items };
    let specs = model::catalogue(config, items);
    // A one-hot input is no product, and counts as one of width 0.
    let layers = (0..config.layers)
        .map(|l| Work::recurrent(Mode::Training, positions, shape.steps, config.dims(l), cache));
    let mut readout: Vec<&Spec> = specs.readout.w_h.iter().collect();
    if let Some(attention) = &specs.readout.attention {
        let model::AttentionParameters { w_x, w_c, query, key_h, key_x, lag_bias: _ } = attention;
        readout.extend([w_x, w_c, query, key_h, key_x]);
    }
    let readout = readout.iter().map(|spec| {
        let flop = 6.0 * positions * spec.shape[0] as f64 * spec.shape[1] as f64;
        Work { flop, bytes: 0.0 }
    });
    let update = specs.iter().map(|spec| {
        let rows = match spec.update {
            Update::Rows(Touched::Inputs) if optimizer.sparse => 0,
            Update::Rows(_) if optimizer.sparse => spec.shape[0].min(columns),
            _ => spec.shape[0],
        };
        let moved = 3 + 2 * optimizer.numbers_kept();
        Work { flop: 0.0, bytes: moved as f64 * F32 * rows as f64 * spec.shape[1] as f64 }
    });
    let softmax = Work::softmax(positions, columns, config.output_width());
    layers.chain(readout).chain(update).chain([softmax]).sum()
}

/// The memory that training takes, in bytes: less than it will be.
pub(super) fn memory(
    shape: &Shape,
    config: &ModelConfig,
    optimizer: &OptimizerConfig,
    threads: usize,
) -> f64 {
    // Weights, gradient, packed weights and what the optimiser keeps; on the way forward and back
    // as in `bench sequence`, less the weights.
    let weights = (3 + optimizer.numbers_kept()) as f64 * numbers(config, shape.items) as f64;
    let per_position = shape
        .layers(config)
        .map(|dims| dims.input + (dims.cell.gates() + 2) * dims.hidden)
        .sum::<usize>()
        + 8 * shape.hidden
        + 6 * shape.input;
    let scores = 32.0 * threads as f64 * shape.items as f64;
    F32 * (weights + shape.positions() * per_position as f64 + scores)
}

/// Seconds of a step, sample by sample.
///
/// # Errors
///
/// Where the loss or a gradient is not finite.
pub(super) fn run(
    machine: &Machine,
    shape: &Shape,
    config: &ModelConfig,
    optimizer: &OptimizerConfig,
    seed: u64,
    seconds: f64,
) -> Result<Vec<f64>> {
    let lengths = shape.lengths();
    let batches: Vec<Batch> = (0..BATCHES)
        .map(|batch| {
            let events = lengths.iter().map(|length| length + 1);
            let items = popular_items(seed, batch, shape.items, events.clone().sum());
            let mut rest = &items[..];
            let sessions: Vec<&[u32]> =
                events.map(|length| rest.split_off(..length).unwrap_or_default()).collect();
            let mut batch = Batch::new(config);
            batch.fill_training(&sessions, &[]);
            batch
        })
        .collect();
    let model = Model::new(machine.clone(), config, shape.items, seed);
    let model = model.map_err(train::Error::from)?;
    let mut trainer = Trainer::new(model, *optimizer, seed).map_err(train::Error::from)?;
    let mut turn = batches.iter().cycle();
    Ok(machine.run(|| {
        sample(seconds, || {
            turn.next().map_or(Ok(()), |batch| trainer.step(batch, LEARNING_RATE).map(drop))
        })
    })?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Loss, Readout};

    #[test]
    fn a_step_small_enough_to_count_by_hand() {
        let shape = Shape::parse("T3,B2,I4,H4,V50").unwrap();
        let sparse = OptimizerConfig::default();
        let settings = ModelConfig { repeat_lags: 0, ..ModelConfig::default() };
        let full = config(&shape, &settings).unwrap();
        let work = |config, optimizer| work(&shape, config, optimizer, None);
        let layer =
            Work::recurrent(Mode::Training, 6.0, 3, layout::RecurrentDims::lstm(4, 4), None);
        // 144 numbers of the layer, 200 of the items.
        let softmax = Work::softmax(6.0, 50, 4);
        let adam = Work { flop: 0.0, bytes: 28.0 * 344.0 };
        assert_eq!(work(&full, &sparse), [layer, softmax, adam].into_iter().sum());

        let loss = Loss { frequent: 5, drawn: 5, ..Loss::default() };
        let sampled = ModelConfig { loss, ..full.clone() };
        let softmax = Work::softmax(6.0, 10, 4);
        let adam = Work { flop: 0.0, bytes: 28.0 * 184.0 };
        assert_eq!(work(&sampled, &sparse), [layer, softmax, adam].into_iter().sum());
        let dense = OptimizerConfig { sparse: false, ..sparse };
        assert_eq!(work(&sampled, &dense).bytes - work(&sampled, &sparse).bytes, 28.0 * 160.0);
        let sgd = OptimizerConfig { kind: model::OptimizerKind::Sgd, ..dense };
        assert_eq!(work(&sampled, &dense).bytes - work(&sampled, &sgd).bytes, 16.0 * 344.0);

        // Three matrices [4, 4], and two keys and a query [2, 4].
        let readout = Readout::Attention;
        let attention = ModelConfig { readout, attention_key: 2, ..full.clone() };
        let more = work(&attention, &sparse).flop - work(&full, &sparse).flop;
        assert_eq!(more, 6.0 * 6.0 * (3.0 * 16.0 + 3.0 * 8.0));
    }

    #[test]
    fn steps_are_made() {
        let shape = Shape::parse("T4,B3,I5,H6,L2,V30,lengths=skew").unwrap();
        let machine = Machine::new(2).unwrap();
        let config = config(&shape, &ModelConfig::default()).unwrap();
        let samples = run(&machine, &shape, &config, &OptimizerConfig::default(), 1, 0.0).unwrap();
        assert_eq!(samples.len(), 5);
        assert!(samples.iter().all(|&seconds| seconds > 0.0));
    }
}
