//! What a model sees of an event beside the item: labels, each one of some few, numbers, and a vector
//! that somebody has given for the item, such as that of its text or picture.
//!
//! [`Features`] says which there are; they are a property of the log, not of the configuration, like
//! the number of items. A [`Sequence`] is a session with all that is known of its events.

use std::collections::BTreeSet;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::{Answers, ConfigError};

/// The sizes of a model that its configuration does not know: they follow from the log.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Inputs {
    /// Number of items V.
    pub items: usize,
    /// What is known of an event beside its item.
    pub features: Features,
    /// What is asked.
    pub answers: Answers,
}

impl From<usize> for Inputs {
    /// So many items, and of each event no more than its item.
    fn from(items: usize) -> Self {
        Self { items, ..Self::default() }
    }
}

impl From<&Inputs> for Inputs {
    fn from(inputs: &Inputs) -> Self {
        inputs.clone()
    }
}

/// What is known of an event beside its item: labels and numbers, in this order, and how wide the given
/// vectors of items are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Features {
    /// The labels of an event, K of them.
    pub labels: Vec<Labels>,
    /// What the numbers of an event are called, F of them.
    pub numbers: Vec<String>,
    /// Width D of the vectors that are given for the items; 0: none. The model gets them by
    /// [`Model::with_vectors`](crate::Model::with_vectors).
    pub vectors: usize,
}

/// A label that each event has, one of `size`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Labels {
    /// What it is called: no two alike.
    pub name: String,
    /// How many there are, V_k: 0 stands for a label that is missing or unknown, and counts.
    pub size: usize,
}

impl Features {
    /// Whether a model sees the items alone.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.numbers.is_empty() && self.vectors == 0
    }

    /// How many labels and numbers an event has, K and F.
    pub(crate) fn widths(&self) -> [usize; 2] {
        [self.labels.len(), self.numbers.len()]
    }

    /// The names of labels and numbers.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.labels.iter().map(|labels| &labels.name).chain(&self.numbers).map(String::as_str)
    }

    /// Checks the names and sizes.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the first that cannot be.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let error = |name: &str, problem: String, remedy: &str| ConfigError {
            section: "features",
            key: name.to_owned(),
            problem,
            remedy: remedy.to_owned(),
        };
        let mut met = BTreeSet::new();
        for name in self.names() {
            if name.is_empty() || !met.insert(name) {
                let problem = format!("{name:?} is no name of its own");
                return Err(error(name, problem, "give every feature another name"));
            }
        }
        for Labels { name, size } in &self.labels {
            if *size == 0 || *size >= u32::MAX as usize {
                let problem = format!("{size} labels, of which one stands for a missing one");
                return Err(error(name, problem, "give it at least one and fewer than 2^32 - 1"));
            }
        }
        Ok(())
    }
}

/// A session, or a part of one: its items, and what is known of each event beside them.
///
/// ```text
///     items     i_0           i_1           …      [n]
///     labels    l_00 … l_0K   l_10 … l_1K   …      [n, K], or nothing: all are 0, missing
///     numbers   n_00 … n_0F   n_10 … n_1F   …      [n, F], or nothing: all are 0
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sequence<'a> {
    /// The item of each event, `[n]`.
    pub items: &'a [u32],
    /// The labels of each event, one event after the other, `[n, K]`; empty where none is known.
    pub labels: &'a [u32],
    /// The numbers of each event, one event after the other, `[n, F]`; empty where none is known.
    pub numbers: &'a [f32],
}

impl<'a> From<&'a [u32]> for Sequence<'a> {
    /// Items of whose events nothing more is known.
    fn from(items: &'a [u32]) -> Self {
        Self { items, ..Self::default() }
    }
}

impl<'a, const N: usize> From<&'a [u32; N]> for Sequence<'a> {
    fn from(items: &'a [u32; N]) -> Self {
        items.as_slice().into()
    }
}

impl<'a> Sequence<'a> {
    /// Number of events.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is no event.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Some of the events that follow each other.
    ///
    /// # Panics
    ///
    /// Where there are no such events, or not as many labels or numbers of one event as of another.
    pub fn cut(&self, events: Range<usize>) -> Self {
        Self {
            items: &self.items[events.clone()],
            labels: cut(self.labels, self.len(), events.clone()),
            numbers: cut(self.numbers, self.len(), events),
        }
    }

    /// Whether there are so many labels and numbers of each event, or none at all.
    pub(crate) fn fits(&self, widths: [usize; 2]) -> bool {
        let known = [self.labels.len(), self.numbers.len()];
        known.into_iter().zip(widths).all(|(len, width)| len == 0 || len == self.len() * width)
    }
}

/// What belongs to some events, of `count` that have as much each.
fn cut<T>(values: &[T], count: usize, events: Range<usize>) -> &[T] {
    let width = values.len() / count.max(1);
    assert_eq!(width * count, values.len(), "as many of one event as of another");
    &values[events.start * width..events.end * width]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(name: &str, size: usize) -> Labels {
        Labels { name: name.to_owned(), size }
    }

    #[test]
    fn a_part_of_a_sequence_has_what_is_known_of_its_events() {
        let whole = Sequence {
            items: &[7, 8, 9],
            labels: &[1, 10, 2, 20, 3, 30],
            numbers: &[0.25, 0.5, 0.75],
        };
        let part = whole.cut(1..3);
        assert_eq!((part.items, part.labels), (&[8, 9][..], &[2, 20, 3, 30][..]));
        assert_eq!(part.numbers, [0.5, 0.75]);
        assert!(whole.cut(3..3).is_empty() && whole.cut(0..3) == whole);
        let items = Sequence::from(&[7, 8, 9]);
        assert_eq!(items.cut(1..2), Sequence::from(&[8]));
        assert!(items.fits([2, 1]) && whole.fits([2, 1]));
        assert!([[1, 1], [2, 2], [0, 1], [2, 0]].into_iter().all(|widths| !whole.fits(widths)));
        assert_eq!(Sequence::default().cut(0..0), Sequence::default());
    }

    #[test]
    fn names_are_told_apart_and_no_label_is_a_label() {
        let features = |labels: &[Labels], numbers: &[&str]| Features {
            labels: labels.to_vec(),
            numbers: numbers.iter().map(|&name| name.to_owned()).collect(),
            vectors: 0,
        };
        assert_eq!(features(&[labels("kind", 1), labels("day", 8)], &["price"]).validate(), Ok(()));
        for (wrong, key) in [
            (features(&[labels("kind", 0)], &[]), "kind"),
            (features(&[labels("kind", usize::MAX)], &[]), "kind"),
            (features(&[labels("kind", 3), labels("kind", 3)], &[]), "kind"),
            (features(&[labels("price", 3)], &["price"]), "price"),
            (features(&[], &[""]), ""),
        ] {
            let error = wrong.validate().unwrap_err();
            assert_eq!((error.section, error.key.as_str()), ("features", key));
        }
    }
}
