//! What is said beside the model where a log is shorter than the horizon: no regression can be fitted to
//! labels that do not exist, but rates and models of repeat buying need none.

use events::{BuyRule, MOMENT, Scaling, Zone};

use super::Rolled;
use crate::Error;
use crate::tasks::{
    Asked, Baselines, Compared, Lessons, RepeatBuying, Task, TaskKnowledge, TaskSettings, compare,
};

const DAY: f64 = 24.0 * 60.0 * 60.0;

/// What is known of tasks of which no label has been seen: BG/NBD and gamma-gamma of the users as they are
/// at the end of training (`asked`), whose outcomes are not looked at.
pub fn unfitted(
    tasks: &[Task],
    asked: &Asked,
    horizon: i64,
    (buys, zone): (&BuyRule, &Zone),
    settings: &TaskSettings,
) -> TaskKnowledge {
    let mut repeat_buying = None;
    if tasks.iter().any(|task| task.needs_purchases()) {
        repeat_buying = RepeatBuying::fit(asked);
        if let Some(fitted) = &mut repeat_buying {
            // What strangers do within the horizon nobody has seen.
            fitted.strangers = [0.0; 3];
        }
    }
    let count = tasks.len();
    TaskKnowledge {
        tasks: tasks.to_vec(),
        horizon,
        buys: buys.to_string(),
        zone: zone.name().to_owned(),
        history: settings.history,
        kinds: Vec::new(),
        scaling: vec![Scaling::default(); MOMENT.len()],
        event_scaling: Vec::new(),
        scales: vec![1.0; count],
        rights: vec![Default::default(); count],
        repeat_buying,
        baselines: Baselines { at_moments: vec![None; count], ..Baselines::default() },
        ahead: None,
    }
}

/// Brings together what was asked, what came true, what a model has said that was rolled forward, and what
/// is said beside it: by the baselines of such tasks, and by every user's rates so far.
///
/// # Errors
///
/// Where a baseline does not fit the questions.
pub fn compare_ahead(
    heads: &TaskKnowledge,
    lessons: &Lessons,
    rolled: &Rolled,
) -> Result<Vec<Compared>, Error> {
    let asked = &heads.ahead.as_deref().expect("a model that looks ahead").asked;
    let mut compared = compare(asked, lessons, &[], &rolled.told)?;
    for Compared { task, truth, said, .. } in &mut compared {
        if !task.is_binary() && !said.iter().any(|(by, _)| *by == "zero") {
            said.push(("zero", vec![0.0; truth.len()]));
        }
        let rates = lessons.asked.known.iter().map(|known| rate(*task, known, asked.horizon));
        said.push(("rate", rates.collect()));
    }
    Ok(compared)
}

/// A user who goes on as so far, by chance and evenly: orders, money and days with an event per day since
/// the first event.
fn rate(task: Task, known: &[f64; MOMENT.len()], horizon: i64) -> f64 {
    let of = |name: &str| known[MOMENT.iter().position(|&other| other == name).expect("a number")];
    let horizon = horizon as f64 / 1000.0 / DAY;
    let days = of("since_first_event").max(1.0);
    let [orders, spend, active] = ["orders", "spend", "active_days"].map(|name| of(name) / days);
    match task {
        Task::Purchase => -(-orders * horizon).exp_m1(),
        Task::Count => orders * horizon,
        Task::Churn => (-active * horizon).exp(),
        Task::Value => spend * horizon,
        _ => -(-active * horizon).exp_m1() / active * DAY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_go_on_as_they_were() {
        let mut known = [0.0; MOMENT.len()];
        let mut set = |name: &str, value: f64| {
            known[MOMENT.iter().position(|&other| other == name).unwrap()] = value;
        };
        set("since_first_event", 20.0);
        set("orders", 4.0);
        set("spend", 100.0);
        set("active_days", 10.0);
        let horizon = 10 * 86_400_000;
        let tasks = [Task::Purchase, Task::Count, Task::Churn, Task::Value, Task::TimeToNext];
        let said = tasks.map(|task| rate(task, &known, horizon));
        let gone = (-5f64).exp();
        let expected = [1.0 - (-2f64).exp(), 2.0, gone, 50.0, (1.0 - gone) * 2.0 * 86_400.0];
        for (said, expected) in said.into_iter().zip(expected) {
            assert!((said - expected).abs() < 1e-9 * expected, "{said} {expected}");
        }
    }
}
