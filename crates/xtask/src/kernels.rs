//! `cargo xtask kernels`: the kernels of `kernels/*.cu` as PTX.
//!
//! The PTX is committed, so that neither a build nor a user needs CUDA's toolkit. Its first line holds a
//! hash of what it was made from; a test of crate `cuda` holds that against the sources. Here the sources
//! are compiled: by NVIDIA's compiler in one version, which comes from PyPI into a folder that git
//! ignores, so that everybody gets the same bytes.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::tree;

/// Where the compiler is unpacked.
const FOLDER: &str = "target-nvcc";
/// Its parts, each in one version: newer ones make PTX that a driver 580 refuses.
const PACKAGES: [&str; 5] = [
    "nvidia-cuda-nvcc==13.0.88",
    "nvidia-cuda-crt==13.0.88",
    "nvidia-nvvm==13.0.88",
    "nvidia-cuda-runtime==13.0.96",
    "nvidia-cuda-cccl==13.0.85",
];
/// The files of kernels, and what all of them include.
const SOURCES: [&str; 3] = ["linear", "lstm", "lstm_sequence"];
const SHARED: &str = "common.cuh";
/// What PTX is made for; a driver makes machine code of it for any newer card.
const TARGET: &str = "compute_75";
/// Cards that the report looks at.
const REPORTED: [&str; 3] = ["sm_75", "sm_80", "sm_90"];
/// Registers, spills and shared memory of every kernel.
const REPORT: &str = "resources.txt";

/// What the command line asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    /// Writes PTX and report.
    Write,
    /// Compares them with what is there; where the compiler cannot be had, says so and goes on if it may.
    Check {
        /// Whether it may.
        skip_missing: bool,
    },
}

/// Compiles all kernels, and writes or compares.
pub(crate) fn run(task: Task) -> Result<()> {
    let root = tree::root()?;
    let compiler = match compiler(&root) {
        Err(error) if task == (Task::Check { skip_missing: true }) => {
            eprintln!("skipped: NVIDIA's compiler cannot be had: {error:#}");
            return Ok(());
        }
        compiler => compiler?,
    };
    let folder = root.join("kernels");
    let shared = read(&folder.join(SHARED))?;
    let mut stale = Vec::new();
    let mut report = String::from(
        "Registers, spills and shared memory of every kernel, as ptxas 13.0 reports them. The dynamic\n\
         shared memory of the persistent kernels comes on top: crates/cuda/src/plan.rs. Made by\n\
         `cargo xtask kernels`.\n",
    );
    let work = root.join(FOLDER).join("work");
    std::fs::create_dir_all(&work).context("making a folder for the compiler")?;
    for name in SOURCES {
        let source = folder.join(name).with_extension("cu");
        let made = work.join(name).with_extension("ptx");
        let mut nvcc = Command::new(compiler.join("nvcc"));
        nvcc.arg(format!("-arch={TARGET}"))
            .args(["-std=c++17", "-ptx", "-o"])
            .arg(&made)
            .arg(&source);
        output(&mut nvcc)?;
        let hash = hash(&[&read(&source)?, &shared]);
        let text =
            format!("// made by `cargo xtask kernels` from {name}.cu {hash}\n{}", read(&made)?);
        put(task, &folder.join(name).with_extension("ptx"), &text, &mut stale)?;
        for card in REPORTED {
            let mut ptxas = Command::new(compiler.join("ptxas"));
            ptxas.arg("-v").arg(format!("-arch={card}")).arg(&made).args(["-o", "/dev/null"]);
            report += &resources(name, card, &output(&mut ptxas)?);
        }
    }
    put(task, &folder.join(REPORT), &report, &mut stale)?;
    if !stale.is_empty() {
        bail!("not what the sources make: {}; run `cargo xtask kernels`", stale.join(", "));
    }
    Ok(())
}

fn put(task: Task, path: &Path, text: &str, stale: &mut Vec<String>) -> Result<()> {
    if task == Task::Write {
        return std::fs::write(path, text).with_context(|| format!("writing {}", path.display()));
    }
    // A file that is missing is as stale as one of last year.
    if std::fs::read_to_string(path).is_ok_and(|found| found == text) {
        return Ok(());
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    stale.push(name.unwrap_or_default());
    Ok(())
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

/// The folder of nvcc and ptxas; fetched from PyPI where it is not there yet.
fn compiler(root: &Path) -> Result<PathBuf> {
    let folder = root.join(FOLDER);
    let python = folder.join("bin/python");
    let unpacked = folder.join(format!("unpacked-{}", hash(&PACKAGES)));
    if !unpacked.is_file() {
        eprintln!("fetching NVIDIA's compiler from PyPI into {FOLDER}");
        output(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        output(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(PACKAGES))?;
        std::fs::write(&unpacked, "").context("noting what was fetched")?;
    }
    let purelib = "import sysconfig; print(sysconfig.get_path('purelib'))";
    let site = output(Command::new(&python).args(["-c", purelib]))?;
    Ok(Path::new(site.trim()).join("nvidia/cu13/bin"))
}

/// What a program prints, on both ways together.
fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("starting {name}"))?;
    let (out, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        bail!("{name} failed:\n{out}{errors}");
    }
    Ok(format!("{out}{errors}"))
}

/// FNV-1a of the texts, each with its length: enough to tell that one has changed.
fn hash(texts: &[impl AsRef<str>]) -> String {
    let lengths = texts.iter().flat_map(|text| (text.as_ref().len() as u64).to_le_bytes());
    let bytes = lengths.chain(texts.iter().flat_map(|text| text.as_ref().bytes()));
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// The lines of ptxas that matter, one a kernel.
fn resources(file: &str, card: &str, printed: &str) -> String {
    let mut text = format!("\n{file}.cu, {card}\n");
    let (mut kernel, mut spills) = ("", "");
    let mut lines = Vec::new();
    for line in printed.lines() {
        if let Some((_, rest)) = line.split_once("Compiling entry function '") {
            kernel = rest.split('\'').next().unwrap_or("");
        } else if line.contains("spill stores") {
            spills = line.trim();
        } else if let Some((_, used)) = line.split_once("Used ") {
            lines.push(format!("  {kernel:<30} {used}; {spills}"));
        }
    }
    lines.sort();
    for line in lines {
        let _ = writeln!(text, "{line}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_text_or_a_moved_border_has_another_hash() {
        assert_eq!(hash(&["a", "b"]), hash(&["a", "b"]));
        assert_ne!(hash(&["a", "b"]), hash(&["a", "c"]));
        assert_ne!(hash(&["ab", ""]), hash(&["a", "b"]));
    }

    #[test]
    fn a_report_has_a_line_a_kernel() {
        let printed = "\
ptxas info    : Compiling entry function 'second' for 'sm_90'
ptxas info    : Function properties for second
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 40 registers, used 1 barriers
ptxas info    : Compiling entry function 'first' for 'sm_90'
    8 bytes stack frame, 8 bytes spill stores, 8 bytes spill loads
ptxas info    : Used 64 registers
";
        let text = resources("a", "sm_90", printed);
        let first = format!(
            "  {:<30} 64 registers; 8 bytes stack frame, 8 bytes spill stores, 8 bytes spill loads",
            "first"
        );
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines[1], lines[2]), ("a.cu, sm_90", first.as_str()));
        assert!(lines[3].contains("second") && lines.len() == 4, "{text}");
    }

    const CHECK: Task = Task::Check { skip_missing: false };

    #[test]
    fn a_file_that_differs_or_is_missing_is_stale() {
        let folder = tempfile::tempdir().unwrap();
        let (path, mut stale) = (folder.path().join("a.ptx"), Vec::new());
        put(CHECK, &path, "new", &mut stale).unwrap();
        put(Task::Write, &path, "new", &mut stale).unwrap();
        put(CHECK, &path, "new", &mut stale).unwrap();
        put(CHECK, &path, "newer", &mut stale).unwrap();
        assert_eq!(stale, ["a.ptx", "a.ptx"]);
    }
}
