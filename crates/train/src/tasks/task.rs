//! What is asked.

use std::fmt;
use std::str::FromStr;

use events::{AFTER_EVENT, AFTER_PERIOD, MOMENT, Outcome};
use serde::{Deserialize, Serialize};

use crate::Error;

/// A question that a model answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// Which item comes next?
    NextItem,
    /// What kind of event comes next?
    NextEvent,
    /// Will the user buy within the horizon?
    Purchase,
    /// How many orders will there be within it?
    Count,
    /// Will there be no event at all within it?
    Churn,
    /// How much money will be spent within it?
    Value,
    /// How long until the next event, at most the horizon, in seconds?
    TimeToNext,
    /// What happens in the next period? Nobody asks this by name: it is what a model learns that looks
    /// ahead period by period.
    Period,
}

impl Task {
    /// All that can be asked by name.
    pub const ALL: [Self; 7] = [
        Self::NextItem,
        Self::NextEvent,
        Self::Purchase,
        Self::Count,
        Self::Churn,
        Self::Value,
        Self::TimeToNext,
    ];

    /// The name that `--task` takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::NextItem => "next-item",
            Self::NextEvent => "next-event",
            Self::Purchase => "purchase",
            Self::Count => "count",
            Self::Churn => "churn",
            Self::Value => "value",
            Self::TimeToNext => "time-to-next",
            Self::Period => "period",
        }
    }

    /// The name of its column in a table of predictions.
    pub fn column(self) -> &'static str {
        match self {
            Self::NextItem => "next_item",
            Self::NextEvent => "next_event",
            Self::TimeToNext => "time_to_next",
            other => other.name(),
        }
    }

    /// Whether it is asked at a moment, about the horizon after it; the others are asked after every
    /// event, or every period, about the one that follows.
    pub fn is_at_moment(self) -> bool {
        !matches!(self, Self::NextItem) && !self.is_of_classes()
    }

    /// Whether the answer is a probability for each of several classes: of the next event, of the next
    /// period.
    pub fn is_of_classes(self) -> bool {
        matches!(self, Self::NextEvent | Self::Period)
    }

    /// What the numbers are called that its head sees.
    pub fn numbers(self) -> &'static [&'static str] {
        match self {
            Self::Period => &AFTER_PERIOD,
            _ if self.is_at_moment() => &MOMENT,
            _ => &AFTER_EVENT,
        }
    }

    /// Whether the answer is a probability of yes or no.
    pub fn is_binary(self) -> bool {
        matches!(self, Self::Purchase | Self::Churn)
    }

    /// Whether it wants to know which events are purchases.
    pub fn needs_purchases(self) -> bool {
        matches!(self, Self::Purchase | Self::Count | Self::Value)
    }

    /// What came true: 0 or 1, or a number in the unit of the answer.
    ///
    /// # Panics
    ///
    /// For a task that is not asked at a moment.
    pub fn truth(self, outcome: &Outcome) -> f64 {
        match self {
            Self::Purchase => f64::from(u8::from(outcome.buys())),
            Self::Count => f64::from(outcome.orders),
            Self::Churn => f64::from(u8::from(outcome.is_silent())),
            Self::Value => outcome.spend,
            Self::TimeToNext => outcome.wait as f64 / 1000.0,
            Self::NextItem | Self::NextEvent | Self::Period => {
                panic!("{self} is not asked at a moment")
            }
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Task {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|task| task.name() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Error::Tasks { what: format!("--task {text}"), reason: format!("expected {names}") }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for task in Task::ALL {
            assert_eq!(task.name().parse::<Task>().unwrap(), task);
            assert_eq!(serde_json::to_string(&task).unwrap(), format!("\"{task}\""));
        }
        let error = "buy".parse::<Task>().unwrap_err();
        assert!(error.is_usage() && error.to_string().contains("purchase"), "{error}");
    }

    #[test]
    fn truths_are_in_the_unit_of_the_answer() {
        let outcome = Outcome { events: 3, orders: 2, spend: 12.5, wait: 1500 };
        let truths = [Task::Purchase, Task::Count, Task::Churn, Task::Value, Task::TimeToNext];
        assert_eq!(truths.map(|task| task.truth(&outcome)), [1.0, 2.0, 0.0, 12.5, 1.5]);
    }
}
