//! What may be shown to whom: the rules of the command line over a vocabulary and a log.

use std::path::Path;

use anyhow::{Result, anyhow};
use events::{BuyRule, Buys, Further, Log, NONE, Names, Table, Vocabulary};
use train::Knowledge;
use train::recommend::Shelf;

use super::read_ids;
use crate::args::Ruling;
use crate::failure::usage;
use crate::output::count;
use crate::progress::warn;
use crate::settings::{RecommendSettings, Settings, put};

/// The column of a table of items that says their categories, where nothing else is said.
const CATEGORY: &str = "category";

/// Lays the flags over the settings.
pub(super) fn overlay(settings: &mut RecommendSettings, flags: &Ruling) {
    put(&mut settings.seen, &flags.seen);
    put(&mut settings.bought, &flags.bought);
    put(&mut settings.buys, &flags.buys);
    put(&mut settings.category_column, &flags.category_column);
    put(&mut settings.allow, &flags.allow);
    put(&mut settings.deny, &flags.deny);
    put(&mut settings.item_table, &flags.item_table);
    put(&mut settings.per_category, &flags.per_category);
    for (to, from) in [
        (&mut settings.only_category, &flags.only_category),
        (&mut settings.only_kind, &flags.only_kind),
    ] {
        if !from.is_empty() {
            to.clone_from(from);
        }
    }
}

/// What is done with what a user knows already.
#[derive(Debug, Clone)]
pub(super) struct Habits {
    seen: bool,
    bought: Option<BuyRule>,
}

/// Checks the rules before anything is read.
pub(super) fn check(asked: &RecommendSettings, knowledge: &Knowledge) -> Result<Habits> {
    let drops = |key: &str, value: &Option<String>| match value.as_deref() {
        None | Some("keep") => Ok(false),
        Some("drop") => Ok(true),
        Some(other) => Err(usage(format!("--{key} {other:?}: expected keep or drop"))),
    };
    if asked.per_category == Some(0) {
        return Err(usage("recommend.per_category = 0: set it to 1 or more, or leave it out"));
    }
    let (seen, bought) = (drops("seen", &asked.seen)?, drops("bought", &asked.bought)?);
    if asked.buys.is_some() && !bought {
        return Err(usage("--buys says what --bought drop drops; give that, or leave it out"));
    }
    if asked.log.is_empty() {
        for (flag, said) in
            [("--bought drop", bought), ("--only-kind", !asked.only_kind.is_empty())]
        {
            if said {
                return Err(usage(format!("{flag} looks into a log; give --log LOG")));
            }
        }
        if wants_categories(asked) && asked.item_table.is_none() {
            return Err(usage(
                "--per-category and --only-category need the items' categories; give --log LOG with a \
                 column of them, or --item-table FILE",
            ));
        }
    }
    let of_model = knowledge.tasks.as_ref().map(|tasks| tasks.buys.as_str());
    let rule = asked.buys.as_deref().or(of_model).unwrap_or("auto");
    let bought = bought.then(|| rule.parse()).transpose()?;
    Ok(Habits { seen, bought })
}

fn wants_categories(asked: &RecommendSettings) -> bool {
    asked.per_category.is_some() || !asked.only_category.is_empty()
}

/// What may be shown to anyone.
pub(super) fn shelf(
    settings: &Settings,
    asked: &RecommendSettings,
    vocabulary: &Vocabulary,
    log: Option<&Log>,
) -> Result<Shelf> {
    let mut shown: Option<Vec<bool>> = None;
    let mut keep = |rule: &dyn Fn(u32) -> bool| {
        let shown = shown.get_or_insert_with(|| vec![true; vocabulary.len()]);
        shown.iter_mut().enumerate().for_each(|(item, shown)| *shown &= rule(item as u32));
    };
    if let Some(path) = &asked.allow {
        let ids = listed("--allow", path, vocabulary)?;
        keep(&|item| ids[item as usize]);
    }
    if let Some(path) = &asked.deny {
        let ids = listed("--deny", path, vocabulary)?;
        keep(&|item| !ids[item as usize]);
    }
    if let (Some(log), false) = (log, asked.only_kind.is_empty()) {
        let met = met(log, &asked.only_kind, vocabulary)?;
        keep(&|item| met[item as usize]);
    }
    let mut limit = None;
    if wants_categories(asked) {
        let (names, categories) = categories(settings, asked, vocabulary, log)?;
        if !asked.only_category.is_empty() {
            let wanted = found("--only-category", "category", &asked.only_category, &names)?;
            keep(&|item| wanted.contains(&categories[item as usize]));
        }
        limit = asked.per_category.map(|most| (most, categories));
    }
    let other = vocabulary.other();
    let left = |shown: &Vec<bool>| {
        shown.iter().enumerate().any(|(item, &shown)| shown && Some(item as u32) != other)
    };
    if shown.as_ref().is_some_and(|shown| !left(shown)) {
        warn("the rules leave none of the model's items: nothing will be recommended");
    }
    Ok(Shelf { shown, limit })
}

/// Which items a file names.
fn listed(flag: &str, path: &Path, vocabulary: &Vocabulary) -> Result<Vec<bool>> {
    let ids = read_ids(flag, path)?;
    let mut named = vec![false; vocabulary.len()];
    let (mut unknown, mut first) = (0, None);
    for id in &ids {
        match vocabulary.find(id) {
            Some(item) => named[item as usize] = true,
            None => {
                unknown += 1;
                first.get_or_insert(id);
            }
        }
    }
    if let Some(first) = first {
        warn(&format!(
            "{flag} {}: {} of {} ids are no items of the model (the first: {first})",
            path.display(),
            count(unknown as u64),
            count(ids.len())
        ));
    }
    Ok(named)
}

/// The items that had an event of one of these kinds.
fn met(log: &Log, kinds: &[String], vocabulary: &Vocabulary) -> Result<Vec<bool>> {
    if log.kinds.is_empty() {
        return Err(anyhow!(
            "--only-kind {}: the log has no column of kinds; name it with --columns kind=NAME",
            kinds[0]
        ));
    }
    let wanted = found("--only-kind", "kind of event", kinds, &log.kinds)?;
    let mut met = vec![false; vocabulary.len()];
    let numbers = numbers(log, vocabulary);
    for (&kind, &item) in log.events.kind.iter().zip(&log.events.item) {
        let item = numbers[item as usize];
        if item != NONE && wanted.contains(&kind) {
            met[item as usize] = true;
        }
    }
    Ok(met)
}

/// The numbers of names that were asked for.
fn found(flag: &str, what: &str, asked: &[String], names: &Names) -> Result<Vec<u32>> {
    let number = |name: &String| {
        names.find(name).ok_or_else(|| {
            let some: Vec<&str> = names.iter().take(8).collect();
            let more = if names.len() > some.len() { ", ..." } else { "" };
            anyhow!("{flag} {name}: there is no such {what}; there are {}{more}", some.join(", "))
        })
    };
    asked.iter().map(number).collect()
}

/// The categories of the model's items, and their names. Of an item that a log has under several, it is the
/// one of its last row.
fn categories(
    settings: &Settings,
    asked: &RecommendSettings,
    vocabulary: &Vocabulary,
    log: Option<&Log>,
) -> Result<(Names, Vec<u32>)> {
    let in_log = log.filter(|log| !log.categories.is_empty());
    // The table of a settings file may be for features alone; one that is named here is for this.
    let table = asked.item_table.as_ref();
    let table = table.or(settings.data.item_table.as_ref().filter(|_| in_log.is_none()));
    if let Some(path) = table {
        let column = asked.category_column.as_deref().unwrap_or(CATEGORY);
        let further = Further { labels: vec![column.to_owned()], ..Further::default() };
        let table = Table::read(path, &further)?;
        let mut names = Names::default();
        let of_item = |id| table.word(column, id).map_or(NONE, |word| names.intern(word));
        let categories: Vec<u32> = vocabulary.names().iter().map(of_item).collect();
        if categories.iter().all(|&category| category == NONE) {
            return Err(anyhow!(
                "{}: says no category of any of the model's items; its first column must be their ids",
                path.display()
            ));
        }
        return Ok((names, categories));
    }
    let Some(log) = in_log else {
        return Err(anyhow!(
            "--per-category and --only-category: the log has no column of categories; name it with \
             --columns category=NAME, or give --item-table FILE"
        ));
    };
    let mut categories = vec![NONE; vocabulary.len()];
    let numbers = numbers(log, vocabulary);
    for (&category, &item) in log.events.category.iter().zip(&log.events.item) {
        let item = numbers[item as usize];
        if item != NONE && category != NONE {
            categories[item as usize] = category;
        }
    }
    Ok((log.categories.clone(), categories))
}

/// The model's numbers of a log's items; [`NONE`] where it does not know them.
fn numbers(log: &Log, vocabulary: &Vocabulary) -> Vec<u32> {
    log.items.iter().map(|id| vocabulary.find(id).unwrap_or(NONE)).collect()
}

/// Of everyone in a log what is not shown to them, as the rules have it.
pub(super) struct Known {
    /// The items of user `u` are `items[offsets[u]..offsets[u + 1]]`, by rising number.
    offsets: Vec<usize>,
    items: Vec<u32>,
}

impl Known {
    /// Looks at all events of a log, before any is left out. Where it names no users, its sessions are asked.
    pub(super) fn new(log: &Log, habits: &Habits, vocabulary: &Vocabulary) -> Self {
        let nobody = Self { offsets: Vec::new(), items: Vec::new() };
        if !habits.seen && habits.bought.is_none() {
            return nobody;
        }
        let buys = habits.bought.as_ref().map(|rule| Buys::new(log, rule));
        if let Some(buys) = &buys
            && !habits.seen
            && !(0..log.events.len() as u32).any(|event| buys.is_purchase(log, event))
        {
            warn(
                "--bought drop: the log has no purchases; say which kinds are with --buys KIND,...",
            );
        }
        let numbers = numbers(log, vocabulary);
        let by_user = !log.users.is_empty();
        let who = if by_user { &log.events.user } else { &log.events.session };
        let mut pairs: Vec<(u32, u32)> = Vec::new();
        for (event, &who) in who.iter().enumerate() {
            let item = numbers[log.events.item[event] as usize];
            let hidden = habits.seen
                || buys.as_ref().is_some_and(|buys| buys.is_purchase(log, event as u32));
            if who != NONE && item != NONE && hidden {
                pairs.push((who, item));
            }
        }
        pairs.sort_unstable();
        pairs.dedup();
        let all = pairs.last().map_or(0, |pair| pair.0 as usize + 1);
        let offsets =
            (0..=all).map(|who| pairs.partition_point(|pair| (pair.0 as usize) < who)).collect();
        Self { offsets, items: pairs.into_iter().map(|pair| pair.1).collect() }
    }

    /// What is not shown to the user with this number.
    pub(super) fn of(&self, who: Option<u32>) -> Vec<u32> {
        let range = who.and_then(|who| {
            let who = who as usize;
            Some(*self.offsets.get(who)?..*self.offsets.get(who + 1)?)
        });
        range.map_or_else(Vec::new, |range| self.items[range].to_vec())
    }
}

/// The same where nothing but these events is known.
pub(super) fn known_of_ids(habits: &Habits, known: &[u32]) -> Vec<u32> {
    let mut items = if habits.seen { known.to_vec() } else { Vec::new() };
    items.sort_unstable();
    items.dedup();
    items
}
