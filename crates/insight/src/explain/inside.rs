//! What gates let through, how long units remember, what they follow.

use super::{Explained, Follower, Gate, Picture};
use crate::chart::{Axis, Lines, Row, Series, Shades, lines, rows, shades};
use crate::html::Html;
use crate::number::{part, plain};
use crate::page::{Section, Table};

/// Half-lives that are told apart, in events.
const BINS: [(f64, &str); 7] = [
    (1.0, "under 1 event"),
    (2.0, "1 to 2"),
    (4.0, "2 to 4"),
    (8.0, "4 to 8"),
    (16.0, "8 to 16"),
    (32.0, "16 to 32"),
    (f64::INFINITY, "32 and more"),
];

fn columns(told: &Explained) -> Vec<String> {
    let name = |event: &super::Event| format!("{} {}", event.kind, event.item).trim().to_owned();
    told.events.iter().map(name).collect()
}

/// Heat maps of the gates, and a line of how full the memory is.
pub(super) fn gates(told: &Explained) -> Vec<Picture<'_>> {
    if told.gates.iter().all(|layer| layer.gates.is_empty()) {
        return Vec::new();
    }
    let several = told.gates.len() > 1;
    let named = |layer: &str, gate: &str| match several {
        true => format!("{layer} {gate}"),
        false => gate.to_owned(),
    };
    let means: Vec<Gate> = (told.gates.iter())
        .flat_map(|layer| {
            layer.gates.iter().map(|(gate, shares)| (named(&layer.name, gate), shares.clone()))
        })
        .collect();
    let units: Vec<Gate> = (told.units.iter())
        .flat_map(|unit| {
            unit.gates
                .iter()
                .map(|(gate, shares)| (format!("{} {gate}", unit.name), shares.clone()))
        })
        .collect();
    let heat = |file, title: &str, caption: &str, all: Vec<Gate>| {
        let columns = columns(told);
        Picture {
            file,
            title: title.to_owned(),
            caption: caption.to_owned(),
            draw: Box::new(move |width| {
                let ends = ["first event", "last event"];
                shades(Shades { rows: &all, columns: &columns, ends }, width)
            }) as Box<dyn Fn(f64) -> crate::chart::Svg>,
        }
    };
    let mut all = vec![heat(
        "gates.svg",
        "The gates, event by event",
        "Mean over all units; the darker, the more open. Input: how much of an event is taken in; forget: how \
         much of what was known is kept; output: how much of it shows.",
        means,
    )];
    if !units.is_empty() {
        all.push(heat(
            "units.svg",
            "Some units one by one",
            "Those of the highest layer whose memory moves most over these events.",
            units,
        ));
    }
    let series = told.gates.iter().filter(|layer| !layer.norm.is_empty()).map(|layer| Series {
        name: if several { layer.name.clone() } else { String::new() },
        points: layer.norm.iter().enumerate().map(|(k, &y)| (k as f64 + 1.0, y)).collect(),
        second: several && layer.name != told.gates[told.gates.len() - 1].name,
    });
    let series: Vec<Series> = series.collect();
    let most = series.iter().flat_map(|series| &series.points).map(|p| p.1).fold(0.0, f64::max);
    let picture = Lines {
        x: Axis::Linear { from: 1.0, to: told.events.len().max(2) as f64 },
        x_name: "events".to_owned(),
        y: Axis::Linear { from: 0.0, to: most },
        y_name: "memory, root mean square".to_owned(),
        shares: false,
        series,
        marks: Vec::new(),
    };
    all.push(Picture {
        file: "memory.svg",
        title: "How full the memory is".to_owned(),
        caption: "The size of what the cells hold after each event.".to_owned(),
        draw: Box::new(move |width| lines(&picture, width)),
    });
    all
}

/// Bars of how long units remember.
pub(super) fn memory(told: &Explained) -> Option<Picture<'_>> {
    let all: Vec<f64> = told.half_lives.iter().flatten().copied().collect();
    if all.is_empty() {
        return None;
    }
    let mut from = 0.0;
    let bars = BINS.map(|(to, name)| {
        let count = all.iter().filter(|&&life| life >= from && life < to).count();
        from = to;
        Row {
            name: name.to_owned(),
            value: count as f64,
            label: part(count as u64, all.len() as u64),
            pale: false,
        }
    });
    Some(Picture {
        file: "half-lives.svg",
        title: "How long units remember".to_owned(),
        caption: format!(
            "Events after which half of what a unit held is left, by its mean forget gate over many users; \
             share of {} units.",
            all.len()
        ),
        draw: Box::new(move |width| rows(&bars, None, width)),
    })
}

/// The section.
pub(super) fn section(told: &Explained, picture: &dyn Fn(&str) -> Html) -> Section {
    let mut section = Section::new("inside", "Inside the model");
    if let Some(note) = &told.note {
        section.say(note);
    }
    for file in ["gates.svg", "units.svg", "memory.svg", "half-lives.svg"] {
        section.push(picture(file));
    }
    if told.followed.is_empty() {
        return section;
    }
    section.subheading("Units that follow something");
    section.say(
        "Correlation of a unit's memory after an event with what the event was. Units were found on one half \
         of the users; “again” is the same correlation on the other half, which chance does not repeat.",
    );
    let mut table = Table::new(&["unit", "follows", "#correlation", "#again"]);
    for Follower { unit, what, correlation, again } in &told.followed {
        let two = |r: f64| plain((100.0 * r).round() / 100.0);
        table.row([
            Html::text(unit),
            Html::name(what),
            Html::text(two(*correlation)),
            Html::text(again.map_or("–".to_owned(), two)),
        ]);
    }
    section.push(table.html());
    section
}
