//! The one error for a tensor of the wrong shape.

use std::fmt;

/// A tensor came with another shape than the layer needs.
///
/// Shapes are checked once, at a layer's door; inside, functions trust them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{tensor} should be {expected}, found {}", Found(*found))]
pub struct ShapeError {
    /// The tensor's name, as the equations write it.
    pub tensor: String,
    /// The shape in letters and in numbers, such as `[4H, H] = [512, 128]`.
    pub expected: String,
    /// The shape that came.
    pub found: [usize; 2],
}

struct Found([usize; 2]);

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {}]", self.0[0], self.0[1])
    }
}

/// Compares a shape with the one a layer needs; `letters` names it as the equations do.
///
/// # Errors
///
/// [`ShapeError`] where the two differ.
pub fn check_shape(
    tensor: &str,
    letters: &str,
    expected: [usize; 2],
    found: [usize; 2],
) -> Result<(), ShapeError> {
    if expected == found {
        return Ok(());
    }
    let expected = format!("{letters} = [{}, {}]", expected[0], expected[1]);
    Err(ShapeError { tensor: tensor.to_owned(), expected, found })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_shape_names_tensor_letters_and_both_shapes() {
        let error = check_shape("w_h", "[4H, H]", [512, 128], [512, 64]).unwrap_err();
        assert_eq!(error.to_string(), "w_h should be [4H, H] = [512, 128], found [512, 64]");
    }
}
