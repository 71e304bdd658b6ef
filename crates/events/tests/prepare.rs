//! Prepared data: the log that was read, grouped and ordered, whatever memory there was.

use std::fs;
use std::path::{Path, PathBuf};

use events::{
    CleanReport, CleanRules, Error, Format, Further, Log, NONE, PrepareOptions, Prepared,
    ReadOptions, Role, SessionOptions, SessionRule, Sessions, clean, clean_sessions, prepare, read,
};
use tempfile::TempDir;

/// A log whose users are mixed, with holes, equal times and rows out of order.
fn mixed_log() -> String {
    let mut text = "user,item,time,kind,category,price,colour,stars\n".to_owned();
    let mut state = 1u64;
    for row in 0..3000u64 {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let draw = |shift: u32, below: u64| (state >> shift) % below;
        let hole = |text: String, shift| if draw(shift, 5) == 0 { String::new() } else { text };
        text += &format!(
            "u{},i{},{},{},{},{},{},{}\n",
            draw(20, 90),
            draw(28, 40),
            1_500_000_000 + (row * 20 + draw(34, 400) * 3) / 600 * 600,
            ["view", "buy"][draw(40, 2) as usize],
            hole(format!("c{}", draw(41, 6)), 44),
            hole(format!("{}.5", draw(45, 9)), 48),
            hole(format!("red {}", draw(50, 3)), 52),
            hole(draw(54, 6).to_string(), 57),
        );
    }
    text
}

fn options() -> ReadOptions {
    let further = Further { labels: vec!["colour".into()], numbers: vec!["stars".into()] };
    ReadOptions { further, ..ReadOptions::default() }
}

struct Folder(TempDir);

impl Folder {
    fn with(name: &str, text: &str) -> (Self, PathBuf) {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        (Self(folder), path)
    }

    fn prepare(&self, log: &Path, read: ReadOptions, rule: SessionRule, memory: usize) -> PathBuf {
        self.clean(log, read, rule, memory, &CleanRules(vec![])).0
    }

    fn clean(
        &self,
        log: &Path,
        read: ReadOptions,
        rule: SessionRule,
        memory: usize,
        clean: &CleanRules,
    ) -> (PathBuf, Prepared) {
        let out = self.0.path().join(format!("{}-{memory}", rule.name()));
        fs::create_dir(&out).unwrap();
        let sessions = SessionOptions { rule, ..SessionOptions::default() };
        let options = PrepareOptions {
            read,
            sessions,
            memory,
            clean: Some(clean.clone()),
            // 1, 2, 2: threads change nothing either.
            threads: 1 + memory % 3,
        };
        let prepared = prepare(&[log.to_owned()], &options, &out, &mut |_| {}).unwrap();
        assert_eq!(prepared.spilled > 0, memory < 150_000);
        assert!(!out.join(".spill").exists(), "what lay on the disk on the way is gone");
        (out, prepared)
    }
}

/// Every session as its events spell it.
fn spelled(log: &Log, sessions: &Sessions) -> Vec<Vec<String>> {
    let word = |names: &events::Names, column: &[u32], event: usize| match column.get(event) {
        Some(&number) if number != NONE => names.get(number).to_owned(),
        _ => "-".to_owned(),
    };
    let events = &log.events;
    let one = |event: usize| {
        let mut text = [
            word(&log.items, &events.item, event),
            word(&log.users, &events.user, event),
            word(&log.kinds, &events.kind, event),
            word(&log.categories, &events.category, event),
        ]
        .join(" ");
        text += &format!(" {:?} {:?}", events.time.get(event), events.price.get(event));
        for label in &log.labels {
            text += &word(&label.names, &label.values, event);
        }
        for number in &log.numbers {
            text += &format!(" {}", number.values[event]);
        }
        text
    };
    (0..sessions.len())
        .map(|session| {
            let range = sessions.range(session);
            sessions.log_events()[range].iter().map(|&event| one(event as usize)).collect()
        })
        .collect()
}

#[test]
fn the_same_log_in_the_same_order_whatever_the_memory() {
    let (folder, path) = Folder::with("log.csv", &mixed_log());
    for rule in [SessionRule::Gap, SessionRule::User] {
        let log = read(std::slice::from_ref(&path), &options()).unwrap();
        let sessions = SessionOptions { rule, ..SessionOptions::default() };
        let expected = spelled(&log, &Sessions::from_log(&log, &sessions).unwrap());

        let outs =
            [0, 100_000, 1 << 30].map(|memory| folder.prepare(&path, options(), rule, memory));
        for file in ["events.parquet", "sessions.parquet", "names.parquet", "prepared.json"] {
            let bytes = |out: &PathBuf| fs::read(out.join(file)).unwrap();
            assert!(outs.iter().all(|out| bytes(out) == bytes(&outs[0])), "{file} differs");
        }
        let again = read(&[outs[1].clone()], &options()).unwrap();
        assert_eq!(again.report.format, Format::Prepared);
        let settled = again.report.sessions.as_ref().unwrap();
        assert_eq!((settled.sessions, settled.clean.to_string()), (sessions, "none".to_owned()));
        // What was one session is one by its key.
        let found = Sessions::from_log(&again, &SessionOptions::default()).unwrap();
        assert_eq!(spelled(&again, &found), expected);
        assert_eq!(again.items.iter().collect::<Vec<_>>(), log.items.iter().collect::<Vec<_>>());
    }
}

/// Rules about users and sessions find in parts what they find in the whole.
#[test]
fn what_is_suspicious_is_left_out_as_from_a_log_in_memory() {
    let (folder, path) = Folder::with(
        "log.csv",
        &(mixed_log() + "u1,i1,1500000000,view,,,,\nu1,i1,1500000000,view,,,,\n"),
    );
    let rules: CleanRules = "duplicates,hour=5:count,day=45,repeats,length=6".parse().unwrap();
    let mut log = read(std::slice::from_ref(&path), &options()).unwrap();
    let mut report = clean(&mut log, &rules);
    let rule = SessionOptions::default();
    let sessions = Sessions::from_log(&log, &rule).unwrap();
    let expected = spelled(&log, &clean_sessions(&log, &sessions, &rules, &mut report));
    assert!(report.rules.iter().all(|finding| finding.events > 0), "{report:?}");

    let (out, prepared) = folder.clean(&path, options(), SessionRule::Auto, 5_000, &rules);
    let again = read(&[out], &options()).unwrap();
    let found = Sessions::from_log(&again, &rule).unwrap();
    assert_eq!(spelled(&again, &found), expected);
    for (found, expected) in prepared.clean.rules.iter().zip(&report.rules) {
        assert_eq!((found.events, found.groups), (expected.events, expected.groups), "{found:?}");
    }

    // Users are whole in their part, be their sessions never so many.
    let keyed = || {
        let columns = "user=user,item=item,time=time,session=kind".parse().unwrap();
        ReadOptions { columns, ..options() }
    };
    let rules: CleanRules = "day=45".parse().unwrap();
    let mut log = read(std::slice::from_ref(&path), &keyed()).unwrap();
    let expected = clean(&mut log, &rules);
    let (_, prepared) = folder.clean(&path, keyed(), SessionRule::Key, 5_000, &rules);
    let counts = |report: &CleanReport| (report.rules[0].events, report.rules[0].groups);
    assert_eq!(counts(&prepared.clean), counts(&expected));

    let times: CleanRules = "times=365".parse().unwrap();
    let read = options();
    let options =
        PrepareOptions { read, sessions: rule, memory: 0, clean: Some(times), threads: 1 };
    let error = prepare(&[path], &options, folder.0.path(), &mut |_| {}).unwrap_err();
    assert!(error.is_usage() && error.to_string().contains("--from"), "{error}");
}

#[test]
fn sessions_without_names_and_times_stay_in_the_order_of_the_lines() {
    let text: String = (0..500).map(|line| format!("a{} b{} c\n", line % 7, line % 11)).collect();
    let (folder, path) = Folder::with("log.txt", &text);
    let out = folder.prepare(&path, ReadOptions::default(), SessionRule::Auto, 64);
    let log = read(&[out], &ReadOptions::default()).unwrap();
    let sessions = Sessions::from_log(&log, &SessionOptions::default()).unwrap();
    let lines = sessions.iter().map(|session| {
        session.iter().map(|&item| log.items.get(item)).collect::<Vec<_>>().join(" ") + "\n"
    });
    assert_eq!(lines.collect::<String>(), text);
    assert!(!sessions.has_times() && log.users.is_empty());
}

#[test]
fn only_what_is_asked_for_is_loaded() {
    let (folder, path) = Folder::with("log.csv", &mixed_log());
    let out = folder.prepare(&path, options(), SessionRule::Gap, 1 << 30);
    let roles = vec![Role::Item, Role::Category];
    let log =
        read(std::slice::from_ref(&out), &ReadOptions { roles, ..ReadOptions::default() }).unwrap();
    assert!(log.events.kind.is_empty() && log.events.price.is_empty() && log.labels.is_empty());
    assert_eq!(log.events.category.len(), 3000);
    let from =
        events::Window::parse(Some("2017-07-14T05:00:00Z"), None, &Default::default()).unwrap();
    let cut = read(std::slice::from_ref(&out), &ReadOptions { window: from, ..options() }).unwrap();
    assert_eq!(cut.report.outside + cut.events.len() as u64, 3000);
    assert!(cut.events.len() > 100 && cut.events.time.iter().all(|&time| from.contains(time)));
    assert_eq!(cut.labels[0].values.len(), cut.events.len());

    let unknown = Further { labels: vec!["size".into()], numbers: vec![] };
    let error = read(&[out], &ReadOptions { further: unknown, ..ReadOptions::default() });
    let error = error.unwrap_err().to_string();
    assert!(error.contains("no column \"size\" among colour"), "{error}");
}

#[test]
fn a_damaged_folder_says_so() {
    let (folder, path) = Folder::with("log.csv", &mixed_log());
    let out = folder.prepare(&path, options(), SessionRule::Gap, 1 << 30);
    let refused = || read(std::slice::from_ref(&out), &options()).unwrap_err();
    for file in ["events.parquet", "names.parquet", "sessions.parquet"] {
        let whole = fs::read(out.join(file)).unwrap();
        fs::write(out.join(file), &whole[..whole.len() / 2]).unwrap();
        assert!(matches!(refused(), Error::Prepared { .. }), "{file}: {}", refused());
        fs::write(out.join(file), whole).unwrap();
    }
    let card = fs::read_to_string(out.join("prepared.json")).unwrap();
    for (old, new) in [
        ("\"clean\": \"none\"", "\"clean\": \"moon\""),
        ("\"events\": 3000", "\"events\": 2999"),
        ("\"rule\": \"gap\"", "\"rule\": \"moon\""),
    ] {
        assert!(card.contains(old), "{card}");
        fs::write(out.join("prepared.json"), card.replace(old, new)).unwrap();
        assert!(matches!(refused(), Error::Prepared { .. }), "{}", refused());
    }
    fs::write(out.join("prepared.json"), card.replace("\"layout\": 2", "\"layout\": 9")).unwrap();
    assert!(matches!(refused(), Error::OtherLayout { layout: 9, .. }), "{}", refused());
    fs::write(out.join("prepared.json"), &card).unwrap();
    let error = read(&[out.clone(), path], &options()).unwrap_err().to_string();
    assert!(error.contains("read alone"), "{error}");
}
