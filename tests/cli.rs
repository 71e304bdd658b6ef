//! What scripts rely on: results, keys, exit codes, messages, folders.

mod calls;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use calls::{assert_keys, call, command, keys};
use serde_json::Value;

const FIGURES: [&str; 12] = [
    "cases",
    "unknown_targets",
    "recall@1",
    "recall@5",
    "recall@10",
    "recall@20",
    "mrr@5",
    "mrr@10",
    "mrr@20",
    "ndcg@5",
    "ndcg@10",
    "ndcg@20",
];

/// A folder with a log of users and times, and a model of it.
struct Shop {
    folder: tempfile::TempDir,
}

impl Shop {
    fn path(&self) -> &Path {
        self.folder.path()
    }
}

fn log() -> String {
    let mut text = String::from("who,when,what,did\n");
    for user in 0..150 {
        for k in 0..4 + user % 5 {
            let (time, item) = (1_700_000_000 + user * 10_000 + k * 60, (user * 3 + k) % 12);
            let kind = if k % 4 == 3 { "buy" } else { "view" };
            text += &format!("u{user},{time},item-{item},{kind}\n");
        }
    }
    text
}

const COLUMNS: [&str; 2] = ["--columns", "user=who,time=when,item=what,kind=did"];

/// One model for all tests that only read it.
fn shop() -> &'static Shop {
    static SHOP: OnceLock<Shop> = OnceLock::new();
    SHOP.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("log.csv"), log()).unwrap();
        let config = "[training]\nbatch_targets = 64\nlearning_rate = 0.03\n";
        fs::write(folder.path().join("small.toml"), config).unwrap();
        let train = ["train", "log.csv", "--out", "model", "--hidden", "16", "--epochs", "6"];
        let train = [&train[..], &["--config", "small.toml"]].concat();
        let called = call(folder.path(), &[&train[..], &COLUMNS, &["--json"]].concat());
        fs::write(folder.path().join("train.json"), &called.stdout).unwrap();
        called.json();
        Shop { folder }
    })
}

#[test]
fn help_shows_examples_for_every_verb() {
    let folder = tempfile::tempdir().unwrap();
    let general = call(folder.path(), &["--help"]);
    assert_eq!(general.code, Some(0));
    for verb in [
        "demo",
        "simulate",
        "inspect",
        "train",
        "evaluate",
        "recommend",
        "export",
        "import",
        "bench",
        "gpu-check",
        "devices",
    ] {
        assert!(general.stdout.contains(&format!("  {verb} ")), "{verb}");
        let help = call(folder.path(), &[verb, "--help"]);
        assert_eq!(help.code, Some(0));
        assert!(verb == "devices" || help.stdout.contains(&format!("  tidegate {verb}")), "{verb}");
        for flag in ["--config", "--seed", "--threads", "--device", "--json", "--quiet"] {
            assert!(help.stdout.contains(flag), "{verb} {flag}");
        }
    }
}

#[test]
fn a_wrong_command_line_is_code_2_and_names_the_flag() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::write(path.join("a.txt"), "1 2\n2 3\n").unwrap();
    for (arguments, part) in [
        (&["train", "a.txt"][..], "--out"),
        (&["train", "--out", "m"], "LOG"),
        (&["train", "a.txt", "--out", "m", "--split", "thirds"], "--split"),
        (&["train", "a.txt", "--out", "m", "--format", "json"], "--format"),
        (&["train", "a.txt", "--out", "m", "--columns", "buyer=x"], "--columns"),
        (&["train", "a.txt", "--out", "m", "--hidden", "0"], "--hidden"),
        (&["train", "a.txt", "--out", "m", "--hidden", "20,"], "--hidden"),
        (
            &["train", "a.txt", "--out", "m", "--hidden", "20,10", "--layers", "3"],
            "--hidden 20,10 and --layers 3: ",
        ),
        (&["train", "a.txt", "--out", "m", "--learning-rate", "1e300"], ": 1e300 is out of range"),
        (&["train", "a.txt", "--out", "m", "--window", "-1"], "--window"),
        (&["train", "a.txt", "--out", "m", "--epochs", "0"], "--epochs"),
        (&["train", "a.txt", "--out", "m", "--learning-rate", "0"], "training.learning_rate"),
        (&["train", "a.txt", "--out", "m", "--learning-rate", "nan"], "training.learning_rate"),
        (&["train", "a.txt", "--out", "m", "--optimizer", "lion"], "rmsprop"),
        (&["train", "a.txt", "--out", "m", "--device", "tpu"], "--device"),
        (&["train", "a.txt", "--out", "m", "--gap", "soon"], "--gap"),
        (&["train", "a.txt", "--out", "m", "--from", "yesterday"], "--from"),
        (&["train", "a.txt", "--out", "m", "--max-bad", "2"], "--max-bad"),
        (&["train", "a.txt", "--out", "m", "--cell", "gated"], "lstm+peephole"),
        (&["train", "a.txt", "--out", "m", "--force", "--resume"], "--resume"),
        (&["train", "a.txt", "--out", "m", "--threads", "0"], "--threads"),
        (&["simulate"], "--out"),
        (&["simulate", "--out", "s", "--truth", "s"], "--truth"),
        (&["recommend", "model", "--user", "3"], "--log"),
    ] {
        let called = call(path, arguments);
        assert!(called.fails(2).contains(part), "{arguments:?}: {}", called.stderr);
    }
    assert_eq!(fs::read_dir(path).unwrap().count(), 1, "nothing was written");
}

#[test]
fn a_wrong_config_is_code_2_and_names_file_line_and_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::write(path.join("a.txt"), "1 2\n2 3\n").unwrap();
    let train = ["train", "a.txt", "--out", "m", "--config", "c.toml"];
    let message = call(path, &train).fails(2).to_owned();
    assert!(message.contains("--config c.toml: cannot be read"), "{message}");
    for (text, parts) in [
        ("seed = 1\n[model]\nhiden = 3\n", ["line 3", "hiden"]),
        ("[training]\nepochs = \"many\"\n", ["line 2", "epochs"]),
        ("[training]\nwarmup = 1.5\n", ["training.warmup", "below 1"]),
        ("[model]\nreadout = \"median\"\n", ["line 2", "attention"]),
        ("[optimizer]\nkind = \"lion\"\n", ["line 2", "rmsprop"]),
        (
            "[optimizer]\nkind = \"sgd\"\nnesterov = true\n",
            ["optimizer.nesterov", "set momentum to 0.9"],
        ),
        ("[model.loss]\nkind = \"hinge\"\n", ["line 2", "top1-max"]),
        (
            "[model.loss]\nkind = \"bpr-max\"\nsmoothing = 0.1\n",
            ["model.loss.smoothing", "set it to 0"],
        ),
        // What would change nothing.
        ("[model]\nattention_key = 8\n", ["model.attention_key", "set readout to"]),
        ("[model]\nloss = { frequent = 9 }\n", ["model.loss.frequent", "loss.drawn"]),
        ("[optimizer]\nnesterov = true\n", ["optimizer.nesterov", "set kind to \"sgd\""]),
        ("[training]\nplateau_factor = 0.5\n", ["training.plateau_factor", "decay"]),
        ("[model]\nwidths = [20, 0]\n", ["model.widths", "a layer of 0 units"]),
        ("task = [\"churn\"]\n", ["--task", "churn"]),
        ("threads = 20000\n", ["threads = 20000", "1 to 1024"]),
    ] {
        fs::write(path.join("c.toml"), text).unwrap();
        let message = call(path, &train).fails(2).to_owned();
        assert!(parts.iter().all(|part| message.contains(part)), "{text}: {message}");
    }
}

#[test]
fn a_bad_file_is_code_1_and_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let message = call(path, &["train", "no.csv", "--out", "m"]).fails(1).to_owned();
    assert!(message.starts_with("error: no.csv: cannot be opened"), "{message}");
    assert!(!path.join("m").exists());

    fs::write(path.join("bad.csv"), "user,item,time\na,1,5\na,2,soon\n,,\nb,1,7\n").unwrap();
    let called = call(path, &["inspect", "bad.csv"]);
    let message = called.fails(1);
    assert!(message.contains("bad.csv line 3") && message.contains("--max-bad"), "{message}");
    let called = call(path, &["inspect", "bad.csv", "--max-bad", "0.9", "--json"]);
    assert_eq!(called.json()["bad_rows"], 2);
    assert!(called.stderr.starts_with("warning: 2 of 4 rows"), "{}", called.stderr);

    fs::write(path.join("one.txt"), "1\n2\n").unwrap();
    let message = call(path, &["train", "one.txt", "--format", "sessions", "--out", "m"]);
    assert!(message.fails(1).contains("at least two events"), "{}", message.stderr);
    assert!(!path.join("m").exists());

    fs::write(path.join("pairs.tsv"), "1 2\t3\n1\t2\n").unwrap();
    let called = call(path, &["train", "pairs.tsv", "--out", "m"]);
    assert!(called.fails(1).contains("tidegate evaluate"), "{}", called.stderr);
    let message = call(path, &["evaluate", "nothing", "bad.csv"]).fails(1).to_owned();
    assert!(message.contains("nothing: there is no such folder"), "{message}");
    fs::create_dir(path.join("broken")).unwrap();
    fs::write(path.join("broken/model.safetensors"), [7; 100]).unwrap();
    let message = call(path, &["recommend", "broken", "--events", "1"]).fails(1).to_owned();
    assert!(message.contains("model.safetensors"), "{message}");
}

#[test]
fn simulate_repeats_itself_and_writes_the_truth() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let simulate = |name: &str, seed: &str| {
        let flags = ["simulate", "--out", name, "--events", "2000", "--seed", seed, "--json"];
        let found = call(path, &[&flags[..], &["--truth", &format!("{name}-truth.csv")]].concat());
        (found.json(), fs::read(path.join(name)).unwrap())
    };
    let (found, first) = simulate("a.csv", "3");
    assert_keys(&found, &["file", "events", "users", "items", "best_possible", "truth"]);
    assert!(found["events"].as_u64().unwrap() >= 2000);
    let best = found["best_possible"]["recall@20"].as_f64().unwrap();
    assert!((0.1..=1.0).contains(&best), "{best}");
    assert!(first == simulate("b.csv", "3").1 && first != simulate("c.csv", "4").1);
    let truth = fs::read_to_string(path.join("a.csv-truth.csv")).unwrap();
    assert!(truth.starts_with("user,type,"), "{truth:.40}");
    assert!(path.join("a.csv-truth-causes.csv").is_file());
    assert_eq!(fs::read_dir(path).unwrap().count(), 9, "no unfinished file stays");
}

#[test]
fn train_reports_and_leaves_a_complete_folder() {
    let shop = shop();
    let result: Value =
        serde_json::from_str(&fs::read_to_string(shop.path().join("train.json")).unwrap()).unwrap();
    assert_keys(
        &result,
        &["epochs", "best_epoch", "events_per_s", "wall_s", "peak_rss", "parameters"],
    );
    assert_eq!(result["model"], "model");
    assert_keys(&result["validation"], &FIGURES);
    let mut names: Vec<_> = fs::read_dir(shop.path().join("model"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "log.csv",
            "log.jsonl",
            "model.safetensors",
            "report.html",
            "result.json",
            "run.toml",
            "tensorboard"
        ]
    );
    let run = fs::read_to_string(shop.path().join("model/run.toml")).unwrap();
    for line in ["seed = 1", "hidden = 16", "epochs = 6", "split = \"time:0.9\""] {
        assert!(run.contains(line), "{line} is missing in {run}");
    }
}

/// The default is Adam's; what is asked for by name is taken without a word.
#[test]
fn a_learning_rate_that_does_not_suit_the_optimizer_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::write(path.join("a.txt"), "1 2 3\n2 3 1\n3 1 2\n1 2\n").unwrap();
    fs::write(path.join("c.toml"), "[optimizer]\nmomentum = 0.9\n").unwrap();
    let train = ["train", "a.txt", "--force", "--out", "m", "--epochs", "1", "--split", "none"];
    let warned = |flags: &[&str]| call(path, &[&train, flags].concat()).stderr;
    for (name, rate) in [("sgd", "3"), ("adagrad", "0.1")] {
        let stderr = warned(&["--optimizer", name]);
        assert!(stderr.contains(&format!("begin with --learning-rate {rate}\n")), "{stderr}");
        let stderr = warned(&["--optimizer", name, "--learning-rate", rate]);
        assert!(!stderr.contains("begin with"), "{stderr}");
    }
    let stderr = warned(&["--optimizer", "sgd", "--config", "c.toml"]);
    assert!(stderr.contains("begin with --learning-rate 0.3\n"), "{stderr}");
    let stderr = warned(&["--optimizer", "rmsprop"]);
    assert!(!stderr.contains("begin with"), "{stderr}");
}

/// A flag takes the place of its own key and leaves the others of the file alone.
#[test]
fn what_a_file_says_of_widths_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::write(path.join("a.txt"), "1 2 3\n2 3 1\n3 1 2\n1 2\n").unwrap();
    let train = ["train", "a.txt", "--config", "c.toml", "--force", "--out", "m", "--quiet"];
    for (text, hidden, parts) in [
        ("embedding = 12\nlayers = 2\n", "7", ["embedding = 12\n", "layers = 2\n"]),
        ("widths = [9, 8, 7]\n", "6", ["embedding = 6\n", "layers = 3\n"]),
    ] {
        fs::write(path.join("c.toml"), format!("[model]\n{text}[training]\nepochs = 1\n")).unwrap();
        let flags = ["--split", "none", "--hidden", hidden];
        assert_eq!(call(path, &[&train[..], &flags].concat()).code, Some(0));
        let run = fs::read_to_string(path.join("m/run.toml")).unwrap();
        assert!(parts.iter().all(|part| run.contains(part)), "{run}");
    }
    fs::write(path.join("c.toml"), "[model]\nlayers = 3\n").unwrap();
    let called = call(path, &[&train[..], &["--hidden", "20,10"]].concat());
    assert!(called.fails(2).contains("--hidden 20,10: the settings file says layers = 3"));
}

#[test]
fn the_saved_run_makes_the_same_model_again() {
    let shop = shop();
    let again = ["train", "--config", "model/run.toml", "--out", "again", "--quiet"];
    assert_eq!(call(shop.path(), &again).code, Some(0));
    let model = |name: &str| fs::read(shop.path().join(name).join("model.safetensors")).unwrap();
    assert!(model("model") == model("again"));
}

#[test]
fn a_folder_that_is_not_empty_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::write(path.join("a.txt"), "1 2 3\n2 3 1\n3 1 2\n1 2 3\n".repeat(5)).unwrap();
    fs::create_dir(path.join("out")).unwrap();
    fs::write(path.join("out/notes.txt"), "mine").unwrap();
    let train = ["train", "a.txt", "--format", "sessions", "--epochs", "1", "--out", "out"];
    let called = call(path, &train);
    assert!(called.fails(2).contains("out: it is not empty; use --force"), "{}", called.stderr);
    assert_eq!(fs::read_dir(path.join("out")).unwrap().count(), 1);
    let forced = call(path, &[&train[..], &["--force", "--hidden", "8"]].concat());
    assert_eq!(forced.code, Some(0), "{}", forced.stderr);
    assert_eq!(fs::read_to_string(path.join("out/notes.txt")).unwrap(), "mine");
    // What is finished is not resumed, and says so.
    let resumed = call(path, &[&train[..], &["--resume"]].concat());
    assert!(resumed.stdout.contains("nothing to resume"), "{}", resumed.stdout);
    let called = call(path, &["train", "a.txt", "--out", "a.txt"]);
    assert!(called.fails(2).contains("a.txt: there is a file of this name"), "{}", called.stderr);
}

#[test]
fn evaluate_reports_beside_the_baselines() {
    let shop = shop();
    let evaluate = ["evaluate", "model", "log.csv", "--json"];
    let found = call(shop.path(), &[&evaluate[..], &COLUMNS].concat()).json();
    let task = &found["tasks"]["next-item"];
    assert_keys(task, &FIGURES);
    for name in ["popularity", "session_popularity", "markov"] {
        assert_keys(&task["baselines"][name], &FIGURES);
        assert_eq!(task["baselines"][name]["cases"], task["cases"]);
    }
    let recall = task["recall@1"].as_f64().unwrap();
    assert!(recall > 0.9, "every item has one successor in this shop: {recall}");

    let only = [&evaluate[..], &COLUMNS, &["--split", "leave-last-out"]].concat();
    assert_eq!(call(shop.path(), &only).json()["tasks"]["next-item"]["cases"], 150);
    let people = call(shop.path(), &[&evaluate[..3], &COLUMNS].concat());
    for name in ["recall@20", "this model", "Markov", "session popularity", "popularity"] {
        assert!(people.stdout.contains(name), "{}", people.stdout);
    }
    assert!(people.stdout.lines().all(|line| line.chars().count() <= 80));
}

#[test]
fn pairs_and_sessions_give_the_same_figures_and_predictions_name_ids() {
    let shop = shop();
    let path = shop.path();
    fs::write(path.join("test.txt"), "item-1 item-2 new item-3\nnew item-4 item-5\n").unwrap();
    let pairs = "item-1 item-2 new\titem-3\nitem-1 item-2\tnew\nitem-1\titem-2\n\
                 new item-4\titem-5\nnew\titem-4\n";
    fs::write(path.join("test.tsv"), pairs).unwrap();
    let figures = |name: &str| {
        call(path, &["evaluate", "model", name, "--json"]).json()["tasks"]["next-item"].clone()
    };
    let sessions = figures("test.txt");
    assert_eq!(sessions, figures("test.tsv"));
    assert_eq!((&sessions["cases"], &sessions["unknown_targets"]), (&5.into(), &1.into()));

    let evaluate = ["evaluate", "model", "test.txt", "--predictions", "top.csv", "--quiet"];
    assert_eq!(call(path, &evaluate).code, Some(0));
    let text = fs::read_to_string(path.join("top.csv")).unwrap();
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(lines[0][..5], ["case", "session", "target", "rank", "item_1"]);
    assert_eq!((lines.len(), lines[0].len()), (6, 24));
    assert_eq!(lines[1][..5], ["1", "1", "item-2", "1", "item-2"]);
    assert_eq!(lines[2][..4], ["2", "1", "new", ""]);
}

#[test]
fn recommend_answers_in_ids_best_first() {
    let shop = shop();
    let path = shop.path();
    let recommend = |arguments: &[&str]| {
        call(path, &[&["recommend", "model"][..], arguments, &["--json"]].concat())
    };
    let found = recommend(&["--events", "item-3 item-4", "-k", "5"]).json();
    let items = found["items"].as_array().unwrap();
    assert_eq!((items.len(), &items[0]["item"]), (5, &"item-5".into()));
    let scores: Vec<f64> = items.iter().map(|item| item["score"].as_f64().unwrap()).collect();
    assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
    assert_eq!(keys(&found), ["items"]);

    // The vocabulary is smaller than twenty.
    let all = recommend(&["--events", "item-3"]).json();
    assert_eq!(all["items"].as_array().unwrap().len(), 12);
    fs::write(path.join("ids.txt"), "item-3\nitem-4\n").unwrap();
    let from_file = recommend(&["--events-file", "ids.txt", "-k", "5"]).json();
    assert_eq!(from_file, found);

    // User 3 ends with item (3·3 + 6) mod 12 = 3.
    let user = [&["--log", "log.csv", "--user", "u3", "-k", "1"][..], &COLUMNS].concat();
    assert_eq!(recommend(&user).json()["items"][0]["item"], "item-4");
    let nobody = [&["--log", "log.csv", "--user", "u999"][..], &COLUMNS].concat();
    assert!(recommend(&nobody).fails(1).contains("--user u999: no such user"));

    let half = recommend(&["--events", "item-3 hat item-4", "-k", "5"]);
    assert_eq!(half.json(), found);
    assert_eq!(half.stderr, "warning: unknown to the model and skipped: hat\n");
    let none = recommend(&["--events", "hat", "-k", "1"]);
    assert!(none.stderr.contains("most popular"), "{}", none.stderr);
    none.json();
    assert!(recommend(&[]).fails(2).contains("--events"));
}

#[test]
fn devices_names_the_kernel() {
    let folder = tempfile::tempdir().unwrap();
    let found = call(folder.path(), &["devices", "--json"]).json();
    let cpu = &found["devices"][0];
    assert_eq!(cpu["name"], "cpu");
    let kernels = cpu["kernels"].as_array().unwrap();
    assert!(kernels.contains(&"portable".into()) && kernels.contains(&cpu["kernel"]));
    let forced = command(folder.path(), &["devices"]).env("TIDEGATE_SIMD", "portable").output();
    assert!(String::from_utf8(forced.unwrap().stdout).unwrap().contains("portable"));
    let wrong = command(folder.path(), &["devices"]).env("TIDEGATE_SIMD", "mmx").output().unwrap();
    assert_eq!(wrong.status.code(), Some(1));
    assert!(String::from_utf8(wrong.stderr).unwrap().contains("TIDEGATE_SIMD"));
}

/// Every word here is true on a machine with a card as on one without.
#[test]
fn a_card_is_listed_or_its_absence_explained() {
    let folder = tempfile::tempdir().unwrap();
    let found = call(folder.path(), &["devices", "--json"]).json();
    let cards = found["devices"].as_array().unwrap().len() - 1;
    assert_eq!(cards == 0, found["cuda_missing"].is_string(), "{found}");
    if cards == 0 {
        let why = found["cuda_missing"].as_str().unwrap();
        for arguments in [
            &["gpu-check", "--no-times"][..],
            &["bench", "sequence", "--device", "cuda", "--shape", "T2,B2,I2,H2"],
        ] {
            let called = call(folder.path(), arguments);
            assert!(called.fails(1).contains(why), "{}", called.stderr);
        }
    }
    let beyond = call(folder.path(), &["gpu-check", "--device", "cuda:999"]);
    beyond.fails(1);
    for (arguments, part) in [
        (&["gpu-check", "--device", "cpu"][..], "--device"),
        (&["gpu-check", "--shape", "T2,B2,I2,H2,L2"], "one layer"),
        (&["bench", "softmax", "--device", "cuda"], "bench sequence"),
        (&["bench", "sequence", "--device", "cuda", "--kernels", "v9"], "--kernels"),
    ] {
        let called = call(folder.path(), arguments);
        assert!(called.fails(2).contains(part), "{}", called.stderr);
    }
}

#[test]
fn the_demo_leaves_what_it_names_and_can_be_run_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let demo = ["demo", "--events", "3000", "--epochs", "1", "--quiet"];
    let called = call(path, &demo);
    assert_eq!(called.code, Some(0), "{}", called.stderr);
    assert!(called.stdout.lines().all(|line| line.chars().count() <= 80), "{}", called.stdout);
    for part in ["best possible", "this LSTM", "Markov", "looked at", "would be shown"] {
        assert!(called.stdout.contains(part), "{part}: {}", called.stdout);
    }
    for name in [
        "report.md",
        "report.json",
        "shop.csv",
        "truth.csv",
        "truth-causes.csv",
        "model/model.safetensors",
    ] {
        assert!(path.join("tidegate-demo").join(name).is_file(), "{name}");
        assert!(called.stdout.contains(name), "{name}");
    }
    let again = call(path, &[&demo[..], &["--json"]].concat()).json();
    assert_keys(&again["test"], &["recall@20", "best_possible", "baselines", "way"]);
    assert_eq!(fs::read_dir(path).unwrap().count(), 1, "nothing unfinished stays");

    fs::create_dir(path.join("mine")).unwrap();
    fs::write(path.join("mine/file"), "").unwrap();
    let refused = call(path, &["demo", "--out", "mine", "--events", "3000"]);
    assert!(refused.fails(2).contains("mine: it is not empty"), "{}", refused.stderr);
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_training_with_a_checkpoint_and_code_130() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::write(path.join("log.csv"), log()).unwrap();
    let train = ["train", "log.csv", "--out", "model", "--epochs", "100000", "--patience", "0"];
    let child = command(path, &[&train[..], &COLUMNS].concat())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The first epoch is there: the run is in full swing.
    wait_for(&path.join("model/log.jsonl"));
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(stderr.contains("--resume") && stderr.contains("checkpoint"), "{stderr}");
    assert!(path.join("model/checkpoint/state.safetensors").is_file());
    assert!(!path.join("model/model.safetensors").exists());
    let message = call(path, &["recommend", "model", "--events", "item-1"]).fails(1).to_owned();
    assert!(message.contains("not finished"), "{message}");
    let other = call(path, &["train", "--resume", "--out", "model", "--seed", "2"]);
    assert!(other.fails(1).contains("seed is 1 there and 2 here"), "{}", other.stderr);
    fs::write(path.join("model/checkpoint/state.safetensors"), "cut off").unwrap();
    let damaged = call(path, &["train", "--resume", "--out", "model"]);
    assert!(damaged.fails(1).contains("start over with --force"), "{}", damaged.stderr);
    fs::write(path.join("model/checkpoint/run.toml"), "seed = = 1").unwrap();
    let damaged = call(path, &["train", "--resume", "--out", "model"]);
    assert!(damaged.fails(2).starts_with("error: model/checkpoint/run.toml"), "{}", damaged.stderr);
}

#[cfg(unix)]
fn wait_for(path: &Path) {
    let begin = Instant::now();
    while !path.exists() {
        assert!(begin.elapsed() < Duration::from_secs(60), "{} never came", path.display());
        std::thread::sleep(Duration::from_millis(5));
    }
}
