//! The events of each user, or of any other group, in the order in which they happened.

use std::ops::Range;

use crate::{Log, NONE};

/// Events by group. Inside a group they stand by time, then by the log's `order`, then by line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Timelines {
    /// Events of group 0, then those of group 1, and so on.
    pub events: Vec<u32>,
    /// Group `g` is `events[bounds[g]..bounds[g + 1]]`.
    pub bounds: Vec<usize>,
}

impl Timelines {
    /// Orders the events of a log, whose groups are `0..groups`, one entry of `group` an event.
    /// Entries outside count as one more group, the last.
    pub(crate) fn new(log: &Log, group: &[u32], groups: usize) -> Self {
        let place = |g: u32| (g as usize).min(groups);
        // A counting sort: the events of a group in the order of their lines.
        let mut ends = vec![0usize; groups + 2];
        for &g in group {
            ends[place(g) + 1] += 1;
        }
        for g in 0..=groups {
            ends[g + 1] += ends[g];
        }
        let bounds = ends.clone();
        let mut events = vec![0u32; group.len()];
        for (event, &g) in group.iter().enumerate() {
            events[ends[place(g)]] = event as u32;
            ends[place(g)] += 1;
        }
        let order = |event: u32| log.events.order.get(event as usize).copied().unwrap_or(0);
        for g in 0..=groups {
            events[bounds[g]..bounds[g + 1]]
                .sort_by_key(|&event| (log.time_or_zero(event), order(event)));
        }
        Self { events, bounds }
    }

    /// Groups of a log by who acted: by user where it names users, else by session.
    pub(crate) fn of_users(log: &Log) -> Self {
        let users = !log.events.user.is_empty();
        let group = if users { &log.events.user } else { &log.events.session };
        let known = group.iter().filter(|&&g| g != NONE).max();
        Self::new(log, group, known.map_or(0, |&g| g as usize + 1))
    }

    /// How many groups there are, the last being that of events outside any.
    pub(crate) fn len(&self) -> usize {
        self.bounds.len().saturating_sub(1)
    }

    /// Where a group lies in `events`.
    pub(crate) fn range(&self, group: usize) -> Range<usize> {
        self.bounds[group]..self.bounds[group + 1]
    }

    /// All groups that have events and belong to someone.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u32]> + '_ {
        let known = self.len().saturating_sub(1);
        (0..known).map(|group| &self.events[self.range(group)]).filter(|line| !line.is_empty())
    }
}

/// The events of each user with their times beside them, so that who looks at times goes through
/// memory from one end to the other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Timed {
    lines: Timelines,
    /// Milliseconds, in the order of the events; 0 where the log has no times.
    times: Vec<i64>,
}

impl Timed {
    /// Groups of a log by who acted, as [`Timelines::of_users`] has them.
    pub(crate) fn of_users(log: &Log) -> Self {
        let lines = Timelines::of_users(log);
        let times = lines.events.iter().map(|&event| log.time_or_zero(event)).collect();
        Self { lines, times }
    }

    /// All groups that have events and belong to someone: events and their times.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u32], &[i64])> + '_ {
        let known = self.lines.len().saturating_sub(1);
        self.groups().take(known).filter(|(events, _)| !events.is_empty())
    }

    /// All groups, the last being that of events outside any.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (&[u32], &[i64])> + '_ {
        (0..self.lines.len()).map(|group| {
            let range = self.lines.range(group);
            (&self.lines.events[range.clone()], &self.times[range])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Events;

    #[test]
    fn events_stand_by_time_then_order_then_line() {
        let events = Events {
            item: vec![0; 6],
            user: vec![1, 0, 1, NONE, 1, 1],
            time: vec![5, 9, 3, 1, 5, 5],
            order: vec![1, 0, 0, 0, 0, 1],
            ..Events::default()
        };
        let log = Log { events, ..Log::default() };
        let lines = Timelines::of_users(&log);
        assert_eq!(lines.iter().collect::<Vec<_>>(), [&[1][..], &[2, 4, 0, 5]]);
        assert_eq!(lines.len(), 3);
        assert_eq!(lines.events[lines.range(2)], [3]);
        assert_eq!(Timelines::of_users(&Log::default()).iter().count(), 0);
    }

    #[test]
    fn times_stand_beside_their_events() {
        let events = Events {
            item: vec![0; 4],
            user: vec![1, NONE, 0, 1],
            time: vec![9, 3, 5, 4],
            ..Events::default()
        };
        let timed = Timed::of_users(&Log { events, ..Log::default() });
        let known: Vec<_> = timed.iter().collect();
        assert_eq!(known, [(&[2][..], &[5][..]), (&[3, 0], &[4, 9])]);
        assert_eq!(timed.groups().last(), Some((&[1][..], &[3][..])));
    }

    #[test]
    fn without_users_sessions_are_the_groups() {
        let events = Events { item: vec![0; 3], session: vec![1, 0, 1], ..Events::default() };
        let lines = Timelines::of_users(&Log { events, ..Log::default() });
        assert_eq!(lines.iter().collect::<Vec<_>>(), [&[1][..], &[0, 2]]);
    }
}
