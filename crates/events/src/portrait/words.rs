//! What sets a group apart, and what it may be called.

use serde::Serialize;

use super::{Portrait, Portraits};

/// Something in which a group differs from everybody.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mark {
    /// What it is, such as `purchases a user`.
    pub what: &'static str,
    /// The group's value.
    pub here: f64,
    /// Everybody's.
    pub all: f64,
    /// The one through the other.
    pub ratio: f64,
    /// How the value is written.
    pub unit: Unit,
    /// What a group may be called for it.
    #[serde(skip)]
    word: &'static str,
}

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// As a number.
    Number,
    /// As a share.
    Share,
    /// As days.
    Days,
}

/// A difference is worth a word from this ratio on, or its inverse.
const WORTH: f64 = 1.25;

/// A value of a portrait that may set a group apart.
struct Trait {
    what: &'static str,
    unit: Unit,
    value: fn(&Portrait) -> Option<f64>,
    /// What a group is called that has much of it, and one that has little; empty where it is no name.
    words: [&'static str; 2],
}

const TRAITS: [Trait; 12] = [
    Trait {
        what: "purchases a user",
        unit: Unit::Number,
        value: |p| Some(p.buying?.per_user),
        words: ["Frequent buyers", "Rare buyers"],
    },
    Trait {
        what: "spent by a user",
        unit: Unit::Number,
        value: |p| Some(p.buying?.spend?.per_user),
        words: ["Big spenders", "Small spenders"],
    },
    Trait {
        what: "sessions a user",
        unit: Unit::Number,
        value: |p| Some(p.sessions_per_user),
        words: ["Regulars", "Passers-by"],
    },
    Trait {
        what: "of the sessions with a purchase",
        unit: Unit::Share,
        value: |p| Some(p.buying?.share_of_sessions),
        words: ["Decided buyers", "Lookers"],
    },
    Trait {
        what: "of the users have bought",
        unit: Unit::Share,
        value: |p| Some(p.buying?.buyers),
        words: ["", ""],
    },
    Trait {
        what: "events a session",
        unit: Unit::Number,
        value: |p| Some(p.events_per_session),
        words: ["Long browsers", "Quick visitors"],
    },
    Trait {
        what: "since the last visit",
        unit: Unit::Days,
        value: |p| Some(p.when.as_ref()?.recency_days).filter(|&days| days > 0.0),
        words: ["Gone quiet", "Recent visitors"],
    },
    Trait {
        what: "between two visits",
        unit: Unit::Days,
        value: |p| p.when.as_ref()?.days_between.filter(|&days| days > 0.0),
        words: ["", ""],
    },
    Trait {
        what: "of the events at night (0 to 6)",
        unit: Unit::Share,
        value: |p| part_of_day(p, 0),
        words: ["Night visitors", ""],
    },
    Trait {
        what: "of the events in the morning (6 to 12)",
        unit: Unit::Share,
        value: |p| part_of_day(p, 6),
        words: ["Morning visitors", ""],
    },
    Trait {
        what: "of the events in the evening (18 to 24)",
        unit: Unit::Share,
        value: |p| part_of_day(p, 18),
        words: ["Evening visitors", ""],
    },
    Trait {
        what: "of the events on Saturday and Sunday",
        unit: Unit::Share,
        value: |p| Some(p.when.as_ref()?.weekdays[5..].iter().sum()),
        words: ["Weekend visitors", ""],
    },
];

fn part_of_day(portrait: &Portrait, from: usize) -> Option<f64> {
    Some(portrait.when.as_ref()?.hours.as_ref()?[from..from + 6].iter().sum())
}

/// In what a group differs from everybody, the largest difference first.
pub fn group_marks(group: &Portrait, all: &Portrait) -> Vec<Mark> {
    let found = TRAITS.iter().filter_map(|each| {
        let (here, all) = ((each.value)(group)?, (each.value)(all)?);
        let ratio = here / all;
        let worth = ratio >= WORTH || ratio <= 1.0 / WORTH;
        let word = each.words[usize::from(ratio < 1.0)];
        (all > 0.0 && worth).then_some(Mark {
            what: each.what,
            here,
            all,
            ratio,
            unit: each.unit,
            word,
        })
    });
    let mut found: Vec<Mark> = found.collect();
    // Nobody at all is the largest difference; the logarithm of nothing would hide every other.
    let size = |mark: &Mark| mark.ratio.max(0.01).ln().abs();
    found.sort_by(|a, b| size(b).total_cmp(&size(a)));
    found
}

/// A name for each group, from what sets it apart: how it behaves, and what it looks at. No two are the same.
pub fn group_names(portraits: &Portraits) -> Vec<String> {
    let parts: Vec<(Vec<&str>, Option<String>)> = (portraits.groups.iter())
        .map(|group| {
            let marks = group_marks(group, &portraits.all);
            let words = marks.iter().map(|mark| mark.word).filter(|word| !word.is_empty());
            (words.collect(), interest(group))
        })
        .collect();
    let compose = |place: usize, words: usize| {
        let (all, interest) = &parts[place];
        let mut name: Vec<String> = interest.iter().cloned().collect();
        let behaviour = all[..words.min(all.len())].iter().enumerate();
        name.splice(
            0..0,
            behaviour
                .map(|(k, word)| if k == 0 { (*word).to_owned() } else { word.to_lowercase() }),
        );
        if name.is_empty() { "Like everybody".to_owned() } else { capital(&name.join(", ")) }
    };
    let mut names: Vec<String> = Vec::new();
    for place in 0..parts.len() {
        // One word for behaviour; more where others have the same name.
        let longer = (1..=3).map(|words| compose(place, words));
        let free = longer.clone().find(|name| !names.contains(name));
        let name = free.unwrap_or_else(|| {
            let name = compose(place, 1);
            let next = (2..).map(|k| format!("{name} ({k})")).find(|name| !names.contains(name));
            next.unwrap_or(name)
        });
        names.push(name);
    }
    names
}

fn capital(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

/// What a group looks at most, compared with everybody: two categories; an item, where the log has none.
fn interest(group: &Portrait) -> Option<String> {
    let (lifts, what) = match group.categories.is_empty() && group.favourites.is_empty() {
        true => (&group.items[..group.items.len().min(1)], "item"),
        false => (&group.categories[..group.categories.len().min(2)], "category"),
    };
    let names: Vec<String> =
        lifts.iter().map(|lift| lift.name.chars().take(30).collect()).collect();
    // A number means something in the shop's own books alone, and one is enough.
    let number = |name: &String| name.chars().filter(char::is_ascii_digit).count() * 2 > name.len();
    match names.first() {
        None => None,
        Some(first) if number(first) => Some(format!("{what} {first}")),
        Some(_) => Some(names.join(" and ")),
    }
}
