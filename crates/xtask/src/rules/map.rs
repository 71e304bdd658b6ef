//! The code map in `docs/architecture.md` names every source file, and no file that is gone.

use std::collections::BTreeSet;

use super::Findings;

const BEGIN: &str = "<!-- code map -->";
const END: &str = "<!-- /code map -->";

/// Complains about each of `files` (paths below `crates/`) that the map leaves out, and about each
/// name in the map that is no file.
///
/// A crate's `lib.rs` needs no line: the heading stands for it.
pub(super) fn check(page: &str, files: &[String], findings: &mut Findings) {
    let map = page.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(END));
    let Some((map, _)) = map else {
        findings.error(format!("docs/architecture.md has no code map between {BEGIN} and {END}"));
        return;
    };
    let named = named(map);
    let exists: BTreeSet<&str> = files.iter().map(String::as_str).collect();
    for name in &named {
        if !exists.contains(name.as_str()) {
            findings.error(format!("docs/architecture.md: {name} in the code map is gone"));
        }
    }
    for file in files.iter().filter(|file| wants_a_line(file)) {
        if !named.contains(file) {
            findings.error(format!("docs/architecture.md: the code map lacks a line for {file}"));
        }
    }
}

/// The files that the tables name, each below the folder in the heading above it.
fn named(map: &str) -> BTreeSet<String> {
    let mut folder = "";
    let mut named = BTreeSet::new();
    for line in map.lines() {
        if let Some(heading) = line.strip_prefix("### `") {
            folder = heading.split('`').next().unwrap_or("");
        } else if let Some(row) = line.strip_prefix("| `") {
            let name = row.split('`').next().unwrap_or("");
            if folder.starts_with("crates/") {
                named.insert(format!("{folder}/{name}"));
            }
        }
    }
    named
}

fn wants_a_line(file: &str) -> bool {
    let source = file.contains("/src/") || file.starts_with("crates/cli/");
    let root = file.ends_with("/src/lib.rs") || file.ends_with("/src/main.rs");
    // The files of a test module speak for themselves.
    source && !root && !file.contains("/tests/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(map: &str, files: &[&str]) -> Vec<String> {
        let files: Vec<String> = files.iter().map(|&file| file.to_owned()).collect();
        let mut findings = Findings::default();
        check(&format!("# Page\n{BEGIN}\n{map}\n{END}\n"), &files, &mut findings);
        findings.errors
    }

    const MAP: &str = "### `crates/a/src`: first\n\n| file | |\n|---|---|\n| `b.rs` | it |\n\
                       ### `tests/`\n| `c.rs` | a test |\n";

    #[test]
    fn a_complete_map_is_fine() {
        let files = ["crates/a/src/b.rs", "crates/a/src/lib.rs", "crates/a/tests/d.rs"];
        assert_eq!(errors(MAP, &files), Vec::<String>::new());
    }

    #[test]
    fn a_file_without_a_line_and_a_line_without_a_file_are_named() {
        assert_eq!(
            errors(MAP, &["crates/a/src/e.rs"]),
            [
                "docs/architecture.md: crates/a/src/b.rs in the code map is gone",
                "docs/architecture.md: the code map lacks a line for crates/a/src/e.rs"
            ]
        );
    }

    #[test]
    fn a_page_without_a_map_is_named() {
        let mut findings = Findings::default();
        check("# Page\n", &[], &mut findings);
        assert_eq!(findings.errors.len(), 1);
    }
}
