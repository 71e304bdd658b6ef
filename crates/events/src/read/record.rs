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
    delimiter: u8,
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

/// The same as text, if it is UTF-8 without a NUL.
fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|_| memchr::memchr(0, bytes).is_none())
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
    bytes: &'a [u8],
    /// The same, where all of it is UTF-8 without a NUL.
    text: Option<&'a str>,
    ends: &'a [usize],
    /// Bytes between the end of a field and the next field.
    gap: usize,
    /// Fields that every row of the file has, behind its own.
    beside: &'a [String],
}

impl<'a> Fields<'a> {
    /// The same with fields behind them that do not stand in the row.
    pub(super) fn with(self, beside: &'a [String]) -> Self {
        Self { beside, ..self }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len() + self.beside.len()
    }

    /// How many of them do not stand in the row.
    pub(super) fn beside(&self) -> usize {
        self.beside.len()
    }

    /// One field as it stands.
    pub(super) fn get(&self, place: usize) -> &'a [u8] {
        match place.checked_sub(self.ends.len()) {
            Some(beside) => self.beside[beside].as_bytes(),
            None => &self.bytes[self.range(place)],
        }
    }

    /// One field as text, where it is known to be some: [`Fields::get`] has it in any case.
    pub(super) fn text(&self, place: usize) -> Option<&'a str> {
        if let Some(beside) = place.checked_sub(self.ends.len()) {
            return Some(&self.beside[beside]);
        }
        // Bytes of two fields, one after the other, may be a letter that neither of them has.
        self.text?.get(self.range(place))
    }

    fn range(&self, place: usize) -> std::ops::Range<usize> {
        let start = if place == 0 { 0 } else { self.ends[place - 1] + self.gap };
        start..self.ends[place]
    }
}

impl Records {
    /// The rows that these lines hold.
    pub(super) fn new(lines: Lines, delimiter: u8) -> Self {
        Self {
            lines,
            waiting: VecDeque::new(),
            delimiter,
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
        if memchr::memchr(b'"', &self.line).is_none() {
            return Ok(Some(self.plain(line.number)));
        }
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
        let (bytes, ends) = (&self.text[..self.filled.0], &self.ends[..self.filled.1]);
        Ok(Some(Record::Fields(
            line.number,
            Fields { bytes, text: text(bytes), ends, gap: 0, beside: &[] },
        )))
    }

    /// The row of a line without a quote, which most lines are: it is cut where it stands.
    fn plain(&mut self, number: u64) -> Record<'_> {
        self.ends.clear();
        self.ends.extend(memchr::memchr_iter(self.delimiter, &self.line).take(MAX_FIELDS));
        if self.ends.len() >= MAX_FIELDS {
            return Record::Bad(number, "too many columns");
        }
        self.ends.push(self.line.len());
        let (bytes, ends) = (self.line.as_slice(), self.ends.as_slice());
        Record::Fields(number, Fields { bytes, text: text(bytes), ends, gap: 1, beside: &[] })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(lines: &[u8]) -> Vec<Vec<Vec<u8>>> {
        let mut records = Records::new(Lines::of_text(lines.to_vec()), b',');
        let mut rows = Vec::new();
        while let Some(record) = records.next().unwrap() {
            let Record::Fields(_, fields) = record else { panic!("a bad row") };
            for place in 0..fields.len() {
                let as_text = fields.text(place).map(str::as_bytes);
                assert!(as_text.is_none_or(|text| text == fields.get(place)));
            }
            rows.push((0..fields.len()).map(|place| fields.get(place).to_vec()).collect());
        }
        rows
    }

    /// A field in quotes goes through the parser, and takes its row with it; the others do not.
    #[test]
    fn rows_with_and_without_quotes_have_the_same_fields() {
        let alphabet =
            [&b"a"[..], b"b", b",", b",", b" ", b"\t", b"\0", b"\xc3", b"\xa9", b"\xc3\xa9"];
        let mut state = 7u32;
        let mut plain = Vec::new();
        for _ in 0..20_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let word = (state >> 16) as usize % (alphabet.len() + 1);
            plain.extend_from_slice(alphabet.get(word).copied().unwrap_or(b"x\n"));
        }
        let quoted: Vec<u8> = plain
            .split(|&byte| byte == b'\n')
            .flat_map(|line| [line, b",\"quoted\"\n"].concat())
            .collect();
        let expected: Vec<Vec<Vec<u8>>> = plain
            .split(|&byte| byte == b'\n')
            .filter(|line| !line.trim_ascii().is_empty())
            .map(|line| line.split(|&byte| byte == b',').map(<[u8]>::to_vec).collect())
            .collect();
        assert_eq!(fields(&plain), expected);
        let parsed = fields(&quoted);
        assert!(parsed.iter().all(|row| row.last().is_some_and(|field| field == b"quoted")));
        let without: Vec<Vec<Vec<u8>>> =
            parsed.into_iter().map(|mut row| row.drain(..row.len() - 1).collect()).collect();
        assert_eq!(without[..expected.len()], expected);
    }

    #[test]
    fn two_fields_are_not_a_letter() {
        let mut records = Records::new(Lines::of_text(b"\xc3,\xa9,\"q\"\n".to_vec()), b',');
        let Ok(Some(Record::Fields(_, fields))) = records.next() else { panic!("a bad row") };
        assert_eq!((fields.text(0), fields.text(1)), (None, None));
        assert_eq!((fields.get(0), fields.text(2)), (&b"\xc3"[..], Some("q")));
    }
}
