//! When things happen: events over the whole span, by weekday and hour, and how finely the clock
//! ticks.
//!
//! Events are counted once, in quarters of an hour, which is what every zone's offset is made of; all
//! else is made of these few cells.

use rustc_hash::FxHashMap;
use serde::{Serialize, Serializer};

use crate::time::format_time;
use crate::{Log, Zone};

const QUARTER: i64 = 15 * 60 * 1000;
const HOUR: i64 = 4;
const DAY: i64 = 24 * HOUR;
const WEEK: i64 = 7 * DAY;
/// Quarters from 1970-01-01, a Thursday, to the Monday after.
const MONDAY: i64 = 4 * DAY;
/// How many bars a picture can have.
const HOURS: i64 = 240;
const DAYS: i64 = 400;
const WEEKS: i64 = 520;

/// The finest part of a time that a log writes down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tick {
    /// Below a second.
    Millisecond,
    /// Seconds.
    Second,
    /// Minutes.
    Minute,
    /// Hours.
    Hour,
    /// Days.
    Day,
}

impl Tick {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Millisecond => "millisecond",
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }
}

/// When the events of a log happened, by the clock of a zone.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Calendar {
    /// How finely the clock ticks.
    pub tick: Tick,
    /// How long a bin is, in words: `hour`, `day`, `week`, `4 weeks`.
    pub unit: String,
    /// The same in seconds.
    pub unit_s: i64,
    /// What the clock showed when the first bin began, in milliseconds as if it stood in UTC.
    #[serde(serialize_with = "clock")]
    pub start: i64,
    /// Events by bin.
    pub bins: Vec<u64>,
    /// Events before the first bin, where a few strange times would stretch the picture: at most one
    /// of a thousand.
    pub before: u64,
    /// Events after the last, likewise.
    pub after: u64,
    /// Events by weekday, Monday first.
    pub weekdays: [u64; 7],
    /// The same by hour of the day; none where the clock ticks in days.
    pub hours: Option<[[u64; 24]; 7]>,
    /// The longest time without any event between two of the bins, where it is a day or more.
    pub silence: Option<Silence>,
}

/// A time without events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Silence {
    /// What the clock showed when it began, to a quarter of an hour.
    #[serde(serialize_with = "clock")]
    pub from: i64,
    /// And when it ended.
    #[serde(serialize_with = "clock")]
    pub until: i64,
}

/// Events in a quarter of an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cell {
    /// Quarters since 1970.
    utc: i64,
    /// The same as the clock showed it.
    clock: i64,
    events: u64,
}

/// The quarters in which something happened, in the order of the clock.
#[derive(Debug, Clone, Default)]
pub(super) struct Cells {
    cells: Vec<Cell>,
    finer: Option<Tick>,
}

/// Bins of equal length by the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ruler {
    /// Quarters a bin.
    pub length: i64,
    /// The first bin, counted from the Monday that all lengths begin with.
    pub first: i64,
    /// How many there are.
    pub bins: usize,
}

impl Ruler {
    fn over(length: i64, from: i64, to: i64) -> Self {
        let first = place(from, length);
        Self { length, first, bins: (place(to, length) - first + 1) as usize }
    }

    /// What the clock shows when the first bin begins, milliseconds.
    pub(super) fn start(&self) -> i64 {
        (self.first.saturating_mul(self.length) + MONDAY).saturating_mul(QUARTER)
    }

    /// The length of a bin in words.
    pub(super) fn unit(&self) -> String {
        match self.length {
            HOUR => "hour".to_owned(),
            DAY => "day".to_owned(),
            WEEK => "week".to_owned(),
            length => format!("{} weeks", length / WEEK),
        }
    }

    fn bin(&self, clock: i64) -> Option<usize> {
        let bin = usize::try_from(place(clock, self.length) - self.first).ok()?;
        (bin < self.bins).then_some(bin)
    }
}

fn place(clock: i64, length: i64) -> i64 {
    (clock - MONDAY).div_euclid(length)
}

impl Cells {
    /// Counts the events of a log.
    pub(super) fn of(log: &Log, zone: &Zone) -> Self {
        let mut counts = FxHashMap::<i64, u64>::default();
        let (mut last, mut run) = (i64::MIN, 0);
        let mut finer = None;
        for &time in &log.events.time {
            let within = time.rem_euclid(QUARTER);
            let tick = match within {
                0 => None,
                ms if ms % 1000 != 0 => Some(Tick::Millisecond),
                ms if ms % 60_000 != 0 => Some(Tick::Second),
                _ => Some(Tick::Minute),
            };
            finer = match (finer, tick) {
                (Some(a), Some(b)) => Some(std::cmp::min(a, b)),
                (a, b) => a.or(b),
            };
            let quarter = time.div_euclid(QUARTER);
            if quarter != last {
                *counts.entry(last).or_default() += run;
                (last, run) = (quarter, 0);
            }
            run += 1;
        }
        *counts.entry(last).or_default() += run;
        let mut cells: Vec<Cell> = counts
            .into_iter()
            .filter(|&(_, events)| events > 0)
            .map(|(utc, events)| {
                let clock = zone.clock(utc.saturating_mul(QUARTER)).div_euclid(QUARTER);
                Cell { utc, clock, events }
            })
            .collect();
        cells.sort_unstable_by_key(|cell| (cell.clock, cell.utc));
        Self { cells, finer }
    }

    /// How finely the clock ticks.
    pub(super) fn tick(&self) -> Tick {
        let all = |length: i64| self.cells.iter().all(|cell| cell.clock.rem_euclid(length) == 0);
        match self.finer {
            Some(finer) => finer,
            None if all(DAY) => Tick::Day,
            None if all(HOUR) => Tick::Hour,
            None => Tick::Minute,
        }
    }

    /// The first and the last quarter of a picture: those of all events, unless a few at the ends
    /// would take up more than half of it.
    fn shown(&self) -> Option<(i64, i64)> {
        let (first, last) = (self.cells.first()?.clock, self.cells.last()?.clock);
        let total: u64 = self.cells.iter().map(|cell| cell.events).sum();
        let tail = (total / 1000).max(u64::from(total >= 50));
        let bulk = |mut cells: &mut dyn Iterator<Item = &Cell>| {
            let mut passed = 0;
            (&mut cells).find_map(|cell| {
                passed += cell.events;
                (passed > tail).then_some(cell.clock)
            })
        };
        let from = bulk(&mut self.cells.iter()).unwrap_or(first);
        let to = bulk(&mut self.cells.iter().rev()).unwrap_or(last).max(from);
        let stretched = last.saturating_sub(first) > 2 * (to - from) + WEEK;
        Some(if stretched { (from, to) } else { (first, last) })
    }

    /// Where the bulk of a log begins and ends, where days at its ends are nearly empty: together at
    /// most one event of a thousand, a day less than a tenth of what a day has in the middle. Of the
    /// first and the last day only the part counts that the log has. Moments in milliseconds since
    /// 1970, both inside.
    pub(super) fn thin_ends(&self) -> (Option<i64>, Option<i64>) {
        let day = |cell: &Cell| cell.clock.div_euclid(DAY);
        let days: Vec<(&[Cell], u64)> = (self.cells.chunk_by(|a, b| day(a) == day(b)))
            .map(|cells| (cells, cells.iter().map(|cell| cell.events).sum()))
            .collect();
        let mut sizes: Vec<u64> = days.iter().map(|day| day.1).collect();
        let total: u64 = sizes.iter().sum();
        sizes.sort_unstable();
        let usual = sizes.get(sizes.len() / 2).copied().unwrap_or(0);
        let thin = |days: &mut dyn Iterator<Item = &(&[Cell], u64)>, is_first: bool| {
            let mut passed = 0;
            let thin = days.enumerate().take_while(|&(k, &(cells, events))| {
                passed += events;
                let edge = if is_first { cells.first() } else { cells.last() };
                let edge = edge.map_or(0, |cell| cell.clock.rem_euclid(DAY));
                let there = match (k, is_first) {
                    (0, true) => DAY - edge,
                    (0, false) => edge + 1,
                    _ => DAY,
                };
                passed <= total / 1000 && 10 * DAY as u64 * events < usual * there as u64
            });
            thin.count()
        };
        let before = thin(&mut days.iter(), true);
        let after = thin(&mut days.iter().rev(), false);
        // Three days at least are in the middle.
        if days.len() < before + after + 3 {
            return (None, None);
        }
        let (first, last) = (days[before].0, days[days.len() - 1 - after].0);
        let start = |cell: &Cell| cell.utc.saturating_mul(QUARTER);
        (
            (before > 0).then(|| first.iter().map(start).min()).flatten(),
            (after > 0).then(|| last.iter().map(start).max()).flatten().map(|at| at + QUARTER - 1),
        )
    }

    /// Bins for a picture of all events, none shorter than `least` quarters.
    fn ruler(&self, least: i64) -> Option<Ruler> {
        let (from, to) = self.shown()?;
        for (length, most) in [(HOUR, HOURS), (DAY, DAYS), (WEEK, WEEKS)] {
            let ruler = Ruler::over(length, from, to);
            if length >= least && ruler.bins as i64 <= most {
                return Some(ruler);
            }
        }
        let mut length = 4 * WEEK;
        while place(to, length) - place(from, length) >= WEEKS {
            length *= 13;
        }
        Some(Ruler::over(length, from, to))
    }

    /// Bins of a day, or longer ones where that would be too many.
    pub(super) fn days(&self) -> Option<Ruler> {
        self.ruler(DAY)
    }

    /// The bin of each event; a large number where it lies outside.
    pub(super) fn bin_of_events(&self, log: &Log, ruler: &Ruler) -> Vec<u32> {
        let bins: FxHashMap<i64, u32> = self
            .cells
            .iter()
            .filter_map(|cell| {
                let early = cell.clock < ruler.start().div_euclid(QUARTER);
                let bin = if early { 0 } else { ruler.bin(cell.clock)? };
                Some((cell.utc, bin as u32))
            })
            .collect();
        let (mut last, mut bin) = (i64::MIN, u32::MAX);
        let mut bin_of = |&time: &i64| {
            let quarter = time.div_euclid(QUARTER);
            if quarter != last {
                (last, bin) = (quarter, bins.get(&quarter).copied().unwrap_or(u32::MAX));
            }
            bin
        };
        log.events.time.iter().map(&mut bin_of).collect()
    }

    /// When things happened; none where the log has no times.
    pub(super) fn calendar(&self) -> Option<Calendar> {
        let tick = self.tick();
        let ruler = self.ruler(if tick == Tick::Day { DAY } else { HOUR })?;
        let mut bins = vec![0u64; ruler.bins];
        let (mut before, mut after) = (0, 0);
        let mut hours = [[0u64; 24]; 7];
        for cell in &self.cells {
            match ruler.bin(cell.clock) {
                Some(bin) => bins[bin] += cell.events,
                None if place(cell.clock, ruler.length) < ruler.first => before += cell.events,
                None => after += cell.events,
            }
            let weekday = (cell.clock - MONDAY).div_euclid(DAY).rem_euclid(7) as usize;
            hours[weekday][(cell.clock.rem_euclid(DAY) / HOUR) as usize] += cell.events;
        }
        let shown: Vec<i64> = (self.cells.iter().map(|cell| cell.clock))
            .filter(|&clock| ruler.bin(clock).is_some())
            .collect();
        let silence = shown.windows(2).max_by_key(|pair| pair[1] - pair[0]);
        let silence = silence.filter(|pair| pair[1] - pair[0] > DAY).map(|pair| Silence {
            from: (pair[0] + if tick == Tick::Day { DAY } else { 1 }) * QUARTER,
            until: pair[1] * QUARTER,
        });
        Some(Calendar {
            tick,
            unit: ruler.unit(),
            unit_s: ruler.length * QUARTER / 1000,
            start: ruler.start(),
            bins,
            before,
            after,
            weekdays: hours.map(|hours| hours.iter().sum()),
            hours: (tick < Tick::Day).then_some(hours),
            silence: silence.filter(|silence| silence.until > silence.from),
        })
    }
}

/// What a clock has shown, ISO 8601 without a zone.
pub(super) fn clock<S: Serializer>(clock: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(format_time(*clock).trim_end_matches('Z'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Events;
    use crate::time::parse_time;

    fn log(times: &[&str]) -> Log {
        let time: Vec<i64> = times.iter().map(|time| parse_time(time).unwrap()).collect();
        Log {
            events: Events { item: vec![0; time.len()], time, ..Events::default() },
            ..Log::default()
        }
    }

    fn calendar(times: &[&str], zone: &str) -> Calendar {
        Cells::of(&log(times), &zone.parse().unwrap()).calendar().unwrap()
    }

    #[test]
    fn a_short_log_is_shown_by_hour_and_a_long_one_by_day_or_week() {
        // 2024-01-01 is a Monday.
        let hours = calendar(
            &["2024-01-01T10:59:59Z", "2024-01-01T12:00:00Z", "2024-01-01T12:59:00Z"],
            "UTC",
        );
        assert_eq!((&hours.unit[..], &hours.bins[..]), ("hour", &[1, 0, 2][..]));
        assert_eq!(format_time(hours.start), "2024-01-01T10:00:00Z");
        assert_eq!((hours.weekdays[0], hours.hours.unwrap()[0][12]), (3, 2));
        assert_eq!((hours.tick, hours.silence), (Tick::Second, None));

        let days = calendar(&["2024-01-01T10:30", "2024-01-20T00:10", "2024-01-20T23:50"], "UTC");
        assert_eq!((&days.unit[..], days.bins.len(), days.bins[19]), ("day", 20, 2));
        assert_eq!(days.tick, Tick::Minute);
        let silence = days.silence.unwrap();
        assert_eq!(format_time(silence.from), "2024-01-01T10:45:00Z");
        assert_eq!(format_time(silence.until), "2024-01-20T00:00:00Z");

        let weeks = calendar(&["2024-01-03", "2025-12-31"], "UTC");
        assert_eq!((&weeks.unit[..], weeks.bins.len()), ("week", 105));
        assert_eq!(format_time(weeks.start), "2024-01-01T00:00:00Z");
        assert_eq!((weeks.tick, weeks.hours), (Tick::Day, None));
        assert_eq!(calendar(&["1024-01-03", "2025-12-31"], "UTC").unit, "676 weeks");
    }

    #[test]
    fn the_clock_is_that_of_the_zone() {
        let warsaw = calendar(&["2024-07-07T22:30:00Z"], "Europe/Warsaw");
        // Half past midnight on a Monday.
        assert_eq!(warsaw.hours.unwrap()[0][0], 1);
        let india = calendar(&["2024-01-01T18:30:00Z"], "Asia/Kolkata");
        assert_eq!((india.tick, india.weekdays[1]), (Tick::Day, 1));
    }

    #[test]
    fn a_few_strange_times_do_not_stretch_the_picture() {
        let mut log = log(&["1970-01-02", "2090-01-01"]);
        let start = parse_time("2024-01-01").unwrap();
        log.events.time.extend((0..2000).map(|k| start + k * 3_600_000 / 10));
        let calendar = Cells::of(&log, &Zone::default()).calendar().unwrap();
        assert_eq!((calendar.before, calendar.after), (1, 1));
        assert_eq!((&calendar.unit[..], calendar.bins.iter().sum::<u64>()), ("hour", 2000));
    }

    #[test]
    fn nearly_empty_days_at_the_ends_are_not_the_bulk() {
        let start = parse_time("2024-01-01T00:00:00Z").unwrap();
        let mut log = log(&["2023-12-28T12:00:00Z"]);
        log.events.time.extend((0..2500).map(|k| start + k * 60_000));
        let ends = |log: &Log| Cells::of(log, &Zone::default()).thin_ends();
        assert_eq!(ends(&log), (None, None), "the bulk has less than three days");
        log.events.time.extend((2500..5000).map(|k| start + k * 60_000));
        assert_eq!(ends(&log), (Some(start), None));
        // A log that begins ten minutes before midnight has no strays.
        let mut late = log.clone();
        late.events.time[0] = start - 600_000;
        late.events.time.extend((0..4).map(|k| start - k * 60_000 - 1));
        assert_eq!(ends(&late), (None, None));
        log.events.time.push(start + 30 * 86_400_000);
        let (from, until) = ends(&log);
        assert_eq!(
            (from, until.map(format_time)),
            (Some(start), Some("2024-01-04T11:29:59.999Z".to_owned()))
        );
        log.events.time.extend([start - 86_400_000; 400]);
        assert_eq!(ends(&log).0, Some(start - 86_400_000), "a day of many events is no stray");
    }

    #[test]
    fn any_number_can_be_a_time() {
        assert!(Cells::of(&Log::default(), &Zone::default()).calendar().is_none());
        let mut log = log(&["2024-01-01"]);
        log.events.time.extend([i64::MIN, i64::MAX, 0]);
        for zone in ["UTC", "Europe/Warsaw"] {
            let cells = Cells::of(&log, &zone.parse().unwrap());
            let calendar = cells.calendar().unwrap();
            assert!(calendar.bins.len() <= WEEKS as usize, "{}", calendar.bins.len());
            let bins = cells.bin_of_events(&log, &cells.days().unwrap());
            assert!(bins.iter().all(|&bin| (bin as usize) < calendar.bins.len()));
        }
    }

    #[test]
    fn each_event_finds_its_bin() {
        let log = log(&["2024-01-03", "2024-01-01", "2024-01-01T23:59:59Z"]);
        let cells = Cells::of(&log, &Zone::default());
        assert_eq!(cells.bin_of_events(&log, &cells.days().unwrap()), [2, 0, 0]);
        // Strays of the evening before are as early as those of another year, whatever the zone.
        let mut times = vec!["1971-01-01", "2024-01-01T03:00:00Z"];
        times.extend(["2024-01-02T12:00:00Z", "2024-01-03T12:00:00Z"].repeat(2000));
        let log = self::log(&times);
        for zone in ["UTC", "America/Los_Angeles"] {
            let cells = Cells::of(&log, &zone.parse().unwrap());
            assert_eq!(cells.bin_of_events(&log, &cells.days().unwrap())[..2], [0, 0], "{zone}");
        }
    }
}
