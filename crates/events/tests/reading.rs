//! Logs as they come: every layout, every habit of the programs that write them, and every way in
//! which a file can be wrong.

use std::io::Write;
use std::path::{Path, PathBuf};

use events::time::format_time;
use events::{
    Error, Format, Further, Log, NONE, ReadOptions, SessionOptions, Sessions, Summary, Targets,
    Window, read,
};
use tempfile::TempDir;

/// A folder with one file in it.
fn file(name: &str, content: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    (folder, path)
}

fn try_read(content: impl AsRef<[u8]>, options: &ReadOptions) -> Result<Log, Error> {
    let (_folder, path) = file("log.csv", content);
    read(&[path], options)
}

fn take(content: impl AsRef<[u8]>) -> Log {
    try_read(content, &ReadOptions::default()).unwrap()
}

fn lenient() -> ReadOptions {
    ReadOptions { max_bad: 1.0, ..ReadOptions::default() }
}

/// Each event as `user item time`, as far as the log has them.
fn events(log: &Log) -> Vec<String> {
    (0..log.events.len())
        .map(|event| {
            let mut text = Vec::new();
            text.extend(log.events.user.get(event).map(|&user| log.users.get(user).to_owned()));
            text.push(log.items.get(log.events.item[event]).to_owned());
            text.extend(log.events.time.get(event).map(|&time| format_time(time)));
            text.join(" ")
        })
        .collect()
}

fn sessions(log: &Log) -> Vec<String> {
    let sessions = Sessions::from_log(log, &SessionOptions::default()).unwrap();
    let names = |session: &[u32]| {
        session.iter().map(|&item| log.items.get(item)).collect::<Vec<_>>().join(" ")
    };
    sessions.iter().map(names).collect()
}

// --- layouts --------------------------------------------------------------------------------

#[test]
fn a_table_is_read_by_the_names_of_its_columns() {
    let log = take("Timestamp,User_ID,Product ID,event type,price\n5,u,a,view,1.5\n6,u,b,buy,\n");
    assert_eq!(log.report.format, Format::Csv);
    assert_eq!(events(&log), ["u a 1970-01-01T00:00:05Z", "u b 1970-01-01T00:00:06Z"]);
    assert_eq!(log.kinds.iter().collect::<Vec<_>>(), ["view", "buy"]);
    assert_eq!(log.events.price[0], 1.5);
    assert!(log.events.price[1].is_nan() && log.events.quantity.is_empty());
}

#[test]
fn further_columns_are_read_where_they_are_asked_for() {
    let text = "user,item,colour,stars\nann,a,red,4.5\nann,b,,many\nbob,c,red,\n";
    let (_folder, path) = file("log.csv", text);
    let further = |labels: &[&str], numbers: &[&str]| ReadOptions {
        further: Further {
            labels: labels.iter().map(|&name| name.to_owned()).collect(),
            numbers: numbers.iter().map(|&name| name.to_owned()).collect(),
        },
        ..ReadOptions::default()
    };
    let log = read(std::slice::from_ref(&path), &further(&["colour"], &["stars", "4"])).unwrap();
    let colour = &log.labels[0];
    assert_eq!((colour.name.as_str(), colour.names.get(0)), ("colour", "red"));
    assert_eq!(colour.values, [0, NONE, 0]);
    for stars in &log.numbers {
        assert!(stars.values[0] == 4.5 && stars.values[1..].iter().all(|x| x.is_nan()));
    }
    assert!(log.report.unused.is_empty());
    let error = read(&[path], &further(&["size"], &[])).unwrap_err().to_string();
    assert!(error.contains("no column \"size\" among user, item, colour, stars"), "{error}");
}

#[test]
fn byte_order_mark_carriage_returns_blank_lines_and_quotes_are_understood() {
    let text = "\u{feff}\"user\";\"item\";\"note\"\r\n\r\nann;\"a;\"\"1\"\"\";\"two\r\nlines\"\r\n\
                \r\nbob; b ;5\" screen\r\n";
    let log = take(text);
    assert_eq!(events(&log), ["ann a;\"1\"", "bob b"]);
    assert_eq!((log.report.rows, log.report.bad.count), (2, 0));
}

#[test]
fn named_columns_are_all_there_are() {
    let columns = "user=who,item=what".parse().unwrap();
    let options = ReadOptions { columns, ..ReadOptions::default() };
    let log = try_read("who\twhat\ttime\tsession\nann\ta\tx\ts\n", &options).unwrap();
    assert_eq!((log.report.format, events(&log)), (Format::Tsv, vec!["ann a".to_owned()]));
    assert!(log.events.time.is_empty() && log.events.session.is_empty());
}

/// Numbers as shops write them, in every column that is one.
#[test]
fn prices_are_read_as_shops_write_them() {
    let further = Further { numbers: vec!["weight".to_owned()], ..Further::default() };
    let options = ReadOptions { further, ..lenient() };
    let text = "user;item;price;quantity;amount;weight\nann;a;12,90 €;2;25,80;1,5 \n\
                ann;b;1.234,56;1;$1,234.56;1,200\nann;c;1,200;1;3;4\n";
    let log = try_read(text, &options).unwrap();
    let e = &log.events;
    assert_eq!((&e.price[..], &e.quantity[..]), (&[12.9, 1234.56][..], &[2.0, 1.0][..]));
    assert_eq!(&e.amount[..], [25.8, 1234.56]);
    // A further number that nobody understands is missing.
    assert!(log.numbers[0].values[0] == 1.5 && log.numbers[0].values[1].is_nan());
    let bad = &log.report.bad.first[0];
    assert_eq!((bad.line, bad.detail.as_str()), (4, "1,200"));
    assert!(bad.reason.contains("write 1200 or 1.200"), "{}", bad.reason);
}

#[test]
fn a_column_that_is_not_wanted_is_left_out() {
    let text = "user,item,price,event\nann,a,cheap,view\nann,b,dear,buy\n";
    let error = try_read(text, &ReadOptions::default()).unwrap_err().to_string();
    assert!(error.contains("leave the column out (price=- in --columns)"), "{error}");
    let without = |columns: &str, text: &str| {
        let options = ReadOptions { columns: columns.parse().unwrap(), ..ReadOptions::default() };
        try_read(text, &options)
    };
    let log = without("price=-", text).unwrap();
    assert_eq!((events(&log), log.kinds.len()), (vec!["ann a".into(), "ann b".into()], 2));
    assert!(log.events.price.is_empty() && log.report.unused == ["price"]);
    // Beside others that are named, and in a known layout.
    let log = without("user=user,item=item,price=-", text).unwrap();
    assert_eq!((log.events.len(), log.kinds.len()), (2, 0));
    let log = without("kind=-,time=-", "7,a,c1,pv,1511544070\n7,b,c2,buy,1511544071\n").unwrap();
    assert_eq!((log.report.format, log.kinds.len()), (Format::Taobao, 0));
    assert!(log.events.time.is_empty() && log.events.len() == 2);
    let error = without("user=-", text).unwrap_err().to_string();
    assert!(error.contains("no column for user"), "{error}");
}

#[test]
fn of_columns_with_one_name_the_first_is_read() {
    let log = take("user,item,item,x,x\nann,a,b,1,2\n");
    assert_eq!(events(&log), ["ann a"]);
    assert_eq!(log.report.notes, ["several columns are named \"item\": the first is read"]);
}

#[test]
fn columns_by_number_mean_a_table_without_a_header() {
    let columns = "user=2,item=1,time=3".parse().unwrap();
    let options = ReadOptions { columns, ..ReadOptions::default() };
    let log = try_read("a|ann|20200101\nb|ann|20200102\n", &options).unwrap();
    assert_eq!(events(&log), ["ann a 2020-01-01T00:00:00Z", "ann b 2020-01-02T00:00:00Z"]);
}

#[test]
fn taobao_yoochoose_and_retailrocket_are_known() {
    let log = take("7,a,c1,pv,1511544070\n7,b,c2,buy,1511544071\n");
    assert_eq!((log.report.format, log.users.len(), log.categories.len()), (Format::Taobao, 1, 2));
    assert_eq!(log.kinds.iter().collect::<Vec<_>>(), ["pv", "buy"]);

    let log = take("1,2014-04-07T10:51:09.277Z,a,0\n1,2014-04-07T10:54:09.868Z,b,0\n");
    assert_eq!((log.report.format, sessions(&log)), (Format::Yoochoose, vec!["a b".to_owned()]));
    assert_eq!(log.kinds.iter().collect::<Vec<_>>(), ["click"]);

    let log = take("420374,2014-04-06T18:44:58.314Z,a,12462,2\n");
    assert_eq!(log.kinds.iter().collect::<Vec<_>>(), ["buy"]);
    assert_eq!((log.events.price[0], log.events.quantity[0]), (12462.0, 2.0));

    let log = take(
        "timestamp,visitorid,event,itemid,transactionid\n1433221332117,257597,view,355908,\n\
         1433224214164,257597,transaction,248676,4000\n",
    );
    assert_eq!(log.report.format, Format::Retailrocket);
    assert_eq!(events(&log)[0], "257597 355908 2015-06-02T05:02:12.117Z");
    // 48 minutes apart: two sessions of one user.
    assert_eq!(sessions(&log), ["355908", "248676"]);
}

#[test]
fn eshop_orders_a_session_by_its_order_column() {
    let header = "year;month;day;order;country;session ID;page 1 (main category);page 2 (clothing \
                  model);colour;location;model photography;price;price 2;page";
    let row = |order: u32, item: &str| format!("2008;4;1;{order};29;1;1;{item};1;5;1;28;2;1");
    let rows = [header.to_owned(), row(3, "C"), row(1, "A"), row(2, "B")].join("\n");
    let log = take(&rows);
    assert_eq!((log.report.format, sessions(&log)), (Format::Eshop, vec!["A B C".to_owned()]));

    // Without its header the layout has to be named.
    let bare = rows.split_once('\n').unwrap().1;
    assert!(matches!(try_read(bare, &lenient()), Err(Error::Unrecognised { .. })));
    let options = ReadOptions { format: Some(Format::Eshop), ..ReadOptions::default() };
    assert_eq!(sessions(&try_read(bare, &options).unwrap()), ["A B C"]);
}

#[test]
fn sessions_and_pairs_are_lines_of_ids() {
    let log = take("a b  a\r\n\n c \nb\tc\n".replace('\t', " "));
    assert_eq!(
        (log.report.format, sessions(&log)),
        (Format::Sessions, vec!["a b a".into(), "c".into(), "b c".into()])
    );

    let log = take("a b\tc\na\tb\n");
    let pairs = Sessions::from_log(&log, &SessionOptions::default()).unwrap();
    assert_eq!(
        (log.report.format, sessions(&log)),
        (Format::Pairs, vec!["a b c".into(), "a b".into()])
    );
    assert_eq!(pairs.targets(), Targets::Last);
}

// --- files, folders, compression --------------------------------------------------------------

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

const TABLE: &str = "user,item\nann,a\nbob,b\n";

#[test]
fn compressed_files_are_read_as_they_are() {
    let zstd = zstd::encode_all(TABLE.as_bytes(), 3).unwrap();
    for (name, content) in [
        ("log.csv.gz", gzip(TABLE.as_bytes())),
        ("log.csv.zst", zstd),
        // By content, whatever the name; and two gzip files one after the other.
        ("log.csv", [gzip(b"user,item\nann,a\n"), gzip(b"bob,b\n")].concat()),
    ] {
        let (_folder, path) = file(name, content);
        let log = read(&[path], &ReadOptions::default()).unwrap();
        assert_eq!(events(&log), ["ann a", "bob b"], "{name}");
    }
}

#[test]
fn a_file_cut_short_is_an_error_with_its_place() {
    let rows: String = (0..50_000).map(|row| format!("u{row},{}\n", row * 7919 % 10_007)).collect();
    let table = format!("user,item\n{rows}");
    let zstd = zstd::encode_all(table.as_bytes(), 3).unwrap();
    for (name, whole) in [("log.csv.gz", gzip(table.as_bytes())), ("log.csv.zst", zstd)] {
        for length in [whole.len() / 2, whole.len() - 1, 20, 3] {
            let (_folder, path) = file(name, &whole[..length]);
            let error = read(&[path], &ReadOptions::default()).unwrap_err();
            // Three bytes of a zstd file are not yet known as one.
            let known = matches!(error, Error::Read { .. } | Error::NotCompressed { .. });
            assert!(known && error.to_string().contains(name), "{length}: {error}");
        }
    }
    let (_folder, path) = file("log.csv.gz", TABLE);
    let error = read(&[path], &ReadOptions::default()).unwrap_err().to_string();
    assert!(error.contains("the content is not gzip"), "{error}");
}

#[test]
fn a_folder_is_its_files_in_name_order() {
    let (folder, _) = file("b.csv", "user,item\nbob,b\n");
    let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    put("a.csv", "item,user\na,ann\n");
    put("c.csv", "");
    put(".hidden", "not a log");
    std::fs::create_dir(folder.path().join("deeper")).unwrap();
    let log = read(&[folder.path().to_owned()], &ReadOptions::default()).unwrap();
    assert_eq!((events(&log), log.report.files.len()), (vec!["ann a".into(), "bob b".into()], 3));

    put("d.csv", "user,item,time\nann,a,5\n");
    let error = read(&[folder.path().to_owned()], &ReadOptions::default()).unwrap_err();
    assert!(error.to_string().contains("d.csv: a user, no session and a time column"), "{error}");

    put("d.csv", "1 2 3\n");
    let error = read(&[folder.path().to_owned()], &ReadOptions::default()).unwrap_err();
    assert!(error.to_string().contains("d.csv: sessions, but"), "{error}");
}

/// As DuckDB and Spark write a table by the values of a column.
#[test]
fn a_text_table_in_folders_has_the_columns_of_their_names() {
    let folder = TempDir::new().unwrap();
    let put = |path: &str, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    put("event_type=a%2Fb/day=2020-01-02/part-0.csv", "user,item\nann,\"a\"\nann,b\n");
    put("event_type=buy/day=2020-01-03/part-0.csv", "user,item\nbob,c\nbob\n");
    let paths = [folder.path().to_owned()];
    let columns = "user=user,item=item,time=day,kind=event_type".parse().unwrap();
    let log = read(&paths, &ReadOptions { columns, ..lenient() }).unwrap();
    assert_eq!(
        events(&log),
        ["ann a 2020-01-02T00:00:00Z", "ann b 2020-01-02T00:00:00Z", "bob c 2020-01-03T00:00:00Z"]
    );
    assert_eq!(log.kinds.iter().collect::<Vec<_>>(), ["a/b", "buy"]);
    assert_eq!(log.report.bad.first[0].detail, "1 instead of 2");
    // By its usual name, and as what `--suggest` has found.
    let log = read(&paths, &lenient()).unwrap();
    assert_eq!(
        (log.events.kind.as_slice(), &log.report.unused[..]),
        (&[0, 0, 1][..], &["day".to_owned()][..])
    );
    let found = events::suggest(&paths, None).unwrap();
    assert_eq!(found.columns.get(events::Role::Kind), Some("event_type"));
    // Without a header, by its place or its name; a column of the file goes before a folder of its name.
    put("event_type=a%2Fb/day=2020-01-02/part-0.csv", "ann,a\n");
    put("event_type=buy/day=2020-01-03/part-0.csv", "bob,c\n");
    for kind in ["3", "event_type"] {
        let columns = format!("user=1,item=2,kind={kind}").parse().unwrap();
        let log = read(&paths, &ReadOptions { columns, ..ReadOptions::default() }).unwrap();
        assert_eq!((log.events.len(), log.kinds.get(1)), (2, "buy"));
    }
    put("event_type=a%2Fb/day=2020-01-02/part-0.csv", "user,item,day\nann,a,2021-05-05\n");
    put("event_type=buy/day=2020-01-03/part-0.csv", "user,item,day\nbob,c,2021-05-06\n");
    let columns = "user=user,item=item,time=day".parse().unwrap();
    let log = read(&paths, &ReadOptions { columns, ..ReadOptions::default() }).unwrap();
    assert_eq!(format_time(log.events.time[0]), "2021-05-05T00:00:00Z");
}

#[test]
fn nothing_to_read_is_an_error() {
    let missing = read(&[PathBuf::from("no/such/log.csv")], &ReadOptions::default()).unwrap_err();
    assert!(missing.to_string().contains("no/such/log.csv"), "{missing}");
    let folder = TempDir::new().unwrap();
    let empty = read(&[folder.path().to_owned()], &ReadOptions::default()).unwrap_err();
    assert!(matches!(empty, Error::Empty { .. }), "{empty}");
    // A header alone has no rows either.
    for text in ["\n\n", "user,item\n"] {
        assert!(matches!(try_read(text, &lenient()), Err(Error::Empty { .. })), "{text:?}");
    }
}

// --- bad rows -----------------------------------------------------------------------------------

#[test]
fn bad_rows_are_kept_with_file_line_and_reason() {
    let text = b"user,item,time,price\n\
        ann,a,20200101,1\n\
        ann,a\n\
        ann,,20200101,1\n\
        ,a,20200101,1\n\
        ann,a,yesterday,1\n\
        ann,a,20200101,cheap\n\
        ann,\xff\xfe,20200101,1\n\
        ann,a,20200101,\"never closed\n\
        ann,b,20200102,inf\n\
        ann,b,20200103,2\n";
    let (_folder, path) = file("log.csv", text);
    let log = read(std::slice::from_ref(&path), &lenient()).unwrap();
    assert_eq!(events(&log), ["ann a 2020-01-01T00:00:00Z", "ann b 2020-01-03T00:00:00Z"]);
    let bad = &log.report.bad;
    assert_eq!((log.report.rows, bad.count), (10, 8));
    let found: Vec<_> = bad.first.iter().map(|row| (row.line, row.reason)).collect();
    assert_eq!(
        found,
        [
            (3, "wrong number of columns"),
            (4, "no item"),
            (5, "no user"),
            (6, "time not understood"),
            (7, "the price is not a number"),
            (8, "not UTF-8 text"),
            (9, "quote never closed"),
            (10, "the price is not a number"),
        ]
    );
    assert_eq!(bad.first[3].detail, "yesterday");
    assert!(bad.first.iter().all(|row| Path::new(&row.file) == path));

    let error = read(&[path], &ReadOptions { max_bad: 0.5, ..ReadOptions::default() }).unwrap_err();
    let error = error.to_string();
    assert!(error.starts_with("8 of 10 rows are bad"), "{error}");
    assert!(error.contains("log.csv line 3: wrong number of columns"), "{error}");
}

/// The share that is allowed is allowed, and one row more is not.
#[test]
fn max_bad_is_a_share_of_all_rows() {
    let rows = |bad: usize| {
        let bad = "ann,\n".repeat(bad);
        format!("user,item\n{}{bad}", "ann,a\n".repeat(200 - bad.len() / 5))
    };
    assert_eq!(try_read(rows(2), &ReadOptions::default()).unwrap().report.bad.count, 2);
    let error = try_read(rows(3), &ReadOptions::default()).unwrap_err();
    assert!(matches!(error, Error::TooManyBad { bad: 3, rows: 200, .. }), "{error}");
}

#[test]
fn lines_of_ids_can_be_bad_too() {
    let options = ReadOptions { format: Some(Format::Pairs), ..lenient() };
    let log = try_read(b"a b\tc\na b\n\tc\na\t\na\tb c\n\xff\tb\n", &options).unwrap();
    let found: Vec<_> = log.report.bad.first.iter().map(|row| (row.line, row.reason)).collect();
    assert_eq!(
        found,
        [
            (2, "no tab between prefix and target"),
            (3, "no item before the tab"),
            (4, "not exactly one item after the tab"),
            (5, "not exactly one item after the tab"),
            (6, "not UTF-8 text"),
        ]
    );
    assert_eq!(sessions(&log), ["a b c"]);
}

/// An id in another encoding is bad; a description that nobody reads is not.
#[test]
fn only_the_columns_that_are_used_have_to_be_text() {
    let log = take(b"user,item,description\nann,a,\xa3 5\n");
    assert_eq!(events(&log), ["ann a"]);
}

#[test]
fn a_line_without_end_is_bad_and_the_next_is_read() {
    let mut text = b"user,item\nann,a\nann,".to_vec();
    text.resize(text.len() + 17 * 1024 * 1024, b'x');
    text.extend_from_slice(b"\nbob,b\n");
    let log = try_read(text, &lenient()).unwrap();
    assert_eq!(events(&log), ["ann a", "bob b"]);
    assert_eq!(
        (log.report.bad.first[0].line, log.report.bad.first[0].reason),
        (3, "line too long")
    );
}

#[test]
fn a_column_that_is_missing_is_named() {
    for (columns, header, part) in [
        ("user=who,item=what", "who,else", "no column for item"),
        ("user=1,item=9", "a,b", "no column for item"),
        ("item=1", "a,b", "no column for user"),
        ("user=1", "a,b", "no column for item"),
    ] {
        let columns = columns.parse().unwrap();
        let options = ReadOptions { columns, ..ReadOptions::default() };
        let error = try_read(format!("{header}\nx,y\n"), &options).unwrap_err().to_string();
        assert!(error.contains(part) && error.contains(&header.replace(',', ", ")), "{error}");
    }
    let options = ReadOptions { format: Some(Format::Eshop), ..ReadOptions::default() };
    let error = try_read("year;month;day\n2008;4;1\n", &options).unwrap_err().to_string();
    assert!(error.contains("no column for order"), "{error}");

    let options = ReadOptions {
        format: Some(Format::Sessions),
        columns: "user=1".parse().unwrap(),
        ..ReadOptions::default()
    };
    assert!(try_read("1 2\n", &options).unwrap_err().is_usage());
}

// --- windows and summaries ----------------------------------------------------------------------

#[test]
fn a_window_leaves_rows_and_their_names_out() {
    let window =
        Window::parse(Some("2020-01-02"), Some("2020-01-03"), &Default::default()).unwrap();
    let options = ReadOptions { window, ..ReadOptions::default() };
    let text = "user,item,time\nann,a,2020-01-01\nbob,b,2020-01-02\ncat,c,2020-01-03 23:59:59\n\
                dan,d,2020-01-04\n";
    let log = try_read(text, &options).unwrap();
    assert_eq!(events(&log), ["bob b 2020-01-02T00:00:00Z", "cat c 2020-01-03T23:59:59Z"]);
    assert_eq!((log.report.rows, log.report.outside, log.users.len()), (4, 2, 2));
    for timeless in ["1 2 3\n", "user,item\nann,a\n"] {
        let error = try_read(timeless, &options).unwrap_err();
        assert!(matches!(error, Error::NoTimes { .. }), "{error}");
    }
}

#[test]
fn a_summary_has_the_keys_that_scripts_rely_on() {
    let text = "user,item,time,event\nann,a,2020-01-01,view\nann,a,2020-01-01 00:01,View\n\
                ann,b,2020-01-01 00:02,view\nbob,a,2020-01-05,view\nbob,,2020-01-05,view\n";
    let log = try_read(text, &lenient()).unwrap();
    let summary = Summary::new(&log, &SessionOptions::default(), 2, 2).unwrap();
    let json = serde_json::to_value(&summary).unwrap();
    for (key, expected) in [
        ("format", serde_json::json!("csv")),
        ("rows", 5.into()),
        ("bad_rows", 1.into()),
        ("events", 4.into()),
        ("users", 2.into()),
        ("sessions", 2.into()),
        ("items", 2.into()),
        ("kinds", serde_json::json!({"view": 3, "View": 1})),
        ("first", "2020-01-01T00:00:00Z".into()),
        ("last", "2020-01-05T00:00:00Z".into()),
        ("bad_row_reasons", serde_json::json!({"no item": 1})),
        ("lengths", serde_json::json!({"mean": 2.0, "median": 1, "p90": 3, "p99": 3, "max": 3})),
        ("repeats", serde_json::json!({"seen_before": 0.5, "same_as_last": 0.5})),
        (
            "dropped",
            serde_json::json!({"items": 1, "rare_events": 1, "sessions": 1, "short_events": 1}),
        ),
    ] {
        assert_eq!(json[key], expected, "{key}");
    }

    let lines = take("a b\nb c\n");
    let summary = Summary::new(&lines, &SessionOptions::default(), 1, 2).unwrap();
    assert_eq!((summary.users, summary.first, summary.kinds.len()), (0, None, 0));
}

#[test]
fn columns_that_begin_late_are_filled_up() {
    let (folder, _) = file("a.csv", "user,item\nann,a\n");
    std::fs::write(folder.path().join("b.csv"), "user,item,event,price\nbob,b,buy,3\n").unwrap();
    std::fs::write(folder.path().join("c.csv"), "user,item\ncat,c\n").unwrap();
    let log = read(&[folder.path().to_owned()], &ReadOptions::default()).unwrap();
    assert_eq!(log.events.kind, [NONE, 0, NONE]);
    assert!(log.events.price[0].is_nan() && log.events.price[1] == 3.0);
    assert_eq!(log.events.price.len(), 3);
    assert_eq!(log.kind(1), events::Kind::Purchase);
    assert_eq!(log.kind(2), events::Kind::Other);
}
