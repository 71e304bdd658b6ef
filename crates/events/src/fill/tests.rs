//! Filling as a whole: what is learned where, and what takes the place of a hole.

use super::*;
use crate::Events;

const NAN: f32 = f32::NAN;

/// Users: 0 has events 0, 2, 4, 5; 1 has events 1, 3. Times rise with the numbers, ten apart.
fn log() -> Log {
    let events = Events {
        item: vec![0, 1, 0, 1, 2, 0],
        user: vec![0, 1, 0, 1, 0, 0],
        time: vec![0, 10, 20, 30, 40, 60],
        category: vec![0, 1, NONE, 1, 0, 0],
        price: vec![2.0, 5.0, NAN, 5.0, NAN, 4.0],
        ..Events::default()
    };
    let colour = LabelColumn {
        name: "colour".to_owned(),
        names: ["red", "blue"].into_iter().collect(),
        values: vec![0, 1, NONE, 1, NONE, 0],
    };
    Log {
        events,
        items: ["a", "b", "c"].into_iter().collect(),
        users: ["ann", "bob"].into_iter().collect(),
        categories: ["x", "y"].into_iter().collect(),
        labels: vec![colour],
        ..Log::default()
    }
}

fn fitted(log: &Log, rules: &str) -> FittedFill {
    let train: Vec<u32> = (0..log.events.len() as u32).collect();
    FittedFill::fit(log, &train, &rules.parse().unwrap()).unwrap()
}

fn filled(log: &Log, rules: &str) -> (Log, FillReport) {
    let (mut filled, fitted) = (log.clone(), fitted(log, rules));
    let report = fitted.apply(&mut filled);
    // What a file has held does the same.
    let again = FittedFill::from_json(&fitted.to_json()).unwrap();
    assert_eq!(again, fitted);
    (filled, report)
}

/// What stands in the two holes of the price.
fn holes(log: &Log, rules: &str) -> [f32; 2] {
    let (filled, _) = filled(log, rules);
    for event in [0, 1, 3, 5] {
        assert_eq!(filled.events.price[event], log.events.price[event], "{rules}");
    }
    [filled.events.price[2], filled.events.price[4]]
}

fn same(found: &[f32], expected: &[f32]) -> bool {
    found.iter().map(|x| x.to_bits()).eq(expected.iter().map(|x| x.to_bits()))
}

#[test]
fn each_method_gives_what_it_is_called() {
    let log = log();
    for (rule, expected) in [
        ("price=constant:7.5", [7.5, 7.5]),
        ("price=mean", [4.0, 4.0]),
        ("price=median", [4.5, 4.5]),
        ("price=mode", [5.0, 5.0]),
        ("price=forward", [2.0, 2.0]),
        // Item 0 was last seen at 2; item 2 never.
        ("price=recent", [2.0, NAN]),
        // From 2 at time 0 to 4 at time 60.
        ("price=interpolate", [(2.0 + 2.0 / 3.0f64) as f32, (2.0 + 4.0 / 3.0f64) as f32]),
        // Item 0: 2 and 4. Item 2 has none; its category x has 2 and 4.
        ("price=item", [3.0, 3.0]),
        ("price=recent+constant:1", [2.0, 1.0]),
        ("price=recent+item", [2.0, 3.0]),
        ("price=flag", [NAN, NAN]),
    ] {
        let found = holes(&log, rule);
        assert!(same(&found, &expected), "{rule}: {found:?}");
    }
    let shrunk = holes(&log, "price=shrink");
    assert!(shrunk.iter().all(|&price| (2.0..5.0).contains(&price)), "{shrunk:?}");
}

#[test]
fn words_are_filled_too() {
    let log = log();
    let words = |rule: &str| {
        let (filled, _) = filled(&log, rule);
        let column = &filled.labels[0];
        [2, 4].map(|event| match column.values[event] {
            NONE => String::new(),
            word => column.names.get(word).to_owned(),
        })
    };
    assert_eq!(words("colour=mode"), ["red", "red"]);
    assert_eq!(words("colour=constant:green"), ["green", "green"]);
    assert_eq!(words("colour=forward"), ["red", "red"]);
    assert_eq!(words("colour=recent"), ["red", ""]);
    assert_eq!(words("colour=item"), ["red", "red"]);
    let (category, report) = filled(&log, "category=item+flag");
    assert_eq!(category.events.category, [0, 1, 0, 1, 0, 0]);
    assert_eq!(category.numbers[0].name, "category.missing");
    assert_eq!(category.numbers[0].values, [0.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
    assert_eq!((report.columns[0].missing, report.columns[0].left), (1, 0));
}

#[test]
fn a_report_counts_what_each_method_has_done() {
    let log = log();
    let (filled, report) = filled(&log, "price=recent+drop+flag,colour=recent");
    let [price, colour] = &report.columns[..] else { panic!("two columns") };
    assert_eq!((price.missing, price.dropped, price.left), (2, 1, 0));
    assert_eq!(price.filled, [("recent".to_owned(), 1)]);
    assert_eq!((colour.missing, colour.dropped, colour.left), (2, 0, 1));
    assert_eq!(report.dropped, [4]);
    assert_eq!(filled.numbers[0].values, [0.0, 0.0, 1.0, 0.0, 1.0, 0.0]);
    let mut kept = filled.clone();
    kept.remove(&report.dropped);
    assert_eq!(kept.events.item, [0, 1, 0, 1, 0]);
}

#[test]
fn other_events_than_those_of_training_teach_nothing() {
    let log = log();
    let rules =
        "price=mean+item+shrink+median+mode,colour=item+mode,category=item".parse().unwrap();
    let train = [0, 2, 3];
    let before = FittedFill::fit(&log, &train, &rules).unwrap();
    let mut other = log.clone();
    other.events.price[1] = 1e9;
    other.events.price[5] = NAN;
    other.labels[0].values[5] = 1;
    other.events.category[4] = 1;
    assert_eq!(FittedFill::fit(&other, &train, &rules).unwrap(), before);
    let all = [0, 1, 2, 3, 4, 5];
    let learned = |log: &Log| FittedFill::fit(log, &all, &rules).unwrap();
    assert_ne!(learned(&other), learned(&log));
}

#[test]
fn what_comes_later_changes_no_causal_method() {
    let log = log();
    let causal = "price=forward+recent+item+flag,colour=forward+mode";
    let fitted_causal = fitted(&log, causal);
    let apply = |log: &Log| {
        let mut filled = log.clone();
        fitted_causal.apply(&mut filled);
        filled
    };
    let before = apply(&log);
    let mut later = log.clone();
    later.events.price[5] = 1000.0;
    later.events.price[3] = NAN;
    later.labels[0].values[5] = 1;
    let after = apply(&later);
    assert!(same(&after.events.price[..3], &before.events.price[..3]));
    assert_eq!(after.labels[0].values[..5], before.labels[0].values[..5]);
    // The one that says so does look ahead.
    assert_ne!(holes_of(&later, "price=interpolate"), holes_of(&log, "price=interpolate"));
}

fn holes_of(log: &Log, rules: &str) -> Vec<u32> {
    let (filled, _) = filled(log, rules);
    [2, 4].map(|event: usize| filled.events.price[event].to_bits()).to_vec()
}

/// Lines stand in the file as they will; what counts is the time.
#[test]
fn forward_goes_by_time_and_not_by_line() {
    let mut log = log();
    log.events.time = vec![60, 50, 40, 30, 20, 0];
    // User 0 in time order: 5 (4.0), 4 (hole), 2 (hole), 0 (2.0).
    assert!(same(&holes(&log, "price=forward"), &[4.0, 4.0]));
    // At one time, the line decides.
    log.events.time = vec![0; 6];
    assert!(same(&holes(&log, "price=forward"), &[2.0, 2.0]));
    assert!(same(&holes(&log, "price=interpolate"), &[2.0, 2.0]));
}

#[test]
fn a_log_without_the_column_is_a_hole_throughout() {
    let log = log();
    let fitted = fitted(&log, "price=item+flag,colour=mode");
    let mut bare = Log {
        events: Events { item: vec![1, 0], user: vec![0, 0], ..Events::default() },
        items: ["b", "new"].into_iter().collect(),
        users: ["eve"].into_iter().collect(),
        ..Log::default()
    };
    let report = fitted.apply(&mut bare);
    assert_eq!(bare.events.price, [4.5, 5.0]);
    assert_eq!(bare.numbers[0].values, [1.0, 1.0]);
    assert_eq!(bare.labels[0].names.get(bare.labels[0].values[0]), "red");
    assert_eq!(report.columns[0].missing, 2);
    // Twice is once: the flags of the first time are not lost under a second column.
    fitted.apply(&mut bare);
    assert_eq!(bare.numbers.len(), 1);
}

#[test]
fn what_a_column_cannot_serve_is_refused() {
    let mut log = log();
    let train = [0];
    for rule in [
        "colour=mean",
        "colour=interpolate",
        "colour=shrink",
        "price=constant:x",
        "price=constant:inf",
        "size=mode",
        "quantity=mean",
    ] {
        let error = FittedFill::fit(&log, &train, &rule.parse().unwrap()).unwrap_err();
        assert!(
            matches!(error, Error::Absent { .. }) && error.to_string().contains(rule),
            "{error}"
        );
    }
    log.events.time.clear();
    assert!(FittedFill::fit(&log, &train, &"price=interpolate".parse().unwrap()).is_err());
    assert!(
        FittedFill::from_json(
            r#"[{"column":"price","flag":false,"learned":{"numbers":[{"value":["mean",1e300]}]}}]"#
        )
        .is_err()
    );
    assert!(FittedFill::from_json("{}").is_err());
}

#[test]
fn hostile_columns_are_filled_or_left_and_never_made_worse() {
    let rules = "price=forward+recent+interpolate+item+shrink+mean+median+mode";
    for prices in [
        [NAN; 6],
        [f32::INFINITY, f32::NEG_INFINITY, NAN, NAN, NAN, NAN],
        [3.5; 6],
        [f32::MAX, f32::MIN, NAN, f32::MAX, NAN, f32::MIN],
        [0.0, -0.0, NAN, 0.0, NAN, -1.0],
    ] {
        let mut log = log();
        log.events.price = prices.to_vec();
        let (filled, report) = filled(&log, rules);
        let known = prices.iter().any(|price| price.is_finite());
        let finite = filled.events.price.iter().filter(|price| price.is_finite()).count();
        assert_eq!(finite, if known { 6 } else { 0 }, "{prices:?}");
        assert_eq!(report.columns[0].left, if known { 0 } else { 6 });
    }
    let mut empty = Log::default();
    assert_eq!(fitted(&log(), rules).apply(&mut empty).dropped.len(), 0);
    let nothing = FittedFill::fit(&log(), &[], &rules.parse().unwrap()).unwrap();
    let mut filled = log();
    nothing.apply(&mut filled);
    assert!(filled.events.price[2].is_finite(), "forward needs no training");
}

fn rules(texts: &[&str]) -> Vec<FillRule> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// Every item has its own price, but for one row in eleven; categories agree on nothing.
fn shop(n: u32) -> Log {
    let price = |k: u32| if k % 11 == 3 { 100.0 } else { (k % 7) as f32 + 0.25 };
    let events = Events {
        item: (0..n).map(|k| k % 7).collect(),
        user: (0..n).map(|k| k % 49).collect(),
        time: (0..n).map(i64::from).collect(),
        price: (0..n).map(price).collect(),
        kind: (0..n).map(|k| u32::from(k % 7 > 3)).collect(),
        ..Events::default()
    };
    Log {
        events,
        items: ["a", "b", "c", "d", "e", "f", "g"].into_iter().collect(),
        kinds: ["view", "buy"].into_iter().collect(),
        ..Log::default()
    }
}

#[test]
fn scores_are_those_of_hidden_values() {
    let log = shop(3000);
    let methods = ["price=median", "price=item", "price=constant:0.25", "price=drop"];
    for hold_out in [HoldOut::Rows, HoldOut::Users] {
        let options = ScoreOptions { hold_out, share: 0.2, seed: 3 };
        let scores = score_fill(&log, &rules(&methods), &options).unwrap();
        let [median, item, constant, drop] = &scores[..] else { panic!("four rules") };
        // A tenth of all by users, a fifth by rows, within a few standard deviations.
        let expected = if hold_out == HoldOut::Rows { 600.0 } else { 300.0 };
        assert!((f64::from(item.hidden as u32) - expected).abs() < 250.0, "{item:?}");
        assert!(scores.iter().all(|score| score.hidden == item.hidden));
        assert!(item.exact > 0.85 && median.exact < 0.3, "{item:?} {median:?}");
        assert_eq!(item.median_absolute, Some(0.0));
        assert!(item.mean_absolute < median.mean_absolute);
        assert!(constant.exact < 0.3);
        assert_eq!((drop.answered, drop.mean_absolute, drop.exact), (0, None, 0.0));
        assert_eq!(score_fill(&log, &rules(&methods), &options).unwrap(), scores, "one seed");
    }
    let kinds = score_fill(&log, &rules(&["kind=item", "kind=mode"]), &ScoreOptions::default());
    let kinds = kinds.unwrap();
    assert_eq!((kinds[0].exact, kinds[0].mean_absolute), (1.0, None));
    assert!((0.4..0.75).contains(&kinds[1].exact), "{kinds:?}");
}

#[test]
fn errors_are_measured_as_they_are_called() {
    let events = Events {
        item: vec![0; 6],
        user: vec![0; 6],
        price: vec![1.0, 2.0, 5.0, 9.0, 2.0, 2.0],
        ..Events::default()
    };
    let log = Log { events, items: ["a"].into_iter().collect(), ..Log::default() };
    let options = ScoreOptions { share: 0.999, ..ScoreOptions::default() };
    let score = &score_fill(&log, &rules(&["price=constant:2"]), &options).unwrap()[0];
    // Errors 1, 0, 3, 7, 0, 0.
    assert_eq!((score.hidden, score.answered, score.exact), (6, 6, 0.5));
    assert_eq!(score.mean_absolute, Some(11.0 / 6.0));
    assert_eq!(score.root_mean_square, Some((59f64 / 6.0).sqrt()));
    assert_eq!(score.median_absolute, Some(0.0));
    assert_eq!(score_fill(&log, &[], &options).unwrap(), []);
    for share in [0.0, 1.0, NAN.into()] {
        assert!(
            score_fill(&log, &rules(&["price=mean"]), &ScoreOptions { share, ..options }).is_err()
        );
    }
    assert!(score_fill(&log, &rules(&["price=mean", "amount=mean"]), &options).is_err());
    assert!(score_fill(&log, &rules(&["amount=mean"]), &options).is_err());
}
