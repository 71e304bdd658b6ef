//! A source file has one subject.

use super::Findings;

/// Past this, look for a second subject.
const WARN: usize = 400;
/// Past this, there is one.
const LIMIT: usize = 600;

/// Complains about a source file of too many lines.
pub(super) fn check(name: &str, text: &str, findings: &mut Findings) {
    let lines = text.lines().count();
    if lines > LIMIT {
        findings.error(format!("{name} has {lines} lines, more than {LIMIT}: split it by subject"));
    } else if lines > WARN {
        findings
            .warning(format!("{name} has {lines} lines: past {WARN}, look for a second subject"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_401st_line_warns_and_the_601st_fails() {
        for (lines, errors, warnings) in [(400, 0, 0), (401, 0, 1), (600, 0, 1), (601, 1, 0)] {
            let mut findings = Findings::default();
            check("crates/a/src/b.rs", &"x\n".repeat(lines), &mut findings);
            assert_eq!((findings.errors.len(), findings.warnings.len()), (errors, warnings));
        }
    }
}
