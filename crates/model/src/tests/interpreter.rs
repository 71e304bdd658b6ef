//! A small interpreter of ONNX: the operators that our graphs use, as the specification defines them
//! and in f64, so that a graph can be held against our own forward pass without a runtime.
//!
//! Nothing here looks at the code that writes graphs; each operator is the formula of its page in the
//! specification, as slow as may be.

use std::collections::HashMap;

use ndarray::{ArrayD, Axis, Dimension, IxDyn, Zip};

use crate::onnx::proto::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto};

/// A tensor of one of the three types that occur.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Real(ArrayD<f64>),
    Whole(ArrayD<i64>),
    Truth(ArrayD<bool>),
}

use Value::{Real, Truth, Whole};

impl Value {
    pub(crate) fn real(&self) -> &ArrayD<f64> {
        match self {
            Real(values) => values,
            other => panic!("not real: {other:?}"),
        }
    }

    fn whole(&self) -> &ArrayD<i64> {
        match self {
            Whole(values) => values,
            other => panic!("not whole: {other:?}"),
        }
    }

    fn truth(&self) -> &ArrayD<bool> {
        match self {
            Truth(values) => values,
            other => panic!("no truth: {other:?}"),
        }
    }

    fn list(&self) -> Vec<i64> {
        self.whole().iter().copied().collect()
    }
}

/// Runs a model; gives every value by its name.
pub(crate) fn run(model: &ModelProto, inputs: &[(&str, Value)]) -> HashMap<String, Value> {
    assert_eq!(
        (model.ir_version, model.opset_import[0].version),
        (8, 17),
        "what is interpreted here"
    );
    let graph = model.graph.as_ref().expect("a graph");
    let mut values: HashMap<String, Value> = constants(graph);
    values.extend(inputs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    for node in &graph.node {
        let made = {
            let found = |name: &String| match name.is_empty() {
                true => None,
                false => {
                    Some(values.get(name).unwrap_or_else(|| panic!("{name} is not there yet")))
                }
            };
            let inputs: Vec<Option<&Value>> = node.input.iter().map(found).collect();
            operator(node, &inputs)
        };
        for (name, value) in node.output.iter().zip(made) {
            assert!(values.insert(name.clone(), value).is_none(), "{name} is made twice");
        }
    }
    values
}

fn constants(graph: &GraphProto) -> HashMap<String, Value> {
    graph.initializer.iter().map(|tensor| (tensor.name.clone(), constant(tensor))).collect()
}

fn constant(tensor: &TensorProto) -> Value {
    let shape: Vec<usize> = tensor.dims.iter().map(|&length| length as usize).collect();
    let shape = IxDyn(&shape);
    let data = &tensor.raw_data;
    match tensor.data_type {
        1 => {
            let numbers = data.as_chunks().0.iter().map(|&b| f64::from(f32::from_le_bytes(b)));
            Real(ArrayD::from_shape_vec(shape, numbers.collect()).expect("as many as it says"))
        }
        7 => {
            let numbers = data.as_chunks().0.iter().map(|&b| i64::from_le_bytes(b));
            Whole(ArrayD::from_shape_vec(shape, numbers.collect()).expect("as many as it says"))
        }
        other => panic!("{} is of type {other}", tensor.name),
    }
}

fn attribute<'a>(node: &'a NodeProto, name: &str) -> Option<&'a AttributeProto> {
    node.attribute.iter().find(|attribute| attribute.name == name)
}

fn operator(node: &NodeProto, inputs: &[Option<&Value>]) -> Vec<Value> {
    let input = |k: usize| inputs[k].expect("this input is needed");
    let int = |name: &str, default| attribute(node, name).map_or(default, |attribute| attribute.i);
    let whole = |name: &str| attribute(node, name).expect("a list").ints.clone();
    vec![match node.op_type.as_str() {
        "LSTM" | "GRU" | "RNN" => return recurrent(node, inputs),
        "Identity" => input(0).clone(),
        "Add" => arithmetic(input(0), input(1), |a, b| a + b, |a, b| a + b),
        "Sub" => arithmetic(input(0), input(1), |a, b| a - b, |a, b| a - b),
        "Mul" => arithmetic(input(0), input(1), |a, b| a * b, |a, b| a * b),
        "Div" => arithmetic(input(0), input(1), |a, b| a / b, |a, b| a / b),
        "Equal" => compare(input(0), input(1), |a, b| a == b, |a, b| a == b),
        "Less" => compare(input(0), input(1), |a, b| a < b, |a, b| a < b),
        "GreaterOrEqual" => compare(input(0), input(1), |a, b| a >= b, |a, b| a >= b),
        "And" => Truth(zip(input(0).truth(), input(1).truth(), |&a, &b| a && b)),
        "Relu" => Real(input(0).real().mapv(|value| value.max(0.0))),
        "Tanh" => Real(input(0).real().mapv(f64::tanh)),
        "Elu" => Real(input(0).real().mapv(|z| if z > 0.0 { z } else { z.exp() - 1.0 })),
        "Sqrt" => Real(input(0).real().mapv(f64::sqrt)),
        "Shape" => Whole(list(shape(input(0)).iter().map(|&length| length as i64))),
        "Range" => {
            let at = |k: usize| input(k).list()[0];
            Whole(list((at(0)..at(1)).step_by(at(2) as usize)))
        }
        "Cast" => cast(input(0), int("to", 0)),
        "Clip" => {
            let (low, high) = (input(1).list()[0], input(2).list()[0]);
            Whole(input(0).whole().mapv(|value| value.clamp(low, high)))
        }
        "Where" => {
            let chosen = zip(input(0).truth(), input(1).real(), |&yes, &a| yes.then_some(a));
            Real(zip(&chosen, input(2).real(), |chosen, &b| chosen.unwrap_or(b)))
        }
        "Transpose" => each(input(0), &Permuted(&whole("perm"))),
        "Unsqueeze" => each(input(0), &Inserted(&input(1).list())),
        "Squeeze" => each(input(0), &Removed(&input(1).list())),
        "Reshape" => each(input(0), &Reshaped(&input(1).list())),
        "Gather" => {
            assert_eq!(int("axis", 0), 0);
            gather(input(0), input(1).whole())
        }
        "MatMul" => Real(product(input(0).real(), input(1).real())),
        "Gemm" => {
            assert_eq!(int("transB", 0), 1);
            let transposed = input(1).real().t().to_owned();
            let sum = product(input(0).real(), &transposed);
            match inputs.get(2).copied().flatten() {
                Some(c) => Real(zip(&sum, c.real(), |a, b| a + b)),
                None => Real(sum),
            }
        }
        "ReduceSum" => {
            let values = input(0).real();
            let axis = Axis((input(1).list()[0].rem_euclid(values.ndim() as i64)) as usize);
            let sum = values.sum_axis(axis);
            Real(if int("keepdims", 1) == 1 { sum.insert_axis(axis) } else { sum })
        }
        "ReduceMax" => {
            assert_eq!((whole("axes"), int("keepdims", 1)), (vec![0], 0));
            let largest =
                |lane: ndarray::ArrayView1<'_, f64>| lane.fold(f64::NEG_INFINITY, |a, &b| a.max(b));
            Real(input(0).real().map_axis(Axis(0), largest))
        }
        "CumSum" => {
            let mut values = input(0).real().clone();
            values.accumulate_axis_inplace(Axis(input(1).list()[0] as usize), |&before, now| {
                *now += before;
            });
            Real(values)
        }
        "Softmax" => {
            assert_eq!(int("axis", 0), -1);
            let mut values = input(0).real().clone();
            for mut row in values.lanes_mut(Axis(2)) {
                let largest = row.fold(f64::NEG_INFINITY, |a, &b| a.max(b));
                row.mapv_inplace(|value| (value - largest).exp());
                let sum = row.sum();
                row /= sum;
            }
            Real(values)
        }
        "ScatterElements" => {
            assert_eq!(int("axis", 0), 1);
            assert_eq!(attribute(node, "reduction").expect("one").s, b"add");
            let mut values = input(0).real().clone();
            for (at, &item) in input(1).whole().indexed_iter() {
                values[[at[0], item as usize]] += input(2).real()[at.clone()];
            }
            Real(values)
        }
        other => panic!("{other} is not interpreted here"),
    }]
}

fn shape(value: &Value) -> &[usize] {
    match value {
        Real(values) => values.shape(),
        Whole(values) => values.shape(),
        Truth(values) => values.shape(),
    }
}

fn list(values: impl Iterator<Item = i64>) -> ArrayD<i64> {
    values.collect::<ndarray::Array1<i64>>().into_dyn()
}

/// The shape that two shapes are stretched to.
fn stretched(one: &[usize], other: &[usize]) -> Vec<usize> {
    let length = one.len().max(other.len());
    let at =
        |shape: &[usize], k: usize| (k + shape.len()).checked_sub(length).map_or(1, |k| shape[k]);
    (0..length)
        .map(|k| match (at(one, k), at(other, k)) {
            (1, b) => b,
            (a, b) if b == 1 || a == b => a,
            _ => panic!("{one:?} and {other:?} do not fit"),
        })
        .collect()
}

fn zip<A, B, C>(one: &ArrayD<A>, other: &ArrayD<B>, f: impl Fn(&A, &B) -> C) -> ArrayD<C> {
    let shape = stretched(one.shape(), other.shape());
    let one = one.broadcast(shape.clone()).expect("stretched");
    let other = other.broadcast(shape).expect("stretched");
    Zip::from(&one).and(&other).map_collect(f)
}

fn arithmetic(
    one: &Value,
    other: &Value,
    real: fn(f64, f64) -> f64,
    whole: fn(i64, i64) -> i64,
) -> Value {
    match (one, other) {
        (Real(one), Real(other)) => Real(zip(one, other, |&a, &b| real(a, b))),
        _ => Whole(zip(one.whole(), other.whole(), |&a, &b| whole(a, b))),
    }
}

fn compare(
    one: &Value,
    other: &Value,
    real: fn(f64, f64) -> bool,
    whole: fn(i64, i64) -> bool,
) -> Value {
    Truth(match (one, other) {
        (Real(one), Real(other)) => zip(one, other, |&a, &b| real(a, b)),
        _ => zip(one.whole(), other.whole(), |&a, &b| whole(a, b)),
    })
}

fn cast(value: &Value, to: i64) -> Value {
    match (value, to) {
        (Truth(values), 1) => Real(values.mapv(f64::from)),
        (Whole(values), 1) => Real(values.mapv(|value| value as f64)),
        (Whole(values), 7) => Whole(values.clone()),
        other => panic!("no such cast: {other:?}"),
    }
}

/// What changes the shape of a tensor of any type.
trait Shaping {
    fn shaped<T: Clone>(&self, values: &ArrayD<T>) -> ArrayD<T>;
}

struct Permuted<'a>(&'a [i64]);
struct Inserted<'a>(&'a [i64]);
struct Removed<'a>(&'a [i64]);
struct Reshaped<'a>(&'a [i64]);

impl Shaping for Permuted<'_> {
    fn shaped<T: Clone>(&self, values: &ArrayD<T>) -> ArrayD<T> {
        let axes: Vec<usize> = self.0.iter().map(|&axis| axis as usize).collect();
        values.clone().permuted_axes(axes).as_standard_layout().into_owned()
    }
}

impl Shaping for Inserted<'_> {
    fn shaped<T: Clone>(&self, values: &ArrayD<T>) -> ArrayD<T> {
        let insert = |values: ArrayD<T>, &axis: &i64| values.insert_axis(Axis(axis as usize));
        self.0.iter().fold(values.clone(), insert)
    }
}

impl Shaping for Removed<'_> {
    fn shaped<T: Clone>(&self, values: &ArrayD<T>) -> ArrayD<T> {
        self.0.iter().rev().fold(values.clone(), |values, &axis| {
            assert_eq!(values.shape()[axis as usize], 1);
            values.index_axis_move(Axis(axis as usize), 0)
        })
    }
}

impl Shaping for Reshaped<'_> {
    fn shaped<T: Clone>(&self, values: &ArrayD<T>) -> ArrayD<T> {
        let given = |k: usize| match self.0[k] {
            0 => Some(values.shape()[k]),
            -1 => None,
            length => Some(length as usize),
        };
        let known: usize = (0..self.0.len()).filter_map(given).product();
        let lengths: Vec<usize> =
            (0..self.0.len()).map(|k| given(k).unwrap_or(values.len() / known)).collect();
        let values = values.iter().cloned().collect();
        ArrayD::from_shape_vec(IxDyn(&lengths), values).expect("as many as before")
    }
}

fn each(value: &Value, shaping: &impl Shaping) -> Value {
    match value {
        Real(values) => Real(shaping.shaped(values)),
        Whole(values) => Whole(shaping.shaped(values)),
        Truth(values) => Truth(shaping.shaped(values)),
    }
}

fn gather(value: &Value, ids: &ArrayD<i64>) -> Value {
    fn rows<T: Clone>(values: &ArrayD<T>, ids: &ArrayD<i64>) -> ArrayD<T> {
        let shape = [ids.shape(), &values.shape()[1..]].concat();
        let taken = ids.iter().flat_map(|&id| {
            values.index_axis(Axis(0), id as usize).iter().cloned().collect::<Vec<_>>()
        });
        ArrayD::from_shape_vec(IxDyn(&shape), taken.collect()).expect("a row each")
    }
    match value {
        Real(values) => Real(rows(values, ids)),
        Whole(values) => Whole(rows(values, ids)),
        Truth(values) => Truth(rows(values, ids)),
    }
}

/// Products of the last two axes; what stands before them is stretched.
fn product(one: &ArrayD<f64>, other: &ArrayD<f64>) -> ArrayD<f64> {
    let ([.., rows, inner], [.., depth, columns]) = (one.shape(), other.shape()) else {
        panic!("no matrices: {:?} {:?}", one.shape(), other.shape())
    };
    assert_eq!(inner, depth, "{:?} · {:?}", one.shape(), other.shape());
    let before = |values: &ArrayD<f64>| values.shape()[..values.ndim() - 2].to_vec();
    let stretched = stretched(&before(one), &before(other));
    let with = |tail: &[usize]| [&stretched[..], tail].concat();
    let one = one.broadcast(with(&[*rows, *inner])).expect("stretched");
    let other = other.broadcast(with(&[*inner, *columns])).expect("stretched");
    ArrayD::from_shape_fn(IxDyn(&with(&[*rows, *columns])), |at| {
        let (place, ends) = at.slice().split_at(stretched.len());
        let entry = |tail: [usize; 2]| IxDyn(&[place, &tail[..]].concat());
        (0..*inner).map(|k| one[entry([ends[0], k])] * other[entry([k, ends[1]])]).sum()
    })
}

fn sigmoid(value: f64) -> f64 {
    1.0 / (1.0 + (-value).exp())
}

/// X, W, R, B, sequence_lens, initial_h, initial_c, and for an LSTM P as the eighth; Y and Y_h.
fn recurrent(node: &NodeProto, inputs: &[Option<&Value>]) -> Vec<Value> {
    let real = |k: usize| inputs[k].expect("this input is needed").real();
    let (x, w, r, b) = (real(0), real(1), real(2), real(3));
    let lengths = inputs[4].expect("lengths").list();
    let p = inputs.get(7).copied().flatten().map(Value::real);
    let hidden = attribute(node, "hidden_size").expect("a size").i as usize;
    let before_reset =
        attribute(node, "linear_before_reset").is_some_and(|attribute| attribute.i == 1);
    let (time, batch, width) = (x.shape()[0], x.shape()[1], x.shape()[2]);
    let backwards: &[bool] = match attribute(node, "direction").map_or(&b"forward"[..], |a| &a.s) {
        b"forward" => &[false],
        b"reverse" => &[true],
        b"bidirectional" => &[false, true],
        other => panic!("no direction: {other:?}"),
    };
    let blocks = match node.op_type.as_str() {
        "LSTM" => 4,
        "GRU" => 3,
        _ => 1,
    };
    assert_eq!(w.shape(), [backwards.len(), blocks * hidden, width]);
    assert_eq!(r.shape(), [backwards.len(), blocks * hidden, hidden]);
    assert_eq!(b.shape(), [backwards.len(), 2 * blocks * hidden]);
    let mut all = ArrayD::zeros(IxDyn(&[time, backwards.len(), batch, hidden]));
    let mut last = ArrayD::zeros(IxDyn(&[backwards.len(), batch, hidden]));
    for (d, &backwards) in backwards.iter().enumerate() {
        for row in 0..batch {
            let start = |k: usize| match inputs.get(k).copied().flatten().map(Value::real) {
                Some(start) => (0..hidden).map(|j| start[[d, row, j]]).collect(),
                None => vec![0.0; hidden],
            };
            let (mut h, mut c) = (start(5), start(6));
            let length = lengths[row] as usize;
            for step in 0..length {
                let t = if backwards { length - 1 - step } else { step };
                // x·Wᵀ + Wb and h·Rᵀ + Rb of unit j in a block.
                let of_x = |block: usize, j: usize| {
                    let unit = block * hidden + j;
                    let sum: f64 = (0..width).map(|k| x[[t, row, k]] * w[[d, unit, k]]).sum();
                    sum + b[[d, unit]]
                };
                let of = |h: &[f64], block: usize, j: usize| {
                    let unit = block * hidden + j;
                    let sum: f64 = (0..hidden).map(|k| h[k] * r[[d, unit, k]]).sum();
                    sum + b[[d, (blocks * hidden) + unit]]
                };
                let peep = |block: usize, j: usize, c: f64| {
                    p.map_or(0.0, |p| p[[d, block * hidden + j]] * c)
                };
                let old = h.clone();
                let z = |block, j| of_x(block, j) + of(&old, block, j);
                let reset: Vec<f64> = match blocks {
                    3 => (0..hidden).map(|j| sigmoid(z(1, j)) * old[j]).collect(),
                    _ => Vec::new(),
                };
                for j in 0..hidden {
                    h[j] = match blocks {
                        4 => {
                            let i = sigmoid(z(0, j) + peep(0, j, c[j]));
                            let f = sigmoid(z(2, j) + peep(2, j, c[j]));
                            c[j] = f * c[j] + i * z(3, j).tanh();
                            sigmoid(z(1, j) + peep(1, j, c[j])) * c[j].tanh()
                        }
                        3 => {
                            let update = sigmoid(z(0, j));
                            let new = match before_reset {
                                true => of_x(2, j) + sigmoid(z(1, j)) * of(&old, 2, j),
                                false => of_x(2, j) + of(&reset, 2, j),
                            };
                            (1.0 - update) * new.tanh() + update * old[j]
                        }
                        _ => z(0, j).tanh(),
                    };
                }
                for j in 0..hidden {
                    all[[t, d, row, j]] = h[j];
                }
            }
            for j in 0..hidden {
                last[[d, row, j]] = h[j];
            }
        }
    }
    vec![Real(all), Real(last)]
}
