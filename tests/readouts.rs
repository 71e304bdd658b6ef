//! What stands between states and scores (pooling, attention of a row, dense layers) is what PyTorch
//! makes of it, and its gradients are slopes.

use layout::{Activation, Matrix, Pooling, Reach, Steps};
use model::{Device, Reference};
use ndarray::Array2;
use testkit::{Golden, Precision, assert_close, assert_gradients, nan, to_matrix, wave};

/// What other uses of a parameter have left in its gradient.
const BEFORE: f64 = 0.5;

const POOLS: [(&str, Pooling, Reach); 4] = [
    ("mean_causal", Pooling::Mean, Reach::Causal),
    ("max_causal", Pooling::Max, Reach::Causal),
    ("mean_row", Pooling::Mean, Reach::Row),
    ("max_row", Pooling::Max, Reach::Row),
];
const ACTIVATIONS: [(&str, Activation); 3] =
    [("relu", Activation::Relu), ("tanh", Activation::Tanh), ("elu", Activation::Elu)];

fn array<S: Precision>(matrix: &Matrix<S>) -> Array2<S> {
    matrix.view().to_owned()
}

/// What a result holds before the call.
fn unset<S: Precision>() -> Matrix<S> {
    to_matrix(nan((2, 2)).view())
}

/// What a parameter's gradient holds before the call.
fn before<S: Precision>(shape: (usize, usize)) -> Matrix<S> {
    to_matrix(Array2::from_elem(shape, S::from(BEFORE).expect("a half")).view())
}

/// Such a gradient without that.
fn added<S: Precision>(gradient: &Matrix<S>) -> Array2<S> {
    array(gradient).mapv(|d| d - S::from(BEFORE).expect("a half"))
}

/// y and dx.
fn pool<S: Precision>(
    (_, pooling, reach): (&str, Pooling, Reach),
    steps: &Steps,
    x: &Array2<S>,
    dy: &Array2<S>,
) -> (Array2<S>, [Array2<S>; 1]) {
    let (device, x, dy) = (Reference::<S>::new(), to_matrix(x.view()), to_matrix(dy.view()));
    let (mut y, mut dx) = (unset(), unset());
    device.pool_forward(pooling, reach, steps, &x, &mut y);
    device.pool_backward(pooling, reach, steps, &x, &y, &dy, &mut dx);
    (array(&y), [array(&dx)])
}

/// The context, and the gradients of query, key, value and lag bias.
fn attend<S: Precision>(
    steps: &Steps,
    inputs: &[Array2<S>; 4],
    dcontext: &Array2<S>,
) -> (Array2<S>, [Array2<S>; 4]) {
    let device = Reference::<S>::new();
    let [query, key, value, lag_bias] = inputs.each_ref().map(|x| to_matrix(x.view()));
    let dcontext = to_matrix(dcontext.view());
    let (mut weights, mut context) = (unset(), unset());
    device.row_attention_forward(
        steps,
        &query,
        &key,
        &value,
        &lag_bias,
        &mut weights,
        &mut context,
    );
    let mut dlag_bias = before((1, lag_bias.columns()));
    let [mut dquery, mut dkey, mut dvalue] = [unset(), unset(), unset()];
    device.row_attention_backward(
        steps,
        &query,
        &key,
        &value,
        &weights,
        &dcontext,
        &mut dlag_bias,
        &mut dquery,
        &mut dkey,
        &mut dvalue,
    );
    (array(&context), [array(&dquery), array(&dkey), array(&dvalue), added(&dlag_bias)])
}

/// y, and the gradients of x, w and b.
fn dense<S: Precision>(
    f: Activation,
    inputs: &[Array2<S>; 3],
    dy: &Array2<S>,
) -> (Array2<S>, [Array2<S>; 3]) {
    let device = Reference::<S>::new();
    let [x, w, b] = inputs.each_ref().map(|x| to_matrix(x.view()));
    let dy = to_matrix(dy.view());
    let (mut y, mut dz, mut dx) = (unset(), unset(), unset());
    device.dense_forward(&w, &b, f, &x, &mut y);
    let (mut dw, mut db) = (before((w.rows(), w.columns())), before((1, w.rows())));
    device.dense_backward(&w, f, &x, &y, &dy, &mut dw, &mut db, &mut dz, &mut dx);
    (array(&y), [array(&dx), added(&dw), added(&db)])
}

// --- PyTorch --------------------------------------------------------------------------------

#[test]
fn pytorch_agrees() {
    golden::<f64>();
    golden::<f32>();
}

fn golden<S: Precision>() {
    let file = Golden::open("readouts");
    let made_by = file.made_by();
    let script = "tests/golden/make_readouts.py, PyTorch 2.";
    assert!(made_by.starts_with(script) && made_by.contains("seed"), "{made_by}");
    let steps = Steps::from_lengths(&file.integers::<usize>("lengths"));
    let of = |key: &str| file.matrix::<S>(key);
    let check = |name: &str, y: &Array2<S>, names: &[&str], grads: &[Array2<S>]| {
        let mut worst = assert_close(name, y.view(), of(&format!("{name}.y")).view(), S::GOLDEN);
        for (key, grad) in names.iter().zip(grads) {
            let key = format!("{name}.d{key}");
            worst = worst.max(assert_close(&key, grad.view(), of(&key).view(), S::GOLDEN));
        }
        println!("{name} in {}: worst entry at {:.1} % of its allowance", S::NAME, 100.0 * worst);
    };
    for case in POOLS {
        let (y, grads) = pool(case, &steps, &of("x"), &of(&format!("{}.dy", case.0)));
        check(case.0, &y, &["x"], &grads);
    }
    let inputs = ["query", "key", "x", "lag_bias"];
    let (context, grads) = attend(&steps, &inputs.map(of), &of("attention.dy"));
    check("attention", &context, &inputs, &grads);
    for (name, f) in ACTIVATIONS {
        let inputs = ["x", "w", "b"];
        let (y, grads) = dense(f, &inputs.map(of), &of(&format!("{name}.dy")));
        check(name, &y, &inputs, &grads);
    }
}

// --- slopes ---------------------------------------------------------------------------------

fn weigh(output: &Array2<f64>, weight: &Array2<f64>) -> f64 {
    (output * weight).sum()
}

/// Each column has its largest entry somewhere inside a row, and no two of them are near each other.
#[test]
fn pooling_slopes() {
    let steps = Steps::from_lengths(&[5, 3, 1]);
    for case in POOLS {
        let answers = if case.2 == Reach::Causal { 9 } else { 3 };
        let (inputs, dy) = ([wave((9, 2), 0.6)], wave((answers, 2), 1.2));
        let (_, grads) = pool(case, &steps, &inputs[0], &dy);
        assert_gradients(["dx"], &grads, &inputs, |[x]| weigh(&pool(case, &steps, x, &dy).0, &dy));
    }
}

/// T = 5 steps but L = 3 lags: the last lag stands for all older ones.
#[test]
fn attention_slopes() {
    let steps = Steps::from_lengths(&[5, 3, 1]);
    let inputs = [wave((3, 2), 0.6), wave((9, 2), 1.1), wave((9, 4), 2.3), wave((1, 3), 0.2)];
    let dcontext = wave((3, 4), 1.2);
    let (_, grads) = attend(&steps, &inputs, &dcontext);
    let names = ["dquery", "dkey", "dvalue", "dlag_bias"];
    assert_gradients(names, &grads, &inputs, |inputs| {
        weigh(&attend(&steps, inputs, &dcontext).0, &dcontext)
    });
}

#[test]
fn dense_slopes() {
    let inputs = [wave((5, 4), 1.4), wave((3, 4), 0.2), wave((1, 3), 2.3)];
    let dy = wave((5, 3), 0.8);
    for (_, f) in ACTIVATIONS {
        let (_, grads) = dense(f, &inputs, &dy);
        assert_gradients(["dx", "dw", "db"], &grads, &inputs, |inputs| {
            weigh(&dense(f, inputs, &dy).0, &dy)
        });
    }
}

/// The attention of a row is the causal one of its last position.
#[test]
fn a_row_asks_what_its_last_position_asks() {
    let steps = Steps::from_lengths(&[5, 3, 1]);
    let device = Reference::<f64>::new();
    let [query, key, value, lag_bias] = [(2, 9, 0.6), (2, 9, 1.1), (4, 9, 2.3), (3, 1, 0.2)]
        .map(|(columns, rows, phase)| to_matrix(wave((rows, columns), phase).view()));
    let last: Vec<u32> = (0..steps.batch()).map(|b| steps.last(b) as u32).collect();
    let (mut weights, mut causal, mut expected) = (unset(), unset(), unset());
    device.attention_forward(&steps, &query, &key, &value, &lag_bias, &mut weights, &mut causal);
    device.gather(&causal, &last, &mut expected);
    let (mut asked, mut found) = (unset(), unset());
    device.gather(&query, &last, &mut asked);
    device.row_attention_forward(&steps, &asked, &key, &value, &lag_bias, &mut weights, &mut found);
    testkit::assert_same_bits("context", found.view(), expected.view());
}
