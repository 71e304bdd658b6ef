//! `tidegate inspect` as scripts and people call it: what it counts, assumes and suggests.

mod calls;

use std::fs;
use std::io::Write;
use std::process::Stdio;

use calls::{assert_keys, call, command};
use serde_json::Value;

#[test]
fn inspect_counts() {
    let folder = tempfile::tempdir().unwrap();
    let text = "user,item,time,event\na,x,1700000000,view\na,y,1700000010,view\n\
                b,x,1700000020,buy\na,x,1700099999,view\n";
    fs::write(folder.path().join("log.csv"), text).unwrap();
    let found = call(folder.path(), &["inspect", "log.csv", "--json"]).json();
    assert_keys(
        &found,
        &["columns", "lengths", "repeats", "left_aside", "notes", "first_bad_rows"],
    );
    let expected = serde_json::json!({
        "format": "csv", "rows": 4, "bad_rows": 0, "events": 4, "users": 2, "sessions": 3,
        "items": 2, "kinds": {"view": 3, "buy": 1},
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&found[key], value, "{key}");
    }
    assert!(found["first"].as_str().unwrap().starts_with("2023-11-14T22:13:20"));
    assert!(found["last"].as_str().unwrap().starts_with("2023-11-16T01:59:59"));
    let people = call(folder.path(), &["inspect", "log.csv"]);
    assert!(people.stdout.contains("sessions    3\n"), "{}", people.stdout);

    // The same from standard input.
    let mut child = command(folder.path(), &["inspect", "-", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let again: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(again["events"], 4);
}

/// What `--suggest` writes is a file for `--config`, and the log is read with it.
#[test]
fn inspect_suggests_what_columns_are_for() {
    let folder = tempfile::tempdir().unwrap();
    call(folder.path(), &["simulate", "--out", "log.csv", "--events", "3000", "--json"]).json();
    let known = call(folder.path(), &["inspect", "log.csv", "--json"]).json();
    let text = fs::read_to_string(folder.path().join("log.csv")).unwrap();
    let names = "user,session,time,kind,item,category,price";
    assert!(text.starts_with(names), "{}", &text[..80]);
    let text = text.replacen(names, "wer,besuch,moment,tat,ding,art,preis", 1);
    fs::write(folder.path().join("log.csv"), text).unwrap();
    call(folder.path(), &["inspect", "log.csv"]).fails(1);

    let told = call(folder.path(), &["inspect", "log.csv", "--suggest"]);
    assert_eq!(told.code, Some(0), "{}", told.stderr);
    fs::write(folder.path().join("log.toml"), &told.stdout).unwrap();
    let json = call(folder.path(), &["inspect", "log.csv", "--suggest", "--json"]).json();
    assert_eq!(json["toml"], told.stdout);
    for (role, column) in [("user", "wer"), ("item", "ding"), ("time", "moment")] {
        assert_eq!(json["columns"][role], column, "{}", told.stdout);
    }
    let found =
        call(folder.path(), &["inspect", "log.csv", "--config", "log.toml", "--json"]).json();
    for key in ["events", "users", "items", "first", "last"] {
        assert_eq!(found[key], known[key], "{key}");
    }
}

/// Zones, years and what a layout leaves aside come through flags and keys to the report.
#[test]
fn inspect_tells_what_it_assumed() {
    let folder = tempfile::tempdir().unwrap();
    let tmall =
        "user_id,item_id,cat_id,seller_id,brand_id,time_stamp,action_type\n1,2,3,4,5,829,0\n";
    fs::write(folder.path().join("log.csv"), tmall).unwrap();
    let found = call(folder.path(), &["inspect", "log.csv", "--json"]);
    assert!(found.stderr.contains("2014 is assumed"), "{}", found.stderr);
    assert_eq!(found.json()["first"], "2014-08-29T00:00:00Z");
    let flags = ["inspect", "log.csv", "--json", "--year", "2016", "--time-zone", "Asia/Shanghai"];
    let found = call(folder.path(), &flags).json();
    assert_eq!(
        (&found["first"], &found["notes"]),
        (&"2016-08-28T16:00:00Z".into(), &Value::Array(vec![]))
    );
    let wrong = call(folder.path(), &["inspect", "log.csv", "--time-zone", "Nowhere"]);
    assert!(wrong.fails(2).contains("--time-zone"));
    fs::write(folder.path().join("c.toml"), "[data]\nlabels = [\"brand_id\"]\nyear = 2015\n")
        .unwrap();
    let found = call(folder.path(), &["inspect", "log.csv", "--config", "c.toml", "--json"]).json();
    assert_eq!(
        (&found["further"][0]["words"], &found["first"]),
        (&1.into(), &"2015-08-29T00:00:00Z".into())
    );
    let people = call(folder.path(), &["inspect", "log.csv", "--config", "c.toml"]);
    assert!(people.stdout.contains("brand_id: 1 words, missing in 0"), "{}", people.stdout);
}

#[test]
fn inspect_says_what_a_header_was_taken_for() {
    let folder = tempfile::tempdir().unwrap();
    let text = "customer,when,sku\na,1700000000,x\na,1700000010,y\n";
    fs::write(folder.path().join("log.csv"), text).unwrap();
    let guessed = call(folder.path(), &["inspect", "log.csv", "--json"]);
    assert!(
        guessed.stderr.contains("--columns user=customer,item=sku,time="),
        "{}",
        guessed.stderr
    );
    let found = guessed.json();
    assert_eq!(found["columns"], serde_json::json!({"user": "customer", "item": "sku"}));
    assert_eq!(found["unused_columns"], serde_json::json!(["when"]));
    let columns = ["--columns", "user=customer,item=sku,time=when"];
    let named = call(folder.path(), &[&["inspect", "log.csv"][..], &columns].concat());
    assert!(named.stdout.contains("time = when"), "{}", named.stdout);
    assert_eq!(named.stderr, "");
    let verbose = call(folder.path(), &[&["inspect", "log.csv", "-v"][..], &columns].concat());
    assert!(verbose.stderr.contains("columns = \"user=customer"), "{}", verbose.stderr);
}

/// How suspicious a log is, and how its holes are best filled.
#[test]
fn inspect_counts_what_is_suspicious_and_scores_ways_to_fill() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = String::from("user,item,time,price\n");
    for k in 0..300 {
        let item = k % 7;
        text += &format!("u{},i{item},{},{}.5\n", k % 20, 1_700_000_000 + 100 * k, 10 * item);
    }
    text += "u1,i1,1700000100,10.5\n";
    fs::write(folder.path().join("log.csv"), text).unwrap();
    let ask = |flags: &str| {
        let line = format!("inspect log.csv {flags}");
        call(folder.path(), &line.split(' ').collect::<Vec<_>>())
    };
    let clean = &ask("--clean duplicates,day=9 --json").json()["clean"];
    let found = |k: usize| (clean[k]["events"].as_u64().unwrap(), &clean[k]["left_out"]);
    assert_eq!((found(0), found(1).0), ((1, &false.into()), 301), "{clean}");
    let people = ask("--clean duplicates");
    assert!(people.stdout.contains("duplicates:count: 1 events, counted"), "{}", people.stdout);

    let scores = ask("--score-fill price --json").json();
    for hidden in ["rows", "users"] {
        let of = |method: &str| {
            let all = scores["hidden"][hidden].as_array().unwrap();
            all.iter().find(|score| score["rule"] == format!("price={method}")).unwrap().clone()
        };
        assert_eq!(of("item")["exact"], 1.0, "{scores}");
        assert!(of("mean")["mean_absolute"].as_f64().unwrap() > 5.0, "{scores}");
    }
    assert!(ask("--score-fill price").stdout.contains("forward+median"));
    assert!(ask("--score-fill gap").fails(2).contains("--score-fill"));
    assert!(ask("--score-fill colour:label").fails(1).contains("no column \"colour\""));
}
