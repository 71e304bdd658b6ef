//! Models that come from PyTorch and leave for it, through our own forward pass and through the binary.
//!
//! The state dicts are made by `golden/make_state_dicts.py`. What needs ONNX Runtime or PyTorch beside us
//! is `examples/interchange.py`; the graph itself is interpreted in the tests of crate `model`.

mod calls;

use std::fs;
use std::path::{Path, PathBuf};

use calls::{Called, assert_keys, call};
use model::{Batch, Device, Model, Reference, Renames, Scorer, StateDict, Wanted};
use ndarray::Array2;
use testkit::{Golden, Precision, assert_close};

const ITEMS: usize = 9;

/// Each file, what its layers are called there and what they are, and the type of its numbers.
const CASES: [(&str, &str); 4] =
    [("lstm", "lstm"), ("lstm_projection", "lstm"), ("gru", "gru"), ("rnn", "rnn")];

fn golden_path(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    folder.join(format!("state_dict_{name}.safetensors"))
}

fn open(name: &str, family: &str) -> StateDict {
    let renames: Renames = format!("emb=embedding,rnn={family},fc=output").parse().unwrap();
    StateDict::open(&golden_path(name), &renames).unwrap()
}

fn sessions(golden: &Golden) -> Vec<Vec<u32>> {
    let mut items = golden.integers::<u32>("items").into_iter();
    let lengths = golden.integers::<usize>("lengths");
    lengths.iter().map(|&length| items.by_ref().take(length).collect()).collect()
}

/// Scores and pictures in the order of the sessions.
fn answers<D: Device>(model: &Model<D>, sessions: &[Vec<u32>]) -> [Array2<f32>; 2] {
    let mut batch = Batch::new(model.config());
    let prefixes: Vec<&[u32]> = sessions.iter().map(Vec::as_slice).collect();
    batch.fill_prefixes(&prefixes, Wanted::Last);
    let mut scorer = Scorer::new(model);
    let pictures = scorer.represent(&batch).unwrap();
    let width = pictures.len() / sessions.len();
    let mut found = [ITEMS, width].map(|width| Array2::zeros((sessions.len(), width)));
    let row_of = |row: usize| batch.origins()[row].0 as usize;
    for (row, picture) in pictures.chunks_exact(width).enumerate() {
        found[1].row_mut(row_of(row)).assign(&ndarray::aview1(picture));
    }
    let note = |first: usize, scores: &model::Scores| {
        for row in 0..scores.rows() {
            found[0].row_mut(row_of(first + row)).assign(&ndarray::aview1(scores.row(row)));
        }
    };
    scorer.score(&batch, note).unwrap();
    found
}

/// A plain module normalises nothing, so its last hidden state is our picture.
#[test]
fn state_dicts_of_pytorch_answer_as_pytorch_does() {
    let golden = Golden::open("state_dict_scores");
    let sessions = sessions(&golden);
    for (name, family) in CASES {
        let dict = open(name, family);
        let config = dict.config(None).unwrap();
        assert!(config.cell.to_string().starts_with(family));
        let exact = dict.model(Reference::<f64>::new(), &config, ITEMS).unwrap();
        let fast = dict.model(model::Cpu::new(2).unwrap(), &config, ITEMS).unwrap();
        for found in [answers(&exact, &sessions), answers(&fast, &sessions)] {
            for (key, found) in ["scores", "hidden"].into_iter().zip(&found) {
                let what = format!("{name}.{key}");
                let expected = golden.matrix::<f32>(&what);
                assert_close(&what, found.view(), expected.view(), f32::GOLDEN);
            }
        }
    }
}

/// A small shop, its model of one cell, and what a call says there.
struct Shop(tempfile::TempDir);

impl Shop {
    fn new(config: &str) -> Self {
        let shop = Self(tempfile::tempdir().unwrap());
        let mut text = String::new();
        for session in 0..120usize {
            let items = (0..3 + session % 4).map(|k| format!("p{}", (session * 5 + k) % 16));
            text += &(items.collect::<Vec<_>>().join(" ") + "\n");
        }
        fs::write(shop.path().join("log.txt"), text).unwrap();
        let config = format!("[model]\n{config}[training]\nepochs = 2\nbatch_targets = 64\n");
        fs::write(shop.path().join("model.toml"), config).unwrap();
        let train = "train log.txt --format sessions --config model.toml --out model --split none";
        shop.call(train).json();
        shop
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn call(&self, arguments: &str) -> Called {
        let arguments: Vec<&str> = arguments.split(' ').chain(["--json", "--quiet"]).collect();
        call(self.path(), &arguments)
    }

    /// All items with their probabilities.
    fn recommended(&self, model: &str) -> String {
        self.call(&format!("recommend {model} --events-file events.txt -k 16")).stdout
    }
}

/// To the last bit, with what the file says of itself, with what a model says, and with a list and a
/// settings file.
#[test]
fn a_model_goes_there_and_back() {
    for config in [
        "hidden = 7\ncell = \"gru\"\nlayers = 2\noutput = \"free\"\noutput_bias = true\n",
        "hidden = 7\nembedding = 5\nreadout = \"attention\"\ncell = \"lstm+projection\"\n",
        "hidden = 7\ninput = \"one-hot\"\ninput_scale = 0.0\noutput = \"free\"\n\
         dropout = { input = 0.0 }\n",
    ] {
        let shop = Shop::new(config);
        fs::write(shop.path().join("events.txt"), "p3\np4\np3\n").unwrap();
        let expected = shop.recommended("model");
        assert_eq!(expected.matches("\"item\"").count(), 16);

        let export = shop.call("export model --out state.safetensors").json();
        assert_keys(&export, &["file", "format", "opset", "items", "bytes", "items_file"]);
        assert_eq!(
            (export["format"].as_str(), export["items"].as_u64()),
            (Some("safetensors"), Some(16))
        );
        let import = shop.call("import state.safetensors --out back").json();
        assert_keys(&import, &["model", "cell", "layers", "items", "parameters"]);
        assert_eq!(shop.recommended("back"), expected, "{config}");
        let again = shop.call("export back --out again.safetensors").json();
        assert_eq!(again["bytes"], export["bytes"]);
        let read = |name: &str| fs::read(shop.path().join(name)).unwrap();
        assert!(read("state.safetensors") == read("again.safetensors"), "{config}");

        shop.call("export model --out bare.safetensors --items items.txt").json();
        shop.call("import bare.safetensors --like model --out like").json();
        assert_eq!(shop.recommended("like"), expected, "{config}");
        assert!(read("like/model.safetensors") == read("model/model.safetensors"), "{config}");
        shop.call("import bare.safetensors --items items.txt --out listed").json();
        assert_eq!(shop.recommended("listed"), expected, "{config}");
        // What was counted in training does not fit on a list.
        assert!(read("listed/model.safetensors") != read("model/model.safetensors"));
        shop.call("evaluate listed log.txt --format sessions").json();
    }
}

/// A folder that is not empty is left alone, a run's files do not stay beside another model, and what
/// fails leaves nothing.
#[test]
fn folders_and_files_appear_whole_or_not_at_all() {
    let shop = Shop::new("hidden = 6\n");
    let there = |name: &str| shop.path().join(name).exists();
    shop.call("export model --out state.safetensors").json();
    let refused = shop.call("import state.safetensors --out model");
    assert!(refused.fails(2).contains("not empty; use --force"), "{}", refused.stderr);
    assert!(there("model/run.toml"));
    shop.call("import state.safetensors --out model --force").json();
    let left: Vec<_> = fs::read_dir(shop.path().join("model")).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");

    let says = |arguments: &str, code: i32, parts: &[&str]| {
        let called = shop.call(arguments);
        let message = called.fails(code);
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
    };
    let bytes = fs::read(shop.path().join("state.safetensors")).unwrap();
    fs::write(shop.path().join("short.safetensors"), &bytes[..bytes.len() - 4]).unwrap();
    fs::write(shop.path().join("two.txt"), "a\nb\n").unwrap();
    fs::write(shop.path().join("more.toml"), "[model]\nlayers = 2\n").unwrap();
    fs::write(shop.path().join("none.toml"), "[model]\nlayers = 0\n").unwrap();
    says("import short.safetensors --out new", 1, &["short.safetensors", "not a whole"]);
    says(
        "import model/model.safetensors --out new",
        1,
        &["is a model of Tidegate", "tidegate export"],
    );
    says("import state.safetensors --items two.txt --out new", 1, &["[2, 6]", "[16, 6]"]);
    says("import state.safetensors --config more.toml --out new", 1, &["missing", "_l1"]);
    says("import state.safetensors --config none.toml --out new", 2, &["model.layers"]);
    says("import state.safetensors", 2, &["--out DIR is missing"]);
    says("import state.safetensors --out new --rename rnn", 2, &["--rename", "OLD=NEW"]);
    let plain = golden_path("lstm");
    let import =
        format!("import {} --rename emb=embedding,rnn=lstm,fc=output --out new", plain.display());
    says(&import, 2, &["names no items", "--items FILE", "--like DIR"]);
    let import = import.replace("rnn=lstm", "rnn=lstm,rnn=gru");
    says(&import, 2, &["--rename rnn is to become lstm and gru"]);
    let import = import.replace(",rnn=gru", ",head=output");
    says(&import, 1, &["--rename head=output: no name begins with head. among "]);
    says("export model", 2, &["--out FILE is missing"]);
    says("export model --out a.pt", 2, &["--out a.pt", "--format"]);
    says("export model --out a.onnx --items a.onnx", 2, &["same file"]);
    says("export model --out model/model.safetensors", 2, &["this file is read, too"]);
    says("export nowhere --out a.onnx", 1, &["nowhere"]);
    assert!(!there("new") && !there("a.onnx") && !there("a.pt"));

    let normalised = Shop::new("hidden = 6\ncell = \"lstm+layernorm\"\n");
    for file in ["a.onnx", "a.safetensors"] {
        let called = normalised.call(&format!("export model --out {file} --items ids.txt"));
        assert!(called.fails(1).contains("train with --cell"), "{}", called.stderr);
    }
    let files: Vec<_> = fs::read_dir(normalised.path()).unwrap().collect();
    assert_eq!(files.len(), 3, "log, settings and model: {files:?}");
}

/// Weights that are numbers, and answers that are none.
#[test]
fn weights_too_large_for_an_answer_are_an_error_and_no_answer() {
    let plain = "temperature = 0.0\ninput_scale = 0.0\nrepeat_lags = 0\n";
    let shop = Shop::new(&format!("hidden = 12\n{plain}"));
    shop.call("export model --out state.safetensors").json();
    let file = shop.path().join("state.safetensors");
    let mut bytes = fs::read(&file).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    for number in bytes[8 + header..].chunks_exact_mut(4) {
        number.copy_from_slice(&1e38f32.to_le_bytes());
    }
    fs::write(&file, bytes).unwrap();
    shop.call("import state.safetensors --out large").json();
    for verb in ["recommend large --events p3", "evaluate large log.txt --format sessions"] {
        let called = shop.call(verb);
        assert!(called.fails(1).starts_with("error: the scores are not finite: "), "{verb}");
    }
}

/// The graph is the same every time, says what it is, and keeps the ids to itself where it is told to.
#[test]
fn a_graph_is_written() {
    let shop = Shop::new("hidden = 6\ncell = \"lstm+coupled\"\n");
    let first = shop.call("export model --out a.onnx").json();
    assert_eq!((first["format"].as_str(), first["opset"].as_u64()), (Some("onnx"), Some(17)));
    shop.call("export model --out other --format onnx").json();
    let read = |name: &str| fs::read(shop.path().join(name)).unwrap();
    assert!(read("a.onnx") == read("other"));
    assert_eq!(read("a.onnx").len() as u64, first["bytes"].as_u64().unwrap());
    shop.call("export model --out bare.onnx --items items.txt").json();
    let has_id = |bytes: &[u8]| bytes.windows(6).any(|six| six == b"\"p15\",");
    assert!(has_id(&read("a.onnx")) && !has_id(&read("bare.onnx")));
    let listed = fs::read_to_string(shop.path().join("items.txt")).unwrap();
    assert!(listed.lines().count() == 16 && listed.contains("p15\n"));
}
