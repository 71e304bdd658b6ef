//! What is known of an event beside its item: every analytic gradient is a slope, nothing sees the
//! future, and the sum is the sum that the equations say.

mod models;
mod slopes;

use layout::Matrix;
use model::{
    Batch, CellKind, Cpu, Device, Dropout, FeatureParameters, Features, Gradients, InitialState,
    Inputs, Labels, Loss, Model, ModelConfig, Output, Reference, Scorer, Sequence, StepContext,
    Touched, Update, Wanted, Workspace,
};
use models::{
    Exact, ITEMS, SESSIONS, WEIGHTS, answers, everything, lively, lively_model, loss_and_gradients,
    one_hot, plain, training_batch,
};
use slopes::slopes;
use testkit::assert_same_bits;

/// Two labels, three numbers and vectors of items; no session has the last label of the second.
fn features() -> Features {
    let labels = |name: &str, size| Labels { name: name.to_owned(), size };
    let numbers = ["price", "gap", "hour"].map(str::to_owned).to_vec();
    Features { labels: vec![labels("kind", 3), labels("day", 6)], numbers, vectors: 5 }
}

fn inputs() -> Inputs {
    Inputs { items: ITEMS, features: features(), ..Inputs::default() }
}

/// The given vectors; nothing is known of item 7.
fn vectors() -> Vec<f32> {
    let width = features().vectors;
    let entry = |e: usize| if e / width == 7 { 0.0 } else { (0.9 * e as f32 + 0.4).sin() };
    (0..ITEMS * width).map(entry).collect()
}

/// A model with features that the loss feels.
fn lively_with(config: &ModelConfig) -> Model<Exact> {
    lively(config, inputs()).with_vectors(&vectors()).expect("one an item")
}

/// Items of a session, and the labels and numbers of its events, no two of which are alike.
struct Known {
    items: Vec<u32>,
    labels: Vec<u32>,
    numbers: Vec<f32>,
}

impl Known {
    fn new(session: usize, items: &[u32]) -> Self {
        let event = |t: usize| 5 * session + 4 * t;
        let events = 0..items.len();
        let labels = events.clone().flat_map(|t| [event(t) as u32 % 3, (event(t) as u32 / 2) % 5]);
        let numbers =
            events.flat_map(|t| [0.3, 1.1, 2.3].map(|p| (event(t) as f32 * 1.7 + p).sin()));
        Self { items: items.to_vec(), labels: labels.collect(), numbers: numbers.collect() }
    }

    fn sequence(&self) -> Sequence<'_> {
        Sequence { items: &self.items, labels: &self.labels, numbers: &self.numbers }
    }
}

/// The sessions of all tests here; of the third nothing is known but its items.
fn sessions() -> Vec<Known> {
    let known = SESSIONS.iter().enumerate().map(|(k, items)| match k {
        2 => Known { items: items.to_vec(), labels: vec![], numbers: vec![] },
        _ => Known::new(k, items),
    });
    known.collect()
}

fn batch(config: &ModelConfig, window: std::ops::Range<usize>) -> Batch {
    let known = sessions();
    let sequences: Vec<Sequence<'_>> = known.iter().map(Known::sequence).collect();
    let mut batch = Batch::with_features(config, &features());
    batch.fill_window(&sequences, &WEIGHTS, window);
    batch
}

const WHOLE: std::ops::Range<usize> = 0..usize::MAX;

fn check(config: &ModelConfig, step: u32) -> Gradients<Matrix<f64>> {
    let batch = batch(config, WHOLE);
    slopes(&lively_with(config), |model| loss_and_gradients(model, &batch, step))
}

#[test]
fn gradients_with_an_embedding() {
    let gradients = check(&plain(), 0);
    let reached = |k| gradients.rows(Update::Rows(Touched::Label(k))).expect("some").to_vec();
    assert_eq!((reached(0), reached(1)), (vec![0, 1, 2], vec![0, 1, 2, 3, 4]));
    // Scaled items, attention over items, and dropout on the sum.
    check(&everything(), 0);
    check(&ModelConfig { output: Output::Free, input_scale: 2.0, ..plain() }, 1);
    let dropout = Dropout { input: 0.3, weights: 0.2, recurrent: 0.2, ..Dropout::default() };
    check(&ModelConfig { dropout, layers: 2, residual: true, ..plain() }, 2);
    let loss = Loss { frequent: 3, drawn: 4, smoothing: 0.1, ..Loss::default() };
    check(&ModelConfig { loss, initial_state: InitialState::Learned, ..everything() }, 1);
}

#[test]
fn gradients_with_one_hot_input() {
    check(&one_hot(), 0);
    check(&ModelConfig { running_mean: true, repeat_lags: 2, ..one_hot() }, 0);
    check(&ModelConfig { layers: 2, output_bias: true, ..one_hot() }, 0);
    for cell in ["gru", "rnn", "lstm+peephole", "lstm+coupled+projection"] {
        let cell: CellKind = cell.parse().expect("a cell");
        check(&ModelConfig { cell, ..one_hot() }, 0);
    }
    let cell: CellKind = "lstm+layernorm".parse().expect("a cell");
    check(&ModelConfig { cell, hidden: 7, ..one_hot() }, 0);
}

/// Of labels alone, of numbers alone, and of vectors alone.
#[test]
fn gradients_of_one_kind() {
    let scaled = ModelConfig { input_scale: 1.5, ..plain() };
    for config in [scaled, one_hot()] {
        let Features { labels, numbers, vectors: width } = features();
        let nothing = Features::default();
        let labels = Features { labels, ..nothing.clone() };
        let numbers = Features { numbers, ..nothing.clone() };
        for features in [labels, numbers, Features { vectors: width, ..nothing }] {
            let known = sessions();
            let sequences: Vec<Sequence<'_>> = known
                .iter()
                .map(|known| Sequence {
                    items: &known.items,
                    labels: if features.labels.is_empty() { &[] } else { &known.labels },
                    numbers: if features.numbers.is_empty() { &[] } else { &known.numbers },
                })
                .collect();
            let mut batch = Batch::with_features(&config, &features);
            batch.fill_training(&sequences, &WEIGHTS);
            let given = features.vectors > 0;
            let mut model = lively(&config, Inputs { items: ITEMS, features, ..Inputs::default() });
            if given {
                model = model.with_vectors(&vectors()).expect("one an item");
            }
            slopes(&model, |model| loss_and_gradients(model, &batch, 0));
        }
    }
}

/// A later window has the features of its own events: the losses of the windows are that of the whole,
/// and with its starting states held fast its gradient is a slope.
#[test]
fn windows_have_the_features_of_their_events() {
    let configs = [ModelConfig { layers: 2, ..plain() }, one_hot()];
    for config in configs {
        let model = lively_with(&config);
        let (whole, _) = loss_and_gradients(&model, &batch(&config, WHOLE), 0);
        let context = StepContext { seed: 3, step: 0 };
        let run = |model: &Model<Exact>, batch: &Batch, workspace: &mut Workspace<_>| {
            let mut gradients = Gradients::new(model.device(), model.catalogue());
            let loss = model.gradients(batch, context, workspace, &mut gradients);
            (loss.expect("states of the window before"), gradients)
        };
        let (mut workspace, mut sum, mut weights) = (Workspace::default(), 0.0, 0.0);
        for first in [0, 2, 4] {
            let batch = batch(&config, first..first + 2);
            let states = workspace.states().clone();
            let (loss, _) = run(&model, &batch, &mut workspace);
            let weight: f64 = batch.weights().iter().map(|&weight| f64::from(weight)).sum();
            (sum, weights) = (sum + weight * loss, weights + weight);
            if first == 2 {
                slopes(&model, |model| {
                    let mut workspace = Workspace::default();
                    *workspace.states_mut() = states.clone();
                    run(model, &batch, &mut workspace)
                });
            }
        }
        assert!((sum / weights - whole).abs() < 1e-12 * whole, "{}, not {whole}", sum / weights);
    }
}

/// What one step leaves behind does not reach the next: same memory or fresh, same gradients.
#[test]
fn a_step_leaves_nothing_behind() {
    for config in [everything(), one_hot()] {
        let model = lively_with(&config);
        let (mut workspace, mut used) =
            (Workspace::default(), Gradients::new(model.device(), model.catalogue()));
        let mut other = Batch::with_features(&config, &features());
        let more = Known::new(7, &[0, 4, 6, 4, 0, 1, 2, 3]);
        let last = Sequence { items: &[10, 11], labels: &[2, 5, 2, 5], numbers: &[] };
        other.fill_training(&[more.sequence(), last], &[]);
        for (batch, step) in [(&other, 0), (&batch(&config, WHOLE), 1), (&other, 2)] {
            let context = StepContext { seed: 3, step };
            let loss = model.gradients(batch, context, &mut workspace, &mut used).expect("fits");
            let (fresh_loss, fresh) = loss_and_gradients(&model, batch, step);
            assert_eq!(loss.to_bits(), fresh_loss.to_bits());
            let tensors = used.values().iter().zip(fresh.values().iter());
            for (spec, (used, fresh)) in model.catalogue().iter().zip(tensors) {
                assert_same_bits(&spec.name, used.view(), fresh.view());
            }
        }
    }
}

/// The sum by hand: where every item comes once, a model without features has the same loss whose item
/// vectors hold what the features add.
#[test]
fn features_are_added_to_the_item_that_they_belong_to() {
    let known = [Known::new(0, &[2, 7, 4, 11, 3]), Known::new(1, &[5, 12, 9, 1])];
    let sequences: Vec<Sequence<'_>> = known.iter().map(Known::sequence).collect();
    for config in [ModelConfig { output: Output::Free, ..plain() }, one_hot()] {
        let model = lively_with(&config);
        let mut with = Batch::with_features(&config, &features());
        with.fill_training(&sequences, &[]);
        let mut items = Batch::new(&config);
        items.fill_training(&sequences.iter().map(|s| s.items).collect::<Vec<_>>(), &[]);

        let mut by_hand = lively_model(&config);
        let [from, to] = [model.parameters().clone(), by_hand.parameters().clone()];
        assert!(to.iter().zip(from.iter()).all(|(to, from)| to == from), "the features come last");
        let params = by_hand.parameters_mut();
        let table = params.embedding.as_mut().unwrap_or(&mut params.recurrent[0].w_x);
        let learned = &model.parameters().features;
        let w = learned.numbers.as_ref().expect("numbers");
        let p = learned.vectors.as_ref().expect("vectors");
        let given = vectors();
        for sequence in &sequences {
            for (t, &item) in sequence.items.iter().enumerate() {
                let event = sequence.cut(t..t + 1);
                for (e, entry) in table.row_mut(item as usize).iter_mut().enumerate() {
                    let labels = learned.labels.iter().zip(event.labels);
                    *entry += labels.map(|(f, &label)| f.row(label as usize)[e]).sum::<f64>();
                    let numbers = w.row(e).iter().zip(event.numbers);
                    *entry += numbers.map(|(w, &n)| w * f64::from(n)).sum::<f64>();
                    let given = p.row(e).iter().zip(&given[5 * item as usize..]);
                    *entry += given.map(|(p, &v)| p * f64::from(v)).sum::<f64>();
                }
            }
        }
        let (found, _) = loss_and_gradients(&model, &with, 0);
        let (expected, _) = loss_and_gradients(&by_hand, &items, 0);
        assert!((found - expected).abs() < 1e-12 * expected, "{found}, not {expected}");
    }
}

/// Training and answers see the same: the loss is that of the scores.
#[test]
fn answers_see_what_training_sees() {
    let quiet = ModelConfig { dropout: Dropout::default(), ..everything() };
    for config in [quiet, one_hot()] {
        let model = lively_with(&config);
        let (loss, _) = loss_and_gradients(&model, &batch(&config, WHOLE), 0);
        let (mut sum, mut weights) = (0.0, 0.0);
        for (known, weight) in sessions().iter().zip(WEIGHTS.map(f64::from)) {
            let mut batch = Batch::with_features(&config, &features());
            let prefix = known.sequence().cut(0..known.items.len() - 1);
            batch.fill_prefixes(&[prefix], Wanted::Every);
            let score = Scorer::new(&model).score(&batch, |first, scores| {
                for row in 0..scores.rows() {
                    let scores = scores.row(row).iter().copied().map(f64::from);
                    let target = known.items[first + row + 1] as usize;
                    let all = scores.clone().map(f64::exp).sum::<f64>().ln();
                    sum += weight * (all - scores.clone().nth(target).expect("an item"));
                    weights += weight;
                }
            });
            score.expect("known items");
        }
        let expected = sum / weights;
        assert!((loss - expected).abs() < 1e-6 * expected, "loss {loss}, not {expected}");
    }
}

/// A model whose features start at zero, and of whose sessions no more is known than their items, makes
/// the step of the model without them.
#[test]
fn without_a_word_about_events_nothing_changes() {
    for config in [plain(), everything(), one_hot()] {
        let mut model = lively_with(&config);
        let FeatureParameters { labels, numbers, vectors } = &mut model.parameters_mut().features;
        for tensor in labels.iter_mut().chain(numbers).chain(vectors) {
            tensor.as_mut_slice().fill(0.0);
        }
        let mut batch = Batch::with_features(&config, &features());
        batch.fill_training(&SESSIONS, &WEIGHTS);
        let (loss, gradients) = loss_and_gradients(&model, &batch, 1);
        let (expected_loss, expected) =
            loss_and_gradients(&lively_model(&config), &training_batch(&config), 1);
        assert_eq!(loss.to_bits(), expected_loss.to_bits());
        let tensors = expected.values().iter().zip(gradients.values().iter());
        for (spec, (expected, found)) in model.catalogue().iter().zip(tensors) {
            assert_same_bits(&spec.name, found.view(), expected.view());
        }
        let prefixes = [&SESSIONS[0][..3], SESSIONS[1]];
        let expected = answers(&lively_model(&config), &prefixes, Wanted::Every);
        let sequences = prefixes.map(Sequence::from);
        assert_eq!(answers(&model, &sequences, Wanted::Every), expected);
    }
}

/// A new model with features begins as the one without, with the same random numbers.
#[test]
fn a_new_model_begins_as_the_one_without() {
    let device = Reference::<f32>::new();
    for config in [everything(), ModelConfig { layers: 2, ..one_hot() }] {
        let with = Model::new(device, &config, inputs(), 5).expect("valid");
        let with = with.with_vectors(&vectors()).expect("one an item");
        let without = Model::new(device, &config, ITEMS, 5).expect("valid");
        let known = sessions();
        let sequences: Vec<Sequence<'_>> = known.iter().map(Known::sequence).collect();
        let items: Vec<&[u32]> = known.iter().map(|known| &known.items[..]).collect();
        let found = answers(&with, &sequences, Wanted::Every);
        assert_eq!(found, answers(&without, &items, Wanted::Every));
        let count = without.catalogue().iter().count();
        assert_eq!(with.catalogue().iter().count(), count + 4);
        assert!(with.parameters().iter().zip(without.parameters().iter()).all(|(a, b)| a == b));
    }
}

/// A model on a machine with weights that the answers feel.
fn felt<D: Device>(device: D, config: &ModelConfig) -> Model<D> {
    let mut model = Model::new(device.clone(), config, inputs(), 5).expect("valid");
    let specs = model.catalogue().clone();
    for (k, (spec, tensor)) in specs.iter().zip(model.parameters_mut().iter_mut()).enumerate() {
        if spec.name.starts_with("features.") {
            let [rows, columns] = spec.shape;
            let entry = |e: usize| (1.3 * e as f32 + k as f32).sin();
            let values: Vec<f32> = (0..rows * columns).map(entry).collect();
            device.upload(tensor, rows, columns, &values);
        }
    }
    model.with_vectors(&vectors()).expect("one an item")
}

/// Changing the labels, the numbers or the items of later events leaves the answer at a position as it was; each
/// change by itself is seen where it happens.
fn nothing_sees_the_future<D: Device>(device: D) {
    let known = Known::new(0, &[5, 12, 3, 5, 0, 7, 7]);
    let zoned = Dropout { zoneout_c: 0.3, zoneout_h: 0.2, ..everything().dropout };
    let two_layers = ModelConfig { layers: 2, dropout: zoned, ..everything() };
    let mean = ModelConfig { running_mean: true, ..one_hot() };
    for config in [plain(), two_layers, one_hot(), mean] {
        let model = felt(device.clone(), &config);
        let whole = answers(&model, &[known.sequence()], Wanted::Every);
        for t in 0..known.items.len() {
            let mut labels = known.labels.clone();
            labels[2 * (t + 1)..].iter_mut().for_each(|label| *label = (*label + 1) % 3);
            let mut numbers = known.numbers.clone();
            numbers[3 * (t + 1)..].iter_mut().for_each(|number| *number += 0.5);
            let mut items = known.items.clone();
            items[t + 1..].iter_mut().for_each(|item| *item = (*item + 1) % ITEMS as u32);
            let changes = [
                Sequence { items: &items, ..known.sequence() },
                Sequence { labels: &labels, ..known.sequence() },
                Sequence { numbers: &numbers, ..known.sequence() },
            ];
            for changed in changes {
                let changed = answers(&model, &[changed], Wanted::Every);
                assert_eq!(changed[..=t], whole[..=t], "what is known after {t} is changed");
                for later in t + 1..known.items.len() {
                    assert_ne!(changed[later], whole[later], "a change is seen at {later}");
                }
            }
            let cut = answers(&model, &[known.sequence().cut(0..t + 1)], Wanted::Every);
            assert_eq!(cut[..], whole[..=t], "events after {t} are missing");
        }
    }
}

/// The same prefix has the same answer, to the last bit, alone, in any company, and event by event.
fn no_answer_depends_on_another<D: Device>(device: D) {
    let known: Vec<Known> = (0..70u32)
        .map(|k| {
            let items: Vec<u32> = (0..1 + k % 9).map(|t| (k * 7 + t * 5) % 13).collect();
            Known::new(k as usize, &items)
        })
        .collect();
    let all: Vec<Sequence<'_>> = known.iter().map(Known::sequence).collect();
    for config in [plain(), everything(), one_hot()] {
        let model = felt(device.clone(), &config);
        let every = answers(&model, &all, Wanted::Every);
        for (k, sequence) in all.iter().enumerate() {
            let alone = &answers(&model, &[*sequence], Wanted::Last)[0];
            let origin = (k as u32, sequence.len() as u32 - 1);
            let found = every.iter().find(|(place, _)| *place == origin).expect("asked for");
            assert!(alone.1 == found.1, "prefix {k} in company");
        }
        if config.looks_back().is_some() {
            continue;
        }
        let (mut scorer, mut batch) =
            (Scorer::new(&model), Batch::with_features(&config, &features()));
        let longest = all.iter().position(|sequence| sequence.len() == 9).expect("one of nine");
        for t in 0..9 {
            batch.fill_prefixes(&[all[longest].cut(t..t + 1)], Wanted::Last);
            batch.keep_states();
            if t > 0 {
                batch.go_on();
            }
            let picture = scorer.represent(&batch).expect("states of the event before");
            let origin = (longest as u32, t as u32);
            let whole = every.iter().find(|(place, _)| *place == origin).expect("asked for");
            let bits: Vec<u32> = picture.iter().map(|x| x.to_bits()).collect();
            assert_eq!(whole.1[..bits.len()], bits, "event {t} by itself");
        }
    }
}

#[test]
fn nothing_sees_the_future_on_the_reference() {
    nothing_sees_the_future(Reference::<f32>::new());
}

#[test]
fn nothing_sees_the_future_on_the_cpu() {
    nothing_sees_the_future(Cpu::new(2).expect("two threads"));
}

#[test]
fn no_answer_depends_on_another_on_the_reference() {
    no_answer_depends_on_another(Reference::<f32>::new());
}

#[test]
fn no_answer_depends_on_another_on_the_cpu() {
    no_answer_depends_on_another(Cpu::new(2).expect("two threads"));
}

/// A label that is missing is label 0, and that has a row like any other.
#[test]
fn a_missing_label_has_a_row_of_its_own() {
    let items: &[u32] = &[5, 12, 3];
    for config in [plain(), one_hot()] {
        let mut model = felt(Reference::<f32>::new(), &config);
        let nothing = answers(&model, &[Sequence::from(items)], Wanted::Every);
        let zeros = Sequence { items, labels: &[0; 6], numbers: &[0.0; 9] };
        assert_eq!(answers(&model, &[zeros], Wanted::Every), nothing);
        let others = Sequence { labels: &[1, 0, 1, 0, 1, 0], ..zeros };
        let other = answers(&model, &[others], Wanted::Every);
        assert!(other.iter().zip(&nothing).all(|(other, nothing)| other != nothing));
        model.parameters_mut().features.labels[1].row_mut(0)[1] += 0.5;
        let moved = answers(&model, &[Sequence::from(items)], Wanted::Every);
        assert!(moved.iter().zip(&nothing).all(|(moved, nothing)| moved != nothing));
    }
}

/// Attention and scores look at items: where the states say nothing, features say nothing.
#[test]
fn the_readout_sees_items_alone() {
    fn deaf(mut model: Model<Reference<f32>>) -> Model<Reference<f32>> {
        let readout = &mut model.parameters_mut().readout;
        readout.w_h.as_mut().expect("a projection").as_mut_slice().fill(0.0);
        let attention = readout.attention.as_mut().expect("attention");
        attention.query.as_mut_slice().fill(0.0);
        model
    }
    let (device, known) = (Reference::<f32>::new(), Known::new(0, &[5, 12, 3, 5]));
    let with = deaf(felt(device, &everything()));
    let without = deaf(Model::new(device, &everything(), ITEMS, 5).expect("valid"));
    let found = answers(&with, &[known.sequence()], Wanted::Every);
    assert_eq!(found, answers(&without, &[&known.items[..]], Wanted::Every));
}
