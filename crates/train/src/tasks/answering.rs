//! What a model says to what is asked.

use events::Sequences;
use model::{Batch, Device, Model, Scorer};

use super::{Filling, Lessons, TaskKnowledge, TaskPiece};
use crate::Error;

/// Positions in a batch.
const BATCH: usize = 4096;
/// Positions in a group of pieces, which are sorted by length.
const GROUP: usize = 1 << 17;

/// The answers of a model to some lessons.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// For each answer of the model: C numbers a question, the questions in the order of the lessons. Of
    /// tasks at moments one a [`Put`](super::Put); of others one an event of which it is asked what follows.
    pub answers: Vec<Vec<f32>>,
}

/// Answers everything that is asked; numbers come in the unit of the task, probabilities as they are
/// learned.
///
/// # Errors
///
/// Where rows hold what the model does not know, and where answers are not finite.
pub fn answer_tasks<D: Device>(
    model: &Model<D>,
    knowledge: &TaskKnowledge,
    sequences: &Sequences,
    lessons: &Lessons,
) -> Result<Told, Error> {
    let answers = model.answers();
    let tasks = knowledge.answered();
    let filling = Filling { sequences, lessons, tasks: &tasks, scales: &knowledge.scales };
    let mut scorer = Scorer::new(model);
    let mut batch = Batch::with_features(model.config(), model.features());
    let asked = |k: usize| match tasks[k].is_at_moment() {
        true => lessons.asked.len(),
        false => lessons.follows(),
    };
    let widths: Vec<usize> = answers.answers.iter().map(|answer| answer.outputs).collect();
    let mut told: Vec<Vec<f32>> =
        (0..tasks.len()).map(|k| vec![0.0; asked(k) * widths[k]]).collect();

    // Where the answers about what follows stand: pieces come by user, and so do these.
    let mut follows = 0;
    let mut rest = &lessons.pieces[..];
    while !rest.is_empty() {
        let mut positions = 0;
        let fits = |piece: &&TaskPiece| {
            positions += piece.events.len();
            positions <= GROUP || positions == piece.events.len()
        };
        let size = rest.iter().take_while(fits).count();
        let (group, later) = rest.split_at(size);
        let mut places = Vec::with_capacity(size);
        for piece in group {
            places.push(follows);
            follows += lessons.followed(piece).len();
        }
        let mut order: Vec<usize> = (0..size).collect();
        order.sort_by_key(|&piece| std::cmp::Reverse(group[piece].events.len()));
        for chunk in chunks(&order, group) {
            let pieces: Vec<&TaskPiece> = chunk.iter().map(|&piece| &group[piece]).collect();
            filling.answer(&pieces, &mut batch);
            let found = scorer.answer(&batch)?;
            for (k, (task, found)) in tasks.iter().zip(&found).enumerate() {
                let (width, mut from) = (widths[k], 0);
                for (&number, piece) in chunk.iter().zip(&pieces) {
                    let (to, count) = match task.is_at_moment() {
                        true => (piece.puts.start as usize, piece.puts.len()),
                        false => (places[number], lessons.followed(piece).len()),
                    };
                    let values = &found[from * width..][..count * width];
                    told[k][to * width..][..count * width].copy_from_slice(values);
                    from += count;
                }
            }
        }
        rest = later;
    }
    for (values, &scale) in told.iter_mut().zip(&knowledge.scales) {
        if scale != 1.0 {
            values.iter_mut().for_each(|value| *value = (f64::from(*value) * scale) as f32);
        }
    }
    match told.iter().flatten().all(|value| value.is_finite()) {
        true => Ok(Told { answers: told }),
        false => Err(Error::ScoresNotFinite),
    }
}

/// Cuts pieces, given by number, into batches.
fn chunks<'a>(order: &'a [usize], pieces: &[TaskPiece]) -> Vec<&'a [usize]> {
    let (mut found, mut rest) = (Vec::new(), order);
    while !rest.is_empty() {
        let mut positions = 0;
        let fits = |&&piece: &&usize| {
            positions += pieces[piece].events.len();
            positions <= BATCH || positions == pieces[piece].events.len()
        };
        let (now, later) = rest.split_at(rest.iter().take_while(fits).count());
        found.push(now);
        rest = later;
    }
    found
}
