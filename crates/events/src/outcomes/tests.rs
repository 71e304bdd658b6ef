//! Both sides of a moment, by hand.

use super::*;
use crate::{Error, Events, SessionOptions, SessionRule, Zone};

const HOUR: i64 = 60 * 60 * 1000;
const DAY: i64 = 24 * HOUR;

/// User, hour, kind (0 view, 1 cart, 2 buy), price.
fn log(events: &[(u32, i64, u32, f32)]) -> Log {
    let events = Events {
        item: (0..events.len() as u32).map(|k| k % 3).collect(),
        user: events.iter().map(|event| event.0).collect(),
        time: events.iter().map(|event| event.1 * HOUR).collect(),
        kind: events.iter().map(|event| event.2).collect(),
        price: events.iter().map(|event| event.3).collect(),
        ..Events::default()
    };
    let items = ["a", "b", "c"].into_iter().collect();
    let kinds = ["view", "cart", "buy"].into_iter().collect();
    Log { events, items, kinds, users: ["ann", "bob"].into_iter().collect(), ..Log::default() }
}

fn users(log: &Log) -> Sessions {
    let options = SessionOptions { rule: SessionRule::User, ..SessionOptions::default() };
    Sessions::from_log(log, &options).unwrap()
}

/// Ann looks, puts into the cart, buys twice at once, and once more later.
const ANN: [(u32, i64, u32, f32); 6] = [
    (0, 0, 0, 1.0),
    (0, 24, 1, 2.0),
    (0, 25, 2, 4.0),
    (0, 25, 2, 8.0),
    (0, 48, 0, 16.0),
    (0, 72, 2, 32.0),
];

#[test]
fn what_came_true_begins_with_the_moment_and_ends_before_the_horizon() {
    let log = log(&ANN);
    let sessions = users(&log);
    let histories = Histories::new(&log, &sessions, Buys::new(&log, &BuyRule::Meant));
    let outcome = |at: i64, hours: i64| histories.outcome(0, at * HOUR, hours * HOUR);
    let expected = Outcome { events: 4, orders: 1, spend: 12.0, wait: 0 };
    assert_eq!(outcome(24, 25), expected);
    assert_eq!(outcome(24, 24), Outcome { events: 3, ..expected });
    assert_eq!(outcome(25, 48), Outcome { orders: 2, spend: 44.0, events: 4, ..expected });
    assert_eq!(outcome(25, 47), Outcome { events: 3, ..expected });
    let silent = outcome(49, 23);
    assert!(silent.is_silent() && !silent.buys());
    assert_eq!((silent.wait, outcome(49, 30).wait), (23 * HOUR, 23 * HOUR));
    assert_eq!(outcome(73, 5), Outcome { events: 0, orders: 0, spend: 0.0, wait: 5 * HOUR });
    assert_eq!(histories.known(0, 25 * HOUR), 2);
}

#[test]
fn what_is_known_in_numbers() {
    let log = log(&ANN);
    let sessions = users(&log);
    let histories = Histories::new(&log, &sessions, Buys::new(&log, &BuyRule::Meant));
    let moment = histories.moment(0, 96 * HOUR, 2 * DAY, &Zone::default());
    let named = |name: &str| moment[MOMENT.iter().position(|&other| other == name).unwrap()];
    for (name, value) in [
        ("since_last_event", 1.0),
        ("since_last_order", 1.0),
        ("since_first_event", 4.0),
        ("days_between_orders", 47.0 / 24.0),
        ("events", 6.0),
        ("views", 2.0),
        ("carts", 1.0),
        ("favourites", 0.0),
        ("purchases", 3.0),
        ("orders", 2.0),
        ("items", 3.0),
        ("active_days", 4.0),
        ("spend", 44.0),
        ("spend_per_order", 22.0),
        ("recent_events", 2.0),
        ("recent_carts", 0.0),
        ("recent_orders", 1.0),
        ("recent_spend", 32.0),
        ("last_day_events", 1.0),
        ("last_hour_events", 0.0),
    ] {
        assert_eq!(named(name), value, "{name}");
    }
    let buyer = histories.buyer(0, 96 * HOUR).unwrap();
    let (recency, age) = (47.0 / 24.0, 71.0 / 24.0);
    assert_eq!(buyer, Buyer { repeats: 1, recency, age, mean_spend: 32.0 });
    assert_eq!(histories.buyer(0, 26 * HOUR).unwrap().mean_spend, 12.0);
    assert_eq!(histories.buyer(0, 25 * HOUR), None, "the purchase is not yet known");
    // Nothing bought, and nothing at all.
    let before = histories.moment(0, 12 * HOUR, DAY, &Zone::default());
    assert_eq!(before[..4], [0.5; 4]);
    assert_eq!(histories.moment(0, 0, DAY, &Zone::default()), [0.0; MOMENT.len()]);
}

#[test]
fn what_is_known_after_each_event() {
    let mut log = log(&ANN);
    // The last purchase is of an item that was looked at, and put into the cart, before.
    log.events.item = vec![0, 0, 1, 1, 2, 0];
    let sessions = users(&log);
    let histories = Histories::new(&log, &sessions, Buys::new(&log, &BuyRule::Meant));
    let rows = histories.after_events(0, 6);
    let named = |event: usize, name: &str| {
        rows[event][AFTER_EVENT.iter().position(|&other| other == name).unwrap()]
    };
    for (event, name, value) in [
        (0, "minutes_since_the_event_before", 0.0),
        (0, "events", 1.0),
        (0, "item_views", 0.0),
        (0, "last_view", 1.0),
        (0, "second_view", 0.0),
        (1, "minutes_since_the_event_before", 1440.0),
        (1, "item_views", 1.0),
        (1, "events_since_cart", 0.0),
        (2, "visit_events", 1.0),
        (3, "visit_events", 2.0),
        (3, "visit_purchases", 2.0),
        (3, "item_purchases", 1.0),
        (3, "second_purchase", 1.0),
        (3, "third_cart", 1.0),
        (4, "events_since_purchase", 1.0),
        (4, "items", 3.0),
        (5, "item_views", 1.0),
        (5, "item_carts", 1.0),
        (5, "events_since_cart", 4.0),
        (5, "purchases", 3.0),
    ] {
        assert_eq!(named(event, name), value, "{name} after event {event}");
    }
    // What comes later shows nowhere.
    assert_eq!(histories.after_events(0, 3), rows[..3]);
}

/// Whatever happens from a moment on, however much of it, changes nothing that is known at it.
#[test]
fn no_later_event_changes_what_is_known() {
    let short = log(&ANN[..4]);
    for later in 0..40_i64 {
        let mut events = ANN[..4].to_vec();
        // From the very moment on, and of any kind and price.
        events.extend((0..=later).map(|k| (0, 26 + k * later, (k % 3) as u32, 1e3)));
        events.insert(0, (1, 26, 2, 7.0));
        let long = log(&events);
        // Rows count items through: that of the first user's events must stay.
        let mut long = long;
        long.events.item[1..5].copy_from_slice(&short.events.item);
        let at = 26 * HOUR;
        let seen = |log: &Log| {
            let sessions = users(log);
            let histories = Histories::new(log, &sessions, Buys::new(log, &BuyRule::Meant));
            let ann = (0..histories.len()).find(|&user| sessions.user(user) == Some(0)).unwrap();
            let known = histories.known(ann, at);
            (known, histories.moment(ann, at, DAY, &Zone::default()), histories.buyer(ann, at))
        };
        assert_eq!(seen(&short), seen(&long), "{later}");
    }
}

#[test]
fn purchases_of_one_key_or_one_visit_are_one_order() {
    let mut invoices = log(&[(0, 0, 2, 1.0), (0, 0, 2, 1.0), (0, 1, 2, 1.0), (0, 1, 2, 1.0)]);
    let orders = |log: &Log| {
        let sessions = users(log);
        let histories = Histories::new(log, &sessions, Buys::new(log, &BuyRule::Meant));
        histories.outcome(0, 0, DAY).orders
    };
    assert_eq!(orders(&invoices), 2, "an hour apart");
    invoices.events.session = vec![7, 8, 8, 9];
    assert_eq!(orders(&invoices), 3, "by key");
    invoices.events.session.clear();
    invoices.events.time = vec![0, ORDER_GAP, 2 * ORDER_GAP, 3 * ORDER_GAP + 1];
    assert_eq!(orders(&invoices), 2, "a pause of exactly half an hour does not end an order");
}

const ORDER_GAP: i64 = HOUR / 2;

#[test]
fn what_a_purchase_is_may_be_said() {
    let log = log(&ANN);
    let count = |rule: &BuyRule| {
        let buys = Buys::new(&log, rule);
        (0..6).filter(|&event| buys.is_purchase(&log, event)).count()
    };
    assert_eq!((count(&BuyRule::Meant), count(&BuyRule::Every)), (3, 6));
    for (text, purchases) in [("buy", 3), ("cart, buy", 4), ("every", 6), ("auto", 3)] {
        let rule: BuyRule = text.parse().unwrap();
        assert_eq!(count(&rule), purchases, "{text}");
        assert_eq!(rule.to_string().parse::<BuyRule>().unwrap(), rule);
    }
    let error = Buys::of_some(&log, &"bought".parse().unwrap()).unwrap_err();
    assert!(matches!(error, Error::NoPurchases { .. }));
    assert!(error.to_string().contains("view, cart, buy"), "{error}");
    assert!("".parse::<BuyRule>().is_err());
}

#[test]
fn money_is_the_amount_or_price_times_quantity() {
    let mut log = log(&[(0, 0, 2, 3.0), (0, 1, 2, f32::NAN), (0, 2, 2, -5.0)]);
    let all = |log: &Log| [0, 1, 2].map(|event| money(log, event));
    assert_eq!((all(&log), has_money(&log)), ([3.0, 0.0, 0.0], true));
    log.events.quantity = vec![2.0, 4.0, f32::NAN];
    assert_eq!(all(&log), [6.0, 0.0, 0.0]);
    log.events.amount = vec![f32::NAN, 9.0, 1.0];
    assert_eq!(all(&log), [6.0, 9.0, 1.0]);
    (log.events.price, log.events.amount) = (vec![], vec![f32::NAN; 3]);
    assert!(!has_money(&log));
}

/// Where a clock goes forward, a day has 23 hours: none is left out, and each begins at midnight there.
#[test]
fn cuts_are_midnights_where_clocks_change() {
    let zone: Zone = "Europe/Warsaw".parse().unwrap();
    let time = |text: &str| crate::time::parse_time(text).unwrap();
    for last in ["2024-04-01T22:00:00Z", "2024-04-02T10:00:00Z", "2024-04-01T23:30:00Z"] {
        let span = (time("2024-03-28T00:00:00Z"), time(last));
        let cuts = Cuts::fitting(span, DAY, DAY, 4, &zone).unwrap();
        let days = ["2024-03-28T23", "2024-03-29T23", "2024-03-30T23", "2024-03-31T22"];
        let expected = days.map(|hour| time(&format!("{hour}:00:00Z")));
        assert_eq!(cuts.at, expected, "{last}");
    }
}

#[test]
fn cuts_go_back_from_the_last_that_was_seen_whole() {
    let zone = Zone::default();
    // Ten days, the last event a second before midnight.
    let span = (0, 10 * DAY - 1000);
    let cuts = Cuts::fitting(span, DAY, DAY, 100, &zone).unwrap();
    assert_eq!(cuts.at, (1..=9).map(|day| day * DAY).collect::<Vec<_>>());
    assert!(cuts.is_seen(9 * DAY, span.1) && !cuts.is_seen(9 * DAY + HOUR, span.1));
    assert_eq!(cuts.before(3 * DAY).collect::<Vec<_>>(), [DAY, 2 * DAY]);
    let some = Cuts::fitting(span, 3 * DAY, 2 * DAY, 2, &zone).unwrap();
    assert_eq!(some.at, [5 * DAY, 7 * DAY]);
    // Shorter than a day: no midnights.
    let hours = Cuts::fitting((0, 10 * HOUR), 4 * HOUR, 4 * HOUR, 9, &zone).unwrap();
    assert_eq!(hours.at, [2 * HOUR + 144_001, 6 * HOUR + 144_001]);
    // Midnights of a zone.
    let warsaw = Cuts::fitting(span, DAY, DAY, 1, &"Europe/Warsaw".parse().unwrap()).unwrap();
    assert_eq!(warsaw.at, [9 * DAY - HOUR]);
    let error = Cuts::fitting(span, 11 * DAY, DAY, 9, &zone).unwrap_err();
    assert!(error.to_string().contains("--horizon"), "{error}");
    let extreme = Cuts::fitting((i64::MIN, i64::MAX), DAY, 1, 3, &zone).unwrap();
    assert_eq!(extreme.at.len(), 3);
}

#[test]
fn spans_are_written_with_their_unit() {
    for (text, span) in [
        ("7d", 7 * DAY),
        ("12h", 12 * HOUR),
        ("2w", 14 * DAY),
        ("30m", HOUR / 2),
        ("1.5d", 36 * HOUR),
    ] {
        assert_eq!(parse_span("--horizon", text).unwrap(), span);
    }
    for text in ["", "7", "d", "0d", "-1d", "nand", "1e9w", "7 days", "infd", "é"] {
        let error = parse_span("--horizon", text).unwrap_err();
        assert!(error.is_usage() && error.to_string().contains("--horizon"), "{text}: {error}");
    }
}

/// Periods end with the moment, and what comes after it changes none of them.
#[test]
fn periods_end_with_the_moment() {
    let log = log(&ANN);
    let sessions = users(&log);
    let histories = Histories::new(&log, &sessions, Buys::new(&log, &BuyRule::Meant));
    let periods = |end: i64, hours: i64| {
        let periods = histories.periods(0, end * HOUR, hours * HOUR);
        periods.iter().map(|p| (p.events, p.orders)).collect::<Vec<_>>()
    };
    assert_eq!(periods(73, 24), [(1, 0), (1, 0), (3, 1), (1, 1)]);
    assert_eq!(periods(72, 24), [(1, 0), (3, 1), (1, 0)]);
    assert_eq!(periods(72, 36), [(4, 1), (1, 0)]);
    // An order of two purchases begins once.
    assert_eq!(periods(26, 1)[25], (2, 1));
    assert_eq!(periods(0, 24), []);
    assert_eq!(histories.count_periods(73 * HOUR, DAY, 4).unwrap(), 4);
    assert!(histories.count_periods(73 * HOUR, DAY, 3).is_err());
    assert_eq!(histories.order_values(0, 72 * HOUR), [12.0]);
    assert_eq!(histories.order_values(0, 73 * HOUR), [12.0, 32.0]);
    assert_eq!(histories.order_values(0, 25 * HOUR), [0.0; 0]);
}

#[test]
fn a_pace_counts_what_was_and_what_might_be_alike() {
    let log = log(&ANN);
    let sessions = users(&log);
    let histories = Histories::new(&log, &sessions, Buys::new(&log, &BuyRule::Meant));
    let mut pace = Pace::default();
    // Views, a cart and an order, a view: days that end at four in the morning.
    for period in histories.periods(0, 52 * HOUR, DAY) {
        pace.add(&period, f64::from(period.orders));
    }
    let next = [0.5; WAVES];
    let at = |pace: &Pace, name: &str| {
        let known = pace.numbers(&next);
        assert_eq!(known[AFTER_PERIOD.len() - WAVES..], next);
        known[AFTER_PERIOD.iter().position(|&other| other == name).unwrap()]
    };
    let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
    near(at(&pace, "since_first_event"), 52.0 / 24.0);
    near(at(&pace, "since_event"), 4.0 / 24.0);
    near(at(&pace, "since_order"), 27.0 / 24.0);
    assert_eq!([at(&pace, "orders"), at(&pace, "visits")], [1.0, 3.0]);
    assert_eq!([at(&pace, "events"), at(&pace, "items"), at(&pace, "spend")], [5.0, 3.0, 12.0]);
    near(at(&pace, "orders_of_two"), 0.5f64.sqrt());
    near(at(&pace, "between_orders"), 52.0 / 24.0);
    // What might be: two orders in the middle of the next day, then nothing.
    pace.imagine(2.0, true);
    pace.imagine(0.0, false);
    near(at(&pace, "since_order"), 1.5);
    near(at(&pace, "since_event"), 1.5);
    assert_eq!([at(&pace, "orders"), at(&pace, "visits"), at(&pace, "spend")], [3.0, 4.0, 36.0]);
    assert_eq!([at(&pace, "events"), at(&pace, "items")], [7.0, 3.0]);
    near(at(&pace, "spend_per_order"), 12.0);
    near(at(&pace, "between_orders"), (52.0 / 24.0 + 0.5 - 25.0 / 24.0) / 2.0);
}

#[test]
fn waves_say_where_in_the_week_and_the_year_a_period_lies() {
    let utc = Zone::default();
    let day = |k: i64, years| waves(k * DAY, DAY, &utc, years);
    // A week later it is the same day, half a year later another season.
    let (one, other) = (day(3, true), day(10, true));
    assert!(one[..4].iter().zip(&other[..4]).all(|(a, b)| (a - b).abs() < 1e-9));
    assert!((day(3, true)[4] + day(3 + 183, true)[4]).abs() < 0.02);
    assert_eq!(day(3, false)[4..], [0.0; 4]);
    assert_eq!(waves(0, 7 * DAY, &utc, true)[..4], [0.0; 4]);
}
