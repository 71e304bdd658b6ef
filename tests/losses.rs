//! Every loss of outputs is what PyTorch makes of it, and its gradient is a slope. The softmax, and
//! the ranking losses over its candidates, are in `gradient` and `golden` as well.

use layout::{ClassTask, ElementLoss, ElementTask};
use ndarray::Array2;
use testkit::{LossGolden, Precision, assert_close, assert_gradient, nan, wave};

/// A loss and ∂L/∂z.
type Outcome<S> = (f64, Array2<S>);

fn element<S: Precision>(
    loss: ElementLoss<'_>,
    weight: &[f32],
    z: &Array2<S>,
    y: &Array2<S>,
) -> Outcome<S> {
    let mut dz = nan(z.dim());
    let task = ElementTask { loss, weight };
    (reference::element_loss(z.view(), y.view(), &task, dz.view_mut()), dz)
}

fn classes<S: Precision>(task: &ClassTask<'_>, z: &Array2<S>) -> Outcome<S> {
    let mut dz = nan(z.dim());
    (reference::class_loss(z.view(), task, dz.view_mut()), dz)
}

/// The weighted mean of a loss that knows the scores of a position and its target.
fn ranking<S: Precision>(
    golden: &LossGolden<S>,
    loss: impl Fn(usize, &mut [S]) -> S,
) -> Outcome<S> {
    let total: f64 = golden.weight.iter().map(|&weight| f64::from(weight)).sum();
    let (mut dz, mut mean) = (golden.z.clone(), 0.0);
    for (p, mut scores) in dz.rows_mut().into_iter().enumerate() {
        let share = f64::from(golden.weight[p]) / total;
        let row = scores.as_slice_mut().expect("row-major");
        mean += share * Into::<f64>::into(loss(golden.target[p] as usize, row));
        scores.mapv_inplace(|slope| slope * S::from(share).expect("a share"));
    }
    (mean, dz)
}

// --- PyTorch --------------------------------------------------------------------------------

fn golden(case: &str) {
    golden_in::<f64>(case);
    golden_in::<f32>(case);
}

fn golden_in<S: Precision>(case: &str) {
    let golden = LossGolden::<S>::open(case);
    let LossGolden { z, truth, share, weight, constants, .. } = &golden;
    let (loss, dz) = match (case, &constants[..]) {
        ("bce" | "bce_positive", positive) => {
            element(ElementLoss::BinaryCrossEntropy { positive }, weight, z, share)
        }
        ("squared", _) => element(ElementLoss::SquaredError, weight, z, share),
        ("huber", &[delta]) => element(ElementLoss::Huber { delta }, weight, z, share),
        ("focal" | "focal_slow", &[gamma, alpha]) => {
            element(ElementLoss::Focal { gamma, alpha }, weight, z, truth)
        }
        ("poisson", _) => element(ElementLoss::Poisson, weight, z, share),
        ("classes", class_weight) => {
            let weight = vec![1.0; z.nrows()];
            classes(&ClassTask { target: &golden.target, class_weight, weight: &weight }, z)
        }
        ("bpr_max" | "bpr_max_small", &[regularization]) => {
            ranking(&golden, |target, s| reference::bpr_max(regularization, target, s))
        }
        ("top1_max", _) => ranking(&golden, reference::top1_max),
        _ => panic!("{case} has constants {constants:?}"),
    };
    let scalar = |value: f64| Array2::from_elem((1, 1), value);
    let worst = assert_close("loss", scalar(loss).view(), scalar(golden.loss).view(), S::GOLDEN)
        .max(assert_close("dz", dz.view(), golden.dz.view(), S::GOLDEN));
    println!("{case} in {}: worst entry at {:.1} % of its allowance", S::NAME, 100.0 * worst);
}

#[test]
fn pytorch_agrees_on_outputs() {
    for case in ["bce", "bce_positive", "squared", "huber", "focal", "focal_slow", "poisson"] {
        golden(case);
    }
    golden("classes");
}

#[test]
fn pytorch_agrees_on_rankings() {
    for case in ["bpr_max", "bpr_max_small", "top1_max"] {
        golden(case);
    }
}

// --- slopes ---------------------------------------------------------------------------------

/// Positions that count differently, one of them not at all.
const WEIGHT: [f32; 5] = [1.0, 0.5, 2.0, 0.0, 0.25];

fn assert_slopes(loss: ElementLoss<'_>, z: &Array2<f64>, y: &Array2<f64>) {
    let (_, dz) = element(loss, &WEIGHT, z, y);
    assert_gradient("dz", &dz, z, |z| element(loss, &WEIGHT, z, y).0);
}

#[test]
fn outputs() {
    let z = wave((5, 3), 0.6).mapv(|z| 3.0 * z);
    let share = wave((5, 3), 1.1).mapv(|y| 0.5 + 0.4 * y);
    let truth = share.mapv(|y| f64::from(y > 0.5));
    for y in [&share, &truth] {
        assert_slopes(ElementLoss::BinaryCrossEntropy { positive: &[] }, &z, y);
        assert_slopes(ElementLoss::BinaryCrossEntropy { positive: &[0.5, 3.0, 1.0] }, &z, y);
        assert_slopes(ElementLoss::SquaredError, &z, y);
        assert_slopes(ElementLoss::Poisson, &z, y);
        // Both parts of it: some outputs are nearer than δ, some farther.
        assert_slopes(ElementLoss::Huber { delta: 1.5 }, &z, y);
    }
    for (gamma, alpha) in [(0.0, 0.5), (2.0, 0.25), (0.7, 0.9)] {
        assert_slopes(ElementLoss::Focal { gamma, alpha }, &z, &truth);
    }
}

#[test]
fn classes_that_count_differently() {
    let z = wave((5, 3), 0.6);
    for class_weight in [&[][..], &[0.5, 3.0, 1.0]] {
        let task = ClassTask { target: &[2, 0, 1, 1, 2], class_weight, weight: &WEIGHT };
        let (_, dz) = classes(&task, &z);
        assert_gradient("dz", &dz, &z, |z| classes(&task, z).0);
    }
}
