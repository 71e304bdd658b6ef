//! What to do before anything is learned: which rows to read, which to leave out, which holes to fill.

use super::{Advice, DAY, Facts, PREPARE_AND_TRAIN, TRAIN, date};
use crate::inspect::missing::Holds;
use crate::inspect::share;
use crate::inspect::words::{counted, events, per_cent, thousands};
use crate::time::format_time;
use crate::{Check, Column, Log, NONE, SessionRule};

const ALL: &[&str] = &["prepare", "train", "evaluate"];
/// Rows that are repeated, as a share of all, above which they are no accident.
const DUPLICATES: f64 = 0.001;
/// Users found by a rule, as a share of all, above which the rule describes how people are.
const FEW_USERS: f64 = 0.01;
/// Repeats of the item just before.
const REPEATS: f64 = 0.1;
/// Missing values: fewer are not worth a rule, more cannot be made up.
const MISSING: std::ops::RangeInclusive<f64> = 0.001..=0.5;

pub(super) fn reading(facts: &Facts<'_>, all: &mut Vec<Advice>) {
    let summary = facts.summary;
    let bad = share(summary.bad_rows as usize, summary.rows as usize);
    if bad > 0.01 {
        all.push(Advice {
            finding: format!("{} of the rows could not be used", per_cent(bad)),
            flag: "--max-bad",
            value: format!("{:.2}", ((bad * 100.0).floor() + 1.0).min(100.0) / 100.0),
            verbs: ALL,
            reason: "Other verbs stop at 1 % of bad rows. Look at the first of them below before \
                     allowing more."
                .to_owned(),
            threshold: "more than 1 % of rows".to_owned(),
        });
    }
    let (from, until) = facts.cells.thin_ends();
    for (flag, at, side) in [("--from", from, "before"), ("--until", until, "after")] {
        let Some(at) = at else { continue };
        let outside = facts.log.events.time.iter();
        let outside =
            outside.filter(|&&time| if flag == "--from" { time < at } else { time > at }).count();
        // A date means a day of the zone, from its midnight to the next.
        let clock = facts.zone.clock(at);
        let whole_day = if flag == "--from" { clock % DAY == 0 } else { (clock + 1) % DAY == 0 };
        let value = if whole_day { date(clock) } else { format_time(at) };
        all.push(Advice {
            finding: format!("{} lie {side} the bulk of the log", events(outside as u64)),
            flag,
            value,
            verbs: ALL,
            reason: "A few strays stretch the span and shift what a split by time keeps for \
                     validation."
                .to_owned(),
            threshold: "at most 1 event in 1,000, on days with under a tenth of the usual number"
                .to_owned(),
        });
    }
    let lengths = &facts.report.lengths;
    let single = share(lengths.single as usize, facts.sessions.len());
    let of_user = lengths.events_of_user.map_or(0.0, |spread| spread.mean);
    if facts.rule == SessionRule::Key
        && facts.summary.first.is_some()
        && single > 0.5
        && of_user > 2.0 * lengths.events.mean
    {
        all.push(Advice {
            finding: format!("{} of the sessions have a single event", per_cent(single)),
            flag: "--sessions",
            value: "gap".to_owned(),
            verbs: ALL,
            reason: format!(
                "A session of one event teaches no next item. A user has {of_user:.1} events, a \
                 session {:.1}: cut the users' events at pauses instead.",
                lengths.events.mean
            ),
            threshold: "half of the sessions, and users with twice the events".to_owned(),
        });
    }
}

pub(super) fn cleaning(facts: &Facts<'_>, all: &mut Vec<Advice>) {
    let log = facts.log;
    let n = log.events.len();
    let cut = all.iter().any(|advice| matches!(advice.flag, "--from" | "--until"));
    let actors = match facts.report.suspicious.actor {
        "user" => facts.summary.users,
        _ => facts.summary.sessions,
    };
    for judged in &facts.report.suspicious.rules {
        let found = &judged.finding;
        if judged.idle.is_some() || found.events == 0 {
            continue;
        }
        let Ok(check) = found.rule.parse::<crate::CleanRule>().map(|rule| rule.check) else {
            continue;
        };
        let part = share(found.events as usize, n);
        let groups = found.groups;
        let few = groups <= 3 || share(groups as usize, actors as usize) <= FEW_USERS;
        let who = |plural: &str| match facts.report.suspicious.actor {
            "user" => format!("{} {plural}", counted(groups, "user")),
            _ => format!("{} {plural}", counted(groups, "session")),
        };
        // `prepare` never has all times at once.
        let verbs = if matches!(check, Check::Times { .. }) { TRAIN } else { PREPARE_AND_TRAIN };
        let mut add = |finding: String, reason: &str, threshold: &str| {
            all.push(Advice {
                finding,
                flag: "--clean",
                value: found.rule.clone(),
                verbs,
                reason: reason.to_owned(),
                threshold: threshold.to_owned(),
            });
        };
        let few_users = "any user, as long as they are at most 1 % of all";
        match check {
            Check::Duplicates if part > DUPLICATES => add(
                format!(
                    "{} repeat an earlier row, {} of all",
                    events(found.events),
                    per_cent(part)
                ),
                "Rows written twice teach that everything is done twice.",
                "more than 1 event in 1,000",
            ),
            Check::Times { .. } if !cut => add(
                format!("{} have times of another age", events(found.events)),
                "A wrong time puts an event into the wrong session and the wrong part of a split. \
                 prepare does not know all times at once: there, cut with --from and --until.",
                "any event",
            ),
            Check::Hour { events: most } if few => add(
                who(&format!(
                    "with more than {} events in an hour: {}",
                    thousands(most.into()),
                    per_cent(part)
                )) + " of all events",
                "Nobody clicks that fast for an hour. A robot's habits are learned like any other.",
                few_users,
            ),
            Check::Day { events: most } if few => add(
                who(&format!(
                    "with more than {} events in a day: {}",
                    thousands(most.into()),
                    per_cent(part)
                )) + " of all events",
                "A robot, or a terminal that many people share.",
                few_users,
            ),
            Check::Regular { .. } if few => add(
                who("whose pauses are all alike"),
                "Half of the pauses differ by less than a twentieth: that is a timer.",
                few_users,
            ),
            Check::Burst { events: most, seconds } if few => add(
                format!(
                    "{} in bursts of more than {most} in {seconds} s, by {}",
                    events(found.events),
                    who("").trim_end()
                ),
                "Faster than pages load. Only the bursts go; the rest of these users stays.",
                few_users,
            ),
            Check::Repeats { .. } if part > REPEATS => add(
                format!(
                    "{} of the events are the same thing as the one just before",
                    per_cent(part)
                ),
                "Reloads and double clicks. A model that learns them recommends what is on the \
                 screen.",
                "more than 10 % of events",
            ),
            Check::Length { events: most } if facts.rule != SessionRule::User => add(
                format!("{} of more than {most} events", counted(groups, "session")),
                "Few people do that in one visit; such sessions weigh as much as hundreds of others.",
                "any session",
            ),
            _ => {}
        }
    }
}

/// Whether a column's name can stand in a flag as it is.
fn plain(name: &str) -> bool {
    !name.is_empty() && name.trim() == name && !name.contains([',', '=', ':', '+'])
}

pub(super) fn filling(facts: &Facts<'_>, all: &mut Vec<Advice>) {
    let n = facts.log.events.len();
    for column in &facts.report.columns {
        let missing = share(column.missing as usize, n);
        let fills = !matches!(column.name.as_str(), "user" | "kind" | "amount");
        if !fills || !column.has_values() || !MISSING.contains(&missing) || !plain(&column.name) {
            continue;
        }
        let name = &column.name;
        let finding = format!("{name} is missing in {} of the events", per_cent(missing));
        let threshold = "0.1 % to 50 % of events".to_owned();
        match column.holds {
            Holds::Numbers { .. } => all.push(Advice {
                finding,
                flag: "--fill",
                value: format!("{name}=item+flag"),
                verbs: TRAIN,
                reason: format!(
                    "The median of the same item in training stands in, and {name}.missing says \
                     where. inspect --score-fill {name} measures the other ways."
                ),
                threshold,
            }),
            Holds::Words { .. } => {
                let (known, missing) = known_elsewhere(facts.log, name);
                let part = share(known, missing);
                if part >= 0.5 {
                    all.push(Advice {
                        finding,
                        flag: "--fill",
                        value: format!("{name}=recent"),
                        verbs: TRAIN,
                        reason: format!(
                            "In {} of these the same item has one elsewhere: its last known one \
                             stands in, the rest stays missing, a word of its own.",
                            per_cent(part)
                        ),
                        threshold: threshold + ", half of them known elsewhere",
                    });
                }
            }
            Holds::Nothing => {}
        }
    }
}

/// Of the events that lack a word, those whose item has one in another event.
fn known_elsewhere(log: &Log, name: &str) -> (usize, usize) {
    let column = name.parse::<Column>().unwrap_or(Column::Category);
    let Some(words) = column.words(log) else { return (0, 0) };
    let mut known = vec![false; log.items.len()];
    let pairs = || log.events.item.iter().zip(words.values);
    pairs().filter(|pair| *pair.1 != NONE).for_each(|(&item, _)| known[item as usize] = true);
    let lacking = || pairs().filter(|pair| *pair.1 == NONE);
    (lacking().filter(|pair| known[*pair.0 as usize]).count(), lacking().count())
}
