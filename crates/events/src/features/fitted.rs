//! One feature: what the training part has taught of it, and how positions are written with it.

use serde::{Deserialize, Serialize};

use super::raw::View;
use super::{FeatureSpec, How, Scaling, Source};
use crate::{Error, NONE, Names, Sessions};

/// One feature.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fitted {
    #[serde(with = "as_text")]
    pub spec: FeatureSpec,
    /// The words that are known, most frequent first: word k has number k + 1.
    pub words: Vec<String>,
    /// One chain for each number.
    pub scaling: Vec<Scaling>,
}

impl Fitted {
    pub(super) fn fit(spec: &FeatureSpec, view: View<'_>) -> Result<Self, Error> {
        let mut fitted = Self { spec: spec.clone(), words: Vec::new(), scaling: Vec::new() };
        if !fitted.is_there(view) {
            return Err(Error::Absent { what: format!("feature {spec}"), reason: absence(spec) });
        }
        let source = &spec.source;
        let (min, top) = match spec.how {
            How::Label { min, top } => (min, top.unwrap_or(u32::MAX)),
            _ => (1, u32::MAX),
        };
        if let Some((names, values)) = view.words(source) {
            fitted.words = frequent(names, &values, min, top);
        }
        if let How::Number { scaling, .. } = &spec.how {
            let places = fitted.places(view);
            let (values, width) =
                view.numbers(spec, (&places, fitted.words.len())).unwrap_or((Vec::new(), 1));
            let column = |k: usize| values.iter().skip(k).step_by(width).copied();
            fitted.scaling = (0..width).map(|k| Scaling::fit(scaling, column(k))).collect();
        }
        Ok(fitted)
    }

    /// Whether a log and its tables have what this is taken from.
    pub(super) fn is_there(&self, view: View<'_>) -> bool {
        let empty = Sessions::default();
        let view = View { sessions: &empty, ..view };
        let source = &self.spec.source;
        match self.spec.how {
            How::Label { .. } | How::Cyclic if source.is_clock() => {
                !view.log.events.time.is_empty()
            }
            How::Label { .. } => view.words(source).is_some(),
            _ => view.numbers(&self.spec, (&[], 0)).is_some(),
        }
    }

    /// How many words and how many numbers a position has of it.
    pub(super) fn widths(&self) -> (usize, usize) {
        match self.spec.how {
            How::Label { .. } => (1, 0),
            How::Cyclic => (0, 2),
            How::Number { flag, .. } => (0, self.scaling.len() + usize::from(flag)),
        }
    }

    fn has_flag(&self) -> bool {
        matches!(self.spec.how, How::Number { flag: true, .. })
    }

    /// Whether its last number is 1 where nothing is known: its own flag, or one that fill makes.
    pub(super) fn is_or_has_flag(&self) -> bool {
        self.has_flag() || self.spec.source.is_flag()
    }

    /// What the numbers of its words are below.
    pub(super) fn size(&self) -> u32 {
        match self.spec.source.is_clock() {
            true => 1 + View::clock_size(&self.spec.source),
            false => 1 + self.words.len() as u32,
        }
    }

    /// The number of each word of the log, 0 for those that training has not seen.
    fn numbers_of(&self, names: &Names) -> Vec<u32> {
        let known: Names = self.words.iter().map(String::as_str).collect();
        names.iter().map(|name| known.find(name).map_or(0, |word| word + 1)).collect()
    }

    /// The same of the log's kinds, where they are counted.
    fn places(&self, view: View<'_>) -> Vec<u32> {
        match self.spec.source {
            Source::Kinds => self.numbers_of(&view.log.kinds),
            _ => Vec::new(),
        }
    }

    pub(super) fn encode_labels<'a>(&self, view: View<'_>, out: impl Iterator<Item = &'a mut u32>) {
        if self.spec.source.is_clock() {
            let clock = view.clock(&self.spec.source, self.spec.zone).unwrap_or_default();
            out.zip(clock).for_each(|(out, (step, _))| *out = step + 1);
        } else if let Some((names, values)) = view.words(&self.spec.source) {
            let numbers = self.numbers_of(names);
            for (out, value) in out.zip(values).filter(|(_, value)| *value != NONE) {
                *out = numbers[value as usize];
            }
        }
    }

    pub(super) fn encode_numbers<'a>(
        &self,
        view: View<'_>,
        out: impl Iterator<Item = &'a mut [f32]>,
    ) {
        if self.spec.how == How::Cyclic {
            let clock = view.clock(&self.spec.source, self.spec.zone).unwrap_or_default();
            for (out, (_, turn)) in out.zip(clock) {
                let (sin, cos) = (turn * std::f64::consts::TAU).sin_cos();
                (out[0], out[1]) = (sin as f32, cos as f32);
            }
            return;
        }
        let width = self.scaling.len();
        let places = self.places(view);
        let values = view.numbers(&self.spec, (&places, width)).map(|(values, _)| values);
        let unsaid = self.spec.source.is_flag();
        for (position, out) in out.enumerate() {
            let mut known = false;
            for (k, scaling) in self.scaling.iter().enumerate() {
                let value = values.as_ref().map_or(f64::NAN, |values| values[position * width + k]);
                // A flag that is not there is that of a value that is not there.
                let value = if unsaid && value.is_nan() { 1.0 } else { value };
                let scaled = scaling.apply(value);
                known |= scaled.is_some();
                out[k] = scaled.unwrap_or(0.0);
            }
            if self.has_flag() {
                out[width] = if known { 0.0 } else { 1.0 };
            }
        }
    }
}

/// Words by falling number of positions, ties by first position.
fn frequent(names: &Names, values: &[u32], min: u32, top: u32) -> Vec<String> {
    let mut counts = vec![0u32; names.len()];
    let mut order = Vec::new();
    for &value in values.iter().filter(|&&value| value != NONE) {
        let count = &mut counts[value as usize];
        if *count == 0 {
            order.push(value);
        }
        *count = count.saturating_add(1);
    }
    order.retain(|&word| counts[word as usize] >= min);
    order.sort_by_key(|&word| std::cmp::Reverse(counts[word as usize]));
    order.truncate(top as usize);
    order.into_iter().map(|word| names.get(word).to_owned()).collect()
}

/// What is not there, and what to do.
fn absence(spec: &FeatureSpec) -> String {
    match &spec.source {
        source if source.is_flag() => {
            "needs --fill with a flag for the column that it is about".to_owned()
        }
        Source::Column(column) => {
            format!(
                "this log has no {column} of that sort; map its column with --columns, or leave \
                     the feature out"
            )
        }
        Source::Kinds => "this log has no kinds of events; leave the feature out".to_owned(),
        Source::Item(_) => "needs a table of items (--item-table FILE)".to_owned(),
        Source::User(_) => {
            "needs a log that names users and a table of them (--user-table FILE)".to_owned()
        }
        _ => "this log has no times; map their column with --columns, or leave the feature out"
            .to_owned(),
    }
}

/// A feature is stored as it is written.
mod as_text {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::FeatureSpec;

    pub(super) fn serialize<S: Serializer>(spec: &FeatureSpec, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(spec)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<FeatureSpec, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}
