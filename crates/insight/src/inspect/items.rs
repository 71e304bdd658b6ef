//! How events fall on items, what comes again, and what columns lack.

use events::{ColumnReport, Holds, Report, Summary};

use crate::chart::{Axis, FULL, HALF, Lines, Mark, Series, figure, lines, spark, time_ticks};
use crate::html::Html;
use crate::number::{count, counted, part, per_cent, plain, short};
use crate::page::{Section, Table, beside, code};

/// Popular and rare items, and new ones.
pub(super) fn popularity(summary: &Summary, report: &Report) -> Section {
    let mut section = Section::new("items", "Items");
    let of = &report.popularity;
    if of.curve.is_empty() {
        section.say("The log has no events.");
        return section;
    }
    let items = summary.items;
    section.say(format!(
        "The most popular 1 % of {} have {} of the events, 10 % have {}; half of all events fall on {}. \
         {} have a single event.",
        counted(items, "item"),
        per_cent(of.top_hundredth),
        per_cent(of.top_tenth),
        counted(of.half, "item"),
        part(of.once, items),
    ));
    let most = of.curve.first().map_or(1, |first| first.1) as f64;
    let points = of.curve.iter().map(|&(rank, events)| (rank as f64, events as f64)).collect();
    let half = of.curve.iter().find(|&&(rank, _)| rank >= of.half);
    let marks = half.map(|&(rank, events)| Mark {
        at: (rank as f64, events as f64),
        word: "half of all events".to_owned(),
    });
    let curve = Lines {
        x: Axis::Log { from: 1.0, to: (items as f64).max(2.0) },
        x_name: "rank of the item".to_owned(),
        y: Axis::Log { from: 1.0, to: most.max(2.0) },
        y_name: "events".to_owned(),
        shares: false,
        series: vec![Series { name: String::new(), points, second: false }],
        marks: marks.into_iter().collect(),
    };
    let caption = "Items from the most popular to the rarest; both axes in powers of ten";
    let curve = figure("Popularity", caption, HALF, |width| lines(&curve, width));
    section.push(beside([curve, few(report, items, summary.events)]));

    let new = &report.novelty;
    let bins = new.new.len();
    if bins > 1 {
        let timed = new.unit_s > 0;
        let unit = new.unit_s.saturating_mul(1000);
        let end = new.start.saturating_add(unit.saturating_mul(bins as i64));
        let place = |bin: usize| (bin as f64 + 0.5) / bins as f64;
        // Of the first bin all is new; drawn, it would only press the others down.
        let points: Vec<(f64, f64)> =
            (1..bins).filter_map(|bin| Some((place(bin), new.new[bin]?))).collect();
        let largest = points.iter().map(|point| point.1).fold(0.0, f64::max);
        let draw = |width: f64| {
            let labels = match timed {
                true => time_ticks(new.start, end, (width / 72.0) as usize),
                false => (1..bins).map(|bin| (place(bin), (bin + 1).to_string())).collect(),
            };
            let picture = Lines {
                x: Axis::Labels(labels),
                x_name: if timed { String::new() } else { new.unit.clone() },
                y: Axis::Linear { from: 0.0, to: largest.max(0.001) },
                y_name: "of the events".to_owned(),
                shares: true,
                series: vec![Series { name: String::new(), points: points.clone(), second: false }],
                marks: Vec::new(),
            };
            lines(&picture, width)
        };
        let unit = new.unit.as_str();
        let trained = match timed {
            true => format!(
                "until the {} before",
                unit.trim_start_matches(|c: char| !c.is_alphabetic())
            ),
            false => "on those before".to_owned(),
        };
        let caption = format!(
            "Share of the events of each {unit} on items that no earlier one has seen; the first is left \
             out. A model that was trained {trained} cannot name them."
        );
        if largest > 0.0 {
            section.push(figure("New items", &caption, FULL, draw));
        }
    }
    section.say(format!(
        "Of the events of the last tenth of the sessions, {} fall on items that the first nine tenths have \
         never seen. These are lost for a model of items alone.",
        per_cent(new.last_tenth)
    ));
    section
}

fn few(report: &Report, items: u64, events: u64) -> Html {
    let mut html = Html::new();
    let mut table = Table::new(&["items with", "#items", "#of all", "#of the events"]);
    for rare in &report.popularity.rare {
        table.row([
            Html::text(match rare.below {
                2 => "1 event".to_owned(),
                below => format!("fewer than {below} events"),
            }),
            Html::text(count(rare.items)),
            Html::text(part(rare.items, items)),
            Html::text(part(rare.events, events)),
        ]);
    }
    html.add("h3", &[], Html::text("Rare items"));
    html.push(table.html());
    let mut table = Table::new(&["item", "#events", "#of all"]);
    for (name, times) in &report.popularity.first {
        table.row([Html::name(name), Html::text(count(*times)), Html::text(part(*times, events))]);
    }
    html.add("h3", &[], Html::text("The most popular"));
    html.push(table.html());
    html
}

/// What comes again within a session.
pub(super) fn repeats(summary: &Summary, report: &Report) -> Section {
    let mut section = Section::new("repeats", "Repeats");
    if report.repeats.is_empty() {
        section.say("No session has two events: nothing can come again.");
        return section;
    }
    section.say(format!(
        "Of the events after the first of their session, {} bring an item of the session again, {} the one \
         just before.",
        per_cent(summary.repeats.seen_before),
        per_cent(summary.repeats.same_as_last)
    ));
    if report.repeats.len() < 3 {
        return section;
    }
    let points = |of: fn(&events::RepeatsAt) -> f64| {
        report.repeats.iter().map(|at| (f64::from(at.place), of(at))).collect::<Vec<_>>()
    };
    let before = points(|at| at.seen_before);
    let largest = before.iter().map(|point| point.1).fold(0.0, f64::max);
    let last = report.repeats.last().map_or(2.0, |at| f64::from(at.place));
    let picture = Lines {
        x: Axis::Linear { from: 2.0, to: last },
        x_name: "place in the session".to_owned(),
        y: Axis::Linear { from: 0.0, to: largest.max(0.01) },
        y_name: "of the sessions that are so long".to_owned(),
        shares: true,
        series: vec![
            Series { name: "seen before".to_owned(), points: before, second: false },
            Series {
                name: "the last one".to_owned(),
                points: points(|at| at.same_as_last),
                second: true,
            },
        ],
        marks: Vec::new(),
    };
    let fewest = report.repeats.last().map_or(0, |at| at.sessions);
    let caption =
        format!("From place 2 to {}, which {} have", plain(last), counted(fewest, "session"));
    if largest > 0.0 {
        section.push(figure("Repeats by place", &caption, FULL, |width| lines(&picture, width)));
    }
    section
}

/// What columns hold, and where they hold nothing.
pub(super) fn missing(summary: &Summary, report: &Report) -> Section {
    let mut section = Section::new("columns", "Columns and missing values");
    let there = |column: &&ColumnReport| column.holds != Holds::Nothing;
    let absent: Vec<&str> =
        report.columns.iter().filter(|c| !there(c)).map(|column| column.name.as_str()).collect();
    let mut table =
        Table::new(&["column", "#missing", "#of all", "over the log", "~what it holds"]);
    for column in report.columns.iter().filter(there) {
        let mut name = Html::name(&column.name);
        if let Some(other) = column.column.as_ref().filter(|other| **other != column.name) {
            name.push_text(" ");
            name.push(Html::element("span", &[("class", &"dim")], Html::name(other)));
        }
        let over = match column.missing {
            0 => Html::element("span", &[("class", &"dim")], Html::text("none")),
            _ if column.parts.is_empty() => Html::text("–"),
            _ => spark(&column.parts, "missing values over the log"),
        };
        table.row([
            name,
            Html::text(count(column.missing)),
            Html::text(part(column.missing, summary.events)),
            over,
            Html::text(holds(&column.holds)),
        ]);
    }
    if table.is_empty() {
        section.say("Beside items, sessions and times the log has no columns that are read.");
    } else {
        section.push(table.html());
        section.note(
            "“Over the log” is the share that is missing in each twentieth of its lines, from the first to \
             the last. Further columns are read where the features of inspect name them.",
        );
    }
    if !absent.is_empty() {
        section.push(
            [
                Html::raw("<p>Not in this log: "),
                absent
                    .iter()
                    .enumerate()
                    .flat_map(|(k, name)| [Html::text(if k > 0 { ", " } else { "" }), code(name)])
                    .collect(),
                Html::raw(".</p>"),
            ]
            .into_iter()
            .collect(),
        );
    }
    section
}

fn holds(holds: &Holds) -> String {
    match *holds {
        Holds::Words { different } => format!("{} different", count(different)),
        Holds::Numbers { min, median, max, zero, negative } => {
            let mut text = format!("{} to {}, median {}", plain(min), plain(max), plain(median));
            if zero > 0 {
                text += &format!("; {} are 0", short(zero as f64));
            }
            if negative > 0 {
                text += &format!("; {} below 0", short(negative as f64));
            }
            text
        }
        Holds::Nothing => "nothing".to_owned(),
    }
}
