//! The files: complete, consistent with each other, and the same for the same seed.

use std::collections::{BTreeSet, HashMap};
use std::io;

use super::tiny;
use crate::simulator::{
    Kind, Shop, ShopConfig, SimulatorError, Size, Summary, Truth, User, simulate,
};

fn written(shop: &Shop, size: Size) -> (Summary, [String; 3]) {
    let mut files = [Vec::new(), Vec::new(), Vec::new()];
    let [log, users, causes] = &mut files;
    let summary = simulate(shop, size, log, Some(Truth { users, causes, uplift: None })).unwrap();
    (summary, files.map(|file| String::from_utf8(file).unwrap()))
}

#[test]
fn a_user_is_the_same_whoever_else_there_is() {
    let shop = Shop::new(ShopConfig::default(), 1).unwrap();
    let (_, few) = written(&shop, Size::Users(20));
    let (_, many) = written(&shop, Size::Users(60));
    for (few, many) in few.iter().zip(&many) {
        assert!(many.starts_with(few.as_str()) && many.len() > few.len());
    }
    let other = Shop::new(ShopConfig::default(), 2).unwrap();
    assert_ne!(written(&other, Size::Users(20)).1[0], few[0]);
}

#[test]
fn a_log_has_at_least_the_events_asked_for_and_no_user_more() {
    let shop = Shop::new(ShopConfig::default(), 1).unwrap();
    let (summary, [log, ..]) = written(&shop, Size::Events(2_000));
    assert_eq!(log.lines().count() as u64, 1 + summary.events);
    let last = User::new(&shop, summary.users - 1);
    let of_last: usize = last.sessions.iter().map(|session| session.events.len()).sum();
    assert!(summary.events >= 2_000 && summary.events - (of_last as u64) < 2_000);
}

/// Every purchase has a cause; the times in it are those of the log; the truth has every session.
/// In the tiny shop the same item is bought twice in a session, each time for a reason of its own.
#[test]
fn the_three_files_tell_one_story() {
    one_story(&Shop::new(ShopConfig::default(), 1).unwrap());
    let causes = one_story(&Shop::new(tiny(), 1).unwrap());
    assert_eq!(causes, ["accessory", "detour", "route"]);
}

/// Compares the three files line by line and returns the causes that occur.
fn one_story(shop: &Shop) -> Vec<String> {
    let (summary, [log, truth, causes]) = written(shop, Size::Events(30_000));
    let rows = |text: &str| -> Vec<Vec<String>> {
        text.lines().skip(1).map(|row| row.split(',').map(String::from).collect()).collect()
    };
    let mut times: HashMap<(String, String, String), Vec<String>> = HashMap::new();
    let mut purchases = Vec::new();
    let mut sessions = Vec::new();
    let mut before = (String::new(), String::new());
    for row in rows(&log) {
        let [user, session, time, kind, item, category, price] = &row[..] else {
            panic!("{row:?}")
        };
        assert!(session.starts_with(&format!("{user}.")) && item.starts_with(category.as_str()));
        assert!(price.parse::<f64>().unwrap() > 0.0);
        if before.0 == *session {
            assert!(before.1 < *time, "times of a session rise: {row:?}");
        } else {
            sessions.push(session.clone());
        }
        before = (session.clone(), time.clone());
        let key = (session.clone(), kind.clone(), item.clone());
        times.entry(key).or_default().push(time.clone());
        if kind == "purchase" {
            purchases.push((session.clone(), time.clone(), item.clone()));
        }
    }
    let truth = rows(&truth);
    assert_eq!(truth.iter().map(|row| row[2].clone()).collect::<Vec<_>>(), sessions);
    assert_eq!(truth.len() as u64, summary.sessions);
    assert_eq!(purchases.len() as u64, summary.purchases);

    let causes = rows(&causes);
    let of_causes = causes.iter().map(|row| (row[1].clone(), row[2].clone(), row[3].clone()));
    assert_eq!(of_causes.collect::<Vec<_>>(), purchases);
    let mut seen = BTreeSet::new();
    let mut bought = HashMap::new();
    for row in &causes {
        let [_, session, time, item, _, viewed, carted, _, cause, of] = &row[..] else {
            panic!("{row:?}")
        };
        let of_kind = |kind: &str| &times[&(session.clone(), kind.into(), item.clone())];
        assert!(of_kind("view").contains(viewed) && of_kind("cart").contains(carted), "{row:?}");
        assert!(viewed < carted && carted < time, "{row:?}");
        assert_eq!(cause == "accessory", !of.is_empty(), "{row:?}");
        if let Some(earlier) = bought.insert((session, item), time) {
            assert!(earlier < viewed, "{row:?}");
        }
        seen.insert(cause.clone());
    }
    seen.into_iter().collect()
}

/// The last session of a user wants what the first one of a user of that type might have wanted, and
/// more often than by chance what the session before wanted.
#[test]
fn interests_drift_and_keep_their_shares() {
    let shop = Shop::new(tiny(), 1).unwrap();
    let missions = shop.config.missions;
    let mut counts = vec![vec![0.0; missions]; shop.config.types.len()];
    let (mut same, mut all) = (0.0, 0.0);
    for user in (0..6_000).map(|number| User::new(&shop, number)) {
        if let [.., before, last] = &user.sessions[..] {
            counts[user.of][last.interest.mission] += 1.0;
            same += f64::from(u8::from(before.interest.mission == last.interest.mission));
            all += 1.0;
        }
    }
    for (of, counts) in counts.iter().enumerate() {
        let users: f64 = counts.iter().sum();
        for (count, share) in counts.iter().zip(&shop.missions[of].shares) {
            let allowed = 4.0 * (users * share * (1.0 - share)).sqrt();
            assert!((count - users * share).abs() < allowed, "type {of}: {counts:?}");
        }
    }
    assert!((0.5..0.9).contains(&(same / all)), "{same} of {all}");
}

/// A fifth of the items has more than twice its share of the events, and the first item ten times
/// those of the last.
#[test]
fn popularity_is_skewed() {
    let shop = Shop::new(ShopConfig::default(), 1).unwrap();
    let mut counts = vec![0u32; shop.items()];
    for number in 0..1_000 {
        let sessions = User::new(&shop, number).sessions;
        sessions.iter().flat_map(|session| &session.events).for_each(|e| counts[e.item] += 1);
    }
    counts.sort_unstable_by(|a, b| b.cmp(a));
    let (top, all) = (counts[..counts.len() / 5].iter().sum::<u32>(), counts.iter().sum::<u32>());
    assert!(f64::from(top) > 0.4 * f64::from(all), "{top} of {all}");
    assert!(counts[0] > 10 * counts[counts.len() - 1], "{counts:?}");
}

/// The items of a session tell the kinds, which is why the filter need not be told.
#[test]
fn items_tell_kinds() {
    let shop = Shop::new(tiny(), 1).unwrap();
    for session in (0..500).flat_map(|number| User::new(&shop, number).sessions) {
        let (mut last, mut cart) = (None, None);
        for event in &session.events {
            let kind = match Some(event.item) {
                item if item == cart => Kind::Purchase,
                item if item == last => Kind::Cart,
                _ => Kind::View,
            };
            assert_eq!(event.kind, kind, "{session:?}");
            last = Some(event.item);
            match kind {
                Kind::View => {}
                Kind::Cart => cart = last,
                Kind::Purchase => cart = None,
            }
        }
        assert!((2..=9).contains(&session.events.len()));
    }
}

#[test]
fn bad_configurations_and_writers_are_errors() {
    let wrong = ShopConfig { items_per_cell: 2, ..ShopConfig::default() };
    let text = Shop::new(wrong, 1).unwrap_err().to_string();
    assert_eq!(text, "simulated shop: items_per_cell: 2 is not between 3 and 1000");
    let wrong = ShopConfig { mission_drift: f64::NAN, ..ShopConfig::default() };
    assert!(Shop::new(wrong, 1).is_err());

    struct Full;
    impl io::Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let shop = Shop::new(ShopConfig::default(), 1).unwrap();
    let error = simulate(&shop, Size::Users(1), &mut Full, None).unwrap_err();
    assert!(matches!(error, SimulatorError::Write(_)));
}
