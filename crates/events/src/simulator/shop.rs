//! The shop: what it sells, who comes, and every probability of the process in one place.
//!
//! [`ShopConfig`] holds the sizes and rates, [`UserType`] how one kind of shopper behaves, and
//! [`Shop`] what is drawn from them once per seed: routes, prices, names. The process and the filter
//! both read their numbers here, so that neither can have a rate of its own.

use rustc_hash::FxHashMap;

use super::SimulatorError;
use super::campaign::Campaign;
use super::draw::{Choose, Dice};

/// How one type of user shops. Every rate is a probability.
#[derive(Debug, Clone, PartialEq)]
pub struct UserType {
    /// The name in the truth file.
    pub name: String,
    /// Share of the users, up to a common factor.
    pub share: f64,
    /// A view stays in the category where the route stands, instead of going on to the next.
    pub stay: f64,
    /// A view leaves the route for any category, without moving along the route.
    pub detour: f64,
    /// A view is of the style that everyone looks at.
    pub basic: f64,
    /// A view is of the style that the user likes; what is left to 1 is any style.
    pub taste: f64,
    /// A view is followed by putting the item into the cart, where the cart is empty.
    pub cart: f64,
    /// The next event is the purchase of what is in the cart.
    pub purchase: f64,
    /// The next event goes back to the item before the last.
    pub back: f64,
    /// The session ends here.
    pub leave: f64,
    /// The session ends after a purchase.
    pub leave_after_purchase: f64,
    /// The session has a small budget.
    pub frugal: f64,
}

/// Sizes and rates of a shop; the default is the shop of `tidegate demo`.
#[derive(Debug, Clone, PartialEq)]
pub struct ShopConfig {
    /// Categories, at least two.
    pub categories: usize,
    /// Styles beside the basic one, at least one.
    pub styles: usize,
    /// Items of one style in one category, at least three.
    pub items_per_cell: usize,
    /// Missions, at least as many as user types.
    pub missions: usize,
    /// Categories on the route of a mission, all different.
    pub route_length: usize,
    /// Exponent of item popularity within a cell: weight of rank `r` is `1 / rᶻ`.
    pub zipf: f64,
    /// Exponent of category popularity among detours.
    pub detour_zipf: f64,
    /// Share of a type's sessions that follow one of its own missions.
    pub own_missions: f64,
    /// Share of a type's sessions in one of its two favourite styles.
    pub own_styles: f64,
    /// A view comes with a change to the next mission of the type.
    pub mission_drift: f64,
    /// A view comes with a change to the next style of the type.
    pub style_drift: f64,
    /// The view after a purchase is of an accessory.
    pub accessory: f64,
    /// Between two sessions: the interest goes on to the next of the type.
    pub session_drift: f64,
    /// Between two sessions: the interest is drawn afresh.
    pub session_renewal: f64,
    /// A user comes back for another session.
    pub come_back: f64,
    /// Events that every session has.
    pub min_events: usize,
    /// Events after which a session ends in any case.
    pub max_events: usize,
    /// Sessions after which a user does not come back in any case.
    pub max_sessions: usize,
    /// The kinds of users.
    pub types: Vec<UserType>,
    /// What some of them get at a moment; none where nobody does.
    pub campaign: Option<Campaign>,
}

impl Default for ShopConfig {
    fn default() -> Self {
        let gatherer = UserType {
            name: "gatherer".into(),
            share: 0.4,
            stay: 0.33,
            detour: 0.03,
            basic: 0.42,
            taste: 0.55,
            cart: 0.008,
            purchase: 0.25,
            back: 0.002,
            leave: 0.05,
            leave_after_purchase: 0.3,
            frugal: 0.6,
        };
        let comparer = UserType {
            name: "comparer".into(),
            share: 0.25,
            stay: 0.45,
            detour: 0.02,
            cart: 0.0065,
            purchase: 0.2,
            back: 0.008,
            leave: 0.04,
            frugal: 0.85,
            ..gatherer.clone()
        };
        let collector = UserType {
            name: "collector".into(),
            share: 0.2,
            stay: 0.25,
            detour: 0.02,
            basic: 0.36,
            taste: 0.62,
            cart: 0.010,
            purchase: 0.35,
            leave: 0.06,
            frugal: 0.2,
            ..gatherer.clone()
        };
        let stroller = UserType {
            name: "stroller".into(),
            share: 0.15,
            detour: 0.06,
            basic: 0.48,
            taste: 0.47,
            cart: 0.003,
            purchase: 0.15,
            leave: 0.08,
            ..gatherer.clone()
        };
        Self {
            categories: 8,
            styles: 4,
            items_per_cell: 4,
            missions: 6,
            route_length: 4,
            zipf: 2.0,
            detour_zipf: 0.8,
            own_missions: 0.7,
            own_styles: 0.6,
            mission_drift: 0.005,
            style_drift: 0.005,
            accessory: 0.4,
            session_drift: 0.25,
            session_renewal: 0.25,
            come_back: 0.75,
            min_events: 2,
            max_events: 60,
            max_sessions: 25,
            types: vec![gatherer, comparer, collector, stroller],
            campaign: None,
        }
    }
}

impl ShopConfig {
    /// A shop whose types of users want different things and come more often: each has a mission of its own
    /// and follows it in nearly all sessions. In the default shop types share so much that a user of a few
    /// sessions belongs to none of them for sure; here they can be told apart, though by no single item.
    pub fn distinct() -> Self {
        Self {
            missions: 4,
            own_missions: 0.95,
            session_renewal: 0.5,
            come_back: 0.85,
            ..Self::default()
        }
    }

    /// A shop with a campaign: after 60 days a random half of the users gets a voucher that holds 14 days. Types
    /// differ as in [`ShopConfig::distinct`], and answer it in five ways: many buy who would not have, some do,
    /// it is nothing to those who hardly buy at all and to those who buy anyway, and some are put off.
    pub fn treated() -> Self {
        let distinct = Self::distinct();
        let [gatherer, comparer, collector, stroller] =
            [0, 1, 2, 3].map(|like| distinct.types[like].clone());
        let named = |like: &UserType, name: &str, share: f64, cart: f64| UserType {
            name: name.into(),
            share,
            cart,
            leave: 0.08,
            ..like.clone()
        };
        Self {
            missions: 5,
            come_back: 0.9,
            types: vec![
                named(&gatherer, "persuadable", 0.25, 0.01),
                named(&comparer, "hesitant", 0.2, 0.01),
                named(&stroller, "unmoved", 0.2, 0.004),
                named(&collector, "put-off", 0.15, 0.03),
                named(&gatherer, "sure", 0.2, 0.06),
            ],
            campaign: Some(Campaign {
                // 2026-04-30T00:00:00Z: everybody has come once.
                at: 1_777_507_200,
                lasts: 14 * 86_400,
                cart: vec![0.06, 0.022, 0.004, 0.006, 0.06],
            }),
            ..distinct
        }
    }

    /// Looks for what no shop can be built from.
    pub(super) fn check(&self) -> Result<(), SimulatorError> {
        let wrong = |key: &str, why: String| Err(SimulatorError::Config { key: key.into(), why });
        let sizes = [
            ("categories", self.categories, 2, 1_000),
            ("styles", self.styles, 1, 100),
            ("items_per_cell", self.items_per_cell, 3, 1_000),
            ("types", self.types.len(), 1, 64),
            ("missions", self.missions, self.types.len(), 1_000),
            ("route_length", self.route_length, 1, self.categories),
            ("min_events", self.min_events, 1, 1_000),
            ("max_events", self.max_events, self.min_events, 1_000),
            ("max_sessions", self.max_sessions, 1, 1_000),
        ];
        for (key, value, low, high) in sizes {
            if !(low..=high).contains(&value) {
                return wrong(key, format!("{value} is not between {low} and {high}"));
            }
        }
        for (key, value) in [("zipf", self.zipf), ("detour_zipf", self.detour_zipf)] {
            if !(0.0..=10.0).contains(&value) {
                return wrong(key, format!("{value} is not between 0 and 10"));
            }
        }
        let rates = [
            ("own_missions", self.own_missions),
            ("own_styles", self.own_styles),
            ("mission_drift", self.mission_drift),
            ("style_drift", self.style_drift),
            ("accessory", self.accessory),
            ("session_drift", self.session_drift),
            ("session_renewal", self.session_renewal),
            ("session_drift + session_renewal", self.session_drift + self.session_renewal),
            ("come_back", self.come_back),
        ];
        let of_types = self.types.iter().flat_map(|t| {
            [
                ("stay", t.stay),
                ("detour", t.detour),
                ("basic", t.basic),
                ("taste", t.taste),
                ("basic + taste", t.basic + t.taste),
                ("cart", t.cart),
                ("purchase", t.purchase),
                ("back", t.back),
                ("leave", t.leave),
                ("leave_after_purchase", t.leave_after_purchase),
                ("frugal", t.frugal),
            ]
        });
        for (key, value) in rates.into_iter().chain(of_types) {
            if !(0.0..=1.0).contains(&value) {
                return wrong(key, format!("{value} is not a probability"));
            }
        }
        if let Some(t) = self.types.iter().find(|t| !(t.share > 0.0 && t.share.is_finite())) {
            return wrong("share", format!("{} of type {} is not above 0", t.share, t.name));
        }
        self.campaign.as_ref().map_or(Ok(()), |campaign| campaign.check(self.types.len()))
    }
}

/// Where an item stands: category, style (0 is the basic one), place on the price ladder of its cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The category, `0..categories`.
    pub category: usize,
    /// The style, `0..=styles`; 0 is the basic one.
    pub style: usize,
    /// 0 is the cheapest of the cell.
    pub rung: usize,
}

/// Budgets of a session: 0 small, 1 large.
pub(super) const BUDGETS: usize = 2;

/// A shop drawn from a configuration and a seed.
#[derive(Debug, Clone)]
pub struct Shop {
    /// What it was drawn from.
    pub config: ShopConfig,
    /// The seed it was drawn from.
    pub seed: u64,
    /// `routes[m]`: the categories of mission `m` in their order.
    pub(super) routes: Vec<Vec<usize>>,
    /// `missions[k]`: the missions of type `k`.
    pub(super) missions: Vec<Leaning>,
    /// `styles[k]`: the liked styles of type `k`; `0` stands for style 1.
    pub(super) styles: Vec<Leaning>,
    /// `accessory_of[c]`: where one looks after buying in category `c`.
    pub(super) accessory_of: Vec<usize>,
    /// Where detours lead, one weight a category, sum 1.
    pub(super) detours: Vec<f64>,
    /// `popularity[b][r]`: weight of rung `r` under budget `b`.
    pub(super) popularity: [Vec<f64>; BUDGETS],
    /// Sum of a row of `popularity`: the same for every budget.
    pub(super) popularity_total: f64,
    prices: Vec<f64>,
    ids: Vec<String>,
    index: FxHashMap<String, usize>,
    /// The same shop at the rates of those who have a voucher.
    changed: Option<Box<Shop>>,
}

const CATEGORIES: [&str; 16] = [
    "chair", "lamp", "rug", "table", "vase", "shelf", "mirror", "curtain", "pillow", "clock",
    "desk", "bed", "basket", "candle", "tray", "stool",
];
const STYLES: [&str; 9] =
    ["basic", "nordic", "vintage", "rustic", "modern", "boho", "retro", "loft", "garden"];

impl Shop {
    /// Draws the shop of a seed.
    ///
    /// # Errors
    ///
    /// [`SimulatorError::Config`] names the first key that no shop can be built from.
    pub fn new(config: ShopConfig, seed: u64) -> Result<Self, SimulatorError> {
        config.check()?;
        let mut dice = Dice::for_shop(seed);
        let routes = draw_routes(&config, &mut dice);
        let (categories, rungs) = (config.categories, config.items_per_cell);

        let kinds = config.types.len();
        let own_mission = |k: usize| move |mission: usize| mission % kinds == k;
        let missions = (0..kinds)
            .map(|k| Leaning::new(config.missions, config.own_missions, own_mission(k)))
            .collect();
        let likes = config.styles;
        let own_style =
            |k: usize| move |style: usize| style == k % likes || style == (k + 1) % likes;
        let styles =
            (0..kinds).map(|k| Leaning::new(likes, config.own_styles, own_style(k))).collect();

        let ring = dice.permutation(categories);
        let mut accessory_of = vec![0; categories];
        for (at, &category) in ring.iter().enumerate() {
            accessory_of[category] = ring[(at + 1) % categories];
        }

        let mut detours = vec![0.0; categories];
        for (rank, category) in dice.permutation(categories).into_iter().enumerate() {
            detours[category] = zipf(rank, config.detour_zipf);
        }
        let total: f64 = detours.iter().sum();
        detours.iter_mut().for_each(|weight| *weight /= total);

        let small: Vec<f64> = (0..rungs).map(|rung| zipf(rung, config.zipf)).collect();
        let popularity_total = small.iter().sum();
        let large = small.iter().rev().copied().collect();

        let base: Vec<f64> = (0..categories).map(|_| 8.0 + 140.0 * dice.uniform()).collect();
        let mut prices = Vec::new();
        let mut ids = Vec::new();
        for (category, base) in base.iter().enumerate() {
            for style in 0..=config.styles {
                let tier = 0.7 + 0.15 * style as f64;
                for rung in 0..rungs {
                    let price = base * tier * (0.6 + 1.2 * rung as f64 / (rungs - 1) as f64);
                    prices.push((price * 100.0).round() / 100.0);
                    let (category, style) = (name(&CATEGORIES, category), name(&STYLES, style));
                    ids.push(format!("{category}-{style}-{}", rung + 1));
                }
            }
        }
        let index = ids.iter().cloned().zip(0..).collect();
        let popularity = [small, large];
        let shop = Self {
            config,
            seed,
            routes,
            missions,
            styles,
            accessory_of,
            detours,
            popularity,
            popularity_total,
            prices,
            ids,
            index,
            changed: None,
        };
        let changed =
            shop.config.campaign.as_ref().map(|campaign| Box::new(campaign.changed(&shop)));
        Ok(Self { changed, ..shop })
    }

    /// The rates by which a session goes that begins at a moment.
    pub(super) fn rates(&self, treated: bool, start: i64) -> &Self {
        let reached = |campaign: &Campaign| treated && campaign.reaches(start);
        match &self.changed {
            Some(changed) if self.config.campaign.as_ref().is_some_and(reached) => changed,
            _ => self,
        }
    }

    /// Number of items.
    pub fn items(&self) -> usize {
        self.ids.len()
    }

    /// The id of an item in every file, such as `rug-nordic-2`.
    ///
    /// # Panics
    ///
    /// If there is no such item.
    pub fn item_id(&self, item: usize) -> &str {
        &self.ids[item]
    }

    /// The item that has this id.
    pub fn item_index(&self, id: &str) -> Option<usize> {
        self.index.get(id).copied()
    }

    /// The price of an item.
    ///
    /// # Panics
    ///
    /// If there is no such item.
    pub fn price(&self, item: usize) -> f64 {
        self.prices[item]
    }

    /// Where an item stands.
    pub fn place(&self, item: usize) -> Place {
        let rungs = self.config.items_per_cell;
        let (cell, rung) = (item / rungs, item % rungs);
        let styles = self.config.styles + 1;
        Place { category: cell / styles, style: cell % styles, rung }
    }

    /// The first item of a cell; its others follow.
    pub(super) fn cell(&self, category: usize, style: usize) -> usize {
        (category * (self.config.styles + 1) + style) * self.config.items_per_cell
    }

    /// The name of a category.
    pub fn category_name(&self, category: usize) -> String {
        name(&CATEGORIES, category)
    }

    /// The name of a style; style 0 is the basic one.
    pub fn style_name(&self, style: usize) -> String {
        name(&STYLES, style)
    }

    /// A mission is called by its route.
    pub fn mission_name(&self, mission: usize) -> String {
        let route = self.routes[mission].iter();
        route.map(|&category| self.category_name(category)).collect::<Vec<_>>().join(">")
    }
}

/// What a type of user is interested in, and where that drifts.
///
/// Interests are split into the type's own and the others. Shares are constant on either side, and
/// drifting goes round within a side: so drifting, as often as one likes, keeps the shares.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Leaning {
    /// Share of each interest among the sessions of the type, sum 1.
    pub(super) shares: Vec<f64>,
    /// The interest to which each one drifts: a permutation.
    pub(super) next: Vec<usize>,
}

impl Leaning {
    /// `own` of the mass for the interests that are the type's own; all of it where all are.
    fn new(count: usize, own: f64, is_own: impl Fn(usize) -> bool) -> Self {
        let owned = (0..count).filter(|&i| is_own(i)).count();
        let own = if owned == count { 1.0 } else { own };
        let share = |i| {
            if is_own(i) { own / owned as f64 } else { (1.0 - own) / (count - owned) as f64 }
        };
        let next = |i: usize| {
            let mut after = (1..=count).map(|step| (i + step) % count);
            after.find(|&j| is_own(j) == is_own(i)).unwrap_or(i)
        };
        Self { shares: (0..count).map(share).collect(), next: (0..count).map(next).collect() }
    }
}

fn zipf(rank: usize, exponent: f64) -> f64 {
    1.0 / ((rank + 1) as f64).powf(exponent)
}

fn name(names: &[&str], at: usize) -> String {
    names.get(at).map_or_else(|| format!("{}{}", names[at % names.len()], at), |n| (*n).into())
}

/// Routes of different categories, in which every category occurs about equally often: a category
/// stands on several routes, so that it alone does not tell what comes next.
fn draw_routes(config: &ShopConfig, dice: &mut Dice) -> Vec<Vec<usize>> {
    let mut used = vec![0; config.categories];
    let mut route = || {
        let mut route: Vec<usize> = Vec::with_capacity(config.route_length);
        while route.len() < config.route_length {
            let free = |c: &usize| !route.contains(c);
            let least = (0..config.categories).filter(free).map(|c| used[c]).min().unwrap_or(0);
            let rare = |c: usize| f64::from(u8::from(free(&c) && used[c] == least));
            let weights: Vec<f64> = (0..config.categories).map(rare).collect();
            let category = dice.choose(&weights);
            used[category] += 1;
            route.push(category);
        }
        route
    };
    (0..config.missions).map(|_| route()).collect()
}
