//! Pages of small logs, and of hostile ones.

use events::{Events, Log, Report, SessionOptions, Sessions, Summary, Zone};

use super::*;

const HOSTILE: &str = "<script>alert(1)</script>\"'&</style>";

fn page_of(log: &Log) -> String {
    let options = SessionOptions::default();
    let sessions = Sessions::from_log(log, &options).unwrap();
    let summary = Summary::of(log, &sessions, 1, 2);
    let report = Report::new(log, &sessions, &summary, &options, &Zone::default()).unwrap();
    let call = Call { logs: vec![HOSTILE.to_owned()], flags: vec![("--gap", "30m".to_owned())] };
    page(&summary, &report, &call)
}

/// Every string of it is hostile.
fn hostile() -> Log {
    let n = 300u32;
    let events = Events {
        item: (0..n).map(|k| k % 3).collect(),
        user: (0..n).map(|k| k % 2).collect(),
        time: (0..i64::from(n)).map(|k| k * 1000).collect(),
        kind: (0..n).map(|k| k % 2).collect(),
        ..Events::default()
    };
    let names = |more: &[&str]| {
        [HOSTILE].into_iter().chain(more.iter().copied()).collect::<events::Names>()
    };
    let mut log = Log {
        events,
        items: names(&["b", "\u{202e}c\n"]),
        users: names(&["d"]),
        kinds: names(&["buy"]),
        ..Log::default()
    };
    log.report.files = vec![HOSTILE.to_owned()];
    log.report.unused = vec![HOSTILE.to_owned()];
    log.report.notes = vec![HOSTILE.to_owned()];
    log
}

#[test]
fn any_number_can_be_a_time() {
    let mut log = hostile();
    for (event, time) in [(0, i64::MIN), (1, i64::MIN), (2, i64::MAX), (3, i64::MAX)] {
        log.events.time[event] = time;
    }
    assert!(page_of(&log).contains("Events"));
    log.events.time = (0..300).map(|k| [i64::MIN, 0, i64::MAX][k % 3]).collect();
    assert!(page_of(&log).contains("Events"));
}

#[test]
fn a_log_without_users_has_its_longest_sessions() {
    let mut log = hostile();
    log.events.session = (0..300).map(|k| u32::from(k > 250)).collect();
    log.events.user = Vec::new();
    log.sessions = ["s", "t"].into_iter().collect();
    let html = page_of(&log);
    assert!(html.contains("The longest sessions") && !html.contains("Sessions with the most"));
}

fn open(html: &str, tag: &str) -> usize {
    html.matches(&format!("<{tag}>")).count() + html.matches(&format!("<{tag} ")).count()
}

#[test]
fn names_of_a_log_are_never_marks() {
    let html = page_of(&hostile());
    assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(!html.contains("<script") && html.matches("</style>").count() == 1);
    assert!(!html.contains('\u{202e}') && html.contains("\\u{202e}"));
    for part in ["http:", "https:", "//", "@import", "url("] {
        assert!(!html.contains(part), "{part}");
    }
}

#[test]
fn marks_are_closed() {
    for log in [hostile(), Log::default()] {
        let html = page_of(&log);
        for tag in
            ["section", "div", "figure", "svg", "text", "table", "tr", "td", "p", "code", "li", "b"]
        {
            assert_eq!(open(&html, tag), html.matches(&format!("</{tag}>")).count(), "{tag}");
        }
        assert!(!html.contains("NaN") && !html.contains(">inf"));
    }
}

#[test]
fn a_log_that_lacks_everything_says_so() {
    let events = Events { item: vec![0], session: vec![0], ..Events::default() };
    let log = Log { events, items: ["x"].into_iter().collect(), ..Log::default() };
    let html = page_of(&log);
    for line in [
        "The log has no times: nothing can be said",
        "there is no funnel",
        "No session has two events",
        "the log has no columns that are read",
        "No model can be trained on this log",
    ] {
        assert!(html.contains(line), "{line}");
    }
    assert!(!html.contains("tidegate train"), "it must fail");
    let empty = page_of(&Log::default());
    assert!(empty.contains("The log has no events."));
}

#[test]
fn commands_can_be_typed_as_they_stand() {
    let html = page_of(&hostile());
    let quoted = "tidegate train &#39;&lt;script&gt;";
    assert!(html.contains(quoted) && html.contains("--gap 30m") && html.contains("--out model"));
    assert!(html.contains("--clean regular=50/0.05"), "a timer is found");
}

#[test]
fn the_same_log_gives_the_same_bytes() {
    assert_eq!(page_of(&hostile()), page_of(&hostile()));
}
