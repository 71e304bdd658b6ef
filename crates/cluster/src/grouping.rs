//! Groups of points, their number found where nobody says it, and how sure all of it is.

use layout::random::Stream;
use serde::Serialize;
use statistics::partition::adjusted_rand_index;

use crate::points::nearest;
use crate::sample::{draw, sample};
use crate::streams::{FITS, HALVES};
use crate::{Distances, NOISE, Points, density, kmeans, mixture, silhouette};

/// Pairs of halves for a candidate's stability.
const HALVED: u32 = 3;
/// Points of a half at most.
const HALF: usize = 5000;
/// Fits with other seeds for the stability of what is chosen.
const SEEDS: u32 = 5;
/// Halves that agree less have found different things: a candidate is taken only where no other agrees more.
pub const AGREE: f64 = 0.6;

/// How groups are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// About centres.
    #[default]
    Kmeans,
    /// As normal distributions.
    Mixture,
    /// Where points lie dense; some belong nowhere.
    Density,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// How.
    pub method: Method,
    /// How many groups; found where none are asked for. Density finds its own number in any case.
    pub clusters: Option<usize>,
    /// The most groups that are looked for.
    pub most: usize,
    /// Points that silhouettes are made of, and density groups.
    pub sample: usize,
    /// Seed of all that is random.
    pub seed: u64,
}

/// A number of groups and what speaks for it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Candidate {
    /// How many groups.
    pub clusters: usize,
    /// Mean silhouette of the sample.
    pub silhouette: f64,
    /// Mean adjusted Rand index between groups found in one random half and in another.
    pub stability: f64,
    /// Share of the squared distances to the middle that is left within groups.
    pub within: f64,
    /// Bayes' information criterion, of mixtures.
    pub bic: Option<f64>,
}

/// Groups of points.
#[derive(Debug, Clone, PartialEq)]
pub struct Grouping {
    /// The group of each point, [`NOISE`] where it belongs to none.
    pub labels: Vec<u32>,
    /// The middle of each group, the largest first.
    pub centres: Points,
    /// What was tried; empty where density has decided.
    pub candidates: Vec<Candidate>,
    /// Mean silhouette of the sample.
    pub silhouette: f64,
    /// Adjusted Rand index between fits from other seeds, pair by pair; empty for density, which draws nothing.
    pub agreement: Vec<f64>,
    /// How many points silhouettes were made of.
    pub sample: usize,
}

/// A fit that can be asked about other points.
enum Fit {
    Kmeans(kmeans::KMeans),
    Mixture(mixture::Mixture),
}

impl Fit {
    fn new(method: Method, points: &Points, weights: &[f64], k: usize, seed: u64) -> Self {
        match method {
            Method::Mixture => Self::Mixture(mixture(points, weights, k, seed)),
            _ => Self::Kmeans(kmeans(points, weights, k, seed)),
        }
    }

    fn labels(&self) -> &[u32] {
        match self {
            Self::Kmeans(fit) => &fit.labels,
            Self::Mixture(fit) => &fit.labels,
        }
    }

    fn assign(&self, points: &Points) -> Vec<u32> {
        match self {
            Self::Kmeans(fit) => fit.assign(points),
            Self::Mixture(fit) => fit.assign(points),
        }
    }
}

impl Grouping {
    /// Finds groups of points, each of which counts as its weight.
    ///
    /// Where no number is asked for, 2 to `most` are tried, and the one with the largest silhouette is taken among
    /// those that random halves of the points agree on (adjusted Rand index of 0.6 or more), or among all where
    /// they agree on none.
    ///
    /// # Panics
    ///
    /// Where there is not a weight for each point, or there are fewer than two points.
    pub fn find(points: &Points, weights: &[f64], options: &Options) -> Self {
        assert!(points.len() > 1 && weights.len() == points.len(), "points with weights");
        let some = sample(points.len(), options.sample.max(2), options.seed);
        let seen = points.select(&some);
        let seen_weights: Vec<f64> = some.iter().map(|&at| weights[at]).collect();
        let distances = Distances::new(&seen, &seen_weights);
        if options.method == Method::Density {
            return Self::dense(points, weights, &some, &seen, &distances);
        }
        let most = options.most.min(points.len() - 1).max(2);
        let counts = options.clusters.map_or(2..=most, |k| k..=k);
        let method = options.method;
        let mut fits = Vec::new();
        let mut candidates = Vec::new();
        let scatter = kmeans(points, weights, 1, options.seed).inertia;
        for k in counts {
            let fit = Fit::new(method, points, weights, k, options.seed);
            let labels: Vec<u32> = some.iter().map(|&at| fit.labels()[at]).collect();
            candidates.push(Candidate {
                clusters: k,
                silhouette: silhouette(&distances, &labels),
                stability: halves(points, weights, &seen, k, options),
                within: within(points, weights, fit.labels()) / scatter.max(f64::MIN_POSITIVE),
                bic: match &fit {
                    Fit::Mixture(fit) => Some(fit.bic),
                    Fit::Kmeans(_) => None,
                },
            });
            fits.push(fit);
        }
        let chosen = choose(&candidates);
        let k = candidates[chosen].clusters;
        let labels = numbered(fits.swap_remove(chosen).labels());
        let stream = Stream::new(options.seed, FITS, 0);
        let others: Vec<Vec<u32>> = (0..SEEDS)
            .map(|fit| u64::from(stream.word(u64::from(fit))))
            .map(|seed| Fit::new(method, points, weights, k, seed).labels().to_vec())
            .collect();
        let pairs = (0..others.len()).flat_map(|a| (0..a).map(move |b| (a, b)));
        let agreement = pairs.map(|(a, b)| adjusted_rand(&others[a], &others[b])).collect();
        Self {
            centres: middles(points, weights, &labels),
            labels,
            silhouette: candidates[chosen].silhouette,
            candidates,
            agreement,
            sample: some.len(),
        }
    }

    /// Groups of the sample where it lies dense; every other point goes with the nearest of the sample.
    fn dense(
        points: &Points,
        weights: &[f64],
        some: &[usize],
        seen: &Points,
        distances: &Distances,
    ) -> Self {
        let found = density(seen, (some.len() / 50).max(5));
        let labels: Vec<u32> = match some.len() == points.len() {
            true => found.clone(),
            false => points.rows().map(|row| found[nearest(row, seen).0]).collect(),
        };
        Self {
            centres: middles(points, weights, &labels),
            silhouette: silhouette(distances, &found),
            labels,
            candidates: Vec::new(),
            agreement: Vec::new(),
            sample: some.len(),
        }
    }

    /// How many groups there are.
    pub fn clusters(&self) -> usize {
        self.centres.len()
    }

    /// The points nearest to the middle of a group, nearest first.
    pub fn typical(&self, points: &Points, group: u32, count: usize) -> Vec<usize> {
        let centre = self.centres.row(group as usize);
        let far = |at: usize| crate::points::square_distance(points.row(at), centre);
        let inside = (0..points.len()).filter(|&at| self.labels[at] == group);
        let mut all: Vec<(f64, usize)> = inside.map(|at| (far(at), at)).collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        all.into_iter().take(count).map(|(_, at)| at).collect()
    }
}

/// The candidate to take.
fn choose(candidates: &[Candidate]) -> usize {
    let best = |least: f64| {
        let fit = candidates.iter().enumerate().filter(|(_, c)| c.stability >= least);
        // The first of equally good ones has fewer groups.
        fit.fold(None::<usize>, |best, (at, c)| match best {
            Some(b) if candidates[b].silhouette >= c.silhouette || c.silhouette.is_nan() => best,
            _ => Some(at),
        })
    };
    best(AGREE).or_else(|| best(f64::NEG_INFINITY)).unwrap_or(0)
}

/// How far groups that are found in one half of the points are those of another half.
fn halves(points: &Points, weights: &[f64], seen: &Points, k: usize, options: &Options) -> f64 {
    let half = (points.len() / 2).clamp(1, HALF);
    let found = |part: u32| {
        let stream = Stream::new(options.seed, HALVES, part);
        let some = draw(points.len(), half, stream);
        let weights: Vec<f64> = some.iter().map(|&at| weights[at]).collect();
        let seed = u64::from(stream.word(u64::MAX));
        Fit::new(options.method, &points.select(&some), &weights, k, seed).assign(seen)
    };
    let pairs = (0..HALVED).map(|pair| adjusted_rand(&found(2 * pair), &found(2 * pair + 1)));
    pairs.sum::<f64>() / f64::from(HALVED)
}

/// How far two groupings of the same points agree: 0 by chance, 1 wholly.
pub(crate) fn adjusted_rand(a: &[u32], b: &[u32]) -> f64 {
    adjusted_rand_index(a, b).ok().flatten().expect("a label a point in both, and points")
}

/// Numbers groups by falling number of points, without those that have none.
fn numbered(labels: &[u32]) -> Vec<u32> {
    let groups = labels.iter().max().map_or(0, |&g| g as usize + 1);
    let mut sizes = vec![0.0; groups];
    labels.iter().for_each(|&g| sizes[g as usize] += 1.0);
    let mut place = vec![0; groups];
    let order = crate::kmeans::falling(&sizes);
    order.iter().enumerate().for_each(|(at, &g)| place[g] = at as u32);
    labels.iter().map(|&g| place[g as usize]).collect()
}

/// Weighted mean of each group.
fn middles(points: &Points, weights: &[f64], labels: &[u32]) -> Points {
    let d = points.width();
    let groups = labels.iter().filter(|&&g| g != NOISE).max().map_or(0, |&g| g as usize + 1);
    let (mut sums, mut total) = (vec![0.0; groups * d], vec![0.0; groups]);
    for ((row, &g), w) in points.rows().zip(labels).zip(weights).filter(|((_, g), _)| **g != NOISE)
    {
        sums[g as usize * d..][..d].iter_mut().zip(row).for_each(|(sum, x)| *sum += w * x);
        total[g as usize] += w;
    }
    let mut middles = Points::new(d);
    for (sums, total) in sums.chunks_exact(d).zip(total) {
        middles.push(sums.iter().map(|sum| sum / total.max(f64::MIN_POSITIVE)));
    }
    middles
}

/// Σ w d² to the middle of the own group.
fn within(points: &Points, weights: &[f64], labels: &[u32]) -> f64 {
    let middles = middles(points, weights, labels);
    let each = points.rows().zip(labels).zip(weights);
    each.map(|((row, &g), w)| w * crate::points::square_distance(row, middles.row(g as usize)))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kmeans::tests::clouds;

    fn options(method: Method) -> Options {
        Options { method, clusters: None, most: 6, sample: 300, seed: 1 }
    }

    #[test]
    fn the_number_of_groups_is_found_by_every_method() {
        let (points, truth) = clouds(&[[0.0, 0.0], [15.0, 0.0], [0.0, 15.0], [15.0, 15.0]], 150);
        let weights = vec![1.0; points.len()];
        for method in [Method::Kmeans, Method::Mixture, Method::Density] {
            let found = Grouping::find(&points, &weights, &options(method));
            assert_eq!(found.clusters(), 4, "{method:?}: {:?}", found.candidates);
            let inside: Vec<usize> = (0..600).filter(|&at| found.labels[at] != NOISE).collect();
            let of = |all: &[u32]| inside.iter().map(|&at| all[at]).collect::<Vec<_>>();
            assert!(inside.len() > 480 && adjusted_rand(&of(&found.labels), &of(&truth)) > 0.99);
            assert!(found.agreement.iter().all(|&index| index > 0.99), "{:?}", found.agreement);
            let typical = found.typical(&points, 0, 3);
            assert!(typical.len() == 3 && typical.iter().all(|&at| found.labels[at] == 0));
        }
        let two = Options { clusters: Some(2), ..options(Method::Kmeans) };
        assert_eq!(Grouping::find(&points, &weights, &two).clusters(), 2);
    }

    #[test]
    fn what_halves_do_not_agree_on_is_not_taken() {
        let candidate = |clusters, silhouette, stability| Candidate {
            clusters,
            silhouette,
            stability,
            within: 0.5,
            bic: None,
        };
        let all = [candidate(2, 0.3, 0.9), candidate(3, 0.5, 0.2), candidate(4, 0.4, 0.7)];
        assert_eq!(choose(&all), 2);
        assert_eq!(choose(&all[1..2]), 0);
        assert_eq!(choose(&[candidate(2, f64::NAN, 0.1), candidate(3, 0.1, 0.1)]), 1);
    }
}
