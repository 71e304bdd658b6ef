//! Output folders: created whole or not at all, and never overwritten by accident.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::Error;

/// What to do with an output folder that is not empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Leave it alone and say so.
    Refuse,
    /// Replace what this program would write there; anything else in it stays.
    Replace,
    /// Go on with the run whose checkpoint lies there.
    Resume,
}

/// Checks that a run may write into `path`, without writing anything yet.
///
/// `advice` ends the message of a refusal: the flags that the verb offers.
///
/// # Errors
///
/// [`Error::Folder`] where the path is a file, cannot be read, or is refused.
pub fn admit(path: &Path, existing: Existing, advice: &str) -> Result<(), Error> {
    let refused = |reason: String| Error::Folder { path: path.to_owned(), reason };
    if path.as_os_str().is_empty() {
        return Err(refused("the name is empty; name a folder".to_owned()));
    }
    match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            Err(refused("there is a file of this name; choose another folder".to_owned()))
        }
        Err(error) => Err(refused(error.to_string())),
        Ok(mut entries) => match (entries.next(), existing) {
            (Some(_), Existing::Refuse) => Err(refused(format!("it is not empty; {advice}"))),
            _ => Ok(()),
        },
    }
}

/// Writes a file so that it is there whole or not at all: to a temporary name beside it, forced to
/// the disk, then renamed. The temporary name is always the same, so that a run which is killed in
/// between leaves at most one such file, and the next run overwrites it.
///
/// # Errors
///
/// [`Error::Write`] with the path.
pub fn write_whole(path: &Path, contents: &[u8]) -> Result<(), Error> {
    let partial = partial(path);
    let write = || -> io::Result<()> {
        let mut file = File::create(&partial)?;
        file.write_all(contents)?;
        file.sync_all()?;
        fs::rename(&partial, path)?;
        sync_folder(path)
    };
    write().map_err(|source| {
        let _ = fs::remove_file(&partial);
        Error::Write { path: path.to_owned(), source }
    })
}

/// The temporary name of a file that is being written.
pub fn partial(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    path.with_file_name(name)
}

/// Creates a folder and its parents.
///
/// # Errors
///
/// [`Error::Write`] with the path.
pub fn create(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(|source| Error::Write { path: path.to_owned(), source })
}

/// Removes a file or a folder with everything in it; nothing there is fine.
///
/// # Errors
///
/// [`Error::Write`] with the path.
pub fn remove(path: &Path) -> Result<(), Error> {
    let result = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::Write { path: path.to_owned(), source: error })
        }
        _ => Ok(()),
    }
}

/// Makes the name of a file last: a rename is only on the disk once its folder is.
///
/// # Errors
///
/// Where the folder cannot be opened or written.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_not_empty_is_refused_unless_told_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let advice = "use --force";
        let out = folder.path().join("out");
        admit(&out, Existing::Refuse, advice).unwrap();
        assert!(!out.exists(), "looking creates nothing");
        create(&out).unwrap();
        admit(&out, Existing::Refuse, advice).unwrap();
        write_whole(&out.join("file"), b"1").unwrap();
        let error = admit(&out, Existing::Refuse, advice).unwrap_err().to_string();
        assert!(error.contains("not empty; use --force"), "{error}");
        admit(&out, Existing::Replace, advice).unwrap();
        admit(&out, Existing::Resume, advice).unwrap();
        let error = admit(&out.join("file"), Existing::Replace, advice).unwrap_err().to_string();
        assert!(error.contains("there is a file of this name"), "{error}");
        assert!(admit(Path::new(""), Existing::Refuse, advice).is_err());
    }

    #[test]
    fn a_file_is_replaced_whole_and_nothing_else_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model");
        write_whole(&path, b"first").unwrap();
        write_whole(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_error_names_the_file() {
        let error = write_whole(Path::new("/nowhere/at/all"), b"").unwrap_err().to_string();
        assert!(error.contains("/nowhere/at/all"), "{error}");
    }

    #[test]
    fn removing_what_is_not_there_is_fine() {
        let folder = tempfile::tempdir().unwrap();
        remove(&folder.path().join("nothing")).unwrap();
        create(&folder.path().join("a/b")).unwrap();
        remove(&folder.path().join("a")).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
