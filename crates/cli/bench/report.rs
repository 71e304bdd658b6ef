//! What a bench has found, for scripts and for people.

use serde::Serialize;
use serde_json::{Value, json};

use super::shape::Shape;
use super::timing::median_and_spread;
use super::work::{Mode, Work};
use super::{Plan, What};
use crate::machine::{cpu_name, last_level_cache, physical_cores};
use crate::output::{Style, Table, bytes, count};

/// Past this the middle half of the samples lies too far apart to be trusted.
const WIDE: f64 = 0.2;

/// What the machine can do at most, measured between the results.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// The highest FMA peak in FLOP/s. A lower one was the doing of another program, or of a machine
    /// that grew hot.
    peak: f64,
    /// The lowest.
    lowest: f64,
    /// Bytes/s.
    bandwidth: f64,
}

impl Limits {
    pub(super) fn new(peaks: &[f64], bandwidth: f64) -> Self {
        let peak = peaks.iter().copied().fold(0.0, f64::max);
        let lowest = peaks.iter().copied().fold(f64::INFINITY, f64::min);
        Self { peak, lowest, bandwidth }
    }

    /// A word about peaks that lie too far apart.
    pub(super) fn doubt(self) -> Option<String> {
        (self.lowest < (1.0 - WIDE) * self.peak).then(|| {
            format!(
                "the FMA peak was {:.0} to {:.0} GFLOP/s from one result to the next, and shares are \
                 of the highest: end what else runs, and time again",
                self.lowest / 1e9,
                self.peak / 1e9
            )
        })
    }
}

/// A shape in one mode, timed.
#[derive(Debug, Clone)]
pub(super) struct Timed<'a> {
    pub(super) shape: &'a Shape,
    pub(super) mode: Mode,
    pub(super) work: Work,
    /// Bytes/s of the cache that bounds the work; where there is none, it is the memory's.
    pub(super) cache: Option<f64>,
    /// Seconds of a call.
    pub(super) samples_s: Vec<f64>,
}

impl Timed<'_> {
    /// The result as a line of progress.
    pub(super) fn line(&self) -> String {
        let (median, _) = median_and_spread(&self.samples_s);
        let (shape, mode, rate) = (&self.shape.text, self.mode.name(), self.work.flop / median);
        format!("{shape} {mode}: {}, {:.1} GFLOP/s", duration(median), rate / 1e9)
    }
}

/// A result as scripts read it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Outcome {
    shape: String,
    mode: &'static str,
    dtype: &'static str,
    threads: usize,
    median_s: f64,
    samples_s: Vec<f64>,
    /// Width of the middle half of the samples over their median.
    spread: f64,
    gflops: f64,
    of_peak: f64,
    of_floor: f64,
    bytes: u64,
    flop: u64,
    positions: u64,
    /// Predicted positions a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    events_per_s: Option<f64>,
    /// GB/s of the cache that took the memory's place in `of_floor`.
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_gbs: Option<f64>,
}

impl Outcome {
    pub(super) fn new(plan: &Plan, timed: Timed<'_>, limits: Limits) -> Self {
        let Timed { shape, mode, work, cache, samples_s } = timed;
        let (median_s, spread) = median_and_spread(&samples_s);
        let rate = work.flop / median_s;
        let positions = shape.positions();
        Self {
            shape: shape.text.clone(),
            mode: mode.name(),
            dtype: "f32",
            threads: plan.threads,
            median_s,
            samples_s,
            spread,
            gflops: rate / 1e9,
            of_peak: rate / limits.peak,
            of_floor: work.floor(limits.peak, cache.unwrap_or(limits.bandwidth)) / median_s,
            bytes: work.bytes as u64,
            flop: work.flop as u64,
            positions: positions as u64,
            events_per_s: (plan.what == What::Train).then_some(positions / median_s),
            cache_gbs: cache.map(|rate| rate / 1e9),
        }
    }

    /// A word about samples that lie too far apart.
    pub(super) fn doubt(&self) -> Option<String> {
        (self.spread > WIDE).then(|| {
            format!(
                "{} {}: the middle half of {} samples spans {} of the median; end what else runs, \
                 give --threads as many as cores are free, or more --seconds",
                self.shape,
                self.mode,
                count(self.samples_s.len()),
                share(self.spread)
            )
        })
    }
}

/// The one object of `--json`.
pub(super) fn json(plan: &Plan, kernel: &str, limits: Limits, outcomes: &[Outcome]) -> Value {
    json!({
        "what": plan.what.name(),
        "cell": plan.cell(),
        "version": env!("CARGO_PKG_VERSION"),
        "machine": {
            "cpu": cpu_name(),
            "cores": physical_cores(),
            "os": std::env::consts::OS,
            "arch": std::env::consts::ARCH,
            "last_level_cache": last_level_cache(),
        },
        "kernel": kernel,
        "threads": plan.threads,
        "seed": plan.seed,
        "peak_gflops": limits.peak / 1e9,
        "bandwidth_gbs": limits.bandwidth / 1e9,
        "results": outcomes,
    })
}

/// The table for people.
pub(super) fn render(
    plan: &Plan,
    kernel: &str,
    limits: Limits,
    outcomes: &[Outcome],
    style: Style,
) -> String {
    let threads = match plan.threads {
        1 => "1 thread".to_owned(),
        n => format!("{n} threads"),
    };
    let cell = plan.cell().map_or(String::new(), |cell| format!(", {cell}"));
    let cache = last_level_cache().map_or(String::new(), |b| format!(", cache {}", bytes(b)));
    let mut text = format!(
        "  {}, {threads}, {kernel}{cell}\n  FMA peak {:.0} GFLOP/s, memory {:.1} GB/s{cache}\n\n",
        cpu_name().unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
        limits.peak / 1e9,
        limits.bandwidth / 1e9,
    );
    // A column that says the same in every line says nothing.
    let modes = plan.what == What::Sequence;
    let rates = plan.what == What::Train;
    let caches = plan.what == What::Stream;
    let row = |[shape, mode, rest @ .., cache, events]: [String; 9]| {
        let mode = modes.then_some(mode);
        let cache = caches.then_some(cache);
        let events = rates.then_some(events);
        std::iter::once(shape).chain(mode).chain(rest).chain(cache).chain(events)
    };
    let heading = row([
        "shape",
        "mode",
        "median",
        "spread",
        "GFLOP/s",
        "of peak",
        "of floor",
        "cache GB/s",
        "events/s",
    ]
    .map(str::to_owned));
    let mut table = if modes { Table::left(heading) } else { Table::new(heading) };
    for outcome in outcomes {
        table.row(row([
            outcome.shape.clone(),
            outcome.mode.to_owned(),
            duration(outcome.median_s),
            share(outcome.spread),
            format!("{:.1}", outcome.gflops),
            share(outcome.of_peak),
            share(outcome.of_floor),
            format!("{:.0}", outcome.cache_gbs.unwrap_or(0.0)),
            count(outcome.events_per_s.unwrap_or(0.0) as u64),
        ]));
    }
    text += &table.render(style);
    let slower = match caches {
        true => {
            "cache allows, whichever is slower\n  cache: one thread that reads as many bytes as w_h \
             has, again and again"
        }
        false => "memory bandwidth allows, whichever is slower",
    };
    text += &style.dim(&format!(
        "\n  spread: the middle half of the samples over their median\n  of floor: of the speed that \
         FMA peak or {slower}"
    ));
    text + "\n"
}

/// A share, in whole per cent: speeds are not known better.
pub(super) fn share(fraction: f64) -> String {
    if fraction.is_finite() { format!("{:.0} %", 100.0 * fraction) } else { "-".to_owned() }
}

/// A time with three figures or four.
pub(super) fn duration(seconds: f64) -> String {
    let (value, unit) = match seconds {
        s if s < 1e-3 => (1e6 * s, "us"),
        s if s < 1.0 => (1e3 * s, "ms"),
        s => (s, "s"),
    };
    let places = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.places$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(what: What) -> Plan {
        let shape = if what == What::Stream { "B1,I4,H5" } else { "T3,B2,I4,H5" };
        Plan::for_tests(what, shape, 2)
    }

    const LIMITS: Limits = Limits { peak: 2160e3, lowest: 2000e3, bandwidth: 1e6 };

    fn outcome(what: What) -> Outcome {
        let plan = plan(what);
        let work = Work { flop: 2160.0, bytes: 2000.0 };
        let samples_s = vec![4e-3, 3e-3, 4e-3, 5e-3, 4e-3];
        // 2000 bytes of a cache take 3 ms.
        let cache = (what == What::Stream).then_some(2e6 / 3.0);
        let timed = Timed { shape: &plan.shapes[0], mode: Mode::Forward, work, cache, samples_s };
        let line = format!("{} forward: 4.00 ms, 0.0 GFLOP/s", plan.shapes[0].text);
        assert_eq!(timed.line(), line);
        Outcome::new(&plan, timed, LIMITS)
    }

    #[test]
    fn rates_are_those_of_the_median() {
        let outcome = outcome(What::Sequence);
        // 2160 FLOP take 1 ms at the peak, 2000 bytes 2 ms.
        assert_eq!((outcome.median_s, outcome.of_peak, outcome.of_floor), (4e-3, 0.25, 0.5));
        assert_eq!((outcome.positions, outcome.flop, outcome.bytes), (6, 2160, 2000));
        assert!((outcome.gflops - 0.54e-3).abs() < 1e-12 && outcome.doubt().is_none());
        assert_eq!(outcome.cache_gbs, None);
        let doubtful = Outcome { spread: 0.3, ..outcome };
        assert!(doubtful.doubt().is_some_and(|doubt| doubt.contains("spans 30 % of the median")));
    }

    #[test]
    fn the_floor_of_a_step_is_that_of_its_cache() {
        let outcome = outcome(What::Stream);
        assert!((outcome.of_floor - 0.75).abs() < 1e-9);
        assert!(outcome.cache_gbs.is_some_and(|rate| (rate - 2e-3 / 3.0).abs() < 1e-12));
        let text = render(&plan(What::Stream), "portable", LIMITS, &[outcome], Style::plain());
        assert!(text.contains("cache GB/s") && text.contains("75 %"), "{text}");
        assert!(text.contains("bytes as w_h") && !text.contains("events/s"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    }

    #[test]
    fn a_row_has_what_its_bench_needs() {
        let table = |what| {
            let (plan, outcome) = (plan(what), outcome(what));
            render(&plan, "portable", LIMITS, &[outcome], Style::plain())
        };
        let sequence = table(What::Sequence);
        assert!(sequence.contains("portable, lstm\n"), "{sequence}");
        assert!(sequence.contains("forward") && !sequence.contains("events/s"), "{sequence}");
        let train = table(What::Train);
        assert!(!train.contains("forward") && train.contains("1,500\n"), "{train}");
        for text in [sequence, train] {
            assert!(text.contains("4.00 ms") && text.contains("50 %"), "{text}");
            assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        }
    }

    #[test]
    fn a_peak_that_varies_is_doubted() {
        assert!(Limits::new(&[90e9, 100e9, 95e9], 1e9).doubt().is_none());
        let varied = Limits::new(&[97e9, 186e9], 1e9);
        assert_eq!(varied.peak, 186e9);
        assert!(varied.doubt().is_some_and(|doubt| doubt.contains("97 to 186 GFLOP/s")));
    }

    #[test]
    fn times_have_their_unit() {
        assert_eq!(duration(1.234e-6), "1.23 us");
        assert_eq!(duration(45.67e-3), "45.7 ms");
        assert_eq!(duration(0.4567), "457 ms");
        assert_eq!(duration(1.867), "1.87 s");
    }
}
