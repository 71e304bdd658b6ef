//! Figures by hand, against scikit-learn, and whatever the order of cases.

use super::*;

const SCORES: [f64; 12] = [0.1, 0.4, 0.35, 0.8, 0.8, 0.05, 0.6, 0.4, 0.9, 0.2, 0.4, 0.75];
const OUTCOMES: [bool; 12] =
    [false, false, true, true, false, false, true, true, true, false, false, true];

#[test]
fn by_hand() {
    // Rising: 0.2 −, 0.5 + −, 0.9 +: of the 4 pairs, 3 won and 1 tied.
    let levels = Levels::new(&[0.5, 0.9, 0.2, 0.5], &[true, true, false, false]).unwrap();
    assert_eq!(levels.auc(), Some(0.875));
    assert_eq!(levels.average_precision(), Some((1.0 + 2.0 / 3.0) / 2.0));
    assert_eq!(levels.brier(), Some((0.25 + 0.25 + 0.01 + 0.04) / 4.0));
    // The top half: all of 0.9, and half of the two at 0.5, one of which is positive.
    assert_eq!(levels.lift(0.5), Some((1.5 / 2.0) / 0.5));
    assert_eq!(levels.lift(1.0), Some(1.0));
    let loss = -(2.0 * 0.5f64.ln() + 0.9f64.ln() + 0.8f64.ln()) / 4.0;
    assert!((levels.log_loss().unwrap() - loss).abs() < 1e-15);
}

// scikit-learn 1.9.1: roc_auc_score, average_precision_score, log_loss, brier_score_loss of
// OUTCOMES and SCORES.
#[test]
fn scikit_learn_agrees() {
    let found = BinaryFigures::new(&SCORES, &OUTCOMES).unwrap();
    let close = |found: Option<f64>, expected: f64| {
        assert!((found.unwrap() - expected).abs() < 1e-14, "{found:?} {expected}");
    };
    close(found.auc, 0.7916666666666667);
    close(found.average_precision, 0.7513888888888888);
    close(found.log_loss, 0.5086675950740257);
    close(found.brier, 0.1722916666666667);
}

#[test]
fn the_order_of_cases_changes_no_bit() {
    let found = BinaryFigures::new(&SCORES, &OUTCOMES).unwrap();
    for turn in 1..SCORES.len() {
        let (mut scores, mut outcomes) = (SCORES, OUTCOMES);
        scores.rotate_left(turn);
        outcomes.rotate_left(turn);
        scores[..8].reverse();
        outcomes[..8].reverse();
        assert_eq!(BinaryFigures::new(&scores, &outcomes).unwrap(), found);
    }
}

#[test]
fn a_weight_is_a_case_that_comes_again() {
    let weights = [0, 2, 1, 3, 0, 1, 1, 2, 0, 4, 1, 1];
    let again = |values: &[f64]| -> Vec<f64> {
        let pairs = values.iter().zip(weights);
        pairs.flat_map(|(&value, weight)| vec![value; weight as usize]).collect()
    };
    let outcomes: Vec<f64> = OUTCOMES.iter().map(|&outcome| f64::from(outcome)).collect();
    let outcomes: Vec<bool> = again(&outcomes).iter().map(|&outcome| outcome > 0.5).collect();
    let expected = Levels::new(&again(&SCORES), &outcomes).unwrap();
    let scored = Scored::new(&SCORES, &OUTCOMES).unwrap();
    assert_eq!(scored.levels(Some(&weights)).unwrap(), expected);
}

#[test]
fn bins_are_of_one_mass_and_split_no_score() {
    let scores: Vec<f64> = (0..100).map(|case| f64::from(case) / 100.0).collect();
    let outcomes: Vec<bool> = (0..100).map(|case| case % 2 == 0).collect();
    let bins = Levels::new(&scores, &outcomes).unwrap().reliability(10);
    assert_eq!(bins.len(), 10);
    assert!(bins.iter().all(|bin| bin.cases == 10 && bin.share == 0.5));
    assert!((bins[3].mean_predicted - 0.345).abs() < 1e-15);

    // Cases 0 to 25 have one score, and so have 74 to 99.
    let scores: Vec<f64> = (0..100).map(|case| f64::from(case).clamp(25.0, 74.0)).collect();
    let counts: Vec<u64> = Levels::new(&scores, &outcomes)
        .unwrap()
        .reliability(4)
        .iter()
        .map(|bin| bin.cases)
        .collect();
    assert_eq!(counts, [26, 24, 24, 26]);
    let flat = Levels::new(&[0.3; 10], &[true; 10]).unwrap();
    assert_eq!(flat.reliability(10).len(), 1);
    assert!((flat.ece().unwrap() - 0.7).abs() < 1e-15);
}

#[test]
fn what_is_not_defined_is_none() {
    let none = BinaryFigures::new(&[], &[]).unwrap();
    let text = serde_json::to_string(&none).unwrap();
    assert_eq!(
        text,
        "{\"cases\":0,\"positives\":0,\"auc\":null,\"average_precision\":null,\"log_loss\":null,\
         \"brier\":null,\"ece\":null,\"lift@0.1\":null}"
    );
    let negatives = BinaryFigures::new(&[0.1, 0.2], &[false, false]).unwrap();
    assert_eq!((negatives.auc, negatives.average_precision), (None, None));
    assert_eq!((negatives.lift, negatives.brier), (None, Some((0.1f64 * 0.1 + 0.2 * 0.2) / 2.0)));
    let scores = BinaryFigures::from(&Levels::new(&[-3.0, 7.0], &[false, true]).unwrap());
    assert_eq!((scores.auc, scores.log_loss, scores.ece), (Some(1.0), None, None));
    assert_eq!(Levels::new(&[0.1], &[true]).unwrap().lift(0.0), None);
}

#[test]
fn certainty_costs_a_finite_loss() {
    let wrong = Levels::new(&[0.0, 1.0], &[true, false]).unwrap();
    assert_eq!(wrong.log_loss(), Some(-FLOOR.ln()));
}

#[test]
fn wrong_numbers_are_named() {
    let lengths = BinaryFigures::new(&[0.1], &[true, false]).unwrap_err();
    assert!(matches!(lengths, Error::Lengths { found: 2, expected: 1, .. }));
    let value = BinaryFigures::new(&[0.1, 1.1], &[true, false]).unwrap_err();
    assert!(matches!(value, Error::Value { index: 1, .. }));
    let value = Scored::new(&[f64::NAN], &[true]).unwrap_err();
    assert!(matches!(value, Error::Value { index: 0, .. }));
    let scored = Scored::new(&[0.5], &[true]).unwrap();
    assert!(matches!(scored.levels(Some(&[])), Err(Error::Lengths { .. })));
}
