//! Which events are purchases, and which of these are one order.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Kind, Log, NONE};

/// How `--buys` says which events are purchases.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum BuyRule {
    /// Those whose kind means a purchase: `buy`, `purchase`, `transaction`, `order` and their like.
    #[default]
    Meant,
    /// Every event: a log of purchases alone.
    Every,
    /// Those of certain kinds, in the log's own words.
    Kinds(Vec<String>),
}

impl FromStr for BuyRule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "auto" => Ok(Self::Meant),
            "every" => Ok(Self::Every),
            "" => Err(Error::Flag {
                flag: "--buys",
                value: String::new(),
                reason: "expected auto, every, or kinds of events such as buy,order".to_owned(),
            }),
            kinds => Ok(Self::Kinds(kinds.split(',').map(|kind| kind.trim().to_owned()).collect())),
        }
    }
}

impl fmt::Display for BuyRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Meant => f.write_str("auto"),
            Self::Every => f.write_str("every"),
            Self::Kinds(kinds) => f.write_str(&kinds.join(",")),
        }
    }
}

/// Purchases without a session key that are no farther apart are one order, in milliseconds.
const ORDER: i64 = 30 * 60 * 1000;

/// The purchases of a log.
///
/// Purchases of a user are one order where they follow each other with the same session key (an invoice,
/// a visit) or, in a log without such keys, no more than half an hour apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buys {
    /// Whether a kind is a purchase, by number; empty where every event is.
    kinds: Vec<bool>,
    every: bool,
}

impl Buys {
    /// Looks up what a rule means in a log, which may hold no purchase.
    pub fn new(log: &Log, rule: &BuyRule) -> Self {
        let is_one = |name: &str| match rule {
            BuyRule::Meant => Kind::of(name) == Kind::Purchase,
            BuyRule::Every => true,
            BuyRule::Kinds(kinds) => kinds.iter().any(|kind| kind == name),
        };
        Self { kinds: log.kinds.iter().map(is_one).collect(), every: *rule == BuyRule::Every }
    }

    /// The same of a log that one is to learn from.
    ///
    /// # Errors
    ///
    /// [`Error::NoPurchases`] where no kind of the log is one.
    pub fn of_some(log: &Log, rule: &BuyRule) -> Result<Self, Error> {
        let buys = Self::new(log, rule);
        if buys.every || log.events.is_empty() || buys.kinds.contains(&true) {
            return Ok(buys);
        }
        let names: Vec<&str> = log.kinds.iter().take(8).collect();
        Err(Error::NoPurchases { rule: rule.to_string(), kinds: names.join(", ") })
    }

    /// Whether an event is a purchase.
    pub fn is_purchase(&self, log: &Log, event: u32) -> bool {
        let kind = || log.events.kind.get(event as usize).copied().unwrap_or(NONE);
        self.every || self.kinds.get(kind() as usize).copied().unwrap_or(false)
    }

    /// Whether two purchases of a user, one after the other, are of one order.
    pub(super) fn is_same_order(&self, log: &Log, a: u32, b: u32) -> bool {
        let key = |event: u32| log.events.session.get(event as usize).copied().unwrap_or(NONE);
        match (key(a), key(b)) {
            (NONE, NONE) => log.time_or_zero(b).saturating_sub(log.time_or_zero(a)) <= ORDER,
            (a, b) => a == b,
        }
    }
}
