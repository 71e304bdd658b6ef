//! What to learn from: features of events, the items that are worth it, and what is kept for validation.

use super::{Advice, DAY, Facts, PREPARE_AND_TRAIN, TRAIN, date};
use crate::SessionRule;
use crate::inspect::missing::{ColumnReport, Holds};
use crate::inspect::words::{number, per_cent, seconds, thousands};
use crate::inspect::{Tick, share};

/// `max_length` of a training where nothing else is said.
const CUT: i64 = 40;
/// Events from which on shares say something about what to learn from.
const TELLING: usize = 300;
/// Sessions from which on a split can be judged.
const ENOUGH: usize = 100;
/// Items too rare to learn, and the events that may go with them.
const RARE_ITEMS: f64 = 0.2;
const RARE_EVENTS: f64 = 0.05;

pub(super) fn features(facts: &Facts<'_>, all: &mut Vec<Advice>) {
    let (report, n) = (facts.report, facts.log.events.len());
    if n < TELLING {
        return;
    }
    let filled: Vec<String> =
        all.iter().filter(|a| a.flag == "--fill").map(|a| a.value.clone()).collect();
    let mut add = |value: String, finding: String, reason: &str, threshold: &str| {
        all.push(Advice {
            finding,
            flag: "--features",
            value,
            verbs: PREPARE_AND_TRAIN,
            reason: reason.to_owned(),
            threshold: threshold.to_owned(),
        });
    };
    let column = |name: &str| report.columns.iter().find(|column| column.name == name);
    let mostly = |column: &&ColumnReport| share(column.missing as usize, n) <= 0.5;
    if let Some(kinds) = &report.kinds
        && let Some(second) = kinds.kinds.iter().filter(|kind| kind.name != "none").nth(1)
        && share(second.events as usize, n) >= 0.005
    {
        add(
            "kind".to_owned(),
            format!(
                "{} kinds of events",
                facts.summary.kinds.iter().filter(|kind| kind.1 > 0).count()
            ),
            "After a cart or a purchase people go on otherwise than after a view.",
            "a second kind with 0.5 % of events",
        );
    }
    if let Some(Holds::Words { different: different @ 2..=5000 }) =
        column("category").filter(mostly).map(|column| column.holds)
    {
        let new = report.novelty.last_tenth;
        let news = match new >= 0.05 {
            true => format!(", and {} of the last tenth fall on new items", per_cent(new)),
            false => String::new(),
        };
        add(
            "category".to_owned(),
            format!("{} categories{news}", thousands(different)),
            "The category of an item that training has hardly seen, or never, is known all the same.",
            "2 to 5,000 categories, known in half of the events",
        );
    }
    if let Some(Holds::Numbers { min, max, .. }) =
        column("price").filter(mostly).map(|column| column.holds)
        && min < max
    {
        let flag = filled.iter().any(|rule| rule == "price=item+flag");
        add(
            if flag { "price,price.missing" } else { "price" }.to_owned(),
            format!("Prices from {} to {}", number(min), number(max)),
            "People stay in a range of prices.",
            "more than one price, known in half of the events",
        );
    }
    let Some(calendar) = &report.calendar else { return };
    if let Some(pauses) = report.pauses.as_ref().filter(|pauses| pauses.in_session.count > 0)
        && calendar.tick <= Tick::Minute
        && pauses.at_once() < 0.5
    {
        let spread = pauses.in_session;
        add(
            "gap".to_owned(),
            format!(
                "Pauses in sessions from {} (a tenth) to {} (nine tenths)",
                seconds(spread.p10),
                seconds(spread.p90)
            ),
            "How long somebody stayed on an item tells whether it was of interest.",
            "a clock that ticks in minutes or less, and most events apart in time",
        );
    }
    let span = facts.log.events.time.iter().max().zip(facts.log.events.time.iter().min());
    let span = span.map_or(0, |(last, first)| last.saturating_sub(*first));
    // The offset of the clock that hours and weekdays were counted by, as it was at last.
    let last = facts.log.events.time.iter().max().copied().unwrap_or(0);
    let east = facts.zone.clock(last).saturating_sub(last) / 60_000;
    let zone = if east == 0 { String::new() } else { format!(":zone={east}") };
    if let Some(hours) = calendar.hours.filter(|_| span >= 2 * DAY && calendar.tick < Tick::Hour) {
        let by_hour: Vec<u64> =
            (0..24).map(|hour| hours.iter().map(|day| day[hour]).sum()).collect();
        let (at, peak) = peak(&by_hour);
        if peak >= 1.5 {
            add(
                format!("hour{zone}"),
                format!("The hour from {at}:00 has {peak:.1} times the average"),
                "Who comes at night may look for other things than who comes at noon.",
                "a busiest hour of 1.5 times the average, in two days or more",
            );
        }
    }
    let (at, peak) = peak(&calendar.weekdays);
    if peak >= 1.25 && span >= 14 * DAY {
        let names = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
        add(
            format!("weekday{zone}"),
            format!("{} has {peak:.1} times the average", names[at]),
            "Weekdays bring other people and other wishes than weekends.",
            "a busiest day of 1.25 times the average, in two weeks or more",
        );
    }
}

/// The place of the largest count, and how many times the mean it is.
fn peak(counts: &[u64]) -> (usize, f64) {
    let total: u64 = counts.iter().sum();
    let at = (0..counts.len()).max_by_key(|&at| (counts[at], std::cmp::Reverse(at))).unwrap_or(0);
    let largest = counts.get(at).copied().unwrap_or(0);
    (at, largest as f64 * counts.len() as f64 / total.max(1) as f64)
}

pub(super) fn training(facts: &Facts<'_>, all: &mut Vec<Advice>) {
    let (sessions, summary) = (facts.sessions, facts.summary);
    let n = facts.log.events.len();
    let telling = n >= TELLING;
    let rare = facts.report.popularity.rare.iter().rev().find(|rare| {
        telling
            && rare.below <= 5
            && share(rare.items as usize, summary.items as usize) >= RARE_ITEMS
            && share(rare.events as usize, n) <= RARE_EVENTS
    });
    if let Some(rare) = rare {
        all.push(Advice {
            finding: format!(
                "{} of the items have fewer than {} events, together {} of all",
                per_cent(share(rare.items as usize, summary.items as usize)),
                rare.below,
                per_cent(share(rare.events as usize, n))
            ),
            flag: "--min-support",
            value: rare.below.to_string(),
            verbs: TRAIN,
            reason:
                "Each item costs a row of the embedding and a score in every answer, and of so \
                     few events nothing can be learned."
                    .to_owned(),
            threshold: "a fifth of the items with at most 5 % of the events".to_owned(),
        });
    }
    let over = |session: &[u32]| session.len().saturating_sub(CUT as usize + 1);
    let beyond = share(sessions.iter().map(over).sum(), n);
    if telling && beyond > 0.2 {
        all.push(Advice {
            finding: format!(
                "{} of the events lie beyond place {} of their session",
                per_cent(beyond),
                CUT + 1
            ),
            flag: "--window",
            value: CUT.to_string(),
            verbs: TRAIN,
            reason: "Sessions are cut there, and what comes after knows nothing of before. In \
                     windows the state is carried on."
                .to_owned(),
            threshold: "more than 20 % of events".to_owned(),
        });
    }
    if facts.rule == SessionRule::User
        && facts.log.events.time.is_empty()
        && facts.report.lengths.events.median >= 3.0
    {
        all.push(Advice {
            finding: "A session is all that a user has ever done, and there are no times"
                .to_owned(),
            flag: "--split",
            value: "leave-last-out".to_owned(),
            verbs: TRAIN,
            reason:
                "There is no later time to validate on, and every user is in training: ask for \
                     each one's last events."
                    .to_owned(),
            threshold: "no times, sessions by user, half of them with 3 events or more".to_owned(),
        });
    }
    // Strays would pass for a long span; whoever follows the advice above has none.
    let (from, until) = facts.cells.thin_ends();
    let starts: Vec<i64> = (0..sessions.len())
        .filter_map(|session| sessions.start(session))
        .filter(|&at| from.is_none_or(|from| at >= from) && until.is_none_or(|until| at <= until))
        .collect();
    if starts.len() < ENOUGH {
        return;
    }
    let cut = (0.9 * starts.len() as f64).round() as usize;
    let (Some(&first), Some(&kept), Some(&last)) = (starts.first(), starts.get(cut), starts.last())
    else {
        return;
    };
    let (span, kept) = (last.saturating_sub(first), last.saturating_sub(kept));
    for (least, of, name) in [(7 * DAY, 56 * DAY, "a week"), (DAY, 7 * DAY, "a day")] {
        if span < of || kept.saturating_mul(10) >= 9 * least {
            continue;
        }
        let clock = facts.zone.clock(last.saturating_sub(least));
        all.push(Advice {
            finding: format!(
                "The last tenth of the sessions takes {} of {:.0} days",
                seconds(kept as f64 / 1000.0),
                span as f64 / DAY as f64
            ),
            flag: "--split",
            value: format!("time:{}", date(clock)),
            verbs: TRAIN,
            reason: format!(
                "Validation should see every hour and weekday that the model will: {name} at least."
            ),
            threshold:
                "under nine tenths of a week in eight weeks or more, of a day in a week or more; 100 \
                        sessions"
                    .to_owned(),
        });
        break;
    }
}
