//! Vectors of items through the real binary: what a model knows of an item by its vector alone, whether it
//! was given or made of triples, and what becomes of files that cannot be used.

mod calls;

use std::fmt::Write;
use std::fs;
use std::path::Path;

use calls::{Called, assert_keys, call};
use serde_json::Value;

const CLUSTERS: usize = 8;
/// Items of a cluster that training sees followed by the cluster's hub, three or four times each.
const SEEN: usize = 40;
/// Items of a cluster that training sees alone in a session: nothing but their vector tells what follows
/// them.
const LATE: usize = 4;
/// Numbers of a vector.
const WIDTH: usize = 12;

/// A number that looks drawn.
fn draw(k: usize, below: usize) -> usize {
    let mixed = (k as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33) as usize % below
}

/// Every item of the shop but the hubs, with its cluster.
fn items() -> Vec<(String, usize)> {
    let cluster = |c: usize| {
        let seen = (0..SEEN).map(move |k| format!("seen{c}_{k}"));
        let late = (0..LATE).map(move |k| format!("late{c}_{k}"));
        seen.chain(late).map(move |name| (name, c))
    };
    (0..CLUSTERS).flat_map(cluster).collect()
}

/// Writes a log, sessions to validate on, and the same of the items as vectors and as triples.
fn shop(folder: &Path) {
    let mut log = "session,item,time\n".to_owned();
    for session in 0..1200 {
        let seen = 7 * session % (CLUSTERS * SEEN);
        let (c, k, time) = (seen / SEEN, seen % SEEN, 10 * session);
        writeln!(log, "{session},seen{c}_{k},{time}\n{session},hub{c},{}", time + 1).unwrap();
    }
    for k in 0..CLUSTERS * LATE {
        writeln!(log, "alone{k},late{}_{},{}", k / LATE, k % LATE, 12_000 + k).unwrap();
    }
    let mut validation = "session,item,time\n".to_owned();
    for k in 0..CLUSTERS * LATE {
        let c = k / LATE;
        let time = 20_000 + 10 * k;
        writeln!(validation, "{k},late{c}_{},{time}\n{k},hub{c},{}", k % LATE, time + 1).unwrap();
    }
    // Not the order of the log, and nothing of the hubs.
    let mut items = items();
    items.reverse();
    let (mut vectors, mut triples) = (String::new(), String::new());
    for (k, (item, c)) in items.iter().enumerate() {
        let entry = |d: usize| {
            let centred = |k: usize| draw(k, 1000) as f64 / 1000.0 - 0.5;
            30.0 * (centred(c * WIDTH + d) + 0.3 * centred(1000 + k * WIDTH + d))
        };
        let numbers: Vec<String> = (0..WIDTH).map(|d| format!("{:.4}", entry(d))).collect();
        writeln!(vectors, "{item} {}", numbers.join(" ")).unwrap();
        writeln!(triples, "{item},brand,b{c}\n{item},colour,c{}", draw(k, 3)).unwrap();
    }
    writeln!(vectors, "unheard-of{}", " 1".repeat(WIDTH)).unwrap();
    for (name, text) in
        [("log.csv", log), ("last.csv", validation), ("v.txt", vectors), ("t.csv", triples)]
    {
        fs::write(folder.join(name), text).unwrap();
    }
}

fn called(folder: &Path, line: &str) -> Called {
    call(folder, &line.split_whitespace().collect::<Vec<_>>())
}

fn train(folder: &Path, out: &str, flags: &str) -> Called {
    called(
        folder,
        &format!(
            "train log.csv --validate last.csv --sessions key --hidden 16 --embedding 16 --epochs 60 \
             --patience 0 --learning-rate 0.01 --json --out {out} {flags}"
        ),
    )
}

fn recall(scores: &Value) -> f64 {
    scores["recall@1"].as_f64().unwrap()
}

fn model(folder: &Path, name: &str) -> Vec<u8> {
    fs::read(folder.join(name).join("model.safetensors")).unwrap()
}

#[test]
fn what_follows_an_item_is_known_by_its_vector() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    shop(folder);
    let blind = recall(&train(folder, "blind", "").json()["validation"]);
    assert!(blind < 0.3, "nothing but the vector tells which hub follows: {blind}");
    for (flags, out) in [("--item-vectors v.txt", "given"), ("--item-triples t.csv", "made")] {
        let trained = train(folder, out, flags);
        let validation = &trained.json()["validation"];
        assert_keys(validation, &["recall@1", "baselines"]);
        let found = recall(validation);
        assert!(found > 0.7, "{flags}: {found}, without {blind}");
        let width = if out == "given" { WIDTH } else { 32 };
        let others = usize::from(out == "given");
        let said = format!(
            "vectors of {width} numbers for 352 of 360 items; 8 have zeros, {others} of the file are of \
             none of them"
        );
        assert!(trained.stderr.contains(&said), "{}", trained.stderr);
    }
    // All that is needed afterwards is in the model file.
    fs::remove_file(folder.join("v.txt")).unwrap();
    fs::remove_file(folder.join("t.csv")).unwrap();
    for out in ["given", "made"] {
        let scores = called(folder, &format!("evaluate {out} last.csv --json")).json();
        assert!(recall(&scores["tasks"]["next-item"]) > 0.7, "{out}");
        let line = format!("recommend {out} --events late5_2 -k 1 --json");
        assert_eq!(called(folder, &line).json()["items"][0]["item"], "hub5", "{out}");
        for format in ["onnx", "safetensors"] {
            let line = format!("export {out} --out x.{format}");
            let refused = called(folder, &line);
            assert!(refused.fails(1).contains("sees vectors of items"), "{}", refused.stderr);
            assert!(!folder.join(format!("x.{format}")).exists());
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_model() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    shop(folder);
    for (flags, out) in [("--item-vectors v.txt", "v"), ("--item-triples t.csv", "t")] {
        for threads in [1, 2, 3] {
            let flags = format!("{flags} --threads {threads} --quiet");
            train(folder, &format!("{out}{threads}"), &flags).json();
        }
        assert!(model(folder, &format!("{out}1")) == model(folder, &format!("{out}2")), "{flags}");
        assert!(model(folder, &format!("{out}1")) == model(folder, &format!("{out}3")), "{flags}");
    }
    assert!(model(folder, "v1") != model(folder, "t1"));
}

/// The key stands for the flag, a flag takes the place of either key, and two are one too many.
#[test]
fn one_file_of_vectors_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    shop(folder);
    let settings = "[data]\nitem_triples = \"t.csv\"\n";
    fs::write(folder.join("triples.toml"), settings).unwrap();
    train(folder, "flag", "--item-triples t.csv --quiet").json();
    train(folder, "key", "--config triples.toml --quiet").json();
    assert!(model(folder, "flag") == model(folder, "key"));
    let over = train(folder, "over", "--config triples.toml --item-vectors v.txt");
    assert!(over.stderr.contains("--item-vectors v.txt: vectors of 12 numbers"), "{}", over.stderr);
    let written = fs::read_to_string(folder.join("over/run.toml")).unwrap();
    assert!(written.contains("item_vectors = \"v.txt\"") && !written.contains("item_triples"));

    let both = train(folder, "x", "--item-vectors v.txt --item-triples t.csv");
    assert!(both.fails(2).contains("--item-triples"), "{}", both.stderr);
    fs::write(folder.join("both.toml"), format!("{settings}item_vectors = \"v.txt\"\n")).unwrap();
    let both = train(folder, "x", "--config both.toml");
    assert!(both.fails(2).contains("an item has one vector"), "{}", both.stderr);
    assert!(!folder.join("x").exists());
}

#[test]
fn files_that_cannot_be_used_are_refused_with_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    shop(folder);
    let good = fs::read_to_string(folder.join("v.txt")).unwrap();
    let line = |k: usize| good.lines().nth(k).unwrap();
    let vectors: [(String, &str); 7] = [
        (good.replace(line(4), "hub1 1 2 3 4"), "bad.txt line 5: 4 numbers where 12 are expected"),
        (
            good.replace(line(2), "hub1 1 2 nan 4 5 6 7 8 9 10 11 12"),
            "bad.txt line 3: \"nan\" is not finite",
        ),
        (
            good.replace(line(0), "hub1 1 inf 3 4 5 6 7 8 9 10 11 12"),
            "bad.txt line 1: \"inf\" is not finite",
        ),
        (
            good.replace(line(9), "hub1 1 2 three 4 5 6 7 8 9 10 11 12"),
            "bad.txt line 10: \"three\" is no number",
        ),
        (format!("{good}{}\n", line(3)), "comes twice"),
        (String::new(), "bad.txt: no rows"),
        ("other 1 2\nids 3 4\n".to_owned(), "says nothing of any of the 360 items"),
    ];
    let triples: [(String, &str); 3] = [
        ("late1_1 brand\n".to_owned(), "bad.txt line 1: 2 fields"),
        ("item,relation,entity\n".to_owned(), "bad.txt: no rows"),
        ("LATE1_1,brand,b\n".to_owned(), "(the first id there is \"LATE1_1\", in the log \"hub"),
    ];
    for (flag, files) in [("--item-vectors", &vectors[..]), ("--item-triples", &triples[..])] {
        for (text, part) in files {
            fs::write(folder.join("bad.txt"), text).unwrap();
            let refused = train(folder, "x", &format!("{flag} bad.txt"));
            assert!(refused.fails(1).contains(part), "{part}: {}", refused.stderr);
            assert!(!folder.join("x").exists());
        }
        let missing = train(folder, "x", &format!("{flag} none.txt"));
        assert!(missing.fails(1).contains("none.txt: cannot be opened"), "{}", missing.stderr);
    }
    // Few items with a vector are worth a warning, and no more.
    let few: String = good.lines().take(30).map(|line| format!("{line}\n")).collect();
    fs::write(folder.join("few.txt"), few).unwrap();
    let warned = train(folder, "few", "--item-vectors few.txt --quiet");
    warned.json();
    assert!(warned.stderr.contains("for 30 of 360 items"), "{}", warned.stderr);
    assert!(warned.stderr.contains("are its ids written as in the log?"), "{}", warned.stderr);
}
