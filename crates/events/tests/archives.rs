//! Compressed files, folders and pipes: whatever a log comes in, its events are the same, and no part
//! of it is held for long.

mod logs;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use events::{
    Error, EventRow, EventSink, Format, Progress, ReadOptions, read, read_into, read_watched,
};
use logs::{accounted, corpus, events, file, gzip, named, take, take_as};

/// Counts events.
struct Count(u64);

impl EventSink for Count {
    fn event(&mut self, _: &EventRow<'_>) -> Result<(), Error> {
        self.0 += 1;
        Ok(())
    }
}

/// Not a test by itself: reads what a test below gives it, in a process of its own, and prints what
/// it found and the most memory it had, in KiB.
#[test]
fn reader() {
    let Ok(path) = std::env::var("TIDEGATE_TEST_LOG") else { return };
    let format = std::env::var("TIDEGATE_TEST_FORMAT").unwrap().parse().unwrap();
    let mut count = Count(0);
    let report = read_into(&[path.into()], &named(format), &mut count, &mut |_| {}).unwrap();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0");
    let peak = peak.trim().trim_end_matches(" kB");
    println!("found {} {} {} {peak}", count.0, report.rows, report.bad.count);
}

/// Events, rows, bad rows and the peak of memory of a process that reads this log.
fn in_a_process(path: &Path, format: Format, input: Option<&[u8]>) -> [u64; 4] {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["reader", "--exact", "--nocapture", "--test-threads=1"])
        .env("TIDEGATE_TEST_LOG", path)
        .env("TIDEGATE_TEST_FORMAT", format.name())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.unwrap_or_default()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (_, found) = text.split_once("found ").unwrap_or_else(|| panic!("{format}: {text}"));
    let numbers = found.lines().next().unwrap().split(' ').map(|number| number.parse().unwrap());
    numbers.collect::<Vec<_>>().try_into().unwrap()
}

#[test]
fn every_layout_is_read_from_a_pipe() {
    for (format, text) in corpus() {
        let log = take_as(format, &text);
        for input in [text.clone(), gzip(&text)] {
            let [events, rows, bad, _] = in_a_process(Path::new("-"), format, Some(&input));
            let expected = (log.events.len() as u64, log.report.rows, log.report.bad.count);
            assert_eq!((events, rows, bad), expected, "{format}");
        }
    }
}

#[test]
fn every_layout_is_read_from_archives_of_several_parts() {
    for (format, text) in corpus() {
        let expected = events(&take_as(format, &text));
        assert!(!expected.is_empty(), "{format}");
        for cut in [1, text.len() / 2, text.len() - 1] {
            let (a, b) = text.split_at(cut);
            let zstd = |part| zstd::encode_all(part, 3).unwrap();
            for archive in [[gzip(a), gzip(b)].concat(), [zstd(a), zstd(b)].concat()] {
                assert_eq!(events(&take_as(format, archive)), expected, "{format} {cut}");
            }
        }
        // A part may be empty, too.
        let archive = [gzip(b""), gzip(&text), gzip(b"")].concat();
        assert_eq!(events(&take_as(format, archive)), expected, "{format}");
    }
}

#[test]
fn an_archive_that_is_cut_or_damaged_is_an_error_with_its_name() {
    let rows: String =
        (0..50_000u64).map(|row| format!("u{row} i{}\n", row * 7919 % 10_007)).collect();
    let whole = gzip(rows.as_bytes());
    let two = [whole.clone(), gzip(b"u i\n")].concat();
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle..middle + 64].fill(0x55);
    for (content, what) in [
        (&whole[..whole.len() - 9], "without its checksum"),
        (&two[..whole.len() + 5], "in the header of the second part"),
        (&damaged[..], "damaged"),
        (&[&whole[..], b"rubbish"].concat(), "with something behind it"),
    ] {
        let (_folder, path) = file("log.gz", content);
        for format in [Some(Format::Sessions), Some(Format::Users), None] {
            let options = ReadOptions { format, ..ReadOptions::default() };
            let error = read(std::slice::from_ref(&path), &options).unwrap_err();
            assert!(matches!(error, Error::Read { .. }), "{what}: {error}");
            assert!(error.to_string().contains("log.gz, after line"), "{what}: {error}");
        }
    }
}

#[test]
fn an_archive_of_nothing_is_an_empty_file() {
    for content in [gzip(b""), zstd::encode_all(&b""[..], 3).unwrap(), Vec::new()] {
        let (folder, path) = file("a", content);
        let error = read(std::slice::from_ref(&path), &ReadOptions::default()).unwrap_err();
        assert!(matches!(error, Error::Empty { .. }), "{error}");
        // Beside others it does no harm.
        std::fs::write(folder.path().join("b"), "1 2\n").unwrap();
        let log = read(&[folder.path().to_owned()], &ReadOptions::default()).unwrap();
        assert_eq!(log.events.len(), 2);
    }
}

/// Small files that become large: an endless line, an endless quote, quotes that never close, an
/// object without end.
#[test]
fn memory_stays_bounded_whatever_an_archive_holds() {
    let size = 200 << 20;
    let line = |byte: u8, length: usize| [vec![byte; length], vec![b'\n']].concat();
    let (_folder, small) = file("small", "1 2\n");
    let [.., baseline] = in_a_process(&small, Format::Sessions, None);
    if baseline == 0 {
        println!("skipped: this system does not tell the memory of a process");
        return;
    }
    for (format, head, unit) in [
        (Format::Csv, "user,item\n", vec![b'x'; 10 << 20]),
        (Format::Csv, "user,item\nu,\"", line(b'x', 12 << 20)),
        (Format::Csv, "user,item\n", line(b'"', (1 << 20) + 1)),
        (Format::Csv, "user,item\n", line(b',', 10 << 20)),
        (Format::Sessions, "", vec![b'x'; 10 << 20]),
        (Format::Users, "", line(b'x', 10 << 20)),
        (Format::Otto, "", vec![b'['; 10 << 20]),
        (Format::Otto, "", line(b'{', 10 << 20)),
        (Format::Otto, "", [&b"{\"session\":1,\"events\":["[..], &line(b'[', 10 << 20)].concat()),
    ] {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(head.as_bytes()).unwrap();
        for _ in 0..size / unit.len() {
            encoder.write_all(&unit).unwrap();
        }
        let (_folder, path) = file("bomb.gz", encoder.finish().unwrap());
        let [_, _, bad, peak] = in_a_process(&path, format, None);
        let used = peak.saturating_sub(baseline) / 1024;
        assert!(bad > 0 && used < 120, "{format}: {bad} bad rows, {used} MiB");
    }
}

#[test]
fn a_folder_with_something_else_in_it_names_the_stranger() {
    for (name, content, part) in [
        ("notes.txt", &b"Dear reader, this is no log.\n"[..], "format not recognised"),
        ("photo.png", &b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\0\0\0"[..], "it is not text"),
        ("z.gz", &b"user,item\nu,a\n"[..], "the content is not gzip"),
        ("z.txt", &b"1 2 3\n"[..], "sessions, but"),
    ] {
        let (folder, _) = file("log.csv", "user,item\nann,a\n");
        std::fs::write(folder.path().join(name), content).unwrap();
        let error = read(&[folder.path().to_owned()], &ReadOptions::default()).unwrap_err();
        let error = error.to_string();
        assert!(error.contains(name) && error.contains(part), "{error}");
    }
}

/// Where a format is named, nothing is looked at, and a file of another one is nothing but bad rows.
#[test]
fn a_named_format_holds_for_all_files() {
    let (folder, _) = file("a", "u1 a b\n");
    std::fs::write(folder.path().join("b"), "u2 c d\n").unwrap();
    let log = read(&[folder.path().to_owned()], &named(Format::Users)).unwrap();
    assert_eq!(events(&log), ["u1 a", "u1 b", "u2 c", "u2 d"]);
    assert_eq!(take("u1 a b\n").report.format, Format::Sessions);
    let log = take_as(Format::Taobao, "1 2 3\n");
    assert_eq!((log.events.len(), accounted(&log)), (0, 1));
}

/// Text of so many events.
fn clicks(count: usize) -> String {
    let row = |n: usize| format!("u{},item {},{}\n", n % 70, n * n % 901, 1_700_000_000 + n);
    "user,item,time\n".to_owned() + &(0..count).map(row).collect::<String>()
}

#[test]
fn progress_goes_from_file_to_file_up_to_their_size() {
    let folder = tempfile::tempdir().unwrap();
    let text = clicks(60_000);
    std::fs::write(folder.path().join("a.csv"), &text).unwrap();
    std::fs::write(folder.path().join("b.csv.gz"), gzip(text.as_bytes())).unwrap();
    let files = ["a.csv", "b.csv.gz"].map(|name| folder.path().join(name));
    let size: u64 = files.iter().map(|file| file.metadata().unwrap().len()).sum();
    let mut seen = Vec::new();
    let watch = &mut |progress| seen.push(progress);
    let log = read_watched(&[folder.path().into()], &ReadOptions::default(), watch).unwrap();
    assert_eq!(log.events.len(), 120_000);
    let steps: Vec<(u64, u64)> = seen
        .iter()
        .map(|&progress| match progress {
            Progress::Reading { bytes, of, events } => {
                assert_eq!(of, Some(size));
                (bytes, events)
            }
            other => panic!("{other:?} while reading"),
        })
        .collect();
    assert!(steps.len() > 20 && steps.is_sorted(), "{steps:?}");
    assert!(steps[2].0 < size / 4, "{:?}", steps[2]);
    assert_eq!(steps.last(), Some(&(size, 120_000)));
}

#[test]
fn rows_that_come_to_nothing_are_progress_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.csv");
    std::fs::write(&path, clicks(60_000)).unwrap();
    let window = events::Window { from: Some(i64::MAX), until: None };
    let options = ReadOptions { window, ..ReadOptions::default() };
    let mut steps = 0;
    let log = read_watched(&[path], &options, &mut |_| steps += 1).unwrap();
    assert!(log.events.is_empty() && log.report.outside == 60_000 && steps > 20, "{steps}");
}

/// Has room for so many events.
struct Full(u64);

impl EventSink for Full {
    fn event(&mut self, _: &EventRow<'_>) -> Result<(), Error> {
        self.0 = self.0.checked_sub(1).ok_or(Error::TooManySessions)?;
        Ok(())
    }
}

#[test]
fn what_the_sink_has_to_say_comes_before_what_the_file_would_say_later() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.csv.gz");
    let mut cut = gzip(clicks(200_000).as_bytes());
    cut.truncate(cut.len() - 1000);
    std::fs::write(&path, cut).unwrap();
    let into = |room| {
        read_into(
            std::slice::from_ref(&path),
            &ReadOptions::default(),
            &mut Full(room),
            &mut |_| {},
        )
    };
    assert!(matches!(into(100), Err(Error::TooManySessions)));
    assert!(matches!(into(1 << 40), Err(Error::Read { .. })));
}
