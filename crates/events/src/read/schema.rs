//! Which column of a table is what.

use super::ReadOptions;
use super::builder::Grouping;
use super::detect::usual_column;
use super::layout::{Kinds, Layout, Users};
use crate::log::bare;
use crate::{Columns, Error, Format, Role};

/// Which column of a table is what.
#[derive(Debug)]
pub(super) struct Schema {
    /// Column of each [`Role`].
    roles: [Option<usize>; Role::ALL.len()],
    /// Year, month and day, where the date has three columns.
    pub(super) date: Option<[usize; 3]>,
    pub(super) order: Option<usize>,
    /// Columns of [`Further`](super::Further).
    labels: Vec<Option<usize>>,
    numbers: Vec<Option<usize>>,
    pub(super) kind: Kind,
    pub(super) other_category: Option<usize>,
    pub(super) users: Users,
    /// Why a row without an item is left aside; none where it is bad.
    pub(super) no_item: Option<&'static str>,
    /// The usual year of times that have none.
    pub(super) year: Option<i16>,
    pub(super) invoices: bool,
    /// Whether the first row is a header.
    pub header: bool,
    /// Number of columns.
    pub(super) width: usize,
    /// Names of the columns, from the header or from the layout.
    names: Vec<String>,
}

/// Where the kind of an event comes from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// No column has it, or the one of its role.
    Spelled,
    /// All are the same.
    Always(&'static str),
    /// The column of its role has codes for these words.
    Coded(&'static [(&'static str, &'static str)]),
    /// The column of its role, or this one.
    Or(usize),
    /// This column begins with `C` where a purchase is taken back.
    Cancelled(usize),
}

impl Schema {
    /// What the columns of a table are, by its format and its first row. Of the names in `first` the row
    /// itself has `own`; the others are those of folders.
    pub(super) fn new(
        file: &str,
        format: Format,
        columns: &Columns,
        first: &[String],
        own: usize,
    ) -> Result<Self, Error> {
        let missing = |role: &str| Error::NoColumn {
            path: file.to_owned(),
            role: role.to_owned(),
            header: first.join(", "),
        };
        let mut schema = match Layout::of(format, first) {
            Some((layout, header)) => {
                Self::of_layout(layout, header, columns, first).map_err(missing)?
            }
            None if format == Format::Recbole => Self::recbole(file, first)?,
            // Columns that are named are all there are: nothing is added by guess.
            None if columns.is_empty() => Self::by_header(first, own),
            None => Self::without_roles(first.to_vec()),
        };
        for role in Role::ALL {
            let Some(column) = columns.get(role) else { continue };
            let none = column == Columns::NONE;
            schema.header |= !none && first[..own].iter().any(|name| name == column);
            match schema.place_of(column) {
                _ if none => schema.roles[role as usize] = None,
                Some(place) => schema.roles[role as usize] = Some(place),
                None => {
                    return Err(Error::NoColumn {
                        path: file.to_owned(),
                        role: role.name().to_owned(),
                        header: format!("{}, where --columns names {column:?}", first.join(", ")),
                    });
                }
            }
            match role {
                Role::Kind => schema.kind = Kind::Spelled,
                Role::Category => schema.other_category = None,
                Role::Item => schema.no_item = None,
                _ => {}
            }
        }
        if schema.column(Role::Item).is_none() {
            return Err(missing("item"));
        }
        if schema.column(Role::User).is_none() && schema.column(Role::Session).is_none() {
            return Err(missing("user"));
        }
        Ok(schema)
    }

    /// A table that names its columns otherwise than in a first row.
    pub(super) fn of_table(
        file: &str,
        options: &ReadOptions,
        names: &[String],
    ) -> Result<Self, Error> {
        let mut schema = Self::new(file, Format::Csv, &options.columns, names, names.len())?;
        schema.find_further(file, options, names)?;
        schema.header = true;
        Ok(schema)
    }

    /// Finds the columns that are read beside those with a role. `first` is what the first row has.
    pub(super) fn find_further(
        &mut self,
        file: &str,
        options: &ReadOptions,
        first: &[String],
    ) -> Result<(), Error> {
        let further = &options.further;
        let place = |column: &String| match self.place_of(column) {
            None if !options.may_lack_further => Err(Error::NoFurtherColumn {
                path: file.to_owned(),
                column: column.clone(),
                header: self.names.join(", "),
            }),
            place => Ok(place),
        };
        let labels = further.labels.iter().map(place).collect::<Result<Vec<_>, _>>()?;
        let numbers = further.numbers.iter().map(place).collect::<Result<Vec<_>, _>>()?;
        let mut asked = further.labels.iter().chain(&further.numbers);
        self.header |= asked.any(|column| first.iter().any(|name| name == column));
        (self.labels, self.numbers) = (labels, numbers);
        Ok(())
    }

    /// The column that a role has.
    pub(super) fn column(&self, role: Role) -> Option<usize> {
        self.roles[role as usize]
    }

    /// Columns of further words; none for one that the table may lack, and does.
    pub(super) fn labels(&self) -> &[Option<usize>] {
        &self.labels
    }

    /// Columns of further numbers, likewise.
    pub(super) fn numbers(&self) -> &[Option<usize>] {
        &self.numbers
    }

    /// All columns that are read.
    pub(super) fn places(&self) -> Vec<usize> {
        let kind = match self.kind {
            Kind::Or(place) | Kind::Cancelled(place) => Some(place),
            Kind::Spelled | Kind::Always(_) | Kind::Coded(_) => None,
        };
        let others = self.date.iter().flatten().chain(&self.order).chain(&kind);
        let further = self.labels.iter().chain(&self.numbers).flatten();
        let others = others.chain(&self.other_category).chain(further);
        self.roles.iter().flatten().chain(others).copied().collect()
    }

    /// Which name of a header was taken for what, and which for nothing.
    pub(super) fn describe(&self, header: &[String]) -> (Columns, Vec<String>) {
        let mut columns = Columns::default();
        for role in Role::ALL {
            if let Some(place) = self.column(role) {
                columns.set(role, &header[place]);
            }
        }
        let used = self.places();
        let unused = header.iter().enumerate().filter(|(place, _)| !used.contains(place));
        (columns, unused.map(|(_, name)| name.clone()).collect())
    }

    pub(super) fn grouping(&self) -> Grouping {
        Grouping {
            user: self.column(Role::User).is_some(),
            session: self.column(Role::Session).is_some(),
            time: self.column(Role::Time).is_some() || self.date.is_some(),
        }
    }

    /// A table of which nothing is known but the names of its columns.
    fn without_roles(names: Vec<String>) -> Self {
        Self {
            roles: [None; Role::ALL.len()],
            date: None,
            order: None,
            labels: Vec::new(),
            numbers: Vec::new(),
            kind: Kind::Spelled,
            other_category: None,
            users: Users::Named,
            no_item: None,
            year: None,
            invoices: false,
            header: false,
            width: names.len(),
            names,
        }
    }

    /// A table whose columns have usual names.
    fn by_header(first: &[String], own: usize) -> Self {
        let roles = Role::ALL.map(|role| usual_column(first, role));
        let header = roles.iter().flatten().any(|&place| place < own);
        Self { roles, header, ..Self::without_roles(first.to_vec()) }
    }

    /// A table of a known layout; the name of the column that is missing where the header lacks one.
    /// The columns that `--columns` names need not be there under their own names.
    fn of_layout(
        layout: &'static Layout,
        header: bool,
        columns: &Columns,
        first: &[String],
    ) -> Result<Self, &'static str> {
        let names: Vec<String> = match header {
            true => first.to_vec(),
            false => layout.names.iter().map(|&name| name.to_owned()).collect(),
        };
        let place = |name: &'static str| {
            let known = bare(name);
            names.iter().position(|other| bare(other) == known).ok_or(name)
        };
        let date = match layout.date {
            Some([year, month, day]) => Some([place(year)?, place(month)?, place(day)?]),
            None => None,
        };
        let order = layout.order.map(place).transpose()?;
        let kind = match layout.kinds {
            Kinds::Spelled => Kind::Spelled,
            Kinds::Always(word) => Kind::Always(word),
            Kinds::Coded(words) => Kind::Coded(words),
            Kinds::Or(name) => Kind::Or(place(name)?),
            Kinds::Cancelled(name) => Kind::Cancelled(place(name)?),
        };
        let mut roles = [None; Role::ALL.len()];
        for &(role, name) in layout.roles {
            if columns.get(role).is_none() {
                roles[role as usize] = Some(place(name)?);
            }
        }
        Ok(Self {
            roles,
            date: if columns.get(Role::Time).is_some() { None } else { date },
            order,
            kind,
            other_category: layout.other_category.and_then(|name| place(name).ok()),
            users: layout.users,
            no_item: layout.no_item,
            year: layout.year,
            invoices: layout.invoices,
            header,
            ..Self::without_roles(names)
        })
    }

    /// RecBole's names, each with a type behind a colon.
    fn recbole(file: &str, first: &[String]) -> Result<Self, Error> {
        let split = |name: &String| match name.split_once(':') {
            Some((name, kind)) => (name.to_owned(), kind.ends_with("_seq")),
            None => (name.clone(), false),
        };
        let (names, lists): (Vec<String>, Vec<bool>) = first.iter().map(split).unzip();
        let role = |role| usual_column(&names, role).filter(|&place| !lists[place]);
        let roles = Role::ALL.map(role);
        let of_items = |name: &str| bare(name).trim_end_matches("list") == "itemid";
        if let Some(place) = (0..names.len()).find(|&at| lists[at] && of_items(&names[at])) {
            let column = first[place].clone();
            return Err(Error::Lists { path: file.to_owned(), column });
        }
        Ok(Self { roles, header: true, ..Self::without_roles(names) })
    }

    /// Where the column of this name or place (counted from 1) stands.
    fn place_of(&self, column: &str) -> Option<usize> {
        let named = |name: &str| self.names.iter().position(|other| other == name);
        // RecBole's names may be given with their types.
        let place = named(column)
            .or_else(|| named(column.split_once(':')?.0))
            .or_else(|| column.parse::<usize>().ok()?.checked_sub(1));
        place.filter(|&place| place < self.width)
    }
}
