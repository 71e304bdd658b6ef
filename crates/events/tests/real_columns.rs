//! Real logs by column: how near ways of filling come to values that were hidden, what the rules find
//! that leave events out, what features look like. Skipped, and said so, where the logs are not at hand.

use std::path::PathBuf;

use events::{
    CleanRules, Column, FeatureSpecs, FittedFeatures, Further, HoldOut, Log, ReadOptions,
    ScoreOptions, SessionOptions, Sessions, Split, Tables, clean, clean_sessions, fill_methods,
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

/// The item says most about a price: a prediction from it is nearer than anything that forgets it.
#[test]
fn prices_are_predicted_by_the_item() {
    let Some(log) = load("rees46_sample/2019-Oct_head.csv.gz", &[]) else { return };
    let column = Column::Price;
    let rules = fill_methods(&column, false).unwrap();
    for (hold_out, share) in [(HoldOut::Rows, 0.1), (HoldOut::Users, 0.2)] {
        let options = ScoreOptions { hold_out, share, seed: 1 };
        let scores = score_fill(&log, &rules, &options).unwrap();
        let error = |method: &str| {
            let rule = format!("price={method}");
            let score = scores.iter().find(|score| score.rule == rule).unwrap();
            (score.hidden, score.mean_absolute.unwrap())
        };
        assert!(error("item").0 > 1000, "{scores:?}");
        assert!(error("item").1 < 0.5 * error("median").1, "{scores:?}");
    }
}

/// Nothing is left out, so that every rule sees the whole log.
#[test]
fn suspicious_rows_are_counted() {
    let text = "duplicates:count,disorder:count,times:count,jump=60:count,hour=100:count,\
                day=200:count,regular=20/0.05:count,burst=20/10:count,repeats:count,\
                repeats=item:count,length=100:count";
    let rules: CleanRules = text.parse().unwrap();
    for name in [
        "rees46_sample/2019-Oct_head.csv.gz",
        "taobao_userbehavior/UserBehavior_head.csv",
        "eshop2008/e-shop clothing 2008.csv",
    ] {
        let Some(mut log) = load(name, &[]) else { continue };
        let events = log.events.len();
        let mut report = clean(&mut log, &rules);
        let sessions = Sessions::from_log(&log, &SessionOptions::default()).unwrap();
        let kept = clean_sessions(&log, &sessions, &rules, &mut report);
        assert!(report.rules.iter().all(|finding| !finding.left_out), "{report:?}");
        assert_eq!((log.events.len(), kept), (events, sessions));
    }
}

#[test]
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
    let features = fitted.encode(&log, &parts.train);
    let inputs = fitted.inputs();
    assert!(features.numbers.iter().all(|number| number.is_finite()));
    for (k, name) in inputs.numbers.iter().enumerate() {
        let column = features.numbers.iter().skip(k).step_by(features.number_width);
        let (n, sum) = column.fold((0u32, 0.0), |(n, sum), &x| (n + 1, sum + f64::from(x)));
        assert!((sum / f64::from(n)).abs() < 0.2, "{name}");
    }
}
