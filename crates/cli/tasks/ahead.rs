//! What `train` learns on a grid of time, and how a log is asked about by a model that has.

use anyhow::{Result, bail};
use events::{Buys, Histories, Log, Parts, Sessions, Split};
use model::Device;
use train::tasks::ahead::{
    Ahead, Grid, GridLessons, Rolled, Spending, compare_ahead, roll, unfitted,
};
use train::tasks::{
    Asked, Baselines, Compared, Following, Lessons, MODEL, Request, Step, Task, TaskKnowledge,
    TaskSettings, Timetable, Told, Way, compare,
};
use train::{Data, Knowledge, SessionRules, TaskData, Trained, Treatment, Wishes};

use super::{name, span};
use crate::failure::usage;
use crate::progress::warn;
use crate::reading::fills;
use crate::settings::Settings;
use crate::train_verb::tell;

const DAY: i64 = 24 * 60 * 60 * 1000;

/// Refuses what has no meaning on a grid; where nobody asks for one, nothing.
pub(super) fn check(settings: &Settings, tasks: &[Task]) -> Result<()> {
    let asked = &settings.tasks;
    if asked.way != Way::Grid && asked.grid.is_none() {
        return Ok(());
    }
    if asked.way == Way::Direct {
        return Err(usage("way = \"direct\" of [tasks] and --grid: labels, or a grid? Name one"));
    }
    if let Some(task) = tasks.iter().find(|task| !task.is_at_moment()) {
        return Err(usage(format!(
            "--grid and --task {task}: a grid is of periods, not of events; train another model for it"
        )));
    }
    for (flag, said) in [("--at", !asked.at.is_empty()), ("--stride", asked.stride.is_some())] {
        if said {
            return Err(usage(format!(
                "{flag} and --grid: a grid learns from every period and cuts no labels; leave one out"
            )));
        }
    }
    if let Some(what) = settings.model.looks_back() {
        return Err(usage(format!(
            "--grid: a model that is rolled forward keeps its states alone, and {what} looks back; use \
             readout = \"last\""
        )));
    }
    Ok(())
}

/// Whether the settings, or the length of the log, ask for a grid.
pub(super) fn is_wanted(
    settings: &Settings,
    request: &Request,
    log: &Log,
    users: &Sessions,
) -> Result<bool> {
    let asked = &settings.tasks;
    if asked.way == Way::Grid || asked.grid.is_some() {
        return Ok(true);
    }
    if asked.way == Way::Direct || !request.at.is_empty() || request.horizon == 0 {
        return Ok(false);
    }
    // A log without times is refused where moments are set.
    let Ok((first, last)) = span(log, users) else { return Ok(false) };
    let zone = &request.zone;
    let short = events::Cuts::fitting((first, last), request.horizon, 1, 1, zone).is_err();
    if !short || request.tasks.iter().any(|task| !task.is_at_moment()) {
        return Ok(false);
    }
    if settings.model.looks_back().is_some() || last - first < 8 * DAY {
        return Ok(false);
    }
    warn(&format!(
        "the log holds {:.0} days and no horizon of {:.0} whole: the model learns on a grid of {}s and is \
         rolled forward (--grid; docs/ahead.md)",
        (last - first) as f64 / DAY as f64,
        request.horizon as f64 / DAY as f64,
        step(asked, request.horizon, last - first).name()
    ));
    Ok(true)
}

/// The length of a step: weeks, where there are enough of them before and after.
fn step(settings: &TaskSettings, horizon: i64, seen: i64) -> Step {
    let weeks = |time: i64| time / Step::Week.length();
    let many = weeks(seen) >= 26 && weeks(horizon) >= 6;
    settings.grid.unwrap_or(if many { Step::Week } else { Step::Day })
}

/// Cuts the log into periods, and learns what is done with its events.
pub(super) fn load(
    settings: &Settings,
    request: &Request,
    rules: SessionRules,
    (mut log, sessions): (Log, Sessions),
    (mut treatment, wishes): (Treatment, Wishes),
) -> Result<Data> {
    let (tasks, zone, seed) = (&settings.tasks, &request.zone, settings.seed());
    let seen = span(&log, &sessions)?;
    let period = step(tasks, request.horizon, seen.1 - seen.0).length();
    let grid = Grid::new(seen, sessions.len(), period, zone, (request.split, seed))?;
    if settings.data.features.is_some() {
        warn("--features: a model that learns on a grid sees periods, not events; not used");
    }
    let known = grid.table.training_part(&log, &sessions);
    let mut parts = Parts { train: known, validation: sessions, test: Sessions::default() };
    let filled = treatment.learn_fill(&mut log, &mut parts, &wishes)?;
    tell(settings, filled.iter().flat_map(fills));
    let sessions = parts.validation;
    let buys = Buys::of_some(&log, &request.buys)?;
    let histories = Histories::new(&log, &sessions, buys);
    if request.tasks.contains(&Task::Value) && !events::has_money(&log) {
        bail!(
            "--task value: the log says nothing about money; name its columns with --columns price=NAME, \
             quantity=NAME or amount=NAME, or leave the task out"
        );
    }
    let asked = beside(tasks, request, (&log, &sessions), &histories, &grid)?;
    let GridLessons { classes, sequences, train, validation } =
        GridLessons::new(&histories, &grid, zone)?;
    let spending = request.tasks.contains(&Task::Value).then(|| {
        let learned = (0..histories.len()).filter(|&user| grid.table.learns_from(user));
        let orders: Vec<Vec<f64>> =
            learned.map(|user| histories.order_values(user, grid.seen())).collect();
        Spending::fit(orders.iter().map(Vec::as_slice))
    });

    let names = classes.names();
    let counts = vec![1; names.len()];
    let mut knowledge = Knowledge::of_items(&model::Vocabulary { names: names.clone(), counts })?;
    (knowledge.sessions, knowledge.treatment) = (rules, treatment);
    let clock = (&request.buys, zone);
    let (heads, nothing) = ([Task::Period], Asked::default());
    let (horizon, history) = (request.horizon, tasks.history);
    let mut known = TaskKnowledge::learn(&heads, (&nothing, &train), horizon, clock, tasks, names)?;
    let answers = known.answers(tasks, &nothing);
    let lessons =
        |following| Lessons::new(Asked::default(), following, known.scalings(), history, false);
    let (train, validation) = (lessons(train), lessons(validation));
    known.baselines = Baselines::fit(&known, &train, &sequences.offsets)?;
    known.ahead = Some(Box::new(Ahead {
        period,
        orders: classes.orders,
        visits: classes.visits,
        years: grid.years,
        spending: spending.flatten(),
        paths: tasks.paths,
        seed,
        asked,
    }));
    knowledge.tasks = Some(known);
    let tasks = TaskData { settings: tasks.clone(), answers, train, validation };
    Ok(Data {
        train: sequences,
        validation: events::Cases::default(),
        knowledge,
        vectors: events::ItemVectors::default(),
        tasks: Some(tasks),
    })
}

/// What is said to the same questions without a network: by regressions where training sees whole horizons,
/// and set right where validation does; otherwise by what needs no label.
fn beside(
    settings: &TaskSettings,
    request: &Request,
    (log, users): (&Log, &Sessions),
    histories: &Histories<'_>,
    grid: &Grid,
) -> Result<TaskKnowledge> {
    let hold = grid.table.hold;
    let split = if hold < i64::MAX { Split::TimeAt(hold) } else { request.split };
    let clock = (&request.buys, &request.zone);
    let request = Request { split, ..request.clone() };
    let (tasks, horizon) = (&request.tasks, request.horizon);
    let labels = Timetable::new(log, users, &request).ok();
    if let Some(table) = labels.filter(|table| !table.train.is_empty()) {
        let asked = table.ask(histories, &request, false);
        let following = Following::default();
        let known =
            TaskKnowledge::learn(tasks, (&asked, &following), horizon, clock, settings, Vec::new());
        // Where nothing came true in any of them, there is nothing to fit.
        if let Ok(mut known) = known {
            let lessons = |asked| {
                let following = Following::default();
                Lessons::new(asked, following, known.scalings(), settings.history, false)
            };
            let (learned, checked) =
                (lessons(asked), lessons(table.ask(histories, &request, true)));
            known.baselines = Baselines::fit(&known, &learned, &[])?;
            if !checked.asked.is_empty() {
                let nothing = Told { answers: vec![vec![0.0; checked.asked.len()]; tasks.len()] };
                let given = compare(&known, &checked, &[], &nothing)?;
                known.set_right(settings.calibration, &given);
                known.rights.iter_mut().for_each(|rights| drop(rights.remove(MODEL)));
            }
            return Ok(known);
        }
    }
    let learned = (0..histories.len()).filter(|&user| grid.table.learns_from(user));
    let asked = Asked::new(histories, learned, &[grid.seen()], horizon, &request.zone);
    Ok(unfitted(tasks, &asked, horizon, clock, settings))
}

/// How a model looks ahead; none where it answers at once.
pub(crate) fn ahead<D: Device>(trained: &Trained<D>) -> Option<(&TaskKnowledge, &Ahead)> {
    let heads = trained.knowledge.tasks.as_ref()?;
    Some((heads, heads.ahead.as_deref()?))
}

/// Asks about the users of a log at some moments.
pub(crate) fn look_ahead<D: Device>(
    trained: &Trained<D>,
    (heads, ahead): (&TaskKnowledge, &Ahead),
    (log, users): (&Log, &Sessions),
    at: &[i64],
) -> Result<(Lessons, Rolled)> {
    let known = &ahead.asked;
    let histories = Histories::new(log, users, Buys::new(log, &known.buys.parse()?));
    let asked = Asked::new(&histories, 0..histories.len(), at, known.horizon, &known.zone()?);
    let key = |user: u32| fnv(name(log, users, user as usize).unwrap_or(""));
    let rolled = roll(&trained.model, heads, &histories, &asked.puts, key)?;
    let scalings = known.scalings();
    Ok((Lessons::new(asked, Following::default(), scalings, known.history, false), rolled))
}

/// What came true of that, and what is said to it beside the model.
pub(super) fn compared<D: Device>(
    trained: &Trained<D>,
    (heads, ahead): (&TaskKnowledge, &Ahead),
    log: (&Log, &Sessions),
    at: &[i64],
) -> Result<Vec<Compared>> {
    let (lessons, rolled) = look_ahead(trained, (heads, ahead), log, at)?;
    if lessons.asked.is_empty() {
        bail!(
            "there is nothing to ask: no user has an event before the moment; check --at and the log"
        );
    }
    Ok(compare_ahead(heads, &lessons, &rolled)?)
}

/// FNV-1a: where the random numbers of a user stand, by name.
fn fnv(name: &str) -> u64 {
    let add = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    name.bytes().fold(0xcbf2_9ce4_8422_2325, add)
}
