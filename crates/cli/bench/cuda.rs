//! `bench sequence --device cuda`: an LSTM layer on a card.
//!
//! What is timed is what the processor's bench times, with two differences that a card has: the forward pass
//! keeps the gates in both modes, and a sample is of many calls, after which the card is waited for
//! once. How fast a card could be at most is not measured.

use std::str::FromStr;

use anyhow::Result;
use cuda::{Gpu, Rung};
use layout::Cell;
use serde_json::{Value, json};

use super::report::{duration, share};
use super::shape::Shape;
use super::timing::median_and_spread;
use super::work::Mode;
use super::{Plan, What};
use crate::args::Bench;
use crate::failure::usage;
use crate::gpu_check::layer::Inputs;
use crate::gpu_check::timing::{self, SAMPLES, sample};
use crate::machine::card_number;
use crate::output::{Style, Table, print, print_json};
use crate::progress::Stages;
use crate::settings::Settings;

/// Whether the settings ask for a card.
pub(super) fn asked(settings: &Settings) -> bool {
    settings.device.as_deref().is_some_and(|name| name == "cuda" || name.starts_with("cuda:"))
}

/// A result.
struct Timed<'a> {
    shape: &'a Shape,
    mode: Mode,
    samples_s: Vec<f64>,
}

impl Timed<'_> {
    /// Operations of a call.
    fn flop(&self) -> f64 {
        let Shape { input, hidden, .. } = *self.shape;
        let ways = if self.mode == Mode::Training { 3.0 } else { 1.0 };
        ways * 8.0 * self.shape.positions() * (hidden * (input + hidden)) as f64
    }
}

pub(super) fn run(plan: &Plan, args: &Bench, settings: &Settings) -> Result<()> {
    let rung = args.kernels.as_deref().unwrap_or("auto");
    let Ok(kernels) = Rung::from_str(rung) else {
        return Err(usage(format!("--kernels {rung}: expected auto, v1, v2 or v3")));
    };
    check(plan)?;
    let gpu = Gpu::new(card_number(settings)?)?;
    let mut stages = Stages::new(settings.quiet, plan.shapes.len() * plan.modes.len());
    let mut results = Vec::new();
    for shape in &plan.shapes {
        let inputs = Inputs::new(shape.layout(), shape.input, shape.hidden, plan.seed);
        for &mode in &plan.modes {
            stages.begin(&format!("{} {}", shape.text, mode.name()));
            let timed = match mode {
                Mode::Training => timing::Mode::Training,
                Mode::Forward | Mode::Step => timing::Mode::Forward,
            };
            let samples_s = sample(&gpu, kernels, &inputs, timed, plan.seconds / SAMPLES as f64)?;
            let result = Timed { shape, mode, samples_s };
            let (median, _) = median_and_spread(&result.samples_s);
            stages.end(&format!("{} {}: {}", shape.text, mode.name(), duration(median)));
            results.push(result);
        }
    }
    drop(stages);
    if settings.json {
        return print_json(&json(plan, &gpu, rung, &results));
    }
    print(&render(&gpu, rung, &results))
}

/// Refuses what has no kernels.
fn check(plan: &Plan) -> Result<()> {
    if plan.what != What::Sequence {
        let what = plan.what.name();
        return Err(usage(format!(
            "bench {what} --device cuda: a card runs bench sequence in this version; use --device cpu"
        )));
    }
    if plan.model.cell.cell != Cell::Lstm || plan.model.cell.projection {
        return Err(cuda::Error::OtherCell.into());
    }
    let rates = &plan.model.dropout;
    if rates.recurrent > 0.0 || rates.zoneout_c > 0.0 || rates.zoneout_h > 0.0 {
        return Err(usage(
            "[model.dropout] recurrent, zoneout_c, zoneout_h: nothing drops inside the steps of a card in \
             this version; set them to 0, or use --device cpu",
        ));
    }
    match plan.shapes.iter().find(|shape| shape.layers > 1 || shape.both) {
        None => Ok(()),
        Some(shape) => Err(usage(format!(
            "--shape {}: a card takes one layer in one direction; leave L and bi out",
            shape.text
        ))),
    }
}

fn json(plan: &Plan, gpu: &Gpu, kernels: &str, results: &[Timed<'_>]) -> Value {
    let results: Vec<_> = results
        .iter()
        .map(|result| {
            let (median_s, spread) = median_and_spread(&result.samples_s);
            json!({
                "shape": result.shape.text,
                "mode": result.mode.name(),
                "dtype": "f32",
                "kernels": kernels,
                "median_s": median_s,
                "samples_s": result.samples_s,
                "spread": spread,
                "gflops": result.flop() / median_s / 1e9,
                "of_peak": null,
                "of_floor": null,
                "positions": result.shape.positions() as u64,
            })
        })
        .collect();
    json!({
        "what": plan.what.name(),
        "version": env!("CARGO_PKG_VERSION"),
        "machine": { "card": gpu.info().name, "cublas": cuda::Card::has_products(gpu) },
        "kernel": "cuda",
        "seed": plan.seed,
        "peak_gflops": null,
        "bandwidth_gbs": null,
        "results": results,
    })
}

fn render(gpu: &Gpu, kernels: &str, results: &[Timed<'_>]) -> String {
    let mut table = Table::left(["shape", "mode", "median", "spread", "GFLOP/s", "a step"]);
    for result in results {
        let (median, spread) = median_and_spread(&result.samples_s);
        table.row([
            result.shape.text.clone(),
            result.mode.name().to_owned(),
            duration(median),
            share(spread),
            format!("{:.0}", result.flop() / median / 1e9),
            duration(median / result.shape.steps as f64),
        ]);
    }
    format!(
        "  {}, kernels {kernels}, f32 without TF32\n\n{}",
        gpu.info().name,
        table.render(Style::for_stdout())
    )
}
