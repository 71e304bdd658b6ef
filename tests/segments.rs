//! Pictures of users and segments through the real binary: the files that are promised, the same bits again, and
//! errors that help.

mod calls;

use std::fs;
use std::path::Path;

use calls::{assert_keys, call};

/// A folder with a small shop and a model of it.
fn shop() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let done = call(
        at,
        &words("simulate --out shop.csv --truth truth.csv --users 160 --shop distinct --json"),
    );
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let done = call(at, &words("train shop.csv --out model --hidden 24 --epochs 2 --quiet --json"));
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    folder
}

fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

fn bytes(folder: &Path, name: &str) -> Vec<u8> {
    fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn every_user_has_a_row_in_every_layout() {
    let folder = shop();
    let at = folder.path();
    let json = call(at, &words("represent model shop.csv --out a.csv --json")).json();
    assert_keys(&json, &["model", "file", "rows", "of", "columns", "pool", "wall_s", "peak_rss"]);
    assert_eq!((json["rows"].as_u64(), json["columns"].as_u64()), (Some(160), Some(24)));
    assert_eq!((json["of"].as_str(), json["unknown"].as_u64()), (Some("user"), Some(0)));
    let table = String::from_utf8(bytes(at, "a.csv")).unwrap();
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!((rows.len(), rows[0].len(), rows[0][0], rows[0][24]), (161, 25, "user", "x24"));
    assert_eq!(rows[1][0], "u1");

    // The same numbers as an array, their owners beside it.
    call(at, &words("represent model shop.csv --out a.npy --json")).json();
    let array = bytes(at, "a.npy");
    let numbers: Vec<f32> = array[array.len() - 160 * 24 * 4..]
        .chunks_exact(4)
        .map(|four| f32::from_le_bytes(four.try_into().unwrap()))
        .collect();
    let written = rows[1..].iter().flat_map(|row| &row[1..]).map(|x| x.parse::<f32>().unwrap());
    assert!(numbers.iter().copied().eq(written));
    let owners = String::from_utf8(bytes(at, "a.users.csv")).unwrap();
    assert!(owners.lines().skip(1).eq(rows[1..].iter().map(|row| row[0])));

    // Again, and with other threads: the same bytes.
    call(at, &words("represent model shop.csv --out b.csv --threads 2 --json")).json();
    assert_eq!(bytes(at, "a.csv"), bytes(at, "b.csv"));
    for name in ["a.parquet", "b.parquet"] {
        call(at, &["represent", "model", "shop.csv", "--out", name, "--json"]).json();
    }
    assert!(
        bytes(at, "a.parquet").starts_with(b"PAR1")
            && bytes(at, "a.parquet") == bytes(at, "b.parquet")
    );

    // What the rows are made of can be chosen, and they can be made short.
    call(at, &words("represent model shop.csv --out last.csv --pool last --json")).json();
    call(at, &words("represent model shop.csv --out picture.csv --of picture --json")).json();
    assert!(
        bytes(at, "last.csv") != bytes(at, "a.csv")
            && bytes(at, "picture.csv") != bytes(at, "a.csv")
    );
    let json = call(at, &words("represent model shop.csv --out pca.csv --pca 3 --json")).json();
    let variance: Vec<f64> =
        json["variance"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect();
    assert!(variance.len() == 3 && variance.is_sorted_by(|a, b| a >= b) && variance[0] < 1.0);
}

/// A model of whole users, logs without users, items that nobody knows.
#[test]
fn a_row_is_what_the_model_calls_a_session_or_a_user() {
    let folder = shop();
    let at = folder.path();
    // As whole histories the rows are others than as means of sessions.
    call(at, &words("represent model shop.csv --out a.csv --json")).json();
    call(at, &words("represent model shop.csv --out whole.csv --sessions user --json")).json();
    assert_ne!(bytes(at, "a.csv"), bytes(at, "whole.csv"));
    let log = String::from_utf8(bytes(at, "shop.csv")).unwrap();
    let item = log.lines().nth(1).unwrap().split(',').nth(4).unwrap();
    fs::write(
        at.join("other.csv"),
        format!("session,item\ns1,{item}\ns2,never\ns3,{item}\ns3,never\n"),
    )
    .unwrap();
    let json = call(at, &words("represent model other.csv --out c.csv --json")).json();
    assert_eq!((json["of"].as_str(), json["rows"].as_u64()), (Some("session"), Some(2)));
    assert_eq!((json["unknown"].as_u64(), json["unknown_events"].as_u64()), (Some(1), Some(2)));
    let table = String::from_utf8(bytes(at, "c.csv")).unwrap();
    let rows: Vec<&str> = table.lines().collect();
    assert!(rows[0].starts_with("session,x1,") && rows[1].starts_with("s1,"));
    // s3 is s1 with an item that says nothing to the model.
    assert_eq!(rows[1].split_once(',').unwrap().1, rows[2].split_once(',').unwrap().1);
}

#[test]
fn what_cannot_be_represented_says_why_and_leaves_nothing() {
    let folder = shop();
    let at = folder.path();
    fs::write(at.join("foreign.csv"), "user,item\na,never\n").unwrap();
    for (line, code, part) in [
        ("represent model shop.csv", 2, "--out FILE is missing"),
        ("represent model shop.csv --out a.txt", 2, ".parquet, .csv or .npy"),
        ("represent model shop.csv --out shop.csv", 2, "this file is read, too"),
        ("represent model shop.csv --out a.csv --pca 25", 2, "ask for 24 or fewer"),
        ("represent model shop.csv --out a.csv --pca 0", 2, "--pca"),
        ("represent model --out a.csv", 2, "no LOG"),
        ("represent nowhere shop.csv --out a.csv", 1, "no such folder"),
        ("represent model foreign.csv --out a.csv", 1, "same shop"),
    ] {
        let failed = call(at, &words(line));
        assert!(failed.fails(code).contains(part), "{line}: {}", failed.stderr);
        assert!(!at.join("a.csv").exists() && !at.join("a.csv.partial").exists(), "{line}");
    }
}

/// The type of each user, as the simulator knows it, by the rows of a table of users.
fn truth(folder: &Path) -> std::collections::HashMap<String, String> {
    let text = fs::read_to_string(folder.join("truth.csv")).unwrap();
    let row = |line: &str| {
        let mut cells = line.split(',').map(str::to_owned);
        (cells.next().unwrap(), cells.next().unwrap())
    };
    text.lines().skip(1).map(row).collect()
}

#[test]
fn segments_are_there_whole_and_the_same_with_any_threads() {
    let folder = shop();
    let at = folder.path();
    let json =
        call(at, &words("segment model shop.csv --out one --threads 1 --quiet --json")).json();
    assert_keys(
        &json,
        &["out", "users", "clusters", "silhouette", "stability", "segments", "wall_s"],
    );
    call(at, &words("segment model shop.csv --out two --threads 2 --quiet --json")).json();
    for name in ["segments.csv", "segments.json", "report.html", "map.svg"] {
        assert!(bytes(at, &format!("one/{name}")) == bytes(at, &format!("two/{name}")), "{name}");
    }
    assert_eq!(fs::read_dir(at.join("one")).unwrap().count(), 4);

    let table = String::from_utf8(bytes(at, "one/segments.csv")).unwrap();
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!((rows[0].join(","), rows.len()), ("user,segment,x,y".to_owned(), 161));
    let clusters = json["clusters"].as_u64().unwrap();
    let segments: Vec<u64> = rows[1..].iter().map(|row| row[1].parse().unwrap()).collect();
    assert!(segments.iter().all(|segment| (1..=clusters).contains(segment)));
    assert!(
        rows[1..].iter().flat_map(|row| &row[2..]).all(|x| x.parse::<f64>().unwrap().is_finite())
    );

    // The figures are those of the table, and the page has them.
    let figures: serde_json::Value =
        serde_json::from_slice(&bytes(at, "one/segments.json")).unwrap();
    assert_keys(
        &figures,
        &["candidates", "seeds", "directions", "segments", "all", "purchases_by"],
    );
    let page = String::from_utf8(bytes(at, "one/report.html")).unwrap();
    let each = figures["segments"].as_array().unwrap();
    assert_eq!(each.len() as u64, clusters);
    for one in each {
        let number = one["segment"].as_u64().unwrap();
        let users = segments.iter().filter(|segment| **segment == number).count() as u64;
        assert_eq!(one["users"].as_u64(), Some(users));
        assert_keys(
            &one["portrait"],
            &["events_per_user", "buying", "when", "kinds", "categories"],
        );
        assert!(page.contains(one["name"].as_str().unwrap()), "{}", one["name"]);
    }
    assert!(
        page.starts_with("<!doctype html>") && !page.contains("<script") && !page.contains("http:")
    );
}

/// The simulator's types are found by nobody who is told of them: four, from what users do alone. The model
/// is a small one, and so is the shop; docs/segments.md has the figures of larger ones.
#[test]
fn segments_are_the_types_of_a_shop_whose_users_want_different_things() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let line =
        "simulate --out shop.csv --truth truth.csv --users 500 --shop distinct --seed 3 --json";
    call(at, &words(line)).json();
    call(at, &words("train shop.csv --out model --hidden 32 --epochs 5 --quiet --json")).json();
    let json = call(at, &words("segment model shop.csv --out out --quiet --json")).json();
    assert_eq!(json["clusters"].as_u64(), Some(4), "{json}");
    let truth = truth(at);
    let table = String::from_utf8(bytes(at, "out/segments.csv")).unwrap();
    let (mut types, mut found) = (Vec::new(), Vec::new());
    for line in table.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let name = &truth[cells[0]];
        types.push(name.bytes().map(u32::from).sum::<u32>());
        found.push(cells[1].parse::<u32>().unwrap());
    }
    let index = statistics::partition::adjusted_rand_index(&types, &found).unwrap().unwrap();
    assert!(index > 0.8, "{index}");
}

#[test]
fn what_cannot_be_segmented_says_why_and_leaves_nothing() {
    let folder = shop();
    let at = folder.path();
    fs::create_dir(at.join("full")).unwrap();
    fs::write(at.join("full/mine.txt"), "keep").unwrap();
    let log = String::from_utf8(bytes(at, "shop.csv")).unwrap();
    let few: Vec<&str> = log.lines().take(3).collect();
    fs::write(at.join("few.csv"), few.join("\n")).unwrap();
    for (line, code, part) in [
        ("segment model shop.csv", 2, "--out DIR is missing"),
        ("segment model shop.csv --out full", 2, "--force"),
        ("segment model shop.csv --out shop.csv", 2, "shop.csv"),
        ("segment model shop.csv --out a --clusters 1", 2, "--clusters"),
        ("segment model shop.csv --out a --clusters 3 --method density", 2, "by itself"),
        ("segment model few.csv --out a", 1, "read a longer log"),
        ("segment nowhere shop.csv --out a", 1, "no such folder"),
    ] {
        let failed = call(at, &words(line));
        assert!(failed.fails(code).contains(part), "{line}: {}", failed.stderr);
        assert!(!at.join("a").exists() && !at.join("a.partial").exists(), "{line}");
    }
    // What lies there stays, also where the segments are replaced.
    call(at, &words("segment model shop.csv --out full --force --clusters 3 --quiet --json"))
        .json();
    assert_eq!(bytes(at, "full/mine.txt"), b"keep");
    let json =
        call(at, &words("segment model shop.csv --out mixed --method mixture --quiet --json"))
            .json();
    assert_eq!(json["method"].as_str(), Some("mixture"));
    call(at, &words("segment model shop.csv --out dense --method density --quiet --json")).json();
}
