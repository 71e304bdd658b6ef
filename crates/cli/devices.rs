//! `tidegate devices`: which machines and kernels this program can use.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use crate::args::Common;
use crate::machine::{device, kernel, kernels, physical_cores, threads};
use crate::output::{print, print_json};
use crate::settings::Settings;

pub(crate) fn run(common: &Common) -> Result<()> {
    let settings = Settings::load(common, None)?;
    let cpu = device(&settings)?;
    let (kernel, available) = (kernel(&cpu), kernels());
    let threads = threads(&settings);
    let peak = cpu.machine().peak(Duration::from_millis(500)) / 1e9;
    if settings.json {
        let cpu = json!({
            "name": "cpu",
            "kernel": kernel,
            "kernels": available,
            "threads": threads,
            "peak_gflops": peak,
            "physical_cores": physical_cores(),
        });
        return print_json(&json!({ "devices": [cpu] }));
    }
    let others: Vec<_> = available.iter().filter(|&&name| name != kernel).copied().collect();
    let others = match others.is_empty() {
        true => String::new(),
        false => format!(" (TIDEGATE_SIMD can force {})", others.join(", ")),
    };
    let threads = match threads {
        1 => "1 thread".to_owned(),
        n => format!("{n} threads"),
    };
    print(&format!(
        "  cpu   {kernel}, {threads}, FMA peak {peak:.0} GFLOP/s{others}\n  cuda  not in this version\n"
    ))
}
