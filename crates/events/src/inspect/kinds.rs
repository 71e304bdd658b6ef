//! From one kind of event to the next: who gets how far, and what follows what.

use serde::Serialize;

use crate::{Kind, Log, NONE, Sessions};

/// How many kinds a table shows; the others are one more.
const SHOWN: usize = 7;
/// What a funnel is made of.
const STAGES: [(Kind, &str); 3] =
    [(Kind::View, "view"), (Kind::Cart, "cart"), (Kind::Purchase, "purchase")];

/// Kinds of events.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Kinds {
    /// The most frequent ones; all others together are the last.
    pub kinds: Vec<KindCount>,
    /// Who gets how far; empty where fewer than two kinds mean view, cart or purchase.
    pub funnels: Vec<Funnel>,
    /// Row by row, how often each of `kinds` is followed in its session by each of them, and, last,
    /// by the end of the session.
    pub next: Vec<Vec<u64>>,
}

/// Events of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KindCount {
    /// Its name in the log.
    pub name: String,
    /// What it is taken for: `view`, `cart`, `uncart`, `favourite`, `purchase`; none for any other.
    pub means: Option<&'static str>,
    /// Events.
    pub events: u64,
    /// Sessions that have at least one.
    pub sessions: u64,
}

/// How far sessions or users get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Funnel {
    /// `sessions` or `users`.
    pub of: &'static str,
    /// How many there are.
    pub all: u64,
    /// From the first stage to the last, those that no event means left out.
    pub stages: Vec<Stage>,
}

/// A stage of a funnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Stage {
    /// `view`, `cart` or `purchase`.
    pub stage: &'static str,
    /// How many have an event of it.
    pub with: u64,
    /// How many have it and all stages before, in whatever order.
    pub through: u64,
}

impl Kinds {
    /// None where the log does not say of what kind its events are.
    pub(super) fn of(log: &Log, sessions: &Sessions) -> Option<Self> {
        let kinds = &log.events.kind;
        if kinds.iter().all(|&kind| kind == NONE) {
            return None;
        }
        let mut events = vec![0u64; log.kinds.len()];
        kinds.iter().filter(|&&kind| kind != NONE).for_each(|&kind| events[kind as usize] += 1);
        let mut ranked: Vec<usize> = (0..events.len()).filter(|&kind| events[kind] > 0).collect();
        ranked.sort_by_key(|&kind| std::cmp::Reverse(events[kind]));
        let shown = ranked.len().min(SHOWN);
        // Which row each kind is counted in; the last is that of all others and of none.
        let mut row = vec![shown; log.kinds.len()];
        ranked[..shown].iter().enumerate().for_each(|(place, &kind)| row[kind] = place);
        let meanings: Vec<Kind> = log.kinds.iter().map(Kind::of).collect();
        let stages: Vec<usize> = (0..STAGES.len())
            .filter(|&stage| ranked.iter().any(|&kind| meanings[kind] == STAGES[stage].0))
            .collect();
        let stage_of = |kind: u32| {
            let meaning = meanings.get(kind as usize)?;
            stages.iter().position(|&stage| STAGES[stage].0 == *meaning)
        };

        let rows = shown + 1;
        let mut next = vec![vec![0u64; rows + 1]; rows];
        let mut in_sessions = vec![0u64; rows];
        let mut reached = vec![0u8; sessions.len()];
        for (session, reached) in reached.iter_mut().enumerate() {
            let mut last = None;
            let mut has = vec![false; rows];
            for &event in &sessions.log_events()[sessions.range(session)] {
                let kind = kinds.get(event as usize).copied().unwrap_or(NONE);
                let at = row.get(kind as usize).copied().unwrap_or(shown);
                if let Some(last) = last.replace(at) {
                    next[last][at] += 1;
                }
                has[at] = true;
                *reached |= stage_of(kind).map_or(0, |stage| 1 << stage);
            }
            if let Some(last) = last {
                next[last][rows] += 1;
            }
            in_sessions.iter_mut().zip(has).for_each(|(count, has)| *count += u64::from(has));
        }

        let total = kinds.len() as u64;
        let named: u64 = ranked[..shown].iter().map(|&kind| events[kind]).sum();
        let mut all: Vec<KindCount> = ranked[..shown]
            .iter()
            .enumerate()
            .map(|(place, &kind)| KindCount {
                name: log.kinds.get(kind as u32).to_owned(),
                means: meaning(meanings[kind]),
                events: events[kind],
                sessions: in_sessions[place],
            })
            .collect();
        match total - named {
            0 => {
                next.pop();
                next.iter_mut().for_each(|row| {
                    row.remove(shown);
                });
            }
            rest => all.push(KindCount {
                name: if ranked.len() > shown { "others" } else { "none" }.to_owned(),
                means: None,
                events: rest,
                sessions: in_sessions[shown],
            }),
        }
        let funnels = match stages.len() {
            0 | 1 => Vec::new(),
            _ => {
                let names: Vec<&str> = stages.iter().map(|&stage| STAGES[stage].1).collect();
                let mut funnels = vec![funnel("sessions", &names, &reached)];
                if !log.events.user.is_empty() {
                    let mut of_users = vec![None; log.users.len()];
                    for (&user, &kind) in log.events.user.iter().zip(kinds) {
                        if let Some(reached) = of_users.get_mut(user as usize) {
                            let stage = stage_of(kind).map_or(0u8, |stage| 1 << stage);
                            *reached = Some(reached.unwrap_or(0) | stage);
                        }
                    }
                    let of_users: Vec<u8> = of_users.into_iter().flatten().collect();
                    funnels.push(funnel("users", &names, &of_users));
                }
                funnels
            }
        };
        Some(Self { kinds: all, funnels, next })
    }
}

fn meaning(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::View => Some("view"),
        Kind::Cart => Some("cart"),
        Kind::Uncart => Some("uncart"),
        Kind::Favourite => Some("favourite"),
        Kind::Purchase => Some("purchase"),
        Kind::Other => None,
    }
}

fn funnel(of: &'static str, names: &[&'static str], reached: &[u8]) -> Funnel {
    let count = |mask: u8| reached.iter().filter(|&&has| has & mask == mask).count() as u64;
    let stages = names.iter().enumerate().map(|(stage, name)| Stage {
        stage: name,
        with: count(1 << stage),
        through: count((2 << stage) - 1),
    });
    Funnel { of, all: reached.len() as u64, stages: stages.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Events, SessionOptions, SessionRule};

    fn kinds(names: &[&str], users: &[u32], kind: &[u32], sessions: &[u32]) -> Option<Kinds> {
        let events = Events {
            item: vec![0; users.len()],
            user: users.to_vec(),
            session: sessions.to_vec(),
            kind: kind.to_vec(),
            ..Events::default()
        };
        let log = Log {
            events,
            items: ["x"].into_iter().collect(),
            users: ["a", "b"].into_iter().collect(),
            sessions: ["s", "t", "u"].into_iter().collect(),
            kinds: names.iter().copied().collect(),
            ..Log::default()
        };
        let options = SessionOptions { rule: SessionRule::Key, ..SessionOptions::default() };
        Kinds::of(&log, &Sessions::from_log(&log, &options).unwrap())
    }

    #[test]
    fn a_funnel_counts_sessions_and_users() {
        // User a: session s is pv, cart, buy; session t is pv. User b: u is a buy without a cart.
        let found = kinds(
            &["buy", "pv", "cart"],
            &[0, 0, 0, 0, 1, 1],
            &[1, 2, 0, 1, 1, 0],
            &[0, 0, 0, 1, 2, 2],
        )
        .unwrap();
        let stages = |k: usize| {
            let stages = found.funnels[k].stages.iter();
            stages.map(|s| (s.stage, s.with, s.through)).collect::<Vec<_>>()
        };
        assert_eq!(stages(0), [("view", 3, 3), ("cart", 1, 1), ("purchase", 2, 1)]);
        assert_eq!(stages(1), [("view", 2, 2), ("cart", 1, 1), ("purchase", 2, 1)]);
        assert_eq!((found.funnels[0].all, found.funnels[1].of), (3, "users"));
        let names: Vec<_> =
            found.kinds.iter().map(|k| (&k.name[..], k.means, k.events, k.sessions)).collect();
        assert_eq!(
            names,
            [
                ("pv", Some("view"), 3, 3),
                ("buy", Some("purchase"), 2, 2),
                ("cart", Some("cart"), 1, 1)
            ]
        );
        // pv is followed by a cart, the end, and a buy.
        assert_eq!(found.next, [[0, 1, 1, 1], [0, 0, 0, 2], [0, 1, 0, 0]]);
    }

    #[test]
    fn many_kinds_are_others_and_one_is_no_funnel() {
        let one = kinds(&["click"], &[0, 0], &[0, 0], &[0, 1]).unwrap();
        assert_eq!((one.funnels.len(), &one.next[..]), (0, &[vec![0, 2]][..]));
        let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
        let ids: Vec<u32> = (0..9).collect();
        let many = kinds(&names, &[0; 9], &ids, &[0; 9]).unwrap();
        assert_eq!((many.kinds.len(), &many.kinds[7].name[..]), (8, "others"));
        assert_eq!((many.kinds[7].events, many.next[7][7], many.next[7][8]), (2, 1, 1));
        let some = kinds(&["pv"], &[0; 2], &[0, NONE], &[0; 2]).unwrap();
        assert_eq!((&some.kinds[1].name[..], some.kinds[1].events), ("none", 1));
        assert_eq!(kinds(&[], &[0], &[], &[0]), None);
    }
}
