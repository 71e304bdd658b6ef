//! Model files and checkpoints: whole, the same bytes every time, and never trusted.

use std::path::Path;

use super::*;
use crate::{ModelFile, Reference, Tensor, Tensors, Values, Vocabulary};

#[test]
fn a_resumed_run_is_the_unbroken_one() {
    let (adam, rate) = optimizers()[0];
    for config in [rich(), one_hot()].into_iter().chain(shapes()) {
        resume(&config, OptimizerConfig { clip_norm: 5.0, ..adam }, rate);
    }
}

#[test]
fn so_it_is_with_every_optimiser() {
    for (optimizer, rate) in optimizers() {
        resume(&rich(), optimizer, rate);
    }
}

fn resume(config: &ModelConfig, optimizer: OptimizerConfig, rate: f32) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("checkpoint.safetensors");
    let mut unbroken = trainer_by(cpu(), config, optimizer);
    let run = |trainer: &mut Trainer<Cpu>, steps| {
        for _ in 0..steps {
            train_at(rate, trainer, 1);
            trainer.average();
        }
    };
    run(&mut unbroken, 3);
    unbroken.save(&path, "{\"epoch\": 1}").expect("written");
    let bytes = std::fs::read(&path).expect("read");
    let (mut resumed, state) = Trainer::load(&path, cpu()).expect("read back");
    assert_eq!((state.as_str(), resumed.steps()), ("{\"epoch\": 1}", 3));
    run(&mut unbroken, 4);
    run(&mut resumed, 4);
    let averaged = |trainer: &Trainer<Cpu>| bits(&trainer.averaged().expect("averages"));
    assert_eq!(bits(resumed.model()), bits(unbroken.model()), "{optimizer:?}");
    assert_eq!(averaged(&resumed), averaged(&unbroken), "{optimizer:?}");
    resumed.save(&path, "").expect("written");
    let second = std::fs::read(&path).expect("read");
    unbroken.save(&path, "").expect("written");
    assert!(second == std::fs::read(&path).expect("read"), "the same bytes, {optimizer:?}");
    assert!(second != bytes);
}

/// A checkpoint holds what its optimiser remembers and nothing else: weights alone for plain SGD.
#[test]
fn a_checkpoint_holds_what_is_remembered_and_no_more() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("checkpoint.safetensors");
    for (optimizer, rate) in optimizers() {
        let mut trainer = trainer_by(cpu(), &rich(), optimizer);
        train_at(rate, &mut trainer, 1);
        trainer.save(&path, "").expect("written");
        let (mut tensors, text) = crate::container::read(&path, "a checkpoint").expect("good");
        let weights = trainer.model().catalogue().iter().count();
        assert_eq!(tensors.len(), weights * (1 + optimizer.numbers_kept()), "{optimizer:?}");
        // One part less, or one too many, is no checkpoint.
        let part = tensors.keys().find(|name| name.starts_with("optimizer_")).cloned();
        let (name, says) = match part {
            Some(name) => {
                tensors.remove(&name);
                (name, "is missing")
            }
            None => {
                let name = "optimizer_m/repeat.bias".to_owned();
                tensors.insert(name.clone(), Tensor::matrix(1, 3, vec![0.0; 3]));
                (name, "has no place")
            }
        };
        crate::container::write(&path, &tensors, &text).expect("written");
        let error = Trainer::load(&path, cpu()).map(drop).expect_err("a part of it").to_string();
        assert!(error.contains(&name) && error.contains(says), "{optimizer:?}: {error}");
    }
}

pub(super) fn vocabulary() -> Vocabulary {
    let names = (0..ITEMS).map(|k| if k == 4 { String::new() } else { format!("Ä{k}") }).collect();
    Vocabulary { names, counts: (0..ITEMS as u64).rev().collect() }
}

pub(super) fn extra() -> Tensors {
    let counts = Tensor { shape: vec![2, 2], values: Values::U32(vec![1, 2, 3, u32::MAX]) };
    let text = Tensor::vector(Values::U8(b"seed = 1".to_vec()));
    Tensors::from([("markov.counts".to_owned(), counts), ("run.toml".to_owned(), text)])
}

#[test]
fn a_model_file_gives_the_model_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.safetensors");
    for config in [rich(), one_hot()].into_iter().chain(shapes()) {
        let mut trainer = trainer(Reference::<f32>::new(), &config);
        train(&mut trainer, 2);
        ModelFile::save(&path, trainer.model(), &vocabulary(), &extra()).expect("written");
        let first = std::fs::read(&path).expect("read");
        let file = ModelFile::load(&path).expect("read back");
        assert_eq!(file.config(), &config);
        assert_eq!(file.vocabulary(), &vocabulary());
        assert_eq!(file.extra(), &extra());
        let model = file.model(Reference::<f32>::new());
        assert_eq!(bits(&model), bits(trainer.model()));
        for _ in 0..10 {
            ModelFile::save(&path, &model, &vocabulary(), &extra()).expect("written");
            assert!(std::fs::read(&path).expect("read") == first, "the same bytes every time");
        }
        let left: Vec<_> = std::fs::read_dir(folder.path()).expect("a folder").collect();
        assert_eq!(left.len(), 1, "no temporary file stays behind");
    }
}

#[test]
fn the_file_has_the_names_and_shapes_of_pytorch() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.safetensors");
    let model = Model::new(Reference::<f32>::new(), &one_hot(), ITEMS, 3).expect("valid");
    ModelFile::save(&path, &model, &vocabulary(), &Tensors::new()).expect("written");
    let bytes = std::fs::read(&path).expect("read");
    let file = safetensors::SafeTensors::deserialize(&bytes).expect("safetensors");
    let shape = |name: &str| file.tensor(name).expect("there").shape().to_vec();
    assert_eq!(shape("lstm.weight_ih_l0"), [20, ITEMS]);
    assert_eq!(shape("lstm.weight_hh_l0"), [20, 5]);
    assert_eq!(shape("lstm.weight_ih_l1"), [20, 5]);
    assert_eq!(shape("lstm.bias_ih_l0"), [20]);
    assert_eq!(shape("output.weight"), [ITEMS, 5]);
    assert_eq!(shape("output.bias"), [ITEMS]);
    assert!(file.tensor("lstm.bias_hh_l1").expect("there").data().iter().all(|&byte| byte == 0));
    // Row 7 of the table is column 7 of PyTorch's matrix.
    let table = &model.parameters().recurrent[0].w_x;
    let tensor = file.tensor("lstm.weight_ih_l0").expect("there");
    let entry = &tensor.data()[4 * (3 * ITEMS + 7)..][..4];
    assert_eq!(f32::from_le_bytes(entry.try_into().expect("four bytes")), table.row(7)[3]);
}

#[test]
fn starts_and_heads_have_names_of_their_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.safetensors");
    let config = ModelConfig {
        initial_state: InitialState::Learned,
        widths: vec![7, 4],
        head: vec![9],
        readout: Readout::Max,
        ..rich()
    };
    let model = Model::new(Reference::<f32>::new(), &config, ITEMS, 3).expect("valid");
    ModelFile::save(&path, &model, &vocabulary(), &Tensors::new()).expect("written");
    let bytes = std::fs::read(&path).expect("read");
    let file = safetensors::SafeTensors::deserialize(&bytes).expect("safetensors");
    for (name, shape) in [
        ("lstm.weight_ih_l1", &[16, 7][..]),
        ("lstm.weight_hh_l1", &[16, 4]),
        ("lstm.h_0_l0", &[7]),
        ("lstm.c_0_l1", &[4]),
        ("head.0.weight", &[9, 4]),
        ("head.0.bias", &[9]),
        ("head.output.weight", &[6, 9]),
    ] {
        assert_eq!(file.tensor(name).expect("there").shape(), shape, "{name}");
    }
    assert!(file.tensor("readout.weight_h").is_err(), "the head takes the states as they are");
}

/// A file of the time before a key was there is read as it was meant.
#[test]
fn a_file_without_the_newer_keys_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.safetensors");
    let model = Model::new(Reference::<f32>::new(), &rich(), ITEMS, 3).expect("valid");
    ModelFile::save(&path, &model, &vocabulary(), &extra()).expect("written");
    let (tensors, text) = crate::container::read(&path, "a model").expect("good");
    let mut header: serde_json::Value = serde_json::from_str(&text).expect("an object");
    let keys = header["model"].as_object_mut().expect("a table");
    for key in ["widths", "residual", "initial_state", "reach", "head", "head_activation"] {
        assert!(keys.remove(key).is_some(), "{key}");
    }
    keys["dropout"].as_object_mut().expect("a table").remove("head").expect("a share");
    crate::container::write(&path, &tensors, &header.to_string()).expect("written");
    let file = ModelFile::load(&path).expect("an older file");
    assert_eq!(file.config(), &rich());
    assert_eq!(bits(&file.model(Reference::<f32>::new())), bits(&model));
}

/// Both of PyTorch's biases count, and a file from there brings two.
#[test]
fn the_second_bias_is_added_to_the_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.safetensors");
    let model = Model::new(Reference::<f32>::new(), &rich(), ITEMS, 3).expect("valid");
    ModelFile::save(&path, &model, &vocabulary(), &extra()).expect("written");
    let (mut tensors, text) = crate::container::read(&path, "a model").expect("good");
    let ones = Tensor::vector(Values::F32(vec![1.0; 20]));
    tensors.insert("lstm.bias_hh_l1".to_owned(), ones).expect("was there");
    crate::container::write(&path, &tensors, &text).expect("written");
    let read = ModelFile::load(&path).expect("good").model(Reference::<f32>::new());
    let expected = model.parameters().recurrent[1].b.as_slice().iter().map(|b| b + 1.0);
    assert!(read.parameters().recurrent[1].b.as_slice().iter().copied().eq(expected));
    assert_eq!(read.parameters().recurrent[0], model.parameters().recurrent[0]);
}

/// Writes the tensors of a good file with one change and gives the error that reading it gives.
pub(super) fn changed(good: &Path, change: impl Fn(&mut Tensors, &mut String)) -> String {
    let (mut tensors, mut text) = crate::container::read(good, "a model").expect("good");
    change(&mut tensors, &mut text);
    let bad = good.with_extension("bad");
    crate::container::write(&bad, &tensors, &text).expect("written");
    let error = ModelFile::load(&bad).expect_err("a file that is not what it should be");
    let error = error.to_string();
    assert!(error.contains(".bad: "), "the file is named: {error}");
    error
}

#[test]
fn files_that_are_not_what_they_should_be_say_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.safetensors");
    let model = Model::new(Reference::<f32>::new(), &rich(), ITEMS, 3).expect("valid");
    ModelFile::save(&path, &model, &vocabulary(), &extra()).expect("written");
    let expect = |error: String, part: &str| assert!(error.contains(part), "{part:?}: {error}");
    let replace = |name: &'static str, tensor: Tensor| {
        changed(&path, |tensors, _| {
            tensors.insert(name.to_owned(), tensor.clone()).expect("was there");
        })
    };

    let missing = changed(&path, |tensors, _| {
        tensors.remove("lstm.weight_hh_l1");
    });
    expect(missing, "lstm.weight_hh_l1 is missing");
    let wide = Tensor::matrix(20, 6, vec![0.0; 120]);
    expect(replace("lstm.weight_hh_l1", wide), "should be [20, 5], found [20, 6]");
    let words = Tensor { shape: vec![20, 5], values: Values::U32(vec![0; 100]) };
    expect(replace("lstm.weight_hh_l1", words), "type F32");
    let mut infinite = vec![0.0; 100];
    infinite[7] = f32::INFINITY;
    let infinite = Tensor::matrix(20, 5, infinite);
    expect(replace("lstm.weight_hh_l1", infinite), "not finite");
    for offsets in [vec![0; 13], vec![u64::MAX; 13], vec![0, 9, 3], (0..13).collect::<Vec<_>>()] {
        let offsets = Tensor::vector(Values::U64(offsets));
        expect(replace("vocabulary.offsets", offsets), "vocabulary is damaged");
    }
    let extra = changed(&path, |tensors, _| {
        tensors.insert("output.weight".to_owned(), Tensor::matrix(1, 1, vec![0.0]));
    });
    expect(extra, "output.weight has no place");
    let huge = changed(&path, |_, text| *text = text.replace("\"hidden\":5", "\"hidden\":9000"));
    expect(huge, "should be [36000, 6], found [20, 6]");
    let absurd = changed(&path, |_, text| {
        *text = text.replace("\"hidden\":5", "\"hidden\":1000000");
    });
    expect(absurd, "is too large");
    let other = changed(&path, |_, text| *text = text.replace("\"version\":1", "\"version\":2"));
    expect(other, "version 2");
    expect(changed(&path, |_, text| text.clear()), "header");
    let layers = changed(&path, |_, text| *text = text.replace("\"layers\":2", "\"layers\":0"));
    expect(layers, "model.layers");

    let checkpoint = folder.path().join("checkpoint.safetensors");
    trainer(Reference::<f32>::new(), &rich()).save(&checkpoint, "").expect("written");
    expect(ModelFile::load(&checkpoint).unwrap_err().to_string(), "is a checkpoint, not a model");
    let loaded = Trainer::load(&path, Reference::<f32>::new());
    expect(loaded.map(|_| ()).unwrap_err().to_string(), "is a model, not a checkpoint");
    let absent = ModelFile::load(&folder.path().join("absent")).unwrap_err();
    expect(absent.to_string(), "cannot be read");
    let nowhere = folder.path().join("no/such/folder/model.safetensors");
    let unwritten = ModelFile::save(&nowhere, &model, &vocabulary(), &Tensors::new());
    expect(unwritten.unwrap_err().to_string(), "cannot be written");
}

/// A file cut anywhere, or with bytes of its header changed, is refused or read: no panic, no
/// memory taken on its word.
#[test]
fn damaged_bytes_never_panic() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.safetensors");
    let small = ModelConfig { embedding: 2, hidden: 2, ..ModelConfig::default() };
    let model = Model::new(Reference::<f32>::new(), &small, ITEMS, 3).expect("valid");
    ModelFile::save(&path, &model, &vocabulary(), &extra()).expect("written");
    let good = std::fs::read(&path).expect("read");
    let header = 8 + u64::from_le_bytes(good[..8].try_into().expect("eight bytes")) as usize;
    let bad = folder.path().join("bad.safetensors");
    for length in (0..good.len()).step_by(7) {
        std::fs::write(&bad, &good[..length]).expect("written");
        assert!(ModelFile::load(&bad).is_err(), "cut to {length} of {} bytes", good.len());
    }
    for place in (0..header).step_by(2) {
        let mut bytes = good.clone();
        bytes[place] ^= [0x01, 0x10, 0x80][place % 3];
        std::fs::write(&bad, &bytes).expect("written");
        let _ = ModelFile::load(&bad);
    }
}

#[test]
fn extra_tensors_keep_off_the_models_names() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.safetensors");
    let model = Model::new(Reference::<f32>::new(), &rich(), ITEMS, 3).expect("valid");
    let bad = |name: &str, tensor: Tensor| {
        let extra = Tensors::from([(name.to_owned(), tensor)]);
        ModelFile::save(&path, &model, &vocabulary(), &extra).unwrap_err().to_string()
    };
    let zero = Tensor::vector(Values::U8(vec![0]));
    assert!(bad("lstm.mine", zero).contains("may not be called lstm.mine"));
    let wrong = Tensor { shape: vec![3], values: Values::U8(vec![0]) };
    assert!(bad("mine", wrong).contains("has 1 values"));
    let few = Vocabulary { names: vec![], counts: vec![] };
    assert!(ModelFile::save(&path, &model, &few, &Tensors::new()).is_err());
    assert!(!path.exists(), "nothing was written");
}
