//! The life of one user: sessions, the drift of interest between them, and the clock.
//!
//! How many sessions there are and when they start depends on nothing hidden. So a session cut out
//! of the log by time or by chance has the same distribution as any other, and the filter's prior
//! is exact for it.

use std::ops::ControlFlow;

use super::campaign::is_treated;
use super::draw::{Choose, Dice};
use super::process::{Event, Interest, session};
use super::shop::Shop;

const HOUR: i64 = 3_600;
const DAY: f64 = 24.0 * 3_600.0;

/// 2026-03-01T00:00:00Z: no event is earlier.
const OPENING: i64 = 1_772_323_200;
/// Days over which users come for the first time.
const FIRST_DAYS: f64 = 60.0;
/// Mean days between two sessions of a user, beyond [`REST`].
const DAYS_APART: f64 = 5.0;
/// Every session ends within this time of its start, and the next begins after it.
const REST: i64 = 12 * HOUR;

/// A session with its truth.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// What the user wanted when it began.
    pub interest: Interest,
    /// Its events.
    pub events: Vec<Event>,
    /// Unix seconds of the events, rising.
    pub times: Vec<i64>,
}

impl Session {
    /// What a model sees of it: the items.
    pub fn items(&self) -> Vec<usize> {
        self.events.iter().map(|event| event.item).collect()
    }
}

/// A user with all sessions.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// The user's number, from 0.
    pub number: u64,
    /// Index of the user's type.
    pub of: usize,
    /// Whether the user has got the voucher; none in a shop without a campaign.
    pub treated: Option<bool>,
    /// The sessions in order of time, at least one.
    pub sessions: Vec<Session>,
}

impl User {
    /// User `number` of a shop, the same whoever else there is.
    pub fn new(shop: &Shop, number: u64) -> Self {
        Self::arm(shop, number, is_treated(shop, number))
    }

    /// The same user as if treated by the shop's campaign, or not.
    pub fn arm(shop: &Shop, number: u64, treated: bool) -> Self {
        let config = &shop.config;
        let mut dice = Dice::for_user(shop.seed, number);
        let shares: Vec<f64> = config.types.iter().map(|t| t.share).collect();
        let of = dice.choose(&shares);
        let mut interest = Interest::draw(shop, of, &mut dice);
        let mut start = OPENING + (FIRST_DAYS * DAY * dice.uniform()) as i64;
        let mut sessions = Vec::new();
        loop {
            let mut events = Vec::new();
            session(shop.rates(treated, start), of, interest, &mut dice, |event| {
                events.push(event);
                ControlFlow::Continue(())
            });
            let times = clock(start, events.len(), config.max_events, &mut dice);
            sessions.push(Session { interest, events, times });
            if sessions.len() >= config.max_sessions || !dice.happens(config.come_back) {
                let treated = config.campaign.as_ref().map(|_| treated);
                return Self { number, of, treated, sessions };
            }
            start += REST + dice.exponential(DAYS_APART * DAY) as i64;
            interest = interest.drift(shop, of, &mut dice);
        }
    }

    /// The user's id in every file.
    pub fn id(&self) -> String {
        format!("u{}", self.number + 1)
    }
}

/// Times of the events of a session: some seconds to some minutes apart.
fn clock(start: i64, events: usize, max_events: usize, dice: &mut Dice) -> Vec<i64> {
    let longest = ((REST - HOUR) / max_events as i64).min(600);
    let mut now = start;
    let mut tick = |_| {
        let time = now;
        now += (3 + dice.exponential(40.0) as i64).min(longest);
        time
    };
    (0..events).map(&mut tick).collect()
}
