//! Times as logs write them: ISO 8601, `YYYYMMDD`, unix seconds or milliseconds; all UTC unless
//! they say otherwise.

use jiff::Timestamp;
use jiff::civil::Date;

use crate::Error;

const DAY: i64 = 24 * 60 * 60 * 1000;

/// The part of a log that is read, both ends included, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Window {
    /// Nothing before.
    pub from: Option<i64>,
    /// Nothing after.
    pub until: Option<i64>,
}

impl Window {
    /// The values of `--from` and `--until`. An `until` without a time of day means the whole day.
    ///
    /// # Errors
    ///
    /// [`Error::Flag`] where one is no time, or where they leave nothing between them.
    pub fn parse(from: Option<&str>, until: Option<&str>) -> Result<Self, Error> {
        let refuse = |flag, value: &str, reason: &str| Error::Flag {
            flag,
            value: value.to_owned(),
            reason: reason.to_owned(),
        };
        let moment = |flag, text: Option<&str>| match text {
            None => Ok(None),
            Some(text) => parse_flag(text).map(Some).ok_or_else(|| {
                refuse(
                    flag,
                    text,
                    "expected a date or time such as 2014-09-24 or 2014-09-24T12:00:00Z",
                )
            }),
        };
        let (start, mut end) = (moment("--from", from)?, moment("--until", until)?);
        if let (Some(end), Some(text)) = (&mut end, until)
            && is_date(text.trim())
        {
            *end += DAY - 1;
        }
        match (start, end, until) {
            (Some(start), Some(end), Some(text)) if start > end => {
                Err(refuse("--until", text, "lies before --from"))
            }
            _ => Ok(Self { from: start, until: end }),
        }
    }

    /// Whether nothing is cut off.
    pub fn is_open(&self) -> bool {
        self.from.is_none() && self.until.is_none()
    }

    /// Whether a time lies inside.
    pub fn contains(&self, time: i64) -> bool {
        self.from.is_none_or(|from| time >= from) && self.until.is_none_or(|until| time <= until)
    }
}

/// A time in milliseconds since 1970; none where the text is no time.
pub fn parse_time(text: &str) -> Option<i64> {
    unimplemented!("{text}")
}

/// A time on the command line.
pub(crate) fn parse_flag(text: &str) -> Option<i64> {
    parse_time(text.trim())
}

/// ISO 8601, UTC.
pub fn format_time(milliseconds: i64) -> String {
    match Timestamp::from_millisecond(milliseconds) {
        Ok(time) => time.to_string(),
        Err(_) => format!("{milliseconds} ms"),
    }
}

fn is_date(text: &str) -> bool {
    (text.len() == 8 || text.len() == 10) && text.parse::<Date>().is_ok()
}
