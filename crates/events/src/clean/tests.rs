//! Small logs in which it can be counted what has to go.

use super::*;
use crate::{Events, NONE, SessionOptions, SessionRule};

const SECOND: i64 = 1000;
const HOUR: i64 = 3600 * SECOND;
/// 2024-01-01.
const START: i64 = 1_704_067_200_000;

/// Events of users, items and seconds after the start.
fn log(events: &[(u32, u32, i64)]) -> Log {
    let events = Events {
        user: events.iter().map(|event| event.0).collect(),
        item: events.iter().map(|event| event.1).collect(),
        time: events.iter().map(|event| START + event.2 * SECOND).collect(),
        ..Events::default()
    };
    Log {
        events,
        items: ["a", "b", "c"].into_iter().collect(),
        users: ["ann", "bob", "cem"].into_iter().collect(),
        ..Log::default()
    }
}

fn rules(text: &str) -> CleanRules {
    text.parse().unwrap()
}

/// What is left: user and seconds.
fn left(log: &Log, text: &str) -> (Vec<(u32, i64)>, Finding) {
    let mut log = log.clone();
    let report = clean(&mut log, &rules(text));
    let times = log.events.time.iter().map(|time| (time - START) / SECOND);
    let left = log.events.user.iter().copied().zip(times).collect();
    (left, report.rules[0].clone())
}

#[test]
fn the_first_of_equal_rows_stays() {
    let mut log = log(&[(0, 1, 5), (0, 1, 5), (1, 1, 5), (0, 2, 5), (0, 1, 6), (0, 1, 5)]);
    let (kept, finding) = left(&log, "duplicates");
    assert_eq!(kept, [(0, 5), (1, 5), (0, 5), (0, 6)]);
    assert_eq!((finding.events, finding.left_out, finding.applies), (2, true, true));
    assert_eq!(finding.examples[0], "user ann, item b, 2024-01-01T00:00:05Z");
    // Another kind is another event.
    log.events.kind = vec![0, 1, 0, 0, 0, 1];
    assert_eq!(left(&log, "duplicates").1.events, 1);
    // So is another place in a log that says in which order things happened.
    for (place, stay) in [(2, 5), (9, 6)] {
        let events = Events { order: vec![1, 2, 3, 4, 5, place], ..log.events.clone() };
        assert_eq!(left(&Log { events, ..log.clone() }, "duplicates").0.len(), stay);
    }
    let (kept, finding) = left(&log, "duplicates:count");
    assert_eq!((kept.len(), finding.events, finding.left_out), (6, 1, false));
}

/// Whether two rows without a user are of the same one, only their session tells.
#[test]
fn nobody_is_no_user() {
    let mut log = log(&[(NONE, 1, 5), (NONE, 1, 5), (NONE, 1, 5), (NONE, 1, 1), (0, 2, 9)]);
    assert_eq!(left(&log, "duplicates").1.events, 0);
    assert_eq!(left(&log, "jump=2").1.events, 0);
    log.sessions = ["s", "t"].into_iter().collect();
    log.events.session = vec![0, 1, 0, 0, 1];
    let (kept, _) = left(&log, "duplicates");
    assert_eq!(kept, [(NONE, 5), (NONE, 5), (NONE, 1), (0, 9)]);
    let (kept, _) = left(&log, "jump=2");
    assert_eq!(kept, [(NONE, 5), (NONE, 5), (NONE, 5), (0, 9)]);
    // Without a session of its own, none of these is told from another.
    log.events.session = vec![0, 1, NONE, NONE, 1];
    assert_eq!(left(&log, "duplicates,jump=2").1.events, 0);
}

#[test]
fn by_default_nothing_goes() {
    let log = log(&[(0, 1, 5), (0, 1, 5), (0, 1, 1), (1, 1, -2_000_000_000)]);
    let mut cleaned = log.clone();
    let report = clean(&mut cleaned, &CleanRules::default());
    assert_eq!(cleaned.events.time, log.events.time);
    let counts: Vec<u64> = report.rules.iter().map(|finding| finding.events).collect();
    assert_eq!((counts, report.left_out()), (vec![1, 1, 1], 0));
}

#[test]
fn times_beside_the_bulk_are_those_of_another_age() {
    let day = 24 * 3600;
    let mut events: Vec<(u32, u32, i64)> = (0..300).map(|k| (0, 1, k * day / 10)).collect();
    // One in a hundred years, one in the fifties, one half a year late.
    events.extend([(1, 1, 36_500 * day), (1, 1, -12_800 * 2 * day), (2, 1, (30 + 180) * day)]);
    let (kept, finding) = left(&log(&events), "times");
    assert_eq!((kept.len(), finding.events), (301, 2));
    assert!(!kept.iter().any(|&(user, _)| user == 1));
    assert_eq!(left(&log(&events), "times=30").1.events, 3);
    // A log that is old as a whole is not strange to itself; nor are counters in place of times.
    for shift in [40 * 365 * day, START / SECOND] {
        let old: Vec<_> = events[..300].iter().map(|&(u, i, t)| (u, i, t - shift)).collect();
        assert_eq!(left(&log(&old), "times").1.events, 0);
    }
    let few = [(0, 1, 0), (0, 1, 1), (0, 1, 2), (0, 1, 36_500 * day)];
    assert_eq!(left(&log(&few), "times").0, [(0, 0), (0, 1), (0, 2)]);
    assert_eq!(left(&log(&few[..1]), "times").1.events, 0);
}

#[test]
fn clocks_that_run_back_are_found_in_the_order_of_lines() {
    let log = log(&[(0, 1, 100), (1, 1, 0), (0, 1, 90), (0, 1, 95), (0, 1, 10), (0, 1, 50)]);
    let (kept, finding) = left(&log, "jump=60");
    assert_eq!(kept, [(0, 100), (1, 0), (0, 90), (0, 95), (0, 50)]);
    assert_eq!(finding.events, 1);
    assert_eq!(left(&log, "jump=9").1.events, 2);
    assert_eq!(left(&log, "jump=10").1.events, 1);
    // Four rows are earlier than one above; none goes.
    let (kept, finding) = left(&log, "disorder");
    assert_eq!((kept.len(), finding.events, finding.left_out), (6, 4, false));
}

#[test]
fn users_with_too_many_events_go_whole() {
    // Three within an hour of the clock, and three across its end.
    let hour = HOUR / SECOND;
    let mut log = log(&[(0, 1, 0), (0, 1, 5), (0, 1, hour - 1), (0, 2, 90 * hour)]);
    let across = [(1, 1, hour - 2), (1, 1, hour - 1), (1, 1, hour)];
    for (user, item, time) in across {
        log.events.user.push(user);
        log.events.item.push(item);
        log.events.time.push(START + time * SECOND);
    }
    let (kept, finding) = left(&log, "hour=2");
    assert_eq!(kept, [(1, hour - 2), (1, hour - 1), (1, hour)]);
    assert_eq!((finding.events, finding.groups), (4, 1));
    assert_eq!(finding.examples, ["user ann: 3 events in the hour from 2024-01-01T00:00:00Z"]);
    assert_eq!(left(&log, "hour=3").1.events, 0);
    assert_eq!(left(&log, "day=2").0.len(), 0);
    assert_eq!(left(&log, "day=3").1.events, 0);
}

#[test]
fn pauses_that_are_all_alike_are_no_human_beings() {
    let mut events = Vec::new();
    let mut human = 0;
    for k in 0..40 {
        // A machine that rests every ten events, and somebody who does not keep time.
        events.push((0, 1, 30 * k + 5000 * (k / 10)));
        human += 1 + (k * k * 7) % 97;
        events.push((1, 1, human));
        events.push((2, 1, 100 * k));
        events.push((2, 1, 100 * k));
    }
    let (kept, finding) = left(&log(&events), "regular=20/0.05");
    assert!(kept.iter().all(|&(user, _)| user == 1), "{finding:?}");
    assert_eq!((finding.groups, finding.events), (2, 120));
    assert_eq!(left(&log(&events), "regular=40/0.05").1.groups, 0, "39 pauses");
    let still = log(&[(0, 1, 7); 50]);
    assert_eq!(left(&still, "regular=4/9").1.events, 0, "no pauses at all");
}

#[test]
fn a_burst_goes_and_the_rest_of_its_user_stays() {
    let times = [0, 100, 101, 102, 103, 110, 200, 201];
    let events: Vec<_> = times.iter().map(|&t| (0, 1, t)).collect();
    let (kept, finding) = left(&log(&events), "burst=3/3");
    assert_eq!(kept, [(0, 0), (0, 110), (0, 200), (0, 201)]);
    assert_eq!((finding.events, finding.groups), (4, 1));
    assert_eq!(finding.examples, ["user ann: 4 events in 3 s"]);
    assert_eq!(left(&log(&events), "burst=3/2").1.events, 0);
    assert_eq!(left(&log(&events), "burst=4/10").0.len(), 3, "five within ten seconds");
    // Bursts that overlap are each counted once.
    assert_eq!(left(&log(&events), "burst=1/1").1.events, 6);
}

#[test]
fn rules_are_applied_one_after_the_other() {
    let log = log(&[(0, 1, 5), (0, 1, 5), (0, 1, 6)]);
    assert_eq!(left(&log, "burst=2/1").0.len(), 0);
    let mut twice = log.clone();
    let report = clean(&mut twice, &rules("duplicates,burst=2/1"));
    assert_eq!((twice.events.len(), report.rules[1].events, report.left_out()), (2, 0, 1));
}

fn sessions(log: &Log) -> Sessions {
    let options = SessionOptions { rule: SessionRule::User, ..SessionOptions::default() };
    Sessions::from_log(log, &options).unwrap()
}

fn sessions_left(log: &Log, text: &str) -> (Vec<Vec<u32>>, Finding) {
    let mut report = CleanReport::default();
    let kept = clean_sessions(log, &sessions(log), &rules(text), &mut report);
    (kept.iter().map(<[u32]>::to_vec).collect(), report.rules[0].clone())
}

#[test]
fn repeats_and_long_sessions_go_when_sessions_are_made() {
    let mut log =
        log(&[(0, 1, 1), (0, 1, 2), (0, 2, 3), (0, 1, 4), (1, 2, 9), (1, 2, 10), (1, 2, 11)]);
    let (kept, finding) = sessions_left(&log, "repeats");
    assert_eq!(kept, [&[1, 2, 1][..], &[2]]);
    assert_eq!((finding.events, finding.groups), (3, 2));
    // A view and then a purchase of one item are two things, unless the item is all that counts.
    log.events.kind = vec![0, 1, 0, 0, 0, 0, 1];
    assert_eq!(sessions_left(&log, "repeats").0, [&[1, 1, 2, 1][..], &[2, 2]]);
    assert_eq!(sessions_left(&log, "repeats=item").0, [&[1, 2, 1][..], &[2]]);
    let (kept, finding) = sessions_left(&log, "length=3");
    assert_eq!(kept, [&[2, 2, 2][..]]);
    assert_eq!((finding.events, finding.groups), (4, 1));
    assert_eq!(sessions_left(&log, "length=3:count").0.len(), 2);
    let mut same = log.clone();
    assert_eq!(clean(&mut same, &rules("repeats,length=1")).rules.len(), 0);
}

#[test]
fn a_log_without_times_or_users_is_looked_at_as_far_as_it_goes() {
    let all = "duplicates,times,jump=1,disorder,hour=1,day=1,regular=4/1,burst=1/1";
    let mut timeless = log(&[(0, 1, 1), (0, 1, 1)]);
    timeless.events.time.clear();
    let report = clean(&mut timeless, &rules(all));
    assert!(report.rules.iter().all(|finding| !finding.applies && finding.events == 0));
    assert_eq!(timeless.events.len(), 2);

    let mut keyed = log(&[(0, 1, 1), (0, 1, 1), (1, 1, 1)]);
    keyed.events.session = std::mem::take(&mut keyed.events.user);
    keyed.sessions = ["s", "t"].into_iter().collect();
    let report = clean(&mut keyed, &rules("duplicates"));
    assert_eq!(report.rules[0].examples, ["session s, item b, 2024-01-01T00:00:01Z"]);

    let mut extreme = log(&[(0, 1, 0); 4]);
    extreme.events.time = vec![i64::MAX, i64::MIN, i64::MAX, i64::MIN];
    clean(&mut extreme, &rules(all));
    clean(&mut Log::default(), &rules(all));
    let mut report = CleanReport::default();
    clean_sessions(&Log::default(), &Sessions::default(), &rules("repeats"), &mut report);
}
