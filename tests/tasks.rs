//! Tasks beside the next item through the real binary: what is learned, what is told of users, that
//! nothing after a date is looked at, and what becomes of questions that cannot be asked.

mod calls;

use std::fmt::Write;
use std::fs;
use std::path::Path;

use calls::{Called, assert_keys, call};
use serde_json::Value;

const DAY: i64 = 24 * 60 * 60;

/// A number that looks drawn.
fn draw(k: i64, below: i64) -> i64 {
    let mixed = (k as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33) % below as u64) as i64
}

/// Fifty days of a shop. Every user comes each second to fourth day. Those of one half put something into
/// the cart and buy on the next visit; the others look at the same things and never buy. Nothing but the
/// order of the kinds tells when a buyer is about to buy.
fn shop() -> Vec<(String, i64, &'static str, String, f64)> {
    let mut events = Vec::new();
    for user in 0..120i64 {
        let buyer = user % 2 == 0;
        let (mut day, mut visit) = (draw(user, 3), 0);
        while day < 50 {
            let time = |k: i64| day * DAY + 36_000 + draw(user * 97 + day, 3000) + 60 * k;
            let item = |k: i64| format!("i{}", draw(user * 31 + day * 7 + k, 40));
            let name = format!("u{user}");
            let carts = draw(user * 53 + visit, 3) == 0;
            for k in 0..2 + draw(user + visit, 3) {
                events.push((name.clone(), time(k), "view", item(k), 5.0));
            }
            if buyer && visit > 0 && draw(user * 53 + visit - 1, 3) == 0 {
                let price = 10.0 + (user % 10) as f64;
                events.push((name.clone(), time(8), "buy", item(8), price));
            }
            if carts {
                events.push((name, time(9), "cart", item(9), 5.0));
            }
            visit += 1;
            day += 2 + draw(user * 17 + visit, 3);
        }
    }
    events.sort_by_key(|event| event.1);
    events
}

fn write(folder: &Path, name: &str, events: &[(String, i64, &'static str, String, f64)]) {
    let mut text = "user,time,kind,item,price\n".to_owned();
    for (user, time, kind, item, price) in events {
        writeln!(text, "{user},{},{kind},{item},{price}", 1_700_006_400 + time).unwrap();
    }
    fs::write(folder.join(name), text).unwrap();
}

fn called(folder: &Path, line: &str) -> Called {
    call(folder, &line.split_whitespace().collect::<Vec<_>>())
}

/// The moment after so many days.
fn date(days: i64) -> String {
    // The log begins 2023-11-15T00:00:00Z.
    match days {
        0..=15 => format!("2023-11-{}", 15 + days),
        16..=46 => format!("2023-12-{:02}", days - 15),
        _ => format!("2024-01-{:02}", days - 46),
    }
}

const TASKS: &str = "--task purchase --task count --task churn --task value --task time-to-next \
                     --task next-event --horizon 3d --features kind,gap,price";
const SMALL: &str = "--hidden 12 --epochs 3 --seed 5 --quiet --json";

#[test]
fn a_model_with_tasks_learns_tells_and_is_scored() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(folder, "shop.csv", &shop());
    let train = called(folder, &format!("train shop.csv --out m {TASKS} {SMALL}")).json();
    assert_keys(&train["tasks"], &["purchase", "count", "churn", "value", "time-to-next"]);
    assert!(train["tasks"]["next-event"]["log_loss"].as_f64().unwrap() < 1.0);
    assert!(train["validation"].is_null());

    let at = date(45);
    let scored = called(folder, &format!("evaluate m shop.csv --at {at} --json")).json();
    let purchase = &scored["tasks"]["purchase"];
    let figures = ["cases", "positives", "auc", "average_precision", "log_loss", "brier", "ece"];
    assert_keys(purchase, &figures);
    assert_keys(purchase, &["lift@0.1", "baselines"]);
    assert_keys(&purchase["baselines"], &["mean", "logistic"]);
    assert_eq!(purchase["cases"].as_u64(), Some(120));
    let numbers = ["rmse", "mae", "spearman", "pearson", "bias_of_total", "baselines"];
    for task in ["count", "value", "time-to-next"] {
        assert_keys(&scored["tasks"][task], &numbers);
        assert_keys(&scored["tasks"][task]["baselines"], &["zero", "mean", "linear", "poisson"]);
    }
    let next = &scored["tasks"]["next-event"];
    assert_keys(next, &["accuracy", "log_loss", "macro_auc", "baselines", "gains"]);
    assert_keys(&next["baselines"], &["shares", "markov", "markov_2"]);
    assert_eq!(scored["tasks"]["count"]["baselines"]["zero"]["bias_of_total"].as_f64(), Some(-1.0));

    // What is told of each user is what was scored.
    let told = called(folder, &format!("predict m shop.csv --at {at} --out p.csv --json")).json();
    assert_eq!(told["users"].as_u64(), Some(120));
    let text = fs::read_to_string(folder.join("p.csv")).unwrap();
    let mut lines = text.lines();
    let head = "user,next_event.view,next_event.cart,next_event.buy,purchase,count,churn,value,\
                time_to_next";
    assert_eq!(lines.next(), Some(head));
    let rows: Vec<Vec<f64>> = lines
        .map(|line| line.split(',').skip(1).map(|cell| cell.parse().unwrap()).collect())
        .collect();
    assert_eq!(rows.len(), 120);
    for row in &rows {
        assert!((row[..3].iter().sum::<f64>() - 1.0).abs() < 1e-5, "{row:?}");
        assert!((0.0..=1.0).contains(&row[3]) && (0.0..=1.0).contains(&row[5]), "{row:?}");
        assert!(row[4] >= 0.0 && row[6] >= 0.0, "{row:?}");
        assert!((0.0..=1.2 * (3 * DAY) as f64).contains(&row[7]), "{row:?}");
    }
    let mean = rows.iter().map(|row| row[4]).sum::<f64>() / 120.0;
    let scored = scored["tasks"]["count"]["mean_predicted"].as_f64().unwrap();
    assert!((mean - scored).abs() < 1e-4 * scored, "{mean} {scored}");

    called(folder, &format!("predict m shop.csv --at {at} --out p.jsonl --json")).json();
    let text = fs::read_to_string(folder.join("p.jsonl")).unwrap();
    let first: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(first["count"].as_f64().map(|x| x as f32), Some(rows[0][4] as f32));
}

/// A Parquet table of predictions has a row a user, and is read as any table is.
#[test]
fn predictions_come_as_parquet_too() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(folder, "shop.csv", &shop());
    let line = "train shop.csv --out m --task churn --horizon 3d --epochs 1 --hidden 8 --quiet";
    assert_eq!(called(folder, line).code, Some(0));
    for out in ["p.csv", "p.parquet"] {
        let line = format!("predict m shop.csv --out {out} --quiet");
        assert_eq!(called(folder, &line).code, Some(0));
    }
    let seen = called(folder, "inspect p.parquet --columns user=user,item=user --json").json();
    assert_eq!((seen["rows"].as_u64(), seen["items"].as_u64()), (Some(120), Some(120)));
    assert_eq!(seen["format"], "parquet");
}

/// What only an order of kinds tells, a network finds and regressions on counts do not.
#[test]
fn an_order_that_no_count_shows_is_learned() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(folder, "shop.csv", &shop());
    let line = "train shop.csv --out m --task purchase --horizon 3d --features kind,gap --hidden 24 \
                --epochs 12 --learning-rate 0.01 --stride 1d --quiet";
    assert_eq!(called(folder, line).code, Some(0));
    let scored = called(folder, &format!("evaluate m shop.csv --at {} --json", date(46))).json();
    let purchase = &scored["tasks"]["purchase"];
    let (own, logistic) = (&purchase["log_loss"], &purchase["baselines"]["logistic"]["log_loss"]);
    let (own, logistic) = (own.as_f64().unwrap(), logistic.as_f64().unwrap());
    assert!(own < logistic, "{own} against {logistic}");
}

/// Nothing that happens after the last label shows in the model, and nothing after a date in what is told.
#[test]
fn nothing_after_a_date_is_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let shop = shop();
    write(folder, "a.csv", &shop);
    // From day 30 on other things happen: other kinds, items, prices, users, and more of them.
    let mut changed = Vec::new();
    for (k, (user, time, kind, item, price)) in shop.iter().cloned().enumerate() {
        if time < 30 * DAY {
            changed.push((user, time, kind, item, price));
            continue;
        }
        let kind = ["buy", "cart", "view"][k % 3];
        changed.push((user.clone(), time, kind, format!("new{k}"), 9.0 * price));
        changed.push((format!("late{k}"), time, "buy", item, price));
    }
    write(folder, "b.csv", &changed);
    for log in ["a", "b"] {
        let dates = format!("--at {} --at {} --split none", date(20), date(27));
        let line = format!("train {log}.csv --out {log} {TASKS} {dates} {SMALL}");
        // Only the moments' tasks: which event follows is asked of all events.
        let line = line.replace("--task next-event ", "");
        called(folder, &line).json();
    }
    let model = |name: &str| fs::read(folder.join(name).join("model.safetensors")).unwrap();
    // The vocabulary is counted from all that training may see: with no part held back, from everything.
    assert_ne!(model("a"), model("b"));

    for log in ["a", "b"] {
        let line =
            format!("train {log}.csv --out {log}-split {TASKS} --split time:{} {SMALL}", date(30));
        // Validation lies after the date: without it no epoch is chosen by it.
        let line = line.replace("--epochs 3", "--epochs 1");
        let line = line.replace("--quiet", "--quiet --config plain.toml");
        fs::write(folder.join("plain.toml"), "[tasks]\ncalibration = \"none\"\n").unwrap();
        called(folder, &line).json();
    }
    assert_eq!(model("a-split"), model("b-split"), "the held-out part shows in the model");

    for log in ["a", "b"] {
        let line = format!("predict a-split {log}.csv --at {} --out {log}.jsonl --quiet", date(30));
        assert_eq!(called(folder, &line).code, Some(0));
    }
    let told = |log: &str| fs::read_to_string(folder.join(log)).unwrap();
    assert_eq!(told("a.jsonl"), told("b.jsonl"));
    assert!(!told("a.jsonl").is_empty());
}

#[test]
fn the_same_command_gives_the_same_model_whatever_the_threads() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(folder, "shop.csv", &shop());
    for (out, threads) in [("one", 1), ("two", 2)] {
        let line = format!(
            "train shop.csv --out {out} {TASKS} --task next-item {SMALL} --threads {threads}"
        );
        let trained = called(folder, &line).json();
        assert_keys(&trained["validation"], &["recall@20", "baselines"]);
        let line = format!("predict {out} shop.csv --out {out}.csv --threads {threads} --quiet");
        assert_eq!(called(folder, &line).code, Some(0));
    }
    let same =
        |a: &str, b: &str| fs::read(folder.join(a)).unwrap() == fs::read(folder.join(b)).unwrap();
    assert!(same("one/model.safetensors", "two/model.safetensors"));
    assert!(same("one.csv", "two.csv"));

    // The next item beside the others: ranked, recommended, and never the one that stands for others.
    let scored = called(folder, &format!("evaluate one shop.csv --at {} --json", date(46))).json();
    assert_keys(&scored["tasks"]["next-item"], &["recall@20", "mrr@20", "baselines"]);
    let shown = called(folder, "recommend one --events i1 -k 60 --json").json();
    let items = shown["items"].as_array().unwrap();
    assert!(items.len() >= 30 && items.iter().all(|item| item["item"] != ""), "{items:?}");
}

#[test]
fn rare_answers_may_count_more() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(folder, "shop.csv", &shop());
    for (name, keys) in [
        ("weights", "balance = \"weights\"\ncalibration = \"isotonic\""),
        ("focal", "balance = \"focal\"\ngamma = 1.0"),
        ("drawn", "negatives = 0.5\nweights = { purchase = 2.0 }"),
    ] {
        fs::write(folder.join("t.toml"), format!("[tasks]\n{keys}\n")).unwrap();
        let line = format!(
            "train shop.csv --out {name} --config t.toml --task purchase --horizon 3d --epochs 2 \
             --hidden 8 --quiet --json"
        );
        let trained = called(folder, &line).json();
        let figures = &trained["tasks"]["purchase"];
        // Set right: the mean of the probabilities is the share of those who bought.
        assert!(figures["ece"].as_f64().unwrap() < 0.1, "{name}: {figures}");
    }
}

/// What comes next knows no horizon. The kind that every user begins with follows nothing, and is one of the
/// kinds all the same.
#[test]
fn the_kind_of_the_next_event_may_be_all_that_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut events = shop();
    let mut met = std::collections::HashSet::new();
    for event in &mut events {
        if met.insert(event.0.clone()) {
            event.2 = "signup";
        }
    }
    write(folder, "shop.csv", &events);
    let train = format!("train shop.csv --out m --task next-event --features kind,gap {SMALL}");
    let trained = called(folder, &train).json();
    let logistic = &trained["tasks"]["next-event"]["baselines"]["logistic"];
    assert!(logistic["log_loss"].as_f64().unwrap() < 1.0, "{logistic}");
    called(folder, "predict m shop.csv --out p.csv --quiet --json").json();
    let text = fs::read_to_string(folder.join("p.csv")).unwrap();
    let head = text.lines().next().unwrap();
    assert_eq!(head.split(',').count(), 5, "{head}");
    let scored = called(folder, "evaluate m shop.csv --json").json();
    let gains = &scored["tasks"]["next-event"]["gains"]["log_loss"];
    // The gain is the difference of what stands in the table.
    let figure = |of: &Value| of["log_loss"].as_f64().unwrap();
    let next = &scored["tasks"]["next-event"];
    let best = figure(&next["baselines"][gains["over"].as_str().unwrap()]);
    let gain = gains["estimate"].as_f64().unwrap();
    assert!((best - figure(next) - gain).abs() < 1e-9, "{gains}");
}

/// A user whose items are all rare is one with a history, not one of whom nothing is known.
#[test]
fn what_is_rare_is_read_as_one_item_by_every_verb() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut events = shop();
    let end = events[events.len() - 1].1;
    for k in 0..3 {
        events.push(("new".to_owned(), end + k, "view", format!("never-seen-{k}"), 5.0));
    }
    write(folder, "shop.csv", &events);
    let train =
        format!("train shop.csv --out m --task next-item --task churn --horizon 3d {SMALL}");
    called(folder, &train).json();
    let known = called(folder, "recommend m --log shop.csv --user new -k 3 --json");
    assert!(!known.stderr.contains("most popular"), "{}", known.stderr);
    known.json();
    let rows = called(folder, "represent m shop.csv --out r.csv --json").json();
    assert_eq!((&rows["rows"], &rows["unknown"]), (&121.into(), &0.into()), "{rows}");
}

#[test]
fn questions_that_cannot_be_asked() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(folder, "shop.csv", &shop());
    let fails = |line: &str, code: i32, parts: &[&str]| {
        let called = called(folder, line);
        let message = called.fails(code);
        for part in parts {
            assert!(message.contains(part), "{line}: {part} is missing in {message}");
        }
        assert!(!folder.join("m").exists(), "{line}");
    };
    let train = |flags: &str| format!("train shop.csv --out m {flags}");
    fails(&train("--task buy"), 2, &["--task buy", "purchase"]);
    fails(&train("--task purchase"), 2, &["--horizon 7d"]);
    fails(&train("--task purchase --horizon soon"), 2, &["--horizon", "7d"]);
    fails(&train("--horizon 7d"), 2, &["--horizon", "--task"]);
    fs::write(folder.join("direct.toml"), "[tasks]\nway = \"direct\"\n").unwrap();
    let direct = "--task churn --horizon 60d --config direct.toml";
    fails(&train(direct), 1, &["60.00 days", "--horizon"]);
    fails(&train("--task churn --horizon 3d --at 2030-01-01"), 2, &["--at", "2024"]);
    fails(&train("--task churn --horizon 3d --at never"), 2, &["--at", "never"]);
    fails(&train("--task purchase --horizon 3d --buys bought"), 1, &["bought", "view, cart, buy"]);
    fails(&train("--task churn --horizon 3d --sessions gap"), 2, &["--sessions gap"]);
    fails(&train("--task churn --horizon 3d --window 9"), 2, &["--window"]);
    fails(&train("--task churn --horizon 3d --split leave-last-out"), 2, &["leave-last-out"]);
    fails(&train("--task churn --horizon 3d --min-length 5"), 2, &["--min-length"]);
    fails(&train("--task churn --horizon 3d --at 2023-12-20 --stride 1d"), 2, &["--stride"]);
    let fill = "--task churn --horizon 3d --features kind,price --fill price=interpolate+median";
    fails(&train(fill), 2, &["interpolate", "what comes later"]);

    fs::write(folder.join("plain.csv"), "user,item,time\na,x,1\na,y,90000\nb,x,200000\n").unwrap();
    fails("train plain.csv --out m --task next-event", 1, &["--columns kind="]);
    let value = "train plain.csv --out m --task value --horizon 1d --buys every";
    fails(value, 1, &["money", "--columns price="]);
    fs::write(folder.join("timeless.csv"), "user,item\na,x\na,y\n").unwrap();
    fails("train timeless.csv --out m --task churn --horizon 1d", 2, &["--columns time="]);

    // A model of the next item answers nothing else, and one of tasks does not rank.
    let made = |out: &str, flags: &str| {
        let line = format!("train shop.csv --out {out} {flags} --epochs 1 --hidden 4 --quiet");
        assert_eq!(called(folder, &line).code, Some(0));
    };
    made("items", "");
    made("asked", "--task churn --horizon 3d");
    fails("predict items shop.csv --out p.csv", 2, &["--task purchase"]);
    fails("evaluate items shop.csv --at 2023-12-20", 2, &["--task purchase"]);
    fails("recommend asked --events i1", 1, &["--task next-item"]);
    fails("evaluate asked shop.csv --at 2024-02-01", 2, &["--at", "ends"]);
    fails("evaluate asked shop.csv --predictions p.csv", 2, &["predict"]);
    fails("predict asked shop.csv --out p.xls", 2, &[".jsonl"]);
    fails("predict asked shop.csv --at 2020-01-01 --out p.csv", 2, &["--at", "begins"]);
    fails("export asked --out m.onnx", 1, &["churn", "next-item alone"]);
    assert!(!folder.join("p.csv").exists());
}
