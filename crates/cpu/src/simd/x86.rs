//! The registers of x86-64: AVX2 with FMA, and AVX-512.

use super::lanes::{LEAST, Lanes, SIDE};
use std::arch::x86_64::*;

/// Sixteen registers of eight f32, with fused multiply and add.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Avx2(());

impl Avx2 {
    pub(crate) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self(()))
    }

    /// All ones in the first `n` of eight lanes.
    #[inline(always)]
    fn mask(self, n: usize) -> __m256i {
        const ONES_THEN_ZEROS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
        let from = &ONES_THEN_ZEROS[8 - n.min(8)..][..8];
        // SAFETY: `from` has eight i32; AVX2 exists, as the token shows.
        unsafe { _mm256_loadu_si256(from.as_ptr().cast()) }
    }
}

// SAFETY of every block in this impl: a value of `Avx2` exists, so `detect` has found AVX2 and
// FMA on this processor. Memory is touched only where a slice or the caller vouches for it.
impl Lanes for Avx2 {
    type V = __m256;
    const WIDTH: usize = 8;
    const ROWS_OF_ONE: usize = 12;
    const ROWS_OF_TWO: usize = 6;
    const GATES_AT_ONCE: usize = 2;
    const ROWS_OF_GATES: usize = 6;
    const ROWS_OF_THREE: usize = 4;

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        // SAFETY: the token.
        unsafe { _mm256_set1_ps(x) }
    }
    #[inline(always)]
    fn load(self, from: &[f32]) -> Self::V {
        let from = &from[..8];
        // SAFETY: the token; eight entries, checked in the line above.
        unsafe { _mm256_loadu_ps(from.as_ptr()) }
    }
    #[inline(always)]
    fn store(self, v: Self::V, to: &mut [f32]) {
        let to = &mut to[..8];
        // SAFETY: the token; eight entries, checked in the line above.
        unsafe { _mm256_storeu_ps(to.as_mut_ptr(), v) }
    }
    #[inline(always)]
    fn load_partial(self, from: &[f32]) -> Self::V {
        if from.len() >= Self::WIDTH {
            return self.load(from);
        }
        // SAFETY: the token; masked lanes are not read.
        unsafe { _mm256_maskload_ps(from.as_ptr(), self.mask(from.len())) }
    }
    #[inline(always)]
    fn store_partial(self, v: Self::V, to: &mut [f32]) {
        // A masked store is many times slower than a plain one on some processors.
        if to.len() >= Self::WIDTH {
            return self.store(v, to);
        }
        // SAFETY: the token; masked lanes are not written.
        unsafe { _mm256_maskstore_ps(to.as_mut_ptr(), self.mask(to.len()), v) }
    }
    #[inline(always)]
    unsafe fn load_ptr(self, from: *const f32) -> Self::V {
        // SAFETY: the token; the caller vouches for eight entries.
        unsafe { _mm256_loadu_ps(from) }
    }
    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the token.
        unsafe { _mm256_add_ps(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the token.
        unsafe { _mm256_sub_ps(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the token.
        unsafe { _mm256_mul_ps(a, b) }
    }
    #[inline(always)]
    fn div(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the token.
        unsafe { _mm256_div_ps(a, b) }
    }
    #[inline(always)]
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: the token.
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    fn min(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the token.
        unsafe { _mm256_min_ps(a, b) }
    }
    #[inline(always)]
    fn max(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the token.
        unsafe { _mm256_max_ps(a, b) }
    }
    #[inline(always)]
    fn greater(self, a: Self::V, b: Self::V) -> u32 {
        // SAFETY: the token.
        let bits = unsafe { _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(a, b)) };
        bits as u32
    }
    #[inline(always)]
    fn sqrt(self, a: Self::V) -> Self::V {
        // SAFETY: the token.
        unsafe { _mm256_sqrt_ps(a) }
    }
    #[inline(always)]
    fn scale(self, a: Self::V, shifted: Self::V) -> Self::V {
        // SAFETY: the token.
        unsafe {
            let n = _mm256_slli_epi32::<23>(_mm256_castps_si256(shifted));
            _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), n))
        }
    }
    #[inline(always)]
    fn without_dust(self, a: Self::V) -> Self::V {
        // SAFETY: the token.
        unsafe {
            let size = _mm256_andnot_ps(_mm256_set1_ps(-0.0), a);
            _mm256_and_ps(a, _mm256_cmp_ps::<_CMP_NLT_UQ>(size, _mm256_set1_ps(LEAST)))
        }
    }
    #[inline(always)]
    fn transpose(self, from: &[f32], from_stride: usize, to: &mut [f32], to_stride: usize) {
        // SAFETY: the token.
        unsafe { transpose(from, from_stride, to, to_stride) }
    }
    #[inline(always)]
    fn to_array(self, a: Self::V) -> [f32; 16] {
        let mut x = [0.0; 16];
        self.store(a, &mut x);
        x
    }
}

/// Thirty-two registers of sixteen f32.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Avx512(());

impl Avx512 {
    pub(crate) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx512f").then_some(Self(()))
    }

    /// Ones for the first `n` of sixteen lanes.
    #[inline(always)]
    fn mask(self, n: usize) -> __mmask16 {
        ((1u32 << n.min(16)) - 1) as __mmask16
    }
}

// SAFETY of every block in this impl: a value of `Avx512` exists, so `detect` has found AVX-512F
// on this processor. Memory is touched only where a slice or the caller vouches for it.
impl Lanes for Avx512 {
    type V = __m512;
    const WIDTH: usize = 16;
    const ROWS_OF_ONE: usize = 12;
    const ROWS_OF_TWO: usize = 8;
    const GATES_AT_ONCE: usize = 4;
    const ROWS_OF_GATES: usize = 6;
    const ROWS_OF_THREE: usize = 8;

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        // SAFETY: the token.
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    fn load(self, from: &[f32]) -> Self::V {
        let from = &from[..16];
        // SAFETY: the token; sixteen entries, checked in the line above.
        unsafe { _mm512_loadu_ps(from.as_ptr()) }
    }
    #[inline(always)]
    fn store(self, v: Self::V, to: &mut [f32]) {
        let to = &mut to[..16];
        // SAFETY: the token; sixteen entries, checked in the line above.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), v) }
    }
    #[inline(always)]
    fn load_partial(self, from: &[f32]) -> Self::V {
        if from.len() >= Self::WIDTH {
            return self.load(from);
        }
        // SAFETY: the token; masked lanes are not read.
        unsafe { _mm512_maskz_loadu_ps(self.mask(from.len()), from.as_ptr()) }
    }
    #[inline(always)]
    fn store_partial(self, v: Self::V, to: &mut [f32]) {
        if to.len() >= Self::WIDTH {
            return self.store(v, to);
        }
        // SAFETY: the token; masked lanes are not written.
        unsafe { _mm512_mask_storeu_ps(to.as_mut_ptr(), self.mask(to.len()), v) }
    }
    #[inline(always)]
    unsafe fn load_ptr(self, from: *const f32) -> Self::V {
        // SAFETY: the token; the caller vouches for sixteen entries.
        unsafe { _mm512_loadu_ps(from) }
    }
    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the token.
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the token.
        unsafe { _mm512_sub_ps(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the token.
        unsafe { _mm512_mul_ps(a, b) }
    }
    #[inline(always)]
    fn div(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the token.
        unsafe { _mm512_div_ps(a, b) }
    }
    #[inline(always)]
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: the token.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    fn min(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the token.
        unsafe { _mm512_min_ps(a, b) }
    }
    #[inline(always)]
    fn max(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the token.
        unsafe { _mm512_max_ps(a, b) }
    }
    #[inline(always)]
    fn greater(self, a: Self::V, b: Self::V) -> u32 {
        // SAFETY: the token.
        let bits = unsafe { _mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b) };
        u32::from(bits)
    }
    #[inline(always)]
    fn sqrt(self, a: Self::V) -> Self::V {
        // SAFETY: the token.
        unsafe { _mm512_sqrt_ps(a) }
    }
    #[inline(always)]
    fn scale(self, a: Self::V, shifted: Self::V) -> Self::V {
        // SAFETY: the token.
        unsafe {
            let n = _mm512_slli_epi32::<23>(_mm512_castps_si512(shifted));
            _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(a), n))
        }
    }
    #[inline(always)]
    fn without_dust(self, a: Self::V) -> Self::V {
        // SAFETY: the token.
        unsafe {
            let least = _mm512_set1_ps(LEAST);
            let kept = _mm512_cmp_ps_mask::<_CMP_NLT_UQ>(_mm512_abs_ps(a), least);
            _mm512_maskz_mov_ps(kept, a)
        }
    }
    #[inline(always)]
    fn transpose(self, from: &[f32], from_stride: usize, to: &mut [f32], to_stride: usize) {
        // SAFETY: the token, since AVX2 is part of AVX-512F.
        unsafe { transpose(from, from_stride, to, to_stride) }
    }
    #[inline(always)]
    fn to_array(self, a: Self::V) -> [f32; 16] {
        let mut x = [0.0; 16];
        self.store(a, &mut x);
        x
    }
}

/// [`Lanes::transpose`]: pairs of rows are woven together, then pairs of pairs, then the halves.
///
/// # Safety
///
/// AVX2 exists.
#[inline(always)]
unsafe fn transpose(from: &[f32], from_stride: usize, to: &mut [f32], to_stride: usize) {
    // SAFETY: the caller vouches for AVX2; each register is read from and written to a slice of
    // eight entries.
    unsafe {
        let mut rows = [_mm256_setzero_ps(); SIDE];
        for (r, row) in rows.iter_mut().enumerate() {
            *row = _mm256_loadu_ps(from[r * from_stride..][..SIDE].as_ptr());
        }
        // woven[2j], woven[2j + 1]: rows 2j and 2j + 1, columns 0 1 and 2 3 of both halves.
        let mut woven = rows;
        for j in 0..SIDE / 2 {
            woven[2 * j] = _mm256_unpacklo_ps(rows[2 * j], rows[2 * j + 1]);
            woven[2 * j + 1] = _mm256_unpackhi_ps(rows[2 * j], rows[2 * j + 1]);
        }
        // fours[4j + k]: rows 4j to 4j + 3 of column k and, in the upper half, of column k + 4.
        let mut fours = rows;
        for j in 0..SIDE / 4 {
            for (k, pair) in [(0, 0), (2, 1)] {
                let (a, b) = (woven[4 * j + pair], woven[4 * j + pair + 2]);
                fours[4 * j + k] = _mm256_shuffle_ps::<0b01_00_01_00>(a, b);
                fours[4 * j + k + 1] = _mm256_shuffle_ps::<0b11_10_11_10>(a, b);
            }
        }
        for k in 0..SIDE / 2 {
            let low = _mm256_permute2f128_ps::<0x20>(fours[k], fours[k + 4]);
            let high = _mm256_permute2f128_ps::<0x31>(fours[k], fours[k + 4]);
            _mm256_storeu_ps(to[k * to_stride..][..SIDE].as_mut_ptr(), low);
            _mm256_storeu_ps(to[(k + 4) * to_stride..][..SIDE].as_mut_ptr(), high);
        }
    }
}
