//! The machine: threads, memory, the device that does the arithmetic.

use anyhow::{Result, bail};

use crate::failure::usage;
use crate::settings::Settings;

/// Threads to use where none are asked for: physical cores, as far as this process may use them.
pub(crate) fn physical_cores() -> usize {
    let usable = std::thread::available_parallelism().map_or(1, usize::from);
    match siblings() {
        Some(per_core) if per_core > 1 => usable.div_ceil(per_core),
        _ => usable,
    }
}

/// Logical processors of a core, where Linux tells.
fn siblings() -> Option<usize> {
    let path = "/sys/devices/system/cpu/cpu0/topology/thread_siblings_list";
    let list = std::fs::read_to_string(path).ok()?;
    let mut count = 0;
    for part in list.trim().split(',') {
        count += match part.split_once('-') {
            Some((first, last)) => {
                let (first, last) = (first.parse::<usize>().ok()?, last.parse::<usize>().ok()?);
                last.checked_sub(first)? + 1
            }
            None => 1,
        };
    }
    Some(count)
}

/// The threads of a run.
pub(crate) fn threads(settings: &Settings) -> usize {
    settings.threads.map_or_else(physical_cores, usize::from)
}

/// The largest memory that this process has held, in bytes, where the system tells.
pub(crate) fn peak_rss() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// The memory that is free to take, in bytes, where the system tells.
pub(crate) fn memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// What the processor calls itself, where the system tells.
pub(crate) fn cpu_name() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    let name = line.split_once(':')?.1.split_whitespace().collect::<Vec<_>>().join(" ");
    (!name.is_empty()).then_some(name)
}

/// The size of the cache nearest to memory in bytes, where Linux tells.
pub(crate) fn last_level_cache() -> Option<u64> {
    let caches = std::fs::read_dir("/sys/devices/system/cpu/cpu0/cache").ok()?;
    let sizes = caches.flatten().filter_map(|cache| {
        let read = |name| std::fs::read_to_string(cache.path().join(name)).ok();
        let level: u32 = read("level")?.trim().parse().ok()?;
        let kibibytes: u64 = read("size")?.trim().strip_suffix('K')?.parse().ok()?;
        Some((level, kibibytes * 1024))
    });
    sizes.max().map(|(_, size)| size)
}

/// What computes.
pub(crate) type Machine = model::Cpu;

/// The machine that the settings ask for.
pub(crate) fn device(settings: &Settings) -> Result<Machine> {
    check_device(settings)?;
    Ok(Machine::new(threads(settings))?)
}

/// The instructions that a machine's kernels use.
pub(crate) fn kernel(machine: &Machine) -> &'static str {
    machine.machine().path().name()
}

/// All kernels that this machine could use.
pub(crate) fn kernels() -> Vec<&'static str> {
    cpu::Path::available().iter().map(cpu::Path::name).collect()
}

/// Checks what `--device` asks for against what there is.
pub(crate) fn check_device(settings: &Settings) -> Result<()> {
    let name = settings.device.as_deref().unwrap_or("auto");
    match name {
        "auto" | "cpu" => Ok(()),
        "cuda" => bail!(NO_CUDA),
        _ => match name.strip_prefix("cuda:").map(str::parse::<u16>) {
            Some(Ok(_)) => bail!(NO_CUDA),
            _ => Err(usage(format!("--device {name:?}: expected auto, cpu, cuda or cuda:N"))),
        },
    }
}

/// The number of the card that the settings ask for: the first one where they name none.
pub(crate) fn card_number(settings: &Settings) -> Result<usize> {
    let name = settings.device.as_deref().unwrap_or("auto");
    match name.strip_prefix("cuda:").map(str::parse::<u16>) {
        Some(Ok(number)) => Ok(usize::from(number)),
        None if matches!(name, "auto" | "cuda") => Ok(0),
        _ => Err(usage(format!("--device {name:?}: a card is asked for; expected cuda or cuda:N"))),
    }
}

const NO_CUDA: &str = "--device cuda: on a card this version runs bench sequence and gpu-check; models are \
                       trained and asked on the CPU: use --device cpu";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_there_unknown_or_missing() {
        let check = |name: &str| {
            check_device(&Settings { device: Some(name.to_owned()), ..Settings::default() })
        };
        assert!(check("auto").is_ok() && check("cpu").is_ok());
        assert_eq!(crate::failure::exit_code(&check("tpu").unwrap_err()), 2);
        assert_eq!(crate::failure::exit_code(&check("cuda:x").unwrap_err()), 2);
        assert_eq!(crate::failure::exit_code(&check("cuda:1").unwrap_err()), 1);
    }

    #[test]
    fn there_is_at_least_one_core() {
        assert!(physical_cores() >= 1);
    }
}
