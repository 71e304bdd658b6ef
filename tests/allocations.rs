//! A training step takes no memory after the first ones: every buffer is used again.
//!
//! The allocator of this test counts. The counted steps run inside the machine's own threads, since
//! handing work to a pool from outside may take a node of its queue.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use layout::Keep;
use layout::random::Stream;
use model::{
    Activation, Batch, CellKind, Cpu, Device, Dropout, Features, InitialState, Input, Inputs,
    Labels, Loss, LossKind, Model, ModelConfig, OptimizerConfig, Output, Readout, Sequence,
    Trainer,
};

struct Counting;

static TAKEN: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every request goes to the system's allocator as it came; counting touches no memory but an
// atomic of its own.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        TAKEN.fetch_add(1, Relaxed);
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        TAKEN.fetch_add(1, Relaxed);
        // SAFETY: as in `alloc`.
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as in `alloc`.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const ITEMS: usize = 700;
const LABELS: usize = 50;

/// Batches of different sizes, as training meets them: whole sessions, and windows of them.
fn batches(config: &ModelConfig, features: &Features) -> Vec<Batch> {
    let stream = Stream::new(1, 0, 0);
    let batch = |b: u64| {
        let sessions: Vec<Vec<u32>> = (0..30 + 20 * b)
            .map(|session| {
                let draw = |k: u64| stream.below(1000 * b + 40 * session + k, ITEMS as u32);
                (0..2 + u64::from(draw(0)) % 12).map(|k| draw(k + 1)).collect()
            })
            .collect();
        // Of each event some of these, from another place in each session.
        let labels: Vec<u32> =
            (0..200).map(|k| stream.below(9000 + 1000 * b + k, LABELS as u32)).collect();
        let numbers: Vec<f32> = labels.iter().map(|&label| 0.1 * label as f32).collect();
        let (kinds, width) = (features.labels.len(), features.numbers.len());
        let sessions: Vec<Sequence<'_>> = sessions
            .iter()
            .enumerate()
            .map(|(session, items)| Sequence {
                items,
                labels: &labels[session..][..kinds * items.len()],
                numbers: &numbers[session..][..width * items.len()],
            })
            .collect();
        let fill = |window: std::ops::Range<usize>| {
            let mut batch = Batch::with_features(config, features);
            batch.fill_window(&sessions, &[], window);
            batch
        };
        // What looks back over a session does not go on from a window.
        let windows = if config.looks_back().is_none() { 3 } else { 0 };
        let mut batches = vec![fill(0..usize::MAX)];
        batches.extend((0..windows).map(|k| fill(5 * k..5 * (k + 1))));
        batches
    };
    (0..3).flat_map(batch).collect()
}

/// Memory taken during some steps, after as many of the same.
fn taken(
    config: &ModelConfig,
    features: &Features,
    optimizer: OptimizerConfig,
    keep: Keep,
    threads: usize,
) -> usize {
    let device = Cpu::new(threads).expect("threads");
    let inputs = Inputs { items: ITEMS, features: features.clone(), ..Inputs::default() };
    let mut model = Model::new(device.clone(), config, inputs, 3).expect("a valid configuration");
    if features.vectors > 0 {
        let vectors = vec![0.1; ITEMS * features.vectors];
        model = model.with_vectors(&vectors).expect("one an item");
    }
    let mut trainer = Trainer::new(model, optimizer, 3).expect("a valid optimiser");
    trainer.keep(keep);
    let batches = batches(config, features);
    let mut steps = || {
        for _ in 0..2 {
            for batch in &batches {
                trainer.step(batch, 0.01).expect("finite");
            }
        }
    };
    // Which task of several takes which buffer from the shelf is a matter of chance: a rare meeting may
    // still make one grow. A step that takes memory as a rule does so in every round.
    let round = || {
        let before = TAKEN.load(Relaxed);
        steps();
        TAKEN.load(Relaxed) - before
    };
    device.run(|| std::iter::repeat_with(round).skip(1).take(4).min().expect("some rounds"))
}

/// One test, so that no other thread of this program takes memory meanwhile.
#[test]
fn a_training_step_takes_no_memory() {
    let no_dropout = Dropout::default();
    let rich = ModelConfig {
        embedding: 20,
        hidden: 24,
        layers: 2,
        readout: Readout::Attention,
        attention_key: 8,
        attention_lags: 6,
        output_bias: true,
        repeat_lags: 3,
        dropout: Dropout { input: 0.1, layers: 0.1, readout: 0.1, output: 0.1, ..no_dropout },
        loss: Loss { frequent: 60, drawn: 80, smoothing: 0.05, ..Loss::default() },
        ..ModelConfig::default()
    };
    let one_hot = ModelConfig {
        input: Input::OneHot,
        input_scale: 0.0,
        output: Output::Free,
        readout: Readout::Last,
        dropout: Dropout { weights: 0.1, recurrent: 0.1, zoneout_c: 0.1, ..no_dropout },
        loss: Loss::default(),
        ..rich.clone()
    };
    let bpr_max = Loss { kind: LossKind::BprMax, smoothing: 0.0, ..rich.loss };
    let ranking = ModelConfig { loss: bpr_max, ..rich.clone() };
    let plain = OptimizerConfig::default();
    let dense = OptimizerConfig { sparse: false, clip_norm: 1.0, ..plain };
    let cells = ["gru", "rnn", "lstm+peephole+projection", "lstm+coupled", "lstm+layernorm"];
    let cells = cells.map(|name| {
        let cell: CellKind = name.parse().expect("a cell");
        let zoneout_c = if cell.cell.has_cell_state() { 0.1 } else { 0.0 };
        let dropout =
            Dropout { weights: 0.1, recurrent: 0.1, zoneout_c, zoneout_h: 0.1, ..rich.dropout };
        (name, ModelConfig { cell, dropout, ..rich.clone() })
    });
    let shapes = ModelConfig {
        widths: vec![24, 18, 18],
        layers: 3,
        initial_state: InitialState::Learned,
        readout: Readout::Mean,
        head: vec![21, 17],
        dropout: Dropout { head: 0.1, ..rich.dropout },
        ..rich.clone()
    };
    let pooled = ModelConfig {
        widths: vec![24, 24],
        layers: 2,
        residual: true,
        readout: Readout::Max,
        head: vec![20],
        head_activation: Activation::Elu,
        ..shapes.clone()
    };
    let labels = |name: &str| Labels { name: name.to_owned(), size: LABELS };
    let numbers = vec!["price".to_owned(), "gap".to_owned(), "hour".to_owned()];
    let known = Features { labels: vec![labels("kind"), labels("day")], numbers, vectors: 6 };
    let nothing = Features::default();
    for threads in [1, 2, 3] {
        let others = cells.iter().map(|(name, config)| (*name, config));
        let plain_cells = [
            ("rich", &rich),
            ("one-hot", &one_hot),
            ("ranking", &ranking),
            ("shapes", &shapes),
            ("pooled", &pooled),
        ];
        let unknown = plain_cells.into_iter().chain(others);
        let unknown = unknown.map(|(name, config)| (name, config, &nothing));
        let with_features =
            [("rich with features", &rich, &known), ("one-hot with features", &one_hot, &known)];
        for (name, config, features) in unknown.chain(with_features) {
            for (how, optimizer, keep) in
                [("sparse", plain, Keep::Gates), ("dense", dense, Keep::States)]
            {
                let taken = taken(config, features, optimizer, keep, threads);
                assert_eq!(taken, 0, "{name}, {how}, {threads} threads: allocations in 24 steps");
            }
        }
    }
}
