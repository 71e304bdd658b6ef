//! Which features a model reads, as they are written: `kind,price:log1p+zscore+flag,colour:label`.

use std::fmt;

use super::Scale;
use crate::{Column, Further};

/// What a feature is taken from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A column of the log.
    Column(Column),
    /// Seconds since the event before in the session; missing at the first.
    Gap,
    /// Seconds since the first event of the session.
    SinceStart,
    /// Events before in the session.
    Position,
    /// Hour of the day.
    Hour,
    /// Day of the week.
    Weekday,
    /// Events of the session so far in the cell of time of this one, this one included.
    Count(Cell),
    /// Cells of time without an event between the event before and this one; missing at the first.
    Silence(Cell),
    /// How often each kind has come in the session so far, over all kinds.
    Kinds,
    /// A column of the table of items.
    Item(String),
    /// A column of the table of users.
    User(String),
}

/// A cell of the grid of time, from one stroke of the clock to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// An hour.
    Hour,
    /// A day.
    Day,
}

/// What becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// A number of a list: of the words that training has seen, or of 24 hours, or of seven days.
    Label {
        /// Words that training has seen less often are unknown.
        min: u32,
        /// At most so many words are known, the most frequent ones.
        top: Option<u32>,
    },
    /// Scaled numbers.
    Number {
        /// Steps of scaling, in order.
        scaling: Vec<Scale>,
        /// Whether another number says that this one was missing: 1, else 0.
        flag: bool,
    },
    /// Sine and cosine of the place in the circle of hours or days.
    Cyclic,
}

/// A feature as it is written: `name[:how]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureSpec {
    /// Its name.
    pub name: String,
    /// What it is taken from.
    pub source: Source,
    /// What becomes of it.
    pub how: How,
    /// Minutes east of UTC of the clock of hours, days and weekdays.
    pub zone: i32,
}

/// All features of a model, in the order in which they are written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FeatureSpecs(pub Vec<FeatureSpec>);

impl FeatureSpecs {
    /// The columns that a log has to be read with, beside those that have a role.
    pub fn further(&self) -> Further {
        self.columns(|source| match source {
            // Fill adds these; no file has them.
            source if source.is_flag() => None,
            Source::Column(Column::Further(name)) => Some(name),
            _ => None,
        })
    }

    /// The columns that the table of items has to be read with.
    pub fn item_columns(&self) -> Further {
        self.columns(|source| match source {
            Source::Item(name) => Some(name),
            _ => None,
        })
    }

    /// The columns that the table of users has to be read with.
    pub fn user_columns(&self) -> Further {
        self.columns(|source| match source {
            Source::User(name) => Some(name),
            _ => None,
        })
    }

    fn columns<'a>(&'a self, name: impl Fn(&'a Source) -> Option<&'a String>) -> Further {
        let mut further = Further::default();
        for spec in &self.0 {
            let Some(name) = name(&spec.source) else { continue };
            match spec.how {
                How::Label { .. } => further.labels.push(name.clone()),
                How::Number { .. } | How::Cyclic => further.numbers.push(name.clone()),
            }
        }
        further
    }
}

/// What the name of a number ends in that says whether another was missing.
pub(crate) const MISSING: &str = ".missing";

impl fmt::Display for FeatureSpec {
    /// What is read back as the same.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut how = match &self.how {
            How::Cyclic => "cyclic".to_owned(),
            How::Label { min, top } => {
                let min = if *min > 1 { format!("+min={min}") } else { String::new() };
                let top = top.map_or(String::new(), |top| format!("+top={top}"));
                format!("label{min}{top}")
            }
            How::Number { scaling, flag } => {
                let mut words: Vec<&str> = scaling.iter().map(|scale| scale.name()).collect();
                if words.is_empty() {
                    words.push("raw");
                }
                words.extend(flag.then_some("flag"));
                words.join("+")
            }
        };
        if self.zone != 0 {
            how += &format!("+zone={}", self.zone);
        }
        write!(f, "{}:{how}", self.name)
    }
}

impl fmt::Display for FeatureSpecs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let specs: Vec<String> = self.0.iter().map(FeatureSpec::to_string).collect();
        f.write_str(&specs.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_that_are_read_for_features_are_known_beforehand() {
        let text = "price,colour:label,page:number,item.brand:label,item.price,user.age:raw,\
                    price.missing";
        let specs: FeatureSpecs = text.parse().unwrap();
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let further = |labels: &[&str], numbers: &[&str]| Further {
            labels: names(labels),
            numbers: names(numbers),
        };
        assert_eq!(specs.further(), further(&["colour"], &["page"]));
        assert_eq!(specs.item_columns(), further(&["brand"], &["price"]));
        assert_eq!(specs.user_columns(), further(&[], &["age"]));
    }
}
