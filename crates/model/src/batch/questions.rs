//! What a batch asks beside the next item, and what the answers should be.

use crate::{Answers, Batch, BatchError};

/// A question put after an event of a session.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Question<'a> {
    /// Which of the sessions that the batch was filled with.
    pub session: u32,
    /// The last event that may be looked at, counted from 0.
    pub event: u32,
    /// What is known when the question is put, `[M]`.
    pub moment: &'a [f32],
    /// What came true: a number, 0 or 1, the number of a class. Not looked at by answers.
    pub truth: f32,
    /// What it counts in the loss; 0 where nothing is known to have come true.
    pub weight: f32,
}

/// The questions of one answer, as its head wants them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Questions {
    /// Which of the wanted positions each looks at, `[C]`.
    pub(crate) rows: Vec<u32>,
    /// A leading 1 and the numbers of the moment, `[C, 1 + M]`.
    pub(crate) moment: Vec<f32>,
    /// `[C]`
    pub(crate) truth: Vec<f32>,
    /// `[C]`
    pub(crate) weights: Vec<f32>,
    /// Numbers of the moment that each came with, where they are not as many as the first's.
    misfit: Option<usize>,
}

impl Questions {
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.moment.clear();
        self.truth.clear();
        self.weights.clear();
        self.misfit = None;
    }
}

/// Those of an answer of which nothing is asked.
static NONE: Questions = Questions {
    rows: Vec::new(),
    moment: Vec::new(),
    truth: Vec::new(),
    weights: Vec::new(),
    misfit: None,
};

impl Batch {
    /// Puts a question of answer number `answer` until the batch is filled again. Returns whether the batch
    /// holds a wanted position of that event: questions of others are not put.
    pub fn ask(&mut self, answer: usize, question: &Question<'_>) -> bool {
        let Some(row) = self.wanted_row(question.session, question.event) else { return false };
        if self.questions.len() <= answer {
            self.questions.resize_with(answer + 1, Questions::default);
        }
        let questions = &mut self.questions[answer];
        let width = 1 + question.moment.len();
        if !questions.is_empty() && questions.moment.len() != questions.len() * width {
            questions.misfit.get_or_insert(width - 1);
        }
        questions.rows.push(row);
        questions.moment.push(1.0);
        questions.moment.extend(question.moment);
        questions.truth.push(question.truth);
        questions.weights.push(question.weight);
        true
    }

    /// How many questions of an answer are put.
    pub fn asked(&self, answer: usize) -> usize {
        self.questions(answer).len()
    }

    pub(crate) fn questions(&self, answer: usize) -> &Questions {
        self.questions.get(answer).unwrap_or(&NONE)
    }

    /// Whether anything counts: a next item, or a question.
    pub fn has_lesson(&self) -> bool {
        self.asks() || self.weights.iter().any(|&weight| weight > 0.0)
    }

    /// Whether any question counts.
    pub(crate) fn asks(&self) -> bool {
        self.questions.iter().any(|asked| asked.weights.iter().any(|&weight| weight > 0.0))
    }

    /// The place of an event among the wanted positions.
    pub(crate) fn wanted_row(&self, session: u32, event: u32) -> Option<u32> {
        let row = *self.row_of.get(session as usize)?;
        let first = self.first;
        let step = (event as usize).checked_sub(first)?;
        let length = *self.lengths.get(row as usize)?;
        match step < length {
            false => None,
            // All positions are wanted, or the last of each row.
            true if self.wanted.len() == self.ids.len() => {
                Some(self.steps.position(step, row as usize) as u32)
            }
            true => (step + 1 == length).then_some(row),
        }
    }

    /// Refuses questions that the model's heads cannot take.
    pub(crate) fn check_questions(&self, answers: &Answers) -> Result<(), BatchError> {
        for (answer, questions) in self.questions.iter().enumerate() {
            if questions.is_empty() {
                continue;
            }
            if answer >= answers.answers.len() {
                let answers = answers.answers.len();
                return Err(BatchError::Answer { answer, answers });
            }
            let expected = answers.answers[answer].moment.len();
            let found = questions.moment.len() / questions.len() - 1;
            if found != expected || questions.misfit.is_some() {
                let found = questions.misfit.unwrap_or(found);
                return Err(BatchError::Moment { answer, found, expected });
            }
            let classes = answers.answers[answer].outputs;
            let is_class = |truth: f32| truth >= 0.0 && truth < classes as f32;
            let is_fine = |truth: f32| match classes {
                1 => truth.is_finite(),
                _ => is_class(truth),
            };
            let sound = questions.moment.iter().all(|number| number.is_finite())
                && questions.truth.iter().all(|&truth| is_fine(truth));
            if !sound {
                return Err(BatchError::Question { answer });
            }
        }
        Ok(())
    }
}
