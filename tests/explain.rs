//! `explain` through the real binary: what lies in its folder, that it adds up, that it is the same twice,
//! that nothing after the moment is looked at, and what becomes of questions that cannot be put.

mod calls;

use std::fmt::Write;
use std::fs;
use std::path::Path;

use calls::{Called, assert_keys, call};
use serde_json::Value;

fn called(folder: &Path, line: &str) -> Called {
    call(folder, &line.split_whitespace().collect::<Vec<_>>())
}

/// A shop where everyone looks at some things and puts the last of them into the cart; after that, a few more
/// looks, and the purchase of what is in the cart. Nothing but the cart tells what it will be.
fn shop(users: u64) -> String {
    let mut text = "user,session,time,kind,item,category,price\n".to_owned();
    let mut state = 7u64;
    let mut draw = |below: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for user in 0..users {
        let mut time = 1_700_006_400 + 3600 * user;
        let mut event = |kind: &str, item: u64| {
            time += 60;
            let category = ["rug", "lamp"][(item % 2) as usize];
            writeln!(text, "u{user},s{user},{time},{kind},i{item},{category},{}", 5 + item)
                .unwrap();
        };
        let mut item = draw(12);
        event("view", item);
        while draw(3) > 0 {
            item = draw(12);
            event("view", item);
        }
        event("cart", item);
        while draw(3) > 0 {
            event("view", draw(12));
        }
        event("buy", item);
    }
    text
}

/// Events of user u8 before the purchase.
const READ: usize = 8;

const SMALL: &str = "--config small.toml --hidden 32 --learning-rate 0.01 --patience 0 --seed 5 --quiet \
                     --json --features kind";

const CONFIG: &str = "[model]\nrepeat_lags = 0\n[training]\nbatch_targets = 256\n";

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn the_cart_is_found_behind_purchases() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::write(path.join("log.csv"), shop(1500)).unwrap();
    fs::write(path.join("small.toml"), CONFIG).unwrap();
    called(path, &format!("train log.csv --out model {SMALL} --epochs 40")).json();
    let all = called(path, "explain model log.csv --all 200 --before buy --out why --quiet --json");
    let all = all.json();
    assert_keys(&all, &["users", "largest_residual", "mean_agreement", "same_top_event", "wall_s"]);
    assert_eq!((&all["users"], &all["task"]), (&200.into(), &"next-item".into()));
    assert!(all["largest_residual"].as_f64().unwrap() < 0.02, "{all}");
    let table = fs::read_to_string(path.join("why/causes.csv")).unwrap();
    // user,at,known,target,…,by,rank,event,time,kind,item,share
    let mut carts = 0;
    for line in table.lines().filter(|line| line.contains(",attribution,1,")) {
        let cells: Vec<&str> = line.split(',').collect();
        assert_eq!(cells.len(), 16, "{line}");
        carts += u32::from(cells[13] == "cart" && cells[14] == cells[3]);
    }
    // Leaving events out finds fewer: a cart of which nobody has looked at the item is no history that
    // there is, and the look is as needed as the cart.
    assert!(carts >= 180, "{carts} of 200");
    let names = |folder: &str| {
        let entries = fs::read_dir(path.join(folder)).unwrap();
        let mut names: Vec<_> =
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(names("why"), ["causes.csv", "summary.json"]);

    // One of them, before the purchase, as of its moment.
    let line = "explain model log.csv --user u8 --before buy --quiet --json";
    let one = called(path, &format!("{line} --out one")).json();
    assert_eq!((&one["user"], &one["events"]), (&"u8".into(), &READ.into()));
    assert!(one["residual"].as_f64().unwrap().abs() < 0.01, "{one}");
    let pictures =
        ["answers.svg", "causes.svg", "gates.svg", "half-lives.svg", "memory.svg", "units.svg"];
    let mut expected: Vec<&str> = pictures.to_vec();
    expected.extend(["explanation.json", "report.html"]);
    expected.sort_unstable();
    assert_eq!(names("one"), expected);
    let told = read(&path.join("one/explanation.json"));
    let keys = ["user", "task", "horizon_s", "at", "steps", "after", "causes", "gates", "units"];
    assert_keys(&told, &keys);
    let causes = &told["causes"];
    let events = causes["events"].as_array().unwrap();
    let sum: f64 = events.iter().map(|event| event["attribution"].as_f64().unwrap()).sum();
    let number = |key: &str| causes[key].as_f64().unwrap();
    let off = number("logit") - number("baseline_logit") - sum - number("residual");
    assert!(off.abs() < 1e-9, "{causes}");
    assert_eq!(causes["target"]["came"], Value::Bool(true));
    let probability = 1.0 / (1.0 + (-number("logit")).exp());
    assert!((number("answer") - probability).abs() < 1e-9);
    // After the last event stands the answer itself.
    let after = told["after"].as_array().unwrap();
    assert!((after[READ - 1]["answer"].as_f64().unwrap() - number("answer")).abs() < 1e-5);
    let gates = &told["gates"]["layers"][0]["gates"];
    assert_eq!((&gates[1][0], gates[1][1].as_array().unwrap().len()), (&"f".into(), READ));
    assert_eq!(told["units"]["memory"][0]["half_life"].as_array().unwrap().len(), 32);
    let followed = told["units"]["followed"].as_array().unwrap();
    assert!(followed.iter().any(|own| own["of"] == "kind"), "{followed:?}");
    let page = fs::read_to_string(path.join("one/report.html")).unwrap();
    assert!(page.contains("Why: u8") && !page.contains("http:") && !page.contains("<script"));

    // The same again, byte for byte, with whatever threads; and nothing later is looked at.
    called(path, &format!("{line} --threads 1 --out again")).json();
    let log = fs::read_to_string(path.join("log.csv")).unwrap();
    for name in names("one") {
        let same = |other: &str| fs::read(path.join(other).join(&name)).unwrap();
        assert!(same("one") == same("again"), "{name}");
    }
    let refused = called(path, &format!("{line} --out one"));
    assert!(refused.fails(2).contains("--force"));
    called(path, &format!("{line} --out one --force --target i3 --baseline zero")).json();
    assert_eq!(read(&path.join("one/explanation.json"))["causes"]["target"]["name"], "i3");

    // Other events after the moment change nothing that is said of it; the mean event, which is one of the
    // whole log, aside.
    let moment = told["at"].as_str().unwrap();
    let at = format!("{line} --at {moment} --target i3 --baseline zero");
    let at = at.replace("--before buy ", "");
    called(path, &format!("{at} --out before")).json();
    let (kept, changed): (Vec<&str>, Vec<&str>) =
        log.lines().partition(|line| !line.starts_with("u8,") || !line.contains(",buy,"));
    assert_eq!(changed.len(), 1);
    let other = changed[0].replace(",buy,", ",view,") + "\nu8,s8,1800000000,cart,i1,lamp,9\n";
    fs::write(path.join("log.csv"), kept.join("\n") + "\n" + &other).unwrap();
    called(path, &format!("{at} --out after")).json();
    let of = |folder: &str| read(&path.join(folder).join("explanation.json"))["causes"].take();
    assert_eq!(of("before"), of("after"));
}

/// A model with tasks: numbers of the moment have a share, and the answer is the one that `predict` tells.
#[test]
fn purchases_within_a_horizon_are_explained() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::write(path.join("log.csv"), shop(300)).unwrap();
    let tasks = "--task purchase --task next-event --horizon 1h --cell gru";
    fs::write(path.join("small.toml"), CONFIG).unwrap();
    called(path, &format!("train log.csv --out model {SMALL} {tasks} --epochs 2")).json();
    let at = "--at 2023-11-20T00:04:30Z";
    called(path, &format!("predict model log.csv {at} --out p.csv --quiet")).code.unwrap();
    let told = called(path, &format!("explain model log.csv --user u120 {at} --out why --json"));
    let told = told.json();
    assert_eq!((&told["task"], &told["target"]), (&"purchase".into(), &Value::Null));
    let predictions = fs::read_to_string(path.join("p.csv")).unwrap();
    let row = predictions.lines().find(|line| line.starts_with("u120,")).unwrap();
    let head: Vec<&str> = predictions.lines().next().unwrap().split(',').collect();
    let place = head.iter().position(|name| *name == "purchase").unwrap();
    let predicted: f64 = row.split(',').nth(place).unwrap().parse().unwrap();
    let answer = told["answer"].as_f64().unwrap();
    // Of a probability near 1, 32 bits leave about so much of the logit that is set right.
    assert!((predicted - answer).abs() < 1e-3, "{predicted} and {answer}");
    let json = read(&path.join("why/explanation.json"));
    assert_eq!(json["causes"]["moment"].as_array().unwrap().len(), 20);
    assert_eq!(json["gates"]["layers"][0]["gates"][1][0], "z");
    let next = "explain model log.csv --user u120 --task next-event --before buy --out next --json";
    let next = called(path, next).json();
    assert_eq!(next["target"]["name"], "buy");

    for (line, part) in [
        ("--out x", "whom to explain"),
        ("--user u120 --all 3 --out x", "cannot be used with"),
        ("--user u120", "--out DIR is missing"),
        ("--user u120 --out x --task value", "the model was trained for next-event, purchase"),
        ("--user u120 --out x --task purchase --target i3", "has one answer"),
        ("--user u120 --out x --task next-event --target sale", "no such kind"),
        ("--user u120 --out x --before sale", "no such kind of event; it has view"),
        ("--user u120 --out x --at 2020-01-01", "nothing is known of user u120 before"),
        ("--user u120 --out x --steps 0", "0"),
    ] {
        let error = called(path, &format!("explain model log.csv {line}"));
        assert!(error.fails(2).contains(part), "{line}: {}", error.stderr);
        assert!(!path.join("x").exists() && !path.join("x.partial").exists(), "{line}");
    }
    let error = called(path, "explain model log.csv --user nobody --out x");
    assert!(error.fails(1).contains("no such user"));
}
