//! One segment after the other: what sets it apart, what it looks at, who is in its middle.

use events::{Lift, Mark, Portrait, Unit, group_marks};

use super::overview::{ago, badge};
use super::{Segments, Typical};
use crate::html::Html;
use crate::number::{count, counted, part, per_cent, plain, seconds};
use crate::page::{Section, Table, beside};

const DAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
/// Marks that are shown.
const SHOWN: usize = 6;

pub(super) fn section(segments: &Segments<'_>) -> Section {
    let mut section = Section::new("each", "Each segment");
    section.say(
        "What a segment does more or less than everybody, and what it looks at more. “Times as much” compares \
         shares: 2 means that of the segment's events twice as many are there as of everybody's.",
    );
    for at in 0..segments.names.len() {
        section.push(one(segments, at));
    }
    section
}

fn one(segments: &Segments<'_>, at: usize) -> Html {
    let (portrait, all) = (&segments.portraits.groups[at], &segments.portraits.all);
    let mut html = Html::new();
    html.open("div", &[("class", &"segment")]);
    let title = [badge(at), Html::text(" "), Html::name(&segments.names[at])];
    html.add("h3", &[], title.into_iter().collect());
    let who = counted(portrait.users, segments.who());
    let mut lead = format!("{who}, {} of all.", part(portrait.users, all.users));
    if let Some(words) = time(portrait) {
        lead += &words;
    }
    html.add("p", &[], Html::text(lead));
    let marks = group_marks(portrait, all);
    if marks.is_empty() {
        html.add(
            "p",
            &[],
            Html::text("In how much they do, buy and when they come they are like everybody."),
        );
    } else {
        let items = marks.iter().take(SHOWN).map(|mark| Html::element("li", &[], words(mark)));
        html.add("ul", &[("class", &"marks")], items.collect());
    }
    let categories = lifts("Category", &portrait.categories);
    let items = lifts("Item", &portrait.items);
    html.push(match (categories, items) {
        (Some(a), Some(b)) => beside([a, b]),
        (Some(a), None) | (None, Some(a)) => a,
        (None, None) => Html::new(),
    });
    html.push(typical(segments, &segments.typical[at]));
    html.close("div");
    html
}

/// The hour and the day on which they come most.
fn time(portrait: &Portrait) -> Option<String> {
    let when = portrait.when.as_ref()?;
    let most =
        |shares: &[f64]| (0..shares.len()).rev().max_by(|&a, &b| shares[a].total_cmp(&shares[b]));
    let day = DAYS.get(most(&when.weekdays)?)?;
    Some(match when.hours.as_ref().and_then(|hours| most(hours)) {
        Some(hour) => format!(" Most active between {hour}:00 and {}:00, and on {day}s.", hour + 1),
        None => format!(" Most active on {day}s."),
    })
}

fn words(mark: &Mark) -> Html {
    let write = |value: f64| match mark.unit {
        Unit::Number => plain(value),
        Unit::Share => per_cent(value),
        Unit::Days => seconds(value * 86_400.0),
    };
    let times = match mark.ratio {
        r if r >= 1.0 => format!("{} times as much", plain(r)),
        r if r > 0.0 => format!("{} of the usual", per_cent(r)),
        _ => "none".to_owned(),
    };
    let value = Html::element("b", &[], Html::text(write(mark.here)));
    let rest = Html::text(format!(" {} – everybody: {}, {times}", mark.what, write(mark.all)));
    [value, rest].into_iter().collect()
}

fn lifts(what: &'static str, lifts: &[Lift]) -> Option<Html> {
    if lifts.is_empty() {
        return None;
    }
    let mut table = Table::new(&[what, "#times as much", "#of their events", "#users"]);
    for lift in lifts {
        table.row([
            Html::name(&lift.name),
            Html::text(plain(lift.lift)),
            Html::text(per_cent(lift.share)),
            Html::text(count(lift.users)),
        ]);
    }
    Some(table.html())
}

fn typical(segments: &Segments<'_>, all: &[Typical]) -> Html {
    if all.is_empty() {
        return Html::new();
    }
    let buys = all.iter().any(|one| one.portrait.buying.is_some());
    let mut head = vec![if segments.of_users { "Typical users" } else { "Typical sessions" }];
    head.extend(segments.of_users.then_some("#sessions"));
    head.push("#events");
    head.extend(buys.then_some("#purchases"));
    let times = all.iter().any(|one| one.portrait.when.is_some());
    let looks = all.iter().any(|one| !one.portrait.favourites.is_empty());
    head.extend(times.then_some("#last seen"));
    head.extend(looks.then_some("~looks most at"));
    let mut table = Table::new(&head);
    for one in all {
        let portrait = &one.portrait;
        let mut cells = vec![Html::name(&one.name)];
        if segments.of_users {
            cells.push(Html::text(count(portrait.sessions)));
        }
        cells.push(Html::text(count(portrait.events)));
        cells.extend(portrait.buying.map(|buying| Html::text(count(buying.purchases))));
        let days = portrait.when.as_ref().map(|when| when.recency_days);
        cells.extend(times.then(|| Html::text(days.map_or("–".to_owned(), ago))));
        let most = portrait.favourites.iter().take(3);
        let most: Vec<String> =
            most.map(|share| format!("{} ({})", share.name, per_cent(share.share))).collect();
        let most = if most.is_empty() { "–".to_owned() } else { most.join(", ") };
        cells.extend(looks.then(|| Html::text(most)));
        table.row(cells);
    }
    table.html()
}
