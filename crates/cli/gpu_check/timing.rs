//! How long our kernels take.

use std::time::Instant;

use anyhow::Result;
use cuda::{Card, Gpu, Rung};

use super::layer::{Inputs, OnCard};

/// Samples of a result.
pub(crate) const SAMPLES: usize = 11;

/// What is timed of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Forward, with everything kept that backward reads.
    Forward,
    /// Forward and backward, with all gradients.
    Training,
}

impl Mode {
    pub(crate) const ALL: [Self; 2] = [Self::Forward, Self::Training];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Training => "training",
        }
    }
}

/// Seconds of a call, sample by sample: each the mean of as many calls, one after the other, as fill
/// `sample_s`; the card is waited for at the end of each sample, not of each call.
pub(crate) fn sample(
    gpu: &Gpu,
    rung: Rung,
    inputs: &Inputs,
    mode: Mode,
    sample_s: f64,
) -> Result<Vec<f64>> {
    let mut layer = OnCard::new(gpu, rung, inputs)?;
    let mut time = |calls: usize| -> Result<f64> {
        gpu.wait()?;
        let begin = Instant::now();
        for _ in 0..calls {
            layer.forward()?;
            if mode == Mode::Training {
                layer.backward()?;
            }
        }
        gpu.wait()?;
        Ok(begin.elapsed().as_secs_f64() / calls as f64)
    };
    // The first calls take memory and start the clocks.
    time(2)?;
    let call = time(3)?;
    let calls = (sample_s / call).ceil().clamp(1.0, 10_000.0) as usize;
    (0..SAMPLES).map(|_| time(calls)).collect()
}
