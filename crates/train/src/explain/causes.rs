//! Which events carry an answer.
//!
//! ```text
//!     attribution   A_p of integrated gradients: z − z_baseline = Σ events + Σ numbers of the moment
//!     occlusion     z − z(without the event): as if it had not happened, features and the moment of the
//!                   question made anew
//! ```
//!
//! The two ask different things (a share of a sum; what would be otherwise), so where they agree on an
//! order, there is something to it: their rank correlation stands beside them.

use events::time::format_time;
use model::{Cuts, Device};
use serde::Serialize;
use statistics::numeric::Pairs;

use super::seen::Seen;
use super::{BaselineKind, Explainer, Put, Subject, Target};
use crate::Error;

/// Positions of the rows whose attributions are computed together. Few: the path is cut as finely as any of
/// them needs it.
const TOGETHER: usize = 256;
/// How often a part of the path may be halved.
const HALVINGS: u32 = 20;
/// How many parts there may be: where scores are so large that 32 bits of them tell little, no halving helps.
const PARTS: usize = 4096;

/// An answer, and what it is owed to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Causes {
    /// The item or kind whose probability it is; none where the task has one answer.
    pub target: Option<Target>,
    /// The answer in the unit of the task: a probability as `predict` tells it, or an expectation.
    pub answer: f64,
    /// z: the logit of the probability before it is set right, or the logarithm of the expectation.
    pub logit: f64,
    /// Where the path begins.
    pub baseline: BaselineKind,
    /// z there.
    pub baseline_logit: f64,
    /// Sum of all attributions.
    pub explained: f64,
    /// What they should add up to, `logit − baseline_logit`, less what they do.
    pub residual: f64,
    /// How much of the difference lies in jumps of the path, too steep to be followed: their shares are those
    /// of the gradients beside them.
    pub jumps: f64,
    /// Rank correlation of attribution and occlusion over the events.
    pub agreement: Option<f64>,
    /// The events that the model reads, in their order.
    pub events: Vec<EventShare>,
    /// What is known at the moment of the question.
    pub moment: Vec<MomentShare>,
}

/// An event and its share in an answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EventShare {
    /// Which event of the row, counted from 0.
    pub event: usize,
    /// When, ISO 8601; none where the log has no times.
    pub time: Option<String>,
    /// What kind of event, in the log's words.
    pub kind: Option<String>,
    /// Its item.
    pub item: String,
    /// The item's category.
    pub category: Option<String>,
    /// The price.
    pub price: Option<f32>,
    /// Integrated gradients: its share of `logit − baseline_logit`.
    pub attribution: f64,
    /// What the logit loses without it; none where nothing is left then.
    pub occlusion: Option<f64>,
}

/// A number that is known at the moment of a question, and its share in the answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MomentShare {
    /// What it is called.
    pub name: &'static str,
    /// Integrated gradients.
    pub attribution: f64,
}

impl Causes {
    /// The event that raises the answer most, by integrated gradients and by leaving out.
    pub fn tops(&self) -> [Option<usize>; 2] {
        let most = |of: &dyn Fn(&EventShare) -> Option<f64>| {
            let shares = self.events.iter().filter_map(|event| Some((event.event, of(event)?)));
            let best = shares.fold(None, |best: Option<(usize, f64)>, own| match best {
                Some(best) if best.1 >= own.1 => Some(best),
                _ => Some(own),
            });
            best.map(|best| best.0)
        };
        [most(&|event| Some(event.attribution)), most(&|event| event.occlusion)]
    }
}

impl<D: Device> Explainer<'_, D> {
    /// Explains the answers about some subjects, each on its own; none of a subject of whose events the
    /// model knows no item. Many are passed through the model together.
    ///
    /// # Errors
    ///
    /// Where rows hold what the model does not know, and where answers are not finite.
    pub fn causes(&mut self, subjects: &[Subject]) -> Result<Vec<Option<Causes>>, Error> {
        let mut all = Vec::with_capacity(subjects.len());
        let mut rest = subjects;
        while !rest.is_empty() {
            let mut positions = 0;
            let fits = |subject: &&Subject| {
                positions += subject.known;
                positions <= TOGETHER || positions == subject.known
            };
            let (now, later) = rest.split_at(rest.iter().take_while(fits).count());
            rest = later;
            all.extend(self.causes_of(now)?);
        }
        Ok(all)
    }

    fn causes_of(&mut self, subjects: &[Subject]) -> Result<Vec<Option<Causes>>, Error> {
        let seen: Vec<Option<Seen>> = subjects.iter().map(|&subject| self.read(subject)).collect();
        let mut known: Vec<(usize, &Seen, Option<Target>)> = Vec::new();
        for (k, seen) in seen.iter().enumerate() {
            if let Some(seen) = seen {
                let target = self.target(subjects[k], seen)?;
                known.push((k, seen, target));
            }
        }
        let mut found: Vec<Option<Causes>> = subjects.iter().map(|_| None).collect();
        // Classes of one answer are looked at one after the other.
        let number = |target: &Option<Target>| target.as_ref().map_or(0, |target| target.number);
        let mut classes: Vec<u32> = match self.answer {
            None => vec![0],
            Some(_) => known.iter().map(|(.., target)| number(target)).collect(),
        };
        classes.sort_unstable();
        classes.dedup();
        for class in classes {
            let these: Vec<_> = known
                .iter()
                .filter(|(.., target)| self.answer.is_none() || number(target) == class)
                .collect();
            let puts: Vec<Put<'_>> = these
                .iter()
                .map(|(_, seen, target)| Put {
                    seen,
                    event: seen.len() - 1,
                    moment: &seen.moment,
                    target: number(target),
                })
                .collect();
            for ((k, seen, target), own) in these.iter().zip(self.attribute(&puts, class)?) {
                found[*k] = Some(self.assemble(subjects[*k], seen, target.clone(), own)?);
            }
        }
        Ok(found)
    }

    /// Integrated gradients of some questions: z, z of the baseline, and shares of events and numbers.
    fn attribute(&mut self, puts: &[Put<'_>], class: u32) -> Result<Vec<Owed>, Error> {
        let (batch, items) = self.batch(&puts.iter().collect::<Vec<_>>());
        let sought = self.sought(class, &items);
        let found = self.model.integrated_gradients(
            &batch,
            &sought,
            &self.baseline,
            Cuts { steps: self.steps, halvings: HALVINGS, parts: self.steps.max(PARTS) },
            &mut self.probe,
        )?;
        let numbers = found.moment.len() / puts.len().max(1);
        let mut owed: Vec<Owed> = (0..puts.len())
            .map(|k| Owed {
                logit: found.outputs[k],
                baseline: found.baseline[k],
                jumps: found.jumps[k],
                events: vec![0.0; puts[k].seen.len()],
                moment: found.moment[k * numbers..][..numbers].to_vec(),
            })
            .collect();
        for (&(session, event), &own) in batch.origins().iter().zip(&found.positions) {
            owed[session as usize].events[event as usize] = own;
        }
        let all = owed.iter().flat_map(|owed| [owed.logit, owed.baseline]);
        match all.into_iter().chain(found.positions).all(f64::is_finite) {
            true => Ok(owed),
            false => Err(Error::ScoresNotFinite),
        }
    }

    /// Leaves out one event after the other, and puts all together.
    fn assemble(
        &mut self,
        subject: Subject,
        seen: &Seen,
        target: Option<Target>,
        owed: Owed,
    ) -> Result<Causes, Error> {
        let without: Vec<Option<Seen>> =
            seen.places.iter().map(|&place| self.read_without(subject, place)).collect();
        let number = target.as_ref().map_or(0, |target| target.number);
        let puts: Vec<Put<'_>> = without
            .iter()
            .flatten()
            .map(|seen| Put { seen, event: seen.len() - 1, moment: &seen.moment, target: number })
            .collect();
        let mut logits = self.logits(&puts)?.into_iter();
        let mut occlusion = without.iter().map(|without| {
            without.as_ref().and_then(|_| logits.next()).map(|logit| owed.logit - logit)
        });
        let log_events = self.log_events(subject.row);
        let events: Vec<EventShare> = (seen.places.iter().zip(&owed.events))
            .map(|(&place, &attribution)| EventShare {
                attribution,
                occlusion: occlusion.next().flatten(),
                ..self.describe(place, log_events[place])
            })
            .collect();
        let names = self.moment_names().iter().zip(&owed.moment);
        let moment: Vec<MomentShare> =
            names.map(|(&name, &attribution)| MomentShare { name, attribution }).collect();
        let explained = owed.events.iter().chain(&owed.moment).sum::<f64>();
        let both = events.iter().filter_map(|event| Some((event.attribution, event.occlusion?)));
        let (gradients, left_out): (Vec<f64>, Vec<f64>) = both.unzip();
        let agreement = Pairs::new(&gradients, &left_out)?.spearman(None)?;
        Ok(Causes {
            target,
            answer: self.tell(owed.logit),
            logit: owed.logit,
            baseline: self.kind,
            baseline_logit: owed.baseline,
            explained,
            residual: owed.logit - owed.baseline - explained,
            jumps: owed.jumps,
            agreement,
            events,
            moment,
        })
    }

    /// What the log says of an event.
    fn describe(&self, place: usize, event: u32) -> EventShare {
        let (log, at) = (self.log, event as usize);
        let known = |column: &[u32]| column.get(at).copied().filter(|&name| name != events::NONE);
        let price = log.events.price.get(at).copied().filter(|price| price.is_finite());
        EventShare {
            event: place,
            time: log.time(event).map(format_time),
            kind: known(&log.events.kind).map(|kind| log.kinds.get(kind).to_owned()),
            item: log.items.get(log.events.item[at]).to_owned(),
            category: known(&log.events.category).map(|own| log.categories.get(own).to_owned()),
            price,
            attribution: 0.0,
            occlusion: None,
        }
    }

    /// The answer after each event that the model reads: `[probability of the target or expectation,
    /// probability of what came next]`, the second none where the task has one answer or nothing came.
    ///
    /// # Errors
    ///
    /// Where the model knows none of the items, and where answers are not finite.
    pub fn answers(
        &mut self,
        subject: Subject,
        target: Option<&Target>,
    ) -> Result<Vec<(f64, Option<f64>)>, Error> {
        let Some(seen) = self.read(subject) else {
            return Err(Error::NoData("the model knows none of the items".to_owned()));
        };
        let moments = self.moments(subject, &seen);
        let came: Vec<Option<u32>> = (seen.places.iter())
            .map(|&place| match self.task.is_at_moment() {
                true => None,
                false => self.came(subject.row, place + 1).map(|(_, number)| number),
            })
            .collect();
        let number = target.map_or(0, |target| target.number);
        let put =
            |event: usize, target: u32| Put { seen: &seen, event, moment: &moments[event], target };
        let mut puts: Vec<Put<'_>> = (0..seen.len()).map(|event| put(event, number)).collect();
        let further =
            came.iter().enumerate().filter_map(|(event, came)| Some(put(event, (*came)?)));
        puts.extend(further);
        let logits = self.logits(&puts)?;
        let (own, further) = logits.split_at(seen.len());
        let mut further = further.iter();
        let all = own.iter().zip(&came).map(|(&own, came)| {
            let came = came.and_then(|_| further.next()).map(|&logit| self.tell(logit));
            (self.tell(own), came)
        });
        Ok(all.collect())
    }
}

/// What integrated gradients say of one question.
struct Owed {
    logit: f64,
    baseline: f64,
    jumps: f64,
    events: Vec<f64>,
    moment: Vec<f64>,
}
