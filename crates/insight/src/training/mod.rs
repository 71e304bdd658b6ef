//! The page of a training run: `OUT/report.html`.
//!
//! [`page`] lays out the sections. What stands in it comes ready as numbers and words in a [`Training`]:
//! nothing is computed here but where it stands.

#[cfg(test)]
mod tests;

use crate::chart::{Axis, FULL, HALF, Lines, Mark, Series, figure, linear_ticks, lines};
use crate::html::Html;
use crate::number::{plain, seconds};
use crate::page::{Page, Section, Table, beside, code, facts, figures};

/// A run, as its page tells of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Training {
    /// What it is called: its folder.
    pub title: String,
    /// Large figures: values and what they are.
    pub sizes: Vec<(String, String)>,
    /// What was trained on what, with what: names and values.
    pub facts: Vec<(String, String)>,
    /// Reasons to doubt it.
    pub warnings: Vec<Warning>,
    /// What was said of the log and the settings before.
    pub notes: Vec<String>,
    /// Its epochs.
    pub epochs: Vec<Epoch>,
    /// Loss and learning rate between them.
    pub points: Vec<Point>,
    /// The epoch that was kept, counted from 1.
    pub best_epoch: usize,
    /// What validation has said after each epoch.
    pub curves: Vec<Curve>,
    /// Figures beside those of baselines.
    pub comparisons: Vec<Comparison>,
    /// Settings that are not the defaults.
    pub settings: Vec<Setting>,
}

/// A reason to doubt a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Warning {
    /// What is the matter.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

/// An epoch.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Epoch {
    /// Mean training loss; not a number where it could not be told.
    pub loss: f64,
    /// Learning rate of its last step.
    pub learning_rate: f64,
    /// Training time in seconds.
    pub seconds: f64,
}

/// A moment of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Point {
    /// Epochs so far, with a part of the one at hand.
    pub epochs: f64,
    /// Mean training loss since the point before.
    pub loss: f64,
    /// The learning rate.
    pub learning_rate: f64,
}

/// Something that is known after each epoch.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Curve {
    /// What it is.
    pub title: String,
    /// Whether it is a share, written in per cent.
    pub is_share: bool,
    /// Its value after each epoch, in order; not a number where there is none.
    pub values: Vec<f64>,
    /// What others reach, whatever the epoch.
    pub others: Vec<(String, f64)>,
}

/// Figures of the kept model, and of those that it stands beside.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Comparison {
    /// What was asked.
    pub title: String,
    /// On how much.
    pub note: String,
    /// The figures by name.
    pub columns: Vec<String>,
    /// Names and figures in words; the model comes first.
    pub rows: Vec<(String, Vec<String>)>,
}

/// A setting that is not the default.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Setting {
    /// Its key, with its tables before it.
    pub key: String,
    /// Its value.
    pub value: String,
    /// What it would have been; empty where that is nothing.
    pub default: String,
}

/// The page of a run as one HTML file.
pub fn page(training: &Training) -> String {
    let mut page = Page::new(&training.title, "Tidegate · how this model was trained");
    page.push(head(training));
    page.push(warnings(training));
    page.push(comparisons(training));
    page.push(validation(training));
    page.push(loss(training));
    page.push(settings(training));
    page.render()
}

fn head(training: &Training) -> Section {
    let mut section = Section::new("run", "");
    section.push(figures(&training.sizes));
    let lines: Vec<_> =
        training.facts.iter().map(|(name, value)| (name.clone(), Html::text(value))).collect();
    section.push(facts(&lines));
    section
}

fn warnings(training: &Training) -> Section {
    let mut section = Section::new("doubts", "Doubts");
    if training.warnings.is_empty() {
        section.say(
            "Nothing stands out: the loss fell, no baseline won where one was asked, and validation gives no \
             cause for concern.",
        );
    } else {
        section.say("What makes this run doubtful, the gravest first, and what to do about it.");
        let each = training.warnings.iter().map(|warning| {
            let mut left = Html::new();
            left.add("p", &[], Html::text(capital(&warning.message)));
            let mut right = Html::new();
            right.add("p", &[("class", &"why")], Html::text(capital(&warning.remedy)));
            let pair = [Html::element("div", &[], left), Html::element("div", &[], right)];
            Html::element("li", &[], pair.into_iter().collect())
        });
        section.push(Html::element("ul", &[("class", &"advice")], each.collect()));
    }
    if !training.notes.is_empty() {
        section.subheading("Said on the way");
        let each = training.notes.iter().map(|note| Html::element("li", &[], Html::text(note)));
        section.push(Html::element("ul", &[("class", &"note")], each.collect()));
    }
    section
}

fn comparisons(training: &Training) -> Section {
    let mut section = Section::new("figures", "Beside the baselines");
    if training.comparisons.is_empty() {
        section.say("Nothing was kept for validation, so there are no figures.");
        return section;
    }
    section.say(format!(
        "The weights of epoch {} on the part of the log that was kept from training, beside what needs no \
         network, on the same questions.",
        training.best_epoch
    ));
    for comparison in &training.comparisons {
        section.subheading(&comparison.title);
        section.note(&comparison.note);
        let columns: Vec<String> =
            comparison.columns.iter().map(|column| format!("#{column}")).collect();
        let head: Vec<&str> =
            std::iter::once("").chain(columns.iter().map(String::as_str)).collect();
        let mut table = Table::new(&head);
        for (place, (name, figures)) in comparison.rows.iter().enumerate() {
            let shown = |text: &String| match place {
                0 => Html::element("b", &[], Html::text(text)),
                _ => Html::text(text),
            };
            table.row(std::iter::once(name).chain(figures).map(shown));
        }
        section.push(table.html());
    }
    section
}

fn validation(training: &Training) -> Section {
    let mut section = Section::new("validation", "Validation over epochs");
    if training.curves.is_empty() {
        section.say("Nothing was kept for validation.");
        return section;
    }
    let drawn = |curve: &Curve| {
        let caption = match curve.others.is_empty() {
            true => "After each epoch; the dot is the epoch that was kept.",
            false => "After each epoch, beside the baselines; the dot is the epoch that was kept.",
        };
        figure(&curve.title, caption, HALF, |width| lines(&of_curve(curve, training), width))
    };
    for pair in training.curves.chunks(2) {
        section.push(beside(pair.iter().map(drawn)));
    }
    section
}

fn of_curve(curve: &Curve, training: &Training) -> Lines {
    let (x, epochs) = (epochs_axis(training), training.epochs.len().max(1) as f64);
    let points: Vec<(f64, f64)> = (curve.values.iter().enumerate())
        .map(|(k, &value)| ((k + 1) as f64 / epochs, value))
        .collect();
    let all = curve.values.iter().chain(curve.others.iter().map(|other| &other.1));
    let y = if curve.is_share { from_zero(all.copied()) } else { span(all.copied()) };
    let name = |name: &str| if curve.others.is_empty() { String::new() } else { name.to_owned() };
    let mut series =
        vec![Series { name: name("this model"), points: points.clone(), second: false }];
    series.extend(curve.others.iter().map(|(name, value)| Series {
        name: name.clone(),
        points: vec![(0.0, *value), (1.0, *value)],
        second: true,
    }));
    let kept = training.best_epoch.checked_sub(1).and_then(|k| points.get(k));
    let marks = kept.filter(|point| point.1.is_finite());
    let marks = marks.map(|&at| Mark { at, word: String::new() });
    Lines {
        x,
        x_name: "epochs".to_owned(),
        y,
        y_name: String::new(),
        shares: curve.is_share,
        series,
        marks: marks.into_iter().collect(),
    }
}

fn loss(training: &Training) -> Section {
    let mut section = Section::new("loss", "Training");
    let epochs = training.epochs.len().max(1) as f64;
    let points = |of: fn(&Point) -> f64| {
        training.points.iter().map(|point| (point.epochs / epochs, of(point))).collect::<Vec<_>>()
    };
    // A mean over an epoch stands in its middle.
    let means: Vec<(f64, f64)> = (training.epochs.iter().enumerate())
        .map(|(k, epoch)| ((k as f64 + 0.5) / epochs, epoch.loss))
        .collect();
    let running = points(|point| point.loss);
    let all = means.iter().chain(&running).map(|point| point.1);
    let picture = Lines {
        x: epochs_axis(training),
        x_name: "epochs".to_owned(),
        y: span(all),
        y_name: String::new(),
        shares: false,
        series: vec![
            Series { name: "of an epoch".to_owned(), points: means, second: false },
            Series { name: "on the way".to_owned(), points: running, second: true },
        ],
        marks: Vec::new(),
    };
    let caption = "Mean over the targets of an epoch, and of the few steps between two points. What drops at \
                   random while learning is in it, so it is not to be compared with a loss of validation.";
    section.push(figure("Training loss", caption, FULL, |width| lines(&picture, width)));

    let rates = points(|point| point.learning_rate);
    let picture = Lines {
        x: epochs_axis(training),
        x_name: "epochs".to_owned(),
        y: from_zero(rates.iter().map(|point| point.1)),
        y_name: String::new(),
        shares: false,
        series: vec![Series { name: String::new(), points: rates, second: false }],
        marks: Vec::new(),
    };
    let caption = "By the schedule: it warms up, then does what decay says.";
    let rate = figure("Learning rate", caption, HALF, |width| lines(&picture, width));
    section.push(beside([rate, table(training)]));
    section
}

/// The epochs one by one; of many the first, the last and some between.
fn table(training: &Training) -> Html {
    const MOST: usize = 12;
    let mut table = Table::new(&["epoch", "#loss", "#learning rate", "#time"]);
    let count = training.epochs.len();
    for (k, epoch) in training.epochs.iter().enumerate() {
        let number = k + 1;
        // Even steps, the first and the last among them, and the one that one looks for.
        let even = k == 0 || count <= MOST || k * MOST / count != number * MOST / count;
        if !even && number != training.best_epoch {
            continue;
        }
        let kept = if number == training.best_epoch { " (kept)" } else { "" };
        table.row([
            Html::text(format!("{number}{kept}")),
            Html::text(plain(epoch.loss)),
            Html::text(plain(epoch.learning_rate)),
            Html::text(seconds(epoch.seconds)),
        ]);
    }
    table.html()
}

fn settings(training: &Training) -> Section {
    let mut section = Section::new("settings", "Settings");
    if training.settings.is_empty() {
        section.say("Everything was left at its default.");
        return section;
    }
    section.say("What was not left at its default; run.toml beside this page has all of it.");
    let mut table = Table::new(&["key", "value", "default"]);
    for Setting { key, value, default } in &training.settings {
        let default = if default.is_empty() { "–" } else { default };
        let default = Html::element("span", &[("class", &"dim")], Html::text(default));
        table.row([code(key), Html::text(value), default]);
    }
    section.push(table.html());
    section
}

/// Whole epochs, as places from 0 to 1.
fn epochs_axis(training: &Training) -> Axis {
    let count = training.epochs.len().max(1) as f64;
    let whole = |tick: &f64| tick.fract().abs() < 1e-9 && *tick <= count;
    let labels = linear_ticks(count, 10).into_iter().filter(whole);
    Axis::Labels(labels.map(|tick| (tick / count, plain(tick))).collect())
}

fn from_zero(values: impl Iterator<Item = f64>) -> Axis {
    let to = values.filter(|value| value.is_finite()).fold(0.0, f64::max);
    Axis::Linear { from: 0.0, to: if to > 0.0 { to } else { 1.0 } }
}

/// From the least to the most.
fn span(values: impl Iterator<Item = f64> + Clone) -> Axis {
    let finite = || values.clone().filter(|value| value.is_finite());
    let (from, to) =
        (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
    match from <= to {
        true => Axis::Linear { from, to },
        false => Axis::Linear { from: 0.0, to: 1.0 },
    }
}

/// A sentence begins with a capital letter.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).collect()
}
