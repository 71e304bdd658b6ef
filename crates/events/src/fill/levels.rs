//! Predictions of a value from the item: its own training values, else its category's, else all.
//!
//! Why these and not a regression or neighbours: what a price depends on is above all the item,
//! which is a name with thousands of values and not a number; beside it the hour, the user and the
//! other columns say little, and a linear model of them misses the jumps between items by far. So
//! the item comes first, and what is left to choose is how its values are summed up. The median
//! (`item`) is a value that was really charged where an item has had few prices, and one row typed
//! wrong does not move it. The mean drawn towards the category (`shrink`) is the better guess, in
//! squares and on the scale of magnitudes, where an item has had few values that differ much.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::{Log, NONE, Names};

/// A value for each item, for each category, and for what is neither.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Levels<T> {
    items: Vec<(String, T)>,
    categories: Vec<(String, T)>,
    overall: Option<T>,
}

/// A training value with the item and the category of its event.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample<T> {
    pub item: u32,
    /// [`NONE`] where the event has none.
    pub category: u32,
    pub value: T,
}

impl<T: Copy> Levels<T> {
    /// Sums up the values of every item, of every category, and of all.
    pub(super) fn by(log: &Log, samples: &[Sample<T>], sum_up: impl Fn(&[T]) -> Option<T>) -> Self {
        let level = |names: &Names, of: fn(&Sample<T>) -> u32| {
            let groups = groups(samples, of, names.len());
            let named = groups
                .into_iter()
                .filter_map(|(id, values)| Some((names.get(id).to_owned(), sum_up(&values)?)));
            named.collect()
        };
        let all: Vec<T> = samples.iter().map(|sample| sample.value).collect();
        Self {
            items: level(&log.items, |sample| sample.item),
            categories: level(&log.categories, |sample| sample.category),
            overall: sum_up(&all),
        }
    }

    /// The same with other values.
    pub(super) fn map<U>(self, value: impl Fn(T) -> Option<U>) -> Levels<U> {
        let level = |entries: Vec<(String, T)>| {
            entries.into_iter().filter_map(|(name, of)| Some((name, value(of)?))).collect()
        };
        Levels {
            items: level(self.items),
            categories: level(self.categories),
            overall: self.overall.and_then(&value),
        }
    }
}

impl<T> Levels<T> {
    /// All values that there are.
    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        let named = self.items.iter().chain(&self.categories).map(|(_, value)| value);
        named.chain(&self.overall)
    }

    /// The values by the numbers of a log.
    pub(super) fn of_log<'a>(&'a self, log: &Log) -> OfLog<'a, T> {
        let place = |names: &Names, entries: &'a [(String, T)]| {
            let mut values = vec![None; names.len()];
            for (name, value) in entries {
                if let Some(id) = names.find(name) {
                    values[id as usize] = Some(value);
                }
            }
            values
        };
        OfLog {
            items: place(&log.items, &self.items),
            categories: place(&log.categories, &self.categories),
            overall: self.overall.as_ref(),
        }
    }
}

impl Levels<String> {
    pub(super) fn as_str(&self) -> Levels<&str> {
        Levels {
            items: as_str(&self.items),
            categories: as_str(&self.categories),
            overall: self.overall.as_deref(),
        }
    }
}

fn as_str(entries: &[(String, String)]) -> Vec<(String, &str)> {
    entries.iter().map(|(name, value)| (name.clone(), value.as_str())).collect()
}

/// [`Levels`] in the numbers of a log.
pub(super) struct OfLog<'a, T> {
    items: Vec<Option<&'a T>>,
    categories: Vec<Option<&'a T>>,
    overall: Option<&'a T>,
}

impl<'a, T> OfLog<'a, T> {
    /// The value for an event of this item and category.
    pub(super) fn get(&self, item: u32, category: u32) -> Option<&'a T> {
        let known = |values: &[Option<&'a T>], id: u32| values.get(id as usize).copied().flatten();
        known(&self.items, item).or_else(|| known(&self.categories, category)).or(self.overall)
    }
}

/// Values by group, groups in the order of their first samples.
fn groups<T: Copy>(
    samples: &[Sample<T>],
    of: fn(&Sample<T>) -> u32,
    known: usize,
) -> Vec<(u32, Vec<T>)> {
    let mut places = FxHashMap::<u32, usize>::default();
    let mut groups = Vec::<(u32, Vec<T>)>::new();
    for sample in samples {
        let id = of(sample);
        if (id as usize) < known {
            let place = *places.entry(id).or_insert_with(|| {
                groups.push((id, Vec::new()));
                groups.len() - 1
            });
            groups[place].1.push(sample.value);
        }
    }
    groups
}

/// The middle of some numbers; of an even number of them, the mean of the two in the middle.
pub(super) fn median(values: &[f32]) -> Option<f32> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f32::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some(((f64::from(sorted[middle - 1]) + f64::from(sorted[middle])) / 2.0) as f32),
    }
}

/// The mean of some numbers.
pub(super) fn mean(values: &[f32]) -> Option<f32> {
    let sum: f64 = values.iter().map(|&value| f64::from(value)).sum();
    (!values.is_empty()).then(|| (sum / values.len() as f64) as f32)
}

/// The most frequent of some values, given as keys; of equals the one that comes first.
pub(super) fn mode(keys: &[u32]) -> Option<u32> {
    let mut counts = FxHashMap::<u32, (usize, usize)>::default();
    for (place, &key) in keys.iter().enumerate() {
        counts.entry(key).or_insert((0, place)).0 += 1;
    }
    let best = counts.into_iter().max_by_key(|(_, (count, place))| (*count, usize::MAX - place));
    best.map(|(key, _)| key)
}

/// Means drawn towards the level above, on the scale of magnitudes.
///
/// ```text
///     y       = asinh(value)                       like a logarithm, with signs and with 0
///     μ_c     = (n_c · ȳ_c + k_c · μ) / (n_c + k_c)      category c, from its n_c values
///     μ_i     = (n_i · ȳ_i + k_i · μ_c) / (n_i + k_i)    item i, from its n_i values
///     k       = σ²_within / σ²_between
///     guess   = sinh(μ_i)
/// ```
///
/// k is what the values themselves tell, level by level: σ²_within is the spread inside a group
/// (with N values in G groups, Σ (y − ȳ_g)² / (N − G)), and σ²_between that of the groups about the
/// level above, whose mean m is given: since the expectation of Σ n_g (ȳ_g − m)² is
/// G σ²_within + N σ²_between, it is (Σ n_g (ȳ_g − m)² − G σ²_within) / N. Groups that differ no
/// more than chance would have it (σ²_between ≤ 0) are drawn all the way; where no group has two
/// values nothing is known of the spread, and k is 1.
///
/// # Source
///
/// James and Stein's estimator with its variances estimated by moments (empirical Bayes).
pub(super) fn shrink(log: &Log, samples: &[Sample<f32>]) -> Levels<f32> {
    let scaled: Vec<Sample<f64>> = samples
        .iter()
        .map(|s| Sample { item: s.item, category: s.category, value: f64::from(s.value).asinh() })
        .collect();
    let sum: f64 = scaled.iter().map(|sample| sample.value).sum();
    let overall = sum / scaled.len().max(1) as f64;

    let by_category = groups(&scaled, |sample| sample.category, log.categories.len());
    let categories = draw(&by_category, |_| overall);
    let mut of_category = vec![overall; log.categories.len()];
    for &(category, mean) in &categories {
        of_category[category as usize] = mean;
    }

    // The category of an item is the one that most of its values have.
    let homes: Vec<Sample<u32>> = scaled
        .iter()
        .map(|s| Sample { item: s.item, category: s.category, value: s.category })
        .collect();
    let mut home = vec![overall; log.items.len()];
    for (item, categories) in groups(&homes, |sample| sample.item, log.items.len()) {
        if let Some(category) = mode(&categories).filter(|&category| category != NONE) {
            home[item as usize] = of_category.get(category as usize).copied().unwrap_or(overall);
        }
    }
    let by_item = groups(&scaled, |sample| sample.item, log.items.len());
    let items = draw(&by_item, |item| home[item as usize]);

    let named = |names: &Names, means: Vec<(u32, f64)>| {
        means.into_iter().map(|(id, mean)| (names.get(id).to_owned(), mean)).collect()
    };
    let levels = Levels {
        items: named(&log.items, items),
        categories: named(&log.categories, categories),
        overall: (!scaled.is_empty()).then_some(overall),
    };
    levels.map(|mean| Some((mean.sinh() as f32).clamp(f32::MIN, f32::MAX)))
}

/// The mean of each group, drawn towards the mean of what is above it.
fn draw(groups: &[(u32, Vec<f64>)], above: impl Fn(u32) -> f64) -> Vec<(u32, f64)> {
    let (mut n, mut within, mut between) = (0.0, 0.0, 0.0);
    let mut means = Vec::with_capacity(groups.len());
    for (id, values) in groups {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        n += count;
        within += values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>();
        between += count * (mean - above(*id)) * (mean - above(*id));
        means.push((*id, count, mean));
    }
    let count = groups.len() as f64;
    let strength = if n > count {
        within /= n - count;
        between = (between - count * within) / n;
        if between > 0.0 { within / between } else { f64::INFINITY }
    } else {
        1.0
    };
    let drawn = |(id, count, mean): (u32, f64, f64)| {
        let above = above(id);
        // An infinite strength leaves nothing of the group's own mean.
        let own = if strength.is_finite() { count / (count + strength) } else { 0.0 };
        (id, above + own * (mean - above))
    };
    means.into_iter().map(drawn).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> Log {
        Log {
            items: ["a", "b", "c"].into_iter().collect(),
            categories: ["x", "y"].into_iter().collect(),
            ..Log::default()
        }
    }

    fn samples(values: &[(u32, u32, f32)]) -> Vec<Sample<f32>> {
        let sample = |&(item, category, value)| Sample { item, category, value };
        values.iter().map(sample).collect()
    }

    #[test]
    fn sums_of_few_values_are_what_they_are_called() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 9.0]), Some(3.0));
        assert_eq!((median(&[]), mean(&[]), mode(&[])), (None, None, None));
        assert_eq!(mean(&[1.0, 2.0, 6.0]), Some(3.0));
        assert_eq!((mode(&[7, 5, 5, 7, 1]), mode(&[2])), (Some(7), Some(2)));
        assert_eq!(median(&[f32::MAX, f32::MAX]), Some(f32::MAX));
    }

    #[test]
    fn the_nearest_level_that_knows_a_value_gives_it() {
        let (log, samples) =
            (log(), samples(&[(0, 0, 1.0), (0, 0, 3.0), (1, 1, 9.0), (0, NONE, 2.0)]));
        let levels = Levels::by(&log, &samples, median);
        let found = levels.of_log(&log);
        for (item, category, expected) in
            [(0, 1, 2.0), (1, NONE, 9.0), (2, 0, 2.0), (2, 1, 9.0), (2, NONE, 2.5), (77, 77, 2.5)]
        {
            assert_eq!(found.get(item, category), Some(&expected), "{item} {category}");
        }
        assert_eq!(Levels::by(&log, &[], median).of_log(&log).get(0, 0), None);
    }

    #[test]
    fn groups_are_drawn_by_what_chance_explains_of_them() {
        let groups = [(0, vec![0.0, 2.0]), (1, vec![4.0, 6.0])];
        // Σ (y − ȳ)² = 4, so within = 4 / (4 − 2) = 2; Σ n (ȳ − 3)² = 16, so between =
        // (16 − 2 · 2) / 4 = 3; k = 2 / 3, own share 2 / (2 + 2 / 3) = 3 / 4.
        let drawn = draw(&groups, |_| 3.0);
        assert!((drawn[0].1 - 1.5).abs() < 1e-12 && (drawn[1].1 - 4.5).abs() < 1e-12, "{drawn:?}");
        // No group differs from the level above: nothing of its own is left.
        assert_eq!(
            draw(&[(0, vec![2.0, 4.0]), (1, vec![1.0, 5.0])], |_| 3.0),
            [(0, 3.0), (1, 3.0)]
        );
        // Exact groups are believed whole, single values by half.
        assert_eq!(draw(&[(0, vec![1.0, 1.0]), (1, vec![5.0])], |_| 3.0), [(0, 1.0), (1, 5.0)]);
        assert_eq!(draw(&[(0, vec![1.0]), (1, vec![5.0])], |_| 3.0), [(0, 2.0), (1, 4.0)]);
    }

    #[test]
    fn shrinking_goes_from_all_to_category_to_item() {
        let log = log();
        let sinh = |y: f64| y.sinh() as f32;
        // Constant items in constant categories: means stand as they are.
        let exact =
            samples(&[(0, 0, sinh(1.0)), (0, 0, sinh(1.0)), (1, 1, sinh(3.0)), (1, 1, sinh(3.0))]);
        let levels = shrink(&log, &exact);
        let found = levels.of_log(&log);
        for (item, category, expected) in [(0, NONE, 1.0), (2, 1, 3.0), (2, NONE, 2.0)] {
            let guess = *found.get(item, category).unwrap();
            assert!((f64::from(guess).asinh() - expected).abs() < 1e-6, "{item} {guess}");
        }
        assert_eq!(shrink(&log, &[]).values().count(), 0);
        let huge = samples(&[(0, 0, f32::MAX), (1, 0, f32::MIN)]);
        assert!(shrink(&log, &huge).values().all(|value| value.is_finite()));
    }
}
