//! A folder of results: there whole or not at all.

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;
use train::folder::{partial, remove, sync_folder, write_whole};

use crate::progress::Unfinished;

/// Lets `write` fill a folder beside `out`, whose files then take their places; what else lies there stays.
pub(super) fn whole(out: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let folder = partial(out);
    let at = |path: &Path| {
        format!("{}: cannot be written; is there room and permission?", path.display())
    };
    let unfinished = Unfinished::new(folder.clone());
    remove(&folder)?;
    fs::create_dir_all(&folder).with_context(|| at(&folder))?;
    let result = write(&folder)
        .and_then(|()| unfinished.settle(|| settle(&folder, out)).with_context(|| at(out)));
    if result.is_err() {
        let _ = remove(&folder);
    }
    result
}

/// Gives a folder its name, or its files theirs where there is one already.
fn settle(folder: &Path, out: &Path) -> std::io::Result<()> {
    if !out.exists() {
        fs::rename(folder, out)?;
        return sync_folder(out);
    }
    let mut names = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.file_name()))
        .collect::<std::io::Result<Vec<_>>>()?;
    names.sort();
    for name in names {
        File::open(folder.join(&name))?.sync_all()?;
        fs::rename(folder.join(&name), out.join(&name))?;
    }
    sync_folder(&out.join("report.html"))?;
    fs::remove_dir(folder)
}

/// Writes a file of the folder.
pub(super) fn put(folder: &Path, name: &str, contents: &[u8]) -> Result<()> {
    Ok(write_whole(&folder.join(name), contents)?)
}

/// JSON with a line for each value.
pub(super) fn pretty(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(value)?;
    text.push(b'\n');
    Ok(text)
}
