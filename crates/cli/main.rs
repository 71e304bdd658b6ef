//! The command line: parse, call one function, print.
//!
//! | verb        | module        |
//! |-------------|---------------|
//! | `demo`      | [`demo`]      |
//! | `simulate`  | [`simulate`]  |
//! | `inspect`   | [`inspect`]   |
//! | `train`     | [`train_verb`]|
//! | `evaluate`  | [`evaluate`]  |
//! | `explain`   | [`explain`]   |
//! | `audience`  | [`audience`]  |
//! | `demand`    | [`demand`]    |
//! | `recommend` | [`recommend`] |
//! | `represent` | [`represent`] |
//! | `segment`   | [`mod@segment`] |
//! | `export`    | [`export`]    |
//! | `import`    | [`import`]    |
//! | `bench`     | [`mod@bench`] |
//! | `devices`   | [`devices`]   |
//! | `gpu-check` | [`gpu_check`] |
//!
//! [`args`] is what can be typed, [`settings`] what can be written in a file, [`widths`] where both speak of
//! the same sizes, [`output`] how results
//! look, [`target`] the files they go to, [`failure`] which exit code an error stands for.

#![forbid(unsafe_code)]

mod args;
mod audience;
mod bench;
mod demand;
mod demo;
mod devices;
mod evaluate;
mod explain;
mod export;
mod failure;
mod figures;
mod gpu_check;
mod import;
mod inspect;
mod item_vectors;
mod machine;
mod output;
mod predict;
mod prepare;
mod progress;
mod reading;
mod recommend;
mod represent;
mod score_fill;
mod segment;
mod settings;
mod simulate;
mod target;
mod tasks;
mod train_page;
mod train_verb;
mod widths;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use args::{Cli, Verb};
use progress::say;

fn main() -> ExitCode {
    // A panic is a mistake of ours: one message, no backtrace, the exit code of a failed run.
    std::panic::set_hook(Box::new(|panic| {
        if events::is_decoding() {
            return;
        }
        say(&format!(
            "error: an internal mistake ({panic}); please report it with the command line"
        ));
    }));
    let cli = Cli::parse();
    match catch_unwind(AssertUnwindSafe(|| run(&cli))) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            say(&format!("error: {error}"));
            ExitCode::from(failure::exit_code(&error))
        }
        Err(_) => ExitCode::FAILURE,
    }
}

fn run(cli: &Cli) -> Result<()> {
    let common = &cli.common;
    match &cli.verb {
        Verb::Demo(args) => demo::run(common, args),
        Verb::Simulate(args) => simulate::run(common, args),
        Verb::Inspect(args) => inspect::run(common, args),
        Verb::Prepare(args) => prepare::run(common, args),
        Verb::Train(args) => train_verb::run(common, args),
        Verb::Evaluate(args) => evaluate::run(common, args),
        Verb::Predict(args) => predict::run(common, args),
        Verb::Explain(args) => explain::run(common, args),
        Verb::Audience(args) => audience::run(common, args),
        Verb::Demand(args) => demand::run(common, args),
        Verb::Recommend(args) => recommend::run(common, args),
        Verb::Represent(args) => represent::run(common, args),
        Verb::Segment(args) => segment::run(common, args),
        Verb::Export(args) => export::run(common, args),
        Verb::Import(args) => import::run(common, args),
        Verb::Bench(args) => bench::run(common, args),
        Verb::Devices => devices::run(common),
        Verb::GpuCheck(args) => gpu_check::run(common, args),
    }
}
