//! The picture of every user: what a model has made of all that somebody did, as a row of numbers.
//!
//! A model reads a session and ends in a state. [`Rows`] says whose sessions make a row, [`Histories`] writes
//! them in the model's numbers, and [`represent`] makes one row after the other. Users are taken in groups of some
//! 65,000 positions, so memory is bounded however many there are; no row depends on what else is asked.

use events::{Log, NONE, Sequences, Sessions};
use model::{Batch, Device, Model, Scorer, Sequence, Wanted};

use crate::Error;
use crate::evaluate::begin;
use crate::trained::Knowledge;
use crate::treatment::sequence;

/// Positions in a group of rows.
const GROUP: usize = 1 << 16;
/// Positions in a batch.
const BATCH: usize = 2048;

/// What of the model a row is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Of {
    /// The hidden state of the highest layer.
    #[default]
    State,
    /// What the scores are made from: behind readout and head, normalised and scaled where the model does so.
    Picture,
}

/// What becomes of several sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pool {
    /// The mean over the sessions of what each has ended in.
    #[default]
    Mean,
    /// What the last one has ended in.
    Last,
}

/// How a row is made.
///
/// ```text
///     v(s)   = state, or picture, after the last event of session s
///     mean     r = 1/n · Σ_s v(s)        over the user's n sessions
///     last     r = v(last session)
/// ```
///
/// A model that has learned from whole users has one session each, and both are the same. Of a session of more
/// than a thousand events the model sees the end, as in an evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct How {
    /// What of the model.
    pub of: Of,
    /// What of the sessions.
    pub pool: Pool,
}

/// Whose sessions make a row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    /// Whether a row is a user, and not a session.
    pub of_users: bool,
    /// Users as the log numbers them, or the numbers of sessions.
    owners: Vec<u32>,
    sessions: Vec<usize>,
    offsets: Vec<usize>,
    /// Sessions of nobody, where rows are users.
    nobody: usize,
}

impl Rows {
    /// A row for each user who has a session, as the log numbers users; where it names none, a row for each
    /// session.
    pub fn of(sessions: &Sessions) -> Self {
        let users: Vec<Option<u32>> = (0..sessions.len()).map(|s| sessions.user(s)).collect();
        let of_users = users.iter().any(Option::is_some);
        let mut order: Vec<(u32, usize)> = match of_users {
            true => users.iter().enumerate().filter_map(|(s, &user)| Some((user?, s))).collect(),
            false => (0..sessions.len()).map(|s| (s as u32, s)).collect(),
        };
        // Stable: a user's sessions stay in the order of time.
        order.sort_by_key(|&(owner, _)| owner);
        let mut rows = Self { of_users, nobody: sessions.len() - order.len(), ..Self::default() };
        rows.offsets.push(0);
        for same in order.chunk_by(|a, b| a.0 == b.0) {
            rows.owners.push(same[0].0);
            rows.sessions.extend(same.iter().map(|&(_, session)| session));
            rows.offsets.push(rows.sessions.len());
        }
        rows
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.owners.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.owners.is_empty()
    }

    /// The user of a row in [`Log::users`], or its session.
    pub fn owner(&self, row: usize) -> u32 {
        self.owners[row]
    }

    /// The sessions of a row, in the order of time.
    pub fn sessions(&self, row: usize) -> &[usize] {
        &self.sessions[self.offsets[row]..self.offsets[row + 1]]
    }
}

/// Everybody's sessions in the numbers of a model, without the items that it does not know.
#[derive(Debug, Clone)]
pub struct Histories {
    /// Whose sessions make a row.
    pub rows: Rows,
    /// The sessions themselves.
    pub sessions: Sessions,
    /// Events of items that the model does not know.
    pub unknown_events: usize,
    /// Users, or sessions, without a known item.
    pub unknown: usize,
    /// Sessions of nobody, in a log that names users.
    pub nobody: usize,
    /// The row of each session that the histories were made of, [`NONE`] where it has none.
    pub owners: Vec<u32>,
    sequences: Sequences,
    /// Events of a session that are read at most.
    window: usize,
}

impl Histories {
    /// Those of a log whose sessions are made, and its holes filled, as the model's training had it.
    pub fn of(knowledge: &Knowledge, log: &Log, sessions: &Sessions) -> Self {
        let vocabulary = &knowledge.vocabulary;
        let known: Vec<bool> = log.items.iter().map(|id| vocabulary.number(id).is_some()).collect();
        let events = sessions.log_events().iter().zip(sessions.items());
        let mut unknown: Vec<u32> =
            events.filter(|(_, item)| !known[**item as usize]).map(|(&event, _)| event).collect();
        unknown.sort_unstable();
        let all = Rows::of(sessions);
        let known = sessions.without(&unknown);
        let rows = Rows::of(&known);
        let owners = owners(sessions, &rows, &unknown);
        let mut sequences = vocabulary.encode(&known, &log.items);
        sequences.features = knowledge.treatment.encode_part(log, sessions, &known);
        Self {
            unknown_events: unknown.len(),
            unknown: all.len() - rows.len(),
            nobody: all.nobody,
            rows,
            owners,
            sessions: known,
            sequences,
            window: knowledge.window(),
        }
    }

    /// What a row is called: the user's id; the key of the session where it has one, and else its number,
    /// counted from 1.
    pub fn name<'a>(&self, row: usize, log: &'a Log) -> std::borrow::Cow<'a, str> {
        let owner = self.rows.owner(row);
        if self.rows.of_users {
            return log.users.get(owner).into();
        }
        match self.sessions.key(owner as usize) {
            Some(key) if (key as usize) < log.sessions.len() => log.sessions.get(key).into(),
            _ => {
                // Of all sessions, also those that hold nothing known.
                let number = self.owners.iter().position(|&own| own == row as u32);
                (number.unwrap_or(row) + 1).to_string().into()
            }
        }
    }
}

/// The part of a session that a model sees which reads the last of so many events.
fn seen(sequences: &Sequences, session: usize, window: usize) -> Sequence<'_> {
    let length = sequences.range(session).len();
    sequence(sequences, session, begin(length, window)..length)
}

/// The row of each session: that of its user, or its own where it holds anything known.
fn owners(sessions: &Sessions, rows: &Rows, unknown: &[u32]) -> Vec<u32> {
    if !rows.of_users {
        let known = |session: usize| {
            let mut events = sessions.log_events()[sessions.range(session)].iter();
            events.any(|event| unknown.binary_search(event).is_err())
        };
        let mut next = 0;
        let row = |session| match known(session) {
            true => {
                next += 1;
                next - 1
            }
            false => NONE,
        };
        return (0..sessions.len()).map(row).collect();
    }
    let row = |session| {
        let user = sessions.user(session)?;
        rows.owners.binary_search(&user).ok().map(|row| row as u32)
    };
    (0..sessions.len()).map(|session| row(session).unwrap_or(NONE)).collect()
}

/// How many numbers a row has.
pub fn width<D: Device>(model: &Model<D>, of: Of) -> usize {
    let config = model.config();
    match of {
        Of::State => config.dims(config.layers - 1).width(),
        Of::Picture => config.output_width(),
    }
}

/// A row and what it was made of.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// Which row.
    pub row: usize,
    /// Its numbers.
    pub numbers: &'a [f32],
    /// What each of its sessions has ended in, one after the other; of the last one alone where that is the row.
    pub ends: &'a [f32],
}

/// Makes the row of everybody and shows them to `visit` one after the other.
///
/// # Errors
///
/// Those of `visit`, and where a row is not finite.
pub fn represent<D: Device>(
    model: &Model<D>,
    histories: &Histories,
    how: How,
    mut visit: impl FnMut(Shown<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut asker = Asker::new(model, how.of, histories.window);
    let wanted = |row: usize| match how.pool {
        Pool::Mean => histories.rows.sessions(row),
        Pool::Last => histories
            .rows
            .sessions(row)
            .split_last()
            .map_or(&[][..], |(last, _)| std::slice::from_ref(last)),
    };
    let mut found = Vec::new();
    let mut mean = vec![0.0f64; asker.width];
    let mut row = 0;
    while row < histories.rows.len() {
        let first = row;
        let (mut sessions, mut positions) = (Vec::new(), 0);
        while row < histories.rows.len() && positions < GROUP {
            sessions.extend(wanted(row));
            positions += wanted(row)
                .iter()
                .map(|&s| seen(&histories.sequences, s, histories.window).len())
                .sum::<usize>();
            row += 1;
        }
        asker.ask(&histories.sequences, &sessions, &mut found)?;
        let mut rest = &found[..];
        for row in first..row {
            mean.fill(0.0);
            let count = wanted(row).len();
            let (ends, later) = rest.split_at(count * asker.width);
            rest = later;
            for end in ends.chunks_exact(asker.width) {
                mean.iter_mut().zip(end).for_each(|(sum, &x)| *sum += f64::from(x));
            }
            let numbers: Vec<f32> = mean.iter().map(|sum| (sum / count as f64) as f32).collect();
            if !numbers.iter().all(|x| x.is_finite()) {
                return Err(Error::ScoresNotFinite);
            }
            visit(Shown { row, numbers: &numbers, ends })?;
        }
    }
    Ok(())
}

/// What each of some rows has ended in, one after the other, `[S, D]`: of a row of more than `window` events
/// the model sees the end. [`answer_tasks`](crate::tasks::answer_tasks) sees the same of users who are asked
/// about after their last event.
///
/// # Errors
///
/// Where rows hold what the model does not know, and where one is not finite.
pub fn ends<D: Device>(
    model: &Model<D>,
    sequences: &Sequences,
    of: Of,
    window: usize,
) -> Result<Vec<f32>, Error> {
    let rows: Vec<usize> = (0..sequences.len()).collect();
    let mut found = Vec::new();
    Asker::new(model, of, window).ask(sequences, &rows, &mut found)?;
    match found.iter().all(|x| x.is_finite()) {
        true => Ok(found),
        false => Err(Error::ScoresNotFinite),
    }
}

/// What it takes to ask a model.
struct Asker<'m, D: Device> {
    scorer: Scorer<'m, D>,
    batch: Batch,
    device: &'m D,
    of: Of,
    width: usize,
    window: usize,
}

impl<'m, D: Device> Asker<'m, D> {
    fn new(model: &'m Model<D>, of: Of, window: usize) -> Self {
        Self {
            scorer: Scorer::new(model),
            batch: Batch::with_features(model.config(), model.features()),
            device: model.device(),
            of,
            width: width(model, of),
            window,
        }
    }

    /// What each of some sessions ends in, one after the other, `[S, D]`.
    fn ask(
        &mut self,
        sequences: &Sequences,
        sessions: &[usize],
        found: &mut Vec<f32>,
    ) -> Result<(), Error> {
        let window = self.window;
        let seen = |session: usize| seen(sequences, session, window);
        found.clear();
        found.resize(sessions.len() * self.width, 0.0);
        // Like lengths together, so that a batch is dense. Stable: batches are the same on any machine.
        let mut order: Vec<usize> = (0..sessions.len()).collect();
        order.sort_by_key(|&k| std::cmp::Reverse(seen(sessions[k]).len()));
        let mut rest = &order[..];
        while !rest.is_empty() {
            let mut positions = 0;
            let fits = |k: &&usize| {
                let length = seen(sessions[**k]).len();
                positions += length;
                positions <= BATCH || positions == length
            };
            let (now, later) = rest.split_at(rest.iter().take_while(fits).count());
            rest = later;
            let these: Vec<_> = now.iter().map(|&k| seen(sessions[k])).collect();
            self.batch.fill_prefixes(&these, Wanted::Last);
            if self.of == Of::State {
                self.batch.keep_states();
            }
            let pictures = self.scorer.represent(&self.batch)?;
            let states = match self.of {
                Of::Picture => pictures,
                Of::State => {
                    self.scorer.states().h.last().map_or(Vec::new(), |h| self.device.download(h))
                }
            };
            // Both have a row for each session of the batch, in its order.
            for (&session, values) in
                self.batch.sessions().iter().zip(states.chunks_exact(self.width))
            {
                found[now[session as usize] * self.width..][..self.width].copy_from_slice(values);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trained::SessionRules;
    use crate::treatment::Treatment;
    use events::{ReadOptions, SessionOptions};
    use model::ModelConfig;

    const LOG: &str =
        "user,session,item\nb,1,x\na,2,y\nb,1,y\na,3,x\nb,4,new\na,3,y\nc,5,new\na,3,x\n,6,x\n";

    fn knowledge(log: &Log, sessions: &Sessions) -> Knowledge {
        let known = log.items.find("new").map_or(vec![], |new| {
            let all = sessions.log_events().iter().zip(sessions.items());
            let mut events: Vec<u32> =
                all.filter(|(_, item)| **item == new).map(|(&e, _)| e).collect();
            events.sort_unstable();
            events
        });
        let rules = SessionRules { rule: "auto".to_owned(), gap: 1 };
        Knowledge::of(&sessions.without(&known), &log.items, rules, Treatment::default())
    }

    fn read(text: &str) -> (Log, Sessions) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.csv");
        std::fs::write(&path, text).unwrap();
        let log =
            events::read(&[path], &ReadOptions { max_bad: 1.0, ..ReadOptions::default() }).unwrap();
        let sessions = Sessions::from_log(&log, &SessionOptions::default()).unwrap();
        (log, sessions)
    }

    fn model(items: usize) -> Model<model::Cpu> {
        let config = ModelConfig { hidden: 5, embedding: 4, ..ModelConfig::default() };
        Model::new(model::Cpu::new(1).unwrap(), &config, items, 1).unwrap()
    }

    fn rows(model: &Model<model::Cpu>, histories: &Histories, how: How) -> Vec<Vec<f32>> {
        let mut rows = Vec::new();
        represent(model, histories, how, |shown| {
            assert_eq!(shown.row, rows.len());
            rows.push(shown.numbers.to_vec());
            Ok(())
        })
        .unwrap();
        rows
    }

    #[test]
    fn a_row_is_the_mean_of_its_sessions_ends_or_the_last_of_them() {
        let (log, sessions) = read(LOG);
        let knowledge = knowledge(&log, &sessions);
        let histories = Histories::of(&knowledge, &log, &sessions);
        let names: Vec<_> =
            (0..histories.rows.len()).map(|row| histories.name(row, &log)).collect();
        assert_eq!(names, ["b", "a"]);
        // b's second session and all of c's are of an item that nobody knows.
        assert_eq!((histories.unknown_events, histories.unknown), (2, 1));
        let owners: Vec<_> =
            (0..sessions.len()).map(|s| (sessions.user(s), histories.owners[s])).collect();
        for (user, row) in owners {
            let name = user.map(|user| log.users.get(user));
            let expected = names.iter().position(|row| name == Some(row.as_ref()));
            assert_eq!(row, expected.map_or(NONE, |row| row as u32), "{name:?}");
        }
        let model = model(knowledge.vocabulary.len());
        for of in [Of::State, Of::Picture] {
            let mean = rows(&model, &histories, How { of, pool: Pool::Mean });
            let last = rows(&model, &histories, How { of, pool: Pool::Last });
            assert_eq!(mean[0].len(), width(&model, of));
            assert_eq!(mean[0], last[0]);
            // a's two sessions alone, by another way.
            let [first, second] = ["2", "3"].map(|key| {
                let key = log.sessions.find(key);
                let only = (0..sessions.len()).find(|&s| sessions.key(s) == key).unwrap();
                let alone = Histories::of(&knowledge, &log, &sessions.select(&[only]));
                rows(&model, &alone, How { of, pool: Pool::Last }).remove(0)
            });
            assert_eq!(last[1], second);
            for ((mean, last), first) in mean[1].iter().zip(&last[1]).zip(&first) {
                assert!((mean - (last + first) / 2.0).abs() < 1e-6);
            }
            assert_ne!(mean[1], last[1]);
        }
    }

    #[test]
    fn without_users_a_row_is_a_session() {
        let (log, sessions) = read("session,item\ns2,x\ns1,y\ns2,y\n");
        let knowledge = knowledge(&log, &sessions);
        let histories = Histories::of(&knowledge, &log, &sessions);
        assert!(!histories.rows.of_users && histories.nobody == 0);
        let names: Vec<_> = (0..2).map(|row| histories.name(row, &log)).collect();
        assert_eq!(names, ["s2", "s1"]);
        assert!(Rows::of(&sessions.select(&[])).is_empty());
    }
}
