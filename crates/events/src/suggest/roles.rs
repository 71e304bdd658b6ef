//! Which column is for what, judged by names, by values, and by how columns hang together.

use super::profile::Profile;
use crate::Role;
use crate::log::bare;

/// What a column is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Role(Role),
    /// A further column of words.
    Label,
    /// A further column of numbers.
    Number,
    Nothing,
}

impl Use {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Role(role) => role.name(),
            Self::Label => "label",
            Self::Number => "number",
            Self::Nothing => "not read",
        }
    }
}

/// What a column is for, and what speaks for it.
#[derive(Debug)]
pub(super) struct Judgement {
    pub role: Use,
    pub reasons: Vec<String>,
}

/// A judgement on each column. Names count only where there is a header.
pub(super) fn judge(profiles: &[Profile], header: bool) -> Vec<Judgement> {
    let mut table = Table { profiles, header, taken: profiles.iter().map(|_| None).collect() };
    table.times();
    table.money();
    table.kinds();
    table.ids_by_name();
    table.ids_by_structure();
    let item = table.found(Role::Item).map(|at| &profiles[at]);
    let Table { taken, .. } = table;
    let rest = |(profile, taken): (&Profile, Option<Judgement>)| {
        taken.unwrap_or_else(|| further(profile, item))
    };
    profiles.iter().zip(taken).map(rest).collect()
}

struct Table<'a> {
    profiles: &'a [Profile],
    header: bool,
    taken: Vec<Option<Judgement>>,
}

impl Table<'_> {
    /// Columns of which nothing is known yet.
    fn free(&self) -> Vec<usize> {
        (0..self.profiles.len()).filter(|&at| self.taken[at].is_none()).collect()
    }

    fn found(&self, role: Role) -> Option<usize> {
        let is =
            |taken: &Option<Judgement>| taken.as_ref().is_some_and(|j| j.role == Use::Role(role));
        self.taken.iter().position(is)
    }

    fn take(&mut self, at: usize, role: Role, mut reasons: Vec<String>) {
        if self.hint(role, at) > 0.0 {
            reasons.insert(0, "its name".to_owned());
        }
        self.taken[at] = Some(Judgement { role: Use::Role(role), reasons });
    }

    /// How much the name speaks for a role: 3 where it is a usual one, 2 where it reminds of one.
    fn hint(&self, role: Role, at: usize) -> f64 {
        let name = bare(&self.profiles[at].name);
        if !self.header {
            return 0.0;
        }
        if role.known_names().contains(&name.as_str()) {
            return 3.0;
        }
        let like = reminders(role).iter().any(|word| name.contains(word));
        // What is told about somebody is not who it is.
        let about = ["name", "title", "description", "country", "city", "age", "gender", "status"];
        let told = about.iter().any(|word| name.ends_with(word));
        if like && !told { 2.0 } else { 0.0 }
    }

    /// The free column with the highest score above 0.
    fn best(&self, score: impl Fn(usize) -> f64) -> Option<usize> {
        let scores = self.free().into_iter().map(|at| (at, score(at)));
        // The first of equals: tables mostly begin with what matters.
        let best =
            scores.filter(|(_, score)| *score > 0.0).rev().max_by(|a, b| a.1.total_cmp(&b.1));
        best.map(|(at, _)| at)
    }

    fn times(&mut self) {
        let most = self.profiles.iter().map(Profile::distinct).max().unwrap_or(1);
        let score = |at: usize| {
            let profile = &self.profiles[at];
            let (hint, rising) = (self.hint(Role::Time, at), profile.rising);
            // Of a day and a moment the moment.
            let fine = 4.0 * profile.distinct() as f64 / most as f64;
            match (profile.dates, profile.moments) {
                (0.9.., _) => 4.0 + hint + rising + fine,
                (_, 0.9..) if hint > 0.0 => 1.0 + hint + rising + fine,
                // A number may be an id that happens to look like a moment.
                (_, 0.9..) if rising > 0.7 => 1.0 + rising,
                (_, 0.9..) if self.alone(at) => 0.5,
                _ => 0.0,
            }
        };
        let Some(at) = self.best(score) else { return };
        let profile = &self.profiles[at];
        let what = if profile.dates >= 0.9 { "dates" } else { "seconds or so since 1970" };
        let mut reasons = vec![format!("its values are {what}")];
        if profile.rising > 0.7 {
            reasons.push(format!("they rise in {} of steps", percent(profile.rising)));
        }
        self.take(at, Role::Time, reasons);
    }

    /// Whether a column of moments in no order is the only one, nearly all of them different, and its
    /// name speaks for nothing else.
    fn alone(&self, at: usize) -> bool {
        let like = self.profiles.iter().filter(|profile| profile.moments >= 0.9).count();
        let other = Role::ALL.into_iter().any(|role| self.hint(role, at) > 0.0);
        like == 1 && !other && self.profiles[at].variety() > 0.5
    }

    /// Price, quantity, amount: by their names, and the amount also as the product of two others.
    fn money(&mut self) {
        for role in [Role::Amount, Role::Quantity, Role::Price] {
            let score = |at: usize| {
                let profile = &self.profiles[at];
                let fits = profile.numeric > 0.95
                    && (role != Role::Quantity || profile.fractions < 0.05)
                    && profile.distinct() > 1;
                if fits { self.hint(role, at) } else { 0.0 }
            };
            let Some(at) = self.best(score) else { continue };
            let profile = &self.profiles[at];
            let whole = if profile.fractions > 0.0 { "numbers" } else { "whole numbers" };
            self.take(at, role, vec![format!("its values are {whole}")]);
        }
        let (Some(price), Some(quantity)) = (self.found(Role::Price), self.found(Role::Quantity))
        else {
            return;
        };
        let product = |at: usize| {
            let [price, quantity, amount] =
                [price, quantity, at].map(|at| &self.profiles[at].numbers);
            let known = (0..amount.len()).filter(|&row| amount[row].is_finite());
            let (mut rows, mut same) = (0usize, 0usize);
            for row in known {
                rows += 1;
                let expected = price[row] * quantity[row];
                same +=
                    usize::from((amount[row] - expected).abs() <= 0.006 + 1e-6 * expected.abs());
            }
            if rows > 0 && 20 * same >= 19 * rows { 1.0 } else { 0.0 }
        };
        if self.found(Role::Amount).is_none()
            && let Some(at) = self.best(product)
        {
            self.take(at, Role::Amount, vec!["it is price times quantity".to_owned()]);
        }
    }

    fn kinds(&mut self) {
        let score = |at: usize| {
            let profile = &self.profiles[at];
            let few = profile.distinct() <= 40 && 5 * profile.distinct() <= profile.filled.max(10);
            let hint = self.hint(Role::Kind, at);
            match few {
                true if profile.kinds > 0.5 => 2.0 + hint + profile.kinds,
                true if hint >= 3.0 => hint,
                _ => 0.0,
            }
        };
        let Some(at) = self.best(score) else { return };
        let profile = &self.profiles[at];
        let mut words = profile.words.clone();
        words.truncate(6);
        let reason = format!("{} different words: {}", profile.distinct(), words.join(", "));
        self.take(at, Role::Kind, vec![reason]);
    }

    /// Whether a column can name somebody or something.
    fn is_id(&self, at: usize) -> bool {
        let profile = &self.profiles[at];
        profile.distinct() > 1
            && profile.fractions < 0.05
            && profile.negative == 0.0
            && profile.blanks < 0.2
            && profile.dates < 0.5
            && profile.words.iter().all(|word| word.len() <= 200)
    }

    fn ids_by_name(&mut self) {
        for role in [Role::Session, Role::User, Role::Item, Role::Category] {
            let most = self.profiles.iter().map(Profile::distinct).max().unwrap_or(1);
            let score = |at: usize| {
                let hint = self.hint(role, at);
                let few = role == Role::Session && self.profiles[at].variety() < 0.002;
                if hint == 0.0 || few || !self.is_id(at) {
                    return 0.0;
                }
                // Of two that are named alike the one that tells more apart.
                let distinct = self.profiles[at].distinct() as f64;
                hint + 0.9 * distinct.ln() / (most.max(2) as f64).ln()
            };
            let Some(at) = self.best(score) else { continue };
            let reasons = self.told(at);
            self.take(at, role, reasons);
        }
    }

    /// What is said of any id.
    fn told(&self, at: usize) -> Vec<String> {
        let profile = &self.profiles[at];
        let mut told =
            vec![format!("{} different values in {} rows", profile.distinct(), profile.filled)];
        if profile.bursts > 0.1 {
            told.push(format!("they come in bursts, {} beyond chance", percent(profile.bursts)));
        }
        told
    }

    fn ids_by_structure(&mut self) {
        let profiles = self.profiles;
        let ids = |table: &Self| -> Vec<usize> {
            // Neither a number of the row nor the day, the country, the shop.
            let usable =
                |at: &usize| table.is_id(*at) && (0.005..0.98).contains(&profiles[*at].variety());
            table.free().into_iter().filter(usable).collect()
        };
        let follows = |from: usize, to: usize| profiles[from].determines(&profiles[to]);
        // What only rises with the time is a part of it: the hour, the week.
        let time = self.found(Role::Time).filter(|&at| profiles[at].rising > 0.999);
        let of_time = |at: usize| time.is_some() && profiles[at].rising > 0.999;

        if self.found(Role::User).is_none() && self.found(Role::Session).is_none() {
            let actor = self.best(|at| {
                let fits = ids(self).contains(&at) && !of_time(at);
                if fits { profiles[at].bursts - 0.05 } else { 0.0 }
            });
            if let Some(at) = actor {
                // Sessions come in bursts, too, and each of them belongs to one user.
                let owner = ids(self).into_iter().filter(|&other| {
                    let of_one = follows(at, other).is_some_and(|share| share > 0.99);
                    let fewer = profiles[other].distinct() < profiles[at].distinct();
                    of_one && fewer && 2.0 * profiles[other].bursts > profiles[at].bursts
                });
                let at = owner.max_by_key(|&other| profiles[other].distinct()).unwrap_or(at);
                let reasons = self.told(at);
                self.take(at, Role::User, reasons);
            }
        }
        // A session belongs to one user; a user has several.
        if let Some(user) = self.found(Role::User).filter(|_| self.found(Role::Session).is_none()) {
            let session = self.best(|at| {
                let of_one = follows(at, user).is_some_and(|share| share > 0.99);
                let more = profiles[at].distinct() > profiles[user].distinct();
                let fits = of_one && more && ids(self).contains(&at) && profiles[at].bursts > 0.05;
                f64::from(u8::from(fits))
            });
            if let Some(at) = session {
                let mut reasons = self.told(at);
                reasons.push(format!("each belongs to one {:?}", profiles[user].name));
                self.take(at, Role::Session, reasons);
            }
        }
        let actor = self.found(Role::Session).or(self.found(Role::User));
        if let Some(actor) = actor.filter(|_| self.found(Role::Item).is_none()) {
            let item = self.best(|at| {
                let profile = &profiles[at];
                let several = profile.distinct() >= 5 && profile.variety() < 0.98;
                let free = follows(actor, at).is_none_or(|share| share < 0.9);
                let fits = several && free && !of_time(at) && self.is_id(at);
                if fits { (profiles[at].distinct() as f64).ln() } else { 0.0 }
            });
            if let Some(at) = item {
                let mut reasons = self.told(at);
                reasons.push("of what is left it tells most apart".to_owned());
                self.take(at, Role::Item, reasons);
            }
        }
        if let Some(item) = self.found(Role::Item).filter(|_| self.found(Role::Category).is_none())
        {
            let category = self.best(|at| {
                let profile = &profiles[at];
                let of_item = follows(item, at).is_some_and(|share| share > 0.97);
                let fewer = 2 * profile.distinct() <= profiles[item].distinct();
                let fits = of_item && fewer && self.is_id(at) && profile.distinct() > 2;
                if fits { (profile.distinct() as f64).ln() } else { 0.0 }
            });
            if let Some(at) = category {
                let reason = format!("each {:?} has one of them", profiles[item].name);
                let different = format!("{} different values", profiles[at].distinct());
                self.take(at, Role::Category, vec![different, reason]);
            }
        }
    }
}

/// What a column without a role is good for.
fn further(profile: &Profile, item: Option<&Profile>) -> Judgement {
    let distinct = profile.distinct();
    let of_item = item.is_some_and(|item| {
        10 * distinct >= 8 * item.distinct()
            && item.determines(profile).is_some_and(|share| share > 0.95)
    });
    // Whole numbers so large count nothing.
    let codes = profile.fractions == 0.0 && profile.numbers.iter().any(|number| *number >= 1e6);
    let gaps = match profile.gaps() {
        0.0 => String::new(),
        share => format!(", missing in {} of rows", percent(share)),
    };
    let (role, reason) = if distinct <= 1 {
        (Use::Nothing, "all rows have the same".to_owned())
    } else if profile.dates > 0.5 {
        (Use::Nothing, "another time".to_owned())
    } else if of_item && distinct > 20 {
        (Use::Nothing, "another name of the item".to_owned())
    } else if profile.numeric > 0.95 && !codes && (profile.fractions > 0.0 || distinct > 50) {
        let id = profile.fractions == 0.0 && profile.variety() > 0.5;
        match id {
            true => (Use::Nothing, format!("{distinct} whole numbers, most of them once: an id")),
            false => (Use::Number, format!("{distinct} different numbers{gaps}")),
        }
    } else if profile.variety() > 0.2 && distinct > 20 {
        (Use::Nothing, format!("{distinct} different values: too many to learn from"))
    } else {
        (Use::Label, format!("{distinct} different values{gaps}"))
    };
    Judgement { role, reasons: vec![reason] }
}

/// Words that names of columns are made of.
fn reminders(role: Role) -> &'static [&'static str] {
    match role {
        Role::User => &[
            "user", "cust", "visitor", "client", "member", "buyer", "shopper", "person", "account",
            "cookie",
        ],
        Role::Item => &[
            "item", "prod", "sku", "article", "artikel", "asin", "goods", "stock", "isbn", "movie",
        ],
        Role::Time => &["time", "date", "stamp", "when", "moment", "created"],
        Role::Kind => &["event", "action", "behavio", "type", "kind", "activity", "what"],
        Role::Session => {
            &["session", "visit", "basket", "invoice", "order", "receipt", "ticket", "transaction"]
        }
        Role::Category => &["categ", "department", "dept", "group", "class", "genre", "section"],
        Role::Price => &["price", "cost"],
        Role::Quantity => &["quantity", "qty", "units", "pieces", "count"],
        Role::Amount => &["amount", "total", "revenue", "turnover", "sales", "paid"],
    }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}
