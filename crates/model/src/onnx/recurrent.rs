//! A recurrent layer as the operators LSTM, GRU and RNN have it.
//!
//! ```text
//!     LSTM  blocks i o f c     i f o = σ(…)  c̃ = tanh(…)  C = f ⊙ C + i ⊙ c̃  H = o ⊙ tanh(C)
//!                              peepholes P, blocks i o f: i and f see the old C, o the new one
//!     GRU   blocks z r h       with linear_before_reset = 1:
//!                              h̃ = tanh(x·W_hᵀ + W_bh + r ⊙ (H·R_hᵀ + R_bh))  H = (1 − z) ⊙ h̃ + z ⊙ H
//!     RNN   one block          H = tanh(…)
//! ```
//!
//! The blocks are ours in another order (i f g o, r z n); `g` and `n` are what is called c and h there.
//! Two of our cells need no operator of their own:
//!
//! ```text
//!     coupled      1 − σ(z_f) = σ(−z_f): an LSTM whose input gate has the forget gate's weights, negated
//!     projection   h = W_p h′ enters the gates through w_h alone: an LSTM over h′ whose recurrent weights
//!                  are w_h W_p, and W_p once more on what it shows
//! ```

use layout::{Cell, RecurrentDims, RecurrentParams};

use super::graph::{Graph, int, ints, text};
use crate::{ExportError, StartParameters};

/// The names of what a layer makes.
pub(super) struct States {
    /// After every position, `[time, batch, D·R]` of D directions; zero after the end of a row.
    pub(super) all: String,
    /// After the last position of each row, `[batch, D·R]`.
    pub(super) last: String,
}

/// The operator of a cell, and which of our blocks stands in each place of its.
fn operator(cell: Cell) -> Result<(&'static str, &'static [usize]), ExportError> {
    match cell {
        // Coupled gates have become four blocks by then.
        Cell::Lstm | Cell::Peephole | Cell::Coupled => Ok(("LSTM", &[0, 3, 1, 2])),
        Cell::Gru => Ok(("GRU", &[1, 0, 2])),
        Cell::Rnn => Ok(("RNN", &[0])),
        Cell::LayerNorm => Err(ExportError::Cell {
            cell: "lstm+layernorm",
            format: "ONNX",
            problem: "its LSTM operator normalises nothing",
            remedy: "train with --cell lstm, gru or rnn, or an LSTM with peepholes, coupled gates \
                     or a projection",
        }),
    }
}

/// Where a layer starts, for every row the same: the names of h and c, `[1, batch, H]`.
pub(super) struct Start {
    h: String,
    /// Of an LSTM.
    c: Option<String>,
}

impl Start {
    /// Adds the learned states of layer `l`.
    pub(super) fn new(
        graph: &mut Graph,
        l: usize,
        params: &StartParameters<&[f32]>,
    ) -> Result<Self, ExportError> {
        if l == 0 {
            // A zero for each row picks the one state that there is.
            graph.integers("axis_0", &[0]);
            graph.op("Sub", &["lengths64", "lengths64"], "the_one");
        }
        let mut add = |name: &str, values: &[f32]| {
            let [state, rows, start] =
                ["", ".rows", ".start"].map(|part| format!("layer{l}.{name}{part}"));
            graph.numbers(&state, &[1, values.len()], || values.to_vec())?;
            graph.op("Gather", &[&state, "the_one"], &rows);
            graph.op("Unsqueeze", &[&rows, "axis_0"], &start);
            Ok(start)
        };
        let h = add("h_0", params.h_0)?;
        Ok(Self { h, c: params.c_0.map(|c_0| add("c_0", c_0)).transpose()? })
    }
}

impl States {
    /// What a layer hands on that has a path around it.
    pub(super) fn plus(&self, graph: &mut Graph, below: &Self) -> Self {
        let mut sum = |one: &str, other: &str| {
            let name = format!("{one}.and_below");
            graph.op("Add", &[one, other], &name);
            name
        };
        Self { all: sum(&self.all, &below.all), last: sum(&self.last, &below.last) }
    }
}

/// A layer on its way into the graph.
pub(super) struct Layer<'a> {
    pub(super) number: usize,
    pub(super) dims: RecurrentDims,
    /// The parameters forwards in time and, if there are two, backwards.
    pub(super) directions: &'a [RecurrentParams<&'a [f32]>],
    /// None for zero; of one direction.
    pub(super) start: Option<Start>,
}

impl Layer<'_> {
    /// Adds it over `x`, `[time, batch, I]`. Where `x` is `made` already, it is as wide as the
    /// pre-activations and enters them as it is, and no `w_x` is looked at.
    pub(super) fn add(
        &self,
        graph: &mut Graph,
        x: &str,
        made: bool,
    ) -> Result<States, ExportError> {
        let Self { number, dims, directions, ref start } = *self;
        let (kind, order) = operator(dims.cell)?;
        let (count, hidden, blocks) = (directions.len(), dims.hidden, order.len());
        let name = |part: &str| format!("layer{number}.{part}");
        let [w, r, b, p] = ["W", "R", "B", "P"].map(name);
        graph.numbers(&w, &[count, blocks * hidden, dims.input], || {
            let each = directions.iter().flat_map(|params| {
                let rows = if made { identity(dims.input) } else { params.w_x.to_vec() };
                arranged(dims.cell, order, &rows)
            });
            each.collect()
        })?;
        graph.numbers(&r, &[count, blocks * hidden, hidden], || {
            let each = directions
                .iter()
                .flat_map(|params| arranged(dims.cell, order, &recurrent_weights(params, hidden)));
            each.collect()
        })?;
        graph.numbers(&b, &[count, 2 * blocks * hidden], || {
            let each = directions.iter().flat_map(|params| {
                let [of_x, of_h] = biases(dims, params.b);
                [arranged(dims.cell, order, &of_x), arranged(dims.cell, order, &of_h)].concat()
            });
            each.collect()
        })?;
        let mut inputs = vec![x, &w, &r, &b, "lengths"];
        if let Some(start) = start {
            inputs.push(&start.h);
            inputs.extend(start.c.as_deref());
        }
        if dims.cell == Cell::Peephole {
            graph.numbers(&p, &[count, 3 * hidden], || {
                let rows = |params: &RecurrentParams<&[f32]>| params.p.expect("peepholes").to_vec();
                // Ours are rows i f o.
                directions.iter().flat_map(|params| blocks_of(&rows(params), &[0, 2, 1])).collect()
            })?;
            // The seventh, behind the states that a layer starts from.
            inputs.resize(7, "");
            inputs.push(&p);
        }
        let mut attributes = vec![
            int("hidden_size", hidden as i64),
            text("direction", ["forward", "bidirectional"][count - 1]),
        ];
        if dims.cell == Cell::Gru {
            attributes.push(int("linear_before_reset", 1));
        }
        let [mut all, mut last] = ["Y", "Y_h"].map(name);
        graph.node(kind, &inputs, &[&all, &last], attributes);

        if let Some(width) = dims.projection {
            let w_p = name("W_p");
            graph.numbers(&w_p, &[count, hidden, width], || {
                let rows =
                    |params: &RecurrentParams<&[f32]>| params.w_p.expect("a projection").to_vec();
                let each = directions.iter().map(|params| transposed(&rows(params), hidden));
                each.flatten().collect()
            })?;
            for state in [&mut all, &mut last] {
                let projected = format!("{state}.projected");
                graph.op("MatMul", &[state, &w_p], &projected);
                *state = projected;
            }
        }
        // Directions stand before rows; their states belong side by side.
        let side_by_side = name("shape");
        let mut merge = |state: &str, perm: &[i64], shape: &[i64]| {
            let (turned, merged) = (format!("{state}.turned"), format!("{state}.states"));
            let shape_name = format!("{side_by_side}{}", shape.len());
            graph.integers(&shape_name, shape);
            graph.node("Transpose", &[state], &[&turned], vec![ints("perm", perm)]);
            graph.op("Reshape", &[&turned, &shape_name], &merged);
            merged
        };
        let (all, last) =
            (merge(&all, &[0, 2, 1, 3], &[0, 0, -1]), merge(&last, &[1, 0, 2], &[0, -1]));
        Ok(States { all, last })
    }
}

/// Rows in the operator's order of blocks.
fn arranged(cell: Cell, order: &[usize], rows: &[f32]) -> Vec<f32> {
    match cell {
        Cell::Coupled => blocks_of(&uncoupled(rows), order),
        _ => blocks_of(rows, order),
    }
}

/// Coupled gates as those of an LSTM: from the blocks f g o to i f g o, where z_i = −z_f, so that
/// i = σ(−z_f) = 1 − f.
pub(crate) fn uncoupled(rows: &[f32]) -> Vec<f32> {
    rows[..rows.len() / 3].iter().map(|value| -value).chain(rows.iter().copied()).collect()
}

fn blocks_of(rows: &[f32], order: &[usize]) -> Vec<f32> {
    let length = rows.len() / order.len();
    order.iter().flat_map(|&block| &rows[block * length..][..length]).copied().collect()
}

/// Lets pre-activations through as they are.
fn identity(size: usize) -> Vec<f32> {
    let mut values = vec![0.0; size * size];
    values.iter_mut().step_by(size + 1).for_each(|value| *value = 1.0);
    values
}

/// From the hidden state before its projection, `[G·H, H]`.
fn recurrent_weights(params: &RecurrentParams<&[f32]>, hidden: usize) -> Vec<f32> {
    let Some(w_p) = params.w_p else { return params.w_h.to_vec() };
    let width = w_p.len() / hidden;
    let mut sums = vec![0f64; hidden];
    let rows = params.w_h.chunks_exact(width).flat_map(|row| {
        sums.fill(0.0);
        for (weight, projected) in row.iter().zip(w_p.chunks_exact(hidden)) {
            let weight = f64::from(*weight);
            sums.iter_mut().zip(projected).for_each(|(sum, &p)| *sum += weight * f64::from(p));
        }
        sums.iter().map(|&sum| sum as f32).collect::<Vec<_>>()
    });
    rows.collect()
}

/// Our one bias as the two of the operator: of the GRU's candidate, what stands inside the reset
/// product is the second.
fn biases(dims: RecurrentDims, b: &[f32]) -> [Vec<f32>; 2] {
    let (of_x, inside) = b.split_at(dims.cell.gates() * dims.hidden);
    let mut of_h = vec![0.0; of_x.len() - inside.len()];
    of_h.extend(inside);
    [of_x.to_vec(), of_h]
}

/// `[rows, columns]` as `[columns, rows]`.
pub(super) fn transposed(values: &[f32], columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|column| values.iter().skip(column).step_by(columns).copied()).collect()
}

#[cfg(test)]
mod tests {
    use layout::Matrix;
    use ndarray::{ArrayD, IxDyn};

    use super::*;
    use crate::onnx::proto::{ModelProto, OperatorSetIdProto};
    use crate::tests::interpreter::{Value, run};

    const LENGTHS: [usize; 2] = [4, 2];

    /// All states and the last of a layer over two rows.
    fn states(
        dims: RecurrentDims,
        directions: &[RecurrentParams<Matrix<f32>>],
        x: &ArrayD<f64>,
    ) -> [ArrayD<f64>; 2] {
        let borrowed: Vec<_> =
            directions.iter().map(|params| params.as_ref().map(Matrix::as_slice)).collect();
        let mut graph = Graph::default();
        let layer = Layer { number: 0, dims, directions: &borrowed, start: None };
        let names = layer.add(&mut graph, "x", false).expect("small");
        let model = ModelProto {
            ir_version: 8,
            opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 17 }],
            graph: Some(graph.finish("layer", vec![], vec![])),
            ..ModelProto::default()
        };
        let lengths = LENGTHS.iter().map(|&length| length as i64).collect();
        let lengths = ArrayD::from_shape_vec(IxDyn(&[2]), lengths).expect("two");
        let inputs = [("x", Value::Real(x.clone())), ("lengths", Value::Whole(lengths))];
        let values = run(&model, &inputs);
        [&names.all, &names.last].map(|name| values[name].real().clone())
    }

    /// The second direction is a layer of its own over rows that are turned round, each within its
    /// length; its states stand beside those of the first.
    #[test]
    fn two_directions_stand_side_by_side() {
        for (cell, projection) in [(Cell::Lstm, Some(2)), (Cell::Gru, None), (Cell::Coupled, None)]
        {
            let dims = RecurrentDims { cell, input: 2, hidden: 3, projection };
            let direction = |phase: f32| {
                dims.shapes().map(|[rows, columns]| {
                    let wave = (0..rows * columns).map(|k| (phase + 1.3 * k as f32).sin());
                    Matrix::from_values(rows, columns, wave)
                })
            };
            let both = [direction(0.2), direction(0.9)];
            let wave =
                |at: IxDyn| (0.3 + at[0] as f64 + 2.3 * at[1] as f64 + 0.6 * at[2] as f64).sin();
            let x = ArrayD::from_shape_fn(IxDyn(&[4, 2, 2]), wave);
            let turn = |x: &ArrayD<f64>| {
                ArrayD::from_shape_fn(x.raw_dim(), |at| {
                    match LENGTHS[at[1]].checked_sub(at[0] + 1) {
                        Some(t) => x[[t, at[1], at[2]]],
                        None => x[at],
                    }
                })
            };
            let [all, last] = states(dims, &both, &x);
            let [forwards, forwards_last] = states(dims, &both[..1], &x);
            let [backwards, backwards_last] = states(dims, &both[1..], &turn(&x));
            let beside = |one: ArrayD<f64>, other: ArrayD<f64>| {
                let axis = ndarray::Axis(one.ndim() - 1);
                ndarray::concatenate(axis, &[one.view(), other.view()]).expect("alike")
            };
            assert_eq!(all, beside(forwards, turn(&backwards)));
            assert_eq!(last, beside(forwards_last, backwards_last));
        }
    }
}
