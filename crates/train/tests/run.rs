//! The loop on a tiny shop: it learns, it repeats itself, it can be broken off anywhere.

use std::cell::Cell;
use std::fs;
use std::path::Path;

use events::{Cases, ItemVectors, Log, ReadOptions, Sessions, Split};
use model::{Dropout, Loss, ModelConfig, OptimizerConfig, Readout, Reference};
use train::folder::Existing;
use train::schedule::Decay;
use train::{
    Data, EpochReport, Error, Knowledge, MODEL_FILE, Observer, Outcome, Run, SessionRules, Trained,
    Training, Treatment,
};

/// Sessions that walk along one of two rings of items, so that what comes next is sure once two
/// items are known; a few longer than a piece.
fn log(folder: &Path) -> Log {
    let mut text = String::new();
    for session in 0..240usize {
        let (ring, start) = (session % 2, session * 7);
        let length = if session % 40 == 0 { 60 } else { 3 + session % 6 };
        let step = if ring == 0 { 1 } else { 5 };
        let items: Vec<_> = (0..length).map(|k| format!("i{}", (start + k * step) % 12)).collect();
        text += &(items.join(" ") + "\n");
    }
    let path = folder.join("sessions.txt");
    fs::write(&path, text).unwrap();
    let options = ReadOptions { format: Some(events::Format::Sessions), ..Default::default() };
    events::read(&[path], &options).unwrap()
}

fn data(folder: &Path) -> Data {
    let log = log(folder);
    let rules = SessionRules { rule: "auto".to_owned(), gap: 1 };
    let sessions = Sessions::from_log(&log, &rules.options().unwrap()).unwrap();
    let parts = Split::TimeShare(0.8).apply(&sessions, 1).unwrap();
    let knowledge = Knowledge::of(&parts.train, &log.items, rules, Treatment::default());
    let encode = |part| knowledge.vocabulary.encode(part, &log.items);
    let (train, validation) = (encode(&parts.train), Cases::new(&encode(&parts.validation)));
    Data { knowledge, train, validation, vectors: ItemVectors::default(), tasks: None }
}

fn small_model() -> ModelConfig {
    ModelConfig {
        embedding: 8,
        hidden: 12,
        readout: Readout::Attention,
        attention_key: 4,
        attention_lags: 6,
        repeat_lags: 3,
        dropout: Dropout { input: 0.1, readout: 0.1, ..Dropout::default() },
        loss: Loss { frequent: 4, drawn: 3, smoothing: 0.05, ..Loss::default() },
        ..ModelConfig::default()
    }
}

fn training() -> Training {
    Training {
        epochs: 4,
        batch_targets: 96,
        learning_rate: 2e-2,
        recency: 0.5,
        average: 0.4,
        checkpoint_seconds: 1e9,
        ..Training::default()
    }
}

/// What is kept beside a model whose texts nobody reads.
fn texts() -> train::Texts {
    train::Texts { result: "{}".to_owned(), report: None }
}

/// Asks to stop after so many steps.
#[derive(Default)]
struct Stop {
    after: Option<u64>,
    steps: Cell<u64>,
    epochs: Vec<EpochReport>,
}

impl Observer for Stop {
    fn step(&mut self, _step: &train::StepProgress) {
        self.steps.set(self.steps.get() + 1);
    }
    fn epoch(&mut self, epoch: &EpochReport) {
        self.epochs.push(epoch.clone());
    }
    fn interrupted(&self) -> bool {
        self.after.is_some_and(|after| self.steps.get() >= after)
    }
}

fn run(
    data: &Data,
    out: &Path,
    existing: Existing,
    training: &Training,
    observer: &mut Stop,
) -> Result<Outcome, Error> {
    let run = Run {
        out,
        existing,
        seed: 3,
        model: &small_model(),
        optimizer: &OptimizerConfig::default(),
        training,
        run_file: "seed = 3\n",
        kernel: "reference",
    };
    train::train(Reference::<f32>::new(), data, &run, observer, |_| texts())
}

#[test]
fn a_small_shop_is_learned_and_the_folder_is_complete() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path());
    let out = folder.path().join("model");
    let mut seen = Stop::default();
    let training = Training { epochs: 12, ..training() };
    let outcome = run(&data, &out, Existing::Refuse, &training, &mut seen).unwrap();
    let (first, last) = (seen.epochs[0].loss.unwrap(), seen.epochs.last().unwrap().loss.unwrap());
    assert!(last < 0.6 * first, "loss {first} to {last}");
    let validation = outcome.validation.unwrap();
    assert!(validation.model.recall_1 > 0.75, "{}", validation.model.recall_1);
    assert!(validation.model.recall_1 > validation.baselines.markov.recall_1 + 0.1);

    let mut names: Vec<_> =
        fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    let expected =
        ["log.csv", "log.jsonl", "model.safetensors", "result.json", "run.toml", "tensorboard"];
    assert_eq!(names, expected);
    let lines = fs::read_to_string(out.join("log.jsonl")).unwrap();
    assert_eq!(lines.lines().count(), outcome.epochs);

    // What is read back answers as the run has reported.
    let trained = Trained::load(&out, Reference::<f32>::new()).unwrap();
    let again = train::evaluate::evaluate(&trained.model, &data.validation, 1024).unwrap();
    assert_eq!(again, validation.model);
    assert_eq!(trained.knowledge.sessions, data.knowledge.sessions);
    assert_eq!(trained.knowledge.baselines, data.knowledge.baselines);
}

#[test]
fn a_run_that_is_broken_off_and_resumed_ends_with_the_same_file() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path());
    let whole = folder.path().join("whole");
    let mut seen = Stop::default();
    run(&data, &whole, Existing::Refuse, &training(), &mut seen).unwrap();
    let (steps, expected) = (seen.steps.get(), fs::read(whole.join(MODEL_FILE)).unwrap());
    assert!(steps > 20, "{steps}");

    // Every seventh step: inside epochs, at their ends, inside the averaging.
    let out = folder.path().join("broken");
    let mut existing = Existing::Refuse;
    let mut done = 0;
    let mut breaks = 0;
    loop {
        let mut seen = Stop { after: Some(7), ..Stop::default() };
        match run(&data, &out, existing, &training(), &mut seen) {
            Ok(_) => break,
            Err(Error::Interrupted { checkpoint }) => assert!(checkpoint.is_dir()),
            Err(other) => panic!("{other}"),
        }
        assert!(!out.join(MODEL_FILE).exists(), "no model before the end");
        existing = Existing::Resume;
        done += seen.steps.get();
        breaks += 1;
        assert!(done <= steps);
    }
    assert!(breaks >= steps / 7, "{breaks} breaks in {steps} steps");
    assert!(fs::read(out.join(MODEL_FILE)).unwrap() == expected, "the files differ");
}

/// Vectors that are given for the items, of another length each, none for the last.
fn given(data: &Data, turn: f32) -> Data {
    let (items, width) = (data.knowledge.vocabulary.len(), 3);
    let mut values: Vec<f32> =
        (0..items * width).map(|e| (turn + 0.7 * e as f32).sin() * (1.0 + e as f32)).collect();
    values[(items - 1) * width..].fill(0.0);
    let vectors = ItemVectors { width, values, known: items - 1, others: 0 };
    Data { vectors, ..data.clone() }
}

/// They are in the checkpoint and in the model file as they were given, and a run with others is
/// another run.
#[test]
fn given_vectors_survive_a_break_and_are_not_learned() {
    let folder = tempfile::tempdir().unwrap();
    let without = data(folder.path());
    let data = given(&without, 0.2);
    let (whole, broken) = (folder.path().join("whole"), folder.path().join("broken"));
    run(&data, &whole, Existing::Refuse, &training(), &mut Stop::default()).unwrap();
    let trained = Trained::load(&whole, Reference::<f32>::new()).unwrap();
    let stored = trained.model.vectors().expect("vectors");
    assert_eq!(stored.as_slice(), data.vectors.values);
    assert_eq!(trained.model.features().vectors, 3);
    let projection = trained.model.parameters().features.vectors.as_ref().expect("a projection");
    assert!(projection.as_slice().iter().any(|&weight| weight != 0.0), "nothing has been learned");

    let mut stop = Stop { after: Some(9), ..Stop::default() };
    run(&data, &broken, Existing::Refuse, &training(), &mut stop).unwrap_err();
    for other in [&without, &given(&without, 0.3)] {
        let error = run(other, &broken, Existing::Resume, &training(), &mut Stop::default());
        let text = error.unwrap_err().to_string();
        assert!(text.contains("the vectors of its items are not the same"), "{text}");
    }
    run(&data, &broken, Existing::Resume, &training(), &mut Stop::default()).unwrap();
    let model = |out: &Path| fs::read(out.join(MODEL_FILE)).unwrap();
    assert!(model(&whole) == model(&broken), "the files differ");
}

#[test]
fn early_stopping_and_plateaus_survive_a_break() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path());
    let training = Training {
        epochs: 30,
        patience: 2,
        decay: Decay::Plateau,
        plateau_patience: 0,
        learning_rate: 8e-2,
        ..training()
    };
    let whole = folder.path().join("whole");
    let mut seen = Stop::default();
    let outcome = run(&data, &whole, Existing::Refuse, &training, &mut seen).unwrap();
    assert!(outcome.stopped_early && outcome.epochs < 30);
    assert!(outcome.best_epoch < outcome.epochs);

    let broken = folder.path().join("broken");
    let half = seen.steps.get() / 2;
    let mut stop = Stop { after: Some(half), ..Stop::default() };
    run(&data, &broken, Existing::Refuse, &training, &mut stop).unwrap_err();
    let again = run(&data, &broken, Existing::Resume, &training, &mut Stop::default()).unwrap();
    assert_eq!((again.epochs, again.best_epoch), (outcome.epochs, outcome.best_epoch));
    let model = |out: &Path| fs::read(out.join(MODEL_FILE)).unwrap();
    assert!(model(&whole) == model(&broken), "the files differ");
}

#[test]
fn another_run_cannot_be_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path());
    let out = folder.path().join("model");
    let mut stop = Stop { after: Some(3), ..Stop::default() };
    run(&data, &out, Existing::Refuse, &training(), &mut stop).unwrap_err();
    let other = Training { recency: 0.7, ..training() };
    let error = run(&data, &out, Existing::Resume, &other, &mut Stop::default()).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("training.recency is 0.5 there and 0.7 here"), "{text}");

    let mut other = data.clone();
    other.train.items.swap(3, 4);
    let error = run(&other, &out, Existing::Resume, &training(), &mut Stop::default()).unwrap_err();
    assert!(error.to_string().contains("the sessions that it trains on are not the same"));
    // When checkpoints are made may change, and how much a step keeps in memory.
    let often = Training { checkpoint_seconds: 0.0, recompute: true, ..training() };
    run(&data, &out, Existing::Resume, &often, &mut Stop::default()).unwrap();
}

#[test]
fn a_finished_model_stays_until_the_next_one_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path());
    let out = folder.path().join("model");
    run(&data, &out, Existing::Refuse, &training(), &mut Stop::default()).unwrap();
    let first = fs::read(out.join(MODEL_FILE)).unwrap();
    assert!(train::finished(&out).unwrap().is_some());

    let other = Training { recency: 0.7, ..training() };
    let mut stop = Stop { after: Some(3), ..Stop::default() };
    run(&data, &out, Existing::Replace, &other, &mut stop).unwrap_err();
    assert!(fs::read(out.join(MODEL_FILE)).unwrap() == first, "the old model is gone");
    assert!(train::finished(&out).unwrap().is_none(), "another run is under way");
    run(&data, &out, Existing::Resume, &other, &mut Stop::default()).unwrap();
    assert!(fs::read(out.join(MODEL_FILE)).unwrap() != first, "the new model is not there");
    assert!(train::finished(&out).unwrap().is_some());
}

#[test]
fn nothing_foreign_is_taken_for_a_run_or_removed() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path());
    let out = folder.path().join("model");
    fs::create_dir_all(out.join("checkpoint")).unwrap();
    fs::write(out.join("notes.txt"), "mine").unwrap();
    fs::write(out.join("checkpoint/mine"), "mine").unwrap();
    let error = run(&data, &out, Existing::Resume, &training(), &mut Stop::default()).unwrap_err();
    assert!(error.to_string().contains("no run of Tidegate to resume"), "{error}");
    run(&data, &out, Existing::Replace, &training(), &mut Stop::default()).unwrap();
    for file in ["notes.txt", "checkpoint/mine"] {
        assert_eq!(fs::read_to_string(out.join(file)).unwrap(), "mine");
    }
    assert!(train::finished(&out).unwrap().is_some());
}

#[test]
fn a_damaged_best_model_is_found_before_the_run_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path());
    let out = folder.path().join("model");
    let long = Training { epochs: 50, ..training() };
    let mut stop = Stop { after: Some(100), ..Stop::default() };
    run(&data, &out, Existing::Refuse, &long, &mut stop).unwrap_err();
    let entries = fs::read_dir(out.join("checkpoint")).unwrap().map(|entry| entry.unwrap().path());
    let best = entries
        .into_iter()
        .find(|path| path.file_name().unwrap().to_string_lossy().starts_with("best-"))
        .expect("an epoch has ended");
    fs::write(&best, "cut off").unwrap();
    let error = run(&data, &out, Existing::Resume, &long, &mut Stop::default()).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("best-") && text.contains("start over with --force"), "{text}");
}

#[test]
fn a_loss_that_is_not_finite_stops_the_run_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path());
    let out = folder.path().join("model");
    let wild = Training { learning_rate: 1e3, warmup: 0.0, epochs: 40, ..training() };
    let optimizer = OptimizerConfig { weight_decay: 1.0, ..OptimizerConfig::default() };
    let model = ModelConfig { temperature: 0.0, input_scale: 0.0, ..small_model() };
    let run = Run {
        out: &out,
        existing: Existing::Refuse,
        seed: 3,
        model: &model,
        optimizer: &optimizer,
        training: &wild,
        run_file: "",
        kernel: "reference",
    };
    let result = train::train(Reference::<f32>::new(), &data, &run, &mut (), |_| texts());
    let error = result.unwrap_err();
    assert!(matches!(error, Error::NotFinite { .. }), "{error}");
    assert!(error.to_string().contains("is not finite"), "{error}");
    assert!(!out.exists());
}

#[test]
fn pairs_give_the_figures_of_their_sessions() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path());
    let out = folder.path().join("model");
    run(&data, &out, Existing::Refuse, &training(), &mut Stop::default()).unwrap();
    let trained = Trained::load(&out, Reference::<f32>::new()).unwrap();

    let sessions = ["i0 i1 i2 new i3", "new i4", "i5 i10 i3 i8", "i1 other"];
    let mut pairs = String::new();
    for session in sessions {
        let items: Vec<_> = session.split(' ').collect();
        for target in (1..items.len()).rev() {
            pairs += &format!("{}\t{}\n", items[..target].join(" "), items[target]);
        }
    }
    let figures = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        let log = events::read(&[path], &ReadOptions::default()).unwrap();
        let sessions = Sessions::from_log(&log, &Default::default()).unwrap();
        let vocabulary = &trained.knowledge.vocabulary;
        let cases = Cases::new(&vocabulary.encode(&sessions, &log.items));
        train::evaluate::evaluate(&trained.model, &cases, 1024).unwrap()
    };
    let text = sessions.join("\n") + "\n";
    let (one, other) = (figures("test.txt", &text), figures("test.tsv", &pairs));
    assert_eq!(one, other);
    assert_eq!((one.cases, one.unknown_targets), (9, 2));
}
