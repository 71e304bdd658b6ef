//! Which exit code an error stands for.

use std::fmt;

/// The command line or the configuration is wrong.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Stopped by Ctrl-C.
#[derive(Debug)]
pub(crate) struct Interrupted(pub(crate) String);

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Interrupted {}

/// An error of the command line, to be returned with `?`.
pub(crate) fn usage(message: impl Into<String>) -> anyhow::Error {
    Usage(message.into()).into()
}

/// 1: the run failed. 2: the command line or the configuration is wrong. 130: stopped by Ctrl-C.
pub(crate) fn exit_code(error: &anyhow::Error) -> u8 {
    if error.is::<Usage>() {
        return 2;
    }
    if error.is::<Interrupted>() {
        return 130;
    }
    if let Some(error) = error.downcast_ref::<train::Error>() {
        return match error {
            train::Error::Interrupted { .. } => 130,
            error if error.is_usage() => 2,
            _ => 1,
        };
    }
    match error.downcast_ref::<events::Error>() {
        Some(error) if error.is_usage() => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_tell_the_causes_apart() {
        assert_eq!(exit_code(&usage("--seed")), 2);
        assert_eq!(exit_code(&anyhow::anyhow!("disk full")), 1);
        let interrupted = train::Error::Interrupted { checkpoint: "a".into() };
        assert_eq!(exit_code(&interrupted.into()), 130);
        assert_eq!(exit_code(&train::Error::NoData("nothing".into()).into()), 1);
        let setting = train::Training { epochs: 0, ..Default::default() }.validate().unwrap_err();
        assert_eq!(exit_code(&setting.into()), 2);
        let flag = "json".parse::<events::Format>().unwrap_err();
        assert_eq!(exit_code(&flag.into()), 2);
    }
}
