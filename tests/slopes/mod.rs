//! Analytic gradients of a whole model against central differences.

use layout::Matrix;
use model::{Gradients, Model};
use testkit::assert_gradient;

use crate::models::Exact;

/// Holds the gradient of every tensor of a model against central differences of its loss.
pub(crate) fn slopes(
    model: &Model<Exact>,
    of: impl Fn(&Model<Exact>) -> (f64, Gradients<Matrix<f64>>),
) -> Gradients<Matrix<f64>> {
    let (_, gradients) = of(model);
    let tensors = model.catalogue().iter().zip(gradients.values().iter());
    for (k, (spec, gradient)) in tensors.enumerate() {
        let at = model.parameters().iter().nth(k).expect("as the catalogue");
        assert_gradient(&spec.name, &gradient.view().to_owned(), &at.view().to_owned(), |moved| {
            let mut model = model.clone();
            let tensor = model.parameters_mut().iter_mut().nth(k).expect("as the catalogue");
            tensor.as_mut_slice().copy_from_slice(moved.as_slice().expect("row-major"));
            of(&model).0
        });
        let felt = gradient.as_slice().iter().any(|entry| entry.abs() > 1e-4);
        assert!(felt || !spec.name.starts_with("features."), "{} counts", spec.name);
        if let Some(reached) = gradients.rows(spec.update) {
            for row in (0..gradient.rows()).filter(|row| !reached.contains(&(*row as u32))) {
                let zero = gradient.row(row).iter().all(|&entry| entry == 0.0);
                assert!(zero, "{}: row {row} is said to be out of reach", spec.name);
            }
        }
    }
    gradients
}
