//! A file of results: there whole or not at all, and never in the place of something else.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use train::folder::partial;

use crate::failure::usage;

/// A file that is being written under a temporary name. Dropped unfinished, it leaves nothing.
pub(crate) struct Target {
    /// What the user calls it, with the flag before it where there is one.
    name: String,
    /// Where it will lie: behind any links.
    path: PathBuf,
    file: Option<BufWriter<File>>,
}

impl Target {
    /// Begins to write a file. `flag` names it in messages; `inputs` are files that this call reads,
    /// and that it must not replace.
    pub(crate) fn create(flag: &str, path: &Path, inputs: &[PathBuf]) -> Result<Self> {
        let name = format!("{flag} {}", path.display()).trim().to_owned();
        if path.as_os_str() == "-" {
            return Err(usage(format!("{name}: results go to a file, not to stdout; name one")));
        }
        if path.is_dir() {
            return Err(usage(format!("{name}: it is a folder; name a file")));
        }
        let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if real.exists() && !real.is_file() {
            return Err(usage(format!("{name}: it is no plain file; name one")));
        }
        if inputs.iter().any(|input| fs::canonicalize(input).is_ok_and(|input| input == real)) {
            return Err(usage(format!("{name}: this file is read, too; name another")));
        }
        let file = File::create(partial(&real))
            .map_err(|error| anyhow!("{name}: cannot be written: {error}; check the path"))?;
        Ok(Self { name, path: real, file: Some(BufWriter::new(file)) })
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
