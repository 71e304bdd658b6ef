//! House rules that no other tool looks at.
//!
//! Each rule is a function from text to complaints, so that its test can hand it a small wrong
//! input and see it complain. Only this file reads the tree.

mod arrows;
mod committed;
mod fence;
mod length;
mod map;
mod targets;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::tree;

/// What a rule has against the tree.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// Each fails the check.
    errors: Vec<String>,
    /// Each is printed, no more.
    warnings: Vec<String>,
}

impl Findings {
    fn error(&mut self, what: String) {
        self.errors.push(what);
    }

    fn warning(&mut self, what: String) {
        self.warnings.push(what);
    }
}

/// Holds the tree against every rule and prints what they find.
pub(crate) fn run() -> Result<()> {
    let root = tree::root()?;
    let findings = look(&root)?;
    for warning in &findings.warnings {
        eprintln!("warning: {warning}");
    }
    for error in &findings.errors {
        eprintln!("error: {error}");
    }
    match findings.errors.len() {
        0 => Ok(()),
        1 => bail!("one house rule is broken; run it again with\n    cargo xtask rules"),
        n => bail!("{n} house rules are broken; run them again with\n    cargo xtask rules"),
    }
}

fn look(root: &Path) -> Result<Findings> {
    let mut findings = Findings::default();
    let crates = tree::files_below(root, "crates")?;
    for path in crates.iter().filter(|path| has_extension(path, "rs")) {
        let text = read(root, path)?;
        let name = slashes(path);
        length::check(&name, &text, &mut findings);
        fence::check(&name, &text, &mut findings);
    }

    let names: Vec<String> =
        crates.iter().filter(|path| has_extension(path, "rs")).map(|path| slashes(path)).collect();
    map::check(&read(root, Path::new("docs/architecture.md"))?, &names, &mut findings);

    let manifest = read(root, Path::new("Cargo.toml"))?;
    let mut top = tree::files_below(root, "tests")?;
    top.extend(tree::files_below(root, "benches")?);
    let top: Vec<String> = top.iter().map(|path| slashes(path)).collect();
    targets::check(&manifest, &top, &mut findings)?;

    arrows::check("tidegate", &manifest, &mut findings)?;
    for path in crates.iter().filter(|path| path.ends_with("Cargo.toml")) {
        let folder = path.parent().and_then(Path::file_name).context("a crate has a folder")?;
        arrows::check(&folder.to_string_lossy(), &read(root, path)?, &mut findings)?;
    }

    for path in tree::committed(root)? {
        let bytes = std::fs::read(root.join(&path))
            .with_context(|| format!("reading {}", path.display()))?;
        committed::check(&slashes(&path), &bytes, &mut findings);
    }
    Ok(findings)
}

fn read(root: &Path, path: &Path) -> Result<String> {
    std::fs::read_to_string(root.join(path)).with_context(|| format!("reading {}", path.display()))
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}

/// A path as the rules and their messages write it, on every system.
fn slashes(path: &Path) -> String {
    let parts: Vec<_> = PathBuf::from(path)
        .components()
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .filter(|part| part != ".")
        .collect();
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree that this test is compiled from keeps its own rules.
    #[test]
    fn the_repository_keeps_the_rules() {
        let findings = look(&tree::root().unwrap()).unwrap();
        assert_eq!(findings.errors, Vec::<String>::new());
    }
}
