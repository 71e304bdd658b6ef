//! Widths, layers and embedding: what a file says, what flags say, and what follows from them.
//!
//! `layers` follows `widths`, and `embedding` follows `hidden` or the last of `widths`, where nobody says
//! them. What a file says stays unless a flag says otherwise.

use anyhow::Result;
use model::ModelConfig;

use crate::args::Train;
use crate::failure::usage;

/// Which of these keys stand in `[model]` of a settings file. Defaults are filled in when it is read, so the
/// settings themselves do not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Said {
    hidden: bool,
    layers: bool,
    embedding: bool,
}

impl Said {
    /// What a file says.
    pub(crate) fn of(file: &toml::Table) -> Self {
        let says = |key| file.get("model").and_then(|model| model.get(key)).is_some();
        Self { hidden: says("hidden"), layers: says("layers"), embedding: says("embedding") }
    }

    /// Fills in what follows from the file's widths.
    pub(crate) fn fill(self, model: &mut ModelConfig) {
        if !model.widths.is_empty() && !self.layers {
            model.layers = model.widths.len();
        }
        if (self.hidden || !model.widths.is_empty()) && !self.embedding {
            model.embedding = model.widths.last().copied().unwrap_or(model.hidden);
        }
    }

    /// Lays the flags over the file. One width is that of each layer, however many the file has.
    ///
    /// # Errors
    ///
    /// Where there are several widths, and another number of layers is said.
    pub(crate) fn overlay(self, flags: &Train, model: &mut ModelConfig) -> Result<()> {
        let widths: Vec<usize> = flags.hidden.iter().map(|&hidden| hidden as usize).collect();
        match widths[..] {
            [] => {}
            [hidden] => {
                model.hidden = hidden;
                model.widths.clear();
            }
            _ => {
                model.widths.clone_from(&widths);
                if !self.layers {
                    model.layers = widths.len();
                }
            }
        }
        if let Some(&last) = widths.last().filter(|_| !self.embedding) {
            model.embedding = last;
        }
        let number = |flag: Option<u32>, key: usize| flag.map_or(key, |flag| flag as usize);
        model.embedding = number(flags.embedding, model.embedding);
        model.layers = number(flags.layers, model.layers);
        let (layers, count) = (model.layers, widths.len());
        if count < 2 || layers == count {
            return Ok(());
        }
        let said: Vec<_> = widths.iter().map(usize::to_string).collect();
        let said = format!("--hidden {}", said.join(","));
        Err(usage(match flags.layers {
            Some(_) => format!(
                "{said} and --layers {layers}: there are {count} widths; leave --layers out, or name \
                 a width for each of {layers} layers"
            ),
            None => format!(
                "{said}: the settings file says layers = {layers}; add --layers {count}, or name a \
                 width for each of {layers} layers"
            ),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Verb};
    use clap::Parser;

    /// Embedding, layers, hidden and widths of a file with flags over it.
    fn laid(file: &str, flags: &str) -> Result<(usize, usize, usize, Vec<usize>), String> {
        let words = ["tidegate", "train"].into_iter().chain(flags.split_whitespace());
        let Verb::Train(flags) = Cli::try_parse_from(words).unwrap().verb else { unreachable!() };
        let table: toml::Table = toml::from_str(&format!("[model]\n{file}")).unwrap();
        let mut model: ModelConfig = table["model"].clone().try_into().unwrap();
        let said = Said::of(&table);
        said.fill(&mut model);
        said.overlay(&flags, &mut model).map_err(|error| {
            assert_eq!(crate::failure::exit_code(&error), 2);
            error.to_string()
        })?;
        Ok((model.embedding, model.layers, model.hidden, model.widths))
    }

    #[test]
    fn what_is_not_said_follows() {
        for (file, flags, expected) in [
            ("", "--hidden 7", (7, 1, 7, vec![])),
            ("hidden = 30", "", (30, 1, 30, vec![])),
            ("hidden = 30", "--hidden 7", (7, 1, 7, vec![])),
            ("", "--hidden 20,10", (10, 2, 100, vec![20, 10])),
            ("widths = [40, 30, 20]", "", (20, 3, 100, vec![40, 30, 20])),
            ("widths = [40, 30, 20]", "--hidden 20,10", (10, 2, 100, vec![20, 10])),
            ("widths = [40, 30, 20]", "--hidden 7", (7, 3, 7, vec![])),
        ] {
            assert_eq!(laid(file, flags).unwrap(), expected, "{file} {flags}");
        }
    }

    #[test]
    fn what_a_file_says_stays_and_flags_overrule_it() {
        for (file, flags, expected) in [
            ("embedding = 64", "--hidden 7", (64, 1, 7, vec![])),
            ("embedding = 64\nlayers = 2", "--hidden 20,10", (64, 2, 100, vec![20, 10])),
            ("embedding = 64\nlayers = 3", "--hidden 7", (64, 3, 7, vec![])),
            ("embedding = 64", "--hidden 7 --embedding 9", (9, 1, 7, vec![])),
            ("layers = 3", "--hidden 20,10 --layers 2", (10, 2, 100, vec![20, 10])),
            ("layers = 3\nembedding = 64", "--layers 2", (64, 2, 100, vec![])),
        ] {
            assert_eq!(laid(file, flags).unwrap(), expected, "{file} {flags}");
        }
    }

    #[test]
    fn as_many_widths_as_layers() {
        let error = laid("", "--hidden 7,8,9 --layers 2").unwrap_err();
        assert!(error.starts_with("--hidden 7,8,9 and --layers 2: "), "{error}");
        let error = laid("layers = 3", "--hidden 20,10").unwrap_err();
        assert!(error.starts_with("--hidden 20,10: "), "{error}");
        assert!(error.contains("layers = 3; add --layers 2"), "{error}");
    }
}
