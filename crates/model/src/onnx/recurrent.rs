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
use crate::ExportError;

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

/// Adds layer `l` over `x`, `[time, batch, I]`; `directions` are the parameters forwards and, if there
/// are two, backwards in time. `dims.input` is the width of `x`, whose columns `w_x` may be told to
/// take as they are (`None`): then they are the layer's pre-activations.
pub(super) fn layer(
    graph: &mut Graph,
    l: usize,
    dims: RecurrentDims,
    directions: &[(Option<&[f32]>, RecurrentParams<&[f32]>)],
    x: &str,
) -> Result<States, ExportError> {
    let (kind, order) = operator(dims.cell)?;
    let (count, hidden, blocks) = (directions.len(), dims.hidden, order.len());
    let name = |part: &str| format!("layer{l}.{part}");
    let [w, r, b, p] = ["W", "R", "B", "P"].map(name);
    graph.numbers(&w, &[count, blocks * hidden, dims.input], || {
        let each = directions.iter().flat_map(|(w_x, _)| {
            let rows = w_x.map_or_else(|| identity(dims.input), <[f32]>::to_vec);
            arranged(dims.cell, order, &rows)
        });
        each.collect()
    })?;
    graph.numbers(&r, &[count, blocks * hidden, hidden], || {
        let each = directions
            .iter()
            .flat_map(|(_, params)| arranged(dims.cell, order, &recurrent_weights(params, hidden)));
        each.collect()
    })?;
    graph.numbers(&b, &[count, 2 * blocks * hidden], || {
        let each = directions.iter().flat_map(|(_, params)| {
            let [of_x, of_h] = biases(dims, params.b);
            [arranged(dims.cell, order, &of_x), arranged(dims.cell, order, &of_h)].concat()
        });
        each.collect()
    })?;
    let mut inputs = vec![x, &w, &r, &b, "lengths"];
    if dims.cell == Cell::Peephole {
        graph.numbers(&p, &[count, 3 * hidden], || {
            let rows = |params: &RecurrentParams<&[f32]>| params.p.expect("peepholes").to_vec();
            // Ours are rows i f o.
            directions.iter().flat_map(|(_, params)| blocks_of(&rows(params), &[0, 2, 1])).collect()
        })?;
        inputs.extend(["", "", &p]);
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
            let each = directions.iter().map(|(_, params)| transposed(&rows(params), hidden));
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
    let (all, last) = (merge(&all, &[0, 2, 1, 3], &[0, 0, -1]), merge(&last, &[1, 0, 2], &[0, -1]));
    Ok(States { all, last })
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
