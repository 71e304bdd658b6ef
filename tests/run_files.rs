//! What `train` leaves for those who look at a run: its table, TensorBoard's file, its page, its warnings.
//!
//! The event file is read back here by hand, from what the format says of its bytes; `examples/event_files.py`
//! gives it to TensorBoard itself.

mod calls;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use calls::{assert_keys, call, command};
use serde_json::Value;

const EVENTS: &str = "tensorboard/events.out.tfevents.0.tidegate";

/// Two rings of items: two items tell the third.
fn log() -> String {
    let mut text = String::new();
    for session in 0..300usize {
        let (step, start) = (if session % 2 == 0 { 1 } else { 7 }, session * 5);
        let items = (0..3 + session % 7).map(|k| format!("p{}", (start + k * step) % 16));
        text += &(items.collect::<Vec<_>>().join(" ") + "\n");
    }
    text
}

const CONFIG: &str = "
[model]
hidden = 16
[training]
batch_targets = 128
learning_rate = 0.02
";

const TRAIN: [&str; 8] =
    ["train", "log.txt", "--format", "sessions", "--config", "c.toml", "--quiet", "--json"];

fn shop() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("log.txt"), log()).unwrap();
    fs::write(folder.path().join("c.toml"), CONFIG).unwrap();
    folder
}

fn train(folder: &Path, flags: &[&str]) -> Value {
    call(folder, &[&TRAIN[..], flags].concat()).json()
}

/// CRC-32C bit by bit, and masked.
fn sum(bytes: &[u8]) -> u32 {
    let mut crc = !0u32;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
        }
    }
    (!crc).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// The fields of a protobuf message: numbers with what stands in them.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let varint = |bytes: &mut &[u8]| {
        let (mut value, mut shift) = (0u64, 0);
        loop {
            let byte = bytes[0];
            *bytes = &bytes[1..];
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return value;
            }
        }
    };
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let length = match key & 7 {
            0 => {
                let value = varint(&mut bytes);
                found.push((key >> 3, value.to_le_bytes().to_vec()));
                continue;
            }
            1 => 8,
            2 => varint(&mut bytes) as usize,
            5 => 4,
            other => panic!("wire type {other}"),
        };
        found.push((key >> 3, bytes[..length].to_vec()));
        bytes = &bytes[length..];
    }
    found
}

fn field(message: &[(u64, Vec<u8>)], number: u64) -> Option<&[u8]> {
    message.iter().find(|field| field.0 == number).map(|field| &field.1[..])
}

/// Of each tag its steps and numbers, in the order of the file.
type Scalars = BTreeMap<String, Vec<(u64, f32)>>;

/// Reads an event file by hand.
fn scalars(path: &Path) -> Scalars {
    let file = fs::read(path).unwrap();
    let mut rest = &file[..];
    let mut found = Scalars::new();
    let mut first = true;
    let u32_of = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().unwrap());
    while !rest.is_empty() {
        let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
        assert_eq!(u32_of(&rest[8..12]), sum(&rest[..8]));
        let event = &rest[12..12 + length];
        assert_eq!(u32_of(&rest[12 + length..16 + length]), sum(event));
        rest = &rest[16 + length..];
        let event = fields(event);
        let time = f64::from_le_bytes(field(&event, 1).unwrap().try_into().unwrap());
        assert!(time > 1.7e9 && time < 1e11, "{time}");
        if std::mem::take(&mut first) {
            assert_eq!(field(&event, 3), Some(&b"brain.Event:2"[..]));
            continue;
        }
        let step = field(&event, 2).map_or(0, |step| u64::from_le_bytes(step.try_into().unwrap()));
        for (_, value) in fields(field(&event, 5).unwrap()) {
            let value = fields(&value);
            let tag = String::from_utf8(field(&value, 1).unwrap().to_vec()).unwrap();
            let number = f32::from_le_bytes(field(&value, 2).unwrap().try_into().unwrap());
            found.entry(tag).or_default().push((step, number));
        }
    }
    found
}

fn epochs(model: &Path) -> Vec<Value> {
    let text = fs::read_to_string(model.join("log.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn tensorboard_finds_the_numbers_of_the_log() {
    let shop = shop();
    train(shop.path(), &["--out", "model", "--epochs", "3"]);
    let model = shop.path().join("model");
    let found = scalars(&model.join(EVENTS));
    let log = epochs(&model);
    assert_eq!(log.len(), 3);
    let of_epochs = |number: &dyn Fn(&Value) -> &Value| -> Vec<(u64, f32)> {
        let row = |epoch: &Value| {
            (epoch["steps"].as_u64().unwrap(), number(epoch).as_f64().unwrap() as f32)
        };
        log.iter().map(row).collect()
    };
    assert_eq!(found["train/loss"], of_epochs(&|epoch| &epoch["loss"]));
    assert_eq!(found["train/epoch"], of_epochs(&|epoch| &epoch["epoch"]));
    assert_eq!(found["train/events_per_s"], of_epochs(&|epoch| &epoch["events_per_s"]));
    for name in ["recall@1", "recall@20", "mrr@10", "ndcg@5"] {
        let tag = format!("validation/{name}");
        assert_eq!(found[&tag], of_epochs(&|epoch| &epoch["validation"][name]), "{name}");
    }
    // Between them: few steps here, so each is a point, and the last of an epoch has its learning rate.
    let rates = &found["train/learning_rate"];
    let last = log[2]["steps"].as_u64().unwrap();
    let steps: Vec<u64> = rates.iter().map(|rate| rate.0).collect();
    assert_eq!(steps, (1..=last).collect::<Vec<_>>());
    for epoch in &log {
        let rate = rates.iter().find(|rate| epoch["steps"] == rate.0).unwrap().1;
        assert_eq!(rate, epoch["learning_rate"].as_f64().unwrap() as f32);
    }
    let losses = &found["train/running_loss"];
    assert_eq!(losses.len(), rates.len());
    assert!(losses[0].1 > 2.0 * losses[losses.len() - 1].1, "{losses:?}");
}

#[test]
fn the_table_has_the_numbers_of_the_log() {
    let shop = shop();
    train(shop.path(), &["--out", "model", "--epochs", "2"]);
    let model = shop.path().join("model");
    let text = fs::read_to_string(model.join("log.csv")).unwrap();
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
    let log = epochs(&model);
    assert_eq!(rows.len(), log.len() + 1);
    for (row, epoch) in rows[1..].iter().zip(&log) {
        let mut compared = 0;
        for (name, cell) in rows[0].iter().zip(row) {
            let value = match name.split_once('.') {
                Some((table, key)) => &epoch[table][key],
                None => &epoch[*name],
            };
            match value {
                Value::Bool(value) => assert_eq!(*cell, value.to_string()),
                value => assert_eq!(cell.parse::<f64>().ok(), value.as_f64(), "{name}"),
            }
            compared += 1;
        }
        let validation = epoch["validation"].as_object().unwrap().len();
        assert_eq!(compared, epoch.as_object().unwrap().len() - 1 + validation);
    }
}

/// The file grows while training goes on, and a run that is killed and resumed leaves the points of an
/// unbroken one.
#[test]
fn a_run_that_is_killed_leaves_the_same_points() {
    let shop = shop();
    let path = shop.path();
    let often = CONFIG.replace("[training]", "[training]\ncheckpoint_seconds = 0.0");
    fs::write(path.join("c.toml"), often).unwrap();
    let flags = ["--epochs", "40", "--patience", "0", "--out"];
    train(path, &[&flags[..], &["whole"]].concat());
    let arguments = [&TRAIN[..], &flags, &["killed", "--resume"]].concat();
    let events = path.join("killed").join(EVENTS);
    for kill in 1..=3u64 {
        let mut child = command(path, &arguments)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let before = fs::metadata(&events).map_or(0, |file| file.len());
        // It is seen to grow, and then the program dies.
        while fs::metadata(&events).map_or(0, |file| file.len()) < before + 500 * kill {
            if child.try_wait().unwrap().is_some() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let _ = child.kill();
        child.wait().unwrap();
    }
    assert_eq!(call(path, &arguments).code, Some(0));
    let values = |name: &str| {
        let mut all = scalars(&path.join(name).join(EVENTS));
        // How fast it went is another matter.
        all.remove("train/events_per_s");
        all
    };
    assert!(values("killed") == values("whole"));
    let model = |name: &str| fs::read(path.join(name).join("model.safetensors")).unwrap();
    assert!(model("killed") == model("whole"));
}

#[test]
fn what_nobody_wants_is_not_left() {
    let shop = shop();
    let path = shop.path();
    let names = || {
        let entries = fs::read_dir(path.join("model")).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let flags = ["--out", "model", "--epochs", "1", "--force"];
    train(path, &flags);
    let rest = ["log.jsonl", "model.safetensors", "result.json", "run.toml"];
    let all = ["log.csv", rest[0], rest[1], "report.html", rest[2], rest[3], "tensorboard"];
    assert_eq!(names(), all);
    // Nor what an earlier run has left: it would be about another model.
    let none = CONFIG.replace("[training]", "[training]\nfiles = []");
    fs::write(path.join("c.toml"), none).unwrap();
    train(path, &flags);
    assert_eq!(names(), rest);
    let csv = CONFIG.replace("[training]", "[training]\nfiles = [\"csv\"]");
    fs::write(path.join("c.toml"), csv).unwrap();
    train(path, &flags);
    assert_eq!(names(), [&["log.csv"], &rest[..]].concat());
    let wrong = CONFIG.replace("[training]", "[training]\nfiles = [\"pdf\"]");
    fs::write(path.join("c.toml"), wrong).unwrap();
    let called = call(path, &[&TRAIN[..], &flags].concat());
    let message = called.fails(2);
    assert!(message.contains("c.toml") && message.contains("pdf"), "{message}");
}

/// In the terminal, in the result, and on the page; each with what to do about it.
#[test]
fn a_doubtful_run_is_warned_of_everywhere() {
    let shop = shop();
    let path = shop.path();
    let wild = CONFIG.replace("learning_rate = 0.02", "learning_rate = 40.0");
    fs::write(path.join("c.toml"), wild).unwrap();
    let called = call(path, &[&TRAIN[..], &["--out", "model", "--epochs", "3"]].concat());
    let result = called.json();
    let warnings = result["warnings"].as_array().unwrap();
    let kinds: Vec<&str> = warnings.iter().map(|w| w["kind"].as_str().unwrap()).collect();
    assert!(kinds.contains(&"defeat") && kinds.contains(&"few-cases"), "{kinds:?}");
    let page = fs::read_to_string(path.join("model/report.html")).unwrap();
    let kept = fs::read_to_string(path.join("model/result.json")).unwrap();
    let kept: Value = serde_json::from_str(&kept).unwrap();
    assert_eq!(kept["warnings"], result["warnings"]);
    for warning in warnings {
        assert_keys(warning, &["kind", "message", "remedy"]);
        let (message, remedy) =
            (warning["message"].as_str().unwrap(), warning["remedy"].as_str().unwrap());
        assert!(called.stderr.contains(&format!("warning: {message}; {remedy}\n")));
        assert!(!remedy.is_empty() && page.contains(&message[1..]), "{message}");
        assert!(page.contains(&remedy[1..]), "{remedy}");
    }
}

#[test]
fn a_page_tells_of_the_run_and_loads_nothing() {
    let shop = shop();
    let path = shop.path();
    let result = train(path, &["--out", "model", "--epochs", "4"]);
    let page = fs::read_to_string(path.join("model/report.html")).unwrap();
    for part in ["<h1>model</h1>", "log.txt", "Markov", "model.hidden", "recall@20", "(kept)"] {
        assert!(page.contains(part), "{part}");
    }
    let recall = result["validation"]["recall@20"].as_f64().unwrap();
    assert!(page.contains(&format!("<b>{:.2} %</b>", 100.0 * recall)));
    for part in ["http:", "https:", "<script", "@import", "url(", "src="] {
        assert!(!page.contains(part), "{part}");
    }
}
