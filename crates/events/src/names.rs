//! A table of strings: each distinct one is held once and has a number.

use std::hash::Hasher;

use rustc_hash::FxHasher;

/// Stands where an event has no entry of a kind: no user, no session, no known item.
pub const NONE: u32 = u32::MAX;

/// Distinct strings, numbered from 0 in order of first appearance.
///
/// A log repeats few names many times. All text lies in one buffer, and the hash table beside it
/// holds only the numbers.
#[derive(Debug, Clone, Default)]
pub struct Names {
    text: String,
    /// Where each name ends in `text`.
    ends: Vec<usize>,
    /// Open addressing, a power of two long, at most half full.
    slots: Vec<Slot>,
}

/// A place of the hash table. The hash stands beside the number, so that only a name that is very
/// likely the right one is looked up in the text.
#[derive(Debug, Clone, Copy)]
struct Slot {
    hash: u32,
    /// [`NONE`] where the place is free.
    id: u32,
}

impl Names {
    /// The number of `name`, a new one where it was not seen before.
    pub fn intern(&mut self, name: &str) -> u32 {
        if self.slots.len() < 2 * (self.ends.len() + 1) {
            self.grow();
        }
        let hash = hash(name);
        let slot = self.slot(name, hash);
        if self.slots[slot].id == NONE {
            self.slots[slot] = Slot { hash, id: self.ends.len() as u32 };
            self.text.push_str(name);
            self.ends.push(self.text.len());
        }
        self.slots[slot].id
    }

    /// The number of `name`, where it was seen.
    pub fn find(&self, name: &str) -> Option<u32> {
        if self.slots.is_empty() {
            return None;
        }
        Some(self.slots[self.slot(name, hash(name))].id).filter(|&id| id != NONE)
    }

    /// The name with this number.
    ///
    /// # Panics
    ///
    /// Where no name has this number.
    pub fn get(&self, id: u32) -> &str {
        let id = id as usize;
        let start = if id == 0 { 0 } else { self.ends[id - 1] };
        &self.text[start..self.ends[id]]
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// All names, by number.
    pub fn iter(&self) -> impl Iterator<Item = &str> + '_ {
        (0..self.len() as u32).map(|id| self.get(id))
    }

    /// The slot that holds `name`, or the free one where it belongs.
    fn slot(&self, name: &str, hash: u32) -> usize {
        self.probe(hash, |slot| slot.hash == hash && self.get(slot.id) == name)
    }

    /// The first slot from the one of `hash` on that is free or the one looked for.
    fn probe(&self, hash: u32, found: impl Fn(Slot) -> bool) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        while self.slots[slot].id != NONE && !found(self.slots[slot]) {
            slot = (slot + 1) & mask;
        }
        slot
    }

    fn grow(&mut self) {
        let larger = vec![Slot { hash: 0, id: NONE }; (2 * self.slots.len()).max(64)];
        let old = std::mem::replace(&mut self.slots, larger);
        for taken in old.into_iter().filter(|slot| slot.id != NONE) {
            let slot = self.probe(taken.hash, |_| false);
            self.slots[slot] = taken;
        }
    }
}

impl<'a> FromIterator<&'a str> for Names {
    fn from_iter<I: IntoIterator<Item = &'a str>>(names: I) -> Self {
        let mut table = Self::default();
        for name in names {
            table.intern(name);
        }
        table
    }
}

fn hash(name: &str) -> u32 {
    let mut hasher = FxHasher::default();
    hasher.write(name.as_bytes());
    hasher.finish() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many that some of them share all 32 bits of their hash.
    #[test]
    fn a_name_keeps_its_number_while_the_table_grows() {
        let mut names = Names::default();
        assert_eq!(names.find("0"), None);
        for round in 0..2 {
            for number in 0..300_000u32 {
                assert_eq!(names.intern(&number.to_string()), number, "round {round}");
            }
        }
        assert_eq!(names.len(), 300_000);
        assert_eq!((names.get(0), names.get(299_999)), ("0", "299999"));
        assert_eq!((names.find("77"), names.find("300000")), (Some(77), None));
    }

    #[test]
    fn the_empty_name_is_a_name() {
        let names: Names = ["a", "", "b", ""].into_iter().collect();
        assert_eq!(names.iter().collect::<Vec<_>>(), ["a", "", "b"]);
        assert_eq!(names.find(""), Some(1));
    }
}
