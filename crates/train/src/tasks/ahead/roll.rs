//! Futures, period by period.
//!
//! ```text
//!     h_0          the states after the last period before the moment
//!     p_t          = p(class of period t | h_{t−1}, numbers of the path so far, calendar of t)
//!     k_t  ~ p_t   with the random number that stands at (seed, t, user, path)
//!     h_t          = the states after reading k_t
//!
//!     count        mean over paths of Σ_t Σ_k p_t(k) · orders(k)
//!     purchase     1 − mean over paths without an order of Π_t p_t(no order)
//!     churn        1 path without any event:                Π_t p_t(nothing) = S(horizon)
//!     time-to-next ∫ S(τ) dτ, events falling evenly within a period
//! ```
//!
//! Sums of probabilities take the place of counted draws where they can: the expectation is the same, and
//! less left to chance. Whether nobody comes needs no chance at all, since there is one such path. Of the
//! last period of a horizon only a part may lie in it: of its orders as large a part counts.

use events::{AFTER_PERIOD, Histories, Pace, Period, Scaling, WAVES, Zone, waves};
use layout::random::Stream;
use model::{Batch, Device, Model, Question, Scorer, Sequence, States, Wanted};

use super::survival::Survival;
use super::{Ahead, Classes};
use crate::Error;
use crate::evaluate::begin;
use crate::tasks::{Put, Task, TaskKnowledge, Told};

/// Draws the classes of periods; what else is drawn in a period.
const CLASS: u32 = 0x7261_0005;
const ORDER: u32 = 0x7261_0006;
/// Paths that are walked side by side, about.
const ROWS: usize = 1 << 13;
/// Numbers that a period may draw beside its class: three an order.
const DRAWS: u64 = 64;

/// What is said of users who were looked ahead of.
#[derive(Debug, Clone, PartialEq)]
pub struct Rolled {
    /// The answers to each task, in their order.
    pub told: Told,
    /// Of each task whose answer is a number: standard deviation, 10 % and 90 % quantile of what may come, of
    /// each question; of others nothing.
    pub spread: Vec<Vec<[f32; 3]>>,
}

/// A user at a moment.
struct Line {
    classes: Vec<u32>,
    pace: Pace,
    own: Vec<f64>,
    at: i64,
    /// Where its random numbers stand.
    key: u64,
}

/// Answers what is asked about users at moments; `key` gives each user a place of its own among the random
/// numbers, so that an answer depends on nobody else.
///
/// # Errors
///
/// Where the model looks back over more than its states, or an answer is not finite.
pub fn roll<D: Device>(
    model: &Model<D>,
    heads: &TaskKnowledge,
    histories: &Histories<'_>,
    puts: &[Put],
    key: impl Fn(u32) -> u64,
) -> Result<Rolled, Error> {
    let ahead = heads.ahead.as_deref().expect("a model that looks ahead");
    let tasks = ahead.asked.answered();
    let mut walker = Walker::new(model, heads, ahead)?;
    let mut answers = vec![Vec::with_capacity(puts.len()); tasks.len()];
    let mut spread = vec![Vec::new(); tasks.len()];
    let portion = (ROWS / ahead.paths as usize).max(1);
    for puts in puts.chunks(portion) {
        let lines: Vec<Line> =
            puts.iter().map(|put| line(ahead, histories, put, key(put.user))).collect();
        let sums = match tasks.iter().any(|task| matches!(task, Task::Count | Task::Value)) {
            true => walker.sums(&lines)?,
            false => Vec::new(),
        };
        let none = match (tasks.contains(&Task::Purchase), ahead.visits) {
            (false, _) => Vec::new(),
            (true, true) => walker.without_order(&lines)?,
            (true, false) => walker.survival(&lines)?.iter().map(Survival::last).collect(),
        };
        let silence = match tasks.iter().any(|task| matches!(task, Task::Churn | Task::TimeToNext))
        {
            true => walker.survival(&lines)?,
            false => Vec::new(),
        };
        for (k, task) in tasks.iter().enumerate() {
            for l in 0..lines.len() {
                let (answer, wide) = match task {
                    Task::Purchase => (1.0 - none[l], None),
                    Task::Churn => (silence[l].last(), None),
                    Task::TimeToNext => (silence[l].mean(), Some(silence[l].spread())),
                    Task::Count => (sums[l].orders, Some(sums[l].of_orders)),
                    _ => (sums[l].spend, Some(sums[l].of_spend)),
                };
                answers[k].push(answer as f32);
                spread[k].extend(wide.map(|wide| wide.map(|value| value as f32)));
            }
        }
    }
    match answers.iter().flatten().all(|answer: &f32| answer.is_finite()) {
        true => Ok(Rolled { told: Told { answers }, spread }),
        false => Err(Error::ScoresNotFinite),
    }
}

fn line(ahead: &Ahead, histories: &Histories<'_>, put: &Put, key: u64) -> Line {
    let (user, at, classes) = (put.user as usize, put.at, ahead.classes());
    let periods: Vec<Period> = histories.periods(user, at, ahead.period);
    let mut pace = Pace::default();
    periods.iter().for_each(|period| pace.add(period, classes.orders_of(period)));
    let own = match ahead.spending {
        Some(_) => histories.order_values(user, at),
        None => Vec::new(),
    };
    Line {
        classes: periods.iter().map(|period| classes.class(period)).collect(),
        pace,
        own,
        at,
        key,
    }
}

/// What the orders of a horizon come to.
struct Sums {
    orders: f64,
    of_orders: [f64; 3],
    spend: f64,
    of_spend: [f64; 3],
}

/// Deviation, 10 % and 90 % quantile.
fn spread(values: &mut [f64]) -> [f64; 3] {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / n;
    values.sort_unstable_by(f64::total_cmp);
    let quantile = |share: f64| values[(share * (n - 1.0)).round() as usize];
    [variance.sqrt(), quantile(0.1), quantile(0.9)]
}

/// Walks many paths at once.
struct Walker<'m, D: Device> {
    device: &'m D,
    ahead: &'m Ahead,
    classes: Classes,
    scaling: &'m [Scaling],
    history: usize,
    zone: Zone,
    scorer: Scorer<'m, D>,
    batch: Batch,
    /// The states after the history of each line of a portion.
    begin: States<D::Matrix>,
}

impl<'m, D: Device> Walker<'m, D> {
    fn new(model: &'m Model<D>, heads: &'m TaskKnowledge, ahead: &'m Ahead) -> Result<Self, Error> {
        Ok(Self {
            device: model.device(),
            ahead,
            classes: ahead.classes(),
            scaling: &heads.event_scaling,
            history: heads.history,
            zone: heads.zone()?,
            scorer: Scorer::new(model),
            batch: Batch::with_features(model.config(), model.features()),
            begin: States::default(),
        })
    }

    /// Orders and money of each line.
    fn sums(&mut self, lines: &[Line]) -> Result<Vec<Sums>, Error> {
        let paths = self.ahead.paths as usize;
        let (ahead, orders_of) = (self.ahead, self.classes.orders.clone());
        let (steps, part) = ahead.steps();
        let mut expected = vec![0.0; lines.len()];
        let mut orders = vec![0.0; lines.len() * paths];
        let mut spend = vec![0.0; lines.len() * paths];
        let all = orders_of.len();
        self.walk(lines, paths, all, |row, step, p, class| {
            let (line, path) = (row / paths, row % paths);
            let share = if step + 1 == steps { part } else { 1.0 };
            let mean: f64 =
                p.iter().zip(&orders_of).map(|(&p, orders)| f64::from(p) * orders).sum();
            expected[line] += share * mean;
            let stream = Stream::new(ahead.seed, ORDER, step as u32);
            let place = lines[line].key.wrapping_add(path as u64).wrapping_mul(DRAWS);
            let drawn = |k: u64| stream.uniform(place.wrapping_add(k % DRAWS));
            // The mean of the last class need not be a whole number.
            let whole = orders_of[class].round() as u64;
            let counts = |&order: &u64| share == 1.0 || f64::from(drawn(3 * order)) < share;
            let come = (0..whole).filter(counts);
            for order in come {
                orders[row] += orders_of[class] / whole as f64;
                if let Some(spending) = &ahead.spending {
                    let [whose, which] = [1, 2].map(|k| drawn(3 * order + k));
                    spend[row] += spending.draw(&lines[line].own, [whose, which]);
                }
            }
        })?;
        let sums = lines.iter().enumerate().map(|(l, line)| {
            let rows = l * paths..(l + 1) * paths;
            let orders_expected = expected[l] / paths as f64;
            let each = ahead.spending.as_ref().map_or(0.0, |spending| spending.expected(&line.own));
            Sums {
                orders: orders_expected,
                of_orders: spread(&mut orders[rows.clone()]),
                spend: orders_expected * each,
                of_spend: spread(&mut spend[rows]),
            }
        });
        Ok(sums.collect())
    }

    /// How likely each line orders nothing, visits or not.
    fn without_order(&mut self, lines: &[Line]) -> Result<Vec<f64>, Error> {
        let (paths, silent) = (self.ahead.paths as usize, self.ahead.silent());
        let (steps, part) = self.ahead.steps();
        let mut logs = vec![0.0; lines.len() * paths];
        self.walk(lines, paths, silent, |row, step, p, _| {
            let share = if step + 1 == steps { part } else { 1.0 };
            logs[row] += share * log(&p[..silent]);
        })?;
        let mean = |logs: &[f64]| logs.iter().map(|log| log.exp()).sum::<f64>() / paths as f64;
        Ok(logs.chunks_exact(paths).map(mean).collect())
    }

    /// How likely it is of each line that nothing has happened yet.
    fn survival(&mut self, lines: &[Line]) -> Result<Vec<Survival>, Error> {
        let (steps, part) = self.ahead.steps();
        let period = self.ahead.period as f64 / 1000.0;
        let new =
            |_: &Line| Survival { falls: vec![0.0; steps], period, last_period: part * period };
        let mut curves: Vec<Survival> = lines.iter().map(new).collect();
        self.walk(lines, 1, 1, |row, step, p, _| {
            let share = if step + 1 == steps { part } else { 1.0 };
            curves[row].falls[step] = share * log(&p[..1]);
        })?;
        Ok(curves)
    }

    /// Walks so many paths of each line, which keep to the first `limit` classes. `see` is told row, step,
    /// the probabilities of all classes, and which has been drawn.
    fn walk(
        &mut self,
        lines: &[Line],
        paths: usize,
        limit: usize,
        mut see: impl FnMut(usize, usize, &[f32], usize),
    ) -> Result<(), Error> {
        let (ahead, period) = (self.ahead, self.ahead.period);
        let (steps, _) = ahead.steps();
        let (mut p, rows_of) = self.history(lines)?;
        let rows = lines.len() * paths;
        // Every path starts where its line has come to.
        let width = self.classes.orders.len();
        p = (0..rows).flat_map(|row| p[row / paths * width..][..width].to_vec()).collect();
        let from: Vec<u32> = (0..rows).map(|row| rows_of[row / paths]).collect();
        let mut states = States { h: Vec::new(), c: Vec::new() };
        for (kept, to) in [(&self.begin.h, &mut states.h), (&self.begin.c, &mut states.c)] {
            to.resize_with(kept.len(), D::Matrix::default);
            kept.iter().zip(to).for_each(|(kept, to)| self.device.gather(kept, &from, to));
        }
        *self.scorer.states_mut() = states;
        let mut paces: Vec<Pace> = (0..rows).map(|row| lines[row / paths].pace).collect();
        let mut drawn = vec![0u32; rows];
        let mut next = vec![[0.0; WAVES]; lines.len()];
        for step in 0..steps {
            let stream = Stream::new(ahead.seed, CLASS, step as u32);
            for (row, p) in p.chunks_exact(width).enumerate() {
                let key = lines[row / paths].key.wrapping_add((row % paths) as u64);
                let class = draw(&p[..limit], stream.uniform(key));
                see(row, step, p, class);
                drawn[row] = class as u32;
                paces[row].imagine(self.classes.orders[class], class > 0);
            }
            if step + 1 == steps {
                break;
            }
            for (line, next) in lines.iter().zip(&mut next) {
                let start = line.at.saturating_add((step as i64 + 1) * period);
                *next = waves(start, period, &self.zone, ahead.years);
            }
            let sequences: Vec<Sequence<'_>> = drawn.chunks_exact(1).map(Sequence::from).collect();
            self.batch.fill_prefixes(&sequences, Wanted::Last);
            self.batch.go_on();
            self.batch.keep_states();
            for (row, pace) in paces.iter().enumerate() {
                let known = pace.numbers(&next[row / paths]);
                ask(&mut self.batch, row, 0, &known, self.scaling);
            }
            p = self.scorer.answer(&self.batch)?.swap_remove(0);
        }
        Ok(())
    }

    /// Reads the history of each line: the probabilities of the first period to come, and in which row of
    /// the states that are kept each line stands.
    fn history(&mut self, lines: &[Line]) -> Result<(Vec<f32>, Vec<u32>), Error> {
        let sequences: Vec<Sequence<'_>> = lines
            .iter()
            .map(|line| {
                let classes = &line.classes[begin(line.classes.len(), self.history)..];
                Sequence::from(classes)
            })
            .collect();
        self.batch.fill_prefixes(&sequences, Wanted::Last);
        self.batch.keep_states();
        let (ahead, period) = (self.ahead, self.ahead.period);
        for (row, (line, sequence)) in lines.iter().zip(&sequences).enumerate() {
            let next = waves(line.at, period, &self.zone, ahead.years);
            let known = line.pace.numbers(&next);
            ask(&mut self.batch, row, sequence.items.len() as u32 - 1, &known, self.scaling);
        }
        let p = self.scorer.answer(&self.batch)?.swap_remove(0);
        self.begin = std::mem::take(self.scorer.states_mut());
        let mut rows_of = vec![0; lines.len()];
        for (row, &line) in self.batch.sessions().iter().enumerate() {
            rows_of[line as usize] = row as u32;
        }
        Ok((p, rows_of))
    }
}

fn ask(batch: &mut Batch, row: usize, event: u32, known: &[f64], scaling: &[Scaling]) {
    let mut moment = [0.0; AFTER_PERIOD.len()];
    for ((moment, &value), scaling) in moment.iter_mut().zip(known).zip(scaling) {
        *moment = scaling.apply(value).unwrap_or(0.0);
    }
    let session = row as u32;
    batch.ask(0, &Question { session, event, moment: &moment, truth: 0.0, weight: 1.0 });
}

/// ln of a sum of probabilities, above minus infinity.
fn log(p: &[f32]) -> f64 {
    p.iter().map(|&p| f64::from(p)).sum::<f64>().clamp(1e-30, 1.0).ln()
}

/// The class at which the sum of the probabilities passes a share of all of them.
fn draw(p: &[f32], uniform: f32) -> usize {
    let all: f32 = p.iter().sum();
    let goal = uniform * all;
    let mut sum = 0.0;
    for (class, &p) in p.iter().enumerate() {
        sum += p;
        if goal < sum {
            return class;
        }
    }
    // Rounding has left a little, or all of them are as good as impossible.
    p.iter().rposition(|&p| p > 0.0).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_drawn_by_their_probabilities() {
        let p = [0.5, 0.0, 0.25, 0.25];
        let drawn = [0.0, 0.49, 0.5, 0.74, 0.75, 0.999_999].map(|uniform| draw(&p, uniform));
        assert_eq!(drawn, [0, 0, 2, 2, 3, 3]);
        assert_eq!(draw(&[0.0, 0.0], 0.3), 0);
        assert_eq!(draw(&[0.1, 0.0], 0.999_999_9), 0);
    }

    #[test]
    fn spreads_are_those_of_the_values() {
        let mut values: Vec<f64> = (0..=10).rev().map(f64::from).collect();
        assert_eq!(spread(&mut values), [10f64.sqrt(), 1.0, 9.0]);
    }
}
