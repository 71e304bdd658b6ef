//! Rows of a table: a line cut at its delimiters, quotes understood.

use std::collections::VecDeque;

use super::source::{Line, Lines};
use crate::Error;

/// A quoted field may hold line breaks, but a quote that is still open after so many lines was
/// never meant to be one: it would swallow the rest of the file.
const MAX_LINES: usize = 100;
/// Nor was one that is still open after so many bytes: nothing holds so much of a file.
const MAX_BYTES: usize = 1024 * 1024;
/// A row with more fields is none.
const MAX_FIELDS: usize = 64 * 1024;

/// The rows of a table.
pub(super) struct Records {
    lines: Lines,
    /// Lines that were read in vain for an open quote and are rows of their own.
    waiting: VecDeque<(Line, Vec<u8>)>,
    parser: csv_core::Reader,
    line: Vec<u8>,
    /// The fields of a row one after the other, without quotes and delimiters.
    text: Vec<u8>,
    ends: Vec<usize>,
    /// How much of `text` and `ends` is filled.
    filled: (usize, usize),
}

/// A row, with the number of its first line.
pub(super) enum Record<'a> {
    /// Its fields.
    Fields(u64, Fields<'a>),
    /// Why it has none.
    Bad(u64, &'static str),
}

/// What a line has made of a row.
#[derive(PartialEq, Eq)]
enum Fed {
    /// It is complete.
    Complete,
    /// A quote is open.
    Open,
    /// It has more fields than any row.
    TooWide,
}

/// The fields of a row.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    text: &'a [u8],
    ends: &'a [usize],
}

impl<'a> Fields<'a> {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// One field as it stands.
    pub(super) fn get(&self, place: usize) -> &'a [u8] {
        let start = if place == 0 { 0 } else { self.ends[place - 1] };
        &self.text[start..self.ends[place]]
    }
}

impl Records {
    /// The rows that these lines hold.
    pub(super) fn new(lines: Lines, delimiter: u8) -> Self {
        Self {
            lines,
            waiting: VecDeque::new(),
            // A carriage return inside a line is part of it, not its end.
            parser: csv_core::ReaderBuilder::new()
                .delimiter(delimiter)
                .terminator(csv_core::Terminator::Any(b'\n'))
                .build(),
            line: Vec::new(),
            text: vec![0; 1024],
            ends: vec![0; 64],
            filled: (0, 0),
        }
    }

    /// The next row that is not blank.
    pub(super) fn next(&mut self) -> Result<Option<Record<'_>>, Error> {
        let line = loop {
            let Some(line) = self.next_line()? else { return Ok(None) };
            if line.too_long {
                return Ok(Some(Record::Bad(line.number, "line too long")));
            }
            if !self.line.trim_ascii().is_empty() {
                break line;
            }
        };
        self.parser.reset();
        self.filled = (0, 0);
        let fed = match self.feed() {
            Fed::Open => self.feed_more()?,
            fed => fed,
        };
        match fed {
            Fed::Complete => {}
            Fed::Open => return Ok(Some(Record::Bad(line.number, "quote never closed"))),
            Fed::TooWide => return Ok(Some(Record::Bad(line.number, "too many columns"))),
        }
        let fields =
            Fields { text: &self.text[..self.filled.0], ends: &self.ends[..self.filled.1] };
        Ok(Some(Record::Fields(line.number, fields)))
    }

    fn next_line(&mut self) -> Result<Option<Line>, Error> {
        if let Some((line, text)) = self.waiting.pop_front() {
            self.line = text;
            return Ok(Some(line));
        }
        self.lines.next(&mut self.line)
    }

    /// Reads on while a quote is open. Where it stays open, all these lines are put back.
    fn feed_more(&mut self) -> Result<Fed, Error> {
        let mut more = Vec::new();
        let mut bytes = 0;
        while more.len() < MAX_LINES
            && bytes < MAX_BYTES
            && let Some(line) = self.next_line()?
        {
            bytes += self.line.len();
            let fed = if line.too_long { Fed::Open } else { self.feed() };
            if fed != Fed::Open {
                return Ok(fed);
            }
            more.push((line, std::mem::take(&mut self.line)));
            if line.too_long {
                break;
            }
        }
        for line in more.into_iter().rev() {
            self.waiting.push_front(line);
        }
        Ok(Fed::Open)
    }

    /// Gives the line to the parser.
    fn feed(&mut self) -> Fed {
        self.line.push(b'\n');
        let mut used = 0;
        let fed = loop {
            let (result, read, text, ends) = self.parser.read_record(
                &self.line[used..],
                &mut self.text[self.filled.0..],
                &mut self.ends[self.filled.1..],
            );
            used += read;
            self.filled = (self.filled.0 + text, self.filled.1 + ends);
            match result {
                csv_core::ReadRecordResult::OutputFull => self.text.resize(2 * self.text.len(), 0),
                csv_core::ReadRecordResult::OutputEndsFull if self.ends.len() >= MAX_FIELDS => {
                    break Fed::TooWide;
                }
                csv_core::ReadRecordResult::OutputEndsFull => {
                    self.ends.resize(2 * self.ends.len(), 0);
                }
                csv_core::ReadRecordResult::Record => break Fed::Complete,
                csv_core::ReadRecordResult::InputEmpty | csv_core::ReadRecordResult::End => {
                    break Fed::Open;
                }
            }
        };
        self.line.pop();
        fed
    }
}
