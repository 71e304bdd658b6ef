//! Rows, users and sessions that are left out by stated rules, each with its count.
//!
//! `rule` says what can be written, `find` what each check looks for. [`clean`] looks at rows and
//! users, before sessions are made; [`clean_sessions`] at sessions. By default nothing is left out.
//!
//! The rules learn nothing from one part of a log to judge another, but those about users look at
//! all that a user has done, later events too: they are about which data to believe, and what they
//! leave out is left out of training and evaluation alike.

mod find;
mod rule;
#[cfg(test)]
mod tests;

use find::Found;
pub(crate) use find::who;
pub use rule::{Check, CleanRule, CleanRules};

use serde::Serialize;

use crate::timeline::Timed;
use crate::{Log, Sessions};

/// What each rule has found.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct CleanReport {
    /// In the order in which the rules were applied.
    pub rules: Vec<Finding>,
}

/// What a rule has found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule as it is written.
    pub rule: String,
    /// Whether the log has what it looks at, such as times.
    pub applies: bool,
    /// Events found.
    pub events: u64,
    /// Users or sessions found, where the rule is about those.
    pub groups: u64,
    /// Whether they were left out.
    pub left_out: bool,
    /// The first few.
    pub examples: Vec<String>,
}

impl CleanReport {
    /// Events that were left out.
    pub fn left_out(&self) -> u64 {
        self.rules.iter().filter(|finding| finding.left_out).map(|finding| finding.events).sum()
    }

    /// Adds what the same rules have found elsewhere.
    pub(crate) fn join(&mut self, other: Self) {
        if self.rules.is_empty() {
            self.rules = other.rules;
            return;
        }
        for (finding, more) in self.rules.iter_mut().zip(other.rules) {
            finding.applies |= more.applies;
            finding.events += more.events;
            finding.groups += more.groups;
            finding.left_out |= more.left_out;
            let room = find::SHOWN.saturating_sub(finding.examples.len());
            finding.examples.extend(more.examples.into_iter().take(room));
        }
    }

    fn push(&mut self, rule: &CleanRule, found: Option<Found>) -> Vec<u32> {
        let applies = found.is_some();
        let found = found.unwrap_or_default();
        self.rules.push(Finding {
            rule: rule.to_string(),
            applies,
            events: found.events.len() as u64,
            groups: found.groups,
            left_out: applies && !rule.count_only,
            examples: found.examples,
        });
        if rule.count_only { Vec::new() } else { found.events }
    }
}

/// Applies the rules about rows and users to a log, one after the other. Rules about sessions wait
/// for [`clean_sessions`].
pub fn clean(log: &mut Log, rules: &CleanRules) -> CleanReport {
    let mut report = CleanReport::default();
    for rule in rules.0.iter().filter(|rule| !rule.check.is_of_sessions()) {
        let found = find::in_log(log, rule.check);
        let gone = report.push(rule, found);
        log.remove(&gone);
    }
    report
}

/// Counts what each rule would find by itself, and leaves everything in.
pub(crate) fn count(
    log: &Log,
    lines: &Timed,
    sessions: &Sessions,
    rules: &CleanRules,
) -> CleanReport {
    let mut report = CleanReport::default();
    for rule in &rules.0 {
        let found = match rule.check.is_of_sessions() {
            true => Some(find::in_sessions(log, sessions, rule.check)),
            false => find::in_lines(log, lines, rule.check),
        };
        report.push(&CleanRule { count_only: true, ..*rule }, found);
    }
    report
}

/// Applies the rules about sessions, likewise, and adds what they find to the report.
pub fn clean_sessions(
    log: &Log,
    sessions: &Sessions,
    rules: &CleanRules,
    report: &mut CleanReport,
) -> Sessions {
    let mut sessions = sessions.clone();
    for rule in rules.0.iter().filter(|rule| rule.check.is_of_sessions()) {
        let found = find::in_sessions(log, &sessions, rule.check);
        let gone = report.push(rule, Some(found));
        sessions = sessions.without(&gone);
    }
    sessions
}
