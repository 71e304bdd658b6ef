//! The steps of `cargo xtask check`, cheapest first.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::{rules, tree};

/// What the command line asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Options {
    skip_tests: bool,
    skip_missing: bool,
}

impl Options {
    /// Reads the flags after `check`; an unknown one comes back as the error.
    pub(crate) fn parse<'a>(flags: &[&'a str]) -> Result<Self, &'a str> {
        let mut options = Self::default();
        for &flag in flags {
            match flag {
                "--skip-tests" => options.skip_tests = true,
                "--skip-missing" => options.skip_missing = true,
                _ => return Err(flag),
            }
        }
        Ok(options)
    }
}

/// One call of cargo.
struct Step {
    name: &'static str,
    arguments: &'static str,
    /// A variable of the environment, as a shell would set it.
    variable: Option<(&'static str, &'static str)>,
    /// The rustup component that the step needs, beyond cargo and rustc.
    component: Option<&'static str>,
}

const FMT: Step = Step {
    name: "fmt",
    arguments: "fmt --all --check",
    variable: None,
    component: Some("rustfmt"),
};
const CLIPPY: Step = Step {
    name: "clippy",
    arguments: "clippy --workspace --all-targets -- -D warnings",
    variable: None,
    component: Some("clippy"),
};
const TESTS: Step = Step { name: "tests", arguments: "test", variable: None, component: None };
const DOCS: Step = Step {
    name: "docs",
    arguments: "doc --workspace --no-deps --document-private-items",
    variable: Some(("RUSTDOCFLAGS", "-D warnings")),
    component: None,
};
const BENCHES: Step =
    Step { name: "benches", arguments: "bench --no-run", variable: None, component: None };

impl Step {
    /// The line a reader types to run this step alone.
    fn command_line(&self) -> String {
        let variable = self.variable.map(|(name, value)| format!("{name}=\"{value}\" "));
        format!("{}cargo {}", variable.unwrap_or_default(), self.arguments)
    }

    fn command(&self, root: &Path) -> Command {
        let mut command = cargo(root);
        command.args(self.arguments.split(' '));
        command.envs(self.variable);
        command
    }

    fn installed(&self, root: &Path) -> bool {
        self.component.is_none() || {
            let mut command = cargo(root);
            command.args([self.name, "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        }
    }
}

fn cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    command
}

/// Runs every step that the options leave in, and stops at the first that fails.
pub(crate) fn run(options: Options) -> Result<()> {
    let root = tree::root()?;
    let mut done: Vec<(&str, String)> = Vec::new();

    let begin = Instant::now();
    announce("rules", "cargo xtask rules");
    rules::run()?;
    done.push(("rules", seconds(begin)));

    for step in [&FMT, &CLIPPY, &TESTS, &DOCS, &BENCHES] {
        if options.skip_tests && step.name == TESTS.name {
            done.push((step.name, "left out (--skip-tests)".to_owned()));
            continue;
        }
        announce(step.name, &step.command_line());
        if let Some(component) = step.component.filter(|_| !step.installed(&root)) {
            let what = format!("{component} is not installed (`rustup component add {component}`)");
            if !options.skip_missing {
                bail!("{what}");
            }
            eprintln!("skipped: {what}");
            done.push((step.name, format!("SKIPPED: {what}")));
            continue;
        }
        let begin = Instant::now();
        let status = step.command(&root).status().context("starting cargo")?;
        if !status.success() {
            let again = step.command_line();
            bail!("{} failed after {}; run it again with\n    {again}", step.name, seconds(begin));
        }
        done.push((step.name, seconds(begin)));
    }

    println!();
    for (name, outcome) in done {
        println!("{name:<8} {outcome:>9}");
    }
    Ok(())
}

fn announce(name: &str, command_line: &str) {
    println!("\n== {name}: {command_line}");
}

fn seconds(begin: Instant) -> String {
    format!("{:.1} s", begin.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_read_and_an_unknown_one_is_named() {
        let both = Options { skip_tests: true, skip_missing: true };
        assert_eq!(Options::parse(&["--skip-missing", "--skip-tests"]), Ok(both));
        assert_eq!(Options::parse(&["--skip-test"]), Err("--skip-test"));
    }

    #[test]
    fn the_line_to_run_again_holds_the_environment() {
        assert_eq!(
            DOCS.command_line(),
            "RUSTDOCFLAGS=\"-D warnings\" cargo doc --workspace --no-deps --document-private-items"
        );
    }

    #[test]
    fn a_component_that_no_toolchain_has_is_missed() {
        let step = Step { name: "no-such-tool", component: Some("no-such-tool"), ..FMT };
        assert!(!step.installed(Path::new(".")));
        assert!(TESTS.installed(Path::new(".")));
    }
}
