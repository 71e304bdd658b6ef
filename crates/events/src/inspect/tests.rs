//! Reports of whole logs, and what they advise.

use super::*;
use crate::{CleanRules, Events, FeatureSpecs, FillRules, Split, Window};

const SECOND: i64 = 1000;
const DAY: i64 = 86_400 * SECOND;
/// 2024-01-01, a Monday.
const START: i64 = 1_704_067_200_000;

fn report(log: &Log) -> Report {
    let options = SessionOptions::default();
    let sessions = Sessions::from_log(log, &options).unwrap();
    let summary = Summary::of(log, &sessions, 1, 2);
    Report::new(log, &sessions, &summary, &options, &Zone::default()).unwrap()
}

fn names(prefix: &str, n: u32) -> crate::Names {
    let names: Vec<String> = (0..n).map(|k| format!("{prefix}{k}")).collect();
    names.iter().map(String::as_str).collect()
}

/// Forty users who are as they should be, every day for two weeks, by day and by night, on every item.
fn healthy() -> Log {
    let mut e = Events::default();
    for day in 0..14 {
        for user in 0..40u32 {
            for step in 0..5u32 {
                let at = i64::from(user) * 36 * 60
                    + i64::from(step * (40 + 7 * (user % 9)))
                    + i64::from(step) * 13 * (day % 5);
                e.user.push(user);
                e.item.push((user * 7 + step * (1 + user % 3) + day as u32) % 50);
                e.time.push(START + day * DAY + at * SECOND);
            }
        }
    }
    Log { events: e, items: names("i", 70), users: names("u", 50), ..Log::default() }
}

/// The same with everything wrong with it.
fn sick() -> Log {
    let mut log = healthy();
    let n = log.events.len();
    log.events.time.iter_mut().for_each(|time| *time -= (*time - START).rem_euclid(DAY) / 2);
    let mut add = |user: u32, item: u32, time: i64| {
        log.events.user.push(user);
        log.events.item.push(item);
        log.events.time.push(time);
    };
    // Duplicates and repeats, a bot, a stray, items seen once.
    (0..20).for_each(|_| add(40, 1, START + DAY));
    (0..1500).for_each(|k| add(41, 2, START + 13 * DAY + 2 * k * SECOND));
    add(42, 3, START - 40 * DAY);
    (50..70).for_each(|item| add(43, item, START + 3 * DAY + i64::from(item) * 60 * SECOND));
    let all = log.events.len();
    log.events.price = (0..all).map(|k| if k % 5 == 0 { f32::NAN } else { k as f32 }).collect();
    log.events.category =
        (0..all).map(|k| if k % 5 == 0 { NONE } else { log.events.item[k] % 4 }).collect();
    log.categories = names("c", 4);
    log.events.kind = (0..all).map(|k| u32::from(k % 10 == 0 && k < n)).collect();
    log.kinds = ["view", "buy"].into_iter().collect();
    log.report.rows = 1000;
    log.report.bad.count = 33;
    log
}

#[test]
fn nothing_is_advised_where_nothing_is_wrong() {
    let advice = report(&healthy()).advice;
    let flags: Vec<_> = advice.iter().map(|a| (a.flag, &a.value[..])).collect();
    assert_eq!(flags, [("--features", "gap")], "{advice:#?}");
}

#[test]
fn every_ill_has_its_remedy() {
    let report = report(&sick());
    let has = |flag: &str, value: &str| {
        let found = report.advice.iter().any(|a| a.flag == flag && a.value == value);
        assert!(found, "{flag} {value} is missing in {:#?}", report.advice);
    };
    has("--max-bad", "0.04");
    has("--from", "2024-01-01");
    has("--clean", "duplicates");
    has("--clean", "hour=300");
    has("--clean", "day=1000");
    has("--clean", "regular=50/0.05");
    has("--clean", "repeats");
    has("--clean", "length=500");
    has("--fill", "price=item+flag");
    has("--fill", "category=recent");
    has("--features", "kind");
    has("--features", "category");
    has("--features", "price,price.missing");
    has("--features", "hour");
    has("--window", "40");
    has("--min-support", "5");
    let joined = flags(&report.advice, "train");
    let clean = joined.iter().find(|(flag, _)| *flag == "--clean").unwrap();
    assert!(clean.1.starts_with("duplicates,hour=300,day=1000"), "{joined:?}");
    assert!(flags(&report.advice, "prepare").iter().all(|(flag, _)| *flag != "--fill"));
}

/// Hours and weekdays are told by the clock that they were counted by.
#[test]
fn features_of_the_clock_name_its_zone() {
    let mut log = sick();
    // All on Mondays and Tuesdays, for three weeks.
    for time in &mut log.events.time {
        let day = (*time - START).div_euclid(DAY).rem_euclid(14);
        *time += (day / 2 * 7 + day % 2 - day) * DAY;
    }
    let options = SessionOptions::default();
    let sessions = Sessions::from_log(&log, &options).unwrap();
    let summary = Summary::of(&log, &sessions, 1, 2);
    let zone: Zone = "Asia/Shanghai".parse().unwrap();
    let report = Report::new(&log, &sessions, &summary, &options, &zone).unwrap();
    for feature in ["hour:zone=480", "weekday:zone=480"] {
        let found = report.advice.iter().any(|a| a.value == feature);
        assert!(found, "{feature}: {:#?}", report.advice);
    }
}

/// A rule about all times is for those who have them at once.
#[test]
fn each_verb_gets_what_it_takes() {
    let mut log = healthy();
    for user in 0..10 {
        log.events.user.push(user);
        log.events.item.push(1);
        log.events.time.push(START + (9000 + i64::from(user)) * DAY);
    }
    let advice = report(&log).advice;
    let clean = |verb: &str| flags(&advice, verb).into_iter().find(|flag| flag.0 == "--clean");
    let of_train = clean("train").map_or(String::new(), |flag| flag.1);
    assert!(of_train.contains("times=365"), "{advice:#?}");
    assert!(clean("prepare").is_none_or(|flag| !flag.1.contains("times")), "{advice:#?}");
}

/// Shares of a handful of events say nothing.
#[test]
fn a_handful_of_events_gets_no_advice_on_learning() {
    let mut e = Events::default();
    for k in 0..200u32 {
        e.user.push(k / 100);
        e.item.push(k % 100);
        e.kind.push(k % 2);
        e.price.push(k as f32);
        e.time.push(START + i64::from(k) * (if k < 100 { 61 } else { 7 }) * SECOND);
    }
    let kinds = ["view", "buy"].into_iter().collect();
    let log =
        Log { events: e, items: names("i", 100), users: names("u", 2), kinds, ..Log::default() };
    let found = report(&log);
    assert_eq!(found.untrainable, None);
    let learning = ["--features", "--window", "--min-support"];
    assert!(!found.advice.iter().any(|a| learning.contains(&a.flag)), "{:#?}", found.advice);
}

#[test]
fn what_cannot_be_trained_on_is_said() {
    let of = |users: Vec<u32>, format| {
        let n = users.len();
        let events = Events { item: vec![0; n], user: users, ..Events::default() };
        let mut log = Log { events, items: names("i", 1), users: names("u", 9), ..Log::default() };
        log.report.format = format;
        let found = report(&log);
        (found.untrainable.is_some(), found.advice.is_empty())
    };
    // Every second event repeats the one before.
    assert_eq!(of(vec![0, 0, 1, 1], crate::Format::Csv), (false, false));
    assert_eq!(of(vec![0, 0, 1, 2], crate::Format::Csv), (true, false));
    assert_eq!(of(vec![0, 0, 1, 1], crate::Format::Pairs), (true, true));
}

/// Each value is read by what reads the flag.
#[test]
fn advice_is_understood() {
    let mut users = sick();
    users.events.session = (0..users.events.len() as u32).collect();
    let mut growing = healthy();
    for k in 0..20_000i64 {
        growing.events.user.push(44);
        growing.events.item.push((k % 50) as u32);
        growing.events.time.push(START + 20 * DAY + k * 3600 * SECOND / 1000);
    }
    let mut keyless = healthy();
    keyless.events.time.clear();
    let mut seen = std::collections::BTreeSet::new();
    for log in [healthy(), sick(), users, growing, keyless] {
        let advice = report(&log).advice;
        for one in &advice {
            assert!(!one.verbs.is_empty() && !one.reason.is_empty() && !one.finding.is_empty());
        }
        for (flag, value) in flags(&advice, "train") {
            seen.insert(flag);
            match flag {
                "--clean" => drop(value.parse::<CleanRules>().unwrap()),
                "--fill" => drop(value.parse::<FillRules>().unwrap()),
                "--features" => drop(value.parse::<FeatureSpecs>().unwrap()),
                "--split" => drop(value.parse::<Split>().unwrap()),
                "--sessions" => drop(value.parse::<SessionRule>().unwrap()),
                "--from" => drop(Window::parse(Some(&value), None, &Zone::default()).unwrap()),
                "--until" => drop(Window::parse(None, Some(&value), &Zone::default()).unwrap()),
                "--min-support" | "--window" => drop(value.parse::<u32>().unwrap()),
                "--max-bad" => assert!((0.0..=1.0).contains(&value.parse::<f64>().unwrap())),
                other => panic!("{other} is advised and not checked"),
            }
        }
    }
    let seen: Vec<_> = seen.into_iter().collect();
    assert!(seen.len() >= 8, "{seen:?}");
}

#[test]
fn a_log_that_lacks_everything_is_looked_at_as_far_as_it_goes() {
    let events = Events { item: vec![0], session: vec![0], ..Events::default() };
    let log = Log { events, items: names("i", 1), ..Log::default() };
    let found = report(&log);
    assert_eq!((found.calendar, found.pauses, found.kinds), (None, None, None));
    assert_eq!((found.lengths.single, found.popularity.once), (1, 1));
    assert_eq!((found.sessions_by, found.advice.len()), ("key", 0));
    assert_eq!(found.novelty.new, [Some(1.0)]);
    let empty = report(&Log::default());
    assert!(empty.advice.is_empty() && empty.repeats.is_empty());
    serde_json::to_string(&empty).unwrap();
}

#[test]
fn a_report_is_small_however_large_the_log() {
    let text = serde_json::to_string(&report(&sick())).unwrap();
    assert!(text.len() < 40_000, "{}", text.len());
}
