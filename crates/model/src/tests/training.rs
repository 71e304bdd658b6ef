//! Training steps: what they learn, what they leave alone, what they refuse.

use layout::{Keep, Matrix};

use super::*;
use crate::{BatchError, Reference, Scorer, TrainingError, Wanted};

#[test]
fn walks_are_learned() {
    for config in [rich(), ModelConfig { loss: Loss::default(), ..rich() }, one_hot()] {
        let mut trainer = trainer(cpu(), &ModelConfig { dropout: Dropout::default(), ..config });
        let losses = train(&mut trainer, 300);
        // Only the first step of a walk is a guess between two, and smoothing takes its share.
        assert!(losses[299] < 0.45 * losses[0], "{} to {}", losses[0], losses[299]);
    }
}

/// Judged by what a ranking is for: which item comes first.
#[test]
fn walks_are_learned_by_ranking() {
    for config in rankings() {
        let mut trainer = trainer(cpu(), &ModelConfig { dropout: Dropout::default(), ..config });
        let before = first_places(trainer.model());
        let losses = train(&mut trainer, 300);
        let (after, loss) = (first_places(trainer.model()), trainer.model().config().loss);
        assert!(losses[299] < losses[0], "{} to {} by {loss:?}", losses[0], losses[299]);
        assert!(before < 0.3 && after > 0.95, "{before} to {after} by {loss:?}");
    }
}

/// The share of walks whose fourth item has the best score after the first three.
fn first_places(model: &Model<Cpu>) -> f64 {
    let (mut first, mut all) = (0, 0);
    for (start, step) in (0..12).flat_map(|start| [(start, 1), (start, 11)]) {
        let walk: Vec<u32> = (0..4).map(|t| (start + t * step) % 12).collect();
        let mut batch = Batch::new(model.config());
        batch.fill_prefixes(&[&walk[..3]], Wanted::Last);
        let scored = Scorer::new(model).score(&batch, |_, scores| {
            let row = scores.row(0);
            let best = (0..ITEMS).max_by(|&a, &b| row[a].total_cmp(&row[b])).expect("items");
            first += usize::from(best as u32 == walk[3] % 12);
            all += 1;
        });
        scored.expect("known items");
    }
    f64::from(first as u32) / f64::from(all)
}

#[test]
fn walks_are_learned_by_every_optimiser() {
    let config = ModelConfig { dropout: Dropout::default(), ..rich() };
    for (optimizer, rate) in optimizers() {
        let losses = train_at(rate, &mut trainer_by(cpu(), &config, optimizer), 300);
        let (first, last) = (losses[0], losses[299]);
        assert!(last < 0.5 * first, "{first} to {last} by {optimizer:?}");
    }
}

#[test]
fn the_processor_trains_as_the_reference_does_by_every_optimiser() {
    for (optimizer, rate) in optimizers() {
        let exact = trainer_by(Reference::<f64>::new(), &rich(), optimizer);
        let exact = train_at(rate, &mut { exact }, 20);
        let fast = train_at(rate, &mut trainer_by(cpu(), &rich(), optimizer), 20);
        for (step, (exact, fast)) in exact.iter().zip(&fast).enumerate() {
            let error = (exact - fast).abs() / exact;
            assert!(error < 2e-4, "step {step}: {exact} in f64, {fast} here, {optimizer:?}");
        }
    }
}

#[test]
fn the_processor_trains_as_the_reference_does() {
    let mean = ModelConfig { running_mean: true, ..one_hot() };
    for config in [rich(), one_hot(), mean].into_iter().chain(rankings()) {
        let exact = train(&mut trainer(Reference::<f64>::new(), &config), 20);
        let fast = train(&mut trainer(cpu(), &config), 20);
        for (step, (exact, fast)) in exact.iter().zip(&fast).enumerate() {
            let error = (exact - fast).abs() / exact;
            assert!(error < 2e-4, "step {step}: {exact} in f64, {fast} on the processor");
        }
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    for config in [rich(), one_hot()].into_iter().chain(rankings()) {
        let weights = [1, 2, 7].map(|threads| {
            let mut trainer = trainer(Cpu::new(threads).expect("threads"), &config);
            train(&mut trainer, 5);
            bits(trainer.model())
        });
        assert_eq!(weights[0], weights[1]);
        assert_eq!(weights[0], weights[2]);
    }
}

#[test]
fn threads_do_not_change_a_bit_of_any_optimiser() {
    for (optimizer, rate) in optimizers() {
        let weights = [1, 2, 7].map(|threads| {
            let device = Cpu::new(threads).expect("threads");
            let mut trainer = trainer_by(device, &rich(), optimizer);
            train_at(rate, &mut trainer, 5);
            bits(trainer.model())
        });
        assert_eq!(weights[0], weights[1], "{optimizer:?}");
        assert_eq!(weights[0], weights[2], "{optimizer:?}");
    }
}

#[test]
fn what_the_tapes_keep_does_not_change_a_bit() {
    for config in [rich(), one_hot()] {
        let weights = [Keep::Gates, Keep::States].map(|keep| {
            let mut trainer = trainer(cpu(), &config);
            trainer.keep(keep);
            train(&mut trainer, 5);
            bits(trainer.model())
        });
        assert_eq!(weights[0], weights[1]);
    }
}

/// Rows that a step does not reach stay as they are where updates are sparse, and move on by their
/// momentum where they are dense. Without a memory of that kind, dense moves no row more.
#[test]
fn sparse_updates_leave_other_rows_alone() {
    let config = ModelConfig { loss: Loss { frequent: 2, drawn: 1, ..Loss::default() }, ..rich() };
    let moved = |optimizer, rate| {
        let mut trainer = trainer_by(Reference::<f32>::new(), &config, optimizer);
        train_at(rate, &mut trainer, 3);
        let before = trainer.model().parameters().embedding.clone().expect("an embedding");
        let mut small = Batch::new(&config);
        small.fill_training(&[&[2, 3]], &[]);
        trainer.step(&small, rate).expect("finite");
        let after = trainer.model().parameters().embedding.as_ref().expect("an embedding");
        (0..ITEMS).filter(|&row| before.row(row) != after.row(row)).count()
    };
    for (optimizer, rate) in optimizers() {
        let reached = moved(OptimizerConfig { sparse: true, ..optimizer }, rate);
        assert!((4..=5).contains(&reached), "0, 1, 2, 3 and the drawn one, not {reached}");
        let dense = moved(OptimizerConfig { sparse: false, ..optimizer }, rate);
        let adam = optimizer.kind == OptimizerKind::Adam;
        let goes_on = adam || optimizer.momentum > 0.0 || optimizer.l2 > 0.0;
        assert_eq!(dense, if goes_on { ITEMS } else { reached }, "{optimizer:?}");
    }
}

#[test]
fn clipping_shortens_the_gradient_but_not_the_report() {
    let model = Model::new(Reference::<f64>::new(), &one_hot(), ITEMS, 3).expect("valid");
    let step = |clip_norm| {
        // With this ε, Adam's first step is nearly proportional to the gradient.
        let config = OptimizerConfig { clip_norm, epsilon: 1.0, ..OptimizerConfig::default() };
        let mut trainer = Trainer::new(model.clone(), config, 3).expect("valid");
        let report = trainer.step(&walks(model.config()), 0.01).expect("finite");
        (report.gradient_norm, bits(trainer.model()))
    };
    let (free, clipped, loose) = (step(0.0), step(1e-3), step(1e6));
    assert_eq!(free, loose);
    assert_eq!(free.0, clipped.0);
    assert_ne!(free.1, clipped.1);
}

#[test]
fn averages_are_the_mean_of_the_weights() {
    let mut trainer = trainer(Reference::<f64>::new(), &rich());
    assert!(trainer.averaged().is_none());
    let mut sum = Matrix::<f64>::zeros(ITEMS, 6);
    for _ in 0..4 {
        train(&mut trainer, 1);
        trainer.average();
        let weights = trainer.model().parameters().embedding.as_ref().expect("an embedding");
        let entries = sum.as_mut_slice().iter_mut().zip(weights.as_slice());
        entries.for_each(|(sum, weight)| *sum += weight / 4.0);
    }
    let averaged = trainer.averaged().expect("four states");
    let mean = averaged.parameters().embedding.as_ref().expect("an embedding");
    for (mean, expected) in mean.as_slice().iter().zip(sum.as_slice()) {
        // Shares such as 1/3 are rounded to f32.
        assert!((mean - expected).abs() < 1e-7, "{mean}, not {expected}");
    }
}

#[test]
fn a_number_that_is_not_finite_is_named() {
    let mut broken = trainer(Reference::<f32>::new(), &rich());
    train(&mut broken, 2);
    broken.model.parameters_mut().recurrent[1].w_h.as_mut_slice()[3] = f32::NAN;
    let before = bits(broken.model());
    let error = broken.step(&walks(&rich()), 0.02).unwrap_err();
    let TrainingError::NotFinite(error) = error else { panic!("{error}") };
    assert_eq!((error.tensor.as_str(), error.step), ("lstm.weight_hh_l1", 2));
    assert_eq!(bits(broken.model()), before, "the weights are left alone");
}

#[test]
fn batches_that_do_not_fit_are_refused() {
    let mut trainer = trainer(Reference::<f32>::new(), &rich());
    let mut batch = Batch::new(&rich());
    batch.fill_training(&[&[0, 12]], &[]);
    let outside = TrainingError::Batch(BatchError::Item { item: 12, items: ITEMS });
    assert_eq!(trainer.step(&batch, 0.02).unwrap_err(), outside);
    for (sessions, weights) in [(&[][..], &[][..]), (&[&[1][..]], &[1.0]), (&[&[1, 2]], &[0.0])] {
        batch.fill_training(sessions, weights);
        let error = trainer.step(&batch, 0.02).unwrap_err();
        assert_eq!(error, TrainingError::Batch(BatchError::Empty));
    }
    batch.fill_prefixes(&[&[3, 40]], Wanted::Last);
    let mut scorer = Scorer::new(trainer.model());
    let outside = BatchError::Item { item: 40, items: ITEMS };
    assert_eq!(scorer.represent(&batch), Err(outside));
    assert_eq!(scorer.score(&batch, |_, _| panic!("nothing to see")), Err(outside));
}
