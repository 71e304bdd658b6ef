//! Where the heads of a network begin: as regressions on all that is known at the moment.
//!
//! ```text
//!     z = m·w_sᵀ        logistic for yes or no, Poisson for numbers, multinomial for kinds
//! ```
//!
//! What the states of the LSTM say counts nothing yet: it learns what is left to be said.

use events::{AFTER_EVENT, MOMENT};
use ndarray::ArrayView2;
use statistics::linear::Line;
use statistics::logistic::{Logistic, LogisticSettings};
use statistics::poisson::Poisson;

use super::{Lessons, Task, TaskKnowledge};
use crate::Error;

/// As good as none, so that columns which say the same do no harm.
const PENALTY: f64 = 1.0;

/// A line over the moment for each answer, `[C, 1 + M]`, the biases first; none where none can be fitted.
///
/// # Errors
///
/// Where a regression cannot be fitted.
pub fn lines(knowledge: &TaskKnowledge, lessons: &Lessons) -> Result<Vec<Option<Vec<f32>>>, Error> {
    let width = MOMENT.len();
    let x: Vec<f64> = lessons.moments.iter().map(|&value| f64::from(value)).collect();
    let x = ArrayView2::from_shape((lessons.asked.len(), width), &x).expect("a row a question");
    let fit = |(k, &task): (usize, &Task)| -> Result<Option<Vec<f32>>, Error> {
        if !task.is_at_moment() {
            let regression = knowledge.baselines.kinds_regression.as_ref();
            return Ok(regression.map(|regression| numbers(&regression.lines, AFTER_EVENT.len())));
        }
        let truths = lessons.asked.outcomes.iter().map(|outcome| task.truth(outcome));
        let truths: Vec<f64> = truths.map(|truth| truth / knowledge.scales[k]).collect();
        let line = match task {
            // A share of the horizon, which is neither yes nor no.
            Task::TimeToNext => return Ok(None),
            _ if task.is_binary() => {
                let outcomes: Vec<bool> = truths.iter().map(|&truth| truth > 0.5).collect();
                if !(outcomes.contains(&true) && outcomes.contains(&false)) {
                    return Ok(None);
                }
                let settings = LogisticSettings { penalty: PENALTY, ..LogisticSettings::default() };
                Logistic::fit(x, &outcomes, &settings)?.line
            }
            _ => Poisson::fit(x, &truths, PENALTY)?.line,
        };
        Ok(Some(numbers(&[line], width)))
    };
    knowledge.answered().iter().enumerate().map(fit).collect()
}

fn numbers(lines: &[Line], width: usize) -> Vec<f32> {
    let row = |line: &Line| {
        debug_assert_eq!(line.terms.len(), width);
        let at_means: f64 = line.terms.iter().map(|term| term.coefficient * term.mean).sum();
        let terms = line.terms.iter().map(|term| term.coefficient);
        std::iter::once(line.intercept - at_means).chain(terms).collect::<Vec<f64>>()
    };
    lines.iter().flat_map(row).map(|x| x as f32).collect()
}
