//! `[data]`: how logs are read and parted.

use std::path::PathBuf;

use anyhow::Result;
use events::{
    CleanRules, Columns, FeatureSpecs, FillRules, Format, Further, ReadOptions, Role,
    SessionOptions, Split, Tables, Window, Zone,
};
use serde::{Deserialize, Serialize};
use train::{SessionRules, Treatment, Wishes};

use super::{is_default, put};
use crate::args::{Completing, Describing};
use crate::failure::usage;

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
    fn gaps_have_units() {
        assert_eq!(parse_gap("30m").unwrap(), 1_800_000);
        assert_eq!(parse_gap("45 s").unwrap(), 45_000);
        assert_eq!(parse_gap("1d").unwrap(), 86_400_000);
        for wrong in ["", "m", "0m", "-3s", "3 weeks", "999999999999999d", "1.5h", "\u{fc}"] {
            assert!(parse_gap(wrong).is_err(), "{wrong}");
        }
    }
}
