//! A trained model on the disk: weights, vocabulary, the baselines' counts, and what a session is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use events::{Baselines, SessionOptions, Sessions, Vocabulary};
use model::{Device, Features, Model, ModelFile, Tensor, Tensors, Values};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::evaluate::WINDOW;
use crate::tasks::TaskKnowledge;
use crate::treatment::Treatment;

/// The name of the one file that is a complete model.
pub const MODEL_FILE: &str = "model.safetensors";

const OFFSETS: &str = "markov.offsets";
const SUCCESSORS: &str = "markov.successors";
const COUNTS: &str = "markov.counts";
const SESSIONS: &str = "sessions.json";
const TASKS: &str = "tasks.json";

/// Everything about the items and sessions of a training log that answers need later.
#[derive(Debug, Clone)]
pub struct Knowledge {
    /// The items, by popularity.
    pub vocabulary: Vocabulary,
    /// What the baselines have counted.
    pub baselines: Baselines,
    /// What made events one session.
    pub sessions: SessionRules,
    /// What is done with events before the model sees them.
    pub treatment: Treatment,
    /// What is asked beside the next item; none where nothing is.
    pub tasks: Option<TaskKnowledge>,
}

/// What made events one session, as a model file spells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRules {
    /// `auto`, `key`, `gap` or `user`.
    pub rule: String,
    /// The longest pause inside a session, in milliseconds.
    pub gap: i64,
}

impl SessionRules {
    /// The same as options of the readers.
    ///
    /// # Errors
    ///
    /// Where the rule is unknown.
    pub fn options(&self) -> Result<SessionOptions, Error> {
        Ok(SessionOptions { rule: self.rule.parse()?, gap: self.gap })
    }
}

impl Knowledge {
    /// How many of a row's events the model reads at most, the latest: as many as in training where it has
    /// tasks.
    pub fn window(&self) -> usize {
        self.tasks.as_ref().map_or(WINDOW, |tasks| tasks.history)
    }

    /// Counts the sessions that a model is trained on; `names` are the items of their log.
    pub fn of(
        train: &Sessions,
        names: &events::Names,
        sessions: SessionRules,
        treatment: Treatment,
    ) -> Self {
        Self::of_vocabulary(
            Vocabulary::from_sessions(train, names),
            train,
            names,
            sessions,
            treatment,
        )
    }

    /// The same with a vocabulary that has been made of them before.
    pub fn of_vocabulary(
        vocabulary: Vocabulary,
        train: &Sessions,
        names: &events::Names,
        sessions: SessionRules,
        treatment: Treatment,
    ) -> Self {
        let sequences = vocabulary.encode(train, names);
        let baselines = Baselines::from_sequences(&sequences, vocabulary.len());
        Self { vocabulary, baselines, sessions, treatment, tasks: None }
    }

    /// What is known of items that come from elsewhere: their ids and, of each, how often it was met.
    /// Nothing has followed anything.
    ///
    /// # Errors
    ///
    /// Where an id comes twice, or the counts are not those of items by falling popularity.
    pub fn of_items(items: &model::Vocabulary) -> Result<Self, Error> {
        let names = items.names.iter().map(String::as_str);
        let counts = items.counts.iter().map(|&count| u32::try_from(count).unwrap_or(u32::MAX));
        let vocabulary = Vocabulary::from_parts(names, counts.collect())?;
        let offsets = vec![0; vocabulary.len() + 1];
        let baselines = Baselines::from_parts(vocabulary.len(), offsets, vec![], vec![])?;
        let options = SessionOptions::default();
        let sessions = SessionRules { rule: "auto".to_owned(), gap: options.gap };
        let treatment = Treatment::default();
        Ok(Self { vocabulary, baselines, sessions, treatment, tasks: None })
    }

    /// Writes the file of a complete model, whole or not at all.
    ///
    /// # Errors
    ///
    /// Where it cannot be written.
    pub fn save<D: Device>(&self, path: &Path, model: &Model<D>) -> Result<(), Error> {
        let vocabulary = model::Vocabulary {
            names: self.vocabulary.names().iter().map(str::to_owned).collect(),
            counts: self.vocabulary.counts().iter().map(|&count| u64::from(count)).collect(),
        };
        let numbers = |values: &[u32]| Tensor {
            shape: vec![values.len()],
            values: Values::U32(values.to_vec()),
        };
        let rules = serde_json::to_vec(&self.sessions).expect("two plain fields");
        let mut extra: Tensors = BTreeMap::from([
            (OFFSETS.to_owned(), numbers(self.baselines.offsets())),
            (SUCCESSORS.to_owned(), numbers(self.baselines.successors())),
            (COUNTS.to_owned(), numbers(self.baselines.counts())),
            (SESSIONS.to_owned(), Tensor { shape: vec![rules.len()], values: Values::U8(rules) }),
        ]);
        self.treatment.store(&mut extra);
        if let Some(tasks) = &self.tasks {
            let text = serde_json::to_vec(tasks).expect("numbers and text");
            let tensor = Tensor { shape: vec![text.len()], values: Values::U8(text) };
            extra.insert(TASKS.to_owned(), tensor);
        }
        Ok(ModelFile::save(path, model, &vocabulary, &extra)?)
    }
}

/// A trained model that has been read back.
#[derive(Clone)]
pub struct Trained<D: Device> {
    /// Configuration and weights.
    pub model: Model<D>,
    /// Items and sessions of its training log.
    pub knowledge: Knowledge,
}

impl<D: Device> Trained<D> {
    /// Reads the model of a folder that `train` has written, or a model file itself.
    ///
    /// # Errors
    ///
    /// Where there is no whole model, or the file contradicts itself.
    pub fn load(path: &Path, device: D) -> Result<Self, Error> {
        let path = &model_path(path)?;
        let file = ModelFile::load(path)?;
        let damaged = |reason: String| Error::NoData(format!("{}: {reason}", path.display()));
        let stored = file.vocabulary();
        let counts = stored.counts.iter().map(|&count| u32::try_from(count).unwrap_or(u32::MAX));
        let names = stored.names.iter().map(String::as_str);
        let vocabulary = Vocabulary::from_parts(names, counts.collect())?;
        let numbers = |name: &str| match file.extra().get(name).map(|tensor| &tensor.values) {
            Some(Values::U32(values)) => Ok(values.clone()),
            _ => Err(damaged(format!("it has no {name}; train the model again with this version"))),
        };
        let (offsets, successors, counts) =
            (numbers(OFFSETS)?, numbers(SUCCESSORS)?, numbers(COUNTS)?);
        let baselines = Baselines::from_parts(vocabulary.len(), offsets, successors, counts)?;
        let sessions: SessionRules = match file.extra().get(SESSIONS).map(|tensor| &tensor.values) {
            Some(Values::U8(text)) => serde_json::from_slice(text)
                .map_err(|error| damaged(format!("{SESSIONS}: {error}; train the model again")))?,
            _ => return Err(damaged(format!("it has no {SESSIONS}; train the model again"))),
        };
        if sessions.options().is_err() {
            let reason =
                format!("{SESSIONS}: no such rule: {:?}; train the model again", sessions.rule);
            return Err(damaged(reason));
        }
        let treatment = Treatment::load(file.extra())?;
        let tasks: Option<TaskKnowledge> = match file.extra().get(TASKS).map(|t| &t.values) {
            None => None,
            Some(Values::U8(text)) => Some(
                serde_json::from_slice(text)
                    .map_err(|error| damaged(format!("{TASKS}: {error}; train the model again")))?,
            ),
            Some(_) => return Err(damaged(format!("{TASKS} is no text; train the model again"))),
        };
        let model = file.model(device);
        check_tasks(&model, tasks.as_ref())
            .map_err(|what| damaged(format!("{TASKS}: {what}; train the model again")))?;
        let vectors = model.features().vectors;
        if model.features() != &(Features { vectors, ..treatment.inputs() }) {
            let reason = "its features are not those that it says how to make; train it again";
            return Err(damaged(reason.to_owned()));
        }
        let knowledge = Knowledge { vocabulary, baselines, sessions, treatment, tasks };
        Ok(Self { model, knowledge })
    }
}

/// Looks whether what is known of tasks is what the heads of a model answer.
fn check_tasks<D: Device>(
    model: &Model<D>,
    tasks: Option<&TaskKnowledge>,
) -> Result<(), &'static str> {
    let answers = &model.answers().answers;
    let Some(tasks) = tasks else {
        return if answers.is_empty() { Ok(()) } else { Err("it is missing") };
    };
    let answered = tasks.answered();
    let same = answered.len() == answers.len()
        && answered.iter().zip(answers).all(|(task, answer)| {
            let outputs = if task.is_of_classes() { tasks.kinds.len() } else { 1 };
            task.column() == answer.name && outputs == answer.outputs
        });
    let lengths = [tasks.scales.len(), tasks.rights.len(), tasks.baselines.at_moments.len()];
    match same && lengths.iter().all(|&length| length == answered.len()) && tasks.is_sound() {
        true => Ok(()),
        false => Err("it says other tasks than the model answers"),
    }
}

/// Reads the model file of a folder that `train` has written, or a model file itself, as it leaves for
/// another program: without a machine.
///
/// # Errors
///
/// Where there is no whole model.
pub fn model_file(path: &Path) -> Result<ModelFile, Error> {
    Ok(ModelFile::load(&model_path(path)?)?)
}

/// The model file that a path stands for.
fn model_path(path: &Path) -> Result<PathBuf, Error> {
    let missing = |reason: &str| Error::NoData(format!("{}: {reason}", path.display()));
    if path.is_file() {
        return Ok(path.to_owned());
    }
    if !path.exists() {
        return Err(missing("there is no such folder; `tidegate train LOG --out DIR` makes one"));
    }
    let file = path.join(MODEL_FILE);
    if file.is_file() {
        Ok(file)
    } else if path.join(crate::checkpoint::FOLDER).is_dir() {
        Err(missing("its training is not finished; go on with `tidegate train ... --resume`"))
    } else {
        Err(missing("there is no model.safetensors in it; give the folder that `train` wrote"))
    }
}
