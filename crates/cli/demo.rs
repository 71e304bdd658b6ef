//! `tidegate demo`: a whole run on a shop whose truth is known.

mod report;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, anyhow};
use events::simulator::{self, Shop, ShopConfig, Size};
use events::{Cases, ItemVectors, Log, Sessions, Split};
use model::{Device, Dropout, ModelConfig};
use train::evaluate::{evaluate, score_baselines};
use train::folder::{Existing, admit, create, partial, remove, write_whole};
use train::recommend::recommend;
use train::{Data, Knowledge, MODEL_FILE, Run, SessionRules, Trained, Training, Treatment};

use crate::args::{Common, Demo};
use crate::failure::Interrupted;
use crate::machine::{Machine, device, kernel};
use crate::output::{Style, print, print_json};
use crate::progress::{TrainingProgress, catch_interrupts};
use crate::reading::read_log;
use crate::settings::Settings;
use crate::simulate::{self as simulate_verb, EVENTS};
use report::{Report, Shopper};

const FOLDER: &str = "tidegate-demo";
const LOG: &str = "shop.csv";
const TRUTH: &str = "truth.csv";
const MODEL: &str = "model";
const REPORT: &str = "report.md";
/// Also tells the folder of an earlier demo from any other.
const REPORT_JSON: &str = "report.json";
/// Of all sessions by time: the last ones, held out for the test.
const TRAINED_ON: f64 = 0.9;
/// Users whose recommendations are shown, events and recommendations of each.
const SHOPPERS: usize = 3;
const RECENT: usize = 5;
const NEXT: usize = 5;

pub(crate) fn run(common: &Common, args: &Demo) -> Result<()> {
    let begin = Instant::now();
    let settings = Settings::load(common, None)?;
    settings.announce()?;
    settings.check_effects()?;
    let out = args.out.clone().or(settings.out.clone()).unwrap_or_else(|| FOLDER.into());
    let again = fs::read_to_string(out.join(REPORT_JSON)).is_ok_and(|text| report::is_ours(&text));
    let force = args.force || settings.force || again;
    let existing = if force { Existing::Replace } else { Existing::Refuse };
    admit(&out, existing, "name another folder with --out, or use --force")?;
    let device = device(&settings)?;
    catch_interrupts()?;

    // Everything is made beside the folder and moved there when it is whole.
    let unfinished = partial(&out);
    remove(&unfinished)?;
    create(&unfinished)?;
    let made = make(&settings, args, device, &out, &unfinished, begin).and_then(|report| {
        install(&unfinished, &out)?;
        Ok(report)
    });
    if made.is_err() {
        let _ = remove(&unfinished);
    }
    let report = made.map_err(|error| match error.downcast::<train::Error>() {
        Ok(train::Error::Interrupted { .. }) => {
            Interrupted("stopped; nothing was left".into()).into()
        }
        Ok(error) => error.into(),
        Err(error) => error,
    })?;
    if settings.json {
        print_json(&report)
    } else {
        print(&report.ending(&out, Style::for_stdout()))
    }
}

/// Runs the whole show in `folder`; `out` is what the folder will be called.
fn make(
    settings: &Settings,
    args: &Demo,
    device: Machine,
    out: &Path,
    folder: &Path,
    begin: Instant,
) -> Result<Report> {
    let style = Style::for_stdout();
    let say = |text: &str| if settings.json { Ok(()) } else { print(text) };

    let events = args.events.or(settings.demo.events).unwrap_or(EVENTS);
    let shop = Shop::new(ShopConfig::default(), settings.seed())?;
    let (log_file, truth) = (folder.join(LOG), folder.join(TRUTH));
    let summary = simulate_verb::write(&shop, Size::Events(events), &log_file, Some(&truth), &[])?;
    say(&report::opening(&summary, style))?;

    let log = read_log(&[log_file], &Default::default(), settings.quiet)?;
    let parts = part(&log)?;
    let run_settings = demo_settings(settings, args, out);
    let data = parts.data;
    say(&report::training(data.train.len(), data.knowledge.vocabulary.len(), style))?;
    let model_folder = folder.join(MODEL);
    let mut progress = TrainingProgress::new(settings.quiet);
    let kernel = kernel(&device);
    let run = Run {
        out: &model_folder,
        existing: Existing::Replace,
        seed: settings.seed(),
        model: &run_settings.model,
        optimizer: &run_settings.optimizer,
        training: &run_settings.training,
        run_file: &run_settings.to_toml()?,
        kernel,
    };
    let text = |outcome: &train::Outcome| train::Texts {
        result: serde_json::json!(outcome).to_string(),
        report: None,
    };
    let outcome = train::train(device.clone(), &data, &run, &mut progress, text)?;
    drop(progress);

    let trained = Trained::load(&model_folder, device.clone())?;
    let vocabulary = &trained.knowledge.vocabulary;
    let cases = Cases::new(&vocabulary.encode(&parts.test, &log.items));
    let model = evaluate(&trained.model, &cases, trained.knowledge.window())?;
    let baselines = device.run(|| score_baselines(&trained.knowledge.baselines, &cases));
    let best = best_possible(&shop, &parts.test, &log)?;
    let shoppers = shoppers(&trained, &parts.test, &log)?;
    let report = Report::new(&summary, &outcome, model, baselines, best, shoppers, kernel, begin);
    say(&report.results(style))?;
    write_whole(&folder.join(REPORT), report.markdown().as_bytes())?;
    write_whole(&folder.join(REPORT_JSON), serde_json::to_string_pretty(&report)?.as_bytes())?;
    Ok(report)
}

struct Parted {
    data: Data,
    test: Sessions,
}

/// The first nine tenths of the sessions by time are learned from, a tenth of them held back to
/// choose the epoch; the rest is the test.
fn part(log: &Log) -> Result<Parted> {
    let rules = SessionRules { rule: "auto".to_owned(), gap: 30 * 60 * 1000 };
    let sessions = Sessions::from_log(log, &rules.options()?)?;
    let split = Split::TimeShare(TRAINED_ON);
    let parts = split.apply(&sessions, 0)?;
    let test = parts.validation;
    let parts = split.apply(&parts.train, 0)?;
    let knowledge = Knowledge::of(&parts.train, &log.items, rules, Treatment::default());
    let encode = |sessions| knowledge.vocabulary.encode(sessions, &log.items);
    let (train, validation) = (encode(&parts.train), Cases::new(&encode(&parts.validation)));
    Ok(Parted {
        data: Data { knowledge, train, validation, vectors: ItemVectors::default(), tasks: None },
        test,
    })
}

/// A model that learns this shop in a minute or so.
fn demo_settings(settings: &Settings, args: &Demo, out: &Path) -> Settings {
    let mut all = settings.clone();
    all.out = Some(out.join(MODEL));
    all.data.logs = vec![out.join(LOG)];
    if settings.model == ModelConfig::default() {
        all.model = ModelConfig {
            embedding: 128,
            hidden: 128,
            temperature: 12.0,
            dropout: Dropout { input: 0.4, output: 0.5, ..Dropout::default() },
            ..ModelConfig::default()
        };
    }
    if settings.training == Training::default() {
        all.training = Training {
            epochs: 20,
            batch_targets: 512,
            learning_rate: 8e-3,
            // The learning rate falls to zero by plan: the last epochs are the best.
            patience: 0,
            ..Training::default()
        };
    }
    all.training.epochs = args.epochs.map_or(all.training.epochs, |epochs| epochs as usize);
    all
}

/// The best score that any model could reach on these sessions.
fn best_possible(shop: &Shop, test: &Sessions, log: &Log) -> Result<simulator::Score> {
    let index = |item: &u32| {
        let id = log.items.get(*item);
        shop.item_index(id).ok_or_else(|| anyhow!("{id} is not an item of the shop"))
    };
    let sessions: Vec<Vec<usize>> =
        test.iter().map(|session| session.iter().map(index).collect()).collect::<Result<_>>()?;
    Ok(simulator::best_possible(shop, sessions)?)
}

/// A few users of the test part: what they looked at last, and what the model would show them.
fn shoppers(trained: &Trained<Machine>, test: &Sessions, log: &Log) -> Result<Vec<Shopper>> {
    let vocabulary = &trained.knowledge.vocabulary;
    let long = (0..test.len()).filter(|&session| test.get(session).len() >= 2 * RECENT);
    // Spread over the test part, so that they are on different missions.
    let long: Vec<usize> = long.collect();
    let chosen = (0..SHOPPERS.min(long.len())).map(|k| long[k * long.len() / SHOPPERS]);
    let mut shoppers = Vec::new();
    for session in chosen {
        let items = test.get(session);
        let known: Vec<u32> =
            items.iter().filter_map(|&item| vocabulary.find(log.items.get(item))).collect();
        let found =
            recommend(&trained.model, &trained.knowledge, &[known.as_slice().into()], NEXT)?;
        let user = test.user(session).map_or("?", |user| log.users.get(user));
        let recent = items[items.len() - RECENT..].iter();
        shoppers.push(Shopper {
            user: user.to_owned(),
            recent: recent.map(|&item| log.items.get(item).to_owned()).collect(),
            recommended: found[0]
                .iter()
                .map(|r| report::Recommended {
                    item: vocabulary.name(r.item).to_owned(),
                    score: r.score,
                })
                .collect(),
        });
    }
    Ok(shoppers)
}

/// Moves the finished folder to its place.
fn install(from: &Path, to: &Path) -> Result<()> {
    let failed = |path: &Path| {
        let path: PathBuf = path.to_owned();
        move |source| train::Error::Write { path, source }
    };
    if fs::remove_dir(to).is_ok() || !to.exists() {
        return Ok(fs::rename(from, to).map_err(failed(to))?);
    }
    for entry in fs::read_dir(from).map_err(failed(from))? {
        let entry = entry.map_err(failed(from))?;
        let target = to.join(entry.file_name());
        remove(&target)?;
        fs::rename(entry.path(), &target).map_err(failed(&target))?;
    }
    remove(from)?;
    Ok(())
}

/// What the demo leaves, with a word about each.
fn files() -> [(String, &'static str); 6] {
    [
        (REPORT.to_owned(), "this report"),
        (REPORT_JSON.to_owned(), "the same for programs"),
        (LOG.to_owned(), "the shop's event log"),
        (TRUTH.to_owned(), "who the users really are"),
        (simulate_verb::causes(Path::new(TRUTH)).display().to_string(), "why they bought"),
        (format!("{MODEL}/{MODEL_FILE}"), "the trained model, complete in one file"),
    ]
}
