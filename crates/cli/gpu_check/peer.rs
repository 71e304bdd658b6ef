//! PyTorch on the same card, through the script `benches/peers/gpu_sequence.py`.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

/// What the script has found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Peer {
    /// Such as `PyTorch 2.11.0+cu130, cuDNN 9.19.0`.
    pub(super) name: String,
    pub(super) results: Vec<PeerResult>,
}

/// One time of the script.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct PeerResult {
    pub(super) shape: String,
    pub(super) mode: String,
    /// fp32, tf32, bf16 or fp16.
    pub(super) dtype: String,
    pub(super) samples_s: Vec<f64>,
    pub(super) median_s: f64,
}

/// Runs the script; `None` where the Python at hand has no PyTorch that sees a card.
pub(super) fn run(
    python: &str,
    script: &Path,
    shapes: &[String],
    sample_s: f64,
) -> Result<Option<Peer>> {
    let asked = Command::new(python)
        .args(["-c", "import sys, torch; sys.exit(0 if torch.cuda.is_available() else 3)"])
        .stderr(Stdio::null())
        .status();
    if !asked.is_ok_and(|status| status.success()) {
        return Ok(None);
    }
    let output = Command::new(python)
        .arg(script)
        .arg("--sample-s")
        .arg(sample_s.to_string())
        .arg("--shape")
        .args(shapes)
        .stderr(Stdio::inherit())
        .output();
    let name = script.display();
    let output = match output {
        Ok(output) if output.status.success() => output.stdout,
        Ok(output) => bail!("{name}: ended with {}; its own message stands above", output.status),
        Err(error) => bail!("{python}: cannot be started: {error}; --python names another"),
    };
    match serde_json::from_slice(&output) {
        Ok(peer) => Ok(Some(peer)),
        Err(error) => bail!("{name}: printed no result: {error}; is it of this version?"),
    }
}
