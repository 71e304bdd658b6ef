//! Pages that people read: one HTML file each, with nothing beside it.
//!
//! ```text
//!     figures of another crate ─→ inspect, explain ─→ chart ─→ Html ─→ Page ─→ one file
//! ```
//!
//! 1. [`html`] holds text that is safe to stand in a page. Nothing else becomes one.
//! 2. [`page`] is the shell: head, style, sections, tables, notes.
//! 3. [`chart`] draws: bars, lines, heat maps, funnels. Each is drawn twice, wide and narrow, and the
//!    style shows the one that fits.
//! 4. [`number`] writes numbers as people read them.
//! 5. [`inspect`] is the page of a log, [`training`] that of a run, [`segments`] that of kinds of users,
//!    [`explain`] that of an answer about a user, [`audience`] that of whom to contact.
//!
//! A page loads nothing, runs nothing, and is the same bytes for the same figures.

#![forbid(unsafe_code)]

pub mod audience;
pub mod chart;
pub mod explain;
pub mod html;
pub mod inspect;
pub mod number;
pub mod page;
pub mod segments;
pub mod training;
