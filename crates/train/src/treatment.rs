//! What is done with events before a model sees them: the same in training and afterwards.
//!
//! ```text
//!     log ─→ clean ─→ sessions ─→ clean ─→ parts ─→ fill ─→ features, a row a position
//! ```
//!
//! Rules say what is left out; what stands in for holes and how features are numbered and scaled is
//! learned from the training part, and all of it travels with the model.

use std::ops::Range;

use events::{
    CleanReport, CleanRules, FeatureSpecs, Features, FillReport, FillRules, FittedFeatures,
    FittedFill, Log, Parts, Sequences, SessionOptions, Sessions, Tables, clean, clean_sessions,
};
use model::{Sequence, Tensor, Tensors, Values};

use crate::Error;

const CLEAN: &str = "treatment.clean";
const FILL: &str = "treatment.fill";
const FEATURES: &str = "treatment.features";

/// A session, or a part of one, with what is known of its events.
pub(crate) fn sequence<'a>(
    sequences: &'a Sequences,
    session: usize,
    events: Range<usize>,
) -> Sequence<'a> {
    let first = sequences.offsets[session];
    let places = first + events.start..first + events.end;
    let (labels, numbers) = sequences.features.rows(places.clone());
    Sequence { items: &sequences.items[places], labels, numbers }
}

/// What is done with the events of any log.
#[derive(Debug, Clone)]
pub struct Treatment {
    /// What is left out as suspicious.
    pub clean: CleanRules,
    /// What stands in for missing values; none where nothing does.
    pub fill: Option<FittedFill>,
    /// What a model sees beside the items.
    pub features: FittedFeatures,
}

impl Default for Treatment {
    /// Everything stays as it is, and items are all that is seen.
    fn default() -> Self {
        let clean = CleanRules(Vec::new());
        Self { clean, fill: None, features: FittedFeatures::default() }
    }
}

/// What a treatment is to be.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// What stands in for missing values.
    pub fill: Option<FillRules>,
    /// What a model sees beside the items.
    pub features: FeatureSpecs,
    /// What is known beside the log.
    pub tables: Tables,
}

impl Treatment {
    /// The sessions of a log, without what the rules leave out of it. Data that were prepared with the
    /// same rules are as they should be: a second time, rules may find what they have made themselves.
    ///
    /// # Errors
    ///
    /// As [`Sessions::from_log`].
    pub fn sessions(
        &self,
        log: &mut Log,
        options: &SessionOptions,
    ) -> Result<(Sessions, CleanReport), Error> {
        let none = CleanRules(Vec::new());
        let done = log.report.sessions.as_ref().is_some_and(|settled| settled.clean == self.clean);
        let rules = if done { &none } else { &self.clean };
        let mut report = clean(log, rules);
        let sessions = Sessions::from_log(log, options)?;
        let sessions = clean_sessions(log, &sessions, rules, &mut report);
        Ok((sessions, report))
    }

    /// Learns from the training part of a log what stands in for missing values, and fills them.
    ///
    /// # Errors
    ///
    /// Where the log lacks a column that is to be filled.
    pub fn learn_fill(
        &mut self,
        log: &mut Log,
        parts: &mut Parts,
        wishes: &Wishes,
    ) -> Result<Option<FillReport>, Error> {
        let Some(rules) = &wishes.fill else { return Ok(None) };
        let fill = FittedFill::fit(log, parts.train.log_events(), rules)?;
        let report = fill.apply(log);
        for part in [&mut parts.train, &mut parts.validation, &mut parts.test] {
            *part = part.without(&report.dropped);
        }
        self.fill = Some(fill);
        Ok(Some(report))
    }

    /// Learns from the training sessions how features are numbered and scaled.
    ///
    /// # Errors
    ///
    /// Where the log or a table lacks what a feature is made of.
    pub fn learn_features(
        &mut self,
        log: &Log,
        train: &Sessions,
        wishes: &Wishes,
    ) -> Result<(), Error> {
        self.features = FittedFeatures::fit(log, train, &wishes.features, &wishes.tables)?;
        Ok(())
    }

    /// Fills a log and its sessions as those of the training were.
    pub fn fill(&self, log: &mut Log, sessions: Sessions) -> Sessions {
        match &self.fill {
            None => sessions,
            Some(fill) => sessions.without(&fill.apply(log).dropped),
        }
    }

    /// Features of every position of some sessions, a row a position.
    pub fn encode(&self, log: &Log, sessions: &Sessions) -> Features {
        self.features.encode(log, sessions)
    }

    /// The same for a part of the sessions from which rare items were left out: a pause, a place in the
    /// session are those of the whole session, as they will be in later logs.
    pub fn encode_part(&self, log: &Log, sessions: &Sessions, part: &Sessions) -> Features {
        if part.events() == sessions.events() || self.features.specs().0.is_empty() {
            return self.encode(log, part);
        }
        self.encode(log, sessions).select(sessions.places_of(part))
    }

    /// Names and sizes of what a model sees of events beside the items. Vectors that are given for the
    /// items are none of the events' business: a model has them, or not.
    pub fn inputs(&self) -> model::Features {
        let events::Inputs { labels, numbers } = self.features.inputs();
        let labels = labels
            .into_iter()
            .map(|(name, size)| model::Labels { name, size: size as usize })
            .collect();
        model::Features { labels, numbers, vectors: 0 }
    }

    /// What a model file has to hold, where anything is done at all.
    pub(crate) fn store(&self, into: &mut Tensors) {
        let mut put = |name: &str, text: String| {
            let tensor = Tensor { shape: vec![text.len()], values: Values::U8(text.into_bytes()) };
            into.insert(name.to_owned(), tensor);
        };
        if !self.clean.0.is_empty() {
            put(CLEAN, self.clean.to_string());
        }
        if let Some(fill) = &self.fill {
            put(FILL, fill.to_json());
        }
        if !self.features.specs().0.is_empty() {
            put(FEATURES, self.features.to_json());
        }
    }

    /// The same read back.
    ///
    /// # Errors
    ///
    /// Where what is stored is damaged.
    pub(crate) fn load(from: &Tensors) -> Result<Self, Error> {
        let text = |name: &str| match from.get(name).map(|tensor| &tensor.values) {
            None => Ok(None),
            Some(Values::U8(bytes)) => Ok(Some(String::from_utf8_lossy(bytes).into_owned())),
            Some(_) => Err(Error::NoData(format!("{name} is no text; train the model again"))),
        };
        let mut treatment = Self::default();
        if let Some(rules) = text(CLEAN)? {
            treatment.clean = rules.parse()?;
        }
        if let Some(fill) = text(FILL)? {
            treatment.fill = Some(FittedFill::from_json(&fill)?);
        }
        if let Some(features) = text(FEATURES)? {
            treatment.features = FittedFeatures::from_json(&features)?;
        }
        Ok(treatment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::ReadOptions;

    /// A rare item is left out of what is learned, and was there all the same: the pause before the next
    /// event, its place in the session are not those between the items that are left.
    #[test]
    fn what_is_left_out_stays_between_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.csv");
        let text = "session,item,time\n1,a,0\n1,rare,60\n1,a,100\n2,a,0\n2,a,7\n3,a,9\n";
        std::fs::write(&path, text).unwrap();
        let mut log = events::read(&[path], &ReadOptions::default()).unwrap();
        let mut treatment = Treatment::default();
        let (sessions, _) = treatment.sessions(&mut log, &SessionOptions::default()).unwrap();
        let features = "gap:raw,position:raw".parse().unwrap();
        let (kept, _) = sessions.keep(2, 2);
        treatment.learn_features(&log, &kept, &Wishes { features, ..Wishes::default() }).unwrap();
        let found = treatment.encode_part(&log, &sessions, &kept);
        assert_eq!(found.numbers, [0.0, 0.0, 40.0, 2.0, 0.0, 0.0, 7.0, 1.0]);
    }
}
