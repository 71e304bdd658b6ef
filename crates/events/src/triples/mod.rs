//! What is known of items as a graph, `item relation entity` a line, made into a vector an item.
//!
//! Two items are alike when the same can be said of them, and the more so the fewer others it can be
//! said of. That is a table of items by statements (a statement is a relation with an entity), each entry
//! weighed by how surprising it is, and the vectors are the best picture of that table in few numbers:
//!
//! ```text
//!     w(i, s) = max(0, ln( p(i, s) / (p(i) · p′(s)) ))       p′(s) ∝ n_s^¾
//!     W ≈ U Σ Vᵀ                                             the largest singular values
//!     x_i = row i of U √Σ
//! ```
//!
//! p(i, s) is 1/N for each of the N statements made of an item, p(i) and n_s count those of an item and
//! those with a statement. The exponent takes from rare statements some of the weight that chance gives
//! them. Against embeddings that are learned by steps (TransE and its like) this has one answer (but for
//! ties among singular values) and no learning rate, and says what it approximates. What it does not see is two steps away: an item's brand's
//! country counts only where a line says so of the item.
//!
//! # Source
//!
//! Levy, Goldberg and Dagan, "Improving Distributional Similarity with Lessons Learned from Word
//! Embeddings", 2015: positive pointwise mutual information, smoothed, with a truncated decomposition whose
//! singular values are halved in exponent.

mod svd;

use std::path::Path;

use svd::Sparse;

use crate::log::bare;
use crate::read::side_rows;
use crate::{Error, Names, Vectors};

/// Numbers that the decomposition may hold at once: 4 GiB.
const MAX_NUMBERS: u64 = 512 * 1024 * 1024;

/// What is known of items.
#[derive(Debug, Clone, Default)]
pub struct Triples {
    items: Names,
    statements: Names,
    /// Item and statement, each pair once.
    pairs: Vec<(u32, u32)>,
}

/// How vectors are made of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TripleOptions {
    /// Numbers a vector.
    pub width: usize,
    /// Rounds of the power iteration: more bring the smallest kept directions nearer to the best.
    pub rounds: usize,
    /// Where the iteration begins.
    pub seed: u64,
}

impl Default for TripleOptions {
    fn default() -> Self {
        Self { width: 32, rounds: 12, seed: 1 }
    }
}

impl Triples {
    /// Reads lines of item, relation and entity. A first line that calls its first column `item`,
    /// `head` or `subject` is a header; what is said twice counts once.
    ///
    /// # Errors
    ///
    /// [`Error::Side`] where a line has not three fields or one is empty, [`Error::Empty`] where
    /// there is none.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let (mut triples, mut first) = (Self::default(), true);
        side_rows(path, |fields| {
            let header = std::mem::take(&mut first)
                && matches!(bare(fields[0]).as_str(), "item" | "itemid" | "head" | "subject");
            match *fields {
                [item, relation, entity] if fields.iter().all(|field| !field.is_empty()) => {
                    if !header {
                        triples.put(item, relation, entity);
                    }
                    Ok(())
                }
                _ => Err(format!("{} fields, and not item, relation and entity", fields.len())),
            }
        })?;
        if triples.pairs.is_empty() {
            return Err(Error::Empty { path: path.display().to_string() });
        }
        triples.settle();
        Ok(triples)
    }

    /// Triples of item, relation and entity.
    pub fn new<'a>(triples: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>) -> Self {
        let mut all = Self::default();
        for (item, relation, entity) in triples {
            all.put(item, relation, entity);
        }
        all.settle();
        all
    }

    fn put(&mut self, item: &str, relation: &str, entity: &str) {
        // No word of a table holds a line break between two others.
        let statement = self.statements.intern(&format!("{relation}\n{entity}"));
        self.pairs.push((self.items.intern(item), statement));
    }

    fn settle(&mut self) {
        self.pairs.sort_unstable();
        self.pairs.dedup();
    }

    /// How many there are, each counted once.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// The items, numbered by first appearance.
    pub fn items(&self) -> &Names {
        &self.items
    }

    /// A vector for each item, of `width` numbers; directions that the table does not have are 0.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] where the work would not fit into memory, [`Error::Stored`] where there
    /// are no triples or no numbers are asked for.
    pub fn vectors(&self, options: &TripleOptions) -> Result<Vectors, Error> {
        let rows = (self.items.len() + self.statements.len()) as u64;
        let found = rows.saturating_mul(options.width as u64 + svd::SPARE as u64);
        if found > MAX_NUMBERS {
            let what = "vectors from triples";
            return Err(Error::TooLarge { what, found, max: MAX_NUMBERS });
        }
        let scaled = self.surprise().left_scaled(options.width, options.rounds, options.seed);
        let values = scaled.into_iter().map(|value| value as f32).collect();
        Vectors::new(self.items.iter(), options.width, values)
    }

    /// The weights w of the pairs.
    fn surprise(&self) -> Sparse {
        let count = |size: usize, of: fn(&(u32, u32)) -> u32| {
            let mut counts = vec![0u32; size];
            self.pairs.iter().for_each(|pair| counts[of(pair) as usize] += 1);
            counts
        };
        let items = count(self.items.len(), |pair| pair.0);
        let statements = count(self.statements.len(), |pair| pair.1);
        let smooth: Vec<f64> = statements.iter().map(|&n| f64::from(n).powf(0.75)).collect();
        let sum: f64 = smooth.iter().sum();
        let weight = |&(item, statement): &(u32, u32)| {
            let (own, common) = (f64::from(items[item as usize]), smooth[statement as usize]);
            // p(i, s) / p(i) is one by the number of the item's statements.
            let surprise = (sum / (own * common)).ln().max(0.0);
            (item, statement, surprise)
        };
        let entries = self.pairs.iter().map(weight).collect();
        Sparse { rows: self.items.len(), columns: self.statements.len(), entries }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cosine(a: &[f32], b: &[f32]) -> f32 {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt().max(1e-20)
    }

    /// Two brands whose items share nothing but the shop.
    fn shop() -> Triples {
        let mut lines = Vec::new();
        for k in 0..12 {
            let brand = if k < 6 { "acme" } else { "zen" };
            let sort = if k < 6 { ["pan", "pot"][k % 2] } else { ["vase", "bowl"][k % 2] };
            lines.push((format!("i{k}"), "brand", brand.to_owned()));
            lines.push((format!("i{k}"), "sort", sort.to_owned()));
            lines.push((format!("i{k}"), "sold_by", "us".to_owned()));
            lines.push((format!("i{k}"), "number", format!("n{k}")));
        }
        Triples::new(lines.iter().map(|(a, b, c)| (a.as_str(), *b, c.as_str())))
    }

    #[test]
    fn items_of_which_the_same_is_said_are_near() {
        let options = TripleOptions { width: 4, ..TripleOptions::default() };
        let vectors = shop().vectors(&options).unwrap();
        let near = |a: &str, b: &str| cosine(vectors.get(a).unwrap(), vectors.get(b).unwrap());
        assert_eq!((vectors.len(), vectors.width()), (12, 4));
        assert!(near("i0", "i2") > 0.9, "one sort of one brand: {}", near("i0", "i2"));
        assert!(near("i0", "i1") < near("i0", "i2"), "another sort");
        assert!(near("i0", "i7") < 0.2 && near("i1", "i11") < 0.2, "another brand");
    }

    #[test]
    fn weights_are_what_the_equation_says() {
        // Item a says x and y, item b says x: N = 3, n_x = 2, n_y = 1.
        let triples =
            Triples::new([("a", "r", "x"), ("a", "r", "y"), ("b", "r", "x"), ("a", "r", "x")]);
        assert_eq!(triples.len(), 3);
        let sum = 2f64.powf(0.75) + 1.0;
        let w = triples.surprise();
        let expected = [
            (0, 0, (sum / (2.0 * 2f64.powf(0.75))).ln().max(0.0)),
            (0, 1, (sum / 2.0).ln()),
            (1, 0, (sum / 2f64.powf(0.75)).ln()),
        ];
        assert_eq!(w.entries, expected);
        assert_eq!(expected[0].2, 0.0, "what is said of all surprises nobody");
    }

    #[test]
    fn one_seed_gives_one_picture_and_another_nearly_the_same() {
        // Both brands are made alike, so that singular values come in pairs; no pair is cut.
        let options = TripleOptions { width: 4, ..TripleOptions::default() };
        let all = |seed| {
            let vectors = shop().vectors(&TripleOptions { seed, ..options }).unwrap();
            (0..12).map(|k| vectors.get(&format!("i{k}")).unwrap().to_vec()).collect::<Vec<_>>()
        };
        assert_eq!(all(1), all(1));
        let (one, two) = (all(1), all(2));
        for (a, b) in [(0, 2), (0, 1), (3, 9), (7, 11)] {
            let difference = cosine(&one[a], &one[b]) - cosine(&two[a], &two[b]);
            assert!(difference.abs() < 1e-3, "{a} {b}: {difference}");
        }
    }

    fn read(text: &str) -> Result<Triples, Error> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Triples::read(file.path())
    }

    #[test]
    fn lines_are_read_or_refused_with_their_place() {
        for text in
            ["a r x\nb r x\n", "item,relation,entity\na,r,x\nb,r,x\n", "a\tr\tx\nb\tr\tx\nb\tr\tx"]
        {
            let triples = read(text).unwrap();
            assert_eq!((triples.len(), triples.items().len(), triples.is_empty()), (2, 2, false));
        }
        for (text, part) in [
            ("a r x\nb r\n", "line 2: 2 fields"),
            ("a,r,\n", "line 1"),
            ("", "no rows"),
            ("item,relation,entity\n", "no rows"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text:?}: {error}");
        }
    }

    #[test]
    fn sizes_that_cannot_be_are_refused() {
        let wide = TripleOptions { width: usize::MAX / 2, ..TripleOptions::default() };
        assert!(matches!(shop().vectors(&wide), Err(Error::TooLarge { .. })));
        let none = TripleOptions { width: 0, ..wide };
        assert!(shop().vectors(&none).is_err());
        assert!(Triples::default().vectors(&TripleOptions::default()).is_ok_and(|v| v.is_empty()));
        // More directions than the table has: the others are 0.
        let vectors = Triples::new([("a", "r", "x"), ("b", "r", "y")]);
        let vectors = vectors.vectors(&TripleOptions { width: 9, ..TripleOptions::default() });
        let vectors = vectors.unwrap();
        let used = |id: &str| vectors.get(id).unwrap().iter().filter(|&&x| x != 0.0).count();
        assert!((1..=2).contains(&used("a")) && (1..=2).contains(&used("b")));
    }
}
