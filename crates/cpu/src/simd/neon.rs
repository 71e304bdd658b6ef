//! The registers of 64-bit Arm: NEON, two of four f32 taken as one of eight.

use super::lanes::{LEAST, Lanes};
use std::arch::aarch64::*;

/// Sixteen pairs of registers, each of eight f32, with fused multiply and add.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Neon(());

impl Neon {
    pub(crate) fn detect() -> Option<Self> {
        std::arch::is_aarch64_feature_detected!("neon").then_some(Self(()))
    }
}

/// Both halves of one or more pairs, through an instruction.
macro_rules! halves {
    ($instruction:ident, $($pair:expr),+) => {
        // SAFETY: a value of `Neon` exists, so `detect` has found NEON on this processor.
        unsafe { [$instruction($($pair[0]),+), $instruction($($pair[1]),+)] }
    };
}

// SAFETY of every block in this impl: a value of `Neon` exists, so `detect` has found NEON on this
// processor. Memory is touched only where a slice or the caller vouches for it.
impl Lanes for Neon {
    type V = [float32x4_t; 2];
    const WIDTH: usize = 8;
    const ROWS_OF_ONE: usize = 12;
    const ROWS_OF_TWO: usize = 6;
    const GATES_AT_ONCE: usize = 2;
    const ROWS_OF_GATES: usize = 6;
    const ROWS_OF_THREE: usize = 4;

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        // SAFETY: the token.
        unsafe { [vdupq_n_f32(x); 2] }
    }
    #[inline(always)]
    fn load(self, from: &[f32]) -> Self::V {
        let from = &from[..8];
        // SAFETY: eight entries, checked in the line above.
        unsafe { self.load_ptr(from.as_ptr()) }
    }
    #[inline(always)]
    fn store(self, v: Self::V, to: &mut [f32]) {
        let to = &mut to[..8];
        // SAFETY: the token; eight entries, checked in the line above.
        unsafe {
            vst1q_f32(to.as_mut_ptr(), v[0]);
            vst1q_f32(to.as_mut_ptr().add(4), v[1]);
        }
    }
    #[inline(always)]
    fn load_partial(self, from: &[f32]) -> Self::V {
        if from.len() >= Self::WIDTH {
            return self.load(from);
        }
        let mut x = [0.0; 8];
        x[..from.len()].copy_from_slice(from);
        self.load(&x)
    }
    #[inline(always)]
    fn store_partial(self, v: Self::V, to: &mut [f32]) {
        if to.len() >= Self::WIDTH {
            return self.store(v, to);
        }
        let mut x = [0.0; 8];
        self.store(v, &mut x);
        to.copy_from_slice(&x[..to.len()]);
    }
    #[inline(always)]
    unsafe fn load_ptr(self, from: *const f32) -> Self::V {
        // SAFETY: the token; the caller vouches for eight entries.
        unsafe { [vld1q_f32(from), vld1q_f32(from.add(4))] }
    }
    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        halves!(vaddq_f32, a, b)
    }
    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        halves!(vsubq_f32, a, b)
    }
    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        halves!(vmulq_f32, a, b)
    }
    #[inline(always)]
    fn div(self, a: Self::V, b: Self::V) -> Self::V {
        halves!(vdivq_f32, a, b)
    }
    #[inline(always)]
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // The instruction adds the product of its last two to its first.
        halves!(vfmaq_f32, c, a, b)
    }
    #[inline(always)]
    fn min(self, a: Self::V, b: Self::V) -> Self::V {
        // The processor's own minimum would give NaN for any NaN.
        let less = halves!(vcltq_f32, a, b);
        halves!(vbslq_f32, less, a, b)
    }
    #[inline(always)]
    fn max(self, a: Self::V, b: Self::V) -> Self::V {
        let more = halves!(vcgtq_f32, a, b);
        halves!(vbslq_f32, more, a, b)
    }
    #[inline(always)]
    fn greater(self, a: Self::V, b: Self::V) -> u32 {
        let more = halves!(vcgtq_f32, a, b);
        // An entry that is greater has all bits: of these, each keeps its own, and the sum is all.
        // SAFETY: the token; the array has the four numbers that are read.
        let [low, high] = unsafe {
            let bits = vld1q_u32([1, 2, 4, 8].as_ptr());
            let [low, high] = more;
            [vaddvq_u32(vandq_u32(low, bits)), vaddvq_u32(vandq_u32(high, bits))]
        };
        low | high << 4
    }
    #[inline(always)]
    fn sqrt(self, a: Self::V) -> Self::V {
        halves!(vsqrtq_f32, a)
    }
    #[inline(always)]
    fn scale(self, a: Self::V, shifted: Self::V) -> Self::V {
        let n = halves!(vreinterpretq_u32_f32, shifted);
        // SAFETY: the token.
        let n = unsafe { [vshlq_n_u32::<23>(n[0]), vshlq_n_u32::<23>(n[1])] };
        let bits = halves!(vreinterpretq_u32_f32, a);
        let sum = halves!(vaddq_u32, bits, n);
        halves!(vreinterpretq_f32_u32, sum)
    }
    #[inline(always)]
    fn without_dust(self, a: Self::V) -> Self::V {
        let size = halves!(vabsq_f32, a);
        let (least, zero) = (self.splat(LEAST), self.splat(0.0));
        let dust = halves!(vcltq_f32, size, least);
        halves!(vbslq_f32, dust, zero, a)
    }
    #[inline(always)]
    fn to_array(self, a: Self::V) -> [f32; 16] {
        let mut x = [0.0; 16];
        self.store(a, &mut x);
        x
    }
}
