//! The page that `train` leaves beside a model: what it holds, from what has come of the run.

use std::path::Path;

use anyhow::Result;
use events::Split;
use insight::training::{Comparison, Curve, Epoch, Point, Setting, Training, Warning, page};
use toml::Table;
use train::doubts::Doubt;
use train::tasks::TaskSettings;
use train::{Data, EpochReport, Outcome, Validation};

use crate::figures;
use crate::output::{count, seconds};
use crate::settings::Settings;
use crate::tasks;

/// What a page tells of beside the outcome.
pub(crate) struct Told<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) out: &'a Path,
    pub(crate) data: &'a Data,
    pub(crate) kernel: &'a str,
    /// Doubts from before the run, then those of the run.
    pub(crate) doubts: &'a [Doubt],
    /// Everything else that was warned of.
    pub(crate) notes: Vec<String>,
    /// Seconds so far, reading and all.
    pub(crate) wall: f64,
}

/// The page of a run.
pub(crate) fn of(told: &Told<'_>, outcome: &Outcome) -> Result<String> {
    let name = told.out.canonicalize().unwrap_or_else(|_| told.out.to_owned());
    let name = name.file_name().map(|name| name.to_string_lossy().into_owned());
    let epoch = |report: &EpochReport| Epoch {
        loss: report.loss.unwrap_or(f64::NAN),
        learning_rate: report.learning_rate,
        seconds: report.seconds,
    };
    let point = |point: &train::Point| Point {
        epochs: point.epochs,
        loss: point.loss,
        learning_rate: point.learning_rate,
    };
    let warning =
        |doubt: &Doubt| Warning { message: doubt.message.clone(), remedy: doubt.remedy.clone() };
    Ok(page(&Training {
        title: name.unwrap_or_else(|| "model".to_owned()),
        sizes: sizes(told.data, outcome),
        facts: facts(told, outcome),
        warnings: told.doubts.iter().map(warning).collect(),
        notes: told.notes.clone(),
        epochs: outcome.history.iter().map(epoch).collect(),
        points: outcome.points.iter().map(point).collect(),
        best_epoch: outcome.best_epoch,
        curves: curves(outcome),
        comparisons: comparisons(outcome),
        settings: changed(told.settings)?,
    }))
}

fn sizes(data: &Data, outcome: &Outcome) -> Vec<(String, String)> {
    let short = |number: usize| insight::number::short(number as f64);
    let rows = if data.tasks.is_some() { "users" } else { "sessions" };
    let [steps, items] = words(data);
    let sizes = [
        (short(data.train.len()), rows),
        (short(data.train.items.len()), steps),
        (short(data.knowledge.vocabulary.items()), items),
        (short(outcome.parameters), "parameters"),
        (outcome.epochs.to_string(), if outcome.epochs == 1 { "epoch" } else { "epochs" }),
        (insight::number::seconds(outcome.training_s), "of training"),
    ];
    sizes.into_iter().map(|(value, name)| (value, name.to_owned())).collect()
}

/// What a model reads: events of items, or periods of classes where it is rolled forward.
fn words(data: &Data) -> [&'static str; 2] {
    match data.knowledge.tasks.as_ref().is_some_and(|tasks| tasks.ahead.is_some()) {
        true => ["periods", "classes"],
        false => ["events", "items"],
    }
}

fn facts(told: &Told<'_>, outcome: &Outcome) -> Vec<(String, String)> {
    let Told { settings, data, .. } = told;
    let logs: Vec<String> =
        settings.data.logs.iter().map(|log| log.display().to_string()).collect();
    let rows = if data.tasks.is_some() { "users" } else { "sessions" };
    let [steps, items] = words(data);
    let mut facts = vec![
        ("Model", told.out.display().to_string()),
        ("Log", logs.join(", ")),
        (
            // With tasks these are whole users, with what is held back of them.
            if data.tasks.is_some() { "In the log" } else { "Learned from" },
            format!(
                "{} {rows} with {} {steps} of {} {items}",
                count(data.train.len()),
                count(data.train.items.len()),
                count(data.knowledge.vocabulary.items())
            ),
        ),
    ];
    if !data.validation.is_empty() {
        let predictions = count(data.validation.len());
        facts.push(("Validated on", format!("{predictions} predictions of the next item")));
    }
    if let Some(tasks) = data.tasks.as_ref().filter(|tasks| !tasks.validation.is_empty()) {
        let (asked, follows) = (tasks.validation.asked.len(), tasks.validation.follows());
        let parts =
            [(asked, "questions about what comes"), (follows, "events and what follows them")];
        let parts = parts.iter().filter(|part| part.0 > 0);
        let parts: Vec<_> = parts.map(|(n, what)| format!("{} {what}", count(*n))).collect();
        facts.push(("Validated on", parts.join(", ")));
    }
    let early = if outcome.stopped_early { ", stopped early" } else { "" };
    let of = settings.training.epochs;
    facts.push((
        "Epochs",
        format!("{} of {of}{early}; kept: {}", outcome.epochs, outcome.best_epoch),
    ));
    facts.push(("Cell", format!("{}, {}", settings.model.cell, widths(settings))));
    let rate = count(outcome.events_per_s as u64);
    facts.push((
        "Time",
        format!(
            "{} of training at {rate} events/s; {} with reading and validation",
            seconds(outcome.training_s),
            seconds(told.wall)
        ),
    ));
    facts.push(("Arithmetic", format!("{}, seed {}", told.kernel, settings.seed())));
    facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn widths(settings: &Settings) -> String {
    let model = &settings.model;
    let units: Vec<String> = (0..model.layers).map(|l| model.dims(l).hidden.to_string()).collect();
    let layers = if model.layers == 1 { "one layer" } else { "layers" };
    format!("{layers} of {} units", units.join(", "))
}

/// What validation has said after each epoch.
fn curves(outcome: &Outcome) -> Vec<Curve> {
    let mut curves = Vec::new();
    if let Some(Validation { baselines, .. }) = &outcome.validation {
        for wanted in ["recall@20", "mrr@20"] {
            let figure = |metrics: &train::metrics::Metrics| {
                let found = metrics.by_name().into_iter().find(|(name, _)| *name == wanted);
                found.map_or(f64::NAN, |(_, figure)| figure)
            };
            let value = |report: &EpochReport| report.validation.as_ref().map_or(f64::NAN, figure);
            let others = baselines.by_name().into_iter();
            curves.push(Curve {
                title: wanted.to_owned(),
                is_share: true,
                values: outcome.history.iter().map(value).collect(),
                others: others.map(|(name, m)| (name.to_owned(), figure(m))).collect(),
            });
        }
    }
    let tasks = outcome.history.first().into_iter().flat_map(|report| report.losses.keys());
    for task in tasks {
        let value = |report: &EpochReport| report.losses.get(task).copied().unwrap_or(f64::NAN);
        curves.push(Curve {
            title: format!("{task}: validation loss"),
            is_share: false,
            values: outcome.history.iter().map(value).collect(),
            others: Vec::new(),
        });
    }
    curves
}

fn comparisons(outcome: &Outcome) -> Vec<Comparison> {
    let mut all = Vec::new();
    if let Some(Validation { model, baselines }) = &outcome.validation {
        let others = baselines.by_name().into_iter();
        let rows = std::iter::once(("this model", model)).chain(others);
        let row = |(name, metrics)| {
            let cells = figures::row(name, metrics);
            (cells[0].clone(), cells[1..].to_vec())
        };
        all.push(Comparison {
            title: "Next item".to_owned(),
            note: format!(
                "{} predictions, {} of a target that training never saw",
                count(model.cases),
                count(model.unknown_targets)
            ),
            columns: figures::FIGURES.map(str::to_owned).to_vec(),
            rows: rows.map(row).collect(),
        });
    }
    for table in tasks::tables(&outcome.tasks) {
        all.push(Comparison {
            title: table.task,
            note: table.cases,
            columns: table.columns.into_iter().map(str::to_owned).collect(),
            rows: table.rows,
        });
    }
    all
}

/// The settings that are not what they would be if nobody had said anything.
fn changed(settings: &Settings) -> Result<Vec<Setting>> {
    let mut usual = Settings { seed: Some(1), threads: settings.threads, ..Settings::default() };
    usual.device = Some("auto".to_owned());
    // What the page tells elsewhere, and what a run fills in for itself.
    usual.out.clone_from(&settings.out);
    usual.data.logs.clone_from(&settings.data.logs);
    usual.data.split = Some(match &settings.data.validate {
        Some(_) => "none".to_owned(),
        None => Split::default().to_string(),
    });
    let whole_users = tasks::are_asked(&settings.task);
    usual.data.min_support = Some(if whole_users { tasks::MIN_SUPPORT } else { 1 });
    if settings.data.sessions.as_deref() == Some("auto") {
        usual.data.sessions = Some("auto".to_owned());
    }
    let [own, usual] = [settings, &usual].map(|settings| settings.to_toml());
    let (own, mut usual): (Table, Table) = (toml::from_str(&own?)?, toml::from_str(&usual?)?);
    // A table of nothing but defaults is not written.
    usual.insert("tasks".to_owned(), toml::Value::try_from(TaskSettings::default())?);
    let mut found = Vec::new();
    compare("", &own, &usual, &mut found);
    Ok(found)
}

fn compare(before: &str, own: &Table, usual: &Table, found: &mut Vec<Setting>) {
    for (key, value) in own {
        let name = format!("{before}{key}");
        match (value, usual.get(key)) {
            (_, Some(same)) if same == value => {}
            (toml::Value::Table(own), Some(toml::Value::Table(usual))) => {
                compare(&format!("{name}."), own, usual, found);
            }
            (toml::Value::Table(own), _) => {
                compare(&format!("{name}."), own, &Table::new(), found);
            }
            (value, usual) => {
                let default = usual.map_or(String::new(), toml::Value::to_string);
                found.push(Setting { key: name, value: value.to_string(), default });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_said_is_told_of_the_settings() {
        let mut settings = Settings { seed: Some(1), threads: Some(7), ..Settings::default() };
        settings.device = Some("auto".to_owned());
        settings.out = Some("model".into());
        settings.data.logs = vec!["a.csv".into()];
        settings.data.split = Some(Split::default().to_string());
        settings.data.min_support = Some(1);
        settings.data.sessions = Some("auto".to_owned());
        assert_eq!(changed(&settings).unwrap(), []);
        settings.model.hidden = 64;
        settings.model.dropout.input = 0.3;
        settings.data.features = Some("kind".to_owned());
        settings.seed = Some(3);
        settings.tasks.horizon = Some("7d".to_owned());
        let found = changed(&settings).unwrap();
        let told = |key: &str| {
            let setting = found.iter().find(|setting| setting.key == key);
            setting.map(|setting| (setting.value.as_str(), setting.default.as_str()))
        };
        assert_eq!(told("model.hidden"), Some(("64", "100")));
        assert_eq!(told("model.dropout.input").unwrap().0, "0.3");
        assert_eq!(told("data.features"), Some(("\"kind\"", "")));
        assert_eq!(told("seed"), Some(("3", "1")));
        assert_eq!(told("tasks.horizon"), Some(("\"7d\"", "")));
        assert_eq!(found.len(), 5, "{found:?}");
    }
}
