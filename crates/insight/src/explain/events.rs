//! The answer after each event, and which of them carry it.

use super::{Event, Explained, Picture};
use crate::chart::{Axis, Lines, Series, Signed, lines, signed};
use crate::html::Html;
use crate::number::{counted, plain};
use crate::page::{Section, Table};

/// Events and numbers of the moment that get a bar.
const BARS: usize = 14;
const NUMBERS: usize = 6;
/// Rows of the table.
const ROWS: usize = 40;

/// What an event is called: its kind and its item.
pub(super) fn called(event: &Event) -> String {
    let words = [event.kind.as_str(), event.item.as_str()].map(short);
    let name = words.join(" ").trim().to_owned();
    match event.time.as_str() {
        "" => name,
        time => format!("{name}, {time}"),
    }
}

/// A name that leaves room for the others.
fn short(name: &str) -> String {
    const MOST: usize = 24;
    match name.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

/// A line of answers.
pub(super) fn answers(told: &Explained) -> Picture<'_> {
    let points = |of: &dyn Fn(&Event) -> f64| -> Vec<(f64, f64)> {
        told.events.iter().enumerate().map(|(k, event)| (k as f64 + 1.0, of(event))).collect()
    };
    let came = told.events.iter().any(|event| event.came.is_some());
    let name = |name: &str| if came { name.to_owned() } else { String::new() };
    let own = points(&|event| event.answer);
    let mut series = vec![Series { name: name("this answer"), points: own, second: false }];
    if came {
        let points = points(&|event| event.came.unwrap_or(f64::NAN));
        series.push(Series { name: name("what came"), points, second: true });
    }
    let most = series.iter().flat_map(|series| &series.points).map(|point| point.1);
    let most = most.filter(|y| y.is_finite()).fold(0.0, f64::max);
    let last = told.events.len().max(2) as f64;
    let picture = Lines {
        x: Axis::Linear { from: 1.0, to: last },
        x_name: "events".to_owned(),
        y: Axis::Linear { from: 0.0, to: most },
        y_name: match told.is_share() {
            true => "probability".to_owned(),
            false => told.question(),
        },
        shares: told.is_share(),
        series,
        marks: Vec::new(),
    };
    let caption = match came {
        true => {
            "What the model would have said after each event: of the answer explained here, and of what came \
             right after."
        }
        false => "What the model would have said, had it been asked right after each event.",
    };
    Picture {
        file: "answers.svg",
        title: "The answer after each event".to_owned(),
        caption: caption.to_owned(),
        draw: Box::new(move |width| lines(&picture, width)),
    }
}

/// Bars of what speaks for the answer and against it.
pub(super) fn shares(told: &Explained) -> Picture<'_> {
    let bar = |name: String, value: f64| Signed { name, value, label: signed_number(value) };
    let mut bars: Vec<Signed> = largest(&told.events, BARS, |event| event.attribution)
        .map(|event| bar(called(event), event.attribution))
        .collect();
    let others: f64 = told.events.iter().map(|event| event.attribution).sum::<f64>()
        - bars.iter().map(|bar| bar.value).sum::<f64>();
    let rest = told.events.len() - bars.len();
    if rest > 0 {
        let events = if rest == 1 { "event" } else { "events" };
        bars.push(bar(format!("{rest} more {events}"), others));
    }
    let numbers = largest(&told.moment, NUMBERS, |number| number.1);
    bars.extend(
        numbers.map(|(name, value)| bar(format!("known: {}", name.replace('_', " ")), *value)),
    );
    let shown = told.moment.len().min(NUMBERS);
    if told.moment.len() > shown {
        let all: f64 = told.moment.iter().map(|number| number.1).sum();
        let own: f64 = largest(&told.moment, NUMBERS, |number| number.1).map(|n| n.1).sum();
        bars.push(bar(format!("known: {} more", told.moment.len() - shown), all - own));
    }
    let known = match told.moment.is_empty() {
        true => "",
        false => " “Known” are numbers that the model is told at the moment of the question.",
    };
    Picture {
        file: "causes.svg",
        title: "What speaks for the answer, and what against it".to_owned(),
        caption: format!(
            "Shares in the logit by integrated gradients, the largest first; to the right: raises the \
             answer.{known}"
        ),
        draw: Box::new(move |width| signed(&bars, width)),
    }
}

/// A share with its sign, in hundredths: finer is noise to a reader.
fn signed_number(value: f64) -> String {
    let value = (100.0 * value).round() / 100.0;
    if value > 0.0 { format!("+{}", plain(value)) } else { plain(value) }
}

/// The largest by size, whatever the sign.
fn largest<T>(all: &[T], most: usize, of: impl Fn(&T) -> f64) -> impl Iterator<Item = &T> {
    let mut order: Vec<&T> = all.iter().collect();
    order.sort_by(|a, b| of(b).abs().total_cmp(&of(a).abs()));
    order.into_iter().take(most)
}

/// The section of answers.
pub(super) fn section(picture: &dyn Fn(&str) -> Html) -> Section {
    let mut section = Section::new("events", "Event by event");
    section.push(picture("answers.svg"));
    section
}

/// The section of what carried the answer.
pub(super) fn carried(told: &Explained, picture: &dyn Fn(&str) -> Html) -> Section {
    let mut section = Section::new("causes", "What carried it");
    section.push(picture("causes.svg"));
    section.subheading("The events in their order");
    let skipped = told.events.len().saturating_sub(ROWS);
    if skipped > 0 {
        section.note(format!(
            "The last {ROWS} of {}; all of them are in explanation.json.",
            counted(told.events.len() as u64, "event")
        ));
    }
    let mut table =
        Table::new(&["event", "#when", "#answer after it", "#share in the logit", "#without it"]);
    for event in told.events.iter().skip(skipped) {
        let name = [event.kind.as_str(), event.item.as_str()].join(" ");
        table.row([
            Html::name(name.trim()),
            Html::text(&event.time),
            Html::text(told.say(event.answer)),
            Html::text(signed_number(event.attribution)),
            // What the answer would lose is told as what it would become.
            Html::text(event.occlusion.map_or("–".to_owned(), |lost| signed_number(-lost))),
        ]);
    }
    section.push(table.html());
    section.note("“Without it”: how the logit would change, had the event not happened.");
    section
}
