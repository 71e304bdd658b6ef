//! What gpu-check has found, for scripts and for people.

use cuda::Gpu;
use serde::Serialize;

use super::parity::Comparison;
use super::peer::Peer;
use super::timing::Mode;
use crate::bench::shape::Shape;
use crate::bench::timing::median_and_spread;
use crate::output::{Style, Table};

/// The formats of PyTorch that stand in the table, in this order.
const DTYPES: [&str; 4] = ["fp32", "tf32", "bf16", "fp16"];

/// One time of ours.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Time {
    shape: String,
    mode: &'static str,
    kernels: &'static str,
    median_s: f64,
    spread: f64,
    gflops: f64,
    steps: usize,
    samples_s: Vec<f64>,
}

impl Time {
    pub(super) fn new(
        shape: &Shape,
        mode: Mode,
        kernels: &'static str,
        samples_s: Vec<f64>,
    ) -> Self {
        let (median_s, spread) = median_and_spread(&samples_s);
        let ways = if mode == Mode::Training { 3.0 } else { 1.0 };
        let flop =
            ways * 8.0 * shape.positions() * (shape.hidden * (shape.input + shape.hidden)) as f64;
        Self {
            shape: shape.text.clone(),
            mode: mode.name(),
            kernels,
            median_s,
            spread,
            gflops: flop / median_s / 1e9,
            steps: shape.steps,
            samples_s,
        }
    }

    pub(super) fn line(&self) -> String {
        let Self { shape, mode, kernels, median_s, gflops, .. } = self;
        format!("{shape} {mode} {kernels}: {:.3} ms, {gflops:.0} GFLOP/s", 1e3 * median_s)
    }
}

/// Everything.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Report {
    version: &'static str,
    card: String,
    capability: String,
    driver: i32,
    multiprocessors: usize,
    memory: usize,
    cublas: bool,
    comparisons: Vec<Comparison>,
    times: Vec<Time>,
    peer: Option<Peer>,
}

impl Report {
    pub(super) fn new(
        gpu: &Gpu,
        comparisons: Vec<Comparison>,
        times: Vec<Time>,
        peer: Option<Peer>,
    ) -> Self {
        let info = gpu.info();
        Self {
            version: env!("CARGO_PKG_VERSION"),
            card: info.name.clone(),
            capability: format!("{}.{}", info.capability.0, info.capability.1),
            driver: info.driver,
            multiprocessors: info.multiprocessors,
            memory: info.memory,
            cublas: cuda::Card::has_products(gpu),
            comparisons,
            times,
            peer,
        }
    }

    /// Comparisons that have not passed.
    pub(super) fn failures(&self) -> usize {
        self.comparisons.iter().filter(|comparison| !comparison.passed).count()
    }

    /// The tables for people.
    pub(super) fn render(&self, style: Style) -> String {
        let Self { card, capability, driver, multiprocessors, .. } = self;
        let (major, minor) = (driver / 1000, driver % 1000 / 10);
        let products = if self.cublas { "cuBLAS" } else { "own products (no cuBLAS found)" };
        let mut text = format!(
            "  {card}, compute capability {capability}, {multiprocessors} multiprocessors, CUDA \
             {major}.{minor}, {products}\n\n"
        );
        let mut table = Table::left(["kernels", "shape", "closest", "of allowance"]);
        for comparison in &self.comparisons {
            let Comparison { kernels, shape, tensor, share, passed } = comparison;
            let share = format!("{:.0} %", 100.0 * share);
            let row = [(*kernels).to_owned(), shape.clone(), (*tensor).to_owned(), share];
            if *passed { table.row(row) } else { table.bold_row(row) }
        }
        text += &table.render(style);
        text += &match self.failures() {
            0 => format!("\n  {} comparisons, none failed\n", self.comparisons.len()),
            n => format!("\n  {n} of {} comparisons FAILED\n", self.comparisons.len()),
        };
        if !self.times.is_empty() {
            text += &self.render_times(style);
        }
        text
    }

    fn render_times(&self, style: Style) -> String {
        let ours = ["auto", "v2", "v3"];
        let mut heading = vec!["shape".to_owned(), "mode".to_owned()];
        heading.extend(ours.iter().map(|kernels| format!("ours {kernels}")));
        heading.push("us a step".to_owned());
        if self.peer.is_some() {
            heading.extend(DTYPES.iter().map(|dtype| format!("torch {dtype}")));
            heading.push("fp32 / ours".to_owned());
        }
        let mut table = Table::left(heading);
        for auto in self.times.iter().filter(|time| time.kernels == "auto") {
            let of = |kernels: &str| {
                let same = |time: &&Time| {
                    time.shape == auto.shape && time.mode == auto.mode && time.kernels == kernels
                };
                self.times.iter().find(same).map(|time| time.median_s)
            };
            let mut row = vec![auto.shape.clone(), auto.mode.to_owned()];
            row.extend(ours.iter().map(|kernels| milliseconds(of(kernels))));
            row.push(format!("{:.2}", 1e6 * auto.median_s / auto.steps as f64));
            if let Some(peer) = &self.peer {
                let of = |dtype: &str| {
                    let same = |result: &&super::peer::PeerResult| {
                        result.shape == auto.shape
                            && result.mode == auto.mode
                            && result.dtype == dtype
                    };
                    peer.results.iter().find(same).map(|result| result.median_s)
                };
                row.extend(DTYPES.iter().map(|dtype| milliseconds(of(dtype))));
                let ratio = of("fp32").map(|torch| format!("{:.2}", torch / auto.median_s));
                row.push(ratio.unwrap_or_else(|| "-".to_owned()));
            }
            table.row(row);
        }
        let peer =
            self.peer.as_ref().map_or(String::new(), |peer| format!("; torch: {}", peer.name));
        let note = format!(
            "\n  milliseconds, medians of samples of many calls; ours in f32 without TF32{peer}\n"
        );
        format!("\n{}{}", table.render(style), style.dim(&note))
    }
}

fn milliseconds(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{:.3}", 1e3 * seconds))
}
