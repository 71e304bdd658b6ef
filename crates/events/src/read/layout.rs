//! What can be known of a table before a file is seen: its columns, in order, what each is for, and
//! what its rows are in the habit of. The tables themselves are in `layouts`.

use super::layouts::LAYOUTS;
use crate::log::bare;
use crate::{Format, Role};

/// A table of a known layout.
#[derive(Debug)]
pub(super) struct Layout {
    /// The layout it is one table of.
    pub format: Format,
    /// Whether it is known only where tabs stand between its columns.
    pub tabs: bool,
    /// Its columns. Where the file has no header, these are their names; of columns that carry no
    /// name in the data set, the usual one.
    pub names: &'static [&'static str],
    /// Which column is for what.
    pub roles: &'static [(Role, &'static str)],
    /// How a header shows that it is this table's.
    pub known_by: KnownBy,
    /// Year, month and day, where the date has three columns.
    pub date: Option<[&'static str; 3]>,
    /// Orders events of one session and time.
    pub order: Option<&'static str>,
    /// Where kinds of events come from.
    pub kinds: Kinds,
    /// Who has a name, and what it looks like.
    pub users: Users,
    /// A column for the category where the first has none.
    pub other_category: Option<&'static str>,
    /// Why a row without an item is no event, where that is a habit of the layout; such rows are bad
    /// in all others.
    pub no_item: Option<&'static str>,
    /// The year of times that are only month and day; those of all other layouts are whole.
    pub year: Option<i16>,
    /// Whether a row is a line of an invoice: money is quantity times price, and what corrects the
    /// stock or the books is left aside.
    pub invoices: bool,
}

/// How a table is found by looking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KnownBy {
    /// Not by its header.
    Rows,
    /// A header that has all these names, whatever else.
    Names(&'static [&'static str]),
    /// A header that has the names of the layout and no others.
    AllNames,
}

/// Where kinds of events come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kinds {
    /// The column for the kind, if there is one.
    Spelled,
    /// All are the same.
    Always(&'static str),
    /// The column for the kind has codes for these words.
    Coded(&'static [(&'static str, &'static str)]),
    /// The column for the kind, or this one where it is empty.
    Or(&'static str),
    /// This column begins with `C` where a purchase is taken back.
    Cancelled(&'static str),
}

/// What a table does about users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Users {
    /// Every row has its own.
    Named,
    /// Every row has its own, and numbers may be written with `.0` behind them, as tables are that
    /// once had gaps.
    Numbers,
    /// Likewise; a row without one is left aside, for this reason.
    NumbersOrAside(&'static str),
    /// Some rows have one; the others are empty or `NA`.
    Some,
}

impl Layout {
    /// The layout whose table has this header, for detection.
    pub(super) fn by_header(header: &[String], delimiter: char) -> Option<&'static Self> {
        let header: Vec<String> = header.iter().map(|name| bare(name)).collect();
        let has = |name: &&str| header.contains(&bare(name));
        LAYOUTS.iter().find(|layout| {
            (!layout.tabs || delimiter == '\t')
                && match layout.known_by {
                    KnownBy::Rows => false,
                    KnownBy::Names(names) => names.iter().all(has),
                    KnownBy::AllNames => {
                        header.len() == layout.names.len() && layout.names.iter().all(has)
                    }
                }
        })
    }

    /// The table of this format that has this first row, and whether that row is a header; none
    /// where the format is any table.
    pub(super) fn of(format: Format, first: &[String]) -> Option<(&'static Self, bool)> {
        let of_format = || LAYOUTS.iter().filter(|layout| layout.format == format);
        let header: Vec<String> = first.iter().map(|name| bare(name)).collect();
        let named = |layout: &&Self| {
            layout.names.iter().filter(|name| header.contains(&bare(name))).count()
        };
        // Of equals `max_by_key` takes the last: the first layout of a format is the usual one.
        if let Some(layout) = of_format().rev().max_by_key(named).filter(|layout| named(layout) > 0)
        {
            return Some((layout, true));
        }
        let fitting = of_format().find(|layout| layout.names.len() == first.len());
        fitting.or_else(|| of_format().next()).map(|layout| (layout, false))
    }
}
