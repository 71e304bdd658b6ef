//! What is known of items and users beside the log: tables joined by id.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::FeatureSpecs;
use crate::read::{finite, side_rows};
use crate::{Error, Further, LabelColumn, NONE, Names, NumberColumn};

/// Everything beside the log that features are taken from.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tables {
    /// What is known of items.
    pub items: Option<Table>,
    /// What is known of users.
    pub users: Option<Table>,
}

/// A table with one row an id.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(try_from = "StoredTable", into = "StoredTable")]
pub struct Table {
    ids: Names,
    labels: Vec<LabelColumn>,
    numbers: Vec<NumberColumn>,
}

/// How the ids of a table and those of a log meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Coverage {
    /// Ids that both know.
    pub both: u64,
    /// Ids of the table that the log does not know.
    pub table_only: u64,
    /// Ids of the log that the table does not know: their features are missing.
    pub log_only: u64,
}

impl Coverage {
    pub(super) fn of(table: &Names, log: &Names) -> Self {
        let both = log.iter().filter(|id| table.find(id).is_some()).count() as u64;
        let (table_only, log_only) = (table.len() as u64 - both, log.len() as u64 - both);
        Self { both, table_only, log_only }
    }
}

impl Tables {
    /// Reads what the features ask for.
    ///
    /// # Errors
    ///
    /// As [`Table::read`].
    pub fn read(
        specs: &FeatureSpecs,
        items: Option<&Path>,
        users: Option<&Path>,
    ) -> Result<Self, Error> {
        Ok(Self {
            items: items.map(|path| Table::read(path, &specs.item_columns())).transpose()?,
            users: users.map(|path| Table::read(path, &specs.user_columns())).transpose()?,
        })
    }
}

impl Table {
    /// Reads a table with a header. The first column is the id, whatever it is called; of the
    /// others those that are asked for are kept.
    ///
    /// # Errors
    ///
    /// [`Error::Side`] where a row is damaged or an id comes twice, [`Error::NoFurtherColumn`]
    /// where a column is missing.
    pub fn read(path: &Path, columns: &Further) -> Result<Self, Error> {
        let mut table = Self::empty(columns);
        let mut places: Option<Vec<usize>> = None;
        let (mut width, mut header, mut missing) = (0, String::new(), None);
        side_rows(path, |fields| {
            let Some(places) = &places else {
                (width, header) = (fields.len(), fields.join(", "));
                let mut found = Vec::new();
                for column in columns.labels.iter().chain(&columns.numbers) {
                    match fields.iter().skip(1).position(|field| field == column) {
                        Some(place) => found.push(place + 1),
                        None => missing = missing.take().or_else(|| Some(column.clone())),
                    }
                }
                places = Some(found);
                return Ok(());
            };
            if missing.is_some() {
                return Ok(());
            }
            if fields.len() != width {
                return Err(format!("{} columns instead of {width}", fields.len()));
            }
            table.push(fields, places)
        })?;
        let path = path.display().to_string();
        if let Some(column) = missing {
            return Err(Error::NoFurtherColumn { path, column, header });
        }
        if places.is_none() {
            return Err(Error::Empty { path });
        }
        Ok(table)
    }

    fn empty(columns: &Further) -> Self {
        let label = |name: &String| LabelColumn { name: name.clone(), ..LabelColumn::default() };
        let number = |name: &String| NumberColumn { name: name.clone(), values: Vec::new() };
        Self {
            ids: Names::default(),
            labels: columns.labels.iter().map(label).collect(),
            numbers: columns.numbers.iter().map(number).collect(),
        }
    }

    fn push(&mut self, fields: &[&str], places: &[usize]) -> Result<(), String> {
        put_id(&mut self.ids, fields[0])?;
        let (words, numbers) = places.split_at(self.labels.len());
        for (column, &place) in self.labels.iter_mut().zip(words) {
            let word = Some(fields[place]).filter(|word| !word.is_empty());
            column.values.push(word.map_or(NONE, |word| column.names.intern(word)));
        }
        for (column, &place) in self.numbers.iter_mut().zip(numbers) {
            // What is no number is missing, as in a log.
            let number = finite(fields[place]);
            column.values.push(number.unwrap_or(f32::NAN));
        }
        Ok(())
    }

    /// How many ids it has.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// How its ids and those of a log meet; `names` are the log's items or users.
    pub fn coverage(&self, names: &Names) -> Coverage {
        Coverage::of(&self.ids, names)
    }

    /// What a column of words says of an id; none where that is nothing.
    pub fn word(&self, column: &str, id: &str) -> Option<&str> {
        let (names, values) = self.words(column)?;
        let word = values[self.ids.find(id)? as usize];
        (word != NONE).then(|| names.get(word))
    }

    /// The row of each of the log's names; [`NONE`] where there is none.
    pub(super) fn rows(&self, names: &Names) -> Vec<u32> {
        names.iter().map(|name| self.ids.find(name).unwrap_or(NONE)).collect()
    }

    pub(super) fn words(&self, name: &str) -> Option<(&Names, &[u32])> {
        let column = self.labels.iter().find(|column| column.name == name)?;
        Some((&column.names, &column.values))
    }

    pub(super) fn numbers(&self, name: &str) -> Option<&[f32]> {
        let column = self.numbers.iter().find(|column| column.name == name)?;
        Some(&column.values)
    }

    /// Only the rows whose ids are among the given ones.
    pub(super) fn only(&self, known: &Names) -> Self {
        let rows = kept(&self.ids, known);
        let mut table = self.clone();
        table.ids = rows.iter().map(|&row| self.ids.get(row as u32)).collect();
        for (to, from) in table.labels.iter_mut().zip(&self.labels) {
            to.names = Names::default();
            let word = |&row: &usize| match from.values[row] {
                NONE => NONE,
                word => to.names.intern(from.names.get(word)),
            };
            to.values = rows.iter().map(word).collect();
        }
        for (to, from) in table.numbers.iter_mut().zip(&self.numbers) {
            to.values = rows.iter().map(|&row| from.values[row]).collect();
        }
        table
    }
}

/// Adds an id that must be new.
pub(super) fn put_id(ids: &mut Names, id: &str) -> Result<(), String> {
    if id.is_empty() {
        return Err("no id".to_owned());
    }
    let new = ids.len();
    if ids.intern(id) as usize == new { Ok(()) } else { Err(format!("{id:?} comes twice")) }
}

/// Rows whose ids are known.
fn kept(ids: &Names, known: &Names) -> Vec<usize> {
    let rows = ids.iter().enumerate().filter(|(_, id)| known.find(id).is_some());
    rows.map(|(row, _)| row).collect()
}

/// A table as a model file holds it: an entry that is missing is null.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredTable {
    ids: Vec<String>,
    labels: Vec<(String, Vec<Option<String>>)>,
    numbers: Vec<(String, Vec<Option<f32>>)>,
}

impl From<Table> for StoredTable {
    fn from(table: Table) -> Self {
        let word = |names: &Names, word: u32| (word != NONE).then(|| names.get(word).to_owned());
        let words = |column: LabelColumn| {
            (column.name, column.values.iter().map(|&w| word(&column.names, w)).collect())
        };
        let number = |column: NumberColumn| {
            (column.name, column.values.into_iter().map(|x| x.is_finite().then_some(x)).collect())
        };
        Self {
            ids: table.ids.iter().map(str::to_owned).collect(),
            labels: table.labels.into_iter().map(words).collect(),
            numbers: table.numbers.into_iter().map(number).collect(),
        }
    }
}

impl TryFrom<StoredTable> for Table {
    type Error = String;

    fn try_from(stored: StoredTable) -> Result<Self, String> {
        let mut table = Self::default();
        stored.ids.iter().try_for_each(|id| put_id(&mut table.ids, id))?;
        let rows = table.len();
        let lengths = (stored.labels.iter().map(|column| column.1.len()))
            .chain(stored.numbers.iter().map(|column| column.1.len()));
        if lengths.into_iter().any(|length| length != rows) {
            return Err("a column of a stored table has another length".to_owned());
        }
        for (name, words) in stored.labels {
            let mut column = LabelColumn { name, ..LabelColumn::default() };
            for word in words {
                let word = word.map_or(NONE, |word| column.names.intern(&word));
                column.values.push(word);
            }
            table.labels.push(column);
        }
        for (name, values) in stored.numbers {
            let values = values.into_iter().map(|value| value.unwrap_or(f32::NAN)).collect();
            table.numbers.push(NumberColumn { name, values });
        }
        Ok(table)
    }
}
