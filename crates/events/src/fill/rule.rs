//! What is done about holes, as it is written: `price=forward+item+flag,quantity=constant:1`.

use std::fmt;
use std::str::FromStr;

use crate::{Column, Error};

/// Where the value comes from that takes the place of a missing one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Method {
    /// Nowhere: the event goes.
    Drop,
    /// From the rule itself.
    Constant(String),
    /// The mean of the training values.
    Mean,
    /// Their median; of an even number, the mean of the two in the middle.
    Median,
    /// The most frequent one; of equals, the one that comes first.
    Mode,
    /// The last known value of the same user before this event.
    Forward,
    /// The last known value of the same item before this event, whoever acted.
    Recent,
    /// The straight line in time from the user's last known value to the next one. It looks at the
    /// future: not for events that are answered as they come.
    Interpolate,
    /// A prediction: the median (of words: the mode) of the item's training values, else of its
    /// category's, else of all.
    Item,
    /// A prediction: the mean of the item's training values, drawn towards its category's mean and
    /// that towards the mean of all, the more the fewer values there are.
    Shrink,
}

impl Method {
    /// Its name, without what a constant is.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Constant(_) => "constant",
            Self::Mean => "mean",
            Self::Median => "median",
            Self::Mode => "mode",
            Self::Forward => "forward",
            Self::Recent => "recent",
            Self::Interpolate => "interpolate",
            Self::Item => "item",
            Self::Shrink => "shrink",
        }
    }

    /// Whether it can give words too.
    pub(super) fn gives_words(&self) -> bool {
        !matches!(self, Self::Mean | Self::Median | Self::Interpolate | Self::Shrink)
    }

    fn parse(word: &str) -> Option<Self> {
        if let Some(value) = word.strip_prefix("constant:") {
            return (!value.is_empty()).then(|| Self::Constant(value.to_owned()));
        }
        let all = [
            Self::Drop,
            Self::Mean,
            Self::Median,
            Self::Mode,
            Self::Forward,
            Self::Recent,
            Self::Interpolate,
            Self::Item,
            Self::Shrink,
        ];
        all.into_iter().find(|method| method.name() == word)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant(value) => write!(f, "constant:{value}"),
            _ => f.write_str(self.name()),
        }
    }
}

/// What is done about the holes of one column: `COLUMN=METHOD+METHOD+…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FillRule {
    /// The column.
    pub column: Column,
    /// Methods; each is asked where those before it know no value.
    pub methods: Vec<Method>,
    /// Whether a further column of numbers, `COLUMN.missing`, says where a value was missing.
    pub flag: bool,
}

/// Rules, in the order in which they are applied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FillRules(pub Vec<FillRule>);

const EXPECTED: &str = "expected COLUMN=METHOD, separated by commas, such as \
    price=forward+item+flag,quantity=constant:1,category=mode; methods are drop, constant:VALUE, \
    mean, median, mode, forward, recent, interpolate, item and shrink, joined with + where one \
    is to stand in for another";

impl FromStr for FillRule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refuse = |reason: &str| Error::Flag {
            flag: "--fill",
            value: text.to_owned(),
            reason: format!("{reason}; {EXPECTED}"),
        };
        let (column, methods) = text.split_once('=').ok_or_else(|| refuse("no ="))?;
        let name = column.trim();
        let column = match name.parse() {
            Ok(_) if name.is_empty() => return Err(refuse("no column")),
            Ok(column) => column,
            Err(never) => match never {},
        };
        let mut rule = Self { column, methods: Vec::new(), flag: false };
        for word in methods.split('+').map(str::trim) {
            if word == "flag" {
                rule.flag = true;
                continue;
            }
            let method = Method::parse(word).ok_or_else(|| refuse("no such method"))?;
            if rule.methods.last() == Some(&Method::Drop) {
                return Err(refuse("nothing comes after drop"));
            }
            if rule.methods.contains(&method) {
                return Err(refuse("a method comes twice"));
            }
            rule.methods.push(method);
        }
        Ok(rule)
    }
}

impl fmt::Display for FillRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words: Vec<String> = self.methods.iter().map(Method::to_string).collect();
        words.extend(self.flag.then(|| "flag".to_owned()));
        write!(f, "{}={}", self.column, words.join("+"))
    }
}

impl FromStr for FillRules {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut rules = Vec::<FillRule>::new();
        for part in text.split(',').filter(|_| !text.trim().is_empty()) {
            let rule: FillRule = part.parse()?;
            if rules.iter().any(|other| other.column == rule.column) {
                let reason = format!("{} is named twice", rule.column);
                return Err(Error::Flag { flag: "--fill", value: text.to_owned(), reason });
            }
            rules.push(rule);
        }
        Ok(Self(rules))
    }
}

impl fmt::Display for FillRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules: Vec<String> = self.0.iter().map(FillRule::to_string).collect();
        f.write_str(&rules.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for text in [
            "",
            "price=median",
            "price=forward+recent+item+flag,quantity=constant:1,category=mode",
            "colour=constant:none",
            "page=interpolate+drop",
            "price=flag",
            "amount=shrink,quantity=mean",
        ] {
            assert_eq!(text.parse::<FillRules>().unwrap().to_string(), text);
        }
        let spaced = " price = forward + median , quantity = drop ".parse::<FillRules>().unwrap();
        assert_eq!(spaced.to_string(), "price=forward+median,quantity=drop");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for text in [
            "price",
            "=median",
            "price=",
            "price=guess",
            "price=constant:",
            "price=constant",
            "price=drop+median",
            "price=median+median",
            "price=median,price=mean",
            "price=median,",
        ] {
            let error = text.parse::<FillRules>().unwrap_err();
            assert!(error.is_usage() && error.to_string().contains("--fill"), "{text}: {error}");
        }
    }
}
