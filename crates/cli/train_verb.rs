//! `tidegate train`: from a log to a model folder.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, bail};
use events::{Cases, Coverage, Log, ReadOptions, SessionOptions, Sessions, Settled, Split, Tables};
use model::{Inputs, ModelConfig};
use serde_json::{Value, json};
use train::doubts::{self, Doubt};
use train::folder::{Existing, admit};
use train::{
    CHECKPOINT_FOLDER, Data, Knowledge, Outcome, REPORT_FILE, RUN_FILE, Run, RunFile, SessionRules,
    Texts, Training, Treatment, Wishes,
};

use crate::args::{Common, Train};
use crate::failure::usage;
use crate::figures;
use crate::item_vectors;
use crate::machine::{check_device, device, kernel, memory, peak_rss, threads};
use crate::output::{Style, bytes, count, print, print_json, seconds};
use crate::progress::{TrainingProgress, catch_interrupts, say, warn, warned};
use crate::reading::{fills, findings, read_log, warn_of_settled};
use crate::settings::{DataSettings, Settings};
use crate::tasks;
use crate::train_page::{self, Told};

pub(crate) fn run(common: &Common, args: &Train) -> Result<()> {
    let begin = Instant::now();
    let settings = resolve(common, args)?;
    settings.announce()?;
    let out = settings.out.clone().unwrap_or_default();
    if settings.resume
        && let Some(result) = train::finished(&out)?
    {
        return show_finished(&settings, &out, &result);
    }
    let existing = match (settings.resume, settings.force) {
        (true, _) => Existing::Resume,
        (_, true) => Existing::Replace,
        _ => Existing::Refuse,
    };
    // Before the log is read, which may take long.
    admit(&out, existing, "use --force to replace the model in it, or --resume to go on")?;
    let mut doubts = Vec::new();
    let mut say_first = |doubt: Doubt| {
        warn(&doubt.to_string());
        doubts.push(doubt);
    };
    if let Some(doubt) = doubtful_rate(&settings) {
        say_first(doubt);
    }
    let device = device(&settings)?;
    let data = match tasks::are_asked(&settings.task) {
        true => tasks::load(&settings)?,
        false => load(&settings)?,
    };
    check_memory(&settings, &data)?;
    let asks = data.tasks.as_ref().is_some_and(|tasks| !tasks.validation.is_empty());
    if data.validation.is_empty() && !asks && data_split(&settings) {
        say_first(doubts::no_validation());
    }
    if let (Some(lessons), Some(known)) = (&data.tasks, &data.knowledge.tasks) {
        doubts::few_lessons(&lessons.train.asked, &known.tasks)
            .into_iter()
            .for_each(&mut say_first);
    }
    if !settings.quiet {
        match &data.tasks {
            Some(tasks) => tasks::announce(&data, tasks),
            None => say(&format!(
                "  {} sessions with {} items to learn from, {} predictions to validate on",
                count(data.train.len()),
                count(data.knowledge.vocabulary.items()),
                count(data.validation.len())
            )),
        }
    }

    catch_interrupts()?;
    let kernel = kernel(&device);
    let run = Run {
        out: &out,
        existing,
        seed: settings.seed(),
        model: &settings.model,
        optimizer: &settings.optimizer,
        training: &settings.training,
        run_file: &settings.to_toml()?,
        kernel,
    };
    let mut progress = TrainingProgress::new(settings.quiet);
    let with_early = |outcome: &Outcome| [&doubts[..], &outcome.warnings].concat();
    let mut unwritten = None;
    let texts = |outcome: &Outcome| {
        let mut notes = warned();
        notes.retain(|note| doubts.iter().all(|doubt| doubt.to_string() != *note));
        let doubts = with_early(outcome);
        let wall = begin.elapsed().as_secs_f64();
        let told = Told {
            settings: &settings,
            out: &out,
            data: &data,
            kernel,
            doubts: &doubts,
            notes,
            wall,
        };
        let wanted = settings.training.files.contains(&RunFile::Report);
        let page = wanted.then(|| train_page::of(&told, outcome)).transpose();
        let report = page.unwrap_or_else(|error| {
            unwritten = Some(error);
            None
        });
        Texts { result: result(&out, outcome, &doubts, begin).to_string(), report }
    };
    let outcome = train::train(device, &data, &run, &mut progress, texts)?;
    drop(progress);
    if let Some(error) = unwritten {
        warn(&format!("{}: not written: {error}", REPORT_FILE));
    }

    outcome.warnings.iter().for_each(|doubt| warn(&doubt.to_string()));
    if settings.json {
        return print_json(&result(&out, &outcome, &with_early(&outcome), begin));
    }
    print(&render(&out, &outcome, begin.elapsed().as_secs_f64()))
}

/// The settings of the run in a folder, be it under way or finished.
fn run_file(out: &Path) -> Option<PathBuf> {
    let files = [out.join(CHECKPOINT_FOLDER).join(RUN_FILE), out.join(RUN_FILE)];
    files.into_iter().find(|path| path.is_file())
}

/// Settings with every choice made.
fn resolve(common: &Common, args: &Train) -> Result<Settings> {
    // A run that is taken up again brings its settings along.
    let before = args.out.as_ref().filter(|_| args.resume).and_then(|out| run_file(out));
    let mut settings = Settings::load(common, before.as_deref())?;
    settings.overlay(&args.logs, &args.reading);
    settings.out = args.out.clone().or(settings.out);
    if settings.out.is_none() {
        return Err(usage("--out DIR is missing: name the folder of the model"));
    }
    settings.force |= args.force;
    settings.resume |= args.resume;
    if settings.force && settings.resume {
        return Err(usage("--force and --resume: replace the run, or go on with it?"));
    }
    tasks::resolve(&mut settings, &args.asking)?;
    let (data, model, training) = (&mut settings.data, &mut settings.model, &mut settings.training);
    data.validate = args.validate.clone().or(data.validate.take());
    data.split = args.split.clone().or(data.split.take());
    let least = if tasks::are_asked(&settings.task) { tasks::MIN_SUPPORT } else { 1 };
    data.min_support = Some(args.min_support.or(data.min_support).unwrap_or(least));
    data.min_length = args.min_length.unwrap_or(data.min_length);
    data.describe(&args.describing);
    data.complete(&args.completing);
    if data.validate.is_some() {
        if data.split.as_deref().is_some_and(|split| split != "none") {
            return Err(usage("--validate and --split: validate on another log, or on a part?"));
        }
        data.split = Some("none".to_owned());
    }
    // What is not said is said in the file that the run leaves.
    data.split = Some(data.split()?.to_string());
    let rules = data.session_rules()?;
    let whole_users = tasks::are_asked(&settings.task);
    data.sessions = data.sessions.take().or((!whole_users).then_some(rules.rule));
    data.read_options()?;
    data.treatment()?;
    data.fill_rules()?;
    item_vectors::check(data)?;
    data.check_tables()?;
    data.logs()?;
    model.cell = args.cell.unwrap_or(model.cell);
    settings.said.overlay(args, model)?;
    training.epochs = args.epochs.map_or(training.epochs, |epochs| epochs as usize);
    if let Some(kind) = &args.optimizer {
        settings.optimizer.kind = kind.parse().map_err(train::Error::from)?;
    }
    training.learning_rate = args.learning_rate.unwrap_or(training.learning_rate);
    training.window = args.window.unwrap_or(training.window);
    training.patience = args.patience.unwrap_or(training.patience);
    model.validate().map_err(train::Error::from)?;
    settings.optimizer.validate().map_err(train::Error::from)?;
    training.validate()?;
    training.validate_for(model)?;
    if before.is_none() {
        // A run that has begun goes on as it was.
        settings.check_effects()?;
    }
    tasks::check(&settings)?;
    check_device(&settings)?;
    settings.seed = Some(settings.seed());
    settings.threads = Some(threads(&settings) as u16);
    settings.device = Some(settings.device.take().unwrap_or_else(|| "auto".to_owned()));
    Ok(settings)
}

/// Whether a part for validation was to be kept.
fn data_split(settings: &Settings) -> bool {
    settings.data.validate.is_some() || settings.data.split.as_deref() != Some("none")
}

/// Whether the learning rate is the default one, where the optimiser wants another.
fn doubtful_rate(settings: &Settings) -> Option<Doubt> {
    let rate = settings.training.learning_rate;
    doubts::rate(rate, settings.optimizer.usual_rate(), rate == Training::default().learning_rate)
}

/// Refuses a model that the machine cannot hold, before the system ends the run.
fn check_memory(settings: &Settings, data: &Data) -> Result<()> {
    // Weights, gradient, packed weights and what the optimiser keeps; and while a checkpoint is
    // written, weights and what is kept once more as tensors and as bytes of the file. 32 bits
    // each.
    let kept = settings.optimizer.numbers_kept() as u64;
    let learned = numbers(&settings.model, data.inputs());
    let needed = learned.saturating_mul(4 * (3 + kept + 2 * (1 + kept)));
    // Given vectors are only read: once here, once on the machine, twice in a checkpoint.
    let needed = needed.saturating_add(4 * 4 * data.vectors.values.len() as u64);
    match memory() {
        Some(memory) if needed > memory => Err(usage(format!(
            "training this model takes at least {} of memory and the machine has {} left; set \
             --hidden, --embedding or --layers lower",
            bytes(needed),
            bytes(memory)
        ))),
        _ => Ok(()),
    }
}

/// How many numbers a model learns.
pub(crate) fn numbers(config: &ModelConfig, inputs: impl Into<Inputs>) -> u64 {
    let specs = model::catalogue(config, inputs);
    specs.iter().map(|spec| spec.shape[0] as u64 * spec.shape[1] as u64).sum()
}

/// A log to learn from, and how its events become sessions.
pub(crate) struct Material {
    pub(crate) log: Log,
    pub(crate) treatment: Treatment,
    pub(crate) rules: SessionRules,
    pub(crate) grouping: SessionOptions,
    pub(crate) wishes: Wishes,
}

/// Reads the logs.
pub(crate) fn read(settings: &Settings, options: &ReadOptions) -> Result<Material> {
    let data = &settings.data;
    let mut rules = data.session_rules()?;
    let wishes = data.wishes()?;
    let log = read_log(data.logs()?, options, settings.quiet)?;
    warn_of_settled(data, log.report.sessions.as_ref());
    if log.is_pairs() {
        return Err(events::Error::TestCases.into());
    }
    let mut treatment = data.treatment()?;
    check_coverage(data, &wishes.tables, &log)?;
    // Prepared data have their sessions and are clean already; later logs are treated as they were.
    let grouping = if let Some(Settled { sessions, clean }) = log.report.sessions.clone() {
        rules = SessionRules { rule: sessions.rule.name().to_owned(), gap: sessions.gap };
        if !clean.0.is_empty() {
            if data.clean.is_some() && treatment.clean != clean {
                return Err(usage(format!(
                    "--clean {}: these data were cleaned by {clean} when they were prepared, and \
                     further rules would find other things there than in a log; leave the flag out, or \
                     prepare the log again with all rules",
                    treatment.clean
                )));
            }
            treatment.clean = clean;
        }
        SessionOptions::default()
    } else {
        rules.options()?
    };
    Ok(Material { log, treatment, rules, grouping, wishes })
}

/// Reads the logs and parts them, and learns what is done with their events.
fn load(settings: &Settings) -> Result<Data> {
    let data = &settings.data;
    let split = data.split()?;
    let options = ReadOptions { roles: data.training_roles(), ..data.read_options()? };
    let given = item_vectors::read(data)?;
    let Material { mut log, mut treatment, rules, grouping, wishes } = read(settings, &options)?;
    let session_options = split.session_options(grouping, &log);
    let (sessions, report) = treatment.sessions(&mut log, &session_options)?;
    tell(settings, findings(&report));
    let mut parts = split.apply(&sessions, settings.seed())?;
    drop(sessions);
    let filled = treatment.learn_fill(&mut log, &mut parts, &wishes)?;
    tell(settings, filled.iter().flat_map(fills));
    // A session of one event teaches no transition, but its item is as popular as any.
    let min_support = data.min_support.unwrap_or(1);
    let (counted, _) = parts.train.keep(min_support, 1);
    let (train, _) = parts.train.keep(min_support, data.min_length);
    treatment.learn_features(&log, &train, &wishes)?;
    let knowledge = Knowledge::of(&counted, &log.items, rules, treatment);
    drop(counted);
    let names = knowledge.vocabulary.names();
    let vectors = given.map(|given| given.of_items(names, settings.quiet)).transpose()?;
    let vectors = vectors.unwrap_or_default();
    let (vocabulary, treatment) = (&knowledge.vocabulary, &knowledge.treatment);
    let encode = |log: &Log, sessions: &Sessions, part: &Sessions| {
        let mut sequences = vocabulary.encode(part, &log.items);
        sequences.features = treatment.encode_part(log, sessions, part);
        sequences
    };
    let validation = match &data.validate {
        None => encode(&log, &parts.validation, &parts.validation),
        Some(path) => {
            let mut log = read_log(std::slice::from_ref(path), &options, settings.quiet)?;
            let options = Split::None.session_options(session_options, &log);
            let (sessions, _) = treatment.sessions(&mut log, &options)?;
            let sessions = treatment.fill(&mut log, sessions);
            encode(&log, &sessions, &sessions)
        }
    };
    let train = encode(&log, &parts.train, &train);
    Ok(Data { train, validation: Cases::new(&validation), knowledge, vectors, tasks: None })
}

/// Looks whether tables and log speak of the same ids.
fn check_coverage(data: &DataSettings, tables: &Tables, log: &Log) -> Result<()> {
    let items = ("--item-table", &data.item_table, &tables.items, &log.items, "items");
    let users = ("--user-table", &data.user_table, &tables.users, &log.users, "users");
    for (flag, path, table, names, what) in [items, users] {
        let (Some(path), Some(table)) = (path, table) else { continue };
        if names.is_empty() {
            // The features of such a table say what is missing.
            continue;
        }
        let Coverage { both, log_only, .. } = table.coverage(names);
        let (of, all) = (format!("{flag} {}", path.display()), both + log_only);
        if both == 0 {
            bail!(
                "{of}: says nothing of any of the {} {what} of the log (one there is {:?}); write ids as \
                 the log does, in the first column",
                count(all),
                names.iter().next().unwrap_or_default()
            );
        }
        if both < log_only {
            warn(&format!(
                "{of}: knows {} of {} {what}; are its ids written as in the log?",
                count(both),
                count(all)
            ));
        }
    }
    Ok(())
}

/// Says what has become of events, unless nobody wants to hear it.
pub(crate) fn tell(settings: &Settings, lines: impl Iterator<Item = String>) {
    if !settings.quiet {
        lines.for_each(|line| say(&format!("  {line}")));
    }
}

fn result(out: &Path, outcome: &Outcome, doubts: &[Doubt], begin: Instant) -> Value {
    json!({
        "model": out.display().to_string(),
        "epochs": outcome.epochs,
        "best_epoch": outcome.best_epoch,
        "stopped_early": outcome.stopped_early,
        "events_per_s": outcome.events_per_s,
        "training_s": outcome.training_s,
        "wall_s": begin.elapsed().as_secs_f64(),
        "peak_rss": peak_rss(),
        "parameters": outcome.parameters,
        "validation": outcome.validation,
        "tasks": outcome.tasks,
        "warnings": doubts,
    })
}

fn render(out: &Path, outcome: &Outcome, wall: f64) -> String {
    let style = Style::for_stdout();
    let mut text = String::new();
    if let Some(validation) = &outcome.validation {
        let cases = count(validation.model.cases);
        text += &format!("\n{}\n", style.bold(&format!("Validation, {cases} predictions")));
        text += &figures::render(&validation.model, &validation.baselines);
        text.push('\n');
    }
    text += &tasks::render(&outcome.tasks, style, "Validation, ");
    let early = if outcome.stopped_early { ", stopped early" } else { "" };
    text += &format!(
        "  {}{early}; kept the weights of epoch {}\n  \
         {} events/s, {} in all, {} parameters{}\n\n",
        if outcome.epochs == 1 {
            "1 epoch".to_owned()
        } else {
            format!("{} epochs", outcome.epochs)
        },
        outcome.best_epoch,
        count(outcome.events_per_s as u64),
        seconds(wall),
        count(outcome.parameters),
        peak_rss().map_or(String::new(), |peak| format!(", {} of memory", bytes(peak))),
    );
    let out = shown(out);
    text += &format!("The model is {}. Next:\n", style.bold(&out));
    text += &match outcome.tasks.is_null() {
        true => format!(
            "  tidegate evaluate {out} LOG\n  tidegate recommend {out} --events \"ID ID\"\n"
        ),
        false => format!(
            "  tidegate evaluate {out} LOG --at DATE\n  tidegate predict {out} LOG --out FILE.csv\n"
        ),
    };
    text
}

/// A finished run that is resumed has nothing to do.
fn show_finished(settings: &Settings, out: &Path, result: &Value) -> Result<()> {
    if let Some(of_run) = run_file(out).and_then(|path| Settings::read(&path).ok())
        && (of_run.seed, &of_run.model, &of_run.optimizer, &of_run.training)
            != (settings.seed, &settings.model, &settings.optimizer, &settings.training)
    {
        warn("the finished model has other settings, see run.toml; --force trains it anew");
    }
    if settings.json {
        let result = if result.is_null() {
            json!({ "model": out.display().to_string() })
        } else {
            result.clone()
        };
        return print_json(&result);
    }
    print(&format!("The model in {} is finished: there is nothing to resume.\n", shown(out)))
}

/// A path as one would type it.
fn shown(path: &Path) -> String {
    let text = path.display().to_string();
    if text.contains(' ') { format!("\"{text}\"") } else { text }
}
