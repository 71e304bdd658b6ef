//! The checks of the repository, as a program: `cargo xtask check`.
//!
//! `check` runs the steps, `rules` holds what no other tool looks at, `kernels` compiles the CUDA
//! kernels, `tree` reads the repository for all.

#![forbid(unsafe_code)]

mod check;
mod kernels;
mod rules;
mod tree;

use std::process::ExitCode;

const HELP: &str = "\
The checks of the repository, cheapest first; the first failure ends the run.

Usage: cargo xtask check [--skip-tests] [--skip-missing]
       cargo xtask rules
       cargo xtask kernels [--check [--skip-missing]]

Commands:
  check    rules, fmt, clippy, tests, docs, benches compile
  rules    the house rules alone: file lengths, the fence round `unsafe`, arrows between crates,
           the code map, what is committed
  kernels  the CUDA kernels compiled to PTX by nvcc, which is fetched from PyPI into target-nvcc; with
           --check only compared with what is committed

Options:
  --skip-tests      leave out `cargo test`
  --skip-missing    where rustfmt, clippy or nvcc cannot be had, say so and go on
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["check", flags @ ..] => match check::Options::parse(flags) {
            Ok(options) => check::run(options),
            Err(flag) => return misused(&format!("`check` has no option `{flag}`")),
        },
        ["rules"] => rules::run(),
        ["kernels"] => kernels::run(kernels::Task::Write),
        ["kernels", "--check"] => kernels::run(kernels::Task::Check { skip_missing: false }),
        ["kernels", "--check", "--skip-missing"] => {
            kernels::run(kernels::Task::Check { skip_missing: true })
        }
        [] | ["-h" | "--help" | "help"] => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        [other, ..] => return misused(&format!("there is no command `{other}`")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(1)
        }
    }
}

fn misused(what: &str) -> ExitCode {
    eprintln!("xtask: {what}\n\n{HELP}");
    ExitCode::from(2)
}
