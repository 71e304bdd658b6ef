//! All settings of a run: a TOML file, overruled by flags, with the defaults filled in.
//!
//! Every flag has its key: `--min-support 5` is `min_support = 5` under `[data]`. What a run has
//! used is written into its folder as `run.toml`, which `--config` takes as it is.

mod data;
mod verbs;

use std::path::{Path, PathBuf};

use anyhow::Result;
use model::{ModelConfig, OptimizerConfig};
use serde::{Deserialize, Serialize};
use train::Training;
use train::tasks::TaskSettings;

use crate::args::{Common, Reading};
use crate::failure::usage;
use crate::progress::say;
use crate::widths::Said;

pub(crate) use data::DataSettings;
pub(crate) use verbs::{
    AudienceSettings, BenchSettings, DemoSettings, EvaluateSettings, ExplainSettings,
    ExportSettings, ImportSettings, PredictSettings, RecommendSettings, RepresentSettings,
    SegmentSettings, SimulateSettings,
};

/// A whole settings file.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) seed: Option<u64>,
    pub(crate) threads: Option<u16>,
    pub(crate) device: Option<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) json: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) quiet: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) verbose: u8,
    /// The output folder or file.
    pub(crate) out: Option<PathBuf>,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) force: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) resume: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) task: Vec<String>,
    pub(crate) data: DataSettings,
    pub(crate) model: ModelConfig,
    /// What the file has said of `model`, where flags must know.
    #[serde(skip)]
    pub(crate) said: Said,
    pub(crate) optimizer: OptimizerConfig,
    pub(crate) training: Training,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) tasks: TaskSettings,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) demo: DemoSettings,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) simulate: SimulateSettings,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) evaluate: EvaluateSettings,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) predict: PredictSettings,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) audience: AudienceSettings,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) explain: ExplainSettings,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) recommend: RecommendSettings,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) represent: RepresentSettings,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) segment: SegmentSettings,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) export: ExportSettings,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) import: ImportSettings,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) bench: BenchSettings,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Settings {
    /// Reads the file that `--config` names, or `fallback`, and lays the common flags over it.
    pub(crate) fn load(common: &Common, fallback: Option<&Path>) -> Result<Self> {
        let mut settings = match common.config.as_deref().or(fallback) {
            Some(path) => Self::read(path).map_err(|error| match &common.config {
                Some(_) => usage(format!("--config {error}")),
                // Nobody has named this file: it lies in the folder of a run.
                None => usage(format!("{error}; --config takes its place, --force starts over")),
            })?,
            None => Self::default(),
        };
        settings.seed = common.seed.or(settings.seed);
        settings.threads = common.threads.or(settings.threads);
        settings.device = common.device.clone().or(settings.device);
        settings.json |= common.json;
        settings.quiet |= common.quiet;
        settings.verbose = settings.verbose.max(common.verbose);
        if let Some(threads) = settings.threads.filter(|threads| !(1..=1024).contains(threads)) {
            let remedy = "set it to 1 to 1024, or leave it out";
            return Err(usage(format!("threads = {threads}: {remedy}")));
        }
        Ok(settings)
    }

    /// Reads a settings file.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            usage(format!("{}: cannot be read: {error}; check the path", path.display()))
        })?;
        // The parser's own message shows line, column and key.
        let mut settings: Self = toml::from_str(&text).map_err(|error| {
            usage(format!("{}: {}", path.display(), error.to_string().trim_end()))
        })?;
        let table: toml::Table = toml::from_str(&text).unwrap_or_default();
        settings.said = Said::of(&table);
        settings.said.fill(&mut settings.model);
        Ok(settings)
    }

    /// Refuses keys of training that the others leave without effect.
    pub(crate) fn check_effects(&self) -> Result<()> {
        self.model.validate_effects().map_err(train::Error::from)?;
        self.optimizer.validate_effects().map_err(train::Error::from)?;
        Ok(self.training.validate_effects()?)
    }

    /// The seed.
    pub(crate) fn seed(&self) -> u64 {
        self.seed.unwrap_or(1)
    }

    /// Lays the flags for reading over the settings.
    pub(crate) fn overlay(&mut self, logs: &[PathBuf], reading: &Reading) {
        let data = &mut self.data;
        if !logs.is_empty() {
            data.logs = logs.to_vec();
        }
        put(&mut data.format, &reading.format);
        put(&mut data.columns, &reading.columns);
        put(&mut data.sessions, &reading.sessions);
        put(&mut data.gap, &reading.gap);
        put(&mut data.time_zone, &reading.time_zone);
        data.year = reading.year.or(data.year);
        put(&mut data.from, &reading.from);
        put(&mut data.until, &reading.until);
        data.max_bad = reading.max_bad.unwrap_or(data.max_bad);
    }

    /// Where `-v` asks for it, says what the settings have come to.
    pub(crate) fn announce(&self) -> Result<()> {
        if self.verbose > 0 {
            say(self.to_toml()?.trim_end());
        }
        Ok(())
    }

    /// The settings as a file that repeats the run: without what belongs to one call only.
    pub(crate) fn to_toml(&self) -> Result<String> {
        let (force, resume, json, quiet, verbose) = Default::default();
        Ok(toml::to_string(&Self { force, resume, json, quiet, verbose, ..self.clone() })?)
    }
}

/// A flag that was given takes the place of the key.
pub(crate) fn put<T: Clone>(to: &mut Option<T>, from: &Option<T>) {
    if from.is_some() {
        to.clone_from(from);
    }
}

/// An amount of memory such as `512M` or `4G`, in powers of 1024.
pub(crate) fn parse_bytes(text: &str) -> Result<u64> {
    let refuse = || usage(format!("--memory {text:?}: expected a size such as 512M or 4G"));
    let digits = text.trim().trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text.trim()[digits.len()..].to_ascii_lowercase().as_str() {
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        "" | "b" => 0,
        _ => return Err(refuse()),
    };
    let number: u64 = digits.trim().parse().map_err(|_| refuse())?;
    number.checked_shl(shift).filter(|bytes| bytes >> shift == number).ok_or_else(refuse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resolved_settings_are_a_settings_file() {
        let mut settings = Settings { seed: Some(7), threads: Some(2), ..Settings::default() };
        settings.data.logs = vec!["a.csv".into()];
        settings.data.split = Some("time:0.8".to_owned());
        settings.model.hidden = 64;
        let text = settings.to_toml().unwrap();
        assert_eq!(toml::from_str::<Settings>(&text).unwrap(), settings);
    }

    /// What follows from a width need not be said.
    #[test]
    fn layers_and_embedding_follow_the_widths() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.toml");
        for (text, expected) in [
            ("hidden = 30", (30, 1, 30)),
            ("widths = [40, 20]", (20, 2, 100)),
            ("widths = [40, 20]\nhidden = 30\nembedding = 50", (50, 2, 30)),
            ("widths = [40, 20]\nlayers = 3", (20, 3, 100)),
        ] {
            std::fs::write(&path, format!("[model]\n{text}\n")).unwrap();
            let model = Settings::read(&path).unwrap().model;
            assert_eq!((model.embedding, model.layers, model.hidden), expected, "{text}");
        }
    }

    /// Its embedding of 0 has only followed.
    #[test]
    fn a_width_of_zero_is_blamed_itself() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.toml");
        std::fs::write(&path, "[model]\nwidths = [20, 0]\n").unwrap();
        let error = Settings::read(&path).unwrap().model.validate().unwrap_err().to_string();
        assert!(error.starts_with("model.widths: a layer of 0 units"), "{error}");
    }

    #[test]
    fn an_error_in_the_file_names_the_line_and_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.toml");
        std::fs::write(&path, "seed = 1\n[model]\nhiden = 3\n").unwrap();
        let error = Settings::read(&path).unwrap_err();
        assert!(error.is::<crate::failure::Usage>());
        let text = error.to_string();
        assert!(text.contains("line 3") && text.contains("hiden"), "{text}");
    }

    #[test]
    fn the_embedding_follows_the_hidden_size_unless_it_has_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.toml");
        let embedding = |text: &str| {
            std::fs::write(&path, text).unwrap();
            Settings::read(&path).unwrap().model.embedding
        };
        assert_eq!(embedding("[model]\nhidden = 64\n"), 64);
        assert_eq!(embedding("[model]\nhidden = 64\nembedding = 32\n"), 32);
        assert_eq!(embedding("seed = 3\n"), ModelConfig::default().embedding);
    }

    #[test]
    fn the_examples_are_settings_files() {
        for text in [
            include_str!("../../examples/yoochoose.toml"),
            include_str!("../../examples/yoochoose-small.toml"),
            include_str!("../../examples/eshop.toml"),
        ] {
            let settings: Settings = toml::from_str(text).unwrap();
            settings.model.validate().unwrap();
            settings.optimizer.validate().unwrap();
            settings.training.validate().unwrap();
            settings.check_effects().unwrap();
            settings.data.split().unwrap();
        }
    }
}
