//! Training through the real binary: a small shop is learned, the same run gives the same file for
//! any number of threads, and a run that is killed at any moment and resumed gives it too.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use layout::random::Stream;

const MODEL: &str = "model.safetensors";

/// Sessions along two rings of items, so that two items tell the third: nothing that a table of
/// successors could know.
fn write_log(folder: &Path) -> PathBuf {
    let mut text = String::new();
    for session in 0..600usize {
        let (step, start) = (if session % 2 == 0 { 1 } else { 7 }, session * 5);
        let length = if session % 50 == 0 { 70 } else { 3 + session % 7 };
        let items: Vec<_> = (0..length).map(|k| format!("p{}", (start + k * step) % 16)).collect();
        text += &(items.join(" ") + "\n");
    }
    let path = folder.join("log.txt");
    fs::write(&path, text).unwrap();
    path
}

/// Everything that could go wrong over a break is switched on: dropout, sampled candidates,
/// averaging, validation, early stopping, a checkpoint after every step.
const CONFIG: &str = "
seed = 5
[data]
format = \"sessions\"
[model]
hidden = 16
readout = \"attention\"
attention_key = 8
dropout = { input = 0.1, readout = 0.1 }
loss = { frequent = 6, drawn = 4, smoothing = 0.05 }
[training]
epochs = 8
batch_targets = 128
learning_rate = 0.02
recency = 0.5
average = 0.3
checkpoint_seconds = 0
";

struct Shop {
    folder: tempfile::TempDir,
    log: PathBuf,
    config: PathBuf,
}

impl Shop {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = write_log(folder.path());
        let config = folder.path().join("config.toml");
        fs::write(&config, CONFIG).unwrap();
        Self { folder, log, config }
    }

    fn out(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn train(&self, out: &Path, flags: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        command.arg("train").arg(&self.log).arg("--out").arg(out);
        command.arg("--config").arg(&self.config).args(["--json", "--quiet"]).args(flags);
        command
    }

    /// Runs to the end and returns the model.
    fn model(&self, name: &str, flags: &[&str]) -> Vec<u8> {
        let out = self.out(name);
        succeed(self.train(&out, flags).output().unwrap());
        fs::read(out.join(MODEL)).unwrap()
    }
}

fn succeed(output: Output) -> serde_json::Value {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    serde_json::from_slice(&output.stdout).expect("one JSON object on stdout")
}

#[test]
fn a_small_shop_is_learned() {
    let shop = Shop::new();
    let out = shop.out("model");
    let result = succeed(shop.train(&out, &["--epochs", "12"]).output().unwrap());
    let log = fs::read_to_string(out.join("log.jsonl")).unwrap();
    let losses: Vec<f64> = log
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["loss"].clone())
        .map(|loss| loss.as_f64().unwrap())
        .collect();
    assert_eq!(losses.len() as u64, result["epochs"].as_u64().unwrap());
    let (first, last) = (losses[0], losses[losses.len() - 1]);
    assert!(last < 0.7 * first, "loss {first} to {last}");
    let validation = &result["validation"];
    let model = validation["recall@1"].as_f64().unwrap();
    let markov = validation["baselines"]["markov"]["recall@1"].as_f64().unwrap();
    assert!(model > 0.7 && model > markov + 0.1, "recall@1 {model}, Markov {markov}");
}

/// The flag overrules the file, and the folder says which it was.
#[test]
fn every_optimizer_learns_the_shop() {
    let shop = Shop::new();
    let momentum = "momentum = 0.9\n";
    for (name, rate, keys) in
        [("sgd", "0.5", momentum), ("adagrad", "0.1", ""), ("rmsprop", "0.002", momentum)]
    {
        let config = format!("{CONFIG}[optimizer]\n{keys}kind = \"adam\"\n");
        fs::write(&shop.config, config).unwrap();
        let out = shop.out(name);
        let flags = ["--optimizer", name, "--learning-rate", rate, "--epochs", "12"];
        let result = succeed(shop.train(&out, &flags).output().unwrap());
        let recall = result["validation"]["recall@1"].as_f64().unwrap();
        assert!(recall > 0.7, "{name}: recall@1 {recall}");
        let settings = fs::read_to_string(out.join("run.toml")).unwrap();
        assert!(settings.contains(&format!("kind = \"{name}\"")), "{settings}");
    }
}

/// Over a sample and over all items.
#[test]
fn every_loss_learns_the_shop() {
    let shop = Shop::new();
    let sampled = "loss = { frequent = 6, drawn = 4, smoothing = 0.05 }";
    for (name, loss) in [
        (
            "bpr-max",
            "loss = { kind = \"bpr-max\", frequent = 6, drawn = 4, regularization = 0.001 }",
        ),
        ("bpr-max-all", "loss = { kind = \"bpr-max\" }"),
        ("top1-max", "loss = { kind = \"top1-max\", frequent = 6, drawn = 4 }"),
        ("top1-max-all", "loss = { kind = \"top1-max\" }"),
    ] {
        fs::write(&shop.config, CONFIG.replace(sampled, loss)).unwrap();
        let out = shop.out(name);
        let result = succeed(shop.train(&out, &["--epochs", "12"]).output().unwrap());
        let recall = result["validation"]["recall@1"].as_f64().unwrap();
        assert!(recall > 0.6, "{name}: recall@1 {recall}");
        let settings = fs::read_to_string(out.join("run.toml")).unwrap();
        let kind = name.trim_end_matches("-all");
        assert!(settings.contains(&format!("kind = \"{kind}\"")), "{settings}");
    }
}

/// Dropout inside the recurrence: learned with it, answered without or with its mean, the same file for
/// any number of threads.
#[test]
fn dropout_inside_the_recurrence_learns_the_shop() {
    let shop = Shop::new();
    let outside = "dropout = { input = 0.1, readout = 0.1 }";
    for (name, cell, inside) in [
        ("weights", "lstm", "weights = 0.2"),
        ("recurrent", "lstm", "recurrent = 0.2"),
        ("both", "gru", "weights = 0.1, recurrent = 0.1"),
        ("zoneout", "lstm", "zoneout_c = 0.1, zoneout_h = 0.05"),
    ] {
        let dropout = outside.replace(" }", &format!(", {inside} }}"));
        fs::write(&shop.config, CONFIG.replace(outside, &dropout)).unwrap();
        let out = shop.out(name);
        let flags = ["--cell", cell, "--epochs", "12", "--threads"];
        let result = succeed(shop.train(&out, &[&flags[..], &["2"]].concat()).output().unwrap());
        let validation = &result["validation"];
        let model = validation["recall@1"].as_f64().unwrap();
        let markov = validation["baselines"]["markov"]["recall@1"].as_f64().unwrap();
        assert!(model > 0.6 && model > markov + 0.1, "{name}: recall@1 {model}, Markov {markov}");
        let one = shop.model(&format!("{name}-one"), &[&flags[..], &["1"]].concat());
        assert!(fs::read(out.join(MODEL)).unwrap() == one, "{name}: another file");
        let settings = fs::read_to_string(out.join("run.toml")).unwrap();
        for rate in inside.split(", ") {
            assert!(settings.contains(rate), "{settings}");
        }
        let mut evaluate = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        evaluate.arg("evaluate").arg(&out).arg(&shop.log);
        evaluate.args(["--format", "sessions", "--json", "--quiet"]);
        let scores = succeed(evaluate.output().unwrap());
        let recall = scores["tasks"]["next-item"]["recall@1"].as_f64().unwrap();
        assert!(recall > 0.5, "{name}: {scores}");
    }
}

#[test]
fn the_same_run_gives_the_same_file_for_any_number_of_threads() {
    let shop = Shop::new();
    let one = shop.model("one", &["--threads", "1"]);
    for (name, flags) in
        [("again", ["--threads", "1"]), ("two", ["--threads", "2"]), ("seven", ["--threads", "7"])]
    {
        assert!(shop.model(name, &flags) == one, "{name}: another file");
    }
    assert!(shop.model("seed", &["--seed", "6"]) != one, "the seed changes nothing");
}

/// Every cell, through the binary: it learns what no table of successors knows, gives the same file for
/// any number of threads, and its model is one that `evaluate` and `recommend` take.
#[test]
fn every_cell_learns_and_answers() {
    let shop = Shop::new();
    for cell in [
        "gru",
        "rnn",
        "lstm+peephole",
        "lstm+layernorm",
        "lstm+coupled",
        "lstm+projection",
        "lstm+peephole+projection",
    ] {
        let out = shop.out(cell);
        let flags = ["--cell", cell, "--epochs", "12", "--threads"];
        let result = succeed(shop.train(&out, &[&flags[..], &["2"]].concat()).output().unwrap());
        let validation = &result["validation"];
        let model = validation["recall@1"].as_f64().unwrap();
        let markov = validation["baselines"]["markov"]["recall@1"].as_f64().unwrap();
        assert!(model > markov + 0.1, "{cell}: recall@1 {model}, Markov {markov}");

        let one = shop.model(&format!("{cell}-one"), &[&flags[..], &["1"]].concat());
        assert!(fs::read(out.join(MODEL)).unwrap() == one, "{cell}: another file");

        let ask = |arguments: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
            succeed(command.args(arguments).args(["--json", "--quiet"]).output().unwrap())
        };
        let (folder, log) = (out.to_str().unwrap(), shop.log.to_str().unwrap());
        let scores = ask(&["evaluate", folder, log, "--format", "sessions"]);
        assert!(scores["tasks"]["next-item"]["recall@1"].as_f64().unwrap() > 0.5, "{scores}");
        let items = ask(&["recommend", folder, "--events", "p3 p4", "-k", "3"]);
        assert_eq!(items["items"].as_array().unwrap().len(), 3, "{cell}: {items}");
    }
}

/// Mixed widths, paths around layers, a learned start, pooled states, a head: through the binary, each
/// learns what no table of successors knows, on one thread as on two, and its model answers.
#[test]
fn every_shape_learns_and_answers() {
    let shop = Shop::new();
    let with =
        |config: &str, keys: &str| config.replace("hidden = 16", &format!("hidden = 16\n{keys}"));
    let shape = |readout: &str, keys: &str| {
        with(&without_attention(), &format!("readout = \"{readout}\"\n{keys}"))
    };
    for (name, config, flags) in [
        ("mixed", shape("last", ""), &["--hidden", "24,16"][..]),
        ("residual", with(CONFIG, "layers = 3\nresidual = true"), &[]),
        ("learned", shape("last", "layers = 2\ninitial_state = \"learned\""), &["--cell", "gru"]),
        ("mean", shape("mean", ""), &["--hidden", "32"]),
        ("max", shape("max", ""), &["--hidden", "32"]),
        ("head", shape("last", "head = [24, 20]\nhead_activation = \"elu\""), &[]),
        ("window", shape("last", ""), &["--window", "5"]),
    ] {
        fs::write(&shop.config, config).unwrap();
        let out = shop.out(name);
        let flags = [flags, &["--epochs", "12", "--threads"]].concat();
        let result = succeed(shop.train(&out, &[&flags[..], &["2"]].concat()).output().unwrap());
        let validation = &result["validation"];
        let model = validation["recall@1"].as_f64().unwrap();
        let markov = validation["baselines"]["markov"]["recall@1"].as_f64().unwrap();
        assert!(model > markov + 0.1, "{name}: recall@1 {model}, Markov {markov}");

        let one = shop.model(&format!("{name}-one"), &[&flags[..], &["1"]].concat());
        assert!(fs::read(out.join(MODEL)).unwrap() == one, "{name}: another file");

        let ask = |arguments: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
            succeed(command.args(arguments).args(["--json", "--quiet"]).output().unwrap())
        };
        let (folder, log) = (out.to_str().unwrap(), shop.log.to_str().unwrap());
        let scores = ask(&["evaluate", folder, log, "--format", "sessions"]);
        assert!(scores["tasks"]["next-item"]["recall@1"].as_f64().unwrap() > 0.5, "{scores}");
        let items = ask(&["recommend", folder, "--events", "p3 p4", "-k", "3"]);
        assert_eq!(items["items"].as_array().unwrap().len(), 3, "{name}: {items}");
    }
}

/// The same settings with no readout but the last state.
fn without_attention() -> String {
    let config = CONFIG.replace("readout = \"attention\"\nattention_key = 8\n", "");
    config.replace(", readout = 0.1", "")
}

/// Settings in which windows do all that they can: sessions of 70 items in windows of 9.
fn windowed() -> String {
    without_attention().replace("epochs = 8", "epochs = 5\nwindow = 9")
}

/// A window as long as the longest session makes the run that cuts no session, bit by bit; a shorter one
/// makes another, with more steps.
#[test]
fn a_window_of_the_longest_session_is_none() {
    let shop = Shop::new();
    let run = |name: &str, training: &str| {
        let config = windowed().replace("window = 9", training);
        fs::write(&shop.config, config).unwrap();
        let result = succeed(shop.train(&shop.out(name), &[]).output().unwrap());
        let number = |key: &str| result[key].as_f64().unwrap();
        let learned = (number("events_per_s") * number("training_s")).round() as u64;
        let model = fs::read(shop.out(name).join(MODEL)).unwrap();
        let log = fs::read_to_string(shop.out(name).join("log.jsonl")).unwrap();
        let last: serde_json::Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
        (model, last["steps"].as_u64().unwrap(), learned)
    };
    let whole = run("whole", "max_length = 69");
    assert!(run("one", "window = 69") == whole, "a window of everything is none");
    let windows = run("nine", "window = 9");
    assert_eq!(windows.2, whole.2, "windows learn each target once");
    assert!(windows.0 != whole.0, "windows change nothing");
    let cut = run("cut", "max_length = 9");
    assert!(windows.0 != cut.0, "the state is not carried");
    assert_ne!(windows.1, whole.1, "as many steps in windows as without");
}

#[test]
fn a_run_that_is_killed_ten_times_ends_with_the_same_file() {
    killed_again_and_again(10, CONFIG);
}

#[test]
fn so_does_one_that_learns_in_windows() {
    killed_again_and_again(4, &windowed());
}

fn killed_again_and_again(times: u64, config: &str) {
    let shop = Shop::new();
    fs::write(&shop.config, config).unwrap();
    let begin = Instant::now();
    let expected = shop.model("whole", &[]);
    let whole = begin.elapsed();

    let moments = Stream::new(11, 0, 0);
    let mut kills = 0;
    for round in 0.. {
        let out = shop.out(&format!("killed-{round}"));
        // Each life lasts up to a third of a whole run, from the first instant on.
        loop {
            if kills == times {
                succeed(shop.train(&out, &["--resume"]).output().unwrap());
                break;
            }
            let life = whole.mul_f32(moments.uniform(round * 100 + kills) / 3.0);
            let threads = (1 + kills % 2).to_string();
            let mut command = shop.train(&out, &["--resume", "--threads", &threads]);
            command.stdout(Stdio::null()).stderr(Stdio::piped());
            let mut child = command.spawn().unwrap();
            std::thread::sleep(life.max(Duration::from_millis(1)));
            child.kill().unwrap();
            let output = child.wait_with_output().unwrap();
            if let Some(code) = output.status.code() {
                // It was faster than the kill.
                assert_eq!(code, 0, "{}", String::from_utf8_lossy(&output.stderr));
                break;
            }
            kills += 1;
            let model = out.join(MODEL);
            assert!(!model.exists() || fs::read(model).unwrap() == expected, "half a model");
        }
        assert!(fs::read(out.join(MODEL)).unwrap() == expected, "round {round}: another file");
        assert!(!out.join("checkpoint").exists(), "the checkpoint stays behind");
        if kills == times {
            return;
        }
    }
}
