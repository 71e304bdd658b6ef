//! What the log is, and how reading it went.

use events::{Format, Report, Summary};

use crate::chart::date;
use crate::html::Html;
use crate::number::{count, part, short};
use crate::page::{Section, Table, code, facts, figures};

/// Sizes, span, layout, and what is wrong with rows in one line.
pub(super) fn head(summary: &Summary, report: &Report) -> Section {
    let mut section = Section::new("log", "");
    let sizes = [
        (summary.events, "event"),
        (summary.users, "user"),
        (summary.sessions, "session"),
        (summary.items, "item"),
    ];
    let sizes = sizes.into_iter().filter(|&(size, name)| size > 0 || name != "user");
    let sizes: Vec<_> = sizes
        .map(|(size, name)| {
            (short(size as f64), if size == 1 { name.to_owned() } else { format!("{name}s") })
        })
        .collect();
    section.push(figures(&sizes));

    let mut lines = vec![("Format".to_owned(), Html::text(summary.format))];
    let files: Html = (summary.files.iter().take(5).enumerate())
        .flat_map(|(k, file)| [Html::text(if k > 0 { ", " } else { "" }), Html::text(file)])
        .collect();
    let mut files = files;
    if summary.files.len() > 5 {
        files.push_text(format!(" and {} more", summary.files.len() - 5));
    }
    lines.push(("Files".to_owned(), files));
    if !summary.columns.is_empty() {
        let each = summary.columns.iter().enumerate().flat_map(|(k, (role, column))| {
            let comma = Html::text(if k > 0 { ", " } else { "" });
            [comma, Html::text(format!("{role} = ")), code(column)]
        });
        lines.push(("Columns".to_owned(), each.collect()));
    }
    if !summary.unused_columns.is_empty() {
        lines.push(("Not used".to_owned(), Html::text(summary.unused_columns.join(", "))));
    }
    let span = match (&summary.first, &summary.last) {
        (Some(first), Some(last)) => {
            let short = |time: &str| time.replace('T', " ").trim_end_matches('Z').to_owned();
            format!("{} to {} UTC", short(first), short(last))
        }
        _ => "The log has no times; events keep the order of its lines".to_owned(),
    };
    lines.push(("Span".to_owned(), Html::text(span)));
    let by = match report.sessions_by {
        "key" if matches!(summary.format, Format::Sessions | Format::Pairs) => {
            "A line of the file".to_owned()
        }
        "key" => "Events with the same session key".to_owned(),
        "gap" => {
            let gap = report.pauses.as_ref().and_then(|pauses| pauses.gap).unwrap_or(0.0);
            format!("Events of a user without a pause of more than {}", crate::number::seconds(gap))
        }
        _ => "All events of a user".to_owned(),
    };
    lines.push(("Session".to_owned(), Html::text(by)));
    let bad = match summary.bad_rows {
        0 => "none of them bad".to_owned(),
        bad => format!("{} of them bad ({})", count(bad), part(bad, summary.rows)),
    };
    lines.push(("Rows".to_owned(), Html::text(format!("{}, {bad}", count(summary.rows)))));
    for (reason, times) in &summary.left_aside {
        lines.push((String::new(), Html::text(format!("{} left aside: {reason}", count(*times)))));
    }
    if summary.outside > 0 {
        let outside = format!("{} outside --from and --until", count(summary.outside));
        lines.push((String::new(), Html::text(outside)));
    }
    for (k, note) in summary.notes.iter().enumerate() {
        let name = if k == 0 { "Assumed" } else { "" };
        lines.push((name.to_owned(), Html::text(note)));
    }
    section.push(facts(&lines));
    section
}

/// Bad rows, by reason and one by one.
pub(super) fn reading(summary: &Summary) -> Section {
    let mut section = Section::new("rows", "Bad rows");
    if summary.bad_rows == 0 {
        section.say(format!("All {} rows could be read.", count(summary.rows)));
        return section;
    }
    section.say(format!(
        "{} of {} rows could not be used. They are left out of everything above.",
        count(summary.bad_rows),
        count(summary.rows)
    ));
    let mut reasons = Table::new(&["reason", "#rows", "#of the bad ones"]);
    for (reason, times) in &summary.bad_row_reasons {
        let of = part(*times, summary.bad_rows);
        reasons.row([Html::text(reason), Html::text(count(*times)), Html::text(of)]);
    }
    section.push(reasons.html());
    section.subheading("The first of them");
    let mut first = Table::new(&["file", "#line", "reason", "~what stands there"]);
    for bad in &summary.first_bad_rows {
        let line = Html::text(count(bad.line));
        first.row([Html::text(&bad.file), line, Html::text(bad.reason), code(&bad.detail)]);
    }
    section.push(first.html());
    section
}

/// The days from one moment to before another, for those who do not count milliseconds.
pub(super) fn day_range(start: i64, end: i64) -> String {
    match (date(start), date(end.saturating_sub(1))) {
        (first, last) if first == last => first,
        (first, last) => format!("{first} to {last}"),
    }
}
