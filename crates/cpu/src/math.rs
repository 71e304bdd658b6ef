//! exp, sigmoid and tanh over registers; a dot product and a scaled sum of two rows.
//!
//! Polynomials and ranges as in the Cephes library (S. Moshier), which are minimax fits in f32. The
//! tests measure the worst error over all f32 that matter.

use crate::simd::Lanes;
use std::f32::consts::LOG2_E;

/// Beyond ±87 the result would leave the normal range; there the argument is held.
const EXP_LIMIT: f32 = 87.0;

/// eˣ for `|x| ≤ 87`, and e^±87 beyond; NaN for NaN. N registers side by side, so that the processor
/// has something to do while each waits for itself.
///
/// ```text
///     n = round(x / ln 2),  r = x − n ln 2,  eˣ = 2ⁿ · eʳ,  eʳ by a polynomial of degree 7
/// ```
#[inline(always)]
pub(crate) fn exp<L: Lanes, const N: usize>(lanes: L, mut x: [L::V; N]) -> [L::V; N] {
    // Adding 1.5 · 2²³ rounds to a whole number and leaves it in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    let mut shifted = [lanes.splat(0.0); N];
    for k in 0..N {
        // x stands second: min and max then let a NaN through, and trouble shows in the loss.
        x[k] = lanes.max(lanes.splat(-EXP_LIMIT), lanes.min(lanes.splat(EXP_LIMIT), x[k]));
        shifted[k] = lanes.mul_add(x[k], lanes.splat(LOG2_E), lanes.splat(ROUND));
    }
    // ln 2 in two parts, the first with trailing zeros, so that n times it is exact.
    let mut r = x;
    for k in 0..N {
        let n = lanes.sub(shifted[k], lanes.splat(ROUND));
        r[k] = lanes.mul_add(n, lanes.splat(-0.693_359_4), r[k]);
        r[k] = lanes.mul_add(n, lanes.splat(2.121_944_4e-4), r[k]);
    }
    let mut p = [lanes.splat(1.987_569_1e-4); N];
    for c in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        for k in 0..N {
            p[k] = lanes.mul_add(p[k], r[k], lanes.splat(c));
        }
    }
    for k in 0..N {
        let line = lanes.add(r[k], lanes.splat(1.0));
        p[k] = lanes.mul_add(lanes.mul(p[k], r[k]), r[k], line);
        p[k] = lanes.mul(p[k], lanes.exp2_of_shifted(shifted[k]));
    }
    p
}

/// `σ(x) = 1 / (1 + e⁻ˣ)`: relative accuracy on both sides of zero.
#[inline(always)]
pub(crate) fn sigmoid<L: Lanes, const N: usize>(lanes: L, mut x: [L::V; N]) -> [L::V; N] {
    let one = lanes.splat(1.0);
    for x in &mut x {
        *x = lanes.sub(lanes.splat(0.0), *x);
    }
    let mut e = exp(lanes, x);
    for e in &mut e {
        *e = lanes.div(one, lanes.add(one, *e));
    }
    e
}

/// tanh x: an odd polynomial below 0.625, where `1 − 2 / (e²ˣ + 1)` would lose relative accuracy.
#[inline(always)]
pub(crate) fn tanh<L: Lanes, const N: usize>(lanes: L, x: [L::V; N]) -> [L::V; N] {
    let (one, two) = (lanes.splat(1.0), lanes.splat(2.0));
    let mut e = x;
    for e in &mut e {
        *e = lanes.mul(two, *e);
    }
    let mut y = exp(lanes, e);
    for y in &mut y {
        *y = lanes.sub(one, lanes.div(two, lanes.add(*y, one)));
    }
    let mut square = x;
    for square in &mut square {
        *square = lanes.mul(*square, *square);
    }
    let mut p = [lanes.splat(-5.704_988_7e-3); N];
    for c in [2.063_909e-2, -5.373_971_6e-2, 1.333_144_2e-1, -3.333_328e-1] {
        for k in 0..N {
            p[k] = lanes.mul_add(p[k], square[k], lanes.splat(c));
        }
    }
    for k in 0..N {
        let near = lanes.mul_add(lanes.mul(p[k], square[k]), x[k], x[k]);
        y[k] = lanes.select_less(lanes.abs(x[k]), lanes.splat(0.625), near, y[k]);
    }
    y
}

/// `Σ x y`, lane by lane with k rising, then across the lanes.
#[inline(always)]
pub(crate) fn dot<L: Lanes>(lanes: L, x: &[f32], y: &[f32]) -> f32 {
    let mut sum = lanes.splat(0.0);
    for (x, y) in x.chunks(L::WIDTH).zip(y.chunks(L::WIDTH)) {
        sum = lanes.mul_add(lanes.load_partial(x), lanes.load_partial(y), sum);
    }
    lanes.sum(sum)
}

/// `y += factor · x`.
#[inline(always)]
pub(crate) fn add_scaled<L: Lanes>(lanes: L, factor: f32, x: &[f32], y: &mut [f32]) {
    let factor = lanes.splat(factor);
    for (y, x) in y.chunks_mut(L::WIDTH).zip(x.chunks(L::WIDTH)) {
        let sum = lanes.mul_add(factor, lanes.load_partial(x), lanes.load_partial(y));
        lanes.store_partial(sum, y);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Kernel, Path};

    struct Apply<'a>(&'a [f32], &'a mut [[f32; 3]]);

    impl Kernel for Apply<'_> {
        type Output = ();
        #[inline(always)]
        fn run<L: Lanes>(self, lanes: L) {
            for (x, y) in self.0.chunks(L::WIDTH).zip(self.1.chunks_mut(L::WIDTH)) {
                let v = lanes.load_partial(x);
                let results = [exp(lanes, [v])[0], sigmoid(lanes, [v])[0], tanh(lanes, [v])[0]];
                for (function, result) in results.into_iter().enumerate() {
                    for (y, r) in y.iter_mut().zip(lanes.to_array(result)) {
                        y[function] = r;
                    }
                }
            }
        }
    }

    /// Distance in units of the last place of the true value.
    fn ulps(found: f32, truth: f64) -> f64 {
        let t = truth as f32;
        let ulp = f64::from(f32::from_bits(t.abs().to_bits() + 1)) - f64::from(t.abs());
        (f64::from(found) - truth).abs() / ulp
    }

    /// Every 97th f32 of both signs whose magnitude is between 1e-30 and 87: 10 million values.
    /// Worst errors seen: exp 1.2, sigmoid 3.1, tanh 3.0 ulp with FMA (tanh just above 0.625), and a little more where a
    /// product and a sum round twice.
    #[test]
    fn worst_errors_in_ulp() {
        let (low, high) = (1e-30f32.to_bits(), EXP_LIMIT.to_bits());
        let x: Vec<f32> =
            (low..high).step_by(97).map(f32::from_bits).flat_map(|x| [x, -x]).collect();
        let mut y = vec![[f32::NAN; 3]; x.len()];
        for path in Path::available() {
            path.run(Apply(&x, &mut y));
            let mut worst = [0f64; 3];
            for (&x, y) in x.iter().zip(&y) {
                let x = f64::from(x);
                let truth = [x.exp(), 1.0 / (1.0 + (-x).exp()), x.tanh()];
                for k in 0..3 {
                    worst[k] = worst[k].max(ulps(y[k], truth[k]));
                }
            }
            println!(
                "{path:?}: exp {:.2}, sigmoid {:.2}, tanh {:.2} ulp",
                worst[0], worst[1], worst[2]
            );
            assert!(
                worst.iter().zip([1.5, 4.0, 4.0]).all(|(&error, most)| error < most),
                "{path:?}: {worst:?}"
            );
        }
    }

    #[test]
    fn a_nan_stays_one() {
        for path in Path::available() {
            let mut y = [[0.0; 3]; 2];
            path.run(Apply(&[f32::NAN, -f32::NAN], &mut y));
            assert!(y.iter().flatten().all(|y| y.is_nan()), "{path:?}: {y:?}");
        }
    }

    #[test]
    fn the_ends_stay_finite_and_in_range() {
        let x = [f32::MAX, f32::MIN, 100.0, -100.0, 0.0, -0.0, f32::MIN_POSITIVE, 1e-40];
        for path in Path::available() {
            let mut y = [[f32::NAN; 3]; 8];
            path.run(Apply(&x, &mut y));
            for ([exp, sigmoid, tanh], x) in y.into_iter().zip(x) {
                assert!(exp.is_finite() && exp > 0.0, "exp({x}) = {exp}");
                assert!((0.0..=1.0).contains(&sigmoid), "sigmoid({x}) = {sigmoid}");
                assert!((-1.0..=1.0).contains(&tanh), "tanh({x}) = {tanh}");
            }
            assert_eq!(y[6][2], f32::MIN_POSITIVE, "relative accuracy near zero");
        }
    }
}
