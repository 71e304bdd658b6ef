//! `tidegate recommend`: which items come next.

use std::io::Read;
use std::path::Path;

use anyhow::{Result, anyhow};
use events::{Features, Vocabulary, log_of_ids};
use model::Sequence;
use serde_json::json;
use train::recommend::recommend;
use train::{Knowledge, Trained};

use crate::args::{Common, Recommend};
use crate::evaluate::{read_as_trained, sessions_of};
use crate::failure::usage;
use crate::machine::device;
use crate::output::{Style, Table, per_cent, print, print_json};
use crate::progress::warn;
use crate::settings::{RecommendSettings, Settings};

/// How many items where nothing else is asked for.
const K: u32 = 20;

pub(crate) fn run(common: &Common, args: &Recommend) -> Result<()> {
    let mut settings = Settings::load(common, None)?;
    settings.overlay(&[], &args.reading);
    settings.announce()?;
    let asked = overlay(&settings.recommend, args)?;
    let k = asked.k.unwrap_or(K);
    if k == 0 {
        return Err(usage("recommend.k = 0: set it to 1 or more"));
    }
    let trained = Trained::load(&args.model, device(&settings)?)?;
    let knowledge = &trained.knowledge;
    let (history, features) = match (&asked.events, &asked.events_file) {
        (Some(events), _) => {
            of_ids(events.split_whitespace().map(str::to_owned).collect(), knowledge)
        }
        (None, Some(path)) => of_ids(read_ids(path)?, knowledge),
        (None, None) => from_log(&settings, &asked, knowledge)?,
    };
    let (places, known) = known_items(&history, &knowledge.vocabulary);
    let features = features.select(places);
    let (labels, numbers) = features.rows(0..known.len());
    let events = Sequence { items: &known, labels, numbers };
    let found = recommend(&trained.model, knowledge, &[events], k as usize)?;
    let name = |item| trained.knowledge.vocabulary.name(item);
    if settings.json {
        let item = |r: &train::recommend::Recommendation| json!({ "item": name(r.item), "score": r.score });
        let items: Vec<_> = found[0].iter().map(item).collect();
        return print_json(&json!({ "items": items }));
    }
    let mut table = Table::new(["item", "probability"]);
    for recommendation in &found[0] {
        table.row([name(recommendation.item).to_owned(), per_cent(recommendation.score.into())]);
    }
    print(&table.render(Style::for_stdout()))
}

/// The flags over the settings; one source of events is left.
fn overlay(settings: &RecommendSettings, args: &Recommend) -> Result<RecommendSettings> {
    let flags = RecommendSettings {
        events: args.events.clone(),
        events_file: args.events_file.clone(),
        log: args.log.clone(),
        user: args.user.clone(),
        k: args.k.or(settings.k),
    };
    let sources = |s: &RecommendSettings| {
        [s.events.is_some(), s.events_file.is_some(), !s.log.is_empty()]
            .into_iter()
            .filter(|&x| x)
            .count()
    };
    let chosen = match sources(&flags) {
        0 => RecommendSettings { k: flags.k, user: flags.user, ..settings.clone() },
        _ => flags,
    };
    match sources(&chosen) {
        1 => Ok(chosen),
        0 => Err(usage("after which events? give --events \"ID ID\", --events-file or --log")),
        _ => Err(usage("recommend: events, events_file and log exclude each other")),
    }
}

/// Item ids, one a line.
fn read_ids(path: &Path) -> Result<Vec<String>> {
    let mut text = String::new();
    let read = match path.as_os_str() == "-" {
        true => std::io::stdin().read_to_string(&mut text),
        false => std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text)),
    };
    read.map_err(|error| {
        anyhow!(
            "--events-file {}: cannot be read: {error}; it must be UTF-8 text with an id a line",
            path.display()
        )
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let lines = text.lines().map(|line| line.trim_end_matches('\r'));
    Ok(lines.filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

/// Events of which nothing is known but their items.
fn of_ids(ids: Vec<String>, knowledge: &Knowledge) -> (Vec<String>, Features) {
    let names: Vec<&str> = ids.iter().map(String::as_str).collect();
    let (mut log, sessions) = log_of_ids(&names, None);
    let sessions = knowledge.treatment.fill(&mut log, sessions);
    let features = knowledge.treatment.encode(&log, &sessions);
    (ids, features)
}

/// The last session of the log, or of a user in it.
fn from_log(
    settings: &Settings,
    asked: &RecommendSettings,
    knowledge: &Knowledge,
) -> Result<(Vec<String>, Features)> {
    let options = settings.data.read_options()?;
    let mut log = read_as_trained(&asked.log, options, &knowledge.treatment, settings.quiet)?;
    let sessions = sessions_of(&settings.data, knowledge, None, &mut log)?;
    let sessions = knowledge.treatment.fill(&mut log, sessions);
    let session = match &asked.user {
        None => sessions.len().checked_sub(1),
        Some(id) if !log.users.is_empty() => {
            let user = log.users.find(id).and_then(|user| sessions.latest_of_user(user));
            Some(user.ok_or_else(|| anyhow!("--user {id}: no such user in the log"))?)
        }
        // Where a log names no users, its sessions are what one can ask for.
        Some(id) => {
            let key = log.sessions.find(id);
            let found = (0..sessions.len()).rfind(|&s| key.is_some() && sessions.key(s) == key);
            Some(found.ok_or_else(|| {
                anyhow!("--user {id}: the log names no users, and no session is called so")
            })?)
        }
    };
    let session =
        session.ok_or_else(|| anyhow!("the log has no events; check --from and --until"))?;
    let sessions = sessions.select(&[session]);
    let features = knowledge.treatment.encode(&log, &sessions);
    let ids = sessions.items().iter().map(|&item| log.items.get(item).to_owned());
    Ok((ids.collect(), features))
}

/// The items that the model knows and their places; a warning tells of the others.
fn known_items(history: &[String], vocabulary: &Vocabulary) -> (Vec<usize>, Vec<u32>) {
    let numbers = history.iter().map(|id| vocabulary.find(id)).enumerate();
    let (places, known): (Vec<usize>, Vec<u32>) =
        numbers.filter_map(|(place, number)| Some((place, number?))).unzip();
    let unknown: Vec<&str> =
        history.iter().filter(|id| vocabulary.find(id).is_none()).map(String::as_str).collect();
    if known.is_empty() {
        warn("no item among the events is known to the model: these are the most popular items");
    } else if let Some(first) = unknown.first() {
        let more = match unknown.len() {
            1 => String::new(),
            n => format!(" and {} more", n - 1),
        };
        warn(&format!("unknown to the model and skipped: {first}{more}"));
    }
    (places, known)
}
