//! Reading logs: open, look, take the rows.
//!
//! A file passes through four hands. `source` opens and decompresses it and cuts it into lines;
//! `detect` looks at the first of them; `record` and `table`, `text` or `jsonl`, make rows of them,
//! with the help of `schema` (which column is what), `layouts` (what is known of public data sets) and
//! `clock` and `number` (how this file spells its times and numbers); `builder` counts them and hands them to a `sink`, which
//! numbers the names and keeps the columns, or does what it likes. Between the last two lies a `pipe`: the
//! sink works on the caller's thread, all before it on another. Nothing before the sink holds more of a
//! file than some thousand rows. `columnar` does all of it for files that are no text.

mod builder;
mod clock;
mod columnar;
mod detect;
mod jsonl;
mod layout;
mod layouts;
mod number;
mod partition;
mod pipe;
mod record;
mod sample;
mod schema;
mod side;
mod sink;
mod source;
mod table;
mod text;

use std::path::PathBuf;

use builder::Builder;
pub(crate) use columnar::guarded;
pub use columnar::is_decoding;
pub(crate) use number::{finite, number};
pub(crate) use sample::sample;
pub(crate) use side::side_rows;
use sink::InMemory;
pub use sink::{EventSink, Key, Row};
use source::Source;

use crate::{
    Columns, Error, Format, Log, Progress, ReadReport, Role, Watch, Window, Zone, prepare,
};

/// How a log is read.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadOptions {
    /// The layout; none to find it by looking.
    pub format: Option<Format>,
    /// Which column of a table is for what.
    pub columns: Columns,
    /// Columns of a table that are read beside those.
    pub further: Further,
    /// Whether a log may lack those: then all their values are missing. Otherwise that is an error.
    pub may_lack_further: bool,
    /// The roles whose columns are kept; the others take no memory.
    pub roles: Vec<Role>,
    /// The part that is read.
    pub window: Window,
    /// The zone of times that say none.
    pub zone: Zone,
    /// The year of dates that have none; none for the one that is known of the layout.
    pub year: Option<i16>,
    /// The share of bad rows, 0 to 1, past which reading is an error.
    pub max_bad: f64,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            format: None,
            columns: Columns::default(),
            further: Further::default(),
            may_lack_further: false,
            roles: Role::ALL.to_vec(),
            window: Window::default(),
            zone: Zone::default(),
            year: None,
            max_bad: 0.01,
        }
    }
}

/// Columns of a table that no [`Role`] is for, by their names in its header (or their
/// places, as [`Columns`] has them).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Further {
    /// Those that hold words.
    pub labels: Vec<String>,
    /// Those that hold numbers.
    pub numbers: Vec<String>,
}

impl Further {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.numbers.is_empty()
    }

    /// An error where a file that has no columns is asked for some.
    fn refuse(&self, file: &str) -> Result<(), Error> {
        match self.labels.iter().chain(&self.numbers).next() {
            None => Ok(()),
            Some(column) => Err(Error::NoFurtherColumn {
                path: file.to_owned(),
                column: column.clone(),
                header: "none at all: this layout is no table".to_owned(),
            }),
        }
    }
}

/// Reads a log into memory: files, folders (their files in name order), or `-` for standard input; or a
/// folder that [`prepare`](prepare::prepare) has written.
///
/// # Errors
///
/// See [`Error`]; every one names the file and what to do.
pub fn read(paths: &[PathBuf], options: &ReadOptions) -> Result<Log, Error> {
    read_watched(paths, options, &mut |_| {})
}

/// Likewise, and tells how far it has come.
///
/// # Errors
///
/// As [`read`].
pub fn read_watched(
    paths: &[PathBuf],
    options: &ReadOptions,
    watch: Watch<'_>,
) -> Result<Log, Error> {
    if let [path] = paths
        && prepare::is_prepared(path)
    {
        return prepare::load(path, options);
    }
    let mut events = InMemory::new(options);
    let report = read_into(paths, options, &mut events, watch)?;
    Ok(events.finish(report))
}

/// Reads a log of any size: its events go to `sink` one by one, in the order of its lines. The sink is
/// called on this thread; files are read and cut into rows on another, a little ahead.
///
/// # Errors
///
/// As [`read`], and what the sink has to say.
pub fn read_into(
    paths: &[PathBuf],
    options: &ReadOptions,
    sink: &mut dyn EventSink,
    watch: Watch<'_>,
) -> Result<ReadReport, Error> {
    let of = source::expand(paths).ok().and_then(|files| source::size_of(&files));
    let (inlet, outlet) = pipe::pipe();
    std::thread::scope(|scope| {
        let reader = scope.spawn(move || read_rows(paths, options, Builder::new(inlet)));
        let mut events = 0;
        let kept = outlet.each(|block| {
            block.each(|row| sink.event(row))?;
            events += block.len() as u64;
            watch(Progress::Reading { bytes: block.bytes, of, events });
            Ok(())
        });
        let report = reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        kept.and(report)
    })
}

/// What the reader's thread does.
fn read_rows(
    paths: &[PathBuf],
    options: &ReadOptions,
    mut log: Builder,
) -> Result<ReadReport, Error> {
    if let Some(format) = options.format.filter(|format| !format.has_columns())
        && !options.columns.is_empty()
    {
        let reason = format!("--format {format} has no columns to name; leave one of the two out");
        return Err(Error::Flag { flag: "--columns", value: options.columns.to_string(), reason });
    }
    if let Some(path) = paths.iter().find(|path| prepare::is_prepared(path)) {
        return Err(Error::NotAlone { path: path.display().to_string() });
    }
    // The format, and the file that showed it.
    let mut format = options.format.map(|format| (format, "--format".to_owned()));
    for path in source::expand(paths)? {
        let source = Source::open_metered(&path, &log.meter)?;
        let name = source.name.clone();
        log.files.push(name.clone());
        if source.head().trim_ascii().is_empty() {
            continue;
        }
        if options.format.is_none() {
            let head = source.head();
            let found = detect::detect(head, &options.columns).map_err(|saw| {
                let mut remedy = detect::remedy(head);
                if !head.contains(&0) {
                    remedy.push_str("; `tidegate inspect --suggest` has a guess");
                }
                Error::Unrecognised { path: name.clone(), saw, remedy }
            })?;
            let (expected, first) = format.get_or_insert((found, name.clone()));
            if *expected != found {
                let (found, expected) = (found.to_string(), expected.to_string());
                return Err(Error::Mixed { path: name, found, first: first.clone(), expected });
            }
        }
        let layout = format.as_ref().map_or(Format::Csv, |(format, _)| *format);
        if !layout.has_columns() && !options.may_lack_further {
            options.further.refuse(&name)?;
        }
        let lines_of_ids = matches!(layout, Format::Sessions | Format::Pairs | Format::Users);
        if lines_of_ids && !options.window.is_open() {
            return Err(Error::NoTimes { what: "--from or --until".to_owned() });
        }
        match layout {
            Format::Prepared => {
                let reason = "no prepared.json lies in it, and a file alone is none".to_owned();
                return Err(Error::Prepared { path: name, reason });
            }
            Format::Parquet | Format::Arrow => {
                columnar::read(&path, source, layout, options, &mut log)?;
            }
            Format::Sessions => text::read_sessions(source.lines()?, &mut log)?,
            Format::Pairs => text::read_pairs(source.lines()?, &mut log)?,
            Format::Users => text::read_users(source.lines()?, &mut log)?,
            Format::Otto => jsonl::read(source.lines()?, options, &mut log)?,
            _ => table::read(&path, source, layout, options, &mut log)?,
        }
    }
    let Some((format, _)) = format.filter(|_| log.rows > 0) else {
        return Err(Error::Empty { path: log.files.join(", ") });
    };
    log.finish(format, options.max_bad)
}
