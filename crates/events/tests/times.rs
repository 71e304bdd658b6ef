//! Times of many spellings: what the rows of a file tell of each other, and what has to be assumed.

mod logs;

use std::fmt::Write;

use events::{Format, Log, ReadOptions, read};
use logs::{bad, events, file, named, take, take_as, try_read};

fn table(times: &[&str]) -> String {
    let rows: Vec<String> = times.iter().map(|time| format!("u,a,{time}\n")).collect();
    format!("user,item,time\n{}", rows.concat())
}

/// The days of the events.
fn days(log: &Log) -> Vec<String> {
    events(log).iter().map(|event| event[4..14].to_owned()).collect()
}

#[test]
fn one_date_tells_for_all_others_of_its_file() {
    let log = take(table(&["12/1/2010 8:26", "1/13/2011"]));
    assert_eq!(events(&log), ["u a 2010-12-01T08:26:00Z", "u a 2011-01-13T00:00:00Z"]);
    let log = take(table(&["12/1/2010 8:26", "13/1/2011 9:00:07 PM"]));
    assert_eq!(events(&log), ["u a 2010-01-12T08:26:00Z", "u a 2011-01-13T21:00:07Z"]);
    let log = take(table(&["31/12/10", "1/2/11", "3/3/2011"]));
    assert_eq!(days(&log), ["2010-12-31", "2011-02-01", "2011-03-03"]);
    assert!(log.report.notes.is_empty());
}

#[test]
fn dates_with_dots_and_hyphens() {
    // Dots ask nobody: the day stands first.
    let log =
        take(table(&["01.03.2024 01:06:18", "3.1.2024", "2024.03.01 12:30", "2024-3-1 9:05"]));
    assert_eq!(days(&log), ["2024-03-01", "2024-01-03", "2024-03-01", "2024-03-01"]);
    assert!(log.report.notes.is_empty());
    // Hyphens are like slashes.
    let log = take(table(&["01-03-2024 12:30", "25-03-2024 12:30"]));
    assert_eq!(days(&log), ["2024-03-01", "2024-03-25"]);
    let log = take(table(&["01-03-2024 12:30", "03-25-2024 12:30"]));
    assert_eq!(days(&log), ["2024-01-03", "2024-03-25"]);
    let log = take(table(&["01-03-2024"]));
    assert!(log.report.notes[0].contains("the month is taken to stand first"));
}

/// However far down it stands: the beginning of Online Retail is two weeks of such rows.
#[test]
fn the_date_that_tells_may_stand_far_below() {
    let mut text = table(&[]);
    for row in 0..20_000 {
        writeln!(text, "u,i{row},{}/{}/2010 8:26", 1 + row % 12, 1 + row % 5).unwrap();
    }
    assert!(text.len() > 256 * 1024);
    let log = take(format!("{text}u,z,25/12/2010 8:26\n"));
    assert_eq!(events(&log)[5], "u i5 2010-01-06T08:26:00Z");
    assert!(log.report.notes.is_empty());
    let log = take(format!("{text}u,z,12/25/2010 8:26\n"));
    assert_eq!(events(&log)[5], "u i5 2010-06-01T08:26:00Z");
}

#[test]
fn where_nothing_tells_the_month_stands_first_and_the_report_says_so() {
    let log = take(table(&["1/2/2010", "3/4/2010"]));
    assert_eq!(days(&log), ["2010-01-02", "2010-03-04"]);
    assert!(log.report.notes[0].contains("the month is taken to stand first"));
    // The same day in either order needs no assumption.
    assert!(take(table(&["1/1/2010", "2/2/2010"])).report.notes.is_empty());
}

#[test]
fn a_file_that_does_not_tell_is_read_as_the_one_before() {
    let (folder, first) = file("a.csv", table(&["31/12/2010"]));
    std::fs::write(folder.path().join("b.csv"), table(&["1/2/2011"])).unwrap();
    let log = read(&[folder.path().to_owned()], &ReadOptions::default()).unwrap();
    assert_eq!(days(&log), ["2010-12-31", "2011-02-01"]);
    assert!(log.report.notes[0].contains("as in the file before"), "{:?}", log.report.notes);
    // Each file has its own order where it tells.
    std::fs::write(folder.path().join("b.csv"), table(&["1/2/2011", "1/31/2011"])).unwrap();
    let log = read(&[folder.path().to_owned()], &ReadOptions::default()).unwrap();
    assert_eq!(days(&log), ["2010-12-31", "2011-01-02", "2011-01-31"]);
    drop(first);
}

#[test]
fn a_date_that_contradicts_the_others_is_bad() {
    let log = take_as(Format::Csv, table(&["12/31/2010", "31/12/2010", "1/2/2010", "13/13/2010"]));
    assert_eq!(days(&log), ["2010-12-31", "2010-01-02"]);
    assert_eq!(bad(&log), [(3, "time not understood"), (5, "time not understood")]);
}

#[test]
fn spellings_may_change_from_row_to_row() {
    let log = take(table(&[
        "2010-12-01 08:26",
        "12/1/2010 8:26",
        "12/31/2010",
        "1291191960",
        "20101201",
    ]));
    assert_eq!(days(&log), ["2010-12-01", "2010-12-01", "2010-12-31", "2010-12-01", "2010-12-01"]);
    assert!(log.report.notes.is_empty());
}

#[test]
fn the_unit_of_a_number_is_its_magnitude() {
    for (time, note) in [
        ("1291191960", None),
        ("1291191960.5", None),
        ("1291191960000", None),
        ("1291191960000000", Some("microseconds")),
        ("1291191960000000000", Some("nanoseconds")),
    ] {
        let log = take(table(&[time, time]));
        assert_eq!(&events(&log)[0][..23], "u a 2010-12-01T08:26:00", "{time}");
        let notes: Vec<_> = log.report.notes.iter().map(String::as_str).collect();
        match note {
            None => assert!(notes.is_empty()),
            Some(unit) => assert!(notes.len() == 1 && notes[0].contains(unit), "{notes:?}"),
        }
    }
}

#[test]
fn day_numbers_of_a_spreadsheet_are_noticed() {
    let log = take(table(&["45352.52", "45353"]));
    assert!(log.report.notes[0].contains("such as 45352.52 are taken for seconds"));
    assert!(log.report.notes[0].contains("turned into dates first"), "{:?}", log.report.notes);
    // Seconds from a beginning of their own are what they are.
    assert!(take(table(&["1", "45352", "99999"])).report.notes.is_empty());
}

#[test]
fn a_zone_is_for_times_that_say_none() {
    let times = [
        "2011-06-01 08:26",
        "2011-06-01 08:26 UTC",
        "2011-06-01T08:26:00+05:00",
        "1306916760",
        "6/1/2011 8:26",
        "6/13/2011 8:26",
        "2011-06-01 08:26 America/New_York",
    ];
    let options = ReadOptions { zone: "Europe/Warsaw".parse().unwrap(), ..named(Format::Csv) };
    let log = try_read(table(&times), &options).unwrap();
    let hours: Vec<_> = events(&log).iter().map(|event| event[15..20].to_owned()).collect();
    assert_eq!(hours, ["06:26", "08:26", "03:26", "08:26", "06:26", "06:26", "12:26"]);

    let row = "2008;4;1;1;29;1;1;A;1;5;1;28;2;1\n";
    let options = ReadOptions { format: Some(Format::Eshop), ..options };
    let log = try_read(row, &options).unwrap();
    assert_eq!(events(&log), ["A click 2008-03-31T22:00:00Z"]);
    let options = ReadOptions { format: Some(Format::Tmall), ..options };
    let log = try_read("u,a,c,1,9,829,0\n", &options).unwrap();
    assert_eq!(events(&log), ["u a click 2014-08-28T22:00:00Z"]);
}
