//! From a part to a run: its sessions, by start.

use std::fs::File;
use std::io::{BufReader, Cursor, Read};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::record::{Event, Put, Take};
use super::spill::{AllNames, Part};
use crate::{
    CleanReport, CleanRules, Error, Events, LabelColumn, Log, NONE, Progress, SessionOptions,
    SessionRule, Sessions, Watch, clean, clean_sessions,
};

/// Parts that are grouped before their sessions are put where they stay.
const AT_ONCE: usize = 32;

/// A session with its events.
#[derive(Debug, Clone, Default)]
pub(super) struct Session {
    /// Time of its first event; 0 without times.
    pub start: i64,
    /// The first row of the log that belongs to it.
    pub first: u64,
    pub user: Option<String>,
    pub key: Option<String>,
    pub events: Vec<Event>,
}

/// The sessions of a part, ready to be merged.
pub(super) struct Run {
    input: Take<Box<dyn Read>>,
    left: usize,
    labels: usize,
    numbers: usize,
}

impl Run {
    /// The next session.
    pub(super) fn next(&mut self) -> Result<Option<Session>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let input = &mut self.input;
        let (start, first) = (input.u64()? as i64, input.u64()?);
        let (user, key, n) = (input.text()?, input.text()?, input.u32()?);
        let events =
            (0..n).map(|_| input.event(self.labels, self.numbers)).collect::<Result<_, _>>()?;
        Ok(Some(Session { start, first, user, key, events }))
    }
}

/// Makes runs of parts.
pub(super) struct Gather<'a> {
    pub names: &'a AllNames,
    pub sessions: &'a SessionOptions,
    pub clean: &'a CleanRules,
    /// Parts that may be in work at the same time.
    pub threads: usize,
    /// Bytes that may be held.
    pub memory: usize,
}

/// The sessions of a part, and what rules have found in them.
struct Grouped {
    bytes: Vec<u8>,
    sessions: usize,
    report: CleanReport,
}

impl Gather<'_> {
    /// Makes a run of every part, in their order.
    pub(super) fn all(
        &self,
        parts: Vec<Part>,
        folder: &Path,
        watch: Watch<'_>,
    ) -> Result<(Vec<Run>, CleanReport), Error> {
        let mut largest = 1;
        for part in &parts {
            largest = part.size()?.max(largest);
        }
        // Events take more room while they are put in order than on the disk.
        let fit = usize::try_from(self.memory as u64 / (4 * largest)).unwrap_or(usize::MAX).max(1);
        let threads = self.threads.min(fit).max(1);
        let at_once = AT_ONCE.min(fit).max(threads);
        let of = parts.len() as u64;
        let mut report = CleanReport::default();
        let mut held = 0;
        let mut runs = Vec::with_capacity(parts.len());
        let mut parts = parts.into_iter();
        while !parts.as_slice().is_empty() {
            for grouped in self.some(parts.by_ref().take(at_once).collect(), threads) {
                let grouped = grouped?;
                report.join(grouped.report);
                held += grouped.bytes.len();
                // What does not fit goes to the disk once more.
                let path = folder.join(format!("run-{:03}", runs.len()));
                let name = path.display().to_string();
                let failed = |source| Error::Write { path: name.clone(), source };
                let input: Box<dyn Read> = if held <= self.memory {
                    Box::new(Cursor::new(grouped.bytes))
                } else {
                    held -= grouped.bytes.len();
                    std::fs::write(&path, &grouped.bytes).map_err(failed)?;
                    Box::new(BufReader::with_capacity(1 << 16, File::open(&path).map_err(failed)?))
                };
                let (labels, numbers) = (self.names.labels.len(), self.names.numbers);
                let input = Take::new(input, name);
                runs.push(Run { input, left: grouped.sessions, labels, numbers });
            }
            watch(Progress::Grouping { parts: runs.len() as u64, of });
        }
        Ok((runs, report))
    }

    /// Groups some parts, on so many threads; in the order of the parts.
    fn some(&self, parts: Vec<Part>, threads: usize) -> Vec<Result<Grouped, Error>> {
        let queue = Mutex::new(parts.into_iter().enumerate());
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
        let work = || {
            let mut done = Vec::new();
            while let Some((number, part)) = next() {
                done.push((number, self.one(part)));
            }
            done
        };
        let mut all = std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
            let mut all = work();
            for other in others {
                all.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
            all
        });
        all.sort_by_key(|&(number, _)| number);
        all.into_iter().map(|(_, grouped)| grouped).collect()
    }

    /// The sessions of a part.
    fn one(&self, part: Part) -> Result<Grouped, Error> {
        let (events, mut log) = self.log_of(part)?;
        if events.is_empty() {
            let (bytes, report) = (Vec::new(), CleanReport::default());
            return Ok(Grouped { bytes, sessions: 0, report });
        }
        let mut report = clean(&mut log, self.clean);
        let sessions = Sessions::from_log(&log, self.sessions)?;
        let sessions = clean_sessions(&log, &sessions, self.clean, &mut report);

        let event = |event: u32| &events[log.labels[0].values[event as usize] as usize];
        let mut bytes = Vec::new();
        for session in 0..sessions.len() {
            let of_session = &sessions.log_events()[sessions.range(session)];
            let first = of_session.iter().copied().min().unwrap_or(0);
            bytes.put_u64(sessions.start(session).unwrap_or(0) as u64);
            bytes.put_u64(event(first).row);
            let user = sessions.user(session).filter(|&user| user != NONE);
            bytes.put_text(user.map(|user| log.users.get(user)));
            let key = match self.sessions.rule {
                SessionRule::Key => log.events.session.get(first as usize),
                _ => None,
            };
            bytes.put_text(key.map(|&key| log.sessions.get(key)));
            bytes.put_u32(of_session.len() as u32);
            of_session.iter().for_each(|&number| bytes.put_event(event(number)));
        }
        Ok(Grouped { bytes, sessions: sessions.len(), report })
    }

    /// The events of a part, and the log that they are, as far as sessions and rules look at it. Its one
    /// label says which event each of the log's was.
    fn log_of(&self, part: Part) -> Result<(Vec<Event>, Log), Error> {
        let mut events = Vec::new();
        let mut log = Log::default();
        let has = self.names.has;
        part.each(self.names, |row| {
            let columns: &mut Events = &mut log.events;
            // Examples of what rules find spell their items.
            columns.item.push(log.items.intern(self.names.items.get(row.event.item)));
            if has.user {
                columns.user.push(row.user.map_or(NONE, |user| log.users.intern(&user)));
            }
            if has.session {
                // Sessions without names have numbers: as names they are as good.
                let unnamed = || row.unnamed.to_string();
                columns.session.push(log.sessions.intern(&row.key.unwrap_or_else(unnamed)));
            }
            if has.time {
                columns.time.push(row.event.time);
            }
            columns.order.push(row.event.order);
            columns.kind.push(row.event.kind);
            events.push(row.event);
        })?;
        let values = (0..events.len() as u32).collect();
        log.labels.push(LabelColumn { values, ..LabelColumn::default() });
        Ok((events, log))
    }
}
