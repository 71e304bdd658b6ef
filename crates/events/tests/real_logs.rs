//! Real logs, where they are at hand: the figures that are known of them, to the last digit.

use std::io::Read;
use std::path::PathBuf;

use events::time::parse_time;
use events::{
    Baseline, Baselines, Cases, Format, Further, Log, NONE, ReadOptions, Sequences, SessionOptions,
    Sessions, Split, Summary, Vocabulary, read, suggest,
};

/// A file among the real logs; none, said plainly, where they are not at hand.
fn real(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(name);
    if !path.exists() {
        println!("skipped: ../shared/data/{name} is missing");
        return None;
    }
    Some(path)
}

fn load(path: PathBuf) -> (Log, Sessions) {
    let log = read(&[path], &ReadOptions::default()).unwrap();
    let sessions = Sessions::from_log(&log, &SessionOptions::default()).unwrap();
    (log, sessions)
}

fn summary(log: &Log) -> Summary {
    Summary::new(log, &SessionOptions::default(), 1, 2).unwrap()
}

/// Recall@20 and MRR@20 in percent, rounded to two digits, as the tables of papers give them.
fn percent(baselines: &Baselines, baseline: Baseline, cases: &Cases) -> (String, String) {
    let (mut hits, mut reciprocal) = (0usize, 0f64);
    for case in cases.as_slice() {
        let rank = baselines.rank(baseline, cases.prefix(case), case.target);
        if rank <= 20 {
            hits += 1;
            reciprocal += 1.0 / rank as f64;
        }
    }
    let of_all = |sum: f64| format!("{:.2}", 100.0 * sum / cases.len() as f64);
    (of_all(hits as f64), of_all(reciprocal))
}

fn assert_percent(
    baselines: &Baselines,
    cases: &Cases,
    expected: &[(Baseline, (&'static str, &'static str))],
) {
    for &(baseline, (recall, mrr)) in expected {
        let found = percent(baselines, baseline, cases);
        assert_eq!(found, (recall.to_owned(), mrr.to_owned()), "{}", baseline.name());
    }
}

/// The cases in the log's own ids, sorted: two files ask the same if these are equal.
fn questions(cases: &Cases, sequences: &Sequences, log: &Log, v: &Vocabulary) -> Vec<String> {
    let mut all: Vec<String> = cases
        .as_slice()
        .iter()
        .map(|case| {
            let prefix = cases.prefix(case).iter().map(|&item| v.name(item));
            let prefix = prefix.collect::<Vec<_>>().join(" ");
            assert!((case.session as usize) < sequences.len());
            format!("{prefix} -> {}", log.items.get(case.log_target))
        })
        .collect();
    all.sort_unstable();
    all
}

#[test]
fn yoochoose_baselines_reach_their_known_figures() {
    let Some(train) = real("yoochoose1_64/train_sessions.txt") else { return };
    let (log, train) = load(train);
    assert_eq!(log.report.format, Format::Sessions);
    assert_eq!((train.len(), train.events(), log.items.len()), (116_167, 486_026, 17_376));
    let vocabulary = Vocabulary::from_sessions(&train, &log.items);
    let encoded = vocabulary.encode(&train, &log.items);
    let baselines = Baselines::from_sequences(&encoded, vocabulary.len());

    let (pairs_log, pairs) = load(real("yoochoose1_64/test_pairs.tsv").unwrap());
    assert_eq!(pairs_log.report.format, Format::Pairs);
    let pairs = vocabulary.encode(&pairs, &pairs_log.items);
    let cases = Cases::new(&pairs);
    assert_eq!((cases.len(), cases.unknown_targets()), (55_898, 412));
    assert_eq!(cases.as_slice().iter().filter(|case| case.length == 0).count(), 135);
    assert_percent(
        &baselines,
        &cases,
        &[
            (Baseline::Popularity, ("7.31", "1.69")),
            (Baseline::SessionPopularity, ("30.86", "18.46")),
            (Baseline::Markov, ("65.22", "29.75")),
        ],
    );

    let (lines_log, lines) = load(real("yoochoose1_64/test_sessions.txt").unwrap());
    let lines = vocabulary.encode(&lines, &lines_log.items);
    let same = Cases::new(&lines);
    assert_eq!(
        questions(&same, &lines, &lines_log, &vocabulary),
        questions(&cases, &pairs, &pairs_log, &vocabulary)
    );
    // A session costs one pass in either file.
    assert_eq!(same.row_count(), lines.len());
    assert!(cases.row_count() <= same.row_count(), "{}", cases.row_count());
}

/// The last tenth of the training lines is what settings are chosen on.
#[test]
fn yoochoose_validation_is_the_last_tenth() {
    let Some(train) = real("yoochoose1_64/train_sessions.txt") else { return };
    let (log, sessions) = load(train);
    let parts = Split::default().apply(&sessions, 1).unwrap();
    assert_eq!((parts.train.len(), parts.validation.len()), (104_550, 11_617));
    let vocabulary = Vocabulary::from_sessions(&parts.train, &log.items);
    let cases = Cases::new(&vocabulary.encode(&parts.validation, &log.items));
    assert_eq!(cases.len(), 43_204);
}

#[test]
fn eshop_baselines_reach_their_known_figures() {
    let Some(path) = real("eshop2008/e-shop clothing 2008.csv") else { return };
    let (log, sessions) = load(path);
    assert_eq!(log.report.format, Format::Eshop);
    let found = summary(&log);
    assert_eq!((found.rows, found.bad_rows, found.events), (165_474, 0, 165_474));
    assert_eq!((found.users, found.sessions, found.items), (0, 24_026, 217));
    assert_eq!(found.kinds, [("click".to_owned(), 165_474)]);
    assert_eq!(found.first.as_deref(), Some("2008-04-01T00:00:00Z"));
    assert_eq!(found.last.as_deref(), Some("2008-08-13T00:00:00Z"));

    let parts = "time:2008-08-01".parse::<Split>().unwrap().apply(&sessions, 1).unwrap();
    assert_eq!((parts.train.len(), parts.train.events()), (22_102, 151_326));
    // Sessions of one event count, although nothing can be learned from their order.
    let (counted, _) = parts.train.keep(1, 1);
    let vocabulary = Vocabulary::from_sessions(&counted, &log.items);
    let encoded = vocabulary.encode(&counted, &log.items);
    let baselines = Baselines::from_sequences(&encoded, vocabulary.len());
    let (learned, dropped) = parts.train.keep(1, 2);
    assert_eq!((learned.events(), dropped.sessions), (146_656, 4_670));
    assert!(!vocabulary.encode(&learned, &log.items).items.contains(&NONE));
    let cases = Cases::new(&vocabulary.encode(&parts.validation, &log.items));
    assert_eq!((parts.validation.len(), cases.len()), (1_924, 12_224));
    assert_percent(
        &baselines,
        &cases,
        &[(Baseline::Popularity, ("23.72", "5.14")), (Baseline::Markov, ("70.43", "25.76"))],
    );
}

/// `--from` and `--until` at reading and the split by date make the same two parts.
#[test]
fn eshop_windows_and_the_split_by_date_agree() {
    let Some(path) = real("eshop2008/e-shop clothing 2008.csv") else { return };
    let part = |from, until| {
        let window = events::Window::parse(from, until, &Default::default()).unwrap();
        let options = ReadOptions { window, ..ReadOptions::default() };
        read(std::slice::from_ref(&path), &options).unwrap()
    };
    let before = part(None, Some("2008-07-31"));
    let after = part(Some("2008-08-01"), None);
    assert_eq!((before.events.len(), before.report.outside), (151_326, 14_148));
    assert_eq!((after.events.len(), after.report.outside), (14_148, 151_326));
    assert_eq!((before.sessions.len(), after.sessions.len()), (22_102, 1_924));
}

#[test]
fn taobao_is_read_with_its_users_and_kinds() {
    let Some(path) = real("taobao_userbehavior/UserBehavior_head.csv") else { return };
    let (log, sessions) = load(path);
    assert_eq!(log.report.format, Format::Taobao);
    let found = summary(&log);
    assert_eq!((found.rows, found.bad_rows, found.events), (84_287, 0, 84_287));
    assert_eq!((found.users, found.items), (814, 55_233));
    let kinds = [("pv", 75_693), ("cart", 4_494), ("fav", 2_351), ("buy", 1_749)];
    assert_eq!(found.kinds, kinds.map(|(kind, count)| (kind.to_owned(), count)));
    assert!(sessions.len() > 814);

    let options = Split::LeaveLastOut.session_options(SessionOptions::default(), &log);
    let users = Sessions::from_log(&log, &options).unwrap();
    let parts = Split::LeaveLastOut.apply(&users, 1).unwrap();
    assert_eq!((users.len(), parts.test.len()), (814, 814));
}

#[test]
fn the_format_samples_are_known_by_their_look() {
    let Some(path) = real("format_samples/sample_yoochoose.dat") else { return };
    let (log, _) = load(path);
    assert_eq!(log.report.format, Format::Yoochoose);
    assert_eq!((log.report.bad.count, log.users.len()), (0, 0));
    let first = parse_time("2014-04-06T20:21:58.444Z").unwrap();
    assert_eq!((log.events.time[0], log.items.get(0)), (first, "214717095"));

    let (log, sessions) = load(real("format_samples/sample_retailrocket.csv").unwrap());
    assert_eq!((log.report.format, log.report.bad.count), (Format::Retailrocket, 0));
    assert_eq!(sessions.get(0).len(), sessions.iter().next().unwrap().len());
    assert!(log.events.session.iter().all(|&session| session != NONE));
}

#[test]
fn online_retail_is_read_whole() {
    let Some(path) = real("online_retail/online_retail.csv.gz") else { return };
    let (log, sessions) = load(path);
    assert_eq!(log.report.format, Format::OnlineRetail);
    let found = summary(&log);
    assert_eq!((found.rows, found.bad_rows, found.events), (541_909, 0, 406_829));
    assert_eq!(found.left_aside, [("no customer".to_owned(), 135_080)]);
    assert_eq!((found.users, found.items), (4_372, 3_684));
    let kinds = [("purchase", 397_924), ("cancellation", 8_905)];
    assert_eq!(found.kinds, kinds.map(|(kind, count)| (kind.to_owned(), count)));
    assert_eq!(found.first.as_deref(), Some("2010-12-01T08:26:00Z"));
    assert_eq!(found.last.as_deref(), Some("2011-12-09T12:50:00Z"));
    // An invoice is a session.
    assert_eq!((sessions.len(), log.sessions.len()), (22_190, 22_190));
    let money: f64 = log.events.amount.iter().copied().map(f64::from).sum();
    assert!((money - 8_300_065.81).abs() < 1.0, "{money}");
    // Numbers of customers without the `.0` of a table with gaps.
    assert!(log.users.iter().all(|user| user.len() == 5));
}

#[test]
fn rees46_is_read_with_sessions_and_categories() {
    let Some(path) = real("rees46_sample/2019-Oct_head.csv.gz") else { return };
    let further = Further { labels: vec!["brand".to_owned()], ..Further::default() };
    let log = read(&[path], &ReadOptions { further, ..ReadOptions::default() }).unwrap();
    let found = summary(&log);
    assert_eq!(log.report.format, Format::Rees46);
    // The sample is cut in the middle of its last row, and so in that row's user.
    assert_eq!((found.rows, found.bad_rows, found.events), (17_435, 1, 17_434));
    assert_eq!((found.users, found.items, found.sessions), (4_504, 6_493, 5_067));
    let kinds = [("view", 17_055), ("purchase", 214), ("cart", 165)];
    assert_eq!(found.kinds, kinds.map(|(kind, count)| (kind.to_owned(), count)));
    // By code, and by number where there is no code.
    assert_eq!((log.categories.len(), log.labels[0].names.len()), (362, 864));
    assert!(!log.events.category.contains(&NONE));
    assert_eq!(found.first.as_deref(), Some("2019-10-01T00:00:00Z"));
    assert_eq!(found.last.as_deref(), Some("2019-10-01T02:50:00Z"));
}

#[test]
fn otto_is_read_event_by_event() {
    let Some(path) = real("otto_sample/train.jsonl") else { return };
    let (log, sessions) = load(path);
    let found = summary(&log);
    assert_eq!(log.report.format, Format::Otto);
    assert_eq!((found.rows, found.bad_rows, found.events), (862, 0, 862));
    assert_eq!((sessions.len(), found.users, found.items), (20, 0, 510));
    let kinds = [("clicks", 800), ("carts", 52), ("orders", 10)];
    assert_eq!(found.kinds, kinds.map(|(kind, count)| (kind.to_owned(), count)));
    let span = [&log.events.time].map(|time| (time.iter().min(), time.iter().max()));
    assert_eq!(span, [(Some(&1_659_304_800_025), Some(&1_661_723_997_885))]);
}

#[test]
fn coveo_is_read_without_its_plain_pages() {
    let Some(path) = real("format_samples/coveo_nature2020_sample.csv") else { return };
    let (log, sessions) = load(path);
    let found = summary(&log);
    assert_eq!(log.report.format, Format::Coveo);
    assert_eq!((found.rows, found.bad_rows, found.events, found.items), (4, 0, 3, 2));
    assert_eq!(found.left_aside, [("a page without a product".to_owned(), 1)]);
    assert_eq!(found.kinds, [("detail".to_owned(), 2), ("click".to_owned(), 1)]);
    assert_eq!((sessions.len(), sessions.get(0)), (1, &[0, 0, 1][..]));
}

/// Tables of real logs, their names taken away: what columns are for is in their values.
#[test]
fn columns_without_names_are_recognised_by_their_values() {
    let Some(path) = real("rees46_sample/2019-Oct_head.csv.gz") else { return };
    let nameless = |path: PathBuf, header: bool| {
        let text = read_text(path);
        let text = if header { text.split_once('\n').unwrap().1 } else { &text };
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("log.csv");
        // Taobao is known by its words.
        std::fs::write(&path, text.replace(",fav,", ",favorit,").replace(",pv,", ",1,")).unwrap();
        suggest(&[path], None).unwrap().columns.to_string()
    };
    assert_eq!(nameless(path, true), "user=8,item=3,time=1,kind=2,session=9,category=6");
    let taobao = real("taobao_userbehavior/UserBehavior_head.csv").unwrap();
    assert_eq!(nameless(taobao, false), "user=1,item=2,time=5,category=3");
    let eshop = real("eshop2008/e-shop clothing 2008.csv").unwrap();
    assert_eq!(nameless(eshop, true), "user=6,item=8,category=12");
}

fn read_text(path: PathBuf) -> String {
    let bytes = std::fs::read(path).unwrap();
    let mut text = String::new();
    match bytes.starts_with(&[0x1f, 0x8b]) {
        true => flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap(),
        false => (&bytes[..]).read_to_string(&mut text).unwrap(),
    };
    text
}

/// A folder holds what belongs together: a description beside a log is no log, and is named.
#[test]
fn a_file_that_is_no_log_is_named() {
    let Some(folder) = real("eshop2008") else { return };
    let error = read(&[folder], &ReadOptions::default()).unwrap_err().to_string();
    assert!(error.contains("data description.txt") && error.contains("--format"), "{error}");
}
