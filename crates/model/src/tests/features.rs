//! Models that see more of an event than its item: trainings, files, and what is refused.

use std::path::Path;

use layout::Keep;
use layout::random::Stream;

use super::files::{changed, extra, vocabulary};
use super::*;
use crate::{
    BatchError, ExportError, Features, Inputs, Labels, ModelFile, Reference, Renames, Scorer,
    Sequence, StateDict, Tensor, Tensors, TrainingError, Wanted,
};

/// Two labels, of which the first says which way a walk goes on, two numbers, and vectors of items.
fn inputs() -> Inputs {
    let labels = |name: &str, size| Labels { name: name.to_owned(), size };
    let features = Features {
        labels: vec![labels("way", 3), labels("day ä", 7)],
        numbers: vec!["price".to_owned(), "gap".to_owned()],
        vectors: 5,
    };
    Inputs { items: ITEMS, features, ..Inputs::default() }
}

/// The given vectors.
fn vectors() -> Vec<f32> {
    (0..ITEMS * 5).map(|e| (0.9 * e as f32).sin()).collect()
}

/// Steps on the circle of items, forwards or backwards as the label of each event says; `draw` names the
/// walks.
fn steps(config: &ModelConfig, told: bool, draw: u32) -> Batch {
    let walks: Vec<(Vec<u32>, Vec<u32>, Vec<f32>)> = (0..24)
        .map(|k| {
            let draw = |name: u64, below: u32| Stream::new(1, draw, k).below(name, below);
            let ways: Vec<u32> = (0..3 + u64::from(k) % 5).map(|t| draw(t, 2)).collect();
            let items = ways.iter().scan(draw(9, 12), |at, way| {
                let here = *at;
                *at = (here + if *way == 0 { 1 } else { 11 }) % 12;
                Some(here)
            });
            let labels =
                ways.iter().enumerate().flat_map(|(t, way)| [1 + way, draw(10 + t as u64, 6)]);
            let numbers = (0..2 * ways.len()).map(|e| (0.4 * e as f32 + k as f32).sin());
            (items.collect(), labels.collect(), numbers.collect())
        })
        .collect();
    let sequences: Vec<Sequence<'_>> = walks
        .iter()
        .map(|(items, labels, numbers)| match told {
            true => Sequence { items, labels, numbers },
            false => items.as_slice().into(),
        })
        .collect();
    let mut batch = Batch::with_features(config, &inputs().features);
    batch.fill_training(&sequences, &[]);
    batch
}

fn new<D: Device>(device: D, config: &ModelConfig) -> Model<D> {
    let model = Model::new(device, config, inputs(), 3).expect("a valid configuration");
    model.with_vectors(&vectors()).expect("one an item")
}

fn trainer<D: Device>(device: D, config: &ModelConfig) -> Trainer<D> {
    let clipped = OptimizerConfig { clip_norm: 5.0, ..OptimizerConfig::default() };
    Trainer::new(new(device, config), clipped, 3).expect("a valid optimiser")
}

fn train<D: Device>(trainer: &mut Trainer<D>, steps_made: usize) -> Vec<f64> {
    let batch = steps(trainer.model().config(), true, 0);
    (0..steps_made).map(|_| trainer.step(&batch, 0.02).expect("finite").loss).collect()
}

fn configs() -> [ModelConfig; 4] {
    let mean = ModelConfig { running_mean: true, ..one_hot() };
    let last = ModelConfig { readout: Readout::Last, loss: Loss::default(), ..rich() };
    [rich(), last, one_hot(), mean]
}

/// What the labels tell is learned: the way at each event is a guess without them.
#[test]
fn what_only_features_tell_is_learned() {
    for config in [rich(), one_hot()] {
        let loss = Loss::default();
        let config = ModelConfig { dropout: Dropout::default(), loss, repeat_lags: 0, ..config };
        let [told, guessed] = [true, false].map(|told| {
            let mut trainer = trainer(cpu(), &config);
            for draw in 1..200 {
                trainer.step(&steps(&config, told, draw), 0.02).expect("finite");
            }
            trainer.step(&steps(&config, told, 0), 0.0).expect("finite").loss
        });
        assert!(told < 0.3 && guessed > 0.6, "{told} with the labels, {guessed} without them");
    }
}

#[test]
fn the_processor_trains_as_the_reference_does() {
    for config in configs() {
        let exact = train(&mut trainer(Reference::<f64>::new(), &config), 20);
        let fast = train(&mut trainer(cpu(), &config), 20);
        for (step, (exact, fast)) in exact.iter().zip(&fast).enumerate() {
            let error = (exact - fast).abs() / exact;
            assert!(error < 2e-4, "step {step}: {exact} in f64, {fast} here, {config:?}");
        }
    }
}

#[test]
fn neither_threads_nor_tapes_change_a_bit() {
    for config in configs() {
        let trained = |threads, keep| {
            let mut trainer = trainer(Cpu::new(threads).expect("threads"), &config);
            trainer.keep(keep);
            train(&mut trainer, 5);
            bits(trainer.model())
        };
        let one = trained(1, Keep::Gates);
        let others = [(2, Keep::Gates), (7, Keep::Gates), (2, Keep::States)];
        assert!(others.into_iter().all(|(threads, keep)| trained(threads, keep) == one));
    }
}

/// Labels that a step does not meet stay as they are where updates are sparse, and go on by their
/// momentum where they are dense.
#[test]
fn sparse_updates_leave_other_labels_alone() {
    for (sparse, expected) in [(true, 2), (false, 6)] {
        let optimizer = OptimizerConfig { sparse, ..OptimizerConfig::default() };
        let model = new(Reference::<f32>::new(), &rich());
        let mut trainer = Trainer::new(model, optimizer, 3).expect("valid");
        train(&mut trainer, 3);
        let before = trainer.model().parameters().features.labels[1].clone();
        let mut small = Batch::with_features(&rich(), &inputs().features);
        small.fill_training(
            &[Sequence { items: &[2, 3, 4], labels: &[1, 4, 2, 5, 0, 3], numbers: &[] }],
            &[],
        );
        trainer.step(&small, 0.02).expect("finite");
        let after = &trainer.model().parameters().features.labels[1];
        // Label 6 was never met: it has no momentum. The label of the last item has no position.
        let moved = (0..7).filter(|&row| before.row(row) != after.row(row)).count();
        assert_eq!(moved, expected, "sparse: {sparse}");
    }
}

#[test]
fn a_resumed_run_is_the_unbroken_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("checkpoint.safetensors");
    for config in configs() {
        let mut unbroken = trainer(cpu(), &config);
        train(&mut unbroken, 3);
        unbroken.average();
        unbroken.save(&path, "").expect("written");
        let (mut resumed, _) = Trainer::load(&path, cpu()).expect("read back");
        assert_eq!(resumed.model().inputs(), &inputs());
        assert_eq!(resumed.model().vectors().expect("some").as_slice(), vectors());
        let [one, other] = [&mut unbroken, &mut resumed].map(|trainer| {
            train(trainer, 4);
            trainer.average();
            let averaged = trainer.averaged().expect("averages");
            assert_eq!(
                (averaged.inputs(), averaged.vectors()),
                (&inputs(), trainer.model().vectors())
            );
            trainer.save(&path, "").expect("written");
            std::fs::read(&path).expect("read")
        });
        assert!(one == other, "the same bytes");
    }
}

fn saved(folder: &Path, config: &ModelConfig) -> (std::path::PathBuf, Model<Cpu>) {
    let path = folder.join("model.safetensors");
    let mut trainer = trainer(cpu(), config);
    train(&mut trainer, 2);
    ModelFile::save(&path, trainer.model(), &vocabulary(), &extra()).expect("written");
    (path, trainer.into_model())
}

#[test]
fn a_model_file_gives_the_model_back() {
    let folder = tempfile::tempdir().expect("a folder");
    for config in configs() {
        let (path, model) = saved(folder.path(), &config);
        let first = std::fs::read(&path).expect("read");
        let file = ModelFile::load(&path).expect("read back");
        assert_eq!((file.features(), file.extra()), (&inputs().features, &extra()));
        let read = file.model(cpu());
        assert_eq!((bits(&read), read.inputs()), (bits(&model), &inputs()));
        assert_eq!(read.vectors().expect("some").as_slice(), vectors());
        ModelFile::save(&path, &read, &vocabulary(), &extra()).expect("written");
        assert!(std::fs::read(&path).expect("read") == first, "the same bytes every time");

        let file = safetensors::SafeTensors::deserialize(&first).expect("safetensors");
        let width = if config.input == Input::OneHot { 20 } else { 6 };
        for (name, shape) in [
            ("features.labels.way.weight", [3, width]),
            ("features.labels.day ä.weight", [7, width]),
            ("features.numbers.weight", [width, 2]),
            ("features.vectors.weight", [width, 5]),
            ("features.vectors.table", [ITEMS, 5]),
        ] {
            assert_eq!(file.tensor(name).expect("there").shape(), shape, "{name}");
        }
    }
}

/// A file of a model without features is what it was before there were any.
#[test]
fn files_without_features_do_not_know_of_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.safetensors");
    let mut trainer = trainer_by(cpu(), &rich(), OptimizerConfig::default());
    ModelFile::save(&path, trainer.model(), &vocabulary(), &extra()).expect("written");
    let (tensors, text) = crate::container::read(&path, "a model").expect("good");
    assert!(text.starts_with("{\"kind\":\"model\",\"version\":1,\"model\":{"), "{text}");
    assert!(!text.contains("features") && tensors.keys().all(|name| !name.contains("features")));
    super::train(&mut trainer, 1);
    trainer.save(&path, "").expect("written");
    let (tensors, text) = crate::container::read(&path, "a checkpoint").expect("good");
    assert!(text.contains("\"items\":12,\"optimizer\":{"), "{text}");
    assert!(!text.contains("features") && tensors.keys().all(|name| !name.contains("features")));
}

#[test]
fn files_that_are_not_what_they_should_be_say_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, _) = saved(folder.path(), &rich());
    let expect = |error: String, part: &str| assert!(error.contains(part), "{part:?}: {error}");
    let header = |from: &str, to: &str| {
        changed(&path, |_, text| {
            assert!(text.contains(from), "{text}");
            *text = text.replace(from, to);
        })
    };
    let missing = |name: &str| changed(&path, |tensors, _| drop(tensors.remove(name)));
    expect(missing("features.labels.way.weight"), "features.labels.way.weight is missing");
    expect(missing("features.numbers.weight"), "features.numbers.weight is missing");
    expect(header("\"size\":7", "\"size\":8"), "should be [8, 6], found [7, 6]");
    expect(header("\"size\":7", "\"size\":0"), "features.day ä: 0 labels");
    expect(header("\"size\":7", "\"size\":18446744073709551615"), "features.day ä");
    expect(header("\"size\":7", "\"size\":4294967294"), "should be [4294967294, 6]");
    expect(header("\"size\":7", "\"size\":7.5"), "cannot be understood");
    expect(header("\"size\":7", "\"size\":7,\"sise\":7"), "unknown field");
    expect(header("day ä", "way"), "no name of its own");
    expect(header("\"price\",\"gap\"", "\"price\",\"price\""), "no name of its own");
    expect(header("\"price\",\"gap\"", "\"price\""), "should be [6, 1], found [6, 2]");
    expect(header("\"price\",\"gap\"", ""), "features.numbers.weight has no place");
    expect(header("\"vectors\":5", "\"vectors\":6"), "should be [6, 6], found [6, 5]");
    expect(header("\"vectors\":5", "\"vectors\":0"), "features.vectors.table has no place");
    expect(header("\"vectors\":5", "\"vectors\":18446744073709551615"), "is too large");
    expect(header("\"vectors\":5", "\"vectors\":183251937962"), "features.vectors.table");
    expect(missing("features.vectors.table"), "features.vectors.table is missing");
    let endless = changed(&path, |tensors, _| {
        let endless = Tensor::matrix(ITEMS, 5, vec![f32::NAN; 5 * ITEMS]);
        tensors.insert("features.vectors.table".to_owned(), endless);
    });
    expect(endless, "not finite");
    expect(header("\"version\":2", "\"version\":1"), "is of version 1");
    expect(
        header("\"version\":2", "\"version\":4"),
        "version 4; this program reads version 1 and 2 and 3",
    );
    let wide = Tensor::matrix(3, 5, vec![0.0; 15]);
    let replaced = changed(&path, |tensors, _| {
        tensors.insert("features.labels.way.weight".to_owned(), wide.clone());
    });
    expect(replaced, "should be [3, 6], found [3, 5]");
    let more = changed(&path, |tensors, _| {
        tensors.insert("features.labels.kind.weight".to_owned(), wide.clone());
    });
    expect(more, "features.labels.kind.weight has no place");
    let mine = Tensors::from([("features.mine".to_owned(), wide)]);
    let model = new(cpu(), &rich());
    let refused = ModelFile::save(&path, &model, &vocabulary(), &mine).unwrap_err();
    expect(refused.to_string(), "may not be called features.mine");
}

/// A byte of the header changed: the file is refused or read, with no panic and no memory on its word.
#[test]
fn damaged_bytes_never_panic() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = folder.path().join("model.safetensors");
    let checkpoint = folder.path().join("checkpoint.safetensors");
    let small = ModelConfig { embedding: 2, hidden: 2, ..ModelConfig::default() };
    let trainer = trainer(Reference::<f32>::new(), &small);
    ModelFile::save(&model, trainer.model(), &vocabulary(), &Tensors::new()).expect("written");
    trainer.save(&checkpoint, "").expect("written");
    for path in [model, checkpoint] {
        let good = std::fs::read(&path).expect("read");
        let header = 8 + u64::from_le_bytes(good[..8].try_into().expect("eight bytes")) as usize;
        for place in (0..header).step_by(2) {
            let mut bytes = good.clone();
            bytes[place] ^= [0x01, 0x10, 0x80][place % 3];
            std::fs::write(&path, &bytes).expect("written");
            if let Ok(file) = ModelFile::load(&path) {
                file.model(Reference::<f32>::new());
            }
            let _ = Trainer::load(&path, Reference::<f32>::new());
        }
    }
}

#[test]
fn batches_that_do_not_fit_are_refused() {
    let mut trainer = trainer(Reference::<f32>::new(), &rich());
    let features = inputs().features;
    let good = Sequence { items: &[2, 3], labels: &[0, 6, 2, 0], numbers: &[0.5, 1.0, 0.0, -2.0] };
    let nothing = [0, 0];
    let fewer = Features { numbers: vec![], ..features.clone() };
    for (seen, wrong, error) in [
        (&features, Sequence { labels: &[3, 0, 2, 0], ..good }, label(0, 3, 3)),
        (&features, Sequence { labels: &[0, 6, 2, 7], ..good }, None),
        (&features, Sequence { labels: &[0, 7, 2, 6], ..good }, label(1, 7, 7)),
        (&features, Sequence { labels: &[u32::MAX; 4], ..good }, label(0, u32::MAX, 3)),
        (&features, Sequence { numbers: &[0.0, f32::NAN, 0.0, 0.0], ..good }, number(1)),
        (&features, Sequence { numbers: &[f32::NEG_INFINITY, 0.0, 0.0, 0.0], ..good }, number(0)),
        (&features, Sequence { labels: &[0, 6, 2], ..good }, misfit()),
        (&features, Sequence { numbers: &[0.0; 5], ..good }, misfit()),
        (&features, Sequence { items: &[2, 3, 4], ..good }, misfit_of(3)),
        (&fewer, good, Some(BatchError::Features { found: [2, 0], expected: [2, 2] })),
        (
            &Features::default(),
            good,
            Some(BatchError::Features { found: nothing, expected: [2, 2] }),
        ),
    ] {
        let mut batch = Batch::with_features(&rich(), seen);
        batch.fill_training(&[good, wrong], &[]);
        let found = trainer.step(&batch, 0.0).err();
        // The label of the last event stands at no position of a training.
        assert_eq!(found, error.map(TrainingError::Batch), "{wrong:?}");
        let error = if error.is_none() { label(1, 7, 7) } else { error };
        batch.fill_prefixes(&[good, wrong], Wanted::Last);
        let mut scorer = Scorer::new(trainer.model());
        assert_eq!(scorer.represent(&batch).err(), error, "{wrong:?}");
        assert_eq!(scorer.best(&batch, 3, |_, _| panic!("nothing to see")).err(), error);
        // The next filling has forgotten it.
        batch.fill_prefixes(&[good], Wanted::Last);
        if *seen == features {
            assert!(scorer.represent(&batch).is_ok());
        }
    }
    let model = Model::new(Reference::<f32>::new(), &rich(), ITEMS, 3).expect("valid");
    let mut batch = Batch::new(&rich());
    batch.fill_prefixes(&[good], Wanted::Last);
    assert_eq!(
        Scorer::new(&model).represent(&batch).err(),
        Some(BatchError::Sequence { session: 0, events: 2 })
    );
    let message = BatchError::Features { found: [2, 0], expected: [2, 2] }.to_string();
    assert!(message.contains("2 labels and 0 numbers") && message.contains("2 and 2"), "{message}");

    let wrong = |values: &[f32]| new(cpu(), &rich()).with_vectors(values).map(|_| ()).unwrap_err();
    let endless: Vec<f32> = (0..60).map(|e| if e == 58 { f32::INFINITY } else { 0.0 }).collect();
    for (error, problem) in [
        (wrong(&[]), "0 numbers for 12 items of width 5"),
        (wrong(&[0.0; 59]), "59 numbers for 12 items of width 5"),
        (wrong(&endless), "the vector of item 11 is not finite"),
        (model.with_vectors(&[]).map(|_| ()).unwrap_err(), "0 numbers for 12 items of width 0"),
    ] {
        assert_eq!((error.key.as_str(), error.problem.as_str()), ("vectors", problem));
    }
    let without = Model::new(cpu(), &rich(), inputs(), 3).expect("valid");
    let mut batch = Batch::with_features(&rich(), &features);
    batch.fill_prefixes(&[good], Wanted::Last);
    assert_eq!(Scorer::new(&without).represent(&batch).err(), Some(BatchError::Vectors));
    let nowhere = Path::new("no/such/folder/file");
    let unwritten = ModelFile::save(nowhere, &without, &vocabulary(), &extra()).unwrap_err();
    assert!(unwritten.problem.contains("vectors of items"), "{unwritten}");
    let trainer = Trainer::new(without, OptimizerConfig::default(), 3).expect("valid");
    assert!(trainer.save(nowhere, "").unwrap_err().problem.contains("vectors of items"));

    let twice = Features { numbers: vec!["way".to_owned()], ..features };
    let wrong = Model::new(
        cpu(),
        &rich(),
        Inputs { items: ITEMS, features: twice, ..Inputs::default() },
        3,
    );
    assert_eq!(wrong.map(|_| ()).unwrap_err().key, "way");
}

fn label(feature: usize, label: u32, size: usize) -> Option<BatchError> {
    Some(BatchError::Label { feature, label, size })
}

fn number(feature: usize) -> Option<BatchError> {
    Some(BatchError::Number { feature })
}

fn misfit() -> Option<BatchError> {
    misfit_of(2)
}

fn misfit_of(events: usize) -> Option<BatchError> {
    Some(BatchError::Sequence { session: 1, events })
}

#[test]
fn no_format_of_others_has_features() {
    let folder = tempfile::tempdir().expect("a folder");
    let plain = ModelConfig { dropout: Dropout::default(), ..one_hot() };
    let (path, _) = saved(folder.path(), &plain);
    let file = ModelFile::load(&path).expect("read");
    for refused in [file.to_onnx(true), file.to_state_dict(true)] {
        let error = refused.expect_err("nothing of ours would answer alike");
        assert!(matches!(error, ExportError::Features { .. }), "{error}");
        assert!(error.to_string().contains("way, day ä, price, gap, vectors of items"), "{error}");
    }
    // A module that is said to be like such a model, and one that has such tensors.
    let model = Model::new(cpu(), &plain, ITEMS, 3).expect("valid");
    ModelFile::save(&path, &model, &vocabulary(), &Tensors::new()).expect("written");
    let bytes = ModelFile::load(&path).expect("read").to_state_dict(true).expect("written");
    let mut unnamed = bytes.clone();
    let at = bytes.windows(10).position(|part| part == b"\"tidegate\"").expect("a header");
    unnamed[at..at + 10].copy_from_slice(b"\"someone.\"");
    std::fs::write(&path, &unnamed).expect("written");
    let dict = StateDict::open(&path, &Renames::default()).expect("whole");
    assert!(dict.config(Some((&plain, &Features::default()))).is_ok());
    let error = dict.config(Some((&plain, &inputs().features))).unwrap_err().to_string();
    assert!(error.contains("way, day ä, price, gap, vectors of items"), "{error}");
}
