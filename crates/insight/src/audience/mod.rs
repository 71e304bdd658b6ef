//! The page of an audience: `tidegate audience`.
//!
//! [`page`] lays out the sections; `list` has whom to contact and where to stop, `trial` what a campaign has
//! changed and how far to trust that. [`picture`] is the curve alone.

mod list;
#[cfg(test)]
mod tests;
mod trial;

use crate::chart::{Curves, FULL, curves};
use crate::page::Page;

/// Whom to contact, and why.
#[derive(Debug, Clone)]
pub struct Audience {
    /// What the log is called.
    pub log: String,
    /// Whether rows are sessions, in a log without users.
    pub of_sessions: bool,
    /// The moment.
    pub at: String,
    /// The horizon in seconds.
    pub horizon_s: f64,
    /// What a score is: `probability of a purchase`.
    pub score: &'static str,
    /// What the sum of scores is: `buyers`.
    pub sum: &'static str,
    /// Whether a score is a share, written in per cent.
    pub share: bool,
    /// Whether what the model says is a share.
    pub said_share: bool,
    /// Whether a score is what a contact adds, and not what is expected anyway.
    pub added: bool,
    /// Whether gains are money.
    pub money: bool,
    /// What a contact costs, and what it brings for a score of 1, where gains are money.
    pub terms: Vec<(String, f64)>,
    /// Why the list ends where it does, in a sentence.
    pub end: String,
    /// Everybody.
    pub all: Step,
    /// Those who are contacted.
    pub cut: Step,
    /// How much higher the mean score of these is.
    pub lift: Option<f64>,
    /// The score from which on a contact pays, and how many it pays to contact.
    pub break_even: Option<(f64, usize)>,
    /// Sums along the ranking, from nobody to everybody.
    pub curve: Vec<Step>,
    /// A few places of it, for a table.
    pub places: Vec<Step>,
    /// The first of the list.
    pub first: Vec<Listed>,
    /// What was learned from a trial.
    pub trial: Option<Trial>,
    /// What should make one careful.
    pub warnings: Vec<String>,
}

/// After so many of a ranking.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// How many.
    pub users: usize,
    /// The score of the last.
    pub score: f64,
    /// Sum of scores.
    pub sum: f64,
    /// Sum of gains.
    pub gain: f64,
}

/// A user on the list.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// The user's id.
    pub name: String,
    /// The score.
    pub score: f64,
    /// What the model expects of the user anyway.
    pub said: f64,
    /// What a contact is expected to bring.
    pub gain: f64,
}

/// A figure with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// The figure.
    pub estimate: f64,
    /// The interval.
    pub low: f64,
    /// See `low`.
    pub high: f64,
}

/// What a trial has shown.
#[derive(Debug, Clone, Default)]
pub struct Trial {
    /// The column that says who was treated.
    pub column: String,
    /// The outcome, as a verb: `buy`, `bought`.
    pub outcome: [&'static str; 2],
    /// Users and outcomes: of the treated, of the others.
    pub arms: [[usize; 2]; 2],
    /// The average effect.
    pub effect: Option<Range>,
    /// The Qini coefficient of the ranking, of that by what is expected anyway, and of how far the first
    /// lies above the other.
    pub coefficients: [Option<Range>; 3],
    /// Places on the curve: share of users, gain, gain of the other ranking.
    pub curve: Vec<(f64, Option<Range>, f64)>,
    /// Tenths by rank.
    pub tenths: Vec<Tenth>,
    /// What was known before: name, mean of the treated, of the others, standardised difference, whether that
    /// is too much.
    pub balance: Vec<(String, f64, f64, f64, bool)>,
    /// How the two models came about: parts of the users, components of the last state and of the mean state,
    /// their shares of the variance, penalty, resamples.
    pub method: (u32, usize, [f64; 2], f64, u32),
}

/// A tenth of the users by rank.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tenth {
    /// Treated users and others.
    pub users: [u64; 2],
    /// Their shares of outcomes.
    pub shares: [f64; 2],
    /// Mean score.
    pub expected: f64,
    /// Difference of the shares.
    pub found: Option<Range>,
}

impl Audience {
    /// `user` or `session`.
    fn who(&self) -> &'static str {
        if self.of_sessions { "session" } else { "user" }
    }

    /// The picture of the whole: the Qini curve of a trial, or else the curve of gains.
    fn main_curve(&self) -> Curves {
        match &self.trial {
            Some(trial) => trial::qini(self, trial),
            None => list::captured(self),
        }
    }
}

/// The page as one HTML file.
pub fn page(audience: &Audience) -> String {
    let mut page = Page::new(&audience.log, "Tidegate · whom to contact");
    page.push(list::head(audience));
    if let Some(trial) = &audience.trial {
        page.push(trial::changed(audience, trial));
        page.push(trial::tenths(trial));
    }
    page.push(list::how_far(audience));
    page.push(list::first(audience));
    if let Some(trial) = &audience.trial {
        page.push(trial::alike(trial));
    }
    page.push(list::made(audience));
    page.render()
}

/// What the list is worth by the trial itself: how many more have the outcome, had all on it been treated.
pub fn found(audience: &Audience) -> Option<Range> {
    trial::at_the_cut(audience, audience.trial.as_ref()?)
}

/// The curve as one SVG file, in the colours of the page.
pub fn picture(audience: &Audience) -> String {
    let name = if audience.trial.is_some() { "Qini curve" } else { "Gain curve" };
    curves(&audience.main_curve(), FULL).file(name)
}
