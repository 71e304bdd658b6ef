//! Whether the treated and the others were alike before: what a trial stands on.

use ndarray::ArrayView2;
use serde::Serialize;

use crate::error::{Error, FINITE, check_cells, check_lengths};

/// From here on a difference counts as one, where it is no chance.
const NOTABLE: f64 = 0.1;
/// Chance makes a difference of so many standard errors in one of some hundred columns.
const CHANCE: f64 = 3.0;

/// How a column differs between the treated and the others.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Difference {
    /// Mean of the treated.
    pub treated: f64,
    /// Mean of the others.
    pub control: f64,
    /// The difference in standard deviations; 0 where the column is constant.
    pub standardised: f64,
    /// Whether it is too large to be chance, and large enough to matter.
    pub notable: bool,
}

/// The standardised mean difference of each column of `x`, `[N, K]`.
///
/// ```text
///     d = ( x̄_treated − x̄_control ) / √( ½ (s²_treated + s²_control) )
///     notable:  |d| > 0.1  and  |d| > 3 √( 1/n_treated + 1/n_control )
/// ```
///
/// None where nobody was treated, or everybody.
///
/// # Errors
///
/// [`Error::Lengths`]; [`Error::Cell`] for numbers that are not finite.
///
/// # Source
///
/// P. Austin, "Balance diagnostics for comparing the distribution of baseline covariates between treatment
/// groups in propensity-score matched samples", Statistics in Medicine 28, 2009, for d and the bound of 0.1.
pub fn balance(x: ArrayView2<'_, f64>, treated: &[bool]) -> Result<Option<Vec<Difference>>, Error> {
    check_lengths("treated", treated.len(), "rows of x", x.nrows())?;
    check_cells("x", x, FINITE, f64::is_finite)?;
    let counts = [true, false].map(|arm| treated.iter().filter(|&&of| of == arm).count() as f64);
    if counts.contains(&0.0) {
        return Ok(None);
    }
    let chance = CHANCE * counts.iter().map(|count| 1.0 / count).sum::<f64>().sqrt();
    let difference = |column: usize| {
        let of = |arm: bool| {
            let values = x.column(column);
            let values: Vec<f64> =
                values.iter().zip(treated).filter(|(_, of)| **of == arm).map(|(&v, _)| v).collect();
            let n = values.len() as f64;
            let mean = values.iter().sum::<f64>() / n;
            let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
            (mean, squares / (n - 1.0).max(1.0))
        };
        let ((treated, s_treated), (control, s_control)) = (of(true), of(false));
        let spread = (0.5 * (s_treated + s_control)).sqrt();
        let standardised = if spread > 0.0 { (treated - control) / spread } else { 0.0 };
        let notable = standardised.abs() > NOTABLE.max(chance);
        Difference { treated, control, standardised, notable }
    };
    Ok(Some((0..x.ncols()).map(difference).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use layout::random::Stream;
    use ndarray::{Array2, array};

    #[test]
    fn by_hand() {
        let x = array![[1.0, 5.0], [3.0, 5.0], [2.0, 5.0], [6.0, 5.0]];
        let found = balance(x.view(), &[true, true, false, false]).unwrap().unwrap();
        assert_eq!((found[0].treated, found[0].control), (2.0, 4.0));
        // Variances 2 and 8.
        assert!((found[0].standardised + 2.0 / 5f64.sqrt()).abs() < 1e-15);
        assert_eq!((found[1].standardised, found[1].notable), (0.0, false));
        // Two a side: chance could have done it.
        assert!(!found[0].notable);
        assert_eq!(balance(x.view(), &[true; 4]), Ok(None));
        assert!(matches!(balance(x.view(), &[true]), Err(Error::Lengths { .. })));
    }

    #[test]
    fn a_shift_is_seen_and_chance_is_not() {
        let (column, draw) = (Stream::new(3, 1, 0), Stream::new(3, 2, 0));
        let treated: Vec<bool> = (0..4000).map(|row| draw.uniform(row) < 0.5).collect();
        let x = Array2::from_shape_fn((4000, 20), |(row, k)| {
            let shift = if k == 7 && treated[row] { 0.3 } else { 0.0 };
            column.normal((20 * row + k) as u64) + shift
        });
        let found = balance(x.view(), &treated).unwrap().unwrap();
        let notable: Vec<usize> = (0..20).filter(|&k| found[k].notable).collect();
        assert_eq!(notable, [7]);
        assert!((found[7].standardised - 0.3).abs() < 0.1);
    }
}
