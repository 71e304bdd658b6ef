//! `tidegate simulate`: the event log of a shop whose truth is known.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use events::simulator::{Shop, ShopConfig, Size, Summary, Truth, simulate};
use serde_json::json;
use train::folder::partial;

use crate::args::{Common, Simulate};
use crate::failure::usage;
use crate::output::{count, per_cent, print, print_json};
use crate::settings::Settings;

/// Events of a log where nothing else is asked for.
pub(crate) const EVENTS: u64 = 120_000;

pub(crate) fn run(common: &Common, args: &Simulate) -> Result<()> {
    let settings = Settings::load(common, None)?;
    let out = args.out.as_ref().or(settings.out.as_ref());
    let out = out.ok_or_else(|| usage("--out FILE is missing: name the log to write"))?;
    let size = match (args.events, args.users) {
        (Some(events), _) => Size::Events(events),
        (None, Some(users)) => Size::Users(users),
        (None, None) => match (settings.simulate.events, settings.simulate.users) {
            (Some(_), Some(_)) => return Err(usage("simulate.events and simulate.users: set one")),
            (None, Some(users)) => Size::Users(users),
            (events, None) => Size::Events(events.unwrap_or(EVENTS)),
        },
    };
    let truth = args.truth.as_ref().or(settings.simulate.truth.as_ref());
    let shop = Shop::new(ShopConfig::default(), settings.seed())?;
    let summary = write(&shop, size, out, truth.map(PathBuf::as_path))?;

    let best = summary.best_possible;
    if settings.json {
        return print_json(&json!({
            "file": out,
            "events": summary.events,
            "users": summary.users,
            "sessions": summary.sessions,
            "items": summary.items,
            "purchases": summary.purchases,
            "best_possible": { "recall@20": best.recall_at_20, "mrr@20": best.mrr_at_20 },
            "truth": truth,
            "causes": truth.map(|truth| causes(truth)),
        }));
    }
    let mut text = format!(
        "  {} events of {} users in {} sessions, {} items\n  best possible on a part of it: \
         recall@20 {}, mrr@20 {}\n  {}\n",
        count(summary.events),
        count(summary.users),
        count(summary.sessions),
        count(summary.items),
        per_cent(best.recall_at_20),
        per_cent(best.mrr_at_20),
        out.display()
    );
    if let Some(truth) = truth {
        text += &format!("  {}\n  {}\n", truth.display(), causes(truth).display());
    }
    print(&text)
}

/// Writes a shop's log, and its truth where a file for it is named; each file whole or not at all.
pub(crate) fn write(shop: &Shop, size: Size, out: &Path, truth: Option<&Path>) -> Result<Summary> {
    let mut files = vec![out.to_owned()];
    files.extend(truth.iter().flat_map(|truth| [truth.to_path_buf(), causes(truth)]));
    if files.iter().any(|file| files.iter().filter(|other| *other == file).count() > 1) {
        return Err(usage("--truth and --out name the same file"));
    }
    if let Some(path) = files.iter().find(|path| path.is_dir()) {
        return Err(usage(format!("{}: it is a folder; name a file", path.display())));
    }
    if files.iter().any(|path| path.as_os_str() == "-") {
        return Err(usage("-: the log is written to a file, not to stdout; name one"));
    }
    let written = (|| {
        let mut open: Vec<_> = files.iter().map(|path| create(path)).collect::<Result<_>>()?;
        let summary = match &mut open[..] {
            [log, users, causes] => simulate(shop, size, log, Some(Truth { users, causes }))?,
            logs => simulate(shop, size, &mut logs[0], None)?,
        };
        for (file, path) in open.into_iter().zip(&files) {
            let file = file.into_inner().map_err(|error| anyhow!("{}: {error}", path.display()))?;
            file.sync_all().map_err(|error| anyhow!("{}: {error}", path.display()))?;
            std::fs::rename(partial(path), path)
                .map_err(|error| anyhow!("{}: {error}", path.display()))?;
        }
        Ok(summary)
    })();
    if written.is_err() {
        for path in &files {
            let _ = std::fs::remove_file(partial(path));
        }
    }
    written
}

fn create(path: &Path) -> Result<BufWriter<File>> {
    let file = File::create(partial(path)).map_err(|error| {
        anyhow!("{}: cannot be written: {error}; check the path", path.display())
    })?;
    Ok(BufWriter::new(file))
}

/// The file beside the truth that has the causes of purchases.
pub(crate) fn causes(truth: &Path) -> PathBuf {
    let stem = truth.file_stem().unwrap_or_default().to_string_lossy();
    let name = match truth.extension() {
        Some(extension) => format!("{stem}-causes.{}", extension.to_string_lossy()),
        None => format!("{stem}-causes"),
    };
    truth.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_lie_beside_the_truth() {
        assert_eq!(causes(Path::new("a/truth.csv")), Path::new("a/truth-causes.csv"));
        assert_eq!(causes(Path::new("truth")), Path::new("truth-causes"));
    }
}
