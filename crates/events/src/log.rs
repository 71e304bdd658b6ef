//! A log in memory: one row an event, one column a property, every string held once.

use serde::Serialize;

use crate::{CleanRules, Columns, Error, Format, NONE, Names, SessionOptions, Window};

/// The events of a log, in the order of its lines, and how reading it went.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// The events.
    pub events: Events,
    /// Items, numbered by first appearance.
    pub items: Names,
    /// Users, numbered by first appearance; none where the log names none.
    pub users: Names,
    /// Session keys, likewise. Logs with one session a line have no names for them.
    pub sessions: Names,
    /// Kinds of events in the log's own spelling, likewise.
    pub kinds: Names,
    /// Categories, likewise.
    pub categories: Names,
    /// Further columns of words, in the order in which they were asked for.
    pub labels: Vec<LabelColumn>,
    /// Further columns of numbers, likewise.
    pub numbers: Vec<NumberColumn>,
    /// How reading went.
    pub report: ReadReport,
}

impl Log {
    /// Whether each session is a case of its own, of which only the last item is asked for.
    pub fn is_pairs(&self) -> bool {
        self.report.format == Format::Pairs
    }

    /// What kind of event number `event` is.
    pub fn kind(&self, event: usize) -> Kind {
        match self.events.kind.get(event) {
            Some(&kind) if kind != NONE => Kind::of(self.kinds.get(kind)),
            _ => Kind::Other,
        }
    }
}

impl Log {
    /// When an event happened, in milliseconds since 1970; none where the log has no times.
    pub fn time(&self, event: u32) -> Option<i64> {
        self.events.time.get(event as usize).copied()
    }

    /// The same, all at once where the log has no times.
    pub(crate) fn time_or_zero(&self, event: u32) -> i64 {
        self.time(event).unwrap_or(0)
    }

    /// Leaves out events, given by number in rising order. Names stay, also those of which no
    /// event is left.
    pub fn remove(&mut self, events: &[u32]) {
        if events.is_empty() {
            return;
        }
        let mut keep = vec![true; self.events.len()];
        for &event in events {
            if let Some(keep) = keep.get_mut(event as usize) {
                *keep = false;
            }
        }
        let e = &mut self.events;
        for column in [&mut e.item, &mut e.user, &mut e.session, &mut e.order, &mut e.kind] {
            retain(column, &keep);
        }
        retain(&mut e.category, &keep);
        retain(&mut e.time, &keep);
        for column in [&mut e.price, &mut e.quantity, &mut e.amount] {
            retain(column, &keep);
        }
        self.labels.iter_mut().for_each(|column| retain(&mut column.values, &keep));
        self.numbers.iter_mut().for_each(|column| retain(&mut column.values, &keep));
    }
}

/// Keeps the entries of a column whose events stay.
fn retain<T>(column: &mut Vec<T>, keep: &[bool]) {
    let mut keep = keep.iter();
    column.retain(|_| keep.next().copied().unwrap_or(true));
}

/// Events by column. A column that the log does not have is empty; all others have one entry an
/// event.
#[derive(Debug, Clone, Default)]
pub struct Events {
    /// Number of the item in [`Log::items`]; never empty while there are events.
    pub item: Vec<u32>,
    /// Number of the user in [`Log::users`], [`NONE`] where the row knows none.
    pub user: Vec<u32>,
    /// Number of the session, by first appearance.
    pub session: Vec<u32>,
    /// Milliseconds since 1970, UTC.
    pub time: Vec<i64>,
    /// Orders events of a session that have the same time.
    pub order: Vec<u32>,
    /// Number of the kind in [`Log::kinds`], [`NONE`] where the row has none.
    pub kind: Vec<u32>,
    /// Number of the category in [`Log::categories`], [`NONE`] where the row has none.
    pub category: Vec<u32>,
    /// Price of one piece, not a number where the row has none.
    pub price: Vec<f32>,
    /// Number of pieces, likewise.
    pub quantity: Vec<f32>,
    /// Money of the line, likewise.
    pub amount: Vec<f32>,
}

impl Events {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.item.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.item.is_empty()
    }
}

/// A further column of words: a colour, a brand, a kind of page.
#[derive(Debug, Clone, Default)]
pub struct LabelColumn {
    /// Its name in the log.
    pub name: String,
    /// The words, numbered by first appearance.
    pub names: Names,
    /// Number of the word of each event, [`NONE`] where the row has none.
    pub values: Vec<u32>,
}

/// A further column of numbers.
#[derive(Debug, Clone, Default)]
pub struct NumberColumn {
    /// Its name in the log.
    pub name: String,
    /// The number of each event, not a number where the row has none.
    pub values: Vec<f32>,
}

/// What an event means, whatever the log calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The item was looked at or clicked.
    View,
    /// It was put into the cart.
    Cart,
    /// It was taken out of the cart.
    Uncart,
    /// It was marked as a favourite.
    Favourite,
    /// It was bought.
    Purchase,
    /// Anything else, and logs that do not say.
    Other,
}

impl Kind {
    /// The meaning of a log's word, whatever its case, blanks and underscores.
    pub fn of(spelling: &str) -> Self {
        match bare(spelling).as_str() {
            "view" | "views" | "pv" | "pageview" | "productview" | "viewitem" | "detail"
            | "click" | "clicks" | "browse" => Self::View,
            "cart" | "carts" | "addtocart" | "add" | "basket" => Self::Cart,
            "removefromcart" | "remove" | "uncart" => Self::Uncart,
            "fav" | "favorite" | "favourite" | "wishlist" | "addtowishlist" | "like" | "follow" => {
                Self::Favourite
            }
            "buy" | "buys" | "purchase" | "purchases" | "transaction" | "order" | "orders" => {
                Self::Purchase
            }
            _ => Self::Other,
        }
    }
}

/// A word in small letters, without anything but letters and digits.
pub(crate) fn bare(word: &str) -> String {
    word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// How reading a log went.
#[derive(Debug, Clone, Default)]
pub struct ReadReport {
    /// The layout.
    pub format: Format,
    /// The files, in the order in which they were read.
    pub files: Vec<String>,
    /// Rows in all, bad ones and ones outside `--from`/`--until` too; blank lines and headers are
    /// no rows.
    pub rows: u64,
    /// Good rows that `--from`/`--until` left out.
    pub outside: u64,
    /// Rows that are as they should be and tell of no event, counted by reason: the layout has a
    /// habit of such rows, and `--max-bad` does not count them.
    pub aside: Vec<(&'static str, u64)>,
    /// Rows that could not be used.
    pub bad: BadRows,
    /// What had to be assumed: a year, a unit, an order of day and month.
    pub notes: Vec<String>,
    /// What the header of the first table was taken for; empty where there is none.
    pub columns: Columns,
    /// The names in that header that were taken for nothing.
    pub unused: Vec<String>,
    /// What was settled where the log comes ready prepared.
    pub sessions: Option<Settled>,
}

impl ReadReport {
    /// Refuses a log of which the window has left nothing.
    ///
    /// # Errors
    ///
    /// [`Error::NothingInside`].
    pub fn refuse_empty_window(&self, window: &Window) -> Result<(), Error> {
        let aside: u64 = self.aside.iter().map(|(_, rows)| rows).sum();
        if self.outside == 0 || self.outside + self.bad.count + aside < self.rows {
            return Ok(());
        }
        let (from, until) = (window.from, window.until);
        Err(Error::NothingInside { rows: self.rows, from, until })
    }
}

/// How a log was prepared.
#[derive(Debug, Clone, PartialEq)]
pub struct Settled {
    /// What made events one session: the log's session keys are these.
    pub sessions: SessionOptions,
    /// What was left out, or counted, as somebody has asked.
    pub clean: CleanRules,
}

/// Rows that could not be used: all counted by reason, the first few kept.
#[derive(Debug, Clone, Default)]
pub struct BadRows {
    /// How many in all.
    pub count: u64,
    /// How many for each reason, in order of first appearance.
    pub reasons: Vec<(&'static str, u64)>,
    /// The first [`BadRows::KEPT`].
    pub first: Vec<BadRow>,
}

impl BadRows {
    /// How many bad rows are kept one by one.
    pub const KEPT: usize = 100;

    /// Counts a bad row, and keeps it if it is one of the first.
    pub(crate) fn push(&mut self, file: &str, line: u64, reason: &'static str, detail: &str) {
        self.count += 1;
        count(&mut self.reasons, reason);
        if self.first.len() < Self::KEPT {
            let detail = detail.chars().take(60).collect();
            self.first.push(BadRow { file: file.to_owned(), line, reason, detail });
        }
    }
}

/// Counts a reason, in order of first appearance.
pub(crate) fn count(reasons: &mut Vec<(&'static str, u64)>, reason: &'static str) {
    match reasons.iter_mut().find(|(known, _)| *known == reason) {
        Some((_, count)) => *count += 1,
        None => reasons.push((reason, 1)),
    }
}

/// A row that could not be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BadRow {
    /// The file as it was given.
    pub file: String,
    /// Its line, counted from 1.
    pub line: u64,
    /// Why.
    pub reason: &'static str,
    /// The part of the row that is meant, cut to 60 characters.
    pub detail: String,
}

impl std::fmt::Display for BadRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} line {}: {}", self.file, self.line, self.reason)?;
        if self.detail.is_empty() { Ok(()) } else { write!(f, " ({:?})", self.detail) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_that_goes_goes_from_every_column() {
        let label = LabelColumn { values: vec![4, 5, 6], ..LabelColumn::default() };
        let number = NumberColumn { values: vec![0.5, 1.5, 2.5], ..NumberColumn::default() };
        let events = Events {
            item: vec![0, 1, 2],
            user: vec![3, 4, 5],
            session: vec![6, 7, 8],
            time: vec![10, 20, 30],
            order: vec![1, 2, 3],
            kind: vec![2, 1, 0],
            category: vec![1, 1, 0],
            price: vec![1.0, 2.0, 3.0],
            quantity: vec![4.0, 5.0, 6.0],
            amount: Vec::new(),
        };
        let (labels, numbers) = (vec![label], vec![number]);
        let mut log = Log { events, labels, numbers, ..Log::default() };
        log.remove(&[]);
        log.remove(&[1, 99]);
        let e = &log.events;
        assert_eq!(
            (&e.item[..], &e.user[..], &e.session[..]),
            (&[0, 2][..], &[3, 5][..], &[6, 8][..])
        );
        assert_eq!((&e.time[..], &e.order[..]), (&[10, 30][..], &[1, 3][..]));
        assert_eq!((&e.kind[..], &e.category[..]), (&[2, 0][..], &[1, 0][..]));
        assert_eq!(
            (&e.price[..], &e.quantity[..], e.amount.len()),
            (&[1.0, 3.0][..], &[4.0, 6.0][..], 0)
        );
        assert_eq!(
            (&log.labels[0].values[..], &log.numbers[0].values[..]),
            (&[4, 6][..], &[0.5, 2.5][..])
        );
    }

    #[test]
    fn kinds_of_many_logs_mean_the_same() {
        for (kind, words) in [
            (Kind::View, "pv view Click page_view view_item browse"),
            (Kind::Cart, "cart addtocart ADD_TO_CART carts"),
            (Kind::Uncart, "remove_from_cart uncart"),
            (Kind::Favourite, "fav favorite follow"),
            (Kind::Purchase, "buy purchase transaction orders"),
            (Kind::Other, "search checkout begin_checkout cancellation"),
        ] {
            for word in words.split(' ') {
                assert_eq!(Kind::of(word), kind, "{word}");
            }
        }
    }

    #[test]
    fn bad_rows_are_counted_by_reason_and_kept_up_to_a_limit() {
        let mut bad = BadRows::default();
        for line in 0..150 {
            bad.push("a.csv", line, if line % 3 == 0 { "no item" } else { "no user" }, "x,y");
        }
        assert_eq!((bad.count, bad.first.len()), (150, 100));
        assert_eq!(bad.reasons, [("no item", 50), ("no user", 100)]);
        assert_eq!(bad.first[1].to_string(), "a.csv line 1: no user (\"x,y\")");
    }
}
