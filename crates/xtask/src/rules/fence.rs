//! The fence round `unsafe`.
//!
//! The compiler keeps `unsafe` out of a crate whose root forbids it. This rule keeps the attribute
//! there, and keeps the two exceptions, the SIMD kernels of `cpu` and the driver of `cuda`, where they
//! are.

use super::Findings;

const FORBID: &str = "#![forbid(unsafe_code)]";
const DENY: &str = "#![deny(unsafe_code)]";
const ALLOW: &str = "allow(unsafe_code)";
/// A crate root, the module that it opens, and where that lies.
const DOORS: [(&str, &str, &str); 2] = [
    ("crates/cpu/src/lib.rs", "mod simd;", "crates/cpu/src/simd"),
    ("crates/cuda/src/lib.rs", "mod driver;", "crates/cuda/src/driver.rs"),
];

/// Complains about a crate root without its attribute, and about an exception in the wrong place.
pub(super) fn check(name: &str, text: &str, findings: &mut Findings) {
    let excepted = DOORS.iter().any(|(root, ..)| name == *root);
    let wanted = if excepted { DENY } else { FORBID };
    if is_root(name) && !code_lines(text).any(|line| line == wanted) {
        findings.error(format!("{name} should say `{wanted}`"));
    }
    if may_allow(name) {
        return;
    }
    let lines: Vec<&str> = code_lines(text).collect();
    for (index, line) in lines.iter().enumerate() {
        let opens_a_door = DOORS.iter().any(|(root, module, _)| {
            name == *root && lines.get(index + 1).is_some_and(|next| next.ends_with(module))
        });
        // The quotes of this file's own tests are no attribute.
        if line.starts_with('#') && line.contains(ALLOW) && !opens_a_door {
            let doors: Vec<&str> = DOORS.iter().map(|(.., behind)| *behind).collect();
            findings.error(format!("{name} allows unsafe code: only {} may", doors.join(" and ")));
        }
    }
}

/// The files that rustc starts a crate from.
fn is_root(name: &str) -> bool {
    name == "crates/cli/main.rs" || name.ends_with("/src/lib.rs") || name.ends_with("/src/main.rs")
}

fn may_allow(name: &str) -> bool {
    let inside = |behind: &str| name.strip_prefix(behind).is_some_and(|rest| rest.starts_with('/'));
    DOORS.iter().any(|(.., behind)| name == *behind || inside(behind))
}

fn code_lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(name: &str, text: &str) -> Vec<String> {
        let mut findings = Findings::default();
        check(name, text, &mut findings);
        findings.errors
    }

    #[test]
    fn a_crate_root_without_the_attribute_is_named() {
        assert!(
            errors("crates/model/src/lib.rs", "//! Doc.\n#![forbid(unsafe_code)]\n").is_empty()
        );
        assert_eq!(
            errors("crates/model/src/lib.rs", "//! #![forbid(unsafe_code)]\nmod a;\n"),
            ["crates/model/src/lib.rs should say `#![forbid(unsafe_code)]`"]
        );
        assert!(errors("crates/model/src/stack.rs", "mod a;\n").is_empty());
        assert_eq!(errors("crates/cli/main.rs", "fn main() {}\n").len(), 1);
    }

    #[test]
    fn cpu_denies_and_opens_one_door() {
        let name = "crates/cpu/src/lib.rs";
        let lib = "#![deny(unsafe_code)]\n\n#[allow(unsafe_code)]\n";
        assert!(errors(name, &format!("{lib}pub(crate) mod simd;\n")).is_empty());
        assert_eq!(errors(name, &format!("{lib}mod gates;\n")).len(), 1);
        assert_eq!(errors(name, "mod simd;\n").len(), 1);
    }

    #[test]
    fn cuda_opens_its_driver_alone() {
        let name = "crates/cuda/src/lib.rs";
        let lib = "#![deny(unsafe_code)]\n\n#[allow(unsafe_code)]\n";
        assert!(errors(name, &format!("{lib}mod driver;\n")).is_empty());
        assert_eq!(errors(name, &format!("{lib}mod memory;\n")).len(), 1);
        assert!(errors("crates/cuda/src/driver.rs", "#[allow(unsafe_code)]\n").is_empty());
    }

    #[test]
    fn an_exception_outside_the_kernels_is_named() {
        let text = "#[allow(unsafe_code)]\nfn f() {}\n";
        assert_eq!(
            errors("crates/cpu/src/linear.rs", text),
            ["crates/cpu/src/linear.rs allows unsafe code: only crates/cpu/src/simd and \
              crates/cuda/src/driver.rs may"]
        );
        assert!(errors("crates/cpu/src/simd/avx2.rs", text).is_empty());
    }
}
