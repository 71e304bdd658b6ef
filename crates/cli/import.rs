//! `tidegate import`: the state dict of a PyTorch module as a model.

use std::collections::HashSet;
use std::path::Path;

use anyhow::{Result, anyhow};
use model::{ModelConfig, Renames, StateDict, StateDictError, Vocabulary};
use serde_json::json;
use train::folder::{Existing, admit, create};
use train::{Error, Knowledge, MODEL_FILE, Trained, forget_run};

use crate::args::{Common, Import};
use crate::failure::usage;
use crate::machine::device;
use crate::output::{count, print, print_json};
use crate::progress::warn;
use crate::settings::Settings;

pub(crate) fn run(common: &Common, args: &Import) -> Result<()> {
    let settings = Settings::load(common, None)?;
    settings.announce()?;
    let out = args.out.as_ref().or(settings.out.as_ref());
    let out = out.ok_or_else(|| usage("--out DIR is missing: name the folder of the model"))?;
    let existing = if args.force || settings.force { Existing::Replace } else { Existing::Refuse };
    admit(out, existing, "use --force to replace the model in it")?;
    let items = args.items.as_ref().or(settings.import.items.as_ref());
    let like = args.like.as_ref().or(settings.import.like.as_ref());
    if items.is_some() && like.is_some() {
        return Err(usage("--items and --like: the ids of a list, or those of a model?"));
    }
    let rename = args.rename.as_ref().or(settings.import.rename.as_ref());
    let renames = rename.map_or(Ok(Renames::default()), |text| text.parse());
    let renames = renames.map_err(|error| usage(format!("--rename {error}")))?;

    let device = device(&settings)?;
    let like = like.map(|path| Trained::load(path, device.clone())).transpose()?;
    let dict = StateDict::open(&args.file, &renames).map_err(Error::from)?;
    let model = like.as_ref().map(|like| &like.model);
    let base = dict.config(model.map(|model| (model.config(), model.features())));
    let base = base.map_err(Error::from)?;
    let config = overlay(base, common.config.as_deref())?;
    let knowledge = match (like, items, dict.vocabulary()) {
        (Some(like), _, _) => like.knowledge,
        (None, Some(path), _) => Knowledge::of_items(&read_items(path)?)?,
        (None, None, Some(vocabulary)) => Knowledge::of_items(vocabulary)?,
        (None, None, None) => {
            return Err(usage(format!(
                "{} names no items: give their ids with --items FILE, one a line in the order of \
                 the embedding's rows, or a model that has the same with --like DIR",
                args.file.display()
            )));
        }
    };
    let items = knowledge.vocabulary.len();
    let model = dict.model(device, &config, items).map_err(|error| match error {
        StateDictError::Config(error) => Error::from(error),
        StateDictError::File(error) => Error::from(error),
    })?;
    save(out, &knowledge, &model)?;
    if knowledge.baselines.successors().is_empty() {
        warn(
            "no successors of items came along: what `evaluate` calls Markov will be popularity \
             here; --like DIR brings them from a model with the same items",
        );
    }
    if settings.json {
        return print_json(&json!({
            "model": out.display().to_string(),
            "cell": config.cell,
            "layers": config.layers,
            "items": items,
            "parameters": model.numbers(),
        }));
    }
    print(&format!(
        "  {}, {} x {} units, {} items, {} numbers\n  {}\n",
        config.cell,
        config.layers,
        config.dims(0).hidden,
        count(items),
        count(model.numbers()),
        out.join(MODEL_FILE).display()
    ))
}

/// Writes the folder; a new one goes again where the model cannot be written.
fn save(out: &Path, knowledge: &Knowledge, model: &model::Model<model::Cpu>) -> Result<()> {
    let is_new = !out.exists();
    create(out)?;
    let saved = knowledge.save(&out.join(MODEL_FILE), model);
    if saved.is_err() && is_new {
        let _ = std::fs::remove_dir(out);
    }
    saved?;
    // What tells of the training of a model that was here before is not true of this one.
    Ok(forget_run(out)?)
}

/// The keys that stand in `[model]` of the settings file, over what is known already; a key that does not
/// stand there changes nothing.
fn overlay(base: ModelConfig, path: Option<&Path>) -> Result<ModelConfig> {
    let Some(path) = path else { return Ok(base) };
    let text = std::fs::read_to_string(path)?;
    let mut file: toml::Table = toml::from_str(&text)?;
    let Some(toml::Value::Table(given)) = file.remove("model") else { return Ok(base) };
    let mut all = toml::Table::try_from(&base)?;
    merge(&mut all, given);
    all.try_into().map_err(|error| usage(format!("--config {}: {error}", path.display())))
}

fn merge(all: &mut toml::Table, given: toml::Table) {
    for (key, value) in given {
        match (all.get_mut(&key), value) {
            (Some(toml::Value::Table(inner)), toml::Value::Table(given)) => merge(inner, given),
            (_, value) => {
                all.insert(key, value);
            }
        }
    }
}

/// Ids, one a line; nothing else is known of them, so each counts as met once.
fn read_items(path: &Path) -> Result<Vocabulary> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        anyhow!(
            "--items {}: cannot be read: {error}; it must be UTF-8 text with an id a line",
            path.display()
        )
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let names: Vec<_> = text.lines().map(|line| line.trim_end_matches('\r').to_owned()).collect();
    let mut seen = HashSet::new();
    for (line, name) in names.iter().enumerate() {
        let problem = match () {
            () if name.is_empty() => "is empty",
            () if !seen.insert(name) => "repeats an id",
            () => continue,
        };
        let line = line + 1;
        return Err(anyhow!(
            "--items {}, line {line}: {problem}; each row of the embedding has an id of its own",
            path.display()
        ));
    }
    if names.is_empty() {
        return Err(anyhow!("--items {}: it is empty; give an id a line", path.display()));
    }
    let counts = vec![1; names.len()];
    Ok(Vocabulary { names, counts })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_not_given_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.toml");
        let base = ModelConfig { hidden: 7, repeat_lags: 0, ..ModelConfig::default() };
        std::fs::write(&path, "seed = 3\n[model]\ntemperature = 4.5\ndropout = { input = 0.5 }\n")
            .unwrap();
        let config = overlay(base.clone(), Some(&path)).unwrap();
        assert_eq!((config.hidden, config.repeat_lags, config.temperature), (7, 0, 4.5));
        assert_eq!(config.dropout, model::Dropout { input: 0.5, ..base.dropout });
        assert_eq!(overlay(base.clone(), None).unwrap(), base);
        std::fs::write(&path, "[model]\nhidden = -1\n").unwrap();
        assert!(overlay(base, Some(&path)).is_err());
    }

    #[test]
    fn a_list_of_items_has_an_id_a_line_and_none_twice() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("items.txt");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read_items(&path).map(|v| v.names).map_err(|error| error.to_string())
        };
        assert_eq!(read("\u{feff}a b\r\nc\n").unwrap(), ["a b", "c"]);
        assert!(read("a\nb\na\n").unwrap_err().contains("line 3: repeats an id"));
        assert!(read("a\n\nb\n").unwrap_err().contains("line 2: is empty"));
        assert!(read("").unwrap_err().contains("it is empty"));
    }
}
