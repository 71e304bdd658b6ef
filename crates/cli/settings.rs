//! All settings of a run: a TOML file, overruled by flags, with the defaults filled in.
//!
//! Every flag has its key: `--min-support 5` is `min_support = 5` under `[data]`. What a run has
//! used is written into its folder as `run.toml`, which `--config` takes as it is.

use std::path::{Path, PathBuf};

use anyhow::Result;
use events::{
    CleanRules, Columns, FeatureSpecs, FillRules, Format, Further, ReadOptions, Role,
    SessionOptions, Split, Tables, Window, Zone,
};
use model::{ModelConfig, OptimizerConfig};
use serde::{Deserialize, Serialize};
use train::tasks::TaskSettings;
use train::{SessionRules, Training, Treatment, Wishes};

use crate::args::{Common, Completing, Describing, Reading};
use crate::audience::AudienceSettings;
use crate::failure::usage;
use crate::progress::say;
use crate::widths::Said;

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

/// How logs are read and parted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DataSettings {
    pub(crate) logs: Vec<PathBuf>,
    pub(crate) validate: Option<PathBuf>,
    pub(crate) format: Option<String>,
    pub(crate) columns: Option<String>,
    /// Columns of words that are read beside those.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) labels: Vec<String>,
    /// Columns of numbers, likewise.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) numbers: Vec<String>,
    pub(crate) time_zone: Option<String>,
    pub(crate) year: Option<i16>,
    pub(crate) sessions: Option<String>,
    pub(crate) gap: Option<String>,
    pub(crate) from: Option<String>,
    pub(crate) until: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) min_support: Option<u32>,
    pub(crate) min_length: usize,
    pub(crate) max_bad: f64,
    pub(crate) split: Option<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) memory: Option<String>,
    pub(crate) features: Option<String>,
    pub(crate) clean: Option<String>,
    pub(crate) fill: Option<String>,
    pub(crate) item_table: Option<PathBuf>,
    pub(crate) user_table: Option<PathBuf>,
    pub(crate) item_vectors: Option<PathBuf>,
    pub(crate) item_triples: Option<PathBuf>,
}

impl Default for DataSettings {
    fn default() -> Self {
        Self {
            logs: Vec::new(),
            validate: None,
            format: None,
            columns: None,
            labels: Vec::new(),
            numbers: Vec::new(),
            time_zone: None,
            year: None,
            sessions: None,
            gap: None,
            from: None,
            until: None,
            min_support: None,
            min_length: 2,
            max_bad: 0.01,
            split: None,
            memory: None,
            features: None,
            clean: None,
            fill: None,
            item_table: None,
            user_table: None,
            item_vectors: None,
            item_triples: None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DemoSettings {
    pub(crate) events: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SimulateSettings {
    pub(crate) events: Option<u64>,
    pub(crate) users: Option<u64>,
    pub(crate) truth: Option<PathBuf>,
    pub(crate) shop: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct EvaluateSettings {
    pub(crate) predictions: Option<PathBuf>,
    pub(crate) at: Vec<String>,
    pub(crate) cases: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PredictSettings {
    pub(crate) at: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RecommendSettings {
    pub(crate) events: Option<String>,
    pub(crate) events_file: Option<PathBuf>,
    pub(crate) log: Vec<PathBuf>,
    pub(crate) user: Option<String>,
    pub(crate) k: Option<u32>,
}

/// What a user's row of numbers is made of.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RepresentSettings {
    pub(crate) of: Option<String>,
    pub(crate) pool: Option<String>,
    pub(crate) pca: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SegmentSettings {
    pub(crate) clusters: Option<u32>,
    pub(crate) method: Option<String>,
    pub(crate) sample: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ExportSettings {
    pub(crate) format: Option<String>,
    pub(crate) items: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ImportSettings {
    pub(crate) items: Option<PathBuf>,
    pub(crate) like: Option<PathBuf>,
    pub(crate) rename: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct BenchSettings {
    pub(crate) shape: Vec<String>,
    pub(crate) mode: Option<String>,
    pub(crate) dtype: Option<String>,
    pub(crate) seconds: Option<f64>,
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

impl DataSettings {
    /// How logs are read.
    pub(crate) fn read_options(&self) -> Result<ReadOptions> {
        if !(0.0..=1.0).contains(&self.max_bad) {
            let message = format!("--max-bad {:?}: a share between 0 and 1", self.max_bad);
            return Err(usage(message));
        }
        let format = self.format.as_deref().map(str::parse::<Format>).transpose()?;
        let columns = self.columns.as_deref().map(str::parse::<Columns>).transpose()?;
        let zone = self.zone()?;
        Ok(ReadOptions {
            format,
            columns: columns.unwrap_or_default(),
            window: Window::parse(self.from.as_deref(), self.until.as_deref(), &zone)?,
            further: self.further()?,
            zone,
            year: self.year,
            max_bad: self.max_bad,
            ..ReadOptions::default()
        })
    }

    /// The columns that are read beside those with a role: those of the features, and those that are
    /// asked for by name.
    fn further(&self) -> Result<Further> {
        let mut further = self.features()?.further();
        for (asked, all) in
            [(&self.labels, &mut further.labels), (&self.numbers, &mut further.numbers)]
        {
            for name in asked {
                if !all.contains(name) {
                    all.push(name.clone());
                }
            }
        }
        Ok(further)
    }

    /// What a model sees of events beside their items.
    pub(crate) fn features(&self) -> Result<FeatureSpecs> {
        Ok(self.features.as_deref().map(str::parse).transpose()?.unwrap_or_default())
    }

    /// What is done with events, before anything is learned.
    pub(crate) fn treatment(&self) -> Result<Treatment> {
        let clean = self.clean.as_deref().map(str::parse).transpose()?;
        Ok(Treatment { clean: clean.unwrap_or(CleanRules(Vec::new())), ..Treatment::default() })
    }

    /// What stands in for missing values.
    pub(crate) fn fill_rules(&self) -> Result<Option<FillRules>> {
        Ok(self.fill.as_deref().map(str::parse).transpose()?)
    }

    /// What is to be learned about events.
    pub(crate) fn wishes(&self) -> Result<Wishes> {
        let (features, fill) = (self.features()?, self.fill_rules()?);
        let [items, users] = [&self.item_table, &self.user_table].map(Option::as_deref);
        let tables = Tables::read(&features, items, users)?;
        Ok(Wishes { fill, features, tables })
    }

    /// Refuses a table of which no feature is made.
    pub(crate) fn check_tables(&self) -> Result<()> {
        let features = self.features()?;
        let items = ("--item-table", &self.item_table, features.item_columns(), "item");
        let users = ("--user-table", &self.user_table, features.user_columns(), "user");
        for (flag, path, columns, what) in [items, users] {
            if let Some(path) = path.as_ref().filter(|_| columns.is_empty()) {
                return Err(usage(format!(
                    "{flag} {}: no feature is made of it; name columns of it, such as --features \
                     {what}.NAME:label, or leave it out",
                    path.display()
                )));
            }
        }
        Ok(())
    }

    /// The columns of a log that training keeps in memory.
    pub(crate) fn training_roles(&self) -> Vec<Role> {
        let sees_events = self.features.is_some() || self.clean.is_some() || self.fill.is_some();
        if sees_events { Role::ALL.to_vec() } else { GROUPING.to_vec() }
    }

    /// Puts the flags about events in the place of what the file says.
    pub(crate) fn describe(&mut self, flags: &Describing) {
        put(&mut self.features, &flags.features);
        put(&mut self.clean, &flags.clean);
    }

    /// Likewise those about what is known beside the log.
    pub(crate) fn complete(&mut self, flags: &Completing) {
        put(&mut self.fill, &flags.fill);
        put(&mut self.item_table, &flags.item_table);
        put(&mut self.user_table, &flags.user_table);
        if flags.item_vectors.is_some() || flags.item_triples.is_some() {
            // One of the two takes the place of whichever the file names.
            self.item_vectors.clone_from(&flags.item_vectors);
            self.item_triples.clone_from(&flags.item_triples);
        }
    }

    /// What makes events one session.
    pub(crate) fn session_rules(&self) -> Result<SessionRules> {
        let default = SessionOptions::default();
        let gap = self.gap.as_deref().map(parse_gap).transpose()?;
        let rules = SessionRules {
            rule: self.sessions.clone().unwrap_or_else(|| "auto".to_owned()),
            gap: gap.unwrap_or(default.gap),
        };
        rules.options()?;
        Ok(rules)
    }

    /// What is kept for validation.
    pub(crate) fn split(&self) -> Result<Split> {
        Ok(self.asked_split()?.unwrap_or_default())
    }

    /// Likewise; none where nothing was said.
    pub(crate) fn asked_split(&self) -> Result<Option<Split>> {
        let zone = self.zone()?;
        Ok(self.split.as_deref().map(|text| Split::parse(text, &zone)).transpose()?)
    }

    /// Where the clock hangs whose times say no zone.
    pub(crate) fn zone(&self) -> Result<Zone> {
        Ok(self.time_zone.as_deref().map(str::parse::<Zone>).transpose()?.unwrap_or_default())
    }

    /// The logs, of which there must be one at least.
    pub(crate) fn logs(&self) -> Result<&[PathBuf]> {
        if self.logs.is_empty() {
            return Err(usage("no LOG: name a file, a folder, or - for stdin"));
        }
        Ok(&self.logs)
    }
}

/// The columns that say what a session is.
const GROUPING: [Role; 4] = [Role::User, Role::Item, Role::Time, Role::Session];

/// A flag that was given takes the place of the key.
fn put<T: Clone>(to: &mut Option<T>, from: &Option<T>) {
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

/// A pause such as `30m`, `45s`, `2h` or `1d`, in milliseconds.
fn parse_gap(text: &str) -> Result<i64> {
    let refuse = || usage(format!("--gap {text:?}: expected a time such as 30m, 45s, 2h or 1d"));
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let unit: i64 = match text[digits.len()..].trim() {
        "ms" => 1,
        "s" | "" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(refuse()),
    };
    let number: i64 = digits.parse().map_err(|_| refuse())?;
    match number.checked_mul(unit) {
        Some(gap) if gap > 0 => Ok(gap),
        _ => Err(refuse()),
    }
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

    #[test]
    fn gaps_have_units() {
        assert_eq!(parse_gap("30m").unwrap(), 1_800_000);
        assert_eq!(parse_gap("45 s").unwrap(), 45_000);
        assert_eq!(parse_gap("1d").unwrap(), 86_400_000);
        for wrong in ["", "m", "0m", "-3s", "3 weeks", "999999999999999d", "1.5h", "\u{fc}"] {
            assert!(parse_gap(wrong).is_err(), "{wrong}");
        }
    }
}
