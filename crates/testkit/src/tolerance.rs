//! Every tolerance of the tests, with its reason and the worst error seen. Nobody widens one
//! without writing why.

use crate::Tolerance;

/// Central differences in f64. What they leave of a loss of size ten is near ε^(2/3) · 10 ≈ 4e-10;
/// a mistake in a formula is off by 1e-3 and more. Worst seen: 17 % of it, an LSTM over 64 steps
/// (6 % over 5 steps).
pub const GRADIENT: f64 = 1e-9;

/// PyTorch in f64. Both sides round in another order. Worst seen: 1 % of it, near 1e-15; another C
/// library's `exp` and `tanh` may add a few ulp.
pub const GOLDEN_F64: Tolerance = Tolerance { absolute: 1e-13, relative: 1e-13 };

/// PyTorch in f32: the same, with an ε that is 5e8 times as large. Worst seen: 23 % of it, AdamW
/// after 20 steps.
pub const GOLDEN_F32: Tolerance = Tolerance { absolute: 2e-6, relative: 2e-6 };

/// An optimiser in f64 with constants that single precision only approximates: Adam's `1 − βᵗ` and
/// Adagrad's falling rate are handed over in f32, off by half an ulp, and every step of 1e-2
/// carries that on. Worst seen: 8 % of it.
pub const OPTIMIZER_ROUNDED: Tolerance = Tolerance { absolute: 1e-8, relative: 1e-8 };

/// What parity allows beyond twice the error of the plain reference, in ulp (f32) of the tensor's
/// largest entry: where the plain sum is exact by luck, one that is rounded once or twice may pass.
pub const PARITY_ULPS: f64 = 4.0;

/// The same of recurrent layers. The processor's exp and tanh are off by an ulp or two where the plain
/// reference's are off by a half, and gates hand that on through several products and steps. Of some
/// ten thousand tensors of all cells, shapes and paths five went beyond [`PARITY_ULPS`], the worst to
/// 10, in a dz of seven steps; a factor left out is off by a million.
pub const RECURRENT_ULPS: f64 = 16.0;
