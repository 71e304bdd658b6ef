//! Times as logs write them: ISO 8601, dates with slashes, dots or hyphens, `YYYYMMDD`, unix time in any
//! unit.

mod spelling;
mod zone;

use jiff::Timestamp;

use crate::Error;
pub(crate) use spelling::{Order, Slashed, Spelled, Unit, spelled};
pub use zone::Zone;

const DAY: i64 = 24 * 60 * 60 * 1000;

/// The part of a log that is read, both ends included, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Window {
    /// Nothing before.
    pub from: Option<i64>,
    /// Nothing after.
    pub until: Option<i64>,
}

/// The moment that a flag names; what says no zone is in `zone`, and a date is its beginning.
///
/// # Errors
///
/// [`Error::Flag`] where it is no time.
pub fn parse_moment(flag: &'static str, text: &str, zone: &Zone) -> Result<i64, Error> {
    parse_flag(text, zone, 0).ok_or_else(|| Error::Flag {
        flag,
        value: text.to_owned(),
        reason: "expected a date or time such as 2014-09-24 or 2014-09-24T12:00:00Z".to_owned(),
    })
}

impl Window {
    /// The values of `--from` and `--until`; what says no zone is in `zone`. An `until` without a time of
    /// day means the whole day.
    ///
    /// # Errors
    ///
    /// [`Error::Flag`] where one is no time, or where they leave nothing between them.
    pub fn parse(from: Option<&str>, until: Option<&str>, zone: &Zone) -> Result<Self, Error> {
        let refuse = |flag, value: &str, reason: &str| Error::Flag {
            flag,
            value: value.to_owned(),
            reason: reason.to_owned(),
        };
        let moment = |flag, text: Option<&str>, later| match text {
            None => Ok(None),
            Some(text) => parse_flag(text, zone, later).map(Some).ok_or_else(|| {
                refuse(
                    flag,
                    text,
                    "expected a date or time such as 2014-09-24 or 2014-09-24T12:00:00Z",
                )
            }),
        };
        // A day ends where the next one begins, also where clocks are changed in between.
        let whole_day = until.is_some_and(|text| is_date(text.trim()));
        let start = moment("--from", from, 0)?;
        let end = moment("--until", until, if whole_day { DAY } else { 0 })?;
        let end = end.map(|end| end - i64::from(whole_day));
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
/// | fourteen digits that begin with 19 or 20        | `YYYYMMDDhhmmss`                     |
/// | another number below 10¹¹, fractions too        | seconds since 1970                   |
/// | a number of 10¹¹ up to 10¹⁴                     | milliseconds since 1970              |
/// | a number of 10¹⁴ up to 10¹⁷, above              | microseconds, nanoseconds            |
/// | `2014-04-07T10:51:09.277Z`, `2014-04-07 10:51`, `2014/04/07`, with `Z`, ` UTC`, `+02:00`, ` Europe/Warsaw` or nothing | ISO 8601 |
/// | `2024-3-1 9:05`, `2010/1/31`, `2024.03.01 12:30` | year, month, day                    |
/// | `01.03.2024 01:06:18`, `1.3.24`                 | with dots the day stands first       |
/// | `12/31/2010 8:26`, `31/12/10`, `31-12-2010`     | month and day, as the numbers tell   |
///
/// What says no zone is UTC. A date such as `1/12/2010` or `1-12-2010` is no time here, since it may be
/// in January or in December: the other rows of its file tell.
pub fn parse_time(text: &str) -> Option<i64> {
    match spelled(text)? {
        Spelled::Moment(time) | Spelled::Unix(time, _) | Spelled::Local(time) => Some(time),
        Spelled::Slashed(date) => {
            date.local(date.told().or(date.same_in_both().then_some(Order::MonthFirst))?)
        }
    }
}

/// Midnight of a day.
pub(crate) fn day(year: i16, month: i8, day: i8) -> Option<i64> {
    spelling::midnight(year, month, day)
}

/// A time on the command line. A short number, such as `90` or `1.0`, is a slip and not a moment of
/// the year 1970. What says no zone is in `zone`, and so much later by its clock.
pub(crate) fn parse_flag(text: &str, zone: &Zone, later: i64) -> Option<i64> {
    let short = text.trim().parse::<f64>().is_ok_and(|number| number.abs() < 1e7);
    if short { None } else { later_in(text, zone, later) }
}

/// A time in milliseconds since 1970; what says no zone is in `zone`.
pub(crate) fn parse_in(text: &str, zone: &Zone) -> Option<i64> {
    later_in(text, zone, 0)
}

fn later_in(text: &str, zone: &Zone, later: i64) -> Option<i64> {
    match spelled(text)? {
        Spelled::Moment(time) | Spelled::Unix(time, _) => time.checked_add(later),
        Spelled::Local(_) | Spelled::Slashed(_) => {
            zone.moment(parse_time(text)?.checked_add(later)?)
        }
    }
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
    let marks = text.bytes().filter(|byte| matches!(byte, b'-' | b'/' | b'.')).count();
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    digits + marks == text.len() && (marks == 2 || marks == 0 && digits == 8)
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
            ("20140407105109", "2014-04-07T10:51:09Z"),
            ("99999999999", "5138-11-16T09:46:39Z"),
            ("100000000000", "1973-03-03T09:46:40Z"),
            ("99999999999999", "5138-11-16T09:46:39.999Z"),
            ("100000000000000", "1973-03-03T09:46:40Z"),
            ("100000000000000000", "1973-03-03T09:46:40Z"),
            ("1433221332117000", "2015-06-02T05:02:12.117Z"),
            ("1433221332117000000", "2015-06-02T05:02:12.117Z"),
            ("1433221332117.0", "2015-06-02T05:02:12.117Z"),
            ("2010/12/01 08:26:00", "2010-12-01T08:26:00Z"),
            ("2010/12/1 8:26", "2010-12-01T08:26:00Z"),
            ("12/31/2010 8:26", "2010-12-31T08:26:00Z"),
            ("31/12/10", "2010-12-31T00:00:00Z"),
            ("12/31/1999 12:05:01 AM", "1999-12-31T00:05:01Z"),
            ("12/31/1999 1:05 pm", "1999-12-31T13:05:00Z"),
            ("5/5/2010", "2010-05-05T00:00:00Z"),
            ("31-12-2010 8:26", "2010-12-31T08:26:00Z"),
            ("12-31-2010 8:26 PM", "2010-12-31T20:26:00Z"),
            ("01.03.2024 01:06:18", "2024-03-01T01:06:18Z"),
            ("01.03.2024, 01:06:18.5", "2024-03-01T01:06:18.5Z"),
            ("1.3.2024", "2024-03-01T00:00:00Z"),
            ("01.03.24", "2024-03-01T00:00:00Z"),
            ("01.07.2024 01:06 Europe/Warsaw", "2024-06-30T23:06:00Z"),
            ("2024.03.01 12:30", "2024-03-01T12:30:00Z"),
            ("2024.3.1", "2024-03-01T00:00:00Z"),
            ("2024-3-1 9:05", "2024-03-01T09:05:00Z"),
            ("2024-3-1 9:05 UTC", "2024-03-01T09:05:00Z"),
            ("2024-3-1T9:05:00+02:00", "2024-03-01T07:05:00Z"),
            ("2014-07-07 10:51 Europe/Warsaw", "2014-07-07T08:51:00Z"),
            ("2014-07-07T10:51:09[Europe/Warsaw]", "2014-07-07T08:51:09Z"),
            ("2014-07-07T10:51:09+02:00[Europe/Warsaw]", "2014-07-07T08:51:09Z"),
            ("2014-04-07T10:51:09.2779999Z", "2014-04-07T10:51:09.277Z"),
            ("2014-12-06T02", "2014-12-06T02:00:00Z"),
            ("20140407T105109Z", "2014-04-07T10:51:09Z"),
            ("2014-06-30T23:59:60Z", "2014-06-30T23:59:59Z"),
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
            "12:30",
            "1.2.3",
            "2014-04-07x",
            "1.2.345",
            "03.15.2024",
            "1.2.3.2014",
            "24-03-01",
            "4/7/2014",
            "4-7-2014",
            "4.7-2014",
            "2024.13.01",
            "2024-3-1 9:05 PM XYZ",
            "31-12-2010 8:26 UTC",
            "13/13/2014",
            "2/30/2014",
            "2014/13/01",
            "12/31/2010 25:00",
            "12/31/2010 13:00 PM",
            "12/31/20100",
            "1/2/3/4",
            "1/31/2010/4",
            "2014-04-07T10:51:09[Middle/Earth]",
            "2014-04-07 10:51 XYZ",
            "2014-04-07 10:51+2",
            "2014-04-07 10:51+26:00",
            "20140407105161",
            "99999999999999999999",
            "é2014-04-07",
        ] {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }

    /// Every day of the calendar, and beside it the library that knows it.
    #[test]
    fn midnights_are_those_of_the_calendar() {
        let mut expected = parse_time("1899-12-31").unwrap();
        for year in 1900..2105 {
            for month in 1..=12 {
                let days = jiff::civil::Date::new(year, month, 1).unwrap().days_in_month();
                for of_month in 1..=days {
                    expected += DAY;
                    assert_eq!(day(year, month, of_month), Some(expected), "{year} {month}");
                }
                assert_eq!(day(year, month, days + 1), None);
            }
        }
        let jiff: jiff::Timestamp = "2104-12-31T00:00:00Z".parse().unwrap();
        assert_eq!(expected, jiff.as_millisecond());
        assert_eq!(day(0, 1, 1).map(format_time).as_deref(), Some("0000-01-01T00:00:00Z"));
    }

    #[test]
    fn both_ends_of_a_window_belong_to_it() {
        let utc = Zone::default();
        let window = Window::parse(Some("2008-04-01"), Some("20080731"), &utc).unwrap();
        for (text, inside) in [
            ("2008-03-31T23:59:59.999Z", false),
            ("2008-04-01", true),
            ("2008-07-31T23:59:59.999Z", true),
            ("2008-08-01", false),
        ] {
            let slashes = Window::parse(Some("2008/04/01"), Some("7/31/2008"), &utc).unwrap();
            let dots = Window::parse(Some("1.4.2008"), Some("31.07.2008"), &utc).unwrap();
            assert_eq!((slashes, dots), (window, window));
            assert_eq!(window.contains(parse_time(text).unwrap()), inside, "{text}");
        }
        let exact = Window::parse(None, Some("2008-07-31T12:00:00Z"), &utc).unwrap();
        assert!(exact.contains(parse_time("2008-07-31T12:00:00Z").unwrap()));
        assert!(!exact.contains(parse_time("2008-07-31T12:00:01Z").unwrap()));
        assert!(Window::parse(None, None, &utc).unwrap().is_open());
    }

    #[test]
    fn a_day_of_a_window_is_one_of_the_zone() {
        let zone: Zone = "Europe/London".parse().unwrap();
        let at = |text| parse_time(text).unwrap();
        // Clocks go forward on 27 March 2011, and back on 30 October: days of 23 and 25 hours.
        for (day, from, until) in [
            ("2011-03-27", "2011-03-27T00:00:00Z", "2011-03-27T22:59:59.999Z"),
            ("2011-10-30", "2011-10-29T23:00:00Z", "2011-10-30T23:59:59.999Z"),
            ("6/30/2011", "2011-06-29T23:00:00Z", "2011-06-30T22:59:59.999Z"),
        ] {
            let window = Window::parse(Some(day), Some(day), &zone).unwrap();
            assert_eq!(window, Window { from: Some(at(from)), until: Some(at(until)) }, "{day}");
        }
        let moment = "2011-06-30T12:00:00Z";
        let window = Window::parse(Some(moment), Some(moment), &zone).unwrap();
        assert_eq!(window, Window { from: Some(at(moment)), until: Some(at(moment)) });
    }

    #[test]
    fn a_window_that_cannot_be_is_refused() {
        for (from, until, flag) in [
            (Some("soon"), None, "--from"),
            (None, Some("2008-13-01"), "--until"),
            (Some("2008-08-01"), Some("2008-07-31"), "--until"),
        ] {
            let error = Window::parse(from, until, &Zone::default()).unwrap_err();
            assert!(error.is_usage() && error.to_string().contains(flag), "{error}");
        }
    }
}
