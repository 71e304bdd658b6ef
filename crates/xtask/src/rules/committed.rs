//! What a clone brings along: no large files, no paths of the machine they were made on.

use super::Findings;

/// Every clone pays for a large file for ever, even after it is deleted.
const LIMIT: usize = 512 * 1024;

/// First folders of paths that mean something on one machine only. They stand here without their
/// slashes so that this file may be committed.
const FOLDERS: &[&str] = &["home", "root", "Users", "mnt", "work", "tmp"];

/// Complains about a committed file's size and about the machine paths in it.
pub(super) fn check(name: &str, bytes: &[u8], findings: &mut Findings) {
    if bytes.len() > LIMIT {
        let size = bytes.len() / 1024;
        findings.error(format!("{name} has {size} KiB: at most {} are committed", LIMIT / 1024));
    }
    for (index, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        if let Some(path) = machine_path(line) {
            findings.error(format!("{name}:{} names a path of one machine: {path}", index + 1));
        }
    }
}

/// The first absolute path in `line` that starts with one of [`FOLDERS`].
fn machine_path(line: &[u8]) -> Option<String> {
    let starts = (0..line.len()).filter(|&at| line[at] == b'/' && starts_a_path(&line[..at]));
    starts.map(|at| &line[at..]).find_map(|path| {
        let end = path.iter().position(|&byte| !is_path_byte(byte)).unwrap_or(path.len());
        let path = &path[..end];
        let folder = path[1..].split(|&byte| byte == b'/').next()?;
        // The folder alone, without anything in it, is a word of prose.
        let inside = path.len() > folder.len() + 2;
        let known = FOLDERS.iter().any(|known| known.as_bytes() == folder);
        (known && inside).then(|| String::from_utf8_lossy(path).into_owned())
    })
}

/// A slash after a word, a dot, or another slash continues a relative path or an address.
fn starts_a_path(before: &[u8]) -> bool {
    before.last().is_none_or(|&byte| !is_path_byte(byte) && !matches!(byte, b'}' | b')' | b'>'))
}

fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'_' | b'-' | b'~' | b'$')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(text: &str) -> Vec<String> {
        let mut findings = Findings::default();
        check("docs/a.md", text.as_bytes(), &mut findings);
        findings.errors
    }

    #[test]
    fn a_path_of_this_machine_is_named_with_its_line() {
        let text = format!("first\nsee {}{}\n", "/home", "/ada/log.csv");
        let path = ["", "home", "ada", "log.csv"].join("/");
        assert_eq!(errors(&text), [format!("docs/a.md:2 names a path of one machine: {path}")]);
        for folder in FOLDERS {
            assert_eq!(errors(&format!("`{}{folder}/x`", '/')).len(), 1, "{folder}");
        }
    }

    #[test]
    fn addresses_relative_paths_and_system_folders_are_fine() {
        let text = format!("https://example.org{}/ada ../tmp/x src/root/x a/work/b", "/home");
        assert!(errors(&text).is_empty());
        assert!(errors("/usr/bin/env /dev/null /proc/self/status and/or w / root").is_empty());
        assert!(errors(&format!("the folder {}tmp/ alone", '/')).is_empty());
    }

    #[test]
    fn a_large_file_is_named_with_its_size() {
        let mut findings = Findings::default();
        check("a.bin", &vec![0; LIMIT], &mut findings);
        assert!(findings.errors.is_empty());
        check("a.bin", &vec![0; LIMIT + 1024], &mut findings);
        assert_eq!(findings.errors, ["a.bin has 513 KiB: at most 512 are committed"]);
    }
}
