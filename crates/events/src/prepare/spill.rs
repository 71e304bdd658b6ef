//! From rows to parts: the events of a user in the same part, in the order of the log.

use std::fs::OpenOptions;
use std::hash::Hasher;
use std::io::Write;
use std::path::{Path, PathBuf};

use rustc_hash::FxHasher;

use super::record::{Event, Put, Take};
use crate::{Error, EventRow, EventSink, Further, Key, NONE, Names, SessionRule};

/// How many parts there are. More would be smaller, and as many open files in the merge.
const PARTS: usize = 256;

/// What rows have had so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Has {
    pub user: bool,
    pub session: bool,
    pub time: bool,
}

/// The names that stand in the events as numbers.
#[derive(Debug, Default)]
pub(super) struct AllNames {
    pub items: Names,
    pub kinds: Names,
    pub categories: Names,
    pub labels: Vec<Names>,
    /// How many further numbers an event has.
    pub numbers: usize,
    pub has: Has,
}

impl AllNames {
    /// The rule for sessions that a log with these columns has.
    pub(super) fn resolve(&self, rule: SessionRule) -> Result<SessionRule, Error> {
        let Has { user, session, time } = self.has;
        rule.resolve(user, session, time)
    }
}

/// A sink that keeps what fits into memory, and writes the rest to a file a part.
pub(super) struct Spill {
    folder: PathBuf,
    names: AllNames,
    buffers: Vec<Vec<u8>>,
    /// Bytes in all buffers, and the most of them.
    held: usize,
    most: usize,
    spilled: u64,
    rows: u64,
    event: Event,
}

/// The events of some users.
pub(super) struct Part {
    file: Option<PathBuf>,
    rest: Vec<u8>,
}

impl Spill {
    pub(super) fn new(folder: &Path, memory: usize, further: &Further) -> Self {
        let labels = vec![Names::default(); further.labels.len()];
        let names = AllNames { labels, numbers: further.numbers.len(), ..AllNames::default() };
        Self {
            folder: folder.to_owned(),
            names,
            buffers: vec![Vec::new(); PARTS],
            held: 0,
            most: memory,
            spilled: 0,
            rows: 0,
            event: Event::default(),
        }
    }

    /// Bytes that went to the disk.
    pub(super) fn spilled(&self) -> u64 {
        self.spilled
    }

    /// The parts, and the names in them.
    pub(super) fn finish(self) -> (Vec<Part>, AllNames) {
        let part = |(number, rest)| {
            let file = part_file(&self.folder, number);
            Part { file: file.is_file().then_some(file), rest }
        };
        (self.buffers.into_iter().enumerate().map(part).collect(), self.names)
    }

    fn flush(&mut self) -> Result<(), Error> {
        for (number, buffer) in self.buffers.iter_mut().enumerate().filter(|(_, b)| !b.is_empty()) {
            let path = part_file(&self.folder, number);
            let file = OpenOptions::new().create(true).append(true).open(&path);
            file.and_then(|mut file| file.write_all(buffer))
                .map_err(|source| Error::Write { path: path.display().to_string(), source })?;
            // The memory goes back, too: a part that has grown large may stay small from here on.
            *buffer = Vec::new();
        }
        self.spilled += self.held as u64;
        self.held = 0;
        Ok(())
    }
}

fn part_file(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("part-{number:03}"))
}

impl EventSink for Spill {
    fn event(&mut self, row: &EventRow<'_>) -> Result<(), Error> {
        let names = &mut self.names;
        let event = &mut self.event;
        let number = |number: Option<f32>| number.unwrap_or(f32::NAN);
        event.row = self.rows;
        event.item = names.items.intern(row.item);
        event.time = row.time.unwrap_or(0);
        event.order = row.order.unwrap_or(0);
        event.kind = row.kind.map_or(NONE, |name| names.kinds.intern(name));
        event.category = row.category.map_or(NONE, |name| names.categories.intern(name));
        event.money = [row.price, row.quantity, row.amount].map(number);
        event.labels.clear();
        event.labels.extend(names.labels.iter_mut().enumerate().map(|(k, names)| {
            row.labels.get(k).copied().flatten().map_or(NONE, |word| names.intern(word))
        }));
        event.numbers.clear();
        let numbers = (0..names.numbers).map(|k| number(row.numbers.get(k).copied().flatten()));
        event.numbers.extend(numbers);
        names.has.user |= row.user.is_some();
        names.has.session |= row.session.is_some();
        names.has.time |= row.time.is_some();
        self.rows += 1;

        let (key, unnamed) = match row.session {
            Some(Key::Name(name)) => (Some(name), NONE),
            Some(Key::Unnamed(number)) => (None, number),
            None => (None, NONE),
        };
        let mut hasher = FxHasher::default();
        match row.user.or(key) {
            Some(name) => hasher.write(name.as_bytes()),
            None => hasher.write_u32(unnamed),
        }
        let buffer = &mut self.buffers[(hasher.finish() % PARTS as u64) as usize];
        let before = buffer.len();
        buffer.put_event(event);
        buffer.put_text(row.user);
        buffer.put_text(key);
        buffer.put_u32(unnamed);
        self.held += buffer.len() - before;
        if self.held > self.most { self.flush() } else { Ok(()) }
    }
}

/// An event of a part, and whose it is.
pub(super) struct Row {
    pub event: Event,
    pub user: Option<String>,
    pub key: Option<String>,
    /// The number of a session without a key.
    pub unnamed: u32,
}

impl Part {
    /// Bytes of its events.
    pub(super) fn size(&self) -> Result<u64, Error> {
        let on_disk = match &self.file {
            Some(file) => file.metadata().map_err(|source| self.failed(source))?.len(),
            None => 0,
        };
        Ok(on_disk + self.rest.len() as u64)
    }

    /// Its events in the order of the log, handed on one by one.
    pub(super) fn each(self, names: &AllNames, mut take: impl FnMut(Row)) -> Result<(), Error> {
        let (labels, numbers) = (names.labels.len(), names.numbers);
        let mut bytes = Vec::new();
        if let Some(file) = &self.file {
            bytes = std::fs::read(file).map_err(|source| self.failed(source))?;
            std::fs::remove_file(file).map_err(|source| self.failed(source))?;
        }
        bytes.extend_from_slice(&self.rest);
        let mut input = Take::new(bytes.as_slice(), String::new());
        while !input.get().is_empty() {
            let event = input.event(labels, numbers)?;
            let (user, key) = (input.text()?, input.text()?);
            take(Row { event, user, key, unnamed: input.u32()? });
        }
        Ok(())
    }

    fn failed(&self, source: std::io::Error) -> Error {
        let path = self.file.as_deref().unwrap_or(Path::new("memory"));
        Error::Write { path: path.display().to_string(), source }
    }
}
