//! `tidegate gpu-check`: whether the kernels are right on this card, and how fast they are there.
//!
//! | part | module |
//! |---|---|
//! | a layer on the card, and the same in the reference | [`layer`] |
//! | parity, and the same bits in every run | [`parity`] |
//! | our times | [`timing`] |
//! | PyTorch's, where it is installed | [`peer`] |
//! | table and JSON | [`report`] |

pub(crate) mod layer;
mod parity;
mod peer;
mod report;
pub(crate) mod timing;

use anyhow::{Result, bail};
use cuda::{Gpu, Rung};

use crate::args::{Common, GpuCheck};
use crate::bench::shape::Shape;
use crate::failure::usage;
use crate::machine::card_number;
use crate::output::{Style, print, print_json};
use crate::progress::{say, warn};
use crate::settings::Settings;
use layer::Inputs;
use report::{Report, Time};
use timing::Mode;

/// Shapes that are timed where none are asked for.
const SHAPES: [&str; 12] = [
    "T1024,B16,I768,H768",
    "T128,B32,I256,H256",
    "T100,B64,I512,H512",
    "T512,B32,I128,H128",
    "T256,B128,I1024,H1024",
    "T50,B500,I500,H500",
    "T200,B512,I128,H128,lengths=skew",
    "T200,B512,I256,H256,lengths=skew",
    "T25,B16,I512,H512",
    "T150,B64,I256,H256",
    "T50,B20,I300,H300",
    "T256,B1,I128,H128",
];

pub(crate) fn run(common: &Common, args: &GpuCheck) -> Result<()> {
    let settings = Settings::load(common, None)?;
    let shapes = shapes(&args.shape)?;
    if !(0.0..=60.0).contains(&args.sample_s) {
        return Err(usage(format!("--sample-s {:?}: give 0 to 60 for each sample", args.sample_s)));
    }
    let gpu = Gpu::new(card_number(&settings)?)?;
    let seed = settings.seed();
    let progress = |line: &str| {
        if !settings.quiet {
            say(line);
        }
    };
    progress(&format!("{}: comparing with the reference", gpu.info().name));
    let mut comparisons = parity::against_reference(&gpu, seed)?;
    let mut times = Vec::new();
    for shape in &shapes {
        let inputs = Inputs::new(shape.layout(), shape.input, shape.hidden, seed);
        comparisons.extend(parity::against_each_other(&gpu, &shape.text, &inputs)?);
        for mode in if args.no_times { &[][..] } else { &Mode::ALL[..] } {
            for (kernels, rung) in [("auto", Rung::Auto), ("v2", Rung::V2), ("v3", Rung::V3)] {
                if rung == Rung::V3 && !parity::fits(&gpu, &inputs) {
                    continue;
                }
                let samples_s = timing::sample(&gpu, rung, &inputs, *mode, args.sample_s)?;
                let time = Time::new(shape, *mode, kernels, samples_s);
                progress(&time.line());
                times.push(time);
            }
        }
    }
    let peer = match &args.peer {
        Some(script) if !args.no_times => {
            let texts: Vec<_> = shapes.iter().map(|shape| shape.text.clone()).collect();
            progress("timing PyTorch");
            let found = peer::run(&args.python, script, &texts, args.sample_s)?;
            if found.is_none() {
                warn(&format!("{} has no PyTorch that sees a card: no peer is timed", args.python));
            }
            found
        }
        _ => None,
    };
    let report = Report::new(&gpu, comparisons, times, peer);
    if settings.json {
        print_json(&report)?;
    } else {
        print(&report.render(Style::for_stdout()))?;
    }
    match report.failures() {
        0 => Ok(()),
        n => bail!(
            "gpu-check: {n} comparisons failed; do not compute on this card with this version"
        ),
    }
}

/// The shapes asked for.
fn shapes(asked: &[String]) -> Result<Vec<Shape>> {
    let parse = |text: &str| {
        let shape = Shape::parse(text)?;
        match (shape.layers, shape.both) {
            (1, false) => Ok(shape),
            _ => Err(usage(format!(
                "--shape {text}: gpu-check takes one layer in one direction; leave L and bi out"
            ))),
        }
    };
    match asked {
        [] => SHAPES.iter().map(|text| parse(text)).collect(),
        asked => asked.iter().map(|text| parse(text)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_have_one_layer() {
        assert_eq!(shapes(&[]).unwrap().len(), SHAPES.len());
        let error = shapes(&["T2,B2,I2,H2,L2".to_owned()]).unwrap_err();
        assert_eq!(crate::failure::exit_code(&error), 2);
    }
}
