//! The one module that may be unsafe: vector registers, micro-kernels, disjoint rows.
//!
//! A [`Path`] says which instructions this machine offers; only [`Path::available`] makes one, and
//! it asks the processor first. Work that wants vectors implements [`Kernel`] and is handed a token
//! of the path, whose type is the proof that its instructions exist: [`Avx512`], [`Avx2`], `Neon` (on
//! 64-bit Arm) or [`Portable`]. The same generic code is compiled once for each.
//!
//! Reading order: `lanes` (the registers; those of a processor in `x86` and `neon`), `tile` (the
//! products), `turns` with `window` and `tickets`, and `rows` (a batch shared out among threads).

#![allow(unsafe_code)]

mod lanes;
#[cfg(target_arch = "aarch64")]
mod neon;
mod rows;
mod tickets;
mod tile;
mod turns;
mod window;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(test)]
pub(crate) use lanes::LEAST;
pub(crate) use lanes::{Lanes, Portable, SIDE};
#[cfg(target_arch = "aarch64")]
pub(crate) use neon::Neon;
pub(crate) use rows::{BatchSlice, for_slices};
pub(crate) use tile::{Left, Tiles, for_tiles, height, row_tile, tile};
pub(crate) use turns::{Order, Shared, Split, Turn, in_turns};
pub(crate) use window::Window;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};

use std::fmt;

/// The name of the environment variable that forces a path.
pub const PATH_VARIABLE: &str = "TIDEGATE_SIMD";

/// Which instructions the kernels use. Results are the same bits for one path, and differ by
/// rounding between paths.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Path(Kind);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "aarch64")]
    Neon(Neon),
    Portable,
}

/// A path was asked for by name that this machine cannot take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{PATH_VARIABLE}={name}: this machine has no such path; it has {available}")]
pub struct PathError {
    name: String,
    available: String,
}

impl Path {
    /// The best path of this machine, or the one that `TIDEGATE_SIMD` names.
    ///
    /// # Errors
    ///
    /// [`PathError`] where the variable names a path that this machine does not have.
    pub fn detect() -> Result<Self, PathError> {
        match std::env::var(PATH_VARIABLE) {
            Ok(name) if !name.is_empty() => Self::named(&name),
            _ => Ok(Self::available()[0]),
        }
    }

    /// The path of this name: `avx512`, `avx2`, `neon` or `portable`.
    ///
    /// # Errors
    ///
    /// [`PathError`] where this machine does not have it.
    pub fn named(name: &str) -> Result<Self, PathError> {
        let available = Self::available();
        available.iter().copied().find(|path| path.name() == name).ok_or_else(|| PathError {
            name: name.to_owned(),
            available: available.iter().map(Path::name).collect::<Vec<_>>().join(", "),
        })
    }

    /// Every path of this machine, the fastest first.
    pub fn available() -> Vec<Self> {
        let mut paths = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            paths.extend(Avx512::detect().map(|token| Self(Kind::Avx512(token))));
            paths.extend(Avx2::detect().map(|token| Self(Kind::Avx2(token))));
        }
        #[cfg(target_arch = "aarch64")]
        paths.extend(Neon::detect().map(|token| Self(Kind::Neon(token))));
        paths.push(Self(Kind::Portable));
        paths
    }

    /// The name by which [`Path::named`] finds it.
    pub fn name(&self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(_) => "avx512",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(_) => "avx2",
            #[cfg(target_arch = "aarch64")]
            Kind::Neon(_) => "neon",
            Kind::Portable => "portable",
        }
    }

    /// Entries in one of its registers.
    pub(crate) fn width(self) -> usize {
        struct Width;
        impl Kernel for Width {
            type Output = usize;
            #[inline(always)]
            fn run<L: Lanes>(self, _: L) -> usize {
                L::WIDTH
            }
        }
        self.run(Width)
    }

    /// Runs a kernel compiled for this path.
    #[inline]
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the token exists, so `Avx512::detect` has found AVX-512F.
            Kind::Avx512(token) => unsafe { run_avx512(kernel, token) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the token exists, so `Avx2::detect` has found AVX2 and FMA.
            Kind::Avx2(token) => unsafe { run_avx2(kernel, token) },
            #[cfg(target_arch = "aarch64")]
            // SAFETY: the token exists, so `Neon::detect` has found NEON.
            Kind::Neon(token) => unsafe { run_neon(kernel, token) },
            Kind::Portable => kernel.run(Portable),
        }
    }
}

/// Rows that a walk over scattered rows asks for ahead of the one it works on.
pub(crate) const ROWS_AHEAD: usize = 6;

/// Asks for a row that will soon be worked on. Where rows are scattered over a table, no processor
/// guesses the next one, and each is waited for.
#[inline(always)]
pub(crate) fn prefetch(row: &[f32]) {
    const FLOATS_PER_LINE: usize = 16;
    for line in row.chunks(FLOATS_PER_LINE) {
        prefetch_line(line.as_ptr());
    }
}

/// Asks for the line of memory at an address, which need not exist.
#[inline(always)]
pub(crate) fn prefetch_line(at: *const f32) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: SSE is part of x86-64; an address that is only hinted at may be any.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) };
    }
    // Elsewhere there is no such hint in stable Rust.
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A piece of work that is compiled once for each path. `run` must be `#[inline(always)]`, and so
/// must everything generic that it calls, or its vectors are compiled without their instructions.
/// For the same reason closures and `map` over registers have no place in it: plain loops do.
pub(crate) trait Kernel {
    type Output;
    fn run<L: Lanes>(self, lanes: L) -> Self::Output;
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn run_avx512<K: Kernel>(kernel: K, token: Avx512) -> K::Output {
    kernel.run(token)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn run_avx2<K: Kernel>(kernel: K, token: Avx2) -> K::Output {
    kernel.run(token)
}

#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
fn run_neon<K: Kernel>(kernel: K, token: Neon) -> K::Output {
    kernel.run(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_available_path_is_found_by_its_name() {
        for path in Path::available() {
            assert_eq!(Path::named(path.name()), Ok(path));
        }
        assert_eq!(Path::available().last().map(Path::name), Some("portable"));
    }

    #[test]
    fn an_unknown_path_lists_what_there_is() {
        let message = Path::named("mmx").unwrap_err().to_string();
        assert!(message.contains("mmx") && message.contains("portable"), "{message}");
    }
}
