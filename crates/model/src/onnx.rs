//! A model as an ONNX graph that any runtime can answer from.
//!
//! ```text
//!     items   int64 [batch, time]      numbers of the items, oldest first; after the end of a row any,
//!                                      such as 0
//!     lengths int32 [batch]            events of each row, 1 or more
//!       │
//!       ▼  Gather            x                       the item table, as it enters
//!       ▼  LSTM, GRU, RNN    hidden  [batch, R]      the highest layer's state after the last event
//!       ▼  readout, head     picture [batch, D]      the user, as the scores see him
//!       ▼  Gemm              scores  [batch, V]      logits: their softmax is what `recommend` shows
//! ```
//!
//! Nothing of training is in it: no dropout, no loss. What an answer could make anew each time, such as
//! item vectors of length one, is made once, here. The metadata has `items`, the log's own ids in the
//! order of their numbers, and `model`, the configuration, both as JSON.

mod graph;
pub(crate) mod proto;
mod readout;
mod recurrent;

use prost::Message;

use graph::{Graph, Size, int, ints, value};
use proto::{FLOAT, INT32, INT64, ModelProto, OperatorSetIdProto, StringStringEntryProto};
pub(crate) use recurrent::uncoupled;
use recurrent::{Layer, Start, States};

use crate::exchange::{check_answers, check_features, check_starts, check_zoneout};
use crate::{ExportError, Input, ModelConfig, ModelFile, Output, Parameters, Readout};

/// The version of the operators' meaning that our files ask for.
pub const OPSET: i64 = 17;
/// The version of the format that belongs to it.
const IR_VERSION: i64 = 8;
/// As `normalize_forward` has it.
const FLOOR: f64 = 1e-12;

impl ModelFile {
    /// The model as the bytes of an ONNX file; `with_items` puts the items' ids into its metadata.
    ///
    /// # Errors
    ///
    /// [`ExportError`] where the cell has no operator, or the file would be larger than one may be.
    pub fn to_onnx(&self, with_items: bool) -> Result<Vec<u8>, ExportError> {
        let config = self.config();
        check_zoneout(config, "ONNX")?;
        check_starts(config)?;
        check_features(self.features(), "ONNX")?;
        check_answers(self.answers(), "ONNX")?;
        let names = &self.vocabulary().names;
        let mut graph = Graph::default();
        let json = |value: serde_json::Result<String>| value.expect("plain data");
        let mut metadata = vec![("model", json(serde_json::to_string(config)))];
        if with_items {
            metadata.insert(0, ("items", json(serde_json::to_string(names))));
        }
        metadata.iter().try_for_each(|(_, text)| graph.grow(text.len() as u64))?;
        build(&mut graph, config, names.len(), &self.parameters())?;

        let free = |name| Size::Free(name);
        let inputs = vec![
            value("items", INT64, &[free("batch"), free("time")], "item numbers, oldest first"),
            value("lengths", INT32, &[free("batch")], "events of each row, 1 or more"),
        ];
        let output =
            |name, width, doc| value(name, FLOAT, &[free("batch"), Size::Fixed(width)], doc);
        let outputs = vec![
            output("scores", names.len(), "of every item: logits"),
            output("picture", config.output_width(), "the user, as the scores see him"),
            output("hidden", config.state_width(), "the highest layer's last state"),
        ];
        let entry =
            |(key, value): (&str, String)| StringStringEntryProto { key: key.into(), value };
        let model = ModelProto {
            ir_version: IR_VERSION,
            producer_name: "tidegate".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            doc_string: "which item comes next in a shop's session".to_owned(),
            graph: Some(graph.finish("tidegate", inputs, outputs)),
            opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
            metadata_props: metadata.into_iter().map(entry).collect(),
        };
        let size = model.encoded_len() as u64;
        // What the counting above has left out: names, and the frames of messages.
        if size > i32::MAX as u64 {
            return Err(ExportError::TooLarge { bytes: size });
        }
        Ok(model.encode_to_vec())
    }
}

fn build(
    graph: &mut Graph,
    config: &ModelConfig,
    items: usize,
    params: &Parameters<&[f32]>,
) -> Result<(), ExportError> {
    graph.integers("axis_1", &[1]);
    graph.node("Cast", &["lengths"], &["lengths64"], vec![int("to", i64::from(INT64))]);
    let looks_back = matches!(config.readout, Readout::Attention | Readout::Max);
    if looks_back || config.repeat_lags > 0 || config.running_mean {
        readout::positions(graph);
    }
    let table = item_table(graph, config, items, params)?;
    graph.node("Transpose", &["items"], &["items_by_time"], vec![ints("perm", &[1, 0])]);
    let x = enter(graph, config, items, params)?;

    let mut states: Option<States> = None;
    for (l, layer) in params.recurrent.iter().enumerate() {
        let entering = states.as_ref().map_or(&x, |below| &below.all);
        let mut dims = config.dims(l);
        let as_they_are = !config.has_input(l);
        if as_they_are {
            dims.input = dims.cell.gates() * dims.hidden;
        }
        let start = params.starts.get(l).map(|start| Start::new(graph, l, start)).transpose()?;
        let layer = Layer { number: l, dims, directions: std::slice::from_ref(layer), start };
        let mut made = layer.add(graph, entering, as_they_are)?;
        if l + 1 == params.recurrent.len() {
            graph.op("Identity", &[&made.last], "hidden");
        }
        if let Some(below) = states.filter(|_| config.residual) {
            made = made.plus(graph, &below);
        }
        states = Some(made);
    }
    let states = states.expect("a model has a layer");
    let r = readout::readout(graph, config, &params.readout, &states, &x)?;
    let q = readout::head(graph, config, &params.head, r)?;
    readout::picture(graph, config.temperature, &q);
    readout::scores(graph, table, params.output_bias, params.repeat_bias)
}

/// Whether one table serves both ends: the same vectors, of length one at both or at none.
fn one_table(config: &ModelConfig) -> bool {
    config.output == Output::Tied && (config.input_scale > 0.0) == (config.temperature > 0.0)
}

/// Adds the table that pictures are compared with, and gives its name.
fn item_table(
    graph: &mut Graph,
    config: &ModelConfig,
    items: usize,
    params: &Parameters<&[f32]>,
) -> Result<&'static str, ExportError> {
    let (name, width) = ("item_table", config.output_width());
    let table = params.output.or(params.embedding).expect("checked by the configuration");
    graph.numbers(name, &[items, width], || match config.temperature > 0.0 {
        true => unit_rows(table, width),
        false => table.to_vec(),
    })?;
    Ok(name)
}

/// Adds what turns items into the first layer's input, `[time, batch, ·]`, and gives its name.
fn enter(
    graph: &mut Graph,
    config: &ModelConfig,
    items: usize,
    params: &Parameters<&[f32]>,
) -> Result<String, ExportError> {
    if config.input == Input::OneHot {
        let rows = params.recurrent[0].w_x;
        graph.numbers("rows", &[items, rows.len() / items], || rows.to_vec())?;
        graph.op("Gather", &["rows", "items_by_time"], "x");
        if !config.running_mean {
            return Ok("x".to_owned());
        }
        // The mean of what a row has seen so far; what stands after its end comes too late to count.
        graph.integers("axes_1_2", &[1, 2]);
        graph.op("CumSum", &["x", "zero"], "x_sum");
        graph.op("Add", &["positions", "one"], "seen");
        graph.node("Cast", &["seen"], &["seen_number"], vec![int("to", i64::from(FLOAT))]);
        graph.op("Unsqueeze", &["seen_number", "axes_1_2"], "seen_by_time");
        graph.op("Div", &["x_sum", "seen_by_time"], "x_mean");
        return Ok("x_mean".to_owned());
    }
    let table = if one_table(config) {
        "item_table"
    } else {
        let (width, table) = (config.embedding, params.embedding.expect("an embedding"));
        graph.numbers("embedding", &[items, width], || match config.input_scale > 0.0 {
            true => unit_rows(table, width),
            false => table.to_vec(),
        })?;
        "embedding"
    };
    graph.op("Gather", &[table, "items_by_time"], "x");
    if config.input_scale == 0.0 {
        return Ok("x".to_owned());
    }
    graph.number("input_scale", config.input_scale);
    graph.op("Mul", &["x", "input_scale"], "x_scaled");
    Ok("x_scaled".to_owned())
}

/// Rows brought to length one.
fn unit_rows(values: &[f32], width: usize) -> Vec<f32> {
    let rows = values.chunks_exact(width).flat_map(|row| {
        let sum: f64 = row.iter().map(|&value| f64::from(value).powi(2)).sum();
        let norm = (sum + FLOOR).sqrt();
        row.iter().map(move |&value| (f64::from(value) / norm) as f32)
    });
    rows.collect()
}
