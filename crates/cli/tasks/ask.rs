//! A log as a model with tasks is asked about it.

use std::io::Write;
use std::ops::Range;

use anyhow::{Result, anyhow, bail};
use events::time::{format_time, parse_moment};
use events::{Buys, Cases, Cuts, Histories, Log, Sequences, Sessions, Zone};
use model::{Device, Model};
use serde_json::{Value, json};
use train::evaluate::{evaluate, score_baselines};
use train::tasks::{
    Asked, Compared, Following, Lessons, Task, TaskKnowledge, answer_tasks, classes, compare,
    figures,
};
use train::{Knowledge, Trained};

use super::ahead::{ahead, compared};
use super::users;
use crate::evaluate::quoted;
use crate::failure::usage;
use crate::progress::warn;
use crate::target::Target;

/// Rows and questions about a log that a model with tasks is asked about.
pub(crate) struct Question {
    pub(crate) sequences: Sequences,
    pub(crate) lessons: Lessons,
}

/// Asks about the users of a log at some moments, and with `follows` about what comes after some of their
/// events.
pub(crate) fn question(
    knowledge: &Knowledge,
    log: &Log,
    users: &Sessions,
    at: &[i64],
    follows: impl Fn(&Histories<'_>, usize) -> Range<u32>,
) -> Result<Question> {
    check_events(knowledge)?;
    let tasks = known(knowledge)?;
    let mut sequences = knowledge.vocabulary.encode(users, &log.items);
    sequences.features = knowledge.treatment.encode(log, users);
    let histories = Histories::new(log, users, Buys::new(log, &tasks.buys.parse()?));
    let asked = match tasks.tasks.iter().any(|task| task.is_at_moment()) {
        true => Asked::new(&histories, 0..histories.len(), at, tasks.horizon, &tasks.zone()?),
        false => Asked::default(),
    };
    let what_follows = tasks.tasks.iter().any(|task| !task.is_at_moment());
    let follows = |user: usize| if what_follows { follows(&histories, user) } else { 0..0 };
    let follows = (0..histories.len()).map(follows).collect();
    let classes = tasks.tasks.contains(&Task::NextEvent).then(|| {
        let mut classes = classes(log, users, &tasks.kinds);
        // After the last event of all there is none, of no kind.
        classes.push(events::NONE);
        classes
    });
    let following = Following::new(&histories, follows, classes);
    let lessons = Lessons::new(asked, following, tasks.scalings(), tasks.history, false);
    Ok(Question { sequences, lessons })
}

/// What is known of what a model is asked.
pub(crate) fn known(knowledge: &Knowledge) -> Result<&TaskKnowledge> {
    let tasks = knowledge.tasks.as_ref().ok_or_else(|| {
        usage("the model answers the next item alone; train one with --task purchase and the like")
    })?;
    Ok(tasks.ahead.as_ref().map_or(tasks, |ahead| &ahead.asked))
}

/// Refuses a model that reads no events.
pub(crate) fn check_events(knowledge: &Knowledge) -> Result<()> {
    match knowledge.tasks.as_ref().and_then(|tasks| tasks.ahead.as_ref()) {
        None => Ok(()),
        Some(_) => Err(usage(
            "the model looks ahead on a grid and reads periods, not events: it is for `predict`, `evaluate` \
             and `demand`; for this, train one whose --horizon fits into the log (without --grid)",
        )),
    }
}

/// Refuses a moment before which a log knows nothing.
pub(crate) fn check_begun(at: i64, first: i64) -> Result<()> {
    if at > first {
        return Ok(());
    }
    Err(usage(format!(
        "--at {}: the log begins {}, so nothing is known of anyone before; choose a later date",
        format_time(at),
        format_time(first)
    )))
}

/// Warns of a log that can hardly be the one that a model is for.
pub(crate) fn check_log(knowledge: &Knowledge, log: &Log) -> Result<()> {
    let tasks = known(knowledge)?;
    if tasks.tasks.iter().any(|task| task.needs_purchases())
        && Buys::of_some(log, &tasks.buys.parse()?).is_err()
    {
        let kinds: Vec<&str> = log.kinds.iter().take(8).collect();
        warn(&format!(
            "no event of the log is a purchase to the model (--buys {}; kinds of the log: {}), so it answers as if \
             nobody had ever bought; name the column of kinds with --columns kind=NAME",
            tasks.buys,
            if kinds.is_empty() { "none".to_owned() } else { kinds.join(", ") }
        ));
    }
    let on_grid = knowledge.tasks.as_ref().is_some_and(|tasks| tasks.ahead.is_some());
    if !on_grid && !log.items.iter().any(|id| knowledge.vocabulary.find(id).is_some()) {
        warn("the model knows none of the log's items: is it the log of the same shop?");
    }
    Ok(())
}

/// The users of a log as a model with tasks reads them.
pub(crate) fn users_of(knowledge: &Knowledge, log: &mut Log) -> Result<Sessions> {
    let (sessions, _) = knowledge.treatment.sessions(log, &users(log))?;
    Ok(knowledge.treatment.fill(log, sessions))
}

/// The first and the last time of some users.
pub(crate) fn span(log: &Log, users: &Sessions) -> Result<(i64, i64)> {
    let times = users.log_events().iter().filter_map(|&event| log.time(event));
    times
        .fold(None, |span: Option<(i64, i64)>, time| {
            Some(span.map_or((time, time), |(first, last)| (first.min(time), last.max(time))))
        })
        .ok_or_else(|| {
            anyhow!(
                "the log has no times, and answers are about what comes after a moment; name the column \
                 of times with --columns time=NAME"
            )
        })
}

/// The figures of a model with tasks on a log: what it says at some moments beside what the same log says
/// came true.
pub(crate) struct Scored {
    pub(crate) at: Vec<i64>,
    pub(crate) tasks: Value,
}

/// Scores a model's tasks. Without dates it is asked at the latest moment after which the log goes on to
/// the horizon; what follows an event is asked of all events from the first moment on.
pub(crate) fn score<D: Device>(
    trained: &Trained<D>,
    log: &mut Log,
    at: &[String],
    (zone, seed): (&Zone, u64),
    cases: Option<Target>,
) -> Result<Scored> {
    let (model, knowledge) = (&trained.model, &trained.knowledge);
    let tasks = known(knowledge)?;
    let users = users_of(knowledge, log)?;
    let (first, last) = span(log, &users)?;
    let at_moments = tasks.tasks.iter().any(|task| task.is_at_moment());
    let moments: Vec<i64> =
        at.iter().map(|text| parse_moment("--at", text, zone)).collect::<Result<_, _>>()?;
    let moments = match moments.is_empty() {
        true if at_moments => {
            let fits = Cuts::fitting((first, last), tasks.horizon, 1, 1, &tasks.zone()?)?;
            warn(&format!(
                "no --at: asked at {}, the latest moment after which the log goes on to the horizon",
                format_time(fits.at[0])
            ));
            fits.at
        }
        _ => moments,
    };
    let cuts = Cuts { at: moments, horizon: tasks.horizon };
    check_log(knowledge, log)?;
    for &moment in &cuts.at {
        check_begun(moment, first)?;
        if at_moments && !cuts.is_seen(moment, last) {
            return Err(usage(format!(
                "--at {}: what came true within the horizon is not in the log, which ends {}; it would have \
                 to go on to {}",
                format_time(moment),
                format_time(last),
                format_time(moment.saturating_add(tasks.horizon))
            )));
        }
    }
    if let Some(ahead) = ahead(trained) {
        let compared = compared(trained, ahead, (log, &users), &cuts.at)?;
        let tasks = gained(model, &compared, seed)?;
        if let Some(file) = cases {
            write_cases(file, &compared, known(knowledge)?, log, &users)?;
        }
        return Ok(Scored { at: cuts.at, tasks });
    }
    let from = cuts.at.iter().copied().min();
    let question = question(knowledge, log, &users, &cuts.at, |histories, user| {
        let all = histories.times(user).len();
        let known = from.map_or(0, |from| histories.known(user, from));
        known.saturating_sub(1) as u32..all.saturating_sub(1) as u32
    })?;
    let Question { sequences, lessons } = &question;
    let asks = !lessons.asked.is_empty() || lessons.follows() > 0;
    if !asks {
        bail!(
            "there is nothing to ask: no user has an event before the moment; check --at and the log"
        );
    }
    let told = answer_tasks(model, tasks, sequences, lessons)?;
    let compared = compare(tasks, lessons, &sequences.offsets, &told)?;
    let mut figures = gained(model, &compared, seed)?;
    if model.answers().next_item {
        let cases = Cases::after(sequences, &lessons.follows);
        let metrics = evaluate(model, &cases, knowledge.window())?;
        let mut next_item = serde_json::to_value(metrics)?;
        let baselines = model.device().run(|| score_baselines(&knowledge.baselines, &cases));
        next_item["baselines"] = json!(baselines);
        figures[Task::NextItem.name()] = next_item;
    }
    if let Some(file) = cases {
        write_cases(file, &compared, tasks, log, &users)?;
    }
    Ok(Scored { at: cuts.at, tasks: figures })
}

/// The figures of all tasks, with what is gained over the best baselines.
fn gained<D: Device>(model: &Model<D>, compared: &[Compared], seed: u64) -> Result<Value> {
    let mut figures = figures(compared)?;
    for compared in compared {
        let gains = model.device().run(|| compared.gains(seed))?;
        figures[compared.task.name()]["gains"] = json!(gains);
    }
    Ok(figures)
}

/// Writes every question: who it is about, what came true, and who has said what.
fn write_cases(
    mut file: Target,
    compared: &[Compared],
    tasks: &TaskKnowledge,
    log: &Log,
    users: &Sessions,
) -> Result<()> {
    let mut write = || -> std::io::Result<()> {
        writeln!(file, "task,user,truth,by,class,said")?;
        for Compared { task, users: of, truth, said } in compared {
            for (by, values) in said {
                let width = values.len().checked_div(truth.len()).unwrap_or(1);
                for ((row, truth), &user) in values.chunks_exact(width).zip(truth).zip(of) {
                    let user = quoted(name(log, users, user as usize).unwrap_or(""));
                    for (class, said) in row.iter().enumerate() {
                        let class = if width > 1 { tasks.kinds[class].as_str() } else { "" };
                        let truth = match width {
                            1 => truth.to_string(),
                            _ => quoted(&tasks.kinds[*truth as usize]),
                        };
                        writeln!(file, "{task},{user},{truth},{by},{},{said}", quoted(class))?;
                    }
                }
            }
        }
        Ok(())
    };
    write().map_err(|error| file.refuse(&error))?;
    file.finish()
}

/// What the log calls a user, or a session where it names no users.
pub(crate) fn name<'a>(log: &'a Log, users: &Sessions, user: usize) -> Option<&'a str> {
    match log.events.user.is_empty() {
        false => users.user(user).map(|user| log.users.get(user)),
        true => {
            let key = users.key(user)? as usize;
            (key < log.sessions.len()).then(|| log.sessions.get(key as u32))
        }
    }
}
