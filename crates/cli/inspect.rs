//! `tidegate inspect`: what is in a log, or what its columns seem to be for.

use std::io::Write;

use anyhow::Result;
use events::{
    CleanReport, CleanRule, CleanRules, Format, Log, Report, SessionOptions, Sessions, Suggestion,
    Summary, clean, clean_sessions,
};
use insight::inspect::{Call, page};
use serde::Serialize;
use serde_json::json;

use crate::args::{Common, Inspect};
use crate::output::{Style, count, per_cent, print, print_json, shown};
use crate::progress::{end_at_interrupts, warn};
use crate::reading::{findings, read_log, warn_of_settled};
use crate::score_fill;
use crate::settings::{DataSettings, Settings};
use crate::target::Target;

pub(crate) fn run(common: &Common, args: &Inspect) -> Result<()> {
    let mut settings = Settings::load(common, None)?;
    settings.overlay(&args.logs, &args.reading);
    settings.data.features = args.features.clone().or(settings.data.features.take());
    settings.announce()?;
    let data = &settings.data;
    if args.suggest {
        let format = data.format.as_deref().map(str::parse::<Format>).transpose()?;
        return tell(&events::suggest(data.logs()?, format)?, settings.json);
    }
    if let Some(column) = &args.score_fill {
        return score_fill::run(&settings, column);
    }
    let clean_rules = args.clean.as_deref().or(data.clean.as_deref());
    let clean_rules = clean_rules.map(str::parse::<CleanRules>).transpose()?.unwrap_or_default();
    let read = data.read_options()?;
    // Before a long log is read, it is known whether there is room for what comes of it.
    end_at_interrupts()?;
    let inputs = [data.logs()?, common.config.as_slice()].concat();
    let target = args.report.as_deref();
    let mut target = target.map(|path| Target::create("--report", path, &inputs)).transpose()?;
    let mut log = read_log(data.logs()?, &read, settings.quiet)?;
    // Its clock is that of the hours and days below.
    let data_but_zone = DataSettings { time_zone: None, ..data.clone() };
    warn_of_settled(&data_but_zone, log.report.sessions.as_ref());
    let options = match log.report.sessions {
        Some(_) => SessionOptions::default(),
        None => data.session_rules()?.options()?,
    };
    let sessions = Sessions::from_log(&log, &options)?;
    let summary = Summary::of(&log, &sessions, data.min_support.unwrap_or(1), data.min_length);
    let wanted = settings.json || target.is_some();
    let report = wanted.then(|| Report::new(&log, &sessions, &summary, &options, &read.zone));
    let report = report.transpose()?;
    let found = suspicious(&mut log, &sessions, clean_rules);
    if let (Some(target), Some(report)) = (&mut target, &report) {
        let page = page(&summary, report, &call(data, common));
        target.write_all(page.as_bytes()).map_err(|error| target.refuse(&error))?;
    }
    target.map(Target::finish).transpose()?;
    if settings.json {
        let mut all = serde_json::to_value(&summary)?;
        all["clean"] = json!(found.rules);
        all["report"] = json!(report);
        if let Some(path) = &args.report {
            all["report_file"] = json!(path.display().to_string());
        }
        return print_json(&all);
    }
    let style = Style::for_stdout();
    let mut text = render(&summary, style);
    for (place, line) in findings(&found).enumerate() {
        let name = if place == 0 { "suspicious" } else { "" };
        text += &line_of(style, name, line);
    }
    if let Some(path) = &args.report {
        text += &format!("\n  The page is {}\n", style.bold(&path.display().to_string()));
    }
    print(&text)
}

/// What rules find. All is counted and nothing left out, so that each rule sees the whole log.
fn suspicious(log: &mut Log, sessions: &Sessions, rules: CleanRules) -> CleanReport {
    let count_only = |rule: CleanRule| CleanRule { count_only: true, ..rule };
    let rules = CleanRules(rules.0.into_iter().map(count_only).collect());
    let mut found = clean(log, &rules);
    if rules.0.iter().any(|rule| rule.check.is_of_sessions()) {
        clean_sessions(log, sessions, &rules, &mut found);
    }
    found
}

/// How the log was read, for commands that read it again.
fn call(data: &DataSettings, common: &Common) -> Call {
    let logs = data.logs.iter().map(|log| log.display().to_string()).collect();
    let config = common.config.as_ref().map(|file| file.display().to_string());
    let flags = [
        ("--config", &config),
        ("--format", &data.format),
        ("--columns", &data.columns),
        ("--sessions", &data.sessions),
        ("--gap", &data.gap),
        ("--time-zone", &data.time_zone),
        ("--from", &data.from),
        ("--until", &data.until),
    ];
    let mut flags: Vec<_> =
        flags.into_iter().filter_map(|(flag, value)| Some((flag, value.clone()?))).collect();
    flags.extend(data.year.map(|year| ("--year", year.to_string())));
    Call { logs, flags }
}

/// A suggestion as a settings file, or as JSON that has the file in it.
fn tell(suggestion: &Suggestion, json: bool) -> Result<()> {
    #[derive(Serialize)]
    struct Told<'a> {
        #[serde(flatten)]
        suggestion: &'a Suggestion,
        missing: Vec<&'static str>,
        toml: String,
    }
    let (missing, toml) = (suggestion.missing(), suggestion.to_toml());
    for role in &missing {
        warn(&format!("no column looks like the {role}: name it in `columns` before use"));
    }
    if json { print_json(&Told { suggestion, missing, toml }) } else { print(&toml) }
}

/// A line of the summary. Names of a log may hold anything, also what moves a terminal's cursor.
fn line_of(style: Style, name: &str, value: String) -> String {
    format!("{}  {}\n", style.dim(&format!("  {name:<10}")), shown(value))
}

fn render(summary: &Summary, style: Style) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        text += &line_of(style, name, value);
    };
    line("format", summary.format.to_string());
    for (place, (role, column)) in summary.columns.iter().enumerate() {
        line(if place == 0 { "columns" } else { "" }, format!("{role} = {column}"));
    }
    if !summary.unused_columns.is_empty() {
        line("", format!("not used: {}", summary.unused_columns.join(", ")));
    }
    let bad = match summary.bad_rows {
        0 => String::new(),
        bad => format!(", {} of them bad", count(bad)),
    };
    line("rows", count(summary.rows) + &bad);
    for (reason, times) in &summary.bad_row_reasons {
        line("", format!("{}: {reason}", count(*times)));
    }
    for (reason, times) in &summary.left_aside {
        line("", format!("{} left aside: {reason}", count(*times)));
    }
    if summary.outside > 0 {
        line("", format!("{} outside --from and --until", count(summary.outside)));
    }
    line("events", count(summary.events));
    if summary.users > 0 {
        line("users", count(summary.users));
    }
    line("items", count(summary.items));
    line("sessions", count(summary.sessions));
    let lengths = &summary.lengths;
    line(
        "lengths",
        format!(
            "mean {:.1}, median {}, 90 % up to {}, 99 % up to {}, longest {}",
            lengths.mean,
            count(lengths.median),
            count(lengths.p90),
            count(lengths.p99),
            count(lengths.max)
        ),
    );
    line(
        "repeats",
        format!(
            "of events after the first of their session, {} bring an item of it again, {} the one \
             just before",
            per_cent(summary.repeats.seen_before),
            per_cent(summary.repeats.same_as_last)
        ),
    );
    for (place, (kind, times)) in summary.kinds.iter().take(12).enumerate() {
        let name = if place == 0 { "kinds" } else { "" };
        line(name, format!("{:>12}  {kind}", count(*times)));
    }
    for (place, column) in summary.further.iter().enumerate() {
        let name = if place == 0 { "further" } else { "" };
        let words = column.words.map(|words| format!("{} words, ", count(words)));
        let words = words.unwrap_or_default();
        line(name, format!("{}: {words}missing in {}", column.name, count(column.missing)));
    }
    if let (Some(first), Some(last)) = (&summary.first, &summary.last) {
        line("span", format!("{first} to {last}"));
    }
    let dropped = &summary.dropped;
    if dropped.items + dropped.sessions > 0 {
        line(
            "left out",
            format!(
                "{} rare items and {} short sessions, if one trained on it",
                count(dropped.items),
                count(dropped.sessions)
            ),
        );
    }
    text
}
