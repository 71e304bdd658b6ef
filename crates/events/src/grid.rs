//! What each user did, hour by hour or day by day: one row a cell of time, silence included.

use std::ops::Range;

use crate::timeline::Timelines;
use crate::{Error, Log, NONE};

const HOUR: i64 = 60 * 60 * 1000;

/// How time is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GridOptions {
    /// Length of a cell in milliseconds, at least 1.
    pub cell: i64,
    /// Minutes east of UTC of the clock by which cells begin.
    pub zone: i32,
    /// A grid of more counts (rows times kinds) is refused before memory is taken.
    pub max_counts: usize,
}

impl GridOptions {
    /// Cells of an hour, UTC.
    pub const HOURS: Self = Self { cell: HOUR, zone: 0, max_counts: 100_000_000 };
    /// Cells of a day, UTC.
    pub const DAYS: Self = Self { cell: 24 * HOUR, ..Self::HOURS };
}

/// Events counted by user and cell.
///
/// ```text
///     cell(t)       = ⌊(t + zone) / length⌋
///     counts[r, 0]  = events of the user in the cell of row r
///     counts[r, k]  = those of kind k − 1, as the log numbers kinds
///     silence[r]    = cells since the last one with an event; 0 where this one has some
/// ```
///
/// A user's rows go from the cell of the first event to that of the last, without a gap. A row
/// knows its own cell and those before it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grid {
    /// User of each line (session, where the log names no users), by number.
    pub users: Vec<u32>,
    /// Rows of line `l` are `offsets[l]..offsets[l + 1]`.
    pub offsets: Vec<usize>,
    /// Cell of each row, counted from 1970.
    pub cells: Vec<i64>,
    /// `[rows, width]`, row-major.
    pub counts: Vec<u32>,
    /// Counts a row: all events, then each kind.
    pub width: usize,
    /// How long it has been still.
    pub silence: Vec<u32>,
}

impl Grid {
    /// Counts the events of a log.
    ///
    /// # Errors
    ///
    /// [`Error::NoTimes`] where the log has none, [`Error::TooLarge`] where there would be more
    /// counts than allowed: one wrong time may stretch a user over a thousand years.
    pub fn new(log: &Log, options: &GridOptions) -> Result<Self, Error> {
        if log.events.time.is_empty() && !log.events.is_empty() {
            return Err(Error::NoTimes { what: "a grid of time".to_owned() });
        }
        let shift = i64::from(options.zone) * 60_000;
        let length = options.cell.max(1);
        let cell = |event: u32| log.time_or_zero(event).saturating_add(shift).div_euclid(length);
        let lines = Timelines::of_users(log);
        let ends = |line: &[u32]| (cell(line[0]), cell(line[line.len() - 1]));

        let rows =
            lines.iter().map(ends).map(|(first, last)| i128::from(last) - i128::from(first) + 1);
        let (rows, width) = (rows.sum::<i128>(), 1 + log.kinds.len());
        if rows * width as i128 > options.max_counts as i128 {
            let (what, max) = ("a grid of time", options.max_counts as u64);
            let found = u64::try_from(rows * width as i128).unwrap_or(u64::MAX);
            return Err(Error::TooLarge { what, found, max });
        }
        let rows = rows as usize;
        let mut grid = Self {
            users: Vec::new(),
            offsets: vec![0],
            cells: Vec::with_capacity(rows),
            counts: vec![0; rows * width],
            width,
            silence: Vec::with_capacity(rows),
        };
        let actors =
            if log.events.user.is_empty() { &log.events.session } else { &log.events.user };
        for line in lines.iter() {
            let (first, last) = ends(line);
            let start = grid.cells.len();
            grid.users.push(actors[line[0] as usize]);
            grid.cells.extend(first..=last);
            for &event in line {
                let row = start + (cell(event) - first) as usize;
                let counts = &mut grid.counts[row * width..][..width];
                counts[0] += 1;
                let kind = log.events.kind.get(event as usize).copied().unwrap_or(NONE);
                if let Some(count) = counts[1..].get_mut(kind as usize) {
                    *count += 1;
                }
            }
            let mut still = 0u32;
            for row in start..grid.cells.len() {
                still = if grid.counts[row * width] > 0 { 0 } else { still.saturating_add(1) };
                grid.silence.push(still);
            }
            grid.offsets.push(grid.cells.len());
        }
        Ok(grid)
    }

    /// Number of lines, one a user.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// Rows of a line.
    pub fn rows(&self, line: usize) -> Range<usize> {
        self.offsets[line]..self.offsets[line + 1]
    }

    /// Counts of a row.
    pub fn counts_at(&self, row: usize) -> &[u32] {
        &self.counts[row * self.width..][..self.width]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Events;

    /// User, hour, kind.
    fn log(events: &[(u32, i64, u32)]) -> Log {
        let events = Events {
            item: vec![0; events.len()],
            user: events.iter().map(|event| event.0).collect(),
            time: events.iter().map(|event| event.1 * HOUR).collect(),
            kind: events.iter().map(|event| event.2).collect(),
            ..Events::default()
        };
        Log { events, kinds: ["view", "buy"].into_iter().collect(), ..Log::default() }
    }

    #[test]
    fn every_cell_between_the_first_event_and_the_last_has_a_row() {
        let log = log(&[(1, 5, 0), (0, 9, 0), (1, 5, 1), (1, 8, NONE), (1, 9, 0), (0, 9, 0)]);
        let grid = Grid::new(&log, &GridOptions::HOURS).unwrap();
        assert_eq!(
            (grid.len(), &grid.users[..], &grid.offsets[..]),
            (2, &[0, 1][..], &[0, 1, 6][..])
        );
        assert_eq!(grid.cells, [9, 5, 6, 7, 8, 9]);
        let counts: Vec<_> = (0..6).map(|row| grid.counts_at(row)).collect();
        let expected = [[2, 2, 0], [2, 1, 1], [0, 0, 0], [0, 0, 0], [1, 0, 0], [1, 1, 0]];
        assert_eq!(counts, expected);
        assert_eq!(grid.silence, [0, 0, 1, 2, 0, 0]);
        assert_eq!(grid.rows(1), 1..6);
        let days = Grid::new(&log, &GridOptions::DAYS).unwrap();
        assert_eq!((&days.cells[..], days.counts_at(1)), (&[0, 0][..], &[4, 2, 1][..]));
    }

    #[test]
    fn cells_begin_by_the_clock_of_the_zone() {
        let log = log(&[(0, -1, 0), (0, 23, 0)]);
        let cells =
            |zone| Grid::new(&log, &GridOptions { zone, ..GridOptions::DAYS }).unwrap().cells;
        assert_eq!((cells(0), cells(60), cells(-60)), (vec![-1, 0], vec![0, 1], vec![-1, 0]));
    }

    #[test]
    fn later_events_change_no_earlier_row() {
        let events = [(0, 1, 0), (0, 4, 1), (0, 6, 0), (0, 9, 0)];
        let short = Grid::new(&log(&events[..3]), &GridOptions::HOURS).unwrap();
        let long = Grid::new(&log(&events), &GridOptions::HOURS).unwrap();
        assert_eq!(long.silence[..6], short.silence);
        assert_eq!(long.counts[..6 * 3], short.counts);
    }

    #[test]
    fn a_grid_that_no_memory_holds_is_refused() {
        let mut wide = log(&[(0, 0, 0), (0, 1, 0)]);
        wide.events.time = vec![i64::MIN, i64::MAX];
        let second = GridOptions { cell: 0, ..GridOptions::HOURS };
        for options in [GridOptions::HOURS, GridOptions::DAYS, second] {
            let error = Grid::new(&wide, &options).unwrap_err();
            assert!(matches!(error, Error::TooLarge { .. }), "{error}");
        }
        let few = GridOptions { max_counts: 5, ..GridOptions::HOURS };
        assert!(
            Grid::new(&log(&[(0, 0, 0), (0, 1, 0)]), &few).is_err(),
            "two rows of three counts"
        );
        assert!(Grid::new(&Log::default(), &GridOptions::HOURS).unwrap().is_empty());
        wide.events.time.clear();
        let error = Grid::new(&wide, &GridOptions::HOURS).unwrap_err();
        assert!(matches!(error, Error::NoTimes { .. }), "{error}");
    }
}
