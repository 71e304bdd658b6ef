//! What a card must be able to do: memory and launches.
//!
//! Two things are cards: a GPU ([`crate::Gpu`]), and the host shim of the tests, which runs the same
//! kernels on a processor. Everything above this file (grids, the order of launches, which kernel for
//! which shape) is therefore tested on machines without a GPU.

use std::fmt::Debug;

use crate::{Error, Kernel};

/// What the launches are planned by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Multiprocessors.
    pub multiprocessors: usize,
    /// Bytes of shared memory that a block may have.
    pub shared_bytes: usize,
    /// Threads of a block of the persistent kernels.
    pub threads: usize,
    /// Whether all blocks of a launch can be on the card at once, if there are few enough.
    pub cooperative: bool,
}

/// How a kernel is spread over the card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// Blocks across and down.
    pub blocks: [usize; 2],
    /// Threads of a block across and down.
    pub threads: [usize; 2],
    /// Bytes of dynamic shared memory.
    pub shared_bytes: usize,
    /// Whether blocks wait for each other, and so must all be on the card at once.
    pub cooperative: bool,
}

/// An argument of a kernel. `reach` is how many entries, from the first, the kernel may touch in this
/// launch: a card refuses a launch that reaches beyond a buffer.
#[derive(Debug)]
pub enum Argument<'a, C: Card + ?Sized> {
    /// `const float*`
    Floats {
        /// The buffer.
        buffer: &'a C::Floats,
        /// Entries that may be touched.
        reach: usize,
    },
    /// `float*`
    FloatsMut {
        /// The buffer.
        buffer: &'a mut C::Floats,
        /// Entries that may be touched.
        reach: usize,
    },
    /// `const int*`
    Ints {
        /// The buffer.
        buffer: &'a C::Ints,
        /// Entries that may be touched.
        reach: usize,
    },
    /// `int`
    Number(i32),
}

impl<C: Card + ?Sized> Argument<'_, C> {
    /// The letter of its kind in [`Kernel::signature`].
    pub fn kind(&self) -> char {
        match self {
            Self::Floats { .. } => 'f',
            Self::FloatsMut { .. } => 'F',
            Self::Ints { .. } => 'k',
            Self::Number(_) => 'n',
        }
    }
}

/// Which of the three products with a weight matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Product {
    /// `y = x·wᵀ`, or `y += x·wᵀ`.
    Forward {
        /// Whether y is added to.
        add: bool,
    },
    /// `dx = dy·w`
    BackwardInput,
    /// `dw += dyᵀ·x`
    BackwardWeights,
}

/// The sizes of a product, and the first rows of its operands that take part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProductSizes {
    /// Rows N of x, y, dx and dy.
    pub rows: usize,
    /// Columns O of y and dy, rows of w.
    pub outputs: usize,
    /// Columns I of x, dx and w.
    pub inputs: usize,
    /// First row of x or dx.
    pub x_first: usize,
    /// First row of y or dy.
    pub y_first: usize,
}

/// A card: memory of its own, and launches in the order in which they are asked for.
pub trait Card: Debug {
    /// Memory of f32.
    type Floats: Debug + 'static;
    /// Memory of i32.
    type Ints: Debug + 'static;

    /// What launches are planned by.
    fn limits(&self) -> Limits;
    /// Room for so many f32, which hold anything.
    ///
    /// # Errors
    ///
    /// Where there is no such room.
    fn floats(&self, len: usize) -> Result<Self::Floats, Error>;
    /// Room for so many i32, which hold anything.
    ///
    /// # Errors
    ///
    /// Where there is no such room.
    fn ints(&self, len: usize) -> Result<Self::Ints, Error>;
    /// Entries of a buffer.
    fn len(&self, buffer: &Self::Floats) -> usize;
    /// Copies `values` to the front of a buffer.
    ///
    /// # Errors
    ///
    /// What the driver says.
    fn write(&self, to: &mut Self::Floats, values: &[f32]) -> Result<(), Error>;
    /// Copies `values` to the front of a buffer.
    ///
    /// # Errors
    ///
    /// What the driver says.
    fn write_ints(&self, to: &mut Self::Ints, values: &[i32]) -> Result<(), Error>;
    /// Copies the front of a buffer, once all launches before have ended.
    ///
    /// # Errors
    ///
    /// What the driver says, of this copy or of a launch before it.
    fn read(&self, from: &Self::Floats, values: &mut [f32]) -> Result<(), Error>;
    /// Sets all of a buffer to zero.
    ///
    /// # Errors
    ///
    /// What the driver says.
    fn zero(&self, buffer: &mut Self::Floats) -> Result<(), Error>;
    /// Sets every bit of a buffer from entry `first` to its end: what the persistent kernels wait for is
    /// anything else.
    ///
    /// # Errors
    ///
    /// What the driver says.
    fn unset(&self, buffer: &mut Self::Floats, first: usize) -> Result<(), Error>;
    /// Starts a kernel.
    ///
    /// # Errors
    ///
    /// Where the arguments are not the kernel's, where one reaches beyond its buffer, or what the
    /// driver says.
    fn launch(
        &self,
        kernel: Kernel,
        grid: Grid,
        arguments: &mut [Argument<'_, Self>],
    ) -> Result<(), Error>;
    /// Whether [`Card::product`] can be asked for.
    fn has_products(&self) -> bool;
    /// A product by the card's own library. `first` is w, of [`Product::BackwardWeights`] x; `second` x,
    /// or dy. The result is in f32, without TF32, and the same in every run.
    ///
    /// # Errors
    ///
    /// As [`Card::launch`].
    fn product(
        &self,
        product: Product,
        sizes: ProductSizes,
        first: &Self::Floats,
        second: &Self::Floats,
        result: &mut Self::Floats,
    ) -> Result<(), Error>;
    /// Waits until everything asked for has been done.
    ///
    /// # Errors
    ///
    /// What the driver says, of a launch before.
    fn wait(&self) -> Result<(), Error>;
}
