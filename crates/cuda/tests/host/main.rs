//! The shipped kernels, compiled as C++ and run on a processor, agree with the reference; and deliberate
//! faults in them are seen.
//!
//! The launches are those that a GPU would get: only what is below `cuda::Card` is another. Every buffer
//! starts as NaN, and has guard bands; shared memory starts as NaN; threads take their turns in several
//! orders, which must not change a bit.

#![forbid(unsafe_code)]

mod faults;
mod layer;
mod parity;
mod shim;
