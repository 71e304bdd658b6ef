//! How events fall on items, and how fast new items come.

use serde::Serialize;

use super::calendar::{Cells, clock};
use super::share;
use crate::{Log, Sessions};

/// Places on a picture whose rank grows tenfold in so many steps.
const STEPS: i32 = 12;
/// How many items are named.
const NAMED: usize = 5;
/// What `--min-support` may be.
const SUPPORTS: [u32; 4] = [2, 3, 5, 10];

/// How events fall on items.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Popularity {
    /// Rank and events of some items, evenly spaced in the logarithm of the rank.
    pub curve: Vec<(u64, u64)>,
    /// Share of events on the most popular hundredth of items, one item at least.
    pub top_hundredth: f64,
    /// On the most popular tenth.
    pub top_tenth: f64,
    /// The fewest items that have half of all events.
    pub half: u64,
    /// Items with a single event.
    pub once: u64,
    /// Items with few events.
    pub rare: Vec<Rare>,
    /// The most popular items.
    pub first: Vec<(String, u64)>,
}

/// Items with fewer events than some number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Rare {
    /// The number.
    pub below: u32,
    /// How many items have fewer events.
    pub items: u64,
    /// How many events these have together.
    pub events: u64,
}

/// How fast new items come.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Novelty {
    /// How long a bin is: `day`, `week`, or, in a log without times, `tenth of the sessions`.
    pub unit: String,
    /// The same in seconds; 0 without times.
    pub unit_s: i64,
    /// What the clock showed when the first bin began, in milliseconds; 0 without times.
    #[serde(serialize_with = "clock")]
    pub start: i64,
    /// Share of the events of each bin on items that no earlier one has seen; none in bins without
    /// events. Of the first bin it is all.
    pub new: Vec<Option<f64>>,
    /// Share of the events of the last tenth of the sessions on items that the first nine tenths have
    /// not seen: what the validation of `--split time:0.9` asks for and no model can answer.
    pub last_tenth: f64,
}

impl Popularity {
    pub(super) fn of(log: &Log) -> Self {
        let mut support = vec![0u64; log.items.len()];
        for &item in &log.events.item {
            support[item as usize] += 1;
        }
        let mut ranked: Vec<u32> = (0..support.len() as u32).collect();
        ranked.retain(|&item| support[item as usize] > 0);
        ranked.sort_unstable_by_key(|&item| (std::cmp::Reverse(support[item as usize]), item));
        let events = |rank: usize| support[ranked[rank] as usize];
        let (n, total) = (ranked.len(), log.events.len());
        let top = |part: usize| -> u64 { (0..part.min(n)).map(events).sum() };
        let mut half = 0;
        let mut reached = 0;
        while half < n && 2 * reached < total as u64 {
            reached += events(half);
            half += 1;
        }
        let rare = |below: u32| {
            let first = ranked.partition_point(|&item| support[item as usize] >= u64::from(below));
            let events = (first..n).map(events).sum();
            Rare { below, items: (n - first) as u64, events }
        };
        Self {
            curve: ranks(n).into_iter().map(|rank| (rank as u64, events(rank - 1))).collect(),
            top_hundredth: share(top(n.div_ceil(100)) as usize, total),
            top_tenth: share(top(n.div_ceil(10)) as usize, total),
            half: half as u64,
            once: rare(2).items,
            rare: SUPPORTS.map(rare).to_vec(),
            first: (0..n.min(NAMED))
                .map(|rank| (log.items.get(ranked[rank]).to_owned(), events(rank)))
                .collect(),
        }
    }
}

/// Ranks 1, 2, 3, …, further apart as they grow, the last one among them.
fn ranks(n: usize) -> Vec<usize> {
    let mut ranks: Vec<usize> = (0..)
        .map(|step| 10f64.powf(f64::from(step) / f64::from(STEPS)).round() as usize)
        .take_while(|&rank| rank < n)
        .collect();
    ranks.extend((n > 0).then_some(n));
    ranks.dedup();
    ranks
}

impl Novelty {
    pub(super) fn of(log: &Log, sessions: &Sessions, cells: &Cells) -> Self {
        let last_tenth = last_tenth(log, sessions);
        let items = log.items.len();
        match cells.days() {
            Some(ruler) => {
                let bins = cells.bin_of_events(log, &ruler);
                let items_of = log.events.item.iter().map(|&item| item as usize);
                let events = items_of.zip(bins.iter().map(|&bin| bin as usize));
                Self {
                    unit: ruler.unit(),
                    unit_s: ruler.length * 15 * 60,
                    start: ruler.start(),
                    new: first_seen(events, items, ruler.bins),
                    last_tenth,
                }
            }
            None => {
                let n = sessions.len();
                let bins = n.min(10);
                let events = (0..n).flat_map(|session| {
                    let bin = session * bins / n;
                    sessions.get(session).iter().map(move |&item| (item as usize, bin))
                });
                let unit = if bins == 10 { "tenth of the sessions" } else { "session" };
                let new = first_seen(events, items, bins);
                Self { unit: unit.to_owned(), unit_s: 0, start: 0, new, last_tenth }
            }
        }
    }
}

/// The share of the events of each bin on items whose first event lies in it.
fn first_seen(
    events: impl Iterator<Item = (usize, usize)> + Clone,
    items: usize,
    bins: usize,
) -> Vec<Option<f64>> {
    let mut first = vec![usize::MAX; items];
    for (item, bin) in events.clone() {
        first[item] = first[item].min(bin);
    }
    let (mut new, mut all) = (vec![0usize; bins], vec![0usize; bins]);
    for (item, bin) in events.filter(|&(_, bin)| bin < bins) {
        all[bin] += 1;
        new[bin] += usize::from(first[item] == bin);
    }
    new.into_iter().zip(all).map(|(new, all)| (all > 0).then(|| share(new, all))).collect()
}

fn last_tenth(log: &Log, sessions: &Sessions) -> f64 {
    // Where `--split time:0.9` cuts.
    let cut = (0.9 * sessions.len() as f64).round() as usize;
    let mut known = vec![false; log.items.len()];
    let (mut new, mut all) = (0, 0);
    for session in 0..sessions.len() {
        for &item in sessions.get(session) {
            if session < cut {
                known[item as usize] = true;
            } else {
                all += 1;
                new += usize::from(!known[item as usize]);
            }
        }
    }
    share(new, all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Events, SessionOptions, Zone};

    fn log(items: &[u32], days: &[i64]) -> Log {
        let time: Vec<i64> = days.iter().map(|day| day * 86_400_000).collect();
        let events = Events {
            item: items.to_vec(),
            user: (0..items.len() as u32).collect(),
            time,
            ..Events::default()
        };
        let names: Vec<String> = (0..items.len()).map(|k| k.to_string()).collect();
        Log {
            events,
            items: ["a", "b", "c", "d"].into_iter().collect(),
            users: names.iter().map(String::as_str).collect(),
            ..Log::default()
        }
    }

    #[test]
    fn events_are_counted_by_item() {
        let log = log(&[0, 1, 1, 1, 1, 2, 2, 1], &[]);
        let found = Popularity::of(&log);
        assert_eq!(found.curve, [(1, 5), (2, 2), (3, 1)]);
        assert_eq!((found.top_hundredth, found.half, found.once), (5.0 / 8.0, 1, 1));
        assert_eq!(found.rare[1], Rare { below: 3, items: 2, events: 3 });
        assert_eq!(found.first[0], ("b".to_owned(), 5));
        let nothing = Popularity::of(&Log::default());
        assert_eq!((nothing.curve.len(), nothing.half, nothing.once), (0, 0, 0));
    }

    #[test]
    fn ranks_grow_evenly_in_their_logarithm() {
        let found = ranks(1000);
        assert_eq!((found[0], found[1], found.last()), (1, 2, Some(&1000)));
        assert!(found.len() < 35 && found.is_sorted());
        assert_eq!((ranks(0), ranks(1), ranks(2)), (vec![], vec![1], vec![1, 2]));
    }

    #[test]
    fn an_item_is_new_on_its_first_day() {
        let log = log(&[0, 1, 0, 2, 0, 2], &[0, 0, 1, 1, 3, 3]);
        let sessions = Sessions::from_log(&log, &SessionOptions::default()).unwrap();
        let found = Novelty::of(&log, &sessions, &Cells::of(&log, &Zone::default()));
        assert_eq!(found.new, [Some(1.0), Some(0.5), None, Some(0.0)]);
        assert_eq!((&found.unit[..], found.last_tenth), ("day", 0.0));
    }

    #[test]
    fn without_times_the_order_of_sessions_tells() {
        let items: Vec<u32> = [[0; 10], [1; 10]].concat();
        let mut log = log(&items, &[]);
        log.events.item[19] = 2;
        let sessions = Sessions::from_log(&log, &SessionOptions::default()).unwrap();
        let found = Novelty::of(&log, &sessions, &Cells::of(&log, &Zone::default()));
        let expected = [1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.5].map(Some);
        assert_eq!((&found.new[..], found.last_tenth), (&expected[..], 0.5));
        assert_eq!(found.unit, "tenth of the sessions");
    }
}
