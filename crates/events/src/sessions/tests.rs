//! Who belongs together, in what order, and what is left out.

use super::*;
use crate::Events;

/// A log of items named by their numbers; no users, sessions or times yet.
fn log(item: &[u32]) -> Log {
    let names: Vec<String> = (0..10).map(|item| format!("i{item}")).collect();
    Log {
        events: Events { item: item.to_vec(), ..Events::default() },
        items: names.iter().map(String::as_str).collect(),
        users: ["ann", "bob"].into_iter().collect(),
        ..Log::default()
    }
}

fn all(sessions: &Sessions) -> Vec<&[u32]> {
    sessions.iter().collect()
}

const MINUTE: i64 = 60_000;

#[test]
fn a_key_groups_and_time_then_order_then_line_put_in_order() {
    let mut log = log(&[1, 2, 3, 4, 5, 6]);
    log.events.session = vec![0, 1, 0, 0, 1, 0];
    log.events.time = vec![50, 10, 40, 50, 10, 50];
    log.events.order = vec![2, 0, 9, 1, 0, 2];
    let sessions = Sessions::from_log(&log, &SessionOptions::default()).unwrap();
    // Session 1 starts at 10, session 0 at 40.
    assert_eq!(all(&sessions), [&[2, 5][..], &[3, 4, 1, 6]]);
    assert_eq!((sessions.start(0), sessions.start(1)), (Some(10), Some(40)));
    assert_eq!((sessions.key(0), sessions.key(1)), (Some(1), Some(0)));
}

#[test]
fn one_key_of_two_users_is_two_sessions() {
    let mut log = log(&[1, 2, 3]);
    log.events.session = vec![0, 0, 0];
    log.events.user = vec![0, 1, 0];
    let sessions = Sessions::from_log(&log, &SessionOptions::default()).unwrap();
    assert_eq!(all(&sessions), [&[1, 3][..], &[2]]);
    assert_eq!((sessions.user(0), sessions.user(1)), (Some(0), Some(1)));
    assert_eq!(sessions.start(0), None);
}

#[test]
fn a_pause_longer_than_the_gap_ends_a_session() {
    let mut log = log(&[1, 2, 3, 4]);
    log.events.user = vec![0, 0, 0, 1];
    log.events.time = vec![0, 30 * MINUTE, 60 * MINUTE + 1, 5];
    let options = SessionOptions::default();
    let sessions = Sessions::from_log(&log, &options).unwrap();
    assert_eq!(all(&sessions), [&[1, 2][..], &[4], &[3]]);
    assert_eq!(sessions.latest_of_user(0), Some(2));

    let user = SessionOptions { rule: SessionRule::User, ..options };
    assert_eq!(all(&Sessions::from_log(&log, &user).unwrap()), [&[1, 2, 3][..], &[4]]);
}

/// Users whom the log does not name are not one user.
#[test]
fn events_without_a_user_belong_to_their_session_or_stand_alone() {
    let mut log = log(&[1, 2, 3, 4, 5]);
    log.events.user = vec![0, NONE, NONE, 0, NONE];
    let options = SessionOptions { rule: SessionRule::User, ..SessionOptions::default() };
    let sessions = Sessions::from_log(&log, &options).unwrap();
    assert_eq!(all(&sessions), [&[1, 4][..], &[2], &[3], &[5]]);
    assert_eq!((sessions.user(0), sessions.user(1)), (Some(0), None));

    log.events.session = vec![0, 1, 2, 3, 1];
    let sessions = Sessions::from_log(&log, &options).unwrap();
    assert_eq!(all(&sessions), [&[1, 4][..], &[2, 5], &[3]]);
}

#[test]
fn extreme_times_do_not_overflow() {
    let mut log = log(&[1, 2]);
    log.events.user = vec![0, 0];
    log.events.time = vec![i64::MIN, i64::MAX];
    let sessions = Sessions::from_log(&log, &SessionOptions::default()).unwrap();
    assert_eq!(all(&sessions), [&[1][..], &[2]]);
}

#[test]
fn a_rule_that_the_log_cannot_serve_is_refused() {
    let mut log = log(&[1]);
    for (rule, part) in [
        (SessionRule::Auto, "a key or a user"),
        (SessionRule::Key, "session keys"),
        (SessionRule::Gap, "users"),
        (SessionRule::User, "users"),
    ] {
        let options = SessionOptions { rule, ..SessionOptions::default() };
        let error = Sessions::from_log(&log, &options).unwrap_err().to_string();
        assert!(error.contains(part) && error.contains("--columns"), "{error}");
    }
    log.events.user = vec![0];
    let options = SessionOptions { rule: SessionRule::Gap, ..SessionOptions::default() };
    let error = Sessions::from_log(&log, &options).unwrap_err();
    assert!(matches!(error, Error::NoTimes { .. }), "{error}");
}

#[test]
fn events_that_go_take_emptied_sessions_along() {
    let sessions = Sessions::from_raw(&[2, 1, 0, 3], &[7, 8, 9, 10]);
    let kept = sessions.without(&[1, 2, 4]);
    assert_eq!(all(&kept), [&[0][..], &[], &[3, 5]]);
    assert_eq!((kept.log_events(), kept.start(2)), (&[0, 3, 5][..], Some(10)));
    assert_eq!(sessions.without(&[]), sessions);
}

/// Item 3 is rare. Without it the second session is too short; without that session item 2 is
/// rare; without item 2 the third session is too short; items 0 and 1 stay.
#[test]
fn support_and_length_are_taken_in_turns() {
    let mut sessions = Sessions::from_raw(&[4, 2, 2], &[]);
    sessions.set_items(&[0, 1, 0, 1, 2, 3, 1, 2]);
    let (kept, dropped) = sessions.keep(2, 2);
    assert_eq!(all(&kept), [&[0, 1, 0, 1][..]]);
    assert_eq!(kept.log_events(), [0, 1, 2, 3]);
    assert_eq!(dropped, Dropped { items: 2, rare_events: 2, sessions: 2, short_events: 2 });

    let (kept, dropped) = sessions.keep(1, 1);
    assert_eq!((kept, dropped), (sessions, Dropped::default()));
}

/// Whole users fall into visits by key, and without keys by pauses; each visit knows when it began.
#[test]
fn users_are_cut_into_visits() {
    let read = |text: &str| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.csv");
        std::fs::write(&path, text).unwrap();
        crate::read(&[path], &crate::ReadOptions::default()).unwrap()
    };
    let options = SessionOptions { rule: SessionRule::User, ..SessionOptions::default() };
    let keyed = "user,session,time,item\na,s1,100,x\nb,s9,150,z\na,s1,9000,y\na,s2,9001,x\n";
    let paused = "user,time,item\na,100,x\nb,150,z\na,1900,y\na,3701,x\n";
    for (text, lengths) in [(keyed, [2, 1, 1]), (paused, [2, 1, 1])] {
        let log = read(text);
        let users = Sessions::from_log(&log, &options).unwrap();
        assert_eq!(users.len(), 2);
        let visits = users.visits(&log, 30 * 60 * 1000);
        let found: Vec<usize> = visits.iter().map(<[u32]>::len).collect();
        assert_eq!(found, lengths, "{text}");
        let owners: Vec<&str> =
            (0..3).map(|visit| log.users.get(visits.user(visit).unwrap())).collect();
        assert_eq!(owners, ["a", "b", "a"]);
        let first = |visit: usize| log.time(visits.log_events()[visits.range(visit)][0]);
        assert!((0..3).all(|visit| visits.start(visit) == first(visit)));
        assert_eq!(visits.before(&log, 3_600_000).len(), 2);
    }
}
