//! OTTO: a JSON object a line, and in it a session with all its events.
//!
//! Each event is a row: it can be bad, or outside `--from` and `--until`, by itself. A line that is no
//! session is one bad row. Ids are taken as they are spelled, so that no number is too large.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::ReadOptions;
use super::builder::{Builder, Grouping};
use super::sink::{Key, Row};
use super::source::{Line, Lines};
use super::table::NOT_UTF_8;
use crate::{Error, time};

/// A line, of which only the outer shape was looked at.
#[derive(Deserialize)]
struct Session<'a> {
    #[serde(borrow)]
    session: &'a RawValue,
    #[serde(borrow)]
    events: &'a RawValue,
}

/// One event, likewise.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    aid: &'a RawValue,
    #[serde(borrow)]
    ts: &'a RawValue,
    #[serde(borrow, rename = "type")]
    kind: &'a RawValue,
}

/// What an event says.
struct Said<'a> {
    item: Cow<'a, str>,
    kind: Cow<'a, str>,
    time: i64,
}

/// Reads sessions line by line.
pub(super) fn read(
    mut lines: Lines,
    options: &ReadOptions,
    log: &mut Builder,
) -> Result<(), Error> {
    log.same_grouping(&lines.name, Grouping { user: false, session: true, time: true })?;
    let mut text = Vec::new();
    while let Some(line) = lines.next(&mut text)? {
        if line.too_long {
            log.rows += 1;
            log.bad(&lines.name, line.number, "line too long", "");
        } else if !text.trim_ascii().is_empty() {
            read_line(&lines.name, line, &text, options, log)?;
        }
    }
    Ok(())
}

fn read_line(
    file: &str,
    line: Line,
    text: &[u8],
    options: &ReadOptions,
    log: &mut Builder,
) -> Result<(), Error> {
    let (key, events) = match open(text) {
        Ok(session) => session,
        Err((reason, detail)) => {
            log.rows += 1;
            log.bad(file, line.number, reason, &detail);
            return Ok(());
        }
    };
    let mut stopped = None;
    let walked = each(events, |event| {
        log.rows += 1;
        match take(event) {
            Ok(said) if !options.window.contains(said.time) => log.outside(),
            Ok(Said { item, kind, time }) => {
                let (session, time) = (Some(Key::Name(&key)), Some(time));
                let (item, kind) = (item.as_ref(), Some(kind.as_ref()));
                let row = Row { item, session, time, kind, ..Row::default() };
                stopped = log.push(&row).err();
            }
            Err((reason, detail)) => log.bad(file, line.number, reason, detail),
        }
        stopped.is_none()
    });
    match (stopped, walked) {
        (Some(error), _) => Err(error),
        (None, Ok(1..)) => Ok(()),
        (None, walked) => {
            log.rows += 1;
            let found =
                if walked.is_ok() { "a session without events" } else { "no list of events" };
            log.bad(file, line.number, found, events);
            Ok(())
        }
    }
}

/// The key of a session and the text of its list of events, or why the line is none.
fn open(text: &[u8]) -> Result<(Cow<'_, str>, &str), (&'static str, String)> {
    let Ok(text) = std::str::from_utf8(text) else {
        let beginning = String::from_utf8_lossy(&text[..text.len().min(400)]).into_owned();
        return Err((NOT_UTF_8, beginning));
    };
    let session = match serde_json::from_str::<Session<'_>>(text) {
        Ok(session) if text.trim_ascii_start().starts_with('{') => session,
        Err(error) if !error.is_data() => return Err(("not JSON", error.to_string())),
        Err(error) => return Err(("not a session", error.to_string())),
        Ok(_) => return Err(("not a session", "it is a list".to_owned())),
    };
    match word(session.session.get()) {
        Some(key) => Ok((key, session.events.get())),
        None => Err(("no session", session.session.get().chars().take(60).collect())),
    }
}

/// What an event says, or why it is none.
fn take(event: &str) -> Result<Said<'_>, (&'static str, &str)> {
    let fields = serde_json::from_str::<Event<'_>>(event).ok();
    // A list would do for the fields of a struct.
    let fields = fields.filter(|_| event.starts_with('{')).ok_or(("not an event", event))?;
    let item = word(fields.aid.get()).ok_or(("no item", event))?;
    let kind = word(fields.kind.get()).ok_or(("no type of the event", event))?;
    let time = word(fields.ts.get()).and_then(|text| time::parse_time(&text));
    let time = time.ok_or(("time not understood", fields.ts.get()))?;
    Ok(Said { item, kind, time })
}

/// A string, or a number as it is spelled; none where it is empty or anything else.
fn word(json: &str) -> Option<Cow<'_, str>> {
    if json.starts_with('"') {
        let plain = &json[1..json.len() - 1];
        let text = match plain.contains('\\') {
            false => Cow::Borrowed(plain),
            true => Cow::Owned(serde_json::from_str(json).ok()?),
        };
        return Some(text).filter(|text| !text.trim_ascii().is_empty() && !text.contains('\0'));
    }
    json.starts_with(|first: char| first == '-' || first.is_ascii_digit())
        .then_some(Cow::Borrowed(json))
}

/// Hands the elements of a list on, one by one, until `take` has enough; how many there were.
fn each(list: &str, take: impl FnMut(&str) -> bool) -> Result<usize, serde_json::Error> {
    serde_json::Deserializer::from_str(list).deserialize_seq(Elements(take))
}

struct Elements<F>(F);

impl<'de, F: FnMut(&str) -> bool> Visitor<'de> for Elements<F> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<usize, A::Error> {
        let mut count = 0;
        while let Some(element) = list.next_element::<&RawValue>()? {
            count += 1;
            if !(self.0)(element.get()) {
                break;
            }
        }
        Ok(count)
    }
}
