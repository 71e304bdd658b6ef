//! The operations of the reference, fast: the same names (a whole layer's are `recurrent_…` here
//! and `sequence_…` there), the same meaning, in f32.
//!
//! [`Cpu`] holds the threads, the path (which vector instructions) and scratch memory that is used
//! again. Each operation is a method; where the equations are asked for, look under the same name
//! in `reference`, against which every one of them is tested.
//!
//! What makes it fast, in the order in which it was found to matter:
//!
//! * `panel` and `product`: weights are laid out once per call the way a micro-kernel reads them;
//!   the kernel holds a tile of the result in registers while k runs.
//! * `recurrent`: the gates of a unit lie side by side in a panel, so that the cell's equations are
//!   the epilogue of the products, whatever the cell; a thread takes some rows of the batch through all
//!   steps and waits for nobody, or, where rows are few and weights large, threads share the units
//!   of each step; everything that need not be serial (weight gradients, the input's gradient) is
//!   a large product outside the time loop, taken while its operands are in the caches.
//! * `stream`: one step for one user. For answers, as here, weights are packed once.
//! * `softmax`: scores, loss and both gradients for a block of positions at a time.
//! * `top`: the best items of each row, found among scores that never leave the caches.
//!
//! Every sum has one order, which depends on the shape alone: the same input gives the same bits on
//! one path, for any number of threads, however the work was cut. Heavy tasks are handed out one
//! by one (`with_max_len(1)`): left to itself, rayon gives a thread several at a time, and the
//! others wait for it at the end of every section.

#![deny(unsafe_code)]

mod attention;
mod directions;
mod embedding;
mod linear;
mod losses;
mod math;
mod optimizer;
mod panel;
mod peak;
mod product;
mod recurrent;
mod scores;
mod scratch;
mod simd;
mod softmax;
mod stream;
mod top;

pub use recurrent::PackedRecurrent;
pub use simd::{PATH_VARIABLE, Path, PathError};
pub use stream::RecurrentState;

use scratch::Scratch;

/// The processor as a machine that runs the model.
#[derive(Debug)]
pub struct Cpu {
    path: Path,
    pool: rayon::ThreadPool,
    scratch: Scratch,
}

/// No [`Cpu`] could be made.
#[derive(Debug, thiserror::Error)]
pub enum CpuError {
    /// `TIDEGATE_SIMD` names a path that this machine does not have.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The system gave no threads.
    #[error("cannot start {threads} threads ({source}); try fewer")]
    Threads {
        /// How many were asked for.
        threads: usize,
        /// What the system said.
        source: rayon::ThreadPoolBuildError,
    },
}

impl Cpu {
    /// A machine of `threads` threads on the best path, or on the one that `TIDEGATE_SIMD` names.
    ///
    /// # Errors
    ///
    /// [`CpuError`] where the path does not exist here or no threads can be had.
    pub fn new(threads: usize) -> Result<Self, CpuError> {
        Self::with_path(threads, Path::detect()?)
    }

    /// A machine of `threads` threads on a path of its own.
    ///
    /// # Errors
    ///
    /// [`CpuError::Threads`] where no threads can be had.
    pub fn with_path(threads: usize, path: Path) -> Result<Self, CpuError> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads.max(1))
            .thread_name(|k| format!("tidegate-{k}"))
            .build()
            .map_err(|source| CpuError::Threads { threads, source })?;
        Ok(Self { path, pool, scratch: Scratch::default() })
    }

    /// Which instructions the kernels use.
    pub fn path(&self) -> Path {
        self.path
    }

    /// Number of threads.
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// Runs `work` on this machine's threads. Operations called outside of it use the threads of
    /// whoever calls.
    pub fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.pool.install(work)
    }

    /// Does two things that do not need each other, at once where there are threads for it.
    pub fn at_once(&self, first: impl FnOnce() + Send, second: impl FnOnce() + Send) {
        self.run(|| rayon::join(first, second));
    }
}
