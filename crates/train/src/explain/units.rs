//! What units do over many users: how long they remember, and what they follow.
//!
//! ```text
//!     f̄_u         the mean of a unit's forget gate over all events
//!     half-life   ln ½ / ln f̄_u: after so many events half of what it held is left, if nothing enters
//!
//!     r           correlation of a unit's state after an event with what the event is: of this category or
//!                 kind (0 or 1), its price, the hour of its time (with both cos and sin, R)
//! ```
//!
//! Among hundreds of units some follow anything by chance. So they are found on every other row and the
//! correlation on the remaining rows stands beside it: what is there by chance is not there again.
//!
//! K. V. Mardia, "Linear-circular correlation coefficients and rhythmometry", Biometrika 63, 1976, on R.

use std::f64::consts::TAU;

use events::NONE;
use model::{Batch, Device, Sequence, Wanted};
use serde::Serialize;

use super::Explainer;
use super::gates::memory;
use super::seen::Seen;
use crate::Error;

/// Events that are looked at, about.
const POSITIONS: usize = 1 << 16;
/// Categories and kinds that are looked for: the most frequent.
const WORDS: usize = 24;
/// Units that are named, and of these how many for the same thing.
const NAMED: usize = 12;
const ALIKE: usize = 2;
const HOUR: i64 = 60 * 60 * 1000;

/// What units do over the users of a log.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Units {
    /// Rows that were looked at.
    pub rows: usize,
    /// Events in them.
    pub events: usize,
    /// How long units remember, by layer; none where a cell has no gate for it.
    pub memory: Vec<LayerMemory>,
    /// The units that follow something most closely.
    pub followed: Vec<Followed>,
}

/// How long the units of a layer remember.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerMemory {
    /// The layer, counted from 0.
    pub layer: usize,
    /// Mean forget gate of each unit (of a GRU the z, which keeps).
    pub forget: Vec<f64>,
    /// Half-life of each unit in events.
    pub half_life: Vec<f64>,
    /// Shortest, first quartile, median, third quartile, longest.
    pub quantiles: [f64; 5],
}

/// A unit that follows something.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Followed {
    /// The layer, counted from 0.
    pub layer: usize,
    /// The unit, counted from 0.
    pub unit: usize,
    /// The column: `category`, `kind`, `price` or `hour`.
    pub of: &'static str,
    /// The word of the column; none of numbers.
    pub word: Option<String>,
    /// The correlation where the unit was found.
    pub correlation: f64,
    /// The same on the other rows; none where it is not defined there.
    pub again: Option<f64>,
    /// Of an hour: when the state is highest, in hours UTC.
    pub peak: Option<f64>,
}

/// What may be followed: a column of the log.
struct Column {
    of: &'static str,
    words: Vec<(u32, String)>,
    /// Sums of what is followed and, unit by unit, of states, for either half of the rows.
    halves: [Sums; 2],
}

/// Sums over the events at which a column says something; V things are followed, U units follow.
#[derive(Clone, Default)]
struct Sums {
    n: f64,
    /// `[V]` and `[V, V]`: the hour has two that hang together.
    v: Vec<f64>,
    vv: Vec<f64>,
    /// `[U]`
    s: Vec<f64>,
    ss: Vec<f64>,
    /// `[V, U]`
    vs: Vec<f64>,
}

impl Sums {
    fn new(things: usize, units: usize) -> Self {
        let zeros = |n: usize| vec![0.0; n];
        Self {
            n: 0.0,
            v: zeros(things),
            vv: zeros(things * things),
            s: zeros(units),
            ss: zeros(units),
            vs: zeros(things * units),
        }
    }

    /// Takes in one event: the things that are not 0 there, and the state of every unit.
    fn add(&mut self, things: &[(usize, f64)], states: &[f32]) {
        self.n += 1.0;
        let (count, units) = (self.v.len(), self.s.len());
        for &(a, x) in things {
            self.v[a] += x;
            for &(b, y) in things {
                self.vv[a * count + b] += x * y;
            }
            let sums = self.vs[a * units..][..units].iter_mut();
            sums.zip(states).for_each(|(sum, &state)| *sum += x * f64::from(state));
        }
        for ((s, ss), &state) in self.s.iter_mut().zip(&mut self.ss).zip(states) {
            *s += f64::from(state);
            *ss += f64::from(state) * f64::from(state);
        }
    }

    /// Correlation of a thing and a unit; none where one of them never moves.
    fn correlation(&self, thing: usize, unit: usize) -> Option<f64> {
        let both = self.vs[thing * self.s.len() + unit] - self.v[thing] * self.s[unit] / self.n;
        divide(both, self.moves(thing, thing), self.moves_of_unit(unit))
    }

    /// Σ (v_a − v̄_a)(v_b − v̄_b).
    fn moves(&self, a: usize, b: usize) -> f64 {
        moved(self.vv[a * self.v.len() + b], self.v[a], self.v[b], self.n)
    }

    fn moves_of_unit(&self, unit: usize) -> f64 {
        moved(self.ss[unit], self.s[unit], self.s[unit], self.n)
    }

    /// Of things 0 and 1, the cosine and the sine of an angle: R, and the angle at which the state is
    /// highest.
    ///
    /// ```text
    ///     R² = (r_c² + r_s² − 2 r_c r_s r_cs)/(1 − r_cs²)
    /// ```
    fn circular(&self, unit: usize) -> Option<(f64, f64)> {
        let (c, s) = (self.correlation(0, unit)?, self.correlation(1, unit)?);
        let cs = divide(self.moves(0, 1), self.moves(0, 0), self.moves(1, 1))?;
        let left = 1.0 - cs * cs;
        if left < 1e-9 {
            return None;
        }
        let squared = (c * c + s * s - 2.0 * c * s * cs) / left;
        // Slopes of the state over cosine and sine, up to a common factor.
        let (a, b) =
            ((c - s * cs) / self.moves(0, 0).sqrt(), (s - c * cs) / self.moves(1, 1).sqrt());
        Some((squared.clamp(0.0, 1.0).sqrt(), b.atan2(a).rem_euclid(TAU)))
    }
}

fn divide(both: f64, one: f64, other: f64) -> Option<f64> {
    (one > 0.0 && other > 0.0).then(|| (both / (one * other).sqrt()).clamp(-1.0, 1.0))
}

/// Σ (x − x̄)(y − ȳ) of Σ xy, Σ x and Σ y; nothing where rounding has left it of what never moves.
fn moved(xy: f64, x: f64, y: f64, n: f64) -> f64 {
    let moved = xy - x * y / n;
    if moved.abs() > 1e-10 * xy.abs() { moved } else { 0.0 }
}

impl<D: Device> Explainer<'_, D> {
    /// How long units remember and what they follow, over rows from all over the log.
    ///
    /// # Errors
    ///
    /// Where the rows hold what the model does not know.
    pub fn units(&mut self) -> Result<Units, Error> {
        let layers = self.model.config().layers;
        let mut forget: Vec<Vec<f64>> = vec![Vec::new(); layers];
        let mut columns: Vec<Vec<Column>> = (0..layers).map(|_| Vec::new()).collect();
        let (mut rows, mut events) = (0, 0);
        for group in self.sample(POSITIONS) {
            let seen: Vec<(usize, Seen)> =
                group.iter().filter_map(|&row| Some((row, self.read_whole(row)?))).collect();
            if seen.is_empty() {
                continue;
            }
            let sequences: Vec<Sequence<'_>> =
                seen.iter().map(|(_, seen)| seen.sequence()).collect();
            let mut batch = Batch::with_features(self.model.config(), self.model.features());
            batch.fill_prefixes(&sequences, Wanted::Every);
            let traces = self.model.trace(&batch, &mut self.probe)?;
            for (l, trace) in traces.iter().enumerate() {
                let Some(kept) = trace.keeping() else { continue };
                forget[l].resize(trace.units, 0.0);
                for row in kept.chunks_exact(trace.units) {
                    forget[l].iter_mut().zip(row).for_each(|(sum, &f)| *sum += f64::from(f));
                }
                let (states, width) = memory(trace);
                if columns[l].is_empty() {
                    columns[l] = self.columns(width);
                }
                for (&(session, event), states) in
                    batch.origins().iter().zip(states.chunks_exact(width))
                {
                    let (row, seen) = &seen[session as usize];
                    let log_event = self.log_events(*row)[seen.places[event as usize]];
                    let half = (rows + session as usize) % 2;
                    columns[l].iter_mut().for_each(|column| {
                        if let Some(things) = self.things(column, log_event) {
                            column.halves[half].add(&things, states);
                        }
                    });
                }
            }
            rows += seen.len();
            events += batch.ids().len();
        }
        let memory = forget.into_iter().enumerate().filter(|(_, sums)| !sums.is_empty());
        let memory = memory.map(|(l, sums)| remembered(l, &sums, events)).collect();
        Ok(Units { rows, events, memory, followed: strongest(&columns) })
    }

    /// The columns that the log has, for so many units.
    fn columns(&self, units: usize) -> Vec<Column> {
        let events = &self.log.events;
        let words = |values: &[u32], names: &events::Names| {
            let mut counts = vec![0u64; names.len()];
            let known = values.iter().filter(|&&value| value != NONE);
            known.for_each(|&value| counts[value as usize] += 1);
            let mut order: Vec<u32> = (0..names.len() as u32).collect();
            order.sort_by_key(|&name| std::cmp::Reverse(counts[name as usize]));
            order.truncate(WORDS);
            order.retain(|&name| counts[name as usize] > 0);
            order.into_iter().map(|name| (name, names.get(name).to_owned())).collect::<Vec<_>>()
        };
        let column = |of, words: Vec<(u32, String)>, things: usize| Column {
            of,
            words,
            halves: [Sums::new(things, units), Sums::new(things, units)],
        };
        let of_words = |of, words: Vec<(u32, String)>| {
            let things = words.len();
            column(of, words, things)
        };
        let mut columns = Vec::new();
        if !events.category.is_empty() {
            columns.push(of_words("category", words(&events.category, &self.log.categories)));
        }
        if !events.kind.is_empty() {
            columns.push(of_words("kind", words(&events.kind, &self.log.kinds)));
        }
        if events.price.iter().any(|price| price.is_finite()) {
            columns.push(column("price", Vec::new(), 1));
        }
        if !events.time.is_empty() {
            columns.push(column("hour", Vec::new(), 2));
        }
        columns
    }

    /// What a column says of an event: the things that are not 0; none where it says nothing.
    fn things(&self, column: &Column, event: u32) -> Option<Vec<(usize, f64)>> {
        let (events, at) = (&self.log.events, event as usize);
        let word = |values: &[u32]| {
            let value = *values.get(at).filter(|&&value| value != NONE)?;
            let place = column.words.iter().position(|(word, _)| *word == value);
            Some(place.map_or(Vec::new(), |place| vec![(place, 1.0)]))
        };
        match column.of {
            "category" => word(&events.category),
            "kind" => word(&events.kind),
            "price" => {
                let price = events.price.get(at).filter(|price| price.is_finite())?;
                Some(vec![(0, f64::from(*price))])
            }
            _ => {
                let time = events.time.get(at)?;
                let angle = TAU * time.rem_euclid(24 * HOUR) as f64 / (24 * HOUR) as f64;
                Some(vec![(0, angle.cos()), (1, angle.sin())])
            }
        }
    }
}

fn remembered(layer: usize, sums: &[f64], events: usize) -> LayerMemory {
    let forget: Vec<f64> = sums.iter().map(|sum| sum / events.max(1) as f64).collect();
    let half_life: Vec<f64> = forget.iter().map(|&f| half_life(f)).collect();
    let mut order = half_life.clone();
    order.sort_by(f64::total_cmp);
    let quantile = |share: f64| order[(share * (order.len() - 1) as f64).round() as usize];
    let quantiles = [0.0, 0.25, 0.5, 0.75, 1.0].map(quantile);
    LayerMemory { layer, forget, half_life, quantiles }
}

/// Events after which a half is left of what a gate keeps so much of each time.
fn half_life(f: f64) -> f64 {
    // A gate that is open to the last bit would keep for ever.
    0.5f64.ln() / f.clamp(1e-9, 1.0 - 1e-9).ln()
}

/// The units that follow something most closely in the first half.
fn strongest(columns: &[Vec<Column>]) -> Vec<Followed> {
    let mut found = Vec::new();
    for (layer, columns) in columns.iter().enumerate() {
        for column in columns {
            let [first, other] = &column.halves;
            let units = first.s.len();
            if first.n < 3.0 || other.n < 3.0 {
                continue;
            }
            for unit in 0..units {
                if column.of == "hour" {
                    let Some((correlation, angle)) = first.circular(unit) else { continue };
                    let again = other.circular(unit).map(|found| found.0);
                    let peak = Some(24.0 * angle / TAU);
                    let (of, word) = (column.of, None);
                    found.push(Followed { layer, unit, of, word, correlation, again, peak });
                    continue;
                }
                for thing in 0..first.v.len() {
                    let Some(correlation) = first.correlation(thing, unit) else { continue };
                    let again = other.correlation(thing, unit);
                    let word = column.words.get(thing).map(|word| word.1.clone());
                    let of = column.of;
                    found.push(Followed { layer, unit, of, word, correlation, again, peak: None });
                }
            }
        }
    }
    found.sort_by(|a, b| b.correlation.abs().total_cmp(&a.correlation.abs()));
    // Of each thing the first few, so that one that all follow does not fill the list.
    let mut named: Vec<Followed> = Vec::new();
    for unit in found {
        let alike = named.iter().filter(|n| n.of == unit.of && n.word == unit.word).count();
        if alike < ALIKE && named.len() < NAMED {
            named.push(unit);
        }
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_lives_are_in_events() {
        assert!((half_life(0.5) - 1.0).abs() < 1e-12);
        assert!((half_life(0.5f64.powf(0.25)) - 4.0).abs() < 1e-9);
        assert!(half_life(0.0) > 0.0 && half_life(1.0).is_finite());
        let memory = remembered(2, &[5.0, 9.0, 2.5], 10);
        assert_eq!((memory.layer, memory.forget), (2, vec![0.5, 0.9, 0.25]));
        assert_eq!(memory.quantiles[2], 1.0);
        assert_eq!(memory.quantiles[0], 0.5);
    }

    /// A unit that is what it follows, one that is its opposite, and one that never moves.
    #[test]
    fn correlations_are_those_of_the_definition() {
        let mut sums = Sums::new(1, 3);
        for (x, noise) in [(1.0, 0.5), (0.0, -0.5), (1.0, -0.5), (0.0, 0.5)] {
            let states = [x as f32 + noise as f32, -(x as f32), 2.0];
            let things = if x > 0.0 { vec![(0, x)] } else { vec![] };
            sums.add(&things, &states);
        }
        assert_eq!(sums.correlation(0, 1), Some(-1.0));
        assert_eq!(sums.correlation(0, 2), None);
        // Half of its variance is the thing's.
        assert!((sums.correlation(0, 0).unwrap() - 0.5f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn an_hour_is_followed_round_the_clock() {
        let mut sums = Sums::new(2, 2);
        for hour in 0..24 {
            let angle = TAU * f64::from(hour) / 24.0;
            let state = (angle - TAU * 21.0 / 24.0).cos();
            sums.add(&[(0, angle.cos()), (1, angle.sin())], &[state as f32, 1.0]);
        }
        let (r, angle) = sums.circular(0).unwrap();
        assert!((r - 1.0).abs() < 1e-6 && (24.0 * angle / TAU - 21.0).abs() < 1e-4, "{r} {angle}");
        assert_eq!(sums.circular(1), None);
    }

    #[test]
    fn what_all_units_follow_does_not_fill_the_list() {
        let mut halves = [Sums::new(2, 4), Sums::new(2, 4)];
        for (k, half) in halves.iter_mut().enumerate() {
            for event in 0..8u32 {
                let (a, b) = (f64::from(event % 2), f64::from(event / 4));
                let things = [(0, a), (1, b)];
                let state = [a, a, a, if k == 0 { b } else { a }].map(|x| x as f32);
                half.add(&things, &state);
            }
        }
        let words = vec![(0, "rug".to_owned()), (1, "lamp".to_owned())];
        let named = strongest(&[vec![Column { of: "category", words, halves }]]);
        let rugs = named.iter().filter(|unit| unit.word.as_deref() == Some("rug")).count();
        assert_eq!(rugs, ALIKE);
        // The fourth unit follows lamps in one half alone.
        let lamp = named.iter().find(|unit| unit.word.as_deref() == Some("lamp")).unwrap();
        assert_eq!((lamp.unit, lamp.correlation, lamp.again), (3, 1.0, Some(0.0)));
    }
}
