//! Arrows between crates point down.
//!
//! [`ALLOWED`] is the picture in `docs/architecture.md` as a table. A new crate gets its line here
//! before it compiles in CI.

use anyhow::{Context, Result};
use toml::Table;

use super::Findings;

/// A crate, what it may stand on, and what its tests may use beyond that.
const ALLOWED: &[(&str, &[&str], &[&str])] = &[
    ("layout", &[], &["testkit"]),
    ("reference", &["layout"], &["testkit"]),
    ("testkit", &["layout"], &[]),
    ("cpu", &["layout"], &["reference", "testkit"]),
    ("cuda", &["layout"], &["reference", "testkit"]),
    ("model", &["layout", "reference", "cpu"], &["testkit"]),
    ("events", &[], &[]),
    ("insight", &["events"], &[]),
    ("statistics", &["layout"], &[]),
    ("cluster", &["layout", "statistics"], &[]),
    ("train", &["layout", "model", "events", "statistics"], &["reference", "cpu", "testkit"]),
    (
        "tidegate",
        &["layout", "cpu", "cuda", "model", "events", "insight", "statistics", "cluster", "train"],
        &["reference", "testkit"],
    ),
    ("xtask", &[], &[]),
];

/// Crates of other people that one of ours must never use, and why.
const FORBIDDEN: &[(&str, &[&str], &str)] = &[
    ("layout", &["rayon", "matrixmultiply"], "it holds memory, not arithmetic"),
    ("reference", &["rayon", "matrixmultiply"], "it is the plain, sequential truth"),
];

/// What only the programs use: a library returns typed errors and draws nothing on a terminal.
const PROGRAMS_ONLY: &[&str] = &["anyhow", "clap", "indicatif", "ctrlc"];
const PROGRAMS: &[&str] = &["tidegate", "xtask"];

/// Complains about each dependency in the manifest of `name` that points the wrong way.
///
/// `name` is the crate's folder, and `tidegate` for the root package.
pub(super) fn check(name: &str, manifest: &str, findings: &mut Findings) -> Result<()> {
    let table: Table =
        manifest.parse().with_context(|| format!("reading the Cargo.toml of {name}"))?;
    let Some((_, below, for_tests)) = ALLOWED.iter().find(|(crate_, ..)| *crate_ == name) else {
        findings.error(format!("crate {name} is new: give it a line in xtask/src/rules/arrows.rs"));
        return Ok(());
    };
    for (section, dependency) in dependencies(&table) {
        let in_tests = section == "dev-dependencies";
        let ours = ALLOWED.iter().any(|(crate_, ..)| *crate_ == dependency);
        let allowed = below.contains(&dependency.as_str())
            || (in_tests && for_tests.contains(&dependency.as_str()));
        if ours && !allowed {
            findings.error(format!("{name} may not stand on {dependency} ({section})"));
        }
        if in_tests {
            continue;
        }
        if PROGRAMS_ONLY.contains(&dependency.as_str()) && !PROGRAMS.contains(&name) {
            findings.error(format!("{name} is a library: {dependency} belongs to the programs"));
        }
        for (_, forbidden, reason) in FORBIDDEN.iter().filter(|(crate_, ..)| *crate_ == name) {
            if forbidden.contains(&dependency.as_str()) {
                findings.error(format!("{name} may not use {dependency}: {reason}"));
            }
        }
    }
    Ok(())
}

/// Each dependency with its section, those of a single platform included.
fn dependencies(manifest: &Table) -> Vec<(&'static str, String)> {
    let platforms = manifest.get("target").and_then(|target| target.as_table());
    let platforms = platforms.into_iter().flat_map(|target| target.values());
    let tables = std::iter::once(manifest).chain(platforms.filter_map(|table| table.as_table()));
    let mut found = Vec::new();
    for table in tables {
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let entries = table.get(section).and_then(|entries| entries.as_table());
            for (key, value) in entries.into_iter().flatten() {
                let package = value.get("package").and_then(|package| package.as_str());
                let name = package.unwrap_or(key);
                found.push((section, name.strip_prefix("tidegate-").unwrap_or(name).to_owned()));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(name: &str, manifest: &str) -> Vec<String> {
        let mut findings = Findings::default();
        check(name, manifest, &mut findings).unwrap();
        findings.errors
    }

    #[test]
    fn a_crate_may_stand_on_those_below_it() {
        let manifest = "[dependencies]\nlayout.workspace = true\nrayon = '1'\n\
                        [dev-dependencies]\nreference.workspace = true\n";
        assert_eq!(errors("cpu", manifest), Vec::<String>::new());
    }

    #[test]
    fn an_arrow_that_points_up_or_aside_is_named() {
        let up = "[dependencies]\nmodel = { workspace = true }\n";
        assert_eq!(errors("cpu", up), ["cpu may not stand on model (dependencies)"]);
        let aside = "[dependencies]\nreference = { workspace = true }\n";
        assert_eq!(errors("cpu", aside), ["cpu may not stand on reference (dependencies)"]);
        let events = "[dev-dependencies]\nlayout = { workspace = true }\n";
        assert_eq!(errors("events", events), ["events may not stand on layout (dev-dependencies)"]);
    }

    #[test]
    fn another_name_or_a_platform_hides_nothing() {
        let renamed = "[dependencies]\nx = { path = '..', package = 'tidegate-events' }\n";
        assert_eq!(errors("model", renamed), ["model may not stand on events (dependencies)"]);
        let platform = "[target.'cfg(unix)'.dependencies]\nevents = { workspace = true }\n";
        assert_eq!(errors("model", platform), ["model may not stand on events (dependencies)"]);
    }

    #[test]
    fn the_testkit_is_for_tests() {
        let manifest = "[dependencies]\ntestkit = { workspace = true }\n";
        assert_eq!(errors("train", manifest), ["train may not stand on testkit (dependencies)"]);
    }

    #[test]
    fn tools_of_a_program_stay_out_of_libraries() {
        let manifest = "[dependencies]\nanyhow = '1'\n";
        assert_eq!(
            errors("model", manifest),
            ["model is a library: anyhow belongs to the programs"]
        );
        assert!(errors("tidegate", manifest).is_empty());
        let rayon = "[dependencies]\nrayon = '1'\n";
        assert_eq!(
            errors("reference", rayon),
            ["reference may not use rayon: it is the plain, sequential truth"]
        );
    }

    #[test]
    fn a_new_crate_needs_a_line() {
        assert_eq!(
            errors("nobody", ""),
            ["crate nobody is new: give it a line in xtask/src/rules/arrows.rs"]
        );
    }
}
