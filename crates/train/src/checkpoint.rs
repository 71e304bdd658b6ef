//! What a run leaves on the disk while it goes on, so that a kill loses little.
//!
//! ```text
//!     OUT/checkpoint/state.safetensors    weights, moments, average and the loop's own state
//!     OUT/checkpoint/best-E.safetensors   the complete model of epoch E, the best so far
//!     OUT/checkpoint/run.toml             the settings, so that --resume needs none
//!     OUT/checkpoint/finished             the name of the best model, once it is to be OUT's model
//!     OUT/log.jsonl, log.csv              a line an epoch
//!     OUT/tensorboard/                    numbers over steps, for TensorBoard
//! ```
//!
//! A finished model that lies in OUT stays there until the new one takes its place.
//!
//! Each file is replaced whole, but for TensorBoard's: that program keeps it open and reads what is added,
//! so it only grows, and a kill leaves a part of what the state says. The state names the best model it belongs to, and that file is
//! written first: whenever the run dies, what lies there fits together.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use model::{Device, Trainer};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Error;
use crate::folder::{create, remove, write_whole};
use crate::observer::EpochReport;
use crate::record::{RunFile, Trace, csv, events};
use crate::trained::MODEL_FILE;

/// The folder of the checkpoint inside the output folder.
pub const FOLDER: &str = "checkpoint";
/// The resolved settings, in the checkpoint and at last in the output folder.
pub const RUN_FILE: &str = "run.toml";
/// A line an epoch.
pub const LOG_FILE: &str = "log.jsonl";
/// What `train` has reported, so that a finished run can report it again.
pub const RESULT_FILE: &str = "result.json";

/// The same as a table.
pub const TABLE_FILE: &str = "log.csv";
/// Numbers over the steps of the run, as TensorBoard reads them. Its name tells of no machine and no moment:
/// the same run leaves the same file.
pub const EVENTS_FILE: &str = "tensorboard/events.out.tfevents.0.tidegate";
/// The page of the run.
pub const REPORT_FILE: &str = "report.html";

/// What is written about a run once it has ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Texts {
    /// What `train` reports, as JSON.
    pub result: String,
    /// The page of the run; none where nobody wants it.
    pub report: Option<String>,
}

const STATE: &str = "state.safetensors";
/// Says that only the last moves of a run are left.
const FINISHED: &str = "finished";

/// Where the loop stands; everything but weights and moments.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct State {
    /// Seed, settings and data of the run; a resumed run must have the same.
    pub(crate) identity: Value,
    /// The arithmetic that has been used so far.
    pub(crate) kernel: String,
    /// The epoch at hand, counted from 0.
    pub(crate) epoch: usize,
    /// The next batch of that epoch.
    pub(crate) batch: usize,
    /// Targets done in the whole run.
    pub(crate) done: u64,
    /// Seconds of training in the whole run, and in the epoch at hand.
    pub(crate) seconds: f64,
    pub(crate) epoch_seconds: f64,
    /// Sum of loss · weight, and of the weights, over the epoch at hand.
    pub(crate) loss: f64,
    pub(crate) weight: f64,
    /// The best epoch so far, counted from 1, and its value.
    pub(crate) best: Option<Best>,
    /// Epochs since the best one.
    pub(crate) waited: usize,
    /// Plateau: epochs since the best one or the last cut, and cuts.
    pub(crate) plateau_waited: usize,
    pub(crate) cuts: u32,
    /// Whether early stopping has ended the run.
    pub(crate) stopped: bool,
    /// The figures of the best epoch at the tasks beside the next item; null where there are none.
    #[serde(default)]
    pub(crate) figures: Value,
    /// The lines of the log.
    pub(crate) history: Vec<EpochReport>,
    /// The run between them.
    #[serde(default)]
    pub(crate) trace: Trace,
}

/// The best epoch so far.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Best {
    pub(crate) epoch: usize,
    pub(crate) value: f64,
}

/// The checkpoint of an output folder.
#[derive(Debug, Clone)]
pub(crate) struct Checkpoint {
    out: PathBuf,
}

impl Checkpoint {
    pub(crate) fn of(out: &Path) -> Self {
        Self { out: out.to_owned() }
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.out.join(FOLDER)
    }

    pub(crate) fn best(&self, epoch: usize) -> PathBuf {
        self.folder().join(format!("best-{epoch}.safetensors"))
    }

    fn state(&self) -> PathBuf {
        self.folder().join(STATE)
    }

    /// Makes room for a new run. A finished model and what belongs to it stay until [`Self::finish`].
    pub(crate) fn begin(&self, run_file: &str) -> Result<(), Error> {
        self.discard()?;
        self.forget()?;
        create(&self.folder())?;
        write_whole(&self.folder().join(RUN_FILE), run_file.as_bytes())
    }

    /// Saves where the run stands.
    pub(crate) fn save<D: Device>(&self, trainer: &Trainer<D>, state: &State) -> Result<(), Error> {
        let text = serde_json::to_string(state).expect("numbers and text");
        Ok(trainer.save(&self.state(), &text)?)
    }

    /// Reads where a run stood; none where there is no checkpoint.
    pub(crate) fn load<D: Device>(&self, device: D) -> Result<Option<(Trainer<D>, State)>, Error> {
        let path = self.state();
        if !path.is_file() {
            return Ok(None);
        }
        // A file that may not be read is a matter of permissions, not of starting over.
        std::fs::File::open(&path).map_err(|error| Error::Checkpoint {
            path: path.clone(),
            reason: format!("cannot be read: {error}; check its permissions"),
        })?;
        let damaged = |problem: &str| Error::Checkpoint {
            path: path.clone(),
            reason: format!("{problem}: start over with --force"),
        };
        let (trainer, text) =
            Trainer::load(&path, device).map_err(|error| damaged(&error.problem))?;
        let state: State = serde_json::from_str(&text)
            .map_err(|error| damaged(&format!("its state cannot be read ({error})")))?;
        if let Some(best) = state.best {
            let path = self.best(best.epoch);
            model::ModelFile::load(&path).map_err(|error| {
                let problem = error.problem;
                Error::Checkpoint { path, reason: format!("{problem}: start over with --force") }
            })?;
        }
        Ok(Some((trainer, state)))
    }

    /// Removes what a run tells of itself on its way.
    fn forget(&self) -> Result<(), Error> {
        for file in [LOG_FILE, TABLE_FILE, EVENTS_FILE] {
            remove(&self.out.join(file))?;
        }
        // Not where somebody else's files are in it.
        let _ = fs::remove_dir(self.events().parent().unwrap_or(&self.out));
        Ok(())
    }

    fn events(&self) -> PathBuf {
        self.out.join(EVENTS_FILE)
    }

    /// Writes the log anew, as lines and as a table.
    fn log(&self, state: &State, files: &[RunFile]) -> Result<(), Error> {
        write_whole(&self.out.join(LOG_FILE), lines(&state.history).as_bytes())?;
        if files.contains(&RunFile::Csv) {
            write_whole(&self.out.join(TABLE_FILE), csv(&state.history).as_bytes())?;
        }
        Ok(())
    }

    /// Adds to the event file what has come since. To be called once the state is saved: then what lies
    /// there is the beginning of what the state says, and stays so whenever the run dies.
    pub(crate) fn watch(&self, state: &State, files: &[RunFile]) -> Result<(), Error> {
        if !files.contains(&RunFile::Tensorboard) {
            return Ok(());
        }
        let (path, bytes) = (self.events(), events(&state.trace, &state.history));
        let there = fs::read(&path).unwrap_or_default();
        create(path.parent().unwrap_or(&self.out))?;
        if !bytes.starts_with(&there) {
            return write_whole(&path, &bytes);
        }
        let file = fs::OpenOptions::new().create(true).append(true).open(&path);
        file.and_then(|mut file| file.write_all(&bytes[there.len()..]))
            .map_err(|source| Error::Write { path, source })
    }

    /// Writes the log anew and removes the models of epochs that are best no more.
    pub(crate) fn tidy(&self, state: &State, files: &[RunFile]) -> Result<(), Error> {
        self.log(state, files)?;
        let keep = state.best.map(|best| self.best(best.epoch));
        let entries = fs::read_dir(self.folder()).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with("best-") && Some(&path) != keep.as_ref() {
                remove(&path)?;
            }
        }
        Ok(())
    }

    /// Ends the run: the folder gets everything else first, then the model, by a rename.
    pub(crate) fn finish(
        &self,
        state: &State,
        texts: &Texts,
        files: &[RunFile],
    ) -> Result<(), Error> {
        let best = state.best.map_or(0, |best| best.epoch);
        let run_file = fs::read(self.folder().join(RUN_FILE)).unwrap_or_default();
        self.log(state, files)?;
        self.watch(state, files)?;
        let report = self.out.join(REPORT_FILE);
        match &texts.report {
            Some(page) => write_whole(&report, page.as_bytes())?,
            // That of an earlier run would speak of another model.
            None => remove(&report)?,
        }
        write_whole(&self.out.join(RUN_FILE), &run_file)?;
        write_whole(&self.out.join(RESULT_FILE), texts.result.as_bytes())?;
        let name = self.best(best).file_name().unwrap_or_default().to_owned();
        write_whole(&self.folder().join(FINISHED), name.as_encoded_bytes())?;
        self.settle()
    }

    /// The last moves of a run that has finished: its best model becomes the folder's model, and the
    /// checkpoint goes away. Does nothing for a run that has not.
    pub(crate) fn settle(&self) -> Result<(), Error> {
        let Ok(name) = fs::read_to_string(self.folder().join(FINISHED)) else { return Ok(()) };
        let (best, model) = (self.folder().join(name), self.out.join(MODEL_FILE));
        if best.is_file() {
            fs::rename(&best, &model).map_err(|source| Error::Write { path: model, source })?;
        }
        self.discard()
    }

    /// Whether a run has begun here that has not ended.
    pub(crate) fn is_open(&self) -> bool {
        self.folder().join(RUN_FILE).is_file()
    }

    /// Whether nothing is in the output folder but what a run leaves that was killed as it began.
    pub(crate) fn is_alone(&self) -> bool {
        let mut entries = fs::read_dir(&self.out).into_iter().flatten().flatten();
        let ours = [FOLDER, LOG_FILE, TABLE_FILE, "tensorboard"];
        entries.all(|entry| ours.iter().any(|name| entry.file_name() == *name))
    }

    /// Removes our files from the checkpoint's folder, and the folder where nothing else is in it.
    pub(crate) fn discard(&self) -> Result<(), Error> {
        // The mark goes last: until then a kill leaves a run that knows that it has finished.
        let entries = fs::read_dir(self.folder()).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let is_ours = [STATE, RUN_FILE].contains(&&*name)
                || (name.starts_with("best-") && name.ends_with(".safetensors"))
                || name.starts_with(".tmp")
                || name.ends_with(".partial");
            if is_ours && path.is_file() {
                remove(&path)?;
            }
        }
        remove(&self.folder().join(FINISHED))?;
        let _ = fs::remove_dir(self.folder());
        Ok(())
    }

    /// Takes back what a run that failed has begun, and the folder itself where nothing else is in
    /// it.
    pub(crate) fn abandon(&self) {
        let _ = self.discard();
        let _ = self.forget();
        let _ = fs::remove_dir(&self.out);
    }
}

/// Removes what tells of the training of a model from its folder, where another takes its place.
///
/// # Errors
///
/// Where a file cannot be removed.
pub fn forget_run(out: &Path) -> Result<(), Error> {
    let checkpoint = Checkpoint::of(out);
    checkpoint.forget()?;
    checkpoint.discard()?;
    for name in [RUN_FILE, RESULT_FILE, REPORT_FILE] {
        remove(&out.join(name))?;
    }
    Ok(())
}

fn lines(history: &[EpochReport]) -> String {
    let line = |report| serde_json::to_string(report).expect("numbers and text") + "\n";
    history.iter().map(line).collect()
}

/// The first key in which two runs differ, with both values.
pub(crate) fn difference(old: &Value, new: &Value) -> Option<(String, String, String)> {
    match (old, new) {
        (Value::Object(a), Value::Object(b)) => {
            let keys = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key)));
            keys.into_iter().find_map(|key| {
                let null = Value::Null;
                let (a, b) = (a.get(key).unwrap_or(&null), b.get(key).unwrap_or(&null));
                difference(a, b).map(|(inner, a, b)| match inner.as_str() {
                    "" => (key.clone(), a, b),
                    _ => (format!("{key}.{inner}"), a, b),
                })
            })
        }
        _ if old == new => None,
        _ => Some((String::new(), old.to_string(), new.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_first_difference_is_named() {
        let old = json!({"seed": 1, "model": {"hidden": 100, "layers": 1}});
        let mut new = old.clone();
        assert_eq!(difference(&old, &new), None);
        new["model"]["hidden"] = json!(192);
        let expected = ("model.hidden".to_owned(), "100".to_owned(), "192".to_owned());
        assert_eq!(difference(&old, &new), Some(expected));
        let fewer = json!({"seed": 1});
        assert_eq!(difference(&fewer, &old).unwrap().0, "model");
    }

    #[test]
    fn a_state_survives_text_to_the_last_bit() {
        let state = State {
            loss: 0.1 + 0.2,
            seconds: 1.0 / 3.0,
            best: Some(Best { epoch: 3, value: 0.723_454_321_234_567_8 }),
            ..State::default()
        };
        let text = serde_json::to_string(&state).unwrap();
        let back: State = serde_json::from_str(&text).unwrap();
        assert_eq!(back, state);
        assert_eq!(back.loss.to_bits(), state.loss.to_bits());
    }
}
