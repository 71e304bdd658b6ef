//! The nearest known value before or after an event, along the events of its user or item.

use crate::timeline::Timelines;
use crate::{Log, NONE};

/// The events of each user (of each session, where the log names no users) in time order.
pub(super) fn users(log: &Log) -> Timelines {
    Timelines::of_users(log)
}

/// The events of each item in time order.
pub(super) fn items(log: &Log) -> Timelines {
    Timelines::new(log, &log.events.item, log.items.len())
}

/// The last event before each event, in its line, that has a value; [`NONE`] where there is none.
pub(super) fn before(lines: &Timelines, missing: &[bool]) -> Vec<u32> {
    let mut known = vec![NONE; missing.len()];
    for line in lines.iter() {
        walk(line.iter(), missing, &mut known);
    }
    known
}

/// The first event after each event, in its line, that has a value; [`NONE`] where there is none.
pub(super) fn after(lines: &Timelines, missing: &[bool]) -> Vec<u32> {
    let mut known = vec![NONE; missing.len()];
    for line in lines.iter() {
        walk(line.iter().rev(), missing, &mut known);
    }
    known
}

fn walk<'a>(line: impl Iterator<Item = &'a u32>, missing: &[bool], known: &mut [u32]) {
    let mut last = NONE;
    for &event in line {
        known[event as usize] = last;
        if !missing[event as usize] {
            last = event;
        }
    }
}

/// The straight line in time between two known values, each given with its event; the earlier one
/// where no time lies between them.
///
/// ```text
///     v = v₀ + (v₁ − v₀) · (t − t₀) / (t₁ − t₀)
/// ```
pub(super) fn between(log: &Log, from: (u32, f32), to: (u32, f32), event: u32) -> f32 {
    let time = |event: u32| log.time_or_zero(event) as f64;
    let (start, end) = (time(from.0), time(to.0));
    if start >= end {
        return from.1;
    }
    let way = (time(event) - start) / (end - start);
    let (low, high) = (f64::from(from.1), f64::from(to.1));
    (low + (high - low) * way) as f32
}
