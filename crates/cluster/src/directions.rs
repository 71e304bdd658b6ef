//! From many numbers a row to few: the directions in which rows differ most, or most steadily.
//!
//! A row is a user, seen several times. What differs between two rows may be the users or only the day: so beside
//! the variance of everything there is that *within* users, and directions can be looked for in which users differ
//! more than one of them from day to day.

use crate::Points;
use crate::eigen::{cholesky, solve_lower, solve_upper, symmetric};

/// Directions that [`Directions::steady`] looks among.
const LARGEST: usize = 32;

/// Sums over rows that pass by, each a mean of one or more sightings.
#[derive(Debug, Clone)]
pub struct Moments {
    width: usize,
    rows: u64,
    sightings: u64,
    /// Σ over sightings.
    sum: Vec<f64>,
    /// Σ v vᵀ over sightings, upper triangle.
    all: Vec<f64>,
    /// Σ n m mᵀ over rows, n the sightings of a row and m their mean, upper triangle.
    means: Vec<f64>,
}

impl Moments {
    /// Nothing yet, of rows of a width.
    pub fn new(width: usize) -> Self {
        let (sum, all, means) =
            (vec![0.0; width], vec![0.0; width * width], vec![0.0; width * width]);
        Self { width, rows: 0, sightings: 0, sum, all, means }
    }

    /// Adds a row by what it is the mean of: sightings one after the other.
    ///
    /// # Panics
    ///
    /// Where they do not have the width.
    pub fn add(&mut self, sightings: &[f32]) {
        assert!(sightings.len().is_multiple_of(self.width), "whole rows");
        let n = sightings.len() / self.width;
        if n == 0 {
            return;
        }
        let mut mean = vec![0.0; self.width];
        let mut one = vec![0.0; self.width];
        for sighting in sightings.chunks_exact(self.width) {
            one.iter_mut().zip(sighting).for_each(|(x, &v)| *x = f64::from(v));
            mean.iter_mut().zip(&one).for_each(|(m, x)| *m += x);
            outer(&mut self.all, 1.0, &one);
        }
        self.sum.iter_mut().zip(&mean).for_each(|(sum, x)| *sum += x);
        mean.iter_mut().for_each(|m| *m /= n as f64);
        outer(&mut self.means, n as f64, &mean);
        self.rows += 1;
        self.sightings += n as u64;
    }

    /// Mean of all sightings.
    fn mean(&self) -> Vec<f64> {
        self.sum.iter().map(|sum| sum / self.sightings.max(1) as f64).collect()
    }

    /// Variance of the sightings about their mean, `[D, D]`.
    fn total(&self) -> Vec<f64> {
        let (mean, n) = (self.mean(), self.sightings.max(1) as f64);
        self.full(|i, j, at| self.all[at] / n - mean[i] * mean[j])
    }

    /// Variance of the sightings of a row about the row's own mean, `[D, D]`.
    fn within(&self) -> Vec<f64> {
        let free = self.sightings.saturating_sub(self.rows).max(1) as f64;
        self.full(|_, _, at| (self.all[at] - self.means[at]) / free)
    }

    /// Sightings beyond the first of a row: what the variance within rows is known from.
    pub fn repeats(&self) -> u64 {
        self.sightings - self.rows
    }

    fn full(&self, entry: impl Fn(usize, usize, usize) -> f64) -> Vec<f64> {
        let d = self.width;
        let mut matrix = vec![0.0; d * d];
        for i in 0..d {
            for j in i..d {
                let value = entry(i, j, i * d + j);
                (matrix[i * d + j], matrix[j * d + i]) = (value, value);
            }
        }
        matrix
    }
}

/// Adds `weight · v vᵀ` to the upper triangle of a matrix.
fn outer(into: &mut [f64], weight: f64, v: &[f64]) {
    let d = v.len();
    for i in 0..d {
        let x = weight * v[i];
        let row = &mut into[i * d + i..(i + 1) * d];
        row.iter_mut().zip(&v[i..]).for_each(|(sum, y)| *sum += x * y);
    }
}

/// A few directions that rows are reduced to.
#[derive(Debug, Clone, PartialEq)]
pub struct Directions {
    mean: Vec<f64>,
    axes: Vec<Vec<f64>>,
    /// What each direction is worth: its share of all variance, or how steady it is; falling.
    pub worth: Vec<f64>,
}

impl Directions {
    /// Principal components: the `most` directions in which rows differ most.
    ///
    /// ```text
    ///     C = mean of (v − μ)(v − μ)ᵀ      C w_k = λ_k w_k       worth_k = λ_k / Σ λ
    ///     z_k = w_k · (v − μ)
    /// ```
    pub fn principal(moments: &Moments, most: usize) -> Self {
        let (values, mut axes) = symmetric(moments.total(), moments.width);
        let all: f64 = values.iter().filter(|&&v| v > 0.0).sum();
        let worth: Vec<f64> =
            values.iter().map(|v| if all > 0.0 { v.max(0.0) / all } else { 0.0 }).collect();
        axes.truncate(most);
        let worth = worth[..axes.len()].to_vec();
        Self { mean: moments.mean(), axes, worth }
    }

    /// Steady directions: those in which rows differ more than the sightings of one, scaled so that a sighting
    /// strays by 1 about its row. Looked for among the 32 largest principal components. None where hardly any row
    /// was seen twice.
    ///
    /// ```text
    ///     W within, C − W between rows       (C − W) w = λ W w       w · W w = 1
    ///     worth = λ / (1 + λ)                the share of a sighting's variance that is the row's own
    /// ```
    ///
    /// # Source
    ///
    /// R. Fisher's discriminant with the rows themselves as classes: T. Anderson, "An introduction to multivariate
    /// statistical analysis", chapter on components of variance.
    pub fn steady(moments: &Moments, most: usize) -> Option<Self> {
        let first = Self::principal(moments, LARGEST.min(moments.width));
        let d = first.axes.len();
        // A variance of d directions wants many times d differences.
        if moments.repeats() < 10 * d as u64 {
            return None;
        }
        let project = |full: &[f64]| {
            let mut small = vec![0.0; d * d];
            for (j, axis) in first.axes.iter().enumerate() {
                let image: Vec<f64> = full
                    .chunks_exact(moments.width)
                    .map(|row| row.iter().zip(axis).map(|(a, b)| a * b).sum())
                    .collect();
                for (i, other) in first.axes.iter().enumerate() {
                    small[i * d + j] = other.iter().zip(&image).map(|(a, b)| a * b).sum();
                }
            }
            small
        };
        let (total, mut within) = (project(&moments.total()), project(&moments.within()));
        let between: Vec<f64> = total.iter().zip(&within).map(|(t, w)| t - w).collect();
        let trace: f64 = (0..d).map(|i| within[i * d + i]).sum();
        (0..d).for_each(|i| within[i * d + i] += 1e-6 * trace / d as f64);
        let l = cholesky(&within, d)?;
        // L⁻¹ B L⁻ᵀ, whose eigenvectors u give w = L⁻ᵀ u.
        let mut half = between;
        for row in half.chunks_exact_mut(d) {
            solve_lower(&l, d, row);
        }
        let mut turned: Vec<f64> = (0..d * d).map(|at| half[at % d * d + at / d]).collect();
        for row in turned.chunks_exact_mut(d) {
            solve_lower(&l, d, row);
        }
        for i in 0..d {
            for j in 0..i {
                let mean = (turned[i * d + j] + turned[j * d + i]) / 2.0;
                (turned[i * d + j], turned[j * d + i]) = (mean, mean);
            }
        }
        let (values, vectors) = symmetric(turned, d);
        let axes = vectors.into_iter().take(most).map(|mut u| {
            solve_upper(&l, d, &mut u);
            let mut axis = vec![0.0; moments.width];
            for (weight, part) in u.iter().zip(&first.axes) {
                axis.iter_mut().zip(part).for_each(|(sum, x)| *sum += weight * x);
            }
            axis
        });
        let axes: Vec<_> = axes.collect();
        let worth =
            values.iter().take(axes.len()).map(|&v| v.max(0.0) / (1.0 + v.max(0.0))).collect();
        Some(Self { mean: first.mean, axes, worth })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.axes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.axes.is_empty()
    }

    /// Keeps the first ones.
    pub fn truncate(&mut self, count: usize) {
        self.axes.truncate(count);
        self.worth.truncate(count);
    }

    /// A row in these directions.
    pub fn project<'a>(&'a self, row: &'a [f32]) -> impl Iterator<Item = f64> + 'a {
        self.axes.iter().map(move |axis| {
            let centred = row.iter().zip(&self.mean).map(|(&x, mean)| f64::from(x) - mean);
            centred.zip(axis).map(|(x, a)| x * a).sum()
        })
    }

    /// Rows in these directions, row after row of `width` numbers.
    pub fn project_all(&self, rows: &[f32], width: usize) -> Points {
        let mut points = Points::new(self.len());
        rows.chunks_exact(width).for_each(|row| points.push(self.project(row)));
        points
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Users differ along the first axis, days along the second, and days differ more.
    fn sightings() -> Vec<[[f32; 2]; 2]> {
        (0..80u32)
            .map(|user| {
                let own = 7.0 + (user % 5) as f32 - 2.0;
                let day = 4.0 * ((user * 7 % 11) as f32 - 5.0);
                [[own, 7.0 + day], [own, 7.0 - day]]
            })
            .collect()
    }

    fn moments() -> Moments {
        let mut moments = Moments::new(2);
        sightings().iter().for_each(|pair| moments.add(pair.as_flattened()));
        moments
    }

    #[test]
    fn principal_components_follow_the_variance() {
        let found = Directions::principal(&moments(), 1);
        assert!(found.worth[0] > 0.98, "{:?}", found.worth);
        let z: Vec<f64> = found.project(&[7.0, 10.0]).collect();
        assert!((z[0] - 3.0).abs() < 1e-6, "{z:?}");
    }

    #[test]
    fn steady_directions_follow_the_users() {
        let found = Directions::steady(&moments(), 2).unwrap();
        assert!(found.worth[0] > 0.99 && found.worth[1] < 1e-6, "{:?}", found.worth);
        let at = |row: [f32; 2]| found.project(&row).next().unwrap();
        assert!(
            (at([1.0, 0.0]) - at([0.0, 0.0])).abs()
                > 100.0 * (at([0.0, 1.0]) - at([0.0, 0.0])).abs()
        );
        // Nobody was seen twice.
        let mut once = Moments::new(2);
        sightings().iter().for_each(|pair| once.add(&pair[0]));
        assert!(Directions::steady(&once, 2).is_none());
    }

    #[test]
    fn a_sighting_strays_by_one_along_a_steady_direction() {
        let mut moments = Moments::new(1);
        for user in 0..400u32 {
            let own = (user % 7) as f32;
            let days = [3.0, -3.0].map(|day| own + day);
            moments.add(&days);
        }
        let found = Directions::steady(&moments, 1).unwrap();
        let step = found.project(&[1.0]).next().unwrap() - found.project(&[0.0]).next().unwrap();
        // Two sightings at ±3: variance 18 with one degree of freedom.
        assert!((step - 1.0 / 18f64.sqrt()).abs() < 1e-6, "{step}");
    }
}
