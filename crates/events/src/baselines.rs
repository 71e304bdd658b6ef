//! The tables that a net has to beat: popularity, session popularity, first-order Markov.
//!
//! Items are numbered by popularity (see [`Vocabulary`](crate::Vocabulary)), so "ties by
//! popularity, then by first appearance" means: the smaller number first. Every baseline is a
//! strict order of all V items:
//!
//! | baseline           | order                                                                  |
//! |--------------------|------------------------------------------------------------------------|
//! | popularity         | by number                                                              |
//! | session popularity | by falling count in the prefix, then by number                         |
//! | Markov             | by falling count as direct successor of the prefix's last item in training, then by number |
//!
//! An empty prefix, one with no known item, is answered by popularity in all three.

use crate::{Error, NONE, Sequences};

/// One of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Baseline {
    /// The most frequent items of training, whatever the session.
    Popularity,
    /// The most frequent items of the session so far, then the others by popularity.
    SessionPopularity,
    /// The most frequent direct successors of the last item, then the others by popularity.
    Markov,
}

impl Baseline {
    /// All of them, in the order in which they are reported.
    pub const ALL: [Self; 3] = [Self::Popularity, Self::SessionPopularity, Self::Markov];

    /// Its key in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Popularity => "popularity",
            Self::SessionPopularity => "session_popularity",
            Self::Markov => "markov",
        }
    }
}

/// What the baselines count in training: how often which item directly followed which.
///
/// The successors of item i are entries `offsets[i]..offsets[i + 1]`, by falling count, then by
/// number. Popularity itself needs no table: it is the numbering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Baselines {
    offsets: Vec<u32>,
    successors: Vec<u32>,
    counts: Vec<u32>,
}

impl Baselines {
    /// Counts the training sessions, written in the numbers of a vocabulary of `items` items.
    pub fn from_sequences(train: &Sequences, items: usize) -> Self {
        let mut pairs: Vec<(u32, u32)> = train
            .iter()
            .flat_map(|session| session.windows(2).map(|pair| (pair[0], pair[1])))
            .filter(|&(from, to)| from != NONE && to != NONE)
            .collect();
        pairs.sort_unstable();
        let mut entries: Vec<(u32, u32, u32)> = pairs
            .chunk_by(|a, b| a == b)
            .map(|equal| (equal[0].0, equal[0].1, u32::try_from(equal.len()).unwrap_or(u32::MAX)))
            .collect();
        entries.sort_by_key(|&(from, to, count)| (from, std::cmp::Reverse(count), to));

        let mut offsets = vec![0u32; items + 1];
        for &(from, _, _) in &entries {
            offsets[from as usize + 1] += 1;
        }
        for item in 0..items {
            offsets[item + 1] += offsets[item];
        }
        Self {
            offsets,
            successors: entries.iter().map(|entry| entry.1).collect(),
            counts: entries.iter().map(|entry| entry.2).collect(),
        }
    }

    /// The counts that a model file holds, for a vocabulary of `items` items.
    ///
    /// # Errors
    ///
    /// [`Error::Stored`] where the arrays are not what [`Baselines::offsets`],
    /// [`Baselines::successors`] and [`Baselines::counts`] can give.
    pub fn from_parts(
        items: usize,
        offsets: Vec<u32>,
        successors: Vec<u32>,
        counts: Vec<u32>,
    ) -> Result<Self, Error> {
        let stored = |reason: String| Error::Stored { what: "Markov counts", reason };
        if offsets.len() != items + 1 || offsets[0] != 0 || !offsets.is_sorted() {
            return Err(stored(format!("{} offsets that do not fit {items} items", offsets.len())));
        }
        if offsets[items] as usize != successors.len() || successors.len() != counts.len() {
            return Err(stored(format!(
                "offsets promise {} entries, there are {} successors and {} counts",
                offsets[items],
                successors.len(),
                counts.len()
            )));
        }
        let mut seen_after = vec![NONE; items];
        for item in 0..items {
            let range = offsets[item] as usize..offsets[item + 1] as usize;
            for at in range.clone() {
                let (to, count) = (successors[at], counts[at]);
                let Some(seen) = seen_after.get_mut(to as usize) else {
                    return Err(stored(format!("item {to} follows item {item}, of {items} items")));
                };
                if *seen == item as u32 || count == 0 {
                    return Err(stored(format!("item {to} follows item {item} twice or never")));
                }
                *seen = item as u32;
                let in_order = at == range.start
                    || (counts[at - 1], successors[at]) > (count, successors[at - 1]);
                if !in_order {
                    return Err(stored(format!("the successors of item {item} are out of order")));
                }
            }
        }
        Ok(Self { offsets, successors, counts })
    }

    /// Number of items V.
    pub fn items(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Where the successors of each item begin, and their number at the end: `[V + 1]`.
    pub fn offsets(&self) -> &[u32] {
        &self.offsets
    }

    /// The successors of item 0, of item 1, and so on.
    pub fn successors(&self) -> &[u32] {
        &self.successors
    }

    /// How often each of them followed.
    pub fn counts(&self) -> &[u32] {
        &self.counts
    }

    /// The direct successors of an item, most frequent first, and how often each followed.
    pub fn after(&self, item: u32) -> (&[u32], &[u32]) {
        let range = self.offsets[item as usize] as usize..self.offsets[item as usize + 1] as usize;
        (&self.successors[range.clone()], &self.counts[range])
    }

    /// The place of `target` in the order of a baseline, counted from 1; `usize::MAX`, a miss at
    /// every cut, where the vocabulary does not know the target ([`NONE`]).
    ///
    /// `prefix` holds known items only, as [`Cases::prefix`](crate::Cases::prefix) gives them.
    pub fn rank(&self, baseline: Baseline, prefix: &[u32], target: u32) -> usize {
        if target as usize >= self.items() {
            return usize::MAX;
        }
        let first = self.first(baseline, prefix);
        let first = first.as_ref();
        match first.iter().position(|&item| item == target) {
            Some(place) => place + 1,
            // Behind the first ones all others stand by number.
            None => {
                let moved_ahead = first.iter().filter(|&&item| item > target).count();
                target as usize + 1 + moved_ahead
            }
        }
    }

    /// The first `k` items in the order of a baseline.
    pub fn top_k(&self, baseline: Baseline, prefix: &[u32], k: usize) -> Vec<u32> {
        let k = k.min(self.items());
        let first = self.first(baseline, prefix);
        let mut top: Vec<u32> = first.as_ref().iter().copied().take(k).collect();
        let mut ahead: Vec<u32> = first.as_ref().to_vec();
        ahead.sort_unstable();
        let others = (0..self.items() as u32).filter(|item| ahead.binary_search(item).is_err());
        top.extend(others.take(k - top.len()));
        top
    }

    /// The items that a baseline takes ahead of the popular ones, best first.
    fn first(&self, baseline: Baseline, prefix: &[u32]) -> std::borrow::Cow<'_, [u32]> {
        match baseline {
            Baseline::Popularity => Vec::new().into(),
            Baseline::SessionPopularity => by_count(prefix).into(),
            Baseline::Markov => match prefix.last() {
                Some(&last) => self.after(last).0.into(),
                None => Vec::new().into(),
            },
        }
    }
}

/// The distinct items of a prefix by falling count, then by number.
fn by_count(prefix: &[u32]) -> Vec<u32> {
    let mut items = prefix.to_vec();
    items.sort_unstable();
    let mut counted: Vec<(std::cmp::Reverse<usize>, u32)> = items
        .chunk_by(|a, b| a == b)
        .map(|equal| (std::cmp::Reverse(equal.len()), equal[0]))
        .collect();
    counted.sort_unstable();
    counted.into_iter().map(|(_, item)| item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Features, Targets};

    /// Item 0 was followed by 2 twice, by 4 once and by 3 once; 2 by 0; nothing else was followed.
    fn counted() -> Baselines {
        let sessions: [&[u32]; 3] = [&[0, 2, 0, 2], &[0, 4], &[0, 3]];
        let items = sessions.concat();
        let train = Sequences {
            features: Features::default(),
            log_items: items.clone(),
            other: None,
            items,
            offsets: vec![0, 4, 6, 8],
            starts: Vec::new(),
            targets: Targets::All,
        };
        Baselines::from_sequences(&train, 6)
    }

    #[test]
    fn successors_stand_by_count_then_by_number() {
        let baselines = counted();
        assert_eq!(baselines.after(0), (&[2, 3, 4][..], &[2, 1, 1][..]));
        assert_eq!(baselines.after(2), (&[0][..], &[1][..]));
        assert_eq!(baselines.after(5), (&[][..], &[][..]));
    }

    #[test]
    fn each_baseline_has_its_order() {
        let baselines = counted();
        let order = |baseline, prefix: &[u32]| baselines.top_k(baseline, prefix, 6);
        assert_eq!(order(Baseline::Popularity, &[5]), [0, 1, 2, 3, 4, 5]);
        assert_eq!(order(Baseline::SessionPopularity, &[4, 5, 3, 5]), [5, 3, 4, 0, 1, 2]);
        assert_eq!(order(Baseline::Markov, &[5, 0]), [2, 3, 4, 0, 1, 5]);
        for baseline in Baseline::ALL {
            assert_eq!(order(baseline, &[]), [0, 1, 2, 3, 4, 5], "{}", baseline.name());
        }
    }

    /// A rank is a place in the order that `top_k` gives, for every target and many prefixes.
    #[test]
    fn ranks_are_the_places_in_the_order() {
        let baselines = counted();
        let prefixes: [&[u32]; 6] = [&[], &[0], &[2], &[5], &[1, 5, 5, 0], &[3, 3, 2, 2, 2]];
        for baseline in Baseline::ALL {
            for prefix in prefixes {
                for (place, &item) in baselines.top_k(baseline, prefix, 6).iter().enumerate() {
                    let rank = baselines.rank(baseline, prefix, item);
                    assert_eq!(rank, place + 1, "{} {prefix:?} {item}", baseline.name());
                }
                assert_eq!(baselines.rank(baseline, prefix, NONE), usize::MAX);
            }
        }
    }

    #[test]
    fn fewer_are_asked_for_and_more_than_there_are() {
        let baselines = counted();
        assert_eq!(baselines.top_k(Baseline::Markov, &[0], 2), [2, 3]);
        assert_eq!(baselines.top_k(Baseline::Markov, &[0], 4), [2, 3, 4, 0]);
        assert_eq!(baselines.top_k(Baseline::Popularity, &[], 99).len(), 6);
        assert!(baselines.top_k(Baseline::Popularity, &[], 0).is_empty());
    }

    #[test]
    fn stored_counts_come_back() {
        let counts = counted();
        let [offsets, successors, numbers] =
            [counts.offsets(), counts.successors(), counts.counts()].map(<[u32]>::to_vec);
        assert_eq!(Baselines::from_parts(6, offsets, successors, numbers).unwrap(), counts);
    }

    #[test]
    fn stored_counts_that_cannot_be_are_refused() {
        for (items, offsets, successors, counts, part) in [
            (2, &[0, 1][..], &[1][..], &[1][..], "offsets"),
            (1, &[1, 1], &[0], &[1], "offsets"),
            (2, &[0, 2, 1], &[1], &[1], "offsets"),
            (1, &[0, 2], &[0], &[1], "promise 2 entries"),
            (1, &[0, 1], &[0], &[], "0 counts"),
            (2, &[0, 1, 1], &[2], &[1], "item 2 follows item 0, of 2 items"),
            (2, &[0, 1, 1], &[1], &[0], "twice or never"),
            (2, &[0, 3, 3], &[1, 0, 1], &[3, 2, 1], "twice or never"),
            (2, &[0, 2, 2], &[1, 0], &[1, 2], "out of order"),
            (2, &[0, 2, 2], &[1, 0], &[1, 1], "out of order"),
            (0, &[], &[], &[], "offsets"),
        ] {
            let [o, s, c] = [offsets, successors, counts].map(<[u32]>::to_vec);
            let error = Baselines::from_parts(items, o, s, c).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
