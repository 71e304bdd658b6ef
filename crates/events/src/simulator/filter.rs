//! The exact filter: what the items of a session so far tell about everything hidden.
//!
//! The hidden state is `z = (k, b, m, p, s)`: type, budget, mission, position, style. With the
//! context `o` (which the items tell for certain) and `α(z) = P(z | items so far)`:
//!
//! ```text
//!     β(z)      = α(z) / Σ_z α(z) (1 − leave_k(o))                      the session goes on
//!     γ(z′)     = Σ_z P(z′ | z) β(z)                                     the interest moves with a view
//!     P(x)      = Σ_z β(z) [purchase_k(o) 1(x = cart) + cart_k(o) 1(x = last)
//!                           + back_k(o) 1(x = before) + accessory_k(o) A_b(x)]
//!               + Σ_z γ(z) view_k(o) C_kmp(c) S_ks(y) R_b(x | c, y)      x in category c, style y
//!     α′(z)     ∝ the same sums without Σ_z, at the x that came
//! ```
//!
//! `C` is the route's category with `1 − detour_k`, or a detour; `S` the basic, liked or any style;
//! `R` popularity within the cell under budget `b` without the last item and the cart; `A` the same
//! in the cell of the accessories. Only a view moves the interest; all other events keep `z`.

use super::SimulatorError;
use super::process::{Context, Kind, Odds};
use super::shop::{BUDGETS, Shop};

/// The distribution of a session's hidden state, and from it that of the next item.
///
/// Made once and used for any number of sessions; `reset` begins the next.
#[derive(Debug, Clone)]
pub struct Filter<'a> {
    shop: &'a Shop,
    context: Context,
    /// `β(z)`, `[k][b][m][p][s]`.
    now: Vec<f64>,
    /// `γ(z)`, likewise.
    moved: Vec<f64>,
    /// `α(z)` before the first event.
    start: Vec<f64>,
    /// Per type, at the present context.
    odds: Vec<Odds>,
    /// `Σ β` of each type and budget.
    mass: Vec<[f64; BUDGETS]>,
    /// Scratch: `[m][p][s]`.
    scratch: Vec<f64>,
}

impl<'a> Filter<'a> {
    /// The filter before the first event of a session.
    pub fn new(shop: &'a Shop) -> Self {
        let config = &shop.config;
        let (kinds, block) = (config.types.len(), block(shop));
        let mut start = vec![0.0; kinds * BUDGETS * block];
        let users: f64 = config.types.iter().map(|t| t.share).sum();
        for (of, user) in config.types.iter().enumerate() {
            for (budget, of_budget) in [user.frugal, 1.0 - user.frugal].into_iter().enumerate() {
                let states = &mut start[(of * BUDGETS + budget) * block..][..block];
                for (mission, of_mission) in shop.missions[of].shares.iter().enumerate() {
                    let at = mission * config.route_length * config.styles;
                    for (style, of_style) in shop.styles[of].shares.iter().enumerate() {
                        states[at + style] = user.share / users * of_budget * of_mission * of_style;
                    }
                }
            }
        }
        let mut filter = Self {
            shop,
            context: Context::default(),
            now: start.clone(),
            moved: start.clone(),
            start,
            odds: Vec::with_capacity(kinds),
            mass: vec![[0.0; BUDGETS]; kinds],
            scratch: vec![0.0; block],
        };
        filter.look_ahead();
        filter
    }

    /// Back to before the first event.
    pub fn reset(&mut self) {
        self.context = Context::default();
        self.now.copy_from_slice(&self.start);
        self.look_ahead();
    }

    /// `P(next item = x | items so far, the session goes on)` for every `x`.
    ///
    /// # Panics
    ///
    /// If `probabilities` has not one place for every item.
    pub fn predict(&self, probabilities: &mut [f64]) {
        assert_eq!(probabilities.len(), self.shop.items(), "one probability for every item");
        let (shop, config) = (self.shop, &self.shop.config);
        probabilities.fill(0.0);
        let mut add_cell = |category, style, budget, weight: f64| {
            let rungs = self.context.rungs(shop, category, style, budget);
            for rung in 0..config.items_per_cell {
                probabilities[rungs.first + rung] += weight * rungs.probability(shop, rung);
            }
        };
        for budget in 0..BUDGETS {
            let cells = self.view_cells(budget);
            for (category, styles) in cells.chunks(config.styles + 1).enumerate() {
                for (style, &weight) in styles.iter().enumerate() {
                    add_cell(category, style, budget, weight);
                }
            }
            if let Some((category, style)) = self.context.accessory(shop) {
                let weights = self.odds.iter().zip(&self.mass);
                let weight = weights.map(|(odds, mass)| odds.accessory * mass[budget]).sum();
                add_cell(category, style, budget, weight);
            }
        }
        let mut add_item = |item: Option<usize>, odds: fn(&Odds) -> f64| {
            if let Some(item) = item {
                let weights = self.odds.iter().zip(&self.mass);
                probabilities[item] +=
                    weights.map(|(of, mass)| odds(of) * mass.iter().sum::<f64>()).sum::<f64>();
            }
        };
        add_item(self.context.cart, |odds| odds.purchase);
        add_item(self.context.last.map(|(item, _)| item), |odds| odds.cart);
        add_item(self.context.back(), |odds| odds.back);
    }

    /// Takes in the next item and returns the probability that it had.
    ///
    /// # Errors
    ///
    /// [`SimulatorError::Impossible`] where this shop cannot have made the session; the filter is
    /// then to be reset.
    pub fn observe(&mut self, item: usize) -> Result<f64, SimulatorError> {
        let event = self.context.events;
        if item >= self.shop.items() {
            return Err(SimulatorError::NoSuchItem { item, items: self.shop.items() });
        }
        match self.context.kind_of(item) {
            Kind::View => self.weigh_view(item),
            Kind::Cart => self.weigh(|odds| odds.cart),
            Kind::Purchase => self.weigh(|odds| odds.purchase),
        }
        let total: f64 = self.now.iter().sum();
        if total <= 0.0 {
            let item = self.shop.item_id(item).into();
            return Err(SimulatorError::Impossible { item, event });
        }
        self.now.iter_mut().for_each(|weight| *weight /= total);
        self.context = self.context.after(item);
        self.look_ahead();
        Ok(total)
    }

    /// From `α` to `β` and `γ` at the present context.
    fn look_ahead(&mut self) {
        let (shop, block) = (self.shop, block(self.shop));
        self.odds.clear();
        self.odds.extend((0..self.mass.len()).map(|of| Odds::new(shop, of, &self.context)));
        let mut goes_on = 0.0;
        for (part, states) in self.now.chunks_exact(block).enumerate() {
            let (of, budget) = (part / BUDGETS, part % BUDGETS);
            let mass = states.iter().sum();
            self.mass[of][budget] = mass;
            goes_on += mass * (1.0 - self.odds[of].leave);
        }
        // Nothing goes on after `max_events`: all weights become 0, and any further item impossible.
        let scale = if goes_on > 0.0 { 1.0 / goes_on } else { 0.0 };
        self.now.iter_mut().for_each(|weight| *weight *= scale);
        self.mass.iter_mut().flatten().for_each(|mass| *mass *= scale);
        if self.context.events == 0 {
            self.moved.copy_from_slice(&self.now);
        } else {
            self.step();
        }
    }

    /// `γ(z′) = Σ_z P(z′ | z) β(z)`.
    fn step(&mut self) {
        let config = &self.shop.config;
        let (styles, route) = (config.styles, config.route_length * config.styles);
        let drift = config.mission_drift;
        let parts = self.now.chunks_exact(self.scratch.len());
        for (part, (now, moved)) in
            parts.zip(self.moved.chunks_exact_mut(self.scratch.len())).enumerate()
        {
            let of = part / BUDGETS;
            let stay = config.types[of].stay;
            for (before, after) in now.chunks_exact(route).zip(self.scratch.chunks_exact_mut(route))
            {
                for at in 0..route {
                    let previous = before[(at + route - styles) % route];
                    after[at] = (1.0 - drift) * (stay * before[at] + (1.0 - stay) * previous);
                }
            }
            for (mission, before) in now.chunks_exact(route).enumerate() {
                let at = self.shop.missions[of].next[mission] * route;
                for positions in before.chunks_exact(styles) {
                    for (style, weight) in positions.iter().enumerate() {
                        self.scratch[at + style] += drift * weight;
                    }
                }
            }
            let next = &self.shop.styles[of].next;
            for (from, to) in self.scratch.chunks_exact(styles).zip(moved.chunks_exact_mut(styles))
            {
                for (to, from) in to.iter_mut().zip(from) {
                    *to = (1.0 - config.style_drift) * from;
                }
                for (style, weight) in from.iter().enumerate() {
                    to[next[style]] += config.style_drift * weight;
                }
            }
        }
    }

    /// `Σ_z γ(z) view_k C_kmp(c) S_ks(y)` under one budget, `[c][y]`.
    fn view_cells(&self, budget: usize) -> Vec<f64> {
        let (shop, config) = (self.shop, &self.shop.config);
        let (block, styles) = (self.scratch.len(), config.styles);
        let mut cells = vec![0.0; config.categories * (styles + 1)];
        let mut liked = vec![0.0; config.categories * styles];
        let mut total = vec![0.0; styles];
        for (of, user) in config.types.iter().enumerate() {
            let view = self.odds[of].view;
            liked.fill(0.0);
            total.fill(0.0);
            let states = &self.moved[(of * BUDGETS + budget) * block..][..block];
            let stops = shop.routes.iter().flatten();
            for (&category, weights) in stops.zip(states.chunks_exact(styles)) {
                for (style, &weight) in weights.iter().enumerate() {
                    liked[category * styles + style] += (1.0 - user.detour) * weight;
                    total[style] += user.detour * weight;
                }
            }
            for (category, cells) in cells.chunks_exact_mut(styles + 1).enumerate() {
                let liked = &mut liked[category * styles..][..styles];
                for (liked, total) in liked.iter_mut().zip(&total) {
                    *liked += shop.detours[category] * total;
                }
                let sum: f64 = liked.iter().sum();
                let any = (1.0 - user.basic - user.taste).max(0.0) / (styles + 1) as f64;
                cells[0] += view * (user.basic + any) * sum;
                for (cell, liked) in cells[1..].iter_mut().zip(liked) {
                    *cell += view * (user.taste * *liked + any * sum);
                }
            }
        }
        cells
    }

    /// `α′` after an event that leaves the interest where it is.
    fn weigh(&mut self, odds: impl Fn(&Odds) -> f64) {
        let block = self.scratch.len();
        for (part, states) in self.now.chunks_exact_mut(block).enumerate() {
            let weight = odds(&self.odds[part / BUDGETS]);
            states.iter_mut().for_each(|state| *state *= weight);
        }
    }

    /// `α′` after a view: a second look, an accessory and a view of its own are summed, as the item
    /// alone does not tell them apart.
    fn weigh_view(&mut self, item: usize) {
        let (shop, config) = (self.shop, &self.shop.config);
        let (block, styles) = (self.scratch.len(), config.styles);
        let place = shop.place(item);
        let back = self.context.back() == Some(item);
        let accessory = self.context.accessory(shop) == Some((place.category, place.style));
        let mut of_style = vec![0.0; styles];
        for of in 0..config.types.len() {
            let (user, odds) = (&config.types[of], self.odds[of]);
            let any = (1.0 - user.basic - user.taste).max(0.0) / (styles + 1) as f64;
            for (style, weight) in of_style.iter_mut().enumerate() {
                let liked = place.style == style + 1;
                let basic = place.style == 0;
                *weight = any + if basic { user.basic } else { 0.0 };
                *weight += if liked { user.taste } else { 0.0 };
            }
            for budget in 0..BUDGETS {
                let rungs = self.context.rungs(shop, place.category, place.style, budget);
                let rung = rungs.probability(shop, place.rung);
                let keep = if back { odds.back } else { 0.0 }
                    + if accessory { odds.accessory * rung } else { 0.0 };
                let at = (of * BUDGETS + budget) * block;
                let now = self.now[at..][..block].chunks_exact_mut(styles);
                let moved = self.moved[at..][..block].chunks_exact(styles);
                for ((&stop, now), moved) in shop.routes.iter().flatten().zip(now).zip(moved) {
                    let route = if stop == place.category { 1.0 - user.detour } else { 0.0 };
                    let category = route + user.detour * shop.detours[place.category];
                    let view = odds.view * category * rung;
                    for ((now, moved), style) in now.iter_mut().zip(moved).zip(&of_style) {
                        *now = keep * *now + view * style * moved;
                    }
                }
            }
        }
    }
}

/// Number of states of one type and budget.
fn block(shop: &Shop) -> usize {
    shop.config.missions * shop.config.route_length * shop.config.styles
}
