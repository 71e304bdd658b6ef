//! A vector an item, from a file or made elsewhere.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Coverage;
use super::table::{kept, put_id};
use crate::read::side_rows;
use crate::{Error, NONE, Names};

/// One vector an id, all of one width.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(try_from = "StoredVectors", into = "StoredVectors")]
pub struct Vectors {
    ids: Names,
    width: usize,
    /// `[ids, width]`, row-major.
    values: Vec<f32>,
}

impl Vectors {
    /// Reads lines of an id and its numbers, with or without a header (a line of names, or the
    /// number of vectors and their width).
    ///
    /// # Errors
    ///
    /// [`Error::Side`] where a row has another width, a number is none or an id comes twice.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let mut vectors = Self::default();
        let mut first = None::<Vec<String>>;
        side_rows(path, |fields| {
            if first.is_none() {
                first = Some(fields.iter().map(|&field| field.to_owned()).collect());
                let names =
                    fields.len() > 1 && fields[1..].iter().any(|field| number(field).is_none());
                return if names { Ok(()) } else { vectors.push(fields) };
            }
            // A first line of two whole numbers, the second of which is the width of the next one.
            let sizes = vectors.width == 1 && vectors.len() == 1 && fields.len() > 2;
            if sizes && vectors.values[0] == (fields.len() - 1) as f32 {
                vectors = Self::default();
            }
            vectors.push(fields)
        })?;
        if vectors.is_empty() {
            return Err(Error::Empty { path: path.display().to_string() });
        }
        Ok(vectors)
    }

    /// Vectors that were made elsewhere: `values` is `[ids, width]`, row-major.
    ///
    /// # Errors
    ///
    /// [`Error::Stored`] where an id comes twice, a number is not finite, or sizes do not agree.
    pub fn new<'a>(
        ids: impl IntoIterator<Item = &'a str>,
        width: usize,
        values: Vec<f32>,
    ) -> Result<Self, Error> {
        let stored = |reason: String| Error::Stored { what: "vectors of items", reason };
        let mut table = Names::default();
        for id in ids {
            put_id(&mut table, id).map_err(stored)?;
        }
        if width == 0 || table.len().checked_mul(width) != Some(values.len()) {
            let (ids, numbers) = (table.len(), values.len());
            return Err(stored(format!("{numbers} numbers for {ids} vectors of {width}")));
        }
        if !values.iter().all(|value| value.is_finite()) {
            return Err(stored("a number is not finite".to_owned()));
        }
        Ok(Self { ids: table, width, values })
    }

    fn push(&mut self, fields: &[&str]) -> Result<(), String> {
        let width = fields.len() - 1;
        if self.is_empty() {
            self.width = width;
        }
        if width != self.width || width == 0 {
            return Err(format!("{width} numbers where {} are expected", self.width.max(1)));
        }
        put_id(&mut self.ids, fields[0])?;
        for field in &fields[1..] {
            self.values.push(number(field).ok_or_else(|| format!("{field:?} is no number"))?);
        }
        Ok(())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Numbers a vector.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The vector of an id.
    pub fn get(&self, id: &str) -> Option<&[f32]> {
        self.ids.find(id).map(|row| self.row(row))
    }

    /// The ids, by row.
    pub fn ids(&self) -> &Names {
        &self.ids
    }

    /// How the ids and those of a log meet; `names` are the log's items.
    pub fn coverage(&self, names: &Names) -> Coverage {
        Coverage::of(&self.ids, names)
    }

    pub(super) fn row(&self, row: u32) -> &[f32] {
        &self.values[row as usize * self.width..][..self.width]
    }

    pub(super) fn rows(&self, names: &Names) -> Vec<u32> {
        names.iter().map(|name| self.ids.find(name).unwrap_or(NONE)).collect()
    }

    /// Only those whose ids are among the given ones.
    pub(super) fn only(&self, known: &Names) -> Self {
        let rows = kept(&self.ids, known);
        Self {
            ids: rows.iter().map(|&row| self.ids.get(row as u32)).collect(),
            width: self.width,
            values: rows.iter().flat_map(|&row| self.row(row as u32)).copied().collect(),
        }
    }
}

fn number(text: &str) -> Option<f32> {
    text.parse::<f32>().ok().filter(|number| number.is_finite())
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredVectors {
    ids: Vec<String>,
    width: usize,
    values: Vec<f32>,
}

impl From<Vectors> for StoredVectors {
    fn from(vectors: Vectors) -> Self {
        let ids = vectors.ids.iter().map(str::to_owned).collect();
        Self { ids, width: vectors.width, values: vectors.values }
    }
}

impl TryFrom<StoredVectors> for Vectors {
    type Error = String;

    fn try_from(stored: StoredVectors) -> Result<Self, String> {
        Self::new(stored.ids.iter().map(String::as_str), stored.width, stored.values)
            .map_err(|error| error.to_string())
    }
}
