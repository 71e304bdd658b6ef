//! Portraits of a small log, counted by hand.

use super::*;
use crate::{Events, SessionOptions, SessionRule};

const HOUR: i64 = 3_600_000;

/// Two users who buy rugs in the evening of a Saturday, two who look at lamps on a Monday morning, of which one has
/// been there before.
fn log() -> Log {
    // 1970-01-03 was a Saturday, 01-05 a Monday.
    let rows: &[(u32, i64, u32, u32, f32)] = &[
        (0, 2 * DAY + 20 * HOUR, 0, 0, 10.0),
        (0, 2 * DAY + 20 * HOUR + 1, 1, 0, 10.0),
        (1, 2 * DAY + 21 * HOUR, 1, 0, 30.0),
        (2, 4 * DAY + 7 * HOUR, 0, 1, 5.0),
        (3, 7 * HOUR, 0, 1, 5.0),
        (3, 4 * DAY + 8 * HOUR, 0, 1, 5.0),
        (3, 4 * DAY + 8 * HOUR + 1, 0, 0, 5.0),
    ];
    let column =
        |of: fn(&(u32, i64, u32, u32, f32)) -> u32| rows.iter().map(of).collect::<Vec<_>>();
    let events = Events {
        item: column(|row| row.3),
        user: column(|row| row.0),
        time: rows.iter().map(|row| row.1).collect(),
        kind: column(|row| row.2),
        category: column(|row| row.3),
        price: rows.iter().map(|row| row.4).collect(),
        ..Events::default()
    };
    Log {
        events,
        users: ["a", "b", "c", "d"].into_iter().collect(),
        items: ["rug-1", "lamp-1"].into_iter().collect(),
        categories: ["rug", "lamp"].into_iter().collect(),
        kinds: ["view", "purchase"].into_iter().collect(),
        ..Log::default()
    }
}

fn portraits(of_owner: &[u32], count: usize) -> Portraits {
    let log = log();
    let options = SessionOptions { rule: SessionRule::Gap, ..SessionOptions::default() };
    let sessions = Sessions::from_log(&log, &options).unwrap();
    let owners: Vec<u32> = (0..sessions.len()).map(|s| sessions.user(s).unwrap()).collect();
    Portraits::of(
        &log,
        &sessions,
        Groups { owners: &owners, of_owner, count, items: true },
        &Zone::default(),
    )
}

#[test]
fn a_group_is_what_its_users_did() {
    let found = portraits(&[0, 0, 1, 1], 2);
    let [buyers, lookers] = &found.groups[..] else { panic!("two groups") };
    assert_eq!((buyers.users, buyers.sessions, buyers.events), (2, 2, 3));
    assert_eq!((lookers.users, lookers.sessions, lookers.events), (2, 3, 4));
    assert_eq!((lookers.sessions_per_user, lookers.events_per_session), (1.5, 4.0 / 3.0));
    assert_eq!((found.all.users, found.all.events, found.purchases_by), (4, 7, Some("kind")));
    let buying = buyers.buying.unwrap();
    assert_eq!((buying.purchases, buying.per_user, buying.buyers), (2, 1.0, 1.0));
    assert_eq!((buying.share_of_sessions, buying.share_of_events), (1.0, 2.0 / 3.0));
    let spend = buying.spend.unwrap();
    assert_eq!((spend.total, spend.per_user, spend.median_of_buyers), (40.0, 20.0, 10.0));
    let none = lookers.buying.unwrap();
    assert_eq!((none.purchases, none.buyers, none.spend.unwrap().total), (0, 0.0, 0.0));
    assert_eq!(lookers.kinds, [Share { name: "view".to_owned(), share: 1.0 }]);
}

#[test]
fn days_and_hours_are_counted_from_the_end_and_by_the_clock() {
    let found = portraits(&[0, 0, 1, 1], 2);
    let when = |group: usize| found.groups[group].when.as_ref().unwrap();
    // The last event is at 8 on Monday; b left at 21 on Saturday, c at 7 on Monday.
    let hours = |days: f64| (days * 24.0).round();
    assert_eq!((hours(when(0).recency_days), hours(when(1).recency_days)), (35.0, 0.0));
    assert_eq!((when(0).days_between, hours(when(1).days_between.unwrap())), (None, 97.0));
    assert_eq!((when(0).weekdays[5], when(1).weekdays[0]), (1.0, 0.75));
    let of_day = when(0).hours.as_ref().unwrap();
    assert_eq!((of_day[20], of_day[21]), (2.0 / 3.0, 1.0 / 3.0));
}

#[test]
fn who_is_in_no_group_counts_among_everybody() {
    let found = portraits(&[0, NONE, 0, 0], 1);
    assert_eq!((found.groups[0].users, found.all.users), (3, 4));
    let empty = portraits(&[NONE; 4], 1);
    assert_eq!((empty.groups[0].users, empty.groups[0].when.is_none()), (0, true));
}

/// Many users, so that there is support.
fn crowd() -> (Log, Vec<u32>) {
    let mut events = Events::default();
    let mut groups = Vec::new();
    for user in 0..40u32 {
        let group = user % 2;
        groups.push(group);
        for at in 0..10u32 {
            // Nine of ten events in the group's own category.
            let category = if at < 9 { group } else { 1 - group };
            events.item.push(category);
            events.category.push(category);
            events.user.push(user);
        }
    }
    let users = (0..40).map(|user| format!("u{user}")).collect::<Vec<_>>();
    let log = Log {
        events,
        users: users.iter().map(String::as_str).collect(),
        items: ["rug-1", "lamp-1"].into_iter().collect(),
        categories: ["rug", "lamp"].into_iter().collect(),
        ..Log::default()
    };
    (log, groups)
}

#[test]
fn what_a_group_looks_at_more_than_everybody_is_named_with_its_support() {
    let (log, of_owner) = crowd();
    let sessions = Sessions::from_log(&log, &SessionOptions::default()).unwrap();
    let owners: Vec<u32> = (0..sessions.len()).map(|s| sessions.user(s).unwrap()).collect();
    let groups = Groups { owners: &owners, of_owner: &of_owner, count: 2, items: true };
    let found = Portraits::of(&log, &sessions, groups, &Zone::default());
    let [lift] = &found.groups[0].categories[..] else { panic!("{:?}", found.groups[0]) };
    assert_eq!((lift.name.as_str(), lift.events, lift.users), ("rug", 180, 20));
    assert!((lift.share - 0.9).abs() < 1e-12 && (lift.lift - 1.8).abs() < 1e-12);
    assert_eq!(found.groups[1].items[0].name, "lamp-1");
    assert_eq!((found.purchases_by, found.groups[0].when.is_none()), (None, true));
    assert_eq!(group_names(&found), ["Rug", "Lamp"]);
}

#[test]
fn names_say_what_sets_groups_apart_and_differ() {
    let found = portraits(&[0, 0, 1, 1], 2);
    let marks = group_marks(&found.groups[0], &found.all);
    assert!(marks.iter().all(|mark| mark.ratio >= 1.25 || mark.ratio <= 0.8), "{marks:?}");
    let bought = marks.iter().find(|mark| mark.what == "purchases a user").unwrap();
    assert_eq!((bought.here, bought.all, bought.ratio), (1.0, 0.5, 2.0));
    let names = group_names(&found);
    assert_ne!(names[0], names[1]);
    let same = Portraits { groups: vec![found.all.clone(); 2], ..found };
    assert_eq!(group_names(&same), ["Like everybody", "Like everybody (2)"]);
}
