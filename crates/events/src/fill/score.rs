//! How near each method comes to values that are known: some are hidden, filled, and compared.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::Serialize;

use super::{FillRule, FillRules, FittedFill};
use crate::{Column, Error, Log, NONE};

/// What is hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HoldOut {
    /// A share of the rows that have a value, drawn one by one. Methods learn from all others, so
    /// that users and items of hidden rows are mostly known.
    #[default]
    Rows,
    /// Of a share of the users, every second value on average. Methods learn from the other users
    /// alone; what the drawn users still show is there for `forward` and the like to look at.
    Users,
}

/// How methods are scored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoreOptions {
    /// What is hidden.
    pub hold_out: HoldOut,
    /// The share of rows or of users, above 0 and below 1.
    pub share: f64,
    /// Decides which.
    pub seed: u64,
}

impl Default for ScoreOptions {
    /// A tenth of the rows.
    fn default() -> Self {
        Self { hold_out: HoldOut::Rows, share: 0.1, seed: 1 }
    }
}

/// How near a method came. Errors are those of the values that it gave.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct FillScore {
    /// The rule as it is written.
    pub rule: String,
    /// Values that were hidden.
    pub hidden: u64,
    /// For how many of them it gave a value.
    pub answered: u64,
    /// Mean of the absolute errors; none for words, and where nothing was answered.
    pub mean_absolute: Option<f64>,
    /// Root of the mean of the squared errors, likewise.
    pub root_mean_square: Option<f64>,
    /// Median of the absolute errors, likewise: half of the values are nearer.
    pub median_absolute: Option<f64>,
    /// Share of the answers that are the very value: of words, the accuracy.
    pub exact: f64,
}

/// The ways to fill numbers, and words, that need nothing to be said beside their names; those that do not
/// always know an answer also with one behind them that does.
const NUMBERS: [&str; 11] = [
    "mean",
    "median",
    "mode",
    "forward",
    "forward+median",
    "interpolate",
    "interpolate+median",
    "recent",
    "recent+item",
    "item",
    "shrink",
];
const WORDS: [&str; 6] = ["mode", "forward", "forward+mode", "recent", "recent+item", "item"];

/// A rule for each way to fill a column of words, or of numbers.
///
/// # Errors
///
/// [`Error::Flag`] where no rule can be about a column of this name.
pub fn fill_methods(column: &Column, words: bool) -> Result<Vec<FillRule>, Error> {
    let methods: &[&str] = if words { &WORDS } else { &NUMBERS };
    methods.iter().map(|method| format!("{}={method}", column.name()).parse()).collect()
}

/// Scores rules that all fill the same column. All are asked for the same hidden values.
///
/// # Errors
///
/// As [`FittedFill::fit`]; [`Error::Flag`] where the share is none or the rules name several
/// columns.
pub fn score_fill(
    log: &Log,
    rules: &[FillRule],
    options: &ScoreOptions,
) -> Result<Vec<FillScore>, Error> {
    let refuse = |value: String, reason: &str| Error::Flag {
        flag: "--fill",
        value,
        reason: reason.to_owned(),
    };
    if !(options.share > 0.0 && options.share < 1.0) {
        let reason = "the share that is hidden lies between 0 and 1";
        return Err(refuse(options.share.to_string(), reason));
    }
    let Some(column) = rules.first().map(|rule| &rule.column) else { return Ok(Vec::new()) };
    if let Some(other) = rules.iter().find(|rule| rule.column != *column) {
        return Err(refuse(other.to_string(), "one column is scored at a time"));
    }
    let (hidden, train) = draw(log, column, options);
    let mut holed = log.clone();
    for &event in &hidden {
        if let Some(values) = column.numbers_mut(&mut holed) {
            values[event as usize] = f32::NAN;
        } else if let Some((_, values)) = column.words_mut(&mut holed) {
            values[event as usize] = NONE;
        }
    }
    rules.iter().map(|rule| score(log, &holed, &hidden, &train, rule)).collect()
}

fn score(
    log: &Log,
    holed: &Log,
    hidden: &[u32],
    train: &[u32],
    rule: &FillRule,
) -> Result<FillScore, Error> {
    let fitted = FittedFill::fit(holed, train, &FillRules(vec![rule.clone()]))?;
    let mut filled = holed.clone();
    fitted.apply(&mut filled);
    let mut score =
        FillScore { rule: rule.to_string(), hidden: hidden.len() as u64, ..FillScore::default() };
    let mut exact = 0u64;
    if let (Some(truth), Some(found)) = (rule.column.numbers(log), rule.column.numbers(&filled)) {
        let mut errors = Vec::new();
        for &event in hidden {
            let (truth, found) = (truth[event as usize], found[event as usize]);
            if found.is_finite() {
                errors.push((f64::from(truth) - f64::from(found)).abs());
                exact += u64::from(truth == found);
            }
        }
        score.answered = errors.len() as u64;
        let mean = |sum: f64| (!errors.is_empty()).then(|| sum / errors.len() as f64);
        score.mean_absolute = mean(errors.iter().sum());
        score.root_mean_square =
            mean(errors.iter().map(|error| error * error).sum()).map(f64::sqrt);
        errors.sort_unstable_by(f64::total_cmp);
        score.median_absolute = errors.get(errors.len().saturating_sub(1) / 2).copied();
    } else if let (Some(truth), Some(found)) = (rule.column.words(log), rule.column.words(&filled))
    {
        for &event in hidden {
            let (truth, found) = (truth.get(event as usize), found.get(event as usize));
            score.answered += u64::from(found != NONE);
            exact += u64::from(truth == found);
        }
    }
    score.exact = if score.answered == 0 { 0.0 } else { exact as f64 / score.answered as f64 };
    Ok(score)
}

/// Events whose value is hidden, and events that teach; both in rising order.
fn draw(log: &Log, column: &Column, options: &ScoreOptions) -> (Vec<u32>, Vec<u32>) {
    let mut random = ChaCha8Rng::seed_from_u64(options.seed);
    // 53 bits, as many as the mantissa of an f64 holds.
    let mut chance = || (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
    let n = log.events.len() as u32;
    let numbers = column.numbers(log);
    let words = column.words(log);
    let known = |event: u32| match (numbers, words) {
        (Some(numbers), _) => numbers[event as usize].is_finite(),
        (None, Some(words)) => words.get(event as usize) != NONE,
        (None, None) => false,
    };
    match options.hold_out {
        HoldOut::Rows => {
            let hidden = (0..n).filter(|&event| known(event) && chance() < options.share).collect();
            // What is hidden is missing, and teaches nothing.
            (hidden, (0..n).collect())
        }
        HoldOut::Users => {
            let events = &log.events;
            let users = if events.user.is_empty() { &events.session } else { &events.user };
            let count = users.iter().filter(|&&user| user != NONE).max().map_or(0, |&u| u + 1);
            let drawn: Vec<bool> = (0..count).map(|_| chance() < options.share).collect();
            let drawn = |event: u32| {
                users.get(event as usize).and_then(|&user| drawn.get(user as usize)) == Some(&true)
            };
            let hidden =
                (0..n).filter(|&event| drawn(event) && known(event) && chance() < 0.5).collect();
            (hidden, (0..n).filter(|&event| !drawn(event)).collect())
        }
    }
}
