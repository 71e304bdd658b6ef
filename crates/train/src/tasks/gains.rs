//! How much better a model is than the best baseline, and whether that may be chance.

use std::collections::BTreeMap;

use serde::Serialize;
use statistics::binary::Scored;
use statistics::bootstrap::{Groups, Interval, difference};
use statistics::classes::Classes;
use statistics::numeric::Pairs;

use super::Compared;
use crate::Error;

/// The most resamples, the fewest, and about how many cases all of them may have together.
const RESAMPLES: (u32, u32, usize) = (2000, 200, 200_000_000);

/// A difference to the baseline that is the best by this figure, above 0 where the model is better.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Gain {
    /// The name of the baseline.
    pub over: &'static str,
    /// With its 95 % interval over users.
    #[serde(flatten)]
    pub interval: Interval,
}

/// The gain of one way over the best of others by a figure, of which more is better; none where it cannot be
/// told. `figure` gets how often each case counts, and `groups` says which cases are drawn together.
///
/// # Errors
///
/// Those of `figure`.
pub(crate) fn over_best<'a, T: Sync + 'a>(
    (own, others): (&T, impl Iterator<Item = (&'static str, &'a T)>),
    groups: &Groups,
    (resamples, seed): (u32, u64),
    figure: impl Fn(&T, Option<&[u32]>) -> Result<Option<f64>, statistics::Error> + Sync,
) -> Result<Option<Gain>, Error> {
    let mut best: Option<(f64, &'static str, &T)> = None;
    for (by, other) in others {
        let Some(value) = figure(other, None)? else { continue };
        if best.is_none_or(|(most, ..)| value > most) {
            best = Some((value, by, other));
        }
    }
    let Some((_, over, other)) = best else { return Ok(None) };
    let interval = difference(groups, resamples, seed, |w| figure(own, w), |w| figure(other, w))?;
    Ok(interval.map(|interval| Gain { over, interval }))
}

/// Whether larger is better.
type Sign = f64;

/// One way to answer, ready for any resample of the cases.
enum Ready {
    Binary(Scored),
    Number(Pairs),
    Classes(Classes),
}

impl Ready {
    /// The value of a figure; `weights` says how often each case counts.
    fn figure(
        &self,
        name: &str,
        weights: Option<&[u32]>,
    ) -> Result<Option<f64>, statistics::Error> {
        Ok(match (self, name) {
            (Self::Binary(scored), "auc") => scored.levels(weights)?.auc(),
            (Self::Binary(scored), "average_precision") => {
                scored.levels(weights)?.average_precision()
            }
            (Self::Binary(scored), "log_loss") => scored.levels(weights)?.log_loss(),
            (Self::Binary(scored), _) => scored.levels(weights)?.brier(),
            (Self::Number(pairs), "rmse") => pairs.rmse(weights)?,
            (Self::Number(pairs), "mae") => pairs.mae(weights)?,
            (Self::Number(pairs), _) => pairs.spearman(weights)?,
            (Self::Classes(classes), "log_loss") => classes.log_loss(weights)?,
            (Self::Classes(classes), _) => classes.accuracy(weights)?,
        })
    }
}

impl Compared {
    /// The gains over the best baseline, figure by figure; a figure that cannot be told is left out. The
    /// cases of a user are drawn together.
    ///
    /// # Errors
    ///
    /// Where an answer is none.
    pub fn gains(&self, seed: u64) -> Result<BTreeMap<&'static str, Gain>, Error> {
        let figures: &[(&'static str, Sign)] = match () {
            () if self.task.is_binary() => {
                &[("auc", 1.0), ("average_precision", 1.0), ("log_loss", -1.0), ("brier", -1.0)]
            }
            () if self.task.is_at_moment() => &[("rmse", -1.0), ("mae", -1.0), ("spearman", 1.0)],
            () => &[("log_loss", -1.0), ("accuracy", 1.0)],
        };
        let ready = self.said.iter().map(|(name, said)| Ok((*name, self.ready(said)?)));
        let ready: Vec<(&'static str, Ready)> = ready.collect::<Result<_, Error>>()?;
        let Some(((_, model), baselines)) = ready.split_first() else { return Ok(BTreeMap::new()) };
        let groups = Groups::new(&self.users);
        let (most, least, cases) = RESAMPLES;
        let resamples = (cases / self.truth.len().max(1)).clamp(least as usize, most as usize);
        let mut gains = BTreeMap::new();
        for &(name, sign) in figures {
            let signed = |ready: &Ready, weights: Option<&[u32]>| {
                Ok(ready.figure(name, weights)?.map(|value| sign * value))
            };
            let others = baselines.iter().map(|(by, ready)| (*by, ready));
            let gain = over_best((model, others), &groups, (resamples as u32, seed), signed)?;
            gains.extend(gain.map(|gain| (name, gain)));
        }
        Ok(gains)
    }

    fn ready(&self, said: &[f64]) -> Result<Ready, Error> {
        Ok(if self.task.is_binary() {
            let outcomes: Vec<bool> = self.truth.iter().map(|&truth| truth > 0.5).collect();
            Ready::Binary(Scored::new(said, &outcomes)?)
        } else if self.task.is_at_moment() {
            Ready::Number(Pairs::new(said, &self.truth)?)
        } else {
            let (said, classes) = self.classes(said);
            Ready::Classes(Classes::new(said, &classes)?)
        })
    }
}
