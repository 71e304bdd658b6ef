//! When people come, how long they stay, how far they get, and who is none.

use events::{Bin, Busy, Kinds, Report, Spread};

use super::head::day_range;
use crate::chart::{Columns, FULL, HALF, Heat, Row, Stage, columns, figure, funnel, heat, rows};
use crate::html::Html;
use crate::number::{count, counted, part, per_cent, plain, seconds};
use crate::page::{Section, Table, beside, code};

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// Events over time, and by weekday and hour.
pub(super) fn time(report: &Report) -> Section {
    let mut section = Section::new("time", "When");
    let Some(calendar) = &report.calendar else {
        section.say("The log has no times: nothing can be said about hours, days and pauses.");
        return section;
    };
    let unit = calendar.unit_s.saturating_mul(1000);
    let end = calendar.start.saturating_add(unit.saturating_mul(calendar.bins.len() as i64));
    let each = match calendar.unit.split_once(' ') {
        Some(_) => format!("every {}", calendar.unit),
        None => format!("per {}", calendar.unit),
    };
    let mut caption = format!(
        "{}, by the clock of {}. The first and the last bar may be incomplete.",
        day_range(calendar.start, end),
        report.time_zone,
    );
    let outside = calendar.before + calendar.after;
    if outside > 0 {
        caption += &format!(
            " {} at strange times are not drawn: {} before, {} after.",
            counted(outside, "event"),
            count(calendar.before),
            count(calendar.after)
        );
    }
    let what = Columns { bins: &calendar.bins, start: calendar.start, unit, of: "events" };
    section.push(figure(&format!("Events {each}"), &caption, FULL, |width| columns(what, width)));
    if let Some(silence) = calendar.silence {
        let long = silence.until.saturating_sub(silence.from) as f64 / 1000.0;
        section.note(format!(
            "The longest time without an event: {}, from {}.",
            seconds(long),
            crate::chart::date(silence.from)
        ));
    }
    match calendar.hours {
        Some(hours) => {
            let counts: Vec<Vec<u64>> = hours.iter().map(|hours| hours.to_vec()).collect();
            let names: Vec<String> = (0..24).map(|hour| format!("{hour:02}:00")).collect();
            let title = "Events by weekday and hour";
            let most = counts.iter().flatten().max().copied().unwrap_or(0);
            let caption = format!(
                "Clock of {}; the darkest cell has {} events.",
                report.time_zone,
                count(most)
            );
            section.push(figure(title, &caption, FULL, |width| {
                let every = if width < HALF { 6 } else { 3 };
                let (rows, columns) = (&DAYS, &names);
                heat(Heat { counts: &counts, rows, columns, every, of: "events" }, width)
            }));
        }
        None => {
            let total: u64 = calendar.weekdays.iter().sum();
            let all: Vec<Row> = DAYS
                .iter()
                .zip(calendar.weekdays)
                .map(|(name, events)| Row {
                    name: (*name).to_owned(),
                    value: events as f64,
                    label: format!("{} · {}", count(events), part(events, total)),
                    pale: false,
                })
                .collect();
            let caption = "The clock of this log ticks in days: it knows no hours.";
            let title = "Events by weekday";
            section.push(beside([figure(title, caption, HALF, |width| rows(&all, None, width))]));
        }
    }
    section
}

/// Lengths of sessions and pauses.
pub(super) fn sessions(report: &Report) -> Section {
    let mut section = Section::new("sessions", "Sessions");
    let lengths = &report.lengths;
    let n = lengths.events.count;
    let single = match lengths.single {
        0 => "None is a single event.".to_owned(),
        single => {
            let share = part(single, n);
            format!("{share} of them are a single event, which teaches no next item.")
        }
    };
    section.say(format!(
        "Of {}, half have {} or fewer. {single}",
        counted(n, "session"),
        counted(lengths.events.median as u64, "event"),
    ));
    let name = |bin: &Bin| match bin.to {
        to if to.is_infinite() => format!("{} or more", count(bin.from as u64)),
        to if to - bin.from <= 1.0 => count(bin.from as u64),
        to => format!("{}–{}", count(bin.from as u64), count(to as u64 - 1)),
    };
    let bars: Vec<Row> = lengths
        .bins
        .iter()
        .map(|bin| Row {
            name: name(bin),
            value: bin.count as f64,
            label: part(bin.count, n),
            pale: false,
        })
        .collect();
    let bars = without_voids(bars);
    let long =
        figure("Events a session", "Share of sessions", HALF, |width| rows(&bars, None, width));
    let pauses = report.pauses.as_ref().filter(|pauses| pauses.seconds.count > 0);
    let still = match (pauses, &report.calendar) {
        (Some(pauses), _) => {
            let n = pauses.seconds.count;
            let gap = pauses.gap;
            let mut all = vec![Row {
                name: "none".to_owned(),
                value: pauses.none as f64,
                label: part(pauses.none, n),
                pale: true,
            }];
            all.extend(pauses.bins.iter().map(|bin| Row {
                name: pause(bin),
                value: bin.count as f64,
                label: part(bin.count, n),
                pale: gap.is_some_and(|gap| bin.from >= gap),
            }));
            let at = gap.and_then(|gap| pauses.bins.iter().position(|bin| bin.from >= gap));
            let word = gap.map(|gap| format!("a session ends after {}", seconds(gap)));
            let mark = at.zip(word.as_deref()).map(|(at, word)| (at + 1, word));
            let who = if lengths.events_of_user.is_some() { "a user" } else { "a session" };
            let caption = format!("Share of pauses between two events of {who}");
            figure("Pauses", &caption, HALF, |width| rows(&all, mark, width))
        }
        (None, None) => quiet("Pauses", "The log has no times, and so no pauses."),
        (None, Some(_)) => quiet("Pauses", "Nobody has two events."),
    };
    section.push(beside([long, still]));
    let mut table = Table::new(&[
        "", "#mean", "#10 %", "#25 %", "#median", "#75 %", "#90 %", "#99 %", "#largest",
    ]);
    spread(&mut table, "Events a session", &lengths.events, plain);
    if let Some(of_user) = &lengths.events_of_user {
        spread(&mut table, "Events a user", of_user, plain);
    }
    if let Some(of_user) = &lengths.sessions_of_user {
        spread(&mut table, "Sessions a user", of_user, plain);
    }
    if let Some(pauses) = pauses {
        spread(&mut table, "Pause", &pauses.seconds, seconds);
        if pauses.in_session.count > 0 {
            spread(&mut table, "Pause in a session", &pauses.in_session, seconds);
        }
    }
    section.push(table.html());
    section.note("“90 %” is the smallest value that nine tenths do not exceed.");
    section
}

fn quiet(title: &str, line: &str) -> Html {
    let words = [Html::element("b", &[], Html::text(title)), Html::text(line)];
    let caption = Html::element("figcaption", &[], words.into_iter().collect());
    Html::element("figure", &[], caption)
}

fn spread(table: &mut Table, name: &str, of: &Spread, write: fn(f64) -> String) {
    let values = [of.mean, of.p10, of.p25, of.median, of.p75, of.p90, of.p99, of.max];
    table
        .row(std::iter::once(Html::text(name)).chain(values.map(|value| Html::text(write(value)))));
}

/// Bars without long runs of empty ones in the middle, as a robot's session leaves.
fn without_voids(bars: Vec<Row>) -> Vec<Row> {
    let mut kept = Vec::new();
    for run in bars.chunk_by(|a, b| (a.value == 0.0) == (b.value == 0.0)) {
        if run.len() < 3 || run[0].value > 0.0 {
            kept.extend_from_slice(run);
        } else {
            kept.push(Row { name: "…".to_owned(), label: String::new(), ..run[0].clone() });
        }
    }
    kept
}

/// A bin of pauses in words.
fn pause(bin: &Bin) -> String {
    if bin.to.is_infinite() {
        return format!("{} or more", seconds(bin.from));
    }
    if bin.to <= 1.0 {
        return "under 1 s".to_owned();
    }
    let unit = |seconds: f64| match seconds {
        s if s < 60.0 => (s, "s"),
        s if s < 3600.0 => (s / 60.0, "min"),
        s if s < 86_400.0 => (s / 3600.0, "h"),
        s if s < 2.0 * 86_400.0 => (s / 86_400.0, "day"),
        s => (s / 86_400.0, "days"),
    };
    let ((from, a), (to, b)) = (unit(bin.from), unit(bin.to));
    if a == b { format!("{from}–{to} {b}") } else { format!("{from} {a}–{to} {b}") }
}

/// Who gets how far, and what follows what.
pub(super) fn kinds(report: &Report) -> Section {
    let mut section = Section::new("kinds", "Kinds of events");
    let Some(kinds) = &report.kinds else {
        section.say("The log does not say of what kind its events are: there is no funnel.");
        return section;
    };
    if let [only] = &kinds.kinds[..] {
        section.push(
            [
                Html::raw("<p>"),
                Html::text("All events are of one kind, "),
                code(&only.name),
                Html::text(": there is no funnel."),
                Html::raw("</p>"),
            ]
            .into_iter()
            .collect(),
        );
        return section;
    }
    let total: u64 = kinds.kinds.iter().map(|kind| kind.events).sum();
    let sessions = report.lengths.events.count;
    let mut table =
        Table::new(&["kind", "taken for", "#events", "#of all", "#sessions", "#of all"]);
    for kind in &kinds.kinds {
        table.row([
            Html::name(&kind.name),
            Html::text(kind.means.unwrap_or("–")),
            Html::text(count(kind.events)),
            Html::text(part(kind.events, total)),
            Html::text(count(kind.sessions)),
            Html::text(part(kind.sessions, sessions)),
        ]);
    }
    section.push(table.html());
    if kinds.funnels.is_empty() {
        section.say("Fewer than two of these mean view, cart or purchase: there is no funnel.");
    }
    let each = kinds.funnels.iter().map(|of| {
        let stages: Vec<Stage> = of
            .stages
            .iter()
            .map(|stage| Stage { name: stage.stage.to_owned(), through: stage.through })
            .collect();
        let title = format!("From {} to {}", stages[0].name, stages[stages.len() - 1].name);
        let without = of.stages.iter().skip(1).filter(|stage| stage.with > stage.through);
        let without: Vec<String> = without
            .map(|stage| format!("{} a {}", count(stage.with - stage.through), stage.stage))
            .collect();
        let more = match without.is_empty() {
            true => String::new(),
            false => format!(" {} have one without those before.", without.join(", ")),
        };
        let caption = format!(
            "Of {} {}, those that have a stage and all before it, in whatever order.{more}",
            count(of.all),
            of.of
        );
        figure(&title, &caption, HALF, |width| funnel(&stages, of.all, width))
    });
    section.push(beside(each));
    section.subheading("What comes next in the session");
    section.push(next(kinds));
    section
}

fn next(kinds: &Kinds) -> Html {
    let mut html = Html::new();
    html.open("div", &[("class", &"scroll"), ("tabindex", &"0")]);
    html.open("table", &[]);
    let names = || kinds.kinds.iter().map(|kind| kind.name.as_str());
    let head = names()
        .chain(["end"])
        .map(|name| Html::element("th", &[("class", &"n")], Html::name(name)));
    let head: Html =
        std::iter::once(Html::element("th", &[], Html::text("after a"))).chain(head).collect();
    html.add("thead", &[], Html::element("tr", &[], head));
    html.open("tbody", &[]);
    for (name, row) in names().zip(&kinds.next) {
        let total: u64 = row.iter().sum();
        let cells = row.iter().map(|&times| {
            let class = if 10 * times < total { "n dim" } else { "n" };
            Html::element("td", &[("class", &class)], Html::text(part(times, total)))
        });
        let first = Html::element("td", &[], Html::name(name));
        html.add("tr", &[], std::iter::once(first).chain(cells).collect());
    }
    html.close("tbody");
    html.close("table");
    html.close("div");
    html
}

/// What rules find, and who does most.
pub(super) fn suspicious(report: &Report) -> Section {
    let mut section = Section::new("suspicious", "Suspicious");
    let found = &report.suspicious;
    section.say(format!(
        "What the rules of --clean find, each by itself and nothing left out. Rules about users look at \
         {}s.",
        found.actor
    ));
    let mut table = Table::new(&["rule", "#events", "#users or sessions", "~the first of them"]);
    for judged in &found.rules {
        let of = &judged.finding;
        let mut words = Html::new();
        if let Some(idle) = &judged.idle {
            let why = format!("not judged: {idle}. ");
            words.add("span", &[("class", &"dim")], Html::text(why));
        } else if of.events == 0 {
            words.add("span", &[("class", &"dim")], Html::text("nothing found"));
        }
        for (k, example) in of.examples.iter().take(3).enumerate() {
            if k > 0 {
                words.push(Html::raw("<br>"));
            }
            words.push(Html::text(example.chars().take(160).collect::<String>()));
        }
        let groups = if of.groups > 0 { count(of.groups) } else { "–".to_owned() };
        let events = if of.applies { count(of.events) } else { "–".to_owned() };
        table.row([code(&of.rule), Html::text(events), Html::text(groups), words]);
    }
    section.push(table.html());
    let longest = ("The longest sessions".to_owned(), &found.longest);
    // Where sessions act, the busiest of them are the longest.
    let busiest = (found.actor != "session")
        .then(|| (format!("{}s with the most events", capital(found.actor)), &found.busiest));
    for (title, all) in busiest.into_iter().chain([longest]) {
        section.subheading(title);
        section.push(busy(all));
    }
    section
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

fn busy(all: &[Busy]) -> Html {
    let mut table =
        Table::new(&["who", "#events", "#of all", "#items", "#most in an hour", "#first event"]);
    for one in all {
        table.row([
            Html::name(&one.name),
            Html::text(count(one.events)),
            Html::text(per_cent(one.share)),
            Html::text(count(one.items)),
            Html::text(one.in_an_hour.map_or("–".to_owned(), count)),
            Html::text(one.first.as_deref().map_or("–".to_owned(), |first| {
                first.replace('T', " ").trim_end_matches('Z').to_owned()
            })),
        ]);
    }
    table.html()
}
