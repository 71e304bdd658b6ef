//! A campaign: at a moment a random half of the users gets a voucher, and what it does to them is known.
//!
//! A voucher changes one rate, how readily a look ends in the cart, in the sessions that begin while it
//! holds. Nothing before them changes, nor when they begin: a user who has stopped coming cannot be moved.
//! Each user can be lived twice, with it and without, from the same random numbers ([`User::arm`]); up to the
//! first session that a voucher reaches, both lives are the same.

use super::SimulatorError;
use super::draw::Dice;
use super::process::Kind;
use super::shop::Shop;
use super::users::User;

/// Who gets a voucher is drawn from streams of their own: no user and no shop is drawn from one of these.
const ASSIGNMENT: u64 = 1 << 63;

/// A campaign of a shop.
#[derive(Debug, Clone, PartialEq)]
pub struct Campaign {
    /// The moment, unix seconds.
    pub at: i64,
    /// Seconds that the voucher holds: the horizon of the true uplift.
    pub lasts: i64,
    /// What takes the place of [`UserType::cart`](super::UserType::cart) for each type, in their order.
    pub cart: Vec<f64>,
}

impl Campaign {
    /// Whether a session that begins then can be changed by it.
    pub(super) fn reaches(&self, start: i64) -> bool {
        (self.at..self.at.saturating_add(self.lasts)).contains(&start)
    }

    /// Looks for what no campaign can be.
    pub(super) fn check(&self, types: usize) -> Result<(), SimulatorError> {
        let wrong =
            |key: &str, why: String| Err(SimulatorError::Config { key: key.to_owned(), why });
        if self.lasts <= 0 {
            return wrong("campaign.lasts", format!("{} is not above 0", self.lasts));
        }
        if self.cart.len() != types {
            let why = format!("{} rates for {types} types", self.cart.len());
            return wrong("campaign.cart", why);
        }
        match self.cart.iter().find(|rate| !(0.0..=1.0).contains(*rate)) {
            Some(rate) => wrong("campaign.cart", format!("{rate} is not a probability")),
            None => Ok(()),
        }
    }

    /// The same shop at the rates of those who have the voucher.
    pub(super) fn changed(&self, shop: &Shop) -> Shop {
        let mut changed = shop.clone();
        for (user, &cart) in changed.config.types.iter_mut().zip(&self.cart) {
            user.cart = cart;
        }
        changed
    }
}

/// Whether a user of a shop with a campaign gets the voucher: every other one by chance, whatever the user is.
pub(super) fn is_treated(shop: &Shop, number: u64) -> bool {
    Dice::for_user(shop.seed, ASSIGNMENT | number).uniform() < 0.5
}

/// What becomes of a user with a voucher, and without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fates {
    /// Whether there is a purchase while the voucher holds, had the user one.
    pub if_treated: bool,
    /// The same, had the user none.
    pub if_not: bool,
}

impl Fates {
    /// Lives a user of a shop both ways; none without a campaign, and of a user who has not come before it.
    pub fn of(shop: &Shop, number: u64) -> Option<Self> {
        let campaign = shop.config.campaign.as_ref()?;
        let fate = |treated| {
            let user = User::arm(shop, number, treated);
            let mut events = user.sessions.iter().flat_map(|session| {
                session.times.iter().copied().zip(session.events.iter().map(|event| event.kind))
            });
            let known = events.next().is_some_and(|(time, _)| time < campaign.at);
            let bought = |(time, kind)| kind == Kind::Purchase && campaign.reaches(time);
            known.then(|| events.any(bought))
        };
        Some(Self { if_treated: fate(true)?, if_not: fate(false)? })
    }
}

/// The fates of the users of a type.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Tally {
    users: u64,
    if_treated: u64,
    if_not: u64,
    /// Users whose two fates differ.
    moved: u64,
}

impl Tally {
    pub(super) fn add(&mut self, fates: Fates) {
        self.users += 1;
        self.if_treated += u64::from(fates.if_treated);
        self.if_not += u64::from(fates.if_not);
        self.moved += u64::from(fates.if_treated != fates.if_not);
    }

    /// `users,if_treated,if_not,uplift,error`: shares of the users, their difference, and its standard error
    /// where these users stand for all that there could be. Nothing where there are none.
    pub(super) fn line(&self) -> String {
        if self.users == 0 {
            return "0,,,,".to_owned();
        }
        let n = self.users as f64;
        let [treated, not, moved] =
            [self.if_treated, self.if_not, self.moved].map(|count| count as f64 / n);
        let uplift = treated - not;
        let error = ((moved - uplift * uplift).max(0.0) / n).sqrt();
        format!("{},{treated:.5},{not:.5},{uplift:.5},{error:.5}", self.users)
    }
}
