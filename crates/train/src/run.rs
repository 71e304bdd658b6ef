//! The training loop.
//!
//! One step: take a batch, or the next window of it, make a step of the optimiser, count. Everything around it (validation,
//! best epoch, early stopping, averaging, checkpoints) happens between steps and depends on nothing
//! but the state that a checkpoint holds. So a run that is killed and resumed makes the same steps
//! with the same numbers, and ends with the same file. All windows of a batch are learned before anything
//! else happens, so no checkpoint need hold the states that pass between them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::time::Instant;

use events::{Cases, ItemVectors, Sequences};
use model::{
    Answers, Batch, Device, Features, Inputs, Model, ModelConfig, NotFinite, OptimizerConfig,
    Sequence, Trainer, TrainingError,
};
use serde::Serialize;
use serde_json::Value;

use crate::Error;
use crate::batches::{Piece, Pieces, places, recency_weights};
use crate::checkpoint::{Best, Checkpoint, RESULT_FILE, State, Texts};
use crate::doubts::{self, Doubt, Evidence};
use crate::evaluate::{Baselines, evaluate, score_baselines};
use crate::folder::{Existing, admit};
use crate::identity::{check_same, identity};
use crate::metrics::Metrics;
use crate::observer::{EpochReport, Observer, Plan, StepProgress};
use crate::record::{Batches, Point, Trace, now};
use crate::schedule::{Decay, progress};
use crate::settings::Training;
use crate::tasks::{
    Filling, HeadStart, Lessons, TaskKnowledge, TaskPiece, TaskSettings, answer_tasks, compare,
    figures, lines,
};
use crate::trained::{Knowledge, MODEL_FILE};
use crate::treatment::sequence;

/// What a model is trained and validated on.
#[derive(Debug, Clone)]
pub struct Data {
    /// Items and counts of the training part.
    pub knowledge: Knowledge,
    /// The training sessions in the numbers of that vocabulary.
    pub train: Sequences,
    /// What decides between epochs; may be empty.
    pub validation: Cases,
    /// The vectors that are given for the items of the vocabulary, of width 0 where none are. They go
    /// into the model, are not learned, and are written and read with it.
    pub vectors: ItemVectors,
    /// What is asked beside the next item; then `train` holds whole users with all their events, and
    /// these say which of them may be learned from.
    pub tasks: Option<TaskData>,
}

/// What a model is asked beside the next item.
#[derive(Debug, Clone)]
pub struct TaskData {
    /// How.
    pub settings: TaskSettings,
    /// What it answers.
    pub answers: Answers,
    /// What it learns from.
    pub train: Lessons,
    /// What decides between epochs, and what probabilities are set right by; may be empty.
    pub validation: Lessons,
}

impl Data {
    /// The sizes of a model of these data.
    pub fn inputs(&self) -> Inputs {
        let Knowledge { vocabulary, treatment, .. } = &self.knowledge;
        let features = Features { vectors: self.vectors.width, ..treatment.inputs() };
        let answers = self.tasks.as_ref().map(|tasks| tasks.answers.clone());
        Inputs { items: vocabulary.len(), features, answers: answers.unwrap_or_default() }
    }
}

/// Everything that a run is told.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// The output folder.
    pub out: &'a Path,
    /// What to do where it is not empty.
    pub existing: Existing,
    /// Seed of weights, batches, dropout and samples.
    pub seed: u64,
    /// What the model is made of.
    pub model: &'a ModelConfig,
    /// How gradients become steps.
    pub optimizer: &'a OptimizerConfig,
    /// How it is trained.
    pub training: &'a Training,
    /// The settings as text, saved beside the model.
    pub run_file: &'a str,
    /// The arithmetic that the device uses: results are the same on one path only.
    pub kernel: &'a str,
}

/// What has come of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// Epochs trained.
    pub epochs: usize,
    /// The epoch whose weights were kept, counted from 1.
    pub best_epoch: usize,
    /// Predicted positions per second of training time.
    pub events_per_s: f64,
    /// Seconds of training time.
    pub training_s: f64,
    /// Learned numbers of the model.
    pub parameters: usize,
    /// Whether training ended before its last epoch.
    pub stopped_early: bool,
    /// The kept epoch on the validation part, and the baselines on the same cases.
    pub validation: Option<Validation>,
    /// The same of the other tasks, by name; their probabilities were set right by these very questions.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub tasks: Value,
    /// Where it is not to be trusted.
    pub warnings: Vec<Doubt>,
    /// Its epochs.
    #[serde(skip)]
    pub history: Vec<EpochReport>,
    /// The run between them.
    #[serde(skip)]
    pub points: Vec<Point>,
}

/// The figures of a model beside those of the baselines.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Validation {
    /// Those of the model.
    #[serde(flatten)]
    pub model: Metrics,
    /// Those of the baselines.
    pub baselines: Baselines,
}

/// Whether `out` holds a finished model and no run that is under way: then a resumed run has nothing
/// to do. What its training has reported comes with it. A run that was killed in its last moves is
/// brought to its end first.
///
/// # Errors
///
/// Where those moves fail.
pub fn finished(out: &Path) -> Result<Option<Value>, Error> {
    let checkpoint = Checkpoint::of(out);
    checkpoint.settle()?;
    let model = out.join(MODEL_FILE);
    if checkpoint.is_open() || !model.is_file() {
        return Ok(None);
    }
    model::ModelFile::load(&model).map_err(|error| Error::Folder {
        path: error.path,
        reason: format!("{}: train again with --force", error.problem),
    })?;
    let text = std::fs::read(out.join(RESULT_FILE)).unwrap_or_default();
    Ok(Some(serde_json::from_slice(&text).unwrap_or(Value::Null)))
}

/// Trains a model and leaves it in the output folder. `report` turns the outcome into the texts that
/// are kept beside the model.
///
/// # Errors
///
/// See [`Error`]; after [`Error::Interrupted`] there is a checkpoint, after [`Error::NotFinite`] and
/// [`Error::ScoresNotFinite`] there is none, since resuming would end in the same way.
pub fn train<D: Device>(
    device: D,
    data: &Data,
    run: &Run<'_>,
    observer: &mut dyn Observer,
    report: impl FnOnce(&Outcome) -> Texts,
) -> Result<Outcome, Error> {
    run.training.validate()?;
    run.model.validate()?;
    run.optimizer.validate()?;
    run.training.validate_for(run.model)?;
    admit(run.out, run.existing, "use --force to replace the model in it, or --resume")?;
    let checkpoint = Checkpoint::of(run.out);
    let mut looper = Loop::new(device.clone(), data, run, &checkpoint, observer)?;
    // On the machine's own threads all the time: they need not be called for each step.
    match device.run(|| looper.run()) {
        Ok(()) => {
            let outcome = looper.outcome();
            checkpoint.finish(&looper.state, &report(&outcome), &run.training.files)?;
            Ok(outcome)
        }
        Err(error @ (Error::NotFinite { .. } | Error::ScoresNotFinite)) => {
            // Resuming would end in the same way.
            checkpoint.abandon();
            Err(error)
        }
        Err(error) => Err(error),
    }
}

/// What a model's answers to the tasks are worth.
struct Judged {
    /// What is known of the tasks, with probabilities set right by the validation part.
    knowledge: TaskKnowledge,
    /// The loss of each, and the sum of what they count.
    losses: BTreeMap<String, f64>,
    loss: f64,
    /// With those probabilities, beside the baselines.
    figures: Value,
}

/// A run under way.
struct Loop<'a, D: Device> {
    data: &'a Data,
    run: &'a Run<'a>,
    checkpoint: &'a Checkpoint,
    observer: &'a mut dyn Observer,
    trainer: Trainer<D>,
    state: State,
    pieces: Pieces,
    weights: Vec<f32>,
    batch: Batch,
    saved: Instant,
}

impl<'a, D: Device> Loop<'a, D> {
    fn new(
        device: D,
        data: &'a Data,
        run: &'a Run<'a>,
        checkpoint: &'a Checkpoint,
        observer: &'a mut dyn Observer,
    ) -> Result<Self, Error> {
        let train = &data.train;
        let lengths = (0..train.len()).map(|session| train.get(session).len());
        let pieces = match &data.tasks {
            None => Pieces::cut(lengths, run.training.targets_of_piece()),
            Some(tasks) => Pieces::of_lessons(&tasks.train),
        };
        if pieces.targets() == 0 {
            let reason = "no session of at least two events is left for training; give a longer \
                          log, or lower --min-support, --min-length or the part kept by --split";
            return Err(Error::NoData(reason.to_owned()));
        }
        let starts = (0..train.len()).map(|session| train.starts.get(session).copied());
        let places = places(&starts.collect::<Vec<_>>());
        let weights = recency_weights(&places, run.training.recency);

        let identity = identity(data, run);
        let found = match run.existing {
            Existing::Resume => checkpoint.load(device.clone())?,
            _ => None,
        };
        let (mut trainer, state) = match found {
            Some((trainer, state)) => {
                check_same(&state, &identity, run, checkpoint, observer)?;
                (trainer, state)
            }
            None => {
                if run.existing == Existing::Resume
                    && !checkpoint.is_open()
                    && !checkpoint.is_alone()
                {
                    admit(run.out, Existing::Refuse, "and holds no run of Tidegate to resume")?;
                }
                let mut model = Model::new(device, run.model, data.inputs(), run.seed)?;
                if data.vectors.width > 0 {
                    model = model.with_vectors(&data.vectors.values)?;
                }
                if let (Some(tasks), Some(known)) = (&data.tasks, &data.knowledge.tasks)
                    && tasks.settings.start == HeadStart::Regression
                {
                    for (k, line) in lines(known).iter().enumerate() {
                        if let Some(line) = line {
                            model = model.with_line(k, line);
                        }
                    }
                }
                let trainer = Trainer::new(model, *run.optimizer, run.seed)?;
                checkpoint.begin(run.run_file)?;
                let kernel = run.kernel.to_owned();
                let trace = Trace::begin();
                (trainer, State { identity, kernel, trace, ..State::default() })
            }
        };
        if run.training.recompute {
            trainer.keep(layout::Keep::States);
        }
        let batch = Batch::with_features(run.model, trainer.model().features());
        observer.begin(&Plan {
            epochs: run.training.epochs,
            targets: pieces.targets(),
            parameters: trainer.model().numbers(),
            done: state.done,
            validation_cases: data.validation.len()
                + data.tasks.as_ref().map_or(0, |tasks| tasks.validation.asked.len()),
        });
        let saved = Instant::now();
        Ok(Self { data, run, checkpoint, observer, trainer, state, pieces, weights, batch, saved })
    }

    fn run(&mut self) -> Result<(), Error> {
        while self.state.epoch < self.run.training.epochs && !self.state.stopped {
            let learning_rate = self.steps_of_epoch()?;
            self.end_epoch(learning_rate)?;
        }
        Ok(())
    }

    /// Makes the steps that are left of the epoch at hand and returns the last learning rate.
    fn steps_of_epoch(&mut self) -> Result<f64, Error> {
        let Self { run: Run { seed, training, .. }, .. } = *self;
        let epoch = self.state.epoch;
        let window = training.targets_at_once();
        let batches = self.pieces.epoch(*seed, epoch, training.batch_targets, window);
        let schedule = training.schedule();
        let rate = |batch, cuts| {
            let share = progress(epoch, training.epochs, batch, batches.len());
            (share, training.learning_rate * schedule.share(share, cuts))
        };
        while self.state.batch < batches.len() {
            let (share, learning_rate) = rate(self.state.batch, self.state.cuts);
            let averages = share >= 1.0 - training.average;
            self.learn(&batches[self.state.batch], learning_rate, averages)?;
            self.state.batch += 1;
            let (done, of) = (self.state.batch, batches.len());
            let batch = Batches { epoch, epochs: training.epochs, done, of };
            self.state.trace.mark(batch, self.trainer.steps(), learning_rate);
            if self.observer.interrupted() {
                self.save()?;
                return Err(Error::Interrupted { checkpoint: self.checkpoint.folder() });
            }
            if self.saved.elapsed().as_secs_f64() >= training.checkpoint_seconds {
                self.save()?;
            }
        }
        Ok(rate(batches.len() - 1, self.state.cuts).1)
    }

    /// Learns a batch: in one step, or in one a window, each of them from the states in which the one
    /// before has ended. The weights change between two windows, so those states are of weights a few
    /// steps old; gradients end where a window begins.
    ///
    /// R. J. Williams, J. Peng, "An efficient gradient-based algorithm for on-line training of recurrent
    /// network trajectories", Neural Computation 2(4), 1990: BPTT(h; h′) with h = h′ = the window.
    fn learn(&mut self, pieces: &[Piece], learning_rate: f64, averages: bool) -> Result<(), Error> {
        if let Some(tasks) = &self.data.tasks {
            return self.learn_lessons(tasks, pieces, learning_rate, averages);
        }
        let train = &self.data.train;
        let sessions: Vec<Sequence<'_>> = pieces
            .iter()
            .map(|piece| {
                let start = piece.start as usize;
                sequence(train, piece.session as usize, start..start + piece.targets as usize + 1)
            })
            .collect();
        let weights: Vec<f32> =
            pieces.iter().map(|piece| self.weights[piece.session as usize]).collect();
        let window = self.run.training.targets_at_once();
        let longest = pieces.iter().map(|piece| piece.targets as usize).max().unwrap_or(0);
        for first in (0..longest).step_by(window) {
            self.step(&sessions, &weights, first..first.saturating_add(window), learning_rate)?;
            if averages {
                self.trainer.average();
            }
        }
        Ok(())
    }

    /// Learns a batch of users: what is asked after their events.
    fn learn_lessons(
        &mut self,
        tasks: &TaskData,
        pieces: &[Piece],
        learning_rate: f64,
        averages: bool,
    ) -> Result<(), Error> {
        let begin = Instant::now();
        let known = self.data.knowledge.tasks.as_ref().expect("known where they are asked");
        let filling = Filling {
            sequences: &self.data.train,
            lessons: &tasks.train,
            tasks: &known.answered(),
            scales: &known.scales,
        };
        let lessons: Vec<&TaskPiece> =
            pieces.iter().map(|piece| &tasks.train.pieces[piece.number as usize]).collect();
        let draw = (self.run.seed, self.state.epoch as u32);
        filling.train(&lessons, tasks.settings.negatives, draw, &mut self.batch);
        if !self.batch.has_lesson() {
            // Nothing of it counts: all its questions were left out by the draw, say.
            return Ok(());
        }
        let positions = pieces.iter().map(|piece| piece.targets as usize).sum();
        self.step_filled(begin, positions, positions as f64, learning_rate)?;
        if averages {
            self.trainer.average();
        }
        Ok(())
    }

    /// One step: a window of some sessions.
    fn step(
        &mut self,
        sessions: &[Sequence<'_>],
        weights: &[f32],
        window: Range<usize>,
        learning_rate: f64,
    ) -> Result<(), Error> {
        let begin = Instant::now();
        self.batch.fill_window(sessions, weights, window.clone());
        let learned = |session: &Sequence<'_>| {
            (session.len() - 1).min(window.end).saturating_sub(window.start)
        };
        let targets: usize = sessions.iter().map(learned).sum();
        let counted = sessions.iter().zip(weights);
        let weight: f64 =
            counted.map(|(session, &weight)| learned(session) as f64 * f64::from(weight)).sum();
        self.step_filled(begin, targets, weight, learning_rate)
    }

    /// One step on the batch as it is filled, of so many targets that count so much.
    fn step_filled(
        &mut self,
        begin: Instant,
        targets: usize,
        weight: f64,
        learning_rate: f64,
    ) -> Result<(), Error> {
        let report = self.trainer.step(&self.batch, learning_rate as f32);
        let report = report.map_err(|error| match error {
            TrainingError::NotFinite(NotFinite { tensor, step }) => {
                Error::NotFinite { tensor, step: step + 1, epoch: self.state.epoch + 1 }
            }
            TrainingError::Batch(error) => error.into(),
        })?;

        let seconds = begin.elapsed().as_secs_f64();
        let state = &mut self.state;
        state.done += targets as u64;
        state.loss += report.loss * weight;
        state.weight += weight;
        state.trace.add(report.loss, weight);
        state.seconds += seconds;
        state.epoch_seconds += seconds;
        self.observer.step(&StepProgress {
            epoch: state.epoch + 1,
            done: state.done,
            loss: state.loss / state.weight,
            events_per_s: state.done as f64 / state.seconds,
        });
        Ok(())
    }

    /// Validates, keeps the model where it is the best so far, and saves.
    fn end_epoch(&mut self, learning_rate: f64) -> Result<(), Error> {
        let training = self.run.training;
        let epoch = self.state.epoch + 1;
        let averaged = self.trainer.averaged();
        let model = averaged.as_ref().unwrap_or(self.trainer.model());
        let validation = match self.data.validation.is_empty() {
            true => None,
            false => Some(evaluate(model, &self.data.validation, self.data.knowledge.window())?),
        };
        let judged = self.judge(model)?;
        // Without a validation part the last epoch is the one to keep. Where other tasks than the next item
        // are learned, they decide.
        let value = match &judged {
            None => validation.map(|metrics| training.choose_by.of(&metrics)),
            Some(judged) => Some(-judged.loss),
        };
        let best = match (self.state.best, value) {
            (Some(best), Some(value)) => value > best.value,
            _ => true,
        };
        if best {
            let tasks = judged.as_ref().map(|judged| judged.knowledge.clone());
            let tasks = tasks.or_else(|| self.data.knowledge.tasks.clone());
            let knowledge = Knowledge { tasks, ..self.data.knowledge.clone() };
            knowledge.save(&self.checkpoint.best(epoch), model)?;
            if let Some(judged) = &judged {
                self.state.figures = judged.figures.clone();
            }
        }

        let state = &mut self.state;
        if best {
            state.best = Some(Best { epoch, value: value.unwrap_or(0.0) });
            (state.waited, state.plateau_waited) = (0, 0);
        } else {
            state.waited += 1;
            state.plateau_waited += 1;
        }
        if training.decay == Decay::Plateau && state.plateau_waited > training.plateau_patience {
            state.cuts += 1;
            state.plateau_waited = 0;
        }
        state.stopped = training.patience > 0 && state.waited >= training.patience;
        let report = EpochReport {
            epoch,
            steps: self.trainer.steps(),
            loss: Some(state.loss / state.weight),
            learning_rate,
            seconds: state.epoch_seconds,
            // None where no batch had anything that counts.
            events_per_s: match state.epoch_seconds > 0.0 {
                true => self.pieces.targets() as f64 / state.epoch_seconds,
                false => 0.0,
            },
            best,
            value,
            ended: now(),
            validation,
            losses: judged.map_or_else(BTreeMap::new, |judged| judged.losses),
        };
        self.observer.epoch(&report);
        state.history.push(report);
        (state.epoch, state.batch) = (epoch, 0);
        (state.loss, state.weight, state.epoch_seconds) = (0.0, 0.0, 0.0);
        self.save()?;
        self.checkpoint.tidy(&self.state, &training.files)?;
        let more = self.state.epoch < training.epochs && !self.state.stopped;
        if more && self.observer.interrupted() {
            return Err(Error::Interrupted { checkpoint: self.checkpoint.folder() });
        }
        Ok(())
    }

    /// What a model's answers are worth on the validation part; none where nothing is asked there.
    fn judge(&self, model: &Model<D>) -> Result<Option<Judged>, Error> {
        let (Some(tasks), Some(known)) = (&self.data.tasks, &self.data.knowledge.tasks) else {
            return Ok(None);
        };
        let (lessons, offsets) = (&tasks.validation, &self.data.train.offsets);
        if lessons.is_empty() {
            return Ok(None);
        }
        let told = answer_tasks(model, known, &self.data.train, lessons)?;
        let mut knowledge = known.clone();
        let mut right = compare(known, lessons, offsets, &told)?;
        knowledge.set_right(tasks.settings.calibration, &right);
        // Losses are those of answers set right: the level of a season is nothing that an epoch is to be
        // chosen by.
        for (k, compared) in right.iter_mut().enumerate() {
            compared.set_right(&knowledge, k);
        }
        let (mut losses, mut sum) = (BTreeMap::new(), 0.0);
        let answers = tasks.answers.answers.iter().zip(&known.scales);
        for (compared, (answer, &scale)) in right.iter().zip(answers) {
            let loss = compared.loss(scale);
            sum += f64::from(answer.weight) * loss;
            losses.insert(compared.task.name().to_owned(), loss);
        }
        let figures = figures(&right)?;
        Ok(Some(Judged { knowledge, losses, loss: sum, figures }))
    }

    fn save(&mut self) -> Result<(), Error> {
        self.checkpoint.save(&self.trainer, &self.state)?;
        self.checkpoint.watch(&self.state, &self.run.training.files)?;
        self.saved = Instant::now();
        Ok(())
    }

    fn outcome(&self) -> Outcome {
        let state = &self.state;
        let best_epoch = state.best.map_or(state.epoch, |best| best.epoch);
        let kept = state.history.iter().find(|report| report.epoch == best_epoch);
        let device = self.trainer.model().device();
        let counts = &self.data.knowledge.baselines;
        let validation = kept.and_then(|report| report.validation).map(|model| Validation {
            model,
            baselines: device.run(|| score_baselines(counts, &self.data.validation)),
        });
        let stopped_early = state.stopped && state.epoch < self.run.training.epochs;
        let warnings = doubts::of(&Evidence {
            history: &state.history,
            points: &state.trace.points,
            best_epoch,
            stopped_early,
            learning_rate: self.run.training.learning_rate,
            validation: validation.as_ref(),
            tasks: &state.figures,
        });
        Outcome {
            epochs: state.epoch,
            best_epoch,
            events_per_s: state.done as f64 / state.seconds,
            training_s: state.seconds,
            parameters: self.trainer.model().numbers(),
            stopped_early,
            validation,
            tasks: state.figures.clone(),
            warnings,
            history: state.history.clone(),
            points: state.trace.points.clone(),
        }
    }
}
