//! How good a model is on cases, and the baselines beside it.
//!
//! The rows of an evaluation are taken in groups of some 65,000 positions, a group's rows sorted by
//! length and cut into batches; so memory is bounded, and answers come group by group in the order
//! of the cases. No case sees another: a row is a prefix with its own beginnings.

use std::sync::atomic::{AtomicBool, Ordering};

use events::{Baseline, Case, Cases, NONE};
use model::{Batch, Device, Model, Scorer, Scores, Sequence, Wanted};
use rayon::prelude::*;
use serde::Serialize;

use crate::Error;
use crate::metrics::{Metrics, Ranks, rank};

/// Positions in a group of rows.
const GROUP: usize = 1 << 16;
/// Positions in a batch.
const BATCH: usize = 2048;
/// Of a longer prefix a model sees the end only, at least half of this many items. Where the cut
/// is depends on the prefix alone, so that a case is answered alike wherever it stands.
pub(crate) const WINDOW: usize = 1024;

/// What a model says to one case.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The place of the target, counted from 1; none where the vocabulary does not know it.
    pub rank: Option<usize>,
    /// The first items, best first, as many as asked for.
    pub top: Vec<u32>,
}

/// The figures of a model on some cases, of which it reads `window` events at most
/// ([`Knowledge::window`](crate::Knowledge::window)).
///
/// # Errors
///
/// Where a case holds an item that the model does not know, and where scores are not finite.
pub fn evaluate<D: Device>(
    model: &Model<D>,
    cases: &Cases,
    window: usize,
) -> Result<Metrics, Error> {
    let mut ranks = Ranks::default();
    answer(model, cases, (window, 0), |_, answers| {
        for answer in answers {
            count(&mut ranks, answer.rank);
        }
        Ok(())
    })?;
    Ok(ranks.metrics())
}

/// Answers every case with its rank and the first `top` items, reading `window` events of it at most. `visit` gets the number of the first
/// case of a group and the group's answers, in the order of the cases.
///
/// # Errors
///
/// Those of `visit`, where a case holds an item that the model does not know, and where scores are not
/// finite.
pub fn answer<D: Device>(
    model: &Model<D>,
    cases: &Cases,
    (window, top): (usize, usize),
    mut visit: impl FnMut(usize, &[Answer]) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut scorer = Scorer::new(model);
    let mut batch = Batch::with_features(model.config(), model.features());
    let (mut row, mut first) = (0, 0);
    while row < cases.row_count() {
        let mut jobs = Vec::new();
        let mut answers = Vec::new();
        let mut positions = 0;
        while row < cases.row_count() && positions < GROUP {
            let these = cases.row(row);
            positions += these.items.len();
            add_jobs((cases, window), these.cases, answers.len(), &mut jobs);
            answers.resize(answers.len() + these.cases.len(), Answer { rank: None, top: vec![] });
            row += 1;
        }
        let group = Group { cases: &cases.as_slice()[first..first + answers.len()], top };
        answer_group(model.device(), &mut scorer, &mut batch, &jobs, group, &mut answers)?;
        answer_by_popularity(model.items(), group, &mut answers);
        visit(first, &answers)?;
        first += answers.len();
    }
    Ok(())
}

/// The cases of a group, and how many items each answer has.
#[derive(Clone, Copy)]
struct Group<'a> {
    cases: &'a [Case],
    top: usize,
}

/// One pass of the model over some items, and the cases that it answers.
struct Job<'a> {
    events: Sequence<'a>,
    /// Position in `events` and number of the case in its group, by rising position.
    asked: Vec<(u32, u32)>,
}

impl Job<'_> {
    fn wanted(&self) -> Wanted {
        match self.asked[0].0 as usize + 1 == self.events.len() {
            true => Wanted::Last,
            false => Wanted::Every,
        }
    }
}

/// Makes the passes for the cases of one row. Cases without a known item need none.
fn add_jobs<'a>(
    (cases, window): (&'a Cases, usize),
    row: &'a [Case],
    first: usize,
    jobs: &mut Vec<Job<'a>>,
) {
    let mut order: Vec<u32> =
        (0..row.len() as u32).filter(|&k| row[k as usize].length > 0).collect();
    order.sort_by_key(|&k| row[k as usize].length);
    let begins = |&k: &u32| begin(row[k as usize].length as usize, window);
    for same in order.chunk_by(|a, b| begins(a) == begins(b)) {
        let begin = begins(&same[0]);
        let longest = &row[same[same.len() - 1] as usize];
        let asked = same
            .iter()
            .map(|&k| ((row[k as usize].length as usize - 1 - begin) as u32, first as u32 + k));
        let (labels, numbers) = cases.features(longest, begin);
        let events = Sequence { items: &cases.prefix(longest)[begin..], labels, numbers };
        jobs.push(Job { events, asked: asked.collect() });
    }
}

/// Where the part of a prefix begins that the model sees of it: at most `window` items, and more than half
/// of that where there are as many.
pub(crate) fn begin(length: usize, window: usize) -> usize {
    let half = (window / 2).max(1);
    if length <= window { 0 } else { (length - 1) / half * half - half }
}

fn answer_group<D: Device>(
    device: &D,
    scorer: &mut Scorer<'_, D>,
    batch: &mut Batch,
    jobs: &[Job<'_>],
    group: Group<'_>,
    answers: &mut [Answer],
) -> Result<(), Error> {
    let mut order: Vec<&Job<'_>> = jobs.iter().collect();
    // Stable: batches are the same whatever the machine.
    order.sort_by_key(|job| (job.wanted() == Wanted::Last, std::cmp::Reverse(job.events.len())));
    let mut rest = &order[..];
    while let Some(job) = rest.first() {
        let wanted = job.wanted();
        let mut positions = 0;
        let fits = |other: &&&Job<'_>| {
            positions += other.events.len();
            other.wanted() == wanted && (positions <= BATCH || positions == other.events.len())
        };
        let size = rest.iter().take_while(fits).count();
        let (now, later) = rest.split_at(size);
        answer_batch(device, scorer, batch, now, group, answers)?;
        rest = later;
    }
    Ok(())
}

fn answer_batch<D: Device>(
    device: &D,
    scorer: &mut Scorer<'_, D>,
    batch: &mut Batch,
    jobs: &[&Job<'_>],
    group: Group<'_>,
    answers: &mut [Answer],
) -> Result<(), Error> {
    let prefixes: Vec<Sequence<'_>> = jobs.iter().map(|job| job.events).collect();
    batch.fill_prefixes(&prefixes, jobs[0].wanted());
    let batch = &*batch;
    let finite = AtomicBool::new(true);
    scorer.score(batch, |first, scores: &Scores| {
        let find = || -> Vec<(u32, Answer)> {
            (0..scores.rows())
                .into_par_iter()
                .flat_map_iter(|row| {
                    if !are_finite(scores.row(row)) {
                        finite.store(false, Ordering::Relaxed);
                    }
                    let (job, step) = batch.origins()[first + row];
                    let asked = &jobs[job as usize].asked;
                    let from = asked.partition_point(|&(position, _)| position < step);
                    let here =
                        asked[from..].iter().take_while(move |&&(position, _)| position == step);
                    here.map(move |&(_, case)| {
                        let target = group.cases[case as usize].target;
                        let row = scores.row(row);
                        let rank = (target != NONE).then(|| rank(row, target));
                        (case, Answer { rank, top: best(row, group.top) })
                    })
                })
                .collect()
        };
        for (case, answer) in device.run(find) {
            answers[case as usize] = answer;
        }
    })?;
    if finite.into_inner() { Ok(()) } else { Err(Error::ScoresNotFinite) }
}

/// Whether all scores are numbers.
fn are_finite(scores: &[f32]) -> bool {
    // Without a way out, so that it is a walk of whole registers.
    scores.iter().fold(true, |finite, score| finite & score.is_finite())
}

/// Prefixes of which nothing is known get the items by popularity, which is their numbering.
fn answer_by_popularity(items: usize, group: Group<'_>, answers: &mut [Answer]) {
    for (case, answer) in group.cases.iter().zip(answers).filter(|(case, _)| case.length == 0) {
        answer.rank = (case.target != NONE).then(|| case.target as usize + 1);
        answer.top = (0..group.top.min(items) as u32).collect();
    }
}

/// The `k` items with the highest scores, best first; of two equal ones the more popular first,
/// and what is not a number last.
pub fn best(scores: &[f32], k: usize) -> Vec<u32> {
    let k = k.min(scores.len());
    // Figures alone need no items, and a walk over all scores is not free.
    if k == 0 {
        return Vec::new();
    }
    let key = |item: u32| match scores[item as usize] {
        score if score.is_nan() => f32::NEG_INFINITY,
        score => score,
    };
    let mut found: Vec<u32> = Vec::with_capacity(k + 1);
    for item in 0..scores.len() as u32 {
        let score = key(item);
        if found.len() == k && score <= key(found[k - 1]) {
            continue;
        }
        let place = found.partition_point(|&other| key(other) >= score);
        found.insert(place, item);
        found.truncate(k);
    }
    found
}

fn count(ranks: &mut Ranks, rank: Option<usize>) {
    match rank {
        Some(rank) => ranks.add(rank),
        None => ranks.add_unknown(),
    }
}

/// The figures of the three baselines.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Baselines {
    /// The most frequent items, whatever the session.
    pub popularity: Metrics,
    /// The most frequent items of the session so far, then the others by popularity.
    pub session_popularity: Metrics,
    /// The most frequent successors of the last item, then the others by popularity.
    pub markov: Metrics,
}

impl Baselines {
    /// Names and figures, best known first: Markov, session popularity, popularity.
    pub fn by_name(&self) -> [(&'static str, &Metrics); 3] {
        [
            ("Markov", &self.markov),
            ("session popularity", &self.session_popularity),
            ("popularity", &self.popularity),
        ]
    }
}

/// Scores the baselines on the cases that a model is scored on.
pub fn score_baselines(counts: &events::Baselines, cases: &Cases) -> Baselines {
    let score = |baseline| {
        let ranks = cases.as_slice().par_chunks(4096).map(|chunk| {
            let mut ranks = Ranks::default();
            for case in chunk {
                let known = case.target != NONE;
                let rank = || counts.rank(baseline, cases.prefix(case), case.target);
                count(&mut ranks, known.then(rank));
            }
            ranks
        });
        let merge = |mut a: Ranks, b: Ranks| {
            a.merge(&b);
            a
        };
        ranks.reduce(Ranks::default, merge).metrics()
    };
    Baselines {
        popularity: score(Baseline::Popularity),
        session_popularity: score(Baseline::SessionPopularity),
        markov: score(Baseline::Markov),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_items_come_first_and_ties_go_to_the_more_popular() {
        let scores = [1.0, f32::NAN, 3.0, 1.0, 2.0, f32::NEG_INFINITY];
        assert_eq!(best(&scores, 4), [2, 4, 0, 3]);
        assert!(best(&scores, 0).is_empty());
        assert_eq!(best(&scores, 9), [2, 4, 0, 3, 1, 5]);
    }

    #[test]
    fn one_score_that_is_no_number_is_enough() {
        assert!(are_finite(&[1.0; 40]) && are_finite(&[f32::MAX, f32::MIN]));
        for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for place in [0, 17, 39] {
                let mut scores = [1.0; 40];
                scores[place] = wrong;
                assert!(!are_finite(&scores), "{wrong} at {place}");
            }
        }
    }

    #[test]
    fn a_long_prefix_is_cut_by_its_own_length_and_keeps_half_a_window() {
        for window in [2, 7, WINDOW] {
            assert_eq!(begin(1, window), 0);
            assert_eq!(begin(window, window), 0);
            for length in window + 1..4 * window {
                let seen = length - begin(length, window);
                assert!((window / 2 + 1..=window).contains(&seen), "{length} {seen}");
            }
        }
    }
}
