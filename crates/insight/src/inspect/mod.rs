//! The page of a log: `tidegate inspect --report`.
//!
//! [`page`] lays out the sections; `head`, `advice`, `people` and `items` write them. Each section says what the
//! figures show before it shows them, and says in a line what a log lacks.

mod advice;
mod head;
mod items;
mod people;
#[cfg(test)]
mod tests;

use events::{Report, Summary};

use crate::page::Page;

/// How a log was read, so that advice can be typed as it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Call {
    /// The files, as they were given.
    pub logs: Vec<String>,
    /// Flags and their values.
    pub flags: Vec<(&'static str, String)>,
}

/// The page of a log as one HTML file.
pub fn page(summary: &Summary, report: &Report, call: &Call) -> String {
    let name = |path: &String| path.rsplit(['/', '\\']).next().unwrap_or(path).to_owned();
    let title = match &summary.files[..] {
        [] => call.logs.first().map_or("A log".to_owned(), name),
        [file] => name(file),
        files => format!("{} and {} more", name(&files[0]), files.len() - 1),
    };
    let mut page = Page::new(title, "Tidegate · what is in this log");
    page.push(head::head(summary, report));
    page.push(advice::section(report, call));
    page.push(people::time(report));
    page.push(people::sessions(report));
    page.push(items::popularity(summary, report));
    page.push(items::repeats(summary, report));
    page.push(people::kinds(report));
    page.push(items::missing(summary, report));
    page.push(people::suspicious(report));
    page.push(head::reading(summary));
    page.render()
}
