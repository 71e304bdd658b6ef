//! Every tolerance of the tests, with its reason and the worst error seen. Nobody widens one without
//! writing why.

use crate::Tolerance;

/// Central differences in f64. What they leave of a loss of size ten is near ε^(2/3) · 10 ≈ 4e-10;
/// a mistake in a formula is off by 1e-3 and more.
pub const GRADIENT: f64 = 1e-9;

/// PyTorch in f64. Both sides round in another order; a sum of a hundred terms of size one leaves
/// about 1e-14.
pub const GOLDEN_F64: Tolerance = Tolerance { absolute: 1e-13, relative: 1e-12 };

/// PyTorch in f32: the same, with an ε that is 5e8 times as large.
pub const GOLDEN_F32: Tolerance = Tolerance { absolute: 2e-6, relative: 2e-6 };

/// Adam in f64 with constants that single precision only approximates: `1 − βᵗ` is handed over in
/// f32, and 1 − 0.999 is off by up to half an ulp of 1e-3.
pub const ADAM_ROUNDED: Tolerance = Tolerance { absolute: 1e-6, relative: 1e-6 };

/// What parity allows beyond twice the error of the plain reference, in ulp (f32) of the tensor's
/// largest entry: where the plain sum is exact by luck, one that is rounded once or twice may pass.
pub const PARITY_ULPS: f64 = 4.0;
