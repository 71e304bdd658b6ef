//! `tidegate audience`: whom to contact. [`people`] has who there is, [`trial`] what a campaign has changed,
//! [`plan`] where to stop; [`results`] writes what is found.

mod people;
mod plan;
mod results;
mod trial;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;
use events::time::{format_time, parse_moment};
use insight::audience::{page, picture};
use train::Trained;
use train::tasks::Task;

use crate::args::{Audience, Common};
use crate::evaluate::read_beside;
use crate::failure::usage;
use crate::machine::device;
use crate::output::{print, print_json};
use crate::predict::Layout;
use crate::progress::{end_at_interrupts, say, warn};
use crate::reading::title;
use crate::settings::{AudienceSettings, Settings, put};
use crate::target::{model_file, out_folder, whole_folder, write_in, write_json_in};
use crate::tasks::{check_begun, check_events, check_log, known, span, users_of};
use people::{FLAGS, Flag, People, is_seen, task_of};
use plan::{Plan, Terms, Unit};
use results::Found;
use trial::Uplift;

/// The list, where nobody names it.
const LIST: &str = "audience.csv";
/// What is written beside it; the last says that the others are whole.
const FILES: [&str; 3] = ["report.html", "gain.svg", "audience.json"];
/// Resamples of the users, where nobody says how many.
const RESAMPLES: u32 = 1000;

impl AudienceSettings {
    /// Lays the flags over them.
    fn overlay(&mut self, args: &Audience) {
        put(&mut self.at, &args.at);
        put(&mut self.task, &args.task);
        put(&mut self.list, &args.list);
        put(&mut self.treated, &args.treated);
        put(&mut self.budget, &args.budget);
        put(&mut self.cost, &args.cost);
        put(&mut self.margin, &args.margin);
        put(&mut self.effect, &args.effect);
        put(&mut self.worth, &args.worth);
        put(&mut self.top, &args.top);
        put(&mut self.resamples, &args.resamples);
    }

    fn terms(&self) -> Result<Terms> {
        let terms = Terms {
            top: self.top.map(|top| usize::try_from(top).unwrap_or(usize::MAX)),
            budget: self.budget,
            cost: self.cost,
            margin: self.margin,
            effect: self.effect,
            worth: self.worth,
        };
        terms.check()?;
        Ok(terms)
    }

    /// The list's name, which lies in the folder with the others.
    fn list(&self) -> Result<(PathBuf, Layout)> {
        let name = Path::new(self.list.as_deref().unwrap_or(LIST));
        if name.file_name() != Some(name.as_os_str()) || FILES.iter().any(|file| name == *file) {
            return Err(usage(format!(
                "--list {}: name a file of the folder, such as audience.jsonl",
                name.display()
            )));
        }
        Ok((name.to_owned(), Layout::of("--list", name)?))
    }

    fn resamples(&self) -> Result<u32> {
        match self.resamples.unwrap_or(RESAMPLES) {
            few @ 10..=100_000 => Ok(few),
            other => Err(usage(format!("audience.resamples = {other}: set it to 10 to 100000"))),
        }
    }
}

pub(crate) fn run(common: &Common, args: &Audience) -> Result<()> {
    let begin = Instant::now();
    let mut settings = Settings::load(common, None)?;
    settings.overlay(&args.logs, &args.reading);
    settings.audience.overlay(args);
    settings.out = args.out.clone().or(settings.out);
    settings.announce()?;
    let asked = settings.audience.clone();
    let (terms, resamples, list) = (asked.terms()?, asked.resamples()?, asked.list()?);
    let zone = settings.data.zone()?;
    let at = asked.at.as_deref().map(|text| parse_moment("--at", text, &zone)).transpose()?;
    let (options, logs) = (settings.data.read_options()?, settings.data.logs()?);
    let inputs = [logs, &[model_file(&args.model)], common.config.as_slice()].concat();
    let remedy = "use --force to replace the audience in it";
    let out = out_folder(settings.out.as_deref(), &inputs, args.force || settings.force, remedy)?;
    end_at_interrupts()?;

    let trained = Trained::load(&args.model, device(&settings)?)?;
    let knowledge = &trained.knowledge;
    check_events(knowledge)?;
    let tasks = known(knowledge)?;
    let task = task_of(asked.task.as_deref(), tasks)?;
    let column = asked.treated.as_deref();
    let beside = match column {
        Some("-") => Vec::new(),
        Some(column) => vec![column],
        None => FLAGS.to_vec(),
    };
    let mut log = read_beside(logs, options, &knowledge.treatment, &beside, settings.quiet)?;
    check_log(knowledge, &log)?;
    let users = users_of(knowledge, &mut log)?;
    let (first, last) = span(&log, &users)?;
    let at = at.unwrap_or(last.saturating_add(1));
    check_begun(at, first)?;
    let flag = Flag::of(&log, column, knowledge)?;
    let flag = match flag {
        Some(flag) if !is_seen(at, tasks.horizon, last) => {
            let text = format!(
                "{}: what came of the campaign within the horizon is not in the log, which ends {}; it would \
                 have to go on to {}",
                flag.column,
                format_time(last),
                format_time(at.saturating_add(tasks.horizon))
            );
            if flag.asked {
                return Err(usage(format!("--treated {text}")));
            }
            warn(&format!("column {text}; users are ranked by what is expected of them"));
            None
        }
        flag => flag,
    };
    let told = |text: &str| {
        if !settings.quiet {
            say(&format!("  {text}"));
        }
    };
    told("asking the model about everybody");
    let people = People::ask(&trained, &log, &users, (task, at), flag.as_ref())?;
    let machine = trained.model.device();
    let uplift = match &flag {
        Some(_) => {
            told("what the campaign has changed");
            let of = || Uplift::of(&people, task, (resamples, settings.seed()));
            Some(model::Device::run(machine, of)?)
        }
        None => None,
    };
    for doubt in uplift.iter().flat_map(|uplift| &uplift.warnings) {
        warn(doubt);
    }
    let (scores, unit) = scores(&people, task, tasks.horizon, uplift.as_ref(), &terms)?;
    let plan = Plan::new(&scores, unit, &terms)?;
    let found = Found {
        model: &args.model,
        log: &title(logs),
        task,
        at,
        horizon: tasks.horizon,
        flag: flag.as_ref(),
        people: &people,
        uplift: uplift.as_ref(),
        scores: &scores,
        unit,
        terms: &terms,
        plan: &plan,
        sessions: log.events.user.is_empty(),
        resamples,
        seed: settings.seed(),
    };
    let (shown, figures) = (found.shown(), found.figures());
    whole_folder(&out, FILES[2], |folder| {
        found.write_list(&folder.join(&list.0), list.1)?;
        write_in(folder, FILES[0], page(&shown))?;
        write_in(folder, FILES[1], picture(&shown))?;
        write_json_in(folder, FILES[2], &figures)
    })?;
    let wall = begin.elapsed().as_secs_f64();
    if settings.json {
        return print_json(&results::summary(&figures, &out, &list.0, wall));
    }
    print(&found.render(&shown, &out, &list.0, wall))
}

/// What users are ranked by, and what it means.
fn scores(
    people: &People,
    task: Task,
    horizon: i64,
    uplift: Option<&Uplift>,
    terms: &Terms,
) -> Result<(Vec<f64>, Unit)> {
    let buyers = || people.mean_spend(|outcome| f64::from(u8::from(outcome.buys())));
    if let Some(uplift) = uplift {
        let active = || people.mean_spend(|outcome| f64::from(u8::from(!outcome.is_silent())));
        let mean = if task == Task::Churn { active() } else { buyers() };
        return Ok((uplift.potential.uplift(), Unit { money: terms.worth.or(mean), added: true }));
    }
    let expected = |money| Unit { money, added: false };
    let said = people.said.clone();
    Ok(match task {
        Task::Value if terms.worth.is_some() => {
            return Err(usage("--worth: --task value expects money already; leave --worth out"));
        }
        Task::Value => (said, expected(Some(1.0))),
        Task::Count => {
            let order = || people.mean_spend(|outcome| f64::from(outcome.orders));
            (said, expected(terms.worth.or_else(order)))
        }
        // Who is likely to leave counts by what would leave with them.
        Task::Churn => match (terms.worth, people.stakes(horizon)) {
            (None, Some(stakes)) => {
                let at_stake = said.iter().zip(stakes).map(|(p, stake)| p * stake);
                (at_stake.collect(), expected(Some(1.0)))
            }
            (worth, _) => (said, expected(worth)),
        },
        _ => (said, expected(terms.worth.or_else(buyers))),
    })
}
