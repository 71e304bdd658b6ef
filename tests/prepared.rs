//! Prepared data and features through the real binary: what is trained on them is what is trained on the
//! log itself, and what a model is told of events it uses.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

fn tidegate(folder: &Path, line: &str) -> (i32, Value, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    let output = command.current_dir(folder).args(line.split(' ')).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let json = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code().unwrap(), json, stderr)
}

fn succeed(folder: &Path, line: &str) -> Value {
    let (code, json, stderr) = tidegate(folder, line);
    assert_eq!(code, 0, "{line}: {stderr}");
    json
}

fn fail(folder: &Path, expected: i32, line: &str) -> String {
    let (code, _, stderr) = tidegate(folder, line);
    assert_eq!(code, expected, "{line}: {stderr}");
    stderr
}

const SMALL: &str = "--hidden 16 --epochs 2 --quiet --json";

#[test]
fn a_model_of_prepared_data_is_that_of_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    succeed(folder, "simulate --out shop.csv --events 4000 --json");
    let prepared = succeed(folder, "prepare shop.csv --out data --memory 128M --json");
    assert_eq!(prepared["events"], succeed(folder, "inspect shop.csv --json")["events"]);

    succeed(folder, &format!("train shop.csv --sessions key --out raw {SMALL}"));
    succeed(folder, &format!("train data --out same {SMALL}"));
    let model = |name: &str| fs::read(folder.join(name).join("model.safetensors")).unwrap();
    assert!(model("raw") == model("same"), "the way through the folder changes the model");
    let scores =
        |log: &str| succeed(folder, &format!("evaluate same {log} --json"))["tasks"].clone();
    assert_eq!(scores("data"), scores("shop.csv"));

    // What lies in the folder stays unless told otherwise, and is whole afterwards.
    assert!(fail(folder, 2, "prepare shop.csv --out data").contains("--force"));
    fs::write(folder.join("data/mine.txt"), "keep").unwrap();
    succeed(folder, "prepare shop.csv --out data --force --json");
    assert!(folder.join("data/mine.txt").is_file() && !folder.join("data.partial").exists());
    assert!(fail(folder, 2, "prepare shop.csv --out x --memory 5M").contains("128M"));
    assert!(fail(folder, 2, "prepare shop.csv --out x --memory lots").contains("512M"));
    assert!(fail(folder, 2, "prepare shop.csv --out x --clean times=9").contains("--from"));
    assert!(!folder.join("x").exists() && !folder.join("x.partial").exists());
}

/// What is prepared never takes the place of what it is made from, nor of anything that is not its own.
#[test]
fn prepared_data_keep_away_from_logs_and_foreign_files() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::create_dir(folder.join("logs")).unwrap();
    let text = "session,item\n1,a\n1,b\n2,a\n2,c\n";
    fs::write(folder.join("logs/log.csv"), text).unwrap();
    let error = fail(folder, 2, "prepare logs --out logs/data");
    assert!(error.contains("lies in logs"), "{error}");
    let error = fail(folder, 2, "prepare logs/log.csv --out logs --force");
    assert!(error.contains("holds logs/log.csv"), "{error}");
    assert_eq!(fs::read_dir(folder.join("logs")).unwrap().count(), 1);

    fs::create_dir(folder.join("mine")).unwrap();
    fs::write(folder.join("mine/notes.txt"), "keep").unwrap();
    let error = fail(folder, 2, "prepare logs --out mine --force");
    assert!(error.contains("notes.txt") && error.contains("another folder"), "{error}");
    assert_eq!(fs::read_dir(folder.join("mine")).unwrap().count(), 1);

    succeed(folder, "prepare logs --out data --json");
    for line in ["prepare data --out twice", "prepare data --out data --force"] {
        let error = fail(folder, 2, line);
        assert!(error.contains("already prepared"), "{error}");
    }
}

/// Rules of the preparation are the model's, as if it had learned from the log itself.
#[test]
fn rules_of_the_preparation_travel_with_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    succeed(folder, "simulate --out shop.csv --events 4000 --json");
    let mut text = fs::read_to_string(folder.join("shop.csv")).unwrap();
    // Every tenth row twice.
    let twice: String = text.lines().skip(1).step_by(10).map(|row| format!("{row}\n")).collect();
    text += &twice;
    fs::write(folder.join("shop.csv"), text).unwrap();
    let rules = "--clean duplicates,repeats,burst=5/60,length=60:count";
    succeed(folder, &format!("prepare shop.csv --out data {rules} --json"));
    succeed(folder, &format!("train shop.csv --sessions key --out raw {rules} {SMALL}"));
    succeed(folder, &format!("train data --out same {SMALL}"));
    let model = |name: &str| fs::read(folder.join(name).join("model.safetensors")).unwrap();
    assert!(model("raw") == model("same"), "the way through the folder changes the model");
    let scores =
        |log: &str| succeed(folder, &format!("evaluate same {log} --json"))["tasks"].clone();
    assert_eq!(scores("data"), scores("shop.csv"));

    // Said again they are the same rules; others are refused.
    succeed(folder, &format!("train data --out again {rules} {SMALL}"));
    assert!(model("again") == model("raw"));
    let error = fail(folder, 2, "train data --out x --clean hour=9");
    assert!(error.contains("prepare the log again with all rules"), "{error}");

    // A folder of an earlier version says so.
    let card = fs::read_to_string(folder.join("data/prepared.json")).unwrap();
    assert!(card.contains("\"layout\": 2"), "{card}");
    let lines = card.lines().filter(|line| !line.contains("\"clean\"")).collect::<Vec<_>>();
    let old = lines.join("\n").replace("\"layout\": 2", "\"layout\": 1");
    fs::write(folder.join("data/prepared.json"), old).unwrap();
    let error = fail(folder, 1, "train data --out x");
    assert!(
        error.contains("another version") && error.contains("prepare the log again"),
        "{error}"
    );
}

/// What was settled when data were prepared is not asked for again.
#[test]
fn settings_without_effect_on_prepared_data_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    succeed(folder, "simulate --out shop.csv --events 2000 --json");
    succeed(folder, "prepare shop.csv --out data --sessions gap --gap 20m --json");
    let flags = "--sessions user --gap 5m --year 2015 --columns item=x --format csv";
    for line in [
        &format!("inspect data {flags} --json"),
        &format!("train data --out m {flags} --time-zone Europe/Warsaw {SMALL}"),
        &format!("evaluate m data {flags} --time-zone Europe/Warsaw --json"),
    ] {
        let (code, _, stderr) = tidegate(folder, line);
        assert_eq!(code, 0, "{line}: {stderr}");
        let zone = if line.starts_with("inspect") { "" } else { " --time-zone," };
        let named = format!("data: --sessions, --gap, --columns, --format,{zone} --year; when");
        assert!(stderr.contains(&named) && stderr.contains("by gap (of 20"), "{line}: {stderr}");
    }
    // What agrees, and what has an effect, is no reason for a word.
    let line =
        "inspect data --sessions gap --gap 20m --format prepared --time-zone Asia/Tokyo --json";
    let (code, _, stderr) = tidegate(folder, line);
    assert!(code == 0 && !stderr.contains("without effect"), "{stderr}");
}

#[test]
fn a_window_without_events_is_one_error() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    succeed(folder, "simulate --out shop.csv --events 2000 --json");
    succeed(folder, "prepare shop.csv --out data --json");
    succeed(folder, &format!("train data --out m {SMALL}"));
    for line in [
        "inspect shop.csv",
        "inspect data",
        "prepare shop.csv --out x",
        "train shop.csv --out x",
        "train data --out x",
        "evaluate m shop.csv",
        "evaluate m data",
        "recommend m --log shop.csv",
    ] {
        let error = fail(folder, 1, &format!("{line} --from 2090-01-01"));
        let said = "rows lies between --from and --until (from 2090-01-01T00:00:00Z)";
        assert!(error.contains("none of the 2") && error.contains(said), "{line}: {error}");
        assert_eq!(error.lines().count(), 1, "{line}: {error}");
    }
}

/// Tables and vectors that say nothing are a mistake in them.
#[test]
fn tables_that_say_nothing_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("log.csv"), colours()).unwrap();
    fs::write(folder.join("items.csv"), "id,size\nSTART,big\nLEFT,big\n").unwrap();
    let error = fail(folder, 2, "train log.csv --out x --item-table items.csv");
    assert!(error.contains("no feature is made of it") && error.contains("item.NAME"), "{error}");
    let line = "train log.csv --out x --quiet --features item.size:label --item-table items.csv";
    let error = fail(folder, 1, line);
    assert!(error.contains("nothing of any of the 3 items"), "{error}");
    fs::write(folder.join("items.csv"), "id,size\nstart,big\nLEFT,big\n").unwrap();
    let (code, _, stderr) = tidegate(folder, &format!("{line} --epochs 1 --hidden 8"));
    assert!(code == 0 && stderr.contains("knows 1 of 3 items"), "{stderr}");
    fs::write(folder.join("vectors.csv"), "start,0,0\nleft,0,0\n").unwrap();
    let error = fail(folder, 1, "train log.csv --out y --item-vectors vectors.csv");
    assert!(error.contains("all numbers of the 2 items"), "{error}");

    let error = fail(folder, 1, "train log.csv --out y --fill colour=mode");
    assert!(error.contains("--features colour:label"), "{error}");
    let error = fail(folder, 1, "train log.csv --out y --fill item=mode");
    assert!(error.contains("item cannot be filled"), "{error}");
}

#[test]
fn test_cases_are_not_prepared() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("cases.tsv"), "start left\tright\nstart\tleft\n").unwrap();
    let error = fail(folder, 1, "prepare cases.tsv --out x");
    assert!(error.contains("tidegate evaluate"), "{error}");
    assert!(!folder.join("x").exists() && !folder.join("x.partial").exists());
}

/// Of two items that may follow, the colour of the event before tells which.
fn colours() -> String {
    let mut text = "session,item,time,colour,weight,price\n".to_owned();
    for session in 0..400 {
        let red = (session * 7 + session / 3) % 2 == 0;
        let (colour, weight) = if red { ("red", 2.0) } else { ("blue", 900.0) };
        let price = if session % 4 == 0 { "" } else { "7.5" };
        text += &format!("{session},start,{},{colour},{weight},{price}\n", 10 * session);
        let next = if red { "left" } else { "right" };
        text += &format!("{session},{next},{},,,{price}\n", 10 * session + 1);
    }
    text
}

#[test]
fn a_model_uses_what_it_is_told_of_events() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("log.csv"), colours()).unwrap();
    let recall = |flags: &str, out: &str| {
        let line = format!(
            "train log.csv --epochs 200 --learning-rate 0.02 --hidden 16 --out {out} --quiet --json{flags}"
        );
        succeed(folder, &line)["validation"]["recall@1"].as_f64().unwrap()
    };
    let blind = recall("", "blind");
    assert!(blind < 0.8, "nothing tells which item follows: {blind}");
    for (flags, out) in
        [(" --features colour:label", "word"), (" --features weight:log1p+zscore", "number")]
    {
        assert!(recall(flags, out) > 0.95, "{flags}");
        let scores = succeed(folder, &format!("evaluate {out} log.csv --json"));
        assert!(scores["tasks"]["next-item"]["recall@1"].as_f64().unwrap() > 0.95, "{flags}");
        let next = succeed(folder, &format!("recommend {out} --events start -k 1 --json"));
        assert_eq!(next["items"].as_array().unwrap().len(), 1, "ids alone are enough to ask");
    }
    // The same through prepared data, which keep the columns that are asked for.
    succeed(folder, "prepare log.csv --out data --features colour:label --json");
    let line = "train data --epochs 200 --learning-rate 0.02 --hidden 16 --features colour:label --out again --quiet --json";
    succeed(folder, line);
    // From a log, the last event tells: the session ends with no colour, so ask for one that has some.
    fs::write(
        folder.join("now.csv"),
        "session,item,time,colour,weight,price\n1,start,5,blue,900,\n",
    )
    .unwrap();
    let next = succeed(folder, "recommend again --log now.csv -k 1 --json");
    assert_eq!(next["items"][0]["item"], "right");

    // A log that lacks the column is answered as if no event had a colour.
    fs::write(folder.join("bare.csv"), "session,item,time\n1,start,5\n1,left,6\n").unwrap();
    fs::write(folder.join("cases.tsv"), "start left\tright\n").unwrap();
    succeed(folder, "prepare bare.csv --out bare --json");
    for log in ["bare.csv", "cases.tsv", "bare"] {
        let (code, scores, stderr) = tidegate(folder, &format!("evaluate again {log} --json"));
        assert_eq!(code, 0, "{log}: {stderr}");
        assert!(stderr.contains("looks at colour, of which this log says nothing"), "{stderr}");
        assert_eq!(scores["tasks"]["next-item"]["cases"], 1, "{log}");
    }

    let error = fail(folder, 1, "train log.csv --features size:label --out x --quiet");
    assert!(error.contains("no column \"size\""), "{error}");
    let error = fail(folder, 2, "train log.csv --features colour:lable --out x --quiet");
    assert!(error.contains("--features"), "{error}");
    assert!(fail(folder, 1, "export word --out word.onnx").contains("features"));
}

#[test]
fn filling_and_cleaning_travel_with_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("log.csv"), colours() + "0,start,0,red,2,\n0,start,0,red,2,\n").unwrap();
    let rules = "--clean duplicates --fill price=median+flag --features price,price.missing";
    let line = format!("train log.csv --epochs 2 --hidden 8 --out m {rules} --json");
    let (code, _, stderr) = tidegate(folder, &line);
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("duplicates: 2 events") && stderr.contains("by median"), "{stderr}");
    // Two rows more are two rows more; the same rules leave them out again.
    let cases = |log: &str| {
        let scores = succeed(folder, &format!("evaluate m {log} --json"));
        scores["tasks"]["next-item"]["cases"].as_u64().unwrap()
    };
    assert_eq!(cases("log.csv"), 400);
    fs::write(folder.join("clean.csv"), colours()).unwrap();
    assert_eq!(cases("clean.csv"), 400);
    let error = fail(folder, 2, "train log.csv --fill price=guess --out x");
    assert!(error.contains("--fill"), "{error}");
}

/// What had to be assumed is assumed for good: `prepare` says so, as `train` does.
#[test]
fn what_is_assumed_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let text = "user,item,time\na,x,1/2/2020 10:00\na,y,1/2/2020 10:01\n";
    fs::write(folder.path().join("log.csv"), text).unwrap();
    let (code, _, said) = tidegate(folder.path(), "prepare log.csv --out data");
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("the month is taken to stand first"), "{said}");
}
