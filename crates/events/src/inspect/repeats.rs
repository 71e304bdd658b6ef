//! How often an event brings nothing new.

use serde::Serialize;

use super::share;
use crate::Sessions;

/// Up to which place of a session repeats are counted place by place.
const PLACES: usize = 20;

/// How often an event after the first of its session brings nothing new, as a share of those.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Repeats {
    /// The item came before in the session.
    pub seen_before: f64,
    /// It is the item just before.
    pub same_as_last: f64,
}

/// The same at one place of all sessions that are so long.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RepeatsAt {
    /// The place, from 2.
    pub place: u32,
    /// Sessions that have it.
    pub sessions: u64,
    /// Share of them whose item came before.
    pub seen_before: f64,
    /// Share of them whose item is the one just before.
    pub same_as_last: f64,
}

/// Repeats over all places, and at each of the first ones.
pub(super) fn count(sessions: &Sessions, items: usize) -> (Repeats, Vec<RepeatsAt>) {
    let mut seen_in = vec![usize::MAX; items];
    // Of each place: sessions, seen before, same as last. The first place stands for all the others.
    let mut counts = [[0usize; 3]; PLACES];
    for (number, session) in sessions.iter().enumerate() {
        for (at, &item) in session.iter().enumerate() {
            let seen = std::mem::replace(&mut seen_in[item as usize], number) == number;
            if at == 0 {
                continue;
            }
            let last = session[at - 1] == item;
            for place in [0, at].into_iter().take_while(|&place| place < PLACES) {
                for (count, add) in counts[place].iter_mut().zip([true, seen, last]) {
                    *count += usize::from(add);
                }
            }
        }
    }
    let at = |place: usize| {
        let [sessions, seen, last] = counts[place];
        RepeatsAt {
            place: place as u32 + 1,
            sessions: sessions as u64,
            seen_before: share(seen, sessions),
            same_as_last: share(last, sessions),
        }
    };
    let all = at(0);
    let places = (1..PLACES).map(at).take_while(|place| place.sessions > 0).collect();
    (Repeats { seen_before: all.seen_before, same_as_last: all.same_as_last }, places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_counted_at_their_places() {
        let mut sessions = Sessions::from_raw(&[4, 2, 1], &[]);
        sessions.set_items(&[0, 0, 1, 0, 2, 1, 1]);
        let (all, places) = count(&sessions, 3);
        assert_eq!((all.seen_before, all.same_as_last), (0.5, 0.25));
        let at: Vec<_> =
            places.iter().map(|p| (p.place, p.sessions, p.seen_before, p.same_as_last)).collect();
        assert_eq!(at, [(2, 2, 0.5, 0.5), (3, 1, 0.0, 0.0), (4, 1, 1.0, 0.0)]);
        assert_eq!(count(&Sessions::default(), 0).1.len(), 0);
    }

    #[test]
    fn long_sessions_count_past_the_last_place() {
        let mut sessions = Sessions::from_raw(&[100], &[]);
        sessions.set_items(&[0; 100]);
        let (all, places) = count(&sessions, 1);
        assert_eq!((all.same_as_last, places.len()), (1.0, PLACES - 1));
    }
}
