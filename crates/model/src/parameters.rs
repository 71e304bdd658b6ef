//! The catalogue of everything a model learns.
//!
//! [`Parameters`] holds one value of any kind for each tensor: a [`Spec`] (then it is the
//! catalogue), a matrix of a device, a gradient, a moment of Adam, a reference to one of these.
//! The order of the tensors is written once, in [`Parameters::map`]; optimiser, gradient norm,
//! files, averages and gradient checks all walk along it.

mod catalogue;

pub use catalogue::catalogue;

use layout::random::Stream;
use layout::{Cell, RecurrentParams};

use crate::start::Start;
use crate::{Device, streams};

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
    /// What is known of an event beside its item. Behind all that a model always has, so that the random
    /// numbers that those start with do not depend on it.
    pub features: FeatureParameters<T>,
    /// A head for each answer beside the next item. The last of all, for the same reason.
    pub answers: Vec<AnswerParameters<T>>,
}

/// The head of an answer beside the next item. D is the width of the picture, M the numbers of the moment
/// that it looks at, A the width of the last of its dense layers (D without any), C its outputs.
///
/// ```text
///     m   = [1 ; moment]            s = q + m·w_mᵀ
///     a_0 = s                       a_k = dropout(f(a_{k−1}·wᵀ + b))
///     z   = a_K·w_zᵀ + m·w_sᵀ
/// ```
#[derive(Debug, Clone, Default)]
pub struct AnswerParameters<T> {
    /// From the moment to the picture, `[D, 1 + M]`.
    pub w_m: T,
    /// The dense layers, the first one first.
    pub layers: Vec<DenseParameters<T>>,
    /// From the last of them to the outputs, `[C, A]`.
    pub w_z: T,
    /// From the moment straight to the outputs, `[C, 1 + M]`: the bias comes first.
    pub w_s: T,
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
            answers: self.answers.into_iter().map(|answer| answer.map(&mut f)).collect(),
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
            answers: self.answers.iter().map(AnswerParameters::as_ref).collect(),
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
        let answers = self.answers.iter().flat_map(AnswerParameters::iter);
        layers.chain(readout).chain(head).chain(output).chain(features).chain(answers)
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
        let answers = self.answers.iter_mut().flat_map(AnswerParameters::iter_mut);
        layers.chain(readout).chain(head).chain(output).chain(features).chain(answers)
    }
}

impl<T> AnswerParameters<T> {
    fn map<U>(self, mut f: impl FnMut(T) -> U) -> AnswerParameters<U> {
        let w_m = f(self.w_m);
        let dense = self.layers.into_iter();
        let layers = dense.map(|layer| DenseParameters { w: f(layer.w), b: f(layer.b) }).collect();
        AnswerParameters { w_m, layers, w_z: f(self.w_z), w_s: f(self.w_s) }
    }

    fn as_ref(&self) -> AnswerParameters<&T> {
        let dense = self.layers.iter();
        let layers = dense.map(|layer| DenseParameters { w: &layer.w, b: &layer.b }).collect();
        AnswerParameters { w_m: &self.w_m, layers, w_z: &self.w_z, w_s: &self.w_s }
    }

    fn iter(&self) -> impl Iterator<Item = &T> {
        let dense = self.layers.iter().flat_map(|layer| [&layer.w, &layer.b]);
        std::iter::once(&self.w_m).chain(dense).chain([&self.w_z, &self.w_s])
    }

    fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        let dense = self.layers.iter_mut().flat_map(|layer| [&mut layer.w, &mut layer.b]);
        std::iter::once(&mut self.w_m).chain(dense).chain([&mut self.w_z, &mut self.w_s])
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
    use crate::{
        Answer, AnswerLoss, Answers, InitialState, Input, Inputs, Labels, ModelConfig, Output,
        Readout,
    };

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
        let mut specs = catalogue(&shapes, Inputs { items: 7, features, ..Inputs::default() });
        let more: Vec<_> = specs.iter().map(|spec| spec.name.clone()).collect();
        assert_eq!(more[..names.len()], names, "the features come last");
        let [kind, day] = ["kind", "day"].map(|name| format!("features.labels.{name}.weight"));
        let [numbers, vectors] = ["features.numbers.weight", "features.vectors.weight"];
        assert_eq!(more[names.len()..], [&kind, &day, numbers, vectors]);
        assert_eq!(specs.iter_mut().map(|s| s.name.clone()).collect::<Vec<_>>(), more);
        assert_eq!(specs.into_vec().into_iter().map(|s| s.name).collect::<Vec<_>>(), more);
        let answers = vec![
            Answer {
                name: "buys".to_owned(),
                outputs: 1,
                moment: vec!["pause".to_owned()],
                weight: 1.0,
                loss: AnswerLoss::Poisson,
            };
            1
        ];
        let answers = Answers { answers, next_item: true };
        let headed = ModelConfig { answer_head: vec![4], ..shapes.clone() };
        let mut specs = catalogue(&headed, Inputs { items: 7, answers, ..Inputs::default() });
        let more: Vec<_> = specs.iter().map(|spec| spec.name.clone()).collect();
        assert_eq!(more[..names.len()], names, "the answers come last");
        let parts = ["moment.weight", "0.weight", "0.bias", "output.weight", "skip.weight"];
        assert_eq!(more[names.len()..], parts.map(|part| format!("answers.buys.{part}")));
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
