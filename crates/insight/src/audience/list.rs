//! Whom to contact, and where to stop.

use super::{Audience, Step};
use crate::chart::{Curves, FULL, Series, curves, figure};
use crate::html::Html;
use crate::number::{count, counted, part, per_cent, plain, seconds, short};
use crate::page::{Section, Table, facts, figures};

/// A score as people read it.
fn score(audience: &Audience, value: f64) -> String {
    match audience.share {
        true if value < 0.0 => format!("−{}", per_cent(-value)),
        true => per_cent(value),
        false => plain(value),
    }
}

/// A sum, its thousands set apart.
pub(super) fn amount(value: f64) -> String {
    match value.abs() {
        large if (999.5..1e15).contains(&large) => {
            let sign = if value < 0.0 { "−" } else { "" };
            sign.to_owned() + &count(large.round() as u64)
        }
        _ => plain(value),
    }
}

pub(super) fn head(audience: &Audience) -> Section {
    let mut section = Section::new("audience", "");
    let (cut, all) = (audience.cut, audience.all);
    let who = audience.who();
    let mut large = vec![
        (short(cut.users as f64), format!("{who}s to contact")),
        (
            part(cut.users as u64, all.users as u64),
            format!("of {}", counted(all.users as u64, who)),
        ),
    ];
    if audience.added {
        large.push((amount(cut.sum), format!("{} expected", audience.sum)));
    } else {
        large.push((amount(cut.sum), format!("{} among them", audience.sum)));
        large.extend(audience.lift.map(|lift| (plain(lift) + "×", "the mean of all".to_owned())));
    }
    if audience.money {
        large.push((short(cut.gain), "profit expected".to_owned()));
    }
    section.push(figures(&large));
    let after = seconds(audience.horizon_s);
    section.say(match audience.added {
        true => format!(
            "As of {}, {who}s are ranked by the {}: what a contact adds within {after}, and not what they \
             would do anyway. {}",
            audience.at, audience.score, audience.end
        ),
        false => format!(
            "As of {}, {who}s are ranked by the {} within {after}. This says what is expected of them, and not \
             what a contact would add: that takes a trial. {}",
            audience.at, audience.score, audience.end
        ),
    });
    for warning in &audience.warnings {
        let mut line = Html::element("b", &[], Html::text("Careful: "));
        line.push_text(format!("{warning}."));
        section.push(Html::element("p", &[], line));
    }
    section
}

/// The share of all that is expected, over the share of users.
pub(super) fn captured(audience: &Audience) -> Curves {
    let all = audience.all;
    let share = |step: &Step| {
        let of = if all.sum > 0.0 { step.sum / all.sum } else { 0.0 };
        (step.users as f64 / all.users.max(1) as f64, of)
    };
    Curves {
        x_name: format!("of {}s, best first", audience.who()),
        y_name: format!("of all {}", audience.sum),
        shares: true,
        series: vec![Series {
            name: "by rank".to_owned(),
            points: audience.curve.iter().map(share).collect(),
            second: false,
        }],
        straight: Some((1.0, "by chance".to_owned())),
        band: Vec::new(),
        cut: Some((cut_share(audience), "contacted".to_owned())),
    }
}

/// The share of users who are contacted.
pub(super) fn cut_share(audience: &Audience) -> f64 {
    audience.cut.users as f64 / audience.all.users.max(1) as f64
}

pub(super) fn how_far(audience: &Audience) -> Section {
    let mut section = Section::new("far", "How far to go");
    if audience.trial.is_none() {
        let caption = format!(
            "The first {}s of the ranking hold so much of all {} that the model expects. Chance would draw the \
             dashed line.",
            audience.who(),
            audience.sum
        );
        section.push(figure("What the ranking gathers", &caption, FULL, |width| {
            curves(&captured(audience), width)
        }));
    }
    if audience.money || audience.added {
        let all = audience.all.users.max(1) as f64;
        let what = if audience.money { "profit" } else { audience.sum };
        let curve = Curves {
            x_name: format!("of {}s, best first", audience.who()),
            y_name: what.to_owned(),
            shares: false,
            series: vec![Series {
                name: String::new(),
                points: audience.curve.iter().map(|s| (s.users as f64 / all, s.gain)).collect(),
                second: false,
            }],
            straight: None,
            band: Vec::new(),
            cut: Some((cut_share(audience), "contacted".to_owned())),
        };
        let title = if audience.money { "What it earns" } else { "What it adds" };
        let caption = match audience.money {
            true => "Expected profit, costs taken off, if one stops there.",
            false => "As the two models expect it, if one stops there.",
        };
        section.push(figure(title, caption, FULL, |width| curves(&curve, width)));
    }
    if let Some((from, users)) = audience.break_even {
        section.say(match audience.money {
            true => format!(
                "A contact pays from a score of {} on: for {} of {}.",
                score(audience, from),
                counted(users as u64, audience.who()),
                count(audience.all.users as u64)
            ),
            false => format!(
                "For {} of {} a contact adds something; the others it leaves cold or puts off.",
                counted(users as u64, audience.who()),
                count(audience.all.users as u64)
            ),
        });
    }
    let mut columns = vec!["first", "#of all", "#score of the last"];
    columns.push(if audience.added { "#added" } else { "#expected" });
    columns.extend((!audience.added).then_some("#of all expected"));
    columns.extend(audience.money.then_some("#profit"));
    let mut table = Table::new(&columns);
    for step in &audience.places {
        let mut cells = vec![
            count(step.users as u64),
            part(step.users as u64, audience.all.users as u64),
            score(audience, step.score),
            amount(step.sum),
        ];
        if !audience.added {
            cells.push(per_cent(step.sum / audience.all.sum));
        }
        cells.extend(audience.money.then(|| amount(step.gain)));
        table.row(cells.into_iter().map(Html::text));
    }
    section.push(table.html());
    section
}

pub(super) fn first(audience: &Audience) -> Section {
    let mut section = Section::new("first", "The first of the list");
    let who = if audience.of_sessions { "session" } else { "user" };
    let anyway = if audience.added { "#expected anyway" } else { "#as told by the model" };
    // Where the score is what the model says, once is enough.
    let differs = audience.first.iter().any(|one| one.score != one.said);
    let mut columns = vec![who, "#score"];
    columns.extend(differs.then_some(anyway));
    columns.extend(audience.money.then_some("#profit"));
    let mut table = Table::new(&columns);
    for one in &audience.first {
        let mut cells = vec![Html::name(&one.name), Html::text(score(audience, one.score))];
        let said = if audience.said_share { per_cent(one.said) } else { plain(one.said) };
        cells.extend(differs.then(|| Html::text(said)));
        cells.extend(audience.money.then(|| Html::text(plain(one.gain))));
        table.row(cells);
    }
    section.push(table.html());
    section.note("The file of the list beside this page has everybody.");
    section
}

pub(super) fn made(audience: &Audience) -> Section {
    let mut section = Section::new("made", "How this came about");
    let mut lines: Vec<(String, Html)> = vec![
        ("moment".to_owned(), Html::text(&audience.at)),
        ("horizon".to_owned(), Html::text(seconds(audience.horizon_s))),
        ("score".to_owned(), Html::text(audience.score)),
    ];
    let terms = audience.terms.iter();
    lines.extend(terms.map(|(name, value)| (name.clone(), Html::text(plain(*value)))));
    section.push(facts(&lines));
    if audience.money {
        section.say("Profit of a contact: margin × money × what it adds − cost.");
    }
    if let Some(trial) = &audience.trial {
        let (folds, components, variance, penalty, resamples) = trial.method;
        section.say(format!(
            "Two logistic regressions (penalty {}) say how likely a {} is to {}: one has learned from the treated, \
             one from the others; their difference is the score. They see {components} principal components of \
             the state in which the LSTM has ended ({} of its variance), {components} of the mean of those in which \
             it ends each visit ({}), and the numbers of the moment, nothing from after it. Nobody is scored by models that have seen them: {}s are dealt out to {folds} parts, and each \
             part is scored by models of the other {}.",
            plain(penalty),
            audience.who(),
            trial.outcome[0],
            per_cent(variance[0]),
            per_cent(variance[1]),
            audience.who(),
            folds.saturating_sub(1)
        ));
        section.say(format!(
            "Intervals hold 95 % of {} resamples of the users. They take the scores as they are: other users would \
             have made somewhat other models.",
            count(u64::from(resamples))
        ));
    }
    section
}
