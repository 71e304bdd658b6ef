//! Looking into a model: gradients with respect to what enters are slopes, attributions add up to the
//! difference that they explain, nothing is owed to the future, and gates are those of the equations.

#[allow(dead_code)]
mod models;

use layout::Matrix;
use model::{
    Activation, Along, Answer, AnswerLoss, Answers, Attribution, Baseline, Batch, BatchError,
    CellKind, Cpu, Cuts, Device, Dropout, Features, Inputs, Labels, Model, ModelConfig, Output,
    Probe, Question, Reference, Sequence, Sought, Wanted,
};
use models::{Exact, ITEMS, everything, lively, loss_and_gradients, one_hot, plain};

/// No item comes twice, so that the row of an item is moved at one position alone.
const SESSIONS: [&[u32]; 3] = [&[2, 7, 0, 11], &[5, 12, 9], &[1, 10]];

/// One question a session: of session 0 before its end.
const ASKED: [(u32, u32); 3] = [(0, 2), (1, 2), (2, 1)];

const MOMENTS: [[f32; 2]; 3] = [[0.5, -1.5], [2.0, 0.25], [-0.75, 1.0]];

const FINE: Cuts = Cuts { steps: 96, halvings: 0, parts: 96 };

/// What each question looks for.
const SOUGHT: [u32; 3] = [4, 9, 6];

fn inputs() -> Inputs {
    let answer = |name: &str, outputs, loss| Answer {
        name: name.to_owned(),
        outputs,
        moment: ["pause", "money"].map(str::to_owned).to_vec(),
        weight: 1.0,
        loss,
    };
    let answers = vec![
        answer("buys", 1, AnswerLoss::Binary { positive: 1.0 }),
        answer("kind", 3, AnswerLoss::Classes { weights: vec![] }),
    ];
    Inputs { items: ITEMS, answers: Answers { next_item: true, answers }, ..Inputs::default() }
}

/// What is looked at: an answer and its class, or items.
#[derive(Clone, Copy)]
enum Look {
    Answer(usize, usize),
    Items,
}

fn ask(batch: &mut Batch, answer: usize, place: usize, truth: f32) {
    let (session, event) = ASKED[place];
    let moment = &MOMENTS[place];
    let question = Question { session, event, moment, truth, weight: 1.0 };
    assert!(batch.ask(answer, &question));
}

fn prefixes<D: Device>(model: &Model<D>, look: Look) -> Batch {
    let mut batch = Batch::with_features(model.config(), model.features());
    batch.fill_prefixes(&SESSIONS, Wanted::Every);
    if let Look::Answer(answer, _) = look {
        (0..ASKED.len()).for_each(|place| ask(&mut batch, answer, place, 0.0));
    }
    batch
}

fn items() -> [(u32, u32, u32); 3] {
    [0, 1, 2].map(|k| (ASKED[k].0, ASKED[k].1, SOUGHT[k]))
}

fn with_sought<T>(look: Look, f: impl FnOnce(&Sought<'_>) -> T) -> T {
    match look {
        Look::Answer(answer, class) => f(&Sought::Answer { answer, class }),
        Look::Items => f(&Sought::Items(&items())),
    }
}

/// The logit of one question in f64, out of the losses of a model that is told one truth or another.
fn logit(model: &Model<Exact>, look: Look, place: usize) -> f64 {
    let loss = |next_item: bool, truth: f32| {
        let mut batch = Batch::with_features(model.config(), model.features());
        let mut sessions = SESSIONS.map(<[u32]>::to_vec);
        let (session, event) = ASKED[place];
        if next_item {
            // The item that is looked for is the one that comes.
            let session = &mut sessions[session as usize];
            session.truncate(event as usize + 1);
            session.push(SOUGHT[place]);
        }
        let sessions: Vec<&[u32]> = sessions.iter().map(Vec::as_slice).collect();
        batch.fill_events(&sessions, |s, e| f32::from(next_item && (s, e) == (session, event)));
        if let Look::Answer(answer, _) = look {
            ask(&mut batch, answer, place, truth);
        }
        loss_and_gradients(model, &batch, 0).0
    };
    // −ln p to ln p/(1 − p).
    let odds = |loss: f64| -loss - (-(-loss).exp()).ln_1p();
    match look {
        Look::Answer(0, _) => loss(false, 0.0) - loss(false, 1.0),
        Look::Answer(_, class) => odds(loss(false, class as f32)),
        Look::Items => odds(loss(true, 0.0)),
    }
}

/// Holds the gradient with respect to what enters against central differences of the rows of items. The
/// output has a table of its own, so that the rows enter and do nothing else.
fn check_slopes(config: &ModelConfig, look: Look) {
    let config = ModelConfig { output: Output::Free, ..config.clone() };
    let mut model = lively(&config, inputs());
    // Where a class is all but certain, its loss says little of its logit.
    for answer in &mut model.parameters_mut().answers {
        for weights in [&mut answer.w_z, &mut answer.w_s] {
            weights.as_mut_slice().iter_mut().for_each(|weight| *weight *= 0.25);
        }
    }
    let batch = prefixes(&model, look);
    let mut probe = Probe::new(&model);
    let baseline = Baseline::default();
    let along = Along { share: 1.0, baseline: &baseline };
    let found = with_sought(look, |sought| {
        model.input_gradients(&batch, sought, along, &mut probe).expect("a batch that fits")
    });
    for (place, z) in found.outputs.iter().enumerate() {
        let expected = logit(&model, look, place);
        assert!((z - expected).abs() < 1e-5, "logit {place}: {z} and {expected}");
    }
    let table = |model: &Model<Exact>| -> Matrix<f64> {
        let parameters = model.parameters();
        parameters.embedding.as_ref().unwrap_or(&parameters.recurrent[0].w_x).clone()
    };
    let mut expected = table(&model);
    expected.as_mut_slice().fill(0.0);
    for (p, &id) in batch.ids().iter().enumerate() {
        let row = expected.row_mut(id as usize);
        row.copy_from_slice(found.gradient.row(p));
        if let Some((_, gradient)) = found.items {
            row.iter_mut().zip(gradient.row(p)).for_each(|(sum, &own)| *sum += own);
        }
    }
    // Slopes of classes are made of outputs in 32 bits.
    let allowance = if matches!(look, Look::Answer(0, _)) { 1e-9 } else { 1e-6 };
    let step = f64::EPSILON.cbrt();
    let mut felt = 0.0f64;
    for e in 0..expected.as_slice().len() {
        let moved = |by: f64| -> f64 {
            let mut model = model.clone();
            let parameters = model.parameters_mut();
            let table = parameters.embedding.as_mut().unwrap_or(&mut parameters.recurrent[0].w_x);
            table.as_mut_slice()[e] += by;
            (0..ASKED.len()).map(|place| logit(&model, look, place)).sum()
        };
        let numeric = (moved(step) - moved(-step)) / (2.0 * step);
        let analytic = expected.as_slice()[e];
        let error = (analytic - numeric).abs() / 1f64.max(analytic.abs());
        assert!(error < allowance, "entry {e}: analytic {analytic:e}, numeric {numeric:e}");
        felt = felt.max(numeric.abs());
    }
    assert!(felt > 1e-4, "nothing that enters is felt");
}

#[test]
fn gradients_of_answers_are_slopes() {
    for look in [Look::Answer(0, 0), Look::Answer(1, 2)] {
        check_slopes(&plain(), look);
        check_slopes(&one_hot(), look);
        let answer_head = vec![5, 2];
        let head_activation = Activation::Tanh;
        let residual = true;
        let deep = ModelConfig { answer_head, head_activation, layers: 2, residual, ..plain() };
        check_slopes(&deep, look);
    }
    for cell in ["gru", "rnn", "lstm+peephole", "lstm+coupled+projection"] {
        let cell: CellKind = cell.parse().expect("a cell");
        check_slopes(&ModelConfig { cell, ..plain() }, Look::Answer(1, 0));
    }
}

#[test]
fn gradients_of_items_are_slopes() {
    check_slopes(&plain(), Look::Items);
    check_slopes(&ModelConfig { repeat_lags: 3, ..one_hot() }, Look::Items);
    let head = ModelConfig { head: vec![6], temperature: 2.5, output_bias: true, ..plain() };
    check_slopes(&head, Look::Items);
    // Attention sees the items a second time.
    let dropout = Dropout::default();
    check_slopes(&ModelConfig { input_scale: 0.0, dropout, ..everything() }, Look::Items);
}

/// Positions of each session and all numbers of its moment add up to z(x) − z(b).
fn residuals(found: &Attribution, batch: &Batch) -> Vec<f64> {
    let mut sums = vec![0.0; ASKED.len()];
    for (&(session, event), &own) in batch.origins().iter().zip(&found.positions) {
        sums[session as usize] += own;
        let later = event > ASKED[session as usize].1;
        assert!(!later || own == 0.0, "event {event} of session {session} is yet to come: {own}");
    }
    let width = found.moment.len() / ASKED.len();
    for (place, sum) in sums.iter_mut().enumerate() {
        *sum += found.moment[place * width..][..width].iter().sum::<f64>();
    }
    sums.iter()
        .zip(found.outputs.iter().zip(&found.baseline))
        .map(|(sum, (z, b))| sum - (z - b))
        .collect()
}

fn integrate<D: Device>(
    model: &Model<D>,
    baseline: &Baseline,
    look: Look,
    cuts: Cuts,
) -> (Attribution, f64) {
    let batch = prefixes(model, look);
    let mut probe = Probe::new(model);
    let found = with_sought(look, |sought| {
        model.integrated_gradients(&batch, sought, baseline, cuts, &mut probe).expect("it fits")
    });
    let worst = residuals(&found, &batch).iter().fold(0.0, |worst: f64, x| worst.max(x.abs()));
    (found, worst)
}

#[test]
fn attributions_add_up_to_what_they_explain() {
    let scaled = ModelConfig { input_scale: 1.5, temperature: 2.5, repeat_lags: 3, ..plain() };
    let looks = [Look::Answer(0, 0), Look::Answer(1, 2), Look::Items];
    for config in [plain(), one_hot(), scaled, everything()] {
        let model = lively(&config, inputs());
        let mut probe = Probe::new(&model);
        let mean = model.mean_input(&prefixes(&model, Look::Items), &mut probe).expect("it fits");
        for look in looks {
            for baseline in [&Baseline::default(), &mean] {
                let (found, worst) = integrate(&model, baseline, look, FINE);
                let moved =
                    found.outputs.iter().zip(&found.baseline).any(|(z, b)| (z - b).abs() > 0.1);
                assert!(moved && worst < 2e-5, "residual {worst:.1e} of {found:?}");
            }
        }
    }
}

/// Where an output bends, few parts of the path leave more, and parts that are halved there leave little.
#[test]
fn the_path_is_cut_where_the_output_bends() {
    let config = ModelConfig { input_scale: 9.0, temperature: 8.0, ..plain() };
    let model = lively(&config, inputs());
    let baseline = Baseline::default();
    let left = |steps, halvings| {
        integrate(&model, &baseline, Look::Items, Cuts { steps, halvings, parts: 4096 }).1
    };
    let (few, halved) = (left(1, 0), left(1, 14));
    assert!(few > 0.05 && halved < 3e-3, "{few} and {halved}");
    // Where no more halving is allowed, shares are stretched to what is missed, and that is told.
    let coarse = Cuts { steps: 1, halvings: 2, parts: 4096 };
    let (found, worst) = integrate(&model, &baseline, Look::Items, coarse);
    assert!(worst < 3e-3 && found.jumps.iter().any(|&jump| jump != 0.0), "{worst} {found:?}");
}

/// The same numbers on another machine, and features have a share in what enters.
#[test]
fn machines_agree_and_features_count() {
    let labels = Labels { name: "kind".to_owned(), size: 3 };
    let features = Features { labels: vec![labels], numbers: vec!["price".to_owned()], vectors: 0 };
    let inputs = Inputs { features, ..inputs() };
    let model = lively(&plain(), inputs.clone());
    let mut fast = Model::new(Cpu::new(2).expect("threads"), &plain(), inputs, 1)
        .expect("a valid configuration");
    for (to, from) in fast.parameters_mut().iter_mut().zip(model.parameters().iter()) {
        let values = from.as_slice().iter().map(|&x| x as f32);
        to.as_mut_slice().iter_mut().zip(values).for_each(|(to, from)| *to = from);
    }
    let kinds: [u32; 4] = [1, 2, 0, 1];
    let prices: [f32; 4] = [0.5, -1.0, 0.25, 2.0];
    let known = SESSIONS.map(|items| (items, &kinds[..items.len()], &prices[..items.len()]));
    let known = known.map(|(items, labels, numbers)| Sequence { items, labels, numbers });
    let mut batch = Batch::with_features(model.config(), model.features());
    batch.fill_prefixes(&known, Wanted::Every);
    (0..ASKED.len()).for_each(|place| ask(&mut batch, 0, place, 0.0));
    let (sought, baseline) = (Sought::Answer { answer: 0, class: 0 }, Baseline::default());
    let exact = model
        .integrated_gradients(&batch, &sought, &baseline, FINE, &mut Probe::new(&model))
        .expect("it fits");
    let found = fast
        .integrated_gradients(&batch, &sought, &baseline, FINE, &mut Probe::new(&fast))
        .expect("it fits");
    for (exact, found) in exact.positions.iter().zip(&found.positions) {
        assert!((exact - found).abs() < 1e-4, "{exact} and {found}");
    }
    let mut plainly = Batch::with_features(model.config(), model.features());
    plainly.fill_prefixes(&SESSIONS, Wanted::Every);
    (0..ASKED.len()).for_each(|place| ask(&mut plainly, 0, place, 0.0));
    let less = model
        .integrated_gradients(&plainly, &sought, &baseline, FINE, &mut Probe::new(&model))
        .expect("it fits");
    assert_ne!(exact.positions, less.positions);
}

/// Where every event is the mean event, none has anything to answer for.
#[test]
fn what_is_like_the_baseline_contributes_nothing() {
    let model = lively(&plain(), inputs());
    let mut batch = Batch::new(model.config());
    batch.fill_prefixes(&[&[3, 3, 3]], Wanted::Every);
    let mut probe = Probe::new(&model);
    let mean = model.mean_input(&batch, &mut probe).expect("it fits");
    let sought = [(0, 2, 5)];
    let found = model
        .integrated_gradients(&batch, &Sought::Items(&sought), &mean, FINE, &mut probe)
        .expect("it fits");
    assert!(found.positions.iter().all(|own| own.abs() < 1e-6), "{found:?}");
    assert!((found.outputs[0] - found.baseline[0]).abs() < 1e-6);
}

#[test]
fn gates_are_those_of_the_equations() {
    for cell in ["lstm", "lstm+peephole", "lstm+coupled", "gru", "lstm+layernorm", "rnn"] {
        let kind: CellKind = cell.parse().expect("a cell");
        let config = ModelConfig { cell: kind, layers: 2, hidden: 7, ..plain() };
        let model = lively(&config, inputs());
        let batch = prefixes(&model, Look::Items);
        let traces = model.trace(&batch, &mut Probe::new(&model)).expect("it fits");
        let [_, top] = &traces[..] else { panic!("two layers") };
        let positions = batch.ids().len();
        assert_eq!((top.units, top.h.len()), (7, 7 * positions));
        assert_eq!(top.gates.is_empty(), cell == "rnn");
        for (name, values) in &top.gates {
            let gate = values.iter().all(|&x| (0.0..=1.0).contains(&x));
            assert!(gate && values.len() == 7 * positions, "{name} of {cell}: {values:?}");
        }
        let gate = |name: &str| &top.gates.iter().find(|gate| gate.0 == name).expect("a gate").1;
        if ["lstm", "lstm+peephole", "lstm+coupled"].contains(&cell) {
            for (k, &h) in top.h.iter().enumerate() {
                let expected = gate("o")[k] * top.c[k].tanh();
                assert!((h - expected).abs() < 1e-6, "{cell}: h[{k}] is {h}, not {expected}");
            }
        }
        if cell == "lstm+coupled" {
            assert!(gate("i").iter().zip(gate("f")).all(|(i, f)| (i + f - 1.0).abs() < 1e-6));
        }
        let kept = top.keeping().map(<[f32]>::to_vec);
        assert_eq!(kept.is_some(), cell != "rnn");
        // On the fast machine as well.
        let mut fast = Model::new(Cpu::new(1).expect("threads"), &config, inputs(), 1)
            .expect("a configuration");
        for (to, from) in fast.parameters_mut().iter_mut().zip(model.parameters().iter()) {
            let values = from.as_slice().iter().map(|&x| x as f32);
            to.as_mut_slice().iter_mut().zip(values).for_each(|(to, from)| *to = from);
        }
        let fast = fast.trace(&batch, &mut Probe::new(&fast)).expect("it fits");
        let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4);
        for (fast, exact) in fast.iter().zip(&traces) {
            assert!(near(&fast.h, &exact.h) && near(&fast.c, &exact.c), "{cell}");
            for (fast, exact) in fast.gates.iter().zip(&exact.gates) {
                assert!(fast.0 == exact.0 && near(&fast.1, &exact.1), "{cell}: {}", exact.0);
            }
        }
    }
}

#[test]
fn questions_that_cannot_be_put_are_refused() {
    let model = lively(&plain(), inputs());
    let mut probe = Probe::new(&model);
    let baseline = Baseline::default();
    let mut refuse = |batch: &Batch, sought: Sought<'_>| {
        let along = Along { share: 1.0, baseline: &baseline };
        model.input_gradients(batch, &sought, along, &mut probe).expect_err("it does not fit")
    };
    let batch = prefixes(&model, Look::Answer(0, 0));
    assert_eq!(refuse(&batch, Sought::Answer { answer: 1, class: 0 }), BatchError::Sought(0));
    assert_eq!(refuse(&batch, Sought::Answer { answer: 0, class: 1 }), BatchError::Sought(0));
    let unknown = BatchError::Answer { answer: 2, answers: 2 };
    assert_eq!(refuse(&batch, Sought::Answer { answer: 2, class: 0 }), unknown);
    for (place, wrong) in [(0, 4, 1), (3, 0, 1), (0, 0, 99)].into_iter().enumerate() {
        let mut asked = items();
        asked[place] = wrong;
        assert_eq!(refuse(&batch, Sought::Items(&asked)), BatchError::Sought(place));
    }
    let mut last = Batch::new(model.config());
    last.fill_prefixes(&SESSIONS, Wanted::Last);
    assert_eq!(refuse(&last, Sought::Items(&items())), BatchError::Sought(0));
    let config = ModelConfig { running_mean: true, ..one_hot() };
    let model = Model::new(Reference::<f32>::new(), &config, inputs(), 1).expect("a configuration");
    let along = Along { share: 1.0, baseline: &baseline };
    let batch = prefixes(&model, Look::Items);
    let error = model
        .input_gradients(&batch, &Sought::Items(&items()), along, &mut Probe::new(&model))
        .expect_err("a mean belongs to nobody");
    assert!(error.to_string().contains("running_mean"), "{error}");
}
