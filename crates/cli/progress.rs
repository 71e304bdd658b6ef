//! How work looks to the one who waits: a bar on a terminal, a line an epoch or a result elsewhere.

use std::io::IsTerminal;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use events::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use train::folder::remove;
use train::{EpochReport, Observer, Plan, StepProgress};

use crate::output::{bytes, count, per_cent, seconds};

/// Whether Ctrl-C was pressed.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C asks the run to end after the step at hand. A second one ends it at once.
pub(crate) fn catch_interrupts() -> anyhow::Result<()> {
    ctrlc::set_handler(|| {
        if INTERRUPTED.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
    })?;
    Ok(())
}

/// What lies on the disk half written.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn unfinished() -> MutexGuard<'static, Vec<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file or folder that is being written. While this lives, [`end_at_interrupts`] removes it.
pub(crate) struct Unfinished(PathBuf);

impl Unfinished {
    pub(crate) fn new(path: PathBuf) -> Self {
        unfinished().push(path.clone());
        Self(path)
    }

    /// Does the last work, which nothing may interrupt.
    pub(crate) fn settle<T>(&self, work: impl FnOnce() -> T) -> T {
        let mut all = unfinished();
        let result = work();
        all.retain(|path| *path != self.0);
        result
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        unfinished().retain(|path| *path != self.0);
    }
}

/// From now on Ctrl-C ends the program at once, and what is unfinished goes.
pub(crate) fn end_at_interrupts() -> anyhow::Result<()> {
    ctrlc::set_handler(|| {
        // Kept to the end: whoever fails because of this waits for it, and has nothing to say.
        let all = unfinished();
        for path in all.iter() {
            // Others are writing still, and may fill a folder again while it is emptied.
            let gone = || remove(path).is_ok() && !path.exists();
            let _ = (0..200).any(|_| {
                gone() || {
                    std::thread::sleep(Duration::from_millis(10));
                    false
                }
            });
        }
        say(if all.is_empty() { "stopped" } else { "stopped; nothing was left" });
        std::process::exit(130);
    })?;
    Ok(())
}

/// A line on stderr. Nobody may be there to read it: no reason to stop.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// What was warned of so far.
static WARNED: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Everything that was warned of so far, for a report.
pub(crate) fn warned() -> Vec<String> {
    WARNED.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Warns on stderr.
pub(crate) fn warn(message: &str) {
    WARNED.lock().unwrap_or_else(PoisonError::into_inner).push(message.to_owned());
    say(&format!("warning: {message}"));
}

/// Shows on a terminal how far the reading of a log has come.
pub(crate) struct ReadingProgress {
    bar: ProgressBar,
    stage: Option<&'static str>,
}

impl ReadingProgress {
    pub(crate) fn new(quiet: bool) -> Self {
        let bar = match quiet || !std::io::stderr().is_terminal() {
            true => ProgressBar::hidden(),
            false => ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(8)),
        };
        Self { bar, stage: None }
    }

    pub(crate) fn show(&mut self, progress: Progress) {
        if self.bar.is_hidden() {
            return;
        }
        let (stage, done, of) = match progress {
            Progress::Reading { bytes, of, .. } => ("reading", bytes, of),
            Progress::Grouping { parts, of } => ("grouping", parts, Some(of)),
            Progress::Writing { events, of } => ("writing", events, Some(of)),
        };
        if self.stage.replace(stage) != Some(stage) {
            self.begin(stage, of);
        }
        if let Progress::Reading { bytes: read, of, events } = progress {
            let of = of.map_or(String::new(), |of| format!(" of {}", bytes(of)));
            self.bar.set_message(format!("{}{of}  {} events", bytes(read), count(events)));
        }
        // A file may have grown since its size was taken.
        self.bar.set_position(of.map_or(done, |of| done.min(of)));
    }

    fn begin(&self, stage: &'static str, of: Option<u64>) {
        let style = match (stage, of) {
            (_, None) => "  {prefix}  {spinner}  {msg}  {elapsed}",
            ("reading", _) => "  {prefix}  {bar:24} {percent:>3} %  {msg}  {eta} left",
            _ => "  {prefix}  {bar:24} {percent:>3} %  {eta} left",
        };
        let style = ProgressStyle::with_template(style).unwrap_or(ProgressStyle::default_bar());
        self.bar.set_style(style.progress_chars("\u{2501}\u{2578}\u{2500}"));
        self.bar.set_prefix(format!("{stage:<8}"));
        self.bar.set_length(of.unwrap_or(0));
        self.bar.reset();
        self.bar.enable_steady_tick(Duration::from_millis(250));
    }
}

impl Drop for ReadingProgress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Shows on stderr how far a row of measurements has come. Nothing moves while one is under way: it
/// would take time from it.
pub(crate) struct Stages {
    quiet: bool,
    bar: ProgressBar,
}

impl Stages {
    pub(crate) fn new(quiet: bool, count: usize) -> Self {
        let bar = match quiet || !std::io::stderr().is_terminal() {
            true => ProgressBar::hidden(),
            false => ProgressBar::new(count as u64),
        };
        let style = ProgressStyle::with_template("  {bar:24} {pos}/{len}  {msg}");
        bar.set_style(
            style
                .unwrap_or(ProgressStyle::default_bar())
                .progress_chars("\u{2501}\u{2578}\u{2500}"),
        );
        Self { quiet, bar }
    }

    /// The next measurement begins.
    pub(crate) fn begin(&mut self, name: &str) {
        self.bar.set_message(name.to_owned());
        self.bar.tick();
    }

    /// It has ended with this result.
    pub(crate) fn end(&mut self, result: &str) {
        self.bar.inc(1);
        if !self.quiet && self.bar.is_hidden() {
            say(&format!("  {result}"));
        }
    }
}

impl Drop for Stages {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Shows a run on stderr.
pub(crate) struct TrainingProgress {
    quiet: bool,
    bar: ProgressBar,
    epochs: usize,
    header: bool,
    validates: bool,
}

impl TrainingProgress {
    pub(crate) fn new(quiet: bool) -> Self {
        let bar = ProgressBar::hidden();
        Self { quiet, bar, epochs: 0, header: false, validates: false }
    }

    fn say(&self, line: &str) {
        if !self.quiet {
            self.bar.suspend(|| say(line));
        }
    }
}

impl Observer for TrainingProgress {
    fn begin(&mut self, plan: &Plan) {
        (self.epochs, self.validates) = (plan.epochs, plan.validation_cases > 0);
        let total = plan.targets as u64 * plan.epochs as u64;
        if plan.done > 0 {
            let share = per_cent(plan.done as f64 / total.max(1) as f64);
            self.say(&format!("resuming at {share} of the run"));
        }
        if self.quiet || !std::io::stderr().is_terminal() {
            return;
        }
        let style = "  epoch {prefix} {bar:24} {percent:>3} %  {msg}  {eta} left";
        let style = ProgressStyle::with_template(style).unwrap_or(ProgressStyle::default_bar());
        self.bar =
            ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(8));
        self.bar.set_style(style.progress_chars("\u{2501}\u{2578}\u{2500}"));
        self.bar.set_position(plan.done);
        self.bar.reset_eta();
        self.bar.enable_steady_tick(Duration::from_millis(250));
    }

    fn step(&mut self, step: &StepProgress) {
        if self.bar.is_hidden() {
            return;
        }
        self.bar.set_prefix(format!("{}/{}", step.epoch, self.epochs));
        let rate = count(step.events_per_s as u64);
        self.bar.set_message(format!("loss {:.3}  {rate} events/s", step.loss));
        self.bar.set_position(step.done);
    }

    fn epoch(&mut self, epoch: &EpochReport) {
        if !self.header {
            self.header = true;
            let validation = match (epoch.losses.is_empty(), self.validates) {
                (false, _) => {
                    let name = |task: &String| format!("  {:>12}", task);
                    epoch.losses.keys().map(name).collect()
                }
                (true, true) => "  recall@20   mrr@20".to_owned(),
                (true, false) => String::new(),
            };
            self.say(&format!("  epoch    loss  events/s      time{validation}"));
        }
        let best = if epoch.best { "  best" } else { "" };
        // Where tasks are learned beside the next item, their losses are what epochs are chosen by.
        let losses = (!epoch.losses.is_empty()).then(|| {
            let losses = epoch.losses.values().map(|loss| format!("  {loss:>12.4}"));
            losses.collect::<String>() + best
        });
        let figures = losses.or_else(|| {
            epoch.validation.map(|metrics| {
                let (recall, mrr) = (per_cent(metrics.recall_20), per_cent(metrics.mrr_20));
                format!("  {recall:>9}  {mrr:>7}{best}")
            })
        });
        self.say(&format!(
            "  {:>5}  {:>6.3}  {:>8}  {:>8}{}",
            format!("{}/{}", epoch.epoch, self.epochs),
            epoch.loss.unwrap_or(f64::NAN),
            count(epoch.events_per_s as u64),
            seconds(epoch.seconds),
            figures.unwrap_or_default(),
        ));
        if epoch.epoch == self.epochs {
            self.bar.finish_and_clear();
        }
    }

    fn warn(&mut self, message: &str) {
        self.bar.suspend(|| warn(message));
    }

    fn interrupted(&self) -> bool {
        INTERRUPTED.load(Ordering::SeqCst)
    }
}

impl Drop for TrainingProgress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
