//! `tidegate explain`: why a model says what it says of a user.

mod page;
mod table;

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, anyhow};
use events::time::{format_time, parse_moment};
use events::{Log, Sessions};
use model::Device;
use serde_json::{Value, json};
use train::explain::{BaselineKind, Causes, Explainer, Gates, How, Subject, Units};
use train::{Knowledge, Trained};

use crate::args::{Common, Explain};
use crate::evaluate::{read_as_trained, sessions_of};
use crate::failure::usage;
use crate::machine::{device, peak_rss};
use crate::output::{Style, count, decimal, print, print_json, seconds, shown};
use crate::progress::end_at_interrupts;
use crate::settings::{ExplainSettings, Settings};
use crate::target::{model_file, out_folder, whole_folder, write_in, write_json_in};
use crate::tasks::{check_events, name, users_of};

/// The page of one user; it says that the other files are whole.
const PAGE: &str = "report.html";
/// The table of many users, and what says that it is whole.
const CAUSES: &str = "causes.csv";
const SUMMARY: &str = "summary.json";
/// Parts of the path where nothing else is asked for.
const STEPS: u32 = 4;

pub(crate) fn run(common: &Common, args: &Explain) -> Result<()> {
    let begin = Instant::now();
    let mut settings = Settings::load(common, None)?;
    settings.overlay(&args.logs, &args.reading);
    settings.out = args.out.clone().or(settings.out);
    settings.explain = overlay(&settings.explain, args);
    settings.announce()?;
    let asked = settings.explain.clone();
    if asked.user.is_some() == asked.all.is_some() {
        return Err(usage("whom to explain? give --user ID, or --all N for a table of many"));
    }
    let baseline = match asked.baseline.as_deref() {
        None | Some("mean") => BaselineKind::Mean,
        Some("zero") => BaselineKind::Zero,
        Some(other) => return Err(usage(format!("--baseline {other}: expected mean or zero"))),
    };
    let how = How {
        task: asked.task.as_deref().map(str::parse).transpose()?,
        target: asked.target.clone(),
        baseline,
        steps: asked.steps.unwrap_or(STEPS).max(1) as usize,
    };
    let zone = settings.data.zone()?;
    let at = asked.at.as_deref();
    let at = at.map(|text| parse_moment("--at", text, &zone)).transpose()?;
    let (options, logs) = (settings.data.read_options()?, settings.data.logs()?);
    let inputs = [logs, &[model_file(&args.model)], common.config.as_slice()].concat();
    let remedy = "use --force to write into it, or name another";
    let out = out_folder(settings.out.as_deref(), &inputs, args.force || settings.force, remedy)?;
    end_at_interrupts()?;

    let trained = Trained::load(&args.model, device(&settings)?)?;
    check_events(&trained.knowledge)?;
    let mut log = read_as_trained(logs, options, &trained.knowledge.treatment, settings.quiet)?;
    let rows = rows(&settings, &trained.knowledge, &mut log)?;
    if at.is_some() && log.events.time.is_empty() {
        return Err(usage(
            "--at: the log has no times; name their column with --columns time=NAME",
        ));
    }
    let mut explainer = Explainer::new(&trained, &log, &rows, &how)?;
    let end = rows.log_events().iter().filter_map(|&event| log.time(event)).max();
    let when = When {
        at,
        before: asked.before.as_deref(),
        end: end.map(|end| end.saturating_add(1)),
        by_time: explainer.task().is_at_moment(),
    };
    let result = match (&asked.user, asked.all) {
        (Some(user), _) => {
            let subject = subject(&log, &rows, user, when)?;
            let told = tell(&mut explainer, &log, user, subject)?;
            whole_folder(&out, PAGE, |folder| write(folder, &told))?;
            told.short(&args.model, &out)
        }
        (None, most) => {
            let subjects = subjects(&log, &rows, when, most.unwrap_or(1) as usize)?;
            let found = explainer.causes(&subjects)?;
            let task = explainer.task();
            let (csv, mut summary) = table::of_many(&log, &rows, &subjects, &found);
            summary["task"] = json!(task.name());
            summary["baseline"] = json!(baseline);
            summary["steps"] = json!(how.steps);
            whole_folder(&out, SUMMARY, |folder| {
                write_in(folder, CAUSES, csv)?;
                write_json_in(folder, SUMMARY, &summary)
            })?;
            summary["out"] = json!(out.display().to_string());
            summary
        }
    };
    let wall = begin.elapsed().as_secs_f64();
    if settings.json {
        let mut all = result;
        all["wall_s"] = json!(wall);
        all["peak_rss"] = json!(peak_rss());
        return print_json(&all);
    }
    print(&render(&result, &out, wall))
}

/// The flags over the settings.
fn overlay(settings: &ExplainSettings, args: &Explain) -> ExplainSettings {
    let or = |flag: &Option<String>, key: &Option<String>| flag.clone().or_else(|| key.clone());
    // Whoever names a user does not mean the many of a file, and the other way round.
    let chosen = args.user.is_some() || args.all.is_some();
    ExplainSettings {
        user: if chosen { args.user.clone() } else { settings.user.clone() },
        all: if chosen { args.all } else { settings.all },
        at: or(&args.at, &settings.at),
        before: or(&args.before, &settings.before),
        task: or(&args.task, &settings.task),
        target: or(&args.target, &settings.target),
        baseline: or(&args.baseline, &settings.baseline),
        steps: args.steps.or(settings.steps),
    }
}

/// The rows of a log as the model reads them: whole users for a model with tasks, else sessions.
fn rows(settings: &Settings, knowledge: &Knowledge, log: &mut Log) -> Result<Sessions> {
    if knowledge.tasks.is_some() {
        return users_of(knowledge, log);
    }
    let sessions = sessions_of(&settings.data, knowledge, None, log)?;
    Ok(knowledge.treatment.fill(log, sessions))
}

/// When a question is put.
#[derive(Clone, Copy)]
struct When<'a> {
    at: Option<i64>,
    before: Option<&'a str>,
    /// Right after the last event of all.
    end: Option<i64>,
    /// Whether a moment parts what is known from what is not: then of events at one time all are known, or
    /// none.
    by_time: bool,
}

impl When<'_> {
    /// The question about a row; none where nothing of it is known then.
    fn subject(&self, log: &Log, rows: &Sessions, row: usize) -> Option<Subject> {
        let events = &rows.log_events()[rows.range(row)];
        let timed = |event: u32| log.time(event);
        let mut known = match self.at {
            None => events.len(),
            Some(at) => events.partition_point(|&event| timed(event).is_some_and(|t| t < at)),
        };
        let mut at = self.at;
        if let Some(kind) = self.before {
            let kind = log.kinds.find(kind)?;
            let of_kind = |&event: &u32| log.events.kind.get(event as usize) == Some(&kind);
            known = events[..known].iter().rposition(of_kind)?;
            at = timed(events[known]);
            if let (true, Some(at)) = (self.by_time, at) {
                let earlier = |&event: &u32| timed(event).is_some_and(|time| time < at);
                known = events[..known].partition_point(earlier);
            }
        }
        let last = known.checked_sub(1)?;
        let at = at.or(self.end).or_else(|| timed(events[last])).unwrap_or(0);
        Some(Subject { row, known, at })
    }
}

/// The question about a user.
fn subject(log: &Log, rows: &Sessions, user: &str, when: When<'_>) -> Result<Subject> {
    check_kind(log, when)?;
    let theirs = (0..rows.len()).filter(|&row| name(log, rows, row) == Some(user));
    let theirs: Vec<usize> = theirs.collect();
    if theirs.is_empty() {
        let what = if log.events.user.is_empty() { "session" } else { "user" };
        return Err(anyhow!("--user {user}: no such {what} in the log"));
    }
    // Of several sessions the latest of which something is known.
    let found = theirs.iter().rev().find_map(|&row| when.subject(log, rows, row));
    found.ok_or_else(|| match (when.before, when.at) {
        (Some(kind), _) => {
            usage(format!("--before {kind}: nothing of user {user} stands before such an event"))
        }
        (_, Some(at)) => usage(format!(
            "--at {}: nothing is known of user {user} before; choose a later date",
            format_time(at)
        )),
        _ => anyhow!("--user {user}: no event is left"),
    })
}

/// The questions about the first users of whom something is known.
fn subjects(log: &Log, rows: &Sessions, when: When<'_>, most: usize) -> Result<Vec<Subject>> {
    check_kind(log, when)?;
    let all = (0..rows.len()).filter_map(|row| when.subject(log, rows, row));
    let found: Vec<Subject> = all.take(most).collect();
    match found.is_empty() {
        true => Err(usage("nothing is known of anyone at that moment; check --at and --before")),
        false => Ok(found),
    }
}

fn check_kind(log: &Log, when: When<'_>) -> Result<()> {
    match when.before {
        Some(kind) if log.kinds.find(kind).is_none() => {
            let kinds: Vec<&str> = log.kinds.iter().take(12).collect();
            Err(usage(format!(
                "--before {kind}: the log has no such kind of event; it has {}",
                if kinds.is_empty() { "none at all".to_owned() } else { kinds.join(", ") }
            )))
        }
        _ => Ok(()),
    }
}

/// All that is told of one user.
struct Told {
    user: String,
    task: &'static str,
    horizon: Option<i64>,
    at: Option<String>,
    /// The answer after each event that is read, and the probability of what came next.
    answers: Vec<(f64, Option<f64>)>,
    causes: Causes,
    gates: Gates,
    units: Units,
    steps: usize,
}

fn tell<D: Device>(
    explainer: &mut Explainer<'_, D>,
    log: &Log,
    user: &str,
    subject: Subject,
) -> Result<Told> {
    let causes = explainer.causes(&[subject])?.pop().flatten().ok_or_else(|| {
        anyhow!("--user {user}: the model knows none of the items; train it on a log that has them")
    })?;
    let answers = explainer.answers(subject, causes.target.as_ref())?;
    Ok(Told {
        user: user.to_owned(),
        task: explainer.task().name(),
        horizon: explainer.horizon(),
        at: (!log.events.time.is_empty()).then(|| format_time(subject.at)),
        answers,
        gates: explainer.gates(subject)?,
        units: explainer.units()?,
        steps: explainer.steps(),
        causes,
    })
}

impl Told {
    fn json(&self) -> Value {
        let after = self.causes.events.iter().zip(&self.answers);
        let after: Vec<Value> = after
            .map(|(event, (answer, came))| {
                json!({ "event": event.event, "answer": answer, "came": came })
            })
            .collect();
        json!({
            "user": self.user,
            "task": self.task,
            "horizon_s": self.horizon.map(|horizon| horizon as f64 / 1000.0),
            "at": self.at,
            "steps": self.steps,
            "after": after,
            "causes": self.causes,
            "gates": self.gates,
            "units": self.units,
        })
    }

    /// What is printed.
    fn short(&self, model: &Path, out: &Path) -> Value {
        let [attribution, occlusion] = self.causes.tops();
        json!({
            "model": model.display().to_string(),
            "out": out.display().to_string(),
            "user": self.user,
            "task": self.task,
            "at": self.at,
            "target": self.causes.target,
            "answer": self.causes.answer,
            "logit": self.causes.logit,
            "baseline_logit": self.causes.baseline_logit,
            "residual": self.causes.residual,
            "agreement": self.causes.agreement,
            "events": self.causes.events.len(),
            "top_attribution": attribution,
            "top_occlusion": occlusion,
        })
    }
}

fn write(folder: &Path, told: &Told) -> Result<()> {
    write_json_in(folder, "explanation.json", &told.json())?;
    let (page, pictures) = page::of(told);
    for (name, picture) in pictures {
        write_in(folder, name, picture)?;
    }
    write_in(folder, PAGE, page)
}

fn render(result: &Value, out: &Path, wall: f64) -> String {
    let style = Style::for_stdout();
    let number = |key: &str| result[key].as_f64().map_or("–".to_owned(), decimal);
    let mut text = match result["users"].as_u64() {
        Some(users) => format!(
            "  {} users, task {}; largest residual {:.1e}\n",
            count(users),
            result["task"].as_str().unwrap_or(""),
            result["largest_residual"].as_f64().unwrap_or(0.0)
        ),
        None => format!(
            "  {} of user {}: {}, after {} events\n  attributions sum to the difference from the \
             baseline but for {:.1e}; rank correlation with leaving out {}\n",
            result["task"].as_str().unwrap_or(""),
            shown(result["user"].as_str().unwrap_or("").to_owned()),
            number("answer"),
            count(result["events"].as_u64().unwrap_or(0)),
            result["residual"].as_f64().unwrap_or(0.0).abs(),
            number("agreement"),
        ),
    };
    let file = if result["users"].is_u64() { CAUSES } else { PAGE };
    text +=
        &format!("  {}; {}\n", seconds(wall), style.bold(&out.join(file).display().to_string()));
    text
}
