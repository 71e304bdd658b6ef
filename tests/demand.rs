//! How much of each item will be bought, through the real binary: what is written, what it is worth, that
//! nothing after a date is looked at.

mod calls;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use calls::{Called, assert_keys, call};

const DAY: i64 = 24 * 60 * 60;

/// A number below a bound that looks drawn.
fn draw(k: i64, below: i64) -> i64 {
    let mixed = (k as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33) % below as u64) as i64
}

/// A shop of 168 days until `days`: half of the users buy red items; the others come after 100 days and buy
/// blue ones. Everybody comes every five to nine days, buys two or three items, and looks at green ones, which
/// nobody buys.
fn write(folder: &Path, name: &str, days: i64) {
    let mut events = Vec::new();
    for user in 0..80i64 {
        let mut day = if user % 2 == 0 { draw(user, 7) } else { 100 + draw(user, 7) };
        while day < days {
            for k in 0..2 + draw(user * 7 + day, 2) {
                // Of ten items the first ones more often.
                let item = draw(user * 131 + day * 17 + k, 10) * draw(user + day * 29 + k, 10) / 10;
                let color = ["red", "blue"][(user % 2) as usize];
                events.push((day * DAY + 60 * k, user, "buy", format!("{color}{item}"), color));
            }
            let item = format!("green{}", draw(user + day, 5));
            events.push((day * DAY + 900, user, "view", item, "green"));
            day += 5 + draw(user * 61 + day, 5);
        }
    }
    events.sort();
    let mut text = "user,time,kind,item,category\n".to_owned();
    for (time, user, kind, item, color) in events {
        // The log begins 2023-11-15T00:00:00Z.
        writeln!(text, "u{user},{},{kind},{item},{color}", 1_700_006_400 + 36_000 + time).unwrap();
    }
    fs::write(folder.join(name), text).unwrap();
}

fn called(folder: &Path, line: &str) -> Called {
    call(folder, &line.split_whitespace().collect::<Vec<_>>())
}

/// Rows of a table by their first cell.
fn rows(folder: &Path, name: &str) -> (String, BTreeMap<String, Vec<f64>>) {
    let text = fs::read_to_string(folder.join(name)).unwrap();
    let (head, rest) = text.split_once('\n').unwrap();
    let row = |line: &str| {
        let (name, numbers) = line.split_once(',').unwrap();
        (name.to_owned(), numbers.split(',').map(|x| x.parse().unwrap()).collect())
    };
    (head.to_owned(), rest.lines().map(row).collect())
}

/// 140 days after the log begins.
const AT: &str = "2024-04-03";
const SMALL: &str = "--hidden 16 --epochs 15 --learning-rate 0.01 --seed 2 --quiet";

#[test]
fn demand_is_written_and_scored() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(folder, "all.csv", 168);
    write(folder, "seen.csv", 140);
    let line =
        format!("train seen.csv --out m --task count --task next-item --horizon 14d {SMALL}");
    assert_eq!(called(folder, &line).code, Some(0));
    let line = format!("demand m all.csv --at {AT} --out d.csv --json");
    let told = called(folder, &line).json();
    assert_keys(&told, &["model", "file", "at", "horizon_s", "items", "total", "mix", "figures"]);
    let figures = &told["figures"];
    assert_keys(&figures["by"], &["model", "late", "head", "seasonal", "last"]);
    let of = |by: &str, figure: &str| figures["by"][by][figure].as_f64().unwrap();
    // Blue things have begun to sell, which no mean of earlier windows knows.
    assert!(of("model", "wape") < of("seasonal", "wape"), "{figures}");
    assert!(figures["gains"]["wape"]["over"] == "last", "{figures}");
    assert!(of("model", "bias_of_total").abs() < 0.15, "{figures}");
    assert!(of("head", "spearman") > 0.3, "{figures}");
    assert!(figures["inside_interval"].as_f64().unwrap() > 0.6, "{figures}");

    let (head, items) = rows(folder, "d.csv");
    assert_eq!(head, "item,purchases,p10,p90,seasonal,last");
    // What nobody has ever bought has no row.
    assert!(items.keys().all(|item| item.starts_with("red") || item.starts_with("blue")));
    assert_eq!(told["items"].as_u64(), Some(items.len() as u64));
    let total: f64 = items.values().map(|row| row[0]).sum();
    assert!((total / told["total"].as_f64().unwrap() - 1.0).abs() < 1e-5);
    assert!(items.values().all(|row| 0.0 <= row[1] && row[1] <= row[2]), "{items:?}");
    let (head, categories) = rows(folder, "d.categories.csv");
    assert_eq!(head, "category,purchases,seasonal,last");
    let red: f64 =
        items.iter().filter(|(item, _)| item.starts_with("red")).map(|(_, row)| row[0]).sum();
    assert!((categories["red"][0] - red).abs() < 1e-3 * red, "{categories:?}");
    assert!(!categories.contains_key("green"), "{categories:?}");

    // What comes after the date changes nothing, nor do threads; and other files say the same.
    for (log, out, flags) in [("seen", "s.csv", ""), ("all", "t.csv", "--threads 1")] {
        let line = format!("demand m {log}.csv --at {AT} --out {out} {flags} --quiet");
        assert_eq!(called(folder, &line).code, Some(0));
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
        assert!(read(out) == read("d.csv"), "{log}");
    }
    for out in ["d.jsonl", "d.parquet"] {
        let line = format!("demand m all.csv --at {AT} --out {out} --quiet");
        assert_eq!(called(folder, &line).code, Some(0));
    }
    let text = fs::read_to_string(folder.join("d.jsonl")).unwrap();
    let first: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let item = first["item"].as_str().unwrap();
    assert!((first["purchases"].as_f64().unwrap() - items[item][0]).abs() < 1e-3);
    let seen = called(folder, "inspect d.parquet --columns user=item,item=item --json").json();
    assert_eq!(seen["rows"].as_u64(), Some(items.len() as u64));
}

/// A model that is rolled forward looks as far as it is asked, and shares out by late sales.
#[test]
fn a_model_on_a_grid_looks_as_far_as_it_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(folder, "all.csv", 168);
    let line = format!(
        "train all.csv --until 2024-04-02 --out m --task purchase --horizon 14d --grid day --paths 40 {SMALL}"
    );
    assert_eq!(called(folder, &line).code, Some(0));
    let total = |horizon: &str| {
        let line = format!("demand m all.csv --at {AT} --horizon {horizon} --out d.csv --json");
        let told = called(folder, &line).json();
        assert!(told["figures"]["by"].get("head").is_none(), "{told}");
        assert_eq!(told["mix"]["weights"][1].as_f64(), Some(0.0));
        let bias = told["figures"]["by"]["model"]["bias_of_total"].as_f64().unwrap();
        assert!(bias.abs() < 0.2, "{told}");
        told["total"].as_f64().unwrap()
    };
    let (one, two) = (total("14d"), total("27d"));
    assert!((1.6..=2.4).contains(&(two / one)), "{one} {two}");
}

#[test]
fn demand_that_cannot_be_told() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(folder, "shop.csv", 60);
    let made = |out: &str, flags: &str| {
        let line = format!("train shop.csv --out {out} {flags} --hidden 4 --epochs 1 --quiet");
        assert_eq!(called(folder, &line).code, Some(0));
    };
    made("items", "");
    made("churn", "--task churn --horizon 7d");
    made("m", "--task count --horizon 7d");
    let fails = |line: &str, code: i32, parts: &[&str]| {
        let called = called(folder, line);
        let message = called.fails(code);
        for part in parts {
            assert!(message.contains(part), "{line}: {part} is missing in {message}");
        }
        assert!(!folder.join("d.csv").exists(), "{line}");
    };
    fails("demand items shop.csv --out d.csv", 2, &["--task purchase"]);
    fails("demand churn shop.csv --out d.csv", 2, &["--task count"]);
    fails("demand m shop.csv --out d.csv --horizon 9d", 2, &["7.00 days", "--grid"]);
    fails("demand m shop.csv --out d.csv --at 2020-01-01", 2, &["--at", "begins"]);
    fails("demand m shop.csv --out d.txt", 2, &[".parquet"]);
    fails("demand m shop.csv", 2, &["--out"]);
    fs::write(folder.join("looks.csv"), "user,time,kind,item\na,1700006400,view,red1\n").unwrap();
    fails("demand m looks.csv --out d.csv", 1, &["purchase"]);
}
