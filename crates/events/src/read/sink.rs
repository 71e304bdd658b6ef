//! Where events go while a log is read: into memory, or past it.

use super::ReadOptions;
use crate::{Error, Events, LabelColumn, Log, NONE, Names, NumberColumn, ReadReport, Role};

/// One event as its row spells it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Row<'a> {
    /// What was acted on.
    pub item: &'a str,
    /// Who acted.
    pub user: Option<&'a str>,
    /// The visit it belongs to.
    pub session: Option<Key<'a>>,
    /// When, in milliseconds since 1970, UTC.
    pub time: Option<i64>,
    /// Orders events of a session that have the same time.
    pub order: Option<u32>,
    /// View, cart, purchase and so on, in the log's own spelling.
    pub kind: Option<&'a str>,
    /// The item's category.
    pub category: Option<&'a str>,
    /// Price of one piece.
    pub price: Option<f32>,
    /// Number of pieces.
    pub quantity: Option<f32>,
    /// Money of the line.
    pub amount: Option<f32>,
    /// The words of [`Further::labels`](crate::Further::labels); shorter, or empty, where the last of them are missing.
    pub labels: &'a [Option<&'a str>],
    /// The numbers of [`Further::numbers`](crate::Further::numbers), likewise.
    pub numbers: &'a [Option<f32>],
}

/// What makes events one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key<'a> {
    /// A key of the log.
    Name(&'a str),
    /// The number of a session that the log does not name: one a line.
    Unnamed(u32),
}

/// Takes the events of a log one by one, in the order of its lines.
pub trait EventSink {
    /// Takes an event.
    ///
    /// # Errors
    ///
    /// Where it cannot be kept.
    fn event(&mut self, row: &Row<'_>) -> Result<(), Error>;
}

/// A sink that keeps all events by column.
#[derive(Debug, Default)]
pub(super) struct InMemory {
    events: Events,
    items: Names,
    users: Names,
    sessions: Names,
    kinds: Names,
    categories: Names,
    labels: Vec<LabelColumn>,
    numbers: Vec<NumberColumn>,
    kept: Vec<Role>,
}

impl InMemory {
    /// No events yet.
    pub(super) fn new(options: &ReadOptions) -> Self {
        let further = &options.further;
        let label = |name: &String| LabelColumn { name: name.clone(), ..LabelColumn::default() };
        let number = |name: &String| NumberColumn { name: name.clone(), values: Vec::new() };
        Self {
            labels: further.labels.iter().map(label).collect(),
            numbers: further.numbers.iter().map(number).collect(),
            kept: options.roles.clone(),
            ..Self::default()
        }
    }

    /// The log that these events are.
    pub(super) fn finish(self, report: ReadReport) -> Log {
        Log {
            events: self.events,
            items: self.items,
            users: self.users,
            sessions: self.sessions,
            kinds: self.kinds,
            categories: self.categories,
            labels: self.labels,
            numbers: self.numbers,
            report,
        }
    }
}

impl EventSink for InMemory {
    fn event(&mut self, row: &Row<'_>) -> Result<(), Error> {
        let events = &mut self.events;
        let n = events.item.len();
        events.item.push(self.items.intern(row.item));
        put(&mut events.user, n, NONE, row.user.map(|name| self.users.intern(name)));
        let session = row.session.map(|key| match key {
            Key::Name(name) => self.sessions.intern(name),
            Key::Unnamed(number) => number,
        });
        put(&mut events.session, n, NONE, session);
        put(&mut events.time, n, 0, row.time);
        put(&mut events.order, n, 0, row.order);
        let keeps = |role| self.kept.contains(&role);
        let kind = row.kind.filter(|_| keeps(Role::Kind));
        put(&mut events.kind, n, NONE, kind.map(|name| self.kinds.intern(name)));
        let category = row.category.filter(|_| keeps(Role::Category));
        put(&mut events.category, n, NONE, category.map(|name| self.categories.intern(name)));
        put(&mut events.price, n, f32::NAN, row.price.filter(|_| keeps(Role::Price)));
        put(&mut events.quantity, n, f32::NAN, row.quantity.filter(|_| keeps(Role::Quantity)));
        put(&mut events.amount, n, f32::NAN, row.amount.filter(|_| keeps(Role::Amount)));
        for (k, column) in self.labels.iter_mut().enumerate() {
            let word = row.labels.get(k).copied().flatten();
            column.values.push(word.map_or(NONE, |word| column.names.intern(word)));
        }
        for (k, column) in self.numbers.iter_mut().enumerate() {
            column.values.push(row.numbers.get(k).copied().flatten().unwrap_or(f32::NAN));
        }
        Ok(())
    }
}

/// Adds the entry of event `n` to a column. The column stays empty until the first event that has
/// an entry; the events before it are filled in then.
fn put<T: Copy>(column: &mut Vec<T>, n: usize, missing: T, value: Option<T>) {
    if let Some(value) = value {
        column.resize(n, missing);
        column.push(value);
    } else if !column.is_empty() {
        column.push(missing);
    }
}
