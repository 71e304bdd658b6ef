//! From the rows of a table to events.

use std::borrow::Cow;
use std::path::Path;

use super::ReadOptions;
use super::builder::Builder;
use super::clock::Clock;
use super::detect::delimiter;
use super::layout::Users;
use super::number;
use super::partition::partitions;
use super::record::{Fields, Record, Records};
pub(super) use super::schema::Schema;
use super::schema::{self};
use super::sink::{Key, Row};
use super::source::Source;
use crate::{Error, Format, Role, time};

/// Why a row is bad, and the part of it that is meant.
pub(super) type Bad<'a> = (&'static str, Cow<'a, str>);

/// Why a row is no event.
pub(super) enum Refused<'a> {
    /// It could not be used.
    Bad(Bad<'a>),
    /// It is as it should be, and tells of none.
    Aside(&'static str),
}

impl<'a> From<Bad<'a>> for Refused<'a> {
    fn from(bad: Bad<'a>) -> Self {
        Self::Bad(bad)
    }
}

/// Reads a table of any layout.
pub(super) fn read(
    path: &Path,
    source: Source,
    format: Format,
    options: &ReadOptions,
    log: &mut Builder,
) -> Result<(), Error> {
    let window = options.window;
    let file = source.name.clone();
    let delimiter = delimiter_of(format, source.head());
    let mut clock = Clock::new(path, &source, delimiter, options, log);
    // Tables of data sets have all their columns in the file.
    let any_table = matches!(format, Format::Csv | Format::Tsv);
    let mut beside = if any_table { partitions(path) } else { Vec::new() };
    let mut constants = Vec::new();
    let mut schema = None;
    let mut records = Records::new(source.lines()?, delimiter);
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
                let own = first.len();
                let mut names = first;
                beside.retain(|(name, _)| !names.contains(name));
                names.extend(beside.iter().map(|(name, _)| name.clone()));
                constants.extend(beside.drain(..).map(|(_, value)| value.unwrap_or_default()));
                let mut found = Schema::new(&file, format, &options.columns, &names, own)?;
                found.find_further(&file, options, &names[..own])?;
                log.begin_table(&file, &found, &names, window)?;
                clock.set_place(found.column(Role::Time));
                if found.header {
                    schema = Some(found);
                    continue;
                }
                schema.insert(found)
            }
        };
        log.rows += 1;
        let (mut labels, mut numbers) = (Vec::new(), Vec::new());
        match schema.take(&fields.with(&constants), &mut clock, &mut labels, &mut numbers) {
            Ok(row) if !row.time.is_none_or(|time| window.contains(time)) => log.outside(),
            Ok(row) => log.push(&row)?,
            Err(Refused::Aside(reason)) => log.aside(reason),
            Err(Refused::Bad((reason, detail))) => log.bad(&file, line, reason, &detail),
        }
    }
    clock.finish(&file, log);
    Ok(())
}

/// What stands between the columns: what the layout prescribes, or what the first line has most of.
pub(super) fn delimiter_of(format: Format, head: &[u8]) -> u8 {
    match format {
        Format::Tsv | Format::Gru4rec | Format::Recbole => b'\t',
        Format::Taobao | Format::Yoochoose => b',',
        _ => {
            let head = String::from_utf8_lossy(head);
            let first = head.lines().find(|line| !line.trim().is_empty()).unwrap_or("");
            delimiter(first) as u8
        }
    }
}

impl Schema {
    /// The event of a row, or why it has none. `labels` and `numbers` are filled.
    fn take<'a, 'r>(
        &self,
        fields: &Fields<'a>,
        clock: &mut Clock,
        labels: &'r mut Vec<Option<&'a str>>,
        numbers: &'r mut Vec<Option<f32>>,
    ) -> Result<Row<'r>, Refused<'a>>
    where
        'a: 'r,
    {
        if fields.len() != self.width {
            let own = |all: usize| all - fields.beside();
            let detail = format!("{} instead of {}", own(fields.len()), own(self.width));
            return Err(Refused::Bad(("wrong number of columns", detail.into())));
        }
        let user = self.user(fields)?;
        let item = match (self.needed(fields, Role::Item, "no item"), self.no_item) {
            (Ok(Some(item)), _) => item,
            (Err(("no item", _)), Some(reason)) => return Err(Refused::Aside(reason)),
            (Err(bad), _) => return Err(bad.into()),
            (Ok(None), _) => return Err(Refused::Bad(("no item", "".into()))),
        };
        let session = self.needed(fields, Role::Session, "no session")?.map(Key::Name);
        let time = self.time(fields, clock)?;
        let order = self.order.map(|place| parse(text(fields, place)?)).transpose()?;
        let kind = self.kind(fields)?;
        let mut category = self.optional(fields, Role::Category)?;
        if let (None, Some(other)) = (category, self.other_category) {
            category = Some(text(fields, other)?).filter(|text| !text.is_empty());
        }
        let price = self.number(fields, Role::Price)?;
        let quantity = self.number(fields, Role::Quantity)?;
        let mut amount = self.number(fields, Role::Amount)?;
        if self.invoices {
            if quantity.is_some_and(|quantity| quantity <= 0.0) && kind == Some(PURCHASE) {
                return Err(Refused::Aside("a correction of the stock"));
            }
            if price.is_some_and(|price| price < 0.0) {
                return Err(Refused::Aside("a correction of the books"));
            }
            amount = amount.or(self.money(fields)?);
        }
        for &place in self.labels() {
            let word = place.map(|place| text(fields, place)).transpose()?;
            labels.push(word.filter(|text| !text.is_empty()));
        }
        for &place in self.numbers() {
            // What is no number is missing: the event itself is as good as any.
            let word = place.map(|place| text(fields, place)).transpose()?;
            numbers.push(word.and_then(|text| number::finite(text).ok()));
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

    /// Price times quantity, before either is rounded.
    fn money<'a>(&self, fields: &Fields<'a>) -> Result<Option<f32>, Bad<'a>> {
        let exact = |role| -> Result<Option<f64>, Bad<'a>> {
            Ok(self.optional(fields, role)?.and_then(|text| number::number(text).ok()))
        };
        let (price, quantity) = (exact(Role::Price)?, exact(Role::Quantity)?);
        Ok(price.zip(quantity).map(|(price, quantity)| (price * quantity) as f32))
    }

    fn user<'a>(&self, fields: &Fields<'a>) -> Result<Option<&'a str>, Refused<'a>> {
        match self.users {
            Users::Named => Ok(self.needed(fields, Role::User, "no user")?),
            Users::Numbers => Ok(self.needed(fields, Role::User, "no user")?.map(whole_number)),
            Users::NumbersOrAside(reason) => match self.text(fields, Role::User)? {
                Some("") => Err(Refused::Aside(reason)),
                user => Ok(user.map(whole_number)),
            },
            Users::Some => Ok(self.optional(fields, Role::User)?.filter(|&user| user != "NA")),
        }
    }

    fn kind<'a>(&self, fields: &Fields<'a>) -> Result<Option<&'a str>, Bad<'a>> {
        match self.kind {
            schema::Kind::Spelled => self.optional(fields, Role::Kind),
            schema::Kind::Always(word) => Ok(Some(word)),
            schema::Kind::Coded(words) => {
                let code = self.text(fields, Role::Kind)?.unwrap_or("");
                let known = words.iter().find(|(known, _)| *known == code);
                known.map(|&(_, word)| Some(word)).ok_or(("unknown code of a kind", code.into()))
            }
            schema::Kind::Or(other) => match self.optional(fields, Role::Kind)? {
                None => Ok(Some(text(fields, other)?).filter(|text| !text.is_empty())),
                kind => Ok(kind),
            },
            schema::Kind::Cancelled(place) => {
                let cancelled = text(fields, place)?.starts_with(['C', 'c']);
                Ok(Some(if cancelled { "cancellation" } else { PURCHASE }))
            }
        }
    }

    fn time<'a>(&self, fields: &Fields<'a>, clock: &mut Clock) -> Result<Option<i64>, Bad<'a>> {
        const NO_TIME: &str = "time not understood";
        if let Some(place) = self.column(Role::Time) {
            if let Some(year) = self.year {
                // The signs between month and day may be in any encoding.
                let bytes = fields.get(place);
                let time = clock.month_day(bytes, year).map(Some);
                return time.ok_or_else(|| (NO_TIME, String::from_utf8_lossy(bytes)));
            }
            let text = text(fields, place)?;
            return clock.read(text).map(Some).ok_or((NO_TIME, text.into()));
        }
        let Some(date) = self.date else { return Ok(None) };
        let [year, month, day] = date.map(|place| text(fields, place));
        let (year, month, day) = (year?, month?, day?);
        let midnight = || time::day(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?);
        let time = midnight().and_then(|midnight| clock.local(midnight));
        time.map(Some).ok_or_else(|| (NO_TIME, format!("{year}-{month}-{day}").into()))
    }

    /// A field that must not be empty where there is a column for it.
    fn needed<'a>(
        &self,
        fields: &Fields<'a>,
        role: Role,
        missing: &'static str,
    ) -> Result<Option<&'a str>, Bad<'a>> {
        match self.text(fields, role)? {
            Some("") => Err((missing, "".into())),
            text => Ok(text),
        }
    }

    fn optional<'a>(&self, fields: &Fields<'a>, role: Role) -> Result<Option<&'a str>, Bad<'a>> {
        Ok(self.text(fields, role)?.filter(|text| !text.is_empty()))
    }

    fn number<'a>(&self, fields: &Fields<'a>, role: Role) -> Result<Option<f32>, Bad<'a>> {
        let number = |text: &'a str| {
            number::finite(text).map_err(|why| (number::reason(role, why), text.into()))
        };
        self.optional(fields, role)?.map(number).transpose()
    }

    fn text<'a>(&self, fields: &Fields<'a>, role: Role) -> Result<Option<&'a str>, Bad<'a>> {
        self.column(role).map(|place| text(fields, place)).transpose()
    }
}

/// The kind of a row of an invoice that takes nothing back.
const PURCHASE: &str = "purchase";

/// Why a row is bad that is in another encoding.
pub(super) const NOT_UTF_8: &str = "not UTF-8 text";

/// A number without the `.0` that it got in a table with gaps.
fn whole_number(text: &str) -> &str {
    let whole = text.strip_suffix(".0").filter(|digits| !digits.is_empty());
    whole.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit())).unwrap_or(text)
}

fn text<'a>(fields: &Fields<'a>, place: usize) -> Result<&'a str, Bad<'a>> {
    if let Some(text) = fields.text(place) {
        return Ok(text.trim_ascii());
    }
    let bytes = fields.get(place);
    match std::str::from_utf8(bytes) {
        Ok(text) if text.contains('\0') => Err(("a NUL byte", text.into())),
        Ok(text) => Ok(text.trim_ascii()),
        Err(_) => Err((NOT_UTF_8, String::from_utf8_lossy(bytes))),
    }
}

fn parse<T: std::str::FromStr>(text: &str) -> Result<T, Bad<'_>> {
    text.parse().map_err(|_| ("not a number", text.into()))
}
