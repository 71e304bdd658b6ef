//! Vectors, whatever they are of: reduced to few directions, grouped, and laid out on a map. This crate knows
//! neither logs nor models.
//!
//! ```text
//!     rows ─→ Moments ─→ Directions ─→ Points ─┬─→ k-means, mixture, density ─→ labels ─→ silhouette, agreement
//!                                              └─→ t-SNE of a sample ─→ places of all
//! ```
//!
//! 1. [`Points`] is a table of numbers, [`Moments`] what is added up of rows that pass by, [`Directions`] what they
//!    are reduced to.
//! 2. [`kmeans()`], [`mixture()`] and [`density()`] group; [`silhouette()`] judges groups, and how far two groupings
//!    agree is `statistics::partition`'s to say.
//! 3. [`Grouping::find`] puts these together: how many groups there are, how sure that is.
//! 4. [`map()`] lays points out on a sheet.
//!
//! Random numbers have addresses and sums have one order: the same points and seed give the same bits for any
//! number of threads.

#![forbid(unsafe_code)]

mod density;
mod directions;
mod eigen;
mod grouping;
mod kmeans;
mod mixture;
mod points;
mod sample;
mod silhouette;
mod tsne;

pub use density::density;
pub use directions::{Directions, Moments};
pub use grouping::{AGREE, Candidate, Grouping, Method, Options};
pub use kmeans::{KMeans, kmeans};
pub use mixture::{Mixture, mixture};
pub use points::Points;
pub use sample::sample;
pub use silhouette::{Distances, silhouette};
pub use tsne::{Map, map};

/// The label of a point that belongs to no group.
pub const NOISE: u32 = u32::MAX;

/// What the random numbers of this crate are for, by the name of their stream.
mod streams {
    pub(crate) const SAMPLE: u32 = 1;
    pub(crate) const CENTRES: u32 = 2;
    pub(crate) const HALVES: u32 = 3;
    pub(crate) const FITS: u32 = 4;
}
