//! `tidegate prepare`: a log of any size, grouped and cleaned once.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use events::{CleanRules, PREPARED, PREPARED_TABLES, PrepareOptions, Prepared, prepare};
use serde_json::json;
use train::folder::{Existing, admit};

use crate::args::{Common, Prepare};
use crate::failure::usage;
use crate::machine::{peak_rss, threads};
use crate::output::{Style, bytes, count, print, print_json, seconds};
use crate::progress::{ReadingProgress, end_at_interrupts};
use crate::reading::{findings, warn_of_reading};
use crate::settings::{Settings, parse_bytes};
use crate::target::{apart, whole_folder};

/// Memory where `--memory` says nothing.
const MEMORY: u64 = 1 << 30;
/// Of that, what names, decoders and the tables that are being written take at least.
const APART: u64 = 64 << 20;

pub(crate) fn run(common: &Common, args: &Prepare) -> Result<()> {
    let begin = Instant::now();
    let mut settings = Settings::load(common, None)?;
    settings.overlay(&args.logs, &args.reading);
    settings.data.describe(&args.describing);
    settings.data.memory = args.memory.clone().or(settings.data.memory.take());
    settings.out = args.out.clone().or(settings.out);
    settings.announce()?;
    let data = &settings.data;
    let out = settings.out.clone();
    let out = out.ok_or_else(|| usage("--out DIR is missing: name the folder to write"))?;
    let existing = if args.force || settings.force { Existing::Replace } else { Existing::Refuse };
    let logs = data.logs()?;
    if let Some(log) = logs.iter().find(|log| log.join(PREPARED).is_file()) {
        let log = log.display();
        return Err(usage(format!(
            "{log}: already prepared; give it to `tidegate train` as it is"
        )));
    }
    apart("--out", &out, logs)?;
    admit(&out, existing, "use --force to replace the prepared data in it")?;
    refuse_foreign(&out)?;
    let memory = data.memory.as_deref().map(parse_bytes).transpose()?.unwrap_or(MEMORY);
    if memory < 2 * APART {
        return Err(usage("--memory: less than 128M is too little to sort anything in"));
    }
    let options = PrepareOptions {
        read: data.read_options()?,
        sessions: data.session_rules()?.options()?,
        clean: data.clean.as_deref().map(str::parse::<CleanRules>).transpose()?,
        // Held on the way in, and once more while it is put in order; buffers grow by doubling.
        memory: usize::try_from((memory - APART) / 4).unwrap_or(usize::MAX),
        threads: threads(&settings),
    };
    end_at_interrupts()?;
    let mut progress = ReadingProgress::new(settings.quiet);
    let prepared = whole_folder(&out, PREPARED, |folder| {
        Ok(prepare(logs, &options, folder, &mut |so_far| progress.show(so_far))?)
    })?;
    drop(progress);
    warn_of_reading(&prepared.report, prepared.has_times, &options.read);

    if settings.json {
        let report = &prepared.report;
        return print_json(&json!({
            "prepared": out.display().to_string(),
            "format": report.format,
            "rows": report.rows,
            "bad_rows": report.bad.count,
            "outside": report.outside,
            "events": prepared.events,
            "sessions": prepared.sessions,
            "items": prepared.items,
            "clean": prepared.clean.rules,
            "spilled": prepared.spilled,
            "wall_s": begin.elapsed().as_secs_f64(),
            "peak_rss": peak_rss(),
        }));
    }
    print(&render(&prepared, &out, begin.elapsed().as_secs_f64()))
}

/// Refuses a folder with other things in it than prepared data, or what is left of them: those are not
/// ours to be among.
fn refuse_foreign(out: &Path) -> Result<()> {
    let Ok(mut entries) = fs::read_dir(out) else { return Ok(()) };
    let ours = |name: &str| name == PREPARED || PREPARED_TABLES.contains(&name);
    let foreign = entries.find_map(|entry| {
        let name = entry.ok()?.file_name().to_string_lossy().into_owned();
        (!ours(&name)).then_some(name)
    });
    match foreign {
        Some(name) if !out.join(PREPARED).is_file() => Err(usage(format!(
            "--out {}: it holds no prepared data but {name:?}, which --force does not replace; name \
             another folder",
            out.display()
        ))),
        _ => Ok(()),
    }
}

fn render(prepared: &Prepared, out: &Path, wall: f64) -> String {
    let style = Style::for_stdout();
    let mut text = format!(
        "  {} events in {} sessions, {} items\n",
        count(prepared.events),
        count(prepared.sessions),
        count(prepared.items)
    );
    for line in findings(&prepared.clean) {
        text += &format!("  {line}\n");
    }
    let spilled = match prepared.spilled {
        0 => String::new(),
        spilled => format!(", {} by way of the disk", bytes(spilled)),
    };
    text += &format!(
        "  {}{}{spilled}\n\n",
        seconds(wall),
        peak_rss().map_or(String::new(), |peak| format!(", {} of memory", bytes(peak))),
    );
    let out = out.display().to_string();
    text +=
        &format!("The data are {}. Next:\n  tidegate train {out} --out model\n", style.bold(&out));
    text
}
