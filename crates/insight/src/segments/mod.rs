//! The page of segments: `tidegate segment`.
//!
//! [`page`] lays out the sections; `overview` writes what all segments have beside each other, `each` one after the
//! other, `method` how they came about and how far to trust them. [`map_file`] is the map alone.

mod each;
mod method;
mod overview;
#[cfg(test)]
mod tests;

use events::{Portrait, Portraits};

use crate::chart::{Dot, FULL, scatter};
use crate::page::Page;

/// Segments of users, and how they were found.
#[derive(Debug, Clone)]
pub struct Segments<'a> {
    /// What the log is called.
    pub log: &'a str,
    /// Whether they are of users, and not of sessions in a log without users.
    pub of_users: bool,
    /// What they are like.
    pub portraits: &'a Portraits,
    /// What they are called.
    pub names: &'a [String],
    /// Of each segment the users in its middle.
    pub typical: &'a [Vec<Typical>],
    /// Where some users stand on the map.
    pub map: &'a [Dot],
    /// How they were found.
    pub found: &'a Found,
}

/// A user in the middle of a segment.
#[derive(Debug, Clone)]
pub struct Typical {
    /// The user's id.
    pub name: String,
    /// What the user did.
    pub portrait: Portrait,
}

/// How segments were found.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// `kmeans`, `mixture` or `density`.
    pub method: String,
    /// Whether somebody has said how many there are to be.
    pub asked: bool,
    /// What was tried.
    pub tried: Vec<Tried>,
    /// How far random halves have to agree for a number to be taken.
    pub agree: f64,
    /// Mean silhouette of what was taken; not a number where there are fewer than two segments.
    pub silhouette: f64,
    /// Adjusted Rand index between fits from other seeds, pair by pair.
    pub agreement: Vec<f64>,
    /// Users in all, and how many of them silhouettes and map are made of.
    pub users: usize,
    /// See `users`.
    pub sample: usize,
    /// Users in no segment.
    pub nowhere: u64,
    /// Numbers that the model makes of a user.
    pub width: usize,
    /// What each direction is worth to which those were reduced.
    pub worth: Vec<f64>,
    /// Whether these are the steady directions, and not the principal components.
    pub steady: bool,
    /// Users that are left out since the model knows no item of theirs.
    pub unknown: usize,
}

/// A number of segments that was tried.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tried {
    /// How many.
    pub clusters: usize,
    /// Mean silhouette.
    pub silhouette: f64,
    /// How far random halves agree.
    pub stability: f64,
    /// Share of the scatter that is left within segments.
    pub within: f64,
    /// Bayes' information criterion, of mixtures.
    pub bic: Option<f64>,
}

impl Segments<'_> {
    /// `user` or `session`.
    fn who(&self) -> &'static str {
        if self.of_users { "user" } else { "session" }
    }
}

/// The page as one HTML file.
pub fn page(segments: &Segments<'_>) -> String {
    let mut page = Page::new(segments.log, "Tidegate · which kinds of users there are");
    page.push(overview::head(segments));
    page.push(overview::table(segments));
    page.push(overview::map(segments));
    page.push(each::section(segments));
    page.push(method::number(segments));
    page.push(method::trust(segments));
    page.push(method::made(segments));
    page.render()
}

/// The map as one SVG file, in the colours of the page.
pub fn map_file(segments: &Segments<'_>) -> String {
    scatter(segments.map, segments.names.len(), FULL).file("Map of the segments")
}
