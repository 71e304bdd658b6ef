//! From a part to a run: its sessions, by start.

use std::fs::File;
use std::io::{BufReader, Cursor, Read};
use std::path::Path;

use super::record::{Event, Put, Take};
use super::spill::{AllNames, Part};
use crate::{
    CleanReport, CleanRules, Error, Events, LabelColumn, Log, NONE, SessionOptions, SessionRule,
    Sessions, clean, clean_sessions,
};

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
    names: &'a mut AllNames,
    options: &'a SessionOptions,
    clean: &'a CleanRules,
    /// What the rules have found in all parts.
    pub report: CleanReport,
}

impl<'a> Gather<'a> {
    pub(super) fn new(
        names: &'a mut AllNames,
        options: &'a SessionOptions,
        clean: &'a CleanRules,
    ) -> Self {
        Self { names, options, clean, report: CleanReport::default() }
    }

    /// Makes a run of every part.
    pub(super) fn all(
        &mut self,
        parts: Vec<Part>,
        folder: &Path,
        memory: usize,
    ) -> Result<Vec<Run>, Error> {
        let mut held = 0;
        let mut runs = Vec::with_capacity(parts.len());
        for (number, part) in parts.into_iter().enumerate() {
            let (bytes, left) = self.one(part)?;
            held += bytes.len();
            // What does not fit goes to the disk once more.
            let path = folder.join(format!("run-{number:03}"));
            let name = path.display().to_string();
            let failed = |source| Error::Write { path: name.clone(), source };
            let input: Box<dyn Read> = if held <= memory {
                Box::new(Cursor::new(bytes))
            } else {
                held -= bytes.len();
                std::fs::write(&path, &bytes).map_err(failed)?;
                Box::new(BufReader::with_capacity(1 << 16, File::open(&path).map_err(failed)?))
            };
            let (labels, numbers) = (self.names.labels.len(), self.names.numbers);
            runs.push(Run { input: Take::new(input, name), left, labels, numbers });
        }
        Ok(runs)
    }

    /// The sessions of a part as bytes, and their number.
    fn one(&mut self, part: Part) -> Result<(Vec<u8>, usize), Error> {
        let (events, mut log) = self.log_of(part)?;
        if events.is_empty() {
            return Ok((Vec::new(), 0));
        }
        // Examples of what was found spell their items.
        std::mem::swap(&mut log.items, &mut self.names.items);
        let mut report = clean(&mut log, self.clean);
        let sessions = Sessions::from_log(&log, self.options)?;
        let sessions = clean_sessions(&log, &sessions, self.clean, &mut report);
        std::mem::swap(&mut log.items, &mut self.names.items);
        self.report.join(report);

        let event = |event: u32| &events[log.labels[0].values[event as usize] as usize];
        let mut bytes = Vec::new();
        for session in 0..sessions.len() {
            let of_session = &sessions.log_events()[sessions.range(session)];
            let first = of_session.iter().copied().min().unwrap_or(0);
            bytes.put_u64(sessions.start(session).unwrap_or(0) as u64);
            bytes.put_u64(event(first).row);
            let user = sessions.user(session).filter(|&user| user != NONE);
            bytes.put_text(user.map(|user| log.users.get(user)));
            let key = match self.options.rule {
                SessionRule::Key => log.events.session.get(first as usize),
                _ => None,
            };
            bytes.put_text(key.map(|&key| log.sessions.get(key)));
            bytes.put_u32(of_session.len() as u32);
            of_session.iter().for_each(|&number| bytes.put_event(event(number)));
        }
        Ok((bytes, sessions.len()))
    }

    /// The events of a part, and the log that they are, as far as sessions and rules look at it. Its one
    /// label says which event each of the log's was.
    fn log_of(&mut self, part: Part) -> Result<(Vec<Event>, Log), Error> {
        let mut events = Vec::new();
        let mut log = Log::default();
        let has = self.names.has;
        part.each(self.names, |row| {
            let columns: &mut Events = &mut log.events;
            columns.item.push(row.event.item);
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
