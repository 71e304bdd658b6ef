//! One session, event by event.
//!
//! [`session`] is the generating process, written once and asking for every choice through
//! [`Choose`]. [`Context`] is what anybody can tell from the items so far, and [`Odds`] what follows
//! from it about the kind of the next event; the filter reads the same two.

use std::ops::ControlFlow;

use super::draw::Choose;
use super::shop::{BUDGETS, Place, Shop};

/// What an event of the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The item was looked at.
    View,
    /// The item was put into the cart.
    Cart,
    /// The item was bought.
    Purchase,
}

impl Kind {
    /// The word in the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Cart => "cart",
            Self::Purchase => "purchase",
        }
    }
}

/// Why an event came about: the truth that the log does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The route of the mission led there.
    Route,
    /// A detour.
    Detour,
    /// It goes with what was bought just before.
    Accessory,
    /// A second look, to compare.
    Back,
    /// The item just looked at went into the cart.
    Cart,
    /// The item in the cart was bought.
    Purchase,
}

/// What a user wants at some moment of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interest {
    /// The mission.
    pub mission: usize,
    /// Where the mission stands on its route.
    pub position: usize,
    /// The liked style; `0` stands for style 1, as the basic one is liked by nobody and seen by all.
    pub style: usize,
    /// 0 is a small budget, 1 a large one.
    pub budget: usize,
}

impl Interest {
    /// The interest of a session of this type, as it is spread over all sessions of the log.
    pub(super) fn draw(shop: &Shop, of: usize, choose: &mut impl Choose) -> Self {
        Self {
            mission: choose.choose(&shop.missions[of].shares),
            position: 0,
            style: choose.choose(&shop.styles[of].shares),
            budget: Self::draw_budget(shop, of, choose),
        }
    }

    /// The interest of the user's next session: it stays, goes on, or is drawn afresh, mission and
    /// style each for itself. All three keep the shares of [`Interest::draw`], so that a session
    /// taken from anywhere in the log has exactly these.
    pub(super) fn drift(self, shop: &Shop, of: usize, choose: &mut impl Choose) -> Self {
        let config = &shop.config;
        let stay = (1.0 - config.session_drift - config.session_renewal).max(0.0);
        let odds = [stay, config.session_drift, config.session_renewal];
        let fresh = Self::draw(shop, of, choose);
        let mut move_on = |now, leaning: &super::shop::Leaning, fresh| match choose.choose(&odds) {
            0 => now,
            1 => leaning.next[now],
            _ => fresh,
        };
        let mission = move_on(self.mission, &shop.missions[of], fresh.mission);
        let style = move_on(self.style, &shop.styles[of], fresh.style);
        Self { mission, style, ..fresh }
    }

    fn draw_budget(shop: &Shop, of: usize, choose: &mut impl Choose) -> usize {
        let frugal = shop.config.types[of].frugal;
        let weights: [f64; BUDGETS] = [frugal, 1.0 - frugal];
        choose.choose(&weights)
    }
}

/// One event with its truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// The item's index.
    pub item: usize,
    /// What the log says.
    pub kind: Kind,
    /// What the log does not say.
    pub why: Why,
    /// What the user wanted at this event.
    pub interest: Interest,
}

/// What the items of a session so far tell for certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Context {
    /// Number of events.
    pub(super) events: usize,
    /// Item and kind of the last event.
    pub(super) last: Option<(usize, Kind)>,
    /// Item of the event before.
    pub(super) before: Option<usize>,
    /// What lies in the cart.
    pub(super) cart: Option<usize>,
}

impl Context {
    /// The kind that an event of this item must have.
    ///
    /// Views take neither the last item nor the one in the cart, so that the items alone tell the
    /// kinds: a model that reads items misses nothing by not reading kinds.
    pub(super) fn kind_of(&self, item: usize) -> Kind {
        if self.cart == Some(item) {
            Kind::Purchase
        } else if self.last.is_some_and(|(last, _)| last == item) {
            Kind::Cart
        } else {
            Kind::View
        }
    }

    /// The context after one more event.
    pub(super) fn after(self, item: usize) -> Self {
        let kind = self.kind_of(item);
        let cart = match kind {
            Kind::View => self.cart,
            Kind::Cart => Some(item),
            Kind::Purchase => None,
        };
        let before = self.last.map(|(item, _)| item);
        Self { events: self.events + 1, last: Some((item, kind)), before, cart }
    }

    /// The item that a second look would go to.
    pub(super) fn back(&self) -> Option<usize> {
        let other =
            |&item: &usize| self.last.is_none_or(|l| l.0 != item) && self.cart != Some(item);
        self.before.filter(other)
    }

    /// The category and style of the accessories that go with what was just bought.
    pub(super) fn accessory(&self, shop: &Shop) -> Option<(usize, usize)> {
        let (item, Kind::Purchase) = self.last? else { return None };
        let Place { category, style, .. } = shop.place(item);
        Some((shop.accessory_of[category], style))
    }

    /// Weights of the rungs of a cell for a view: popularity, without the last item and the cart.
    pub(super) fn rungs(&self, shop: &Shop, category: usize, style: usize, budget: usize) -> Rungs {
        let first = shop.cell(category, style);
        let taken = [self.last.map(|(item, _)| item), self.cart];
        let mut taken = taken.map(|item| item.and_then(|item| item.checked_sub(first)));
        for rung in &mut taken {
            *rung = rung.filter(|&rung| rung < shop.config.items_per_cell);
        }
        if taken[0] == taken[1] {
            taken[1] = None;
        }
        let weights = &shop.popularity[budget];
        let lost: f64 = taken.iter().flatten().map(|&rung| weights[rung]).sum();
        Rungs { first, taken, total: shop.popularity_total - lost, budget }
    }
}

/// The items of one cell that a view can take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rungs {
    /// The first item of the cell.
    pub(super) first: usize,
    taken: [Option<usize>; 2],
    total: f64,
    budget: usize,
}

impl Rungs {
    /// Probability of the item that stands on a rung.
    pub(super) fn probability(&self, shop: &Shop, rung: usize) -> f64 {
        if self.taken.contains(&Some(rung)) {
            0.0
        } else {
            shop.popularity[self.budget][rung] / self.total
        }
    }

    fn draw(&self, shop: &Shop, scratch: &mut Vec<f64>, choose: &mut impl Choose) -> usize {
        scratch.clear();
        scratch.extend((0..shop.config.items_per_cell).map(|rung| self.probability(shop, rung)));
        self.first + choose.choose(scratch)
    }
}

/// Probabilities of what the next event of a user of one type is; they sum to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Odds {
    /// There is none: the session is over.
    pub(super) leave: f64,
    /// The item in the cart is bought.
    pub(super) purchase: f64,
    /// The last item goes into the cart.
    pub(super) cart: f64,
    /// A second look at the item before the last.
    pub(super) back: f64,
    /// A look at an accessory of what was just bought.
    pub(super) accessory: f64,
    /// Any other view.
    pub(super) view: f64,
}

impl Odds {
    pub(super) fn new(shop: &Shop, of: usize, context: &Context) -> Self {
        let (config, user) = (&shop.config, &shop.config.types[of]);
        let kind = context.last.map(|(_, kind)| kind);
        let leave = if context.events < config.min_events {
            0.0
        } else if context.events >= config.max_events {
            1.0
        } else if kind == Some(Kind::Purchase) {
            user.leave_after_purchase
        } else {
            user.leave
        };
        let mut left = 1.0 - leave;
        let mut take = |possible: bool, probability: f64| {
            let taken = if possible { left * probability } else { 0.0 };
            left -= taken;
            taken
        };
        let purchase = take(context.cart.is_some(), user.purchase);
        let cart = take(context.cart.is_none() && kind == Some(Kind::View), user.cart);
        let back = take(context.back().is_some() && kind == Some(Kind::View), user.back);
        let accessory = take(kind == Some(Kind::Purchase), config.accessory);
        Self { leave, purchase, cart, back, accessory, view: left }
    }
}

/// Runs one session of a user of type `of` that starts with this interest.
///
/// Every event goes to `emit`, which may stop the session.
pub(super) fn session(
    shop: &Shop,
    of: usize,
    mut interest: Interest,
    choose: &mut impl Choose,
    mut emit: impl FnMut(Event) -> ControlFlow<()>,
) {
    let user = &shop.config.types[of];
    let any_style = vec![1.0; shop.config.styles + 1];
    let styles = [user.basic, user.taste, (1.0 - user.basic - user.taste).max(0.0)];
    let mut scratch = Vec::new();
    let mut context = Context::default();
    loop {
        let odds = Odds::new(shop, of, &context);
        let next = [odds.leave, odds.purchase, odds.cart, odds.back, odds.accessory, odds.view];
        let known = |item: Option<usize>| item.expect("odds are 0 where there is no such item");
        let last = context.last.map(|(item, _)| item);
        let (item, kind, why) = match choose.choose(&next) {
            0 => return,
            1 => (known(context.cart), Kind::Purchase, Why::Purchase),
            2 => (known(last), Kind::Cart, Why::Cart),
            3 => (known(context.back()), Kind::View, Why::Back),
            4 => {
                let (category, style) =
                    context.accessory(shop).expect("odds are 0 without a purchase");
                let rungs = context.rungs(shop, category, style, interest.budget);
                (rungs.draw(shop, &mut scratch, choose), Kind::View, Why::Accessory)
            }
            _ => {
                if context.events > 0 {
                    interest = step(shop, of, interest, choose);
                }
                let (category, why) = if choose.happens(user.detour) {
                    (choose.choose(&shop.detours), Why::Detour)
                } else {
                    (shop.routes[interest.mission][interest.position], Why::Route)
                };
                let style = match choose.choose(&styles) {
                    0 => 0,
                    1 => interest.style + 1,
                    _ => choose.choose(&any_style),
                };
                let rungs = context.rungs(shop, category, style, interest.budget);
                (rungs.draw(shop, &mut scratch, choose), Kind::View, why)
            }
        };
        debug_assert_eq!(kind, context.kind_of(item), "items tell kinds");
        context = context.after(item);
        if emit(Event { item, kind, why, interest }).is_break() {
            return;
        }
    }
}

/// How the interest moves with a view.
fn step(shop: &Shop, of: usize, mut interest: Interest, choose: &mut impl Choose) -> Interest {
    let config = &shop.config;
    if choose.happens(config.mission_drift) {
        interest.mission = shop.missions[of].next[interest.mission];
        interest.position = 0;
    } else if !choose.happens(config.types[of].stay) {
        interest.position = (interest.position + 1) % config.route_length;
    }
    if choose.happens(config.style_drift) {
        interest.style = shop.styles[of].next[interest.style];
    }
    interest
}
