//! Where the heads of a network begin: as regressions on all that is known at the moment.
//!
//! ```text
//!     z = m·w_sᵀ        logistic for yes or no, Poisson for numbers, multinomial for kinds
//! ```
//!
//! What the states of the LSTM say counts nothing yet: it learns what is left to be said.

use events::MOMENT;
use statistics::linear::Line;

use super::{AtMoment, Task, TaskKnowledge};

/// A line over the moment for each answer, `[C, 1 + M]`, the biases first: that of the baseline which the
/// network has to beat. None where there is none: for a time, or where all training questions had one answer.
pub fn lines(knowledge: &TaskKnowledge) -> Vec<Option<Vec<f32>>> {
    let baselines = &knowledge.baselines;
    let of = |(k, &task): (usize, &Task)| match baselines.at_moments.get(k)?.as_ref() {
        None => {
            let regression = baselines.kinds_regression.as_ref()?;
            Some(numbers(&regression.lines, regression.lines.first()?.terms.len()))
        }
        Some(AtMoment::Binary { logistic, .. }) => {
            Some(numbers(std::slice::from_ref(&logistic.as_ref()?.line), MOMENT.len()))
        }
        // A share of the horizon, which no exponential function is.
        Some(AtMoment::Number { .. }) if task == Task::TimeToNext => None,
        Some(AtMoment::Number { poisson, .. }) => {
            // The network learns the number divided by its scale.
            let intercept = poisson.line.intercept - knowledge.scales[k].ln();
            Some(numbers(&[Line { intercept, ..poisson.line.clone() }], MOMENT.len()))
        }
    };
    knowledge.answered().iter().enumerate().map(of).collect()
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
