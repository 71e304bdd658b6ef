//! Tables: which column is what, and from rows to events.

use super::builder::{Builder, Grouping};
use super::detect::{delimiter, usual_column};
use super::record::{Fields, Record, Records};
use super::sink::{Key, Row};
use super::source::Source;
use super::{Further, ReadOptions};
use crate::{Columns, Error, Format, Role, time};

/// Why a row is bad, and the part of it that is meant.
pub(super) type Bad<'a> = (&'static str, std::borrow::Cow<'a, str>);

/// Reads a table of any layout.
pub(super) fn read(
    source: Source,
    format: Format,
    options: &ReadOptions,
    log: &mut Builder<'_>,
) -> Result<(), Error> {
    let (columns, window) = (&options.columns, options.window);
    let file = source.name.clone();
    let first = String::from_utf8_lossy(source.head());
    let first = first.lines().find(|line| !line.trim().is_empty()).unwrap_or("");
    let delimiter = match format {
        Format::Tsv => '\t',
        Format::Taobao | Format::Yoochoose => ',',
        Format::Eshop => ';',
        _ => delimiter(first),
    };
    let mut schema = None;
    let mut records = Records::new(source.lines(), delimiter as u8);
    while let Some(record) = records.next()? {
        let (line, fields) = match record {
            Record::Fields(line, fields) => (line, fields),
            Record::Bad(line, reason) => {
                log.rows += 1;
                log.bad(&file, line, reason, "");
                continue;
            }
        };
        let schema = match &schema {
            Some(schema) => schema,
            None => {
                let first: Vec<String> = (0..fields.len())
                    .map(|place| String::from_utf8_lossy(fields.get(place)).trim().to_owned())
                    .collect();
                let mut found = Schema::new(&file, format, columns, &first)?;
                found.find_further(&file, &options.further, &first)?;
                log.begin_table(&file, &found, &first, window)?;
                if found.header {
                    schema = Some(found);
                    continue;
                }
                schema.insert(found)
            }
        };
        log.rows += 1;
        let (mut labels, mut numbers) = (Vec::new(), Vec::new());
        match schema.take(&fields, &mut labels, &mut numbers) {
            Ok(row) if !row.time.is_none_or(|time| window.contains(time)) => log.outside += 1,
            Ok(row) => log.push(&row)?,
            Err((reason, detail)) => log.bad(&file, line, reason, &detail),
        }
    }
    Ok(())
}

/// Which column of a table is what.
#[derive(Debug)]
pub(super) struct Schema {
    /// Column of each [`Role`].
    roles: [Option<usize>; Role::ALL.len()],
    /// Year, month and day, where the date has three columns.
    date: Option<[usize; 3]>,
    order: Option<usize>,
    /// Columns of [`Further`].
    labels: Vec<usize>,
    numbers: Vec<usize>,
    /// The kind of all events, where the layout has only one.
    kind: Option<&'static str>,
    /// Whether the first row is a header.
    pub header: bool,
    /// Number of columns.
    width: usize,
}

impl Schema {
    /// What the columns of a table are, by its format and its first row.
    fn new(file: &str, format: Format, columns: &Columns, first: &[String]) -> Result<Self, Error> {
        let missing = |role: &str| Error::NoColumn {
            path: file.to_owned(),
            role: role.to_owned(),
            header: first.join(", "),
        };
        let mut schema = match format {
            Format::Taobao => Self::fixed(5, &TAOBAO),
            Format::Yoochoose if first.len() == 5 => {
                Self { kind: Some("buy"), ..Self::fixed(5, &YOOCHOOSE_BUYS) }
            }
            Format::Yoochoose => Self { kind: Some("click"), ..Self::fixed(4, &YOOCHOOSE_CLICKS) },
            Format::Eshop => Self::eshop(first).map_err(missing)?,
            Format::Retailrocket if first[0].parse::<i64>().is_ok() => match first.len() {
                4 => Self::fixed(4, &RETAILROCKET_PREPARED),
                _ => Self::fixed(5, &RETAILROCKET),
            },
            // Columns that are named are all there are: nothing is added by guess.
            _ if columns.is_empty() => Self::by_header(first),
            _ => Self::fixed(first.len(), &[]),
        };
        for role in Role::ALL {
            let Some(column) = columns.get(role) else { continue };
            let named = first.iter().position(|name| name == column);
            schema.header |= named.is_some();
            match place_of(column, first) {
                Some(place) => schema.roles[role as usize] = Some(place),
                None => {
                    return Err(Error::NoColumn {
                        path: file.to_owned(),
                        role: role.name().to_owned(),
                        header: format!("{}, where --columns names {column:?}", first.join(", ")),
                    });
                }
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

    /// Finds the columns that are read beside those with a role.
    fn find_further(
        &mut self,
        file: &str,
        further: &Further,
        first: &[String],
    ) -> Result<(), Error> {
        for (names, places) in
            [(&further.labels, &mut self.labels), (&further.numbers, &mut self.numbers)]
        {
            for column in names {
                let place = place_of(column, first).ok_or_else(|| Error::NoFurtherColumn {
                    path: file.to_owned(),
                    column: column.clone(),
                    header: first.join(", "),
                })?;
                self.header |= first[place] == *column;
                places.push(place);
            }
        }
        Ok(())
    }

    /// A table that names its columns otherwise than in a first row.
    pub(super) fn of_table(
        file: &str,
        columns: &Columns,
        further: &Further,
        names: &[String],
    ) -> Result<Self, Error> {
        let mut schema = Self::new(file, Format::Csv, columns, names)?;
        schema.find_further(file, further, names)?;
        schema.header = true;
        Ok(schema)
    }

    /// All columns that are read.
    pub(super) fn places(&self) -> Vec<usize> {
        let others = self.date.iter().flatten().chain(&self.order);
        let others = others.chain(&self.labels).chain(&self.numbers);
        self.roles.iter().flatten().chain(others).copied().collect()
    }

    /// Columns of further words.
    pub(super) fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// Columns of further numbers.
    pub(super) fn numbers(&self) -> &[usize] {
        &self.numbers
    }

    /// A layout without a header.
    fn fixed(width: usize, roles: &[(Role, usize)]) -> Self {
        let mut schema = Self {
            roles: [None; Role::ALL.len()],
            date: None,
            order: None,
            labels: Vec::new(),
            numbers: Vec::new(),
            kind: None,
            header: false,
            width,
        };
        for &(role, place) in roles {
            schema.roles[role as usize] = Some(place);
        }
        schema
    }

    /// A table whose columns have usual names.
    fn by_header(first: &[String]) -> Self {
        let roles = Role::ALL.map(|role| usual_column(first, role));
        Self { roles, header: roles.iter().any(Option::is_some), ..Self::fixed(first.len(), &[]) }
    }

    /// UCI 553; the name of the column that is missing where the header lacks one.
    fn eshop(first: &[String]) -> Result<Self, &'static str> {
        let header = first[0] == "year";
        let names = if header { first } else { &ESHOP.map(str::to_owned) };
        let place = |name| names.iter().position(|other| other == name).ok_or(name);
        let mut schema = Self { kind: Some("click"), header, ..Self::fixed(names.len(), &[]) };
        schema.date = Some([place("year")?, place("month")?, place("day")?]);
        schema.order = Some(place("order")?);
        for (role, name) in [
            (Role::Session, "session ID"),
            (Role::Category, "page 1 (main category)"),
            (Role::Item, "page 2 (clothing model)"),
            (Role::Price, "price"),
        ] {
            schema.roles[role as usize] = Some(place(name)?);
        }
        Ok(schema)
    }

    pub(super) fn column(&self, role: Role) -> Option<usize> {
        self.roles[role as usize]
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

    /// The event of a row, or why it has none. `labels` and `numbers` are filled.
    fn take<'a, 'r>(
        &self,
        fields: &Fields<'a>,
        labels: &'r mut Vec<Option<&'a str>>,
        numbers: &'r mut Vec<Option<f32>>,
    ) -> Result<Row<'r>, Bad<'a>>
    where
        'a: 'r,
    {
        if fields.len() != self.width {
            let detail = format!("{} instead of {}", fields.len(), self.width);
            return Err(("wrong number of columns", detail.into()));
        }
        let needed = |role, missing| match self.text(fields, role)? {
            Some("") => Err((missing, "".into())),
            text => Ok(text),
        };
        let Some(item) = needed(Role::Item, "no item")? else {
            return Err(("no item", "".into()));
        };
        let user = needed(Role::User, "no user")?;
        let session = needed(Role::Session, "no session")?.map(Key::Name);
        let time = self.time(fields)?;
        let order = self.order.map(|place| parse(text(fields, place)?)).transpose()?;
        let optional = |role| Ok(self.text(fields, role)?.filter(|text| !text.is_empty()));
        let kind = optional(Role::Kind)?.or(self.kind);
        let category = optional(Role::Category)?;
        let number = |role, reason| {
            let number = |text: &'a str| parse_finite(text).map_err(|_| (reason, text.into()));
            optional(role)?.map(number).transpose()
        };
        let price = number(Role::Price, "the price is not a number")?;
        let quantity = number(Role::Quantity, "the quantity is not a number")?;
        let amount = number(Role::Amount, "the amount is not a number")?;
        for &place in &self.labels {
            labels.push(Some(text(fields, place)?).filter(|text| !text.is_empty()));
        }
        for &place in &self.numbers {
            // What is no number is missing: the event itself is as good as any.
            numbers.push(parse_finite(text(fields, place)?).ok());
        }
        Ok(Row {
            item,
            user,
            session,
            time,
            order,
            kind,
            category,
            price,
            quantity,
            amount,
            labels,
            numbers,
        })
    }

    fn text<'a>(&self, fields: &Fields<'a>, role: Role) -> Result<Option<&'a str>, Bad<'a>> {
        self.column(role).map(|place| text(fields, place)).transpose()
    }

    fn time<'a>(&self, fields: &Fields<'a>) -> Result<Option<i64>, Bad<'a>> {
        const NO_TIME: &str = "time not understood";
        if let Some(text) = self.text(fields, Role::Time)? {
            return time::parse_time(text).map(Some).ok_or((NO_TIME, text.into()));
        }
        let Some(date) = self.date else { return Ok(None) };
        let [year, month, day] = date.map(|place| text(fields, place));
        let (year, month, day) = (year?, month?, day?);
        let midnight = || time::day(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?);
        midnight().map(Some).ok_or_else(|| (NO_TIME, format!("{year}-{month}-{day}").into()))
    }
}

/// Where the column of this name or place (counted from 1) stands.
fn place_of(column: &str, first: &[String]) -> Option<usize> {
    let named = first.iter().position(|name| name == column);
    let place = named.or_else(|| column.parse::<usize>().ok()?.checked_sub(1));
    place.filter(|&place| place < first.len())
}

fn text<'a>(fields: &Fields<'a>, place: usize) -> Result<&'a str, Bad<'a>> {
    let bytes = fields.get(place);
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.trim_ascii()),
        Err(_) => Err(("not UTF-8 text", String::from_utf8_lossy(bytes))),
    }
}

fn parse<T: std::str::FromStr>(text: &str) -> Result<T, Bad<'_>> {
    text.parse().map_err(|_| ("not a number", text.into()))
}

fn parse_finite(text: &str) -> Result<f32, Bad<'_>> {
    parse(text)
        .and_then(|x: f32| if x.is_finite() { Ok(x) } else { Err(("not a number", text.into())) })
}

const TAOBAO: [(Role, usize); 5] =
    [(Role::User, 0), (Role::Item, 1), (Role::Category, 2), (Role::Kind, 3), (Role::Time, 4)];

const YOOCHOOSE_CLICKS: [(Role, usize); 4] =
    [(Role::Session, 0), (Role::Time, 1), (Role::Item, 2), (Role::Category, 3)];

const YOOCHOOSE_BUYS: [(Role, usize); 5] =
    [(Role::Session, 0), (Role::Time, 1), (Role::Item, 2), (Role::Price, 3), (Role::Quantity, 4)];

/// The last column is a transaction.
const RETAILROCKET: [(Role, usize); 4] =
    [(Role::Time, 0), (Role::User, 1), (Role::Kind, 2), (Role::Item, 3)];

const RETAILROCKET_PREPARED: [(Role, usize); 4] =
    [(Role::Time, 0), (Role::User, 1), (Role::Item, 2), (Role::Session, 3)];

const ESHOP: [&str; 14] = [
    "year",
    "month",
    "day",
    "order",
    "country",
    "session ID",
    "page 1 (main category)",
    "page 2 (clothing model)",
    "colour",
    "location",
    "model photography",
    "price",
    "price 2",
    "page",
];
