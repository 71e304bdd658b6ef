//! From the states to the picture of the user and the scores of all items.
//!
//! The same as `network::readout`, `network::head`, `network::output` and the repeat bias of an answer, at
//! the last event of each row alone.

use super::graph::{Graph, int, ints, text};
use super::recurrent::{States, transposed};
use crate::{Activation, ExportError, HeadParameters, ModelConfig, Readout, ReadoutParameters};

/// What is known of positions: `past` is how long ago each event of a row was, `[batch, time]`, 0 for
/// the last and negative behind it; `is_past` says which are events at all.
pub(super) fn positions(graph: &mut Graph) {
    graph.integer("zero", 0);
    graph.integer("one", 1);
    graph.node("Shape", &["items"], &["shape"], Vec::new());
    graph.op("Gather", &["shape", "one"], "time");
    graph.op("Range", &["zero", "time", "one"], "positions");
    graph.op("Sub", &["lengths64", "one"], "last_position");
    graph.op("Unsqueeze", &["last_position", "axis_1"], "last_column");
    graph.op("Sub", &["last_column", "positions"], "past");
    graph.op("GreaterOrEqual", &["past", "zero"], "is_past");
}

/// What the readout leaves, `[batch, R]`. `x` are the items as they enter, `[time, batch,
/// E]`.
pub(super) fn readout(
    graph: &mut Graph,
    config: &ModelConfig,
    params: &ReadoutParameters<&[f32]>,
    states: &States,
    x: &str,
) -> Result<String, ExportError> {
    let (state, width, embedding) =
        (config.state_width(), config.readout_width(), config.embedding);
    let seen = pooled(graph, config.readout, states);
    let Some(w_h) = params.w_h else { return Ok(seen) };
    let weight = |graph: &mut Graph, name: &str, rows: usize, columns: usize, values: &[f32]| {
        graph.numbers(name, &[columns, rows], || transposed(values, columns))
    };
    weight(graph, "readout.w_h", width, state, w_h)?;
    graph.op("MatMul", &[&seen, "readout.w_h"], "readout.of_h");
    let Some(params) = &params.attention else { return Ok("readout.of_h".to_owned()) };

    let (key, lags) = (config.attention_key, config.attention_lags);
    weight(graph, "readout.w_x", width, embedding, params.w_x)?;
    weight(graph, "readout.w_c", width, embedding, params.w_c)?;
    weight(graph, "readout.Q", key, state, params.query)?;
    weight(graph, "readout.K_h", key, state, params.key_h)?;
    weight(graph, "readout.K_x", key, embedding, params.key_x)?;
    graph.numbers("readout.lag_bias", &[lags], || params.lag_bias.to_vec())?;

    // s_j = query · key_j / √K + lag_bias[min(past, L − 1)], for every event of the row.
    graph.op("MatMul", &[&states.last, "readout.Q"], "query");
    graph.op("Unsqueeze", &["query", "axis_1"], "query_row");
    graph.op("MatMul", &[&states.all, "readout.K_h"], "key_of_h");
    graph.op("MatMul", &[x, "readout.K_x"], "key_of_x");
    graph.op("Add", &["key_of_h", "key_of_x"], "key");
    graph.node("Transpose", &["key"], &["key_columns"], vec![ints("perm", &[1, 2, 0])]);
    graph.op("MatMul", &["query_row", "key_columns"], "alike");
    graph.number("root", (key as f32).sqrt());
    graph.op("Div", &["alike", "root"], "alike_by_root");
    graph.integer("last_lag", lags as i64 - 1);
    graph.op("Clip", &["past", "zero", "last_lag"], "lag");
    graph.op("Gather", &["readout.lag_bias", "lag"], "bias_by_lag");
    graph.op("Unsqueeze", &["bias_by_lag", "axis_1"], "bias_row");
    graph.op("Add", &["alike_by_root", "bias_row"], "attention_scores");
    graph.op("Unsqueeze", &["is_past", "axis_1"], "is_past_row");
    graph.number("lowest", f32::MIN);
    graph.op("Where", &["is_past_row", "attention_scores", "lowest"], "attended");
    graph.node("Softmax", &["attended"], &["attention"], vec![int("axis", -1)]);

    // q = W_h h + W_x x + W_c c, with the last item and the context.
    graph.node("Transpose", &[x], &["x_rows"], vec![ints("perm", &[1, 0, 2])]);
    graph.op("MatMul", &["attention", "x_rows"], "context");
    graph.op("MatMul", &["context", "readout.w_c"], "readout.of_c");
    // The last item is the one that happened 0 steps ago: a row of the identity picks it.
    graph.op("Equal", &["past", "zero"], "is_last");
    graph.node("Cast", &["is_last"], &["pick"], vec![int("to", 1)]);
    graph.op("Unsqueeze", &["pick", "axis_1"], "pick_row");
    graph.op("MatMul", &["pick_row", "x_rows"], "last_x");
    graph.op("MatMul", &["last_x", "readout.w_x"], "readout.of_x");
    graph.op("Add", &["readout.of_x", "readout.of_c"], "readout.of_items");
    graph.op("Squeeze", &["readout.of_items", "axis_1"], "readout.of_items_flat");
    graph.op("Add", &["readout.of_h", "readout.of_items_flat"], "readout.q");
    Ok("readout.q".to_owned())
}

/// What of the states is read out, `[batch, R]`: the last, or the mean or the largest of all. Behind the
/// end of a row they are zero, which no mean and every largest would see.
fn pooled(graph: &mut Graph, readout: Readout, states: &States) -> String {
    match readout {
        Readout::Last | Readout::Attention => return states.last.clone(),
        Readout::Mean => {
            graph.integers("time_axis", &[0]);
            let attributes = vec![int("keepdims", 0)];
            graph.node("ReduceSum", &[&states.all, "time_axis"], &["state_sum"], attributes);
            graph.node("Cast", &["lengths64"], &["seen_events"], vec![int("to", 1)]);
            graph.op("Unsqueeze", &["seen_events", "axis_1"], "seen_column");
            graph.op("Div", &["state_sum", "seen_column"], "pooled");
        }
        Readout::Max => {
            graph.integers("last_of_three", &[2]);
            graph.node(
                "Transpose",
                &["is_past"],
                &["is_past_by_time"],
                vec![ints("perm", &[1, 0])],
            );
            graph.op("Unsqueeze", &["is_past_by_time", "last_of_three"], "is_state");
            graph.number("least", f32::MIN);
            graph.op("Where", &["is_state", &states.all, "least"], "states_alone");
            let attributes = vec![ints("axes", &[0]), int("keepdims", 0)];
            graph.node("ReduceMax", &["states_alone"], &["pooled"], attributes);
        }
    }
    "pooled".to_owned()
}

/// The picture that dense layers make of what is read out, `[batch, D]`: `r` itself where there are none.
pub(super) fn head(
    graph: &mut Graph,
    config: &ModelConfig,
    params: &HeadParameters<&[f32]>,
    r: String,
) -> Result<String, ExportError> {
    let (mut a, mut inputs) = (r, config.readout_width());
    for (k, (layer, &outputs)) in params.layers.iter().zip(&config.head).enumerate() {
        let [w, b, z, made] = ["w", "b", "z", "a"].map(|part| format!("head{k}.{part}"));
        graph.numbers(&w, &[outputs, inputs], || layer.w.to_vec())?;
        graph.numbers(&b, &[outputs], || layer.b.to_vec())?;
        graph.node("Gemm", &[&a, &w, &b], &[&z], vec![int("transB", 1)]);
        let kind = match config.head_activation {
            Activation::Relu => "Relu",
            Activation::Tanh => "Tanh",
            // With α = 1, which is the operator's own.
            Activation::Elu => "Elu",
        };
        graph.op(kind, &[&z], &made);
        (a, inputs) = (made, outputs);
    }
    if let Some(w_q) = params.w_q {
        graph.numbers("head.w_q", &[inputs, config.output_width()], || transposed(w_q, inputs))?;
        graph.op("MatMul", &[&a, "head.w_q"], "head.q");
        a = "head.q".to_owned();
    }
    Ok(a)
}

/// The picture as the scores see it.
///
/// ```text
///     picture = temperature · q / √(Σ q² + 1e-12)        or q itself where temperature is 0
/// ```
pub(super) fn picture(graph: &mut Graph, temperature: f32, q: &str) {
    if temperature == 0.0 {
        graph.op("Identity", &[q], "picture");
        return;
    }
    graph.number("temperature", temperature);
    graph.number("floor", 1e-12);
    graph.integers("last_axis", &[-1]);
    graph.op("Mul", &[q, q], "q_squared");
    graph.op("ReduceSum", &["q_squared", "last_axis"], "q_sum");
    graph.op("Add", &["q_sum", "floor"], "q_sum_and_floor");
    graph.op("Sqrt", &["q_sum_and_floor"], "q_norm");
    graph.op("Mul", &[q, "temperature"], "q_times_temperature");
    graph.op("Div", &["q_times_temperature", "q_norm"], "picture");
}

/// The scores of all items, `[batch, V]`: against `table`, which the graph has already.
pub(super) fn scores(
    graph: &mut Graph,
    table: &str,
    bias: Option<&[f32]>,
    repeat: Option<&[f32]>,
) -> Result<(), ExportError> {
    let output = if repeat.is_some() { "scores_before_repeats" } else { "scores" };
    let mut inputs = vec!["picture", table];
    if let Some(bias) = bias {
        graph.numbers("output.bias", &[bias.len()], || bias.to_vec())?;
        inputs.push("output.bias");
    }
    graph.node("Gemm", &inputs, &[output], vec![int("transB", 1)]);
    let Some(repeat) = repeat else { return Ok(()) };

    // Of the events with one item, the latest counts: none after it, up to the last, has the same.
    graph.numbers("repeat.bias", &[repeat.len()], || repeat.to_vec())?;
    graph.number("nothing", 0.0);
    graph.integers("axis_2", &[2]);
    graph.op("Unsqueeze", &["items", "axis_2"], "items_down");
    graph.op("Unsqueeze", &["items", "axis_1"], "items_across");
    graph.op("Equal", &["items_down", "items_across"], "same_item");
    graph.op("Unsqueeze", &["positions", "axis_1"], "positions_down");
    graph.op("Less", &["positions_down", "positions"], "is_later");
    graph.op("Unsqueeze", &["is_past", "axis_1"], "is_event_across");
    graph.op("And", &["same_item", "is_later"], "same_later");
    graph.op("And", &["same_later", "is_event_across"], "again");
    graph.node("Cast", &["again"], &["again_number"], vec![int("to", 1)]);
    graph.node("ReduceSum", &["again_number", "axis_2"], &["times"], vec![int("keepdims", 0)]);
    graph.op("Equal", &["times", "nothing"], "never_again");
    graph.op("And", &["never_again", "is_past"], "is_latest");
    graph.integer("last_repeat_lag", repeat.len() as i64 - 1);
    graph.op("Clip", &["past", "zero", "last_repeat_lag"], "repeat_lag");
    graph.op("Gather", &["repeat.bias", "repeat_lag"], "bias_of_repeat");
    graph.op("Where", &["is_latest", "bias_of_repeat", "nothing"], "addition");
    let attributes = vec![int("axis", 1), text("reduction", "add")];
    graph.node("ScatterElements", &[output, "items", "addition"], &["scores"], attributes);
    Ok(())
}
