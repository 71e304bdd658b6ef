//! `tidegate bench`: how fast the engine is, beside what the machine could do at most.
//!
//! | bench | module | |
//! |---|---|---|
//! | `sequence` | [`sequence`] | LSTM layers over a batch |
//! | `softmax` | [`softmax`] | loss over all items, with its gradients |
//! | `score` | [`score`] | the best of all items for many sessions |
//! | `train` | [`train`] | training steps of a whole model |
//! | `stream` | [`stream`] | one step for one user |
//!
//! On a card there is `sequence` alone: [`mod@cuda`].
//!
//! [`shape`] is what sizes are spelled like, [`work`] how much there is to do, [`timing`] how it is
//! timed, [`report`] what is made of it. A new bench is a variant of [`What`], a module with
//! `work`, `memory` and `run`, and a line in each `match` below.

mod cuda;
mod report;
mod score;
mod sequence;
pub(crate) mod shape;
mod softmax;
mod stream;
pub(crate) mod timing;
mod train;
pub(crate) mod values;
mod work;

use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;
use model::{CellKind, ModelConfig, OptimizerConfig};

use crate::args::{Bench, Common};
use crate::failure::usage;
use crate::machine::{Machine, device, kernel, last_level_cache, memory, threads};
use crate::output::{Style, bytes, print, print_json};
use crate::progress::{Stages, warn};
use crate::settings::{BenchSettings, Settings};
use report::{Limits, Outcome, Timed};
use shape::Shape;
use work::{Mode, Work};

/// How long the bandwidth is looked for, once.
const BANDWIDTH_TIME: Duration = Duration::from_millis(200);
/// How long the FMA peak is looked for, before each result.
const PEAK_TIME: Duration = Duration::from_millis(100);
/// How long the rate of a cache is looked for, before each result that it bounds.
const CACHE_TIME: Duration = Duration::from_millis(100);
/// Memory that a shape may take where the system does not tell what there is.
const MEMORY: u64 = 1 << 40;

/// What is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum What {
    /// LSTM layers over a batch, forward, and forward with backward
    Sequence,
    /// The softmax loss over all items, with all its gradients
    Softmax,
    /// The 20 best of all items for many sessions, by shape B10000,H100,V17376
    Score,
    /// Whole training steps of a next-item model
    Train,
    /// One step of an LSTM layer for one user, on one thread
    Stream,
}

impl What {
    fn name(self) -> &'static str {
        match self {
            Self::Sequence => "sequence",
            Self::Softmax => "softmax",
            Self::Score => "score",
            Self::Train => "train",
            Self::Stream => "stream",
        }
    }

    /// The modes it has; without --mode, it goes through all of them.
    fn modes(self) -> &'static [Mode] {
        match self {
            Self::Sequence => &[Mode::Forward, Mode::Training],
            Self::Softmax | Self::Train => &[Mode::Training],
            Self::Score => &[Mode::Forward],
            Self::Stream => &[Mode::Step],
        }
    }

    /// The shapes of `--shape`, or those that it has without one.
    fn shapes(self, asked: &[String]) -> Result<Vec<Shape>> {
        let (parse, default) = match self {
            Self::Stream => (Shape::parse_step as fn(&str) -> _, &shape::STEP_DEFAULT[..]),
            Self::Score => (Shape::parse_rows as _, &shape::ROWS_DEFAULT[..]),
            Self::Softmax => (Shape::parse_positions as _, &shape::DEFAULT[..]),
            Self::Sequence | Self::Train => (Shape::parse as _, &shape::DEFAULT[..]),
        };
        match asked {
            [] => default.iter().map(|text| parse(text)).collect(),
            asked => asked.iter().map(|text| parse(text)).collect(),
        }
    }
}

/// A bench that has been checked.
#[derive(Debug, Clone)]
struct Plan {
    what: What,
    shapes: Vec<Shape>,
    modes: Vec<Mode>,
    seconds: f64,
    threads: usize,
    seed: u64,
    model: ModelConfig,
    optimizer: OptimizerConfig,
}

pub(crate) fn run(common: &Common, args: &Bench) -> Result<()> {
    let mut settings = Settings::load(common, None)?;
    overlay(&mut settings.bench, args);
    if let (What::Softmax | What::Score, Some(cell)) = (args.what, args.cell) {
        let what = args.what.name();
        return Err(usage(format!(
            "--cell {cell}: bench {what} has no recurrent layer; leave it out"
        )));
    }
    settings.model.cell = args.cell.unwrap_or(settings.model.cell);
    if args.what == What::Stream {
        // A step of one row is one thread's work, so the peak is to be one thread's, too.
        settings.threads = Some(1);
    }
    settings.announce()?;
    let mut plan = Plan::new(args.what, &settings)?;
    if cuda::asked(&settings) {
        if settings.bench.shape.is_empty() {
            plan.shapes.retain(|shape| shape.layers == 1 && !shape.both);
        }
        return cuda::run(&plan, args, &settings);
    }
    if let Some(kernels) = &args.kernels {
        return Err(usage(format!(
            "--kernels {kernels}: chooses among the kernels of a card; add --device cuda, or leave it out"
        )));
    }
    let device = device(&settings)?;
    plan.check_memory(memory().unwrap_or(MEMORY))?;
    if cfg!(debug_assertions) {
        warn("this program was built without optimisation; build it with --release");
    }

    let machine = device.machine();
    let bandwidth = machine.bandwidth(BANDWIDTH_TIME);
    let mut stages = Stages::new(settings.quiet, plan.shapes.len() * plan.modes.len());
    let (mut results, mut peaks) = (Vec::new(), Vec::new());
    for shape in &plan.shapes {
        for &mode in &plan.modes {
            stages.begin(&format!("{} {}", shape.text, mode.name()));
            peaks.push(machine.peak(PEAK_TIME));
            let work = plan.work(shape, mode, last_level_cache())?;
            let cache = plan.cache_rate(&device, shape);
            let samples_s = plan.sample(&device, shape, mode)?;
            let result = Timed { shape, mode, work, cache, samples_s };
            stages.end(&result.line());
            results.push(result);
        }
    }
    drop(stages);
    let limits = Limits::new(&peaks, bandwidth);
    let outcomes: Vec<_> =
        results.into_iter().map(|result| Outcome::new(&plan, result, limits)).collect();
    limits.doubt().into_iter().for_each(|doubt| warn(&doubt));
    outcomes.iter().filter_map(Outcome::doubt).for_each(|doubt| warn(&doubt));

    let kernel = kernel(&device);
    if settings.json {
        return print_json(&report::json(&plan, kernel, limits, &outcomes));
    }
    print(&report::render(&plan, kernel, limits, &outcomes, Style::for_stdout()))
}

/// Lays the flags over the settings.
fn overlay(settings: &mut BenchSettings, args: &Bench) {
    if !args.shape.is_empty() {
        settings.shape.clone_from(&args.shape);
    }
    settings.mode = args.mode.clone().or(settings.mode.take());
    settings.dtype = args.dtype.clone().or(settings.dtype.take());
    settings.seconds = args.seconds.or(settings.seconds);
}

impl Plan {
    /// Checks what is asked for.
    fn new(what: What, settings: &Settings) -> Result<Self> {
        let asked = &settings.bench;
        let shapes = what.shapes(&asked.shape)?;
        check_dtype(asked.dtype.as_deref().unwrap_or("f32"))?;
        let seconds = asked.seconds.unwrap_or(1.0);
        if !(0.0..=3600.0).contains(&seconds) {
            return Err(usage(format!("--seconds {seconds:?}: give 0 to 3600 for each result")));
        }
        let plan = Self {
            what,
            shapes,
            modes: modes(what, asked.mode.as_deref())?,
            seconds,
            threads: threads(settings),
            seed: settings.seed(),
            model: settings.model.clone(),
            optimizer: settings.optimizer,
        };
        if what == What::Stream {
            stream::check(&plan.model)?;
        }
        if what == What::Train {
            plan.optimizer.validate().map_err(::train::Error::from)?;
            plan.optimizer.validate_effects().map_err(::train::Error::from)?;
            plan.shapes.iter().try_for_each(|shape| train::config(shape, &plan.model).map(drop))?;
        }
        Ok(plan)
    }

    /// The recurrent cell, where what is timed has one.
    fn cell(&self) -> Option<CellKind> {
        match self.what {
            What::Sequence | What::Stream | What::Train => Some(self.model.cell),
            What::Softmax | What::Score => None,
        }
    }

    /// Refuses shapes that the machine cannot hold, before the system ends the run.
    fn check_memory(&self, available: u64) -> Result<()> {
        for shape in &self.shapes {
            let mut needed = 0f64;
            for &mode in &self.modes {
                needed = needed.max(match self.what {
                    What::Sequence => sequence::memory(shape, &self.model, mode),
                    What::Softmax => softmax::memory(shape, self.threads),
                    What::Score => score::memory(shape),
                    What::Stream => stream::memory(shape, &self.model),
                    What::Train => {
                        let config = train::config(shape, &self.model)?;
                        train::memory(shape, &config, &self.optimizer, self.threads)
                    }
                });
            }
            if needed > available as f64 {
                return Err(usage(format!(
                    "--shape {}: takes at least {} of memory and the machine has {} left; make it \
                     smaller",
                    shape.text,
                    bytes(needed as u64),
                    bytes(available)
                )));
            }
        }
        Ok(())
    }

    /// What one call does.
    fn work(&self, shape: &Shape, mode: Mode, cache: Option<u64>) -> Result<Work> {
        Ok(match self.what {
            What::Sequence => sequence::work(shape, &self.model, mode, cache),
            What::Softmax => softmax::work(shape),
            What::Score => score::work(shape),
            What::Stream => stream::work(shape, &self.model),
            What::Train => {
                train::work(shape, &train::config(shape, &self.model)?, &self.optimizer, cache)
            }
        })
    }

    /// The bytes a second of the cache that bounds the work, where that is not memory.
    fn cache_rate(&self, device: &Machine, shape: &Shape) -> Option<f64> {
        let stream = self.what == What::Stream;
        stream.then(|| stream::cache_rate(device.machine(), shape, &self.model, CACHE_TIME))
    }

    /// Seconds of a call, sample by sample.
    fn sample(&self, device: &Machine, shape: &Shape, mode: Mode) -> Result<Vec<f64>> {
        let (cpu, seed, seconds) = (device.machine(), self.seed, self.seconds);
        match self.what {
            What::Sequence => Ok(sequence::run(device, shape, &self.model, mode, seed, seconds)),
            What::Softmax => Ok(softmax::run(cpu, shape, seed, seconds)),
            What::Score => Ok(score::run(cpu, shape, seed, seconds)),
            What::Stream => Ok(stream::run(cpu, shape, &self.model, seed, seconds)),
            What::Train => {
                let config = train::config(shape, &self.model)?;
                train::run(device, shape, &config, &self.optimizer, seed, seconds)
            }
        }
    }
}

/// The modes that `--mode` asks for.
fn modes(what: What, asked: Option<&str>) -> Result<Vec<Mode>> {
    let Some(asked) = asked else { return Ok(what.modes().to_vec()) };
    let refuse = |problem: &str| Err(usage(format!("--mode {asked}: {problem}")));
    let mode = match asked {
        "forward" => Mode::Forward,
        "training" => Mode::Training,
        "step" => Mode::Step,
        _ => return refuse("expected forward, training or step"),
    };
    if what.modes().contains(&mode) {
        return Ok(vec![mode]);
    }
    let names: Vec<_> = what.modes().iter().map(|mode| mode.name()).collect();
    let steps = if mode == Mode::Step { "; steps are timed by bench stream" } else { "" };
    refuse(&format!("bench {} has {}{steps}", what.name(), names.join(" and ")))
}

fn check_dtype(dtype: &str) -> Result<()> {
    match dtype {
        "f32" => Ok(()),
        "bf16" | "int8" => {
            Err(usage(format!("--dtype {dtype}: this version computes in f32 only; use f32")))
        }
        _ => Err(usage(format!("--dtype {dtype}: expected f32"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Plan {
        /// A plan of one shape.
        pub(super) fn for_tests(what: What, shape: &str, threads: u16) -> Self {
            let bench = BenchSettings { shape: vec![shape.to_owned()], ..BenchSettings::default() };
            let settings = Settings { threads: Some(threads), bench, ..Settings::default() };
            Self::new(what, &settings).unwrap()
        }
    }

    #[test]
    fn a_bench_goes_through_its_modes_unless_one_is_named() {
        let both = vec![Mode::Forward, Mode::Training];
        assert_eq!(modes(What::Sequence, None).unwrap(), both);
        assert_eq!(modes(What::Sequence, Some("forward")).unwrap(), [Mode::Forward]);
        assert_eq!(modes(What::Train, None).unwrap(), [Mode::Training]);
        assert_eq!(modes(What::Score, None).unwrap(), [Mode::Forward]);
        assert_eq!(modes(What::Stream, None).unwrap(), [Mode::Step]);
        assert_eq!(modes(What::Stream, Some("step")).unwrap(), [Mode::Step]);
        for (what, mode, remedy) in [
            (What::Softmax, "forward", "bench softmax has training"),
            (What::Score, "training", "bench score has forward"),
            (
                What::Sequence,
                "step",
                "bench sequence has forward and training; steps are timed by bench stream",
            ),
            (What::Stream, "training", "bench stream has step"),
            (What::Train, "x", "expected forward, training or step"),
        ] {
            let error = modes(what, Some(mode)).unwrap_err();
            assert_eq!(crate::failure::exit_code(&error), 2);
            assert_eq!(error.to_string(), format!("--mode {mode}: {remedy}"));
        }
    }

    #[test]
    fn memory_is_asked_for_before_it_is_taken() {
        for what in [What::Sequence, What::Softmax, What::Train] {
            let plan = Plan::for_tests(what, "T100,B100,I100,H100,V1000", 2);
            // A position of a layer's tape alone has 600 numbers; q and dq 200.
            let least = 4 * 10_000 * if what == What::Softmax { 200 } else { 600 };
            assert!(plan.check_memory(100 * least).is_ok(), "{what:?}");
            let error = plan.check_memory(least).unwrap_err();
            assert_eq!(crate::failure::exit_code(&error), 2);
            assert!(error.to_string().contains(&bytes(least)), "{error}");
        }
        // A thousand rows of 100 numbers, twice; 20 items a session in four numbers.
        let plan = Plan::for_tests(What::Score, "B10000,H100,V1000", 2);
        assert!(plan.check_memory(12_000_000).is_ok());
        assert!(plan.check_memory(4_000_000).is_err());
        // A million rows of the table, 160 bytes each, and of vectors, 4 bytes.
        let plan = Plan::for_tests(What::Stream, "B1,I1,H10,V1000000", 1);
        assert!(plan.check_memory(170_000_000).is_ok());
        assert!(plan.check_memory(160_000_000).is_err());
    }
}
