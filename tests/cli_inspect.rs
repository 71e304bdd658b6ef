//! `tidegate inspect` as scripts and people call it: what it counts, assumes and suggests.

mod calls;

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use calls::{Called, assert_keys, call, command};
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
    assert!(people.stdout.contains("of events after the first of their session, 0"));

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

/// A page takes the place of nothing that is read, and does not come among it.
#[test]
fn a_page_is_no_part_of_what_it_is_about() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::create_dir_all(folder.join("logs/2024")).unwrap();
    let text = "session,item\n1,a\n1,b\n2,a\n2,c\n";
    fs::write(folder.join("logs/2024/log.csv"), text).unwrap();
    fs::write(folder.join("c.toml"), "[data]\nlogs = [\"logs\"]\n").unwrap();
    call(folder, &["prepare", "logs", "--out", "data", "--json"]).json();
    let before = fs::read(folder.join("data/events.parquet")).unwrap();
    for (log, page) in [
        ("logs", "logs/2024/log.csv"),
        ("logs", "logs/page.html"),
        ("logs", "c.toml"),
        ("data", "data/events.parquet"),
        ("data", "data/page.html"),
    ] {
        let refused = call(folder, &["inspect", log, "--config", "c.toml", "--report", page]);
        assert!(refused.fails(2).contains("read"), "{page}: {}", refused.stderr);
    }
    assert_eq!(fs::read_to_string(folder.join("logs/2024/log.csv")).unwrap(), text);
    assert_eq!(fs::read(folder.join("data/events.parquet")).unwrap(), before);
    assert_eq!(fs::read_dir(folder.join("logs")).unwrap().count(), 1);
    call(folder, &["inspect", "logs", "--report", "page.html", "--json"]).json();
}

/// Ctrl-C is answered with a word, and what was half done is gone.
#[cfg(unix)]
#[test]
fn an_interrupt_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, unfinished) in [
        (["prepare", "-", "--out", "data"], "data.partial"),
        (["inspect", "-", "--report", "page.html"], "page.html.partial"),
    ] {
        let mut child = command(folder.path(), &arguments)
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(b"session,item\n1,a\n1,b\n").unwrap();
        let unfinished = folder.path().join(unfinished);
        while !unfinished.exists() {
            assert!(child.try_wait().unwrap().is_none(), "it has ended before");
            std::thread::sleep(Duration::from_millis(5));
        }
        let process = child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &process]).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        drop(stdin);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(130), "{stderr}");
        assert_eq!(stderr, "stopped; nothing was left\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
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

/// A log whose names are marks of HTML, with every column and a bot.
fn hostile() -> String {
    let mut text = String::from("user,item,time,event,price,colour\n");
    for k in 0..2000 {
        let (user, item) = (k / 5 % 23, k * 7 % 31);
        let price = if k % 4 == 0 { String::new() } else { format!("{item}.5") };
        let kind = ["<b>view</b>", "view", "cart", "buy"][k % 4];
        let time = 1_700_000_000 + 700 * k;
        text += &format!("u{user},<script>alert({item})</script>,{time},{kind},{price},red&'\n");
    }
    for k in 0..1500 {
        text += &format!("<img src=x>,i,{},view,1,blue\n", 1_700_000_000 + 2 * k);
    }
    text + "u1,i,never,view,1,\"<i>bad\"\n"
}

fn inspect(folder: &std::path::Path, flags: &str) -> Called {
    let line = format!("inspect log.csv {flags}");
    call(folder, &line.split(' ').collect::<Vec<_>>())
}

#[test]
fn the_page_of_a_log_is_one_file_and_escapes_what_it_shows() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("log.csv"), hostile()).unwrap();
    let said = inspect(folder, "--report page.html --features colour:label --time-zone Asia/Tokyo");
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    assert!(said.stdout.contains("The page is page.html") && said.stdout.contains("format"));
    let html = fs::read_to_string(folder.join("page.html")).unwrap();
    for id in [
        "log",
        "advice",
        "time",
        "sessions",
        "items",
        "repeats",
        "kinds",
        "columns",
        "suspicious",
        "rows",
    ] {
        assert!(html.contains(&format!("<section id=\"{id}\">")), "{id}");
    }
    for part in [
        "http:", "https:", "<script", "<img", "<i>", "<b>view", " src=\"", "url(", "@import", "NaN",
    ] {
        assert!(!html.contains(part), "{part}");
    }
    assert!(html.contains("&lt;script&gt;alert(") && html.contains("Asia/Tokyo"));
    assert!(
        html.contains("--clean ") && html.contains("hour=300") && html.contains("--fill price")
    );
    let again =
        inspect(folder, "--report again.html --features colour:label --time-zone Asia/Tokyo");
    assert_eq!(again.code, Some(0));
    assert_eq!(html, fs::read_to_string(folder.join("again.html")).unwrap());
}

#[test]
fn the_figures_of_the_page_are_json_too() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("log.csv"), hostile()).unwrap();
    let called = inspect(folder.path(), "--json");
    assert!(called.stdout.len() < 60_000, "{}", called.stdout.len());
    let report = &called.json()["report"];
    assert_keys(
        report,
        &[
            "calendar",
            "lengths",
            "pauses",
            "popularity",
            "novelty",
            "repeats",
            "kinds",
            "columns",
            "suspicious",
            "advice",
        ],
    );
    let bins = report["calendar"]["bins"].as_array().unwrap();
    let events: u64 = bins.iter().map(|bin| bin.as_u64().unwrap()).sum();
    assert_eq!((events, &report["calendar"]["unit"]), (3500, &"day".into()));
    assert_eq!(report["suspicious"]["busiest"][0]["name"], "user <img src=x>");
    let people = inspect(folder.path(), "--report page.html --json");
    assert_eq!(people.json()["report_file"], "page.html");
}

/// As with every file of results: whole or not at all, and never in the place of what is read.
#[test]
fn a_page_takes_no_other_place() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("log.csv"), hostile()).unwrap();
    fs::create_dir(folder.join("dir")).unwrap();
    assert!(inspect(folder, "--report log.csv").fails(2).contains("this file is read, too"));
    assert!(inspect(folder, "--report dir").fails(2).contains("--report"));
    assert!(inspect(folder, "--report -").fails(2).contains("not to stdout"));
    assert!(inspect(folder, "--report none/page.html").fails(1).contains("cannot be written"));
    inspect(folder, "--report page.html --suggest").fails(2);
    assert_eq!(fs::read_to_string(folder.join("log.csv")).unwrap(), hostile());

    fs::write(folder.join("page.html"), "an earlier page").unwrap();
    inspect(folder, "--report page.html --max-bad 0").fails(1);
    assert_eq!(fs::read_to_string(folder.join("page.html")).unwrap(), "an earlier page");
    assert_eq!(inspect(folder, "--report page.html").code, Some(0));
    assert!(fs::read_to_string(folder.join("page.html")).unwrap().starts_with("<!doctype html>"));
    let mut left: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["dir", "log.csv", "page.html"]);
}

/// What the page advises is a command that trains.
#[test]
fn advice_can_be_typed_as_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("log.csv"), hostile()).unwrap();
    let report = inspect(folder.path(), "--json").json();
    let mut line = vec!["train", "log.csv", "--out", "model", "--epochs", "1", "--hidden", "4"];
    let mut joined = std::collections::BTreeMap::<&str, Vec<&str>>::new();
    for advice in report["report"]["advice"].as_array().unwrap() {
        let flag = advice["flag"].as_str().unwrap();
        joined.entry(flag).or_default().push(advice["value"].as_str().unwrap());
    }
    assert!(joined.len() >= 3, "{joined:?}");
    let joined: Vec<(&str, String)> =
        joined.into_iter().map(|(flag, values)| (flag, values.join(","))).collect();
    line.extend(joined.iter().flat_map(|(flag, value)| [*flag, value.as_str()]));
    let trained = call(folder.path(), &line);
    assert_eq!(trained.code, Some(0), "{line:?}: {}", trained.stderr);
}

/// Ids and kinds are anybody's: what moves a cursor is shown by its number.
#[test]
fn names_of_a_log_do_not_move_the_cursor() {
    let folder = tempfile::tempdir().unwrap();
    let text =
        "user,item,time,event,\u{1b}[1A\na,x,1700000000,\u{1b}[2Jview,1\na,y,1700000010,buy,2\n";
    fs::write(folder.path().join("log.csv"), text).unwrap();
    let people = call(folder.path(), &["inspect", "log.csv"]);
    assert_eq!(people.code, Some(0), "{}", people.stderr);
    assert!(!people.stdout.contains('\u{1b}'), "{:?}", people.stdout);
    assert!(people.stdout.contains("\\u{1b}[2Jview") && people.stdout.contains("\\u{1b}[1A"));
}

/// A path that is no text is one all the same.
#[test]
#[cfg(target_os = "linux")]
fn a_page_may_have_any_name() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("log.csv"), "user,item,time\na,x,1700000000\na,y,1700000010\n")
        .unwrap();
    let name = OsStr::from_bytes(b"page-\xff.html");
    let output = command(folder.path(), &["inspect", "log.csv", "--json", "--report"])
        .arg(name)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["report_file"], "page-\u{fffd}.html");
    assert!(folder.path().join(name).is_file());
}
