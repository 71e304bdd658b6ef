//! The log and its truth as CSV, user by user, in constant memory.

use std::fmt::Write as _;
use std::io::Write;

use super::campaign::{Fates, Tally};
use super::process::{Event, Kind, Why};
use super::score::Scorer;
use super::shop::Shop;
use super::users::{Session, User};
use super::{SimulatorError, Size};

/// How many events the estimate of the best possible score is made from.
const ESTIMATE_EVENTS: u64 = 20_000;

/// Header of the log; in a shop with a campaign, `treated` is one column more.
pub const LOG_HEADER: &str = "user,session,time,kind,item,category,price";
/// Header of the truth: a line a session; in a shop with a campaign, three columns more: `treated`, and
/// `if_treated`, `if_not`, whether the user would have bought while the voucher held.
pub const TRUTH_HEADER: &str =
    "user,type,session,time,budget,style,mission,last_style,last_mission";
/// Header of the causes: a line a purchase.
pub const CAUSES_HEADER: &str =
    "user,session,time,item,price,viewed,carted,second_looks,cause,cause_item";

/// Header of the true uplift: a line a type.
pub const UPLIFT_HEADER: &str = "type,users,if_treated,if_not,uplift,error";

/// Where the truth goes.
pub struct Truth<'a> {
    /// Types and interests, a line a session.
    pub users: &'a mut dyn Write,
    /// Causes, a line a purchase.
    pub causes: &'a mut dyn Write,
    /// What a campaign does to each type, a line each; nothing is written in a shop without one.
    pub uplift: Option<&'a mut dyn Write>,
}

/// What was simulated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// Events written.
    pub events: u64,
    /// Sessions they are in.
    pub sessions: u64,
    /// Users they are of.
    pub users: u64,
    /// Purchases among them.
    pub purchases: u64,
    /// Items of the shop.
    pub items: usize,
    /// The best possible score, from the first sessions of the log.
    pub best_possible: super::Score,
}

/// Writes the log of a shop, and its truth where one is asked for.
///
/// Users are written one after another, each with the whole of their sessions; with
/// [`Size::Events`] the last is the one with whom the log reaches that many events. Each user is
/// written with one call per file, so the writers need no buffer of their own.
///
/// # Errors
///
/// [`SimulatorError::Write`] if a writer fails.
pub fn simulate(
    shop: &Shop,
    size: Size,
    log: &mut dyn Write,
    mut truth: Option<Truth<'_>>,
) -> Result<Summary, SimulatorError> {
    let products: Vec<String> = (0..shop.items())
        .map(|item| {
            let category = shop.category_name(shop.place(item).category);
            format!("{},{category},{:.2}", shop.item_id(item), shop.price(item))
        })
        .collect();
    let campaign = shop.config.campaign.as_ref();
    let more = |columns: &'static str| if campaign.is_some() { columns } else { "" };
    writeln!(log, "{LOG_HEADER}{}", more(",treated"))?;
    if let Some(truth) = &mut truth {
        writeln!(truth.users, "{TRUTH_HEADER}{}", more(",treated,if_treated,if_not"))?;
        writeln!(truth.causes, "{CAUSES_HEADER}")?;
    }

    let mut scorer = Scorer::new(shop);
    let mut tallies = vec![Tally::default(); shop.config.types.len()];
    let (mut users, mut events, mut sessions, mut purchases) = (0, 0, 0, 0);
    let mut text = String::new();
    while match size {
        Size::Events(wanted) => events < wanted,
        Size::Users(wanted) => users < wanted,
    } {
        let user = User::new(shop, users);
        let id = user.id();
        let flag = user.treated.map_or("", |treated| if treated { ",1" } else { ",0" });
        text.clear();
        for (number, session) in (1..).zip(&user.sessions) {
            for (event, time) in session.events.iter().zip(&session.times) {
                let (kind, product) = (event.kind.name(), &products[event.item]);
                let time = Time(*time);
                let _ = writeln!(text, "{id},{id}.{number},{time},{kind},{product}{flag}");
                purchases += u64::from(event.kind == Kind::Purchase);
            }
            // Those that a voucher has reached are not of the process that the filter knows.
            let start = session.times.first().copied().unwrap_or(0);
            let reached = user.treated == Some(true) && campaign.is_some_and(|c| c.reaches(start));
            if events < ESTIMATE_EVENTS && !reached {
                scorer.add(&session.items())?;
            }
            events += session.events.len() as u64;
            sessions += 1;
        }
        users += 1;
        log.write_all(text.as_bytes())?;

        if let Some(truth) = &mut truth {
            let (mut interests, mut causes) = (String::new(), String::new());
            let fates = Fates::of(shop, user.number);
            fates.into_iter().for_each(|fates| tallies[user.of].add(fates));
            let more = match fates {
                Some(Fates { if_treated, if_not }) => {
                    format!("{flag},{},{}", u8::from(if_treated), u8::from(if_not))
                }
                None => format!("{flag}{}", more(",,")),
            };
            for (number, session) in (1..).zip(&user.sessions) {
                write_interest(shop, &user, number, session, &more, &mut interests);
                write_causes(shop, &id, number, session, &mut causes);
            }
            truth.users.write_all(interests.as_bytes())?;
            truth.causes.write_all(causes.as_bytes())?;
        }
    }
    log.flush()?;
    if let Some(truth) = truth {
        truth.users.flush()?;
        truth.causes.flush()?;
        if let Some(uplift) = truth.uplift.filter(|_| campaign.is_some()) {
            writeln!(uplift, "{UPLIFT_HEADER}")?;
            for (user, tally) in shop.config.types.iter().zip(&tallies) {
                writeln!(uplift, "{},{}", user.name, tally.line())?;
            }
            uplift.flush()?;
        }
    }
    let items = shop.items();
    Ok(Summary { events, sessions, users, purchases, items, best_possible: scorer.score() })
}

fn write_interest(
    shop: &Shop,
    user: &User,
    number: u64,
    session: &Session,
    more: &str,
    out: &mut String,
) {
    let (first, last) = (session.interest, session.events.last().map(|event| event.interest));
    let last = last.unwrap_or(first);
    let _ = writeln!(
        out,
        "{id},{of},{id}.{number},{time},{budget},{style},{mission},{last_style},{last_mission}{more}",
        id = user.id(),
        of = shop.config.types[user.of].name,
        time = Time(session.times.first().copied().unwrap_or(0)),
        budget = ["small", "large"][first.budget],
        style = shop.style_name(first.style + 1),
        mission = shop.mission_name(first.mission),
        last_style = shop.style_name(last.style + 1),
        last_mission = shop.mission_name(last.mission),
    );
}

/// A purchase goes back to the view that made the item known in this session, and that view to the
/// route, a detour, or the purchase it is an accessory of.
fn write_causes(shop: &Shop, id: &str, number: u64, session: &Session, out: &mut String) {
    for (at, bought) in session.events.iter().enumerate() {
        if bought.kind != Kind::Purchase {
            continue;
        }
        let since = session.events[..at]
            .iter()
            .rposition(|event| event.kind == Kind::Purchase && event.item == bought.item)
            .map_or(0, |purchase| purchase + 1);
        let same = |&other: &usize| session.events[other].item == bought.item;
        let earlier: Vec<usize> = (since..at).filter(same).collect();
        let of_kind = |kind| {
            let carted = |other: &&usize| session.events[**other].kind == kind;
            earlier.iter().find(carted).copied()
        };
        let (Some(viewed), Some(carted)) = (of_kind(Kind::View), of_kind(Kind::Cart)) else {
            continue;
        };
        let looks = earlier.iter().filter(|&&other| session.events[other].why == Why::Back);
        let (cause, because_of) = cause(&session.events, viewed);
        let _ = writeln!(
            out,
            "{id},{id}.{number},{time},{item},{price:.2},{viewed},{carted},{looks},{cause},{of}",
            time = Time(session.times[at]),
            item = shop.item_id(bought.item),
            price = shop.price(bought.item),
            viewed = Time(session.times[viewed]),
            carted = Time(session.times[carted]),
            looks = looks.count(),
            of = because_of.map_or("", |item| shop.item_id(item)),
        );
    }
}

/// What led to a view, and for an accessory the item that it goes with.
fn cause(events: &[Event], view: usize) -> (&'static str, Option<usize>) {
    match events[view].why {
        Why::Accessory => ("accessory", Some(events[view - 1].item)),
        Why::Detour => ("detour", None),
        Why::Route | Why::Back | Why::Cart | Why::Purchase => ("route", None),
    }
}

/// Unix seconds as ISO 8601.
struct Time(i64);

impl std::fmt::Display for Time {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let time = jiff::Timestamp::from_second(self.0).map_err(|_| std::fmt::Error)?;
        write!(out, "{time}")
    }
}
