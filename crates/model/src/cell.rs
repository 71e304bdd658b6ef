//! What a recurrent layer is called: on the command line, in files, in messages.

use std::fmt;
use std::str::FromStr;

use layout::Cell;
use serde::{Deserialize, Serialize};

/// A cell, with or without a projection of its hidden state: `gru`, `lstm+peephole+projection`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CellKind {
    /// Which equations.
    pub cell: Cell,
    /// Whether the hidden state is projected to another width.
    pub projection: bool,
}

/// The name of each cell.
const NAMES: [(Cell, &str); 6] = [
    (Cell::Lstm, "lstm"),
    (Cell::Gru, "gru"),
    (Cell::Rnn, "rnn"),
    (Cell::Peephole, "lstm+peephole"),
    (Cell::LayerNorm, "lstm+layernorm"),
    (Cell::Coupled, "lstm+coupled"),
];

/// What follows the name where the hidden state is projected.
const PROJECTION: &str = "+projection";

/// A name that is no cell's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no cell; there are lstm, gru, rnn, lstm+peephole, lstm+layernorm, lstm+coupled, and \
     +projection after any with lstm in it"
)]
pub struct UnknownCell(String);

impl CellKind {
    /// What PyTorch calls the module that such a layer is one of: the beginning of its tensors' names.
    pub fn family(self) -> &'static str {
        match self.cell {
            Cell::Gru => "gru",
            Cell::Rnn => "rnn",
            Cell::Lstm | Cell::Peephole | Cell::LayerNorm | Cell::Coupled => "lstm",
        }
    }
}

impl FromStr for CellKind {
    type Err = UnknownCell;

    fn from_str(text: &str) -> Result<Self, UnknownCell> {
        let unknown = || UnknownCell(text.to_owned());
        let (name, projection) = match text.strip_suffix(PROJECTION) {
            Some(name) => (name, true),
            None => (text, false),
        };
        let found = NAMES.iter().find(|(_, known)| *known == name);
        let &(cell, _) = found.ok_or_else(unknown)?;
        if projection && !cell.has_cell_state() {
            return Err(unknown());
        }
        Ok(Self { cell, projection })
    }
}

impl fmt::Display for CellKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(cell, _)| *cell == self.cell).map_or("", |(_, name)| name);
        f.write_str(name)?;
        f.write_str(if self.projection { PROJECTION } else { "" })
    }
}

impl TryFrom<String> for CellKind {
    type Error = UnknownCell;

    fn try_from(text: String) -> Result<Self, UnknownCell> {
        text.parse()
    }
}

impl From<CellKind> for String {
    fn from(kind: CellKind) -> Self {
        kind.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_has_a_name_that_is_read_back() {
        for cell in Cell::ALL {
            for projection in [false, true] {
                let kind = CellKind { cell, projection };
                let read = kind.to_string().parse::<CellKind>();
                match projection && !cell.has_cell_state() {
                    true => assert!(read.is_err(), "{kind}"),
                    false => assert_eq!(read, Ok(kind)),
                }
            }
        }
        let error = "lstm+".parse::<CellKind>().unwrap_err().to_string();
        assert!(error.contains("\"lstm+\"") && error.contains("lstm+coupled"), "{error}");
    }
}
