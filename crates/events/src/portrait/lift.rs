//! What a group looks at more than everybody does.

use serde::Serialize;

use super::{Groups, Portrait, Share};
use crate::{Log, NONE, Names, Sessions};

/// How many categories or items are named.
const SHOWN: usize = 8;
/// A group looks at what it is named for at least so many times as much as everybody.
const LEAST: f64 = 1.25;
/// The least number of its users, and their least share.
const SUPPORT: (u64, f64) = (3, 0.02);

/// A category or item that a group looks at more than everybody.
///
/// ```text
///     share  = events of the group with it / events of the group of which it is known
///     lift   = share / the same of everybody
/// ```
///
/// At least three users of the group, and two in a hundred, have met it: the support, without which a single user
/// makes any lift. The first is that of which share · ln lift is largest, so that neither what is rare nor what all
/// like comes first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Lift {
    /// Its name in the log.
    pub name: String,
    /// Events of the group with it.
    pub events: u64,
    /// Users of the group who have such events.
    pub users: u64,
    /// Share of the group's events.
    pub share: f64,
    /// Share of everybody's events.
    pub of_all: f64,
    /// How many times as much as everybody.
    pub lift: f64,
}

/// Fills in categories, items and favourites of portraits, of which the last is everybody's. `order` holds the
/// sessions, one owner's after the other's.
pub(super) fn describe(
    log: &Log,
    sessions: &Sessions,
    order: &[usize],
    groups: Groups<'_>,
    portraits: &mut [Portrait],
) {
    let sets = [
        (&log.events.category[..], &log.categories, true),
        (&log.events.item[..], &log.items, false),
    ];
    for (column, names, is_category) in sets {
        if names.is_empty() || column.is_empty() || !(is_category || groups.items) {
            continue;
        }
        let counts = count(column, names.len(), sessions, order, groups);
        let (all, rest) = counts.split_last().expect("everybody is the last");
        let everybody: u64 = all.events.iter().map(|&n| u64::from(n)).sum();
        for (place, portrait) in portraits.iter_mut().enumerate() {
            let own = rest.get(place).unwrap_or(all);
            if is_category {
                portrait.favourites = favourites(own, names);
            }
            let lifts = match rest.get(place) {
                Some(own) => lifts(own, all, everybody, portrait.users, names),
                None => Vec::new(),
            };
            *if is_category { &mut portrait.categories } else { &mut portrait.items } = lifts;
        }
    }
}

/// How often a group has met each category, and how many of its users have.
#[derive(Clone)]
struct Counts {
    events: Vec<u32>,
    users: Vec<u32>,
}

fn count(
    column: &[u32],
    of: usize,
    sessions: &Sessions,
    order: &[usize],
    groups: Groups<'_>,
) -> Vec<Counts> {
    let mut counts = vec![Counts { events: vec![0; of], users: vec![0; of] }; groups.count + 1];
    let mut met: Vec<u32> = Vec::new();
    for own in order.chunk_by(|&a, &b| groups.owners[a] == groups.owners[b]) {
        met.clear();
        for &session in own {
            let events = &sessions.log_events()[sessions.range(session)];
            met.extend(events.iter().map(|&event| column[event as usize]).filter(|&x| x != NONE));
        }
        met.sort_unstable();
        let group = groups.of_owner[groups.owners[own[0]] as usize] as usize;
        for place in [group, groups.count] {
            let Some(counts) = counts.get_mut(place) else { continue };
            for same in met.chunk_by(|a, b| a == b) {
                counts.events[same[0] as usize] += same.len() as u32;
                counts.users[same[0] as usize] += 1;
            }
        }
    }
    counts
}

fn lifts(own: &Counts, all: &Counts, everybody: u64, users: u64, names: &Names) -> Vec<Lift> {
    let events: u64 = own.events.iter().map(|&n| u64::from(n)).sum();
    if events == 0 {
        return Vec::new();
    }
    let support = SUPPORT.0.max((SUPPORT.1 * users as f64).ceil() as u64);
    let met = (0..own.events.len()).filter(|&at| u64::from(own.users[at]) >= support);
    let mut found: Vec<(f64, usize)> = met
        .filter_map(|at| {
            let share = f64::from(own.events[at]) / events as f64;
            let lift = share / (f64::from(all.events[at]) / everybody as f64);
            (lift >= LEAST).then(|| (share * lift.ln(), at))
        })
        .collect();
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let lift = |&(_, at): &(f64, usize)| {
        let share = f64::from(own.events[at]) / events as f64;
        let of_all = f64::from(all.events[at]) / everybody as f64;
        Lift {
            name: names.get(at as u32).to_owned(),
            events: own.events[at].into(),
            users: own.users[at].into(),
            share,
            of_all,
            lift: share / of_all,
        }
    };
    found.iter().take(SHOWN).map(lift).collect()
}

fn favourites(own: &Counts, names: &Names) -> Vec<Share> {
    let events: u64 = own.events.iter().map(|&n| u64::from(n)).sum();
    let mut order: Vec<usize> = (0..own.events.len()).filter(|&at| own.events[at] > 0).collect();
    order.sort_by_key(|&at| std::cmp::Reverse(own.events[at]));
    let share = |&at: &usize| Share {
        name: names.get(at as u32).to_owned(),
        share: f64::from(own.events[at]) / events as f64,
    };
    order.iter().take(5).map(share).collect()
}
