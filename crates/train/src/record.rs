//! What a run leaves for those who look at it: which files, and what stands in two of them.
//!
//! Both follow from the state of the run alone, and a resumed run has them from its checkpoint: the points
//! of a file are those of an unbroken run, whatever happened in between. Clocks stand in them; nothing that
//! is learned depends on them.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::observer::EpochReport;
use crate::tensorboard::{Moment, Scalar, file};

/// About how many points a run has between its beginning and its end.
const POINTS: u64 = 500;

/// A file that a run leaves beside its model for whoever looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunFile {
    /// `log.csv`: the numbers of `log.jsonl` as a table.
    Csv,
    /// `tensorboard/`: scalars over steps as TensorBoard reads them.
    Tensorboard,
    /// `report.html`: the page of the run.
    Report,
}

impl RunFile {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Csv, Self::Tensorboard, Self::Report];
}

/// Where a run stood after some of its steps.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Steps of the run so far.
    pub step: u64,
    /// Epochs so far, with the part of the one at hand.
    pub epochs: f64,
    /// Mean loss over the targets since the point before.
    pub loss: f64,
    /// Learning rate of the last step.
    pub learning_rate: f64,
    /// Seconds since 1970.
    pub at: f64,
}

/// The points of a run, and what has come since the last of them.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Trace {
    /// When the run began, in seconds since 1970.
    pub(crate) began: f64,
    pub(crate) points: Vec<Point>,
    /// Sum of loss · weight, and of the weights, since the last point.
    loss: f64,
    weight: f64,
}

impl Trace {
    /// Begins now.
    pub(crate) fn begin() -> Self {
        Self { began: now(), ..Self::default() }
    }

    /// Counts the mean loss of some targets that weigh so much.
    pub(crate) fn add(&mut self, loss: f64, weight: f64) {
        self.loss += loss * weight;
        self.weight += weight;
    }

    /// Makes a point after a batch where one is due: at equal distances, and after each epoch.
    pub(crate) fn mark(&mut self, batch: Batches, step: u64, learning_rate: f64) {
        if self.weight > 0.0 && batch.is_due() {
            let loss = self.loss / self.weight;
            let epochs = batch.epoch as f64 + batch.done as f64 / batch.of as f64;
            self.points.push(Point { step, epochs, loss, learning_rate, at: now() });
            (self.loss, self.weight) = (0.0, 0.0);
        }
    }
}

/// How far the batches of a run have come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Batches {
    /// The epoch at hand, counted from 0, and how many there are.
    pub(crate) epoch: usize,
    pub(crate) epochs: usize,
    /// Batches of it that are done, of so many.
    pub(crate) done: usize,
    pub(crate) of: usize,
}

impl Batches {
    fn is_due(&self) -> bool {
        let (of, done) = (self.of as u64, self.done as u64);
        let between = (of * self.epochs as u64).div_ceil(POINTS).max(1);
        done == of || (self.epoch as u64 * of + done).is_multiple_of(between)
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

/// The lines of the log as a table: a heading, then a row an epoch. What an epoch does not have is empty.
pub(crate) fn csv(history: &[EpochReport]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for report in history {
        for name in report.losses.keys() {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
    }
    let figures = history.iter().find_map(|report| report.validation);
    let figures: Vec<&str> =
        figures.iter().flat_map(|m| m.by_name().map(|(name, _)| name)).collect();
    let mut text =
        "epoch,steps,loss,learning_rate,seconds,events_per_s,best,value,ended".to_owned();
    if !figures.is_empty() {
        text += ",validation.cases,validation.unknown_targets";
    }
    figures.iter().for_each(|name| text += &format!(",validation.{name}"));
    names.iter().for_each(|name| text += &format!(",losses.{name}"));
    text.push('\n');
    let or_empty = |number: Option<f64>| match number {
        Some(number) if number.is_finite() => number.to_string(),
        _ => String::new(),
    };
    for report in history {
        let mut cells = vec![report.epoch.to_string(), report.steps.to_string()];
        let numbers = [
            report.loss,
            Some(report.learning_rate),
            Some(report.seconds),
            Some(report.events_per_s),
        ];
        cells.extend(numbers.map(or_empty));
        cells.push(report.best.to_string());
        cells.extend([report.value, Some(report.ended)].map(or_empty));
        if !figures.is_empty() {
            let of = |count: fn(&crate::metrics::Metrics) -> u64| {
                report.validation.as_ref().map_or(String::new(), |m| count(m).to_string())
            };
            cells.extend([of(|m| m.cases), of(|m| m.unknown_targets)]);
            match &report.validation {
                Some(metrics) => {
                    cells.extend(metrics.by_name().map(|(_, figure)| or_empty(Some(figure))));
                }
                None => cells.resize(cells.len() + figures.len(), String::new()),
            }
        }
        cells.extend(names.iter().map(|&name| or_empty(report.losses.get(name).copied())));
        text += &cells.join(",");
        text.push('\n');
    }
    text
}

/// The event file of a run so far. Whatever comes later is behind it.
pub(crate) fn events(trace: &Trace, history: &[EpochReport]) -> Vec<u8> {
    let mut moments = Vec::with_capacity(trace.points.len() + history.len());
    let mut points = trace.points.iter().peekable();
    for report in history {
        while let Some(point) = points.next_if(|point| point.step <= report.steps) {
            moments.push(of_point(point));
        }
        moments.push(of_epoch(report));
    }
    moments.extend(points.map(of_point));
    file(trace.began, moments)
}

fn scalar(tag: impl Into<String>, value: f64) -> Scalar {
    Scalar { tag: tag.into(), value }
}

fn of_point(point: &Point) -> Moment {
    let scalars = vec![
        scalar("train/running_loss", point.loss),
        scalar("train/learning_rate", point.learning_rate),
    ];
    Moment { at: point.at, step: point.step, scalars }
}

fn of_epoch(report: &EpochReport) -> Moment {
    let mut scalars: Vec<Scalar> =
        report.loss.iter().map(|&loss| scalar("train/loss", loss)).collect();
    scalars.push(scalar("train/epoch", report.epoch as f64));
    scalars.push(scalar("train/events_per_s", report.events_per_s));
    for (name, figure) in report.validation.iter().flat_map(|metrics| metrics.by_name()) {
        scalars.push(scalar(format!("validation/{name}"), figure));
    }
    let losses = report.losses.iter();
    scalars.extend(losses.map(|(task, &loss)| scalar(format!("validation_loss/{task}"), loss)));
    scalars.retain(|scalar| scalar.value.is_finite());
    Moment { at: report.ended, step: report.steps, scalars }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Ranks;

    fn epoch(epoch: usize, steps: u64) -> EpochReport {
        let mut ranks = Ranks::default();
        [1, 3, 30].into_iter().for_each(|rank| ranks.add(rank));
        EpochReport {
            epoch,
            steps,
            loss: Some(1.5),
            learning_rate: 1e-7,
            seconds: 0.5,
            events_per_s: 3.0,
            best: epoch == 1,
            value: Some(0.25),
            ended: 1e9,
            validation: Some(ranks.metrics()),
            losses: [("purchase".to_owned(), 0.125)].into(),
        }
    }

    #[test]
    fn points_are_even_and_each_epoch_ends_with_one() {
        let mut trace = Trace::default();
        let mut steps = 0;
        for epoch in 0..3 {
            for done in 1..=701 {
                steps += 1;
                trace.add(f64::from(epoch), 2.0);
                let batches = Batches { epoch: epoch as usize, epochs: 3, done, of: 701 };
                trace.mark(batches, steps, 0.1);
            }
        }
        // 2103 batches, one point in five and one more at the end of each epoch.
        assert_eq!(trace.points.len(), 423);
        let at_ends = trace.points.iter().filter(|point| point.epochs.fract() == 0.0);
        assert_eq!(at_ends.map(|point| point.step).collect::<Vec<_>>(), [701, 1402, 2103]);
        let between = trace.points.iter().filter(|point| point.epochs.fract() != 0.0);
        assert!(between.clone().count() == 420 && between.into_iter().all(|p| p.step % 5 == 0));
        assert_eq!((trace.points[0].loss, trace.points[422].loss), (0.0, 2.0));
        // A step of which nothing counts makes no point.
        trace.mark(Batches { epoch: 2, epochs: 3, done: 701, of: 701 }, steps, 0.1);
        assert_eq!(trace.points.len(), 423);
    }

    #[test]
    fn a_table_has_the_numbers_of_the_log() {
        let other = EpochReport { loss: None, validation: None, ..epoch(2, 20) };
        let text = csv(&[epoch(1, 10), other]);
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
        assert_eq!(rows.len(), 3);
        assert!(rows.iter().all(|row| row.len() == rows[0].len()), "{text}");
        let cell = |row: usize, name: &str| {
            rows[row][rows[0].iter().position(|head| *head == name).unwrap()]
        };
        assert_eq!((cell(1, "epoch"), cell(2, "steps"), cell(1, "best")), ("1", "20", "true"));
        assert_eq!((cell(1, "loss"), cell(2, "loss")), ("1.5", ""));
        assert_eq!(cell(1, "learning_rate"), "0.0000001");
        assert_eq!((cell(1, "validation.cases"), cell(2, "validation.cases")), ("3", ""));
        let recall: f64 = cell(1, "validation.recall@5").parse().unwrap();
        assert_eq!(recall, 2.0 / 3.0);
        assert_eq!(cell(1, "losses.purchase"), "0.125");
    }

    /// TensorBoard goes on reading where it has come to.
    #[test]
    fn a_run_that_goes_on_only_adds_to_its_events() {
        let mut trace = Trace { began: 5.0, ..Trace::default() };
        let mut history = Vec::new();
        let mut before = events(&trace, &history);
        for number in 0..4 {
            for done in 1..=3 {
                trace.add(1.0, 1.0);
                let batches = Batches { epoch: number, epochs: 4, done, of: 3 };
                trace.mark(batches, (3 * number + done) as u64, 0.1);
                let now = events(&trace, &history);
                assert!(now.len() > before.len() && now.starts_with(&before));
                before = now;
            }
            history.push(epoch(number + 1, 3 * number as u64 + 3));
            let now = events(&trace, &history);
            assert!(now.len() > before.len() && now.starts_with(&before));
            before = now;
        }
    }
}
