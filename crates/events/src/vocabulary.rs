//! The items that a model knows, numbered by popularity, and sessions written in those numbers.

use std::ops::Range;

use crate::{Error, Features, NONE, Names, Sessions, Targets};

/// What the item is called that stands for all others: no log has an item without a name.
const OTHER: &str = "";

/// The items of the training part, numbered from 0 by falling number of events, ties by first
/// appearance there.
///
/// So the order of the numbers is the popularity baseline, the K most frequent items are those
/// below K, and of two equal scores the smaller number is the more popular item.
#[derive(Debug, Clone, Default)]
pub struct Vocabulary {
    names: Names,
    counts: Vec<u32>,
}

impl Vocabulary {
    /// Counts the items of the training sessions; `names` are those of their log.
    pub fn from_sessions(train: &Sessions, names: &Names) -> Self {
        let mut counts = vec![0u32; names.len()];
        let mut order = Vec::new();
        for &item in train.items() {
            let count = &mut counts[item as usize];
            if *count == 0 {
                order.push(item);
            }
            *count = count.saturating_add(1);
        }
        // Stable, so that equal counts keep the order of first appearance.
        order.sort_by_key(|&item| std::cmp::Reverse(counts[item as usize]));
        Self {
            counts: order.iter().map(|&item| counts[item as usize]).collect(),
            names: order.iter().map(|&item| names.get(item)).collect(),
        }
    }

    /// The same, with one item more that stands for all others: those with fewer than `min_support`
    /// events, and those that later logs may hold. What is learned of it is learned from the rare ones.
    pub fn with_other(train: &Sessions, names: &Names, min_support: u32) -> Self {
        let all = Self::from_sessions(train, names);
        let known = all.counts.partition_point(|&count| count >= min_support);
        let rare = all.counts[known..].iter().fold(0u32, |sum, &count| sum.saturating_add(count));
        // Counts never rise, and none is 0.
        let rare = rare.max(1);
        let place = all.counts[..known].partition_point(|&count| count >= rare);
        let mut counts = all.counts[..known].to_vec();
        counts.insert(place, rare);
        let mut order: Vec<&str> = all.names.iter().take(known).collect();
        order.insert(place, OTHER);
        Self { names: order.into_iter().collect(), counts }
    }

    /// The item that stands for all that are not known, where there is one.
    pub fn other(&self) -> Option<u32> {
        self.find(OTHER)
    }

    /// How many items have a name: all but the one that stands for the others.
    pub fn items(&self) -> usize {
        self.len() - usize::from(self.other().is_some())
    }

    /// The number under which a model reads an item: its own, or that of all others where there is one.
    pub fn number(&self, name: &str) -> Option<u32> {
        self.find(name).or_else(|| self.other())
    }

    /// The vocabulary that a model file holds.
    ///
    /// # Errors
    ///
    /// [`Error::Stored`] where a name comes twice, the two lengths differ, or the counts rise or
    /// hold a zero.
    pub fn from_parts<'a>(
        names: impl IntoIterator<Item = &'a str>,
        counts: Vec<u32>,
    ) -> Result<Self, Error> {
        let stored = |reason: String| Error::Stored { what: "vocabulary", reason };
        let mut table = Names::default();
        for (place, name) in names.into_iter().enumerate() {
            if table.intern(name) as usize != place {
                return Err(stored(format!("item {name:?} comes twice")));
            }
        }
        if table.len() != counts.len() {
            return Err(stored(format!("{} names for {} counts", table.len(), counts.len())));
        }
        if !counts.is_sorted_by(|a, b| a >= b) || counts.contains(&0) {
            return Err(stored("the counts of its items do not fall".to_owned()));
        }
        Ok(Self { names: table, counts })
    }

    /// Number of items V.
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// The log's own id of item number `item`.
    ///
    /// # Panics
    ///
    /// Where there is no such item.
    pub fn name(&self, item: u32) -> &str {
        self.names.get(item)
    }

    /// The number of an item by the log's own id.
    pub fn find(&self, name: &str) -> Option<u32> {
        self.names.find(name)
    }

    /// The log's own ids, by number.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Training events of each item, by number: they never rise.
    pub fn counts(&self) -> &[u32] {
        &self.counts
    }

    /// Writes sessions of any log in the numbers of this vocabulary; `names` are those of that log.
    pub fn encode(&self, sessions: &Sessions, names: &Names) -> Sequences {
        let other = self.other();
        let unknown = other.unwrap_or(NONE);
        let number: Vec<u32> =
            names.iter().map(|name| self.find(name).unwrap_or(unknown)).collect();
        let mut offsets = Vec::with_capacity(sessions.len() + 1);
        offsets.push(0);
        offsets.extend((0..sessions.len()).map(|session| sessions.range(session).end));
        Sequences {
            items: sessions.items().iter().map(|&item| number[item as usize]).collect(),
            log_items: sessions.items().to_vec(),
            offsets,
            starts: sessions.starts().to_vec(),
            targets: sessions.targets(),
            features: Features::default(),
            other,
        }
    }
}

/// Sessions in the numbers of a [`Vocabulary`].
#[derive(Debug, Clone, PartialEq)]
pub struct Sequences {
    /// Items of all sessions, one session after the other; where the vocabulary does not know the item,
    /// the one that stands for such, or [`NONE`] where there is none, which never happens in the sessions
    /// it was counted from.
    pub items: Vec<u32>,
    /// The same items in the numbers of their log.
    pub log_items: Vec<u32>,
    /// Session `s` is `items[offsets[s]..offsets[s + 1]]`.
    pub offsets: Vec<usize>,
    /// Time of the first event of each session, milliseconds since 1970; empty without times.
    /// Sessions stand in this order.
    pub starts: Vec<i64>,
    /// Which positions are asked for.
    pub targets: Targets,
    /// What is known of each position beside its item; rows of width 0 where nothing is.
    pub features: Features,
    /// The item that stands for all that the vocabulary does not know, where there is one.
    pub other: Option<u32>,
}

impl Sequences {
    /// Number of sessions.
    pub fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where a session lies.
    pub fn range(&self, session: usize) -> Range<usize> {
        self.offsets[session]..self.offsets[session + 1]
    }

    /// The items of a session.
    pub fn get(&self, session: usize) -> &[u32] {
        &self.items[self.range(session)]
    }

    /// All sessions.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u32]> + '_ {
        (0..self.len()).map(|session| self.get(session))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Names {
        text.split(' ').collect()
    }

    #[test]
    fn one_item_may_stand_for_all_others() {
        let names = names("a b c d e");
        let mut train = Sessions::from_raw(&[9], &[]);
        train.set_items(&[0, 0, 0, 1, 1, 2, 3, 4, 0]);
        let vocabulary = Vocabulary::with_other(&train, &names, 2);
        assert_eq!((vocabulary.counts(), vocabulary.other()), (&[4, 3, 2][..], Some(1)));
        assert_eq!((vocabulary.name(0), vocabulary.name(2)), ("a", "b"));
        let sequences = vocabulary.encode(&train, &names);
        assert_eq!(sequences.items, [0, 0, 0, 2, 2, 1, 1, 1, 0]);
        // Where nothing is rare, it is there for later logs.
        let vocabulary = Vocabulary::with_other(&train, &names, 1);
        assert_eq!((vocabulary.len(), vocabulary.other()), (6, Some(5)));
        let all = vocabulary.names().iter();
        assert!(Vocabulary::from_parts(all, vocabulary.counts().to_vec()).is_ok());
    }

    #[test]
    fn items_are_numbered_by_popularity_then_by_first_appearance() {
        // Sessions c c | a b b | a d, the log having seen d and a first.
        let log = names("d a b c unused");
        let mut sessions = Sessions::from_raw(&[2, 3, 2], &[]);
        sessions.set_items(&[3, 3, 1, 2, 2, 1, 0]);
        let vocabulary = Vocabulary::from_sessions(&sessions, &log);
        assert_eq!(vocabulary.names().iter().collect::<Vec<_>>(), ["c", "a", "b", "d"]);
        assert_eq!(vocabulary.counts(), [2, 2, 2, 1]);
        assert_eq!((vocabulary.find("b"), vocabulary.find("unused")), (Some(2), None));
    }

    #[test]
    fn another_log_is_written_in_the_same_numbers() {
        let mut sessions = Sessions::from_raw(&[3], &[]);
        sessions.set_items(&[0, 1, 1]);
        let vocabulary = Vocabulary::from_sessions(&sessions, &names("x y"));
        let mut other = Sessions::from_raw(&[2, 1], &[7, 8]);
        other.set_items(&[0, 1, 2]);
        let encoded = vocabulary.encode(&other, &names("x new y"));
        assert_eq!(encoded.iter().collect::<Vec<_>>(), [&[1, NONE][..], &[0]]);
        assert_eq!((encoded.log_items, encoded.starts), (vec![0, 1, 2], vec![7, 8]));
    }

    #[test]
    fn a_stored_vocabulary_is_checked() {
        let read =
            |names: &str, counts: &[u32]| Vocabulary::from_parts(names.split(' '), counts.to_vec());
        assert_eq!(read("a b", &[2, 2]).unwrap().find("b"), Some(1));
        for (names, counts, part) in [
            ("a a", &[2, 1][..], "twice"),
            ("a b", &[2], "2 names for 1 counts"),
            ("a b", &[1, 2], "do not fall"),
            ("a b", &[1, 0], "do not fall"),
        ] {
            let error = read(names, counts).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
