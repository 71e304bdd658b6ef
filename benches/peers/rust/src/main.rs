//! Times one LSTM stack of candle or of burn and prints its samples as one JSON object.
//!
//! ```text
//! rust-peers candle|burn --shape T50,B64,I128,H256[,L2] --mode forward|training --seconds 1 [--trial yes]
//! ```
//!
//! Each sample is one call: `forward` turns x `[T, B, I]` into h `[T, B, H]`, `training` adds the
//! gradients of x and of all weights for a dh given at every output. Weights, input and dh are made
//! before the clock starts, denormals are flushed, and the first call is left out. `--threads` is
//! the environment's `RAYON_NUM_THREADS`, which both libraries read. Both know full batches only:
//! `lengths=skew` is timed as the padded block.

mod candle;
mod data;
mod flex;

use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

use data::{Numbers, Shape};

/// What is timed.
#[derive(Clone, Copy, PartialEq)]
pub enum Mode {
    /// x to h, without a tape.
    Forward,
    /// x to h, and from dh to the gradients of x and of every weight.
    Training,
}

struct Arguments {
    engine: String,
    shape: Shape,
    mode: Mode,
    seconds: f64,
    trial: bool,
}

fn arguments() -> Result<Arguments, String> {
    let mut words = std::env::args().skip(1);
    let engine = words.next().ok_or("name an engine: candle or burn")?;
    let (mut shape, mut mode, mut seconds, mut trial) = (None, Mode::Forward, 1.0, false);
    while let Some(flag) = words.next() {
        let value = words.next().ok_or(format!("{flag}: its value is missing"))?;
        match flag.as_str() {
            "--shape" => shape = Some(Shape::parse(&value)?),
            "--mode" if value == "forward" => mode = Mode::Forward,
            "--mode" if value == "training" => mode = Mode::Training,
            "--seconds" => seconds = value.parse().map_err(|_| "--seconds: no number")?,
            "--trial" => trial = value == "yes",
            _ => return Err(format!("{flag} {value}: unknown")),
        }
    }
    let shape = shape.ok_or("--shape: is missing, say T50,B64,I128,H256")?;
    Ok(Arguments { engine, shape, mode, seconds, trial })
}

/// Calls `work` once for nothing, then for as long as asked and at least once. In a trial, which
/// only compares thread counts, a first call that takes longer than that is the one sample.
fn samples(seconds: f64, trial: bool, mut work: impl FnMut()) -> Vec<f64> {
    let mut timed = || {
        let begin = Instant::now();
        work();
        begin.elapsed().as_secs_f64()
    };
    let first = timed();
    if trial && first > seconds {
        return vec![first];
    }
    let whole = Instant::now();
    let mut found = Vec::new();
    while found.is_empty() || whole.elapsed().as_secs_f64() < seconds {
        found.push(timed());
    }
    found
}

/// Sets flush-to-zero and denormals-are-zero; threads started later inherit them.
fn flush_denormals() {
    #[cfg(target_arch = "x86_64")]
    {
        let mut control = 0_u32;
        // SAFETY: SSE is part of x86_64, both instructions touch only MXCSR and `control`, and
        // bits 15 and 6 change how subnormal numbers are treated and nothing else.
        unsafe {
            std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut control, options(nostack));
            control |= 0x8040;
            std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const control, options(nostack));
        }
    }
}

/// The version of a crate in the lock file this program was built with.
fn locked(name: &str) -> &'static str {
    let (_, rest) = include_str!("../Cargo.lock")
        .split_once(&format!("name = \"{name}\"\nversion = \""))
        .expect("the lock file names every dependency");
    rest.split('"').next().unwrap_or(rest)
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let &Arguments { ref engine, shape, mode, seconds, trial } = arguments;
    let numbers = Numbers::new(shape);
    let (version, samples_s) = match engine.as_str() {
        "candle" => {
            let peer = candle::Peer::new(&numbers, mode)?;
            let found =
                samples(seconds, trial, || peer.call().expect("the shapes were checked by new()"));
            (format!("candle {}", locked("candle-core")), found)
        }
        "burn" => {
            let peer = flex::Peer::new(&numbers, mode);
            (format!("burn {} (flex)", locked("burn")), samples(seconds, trial, || peer.call()))
        }
        other => return Err(format!("{other}: no such engine; candle or burn").into()),
    };
    let threads = candle_core::utils::get_num_threads();
    let object = serde_json::json!({
        "engine": engine, "version": version, "threads": threads, "samples_s": samples_s,
    });
    println!("{object}");
    Ok(())
}

fn main() -> ExitCode {
    flush_denormals();
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(message) => {
            eprintln!("rust-peers: {message}");
            return ExitCode::from(2);
        }
    };
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rust-peers: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two independent libraries agree on h and on dx: both are given the same work.
    #[test]
    fn candle_and_burn_compute_the_same() {
        let numbers = Numbers::new(Shape::parse("T4,B3,I5,H6,L2").unwrap());
        let (h, dx) = candle::Peer::new(&numbers, Mode::Training).unwrap().outputs().unwrap();
        let (other_h, other_dx) = flex::Peer::new(&numbers, Mode::Training).outputs();
        for (name, ours, theirs) in [("h", h, other_h), ("dx", dx, other_dx)] {
            assert_eq!(ours.len(), theirs.len(), "{name}");
            for (k, (a, b)) in ours.iter().zip(&theirs).enumerate() {
                assert!((a - b).abs() < 1e-4, "{name}[{k}]: candle {a}, burn {b}");
            }
        }
    }
}
