//! The catalogue of everything a model learns.
//!
//! [`Parameters`] holds one value of any kind for each tensor: a [`Spec`] (then it is the
//! catalogue), a matrix of a device, a gradient, a moment of Adam, a reference to one of these.
//! The order of the tensors is written once, in [`Parameters::map`]; optimiser, gradient norm,
//! files, averages and gradient checks all walk along it.

use layout::random::Stream;
use layout::{Cell, Gate, NormParams, RecurrentDims, RecurrentParams};

use crate::start::Start;
use crate::streams;
use crate::{
    Device, InitialState, Input, Inputs, Labels, ModelConfig, Output, Readout, RecurrentStart,
};

/// One value for each tensor of a model.
#[derive(Debug, Clone, Default)]
pub struct Parameters<T> {
    /// A vector for each item, `[V, E]`; absent where the input is one-hot.
    pub embedding: Option<T>,
    /// The recurrent layers, lowest first. One-hot input keeps the first layer's `w_x` as `[V, G·H]`,
    /// a row for each item.
    pub recurrent: Vec<RecurrentParams<T>>,
    /// Where each layer starts, lowest first; none where all start from zero.
    pub starts: Vec<StartParameters<T>>,
    /// What is read out of the states.
    pub readout: ReadoutParameters<T>,
    /// Dense layers between the readout and the scores.
    pub head: HeadParameters<T>,
    /// The output table `[V, D]`; absent where it is tied to the embedding.
    pub output: Option<T>,
    /// A bias for each item, `[V, 1]`.
    pub output_bias: Option<T>,
    /// A bias for items that the session holds, by lag, `[1, R]`.
    pub repeat_bias: Option<T>,
    /// What is known of an event beside its item. The last of all, so that the random numbers that the
    /// others start with do not depend on it.
    pub features: FeatureParameters<T>,
}

/// The tensors of what is known of an event beside its item. E is the width of what they are added to:
/// that of the embedding, or G·H of the first layer's pre-activations where the input is one-hot.
///
/// ```text
///     s_t = x_t + Σ_k F_k[l_tk] + W n_t + P D[id_t]
/// ```
///
/// All start at zero: a model with features begins as the one without, and the row of a label that
/// training never meets says nothing.
#[derive(Debug, Clone, Default)]
pub struct FeatureParameters<T> {
    /// A vector for each label, `[V_k, E]`, one table a feature.
    pub labels: Vec<T>,
    /// From the numbers, `[E, F]`; absent where there is none.
    pub numbers: Option<T>,
    /// From the given vectors of items, `[E, D]`; absent where there are none.
    pub vectors: Option<T>,
}

/// The learned start of a layer, the same for all rows.
#[derive(Debug, Clone, Default)]
pub struct StartParameters<T> {
    /// Hidden state, `[1, R]`.
    pub h_0: T,
    /// Cell state, `[1, H]`; absent where the cell has none.
    pub c_0: Option<T>,
}

/// The tensors of the head, where K dense layers make up its depth.
///
/// ```text
///     a_0 = r        a_k = dropout(f(a_{k−1}·wᵀ + b))        q = a_K·w_qᵀ
/// ```
#[derive(Debug, Clone, Default)]
pub struct HeadParameters<T> {
    /// The dense layers, the first one first.
    pub layers: Vec<DenseParameters<T>>,
    /// From the last of them to the picture, `[D, O]`; absent where they are equally wide.
    pub w_q: Option<T>,
}

/// One dense layer.
#[derive(Debug, Clone, Default)]
pub struct DenseParameters<T> {
    /// Weights, `[O, I]`.
    pub w: T,
    /// Bias, `[1, O]`.
    pub b: T,
}

/// The tensors of the readout.
///
/// ```text
///     last        q = W_h h                          absent where D = R: then q = h
///     mean, max   the same of the pooled states
///     attention   q = W_h h + W_x x + W_c c
/// ```
///
/// D is the width of what is read out: of the picture, or R where a head follows.
#[derive(Debug, Clone, Default)]
pub struct ReadoutParameters<T> {
    /// From the state or the pooled ones, `[D, R]`.
    pub w_h: Option<T>,
    /// The attention readout's own tensors.
    pub attention: Option<AttentionParameters<T>>,
}

/// What the attention readout adds; x is the item as it enters, c the context.
#[derive(Debug, Clone, Default)]
pub struct AttentionParameters<T> {
    /// From the last item, `[D, E]`.
    pub w_x: T,
    /// From the context, `[D, E]`.
    pub w_c: T,
    /// Query from the state, `[K, H]`.
    pub query: T,
    /// Key from the state, `[K, H]`.
    pub key_h: T,
    /// Key from the item, `[K, E]`.
    pub key_x: T,
    /// Added to the score by distance, `[1, L]`.
    pub lag_bias: T,
}

impl<T> Parameters<T> {
    /// The same catalogue with another value in each place, tensor by tensor in its fixed order.
    pub fn map<U>(self, mut f: impl FnMut(T) -> U) -> Parameters<U> {
        let embedding = self.embedding.map(&mut f);
        let recurrent = self.recurrent.into_iter().map(|layer| layer.map(&mut f)).collect();
        let starts = self.starts.into_iter();
        let starts = starts.map(|s| StartParameters { h_0: f(s.h_0), c_0: s.c_0.map(&mut f) });
        let starts = starts.collect();
        let w_h = self.readout.w_h.map(&mut f);
        let attention = self.readout.attention.map(|a| AttentionParameters {
            w_x: f(a.w_x),
            w_c: f(a.w_c),
            query: f(a.query),
            key_h: f(a.key_h),
            key_x: f(a.key_x),
            lag_bias: f(a.lag_bias),
        });
        let dense = self.head.layers.into_iter();
        let layers = dense.map(|layer| DenseParameters { w: f(layer.w), b: f(layer.b) }).collect();
        let head = HeadParameters { layers, w_q: self.head.w_q.map(&mut f) };
        Parameters {
            embedding,
            recurrent,
            starts,
            readout: ReadoutParameters { w_h, attention },
            head,
            output: self.output.map(&mut f),
            output_bias: self.output_bias.map(&mut f),
            repeat_bias: self.repeat_bias.map(&mut f),
            features: FeatureParameters {
                labels: self.features.labels.into_iter().map(&mut f).collect(),
                numbers: self.features.numbers.map(&mut f),
                vectors: self.features.vectors.map(&mut f),
            },
        }
    }

    /// A reference to each value.
    pub fn as_ref(&self) -> Parameters<&T> {
        Parameters {
            embedding: self.embedding.as_ref(),
            recurrent: self.recurrent.iter().map(RecurrentParams::as_ref).collect(),
            starts: self
                .starts
                .iter()
                .map(|start| StartParameters { h_0: &start.h_0, c_0: start.c_0.as_ref() })
                .collect(),
            readout: ReadoutParameters {
                w_h: self.readout.w_h.as_ref(),
                attention: self.readout.attention.as_ref().map(|a| AttentionParameters {
                    w_x: &a.w_x,
                    w_c: &a.w_c,
                    query: &a.query,
                    key_h: &a.key_h,
                    key_x: &a.key_x,
                    lag_bias: &a.lag_bias,
                }),
            },
            head: HeadParameters {
                layers: self
                    .head
                    .layers
                    .iter()
                    .map(|layer| DenseParameters { w: &layer.w, b: &layer.b })
                    .collect(),
                w_q: self.head.w_q.as_ref(),
            },
            output: self.output.as_ref(),
            output_bias: self.output_bias.as_ref(),
            repeat_bias: self.repeat_bias.as_ref(),
            features: FeatureParameters {
                labels: self.features.labels.iter().collect(),
                numbers: self.features.numbers.as_ref(),
                vectors: self.features.vectors.as_ref(),
            },
        }
    }

    /// The values in the order of the catalogue.
    pub fn into_vec(self) -> Vec<T> {
        let mut values = Vec::new();
        self.map(|value| values.push(value));
        values
    }

    /// References to the values in the order of the catalogue.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        let recurrent = self.recurrent.iter().flat_map(RecurrentParams::iter);
        let attention = self
            .readout
            .attention
            .iter()
            .flat_map(|a| [&a.w_x, &a.w_c, &a.query, &a.key_h, &a.key_x, &a.lag_bias]);
        let starts = self.starts.iter().flat_map(|s| std::iter::once(&s.h_0).chain(&s.c_0));
        let readout = self.readout.w_h.iter().chain(attention);
        let dense = self.head.layers.iter().flat_map(|layer| [&layer.w, &layer.b]);
        let head = dense.chain(&self.head.w_q);
        let output = self.output.iter().chain(&self.output_bias).chain(&self.repeat_bias);
        let layers = self.embedding.iter().chain(recurrent).chain(starts);
        let features = &self.features;
        let features = features.labels.iter().chain(&features.numbers).chain(&features.vectors);
        layers.chain(readout).chain(head).chain(output).chain(features)
    }

    /// References to the values in the order of the catalogue, to write.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        let recurrent = self.recurrent.iter_mut().flat_map(RecurrentParams::iter_mut);
        let attention = self.readout.attention.iter_mut().flat_map(|a| {
            [&mut a.w_x, &mut a.w_c, &mut a.query, &mut a.key_h, &mut a.key_x, &mut a.lag_bias]
        });
        let starts =
            self.starts.iter_mut().flat_map(|s| std::iter::once(&mut s.h_0).chain(&mut s.c_0));
        let readout = self.readout.w_h.iter_mut().chain(attention);
        let dense = self.head.layers.iter_mut().flat_map(|layer| [&mut layer.w, &mut layer.b]);
        let head = dense.chain(&mut self.head.w_q);
        let output =
            self.output.iter_mut().chain(&mut self.output_bias).chain(&mut self.repeat_bias);
        let layers = self.embedding.iter_mut().chain(recurrent).chain(starts);
        let FeatureParameters { labels, numbers, vectors } = &mut self.features;
        let features = labels.iter_mut().chain(numbers).chain(vectors);
        layers.chain(readout).chain(head).chain(output).chain(features)
    }
}

/// What is known of a tensor before it has values.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// The name in files and messages; PyTorch's where it has one.
    pub name: String,
    /// Rows and columns in memory.
    pub shape: [usize; 2],
    /// How the rows come by their gradient.
    pub update: Update,
    /// How model files write it.
    pub form: Form,
    start: Start,
}

/// Which rows of a tensor a training step can reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Update {
    /// All of them.
    Dense,
    /// The rows of some items or labels only; the gradient of every other row is zero.
    Rows(Touched),
}

/// Whose rows a training step reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touched {
    /// The items of the batch.
    Inputs,
    /// The candidates of the sampled softmax.
    Candidates,
    /// Both.
    Both,
    /// The labels of the batch, of the feature of this number.
    Label(usize),
}

/// How a model file writes a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As it lies in memory, `[rows, columns]`.
    Matrix,
    /// As a vector.
    Vector,
    /// As the two vectors that PyTorch has for the bias of such a layer.
    Bias(Cell),
    /// With rows and columns exchanged: PyTorch's `[4H, V]` of a table that lies as `[V, 4H]`.
    Transposed,
}

/// The catalogue of a model of so many items, and of what is known of an event beside its item.
pub fn catalogue(config: &ModelConfig, inputs: impl Into<Inputs>) -> Parameters<Spec> {
    use Form::{Matrix, Vector};
    use Touched::{Both, Candidates, Inputs, Label};
    use Update::{Dense, Rows};

    let crate::Inputs { items, features } = inputs.into();
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

    let embedding_update = match (tied, sampled) {
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
        output: (!tied)
            .then(|| spec("output.weight", [items, picture], output_update, Matrix, table)),
        output_bias: config
            .output_bias
            .then(|| spec("output.bias", [items, 1], output_update, Vector, Start::Zero)),
        repeat_bias: (config.repeat_lags > 0)
            .then(|| spec("repeat.bias", [1, config.repeat_lags], Dense, Vector, Start::Zero)),
        features: FeatureParameters {
            labels: features.labels.iter().enumerate().map(label).collect(),
            numbers: from("numbers", features.numbers.len()),
            vectors: from("vectors", features.vectors),
        },
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

impl Parameters<Spec> {
    /// Number of learned numbers.
    pub fn numbers(&self) -> usize {
        self.iter().map(|spec| spec.shape[0] * spec.shape[1]).sum()
    }

    /// Zeros in the shapes of the catalogue.
    pub fn zeros<D: Device>(&self, device: &D) -> Parameters<D::Matrix> {
        self.as_ref().map(|spec| {
            let mut matrix = D::Matrix::default();
            device.resize(&mut matrix, spec.shape[0], spec.shape[1]);
            device.fill(&mut matrix, 0.0);
            matrix
        })
    }

    /// The values that training starts with: a function of the seed and of the tensor's place.
    pub fn start<D: Device>(&self, device: &D, seed: u64) -> Parameters<D::Matrix> {
        let mut place = 0;
        self.as_ref().map(|spec| {
            let stream = Stream::new(seed, streams::START, place);
            place += 1;
            let [rows, columns] = spec.shape;
            let values = spec.start.values(spec.shape, stream);
            let mut matrix = D::Matrix::default();
            device.upload(&mut matrix, rows, columns, &values);
            matrix
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn everything() -> ModelConfig {
        ModelConfig {
            layers: 2,
            readout: Readout::Attention,
            output: Output::Free,
            output_bias: true,
            repeat_lags: 3,
            ..ModelConfig::default()
        }
    }

    #[test]
    fn every_walk_goes_along_the_same_tensors() {
        let initial_state = InitialState::Learned;
        let shapes = ModelConfig { initial_state, head: vec![5, 6], ..everything() };
        let mut specs = catalogue(&shapes, 7);
        let names: Vec<_> = specs.iter().map(|spec| spec.name.clone()).collect();
        assert_eq!(names.len(), 17 + 4 + 4, "h_0 and c_0 of each layer; two dense layers");
        assert_eq!(specs.iter_mut().map(|s| s.name.clone()).collect::<Vec<_>>(), names);
        assert_eq!(specs.into_vec().into_iter().map(|s| s.name).collect::<Vec<_>>(), names);
        let labels = ["kind", "day"].map(|name| Labels { name: name.to_owned(), size: 3 });
        let numbers = vec!["price".to_owned()];
        let features = crate::Features { labels: labels.to_vec(), numbers, vectors: 5 };
        let mut specs = catalogue(&shapes, Inputs { items: 7, features });
        let more: Vec<_> = specs.iter().map(|spec| spec.name.clone()).collect();
        assert_eq!(more[..names.len()], names, "the features come last");
        let [kind, day] = ["kind", "day"].map(|name| format!("features.labels.{name}.weight"));
        let [numbers, vectors] = ["features.numbers.weight", "features.vectors.weight"];
        assert_eq!(more[names.len()..], [&kind, &day, numbers, vectors]);
        assert_eq!(specs.iter_mut().map(|s| s.name.clone()).collect::<Vec<_>>(), more);
        assert_eq!(specs.into_vec().into_iter().map(|s| s.name).collect::<Vec<_>>(), more);
        let mut specs = catalogue(&everything(), 7);
        let names: Vec<_> = specs.iter().map(|spec| spec.name.clone()).collect();
        assert_eq!(names.len(), 17);
        assert_eq!(names[..3], ["embedding.weight", "lstm.weight_ih_l0", "lstm.weight_hh_l0"]);
        assert_eq!(names[14..], ["output.weight", "output.bias", "repeat.bias"]);
        let mut sorted = names.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!(sorted.len(), names.len(), "each name once");
        assert_eq!(specs.iter_mut().map(|s| s.name.clone()).collect::<Vec<_>>(), names);
        assert_eq!(specs.into_vec().into_iter().map(|s| s.name).collect::<Vec<_>>(), names);
    }

    #[test]
    fn rows_are_sparse_where_the_loss_allows() {
        let update = |change: fn(&mut ModelConfig)| {
            let mut config = everything();
            change(&mut config);
            catalogue(&config, 100).embedding.unwrap().update
        };
        assert_eq!(update(|_| ()), Update::Rows(Touched::Inputs));
        assert_eq!(update(|c| c.output = Output::Tied), Update::Dense);
        let sampled = |c: &mut ModelConfig| {
            c.output = Output::Tied;
            c.loss.drawn = 10;
        };
        assert_eq!(update(sampled), Update::Rows(Touched::Both));
    }

    #[test]
    fn one_hot_input_has_a_row_for_each_item() {
        let config = ModelConfig { input: Input::OneHot, hidden: 5, ..everything() };
        let specs = catalogue(&config, 7);
        assert!(specs.embedding.is_none());
        assert_eq!(specs.recurrent[0].w_x.shape, [7, 20]);
        assert_eq!(specs.recurrent[1].w_x.shape, [20, 5]);
    }
}
