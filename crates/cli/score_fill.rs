//! `tidegate inspect --score-fill`: how near each way to fill a column comes to what was hidden.

use anyhow::Result;
use events::{
    FeatureSpec, FeatureSpecs, FillScore, HoldOut, How, ReadOptions, ScoreOptions, Source,
    fill_methods, score_fill,
};
use serde_json::{Value, json};

use crate::failure::usage;
use crate::output::{Style, Table, count, per_cent, print, print_json};
use crate::reading::read_log;
use crate::settings::Settings;

/// What is hidden: its name, its share, and what that means.
const HIDDEN: [(&str, HoldOut, f64, &str); 2] = [
    ("rows", HoldOut::Rows, 0.1, "a tenth of the rows that have one"),
    ("users", HoldOut::Users, 0.2, "every second one of a fifth of the users, who teach nothing"),
];

pub(crate) fn run(settings: &Settings, column: &str) -> Result<()> {
    let refuse = |problem: &str| {
        usage(format!("--score-fill {column:?}: {problem}; name one, such as price or brand:label"))
    };
    let spec: FeatureSpec = column.parse().map_err(|_| refuse("is not understood"))?;
    let Source::Column(filled) = &spec.source else {
        return Err(refuse("is no column of a log"));
    };
    let rules = fill_methods(filled, matches!(spec.how, How::Label { .. }))?;
    let further = FeatureSpecs(vec![spec.clone()]).further();
    let options = ReadOptions { further, ..settings.data.read_options()? };
    let log = read_log(settings.data.logs()?, &options, settings.quiet)?;
    let (mut json, mut text) = (serde_json::Map::new(), String::new());
    for (name, hold_out, share, what) in HIDDEN {
        let scored = ScoreOptions { hold_out, share, seed: settings.seed() };
        let scores = score_fill(&log, &rules, &scored)?;
        let hidden = scores.first().map_or(0, |score| score.hidden);
        text += &format!("{} values hidden, {what}\n", count(hidden));
        text += &(render(&scores) + "\n");
        json.insert(name.to_owned(), json!(scores));
    }
    if settings.json {
        return print_json(&json!({ "column": filled.name(), "hidden": Value::Object(json) }));
    }
    print(&text)
}

fn render(scores: &[FillScore]) -> String {
    let mut table =
        Table::new(["method", "answered", "mean", "root of squares", "median", "exact"]);
    let error = |error: Option<f64>| error.map_or("-".to_owned(), |error| format!("{error:.2}"));
    for score in scores {
        table.row([
            score.rule.split_once('=').map_or("", |(_, method)| method).to_owned(),
            per_cent(score.answered as f64 / score.hidden.max(1) as f64),
            error(score.mean_absolute),
            error(score.root_mean_square),
            error(score.median_absolute),
            per_cent(score.exact),
        ]);
    }
    table.render(Style::for_stdout())
}
