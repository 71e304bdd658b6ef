//! `tidegate devices`: which machines and kernels this program can use.

use std::time::Duration;

use anyhow::Result;
use cuda::CardInfo;
use serde_json::{Value, json};

use crate::args::Common;
use crate::machine::{device, kernel, kernels, physical_cores, threads};
use crate::output::{bytes, print, print_json};
use crate::settings::Settings;

pub(crate) fn run(common: &Common) -> Result<()> {
    let settings = Settings::load(common, None)?;
    let cpu = device(&settings)?;
    let (kernel, available) = (kernel(&cpu), kernels());
    let threads = threads(&settings);
    let peak = cpu.machine().peak(Duration::from_millis(500)) / 1e9;
    let cards = cuda::cards();
    if settings.json {
        let cpu = json!({
            "name": "cpu",
            "kernel": kernel,
            "kernels": available,
            "threads": threads,
            "peak_gflops": peak,
            "physical_cores": physical_cores(),
        });
        let found = cards.as_ref().map_or(&[][..], Vec::as_slice);
        let devices: Vec<_> = std::iter::once(cpu).chain(found.iter().map(card_json)).collect();
        let why_none = cards.as_ref().err().map(ToString::to_string);
        return print_json(&json!({ "devices": devices, "cuda_missing": why_none }));
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
    let mut text = format!("  cpu     {kernel}, {threads}, FMA peak {peak:.0} GFLOP/s{others}\n");
    match cards {
        Ok(cards) => cards.iter().for_each(|card| text += &line(card)),
        Err(error) => text += &format!("  cuda    none: {error}\n"),
    }
    print(&text)
}

/// A card as scripts read it.
fn card_json(card: &CardInfo) -> Value {
    json!({
        "name": format!("cuda:{}", card.ordinal),
        "card": card.name,
        "capability": format!("{}.{}", card.capability.0, card.capability.1),
        "memory": card.memory,
        "multiprocessors": card.multiprocessors,
        "driver_cuda": format!("{}.{}", card.driver / 1000, card.driver % 1000 / 10),
        "cublas": cuda::has_cublas(),
    })
}

/// A card as people read it.
fn line(card: &CardInfo) -> String {
    let CardInfo { ordinal, name, capability: (major, minor), memory, multiprocessors, .. } = card;
    let products = if cuda::has_cublas() { "cuBLAS" } else { "no cuBLAS: own products" };
    format!(
        "  cuda:{ordinal}  {name}, {}, {multiprocessors} multiprocessors, compute capability \
         {major}.{minor}, {products}; gpu-check and bench sequence run there\n",
        bytes(*memory as u64)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_is_told_in_one_line_and_in_json() {
        let card = CardInfo {
            ordinal: 1,
            name: "a card".into(),
            capability: (9, 0),
            memory: 80 << 30,
            multiprocessors: 132,
            driver: 13_000,
        };
        assert!(line(&card).starts_with("  cuda:1  a card, "), "{}", line(&card));
        let json = card_json(&card);
        assert_eq!((&json["name"], &json["driver_cuda"]), (&json!("cuda:1"), &json!("13.0")));
    }
}
