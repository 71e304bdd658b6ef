//! Vector registers of f32 behind one trait.

/// Rows and columns of the block that [`Lanes::transpose`] turns; every WIDTH is a multiple of it.
pub(crate) const SIDE: usize = 8;

/// What is nearer to zero than this is taken for zero where it would be carried on from step to step:
/// 1e-25, so that its products with weights and slopes are still normal numbers.
pub(crate) const LEAST: f32 = 1e-25;

/// A path's registers. The value is a token: it exists only where the instructions do.
///
/// All methods are elementwise. `load` and `store` take the first `WIDTH` entries of a slice and
/// panic where it is shorter; `_partial` ones take what there is, up to `WIDTH`, and read zeros
/// beyond it.
pub(crate) trait Lanes: Copy + Send + Sync + 'static {
    /// One register.
    type V: Copy;
    /// Entries in a register.
    const WIDTH: usize;
    /// Rows of the tile with one register a row.
    const ROWS_OF_ONE: usize;
    /// Rows of the tile with two registers a row: enough sums to keep both multipliers busy.
    const ROWS_OF_TWO: usize;
    /// Gates whose registers a tile holds at once: four where there are registers enough, or two.
    const GATES_AT_ONCE: usize;
    /// Rows of the tile with the registers of so many gates a row.
    const ROWS_OF_GATES: usize;
    /// Rows of the tile with three registers a row.
    const ROWS_OF_THREE: usize;

    fn splat(self, x: f32) -> Self::V;
    fn load(self, from: &[f32]) -> Self::V;
    fn store(self, v: Self::V, to: &mut [f32]);
    fn load_partial(self, from: &[f32]) -> Self::V;
    fn store_partial(self, v: Self::V, to: &mut [f32]);
    /// Reads a register.
    ///
    /// # Safety
    ///
    /// `from` is aligned for f32 and valid for reads of `WIDTH` entries.
    unsafe fn load_ptr(self, from: *const f32) -> Self::V;
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a · b + c`, rounded once where the path has FMA.
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// The smaller; `b` where one of the two is NaN.
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    /// The larger; `b` where one of the two is NaN.
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// A bit for each entry, the first one lowest: whether `a > b`; not where one of the two is NaN.
    fn greater(self, a: Self::V, b: Self::V) -> u32;
    fn sqrt(self, a: Self::V) -> Self::V;
    /// `a · 2ⁿ`, where `shifted` is `n + 1.5 · 2²³` for a whole n: then n stands in its lowest bits,
    /// ready to be added to the exponent of `a`. Both `a` and the result are normal numbers.
    fn scale(self, a: Self::V, shifted: Self::V) -> Self::V;
    /// Zeros in place of what is nearer to zero than [`LEAST`]; NaN for NaN. States and gradients fade
    /// away by a factor a step, and some processors take a hundred times as long for the numbers
    /// below 1.2e-38 at the end of that way.
    fn without_dust(self, a: Self::V) -> Self::V;
    /// The entries, for sums across a register in a fixed order. Entries beyond `WIDTH` are zero.
    fn to_array(self, a: Self::V) -> [f32; 16];

    /// Rows of a block become columns: entry `from[r · from_stride + k]` goes to
    /// `to[k · to_stride + r]`, for r and k below [`SIDE`].
    #[inline(always)]
    fn transpose(self, from: &[f32], from_stride: usize, to: &mut [f32], to_stride: usize) {
        for r in 0..SIDE {
            for (k, &entry) in from[r * from_stride..][..SIDE].iter().enumerate() {
                to[k * to_stride + r] = entry;
            }
        }
    }

    /// Sum of the entries: neighbours at a distance of 8, then 4, 2, 1.
    #[inline(always)]
    fn sum(self, a: Self::V) -> f32 {
        let mut x = self.to_array(a);
        for half in [8, 4, 2, 1] {
            for k in 0..half {
                x[k] += x[k + half];
            }
        }
        x[0]
    }

    /// Largest entry.
    #[inline(always)]
    fn max_across(self, a: Self::V) -> f32 {
        let x = self.to_array(a);
        x[1..Self::WIDTH].iter().fold(x[0], |m, &y| if y > m { y } else { m })
    }
}

/// No special instructions: arrays that the compiler vectorises with what the target has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Portable;

#[inline(always)]
fn map2(a: [f32; 8], b: [f32; 8], f: impl Fn(f32, f32) -> f32) -> [f32; 8] {
    std::array::from_fn(|k| f(a[k], b[k]))
}

impl Lanes for Portable {
    type V = [f32; 8];
    const WIDTH: usize = 8;
    const ROWS_OF_ONE: usize = 8;
    const ROWS_OF_TWO: usize = 4;
    const GATES_AT_ONCE: usize = 2;
    const ROWS_OF_GATES: usize = 4;
    const ROWS_OF_THREE: usize = 3;

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        [x; 8]
    }
    #[inline(always)]
    fn load(self, from: &[f32]) -> Self::V {
        from[..8].try_into().expect("eight entries")
    }
    #[inline(always)]
    fn store(self, v: Self::V, to: &mut [f32]) {
        to[..8].copy_from_slice(&v);
    }
    #[inline(always)]
    fn load_partial(self, from: &[f32]) -> Self::V {
        if from.len() >= 8 {
            return self.load(from);
        }
        std::array::from_fn(|k| if k < from.len() { from[k] } else { 0.0 })
    }
    #[inline(always)]
    fn store_partial(self, v: Self::V, to: &mut [f32]) {
        let n = to.len().min(8);
        to[..n].copy_from_slice(&v[..n]);
    }
    #[inline(always)]
    unsafe fn load_ptr(self, from: *const f32) -> Self::V {
        // SAFETY: the caller vouches for eight entries and for the alignment of f32, which is that
        // of an array of f32.
        unsafe { from.cast::<[f32; 8]>().read() }
    }
    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        map2(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        map2(a, b, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        map2(a, b, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, a: Self::V, b: Self::V) -> Self::V {
        map2(a, b, |a, b| a / b)
    }
    /// Rounded twice: without an FMA instruction, `f32::mul_add` is a slow call.
    #[inline(always)]
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        std::array::from_fn(|k| a[k] * b[k] + c[k])
    }
    #[inline(always)]
    fn min(self, a: Self::V, b: Self::V) -> Self::V {
        map2(a, b, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn max(self, a: Self::V, b: Self::V) -> Self::V {
        map2(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn greater(self, a: Self::V, b: Self::V) -> u32 {
        let mut bits = 0;
        for k in 0..8 {
            bits |= u32::from(a[k] > b[k]) << k;
        }
        bits
    }
    #[inline(always)]
    fn sqrt(self, a: Self::V) -> Self::V {
        a.map(f32::sqrt)
    }
    #[inline(always)]
    fn scale(self, a: Self::V, shifted: Self::V) -> Self::V {
        std::array::from_fn(|k| {
            f32::from_bits(a[k].to_bits().wrapping_add(shifted[k].to_bits() << 23))
        })
    }
    #[inline(always)]
    fn without_dust(self, a: Self::V) -> Self::V {
        map2(a, a, |a, _| if a.abs() < LEAST { 0.0 } else { a })
    }
    #[inline(always)]
    fn to_array(self, a: Self::V) -> [f32; 16] {
        std::array::from_fn(|k| if k < 8 { a[k] } else { 0.0 })
    }
}
