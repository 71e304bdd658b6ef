//! `tidegate simulate`: the event log of a shop whose truth is known.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use events::simulator::{Campaign, Shop, ShopConfig, Size, Summary, Truth, simulate};
use events::time::format_time;
use serde_json::{Value, json};

use crate::args::{Common, Simulate};
use crate::failure::usage;
use crate::output::{count, per_cent, print, print_json};
use crate::settings::Settings;
use crate::target::Target;

/// Events of a log where nothing else is asked for.
pub(crate) const EVENTS: u64 = 120_000;

pub(crate) fn run(common: &Common, args: &Simulate) -> Result<()> {
    let settings = Settings::load(common, None)?;
    settings.announce()?;
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
    let config = match args.shop.as_deref().or(settings.simulate.shop.as_deref()) {
        None | Some("default") => ShopConfig::default(),
        Some("distinct") => ShopConfig::distinct(),
        Some("treated") => ShopConfig::treated(),
        Some(other) => {
            return Err(usage(format!(
                "simulate.shop = {other:?}: expected default, distinct or treated"
            )));
        }
    };
    let shop = Shop::new(config, settings.seed())?;
    let summary = write(&shop, size, out, truth.map(PathBuf::as_path), common.config.as_slice())?;

    let best = summary.best_possible;
    if settings.json {
        let mut object = json!({
            "file": out.display().to_string(),
            "events": summary.events,
            "users": summary.users,
            "sessions": summary.sessions,
            "items": summary.items,
            "purchases": summary.purchases,
            "best_possible": { "recall@20": best.recall_at_20, "mrr@20": best.mrr_at_20 },
            "truth": truth,
            "causes": truth.map(|truth| causes(truth)),
        });
        if let Some(campaign) = &shop.config.campaign {
            object["campaign"] = told(campaign);
            object["uplift"] = json!(truth.map(|truth| uplift(truth)));
        }
        return print_json(&object);
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
    if let Some(Campaign { at, lasts, .. }) = shop.config.campaign {
        let (at, days) = (format_time(at * 1000), lasts / 86_400);
        text += &match truth {
            Some(truth) => format!("  {}\n", uplift(truth).display()),
            None => String::new(),
        };
        text += &format!("  half of the users have a voucher from {at} on, for {days} days\n");
    }
    print(&text)
}

/// Writes a shop's log, and its truth where a file for it is named; each file whole or not at all.
/// None takes the place of what is read.
pub(crate) fn write(
    shop: &Shop,
    size: Size,
    out: &Path,
    truth: Option<&Path>,
    inputs: &[PathBuf],
) -> Result<Summary> {
    let mut files = vec![out.to_owned()];
    files.extend(truth.iter().flat_map(|truth| [truth.to_path_buf(), causes(truth)]));
    if let (Some(truth), Some(_)) = (truth, &shop.config.campaign) {
        files.push(uplift(truth));
    }
    if files.iter().any(|file| files.iter().filter(|other| *other == file).count() > 1) {
        return Err(usage("--truth and --out name the same file"));
    }
    // Unfinished ones leave nothing.
    let mut open: Vec<_> =
        files.iter().map(|path| Target::create("", path, inputs)).collect::<Result<_>>()?;
    let summary = match &mut open[..] {
        [log, users, causes, rest @ ..] => {
            let uplift = rest.first_mut().map(|file| file as &mut dyn Write);
            simulate(shop, size, log, Some(Truth { users, causes, uplift }))?
        }
        logs => simulate(shop, size, &mut logs[0], None)?,
    };
    open.into_iter().try_for_each(Target::finish)?;
    Ok(summary)
}

/// The file beside the truth that has the causes of purchases.
pub(crate) fn causes(truth: &Path) -> PathBuf {
    beside(truth, "causes")
}

/// The one that has what a campaign does to each type.
fn uplift(truth: &Path) -> PathBuf {
    beside(truth, "uplift")
}

/// When a campaign is, and how long it lasts.
fn told(campaign: &Campaign) -> Value {
    json!({ "at": format_time(campaign.at * 1000), "horizon_s": campaign.lasts })
}

fn beside(truth: &Path, what: &str) -> PathBuf {
    let stem = truth.file_stem().unwrap_or_default().to_string_lossy();
    let name = match truth.extension() {
        Some(extension) => format!("{stem}-{what}.{}", extension.to_string_lossy()),
        None => format!("{stem}-{what}"),
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
