//! One file as lines: opened, decompressed, its head looked at, its lines counted.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::Error;

/// How much of a file is looked at to tell its format.
const HEAD: usize = 64 * 1024;
/// A longer line is no row of a log.
const MAX_LINE: usize = 16 * 1024 * 1024;

/// The files that the given paths stand for: a folder stands for its files, and those of the folders in
/// it, in name order.
pub(super) fn expand(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" || !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let open = |source| Error::Open { path: path.display().to_string(), source };
        let mut inside = Vec::new();
        for entry in path.read_dir().map_err(open)? {
            let entry = entry.map_err(open)?;
            // `.part.crc` and `_SUCCESS` are what Spark leaves beside the files of a table.
            let name = entry.file_name();
            if !name.as_encoded_bytes().starts_with(b".")
                && !name.as_encoded_bytes().starts_with(b"_")
            {
                inside.push(entry.path());
            }
        }
        inside.sort();
        let before = files.len();
        for path in inside {
            if path.is_dir() {
                // An empty folder inside is fine.
                files.extend(expand(&[path]).or_else(|error| match error {
                    Error::Empty { .. } => Ok(Vec::new()),
                    other => Err(other),
                })?);
            } else {
                files.push(path);
            }
        }
        if files.len() == before {
            return Err(Error::Empty { path: path.display().to_string() });
        }
    }
    Ok(files)
}

/// Counts the bytes that were read of all files, as they lie on the disk.
#[derive(Debug, Clone, Default)]
pub(super) struct Meter(Rc<Cell<u64>>);

impl Meter {
    /// Bytes so far.
    pub(super) fn bytes(&self) -> u64 {
        self.0.get()
    }

    /// Sets the count, where reading jumps to and fro in a file.
    pub(super) fn set(&self, bytes: u64) {
        self.0.set(bytes);
    }
}

/// A reader whose bytes are counted.
struct Metered<R> {
    input: R,
    meter: Meter,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.input.read(buffer)?;
        self.meter.set(self.meter.bytes() + n as u64);
        Ok(n)
    }
}

/// Bytes of these files together; none where one is no file on a disk.
pub(super) fn size_of(paths: &[PathBuf]) -> Option<u64> {
    let size = |path: &PathBuf| {
        let about = path.metadata().ok().filter(|_| path.as_os_str() != "-")?;
        about.is_file().then_some(about.len())
    };
    paths.iter().map(size).sum()
}

/// An open file that was looked at and not yet read.
pub(super) struct Source {
    /// The path as errors name it.
    pub name: String,
    /// Bytes that were counted before it.
    pub before: u64,
    head: Vec<u8>,
    /// Whether `head` is the whole file.
    whole: bool,
    rest: Rest,
}

impl Source {
    /// Opens a file, or standard input for `-`, and finds its compression by its first bytes.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        Self::open_metered(path, &Meter::default())
    }

    /// Likewise, where somebody counts the bytes.
    pub(super) fn open_metered(path: &Path, meter: &Meter) -> Result<Self, Error> {
        let before = meter.bytes();
        let stdin = path.as_os_str() == "-";
        let name = if stdin { "stdin".to_owned() } else { path.display().to_string() };
        let input: Box<dyn Read> = if stdin {
            Box::new(io::stdin())
        } else {
            Box::new(File::open(path).map_err(|source| Error::Open { path: name.clone(), source })?)
        };
        let broken = |source| Error::Read { path: name.clone(), line: 0, source };

        let input = Box::new(Metered { input, meter: meter.clone() });
        let mut input = Rest { input, error: None };
        let magic = input.take_head(4).map_err(broken)?;
        let gzip = magic.starts_with(&[0x1f, 0x8b]);
        let zstd = magic.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]);
        for (extension, named, is) in [("gz", "gzip", gzip), ("zst", "zstd", zstd)] {
            if !is && !magic.is_empty() && path.extension().is_some_and(|e| e == extension) {
                return Err(Error::NotCompressed { path: name, name: named });
            }
        }
        let input = BufReader::with_capacity(HEAD, io::Cursor::new(magic).chain(input));
        let input: Box<dyn Read> = if gzip {
            Box::new(flate2::bufread::MultiGzDecoder::new(input))
        } else if zstd {
            Box::new(zstd::Decoder::with_buffer(input).map_err(broken)?)
        } else {
            Box::new(input)
        };
        let mut rest = Rest { input, error: None };
        let head = rest.take_head(HEAD).map_err(broken)?;
        let whole = head.len() < HEAD;
        Ok(Self { name, before, head, whole, rest })
    }

    /// The first bytes, without a byte order mark and without the line that the cut went through.
    pub(super) fn head(&self) -> &[u8] {
        let head = self.head.strip_prefix(BOM).unwrap_or(&self.head);
        match head.iter().rposition(|&byte| byte == b'\n') {
            Some(end) if !self.whole => &head[..=end],
            _ => head,
        }
    }

    /// All bytes, from the first on.
    pub(super) fn bytes(self) -> impl Read {
        io::Cursor::new(self.head).chain(self.rest)
    }

    /// The lines, from the first on.
    ///
    /// # Errors
    ///
    /// [`Error::NotText`] where this is no text of lines that end in LF or CRLF.
    pub(super) fn lines(self) -> Result<Lines, Error> {
        if let Some((saw, remedy)) = no_lines(&self.head) {
            return Err(Error::NotText { path: self.name, saw, remedy });
        }
        let name = self.name.clone();
        let reader = BufReader::with_capacity(HEAD, Box::new(self.bytes()) as Box<dyn Read>);
        Ok(Lines { name, reader, number: 0 })
    }
}

/// What text in another encoding or with other line ends looks like, and the remedy.
fn no_lines(head: &[u8]) -> Option<(&'static str, &'static str)> {
    let count = |wanted| head.iter().filter(|&&byte| byte == wanted).count();
    if head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]) {
        return Some(("it is UTF-16 text", "convert it to UTF-8, as `iconv -t UTF-8` does"));
    }
    // One of them is a damaged row; in UTF-16 every other byte is one.
    if 5 * count(0) > head.len() {
        return Some(("it is full of NUL bytes", "give a text file in UTF-8"));
    }
    let body = head.trim_ascii_end();
    if body.contains(&b'\r') && !body.contains(&b'\n') {
        return Some((
            "its lines end in CR alone",
            "make them end in LF, as `tr '\\r' '\\n'` does",
        ));
    }
    None
}

const BOM: &[u8] = b"\xef\xbb\xbf";

/// A reader from which the beginning was taken; an error met there comes when the rest is read.
struct Rest {
    input: Box<dyn Read>,
    error: Option<io::Error>,
}

impl Rest {
    /// Up to `length` bytes. An error before the first byte is an error at once.
    fn take_head(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut head = vec![0; length];
        let mut filled = 0;
        while filled < length {
            match self.input.read(&mut head[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if filled == 0 => return Err(error),
                Err(error) => {
                    self.error = Some(error);
                    break;
                }
            }
        }
        head.truncate(filled);
        Ok(head)
    }
}

impl Read for Rest {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.error.take() {
            Some(error) => Err(error),
            None => self.input.read(buffer),
        }
    }
}

/// The lines of a file.
pub(super) struct Lines {
    /// The path as errors name it.
    pub name: String,
    reader: BufReader<Box<dyn Read>>,
    number: u64,
}

/// A line that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line {
    /// Its number, from 1.
    pub number: u64,
    /// Whether it was longer than any row can be, and cut.
    pub too_long: bool,
}

impl Lines {
    /// The lines of a text that is in memory.
    pub(super) fn of_text(text: Vec<u8>) -> Self {
        let reader = BufReader::new(Box::new(io::Cursor::new(text)) as Box<dyn Read>);
        Self { name: String::new(), reader, number: 0 }
    }

    /// Reads the next line into `text`, without its end.
    pub(super) fn next(&mut self, text: &mut Vec<u8>) -> Result<Option<Line>, Error> {
        text.clear();
        let broken = |source| Error::Read { path: self.name.clone(), line: self.number, source };
        let limited = &mut (&mut self.reader).take(MAX_LINE as u64);
        if limited.read_until(b'\n', text).map_err(broken)? == 0 {
            return Ok(None);
        }
        let ended = text.pop_if(|&mut byte| byte == b'\n').is_some();
        let too_long = !ended && text.len() == MAX_LINE;
        if too_long {
            self.reader.skip_until(b'\n').map_err(broken)?;
        }
        self.number += 1;
        if self.number == 1 && text.starts_with(BOM) {
            text.drain(..BOM.len());
        }
        text.pop_if(|&mut byte| byte == b'\r');
        Ok(Some(Line { number: self.number, too_long }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives what it has, fails once, and then looks as if it had ended.
    struct Flaky(Option<Vec<u8>>, bool);

    impl Read for Flaky {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if let Some(bytes) = self.0.take() {
                buffer[..bytes.len()].copy_from_slice(&bytes);
                return Ok(bytes.len());
            }
            if std::mem::replace(&mut self.1, false) {
                return Err(io::Error::other("unplugged"));
            }
            Ok(0)
        }
    }

    #[test]
    fn an_error_behind_the_head_is_not_lost() {
        let input = Box::new(Flaky(Some(b"1 2\n3".to_vec()), true));
        let mut rest = Rest { input, error: None };
        let head = rest.take_head(HEAD).unwrap();
        let source = Source { name: "log".to_owned(), before: 0, head, whole: true, rest };
        let (mut lines, mut text) = (source.lines().unwrap(), Vec::new());
        assert!(lines.next(&mut text).unwrap().is_some());
        assert_eq!(text, b"1 2");
        let error = lines.next(&mut text).unwrap_err().to_string();
        assert!(error.starts_with("log, after line 1: ") && error.contains("unplugged"), "{error}");
    }
}
