//! How near each way of filling comes to values of real logs that were hidden. Run it with
//! `cargo test -p tidegate-events --release --test real_fill -- --ignored --nocapture`.

use std::path::PathBuf;

use events::{
    FillRule, FillScore, Further, HoldOut, Log, ReadOptions, ScoreOptions, read, score_fill,
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
