//! Names of tensors: what those of a file are read as, and what may have been meant by others.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// Beginnings of names in a file, and what stands there instead: `rnn=lstm` reads `rnn.weight_hh_l0` as
/// `lstm.weight_hh_l0`; nothing after the `=` drops the beginning.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Renames(Vec<(String, String)>);

impl FromStr for Renames {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let pair = |part: &str| match part.split_once('=') {
            Some((old, new)) if !old.trim().is_empty() => {
                let trimmed = |name: &str| name.trim().trim_end_matches('.').to_owned();
                Ok((trimmed(old), trimmed(new)))
            }
            _ => Err(format!("{part:?}: say OLD=NEW, such as rnn=lstm,fc=output")),
        };
        let pairs: Vec<(String, String)> = text.split(',').map(pair).collect::<Result<_, _>>()?;
        for (k, (old, new)) in pairs.iter().enumerate() {
            if let Some((_, other)) = pairs[..k].iter().find(|(before, _)| before == old) {
                return Err(format!("{old} is to become {other} and {new}; name it once"));
            }
        }
        Ok(Self(pairs))
    }
}

impl fmt::Display for Renames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs: Vec<_> = self.0.iter().map(|(old, new)| format!("{old}={new}")).collect();
        f.write_str(&pairs.join(","))
    }
}

impl Renames {
    /// The names that ours are compared with, in their order. Each pair is tried once, in order, on what
    /// the pairs before it have made of a name.
    ///
    /// # Errors
    ///
    /// Where a pair fits no name: it, and what there is.
    pub(super) fn apply(&self, names: &[&str]) -> Result<Vec<String>, String> {
        let mut made: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        for (old, new) in &self.0 {
            let mut fits = false;
            for name in &mut made {
                let rest = name.strip_prefix(old.as_str()).and_then(|rest| rest.strip_prefix('.'));
                let Some(rest) = rest else { continue };
                *name = if new.is_empty() { rest.to_owned() } else { format!("{new}.{rest}") };
                fits = true;
            }
            if !fits {
                let there = beginnings(made.iter().map(String::as_str));
                return Err(format!(
                    "--rename {old}={new}: no name begins with {old}. among {there}; leave it out, \
                     or say the beginning as it is"
                ));
            }
        }
        Ok(made)
    }

    /// With further pairs at the end.
    fn and(&self, pairs: impl Iterator<Item = (String, String)>) -> Self {
        Self(self.0.iter().cloned().chain(pairs).collect())
    }
}

/// The tables of items: as wide as somebody has made them.
const TABLES: [&str; 2] = ["embedding.weight", "output.weight"];

/// What tensors without a place may have been meant for: those that are missing and have their last word and
/// their shape, a table of `items` any width. `None` where nothing is alike.
pub(super) fn meant(
    renames: &Renames,
    missing: &[(&str, &[usize])],
    unplaced: &[(&str, &[usize])],
    items: usize,
) -> Option<String> {
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    for &(found, shape) in unplaced {
        let Some((old, word)) = found.rsplit_once('.') else { continue };
        let fits = |&&(name, due): &&(&str, &[usize])| {
            let alike = match TABLES.contains(&name) {
                true => matches!(shape, &[rows, _] if rows == items),
                false => due == shape,
            };
            let free = pairs.iter().all(|&(other, taken)| taken != name && beginning(other) != old);
            alike && free && name.rsplit_once('.').is_some_and(|(_, last)| last == word)
        };
        // Of two tables, the one called an embedding is likely to be it.
        let embeds = old.to_lowercase().contains("emb");
        let unlikely = |&&(name, _): &&(&str, _)| (name == TABLES[0]) != embeds;
        if let Some(&(name, _)) = missing.iter().filter(fits).min_by_key(unlikely) {
            pairs.push((found, name));
        }
    }
    let (first, rest) = pairs.split_first()?;
    let mut text = format!("{} is shaped like {}", first.0, first.1);
    for (found, name) in rest {
        text += &format!(", {found} like {name}");
    }
    let are = if rest.is_empty() { "is" } else { "are" };
    let renamed = |name: &str| beginning(name).to_owned();
    let all = renames.and(pairs.iter().map(|(found, name)| (renamed(found), renamed(name))));
    Some(format!("{text}, which {are} missing: try --rename {all}"))
}

/// A name up to its last dot.
fn beginning(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(beginning, _)| beginning)
}

/// What the names begin with, each once.
pub(super) fn beginnings<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let begun = |name: &str| match beginning(name) {
        "" => name.to_owned(),
        beginning => format!("{beginning}.*"),
    };
    let begun: BTreeSet<String> = names.map(begun).collect();
    if begun.is_empty() { "no tensors at all".to_owned() } else { listed(begun.iter()) }
}

/// Some of the names, and how many there are beside them.
pub(super) fn listed<'a>(names: impl ExactSizeIterator<Item = &'a String>) -> String {
    const SHOWN: usize = 8;
    let more = names.len().saturating_sub(SHOWN);
    let shown: Vec<&str> = names.take(SHOWN).map(String::as_str).collect();
    match more {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pair_is_tried_on_what_those_before_it_made() {
        let renames: Renames = "module=,rnn.=lstm, fc = output".parse().unwrap();
        let made = renames.apply(&["module.rnn.weight_hh_l0", "fc.bias", "fcs.bias"]).unwrap();
        assert_eq!(made, ["lstm.weight_hh_l0", "output.bias", "fcs.bias"]);
        assert_eq!(renames.to_string(), "module=,rnn=lstm,fc=output");
    }

    #[test]
    fn a_pair_that_fits_nothing_and_one_that_comes_twice_are_refused() {
        let renames: Renames = "rnn=lstm,fcc=output".parse().unwrap();
        let error = renames.apply(&["rnn.bias", "fc.a.bias", "scale"]).unwrap_err();
        assert!(error.starts_with("--rename fcc=output: no name begins with fcc."), "{error}");
        assert!(error.contains("among fc.a.*, lstm.*, scale;"), "{error}");
        let error = renames.apply(&[]).unwrap_err();
        assert!(error.contains("no tensors at all"), "{error}");
        let twice = "rnn=lstm,fc=output,rnn=gru".parse::<Renames>().unwrap_err();
        assert_eq!(twice, "rnn is to become lstm and gru; name it once");
        assert!("rnn".parse::<Renames>().is_err() && "=x".parse::<Renames>().is_err());
    }

    #[test]
    fn names_are_guessed_by_shape() {
        let renames: Renames = "rnn=lstm".parse().unwrap();
        let guess = |missing: &[(&str, &[usize])], unplaced: &[(&str, &[usize])]| {
            meant(&renames, missing, unplaced, 9)
        };
        let (embedding, output) = ((TABLES[0], &[9, 4][..]), (TABLES[1], &[9, 4][..]));
        // The width is not looked at: it is that of a configuration that was told by what is there.
        let text = guess(&[output], &[("fc.bias", &[9]), ("fc.weight", &[9, 7])]).unwrap();
        let expected = "fc.weight is shaped like output.weight, which is missing: \
                        try --rename rnn=lstm,fc=output";
        assert_eq!(text, expected);
        let two: [(&str, &[usize]); 2] = [("a.Embed.weight", &[9, 4]), ("z.weight", &[9, 4])];
        for missing in [[embedding, output], [output, embedding]] {
            let text = guess(&missing, &two).unwrap();
            assert!(text.contains(", z.weight like output.weight, which are missing"), "{text}");
            assert!(text.ends_with("rnn=lstm,a.Embed=embedding,z=output"), "{text}");
        }
        let readout = ("readout.weight", &[4, 6][..]);
        let text = guess(&[readout], &[("proj.weight", &[4, 6])]).unwrap();
        assert!(text.ends_with("proj=readout"), "{text}");
        assert_eq!(guess(&[readout], &[("proj.weight", &[6, 4]), ("proj.bias", &[4])]), None);
        assert_eq!(guess(&[output], &[("fc.weight", &[8, 4])]), None);
    }
}
