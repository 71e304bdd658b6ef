//! From pictures to answers other than the next item, each through a head of its own.
//!
//! ```text
//!     m   = [1 ; moment]                          what is known when the question is put, [C, 1 + M]
//!     s   = q + m·w_mᵀ                            the picture at that moment, [C, D]
//!     a_0 = s        a_k = dropout(f(a_{k−1}·wᵀ + b))
//!     z   = a_K·w_zᵀ + m·w_sᵀ                     outputs, [C, O]; the weight of the leading 1 is the bias
//! ```
//!
//! What is known of the moment goes in twice: into the picture, where it meets what the states hold, and
//! straight to the outputs, as in a regression. An answer that looks at nothing there sees the leading 1 alone.
//!
//! H.-T. Cheng et al., "Wide & deep learning for recommender systems", DLRS 2016, on the second way.

use layout::Accumulate::{Add, Replace};
use layout::{ClassTask, ElementTask};

use super::Pass;
use crate::batch::Questions;
use crate::streams::DROPOUT_ANSWER;
use crate::{Answer, AnswerLoss, AnswerParameters, Device};

#[derive(Debug, Clone, Default)]
pub(super) struct Tape<M> {
    answers: Vec<HeadTape<M>>,
}

/// What the head of one answer keeps; C questions are asked.
#[derive(Debug, Clone, Default)]
struct HeadTape<M> {
    /// `[C, 1 + M]`.
    moment: M,
    /// The picture at the moment, `[C, D]`.
    s: M,
    /// What each dense layer has made, and the same after dropout, `[C, A]`.
    made: Vec<M>,
    dropped: Vec<M>,
    /// Outputs and truth, `[C, O]`.
    z: M,
    truth: M,
    dz: M,
    /// The gradient of what leaves the layer at hand, and of what enters it.
    da: M,
    dx: M,
    /// The gradient of a layer's sums.
    dsums: M,
}

impl<M> Tape<M> {
    /// The outputs of the answers that were asked, `[C, O]`; what stands here of others is old.
    pub(super) fn outputs(&self, answer: usize) -> &M {
        &self.answers[answer].z
    }
}

/// `q` are the pictures of all wanted positions, `[W, D]`.
pub(super) fn forward<D: Device>(
    pass: &Pass<'_, D>,
    params: &[AnswerParameters<D::Matrix>],
    q: &D::Matrix,
    tape: &mut Tape<D::Matrix>,
) {
    tape.answers.resize_with(params.len(), HeadTape::default);
    for (k, (params, tape)) in params.iter().zip(&mut tape.answers).enumerate() {
        let questions = pass.batch.questions(k);
        if !questions.is_empty() {
            forward_one(pass, k as u32, params, questions, q, tape);
        }
    }
}

fn forward_one<D: Device>(
    pass: &Pass<'_, D>,
    answer: u32,
    params: &AnswerParameters<D::Matrix>,
    questions: &Questions,
    q: &D::Matrix,
    tape: &mut HeadTape<D::Matrix>,
) {
    let (device, config, rate) = (pass.device, pass.config, pass.config.dropout.answers);
    let HeadTape { moment, s, made, dropped, z, .. } = tape;
    let width = questions.moment.len() / questions.len();
    match pass.along {
        None => device.upload(moment, questions.len(), width, &questions.moment),
        // The leading 1 is the bias's and stays.
        Some(along) => {
            let drawn = |(k, &m): (usize, &f32)| if k % width == 0 { m } else { along.share * m };
            let drawn: Vec<f32> = questions.moment.iter().enumerate().map(drawn).collect();
            device.upload(moment, questions.len(), width, &drawn);
        }
    }
    device.gather(q, &questions.rows, s);
    device.linear_forward(&params.w_m, moment, Add, s);
    let depth = params.layers.len();
    made.resize_with(depth, D::Matrix::default);
    dropped.resize_with(if pass.drops(rate) { depth } else { 0 }, D::Matrix::default);
    for (k, layer) in params.layers.iter().enumerate() {
        let (before, here) = made.split_at_mut(k);
        let f = config.head_activation.into();
        let x = entering(s, before, dropped, k);
        device.dense_forward(&layer.w, &layer.b, f, x, &mut here[0]);
        if let Some(dropped) = dropped.get_mut(k) {
            device.add(&here[0], Replace, dropped);
            pass.dropout(rate, stream(answer, k), dropped);
        }
    }
    device.linear_forward(&params.w_z, entering(s, made, dropped, depth), Replace, z);
    device.linear_forward(&params.w_s, moment, Add, z);
}

/// What enters layer `k`, counted from 0: what the layer before has made, after dropout, or `s`.
fn entering<'m, M>(s: &'m M, made: &'m [M], dropped: &'m [M], k: usize) -> &'m M {
    match k.checked_sub(1) {
        None => s,
        Some(before) => dropped.get(before).unwrap_or(&made[before]),
    }
}

/// The name of the random numbers that drop behind layer `k` of an answer's head.
fn stream(answer: u32, k: usize) -> u32 {
    DROPOUT_ANSWER + (answer << 7) + k as u32
}

/// The losses of all answers, as their weights count them: Σ_a weight_a · L_a. What reaches the pictures
/// is **added** to `dq`, `[W, D]`.
pub(super) fn backward<D: Device>(
    pass: &Pass<'_, D>,
    answers: &[Answer],
    params: &[AnswerParameters<D::Matrix>],
    tape: &mut Tape<D::Matrix>,
    grads: &mut [AnswerParameters<D::Matrix>],
    dq: &mut D::Matrix,
) -> f64 {
    let mut loss = 0.0;
    for (k, (answer, params)) in answers.iter().zip(params).enumerate() {
        let questions = pass.batch.questions(k);
        if questions.weights.iter().any(|&weight| weight > 0.0) {
            let (tape, grads) = (&mut tape.answers[k], &mut grads[k]);
            let own = loss_of(pass.device, answer, questions, tape);
            loss += f64::from(answer.weight) * own;
            backward_one(pass, k as u32, params, questions, tape, grads, dq);
        }
    }
    loss
}

/// The loss L of an answer; weight · ∂L/∂z stays on the tape.
fn loss_of<D: Device>(
    device: &D,
    answer: &Answer,
    questions: &Questions,
    tape: &mut HeadTape<D::Matrix>,
) -> f64 {
    let HeadTape { z, truth, dz, dsums, .. } = tape;
    let weight = &questions.weights;
    let mut positive = [1.0];
    let loss = match (answer.loss.of_outputs(&mut positive), &answer.loss) {
        (Some(loss), _) => {
            device.upload(truth, questions.len(), 1, &questions.truth);
            device.element_loss(z, truth, &ElementTask { loss, weight }, dz)
        }
        (None, AnswerLoss::Classes { weights }) => {
            let target: Vec<u32> = questions.truth.iter().map(|&class| class as u32).collect();
            let task = ClassTask { target: &target, class_weight: weights, weight };
            device.class_loss(z, &task, dz)
        }
        (None, _) => unreachable!("all but classes have a loss of outputs"),
    };
    if answer.weight != 1.0 {
        // weight · dz: the average of nothing and dz by that share.
        device.add(dz, Replace, dsums);
        device.fill(dz, 0.0);
        device.average(answer.weight, dsums, dz);
    }
    loss
}

/// From the gradient of the outputs of one answer, `[C, O]`, to that of the pictures, **added** to `dq`,
/// and that of the moment, `[C, 1 + M]`.
#[allow(clippy::too_many_arguments)]
pub(super) fn backward_outputs<D: Device>(
    pass: &Pass<'_, D>,
    answer: usize,
    params: &AnswerParameters<D::Matrix>,
    tape: &mut Tape<D::Matrix>,
    dz: &[f32],
    grads: &mut AnswerParameters<D::Matrix>,
    dq: &mut D::Matrix,
    dmoment: &mut D::Matrix,
) {
    let (device, questions) = (pass.device, pass.batch.questions(answer));
    let tape = &mut tape.answers[answer];
    device.upload(&mut tape.dz, questions.len(), dz.len() / questions.len(), dz);
    backward_one(pass, answer as u32, params, questions, tape, grads, dq);
    // s = q + m·w_mᵀ and z = … + m·w_sᵀ; what reaches s is left in `da`.
    device.linear_backward_input(&params.w_s, &tape.dz, Replace, dmoment);
    device.linear_backward_input(&params.w_m, &tape.da, Add, dmoment);
}

fn backward_one<D: Device>(
    pass: &Pass<'_, D>,
    answer: u32,
    params: &AnswerParameters<D::Matrix>,
    questions: &Questions,
    tape: &mut HeadTape<D::Matrix>,
    grads: &mut AnswerParameters<D::Matrix>,
    dq: &mut D::Matrix,
) {
    let (device, config, rate) = (pass.device, pass.config, pass.config.dropout.answers);
    let HeadTape { moment, s, made, dropped, dz, da, dx, dsums, .. } = tape;

    // z = a_K·w_zᵀ + m·w_sᵀ
    let depth = params.layers.len();
    device.linear_backward_weights(moment, dz, &mut grads.w_s);
    device.linear_backward_weights(entering(s, made, dropped, depth), dz, &mut grads.w_z);
    device.linear_backward_input(&params.w_z, dz, Replace, da);
    for (k, layer) in params.layers.iter().enumerate().rev() {
        pass.dropout(rate, stream(answer, k), da);
        let (x, grads) = (entering(s, made, dropped, k), &mut grads.layers[k]);
        let (f, dw, db) = (config.head_activation.into(), &mut grads.w, &mut grads.b);
        device.dense_backward(&layer.w, f, x, &made[k], da, dw, db, dsums, dx);
        std::mem::swap(da, dx);
    }

    // s = q + m·w_mᵀ
    device.linear_backward_weights(moment, da, &mut grads.w_m);
    device.embedding_backward(&questions.rows, da, dq);
}
