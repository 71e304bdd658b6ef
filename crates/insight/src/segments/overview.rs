//! All segments beside each other.

use super::Segments;
use crate::chart::{FULL, colour, figure, scatter, spark};
use crate::html::Html;
use crate::number::{count, counted, part, plain, short};
use crate::page::{Section, Table, figures};

/// Sizes, and in a sentence how far apart the segments lie.
pub(super) fn head(segments: &Segments<'_>) -> Section {
    let mut section = Section::new("segments", "");
    let all = &segments.portraits.all;
    let who = segments.who();
    let sizes = [
        (all.users, who),
        (segments.names.len() as u64, "segment"),
        (all.sessions, "session"),
        (all.events, "event"),
    ];
    let sizes = sizes.into_iter().enumerate().filter(|(at, (_, name))| *at != 2 || *name != who);
    let sizes: Vec<_> = sizes
        .map(|(_, (size, name))| {
            (short(size as f64), if size == 1 { name.to_owned() } else { format!("{name}s") })
        })
        .collect();
    section.push(figures(&sizes));
    section.say(apart(segments));
    if segments.found.nowhere > 0 {
        section.say(format!(
            "{} belong to no segment: they are like few others.",
            counted(segments.found.nowhere, who)
        ));
    }
    section
}

fn apart(segments: &Segments<'_>) -> String {
    let who = segments.who();
    if segments.names.len() < 2 {
        return format!("No groups stand out among these {who}s.");
    }
    let shown = match segments.found.silhouette {
        s if s >= 0.5 => "lie clearly apart: most users belong to one of them and to no other",
        s if s >= 0.25 => "can be told apart, and run into each other at their edges",
        _ => {
            "run into each other: take them as regions of one crowd and not as kinds of people, and look at \
             differences of whole segments only"
        }
    };
    format!(
        "The model has read what each {who} did and made a picture of it; {who}s with like pictures are one \
         segment. These segments {shown}."
    )
}

/// A dot in the colour of a segment, and its number.
pub(super) fn badge(group: usize) -> Html {
    let class = format!("swatch {}", colour(Some(group)));
    let dot = Html::element("span", &[("class", &class)], Html::new());
    [dot, Html::text(group + 1)].into_iter().collect()
}

/// A row a segment.
pub(super) fn table(segments: &Segments<'_>) -> Section {
    let mut section = Section::new("all", "At a glance");
    let all = &segments.portraits.all;
    let who = segments.who();
    let (buys, money) =
        (all.buying.is_some(), all.buying.is_some_and(|buying| buying.spend.is_some()));
    let (times, hours) =
        (all.when.is_some(), all.when.as_ref().is_some_and(|when| when.hours.is_some()));
    let people = if segments.of_users { "#users" } else { "#sessions" };
    let mut head = vec!["~segment", people, "#of all"];
    if segments.of_users {
        head.extend(["#sessions", "#events"]);
    } else {
        head.push("#events");
    }
    head.extend(buys.then_some("#purchases"));
    head.extend(money.then_some("#spent"));
    head.extend(times.then_some("#last seen"));
    head.extend(hours.then_some("hours 0–24"));
    let mut table = Table::new(&head);
    let rows = segments.portraits.groups.iter().zip(segments.names).enumerate();
    let rows = rows.map(|(at, (portrait, name))| (Some(at), portrait, name.as_str()));
    for (at, portrait, name) in rows.chain([(None, all, "Everybody")]) {
        let number = at.map_or(Html::new(), badge);
        let mut cells = vec![[number, Html::text(" "), Html::name(name)].into_iter().collect()];
        cells.push(Html::text(count(portrait.users)));
        cells.push(Html::text(part(portrait.users, all.users)));
        if segments.of_users {
            cells.push(Html::text(plain(portrait.sessions_per_user)));
        }
        cells.push(Html::text(plain(portrait.events_per_user)));
        if let Some(buying) = portrait.buying {
            cells.push(Html::text(plain(buying.per_user)));
            cells.extend(buying.spend.filter(|_| money).map(|s| Html::text(plain(s.per_user))));
        }
        if times {
            let days = portrait.when.as_ref().map(|when| when.recency_days);
            cells.push(Html::text(days.map_or("–".to_owned(), ago)));
        }
        if hours {
            let of_day = portrait.when.as_ref().and_then(|when| when.hours.as_ref());
            cells.push(of_day.map_or(Html::new(), |hours| {
                let most = hours.iter().copied().fold(0.0, f64::max).max(1e-9);
                let shares: Vec<f64> = hours.iter().map(|share| share / most).collect();
                spark(&shares, &format!("events by hour, {name}"))
            }));
        }
        table.row(cells);
    }
    section.push(table.html());
    let mut note = match segments.of_users {
        true => "Sessions, events".to_owned(),
        false => "Events".to_owned(),
    };
    note += match (buys, money) {
        (true, true) => ", purchases and money",
        (true, false) => " and purchases",
        _ => "",
    };
    note += &format!(" are means of a {who}.");
    if segments.portraits.purchases_by == Some("all") {
        note += " The log names no kinds of events and has amounts or quantities: every event is taken for a purchase.";
    }
    if times {
        note += " “Last seen”: half of the segment have been there since, counted back from the end of the log.";
    }
    if hours {
        note += &format!(" Hours are those of {}.", segments.portraits.time_zone);
    }
    section.note(note);
    section
}

/// A time before the end of the log.
pub(super) fn ago(days: f64) -> String {
    match days {
        d if d < 1.0 / 24.0 => "today".to_owned(),
        d if d < 2.0 => format!("{}\u{a0}h ago", (d * 24.0).round()),
        d => format!("{}\u{a0}days ago", plain(d)),
    }
}

/// The map.
pub(super) fn map(segments: &Segments<'_>) -> Section {
    let mut section = Section::new("map", "Map");
    let who = segments.who();
    let found = segments.found;
    let which = match found.sample < found.users {
        true => format!(
            "{} of {}, drawn at random",
            counted(found.sample as u64, who),
            count(found.users as u64)
        ),
        false => format!("All {}", counted(found.users as u64, who)),
    };
    let caption = format!(
        "A dot is a {who}, near to others whose pictures are alike. {which}. Which dots are neighbours means \
         something; how far apart two clouds lie, how large they are, and what is up or left does not.",
    );
    let groups = segments.names.len();
    section.push(figure("Who is like whom", &caption, FULL, |width| {
        scatter(segments.map, groups, width)
    }));
    let legend = segments.names.iter().enumerate().map(|(at, name)| {
        let words = [badge(at), Html::text(" "), Html::name(name)];
        Html::element("li", &[], words.into_iter().collect())
    });
    section.push(Html::element("ul", &[("class", &"legend")], legend.collect()));
    section
}
