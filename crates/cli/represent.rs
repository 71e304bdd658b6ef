//! `tidegate represent`: what a model has made of every user, as a table of numbers.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, anyhow};
use cluster::{Directions, Moments};
use events::{Log, NumberTable, Sessions};
use serde_json::json;
use train::represent::{Histories, How, Of, Pool, represent, width};
use train::{Knowledge, Trained};

use crate::args::{Common, Represent};
use crate::evaluate::{quoted, read_as_trained, sessions_of};
use crate::failure::usage;
use crate::machine::{device, peak_rss};
use crate::output::{count, print, print_json, seconds};
use crate::progress::{end_at_interrupts, warn};
use crate::settings::{RepresentSettings, Settings};
use crate::target::{Target, model_file};
use crate::tasks::check_events;

pub(crate) fn run(common: &Common, args: &Represent) -> Result<()> {
    let begin = Instant::now();
    let mut settings = Settings::load(common, None)?;
    settings.overlay(&args.logs, &args.reading);
    let asked = &mut settings.represent;
    asked.of = args.of.clone().or(asked.of.take());
    asked.pool = args.pool.clone().or(asked.pool.take());
    asked.pca = args.pca.or(asked.pca);
    settings.out = args.out.clone().or(settings.out);
    settings.announce()?;
    let how = how(&settings.represent)?;
    let out = settings.out.clone();
    let out =
        out.ok_or_else(|| usage("--out FILE is missing: name a .parquet, .csv or .npy file"))?;
    let layout = Layout::of(&out)?;
    let logs = settings.data.logs()?;
    end_at_interrupts()?;
    let inputs = [logs, &[model_file(&args.model)], common.config.as_slice()].concat();
    // Said before the work, not after it.
    let target = Target::create("--out", &out, &inputs)?;
    let beside = out.with_extension("users.csv");
    let names =
        (layout == Layout::Npy).then(|| Target::create("--out: beside it,", &beside, &inputs));
    let names = names.transpose()?;

    let trained = Trained::load(&args.model, device(&settings)?)?;
    let (log, _, histories) = histories(&settings, &trained.knowledge, logs)?;
    let full = width(&trained.model, how.of);
    let reduced = match settings.represent.pca {
        None => None,
        Some(0) => return Err(usage("--pca 0: keep one direction at least")),
        Some(most) if most as usize > full => {
            return Err(usage(format!(
                "--pca {most}: the model makes {full} numbers a row; ask for {full} or fewer"
            )));
        }
        Some(most) => {
            let mut moments = Moments::new(full);
            represent(&trained.model, &histories, how, |shown| {
                moments.add(shown.numbers);
                Ok(())
            })?;
            Some(Directions::principal(&moments, most as usize))
        }
    };
    let columns = reduced.as_ref().map_or(full, Directions::len);
    let rows = histories.rows.len();
    let key = if histories.rows.of_users { "user" } else { "session" };
    let mut table = Table::begin(layout, target, names, key, rows, columns)?;
    let mut failed = None;
    let mut numbers = Vec::with_capacity(columns);
    represent(&trained.model, &histories, how, |shown| {
        numbers.clear();
        match &reduced {
            Some(directions) => numbers.extend(directions.project(shown.numbers).map(|x| x as f32)),
            None => numbers.extend_from_slice(shown.numbers),
        }
        if failed.is_none() {
            failed = table.push(&histories.name(shown.row, &log), &numbers).err();
        }
        Ok(())
    })?;
    if let Some(error) = failed {
        return Err(table.refuse(&error, &out));
    }
    table.finish(&out)?;

    let wall = begin.elapsed().as_secs_f64();
    let variance = reduced.as_ref().map(|directions| &directions.worth);
    let users_file = (layout == Layout::Npy).then(|| beside.display().to_string());
    if settings.json {
        return print_json(&json!({
            "model": args.model.display().to_string(),
            "file": out.display().to_string(),
            "users_file": users_file,
            "rows": rows,
            "of": key,
            "columns": columns,
            "numbers": settings.represent.of.as_deref().unwrap_or("state"),
            "pool": settings.represent.pool.as_deref().unwrap_or("mean"),
            "sessions": histories.sessions.len(),
            "unknown": histories.unknown,
            "unknown_events": histories.unknown_events,
            "nobody": histories.nobody,
            "variance": variance,
            "wall_s": wall,
            "peak_rss": peak_rss(),
        }));
    }
    let mut text = format!("  {} {key}s, {columns} numbers each", count(rows));
    if let Some(variance) = variance {
        let kept = crate::output::per_cent(variance.iter().sum());
        text += &format!(" of {full}, which keep {kept} of the variance");
    }
    text += &format!("\n  {}\n  {}\n", seconds(wall), out.display());
    if let Some(file) = users_file {
        text += &format!("  {file}: whose rows they are, in this order\n");
    }
    print(&text)
}

/// What a row is made of, as the settings say.
pub(crate) fn how(asked: &RepresentSettings) -> Result<How> {
    let wrong = |key: &str, value: &str, expected: &str| {
        Err(usage(format!("represent.{key} = {value:?}: expected {expected}")))
    };
    let of = match asked.of.as_deref() {
        None | Some("state") => Of::State,
        Some("picture") => Of::Picture,
        Some(other) => return wrong("of", other, "state or picture"),
    };
    let pool = match asked.pool.as_deref() {
        None | Some("mean") => Pool::Mean,
        Some("last") => Pool::Last,
        Some(other) => return wrong("pool", other, "mean or last"),
    };
    Ok(How { of, pool })
}

/// Reads a log as the model's training would, and says who has no row.
pub(crate) fn histories(
    settings: &Settings,
    knowledge: &Knowledge,
    logs: &[PathBuf],
) -> Result<(Log, Sessions, Histories)> {
    check_events(knowledge)?;
    let options = settings.data.read_options()?;
    let mut log = read_as_trained(logs, options, &knowledge.treatment, settings.quiet)?;
    let sessions = sessions_of(&settings.data, knowledge, None, &mut log)?;
    let sessions = knowledge.treatment.fill(&mut log, sessions);
    let histories = Histories::of(knowledge, &log, &sessions);
    if histories.rows.is_empty() {
        return Err(anyhow!(
            "nobody has an event whose item the model knows; is it the log of the same shop? check \
             --columns, --from and --until"
        ));
    }
    let who = if histories.rows.of_users { "users" } else { "sessions" };
    if !histories.rows.of_users {
        warn("the log names no users: a row is a session");
    }
    if histories.unknown > 0 {
        warn(&format!(
            "{} {who} are left out: the model knows no item of theirs",
            count(histories.unknown)
        ));
    }
    if histories.nobody > 0 {
        warn(&format!("{} sessions of nobody are left out", count(histories.nobody)));
    }
    Ok((log, sessions, histories))
}

/// What a file of rows is, by the end of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    Parquet,
    Csv,
    Npy,
}

impl Layout {
    fn of(path: &Path) -> Result<Self> {
        let end = path.extension().map(|end| end.to_string_lossy().to_ascii_lowercase());
        match end.as_deref() {
            Some("parquet") => Ok(Self::Parquet),
            Some("csv") => Ok(Self::Csv),
            Some("npy") => Ok(Self::Npy),
            _ => Err(usage(format!(
                "--out {}: its end says how it is written; name a .parquet, .csv or .npy file",
                path.display()
            ))),
        }
    }
}

/// A file of rows that is being written.
enum Table {
    Parquet(Box<NumberTable<Target>>),
    Csv(Target),
    /// An array, and the names of its rows.
    Npy(Target, Target),
}

impl Table {
    fn begin(
        layout: Layout,
        mut out: Target,
        names: Option<Target>,
        key: &str,
        rows: usize,
        columns: usize,
    ) -> Result<Self> {
        let titles: Vec<String> = (1..=columns).map(|k| format!("x{k}")).collect();
        match (layout, names) {
            (Layout::Npy, Some(mut names)) => {
                out.write_all(&npy_head(rows, columns)).map_err(|error| out.refuse(&error))?;
                writeln!(names, "{key}").map_err(|error| names.refuse(&error))?;
                Ok(Self::Npy(out, names))
            }
            (Layout::Parquet, _) => {
                let table = NumberTable::new(out, key, &titles);
                let table = table.map_err(|error| anyhow!("--out: cannot be written: {error}"))?;
                Ok(Self::Parquet(Box::new(table)))
            }
            _ => {
                writeln!(out, "{key},{}", titles.join(",")).map_err(|error| out.refuse(&error))?;
                Ok(Self::Csv(out))
            }
        }
    }

    fn push(&mut self, name: &str, numbers: &[f32]) -> io::Result<()> {
        match self {
            Self::Parquet(table) => table.push(name, numbers),
            Self::Csv(out) => {
                let mut line = quoted(name);
                // As short as they can be and still the same number.
                numbers.iter().for_each(|x| line += &format!(",{x}"));
                writeln!(out, "{line}")
            }
            Self::Npy(out, names) => {
                writeln!(names, "{}", quoted(name))?;
                numbers.iter().try_for_each(|x| out.write_all(&x.to_le_bytes()))
            }
        }
    }

    fn refuse(&self, error: &io::Error, out: &Path) -> anyhow::Error {
        match self {
            Self::Csv(target) | Self::Npy(target, _) => target.refuse(error),
            Self::Parquet(_) => {
                anyhow!("--out {}: cannot be written: {error}; check the free space", out.display())
            }
        }
    }

    fn finish(self, out: &Path) -> Result<()> {
        match self {
            Self::Csv(target) => target.finish(),
            Self::Npy(target, names) => {
                names.finish()?;
                target.finish()
            }
            Self::Parquet(table) => table
                .finish()
                .map_err(|error| {
                    let out = out.display();
                    anyhow!("--out {out}: cannot be written: {error}; check the free space")
                })?
                .finish(),
        }
    }
}

/// What stands before the numbers of an array of f32, row after row: NumPy's layout, version 1.0.
fn npy_head(rows: usize, columns: usize) -> Vec<u8> {
    let what =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
    // The numbers begin at a multiple of 64.
    let length = (10 + what.len() + 1).next_multiple_of(64) - 10;
    let mut head = b"\x93NUMPY\x01\x00".to_vec();
    head.extend((length as u16).to_le_bytes());
    head.extend(what.as_bytes());
    head.resize(10 + length - 1, b' ');
    head.push(b'\n');
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_begins_as_numpy_wants_it() {
        let head = npy_head(1234, 100);
        assert!(head.len().is_multiple_of(64) && head.starts_with(b"\x93NUMPY\x01\x00"));
        assert_eq!(usize::from(u16::from_le_bytes([head[8], head[9]])) + 10, head.len());
        let text = String::from_utf8_lossy(&head[10..]);
        assert!(text.contains("'shape': (1234, 100)") && text.ends_with('\n'), "{text}");
    }
}
