//! Times as logs write them: ISO 8601, `YYYYMMDD`, unix seconds or milliseconds; all UTC unless
//! they say otherwise.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;

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
///
/// | text                                            | read as                              |
/// |-------------------------------------------------|--------------------------------------|
/// | eight digits                                    | `YYYYMMDD`, midnight                 |
/// | another number below 10¹¹, fractions too        | seconds since 1970                   |
/// | a number of 10¹¹ up to 10¹⁴                     | milliseconds since 1970              |
/// | `2014-04-07T10:51:09.277Z`, `2014-04-07 10:51`, `2014-04-07`, with `Z`, ` UTC`, `+02:00` or nothing | ISO 8601 |
pub fn parse_time(text: &str) -> Option<i64> {
    let text = text.trim_ascii();
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return number(text);
    }
    let text = text.strip_suffix(" UTC").or_else(|| text.strip_suffix(" GMT")).unwrap_or(text);
    // A sign before the tenth byte belongs to the date.
    let zoned = text.ends_with(['Z', 'z']) || text.get(10..)?.contains(['+', '-']);
    let time = if zoned {
        text.parse::<Timestamp>().ok()?
    } else {
        Offset::UTC.to_timestamp(text.parse::<DateTime>().ok()?).ok()?
    };
    Some(time.as_millisecond())
}

/// Midnight of a day.
pub(crate) fn day(year: i16, month: i8, day: i8) -> Option<i64> {
    let date = Date::new(year, month, day).ok()?;
    let midnight = date.to_datetime(jiff::civil::Time::midnight());
    Some(Offset::UTC.to_timestamp(midnight).ok()?.as_millisecond())
}

fn number(text: &str) -> Option<i64> {
    if text.len() == 8 && !text.contains(['-', '.']) {
        return day(text[..4].parse().ok()?, text[4..6].parse().ok()?, text[6..].parse().ok()?);
    }
    let milliseconds = match text.parse::<i64>() {
        Ok(whole) if whole.unsigned_abs() < 100_000_000_000 => whole * 1000,
        Ok(whole) => whole,
        Err(_) => {
            let seconds = text.parse::<f64>().ok()?;
            (seconds.abs() < 1e11).then(|| (seconds * 1000.0).round() as i64)?
        }
    };
    (milliseconds.unsigned_abs() < 100_000_000_000_000).then_some(milliseconds)
}

/// A time on the command line. A short number, such as `90` or `1.0`, is a slip and not a moment of
/// the year 1970.
pub(crate) fn parse_flag(text: &str) -> Option<i64> {
    let short = text.trim().parse::<f64>().is_ok_and(|number| number.abs() < 1e7);
    if short { None } else { parse_time(text) }
}

/// ISO 8601, UTC.
pub fn format_time(milliseconds: i64) -> String {
    match Timestamp::from_millisecond(milliseconds) {
        Ok(time) => time.to_string(),
        Err(_) => format!("{milliseconds} ms"),
    }
}

/// Whether a text that is a time names a whole day.
fn is_date(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    digits == 8 && (text.len() == 8 || text.len() == 10 && text.contains('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_many_logs_are_read() {
        for (text, iso) in [
            ("2014-04-07T10:51:09.277Z", "2014-04-07T10:51:09.277Z"),
            ("2019-10-01 00:00:03 UTC", "2019-10-01T00:00:03Z"),
            ("2011-12-09 12:50", "2011-12-09T12:50:00Z"),
            ("2011-12-09", "2011-12-09T00:00:00Z"),
            ("2017-11-25T01:30:00+02:00", "2017-11-24T23:30:00Z"),
            ("2017-11-25 01:30:00-0500", "2017-11-25T06:30:00Z"),
            ("20080813", "2008-08-13T00:00:00Z"),
            ("1511544070", "2017-11-24T17:21:10Z"),
            ("1511544070.5", "2017-11-24T17:21:10.5Z"),
            ("1433221332117", "2015-06-02T05:02:12.117Z"),
            ("-86400", "1969-12-31T00:00:00Z"),
            ("0", "1970-01-01T00:00:00Z"),
            (" 20080229 ", "2008-02-29T00:00:00Z"),
        ] {
            assert_eq!(parse_time(text).map(format_time).as_deref(), Some(iso), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "-",
            ".",
            "abc",
            "20081301",
            "20090229",
            "2014-04-31",
            "2014-04-07T25:00:00Z",
            "1e9",
            "123456789012345678901",
            "1433221332117000000",
            "12:30",
            "1.2.3",
            "2014-04-07x",
            "7.4.2014",
            "é2014-04-07",
        ] {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }

    #[test]
    fn both_ends_of_a_window_belong_to_it() {
        let window = Window::parse(Some("2008-04-01"), Some("20080731")).unwrap();
        for (text, inside) in [
            ("2008-03-31T23:59:59.999Z", false),
            ("2008-04-01", true),
            ("2008-07-31T23:59:59.999Z", true),
            ("2008-08-01", false),
        ] {
            assert_eq!(window.contains(parse_time(text).unwrap()), inside, "{text}");
        }
        let exact = Window::parse(None, Some("2008-07-31T12:00:00Z")).unwrap();
        assert!(exact.contains(parse_time("2008-07-31T12:00:00Z").unwrap()));
        assert!(!exact.contains(parse_time("2008-07-31T12:00:01Z").unwrap()));
        assert!(Window::parse(None, None).unwrap().is_open());
    }

    #[test]
    fn a_window_that_cannot_be_is_refused() {
        for (from, until, flag) in [
            (Some("soon"), None, "--from"),
            (None, Some("2008-13-01"), "--until"),
            (Some("2008-08-01"), Some("2008-07-31"), "--until"),
        ] {
            let error = Window::parse(from, until).unwrap_err();
            assert!(error.is_usage() && error.to_string().contains(flag), "{error}");
        }
    }
}
