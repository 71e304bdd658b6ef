//! The times of one file: its zone, the order of day and month in its dates, the year that they may
//! lack.

use std::path::{Path, PathBuf};

use super::ReadOptions;
use super::builder::Builder;
use super::record::{Record, Records};
use super::source::{Lines, Source};
use crate::Zone;
use crate::time::{Order, Slashed, Spelled, Unit, day, spelled};

/// Reads the times of a file, and remembers what it had to assume.
pub(super) struct Clock {
    zone: Zone,
    /// The year that was asked for.
    year: Option<i16>,
    order: Option<Order>,
    look: Look,
    assumed: Assumed,
}

/// Where to look for a date that tells the order of day and month.
pub(super) struct Look {
    path: PathBuf,
    /// The beginning of the file, where it cannot be opened again.
    head: Vec<u8>,
    delimiter: u8,
    /// The column of the time.
    place: Option<usize>,
    /// The order in the files before, where they have told.
    before: Option<Order>,
}

/// What nobody has said.
#[derive(Default)]
struct Assumed {
    month_first: bool,
    as_before: bool,
    year: Option<i16>,
    microseconds: bool,
    nanoseconds: bool,
    /// The least and the largest number of seconds, and how the first of them was spelled.
    seconds: Option<(i64, i64, String)>,
}

/// Numbers that a spreadsheet has for the days from 1970 to 2099, in milliseconds if they are taken for
/// seconds: the evening of the first of January 1970.
const DAY_NUMBERS: std::ops::Range<i64> = 25_569_000..73_051_000;

impl Clock {
    /// The clock of a file whose beginning is `source`.
    pub(super) fn new(
        path: &Path,
        source: &Source,
        delimiter: u8,
        options: &ReadOptions,
        log: &Builder,
    ) -> Self {
        let stdin = path.as_os_str() == "-";
        let head = if stdin { source.head().to_vec() } else { Vec::new() };
        let (path, before) = (path.to_owned(), log.order);
        Self {
            zone: options.zone.clone(),
            year: options.year,
            order: None,
            look: Look { path, head, delimiter, place: None, before },
            assumed: Assumed::default(),
        }
    }

    /// Says which column has the times.
    pub(super) fn set_place(&mut self, place: Option<usize>) {
        self.look.place = place;
    }

    /// A time in milliseconds since 1970; none where the text is no time of this file.
    pub(super) fn read(&mut self, text: &str) -> Option<i64> {
        match spelled(text)? {
            Spelled::Moment(time) | Spelled::Unix(time, Unit::Milliseconds) => Some(time),
            Spelled::Unix(time, Unit::Seconds) => {
                let seen = &mut self.assumed.seconds;
                let (least, most, _) = seen.get_or_insert_with(|| (time, time, text.to_owned()));
                (*least, *most) = (time.min(*least), time.max(*most));
                Some(time)
            }
            Spelled::Local(local) => self.zone.moment(local),
            Spelled::Unix(time, unit) => {
                self.assumed.microseconds |= unit == Unit::Microseconds;
                self.assumed.nanoseconds |= unit == Unit::Nanoseconds;
                Some(time)
            }
            Spelled::Slashed(date) => {
                let order = self.order_for(date);
                self.zone.moment(date.local(order)?)
            }
        }
    }

    /// A time that is month and day, `829` or `6月4日` in whatever encoding; none where it is none.
    /// The year is the one that was asked for, or `usual`.
    pub(super) fn month_day(&mut self, text: &[u8], usual: i16) -> Option<i64> {
        let mut numbers = text
            .split(|byte| !byte.is_ascii_digit())
            .filter(|number| !number.is_empty())
            .map(|number| std::str::from_utf8(number).ok()?.parse::<u16>().ok());
        let (month, of_month) = match (numbers.next()?, numbers.next(), numbers.next()) {
            (Some(both), None, None) => (both / 100, both % 100),
            (Some(month), Some(Some(of_month)), None) => (month, of_month),
            // A number too short for a day of its own is no other time either.
            _ if text.len() < 8 => return None,
            _ => return self.read(std::str::from_utf8(text).ok()?),
        };
        let year = self.year.unwrap_or(usual);
        let midnight = day(year, i8::try_from(month).ok()?, i8::try_from(of_month).ok()?)?;
        if self.year.is_none() {
            self.assumed.year = Some(usual);
        }
        self.zone.moment(midnight)
    }

    /// What a clock without a zone has shown, in milliseconds since 1970.
    pub(super) fn local(&self, local: i64) -> Option<i64> {
        self.zone.moment(local)
    }

    /// Tells the log what this file's times had to be taken for.
    pub(super) fn finish(self, file: &str, log: &mut Builder) {
        let assumed = self.assumed;
        if assumed.month_first {
            log.note(format!(
                "{file}: no date tells whether 1/2 is in January or in February: the month is taken \
                 to stand first"
            ));
        } else if assumed.as_before {
            log.note(format!(
                "{file}: no date tells the order of day and month: taken as in the file before"
            ));
        } else {
            log.order = self.order.or(log.order);
        }
        if let Some(year) = assumed.year {
            log.note(format!("dates have no year: {year} is assumed; --year says otherwise"));
        }
        if let Some((least, most, first)) = assumed.seconds
            && DAY_NUMBERS.contains(&least)
            && DAY_NUMBERS.contains(&most)
        {
            log.note(format!(
                "{file}: times such as {first} are taken for seconds since 1970; a spreadsheet's day \
                 numbers have to be turned into dates first"
            ));
        }
        for (seen, unit) in
            [(assumed.microseconds, "microseconds"), (assumed.nanoseconds, "nanoseconds")]
        {
            if seen {
                log.note(format!("times are taken for {unit} since 1970, by their magnitude"));
            }
        }
    }

    /// The order of day and month, at the first date that needs it.
    fn order_for(&mut self, date: Slashed) -> Order {
        if let Some(order) = self.order {
            return order;
        }
        if date.same_in_both() {
            return Order::MonthFirst;
        }
        let order = date.told().or_else(|| self.look.told()).unwrap_or_else(|| {
            self.assumed.as_before = self.look.before.is_some();
            self.assumed.month_first = self.look.before.is_none();
            self.look.before.unwrap_or(Order::MonthFirst)
        });
        *self.order.insert(order)
    }
}

impl Look {
    /// What the first date that tells has to say. A file is read from its beginning once more, up to
    /// that date; of a pipe there is only the beginning. An error is met again by whoever reads the
    /// rows.
    fn told(&self) -> Option<Order> {
        let place = self.place?;
        let lines = if self.path.as_os_str() == "-" {
            Lines::of_text(self.head.clone())
        } else {
            Source::open(&self.path).ok()?.lines().ok()?
        };
        let mut records = Records::new(lines, self.delimiter);
        while let Some(record) = records.next().ok()? {
            let Record::Fields(_, fields) = record else { continue };
            if place >= fields.len() {
                continue;
            }
            let text = std::str::from_utf8(fields.get(place)).unwrap_or("");
            if let Some(Spelled::Slashed(date)) = spelled(text)
                && let Some(order) = date.told()
            {
                return Some(order);
            }
        }
        None
    }
}
