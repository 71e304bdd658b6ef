//! Runs made up so that one thing is wrong with each.

use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::metrics::Ranks;

/// Epochs with these training losses, and these values of validation.
fn history(losses: &[f64], values: &[f64]) -> Vec<EpochReport> {
    let mut best = f64::NEG_INFINITY;
    let epoch = |(k, &loss): (usize, &f64)| {
        let value = values.get(k).copied();
        let is_best = value.is_none_or(|value| value > best);
        best = value.map_or(best, |value| value.max(best));
        EpochReport {
            epoch: k + 1,
            steps: 10 * (k as u64 + 1),
            loss: Some(loss),
            learning_rate: 0.01,
            seconds: 1.0,
            events_per_s: 1.0,
            best: is_best,
            value,
            ended: 0.0,
            validation: None,
            losses: BTreeMap::new(),
        }
    };
    losses.iter().enumerate().map(epoch).collect()
}

/// What is said of such a run.
fn said(losses: &[f64], values: &[f64]) -> Vec<Doubt> {
    let history = history(losses, values);
    let best = history.iter().rev().find(|report| report.best).map_or(1, |report| report.epoch);
    of(&Evidence {
        history: &history,
        points: &[],
        best_epoch: best,
        stopped_early: false,
        learning_rate: 0.01,
        validation: None,
        tasks: &Value::Null,
    })
}

fn kinds(doubts: &[Doubt]) -> Vec<&str> {
    doubts.iter().map(|doubt| doubt.kind).collect()
}

fn figures(ranks: &[usize], unknown: usize) -> Metrics {
    let mut all = Ranks::default();
    ranks.iter().for_each(|&rank| all.add(rank));
    (0..unknown).for_each(|_| all.add_unknown());
    all.metrics()
}

#[test]
fn a_good_run_is_left_alone() {
    assert_eq!(said(&[5.0, 4.0, 3.5, 3.4], &[0.30, 0.40, 0.43, 0.431]), []);
    assert_eq!(said(&[5.0], &[0.3]), []);
    assert_eq!(said(&[], &[]), []);
    // Worse for one epoch only, and by a hair for two.
    assert_eq!(said(&[5.0, 4.0, 3.0], &[0.3, 0.4, 0.3]), []);
    assert_eq!(said(&[5.0, 4.0, 3.0, 2.0], &[0.3, 0.4, 0.3999, 0.3999]), []);
    // A loss that goes up and down by a hair.
    assert_eq!(said(&[5.0, 5.001, 5.002], &[0.3, 0.3, 0.3]), []);
}

#[test]
fn a_loss_that_rises_is_told() {
    let doubts = said(&[5.0, 3.0, 3.2, 3.4], &[0.3, 0.4, 0.4, 0.4]);
    assert_eq!(kinds(&doubts), ["loss-rising"]);
    assert!(doubts[0].message.contains("over the last 2 epochs, from 3.0000 to 3.4000"));
    assert!(doubts[0].remedy.contains("--learning-rate 0.0033"), "{}", doubts[0].remedy);
    let doubts = said(&[5.0, 5.5, 5.2], &[0.3, 0.3, 0.3]);
    assert!(doubts[0].message.contains("since the first epoch, from 5.0000 to 5.2000"));
    // Tasks may have losses below 0.
    assert_eq!(kinds(&said(&[-1.0, -3.0, -2.5, -2.0], &[])), ["loss-rising"]);
    assert_eq!(said(&[-1.0, -3.0, -3.5, -4.0], &[]), []);
}

#[test]
fn a_loss_that_flies_away_is_told_once() {
    let doubts = said(&[5.0, 7.0, 9.0], &[0.3, 0.2, 0.1]);
    assert_eq!(kinds(&doubts), ["diverging"]);
    assert!(doubts[0].message.contains("from 5.0000 to 9.0000"), "{}", doubts[0].message);
    assert!(doubts[0].remedy.contains("--learning-rate 0.002 "), "{}", doubts[0].remedy);
    // The first epoch has flown away already: its first steps know.
    let history = history(&[30.0, 30.1], &[0.1, 0.1]);
    let first = Point { step: 1, epochs: 0.1, loss: 9.0, learning_rate: 0.1, at: 0.0 };
    let run = Evidence {
        history: &history,
        points: &[first],
        best_epoch: 1,
        stopped_early: false,
        learning_rate: 0.5,
        validation: None,
        tasks: &Value::Null,
    };
    assert_eq!(kinds(&of(&run)), ["diverging"]);
    // One easy batch at the beginning is no start from which anything has gone up.
    let mut points = [first; 40];
    points[1..].iter_mut().for_each(|point| point.loss = 29.0);
    assert!(of(&Evidence { points: &points, ..run }).is_empty());
}

#[test]
fn learning_by_heart_is_told() {
    let doubts = said(&[5.0, 4.0, 3.0, 2.0], &[0.3, 0.4, 0.38, 0.35]);
    assert_eq!(kinds(&doubts), ["overfitting"]);
    let message = &doubts[0].message;
    assert!(message.contains("since epoch 2 the training loss has fallen from 4.0000 to 2.0000"));
    assert!(message.contains("from 0.4000 to 0.3500"), "{message}");
    // Losses of tasks are told as they are, though less is better.
    let doubts = said(&[5.0, 4.0, 3.0, 2.0], &[-0.9, -0.5, -0.6, -0.7]);
    assert_eq!(kinds(&doubts), ["overfitting"]);
    assert!(doubts[0].message.contains("from 0.5000 to 0.7000"));
}

#[test]
fn a_run_that_ended_too_soon_is_told() {
    let doubts = said(&[5.0, 4.0, 3.0], &[0.2, 0.3, 0.4]);
    assert_eq!(kinds(&doubts), ["still-better"]);
    assert!(doubts[0].message.contains("from 0.3000 to 0.4000"));
    assert!(doubts[0].remedy.contains("--epochs 6"), "{}", doubts[0].remedy);
}

#[test]
fn validation_that_says_little_is_told() {
    assert_eq!(unknown_targets(&figures(&[1; 91], 9)), None);
    let doubt = unknown_targets(&figures(&[1; 80], 20)).unwrap();
    assert!(doubt.message.starts_with("20 of 100 validation targets (20.00 %)"), "{doubt}");
    assert_eq!(few_predictions(&figures(&[1; 400], 0)), None);
    assert_eq!(few_predictions(&figures(&[], 0)), None);
    let doubt = few_predictions(&figures(&[[1; 50], [30; 50]].concat(), 0)).unwrap();
    assert!(doubt.message.contains("recall@20 of 50.00 % may as well be 10 points off"), "{doubt}");
    let tasks = json!({
        "purchase": { "cases": 1000, "positives": 12, "brier": 0.1 },
        "churn": { "cases": 1000, "positives": 500, "brier": 0.1 },
        "count": { "cases": 99, "rmse": 1.0 },
    });
    let doubts = few_questions(&tasks);
    assert_eq!(doubts.len(), 2);
    assert!(doubts.iter().any(|d| d.message.contains("12 answers of yes and 988 of no")));
    assert!(doubts.iter().any(|d| d.message.starts_with("count: validation has 99 questions")));
}

#[test]
fn a_defeat_is_said_plainly() {
    let baselines = Baselines {
        popularity: figures(&[30, 30], 0),
        session_popularity: figures(&[2, 30], 0),
        markov: figures(&[2, 2], 0),
    };
    assert_eq!(defeat(&figures(&[1, 1], 0), &baselines), None);
    let text = defeat(&figures(&[1, 30], 0), &baselines).unwrap().to_string();
    assert!(text.contains("worse than Markov in recall@20 (50.00 % against 100.00 %)"));
    assert!(!text.contains("mrr@20") && !text.contains("popularity"), "{text}");
}

/// By the figures that count: the mean error is not among them.
#[test]
fn defeats_at_tasks_are_told() {
    let tasks = json!({
        "purchase": {
            "auc": 0.8, "log_loss": 0.30, "brier": 0.1,
            "baselines": {
                "share": { "auc": 0.5, "log_loss": 0.4, "brier": 0.1 },
                "logistic_regression": { "auc": 0.82, "log_loss": 0.29, "brier": 0.1 },
                "other": { "auc": 0.81, "log_loss": 0.31, "brier": 0.1 },
            },
        },
        "value": {
            "rmse": 5.0, "mae": 3.0, "spearman": 0.4,
            "baselines": { "zero": { "rmse": 6.0, "mae": 2.0, "spearman": null } },
        },
        "next-event": {
            "accuracy": 0.6, "log_loss": 0.9,
            "baselines": { "last_kind": { "accuracy": 0.6, "log_loss": 0.8 } },
        },
    });
    let doubts = task_defeats(&tasks);
    assert_eq!(doubts.len(), 2, "{doubts:?}");
    let texts: Vec<String> = doubts.iter().map(Doubt::to_string).collect();
    let all = texts.join("\n");
    assert!(all.contains("purchase: the model did worse than logistic regression in auc (0.8000 against 0.8200) and log loss (0.3000 against 0.2900)"), "{all}");
    assert!(all.contains(
        "next-event: the model did worse than last kind in log loss (0.9000 against 0.8000)"
    ));
    assert_eq!(task_defeats(&Value::Null), []);
}

#[test]
fn a_rate_of_another_optimizer_is_told() {
    assert_eq!(rate(0.005, 0.005, true), None);
    assert_eq!(rate(0.005, 3.0, false), None);
    let doubt = rate(0.005, 0.299_999, true).unwrap();
    assert!(doubt.to_string().ends_with("begin with --learning-rate 0.3"), "{doubt}");
}
