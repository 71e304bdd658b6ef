//! Logs that are broken by chance: small ones of every layout, changed again and again, each time with
//! what must hold of anything that is read.
//!
//! The changes are drawn from a seed, so a case that fails is the same case next time; its message has
//! the bytes. `TIDEGATE_FUZZ_CASES` says how many there are for each layout, `TIDEGATE_FUZZ_SEED` which.

mod logs;

use std::panic::{AssertUnwindSafe, catch_unwind};

use events::{
    BadRows, Format, Log, ReadOptions, Report, SessionOptions, SessionRule, Sessions, Summary, Zone,
};
use logs::{accounted, corpus, gzip, named, try_read};

/// What is put in: signs that mean something to one reader or another, and numbers at the edges.
const WORDS: [&[u8]; 40] = [
    b"\"",
    b"\"\"",
    b",",
    b";",
    b"\t",
    b"|",
    b"\n",
    b"\r",
    b"\r\n",
    b"\n\n",
    b" ",
    b"\0",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xc3",
    b"\xe6\x9c\x88",
    b"{",
    b"}",
    b"[",
    b"]",
    b"[]",
    b":",
    b"null",
    b"\\u0000",
    b"\\ud800",
    b"\"session\":",
    b"\"events\":[",
    b"-",
    b"/",
    b"13/13/2010",
    b"2/30/2010",
    b"2020-02-30T25:61:61Z",
    b"00000000",
    b"99999999999999999999",
    b"-9223372036854775808",
    b"1e999",
    b"NaN",
    b"NA",
    b":token_seq",
    b"Europe/Warsaw",
];

/// Numbers by chance: a Weyl sequence, mixed (SplitMix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 where that is 0.
    fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { (self.next() % end as u64) as usize }
    }

    /// A part of `length` things, mostly a short one.
    fn part(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        let most = if self.below(4) == 0 { length - start } else { (length - start).min(12) };
        start..start + self.below(most + 1)
    }

    /// Changes a log in one to six places.
    fn change(&mut self, log: &mut Vec<u8>, others: &[(Format, Vec<u8>)]) {
        for _ in 0..=self.below(6) {
            let part = self.part(log.len());
            match self.below(8) {
                0 => log.truncate(part.start),
                1 => drop(log.drain(part)),
                2 => {
                    let copy = log[part].to_vec();
                    let at = self.below(log.len() + 1);
                    log.splice(at..at, copy);
                }
                3 => {
                    let copy = log[part.clone()].repeat(1 + self.below(40));
                    log.splice(part.start..part.start, copy);
                }
                4 => {
                    let other = &others[self.below(others.len())].1;
                    let from = self.part(other.len());
                    log.splice(part, other[from].iter().copied());
                }
                5 => {
                    if let Some(byte) = log.get_mut(part.start) {
                        *byte ^= 1 << self.below(8);
                    }
                }
                _ => {
                    let word = WORDS[self.below(WORDS.len())];
                    log.splice(part.start..part.start, word.iter().copied());
                }
            }
        }
    }
}

fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// Hands changed logs of a layout to `target`; the first that makes it panic, with its number.
fn search(
    format: Format,
    cases: u64,
    seed: u64,
    target: impl Fn(Format, &[u8]),
) -> Result<(), (u64, Vec<u8>)> {
    let logs = corpus();
    let own: Vec<_> = logs.iter().filter(|(other, _)| *other == format).collect();
    for case in 0..cases {
        let (_, whole) = own[case as usize % own.len()];
        // Each case has its own numbers, so that one can be repeated alone.
        let mut chance = Chance(seed ^ (case << 20) ^ format as u64);
        let mut log = whole.clone();
        chance.change(&mut log, &logs);
        if catch_unwind(AssertUnwindSafe(|| target(format, &log))).is_err() {
            return Err((case, log));
        }
    }
    Ok(())
}

/// A log as text, to be compared.
fn describe(result: &Result<Log, events::Error>) -> String {
    match result {
        Err(error) => error.to_string(),
        Ok(log) => format!("{:?} {:?} {:?}", log.events, log.report, log.labels),
    }
}

/// What holds of anything that is read.
fn invariants(format: Format, text: &[u8]) {
    let looked = ReadOptions { format: None, ..named(format) };
    for options in [named(format), looked] {
        let result = try_read(text, &options);
        let described = describe(&result);
        assert_eq!(describe(&try_read(text, &options)), described, "read twice");
        let archive = text.starts_with(&[0x1f, 0x8b]) || text.starts_with(&[0x28, 0xb5]);
        if !archive {
            assert_eq!(describe(&try_read(gzip(text), &options)), described, "through gzip");
        }
        let Ok(log) = result else { continue };
        let (format, report) = (log.report.format, &log.report);
        if !matches!(format, Format::Sessions | Format::Pairs | Format::Users) {
            assert_eq!(report.rows, accounted(&log), "rows");
        }
        let by_reason: u64 = report.bad.reasons.iter().map(|(_, count)| count).sum();
        assert_eq!(by_reason, report.bad.count, "reasons");
        assert_eq!(report.bad.first.len() as u64, report.bad.count.min(BadRows::KEPT as u64));
        for rule in [SessionRule::Auto, SessionRule::User, SessionRule::Gap] {
            let options = SessionOptions { rule, ..SessionOptions::default() };
            if let Ok(sessions) = Sessions::from_log(&log, &options) {
                assert_eq!(sessions.events(), log.events.len(), "sessions");
                let summary = Summary::of(&log, &sessions, 1, 2);
                let report = Report::new(&log, &sessions, &summary, &options, &Zone::default());
                let calendar = report.unwrap().calendar;
                let drawn = calendar.map_or(log.events.len() as u64, |calendar| {
                    calendar.bins.iter().sum::<u64>() + calendar.before + calendar.after
                });
                assert_eq!(drawn, log.events.len() as u64, "calendar");
            }
        }
        if let Ok(summary) = Summary::new(&log, &SessionOptions::default(), 1, 2) {
            assert_eq!(summary.events, log.events.len() as u64);
        }
    }
}

#[test]
fn what_holds_of_a_log_holds_of_any_bytes() {
    let (cases, seed) = (variable("TIDEGATE_FUZZ_CASES", 300), variable("TIDEGATE_FUZZ_SEED", 1));
    let logs = corpus();
    for (format, text) in &logs {
        invariants(*format, text);
    }
    for format in Format::ALL {
        if !logs.iter().any(|(other, _)| *other == format) {
            // Files that are no text have their own tests.
            assert!(["parquet", "arrow", "prepared"].contains(&format.name()), "{format}");
            continue;
        }
        if let Err((case, log)) = search(format, cases, seed, invariants) {
            panic!("{format}, case {case} of seed {seed}: b\"{}\"", log.escape_ascii());
        }
    }
}

/// A reader that trusts its input is found out: one that takes the fifth field for granted, one that
/// cuts text between bytes, one that believes in four digits.
#[test]
fn planted_panics_are_found() {
    let fifth = |_: Format, log: &[u8]| {
        for line in String::from_utf8_lossy(log).lines().filter(|line| !line.is_empty()) {
            line.split(',').nth(4).unwrap();
        }
    };
    let cut = |_: Format, log: &[u8]| {
        let text = String::from_utf8_lossy(log);
        let _ = &text[..text.len().min(30)];
    };
    let year = |_: Format, log: &[u8]| {
        let text = String::from_utf8_lossy(log);
        if let Some((_, rest)) = text.split_once("2016-") {
            assert!(rest.len() < 2 || rest.as_bytes()[..2].iter().all(u8::is_ascii_digit));
        }
    };
    let found = [
        search(Format::Taobao, 300, 1, fifth).is_err(),
        search(Format::Users, 2000, 1, cut).is_err(),
        search(Format::Jdata, 2000, 1, year).is_err(),
    ];
    assert_eq!(found, [true; 3]);
}
