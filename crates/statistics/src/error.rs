//! What can be wrong with numbers that come in, and the checks that say so.

use ndarray::ArrayView2;

/// An error that says which number is wrong and what it should be.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// Two arguments differ in length.
    #[error("{name} has {found} entries, {beside} has {expected}: they must be as many")]
    Lengths {
        /// The argument that was looked at.
        name: &'static str,
        /// How many entries it has.
        found: usize,
        /// The argument it was held against.
        beside: &'static str,
        /// How many entries that one has.
        expected: usize,
    },
    /// A number is not one of those that the argument may hold.
    #[error("{name}[{index}] is {value}; allowed: {allowed}")]
    Value {
        /// The argument.
        name: &'static str,
        /// Where in it, counted from 0.
        index: usize,
        /// What stands there.
        value: f64,
        /// What may stand there.
        allowed: &'static str,
    },
    /// The same in a matrix.
    #[error("{name}[{row}, {column}] is {value}; allowed: {allowed}")]
    Cell {
        /// The argument.
        name: &'static str,
        /// Its row, counted from 0.
        row: usize,
        /// Its column, counted from 0.
        column: usize,
        /// What stands there.
        value: f64,
        /// What may stand there.
        allowed: &'static str,
    },
    /// A setting is out of its range.
    #[error("{name} is {value}; allowed: {allowed}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// What was asked for.
        value: f64,
        /// What may be asked for.
        allowed: &'static str,
    },
    /// There is too little to fit.
    #[error("{found} {what} are too few to fit {model}: it needs {needed} at least")]
    TooFew {
        /// What is counted, in the plural.
        what: &'static str,
        /// How many came.
        found: usize,
        /// What was to be fitted.
        model: &'static str,
        /// How many it needs.
        needed: usize,
    },
    /// The columns do not determine the coefficients.
    #[error(
        "columns depend on each other, so that no coefficients are best; use a penalty above 0"
    )]
    Singular,
    /// The search for the best coefficients does not end.
    #[error("the fit of {model} does not come to an end; {remedy}")]
    Diverged {
        /// What was to be fitted.
        model: &'static str,
        /// What to do about it.
        remedy: &'static str,
    },
}

/// What most arguments may hold.
pub(crate) const FINITE: &str = "finite numbers";
/// What a probability may be.
pub(crate) const PROBABILITY: &str = "probabilities, 0 to 1";

pub(crate) fn check_lengths(
    name: &'static str,
    found: usize,
    beside: &'static str,
    expected: usize,
) -> Result<(), Error> {
    if found == expected {
        return Ok(());
    }
    Err(Error::Lengths { name, found, beside, expected })
}

/// [`Error::Value`] for the first of `values` that is not `allowed`.
pub(crate) fn check_values(
    name: &'static str,
    values: &[f64],
    allowed: &'static str,
    is_allowed: impl Fn(f64) -> bool,
) -> Result<(), Error> {
    match values.iter().position(|&value| !is_allowed(value)) {
        None => Ok(()),
        Some(index) => Err(Error::Value { name, index, value: values[index], allowed }),
    }
}

pub(crate) fn check_finite(name: &'static str, values: &[f64]) -> Result<(), Error> {
    check_values(name, values, FINITE, f64::is_finite)
}

pub(crate) fn check_probabilities(name: &'static str, values: &[f64]) -> Result<(), Error> {
    check_values(name, values, PROBABILITY, |value| (0.0..=1.0).contains(&value))
}

/// [`Error::Cell`] for the first entry of a matrix that is not `allowed`.
pub(crate) fn check_cells<S: Copy + Into<f64>>(
    name: &'static str,
    matrix: ArrayView2<'_, S>,
    allowed: &'static str,
    is_allowed: impl Fn(f64) -> bool,
) -> Result<(), Error> {
    for ((row, column), &value) in matrix.indexed_iter() {
        let value = value.into();
        if !is_allowed(value) {
            return Err(Error::Cell { name, row, column, value, allowed });
        }
    }
    Ok(())
}

/// [`Error::Setting`] where a setting is not `allowed`.
pub(crate) fn check_setting(
    name: &'static str,
    value: f64,
    allowed: &'static str,
    is_allowed: impl Fn(f64) -> bool,
) -> Result<(), Error> {
    if is_allowed(value) {
        return Ok(());
    }
    Err(Error::Setting { name, value, allowed })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn the_first_wrong_number_is_named() {
        let found = check_finite("scores", &[1.0, f64::NAN, f64::INFINITY]).unwrap_err();
        assert_eq!(found.to_string(), "scores[1] is NaN; allowed: finite numbers");
        let found = check_probabilities("p", &[0.0, 1.0, 1.5]).unwrap_err();
        assert_eq!(found.to_string(), "p[2] is 1.5; allowed: probabilities, 0 to 1");
        let matrix = array![[1f32, 2.0], [3.0, f32::INFINITY]];
        let found = check_cells("x", matrix.view(), FINITE, f64::is_finite).unwrap_err();
        assert_eq!(found.to_string(), "x[1, 1] is inf; allowed: finite numbers");
        let found = check_lengths("outcomes", 2, "scores", 3).unwrap_err();
        assert_eq!(found.to_string(), "outcomes has 2 entries, scores has 3: they must be as many");
    }
}
