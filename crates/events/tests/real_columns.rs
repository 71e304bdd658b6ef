//! Real logs by column: how near each way of filling comes to values that were hidden, what the
//! rules find that leave events out, what features look like. Run it with
//! `cargo test -p tidegate-events --release --test real_columns -- --ignored --nocapture`.

use std::path::PathBuf;

use events::{
    CleanRules, FeatureSpecs, FillRule, FillScore, FittedFeatures, Further, HoldOut, Log,
    ReadOptions, ScoreOptions, SessionOptions, Sessions, Split, Tables, clean, clean_sessions,
    read, score_fill,
};

/// A file among the real logs; none, said plainly, where they are not at hand.
fn load(name: &str, labels: &[&str]) -> Option<Log> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(name);
    if !path.exists() {
        println!("skipped: ../shared/data/{name} is missing");
        return None;
    }
    let labels = labels.iter().map(|&label| label.to_owned()).collect();
    let further = Further { labels, numbers: Vec::new() };
    // A quarter of the rows of one log name no user.
    Some(read(&[path], &ReadOptions { max_bad: 0.5, further, ..ReadOptions::default() }).unwrap())
}

fn table(log: &Log, column: &str, methods: &[&str]) -> Vec<FillScore> {
    let rules: Vec<FillRule> =
        methods.iter().map(|method| format!("{column}={method}").parse().unwrap()).collect();
    let mut all = Vec::new();
    for (hold_out, share) in [(HoldOut::Rows, 0.1), (HoldOut::Users, 0.2)] {
        println!("\n{hold_out:?} {share}: rule, hidden, answered, MAE, RMSE, median, exact");
        let scores = score_fill(log, &rules, &ScoreOptions { hold_out, share, seed: 1 }).unwrap();
        for s in &scores {
            let error = |error: Option<f64>| error.map_or("-".to_owned(), |e| format!("{e:.3}"));
            println!(
                "{:<30} {:>7} {:>7} {:>9} {:>9} {:>7} {:>6.3}",
                s.rule,
                s.hidden,
                s.answered,
                error(s.mean_absolute),
                error(s.root_mean_square),
                error(s.median_absolute),
                s.exact
            );
        }
        all.extend(scores);
    }
    all
}

const NUMBERS: &[&str] = &[
    "constant:0",
    "mean",
    "median",
    "mode",
    "forward",
    "forward+median",
    "interpolate",
    "interpolate+median",
    "recent",
    "recent+item",
    "item",
    "shrink",
];
const WORDS: &[&str] = &["mode", "forward", "forward+mode", "recent", "recent+item", "item"];

/// The item says most about a price, on both logs: a prediction from it is nearer than anything
/// that forgets it.
#[test]
#[ignore = "measures real logs: run it by hand"]
fn prices_are_predicted_by_the_item() {
    for (name, labels) in [
        ("online_retail/online_retail.csv.gz", &["Country"][..]),
        ("rees46_sample/2019-Oct_head.csv.gz", &["category_code", "brand"]),
    ] {
        let Some(log) = load(name, labels) else { continue };
        println!("\n{name}: {} events", log.events.len());
        let scores = table(&log, "price", NUMBERS);
        for scores in scores.chunks(NUMBERS.len()) {
            let error = |k: usize| scores[k].median_absolute.unwrap();
            let (median, item) = (error(2), error(10));
            assert!(item < median, "{item} {median}");
        }
        for label in labels {
            table(&log, label, WORDS);
        }
    }
}

/// Nothing is left out, so that every rule sees the whole log.
#[test]
#[ignore = "measures real logs: run it by hand"]
fn suspicious_rows_are_counted() {
    let text = "duplicates:count,disorder:count,times:count,jump=60:count,hour=100:count,\
                day=200:count,regular=20/0.05:count,burst=20/10:count,repeats:count,\
                repeats=item:count,length=100:count";
    let rules: CleanRules = text.parse().unwrap();
    for name in [
        "online_retail/online_retail.csv.gz",
        "rees46_sample/2019-Oct_head.csv.gz",
        "taobao_userbehavior/UserBehavior_head.csv",
        "eshop2008/e-shop clothing 2008.csv",
    ] {
        let Some(mut log) = load(name, &[]) else { continue };
        let events = log.events.len();
        let mut report = clean(&mut log, &rules);
        let sessions = Sessions::from_log(&log, &SessionOptions::default()).unwrap();
        let kept = clean_sessions(&log, &sessions, &rules, &mut report);
        println!("\n{name}: {events} events, {} sessions", sessions.len());
        for finding in &report.rules {
            let (rule, example) = (&finding.rule, finding.examples.first());
            println!("{rule:<26} {:>7} {:>5} {example:?}", finding.events, finding.groups);
        }
        assert_eq!((log.events.len(), kept), (events, sessions));
    }
}

#[test]
#[ignore = "measures real logs: run it by hand"]
fn features_of_a_real_log_are_finite_and_centred() {
    let name = "eshop2008/e-shop clothing 2008.csv";
    let text = "category,price:log1p+zscore+flag,colour:label,page:number,position,weekday,\
                price 2:quantile";
    let specs: FeatureSpecs = text.parse().unwrap();
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(name);
    if !path.exists() {
        println!("skipped: ../shared/data/{name} is missing");
        return;
    }
    let options = ReadOptions { further: specs.further(), ..ReadOptions::default() };
    let log = read(&[path], &options).unwrap();
    let sessions = Sessions::from_log(&log, &SessionOptions::default()).unwrap();
    let parts = Split::TimeShare(0.9).apply(&sessions, 1).unwrap();
    let fitted = FittedFeatures::fit(&log, &parts.train, &specs, &Tables::default()).unwrap();
    let start = std::time::Instant::now();
    let features = fitted.encode(&log, &parts.train);
    let inputs = fitted.inputs();
    println!("{:?}\n{:?}", inputs, start.elapsed());
    assert!(features.numbers.iter().all(|number| number.is_finite()));
    for (k, name) in inputs.numbers.iter().enumerate() {
        let column = features.numbers.iter().skip(k).step_by(features.number_width);
        let (n, sum) = column.fold((0u32, 0.0), |(n, sum), &x| (n + 1, sum + f64::from(x)));
        println!("{name}: mean {:.6}", sum / f64::from(n));
        assert!((sum / f64::from(n)).abs() < 0.2, "{name}");
    }
}
