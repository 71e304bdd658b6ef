//! Rows that a model reads, and the questions that are put after their events.
//!
//! A row is a whole user. The model runs over it once, and the state after each event answers all that
//! is asked there: at a moment, after the last event before it.
//!
//! ```text
//!     user      ●──●──●───────●──●─────────●──────
//!     asked              ┊at_1       ┊at_2            after the 3rd and the 5th event
//! ```
//!
//! Of a user with more than `history` events a model reads the end before a question only. Where a row
//! begins depends on the place of the event alone, so that an answer is the same whatever else is asked.

use std::ops::Range;

use events::{AFTER_EVENT, Buyer, Histories, MOMENT, NONE, Outcome, Scaling, Sequences, Zone};
use layout::random::Stream;
use model::{Batch, Question, Sequence};

use super::Task;
use crate::evaluate::begin;
use crate::treatment::sequence;

/// Questions that are left out of an epoch.
const NEGATIVES: u32 = 0x7261_0003;

/// A question after an event of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Put {
    /// The user: the number of a row.
    pub user: u32,
    /// The last event before the moment, counted from 0.
    pub event: u32,
    /// The moment, milliseconds since 1970.
    pub at: i64,
}

/// Questions at moments, each with what was known and what came true.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Asked {
    /// By user, then by moment.
    pub puts: Vec<Put>,
    /// What was known, as it is, `[P, M]`.
    pub known: Vec<[f64; MOMENT.len()]>,
    /// What came true; nothing that can be relied on where the log ends before the horizon.
    pub outcomes: Vec<Outcome>,
    /// The users as models of repeat buying see them; none who has not bought.
    pub buyers: Vec<Option<Buyer>>,
}

impl Asked {
    /// Asks about every user of whom something is known at a moment, at each of these moments.
    pub fn new(
        histories: &Histories<'_>,
        users: impl Iterator<Item = usize>,
        cuts: &[i64],
        horizon: i64,
        zone: &Zone,
    ) -> Self {
        let mut asked = Self::default();
        for user in users {
            for &at in cuts {
                let Some(event) = histories.known(user, at).checked_sub(1) else { continue };
                asked.puts.push(Put { user: user as u32, event: event as u32, at });
                asked.known.push(histories.moment(user, at, horizon, zone));
                asked.outcomes.push(histories.outcome(user, at, horizon));
                asked.buyers.push(histories.buyer(user, at));
            }
        }
        asked
    }

    /// Number of questions.
    pub fn len(&self) -> usize {
        self.puts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.puts.is_empty()
    }
}

/// A part of a user's row that is read in one go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskPiece {
    /// The user.
    pub user: u32,
    /// Its events.
    pub events: Range<u32>,
    /// The events of which it is this piece that tells what follows, if anyone asks.
    pub fresh: Range<u32>,
    /// The questions at moments that are put to it.
    pub puts: Range<u32>,
}

/// All that is asked of some rows.
#[derive(Debug, Clone, Default)]
pub struct Lessons {
    /// Parts of the rows, by user.
    pub pieces: Vec<TaskPiece>,
    /// The questions at moments.
    pub asked: Asked,
    /// What is known at each of them as the model sees it, `[P, M]`.
    pub moments: Vec<f32>,
    /// Class of each event of all rows, for the kind of the next one; [`NONE`] where it has none. Empty
    /// where nobody asks.
    pub classes: Vec<u32>,
    /// Of which events of each user it is asked what follows; the one that follows is in the row.
    pub follows: Vec<Range<u32>>,
    /// What is known after each of these events as the model sees it, `[F, N]`, user after user; empty
    /// where nobody asks for the kind of the next one.
    pub after: Vec<f32>,
    width: usize,
    /// Where the rows of each user begin in it.
    firsts: Vec<usize>,
}

/// What is asked about what follows an event.
#[derive(Debug, Clone, Default)]
pub struct Following {
    /// Of which events of each user.
    pub events: Vec<Range<u32>>,
    /// Class of each event of all rows, for the kind of the next one; empty where nobody asks.
    pub classes: Vec<u32>,
    /// What is known after each of these events, as it is, `[F, width]`; likewise.
    pub known: Vec<f64>,
    /// How many numbers that are of each.
    pub width: usize,
}

impl Following {
    /// Asks about some events of each user; with `classes`, for the kind of the next one.
    pub fn new(
        histories: &Histories<'_>,
        events: Vec<Range<u32>>,
        classes: Option<Vec<u32>>,
    ) -> Self {
        let Some(classes) = classes else { return Self { events, ..Self::default() } };
        let known = events.iter().enumerate().flat_map(|(user, events)| {
            let count = if events.is_empty() { 0 } else { events.end as usize };
            let rows = histories.after_events(user, count);
            rows.into_iter().skip(events.start as usize).flatten()
        });
        let known = known.collect();
        Self { events, classes, known, width: AFTER_EVENT.len() }
    }
}

impl Lessons {
    /// Cuts rows into pieces so that every question is put once. With `next_item`, a piece holds the item
    /// that follows the last event that is asked about, to learn it.
    pub fn new(
        asked: Asked,
        following: Following,
        [at_moments, after_events]: [&[Scaling]; 2],
        history: usize,
        next_item: bool,
    ) -> Self {
        let Following { events: follows, classes, known, width } = following;
        let moments = asked.known.iter().flat_map(|known| scaled(known, at_moments)).collect();
        let rows = known.chunks_exact(width.max(1));
        let after = rows.flat_map(|known| scaled(known, after_events)).collect();
        let mut firsts = Vec::with_capacity(follows.len());
        let mut first = 0;
        for events in &follows {
            firsts.push(first);
            first += events.len();
        }
        let mut pieces = Vec::new();
        let mut puts = 0;
        for (user, follows) in follows.iter().enumerate() {
            let first = puts;
            puts += asked.puts[first..].iter().take_while(|put| put.user as usize == user).count();
            let further = u32::from(next_item);
            cut(user as u32, &asked.puts, first..puts, follows, (history, further), &mut pieces);
        }
        Self { pieces, asked, moments, classes, follows, after, width, firsts }
    }

    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Number of questions about what follows an event.
    pub fn follows(&self) -> usize {
        self.follows.iter().map(|events| events.len()).sum()
    }

    /// Numbers of the moment of a question, as the model sees them.
    pub fn moment(&self, put: usize) -> &[f32] {
        &self.moments[put * MOMENT.len()..][..MOMENT.len()]
    }

    /// Numbers of the moment right after an event of which it is asked what follows.
    fn after(&self, user: u32, event: u32) -> &[f32] {
        let user = user as usize;
        let row = self.firsts[user] + (event - self.follows[user].start) as usize;
        &self.after[row * self.width..][..self.width]
    }

    /// How many numbers are known after an event.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The events of a piece of which it is asked, of this piece, what follows.
    pub(crate) fn followed(&self, piece: &TaskPiece) -> Range<u32> {
        let asked = &self.follows[piece.user as usize];
        asked.start.max(piece.fresh.start)..asked.end.min(piece.fresh.end)
    }
}

/// Numbers as a model sees them.
pub(crate) fn scaled<'a>(
    known: &'a [f64],
    scaling: &'a [Scaling],
) -> impl Iterator<Item = f32> + 'a {
    known.iter().zip(scaling).map(|(&value, scaling)| scaling.apply(value).unwrap_or(0.0))
}

/// Cuts the row of a user: of the events with a question those stand in one piece that begin reading at
/// the same place, and `further` more.
fn cut(
    user: u32,
    all: &[Put],
    puts: Range<usize>,
    follows: &Range<u32>,
    (history, further): (usize, u32),
    pieces: &mut Vec<TaskPiece>,
) {
    let last_put = all[puts.clone()].iter().map(|put| put.event + 1).max().unwrap_or(0);
    let asked_until = last_put.max(if follows.is_empty() { 0 } else { follows.end });
    let (mut fresh, mut put) = (0, puts.start);
    while fresh < asked_until {
        let start = begin(fresh as usize + 1, history) as u32;
        let mut end = fresh + 1;
        while end < asked_until && begin(end as usize + 1, history) as u32 == start {
            end += 1;
        }
        let first = put;
        while put < puts.end && all[put].event < end {
            put += 1;
        }
        let put_until = all[first..put].iter().map(|put| put.event + 1).max().unwrap_or(0);
        let followed = follows.start.max(fresh)..follows.end.min(end);
        let needed = put_until.max(if followed.is_empty() { 0 } else { followed.end + further });
        if needed > 0 {
            let puts = first as u32..put as u32;
            pieces.push(TaskPiece { user, events: start..needed, fresh: fresh..end, puts });
        }
        fresh = end;
    }
}

/// What a batch of pieces is filled with.
pub(crate) struct Filling<'a> {
    pub(crate) sequences: &'a Sequences,
    pub(crate) lessons: &'a Lessons,
    /// The tasks of the model's answers, in their order.
    pub(crate) tasks: &'a [Task],
    /// What the answers to tasks of numbers are divided by.
    pub(crate) scales: &'a [f64],
}

impl Filling<'_> {
    fn sequences(&self, pieces: &[&TaskPiece]) -> Vec<Sequence<'_>> {
        let events = |piece: &TaskPiece| piece.events.start as usize..piece.events.end as usize;
        pieces
            .iter()
            .map(|piece| sequence(self.sequences, piece.user as usize, events(piece)))
            .collect()
    }

    /// Fills a batch for training. Of the questions answered by no a share is put, drawn by `draw`.
    pub(crate) fn train(
        &self,
        pieces: &[&TaskPiece],
        negatives: f32,
        (seed, epoch): (u64, u32),
        batch: &mut Batch,
    ) {
        let draw = Stream::new(seed, NEGATIVES, epoch);
        batch.fill_events(&self.sequences(pieces), |session, event| {
            let piece = pieces[session as usize];
            let event = piece.events.start + event;
            if self.lessons.followed(piece).contains(&event) { 1.0 } else { 0.0 }
        });
        self.ask(pieces, batch, |task, put, truth| match task.is_binary() && truth == 0.0 {
            true if negatives < 1.0 => {
                // Each task draws for itself.
                let number = put as u64 * Task::ALL.len() as u64 + task as u64;
                if draw.uniform(number) < negatives { 1.0 / negatives } else { 0.0 }
            }
            _ => 1.0,
        });
    }

    /// Fills a batch for answers.
    pub(crate) fn answer(&self, pieces: &[&TaskPiece], batch: &mut Batch) {
        batch.fill_prefixes(&self.sequences(pieces), model::Wanted::Every);
        self.ask(pieces, batch, |_, _, _| 1.0);
    }

    /// Puts all questions of some pieces, those of a piece in their order; `weight` says what a question
    /// at a moment counts.
    fn ask(
        &self,
        pieces: &[&TaskPiece],
        batch: &mut Batch,
        weight: impl Fn(Task, usize, f64) -> f32,
    ) {
        let lessons = self.lessons;
        for (k, &task) in self.tasks.iter().enumerate() {
            for (session, piece) in pieces.iter().enumerate() {
                let session = session as u32;
                if !task.is_at_moment() {
                    let row = self.sequences.range(piece.user as usize).start;
                    for event in lessons.followed(piece) {
                        let class = lessons.classes[row + event as usize + 1];
                        let known = class != NONE;
                        let question = Question {
                            session,
                            event: event - piece.events.start,
                            moment: lessons.after(piece.user, event),
                            truth: if known { class as f32 } else { 0.0 },
                            weight: if known { 1.0 } else { 0.0 },
                        };
                        batch.ask(k, &question);
                    }
                    continue;
                }
                for put in piece.puts.start as usize..piece.puts.end as usize {
                    let truth = task.truth(&lessons.asked.outcomes[put]);
                    let question = Question {
                        session,
                        event: lessons.asked.puts[put].event - piece.events.start,
                        moment: lessons.moment(put),
                        truth: (truth / self.scales[k]) as f32,
                        weight: weight(task, put, truth),
                    };
                    batch.ask(k, &question);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(event: u32) -> Put {
        Put { user: 0, event, at: 0 }
    }

    fn pieces(puts: &[Put], follows: Range<u32>, history: usize) -> Vec<TaskPiece> {
        let mut pieces = Vec::new();
        cut(0, puts, 0..puts.len(), &follows, (history, 0), &mut pieces);
        pieces
    }

    #[test]
    fn a_short_row_is_one_piece_up_to_its_last_question() {
        let one = TaskPiece { user: 0, events: 0..5, fresh: 0..5, puts: 0..2 };
        assert_eq!(pieces(&[put(2), put(4)], 0..0, 8), std::slice::from_ref(&one));
        assert_eq!(pieces(&[put(2), put(4)], 1..4, 8), [one]);
        let longer = TaskPiece { user: 0, events: 0..7, fresh: 0..7, puts: 0..2 };
        assert_eq!(pieces(&[put(2), put(4)], 1..7, 8), [longer]);
        assert_eq!(pieces(&[], 0..0, 8), []);
        // The item after the last event that is asked about is there to be learned.
        let mut found = Vec::new();
        cut(0, &[], 0..0, &(0..9), (8, 1), &mut found);
        let events: Vec<_> = found.iter().map(|piece| (&piece.events, &piece.fresh)).collect();
        assert_eq!(events, [(&(0..9), &(0..8)), (&(4..10), &(8..9))]);
    }

    /// Every event is read with as many before it as when it stands alone, and told of once.
    #[test]
    fn where_an_event_begins_to_be_read_does_not_depend_on_what_is_asked() {
        for history in [2, 4, 7] {
            let puts: Vec<Put> = (0..40).step_by(3).map(put).collect();
            let all = pieces(&puts, 5..39, history);
            let mut followed = Vec::new();
            for piece in &all {
                for put in &puts[piece.puts.start as usize..piece.puts.end as usize] {
                    let alone = pieces(&[*put], 0..0, history);
                    assert_eq!(alone.len(), 1);
                    assert_eq!(alone[0].events, piece.events.start..put.event + 1);
                    assert!(alone[0].events.len() <= history);
                }
                followed.extend(piece.fresh.start.max(5)..piece.fresh.end.min(39));
            }
            assert_eq!(followed, (5..39).collect::<Vec<_>>());
            let put: u32 = all.iter().map(|piece| piece.puts.len() as u32).sum();
            assert_eq!(put as usize, puts.len());
        }
    }
}
