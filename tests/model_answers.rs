//! What a model answers beside the next item: every analytic gradient is a slope, no answer sees the
//! future or another question, and the equation of a head is the one that is computed.

#[allow(dead_code)]
mod models;
mod slopes;

use layout::Matrix;
use model::{
    Activation, Answer, AnswerLoss, Answers, Batch, Cpu, Dropout, Gradients, Inputs, Model,
    ModelConfig, Output, Question, Reference, Scorer, Sequence, Wanted,
};
use models::{
    Exact, ITEMS, SESSIONS, WEIGHTS, everything, lively, loss_and_gradients, one_hot, plain,
};
use slopes::slopes;

/// One answer of each loss; they look at two numbers of the moment, at one, at none.
fn answers(next_item: bool) -> Answers {
    let classes = AnswerLoss::Classes { weights: vec![0.5, 2.0, 1.0] };
    let losses = [
        ("binary", AnswerLoss::Binary { positive: 2.5 }),
        ("focal", AnswerLoss::Focal { gamma: 1.5, alpha: 0.3 }),
        ("classes", classes),
        ("squared", AnswerLoss::Squared),
        ("huber", AnswerLoss::Huber { delta: 0.7 }),
        ("poisson", AnswerLoss::Poisson),
    ];
    let answer = |(k, (name, loss)): (usize, (&str, AnswerLoss))| Answer {
        name: name.to_owned(),
        outputs: if name == "classes" { 3 } else { 1 },
        moment: ["pause", "money"].map(str::to_owned)[k % 3..].to_vec(),
        weight: [0.4, 0.6, 0.25][k % 3],
        loss,
    };
    Answers { next_item, answers: losses.into_iter().enumerate().map(answer).collect() }
}

fn inputs(next_item: bool) -> Inputs {
    Inputs { items: ITEMS, answers: answers(next_item), ..Inputs::default() }
}

/// A few questions of each answer, some after the last event of a session, one that counts nothing, and
/// two after the same event.
fn ask(batch: &mut Batch, answers: &Answers) {
    let asked = [(0, 1), (0, 3), (1, 0), (1, 5), (1, 5), (3, 2), (2, 1)];
    for (k, answer) in answers.answers.iter().enumerate() {
        for (place, &(session, event)) in asked.iter().enumerate() {
            let moment = [0.3, 1.1].map(|p| (p + (3 * place + k) as f32).sin());
            let truth = match answer.outputs {
                1 => ((place + k) % 2) as f32,
                classes => ((place + k) % classes) as f32,
            };
            let weight = if place == 2 { 0.0 } else { 0.5 + place as f32 };
            let moment = &moment[..answer.moment.len()];
            let question = Question { session, event, moment, truth, weight };
            assert!(batch.ask(k, &question));
        }
    }
}

fn training(config: &ModelConfig, answers: &Answers) -> Batch {
    let mut batch = Batch::new(config);
    batch.fill_events(&SESSIONS, |session, _| WEIGHTS[session as usize]);
    ask(&mut batch, answers);
    batch
}

fn check(config: &ModelConfig, next_item: bool) -> Gradients<Matrix<f64>> {
    let batch = training(config, &answers(next_item));
    let mut model = lively(config, inputs(next_item));
    // The exponential of an answer bends so much at large outputs that differences do not follow.
    for answer in &mut model.parameters_mut().answers {
        for weights in [&mut answer.w_z, &mut answer.w_s] {
            weights.as_mut_slice().iter_mut().for_each(|weight| *weight *= 0.5);
        }
    }
    slopes(&model, |model| loss_and_gradients(model, &batch, 1))
}

#[test]
fn gradients_of_answers_alone() {
    check(&plain(), false);
    let dropout = Dropout { answers: 0.3, output: 0.2, input: 0.2, ..Dropout::default() };
    let deep = ModelConfig {
        answer_head: vec![5, 2],
        head_activation: Activation::Tanh,
        dropout,
        ..plain()
    };
    check(&deep, false);
    check(&one_hot(), false);
}

#[test]
fn gradients_beside_the_next_item() {
    check(&plain(), true);
    // The picture as the scores see it has another length than the one that the heads see.
    let other_length = ModelConfig { temperature: 2.5, repeat_lags: 3, layers: 2, ..plain() };
    let head_activation = Activation::Tanh;
    check(&ModelConfig { answer_head: vec![3], head_activation, ..other_length }, true);
    check(&ModelConfig { output: Output::Free, head: vec![6], ..plain() }, true);
}

/// A model that ranks nothing has no table of items to rank by, and learns only the vectors it has read.
#[test]
fn without_the_next_item_there_is_nothing_to_rank_by() {
    let config = ModelConfig { output: Output::Free, output_bias: true, repeat_lags: 2, ..plain() };
    let model = lively(&config, inputs(false));
    let parameters = model.parameters();
    let none = parameters.output.is_none() && parameters.output_bias.is_none();
    assert!(none && parameters.repeat_bias.is_none());
    let gradients = check(&plain(), false);
    let update = lively(&plain(), inputs(false)).catalogue().embedding.as_ref().unwrap().update;
    let read: std::collections::BTreeSet<u32> = SESSIONS.concat().into_iter().collect();
    assert_eq!(gradients.rows(update).unwrap(), read.into_iter().collect::<Vec<_>>());

    let mut batch = Batch::new(&config);
    batch.fill_prefixes(&SESSIONS, Wanted::Last);
    let error = Scorer::new(&model).best(&batch, 3, |_, _| ()).unwrap_err();
    assert!(error.to_string().contains("--task next-item"), "{error}");
}

/// The answers to some questions, in bits.
fn answered(
    model: &Model<Cpu>,
    sessions: &[&[u32]],
    wanted: Wanted,
    asked: &[(u32, u32)],
) -> Vec<Vec<u32>> {
    let mut batch = Batch::new(model.config());
    batch.fill_prefixes(sessions, wanted);
    for (k, answer) in model.answers().answers.iter().enumerate() {
        for &(session, event) in asked {
            let moment = &[0.5, event as f32][..answer.moment.len()];
            let question = Question { session, event, moment, truth: 0.0, weight: 0.0 };
            assert!(batch.ask(k, &question));
        }
    }
    let found = Scorer::new(model).answer(&batch).expect("known items");
    found.iter().map(|values| values.iter().map(|x| x.to_bits()).collect()).collect()
}

#[test]
fn no_answer_sees_the_future_or_another_question() {
    for config in [plain(), ModelConfig { answer_head: vec![17], ..everything() }] {
        let device = Cpu::new(2).expect("threads");
        let model = Model::new(device, &config, inputs(true), 3).expect("a model");
        let sessions: [&[u32]; 3] = [&[2, 7, 2, 11], &[5, 12, 12, 5, 9, 5], &[1, 10]];
        let alone = answered(&model, &[&sessions[1][..3]], Wanted::Last, &[(0, 2)]);
        let every = answered(&model, &[&sessions[1][..3]], Wanted::Every, &[(0, 2)]);
        assert_eq!(alone, every);
        let later = answered(&model, &[&[5, 12, 12, 3, 3, 3, 3]], Wanted::Every, &[(0, 2)]);
        assert_eq!(alone, later, "events after the question");
        let among = answered(&model, &sessions, Wanted::Every, &[(0, 3), (1, 2), (2, 1), (1, 5)]);
        for (answer, (alone, among)) in model.answers().answers.iter().zip(alone.iter().zip(among))
        {
            let width = answer.outputs;
            assert_eq!(alone[..], among[width..2 * width], "{}", answer.name);
        }
    }
}

/// z = w_z (q + w_m m) + w_s m, with m = [1, moment], through the link of its loss.
#[test]
fn a_head_is_what_its_equation_says() {
    let config = plain();
    let model = lively(&config, inputs(false));
    let mut batch = Batch::new(&config);
    batch.fill_prefixes(&SESSIONS, Wanted::Last);
    let mut scorer = Scorer::new(&model);
    let pictures = scorer.represent(&batch).expect("known items");
    let row = batch.origins().iter().position(|&(session, _)| session == 1).expect("session 1");
    let q: Vec<f64> = pictures[row * 4..][..4].iter().map(|&x| f64::from(x)).collect();
    let moment = [0.7, -0.4];
    for (k, answer) in model.answers().answers.iter().enumerate() {
        let moment = &moment[..answer.moment.len()];
        let question = Question { session: 1, event: 5, moment, truth: 0.0, weight: 0.0 };
        batch.ask(k, &question);
    }
    let found = scorer.answer(&batch).expect("known items");
    for (k, answer) in model.answers().answers.iter().enumerate() {
        let params = &model.parameters().answers[k];
        let m = [1.0, f64::from(moment[0]), f64::from(moment[1])];
        let m = &m[..1 + answer.moment.len()];
        let row = |w: &Matrix<f64>, r: usize, x: &[f64]| -> f64 {
            w.as_slice()[r * x.len()..][..x.len()].iter().zip(x).map(|(w, x)| w * x).sum()
        };
        let s: Vec<f64> = (0..4).map(|d| q[d] + row(&params.w_m, d, m)).collect();
        let z: Vec<f64> =
            (0..answer.outputs).map(|c| row(&params.w_z, c, &s) + row(&params.w_s, c, m)).collect();
        let sum: f64 = z.iter().map(|z| z.exp()).sum();
        let expected: Vec<f64> = z
            .iter()
            .map(|z| match answer.loss {
                AnswerLoss::Binary { .. } | AnswerLoss::Focal { .. } => 1.0 / (1.0 + (-z).exp()),
                AnswerLoss::Classes { .. } => z.exp() / sum,
                AnswerLoss::Poisson => z.exp(),
                AnswerLoss::Squared | AnswerLoss::Huber { .. } => *z,
            })
            .collect();
        for (found, expected) in found[k].iter().zip(expected) {
            let error = (f64::from(*found) - expected).abs();
            assert!(error < 1e-5 * (1.0 + expected.abs()), "{}: {found} {expected}", answer.name);
        }
    }
}

#[test]
fn questions_that_do_not_fit_are_refused() {
    let config = plain();
    let model = Model::new(Reference::<f32>::new(), &config, inputs(true), 3).expect("a model");
    let asked = |answer: usize, moment: &[f32], truth: f32| {
        let mut batch = Batch::new(&config);
        batch.fill_prefixes(&[Sequence::from(&[1, 2, 3])], Wanted::Last);
        let question = Question { session: 0, event: 2, moment, truth, weight: 1.0 };
        assert!(batch.ask(answer, &question));
        Scorer::new(&model).answer(&batch).map_err(|error| error.to_string())
    };
    assert!(asked(0, &[0.0, 1.0], 1.0).is_ok());
    assert!(asked(6, &[0.0, 1.0], 1.0).unwrap_err().contains("has 6 beside"));
    assert!(asked(0, &[0.0], 1.0).unwrap_err().contains("comes with 1 numbers"));
    assert!(asked(2, &[0.0, 1.0], 1.0).unwrap_err().contains("looks at 0"));
    assert!(asked(0, &[0.0, f32::NAN], 1.0).unwrap_err().contains("not finite"));
    assert!(asked(0, &[0.0, 1.0], f32::NAN).unwrap_err().contains("not finite"));
    assert!(asked(2, &[], 3.0).unwrap_err().contains("no such class"));

    let mut batch = Batch::new(&config);
    batch.fill_prefixes(&[Sequence::from(&[1, 2, 3])], Wanted::Last);
    let of =
        |session, event| Question { session, event, moment: &[0.0, 1.0], truth: 0.0, weight: 1.0 };
    assert!(!batch.ask(0, &of(0, 1)), "no position that is wanted");
    assert!(!batch.ask(0, &of(0, 3)), "no such event");
    assert!(!batch.ask(0, &of(1, 0)), "no such session");
}

/// A picture of the kind of thing that is asked, with what drops switched off, is the same on both
/// machines up to rounding.
#[test]
fn machines_agree() {
    let config = ModelConfig { answer_head: vec![9], ..everything() };
    let exact: Model<Exact> = lively(&config, inputs(true));
    let batch = training(&config, &answers(true));
    let expected = Scorer::new(&exact).answer(&batch).expect("known items");
    let device = Cpu::new(2).expect("threads");
    let mut fast = Model::new(device, &config, inputs(true), 1).expect("a model");
    for (to, from) in fast.parameters_mut().iter_mut().zip(exact.parameters().iter()) {
        for (to, &from) in to.as_mut_slice().iter_mut().zip(from.as_slice()) {
            *to = from as f32;
        }
    }
    let found = Scorer::new(&fast).answer(&batch).expect("known items");
    for (found, expected) in found.concat().iter().zip(expected.concat()) {
        assert!((found - expected).abs() < 1e-4 * (1.0 + expected.abs()), "{found} {expected}");
    }
}
