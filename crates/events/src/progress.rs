//! How far reading has come, for whoever waits.

/// What is being done with a log, and how far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Files are read.
    Reading {
        /// Bytes of them that were read, as they lie on the disk.
        bytes: u64,
        /// Bytes of all of them; none where standard input is one.
        of: Option<u64>,
        /// Events so far.
        events: u64,
    },
    /// The events of each user are put in order.
    Grouping {
        /// Parts of the log that are done.
        parts: u64,
        /// All of them.
        of: u64,
    },
    /// Sessions are written.
    Writing {
        /// Events that were written.
        events: u64,
        /// All of them.
        of: u64,
    },
}

/// Is told now and then; must come back at once.
pub type Watch<'a> = &'a mut dyn FnMut(Progress);
