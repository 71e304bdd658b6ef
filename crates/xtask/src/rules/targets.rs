//! Every test and bench at the top of the tree is built.
//!
//! The root package finds its targets by `[[test]]` and `[[bench]]` entries alone, so a file without
//! an entry would lie there, pass no judgement, and be missed by nobody.

use anyhow::{Context, Result};
use toml::Table;

use super::Findings;

/// Complains about each of `files` (paths from the root) that should be a target and is none.
pub(super) fn check(manifest: &str, files: &[String], findings: &mut Findings) -> Result<()> {
    let table: Table = manifest.parse().context("reading the root Cargo.toml")?;
    for (section, folder) in [("test", "tests/"), ("bench", "benches/")] {
        let targets = table.get(section).and_then(|targets| targets.as_array());
        let paths: Vec<&str> = targets
            .into_iter()
            .flatten()
            .filter_map(|target| target.get("path").and_then(|path| path.as_str()))
            .collect();
        let at_the_top = |file: &&String| {
            file.strip_prefix(folder)
                .is_some_and(|rest| rest.ends_with(".rs") && !rest.contains('/'))
        };
        for file in files.iter().filter(at_the_top) {
            if !paths.contains(&file.as_str()) {
                findings.error(format!("{file} is never run: Cargo.toml lacks its [[{section}]]"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_without_an_entry_is_named() {
        let manifest = "[[test]]\nname = 'a'\npath = 'tests/a.rs'\n";
        let files =
            ["tests/a.rs", "tests/b.rs", "tests/common/mod.rs", "benches/c.rs", "tests/d.py"];
        let files: Vec<String> = files.iter().map(|&file| file.to_owned()).collect();
        let mut findings = Findings::default();
        check(manifest, &files, &mut findings).unwrap();
        assert_eq!(
            findings.errors,
            [
                "tests/b.rs is never run: Cargo.toml lacks its [[test]]",
                "benches/c.rs is never run: Cargo.toml lacks its [[bench]]"
            ]
        );
    }
}
