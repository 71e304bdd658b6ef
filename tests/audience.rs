//! Audiences through the real binary: whom a campaign changes is found, nothing leaks, money adds up, and
//! errors help.

mod calls;

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use calls::{assert_keys, call};
use serde_json::Value;

/// The moment of the treated shop's campaign, and the last second before it.
const AT: &str = "2026-04-30";
const BEFORE: &str = "2026-04-29T23:59:59";
/// A model that is trained in a second.
const SMALL: &str = "--hidden 24 --epochs 2";

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// A folder with a shop that has a campaign, and a model that has seen nothing from after its moment.
fn shop(users: u32, tasks: &str, size: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let line = format!(
        "simulate --out shop.csv --truth truth.csv --users {users} --shop treated --seed 2 --json"
    );
    let json = call(at, &words(&line)).json();
    assert_eq!(json["campaign"]["at"].as_str(), Some("2026-04-30T00:00:00Z"));
    assert_eq!(json["uplift"].as_str(), Some("truth-uplift.csv"));
    let line = format!(
        "train shop.csv --out m --until {BEFORE} --horizon 14d {tasks} --features kind,gap,price {size} \
         --quiet --json"
    );
    call(at, &words(&line)).json();
    folder
}

fn text(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The rows of a table by the names of its columns.
fn table(folder: &Path, name: &str) -> Vec<HashMap<String, String>> {
    let text = text(folder, name);
    let mut lines = text.lines().map(|line| line.split(',').map(str::to_owned));
    let head: Vec<String> = lines.next().unwrap().collect();
    lines.map(|cells| head.iter().cloned().zip(cells).collect()).collect()
}

fn number(row: &HashMap<String, String>, column: &str) -> f64 {
    row[column].parse().unwrap_or_else(|_| panic!("{column}: {row:?}"))
}

fn low(interval: &Value) -> f64 {
    interval["low"].as_f64().unwrap()
}

/// The simulator knows whom its voucher moves; the two models are told who had one, and find it out.
#[test]
fn whom_a_campaign_changes_is_found() {
    let folder = shop(5000, "--task next-item --task purchase", "--hidden 48 --epochs 6");
    let at = folder.path();
    let line = format!("audience m shop.csv --at {AT} --out a --resamples 200 --quiet --json");
    let json = call(at, &words(&line)).json();
    let trial = &json["trial"];
    assert_keys(trial, &["effect", "qini", "qini_by_prediction", "tenths", "warnings"]);
    assert_eq!((trial["column"].as_str(), trial["outside"].as_u64()), (Some("treated"), Some(0)));
    assert!(low(&trial["qini"]) > 0.01, "{}", trial["qini"]);
    assert!(low(&trial["ahead_of_prediction"]) > 0.0, "{}", trial["ahead_of_prediction"]);
    assert_eq!(trial["warnings"], Value::Array(Vec::new()));

    let types: HashMap<String, String> = table(at, "truth.csv")
        .into_iter()
        .map(|mut row| (row.remove("user").unwrap(), row.remove("type").unwrap()))
        .collect();
    let list = table(at, "a/audience.csv");
    assert_eq!(list.len(), 5000);
    let mean = |of: &str| {
        let own: Vec<f64> = list
            .iter()
            .filter(|row| types[&row["user"]] == of)
            .map(|r| number(r, "score"))
            .collect();
        own.iter().sum::<f64>() / own.len() as f64
    };
    for row in table(at, "truth-uplift.csv") {
        let (found, truth) = (mean(&row["type"]), number(&row, "uplift"));
        // Who has come once is no type for sure: means lie between the types'.
        assert!(
            (found - truth).abs() < 0.04 + 0.35 * truth.abs(),
            "{}: {found} {truth}",
            row["type"]
        );
    }
    let order = ["persuadable", "hesitant", "put-off"].map(mean);
    assert!(order.is_sorted_by(|a, b| a > b) && order[2] < -0.05, "{order:?}");

    // The list is the ranking, and whoever is put off is not on it.
    for (place, row) in list.iter().enumerate() {
        assert_eq!(number(row, "rank"), (place + 1) as f64);
        assert_eq!(number(row, "contact") == 1.0, number(row, "score") > 0.0, "{row:?}");
        let difference = number(row, "if_contacted") - number(row, "if_not");
        assert!((difference - number(row, "score")).abs() < 1e-6, "{row:?}");
    }
    assert!(list.is_sorted_by(|a, b| number(a, "score") >= number(b, "score")));
    let contacted = list.iter().filter(|row| row["contact"] == "1").count();
    assert_eq!(json["contacted"].as_u64(), Some(contacted as u64));
    assert_eq!(json["end"].as_str(), Some("break-even"));

    // Whole, and the same with other threads.
    let line = format!("audience m shop.csv --at {AT} --out b --resamples 200 --threads 2 --quiet");
    assert_eq!(call(at, &words(&line)).code, Some(0));
    for name in ["audience.csv", "audience.json", "report.html", "gain.svg"] {
        assert!(text(at, &format!("a/{name}")) == text(at, &format!("b/{name}")), "{name}");
    }
    assert_eq!(fs::read_dir(at.join("a")).unwrap().count(), 4);
    let page = text(at, "a/report.html");
    assert!(page.contains("Qini curve") && page.contains("Were both groups alike before?"));
    assert!(!page.contains("<script") && !page.contains("http:"));
}

/// What comes after the moment changes nothing but outcomes: other items, more looks, more users.
#[test]
fn nothing_after_the_moment_shows_in_a_score() {
    let folder = shop(600, "--task purchase", SMALL);
    let at = folder.path();
    let log = text(at, "shop.csv");
    let mut other = String::new();
    let mut known = String::new();
    for (number, line) in log.lines().enumerate() {
        let cells: Vec<&str> = line.split(',').collect();
        if number == 0 || cells[2] < AT {
            other += &format!("{line}\n");
            known += &format!("{line}\n");
            continue;
        }
        let mut changed = cells.clone();
        changed[4] = "chair-basic-1";
        changed[6] = "1.00";
        other += &format!("{}\n", changed.join(","));
        if cells[3] == "view" {
            // The same look again.
            other += &format!("{}\n", changed.join(","));
        }
    }
    other += "new,new.1,2026-05-02T00:00:00Z,purchase,lamp-basic-1,lamp,9.00,1\n";
    // So that its end is after the horizon, too.
    fs::write(at.join("other.csv"), other).unwrap();
    fs::write(at.join("known.csv"), known).unwrap();
    for log in ["shop", "other"] {
        let line = format!("audience m {log}.csv --at {AT} --out {log} --resamples 20 --quiet");
        assert_eq!(call(at, &words(&line)).code, Some(0));
    }
    let same = |a: &str, b: &str| text(at, a) == text(at, b);
    assert!(same("shop/audience.csv", "other/audience.csv"), "scores know what came after");

    // Without the trial, a log that ends with the moment gives the same list; with its column, a warning.
    for (log, more) in [("shop", "--treated -"), ("known", "")] {
        let line = format!("audience m {log}.csv --at {AT} --out p{log} --top 60 --quiet {more}");
        let done = call(at, &words(&line));
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        assert_eq!(done.stderr.contains("would have to go on to"), more.is_empty());
    }
    assert!(same("pshop/audience.csv", "pknown/audience.csv"), "answers know what came after");
    let page = text(at, "pshop/report.html");
    assert!(page.contains("that takes a trial") && !page.contains("Qini"));
}

#[test]
fn a_ranking_ends_where_money_or_wishes_say() {
    let tasks = "--task purchase --task count --task value --task churn";
    let folder = shop(400, tasks, SMALL);
    let at = folder.path();
    let audience = |more: &str| {
        let line = format!(
            "audience m shop.csv --at {AT} --out a --force --treated - {more} --json --quiet"
        );
        call(at, &words(&line)).json()
    };
    let json = audience("");
    assert_eq!((json["contacted"].as_u64(), json["end"].as_str()), (Some(40), Some("tenth")));
    assert_eq!((json["task"].as_str(), json["trial"].is_null()), (Some("purchase"), true));
    assert!(json["lift"].as_f64().unwrap() > 1.0 && json["profit"].is_null());
    let list = table(at, "a/audience.csv");
    let sum: f64 = list[..40].iter().map(|row| number(row, "purchase")).sum();
    assert!((json["expected"].as_f64().unwrap() - sum).abs() < 1e-3);

    let json = audience("--budget 30 --cost 1.5 --margin 0.4 --effect 0.5 --worth 80");
    assert_eq!((json["contacted"].as_u64(), json["end"].as_str()), (Some(20), Some("budget")));
    assert!((json["break_even"].as_f64().unwrap() - 1.5 / 16.0).abs() < 1e-12);
    let list = table(at, "a/audience.csv");
    for row in &list {
        let gain = 0.4 * 80.0 * 0.5 * number(row, "score") - 1.5;
        assert!((number(row, "gain") - gain).abs() < 1e-4, "{row:?}");
    }
    let profit: f64 = list[..20].iter().map(|row| number(row, "gain")).sum();
    assert!((json["profit"].as_f64().unwrap() - profit).abs() < 1e-3);
    let paying = list.iter().filter(|row| number(row, "gain") > 0.0).count();
    assert_eq!(json["paying"].as_u64(), Some(paying as u64));

    // Nobody is contacted at a loss, whatever was asked for.
    let json = audience("--top 400 --cost 1.5 --margin 0.4 --effect 0.5 --worth 80");
    assert_eq!(
        (json["contacted"].as_u64(), json["end"].as_str()),
        (Some(paying as u64), Some("break-even"))
    );

    // What money is worth comes from the log where nobody says it; leaving counts by what leaves.
    for (task, column) in [("value", "value"), ("count", "count"), ("churn", "churn")] {
        let json = audience(&format!("--task {task} --top 7 --cost 0.1 --effect 0.2"));
        assert_eq!(json["contacted"].as_u64(), Some(7), "{json}");
        assert!(json["terms"]["worth"].as_f64().unwrap() > 0.0);
        let list = table(at, "a/audience.csv");
        assert!(list[0].contains_key(column));
        let is_score = list.iter().all(|row| row["score"] == row[column]);
        assert_eq!(is_score, task != "churn");
    }

    let json = audience("--list mine.jsonl --top 3");
    assert!(json["list"].as_str().unwrap().ends_with("mine.jsonl"));
    let first: Value =
        serde_json::from_str(text(at, "a/mine.jsonl").lines().next().unwrap()).unwrap();
    assert_keys(&first, &["user", "rank", "score", "gain", "contact", "purchase"]);
    audience("--list mine.parquet --top 3");
    assert!(fs::read(at.join("a/mine.parquet")).unwrap().starts_with(b"PAR1"));
    // A settings file says the same.
    fs::write(at.join("a.toml"), "[audience]\ntop = 5\ntreated = \"-\"\nat = \"2026-04-30\"\n")
        .unwrap();
    let json =
        call(at, &words("audience m shop.csv --out t --config a.toml --json --quiet")).json();
    assert_eq!(json["contacted"].as_u64(), Some(5));
}

/// A trial in which staying away is the question, with what should make one careful.
#[test]
fn a_doubtful_trial_is_called_one() {
    let folder = shop(400, "--task churn", SMALL);
    let at = folder.path();
    let log = text(at, "shop.csv");
    let rewrite = |name: &str, flag: &dyn Fn(&[&str]) -> String| {
        let mut changed = String::new();
        for (number, line) in log.lines().enumerate() {
            let cells: Vec<&str> = line.split(',').collect();
            let last = if number == 0 { "voucher".to_owned() } else { flag(&cells) };
            changed += &format!("{},{last}\n", cells[..7].join(","));
        }
        fs::write(at.join(name), changed).unwrap();
    };
    let audience = |log: &str| {
        let line = format!(
            "audience m {log} --at {AT} --out a --force --treated voucher --resamples 20 --quiet"
        );
        call(at, &words(&line))
    };
    // Small, and drawn by nothing but chance.
    rewrite("small.csv", &|cells| if cells[7] == "1" { "yes".into() } else { "No".into() });
    let done = audience("small.csv");
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(
        done.stderr.contains("too few to tell") && !done.stderr.contains("not alike"),
        "{}",
        done.stderr
    );
    assert!(text(at, "a/report.html").contains("Careful: "));
    let figures: Value = serde_json::from_str(&text(at, "a/audience.json")).unwrap();
    assert_eq!(figures["trial"]["outcome"].as_str(), Some("event"));

    // Drawn by what users had done before: those who came first in the last month.
    let mut first: HashMap<&str, &str> = HashMap::new();
    for line in log.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        first.entry(cells[0]).or_insert(cells[2]);
    }
    rewrite("unlike.csv", &|cells| u8::from(first[cells[0]] > "2026-04-01").to_string());
    let done = audience("unlike.csv");
    assert!(
        done.stderr.contains("since_first_event") && done.stderr.contains("was it chance"),
        "{}",
        done.stderr
    );

    // Only rows after the moment say it, so those who stayed away are missing.
    rewrite("late.csv", &|cells| if cells[2] >= AT { cells[7].to_owned() } else { String::new() });
    let done = audience("late.csv");
    assert!(done.stderr.contains("none of them has come back"), "{}", done.stderr);
    let half = |cells: &[&str]| cells[0].len() < 4;
    rewrite("half.csv", &|cells| if half(cells) { String::new() } else { cells[7].to_owned() });
    let done = audience("half.csv");
    assert!(done.stderr.contains("of 99 users nobody knows"), "{}", done.stderr);
    let outside = table(at, "a/audience.csv").into_iter().filter(|row| row["treated"].is_empty());
    assert_eq!(outside.count(), 99);

    // Words that mean nothing, users who are both.
    rewrite("words.csv", &|_| "perhaps".to_owned());
    assert!(audience("words.csv").fails(1).contains("\"perhaps\" is neither yes nor no"));
    rewrite("both.csv", &|cells| u8::from(cells[2] >= AT).to_string());
    assert!(audience("both.csv").fails(1).contains("in some rows and not in others"));
    rewrite("all.csv", &|_| "1".to_owned());
    assert!(audience("all.csv").fails(1).contains("none of the 0 untreated users"));
}

#[test]
fn what_cannot_be_done_says_why_and_leaves_nothing() {
    let folder = shop(120, "--task purchase", SMALL);
    let at = folder.path();
    fs::create_dir(at.join("full")).unwrap();
    fs::write(at.join("full/mine.txt"), "keep").unwrap();
    let line =
        format!("train shop.csv --out plain --until {BEFORE} --hidden 8 --epochs 1 --quiet --json");
    call(at, &words(&line)).json();
    let line = format!(
        "train shop.csv --out seen --until {BEFORE} --horizon 14d --task purchase --features treated:label --hidden 8 \
         --epochs 1 --quiet --json"
    );
    call(at, &words(&line)).json();
    for (line, code, part) in [
        ("audience m shop.csv", 2, "--out DIR is missing"),
        ("audience m --out a", 2, "no LOG"),
        ("audience m shop.csv --out full", 2, "--force"),
        ("audience m shop.csv --out shop.csv", 2, "shop.csv"),
        ("audience m shop.csv --out a --list audience.txt", 2, ".csv, .jsonl or .parquet"),
        ("audience m shop.csv --out a --list ../b.csv", 2, "a file of the folder"),
        ("audience m shop.csv --out a --task churn", 2, "does not answer it; it answers purchase"),
        ("audience m shop.csv --out a --top 0", 2, "--top"),
        ("audience m shop.csv --out a --budget 5", 2, "--cost"),
        ("audience m shop.csv --out a --cost -1", 2, "money, 0 or more"),
        ("audience m shop.csv --out a --treated - --cost 1", 2, "--effect 0.1"),
        ("audience m shop.csv --out a --at 2026-04-30 --effect 0.1", 2, "leave --effect out"),
        ("audience m shop.csv --out a --at 2020-01-01", 2, "the log begins"),
        ("audience m shop.csv --out a --treated coupon", 2, "no such column"),
        ("audience m shop.csv --out a --treated treated", 2, "would have to go on to"),
        ("audience plain shop.csv --out a", 2, "--task purchase"),
        ("audience seen shop.csv --out a --at 2026-04-30", 2, "sees this column"),
        ("audience nowhere shop.csv --out a", 1, "no such folder"),
    ] {
        let failed = call(at, &words(line));
        assert!(failed.fails(code).contains(part), "{line}: {}", failed.stderr);
        assert!(!at.join("a").exists() && !at.join("a.partial").exists(), "{line}");
    }
    let line =
        format!("audience m shop.csv --at {AT} --treated - --out full --force --top 2 --quiet");
    assert_eq!(call(at, &words(&line)).code, Some(0));
    assert_eq!(text(at, "full/mine.txt"), "keep");
}
