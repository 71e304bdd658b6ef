//! `recommend` for one user and for all, and what its rules take out of a ranking.

mod calls;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use calls::{assert_keys, call};
use serde_json::Value;

/// 12 items in 3 categories; 30 users who look at some in turns, some of which they buy. Nobody buys the
/// items 1, 5 and 9.
fn log() -> String {
    let mut text = "who,what,when,how,where,price\n".to_owned();
    for user in 0..30u32 {
        for visit in 0..3u32 {
            for k in 0..4 + user % 3 {
                let item = (5 * user + 7 * visit + k * (1 + user % 2)) % 12;
                let buys = (user + item) % 5 == 0 && item % 4 != 1;
                let kind = if buys { "buy" } else { "view" };
                let time = 1_700_000_000 + 864_000 * visit + 1000 * user + 60 * k;
                text += &format!("u{user},item {item},{time},{kind},c{},{}\n", item % 3, 1 + item);
            }
        }
    }
    text
}

const COLUMNS: [&str; 2] =
    ["--columns", "user=who,item=what,time=when,kind=how,category=where,price=price"];

/// A trained model beside its log, once for all tests.
fn shop() -> &'static Path {
    static SHOP: OnceLock<tempfile::TempDir> = OnceLock::new();
    let made = SHOP.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        fs::write(path.join("log.csv"), log()).unwrap();
        // What a model sees of an event must be the same for one user as for all.
        let train = ["train", "log.csv", "--out", "model", "--hidden", "8", "--epochs", "2"];
        let more = ["--features", "kind,gap,price", "--quiet"];
        let called = call(path, &[&train[..], &more, &COLUMNS].concat());
        assert_eq!(called.code, Some(0), "{}", called.stderr);
        folder
    });
    made.path()
}

/// Items and scores for one user.
fn one(flags: &[&str]) -> Vec<(String, f64)> {
    let recommend = ["recommend", "model", "--log", "log.csv", "--json", "--quiet"];
    items(&call(shop(), &[&recommend[..], &COLUMNS, flags].concat()).json())
}

fn items(answer: &Value) -> Vec<(String, f64)> {
    let item =
        |item: &Value| (item["item"].as_str().unwrap().to_owned(), item["score"].as_f64().unwrap());
    answer["items"].as_array().unwrap().iter().map(item).collect()
}

fn names(items: &[(String, f64)]) -> Vec<&str> {
    items.iter().map(|item| item.0.as_str()).collect()
}

/// The whole ranking of a user: all 12 items.
fn ranking(user: &str) -> Vec<(String, f64)> {
    let all = one(&["--user", user, "-k", "12"]);
    assert_eq!(all.len(), 12);
    all
}

/// Of each user the items that they have had an event with, and bought.
fn history() -> BTreeMap<String, (Vec<String>, Vec<String>)> {
    let mut found: BTreeMap<String, (Vec<String>, Vec<String>)> = BTreeMap::new();
    for line in log().lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let entry = found.entry(cells[0].to_owned()).or_default();
        entry.0.push(cells[1].to_owned());
        if cells[3] == "buy" {
            entry.1.push(cells[1].to_owned());
        }
    }
    found
}

/// Runs `--all` into a file of its own and returns its text.
fn all(name: &str, flags: &[&str]) -> String {
    let recommend = ["recommend", "model", "--log", "log.csv", "--all", "--out", name, "--quiet"];
    let called = call(shop(), &[&recommend[..], &COLUMNS, flags].concat());
    assert_eq!(called.code, Some(0), "{}", called.stderr);
    fs::read_to_string(shop().join(name)).unwrap()
}

/// With rules of every sort, so that none looks at the users beside.
#[test]
fn everyone_gets_what_they_get_alone() {
    let rules = ["-k", "5", "--bought", "drop", "--per-category", "2"];
    let text = all("same.jsonl", &rules);
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 30);
    for (number, line) in lines.iter().enumerate() {
        let user = format!("u{number}");
        assert_eq!(line["user"], user.as_str());
        assert_eq!(items(line), one(&[&rules[..], &["--user", &user]].concat()), "{user}");
    }
    let table = all("same.csv", &rules);
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(rows[0][..5], ["user", "item_1", "score_1", "item_2", "score_2"]);
    assert_eq!((rows.len(), rows[0].len()), (31, 11));
    for (row, line) in rows[1..].iter().zip(&lines) {
        assert_eq!(row[0], line["user"]);
        for (place, (item, score)) in items(line).iter().enumerate() {
            assert_eq!(row[1 + 2 * place], item);
            assert_eq!(row[2 + 2 * place].parse::<f32>().unwrap(), *score as f32);
        }
        assert_eq!(row.len(), 11);
    }
}

/// What is left keeps its order and its probabilities, and what is below moves up.
#[test]
fn seen_and_bought_items_are_dropped() {
    for (user, (seen, bought)) in history().iter().take(8) {
        let all = ranking(user);
        let without = |gone: &[String]| -> Vec<(String, f64)> {
            all.iter().filter(|item| !gone.contains(&item.0)).take(4).cloned().collect()
        };
        let asked = |flags: &[&str]| one(&[&["--user", user, "-k", "4"], flags].concat());
        assert_eq!(asked(&[]), without(&[]));
        assert_eq!(asked(&["--seen", "keep"]), without(&[]));
        assert_eq!(asked(&["--seen", "drop"]), without(seen));
        assert_eq!(asked(&["--bought", "drop"]), without(bought));
        assert_eq!(asked(&["--bought", "drop", "--buys", "view,buy"]), without(seen));
        assert_eq!(asked(&["--bought", "drop", "--buys", "every"]), without(seen));
    }
    // Where nobody is named, it is the user of the last session.
    let (last, (seen, _)) = history().into_iter().find(|entry| entry.0 == "u29").unwrap();
    let unnamed = one(&["--seen", "drop", "-k", "12"]);
    assert_eq!(unnamed, one(&["--seen", "drop", "-k", "12", "--user", &last]));
    assert!(unnamed.iter().all(|item| !seen.contains(&item.0)));
}

#[test]
fn lists_say_what_may_be_shown() {
    let path = shop();
    fs::write(path.join("stock.txt"), "item 3\nitem 7\r\n\nitem 11\nitem 4\n").unwrap();
    fs::write(path.join("never.txt"), "\u{feff}item 7\n").unwrap();
    let all = ranking("u3");
    let among = |allowed: &[&str]| -> Vec<(String, f64)> {
        all.iter().filter(|item| allowed.contains(&item.0.as_str())).cloned().collect()
    };
    let user = ["--user", "u3"];
    let stock = ["--allow", "stock.txt"];
    let asked = |flags: &[&str]| one(&[&user[..], flags].concat());
    assert_eq!(asked(&stock), among(&["item 3", "item 7", "item 11", "item 4"]));
    let both = [&stock[..], &["--deny", "never.txt"]].concat();
    assert_eq!(asked(&both), among(&["item 3", "item 11", "item 4"]));
    assert_eq!(asked(&[&both[..], &["-k", "1"]].concat()).len(), 1);
    // Fewer than asked for are fewer, and said to be.
    let recommend = ["recommend", "model", "--log", "log.csv", "-k", "5", "--json"];
    let called = call(path, &[&recommend[..], &COLUMNS, &stock].concat());
    assert!(called.stderr.contains("leave 4 items of the 5 asked for"), "{}", called.stderr);
    let text = all_rows("few.csv", &[&stock[..], &["-k", "6"]].concat());
    assert!(text.iter().all(|row| row.len() == 13 && row[9..].iter().all(String::is_empty)));
    // Without a log, too.
    let called = call(
        path,
        &["recommend", "model", "--events", "nothing", "--allow", "stock.txt", "--json"],
    );
    assert_eq!(items(&called.json()).len(), 4);
}

fn all_rows(name: &str, flags: &[&str]) -> Vec<Vec<String>> {
    let text = all(name, flags);
    text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

#[test]
fn categories_are_limited_and_chosen() {
    let category = |item: &str| item.rsplit(' ').next().unwrap().parse::<u32>().unwrap() % 3;
    let all = ranking("u4");
    let mut taken = [0; 3];
    let limited: Vec<_> = all
        .iter()
        .filter(|item| {
            let taken = &mut taken[category(&item.0) as usize];
            *taken += 1;
            *taken <= 1
        })
        .cloned()
        .collect();
    let user = ["--user", "u4"];
    let asked = |flags: &[&str]| one(&[&user[..], flags].concat());
    assert_eq!(limited.len(), 3);
    assert_eq!(asked(&["--per-category", "1"]), limited);
    assert_eq!(asked(&["--per-category", "4"]), all);
    let only = |wanted: &[u32]| -> Vec<(String, f64)> {
        all.iter().filter(|item| wanted.contains(&category(&item.0))).cloned().collect()
    };
    assert_eq!(asked(&["--only-category", "c2"]), only(&[2]));
    assert_eq!(asked(&["--only-category", "c2", "--only-category", "c0"]), only(&[0, 2]));
    // A table takes the log's place: here the categories are other ones, and some items have none.
    let table = (0..12).map(|k| format!("item {k},{}\n", if k < 6 { "low" } else { "" }));
    let table = format!("id,shelf\n{}", table.collect::<String>());
    fs::write(shop().join("items.csv"), table).unwrap();
    let table = ["--item-table", "items.csv", "--category-column", "shelf"];
    let low = |item: &str| item.rsplit(' ').next().unwrap().parse::<u32>().unwrap() < 6;
    let found = asked(&[&table[..], &["--only-category", "low"]].concat());
    assert!(found.len() == 6 && found.iter().all(|item| low(&item.0)));
    // Of those without a category there may be any number.
    let found = asked(&[&table[..], &["--per-category", "1"]].concat());
    let first = all.iter().position(|item| low(&item.0)).unwrap();
    let expected = all.iter().enumerate().filter(|(k, item)| *k == first || !low(&item.0));
    assert_eq!(found, expected.map(|(_, item)| item.clone()).collect::<Vec<_>>());
}

#[test]
fn only_items_that_had_events_of_a_kind() {
    let bought: Vec<String> = history().into_values().flat_map(|user| user.1).collect();
    let all = ranking("u5");
    let expected: Vec<_> = all.iter().filter(|item| bought.contains(&item.0)).cloned().collect();
    assert_eq!(expected.len(), 9);
    assert_eq!(one(&["--user", "u5", "--only-kind", "buy"]), expected);
    assert_eq!(one(&["--user", "u5", "--only-kind", "buy", "--only-kind", "view"]), all);
}

/// A user whose last session the model knows nothing of gets what is popular, by the same rules.
#[test]
fn strangers_get_what_is_popular_by_the_same_rules() {
    let path = shop();
    let new = "who,what,when,how,where,price\nn1,new,1700000000,view,c9,1\nn2,item 3,1700000000,view,c0,1\n";
    fs::write(path.join("new.csv"), new).unwrap();
    fs::write(path.join("some.txt"), "item 3\nitem 5\nitem 6\n").unwrap();
    let flags = ["--log", "new.csv", "--allow", "some.txt", "--seen", "drop"];
    let recommend =
        |more: &[&str]| call(path, &[&["recommend", "model"], &flags[..], &COLUMNS, more].concat());
    let called = recommend(&["--all", "--out", "new.jsonl", "--json"]);
    let result = called.json();
    assert_keys(&result, &["model", "file", "users", "k", "wall_s", "peak_rss"]);
    assert_eq!((&result["users"], &result["file"]), (&2.into(), &"new.jsonl".into()));
    assert!(called.stderr.contains("of 1 users the model knows no item"), "{}", called.stderr);
    let text = fs::read_to_string(path.join("new.jsonl")).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(names(&items(&lines[0])).len(), 3);
    assert_eq!(items(&lines[0]), items(&recommend(&["--user", "n1", "--json"]).json()));
    assert_eq!(items(&lines[1]), items(&recommend(&["--user", "n2", "--json"]).json()));
    assert!(!names(&items(&lines[1])).contains(&"item 3"));
}

#[test]
fn mistakes_are_named_with_their_remedies() {
    let path = shop();
    fs::write(path.join("none.txt"), "something\n").unwrap();
    let log = ["recommend", "model", "--log", "log.csv"];
    let events = ["recommend", "model", "--events", "item 1"];
    for (base, flags, code, part) in [
        (&log[..], &["--all"][..], 2, "--all needs --out FILE"),
        (&log[..], &["--all", "--out", "a.txt"], 2, "end in .csv or .jsonl"),
        (&log[..], &["--out", "a.csv"], 2, "--out is for --all"),
        (&log[..], &["--all", "--out", "log.csv"], 2, "this file is read, too"),
        (&log[..], &["--all", "--user", "u1"], 2, "cannot be used with"),
        (&log[..], &["--seen", "hide"], 2, "keep, drop"),
        (&log[..], &["--per-category", "0"], 2, "--per-category"),
        (&log[..], &["--buys", "buy"], 2, "--bought drop"),
        (&log[..], &["--allow", "no.txt"], 1, "--allow no.txt: cannot be read"),
        (&log[..], &["--only-kind", "cart"], 1, "there is no such kind of event; there are"),
        (&log[..], &["--only-category", "c7"], 1, "there is no such category; there are c"),
        (&log[..], &["--per-category", "1", "--item-table", "log.csv"], 1, "no column"),
        (&events[..], &["--bought", "drop"], 2, "give --log LOG"),
        (&events[..], &["--only-kind", "buy"], 2, "give --log LOG"),
        (&events[..], &["--per-category", "2"], 2, "--item-table FILE"),
        (&events[..], &["--all"], 2, "cannot be used with"),
    ] {
        let columns = if base == log { &COLUMNS[..] } else { &[] };
        let called = call(path, &[base, flags, columns].concat());
        assert!(called.fails(code).contains(part), "{flags:?}: {}", called.stderr);
    }
    assert!(!path.join("a.csv").exists() && !path.join("a.csv.partial").exists());
    let called = call(path, &[&log[..], &COLUMNS, &["--allow", "none.txt", "--json"]].concat());
    assert_eq!(items(&called.json()), []);
    assert!(called.stderr.contains("1 of 1 ids are no items of the model"), "{}", called.stderr);
    assert!(called.stderr.contains("the rules leave none"), "{}", called.stderr);
}
