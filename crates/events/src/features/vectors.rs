//! A vector an item, from a file or made elsewhere.

use std::path::Path;

use super::table::put_id;
use crate::read::side_rows;
use crate::{Error, Names};

/// One vector an id, all of one width.
#[derive(Debug, Clone, Default)]
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
        let mut begun = false;
        side_rows(path, |fields| {
            if !std::mem::replace(&mut begun, true) {
                // "nan" is a number, though not one that a vector may have: such a line is no header.
                let word = |field: &&str| field.parse::<f32>().is_err();
                let names = fields.len() > 1 && fields[1..].iter().all(word);
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
            let number = field.parse::<f32>().map_err(|_| format!("{field:?} is no number"))?;
            if !number.is_finite() {
                return Err(format!("{field:?} is not finite"));
            }
            self.values.push(number);
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
        let row = self.ids.find(id)? as usize;
        Some(&self.values[row * self.width..][..self.width])
    }

    /// The ids, by row.
    pub fn ids(&self) -> &Names {
        &self.ids
    }

    /// The vectors of the items that a model knows, in its order.
    pub fn of_items(&self, names: &Names) -> ItemVectors {
        let mut given = ItemVectors { width: self.width, ..ItemVectors::default() };
        given.values.reserve(names.len() * self.width);
        let (mut squares, mut found) = (0.0, 0);
        for name in names.iter() {
            match self.get(name) {
                None => given.values.resize(given.values.len() + self.width, 0.0),
                Some(vector) => {
                    let square: f64 = vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
                    (squares, found) = (squares + square, found + 1);
                    given.known += usize::from(square > 0.0);
                    given.values.extend(vector);
                }
            }
        }
        given.others = self.len() - found;
        if given.known > 0 {
            let scale = ((given.known * self.width) as f64 / squares).sqrt();
            let scaled = |value: &mut f32| *value = (f64::from(*value) * scale) as f32;
            given.values.iter_mut().for_each(scaled);
        }
        given
    }
}

/// The vectors of a model's items, brought to the size that other numbers of a model have:
///
/// ```text
///     D[i] = v_i / √(mean of v² over all numbers of the items that have one)       0 where item i has none
/// ```
///
/// One factor for all: angles, and how lengths compare, stay those of the file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ItemVectors {
    /// Numbers a vector, D; 0 where nothing is given.
    pub width: usize,
    /// `[V, D]`, row-major, in the order of the vocabulary.
    pub values: Vec<f32>,
    /// Items that have a vector with a number other than 0.
    pub known: usize,
    /// Vectors that belong to none of the items.
    pub others: usize,
}
