//! Features as a whole: what is learned where, and what stands at a position.

use super::*;
use crate::{LabelColumn, NONE, NumberColumn};

const SECOND: i64 = 1000;
const HOUR: i64 = 3600 * SECOND;
/// 2024-01-01 was a Monday.
const MONDAY: i64 = 1_704_067_200_000;

/// Two sessions, of events 0 to 2 and 3 to 4.
fn log() -> Log {
    let events = Events {
        item: vec![0, 1, 0, 2, 1],
        user: vec![0, 0, 0, 1, 1],
        session: vec![0, 0, 0, 1, 1],
        time: [0, 10, 40, 100, 107].map(|t| MONDAY + 5 * HOUR + t * SECOND).to_vec(),
        kind: vec![0, 0, 1, 0, NONE],
        category: vec![1, 0, 1, 0, NONE],
        price: vec![1.0, 3.0, 8.0, f32::NAN, 2.0],
        ..Events::default()
    };
    let colour = LabelColumn {
        name: "colour".to_owned(),
        names: ["red", "blue"].into_iter().collect(),
        values: vec![0, 1, 1, NONE, 0],
    };
    let page = NumberColumn { name: "page".to_owned(), values: vec![1.0, 2.0, 3.0, 4.0, 5.0] };
    Log {
        events,
        items: ["a", "b", "c"].into_iter().collect(),
        users: ["ann", "bob"].into_iter().collect(),
        sessions: ["s", "t"].into_iter().collect(),
        kinds: ["view", "buy"].into_iter().collect(),
        categories: ["shoes", "hats"].into_iter().collect(),
        labels: vec![colour],
        numbers: vec![page],
        ..Log::default()
    }
}

fn sessions(log: &Log) -> Sessions {
    let options = SessionOptions { rule: SessionRule::Key, ..SessionOptions::default() };
    Sessions::from_log(log, &options).unwrap()
}

/// Learns from the first `train` sessions.
fn fit(log: &Log, train: usize, text: &str) -> FittedFeatures {
    let train = sessions(log).select(&(0..train).collect::<Vec<_>>());
    FittedFeatures::fit(log, &train, &text.parse().unwrap(), &Tables::default()).unwrap()
}

fn encode(fitted: &FittedFeatures, log: &Log) -> Features {
    fitted.encode(log, &sessions(log))
}

fn labels(log: &Log, train: usize, text: &str) -> Vec<u32> {
    encode(&fit(log, train, text), log).labels
}

fn numbers(log: &Log, text: &str) -> Vec<f32> {
    encode(&fit(log, 2, text), log).numbers
}

#[test]
fn words_are_numbered_by_frequency_and_0_is_what_training_does_not_know() {
    let log = log();
    // In the first session: hats twice, shoes once; blue twice, red once; view twice, buy once.
    assert_eq!(labels(&log, 1, "category"), [1, 2, 1, 2, 0]);
    assert_eq!(labels(&log, 1, "category:min=2"), [1, 0, 1, 0, 0]);
    assert_eq!(labels(&log, 1, "colour:label+top=1"), [0, 1, 1, 0, 0]);
    assert_eq!(labels(&log, 1, "kind"), [1, 1, 2, 1, 0]);
    // Equal counts: the one that comes first in the training part.
    assert_eq!(labels(&log, 2, "colour:label"), [1, 2, 2, 0, 1]);
    // Nothing learned, nothing known.
    assert_eq!(labels(&log, 0, "category"), [0; 5]);
}

#[test]
fn rows_hold_features_in_the_order_in_which_they_were_written() {
    let log = log();
    let fitted = fit(&log, 2, "kind,page:raw,colour:label,price:raw+flag,hour:cyclic");
    let inputs = fitted.inputs();
    assert_eq!(inputs.labels, [("kind".to_owned(), 3), ("colour".to_owned(), 3)]);
    assert_eq!(inputs.numbers, ["page", "price", "price.missing", "hour.sin", "hour.cos"]);
    let features = encode(&fitted, &log);
    assert_eq!((features.label_width, features.number_width), (2, 5));
    assert_eq!((features.labels.len(), features.numbers.len()), (10, 25));
    assert_eq!(features.labels_at(2), [2, 2]);
    assert_eq!(features.numbers_at(2)[..3], [3.0, 8.0, 0.0]);
    assert_eq!(features.numbers_at(3)[..3], [4.0, 0.0, 1.0]);
    let some = features.select([3, 2, 3]);
    assert_eq!((some.labels_at(1), some.numbers_at(2)), (&[2, 2][..], features.numbers_at(3)));
    assert_eq!((some.labels.len(), some.numbers.len()), (6, 15));
    assert_eq!(fitted.missing_row(), (vec![0, 0], vec![0.0, 0.0, 1.0, 0.0, 0.0]));
}

#[test]
fn a_missing_number_is_0_after_scaling() {
    // Training prices 1, 3, 8, 2: mean 3.5, variance (6.25 + 0.25 + 20.25 + 2.25) / 4.
    let deviation = (29f64 / 4.0).sqrt();
    let z = |x: f64| ((x - 3.5) / deviation) as f32;
    let found = numbers(&log(), "price:zscore");
    assert_eq!(found, [z(1.0), z(3.0), z(8.0), 0.0, z(2.0)]);
}

#[test]
fn times_tell_what_has_passed() {
    let log = log();
    assert_eq!(numbers(&log, "gap:raw"), [0.0, 10.0, 30.0, 0.0, 7.0]);
    let flags = numbers(&log, "gap:raw+flag");
    assert_eq!(flags.iter().skip(1).step_by(2).copied().collect::<Vec<_>>(), [1., 0., 0., 1., 0.]);
    assert_eq!(numbers(&log, "dwell:raw"), numbers(&log, "gap:raw"));
    assert_eq!(numbers(&log, "since_start:raw"), [0.0, 10.0, 40.0, 0.0, 7.0]);
    assert_eq!(numbers(&log, "position:raw"), [0.0, 1.0, 2.0, 0.0, 1.0]);
    assert_eq!(numbers(&log, "gap:log1p")[1], 11f64.ln() as f32);
}

#[test]
fn clocks_run_in_their_zone() {
    let mut log = log();
    assert_eq!(labels(&log, 2, "hour"), [6; 5]);
    assert_eq!(labels(&log, 2, "weekday"), [1; 5]);
    // Five hours and a minute west of UTC it is Sunday's last minute, then Monday.
    assert_eq!(labels(&log, 2, "hour:zone=-301"), [24, 24, 24, 1, 1]);
    assert_eq!(labels(&log, 2, "weekday:zone=-301")[0], 7);
    assert_eq!(fit(&log, 2, "hour,weekday").inputs().labels[1], ("weekday".to_owned(), 8));
    log.events.time = vec![MONDAY, MONDAY + 6 * HOUR, MONDAY + 12 * HOUR, 0, -HOUR];
    let circle = numbers(&log, "hour:cyclic");
    // The other session comes first.
    for (found, expected) in circle.iter().skip(4).zip([0.0, 1.0, 1.0, 0.0, 0.0, -1.0]) {
        assert!((found - expected).abs() < 1e-6, "{circle:?}");
    }
    // 1970 began on a Thursday; the hour before was Wednesday's last.
    let by_line = sessions(&log);
    let fitted = fit(&log, 2, "hour,weekday");
    let before = by_line.log_events().iter().position(|&event| event == 4).unwrap();
    assert_eq!(fitted.encode(&log, &by_line).labels_at(before), [24, 3]);
    log.events.time = vec![i64::MIN, i64::MAX, 0, i64::MIN, i64::MAX];
    let all = fit(&log, 2, "hour:zone=600,weekday:cyclic+zone=-600,gap,since_start:zscore");
    assert!(encode(&all, &log).numbers.iter().all(|number| number.is_finite()));
}

#[test]
fn cells_of_the_clock_are_counted_and_so_is_their_silence() {
    let mut log = log();
    let minute = HOUR / 60;
    let at = |days: i64, minutes: i64| MONDAY + 24 * days * HOUR + minutes * minute;
    log.events.time = vec![at(0, 30), at(0, 59), at(3, 60), at(4, 24 * 60 - 1), at(5, 0)];
    assert_eq!(numbers(&log, "hour.count:raw"), [1.0, 2.0, 1.0, 1.0, 1.0]);
    assert_eq!(numbers(&log, "day.count:raw"), [1.0, 2.0, 1.0, 1.0, 1.0]);
    assert_eq!(numbers(&log, "day.count:raw+zone=60"), [1.0, 2.0, 1.0, 1.0, 2.0]);
    assert_eq!(numbers(&log, "hour.silence:raw"), [0.0, 0.0, 72.0, 0.0, 0.0]);
    assert_eq!(numbers(&log, "day.silence:raw"), [0.0, 0.0, 2.0, 0.0, 0.0]);
    assert_eq!(numbers(&log, "day.silence:raw+zone=-61"), [0.0, 0.0, 2.0, 0.0, 0.0]);
    let flags = numbers(&log, "day.silence:raw+flag");
    assert_eq!(flags.iter().skip(1).step_by(2).copied().collect::<Vec<_>>(), [1., 0., 0., 1., 0.]);
    log.events.time = vec![i64::MIN, 0, i64::MAX, i64::MIN, i64::MAX];
    let all = fit(&log, 2, "hour.count,day.count:zone=600,hour.silence,day.silence:zone=-600");
    assert!(encode(&all, &log).numbers.iter().all(|number| number.is_finite()));
}

#[test]
fn kinds_are_counted_so_far() {
    let mut log = log();
    assert_eq!(fit(&log, 2, "kinds").inputs().numbers, ["kinds.view", "kinds.buy"]);
    let third = 1.0 / 3.0;
    let expected = [1.0, 0.0, 1.0, 0.0, 2.0 * third, third, 1.0, 0.0, 1.0, 0.0];
    assert_eq!(numbers(&log, "kinds"), expected);
    log.events.kind[3] = NONE;
    assert_eq!(numbers(&log, "kinds:flag")[9..], [0.0, 0.0, 1.0, 0.0, 0.0, 1.0]);
}

#[test]
fn what_is_held_out_teaches_nothing() {
    let text = "kind,category:min=2,colour:label,price:log1p+zscore,page:quantile,gap,kinds,\
                since_start:minmax,hour,day.count,hour.silence";
    let log = log();
    let before = fit(&log, 1, text).to_json();
    let mut other = log.clone();
    other.events.price[4] = 1e9;
    other.events.category[3] = other.categories.intern("coats");
    other.events.kind[4] = 1;
    other.labels[0].values[4] = other.labels[0].names.intern("green");
    other.numbers[0].values[3] = f32::INFINITY;
    other.events.time[4] += HOUR;
    assert_eq!(fit(&other, 1, text).to_json(), before);
    assert_ne!(fit(&other, 2, text).to_json(), fit(&log, 2, text).to_json());
}

#[test]
fn nothing_at_a_position_looks_ahead() {
    let text = "kind,category,colour:label,price:flag,page:number,gap:flag,dwell,since_start,\
                position,hour,weekday:cyclic,kinds,hour.count,day.silence";
    let log = log();
    let fitted = fit(&log, 2, text);
    let before = encode(&fitted, &log);
    for changed in 1..3 {
        let mut other = log.clone();
        other.events.price[changed] = 77.0;
        other.events.kind[changed] = 1 - other.events.kind[changed];
        other.events.category[changed] = NONE;
        other.labels[0].values[changed] = NONE;
        other.numbers[0].values[changed] = -5.0;
        other.events.time[changed] += 5 * SECOND;
        let after = encode(&fitted, &other);
        for position in 0..changed {
            assert_eq!(after.labels_at(position), before.labels_at(position));
            assert_eq!(after.numbers_at(position), before.numbers_at(position));
        }
        assert_ne!(after.numbers_at(changed), before.numbers_at(changed));
    }
}

/// A session encoded alone has the bits that it has among others, also where the log that holds it
/// numbers its names otherwise, and after the features went through a file.
#[test]
fn an_event_has_the_same_features_whatever_else_is_in_its_log() {
    let text = "kind,category,colour:label,price:log1p+zscore+flag,page:quantile,gap,since_start,\
                position,hour,weekday:cyclic,kinds";
    let log = log();
    let fitted = fit(&log, 2, text);
    let all = encode(&fitted, &log);
    let again = FittedFeatures::from_json(&fitted.to_json()).unwrap();
    assert_eq!(encode(&again, &log), all);
    assert_eq!((again.to_json(), again.specs()), (fitted.to_json(), text.parse().unwrap()));

    let mut other = log.clone();
    other.remove(&[0, 1, 2]);
    other.kinds = ["search", "view"].into_iter().collect();
    other.events.kind[0] = 1;
    other.categories = ["new", "shoes"].into_iter().collect();
    other.events.category[0] = 1;
    other.labels[0].names = ["blue", "red"].into_iter().collect();
    other.labels[0].values[1] = 1;
    let alone = encode(&again, &other);
    for position in 0..2 {
        assert_eq!(alone.labels_at(position), all.labels_at(3 + position));
        assert_eq!(alone.numbers_at(position), all.numbers_at(3 + position));
    }
}

#[test]
fn what_a_log_lacks_is_refused_by_training_and_missing_afterwards() {
    let full = log();
    let text = "kind,price:flag,colour:label,page:number,gap,hour,weekday:cyclic,kinds";
    let fitted = fit(&full, 2, text);
    let bare = Log {
        events: Events { item: vec![0, 1], session: vec![0, 0], ..Events::default() },
        items: full.items.clone(),
        ..Log::default()
    };
    let train = sessions(&bare);
    let all = format!("{text},item.brand:label,user.age:raw");
    for spec in all.split(',') {
        let error = FittedFeatures::fit(&bare, &train, &spec.parse().unwrap(), &Tables::default());
        let error = error.unwrap_err();
        assert!(matches!(error, Error::Absent { .. }), "{spec}: {error}");
    }
    let absent = ["kind", "price", "colour", "page", "gap", "hour", "weekday", "kinds"];
    assert_eq!(fitted.absent(&bare), absent);
    assert!(fitted.absent(&full).is_empty());
    let (labels, numbers) = fitted.missing_row();
    let features = fitted.encode(&bare, &train);
    for position in 0..2 {
        assert_eq!(features.labels_at(position), labels);
        assert_eq!(features.numbers_at(position), numbers);
    }
}

#[test]
fn an_empty_log_and_a_hostile_column_are_encoded() {
    let mut log = log();
    let text = "price:zscore+flag,page:quantile+flag";
    log.events.price = vec![f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN];
    log.numbers[0].values = vec![f32::NAN; 5];
    let fitted = fit(&log, 2, text);
    let features = encode(&fitted, &log);
    assert!(features.numbers.iter().all(|number| number.is_finite()));
    let flags = features.numbers.iter().skip(1).step_by(2).copied().collect::<Vec<_>>();
    assert_eq!(flags, [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0]);
    FittedFeatures::from_json(&fitted.to_json()).unwrap();
    let none = fitted.encode(&Log::default(), &Sessions::default());
    assert_eq!((none.labels.len(), none.numbers.len()), (0, 0));
    let nothing = fit(&log, 2, "");
    assert_eq!(encode(&nothing, &log), Features::default());
}

fn table(text: &str, labels: &[&str], numbers: &[&str]) -> Result<Table, Error> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    Table::read(file.path(), &crate::Further { labels: names(labels), numbers: names(numbers) })
}

fn vectors(text: &str) -> Result<Vectors, Error> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    Vectors::read(file.path())
}

#[test]
fn tables_are_joined_by_id_and_travel_with_the_features() {
    let log = log();
    let items = table("sku,brand,price\nb,acme,$2\nz,late,9\na,,4\n", &["brand"], &["price"]);
    let users = table("who;age\nbob;30\nann;\ncem;50\n", &[], &["age"]).unwrap();
    let tables = Tables { items: Some(items.unwrap()), users: Some(users) };
    let specs = "item.brand:label,item.price:raw,user.age:raw,position:raw,price:raw";
    let fitted =
        FittedFeatures::fit(&log, &sessions(&log), &specs.parse().unwrap(), &tables).unwrap();
    assert_eq!(fitted.inputs().numbers, ["item.price", "user.age", "position", "price"]);
    let features = encode(&fitted, &log);
    assert_eq!(features.labels, [0, 1, 0, 0, 1]);
    assert_eq!(features.numbers_at(0), [4.0, 0.0, 0.0, 1.0]);
    assert_eq!(features.numbers_at(3), [0.0, 30.0, 0.0, 0.0]);
    assert_eq!(features.numbers_at(4), [2.0, 30.0, 1.0, 2.0]);

    let again = FittedFeatures::from_json(&fitted.to_json()).unwrap();
    assert!(!again.to_json().contains("late"), "an item that training lacks");
    let ids = again.encode_ids(&["b", "c", "new"], Some("cem"));
    assert_eq!(ids.labels, [1, 0, 0]);
    assert_eq!(ids.numbers_at(0), [2.0, 50.0, 0.0, 0.0]);
    assert_eq!(ids.numbers_at(1), [0.0, 50.0, 1.0, 0.0]);
    assert_eq!(again.encode_ids(&["new"], None).numbers_at(0)[1], 0.0);
    assert_eq!(again.encode_ids(&[], None).numbers.len(), 0);
}

/// Where training has filled holes and said so, a session of ids alone is filled likewise; without
/// that the flags say that nothing is known.
#[test]
fn what_fill_has_flagged_is_flagged_where_nothing_is_known() {
    let mut log = log();
    let train: Vec<u32> = (0..5).collect();
    let fill = crate::FittedFill::fit(&log, &train, &"price=item+flag".parse().unwrap()).unwrap();
    fill.apply(&mut log);
    let fitted = fit(&log, 2, "price:raw,price.missing");
    assert_eq!(encode(&fitted, &log).numbers_at(3), [3.0, 1.0]);
    assert_eq!(encode(&fitted, &log).numbers_at(2), [8.0, 0.0]);
    assert_eq!(fitted.missing_row().1, [0.0, 1.0]);
    assert_eq!(fitted.encode_ids(&["a", "new"], None).numbers, [0.0, 1.0, 0.0, 1.0]);
    let (mut ids, session) = log_of_ids(&["a", "new"], None);
    fill.apply(&mut ids);
    assert_eq!(fitted.encode(&ids, &session).numbers, [4.5, 1.0, 2.5, 1.0]);
    let error = FittedFeatures::fit(
        &Log::default(),
        &Sessions::default(),
        &fitted.specs(),
        &Tables::default(),
    );
    assert!(matches!(error, Err(Error::Absent { .. })));
}

#[test]
fn numbers_come_back_from_a_file_bit_for_bit() {
    // Bits of all sizes, the largest exponents left out.
    let values: Vec<f32> =
        (0..4000u32).map(|k| f32::from_bits(k.wrapping_mul(1_069_547) % 0x7f00_0000)).collect();
    let rows = values.iter().enumerate().map(|(k, value)| format!("i{k},{value:e}\n"));
    let read = table(&format!("item,x\n{}", rows.collect::<String>()), &[], &["x"]).unwrap();
    let text = serde_json::to_string(&read).unwrap();
    let again: Table = serde_json::from_str(&text).unwrap();
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(again.numbers("x").unwrap()), bits(&values));
    let train = (1..5000).map(|k| f64::from(k).sqrt() * 1e-3);
    let scaling = Scaling::fit(&[Scale::Zscore, Scale::Quantile], train);
    let text = serde_json::to_string(&scaling).unwrap();
    assert_eq!(serde_json::from_str::<Scaling>(&text).unwrap(), scaling);
}

#[test]
fn vectors_come_with_or_without_a_header() {
    let expected = [("a", [1.0, 2.5]), ("b", [-3.0, 0.0])];
    for text in ["a 1 2.5\nb -3 0\n", "item,x,y\na,1,2.5\nb,-3,0\n", "2 2\na 1 2.5\nb -3 0\n"] {
        let vectors = vectors(text).unwrap();
        assert_eq!((vectors.len(), vectors.width()), (2, 2), "{text}");
        for (id, vector) in expected {
            assert_eq!(vectors.get(id), Some(&vector[..]), "{text}");
        }
        assert_eq!(vectors.get("c"), None);
    }
}

/// Rows in the order of those who ask, of mean square 1, with zeros where nothing is known.
#[test]
fn vectors_of_items_are_in_their_order_and_of_one_size() {
    let vectors = vectors("b 3 4\nz 9 9\na 0 10\nzero 0 0\n").unwrap();
    let names: Names = ["a", "new", "b", "zero"].into_iter().collect();
    let given = vectors.of_items(&names);
    assert_eq!((given.width, given.known, given.others), (2, 2, 1));
    let scale = (31.25f64).sqrt();
    let expected = [0.0, 10.0, 0.0, 0.0, 3.0, 4.0, 0.0, 0.0].map(|x: f64| (x / scale) as f32);
    assert!(given.values.iter().zip(expected).all(|(x, y)| (x - y).abs() < 1e-7), "{given:?}");
    let none = vectors.of_items(&["new", "zero"].into_iter().collect());
    assert_eq!((none.known, none.others, &none.values[..]), (0, 3, &[0.0; 4][..]));
}

#[test]
fn damaged_tables_are_refused_with_their_line() {
    for (text, part) in [
        ("item,brand\na,x\na,y\n", "line 3: \"a\" comes twice"),
        ("item,brand\na\n", "line 2: 1 columns instead of 2"),
        ("item,brand\n,x\n", "line 2: no id"),
        ("item,colour\na,x\n", "no column \"brand\""),
        ("", "no rows"),
    ] {
        let error = table(text, &["brand"], &[]).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    for (text, part) in [
        ("a 1 2\nb 1\n", "line 2: 1 numbers where 2"),
        ("a 1 2\nb 1 x\n", "line 2: \"x\" is no number"),
        ("a 1 inf\n", "line 1: \"inf\" is not finite"),
        ("a nan x\n", "line 1: \"nan\" is not finite"),
        ("item,x,y\n", "no rows"),
        ("a 1 2\nb 1 nan\n", "line 2: \"nan\""),
        ("a 1 2\na 1 2\n", "comes twice"),
        ("a\n", "line 1: 0 numbers"),
    ] {
        let error = vectors(text).unwrap_err().to_string();
        assert!(error.contains(part), "{text:?}: {error}");
    }
    assert!(Vectors::new(["a"], 2, vec![1.0]).is_err());
    assert!(Vectors::new(["a", "b"], usize::MAX, vec![1.0]).is_err());
}

#[test]
fn stored_features_that_contradict_themselves_are_refused() {
    let log = log();
    let good = fit(&log, 2, "category,price:raw,kinds").to_json();
    for (from, to) in [
        (r#""hats","shoes""#, r#""hats","hats""#),
        (r#""price:raw","words":[],"scaling":[[]]"#, r#""price:raw","words":[],"scaling":[]"#),
        (r#""category:label""#, r#""category:zscore""#),
        (r#""words""#, r#""verbs""#),
        (r#""scaling":[[],[]]"#, r#""scaling":[[{"zscore":{"mean":0,"deviation":0}}],[]]"#),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "{from}");
        let error = FittedFeatures::from_json(&bad).unwrap_err();
        assert!(matches!(error, Error::Stored { .. }), "{error}");
    }
}
