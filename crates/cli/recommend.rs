//! `tidegate recommend`: which items come next, for one user or for all of a log.

mod file;
mod rules;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, anyhow};
use events::{Features, Log, NONE, Sessions, Vocabulary, log_of_ids};
use model::{Device, Sequence};
use serde_json::json;
use train::recommend::{Recommendation, Shelf, recommend_from};
use train::{Knowledge, Trained};

use crate::args::{Common, Recommend};
use crate::evaluate::{read_as_trained, sessions_of};
use crate::failure::usage;
use crate::machine::{device, peak_rss};
use crate::output::{Style, Table, count, per_cent, print, print_json, seconds};
use crate::progress::{end_at_interrupts, warn};
use crate::settings::{RecommendSettings, Settings};
use crate::target::{Target, model_file};
use crate::tasks::check_events;

use file::{File, Layout};
use rules::{Habits, Known};

/// How many items where nothing else is asked for.
const K: u32 = 20;
/// Users that are answered at a time.
const USERS: usize = 1 << 12;

pub(crate) fn run(common: &Common, args: &Recommend) -> Result<()> {
    let begin = Instant::now();
    let mut settings = Settings::load(common, None)?;
    settings.overlay(&[], &args.reading);
    settings.out = args.out.clone().or(settings.out);
    settings.announce()?;
    let asked = overlay(&settings.recommend, args)?;
    let k = asked.k.unwrap_or(K) as usize;
    if k == 0 {
        return Err(usage("recommend.k = 0: set it to 1 or more"));
    }
    if asked.all {
        return to_all(common, args, &settings, &asked, k, begin);
    }
    if args.out.is_some() {
        return Err(usage("--out is for --all; one answer goes to stdout"));
    }
    let trained = Trained::load(&args.model, device(&settings)?)?;
    let knowledge = &trained.knowledge;
    check_events(knowledge)?;
    let habits = rules::check(&asked, knowledge)?;
    let asks = Asks { trained: &trained, k };
    let found = match ids(&asked)? {
        Some(ids) => {
            let shelf = rules::shelf(&settings, &asked, &knowledge.vocabulary, None)?;
            let (history, features) = of_ids(ids, knowledge);
            let left_out = rules::known_of_ids(&habits, &known(&history, &knowledge.vocabulary));
            asks.one(&history, features, &shelf, left_out)?
        }
        None => {
            let opened = Opened::new(&settings, &asked, &habits, knowledge)?;
            let shelf = rules::shelf(&settings, &asked, &knowledge.vocabulary, Some(&opened.log))?;
            let session = opened.session(asked.user.as_deref())?;
            let (history, features) = opened.events(&[session], knowledge);
            asks.one(&history, features, &shelf, opened.known.of(opened.who(session)))?
        }
    };
    if found.len() < k.min(knowledge.vocabulary.items()) {
        warn(&format!("the rules leave {} items of the {k} asked for", found.len()));
    }
    let name = |item| knowledge.vocabulary.name(item);
    if settings.json {
        let item = |r: &Recommendation| json!({ "item": name(r.item), "score": r.score });
        let items: Vec<_> = found.iter().map(item).collect();
        return print_json(&json!({ "items": items }));
    }
    let mut table = Table::new(["item", "probability"]);
    for recommendation in &found {
        table.row([name(recommendation.item).to_owned(), per_cent(recommendation.score.into())]);
    }
    print(&table.render(Style::for_stdout()))
}

/// Writes the file of all users of a log.
fn to_all(
    common: &Common,
    args: &Recommend,
    settings: &Settings,
    asked: &RecommendSettings,
    k: usize,
    begin: Instant,
) -> Result<()> {
    let out = settings.out.clone();
    let out = out.ok_or_else(|| usage("--all needs --out FILE: name a .csv or .jsonl file"))?;
    let layout = Layout::of(&out)?;
    end_at_interrupts()?;
    let lists = [&asked.allow, &asked.deny, &asked.item_table, &common.config];
    let lists: Vec<PathBuf> = lists.into_iter().flatten().cloned().collect();
    let inputs = [&asked.log[..], &[model_file(&args.model)], &lists].concat();
    // Said before the work, not after it.
    let target = Target::create("--out", &out, &inputs)?;
    let trained = Trained::load(&args.model, device(settings)?)?;
    let knowledge = &trained.knowledge;
    check_events(knowledge)?;
    let habits = rules::check(asked, knowledge)?;
    let opened = Opened::new(settings, asked, &habits, knowledge)?;
    let shelf = rules::shelf(settings, asked, &knowledge.vocabulary, Some(&opened.log))?;
    let (key, rows) = opened.everyone()?;
    let mut file = File::begin(layout, target, key, k)?;
    let asks = Asks { trained: &trained, k };
    let name = |item| knowledge.vocabulary.name(item);
    let (mut short, mut strangers) = (0, 0);
    for rows in rows.chunks(USERS) {
        let found = asks.some(&opened, rows, &shelf, &mut strangers)?;
        for (&(who, _), items) in rows.iter().zip(&found) {
            short += u64::from(items.len() < k);
            file.push(opened.names().get(who), items, name)?;
        }
    }
    file.finish()?;
    if strangers > 0 {
        warn(&format!(
            "of {} {key}s the model knows no item of the last session: they get the most popular items",
            count(strangers)
        ));
    }
    if short > 0 {
        warn(&format!("{} {key}s have fewer than {k} items: there are no more left", count(short)));
    }
    let wall = begin.elapsed().as_secs_f64();
    if settings.json {
        return print_json(&json!({
            "model": args.model.display().to_string(),
            "file": out.display().to_string(),
            format!("{key}s"): rows.len(),
            "k": k,
            "wall_s": wall,
            "peak_rss": peak_rss(),
        }));
    }
    print(&format!(
        "  up to {k} items for each of {} {key}s\n  {}; {}\n",
        count(rows.len()),
        seconds(wall),
        out.display()
    ))
}

/// A model that is asked for so many items.
struct Asks<'a, D: Device> {
    trained: &'a Trained<D>,
    k: usize,
}

impl<D: Device> Asks<'_, D> {
    /// What comes after some events.
    fn one(
        &self,
        history: &[String],
        features: Features,
        shelf: &Shelf,
        left_out: Vec<u32>,
    ) -> Result<Vec<Recommendation>> {
        let Trained { model, knowledge } = self.trained;
        let (places, known) = known_items(history, &knowledge.vocabulary);
        let features = features.select(places);
        let (labels, numbers) = features.rows(0..known.len());
        let events = Sequence { items: &known, labels, numbers };
        let mut found = recommend_from(model, knowledge, &[events], self.k, shelf, &[left_out])?;
        Ok(found.swap_remove(0))
    }

    /// What comes after the last sessions of some users, and how many of them the model knows nothing of.
    fn some(
        &self,
        opened: &Opened,
        rows: &[(u32, usize)],
        shelf: &Shelf,
        strangers: &mut u64,
    ) -> Result<Vec<Vec<Recommendation>>> {
        let Trained { model, knowledge } = self.trained;
        let sessions: Vec<usize> = rows.iter().map(|&(_, session)| session).collect();
        let (history, features) = opened.events(&sessions, knowledge);
        let mut bounds = vec![0];
        let (mut places, mut items) = (Vec::new(), Vec::new());
        let mut ids = history.iter().enumerate();
        for &session in &sessions {
            for (place, id) in ids.by_ref().take(opened.sessions.get(session).len()) {
                if let Some(item) = knowledge.vocabulary.number(id) {
                    places.push(place);
                    items.push(item);
                }
            }
            *strangers += u64::from(bounds[bounds.len() - 1] == items.len());
            bounds.push(items.len());
        }
        let features = features.select(places);
        let prefix = |bounds: &[usize]| {
            let (labels, numbers) = features.rows(bounds[0]..bounds[1]);
            Sequence { items: &items[bounds[0]..bounds[1]], labels, numbers }
        };
        let prefixes: Vec<Sequence<'_>> = bounds.windows(2).map(prefix).collect();
        let left_out: Vec<Vec<u32>> =
            rows.iter().map(|&(_, session)| opened.known.of(opened.who(session))).collect();
        Ok(recommend_from(model, knowledge, &prefixes, self.k, shelf, &left_out)?)
    }
}

/// The flags over the settings; one source of events is left.
fn overlay(settings: &RecommendSettings, args: &Recommend) -> Result<RecommendSettings> {
    let mut asked = settings.clone();
    rules::overlay(&mut asked, &args.ruling);
    asked.k = args.k.or(settings.k);
    asked.all |= args.all;
    if args.events.is_some() || args.events_file.is_some() || !args.log.is_empty() {
        // A source of its own takes the place of whichever the file names, and of its user.
        asked.events.clone_from(&args.events);
        asked.events_file.clone_from(&args.events_file);
        asked.log.clone_from(&args.log);
        asked.all = args.all;
        asked.user = None;
    }
    if args.user.is_some() {
        asked.user.clone_from(&args.user);
        asked.all = false;
    }
    if args.all {
        asked.user = None;
    }
    let sources = [asked.events.is_some(), asked.events_file.is_some(), !asked.log.is_empty()];
    match sources.into_iter().filter(|&said| said).count() {
        1 if asked.all && asked.log.is_empty() => {
            Err(usage("--all: all users of which log? give --log LOG"))
        }
        1 => Ok(asked),
        0 => Err(usage("after which events? give --events \"ID ID\", --events-file or --log")),
        _ => Err(usage("recommend: events, events_file and log exclude each other")),
    }
}

/// The ids that were given in place of a log.
fn ids(asked: &RecommendSettings) -> Result<Option<Vec<String>>> {
    match (&asked.events, &asked.events_file) {
        (Some(events), _) => Ok(Some(events.split_whitespace().map(str::to_owned).collect())),
        (None, Some(path)) => read_ids("--events-file", path).map(Some),
        (None, None) => Ok(None),
    }
}

/// Item ids, one a line.
fn read_ids(flag: &str, path: &Path) -> Result<Vec<String>> {
    let mut text = String::new();
    let read = match path.as_os_str() == "-" {
        true => std::io::stdin().read_to_string(&mut text),
        false => std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text)),
    };
    read.map_err(|error| {
        anyhow!(
            "{flag} {}: cannot be read: {error}; it must be UTF-8 text with an id a line",
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

/// A log that a model is asked about.
struct Opened {
    log: Log,
    sessions: Sessions,
    known: Known,
}

impl Opened {
    fn new(
        settings: &Settings,
        asked: &RecommendSettings,
        habits: &Habits,
        knowledge: &Knowledge,
    ) -> Result<Self> {
        let options = settings.data.read_options()?;
        let mut log = read_as_trained(&asked.log, options, &knowledge.treatment, settings.quiet)?;
        // What somebody has bought they have, whatever is left out as suspicious.
        let known = Known::new(&log, habits, &knowledge.vocabulary);
        let sessions = sessions_of(&settings.data, knowledge, None, &mut log)?;
        let sessions = knowledge.treatment.fill(&mut log, sessions);
        Ok(Self { log, sessions, known })
    }

    /// Those whom one can ask for: users, or sessions where a log names no users.
    fn names(&self) -> &events::Names {
        if self.log.users.is_empty() { &self.log.sessions } else { &self.log.users }
    }

    /// The number of the one that a session is of.
    fn who(&self, session: usize) -> Option<u32> {
        match self.log.users.is_empty() {
            false => self.sessions.user(session),
            true => self.sessions.key(session),
        }
    }

    /// The last session of the log, or of a user in it.
    fn session(&self, user: Option<&str>) -> Result<usize> {
        let Self { log, sessions, .. } = self;
        let session = match user {
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
        session.ok_or_else(|| anyhow!("the log has no events; check --from and --until"))
    }

    /// Everyone with their last session, in the order in which the log names them; and what they are.
    fn everyone(&self) -> Result<(&'static str, Vec<(u32, usize)>)> {
        let names = self.names();
        if names.is_empty() && !self.log.events.is_empty() {
            return Err(anyhow!(
                "--all: the log names neither users nor sessions; name their column with --columns user=NAME"
            ));
        }
        let mut last = vec![usize::MAX; names.len()];
        for session in 0..self.sessions.len() {
            let who = self.who(session).filter(|&who| who != NONE);
            if let Some(last) = who.and_then(|who| last.get_mut(who as usize)) {
                *last = session;
            }
        }
        let rows = last.into_iter().enumerate().filter(|&(_, session)| session != usize::MAX);
        let rows = rows.map(|(who, session)| (who as u32, session)).collect();
        Ok((if self.log.users.is_empty() { "session" } else { "user" }, rows))
    }

    /// Ids and features of the events of some sessions, one after the other.
    fn events(&self, sessions: &[usize], knowledge: &Knowledge) -> (Vec<String>, Features) {
        let sessions = self.sessions.select(sessions);
        let features = knowledge.treatment.encode(&self.log, &sessions);
        let ids = sessions.items().iter().map(|&item| self.log.items.get(item).to_owned());
        (ids.collect(), features)
    }
}

/// The numbers of the items that the model knows.
fn known(history: &[String], vocabulary: &Vocabulary) -> Vec<u32> {
    history.iter().filter_map(|id| vocabulary.find(id)).collect()
}

/// The items that the model knows and their places; a warning tells of the others.
fn known_items(history: &[String], vocabulary: &Vocabulary) -> (Vec<usize>, Vec<u32>) {
    let numbers = history.iter().map(|id| vocabulary.number(id)).enumerate();
    let (places, known): (Vec<usize>, Vec<u32>) =
        numbers.filter_map(|(place, number)| Some((place, number?))).unzip();
    let unknown: Vec<&str> =
        history.iter().filter(|id| vocabulary.find(id).is_none()).map(String::as_str).collect();
    let read = if vocabulary.other().is_some() { "read as a rare item" } else { "skipped" };
    if known.is_empty() {
        warn("no item among the events is known to the model: these are the most popular items");
    } else if let Some(first) = unknown.first() {
        let more = match unknown.len() {
            1 => String::new(),
            n => format!(" and {} more", n - 1),
        };
        warn(&format!("unknown to the model and {read}: {first}{more}"));
    }
    (places, known)
}
