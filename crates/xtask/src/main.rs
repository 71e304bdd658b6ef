//! The checks of the repository, as a program: `cargo xtask check`.
//!
//! `check` runs the steps, `rules` holds what no other tool looks at, `tree` reads the repository
//! for both.

#![forbid(unsafe_code)]

mod check;
mod rules;
mod tree;

use std::process::ExitCode;

const HELP: &str = "\
The checks of the repository, cheapest first; the first failure ends the run.

Usage: cargo xtask check [--skip-tests] [--skip-missing]
       cargo xtask rules

Commands:
  check    rules, fmt, clippy, tests, docs, benches compile
  rules    the house rules alone: file lengths, the fence round `unsafe`, arrows between crates,
           the code map, what is committed

Options:
  --skip-tests      leave out `cargo test`
  --skip-missing    where rustfmt or clippy is not installed, say so and go on
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
