//! `recommend --all`: the file of all users.

use std::io::Write;
use std::path::Path;

use anyhow::Result;
use serde_json::json;
use train::recommend::Recommendation;

use crate::evaluate::quoted;
use crate::failure::usage;
use crate::target::Target;

/// How a file of recommendations is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    Csv,
    Jsonl,
}

impl Layout {
    pub(super) fn of(path: &Path) -> Result<Self> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("csv") => Ok(Self::Csv),
            Some("jsonl" | "ndjson") => Ok(Self::Jsonl),
            _ => Err(usage(format!(
                "--out {}: how is it to be written? Let its name end in .csv or .jsonl",
                path.display()
            ))),
        }
    }
}

/// A file of recommendations that is being written, a user at a time.
pub(super) struct File {
    layout: Layout,
    target: Target,
    key: &'static str,
    k: usize,
}

impl File {
    /// Begins with a heading where there is one. `key` is what a row is of.
    pub(super) fn begin(
        layout: Layout,
        mut target: Target,
        key: &'static str,
        k: usize,
    ) -> Result<Self> {
        if layout == Layout::Csv {
            let mut head = key.to_owned();
            (1..=k).for_each(|place| head += &format!(",item_{place},score_{place}"));
            writeln!(target, "{head}").map_err(|error| target.refuse(&error))?;
        }
        Ok(Self { layout, target, key, k })
    }

    /// Adds a user. Where there are fewer items than asked for, the last cells of a row are empty.
    pub(super) fn push<'a>(
        &mut self,
        user: &str,
        items: &[Recommendation],
        name: impl Fn(u32) -> &'a str,
    ) -> Result<()> {
        let line = match self.layout {
            Layout::Csv => {
                let mut line = quoted(user);
                for item in items {
                    line += &format!(",{},{}", quoted(name(item.item)), item.score);
                }
                line + &",,".repeat(self.k.saturating_sub(items.len()))
            }
            Layout::Jsonl => {
                let items: Vec<_> = items
                    .iter()
                    .map(|r| json!({ "item": name(r.item), "score": r.score }))
                    .collect();
                json!({ self.key: user, "items": items }).to_string()
            }
        };
        writeln!(self.target, "{line}").map_err(|error| self.target.refuse(&error))
    }

    pub(super) fn finish(self) -> Result<()> {
        self.target.finish()
    }
}
