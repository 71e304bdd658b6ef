//! What to do about a log: findings, each with the flag that answers it.
//!
//! `cleaning` is about reading, cleaning and filling, `training` about features, vocabulary and split.
//! A finding that is below its threshold is no finding: where nothing is wrong, nothing is said.

mod cleaning;
mod training;

use serde::Serialize;

use cleaning::{cleaning, filling, reading};
use training::{features, training};

use super::Report;
use super::calendar::Cells;
use crate::time::format_time;
use crate::{Log, SessionRule, Sessions, Summary, Zone};

const PREPARE_AND_TRAIN: &[&str] = &["prepare", "train"];
const TRAIN: &[&str] = &["train"];
const DAY: i64 = 24 * 60 * 60 * 1000;

/// A finding, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Advice {
    /// What was found.
    pub finding: String,
    /// The flag.
    pub flag: &'static str,
    /// Its value. Those of one flag are joined by commas: see [`flags`].
    pub value: String,
    /// The verbs that take it.
    pub verbs: &'static [&'static str],
    /// What it is good for.
    pub reason: String,
    /// From when on it is advised.
    pub threshold: String,
}

/// All advice in one line: each flag once, with its values joined.
pub fn flags(advice: &[Advice], verb: &str) -> Vec<(&'static str, String)> {
    let mut flags = Vec::<(&'static str, String)>::new();
    for advice in advice.iter().filter(|advice| advice.verbs.contains(&verb)) {
        match flags.iter_mut().find(|(flag, _)| *flag == advice.flag) {
            Some((_, value)) => *value += &format!(",{}", advice.value),
            None => flags.push((advice.flag, advice.value.clone())),
        }
    }
    flags
}

/// What advice is made of.
pub(super) struct Facts<'a> {
    pub log: &'a Log,
    pub sessions: &'a Sessions,
    pub summary: &'a Summary,
    pub report: &'a Report,
    pub cells: &'a Cells,
    pub zone: &'a Zone,
    pub rule: SessionRule,
}

/// Everything there is to say, in the order of the work: reading, cleaning, filling, features,
/// training.
pub(super) fn advice(facts: &Facts<'_>) -> Vec<Advice> {
    let mut all = Vec::new();
    if facts.log.events.is_empty() || facts.log.is_pairs() {
        return all;
    }
    reading(facts, &mut all);
    cleaning(facts, &mut all);
    filling(facts, &mut all);
    features(facts, &mut all);
    training(facts, &mut all);
    all
}

/// Why no model can be trained on a log; none where one can.
pub(super) fn untrainable(log: &Log, sessions: &Sessions) -> Option<&'static str> {
    if log.is_pairs() {
        return Some(
            "These are test cases: nothing is learned from them, a model is judged by them, with \
             tidegate evaluate MODEL and this file.",
        );
    }
    let teaching = sessions.iter().filter(|session| session.len() > 1);
    (teaching.take(2).count() < 2).then_some(
        "No model can be trained on this log: that takes two sessions with two events at least.",
    )
}

/// The day that a clock has shown.
fn date(clock: i64) -> String {
    let iso = format_time(clock);
    iso.get(..10).unwrap_or(&iso).to_owned()
}
