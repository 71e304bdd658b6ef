//! Comparisons that say which tensor, which entry, both values, the error and how much of the
//! allowance it takes.

use std::fmt::Write as _;

use ndarray::{ArrayView2, NdFloat};

/// How far an entry may be off: `absolute + relative · |expected|`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// Allowed whatever the size of the entry.
    pub absolute: f64,
    /// Allowed for each unit of its size.
    pub relative: f64,
}

/// Compares two tensors entry by entry; returns the worst error as a share of its allowance.
///
/// # Panics
///
/// Where shapes differ, where an entry is off by more than its allowance, or where one is not a
/// number.
pub fn assert_close<S: NdFloat, R: NdFloat>(
    name: &str,
    found: ArrayView2<'_, S>,
    expected: ArrayView2<'_, R>,
    tolerance: Tolerance,
) -> f64 {
    check(name, found, expected, |expected| {
        tolerance.absolute + tolerance.relative * expected.abs()
    })
}

/// Holds a fast machine in f32 against the truth in f64: its error may be twice the worst error
/// that the plain f32 reference makes in this tensor, plus so many ulp of the tensor's largest entry.
///
/// All three start from the same inputs, rounded to f32. Returns the worst error as a share of its
/// allowance.
///
/// # Panics
///
/// As [`assert_close`].
pub fn assert_parity(
    name: &str,
    found: ArrayView2<'_, f32>,
    plain: ArrayView2<'_, f32>,
    truth: ArrayView2<'_, f64>,
    ulps: f64,
) -> f64 {
    assert_eq!(plain.dim(), truth.dim(), "{name}: shapes of the reference in f32 and in f64");
    let plain_error = plain
        .iter()
        .zip(truth)
        .map(|(&plain, &truth)| (f64::from(plain) - truth).abs())
        .fold(0.0, f64::max);
    let largest = truth.iter().fold(0.0, |largest: f64, truth| largest.max(truth.abs()));
    let allowance = 2.0 * plain_error + ulps * f64::from(f32::EPSILON) * largest;
    check(name, found, truth, |_| allowance)
}

/// Asks for the same bits: nothing is rounded differently, no sum has another order.
///
/// # Panics
///
/// Where shapes differ or an entry differs in any bit.
pub fn assert_same_bits<S: NdFloat + Into<f64>>(
    name: &str,
    found: ArrayView2<'_, S>,
    expected: ArrayView2<'_, S>,
) {
    assert_eq!(found.dim(), expected.dim(), "{name}: shapes");
    let bits = |x: S| -> u64 { Into::<f64>::into(x).to_bits() };
    let different = || {
        found
            .indexed_iter()
            .zip(expected)
            .filter(|((_, found), expected)| bits(**found) != bits(**expected))
    };
    if let Some((((row, column), found), expected)) = different().next() {
        panic!(
            "{name}[{row}, {column}]: found {found:.9e}, expected {expected:.9e} to the bit; \
             {} entries differ",
            different().count(),
        );
    }
}

fn check<S: NdFloat, R: NdFloat>(
    name: &str,
    found: ArrayView2<'_, S>,
    expected: ArrayView2<'_, R>,
    allowance: impl Fn(f64) -> f64,
) -> f64 {
    assert_eq!(found.dim(), expected.dim(), "{name}: shapes");
    let mut worst = 0f64;
    let mut report = String::new();
    let mut outside = 0;
    for ((index, found), expected) in found.indexed_iter().zip(expected) {
        let (found, expected) = (double(*found), double(*expected));
        let error = (found - expected).abs();
        let allowed = allowance(expected);
        // Nothing may be off by nothing: 0 / 0 is a perfect entry, not a doubtful one.
        let share = if error == 0.0 { 0.0 } else { error / allowed };
        // A NaN compares false with everything, and is so outside.
        if share <= 1.0 {
            worst = worst.max(share);
            continue;
        }
        outside += 1;
        if share.is_nan() || share > worst {
            worst = share;
            report.clear();
            let _ = write!(
                report,
                "{name}[{}, {}]: found {found:.12e}, expected {expected:.12e}, error {error:.2e}, \
                 {:.0} % of the allowance {allowed:.2e}",
                index.0,
                index.1,
                100.0 * share,
            );
        }
    }
    assert!(outside == 0, "{report}; {outside} of {} entries are outside", found.len());
    worst
}

fn double<S: NdFloat>(x: S) -> f64 {
    x.to_f64().expect("f32 and f64 are f64")
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;
    use crate::tolerance::PARITY_ULPS;

    const TIGHT: Tolerance = Tolerance { absolute: 1e-12, relative: 1e-12 };

    #[test]
    #[should_panic(expected = "c[1, 0]: found 3.5")]
    fn the_worst_entry_is_named() {
        let (found, expected) = (array![[1.0, 2.1], [3.5, 4.0]], array![[1.0, 2.0], [3.0, 4.0]]);
        assert_close("c", found.view(), expected.view(), TIGHT);
    }

    #[test]
    #[should_panic(expected = "1 of 2 entries are outside")]
    fn an_entry_that_was_never_written_is_outside() {
        let found = array![[1.0, f64::NAN]];
        assert_close("c", found.view(), array![[1.0, 2.0]].view(), TIGHT);
    }

    #[test]
    fn parity_allows_twice_the_plain_error_and_no_more() {
        let truth = array![[1.0, -2.0]];
        let off_by = |error: f32| array![[1.0 + error, -2.0]];
        let plain: Array2<f32> = off_by(1e-3);
        assert!(
            assert_parity("y", off_by(1.9e-3).view(), plain.view(), truth.view(), PARITY_ULPS)
                > 0.9
        );
        let too_far = std::panic::catch_unwind(|| {
            assert_parity("y", off_by(2.1e-3).view(), plain.view(), truth.view(), PARITY_ULPS)
        });
        assert!(too_far.is_err());
    }

    #[test]
    #[should_panic(expected = "to the bit; 1 entries differ")]
    fn one_bit_is_a_difference() {
        let x = array![[0.1f32, 0.2]];
        let y = array![[0.1f32, f32::from_bits(0.2f32.to_bits() + 1)]];
        assert_same_bits("y", y.view(), x.view());
    }
}
