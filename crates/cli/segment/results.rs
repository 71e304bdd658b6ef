//! What segments look like in files and on the terminal.

use std::path::Path;

use cluster::{Grouping, Map, NOISE, Options};
use events::{Log, group_marks};
use insight::segments::Segments;
use serde_json::{Value, json};
use train::represent::Histories;

use super::FILES;
use crate::evaluate::quoted;
use crate::machine::peak_rss;
use crate::output::{Style, Table, count, per_cent, seconds};

/// `segments.csv`: a line for everybody. Segments count from 1; nothing stands where there is none.
pub(super) fn places(log: &Log, histories: &Histories, grouping: &Grouping, map: &Map) -> String {
    let key = if histories.rows.of_users { "user" } else { "session" };
    let mut text = format!("{key},segment,x,y\n");
    for (row, (&group, [x, y])) in grouping.labels.iter().zip(&map.places).enumerate() {
        let segment = if group == NOISE { String::new() } else { (group + 1).to_string() };
        text += &format!("{},{segment},{x:.4},{y:.4}\n", quoted(&histories.name(row, log)));
    }
    text
}

/// `segments.json`: the figures of the page. Nothing in it differs from run to run.
pub(super) fn figures(segments: &Segments<'_>, model: &Path, options: &Options) -> Value {
    let found = segments.found;
    let all = &segments.portraits.all;
    let each = segments.portraits.groups.iter().enumerate().map(|(at, portrait)| {
        let typical = segments.typical[at]
            .iter()
            .map(|one| json!({ "name": one.name, "portrait": one.portrait }));
        json!({
            "segment": at + 1,
            "name": segments.names[at],
            "users": portrait.users,
            "share": portrait.users as f64 / all.users.max(1) as f64,
            "marks": group_marks(portrait, all),
            "portrait": portrait,
            "typical": typical.collect::<Vec<_>>(),
        })
    });
    let agreement = &found.agreement;
    let mean = agreement.iter().sum::<f64>() / agreement.len() as f64;
    json!({
        "log": segments.log,
        "model": model.display().to_string(),
        "of": if segments.of_users { "user" } else { "session" },
        "users": found.users,
        "unknown": found.unknown,
        "nowhere": found.nowhere,
        "method": found.method,
        "clusters": segments.names.len(),
        "asked": found.asked,
        "candidates": found.tried.iter().map(|t| json!({
            "clusters": t.clusters,
            "silhouette": t.silhouette,
            "stability": t.stability,
            "within": t.within,
            "bic": t.bic,
        })).collect::<Vec<_>>(),
        "silhouette": found.silhouette,
        "seeds": { "mean": mean, "pairs": agreement },
        "seed": options.seed,
        "sample": found.sample,
        "numbers": found.width,
        "directions": { "steady": found.steady, "worth": found.worth },
        "purchases_by": segments.portraits.purchases_by,
        "time_zone": segments.portraits.time_zone,
        "segments": each.collect::<Vec<_>>(),
        "all": all,
    })
}

/// What `--json` prints.
pub(super) fn summary(figures: &Value, out: &Path, wall: f64) -> Value {
    let each = figures["segments"].as_array().into_iter().flatten();
    let each = each.map(|one| {
        json!({
            "segment": one["segment"],
            "name": one["name"],
            "users": one["users"],
            "share": one["share"],
        })
    });
    json!({
        "out": out.display().to_string(),
        "of": figures["of"],
        "users": figures["users"],
        "clusters": figures["clusters"],
        "method": figures["method"],
        "silhouette": figures["silhouette"],
        "stability": figures["seeds"]["mean"],
        "nowhere": figures["nowhere"],
        "unknown": figures["unknown"],
        "sample": figures["sample"],
        "segments": each.collect::<Vec<_>>(),
        "wall_s": wall,
        "peak_rss": peak_rss(),
    })
}

pub(super) fn render(segments: &Segments<'_>, out: &Path, wall: f64) -> String {
    let style = Style::for_stdout();
    let all = &segments.portraits.all;
    let who = if segments.of_users { "users" } else { "sessions" };
    let mut table = Table::left(["", "segment", who, "of all"]);
    let rows = segments.portraits.groups.iter().zip(segments.names).enumerate();
    for (at, (portrait, name)) in rows {
        let share = portrait.users as f64 / all.users.max(1) as f64;
        table.row([(at + 1).to_string(), name.clone(), count(portrait.users), per_cent(share)]);
    }
    let mut text = table.render(style);
    if segments.found.nowhere > 0 {
        text += &format!("  {} {who} belong to none\n", count(segments.found.nowhere));
    }
    let out = out.display();
    text += &format!(
        "  {}\n\nThe page is {}\n",
        seconds(wall),
        style.bold(&format!("{out}/{}", FILES[1]))
    );
    text
}
