//! Which tensors a model has: names, shapes, starts.

use layout::{Cell, Gate, NormParams, RecurrentDims, RecurrentParams};

use super::{
    AnswerParameters, AttentionParameters, DenseParameters, FeatureParameters, Form,
    HeadParameters, Parameters, ReadoutParameters, Spec, StartParameters, Touched, Update,
};
use crate::start::Start;
use crate::{InitialState, Input, Inputs, Labels, ModelConfig, Output, Readout, RecurrentStart};

/// The catalogue of a model of so many items, and of what is known of an event beside its item.
pub fn catalogue(config: &ModelConfig, inputs: impl Into<Inputs>) -> Parameters<Spec> {
    use Form::{Matrix, Vector};
    use Touched::{Both, Candidates, Inputs, Label};
    use Update::{Dense, Rows};

    let crate::Inputs { items, features, answers } = inputs.into();
    let (embedding, width) = (config.embedding, config.readout_width());
    // Width of the states that the readout sees.
    let state = config.state_width();
    let sampled = config.loss.is_sampled(items);
    let tied = config.output == Output::Tied;
    let one_hot = config.input == Input::OneHot;
    let table = Start::Normal(f64::from(config.embedding_std));
    let spec = |name: &str, shape, update, form, start| Spec {
        name: name.to_owned(),
        shape,
        update,
        form,
        start,
    };

    let ranks = answers.next_item;
    let embedding_update = match (ranks && tied, sampled) {
        (false, _) => Rows(Inputs),
        (true, true) => Rows(Both),
        (true, false) => Dense,
    };
    let output_update = if sampled { Rows(Candidates) } else { Dense };
    let layer = |l: usize| {
        let dims = config.dims(l);
        let shapes = dims.shapes();
        let units = Start::Uniform(1.0 / (dims.hidden as f64).sqrt());
        let named = |name: &str| format!("{}.{name}_l{l}", config.cell.family());
        let dense = |name, shape, form, start| spec(&named(name), shape, Dense, form, start);
        let gains = |name, shape| dense(name, shape, Vector, Start::One);
        RecurrentParams {
            cell: dims.cell,
            w_x: match shapes.w_x {
                [gates, _] if l == 0 && one_hot => {
                    let name = named("weight_ih");
                    spec(&name, [items, gates], Rows(Inputs), Form::Transposed, units)
                }
                shape => dense("weight_ih", shape, Matrix, units),
            },
            w_h: match config.recurrent_start {
                RecurrentStart::Uniform => dense("weight_hh", shapes.w_h, Matrix, units),
                RecurrentStart::Orthogonal => {
                    let start = Start::Orthogonal(dims.cell.gates());
                    dense("weight_hh", shapes.w_h, Matrix, start)
                }
            },
            b: dense("bias_ih", shapes.b, Form::Bias(dims.cell), bias_start(config, dims)),
            p: shapes.p.map(|shape| dense("weight_peephole", shape, Matrix, units)),
            w_p: shapes.w_p.map(|shape| dense("weight_hr", shape, Matrix, units)),
            norm: shapes.norm.map(|shapes| NormParams {
                gain_x: gains("gain_ih", shapes.gain_x),
                gain_h: gains("gain_hh", shapes.gain_h),
                gain_c: gains("gain_c", shapes.gain_c),
                bias_c: dense("bias_c", shapes.bias_c, Vector, Start::Zero),
            }),
        }
    };
    let start = |l: usize| {
        let dims = config.dims(l);
        let zeros = |name: &str, width| {
            let name = format!("{}.{name}_l{l}", config.cell.family());
            spec(&name, [1, width], Dense, Vector, Start::Zero)
        };
        let c_0 = dims.cell.has_cell_state().then(|| zeros("c_0", dims.hidden));
        StartParameters { h_0: zeros("h_0", dims.width()), c_0 }
    };
    let starts = if config.initial_state == InitialState::Learned { config.layers } else { 0 };
    let linear = |name: &str, rows, columns, inputs: usize| {
        let start = Start::Uniform(1.0 / (inputs as f64).sqrt());
        spec(name, [rows, columns], Dense, Matrix, start)
    };
    let attends = config.readout == Readout::Attention;
    let mixed = if attends { state + 2 * embedding } else { state };
    let attention = || {
        let key = config.attention_key;
        let lags = [1, config.attention_lags];
        AttentionParameters {
            w_x: linear("readout.weight_x", width, embedding, mixed),
            w_c: linear("readout.weight_c", width, embedding, mixed),
            query: linear("readout.query", key, state, state),
            key_h: linear("readout.key_h", key, state, state + embedding),
            key_x: linear("readout.key_x", key, embedding, state + embedding),
            lag_bias: spec("readout.lag_bias", lags, Dense, Vector, Start::Zero),
        }
    };
    let dense = |k: usize| {
        let (inputs, outputs) = (if k == 0 { width } else { config.head[k - 1] }, config.head[k]);
        let start = Start::Uniform(1.0 / (inputs as f64).sqrt());
        let b = spec(&format!("head.{k}.bias"), [1, outputs], Dense, Vector, start);
        DenseParameters { w: linear(&format!("head.{k}.weight"), outputs, inputs, inputs), b }
    };
    // What features are added to.
    let entering = if one_hot { config.dims(0).shapes().w_x[0] } else { embedding };
    let label = |(k, labels): (usize, &Labels)| {
        let name = format!("features.labels.{}.weight", labels.name);
        spec(&name, [labels.size, entering], Rows(Label(k)), Matrix, Start::Zero)
    };
    let from = |name: &str, width: usize| {
        let name = format!("features.{name}.weight");
        (width > 0).then(|| spec(&name, [entering, width], Dense, Matrix, Start::Zero))
    };
    let picture = config.output_width();
    let answer = |k: usize| {
        let asked = &answers.answers[k];
        let moment = 1 + asked.moment.len();
        let name = |part: &str| format!("answers.{}.{part}", asked.name);
        let mut inputs = picture;
        let mut dense = |(k, &outputs): (usize, &usize)| {
            let start = Start::Uniform(1.0 / (inputs as f64).sqrt());
            let (weight, bias) = (name(&format!("{k}.weight")), name(&format!("{k}.bias")));
            let w = spec(&weight, [outputs, inputs], Dense, Matrix, start);
            let b = spec(&bias, [1, outputs], Dense, Vector, start);
            inputs = outputs;
            DenseParameters { w, b }
        };
        let layers = config.answer_head.iter().enumerate().map(&mut dense).collect();
        // What is known of the moment adds nothing yet, as features of events do.
        let zeros = |part, shape| spec(&name(part), shape, Dense, Matrix, Start::Zero);
        AnswerParameters {
            w_m: zeros("moment.weight", [picture, moment]),
            layers,
            w_z: linear(&name("output.weight"), asked.outputs, inputs, inputs),
            w_s: zeros("skip.weight", [asked.outputs, moment]),
        }
    };
    let w_q = config.head.last().filter(|_| config.has_head_output());
    Parameters {
        embedding: (!one_hot)
            .then(|| spec("embedding.weight", [items, embedding], embedding_update, Matrix, table)),
        recurrent: (0..config.layers).map(layer).collect(),
        starts: (0..starts).map(start).collect(),
        readout: ReadoutParameters {
            w_h: config.has_projection().then(|| linear("readout.weight_h", width, state, mixed)),
            attention: attends.then(attention),
        },
        head: HeadParameters {
            layers: (0..config.head.len()).map(dense).collect(),
            w_q: w_q.map(|&inputs| linear("head.output.weight", picture, inputs, inputs)),
        },
        output: (ranks && !tied)
            .then(|| spec("output.weight", [items, picture], output_update, Matrix, table)),
        output_bias: (ranks && config.output_bias)
            .then(|| spec("output.bias", [items, 1], output_update, Vector, Start::Zero)),
        repeat_bias: (ranks && config.repeat_lags > 0)
            .then(|| spec("repeat.bias", [1, config.repeat_lags], Dense, Vector, Start::Zero)),
        features: FeatureParameters {
            labels: features.labels.iter().enumerate().map(label).collect(),
            numbers: from("numbers", features.numbers.len()),
            vectors: from("vectors", features.vectors),
        },
        answers: (0..answers.answers.len()).map(answer).collect(),
    }
}

/// The start of a layer's bias.
fn bias_start(config: &ModelConfig, dims: RecurrentDims) -> Start {
    let (len, bound) = (dims.hidden, 1.0 / (dims.hidden as f64).sqrt());
    let forget = match dims.cell {
        Cell::Lstm | Cell::Peephole | Cell::LayerNorm => Gate::Forget as usize,
        Cell::Coupled => 0,
        Cell::Gru | Cell::Rnn => return Start::Uniform(bound),
    };
    match config.forget_bias {
        None => Start::Uniform(bound),
        Some(value) => Start::Bias { bound, first: forget * len, len, value },
    }
}
