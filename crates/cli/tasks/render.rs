//! Tables of tasks.

use serde_json::Value;
use train::tasks::Task;

use crate::output::{Style, Table, count, decimal, per_cent};

/// The figures of a task in words.
pub(crate) struct TaskTable {
    pub(crate) task: String,
    /// How much was asked.
    pub(crate) cases: String,
    pub(crate) columns: Vec<&'static str>,
    /// Names and figures, those of the model first.
    pub(crate) rows: Vec<(String, Vec<String>)>,
    gains: String,
}

/// The tables of all tasks beside the next item, as the figures of `--json` have them.
pub(crate) fn tables(tasks: &Value) -> Vec<TaskTable> {
    let all = tasks.as_object().into_iter().flatten();
    all.filter(|(task, _)| *task != Task::NextItem.name()).map(table).collect()
}

fn table((task, figures): (&String, &Value)) -> TaskTable {
    let keys: &[&'static str] = if figures.get("brier").is_some() {
        &["auc", "average_precision", "log_loss", "brier", "ece", "lift@0.1"]
    } else if figures.get("rmse").is_some() {
        &["rmse", "mae", "spearman", "pearson", "bias_of_total"]
    } else {
        &["accuracy", "log_loss", "macro_auc"]
    };
    let row = |name: &str, figures: &Value| {
        let cell = |key: &&str| figures.get(*key).map_or("-".to_owned(), |value| shown(key, value));
        (name.to_owned(), keys.iter().map(cell).collect())
    };
    let mut rows = vec![row("this model", figures)];
    for (name, figures) in figures["baselines"].as_object().into_iter().flatten() {
        rows.push(row(&name.replace('_', " "), figures));
    }
    let cases = count(figures["cases"].as_u64().unwrap_or(0));
    let positives = figures.get("positives").and_then(Value::as_u64);
    let positives = positives.map_or(String::new(), |n| format!(", {} of them yes", count(n)));
    TaskTable {
        task: task.clone(),
        cases: format!("{cases} questions{positives}"),
        columns: keys.iter().map(|key| short(key)).collect(),
        rows,
        gains: gains(&figures["gains"]),
    }
}

/// The same for a terminal.
pub(crate) fn render(tasks: &Value, style: Style, before: &str) -> String {
    let mut text = String::new();
    for TaskTable { task, cases, columns, rows, gains } in tables(tasks) {
        let mut table = Table::new(std::iter::once("").chain(columns));
        for (place, (name, cells)) in rows.into_iter().enumerate() {
            let row = std::iter::once(name).chain(cells);
            match place {
                0 => table.bold_row(row),
                _ => table.row(row),
            }
        }
        let head = format!("{before}{task}: {cases}");
        text += &format!("\n{}\n{}{gains}", style.bold(&head), table.render(style));
    }
    text
}

/// What is gained over the best baseline, where it was asked.
fn gains(gains: &Value) -> String {
    let line = |(figure, gain): (&String, &Value)| {
        let over = gain["over"].as_str().unwrap_or("").replace('_', " ");
        let [estimate, low, high] = ["estimate", "low", "high"].map(|key| shown("", &gain[key]));
        // Above 0 is better, whichever way a figure goes.
        let how = match estimate.starts_with('-') {
            _ if estimate.chars().all(|c| ['0', '.', '-'].contains(&c)) => "no better",
            true => "worse",
            false => "better",
        };
        let by = estimate.trim_start_matches('-');
        let figure = figure.replace('_', " ");
        format!(
            "  {how} than {over} by {by} in {figure} (gain with users drawn anew, 95 %: {low} to \
             {high})\n"
        )
    };
    gains.as_object().into_iter().flatten().map(line).collect()
}

fn short(key: &'static str) -> &'static str {
    match key {
        "average_precision" => "av. precision",
        "bias_of_total" => "bias of total",
        "log_loss" => "log loss",
        "macro_auc" => "auc, mean of kinds",
        other => other,
    }
}

fn shown(key: &str, value: &Value) -> String {
    match (key, value.as_f64()) {
        (_, None) => "-".to_owned(),
        ("bias_of_total" | "accuracy", Some(value)) => per_cent(value),
        (_, Some(value)) => decimal(value),
    }
}
