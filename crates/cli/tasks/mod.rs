//! Tasks beside the next item: what `train` learns from.

mod ahead;
mod ask;
mod render;

pub(crate) use ahead::{ahead, look_ahead};
pub(crate) use ask::{
    Question, check_begun, check_events, check_log, known, name, question, score, span, users_of,
};
pub(crate) use render::{render, tables};

use anyhow::{Result, bail};
use events::time::{format_time, parse_moment};
use events::{
    BuyRule, Buys, Cases, FillRule, Histories, Log, Method, Parts, ReadOptions, Role,
    SessionOptions, SessionRule, Sessions, Vocabulary, parse_span,
};
use train::tasks::{
    Balance, Baselines, Following, Lessons, Request, Task, TaskKnowledge, TaskSettings, Timetable,
    classes,
};
use train::{Data, Knowledge, SessionRules, TaskData};

use crate::args::Asking;
use crate::failure::usage;
use crate::item_vectors;
use crate::output::count;
use crate::progress::{say, warn};
use crate::reading::{fills, findings};
use crate::settings::{DataSettings, Settings, put};
use crate::train_verb::{Material, read, tell};

/// With tasks, items with fewer events than this are one to the model, where nothing else is said.
pub(crate) const MIN_SUPPORT: u32 = 5;

/// Whether anything but the next item is asked.
pub(crate) fn are_asked(tasks: &[String]) -> bool {
    tasks.iter().any(|task| task != Task::NextItem.name())
}

/// Lays the flags over the settings.
pub(crate) fn resolve(settings: &mut Settings, flags: &Asking) -> Result<()> {
    if !flags.task.is_empty() {
        settings.task.clone_from(&flags.task);
    }
    let tasks = &mut settings.tasks;
    put(&mut tasks.horizon, &flags.horizon);
    put(&mut tasks.stride, &flags.stride);
    put(&mut tasks.buys, &flags.buys);
    if !flags.at.is_empty() {
        tasks.at.clone_from(&flags.at);
    }
    tasks.paths = flags.paths.unwrap_or(tasks.paths);
    if let Some(grid) = &flags.grid {
        tasks.grid = Some(grid.parse()?);
    }
    Ok(())
}

/// Checks what is asked, all settings being known.
pub(crate) fn check(settings: &Settings) -> Result<()> {
    let tasks = &settings.tasks;
    tasks.validate()?;
    let asked = parse(&settings.task)?;
    let at_moments = asked.iter().any(|task| task.is_at_moment());
    if !at_moments {
        for (flag, said) in [
            ("--horizon", tasks.horizon.is_some()),
            ("--at", !tasks.at.is_empty()),
            ("--stride", tasks.stride.is_some()),
            ("--buys", tasks.buys.is_some()),
            ("--grid", tasks.grid.is_some()),
        ] {
            if said {
                return Err(usage(format!(
                    "{flag} is for tasks that look ahead: --task purchase, count, churn, value, \
                     time-to-next; name one, or leave it out"
                )));
            }
        }
    }
    if are_asked(&settings.task) {
        check_users(settings)?;
        request(settings)?;
        ahead::check(settings, &asked)?;
    }
    Ok(())
}

/// Refuses what has no meaning where whole users are read and asked about.
fn check_users(settings: &Settings) -> Result<()> {
    let (data, training, tasks) = (&settings.data, &settings.training, &settings.tasks);
    let usual = train::Training::default();
    let other = |rule: &&String| !["auto", "user"].contains(&rule.as_str());
    if let Some(rule) = data.sessions.as_ref().filter(other) {
        return Err(usage(format!(
            "--sessions {rule}: tasks beside the next item are about whole users; leave it out"
        )));
    }
    for (what, said) in [
        ("--validate", data.validate.is_some()),
        ("--window", training.window > 0),
        ("training.recency", training.recency != 0.0),
        ("training.max_length", training.max_length != usual.max_length),
        ("training.choose_by", training.choose_by != usual.choose_by),
        ("--min-length", data.min_length != DataSettings::default().min_length),
    ] {
        if said {
            return Err(usage(format!(
                "{what} has no meaning for tasks beside the next item; leave it out"
            )));
        }
    }
    if tasks.stride.is_some() && !tasks.at.is_empty() {
        return Err(usage("--stride: --at has named all moments; leave one of the two out"));
    }
    if tasks.gamma != TaskSettings::default().gamma && tasks.balance != Balance::Focal {
        return Err(usage("tasks.gamma belongs to balance = \"focal\"; set that, or leave it out"));
    }
    let looks_ahead = |rule: &FillRule| rule.methods.contains(&Method::Interpolate);
    if data.fill_rules()?.is_some_and(|rules| rules.0.iter().any(looks_ahead)) {
        return Err(usage(
            "--fill interpolate takes a value from what comes later, and answers are about what comes later: \
             use forward, median, item or another method",
        ));
    }
    Ok(())
}

fn parse(names: &[String]) -> Result<Vec<Task>> {
    let mut tasks = Vec::new();
    for name in names {
        let task: Task = name.parse()?;
        if !tasks.contains(&task) {
            tasks.push(task);
        }
    }
    // Files and answers have them in one order, however they are named.
    tasks.sort_unstable();
    Ok(tasks)
}

/// How labels are cut, as the settings say.
fn request(settings: &Settings) -> Result<Request> {
    let (asked, tasks) = (parse(&settings.task)?, &settings.tasks);
    let zone = settings.data.zone()?;
    let horizon = tasks.horizon.as_deref().map(|text| parse_span("--horizon", text)).transpose()?;
    let at_moments = asked.iter().find(|task| task.is_at_moment());
    if let (Some(task), None) = (at_moments, horizon) {
        return Err(usage(format!(
            "--task {task} looks ahead: say how far with --horizon, such as --horizon 7d"
        )));
    }
    let at = tasks.at.iter().map(|text| parse_moment("--at", text, &zone));
    Ok(Request {
        tasks: asked,
        horizon: horizon.unwrap_or(0),
        at: at.collect::<Result<_, _>>()?,
        stride: tasks.stride.as_deref().map(|text| parse_span("--stride", text)).transpose()?,
        most: tasks.most,
        buys: tasks.buys.as_deref().map_or(Ok(BuyRule::Meant), str::parse)?,
        zone,
        split: settings.data.split()?,
        seed: settings.seed(),
    })
}

/// Whole users, or sessions where a log names no users.
fn users(log: &Log) -> SessionOptions {
    let rule = if log.events.user.is_empty() { SessionRule::Key } else { SessionRule::User };
    SessionOptions { rule, ..SessionOptions::default() }
}

/// Reads the logs, cuts labels and parts them, and learns what is done with their events.
pub(crate) fn load(settings: &Settings) -> Result<Data> {
    let data = &settings.data;
    let request = request(settings)?;
    let options = ReadOptions { roles: Role::ALL.to_vec(), ..data.read_options()? };
    let given = item_vectors::read(data)?;
    let Material { mut log, mut treatment, wishes, .. } = read(settings, &options)?;
    let grouping = users(&log);
    let rules = SessionRules { rule: grouping.rule.name().to_owned(), gap: grouping.gap };
    let (sessions, report) = treatment.sessions(&mut log, &grouping)?;
    tell(settings, findings(&report));
    if ahead::is_wanted(settings, &request, &log, &sessions)? {
        return ahead::load(settings, &request, rules, (log, sessions), (treatment, wishes));
    }
    let table = Timetable::new(&log, &sessions, &request)?;
    table.notes.iter().for_each(|note| warn(note));

    // What is learned about events is learned from what training may see.
    let known = table.training_part(&log, &sessions);
    let mut parts = Parts { train: known, validation: sessions, test: Sessions::default() };
    let filled = treatment.learn_fill(&mut log, &mut parts, &wishes)?;
    tell(settings, filled.iter().flat_map(fills));
    let Parts { train: known, validation: sessions, .. } = parts;
    treatment.learn_features(&log, &known, &wishes)?;
    let min_support = data.min_support.unwrap_or(MIN_SUPPORT);
    let vocabulary = Vocabulary::with_other(&known, &log.items, min_support);
    let mut knowledge = Knowledge::of_vocabulary(vocabulary, &known, &log.items, rules, treatment);
    let names = knowledge.vocabulary.names();
    let vectors = given.map(|given| given.of_items(names, settings.quiet)).transpose()?;
    let mut train = knowledge.vocabulary.encode(&sessions, &log.items);
    train.features = knowledge.treatment.encode(&log, &sessions);

    let buys = match request.tasks.iter().any(|task| task.needs_purchases()) {
        true => Buys::of_some(&log, &request.buys)?,
        false => Buys::new(&log, &request.buys),
    };
    let histories = Histories::new(&log, &sessions, buys);
    let asked = table.ask(&histories, &request, false);
    let kinds = kinds(&log, &known, &request.tasks)?;
    if request.tasks.contains(&Task::Value) && !events::has_money(&log) {
        bail!(
            "--task value: the log says nothing about money; name its columns with --columns price=NAME, \
             quantity=NAME or amount=NAME, or leave the task out"
        );
    }
    let tasks = &settings.tasks;
    let asks_kinds = request.tasks.contains(&Task::NextEvent);
    let asks_what_follows = request.tasks.iter().any(|task| !task.is_at_moment());
    let following = |validation: bool| {
        let events = match asks_what_follows {
            true => table.follows(&histories, validation),
            false => vec![0..0; sessions.len()],
        };
        let classes = asks_kinds.then(|| classes(&log, &sessions, &kinds));
        Following::new(&histories, events, classes)
    };
    let (learned, checked) = (following(false), following(true));
    let clock = (&request.buys, &request.zone);
    let (horizon, names) = (request.horizon, kinds.clone());
    let mut known =
        TaskKnowledge::learn(&request.tasks, (&asked, &learned), horizon, clock, tasks, names)?;
    let answers = known.answers(tasks, &asked);
    let next_item = answers.next_item;
    let (scalings, history) = (known.scalings(), tasks.history);
    let validation = table.ask(&histories, &request, true);
    let validation = Lessons::new(validation, checked, scalings, history, next_item);
    let learned = Lessons::new(asked, learned, scalings, history, next_item);
    known.baselines = Baselines::fit(&known, &learned, &train.offsets)?;
    let cases = match next_item {
        true => Cases::after(&train, &validation.follows),
        false => Cases::default(),
    };
    knowledge.tasks = Some(known);
    let tasks = TaskData { settings: tasks.clone(), answers, train: learned, validation };
    let vectors = vectors.unwrap_or_default();
    Ok(Data { train, validation: cases, knowledge, vectors, tasks: Some(tasks) })
}

/// The kinds that the task `next-event` tells apart: those of the training part, the most frequent first.
fn kinds(log: &Log, known: &Sessions, tasks: &[Task]) -> Result<Vec<String>> {
    if !tasks.contains(&Task::NextEvent) {
        return Ok(Vec::new());
    }
    let mut counts = vec![0u64; log.kinds.len()];
    for &event in known.log_events() {
        let kind = log.events.kind.get(event as usize).copied().unwrap_or(events::NONE);
        if let Some(count) = counts.get_mut(kind as usize) {
            *count += 1;
        }
    }
    let mut order: Vec<u32> =
        (0..counts.len() as u32).filter(|&k| counts[k as usize] > 0).collect();
    order.sort_by_key(|&kind| std::cmp::Reverse(counts[kind as usize]));
    if order.len() < 2 {
        bail!(
            "--task next-event: the log tells fewer than two kinds of events apart; name the column of \
             kinds with --columns kind=NAME, or leave the task out"
        );
    }
    Ok(order.into_iter().map(|kind| log.kinds.get(kind).to_owned()).collect())
}

/// Says what there is to learn.
pub(crate) fn announce(data: &Data, tasks: &TaskData) {
    let moments = |lessons: &Lessons| {
        let at: std::collections::BTreeSet<i64> =
            lessons.asked.puts.iter().map(|put| put.at).collect();
        let [first, last] = [at.first(), at.last()].map(|at| format_time(*at.unwrap_or(&0)));
        match at.len() {
            1 => format!("one moment, {first}"),
            more => format!("{more} moments, {first} to {last}"),
        }
    };
    let of = |lessons: &Lessons| {
        let mut parts = Vec::new();
        if !lessons.asked.is_empty() {
            parts.push(format!("{} questions at {}", count(lessons.asked.len()), moments(lessons)));
        }
        if lessons.follows() > 0 {
            parts.push(format!("{} events and what follows them", count(lessons.follows())));
        }
        if parts.is_empty() { "nothing".to_owned() } else { parts.join(" and ") }
    };
    let on_grid = data.knowledge.tasks.as_ref().is_some_and(|tasks| tasks.ahead.is_some());
    let items = data.knowledge.vocabulary.items();
    say(&format!(
        "  {} users with {}; to learn from: {}; to validate on: {}",
        count(data.train.len()),
        match on_grid {
            true =>
                format!("{} periods of {} classes", count(data.train.items.len()), count(items)),
            false => format!("{} items", count(items)),
        },
        of(&tasks.train),
        of(&tasks.validation)
    ));
}
