//! `tidegate segment`: which kinds of users there are.
use anyhow::Result;

use crate::args::{Common, Segment};

pub(crate) fn run(_: &Common, _: &Segment) -> Result<()> {
    Ok(())
}
