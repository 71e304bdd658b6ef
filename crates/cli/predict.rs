//! `tidegate predict`: what a model with tasks believes of every user.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, anyhow};
use events::time::{format_time, parse_moment};
use events::{Log, NumberTable, Sessions};
use serde_json::{Map, Value, json};
use train::tasks::ahead::Ahead;
use train::tasks::{MODEL, Task, TaskKnowledge, answer_tasks};
use train::{Knowledge, Trained};

use crate::args::{Common, Predict};
use crate::evaluate::{quoted, read_as_trained};
use crate::failure::usage;
use crate::machine::{device, peak_rss};
use crate::output::{count, print, print_json, seconds};
use crate::progress::{end_at_interrupts, warn};
use crate::settings::Settings;
use crate::target::{Target, model_file};
use crate::tasks::{
    Question, ahead, check_begun, check_log, known, look_ahead, name, question, span, users_of,
};

/// Users that are asked about at a time.
pub(crate) const USERS: usize = 1 << 15;

pub(crate) fn run(common: &Common, args: &Predict) -> Result<()> {
    let begin = Instant::now();
    let mut settings = Settings::load(common, None)?;
    settings.overlay(&args.logs, &args.reading);
    settings.predict.at = args.at.clone().or(settings.predict.at.take());
    settings.out = args.out.clone().or(settings.out);
    settings.announce()?;
    let out = settings.out.clone();
    let out =
        out.ok_or_else(|| usage("--out FILE is missing: name a .csv, .jsonl or .parquet file"))?;
    let layout = Layout::of("--out", &out)?;
    let zone = settings.data.zone()?;
    let at = settings.predict.at.as_deref();
    let at = at.map(|text| parse_moment("--at", text, &zone)).transpose()?;
    let (options, logs) = (settings.data.read_options()?, settings.data.logs()?);
    end_at_interrupts()?;
    let inputs = [logs, &[model_file(&args.model)], common.config.as_slice()].concat();
    // Said before the work, not after it.
    let target = Target::create("--out", &out, &inputs)?;

    let trained = Trained::load(&args.model, device(&settings)?)?;
    let tasks = known(&trained.knowledge)?;
    let mut log = read_as_trained(logs, options, &trained.knowledge.treatment, settings.quiet)?;
    let users = users_of(&trained.knowledge, &mut log)?;
    check_log(&trained.knowledge, &log)?;
    let (first, last) = span(&log, &users)?;
    let at = at.unwrap_or(last.saturating_add(1));
    check_begun(at, first)?;
    if !settings.quiet && at > last.saturating_add(tasks.horizon.max(1)) {
        warn(&format!(
            "--at {}: the log ends {}, more than a horizon before; everyone will look as if they had left",
            format_time(at),
            format_time(last)
        ));
    }
    let columns = columns(tasks, ahead(&trained).is_some());
    let key = if log.events.user.is_empty() { "session" } else { "user" };
    let mut table = Table::begin(layout, target, &out, key, &columns)?;
    // Whatever comes later is not even looked at.
    let users = users.before(&log, at);
    let mut rows = 0;
    for first in (0..users.len()).step_by(USERS) {
        let some: Vec<usize> = (first..users.len().min(first + USERS)).collect();
        let some = users.select(&some);
        let told = match ahead(&trained) {
            Some(ahead) => rolled(&trained, ahead, (&log, &some), at)?,
            None => answers(&trained, &put(&trained.knowledge, &log, &some, at)?, some.len())?,
        };
        for (user, row) in told.into_iter().enumerate() {
            let Some(name) = name(&log, &some, user) else { continue };
            table.push(name, &columns, &row)?;
            rows += 1;
        }
    }
    let nobody = users.len() - rows;
    table.finish()?;
    if nobody > 0 {
        warn(&format!(
            "{} rows of events belong to no user by name and have no row",
            count(nobody)
        ));
    }
    let wall = begin.elapsed().as_secs_f64();
    let names: Vec<&str> = tasks.answered().iter().map(|task| task.name()).collect();
    if settings.json {
        return print_json(&json!({
            "model": args.model.display().to_string(),
            "file": out.display().to_string(),
            "at": format_time(at),
            "horizon_s": tasks.horizon as f64 / 1000.0,
            "tasks": names,
            "users": rows,
            "wall_s": wall,
            "peak_rss": peak_rss(),
        }));
    }
    print(&format!(
        "  {} {key}s as of {}: {}\n  {}; {}\n",
        count(rows),
        format_time(at),
        names.join(", "),
        seconds(wall),
        out.display()
    ))
}

/// What the columns are called: those of `next-event` once for each kind; with `spread` numbers have their
/// deviation and two quantiles beside them.
pub(crate) fn columns(tasks: &TaskKnowledge, spread: bool) -> Vec<String> {
    let of = |task: Task| match task {
        task if spread && !task.is_binary() => {
            ["", "_sd", "_p10", "_p90"].map(|end| format!("{}{end}", task.column())).to_vec()
        }
        Task::NextEvent => {
            tasks.kinds.iter().map(|kind| format!("{}.{kind}", task.column())).collect()
        }
        other => vec![other.column().to_owned()],
    };
    tasks.answered().into_iter().flat_map(of).collect()
}

/// What is asked about some users after the last of their events, as of a moment.
pub(crate) fn put(knowledge: &Knowledge, log: &Log, users: &Sessions, at: i64) -> Result<Question> {
    question(knowledge, log, users, &[at], |histories, user| {
        let all = histories.times(user).len() as u32;
        all - 1..all
    })
}

/// The answers about some users, a row each.
pub(crate) fn answers<D: model::Device>(
    trained: &Trained<D>,
    question: &Question,
    users: usize,
) -> Result<Vec<Vec<f64>>> {
    let tasks = known(&trained.knowledge)?;
    let told = answer_tasks(&trained.model, tasks, &question.sequences, &question.lessons)?;
    let mut rows = vec![Vec::new(); users];
    for (k, answers) in told.answers.iter().enumerate() {
        let width = answers.len() / users;
        let answers = answers.iter().map(|&answer| f64::from(answer)).collect();
        let told_right = tasks.tell(k, MODEL, answers);
        for (row, answer) in rows.iter_mut().zip(told_right.chunks_exact(width)) {
            row.extend_from_slice(answer);
        }
    }
    Ok(rows)
}

/// The same of a model that is rolled forward, with the spread of each number.
fn rolled<D: model::Device>(
    trained: &Trained<D>,
    ahead: (&TaskKnowledge, &Ahead),
    (log, users): (&Log, &Sessions),
    at: i64,
) -> Result<Vec<Vec<f64>>> {
    let tasks = known(&trained.knowledge)?;
    let (_, rolled) = look_ahead(trained, ahead, (log, users), &[at])?;
    let mut rows = vec![Vec::new(); users.len()];
    for (k, (answers, spread)) in rolled.told.answers.iter().zip(&rolled.spread).enumerate() {
        let right = |value: &f32| tasks.tell(k, MODEL, vec![f64::from(*value)]);
        for (user, row) in rows.iter_mut().enumerate() {
            row.extend(right(&answers[user]));
            let wide = spread.get(user).into_iter().flatten();
            row.extend(wide.flat_map(right));
        }
    }
    Ok(rows)
}

/// How a file of predictions is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    Csv,
    Jsonl,
    Parquet,
}

impl Layout {
    /// By the end of the name that a flag has given.
    pub(crate) fn of(flag: &str, path: &Path) -> Result<Self> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("csv") => Ok(Self::Csv),
            Some("jsonl" | "ndjson") => Ok(Self::Jsonl),
            Some("parquet") => Ok(Self::Parquet),
            _ => Err(usage(format!(
                "{flag} {}: how is it to be written? Let its name end in .csv, .jsonl or .parquet",
                path.display()
            ))),
        }
    }
}

/// A file of predictions that is being written.
pub(crate) enum Table {
    Csv(Target),
    Jsonl(Target, &'static str),
    Parquet(Box<NumberTable<Target>>, PathBuf),
}

impl Table {
    pub(crate) fn begin(
        layout: Layout,
        mut target: Target,
        out: &Path,
        key: &'static str,
        columns: &[String],
    ) -> Result<Self> {
        Ok(match layout {
            Layout::Csv => {
                let names: Vec<String> = columns.iter().map(|name| quoted(name)).collect();
                let head = writeln!(target, "{key},{}", names.join(","));
                head.map_err(|error| target.refuse(&error))?;
                Self::Csv(target)
            }
            Layout::Jsonl => Self::Jsonl(target, key),
            Layout::Parquet => {
                let table = NumberTable::new(target, key, columns);
                Self::Parquet(Box::new(table.map_err(|error| refuse(out, &error))?), out.to_owned())
            }
        })
    }

    /// Adds a row; a number that nobody knows is left empty.
    pub(crate) fn push(&mut self, name: &str, columns: &[String], row: &[f64]) -> Result<()> {
        // As many digits as the network has computed.
        let row: Vec<f32> = row.iter().map(|&x| x as f32).collect();
        match self {
            Self::Csv(target) => {
                let written = |x: &f32| if x.is_nan() { String::new() } else { x.to_string() };
                let numbers: Vec<String> = row.iter().map(written).collect();
                let line = writeln!(target, "{},{}", quoted(name), numbers.join(","));
                line.map_err(|error| target.refuse(&error))
            }
            Self::Jsonl(target, key) => {
                let mut object = Map::new();
                object.insert((*key).to_owned(), Value::from(name));
                for (column, &x) in columns.iter().zip(&row) {
                    object.insert(column.clone(), Value::from(x));
                }
                let line = writeln!(target, "{}", Value::Object(object));
                line.map_err(|error| target.refuse(&error))
            }
            Self::Parquet(table, out) => {
                table.push(name, &row).map_err(|error| refuse(out, &error))
            }
        }
    }

    pub(crate) fn finish(self) -> Result<()> {
        match self {
            Self::Csv(target) | Self::Jsonl(target, _) => target.finish(),
            Self::Parquet(table, out) => {
                table.finish().map_err(|error| refuse(&out, &error))?.finish()
            }
        }
    }
}

fn refuse(out: &Path, error: &io::Error) -> anyhow::Error {
    anyhow!("--out {}: cannot be written: {error}; check the free space", out.display())
}
