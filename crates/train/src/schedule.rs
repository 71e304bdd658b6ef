//! The learning rate over a run.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

/// What the learning rate does after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decay {
    /// It stays.
    Constant,
    /// It falls to zero in a straight line.
    #[default]
    Linear,
    /// It falls to zero along half a cosine wave.
    Cosine,
    /// It is cut whenever the validation has not become better for a while.
    Plateau,
}

/// The learning rate as a share of its peak, over the progress p of a run in `[0, 1]`.
///
/// ```text
///     p < warmup:   p / warmup
///     constant:     1
///     linear:       1 − s                    s = (p − warmup) / (1 − warmup)
///     cosine:       (1 + cos πs) / 2
///     plateau:      factor ^ cuts
/// ```
///
/// Progress, not a step number: the number of batches differs a little from epoch to epoch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// What follows the warm-up.
    pub decay: Decay,
    /// Share of the run over which the rate rises from 0, in `[0, 1)`.
    pub warmup: f64,
    /// What a cut of [`Decay::Plateau`] leaves of the rate, in `(0, 1]`.
    pub plateau_factor: f64,
}

impl Schedule {
    /// The share at `progress`, after so many `cuts` of the plateau.
    pub fn share(&self, progress: f64, cuts: u32) -> f64 {
        if progress < self.warmup {
            return progress / self.warmup;
        }
        let s = (progress - self.warmup) / (1.0 - self.warmup);
        match self.decay {
            Decay::Constant => 1.0,
            Decay::Linear => 1.0 - s,
            Decay::Cosine => 0.5 * (1.0 + (PI * s).cos()),
            Decay::Plateau => self.plateau_factor.powi(cuts as i32),
        }
    }
}

/// The progress of a run in the middle of batch `batch` of `batches` in epoch `epoch` of `epochs`,
/// all counted from 0: never 0 and never 1, so that no step is taken with a rate of zero.
pub fn progress(epoch: usize, epochs: usize, batch: usize, batches: usize) -> f64 {
    (epoch as f64 + (batch as f64 + 0.5) / batches as f64) / epochs as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(decay: Decay) -> Schedule {
        Schedule { decay, warmup: 0.2, plateau_factor: 0.5 }
    }

    #[test]
    fn warm_up_rises_to_the_peak_and_the_decay_starts_there() {
        for decay in [Decay::Constant, Decay::Linear, Decay::Cosine, Decay::Plateau] {
            let schedule = schedule(decay);
            assert_eq!(schedule.share(0.0, 0), 0.0);
            assert_eq!(schedule.share(0.1, 0), 0.5);
            assert_eq!(schedule.share(0.2, 0), 1.0);
        }
    }

    #[test]
    fn each_decay_has_its_shape() {
        assert_eq!(schedule(Decay::Constant).share(1.0, 0), 1.0);
        assert!((schedule(Decay::Linear).share(0.4, 0) - 0.75).abs() < 1e-12);
        assert_eq!(schedule(Decay::Linear).share(1.0, 0), 0.0);
        assert!((schedule(Decay::Cosine).share(0.6, 0) - 0.5).abs() < 1e-12);
        assert!(schedule(Decay::Cosine).share(0.4, 0) > 0.75);
        assert_eq!(schedule(Decay::Plateau).share(0.9, 3), 0.125);
    }

    #[test]
    fn without_a_warm_up_the_first_step_has_the_full_rate() {
        let schedule = Schedule { warmup: 0.0, ..schedule(Decay::Constant) };
        assert_eq!(schedule.share(progress(0, 5, 0, 100), 0), 1.0);
    }

    #[test]
    fn progress_never_stands_still_at_the_ends() {
        assert_eq!(progress(0, 1, 0, 1), 0.5);
        assert!(progress(0, 5, 0, 100) > 0.0);
        assert!(progress(4, 5, 99, 100) < 1.0);
        assert_eq!(progress(2, 4, 50, 101), 0.625);
    }
}
