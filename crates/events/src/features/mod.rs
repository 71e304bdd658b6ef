//! Features of events beside the item: what is read, how it is numbered or scaled, fitted on the
//! training part and applied to any log.
//!
//! ```text
//!     FeatureSpecs ─┐
//!     training part ┴─→ FittedFeatures::fit ─→ FittedFeatures ─→ encode(log, sessions) ─→ Features
//! ```
//!
//! `spec` says what there is and `parse` how it is written, `raw` what a feature is before anything is learned, `fitted` what
//! is learned of one, `scaling` what becomes of numbers, `table` what is known beside
//! the log. A [`FittedFeatures`] holds all
//! that training has learned and travels with the model as JSON, so that a new event is treated as
//! the same event was in training, whatever else its log holds. `vectors` stands beside all that: a vector
//! is the item's and no event's, so it is not written out position by position.

mod fitted;
mod parse;
mod raw;
mod scaling;
mod spec;
mod table;
#[cfg(test)]
mod tests;
mod vectors;

use fitted::Fitted;
use raw::View;
pub use scaling::{Scale, Scaling};
pub(crate) use spec::MISSING;
pub use spec::{Cell, FeatureSpec, FeatureSpecs, How, Source};
pub use table::{Coverage, Table, Tables};
pub use vectors::{ItemVectors, Vectors};

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::{Error, Events, Log, Names, SessionOptions, SessionRule, Sessions};

/// Features with all that the training part has taught about them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FittedFeatures {
    features: Vec<Fitted>,
    tables: Tables,
}

/// Features of positions, in the order of [`Sessions::items`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Features {
    /// Numbers of words, `[N, L]`, row-major; 0 where the word is missing or unknown.
    pub labels: Vec<u32>,
    /// Scaled numbers, `[N, F]`, row-major; all finite, 0 where one is missing.
    pub numbers: Vec<f32>,
    /// L, words a position.
    pub label_width: usize,
    /// F, numbers a position.
    pub number_width: usize,
}

/// What features look like from the side of a model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inputs {
    /// Name and size of each list of words: their numbers are below it, and 0 is among them.
    pub labels: Vec<(String, u32)>,
    /// Names of the numbers.
    pub numbers: Vec<String>,
}

impl Features {
    /// Numbers of words at a position, `[L]`.
    pub fn labels_at(&self, position: usize) -> &[u32] {
        &self.labels[position * self.label_width..][..self.label_width]
    }

    /// The rows of some positions, in this order: of a window, or of the items that a model knows.
    pub fn select(&self, positions: impl IntoIterator<Item = usize>) -> Self {
        let mut rows = Self { labels: Vec::new(), numbers: Vec::new(), ..*self };
        positions.into_iter().for_each(|position| rows.push(self, position));
        rows
    }

    /// The rows of a range of positions: words, and numbers.
    pub fn rows(&self, positions: Range<usize>) -> (&[u32], &[f32]) {
        let of = |width: usize| positions.start * width..positions.end * width;
        (&self.labels[of(self.label_width)], &self.numbers[of(self.number_width)])
    }

    /// Adds a row of features of the same widths.
    pub(crate) fn push(&mut self, from: &Self, position: usize) {
        self.labels.extend_from_slice(from.labels_at(position));
        self.numbers.extend_from_slice(from.numbers_at(position));
    }

    /// Keeps the first rows.
    pub(crate) fn truncate(&mut self, rows: usize) {
        self.labels.truncate(rows * self.label_width);
        self.numbers.truncate(rows * self.number_width);
    }

    /// Scaled numbers at a position, `[F]`.
    pub fn numbers_at(&self, position: usize) -> &[f32] {
        &self.numbers[position * self.number_width..][..self.number_width]
    }
}

impl FittedFeatures {
    /// Learns from the training sessions of a log which words there are and how numbers scale.
    /// Nothing else of the log is looked at. Rows of the tables stay with the features: those of
    /// items that the training sessions hold, since no model can be asked about others, and those
    /// of all users.
    ///
    /// # Errors
    ///
    /// [`Error::Absent`] where the log or a table lacks what a feature is taken from.
    pub fn fit(
        log: &Log,
        train: &Sessions,
        specs: &FeatureSpecs,
        tables: &Tables,
    ) -> Result<Self, Error> {
        let mut seen = vec![false; log.items.len()];
        train.items().iter().for_each(|&item| seen[item as usize] = true);
        let known = log.items.iter().zip(&seen).filter(|(_, seen)| **seen);
        let known: Names = known.map(|(name, _)| name).collect();
        let tables = Tables {
            items: tables.items.as_ref().map(|table| table.only(&known)),
            users: tables.users.clone(),
        };
        let view = View { log, sessions: train, tables: &tables };
        let features = specs.0.iter().map(|spec| Fitted::fit(spec, view));
        let features = features.collect::<Result<_, _>>()?;
        let wants = |of: fn(&Source) -> bool| specs.0.iter().any(|spec| of(&spec.source));
        let tables = Tables {
            items: tables.items.filter(|_| wants(|source| matches!(source, Source::Item(_)))),
            users: tables.users.filter(|_| wants(|source| matches!(source, Source::User(_)))),
        };
        Ok(Self { features, tables })
    }

    /// Features of every position of some sessions of a log. A feature that the log has no column
    /// for is missing everywhere; [`FittedFeatures::absent`] names those.
    ///
    /// What stands at a position is a function of its event, of the events before it in its
    /// session, and of nothing else.
    pub fn encode(&self, log: &Log, sessions: &Sessions) -> Features {
        let view = View { log, sessions, tables: &self.tables };
        let n = sessions.events();
        let (label_width, number_width) = self.widths();
        let mut features = Features {
            labels: vec![0; n * label_width],
            numbers: vec![0.0; n * number_width],
            label_width,
            number_width,
        };
        let (mut label, mut number) = (0, 0);
        for feature in &self.features {
            let (labels, numbers) = feature.widths();
            if labels > 0 {
                let column = features.labels.iter_mut().skip(label).step_by(label_width.max(1));
                feature.encode_labels(view, column);
            } else {
                let rows = features.numbers.chunks_exact_mut(number_width.max(1));
                feature.encode_numbers(view, rows.map(|row| &mut row[number..][..numbers]));
            }
            (label, number) = (label + labels, number + numbers);
        }
        features
    }

    /// Features of a session of which nothing is known but its items, in order, and perhaps its
    /// user: what the tables say, the place in the session, and the rest missing. Where values are
    /// filled before features are made, fill the log of [`log_of_ids`] instead, and encode it.
    pub fn encode_ids(&self, items: &[&str], user: Option<&str>) -> Features {
        let (log, sessions) = log_of_ids(items, user);
        self.encode(&log, &sessions)
    }

    /// The row of a position of which nothing is known at all: words 0, numbers 0, flags 1.
    pub fn missing_row(&self) -> (Vec<u32>, Vec<f32>) {
        let (labels, numbers) = self.widths();
        let (labels, mut row) = (vec![0; labels], Vec::with_capacity(numbers));
        for feature in &self.features {
            row.resize(row.len() + feature.widths().1, 0.0);
            if let (true, Some(flag)) = (feature.is_or_has_flag(), row.last_mut()) {
                *flag = 1.0;
            }
        }
        (labels, row)
    }

    /// Names and sizes of what a model reads.
    pub fn inputs(&self) -> Inputs {
        let mut inputs = Inputs::default();
        for feature in &self.features {
            let name = &feature.spec.name;
            match &feature.spec.how {
                How::Label { .. } => inputs.labels.push((name.clone(), feature.size())),
                How::Cyclic => {
                    inputs.numbers.extend([format!("{name}.sin"), format!("{name}.cos")]);
                }
                How::Number { flag, .. } => {
                    let part = |k| match feature.spec.source {
                        Source::Kinds => format!("{name}.{}", feature.words[k]),
                        _ => name.clone(),
                    };
                    inputs.numbers.extend((0..feature.scaling.len()).map(part));
                    inputs.numbers.extend(flag.then(|| format!("{name}{MISSING}")));
                }
            }
        }
        inputs
    }

    /// The features as they were written: how a log has to be read for them.
    pub fn specs(&self) -> FeatureSpecs {
        FeatureSpecs(self.features.iter().map(|feature| feature.spec.clone()).collect())
    }

    /// Features that a log has no column for.
    pub fn absent(&self, log: &Log) -> Vec<&str> {
        let view = View { log, sessions: &Sessions::default(), tables: &self.tables };
        let absent = self.features.iter().filter(|feature| !feature.is_there(view));
        absent.map(|feature| feature.spec.name.as_str()).collect()
    }

    /// As a model file holds it.
    pub fn to_json(&self) -> String {
        // Strings for keys and finite numbers: there is nothing that JSON could not hold.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What a model file holds.
    ///
    /// # Errors
    ///
    /// [`Error::Stored`] where it contradicts itself.
    pub fn from_json(text: &str) -> Result<Self, Error> {
        let stored = |reason: String| Error::Stored { what: "features", reason };
        let fitted: Self = serde_json::from_str(text).map_err(|error| stored(error.to_string()))?;
        for feature in &fitted.features {
            let words: Names = feature.words.iter().map(String::as_str).collect();
            if words.len() != feature.words.len() {
                return Err(stored(format!("{}: a word comes twice", feature.spec.name)));
            }
            let width = match (&feature.spec.how, &feature.spec.source) {
                (How::Label { .. } | How::Cyclic, _) => 0,
                (_, Source::Kinds) => feature.words.len(),
                _ => 1,
            };
            if feature.scaling.len() != width {
                return Err(stored(format!("{}: {width} numbers expected", feature.spec.name)));
            }
            feature.scaling.iter().try_for_each(Scaling::check)?;
        }
        Ok(fitted)
    }

    fn widths(&self) -> (usize, usize) {
        let widths = self.features.iter().map(Fitted::widths);
        widths.fold((0, 0), |sum, width| (sum.0 + width.0, sum.1 + width.1))
    }
}

/// A log of one session of which nothing is known but its items, in order, and perhaps its user;
/// and that session.
pub fn log_of_ids(items: &[&str], user: Option<&str>) -> (Log, Sessions) {
    let mut names = Names::default();
    let item: Vec<u32> = items.iter().map(|item| names.intern(item)).collect();
    let session = vec![0; item.len()];
    let (users, user) = match user {
        Some(user) => (std::iter::once(user).collect(), vec![0; item.len()]),
        None => (Names::default(), Vec::new()),
    };
    let events = Events { item, session, user, ..Events::default() };
    let log = Log { events, items: names, users, ..Log::default() };
    let options = SessionOptions { rule: SessionRule::Key, ..SessionOptions::default() };
    // Every event has a key, so that there is nothing to refuse.
    let sessions = Sessions::from_log(&log, &options).unwrap_or_default();
    (log, sessions)
}
