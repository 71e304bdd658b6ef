//! How a text spells a moment, before anybody asks in which zone, or which of two numbers is the
//! month.
//!
//! Most logs have one spelling in all rows, `2019-10-01 00:00:00` or a number. These are read by
//! hand; whatever else ISO 8601 allows is left to `jiff`.

use jiff::civil::DateTime;
use jiff::tz::Offset;
use jiff::{Timestamp, tz::TimeZone};

use super::zone::local_to_utc;
use super::{DAY, day};

/// What a text says of a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spelled {
    /// Milliseconds since 1970.
    Moment(i64),
    /// The same, spelled as a number of these units.
    Unix(i64, Unit),
    /// What a clock has shown, in milliseconds as if it stood in UTC.
    Local(i64),
    /// A date with slashes or hyphens, its day and month in one order or the other.
    Slashed(Slashed),
}

/// The unit of a number, by its magnitude: all four lie between the years 1973 and 2286 for moments
/// that a log can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Below 10¹¹.
    Seconds,
    /// Up to 10¹⁴.
    Milliseconds,
    /// Up to 10¹⁷.
    Microseconds,
    /// Above.
    Nanoseconds,
}

/// Which of the first two numbers of a date with slashes or hyphens is the month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// `12/31/2010`.
    MonthFirst,
    /// `31/12/2010`.
    DayFirst,
}

/// A date with slashes or hyphens whose year stands last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slashed {
    first: i8,
    second: i8,
    year: i16,
    /// Milliseconds since midnight.
    of_day: i64,
}

impl Slashed {
    /// The order that the numbers themselves tell: there is no thirteenth month.
    pub(crate) fn told(self) -> Option<Order> {
        match (self.first > 12, self.second > 12) {
            (true, false) => Some(Order::DayFirst),
            (false, true) => Some(Order::MonthFirst),
            _ => None,
        }
    }

    /// Whether it is the same day in either order.
    pub(crate) fn same_in_both(self) -> bool {
        self.first == self.second
    }

    /// The moment as a clock in UTC would show it.
    pub(crate) fn local(self, order: Order) -> Option<i64> {
        let (month, of_month) = match order {
            Order::MonthFirst => (self.first, self.second),
            Order::DayFirst => (self.second, self.first),
        };
        Some(day(self.year, month, of_month)? + self.of_day)
    }
}

/// What `text` says; none where it is no time.
pub(crate) fn spelled(text: &str) -> Option<Spelled> {
    let text = text.trim_ascii();
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return number(text).or_else(|| dated(text));
    }
    iso(text).or_else(|| dated(text)).or_else(|| other_iso(text))
}

fn number(text: &str) -> Option<Spelled> {
    let whole = !text.contains(['-', '.']);
    if whole && text.len() == 8 {
        return compact_day(text).map(Spelled::Local);
    }
    if whole && text.len() == 14 && (text.starts_with("19") || text.starts_with("20")) {
        // As milliseconds this would lie in the years 2572 to 2636.
        let two = |at: usize| two(text.as_bytes(), at);
        let (hour, minute, second) = (two(8)?, two(10)?, two(12)?);
        let of_day = (hour < 24 && minute < 60 && second < 60)
            .then_some(1000 * (3600 * hour + 60 * minute + second))?;
        return Some(Spelled::Local(compact_day(&text[..8])? + of_day));
    }
    match text.parse::<i64>() {
        Ok(number) => Some(match number.unsigned_abs() {
            0..100_000_000_000 => Spelled::Unix(1000 * number, Unit::Seconds),
            100_000_000_000..100_000_000_000_000 => Spelled::Unix(number, Unit::Milliseconds),
            100_000_000_000_000..100_000_000_000_000_000 => {
                Spelled::Unix(number.div_euclid(1000), Unit::Microseconds)
            }
            _ => Spelled::Unix(number.div_euclid(1_000_000), Unit::Nanoseconds),
        }),
        Err(_) => {
            let number = text.parse::<f64>().ok()?;
            match number.abs() {
                ..1e11 => Some(Spelled::Unix((1000.0 * number).round() as i64, Unit::Seconds)),
                1e11..1e14 => Some(Spelled::Unix(number.round() as i64, Unit::Milliseconds)),
                _ => None,
            }
        }
    }
}

/// `YYYYMMDD`.
fn compact_day(text: &str) -> Option<i64> {
    day(text[..4].parse().ok()?, text[4..6].parse().ok()?, text[6..].parse().ok()?)
}

/// `2014-04-07`, `2014/04/07 10:51`, `2014-04-07T10:51:09.277`, with a zone or without.
fn iso(text: &str) -> Option<Spelled> {
    let bytes = text.as_bytes();
    let (&slash, &again) = (bytes.get(4)?, bytes.get(7)?);
    if !matches!(slash, b'-' | b'/') || again != slash {
        return None;
    }
    let year = 100 * two(bytes, 0)? + two(bytes, 2)?;
    let date = day(year as i16, two(bytes, 5)? as i8, two(bytes, 8)? as i8)?;
    match bytes.get(10) {
        None => Some(Spelled::Local(date)),
        Some(b'T' | b't' | b' ') => {
            let (of_day, used) = of_day(&bytes[11..])?;
            zoned(text.get(11 + used..)?, date + of_day)
        }
        Some(_) => None,
    }
}

/// What the clock showed, and what stands behind it: nothing, `Z`, an offset, or a zone's name.
fn zoned(rest: &str, local: i64) -> Option<Spelled> {
    let rest = rest.trim_ascii();
    match rest.as_bytes().first() {
        None => Some(Spelled::Local(local)),
        Some(b'Z' | b'z') if rest.len() == 1 => Some(Spelled::Moment(local)),
        Some(sign @ (b'+' | b'-')) => {
            let text = rest[1..].split_once('[').map_or(&rest[1..], |(offset, _)| offset);
            let (hours, minutes) = match (text.len(), text.as_bytes().get(2)) {
                (2, _) => (two(text.as_bytes(), 0)?, 0),
                (4, _) => (two(text.as_bytes(), 0)?, two(text.as_bytes(), 2)?),
                (5, Some(b':')) => (two(text.as_bytes(), 0)?, two(text.as_bytes(), 3)?),
                _ => return None,
            };
            let offset = 60_000 * (60 * hours + minutes);
            let known = hours < 24 && minutes < 60;
            known.then_some(Spelled::Moment(if *sign == b'+' {
                local - offset
            } else {
                local + offset
            }))
        }
        _ if matches!(rest, "UTC" | "GMT") => Some(Spelled::Moment(local)),
        _ => {
            let name = rest.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
            let zone = TimeZone::get(name.unwrap_or(rest)).ok()?;
            local_to_utc(&zone, local).map(Spelled::Moment)
        }
    }
}

/// Dates whose parts may be short, and whose order is not that of ISO 8601: `12/1/2010 8:26`, `1/12/10`,
/// `01-03-2024`, `01.03.2024 08:26:00 PM`, `2010/1/31`, `2024.3.1`.
fn dated(text: &str) -> Option<Spelled> {
    let (date, time) = text.split_once([' ', 'T', ',']).unwrap_or((text, ""));
    let mark = date.chars().find(|c| !c.is_ascii_digit()).filter(|c| "/-.".contains(*c))?;
    let mut numbers = date.split(mark);
    let mut next = || numbers.next().filter(|number| number.bytes().all(|b| b.is_ascii_digit()));
    let (first, second, third) = (next()?, next()?, next()?);
    if numbers.next().is_some() || second.len() > 2 {
        return None;
    }
    let (of_day, rest) = clock_of_halves(time.trim_ascii())?;
    if first.len() == 4 && third.len() <= 2 {
        let date = day(first.parse().ok()?, second.parse().ok()?, third.parse().ok()?)?;
        return zoned(rest, date + of_day);
    }
    let year = match (third.len(), third.parse::<i16>().ok()?) {
        // `24-03-01` is an old spelling that begins with the year.
        (2, _) if mark == '-' => return None,
        (2, year @ ..69) => 2000 + year,
        (2, year) => 1900 + year,
        (4, year) => year,
        _ => return None,
    };
    if first.len() > 2 {
        return None;
    }
    let (first, second) = (first.parse().ok()?, second.parse().ok()?);
    let date = Slashed { first, second, year, of_day };
    if mark == '.' {
        return zoned(rest, date.local(Order::DayFirst)?);
    }
    let real = date.local(Order::MonthFirst).or_else(|| date.local(Order::DayFirst));
    real.filter(|_| rest.is_empty()).map(|_| Spelled::Slashed(date))
}

/// A time of day with `AM` or `PM` or without, and what stands behind it; nothing is midnight.
fn clock_of_halves(text: &str) -> Option<(i64, &str)> {
    if text.is_empty() {
        return Some((0, ""));
    }
    let (of_day, used) = of_day(text.as_bytes())?;
    let rest = text.get(used..)?.trim_ascii();
    let (hour, noon) = (of_day / 3_600_000, 12 * 3_600_000);
    let after = |half: &str| {
        let (start, rest) = rest.split_at_checked(2)?;
        start.eq_ignore_ascii_case(half).then(|| rest.trim_ascii())
    };
    match (after("AM"), after("PM"), hour) {
        (None, None, _) => Some((of_day, rest)),
        (Some(rest), _, 12) => Some((of_day - noon, rest)),
        (Some(rest), _, 1..12) | (_, Some(rest), 12) => Some((of_day, rest)),
        (_, Some(rest), 1..12) => Some((of_day + noon, rest)),
        _ => None,
    }
}

/// `8:26`, `08:26:03`, `08:26:03.277`: milliseconds since midnight, and how many bytes say so.
fn of_day(text: &[u8]) -> Option<(i64, usize)> {
    let colon = text.iter().position(|&byte| byte == b':')?;
    let hour = match colon {
        1 => digit(text, 0)?,
        2 => two(text, 0)?,
        _ => return None,
    };
    let minute = two(text, colon + 1)?;
    let mut used = colon + 3;
    let (mut second, mut milliseconds) = (0, 0);
    if text.get(used) == Some(&b':') {
        second = two(text, used + 1)?;
        used += 3;
        if matches!(text.get(used), Some(b'.' | b',')) {
            let places = text[used + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            let place = |k| if k < places { digit(text, used + 1 + k).unwrap_or(0) } else { 0 };
            milliseconds = 100 * place(0) + 10 * place(1) + place(2);
            used += if (1..=9).contains(&places) { 1 + places } else { return None };
        }
    }
    let real = hour < 24 && minute < 60 && second < 60;
    real.then_some((1000 * (3600 * hour + 60 * minute + second) + milliseconds, used))
}

fn digit(text: &[u8], at: usize) -> Option<i64> {
    text.get(at).filter(|byte| byte.is_ascii_digit()).map(|byte| i64::from(byte - b'0'))
}

fn two(text: &[u8], at: usize) -> Option<i64> {
    Some(10 * digit(text, at)? + digit(text, at + 1)?)
}

/// Every other spelling of ISO 8601.
fn other_iso(text: &str) -> Option<Spelled> {
    // A sign before the tenth byte belongs to the date.
    let rest = text.get(10..)?;
    if text.ends_with(['Z', 'z']) || rest.contains(['+', '-']) {
        return Some(Spelled::Moment(text.parse::<Timestamp>().ok()?.as_millisecond()));
    }
    // What stands in brackets is a zone, and `jiff` would read past it.
    let local = text.parse::<DateTime>().ok().filter(|_| !rest.contains('['))?;
    Some(Spelled::Local(Offset::UTC.to_timestamp(local).ok()?.as_millisecond()))
}

/// Days from 1970-01-01 to the first of March of the year 0, in the calendar that was never changed.
const MARCH_0: i64 = 719_468;

/// Midnight of a day, in milliseconds since 1970; none where there is no such day.
pub(super) fn midnight(year: i16, month: i8, of_month: i8) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    if !(1..=length).contains(&of_month) || !(0..=9999).contains(&year) {
        return None;
    }
    // Years begin in March, so that a leap day is the last of its year.
    let (year, month) = (i64::from(year), i64::from(month));
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    Some(DAY * (days + (153 * month + 2) / 5 + i64::from(of_month) - 1 - MARCH_0))
}
