//! What `suggest` makes of tables that it has never seen, and that a log can be read with it.

mod logs;

use std::fmt::Write;

use events::{Error, Format, Further, ReadOptions, Role, Suggestion, read, suggest};
use logs::file;

/// Numbers that look like chance and are the same every time.
fn mix(number: u64) -> u64 {
    let mixed = (number.wrapping_add(77)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 17
}

struct Visit {
    user: u64,
    session: u64,
    item: u64,
    kind: &'static str,
    time: u64,
    cents: u64,
    pieces: u64,
}

/// Visits of 400 users to a shop with 300 items, several of them at a time.
fn visits() -> Vec<Visit> {
    let mut rows = Vec::new();
    for session in 0..1500u64 {
        let user = mix(session) % 400;
        for event in 0..1 + mix(session + 7) % 8 {
            let chance = mix(session * 64 + event);
            let item = (chance % 300) * (chance % 7) / 6;
            rows.push(Visit {
                user,
                session,
                item,
                kind: ["view", "view", "view", "cart", "purchase"][(chance % 5) as usize],
                time: 1_600_000_000 + session * 900 + event * (20 + chance % 400),
                cents: 99 + 37 * (item % 50),
                pieces: 1 + chance % 3,
            });
        }
    }
    rows.sort_by_key(|row| row.time);
    rows
}

fn of(text: &str) -> (Suggestion, String) {
    let (_folder, path) = file("shop.csv", text);
    let found = suggest(&[path], None).unwrap();
    let toml = found.to_toml();
    (found, toml)
}

/// Events that are read with what was suggested.
fn read_with(text: &str, found: &Suggestion) -> events::Log {
    let (_folder, path) = file("shop.csv", text);
    let further = Further { labels: found.labels.clone(), numbers: found.numbers.clone() };
    let (format, columns) = (Some(found.format), found.columns.to_string().parse().unwrap());
    let options = ReadOptions { format, columns, further, ..ReadOptions::default() };
    read(&[path], &options).unwrap()
}

#[test]
fn a_table_with_names_of_its_own() {
    let mut text =
        "Belegnr;Kundennr;Artikel;Warengruppe;what;moment;Einzelpreis;qty;sum;shade;memo\n"
            .replace("Kundennr", "cust_no");
    for row in visits() {
        let (price, shade) =
            (row.cents as f64 / 100.0, ["red", "blue", ""][(row.item % 3) as usize]);
        let sum = price * row.pieces as f64;
        let Visit { user, session, item, kind, time, pieces, .. } = row;
        writeln!(
            text,
            "B{session};C{user};A{item};{};{kind};{time};{price:.2};{pieces};{sum:.2};{shade};{}",
            item / 20,
            mix(time)
        )
        .unwrap();
    }
    let (found, toml) = of(&text);
    for (role, column) in [
        (Role::User, "cust_no"),
        (Role::Session, "Belegnr"),
        (Role::Item, "Artikel"),
        (Role::Category, "Warengruppe"),
        (Role::Kind, "what"),
        (Role::Time, "moment"),
        (Role::Quantity, "qty"),
    ] {
        assert_eq!(found.columns.get(role), Some(column), "{toml}");
    }
    assert_eq!(
        (&found.labels[..], found.missing().len()),
        (&["shade".to_owned()][..], 0),
        "{toml}"
    );
    let not_read: Vec<_> = found.findings.iter().filter(|f| f.role == "not read").collect();
    assert!(not_read.iter().any(|finding| finding.column == "memo"), "{toml}");
    assert!(
        toml.contains("format = \"csv\"\n") && toml.contains("each belongs to one \"cust_no\"")
    );
    assert!(toml.contains("\ncolumns = \"user=cust_no,item=Artikel,time=moment,"), "{toml}");
    let log = read_with(&text, &found);
    assert_eq!((log.events.len(), log.report.bad.count), (visits().len(), 0));
}

#[test]
fn a_table_without_a_header_is_judged_by_its_values() {
    let mut text = String::new();
    for Visit { user, item, kind, time, .. } in visits() {
        // Half hours come in bursts, too, and there are more of them than users.
        let half = time / 1800;
        writeln!(text, "{kind}\t{}\t{}\t{time}\t{half}", 10_000 + item, 900_000 + user).unwrap();
    }
    let (found, toml) = of(&text);
    assert_eq!(found.format, Format::Tsv);
    assert_eq!(found.columns.to_string(), "user=3,item=2,time=4,kind=1", "{toml}");
    let log = read_with(&text, &found);
    assert_eq!(log.events.len(), visits().len());
}

/// Times as people write them, whatever the column is called.
#[test]
fn a_column_of_dates_is_found_by_its_values() {
    for spelling in ["D.M.Y", "Y.M.D", "D-M-Y", "M/D/Y", "Y-M-D"] {
        let mut text = "who,ding,wann\n".to_owned();
        for Visit { user, item, time, .. } in visits() {
            let (day, minute) = (time / 86_400 % 28 + 1, time / 60 % 60);
            let date = spelling.replace('D', &day.to_string()).replace('M', "3");
            writeln!(text, "u{user},i{item},{} 9:{minute:02}", date.replace('Y', "2024")).unwrap();
        }
        let (found, toml) = of(&text);
        assert_eq!(found.columns.get(Role::Time), Some("wann"), "{spelling}: {toml}");
    }
}

#[test]
fn of_two_times_the_finer_one_is_found() {
    let mut text = "event_date,event_timestamp,event_name,user_pseudo_id,item_id\n".to_owned();
    for Visit { user, item, time, kind, .. } in visits() {
        let (day, kind) = (20_200_901 + time / 86_400 % 28, kind.replace("view", "view_item"));
        writeln!(text, "{day},{time}000000,{kind},u{user}.1,i{item}").unwrap();
    }
    let (found, toml) = of(&text);
    let expected = "user=user_pseudo_id,item=item_id,time=event_timestamp,kind=event_name";
    assert_eq!(found.columns.to_string(), expected, "{toml}");
    // The same without a word of it.
    let (_folder, path) = file("shop.csv", &text);
    assert_eq!(
        read(&[path], &ReadOptions::default()).unwrap().report.columns.to_string(),
        expected
    );
}

#[test]
fn a_lone_column_of_moments_is_found_in_any_order() {
    let mut rows = visits();
    rows.sort_by_key(|row| mix(row.time));
    let mut text = "who,ding,t\n".to_owned();
    for Visit { user, item, time, .. } in rows {
        writeln!(text, "{},{},{time}", 900_000 + user, 10_000 + item).unwrap();
    }
    let (found, toml) = of(&text);
    assert_eq!(found.columns.get(Role::Time), Some("t"), "{toml}");
}

#[test]
fn price_times_quantity_is_the_amount() {
    let mut text = "buyer,sku,price,units,x\n".to_owned();
    for Visit { user, item, cents, pieces, .. } in visits() {
        let price = cents as f64 / 100.0;
        writeln!(text, "{user},{item},{price:.2},{pieces},{:.2}", price * pieces as f64).unwrap();
    }
    let (found, toml) = of(&text);
    assert_eq!(found.columns.get(Role::Amount), Some("x"), "{toml}");
    assert!(toml.contains("it is price times quantity"));
}

#[test]
fn a_name_that_the_flag_cannot_spell_gives_way_to_its_place() {
    let mut text = "user,\"item, or what\",\"a \"\"colour\"\"\"\n".to_owned();
    for Visit { user, item, .. } in visits() {
        writeln!(text, "u{user},i{item},{}", ["x", "y"][(item % 2) as usize]).unwrap();
    }
    let (found, toml) = of(&text);
    assert_eq!(found.columns.to_string(), "user=user,item=2", "{toml}");
    assert!(toml.contains("labels = [\"a \\\"colour\\\"\"]"), "{toml}");
    assert_eq!(read_with(&text, &found).labels[0].names.len(), 2);
}

#[test]
fn a_known_layout_needs_no_columns() {
    for (format, text) in logs::corpus() {
        let (_folder, path) = file("log", &text);
        let found = suggest(std::slice::from_ref(&path), Some(format)).unwrap();
        assert_eq!(found.format, format);
        if !matches!(format, Format::Csv | Format::Tsv) {
            assert!(found.to_toml().contains("shows its layout by itself"));
            assert!(found.columns.is_empty() && found.missing().is_empty());
        }
    }
}

#[test]
fn what_cannot_be_found_is_said() {
    let (found, toml) = of("colour,size\nred,1\nblue,2\nred,1\nred,2\n");
    assert_eq!(found.missing(), ["item", "user or session"]);
    assert!(toml.contains("# No column looks like the item"), "{toml}");
    for text in ["Dear reader,\nthis is prose.\n", "17\n18\n", "a\0b,c\n"] {
        let (_folder, path) = file("log", text);
        let error = suggest(&[path], None).unwrap_err();
        assert!(matches!(error, Error::Unrecognised { .. }), "{text:?}: {error}");
        assert!(!error.to_string().contains("--suggest"), "{error}");
    }
    let (_folder, path) = file("log", "");
    assert!(matches!(suggest(&[path], None), Err(Error::Empty { .. })));
}
