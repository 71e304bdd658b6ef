//! A file of results: there whole or not at all, and never in the place of something else.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use serde::Serialize;
use train::folder::{Existing, admit, partial, remove, sync_folder};

use crate::failure::usage;
use crate::progress::Unfinished;

/// A file that is being written under a temporary name. Dropped unfinished, it leaves nothing.
pub(crate) struct Target {
    /// What the user calls it, with the flag before it where there is one.
    name: String,
    /// Where it will lie: behind any links.
    path: PathBuf,
    file: Option<BufWriter<File>>,
    _unfinished: Unfinished,
}

impl Target {
    /// Begins to write a file. `flag` names it in messages; `inputs` are files and folders that this
    /// call reads: none of their files may be replaced, and none added.
    pub(crate) fn create(flag: &str, path: &Path, inputs: &[PathBuf]) -> Result<Self> {
        let name = format!("{flag} {}", path.display()).trim().to_owned();
        if path.as_os_str() == "-" {
            return Err(usage(format!("{name}: results go to a file, not to stdout; name one")));
        }
        if path.is_dir() {
            return Err(usage(format!("{name}: it is a folder; name a file")));
        }
        let real = real(path);
        if real.exists() && !real.is_file() {
            return Err(usage(format!("{name}: it is no plain file; name one")));
        }
        for input in inputs {
            let Ok(read) = fs::canonicalize(input) else { continue };
            if [&real, &partial(&real)].into_iter().any(|file| *file == read || links(&read, file))
            {
                return Err(usage(format!("{name}: this file is read, too; name another")));
            }
            if real.starts_with(&read) {
                let input = input.display();
                return Err(usage(format!(
                    "{name}: all files in {input} are read; name one outside"
                )));
            }
        }
        let unfinished = Unfinished::new(partial(&real));
        let file = File::create(partial(&real))
            .map_err(|error| anyhow!("{name}: cannot be written: {error}; check the path"))?;
        Ok(Self { name, path: real, file: Some(BufWriter::new(file)), _unfinished: unfinished })
    }

    /// Forces the file to the disk and gives it its name.
    pub(crate) fn finish(mut self) -> Result<()> {
        let Some(file) = self.file.take() else { return Ok(()) };
        let finish = || {
            file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
            fs::rename(partial(&self.path), &self.path)
        };
        finish().map_err(|error| {
            let _ = fs::remove_file(partial(&self.path));
            self.refuse(&error)
        })
    }

    /// The error of a write that failed.
    pub(crate) fn refuse(&self, error: &io::Error) -> anyhow::Error {
        anyhow!("{}: cannot be written: {error}; check the free space", self.name)
    }
}

/// Where a path leads, behind any links. Of what is not there yet, as far as it is there.
fn real(path: &Path) -> PathBuf {
    if let Ok(real) = fs::canonicalize(path) {
        return real;
    }
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) if parent.as_os_str().is_empty() => {
            real(".".as_ref()).join(name)
        }
        (Some(parent), Some(name)) => real(parent).join(name),
        _ => path.to_owned(),
    }
}

/// Whether a link in a folder leads to a file, or to a folder that it lies in.
fn links(folder: &Path, file: &Path) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| match entry.file_type() {
        Ok(kind) if kind.is_symlink() => {
            fs::canonicalize(entry.path()).is_ok_and(|to| file.starts_with(to))
        }
        Ok(kind) if kind.is_dir() => links(&entry.path(), file),
        _ => false,
    })
}

/// Refuses a folder of results that is, holds or lies in what is read: it would replace it, or be read
/// with it the next time.
pub(crate) fn apart(flag: &str, out: &Path, inputs: &[PathBuf]) -> Result<()> {
    let at = real(out);
    for input in inputs {
        let Ok(read) = fs::canonicalize(input) else { continue };
        let how = if read == at {
            "is"
        } else if read.starts_with(&at) {
            "holds"
        } else if at.starts_with(&read) {
            "lies in"
        } else if read.starts_with(partial(&at)) {
            "would be made in the place of"
        } else {
            continue;
        };
        let (out, input) = (out.display(), input.display());
        return Err(usage(format!("{flag} {out}: it {how} {input}, which is read; name another")));
    }
    Ok(())
}

/// Lets `write` fill a folder beside `out`, whose files take their places when it is whole. `last` is the
/// one that says that the others are whole.
pub(crate) fn whole_folder<T>(
    out: &Path,
    last: &str,
    write: impl FnOnce(&Path) -> Result<T>,
) -> Result<T> {
    let folder = partial(out);
    let at = |path: &Path| {
        format!("{}: cannot be written; is there room and permission?", path.display())
    };
    let unfinished = Unfinished::new(folder.clone());
    remove(&folder)?;
    fs::create_dir_all(&folder).with_context(|| at(&folder))?;
    let result = write(&folder).and_then(|written| {
        unfinished.settle(|| put(&folder, out, last)).with_context(|| at(out))?;
        Ok(written)
    });
    if result.is_err() {
        let _ = remove(&folder);
    }
    result
}

/// Moves the files of a folder to their place; what else lies there stays. `last` says that the others are
/// whole, so it goes first and comes last.
fn put(folder: &Path, out: &Path, last: &str) -> io::Result<()> {
    fs::create_dir_all(out)?;
    let _ = fs::remove_file(out.join(last));
    let mut names = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.file_name()))
        .collect::<io::Result<Vec<_>>>()?;
    names.sort_by_key(|name| *name == *last);
    for name in names {
        // On the disk before it has its name, and in this order.
        File::open(folder.join(&name))?.sync_all()?;
        fs::rename(folder.join(&name), out.join(&name))?;
        sync_folder(&out.join(&name))?;
    }
    fs::remove_dir(folder)
}

/// The folder that results go to: named, apart from what is read, and empty unless `force` says otherwise.
pub(crate) fn out_folder(
    out: Option<&Path>,
    inputs: &[PathBuf],
    force: bool,
    remedy: &str,
) -> Result<PathBuf> {
    let out = out.ok_or_else(|| usage("--out DIR is missing: name the folder to write"))?;
    apart("--out", out, inputs)?;
    admit(out, if force { Existing::Replace } else { Existing::Refuse }, remedy)?;
    Ok(out.to_owned())
}

/// Writes a file of JSON with a line for each value into the folder of [`whole_folder`].
pub(crate) fn write_json_in(folder: &Path, name: &str, value: &impl Serialize) -> Result<()> {
    write_in(folder, name, serde_json::to_string_pretty(value)? + "\n")
}

/// Writes a file into the folder of [`whole_folder`].
pub(crate) fn write_in(folder: &Path, name: &str, contents: impl AsRef<[u8]>) -> Result<()> {
    let path = folder.join(name);
    fs::write(&path, contents)
        .with_context(|| format!("{}: cannot be written; check the free space", path.display()))
}

/// The file of a model, which may be given as its folder.
pub(crate) fn model_file(model: &Path) -> PathBuf {
    if model.is_dir() { model.join(train::MODEL_FILE) } else { model.to_owned() }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.as_mut().map_or(Ok(bytes.len()), |file| file.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), BufWriter::flush)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            let _ = fs::remove_file(partial(&self.path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_finished_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        let mut target = Target::create("--out", &path, &[]).unwrap();
        target.write_all(b"half").unwrap();
        drop(target);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let mut target = Target::create("--out", &path, &[]).unwrap();
        target.write_all(b"whole").unwrap();
        target.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn inputs_folders_and_stdout_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log.csv");
        fs::write(&log, "x").unwrap();
        let again = folder.path().join("./log.csv");
        for (path, part) in [
            (again.as_path(), "this file is read, too"),
            (folder.path(), "it is a folder"),
            (Path::new("-"), "not to stdout"),
        ] {
            let error = Target::create("--out", path, std::slice::from_ref(&log)).err().unwrap();
            assert!(error.to_string().contains(part), "{error}");
        }
        assert_eq!(fs::read(&log).unwrap(), b"x");
    }

    #[test]
    fn nothing_comes_to_lie_in_a_folder_that_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let (logs, inner) = (folder.path().join("logs"), folder.path().join("logs/2024"));
        fs::create_dir_all(&inner).unwrap();
        let log = inner.join("log.csv");
        fs::write(&log, "x").unwrap();
        let inputs = [logs.clone()];
        for path in [log.clone(), inner.join("page.html"), logs.join("../logs/page.html")] {
            let error = Target::create("--report", &path, &inputs).err().unwrap().to_string();
            assert!(error.contains("all files in"), "{error}");
            assert!(!partial(&path).exists());
        }
        assert_eq!(fs::read(&log).unwrap(), b"x");
        Target::create("--report", &folder.path().join("page.html"), &inputs).unwrap();
        // Not even for a while.
        let unfinished = folder.path().join("page.html.partial");
        fs::write(&unfinished, "x").unwrap();
        assert!(
            Target::create("--report", &folder.path().join("page.html"), &[unfinished]).is_err()
        );
    }

    #[test]
    fn a_folder_of_results_keeps_away_from_what_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("logs/out.partial")).unwrap();
        fs::write(at("logs/log.csv"), "x").unwrap();
        for (out, input, how) in [
            ("logs", "logs", "it is"),
            ("logs", "logs/log.csv", "it holds"),
            ("logs/new/out", "logs", "it lies in"),
            ("logs/out", "logs/out.partial", "in the place of"),
        ] {
            let error = apart("--out", &at(out), &[at(input)]).unwrap_err().to_string();
            assert!(error.contains(how), "{error}");
        }
        apart("--out", &at("log"), &[at("logs"), "-".into()]).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_a_folder_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (logs, log) = (folder.path().join("logs"), folder.path().join("log.csv"));
        fs::create_dir(&logs).unwrap();
        fs::write(&log, "x").unwrap();
        std::os::unix::fs::symlink(&log, logs.join("link.csv")).unwrap();
        let error = Target::create("--report", &log, &[logs]).err().unwrap().to_string();
        assert!(error.contains("this file is read, too"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let mut target = Target::create("--out", &link, &[]).unwrap();
        target.write_all(b"new").unwrap();
        target.finish().unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"new");
    }
}
