//! Features read from what is written.

use std::str::FromStr;

use super::spec::MISSING;
use super::{Cell, FeatureSpec, FeatureSpecs, How, Scale, Source};
use crate::{Column, Error};

const EXPECTED: &str = "expected NAME or NAME:HOW, separated by commas, such as \
    kind,category,price:log1p+zscore+flag,gap,hour:cyclic,colour:label,page:number; HOW joins with \
    + any of label, min=N, top=N for words, number, raw, log1p, zscore, minmax, quantile, flag for \
    numbers, cyclic for hour and weekday, zone=MINUTES for all that goes by a clock";

/// What a source can become, and what it becomes where nothing is said.
struct Defaults {
    label: bool,
    number: Option<&'static [Scale]>,
}

const MAGNITUDE: &[Scale] = &[Scale::Log1p, Scale::Zscore];

impl FromStr for FeatureSpecs {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut specs = Vec::<FeatureSpec>::new();
        for part in text.split(',').filter(|_| !text.trim().is_empty()) {
            let spec: FeatureSpec = part.parse()?;
            if specs.iter().any(|other| other.name == spec.name) {
                let reason = format!("{:?} is named twice", spec.name);
                return Err(Error::Flag { flag: "--features", value: text.to_owned(), reason });
            }
            specs.push(spec);
        }
        Ok(Self(specs))
    }
}

impl FromStr for FeatureSpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refuse = |reason: String| Error::Flag {
            flag: "--features",
            value: text.to_owned(),
            reason: format!("{reason}; {EXPECTED}"),
        };
        // A name may hold a colon as long as what follows the last one says how.
        let (name, how) = text.rsplit_once(':').unwrap_or((text, ""));
        let (name, how) = (name.trim(), how.trim());
        if name.is_empty() || text.trim_end().ends_with(':') {
            return Err(refuse("a name or what follows its colon is missing".to_owned()));
        }
        let source = Source::of(name);
        let mut asked = Asked::default();
        for word in how.split('+').map(str::trim).filter(|_| !how.is_empty()) {
            asked.take(word).ok_or_else(|| refuse(format!("{word:?} is not understood")))?;
        }
        let how = asked.settle(&source).map_err(refuse)?;
        Ok(Self { name: name.to_owned(), source, how, zone: asked.zone.unwrap_or(0) })
    }
}

/// The words after the colon.
#[derive(Default)]
struct Asked {
    label: bool,
    min: Option<u32>,
    top: Option<u32>,
    number: bool,
    raw: bool,
    scaling: Vec<Scale>,
    flag: bool,
    cyclic: bool,
    zone: Option<i32>,
}

impl Asked {
    fn take(&mut self, word: &str) -> Option<()> {
        if let Some(&scale) = Scale::ALL.iter().find(|scale| scale.name() == word) {
            self.scaling.push(scale);
            return Some(());
        }
        match word {
            "label" => self.label = true,
            "number" => self.number = true,
            "raw" => self.raw = true,
            "flag" => self.flag = true,
            "cyclic" => self.cyclic = true,
            _ => match word.split_once('=')? {
                ("min", count) => self.min = Some(count.parse().ok().filter(|&count| count > 0)?),
                ("top", count) => self.top = Some(count.parse().ok().filter(|&count| count > 0)?),
                ("zone", minutes) => {
                    let day = |minutes: &i32| minutes.abs() < 24 * 60;
                    self.zone = Some(minutes.parse().ok().filter(day)?);
                }
                _ => return None,
            },
        }
        Some(())
    }

    fn settle(&self, source: &Source) -> Result<How, String> {
        let counted = self.min.is_some() || self.top.is_some();
        let wordy = self.label || counted;
        let numeric = self.number || self.raw || self.flag || !self.scaling.is_empty();
        if self.zone.is_some() && !source.is_clock() && !source.is_grid() {
            return Err("zone is for what goes by a clock".to_owned());
        }
        if usize::from(wordy) + usize::from(numeric) + usize::from(self.cyclic) > 1 {
            return Err("words, numbers and circles exclude each other".to_owned());
        }
        if self.raw && !self.scaling.is_empty() {
            return Err("raw means no scaling".to_owned());
        }
        if self.cyclic {
            return match source.is_clock() {
                true => Ok(How::Cyclic),
                false => Err("cyclic is for hour and weekday".to_owned()),
            };
        }
        if counted && source.is_clock() {
            return Err("hours and weekdays are all known".to_owned());
        }
        let label = How::Label { min: self.min.unwrap_or(1), top: self.top };
        let number = |default: &[Scale]| {
            let scaling = match (self.raw, self.scaling.is_empty()) {
                (true, _) => Vec::new(),
                (false, true) => default.to_vec(),
                (false, false) => self.scaling.clone(),
            };
            How::Number { scaling, flag: self.flag }
        };
        match source.defaults() {
            Some(Defaults { number: Some(_), .. }) if wordy => {
                Err("this feature is a number".to_owned())
            }
            Some(Defaults { number: Some(scaling), .. }) => Ok(number(scaling)),
            Some(Defaults { label: true, .. }) if numeric => {
                Err("this feature is a word".to_owned())
            }
            Some(_) => Ok(label),
            None if wordy => Ok(label),
            None if numeric => Ok(number(&[Scale::Zscore])),
            None => Err("say whether it holds words (:label) or numbers (:number)".to_owned()),
        }
    }
}

impl Source {
    fn of(name: &str) -> Self {
        match name {
            // What an event's own dwell would be is known only when the next event comes.
            "gap" | "dwell" => Self::Gap,
            "since_start" => Self::SinceStart,
            "position" => Self::Position,
            "hour" => Self::Hour,
            "weekday" => Self::Weekday,
            "hour.count" => Self::Count(Cell::Hour),
            "day.count" => Self::Count(Cell::Day),
            "hour.silence" => Self::Silence(Cell::Hour),
            "day.silence" => Self::Silence(Cell::Day),
            "kinds" => Self::Kinds,
            _ => match (name.strip_prefix("item."), name.strip_prefix("user.")) {
                (Some(column), _) if !column.is_empty() => Self::Item(column.to_owned()),
                (_, Some(column)) if !column.is_empty() => Self::User(column.to_owned()),
                _ => match name.parse() {
                    Ok(column) => Self::Column(column),
                    Err(never) => match never {},
                },
            },
        }
    }

    /// None for a further column, which has to say what it holds.
    fn defaults(&self) -> Option<Defaults> {
        let words = Defaults { label: true, number: None };
        let number = |scaling| Defaults { label: false, number: Some(scaling) };
        Some(match self {
            Self::Column(_) if self.is_flag() => number(&[]),
            Self::Item(name) | Self::User(name) | Self::Column(Column::Further(name)) => {
                match name.as_str() {
                    "kind" | "category" => words,
                    "price" | "quantity" | "amount" => number(MAGNITUDE),
                    _ => return None,
                }
            }
            Self::Column(Column::Kind | Column::Category) | Self::Hour | Self::Weekday => words,
            Self::Column(_) | Self::Gap | Self::SinceStart | Self::Position => number(MAGNITUDE),
            Self::Count(_) | Self::Silence(_) => number(MAGNITUDE),
            Self::Kinds => number(&[]),
        })
    }

    /// Whether it is a number by which fill says where another was missing.
    pub(super) fn is_flag(&self) -> bool {
        matches!(self, Self::Column(Column::Further(name)) if name.ends_with(MISSING))
    }

    pub(super) fn is_clock(&self) -> bool {
        matches!(self, Self::Hour | Self::Weekday)
    }

    fn is_grid(&self) -> bool {
        matches!(self, Self::Count(_) | Self::Silence(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn specs(text: &str) -> FeatureSpecs {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_left_unsaid_has_a_default() {
        for (short, long) in [
            ("kind", "kind:label"),
            ("category:min=5", "category:label+min=5"),
            ("price", "price:log1p+zscore"),
            ("price:flag", "price:log1p+zscore+flag"),
            ("gap:quantile", "gap:quantile"),
            ("dwell", "dwell:log1p+zscore"),
            ("hour", "hour:label"),
            ("hour:zone=-90", "hour:label+zone=-90"),
            ("weekday:cyclic+zone=60", "weekday:cyclic+zone=60"),
            ("colour:label+top=9", "colour:label+top=9"),
            ("page:number", "page:zscore"),
            ("page:raw", "page:raw"),
            ("price.missing", "price.missing:raw"),
            ("kinds", "kinds:raw"),
            ("day.count", "day.count:log1p+zscore"),
            ("hour.silence:raw+zone=60", "hour.silence:raw+zone=60"),
            ("item.price", "item.price:log1p+zscore"),
            ("user.country:label", "user.country:label"),
            ("a:b:number", "a:b:zscore"),
            ("", ""),
        ] {
            assert_eq!(specs(short).to_string(), long, "{short}");
            assert_eq!(specs(long), specs(short), "{long}");
        }
        assert_eq!(specs("kind, price ,colour:label").0.len(), 3);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for text in [
            "colour",
            "price:label",
            "kind:zscore",
            "kind:cyclic",
            "price:zone=60",
            "hour:min=2",
            "hour:zone=1440",
            "hour:log1p",
            "hour.count:label",
            "day.silence:cyclic",
            "week.count",
            "price:cube",
            "price:",
            ":label",
            ",",
            "kind,,price",
            "kind,kind",
            "price:raw+zscore",
            "colour:label+zscore",
            "category:min=0",
            "category:top=-1",
            "item.colour",
        ] {
            let error = text.parse::<FeatureSpecs>().unwrap_err();
            assert!(error.is_usage() && error.to_string().contains("--features"), "{text}");
        }
    }
}
