//! The files of the repository.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The folder that holds the workspace's `Cargo.toml`.
///
/// Taken from where this program was compiled, so that it works from any folder of the tree; a
/// target folder that moved to another machine is told from a missing file.
pub(crate) fn root() -> Result<PathBuf> {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let root = manifest.ancestors().nth(2).context("crates/xtask lies two folders down")?;
    if !root.join("Cargo.lock").is_file() {
        bail!("{} is not the repository: start this with `cargo xtask`", root.display());
    }
    Ok(root.to_owned())
}

/// Every file below `folder`, in name order, relative to `root`; build outputs left out.
pub(crate) fn files_below(root: &Path, folder: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        let entries =
            std::fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let kind = entry.file_type()?;
            if kind.is_dir() && !name.starts_with("target") && name != ".git" {
                folders.push(entry.path());
            } else if kind.is_file() {
                let path = entry.path();
                found.push(path.strip_prefix(root).context("below the root")?.to_owned());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The files that git keeps, relative to `root`; all files where this is no git checkout.
pub(crate) fn committed(root: &Path) -> Result<Vec<PathBuf>> {
    let listing = Command::new("git").args(["ls-files", "-z"]).current_dir(root).output();
    let Some(listing) = listing.ok().filter(|listing| listing.status.success()) else {
        return files_below(root, ".");
    };
    let names = String::from_utf8(listing.stdout).context("git names a file that is not UTF-8")?;
    let paths = names.split_terminator('\0').map(PathBuf::from);
    // A file that was deleted but not yet committed is still listed.
    Ok(paths.filter(|path| root.join(path).is_file()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_walk_is_sorted_and_leaves_build_outputs_out() {
        let root = tempfile::tempdir().unwrap();
        for folder in ["b", "a/deep", "target/debug", "target-other"] {
            std::fs::create_dir_all(root.path().join(folder)).unwrap();
            std::fs::write(root.path().join(folder).join("file.rs"), "x").unwrap();
        }
        let files = files_below(root.path(), ".").unwrap();
        let names: Vec<_> = files.iter().map(|path| path.to_string_lossy()).collect();
        assert_eq!(names, ["a/deep/file.rs", "b/file.rs"]);
    }

    #[test]
    fn this_file_is_in_the_repository() {
        let root = root().unwrap();
        let files = committed(&root).unwrap();
        assert!(files.contains(&PathBuf::from("Cargo.toml")));
        assert!(root.join(file!()).is_file());
    }
}
