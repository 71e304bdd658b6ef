//! Broken input, for every layout: an error that says what is wrong, or bad rows with their reasons;
//! never a panic, and every row accounted for.

mod logs;

use events::{Error, Format, Log, ReadOptions};
use logs::{accounted, bad, corpus, events, named, take_as, try_read};

/// What must hold of anything that was read as this layout.
fn check(format: Format, result: &Result<Log, Error>) {
    match result {
        Ok(log) => {
            let lines = matches!(format, Format::Sessions | Format::Pairs | Format::Users);
            if !lines {
                assert_eq!(log.report.rows, accounted(log), "{format}");
            }
            assert_eq!(log.report.bad.count > 0, !log.report.bad.first.is_empty());
            assert!(bad(log).iter().all(|&(line, reason)| line > 0 && !reason.is_empty()));
        }
        Err(error) => {
            let text = error.to_string();
            assert!(text.contains("log") && text.contains("; "), "{format}: {text}");
        }
    }
}

/// Reads a text as this layout and by looking; both have to hold.
fn read_both(format: Format, text: impl AsRef<[u8]>) -> Result<Log, Error> {
    let looked = ReadOptions { format: None, ..named(format) };
    let looked = try_read(text.as_ref(), &looked);
    check(looked.as_ref().map_or(format, |log| log.report.format), &looked);
    let result = try_read(text.as_ref(), &named(format));
    check(format, &result);
    result
}

#[test]
fn files_cut_at_any_byte() {
    for (format, text) in corpus() {
        let whole = events(&take_as(format, &text));
        for length in 0..text.len() {
            let Ok(log) = read_both(format, &text[..length]) else { continue };
            // All but the event that the cut went through are as they were. A date that told the
            // order of the others may be gone.
            let found = events(&log);
            let same = found.len().saturating_sub(if format == Format::Sessions { 2 } else { 1 });
            if ![Format::OnlineRetail, Format::Csv].contains(&format) {
                assert_eq!(found[..same], whole[..same], "{format} {length}");
            }
            assert!(log.report.bad.count <= 2, "{format} {length}: {:?}", bad(&log));
        }
    }
}

#[test]
fn byte_order_marks_and_line_ends_of_windows() {
    for (format, text) in corpus() {
        let text = String::from_utf8(text).unwrap();
        let expected = events(&take_as(format, &text));
        let windows = format!("\u{feff}{}", text.replace("\r\n", "\n").replace('\n', "\r\n"));
        assert_eq!(events(&take_as(format, &windows)), expected, "{format}");
        let blank = text.replace("\r\n", "\n").replace('\n', "\n\n \n");
        let quoted = format == Format::Csv;
        assert!(quoted || events(&take_as(format, blank)) == expected, "{format}");
        let open = text.trim_end();
        assert_eq!(events(&take_as(format, open)), expected, "{format}");
    }
}

#[test]
fn line_ends_of_an_old_mac_are_an_error() {
    for (format, text) in corpus() {
        let text = String::from_utf8(text).unwrap().replace("\r\n", "\n").replace('\n', "\r");
        let error = read_both(format, &text).unwrap_err().to_string();
        assert!(error.contains("end in CR alone") && error.contains("LF"), "{format}: {error}");
    }
    // One of them alone is not the end of a line, and nothing behind it is lost.
    let log = take_as(Format::Csv, "user,item\nann,a\rbob,b\ncat,c\n");
    assert_eq!(
        (events(&log), bad(&log)),
        (vec!["cat c".into()], vec![(2, "wrong number of columns")])
    );
    let log = take_as(Format::Sessions, "1 2\r3 4\n5 6\n");
    assert_eq!(bad(&log), [(1, "a carriage return inside the line")]);
}

#[test]
fn text_in_utf_16_is_an_error() {
    for (format, text) in corpus() {
        let text = String::from_utf8(text).unwrap();
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for (mark, body, saw) in [
            (&[0xff, 0xfe][..], &little, "UTF-16"),
            (&[0xfe, 0xff], &big, "UTF-16"),
            (&[], &little, "NUL bytes"),
            (&[], &big, "NUL bytes"),
        ] {
            let error = read_both(format, [mark, body].concat()).unwrap_err().to_string();
            assert!(error.contains(saw) && error.contains("UTF-8"), "{format}: {error}");
        }
    }
}

/// Rows in another encoding are bad where they are read, and good where nobody reads what is odd.
#[test]
fn text_in_latin_1_makes_bad_rows() {
    for (format, text) in corpus() {
        // An e with an accent in every item and user: they begin with a digit or a letter.
        let odd: Vec<u8> = text
            .split_inclusive(|&byte| byte == b'\n')
            .enumerate()
            .flat_map(|(line, bytes)| {
                let mut bytes = bytes.to_vec();
                if line > 0 && bytes.len() > 4 {
                    bytes.insert(2, 0xe9);
                }
                bytes
            })
            .collect();
        let log = read_both(format, odd).unwrap();
        let reasons: Vec<_> = bad(&log).into_iter().map(|(_, reason)| reason).collect();
        assert!(reasons.contains(&"not UTF-8 text"), "{format}: {reasons:?}");
    }
    let error = try_read(b"user,item\nann,caf\xe9\n", &ReadOptions::default()).unwrap_err();
    assert!(error.to_string().contains("iconv -f LATIN1 -t UTF-8"), "{error}");
    let text = b"user,item,name\nann,a,caf\xe9\n";
    assert_eq!(events(&take_as(Format::Csv, text)), ["ann a"]);
}

#[test]
fn nul_bytes_make_bad_rows() {
    for (format, text) in corpus() {
        // Behind the second byte of the last line: in its user, session or time.
        let last = text[..text.len() - 1].iter().rposition(|&byte| byte == b'\n').unwrap() + 1;
        let mut odd = text.clone();
        odd.insert(last + 1, 0);
        let log = try_read(&odd, &named(format)).unwrap();
        assert!(log.report.bad.count > 0 || !log.report.aside.is_empty(), "{format}");
        assert!(events(&log).iter().all(|event| !event.contains('\0')), "{format}");
        assert!(try_read(&odd, &ReadOptions::default()).is_err(), "{format}");
    }
}

#[test]
fn lines_of_many_megabytes_are_rows_like_any_other_up_to_a_limit() {
    for (format, text) in corpus() {
        // Tables, lines of ids and objects differ in this; tables among themselves do not.
        if ![Format::Csv, Format::Users, Format::Otto].contains(&format) {
            continue;
        }
        for (megabytes, limit) in [(10, false), (17, true)] {
            let mut long = text.clone();
            long.resize(long.len() + megabytes * 1024 * 1024, b'z');
            long.push(b'\n');
            let before = take_as(format, &text);
            long.extend_from_slice(text.split(|&byte| byte == b'\n').nth(1).unwrap());
            let log = try_read(&long, &named(format)).unwrap();
            let reasons: Vec<_> = bad(&log).into_iter().map(|(_, reason)| reason).collect();
            let too_long = reasons.contains(&"line too long");
            assert_eq!(too_long, limit, "{format}: {reasons:?}");
            assert!(log.events.len() >= before.events.len(), "{format}");
            assert!(log.report.bad.first.iter().all(|row| row.detail.len() < 300));
        }
    }
}

#[test]
fn ids_and_numbers_past_every_width() {
    let huge = "9".repeat(400);
    let log = take_as(
        Format::Csv,
        format!(
            "user,item,time,price,quantity\n{huge},{huge},1,1,1\nu,a,{huge},1,1\nu,b,1,{huge},1\n\
             u,c,1,1,-{huge}\nu,d,-9223372036854775808,1,1\nu,e,9223372036854775807,1,1\n\
             u,f,1,1e39,1\nu,g,1,NaN,1\n"
        ),
    );
    assert_eq!((log.users.get(0), log.items.get(0)), (huge.as_str(), huge.as_str()));
    assert_eq!(
        bad(&log),
        [
            (3, "time not understood"),
            (4, "the price is not a number"),
            (5, "the quantity is not a number"),
            (8, "the price is not a number"),
            (9, "the price is not a number"),
        ]
    );
    let eshop =
        format!("{huge};4;1;1;29;1;1;A;1;5;1;28;2;1\n2008;4;1;{huge};29;1;1;A;1;5;1;28;2;1\n");
    let log = take_as(Format::Eshop, eshop);
    assert_eq!(bad(&log), [(1, "time not understood"), (2, "not a number")]);
    let otto = format!(r#"{{"session":{huge},"events":[{{"aid":{huge},"ts":1,"type":"x"}}]}}"#);
    assert_eq!(take_as(Format::Otto, otto).items.get(0), huge);
    let tmall = format!("u,a,c,1,9,{huge},0\nu,a,c,1,9,65536,0\nu,a,c,1,9,32767,0\nu,a,c,1,9,,0\n");
    assert_eq!(bad(&take_as(Format::Tmall, tmall)).len(), 4);
}

#[test]
fn objects_that_are_not_what_they_should_be() {
    let deep = |open: &str, shut: &str| format!("{}{}", open.repeat(100_000), shut.repeat(100_000));
    let event = r#"{"aid":1,"ts":1,"type":"clicks"}"#;
    let session = |events: &str| format!("{{\"session\":1,\"events\":{events}}}");
    for (line, reason) in [
        (deep("[", "]"), "not a session"),
        (deep("{\"a\":", "}"), "not JSON"),
        (deep("[", ""), "not JSON"),
        (session(&deep("[", "]")), "not an event"),
        (session(&format!("[{{\"aid\":{},\"ts\":1,\"type\":1}}]", deep("[", "]"))), "no item"),
        (session(&deep("[", "")), "not JSON"),
        (session("{}"), "no list of events"),
        (session("null"), "no list of events"),
        (session("\"[]\""), "no list of events"),
        (session("[]"), "a session without events"),
        (session("[ ]"), "a session without events"),
        (session("[1]"), "not an event"),
        (session("[{\"aid\":\"\",\"ts\":1,\"type\":\"x\"}]"), "no item"),
        (session("[{\"aid\":\"\\u0000\",\"ts\":1,\"type\":\"x\"}]"), "no item"),
        (session("[{\"aid\":\"\\ud800\",\"ts\":1,\"type\":\"x\"}]"), "no item"),
        (session("[{\"aid\":1,\"ts\":\"soon\",\"type\":\"x\"}]"), "time not understood"),
        (session("[{\"aid\":1,\"ts\":1,\"type\":true}]"), "no type of the event"),
        (session(&format!("[{event}")), "not JSON"),
        (session(&format!("[{event},]")), "not JSON"),
        (format!("{{\"session\":null,\"events\":[{event}]}}"), "no session"),
        (format!("{{\"session\":[1],\"events\":[{event}]}}"), "no session"),
        (format!("{{\"session\":1,\"session\":2,\"events\":[{event}]}}"), "not a session"),
        (format!("{} x", session(&format!("[{event}]"))), "not JSON"),
        ("17".to_owned(), "not a session"),
        ("nonsense".to_owned(), "not JSON"),
    ] {
        let text = format!("{line}\n{}\n", session(&format!("[{event}]")));
        let log = read_both(Format::Otto, &text).unwrap();
        let shown: String = line.chars().take(80).collect();
        assert_eq!((log.events.len(), bad(&log)), (1, vec![(1, reason)]), "{shown}");
    }
}

/// Every layout as every other one: bad rows and errors, and no event out of thin air.
#[test]
fn each_layout_taken_for_each_other() {
    for (_, text) in corpus() {
        for other in Format::ALL {
            check(other, &try_read(&text, &named(other)));
        }
    }
}
