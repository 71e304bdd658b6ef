//! The moments of a log after which a whole horizon can be seen.

use crate::{Error, Zone};

const DAY: i64 = 24 * 60 * 60 * 1000;

/// A window that ends so small a part of itself after the last event counts as seen whole.
const UNSEEN: i64 = 100;

/// Moments at which a log is cut into what is known and what came true, rising.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cuts {
    /// Milliseconds since 1970.
    pub at: Vec<i64>,
    /// How far one looks ahead, in milliseconds.
    pub horizon: i64,
}

impl Cuts {
    /// As many moments as fit between two times, at most `most`, the last being the latest after which
    /// the whole horizon was seen, the others each `stride` before the next. There is an event before
    /// each. Where the horizon is of a day or more, they are midnights of the zone.
    ///
    /// # Errors
    ///
    /// [`Error::ShortLog`] where none fits.
    pub fn fitting(
        (first, last): (i64, i64),
        horizon: i64,
        stride: i64,
        most: usize,
        zone: &Zone,
    ) -> Result<Self, Error> {
        // So far before a moment by the clock there, which goes forward and back once a year; then back to
        // midnight.
        let earlier = |at: i64, span: i64| {
            if horizon < DAY {
                return at.saturating_sub(span);
            }
            let local = zone.clock(at).saturating_sub(span);
            let midnight = local.saturating_sub(local.rem_euclid(DAY));
            zone.moment(midnight).unwrap_or(midnight)
        };
        let seen = last.saturating_add(1).saturating_add(horizon / UNSEEN);
        let mut at = Vec::new();
        let mut next = earlier(seen.saturating_sub(horizon), 0);
        while next > first && at.len() < most {
            at.push(next);
            next = earlier(next, stride.max(1));
        }
        at.reverse();
        if at.is_empty() {
            return Err(Error::ShortLog { first, last, horizon });
        }
        Ok(Self { at, horizon })
    }

    /// Whether what comes after a moment was seen whole in a log that ends with `last`.
    pub fn is_seen(&self, at: i64, last: i64) -> bool {
        let end = at.saturating_add(self.horizon);
        end <= last.saturating_add(1).saturating_add(self.horizon / UNSEEN)
    }

    /// The moments before which nothing of what comes after `at` is asked: those whose horizon ends with
    /// it or before.
    pub fn before(&self, at: i64) -> impl Iterator<Item = i64> + '_ {
        self.at.iter().copied().filter(move |&cut| cut.saturating_add(self.horizon) <= at)
    }
}

/// A span of time as flags write it: `7d`, `12h`, `4w`, `30m`, `90s`; in milliseconds.
///
/// # Errors
///
/// [`Error::Flag`] where it is none, or not above 0.
pub fn parse_span(flag: &'static str, text: &str) -> Result<i64, Error> {
    let refuse = || Error::Flag {
        flag,
        value: text.to_owned(),
        reason: "expected a span of time such as 30m, 12h, 7d or 4w".to_owned(),
    };
    let unit = match text.chars().last() {
        Some('s') => 1000,
        Some('m') => 60 * 1000,
        Some('h') => DAY / 24,
        Some('d') => DAY,
        Some('w') => 7 * DAY,
        _ => return Err(refuse()),
    };
    let number: f64 = text[..text.len() - 1].trim().parse().map_err(|_| refuse())?;
    let span = number * unit as f64;
    // A hundred years: a sum with any time of a log stays far from the ends of i64.
    if span >= 1.0 && span <= 36_525.0 * DAY as f64 { Ok(span as i64) } else { Err(refuse()) }
}
