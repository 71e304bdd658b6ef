//! `tidegate evaluate`: how good a model is on a log, beside the baselines.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, anyhow};
use events::{Cases, Log, ReadOptions, SessionOptions, Sessions, Split, Vocabulary};
use model::Device;
use serde_json::json;
use train::evaluate::{Answer, answer, score_baselines};
use train::metrics::Ranks;
use train::{Knowledge, Trained, Treatment, metrics};

use crate::args::{Common, Evaluate};
use crate::failure::usage;
use crate::figures;
use crate::machine::{device, peak_rss};
use crate::output::{Style, count, print, print_json, seconds};
use crate::progress::warn;
use crate::reading::{read_log, warn_of_settled};
use crate::settings::{DataSettings, Settings};
use crate::target::{Target, model_file};
use crate::tasks;

/// Items of each case in the file of predictions.
const TOP: usize = metrics::DEPTH;

pub(crate) fn run(common: &Common, args: &Evaluate) -> Result<()> {
    let begin = Instant::now();
    let mut settings = Settings::load(common, None)?;
    settings.overlay(&args.logs, &args.reading);
    settings.data.split = args.split.clone().or(settings.data.split.take());
    settings.announce()?;
    let data = &settings.data;
    let at = if args.at.is_empty() { &settings.evaluate.at } else { &args.at };
    let predictions = args.predictions.as_ref().or(settings.evaluate.predictions.as_ref());
    let split = data.asked_split()?;
    let (options, logs) = (data.read_options()?, data.logs()?);

    let device = device(&settings)?;
    let trained = Trained::load(&args.model, device.clone())?;
    let treatment = &trained.knowledge.treatment;
    if trained.knowledge.tasks.is_none() && !at.is_empty() {
        return Err(tasks::known(&trained.knowledge).expect_err("there are none"));
    }
    let mut log = read_as_trained(logs, options, treatment, settings.quiet)?;
    if trained.knowledge.tasks.is_some() {
        if split.is_some() || predictions.is_some() {
            return Err(usage(
                "--split and --predictions are for models of the next item alone; a model with tasks is \
                 asked at a date, with --at, and `tidegate predict` writes what it says",
            ));
        }
        let cases = args.cases.as_ref().or(settings.evaluate.cases.as_ref());
        let inputs = [logs, &[model_file(&args.model)], common.config.as_slice()].concat();
        let cases = cases.map(|path| Target::create("--cases", path, &inputs)).transpose()?;
        return score_tasks(&settings, &args.model, &trained, &mut log, at, cases, begin);
    }
    let sessions = sessions_of(&settings.data, &trained.knowledge, split, &mut log)?;
    let sessions = match split {
        Some(split) => {
            let held_out = split.held_out(&sessions, settings.seed())?;
            if args.split.is_none() && !settings.quiet {
                let (some, all) = (count(held_out.len()), count(sessions.len()));
                warn(&format!(
                    "split = {split} of the configuration: only the part that it holds out of \
                     training is scored, {some} of {all} sessions; --split none scores all"
                ));
            }
            held_out
        }
        None => sessions,
    };
    let sessions = treatment.fill(&mut log, sessions);
    let vocabulary = &trained.knowledge.vocabulary;
    let mut sequences = vocabulary.encode(&sessions, &log.items);
    sequences.features = treatment.encode(&log, &sessions);
    let cases = Cases::new(&sequences);
    if cases.is_empty() {
        return Err(anyhow!(
            "there is nothing to predict: no session has two events; check --from, --until, \
             --split and the session and time columns"
        ));
    }

    let mut ranks = Ranks::default();
    let inputs = [logs, &[model_file(&args.model)], common.config.as_slice()].concat();
    let mut file = predictions.map(|path| Predictions::create(path, &inputs)).transpose()?;
    let top = if file.is_some() { TOP } else { 0 };
    let mut failed = None;
    let window = trained.knowledge.window();
    answer(&trained.model, &cases, (window, top), |first, answers| {
        for answer in answers {
            match answer.rank {
                Some(rank) => ranks.add(rank),
                None => ranks.add_unknown(),
            }
        }
        if let (Some(file), None) = (&mut file, &failed) {
            failed = file.write(&cases, first, answers, &sessions, &log, vocabulary).err();
        }
        Ok(())
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    if let Some(file) = file {
        file.0.finish()?;
    }
    let metrics = ranks.metrics();
    let baselines = device.run(|| score_baselines(&trained.knowledge.baselines, &cases));
    let wall = begin.elapsed().as_secs_f64();
    if settings.json {
        let mut next_item = serde_json::to_value(metrics)?;
        next_item["baselines"] = json!(baselines);
        return print_json(&json!({
            "model": args.model.display().to_string(),
            "tasks": { "next-item": next_item },
            "wall_s": wall,
            "peak_rss": peak_rss(),
        }));
    }
    figures::warn_of_defeat(&metrics, &baselines);
    let unknown = match metrics.unknown_targets {
        0 => String::new(),
        n => format!(" ({} of a target that training never saw: a miss)", count(n)),
    };
    let head = format!("{} predictions{unknown}", count(metrics.cases));
    let mut text = format!("{}\n", Style::for_stdout().bold(&head));
    text += &figures::render(&metrics, &baselines);
    text += &format!("  {}", seconds(wall));
    if let Some(path) = predictions {
        text += &format!("; predictions in {}", path.display());
    }
    print(&(text + "\n"))
}

/// Scores a model with tasks.
fn score_tasks<D: Device>(
    settings: &Settings,
    path: &Path,
    trained: &Trained<D>,
    log: &mut Log,
    at: &[String],
    cases: Option<Target>,
    begin: Instant,
) -> Result<()> {
    let (zone, seed) = (settings.data.zone()?, settings.seed());
    let scored = tasks::score(trained, log, at, (&zone, seed), cases)?;
    let wall = begin.elapsed().as_secs_f64();
    let at: Vec<String> = scored.at.iter().map(|&at| events::time::format_time(at)).collect();
    if settings.json {
        return print_json(&json!({
            "model": path.display().to_string(),
            "at": at,
            "tasks": scored.tasks,
            "wall_s": wall,
            "peak_rss": peak_rss(),
        }));
    }
    let style = Style::for_stdout();
    let mut text = match at.is_empty() {
        true => String::new(),
        false => format!("Asked at {}\n", at.join(", ")),
    };
    if let Some(figures) = scored.tasks.get("next-item") {
        let cases = count(figures["cases"].as_u64().unwrap_or(0));
        text += &format!("\n{}\n", style.bold(&format!("next-item: {cases} predictions")));
        text += &figures::render_json(figures);
    }
    text += &tasks::render(&scored.tasks, style, "");
    print(&(text + &format!("\n  {}\n", seconds(wall))))
}

/// Reads a log with the columns that the model's features are made of, and warns of those that it lacks.
pub(crate) fn read_as_trained(
    paths: &[PathBuf],
    options: ReadOptions,
    treatment: &Treatment,
    quiet: bool,
) -> Result<Log> {
    read_beside(paths, options, treatment, &[], quiet)
}

/// The same with further columns of words, which the log may lack.
pub(crate) fn read_beside(
    paths: &[PathBuf],
    options: ReadOptions,
    treatment: &Treatment,
    beside: &[&str],
    quiet: bool,
) -> Result<Log> {
    let mut further = treatment.features.specs().further();
    for name in beside {
        if !further.labels.iter().any(|known| known == name) {
            further.labels.push((*name).to_owned());
        }
    }
    let options = ReadOptions { further, may_lack_further: true, ..options };
    let log = read_log(paths, &options, quiet)?;
    let mut absent: Vec<&str> = treatment.features.absent(&log);
    let labels = log.labels.iter().filter(|column| column.names.is_empty());
    let labels = labels.filter(|column| !beside.contains(&column.name.as_str()));
    absent.extend(labels.map(|column| column.name.as_str()));
    let numbers = log.numbers.iter().filter(|column| column.values.iter().all(|x| x.is_nan()));
    absent.extend(numbers.map(|column| column.name.as_str()));
    if !absent.is_empty() {
        warn(&format!(
            "the model looks at {}, of which this log says nothing: missing at every event",
            absent.join(", ")
        ));
    }
    Ok(log)
}

/// The sessions of a log, cleaned and made as those of the model's training unless the settings say
/// otherwise.
pub(crate) fn sessions_of(
    data: &DataSettings,
    knowledge: &Knowledge,
    split: Option<Split>,
    log: &mut Log,
) -> Result<Sessions> {
    let trained = &knowledge.sessions;
    let mut rules = data.session_rules()?;
    if data.sessions.is_none() {
        rules.rule.clone_from(&trained.rule);
    }
    if data.gap.is_none() {
        rules.gap = trained.gap;
    }
    // A model of session keys may be asked about a log that has users only, and so on.
    warn_of_settled(data, log.report.sessions.as_ref());
    let options = match log.report.sessions {
        Some(_) => SessionOptions::default(),
        None => rules.options()?,
    };
    let options = split.map_or(options, |split| split.session_options(options, log));
    Ok(knowledge.treatment.sessions(log, &options)?.0)
}

/// The file of `--predictions`: a line a case.
struct Predictions(Target);

impl Predictions {
    fn create(path: &Path, inputs: &[PathBuf]) -> Result<Self> {
        // Said before the work, not after it.
        let mut file = Target::create("--predictions", path, inputs)?;
        let items: Vec<String> = (1..=TOP).map(|k| format!("item_{k}")).collect();
        writeln!(file, "case,session,target,rank,{}", items.join(","))
            .map_err(|error| file.refuse(&error))?;
        Ok(Self(file))
    }

    fn write(
        &mut self,
        cases: &Cases,
        first: usize,
        answers: &[Answer],
        sessions: &Sessions,
        log: &Log,
        vocabulary: &Vocabulary,
    ) -> Result<()> {
        let mut text = String::new();
        for (k, (case, answer)) in cases.as_slice()[first..].iter().zip(answers).enumerate() {
            let session = match sessions.key(case.session as usize) {
                Some(key) if (key as usize) < log.sessions.len() => quoted(log.sessions.get(key)),
                _ => (case.session + 1).to_string(),
            };
            let target = quoted(log.items.get(case.log_target));
            let rank = answer.rank.map_or(String::new(), |rank| rank.to_string());
            text += &format!("{},{session},{target},{rank}", first + k + 1);
            for place in 0..TOP {
                text.push(',');
                text += &answer.top.get(place).map_or("".into(), |&i| quoted(vocabulary.name(i)));
            }
            text.push('\n');
        }
        self.0.write_all(text.as_bytes()).map_err(|error| self.0.refuse(&error))
    }
}

/// A field of a CSV file.
pub(crate) fn quoted(field: &str) -> String {
    match field.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_with_commas_are_quoted() {
        assert_eq!(quoted("a b"), "a b");
        assert_eq!(quoted("a,b"), "\"a,b\"");
        assert_eq!(quoted("5\" pipe"), "\"5\"\" pipe\"");
    }
}
