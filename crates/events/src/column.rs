//! Columns of a log by their names: those with a role, and the further ones.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use crate::{Log, NONE, Names};

/// A column of a log that can be filled or read as a feature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Column {
    /// The kinds of events, in the log's own spelling.
    Kind,
    /// The category of the item.
    Category,
    /// Price of one piece.
    Price,
    /// Number of pieces.
    Quantity,
    /// Money of the line.
    Amount,
    /// One of [`Log::labels`] or [`Log::numbers`], by its name.
    Further(String),
}

/// A column of words: the number of each event's word, and the words.
#[derive(Debug, Clone, Copy)]
pub struct Words<'a> {
    /// The words.
    pub names: &'a Names,
    /// Number of the word of each event, [`NONE`] where the row has none.
    pub values: &'a [u32],
}

impl Words<'_> {
    /// The number of an event's word; [`NONE`] too where it is the number of no word.
    pub(crate) fn get(&self, event: usize) -> u32 {
        self.values.get(event).copied().filter(|&word| self.knows(word)).unwrap_or(NONE)
    }

    fn knows(&self, word: u32) -> bool {
        (word as usize) < self.names.len()
    }
}

impl Column {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Kind => "kind",
            Self::Category => "category",
            Self::Price => "price",
            Self::Quantity => "quantity",
            Self::Amount => "amount",
            Self::Further(name) => name,
        }
    }

    /// The column of words that it is in a log; none where it holds numbers or is not there.
    pub fn words<'a>(&self, log: &'a Log) -> Option<Words<'a>> {
        let (names, values) = match self {
            Self::Kind => (&log.kinds, &log.events.kind),
            Self::Category => (&log.categories, &log.events.category),
            Self::Price | Self::Quantity | Self::Amount => return None,
            Self::Further(name) => {
                let column = log.labels.iter().find(|column| column.name == *name)?;
                (&column.names, &column.values)
            }
        };
        (!values.is_empty()).then_some(Words { names, values })
    }

    /// The column of numbers that it is in a log; none where it holds words or is not there.
    pub fn numbers<'a>(&self, log: &'a Log) -> Option<&'a [f32]> {
        let values = match self {
            Self::Kind | Self::Category => return None,
            Self::Price => &log.events.price,
            Self::Quantity => &log.events.quantity,
            Self::Amount => &log.events.amount,
            Self::Further(name) => &log.numbers.iter().find(|column| column.name == *name)?.values,
        };
        (!values.is_empty()).then_some(values)
    }

    /// The same, to be written to, with the names of new words.
    pub(crate) fn words_mut<'a>(
        &self,
        log: &'a mut Log,
    ) -> Option<(&'a mut Names, &'a mut Vec<u32>)> {
        match self {
            Self::Kind => Some((&mut log.kinds, &mut log.events.kind)),
            Self::Category => Some((&mut log.categories, &mut log.events.category)),
            Self::Price | Self::Quantity | Self::Amount => None,
            Self::Further(name) => {
                let column = log.labels.iter_mut().find(|column| column.name == *name)?;
                Some((&mut column.names, &mut column.values))
            }
        }
    }

    /// The same, to be written to.
    pub(crate) fn numbers_mut<'a>(&self, log: &'a mut Log) -> Option<&'a mut Vec<f32>> {
        match self {
            Self::Kind | Self::Category => None,
            Self::Price => Some(&mut log.events.price),
            Self::Quantity => Some(&mut log.events.quantity),
            Self::Amount => Some(&mut log.events.amount),
            Self::Further(name) => {
                let column = log.numbers.iter_mut().find(|column| column.name == *name)?;
                Some(&mut column.values)
            }
        }
    }
}

impl FromStr for Column {
    type Err = Infallible;

    fn from_str(name: &str) -> Result<Self, Infallible> {
        Ok(match name {
            "kind" => Self::Kind,
            "category" => Self::Category,
            "price" => Self::Price,
            "quantity" => Self::Quantity,
            "amount" => Self::Amount,
            further => Self::Further(further.to_owned()),
        })
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Events, LabelColumn, NumberColumn};

    #[test]
    fn a_column_is_found_by_its_name_and_by_what_it_holds() {
        let colour = LabelColumn {
            name: "colour".to_owned(),
            names: ["red"].into_iter().collect(),
            values: vec![0, NONE],
        };
        let page = NumberColumn { name: "page".to_owned(), values: vec![1.0, 2.0] };
        let log = Log {
            events: Events { item: vec![0, 0], price: vec![1.0, 2.0], ..Events::default() },
            labels: vec![colour],
            numbers: vec![page],
            ..Log::default()
        };
        let column = |name: &str| name.parse::<Column>().unwrap();
        assert_eq!(column("price").numbers(&log), Some(&[1.0, 2.0][..]));
        assert_eq!(column("page").numbers(&log), Some(&[1.0, 2.0][..]));
        assert_eq!(column("colour").words(&log).map(|words| words.get(0)), Some(0));
        assert_eq!(column("colour").words(&log).map(|words| words.get(7)), Some(NONE));
        for (name, words, numbers) in [
            ("price", false, true),
            ("page", false, true),
            ("colour", true, false),
            ("kind", false, false),
            ("amount", false, false),
            ("nothing", false, false),
        ] {
            let (column, mut log) = (column(name), log.clone());
            assert_eq!(column.to_string(), name);
            assert_eq!(column.words(&log).is_some(), words, "{name}");
            assert_eq!(column.numbers(&log).is_some(), numbers, "{name}");
            assert_eq!(column.numbers_mut(&mut log).is_some(), numbers || name == "amount");
        }
    }
}
