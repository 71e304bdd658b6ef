//! What was sold in windows of a log.

use events::{Buys, Log};

const DAY: i64 = 24 * 60 * 60 * 1000;
const WEEK: i64 = 7 * DAY;
/// A year in whole weeks, so that weekdays fall on weekdays.
const YEAR: i64 = 52 * WEEK;
/// Windows that a mean is taken of, at most.
const MOST: usize = 8;

/// How often each item is met, and bought, from `from` on and before `until`.
pub fn of_window(log: &Log, buys: &Buys, from: i64, until: i64) -> [Vec<f64>; 2] {
    let mut counts = [vec![0.0; log.items.len()], vec![0.0; log.items.len()]];
    for event in 0..log.events.len() as u32 {
        let Some(time) = log.time(event) else { continue };
        if time >= from && time < until {
            let item = log.events.item[event as usize] as usize;
            counts[0][item] += 1.0;
            if buys.is_purchase(log, event) {
                counts[1][item] += 1.0;
            }
        }
    }
    counts
}

/// Where the earlier windows begin that are like the one from `at` on: the same weeks of earlier years where
/// the log, which begins with `first`, holds them; otherwise the windows right before, on the same weekdays.
pub fn like(first: i64, at: i64, horizon: i64) -> Vec<i64> {
    // Less than half a percent of a window may lie before the log.
    let seen = |&start: &i64| start >= first - horizon / 200;
    let years = (1..=MOST as i64).map(|k| at - k * YEAR).filter(|start| start + horizon <= at);
    let years: Vec<i64> = years.take_while(seen).collect();
    if !years.is_empty() {
        return years;
    }
    let step = match horizon {
        short if short <= WEEK => WEEK,
        long => (long + WEEK - 1) / WEEK * WEEK,
    };
    let before: Vec<i64> = (1..=MOST as i64).map(|k| at - k * step).take_while(seen).collect();
    match before.is_empty() {
        // No whole week, perhaps, but a whole window.
        true => std::iter::once(at - horizon).filter(seen).collect(),
        false => before,
    }
}

/// The mean of the purchases of each item in some windows.
pub fn mean(log: &Log, buys: &Buys, starts: &[i64], horizon: i64) -> Vec<f64> {
    let mut mean = vec![0.0; log.items.len()];
    for &start in starts {
        let [_, sold] = of_window(log, buys, start, start + horizon);
        mean.iter_mut().zip(sold).for_each(|(mean, sold)| *mean += sold / starts.len() as f64);
    }
    mean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_like_in_the_year_or_in_the_week() {
        let days = |starts: Vec<i64>| starts.iter().map(|start| start / DAY).collect::<Vec<_>>();
        assert_eq!(days(like(0, 400 * DAY, 30 * DAY)), [36]);
        assert_eq!(days(like(0, 800 * DAY, 30 * DAY)), [436, 72]);
        assert_eq!(days(like(0, 100 * DAY, 30 * DAY)), [65, 30]);
        assert_eq!(days(like(0, 23 * DAY, 3 * DAY)), [16, 9, 2]);
        assert_eq!(days(like(0, 30 * DAY, 30 * DAY)), [0]);
        assert_eq!(days(like(0, 20 * DAY, 30 * DAY)), [0; 0]);
    }
}
