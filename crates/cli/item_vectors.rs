//! Vectors that a model is given for its items: from a file of them, or made of what another says.

use std::path::Path;

use anyhow::{Result, anyhow};
use events::{ItemVectors, Names, TripleOptions, Triples, Vectors};

use crate::failure::usage;
use crate::output::count;
use crate::progress::{say, warn};
use crate::settings::DataSettings;

/// Below this share of items with a vector, ids are probably written otherwise than in the log.
const ENOUGH: f64 = 0.5;

/// What was asked for, read.
pub(crate) struct Given<'a> {
    flag: &'static str,
    path: &'a Path,
    vectors: Vectors,
}

/// Refuses two files of vectors.
pub(crate) fn check(data: &DataSettings) -> Result<()> {
    match (&data.item_vectors, &data.item_triples) {
        (Some(_), Some(_)) => Err(usage(
            "--item-vectors and --item-triples: an item has one vector; give one of the two, which \
             may hold the numbers of both",
        )),
        _ => Ok(()),
    }
}

/// Reads the file that the settings name, if they name one.
pub(crate) fn read(data: &DataSettings) -> Result<Option<Given<'_>>> {
    check(data)?;
    let (flag, path, vectors) = match (&data.item_vectors, &data.item_triples) {
        (Some(path), _) => ("--item-vectors", path, Vectors::read(path)?),
        (_, Some(path)) => {
            let vectors = Triples::read(path)?.vectors(&TripleOptions::default())?;
            ("--item-triples", path, vectors)
        }
        _ => return Ok(None),
    };
    Ok(Some(Given { flag, path, vectors }))
}

impl Given<'_> {
    /// The vectors of the items of a vocabulary; says how many have one.
    pub(crate) fn of_items(&self, names: &Names, quiet: bool) -> Result<ItemVectors> {
        let of = format!("{} {}", self.flag, self.path.display());
        let given = self.vectors.of_items(names);
        let (known, all) = (given.known, names.len());
        let found = self.vectors.len() - given.others;
        if known == 0 && found > 0 {
            return Err(anyhow!(
                "{of}: all numbers of the {} items that training sees are zeros, which say nothing; \
                 give vectors that tell items apart",
                count(found)
            ));
        }
        if known == 0 {
            let first = |names: &Names| names.iter().next().unwrap_or_default().to_owned();
            return Err(anyhow!(
                "{of}: says nothing of any of the {} items that training sees (the first id there is \
                 {:?}, in the log {:?}); write ids as the log does",
                count(all),
                first(self.vectors.ids()),
                first(names)
            ));
        }
        let text = format!(
            "{of}: vectors of {} numbers for {} of {} items; {} have zeros, {} of the file are of \
             none of them",
            given.width,
            count(known),
            count(all),
            count(all - known),
            count(given.others)
        );
        if (known as f64) < ENOUGH * all as f64 {
            warn(&format!("{text}; are its ids written as in the log?"));
        } else if !quiet {
            say(&format!("  {text}"));
        }
        Ok(given)
    }
}
